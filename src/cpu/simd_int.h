// What the integer SIMD executors (simd_int_*.cpp) share: lanes, operands, and the executor templates that turn an
// operation on two register values into an MMX and an XMM instruction. SDM Vol. 2; MMX state: SDM Vol. 3, 12.2.
#pragma once

#include <array>
#include <bit>
#include <limits>

#include "cpu/exec.h"

namespace oriel::simd {

// ---- lanes -------------------------------------------------------------------------------------

// A register value R is a u64 (MMX) or a V128 (XMM); an operation sees it as an array of lanes.
template <class T, class R>
using Lanes = std::array<T, sizeof(R) / sizeof(T)>;
template <class T, class R>
ORIEL_INLINE Lanes<T, R> lanes(const R& r) {
  return std::bit_cast<Lanes<T, R>>(r);
}
template <class R, class L>
ORIEL_INLINE R join(const L& l) {
  static_assert(sizeof(R) == sizeof(L));
  return std::bit_cast<R>(l);
}

template <class T>
ORIEL_INLINE T saturate(s32 v) {
  constexpr s32 lo = static_cast<s32>(std::numeric_limits<T>::min()),
                hi = static_cast<s32>(std::numeric_limits<T>::max());
  return static_cast<T>(v < lo ? lo : v > hi ? hi : v);
}

// dst[k] = Fn(dst[k], src[k]).
template <class T, auto Fn>
struct Lanewise {
  template <class R>
  static ORIEL_INLINE R op(const R& dst, const R& src) {
    auto a = lanes<T>(dst);
    const auto b = lanes<T>(src);
    for (usize k = 0; k < a.size(); k++) a[k] = static_cast<T>(Fn(a[k], b[k]));
    return join<R>(a);
  }
};

// ---- operands ----------------------------------------------------------------------------------

ORIEL_INLINE bool sse_ready(Cpu& c) {
  if (ORIEL_LIKELY((c.cr0 & (kCr0EM | kCr0TS)) == 0 && (c.cr4 & kCr4OSFXSR) != 0)) return true;
  return c.check_sse();
}

// MMX instructions make the x87 stack all valid with TOP = 0, and a write sets the exponent to ones. Done only
// once nothing can fault any more.
ORIEL_INLINE void mmx_enter(Cpu& c) {
  c.fpu.top = 0;
  c.fpu.tw = 0xff;
}
ORIEL_INLINE void set_mm(Cpu& c, unsigned r, u64 v) {
  mmx_enter(c);
  c.fpu.r[r & 7] = F80{v, 0xffff};
}
ORIEL_INLINE u64 mm(const Cpu& c, unsigned r) { return c.fpu.r[r & 7].m; }

inline bool misaligned16(const Cpu& c, const Insn& i, u64 off) { return (c.seg[i.seg].lin + off) & 15; }

// The r/m operand; M is the type of a memory operand, zero-extended where it is narrower than the register.
template <class M = u64>
ORIEL_INLINE bool mm_source(Cpu& c, const Insn& i, u64& v) {
  if (!(i.flags & kInsnMem)) {
    v = mm(c, i.rm);
    return true;
  }
  M m;
  if (!c.read<M>(i.seg, c.ea(i), m)) return false;
  v = m;
  return true;
}
ORIEL_INLINE bool xmm_source(Cpu& c, const Insn& i, V128& v) {
  if (!(i.flags & kInsnMem)) {
    v = c.xmm[i.rm];
    return true;
  }
  u64 off = c.ea(i);
  if (ORIEL_UNLIKELY(misaligned16(c, i, off))) return c.raise(kGP, 0);
  return c.read<V128>(i.seg, off, v);
}
// Without the alignment requirement.
ORIEL_INLINE bool xmm_source_unaligned(Cpu& c, const Insn& i, V128& v) {
  if (i.flags & kInsnMem) return c.read<V128>(i.seg, c.ea(i), v);
  v = c.xmm[i.rm];
  return true;
}
// A memory operand of T, or the low bits of the register.
template <class T>
ORIEL_INLINE bool xmm_source_low(Cpu& c, const Insn& i, T& v) {
  if (i.flags & kInsnMem) return c.read<T>(i.seg, c.ea(i), v);
  v = static_cast<T>(c.xmm[i.rm].q[0]);
  return true;
}
ORIEL_INLINE V128 make128(u64 lo, u64 hi) {
  V128 v;
  v.q[0] = lo;
  v.q[1] = hi;
  return v;
}

// ---- executors ---------------------------------------------------------------------------------

// reg = Op(reg, r/m)
template <class Op, class M = u64>
bool mmx_binary(Cpu& c, const Insn& i) {
  u64 s;
  if (!c.check_mmx() || !mm_source<M>(c, i, s)) return false;
  set_mm(c, i.reg, Op::op(mm(c, i.reg), s));
  return true;
}
template <class Op>
bool sse_binary(Cpu& c, const Insn& i) {
  V128 s;
  if (!sse_ready(c) || !xmm_source(c, i, s)) return false;
  c.xmm[i.reg] = Op::op(c.xmm[i.reg], s);
  return true;
}
// reg = Op(reg, r/m, imm8)
template <class Op>
bool mmx_binary_imm(Cpu& c, const Insn& i) {
  u64 s;
  if (!c.check_mmx() || !mm_source(c, i, s)) return false;
  set_mm(c, i.reg, Op::op(mm(c, i.reg), s, static_cast<unsigned>(i.imm)));
  return true;
}
template <class Op>
bool sse_binary_imm(Cpu& c, const Insn& i) {
  V128 s;
  if (!sse_ready(c) || !xmm_source(c, i, s)) return false;
  c.xmm[i.reg] = Op::op(c.xmm[i.reg], s, static_cast<unsigned>(i.imm));
  return true;
}

}  // namespace oriel::simd

// The executors of one instruction's rows; the rest of the line is its operation.
#define ORIEL_SSE(ID, ...) \
  bool exec_##ID##_VxWx(Cpu& c, const Insn& i) { return simd::sse_binary<__VA_ARGS__>(c, i); }
#define ORIEL_MMX_SSE(ID, ...)                                                                 \
  bool exec_##ID##_PqQq(Cpu& c, const Insn& i) { return simd::mmx_binary<__VA_ARGS__>(c, i); } \
  ORIEL_SSE(ID, __VA_ARGS__)
#define ORIEL_SSE_IMM(ID, ...) \
  bool exec_##ID##_VxWxIb(Cpu& c, const Insn& i) { return simd::sse_binary_imm<__VA_ARGS__>(c, i); }
#define ORIEL_MMX_SSE_IMM(ID, ...)                                                                   \
  bool exec_##ID##_PqQqIb(Cpu& c, const Insn& i) { return simd::mmx_binary_imm<__VA_ARGS__>(c, i); } \
  ORIEL_SSE_IMM(ID, __VA_ARGS__)
