// The WebAssembly of operations on 128 bits and of the processor's SSE state.
#pragma once

#include "jit/ir/ir.h"
#include "jit/wasm/writer.h"

namespace oriel::jit {

// A constant that is no integer.
void wide_const(Writer& w, const Inst& i);
// The operation itself, whose operands are on the stack.
void simd_operation(Writer& w, const Inst& i);
// 1 << size bytes at the address on the stack, zero-extended; and of the value on the stack.
void v128_load(Writer& w, unsigned size, u32 offset);
void v128_store(Writer& w, unsigned size, u32 offset);
// The low lane of the v128 on the stack as a value of a type.
void low_lane(Writer& w, Type t);
// Computes a variable from kVarSseOff on from the processor's state, onto the stack.
void sse_state(Writer& w, u64 variable, u32 cpu);

}  // namespace oriel::jit
