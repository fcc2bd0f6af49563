// Integer SIMD data movement: MOVD, MOVQ, MOVDQA/U, non-temporal and masked stores, insertion and extraction, byte
// masks, EMMS. SDM Vol. 2.
#include "cpu/simd_int.h"

namespace oriel {

using simd::make128;
using simd::misaligned16;
using simd::mm;
using simd::mm_source;
using simd::mmx_enter;
using simd::ready;
using simd::set_mm;
using simd::set_xmm;
using simd::sse_ready;
using simd::xmm_source;
using simd::xmm_source_low;
using simd::xmm_source_unaligned;

namespace {

// A general register or memory operand of 32 bits, or 64 with REX.W, zero-extended.
bool ey_source(Cpu& c, const Insn& i, u64& v) {
  if (!(i.flags & kInsnMem)) {
    v = c.get_reg(i.rm, i.osz);
    return true;
  }
  if (i.osz == 3) return c.read<u64>(i.seg, c.ea(i), v);
  u32 d;
  if (!c.read<u32>(i.seg, c.ea(i), d)) return false;
  v = d;
  return true;
}
bool ey_store(Cpu& c, const Insn& i, u64 v) {
  if (!(i.flags & kInsnMem)) {
    c.set_reg(i.rm, v, i.osz);
    return true;
  }
  return i.osz == 3 ? c.write<u64>(i.seg, c.ea(i), v) : c.write<u32>(i.seg, c.ea(i), static_cast<u32>(v));
}
bool xmm_store_aligned(Cpu& c, const Insn& i, const V128& v) {
  u64 off = c.ea(i);
  if (misaligned16(c, i, off)) return c.raise(kGP, 0);
  return c.write<V128>(i.seg, off, v);
}

}  // namespace

// ---- MOVD, MOVQ --------------------------------------------------------------------------------

bool exec_MOVD_PqEy(Cpu& c, const Insn& i) {
  u64 v;
  if (!c.check_mmx() || !ey_source(c, i, v)) return false;
  set_mm(c, i.reg, v);
  return true;
}
bool exec_MOVD_EyPq(Cpu& c, const Insn& i) {
  if (!c.check_mmx() || !ey_store(c, i, mm(c, i.reg))) return false;
  mmx_enter(c);
  return true;
}
namespace {
template <bool kVex>
bool from_general(Cpu& c, const Insn& i) {
  u64 v;
  if (!ready<kVex>(c) || !ey_source(c, i, v)) return false;
  set_xmm<kVex>(c, i.reg, make128(v, 0));
  return true;
}
template <bool kVex>
bool load_quad(Cpu& c, const Insn& i) {
  u64 v;
  if (!ready<kVex>(c) || !xmm_source_low<u64>(c, i, v)) return false;
  set_xmm<kVex>(c, i.reg, make128(v, 0));
  return true;
}
template <bool kVex>
bool store_quad(Cpu& c, const Insn& i) {
  if (!ready<kVex>(c)) return false;
  const u64 v = c.xmm[i.reg].q[0];
  if (i.flags & kInsnMem) return c.write<u64>(i.seg, c.ea(i), v);
  set_xmm<kVex>(c, i.rm, make128(v, 0));
  return true;
}
}  // namespace
bool exec_MOVD_VxEy(Cpu& c, const Insn& i) { return from_general<false>(c, i); }
bool exec_VMOVD_VxEy(Cpu& c, const Insn& i) { return from_general<true>(c, i); }
bool exec_MOVD_EyVx(Cpu& c, const Insn& i) { return sse_ready(c) && ey_store(c, i, c.xmm[i.reg].q[0]); }
bool exec_VMOVD_EyVx(Cpu& c, const Insn& i) { return simd::avx_ready(c) && ey_store(c, i, c.xmm[i.reg].q[0]); }

bool exec_MOVQ_PqQq(Cpu& c, const Insn& i) {
  u64 v;
  if (!c.check_mmx() || !mm_source(c, i, v)) return false;
  set_mm(c, i.reg, v);
  return true;
}
bool exec_MOVQ_QqPq(Cpu& c, const Insn& i) {
  if (!c.check_mmx()) return false;
  const u64 v = mm(c, i.reg);
  if (!(i.flags & kInsnMem)) {
    set_mm(c, i.rm, v);
    return true;
  }
  if (!c.write<u64>(i.seg, c.ea(i), v)) return false;
  mmx_enter(c);
  return true;
}
bool exec_MOVQ_VxWq(Cpu& c, const Insn& i) { return load_quad<false>(c, i); }
bool exec_VMOVQ_VxWq(Cpu& c, const Insn& i) { return load_quad<true>(c, i); }
bool exec_MOVQ_WqVx(Cpu& c, const Insn& i) { return store_quad<false>(c, i); }
bool exec_VMOVQ_WqVx(Cpu& c, const Insn& i) { return store_quad<true>(c, i); }
bool exec_MOVQ2DQ_VxNq(Cpu& c, const Insn& i) {
  if (!sse_ready(c) || !c.check_mmx()) return false;
  mmx_enter(c);
  c.xmm[i.reg] = make128(mm(c, i.rm), 0);
  return true;
}
bool exec_MOVDQ2Q_PqUx(Cpu& c, const Insn& i) {
  if (!sse_ready(c) || !c.check_mmx()) return false;
  set_mm(c, i.reg, c.xmm[i.rm].q[0]);
  return true;
}

// ---- MOVDQA, MOVDQU and the non-temporal moves -------------------------------------------------

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
}  // namespace

bool exec_VMOVDQA_VxWx(Cpu& c, const Insn& i) { return simd::ymm_load(c, i, true); }
bool exec_VMOVDQA_WxVx(Cpu& c, const Insn& i) { return simd::ymm_store(c, i, true); }
bool exec_VMOVDQU_VxWx(Cpu& c, const Insn& i) { return simd::ymm_load(c, i, false); }
bool exec_VMOVDQU_WxVx(Cpu& c, const Insn& i) { return simd::ymm_store(c, i, false); }
bool exec_VLDDQU(Cpu& c, const Insn& i) { return simd::ymm_load(c, i, false); }
bool exec_VMOVNTDQA(Cpu& c, const Insn& i) { return simd::ymm_load(c, i, true); }
bool exec_VMOVNTDQ(Cpu& c, const Insn& i) { return simd::ymm_store(c, i, true); }

bool exec_MOVDQA_VxWx(Cpu& c, const Insn& i) { return load_aligned(c, i); }
bool exec_MOVDQA_WxVx(Cpu& c, const Insn& i) {
  if (!sse_ready(c)) return false;
  if (i.flags & kInsnMem) return xmm_store_aligned(c, i, c.xmm[i.reg]);
  c.xmm[i.rm] = c.xmm[i.reg];
  return true;
}
bool exec_MOVDQU_VxWx(Cpu& c, const Insn& i) { return load_unaligned(c, i); }
bool exec_MOVDQU_WxVx(Cpu& c, const Insn& i) {
  if (!sse_ready(c)) return false;
  if (i.flags & kInsnMem) return c.write<V128>(i.seg, c.ea(i), c.xmm[i.reg]);
  c.xmm[i.rm] = c.xmm[i.reg];
  return true;
}
bool exec_LDDQU_VxMx(Cpu& c, const Insn& i) { return load_unaligned(c, i); }
bool exec_MOVNTDQA_VxMx(Cpu& c, const Insn& i) { return load_aligned(c, i); }
bool exec_MOVNTDQ_MxVx(Cpu& c, const Insn& i) { return sse_ready(c) && xmm_store_aligned(c, i, c.xmm[i.reg]); }
bool exec_MOVNTQ_MqPq(Cpu& c, const Insn& i) {
  if (!c.check_mmx() || !c.write<u64>(i.seg, c.ea(i), mm(c, i.reg))) return false;
  mmx_enter(c);
  return true;
}
// General registers only: none of the SIMD checks.
bool exec_MOVNTI_MyGy(Cpu& c, const Insn& i) { return ey_store(c, i, c.gpr[i.reg]); }

// ---- masked stores -----------------------------------------------------------------------------

namespace {
// Bytes whose mask byte has its top bit set go to DS:rDI (the segment can be overridden). Only bytes
// that are written are checked.
bool store_masked(Cpu& c, const Insn& i, const u8* data, const u8* mask, unsigned n) {
  const u64 off = c.gpr[kRDI];
  for (unsigned k = 0; k < n; k++) {
    if ((mask[k] & 0x80) && !c.probe_write(i.seg, simd::wrap_offset(i, off + k), 1)) return false;
  }
  for (unsigned k = 0; k < n; k++) {
    if ((mask[k] & 0x80) && !c.write<u8>(i.seg, simd::wrap_offset(i, off + k), data[k])) return false;
  }
  return true;
}
}  // namespace

bool exec_MASKMOVQ_PqNq(Cpu& c, const Insn& i) {
  if (!c.check_mmx()) return false;
  const auto data = simd::lanes<u8>(mm(c, i.reg)), mask = simd::lanes<u8>(mm(c, i.rm));
  if (!store_masked(c, i, data.data(), mask.data(), 8)) return false;
  mmx_enter(c);
  return true;
}
bool exec_MASKMOVDQU_VxUx(Cpu& c, const Insn& i) {
  return sse_ready(c) && store_masked(c, i, c.xmm[i.reg].b, c.xmm[i.rm].b, 16);
}
bool exec_VMASKMOVDQU(Cpu& c, const Insn& i) {
  return simd::avx_ready(c) && store_masked(c, i, c.xmm[i.reg].b, c.xmm[i.rm].b, 16);
}

// ---- insertion and extraction ------------------------------------------------------------------

namespace {
// T from the low bits of a general register, or from memory.
template <class T>
bool lane_source(Cpu& c, const Insn& i, T& v) {
  if (i.flags & kInsnMem) return c.read<T>(i.seg, c.ea(i), v);
  v = static_cast<T>(c.gpr[i.rm]);
  return true;
}
template <class T, bool kVex = false>
bool insert(Cpu& c, const Insn& i) {
  T v;
  if (!ready<kVex>(c) || !lane_source<T>(c, i, v)) return false;
  auto r = simd::lanes<T>(simd::first_source<kVex>(c, i));
  r[i.imm & (r.size() - 1)] = v;
  set_xmm<kVex>(c, i.reg, simd::join<V128>(r));
  return true;
}
// To the r/m operand; registers are zero-extended to 64 bits.
template <class T, bool kVex = false>
bool extract(Cpu& c, const Insn& i) {
  if (!ready<kVex>(c)) return false;
  const auto s = simd::lanes<T>(c.xmm[i.reg]);
  const T v = s[i.imm & (s.size() - 1)];
  if (i.flags & kInsnMem) return c.write<T>(i.seg, c.ea(i), v);
  c.gpr[i.rm] = v;
  return true;
}
bool insert_word_mmx(Cpu& c, const Insn& i) {
  u16 v;
  if (!c.check_mmx() || !lane_source<u16>(c, i, v)) return false;
  auto r = simd::lanes<u16>(mm(c, i.reg));
  r[i.imm & 3] = v;
  set_mm(c, i.reg, simd::join<u64>(r));
  return true;
}
template <class R>
u64 sign_mask(const R& v) {
  const auto b = simd::lanes<u8>(v);
  u64 m = 0;
  for (usize k = 0; k < b.size(); k++) m |= static_cast<u64>(b[k] >> 7) << k;
  return m;
}
}  // namespace

bool exec_PINSRW_PqRdIb(Cpu& c, const Insn& i) { return insert_word_mmx(c, i); }
bool exec_PINSRW_PqMwIb(Cpu& c, const Insn& i) { return insert_word_mmx(c, i); }
bool exec_PINSRW_VxRdIb(Cpu& c, const Insn& i) { return insert<u16>(c, i); }
bool exec_PINSRW_VxMwIb(Cpu& c, const Insn& i) { return insert<u16>(c, i); }
bool exec_PINSRB_VxRdIb(Cpu& c, const Insn& i) { return insert<u8>(c, i); }
bool exec_PINSRB_VxMbIb(Cpu& c, const Insn& i) { return insert<u8>(c, i); }
bool exec_PINSRD_VxEyIb(Cpu& c, const Insn& i) { return i.osz == 3 ? insert<u64>(c, i) : insert<u32>(c, i); }
bool exec_PEXTRB_RdVxIb(Cpu& c, const Insn& i) { return extract<u8>(c, i); }
bool exec_PEXTRB_MbVxIb(Cpu& c, const Insn& i) { return extract<u8>(c, i); }
bool exec_PEXTRW_RdVxIb(Cpu& c, const Insn& i) { return extract<u16>(c, i); }
bool exec_PEXTRW_MwVxIb(Cpu& c, const Insn& i) { return extract<u16>(c, i); }
bool exec_PEXTRD_EyVxIb(Cpu& c, const Insn& i) { return i.osz == 3 ? extract<u64>(c, i) : extract<u32>(c, i); }
bool exec_VPINSRW_VxHxRdIb(Cpu& c, const Insn& i) { return insert<u16, true>(c, i); }
bool exec_VPINSRW_VxHxMwIb(Cpu& c, const Insn& i) { return insert<u16, true>(c, i); }
bool exec_VPINSRB_VxHxRdIb(Cpu& c, const Insn& i) { return insert<u8, true>(c, i); }
bool exec_VPINSRB_VxHxMbIb(Cpu& c, const Insn& i) { return insert<u8, true>(c, i); }
bool exec_VPINSRD(Cpu& c, const Insn& i) { return i.osz == 3 ? insert<u64, true>(c, i) : insert<u32, true>(c, i); }
bool exec_VPEXTRB_RdVxIb(Cpu& c, const Insn& i) { return extract<u8, true>(c, i); }
bool exec_VPEXTRB_MbVxIb(Cpu& c, const Insn& i) { return extract<u8, true>(c, i); }
bool exec_VPEXTRW_RdVxIb(Cpu& c, const Insn& i) { return extract<u16, true>(c, i); }
bool exec_VPEXTRW_MwVxIb(Cpu& c, const Insn& i) { return extract<u16, true>(c, i); }
bool exec_VPEXTRD(Cpu& c, const Insn& i) { return i.osz == 3 ? extract<u64, true>(c, i) : extract<u32, true>(c, i); }
bool exec_PEXTRW_GdNqIb(Cpu& c, const Insn& i) {
  if (!c.check_mmx()) return false;
  mmx_enter(c);
  c.gpr[i.reg] = simd::lanes<u16>(mm(c, i.rm))[i.imm & 3];
  return true;
}
namespace {
template <bool kVex>
bool extract_word(Cpu& c, const Insn& i) {
  if (!ready<kVex>(c)) return false;
  c.gpr[i.reg] = c.xmm[i.rm].w[i.imm & 7];
  return true;
}
}  // namespace
bool exec_PEXTRW_GdUxIb(Cpu& c, const Insn& i) { return extract_word<false>(c, i); }
bool exec_VPEXTRW_GdUxIb(Cpu& c, const Insn& i) { return extract_word<true>(c, i); }
bool exec_PMOVMSKB_GdNq(Cpu& c, const Insn& i) {
  if (!c.check_mmx()) return false;
  mmx_enter(c);
  c.gpr[i.reg] = sign_mask(mm(c, i.rm));
  return true;
}
bool exec_PMOVMSKB_GdUx(Cpu& c, const Insn& i) {
  if (!sse_ready(c)) return false;
  c.gpr[i.reg] = sign_mask(c.xmm[i.rm]);
  return true;
}

bool exec_VPMOVMSKB(Cpu& c, const Insn& i) {
  if (!simd::avx_ready(c)) return false;
  c.gpr[i.reg] = sign_mask(c.xmm[i.rm]) | (simd::halves(i) == 2 ? sign_mask(c.ymm_hi[i.rm]) << 16 : 0);
  return true;
}

bool exec_EMMS(Cpu& c, const Insn&) {
  if (!c.check_mmx()) return false;
  c.fpu.top = 0;
  c.fpu.tw = 0;
  return true;
}

}  // namespace oriel
