// SSE floating-point data movement, logic, shuffles and blends: no arithmetic, no exceptions. SDM Vol. 2.
#include "cpu/simd_fp.h"

namespace oriel {

using namespace simd;

// ---- whole registers -----------------------------------------------------------------------------

namespace {
bool load_aligned(Cpu& c, const Insn& i) {
  V128 v;
  if (!sse_ready(c) || !xmm_source(c, i, v)) return false;
  c.xmm[i.reg] = v;
  return true;
}
bool load_unaligned(Cpu& c, const Insn& i) {
  V128 v;
  if (!sse_ready(c) || !xmm_source_unaligned(c, i, v)) return false;
  c.xmm[i.reg] = v;
  return true;
}
bool store(Cpu& c, const Insn& i, bool aligned) {
  if (!sse_ready(c)) return false;
  if (!(i.flags & kInsnMem)) {
    c.xmm[i.rm] = c.xmm[i.reg];
    return true;
  }
  const u64 off = c.ea(i);
  if (aligned && misaligned16(c, i, off)) return c.raise(kGP, 0);
  return c.write<V128>(i.seg, off, c.xmm[i.reg]);
}
}  // namespace

bool exec_MOVAPS_VxWx(Cpu& c, const Insn& i) { return load_aligned(c, i); }
bool exec_MOVAPD_VxWx(Cpu& c, const Insn& i) { return load_aligned(c, i); }
bool exec_MOVUPS_VxWx(Cpu& c, const Insn& i) { return load_unaligned(c, i); }
bool exec_MOVUPD_VxWx(Cpu& c, const Insn& i) { return load_unaligned(c, i); }
bool exec_MOVAPS_WxVx(Cpu& c, const Insn& i) { return store(c, i, true); }
bool exec_MOVAPD_WxVx(Cpu& c, const Insn& i) { return store(c, i, true); }
bool exec_MOVNTPS_MxVx(Cpu& c, const Insn& i) { return store(c, i, true); }
bool exec_MOVNTPD_MxVx(Cpu& c, const Insn& i) { return store(c, i, true); }
bool exec_MOVUPS_WxVx(Cpu& c, const Insn& i) { return store(c, i, false); }
bool exec_MOVUPD_WxVx(Cpu& c, const Insn& i) { return store(c, i, false); }

#define MOVES(NAME, ALIGNED)                                                         \
  bool exec_##NAME##_VxWx(Cpu& c, const Insn& i) { return ymm_load(c, i, ALIGNED); } \
  bool exec_##NAME##_WxVx(Cpu& c, const Insn& i) { return ymm_store(c, i, ALIGNED); }
MOVES(VMOVAPS, true)
MOVES(VMOVAPD, true)
MOVES(VMOVUPS, false)
MOVES(VMOVUPD, false)
#undef MOVES
bool exec_VMOVNTPS(Cpu& c, const Insn& i) { return ymm_store(c, i, true); }
bool exec_VMOVNTPD(Cpu& c, const Insn& i) { return ymm_store(c, i, true); }

// ---- scalars and halves --------------------------------------------------------------------------

bool exec_MOVSS_VxWd(Cpu& c, const Insn& i) {
  if (!sse_ready(c)) return false;
  if (!(i.flags & kInsnMem)) {
    c.xmm[i.reg].d[0] = c.xmm[i.rm].d[0];
    return true;
  }
  u32 v;
  if (!c.read<u32>(i.seg, c.ea(i), v)) return false;
  c.xmm[i.reg] = make128(v, 0);
  return true;
}
bool exec_MOVSD_VxWq(Cpu& c, const Insn& i) {
  if (!sse_ready(c)) return false;
  if (!(i.flags & kInsnMem)) {
    c.xmm[i.reg].q[0] = c.xmm[i.rm].q[0];
    return true;
  }
  u64 v;
  if (!c.read<u64>(i.seg, c.ea(i), v)) return false;
  c.xmm[i.reg] = make128(v, 0);
  return true;
}
bool exec_MOVSS_WdVx(Cpu& c, const Insn& i) {
  if (!sse_ready(c)) return false;
  if (i.flags & kInsnMem) return c.write<u32>(i.seg, c.ea(i), c.xmm[i.reg].d[0]);
  c.xmm[i.rm].d[0] = c.xmm[i.reg].d[0];
  return true;
}
bool exec_MOVSD_WqVx(Cpu& c, const Insn& i) {
  if (!sse_ready(c)) return false;
  if (i.flags & kInsnMem) return c.write<u64>(i.seg, c.ea(i), c.xmm[i.reg].q[0]);
  c.xmm[i.rm].q[0] = c.xmm[i.reg].q[0];
  return true;
}

// VEX: a load clears the rest; between registers the rest is the first source's.
namespace {
template <class B>
bool avx_load_scalar(Cpu& c, const Insn& i) {
  B v;
  if (!avx_ready(c) || !c.read<B>(i.seg, c.ea(i), v)) return false;
  set_xmm<true>(c, i.reg, make128(v, 0));
  return true;
}
template <class B>
bool avx_merge_scalar(Cpu& c, unsigned to, unsigned rest, unsigned from) {
  if (!avx_ready(c)) return false;
  V128 r = c.xmm[rest];
  low<B>(r) = low<B>(c.xmm[from]);
  set_xmm<true>(c, to, r);
  return true;
}
template <class B>
bool avx_store_scalar(Cpu& c, const Insn& i) {
  return avx_ready(c) && c.write<B>(i.seg, c.ea(i), low<B>(c.xmm[i.reg]));
}
}  // namespace
bool exec_VMOVSS_VxMd(Cpu& c, const Insn& i) { return avx_load_scalar<u32>(c, i); }
bool exec_VMOVSD_VxMq(Cpu& c, const Insn& i) { return avx_load_scalar<u64>(c, i); }
bool exec_VMOVSS_VxHxUx(Cpu& c, const Insn& i) { return avx_merge_scalar<u32>(c, i.reg, i.vvvv, i.rm); }
bool exec_VMOVSD_VxHxUx(Cpu& c, const Insn& i) { return avx_merge_scalar<u64>(c, i.reg, i.vvvv, i.rm); }
bool exec_VMOVSS_UxHxVx(Cpu& c, const Insn& i) { return avx_merge_scalar<u32>(c, i.rm, i.vvvv, i.reg); }
bool exec_VMOVSD_UxHxVx(Cpu& c, const Insn& i) { return avx_merge_scalar<u64>(c, i.rm, i.vvvv, i.reg); }
bool exec_VMOVSS_MdVx(Cpu& c, const Insn& i) { return avx_store_scalar<u32>(c, i); }
bool exec_VMOVSD_MqVx(Cpu& c, const Insn& i) { return avx_store_scalar<u64>(c, i); }

namespace {
template <bool kVex>
bool load_half(Cpu& c, const Insn& i, unsigned at) {
  u64 v;
  if (!ready<kVex>(c) || !c.read<u64>(i.seg, c.ea(i), v)) return false;
  V128 r = first_source<kVex>(c, i);
  r.q[at] = v;
  set_xmm<kVex>(c, i.reg, r);
  return true;
}
template <bool kVex>
bool store_half(Cpu& c, const Insn& i, unsigned at) {
  return ready<kVex>(c) && c.write<u64>(i.seg, c.ea(i), c.xmm[i.reg].q[at]);
}
template <bool kVex>
bool move_half(Cpu& c, const Insn& i, unsigned to, unsigned from) {
  if (!ready<kVex>(c)) return false;
  V128 r = first_source<kVex>(c, i);
  r.q[to] = c.xmm[i.rm].q[from];
  set_xmm<kVex>(c, i.reg, r);
  return true;
}
}  // namespace
#define HALVES(NAME, AT)                                                                  \
  bool exec_##NAME##_VxMq(Cpu& c, const Insn& i) { return load_half<false>(c, i, AT); }   \
  bool exec_##NAME##_MqVx(Cpu& c, const Insn& i) { return store_half<false>(c, i, AT); }  \
  bool exec_V##NAME##_VxHxMq(Cpu& c, const Insn& i) { return load_half<true>(c, i, AT); } \
  bool exec_V##NAME##_MqVx(Cpu& c, const Insn& i) { return store_half<true>(c, i, AT); }
HALVES(MOVLPS, 0)
HALVES(MOVLPD, 0)
HALVES(MOVHPS, 1)
HALVES(MOVHPD, 1)
#undef HALVES
bool exec_MOVHLPS_VxUx(Cpu& c, const Insn& i) { return move_half<false>(c, i, 0, 1); }
bool exec_MOVLHPS_VxUx(Cpu& c, const Insn& i) { return move_half<false>(c, i, 1, 0); }
bool exec_VMOVHLPS(Cpu& c, const Insn& i) { return move_half<true>(c, i, 0, 1); }
bool exec_VMOVLHPS(Cpu& c, const Insn& i) { return move_half<true>(c, i, 1, 0); }
bool exec_MOVDDUP_VxWq(Cpu& c, const Insn& i) {
  u64 v;
  if (!sse_ready(c) || !xmm_source_low<u64>(c, i, v)) return false;
  c.xmm[i.reg] = make128(v, v);
  return true;
}
bool exec_VMOVDDUP(Cpu& c, const Insn& i) {
  V256 s = ymm(c, i.rm), r{};
  if (!avx_ready(c)) return false;
  if ((i.flags & kInsnMem) &&
      (halves(i) == 2 ? !c.read<V256>(i.seg, c.ea(i), s) : !c.read<u64>(i.seg, c.ea(i), s.h[0].q[0])))
    return false;
  for (unsigned h = 0; h < halves(i); h++) r.h[h] = make128(s.h[h].q[0], s.h[h].q[0]);
  set_ymm(c, i.reg, r);
  return true;
}

namespace {
template <class T>
u64 lane_signs(const V128& v) {
  const auto s = lanes<T>(v);
  u64 m = 0;
  for (usize k = 0; k < s.size(); k++) m |= static_cast<u64>(s[k] >> (8 * sizeof(T) - 1)) << k;
  return m;
}
template <class T>
bool avx_signs(Cpu& c, const Insn& i) {
  if (!avx_ready(c)) return false;
  c.gpr[i.reg] = lane_signs<T>(c.xmm[i.rm]) | (halves(i) == 2 ? lane_signs<T>(c.ymm_hi[i.rm]) << 16 / sizeof(T) : 0);
  return true;
}
template <class T>
bool sse_signs(Cpu& c, const Insn& i) {
  if (!sse_ready(c)) return false;
  c.gpr[i.reg] = lane_signs<T>(c.xmm[i.rm]);
  return true;
}
}  // namespace
bool exec_MOVMSKPS_GdUx(Cpu& c, const Insn& i) { return sse_signs<u32>(c, i); }
bool exec_MOVMSKPD_GdUx(Cpu& c, const Insn& i) { return sse_signs<u64>(c, i); }
bool exec_VMOVMSKPS(Cpu& c, const Insn& i) { return avx_signs<u32>(c, i); }
bool exec_VMOVMSKPD(Cpu& c, const Insn& i) { return avx_signs<u64>(c, i); }

namespace {
template <bool kVex>
bool extract_single(Cpu& c, const Insn& i) {
  if (!ready<kVex>(c)) return false;
  const u32 v = c.xmm[i.reg].d[i.imm & 3];
  if (i.flags & kInsnMem) return c.write<u32>(i.seg, c.ea(i), v);
  c.gpr[i.rm] = v;
  return true;
}
template <bool kVex>
bool insert_single(Cpu& c, const Insn& i) {
  if (!ready<kVex>(c)) return false;
  u32 v = c.xmm[i.rm].d[i.imm >> 6 & 3];
  if ((i.flags & kInsnMem) && !c.read<u32>(i.seg, c.ea(i), v)) return false;
  V128 r = first_source<kVex>(c, i);
  r.d[i.imm >> 4 & 3] = v;
  for (unsigned k = 0; k < 4; k++)
    if (i.imm >> k & 1) r.d[k] = 0;
  set_xmm<kVex>(c, i.reg, r);
  return true;
}
}  // namespace
bool exec_EXTRACTPS_EdVxIb(Cpu& c, const Insn& i) { return extract_single<false>(c, i); }
bool exec_VEXTRACTPS(Cpu& c, const Insn& i) { return extract_single<true>(c, i); }
bool exec_INSERTPS_VxWdIb(Cpu& c, const Insn& i) { return insert_single<false>(c, i); }
bool exec_VINSERTPS(Cpu& c, const Insn& i) { return insert_single<true>(c, i); }

// ---- two registers -------------------------------------------------------------------------------

namespace {
struct And {
  static V128 op(const V128& a, const V128& b) { return make128(a.q[0] & b.q[0], a.q[1] & b.q[1]); }
};
struct AndNot {
  static V128 op(const V128& a, const V128& b) { return make128(~a.q[0] & b.q[0], ~a.q[1] & b.q[1]); }
};
struct Or {
  static V128 op(const V128& a, const V128& b) { return make128(a.q[0] | b.q[0], a.q[1] | b.q[1]); }
};
struct Xor {
  static V128 op(const V128& a, const V128& b) { return make128(a.q[0] ^ b.q[0], a.q[1] ^ b.q[1]); }
};
// Lanes k of the result: element of a (0 to 3) or b (4 to 7).
template <unsigned k0, unsigned k1, unsigned k2, unsigned k3>
struct Pick {
  static V128 op(const V128& a, const V128& b) {
    auto lane = [&](unsigned k) { return k < 4 ? a.d[k] : b.d[k - 4]; };
    V128 r;
    r.d[0] = lane(k0), r.d[1] = lane(k1), r.d[2] = lane(k2), r.d[3] = lane(k3);
    return r;
  }
};
struct Shufps {
  static V128 op(const V128& a, const V128& b, unsigned imm) {
    V128 r;
    r.d[0] = a.d[imm & 3], r.d[1] = a.d[imm >> 2 & 3], r.d[2] = b.d[imm >> 4 & 3], r.d[3] = b.d[imm >> 6 & 3];
    return r;
  }
};
struct Shufpd {
  static constexpr unsigned kImmStep = 2;
  static V128 op(const V128& a, const V128& b, unsigned imm) { return make128(a.q[imm & 1], b.q[imm >> 1 & 1]); }
};
struct Blendps {
  static constexpr unsigned kImmStep = 4;
  static V128 op(const V128& a, const V128& b, unsigned imm) {
    V128 r;
    for (unsigned k = 0; k < 4; k++) r.d[k] = imm >> k & 1 ? b.d[k] : a.d[k];
    return r;
  }
};
struct Blendpd {
  static constexpr unsigned kImmStep = 2;
  static V128 op(const V128& a, const V128& b, unsigned imm) {
    return make128(imm & 1 ? b.q[0] : a.q[0], imm & 2 ? b.q[1] : a.q[1]);
  }
};
}  // namespace

ORIEL_SSE(ANDPS, And)
ORIEL_SSE(ANDPD, And)
ORIEL_SSE(ANDNPS, AndNot)
ORIEL_SSE(ANDNPD, AndNot)
ORIEL_SSE(ORPS, Or)
ORIEL_SSE(ORPD, Or)
ORIEL_SSE(XORPS, Xor)
ORIEL_SSE(XORPD, Xor)
ORIEL_SSE(UNPCKLPS, Pick<0, 4, 1, 5>)
ORIEL_SSE(UNPCKHPS, Pick<2, 6, 3, 7>)
ORIEL_SSE(UNPCKLPD, Pick<0, 1, 4, 5>)
ORIEL_SSE(UNPCKHPD, Pick<2, 3, 6, 7>)
ORIEL_SSE(MOVSLDUP, Pick<4, 4, 6, 6>)
ORIEL_SSE(MOVSHDUP, Pick<5, 5, 7, 7>)
ORIEL_SSE_IMM(SHUFPS, Shufps)
ORIEL_SSE_IMM(SHUFPD, Shufpd)
ORIEL_SSE_IMM(BLENDPS, Blendps)
ORIEL_SSE_IMM(BLENDPD, Blendpd)

bool exec_BLENDVPS_VxWx(Cpu& c, const Insn& i) { return sse_blend_by_sign<u32>(c, i); }
bool exec_BLENDVPD_VxWx(Cpu& c, const Insn& i) { return sse_blend_by_sign<u64>(c, i); }
bool exec_VBLENDVPS(Cpu& c, const Insn& i) { return avx_blend_by_sign<u32>(c, i); }
bool exec_VBLENDVPD(Cpu& c, const Insn& i) { return avx_blend_by_sign<u64>(c, i); }

}  // namespace oriel
