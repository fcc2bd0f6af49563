// The benchmark suite: payloads without an operating system, each with a second definition of what it computes.
#pragma once

#include <string>
#include <vector>

#include "base/types.h"

namespace oriel::bench {

struct SuiteEntry {
  const char* name;
  unsigned bits;
  // The result of the payload called with `count`, computed in C++ from its definition and not from its code.
  u64 (*reference)(u64 count);
  std::vector<u8> code() const;
  std::string full_name() const { return name + std::to_string(bits); }
};

// In the order in which they run: each in 32 and in 64 bits.
const std::vector<SuiteEntry>& suite();

}  // namespace oriel::bench
