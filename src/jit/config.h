// The limits of the compiled tiers, and the switches of their passes.
#pragma once

#include <string>

#include "base/types.h"

namespace oriel::jit {

struct Config {
  u32 threshold = 200;               // entries of a block before it is compiled
  u32 max_insns = 300;               // guest instructions in a unit, at most kMostInsns
  u32 threshold2 = 200'000;          // entries of a unit before its code is compiled anew, together with what it calls
  u32 max_insns2 = 300;              // guest instructions in such a unit, at most kMostInsns
  u32 batch = 32;                    // units compiled together, at most
  u64 max_wait = 500'000;            // retired instructions that a hot block waits for others to be compiled with it
  u64 cache_bytes = u64{256} << 20;  // what compiled modules may cost the engine, as estimated
  u32 cache_units = 100'000;         // at most kMostUnits
  bool worker = true;                // modules are compiled on another thread, where the host has one for it
  bool chain = true;                 // units go on to one another by tail calls, where the engine has them
  bool verify = false;               // Host::compiled_ran() after each unit
  u32 plant = 0;                     // a mistake for tests of that: a Plant
#define PASS(NAME) bool NAME = true;
#include "jit/opt/passes.inc"
#undef PASS
};

constexpr u32 kMostInsns = 1000;     // a unit's entries are numbered in emit.h's kSlotShift bits
constexpr u32 kMostUnits = 500'000;  // and its slot has the rest

// clang-format off
constexpr usize kPassCount = 0
#define PASS(NAME) + 1
#include "jit/opt/passes.inc"
#undef PASS
    ;
// clang-format on

// Sets what `text` says: "on", which changes nothing, or NAME=N,... False and one line in `error` for anything else.
bool set_limits(const std::string& text, Config& config, std::string& error);

}  // namespace oriel::jit
