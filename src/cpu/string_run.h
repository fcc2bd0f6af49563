// Runs of a repeated string instruction: as many elements as lie in the pages at hand, where those are plain memory
// that the TLB holds. Both tiers go from run to run; what is not plain memory is accessed element by element, by tier
// 0. SDM Vol. 2, REP; Vol. 1, 7.3.9.
#pragma once

#include "cpu/cpu.h"

namespace oriel {

// What is repeated. The bit of kRepeatWhileEqual is the ZF with which CMPS and SCAS go on.
enum StringRun : u32 {
  kRunMovs = 0,
  kRunStos = 1,
  kRunCmps = 2,
  kRunScas = 3,
  kRunKind = 3,
  kRepeatWhileEqual = 4,
};
constexpr unsigned kRunSizeShift = 3;  // above: log2 of the element's bytes

// Of `count` elements, not 0, at linear addresses, in the direction that DF says: how many were done, 0 where the first
// is not in such a page or crosses into another. `src` is what RAX has, for STOS and SCAS. CMPS and SCAS set the flags
// of the last comparison, and have ended where ZF is not the one to go on with.
u64 string_run(Cpu& c, u32 what, u64 src, u64 dst, u64 count);

}  // namespace oriel
