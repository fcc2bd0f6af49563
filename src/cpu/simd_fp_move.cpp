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

namespace {
bool load_half(Cpu& c, const Insn& i, unsigned half) {
  u64 v;
  if (!sse_ready(c) || !c.read<u64>(i.seg, c.ea(i), v)) return false;
  c.xmm[i.reg].q[half] = v;
  return true;
}
bool store_half(Cpu& c, const Insn& i, unsigned half) {
  return sse_ready(c) && c.write<u64>(i.seg, c.ea(i), c.xmm[i.reg].q[half]);
}
}  // namespace
bool exec_MOVLPS_VxMq(Cpu& c, const Insn& i) { return load_half(c, i, 0); }
bool exec_MOVLPD_VxMq(Cpu& c, const Insn& i) { return load_half(c, i, 0); }
bool exec_MOVHPS_VxMq(Cpu& c, const Insn& i) { return load_half(c, i, 1); }
bool exec_MOVHPD_VxMq(Cpu& c, const Insn& i) { return load_half(c, i, 1); }
bool exec_MOVLPS_MqVx(Cpu& c, const Insn& i) { return store_half(c, i, 0); }
bool exec_MOVLPD_MqVx(Cpu& c, const Insn& i) { return store_half(c, i, 0); }
bool exec_MOVHPS_MqVx(Cpu& c, const Insn& i) { return store_half(c, i, 1); }
bool exec_MOVHPD_MqVx(Cpu& c, const Insn& i) { return store_half(c, i, 1); }
bool exec_MOVHLPS_VxUx(Cpu& c, const Insn& i) {
  if (!sse_ready(c)) return false;
  c.xmm[i.reg].q[0] = c.xmm[i.rm].q[1];
  return true;
}
bool exec_MOVLHPS_VxUx(Cpu& c, const Insn& i) {
  if (!sse_ready(c)) return false;
  c.xmm[i.reg].q[1] = c.xmm[i.rm].q[0];
  return true;
}
bool exec_MOVDDUP_VxWq(Cpu& c, const Insn& i) {
  u64 v;
  if (!sse_ready(c) || !xmm_source_low<u64>(c, i, v)) return false;
  c.xmm[i.reg] = make128(v, v);
  return true;
}

bool exec_MOVMSKPS_GdUx(Cpu& c, const Insn& i) {
  if (!sse_ready(c)) return false;
  const V128& v = c.xmm[i.rm];
  c.gpr[i.reg] = v.d[0] >> 31 | (v.d[1] >> 31) << 1 | (v.d[2] >> 31) << 2 | (v.d[3] >> 31) << 3;
  return true;
}
bool exec_MOVMSKPD_GdUx(Cpu& c, const Insn& i) {
  if (!sse_ready(c)) return false;
  c.gpr[i.reg] = c.xmm[i.rm].q[0] >> 63 | (c.xmm[i.rm].q[1] >> 63) << 1;
  return true;
}
bool exec_EXTRACTPS_EdVxIb(Cpu& c, const Insn& i) {
  if (!sse_ready(c)) return false;
  const u32 v = c.xmm[i.reg].d[i.imm & 3];
  if (i.flags & kInsnMem) return c.write<u32>(i.seg, c.ea(i), v);
  c.gpr[i.rm] = v;
  return true;
}
bool exec_INSERTPS_VxWdIb(Cpu& c, const Insn& i) {
  if (!sse_ready(c)) return false;
  u32 v;
  if (i.flags & kInsnMem) {
    if (!c.read<u32>(i.seg, c.ea(i), v)) return false;
  } else {
    v = c.xmm[i.rm].d[i.imm >> 6 & 3];
  }
  V128& d = c.xmm[i.reg];
  d.d[i.imm >> 4 & 3] = v;
  for (unsigned k = 0; k < 4; k++)
    if (i.imm >> k & 1) d.d[k] = 0;
  return true;
}

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
  static V128 op(const V128& a, const V128& b, unsigned imm) { return make128(a.q[imm & 1], b.q[imm >> 1 & 1]); }
};
struct Blendps {
  static V128 op(const V128& a, const V128& b, unsigned imm) {
    V128 r;
    for (unsigned k = 0; k < 4; k++) r.d[k] = imm >> k & 1 ? b.d[k] : a.d[k];
    return r;
  }
};
struct Blendpd {
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

bool exec_BLENDVPS_VxWx(Cpu& c, const Insn& i) {
  V128 s;
  if (!sse_ready(c) || !xmm_source(c, i, s)) return false;
  const V128 mask = c.xmm[0];
  for (unsigned k = 0; k < 4; k++)
    if (mask.d[k] >> 31) c.xmm[i.reg].d[k] = s.d[k];
  return true;
}
bool exec_BLENDVPD_VxWx(Cpu& c, const Insn& i) {
  V128 s;
  if (!sse_ready(c) || !xmm_source(c, i, s)) return false;
  const V128 mask = c.xmm[0];
  for (unsigned k = 0; k < 2; k++)
    if (mask.q[k] >> 63) c.xmm[i.reg].q[k] = s.q[k];
  return true;
}

}  // namespace oriel
