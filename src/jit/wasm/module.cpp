#include "jit/wasm/emit.h"
#include "jit/wasm/writer.h"

#include <string>

namespace oriel::jit {

const ImportInfo kImports[kImportCount] = {
    {"fill", "Ii"}, {"step", "iI"}, {"call", "I"}, {"condition", "iIIi"}, {"commit", "iII"}, {"simd", "iVV", 'V'},
};

namespace {
enum Section : u8 { kTypes = 1, kImportsSection = 2, kFunctions = 3, kExports = 7, kCode = 10 };
enum ExternKind : u8 { kFunction = 0, kMemory = 2 };

void section(Writer& out, Section id, const Writer& content) {
  out.op(id);
  out.sized(content.bytes);
}
}  // namespace

std::vector<u8> module_of(const std::vector<std::vector<u8>>& bodies) {
  Writer out;
  for (u8 b : {0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00}) out.u8_(b);

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
  imports.uleb(1 + kImportCount);
  imports.name("o");
  imports.name("m");
  imports.u8_(kMemory);
  imports.u8_(0);  // no maximum
  imports.uleb(1);
  for (u32 n = 0; n < kImportCount; n++) {
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
    exports.uleb(kImportCount + n);
    code.sized(bodies[n]);
  }
  section(out, kFunctions, functions);
  section(out, kExports, exports);
  section(out, kCode, code);
  return std::move(out.bytes);
}

}  // namespace oriel::jit
