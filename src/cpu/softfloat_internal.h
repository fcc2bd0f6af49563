// What the parts of the soft floating-point share: operands unpacked to a 64-bit left-aligned
// significand, exact results as 128 bits with a sticky bit, and the one rounding routine.
// Sources: SDM Vol. 1, 4.8.4 (rounding), 4.9 (exceptions), 8.5 (x87) and 11.5 (SSE); IEEE 754-2008.
#pragma once

#include <bit>

#include "cpu/softfloat.h"

namespace oriel::softfloat {

__extension__ typedef unsigned __int128 u128;

// kUnsupported: F80 encodings without a value (unnormals, pseudo-infinities, pseudo-NaNs).
enum class Class : u8 { kZero, kFinite, kInf, kQNan, kSNan, kUnsupported };

// Finite: (-1)^sign * sig * 2^(exp - 63), bit 63 of sig set. NaN: sig is the significand left-aligned
// as in F80 (integer bit 63, quiet bit 62).
struct Num {
  Class cls;
  bool sign;
  bool denormal;
  s32 exp;
  u64 sig;
  bool nan() const { return cls == Class::kQNan || cls == Class::kSNan; }
  bool zero() const { return cls == Class::kZero; }
  bool inf() const { return cls == Class::kInf; }
};

// An exact result to be rounded: (-1)^sign * sig * 2^(exp - 127), bit 127 set, bit 0 sticky; or
// sig = 0 for zero.
struct Wide {
  bool sign;
  s32 exp;
  u128 sig;
};

// A destination: p significand bits, exponents of normal numbers emin..emax. wrap: by how much an
// unmasked overflow or underflow biases the exponent (x87 registers), 0 where the result is discarded.
struct Spec {
  int p;
  s32 emin, emax, wrap;
};

// Rounded: sig left-aligned (bit 63 clear: denormal, exp = emin). sig = 0: zero; inf: infinity.
struct Rounded {
  s32 exp;
  u64 sig;
  bool inf;
};

struct Half {
  using Bits = u16;
  static constexpr int kP = 11, kExpBits = 5;
};
struct Single {
  using Bits = u32;
  static constexpr int kP = 24, kExpBits = 8;
};
struct Double {
  using Bits = u64;
  static constexpr int kP = 53, kExpBits = 11;
};
template <class F>
constexpr s32 kBias = (1 << (F::kExpBits - 1)) - 1;
template <class F>
constexpr Spec kSpec{F::kP, 1 - kBias<F>, kBias<F>, 0};
constexpr s32 kF80Bias = 16383;
constexpr s32 kF80Wrap = 24576;
inline Spec f80_spec(const FloatEnv& e) { return {e.precision, 1 - kF80Bias, kF80Bias, kF80Wrap}; }

inline u128 shift_right_jam(u128 v, u32 n) {
  if (n == 0) return v;
  if (n > 127) return v != 0;
  return v >> n | ((v << (128 - n)) != 0);
}
inline int clz128(u128 v) {
  u64 hi = static_cast<u64>(v >> 64);
  return hi ? std::countl_zero(hi) : 64 + std::countl_zero(static_cast<u64>(v));
}

template <class F>
Num unpack(typename F::Bits bits, bool daz) {
  constexpr int kFracBits = F::kP - 1;
  constexpr u32 kExpMax = (1u << F::kExpBits) - 1;
  u64 b = bits, frac = b & ((u64{1} << kFracBits) - 1);
  u32 e = static_cast<u32>(b >> kFracBits) & kExpMax;
  bool sign = b >> (kFracBits + F::kExpBits) & 1;
  u64 sig = frac << (64 - F::kP);  // fraction below bit 63
  if (e == kExpMax) {
    if (!frac) return {Class::kInf, sign, false, 0, 0};
    return {sig >> 62 & 1 ? Class::kQNan : Class::kSNan, sign, false, 0, sig | u64{1} << 63};
  }
  if (e) return {Class::kFinite, sign, false, static_cast<s32>(e) - kBias<F>, sig | u64{1} << 63};
  if (!frac || daz) return {Class::kZero, sign, false, 0, 0};
  int n = std::countl_zero(sig);
  return {Class::kFinite, sign, true, 1 - kBias<F> - n, sig << n};
}

template <class F>
typename F::Bits pack(bool sign, u32 exp_field, u64 frac) {
  return static_cast<typename F::Bits>(u64{sign} << (F::kP - 1 + F::kExpBits) | u64{exp_field} << (F::kP - 1) | frac);
}
template <class F>
typename F::Bits pack_zero(bool sign) {
  return pack<F>(sign, 0, 0);
}
template <class F>
typename F::Bits pack_inf(bool sign) {
  return pack<F>(sign, (1u << F::kExpBits) - 1, 0);
}
// Quieted, the payload truncated to the format.
template <class F>
typename F::Bits pack_nan(const Num& n) {
  u64 sig = n.sig | u64{1} << 62;
  return pack<F>(n.sign, (1u << F::kExpBits) - 1, (sig & ~(u64{1} << 63)) >> (64 - F::kP));
}
template <class F>
typename F::Bits default_nan() {
  return pack<F>(true, (1u << F::kExpBits) - 1, u64{1} << (F::kP - 2));
}
template <class F>
typename F::Bits pack(bool sign, const Rounded& r) {
  if (r.inf) return pack_inf<F>(sign);
  u32 field = r.sig >> 63 ? static_cast<u32>(r.exp + kBias<F>) : 0;
  return pack<F>(sign, field, (r.sig & ~(u64{1} << 63)) >> (64 - F::kP));
}

inline Num unpack(F80 a) {
  u32 e = a.se & 0x7fff;
  bool sign = a.se >> 15;
  if (e == 0) {
    if (!a.m) return {Class::kZero, sign, false, 0, 0};
    int n = std::countl_zero(a.m);  // 0 for a pseudo-denormal
    return {Class::kFinite, sign, true, 1 - kF80Bias - n, a.m << n};
  }
  if (!(a.m >> 63)) return {Class::kUnsupported, sign, false, 0, a.m};
  if (e != 0x7fff) return {Class::kFinite, sign, false, static_cast<s32>(e) - kF80Bias, a.m};
  if (!(a.m << 1)) return {Class::kInf, sign, false, 0, a.m};
  return {a.m >> 62 & 1 ? Class::kQNan : Class::kSNan, sign, false, 0, a.m};
}
inline F80 pack_f80(bool sign, u32 exp_field, u64 m) { return {m, static_cast<u16>(u32{sign} << 15 | exp_field)}; }
inline F80 pack_f80_inf(bool sign) { return pack_f80(sign, 0x7fff, u64{1} << 63); }
inline F80 pack_f80_nan(const Num& n) { return pack_f80(n.sign, 0x7fff, n.sig | u64{1} << 62); }
inline F80 pack_f80(bool sign, const Rounded& r) {
  if (r.inf) return pack_f80_inf(sign);
  return pack_f80(sign, r.sig >> 63 ? static_cast<u32>(r.exp + kF80Bias) : 0, r.sig);
}

// F80 operands that have no number for a result: NaNs and unsupported encodings.
inline bool special(const Num& n) { return n.cls >= Class::kQNan; }
inline F80 invalid(FloatEnv& e) {
  e.flags |= kFeInvalid;
  return kF80DefaultNan;
}
// One of a, b is special(). A quiet NaN wins over a signalling one; of two of a kind the larger significand
// wins, then the positive one.
F80 propagate(const Num& a, const Num& b, FloatEnv& e);

// Rounds to `p` bits in place of hi's upper p bits; true in `carry` when it became 2^64.
struct RoundedBits {
  u64 sig;
  bool carry, inexact, up;
};
RoundedBits round_bits(bool sign, u128 sig, int p, u8 round);
// Rounds w (nonzero) to the destination with overflow and underflow, raising flags and c1 in e.
Rounded round(const Wide& w, const Spec& s, FloatEnv& e);

// Exact arithmetic on finite nonzero operands; add: an exact zero has the sign the rounding mode gives.
Wide add(const Num& a, const Num& b, u8 round_mode);
Wide add_wide(const Wide& a, const Wide& b, u8 round_mode);
Wide mul(const Num& a, const Num& b);
Wide div(const Num& a, const Num& b);
Wide sqrt(const Num& a);
inline Wide widen(const Num& a) { return {a.sign, a.exp, u128{a.sig} << 64}; }

// Raises kFeDenormal when it should; true when it is unmasked, that is, no result is computed.
inline bool denormal_stop(bool any, FloatEnv& e) {
  if (!any && !e.denormal_operand) return false;
  e.flags |= kFeDenormal;
  return !(e.masked & kFeDenormal);
}

// The magnitude of |a| rounded to an integer; false when it needs more than 64 bits.
bool to_integer(const Num& a, u8 round_mode, u64& mag, bool& inexact, bool& up);
s64 to_int(const Num& a, int bits, u8 round_mode, FloatEnv& e);

}  // namespace oriel::softfloat
