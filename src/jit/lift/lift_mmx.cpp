// MMX: the operations of SSE on registers of which only the low half is looked at. They are the x87's significands, in
// Cpu; every instruction makes all of them valid and TOP 0 (SDM Vol. 3, 12.2).
#include <algorithm>

#include "jit/cpu_layout.h"
#include "jit/lift/lifter.h"

namespace oriel::jit {

namespace {

// The instruction on XMM registers whose low half is the result, from the low halves of the operands.
u16 on_xmm(u16 op) {
  switch (op) {
    // clang-format off
#define BOTH(ID) case OP_##ID##_PqQq: return OP_##ID##_VxWx;
#define SHIFT(ID) BOTH(ID) case OP_##ID##_NqIb: return OP_##ID##_UxIb;
#define UNPACK(ID) case OP_##ID##_PqQd: return OP_##ID##_VxWx;
    BOTH(PADDB) BOTH(PADDW) BOTH(PADDD) BOTH(PADDQ) BOTH(PADDSB) BOTH(PADDSW) BOTH(PADDUSB) BOTH(PADDUSW)
    BOTH(PSUBB) BOTH(PSUBW) BOTH(PSUBD) BOTH(PSUBQ) BOTH(PSUBSB) BOTH(PSUBSW) BOTH(PSUBUSB) BOTH(PSUBUSW)
    BOTH(PAND) BOTH(PANDN) BOTH(POR) BOTH(PXOR) BOTH(PCMPEQB) BOTH(PCMPEQW) BOTH(PCMPEQD) BOTH(PCMPGTB)
    BOTH(PCMPGTW) BOTH(PCMPGTD) BOTH(PMINUB) BOTH(PMINSW) BOTH(PMAXUB) BOTH(PMAXSW) BOTH(PAVGB) BOTH(PAVGW)
    BOTH(PMULLW) BOTH(PMULHW) BOTH(PMULHUW) BOTH(PMULHRSW) BOTH(PMULUDQ) BOTH(PMADDWD) BOTH(PMADDUBSW) BOTH(PSADBW)
    BOTH(PABSB) BOTH(PABSW) BOTH(PABSD) BOTH(PSIGNB) BOTH(PSIGNW) BOTH(PSIGND)
    SHIFT(PSLLW) SHIFT(PSLLD) SHIFT(PSLLQ) SHIFT(PSRLW) SHIFT(PSRLD) SHIFT(PSRLQ) SHIFT(PSRAW) SHIFT(PSRAD)
    UNPACK(PUNPCKLBW) UNPACK(PUNPCKLWD) UNPACK(PUNPCKLDQ)
#undef BOTH
#undef SHIFT
#undef UNPACK
    default: return OP_UD;
    // clang-format on
  }
}

}  // namespace

void Lifter::mmx_enter() {
  set32(kVarX87Top, c32(0));
  set32(kVarX87Tags, c32(0xff));
  x87_ = X87{};
}

Value Lifter::mm(unsigned r) {
  Value& known = mm_[r & 7];
  if (!known) {
    const Value low = emit(IrOp::kLoadFpu, Type::kI64, c32(16 * (r & 7)), 0, 0, 0);
    known = set_lane(IrOp::kSetLane64, v128(0, 0), low, 0);
  }
  return known;
}

void Lifter::set_mm(unsigned r, Value v) {
  const Value at = c32(16 * (r & 7));
  emit(IrOp::kStoreFpu, Type::kI64, at, lane(IrOp::kLane64, v, 0), 0, 0);
  emit(IrOp::kStoreFpu, Type::kI32, at, c32(0xffff), 0, 8);
  mm_[r & 7] = v;
}

Value Lifter::mm_source(unsigned size) {
  if (!memory()) return mm(insn_->rm);
  return emit(IrOp::kLoadAt, Type::kV128, emit(IrOp::kProbe, word_, linear(false, size), 0, 0, 0, size), 0, 0, 0, size);
}

bool Lifter::mmx_move() {
  const Insn& i = *insn_;
  switch (i.op) {
    case OP_MOVD_PqEy:
      set_mm(i.reg, set_lane(i.osz == 3 ? IrOp::kSetLane64 : IrOp::kSetLane32, v128(0, 0), read_e(size_y()), 0));
      return true;
    case OP_MOVD_EyPq: {
      const Value v = lane(i.osz == 3 ? IrOp::kLane64 : IrOp::kLane32, mm(i.reg), 0);
      if (memory())
        store(v, size_y(), false);
      else
        set_reg(i.rm, v, size_y());
      return true;
    }
    case OP_MOVQ_PqQq: set_mm(i.reg, mm_source(3)); return true;
    case OP_MOVQ_QqPq:
    case OP_MOVNTQ_MqPq:
      if (memory())
        store(lane(IrOp::kLane64, mm(i.reg), 0), 3, false);
      else
        set_mm(i.rm, mm(i.reg));
      return true;
    case OP_PMOVMSKB_GdNq: {
      const Value mask = emit(IrOp::kMask8, Type::kV128, mm(i.rm));
      set(i.reg, to_word(bin_c(IrOp::kAnd, Type::kI32, mask, 0xff)));
      return true;
    }
    case OP_PEXTRW_GdNqIb: set(i.reg, to_word(lane(IrOp::kLane16, mm(i.rm), i.imm & 3))); return true;
    case OP_PINSRW_PqRdIb:
    case OP_PINSRW_PqMwIb: {
      const Value v = memory() ? load(linear(false, 1), 1) : from_word(get(i.rm), 1);
      set_mm(i.reg, set_lane(IrOp::kSetLane16, mm(i.reg), v, i.imm & 3));
      return true;
    }
    default: return false;
  }
}

// What puts lanes elsewhere.
bool Lifter::mmx_shuffle() {
  const Insn& i = *insn_;
  auto both = [&](Value low, Value high) { return shuffle_of(3, low, high, {0, 2}); };
  auto pack = [&](IrOp op) {
    const Value b = mm_source(3), v = both(mm(i.reg), b);
    set_mm(i.reg, vec(op, v, v));
    return true;
  };
  auto unpack = [&](unsigned size, std::initializer_list<u8> elements) {
    const Value b = mm_source(3);
    set_mm(i.reg, shuffle_of(size, mm(i.reg), b, elements));
    return true;
  };
  auto pairs = [&](unsigned size, IrOp op) {
    const Value b = mm_source(3), v = both(mm(i.reg), b);
    const Value even = size == 1 ? shuffle_of(1, v, v, {0, 2, 4, 6, 0, 2, 4, 6}) : shuffle_of(2, v, v, {0, 2, 0, 2});
    const Value odd = size == 1 ? shuffle_of(1, v, v, {1, 3, 5, 7, 1, 3, 5, 7}) : shuffle_of(2, v, v, {1, 3, 1, 3});
    set_mm(i.reg, vec(op, even, odd));
    return true;
  };
  switch (i.op) {
    case OP_PACKSSWB_PqQq: return pack(IrOp::kNarrowS16);
    case OP_PACKUSWB_PqQq: return pack(IrOp::kNarrowU16);
    case OP_PACKSSDW_PqQq: return pack(IrOp::kNarrowS32);
    case OP_PUNPCKHBW_PqQq: return unpack(0, {4, 20, 5, 21, 6, 22, 7, 23, 4, 20, 5, 21, 6, 22, 7, 23});
    case OP_PUNPCKHWD_PqQq: return unpack(1, {2, 10, 3, 11, 2, 10, 3, 11});
    case OP_PUNPCKHDQ_PqQq: return unpack(2, {1, 5, 1, 5});
    case OP_PHADDW_PqQq: return pairs(1, IrOp::kAdd16);
    case OP_PHADDSW_PqQq: return pairs(1, IrOp::kAddSatS16);
    case OP_PHADDD_PqQq: return pairs(2, IrOp::kAdd32);
    case OP_PHSUBW_PqQq: return pairs(1, IrOp::kSub16);
    case OP_PHSUBSW_PqQq: return pairs(1, IrOp::kSubSatS16);
    case OP_PHSUBD_PqQq: return pairs(2, IrOp::kSub32);
    case OP_PSHUFB_PqQq: {
      const u64 k = 0x8787878787878787;
      const Value b = mm_source(3);
      set_mm(i.reg, vec(IrOp::kSwizzle, mm(i.reg), vec(IrOp::kVAnd, b, v128(k, k))));
      return true;
    }
    case OP_PSHUFW_PqQqIb: {
      auto pick = [&](unsigned k) { return static_cast<u8>(i.imm >> 2 * k & 3); };
      const Value b = mm_source(3);
      set_mm(i.reg, shuffle_of(1, b, b, {pick(0), pick(1), pick(2), pick(3), 4, 5, 6, 7}));
      return true;
    }
    case OP_PALIGNR_PqQqIb: {
      const Value v = both(mm_source(3), mm(i.reg));
      u8 lanes[16];
      for (unsigned k = 0; k < 16; k++) lanes[k] = static_cast<u8>(std::min<u64>((i.imm & 0xff) + k, 31));
      set_mm(i.reg, shuffle(v, v128(0, 0), lanes));
      return true;
    }
    default: return false;
  }
}

bool Lifter::insn_mmx() {
  const Insn* original = insn_;
  if (insn_->op <= OP_LONG || (kForms[form_of(insn_->op)].attrs & VEX) || (memory() && !address_ok())) return false;
  const u16 op = on_xmm(insn_->op);
  const usize mark = block_->insts.size();
  const bool checked = mmx_checked_;
  if (!checked) emit(IrOp::kLeaveIf, Type::kI32, get32(kVarX87Off));
  if (insn_->op == OP_EMMS) {
    mmx_enter();
    set32(kVarX87Tags, c32(0));
    mmx_checked_ = true;
    return true;
  }
  bool done;
  if (op != OP_UD) {
    Insn as = *original;
    as.op = op;
    as.reg &= 7;
    if (!memory()) as.rm &= 7;
    insn_ = &as;
    mmx_ = op == OP_PUNPCKLBW_VxWx || op == OP_PUNPCKLWD_VxWx || op == OP_PUNPCKLDQ_VxWx ? 2 : 3;
    done = simd_arith() || simd_shuffle();
    mmx_ = 0;
    insn_ = original;
  } else {
    done = mmx_move() || mmx_shuffle();
  }
  if (!done) {
    block_->insts.resize(mark);
    for (Value& v : mm_) v = 0;
    return false;
  }
  mmx_enter();
  mmx_checked_ = true;
  return true;
}

}  // namespace oriel::jit
