// The bare-metal tests of tests/unit/system/*.asm: reading the assembled files, and holding an outcome against what a
// test expects. It asks no processor, so that the same is asked of tier 0 and of another machine.
#pragma once

#include <array>
#include <functional>
#include <string>
#include <vector>

#include "support/bare_machine.h"

namespace oriel {

struct SystemCheck {
  u32 kind, where;
  u64 want;
};

struct SystemCase {
  std::string name, section;
  BareSetup setup;
  std::vector<u8> code;
  u32 outcome, error, address;
  std::vector<SystemCheck> checks;
};

// The tests of a file; exits when it is damaged.
std::vector<SystemCase> read_system_cases(const char* file);

constexpr u32 kOutcomeHalt = 0x100, kOutcomeShutdown = 0x200, kOutcomeNone = 0xffffffff;

// A machine that has stopped.
struct SystemState {
  u32 outcome = kOutcomeNone;
  std::array<u64, 16> gpr{};
  u64 rip = 0, cr0 = 0, cr2 = 0, dr6 = 0, efer = 0;
  u32 flags = 0, ss_base = 0;
  u16 cs = 0, ss = 0;
  unsigned cpl = 0;
  bool big_stack = false;  // SS.B
  std::function<void(u64 physical, void* to, usize size)> read;

  // The outcome of a machine that halted: the vector of the stub where it did, or kOutcomeHalt.
  void set_halted();
};

// The machine as the test begins.
void set_up(BareMachine& m, const SystemCase& c);

// What is wrong with the outcome; empty if nothing is.
std::string wrong_with(const SystemCase& c, const SystemState& s);

}  // namespace oriel
