// Bare-metal tests of what user mode cannot show: modes, segmentation, gates, tasks, paging, exceptions, debugging and
// self-modifying code. Each runs twice, freely and one instruction at a time. The tests are tests/unit/system/*.asm,
// each code with its expected outcome and the section of the SDM that says so; see bare.inc. Arguments: the assembled
// files. -v before them shows every test.
#include <cstdio>
#include <string>

#include "support/coverage.h"
#include "support/system_case.h"

using namespace oriel;

namespace {

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

// Returns what is wrong with the outcome.
std::string run_test(BareMachine& m, const SystemCase& test, bool steps) {
  Cpu& c = m.cpu;
  set_up(m, test);
  constexpr u64 kLimit = 20000;
  const RunResult result = steps ? run_by_steps(m, kLimit) : c.run(kLimit);
  SystemState s;
  std::memcpy(s.gpr.data(), c.gpr, sizeof c.gpr[0] * s.gpr.size());
  s.rip = c.rip, s.cr0 = c.cr0, s.cr2 = c.cr2, s.dr6 = c.dr[6], s.efer = c.efer;
  s.flags = static_cast<u32>(c.get_rflags());
  s.cs = c.seg[kCS].sel, s.ss = c.seg[kSS].sel;
  s.ss_base = static_cast<u32>(c.seg[kSS].lin);
  s.big_stack = c.seg[kSS].attr & kSegDB;
  s.cpl = c.cpl;
  s.read = [&m](u64 at, void* to, usize size) { m.mem.read(at, to, size); };
  if (result == RunResult::kShutdown) s.outcome = kOutcomeShutdown;
  if (result == RunResult::kHalted) s.set_halted();
  return wrong_with(test, s);
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
    for (const SystemCase& test : read_system_cases(argv[a]))
      for (const bool steps : {false, true}) {
        const std::string wrong = run_test(machine, test, steps);
        (wrong.empty() ? passed : failed)++;
        if (verbose || !wrong.empty())
          std::printf("%s: %s (SDM %s)%s:%s\n", argv[a], test.name.c_str(), test.section.c_str(),
                      steps ? ", by steps" : "", wrong.empty() ? " ok" : wrong.c_str());
        if (!wrong.empty()) {
          char text[4096];
          machine.cpu.dump(text, sizeof text);
          std::fputs(text, stdout);
        }
      }
  }
  std::printf("%u passed, %u failed\n", passed, failed);
  return failed || !passed || !FormCoverage::get().save("system");
}
