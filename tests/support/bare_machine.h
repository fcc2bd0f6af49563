// A processor with memory, descriptor tables, a TSS, page tables and interrupt stubs, and no devices: what the
// bare-metal tests and the interpreter's fuzzer start from. The layout is physical and, under every paging mode,
// also linear; tests/unit/system/bare.inc repeats it for the assembler.
#pragma once

#include <memory>

#include "cpu/cpu.h"
#include "support/stub_bus.h"

namespace oriel {

enum BareLayout : u32 {
  kBareGdt = 0x1000,
  kBareLdt = 0x1400,
  kBareIdt = 0x2000,
  kBareTss = 0x3000,  // the running task; 800 bytes, with an I/O bitmap
  kBareTss2 = 0x3800,
  kBareTss16 = 0x3c00,
  kBareStack0 = 0x6000,  // tops of stacks
  kBareStack3 = 0x7000,
  kBareCode = 0x8000,
  kBareStubs = 0xe000,  // four bytes a vector, a HLT in each
  kBarePml4 = 0x10000,
  kBarePdpt = 0x11000,
  kBarePd = 0x12000,
  kBarePt = 0x13000,
  kBarePd32 = 0x14000,
  kBarePt32 = 0x15000,
  kBarePaePdpt = 0x16000,
  kBareRom = 0xf0000,    // 64 KiB that cannot be written
  kBareMmio = 0x1c0000,  // a page
  kBareHole = 0x1d0000,  // a page of nothing
};
constexpr u64 kBareRam = 2 << 20;

enum BareSelector : u16 {
  kSelCode32 = 0x08,
  kSelData32 = 0x10,
  kSelCode16 = 0x18,
  kSelData16 = 0x20,
  kSelCode64 = 0x28,
  kSelUserCode32 = 0x30,
  kSelUserData = 0x38,
  kSelUserCode64 = 0x40,
  kSelTss = 0x48,  // 16 bytes: in long mode the descriptor has an upper half
  kSelTss2 = 0x58,
  kSelTss16 = 0x60,
  kSelLdt = 0x68,       // 16 bytes
  kSelCallGate = 0x78,  // 16 bytes: to the stub of vector 0 in the inner code segment, two parameters
  kSelTaskGate = 0x88,
  kSelConforming = 0x90,
  kSelExpandDown = 0x98,
  kSelUserCode16 = 0xa0,
  kSelUserData16 = 0xa8,
  kSelEnd = 0xb0
};

enum class BareMode : u8 { kReal, kProt16, kProt32, kVm86, kCompat32, kCompat16, kLong, kUnreal };
constexpr bool is_long(BareMode m) {
  return m == BareMode::kLong || m == BareMode::kCompat32 || m == BareMode::kCompat16;
}
constexpr bool is_protected(BareMode m) { return m != BareMode::kReal && m != BareMode::kUnreal; }

struct BareSetup {
  BareMode mode = BareMode::kReal;
  bool user = false;    // CPL 3; virtual-8086 mode always is
  bool paging = false;  // long mode always does
  bool pae = false;
  u64 cr0 = 0, cr4 = 0, efer = 0;  // beside what the mode needs
};

class BareMachine {
 public:
  explicit BareMachine(StubBus& bus, MmioHandler& mmio);
  // Power-on state with zeroed memory, then tables, registers and mode; RIP and RSP are set.
  void set_up(const BareSetup& s);

  std::unique_ptr<u8[]> ram{new u8[kBareRam]()};
  PhysMem mem{ram.get(), kBareRam};
  Cpu cpu;

 private:
  void clear();
  void put_tables(bool long_mode);
  void set_segment(unsigned s, u16 sel);
};

// A region in which nothing is.
class NoMmio final : public MmioHandler {
  u64 mmio_read(u64, unsigned) override { return 0; }
  void mmio_write(u64, u64, unsigned) override {}
};

u64 bare_descriptor(u32 base, u32 limit, u32 attr);
u64 bare_gate(u16 sel, u32 offset, u32 attr);

}  // namespace oriel
