#include "jit/wasm/emit.h"

#include <bit>
#include <string>

#include "cpu/blocks.h"
#include "jit/cpu_layout.h"
#include "jit/wasm/find_jump.h"

namespace oriel::jit {

const ImportInfo kImports[kImportCount] = {
    {"fill", "Ii"},          {"step", "iI"},          {"condition", "iIIi"}, {"commit", "iII"},   {"simd", "iVV", 'V'},
    {"string", "iIII", 'I'}, {"x87_add", "iiii"},     {"x87_mul", "iiii"},   {"x87_div", "iiii"}, {"x87_load", "iiii"},
    {"x87_store", "iiii"},   {"x87_compare", "iiii"}, {"go", "I"},
};

namespace {
enum Section : u8 { kCustom = 0, kTypes = 1, kImportsSection = 2, kFunctions = 3, kExports = 7, kCode = 10 };
enum ExternKind : u8 { kFunction = 0, kTable = 1, kMemory = 2 };

void begin(Writer& out) {
  for (u8 b : {0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00}) out.u8_(b);
}

void section(Writer& out, Section id, const Writer& content) {
  out.op(id);
  out.sized(content.bytes);
}

void import_memory(Writer& imports) {
  imports.name("o");
  imports.name("m");
  imports.u8_(kMemory);
  imports.u8_(0);  // no maximum
  imports.uleb(1);
}
}  // namespace

std::vector<u8> module_of(const std::vector<Body>& bodies, bool chain) {
  const u32 import_count = chain ? kImportCount : kImportGo;
  Writer out;
  begin(out);

  // Type 0 is the units'; then one for each import.
  Writer types;
  types.uleb(1 + kImportCount);
  auto value = [&types](char c) { types.u8_(c == 'V' ? kWasmV128 : c == 'I' ? kWasmI64 : kWasmI32); };
  auto type = [&](const ImportInfo& i) {
    types.u8_(0x60);
    types.uleb(std::string_view(i.params).size());
    for (const char* p = i.params; *p; p++) value(*p);
    types.uleb(1);
    value(i.result);
  };
  type({"", ""});
  for (const ImportInfo& i : kImports) type(i);
  section(out, kTypes, types);

  Writer imports;
  imports.uleb(1 + import_count);
  import_memory(imports);
  for (u32 n = 0; n < import_count; n++) {
    imports.name("o");
    imports.name(kImports[n].name);
    imports.u8_(kFunction);
    imports.uleb(1 + n);
  }
  section(out, kImportsSection, imports);

  Writer functions, exports, code;
  functions.uleb(bodies.size());
  exports.uleb(bodies.size());
  code.uleb(bodies.size());
  for (usize n = 0; n < bodies.size(); n++) {
    functions.uleb(0);
    exports.name(std::to_string(n));
    exports.u8_(kFunction);
    exports.uleb(import_count + n);
    code.sized(bodies[n].bytes);
  }
  section(out, kFunctions, functions);
  section(out, kExports, exports);
  // WebAssembly branch hinting proposal.
  Writer hints;
  hints.name("metadata.code.branch_hint");
  hints.uleb(bodies.size());
  for (usize n = 0; n < bodies.size(); n++) {
    hints.uleb(import_count + n);
    hints.uleb(bodies[n].hints.size());
    for (u32 at : bodies[n].hints) {
      hints.uleb(at);
      hints.uleb(1);
      hints.u8_(0);  // not taken
    }
  }
  section(out, kCustom, hints);
  section(out, kCode, code);
  return std::move(out.bytes);
}

void find_jump(Writer& w, const Addresses& at, u32 lin, u32 jump, bool wide) {
  using Jump = BlockCache::Jump;
  // The index: the low bits xored with those above.
  w.op(kLocalGet, lin);
  w.op(kLocalGet, lin);
  if (wide) {
    w.i64(BlockCache::kJumpBits);
    w.op(kI64ShrU);
    w.op(kI64Xor);
    w.op(kI32WrapI64);
  } else {
    w.i32(BlockCache::kJumpBits);
    w.op(kI32ShrU);
    w.op(kI32Xor);
  }
  w.i32((1u << BlockCache::kJumpBits) - 1);
  w.op(kI32And);
  w.i32(std::countr_zero(sizeof(Jump)));
  w.op(kI32Shl);
  w.op(kLocalTee, jump);
  // In 32-bit code, which the key says it is, the upper half is 0.
  w.memory(wide ? kI64Load : kI32Load, wide ? 3 : 2, at.jumps + static_cast<u32>(offsetof(Jump, lin)));
  w.op(kLocalGet, lin);
  w.op(wide ? kI64Eq : kI32Eq);
  w.op(kLocalGet, jump);
  w.memory(kI64Load, 3, at.jumps + static_cast<u32>(offsetof(Jump, key)));
  w.i32(0);
  w.memory(kI64Load, 3, at.cpu + static_cast<u32>(kCodeKeyOffset));
  w.op(kI64Eq);
  w.op(kI32And);
}

std::vector<u8> chain_module(const Addresses& at) {
  using Jump = BlockCache::Jump;
  Writer out, types, imports, functions, exports, code, body;
  begin(out);
  types.uleb(2);
  for (int b : {0x60, 0, 1, int{kWasmI32}}) types.u8_(static_cast<u8>(b));                 // 0: a unit
  for (int b : {0x60, 1, int{kWasmI64}, 1, int{kWasmI32}}) types.u8_(static_cast<u8>(b));  // 1: go
  section(out, kTypes, types);
  imports.uleb(2);
  import_memory(imports);
  imports.name("o");
  imports.name("t");
  imports.u8_(kTable);
  imports.u8_(kWasmFuncref);
  imports.u8_(0);
  imports.uleb(1);
  section(out, kImportsSection, imports);
  functions.uleb(1);
  functions.uleb(1);
  section(out, kFunctions, functions);
  exports.uleb(1);
  exports.name("go");
  exports.u8_(kFunction);
  exports.uleb(0);
  section(out, kExports, exports);

  enum : u32 { kLin, kEntry, kJump };
  body.uleb(1);
  body.uleb(2);
  body.u8_(kWasmI32);
  find_jump(body, at, kLin, kJump, true);
  body.op(kIf, kWasmVoid);
  body.op(kLocalGet, kJump);
  body.memory(kI32Load, 2, at.jumps + offsetof(Jump, code));
  body.op(kLocalTee, kEntry);
  body.op(kIf, kWasmVoid);
  body.i32(0);
  body.op(kLocalGet, kEntry);
  body.memory(kI32Store, 2, at.entry);
  body.i32(0);
  body.op(kLocalGet, kJump);
  body.memory(kI32Load, 2, at.jumps + offsetof(Jump, page));
  body.memory(kI32Store, 2, at.page);
  body.op(kLocalGet, kEntry);
  body.i32(kSlotShift);
  body.op(kI32ShrU);
  body.op(kReturnCallIndirect, 0);  // type
  body.uleb(0);                     // table
  body.op(kEnd);
  body.op(kEnd);
  body.i32(kLeaveGo);
  body.op(kEnd);
  code.uleb(1);
  code.sized(body.bytes);
  section(out, kCode, code);
  return std::move(out.bytes);
}

}  // namespace oriel::jit
