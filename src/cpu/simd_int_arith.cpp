// Integer SIMD arithmetic, comparison and logic: MMX, SSE2, and what SSSE3, SSE4.1 and SSE4.2 add. SDM Vol. 2.
#include "cpu/simd_int.h"

namespace oriel {

namespace {

using simd::join;
using simd::lanes;
using simd::Lanewise;
using simd::saturate;

// Operations on one lane. Lanes narrower than int are promoted; Lanewise cuts the result to the lane.
constexpr auto kAdd = [](auto a, auto b) { return a + b; };
constexpr auto kSub = [](auto a, auto b) { return a - b; };
constexpr auto kAddSat = []<class T>(T a, T b) { return saturate<T>(a + b); };
constexpr auto kSubSat = []<class T>(T a, T b) { return saturate<T>(a - b); };
constexpr auto kAnd = [](auto a, auto b) { return a & b; };
constexpr auto kAndNot = [](auto a, auto b) { return ~a & b; };
constexpr auto kOr = [](auto a, auto b) { return a | b; };
constexpr auto kXor = [](auto a, auto b) { return a ^ b; };
constexpr auto kEq = []<class T>(T a, T b) { return a == b ? static_cast<T>(~T{0}) : T{0}; };
constexpr auto kGt = []<class T>(T a, T b) { return a > b ? static_cast<T>(-1) : T{0}; };
constexpr auto kMin = [](auto a, auto b) { return a < b ? a : b; };
constexpr auto kMax = [](auto a, auto b) { return a > b ? a : b; };
constexpr auto kAvg = [](auto a, auto b) { return (a + b + 1) >> 1; };
constexpr auto kMulLow16 = [](u16 a, u16 b) { return static_cast<u32>(a) * b; };
constexpr auto kMulHigh16 = [](s16 a, s16 b) { return static_cast<s32>(a) * b >> 16; };
constexpr auto kMulHighU16 = [](u16 a, u16 b) { return static_cast<u32>(a) * b >> 16; };
constexpr auto kMulHighRound16 = [](s16 a, s16 b) { return ((static_cast<s32>(a) * b >> 14) + 1) >> 1; };
constexpr auto kMulLow32 = [](u32 a, u32 b) { return a * b; };
constexpr auto kMulU32 = [](u64 a, u64 b) { return static_cast<u64>(static_cast<u32>(a)) * static_cast<u32>(b); };
constexpr auto kMulS32 = [](u64 a, u64 b) {
  return static_cast<u64>(static_cast<s64>(static_cast<s32>(a)) * static_cast<s32>(b));
};
// PABS has one source; the most negative value stays.
constexpr auto kAbs = []<class T>(T, T b) {
  using U = std::make_unsigned_t<T>;
  return static_cast<T>(b < 0 ? static_cast<U>(U{0} - static_cast<U>(b)) : static_cast<U>(b));
};
constexpr auto kSign = []<class T>(T a, T b) {
  using U = std::make_unsigned_t<T>;
  return b < 0 ? static_cast<T>(static_cast<U>(U{0} - static_cast<U>(a))) : b == 0 ? T{0} : a;
};
constexpr auto kAddWrap16 = [](s16 a, s16 b) { return static_cast<s16>(a + b); };
constexpr auto kSubWrap16 = [](s16 a, s16 b) { return static_cast<s16>(a - b); };

// Sums of products of adjacent lanes.
struct MulAddWords {
  template <class R>
  static ORIEL_INLINE R op(const R& dst, const R& src) {
    const auto a = lanes<s16>(dst), b = lanes<s16>(src);
    simd::Lanes<u32, R> r;
    for (usize k = 0; k < r.size(); k++) {
      r[k] = static_cast<u32>(a[2 * k] * b[2 * k]) + static_cast<u32>(a[2 * k + 1] * b[2 * k + 1]);
    }
    return join<R>(r);
  }
};
struct MulAddUnsignedSigned {  // PMADDUBSW: destination bytes are unsigned
  template <class R>
  static ORIEL_INLINE R op(const R& dst, const R& src) {
    const auto a = lanes<u8>(dst);
    const auto b = lanes<s8>(src);
    simd::Lanes<s16, R> r;
    for (usize k = 0; k < r.size(); k++) {
      r[k] = saturate<s16>(a[2 * k] * b[2 * k] + a[2 * k + 1] * b[2 * k + 1]);
    }
    return join<R>(r);
  }
};
struct SumAbsDiff {  // PSADBW: per 64 bits
  template <class R>
  static ORIEL_INLINE R op(const R& dst, const R& src) {
    const auto a = lanes<u8>(dst), b = lanes<u8>(src);
    simd::Lanes<u64, R> r;
    for (usize q = 0; q < r.size(); q++) {
      u32 sum = 0;
      for (usize k = 8 * q; k < 8 * q + 8; k++) sum += static_cast<u32>(a[k] > b[k] ? a[k] - b[k] : b[k] - a[k]);
      r[q] = sum;
    }
    return join<R>(r);
  }
};
// Fn of adjacent lanes; the destination's pairs give the low half.
template <class T, auto Fn>
struct Horizontal {
  template <class R>
  static ORIEL_INLINE R op(const R& dst, const R& src) {
    const auto a = lanes<T>(dst), b = lanes<T>(src);
    simd::Lanes<T, R> r;
    constexpr usize half = r.size() / 2;
    for (usize k = 0; k < half; k++) {
      r[k] = static_cast<T>(Fn(a[2 * k], a[2 * k + 1]));
      r[half + k] = static_cast<T>(Fn(b[2 * k], b[2 * k + 1]));
    }
    return join<R>(r);
  }
};
struct MinPos {  // PHMINPOSUW
  static V128 op(const V128&, const V128& s) {
    unsigned at = 0;
    for (unsigned k = 1; k < 8; k++) {
      if (s.w[k] < s.w[at]) at = k;
    }
    return simd::make128(static_cast<u64>(at) << 16 | s.w[at], 0);
  }
};
struct MultiSumAbsDiff {  // MPSADBW
  static constexpr unsigned kImmStep = 3;
  static V128 op(const V128& d, const V128& s, unsigned imm) {
    const unsigned from_d = imm & 4, from_s = (imm & 3) * 4;
    V128 r;
    for (unsigned k = 0; k < 8; k++) {
      u32 sum = 0;
      for (unsigned j = 0; j < 4; j++) {
        const u8 a = d.b[from_d + k + j], b = s.b[from_s + j];
        sum += static_cast<u32>(a > b ? a - b : b - a);
      }
      r.w[k] = static_cast<u16>(sum);
    }
    return r;
  }
};

}  // namespace

ORIEL_MMX_SSE(PADDB, Lanewise<u8, kAdd>)
ORIEL_MMX_SSE(PADDW, Lanewise<u16, kAdd>)
ORIEL_MMX_SSE(PADDD, Lanewise<u32, kAdd>)
ORIEL_MMX_SSE(PADDQ, Lanewise<u64, kAdd>)
ORIEL_MMX_SSE(PADDSB, Lanewise<s8, kAddSat>)
ORIEL_MMX_SSE(PADDSW, Lanewise<s16, kAddSat>)
ORIEL_MMX_SSE(PADDUSB, Lanewise<u8, kAddSat>)
ORIEL_MMX_SSE(PADDUSW, Lanewise<u16, kAddSat>)
ORIEL_MMX_SSE(PSUBB, Lanewise<u8, kSub>)
ORIEL_MMX_SSE(PSUBW, Lanewise<u16, kSub>)
ORIEL_MMX_SSE(PSUBD, Lanewise<u32, kSub>)
ORIEL_MMX_SSE(PSUBQ, Lanewise<u64, kSub>)
ORIEL_MMX_SSE(PSUBSB, Lanewise<s8, kSubSat>)
ORIEL_MMX_SSE(PSUBSW, Lanewise<s16, kSubSat>)
ORIEL_MMX_SSE(PSUBUSB, Lanewise<u8, kSubSat>)
ORIEL_MMX_SSE(PSUBUSW, Lanewise<u16, kSubSat>)
ORIEL_MMX_SSE(PAND, Lanewise<u64, kAnd>)
ORIEL_MMX_SSE(PANDN, Lanewise<u64, kAndNot>)
ORIEL_MMX_SSE(POR, Lanewise<u64, kOr>)
ORIEL_MMX_SSE(PXOR, Lanewise<u64, kXor>)
ORIEL_MMX_SSE(PCMPEQB, Lanewise<u8, kEq>)
ORIEL_MMX_SSE(PCMPEQW, Lanewise<u16, kEq>)
ORIEL_MMX_SSE(PCMPEQD, Lanewise<u32, kEq>)
ORIEL_SSE(PCMPEQQ, Lanewise<u64, kEq>)
ORIEL_MMX_SSE(PCMPGTB, Lanewise<s8, kGt>)
ORIEL_MMX_SSE(PCMPGTW, Lanewise<s16, kGt>)
ORIEL_MMX_SSE(PCMPGTD, Lanewise<s32, kGt>)
ORIEL_SSE(PCMPGTQ, Lanewise<s64, kGt>)
ORIEL_MMX_SSE(PMINUB, Lanewise<u8, kMin>)
ORIEL_MMX_SSE(PMINSW, Lanewise<s16, kMin>)
ORIEL_MMX_SSE(PMAXUB, Lanewise<u8, kMax>)
ORIEL_MMX_SSE(PMAXSW, Lanewise<s16, kMax>)
ORIEL_SSE(PMINSB, Lanewise<s8, kMin>)
ORIEL_SSE(PMINSD, Lanewise<s32, kMin>)
ORIEL_SSE(PMINUW, Lanewise<u16, kMin>)
ORIEL_SSE(PMINUD, Lanewise<u32, kMin>)
ORIEL_SSE(PMAXSB, Lanewise<s8, kMax>)
ORIEL_SSE(PMAXSD, Lanewise<s32, kMax>)
ORIEL_SSE(PMAXUW, Lanewise<u16, kMax>)
ORIEL_SSE(PMAXUD, Lanewise<u32, kMax>)
ORIEL_MMX_SSE(PAVGB, Lanewise<u8, kAvg>)
ORIEL_MMX_SSE(PAVGW, Lanewise<u16, kAvg>)
ORIEL_MMX_SSE(PMULLW, Lanewise<u16, kMulLow16>)
ORIEL_MMX_SSE(PMULHW, Lanewise<s16, kMulHigh16>)
ORIEL_MMX_SSE(PMULHUW, Lanewise<u16, kMulHighU16>)
ORIEL_MMX_SSE(PMULHRSW, Lanewise<s16, kMulHighRound16>)
ORIEL_MMX_SSE(PMULUDQ, Lanewise<u64, kMulU32>)
ORIEL_SSE(PMULDQ, Lanewise<u64, kMulS32>)
ORIEL_SSE(PMULLD, Lanewise<u32, kMulLow32>)
ORIEL_MMX_SSE(PMADDWD, MulAddWords)
ORIEL_MMX_SSE(PMADDUBSW, MulAddUnsignedSigned)
ORIEL_MMX_SSE(PSADBW, SumAbsDiff)
ORIEL_MMX_SSE(PABSB, Lanewise<s8, kAbs>)
ORIEL_MMX_SSE(PABSW, Lanewise<s16, kAbs>)
ORIEL_MMX_SSE(PABSD, Lanewise<s32, kAbs>)
ORIEL_MMX_SSE(PSIGNB, Lanewise<s8, kSign>)
ORIEL_MMX_SSE(PSIGNW, Lanewise<s16, kSign>)
ORIEL_MMX_SSE(PSIGND, Lanewise<s32, kSign>)
ORIEL_MMX_SSE(PHADDW, Horizontal<s16, kAddWrap16>)
ORIEL_MMX_SSE(PHADDD, Horizontal<u32, kAdd>)
ORIEL_MMX_SSE(PHADDSW, Horizontal<s16, kAddSat>)
ORIEL_MMX_SSE(PHSUBW, Horizontal<s16, kSubWrap16>)
ORIEL_MMX_SSE(PHSUBD, Horizontal<u32, kSub>)
ORIEL_MMX_SSE(PHSUBSW, Horizontal<s16, kSubSat>)
ORIEL_SSE(PHMINPOSUW, MinPos)
ORIEL_SSE_IMM(MPSADBW, MultiSumAbsDiff)

namespace {
// PTEST, VTESTPS, VTESTPD: of the bits that `mask` selects, ZF: none is set in both operands, CF: none in the source
// alone.
void test_bits(Cpu& c, const V128* d, const V128* s, unsigned n, u64 mask) {
  u64 both = 0, source_only = 0;
  for (unsigned h = 0; h < n; h++) {
    for (unsigned k = 0; k < 2; k++) {
      both |= d[h].q[k] & s[h].q[k];
      source_only |= ~d[h].q[k] & s[h].q[k];
    }
  }
  c.set_arith_flags((both & mask ? 0 : u32{kZF}) | (source_only & mask ? 0 : u32{kCF}));
}
bool avx_test(Cpu& c, const Insn& i, u64 mask) {
  V256 s;
  if (!simd::avx_ready(c) || !simd::ymm_source(c, i, s)) return false;
  test_bits(c, simd::ymm(c, i.reg).h, s.h, simd::halves(i), mask);
  return true;
}
}  // namespace

bool exec_PTEST_VxWx(Cpu& c, const Insn& i) {
  V128 s;
  if (!simd::sse_ready(c) || !simd::xmm_source(c, i, s)) return false;
  test_bits(c, &c.xmm[i.reg], &s, 1, ~u64{0});
  return true;
}
bool exec_VPTEST(Cpu& c, const Insn& i) { return avx_test(c, i, ~u64{0}); }
bool exec_VTESTPS(Cpu& c, const Insn& i) { return avx_test(c, i, 0x8000000080000000u); }
bool exec_VTESTPD(Cpu& c, const Insn& i) { return avx_test(c, i, 0x8000000000000000u); }

}  // namespace oriel
