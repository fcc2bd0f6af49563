// Fuzzes the processor: random machine state (mode, control registers, segments, tables, registers) and random
// code, for a limited number of instructions. Beside the sanitizers it checks that the state stays coherent, that
// the instruction limit is kept, and that running in one go and one instruction at a time come to the same state
// (block building, self-modifying code and lazy state all break that first).
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "cpu/cpu.h"
#include "support/bare_machine.h"

using namespace oriel;

namespace {

constexpr u32 kPokeEnd = 0x20000;  // the input can overwrite what lies below

class Input {
 public:
  Input(const u8* p, usize n) : p_(p), left_(n) {}
  u8 byte() {
    if (!left_) return 0;
    left_--;
    return *p_++;
  }
  u64 word(unsigned bytes) {
    u64 v = 0;
    for (unsigned i = 0; i < bytes; i++) v |= static_cast<u64>(byte()) << (8 * i);
    return v;
  }
  usize left() const { return left_; }
  const u8* rest() const { return p_; }

 private:
  const u8* p_;
  usize left_;
};

// Ports and registers whose effects reach back into the processor.
class Bus final : public StubBus, public MmioHandler {
 public:
  Cpu* cpu = nullptr;
  u64 state = 0;
  u64 next() { return state = state * 6364136223846793005u + 1442695040888963407u; }
  void effect(u64 value) {
    switch (value & 7) {
      case 1: cpu->set_intr(true); break;
      case 2: cpu->raise_nmi(); break;
      case 3: cpu->request_exit(); break;
      case 4: cpu->set_intr(false); break;
      default: break;
    }
    state ^= value;
  }
  u32 port_read(u16 port, unsigned) override { return static_cast<u32>(next() >> 32) ^ port; }
  void port_write(u16, u32 value, unsigned) override { effect(value); }
  u8 interrupt_acknowledge() override {
    cpu->set_intr(false);
    return static_cast<u8>(next() >> 40);
  }
  u64 tsc() override { return cpu->icount_now() * 3; }
  u64 apic_base() override { return 0xfee00900; }
  bool set_apic_base(u64 v) override { return !(v & 1); }
  u64 mmio_read(u64 offset, unsigned) override { return next() ^ offset; }
  void mmio_write(u64, u64 value, unsigned) override { effect(value); }
};

struct Bench {
  Bus bus;
  BareMachine machine{bus, bus};
  Cpu& cpu = machine.cpu;
  PhysMem& mem = machine.mem;
  Bench() {
    bus.cpu = &cpu;
    cpu.max_spins = 64;
  }
};

Bench* g_bench = nullptr;  // for the whole run: its tables are large

void check(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "interp_fuzz: %s\n", what);
  if (g_bench) {
    char text[4096];
    g_bench->cpu.dump(text, sizeof text);
    std::fputs(text, stderr);
  }
  std::abort();
}

// Builds the machine that the input describes; returns how many instructions to run.
unsigned set_up(Bench& b, Input in) {
  Cpu& c = b.cpu;
  const u8 m0 = in.byte(), m1 = in.byte(), m2 = in.byte();
  const BareMode mode = static_cast<BareMode>(m0 & 7);
  const bool long_mode = is_long(mode), prot = is_protected(mode);
  BareSetup setup;
  setup.mode = mode;
  setup.user = m0 & 8;
  setup.paging = m0 & 0x10;
  setup.pae = m0 & 0x20;
  setup.cr0 = (m1 & 1 ? kCr0WP : 0) | (m1 & 2 ? kCr0AM : 0) | (m1 & 4 ? kCr0TS : 0) | (m1 & 8 ? kCr0EM : 0) |
              (m1 & 0x10 ? kCr0MP : 0) | (m1 & 0x20 ? kCr0NE : 0);
  setup.cr4 = (m2 & 1 ? kCr4VME | kCr4PVI : 0) | (m2 & 2 ? kCr4DE : 0) | (m2 & 4 ? kCr4PSE : 0) |
              (m2 & 8 ? kCr4PGE : 0) | (m2 & 0x10 ? kCr4OSFXSR | kCr4OSXMMEXCPT : 0) |
              (m2 & 0x20 ? kCr4OSXSAVE | kCr4FSGSBASE : 0) | (m2 & 0x40 ? kCr4SMEP : 0) | (m2 & 0x80 ? kCr4SMAP : 0);
  setup.efer = (m1 & 0x40 ? kEferNXE : 0) | (m1 & 0x80 ? kEferSCE : 0);
  b.machine.set_up(setup);
  const bool user = c.cpl == 3;
  if (m2 & 0x20) c.xcr0 = 7;
  // Odd vectors return, some of them through a 16-bit segment; a double fault switches tasks, or stacks.
  for (u32 v = 1; v < 256; v += 2) b.mem.write<u16>(kBareStubs + 4 * v, long_mode ? 0xcf48 : 0xf4cf);
  if (long_mode) {
    b.mem.write<u8>(kBareIdt + 8 * 16 + 4, 1);
  } else {
    for (u32 v = 4; v < 256; v += 5)
      b.mem.write<u64>(kBareIdt + v * 8, bare_gate(kSelCode16, kBareStubs + 4 * v, 0xe6));
    b.mem.write<u64>(kBareIdt + 8 * 8, bare_gate(kSelTss2, 0, 0x85));
  }
  // Some pages read-only, some the supervisor's, some not to be executed.
  for (u32 i = 0; i < 512; i++) {
    const u32 clear = i % 13 == 12 ? 2 : i % 17 == 16 ? 4 : 0;
    b.mem.write<u64>(kBarePt + i * 8,
                     (b.mem.read<u64>(kBarePt + i * 8) & ~u64{clear}) | (i % 19 == 18 ? u64{1} << 63 : 0));
    b.mem.write<u32>(kBarePt32 + i * 4, b.mem.read<u32>(kBarePt32 + i * 4) & ~clear);
  }
  b.bus.state = in.word(2);
  u32 flags = (static_cast<u32>(in.word(3)) & ~u32{kVM}) | (c.rflags & kVM);
  if (!prot) flags &= ~u32{kNT};
  c.set_rflags_raw(flags);

  u8 set = in.byte();
  for (unsigned r = 0; r < 16; r++) {
    u8 v = in.byte();
    u64 value = v < 0x40   ? v
                : v < 0x80 ? static_cast<u64>(v & 0x3f) * 0x100 + 0x4000
                : v < 0xf0 ? static_cast<u64>(static_cast<s64>(static_cast<s8>(v)))
                           : in.word(8);
    c.gpr[r] = long_mode ? value : static_cast<u32>(value);
  }
  if (set & 1) c.gpr[kRSP] = user ? kBareStack3 : kBareStack0;
  if (set & 2) {
    for (V128& x : c.xmm) x.q[0] = in.word(8), x.q[1] = x.q[0] * 0x9e3779b97f4a7c15u;
    c.mxcsr = static_cast<u32>(in.word(2));
  }
  if (set & 4) {
    for (F80& r : c.fpu.r) r.m = in.word(8), r.se = static_cast<u16>(in.word(2));
    c.fpu.cw = static_cast<u16>(in.word(2)) | 0x40, c.fpu.sw = static_cast<u16>(in.word(2)) & 0xc7ff;
    c.fpu.top = in.byte() & 7, c.fpu.tw = in.byte();
  }
  if (set & 8) {
    for (unsigned i = 0; i < 4; i++) c.dr[i] = in.word(3);
    c.dr[7] = in.word(4) & 0xffff23ffu;
  }
  if (set & 0x10) {
    // An odd segment: any base, limit and type (not the code segment, whose attributes make the mode).
    unsigned s = in.byte() % 6;
    if (s != kCS && !(s == kSS && prot)) {
      c.seg[s].base = static_cast<u32>(in.word(3));
      c.seg[s].limit = static_cast<u32>(in.word(4));
      if (prot && mode != BareMode::kVm86) c.seg[s].attr = static_cast<u16>((in.word(2) & 0xcff) | kSegS);
    }
  }
  if (set & 0x20) c.gdtr.limit = static_cast<u16>(in.word(2)), c.idtr.limit = static_cast<u16>(in.word(2));
  if (set & 0x40) c.seg[kTR].limit = static_cast<u32>(in.word(2));

  for (unsigned pokes = in.byte() & 15; pokes; pokes--) {
    u32 at = static_cast<u32>(in.word(3)) % kPokeEnd;
    for (unsigned n = (in.byte() & 15) + 1; n; n--) b.mem.write<u8>(at++, in.byte());
  }
  const u8 count = in.byte();
  const u32 at = kBareCode + (static_cast<u32>(in.word(2)) & 0xfff);
  b.mem.write(at, in.rest(), std::min<usize>(in.left(), 0x4000));
  c.rip = c.fault_rip = at;
  c.update_breakpoints();
  return count + 1u;
}

std::vector<u8> save(Bench& b) {
  SaveState s;
  b.cpu.state(s);
  s.io(b.bus.state);
  for (u64 p = 0; p < kBareRam >> 12; p++) {
    if (!(b.mem.ram_flags()[p] & kPageTouched)) continue;
    s.io(p);
    s.bytes(b.machine.ram.get() + (p << 12), 4096);
  }
  return std::move(s.data);
}

// For a person with a finding: INTERP_FUZZ_TRACE=1 shows every instruction of the second run.
const bool trace = std::getenv("INTERP_FUZZ_TRACE") != nullptr;
void show(Cpu& c) {
  u8 code[15];
  char text[128] = "(not mapped)";
  Insn i;
  Cpu::Exception keep = c.exc;
  u64 pa;
  if (c.translate((c.seg[kCS].lin + c.rip) & c.lin_mask, Cpu::kFetch, c.mmu, pa)) {
    c.mem.read(pa, code, sizeof code);
    decode(code, sizeof code, c.code_mode, i);
    disassemble(i, c.code_mode, c.rip, text, sizeof text);
  }
  c.exc = keep;
  std::fprintf(stderr, "%04x:%llx %-30s cpl %u flags %x events %x rax %llx rcx %llx rsp %llx cr2 %llx\n",
               c.seg[kCS].sel, static_cast<unsigned long long>(c.rip), text, c.cpl, c.get_rflags(), c.events,
               static_cast<unsigned long long>(c.gpr[kRAX]), static_cast<unsigned long long>(c.gpr[kRCX]),
               static_cast<unsigned long long>(c.gpr[kRSP]), static_cast<unsigned long long>(c.cr2));
}

void coherent(Cpu& c) {
  check(c.gpr[kZero] == 0, "the zero slot was written");
  check((c.rflags & kArith) == 0 && (c.rflags & kF1), "RFLAGS");
  check(c.cpl <= 3 && (!c.vm86() || c.cpl == 3) && (c.pe() || c.cpl == 0), "CPL");
  check(c.lma() == ((c.efer & kEferLME) && (c.cr0 & kCr0PG)), "EFER.LMA");
  check(!(c.cr0 & kCr0PG) || c.pe(), "CR0.PG without PE");
  check(c.tlb == c.tlb_set->tables[c.mmu] && c.fpu.top < 8, "derived state");
  SaveState before;
  before.bytes(c.seg, sizeof c.seg);
  u64 masks[4] = {c.lin_mask, c.sp_mask, static_cast<u64>(c.code_mode), c.mmu};
  u32 events = c.events;
  c.update_mode();
  u64 again[4] = {c.lin_mask, c.sp_mask, static_cast<u64>(c.code_mode), c.mmu};
  check(std::equal(masks, masks + 4, again), "the mode is out of date");
  check(((events ^ c.events) & kEvTrap) == 0, "the trap event is out of date");
  SaveState after;
  after.bytes(c.seg, sizeof c.seg);
  check(before.data == after.data, "derived segment state is out of date");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  if (!g_bench) g_bench = new Bench;
  Bench* const b = g_bench;
  Cpu& c = b->cpu;
  unsigned count = set_up(*b, Input(data, size));
  RunResult whole = RunResult::kExit;
  unsigned exits = 0;
  while (c.icount < count && whole == RunResult::kExit && exits++ < 64) {
    whole = c.run(count);
    check(c.icount <= count, "the limit was passed");
    coherent(c);
  }
  if (whole == RunResult::kBudget && c.icount < count) return 0;  // it only faults, or a REP is under way
  const std::vector<u8> one_go = save(*b);
  char one_go_text[4096], text[4096];
  c.dump(one_go_text, sizeof one_go_text);

  set_up(*b, Input(data, size));
  RunResult r = RunResult::kBudget;
  exits = 0;
  while (c.icount < count) {
    u64 before = c.icount;
    if (trace) show(c);
    r = c.run(before + 1);
    if (r == RunResult::kExit && ++exits >= 64) break;
    if (r == RunResult::kHalted || r == RunResult::kShutdown) break;
  }
  const std::vector<u8> stepped = save(*b);
  if (stepped != one_go) {
    c.dump(text, sizeof text);
    usize at = 0;
    while (at < stepped.size() && at < one_go.size() && stepped[at] == one_go[at]) at++;
    std::fprintf(stderr,
                 "in one go (result %d):\n%sone at a time (result %d):\n%sfirst difference at byte %zu of the state\n",
                 static_cast<int>(whole), one_go_text, static_cast<int>(r), text, at);
    check(false, "one instruction at a time comes to another state");
  }
  return 0;
}
