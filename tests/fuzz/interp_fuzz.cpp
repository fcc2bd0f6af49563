// Fuzzes the processor: random machine state (mode, control registers, segments, tables, registers) and random
// code, for a limited number of instructions. Beside the sanitizers it checks that the state stays coherent, that
// the instruction limit is kept, and that running in one go and one instruction at a time come to the same state
// (block building, self-modifying code and lazy state all break that first).
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "cpu/blocks.h"
#include "cpu/cpu.h"
#include "support/stub_bus.h"

using namespace oriel;

namespace {

constexpr u64 kRam = 2 << 20;
// Physical layout. Everything below kPokeEnd can be overwritten by the input before the run.
constexpr u32 kHltHandler = 0x700, kIretHandler = 0x710, kGdt = 0x1000, kLdt = 0x1400, kIdt = 0x2000, kTss = 0x3000,
              kTss2 = 0x3800, kTss16 = 0x3c00, kStack0 = 0x6000, kStack3 = 0x7000, kCode = 0x8000, kPml4 = 0x10000,
              kPdpt = 0x11000, kPd = 0x12000, kPt = 0x13000, kPd32 = 0x14000, kPt32 = 0x15000, kPaePdpt = 0x16000,
              kPokeEnd = 0x20000, kRom = 0xf0000, kMmio = 0x1c0000, kHole = 0x1d0000;
enum Selector : u16 {
  kCode32 = 0x08,
  kData32 = 0x10,
  kCode16 = 0x18,
  kData16 = 0x20,
  kCode64 = 0x28,
  kUserCode32 = 0x30,
  kUserData = 0x38,
  kUserCode64 = 0x40,
  kTssSel = 0x48,
  kTss2Sel = 0x58,
  kTss16Sel = 0x60,
  kLdtSel = 0x68,
  kCallGate = 0x78,
  kTaskGate = 0x88,
  kConforming = 0x90,
  kExpandDown = 0x98,
  kUserCode16 = 0xa0,
  kUserData16 = 0xa8,
  kGdtEnd = 0xb0
};

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
  std::unique_ptr<u8[]> ram{new u8[kRam]()};
  Bus bus;
  PhysMem mem{ram.get(), kRam};
  Cpu cpu{mem, bus};
  Bench() {
    bus.cpu = &cpu;
    cpu.max_spins = 64;
    mem.set_listener(&cpu);
    mem.map(0, kRam, mem.ram_region(), 0);
    mem.map(kRom, 0x10000, mem.ram_readonly_region(), kRom);
    mem.map(kMmio, 0x1000, mem.add_mmio(&bus, 0x1000), 0);
    mem.unmap(kHole, 0x1000);
  }
  void clear() {
    cpu.reset();
    cpu.blocks->flush();
    cpu.set_a20(true);
    cpu.events = 0;
    cpu.icount = cpu.rep_iterations = 0;
    cpu.ip = cpu.ip_start = nullptr;
    cpu.exc = {};
    cpu.fault_in_new_task = false;
    for (u64 p = 0; p < kRam >> 12; p++) {
      u8& f = mem.ram_flags()[p];
      if (f & kPageTouched) std::memset(ram.get() + (p << 12), 0, 4096);
      f = 0;
    }
    cpu.flush_tlb(false);
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

u64 descriptor(u32 base, u32 limit, u32 attr) {
  return (limit & 0xffff) | static_cast<u64>(base & 0xffffff) << 16 | static_cast<u64>(attr & 0xff) << 40 |
         static_cast<u64>(limit >> 16 & 0xf) << 48 | static_cast<u64>(attr >> 8 & 0xf) << 52 |
         static_cast<u64>(base >> 24) << 56;
}
u64 gate(u16 sel, u32 offset, u32 attr) {
  return (offset & 0xffff) | static_cast<u64>(sel) << 16 | static_cast<u64>(attr) << 40 |
         static_cast<u64>(offset >> 16) << 48;
}

void put_tables(PhysMem& m, bool long_mode) {
  m.write<u8>(kHltHandler, 0xf4);
  m.write<u8>(kIretHandler, long_mode ? 0x48 : 0xcf);
  m.write<u8>(kIretHandler + 1, 0xcf);
  auto put = [&](u16 sel, u64 d) { m.write<u64>(kGdt + sel, d); };
  put(kCode32, descriptor(0, 0xfffff, 0xc9b));
  put(kData32, descriptor(0, 0xfffff, 0xc93));
  put(kCode16, descriptor(0, 0xffff, 0x09b));
  put(kData16, descriptor(0, 0xffff, 0x093));
  put(kCode64, descriptor(0, 0xfffff, 0xa9b));
  put(kUserCode32, descriptor(0, 0xfffff, 0xcfb));
  put(kUserData, descriptor(0, 0xfffff, 0xcf3));
  put(kUserCode64, descriptor(0, 0xfffff, 0xafb));
  put(kTssSel, descriptor(kTss, 0x7ff, 0x08b));
  put(kTss2Sel, descriptor(kTss2, 0x67, 0x089));
  put(kTss16Sel, descriptor(kTss16, 0x2b, 0x081));
  put(kLdtSel, descriptor(kLdt, 0xff, 0x082));
  put(kCallGate, gate(long_mode ? kCode64 : kCode32, kHltHandler, 0xec) | u64{2} << 32);
  put(kTaskGate, gate(kTss2Sel, 0, 0xe5));
  put(kConforming, descriptor(0, 0xfffff, 0xc9f));
  put(kExpandDown, descriptor(0, 0x3, 0xcf7));
  put(kUserCode16, descriptor(0, 0xffff, 0x0fb));
  put(kUserData16, descriptor(0, 0xffff, 0x0f3));
  for (unsigned v = 0; v < 256; v++) {
    u32 handler = v & 1 ? kIretHandler : kHltHandler;
    m.write<u32>(v * 4, handler);
    if (long_mode) {
      m.write<u64>(kIdt + v * 16, gate(kCode64, handler, 0xee) | (v == 8 ? u64{1} << 32 : 0));
      m.write<u64>(kIdt + v * 16 + 8, 0);
    } else {
      m.write<u64>(kIdt + v * 8, v == 8       ? gate(kTss2Sel, 0, 0x85)
                                 : v % 5 == 4 ? gate(kCode16, handler, 0xe6)
                                              : gate(kCode32, handler, 0xee));
    }
  }
  if (long_mode) {
    for (unsigned i = 0; i < 10; i++) m.write<u64>(kTss + 4 + i * 8, kStack0 - (i & 3) * 16);
  } else {
    for (u32 t : {kTss, kTss2}) {
      for (unsigned i = 0; i < 3; i++) m.write<u32>(t + 4 + i * 8, kStack0), m.write<u32>(t + 8 + i * 8, kData32);
      m.write<u32>(t + 0x1c, kPd32);
      m.write<u32>(t + 0x20, kHltHandler), m.write<u32>(t + 0x24, 2), m.write<u32>(t + 0x38, kStack0);
      for (unsigned s = 0; s < 6; s++) m.write<u32>(t + 0x48 + s * 4, s == kCS ? kCode32 : kData32);
    }
    for (unsigned i = 0; i < 3; i++)
      m.write<u16>(kTss16 + 2 + i * 4, kStack0), m.write<u16>(kTss16 + 4 + i * 4, kData16);
    m.write<u16>(kTss16 + 14, kHltHandler), m.write<u16>(kTss16 + 16, 2), m.write<u16>(kTss16 + 26, kStack0);
    for (unsigned s = 0; s < 4; s++) m.write<u16>(kTss16 + 34 + s * 2, s == kCS ? kCode16 : kData16);
  }
  m.write<u16>(kTss + 0x66, 0x88);
  m.write<u8>(kTss + 0x7ff, 0xff);
  // Page tables: identity, with 40000-7ffff an alias of 0-3ffff and every large page an alias of the start.
  m.write<u64>(kPml4, kPdpt | 7), m.write<u64>(kPml4 + 511 * 8, kPdpt | 7);
  m.write<u64>(kPdpt, kPd | 7), m.write<u64>(kPdpt + 8, u64{0x87}), m.write<u64>(kPdpt + 511 * 8, kPd | 7);
  m.write<u64>(kPd, kPt | 7), m.write<u64>(kPd + 8, u64{0x87}), m.write<u64>(kPd + 16, u64{0x85}),
      m.write<u64>(kPd + 511 * 8, kPt | 7);
  for (unsigned i = 0; i < 4; i++) m.write<u64>(kPaePdpt + i * 8, kPd | 1);
  m.write<u32>(kPd32, kPt32 | 7), m.write<u32>(kPd32 + 4, 0x87u), m.write<u32>(kPd32 + 1023 * 4, kPt32 | 7);
  for (unsigned i = 0; i < 512; i++) {
    u64 pa = static_cast<u64>(i >= 0x40 && i < 0x80 ? i - 0x40 : i) << 12;
    u64 flags = i % 13 == 12 ? 5 : i % 17 == 16 ? 3 : 7;
    m.write<u64>(kPt + i * 8, pa | flags | (i % 19 == 18 ? u64{1} << 63 : 0));
    m.write<u32>(kPt32 + i * 4, static_cast<u32>(pa | flags));
  }
}

enum class Mode : u8 { kReal, kProt16, kProt32, kVm86, kCompat32, kCompat16, kLong, kUnreal };

// The cache as loading `sel` from the initial GDT leaves it.
void set_segment(Cpu& c, unsigned s, u16 sel) {
  u64 d = c.mem.read<u64>(kGdt + (sel & ~7u));
  SegCache& g = c.seg[s];
  g.sel = sel;
  g.base = (d >> 16 & 0xffffff) | (d >> 32 & 0xff000000);
  g.attr = static_cast<u16>((d >> 40 & 0xff) | (d >> 44 & 0xf00));
  u32 limit = static_cast<u32>((d & 0xffff) | (d >> 32 & 0xf0000));
  g.limit = g.attr & kSegG ? limit << 12 | 0xfff : limit;
}

// Builds the machine that the input describes; returns how many instructions to run.
unsigned set_up(Bench& b, Input in) {
  Cpu& c = b.cpu;
  b.clear();
  const u8 m0 = in.byte(), m1 = in.byte(), m2 = in.byte();
  const Mode mode = static_cast<Mode>(m0 & 7);
  const bool long_mode = mode == Mode::kLong || mode == Mode::kCompat32 || mode == Mode::kCompat16;
  const bool prot = mode != Mode::kReal && mode != Mode::kUnreal;
  const bool user = prot && ((m0 & 8) || mode == Mode::kVm86);
  const bool paging = long_mode || (prot && (m0 & 0x10));
  const bool pae = long_mode || (m0 & 0x20);
  put_tables(b.mem, long_mode);
  b.bus.state = in.word(2);

  c.cr0 = kCr0ET | (prot ? kCr0PE : 0) | (paging ? kCr0PG : 0) | (m1 & 1 ? kCr0WP : 0) | (m1 & 2 ? kCr0AM : 0) |
          (m1 & 4 ? kCr0TS : 0) | (m1 & 8 ? kCr0EM : 0) | (m1 & 0x10 ? kCr0MP : 0) | (m1 & 0x20 ? kCr0NE : 0);
  c.cr4 = (pae ? kCr4PAE : 0) | (m2 & 1 ? kCr4VME | kCr4PVI : 0) | (m2 & 2 ? kCr4DE : 0) | (m2 & 4 ? kCr4PSE : 0) |
          (m2 & 8 ? kCr4PGE : 0) | (m2 & 0x10 ? kCr4OSFXSR | kCr4OSXMMEXCPT : 0) |
          (m2 & 0x20 ? kCr4OSXSAVE | kCr4FSGSBASE : 0) | (m2 & 0x40 ? kCr4SMEP : 0) | (m2 & 0x80 ? kCr4SMAP : 0);
  c.efer = (long_mode ? kEferLME | kEferLMA : 0) | (m1 & 0x40 ? kEferNXE : 0) | (m1 & 0x80 ? kEferSCE : 0);
  c.cr3 = long_mode ? kPml4 : pae ? kPaePdpt : kPd32;
  if (m2 & 0x20) c.xcr0 = 7;
  for (unsigned i = 0; i < 4; i++) c.pdpte[i] = kPd | 1;
  c.gdtr = DescTable{kGdt, kGdtEnd - 1};
  c.idtr = prot ? DescTable{kIdt, 0xfff} : DescTable{0, 0x3ff};
  c.msr.lstar = c.msr.cstar = c.msr.sysenter_eip = kHltHandler;
  c.msr.star = static_cast<u64>(kCode32) << 32 | static_cast<u64>(kUserCode32) << 48;
  c.msr.sysenter_cs = kCode32, c.msr.sysenter_esp = kStack0;
  u32 flags = static_cast<u32>(in.word(3)) & ~u32{kVM};
  if (mode == Mode::kVm86) flags |= kVM;
  if (!prot) flags &= ~u32{kNT};
  c.set_rflags_raw(flags);
  c.cpl = user ? 3 : 0;
  for (unsigned s = 0; s < 6; s++) {
    if (!prot || mode == Mode::kVm86) {
      c.seg[s] = SegCache{};
      c.seg[s].limit = mode == Mode::kUnreal && s != kCS ? 0xffffffff : 0xffff;
      c.seg[s].attr = static_cast<u16>(kSegP | kSegS | kSegRW | kSegA | (mode == Mode::kVm86 ? 0x60 : 0));
      continue;
    }
    bool small = mode == Mode::kProt16 || mode == Mode::kCompat16;
    u16 sel = s == kCS ? (mode == Mode::kLong ? (user ? kUserCode64 : kCode64)
                          : small             ? (user ? kUserCode16 : kCode16)
                          : user              ? kUserCode32
                                              : kCode32)
                       : (small  ? (user ? kUserData16 : kData16)
                          : user ? kUserData
                                 : kData32);
    set_segment(c, s, static_cast<u16>(sel | (user ? 3 : 0)));
  }
  set_segment(c, kTR, kTssSel);
  set_segment(c, kLDTR, kLdtSel);

  u8 set = in.byte();
  for (unsigned r = 0; r < 16; r++) {
    u8 v = in.byte();
    u64 value = v < 0x40   ? v
                : v < 0x80 ? static_cast<u64>(v & 0x3f) * 0x100 + 0x4000
                : v < 0xf0 ? static_cast<u64>(static_cast<s64>(static_cast<s8>(v)))
                           : in.word(8);
    c.gpr[r] = long_mode ? value : static_cast<u32>(value);
  }
  if (set & 1) c.gpr[kRSP] = user ? kStack3 : kStack0;
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
      if (prot && mode != Mode::kVm86) c.seg[s].attr = static_cast<u16>((in.word(2) & 0xcff) | kSegS);
    }
  }
  if (set & 0x20) c.gdtr.limit = static_cast<u16>(in.word(2)), c.idtr.limit = static_cast<u16>(in.word(2));
  if (set & 0x40) c.seg[kTR].limit = static_cast<u32>(in.word(2));

  for (unsigned pokes = in.byte() & 15; pokes; pokes--) {
    u32 at = static_cast<u32>(in.word(3)) % kPokeEnd;
    for (unsigned n = (in.byte() & 15) + 1; n; n--) b.mem.write<u8>(at++, in.byte());
  }
  const u8 count = in.byte();
  const u32 at = kCode + (static_cast<u32>(in.word(2)) & 0xfff);
  b.mem.write(at, in.rest(), std::min<usize>(in.left(), 0x4000));
  c.rip = c.fault_rip = at;
  c.update_breakpoints();
  return count + 1u;
}

std::vector<u8> save(Bench& b) {
  SaveState s;
  b.cpu.state(s);
  s.io(b.bus.state);
  for (u64 p = 0; p < kRam >> 12; p++) {
    if (!(b.mem.ram_flags()[p] & kPageTouched)) continue;
    s.io(p);
    s.bytes(b.ram.get() + (p << 12), 4096);
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
  check(c.tlb == c.tlb_tables[c.mmu] && c.fpu.top < 8, "derived state");
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
