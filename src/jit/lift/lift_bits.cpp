// Rotates, bit tests, exchanges with arithmetic, and moves by absolute address.
#include "jit/cpu_layout.h"
#include "jit/lift/lifter.h"

namespace oriel::jit {

// CF and OF alone; the other flags stay. `of` 0: it stays, too. The kind that says so.
Value Lifter::carry_overflow_kind(Value cf, Value of) {
  const Type t = Type::kI32;
  const u32 apart = kFlagCf | (of ? u32{kFlagOf} : 0), bits = 1u << kFlagCfBit | (of ? 1u << kFlagOfBit : 0);
  auto at_bit = [&](Value v, unsigned n) { return bin_c(IrOp::kShl, t, v, n); };
  Value kind = flags_.known && !flags_.carry_apart
                   ? c32(flag_kind(flags_.op, flags_.op == FlagOp::kCpu ? 0 : flags_.size) | apart)
                   : bin_c(IrOp::kOr, t, bin_c(IrOp::kAnd, t, flag_variable(), ~bits), apart);
  kind = bin(IrOp::kOr, t, kind, at_bit(cf, kFlagCfBit));
  return of ? bin(IrOp::kOr, t, kind, at_bit(of, kFlagOfBit)) : kind;
}

void Lifter::set_carry_overflow(Value cf, Value of) {
  set_flag_variables(carry_overflow_kind(cf, of), 0, 0);
  flags_.cf = cf;
  flags_.carry_apart = true;
  if (of) flags_.of = of;
}

// ROL and ROR of 32 and 64 bits. OF as for a count of 1; a count of 0 leaves the flags.
bool Lifter::rotate(bool right, unsigned size, bool by_cl) {
  if (size < 2) return false;
  const unsigned mask = size == 3 ? 63 : 31;
  const unsigned fixed = (insn_->opcode >= 0xd0 ? 1 : static_cast<unsigned>(insn_->imm)) & mask;
  const Type t = type_for(size);
  const Place dst = begin_e(size);
  if (!by_cl && fixed == 0) {
    finish(dst, dst.value);
    return true;
  }
  const Value n = by_cl ? bin_c(IrOp::kAnd, t, from_word(get(kRCX), size), mask) : constant(t, fixed);
  const Value r = bin(right ? IrOp::kRotR : IrOp::kRotL, t, dst.value, n);
  finish(dst, r);
  if (flags_dead_after()) return true;
  auto bit_of = [&](unsigned k) {
    const Value v = bin_c(IrOp::kShrU, t, r, k);
    return bin_c(IrOp::kAnd, Type::kI32, t == Type::kI64 ? emit(IrOp::kWrap, t, v) : v, 1);
  };
  const Value cf = bit_of(right ? mask : 0);
  const Value of = bin(IrOp::kXor, Type::kI32, cf, bit_of(right ? mask - 1 : mask));
  if (!by_cl) {
    set_carry_overflow(cf, of);
    return true;
  }
  const Value kind = carry_overflow_kind(cf, of);
  set_flag_variables(emit(IrOp::kSelect, Type::kI32, kind, flag_variable(), bin_c(IrOp::kNe, t, n, 0)), 0, 0);
  flags_ = Flags{};
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

// Of 4 or 8 bytes.
Value Lifter::byte_swap(Value v, unsigned size) {
  const Type t = type_for(size);
  if (size == 2) {
    // Bytes 0 and 2 turned one way, 1 and 3 the other.
    const Value even = bin_c(IrOp::kRotR, t, bin_c(IrOp::kAnd, t, v, 0x00ff00ff), 8);
    const Value odd = bin_c(IrOp::kRotL, t, bin_c(IrOp::kAnd, t, v, 0xff00ff00), 8);
    return bin(IrOp::kOr, t, even, odd);
  }
  // Each half by parts of 16 bits and of 8, changed places.
  auto swapped = [&](Value x, u64 mask, unsigned n) {
    return bin(IrOp::kOr, t, bin_c(IrOp::kShl, t, bin_c(IrOp::kAnd, t, x, mask), n),
               bin_c(IrOp::kAnd, t, bin_c(IrOp::kShrU, t, x, n), mask));
  };
  return swapped(swapped(bin_c(IrOp::kRotL, t, v, 32), 0x0000ffff0000ffff, 16), 0x00ff00ff00ff00ff, 8);
}

bool Lifter::insn_bits() {
  const Insn& i = *insn_;
  const unsigned sz = i.osz;
  switch (i.op) {
    case OP_ROL_EvIb:
    case OP_ROL_Ev1:
    case OP_ROR_EvIb:
    case OP_ROR_Ev1: return (!memory() || address_ok()) && rotate(i.op == OP_ROR_EvIb || i.op == OP_ROR_Ev1, sz, false);
    case OP_ROL_EvCL:
    case OP_ROR_EvCL: return (!memory() || address_ok()) && rotate(i.op == OP_ROR_EvCL, sz, true);
    case OP_CLC:
    case OP_STC: set_carry_overflow(c32(i.op == OP_STC), 0); return true;
    case OP_CMC: set_carry_overflow(emit(IrOp::kEqz, Type::kI32, carry()), 0); return true;
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
    case OP_BSWAP_Zv_d: set_reg(i.rm, byte_swap(reg(i.rm, 2), 2), 2); return true;
    case OP_BSWAP_Zv_q: set(i.rm, byte_swap(get(i.rm), 3)); return true;
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
    default: return false;
  }
}

}  // namespace oriel::jit
