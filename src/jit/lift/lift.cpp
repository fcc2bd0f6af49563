#include "jit/lift/lift.h"

#include <algorithm>

#include "jit/cpu_layout.h"
#include "jit/lift/lifter.h"

namespace oriel::jit {

void lift(Unit& unit) { Lifter(unit).run(); }

Value Lifter::emit(IrOp op, Type type, Value a, Value b, Value c, u64 imm, unsigned size) {
  Inst i;
  i.op = op;
  i.type = type;
  i.size = static_cast<u8>(size);
  i.guest = guest_;
  i.a = a;
  i.b = b;
  i.c = c;
  i.imm = imm;
  block_->insts.push_back(i);
  return static_cast<Value>(block_->insts.size() - 1);
}

Value Lifter::zext(Value v, unsigned size) {
  if (size >= 2) return v;
  const Inst& i = block_->insts[v];
  if (i.op == IrOp::kLoadAt && i.size <= size) return v;
  if (i.op == IrOp::kConst) return c32(static_cast<u32>(i.imm) & (size ? 0xffff : 0xff));
  return bin_c(IrOp::kAnd, Type::kI32, v, size ? 0xffff : 0xff);
}
Value Lifter::sext(Value v, unsigned size) {
  return size >= 2 ? v : emit(size ? IrOp::kSext16 : IrOp::kSext8, Type::kI32, v);
}
Value Lifter::at_top(Value v, unsigned size) {
  if (size >= 2) return v;
  const unsigned n = size ? 16 : 24;
  u64 k;
  if (is_const(v, k)) return c32(static_cast<u32>(k) << n);
  return bin_c(IrOp::kShl, Type::kI32, v, n);
}

// ---- registers -----------------------------------------------------------------------------------

Value Lifter::reg(u8 r, unsigned size) {
  if (size > 0) return from_word(get(r), size);
  const Value v = from_word(get(r >> 3), 0);
  return r & 1 ? bin_c(IrOp::kShrU, Type::kI32, v, 8) : v;
}

void Lifter::set_reg(u8 r, Value v, unsigned size) {
  if (size >= 2) return set(r, to_word(v));
  const unsigned var = size ? r : r >> 3;
  const bool high = !size && (r & 1);
  Value part = to_word(zext(v, size));
  if (high) part = bin_c(IrOp::kShl, word_, part, 8);
  const u64 mask = size ? 0xffff : high ? 0xff00 : 0xff;
  set(var, bin(IrOp::kOr, word_, bin_c(IrOp::kAnd, word_, get(var), ~mask), part));
}

// ---- memory --------------------------------------------------------------------------------------

bool Lifter::address_ok() const { return insn_->asz >= 2; }

Value Lifter::effective_address() {
  const Insn& i = *insn_;
  Value sum = 0;
  auto add = [&](Value v) { sum = sum ? bin(IrOp::kAdd, word_, sum, v) : v; };
  if (i.base == kRipBase)
    add(next_address());
  else if (i.base != kZero)
    add(get(i.base));
  if (i.index != kZero) add(i.scale ? bin_c(IrOp::kShl, word_, get(i.index), i.scale) : get(i.index));
  if (i.disp || !sum) add(constant(word_, static_cast<u64>(static_cast<s64>(i.disp))));
  if (long_ && i.asz == 2) sum = bin_c(IrOp::kAnd, Type::kI64, sum, 0xffffffff);
  return sum;
}

// Segments other than FS and GS are flat: a unit is entered only then.
Value Lifter::linear_at(Value off, bool write, unsigned size) {
  const unsigned s = insn_->seg;
  if (s != kFS && s != kGS) return off;
  const u64 place = kSegOffset + s * sizeof(SegCache);
  if (!long_) {
    const u64 limit = place + (write ? offsetof(SegCache, writable) : offsetof(SegCache, readable));
    const Value end = bin_c(IrOp::kAdd, Type::kI64, emit(IrOp::kExtendU, Type::kI32, off), u64{1} << size);
    emit(IrOp::kLeaveIf, Type::kI32,
         bin(IrOp::kGtU, Type::kI64, end, emit(IrOp::kLoadState, Type::kI64, 0, 0, 0, limit)));
  }
  return bin(IrOp::kAdd, word_, off, emit(IrOp::kLoadState, word_, 0, 0, 0, place + offsetof(SegCache, lin)));
}

Lifter::Place Lifter::begin_e(unsigned size) {
  if (!memory()) return {reg(insn_->rm, size), 0, size, insn_->rm};
  const Value host = probe_write(linear(true, size), size);
  return {load_at(host, size), host, size, 0};
}

Value Lifter::next_address() {
  return bin_c(IrOp::kAdd, word_, emit(IrOp::kPage, word_),
               static_cast<u64>(unit_.pages[block_->page].at + insn_->off + insn_->len));
}

void Lifter::push(Value v, unsigned size) {
  const Value sp = bin_c(IrOp::kSub, word_, get(kRSP), u64{1} << size);
  store_at(probe_write(sp, size), v, size);
  set(kRSP, sp);
}

void Lifter::leave_unless_canonical(Value target) {
  if (!long_) return;
  const Value up = bin_c(IrOp::kShl, Type::kI64, target, 16);
  emit(IrOp::kLeaveIf, Type::kI32, bin(IrOp::kNe, Type::kI64, bin_c(IrOp::kShrS, Type::kI64, up, 16), target));
}

// ---- flags ---------------------------------------------------------------------------------------

void Lifter::set_flag_variables(Value kind, Value a, Value b) {
  emit(IrOp::kSet, Type::kI32, kind, 0, 0, kVarFlagKind);
  if (a) set(kVarFlagA, to_word(a));
  if (b) set(kVarFlagB, to_word(b));
}

void Lifter::set_flags(FlagOp op, unsigned size, Value a, Value b) {
  set_flag_variables(c32(flag_kind(op, size)), a, b);
  flags_ = {true, op, size, a, b};
}

Value Lifter::result() {
  const Type t = type_for(flags_.size);
  const Value a = flags_.a, b = flags_.b;
  switch (flags_.op) {
    case FlagOp::kAdd: return bin(IrOp::kAdd, t, a, b);
    case FlagOp::kAdc: return bin_c(IrOp::kAdd, t, bin(IrOp::kAdd, t, a, b), 1);
    case FlagOp::kSub: return bin(IrOp::kSub, t, a, b);
    case FlagOp::kSbb: return bin_c(IrOp::kSub, t, bin(IrOp::kSub, t, a, b), 1);
    case FlagOp::kInc: return bin_c(IrOp::kAdd, t, a, 1);
    case FlagOp::kDec: return bin_c(IrOp::kSub, t, a, 1);
    case FlagOp::kShl:
    case FlagOp::kShr:
    case FlagOp::kSar: return shifted(flags_.op, a, b, flags_.size);
    default: return a;
  }
}

Value Lifter::condition(unsigned cc) {
  if (flags_.cf && cc >> 1 == 1) return cc & 1 ? emit(IrOp::kEqz, Type::kI32, flags_.cf) : flags_.cf;
  if (flags_.known && cc >> 1 == 3 && flags_.carry_apart) {  // BE: CF or ZF
    if (const Value zf = known_condition(4)) {
      const Value v = bin(IrOp::kOr, Type::kI32, flags_.cf, zf);
      return cc & 1 ? emit(IrOp::kEqz, Type::kI32, v) : v;
    }
  } else if (flags_.of && (cc >> 1 == 0 || cc >> 1 >= 6)) {  // O, L, LE
    if (cc >> 1 == 0) return cc & 1 ? emit(IrOp::kEqz, Type::kI32, flags_.of) : flags_.of;
  } else if (flags_.known) {
    if (const Value v = known_condition(cc)) return v;
  }
  const Value kind = flag_variable();
  return emit(IrOp::kCondition, word_, kind, get(kVarFlagA), get(kVarFlagB), cc);
}

Value Lifter::carry() {
  if (flags_.cf) return flags_.cf;
  if (flags_.known) {
    if (const Value v = known_condition(2)) return v;
  }
  const Value kind = flag_variable();
  return emit(IrOp::kCarryOf, word_, kind, get(kVarFlagA), get(kVarFlagB));
}

Value Lifter::known_condition(unsigned cc) {
  const unsigned size = flags_.size;
  const Type t = type_for(size);
  const Value zero = constant(t, 0);
  const bool negate = cc & 1;
  // A comparison, or its opposite.
  auto test = [&](IrOp holds, IrOp fails, Value a, Value b) {
    return bin(negate ? fails : holds, t, at_top(a, size), at_top(b, size));
  };
  auto fixed = [&](bool v) { return c32(v != negate); };
  auto bit = [&](Value v) {
    if (type_of(v) == Type::kI64) v = emit(IrOp::kWrap, Type::kI64, v);
    return negate ? emit(IrOp::kEqz, Type::kI32, v) : v;
  };
  enum { kO, kB, kE, kBE, kS, kP, kL, kLE };
  const unsigned c = cc >> 1;
  if (flags_.op == FlagOp::kCpu) {
    auto cpu = [this](u64 place) { return emit(IrOp::kLoadState, Type::kI64, 0, 0, 0, place); };
    if (c == kE) return bin_c(negate ? IrOp::kNe : IrOp::kEq, Type::kI64, cpu(kCcResOffset), 0);
    if (c == kB) return bin_c(negate ? IrOp::kGeS : IrOp::kLtS, Type::kI64, cpu(kCcAuxOffset), 0);
    return 0;
  }
  if (flags_.op == FlagOp::kCompare || flags_.op == FlagOp::kTest) return compared_condition(cc);
  if (c == kP) {  // after FNSTSW: TEST AH, ...; JP
    if (flags_.op != FlagOp::kLogic) return 0;
    const Value low = type_of(flags_.a) == Type::kI64 ? emit(IrOp::kWrap, Type::kI64, flags_.a) : flags_.a;
    const Value odd =
        bin_c(IrOp::kAnd, Type::kI32, emit(IrOp::kPopcnt, Type::kI32, bin_c(IrOp::kAnd, Type::kI32, low, 0xff)), 1);
    return negate ? odd : emit(IrOp::kEqz, Type::kI32, odd);
  }
  if (c == kE || c == kS) {
    const Value r = result();
    if (flags_.op == FlagOp::kSub && c == kE) return test(IrOp::kEq, IrOp::kNe, flags_.a, flags_.b);
    return c == kE ? test(IrOp::kEq, IrOp::kNe, r, zero) : test(IrOp::kLtS, IrOp::kGeS, r, zero);
  }
  switch (flags_.op) {
    case FlagOp::kSub:
      if (c == kB) return test(IrOp::kLtU, IrOp::kGeU, flags_.a, flags_.b);
      if (c == kBE) return test(IrOp::kLeU, IrOp::kGtU, flags_.a, flags_.b);
      if (c == kL) return test(IrOp::kLtS, IrOp::kGeS, flags_.a, flags_.b);
      if (c == kLE) return test(IrOp::kLeS, IrOp::kGtS, flags_.a, flags_.b);
      return 0;
    case FlagOp::kLogic:
      if (c == kO || c == kB) return fixed(false);
      if (c == kBE) return test(IrOp::kEq, IrOp::kNe, flags_.a, zero);
      if (c == kL) return test(IrOp::kLtS, IrOp::kGeS, flags_.a, zero);
      return test(IrOp::kLeS, IrOp::kGtS, flags_.a, zero);
    case FlagOp::kAdd:
      if (c == kB) return test(IrOp::kLtU, IrOp::kGeU, result(), flags_.a);
      return 0;
    case FlagOp::kInc:
    case FlagOp::kDec:
      if (c == kB) return bit(flags_.b);
      return 0;
    case FlagOp::kMul:
      if (c == kB || c == kO) return bit(flags_.b);
      return 0;
    case FlagOp::kDouble:
      if (c == kB) return bit(bin_c(IrOp::kAnd, type_of(flags_.b), flags_.b, 1));
      return 0;
    default: return 0;
  }
}

void Lifter::flags_to_cpu() {
  if (flags_.known && flags_.op == FlagOp::kCpu) return;
  emit(IrOp::kCommitFlags, word_, flag_variable(), get(kVarFlagA), get(kVarFlagB));
  emit(IrOp::kSet, Type::kI32, c32(0), 0, 0, kVarFlagKind);
  flags_ = Flags{};
  flags_.known = true;
}

bool Lifter::flags_dead_after() const { return flags_dead_from(*block_, guest_ + 1u, kBlocksAhead); }

// Whether every flag is written from an instruction of a block on, or in the blocks that it jumps to, before anything
// can read it or leave.
bool Lifter::flags_dead_from(const IrBlock& b, u32 first, unsigned blocks) const {
  for (u32 k = first; k < b.insn_count; k++) {
    const Insn& i = unit_.insns[b.first_insn + k];
    if (i.flags & kInsnMem) return false;
    switch (i.op) {
      // clang-format off
#define REGISTERS(ID) case OP_##ID##_rd: case OP_##ID##_rq
      REGISTERS(ADD_EvGv): REGISTERS(ADD_GvEv): REGISTERS(ADD_EvIz): REGISTERS(ADD_EvIbs): REGISTERS(SUB_EvGv):
      REGISTERS(SUB_GvEv): REGISTERS(SUB_EvIz): REGISTERS(SUB_EvIbs): REGISTERS(AND_EvGv): REGISTERS(AND_GvEv):
      REGISTERS(AND_EvIz): REGISTERS(AND_EvIbs): REGISTERS(OR_EvGv): REGISTERS(OR_GvEv): REGISTERS(XOR_EvGv):
      REGISTERS(XOR_GvEv): REGISTERS(CMP_EvGv): REGISTERS(CMP_GvEv): REGISTERS(CMP_EvIz): REGISTERS(CMP_EvIbs):
      REGISTERS(TEST_EvGv):
        return true;
      REGISTERS(MOV_EvGv): REGISTERS(MOV_GvEv): REGISTERS(NOT_Ev): REGISTERS(MOVZX_GvEb): REGISTERS(MOVZX_GvEw):
      case OP_MOV_ZvIv_d: case OP_MOV_ZvIv_q: case OP_BSWAP_Zv_d: case OP_BSWAP_Zv_q: case OP_ROL_EvIb: case OP_ROR_EvIb:
      case OP_JMP_Jb: case OP_JMP_Jz:
        break;
#undef REGISTERS
      // clang-format on
      default : return false;
    }
  }
  if (!blocks || b.term != Term::kJump) return false;
  const IrBlock& next = unit_.blocks[b.succ[0]];
  return !next.checkpoint && flags_dead_from(next, 0, blocks - 1);
}

// ---- blocks --------------------------------------------------------------------------------------

void Lifter::block(u32 n) {
  block_ = &unit_.blocks[n];
  guest_ = 0;
  // The flags are known at the start if every block that control comes from left the same kind; those behind are not
  // lifted yet, and who enters the unit leaves anything.
  flags_ = Flags{};
  const bool entry = std::find(unit_.entries.begin(), unit_.entries.end(), n) != unit_.entries.end();
  bool first = true;
  for (u32 p = 1; p < unit_.blocks.size() && !entry; p++) {
    const IrBlock& from = unit_.blocks[p];
    if (from.succ[0] != n && from.succ[1] != n) continue;
    const Flags& f = flag_out_[p];
    const bool same = p < n && f.known && (first || (flags_.known && f.op == flags_.op && f.size == flags_.size));
    flags_ = same ? f : Flags{};
    first = false;
    if (!same) break;
  }
  flags_.cf = flags_.x = flags_.y = 0;  // values of the other block
  simd_begin_block();
  x87_ = X87{};
  if (flags_.known && flags_.op != FlagOp::kCpu) {
    flags_.a = from_word(get(kVarFlagA), flags_.size);
    flags_.b = from_word(get(kVarFlagB), flags_.size);
  }
  for (u32 k = 0; k < block_->insn_count; k++) {
    insn_ = &unit_.insns[block_->first_insn + k];
    guest_ = static_cast<u16>(k);
    const usize mark = block_->insts.size();
    if (insn() || insn_mmx() || insn_simd() || insn_avx() || insn_x87()) continue;
    block_->insts.resize(mark);
    simd_begin_block();  // the step may change anything
    x87_ = X87{};
    emit(IrOp::kStep, Type::kNone, 0, 0, 0, steps_++);
    flags_ = Flags{};
    flags_.known = true;  // FlagOp::kCpu
  }
  flag_out_[n] = flags_.carry_apart ? Flags{} : flags_;
}

void Lifter::run() {
  for (u32 n = 0; n < unit_.blocks.size(); n++) block(n);
}

bool Lifter::insn() { return insn_control() || insn_int() || insn_bits() || insn_string() || insn_bmi(); }

}  // namespace oriel::jit
