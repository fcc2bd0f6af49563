// x87 remainders, scaling, and the transcendental functions, in integer arithmetic: the same bits on every host.
//
// The transcendentals work on significands of 128 bits (softfloat::Wide): reduce the argument exactly, sum a
// series to beyond 2^-120 relative, round once. Sources: SDM Vol. 1, 8.3.7 to 8.3.10; Vol. 2 (the tables of special
// operands under each instruction).
#include "cpu/softfloat_internal.h"
#include "cpu/x87.h"

namespace oriel {

using namespace softfloat;

namespace x87 {
namespace {

constexpr Spec kExtended{64, 1 - kF80Bias, kF80Bias, kF80Wrap};  // precision control does not apply here

// ---- arithmetic on 128-bit significands ----------------------------------------------------------

constexpr u128 make(u64 hi, u64 lo) { return u128{hi} << 64 | lo; }
constexpr Wide kOne{false, 0, u128{1} << 127};
constexpr Wide kLn2{false, -1, make(0xb17217f7d1cf79ab, 0xc9e3b39803f2f6af)};
constexpr Wide kLog2E{false, 0, make(0xb8aa3b295c17f0bb, 0xbe87fed0691d3e88)};
constexpr Wide kPi{false, 1, make(0xc90fdaa22168c234, 0xc4c6628b80dc1cd1)};

Wide normalize(bool sign, s32 exp, u128 sig) {
  if (!sig) return {sign, 0, 0};
  int n = clz128(sig);
  return {sign, exp - n, sig << n};
}
Wide negate(Wide a) {
  a.sign = !a.sign;
  return a;
}
Wide scale(Wide a, s32 n) {
  a.exp += n;
  return a;
}
Wide times(const Wide& a, const Wide& b) {
  if (!a.sig || !b.sig) return {false, 0, 0};
  const u64 ah = static_cast<u64>(a.sig >> 64), al = static_cast<u64>(a.sig);
  const u64 bh = static_cast<u64>(b.sig >> 64), bl = static_cast<u64>(b.sig);
  u128 mid1 = u128{ah} * bl, mid2 = u128{al} * bh, low = u128{al} * bl;
  u128 carry = (u128{static_cast<u64>(mid1)} + static_cast<u64>(mid2) + static_cast<u64>(low >> 64)) >> 64;
  return normalize(a.sign != b.sign, a.exp + b.exp + 1, u128{ah} * bh + (mid1 >> 64) + (mid2 >> 64) + carry);
}
Wide plus(const Wide& a, const Wide& b) {
  if (!a.sig) return b;
  if (!b.sig) return a;
  const bool a_big = a.exp > b.exp || (a.exp == b.exp && a.sig >= b.sig);
  const Wide &x = a_big ? a : b, &y = a_big ? b : a;
  const u32 d = static_cast<u32>(x.exp - y.exp);
  if (x.sign == y.sign) {
    const u128 sum = (x.sig >> 1) + (d > 126 ? 0 : y.sig >> 1 >> d);
    return normalize(x.sign, x.exp + 1, sum);
  }
  return normalize(x.sign, x.exp, x.sig - (d > 127 ? 0 : y.sig >> d));
}
Wide minus(const Wide& a, const Wide& b) { return plus(a, negate(b)); }
Wide over(const Wide& a, u32 n) {
  if (!a.sig) return a;
  u128 q = a.sig / n;
  const int k = clz128(q);
  return {a.sign, a.exp - k, q << k | ((a.sig % n) << k) / n};
}
Wide over(const Wide& a, const Wide& b) {
  if (!a.sig) return a;
  u128 rem = a.sig, q = 0;
  const bool less = rem < b.sig;
  bool carry = false;
  if (less) {
    carry = rem >> 127;
    rem <<= 1;
  }
  for (int k = 0; k < 128; k++) {
    q <<= 1;
    if (carry || rem >= b.sig) {
      rem -= b.sig;
      q |= 1;
    }
    carry = rem >> 127;
    rem <<= 1;
  }
  return {a.sign != b.sign, a.exp - b.exp - less, q};
}

// Rounds a result that is known to be irrational.
F80 finish_inexact(Wide w, FloatEnv& e) {
  w.sig |= 1;
  return pack_f80(w.sign, round(w, kExtended, e));
}
F80 finish(const Wide& w, FloatEnv& e) {
  if (!w.sig) return pack_f80(w.sign, 0, 0);
  return pack_f80(w.sign, round(w, kExtended, e));
}

// ---- series --------------------------------------------------------------------------------------

// exp(y) - 1, |y| <= ln 2.
Wide expm1_series(const Wide& y) {
  Wide acc = kOne;
  for (u32 k = 32; k >= 2; k--) acc = plus(kOne, over(times(y, acc), k));
  return times(y, acc);
}
// atanh(z) (sign = false) or atan(z) (sign = true), |z| < 0.42: z -+ z^3/3 + z^5/5 -+ ...
Wide atan_series(const Wide& z, bool alternate) {
  Wide z2 = times(z, z);
  z2.sign = alternate;
  const u32 terms = z2.exp < -20 ? 7 : z2.exp < -5 ? 28 : 52;
  Wide acc = over(kOne, 2 * terms + 1);
  for (u32 k = terms; k-- > 0;) acc = plus(over(kOne, 2 * k + 1), times(z2, acc));
  return times(z, acc);
}
// sin(r) or cos(r), |r| <= pi / 4.
Wide sine_series(const Wide& r) {
  Wide m = negate(times(r, r)), acc = kOne;
  for (u32 k = 17; k >= 1; k--) acc = plus(kOne, over(times(m, acc), 2 * k * (2 * k + 1)));
  return times(r, acc);
}
Wide cosine_series(const Wide& r) {
  Wide m = negate(times(r, r)), acc = kOne;
  for (u32 k = 17; k >= 1; k--) acc = plus(kOne, over(times(m, acc), 2 * k * (2 * k - 1)));
  return acc;
}

// log2(1 + f) = 2 atanh(f / (2 + f)) / ln 2, 1 + f between sqrt(1/2) and sqrt(2).
Wide log2_1p(const Wide& f) {
  const Wide two = scale(kOne, 1);
  return times(scale(atan_series(over(f, plus(two, f)), false), 1), kLog2E);
}

// log2 of a finite positive a.
Wide log2_of(const Wide& a) {
  constexpr u128 kSqrt2 = make(0xb504f333f9de6484, 0x597d89b3754abe9f);
  const bool high = a.sig > kSqrt2;
  const s32 n = a.exp + high;
  Wide m{false, high ? -1 : 0, a.sig};
  Wide f = minus(m, kOne);
  Wide l = f.sig ? log2_1p(f) : Wide{false, 0, 0};
  Wide whole = n ? normalize(n < 0, 127, static_cast<u128>(n < 0 ? -n : n)) : Wide{false, 0, 0};
  return plus(whole, l);
}

bool is_power_of_two(const Num& a) { return a.sig == u64{1} << 63; }

F80 infinity(bool sign) { return pack_f80_inf(sign); }
F80 zero(bool sign) { return pack_f80(sign, 0, 0); }

}  // namespace

F80 f2xm1(F80 x, FloatEnv& e) {
  e.c1 = false;
  Num a = unpack(x);
  if (special(a)) return propagate(a, a, e);
  if (a.zero()) return x;
  if (a.inf()) return a.sign ? pack_f80(true, kF80Bias, u64{1} << 63) : x;
  if (denormal_stop(a.denormal, e)) return x;
  if (a.exp >= 0) {
    if (a.exp == 0 && is_power_of_two(a)) return a.sign ? pack_f80(true, kF80Bias - 1, u64{1} << 63) : x;
    return x;  // beyond -1 to 1 the manual leaves the result undefined
  }
  return finish_inexact(expm1_series(times(widen(a), kLn2)), e);
}

F80 fyl2x(F80 x, F80 y, FloatEnv& e) {
  e.c1 = false;
  Num a = unpack(x), b = unpack(y);
  if (special(a) || special(b)) return propagate(a, b, e);
  if (a.sign && !a.zero()) return invalid(e);
  if (a.inf()) {
    if (b.zero()) return invalid(e);
    if (denormal_stop(b.denormal, e)) return y;
    return infinity(b.sign);
  }
  if (a.zero()) {
    if (b.zero()) return invalid(e);
    if (!b.inf()) e.flags |= kFeDivZero;
    return infinity(!b.sign);
  }
  const bool one = a.exp == 0 && is_power_of_two(a);
  if (b.inf()) {
    if (one) return invalid(e);
    if (denormal_stop(a.denormal, e)) return y;
    return infinity(b.sign != (a.exp < 0));
  }
  if (denormal_stop(a.denormal || b.denormal, e)) return y;
  if (b.zero()) return zero(b.sign != (a.exp < 0));
  if (one) return zero(b.sign);
  Wide r = times(log2_of(widen(a)), widen(b));
  return is_power_of_two(a) ? finish(r, e) : finish_inexact(r, e);
}

F80 fyl2xp1(F80 x, F80 y, FloatEnv& e) {
  e.c1 = false;
  Num a = unpack(x), b = unpack(y);
  if (special(a) || special(b)) return propagate(a, b, e);
  const bool sign = a.sign != b.sign;
  if (a.inf()) {
    if (a.sign || b.zero()) return invalid(e);
    if (denormal_stop(b.denormal, e)) return y;
    return infinity(b.sign);
  }
  if (a.zero()) {
    if (b.inf()) return invalid(e);
    if (denormal_stop(b.denormal, e)) return y;
    return zero(sign);
  }
  if (a.sign && a.exp >= 0) return invalid(e);  // log of zero or less
  if (denormal_stop(a.denormal || b.denormal, e)) return y;
  if (b.inf()) return infinity(sign);
  if (b.zero()) return zero(sign);
  Wide f = widen(a);
  Wide l = a.exp < -2 ? log2_1p(f) : log2_of(plus(kOne, f));
  return finish_inexact(times(l, widen(b)), e);
}

F80 fpatan(F80 x, F80 y, FloatEnv& e) {
  e.c1 = false;
  Num a = unpack(x), b = unpack(y);  // the angle of the point (a, b)
  if (special(a) || special(b)) return propagate(a, b, e);
  const Wide half_pi = scale(kPi, -1), quarter_pi = scale(kPi, -2);
  auto with_sign = [&](Wide w) {
    w.sign = b.sign;
    return finish_inexact(w, e);
  };
  if (b.inf()) {
    if (denormal_stop(a.denormal, e)) return y;
    return with_sign(!a.inf() ? half_pi : a.sign ? times(quarter_pi, Wide{false, 1, u128{3} << 126}) : quarter_pi);
  }
  if (b.zero()) {
    if (denormal_stop(a.denormal, e)) return y;
    return a.sign ? with_sign(kPi) : zero(b.sign);
  }
  if (a.inf()) {
    if (denormal_stop(b.denormal, e)) return y;
    return a.sign ? with_sign(kPi) : zero(b.sign);
  }
  if (denormal_stop(a.denormal || b.denormal, e)) return y;
  if (a.zero()) return with_sign(half_pi);
  Wide u = widen(a), v = widen(b);
  u.sign = v.sign = false;
  const bool steep = v.exp > u.exp || (v.exp == u.exp && v.sig > u.sig);
  Wide t = steep ? over(u, v) : over(v, u);  // 0 < t <= 1
  Wide angle;
  constexpr u128 kSqrt2Minus1 = make(0xd413cccfe7799211, 0x65f626cdd52afa7c);  // at exponent -2
  if (t.exp >= -1 || (t.exp == -2 && t.sig > kSqrt2Minus1)) {
    Wide n = minus(t, kOne);
    angle = n.sig ? plus(quarter_pi, atan_series(over(n, plus(t, kOne)), true)) : quarter_pi;
  } else {
    angle = atan_series(t, true);
  }
  if (steep) angle = minus(half_pi, angle);
  if (a.sign) angle = minus(kPi, angle);
  return with_sign(angle);
}

bool fsincos(F80 x, F80* sine, F80* cosine, F80* tangent, FloatEnv& e) {
  e.c1 = false;
  auto give = [&](F80 s, F80 co, F80 t) {
    if (sine) *sine = s;
    if (cosine) *cosine = co;
    if (tangent) *tangent = t;
    return true;
  };
  Num a = unpack(x);
  if (special(a)) {
    F80 n = propagate(a, a, e);
    return give(n, n, n);
  }
  if (a.inf()) {
    F80 n = invalid(e);
    return give(n, n, n);
  }
  const F80 one = pack_f80(false, kF80Bias, u64{1} << 63);
  if (a.zero()) return give(x, one, x);
  if (denormal_stop(a.denormal, e)) return give(x, x, x);
  if (a.exp >= 63) return false;

  // |x| = q * (pi/2) + r, with pi/2 = kHalfPi * 2^-65 (the upper 66 bits of pi).
  constexpr u128 kHalfPi = make(0x3, 0x243f6a8885a308d3);
  u32 q = 0;
  Wide r = widen(a);
  r.sign = false;
  if (a.exp >= -1) {
    // x = sig * 2^(exp - 63) = sig * 4 * 2^exp * 2^-65: long division a bit of the exponent at a time. Below 2^-1
    // the argument is under pi / 4 as it is.
    u128 v = u128{a.sig} << 2;
    s32 shift = a.exp;
    if (shift < 0) {
      v = u128{a.sig} << 1;  // exp = -1: the two zero bits at the bottom allow it
      shift = 0;
    }
    q = static_cast<u32>(v / kHalfPi);
    v %= kHalfPi;
    for (; shift > 0; shift--) {
      v <<= 1;
      q <<= 1;
      if (v >= kHalfPi) {
        v -= kHalfPi;
        q |= 1;
      }
    }
    bool negative = false;
    if (v > kHalfPi >> 1) {
      v = kHalfPi - v;
      negative = true;
      q++;
    }
    r = normalize(negative, 127 - 65, v);
  }
  Wide s = sine_series(r), co = cosine_series(r);
  // The series cannot tell sin(r) from r, nor cos(r) from 1, for a tiny r; but both are less.
  const bool tiny = s.sig == r.sig && s.exp == r.exp;
  if (s.sig == r.sig) s.sig--;
  if (s.sig >> 127 == 0) s = normalize(s.sign, s.exp, s.sig);
  if (co.sig == kOne.sig && co.exp == 0) co = {false, -1, ~u128{0}};
  Wide sin_x = q & 1 ? co : s, cos_x = q & 1 ? s : co;
  if (q & 2) sin_x.sign = !sin_x.sign;
  if (((q & 3) == 1) || ((q & 3) == 2)) cos_x.sign = !cos_x.sign;
  if (a.sign) sin_x.sign = !sin_x.sign;
  if (sine) *sine = finish_inexact(sin_x, e);
  if (cosine) *cosine = finish_inexact(cos_x, e);
  if (tangent) {
    Wide t = over(sin_x, cos_x);
    // The tangent is more than a tiny r.
    if (tiny && !(q & 1)) t = {t.sign, r.exp, r.sig + 1};
    *tangent = finish_inexact(t, e);
  }
  return true;
}

}  // namespace x87

using namespace x87;

// ---- FPREM, FPREM1, FSCALE, FXTRACT --------------------------------------------------------------

namespace {

// ST(0) = remainder of ST(0) / ST(1); the quotient's low bits in C0, C3, C1, or C2 when it is only reduced.
bool remainder(Cpu& c, const Insn& i, bool ieee) {
  if (!begin(c, i)) return false;
  c.fpu.sw &= static_cast<u16>(~(kSwC1 | kSwC2));  // C0 and C3 stay unless there is a quotient
  if (empty(c, 0) || empty(c, 1)) {
    if (underflow(c)) set_st(c, 0, kF80DefaultNan);
    return true;
  }
  FloatEnv e = env_of(c);
  const Num a = unpack(st(c, 0)), b = unpack(st(c, 1));
  F80 r = st(c, 0);
  u64 q = 0;
  bool partial = false, quotient = true;
  if (special(a) || special(b)) {
    r = propagate(a, b, e);
    quotient = false;
  } else if (a.inf() || b.zero()) {
    r = invalid(e);
    quotient = false;
  } else if (!denormal_stop(a.denormal || b.denormal, e) && !a.zero()) {
    const s32 d = b.inf() ? -2 : a.exp - b.exp;
    bool sign = a.sign;
    u128 rem = a.sig;
    s32 exp = b.exp;
    if (d >= 64) {
      // Reduces the exponent difference to below 64 in steps of 32 to 63, as the processors do.
      const s32 n = (d & 31) | 32;
      rem = (u128{a.sig} << n) % b.sig;
      exp = a.exp - n;
      partial = true;
    } else if (d >= 0) {
      const u128 v = u128{a.sig} << d;
      q = static_cast<u64>(v / b.sig);
      rem = v % b.sig;
      if (ieee && (rem * 2 > b.sig || (rem * 2 == b.sig && (q & 1)))) {
        rem = b.sig - rem;
        sign = !sign;
        q++;
      }
    } else {
      exp = a.exp;
      if (ieee && d == -1 && a.sig > b.sig) {
        rem = u128{b.sig} * 2 - a.sig;
        sign = !sign;
        q = 1;
      }
    }
    if (!rem) {
      r = pack_f80(a.sign, 0, 0);
    } else {
      const int n = clz128(rem);
      r = pack_f80(sign, round({sign, exp + 64 - n, rem << n}, {64, 1 - kF80Bias, kF80Bias, kF80Wrap}, e));
    }
  }
  report(c, e.flags);
  if (suppressed(e)) return true;
  set_st(c, 0, r);
  if (!quotient) return true;
  set_cc(c, partial ? u16{kSwC2} : static_cast<u16>((q & 4 ? kSwC0 : 0) | (q & 2 ? kSwC3 : 0) | (q & 1 ? kSwC1 : 0)));
  return true;
}

F80 scale_by(F80 x, F80 y, FloatEnv& e) {
  e.c1 = false;
  const Num a = unpack(x), b = unpack(y);
  if (special(a) || special(b)) return propagate(a, b, e);
  if (b.inf()) {
    if (b.sign ? a.inf() : a.zero()) return invalid(e);
    if (denormal_stop(a.denormal, e)) return x;
    return b.sign ? pack_f80(a.sign, 0, 0) : pack_f80_inf(a.sign);
  }
  if (denormal_stop(a.denormal || b.denormal, e)) return x;
  if (a.zero() || a.inf()) return x;
  s32 n = 0;
  if (!b.zero() && b.exp >= 0) n = b.exp > 16 ? 0x20000 : static_cast<s32>(b.sig >> (63 - b.exp));
  if (b.sign) n = -n;
  Wide w = widen(a);
  w.exp += n;
  const F80 r = pack_f80(w.sign, round(w, {64, 1 - kF80Bias, kF80Bias, kF80Wrap}, e));
  // A massive overflow or underflow, which the bias adjustment cannot hold, ends in infinity or zero (SDM Vol.
  // 1, 8.5.4).
  if (e.flags & ~e.masked & (kFeOverflow | kFeUnderflow)) {
    const Num result = unpack(r);
    if (result.inf() || result.zero()) e.flags |= kFeInexact, e.c1 = result.inf();
  }
  return r;
}

}  // namespace

bool exec_FPREM(Cpu& c, const Insn& i) { return remainder(c, i, false); }
bool exec_FPREM1(Cpu& c, const Insn& i) { return remainder(c, i, true); }

bool exec_FSCALE(Cpu& c, const Insn& i) {
  if (!begin(c, i)) return false;
  if (empty(c, 0) || empty(c, 1)) {
    if (underflow(c)) set_st(c, 0, kF80DefaultNan);
    return true;
  }
  FloatEnv e = env_of(c);
  F80 r = scale_by(st(c, 0), st(c, 1), e);
  report(c, e);
  if (!suppressed(e)) set_st(c, 0, r);
  return true;
}

bool exec_FXTRACT(Cpu& c, const Insn& i) {
  if (!begin(c, i)) return false;
  set_c1(c, false);
  const bool under = empty(c, 0), over = !empty(c, 7);
  if (under || over) {
    if (!(under ? underflow(c) : overflow(c))) return true;
    set_st(c, 0, kF80DefaultNan);
    push(c, kF80DefaultNan);
    return true;
  }
  FloatEnv e = env_of(c);
  const F80 x = st(c, 0);
  const Num a = unpack(x);
  F80 exponent = x, significand = x;
  if (special(a)) {
    exponent = significand = propagate(a, a, e);
  } else if (a.inf()) {
    exponent = pack_f80_inf(false);
  } else if (a.zero()) {
    e.flags |= kFeDivZero;
    exponent = pack_f80_inf(true);
  } else {
    if (a.denormal) e.flags |= kFeDenormal;
    exponent = f80_from_i64(a.exp);
    significand = pack_f80(a.sign, kF80Bias, a.sig);
  }
  report(c, e);
  if (suppressed(e)) return true;
  set_st(c, 0, exponent);
  push(c, significand);
  return true;
}

}  // namespace oriel
