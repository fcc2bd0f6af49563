// x87 arithmetic and comparisons.
// Sources: SDM Vol. 1, 8.3 (instructions), 8.5 (exceptions); Vol. 2.
#include "cpu/x87.h"

namespace oriel {

using namespace x87;

namespace {

using Binary = F80 (*)(F80, F80, FloatEnv&);
F80 sub_reversed(F80 a, F80 b, FloatEnv& e) { return f80_sub(b, a, e); }
F80 div_reversed(F80 a, F80 b, FloatEnv& e) { return f80_div(b, a, e); }

constexpr bool is_nan32(u32 v) { return (v & 0x7fffffff) > 0x7f800000; }
constexpr bool is_nan64(u64 v) { return (v & 0x7fffffffffffffff) > 0x7ff0000000000000; }

}  // namespace

F80 x87::widen(u32 v, FloatEnv& e) {
  if (is_nan32(v)) return {u64{v} << 40 | u64{1} << 63, static_cast<u16>((v >> 16 & 0x8000) | 0x7fff)};
  FloatEnv own;
  F80 r = f80_from_f32(v, own);
  e.denormal_operand = own.flags & kFeDenormal;
  return r;
}
F80 x87::widen(u64 v, FloatEnv& e) {
  if (is_nan64(v)) return {v << 11 | u64{1} << 63, static_cast<u16>((v >> 48 & 0x8000) | 0x7fff)};
  FloatEnv own;
  F80 r = f80_from_f64(v, own);
  e.denormal_operand = own.flags & kFeDenormal;
  return r;
}

namespace {

// Reads a memory operand of T; false: faulted.
template <class T>
bool source(Cpu& c, const Insn& i, T& v) {
  if (!c.check_x87()) return false;
  const u64 ea = c.ea(i);
  if (!c.read<std::make_unsigned_t<T>>(i.seg, ea, reinterpret_cast<std::make_unsigned_t<T>&>(v))) return false;
  note_data(c, i, ea);
  return true;
}

// ---- arithmetic --------------------------------------------------------------------------------

template <class T, Binary Fn>
bool arith_mem(Cpu& c, const Insn& i) {
  T v;
  if (!source(c, i, v)) return false;
  if (empty(c, 0)) {
    if (underflow(c)) set_st(c, 0, kF80DefaultNan);
    return true;
  }
  FloatEnv e = env_of(c);
  F80 b = widen(v, e);
  F80 r = Fn(st(c, 0), b, e);
  report(c, e);
  if (!suppressed(e)) set_st(c, 0, r);
  return true;
}

// ST(dst) = Fn(ST(dst), ST(src))
template <Binary Fn>
bool arith_reg(Cpu& c, const Insn& i, unsigned dst, unsigned src, bool do_pop) {
  if (!begin(c, i)) return false;
  if (empty(c, dst) || empty(c, src)) {
    if (!underflow(c)) return true;
    set_st(c, dst, kF80DefaultNan);
  } else {
    FloatEnv e = env_of(c);
    F80 r = Fn(st(c, dst), st(c, src), e);
    report(c, e);
    if (suppressed(e)) return true;
    set_st(c, dst, r);
  }
  if (do_pop) pop(c);
  return true;
}

// ---- comparisons -------------------------------------------------------------------------------

constexpr u16 kUnordered = kSwC3 | kSwC2 | kSwC0;
u16 condition_codes(FloatCmp r) {
  switch (r) {
    case kCmpLess: return kSwC0;
    case kCmpEqual: return kSwC3;
    case kCmpGreater: return 0;
    default: return kUnordered;
  }
}

// True when the instruction goes on to pop.
bool compare_cc(Cpu& c, F80 a, F80 b, bool quiet, FloatEnv& e) {
  FloatCmp r = f80_compare(a, b, quiet, e);
  report(c, e.flags);
  set_c1(c, false);
  if (suppressed(e)) return false;
  set_cc(c, condition_codes(r));
  return true;
}

template <class T>
bool compare_mem(Cpu& c, const Insn& i, bool do_pop) {
  T v;
  if (!source(c, i, v)) return false;
  if (empty(c, 0)) {
    if (!underflow(c)) return true;
    set_cc(c, kUnordered);
  } else {
    FloatEnv e = env_of(c);
    F80 b = widen(v, e);
    if (!compare_cc(c, st(c, 0), b, false, e)) return true;
  }
  if (do_pop) pop(c);
  return true;
}

bool compare_reg(Cpu& c, const Insn& i, unsigned n, bool quiet, unsigned pops) {
  if (!begin(c, i)) return false;
  if (empty(c, 0) || empty(c, n)) {
    if (!underflow(c)) return true;
    set_cc(c, kUnordered);
  } else {
    FloatEnv e = env_of(c);
    if (!compare_cc(c, st(c, 0), st(c, n), quiet, e)) return true;
  }
  for (; pops; pops--) pop(c);
  return true;
}

// FCOMI and its kin: ZF, PF, CF; OF, SF and AF are cleared.
bool compare_flags(Cpu& c, const Insn& i, bool quiet, bool do_pop) {
  if (!begin(c, i)) return false;
  FloatCmp r = kCmpUnordered;
  if (empty(c, 0) || empty(c, i.rm)) {
    if (!underflow(c)) return true;
  } else {
    FloatEnv e = env_of(c);
    r = f80_compare(st(c, 0), st(c, i.rm), quiet, e);
    report(c, e.flags);
    set_c1(c, false);
    if (suppressed(e)) return true;
  }
  static constexpr u32 flags[4] = {kCF, kZF, 0, kZF | kPF | kCF};
  c.set_arith_flags(flags[r]);
  if (do_pop) pop(c);
  return true;
}

}  // namespace

#define ARITH(NAME, FN)                                                                             \
  bool exec_F##NAME##_Mfd(Cpu& c, const Insn& i) { return arith_mem<u32, FN>(c, i); }               \
  bool exec_F##NAME##_Mfq(Cpu& c, const Insn& i) { return arith_mem<u64, FN>(c, i); }               \
  bool exec_FI##NAME##_Md(Cpu& c, const Insn& i) { return arith_mem<s32, FN>(c, i); }               \
  bool exec_FI##NAME##_Mw(Cpu& c, const Insn& i) { return arith_mem<s16, FN>(c, i); }               \
  bool exec_F##NAME##_ST0STi(Cpu& c, const Insn& i) { return arith_reg<FN>(c, i, 0, i.rm, false); } \
  bool exec_F##NAME##_STiST0(Cpu& c, const Insn& i) { return arith_reg<FN>(c, i, i.rm, 0, false); } \
  bool exec_F##NAME##P(Cpu& c, const Insn& i) { return arith_reg<FN>(c, i, i.rm, 0, true); }
ARITH(ADD, f80_add)
ARITH(MUL, f80_mul)
ARITH(SUB, f80_sub)
ARITH(SUBR, sub_reversed)
ARITH(DIV, f80_div)
ARITH(DIVR, div_reversed)
#undef ARITH

bool exec_FCOM_Mfd(Cpu& c, const Insn& i) { return compare_mem<u32>(c, i, false); }
bool exec_FCOMP_Mfd(Cpu& c, const Insn& i) { return compare_mem<u32>(c, i, true); }
bool exec_FCOM_Mfq(Cpu& c, const Insn& i) { return compare_mem<u64>(c, i, false); }
bool exec_FCOMP_Mfq(Cpu& c, const Insn& i) { return compare_mem<u64>(c, i, true); }
bool exec_FICOM_Md(Cpu& c, const Insn& i) { return compare_mem<s32>(c, i, false); }
bool exec_FICOMP_Md(Cpu& c, const Insn& i) { return compare_mem<s32>(c, i, true); }
bool exec_FICOM_Mw(Cpu& c, const Insn& i) { return compare_mem<s16>(c, i, false); }
bool exec_FICOMP_Mw(Cpu& c, const Insn& i) { return compare_mem<s16>(c, i, true); }
bool exec_FCOM_STi(Cpu& c, const Insn& i) { return compare_reg(c, i, i.rm, false, 0); }
bool exec_FCOMP_STi(Cpu& c, const Insn& i) { return compare_reg(c, i, i.rm, false, 1); }
bool exec_FCOM2_STi(Cpu& c, const Insn& i) { return compare_reg(c, i, i.rm, false, 0); }
bool exec_FCOMP3_STi(Cpu& c, const Insn& i) { return compare_reg(c, i, i.rm, false, 1); }
bool exec_FCOMP5_STi(Cpu& c, const Insn& i) { return compare_reg(c, i, i.rm, false, 1); }
bool exec_FCOMPP(Cpu& c, const Insn& i) { return compare_reg(c, i, 1, false, 2); }
bool exec_FUCOM(Cpu& c, const Insn& i) { return compare_reg(c, i, i.rm, true, 0); }
bool exec_FUCOMP(Cpu& c, const Insn& i) { return compare_reg(c, i, i.rm, true, 1); }
bool exec_FUCOMPP(Cpu& c, const Insn& i) { return compare_reg(c, i, 1, true, 2); }
bool exec_FCOMI(Cpu& c, const Insn& i) { return compare_flags(c, i, false, false); }
bool exec_FCOMIP(Cpu& c, const Insn& i) { return compare_flags(c, i, false, true); }
bool exec_FUCOMI(Cpu& c, const Insn& i) { return compare_flags(c, i, true, false); }
bool exec_FUCOMIP(Cpu& c, const Insn& i) { return compare_flags(c, i, true, true); }

bool exec_FTST(Cpu& c, const Insn& i) {
  if (!begin(c, i)) return false;
  if (empty(c, 0)) {
    if (underflow(c)) set_cc(c, kUnordered);
    return true;
  }
  FloatEnv e = env_of(c);
  compare_cc(c, st(c, 0), F80{0, 0}, false, e);
  return true;
}

bool exec_FXAM(Cpu& c, const Insn& i) {
  if (!begin(c, i)) return false;
  const F80 v = st(c, 0);
  const u16 sign = v.se & 0x8000 ? kSwC1 : 0;
  const u32 exp = v.se & 0x7fff;
  u16 cls;
  if (empty(c, 0))
    cls = kSwC3 | kSwC0;
  else if (exp == 0)
    cls = v.m ? kSwC3 | kSwC2 : kSwC3;  // a pseudo-denormal counts as denormal
  else if (!(v.m >> 63))
    cls = 0;  // unsupported
  else if (exp != 0x7fff)
    cls = kSwC2;
  else
    cls = v.m << 1 ? kSwC0 : kSwC2 | kSwC0;
  set_cc(c, cls | sign);
  return true;
}

// ---- one operand -------------------------------------------------------------------------------

namespace {

// ST(0) = Fn(ST(0))
template <F80 (*Fn)(F80, FloatEnv&)>
bool unary(Cpu& c, const Insn& i) {
  if (!begin(c, i)) return false;
  if (empty(c, 0)) {
    if (underflow(c)) set_st(c, 0, kF80DefaultNan);
    return true;
  }
  FloatEnv e = env_of(c);
  F80 r = Fn(st(c, 0), e);
  report(c, e);
  if (!suppressed(e)) set_st(c, 0, r);
  return true;
}

// ST(1) = Fn(ST(0), ST(1)), then pop.
template <F80 (*Fn)(F80, F80, FloatEnv&)>
bool binary_pop(Cpu& c, const Insn& i) {
  if (!begin(c, i)) return false;
  if (empty(c, 0) || empty(c, 1)) {
    if (!underflow(c)) return true;
    set_st(c, 1, kF80DefaultNan);
  } else {
    FloatEnv e = env_of(c);
    F80 r = Fn(st(c, 0), st(c, 1), e);
    report(c, e);
    if (suppressed(e)) return true;
    set_st(c, 1, r);
  }
  pop(c);
  return true;
}

// FSIN, FCOS: C2 = 1 and nothing else when the argument is out of range.
bool sine_or_cosine(Cpu& c, const Insn& i, bool sine) {
  if (!begin(c, i)) return false;
  c.fpu.sw &= static_cast<u16>(~kSwC2);
  if (empty(c, 0)) {
    if (underflow(c)) set_st(c, 0, kF80DefaultNan);
    return true;
  }
  FloatEnv e = env_of(c);
  F80 r;
  if (!fsincos(st(c, 0), sine ? &r : nullptr, sine ? nullptr : &r, nullptr, e)) {
    c.fpu.sw |= kSwC2;
    set_c1(c, false);
    return true;
  }
  report(c, e);
  if (!suppressed(e)) set_st(c, 0, r);
  return true;
}

// FSINCOS, FPTAN: the first result replaces ST(0), the second is pushed.
bool two_results(Cpu& c, const Insn& i, bool tangent) {
  if (!begin(c, i)) return false;
  c.fpu.sw &= static_cast<u16>(~kSwC2);
  const bool under = empty(c, 0), over = !empty(c, 7);
  if (under || over) {
    if (!(under ? underflow(c) : overflow(c))) return true;
    set_st(c, 0, kF80DefaultNan);
    push(c, kF80DefaultNan);
    return true;
  }
  FloatEnv e = env_of(c);
  F80 first, second = {u64{1} << 63, 0x3fff};
  if (!(tangent ? fsincos(st(c, 0), nullptr, nullptr, &first, e) : fsincos(st(c, 0), &first, &second, nullptr, e))) {
    c.fpu.sw |= kSwC2;
    set_c1(c, false);
    return true;
  }
  report(c, e);
  if (suppressed(e)) return true;
  const bool nan = (first.se & 0x7fff) == 0x7fff;  // both results are, then
  set_st(c, 0, first);
  push(c, tangent && nan ? first : second);
  return true;
}

}  // namespace

bool exec_FSQRT(Cpu& c, const Insn& i) { return unary<f80_sqrt>(c, i); }
bool exec_FRNDINT(Cpu& c, const Insn& i) { return unary<f80_round_int>(c, i); }
bool exec_F2XM1(Cpu& c, const Insn& i) { return unary<f2xm1>(c, i); }
bool exec_FYL2X(Cpu& c, const Insn& i) { return binary_pop<fyl2x>(c, i); }
bool exec_FYL2XP1(Cpu& c, const Insn& i) { return binary_pop<fyl2xp1>(c, i); }
bool exec_FPATAN(Cpu& c, const Insn& i) { return binary_pop<fpatan>(c, i); }
bool exec_FSIN(Cpu& c, const Insn& i) { return sine_or_cosine(c, i, true); }
bool exec_FCOS(Cpu& c, const Insn& i) { return sine_or_cosine(c, i, false); }
bool exec_FSINCOS(Cpu& c, const Insn& i) { return two_results(c, i, false); }
bool exec_FPTAN(Cpu& c, const Insn& i) { return two_results(c, i, true); }

namespace {
bool change_sign(Cpu& c, const Insn& i, u16 keep, u16 flip) {
  if (!begin(c, i)) return false;
  set_c1(c, false);
  if (empty(c, 0)) {
    if (underflow(c)) set_st(c, 0, kF80DefaultNan);
    return true;
  }
  F80& v = st(c, 0);
  v.se = static_cast<u16>((v.se & keep) ^ flip);
  return true;
}
}  // namespace
bool exec_FCHS(Cpu& c, const Insn& i) { return change_sign(c, i, 0xffff, 0x8000); }
bool exec_FABS(Cpu& c, const Insn& i) { return change_sign(c, i, 0x7fff, 0); }

}  // namespace oriel
