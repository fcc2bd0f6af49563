// x87: registers stay in Cpu, TOP and the tags in variables, and arithmetic is a call of tier 0's, with a register and
// an operand. Instructions that may fail by the state alone (CR0, a pending exception, an empty or a full stack) share
// one test at the first of them in a block. SDM Vol. 1, chapter 8; Vol. 2.
#include "jit/cpu_layout.h"
#include "jit/ir/x87.h"
#include "jit/lift/lifter.h"
#include "jit/wasm/emit.h"

namespace oriel::jit {

namespace {
constexpr u64 kIntegerBit = u64{1} << 63;
}

// ---- the stack -----------------------------------------------------------------------------------

// TOP in units of 16 and the tags relative to it; the constants of the test are known when the block is.
void Lifter::x87_check() {
  if (x87_.checked) return;
  x87_ = X87{};
  x87_.checked = true;
  x87_.top = get32(kVarX87Top);
  x87_.mask_constant = c32(0);
  x87_.want_constant = c32(0);
  const Value tags = bin(IrOp::kAnd, Type::kI32, get32(kVarX87Tags), x87_.mask_constant);
  emit(IrOp::kLeaveIf, Type::kI32, either(bin(IrOp::kXor, Type::kI32, tags, x87_.want_constant), get32(kVarX87Off)));
}

// False: the stack is known to be otherwise.
bool Lifter::x87_require(int i, bool valid) {
  const u8 bit = static_cast<u8>(1u << ((x87_.delta + i) & 7));
  if (x87_.known & bit) return valid == ((x87_.valid & bit) != 0);
  x87_.known |= bit;
  x87_.need |= bit;
  if (!valid) return true;
  x87_.valid |= bit;
  x87_.want |= bit;
  return true;
}

void Lifter::x87_know(int i, bool valid) {
  const u8 bit = static_cast<u8>(1u << ((x87_.delta + i) & 7));
  x87_.known |= bit;
  x87_.valid = static_cast<u8>(valid ? x87_.valid | bit : x87_.valid & ~bit);
}

void Lifter::x87_move_top(int by) {
  x87_.delta += by;
  set32(kVarX87Top, bin_c(IrOp::kAdd, Type::kI32, x87_.top, static_cast<u64>(static_cast<s64>(16 * x87_.delta))));
}

void Lifter::x87_push() {
  x87_move_top(-1);
  x87_know(0, true);
  const Value up = bin_c(IrOp::kShl, Type::kI32, get32(kVarX87Tags), 1);
  set32(kVarX87Tags, bin_c(IrOp::kAnd, Type::kI32, bin_c(IrOp::kOr, Type::kI32, up, 1), 0xff));
}

void Lifter::x87_pop() {
  x87_know(0, false);
  x87_move_top(1);
  set32(kVarX87Tags, bin_c(IrOp::kShrU, Type::kI32, get32(kVarX87Tags), 1));
}

// ST(i), by its offset from the registers.
Value Lifter::st(int i) {
  const int by = 16 * (x87_.delta + i);
  const Value at = by ? bin_c(IrOp::kAdd, Type::kI32, x87_.top, static_cast<u64>(static_cast<s64>(by))) : x87_.top;
  return bin_c(IrOp::kAnd, Type::kI32, at, 0x70);
}

Lifter::Extended Lifter::x87_get(int i) {
  const Value at = st(i);
  return {emit(IrOp::kLoadFpu, Type::kI64, at, 0, 0, 0), emit(IrOp::kLoadFpu, Type::kI32, at, 0, 0, 8)};
}

void Lifter::x87_put(int i, const Extended& v) {
  const Value at = st(i);
  emit(IrOp::kStoreFpu, Type::kI64, at, v.m, 0, 0);
  emit(IrOp::kStoreFpu, Type::kI32, at, v.se, 0, 8);
}

// The last-instruction pointers; `ea`: the memory operand's offset.
void Lifter::x87_note(Value ea) {
  const Insn& i = *insn_;
  const u32 fop = static_cast<u32>(i.opcode & 7) << 8 | i.modrm;
  set32(kVarX87Last, c32(u32{1} << 31 | u32{i.off} << kX87OffShift | fop));
  if (unit_.pages.size() > 1) set32(kVarX87Page, c32(static_cast<u32>(unit_.pages[block_->page].at >> 12)));
  if (!ea) return;
  set(kVarX87Ea, ea);
  set32(kVarX87Seg, c32(static_cast<u32>(kSegOffset + i.seg * sizeof(SegCache) + offsetof(SegCache, sel))));
}

Value Lifter::x87_call(u32 function, u32 what, Value operand) {
  return emit(IrOp::kX87, Type::kI32, st(0), operand, 0, function | what << kX87WhatShift);
}

// ---- instructions --------------------------------------------------------------------------------

namespace {
unsigned bytes_log2(u32 operand) {
  switch (operand) {
    case kX87I16: return 1;
    case kX87F32:
    case kX87I32: return 2;
    case kX87F80: return 4;  // of the 16 bytes that are looked up ten are used
    default: return 3;
  }
}
}  // namespace

// Operands in memory: their host address.
Value Lifter::x87_memory(u32 operand, bool write, Value& ea) {
  ea = effective_address();
  const unsigned size = bytes_log2(operand);
  return emit(IrOp::kProbe, word_, linear_at(ea, write, size), 0, 0, write, size);
}

// ST(0) = ST(0) op memory
bool Lifter::x87_arith_memory(u32 function, u32 variant, u32 operand) {
  if (!x87_require(0, true)) return false;
  Value ea;
  const Value host = x87_memory(operand, false, ea);
  set32(kVarX87C1, x87_call(function, operand | variant << kX87VariantShift, host));
  x87_note(ea);
  return true;
}

// ST(dst) = ST(dst) op ST(src)
bool Lifter::x87_arith(u32 function, u32 variant, int dst, int src, bool pop) {
  if (!x87_require(dst, true) || !x87_require(src, true)) return false;
  const Value r = emit(IrOp::kX87, Type::kI32, st(dst), st(src), 0,
                       function | (kX87Reg | variant << kX87VariantShift) << kX87WhatShift);
  set32(kVarX87C1, r);
  if (pop) x87_pop();
  x87_note(0);
  return true;
}

bool Lifter::x87_load(u32 operand) {
  if (!x87_require(7, false)) return false;
  Value ea;
  const Value host = x87_memory(operand, false, ea);
  emit(IrOp::kX87, Type::kI32, st(-1), host, 0, kImportX87Load | operand << kX87WhatShift);
  set32(kVarX87C1, c32(0));
  x87_push();
  x87_note(ea);
  return true;
}

bool Lifter::x87_load_constant(u64 m, u32 se) {
  if (!x87_require(7, false)) return false;
  x87_put(-1, {constant(Type::kI64, m), c32(se)});
  set32(kVarX87C1, c32(0));
  x87_push();
  x87_note(0);
  return true;
}

bool Lifter::x87_store(u32 operand, u32 variant, bool pop) {
  if (!x87_require(0, true)) return false;
  Value ea;
  const Value host = x87_memory(operand, true, ea);
  set32(kVarX87C1, x87_call(kImportX87Store, operand | variant << kX87VariantShift, host));
  if (pop) x87_pop();
  x87_note(ea);
  return true;
}

bool Lifter::x87_store_register(int i, bool pop) {
  if (!x87_require(0, true)) return false;
  if (i) {
    x87_put(i, x87_get(0));
    x87_know(i, true);
    set32(kVarX87Tags, bin_c(IrOp::kOr, Type::kI32, get32(kVarX87Tags), u64{1} << i));
  }
  set32(kVarX87C1, c32(0));
  if (pop) x87_pop();
  x87_note(0);
  return true;
}

bool Lifter::x87_exchange(int i) {
  if (!x87_require(0, true) || !x87_require(i, true)) return false;
  if (i) {
    const Extended a = x87_get(0), b = x87_get(i);
    x87_put(0, b);
    x87_put(i, a);
  }
  set32(kVarX87C1, c32(0));
  x87_note(0);
  return true;
}

bool Lifter::x87_move_if(unsigned cc, int i) {
  if (!x87_require(0, true) || !x87_require(i, true)) return false;
  const Value take = condition(cc);
  const Extended a = x87_get(0), b = x87_get(i);
  x87_put(0, {emit(IrOp::kSelect, Type::kI64, b.m, a.m, take), emit(IrOp::kSelect, Type::kI32, b.se, a.se, take)});
  x87_note(0);
  return true;
}

// Comparisons, to the condition codes.
bool Lifter::x87_compare(u32 variant, int i, unsigned pops) {
  if (!x87_require(0, true) || !x87_require(i, true)) return false;
  set32(kVarX87Cc, x87_call(kImportX87Compare, kX87Reg | variant << kX87VariantShift, st(i)));
  set32(kVarX87C1, c32(0));
  for (; pops; pops--) x87_pop();
  x87_note(0);
  return true;
}

bool Lifter::x87_compare_memory(u32 operand, bool pop) {
  if (!x87_require(0, true)) return false;
  Value ea;
  const Value host = x87_memory(operand, false, ea);
  set32(kVarX87Cc, x87_call(kImportX87Compare, operand | kX87Compare << kX87VariantShift, host));
  set32(kVarX87C1, c32(0));
  if (pop) x87_pop();
  x87_note(ea);
  return true;
}

// And to the flags.
bool Lifter::x87_compare_flags(u32 variant, int i, bool pop) {
  if (!x87_require(0, true) || !x87_require(i, true)) return false;
  const Value r = x87_call(kImportX87Compare, kX87Reg | variant << kX87VariantShift, st(i));
  auto bit = [&](unsigned n) { return bin_c(IrOp::kAnd, Type::kI32, bin_c(IrOp::kShrU, Type::kI32, r, n), 1); };
  set_flags(FlagOp::kCompare, 2, bit(8), bit(14));
  set32(kVarX87C1, c32(0));
  if (pop) x87_pop();
  x87_note(0);
  return true;
}

bool Lifter::x87_unary(u32 variant) {
  if (!x87_require(0, true)) return false;
  const Value r = x87_call(kImportX87Compare, kX87Reg | variant << kX87VariantShift, st(0));
  if (variant == kX87Test || variant == kX87Examine)
    set32(kVarX87Cc, bin_c(IrOp::kAnd, Type::kI32, r, kX87C0 | kX87C2 | kX87C3));
  set32(kVarX87C1, bin_c(IrOp::kAnd, Type::kI32, r, kX87C1));
  x87_note(0);
  return true;
}

bool Lifter::x87_sign(IrOp op, u32 with) {
  if (!x87_require(0, true)) return false;
  const Value at = st(0);
  const Value se = emit(IrOp::kLoadFpu, Type::kI32, at, 0, 0, 8);
  emit(IrOp::kStoreFpu, Type::kI32, at, bin_c(op, Type::kI32, se, with), 0, 8);
  set32(kVarX87C1, c32(0));
  x87_note(0);
  return true;
}

Value Lifter::x87_status_word() {
  const Value sw = bin_c(IrOp::kAnd, Type::kI32,
                         emit(IrOp::kLoadState, Type::kI32, 0, 0, 0, kFpuOffset + offsetof(Fpu, sw)), 0x80ff);
  const Value top = bin_c(IrOp::kShl, Type::kI32, bin_c(IrOp::kAnd, Type::kI32, get32(kVarX87Top), 0x70), 7);
  return either(either(sw, top), either(get32(kVarX87Cc), get32(kVarX87C1)));
}

bool Lifter::x87_control() {
  const Insn& i = *insn_;
  const int rm = i.rm & 7;
  switch (i.op) {
    case OP_FNSTSW_AX: set_reg(kRAX, x87_status_word(), 1); return true;
    case OP_FNSTSW_Mw: {
      const Value host = probe_write(linear(true, 1), 1);
      store_at(host, x87_status_word(), 1);
      return true;
    }
    case OP_FNSTCW: {
      const Value host = probe_write(linear(true, 1), 1);
      store_at(host, emit(IrOp::kLoadState, Type::kI32, 0, 0, 0, kFpuOffset + offsetof(Fpu, cw)), 1);
      return true;
    }
    case OP_FLDCW:
      x87_call(kImportX87Compare, kX87I16 | kX87LoadControl << kX87VariantShift,
               emit(IrOp::kProbe, word_, linear(false, 1), 0, 0, 0, 1));
      return true;
    case OP_FWAIT: return true;
    case OP_FNOP: x87_note(0); return true;
    case OP_FINCSTP:
    case OP_FDECSTP: {
      const bool inc = i.op == OP_FINCSTP;
      const Value t = get32(kVarX87Tags);
      const Value one = bin_c(inc ? IrOp::kShrU : IrOp::kShl, Type::kI32, t, 1);
      const Value other = bin_c(inc ? IrOp::kShl : IrOp::kShrU, Type::kI32, t, 7);
      set32(kVarX87Tags, bin_c(IrOp::kAnd, Type::kI32, either(one, other), 0xff));
      x87_move_top(inc ? 1 : -1);
      set32(kVarX87C1, c32(0));
      x87_note(0);
      return true;
    }
    case OP_FFREE:
    case OP_FFREEP:
      set32(kVarX87Tags, bin_c(IrOp::kAnd, Type::kI32, get32(kVarX87Tags), ~(u64{1} << rm) & 0xff));
      x87_know(rm, false);
      set32(kVarX87C1, c32(0));
      if (i.op == OP_FFREEP) x87_pop();
      x87_note(0);
      return true;
    default: return false;
  }
}

bool Lifter::x87_insn() {
  const int i = insn_->rm & 7;
  switch (insn_->op) {
    // clang-format off
#define ARITH(NAME, FUNCTION, VARIANT)                                                                      \
    case OP_F##NAME##_Mfd: return x87_arith_memory(FUNCTION, VARIANT, kX87F32);                             \
    case OP_F##NAME##_Mfq: return x87_arith_memory(FUNCTION, VARIANT, kX87F64);                             \
    case OP_FI##NAME##_Md: return x87_arith_memory(FUNCTION, VARIANT, kX87I32);                             \
    case OP_FI##NAME##_Mw: return x87_arith_memory(FUNCTION, VARIANT, kX87I16);                             \
    case OP_F##NAME##_ST0STi: return x87_arith(FUNCTION, VARIANT, 0, i, false);                             \
    case OP_F##NAME##_STiST0: return x87_arith(FUNCTION, VARIANT, i, 0, false);                             \
    case OP_F##NAME##P: return x87_arith(FUNCTION, VARIANT, i, 0, true);
    ARITH(ADD, kImportX87Add, kX87Add)
    ARITH(SUB, kImportX87Add, kX87Sub)
    ARITH(SUBR, kImportX87Add, kX87Sub | kX87Reversed)
    ARITH(MUL, kImportX87Mul, 0)
    ARITH(DIV, kImportX87Div, 0)
    ARITH(DIVR, kImportX87Div, kX87Reversed)
#undef ARITH
    case OP_FLD_Mfd: return x87_load(kX87F32);
    case OP_FLD_Mfq: return x87_load(kX87F64);
    case OP_FLD_Mft: return x87_load(kX87F80);
    case OP_FILD_Mw: return x87_load(kX87I16);
    case OP_FILD_Md: return x87_load(kX87I32);
    case OP_FILD_Mq: return x87_load(kX87I64);
    case OP_FLD1: return x87_load_constant(kIntegerBit, 0x3fff);
    case OP_FLDZ: return x87_load_constant(0, 0);
    case OP_FLD_STi: {
      if (!x87_require(i, true) || !x87_require(7, false)) return false;
      x87_put(-1, x87_get(i));
      set32(kVarX87C1, c32(0));
      x87_push();
      x87_note(0);
      return true;
    }
    case OP_FST_Mfd: return x87_store(kX87F32, 0, false);
    case OP_FSTP_Mfd: return x87_store(kX87F32, 0, true);
    case OP_FST_Mfq: return x87_store(kX87F64, 0, false);
    case OP_FSTP_Mfq: return x87_store(kX87F64, 0, true);
    case OP_FSTP_Mft: return x87_store(kX87F80, 0, true);
    case OP_FIST_Mw: return x87_store(kX87I16, 0, false);
    case OP_FIST_Md: return x87_store(kX87I32, 0, false);
    case OP_FISTP_Mw: return x87_store(kX87I16, 0, true);
    case OP_FISTP_Md: return x87_store(kX87I32, 0, true);
    case OP_FISTP_Mq: return x87_store(kX87I64, 0, true);
    case OP_FISTTP_Mw: return x87_store(kX87I16, kX87Truncate, true);
    case OP_FISTTP_Md: return x87_store(kX87I32, kX87Truncate, true);
    case OP_FISTTP_Mq: return x87_store(kX87I64, kX87Truncate, true);
    case OP_FST_STi: return x87_store_register(i, false);
    case OP_FSTP_STi: case OP_FSTP8: case OP_FSTP9: return x87_store_register(i, true);
    case OP_FXCH: case OP_FXCH4: case OP_FXCH7: return x87_exchange(i);
    case OP_FCMOVB: return x87_move_if(2, i);
    case OP_FCMOVNB: return x87_move_if(3, i);
    case OP_FCMOVE: return x87_move_if(4, i);
    case OP_FCMOVNE: return x87_move_if(5, i);
    case OP_FCMOVBE: return x87_move_if(6, i);
    case OP_FCMOVNBE: return x87_move_if(7, i);
    case OP_FCMOVU: return x87_move_if(10, i);
    case OP_FCMOVNU: return x87_move_if(11, i);
    case OP_FCOM_Mfd: return x87_compare_memory(kX87F32, false);
    case OP_FCOMP_Mfd: return x87_compare_memory(kX87F32, true);
    case OP_FCOM_Mfq: return x87_compare_memory(kX87F64, false);
    case OP_FCOMP_Mfq: return x87_compare_memory(kX87F64, true);
    case OP_FICOM_Md: return x87_compare_memory(kX87I32, false);
    case OP_FICOMP_Md: return x87_compare_memory(kX87I32, true);
    case OP_FICOM_Mw: return x87_compare_memory(kX87I16, false);
    case OP_FICOMP_Mw: return x87_compare_memory(kX87I16, true);
    case OP_FCOM_STi: case OP_FCOM2_STi: return x87_compare(kX87Compare, i, 0);
    case OP_FCOMP_STi: case OP_FCOMP3_STi: case OP_FCOMP5_STi: return x87_compare(kX87Compare, i, 1);
    case OP_FCOMPP: return x87_compare(kX87Compare, 1, 2);
    case OP_FUCOM: return x87_compare(kX87CompareQuiet, i, 0);
    case OP_FUCOMP: return x87_compare(kX87CompareQuiet, i, 1);
    case OP_FUCOMPP: return x87_compare(kX87CompareQuiet, 1, 2);
    case OP_FCOMI: return x87_compare_flags(kX87Compare, i, false);
    case OP_FCOMIP: return x87_compare_flags(kX87Compare, i, true);
    case OP_FUCOMI: return x87_compare_flags(kX87CompareQuiet, i, false);
    case OP_FUCOMIP: return x87_compare_flags(kX87CompareQuiet, i, true);
    case OP_FTST: return x87_unary(kX87Test);
    case OP_FXAM: return x87_unary(kX87Examine);
    case OP_FSQRT: return x87_unary(kX87SquareRoot);
    case OP_FRNDINT: return x87_unary(kX87RoundInt);
    case OP_FCHS: return x87_sign(IrOp::kXor, 0x8000);
    case OP_FABS: return x87_sign(IrOp::kAnd, 0x7fff);
    default: return x87_control();
      // clang-format on
  }
}

bool Lifter::insn_x87() {
  if (!(kForms[form_of(insn_->op)].attrs & F_X87) || (memory() && !address_ok())) return false;
  for (Value& v : mm_) v = 0;
  const X87 before = x87_;
  x87_check();
  if (!x87_insn()) {
    x87_ = before;
    return false;
  }
  block_->insts[x87_.mask_constant].imm = x87_.need;
  block_->insts[x87_.want_constant].imm = x87_.want;
  return true;
}

}  // namespace oriel::jit
