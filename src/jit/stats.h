// What the compiled tiers count, and how it is published.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "jit/config.h"

namespace oriel::jit {

struct Stats {
  struct Tier {
    u64 compile_ns = 0, worker_ns = 0, units = 0, blocks = 0, insns = 0, wasm_bytes = 0, modules = 0, refused = 0;
  };
  Tier tier[2];
  u64 both(u64 Tier::* n) const { return tier[0].*n + tier[1].*n; }
  u64 pass_ns[kPassCount] = {};  // of both tiers' compilation
  u64 longest_pause_ns = 0;      // for compilation, of the CPU's thread
  u64 lookup_hits = 0, lookup_misses = 0, installs = 0, stale = 0, evictions = 0, invalidations = 0, mapping_fails = 0,
      group_fails = 0;
  u64 retired = 0, runs = 0, deopts = 0, steps = 0, fills = 0, conditions = 0, simd_calls = 0;

  // As they are when Jit::stats() is called.
  u64 capacity_bytes = 0, capacity_units = 0, used_bytes = 0, used_units = 0;
  std::vector<std::pair<u64, const char*>> steps_by_form;  // the most frequent ones
};

// One object, with units in its names: all zeros for a machine without a compiler.
std::string to_json(const Stats& s);

}  // namespace oriel::jit
