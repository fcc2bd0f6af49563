// The x87 in a unit: its state between Cpu and the variables, and calls of tier 0's arithmetic.
#include "jit/cpu_layout.h"
#include "jit/ir/x87.h"
#include "jit/wasm/emitter.h"

namespace oriel::jit {

namespace {
constexpr u32 kStatus = offsetof(Fpu, sw), kTop = offsetof(Fpu, top), kTags = offsetof(Fpu, tw);
constexpr u32 kConditions = kX87C0 | kX87C2 | kX87C3, kSummary = 1 << 7;  // ES
}  // namespace

void Emitter::reload_x87() {
  if (!(used_ & kX87Variables)) return;
  auto state = [this](u8 load, u32 offset) {
    w_.i32(0);
    w_.memory(load, 0, at_.cpu + offset);
  };
  auto fpu = [&](u8 load, u32 offset) { state(load, static_cast<u32>(kFpuOffset) + offset); };
  auto into = [this](Var v) { w_.op(kLocalSet, local_of(v)); };
  auto masked = [&](u32 mask, Var v) {
    fpu(kI32Load16U, kStatus);
    w_.i32(mask);
    w_.op(kI32And);
    into(v);
  };
  // The tags go round by TOP.
  fpu(kI32Load8U, kTags);
  w_.i32(0x101);
  w_.op(kI32Mul);
  fpu(kI32Load8U, kTop);
  w_.op(kI32ShrU);
  w_.i32(0xff);
  w_.op(kI32And);
  into(kVarX87Tags);
  fpu(kI32Load8U, kTop);
  w_.i32(4);
  w_.op(kI32Shl);
  into(kVarX87Top);
  masked(kConditions, kVarX87Cc);
  masked(kX87C1, kVarX87C1);
  masked(kSummary, kVarX87Off);
  w_.op(kLocalGet, local_of(kVarX87Off));
  state(kI32Load, static_cast<u32>(kCr0Offset));
  w_.i32(kCr0EM | kCr0TS);
  w_.op(kI32And);
  w_.op(kI32Or);
  into(kVarX87Off);
  for (Var v : {kVarX87Last, kVarX87Seg}) {  // what is in Cpu is right
    w_.i32(0);
    into(v);
  }
}

void Emitter::sync_x87() {
  if (!(written_ & kX87Variables)) return;
  const u32 fpu = at_.cpu + static_cast<u32>(kFpuOffset);
  auto get = [this](Var v) { w_.op(kLocalGet, local_of(v)); };
  auto top = [&] {
    get(kVarX87Top);
    w_.i32(4);
    w_.op(kI32ShrU);
    w_.i32(7);
    w_.op(kI32And);
  };
  w_.i32(0);
  top();
  w_.memory(kI32Store8, 0, fpu + kTop);
  w_.i32(0);
  get(kVarX87Tags);
  w_.i32(0x101);
  w_.op(kI32Mul);
  top();
  w_.op(kI32Shl);
  w_.i32(8);
  w_.op(kI32ShrU);
  w_.memory(kI32Store8, 0, fpu + kTags);
  w_.i32(0);
  w_.i32(0);
  w_.memory(kI32Load16U, 1, fpu + kStatus);
  w_.i32(~(kConditions | kX87C1));
  w_.op(kI32And);
  for (Var v : {kVarX87Cc, kVarX87C1}) {
    get(v);
    w_.op(kI32Or);
  }
  w_.memory(kI32Store16, 1, fpu + kStatus);
  if (!(written_ >> kVarX87Last & 1)) return;
  get(kVarX87Last);
  w_.op(kIf, kWasmVoid);
  w_.i32(0);
  get(kVarX87Last);
  w_.i32(0x7ff);
  w_.op(kI32And);
  w_.memory(kI32Store16, 1, fpu + offsetof(Fpu, fop));
  w_.i32(0);
  w_.op(kLocalGet, kPage);
  get(kVarX87Last);
  w_.i32(kX87OffShift);
  w_.op(kI32ShrU);
  w_.i32(kPageMask);
  w_.op(kI32And);
  if (u_.pages.size() > 1) {
    get(kVarX87Page);
    w_.i32(12);
    w_.op(kI32Shl);
    w_.op(kI32Or);
  }
  if (long_) w_.op(kI64ExtendI32S);
  w_.op(long_ ? kI64Add : kI32Add);
  if (!long_) w_.op(kI64ExtendI32U);
  w_.memory(kI64Store, 3, fpu + offsetof(Fpu, fip));
  w_.i32(0);
  w_.i32(0);
  w_.memory(kI32Load16U, 1, at_.cpu + static_cast<u32>(kSegOffset + kCS * sizeof(SegCache) + offsetof(SegCache, sel)));
  w_.memory(kI32Store16, 1, fpu + offsetof(Fpu, fcs));
  w_.op(kEnd);
  if (!(written_ >> kVarX87Seg & 1)) return;
  get(kVarX87Seg);
  w_.op(kIf, kWasmVoid);
  w_.i32(0);
  get(kVarX87Ea);
  if (!long_) w_.op(kI64ExtendI32U);
  w_.memory(kI64Store, 3, fpu + offsetof(Fpu, fdp));
  w_.i32(0);
  get(kVarX87Seg);
  w_.memory(kI32Load16U, 1, at_.cpu);
  w_.memory(kI32Store16, 1, fpu + offsetof(Fpu, fds));
  w_.op(kEnd);
}

// FLD of a double: here, if it is a normal number. The result, always 0, is left on the stack.
void Emitter::x87_load_double(const Inst& i) {
  const u32 registers = at_.cpu + static_cast<u32>(kFpuOffset + offsetof(Fpu, r));
  const u32 st = new_temp(Type::kI32), host = new_temp(Type::kI32), exponent = new_temp(Type::kI32);
  const u32 bits = new_temp(Type::kI64);
  value(i.a);
  w_.op(kLocalSet, st);
  value(i.b);
  w_.op(kLocalTee, host);
  w_.memory(kI64Load, 0, 0);
  w_.op(kLocalTee, bits);
  w_.i64(52);
  w_.op(kI64ShrU);
  w_.op(kI32WrapI64);
  w_.i32(0x7ff);
  w_.op(kI32And);
  w_.op(kLocalTee, exponent);
  w_.i32(1);
  w_.op(kI32Sub);
  w_.i32(0x7fe);
  w_.op(kI32GeU);
  unlikely_if();
  push(Label::kOther);
  w_.i32(at_.cpu + static_cast<u32>(kFpuOffset));
  w_.i32(kX87F64);
  w_.op(kLocalGet, st);
  w_.op(kLocalGet, host);
  w_.op(kCallOp, kImportX87Load);
  leave_tier0_if(i);
  pop();
  w_.op(kElse);
  w_.op(kLocalGet, st);
  w_.op(kLocalGet, bits);
  w_.i64(11);
  w_.op(kI64Shl);
  w_.i64(u64{1} << 63);
  w_.op(kI64Or);
  w_.memory(kI64Store, 3, registers);
  w_.op(kLocalGet, st);
  w_.op(kLocalGet, bits);
  w_.i64(48);
  w_.op(kI64ShrU);
  w_.op(kI32WrapI64);
  w_.i32(0x8000);
  w_.op(kI32And);
  w_.op(kLocalGet, exponent);
  w_.i32(16383 - 1023);
  w_.op(kI32Add);
  w_.op(kI32Or);
  w_.memory(kI32Store16, 1, registers + offsetof(F80, se));
  w_.op(kEnd);
  w_.i32(0);
  for (u32 l : {st, host, exponent}) free_temps_[static_cast<usize>(Type::kI32)].push_back(l);
  free_temps_[static_cast<usize>(Type::kI64)].push_back(bits);
}

// The result is left on the stack.
void Emitter::x87(const Inst& i) {
  const u32 what = static_cast<u32>(i.imm >> kX87WhatShift);
  if ((i.imm & 0xff) == kImportX87Load && what == kX87F64) return x87_load_double(i);
  w_.i32(at_.cpu + static_cast<u32>(kFpuOffset));
  w_.i32(what);
  value(i.a);
  value(i.b);
  w_.op(kCallOp, i.imm & 0xff);
  const u32 result = new_temp(Type::kI32);
  w_.op(kLocalTee, result);
  w_.i32(0);
  w_.op(kI32LtS);
  leave_tier0_if(i);
  w_.op(kLocalGet, result);
  free_temps_[static_cast<usize>(Type::kI32)].push_back(result);
}

void Emitter::load_fpu(const Inst& i) {
  value(i.a);
  const u32 at = at_.cpu + static_cast<u32>(kFpuOffset + offsetof(Fpu, r) + i.imm);
  w_.memory(i.type == Type::kI64 ? kI64Load : kI32Load16U, i.type == Type::kI64 ? 3 : 1, at);
}

void Emitter::store_fpu(const Inst& i) {
  value(i.a);
  value(i.b);
  const u32 at = at_.cpu + static_cast<u32>(kFpuOffset + offsetof(Fpu, r) + i.imm);
  w_.memory(i.type == Type::kI64 ? kI64Store : kI32Store16, i.type == Type::kI64 ? 3 : 1, at);
}

}  // namespace oriel::jit
