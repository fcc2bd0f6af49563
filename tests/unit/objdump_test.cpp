// The decoder against a second independent one, binutils' objdump: the length of what we accept, over every opcode of
// all maps with prefixes and a choice of ModRM bytes, in 16-, 32- and 64-bit code. Takes a minute: only with
// ORIEL_FULL in the environment (./test --full), otherwise it is skipped. Argument: a file to write the code to.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "x86/decode.h"

using namespace oriel;

namespace {

constexpr usize kSlot = 32;  // bytes for an instruction, the rest of them NOPs, so that objdump is in step again
constexpr int kSkipped = 77;

// Where objdump is not followed.
struct Difference {
  const char* form;
  const char* why;
};
constexpr Difference kDifferences[] = {
    {"NOP_0D", "the registers of the prefetch group (SDM Vol. 2, table A-3: reserved NOP)"},
    {"BSF_GvEv", "F2 is ignored (SDM Vol. 2, 2.1.1); objdump takes it for invalid"},
    {"BSR_GvEv", "as above"},
    {"FWAIT", "objdump joins it to the x87 instruction behind it"},
    {"MFENCE", "every r/m of the group's row is the fence (SDM Vol. 2, table A-6); objdump wants 0"},
    {"SFENCE", "as above"},
    {"NOP_1A", "MPX, which the CPUID has not: a NOP then (SDM Vol. 2, BNDLDX)"},
    {"NOP_1B", "as above"},
};
bool differs_on_purpose(const Insn& i, CodeMode mode) {
  const char* form = kForms[form_of(i.op)].id;
  // AMD's 16-bit near branches; Intel ignores 66 there (SDM Vol. 2, appendix A, "f64").
  if (mode == CodeMode::k64 && (kForms[form_of(i.op)].attrs & F64) && (i.flags & kInsnOpsz)) return true;
  for (const Difference& d : kDifferences)
    if (!std::strcmp(d.form, form)) return true;
  return false;
}

struct Case {
  Insn insn;
  u8 bytes[kSlot];
};

bool is_legacy_prefix(unsigned b) {
  return (b & 0xe7) == 0x26 || (b >= 0x64 && b < 0x68) || b == 0xf0 || b == 0xf2 || b == 0xf3;
}

std::vector<Case> make_cases(CodeMode mode) {
  static constexpr const char* kEscapes[] = {"", "\x0f", "\x0f\x38", "\x0f\x3a"};
  static constexpr const char* kPrefixes[] = {"", "\x66", "\xf3", "\xf2", "\x67", "\x2e", "\x66\x67"};
  static constexpr u8 kModrm[] = {0x00, 0x05, 0x04, 0x44, 0x85, 0x8c, 0xc0, 0xc9,
                                  0xd2, 0xdb, 0xe4, 0xed, 0xf6, 0xff, 0x3e, 0x29};
  std::vector<Case> cases;
  for (const char* prefix : kPrefixes)
    for (const u8 rex : {0, 0x48, 0x45}) {
      if (rex && mode != CodeMode::k64) continue;
      for (const char* escape : kEscapes)
        for (unsigned op = 0; op < 256; op++)
          for (const u8 modrm : kModrm) {
            // A REX before another prefix is nothing to us and an instruction to objdump.
            if (mode == CodeMode::k64 && !*escape && (op >> 4 == 4 || (rex && is_legacy_prefix(op)))) break;
            Case c;
            std::memset(c.bytes, 0x90, kSlot);
            usize n = 0;
            for (const char* p = prefix; *p; p++) c.bytes[n++] = static_cast<u8>(*p);
            if (rex) c.bytes[n++] = rex;
            for (const char* p = escape; *p; p++) c.bytes[n++] = static_cast<u8>(*p);
            c.bytes[n++] = static_cast<u8>(op), c.bytes[n++] = modrm, c.bytes[n++] = 0x25;
            if (decode(c.bytes, 15, mode, c.insn) == DecodeStatus::kOk && c.insn.op > OP_LONG) cases.push_back(c);
          }
    }
  // VEX: every map, opcode, W, L and pp, two choices of the third register.
  for (unsigned map = 1; map <= 3; map++)
    for (unsigned wlpp = 0; wlpp < 16; wlpp++)
      for (unsigned vvvv : {15u, 11u})
        for (unsigned op = 0; op < 256; op++)
          for (const u8 modrm : kModrm) {
            Case c;
            std::memset(c.bytes, 0x90, kSlot);
            const u8 vex[] = {0xc4,
                              static_cast<u8>(0xe0 | map),
                              static_cast<u8>((wlpp & 8) << 4 | vvvv << 3 | (wlpp & 7)),
                              static_cast<u8>(op),
                              modrm,
                              0x25};
            std::memcpy(c.bytes, vex, sizeof vex);
            if (decode(c.bytes, 15, mode, c.insn) == DecodeStatus::kOk && c.insn.op > OP_LONG) cases.push_back(c);
          }
  return cases;
}

}  // namespace

int main(int argc, char** argv) {
  const char* full = std::getenv("ORIEL_FULL");
  if (!full || !*full) return kSkipped;
  if (argc < 2) return std::puts("usage: objdump_test FILE"), 1;
  static constexpr const char* kMachine[] = {"i8086", "i386", "i386:x86-64"};
  u64 passed = 0, failed = 0;
  for (CodeMode mode : {CodeMode::k16, CodeMode::k32, CodeMode::k64}) {
    const std::vector<Case> cases = make_cases(mode);
    std::FILE* f = std::fopen(argv[1], "wb");
    if (!f) return std::perror(argv[1]), 1;
    for (const Case& c : cases) std::fwrite(c.bytes, 1, kSlot, f);
    if (std::fclose(f)) return std::perror(argv[1]), 1;
    const std::string command = std::string("objdump -D -z -w --insn-width=16 -b binary -m ") +
                                kMachine[static_cast<int>(mode)] + " '" + argv[1] + "'";
    std::FILE* out = popen(command.c_str(), "r");
    if (!out) return std::perror("objdump"), 1;
    std::map<std::string, std::string> failures;
    char line[512];
    usize seen = 0;
    while (std::fgets(line, sizeof line, out)) {
      char* colon = std::strchr(line, ':');
      char* end;
      const u64 at = std::strtoull(line, &end, 16);
      if (!colon || end != colon || colon[1] != '\t' || at % kSlot || at / kSlot >= cases.size()) continue;
      const Case& c = cases[at / kSlot];
      unsigned len = 0;
      const char* p = colon + 2;
      while (std::strtol(p, &end, 16), end == p + 2 && (*end == ' ' || *end == '\t')) len++, p = end + 1;
      seen++;
      const char* form = kForms[form_of(c.insn.op)].id;
      if (len == c.insn.len || differs_on_purpose(c.insn, mode)) {
        passed++;
        continue;
      }
      failed++;
      failures.emplace(form, line);
    }
    if (pclose(out) || seen != cases.size())
      std::printf("objdump failed, or was not understood: %zu of %zu instructions\n", seen, cases.size()), failed++;
    for (const auto& [form, text] : failures)
      std::printf("%s, %s: %s", kMachine[static_cast<int>(mode)], form.c_str(), text.c_str());
  }
  std::printf("%llu passed, %llu failed\n", static_cast<unsigned long long>(passed),
              static_cast<unsigned long long>(failed));
  return failed || !passed;
}
