// What the files of the lifter share: making operations, registers by size, memory operands, flags.
#pragma once

#include <initializer_list>

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
    // Not as the operation makes it: the carry (which is `cf` then); OF (0: it is).
    bool carry_apart = false;
    Value of = 0;
    Value x = 0, y = 0;  // kCompare: the numbers that were compared
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
  Value get32(unsigned var) { return emit(IrOp::kGet, Type::kI32, 0, 0, 0, var); }
  void set32(unsigned var, Value v) { emit(IrOp::kSet, Type::kI32, v, 0, 0, var); }
  Value flag_variable() { return emit(IrOp::kGet, Type::kI32, 0, 0, 0, kVarFlagKind); }
  void set(unsigned var, Value v) { emit(IrOp::kSet, word_, v, 0, 0, var); }
  // `r` is a register number, or for bytes an offset into the register file. The bits above the size are undefined.
  Value reg(u8 r, unsigned size);
  void set_reg(u8 r, Value v, unsigned size);

  // ---- memory ----
  bool address_ok() const;  // whether linear() can make the memory operand's address
  Value effective_address();
  Value linear(bool write, unsigned size) { return linear_at(effective_address(), write, size); }
  Value linear_at(Value off, bool write, unsigned size);
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
  static constexpr unsigned kBlocksAhead = 3;
  bool flags_dead_after() const;
  bool flags_dead_from(const IrBlock& b, u32 first, unsigned blocks) const;

  Value compared_condition(unsigned cc);

  // ---- SIMD (lift_simd.cpp) ----
  void simd_begin_block();
  bool insn_simd();
  Value vec(IrOp op, Value a, Value b = 0, Value c = 0) { return emit(op, Type::kV128, a, b, c); }
  Value lane(IrOp op, Value v, unsigned k) { return emit(op, Type::kV128, v, 0, 0, k); }
  Value set_lane(IrOp op, Value v, Value x, unsigned k) { return emit(op, Type::kV128, v, x, 0, k); }
  Value v128(u64 low, u64 high);
  Value v128_of32(u32 v) { return v128(u64{v} << 32 | v, u64{v} << 32 | v); }
  Value shuffle(Value a, Value b, const u8 (&lanes)[16]);
  // Elements of `size` (log2 of the bytes); those from 16 >> size on are b's.
  Value shuffle_of(unsigned size, Value a, Value b, std::initializer_list<u8> elements);
  // A register: of AVX the half at hand.
  Value xmm(unsigned r) { return mmx_ ? mm(r) : xmm_half(r, vex_.half); }
  Value xmm_half(unsigned r, unsigned half) { return emit(IrOp::kGet, Type::kV128, 0, 0, 0, kVarXmm + r + 16 * half); }
  void set_xmm(unsigned r, Value v);
  // The first source, which for SSE is the destination; and the destination where for SSE that is the only register.
  unsigned first_register() const { return vex_.on ? insn_->vvvv : insn_->reg; }
  Value first() { return xmm(first_register()); }
  unsigned only_register() const { return vex_.on ? insn_->vvvv : insn_->rm; }
  // The r/m operand: 16 bytes of memory, which tier 0 looks at where they are not aligned, or fewer, zero-extended.
  Value source(bool aligned = true);
  Value source_low(unsigned size);
  Value source_both(unsigned size);
  Value vector_host(bool write, bool aligned);
  unsigned size_y() const { return insn_->osz == 3 ? 3 : 2; }
  void require_alignment(Value lin, unsigned bytes);
  void store(Value v, unsigned size, bool aligned);
  Value shift_count_mask(Value count, unsigned bits);
  bool simd_move();
  bool simd_lanes();
  bool simd_arith();
  bool simd_horizontal();
  bool simd_shift(IrOp op, unsigned bits, bool by_immediate);
  bool simd_shuffle();
  bool simd_widen();
  void simd_test();
  void test_flags(Value common, Value source_alone);
  void simd_call_out();
  bool simd_other();

  // ---- AVX (lift_avx.cpp) ----
  // What an instruction of SSE is lifted as where VEX encodes it: a half after the other. The destination is written
  // behind both, for until then the unit may be left.
  struct Vex {
    bool on = false;
    bool aligned = false;  // an operand in memory must be
    unsigned halves = 1, half = 0;
    Value host = 0;  // of the operand in memory
    int dst = -1;
    Value result[2] = {};
  };
  bool insn_avx();
  bool avx_as_sse();
  bool avx_halves();
  void avx_finish();
  void set_ymm(unsigned r, Value low, Value high);
  Value broadcast(unsigned size);
  bool insn_bmi();

  // ---- floating point (lift_fp.cpp) ----
  struct Fp;  // a format
  bool insn_fp();
  bool fp_arith();
  bool fp_compare();
  bool fp_convert();
  bool fp_other();
  Value number(const Fp& f, u64 bits);
  Value fp_limit(const Fp& f);
  Value no_limit(const Fp& f) { return emit(IrOp::kEqz, Type::kI32, fp_limit(f)); }
  Value either(Value a, Value b) { return !a ? b : !b ? a : bin(IrOp::kOr, Type::kI32, a, b); }
  Value and_then(Value a, Value b) { return emit(IrOp::kAndThen, Type::kI32, a, b); }
  Value fp_low(const Fp& f, unsigned r);
  Value fp_source(const Fp& f, Value src);
  void set_fp_low(const Fp& f, Value v, bool is_plain);
  Value fp_slow(Value condition, Value fast, Value src, u32 result = 0);
  Value extraordinary(const Fp& f, Value r);
  Value denormal(const Fp& f, Value v, bool is_plain);
  Value unordered(const Fp& f, Value x, Value y);
  Value extraordinary_lanes(const Fp& f, Value r);
  Value denormal_lanes(const Fp& f, Value v);
  Value any_lane(const Fp& f, Value mask);
  bool plain_low(const Fp& f, unsigned r) const;
  bool plain(const Fp& f, unsigned r) const;
  void fp_scalar(const Fp& f, IrOp op);
  void fp_packed(const Fp& f, IrOp op);
  void fp_sqrt(const Fp& f, bool packed);
  void fp_extreme(const Fp& f, IrOp op, bool packed);
  void fp_predicate(const Fp& f, bool packed);
  void fp_compare_flags(const Fp& f);
  void fp_round(const Fp& f);
  void from_integer(const Fp& f);
  void to_integer(const Fp& f, bool truncate);
  void fp_call_out(const Fp* f);

  // ---- x87 (lift_x87.cpp) ----
  struct Extended {
    Value m, se;
  };
  struct X87 {
    bool checked = false;
    Value top = 0;                               // TOP's variable at the test
    Value mask_constant = 0, want_constant = 0;  // of the test
    int delta = 0;                               // by how much TOP has moved since
    // By register, from ST(0) at the test on: what is known of the tags, and what the test makes sure of.
    u8 known = 0, valid = 0, need = 0, want = 0;
  };
  bool insn_x87();
  bool x87_insn();
  bool x87_control();
  void x87_check();
  bool x87_require(int i, bool valid);
  void x87_know(int i, bool valid);
  void x87_move_top(int by);
  void x87_push();
  void x87_pop();
  Value st(int i);
  Extended x87_get(int i);
  void x87_put(int i, const Extended& v);
  void x87_note(Value ea);
  Value x87_call(u32 function, u32 what, Value operand);
  Value x87_memory(u32 operand, bool write, Value& ea);
  bool x87_arith_memory(u32 function, u32 variant, u32 operand);
  bool x87_arith(u32 function, u32 variant, int dst, int src, bool pop);
  bool x87_load(u32 operand);
  bool x87_load_constant(u64 m, u32 se);
  bool x87_store(u32 operand, u32 variant, bool pop);
  bool x87_store_register(int i, bool pop);
  bool x87_exchange(int i);
  bool x87_move_if(unsigned cc, int i);
  bool x87_compare(u32 variant, int i, unsigned pops);
  bool x87_compare_memory(u32 operand, bool pop);
  bool x87_compare_flags(u32 variant, int i, bool pop);
  bool x87_unary(u32 variant);
  bool x87_sign(IrOp op, u32 with);
  Value x87_status_word();

  // ---- MMX (lift_mmx.cpp) ----
  bool insn_mmx();
  bool mmx_move();
  bool mmx_shuffle();
  void mmx_enter();
  Value mm(unsigned r);  // its upper half means nothing
  void set_mm(unsigned r, Value v);
  Value mm_source(unsigned size);

  // ---- instructions ----
  void block(u32 n);
  bool insn();  // false: not lifted, tier 0 does it
  bool insn_int();
  bool insn_control();
  bool insn_bits();
  bool insn_string();
  bool string(u32 kind, unsigned size);
  void string_once(u32 kind, unsigned size);
  void string_repeated(u32 kind, unsigned size, bool from_si);
  bool rotate(bool right, unsigned size, bool by_cl);
  Value carry_overflow_kind(Value cf, Value of);
  void set_carry_overflow(Value cf, Value of);
  bool bit(bool immediate);
  bool double_shift(bool left, bool by_cl);
  bool count_bits();
  Value byte_swap(Value v, unsigned size);
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
  bool sse_checked_ = false;  // in this block: SSE raises neither #UD nor #NM
  // What is known of a register in this block.
  struct Xmm {
    Value low64 = 0, low32 = 0;  // its low lane as a number, where there is such a value
    // No denormal is in the low lane, or in any lane: bit 0: of 32, bit 1: of 64 bits.
    u8 plain_low = 0, plain = 0;
  };
  Xmm xmm_[32];  // from 16 on: upper halves
  Xmm& known(unsigned r) { return xmm_[r + 16 * vex_.half]; }
  const Xmm& known(unsigned r) const { return xmm_[r + 16 * vex_.half]; }
  Vex vex_;
  bool avx_checked_ = false;  // in this block
  u32 upper_zero_ = 0;        // registers whose upper halves are known to be 0
  X87 x87_;
  u8 mmx_ = 0;                // while SSE's code makes an MMX instruction: log2 of the bytes of its operand in memory
  bool mmx_checked_ = false;  // in this block
  Value mm_[8] = {};          // registers whose values are known
};

}  // namespace oriel::jit
