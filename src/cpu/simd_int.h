// What the SIMD executors (simd_*.cpp) share: lanes, operands, and the executor templates that turn an operation on two
// register values into an MMX, an SSE and a VEX-encoded instruction: a 256-bit operation is the 128-bit one on both
// halves. SDM Vol. 2 (2.4: exceptions); MMX state: SDM Vol. 3, 12.2.
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

// An offset that has been added to, within the address size.
ORIEL_INLINE u64 wrap_offset(const Insn& i, u64 off) {
  return i.asz == 3 ? off : i.asz == 2 ? static_cast<u32>(off) : static_cast<u16>(off);
}
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

// ---- VEX operands ------------------------------------------------------------------------------

// AVX state must be enabled (SDM Vol. 2, table 2-22 ff.); CR0.EM and CR4.OSFXSR do not matter.
ORIEL_INLINE bool avx_ready(Cpu& c) {
  if (ORIEL_LIKELY((c.cr0 & (kCr0PE | kCr0TS)) == kCr0PE && (c.cr4 & kCr4OSXSAVE) && (c.xcr0 & 6) == 6 && !c.vm86()))
    return true;
  return c.check_avx();
}
// Of a row with VL or L1: how many 128-bit halves it works on.
ORIEL_INLINE unsigned halves(const Insn& i) { return 1 + (i.vex >> 1 & 1); }
ORIEL_INLINE const V128& half(const Cpu& c, unsigned r, unsigned h) { return h ? c.ymm_hi[r] : c.xmm[r]; }
ORIEL_INLINE V256 ymm(const Cpu& c, unsigned r) { return V256{{c.xmm[r], c.ymm_hi[r]}}; }
ORIEL_INLINE void set_ymm(Cpu& c, unsigned r, const V256& v) {
  c.xmm[r] = v.h[0];
  c.ymm_hi[r] = v.h[1];
}
// A 128-bit result: VEX zeroes the upper half, SSE leaves it.
template <bool kVex>
ORIEL_INLINE void set_xmm(Cpu& c, unsigned r, const V128& v) {
  c.xmm[r] = v;
  if constexpr (kVex) c.ymm_hi[r] = V128{};
}
template <bool kVex>
ORIEL_INLINE bool ready(Cpu& c) {
  if constexpr (kVex)
    return avx_ready(c);
  else
    return sse_ready(c);
}
// The first source, which for SSE is the destination.
template <bool kVex>
ORIEL_INLINE const V128& first_source(const Cpu& c, const Insn& i) {
  return c.xmm[kVex ? i.vvvv : i.reg];
}
// The r/m operand of the vector length. No alignment is required; the upper half is unspecified with VEX.L = 0.
ORIEL_INLINE bool ymm_source(Cpu& c, const Insn& i, V256& v) {
  if (!(i.flags & kInsnMem)) {
    v = ymm(c, i.rm);
    return true;
  }
  return i.vex & 2 ? c.read<V256>(i.seg, c.ea(i), v) : c.read<V128>(i.seg, c.ea(i), v.h[0]);
}
// A 128-bit r/m operand as the encoding has it: SSE requires alignment.
template <bool kVex>
ORIEL_INLINE bool source128(Cpu& c, const Insn& i, V128& v) {
  return kVex ? xmm_source_unaligned(c, i, v) : xmm_source(c, i, v);
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

// Moves of a whole register of the vector length.
inline bool misaligned_vector(const Cpu& c, const Insn& i, u64 off) {
  return (c.seg[i.seg].lin + off) & (i.vex & 2 ? 31 : 15);
}
inline bool ymm_load(Cpu& c, const Insn& i, bool aligned) {
  V256 v;
  if (!avx_ready(c)) return false;
  if ((i.flags & kInsnMem) && aligned && misaligned_vector(c, i, c.ea(i))) return c.raise(kGP, 0);
  if (!ymm_source(c, i, v)) return false;
  if (halves(i) == 1) v.h[1] = V128{};
  set_ymm(c, i.reg, v);
  return true;
}
inline bool ymm_store(Cpu& c, const Insn& i, bool aligned) {
  if (!avx_ready(c)) return false;
  V256 v = ymm(c, i.reg);
  if (!(i.flags & kInsnMem)) {
    if (halves(i) == 1) v.h[1] = V128{};
    set_ymm(c, i.rm, v);
    return true;
  }
  const u64 off = c.ea(i);
  if (aligned && misaligned_vector(c, i, off)) return c.raise(kGP, 0);
  return i.vex & 2 ? c.write<V256>(i.seg, off, v) : c.write<V128>(i.seg, off, v.h[0]);
}

// VEX: reg = Op(vvvv, r/m). Without a second source VEX.vvvv is 0, and Op does not look at its first argument.
template <class Op>
bool avx_binary(Cpu& c, const Insn& i) {
  V256 s;
  if (!avx_ready(c) || !ymm_source(c, i, s)) return false;
  V256 r{};
  for (unsigned h = 0; h < halves(i); h++) r.h[h] = Op::op(half(c, i.vvvv, h), s.h[h]);
  set_ymm(c, i.reg, r);
  return true;
}
// By how many bits the immediate is shifted for the upper half: 0 unless Op has its own bits for each lane.
template <class Op>
constexpr unsigned imm_step() {
  if constexpr (requires { Op::kImmStep; })
    return Op::kImmStep;
  else
    return 0;
}
template <class Op>
bool avx_binary_imm(Cpu& c, const Insn& i) {
  V256 s;
  if (!avx_ready(c) || !ymm_source(c, i, s)) return false;
  V256 r{};
  for (unsigned h = 0; h < halves(i); h++)
    r.h[h] = Op::op(half(c, i.vvvv, h), s.h[h], static_cast<unsigned>(i.imm) >> h * imm_step<Op>());
  set_ymm(c, i.reg, r);
  return true;
}

// BLENDVPS, BLENDVPD, PBLENDVB: lanes of the second source where the mask's lane is negative.
template <class T>
V128 blend_by_sign(const V128& a, const V128& b, const V128& mask) {
  auto r = lanes<T>(a);
  const auto s = lanes<T>(b), m = lanes<T>(mask);
  for (usize k = 0; k < r.size(); k++)
    if (m[k] >> (8 * sizeof(T) - 1)) r[k] = s[k];
  return join<V128>(r);
}
template <class T>
bool sse_blend_by_sign(Cpu& c, const Insn& i) {
  V128 s;
  if (!sse_ready(c) || !xmm_source(c, i, s)) return false;
  c.xmm[i.reg] = blend_by_sign<T>(c.xmm[i.reg], s, c.xmm[0]);
  return true;
}
template <class T>
bool avx_blend_by_sign(Cpu& c, const Insn& i) {
  V256 s;
  if (!avx_ready(c) || !ymm_source(c, i, s)) return false;
  const unsigned mask = i.imm >> 4 & (c.long64() ? 15 : 7);
  V256 r{};
  for (unsigned h = 0; h < halves(i); h++) r.h[h] = blend_by_sign<T>(half(c, i.vvvv, h), s.h[h], half(c, mask, h));
  set_ymm(c, i.reg, r);
  return true;
}

}  // namespace oriel::simd

// The executors of one instruction's rows; the rest of the line is its operation.
#define ORIEL_AVX(ID, ...) \
  bool exec_##ID(Cpu& c, const Insn& i) { return simd::avx_binary<__VA_ARGS__>(c, i); }
#define ORIEL_SSE(ID, ...)                                                                     \
  bool exec_##ID##_VxWx(Cpu& c, const Insn& i) { return simd::sse_binary<__VA_ARGS__>(c, i); } \
  ORIEL_AVX(V##ID, __VA_ARGS__)
#define ORIEL_MMX_SSE(ID, ...)                                                                 \
  bool exec_##ID##_PqQq(Cpu& c, const Insn& i) { return simd::mmx_binary<__VA_ARGS__>(c, i); } \
  ORIEL_SSE(ID, __VA_ARGS__)
#define ORIEL_SSE_IMM(ID, ...)                                                                       \
  bool exec_##ID##_VxWxIb(Cpu& c, const Insn& i) { return simd::sse_binary_imm<__VA_ARGS__>(c, i); } \
  bool exec_V##ID(Cpu& c, const Insn& i) { return simd::avx_binary_imm<__VA_ARGS__>(c, i); }
#define ORIEL_MMX_SSE_IMM(ID, ...)                                                                   \
  bool exec_##ID##_PqQqIb(Cpu& c, const Insn& i) { return simd::mmx_binary_imm<__VA_ARGS__>(c, i); } \
  ORIEL_SSE_IMM(ID, __VA_ARGS__)
