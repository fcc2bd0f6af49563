#include "support/system_case.h"

#include <cstdio>
#include <cstdlib>

namespace oriel {

namespace {

enum Check : u32 {
  kCheckGprEnd = 16,
  kCheckCr2 = 16,
  kCheckDr6,
  kCheckFlags,
  kCheckCpl,
  kCheckFrame,
  kCheckMem8,
  kCheckMem16,
  kCheckMem32,
  kCheckMem64,
  kCheckSs,
  kCheckCs,
  kCheckCr0,
};
constexpr u32 kNone = 0xffffffff;
constexpr u32 kUserFlag = 0x100, kPagingFlag = 0x200, kPaeFlag = 0x400;
constexpr u32 kTest = 0x54534554;  // "TEST"

struct Reader {
  const std::vector<u8>& file;
  usize at;
  template <class T>
  T get() {
    if (file.size() - at < sizeof(T)) std::puts("a truncated test file"), std::exit(1);
    at += sizeof(T);
    return load<T>(&file[at - sizeof(T)]);
  }
  std::string text() {
    std::string s;
    while (const char c = static_cast<char>(get<u8>())) s += c;
    return s;
  }
};

std::string hex(u64 v) {
  char b[20];
  std::snprintf(b, sizeof b, "%llx", static_cast<unsigned long long>(v));
  return b;
}

}  // namespace

std::vector<SystemCase> read_system_cases(const char* name) {
  std::vector<u8> file;
  if (std::FILE* f = std::fopen(name, "rb")) {
    for (int ch; (ch = std::fgetc(f)) != EOF;) file.push_back(static_cast<u8>(ch));
    std::fclose(f);
  }
  std::vector<SystemCase> cases;
  Reader r{file, 0};
  while (r.get<u32>() == kTest) {
    SystemCase c;
    const u32 code_at = r.get<u32>(), code_len = r.get<u32>(), mode = r.get<u32>();
    c.setup.mode = static_cast<BareMode>(mode & 0xff);
    c.setup.user = mode & kUserFlag;
    c.setup.paging = mode & kPagingFlag;
    c.setup.pae = mode & kPaeFlag;
    c.setup.cr4 = r.get<u32>();
    c.setup.cr0 = r.get<u32>();
    c.setup.efer = r.get<u32>();
    c.outcome = r.get<u32>();
    c.error = r.get<u32>();
    c.address = r.get<u32>();
    c.checks.resize(r.get<u32>());
    for (SystemCheck& k : c.checks) {
      k.kind = r.get<u32>();
      k.where = r.get<u32>();
      k.want = r.get<u64>();
    }
    c.name = r.text();
    c.section = r.text();
    if (file.size() < code_at || file.size() - code_at < code_len) std::puts("a damaged test file"), std::exit(1);
    c.code.assign(&file[code_at], &file[code_at] + code_len);
    cases.push_back(std::move(c));
  }
  return cases;
}

void set_up(BareMachine& m, const SystemCase& c) {
  m.set_up(c.setup);
  m.mem.write(kBareCode, c.code.data(), c.code.size());
}

void SystemState::set_halted() {
  const u64 at = rip - 1;
  outcome = at >= kBareStubs && at < kBareStubs + 1024 ? static_cast<u32>(at - kBareStubs) / 4 : kOutcomeHalt;
}

std::string wrong_with(const SystemCase& c, const SystemState& s) {
  std::string wrong;
  auto expect = [&](const std::string& what, u64 is, u64 want) {
    if (is != want) wrong += " " + what + " is " + hex(is) + ", want " + hex(want) + ";";
  };
  expect("outcome", s.outcome, c.outcome);
  // The frame of the last interrupt.
  const bool wide = s.efer & kEferLMA, real = !(s.cr0 & kCr0PE);
  const unsigned slot = wide ? 8 : real ? 2 : 4;
  const u64 sp_mask = wide && s.cs == kSelCode64 ? ~u64{0} : s.big_stack ? 0xffffffff : 0xffff;
  auto at_stack = [&](u32 index) {
    u64 v = 0;
    s.read(s.ss_base + ((s.gpr[kRSP] + slot * index) & sp_mask), &v, slot);
    return v;
  };
  auto frame = [&](u32 index) { return at_stack(index + (c.error != kNone ? 1 : 0)); };
  if (wrong.empty() && c.outcome < kOutcomeHalt) {
    if (c.error != kNone) expect("error code", at_stack(0), c.error);
    if (c.address != kNone) expect("saved address", frame(0), c.address);
  }
  for (const SystemCheck& k : c.checks) {
    u64 v = 0;
    const u64 where = k.where;
    if (k.kind < kCheckGprEnd) {
      expect("register " + std::to_string(k.kind), s.gpr[k.kind], k.want);
      continue;
    }
    switch (k.kind) {
      case kCheckCr2: expect("CR2", s.cr2, k.want); break;
      case kCheckDr6: expect("DR6", s.dr6 & 0xe00f, k.want); break;
      case kCheckFlags: expect("flags", s.flags & where, k.want); break;
      case kCheckCpl: expect("CPL", s.cpl, k.want); break;
      case kCheckFrame: expect("frame slot " + std::to_string(where), frame(k.where), k.want); break;
      case kCheckMem8: s.read(where, &v, 1), expect("byte at " + hex(where), v, k.want); break;
      case kCheckMem16: s.read(where, &v, 2), expect("word at " + hex(where), v, k.want); break;
      case kCheckMem32: s.read(where, &v, 4), expect("dword at " + hex(where), v, k.want); break;
      case kCheckMem64: s.read(where, &v, 8), expect("qword at " + hex(where), v, k.want); break;
      case kCheckSs: expect("SS", s.ss, k.want); break;
      case kCheckCs: expect("CS", s.cs, k.want); break;
      case kCheckCr0: expect("CR0", s.cr0 & where, k.want); break;
      default: wrong += " an unknown check"; break;
    }
  }
  return wrong;
}

}  // namespace oriel
