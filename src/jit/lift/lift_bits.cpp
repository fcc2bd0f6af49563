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

// BT, BTS, BTR, BTC of 32 and 64 bits. CF is the bit; no other flag changes. In memory a register counts bits from the
// operand's address on, backwards too.
bool Lifter::bit(bool by_immediate) {
  const unsigned size = insn_->osz;
  if (size < 2) return false;
  const Type t = type_for(size);
  enum { kBt, kBts, kBtr, kBtc };
  const unsigned kind = (by_immediate ? insn_->modrm >> 3 : insn_->opcode >> 3) & 3;
  const unsigned mask = (8u << size) - 1;
  Place dst;
  if (memory() && !by_immediate) {
    if (insn_->asz != (long_ ? 3 : 2)) return false;
    const Value units = bin_c(IrOp::kShrS, t, reg(insn_->reg, size), 3 + size);
    const Value wide = long_ && size == 2 ? emit(IrOp::kExtendS, t, units) : units;
    const Value off = bin(IrOp::kAdd, word_, effective_address(), bin_c(IrOp::kShl, word_, wide, size));
    const Value lin = linear_at(off, kind != kBt, size);
    dst.size = size;
    if (kind == kBt) {
      dst.value = load(lin, size);
    } else {
      dst.host = probe_write(lin, size);
      dst.value = load_at(dst.host, size);
    }
  } else if (kind == kBt)
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

// SHLD and SHRD of 32 and 64 bits. A count of 0 leaves the flags.
bool Lifter::double_shift(bool left, bool by_cl) {
  const unsigned size = insn_->osz;
  if (size < 2 || (memory() && !address_ok())) return false;
  const Type t = type_for(size);
  const unsigned bits = 8u << size;
  const unsigned fixed = static_cast<unsigned>(insn_->imm) & (bits - 1);
  const Place dst = begin_e(size);
  if (!by_cl && fixed == 0) {
    finish(dst, dst.value);
    return true;
  }
  const Value a = dst.value, b = reg(insn_->reg, size);
  const Value n = by_cl ? bin_c(IrOp::kAnd, t, from_word(get(kRCX), size), bits - 1) : constant(t, fixed);
  const IrOp there = left ? IrOp::kShl : IrOp::kShrU, back = left ? IrOp::kShrU : IrOp::kShl;
  // By one and by the rest, so that a count of 0 moves everything out.
  const Value rest = bin(IrOp::kSub, t, constant(t, bits - 1), n);
  const Value r = bin(IrOp::kOr, t, bin(there, t, a, n), bin(back, t, bin_c(back, t, b, 1), rest));
  auto low_bit = [&](Value v) {
    return bin_c(IrOp::kAnd, Type::kI32, t == Type::kI64 ? emit(IrOp::kWrap, t, v) : v, 1);
  };
  const Value last = left ? bin(IrOp::kSub, t, constant(t, bits), n) : bin_c(IrOp::kSub, t, n, 1);
  const Value cf = low_bit(bin(IrOp::kShrU, t, a, last));
  const Value of = low_bit(bin_c(IrOp::kShrU, t, bin(IrOp::kXor, t, a, r), bits - 1));
  const Value both = bin(IrOp::kOr, Type::kI32, cf, bin_c(IrOp::kShl, Type::kI32, of, 1));
  finish(dst, r);
  if (!by_cl) {
    set_flags(FlagOp::kDouble, size, r, t == Type::kI64 ? emit(IrOp::kExtendU, Type::kI32, both) : both);
    return true;
  }
  const Value moved = bin_c(IrOp::kNe, t, n, 0);
  const Value kind = flag_variable(), old_a = get(kVarFlagA), old_b = get(kVarFlagB);
  set_flag_variables(emit(IrOp::kSelect, Type::kI32, c32(flag_kind(FlagOp::kDouble, size)), kind, moved),
                     emit(IrOp::kSelect, word_, to_word(r), old_a, moved),
                     emit(IrOp::kSelect, word_, to_word(both), old_b, moved));
  flags_ = Flags{};
  return true;
}

// POPCNT, TZCNT, LZCNT of 32 and 64 bits: the result and the source say ZF and CF, the rest is 0.
bool Lifter::count_bits() {
  const unsigned size = insn_->osz;
  if (size < 2 || (memory() && !address_ok())) return false;
  const Type t = type_for(size);
  const bool population = insn_->op == OP_POPCNT_GvEv;
  const Value v = read_e(size);
  const Value n = emit(population ? IrOp::kPopcnt : insn_->op == OP_TZCNT_GvEv ? IrOp::kCtz : IrOp::kClz, t, v);
  const Value empty = emit(IrOp::kEqz, t, v);
  set_reg(insn_->reg, n, size);
  set_flags(FlagOp::kTest, 2, population ? c32(0) : empty, population ? empty : emit(IrOp::kEqz, t, n));
  return true;
}

// MOVS, STOS and LODS without REP, forwards.
bool Lifter::string_once() {
  const Insn& i = *insn_;
  const bool bytes = i.op == OP_MOVSB || i.op == OP_STOSB || i.op == OP_LODSB;
  const bool stores = i.op != OP_LODSB && i.op != OP_LODSV, loads = i.op != OP_STOSB && i.op != OP_STOSV;
  const unsigned size = bytes ? 0 : i.osz;
  if ((i.flags & (kInsnRep | kInsnRepne)) || i.asz != (long_ ? 3 : 2) || (loads && (i.seg == kFS || i.seg == kGS)))
    return false;
  const Value rflags = emit(IrOp::kLoadState, Type::kI32, 0, 0, 0, kRflagsOffset);
  emit(IrOp::kLeaveIf, Type::kI32, bin_c(IrOp::kAnd, Type::kI32, rflags, kDF));
  const Value si = get(kRSI), di = get(kRDI);
  const Value v = loads ? load(si, size) : reg(kRAX, size);
  if (stores) store_at(probe_write(di, size), v, size);
  if (loads) set(kRSI, bin_c(IrOp::kAdd, word_, si, u64{1} << size));
  if (stores)
    set(kRDI, bin_c(IrOp::kAdd, word_, di, u64{1} << size));
  else
    set_reg(kRAX, v, size);
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
    case OP_BTC_EvGv: return (!memory() || address_ok()) && bit(false);
    case OP_BT_EvIb:
    case OP_BTS_EvIb:
    case OP_BTR_EvIb:
    case OP_BTC_EvIb: return (!memory() || address_ok()) && bit(true);
    case OP_SHLD_EvGvIb: return double_shift(true, false);
    case OP_SHLD_EvGvCL: return double_shift(true, true);
    case OP_SHRD_EvGvIb: return double_shift(false, false);
    case OP_SHRD_EvGvCL: return double_shift(false, true);
    case OP_POPCNT_GvEv:
    case OP_TZCNT_GvEv:
    case OP_LZCNT_GvEv: return count_bits();
    case OP_MOVSB:
    case OP_MOVSV:
    case OP_STOSB:
    case OP_STOSV:
    case OP_LODSB:
    case OP_LODSV: return string_once();
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
      const unsigned size = i.op == OP_MOV_ALOb || i.op == OP_MOV_ObAL ? 0 : sz;
      const bool reads = i.op == OP_MOV_ALOb || i.op == OP_MOV_eAXOv;
      const Value lin = linear_at(constant(word_, i.imm), !reads, size);
      if (reads)
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
    case OP_BSWAP_Zv_q: {
      // Each half as above, changed places.
      const Type t = Type::kI64;
      const Value v = bin_c(IrOp::kRotL, t, get(i.rm), 32);
      auto swapped = [&](Value x, u64 mask, unsigned n) {
        return bin(IrOp::kOr, t, bin_c(IrOp::kShl, t, bin_c(IrOp::kAnd, t, x, mask), n),
                   bin_c(IrOp::kAnd, t, bin_c(IrOp::kShrU, t, x, n), mask));
      };
      set(i.rm, swapped(swapped(v, 0x0000ffff0000ffff, 16), 0x00ff00ff00ff00ff, 8));
      return true;
    }
    default: return false;
  }
}

}  // namespace oriel::jit
