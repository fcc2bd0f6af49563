// What the files of the lifter share: making operations, registers by size, memory operands, flags.
#pragma once

#include "jit/ir/flags.h"
#include "jit/ir/ir.h"
#include "x86/forms.h"

namespace oriel::jit {

class Lifter {
 public:
  explicit Lifter(Unit& unit)
      : unit_(unit), long_(unit.mode == CodeMode::k64), word_(unit.word()), flag_out_(unit.blocks.size()) {}
  void run();

 private:
  // An operand that is read, then perhaps written.
  struct Place {
    Value value = 0;
    Value host = 0;  // memory: its host address
    unsigned size = 0;
    u8 reg = 0;
  };
  // The flags as the last writer in this block left them.
  struct Flags {
    bool known = false;  // the operation is; else it is in the variables
    FlagOp op = FlagOp::kCpu;
    unsigned size = 0;
    Value a = 0, b = 0;
    Value cf = 0;  // the carry alone, where that is known
  };

  // ---- operations ----
  Value emit(IrOp op, Type type, Value a = 0, Value b = 0, Value c = 0, u64 imm = 0, unsigned size = 0);
  Value constant(Type t, u64 v) { return emit(IrOp::kConst, t, 0, 0, 0, t == Type::kI32 ? static_cast<u32>(v) : v); }
  Value c32(u32 v) { return constant(Type::kI32, v); }
  Value bin(IrOp op, Type t, Value a, Value b) { return emit(op, t, a, b); }
  Value bin_c(IrOp op, Type t, Value a, u64 k) { return emit(op, t, a, constant(t, k)); }
  Type type_of(Value v) const { return block_->insts[v].result(); }
  bool is_const(Value v, u64& k) const {
    k = block_->insts[v].imm;
    return block_->insts[v].op == IrOp::kConst;
  }
  static Type type_for(unsigned size) { return size == 3 ? Type::kI64 : Type::kI32; }
  // Conversions between the type of values of a size (i32, or i64 for 8 bytes) and the word of the unit.
  Value to_word(Value v) { return long_ && type_of(v) == Type::kI32 ? emit(IrOp::kExtendU, Type::kI32, v) : v; }
  Value from_word(Value v, unsigned size) { return long_ && size < 3 ? emit(IrOp::kWrap, Type::kI64, v) : v; }
  // The low 8 or 16 bits of an i32, extended; other sizes as they are.
  Value zext(Value v, unsigned size);
  Value sext(Value v, unsigned size);
  // Shifted to the top of the i32, so that comparisons see only the operand's bits.
  Value at_top(Value v, unsigned size);

  // ---- registers ----
  Value get(unsigned var) { return emit(IrOp::kGet, word_, 0, 0, 0, var); }
  Value flag_variable() { return emit(IrOp::kGet, Type::kI32, 0, 0, 0, kVarFlagKind); }
  void set(unsigned var, Value v) { emit(IrOp::kSet, word_, v, 0, 0, var); }
  // `r` is a register number, or for bytes an offset into the register file. The bits above the size are undefined.
  Value reg(u8 r, unsigned size);
  void set_reg(u8 r, Value v, unsigned size);

  // ---- memory ----
  bool address_ok() const;  // whether linear() can make the memory operand's address
  Value effective_address();
  Value linear(bool write, unsigned size);
  Value load(Value lin, unsigned size) { return load_at(emit(IrOp::kProbe, word_, lin, 0, 0, 0, size), size); }
  Value load_at(Value host, unsigned size) { return emit(IrOp::kLoadAt, type_for(size), host, 0, 0, 0, size); }
  Value probe_write(Value lin, unsigned size) { return emit(IrOp::kProbe, word_, lin, 0, 0, 1, size); }
  void store_at(Value host, Value v, unsigned size) { emit(IrOp::kStoreAt, type_for(size), host, v, 0, 0, size); }
  bool memory() const { return insn_->flags & kInsnMem; }
  Value read_e(unsigned size) { return memory() ? load(linear(false, size), size) : reg(insn_->rm, size); }
  Place begin_e(unsigned size);
  void finish(const Place& p, Value v) { p.host ? store_at(p.host, v, p.size) : set_reg(p.reg, v, p.size); }
  Value immediate(unsigned size) { return constant(type_for(size), insn_->imm); }
  void push(Value v, unsigned size);
  Value next_address();  // of the instruction behind this one
  void leave_unless_canonical(Value target);

  // ---- flags ----
  void set_flags(FlagOp op, unsigned size, Value a, Value b);
  void set_flag_variables(Value kind, Value a, Value b);
  Value result();  // of the known flag operation
  Value condition(unsigned cc);
  Value known_condition(unsigned cc);  // 0 where the general way must be taken
  Value carry();
  void flags_to_cpu();
  bool flags_dead_after() const;

  // ---- instructions ----
  void block(u32 n);
  bool insn();  // false: not lifted, tier 0 does it
  bool insn_int();
  bool insn_control();
  bool insn_bits();
  bool rotate(bool right, unsigned size);
  void set_carry_overflow(Value cf, Value of);
  bool bit(bool immediate);
  void binary(IrOp op, const Place& dst, Value src);
  void compare(Value a, Value b, unsigned size);
  void add_carry(bool subtract, const Place& dst, Value src);
  void logic(IrOp op, const Place& dst, Value src);
  void inc_dec(bool dec, const Place& dst);
  bool shift(FlagOp op, unsigned size, bool by_cl);
  void shift_by(FlagOp op, const Place& dst, unsigned n);
  Value shifted(FlagOp op, Value a, Value count, unsigned size);
  void imul(u8 dst, Value a, Value b, unsigned size);
  void multiply(bool is_signed);
  bool divide(bool is_signed);
  Value mul_high(Value a, Value b, bool is_signed);
  void cmov(unsigned cc);
  void setcc(unsigned cc);

  Unit& unit_;
  const bool long_;
  const Type word_;
  std::vector<Flags> flag_out_;  // by block; values hold only in the block itself
  IrBlock* block_ = nullptr;
  const Insn* insn_ = nullptr;
  u16 guest_ = 0;
  u32 steps_ = 0;
  Flags flags_;
};

}  // namespace oriel::jit
