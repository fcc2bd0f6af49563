// AVX and AVX2: what SSE has is lifted as that, a half of the register after the other; the rest is here. Fused
// multiplication, gathers, masked moves, conversions between vectors of different lengths and a few more are steps.
// SDM Vol. 2; 2.4: no alignment is required but by the moves that say so.
#include <string>
#include <string_view>

#include "jit/lift/lifter.h"

namespace oriel::jit {

namespace {

constexpr u64 kSse = F_SSE | F_SSE2 | F_SSE3 | F_SSSE3 | F_SSE41 | F_SSE42 | F_AES | F_PCLMUL;

// The Op of SSE that does with a register what one of AVX does with each half; 0: there is none. A row of AVX has
// SSE's opcode, and one source more.
u16 find_sse(const Form& avx) {
  switch (avx.op) {
    case OP_VPBLENDVB: return OP_PBLENDVB_VxWx;
    case OP_VBLENDVPS: return OP_BLENDVPS_VxWx;
    case OP_VBLENDVPD: return OP_BLENDVPD_VxWx;
    case OP_VPBLENDD: return OP_BLENDPS_VxWxIb;
    case OP_VPERMILPS_VxWxIb: return OP_PSHUFD_VxWxIb;
    default: break;
  }
  std::string operands = avx.operands;
  if (const usize at = operands.find("Hx,"); at != std::string::npos) operands.erase(at, 3);
  u16 found = 0;
  for (u16 n = 0; n < kFormCount; n++) {
    const Form& f = kForms[n];
    if ((f.attrs & VEX) || !(f.attrs & kSse) || f.map != avx.map || f.pfx != avx.pfx || f.opcode != avx.opcode ||
        f.modrm != avx.modrm)
      continue;
    if (operands == f.operands) return f.op;
    found = f.op;
  }
  return found;
}

u16 sse_op(u16 op) {
  static const std::vector<u16> ops = [] {
    std::vector<u16> all(OP_COUNT);
    for (u16 n = 0; n < kFormCount; n++)
      if ((kForms[n].attrs & VEX) && (kForms[n].attrs & F_AVX12)) all[kForms[n].op] = find_sse(kForms[n]);
    return all;
  }();
  return ops[op];
}

// By how many bits the immediate is shifted for the upper half.
unsigned immediate_step(u16 sse) {
  switch (sse) {
    case OP_SHUFPD_VxWxIb:
    case OP_BLENDPD_VxWxIb: return 2;
    case OP_MPSADBW_VxWxIb: return 3;
    case OP_BLENDPS_VxWxIb: return 4;
    default: return 0;
  }
}

bool must_align(u16 sse) {
  switch (sse) {
    case OP_MOVDQA_VxWx:
    case OP_MOVAPS_VxWx:
    case OP_MOVAPD_VxWx:
    case OP_MOVNTDQA_VxMx: return true;
    default: return false;
  }
}

// What has another vector length on one side, or a result of both halves.
bool by_halves(u16 sse) {
  switch (sse) {
    case OP_CVTPS2PD_VxWq:
    case OP_CVTPD2PS_VxWx:
    case OP_CVTDQ2PD_VxWq:
    case OP_CVTPD2DQ_VxWx:
    case OP_CVTTPD2DQ_VxWx:
    case OP_PTEST_VxWx:
    case OP_PMOVMSKB_GdUx:
    case OP_MOVMSKPS_GdUx:
    case OP_MOVMSKPD_GdUx: return false;
    default: return true;
  }
}

}  // namespace

bool Lifter::insn_avx() {
  if (insn_->op <= OP_LONG || (memory() && !address_ok())) return false;
  const Form& f = kForms[form_of(insn_->op)];
  if (!(f.attrs & VEX) || !(f.attrs & F_AVX12)) return false;
  if (!avx_checked_) emit(IrOp::kLeaveIf, Type::kI32, emit(IrOp::kGet, Type::kI32, 0, 0, 0, kVarAvxOff));
  vex_ = Vex{};
  vex_.on = true;
  vex_.halves = (f.attrs & (VL | L1)) && (insn_->vex & 2) ? 2 : 1;
  const bool done = avx_halves() || avx_as_sse();
  if (done) avx_finish();
  vex_ = Vex{};
  avx_checked_ = done;
  return done;
}

bool Lifter::avx_as_sse() {
  const Insn& avx = *insn_;
  Insn sse = avx;
  sse.op = sse_op(avx.op);
  if (!sse.op || (vex_.halves == 2 && !by_halves(sse.op))) return false;
  const bool compares =
      sse.op == OP_CMPSS_VxWdIb || sse.op == OP_CMPSD_VxWqIb || sse.op == OP_CMPPS_VxWxIb || sse.op == OP_CMPPD_VxWxIb;
  if (compares && (avx.imm & 0x18)) return false;  // predicates that SSE has not
  vex_.aligned = must_align(sse.op);
  insn_ = &sse;
  bool done = true;
  for (; done && vex_.half < vex_.halves; vex_.half++) {
    sse.imm = avx.imm >> vex_.half * immediate_step(sse.op);
    done = simd_move() || simd_lanes() || simd_arith() || simd_horizontal() || simd_shuffle() || simd_widen() ||
           insn_fp() || simd_other();
  }
  insn_ = &avx;
  return done;
}

void Lifter::avx_finish() {
  if (vex_.dst < 0) return;
  const unsigned r = static_cast<unsigned>(vex_.dst);
  auto write = [&](unsigned half, Value v) { emit(IrOp::kSet, Type::kV128, v, 0, 0, kVarXmm + r + 16 * half); };
  write(0, vex_.result[0]);
  if (vex_.halves == 2) {
    write(1, vex_.result[1]);
    upper_zero_ &= ~(1u << r);
    return;
  }
  if (upper_zero_ >> r & 1) return;
  write(1, v128(0, 0));
  upper_zero_ |= 1u << r;
  xmm_[r + 16] = Xmm{};
  xmm_[r + 16].plain = 3;
}

// `high` 0: zeros.
void Lifter::set_ymm(unsigned r, Value low, Value high) {
  vex_.halves = high ? 2 : 1;
  vex_.dst = static_cast<int>(r);
  vex_.result[0] = low;
  vex_.result[1] = high;
  xmm_[r] = xmm_[r + 16] = Xmm{};
}

// The lowest element of the r/m operand, everywhere.
Value Lifter::broadcast(unsigned size) {
  static constexpr IrOp lanes[4] = {IrOp::kLane8, IrOp::kLane16, IrOp::kLane32, IrOp::kLane64};
  static constexpr IrOp splats[4] = {IrOp::kSplat8, IrOp::kSplat16, IrOp::kSplat32, IrOp::kSplat64};
  const Value v = memory() ? load(linear(false, size), size) : lane(lanes[size], xmm_half(insn_->rm, 0), 0);
  return emit(splats[size], type_for(size), v);
}

// What works across the halves.
bool Lifter::avx_halves() {
  const Insn& i = *insn_;
  const unsigned imm = static_cast<unsigned>(i.imm);
  const bool wide = vex_.halves == 2;
  auto half = [&](unsigned r, unsigned h) { return xmm_half(r, h); };
  auto to_both = [&](Value v) {
    set_ymm(i.reg, v, wide ? v : 0);
    return true;
  };
  auto mask = [&](IrOp op, unsigned lanes) {
    Value v = emit(op, Type::kV128, half(i.rm, 0));
    if (wide)
      v = bin(IrOp::kOr, Type::kI32, v, bin_c(IrOp::kShl, Type::kI32, emit(op, Type::kV128, half(i.rm, 1)), lanes));
    set(i.reg, to_word(v));
    return true;
  };
  // The halves of the r/m operand.
  auto both = [&](Value(&s)[2]) {
    for (vex_.half = 0; vex_.half < 2; vex_.half++) s[vex_.half] = source();
    vex_.half = 0;
  };
  switch (i.op) {
    case OP_VZERO: {
      if (i.vex & 2) return false;
      const unsigned count = long_ ? 16 : 8;
      emit(IrOp::kZeroUpper, Type::kNone, 0, 0, 0, count);
      upper_zero_ = (1u << count) - 1;
      for (unsigned r = 0; r < count; r++) {
        xmm_[r + 16] = Xmm{};
        xmm_[r + 16].plain = 3;
      }
      return true;
    }
    case OP_VPMOVMSKB: return mask(IrOp::kMask8, 16);
    case OP_VMOVMSKPS: return mask(IrOp::kMask32, 4);
    case OP_VMOVMSKPD: return mask(IrOp::kMask64, 2);
    case OP_VPTEST: {
      if (!wide) return false;
      Value s[2];
      both(s);
      const Value a[2] = {half(i.reg, 0), half(i.reg, 1)};
      auto halves = [&](IrOp op) { return vec(IrOp::kVOr, vec(op, s[0], a[0]), vec(op, s[1], a[1])); };
      const Value common = halves(IrOp::kVAnd);
      test_flags(common, halves(IrOp::kVAndNot));
      return true;
    }
    case OP_VPBROADCASTB: return to_both(broadcast(0));
    case OP_VPBROADCASTW: return to_both(broadcast(1));
    case OP_VPBROADCASTD:
    case OP_VBROADCASTSS: return to_both(broadcast(2));
    case OP_VPBROADCASTQ:
    case OP_VBROADCASTSD: return to_both(broadcast(3));
    case OP_VBROADCASTF128:
    case OP_VBROADCASTI128: return to_both(source_both(4));
    case OP_VINSERTF128:
    case OP_VINSERTI128: {
      const Value s = source_both(4);
      set_ymm(i.reg, imm & 1 ? half(i.vvvv, 0) : s, imm & 1 ? s : half(i.vvvv, 1));
      return true;
    }
    case OP_VEXTRACTF128:
    case OP_VEXTRACTI128: {
      const Value v = half(i.reg, imm & 1);
      if (!memory()) return set_ymm(i.rm, v, 0), true;
      emit(IrOp::kStoreAt, Type::kV128, probe_write(linear(true, 4), 4), v, 0, 0, 4);
      return true;
    }
    case OP_VPERM2F128:
    case OP_VPERM2I128: {
      Value s[2], r[2];
      both(s);
      for (unsigned h = 0; h < 2; h++) {
        const unsigned control = imm >> 4 * h;
        r[h] = control & 8 ? v128(0, 0) : control & 2 ? s[control & 1] : half(i.vvvv, control & 1);
      }
      set_ymm(i.reg, r[0], r[1]);
      return true;
    }
    case OP_VPERMQ:
    case OP_VPERMPD: {
      Value s[2];
      both(s);
      auto pick = [&](unsigned k) { return static_cast<u8>(imm >> 2 * k & 3); };
      set_ymm(i.reg, shuffle_of(3, s[0], s[1], {pick(0), pick(1)}), shuffle_of(3, s[0], s[1], {pick(2), pick(3)}));
      return true;
    }
    case OP_VPERMILPD_VxWxIb: {
      for (vex_.half = 0; vex_.half < vex_.halves; vex_.half++) {
        const Value s = source();
        auto pick = [&](unsigned k) { return static_cast<u8>(imm >> (2 * vex_.half + k) & 1); };
        set_xmm(i.reg, shuffle_of(3, s, s, {pick(0), pick(1)}));
      }
      return true;
    }
    default: return false;
  }
}

// ---- general registers -----------------------------------------------------------------------------

// BMI1 and BMI2 but for PDEP and PEXT.
bool Lifter::insn_bmi() {
  const Insn& i = *insn_;
  if (memory() && !address_ok()) return false;
  const unsigned size = i.osz == 3 ? 3 : 2, bits = 8u << size;
  const Type t = type_for(size);
  auto other = [&] { return reg(i.vvvv, size); };
  auto minus_one = [&](Value v) { return bin_c(IrOp::kSub, t, v, 1); };
  // ZF and SF as the result says, and CF.
  auto finish = [&](unsigned r, Value v, Value cf) {
    set_reg(static_cast<u8>(r), v, size);
    if (cf)
      set_flags(FlagOp::kDouble, size, v, t == Type::kI64 ? emit(IrOp::kExtendU, Type::kI32, cf) : cf);
    else
      set_flags(FlagOp::kLogic, size, v, 0);
    return true;
  };
  auto shift = [&](IrOp op) {
    const Value v = read_e(size);
    set_reg(i.reg, bin(op, t, v, other()), size);  // a count in WebAssembly is modulo the width, too
    return true;
  };
  // The low n bits; all of them where n is not less than there are.
  auto low_bits = [&](Value v, Value n) {
    const Value mask = minus_one(bin(IrOp::kShl, t, constant(t, 1), n));
    return emit(IrOp::kSelect, t, bin(IrOp::kAnd, t, v, mask), v, bin_c(IrOp::kLtU, t, n, bits));
  };
  switch (i.op) {
    case OP_ANDN: {
      const Value v = read_e(size);
      return finish(i.reg, bin(IrOp::kAnd, t, bin_c(IrOp::kXor, t, other(), ~u64{0}), v), 0);
    }
    case OP_BLSR: {
      const Value v = read_e(size);
      return finish(i.vvvv, bin(IrOp::kAnd, t, v, minus_one(v)), emit(IrOp::kEqz, t, v));
    }
    case OP_BLSMSK: {
      const Value v = read_e(size);
      return finish(i.vvvv, bin(IrOp::kXor, t, v, minus_one(v)), emit(IrOp::kEqz, t, v));
    }
    case OP_BLSI: {
      const Value v = read_e(size);
      const Value r = bin(IrOp::kAnd, t, v, bin(IrOp::kSub, t, constant(t, 0), v));
      return finish(i.vvvv, r, bin_c(IrOp::kNe, t, v, 0));
    }
    case OP_BZHI: {
      const Value v = read_e(size), n = bin_c(IrOp::kAnd, t, other(), 0xff);
      return finish(i.reg, low_bits(v, n), bin_c(IrOp::kGeU, t, n, bits));
    }
    case OP_BEXTR: {
      const Value v = read_e(size), control = other(), start = bin_c(IrOp::kAnd, t, control, 0xff);
      const Value from =
          emit(IrOp::kSelect, t, bin(IrOp::kShrU, t, v, start), constant(t, 0), bin_c(IrOp::kLtU, t, start, bits));
      return finish(i.reg, low_bits(from, bin_c(IrOp::kAnd, t, bin_c(IrOp::kShrU, t, control, 8), 0xff)), 0);
    }
    case OP_SHLX: return shift(IrOp::kShl);
    case OP_SHRX: return shift(IrOp::kShrU);
    case OP_SARX: return shift(IrOp::kShrS);
    case OP_RORX: set_reg(i.reg, bin_c(IrOp::kRotR, t, read_e(size), i.imm & (bits - 1)), size); return true;
    case OP_MULX: {
      const Value v = read_e(size), d = reg(kRDX, size);
      Value low, high;
      if (size == 3) {
        low = bin(IrOp::kMul, t, d, v);
        high = mul_high(d, v, false);
      } else {
        const Value p =
            bin(IrOp::kMul, Type::kI64, emit(IrOp::kExtendU, Type::kI32, d), emit(IrOp::kExtendU, Type::kI32, v));
        low = emit(IrOp::kWrap, Type::kI64, p);
        high = emit(IrOp::kWrap, Type::kI64, bin_c(IrOp::kShrU, Type::kI64, p, 32));
      }
      set_reg(i.vvvv, low, size);
      set_reg(i.reg, high, size);
      return true;
    }
    case OP_MOVBE_GvMv: {
      if (i.osz < 2) return false;
      const Value v = read_e(size);
      set_reg(i.reg, byte_swap(v, size), size);
      return true;
    }
    case OP_MOVBE_MvGv: {
      if (i.osz < 2) return false;
      const Value host = probe_write(linear(true, size), size);
      store_at(host, byte_swap(reg(i.reg, size), size), size);
      return true;
    }
    default: return false;
  }
}

}  // namespace oriel::jit
