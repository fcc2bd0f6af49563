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

// XMM = Op(the low N bytes of the source).
template <unsigned N, class Op>
bool to_xmm(Cpu& c, const Insn& i) {
  V128 s;
  if (!sse_ready(c) || !source<N>(c, i, s)) return false;
  FloatEnv e = sse_env(c);
  V128 r = Op::op(s, e);
  if (!sse_finish(c, e)) return false;
  c.xmm[i.reg] = r;
  return true;
}
// VEX: the result's lanes are as wide as the source's, twice as wide, or half as wide.
template <class Op>
bool avx_same(Cpu& c, const Insn& i) {
  V256 s, r{};
  if (!avx_ready(c) || !ymm_source(c, i, s)) return false;
  FloatEnv e = sse_env(c);
  for (unsigned h = 0; h < halves(i); h++) r.h[h] = Op::op(s.h[h], e);
  if (!sse_finish(c, e)) return false;
  set_ymm(c, i.reg, r);
  return true;
}
template <class Op>
bool avx_widen(Cpu& c, const Insn& i) {
  V128 s = c.xmm[i.rm];
  if (!avx_ready(c)) return false;
  if ((i.flags & kInsnMem) &&
      (halves(i) == 2 ? !c.read<V128>(i.seg, c.ea(i), s) : !c.read<u64>(i.seg, c.ea(i), s.q[0])))
    return false;
  V256 r{};
  FloatEnv e = sse_env(c);
  for (unsigned h = 0; h < halves(i); h++) r.h[h] = Op::op(make128(s.q[h], 0), e);
  if (!sse_finish(c, e)) return false;
  set_ymm(c, i.reg, r);
  return true;
}
template <class Op>
bool avx_narrow(Cpu& c, const Insn& i) {
  V256 s;
  if (!avx_ready(c) || !ymm_source(c, i, s)) return false;
  FloatEnv e = sse_env(c);
  V128 r = make128(0, 0);
  for (unsigned h = 0; h < halves(i); h++) r.q[h] = Op::op(s.h[h], e).q[0];
  if (!sse_finish(c, e)) return false;
  set_xmm<true>(c, i.reg, r);
  return true;
}

u32 int32(s32 v) { return static_cast<u32>(v); }

// ---- operations on 128 bits; narrow sources are in the low half, narrow results too ----------------

struct PsToPd {
  static V128 op(const V128& s, FloatEnv& e) {
    u64 a = f32_to_f64(s.d[0], e);
    return make128(a, f32_to_f64(s.d[1], e));
  }
};
struct PdToPs {
  static V128 op(const V128& s, FloatEnv& e) {
    V128 r = make128(0, 0);
    for (int k = 0; k < 2; k++) r.d[k] = f64_to_f32(s.q[k], e);
    return r;
  }
};
struct DqToPs {
  static V128 op(const V128& s, FloatEnv& e) {
    V128 r;
    for (int k = 0; k < 4; k++) r.d[k] = i32_to_f32(s.sd[k], e);
    return r;
  }
};
struct DqToPd {
  static V128 op(const V128& s, FloatEnv& e) { return make128(i32_to_f64(s.sd[0], e), i32_to_f64(s.sd[1], e)); }
};
template <bool kTruncate>
struct PsToDq {
  static V128 op(const V128& s, FloatEnv& e) {
    V128 r;
    for (int k = 0; k < 4; k++) r.d[k] = int32(f32_to_i32(s.d[k], mode_of(e, kTruncate), e));
    return r;
  }
};
template <bool kTruncate>
struct PdToDq {
  static V128 op(const V128& s, FloatEnv& e) {
    V128 r = make128(0, 0);
    for (int k = 0; k < 2; k++) r.d[k] = int32(f64_to_i32(s.q[k], mode_of(e, kTruncate), e));
    return r;
  }
};
struct PhToPs {
  static V128 op(const V128& s, FloatEnv& e) {
    V128 r;
    for (int k = 0; k < 4; k++) r.d[k] = f16_to_f32(s.w[k], e);
    return r;
  }
};

}  // namespace

// ---- within XMM and YMM --------------------------------------------------------------------------

#define CONVERT(ID, OPERANDS, N, VEX_CALL, ...)                                               \
  bool exec_##ID##_##OPERANDS(Cpu& c, const Insn& i) { return to_xmm<N, __VA_ARGS__>(c, i); } \
  bool exec_V##ID(Cpu& c, const Insn& i) { return VEX_CALL<__VA_ARGS__>(c, i); }
CONVERT(CVTPS2PD, VxWq, 8, avx_widen, PsToPd)
CONVERT(CVTDQ2PD, VxWq, 8, avx_widen, DqToPd)
CONVERT(CVTPD2PS, VxWx, 16, avx_narrow, PdToPs)
CONVERT(CVTPD2DQ, VxWx, 16, avx_narrow, PdToDq<false>)
CONVERT(CVTTPD2DQ, VxWx, 16, avx_narrow, PdToDq<true>)
CONVERT(CVTDQ2PS, VxWx, 16, avx_same, DqToPs)
CONVERT(CVTPS2DQ, VxWx, 16, avx_same, PsToDq<false>)
CONVERT(CVTTPS2DQ, VxWx, 16, avx_same, PsToDq<true>)
#undef CONVERT
bool exec_VCVTPH2PS(Cpu& c, const Insn& i) { return avx_widen<PhToPs>(c, i); }
// imm[1:0] rounding mode, imm[2] MXCSR's instead. A store that faults leaves MXCSR alone.
bool exec_VCVTPS2PH(Cpu& c, const Insn& i) {
  if (!avx_ready(c)) return false;
  const unsigned n = halves(i);
  const bool memory = i.flags & kInsnMem;
  if (memory && !c.probe_write(i.seg, c.ea(i), 8 * n)) return false;
  FloatEnv e = sse_env(c);
  const u8 mode = i.imm & 4 ? e.round : static_cast<u8>(i.imm & 3);
  V128 r = make128(0, 0);
  for (unsigned k = 0; k < 4 * n; k++) r.w[k] = f32_to_f16(half(c, i.reg, k / 4).d[k % 4], mode, e);
  if (!sse_finish(c, e)) return false;
  if (memory) return n == 2 ? c.write<V128>(i.seg, c.ea(i), r) : c.write<u64>(i.seg, c.ea(i), r.q[0]);
  set_xmm<true>(c, i.rm, r);
  return true;
}

namespace {
struct SsToSd {
  static u64 op(u32 v, FloatEnv& e) { return f32_to_f64(v, e); }
};
struct SdToSs {
  static u32 op(u64 v, FloatEnv& e) { return f64_to_f32(v, e); }
};
template <bool kVex, class From, class To, class Op>
bool scalar_convert(Cpu& c, const Insn& i) {
  From s;
  if (!ready<kVex>(c) || !xmm_source_low<From>(c, i, s)) return false;
  FloatEnv e = sse_env(c);
  V128 r = first_source<kVex>(c, i);
  low<To>(r) = Op::op(s, e);
  if (!sse_finish(c, e)) return false;
  set_xmm<kVex>(c, i.reg, r);
  return true;
}
}  // namespace

bool exec_CVTSS2SD_VxWd(Cpu& c, const Insn& i) { return scalar_convert<false, u32, u64, SsToSd>(c, i); }
bool exec_CVTSD2SS_VxWq(Cpu& c, const Insn& i) { return scalar_convert<false, u64, u32, SdToSs>(c, i); }
bool exec_VCVTSS2SD(Cpu& c, const Insn& i) { return scalar_convert<true, u32, u64, SsToSd>(c, i); }
bool exec_VCVTSD2SS(Cpu& c, const Insn& i) { return scalar_convert<true, u64, u32, SdToSs>(c, i); }

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
template <bool kVex, class B>
bool to_integer(Cpu& c, const Insn& i, bool truncate) {
  B s;
  if (!ready<kVex>(c) || !xmm_source_low<B>(c, i, s)) return false;
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

u32 from_integer(s64 v, u32, FloatEnv& e) { return i64_to_f32(v, e); }
u64 from_integer(s64 v, u64, FloatEnv& e) { return i64_to_f64(v, e); }
template <bool kVex, class B>
bool to_scalar(Cpu& c, const Insn& i) {
  s64 v;
  if (!ready<kVex>(c) || !integer_source(c, i, v)) return false;
  FloatEnv e = sse_env(c);
  V128 r = first_source<kVex>(c, i);
  low<B>(r) = from_integer(v, B{}, e);
  if (!sse_finish(c, e)) return false;
  set_xmm<kVex>(c, i.reg, r);
  return true;
}

}  // namespace

bool exec_CVTSI2SS_VxEy(Cpu& c, const Insn& i) { return to_scalar<false, u32>(c, i); }
bool exec_CVTSI2SD_VxEy(Cpu& c, const Insn& i) { return to_scalar<false, u64>(c, i); }
bool exec_VCVTSI2SS(Cpu& c, const Insn& i) { return to_scalar<true, u32>(c, i); }
bool exec_VCVTSI2SD(Cpu& c, const Insn& i) { return to_scalar<true, u64>(c, i); }
#define TO_INTEGER(ID, OPERANDS, B, TRUNCATE)                                                         \
  bool exec_##ID##_##OPERANDS(Cpu& c, const Insn& i) { return to_integer<false, B>(c, i, TRUNCATE); } \
  bool exec_V##ID(Cpu& c, const Insn& i) { return to_integer<true, B>(c, i, TRUNCATE); }
TO_INTEGER(CVTSS2SI, GyWd, u32, false)
TO_INTEGER(CVTTSS2SI, GyWd, u32, true)
TO_INTEGER(CVTSD2SI, GyWq, u64, false)
TO_INTEGER(CVTTSD2SI, GyWq, u64, true)
#undef TO_INTEGER

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
    r = truncate ? PdToDq<true>::op(s, e) : PdToDq<false>::op(s, e);
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
