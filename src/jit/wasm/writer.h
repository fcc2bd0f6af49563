// Bytes of a WebAssembly module. Source: WebAssembly Core Specification 2.0, chapter 5 (binary format).
#pragma once

#include <string_view>
#include <vector>

#include "base/types.h"

namespace oriel::jit {

enum WasmType : u8 {
  kWasmI32 = 0x7f,
  kWasmI64 = 0x7e,
  kWasmF32 = 0x7d,
  kWasmF64 = 0x7c,
  kWasmV128 = 0x7b,
  kWasmFuncref = 0x70,
  kWasmVoid = 0x40
};
enum WasmOp : u8 {
  kUnreachable = 0x00,
  kBlock = 0x02,
  kLoop = 0x03,
  kIf = 0x04,
  kElse = 0x05,
  kEnd = 0x0b,
  kBr = 0x0c,
  kBrIf = 0x0d,
  kBrTable = 0x0e,
  kReturn = 0x0f,
  kCallOp = 0x10,
  kReturnCall = 0x12,
  kReturnCallIndirect = 0x13,
  kDrop = 0x1a,
  kSelectOp = 0x1b,
  kLocalGet = 0x20,
  kLocalSet = 0x21,
  kLocalTee = 0x22,
  kI32Load = 0x28,
  kI64Load = 0x29,
  kI32Load8U = 0x2d,
  kI32Load16U = 0x2f,
  kI32Store = 0x36,
  kI64Store = 0x37,
  kI32Store8 = 0x3a,
  kI32Store16 = 0x3b,
  kI32Const = 0x41,
  kI64Const = 0x42,
  kF32Const = 0x43,
  kF64Const = 0x44,
  kI32Eqz = 0x45,
  kI32Eq = 0x46,
  kI32Ne = 0x47,
  kI32LtS = 0x48,
  kI32LtU = 0x49,
  kI32GeU = 0x4f,
  kI64Eqz = 0x50,
  kI64Eq = 0x51,
  kI64Ne = 0x52,
  kI64LtU = 0x54,
  kI32Add = 0x6a,
  kI32Sub = 0x6b,
  kI32Mul = 0x6c,
  kI32And = 0x71,
  kI32Or = 0x72,
  kI32Xor = 0x73,
  kI32Shl = 0x74,
  kI32ShrU = 0x76,
  kI64Sub = 0x7d,
  kI64Add = 0x7c,
  kI64And = 0x83,
  kI64Or = 0x84,
  kI64Xor = 0x85,
  kI64Shl = 0x86,
  kI64ShrU = 0x88,
  kI32WrapI64 = 0xa7,
  kI64ExtendI32S = 0xac,
  kI64ExtendI32U = 0xad,
};

class Writer {
 public:
  std::vector<u8> bytes;

  void u8_(u8 v) { bytes.push_back(v); }
  void uleb(u64 v) {
    do {
      const u8 low = v & 0x7f;
      v >>= 7;
      bytes.push_back(v ? low | 0x80 : low);
    } while (v);
  }
  void sleb(s64 v) {
    for (;;) {
      const u8 low = static_cast<u8>(v & 0x7f);
      v >>= 7;
      const bool last = (v == 0 && !(low & 0x40)) || (v == -1 && (low & 0x40));
      bytes.push_back(last ? low : low | 0x80);
      if (last) return;
    }
  }
  void name(std::string_view s) {
    uleb(s.size());
    bytes.insert(bytes.end(), s.begin(), s.end());
  }
  void append(const std::vector<u8>& v) { bytes.insert(bytes.end(), v.begin(), v.end()); }
  void sized(const std::vector<u8>& v) {
    uleb(v.size());
    append(v);
  }

  void op(u8 o) { bytes.push_back(o); }
  void op(u8 o, u64 immediate) {
    op(o);
    uleb(immediate);
  }
  void i32(u32 v) {
    op(kI32Const);
    sleb(static_cast<s32>(v));
  }
  void i64(u64 v) {
    op(kI64Const);
    sleb(static_cast<s64>(v));
  }
  // A load or store; align is log2.
  void memory(u8 o, u32 align, u32 offset) {
    op(o);
    uleb(align);
    uleb(offset);
  }
};

}  // namespace oriel::jit
