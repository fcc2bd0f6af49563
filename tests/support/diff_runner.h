// The loop that the differential tests share: a random encoding of a form, a random state, both processors, and the
// comparison.
#pragma once

#include <string>

#include "support/encode.h"
#include "support/host_diff.h"

namespace oriel {

constexpr u64 kOperandSize = 512;

struct DiffCase {
  const Form* form;
  CodeMode mode;
  Encoding e;
  Insn insn;
  u64 address = 0;        // of the memory operand, if it has one
  u8* operand = nullptr;  // in the host's data; nullptr when fewer than kOperandSize bytes there can be written
  CpuState start, host, guest;
};

// The count of cases: the first argument, or `usual`, ten times that in a full run (./test --full).
unsigned case_count(int argc, char** argv, unsigned usual);

class DiffRunner {
 public:
  explicit DiffRunner(u64 seed) : rnd(seed) {}
  // Makes a case: encoding, registers, flags, and the memory operand's place. False: none this time.
  bool begin(const Form& f, const EncodeOptions& o, DiffCase& c);
  // Runs it on both processors, with the data as host.data() has it.
  void run(DiffCase& c);
  // What differs, memory included unless `memory` is false.
  std::string compare(const DiffCase& c, CompareMask mask, bool memory = true);
  // Reports it; `more` explains a failure.
  void verdict(const DiffCase& c, const std::string& diff, const std::string& more);
  bool full(const Form& f) const { return report.full(f); }

  Random rnd;
  HostCpu host;
  GuestCpu guest;
  DiffReport report;
};

}  // namespace oriel
