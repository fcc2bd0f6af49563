// SSE conversions between formats, XMM integers, MMX integers and general registers. SDM Vol. 2; Vol. 1, 11.5.
#include "cpu/simd_fp.h"

namespace oriel {

using namespace simd;

namespace {

u8 mode_of(const FloatEnv& e, bool truncate) { return truncate ? static_cast<u8>(kRoundZero) : e.round; }

// The low `N` bytes of the r/m operand as a u64 pair: 16 aligned bytes, or 8 with no alignment.
template <unsigned N>
bool source(Cpu& c, const Insn& i, V128& v) {
  if constexpr (N == 16) {
    return xmm_source(c, i, v);
  } else {
    u64 q;
    if (!xmm_source_low<u64>(c, i, q)) return false;
    v = make128(q, 0);
    return true;
  }
}

// XMM = Fn(source, env): Fn(V128 in, FloatEnv&) -> V128.
template <unsigned N, class Fn>
bool to_xmm(Cpu& c, const Insn& i, Fn fn) {
  V128 s;
  if (!sse_ready(c) || !source<N>(c, i, s)) return false;
  FloatEnv e = sse_env(c);
  V128 r = fn(s, e);
  if (!sse_finish(c, e)) return false;
  c.xmm[i.reg] = r;
  return true;
}

u32 int32(s32 v) { return static_cast<u32>(v); }

V128 ps_to_dq(const V128& s, FloatEnv& e, bool truncate) {
  V128 r;
  for (int k = 0; k < 4; k++) r.d[k] = int32(f32_to_i32(s.d[k], mode_of(e, truncate), e));
  return r;
}
V128 pd_to_dq(const V128& s, FloatEnv& e, bool truncate) {
  V128 r = make128(0, 0);
  for (int k = 0; k < 2; k++) r.d[k] = int32(f64_to_i32(s.q[k], mode_of(e, truncate), e));
  return r;
}

}  // namespace

// ---- within XMM ----------------------------------------------------------------------------------

bool exec_CVTPS2PD_VxWq(Cpu& c, const Insn& i) {
  return to_xmm<8>(c, i, [](const V128& s, FloatEnv& e) {
    u64 a = f32_to_f64(s.d[0], e);
    return make128(a, f32_to_f64(s.d[1], e));
  });
}
bool exec_CVTPD2PS_VxWx(Cpu& c, const Insn& i) {
  return to_xmm<16>(c, i, [](const V128& s, FloatEnv& e) {
    V128 r = make128(0, 0);
    for (int k = 0; k < 2; k++) r.d[k] = f64_to_f32(s.q[k], e);
    return r;
  });
}
bool exec_CVTDQ2PS_VxWx(Cpu& c, const Insn& i) {
  return to_xmm<16>(c, i, [](const V128& s, FloatEnv& e) {
    V128 r;
    for (int k = 0; k < 4; k++) r.d[k] = i32_to_f32(s.sd[k], e);
    return r;
  });
}
bool exec_CVTDQ2PD_VxWq(Cpu& c, const Insn& i) {
  return to_xmm<8>(c, i,
                   [](const V128& s, FloatEnv& e) { return make128(i32_to_f64(s.sd[0], e), i32_to_f64(s.sd[1], e)); });
}
bool exec_CVTPS2DQ_VxWx(Cpu& c, const Insn& i) {
  return to_xmm<16>(c, i, [](const V128& s, FloatEnv& e) { return ps_to_dq(s, e, false); });
}
bool exec_CVTTPS2DQ_VxWx(Cpu& c, const Insn& i) {
  return to_xmm<16>(c, i, [](const V128& s, FloatEnv& e) { return ps_to_dq(s, e, true); });
}
bool exec_CVTPD2DQ_VxWx(Cpu& c, const Insn& i) {
  return to_xmm<16>(c, i, [](const V128& s, FloatEnv& e) { return pd_to_dq(s, e, false); });
}
bool exec_CVTTPD2DQ_VxWx(Cpu& c, const Insn& i) {
  return to_xmm<16>(c, i, [](const V128& s, FloatEnv& e) { return pd_to_dq(s, e, true); });
}

bool exec_CVTSS2SD_VxWd(Cpu& c, const Insn& i) {
  u32 s;
  if (!sse_ready(c) || !xmm_source_low<u32>(c, i, s)) return false;
  FloatEnv e = sse_env(c);
  const u64 r = f32_to_f64(s, e);
  if (!sse_finish(c, e)) return false;
  c.xmm[i.reg].q[0] = r;
  return true;
}
bool exec_CVTSD2SS_VxWq(Cpu& c, const Insn& i) {
  u64 s;
  if (!sse_ready(c) || !xmm_source_low<u64>(c, i, s)) return false;
  FloatEnv e = sse_env(c);
  const u32 r = f64_to_f32(s, e);
  if (!sse_finish(c, e)) return false;
  c.xmm[i.reg].d[0] = r;
  return true;
}

// ---- general registers ---------------------------------------------------------------------------

namespace {

bool integer_source(Cpu& c, const Insn& i, s64& v) {
  if (i.osz == 3) {
    u64 q = c.gpr[i.rm];
    if ((i.flags & kInsnMem) && !c.read<u64>(i.seg, c.ea(i), q)) return false;
    v = static_cast<s64>(q);
  } else {
    u32 d = c.get32(i.rm);
    if ((i.flags & kInsnMem) && !c.read<u32>(i.seg, c.ea(i), d)) return false;
    v = static_cast<s32>(d);
  }
  return true;
}
template <class B>
bool to_integer(Cpu& c, const Insn& i, bool truncate) {
  B s;
  if (!sse_ready(c) || !xmm_source_low<B>(c, i, s)) return false;
  FloatEnv e = sse_env(c);
  const u8 mode = mode_of(e, truncate);
  u64 r;
  if constexpr (sizeof(B) == 4)
    r = i.osz == 3 ? static_cast<u64>(f32_to_i64(s, mode, e)) : int32(f32_to_i32(s, mode, e));
  else
    r = i.osz == 3 ? static_cast<u64>(f64_to_i64(s, mode, e)) : int32(f64_to_i32(s, mode, e));
  if (!sse_finish(c, e)) return false;
  c.gpr[i.reg] = r;
  return true;
}

}  // namespace

bool exec_CVTSI2SS_VxEy(Cpu& c, const Insn& i) {
  s64 v;
  if (!sse_ready(c) || !integer_source(c, i, v)) return false;
  FloatEnv e = sse_env(c);
  const u32 r = i64_to_f32(v, e);
  if (!sse_finish(c, e)) return false;
  c.xmm[i.reg].d[0] = r;
  return true;
}
bool exec_CVTSI2SD_VxEy(Cpu& c, const Insn& i) {
  s64 v;
  if (!sse_ready(c) || !integer_source(c, i, v)) return false;
  FloatEnv e = sse_env(c);
  const u64 r = i64_to_f64(v, e);
  if (!sse_finish(c, e)) return false;
  c.xmm[i.reg].q[0] = r;
  return true;
}
bool exec_CVTSS2SI_GyWd(Cpu& c, const Insn& i) { return to_integer<u32>(c, i, false); }
bool exec_CVTTSS2SI_GyWd(Cpu& c, const Insn& i) { return to_integer<u32>(c, i, true); }
bool exec_CVTSD2SI_GyWq(Cpu& c, const Insn& i) { return to_integer<u64>(c, i, false); }
bool exec_CVTTSD2SI_GyWq(Cpu& c, const Insn& i) { return to_integer<u64>(c, i, true); }

// ---- MMX -----------------------------------------------------------------------------------------

bool exec_CVTPI2PS_VxQq(Cpu& c, const Insn& i) {
  u64 s;
  if (!sse_ready(c) || !c.check_mmx() || !mm_source(c, i, s)) return false;
  FloatEnv e = sse_env(c);
  const V128 v = make128(s, 0);
  const u32 a = i32_to_f32(v.sd[0], e), b = i32_to_f32(v.sd[1], e);
  mmx_enter(c);  // also when an unmasked exception follows, as Zen 3 does
  if (!sse_finish(c, e)) return false;
  c.xmm[i.reg].d[0] = a;
  c.xmm[i.reg].d[1] = b;
  return true;
}
bool exec_CVTPI2PD_VxQq(Cpu& c, const Insn& i) {
  u64 s;
  const bool memory = i.flags & kInsnMem;  // does not touch the MMX state then
  if (!sse_ready(c) || (!memory && !c.check_mmx()) || !mm_source(c, i, s)) return false;
  FloatEnv e;
  const V128 v = make128(s, 0);
  if (!memory) mmx_enter(c);
  c.xmm[i.reg] = make128(i32_to_f64(v.sd[0], e), i32_to_f64(v.sd[1], e));
  return true;
}

namespace {
template <unsigned N>
bool to_mmx(Cpu& c, const Insn& i, bool truncate) {
  V128 s;
  if (!sse_ready(c) || !c.check_mmx() || !source<N>(c, i, s)) return false;
  FloatEnv e = sse_env(c);
  V128 r = make128(0, 0);
  if constexpr (N == 8)
    for (int k = 0; k < 2; k++) r.d[k] = int32(f32_to_i32(s.d[k], mode_of(e, truncate), e));
  else
    r = pd_to_dq(s, e, truncate);
  mmx_enter(c);
  if (!sse_finish(c, e)) return false;
  set_mm(c, i.reg, r.q[0]);
  return true;
}
}  // namespace

bool exec_CVTPS2PI_PqWq(Cpu& c, const Insn& i) { return to_mmx<8>(c, i, false); }
bool exec_CVTTPS2PI_PqWq(Cpu& c, const Insn& i) { return to_mmx<8>(c, i, true); }
bool exec_CVTPD2PI_PqWx(Cpu& c, const Insn& i) { return to_mmx<16>(c, i, false); }
bool exec_CVTTPD2PI_PqWx(Cpu& c, const Insn& i) { return to_mmx<16>(c, i, true); }

}  // namespace oriel
