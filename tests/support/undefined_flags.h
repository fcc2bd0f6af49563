// What the manual leaves undefined, and which flags instructions read: for comparing with hardware, which does
// something there.
#pragma once

#include "cpu/cpu.h"
#include "x86/forms.h"

namespace oriel {

// Flags that are undefined after `i`; `cl` is CL before it.
u32 undefined_flags(const Insn& i, u8 cl);
// Whether the destination is undefined, too: SHLD and SHRD of 16 bits by more, BSWAP of 16 bits, and BSF and BSR of
// zero (`zf` after them).
bool undefined_result(const Insn& i, u8 cl, bool zf);
// Flags that the result of `i` depends on, and flags that it always gives a defined value.
u32 flags_read(const Insn& i);
u32 flags_defined(const Insn& i);

}  // namespace oriel
