// Floating point of SSE: the host's arithmetic, where that is known to give the same bits and the same flags in MXCSR.
//
// It does when MXCSR has every exception masked, rounding to nearest and "inexact" raised already, no operand is a
// denormal, and the result is ordinary (fp_limit.h); it is, too, for the exact zeros. The variables kVarFpLimit64 and
// 32 hold MXCSR's part of the condition: they are 0 where nothing is ordinary. What fails the tests is a call of tier 0
// (FpSlow). Denormals are not looked for in results of such operations: a call that gives one leaves the unit.
// SDM Vol. 1, 11.5; Vol. 2.
#include "jit/ir/simd.h"
#include "jit/lift/fp_limit.h"
#include "jit/lift/lifter.h"

namespace oriel::jit {

struct Lifter::Fp {
  Type type;
  unsigned size;  // log2 of the bytes
  u8 plain;       // bit in Xmm::plain
  u32 plain_low_result, plain_result;
  IrOp lane, set_lane, bits, of, add, sub, mul, div, sqrt, min, max, eq, ne, lt, le;
  static const Fp f32, f64;
};

using I = IrOp;
const Lifter::Fp Lifter::Fp::f32{
    Type::kF32,   2,           1,          kPlain32,   kPlain32x4, I::kLaneF32, I::kSetLaneF32,
    I::kBitsOf32, I::kF32Of,   I::kAddF32, I::kSubF32, I::kMulF32, I::kDivF32,  I::kSqrtF32,
    I::kPMinF32,  I::kPMaxF32, I::kEqF32,  I::kNeF32,  I::kLtF32,  I::kLeF32};
const Lifter::Fp Lifter::Fp::f64{
    Type::kF64,   3,           2,          kPlain64,   kPlain64x2, I::kLaneF64, I::kSetLaneF64,
    I::kBitsOf64, I::kF64Of,   I::kAddF64, I::kSubF64, I::kMulF64, I::kDivF64,  I::kSqrtF64,
    I::kPMinF64,  I::kPMaxF64, I::kEqF64,  I::kNeF64,  I::kLtF64,  I::kLeF64};

// ---- values --------------------------------------------------------------------------------------

Value Lifter::number(const Fp& f, u64 bits) { return emit(IrOp::kConst, f.type, 0, 0, 0, bits); }

Value Lifter::fp_limit(const Fp& f) {
  return emit(IrOp::kGet, Type::kI32, 0, 0, 0, f.size == 3 ? kVarFpLimit64 : kVarFpLimit32);
}

Value Lifter::fp_low(const Fp& f, unsigned r) {
  Value& low = f.size == 3 ? known(r).low64 : known(r).low32;
  if (!low) low = emit(f.lane, Type::kV128, xmm(r));
  return low;
}

// The low lane of the r/m operand, which is `src`.
Value Lifter::fp_source(const Fp& f, Value src) {
  return memory() ? emit(f.lane, Type::kV128, src) : fp_low(f, insn_->rm);
}

void Lifter::set_fp_low(const Fp& f, Value v, bool is_plain) {
  const unsigned r = insn_->reg;
  set_xmm(r, set_lane(f.set_lane, first(), v, 0));
  (f.size == 3 ? known(r).low64 : known(r).low32) = v;
  if (is_plain) known(r).plain_low = f.plain;
}

bool Lifter::plain(const Fp& f, unsigned r) const { return known(r).plain & f.plain; }
bool Lifter::plain_low(const Fp& f, unsigned r) const { return (known(r).plain | known(r).plain_low) & f.plain; }

Value Lifter::fp_slow(Value condition, Value fast, Value src, u32 result) {
  const u64 call = simd_call(*insn_, first_register() + 16 * vex_.half);
  return emit(IrOp::kFpSlow, type_of(fast), condition, fast, src, call | result << kSimdResultShift);
}

// ---- tests: i32, not 0 where they hold -----------------------------------------------------------

Value Lifter::extraordinary(const Fp& f, Value r) {
  const Type t = Type::kI32;
  Value bits = emit(f.bits, f.type, r);
  if (f.size == 3) bits = emit(IrOp::kWrap, Type::kI64, bin_c(IrOp::kShrU, Type::kI64, bits, 32));
  const Value up = bin_c(IrOp::kSub, t, bin_c(IrOp::kShl, t, bits, 1), f.size == 3 ? kFpLeast64 : kFpLeast32);
  return bin(IrOp::kGeU, t, up, fp_limit(f));
}

// The least normal number counts as one, too.
Value Lifter::denormal(const Fp& f, Value v, bool is_plain) {
  if (is_plain) return 0;
  const Type t = f.size == 3 ? Type::kI64 : Type::kI32;
  const Value twice = bin_c(IrOp::kShl, t, emit(f.bits, f.type, v), 1);
  return emit(IrOp::kEqz, t, bin_c(IrOp::kShrU, t, bin_c(IrOp::kSub, t, twice, 1), f.size == 3 ? 53 : 24));
}

Value Lifter::unordered(const Fp& f, Value x, Value y) {
  return either(bin(IrOp::kFNe, f.type, x, x), bin(IrOp::kFNe, f.type, y, y));
}

// Lanes of ones where they hold; with 64 bits the even lanes of 32 say nothing.
Value Lifter::extraordinary_lanes(const Fp& f, Value r) {
  const Value least = v128_of32(f.size == 3 ? kFpLeast64 : kFpLeast32);
  const Value up = vec(IrOp::kSub32, vec(IrOp::kShl32, r, c32(1)), least);
  return vec(IrOp::kGeU32, up, emit(IrOp::kSplat32, Type::kI32, fp_limit(f)));
}

Value Lifter::denormal_lanes(const Fp& f, Value v) {
  const bool wide = f.size == 3;
  const Value ones = wide ? v128(1, 1) : v128_of32(1);
  const Value less = vec(wide ? IrOp::kSub64 : IrOp::kSub32, vec(wide ? IrOp::kShl64 : IrOp::kShl32, v, c32(1)), ones);
  const Value exponents = vec(wide ? IrOp::kShrU64 : IrOp::kShrU32, less, c32(wide ? 53 : 24));
  return vec(wide ? IrOp::kEq64 : IrOp::kEq32, exponents, v128(0, 0));
}

Value Lifter::any_lane(const Fp& f, Value mask) {
  if (f.size == 2) return emit(IrOp::kAnyTrue, Type::kV128, mask);
  return bin_c(IrOp::kAnd, Type::kI32, emit(IrOp::kMask32, Type::kV128, mask), 10);
}

// ---- arithmetic ----------------------------------------------------------------------------------

void Lifter::fp_scalar(const Fp& f, IrOp op) {
  const Insn& i = *insn_;
  const Value src = source_low(f.size);
  const Value a = fp_low(f, first_register()), b = fp_source(f, src);
  const bool plain_a = plain_low(f, first_register()), plain_b = !memory() && plain_low(f, i.rm);
  const Value r = bin(op, f.type, a, b);
  auto denormals = [&] { return either(denormal(f, a, plain_a), denormal(f, b, plain_b)); };
  auto not_zero = [&](Value v) { return bin(IrOp::kFNe, f.type, v, number(f, 0)); };
  const Value doubtful = either(extraordinary(f, r), denormals());
  // A sum that is zero is exact, and so are products and quotients of a zero.
  Value inexact = either(either(not_zero(r), no_limit(f)), denormals());
  if (op == IrOp::kFMul) inexact = either(inexact, bin(IrOp::kAnd, Type::kI32, not_zero(a), not_zero(b)));
  if (op == IrOp::kFDiv) inexact = either(inexact, not_zero(a));
  set_fp_low(f, fp_slow(and_then(doubtful, inexact), r, src, f.plain_low_result), true);
}

void Lifter::fp_packed(const Fp& f, IrOp op) {
  const Insn& i = *insn_;
  const Value b = source(), a = first();
  const bool plain_a = plain(f, first_register()), plain_b = !memory() && plain(f, i.rm);
  const Value r = vec(op, a, b);
  auto with_denormals = [&](Value mask) {
    if (!plain_a) mask = vec(IrOp::kVOr, mask, denormal_lanes(f, a));
    if (!plain_b) mask = vec(IrOp::kVOr, mask, denormal_lanes(f, b));
    return mask;
  };
  auto zero = [&](Value v) { return vec(f.eq, v, v128(0, 0)); };
  const Value doubtful = any_lane(f, with_denormals(extraordinary_lanes(f, r)));
  Value exact = zero(r);
  if (op == f.mul) exact = vec(IrOp::kVAnd, exact, vec(IrOp::kVOr, zero(a), zero(b)));
  if (op == f.div) exact = vec(IrOp::kVAnd, exact, zero(a));
  const Value inexact = any_lane(f, with_denormals(vec(IrOp::kVAndNot, extraordinary_lanes(f, r), exact)));
  set_xmm(i.reg, fp_slow(and_then(doubtful, either(inexact, no_limit(f))), r, b, f.plain_result));
  known(i.reg).plain = f.plain;
}

void Lifter::fp_sqrt(const Fp& f, bool packed) {
  const Insn& i = *insn_;
  if (packed) {
    const Value b = source();
    const Value doubtful = vec(IrOp::kVOr, extraordinary_lanes(f, b), vec(f.lt, b, v128(0, 0)));
    set_xmm(i.reg, fp_slow(any_lane(f, doubtful), vec(f.sqrt, b), b));
    return;
  }
  const Value src = source_low(f.size), b = fp_source(f, src);
  const Value doubtful = either(extraordinary(f, b), bin(IrOp::kFLt, f.type, b, number(f, 0)));
  set_fp_low(f, fp_slow(doubtful, emit(IrOp::kFSqrt, f.type, b), src, f.plain_low_result), true);
}

// MIN and MAX: the second operand for NaNs, which are not seen here, and for two zeros.
void Lifter::fp_extreme(const Fp& f, IrOp op, bool packed) {
  const Insn& i = *insn_;
  if (packed) {
    const Value b = source(), a = first();
    const bool stays = plain(f, first_register()) && !memory() && plain(f, i.rm);
    Value doubtful = vec(IrOp::kVOr, vec(f.ne, a, a), vec(f.ne, b, b));
    if (!stays) doubtful = vec(IrOp::kVOr, doubtful, vec(IrOp::kVOr, denormal_lanes(f, a), denormal_lanes(f, b)));
    set_xmm(i.reg, fp_slow(any_lane(f, doubtful), vec(op, b, a), b));
    if (stays) known(i.reg).plain = f.plain;
    return;
  }
  const Value src = source_low(f.size), a = fp_low(f, first_register()), b = fp_source(f, src);
  const bool plain_a = plain_low(f, first_register()), plain_b = !memory() && plain_low(f, i.rm);
  const Value doubtful = either(unordered(f, a, b), either(denormal(f, a, plain_a), denormal(f, b, plain_b)));
  const Value r = emit(f.lane, Type::kV128, vec(op, src, first()));
  set_fp_low(f, fp_slow(doubtful, r, src), plain_a && plain_b);
}

bool Lifter::fp_arith() {
  const Fp &f32 = Fp::f32, &f64 = Fp::f64;
  switch (insn_->op) {
#define FOUR(NAME, SCALAR, PACKED)                                    \
  case OP_##NAME##SS_VxWd: fp_scalar(f32, IrOp::SCALAR); return true; \
  case OP_##NAME##SD_VxWq: fp_scalar(f64, IrOp::SCALAR); return true; \
  case OP_##NAME##PS_VxWx: fp_packed(f32, f32.PACKED); return true;   \
  case OP_##NAME##PD_VxWx: fp_packed(f64, f64.PACKED); return true;
    FOUR(ADD, kFAdd, add)
    FOUR(SUB, kFSub, sub)
    FOUR(MUL, kFMul, mul)
    FOUR(DIV, kFDiv, div)
#undef FOUR
#define FOUR(NAME, CALL)                                  \
  case OP_##NAME##SS_VxWd: CALL(f32, false); return true; \
  case OP_##NAME##SD_VxWq: CALL(f64, false); return true; \
  case OP_##NAME##PS_VxWx: CALL(f32, true); return true;  \
  case OP_##NAME##PD_VxWx: CALL(f64, true); return true;
#define MIN(F, PACKED) fp_extreme(F, (F).min, PACKED)
#define MAX(F, PACKED) fp_extreme(F, (F).max, PACKED)
    FOUR(SQRT, fp_sqrt)
    FOUR(MIN, MIN)
    FOUR(MAX, MAX)
#undef MIN
#undef MAX
#undef FOUR
    default: return false;
  }
}

// ---- comparisons ---------------------------------------------------------------------------------

// CMPPS and its kin (SDM Vol. 2, table 3-1). NaNs and denormals are not seen here.
void Lifter::fp_predicate(const Fp& f, bool packed) {
  const Insn& i = *insn_;
  const Value src = packed ? source() : source_low(f.size);
  const Value a = first();
  Value doubtful;
  if (packed) {
    doubtful = vec(IrOp::kVOr, vec(f.ne, a, a), vec(f.ne, src, src));
    if (!plain(f, first_register())) doubtful = vec(IrOp::kVOr, doubtful, denormal_lanes(f, a));
    if (memory() || !plain(f, i.rm)) doubtful = vec(IrOp::kVOr, doubtful, denormal_lanes(f, src));
    doubtful = any_lane(f, doubtful);
  } else {
    const bool plain_a = plain_low(f, first_register()), plain_b = !memory() && plain_low(f, i.rm);
    const Value x = fp_low(f, first_register()), y = fp_source(f, src);
    doubtful = either(unordered(f, x, y), either(denormal(f, x, plain_a), denormal(f, y, plain_b)));
  }
  Value r;
  switch (i.imm & 3) {
    case 0: r = vec(f.eq, a, src); break;
    case 1: r = vec(f.lt, a, src); break;
    case 2: r = vec(f.le, a, src); break;
    default: r = v128(0, 0); break;
  }
  if (i.imm & 4) r = vec(IrOp::kVNot, r);
  if (!packed) r = f.size == 3 ? shuffle_of(3, r, a, {0, 3}) : shuffle_of(2, r, a, {0, 5, 6, 7});
  set_xmm(i.reg, fp_slow(doubtful, r, src));
}

void Lifter::fp_compare_flags(const Fp& f) {
  const Insn& i = *insn_;
  const Value src = source_low(f.size), x = fp_low(f, i.reg), y = fp_source(f, src);
  const bool plain_x = plain_low(f, i.reg), plain_y = !memory() && plain_low(f, i.rm);
  const Value doubtful = either(unordered(f, x, y), either(denormal(f, x, plain_x), denormal(f, y, plain_y)));
  emit(IrOp::kFpCheck, Type::kNone, doubtful, src, 0, simd_call(i, i.reg));
  const Value cf = emit(IrOp::kEqz, Type::kI32, bin(IrOp::kFGe, f.type, x, y));
  const Value zf = emit(IrOp::kEqz, Type::kI32, either(bin(IrOp::kFLt, f.type, x, y), bin(IrOp::kFGt, f.type, x, y)));
  set_flags(FlagOp::kCompare, 2, cf, zf);
  flags_.x = x;
  flags_.y = y;
}

// Of FlagOp::kCompare and kTest.
Value Lifter::compared_condition(unsigned cc) {
  const bool negate = cc & 1;
  auto whether = [&](Value v) { return negate ? emit(IrOp::kEqz, Type::kI32, v) : v; };
  const Value x = flags_.x, y = flags_.y;
  const Type t = x ? type_of(x) : Type::kNone;
  enum { kO, kB, kE, kBE, kS, kP, kL, kLE };
  switch (cc >> 1) {
    case kB:
      if (x && negate) return bin(IrOp::kFGe, t, x, y);
      return whether(flags_.a);
    case kE:
    case kLE:  // SF and OF are 0
      if (x && negate) return either(bin(IrOp::kFLt, t, x, y), bin(IrOp::kFGt, t, x, y));
      return whether(flags_.b);
    case kBE:
      if (x) return negate ? bin(IrOp::kFGt, t, x, y) : emit(IrOp::kEqz, Type::kI32, bin(IrOp::kFGt, t, x, y));
      return whether(either(flags_.a, flags_.b));
    case kP:
      if (flags_.op == FlagOp::kTest) return c32(negate);
      return whether(bin(IrOp::kAnd, Type::kI32, flags_.a, flags_.b));
    default: return c32(negate);
  }
}

bool Lifter::fp_compare() {
  switch (insn_->op) {
    case OP_CMPSS_VxWdIb: fp_predicate(Fp::f32, false); return true;
    case OP_CMPSD_VxWqIb: fp_predicate(Fp::f64, false); return true;
    case OP_CMPPS_VxWxIb: fp_predicate(Fp::f32, true); return true;
    case OP_CMPPD_VxWxIb: fp_predicate(Fp::f64, true); return true;
    case OP_UCOMISS_VxWd:
    case OP_COMISS_VxWd: fp_compare_flags(Fp::f32); return true;
    case OP_UCOMISD_VxWq:
    case OP_COMISD_VxWq: fp_compare_flags(Fp::f64); return true;
    default: return false;
  }
}

// ---- conversions ---------------------------------------------------------------------------------

// CVTSI2SS, CVTSI2SD: exact if the integer has no more bits than the significand.
void Lifter::from_integer(const Fp& f) {
  const unsigned size = size_y();
  const Type t = type_for(size);
  const Value v = read_e(size);
  const Value r = emit(f.of, t, v);
  if (f.size == 3 && size == 2) return set_fp_low(f, r, true);
  const u64 most = u64{1} << (f.size == 3 ? 53 : 24);
  const Value large = bin_c(IrOp::kGtU, t, bin_c(IrOp::kAdd, t, v, most), 2 * most);
  const Value src = emit(size == 3 ? IrOp::kSplat64 : IrOp::kSplat32, t, v);
  set_fp_low(f, fp_slow(bin(IrOp::kAnd, Type::kI32, large, no_limit(f)), r, src), true);
}

// CVTSD2SI and its kin: an exact conversion has no flags; another one may only be inexact.
void Lifter::to_integer(const Fp& f, bool truncate) {
  const unsigned size = size_y();
  const Type t = type_for(size);
  const Value src = source_low(f.size), x = fp_source(f, src);
  const Value whole = truncate ? x : emit(IrOp::kFNearest, f.type, x);
  const Value r = emit(size == 3 ? IrOp::kTruncSat64 : IrOp::kTruncSat32, f.type, whole);
  Value doubtful = bin(IrOp::kFNe, f.type, emit(f.of, t, r), x);
  // What is too large saturates to a number that the format may round to the operand.
  if (f.size == 2 || size == 3)
    doubtful = either(doubtful, bin_c(IrOp::kEq, t, r, size == 3 ? ~u64{0} >> 1 : 0x7fffffff));
  const u64 bound32 = size == 3 ? 0x5f000000 : 0x4f000000;  // 2^63, 2^31
  const u64 bound64 = size == 3 ? 0x43e0000000000000 : 0x41e0000000000000;
  const Value small =
      bin(IrOp::kFLt, f.type, emit(IrOp::kFAbs, f.type, whole), number(f, f.size == 3 ? bound64 : bound32));
  const Value wrong = either(emit(IrOp::kEqz, Type::kI32, small), no_limit(f));
  set(insn_->reg, to_word(fp_slow(and_then(doubtful, wrong), r, src)));
}

bool Lifter::fp_convert() {
  const Insn& i = *insn_;
  const Fp &f32 = Fp::f32, &f64 = Fp::f64;
  auto low_two = [&](Value mask) { return bin_c(IrOp::kAnd, Type::kI32, emit(IrOp::kMask32, Type::kV128, mask), 3); };
  switch (i.op) {
    case OP_CVTSI2SS_VxEy: from_integer(f32); return true;
    case OP_CVTSI2SD_VxEy: from_integer(f64); return true;
    case OP_CVTSS2SI_GyWd: to_integer(f32, false); return true;
    case OP_CVTTSS2SI_GyWd: to_integer(f32, true); return true;
    case OP_CVTSD2SI_GyWq: to_integer(f64, false); return true;
    case OP_CVTTSD2SI_GyWq: to_integer(f64, true); return true;
    case OP_CVTSS2SD_VxWd: {
      const Value src = source_low(2), x = fp_source(f32, src);
      const Value doubtful =
          either(bin(IrOp::kFNe, Type::kF32, x, x), denormal(f32, x, !memory() && plain_low(f32, i.rm)));
      set_fp_low(f64, fp_slow(doubtful, emit(IrOp::kPromote, Type::kF32, x), src), true);
      return true;
    }
    case OP_CVTSD2SS_VxWq: {
      const Value src = source_low(3), x = fp_source(f64, src);
      const Value r = emit(IrOp::kDemote, Type::kF64, x);
      const Value inexact = either(bin(IrOp::kFNe, Type::kF64, x, number(f64, 0)), no_limit(f32));
      set_fp_low(f32, fp_slow(and_then(extraordinary(f32, r), inexact), r, src, f32.plain_low_result), true);
      return true;
    }
    case OP_CVTPS2PD_VxWq: {
      const Value src = source_low(3);
      const Value doubtful = vec(IrOp::kVOr, vec(IrOp::kNeF32, src, src), denormal_lanes(f32, src));
      set_xmm(i.reg, fp_slow(low_two(doubtful), vec(IrOp::kPromoteF32x2, src), src));
      known(i.reg).plain = f64.plain;
      return true;
    }
    case OP_CVTPD2PS_VxWx: {
      const Value src = source(), r = vec(IrOp::kDemoteF64x2, src);
      set_xmm(i.reg, fp_slow(low_two(extraordinary_lanes(f32, r)), r, src, f32.plain_result));
      known(i.reg).plain = f32.plain;
      return true;
    }
    case OP_CVTDQ2PD_VxWq:
      set_xmm(i.reg, vec(IrOp::kF64x2Of, source_low(3)));
      known(i.reg).plain = f64.plain;
      return true;
    case OP_CVTDQ2PS_VxWx: {
      const Value src = source();
      const Value large = vec(IrOp::kGeU32, vec(IrOp::kAdd32, src, v128_of32(1 << 24)), v128_of32((2 << 24) + 1));
      const Value inexact = bin(IrOp::kAnd, Type::kI32, emit(IrOp::kAnyTrue, Type::kV128, large), no_limit(f32));
      set_xmm(i.reg, fp_slow(inexact, vec(IrOp::kF32x4Of, src), src));
      known(i.reg).plain = f32.plain;
      return true;
    }
    case OP_CVTPS2DQ_VxWx:
    case OP_CVTTPS2DQ_VxWx: {
      const Value src = source();
      const Value whole = i.op == OP_CVTPS2DQ_VxWx ? vec(IrOp::kNearestF32, src) : src;
      const Value r = vec(IrOp::kTruncSatF32x4, whole);
      const Value doubtful =
          vec(IrOp::kVOr, vec(IrOp::kNeF32, vec(IrOp::kF32x4Of, r), src), vec(IrOp::kEq32, r, v128_of32(0x7fffffff)));
      const Value small = vec(IrOp::kLtF32, vec(IrOp::kVAnd, whole, v128_of32(0x7fffffff)), v128_of32(0x4f000000));
      const Value wrong = either(emit(IrOp::kAnyTrue, Type::kV128, vec(IrOp::kVNot, small)), no_limit(f32));
      set_xmm(i.reg, fp_slow(and_then(any_lane(f32, doubtful), wrong), r, src));
      return true;
    }
    default: return false;
  }
}

// ---- the rest ------------------------------------------------------------------------------------

// ROUNDSS, ROUNDSD: imm[1:0] rounding mode, imm[2] MXCSR's instead, imm[3] no inexact exception.
void Lifter::fp_round(const Fp& f) {
  const Insn& i = *insn_;
  static constexpr IrOp ops[4] = {IrOp::kFNearest, IrOp::kFFloor, IrOp::kFCeil, IrOp::kFTrunc};
  const bool by_mxcsr = i.imm & 4, quiet = i.imm & 8;
  const Value src = source_low(f.size), x = fp_source(f, src);
  const Value r = emit(by_mxcsr ? IrOp::kFNearest : ops[i.imm & 3], f.type, x);
  Value doubtful = either(bin(IrOp::kFNe, f.type, x, x), denormal(f, x, !memory() && plain_low(f, i.rm)));
  if (by_mxcsr)
    doubtful = either(doubtful, no_limit(f));
  else if (!quiet)
    doubtful = either(doubtful, bin(IrOp::kAnd, Type::kI32, bin(IrOp::kFNe, f.type, r, x), no_limit(f)));
  set_fp_low(f, fp_slow(doubtful, r, src), false);
}

void Lifter::fp_call_out(const Fp* f) {
  if (!f) return simd_call_out();
  const Value src = source_low(f->size);
  set_xmm(insn_->reg, fp_slow(c32(1), first(), src));
}

bool Lifter::fp_other() {
  switch (insn_->op) {
    case OP_ROUNDSS_VxWdIb: fp_round(Fp::f32); return true;
    case OP_ROUNDSD_VxWqIb: fp_round(Fp::f64); return true;
    case OP_RCPSS_VxWd:
    case OP_RSQRTSS_VxWd: fp_call_out(&Fp::f32); return true;
    case OP_RCPPS_VxWx:
    case OP_RSQRTPS_VxWx:
    case OP_HADDPS_VxWx:
    case OP_HADDPD_VxWx:
    case OP_HSUBPS_VxWx:
    case OP_HSUBPD_VxWx:
    case OP_ADDSUBPS_VxWx:
    case OP_ADDSUBPD_VxWx:
    case OP_DPPS_VxWxIb:
    case OP_DPPD_VxWxIb:
    case OP_ROUNDPS_VxWxIb:
    case OP_ROUNDPD_VxWxIb:
    case OP_CVTPD2DQ_VxWx:
    case OP_CVTTPD2DQ_VxWx: fp_call_out(nullptr); return true;
    default: return false;
  }
}

bool Lifter::insn_fp() { return fp_arith() || fp_compare() || fp_convert() || fp_other(); }

}  // namespace oriel::jit
