// Rotates, bit tests, exchanges with arithmetic, and moves by absolute address.
#include "jit/cpu_layout.h"
#include "jit/lift/lifter.h"

namespace oriel::jit {

// CF and OF alone, in the words that Cpu has: cc_aux has CF in bit 63 and CF ^ OF in bit 62. `of` 0: it stays.
void Lifter::set_carry_overflow(Value cf, Value of) {
  flags_to_cpu();
  const Type t = Type::kI64;
  const Value aux = emit(IrOp::kLoadState, t, 0, 0, 0, kCcAuxOffset);
  if (!of) {
    const Value both = bin(IrOp::kXor, t, bin_c(IrOp::kShrU, t, aux, 63), bin_c(IrOp::kShrU, t, aux, 62));
    of = bin_c(IrOp::kAnd, Type::kI32, emit(IrOp::kWrap, t, both), 1);
  }
  const Value high =
      bin(IrOp::kOr, t, bin_c(IrOp::kShl, t, emit(IrOp::kExtendU, Type::kI32, cf), 63),
          bin_c(IrOp::kShl, t, emit(IrOp::kExtendU, Type::kI32, bin(IrOp::kXor, Type::kI32, cf, of)), 62));
  emit(IrOp::kStoreState, t, bin(IrOp::kOr, t, bin_c(IrOp::kAnd, t, aux, ~(u64{3} << 62)), high), 0, 0, kCcAuxOffset);
  flags_.cf = cf;
}

bool Lifter::rotate(bool right, unsigned size) {
  if (size < 2) return false;
  const unsigned n = (insn_->opcode >= 0xd0 ? 1 : static_cast<unsigned>(insn_->imm)) & (size == 3 ? 63 : 31);
  const Type t = type_for(size);
  const Place dst = begin_e(size);
  if (n == 0) {
    finish(dst, dst.value);
    return true;
  }
  const Value r = bin_c(right ? IrOp::kRotR : IrOp::kRotL, t, dst.value, n);
  finish(dst, r);
  if (flags_dead_after()) return true;
  auto bit_of = [&](unsigned k) {
    const Value v = bin_c(IrOp::kShrU, t, r, k);
    return bin_c(IrOp::kAnd, Type::kI32, t == Type::kI64 ? emit(IrOp::kWrap, t, v) : v, 1);
  };
  const unsigned top = (8u << size) - 1;
  const Value cf = bit_of(right ? top : 0);
  set_carry_overflow(cf, bin(IrOp::kXor, Type::kI32, cf, bit_of(right ? top - 1 : top)));
  return true;
}

// BT, BTS, BTR, BTC of a register, or of memory by an immediate. CF is the bit; no other flag changes.
bool Lifter::bit(bool by_immediate) {
  const unsigned size = insn_->osz;
  if (size < 2 || (memory() && !by_immediate)) return false;
  const Type t = type_for(size);
  enum { kBt, kBts, kBtr, kBtc };
  const unsigned kind = (by_immediate ? insn_->modrm >> 3 : insn_->opcode >> 3) & 3;
  const unsigned mask = (8u << size) - 1;
  Place dst;
  if (kind == kBt)
    dst.value = read_e(size);
  else
    dst = begin_e(size);
  const Value n = by_immediate ? constant(t, insn_->imm & mask) : bin_c(IrOp::kAnd, t, reg(insn_->reg, size), mask);
  const Value v = bin_c(IrOp::kAnd, t, bin(IrOp::kShrU, t, dst.value, n), 1);
  const Value cf = t == Type::kI64 ? emit(IrOp::kWrap, t, v) : v;
  const Value one = bin(IrOp::kShl, t, constant(t, 1), n);
  if (kind == kBts) finish(dst, bin(IrOp::kOr, t, dst.value, one));
  if (kind == kBtr) finish(dst, bin(IrOp::kAnd, t, dst.value, bin_c(IrOp::kXor, t, one, ~u64{0})));
  if (kind == kBtc) finish(dst, bin(IrOp::kXor, t, dst.value, one));
  if (!flags_dead_after()) set_carry_overflow(cf, 0);
  return true;
}

bool Lifter::insn_bits() {
  const Insn& i = *insn_;
  const unsigned sz = i.osz;
  switch (i.op) {
    case OP_ROL_EvIb:
    case OP_ROL_Ev1:
    case OP_ROR_EvIb:
    case OP_ROR_Ev1:
      if (memory() && !address_ok()) return false;
      return rotate(i.op == OP_ROR_EvIb || i.op == OP_ROR_Ev1, sz);
    case OP_BT_EvGv:
    case OP_BTS_EvGv:
    case OP_BTR_EvGv:
    case OP_BTC_EvGv: return bit(false);
    case OP_BT_EvIb:
    case OP_BTS_EvIb:
    case OP_BTR_EvIb:
    case OP_BTC_EvIb: return (!memory() || address_ok()) && bit(true);
    case OP_BSWAP_Zv_d: {
      const Value v = reg(i.rm, 2);
      const Type t = Type::kI32;
      // Bytes 0 and 2 turned one way, 1 and 3 the other.
      const Value even = bin_c(IrOp::kRotR, t, bin_c(IrOp::kAnd, t, v, 0x00ff00ff), 8);
      const Value odd = bin_c(IrOp::kRotL, t, bin_c(IrOp::kAnd, t, v, 0xff00ff00), 8);
      set_reg(i.rm, bin(IrOp::kOr, t, even, odd), 2);
      return true;
    }
    case OP_MOV_ALOb:
    case OP_MOV_eAXOv:
    case OP_MOV_ObAL:
    case OP_MOV_OveAX: {
      if (i.seg == kFS || i.seg == kGS) return false;
      const unsigned size = i.op == OP_MOV_ALOb || i.op == OP_MOV_ObAL ? 0 : sz;
      const Value lin = constant(word_, i.imm);
      if (i.op == OP_MOV_ALOb || i.op == OP_MOV_eAXOv)
        set_reg(kRAX, load(lin, size), size);
      else
        store_at(probe_write(lin, size), reg(kRAX, size), size);
      return true;
    }
    case OP_XADD_EvGv: {
      if (sz < 2 || (memory() && !address_ok())) return false;
      const Place p = begin_e(sz);
      const Value b = reg(i.reg, sz);
      const Value sum = bin(IrOp::kAdd, type_for(sz), p.value, b);
      set_reg(i.reg, p.value, sz);
      finish(p, sum);
      set_flags(FlagOp::kAdd, sz, p.value, b);
      return true;
    }
    case OP_CMPXCHG_EvGv: {
      if (sz < 2 || !memory() || !address_ok()) return false;
      const Type t = type_for(sz);
      const Place p = begin_e(sz);
      const Value acc = reg(kRAX, sz);
      const Value same = bin(IrOp::kEq, t, acc, p.value);
      finish(p, emit(IrOp::kSelect, t, reg(i.reg, sz), p.value, same));
      // RAX is written only where they differ: all of it.
      set(kRAX, emit(IrOp::kSelect, word_, get(kRAX), to_word(p.value), same));
      set_flags(FlagOp::kSub, sz, acc, p.value);
      return true;
    }
    default: return false;
  }
}

}  // namespace oriel::jit
