// Integer SIMD shifts, shuffles, packing, interleaving, blends and widening moves. SDM Vol. 2.
#include "cpu/simd_int.h"

namespace oriel {

namespace {

using simd::join;
using simd::lanes;
using simd::make128;
using simd::saturate;

// ---- shifts ------------------------------------------------------------------------------------

// A count of the lane's width or more gives 0, or the sign in every bit for the arithmetic right shift.
struct Left {
  template <class T, class L>
  static ORIEL_INLINE void shift(L& v, u64 n) {
    for (auto& x : v) x = n < 8 * sizeof(T) ? static_cast<T>(static_cast<T>(x) << n) : T{0};
  }
};
struct Right {
  template <class T, class L>
  static ORIEL_INLINE void shift(L& v, u64 n) {
    for (auto& x : v) x = n < 8 * sizeof(T) ? static_cast<T>(x >> n) : T{0};
  }
};
struct RightArithmetic {
  template <class T, class L>
  static ORIEL_INLINE void shift(L& v, u64 n) {
    using S = std::make_signed_t<T>;
    if (n >= 8 * sizeof(T)) n = 8 * sizeof(T) - 1;
    for (auto& x : v) x = static_cast<T>(static_cast<S>(x) >> n);
  }
};
template <class T, class Kind>
struct Shift {
  template <class R>
  static ORIEL_INLINE R by(const R& v, u64 n) {
    auto a = lanes<T>(v);
    Kind::template shift<T>(a, n);
    return join<R>(a);
  }
  // The count operand is all of an MMX register, the low half of an XMM register.
  static u64 op(u64 v, u64 count) { return by(v, count); }
  static V128 op(const V128& v, const V128& count) { return by(v, count.q[0]); }
};

// Shifts of the r/m register by an immediate.
template <class S>
bool mmx_shift_imm(Cpu& c, const Insn& i) {
  if (!c.check_mmx()) return false;
  simd::set_mm(c, i.rm, S::by(simd::mm(c, i.rm), i.imm));
  return true;
}
template <class S>
bool sse_shift_imm(Cpu& c, const Insn& i) {
  if (!simd::sse_ready(c)) return false;
  c.xmm[i.rm] = S::by(c.xmm[i.rm], i.imm);
  return true;
}
// vvvv = r/m register shifted.
template <class S>
bool avx_shift_imm(Cpu& c, const Insn& i) {
  if (!simd::avx_ready(c)) return false;
  V256 r{};
  for (unsigned h = 0; h < simd::halves(i); h++) r.h[h] = S::by(simd::half(c, i.rm, h), i.imm);
  simd::set_ymm(c, i.vvvv, r);
  return true;
}
// One count, 128 bits wide in memory, for both halves.
template <class S>
bool avx_shift(Cpu& c, const Insn& i) {
  V128 count;
  if (!simd::avx_ready(c) || !simd::xmm_source_unaligned(c, i, count)) return false;
  V256 r{};
  for (unsigned h = 0; h < simd::halves(i); h++) r.h[h] = S::by(simd::half(c, i.vvvv, h), count.q[0]);
  simd::set_ymm(c, i.reg, r);
  return true;
}
// VPSLLV and its kin: a count for each lane.
template <class T, class Kind>
struct ShiftEach {
  static V128 op(const V128& v, const V128& counts) {
    auto a = lanes<T>(v);
    const auto n = lanes<T>(counts);
    for (usize k = 0; k < a.size(); k++) {
      std::array<T, 1> one{a[k]};
      Kind::template shift<T>(one, n[k]);
      a[k] = one[0];
    }
    return join<V128>(a);
  }
};

// Bytes `n` to `n` + 15 of `hi`:`lo`; beyond them are zeros.
V128 extract_bytes(const V128& hi, const V128& lo, unsigned n) {
  u8 t[48] = {};
  std::memcpy(t, lo.b, 16);
  std::memcpy(t + 16, hi.b, 16);
  V128 r;
  std::memcpy(r.b, t + (n < 32 ? n : 32), 16);
  return r;
}
struct ShiftBytesRight {
  static V128 by(const V128& v, u64 n) { return extract_bytes(V128{}, v, n < 16 ? static_cast<unsigned>(n) : 16); }
};
struct ShiftBytesLeft {
  static V128 by(const V128& v, u64 n) { return extract_bytes(v, V128{}, n < 16 ? 16 - static_cast<unsigned>(n) : 0); }
};
struct AlignRight {
  static u64 op(u64 d, u64 s, unsigned n) { return extract_bytes(V128{}, make128(s, d), n < 16 ? n : 16).q[0]; }
  static V128 op(const V128& d, const V128& s, unsigned n) { return extract_bytes(d, s, n); }
};

// ---- shuffles and blends -----------------------------------------------------------------------

// Lane k of the four from `first` on is the source's lane given by two bits of the immediate.
template <class T, unsigned kFirst>
struct ShuffleImm {
  template <class R>
  static ORIEL_INLINE R op(const R&, const R& src, unsigned imm) {
    const auto s = lanes<T>(src);
    auto r = s;
    for (unsigned k = 0; k < 4; k++) r[kFirst + k] = s[kFirst + (imm >> 2 * k & 3)];
    return join<R>(r);
  }
};
struct ShuffleBytes {  // PSHUFB
  template <class R>
  static ORIEL_INLINE R op(const R& dst, const R& src) {
    const auto a = lanes<u8>(dst);
    auto r = lanes<u8>(src);
    for (u8& x : r) x = x & 0x80 ? u8{0} : a[x & (sizeof(R) - 1)];
    return join<R>(r);
  }
};
struct BlendDwords {
  static constexpr unsigned kImmStep = 4;
  static V128 op(const V128& d, const V128& s, unsigned imm) {
    V128 r;
    for (unsigned k = 0; k < 4; k++) r.d[k] = imm >> k & 1 ? s.d[k] : d.d[k];
    return r;
  }
};
struct BlendWords {
  static V128 op(const V128& d, const V128& s, unsigned imm) {
    V128 r;
    for (unsigned k = 0; k < 8; k++) r.w[k] = imm >> k & 1 ? s.w[k] : d.w[k];
    return r;
  }
};

// ---- packing and interleaving ------------------------------------------------------------------

template <class From, class To>
struct Pack {
  template <class R>
  static ORIEL_INLINE R op(const R& dst, const R& src) {
    const auto a = lanes<From>(dst), b = lanes<From>(src);
    simd::Lanes<To, R> r;
    for (usize k = 0; k < a.size(); k++) {
      r[k] = saturate<To>(a[k]);
      r[a.size() + k] = saturate<To>(b[k]);
    }
    return join<R>(r);
  }
};
template <class T, bool kHigh>
struct Unpack {
  template <class R>
  static ORIEL_INLINE R op(const R& dst, const R& src) {
    const auto a = lanes<T>(dst), b = lanes<T>(src);
    simd::Lanes<T, R> r;
    constexpr usize half = r.size() / 2, from = kHigh ? half : 0;
    for (usize k = 0; k < half; k++) {
      r[2 * k] = a[from + k];
      r[2 * k + 1] = b[from + k];
    }
    return join<R>(r);
  }
};

// PMOVSX, PMOVZX: lanes of From, of which memory holds only as many as are used (M, with 256 bits twice).
template <class From, class To, class M>
V128 widened(M m) {
  const auto s = lanes<From>(m);
  simd::Lanes<To, V128> r;
  static_assert(s.size() == r.size());
  for (usize k = 0; k < r.size(); k++) r[k] = static_cast<To>(s[k]);
  return join<V128>(r);
}
template <class From, class To, class M>
bool widen(Cpu& c, const Insn& i) {
  M m;
  if (!simd::sse_ready(c) || !simd::xmm_source_low<M>(c, i, m)) return false;
  c.xmm[i.reg] = widened<From, To>(m);
  return true;
}
template <class From, class To, class M>
bool avx_widen(Cpu& c, const Insn& i) {
  std::array<M, 2> m{};
  if (!simd::avx_ready(c)) return false;
  if (!(i.flags & kInsnMem))
    std::memcpy(&m, &c.xmm[i.rm], sizeof(m));
  else if (i.vex & 2 ? !c.read<std::array<M, 2>>(i.seg, c.ea(i), m) : !c.read<M>(i.seg, c.ea(i), m[0]))
    return false;
  V256 r{};
  for (unsigned h = 0; h < simd::halves(i); h++) r.h[h] = widened<From, To>(m[h]);
  simd::set_ymm(c, i.reg, r);
  return true;
}

}  // namespace

#define SHIFT_IMM(ID, ...)                                                                  \
  bool exec_##ID##_UxIb(Cpu& c, const Insn& i) { return sse_shift_imm<__VA_ARGS__>(c, i); } \
  bool exec_V##ID##_HxUxIb(Cpu& c, const Insn& i) { return avx_shift_imm<__VA_ARGS__>(c, i); }
#define SHIFT(ID, ...)                                                                         \
  bool exec_##ID##_PqQq(Cpu& c, const Insn& i) { return simd::mmx_binary<__VA_ARGS__>(c, i); } \
  bool exec_##ID##_VxWx(Cpu& c, const Insn& i) { return simd::sse_binary<__VA_ARGS__>(c, i); } \
  bool exec_V##ID(Cpu& c, const Insn& i) { return avx_shift<__VA_ARGS__>(c, i); }              \
  bool exec_##ID##_NqIb(Cpu& c, const Insn& i) { return mmx_shift_imm<__VA_ARGS__>(c, i); }    \
  SHIFT_IMM(ID, __VA_ARGS__)
SHIFT(PSLLW, Shift<u16, Left>)
SHIFT(PSLLD, Shift<u32, Left>)
SHIFT(PSLLQ, Shift<u64, Left>)
SHIFT(PSRLW, Shift<u16, Right>)
SHIFT(PSRLD, Shift<u32, Right>)
SHIFT(PSRLQ, Shift<u64, Right>)
SHIFT(PSRAW, Shift<u16, RightArithmetic>)
SHIFT(PSRAD, Shift<u32, RightArithmetic>)
SHIFT_IMM(PSLLDQ, ShiftBytesLeft)
SHIFT_IMM(PSRLDQ, ShiftBytesRight)
#undef SHIFT
#undef SHIFT_IMM
ORIEL_AVX(VPSLLVD, ShiftEach<u32, Left>)
ORIEL_AVX(VPSLLVQ, ShiftEach<u64, Left>)
ORIEL_AVX(VPSRLVD, ShiftEach<u32, Right>)
ORIEL_AVX(VPSRLVQ, ShiftEach<u64, Right>)
ORIEL_AVX(VPSRAVD, ShiftEach<u32, RightArithmetic>)

ORIEL_MMX_SSE_IMM(PALIGNR, AlignRight)
ORIEL_MMX_SSE(PSHUFB, ShuffleBytes)
bool exec_PSHUFW_PqQqIb(Cpu& c, const Insn& i) { return simd::mmx_binary_imm<ShuffleImm<u16, 0>>(c, i); }
ORIEL_SSE_IMM(PSHUFD, ShuffleImm<u32, 0>)
ORIEL_SSE_IMM(PSHUFLW, ShuffleImm<u16, 0>)
ORIEL_SSE_IMM(PSHUFHW, ShuffleImm<u16, 4>)
ORIEL_SSE_IMM(PBLENDW, BlendWords)
bool exec_VPBLENDD(Cpu& c, const Insn& i) { return simd::avx_binary_imm<BlendDwords>(c, i); }
bool exec_PBLENDVB_VxWx(Cpu& c, const Insn& i) { return simd::sse_blend_by_sign<u8>(c, i); }
bool exec_VPBLENDVB(Cpu& c, const Insn& i) { return simd::avx_blend_by_sign<u8>(c, i); }

ORIEL_MMX_SSE(PACKSSWB, Pack<s16, s8>)
ORIEL_MMX_SSE(PACKSSDW, Pack<s32, s16>)
ORIEL_MMX_SSE(PACKUSWB, Pack<s16, u8>)
ORIEL_SSE(PACKUSDW, Pack<s32, u16>)

// The MMX forms of the low halves read only 32 bits of memory.
#define UNPACK(SUFFIX, T)                                                                                           \
  bool exec_PUNPCKL##SUFFIX##_PqQd(Cpu& c, const Insn& i) { return simd::mmx_binary<Unpack<T, false>, u32>(c, i); } \
  ORIEL_SSE(PUNPCKL##SUFFIX, Unpack<T, false>)                                                                      \
  ORIEL_MMX_SSE(PUNPCKH##SUFFIX, Unpack<T, true>)
UNPACK(BW, u8)
UNPACK(WD, u16)
UNPACK(DQ, u32)
#undef UNPACK
ORIEL_SSE(PUNPCKLQDQ, Unpack<u64, false>)
ORIEL_SSE(PUNPCKHQDQ, Unpack<u64, true>)

#define WIDEN(SUFFIX, OPERANDS, FROM, TO, M)                                                              \
  bool exec_PMOVSX##SUFFIX##_##OPERANDS(Cpu& c, const Insn& i) { return widen<s##FROM, s##TO, M>(c, i); } \
  bool exec_PMOVZX##SUFFIX##_##OPERANDS(Cpu& c, const Insn& i) { return widen<u##FROM, u##TO, M>(c, i); } \
  bool exec_VPMOVSX##SUFFIX(Cpu& c, const Insn& i) { return avx_widen<s##FROM, s##TO, M>(c, i); }         \
  bool exec_VPMOVZX##SUFFIX(Cpu& c, const Insn& i) { return avx_widen<u##FROM, u##TO, M>(c, i); }
WIDEN(BW, VxWq, 8, 16, u64)
WIDEN(BD, VxWd, 8, 32, u32)
WIDEN(BQ, VxWw, 8, 64, u16)
WIDEN(WD, VxWq, 16, 32, u64)
WIDEN(WQ, VxWd, 16, 64, u32)
WIDEN(DQ, VxWq, 32, 64, u64)
#undef WIDEN

}  // namespace oriel
