// What a block does: its operations, each emitted where it is used or kept in a local.
#include "jit/wasm/emitter.h"

#include <bit>

#include "jit/cpu_layout.h"
#include "jit/ir/flags.h"
#include "jit/wasm/emit_simd.h"

namespace oriel::jit {

namespace {
constexpr u64 kFpLimits = u64{1} << kVarFpLimit64 | u64{1} << kVarFpLimit32;
}

// ---- blocks ----------------------------------------------------------------------------------------

void Emitter::count_uses() {
  const auto& insts = b_->insts;
  state_.assign(insts.size(), State{});
  pending_.clear();
  if (b_->value) state_[b_->value].uses++;
  for (usize n = insts.size(); n-- > 1;) {
    const Inst& i = insts[n];
    const bool needed = state_[n].uses || !(info(i.op).flags & kPure);
    if (!needed || i.op == IrOp::kNop) continue;
    const Value operands[3] = {i.a, i.b, i.c};
    for (unsigned k = 0; k < info(i.op).arity; k++)
      state_[operands[k]].uses += i.op == IrOp::kOffset ? state_[n].uses : 1;
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
    go_to(u_.pages[b_->page].at + u_.insns[b_->first_insn].off);
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
  usize left = 0;
  for (usize n = 0; n < pending_.size(); n++) {  // in ascending order, as their operands need it
    const Value v = pending_[n];
    if (!state_[v].pending) continue;
    if (state_[v].reads & variables)
      keep(v);
    else
      pending_[left++] = v;
  }
  pending_.resize(left);
}

void Emitter::inst(Value v) {
  const Inst& i = b_->insts[v];
  const IrOpInfo& o = info(i.op);
  State& s = state_[v];
  if ((o.flags & kLeaves) && i.op != IrOp::kStep) settle();
  switch (i.op) {
    case IrOp::kNop: return;
    case IrOp::kSet:
      value(i.a);
      // Values that read the old one, after the operand's own tree: they are on the stack's side, in locals.
      flush(u64{1} << i.imm);
      return set_variable(static_cast<u32>(i.imm));
    case IrOp::kProbe: probe(i); break;
    case IrOp::kOffset: return;  // part of what uses it
    case IrOp::kLoadAt: load_at(i); break;
    case IrOp::kStoreAt: return store_at(i);
    case IrOp::kFpSlow:
    case IrOp::kFpCheck:
      fp_slow(i);
      if (i.op == IrOp::kFpCheck) return;
      break;
    case IrOp::kX87: x87(i); break;
    case IrOp::kLoadFpu: load_fpu(i); break;
    case IrOp::kStoreFpu: return store_fpu(i);
    case IrOp::kZeroUpper: return zero_upper(static_cast<u32>(i.imm));
    case IrOp::kLeaveIf:
      value(i.a);
      leave_tier0_if(i);
      return;
    case IrOp::kStep:
      flush(~u64{0});
      store_all();
      store_budget();
      w_.i32(at_.sites + static_cast<u32>(i.imm) * at_.site_bytes);
      page_address();
      w_.op(kCallOp, kImportStep);
      unlikely_if();
      w_.i32(kLeaveStep);
      w_.op(kReturn);
      w_.op(kEnd);
      load_held();
      where_ = {};
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
      if (i.op == IrOp::kGet) need(static_cast<u32>(i.imm));
      if (o.flags & kPure) {
        s.pending = true;
        pending_.push_back(v);
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
    case IrOp::kOffset:
      value(i.a);
      w_.i32(static_cast<u32>(i.imm));
      return w_.op(kI32Add);
    case IrOp::kAndThen:
      value(i.a);
      unlikely_if(kWasmI32);
      value(i.b);
      w_.op(kElse);
      w_.i32(0);
      return w_.op(kEnd);
    case IrOp::kCondition:
      value(i.a);
      for (Value operand : {i.b, i.c}) {
        value(operand);
        if (!long_) w_.op(kI64ExtendI32U);
      }
      w_.i32(static_cast<u32>(i.imm));
      return w_.op(kCallOp, kImportCondition);
    case IrOp::kCarryOf: return carry_of(i);
    case IrOp::kString:
      w_.i32(static_cast<u32>(i.imm));
      for (Value operand : {i.a, i.b, i.c}) value(operand);
      return w_.op(kCallOp, kImportString);
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

// CF of flags whose kind is not known: the kinds that compilers leave behind are told apart here, the others by a call.
void Emitter::carry_of(const Inst& i) {
  const u32 kind = new_temp(Type::kI32), a = new_temp(word_), b = new_temp(word_);
  unsigned open = 0;
  auto otherwise = [&] {
    w_.op(kElse);
    open++;
  };
  auto is = [&](FlagOp first, u32 count) {  // the kinds that follow one another from `first`, 4 sizes each
    w_.op(kLocalGet, kind);
    w_.i32(flag_kind(first, 0));
    w_.op(kI32Sub);
    w_.i32(4 * count);
    w_.op(kI32LtU);
    w_.op(kIf, kWasmI32);
  };
  auto as_i32 = [&](u32 local) {
    w_.op(kLocalGet, local);
    if (long_) w_.op(kI32WrapI64);
  };
  value(i.a);
  w_.op(kLocalSet, kind);
  value(i.b);
  w_.op(kLocalSet, a);
  value(i.c);
  w_.op(kLocalSet, b);
  for (unsigned size = 2; size <= (long_ ? 3 : 2); size++) {
    w_.op(kLocalGet, kind);
    w_.i32(flag_kind(FlagOp::kSub, size));
    w_.op(kI32Eq);
    w_.op(kIf, kWasmI32);
    if (size == 2) {
      as_i32(a);
      as_i32(b);
      w_.op(kI32LtU);
    } else {
      w_.op(kLocalGet, a);
      w_.op(kLocalGet, b);
      w_.op(kI64LtU);
    }
    otherwise();
  }
  is(FlagOp::kLogic, 1);
  w_.i32(0);
  otherwise();
  static_assert(static_cast<u32>(FlagOp::kDec) == static_cast<u32>(FlagOp::kInc) + 1);
  is(FlagOp::kInc, 2);
  as_i32(b);
  otherwise();
  static_assert(static_cast<u32>(FlagOp::kTest) == static_cast<u32>(FlagOp::kCompare) + 1);
  is(FlagOp::kCompare, 2);
  as_i32(a);
  otherwise();
  w_.op(kLocalGet, kind);
  w_.op(kIf, kWasmI32);
  w_.op(kLocalGet, kind);
  for (u32 l : {a, b}) {
    w_.op(kLocalGet, l);
    if (!long_) w_.op(kI64ExtendI32U);
  }
  w_.i32(2);
  w_.op(kCallOp, kImportCondition);
  otherwise();
  // The flags are in Cpu: CF is bit 63 of cc_aux.
  w_.i32(0);
  w_.memory(kI64Load, 3, at_.cpu + static_cast<u32>(kCcAuxOffset));
  w_.i64(63);
  w_.op(kI64ShrU);
  w_.op(kI32WrapI64);
  for (; open; open--) w_.op(kEnd);
  free_temps_[static_cast<usize>(Type::kI32)].push_back(kind);
  for (u32 l : {a, b}) free_temps_[static_cast<usize>(word_)].push_back(l);
}

// ---- memory ----------------------------------------------------------------------------------------

// The host address: the TLB entry's tag must be the page of the first byte and of the last.
void Emitter::probe(const Inst& i) {
  const bool write = i.imm != 0;
  const u32 bytes = i.imm2 ? i.imm2 & 0xffff : 1u << i.size, before = i.imm2 >> 16 & 0xffff;
  const bool any_write = write || i.imm2 >> 32;
  const u32 tag = any_write ? offsetof(TlbEntry, wtag) : offsetof(TlbEntry, rtag);
  const u32 last = bytes - 1;
  value(i.a);
  if (before) {
    long_ ? w_.i64(before) : w_.i32(before);
    w_.op(long_ ? kI64Sub : kI32Sub);
  }
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
  // No page's low half is that of kTlbNone.
  w_.memory(long_ ? kI64Load : kI32Load, long_ ? 3 : 2, tag);
  w_.op(kLocalGet, kLinear);
  if (last) {
    long_ ? w_.i64(last) : w_.i32(last);
    w_.op(long_ ? kI64Add : kI32Add);
  }
  to_page();
  w_.op(long_ ? kI64Ne : kI32Ne);
  unlikely_if();
  push(Label::kOther);
  w_.op(kLocalGet, kLinear);
  if (!long_) w_.op(kI64ExtendI32U);
  w_.i32(last | (write ? kFillWrite : 0) | (any_write ? kFillAnyWrite : 0) | (i.imm2 ? kFillRange : 0));
  w_.op(kCallOp, kImportFill);
  w_.op(kI32Eqz);
  leave_tier0_if(i);
  pop();
  w_.op(kEnd);
  w_.op(kLocalGet, kLinear);
  if (long_) w_.op(kI32WrapI64);
  w_.op(kLocalGet, kEntry);
  w_.memory(kI32Load, 2, offsetof(TlbEntry, addend));
  w_.op(kI32Add);
  if (before) {
    w_.i32(before);
    w_.op(kI32Add);
  }
}

// Pushes a host address but for an offset that the access can add: that.
u32 Emitter::host_address(Value v) {
  const Inst& i = b_->insts[v];
  if (i.op != IrOp::kOffset || static_cast<s64>(i.imm) < 0) return value(v), 0;
  value(i.a);
  release(v);
  return static_cast<u32>(i.imm);
}

void Emitter::load_at(const Inst& i) {
  static constexpr u8 ops[4] = {kI32Load8U, kI32Load16U, kI32Load, kI64Load};
  const u32 offset = host_address(i.a);
  if (i.type == Type::kV128) return v128_load(w_, i.size, offset);
  w_.memory(ops[i.size], 0, offset);
}

void Emitter::store_at(const Inst& i) {
  static constexpr u8 ops[4] = {kI32Store8, kI32Store16, kI32Store, kI64Store};
  const u32 offset = host_address(i.a);
  value(i.b);
  if (i.type == Type::kV128) return v128_store(w_, i.size, offset);
  w_.memory(ops[i.size], 0, offset);
}

// ---- floating point --------------------------------------------------------------------------------

// The result is left on the stack.
void Emitter::fp_slow(const Inst& i) {
  const bool check = i.op == IrOp::kFpCheck;
  need(kVarXmm + static_cast<u32>(i.imm >> 32));
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
  leave_tier0_if(i);
  reload_state();
  if (!always) {
    pop();
    w_.op(kEnd);
  }
  if (check) return;
  w_.op(kLocalGet, result);
  free_temps_[static_cast<usize>(i.type)].push_back(result);
}

}  // namespace oriel::jit
