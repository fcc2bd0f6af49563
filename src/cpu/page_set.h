// Which pages of the linear address space something was done with, in a few bits: it may say so of others as well.
#pragma once

#include <cstring>

#include "base/types.h"

namespace oriel {

// Pages of 2^kShift bytes.
template <unsigned kShift>
class PageSet {
 public:
  void add(u64 lin) { bits_[index(lin) / 64] |= u64{1} << index(lin) % 64; }
  bool has(u64 lin) const { return bits_[index(lin) / 64] >> index(lin) % 64 & 1; }
  void clear() { std::memset(bits_, 0, sizeof bits_); }

 private:
  static constexpr unsigned kLog = kShift < 20 ? 13 : 10;
  static unsigned index(u64 lin) {
    const u64 page = lin >> kShift;
    return static_cast<unsigned>(page ^ page >> kLog) & ((1u << kLog) - 1);
  }

  u64 bits_[(1u << kLog) / 64] = {};
};

}  // namespace oriel
