// Bare-metal tests of what user mode cannot show: modes, segmentation, gates, tasks, paging, exceptions, debugging and
// self-modifying code. Each runs twice, freely and one instruction at a time. The tests are tests/unit/system/*.asm,
// each code with its expected outcome and the section of the SDM that says so; see bare.inc. Arguments: the assembled
// files. -v before them shows every test.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "support/bare_machine.h"
#include "support/coverage.h"

using namespace oriel;

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
constexpr u32 kHalt = 0x100, kShutdown = 0x200, kNone = 0xffffffff;
constexpr u32 kUserFlag = 0x100, kPagingFlag = 0x200, kPaeFlag = 0x400;

class Quiet final : public StubBus, public MmioHandler {
 public:
  u32 port_read(u16 port, unsigned size) override {
    u32 v = 0;
    std::memcpy(&v, &ports_[port], size);
    return v;
  }
  void port_write(u16 port, u32 value, unsigned size) override { std::memcpy(&ports_[port], &value, size); }
  u64 tsc() override { return 0x1122334455667788; }
  u64 mmio_read(u64, unsigned) override { return 0x5a5a5a5a5a5a5a5a; }
  void mmio_write(u64, u64, unsigned) override {}

 private:
  u8 ports_[0x10003] = {};
};

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

// The instruction at CS:RIP; false when it cannot be fetched.
bool fetch(BareMachine& m, Insn& i) {
  Cpu& c = m.cpu;
  u8 bytes[15];
  const Cpu::Exception saved = c.exc;
  for (u8 n = 0; n < 15; n++) {
    u64 pa;
    if (!c.translate_fetch((c.seg[kCS].lin + c.rip + n) & c.lin_mask, pa)) {
      c.exc = saved;
      return false;
    }
    bytes[n] = m.mem.read<u8>(pa);
    if (decode(bytes, n + 1u, c.code_mode, i) == DecodeStatus::kOk) return true;
  }
  return false;
}

// Runs one instruction at a time and notes what retired.
RunResult run_by_steps(BareMachine& m, u64 limit) {
  Cpu& c = m.cpu;
  RunResult result = RunResult::kBudget;
  const u32 spins = c.max_spins;
  c.max_spins = 0;  // return after a fault, too
  for (u64 n = 0; n < 2 * limit && c.icount < limit && result == RunResult::kBudget; n++) {
    Insn i;
    const CodeMode mode = c.code_mode;
    const bool known = fetch(m, i);
    const u64 before = c.icount;
    result = c.run(before + 1);
    if (known && (c.icount != before || only_raises(i))) FormCoverage::get().note(i, mode);
  }
  c.max_spins = spins;
  return result;
}

// Runs the test at `r`; returns what is wrong with its outcome.
std::string run_test(BareMachine& m, Reader r, bool steps, std::string& name, usize& next) {
  const u32 code_at = r.get<u32>(), code_len = r.get<u32>(), mode = r.get<u32>();
  BareSetup s;
  s.mode = static_cast<BareMode>(mode & 0xff);
  s.user = mode & kUserFlag;
  s.paging = mode & kPagingFlag;
  s.pae = mode & kPaeFlag;
  s.cr4 = r.get<u32>();
  s.cr0 = r.get<u32>();
  s.efer = r.get<u32>();
  const u32 outcome = r.get<u32>(), error = r.get<u32>(), address = r.get<u32>(), checks = r.get<u32>();
  Cpu& c = m.cpu;
  m.set_up(s);
  if (r.file.size() < code_at || r.file.size() - code_at < code_len) std::puts("a damaged test file"), std::exit(1);
  m.mem.write(kBareCode, &r.file[code_at], code_len);
  constexpr u64 kLimit = 20000;
  const RunResult result = steps ? run_by_steps(m, kLimit) : c.run(kLimit);

  u32 got = kNone;
  const u64 halt_at = c.rip - 1;
  if (result == RunResult::kShutdown)
    got = kShutdown;
  else if (result == RunResult::kHalted)
    got = halt_at >= kBareStubs && halt_at < kBareStubs + 1024 ? static_cast<u32>(halt_at - kBareStubs) / 4 : kHalt;
  std::string wrong;
  auto expect = [&](const std::string& what, u64 is, u64 want) {
    if (is != want) wrong += " " + what + " is " + hex(is) + ", want " + hex(want) + ";";
  };
  expect("outcome", got, outcome);
  // The frame of the last interrupt.
  const bool wide = c.lma(), real = c.real_mode();
  const unsigned slot = wide ? 8 : real ? 2 : 4;
  auto frame = [&](u32 index) {
    u64 v = 0;
    const u64 offset = c.gpr[kRSP] + slot * (index + (error != kNone ? 1 : 0));
    m.mem.read(c.seg[kSS].lin + (offset & c.sp_mask), &v, slot);
    return v;
  };
  if (wrong.empty() && outcome < kHalt) {
    if (error != kNone) {
      u64 v = 0;
      m.mem.read(c.seg[kSS].lin + (c.gpr[kRSP] & c.sp_mask), &v, slot);
      expect("error code", v, error);
    }
    if (address != kNone) expect("saved address", frame(0), address);
  }
  for (u32 i = 0; i < checks; i++) {
    const u32 kind = r.get<u32>(), where = r.get<u32>();
    const u64 want = r.get<u64>();
    if (kind < kCheckGprEnd) {
      expect("register " + std::to_string(kind), c.gpr[kind], want);
      continue;
    }
    switch (kind) {
      case kCheckCr2: expect("CR2", c.cr2, want); break;
      case kCheckDr6: expect("DR6", c.dr[6] & 0xe00f, want); break;
      case kCheckFlags: expect("flags", c.get_rflags() & where, want); break;
      case kCheckCpl: expect("CPL", c.cpl, want); break;
      case kCheckFrame: expect("frame slot " + std::to_string(where), frame(where), want); break;
      case kCheckMem8: expect("byte at " + hex(where), m.mem.read<u8>(where), want); break;
      case kCheckMem16: expect("word at " + hex(where), m.mem.read<u16>(where), want); break;
      case kCheckMem32: expect("dword at " + hex(where), m.mem.read<u32>(where), want); break;
      case kCheckMem64: expect("qword at " + hex(where), m.mem.read<u64>(where), want); break;
      case kCheckSs: expect("SS", c.seg[kSS].sel, want); break;
      case kCheckCs: expect("CS", c.seg[kCS].sel, want); break;
      case kCheckCr0: expect("CR0", c.cr0 & where, want); break;
      default: wrong += " an unknown check"; break;
    }
  }
  name = r.text();
  name += " (SDM " + r.text() + ")";
  next = r.at;
  return wrong;
}

}  // namespace

int main(int argc, char** argv) {
  Quiet bus;
  BareMachine machine(bus, bus);
  unsigned passed = 0, failed = 0;
  bool verbose = false;
  for (int a = 1; a < argc; a++) {
    if (std::string(argv[a]) == "-v") {
      verbose = true;
      continue;
    }
    std::vector<u8> file;
    if (std::FILE* f = std::fopen(argv[a], "rb")) {
      for (int ch; (ch = std::fgetc(f)) != EOF;) file.push_back(static_cast<u8>(ch));
      std::fclose(f);
    }
    Reader r{file, 0};
    constexpr u32 kTest = 0x54534554;  // "TEST"
    while (r.get<u32>() == kTest) {
      usize next = 0;
      for (const bool steps : {false, true}) {
        std::string name;
        const std::string wrong = run_test(machine, r, steps, name, next);
        (wrong.empty() ? passed : failed)++;
        if (verbose || !wrong.empty())
          std::printf("%s: %s%s:%s\n", argv[a], name.c_str(), steps ? ", by steps" : "",
                      wrong.empty() ? " ok" : wrong.c_str());
        if (!wrong.empty()) {
          char text[4096];
          machine.cpu.dump(text, sizeof text);
          std::fputs(text, stdout);
        }
      }
      r.at = next;
    }
  }
  std::printf("%u passed, %u failed\n", passed, failed);
  return failed || !passed || !FormCoverage::get().save("system");
}
