// Integer instructions.
#include "jit/cpu_layout.h"
#include "jit/lift/lifter.h"

namespace oriel::jit {

// ---- arithmetic ----------------------------------------------------------------------------------

void Lifter::binary(IrOp op, const Place& dst, Value src) {
  const Value r = bin(op, type_for(dst.size), dst.value, src);
  finish(dst, r);
  set_flags(op == IrOp::kAdd ? FlagOp::kAdd : FlagOp::kSub, dst.size, dst.value, src);
}

void Lifter::compare(Value a, Value b, unsigned size) { set_flags(FlagOp::kSub, size, a, b); }

void Lifter::logic(IrOp op, const Place& dst, Value src) {
  const Value r = bin(op, type_for(dst.size), dst.value, src);
  finish(dst, r);
  set_flags(FlagOp::kLogic, dst.size, r, 0);
}

// With a carry the operation is one of two, by its value.
void Lifter::add_carry(bool subtract, const Place& dst, Value src) {
  const Type t = type_for(dst.size);
  const IrOp op = subtract ? IrOp::kSub : IrOp::kAdd;
  const Value cf = carry();
  const Value wide = t == Type::kI64 ? emit(IrOp::kExtendU, Type::kI32, cf) : cf;
  const Value r = bin(op, t, bin(op, t, dst.value, src), wide);
  const Value kind = emit(IrOp::kSelect, Type::kI32, c32(flag_kind(subtract ? FlagOp::kSbb : FlagOp::kAdc, dst.size)),
                          c32(flag_kind(subtract ? FlagOp::kSub : FlagOp::kAdd, dst.size)), cf);
  // The carry out of a + b + 1 and the borrow of a - b - 1 differ from those without where the sides meet.
  const Value out =
      subtract
          ? bin(IrOp::kOr, Type::kI32, bin(IrOp::kLtU, t, at_top(dst.value, dst.size), at_top(src, dst.size)),
                bin(IrOp::kAnd, Type::kI32, cf, bin(IrOp::kEq, t, at_top(dst.value, dst.size), at_top(src, dst.size))))
          : bin(IrOp::kOr, Type::kI32, bin(IrOp::kLtU, t, at_top(r, dst.size), at_top(dst.value, dst.size)),
                bin(IrOp::kAnd, Type::kI32, cf, bin(IrOp::kEq, t, at_top(r, dst.size), at_top(dst.value, dst.size))));
  finish(dst, r);
  set_flag_variables(kind, dst.value, src);
  flags_ = Flags{};
  flags_.cf = out;
}

void Lifter::inc_dec(bool dec, const Place& dst) {
  const Value cf = carry();
  finish(dst, bin_c(dec ? IrOp::kSub : IrOp::kAdd, type_for(dst.size), dst.value, 1));
  set_flags(dec ? FlagOp::kDec : FlagOp::kInc, dst.size, dst.value, cf);
}

Value Lifter::shifted(FlagOp op, Value a, Value count, unsigned size) {
  const Type t = type_for(size);
  if (t == Type::kI64 && type_of(count) == Type::kI32) count = emit(IrOp::kExtendU, Type::kI32, count);
  if (op == FlagOp::kShl) return bin(IrOp::kShl, t, a, count);
  if (op == FlagOp::kShr) return bin(IrOp::kShrU, t, zext(a, size), count);
  return bin(IrOp::kShrS, t, sext(a, size), count);
}

void Lifter::shift_by(FlagOp op, const Place& dst, unsigned n) {
  if (n == 0) return finish(dst, dst.value);
  const Value count = constant(type_for(dst.size), n);
  finish(dst, shifted(op, dst.value, count, dst.size));
  set_flags(op, dst.size, dst.value, count);
}

bool Lifter::shift(FlagOp op, unsigned size, bool by_cl) {
  const unsigned bits = 8u << size, mask = size == 3 ? 63 : 31;
  if (!by_cl) {
    const bool one = insn_->opcode >= 0xd0;
    const unsigned n = one ? 1 : static_cast<unsigned>(insn_->imm) & mask;
    if (n >= bits) return false;
    shift_by(op, begin_e(size), n);
    return true;
  }
  if (size < 2) return false;
  const Place dst = begin_e(size);
  const Type t = type_for(size);
  const Value cl = from_word(get(kRCX), size);
  const Value n = bin_c(IrOp::kAnd, t, cl, mask);
  finish(dst, shifted(op, dst.value, n, size));
  // A count of 0 leaves the flags.
  const Value moved = bin_c(IrOp::kNe, t, n, 0);
  const Value kind = flag_variable();
  const Value a = get(kVarFlagA), b = get(kVarFlagB);
  set_flag_variables(emit(IrOp::kSelect, Type::kI32, c32(flag_kind(op, size)), kind, moved),
                     emit(IrOp::kSelect, word_, to_word(dst.value), a, moved),
                     emit(IrOp::kSelect, word_, to_word(n), b, moved));
  flags_ = Flags{};
  return true;
}

// The high half of a product of 64-bit values, from 32-bit parts.
Value Lifter::mul_high(Value a, Value b, bool is_signed) {
  const Type t = Type::kI64;
  const IrOp up = is_signed ? IrOp::kShrS : IrOp::kShrU;
  auto low = [&](Value v) { return bin_c(IrOp::kAnd, t, v, 0xffffffff); };
  const Value al = low(a), bl = low(b);
  const Value ah = bin_c(up, t, a, 32), bh = bin_c(up, t, b, 32);
  const Value mid =
      bin(IrOp::kAdd, t, bin(IrOp::kMul, t, ah, bl), bin_c(IrOp::kShrU, t, bin(IrOp::kMul, t, al, bl), 32));
  const Value mid2 = bin(IrOp::kAdd, t, bin(IrOp::kMul, t, al, bh), low(mid));
  return bin(IrOp::kAdd, t, bin(IrOp::kAdd, t, bin(IrOp::kMul, t, ah, bh), bin_c(up, t, mid, 32)),
             bin_c(up, t, mid2, 32));
}

// Two- and three-operand IMUL: CF = OF = the product does not fit.
void Lifter::imul(u8 dst, Value a, Value b, unsigned size) {
  Value r, over;
  if (size == 3) {
    r = bin(IrOp::kMul, Type::kI64, a, b);
    over = bin(IrOp::kNe, Type::kI64, mul_high(a, b, true), bin_c(IrOp::kShrS, Type::kI64, r, 63));
  } else if (size == 2) {
    const Value p =
        bin(IrOp::kMul, Type::kI64, emit(IrOp::kExtendS, Type::kI32, a), emit(IrOp::kExtendS, Type::kI32, b));
    r = emit(IrOp::kWrap, Type::kI64, p);
    over = bin(IrOp::kNe, Type::kI64, p, emit(IrOp::kSext32, Type::kI64, p));
  } else {
    r = bin(IrOp::kMul, Type::kI32, sext(a, 1), sext(b, 1));
    over = bin(IrOp::kNe, Type::kI32, r, sext(r, 1));
  }
  set_reg(dst, r, size);
  set_flags(FlagOp::kMul, size, r, over);
}

// One-operand MUL and IMUL of 32 and 64 bits.
void Lifter::multiply(bool is_signed) {
  const unsigned size = insn_->osz;
  const Value v = read_e(size);
  const Value acc = reg(kRAX, size);
  Value low, high, over;
  if (size == 3) {
    low = bin(IrOp::kMul, Type::kI64, acc, v);
    high = mul_high(acc, v, is_signed);
    over = is_signed ? bin(IrOp::kNe, Type::kI64, high, bin_c(IrOp::kShrS, Type::kI64, low, 63))
                     : bin_c(IrOp::kNe, Type::kI64, high, 0);
  } else {
    const IrOp wide = is_signed ? IrOp::kExtendS : IrOp::kExtendU;
    const Value p = bin(IrOp::kMul, Type::kI64, emit(wide, Type::kI32, acc), emit(wide, Type::kI32, v));
    low = emit(IrOp::kWrap, Type::kI64, p);
    high = emit(IrOp::kWrap, Type::kI64, bin_c(IrOp::kShrU, Type::kI64, p, 32));
    over = is_signed ? bin(IrOp::kNe, Type::kI64, p, emit(IrOp::kSext32, Type::kI64, p))
                     : bin_c(IrOp::kNe, Type::kI32, high, 0);
  }
  set_reg(kRAX, low, size);
  set_reg(kRDX, high, size);
  set_flags(FlagOp::kMul, size, low, over);
}

// DIV and IDIV of 32 bits, and of 64 where the dividend's high half only extends the low one. Whatever raises #DE, or
// is wider, leaves. No flag changes.
bool Lifter::divide(bool is_signed) {
  const unsigned size = insn_->osz;
  const Value v = read_e(size);
  auto leave_if = [this](Value cond) { emit(IrOp::kLeaveIf, Type::kI32, cond); };
  const Type t = Type::kI64;
  const IrOp div = is_signed ? IrOp::kDivS : IrOp::kDivU, rem = is_signed ? IrOp::kRemS : IrOp::kRemU;
  const Value acc = reg(kRAX, size), top = reg(kRDX, size);
  if (size == 3) {
    leave_if(emit(IrOp::kEqz, t, v));
    if (!is_signed) {
      leave_if(bin_c(IrOp::kNe, t, top, 0));
    } else {
      leave_if(bin(IrOp::kNe, t, top, bin_c(IrOp::kShrS, t, acc, 63)));
      leave_if(bin_c(IrOp::kEq, t, v, ~u64{0}));  // -2^63 / -1, and others that are no harm to tier 0
    }
    const Value q = bin(div, t, acc, v), r = bin(rem, t, acc, v);
    set_reg(kRAX, q, 3);
    set_reg(kRDX, r, 3);
    return true;
  }
  leave_if(emit(IrOp::kEqz, Type::kI32, v));
  const Value n = bin(IrOp::kOr, t, bin_c(IrOp::kShl, t, emit(IrOp::kExtendU, Type::kI32, top), 32),
                      emit(IrOp::kExtendU, Type::kI32, acc));
  const Value d = emit(is_signed ? IrOp::kExtendS : IrOp::kExtendU, Type::kI32, v);
  if (is_signed) {
    // -2^63 / -1 would trap.
    leave_if(bin_c(IrOp::kEq, t, n, u64{1} << 63));
  } else {
    leave_if(bin(IrOp::kGeU, Type::kI32, top, v));
  }
  const Value q = bin(div, t, n, d), r = bin(rem, t, n, d);
  if (is_signed) leave_if(bin(IrOp::kNe, t, emit(IrOp::kSext32, t, q), q));
  const Value q32 = emit(IrOp::kWrap, t, q), r32 = emit(IrOp::kWrap, t, r);
  set_reg(kRAX, q32, 2);
  set_reg(kRDX, r32, 2);
  return true;
}

// ---- the instructions ----------------------------------------------------------------------------

// clang-format off
#define RM_(ID) case OP_##ID##_r: case OP_##ID##_m
#define V_(ID) case OP_##ID##_w: case OP_##ID##_d: case OP_##ID##_q
#define VRM_(ID) case OP_##ID##_rw: case OP_##ID##_rd: case OP_##ID##_rq: case OP_##ID##_mw: case OP_##ID##_md: case OP_##ID##_mq

bool Lifter::insn_int() {
  const Insn& i = *insn_;
  if (memory() && !address_ok()) return false;
  const unsigned sz = i.osz;
  auto g = [&](unsigned size) { return reg(i.reg, size); };
  auto place_g = [&](unsigned size) { return Place{reg(i.reg, size), 0, size, i.reg}; };
  auto place_a = [&](unsigned size) { return Place{reg(kRAX, size), 0, size, kRAX}; };  // AL is offset 0, too
  switch (i.op) {
#define ALU(NAME, FN)                                                                                      \
    RM_(NAME##_EbGb): { const Place p = begin_e(0); FN(p, g(0)); return true; }                            \
    VRM_(NAME##_EvGv): { const Place p = begin_e(sz); FN(p, g(sz)); return true; }                         \
    RM_(NAME##_GbEb): { const Value v = read_e(0); FN(place_g(0), v); return true; }                       \
    VRM_(NAME##_GvEv): { const Value v = read_e(sz); FN(place_g(sz), v); return true; }                    \
    case OP_##NAME##_ALIb: FN(place_a(0), immediate(0)); return true;                                      \
    V_(NAME##_eAXIz): FN(place_a(sz), immediate(sz)); return true;                                         \
    RM_(NAME##_EbIb): { const Place p = begin_e(0); FN(p, immediate(0)); return true; }                    \
    VRM_(NAME##_EvIz): VRM_(NAME##_EvIbs): { const Place p = begin_e(sz); FN(p, immediate(sz)); return true; }
#define FN_ADD(p, v) binary(IrOp::kAdd, p, v)
#define FN_SUB(p, v) binary(IrOp::kSub, p, v)
#define FN_ADC(p, v) add_carry(false, p, v)
#define FN_SBB(p, v) add_carry(true, p, v)
#define FN_AND(p, v) logic(IrOp::kAnd, p, v)
#define FN_OR(p, v) logic(IrOp::kOr, p, v)
#define FN_XOR(p, v) logic(IrOp::kXor, p, v)
    ALU(ADD, FN_ADD)
    ALU(OR, FN_OR)
    ALU(ADC, FN_ADC)
    ALU(SBB, FN_SBB)
    ALU(AND, FN_AND)
    ALU(SUB, FN_SUB)
    ALU(XOR, FN_XOR)
#undef ALU
    RM_(CMP_EbGb): { const Value v = read_e(0); compare(v, g(0), 0); return true; }
    VRM_(CMP_EvGv): { const Value v = read_e(sz); compare(v, g(sz), sz); return true; }
    RM_(CMP_GbEb): { const Value v = read_e(0); compare(g(0), v, 0); return true; }
    VRM_(CMP_GvEv): { const Value v = read_e(sz); compare(g(sz), v, sz); return true; }
    case OP_CMP_ALIb: compare(reg(kRAX, 0), immediate(0), 0); return true;
    V_(CMP_eAXIz): compare(reg(kRAX, sz), immediate(sz), sz); return true;
    RM_(CMP_EbIb): { const Value v = read_e(0); compare(v, immediate(0), 0); return true; }
    VRM_(CMP_EvIz): VRM_(CMP_EvIbs): { const Value v = read_e(sz); compare(v, immediate(sz), sz); return true; }
#define TEST(SIZE, B) { const Value v = read_e(SIZE); set_flags(FlagOp::kLogic, SIZE, bin(IrOp::kAnd, type_for(SIZE), v, B), 0); return true; }
    RM_(TEST_EbGb): TEST(0, g(0))
    VRM_(TEST_EvGv): TEST(sz, g(sz))
    RM_(TEST_EbIb): RM_(TEST_EbIb1): TEST(0, immediate(0))
    VRM_(TEST_EvIz): VRM_(TEST_EvIz1): TEST(sz, immediate(sz))
    case OP_TEST_ALIb: set_flags(FlagOp::kLogic, 0, bin(IrOp::kAnd, Type::kI32, reg(kRAX, 0), immediate(0)), 0); return true;
    V_(TEST_eAXIz): set_flags(FlagOp::kLogic, sz, bin(IrOp::kAnd, type_for(sz), reg(kRAX, sz), immediate(sz)), 0); return true;
#undef TEST
    RM_(INC_Eb): inc_dec(false, begin_e(0)); return true;
    RM_(DEC_Eb): inc_dec(true, begin_e(0)); return true;
    VRM_(INC_Ev): inc_dec(false, begin_e(sz)); return true;
    VRM_(DEC_Ev): inc_dec(true, begin_e(sz)); return true;
    V_(INC_Zv): inc_dec(false, begin_e(sz)); return true;
    V_(DEC_Zv): inc_dec(true, begin_e(sz)); return true;
    RM_(NOT_Eb): { const Place p = begin_e(0); finish(p, bin_c(IrOp::kXor, Type::kI32, p.value, ~u64{0})); return true; }
    VRM_(NOT_Ev): { const Place p = begin_e(sz); finish(p, bin_c(IrOp::kXor, type_for(sz), p.value, ~u64{0})); return true; }
#define NEG(SIZE)                                                              \
    { const Place p = begin_e(SIZE);                                           \
      const Value zero = constant(type_for(SIZE), 0);                          \
      finish(p, bin(IrOp::kSub, type_for(SIZE), zero, p.value));               \
      set_flags(FlagOp::kSub, SIZE, zero, p.value);                            \
      return true; }
    RM_(NEG_Eb): NEG(0)
    VRM_(NEG_Ev): NEG(sz)
#undef NEG
#define SHIFT(NAME, OP)                                                        \
    RM_(NAME##_EbIb): RM_(NAME##_Eb1): return shift(OP, 0, false);           \
    VRM_(NAME##_EvIb): VRM_(NAME##_Ev1): return shift(OP, sz, false);        \
    VRM_(NAME##_EvCL): return shift(OP, sz, true);
    SHIFT(SHL, FlagOp::kShl)
    SHIFT(SAL, FlagOp::kShl)
    SHIFT(SHR, FlagOp::kShr)
    SHIFT(SAR, FlagOp::kSar)
#undef SHIFT
    VRM_(IMUL_GvEv): { const Value v = read_e(sz); imul(i.reg, g(sz), v, sz); return true; }
    VRM_(IMUL_GvEvIz): VRM_(IMUL_GvEvIbs): { const Value v = read_e(sz); imul(i.reg, v, immediate(sz), sz); return true; }
    case OP_MUL_Ev: if (sz < 2) return false; multiply(false); return true;
    case OP_IMUL_Ev: if (sz < 2) return false; multiply(true); return true;
    case OP_DIV_Ev: return sz >= 2 && divide(false);
    case OP_IDIV_Ev: return sz >= 2 && divide(true);

#define MOVE_TO_E(SIZE, V)                                                     \
    if (memory()) { const Value host = probe_write(linear(true, SIZE), SIZE); store_at(host, V, SIZE); } \
    else set_reg(i.rm, V, SIZE);                                               \
    return true
    RM_(MOV_EbGb): MOVE_TO_E(0, g(0));
    VRM_(MOV_EvGv): MOVE_TO_E(sz, g(sz));
    RM_(MOV_EbIb): MOVE_TO_E(0, immediate(0));
    VRM_(MOV_EvIz): MOVE_TO_E(sz, immediate(sz));
#undef MOVE_TO_E
    RM_(MOV_GbEb): set_reg(i.reg, read_e(0), 0); return true;
    VRM_(MOV_GvEv): set_reg(i.reg, read_e(sz), sz); return true;
    case OP_MOV_ZbIb: set_reg(i.rm, immediate(0), 0); return true;
    V_(MOV_ZvIv): set_reg(i.rm, immediate(sz), sz); return true;
    V_(LEA_GvM): if (!address_ok()) return false; set_reg(i.reg, from_word(effective_address(), sz), sz); return true;
#define EXTEND(FROM, FN)                                                       \
    { const Value v = FN(read_e(FROM), FROM);                                  \
      set_reg(i.reg, sz == 3 ? emit(IrOp::kExtendS, Type::kI32, v) : v, sz);   \
      return true; }
    VRM_(MOVZX_GvEb): EXTEND(0, zext)
    VRM_(MOVZX_GvEw): EXTEND(1, zext)
    VRM_(MOVSX_GvEb): EXTEND(0, sext)
    VRM_(MOVSX_GvEw): EXTEND(1, sext)
#undef EXTEND
    case OP_MOVSXD_GvEd_rq: case OP_MOVSXD_GvEd_mq:
      set_reg(i.reg, emit(IrOp::kExtendS, Type::kI32, read_e(2)), 3);
      return true;
    RM_(XCHG_EbGb): { const Place p = begin_e(0); const Value v = g(0); finish(p, v); set_reg(i.reg, p.value, 0); return true; }
    VRM_(XCHG_EvGv): { const Place p = begin_e(sz); const Value v = g(sz); finish(p, v); set_reg(i.reg, p.value, sz); return true; }
    V_(XCHG_ZveAX): {
      if (sz == 2 && i.rm == kRAX) return true;  // NOP
      const Value a = reg(i.rm, sz), b = reg(kRAX, sz);
      set_reg(i.rm, b, sz);
      set_reg(kRAX, a, sz);
      return true;
    }
    case OP_CBW_w: set_reg(kRAX, sext(reg(kRAX, 1), 0), 1); return true;
    case OP_CBW_d: set_reg(kRAX, sext(reg(kRAX, 2), 1), 2); return true;
    case OP_CBW_q: set_reg(kRAX, emit(IrOp::kExtendS, Type::kI32, reg(kRAX, 2)), 3); return true;
    case OP_CWD_d: set_reg(kRDX, bin_c(IrOp::kShrS, Type::kI32, reg(kRAX, 2), 31), 2); return true;
    case OP_CWD_q: set_reg(kRDX, bin_c(IrOp::kShrS, Type::kI64, reg(kRAX, 3), 63), 3); return true;
    case OP_CLD: case OP_STD: {
      const u64 place = kRflagsOffset;
      const Value old = emit(IrOp::kLoadState, Type::kI32, 0, 0, 0, place);
      const Value now = i.op == OP_STD ? bin_c(IrOp::kOr, Type::kI32, old, kDF) : bin_c(IrOp::kAnd, Type::kI32, old, ~u32{kDF});
      emit(IrOp::kStoreState32, Type::kI32, now, 0, 0, place);
      return true;
    }
    case OP_PAUSE:
    case OP_NOP_19: case OP_NOP_1A: case OP_NOP_1B: case OP_NOP_1C: case OP_NOP_1D: case OP_NOP_1E: case OP_NOP_1F:
      return true;
    case OP_BSF_GvEv: case OP_BSR_GvEv: {
      if (sz < 2) return false;
      const Type t = type_for(sz);
      const Value v = read_e(sz);
      const Value n = i.op == OP_BSF_GvEv ? emit(IrOp::kCtz, t, v)
                                          : bin(IrOp::kSub, t, constant(t, (8u << sz) - 1), emit(IrOp::kClz, t, v));
      // With a source of 0 the destination stays as it is, all 64 bits of it.
      const Value found = bin_c(IrOp::kNe, t, v, 0);
      set(i.reg, emit(IrOp::kSelect, word_, to_word(n), get(i.reg), found));
      set_flags(FlagOp::kLogic, sz, v, 0);
      return true;
    }
    default: return false;
  }
}
// clang-format on

}  // namespace oriel::jit
