// Conversions between the floating-point formats and to and from integers.
// Sources: SDM Vol. 1, 4.8.4, 4.9, 8.5, 11.5 and tables E-8 ff.; Vol. 2, VCVTPS2PH (half precision).
#include "cpu/softfloat.h"
#include "cpu/softfloat_fast.h"
#include "cpu/softfloat_internal.h"

namespace oriel {

using namespace softfloat;

namespace {

// SSE narrowing and widening.
template <class From, class To>
typename To::Bits convert(typename From::Bits x, FloatEnv& e) {
  Num a = unpack<From>(x, e.daz);
  if (a.nan()) {
    if (a.cls == Class::kSNan) e.flags |= kFeInvalid;
    return pack_nan<To>(a);
  }
  if (denormal_stop(a.denormal, e)) return 0;
  if (a.zero()) return pack_zero<To>(a.sign);
  if (a.inf()) return pack_inf<To>(a.sign);
  return pack<To>(a.sign, round(widen(a), kSpec<To>, e));
}

template <class F>
typename F::Bits from_int(bool sign, u64 mag, FloatEnv& e) {
  if (!mag) return 0;
  int n = std::countl_zero(mag);
  return pack<F>(sign, round({sign, 63 - n, u128{mag << n} << 64}, kSpec<F>, e));
}
template <class F>
typename F::Bits from_int(s64 a, FloatEnv& e) {
  return from_int<F>(a < 0, a < 0 ? 0 - static_cast<u64>(a) : static_cast<u64>(a), e);
}

// FLD m32/m64: always exact.
template <class F>
F80 load_f80(typename F::Bits x, FloatEnv& e) {
  e.c1 = false;
  F80 r;
  if (fast_widen(x, r)) return r;
  Num a = unpack<F>(x, false);
  switch (a.cls) {
    case Class::kSNan: e.flags |= kFeInvalid; [[fallthrough]];
    case Class::kQNan: return pack_f80_nan(a);
    case Class::kZero: return pack_f80(a.sign, 0, 0);
    case Class::kInf: return pack_f80_inf(a.sign);
    default: break;
  }
  if (a.denormal) e.flags |= kFeDenormal;
  return pack_f80(a.sign, static_cast<u32>(a.exp + kF80Bias), a.sig);
}

// FST m32/m64: a denormal source is not an exception of its own.
template <class F>
typename F::Bits store_f80(F80 x, FloatEnv& e) {
  typename F::Bits bits;
  u32 status;
  if (e.round == kRoundNearest && fast_narrow<F::kP, F::kExpBits>(x, bits, status)) {
    e.flags |= status & kStatusPE;
    e.c1 = status & kStatusC1;
    return bits;
  }
  e.c1 = false;
  Num a = unpack(x);
  switch (a.cls) {
    case Class::kUnsupported: e.flags |= kFeInvalid; return default_nan<F>();
    case Class::kSNan: e.flags |= kFeInvalid; [[fallthrough]];
    case Class::kQNan: return pack_nan<F>(a);
    case Class::kZero: return pack_zero<F>(a.sign);
    case Class::kInf: return pack_inf<F>(a.sign);
    default: return pack<F>(a.sign, round(widen(a), kSpec<F>, e));
  }
}

}  // namespace

u64 f32_to_f64(u32 a, FloatEnv& e) { return convert<Single, Double>(a, e); }
u32 f64_to_f32(u64 a, FloatEnv& e) { return convert<Double, Single>(a, e); }

s32 f32_to_i32(u32 a, u8 mode, FloatEnv& e) { return static_cast<s32>(to_int(unpack<Single>(a, e.daz), 32, mode, e)); }
s64 f32_to_i64(u32 a, u8 mode, FloatEnv& e) { return to_int(unpack<Single>(a, e.daz), 64, mode, e); }
s32 f64_to_i32(u64 a, u8 mode, FloatEnv& e) { return static_cast<s32>(to_int(unpack<Double>(a, e.daz), 32, mode, e)); }
s64 f64_to_i64(u64 a, u8 mode, FloatEnv& e) { return to_int(unpack<Double>(a, e.daz), 64, mode, e); }
u32 i32_to_f32(s32 a, FloatEnv& e) { return from_int<Single>(a, e); }
u32 i64_to_f32(s64 a, FloatEnv& e) { return from_int<Single>(a, e); }
u64 i32_to_f64(s32 a, FloatEnv& e) { return from_int<Double>(a, e); }
u64 i64_to_f64(s64 a, FloatEnv& e) { return from_int<Double>(a, e); }

u32 f16_to_f32(u16 a, FloatEnv& e) {
  // MXCSR.DAZ does not apply to half precision, and its denormals are normal here: no #D.
  Num n = unpack<Half>(a, false);
  switch (n.cls) {
    case Class::kSNan: e.flags |= kFeInvalid; [[fallthrough]];
    case Class::kQNan: return pack_nan<Single>(n);
    case Class::kZero: return pack_zero<Single>(n.sign);
    case Class::kInf: return pack_inf<Single>(n.sign);
    default: return pack<Single>(n.sign, Rounded{n.exp, n.sig, false});
  }
}

u16 f32_to_f16(u32 a, u8 mode, FloatEnv& e) {
  // MXCSR.FTZ does not apply; the rounding mode may be the instruction's own.
  FloatEnv own = e;
  own.round = mode;
  own.ftz = false;
  u16 r = convert<Single, Half>(a, own);
  e.flags = own.flags;
  return r;
}

F80 f80_from_f32(u32 a, FloatEnv& e) { return load_f80<Single>(a, e); }
F80 f80_from_f64(u64 a, FloatEnv& e) { return load_f80<Double>(a, e); }
F80 f80_from_i64(s64 a) {
  if (!a) return {0, 0};
  u64 mag = a < 0 ? 0 - static_cast<u64>(a) : static_cast<u64>(a);
  int n = std::countl_zero(mag);
  return pack_f80(a < 0, static_cast<u32>(63 - n + kF80Bias), mag << n);
}
namespace {
s64 f80_to_int(F80 a, unsigned bits, u8 mode, FloatEnv& e) {
  s64 r;
  u32 status;
  if ((mode != kRoundNearest && mode != kRoundZero) || !fast_to_int(a, bits, mode == kRoundNearest, r, status))
    return to_int(unpack(a), static_cast<int>(bits), mode, e);
  e.flags |= status & kStatusPE;
  e.c1 = status & kStatusC1;
  return r;
}
}  // namespace

u32 f80_to_f32(F80 a, FloatEnv& e) { return store_f80<Single>(a, e); }
u64 f80_to_f64(F80 a, FloatEnv& e) { return store_f80<Double>(a, e); }
s16 f80_to_i16(F80 a, u8 mode, FloatEnv& e) { return static_cast<s16>(f80_to_int(a, 16, mode, e)); }
s32 f80_to_i32(F80 a, u8 mode, FloatEnv& e) { return static_cast<s32>(f80_to_int(a, 32, mode, e)); }
s64 f80_to_i64(F80 a, u8 mode, FloatEnv& e) { return f80_to_int(a, 64, mode, e); }

}  // namespace oriel
