// The x87's arithmetic as compiled code calls it: a register, by its offset from the first, an operand, and what to do
// (ir/x87.h). The short ways are here; what they do not do is done exactly by Jit. Nothing has changed where the result
// is kX87Leaves.
#pragma once

#include "cpu/softfloat_fast.h"
#include "jit/ir/x87.h"
#include "jit/jit.h"

namespace oriel::jit {

// Rounding to nearest, and "inexact" masked: all that the short ways can raise.
ORIEL_INLINE bool x87_may_be_fast(const Fpu& f) { return (f.cw & 0xc20) == 0x20; }
ORIEL_INLINE unsigned x87_drop(const Fpu& f) {
  static constexpr u8 drop[4] = {40, 0, 11, 0};
  return drop[f.cw >> 8 & 3];
}
ORIEL_INLINE F80& x87_register(Fpu& f, u32 offset) {
  return *reinterpret_cast<F80*>(reinterpret_cast<char*>(f.r) + offset);
}

// A normal number or zero; integers always. Registers are offsets, as the first operand.
ORIEL_INLINE bool x87_fast_operand(Fpu& f, u32 what, const void* p, F80& v) {
  switch (what & 15) {
    case kX87Reg: v = x87_register(f, static_cast<u32>(reinterpret_cast<uintptr_t>(p))); return true;
    case kX87F64: return softfloat::fast_widen(load<u64>(p), v);
    case kX87F32: return softfloat::fast_widen(load<u32>(p), v);
    case kX87I16: v = f80_from_i64(static_cast<s16>(load<u16>(p))); return true;
    default: v = f80_from_i64(static_cast<s32>(load<u32>(p))); return true;
  }
}

ORIEL_INLINE u32 x87_done(Fpu& f, F80& st, F80 r, u32 status) {
  if (status & ~u32{f.sw} & softfloat::kStatusPE) f.sw |= softfloat::kStatusPE;
  st = r;
  return status & softfloat::kStatusC1;
}

ORIEL_INLINE u32 x87_add(Jit* jit, Fpu& f, u32 what, u32 to, const void* operand) {
  F80 b, r;
  u32 status;
  F80& st = x87_register(f, to);
  if (x87_may_be_fast(f) && x87_fast_operand(f, what, operand, b)) {
    F80 a = st;
    u32 flip = 0;
    if (what >> kX87VariantShift) {
      flip = what >> kX87VariantShift & kX87Sub ? 0x8000 : 0;
      if (what >> kX87VariantShift & kX87Reversed) {  // b - a = -a + b
        a.se ^= 0x8000;
        flip = 0;
      }
    }
    if (softfloat::fast_add(a, b, flip, x87_drop(f), r, status)) return x87_done(f, st, r, status);
  }
  return jit->x87_arith(what | (what >> kX87VariantShift & kX87Sub ? 1 : 0) << kX87FunctionShift, st, operand);
}

ORIEL_INLINE u32 x87_mul(Jit* jit, Fpu& f, u32 what, u32 to, const void* operand) {
  F80 b, r;
  u32 status;
  F80& st = x87_register(f, to);
  if (x87_may_be_fast(f) && x87_fast_operand(f, what, operand, b) && softfloat::fast_mul(st, b, x87_drop(f), r, status))
    return x87_done(f, st, r, status);
  return jit->x87_arith(what | 2 << kX87FunctionShift, st, operand);
}

ORIEL_INLINE u32 x87_div(Jit* jit, Fpu& f, u32 what, u32 to, const void* operand) {
  F80 b, r;
  u32 status;
  F80& st = x87_register(f, to);
  if (x87_may_be_fast(f) && x87_fast_operand(f, what, operand, b)) {
    const bool reversed = what >> kX87VariantShift & kX87Reversed;
    if (softfloat::fast_div(reversed ? b : st, reversed ? st : b, x87_drop(f), r, status))
      return x87_done(f, st, r, status);
  }
  return jit->x87_arith(what | 3 << kX87FunctionShift, st, operand);
}

ORIEL_INLINE u32 x87_store(Jit* jit, Fpu& f, u32 what, u32 from, void* to) {
  const F80& st = x87_register(f, from);
  u64 bits;
  u32 status;
  if (what == kX87F64 && x87_may_be_fast(f) && softfloat::fast_narrow<53, 11>(st, bits, status)) {
    if (status & ~u32{f.sw} & softfloat::kStatusPE) f.sw |= softfloat::kStatusPE;
    store<u64>(to, bits);
    return status & softfloat::kStatusC1;
  }
  return jit->x87_store(what, st, to);
}

// Comparisons, and the rest.
ORIEL_INLINE u32 x87_compare(Jit* jit, Fpu& f, u32 what, u32 st, const void* operand) {
  static constexpr u16 conditions[4] = {kX87C0, kX87C3, 0, kX87C0 | kX87C2 | kX87C3};
  F80 b;
  FloatCmp r;
  if (what >> kX87VariantShift <= kX87CompareQuiet && x87_fast_operand(f, what, operand, b) &&
      softfloat::fast_compare(x87_register(f, st), b, r))
    return conditions[r];
  return jit->x87(what, x87_register(f, st), operand);
}

}  // namespace oriel::jit
