#include "jit/wasm/emit_simd.h"

#include "cpu/cpu.h"
#include "jit/cpu_layout.h"
#include "jit/lift/fp_limit.h"

namespace oriel::jit {

namespace {
constexpr u8 kSimdPrefix = 0xfd, kMiscPrefix = 0xfc;
enum : u32 {
  kV128Load = 0x00,
  kV128Store = 0x0b,
  kV128Const = 0x0c,
  kV128Store32Lane = 0x5a,
  kV128Store64Lane = 0x5b,
  kV128Load32Zero = 0x5c,
  kV128Load64Zero = 0x5d,
};

void code(Writer& w, u32 opcode) { w.op(kSimdPrefix, opcode); }
void bytes(Writer& w, u64 v, unsigned n) {
  for (unsigned k = 0; k < n; k++) w.u8_(static_cast<u8>(v >> 8 * k));
}
}  // namespace

void wide_const(Writer& w, const Inst& i) {
  if (i.type == Type::kV128) {
    code(w, kV128Const);
    bytes(w, i.imm, 8);
    return bytes(w, i.imm2, 8);
  }
  w.op(i.type == Type::kF64 ? kF64Const : kF32Const);
  bytes(w, i.imm, i.type == Type::kF64 ? 8 : 4);
}

void low_lane(Writer& w, Type t) {
  IrOp op;
  switch (t) {
    case Type::kI32: op = IrOp::kLane32; break;
    case Type::kI64: op = IrOp::kLane64; break;
    case Type::kF32: op = IrOp::kLaneF32; break;
    case Type::kF64: op = IrOp::kLaneF64; break;
    default: return;
  }
  code(w, info(op).wasm32);
  w.u8_(0);
}

void simd_operation(Writer& w, const Inst& i) {
  const IrOpInfo& o = info(i.op);
  if (!(o.flags & kSimd)) return w.op(kMiscPrefix, is_wide(i.type) ? o.wasm64 : o.wasm32);
  code(w, o.wasm32);
  if (o.flags & kLane) w.u8_(static_cast<u8>(i.imm));
  if (i.op != IrOp::kShuffle) return;
  bytes(w, i.imm, 8);
  bytes(w, i.imm2, 8);
}

void v128_load(Writer& w, unsigned size, u32 offset) {
  code(w, size == 4 ? kV128Load : size == 3 ? kV128Load64Zero : kV128Load32Zero);
  w.uleb(0);
  w.uleb(offset);
}

void v128_store(Writer& w, unsigned size, u32 offset) {
  code(w, size == 4 ? kV128Store : size == 3 ? kV128Store64Lane : kV128Store32Lane);
  w.uleb(0);
  w.uleb(offset);
  if (size < 4) w.u8_(0);
}

void sse_state(Writer& w, u64 variable, u32 cpu) {
  auto state = [&](u64 offset) {
    w.i32(0);
    w.memory(kI32Load, 2, cpu + static_cast<u32>(offset));
  };
  // Bits that must be clear, and the complement of those that must be set.
  auto off = [&](u64 offset, u32 clear, u32 set) {
    state(offset);
    w.i32(clear | set);
    w.op(kI32And);
    if (!set) return;
    w.i32(set);
    w.op(kI32Xor);
  };
  if (variable == kVarSseOff) {
    off(kCr0Offset, kCr0EM | kCr0TS, 0);
    off(kCr4Offset, 0, kCr4OSFXSR);
    w.op(kI32Or);
    return;
  }
  if (variable == kVarAvxOff) {
    off(kCr0Offset, kCr0TS, kCr0PE);
    off(kCr4Offset, 0, kCr4OSXSAVE);
    w.op(kI32Or);
    off(kXcr0Offset, 0, 6);  // the SSE and AVX state
    w.op(kI32Or);
    return;
  }
  w.i32(0);
  state(kMxcsrOffset);
  w.i32(kHostArithmeticMask);
  w.op(kI32And);
  w.i32(kHostArithmetic);
  w.op(kI32Eq);
  w.op(kI32Sub);
  w.i32(variable == kVarFpLimit64 ? kFpLimit64 : kFpLimit32);
  w.op(kI32And);
}

}  // namespace oriel::jit
