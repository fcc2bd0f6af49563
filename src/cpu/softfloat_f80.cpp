// Arithmetic in the x87's double extended format.
// Sources: SDM Vol. 1, 4.2.2 (encodings), table 4-7 (NaNs), 8.1.5.2 (precision control), 8.5 (exceptions).
#include "cpu/softfloat.h"
#include "cpu/softfloat_fast.h"
#include "cpu/softfloat_internal.h"

namespace oriel {

using namespace softfloat;

namespace softfloat {

F80 propagate(const Num& a, const Num& b, FloatEnv& e) {
  if (a.cls == Class::kUnsupported || b.cls == Class::kUnsupported) return invalid(e);
  if (a.cls == Class::kSNan || b.cls == Class::kSNan) e.flags |= kFeInvalid;
  if (!b.nan()) return pack_f80_nan(a);
  if (!a.nan()) return pack_f80_nan(b);
  if (a.cls != b.cls) return pack_f80_nan(a.cls == Class::kQNan ? a : b);
  if (a.sig != b.sig) return pack_f80_nan(a.sig > b.sig ? a : b);
  return pack_f80_nan(a.sign ? b : a);
}

}  // namespace softfloat

namespace {

F80 finish(const Wide& w, FloatEnv& e) {
  if (w.sig == 0) return pack_f80(w.sign, 0, 0);
  return pack_f80(w.sign, round(w, f80_spec(e), e));
}

// Whether the common case (softfloat_fast.h) may be tried, and what it gave.
bool may_be_fast(const FloatEnv& e) { return e.round == kRoundNearest && !e.denormal_operand; }
unsigned drop_of(const FloatEnv& e) { return 64u - e.precision; }
F80 fast_result(F80 r, u32 status, FloatEnv& e) {
  e.flags |= status & kStatusPE;
  e.c1 = status & kStatusC1;
  return r;
}

F80 add_op(F80 x, F80 y, bool negate, FloatEnv& e) {
  F80 r;
  u32 status;
  if (may_be_fast(e) && fast_add(x, y, negate ? 0x8000 : 0, drop_of(e), r, status)) return fast_result(r, status, e);
  e.c1 = false;
  Num a = unpack(x), b = unpack(y);
  if (special(a) || special(b)) return propagate(a, b, e);
  if (negate) b.sign = !b.sign;
  if (a.inf() && b.inf() && a.sign != b.sign) return invalid(e);
  if (denormal_stop(a.denormal || b.denormal, e)) return x;
  if (a.inf() || b.inf()) return pack_f80_inf(a.inf() ? a.sign : b.sign);
  if (a.zero() && b.zero()) return pack_f80(a.sign == b.sign ? a.sign : e.round == kRoundDown, 0, 0);
  if (a.zero()) return finish(widen(b), e);
  if (b.zero()) return finish(widen(a), e);
  return finish(add(a, b, e.round), e);
}

}  // namespace

F80 f80_add(F80 a, F80 b, FloatEnv& e) { return add_op(a, b, false, e); }
F80 f80_sub(F80 a, F80 b, FloatEnv& e) { return add_op(a, b, true, e); }

F80 f80_mul(F80 x, F80 y, FloatEnv& e) {
  F80 r;
  u32 status;
  if (may_be_fast(e) && fast_mul(x, y, drop_of(e), r, status)) return fast_result(r, status, e);
  e.c1 = false;
  Num a = unpack(x), b = unpack(y);
  if (special(a) || special(b)) return propagate(a, b, e);
  if ((a.inf() && b.zero()) || (a.zero() && b.inf())) return invalid(e);
  if (denormal_stop(a.denormal || b.denormal, e)) return x;
  bool sign = a.sign != b.sign;
  if (a.inf() || b.inf()) return pack_f80_inf(sign);
  if (a.zero() || b.zero()) return pack_f80(sign, 0, 0);
  return finish(mul(a, b), e);
}

F80 f80_div(F80 x, F80 y, FloatEnv& e) {
  F80 r;
  u32 status;
  if (may_be_fast(e) && fast_div(x, y, drop_of(e), r, status)) return fast_result(r, status, e);
  e.c1 = false;
  Num a = unpack(x), b = unpack(y);
  if (special(a) || special(b)) return propagate(a, b, e);
  if ((a.inf() && b.inf()) || (a.zero() && b.zero())) return invalid(e);
  bool sign = a.sign != b.sign;
  if (b.zero() && !a.inf()) {
    e.flags |= kFeDivZero;
    return pack_f80_inf(sign);
  }
  if (denormal_stop(a.denormal || b.denormal, e)) return x;
  if (a.inf()) return pack_f80_inf(sign);
  if (b.inf() || a.zero()) return pack_f80(sign, 0, 0);
  return finish(div(a, b), e);
}

F80 f80_sqrt(F80 x, FloatEnv& e) {
  F80 r;
  u32 status;
  if (may_be_fast(e) && fast_sqrt(x, drop_of(e), r, status)) return fast_result(r, status, e);
  e.c1 = false;
  Num a = unpack(x);
  if (special(a)) return propagate(a, a, e);
  if (a.zero()) return x;
  if (a.sign) return invalid(e);
  if (denormal_stop(a.denormal, e)) return x;
  if (a.inf()) return x;
  return finish(sqrt(a), e);
}

F80 f80_round_int(F80 x, FloatEnv& e) {
  e.c1 = false;
  Num a = unpack(x);
  if (special(a)) return propagate(a, a, e);
  if (denormal_stop(a.denormal, e)) return x;
  if (a.zero() || a.inf() || a.exp >= 63) return x;
  u64 mag = 0;
  bool inexact = false;
  to_integer(a, e.round, mag, inexact, e.c1);
  if (inexact) e.flags |= kFeInexact;
  if (!mag) return pack_f80(a.sign, 0, 0);
  int n = std::countl_zero(mag);
  return pack_f80(a.sign, static_cast<u32>(63 - n + kF80Bias), mag << n);
}

}  // namespace oriel
