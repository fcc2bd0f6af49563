// The emitter of a unit's function, in two parts: emit.cpp has what leads from block to block, in and out;
// emit_values.cpp the operations of a block.
#pragma once

#include "jit/wasm/emit.h"
#include "jit/wasm/structure.h"
#include "jit/wasm/writer.h"

namespace oriel::jit {

// Locals: the variables by their numbers, then these. `w`: of the unit's word type.
enum Local : u32 {
  kPage = kVarCount,  // w: linear address of the code's page
  kTlb,               // i32: the TLB in force
  kBudget,            // i32: instructions that may still retire
  kExit,              // i32: JitState::exit
  kEntry,             // i32: a TLB entry; where the unit is left, how (Leave)
  kJump,              // i32: offset of an entry of the jump cache
  kAt,                // i32: the number of the entry at which the unit is entered
  kLinear,            // w: the address being looked up; where the unit is left, that of the next instruction
  kFirstTemp,
};

constexpr u32 kPageMask = 0xfff;

class Emitter {
 public:
  Emitter(const Unit& unit, const Addresses& at)
      : u_(unit), at_(at), long_(unit.mode == CodeMode::k64), word_(unit.word()), idom_(immediate_dominators(unit)) {}

  Body run();

 private:
  struct Label {
    enum Kind : u8 {
      kOther,
      kLoopHead,
      kBehind
    } kind;  // kBehind: a branch goes to the block that follows the label's end
    u32 block;
  };
  struct State {  // of a value of the block at hand
    u32 uses = 0;
    s32 local = -1;        // where it is kept, once it is
    bool pending = false;  // pure, not emitted yet
    u64 reads = 0;         // variables that its pending tree reads
  };

  // Sets of variables: whose values their locals have, and of those the ones that Cpu does not have.
  struct Where {
    u64 cached = 0, dirty = 0;
  };
  void find_variables();
  void hold_in_loops(const std::vector<u64>& used, const std::vector<u64>& written);  // by block
  void load(u64 variables);
  void store(u64 variables);
  u32 home(u32 var) const;     // the address of what Cpu or JitState has of it
  void need(u32 var);          // into its local, if it is not there
  void set_variable(u32 var);  // from the stack
  bool joins(u32 b) const { return merge_[b] || loop_[b]; }
  bool same(u32 to) const;  // whether arrive() has nothing to do
  void arrive(u32 to);      // makes the variables be where block `to` wants them
  void settle();            // so that the unit can be left at little cost
  bool holding() const { return !(held_dirty_ & ~where_.cached); }
  u32 way_out();  // the same to leave the unit; the label to go to
  void store_all();
  void zero_upper(u32 count);
  void load_held();
  void reload_state();
  u32 local_of(u64 var) const { return var < kVarXmm ? static_cast<u32>(var) : extra_[var - kVarXmm]; }
  void sync_x87();
  void reload_x87();
  void store_budget();
  void enter();
  void to_page();  // the address on the stack: that of its page
  void page_distance();
  void find_entry();
  void chain();

  void tree(u32 block);
  void within(u32 block, std::vector<u32> behind);
  void branch(u32 from, u32 to);
  bool has_label(u32 from, u32 to) const { return to <= from || merge_[to]; }
  u32 depth_of(u32 from, u32 to) const;
  void push(Label::Kind kind, u32 block = kNoBlock) { labels_.push_back({kind, block}); }
  void pop() { labels_.pop_back(); }
  void leave_tier0_if(const Inst& i);  // what is on the stack is not 0
  void leave(Leave how);
  void terminator(u32 n);
  void enter_blocks();
  void go_to(s64 offset);
  // An `if` that the engine should take for unlikely: it then saves and restores values around calls in there only.
  void unlikely_if(WasmType type = kWasmVoid) {
    hints_.push_back(static_cast<u32>(w_.bytes.size()));
    w_.op(kIf, type);
  }
  void page_address() {  // as an i64
    w_.op(kLocalGet, kPage);
    if (!long_) w_.op(kI64ExtendI32U);
  }

  void block(u32 n);
  void inst(Value v);
  void count_uses();
  void value(Value v);        // onto the stack
  void compute(Value v);      // its operation, operands included
  void keep(Value v);         // computes it into a local
  void flush(u64 variables);  // keeps pending values that read any of them
  u32 new_temp(Type t);
  void release(Value v);
  void carry_of(const Inst& i);
  void probe(const Inst& i);
  u32 host_address(Value v);
  void load_at(const Inst& i);
  void store_at(const Inst& i);
  void fp_slow(const Inst& i);
  void x87(const Inst& i);
  void x87_load_double(const Inst& i);
  void load_fpu(const Inst& i);
  void store_fpu(const Inst& i);

  const Unit& u_;
  const Addresses& at_;
  const bool long_;
  const Type word_;
  const std::vector<u32> idom_;
  Writer w_;
  std::vector<u32> hints_;
  std::vector<Label> labels_;
  usize exit_to_ = 0;  // labels_.size() where kExitTo branches to; 0: nowhere
  std::vector<bool> loop_, merge_;
  std::vector<std::vector<u32>> children_;  // in the dominator tree
  u64 used_ = 0, written_ = 0;              // variables
  Where where_;                             // at the place at hand
  std::vector<Where> entry_;                // where blocks that join() begin
  u64 held_dirty_ = 0;                      // of all of them
  u32 extra_[64 - kVarXmm] = {};            // locals of those from kVarXmm on that are used
  const IrBlock* b_ = nullptr;
  std::vector<State> state_;
  std::vector<Value> pending_;  // those that are, and some that were
  std::vector<Type> temps_;
  std::vector<u32> free_temps_[static_cast<usize>(Type::kSame)];
};

}  // namespace oriel::jit
