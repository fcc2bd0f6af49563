#include "support/bare_machine.h"

#include "cpu/blocks.h"

namespace oriel {

u64 bare_descriptor(u32 base, u32 limit, u32 attr) {
  return (limit & 0xffff) | static_cast<u64>(base & 0xffffff) << 16 | static_cast<u64>(attr & 0xff) << 40 |
         static_cast<u64>(limit >> 16 & 0xf) << 48 | static_cast<u64>(attr >> 8 & 0xf) << 52 |
         static_cast<u64>(base >> 24) << 56;
}

u64 bare_gate(u16 sel, u32 offset, u32 attr) {
  return (offset & 0xffff) | static_cast<u64>(sel) << 16 | static_cast<u64>(attr) << 40 |
         static_cast<u64>(offset >> 16) << 48;
}

BareMachine::BareMachine(StubBus& bus, MmioHandler& mmio) : cpu(mem, bus) {
  mem.set_listener(&cpu);
  mem.map(0, kBareRam, mem.ram_region(), 0);
  mem.map(kBareRom, 0x10000, mem.ram_readonly_region(), kBareRom);
  mem.map(kBareMmio, 0x1000, mem.add_mmio(&mmio, 0x1000), 0);
  mem.unmap(kBareHole, 0x1000);
}

void BareMachine::clear() {
  cpu.reset();
  cpu.blocks->flush();
  cpu.set_a20(true);
  cpu.events = 0;
  cpu.icount = cpu.rep_iterations = 0;
  cpu.ip = cpu.ip_start = nullptr;
  cpu.exc = {};
  cpu.fault_in_new_task = false;
  for (u64 p = 0; p < kBareRam >> 12; p++) {
    u8& f = mem.ram_flags()[p];
    if (f & kPageTouched) std::memset(ram.get() + (p << 12), 0, 4096);
    f = 0;
  }
  cpu.flush_tlb(false);
}

void BareMachine::put_tables(bool long_mode) {
  PhysMem& m = mem;
  auto put = [&](u16 sel, u64 d) { m.write<u64>(kBareGdt + sel, d); };
  put(kSelCode32, bare_descriptor(0, 0xfffff, 0xc9b));
  put(kSelData32, bare_descriptor(0, 0xfffff, 0xc93));
  put(kSelCode16, bare_descriptor(0, 0xffff, 0x09b));
  put(kSelData16, bare_descriptor(0, 0xffff, 0x093));
  put(kSelCode64, bare_descriptor(0, 0xfffff, 0xa9b));
  put(kSelUserCode32, bare_descriptor(0, 0xfffff, 0xcfb));
  put(kSelUserData, bare_descriptor(0, 0xfffff, 0xcf3));
  put(kSelUserCode64, bare_descriptor(0, 0xfffff, 0xafb));
  put(kSelTss, bare_descriptor(kBareTss, 0x7ff, 0x08b));
  put(kSelTss2, bare_descriptor(kBareTss2, 0x67, 0x089));
  put(kSelTss16, bare_descriptor(kBareTss16, 0x2b, 0x081));
  put(kSelLdt, bare_descriptor(kBareLdt, 0xff, 0x082));
  put(kSelCallGate, bare_gate(long_mode ? kSelCode64 : kSelCode32, kBareStubs, 0xec) | u64{2} << 32);
  put(kSelTaskGate, bare_gate(kSelTss2, 0, 0xe5));
  put(kSelConforming, bare_descriptor(0, 0xfffff, 0xc9f));
  put(kSelExpandDown, bare_descriptor(0, 0x3, 0xcf7));
  put(kSelUserCode16, bare_descriptor(0, 0xffff, 0x0fb));
  put(kSelUserData16, bare_descriptor(0, 0xffff, 0x0f3));
  for (u32 v = 0; v < 256; v++) {
    const u32 stub = kBareStubs + 4 * v;
    m.write<u8>(stub, 0xf4);
    m.write<u32>(v * 4, stub);
    if (long_mode)
      m.write<u64>(kBareIdt + v * 16, bare_gate(kSelCode64, stub, 0xee));
    else
      m.write<u64>(kBareIdt + v * 8, bare_gate(kSelCode32, stub, 0xee));
  }
  if (long_mode) {
    for (unsigned i = 0; i < 10; i++) m.write<u64>(kBareTss + 4 + i * 8, kBareStack0 - (i & 3) * 16);
  } else {
    for (u32 t : {kBareTss, kBareTss2}) {
      for (unsigned i = 0; i < 3; i++) {
        m.write<u32>(t + 4 + i * 8, kBareStack0);
        m.write<u32>(t + 8 + i * 8, kSelData32);
      }
      m.write<u32>(t + 0x1c, kBarePd32);
      m.write<u32>(t + 0x20, kBareStubs);
      m.write<u32>(t + 0x24, 2);
      m.write<u32>(t + 0x38, kBareStack0);
      for (unsigned s = 0; s < 6; s++) m.write<u32>(t + 0x48 + s * 4, s == kCS ? kSelCode32 : kSelData32);
    }
    for (unsigned i = 0; i < 3; i++) {
      m.write<u16>(kBareTss16 + 2 + i * 4, static_cast<u16>(kBareStack0));
      m.write<u16>(kBareTss16 + 4 + i * 4, kSelData16);
    }
    m.write<u16>(kBareTss16 + 14, static_cast<u16>(kBareStubs));
    m.write<u16>(kBareTss16 + 16, 2);
    m.write<u16>(kBareTss16 + 26, static_cast<u16>(kBareStack0));
    for (unsigned s = 0; s < 4; s++) m.write<u16>(kBareTss16 + 34 + s * 2, s == kCS ? kSelCode16 : kSelData16);
  }
  m.write<u16>(kBareTss + 0x66, 0x88);
  m.write<u8>(kBareTss + 0x7ff, 0xff);
  // Page tables: the first 2 MiB one to one, everything user and writable, but 40000-7ffff is an alias of 0-3ffff, and
  // so are the large pages: 40000000 (1 GiB, by 4 levels), 200000 and 400000 (2 MiB, the second read-only), 400000
  // (4 MiB, by 2 levels). The top of the address space has the same tables again.
  m.write<u64>(kBarePml4, kBarePdpt | 7);
  m.write<u64>(kBarePml4 + 511 * 8, kBarePdpt | 7);
  m.write<u64>(kBarePdpt, kBarePd | 7);
  m.write<u64>(kBarePdpt + 8, u64{0x87});
  m.write<u64>(kBarePdpt + 511 * 8, kBarePd | 7);
  m.write<u64>(kBarePd, kBarePt | 7);
  m.write<u64>(kBarePd + 8, u64{0x87});
  m.write<u64>(kBarePd + 16, u64{0x85});
  m.write<u64>(kBarePd + 511 * 8, kBarePt | 7);
  for (unsigned i = 0; i < 4; i++) m.write<u64>(kBarePaePdpt + i * 8, kBarePd | 1);
  m.write<u32>(kBarePd32, kBarePt32 | 7);
  m.write<u32>(kBarePd32 + 4, 0x87u);
  m.write<u32>(kBarePd32 + 1023 * 4, kBarePt32 | 7);
  for (u32 i = 0; i < 512; i++) {
    const u32 entry = (i >= 0x40 && i < 0x80 ? i - 0x40 : i) << 12 | 7;
    m.write<u64>(kBarePt + i * 8, entry);
    m.write<u32>(kBarePt32 + i * 4, entry);
  }
}

// The cache as loading `sel` from the table leaves it.
void BareMachine::set_segment(unsigned s, u16 sel) {
  const u64 d = mem.read<u64>(kBareGdt + (sel & ~7u));
  SegCache& g = cpu.seg[s];
  g.sel = sel;
  g.base = (d >> 16 & 0xffffff) | (d >> 32 & 0xff000000);
  g.attr = static_cast<u16>((d >> 40 & 0xff) | (d >> 44 & 0xf00));
  const u32 limit = static_cast<u32>((d & 0xffff) | (d >> 32 & 0xf0000));
  g.limit = g.attr & kSegG ? limit << 12 | 0xfff : limit;
}

void BareMachine::set_up(const BareSetup& s) {
  clear();
  const bool long_mode = is_long(s.mode), prot = is_protected(s.mode), vm86 = s.mode == BareMode::kVm86;
  const bool user = prot && (s.user || vm86), paging = long_mode || (prot && s.paging), pae = long_mode || s.pae;
  put_tables(long_mode);
  Cpu& c = cpu;
  c.cr0 = kCr0ET | (prot ? kCr0PE : 0) | (paging ? kCr0PG : 0) | s.cr0;
  c.cr4 = (pae ? kCr4PAE : 0) | s.cr4;
  c.efer = (long_mode ? kEferLME | kEferLMA : 0) | s.efer;
  c.cr3 = long_mode ? kBarePml4 : pae ? kBarePaePdpt : kBarePd32;
  for (u64& p : c.pdpte) p = kBarePd | 1;
  c.gdtr = DescTable{kBareGdt, kSelEnd - 1};
  c.idtr = prot ? DescTable{kBareIdt, 0xfff} : DescTable{0, 0x3ff};
  c.msr.lstar = c.msr.cstar = c.msr.sysenter_eip = kBareStubs;
  c.msr.star = static_cast<u64>(kSelCode32) << 32 | static_cast<u64>(kSelUserCode32) << 48;
  c.msr.sysenter_cs = kSelCode32;
  c.msr.sysenter_esp = kBareStack0;
  c.set_rflags_raw(kF1 | (vm86 ? kVM : 0));
  c.cpl = user ? 3 : 0;
  for (unsigned k = 0; k < 6; k++) {
    if (!prot || vm86) {
      c.seg[k] = SegCache{};
      c.seg[k].limit = s.mode == BareMode::kUnreal && k != kCS ? 0xffffffff : 0xffff;
      c.seg[k].attr = static_cast<u16>(kSegP | kSegS | kSegRW | kSegA | (vm86 ? 0x60 : 0));
      continue;
    }
    const bool small = s.mode == BareMode::kProt16 || s.mode == BareMode::kCompat16;
    u16 sel;
    if (k != kCS)
      sel = small ? (user ? kSelUserData16 : kSelData16) : user ? kSelUserData : kSelData32;
    else if (s.mode == BareMode::kLong)
      sel = user ? kSelUserCode64 : kSelCode64;
    else
      sel = small ? (user ? kSelUserCode16 : kSelCode16) : user ? kSelUserCode32 : kSelCode32;
    set_segment(k, static_cast<u16>(sel | (user ? 3 : 0)));
  }
  set_segment(kTR, kSelTss);
  set_segment(kLDTR, kSelLdt);
  c.gpr[kRSP] = user ? kBareStack3 : kBareStack0;
  c.rip = c.fault_rip = kBareCode;
  c.update_breakpoints();
}

}  // namespace oriel
