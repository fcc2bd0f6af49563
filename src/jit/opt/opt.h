// The passes over a unit's IR, each in a file of its own.
#pragma once

#include "jit/config.h"
#include "jit/ir/ir.h"

namespace oriel::jit {

// Accesses of a block at known distances from one another share one Probe, which looks at all that they reach.
void group_probes(Unit& unit);
// What is written to a flag or XMM variable and written again before anything can read it is not written.
void drop_dead_sets(Unit& unit);

// All of them (passes.inc).
struct Pass {
  const char* name;
  void (*run)(Unit& unit);
  bool Config::* on;
};
inline constexpr Pass kPasses[] = {
#define PASS(NAME) {#NAME, NAME, &Config::NAME},
#include "jit/opt/passes.inc"
#undef PASS
};

}  // namespace oriel::jit
