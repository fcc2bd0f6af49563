// SSE floating-point arithmetic and comparisons. SDM Vol. 2; Vol. 1, 11.5.
#include <cmath>

#include "cpu/simd_fp.h"

namespace oriel {

using namespace simd;

namespace {

// ---- operations on one lane ----------------------------------------------------------------------

enum class Arith { kAdd, kSub, kMul, kDiv };

template <Arith kOp>
u32 exact(u32 a, u32 b, FloatEnv& e) {
  if constexpr (kOp == Arith::kAdd) return f32_add(a, b, e);
  if constexpr (kOp == Arith::kSub) return f32_sub(a, b, e);
  if constexpr (kOp == Arith::kMul) return f32_mul(a, b, e);
  return f32_div(a, b, e);
}
template <Arith kOp>
u64 exact(u64 a, u64 b, FloatEnv& e) {
  if constexpr (kOp == Arith::kAdd) return f64_add(a, b, e);
  if constexpr (kOp == Arith::kSub) return f64_sub(a, b, e);
  if constexpr (kOp == Arith::kMul) return f64_mul(a, b, e);
  return f64_div(a, b, e);
}

template <Arith kOp>
struct Binary {
  template <class B>
  static ORIEL_INLINE B op(B a, B b, bool host, FloatEnv& e) {
    if (ORIEL_LIKELY(host && plain(a) && plain(b))) {
      using H = typename Format<B>::Host;
      const H x = std::bit_cast<H>(a), y = std::bit_cast<H>(b);
      H r;
      if constexpr (kOp == Arith::kAdd) r = x + y;
      if constexpr (kOp == Arith::kSub) r = x - y;
      if constexpr (kOp == Arith::kMul) r = x * y;
      if constexpr (kOp == Arith::kDiv) r = x / y;
      const B bits = std::bit_cast<B>(r);
      if (ORIEL_LIKELY(ordinary(bits))) return bits;
      // A sum that is zero is exact; so is a product or quotient of a zero.
      if (static_cast<B>(bits << 1) == 0) {
        if constexpr (kOp == Arith::kAdd || kOp == Arith::kSub) return bits;
        if (static_cast<B>(a << 1) == 0 || (kOp == Arith::kMul && static_cast<B>(b << 1) == 0)) return bits;
      }
    }
    return exact<kOp>(a, b, e);
  }
};

struct Sqrt {
  static ORIEL_INLINE u32 op(u32, u32 b, bool host, FloatEnv& e) {
    if (host && ordinary(b) && !(b >> 31)) return std::bit_cast<u32>(std::sqrt(std::bit_cast<float>(b)));
    return f32_sqrt(b, e);
  }
  static ORIEL_INLINE u64 op(u64, u64 b, bool host, FloatEnv& e) {
    if (host && ordinary(b) && !(b >> 63)) return std::bit_cast<u64>(std::sqrt(std::bit_cast<double>(b)));
    return f64_sqrt(b, e);
  }
};

FloatCmp compare(u32 a, u32 b, bool quiet, FloatEnv& e) { return f32_compare(a, b, quiet, e); }
FloatCmp compare(u64 a, u64 b, bool quiet, FloatEnv& e) { return f64_compare(a, b, quiet, e); }

// The first operand when the comparison gives kWant, else the second: so for NaNs and for two zeros.
template <FloatCmp kWant>
struct Extreme {
  template <class B>
  static ORIEL_INLINE B op(B a, B b, bool, FloatEnv& e) {
    const B r = compare(a, b, false, e) == kWant ? a : b;
    constexpr B kSign = B{1} << (sizeof(B) * 8 - 1);
    const B mag = r & ~kSign;
    if (e.daz && mag && !(mag >> Format<B>::kFraction)) return r & kSign;
    return r;
  }
};

template <class B>
B predicate(B a, B b, unsigned p, FloatEnv& e) {
  p &= 7;
  const bool quiet = p == 0 || p == 3 || p == 4 || p == 7;
  const FloatCmp r = compare(a, b, quiet, e);
  static constexpr u8 truth[4] = {// bit r: the predicate holds for that outcome (less, equal, greater, unordered)
                                  1 << kCmpEqual, 1 << kCmpLess, 1 << kCmpLess | 1 << kCmpEqual, 1 << kCmpUnordered};
  const bool holds = (truth[p & 3] >> r & 1) != (p >> 2);
  return holds ? static_cast<B>(~B{0}) : B{0};
}

// ---- instructions --------------------------------------------------------------------------------

// All lanes: reg = Op(reg, r/m).
template <class B, class Op>
bool packed(Cpu& c, const Insn& i) {
  V128 s;
  if (!sse_ready(c) || !xmm_source(c, i, s)) return false;
  FloatEnv e = sse_env(c);
  const bool host = host_arithmetic(c);
  auto a = lanes<B>(c.xmm[i.reg]);
  const auto b = lanes<B>(s);
  for (usize k = 0; k < a.size(); k++) a[k] = Op::op(a[k], b[k], host, e);
  if (!sse_finish(c, e)) return false;
  c.xmm[i.reg] = join<V128>(a);
  return true;
}
template <class B>
ORIEL_INLINE B& low(V128& v) {
  if constexpr (sizeof(B) == 4)
    return v.d[0];
  else
    return v.q[0];
}
template <class B, class Op>
bool scalar(Cpu& c, const Insn& i) {
  B s;
  if (!sse_ready(c) || !xmm_source_low<B>(c, i, s)) return false;
  FloatEnv e = sse_env(c);
  const B r = Op::op(low<B>(c.xmm[i.reg]), s, host_arithmetic(c), e);
  if (!sse_finish(c, e)) return false;
  low<B>(c.xmm[i.reg]) = r;
  return true;
}

}  // namespace

#define FOUR(NAME, ...)                                                                       \
  bool exec_##NAME##PS_VxWx(Cpu& c, const Insn& i) { return packed<u32, __VA_ARGS__>(c, i); } \
  bool exec_##NAME##PD_VxWx(Cpu& c, const Insn& i) { return packed<u64, __VA_ARGS__>(c, i); } \
  bool exec_##NAME##SS_VxWd(Cpu& c, const Insn& i) { return scalar<u32, __VA_ARGS__>(c, i); } \
  bool exec_##NAME##SD_VxWq(Cpu& c, const Insn& i) { return scalar<u64, __VA_ARGS__>(c, i); }
FOUR(ADD, Binary<Arith::kAdd>)
FOUR(SUB, Binary<Arith::kSub>)
FOUR(MUL, Binary<Arith::kMul>)
FOUR(DIV, Binary<Arith::kDiv>)
FOUR(SQRT, Sqrt)
FOUR(MIN, Extreme<kCmpLess>)
FOUR(MAX, Extreme<kCmpGreater>)
#undef FOUR

// ---- comparisons ---------------------------------------------------------------------------------

namespace {

template <class B>
bool packed_compare(Cpu& c, const Insn& i) {
  V128 s;
  if (!sse_ready(c) || !xmm_source(c, i, s)) return false;
  FloatEnv e = sse_env(c);
  auto a = lanes<B>(c.xmm[i.reg]);
  const auto b = lanes<B>(s);
  for (usize k = 0; k < a.size(); k++) a[k] = predicate(a[k], b[k], static_cast<unsigned>(i.imm), e);
  if (!sse_finish(c, e)) return false;
  c.xmm[i.reg] = join<V128>(a);
  return true;
}
template <class B>
bool scalar_compare(Cpu& c, const Insn& i) {
  B s;
  if (!sse_ready(c) || !xmm_source_low<B>(c, i, s)) return false;
  FloatEnv e = sse_env(c);
  const B r = predicate(low<B>(c.xmm[i.reg]), s, static_cast<unsigned>(i.imm), e);
  if (!sse_finish(c, e)) return false;
  low<B>(c.xmm[i.reg]) = r;
  return true;
}
template <class B>
bool compare_flags(Cpu& c, const Insn& i, bool quiet) {
  B s;
  if (!sse_ready(c) || !xmm_source_low<B>(c, i, s)) return false;
  FloatEnv e = sse_env(c);
  const FloatCmp r = compare(low<B>(c.xmm[i.reg]), s, quiet, e);
  if (!sse_finish(c, e)) return false;
  static constexpr u32 flags[4] = {kCF, kZF, 0, kZF | kPF | kCF};
  c.set_arith_flags(flags[r]);
  return true;
}

}  // namespace

bool exec_CMPPS_VxWxIb(Cpu& c, const Insn& i) { return packed_compare<u32>(c, i); }
bool exec_CMPPD_VxWxIb(Cpu& c, const Insn& i) { return packed_compare<u64>(c, i); }
bool exec_CMPSS_VxWdIb(Cpu& c, const Insn& i) { return scalar_compare<u32>(c, i); }
bool exec_CMPSD_VxWqIb(Cpu& c, const Insn& i) { return scalar_compare<u64>(c, i); }
bool exec_UCOMISS_VxWd(Cpu& c, const Insn& i) { return compare_flags<u32>(c, i, true); }
bool exec_UCOMISD_VxWq(Cpu& c, const Insn& i) { return compare_flags<u64>(c, i, true); }
bool exec_COMISS_VxWd(Cpu& c, const Insn& i) { return compare_flags<u32>(c, i, false); }
bool exec_COMISD_VxWq(Cpu& c, const Insn& i) { return compare_flags<u64>(c, i, false); }

// ---- across lanes --------------------------------------------------------------------------------

namespace {

template <class B, bool kSubtract>
bool horizontal(Cpu& c, const Insn& i) {
  V128 s;
  if (!sse_ready(c) || !xmm_source(c, i, s)) return false;
  FloatEnv e = sse_env(c);
  const bool host = host_arithmetic(c);
  const auto a = lanes<B>(c.xmm[i.reg]), b = lanes<B>(s);
  auto r = a;
  constexpr usize half = r.size() / 2;
  using Op = Binary<kSubtract ? Arith::kSub : Arith::kAdd>;
  for (usize k = 0; k < half; k++) {
    r[k] = Op::op(a[2 * k], a[2 * k + 1], host, e);
    r[half + k] = Op::op(b[2 * k], b[2 * k + 1], host, e);
  }
  if (!sse_finish(c, e)) return false;
  c.xmm[i.reg] = join<V128>(r);
  return true;
}
template <class B>
bool add_subtract(Cpu& c, const Insn& i) {
  V128 s;
  if (!sse_ready(c) || !xmm_source(c, i, s)) return false;
  FloatEnv e = sse_env(c);
  const bool host = host_arithmetic(c);
  auto a = lanes<B>(c.xmm[i.reg]);
  const auto b = lanes<B>(s);
  for (usize k = 0; k < a.size(); k++)
    a[k] = k & 1 ? Binary<Arith::kAdd>::op(a[k], b[k], host, e) : Binary<Arith::kSub>::op(a[k], b[k], host, e);
  if (!sse_finish(c, e)) return false;
  c.xmm[i.reg] = join<V128>(a);
  return true;
}
// Products of the lanes that imm[7:4] chooses, summed in pairs, into the lanes that imm[3:0] chooses.
template <class B>
bool dot_product(Cpu& c, const Insn& i) {
  V128 s;
  if (!sse_ready(c) || !xmm_source(c, i, s)) return false;
  const bool host = host_arithmetic(c);
  const auto a = lanes<B>(c.xmm[i.reg]), b = lanes<B>(s);
  auto p = a;
  FloatEnv e = sse_env(c);
  for (usize k = 0; k < p.size(); k++)
    p[k] = i.imm >> (4 + k) & 1 ? Binary<Arith::kMul>::op(a[k], b[k], host, e) : B{0};
  if (!sse_finish(c, e)) return false;
  e.flags = 0;
  B sum = Binary<Arith::kAdd>::op(p[0], p[1], host, e);
  if constexpr (sizeof(B) == 4) {
    B upper = Binary<Arith::kAdd>::op(p[2], p[3], host, e);
    if (!sse_finish(c, e)) return false;
    e.flags = 0;
    sum = Binary<Arith::kAdd>::op(sum, upper, host, e);
  }
  if (!sse_finish(c, e)) return false;
  for (usize k = 0; k < p.size(); k++) p[k] = i.imm >> k & 1 ? sum : B{0};
  c.xmm[i.reg] = join<V128>(p);
  return true;
}

}  // namespace

bool exec_HADDPS_VxWx(Cpu& c, const Insn& i) { return horizontal<u32, false>(c, i); }
bool exec_HADDPD_VxWx(Cpu& c, const Insn& i) { return horizontal<u64, false>(c, i); }
bool exec_HSUBPS_VxWx(Cpu& c, const Insn& i) { return horizontal<u32, true>(c, i); }
bool exec_HSUBPD_VxWx(Cpu& c, const Insn& i) { return horizontal<u64, true>(c, i); }
bool exec_ADDSUBPS_VxWx(Cpu& c, const Insn& i) { return add_subtract<u32>(c, i); }
bool exec_ADDSUBPD_VxWx(Cpu& c, const Insn& i) { return add_subtract<u64>(c, i); }
bool exec_DPPS_VxWxIb(Cpu& c, const Insn& i) { return dot_product<u32>(c, i); }
bool exec_DPPD_VxWxIb(Cpu& c, const Insn& i) { return dot_product<u64>(c, i); }

// ---- approximations ------------------------------------------------------------------------------
// The manual bounds the relative error by 1.5 * 2^-12 and leaves the bits to the processor: these are the true
// values rounded to 12 significant bits. No exceptions; denormals count as zeros.

namespace {

u32 round_to_12_bits(double v) {
  const u32 b = std::bit_cast<u32>(static_cast<float>(v));
  return (b + 0x7ff + (b >> 12 & 1)) & ~0xfffu;
}
u32 reciprocal(u32 v) {
  const u32 sign = v & 0x80000000u, mag = v & 0x7fffffffu;
  if (mag > 0x7f800000) return v | 0x00400000;
  if (mag == 0x7f800000) return sign;
  if (mag < 0x00800000) return sign | 0x7f800000;
  const u32 r = round_to_12_bits(1.0 / static_cast<double>(std::bit_cast<float>(mag)));
  return sign | (r < 0x00800000 ? 0 : r);
}
u32 reciprocal_sqrt(u32 v) {
  const u32 sign = v & 0x80000000u, mag = v & 0x7fffffffu;
  if (mag > 0x7f800000) return v | 0x00400000;
  if (mag < 0x00800000) return sign | 0x7f800000;
  if (sign) return kF32DefaultNan;
  if (mag == 0x7f800000) return 0;
  return round_to_12_bits(1.0 / std::sqrt(static_cast<double>(std::bit_cast<float>(mag))));
}
template <u32 (*Fn)(u32)>
bool packed_approximation(Cpu& c, const Insn& i) {
  V128 s;
  if (!sse_ready(c) || !xmm_source(c, i, s)) return false;
  for (u32& d : s.d) d = Fn(d);
  c.xmm[i.reg] = s;
  return true;
}
template <u32 (*Fn)(u32)>
bool scalar_approximation(Cpu& c, const Insn& i) {
  u32 s;
  if (!sse_ready(c) || !xmm_source_low<u32>(c, i, s)) return false;
  c.xmm[i.reg].d[0] = Fn(s);
  return true;
}

}  // namespace

bool exec_RCPPS_VxWx(Cpu& c, const Insn& i) { return packed_approximation<reciprocal>(c, i); }
bool exec_RCPSS_VxWd(Cpu& c, const Insn& i) { return scalar_approximation<reciprocal>(c, i); }
bool exec_RSQRTPS_VxWx(Cpu& c, const Insn& i) { return packed_approximation<reciprocal_sqrt>(c, i); }
bool exec_RSQRTSS_VxWd(Cpu& c, const Insn& i) { return scalar_approximation<reciprocal_sqrt>(c, i); }

// ---- ROUNDPS and its kin -------------------------------------------------------------------------

namespace {

u32 round_int(u32 v, u8 mode, bool quiet, FloatEnv& e) { return f32_round_int(v, mode, quiet, e); }
u64 round_int(u64 v, u8 mode, bool quiet, FloatEnv& e) { return f64_round_int(v, mode, quiet, e); }

// imm[1:0] rounding mode, imm[2] MXCSR's instead, imm[3] no inexact exception.
u8 mode_of(const Insn& i, const FloatEnv& e) { return i.imm & 4 ? e.round : static_cast<u8>(i.imm & 3); }

template <class B>
bool packed_round(Cpu& c, const Insn& i) {
  V128 s;
  if (!sse_ready(c) || !xmm_source(c, i, s)) return false;
  FloatEnv e = sse_env(c);
  auto a = lanes<B>(s);
  for (B& v : a) v = round_int(v, mode_of(i, e), i.imm & 8, e);
  if (!sse_finish(c, e)) return false;
  c.xmm[i.reg] = join<V128>(a);
  return true;
}
template <class B>
bool scalar_round(Cpu& c, const Insn& i) {
  B s;
  if (!sse_ready(c) || !xmm_source_low<B>(c, i, s)) return false;
  FloatEnv e = sse_env(c);
  const B r = round_int(s, mode_of(i, e), i.imm & 8, e);
  if (!sse_finish(c, e)) return false;
  low<B>(c.xmm[i.reg]) = r;
  return true;
}

}  // namespace

bool exec_ROUNDPS_VxWxIb(Cpu& c, const Insn& i) { return packed_round<u32>(c, i); }
bool exec_ROUNDPD_VxWxIb(Cpu& c, const Insn& i) { return packed_round<u64>(c, i); }
bool exec_ROUNDSS_VxWdIb(Cpu& c, const Insn& i) { return scalar_round<u32>(c, i); }
bool exec_ROUNDSD_VxWqIb(Cpu& c, const Insn& i) { return scalar_round<u64>(c, i); }

}  // namespace oriel
