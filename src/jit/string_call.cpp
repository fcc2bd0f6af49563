// Repeated string instructions of compiled code: run by run (cpu/string_run.h), while all is plain memory.
#include <algorithm>

#include "jit/ir/string.h"
#include "jit/jit.h"

namespace oriel::jit {

namespace {
// After so many, tier 0 goes on: it looks for events between its runs.
constexpr u64 kMostElements = 1 << 16;
}  // namespace

u64 Jit::string(u32 what, u64 src, u64 dst, u64 count) {
  const u32 kind = what & kRunKind, last = (1u << (what >> kRunSizeShift)) - 1;
  const bool reads = kind == kRunMovs || kind == kRunCmps, compares = kind == kRunCmps || kind == kRunScas;
  const u64 by = c_.rflags & kDF ? ~u64{last} : last + 1u;
  const u64 most = std::min(count, kMostElements);
  u64 done = 0;
  bool goes_on = true;
  while (done < most && goes_on) {
    u64 n = string_run(c_, what, src, dst, most - done);
    if (n == 0) {
      if ((reads && !fill(src, last)) || !fill(dst, compares ? last : last | kFillWrite | kFillAnyWrite)) break;
      n = string_run(c_, what, src, dst, most - done);
      if (n == 0) break;
    }
    done += n;
    if (reads) src = (src + n * by) & c_.lin_mask;
    dst = (dst + n * by) & c_.lin_mask;
    goes_on = !compares || c_.zf() == static_cast<bool>(what & kRepeatWhileEqual);
  }
  c_.rep_iterations += done;
  if (!goes_on || done == count) return done;
  within_string_ = done != 0;
  return done | kStringUnfinished;
}

}  // namespace oriel::jit
