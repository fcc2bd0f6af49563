// Fuzzes the processor: random machine state (mode, control registers, segments, tables, registers) and random
// code, for a limited number of instructions; also as the guest of a host, under a VMCB of which any byte may be wrong.
// Beside the sanitizers it checks that the state stays coherent, that the instruction limit is kept, and that running
// in one go and one instruction at a time come to the same state (block building, self-modifying code and lazy state
// all break that first).
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "cpu/cpu.h"
#include "support/bare_machine.h"

using namespace oriel;

namespace {

constexpr u32 kPokeEnd = 0x20000;  // the input can overwrite what lies below
// The host of a guest (below), and what it hands to VMRUN.
constexpr u32 kVmcb = 0x18000, kMsrpm = 0x1a000, kIopm = 0x19000, kHostIdt = 0x1e000, kHostCode = 0x1f000;

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

// Makes a guest of the machine as it is, whose VMCB the input changes at will, and puts the processor into its host,
// which runs it again after every exit, behind the instruction that was intercepted.
void make_guest(Bench& b, Input& in) {
  Cpu& c = b.cpu;
  PhysMem& m = b.mem;
  for (u32 k = 0; k < 6; k++) m.write<u32>(kVmcb + 4 * k, static_cast<u32>(in.word(2)) * 0x10001u);
  m.write<u32>(kVmcb + 0x10, m.read<u32>(kVmcb + 0x10) | 1);  // VMRUN
  m.write<u64>(kVmcb + 0x40, kIopm);
  m.write<u64>(kVmcb + 0x48, kMsrpm);
  m.write<u32>(kVmcb + 0x58, 1u);
  m.write<u64>(kVmcb + 0x60, in.word(5));                     // virtual interrupts
  m.write<u64>(kVmcb + 0x90, in.byte() & 1);                  // nested paging
  if (in.byte() & 1) m.write<u64>(kVmcb + 0xa8, in.word(6));  // an event
  m.write<u64>(kVmcb + 0xb0, kBarePml4);
  const unsigned segments[] = {kES, kCS, kSS, kDS};
  for (u32 k = 0; k < 4; k++) {
    const SegCache& g = c.seg[segments[k]];
    const u32 at = kVmcb + 0x400 + 16 * k;
    m.write<u16>(at, g.sel), m.write<u16>(at + 2, g.attr), m.write<u32>(at + 4, g.limit), m.write<u64>(at + 8, g.base);
  }
  m.write<u32>(kVmcb + 0x464, c.gdtr.limit), m.write<u64>(kVmcb + 0x468, c.gdtr.base);
  m.write<u32>(kVmcb + 0x484, c.idtr.limit), m.write<u64>(kVmcb + 0x488, c.idtr.base);
  m.write<u8>(kVmcb + 0x4cb, c.cpl);
  const struct {
    u32 at;
    u64 value;
  } saved[] = {{0x4d0, c.efer | kEferSVME},
               {0x548, c.cr4},
               {0x550, c.cr3},
               {0x558, c.cr0},
               {0x560, c.dr[7]},
               {0x568, c.dr[6]},
               {0x570, c.get_rflags()},
               {0x578, c.rip},
               {0x5d8, c.gpr[kRSP]},
               {0x5f8, c.gpr[kRAX]}};
  for (const auto& s : saved) m.write<u64>(kVmcb + s.at, s.value);
  for (unsigned pokes = in.byte() & 7; pokes; pokes--) m.write<u8>(kVmcb + (in.word(2) & 0xfff), in.byte());

  static constexpr u8 kHost[] = {
      0xb8, 0x00, 0x80, 0x01, 0x00,                    // again: mov eax, kVmcb
      0x0f, 0x01, 0xd8,                                // vmrun
      0x48, 0x8b, 0x04, 0x25, 0xc8, 0x80, 0x01, 0x00,  // mov rax, [kVmcb + 0xc8]: next RIP, if it is known
      0x48, 0x85, 0xc0,                                // test rax, rax
      0x74, 0x08,                                      // jz next
      0x48, 0x89, 0x04, 0x25, 0x78, 0x85, 0x01, 0x00,  // mov [kVmcb + 0x578], rax
      0xeb, 0xe1,                                      // next: jmp again
  };
  m.write(kHostCode, kHost, sizeof kHost);
  for (u32 v = 0; v < 256; v++) m.write<u64>(kHostIdt + v * 16, bare_gate(kSelCode64, kBareStubs + 4 * v, 0x8e));
  c.cr0 = kCr0ET | kCr0PE | kCr0PG;
  c.cr3 = kBarePml4;
  c.cr4 = (c.cr4 & (kCr4OSFXSR | kCr4OSXSAVE)) | kCr4PAE;
  c.efer = kEferLME | kEferLMA | kEferSVME | kEferNXE;
  c.gdtr = DescTable{kBareGdt, kSelEnd - 1};
  c.idtr = DescTable{kHostIdt, 0xfff};
  for (unsigned s : segments) {
    c.seg[s] = SegCache{};
    c.seg[s].sel = s == kCS ? kSelCode64 : kSelData32;
    c.seg[s].limit = 0xffffffff;
    c.seg[s].attr = s == kCS ? 0xa9b : 0xc93;
  }
  c.dr[7] = 0x400;
  c.cpl = 0;
  c.gpr[kRSP] = kBareStack0;
  c.set_rflags_raw(kF1 | (in.byte() & 1 ? static_cast<u32>(kIF) : 0));
  c.rip = c.fault_rip = kHostCode;
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
  const bool guest = (m0 & 0xc0) == 0xc0;
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
  c.rip = c.fault_rip = at;
  if (guest) make_guest(b, in);
  b.mem.write(at, in.rest(), std::min<usize>(in.left(), 0x4000));
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
