// FMA: fused multiply-add with one rounding. SDM Vol. 1, 14.5 (operand order, exceptions, table 14-17: NaNs).
#include "cpu/simd_fp.h"

namespace oriel {

using namespace simd;

namespace {

u32 exact(u32 a, u32 b, u32 c, FloatEnv& e) { return f32_fma(a, b, c, e); }
u64 exact(u64 a, u64 b, u64 c, FloatEnv& e) { return f64_fma(a, b, c, e); }

// The product of two singles is exact as a double. Their sum with the addend, rounded to double and then to single,
// is what one rounding gives unless the double lies halfway between two singles.
bool host_fma(u32 a, u32 b, u32 c, u32& out) {
  if (!plain(a) || !plain(b) || !plain(c)) return false;
  const double sum = static_cast<double>(std::bit_cast<float>(a)) * static_cast<double>(std::bit_cast<float>(b)) +
                     static_cast<double>(std::bit_cast<float>(c));
  if ((std::bit_cast<u64>(sum) & 0x1fffffff) == 0x10000000) return false;
  out = std::bit_cast<u32>(static_cast<float>(sum));
  return ordinary(out);
}
bool host_fma(u64, u64, u64, u64&) { return false; }

// Operands of a sign-changing form change sign unless they are NaNs, which go to the result as they are.
template <class B>
B negated(B v) {
  constexpr int f = Format<B>::kFraction;
  constexpr B kInfinity = (std::numeric_limits<B>::max() >> 1) >> f << f, kSign = B{1} << (8 * sizeof(B) - 1);
  return (v & ~kSign) > kInfinity ? v : static_cast<B>(v ^ kSign);
}

enum class Order { k132, k213, k231 };

// x is the destination, y VEX.vvvv, z r/m.
template <Order kOrder, bool kNegateProduct, class B>
B fma_lane(B x, B y, B z, bool negate_addend, FpCall& f) {
  B a = kOrder == Order::k231 ? y : kOrder == Order::k213 ? y : x;
  const B b = kOrder == Order::k213 ? x : z;
  B c = kOrder == Order::k132 ? y : kOrder == Order::k213 ? z : x;
  if (kNegateProduct) a = negated(a);
  if (negate_addend) c = negated(c);
  B r;
  if (f.host && host_fma(a, b, c, r)) return r;
  return exact(a, b, c, f.env);
}

// The addend's sign: the same in all lanes, or alternating from lane to lane.
enum class Addend { kAdd, kSub, kAddSub, kSubAdd };
template <Addend kAddend>
constexpr bool negates(usize lane) {
  switch (kAddend) {
    case Addend::kAdd: return false;
    case Addend::kSub: return true;
    case Addend::kAddSub: return !(lane & 1);
    default: return lane & 1;
  }
}

template <class B, Order kOrder, bool kNegateProduct, Addend kAddend>
bool fma_packed(Cpu& c, const Insn& i) {
  V256 s;
  if (!avx_ready(c) || !ymm_source(c, i, s)) return false;
  FpCall f(c, i);
  V256 r{};
  for (unsigned h = 0; h < halves(i); h++) {
    auto x = lanes<B>(half(c, i.reg, h));
    const auto y = lanes<B>(half(c, i.vvvv, h)), z = lanes<B>(s.h[h]);
    for (usize k = 0; k < x.size(); k++)
      x[k] = fma_lane<kOrder, kNegateProduct>(x[k], y[k], z[k], negates<kAddend>(k), f);
    r.h[h] = join<V128>(x);
  }
  if (!sse_finish(c, f.env)) return false;
  set_ymm(c, i.reg, r);
  return true;
}
// The lanes above the lowest are the destination's.
template <class B, Order kOrder, bool kNegateProduct, Addend kAddend>
bool fma_scalar(Cpu& c, const Insn& i) {
  B s;
  if (!avx_ready(c) || !xmm_source_low<B>(c, i, s)) return false;
  FpCall f(c, i);
  V128 r = c.xmm[i.reg];
  low<B>(r) = fma_lane<kOrder, kNegateProduct>(low<B>(r), low<B>(c.xmm[i.vvvv]), s, negates<kAddend>(0), f);
  if (!sse_finish(c, f.env)) return false;
  set_xmm<true>(c, i.reg, r);
  return true;
}

}  // namespace

#define PACKED(NAME, ORDER, ...)                                                                                     \
  bool exec_##NAME##ORDER##PS(Cpu& c, const Insn& i) { return fma_packed<u32, Order::k##ORDER, __VA_ARGS__>(c, i); } \
  bool exec_##NAME##ORDER##PD(Cpu& c, const Insn& i) { return fma_packed<u64, Order::k##ORDER, __VA_ARGS__>(c, i); }
#define ALL(NAME, ORDER, ...)                                                                                        \
  PACKED(NAME, ORDER, __VA_ARGS__)                                                                                   \
  bool exec_##NAME##ORDER##SS(Cpu& c, const Insn& i) { return fma_scalar<u32, Order::k##ORDER, __VA_ARGS__>(c, i); } \
  bool exec_##NAME##ORDER##SD(Cpu& c, const Insn& i) { return fma_scalar<u64, Order::k##ORDER, __VA_ARGS__>(c, i); }
#define IN_ORDER(ORDER)                            \
  ALL(VFMADD, ORDER, false, Addend::kAdd)          \
  ALL(VFMSUB, ORDER, false, Addend::kSub)          \
  ALL(VFNMADD, ORDER, true, Addend::kAdd)          \
  ALL(VFNMSUB, ORDER, true, Addend::kSub)          \
  PACKED(VFMADDSUB, ORDER, false, Addend::kAddSub) \
  PACKED(VFMSUBADD, ORDER, false, Addend::kSubAdd)
IN_ORDER(132)
IN_ORDER(213)
IN_ORDER(231)

}  // namespace oriel
