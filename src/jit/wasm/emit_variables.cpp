// Where the variables are. Cpu has them where blocks meet, and compiled code keeps in locals what it has read or
// written since: over a block and those that only it leads to. A loop holds what it uses in locals, from its head to
// wherever it is left. The x87's state and what follows from control registers are in locals all the time.
//
// So a unit that goes here and there loads and stores little more than it uses where it is entered and left, and the
// engine's compiler has few values that live long.
#include "jit/cpu_layout.h"
#include "jit/wasm/emit_simd.h"
#include "jit/wasm/emitter.h"

#include <bit>

namespace oriel::jit {

namespace {
// Instructions of the largest loop that holds its variables.
constexpr u32 kHoldingLoop = 200;
constexpr u64 kFollowed = (u64{1} << kVarCount) - 1 | u64{0xffffffff} << kVarXmm;

template <class F>
void each(u64 variables, F f) {
  for (; variables; variables &= variables - 1) f(static_cast<u32>(std::countr_zero(variables)));
}
}  // namespace

void Emitter::find_variables() {
  const usize n = u_.blocks.size();
  std::vector<u64> used(n), written(n);
  for (usize b = 0; b < n; b++)
    for (const Inst& i : u_.blocks[b].insts) {
      if (i.op == IrOp::kGet) used[b] |= u64{1} << i.imm;
      if (i.op == IrOp::kSet) written[b] |= u64{1} << i.imm;
      if (i.op == IrOp::kFpSlow || i.op == IrOp::kFpCheck) used[b] |= u64{1} << (kVarXmm + (i.imm >> 32));
    }
  for (usize b = 0; b < n; b++) {
    used_ |= used[b] | written[b];
    written_ |= written[b];
  }
  if (used_ & kX87Variables) used_ |= kX87Variables;
  for (u32 v = kVarXmm; v < 64; v++)
    if (used_ >> v & 1)
      extra_[v - kVarXmm] = new_temp(v < kVarSseOff ? Type::kV128 : v == kVarX87Ea ? word_ : Type::kI32);
  hold_in_loops(used, written);
}

// Where blocks begin that join(): with what the loops hold that they are in.
void Emitter::hold_in_loops(const std::vector<u64>& used, const std::vector<u64>& written) {
  const usize n = u_.blocks.size();
  entry_.assign(n, {});
  const std::vector<std::vector<u32>> preds = predecessors(u_);
  for (u32 head = 1; head < n; head++) {
    if (!loop_[head]) continue;
    std::vector<bool> in(n);
    std::vector<u32> body{head};
    in[head] = true;
    auto add = [&](u32 b) {
      if (in[b]) return;
      in[b] = true;
      body.push_back(b);
    };
    for (u32 p : preds[head])
      if (p >= head) add(p);
    for (usize k = 1; k < body.size(); k++)
      for (u32 p : preds[body[k]]) add(p);
    Where held;
    u32 insns = 0;
    for (u32 b : body) {
      insns += u_.blocks[b].insn_count;
      held.cached |= (used[b] | written[b]) & kFollowed;
      held.dirty |= written[b] & kFollowed;
    }
    if (insns > kHoldingLoop) continue;
    for (u32 b : body) {
      if (!joins(b)) continue;
      entry_[b].cached |= held.cached;
      entry_[b].dirty |= held.dirty;
    }
    held_dirty_ |= held.dirty;
  }
}

// ---- between locals and Cpu ------------------------------------------------------------------------

void Emitter::load(u64 variables) {
  each(variables, [this](u32 v) {
    w_.i32(0);
    const bool wide = long_ && v != kVarFlagKind;
    if (v >= kVarXmm)
      v128_load(w_, 4, home(v));
    else
      w_.memory(wide ? kI64Load : kI32Load, wide ? 3 : 2, home(v));
    w_.op(kLocalSet, local_of(v));
  });
}

void Emitter::store(u64 variables) {
  each(variables, [this](u32 v) {
    w_.i32(0);
    w_.op(kLocalGet, local_of(v));
    if (v >= kVarXmm) return v128_store(w_, 4, home(v));
    const bool general = v < kVarFlagKind, wide = general || (long_ && v != kVarFlagKind);
    if (general && !long_) w_.op(kI64ExtendI32U);
    w_.memory(wide ? kI64Store : kI32Store, wide ? 3 : 2, home(v));
  });
}

u32 Emitter::home(u32 v) const {
  if (v < kVarFlagKind) return at_.gpr + 8 * v;
  if (v >= kVarYmmHigh) return at_.cpu + static_cast<u32>(kYmmHighOffset) + 16 * (v - kVarYmmHigh);
  if (v >= kVarXmm) return at_.cpu + static_cast<u32>(kXmmOffset) + 16 * (v - kVarXmm);
  return v == kVarFlagKind ? at_.flag_kind : v == kVarFlagA ? at_.flag_a : at_.flag_b;
}

void Emitter::need(u32 v) {
  const u64 bit = u64{1} << v;
  if (!(bit & kFollowed & ~where_.cached)) return;
  load(bit);
  where_.cached |= bit;
}

void Emitter::set_variable(u32 v) {
  w_.op(kLocalSet, local_of(v));
  const u64 bit = u64{1} << v & kFollowed;
  where_.cached |= bit;
  where_.dirty |= bit;
}

bool Emitter::same(u32 to) const {
  return !(where_.dirty & ~entry_[to].dirty) && !(entry_[to].cached & ~where_.cached);
}

void Emitter::arrive(u32 to) {
  store(where_.dirty & ~entry_[to].dirty);
  load(entry_[to].cached & ~where_.cached);
  where_ = entry_[to];
}

void Emitter::settle() {
  const u64 stored = where_.dirty & ~(holding() ? held_dirty_ : 0);
  store(stored);
  where_.dirty &= ~stored;
}

u32 Emitter::way_out() {
  const u64 common = where_.dirty & held_dirty_;
  const bool held = std::popcount(common) > 2 && holding();
  store(where_.dirty & ~(held ? held_dirty_ : 0));
  return static_cast<u32>(labels_.size()) - (held ? 2 : 1);
}

void Emitter::zero_upper(u32 count) {
  const u64 upper = ((u64{1} << count) - 1) << kVarYmmHigh;
  flush(upper);
  where_.cached &= ~upper;
  where_.dirty &= ~upper;
  const u32 zero = new_temp(Type::kV128);
  Inst i;
  i.type = Type::kV128;
  wide_const(w_, i);
  w_.op(kLocalSet, zero);
  for (u32 n = 0; n < count; n++) {
    w_.i32(0);
    w_.op(kLocalGet, zero);
    v128_store(w_, 4, home(kVarYmmHigh + n));
  }
  free_temps_[static_cast<usize>(Type::kV128)].push_back(zero);
}

void Emitter::store_all() {
  store(where_.dirty);
  sync_x87();
}

void Emitter::load_held() {
  reload_state();
  reload_x87();
}

// What follows from CR0, CR4, XCR0 and MXCSR.
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

}  // namespace oriel::jit
