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
  static ORIEL_INLINE B op(B a, B b, FpCall& f) {
    if (ORIEL_LIKELY(f.host && plain(a) && plain(b))) {
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
    return exact<kOp>(a, b, f.env);
  }
};

struct Sqrt {
  static ORIEL_INLINE u32 op(u32, u32 b, FpCall& f) {
    if (f.host && ordinary(b) && !(b >> 31)) return std::bit_cast<u32>(std::sqrt(std::bit_cast<float>(b)));
    return f32_sqrt(b, f.env);
  }
  static ORIEL_INLINE u64 op(u64, u64 b, FpCall& f) {
    if (f.host && ordinary(b) && !(b >> 63)) return std::bit_cast<u64>(std::sqrt(std::bit_cast<double>(b)));
    return f64_sqrt(b, f.env);
  }
};

FloatCmp compare(u32 a, u32 b, bool quiet, FloatEnv& e) { return f32_compare(a, b, quiet, e); }
FloatCmp compare(u64 a, u64 b, bool quiet, FloatEnv& e) { return f64_compare(a, b, quiet, e); }

// The first operand when the comparison gives kWant, else the second: so for NaNs and for two zeros.
template <FloatCmp kWant>
struct Extreme {
  template <class B>
  static ORIEL_INLINE B op(B a, B b, FpCall& f) {
    const B r = compare(a, b, false, f.env) == kWant ? a : b;
    constexpr B kSign = B{1} << (sizeof(B) * 8 - 1);
    const B mag = r & ~kSign;
    if (f.env.daz && mag && !(mag >> Format<B>::kFraction)) return r & kSign;
    return r;
  }
};

// The predicates of CMPPS (SDM Vol. 2, table 3-1): SSE has the first eight.
template <unsigned kPredicates>
struct Predicate {
  template <class B>
  static B op(B a, B b, FpCall& f) {
    const unsigned p = f.imm & (kPredicates - 1);
    const bool quiet = ((p & 3) == 0 || (p & 3) == 3) != (p >> 4);
    constexpr unsigned kLt = 1 << kCmpLess, kEq = 1 << kCmpEqual, kUn = 1 << kCmpUnordered;
    // Bit r: the predicate holds for that outcome. Bit 2 of the predicate inverts it.
    static constexpr u8 truth[8] = {kEq, kLt, kLt | kEq, kUn, kEq | kUn, kLt | kUn, kLt | kEq | kUn, 0};
    const bool holds = (truth[(p & 3) | (p >> 1 & 4)] >> compare(a, b, quiet, f.env) & 1) != (p >> 2 & 1);
    return holds ? static_cast<B>(~B{0}) : B{0};
  }
};

}  // namespace

// The SSE and the VEX executor of a row, packed and scalar.
#define VECTOR(ID, OPERANDS, ...)                                                                    \
  bool exec_##ID##_##OPERANDS(Cpu& c, const Insn& i) { return fp_vector<false, __VA_ARGS__>(c, i); } \
  bool exec_V##ID(Cpu& c, const Insn& i) { return fp_vector<true, __VA_ARGS__>(c, i); }
#define SCALAR(ID, OPERANDS, B, ...)                                                                    \
  bool exec_##ID##_##OPERANDS(Cpu& c, const Insn& i) { return fp_scalar<false, B, __VA_ARGS__>(c, i); } \
  bool exec_V##ID(Cpu& c, const Insn& i) { return fp_scalar<true, B, __VA_ARGS__>(c, i); }
#define FOUR(NAME, ...)                            \
  VECTOR(NAME##PS, VxWx, Packed<u32, __VA_ARGS__>) \
  VECTOR(NAME##PD, VxWx, Packed<u64, __VA_ARGS__>) \
  SCALAR(NAME##SS, VxWd, u32, __VA_ARGS__)         \
  SCALAR(NAME##SD, VxWq, u64, __VA_ARGS__)
FOUR(ADD, Binary<Arith::kAdd>)
FOUR(SUB, Binary<Arith::kSub>)
FOUR(MUL, Binary<Arith::kMul>)
FOUR(DIV, Binary<Arith::kDiv>)
FOUR(SQRT, Sqrt)
FOUR(MIN, Extreme<kCmpLess>)
FOUR(MAX, Extreme<kCmpGreater>)
#undef FOUR

// ---- comparisons ---------------------------------------------------------------------------------

bool exec_CMPPS_VxWxIb(Cpu& c, const Insn& i) { return fp_vector<false, Packed<u32, Predicate<8>>>(c, i); }
bool exec_CMPPD_VxWxIb(Cpu& c, const Insn& i) { return fp_vector<false, Packed<u64, Predicate<8>>>(c, i); }
bool exec_CMPSS_VxWdIb(Cpu& c, const Insn& i) { return fp_scalar<false, u32, Predicate<8>>(c, i); }
bool exec_CMPSD_VxWqIb(Cpu& c, const Insn& i) { return fp_scalar<false, u64, Predicate<8>>(c, i); }
bool exec_VCMPPS(Cpu& c, const Insn& i) { return fp_vector<true, Packed<u32, Predicate<32>>>(c, i); }
bool exec_VCMPPD(Cpu& c, const Insn& i) { return fp_vector<true, Packed<u64, Predicate<32>>>(c, i); }
bool exec_VCMPSS(Cpu& c, const Insn& i) { return fp_scalar<true, u32, Predicate<32>>(c, i); }
bool exec_VCMPSD(Cpu& c, const Insn& i) { return fp_scalar<true, u64, Predicate<32>>(c, i); }

namespace {
template <bool kVex, class B>
bool compare_flags(Cpu& c, const Insn& i, bool quiet) {
  B s;
  if (!ready<kVex>(c) || !xmm_source_low<B>(c, i, s)) return false;
  FloatEnv e = sse_env(c);
  const FloatCmp r = compare(low<B>(c.xmm[i.reg]), s, quiet, e);
  if (!sse_finish(c, e)) return false;
  static constexpr u32 flags[4] = {kCF, kZF, 0, kZF | kPF | kCF};
  c.set_arith_flags(flags[r]);
  return true;
}
}  // namespace

#define FLAGS(ID, OPERANDS, B, QUIET)                                                                 \
  bool exec_##ID##_##OPERANDS(Cpu& c, const Insn& i) { return compare_flags<false, B>(c, i, QUIET); } \
  bool exec_V##ID(Cpu& c, const Insn& i) { return compare_flags<true, B>(c, i, QUIET); }
FLAGS(UCOMISS, VxWd, u32, true)
FLAGS(UCOMISD, VxWq, u64, true)
FLAGS(COMISS, VxWd, u32, false)
FLAGS(COMISD, VxWq, u64, false)
#undef FLAGS

// ---- across lanes --------------------------------------------------------------------------------

namespace {

template <class B, Arith kOp>
struct Horizontal {
  static V128 op(const V128& first, const V128& second, FpCall& f) {
    const auto a = lanes<B>(first), b = lanes<B>(second);
    auto r = a;
    constexpr usize half = r.size() / 2;
    for (usize k = 0; k < half; k++) {
      r[k] = Binary<kOp>::op(a[2 * k], a[2 * k + 1], f);
      r[half + k] = Binary<kOp>::op(b[2 * k], b[2 * k + 1], f);
    }
    return join<V128>(r);
  }
};
template <class B>
struct AddSubtract {
  static V128 op(const V128& first, const V128& second, FpCall& f) {
    auto a = lanes<B>(first);
    const auto b = lanes<B>(second);
    for (usize k = 0; k < a.size(); k++)
      a[k] = k & 1 ? Binary<Arith::kAdd>::op(a[k], b[k], f) : Binary<Arith::kSub>::op(a[k], b[k], f);
    return join<V128>(a);
  }
};

// DPPS, DPPD: products of the lanes that imm[7:4] chooses, summed in pairs, into the lanes that imm[3:0] chooses. Each
// step raises its exceptions before the next one computes.
template <class B>
bool dot_product(Cpu& c, const Insn& i) {
  V256 s;
  if (i.vex ? !avx_ready(c) || !ymm_source(c, i, s) : !sse_ready(c) || !xmm_source(c, i, s.h[0])) return false;
  const unsigned n = halves(i), dst = i.vex ? i.vvvv : i.reg;
  FpCall f(c, i);
  Lanes<B, V128> p[2]{};
  auto finish_step = [&] {
    const bool ok = sse_finish(c, f.env);
    f.env.flags = 0;
    return ok;
  };
  for (unsigned h = 0; h < n; h++) {
    const auto a = lanes<B>(half(c, dst, h)), b = lanes<B>(s.h[h]);
    for (usize k = 0; k < a.size(); k++)
      if (i.imm >> (4 + k) & 1) p[h][k] = Binary<Arith::kMul>::op(a[k], b[k], f);
  }
  if (!finish_step()) return false;
  for (usize width = p[0].size() / 2; width != 0; width /= 2) {
    for (unsigned h = 0; h < n; h++)
      for (usize k = 0; k < width; k++) p[h][k] = Binary<Arith::kAdd>::op(p[h][2 * k], p[h][2 * k + 1], f);
    if (!finish_step()) return false;
  }
  V256 r{};
  for (unsigned h = 0; h < n; h++) {
    Lanes<B, V128> out{};
    for (usize k = 0; k < out.size(); k++)
      if (i.imm >> k & 1) out[k] = p[h][0];
    r.h[h] = join<V128>(out);
  }
  c.xmm[i.reg] = r.h[0];
  if (i.vex) c.ymm_hi[i.reg] = r.h[1];
  return true;
}

}  // namespace

VECTOR(HADDPS, VxWx, Horizontal<u32, Arith::kAdd>)
VECTOR(HADDPD, VxWx, Horizontal<u64, Arith::kAdd>)
VECTOR(HSUBPS, VxWx, Horizontal<u32, Arith::kSub>)
VECTOR(HSUBPD, VxWx, Horizontal<u64, Arith::kSub>)
VECTOR(ADDSUBPS, VxWx, AddSubtract<u32>)
VECTOR(ADDSUBPD, VxWx, AddSubtract<u64>)
bool exec_DPPS_VxWxIb(Cpu& c, const Insn& i) { return dot_product<u32>(c, i); }
bool exec_DPPD_VxWxIb(Cpu& c, const Insn& i) { return dot_product<u64>(c, i); }
bool exec_VDPPS(Cpu& c, const Insn& i) { return dot_product<u32>(c, i); }
bool exec_VDPPD(Cpu& c, const Insn& i) { return dot_product<u64>(c, i); }

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
template <u32 (*kFn)(u32)>
struct Approximation {
  static u32 op(u32, u32 b, FpCall&) { return kFn(b); }
};

}  // namespace

VECTOR(RCPPS, VxWx, Packed<u32, Approximation<reciprocal>>)
SCALAR(RCPSS, VxWd, u32, Approximation<reciprocal>)
VECTOR(RSQRTPS, VxWx, Packed<u32, Approximation<reciprocal_sqrt>>)
SCALAR(RSQRTSS, VxWd, u32, Approximation<reciprocal_sqrt>)

// ---- ROUNDPS and its kin -------------------------------------------------------------------------

namespace {

u32 round_int(u32 v, u8 mode, bool quiet, FloatEnv& e) { return f32_round_int(v, mode, quiet, e); }
u64 round_int(u64 v, u8 mode, bool quiet, FloatEnv& e) { return f64_round_int(v, mode, quiet, e); }

// imm[1:0] rounding mode, imm[2] MXCSR's instead, imm[3] no inexact exception.
struct RoundInt {
  template <class B>
  static B op(B, B v, FpCall& f) {
    return round_int(v, f.imm & 4 ? f.env.round : static_cast<u8>(f.imm & 3), f.imm & 8, f.env);
  }
};

}  // namespace

VECTOR(ROUNDPS, VxWxIb, Packed<u32, RoundInt>)
VECTOR(ROUNDPD, VxWxIb, Packed<u64, RoundInt>)
SCALAR(ROUNDSS, VxWdIb, u32, RoundInt)
SCALAR(ROUNDSD, VxWqIb, u64, RoundInt)
#undef VECTOR
#undef SCALAR

}  // namespace oriel
