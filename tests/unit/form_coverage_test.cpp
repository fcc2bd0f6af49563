// The coverage report: for every row of the form table, each variant that the decoder reaches (64-bit or older code,
// register or memory, operand size, VEX.L) must have been executed in tier 0 by some test. Arguments: the files that
// the tests wrote (support/coverage.h). -v before them prints the whole report, otherwise the gaps alone.
#include <cstdio>
#include <cstring>

#include "support/coverage.h"

using namespace oriel;

namespace {

VariantSets reachable(kFormCount);

void reach(const u8* p, CodeMode mode) {
  Insn i;
  if (decode(p, 15, mode, i) == DecodeStatus::kOk && i.op > OP_LONG)
    reachable[form_of(i.op)] |= 1u << variant_of(i, mode).index();
}

// All opcodes of all maps with the prefixes that select a form or an operand size.
void sweep(CodeMode mode) {
  static constexpr const char* kEscapes[] = {"", "\x0f", "\x0f\x38", "\x0f\x3a"};
  static constexpr const char* kPrefixes[] = {"", "\x66", "\xf3", "\xf2", "\x66\xf2", "\x66\xf3"};
  u8 b[24] = {};
  for (const char* prefix : kPrefixes)
    for (const char* escape : kEscapes)
      for (unsigned rex : {0u, 0x48u}) {
        if (rex && mode != CodeMode::k64) continue;
        usize n = 0;
        for (const char* c = prefix; *c; c++) b[n++] = static_cast<u8>(*c);
        if (rex) b[n++] = static_cast<u8>(rex);
        for (const char* c = escape; *c; c++) b[n++] = static_cast<u8>(*c);
        for (unsigned op = 0; op < 256; op++)
          for (unsigned modrm = 0; modrm < 256; modrm++) {
            b[n] = static_cast<u8>(op), b[n + 1] = static_cast<u8>(modrm);
            reach(b, mode);
          }
      }
  for (unsigned map = 1; map <= 3; map++)
    for (unsigned wlpp = 0; wlpp < 16; wlpp++)
      for (unsigned vvvv : {15u, 14u})
        for (unsigned op = 0; op < 256; op++)
          for (unsigned modrm = 0; modrm < 256; modrm++) {
            const u8 vex[] = {0xc4, static_cast<u8>(0xe0 | map),
                              static_cast<u8>((wlpp & 8) << 4 | vvvv << 3 | (wlpp & 7)), static_cast<u8>(op),
                              static_cast<u8>(modrm),
                              // A SIB byte with index 1: VSIB forms need three different registers.
                              0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0};
            reach(vex, mode);
          }
}

FormVariant variant(unsigned index) {
  return FormVariant{(index & 1) != 0, (index & 2) != 0, static_cast<u8>(index >> 2 & 3), (index & 16) != 0};
}

}  // namespace

int main(int argc, char** argv) {
  bool verbose = false;
  std::vector<std::string> names;
  std::vector<VariantSets> tests;
  VariantSets all(kFormCount);
  for (int a = 1; a < argc; a++) {
    if (!std::strcmp(argv[a], "-v")) {
      verbose = true;
      continue;
    }
    VariantSets t(kFormCount);
    if (!read_coverage(argv[a], t)) return std::printf("cannot read %s\n", argv[a]), 1;
    std::string name = argv[a];
    name = name.substr(name.rfind('/') + 1);
    names.push_back(name.substr(0, name.rfind('.')));
    for (u16 f = 0; f < kFormCount; f++) all[f] |= t[f];
    tests.push_back(t);
  }
  for (CodeMode m : {CodeMode::k16, CodeMode::k32, CodeMode::k64}) sweep(m);

  unsigned variants = 0, gaps = 0, unknown = 0;
  for (u16 f = 0; f < kFormCount; f++) {
    if (!reachable[f]) std::printf("%s: the sweep does not reach it\n", kForms[f].id), unknown++;
    for (unsigned v = 0; v < FormVariant::kCount; v++) {
      if (!(reachable[f] >> v & 1)) {
        // The sweep is the yardstick: what was executed and is not in it means that the sweep is too narrow.
        if (all[f] >> v & 1)
          std::printf("%s: %s was executed but is not in the sweep\n", kForms[f].id, variant(v).text().c_str()),
              unknown++;
        continue;
      }
      variants++;
      const bool covered = all[f] >> v & 1;
      gaps += !covered;
      if (covered && !verbose) continue;
      std::printf("%-20s %s %s: %s:", kForms[f].id, kForms[f].mnemonic, kForms[f].operands, variant(v).text().c_str());
      for (usize t = 0; t < tests.size(); t++)
        if (tests[t][f] >> v & 1) std::printf(" %s", names[t].c_str());
      std::puts(covered ? "" : " NOT EXECUTED");
    }
  }
  std::printf("%u forms, %u variants, %u not executed\n", unsigned{kFormCount}, variants, gaps);
  return gaps || unknown || tests.empty();
}
