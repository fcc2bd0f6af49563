// What the floating-point SIMD executors (simd_fp_*.cpp) share: MXCSR, exception collection over lanes, and the two
// formats as types. Sources: SDM Vol. 1, 10.2.3 (MXCSR), 11.5 (exceptions, masked responses, priorities).
#pragma once

#include "cpu/simd_int.h"
#include "cpu/softfloat.h"

namespace oriel::simd {

constexpr u32 kMxcsrDaz = 1 << 6, kMxcsrFtz = 1 << 15, kMxcsrMask = 0xffff;
constexpr u8 kBeforeComputation = kFeInvalid | kFeDenormal | kFeDivZero;

inline FloatEnv sse_env(const Cpu& c) {
  FloatEnv e;
  e.round = c.mxcsr >> 13 & 3;
  e.daz = c.mxcsr & kMxcsrDaz;
  e.ftz = c.mxcsr & kMxcsrFtz;
  e.masked = c.mxcsr >> 7 & 0x3f;
  return e;
}

// Ends an instruction whose lanes raised `e.flags`. False: an unmasked exception, the destination stays. An
// unmasked exception found before computation hides those of rounding (SDM Vol. 1, 11.5.2).
inline bool sse_finish(Cpu& c, const FloatEnv& e) {
  u8 flags = e.flags;
  const u8 unmasked = static_cast<u8>(~e.masked);
  if (flags & unmasked & kBeforeComputation) flags &= kBeforeComputation;
  c.mxcsr |= flags;
  if (ORIEL_UNLIKELY(flags & unmasked & 0x3f)) return c.raise(c.cr4 & kCr4OSXMMEXCPT ? kXM : kUD);
  return true;
}

// True while every exception is masked, rounding is to nearest, DAZ and FTZ are off, and "inexact" has been raised
// already: then the host's own arithmetic gives the same bits and flags on normal operands with normal results.
ORIEL_INLINE bool host_arithmetic(const Cpu& c) { return (c.mxcsr & 0xffe0) == 0x1fa0; }

// What the operation of one instruction works with, over all of its lanes.
struct FpCall {
  FloatEnv env;
  bool host;
  unsigned imm;
  FpCall(const Cpu& c, const Insn& i) : env(sse_env(c)), host(host_arithmetic(c)), imm(static_cast<unsigned>(i.imm)) {}
};

// All lanes: reg = Op(first source, r/m), for VEX in both halves. The exceptions of all lanes are raised together.
template <bool kVex, class Op>
bool fp_vector(Cpu& c, const Insn& i) {
  V256 s;
  if constexpr (kVex) {
    if (!avx_ready(c) || !ymm_source(c, i, s)) return false;
  } else {
    if (!sse_ready(c) || !xmm_source(c, i, s.h[0])) return false;
  }
  FpCall f(c, i);
  V256 r{};
  r.h[0] = Op::op(first_source<kVex>(c, i), s.h[0], f);
  if constexpr (kVex)
    if (halves(i) == 2) r.h[1] = Op::op(c.ymm_hi[i.vvvv], s.h[1], f);
  if (!sse_finish(c, f.env)) return false;
  set_xmm<kVex>(c, i.reg, r.h[0]);
  if constexpr (kVex) c.ymm_hi[i.reg] = r.h[1];
  return true;
}

template <class B>
ORIEL_INLINE B& low(V128& v) {
  if constexpr (sizeof(B) == 4)
    return v.d[0];
  else
    return v.q[0];
}
// The lowest lane; the others are the first source's.
template <bool kVex, class B, class Op>
bool fp_scalar(Cpu& c, const Insn& i) {
  B s;
  if (!ready<kVex>(c) || !xmm_source_low<B>(c, i, s)) return false;
  FpCall f(c, i);
  V128 r = first_source<kVex>(c, i);
  low<B>(r) = Op::op(low<B>(r), s, f);
  if (!sse_finish(c, f.env)) return false;
  set_xmm<kVex>(c, i.reg, r);
  return true;
}
// Lane by lane.
template <class B, class Op>
struct Packed {
  static V128 op(const V128& first, const V128& second, FpCall& f) {
    auto a = lanes<B>(first);
    const auto b = lanes<B>(second);
    for (usize k = 0; k < a.size(); k++) a[k] = Op::op(a[k], b[k], f);
    return join<V128>(a);
  }
};

template <class B>
struct Format;
template <>
struct Format<u32> {
  using Host = float;
  static constexpr int kFraction = 23;
};
template <>
struct Format<u64> {
  using Host = double;
  static constexpr int kFraction = 52;
};
// Zero, or a normal number.
template <class B>
ORIEL_INLINE bool plain(B v) {
  constexpr int f = Format<B>::kFraction;
  constexpr B kTop = (std::numeric_limits<B>::max() >> 1) >> f;  // exponent of infinities
  const B e = static_cast<B>(v << 1) >> (f + 1);
  return (e != 0 && e != kTop) || static_cast<B>(v << 1) == 0;
}
// A normal number above the least: no underflow can hide behind it.
template <class B>
ORIEL_INLINE bool ordinary(B v) {
  constexpr int f = Format<B>::kFraction;
  constexpr B kTop = (std::numeric_limits<B>::max() >> 1) >> f;
  const B e = static_cast<B>(v << 1) >> (f + 1);
  return e > 1 && e != kTop;
}

}  // namespace oriel::simd
