#include "jit/wasm/emit.h"

#include <algorithm>

#include "jit/cpu_layout.h"
#include "jit/ir/flags.h"
#include "jit/wasm/emit_simd.h"
#include "jit/wasm/structure.h"
#include "jit/wasm/writer.h"

namespace oriel::jit {

namespace {

// Locals: the variables by their numbers, then these. `w`: of the unit's word type.
enum Local : u32 {
  kPage = kVarCount,  // w: linear address of the code's page
  kTlb,               // i32: the TLB in force
  kBudget,            // i32: instructions that may still retire
  kExit,              // i32: JitState::exit
  kEntry,             // i32: a TLB entry; where the unit is left, how (Leave)
  kAt,                // i32: the number of the entry at which the unit is entered
  kLinear,            // w: the address being looked up; where the unit is left, that of the next instruction
  kFirstTemp,
};

constexpr u32 kPageMask = 0xfff;
constexpr u64 kFpLimits = u64{1} << kVarFpLimit64 | u64{1} << kVarFpLimit32;

WasmType wasm_type(Type t) {
  switch (t) {
    case Type::kI64: return kWasmI64;
    case Type::kF32: return kWasmF32;
    case Type::kF64: return kWasmF64;
    case Type::kV128: return kWasmV128;
    default: return kWasmI32;
  }
}

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

  void find_variables();
  void sync();          // variables to Cpu
  void reload();        // and back
  void reload_flags();  // the lazy flags, where a unit is entered
  void sync_xmm();
  void reload_sse();    // XMM registers, and what follows from CR0, CR4 and MXCSR
  void reload_state();  // the latter alone
  u32 local_of(u64 var) const { return var < kVarXmm ? static_cast<u32>(var) : extra_[var - kVarXmm]; }
  void store_budget();
  void chain();

  void tree(u32 block);
  void within(u32 block, std::vector<u32> behind);
  void branch(u32 from, u32 to);
  bool has_label(u32 from, u32 to) const { return to <= from || merge_[to]; }
  u32 depth_of(u32 from, u32 to) const;
  void push(Label::Kind kind, u32 block = kNoBlock) { labels_.push_back({kind, block}); }
  void pop() { labels_.pop_back(); }
  void leave_tier0(const Inst& i);
  void leave(Leave how);
  void terminator(u32 n);
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
  void probe(const Inst& i);
  void load_at(const Inst& i);
  void store_at(const Inst& i);
  void fp_slow(const Inst& i);

  const Unit& u_;
  const Addresses& at_;
  const bool long_;
  const Type word_;
  const std::vector<u32> idom_;
  Writer w_;
  std::vector<u32> hints_;
  std::vector<Label> labels_;
  std::vector<bool> loop_, merge_;
  std::vector<std::vector<u32>> children_;  // in the dominator tree
  u64 used_ = 0, written_ = 0;              // variables
  u32 extra_[64 - kVarXmm] = {};            // locals of those from kVarXmm on that are used
  const IrBlock* b_ = nullptr;
  std::vector<State> state_;
  std::vector<Type> temps_;
  std::vector<u32> free_temps_[static_cast<usize>(Type::kSame)];
};

// ---- variables -------------------------------------------------------------------------------------

void Emitter::find_variables() {
  for (const IrBlock& b : u_.blocks)
    for (const Inst& i : b.insts) {
      if (i.op == IrOp::kGet) used_ |= u64{1} << i.imm;
      if (i.op == IrOp::kSet) written_ |= u64{1} << i.imm;
      if (i.op == IrOp::kFpSlow || i.op == IrOp::kFpCheck) used_ |= u64{1} << (kVarXmm + (i.imm >> 32));
    }
  used_ |= written_;
  for (u32 v = kVarXmm; v < 64; v++)
    if (used_ >> v & 1) extra_[v - kVarXmm] = new_temp(v < kVarSseOff ? Type::kV128 : Type::kI32);
}

void Emitter::sync() {
  for (u32 r = 0; r < 16; r++) {
    if (!(written_ >> r & 1)) continue;
    w_.i32(0);
    w_.op(kLocalGet, r);
    if (!long_) w_.op(kI64ExtendI32U);
    w_.memory(kI64Store, 3, at_.gpr + 8 * r);
  }
  sync_xmm();
  if (!(written_ >> kVarFlagKind & 1)) return;
  w_.i32(0);
  w_.op(kLocalGet, kVarFlagKind);
  w_.memory(kI32Store, 2, at_.flag_kind);
  for (u32 v : {kVarFlagA, kVarFlagB}) {
    w_.i32(0);
    w_.op(kLocalGet, v);
    w_.memory(long_ ? kI64Store : kI32Store, long_ ? 3 : 2, v == kVarFlagA ? at_.flag_a : at_.flag_b);
  }
}

void Emitter::reload() {
  for (u32 r = 0; r < 16; r++) {
    if (!(used_ >> r & 1)) continue;
    w_.i32(0);
    w_.memory(long_ ? kI64Load : kI32Load, long_ ? 3 : 2, at_.gpr + 8 * r);
    w_.op(kLocalSet, r);
  }
  reload_sse();
}

void Emitter::reload_flags() {
  if (!(used_ >> kVarFlagKind & 7)) return;
  w_.i32(0);
  w_.memory(kI32Load, 2, at_.flag_kind);
  w_.op(kLocalSet, kVarFlagKind);
  for (u32 v : {kVarFlagA, kVarFlagB}) {
    w_.i32(0);
    w_.memory(long_ ? kI64Load : kI32Load, long_ ? 3 : 2, v == kVarFlagA ? at_.flag_a : at_.flag_b);
    w_.op(kLocalSet, v);
  }
}

void Emitter::sync_xmm() {
  for (u32 r = 0; r < 16; r++) {
    if (!(written_ >> (kVarXmm + r) & 1)) continue;
    w_.i32(0);
    w_.op(kLocalGet, local_of(kVarXmm + r));
    v128_store(w_, 4, at_.cpu + static_cast<u32>(kXmmOffset) + 16 * r);
  }
}

void Emitter::reload_sse() {
  for (u32 r = 0; r < 16; r++) {
    if (!(used_ >> (kVarXmm + r) & 1)) continue;
    w_.i32(0);
    v128_load(w_, 4, at_.cpu + static_cast<u32>(kXmmOffset) + 16 * r);
    w_.op(kLocalSet, local_of(kVarXmm + r));
  }
  reload_state();
}

void Emitter::reload_state() {
  for (u32 v = kVarSseOff; v <= kVarFpLimit32; v++) {
    if (!(used_ >> v & 1)) continue;
    sse_state(w_, v, at_.cpu);
    w_.op(kLocalSet, local_of(v));
  }
}

void Emitter::store_budget() {
  w_.i32(0);
  w_.op(kLocalGet, kBudget);
  w_.memory(kI32Store, 2, at_.budget);
}

// ---- control flow ----------------------------------------------------------------------------------
// Norman Ramsey, "Beyond Relooper: Recursive Translation of Unstructured Control Flow to Structured Control Flow"
// (2022).

Body Emitter::run() {
  const usize n = u_.blocks.size();
  loop_.resize(n);
  merge_.resize(n);
  children_.resize(n);
  std::vector<u32> forward(n);
  if (u_.dispatches())
    for (u32 e : u_.entries) merge_[e] = true;
  for (u32 b = 0; b < n; b++) {
    for (u32 s : u_.blocks[b].succ) {
      if (s == kNoBlock) continue;
      if (s <= b)
        loop_[s] = true;
      else if (++forward[s] >= 2)
        merge_[s] = true;
    }
    if (b) children_[idom_[b]].push_back(b);
  }
  find_variables();

  reload();
  reload_flags();
  w_.i32(0);
  w_.memory(long_ ? kI64Load : kI32Load, long_ ? 3 : 2, at_.rip);
  if (long_) {
    w_.i64(~u64{kPageMask});
    w_.op(kI64And);
  } else {
    w_.i32(~kPageMask);
    w_.op(kI32And);
  }
  w_.op(kLocalSet, kPage);
  if (u_.dispatches()) {
    w_.i32(0);
    w_.memory(kI32Load, 2, at_.entry);
    w_.i32((1u << kSlotShift) - 1);
    w_.op(kI32And);
    w_.op(kLocalSet, kAt);
  }
  w_.i32(0);
  w_.memory(kI32Load, 2, at_.tlb);
  w_.op(kLocalSet, kTlb);
  w_.i32(0);
  w_.memory(kI32Load, 2, at_.budget);
  w_.op(kLocalSet, kBudget);

  // Two blocks around everything: the ends of the outer and of the inner one are where the unit is left (leave() and
  // leave_tier0()), one copy of that code for all.
  for (int k = 0; k < 2; k++) {
    w_.op(kBlock, kWasmVoid);
    push(Label::kOther);
  }
  tree(0);
  pop();
  w_.op(kEnd);
  w_.i32(0);
  w_.op(kLocalGet, kExit);
  w_.memory(kI32Store, 2, at_.exit);
  w_.i32(0);
  page_address();
  w_.memory(kI64Store, 3, at_.page);
  w_.i32(kLeaveTier0);
  w_.op(kLocalSet, kEntry);
  pop();
  w_.op(kEnd);
  sync();
  store_budget();
  chain();
  w_.op(kLocalGet, kEntry);
  w_.op(kEnd);

  Writer body;
  auto words = [&](unsigned count) {
    body.uleb(count);
    body.u8_(long_ ? kWasmI64 : kWasmI32);
  };
  auto ints = [&](unsigned count) {
    body.uleb(count);
    body.u8_(kWasmI32);
  };
  body.uleb(5 + temps_.size());
  words(16);
  ints(1);   // flag kind
  words(3);  // flag operands, page
  ints(5);   // TLB, budget, exit, entry, at
  words(1);  // linear address
  for (Type t : temps_) {
    body.uleb(1);
    body.u8_(wasm_type(t));
  }
  for (u32& hint : hints_) hint += static_cast<u32>(body.bytes.size());
  body.append(w_.bytes);
  return {std::move(body.bytes), std::move(hints_)};
}

void Emitter::tree(u32 n) {
  std::vector<u32> behind;
  for (u32 c : children_[n])
    if (merge_[c]) behind.push_back(c);
  if (!loop_[n]) return within(n, std::move(behind));
  w_.op(kLoop, kWasmVoid);
  push(Label::kLoopHead, n);
  within(n, std::move(behind));
  pop();
  w_.op(kEnd);
  w_.op(kUnreachable);
}

// `behind`: the blocks, ascending, whose code follows that of `n`.
void Emitter::within(u32 n, std::vector<u32> behind) {
  if (behind.empty()) {
    block(n);
    return terminator(n);
  }
  const u32 last = behind.back();
  behind.pop_back();
  w_.op(kBlock, kWasmVoid);
  push(Label::kBehind, last);
  within(n, std::move(behind));
  pop();
  w_.op(kEnd);
  tree(last);
}

u32 Emitter::depth_of(u32 from, u32 to) const {
  const Label::Kind kind = to <= from ? Label::kLoopHead : Label::kBehind;
  for (usize d = 0; d < labels_.size(); d++) {
    const Label& l = labels_[labels_.size() - 1 - d];
    if (l.kind == kind && l.block == to) return static_cast<u32>(d);
  }
  __builtin_trap();  // the graph was not reducible
}

void Emitter::branch(u32 from, u32 to) {
  if (has_label(from, to))
    w_.op(kBr, depth_of(from, to));
  else
    tree(to);
}

void Emitter::leave(Leave how) {
  w_.i32(how);
  w_.op(kLocalSet, kEntry);
  w_.op(kBr, labels_.size() - 1);
}

void Emitter::leave_tier0(const Inst& i) {
  w_.i32(static_cast<u32>(i.guest) << kExitShift | u_.insns[b_->first_insn + i.guest].off);
  w_.op(kLocalSet, kExit);
  w_.op(kBr, labels_.size() - 2);
}

// The instruction at an offset from the page is the next.
void Emitter::go_to(s64 offset) {
  w_.op(kLocalGet, kPage);
  if (long_) {
    w_.i64(static_cast<u64>(offset));
    w_.op(kI64Add);
  } else {
    w_.i32(static_cast<u32>(offset));
    w_.op(kI32Add);
  }
  w_.op(kLocalSet, kLinear);
}

// Behind everything else: where control goes on elsewhere, rip; and if it may go there by itself, on to it.
void Emitter::chain() {
  w_.op(kLocalGet, kEntry);
  w_.i32(kLeaveTier0);
  w_.op(kI32Ne);
  w_.op(kIf, kWasmVoid);
  w_.i32(0);
  w_.op(kLocalGet, kLinear);
  if (!long_) w_.op(kI64ExtendI32U);
  w_.memory(kI64Store, 3, at_.rip);
  w_.op(kEnd);
  if (!at_.jumps) return;
  w_.op(kLocalGet, kEntry);
  w_.op(kI32Eqz);
  w_.op(kIf, kWasmVoid);
  w_.op(kLocalGet, kLinear);
  if (!long_) w_.op(kI64ExtendI32U);
  w_.op(kReturnCall, kImportGo);
  w_.op(kEnd);
}

void Emitter::terminator(u32 n) {
  const IrBlock& b = u_.blocks[n];
  if (b.insn_count) {
    w_.op(kLocalGet, kBudget);
    w_.i32(b.insn_count);
    w_.op(kI32Sub);
    w_.op(kLocalSet, kBudget);
  }
  switch (b.term) {
    case Term::kEnter:
      if (!u_.dispatches()) return branch(n, u_.entries[0]);
      w_.op(kLocalGet, kAt);
      w_.op(kBrTable, u_.entries.size() - 1);
      for (u32 e : u_.entries) w_.uleb(depth_of(n, e));
      return;
    case Term::kReenter:
      w_.i32(static_cast<u32>(b.offset));
      w_.op(kLocalSet, kAt);
      return w_.op(kBr, depth_of(n, 0));
    case Term::kJump: return branch(n, b.succ[0]);
    case Term::kBranch:
      value(b.value);
      for (unsigned k : {0, 1}) {
        if (!has_label(n, b.succ[k])) continue;
        if (k == 1) w_.op(kI32Eqz);
        w_.op(kBrIf, depth_of(n, b.succ[k]));
        return branch(n, b.succ[1 - k]);
      }
      w_.op(kIf, kWasmVoid);
      push(Label::kOther);
      branch(n, b.succ[0]);
      w_.op(kElse);
      branch(n, b.succ[1]);
      pop();
      w_.op(kEnd);
      w_.op(kUnreachable);
      return;
    case Term::kExit: go_to(b.offset); return leave(kLeaveGo);
    case Term::kExitTo:
      value(b.value);
      w_.op(kLocalSet, kLinear);
      return leave(kLeaveGo);
  }
}

// ---- blocks ----------------------------------------------------------------------------------------

void Emitter::count_uses() {
  const auto& insts = b_->insts;
  state_.assign(insts.size(), State{});
  if (b_->value) state_[b_->value].uses++;
  for (usize n = insts.size(); n-- > 1;) {
    const Inst& i = insts[n];
    const bool needed = state_[n].uses || !(info(i.op).flags & kPure);
    if (!needed || i.op == IrOp::kNop) continue;
    const Value operands[3] = {i.a, i.b, i.c};
    for (unsigned k = 0; k < info(i.op).arity; k++) state_[operands[k]].uses++;
  }
}

void Emitter::block(u32 n) {
  b_ = &u_.blocks[n];
  if (b_->checkpoint && b_->longest_path) {
    w_.op(kLocalGet, kBudget);
    w_.i32(b_->longest_path);
    w_.op(kI32LtS);
    unlikely_if();
    push(Label::kOther);
    go_to(u_.insns[b_->first_insn].off);
    leave(kLeaveBudget);
    pop();
    w_.op(kEnd);
  }
  count_uses();
  for (Value v = 1; v < b_->insts.size(); v++) inst(v);
  // What the terminator needs is kept in locals or still pending; nothing changes a variable before it is used.
}

u32 Emitter::new_temp(Type t) {
  auto& free = free_temps_[static_cast<usize>(t)];
  if (!free.empty()) {
    const u32 l = free.back();
    free.pop_back();
    return l;
  }
  temps_.push_back(t);
  return kFirstTemp + static_cast<u32>(temps_.size()) - 1;
}

void Emitter::release(Value v) {
  State& s = state_[v];
  if (--s.uses == 0 && s.local >= 0)
    free_temps_[static_cast<usize>(b_->insts[v].result())].push_back(static_cast<u32>(s.local));
}

void Emitter::keep(Value v) {
  compute(v);
  const u32 l = new_temp(b_->insts[v].result());
  w_.op(kLocalSet, l);
  state_[v].local = static_cast<s32>(l);
  state_[v].pending = false;
}

void Emitter::flush(u64 variables) {
  for (Value v = 1; v < state_.size(); v++)
    if (state_[v].pending && (state_[v].reads & variables)) keep(v);
}

void Emitter::inst(Value v) {
  const Inst& i = b_->insts[v];
  const IrOpInfo& o = info(i.op);
  State& s = state_[v];
  switch (i.op) {
    case IrOp::kNop: return;
    case IrOp::kSet:
      value(i.a);
      // Values that read the old one, after the operand's own tree: they are on the stack's side, in locals.
      flush(u64{1} << i.imm);
      w_.op(kLocalSet, local_of(i.imm));
      return;
    case IrOp::kProbe: probe(i); break;
    case IrOp::kLoadAt: load_at(i); break;
    case IrOp::kStoreAt: return store_at(i);
    case IrOp::kFpSlow:
    case IrOp::kFpCheck:
      fp_slow(i);
      if (i.op == IrOp::kFpCheck) return;
      break;
    case IrOp::kLeaveIf:
      value(i.a);
      unlikely_if();
      push(Label::kOther);
      leave_tier0(i);
      pop();
      w_.op(kEnd);
      return;
    case IrOp::kStep:
      flush(~u64{0});
      sync();
      store_budget();
      w_.i32(at_.sites + static_cast<u32>(i.imm) * at_.site_bytes);
      page_address();
      w_.op(kCallOp, kImportStep);
      unlikely_if();
      w_.i32(kLeaveStep);
      w_.op(kReturn);
      w_.op(kEnd);
      reload();
      w_.i32(0);  // FlagOp::kCpu
      w_.op(kLocalSet, kVarFlagKind);
      return;
    case IrOp::kLoadState:
      w_.i32(0);
      if (i.type == Type::kI64)
        w_.memory(kI64Load, 3, at_.cpu + static_cast<u32>(i.imm));
      else
        w_.memory(kI32Load, 2, at_.cpu + static_cast<u32>(i.imm));
      break;
    case IrOp::kCommitFlags:
      value(i.a);
      for (Value operand : {i.b, i.c}) {
        value(operand);
        if (!long_) w_.op(kI64ExtendI32U);
      }
      w_.op(kCallOp, kImportCommit);
      w_.op(kDrop);
      return;
    case IrOp::kStoreState:
      w_.i32(0);
      value(i.a);
      w_.memory(kI64Store, 3, at_.cpu + static_cast<u32>(i.imm));
      return;
    case IrOp::kStoreState32:
      w_.i32(0);
      value(i.a);
      w_.memory(kI32Store, 2, at_.cpu + static_cast<u32>(i.imm));
      return;
    default:
      if (s.uses == 0 && (o.flags & kPure)) return;
      if (o.flags & kPure) {
        s.pending = true;
        s.reads = i.op == IrOp::kGet ? u64{1} << i.imm : 0;
        const Value operands[3] = {i.a, i.b, i.c};
        for (unsigned k = 0; k < o.arity; k++)
          if (state_[operands[k]].pending) s.reads |= state_[operands[k]].reads;
        // Used more than once: into a local now, unless it is as cheap as one.
        if (s.uses > 1 && !(o.flags & kLeaf)) keep(v);
        return;
      }
      compute(v);
      break;
  }
  // A value from the stack into a local, or away.
  if (s.uses == 0) {
    w_.op(kDrop);
    return;
  }
  const u32 l = new_temp(i.result());
  w_.op(kLocalSet, l);
  s.local = static_cast<s32>(l);
}

void Emitter::value(Value v) {
  State& s = state_[v];
  if (s.local >= 0)
    w_.op(kLocalGet, static_cast<u32>(s.local));
  else
    compute(v);
  release(v);
  if (s.uses == 0) s.pending = false;
}

void Emitter::compute(Value v) {
  const Inst& i = b_->insts[v];
  const IrOpInfo& o = info(i.op);
  switch (i.op) {
    case IrOp::kConst:
      if (i.type >= Type::kF32) return wide_const(w_, i);
      return i.type == Type::kI64 ? w_.i64(i.imm) : w_.i32(static_cast<u32>(i.imm));
    case IrOp::kGet: return w_.op(kLocalGet, local_of(i.imm));
    case IrOp::kPage: return w_.op(kLocalGet, kPage);
    case IrOp::kAndThen:
      value(i.a);
      unlikely_if(kWasmI32);
      value(i.b);
      w_.op(kElse);
      w_.i32(0);
      return w_.op(kEnd);
    case IrOp::kCondition:
    case IrOp::kCarryOf: {
      auto words = [&] {
        for (Value operand : {i.b, i.c}) {
          value(operand);
          if (!long_) w_.op(kI64ExtendI32U);
        }
      };
      if (i.op == IrOp::kCondition) {
        value(i.a);
        words();
        w_.i32(static_cast<u32>(i.imm));
        return w_.op(kCallOp, kImportCondition);
      }
      // INC and DEC carry it in their second operand.
      const u32 kind = new_temp(Type::kI32);
      value(i.a);
      w_.op(kLocalTee, kind);
      w_.i32(flag_kind(FlagOp::kInc, 0));
      w_.op(kI32Sub);
      w_.i32(8);
      w_.op(kI32LtU);
      const u32 a = new_temp(word_), b = new_temp(word_);
      value(i.b);
      w_.op(kLocalSet, a);
      value(i.c);
      w_.op(kLocalSet, b);
      w_.op(kIf, kWasmI32);
      w_.op(kLocalGet, b);
      if (long_) w_.op(kI32WrapI64);
      w_.op(kElse);
      // Comparisons of numbers have it in the first.
      w_.op(kLocalGet, kind);
      w_.i32(flag_kind(FlagOp::kCompare, 0));
      w_.op(kI32GeU);
      w_.op(kIf, kWasmI32);
      w_.op(kLocalGet, a);
      if (long_) w_.op(kI32WrapI64);
      w_.op(kElse);
      w_.op(kLocalGet, kind);
      w_.op(kIf, kWasmI32);
      w_.op(kLocalGet, kind);
      for (u32 l : {a, b}) {
        w_.op(kLocalGet, l);
        if (!long_) w_.op(kI64ExtendI32U);
      }
      w_.i32(2);
      w_.op(kCallOp, kImportCondition);
      w_.op(kElse);
      // The flags are in Cpu: CF is bit 63 of cc_aux.
      w_.i32(0);
      w_.memory(kI64Load, 3, at_.cpu + static_cast<u32>(kCcAuxOffset));
      w_.i64(63);
      w_.op(kI64ShrU);
      w_.op(kI32WrapI64);
      for (int k = 0; k < 3; k++) w_.op(kEnd);
      free_temps_[static_cast<usize>(Type::kI32)].push_back(kind);
      for (u32 l : {a, b}) free_temps_[static_cast<usize>(word_)].push_back(l);
      return;
    }
    default: {
      const Value operands[3] = {i.a, i.b, i.c};
      for (unsigned k = 0; k < o.arity; k++) value(operands[k]);
      if ((o.flags & kSimd) || i.op == IrOp::kTruncSat32 || i.op == IrOp::kTruncSat64) return simd_operation(w_, i);
      const u8 op = is_wide(i.type) ? o.wasm64 : o.wasm32;
      // Signed 8- and 16-bit extensions and the like have one opcode for each type.
      w_.op(op);
      return;
    }
  }
}

// ---- memory ----------------------------------------------------------------------------------------

// The host address: the TLB entry's tag must be the page of the first byte and of the last.
void Emitter::probe(const Inst& i) {
  const bool write = i.imm != 0;
  const u32 tag = write ? offsetof(TlbEntry, wtag) : offsetof(TlbEntry, rtag);
  const u32 last = (1u << i.size) - 1;
  value(i.a);
  w_.op(kLocalTee, kLinear);
  constexpr u32 kShift = 12 - std::bit_width(sizeof(TlbEntry)) + 1;
  if (long_) {
    w_.i64(kShift);
    w_.op(kI64ShrU);
    w_.op(kI32WrapI64);
  } else {
    w_.i32(kShift);
    w_.op(kI32ShrU);
  }
  w_.i32((kTlbSize - 1) * sizeof(TlbEntry));
  w_.op(kI32And);
  w_.op(kLocalGet, kTlb);
  w_.op(kI32Add);
  w_.op(kLocalTee, kEntry);
  if (long_) {
    w_.memory(kI64Load, 3, tag);
    w_.op(kLocalGet, kLinear);
    if (last) {
      w_.i64(last);
      w_.op(kI64Add);
    }
    w_.i64(~u64{kPageMask});
    w_.op(kI64And);
    w_.op(kI64Ne);
  } else {
    w_.memory(kI32Load, 2, tag);  // no page's low half is that of kTlbNone
    w_.op(kLocalGet, kLinear);
    if (last) {
      w_.i32(last);
      w_.op(kI32Add);
    }
    w_.i32(~kPageMask);
    w_.op(kI32And);
    w_.op(kI32Ne);
  }
  unlikely_if();
  push(Label::kOther);
  w_.op(kLocalGet, kLinear);
  if (!long_) w_.op(kI64ExtendI32U);
  w_.i32(i.size | (write ? 0x100u : 0));
  w_.op(kCallOp, kImportFill);
  w_.op(kI32Eqz);
  unlikely_if();
  push(Label::kOther);
  leave_tier0(i);
  pop();
  w_.op(kEnd);
  pop();
  w_.op(kEnd);
  w_.op(kLocalGet, kLinear);
  if (long_) w_.op(kI32WrapI64);
  w_.op(kLocalGet, kEntry);
  w_.memory(kI32Load, 2, offsetof(TlbEntry, addend));
  w_.op(kI32Add);
}

void Emitter::load_at(const Inst& i) {
  static constexpr u8 ops[4] = {kI32Load8U, kI32Load16U, kI32Load, kI64Load};
  value(i.a);
  if (i.type == Type::kV128) return v128_load(w_, i.size, 0);
  w_.memory(ops[i.size], 0, 0);
}

void Emitter::store_at(const Inst& i) {
  static constexpr u8 ops[4] = {kI32Store8, kI32Store16, kI32Store, kI64Store};
  value(i.a);
  value(i.b);
  if (i.type == Type::kV128) return v128_store(w_, i.size, 0);
  w_.memory(ops[i.size], 0, 0);
}

// ---- floating point --------------------------------------------------------------------------------

// The result is left on the stack.
void Emitter::fp_slow(const Inst& i) {
  const bool check = i.op == IrOp::kFpCheck;
  const Value source = check ? i.b : i.c;
  const bool always = b_->insts[i.a].op == IrOp::kConst;
  u32 result = 0;
  if (!check) {
    result = new_temp(i.type);
    if (always) {
      release(i.b);
    } else {
      value(i.b);
      w_.op(kLocalSet, result);
    }
  }
  if (always) {
    release(i.a);
    flush(kFpLimits);
  } else {
    value(i.a);
    flush(kFpLimits);
    unlikely_if();
    push(Label::kOther);
  }
  w_.i32(static_cast<u32>(i.imm));
  w_.op(kLocalGet, local_of(kVarXmm + (i.imm >> 32)));
  value(source);
  w_.op(kCallOp, kImportSimd);
  if (check) {
    w_.op(kDrop);
  } else {
    low_lane(w_, i.type);
    w_.op(kLocalSet, result);
  }
  w_.i32(0);
  w_.memory(kI32Load, 2, at_.cpu + static_cast<u32>(kJitOffset + offsetof(JitState, raised)));
  unlikely_if();
  push(Label::kOther);
  leave_tier0(i);
  pop();
  w_.op(kEnd);
  reload_state();
  if (!always) {
    pop();
    w_.op(kEnd);
  }
  if (check) return;
  w_.op(kLocalGet, result);
  free_temps_[static_cast<usize>(i.type)].push_back(result);
}

}  // namespace

Body emit(const Unit& unit, const Addresses& at) { return Emitter(unit, at).run(); }

}  // namespace oriel::jit
