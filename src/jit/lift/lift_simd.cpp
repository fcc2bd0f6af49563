// SSE to SSE4.2 on integers, and moves and shuffles of any lanes: WebAssembly's operations on 128 bits. What has none,
// tier 0 executes as a function of its operands. SDM Vol. 2.
#include <array>

#include "jit/cpu_layout.h"
#include "jit/ir/simd.h"
#include "jit/lift/lifter.h"

namespace oriel::jit {

// ---- values --------------------------------------------------------------------------------------

Value Lifter::v128(u64 low, u64 high) {
  const Value v = emit(IrOp::kConst, Type::kV128, 0, 0, 0, low);
  block_->insts[v].imm2 = high;
  return v;
}

Value Lifter::shuffle(Value a, Value b, const u8 (&lanes)[16]) {
  u64 half[2];
  std::memcpy(half, lanes, 16);
  const Value v = emit(IrOp::kShuffle, Type::kV128, a, b, 0, half[0]);
  block_->insts[v].imm2 = half[1];
  return v;
}

Value Lifter::shuffle_of(unsigned size, Value a, Value b, std::initializer_list<u8> elements) {
  u8 lanes[16];
  unsigned n = 0;
  for (u8 e : elements)
    for (unsigned k = 0; k < 1u << size; k++) lanes[n++] = static_cast<u8>((e << size) + k);
  return shuffle(a, b, lanes);
}

void Lifter::set_xmm(unsigned r, Value v) {
  if (mmx_) return set_mm(r, v);
  known(r) = Xmm{};
  if (!vex_.on) {
    emit(IrOp::kSet, Type::kV128, v, 0, 0, kVarXmm + r);
    return;
  }
  vex_.dst = static_cast<int>(r);
  vex_.result[vex_.half] = v;
}

void Lifter::require_alignment(Value lin, unsigned bytes) {
  const Value low = long_ ? emit(IrOp::kWrap, Type::kI64, lin) : lin;
  emit(IrOp::kLeaveIf, Type::kI32, bin_c(IrOp::kAnd, Type::kI32, low, bytes - 1));
}

// The host's address of a vector in memory, or of the half at hand.
Value Lifter::vector_host(bool write, bool aligned) {
  if (!vex_.half) {
    const unsigned size = vex_.halves == 2 ? 5 : 4;
    const Value lin = linear(write, size);
    if (aligned) require_alignment(lin, 1u << size);
    vex_.host = emit(IrOp::kProbe, word_, lin, 0, 0, write, size);
    return vex_.host;
  }
  return emit(IrOp::kOffset, Type::kI32, vex_.host, 0, 0, 16);
}

Value Lifter::source(bool aligned) {
  if (mmx_) return mm_source(mmx_);
  if (!memory()) return xmm(insn_->rm);
  return emit(IrOp::kLoadAt, Type::kV128, vector_host(false, vex_.on ? vex_.aligned : aligned), 0, 0, 0, 4);
}

// Of AVX: the low 1 << size bytes of the r/m operand, for either half; all 16 of a register.
Value Lifter::source_both(unsigned size) {
  if (!memory()) return xmm_half(insn_->rm, 0);
  if (!vex_.half) vex_.host = emit(IrOp::kProbe, word_, linear(false, size), 0, 0, 0, size);
  return emit(IrOp::kLoadAt, Type::kV128, vex_.host, 0, 0, 0, size);
}

Value Lifter::source_low(unsigned size) {
  if (!memory()) return xmm(insn_->rm);
  return emit(IrOp::kLoadAt, Type::kV128, emit(IrOp::kProbe, word_, linear(false, size), 0, 0, 0, size), 0, 0, 0, size);
}

void Lifter::store(Value v, unsigned size, bool aligned) {
  const Value host = size == 4 ? vector_host(true, aligned) : probe_write(linear(true, size), size);
  emit(IrOp::kStoreAt, type_of(v), host, v, 0, 0, size);
}

// ---- checks --------------------------------------------------------------------------------------

void Lifter::simd_begin_block() {
  sse_checked_ = mmx_checked_ = avx_checked_ = false;
  upper_zero_ = 0;
  vex_ = Vex{};
  for (Value& v : mm_) v = 0;
  for (Xmm& x : xmm_) x = Xmm{};
}

bool Lifter::insn_simd() {
  const Form& f = kForms[form_of(insn_->op)];
  constexpr u64 kSse = F_SSE | F_SSE2 | F_SSE3 | F_SSSE3 | F_SSE41 | F_SSE42 | F_AES | F_PCLMUL;
  if (insn_->op <= OP_LONG || (f.attrs & VEX)) return false;
  switch (insn_->op) {
    case OP_LFENCE:
    case OP_MFENCE:
    case OP_SFENCE:
    case OP_PREFETCHNTA:
    case OP_PREFETCHT0:
    case OP_PREFETCHT1:
    case OP_PREFETCHT2:
    case OP_PREFETCHW:
    case OP_NOP_18:
    case OP_NOP_0D: return true;
    default: break;
  }
  if (!(f.attrs & kSse) || (memory() && !address_ok())) return false;
  if (insn_->op == OP_MOVNTI_MyGy) {
    store(reg(insn_->reg, size_y()), size_y(), false);
    return true;
  }
  const bool checked = sse_checked_;
  if (!checked) emit(IrOp::kLeaveIf, Type::kI32, emit(IrOp::kGet, Type::kI32, 0, 0, 0, kVarSseOff));
  sse_checked_ = true;
  if (simd_move() || simd_lanes() || simd_arith() || simd_horizontal() || simd_shuffle() || simd_widen() || insn_fp() ||
      simd_other())
    return true;
  sse_checked_ = checked;
  return false;
}

// ---- moves ---------------------------------------------------------------------------------------

bool Lifter::simd_move() {
  const Insn& i = *insn_;
  auto load = [&](bool aligned) { set_xmm(i.reg, source(aligned)); };
  auto store_all = [&](bool aligned) {
    if (memory())
      store(xmm(i.reg), 4, aligned);
    else
      set_xmm(i.rm, xmm(i.reg));
  };
  auto load_half = [&](unsigned k) {
    set_xmm(i.reg, set_lane(IrOp::kSetLane64, first(), this->load(linear(false, 3), 3), k));
  };
  auto half = [&](unsigned r, unsigned k) { return lane(IrOp::kLane64, xmm(r), k); };
  switch (i.op) {
    case OP_MOVDQA_VxWx:
    case OP_MOVAPS_VxWx:
    case OP_MOVAPD_VxWx:
    case OP_MOVNTDQA_VxMx: load(true); return true;
    case OP_MOVDQU_VxWx:
    case OP_MOVUPS_VxWx:
    case OP_MOVUPD_VxWx:
    case OP_LDDQU_VxMx: load(false); return true;
    case OP_MOVDQA_WxVx:
    case OP_MOVAPS_WxVx:
    case OP_MOVAPD_WxVx:
    case OP_MOVNTDQ_MxVx:
    case OP_MOVNTPS_MxVx:
    case OP_MOVNTPD_MxVx: store_all(true); return true;
    case OP_MOVDQU_WxVx:
    case OP_MOVUPS_WxVx:
    case OP_MOVUPD_WxVx: store_all(false); return true;

    case OP_MOVD_VxEy: {
      const Value v = read_e(size_y());
      const bool wide = i.osz == 3;
      set_xmm(i.reg, set_lane(wide ? IrOp::kSetLane64 : IrOp::kSetLane32, v128(0, 0), v, 0));
      return true;
    }
    case OP_MOVD_EyVx: {
      const Value v = lane(i.osz == 3 ? IrOp::kLane64 : IrOp::kLane32, xmm(i.reg), 0);
      if (memory())
        store(v, size_y(), false);
      else
        set_reg(i.rm, v, size_y());
      return true;
    }
    case OP_MOVQ_VxWq: {
      const Value v = source_low(3);
      set_xmm(i.reg, memory() ? v : shuffle_of(3, v, v128(0, 0), {0, 2}));
      return true;
    }
    case OP_MOVQ_WqVx:
      if (memory())
        store(xmm(i.reg), 3, false);
      else
        set_xmm(i.rm, shuffle_of(3, xmm(i.reg), v128(0, 0), {0, 2}));
      return true;

    case OP_MOVSS_VxWd:
      set_xmm(i.reg, memory() ? source_low(2) : shuffle_of(2, first(), xmm(i.rm), {4, 1, 2, 3}));
      return true;
    case OP_MOVSD_VxWq:
      set_xmm(i.reg, memory() ? source_low(3) : shuffle_of(3, first(), xmm(i.rm), {2, 1}));
      return true;
    case OP_MOVSS_WdVx:
      if (memory())
        store(xmm(i.reg), 2, false);
      else
        set_xmm(i.rm, shuffle_of(2, xmm(only_register()), xmm(i.reg), {4, 1, 2, 3}));
      return true;
    case OP_MOVSD_WqVx:
      if (memory())
        store(xmm(i.reg), 3, false);
      else
        set_xmm(i.rm, shuffle_of(3, xmm(only_register()), xmm(i.reg), {2, 1}));
      return true;
    case OP_MOVLPS_VxMq:
    case OP_MOVLPD_VxMq: load_half(0); return true;
    case OP_MOVHPS_VxMq:
    case OP_MOVHPD_VxMq: load_half(1); return true;
    case OP_MOVLPS_MqVx:
    case OP_MOVLPD_MqVx: store(xmm(i.reg), 3, false); return true;
    case OP_MOVHPS_MqVx:
    case OP_MOVHPD_MqVx: store(half(i.reg, 1), 3, false); return true;
    case OP_MOVHLPS_VxUx: set_xmm(i.reg, shuffle_of(3, first(), xmm(i.rm), {3, 1})); return true;
    case OP_MOVLHPS_VxUx: set_xmm(i.reg, shuffle_of(3, first(), xmm(i.rm), {0, 2})); return true;

    case OP_PMOVMSKB_GdUx: set(i.reg, to_word(emit(IrOp::kMask8, Type::kV128, xmm(i.rm)))); return true;
    case OP_MOVMSKPS_GdUx: set(i.reg, to_word(emit(IrOp::kMask32, Type::kV128, xmm(i.rm)))); return true;
    case OP_MOVMSKPD_GdUx: set(i.reg, to_word(emit(IrOp::kMask64, Type::kV128, xmm(i.rm)))); return true;
    default: return false;
  }
}

// ---- single lanes --------------------------------------------------------------------------------

bool Lifter::simd_lanes() {
  const Insn& i = *insn_;
  // Registers are zero-extended, whatever the lane.
  auto extract = [&](IrOp op, unsigned size) {
    const Value v = lane(op, xmm(i.reg), i.imm & ((16u >> size) - 1));
    if (memory())
      store(v, size, false);
    else
      set(i.rm, size == 3 ? v : to_word(v));
    return true;
  };
  auto insert = [&](IrOp op, unsigned size) {
    const Value v = memory() ? load(linear(false, size), size) : from_word(get(i.rm), size);
    set_xmm(i.reg, set_lane(op, first(), v, i.imm & ((16u >> size) - 1)));
    return true;
  };
  switch (i.op) {
    case OP_PINSRB_VxRdIb:
    case OP_PINSRB_VxMbIb: return insert(IrOp::kSetLane8, 0);
    case OP_PINSRW_VxRdIb:
    case OP_PINSRW_VxMwIb: return insert(IrOp::kSetLane16, 1);
    case OP_PINSRD_VxEyIb: return i.osz == 3 ? insert(IrOp::kSetLane64, 3) : insert(IrOp::kSetLane32, 2);
    case OP_PEXTRB_RdVxIb:
    case OP_PEXTRB_MbVxIb: return extract(IrOp::kLane8, 0);
    case OP_PEXTRW_RdVxIb:
    case OP_PEXTRW_MwVxIb: return extract(IrOp::kLane16, 1);
    case OP_PEXTRD_EyVxIb: return i.osz == 3 ? extract(IrOp::kLane64, 3) : extract(IrOp::kLane32, 2);
    case OP_EXTRACTPS_EdVxIb: return extract(IrOp::kLane32, 2);
    case OP_PEXTRW_GdUxIb: set(i.reg, to_word(lane(IrOp::kLane16, xmm(i.rm), i.imm & 7))); return true;
    case OP_INSERTPS_VxWdIb: {
      const Value v = memory() ? load(linear(false, 2), 2) : lane(IrOp::kLane32, xmm(i.rm), i.imm >> 6 & 3);
      Value r = set_lane(IrOp::kSetLane32, first(), v, i.imm >> 4 & 3);
      if (i.imm & 15) {
        auto keep = [&](unsigned k) { return i.imm >> k & 1 ? u64{0} : u64{0xffffffff}; };
        r = vec(IrOp::kVAnd, r, v128(keep(0) | keep(1) << 32, keep(2) | keep(3) << 32));
      }
      set_xmm(i.reg, r);
      return true;
    }
    default: return false;
  }
}

// ---- lane by lane --------------------------------------------------------------------------------

namespace {

// reg = op(reg, r/m), with one operation of WebAssembly.
IrOp lane_operation(u16 op) {
  switch (op) {
#define IS(ID, OP) \
  case OP_##ID##_VxWx: return IrOp::k##OP;
    // clang-format off
    IS(PADDB, Add8) IS(PADDW, Add16) IS(PADDD, Add32) IS(PADDQ, Add64)
    IS(PADDSB, AddSatS8) IS(PADDSW, AddSatS16) IS(PADDUSB, AddSatU8) IS(PADDUSW, AddSatU16)
    IS(PSUBB, Sub8) IS(PSUBW, Sub16) IS(PSUBD, Sub32) IS(PSUBQ, Sub64)
    IS(PSUBSB, SubSatS8) IS(PSUBSW, SubSatS16) IS(PSUBUSB, SubSatU8) IS(PSUBUSW, SubSatU16)
    IS(PAND, VAnd) IS(ANDPS, VAnd) IS(ANDPD, VAnd) IS(POR, VOr) IS(ORPS, VOr) IS(ORPD, VOr)
    IS(PXOR, VXor) IS(XORPS, VXor) IS(XORPD, VXor)
    IS(PCMPEQB, Eq8) IS(PCMPEQW, Eq16) IS(PCMPEQD, Eq32) IS(PCMPEQQ, Eq64)
    IS(PCMPGTB, GtS8) IS(PCMPGTW, GtS16) IS(PCMPGTD, GtS32) IS(PCMPGTQ, GtS64)
    IS(PMINUB, MinU8) IS(PMINSB, MinS8) IS(PMINUW, MinU16) IS(PMINSW, MinS16) IS(PMINUD, MinU32) IS(PMINSD, MinS32)
    IS(PMAXUB, MaxU8) IS(PMAXSB, MaxS8) IS(PMAXUW, MaxU16) IS(PMAXSW, MaxS16) IS(PMAXUD, MaxU32) IS(PMAXSD, MaxS32)
    IS(PAVGB, Avg8) IS(PAVGW, Avg16) IS(PMULLW, Mul16) IS(PMULLD, Mul32) IS(PMADDWD, Dot16)
    IS(PACKSSWB, NarrowS16) IS(PACKUSWB, NarrowU16) IS(PACKSSDW, NarrowS32) IS(PACKUSDW, NarrowU32)
    // clang-format on
#undef IS
                                            default : return IrOp::kNop;
  }
}

}  // namespace

bool Lifter::simd_arith() {
  const Insn& i = *insn_;
  auto binary = [&](auto fn) {
    const Value b = source(), a = first();
    set_xmm(i.reg, fn(a, b));
    return true;
  };
  // The 16-bit halves `high` (0: low, 1: high) of two vectors of 32-bit products.
  auto halves = [&](Value low, Value high) { return shuffle_of(1, low, high, {1, 3, 5, 7, 9, 11, 13, 15}); };
  auto even = [&](Value v) { return shuffle_of(2, v, v, {0, 2, 0, 2}); };
  auto sign = [&](IrOp less, IrOp equal, IrOp subtract) {
    return binary([&](Value a, Value b) {
      const Value zero = v128(0, 0), negative = vec(less, b, zero);
      const Value r = vec(subtract, vec(IrOp::kVXor, a, negative), negative);
      return vec(IrOp::kVAndNot, r, vec(equal, b, v128(0, 0)));
    });
  };
  if (const IrOp op = lane_operation(i.op); op != IrOp::kNop) {
    if (op == IrOp::kVXor && !memory() && first_register() == i.rm) {
      set_xmm(i.reg, v128(0, 0));
      if (!mmx_) known(i.reg).plain = known(i.reg).plain_low = 3;
      return true;
    }
    return binary([&](Value a, Value b) { return vec(op, a, b); });
  }
  switch (i.op) {
    case OP_PANDN_VxWx:
    case OP_ANDNPS_VxWx:
    case OP_ANDNPD_VxWx: return binary([&](Value a, Value b) { return vec(IrOp::kVAndNot, b, a); });
    case OP_PABSB_VxWx: return binary([&](Value, Value b) { return vec(IrOp::kAbs8, b); });
    case OP_PABSW_VxWx: return binary([&](Value, Value b) { return vec(IrOp::kAbs16, b); });
    case OP_PABSD_VxWx: return binary([&](Value, Value b) { return vec(IrOp::kAbs32, b); });
    case OP_PSIGNB_VxWx: return sign(IrOp::kLtS8, IrOp::kEq8, IrOp::kSub8);
    case OP_PSIGNW_VxWx: return sign(IrOp::kLtS16, IrOp::kEq16, IrOp::kSub16);
    case OP_PSIGND_VxWx: return sign(IrOp::kLtS32, IrOp::kEq32, IrOp::kSub32);
    case OP_PMULHW_VxWx:
      return binary(
          [&](Value a, Value b) { return halves(vec(IrOp::kMulLowS16, a, b), vec(IrOp::kMulHighS16, a, b)); });
    case OP_PMULHUW_VxWx:
      return binary(
          [&](Value a, Value b) { return halves(vec(IrOp::kMulLowU16, a, b), vec(IrOp::kMulHighU16, a, b)); });
    case OP_PMULHRSW_VxWx:
      // The one product that saturates does not here: -1 times -1 is -1.
      return binary([&](Value a, Value b) {
        const u64 k = 0x8000800080008000;
        const Value least = v128(k, k);
        const Value both = vec(IrOp::kVAnd, vec(IrOp::kEq16, a, least), vec(IrOp::kEq16, b, least));
        return vec(IrOp::kVXor, vec(IrOp::kQ15Mul, a, b), both);
      });
    case OP_PMULUDQ_VxWx: return binary([&](Value a, Value b) { return vec(IrOp::kMulLowU32, even(a), even(b)); });
    case OP_PMULDQ_VxWx: return binary([&](Value a, Value b) { return vec(IrOp::kMulLowS32, even(a), even(b)); });
    case OP_PMADDUBSW_VxWx:
      return binary([&](Value a, Value b) {
        const u64 k = 0x00ff00ff00ff00ff;
        const Value even_a = vec(IrOp::kVAnd, a, v128(k, k)), odd_a = vec(IrOp::kShrU16, a, c32(8));
        const Value even_b = vec(IrOp::kShrS16, vec(IrOp::kShl16, b, c32(8)), c32(8));
        const Value odd_b = vec(IrOp::kShrS16, b, c32(8));
        return vec(IrOp::kAddSatS16, vec(IrOp::kMul16, even_a, even_b), vec(IrOp::kMul16, odd_a, odd_b));
      });
    case OP_PSADBW_VxWx:
      return binary([&](Value a, Value b) {
        const Value d = vec(IrOp::kSub8, vec(IrOp::kMaxU8, a, b), vec(IrOp::kMinU8, a, b));
        const Value sums = vec(IrOp::kPairsU16, vec(IrOp::kPairsU8, d));
        return vec(IrOp::kVAnd, vec(IrOp::kAdd64, sums, vec(IrOp::kShrU64, sums, c32(32))), v128(0xffff, 0xffff));
      });
    default: return false;
  }
}

// Adjacent lanes: the destination's pairs give the low half.
bool Lifter::simd_horizontal() {
  const Insn& i = *insn_;
  auto pairs = [&](unsigned size, IrOp op) {
    const Value b = source(), a = first();
    const Value even = size == 1 ? shuffle_of(1, a, b, {0, 2, 4, 6, 8, 10, 12, 14}) : shuffle_of(2, a, b, {0, 2, 4, 6});
    const Value odd = size == 1 ? shuffle_of(1, a, b, {1, 3, 5, 7, 9, 11, 13, 15}) : shuffle_of(2, a, b, {1, 3, 5, 7});
    set_xmm(i.reg, vec(op, even, odd));
    return true;
  };
  switch (i.op) {
    case OP_PHADDW_VxWx: return pairs(1, IrOp::kAdd16);
    case OP_PHADDSW_VxWx: return pairs(1, IrOp::kAddSatS16);
    case OP_PHADDD_VxWx: return pairs(2, IrOp::kAdd32);
    case OP_PHSUBW_VxWx: return pairs(1, IrOp::kSub16);
    case OP_PHSUBSW_VxWx: return pairs(1, IrOp::kSubSatS16);
    case OP_PHSUBD_VxWx: return pairs(2, IrOp::kSub32);
    default: return false;
  }
}

// ---- shifts and shuffles -------------------------------------------------------------------------

// All ones if a 64-bit count is less than the lane's bits.
Value Lifter::shift_count_mask(Value count, unsigned bits) {
  const Value less = bin_c(IrOp::kLtU, Type::kI64, count, bits);
  return emit(IrOp::kSplat64, Type::kI64,
              bin(IrOp::kSub, Type::kI64, constant(Type::kI64, 0), emit(IrOp::kExtendU, Type::kI32, less)));
}

// A count of the lane's width or more gives 0, or the sign in every bit for the arithmetic right shift.
bool Lifter::simd_shift(IrOp op, unsigned bits, bool by_immediate) {
  const Insn& i = *insn_;
  const bool arithmetic = op == IrOp::kShrS16 || op == IrOp::kShrS32;
  if (by_immediate) {
    const unsigned n = static_cast<unsigned>(i.imm & 0xff);
    if (n < bits)
      set_xmm(only_register(), n ? vec(op, xmm(i.rm), c32(n)) : xmm(i.rm));
    else
      set_xmm(only_register(), arithmetic ? vec(op, xmm(i.rm), c32(bits - 1)) : v128(0, 0));
    return true;
  }
  const Value count = lane(IrOp::kLane64, vex_.on ? source_both(4) : source(), 0);
  if (arithmetic) {
    const Value few = bin_c(IrOp::kLtU, Type::kI64, count, bits);
    const Value n = emit(IrOp::kSelect, Type::kI32, emit(IrOp::kWrap, Type::kI64, count), c32(bits - 1), few);
    set_xmm(i.reg, vec(op, first(), n));
  } else {
    const Value r = vec(op, first(), emit(IrOp::kWrap, Type::kI64, count));
    set_xmm(i.reg, vec(IrOp::kVAnd, r, shift_count_mask(count, bits)));
  }
  return true;
}

bool Lifter::simd_shuffle() {
  const Insn& i = *insn_;
  const unsigned imm = static_cast<unsigned>(i.imm);
  auto pick = [imm](unsigned k) { return static_cast<u8>(imm >> 2 * k & 3); };
  auto high = [&](unsigned k) { return static_cast<u8>(4 + pick(k)); };
  auto blend = [imm](unsigned k, unsigned n) { return static_cast<u8>(imm >> k & 1 ? n + k : k); };
  // reg = elements of reg and r/m
  auto two = [&](unsigned size, std::initializer_list<u8> elements) {
    const Value b = source(), a = first();
    set_xmm(i.reg, shuffle_of(size, a, b, elements));
    return true;
  };
  auto one = [&](unsigned size, std::initializer_list<u8> elements) {
    const Value b = source();
    set_xmm(i.reg, shuffle_of(size, b, b, elements));
    return true;
  };
  // Bytes from the n-th of high:low, zeros behind them.
  auto bytes = [&](Value low, Value high_bytes, unsigned n) {
    if (n >= 32) return v128(0, 0);
    if (n >= 16) {
      low = high_bytes;
      high_bytes = v128(0, 0);
      n -= 16;
    }
    u8 lanes[16];
    for (unsigned k = 0; k < 16; k++) lanes[k] = static_cast<u8>(n + k);
    return shuffle(low, high_bytes, lanes);
  };
  auto blend_by_sign = [&](IrOp less) {
    const Value b = source(), a = first();
    const unsigned r = vex_.on ? imm >> 4 & (long_ ? 15 : 7) : 0;
    const Value mask = less == IrOp::kShrS32 ? vec(less, xmm(r), c32(31)) : vec(less, xmm(r), v128(0, 0));
    set_xmm(i.reg, vec(IrOp::kVSelect, b, a, mask));
    return true;
  };
  switch (i.op) {
#define SHIFT(ID, OP, BITS)                                         \
  case OP_##ID##_VxWx: return simd_shift(IrOp::k##OP, BITS, false); \
  case OP_##ID##_UxIb: return simd_shift(IrOp::k##OP, BITS, true);
    SHIFT(PSLLW, Shl16, 16)
    SHIFT(PSLLD, Shl32, 32)
    SHIFT(PSLLQ, Shl64, 64)
    SHIFT(PSRLW, ShrU16, 16)
    SHIFT(PSRLD, ShrU32, 32)
    SHIFT(PSRLQ, ShrU64, 64)
    SHIFT(PSRAW, ShrS16, 16)
    SHIFT(PSRAD, ShrS32, 32)
#undef SHIFT
    case OP_PSLLDQ_UxIb: {
      const unsigned n = imm < 16 ? 16 - imm : 0;
      set_xmm(only_register(), n ? bytes(v128(0, 0), xmm(i.rm), n) : v128(0, 0));
      return true;
    }
    case OP_PSRLDQ_UxIb: set_xmm(only_register(), bytes(xmm(i.rm), v128(0, 0), imm < 16 ? imm : 32)); return true;
    case OP_PALIGNR_VxWxIb: {
      const Value b = source(), a = first();
      set_xmm(i.reg, bytes(b, a, imm));
      return true;
    }
    case OP_PSHUFB_VxWx: {
      const Value b = source(), a = first();
      const u64 k = 0x8f8f8f8f8f8f8f8f;
      set_xmm(i.reg, vec(IrOp::kSwizzle, a, vec(IrOp::kVAnd, b, v128(k, k))));
      return true;
    }
    case OP_PSHUFD_VxWxIb: return one(2, {pick(0), pick(1), pick(2), pick(3)});
    case OP_PSHUFLW_VxWxIb: return one(1, {pick(0), pick(1), pick(2), pick(3), 4, 5, 6, 7});
    case OP_PSHUFHW_VxWxIb: return one(1, {0, 1, 2, 3, high(0), high(1), high(2), high(3)});
    case OP_SHUFPS_VxWxIb: return two(2, {pick(0), pick(1), high(2), high(3)});
    case OP_SHUFPD_VxWxIb: return two(3, {static_cast<u8>(imm & 1), static_cast<u8>(2 + (imm >> 1 & 1))});
    case OP_MOVSLDUP_VxWx: return one(2, {0, 0, 2, 2});
    case OP_MOVSHDUP_VxWx: return one(2, {1, 1, 3, 3});
    case OP_MOVDDUP_VxWq: {
      const Value v = vex_.halves == 2 ? source() : source_low(3);
      set_xmm(i.reg, shuffle_of(3, v, v, {0, 0}));
      return true;
    }
    case OP_PUNPCKLBW_VxWx: return two(0, {0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23});
    case OP_PUNPCKHBW_VxWx: return two(0, {8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31});
    case OP_PUNPCKLWD_VxWx: return two(1, {0, 8, 1, 9, 2, 10, 3, 11});
    case OP_PUNPCKHWD_VxWx: return two(1, {4, 12, 5, 13, 6, 14, 7, 15});
    case OP_PUNPCKLDQ_VxWx:
    case OP_UNPCKLPS_VxWx: return two(2, {0, 4, 1, 5});
    case OP_PUNPCKHDQ_VxWx:
    case OP_UNPCKHPS_VxWx: return two(2, {2, 6, 3, 7});
    case OP_PUNPCKLQDQ_VxWx:
    case OP_UNPCKLPD_VxWx: return two(3, {0, 2});
    case OP_PUNPCKHQDQ_VxWx:
    case OP_UNPCKHPD_VxWx: return two(3, {1, 3});
    case OP_PBLENDW_VxWxIb:
      return two(
          1, {blend(0, 8), blend(1, 8), blend(2, 8), blend(3, 8), blend(4, 8), blend(5, 8), blend(6, 8), blend(7, 8)});
    case OP_BLENDPS_VxWxIb: return two(2, {blend(0, 4), blend(1, 4), blend(2, 4), blend(3, 4)});
    case OP_BLENDPD_VxWxIb: return two(3, {blend(0, 2), blend(1, 2)});
    case OP_PBLENDVB_VxWx: return blend_by_sign(IrOp::kLtS8);
    case OP_BLENDVPS_VxWx: return blend_by_sign(IrOp::kShrS32);
    case OP_BLENDVPD_VxWx: return blend_by_sign(IrOp::kLtS64);
    default: return false;
  }
}

bool Lifter::simd_widen() {
  const Insn& i = *insn_;
  // From 1 << from bytes a lane in steps; memory holds 1 << size bytes.
  auto widen = [&](unsigned size, std::initializer_list<IrOp> steps) {
    Value v;
    if (vex_.halves == 2) {
      v = source_both(size + 1);
      u8 lanes[16];
      for (unsigned k = 0; k < 16; k++) lanes[k] = static_cast<u8>((k + (1u << size)) & 15);
      if (vex_.half) v = shuffle(v, v, lanes);
    } else if (memory() && size == 1) {
      v = emit(IrOp::kSplat16, Type::kI32, load(linear(false, 1), 1));
    } else {
      v = source_low(size);
    }
    for (IrOp op : steps) v = vec(op, v);
    set_xmm(i.reg, v);
    return true;
  };
  switch (i.op) {
    case OP_PMOVSXBW_VxWq: return widen(3, {IrOp::kExtendS8});
    case OP_PMOVZXBW_VxWq: return widen(3, {IrOp::kExtendU8});
    case OP_PMOVSXBD_VxWd: return widen(2, {IrOp::kExtendS8, IrOp::kExtendS16});
    case OP_PMOVZXBD_VxWd: return widen(2, {IrOp::kExtendU8, IrOp::kExtendU16});
    case OP_PMOVSXBQ_VxWw: return widen(1, {IrOp::kExtendS8, IrOp::kExtendS16, IrOp::kExtendS32});
    case OP_PMOVZXBQ_VxWw: return widen(1, {IrOp::kExtendU8, IrOp::kExtendU16, IrOp::kExtendU32});
    case OP_PMOVSXWD_VxWq: return widen(3, {IrOp::kExtendS16});
    case OP_PMOVZXWD_VxWq: return widen(3, {IrOp::kExtendU16});
    case OP_PMOVSXWQ_VxWd: return widen(2, {IrOp::kExtendS16, IrOp::kExtendS32});
    case OP_PMOVZXWQ_VxWd: return widen(2, {IrOp::kExtendU16, IrOp::kExtendU32});
    case OP_PMOVSXDQ_VxWq: return widen(3, {IrOp::kExtendS32});
    case OP_PMOVZXDQ_VxWq: return widen(3, {IrOp::kExtendU32});
    default: return false;
  }
}

// ---- the rest ------------------------------------------------------------------------------------

// ZF: no bit is set in both operands; CF: none in the source alone.
void Lifter::test_flags(Value common, Value source_alone) {
  auto none = [&](Value v) { return emit(IrOp::kEqz, Type::kI32, emit(IrOp::kAnyTrue, Type::kV128, v)); };
  const Value zf = none(common);
  set_flags(FlagOp::kTest, 2, none(source_alone), zf);
}

void Lifter::simd_test() {
  const Value b = source(), a = xmm(insn_->reg);
  test_flags(vec(IrOp::kVAnd, b, a), vec(IrOp::kVAndNot, b, a));
}

// reg = what tier 0 makes of reg and r/m.
void Lifter::simd_call_out() {
  const Value b = source();
  set_xmm(insn_->reg, fp_slow(c32(1), first(), b));
}

bool Lifter::simd_other() {
  const Insn& i = *insn_;
  switch (i.op) {
    case OP_PTEST_VxWx: simd_test(); return true;
    case OP_STMXCSR: store(emit(IrOp::kLoadState, Type::kI32, 0, 0, 0, kMxcsrOffset), 2, false); return true;
    case OP_PHMINPOSUW_VxWx:
    case OP_MPSADBW_VxWxIb:
    case OP_AESIMC_VxWx:
    case OP_AESENC_VxWx:
    case OP_AESENCLAST_VxWx:
    case OP_AESDEC_VxWx:
    case OP_AESDECLAST_VxWx:
    case OP_AESKEYGENASSIST_VxWxIb:
    case OP_PCLMULQDQ_VxWxIb: simd_call_out(); return true;
    default: return false;
  }
}

}  // namespace oriel::jit
