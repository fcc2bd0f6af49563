#include "jit/wasm/emitter.h"

#include <bit>

#include "cpu/blocks.h"
#include "jit/cpu_layout.h"
#include "jit/wasm/emit_simd.h"
#include "jit/wasm/find_jump.h"

namespace oriel::jit {

namespace {
WasmType wasm_type(Type t) {
  switch (t) {
    case Type::kI64: return kWasmI64;
    case Type::kF32: return kWasmF32;
    case Type::kF64: return kWasmF64;
    case Type::kV128: return kWasmV128;
    default: return kWasmI32;
  }
}
}  // namespace

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

  enter();
  load_held();
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

  // Two blocks around everything, at whose ends the unit is left (way_out()), one copy of that code for all: behind the
  // inner one the variables that loops hold are stored first.
  for (int k = 0; k < 2; k++) {
    w_.op(kBlock, kWasmVoid);
    push(Label::kOther);
  }
  if (u_.dispatches()) {
    w_.op(kLoop, kWasmVoid);
    push(Label::kLoopHead, 0);
    // Loaded here: engines compute what is the same in all rounds of a loop before it, which would be the return
    // addresses and targets of the whole unit at each entry.
    w_.i32(0);
    w_.memory(long_ ? kI64Load : kI32Load, long_ ? 3 : 2, at_.left_base);
    w_.op(kLocalSet, kPage);
    w_.op(kBlock, kWasmVoid);
    push(Label::kOther);
    exit_to_ = labels_.size();
    tree(0);
    pop();
    w_.op(kEnd);
    where_ = {};
    find_entry();
    leave(kLeaveGo);
    pop();
    w_.op(kEnd);
    w_.op(kUnreachable);
  } else {
    tree(0);
  }
  pop();
  w_.op(kEnd);
  store(held_dirty_);
  pop();
  w_.op(kEnd);
  sync_x87();
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
  ints(6);   // TLB, budget, exit, entry, jump, at
  words(1);  // linear address
  for (Type t : temps_) {
    body.uleb(1);
    body.u8_(wasm_type(t));
  }
  for (u32& hint : hints_) hint += static_cast<u32>(body.bytes.size());
  body.append(w_.bytes);
  return {std::move(body.bytes), std::move(hints_)};
}

// Before anything else: where the first page is, and whether the unit can be entered.
void Emitter::enter() {
  w_.i32(0);
  w_.memory(long_ ? kI64Load : kI32Load, long_ ? 3 : 2, at_.rip);
  to_page();
  if (u_.pages.size() > 1) {
    w_.i32(0);
    w_.memory(kI32Load, 2, at_.page);
    page_distance();
  }
  w_.op(kLocalSet, kPage);
  w_.i32(0);
  page_address();
  w_.memory(kI64Store, 3, at_.left_base);
  if (u_.pages.size() > 1) {
    w_.i32(0);
    w_.memory(kI64Load, 3, at_.key);
    w_.i32(0);
    w_.memory(kI64Load, 3, at_.cpu + static_cast<u32>(kCodeKeyOffset));
    w_.op(kI64Ne);
    w_.i32(0);
    w_.memory(kI64Load, 3, at_.base);
    page_address();
    w_.op(kI64Ne);
    w_.op(kI32Or);
    unlikely_if();
    w_.i32(kLeaveGo);
    w_.op(kReturn);
    w_.op(kEnd);
  }
  if (at_.countdown) {
    w_.i32(0);
    w_.i32(0);
    w_.memory(kI32Load, 2, at_.countdown);
    w_.i32(1);
    w_.op(kI32Sub);
    w_.op(kLocalTee, kAt);
    w_.memory(kI32Store, 2, at_.countdown);
    w_.op(kLocalGet, kAt);
    w_.op(kI32Eqz);
    unlikely_if();
    w_.i32(kLeaveHot);
    w_.op(kReturn);
    w_.op(kEnd);
  }
}

void Emitter::to_page() {
  if (long_) {
    w_.i64(~u64{kPageMask});
    w_.op(kI64And);
  } else {
    w_.i32(~kPageMask);
    w_.op(kI32And);
  }
}

// From the page of an entry to the unit's first, so many pages before it.
void Emitter::page_distance() {
  w_.i32(12);
  w_.op(kI32Shl);
  if (long_) w_.op(kI64ExtendI32S);
  w_.op(long_ ? kI64Sub : kI32Sub);
}

void Emitter::tree(u32 n) {
  if (joins(n)) where_ = entry_[n];
  std::vector<u32> behind;
  for (u32 c : children_[n])
    if (merge_[c]) behind.push_back(c);
  if (!loop_[n] || n == 0) return within(n, std::move(behind));
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
  if (joins(to)) arrive(to);
  if (has_label(from, to))
    w_.op(kBr, depth_of(from, to));
  else
    tree(to);
}

void Emitter::leave(Leave how) {
  w_.i32(how);
  w_.op(kLocalSet, kEntry);
  const u32 out = way_out();
  w_.op(kBr, out);
}

void Emitter::leave_tier0_if(const Inst& i) {
  unlikely_if();
  push(Label::kOther);
  w_.i32(b_->page << kExitPageShift | static_cast<u32>(i.guest) << kExitShift | u_.insns[b_->first_insn + i.guest].off);
  w_.op(kLocalSet, kExit);
  leave(kLeaveTier0);
  pop();
  w_.op(kEnd);
}

// The instruction at an offset from the first page is the next.
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

// Where control goes to an address that is known only now: to block 0 if this unit has an entry there.
void Emitter::find_entry() {
  if (!at_.jumps) return;
  using Jump = BlockCache::Jump;
  find_jump(w_, at_, kLinear, kJump, long_);
  w_.op(kIf, kWasmVoid);
  push(Label::kOther);
  w_.op(kLocalGet, kJump);
  w_.memory(kI32Load, 2, at_.jumps + static_cast<u32>(offsetof(Jump, code)));
  w_.op(kLocalTee, kEntry);
  w_.i32((1u << kSlotShift) - 1);
  w_.op(kI32And);
  w_.op(kLocalSet, kAt);
  w_.op(kLocalGet, kEntry);
  w_.i32(0);
  w_.memory(kI32Load, 2, at_.entry);
  w_.op(kI32Xor);
  w_.i32(kSlotShift);
  w_.op(kI32ShrU);
  w_.op(kI32Eqz);
  // At the linear address at which it runs.
  w_.op(kLocalGet, kLinear);
  to_page();
  w_.op(kLocalGet, kPage);
  if (u_.pages.size() > 1) {
    w_.op(long_ ? kI64Sub : kI32Sub);
    w_.op(kLocalGet, kJump);
    w_.memory(kI32Load, 2, at_.jumps + static_cast<u32>(offsetof(Jump, page)));
    page_distance();
    w_.op(long_ ? kI64Eqz : kI32Eqz);
  } else {
    w_.op(long_ ? kI64Eq : kI32Eq);
  }
  w_.op(kI32And);
  w_.op(kBrIf, depth_of(0, 0));
  pop();
  w_.op(kEnd);
}

// Behind everything else: where control goes on elsewhere, rip; and if it may go there by itself, on to it.
void Emitter::chain() {
  w_.op(kLocalGet, kEntry);
  w_.i32(kLeaveTier0);
  w_.op(kI32Eq);
  w_.op(kIf, kWasmVoid);
  w_.i32(0);
  w_.op(kLocalGet, kExit);
  w_.memory(kI32Store, 2, at_.exit);
  w_.op(kElse);
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

// From block 0 to the entry whose number is in kAt.
void Emitter::enter_blocks() {
  const Where here = where_;
  if (!u_.dispatches()) return branch(0, u_.entries[0]);
  // An entry that has variables in locals gets them on its own way.
  std::vector<u32> ways;
  for (u32 e : u_.entries)
    if (!same(e)) ways.push_back(e);
  for (usize n = 0; n < ways.size(); n++) {
    w_.op(kBlock, kWasmVoid);
    push(Label::kOther);
  }
  w_.op(kLocalGet, kAt);
  w_.op(kBrTable, u_.entries.size() - 1);
  u32 way = 0;
  for (u32 e : u_.entries) w_.uleb(same(e) ? depth_of(0, e) : way++);
  for (u32 e : ways) {
    pop();
    w_.op(kEnd);
    where_ = here;
    branch(0, e);
  }
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
    case Term::kEnter: return enter_blocks();
    case Term::kReenter:
      arrive(0);
      w_.i32(static_cast<u32>(b.offset));
      w_.op(kLocalSet, kAt);
      return w_.op(kBr, depth_of(n, 0));
    case Term::kJump: return branch(n, b.succ[0]);
    case Term::kBranch: {
      value(b.value);
      const Where here = where_;
      for (unsigned k : {0, 1}) {
        if (!has_label(n, b.succ[k])) continue;
        if (k == 1) w_.op(kI32Eqz);
        if (same(b.succ[k])) {
          w_.op(kBrIf, depth_of(n, b.succ[k]));
        } else {
          w_.op(kIf, kWasmVoid);
          push(Label::kOther);
          branch(n, b.succ[k]);
          pop();
          w_.op(kEnd);
          where_ = here;
        }
        return branch(n, b.succ[1 - k]);
      }
      w_.op(kIf, kWasmVoid);
      push(Label::kOther);
      branch(n, b.succ[0]);
      where_ = here;
      w_.op(kElse);
      branch(n, b.succ[1]);
      pop();
      w_.op(kEnd);
      w_.op(kUnreachable);
      return;
    }
    case Term::kExit: go_to(b.offset); return leave(kLeaveGo);
    case Term::kExitTo:
      value(b.value);
      w_.op(kLocalSet, kLinear);
      if (!exit_to_) return leave(kLeaveGo);
      arrive(0);
      return w_.op(kBr, labels_.size() - exit_to_);
  }
}

Body emit(const Unit& unit, const Addresses& at) { return Emitter(unit, at).run(); }

}  // namespace oriel::jit
