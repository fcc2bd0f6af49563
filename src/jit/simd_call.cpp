// Instructions of SSE that compiled code has tier 0 execute, as functions of their operands: the rare cases of floating
// point, and what has no operation in WebAssembly.
#include <bit>
#include <cmath>

#include "cpu/exec.h"
#include "cpu/simd_fp.h"
#include "jit/ir/simd.h"
#include "jit/jit.h"

namespace oriel::jit {

namespace {

using simd::make128;

// What the two operands of a comparison give without a look at MXCSR.
template <class B>
u32 plain_compare(B a, B b) {
  using H = typename simd::Format<B>::Host;
  const H x = std::bit_cast<H>(a), y = std::bit_cast<H>(b);
  return x > y ? 0 : x < y ? u32{kCF} : x == y ? u32{kZF} : kZF | kPF | kCF;
}

template <class B>
bool denormal(B v) {
  constexpr B one = B{1} << simd::Format<B>::kFraction;
  const B mag = static_cast<B>(v << 1) >> 1;
  return mag != 0 && mag < one;
}
bool has_denormal(const V128& v, u32 where) {
  switch (where) {
    case kPlain32: return denormal(v.d[0]);
    case kPlain64: return denormal(v.q[0]);
    case kPlain32x4: return denormal(v.d[0]) || denormal(v.d[1]) || denormal(v.d[2]) || denormal(v.d[3]);
    case kPlain64x2: return denormal(v.q[0]) || denormal(v.q[1]);
    default: return false;
  }
}

}  // namespace

V128 Jit::simd(u32 what, V128 a, V128 b) {
  stats_.simd_calls++;
  Insn i{};
  i.op = static_cast<u16>(what);
  i.imm = what >> 16 & 0xff;
  i.osz = what >> 24 & 3;
  // XMM and general registers 0 and 1 stand for the operands, and get their own values back.
  i.reg = 0;
  i.rm = 1;
  const V128 xmm[2] = {c_.xmm[0], c_.xmm[1]};
  const u64 gpr[2] = {c_.gpr[0], c_.gpr[1]};
  const u64 cc_res = c_.cc_res, cc_aux = c_.cc_aux;
  const u32 mxcsr = c_.mxcsr;
  c_.xmm[0] = a;
  c_.xmm[1] = b;
  c_.gpr[1] = b.q[0];
  bool ok = kExec[i.op](c_, i);
  V128 r = c_.xmm[0];
  switch (i.op) {
    case OP_CVTSS2SI_GyWd:
    case OP_CVTTSS2SI_GyWd:
    case OP_CVTSD2SI_GyWq:
    case OP_CVTTSD2SI_GyWq: r = make128(c_.gpr[0], 0); break;
    case OP_UCOMISS_VxWd:
    case OP_COMISS_VxWd: ok &= c_.arith_flags() == plain_compare(a.d[0], b.d[0]); break;
    case OP_UCOMISD_VxWq:
    case OP_COMISD_VxWq: ok &= c_.arith_flags() == plain_compare(a.q[0], b.q[0]); break;
    default: break;
  }
  ok &= !has_denormal(r, what >> kSimdResultShift & 7);
  for (unsigned k = 0; k < 2; k++) {
    c_.xmm[k] = xmm[k];
    c_.gpr[k] = gpr[k];
  }
  c_.cc_res = cc_res;
  c_.cc_aux = cc_aux;
  if (!ok) c_.mxcsr = mxcsr;
  c_.jit.raised = !ok;
  return r;
}

}  // namespace oriel::jit
