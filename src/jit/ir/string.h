// What a String operation is: MOVS, STOS, CMPS or SCAS with REP, of linear addresses.
#pragma once

#include "cpu/string_run.h"

namespace oriel::jit {

// Inst::imm is what string_run() does; a: the source's address, or RAX; b: the destination's; c: RCX. The result is how
// many elements were done, and this bit where tier 0 has to go on, with the flags of the last comparison in Cpu. Flags
// must be there before, too.
constexpr u64 kStringUnfinished = u64{1} << 63;

}  // namespace oriel::jit
