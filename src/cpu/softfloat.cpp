// The exact core (add, multiply, divide, square root, rounding) and the SSE operations on f32 and f64.
// Sources: SDM Vol. 1, 4.8.4, 4.9 and 11.5; IEEE 754-2008, clauses 4 to 7.
#include "cpu/softfloat.h"

#include "cpu/softfloat_fast.h"
#include "cpu/softfloat_internal.h"

namespace oriel {
namespace softfloat {

RoundedBits round_bits(bool sign, u128 sig, int p, u8 round) {
  u64 hi = static_cast<u64>(sig >> 64);
  u64 lsb = u64{1} << (64 - p);
  u128 rest = sig << p;
  u64 kept = hi & ~(lsb - 1);
  if (rest == 0) return {kept, false, false, false};
  constexpr u128 kHalf = u128{1} << 127;
  bool up = false;
  switch (round & 3) {
    case kRoundNearest: up = rest > kHalf || (rest == kHalf && (hi & lsb)); break;
    case kRoundDown: up = sign; break;
    case kRoundUp: up = !sign; break;
    default: break;
  }
  if (!up) return {kept, false, true, false};
  u64 v = kept + lsb;
  return {v, v < kept, true, true};
}

Rounded round(const Wide& w, const Spec& s, FloatEnv& e) {
  e.c1 = false;
  // As if the exponent had no bounds: decides overflow, and underflow ("tiny after rounding").
  RoundedBits r = round_bits(w.sign, w.sig, s.p, e.round);
  s32 exp = w.exp;
  if (r.carry) {
    r.sig = u64{1} << 63;
    exp++;
  }
  auto wrapped = [&](s32 new_exp) -> Rounded {
    e.c1 = r.up;
    if (r.inexact) e.flags |= kFeInexact;
    if (new_exp > s.emax) return {0, 0, true};
    if (new_exp < s.emin) return {0, 0, false};
    return {new_exp, r.sig, false};
  };
  if (exp > s.emax) {
    e.flags |= kFeOverflow;
    if (!(e.masked & kFeOverflow)) return wrapped(exp - s.wrap);
    e.flags |= kFeInexact;
    bool to_inf = e.round == kRoundNearest || e.round == (w.sign ? kRoundDown : kRoundUp);
    e.c1 = to_inf;
    if (to_inf) return {0, 0, true};
    return {s.emax, ~u64{0} << (64 - s.p), false};
  }
  if (exp < s.emin) {
    if (!(e.masked & kFeUnderflow)) {
      e.flags |= kFeUnderflow;
      return wrapped(exp + s.wrap);
    }
    if (e.ftz) {
      e.flags |= kFeUnderflow | kFeInexact;
      return {0, 0, false};
    }
    r = round_bits(w.sign, shift_right_jam(w.sig, static_cast<u32>(s.emin - w.exp)), s.p, e.round);
    if (r.inexact) e.flags |= kFeUnderflow | kFeInexact;
    e.c1 = r.up;
    return {s.emin, r.sig, false};
  }
  if (r.inexact) e.flags |= kFeInexact;
  e.c1 = r.up;
  return {exp, r.sig, false};
}

Wide add_wide(const Wide& a, const Wide& b, u8 round_mode) {
  const Wide& big = a.exp > b.exp || (a.exp == b.exp && a.sig >= b.sig) ? a : b;
  const Wide& small = &big == &a ? b : a;
  // Operands have zero bits at the bottom (at least 22 of 128): one bit of headroom loses nothing, and a
  // jammed shift happens only with exponents so far apart that at most one leading bit cancels.
  u128 x = big.sig >> 1;
  u128 y = shift_right_jam(small.sig >> 1, static_cast<u32>(big.exp - small.exp));
  u128 sum = big.sign == small.sign ? x + y : x - y;
  if (sum == 0) return {round_mode == kRoundDown, 0, 0};
  int n = clz128(sum);
  return {big.sign, big.exp + 1 - n, sum << n};
}

Wide add(const Num& a, const Num& b, u8 round_mode) { return add_wide(widen(a), widen(b), round_mode); }

Wide mul(const Num& a, const Num& b) {
  u128 p = u128{a.sig} * b.sig;
  int n = clz128(p);
  return {a.sign != b.sign, a.exp + b.exp + 1 - n, p << n};
}

Wide div(const Num& a, const Num& b) {
  bool less = a.sig < b.sig;
  u128 n = u128{a.sig} << (less ? 64 : 63);
  u64 q = static_cast<u64>(n / b.sig);
  u128 r2 = (n - u128{q} * b.sig) << 1;
  u64 low = 0;
  if (r2 >= b.sig) {
    low = u64{1} << 63;
    r2 -= b.sig;
  }
  if (r2) low |= 1;
  return {a.sign != b.sign, a.exp - b.exp - less, u128{q} << 64 | low};
}

Wide sqrt(const Num& a) {
  // Square root with remainder, a half at a time (P. Zimmermann, "Karatsuba Square Root", 1999).
  bool odd = a.exp & 1;
  u128 n = u128{a.sig} << (odd ? 64 : 63);
  u64 hi = static_cast<u64>(n >> 64), s = 0, rem = 0;
  for (int i = 0; i < 32; i++) {
    rem = rem << 2 | hi >> 62;
    hi <<= 2;
    u64 t = s << 2 | 1;
    s <<= 1;
    if (rem >= t) {
      rem -= t;
      s |= 1;
    }
  }
  u128 num = u128{rem} << 32 | static_cast<u32>(n >> 32);
  u128 q = num / (2 * s), u = num % (2 * s);
  u128 root = (u128{s} << 32) + q;
  u128 rr = u << 32 | static_cast<u32>(n), qq = q * q;
  while (rr < qq) {  // at most twice
    rr += 2 * root - 1;
    root--;
  }
  u128 r = rr - qq;
  u64 low = r > root ? u64{1} << 63 : 0;
  if (r) low |= 1;
  return {false, (a.exp - odd) / 2, u128{static_cast<u64>(root)} << 64 | low};
}

bool to_integer(const Num& a, u8 round_mode, u64& mag, bool& inexact, bool& up) {
  if (a.exp > 63) return false;
  u128 v = u128{a.sig} << 64;
  v = shift_right_jam(v, static_cast<u32>(63 - a.exp));
  RoundedBits r = round_bits(a.sign, v, 64, round_mode);
  mag = r.sig;
  inexact = r.inexact;
  up = r.up;
  return !r.carry;
}

s64 to_int(const Num& a, int bits, u8 round_mode, FloatEnv& e) {
  e.c1 = false;
  if (a.zero()) return 0;
  u64 limit = u64{1} << (bits - 1), mag = 0;
  bool inexact = false, up = false;
  if (a.cls != Class::kFinite || !to_integer(a, round_mode, mag, inexact, up) || mag > limit - !a.sign) {
    e.flags |= kFeInvalid;
    return -static_cast<s64>(limit - 1) - 1;
  }
  if (inexact) e.flags |= kFeInexact;
  e.c1 = up;
  return static_cast<s64>(a.sign ? 0 - mag : mag);
}

namespace {

// SSE operand pairs: the NaN result, if there is one.
template <class F>
bool propagate(const Num& a, const Num& b, typename F::Bits& out, FloatEnv& e) {
  if (!a.nan() && !b.nan()) return false;
  if (a.cls == Class::kSNan || b.cls == Class::kSNan) e.flags |= kFeInvalid;
  out = pack_nan<F>(a.nan() ? a : b);
  return true;
}
template <class F>
typename F::Bits invalid(FloatEnv& e) {
  e.flags |= kFeInvalid;
  return default_nan<F>();
}
template <class F>
typename F::Bits finish(const Wide& w, FloatEnv& e) {
  if (w.sig == 0) return pack_zero<F>(w.sign);
  return pack<F>(w.sign, round(w, kSpec<F>, e));
}

template <class F>
typename F::Bits add_op(typename F::Bits x, typename F::Bits y, bool negate, FloatEnv& e) {
  Num a = unpack<F>(x, e.daz), b = unpack<F>(y, e.daz);
  typename F::Bits out;
  if (propagate<F>(a, b, out, e)) return out;
  if (negate) b.sign = !b.sign;
  if (a.inf() && b.inf() && a.sign != b.sign) return invalid<F>(e);
  if (denormal_stop(a.denormal || b.denormal, e)) return 0;
  if (a.inf()) return pack_inf<F>(a.sign);
  if (b.inf()) return pack_inf<F>(b.sign);
  if (a.zero() && b.zero()) return pack_zero<F>(a.sign == b.sign ? a.sign : e.round == kRoundDown);
  if (a.zero()) return finish<F>(widen(b), e);
  if (b.zero()) return finish<F>(widen(a), e);
  return finish<F>(add(a, b, e.round), e);
}

template <class F>
typename F::Bits mul_op(typename F::Bits x, typename F::Bits y, FloatEnv& e) {
  Num a = unpack<F>(x, e.daz), b = unpack<F>(y, e.daz);
  typename F::Bits out;
  if (propagate<F>(a, b, out, e)) return out;
  if ((a.inf() && b.zero()) || (a.zero() && b.inf())) return invalid<F>(e);
  if (denormal_stop(a.denormal || b.denormal, e)) return 0;
  bool sign = a.sign != b.sign;
  if (a.inf() || b.inf()) return pack_inf<F>(sign);
  if (a.zero() || b.zero()) return pack_zero<F>(sign);
  return finish<F>(mul(a, b), e);
}

template <class F>
typename F::Bits div_op(typename F::Bits x, typename F::Bits y, FloatEnv& e) {
  Num a = unpack<F>(x, e.daz), b = unpack<F>(y, e.daz);
  typename F::Bits out;
  if (propagate<F>(a, b, out, e)) return out;
  if ((a.inf() && b.inf()) || (a.zero() && b.zero())) return invalid<F>(e);
  bool sign = a.sign != b.sign;
  if (b.zero() && !a.inf()) {
    e.flags |= kFeDivZero;
    return pack_inf<F>(sign);
  }
  if (denormal_stop(a.denormal || b.denormal, e)) return 0;
  if (a.inf()) return pack_inf<F>(sign);
  if (b.inf() || a.zero()) return pack_zero<F>(sign);
  return finish<F>(div(a, b), e);
}

template <class F>
typename F::Bits sqrt_op(typename F::Bits x, FloatEnv& e) {
  Num a = unpack<F>(x, e.daz);
  typename F::Bits out;
  if (propagate<F>(a, a, out, e)) return out;
  if (a.zero()) return pack_zero<F>(a.sign);
  if (a.sign) return invalid<F>(e);
  if (denormal_stop(a.denormal, e)) return 0;
  if (a.inf()) return pack_inf<F>(false);
  return finish<F>(sqrt(a), e);
}

template <class F>
typename F::Bits fma_op(typename F::Bits x, typename F::Bits y, typename F::Bits z, FloatEnv& e) {
  Num a = unpack<F>(x, e.daz), b = unpack<F>(y, e.daz), c = unpack<F>(z, e.daz);
  if (a.nan() || b.nan() || c.nan()) {
    if (a.cls == Class::kSNan || b.cls == Class::kSNan || c.cls == Class::kSNan) e.flags |= kFeInvalid;
    return pack_nan<F>(a.nan() ? a : b.nan() ? b : c);
  }
  bool sign = a.sign != b.sign, inf = a.inf() || b.inf();
  if ((a.inf() && b.zero()) || (a.zero() && b.inf())) return invalid<F>(e);
  if (inf && c.inf() && sign != c.sign) return invalid<F>(e);
  if (denormal_stop(a.denormal || b.denormal || c.denormal, e)) return 0;
  if (inf) return pack_inf<F>(sign);
  if (c.inf()) return pack_inf<F>(c.sign);
  if (a.zero() || b.zero()) {
    if (c.zero()) return pack_zero<F>(sign == c.sign ? sign : e.round == kRoundDown);
    return finish<F>(widen(c), e);
  }
  Wide p = mul(a, b);
  if (c.zero()) return finish<F>(p, e);
  return finish<F>(add_wide(p, widen(c), e.round), e);
}

FloatCmp order(const Num& a, const Num& b) {
  if (a.zero() && b.zero()) return kCmpEqual;
  auto rank = [](const Num& n) { return n.zero() ? 0 : n.sign ? -1 : 1; };
  int ra = rank(a), rb = rank(b);
  if (ra != rb) return ra < rb ? kCmpLess : kCmpGreater;
  s32 ea = a.inf() ? 0x10000 : a.exp, eb = b.inf() ? 0x10000 : b.exp;
  u64 sa = a.inf() ? 0 : a.sig, sb = b.inf() ? 0 : b.sig;
  if (ea == eb && sa == sb) return kCmpEqual;
  bool less = ea != eb ? ea < eb : sa < sb;
  return less != a.sign ? kCmpLess : kCmpGreater;
}

template <class F>
FloatCmp compare_op(typename F::Bits x, typename F::Bits y, bool quiet, FloatEnv& e) {
  Num a = unpack<F>(x, e.daz), b = unpack<F>(y, e.daz);
  if (a.nan() || b.nan()) {
    if (!quiet || a.cls == Class::kSNan || b.cls == Class::kSNan) e.flags |= kFeInvalid;
    return kCmpUnordered;
  }
  if (denormal_stop(a.denormal || b.denormal, e)) return kCmpUnordered;
  return order(a, b);
}

template <class F>
typename F::Bits round_int_op(typename F::Bits x, u8 mode, bool suppress_inexact, FloatEnv& e) {
  Num a = unpack<F>(x, e.daz);
  typename F::Bits out;
  if (propagate<F>(a, a, out, e)) return out;
  if (a.zero()) return pack_zero<F>(a.sign);
  if (a.inf() || a.exp >= F::kP - 1) return x;
  u64 mag = 0;
  bool inexact = false, up = false;
  to_integer(a, mode, mag, inexact, up);
  if (inexact && !suppress_inexact) e.flags |= kFeInexact;
  if (!mag) return pack_zero<F>(a.sign);
  int n = std::countl_zero(mag);
  return pack<F>(a.sign, Rounded{63 - n, mag << n, false});
}

}  // namespace
}  // namespace softfloat

using namespace softfloat;

u32 f32_add(u32 a, u32 b, FloatEnv& e) { return add_op<Single>(a, b, false, e); }
u32 f32_sub(u32 a, u32 b, FloatEnv& e) { return add_op<Single>(a, b, true, e); }
u32 f32_mul(u32 a, u32 b, FloatEnv& e) { return mul_op<Single>(a, b, e); }
u32 f32_div(u32 a, u32 b, FloatEnv& e) { return div_op<Single>(a, b, e); }
u32 f32_sqrt(u32 a, FloatEnv& e) { return sqrt_op<Single>(a, e); }
u32 f32_fma(u32 a, u32 b, u32 c, FloatEnv& e) { return fma_op<Single>(a, b, c, e); }
u64 f64_add(u64 a, u64 b, FloatEnv& e) { return add_op<Double>(a, b, false, e); }
u64 f64_sub(u64 a, u64 b, FloatEnv& e) { return add_op<Double>(a, b, true, e); }
u64 f64_mul(u64 a, u64 b, FloatEnv& e) { return mul_op<Double>(a, b, e); }
u64 f64_div(u64 a, u64 b, FloatEnv& e) { return div_op<Double>(a, b, e); }
u64 f64_sqrt(u64 a, FloatEnv& e) { return sqrt_op<Double>(a, e); }
u64 f64_fma(u64 a, u64 b, u64 c, FloatEnv& e) { return fma_op<Double>(a, b, c, e); }
FloatCmp f32_compare(u32 a, u32 b, bool quiet, FloatEnv& e) { return compare_op<Single>(a, b, quiet, e); }
FloatCmp f64_compare(u64 a, u64 b, bool quiet, FloatEnv& e) { return compare_op<Double>(a, b, quiet, e); }
u32 f32_round_int(u32 a, u8 mode, bool suppress_inexact, FloatEnv& e) {
  return round_int_op<Single>(a, mode, suppress_inexact, e);
}
u64 f64_round_int(u64 a, u8 mode, bool suppress_inexact, FloatEnv& e) {
  return round_int_op<Double>(a, mode, suppress_inexact, e);
}

FloatCmp f80_compare(F80 x, F80 y, bool quiet, FloatEnv& e) {
  FloatCmp fast;
  if (!e.denormal_operand && fast_compare(x, y, fast)) return fast;
  Num a = unpack(x), b = unpack(y);
  if (a.cls >= Class::kQNan || b.cls >= Class::kQNan) {
    if (!quiet || a.cls > Class::kQNan || b.cls > Class::kQNan) e.flags |= kFeInvalid;
    return kCmpUnordered;
  }
  if (denormal_stop(a.denormal || b.denormal, e)) return kCmpUnordered;
  return order(a, b);
}

}  // namespace oriel
