// The blocks of guest code in which most instructions retire, from samples. Compiled code counts nothing for it: a
// sample is where a time slice ends, at an exact count of instructions and in any tier, and stands for what has retired
// since the one before.
#pragma once

#include <string>

#include "cpu/cpu.h"
#include "perf/space_saving.h"

namespace oriel {

class HotBlocks {
 public:
  // Between instructions; `insns` retired since the last call.
  void sample(Cpu& c, u64 insns);

  u64 samples() const { return samples_; }
  u64 instructions() const { return instructions_; }            // of all samples
  u64 memory_operations() const { return memory_operations_; }  // of them, as many as in the blocks' code
  // The heaviest, as an array.
  std::string json() const;

 private:
  struct Place {
    u64 pa;
    CodeMode mode;
    bool operator==(const Place&) const = default;
  };
  struct Seen {
    u64 address;  // linear
    u32 insns;    // in the block
  };
  static constexpr usize kCounters = 256, kPublished = 20;

  SpaceSaving<Place, Seen> blocks_{kCounters};
  u64 samples_ = 0, instructions_ = 0, memory_operations_ = 0;
};

}  // namespace oriel
