// What a FpSlow or FpCheck operation names: an instruction of SSE between registers, as a function of its two operands.
#pragma once

#include "x86/insn.h"

namespace oriel::jit {

// Bits 0-15: Insn::op. 16-23: the immediate. 24-25: the operand size. 26-28: SimdResult. 32-36: the variable of the
// first operand, from kVarXmm on.
enum SimdResult : u32 {
  kAnyResult = 0,
  // A result with a denormal, in the low lane or in any, leaves the unit, so that what follows need not look for one.
  kPlain32 = 1,
  kPlain64 = 2,
  kPlain32x4 = 3,
  kPlain64x2 = 4,
};
constexpr unsigned kSimdResultShift = 26;
constexpr u64 simd_call(const Insn& i, unsigned first) {
  return u64{i.op} | (i.imm & 0xff) << 16 | u64{i.osz & 3u} << 24 | u64{first & 31} << 32;
}

}  // namespace oriel::jit
