// libFuzzer target: a hostile guest, host input and jumping time against all chipset devices, wired as in a PC.
// Beside the sanitizers it checks that timers always get ahead of time, and that saving and restoring is exact.
#include <algorithm>
#include <cstdlib>
#include <memory>
#include <vector>

#include "devices/acpi_pm.h"
#include "devices/debugcon.h"
#include "devices/dma8237.h"
#include "devices/fw_cfg.h"
#include "devices/hpet.h"
#include "devices/i8042.h"
#include "devices/ioapic.h"
#include "devices/lapic.h"
#include "devices/pic.h"
#include "devices/pit.h"
#include "devices/port92.h"
#include "devices/rtc.h"
#include "devices/sysctrl.h"
#include "devices/uart.h"

using namespace oriel;

namespace {

class Clock final : public Scheduler {
 public:
  u64 now() override { return now_; }
  // In small steps the timers fire at their deadlines, in large ones late.
  void advance(u64 ns, bool exact) {
    u64 end = now_ + ns;
    for (unsigned i = 0; exact && i < 2000 && next_deadline() <= end; i++) {
      now_ = std::max(now_, next_deadline());
      run_due(now_);
    }
    now_ = end;
    run_due(now_);
    if (!damaged && next_deadline() <= now_) std::abort();  // a device that does not catch up
  }
  bool damaged = false;

 protected:
  void deadline_moved_earlier() override {}

 private:
  u64 now_ = 0;
};

constexpr u64 kRam = 1 << 20;

struct Pc {
  explicit Pc(u8* ram) : mem(ram, kRam) {
    mem.map(0, kRam, mem.ram_region(), 0);
    // DMA that hits registers must be harmless too.
    mem.map(Hpet::kBase, 4096, mem.add_mmio(&hpet, 4096), 0);
    mem.map(IoApic::kBase, 4096, mem.add_mmio(&ioapic, 4096), 0);
    mem.map(Lapic::kDefaultBase, 4096, mem.add_mmio(&lapic, 4096), 0);
    fw.add_file("etc/a", std::vector<u8>(5000, 0x5a));
    bus.add(0x00, 16, &dma, 1);
    bus.add(0x20, 2, &pic, 1);
    bus.add(0xa0, 2, &pic, 1);
    bus.add(0x4d0, 2, &pic, 1);
    bus.add(0x40, 4, &pit, 1);
    bus.add(0x61, 1, &pit, 1);
    bus.add(0x60, 1, &kbc, 1);
    bus.add(0x64, 1, &kbc, 1);
    bus.add(0x70, 4, &rtc, 1);
    bus.add(0x80, 1, &debug, 1);
    bus.add(0x402, 1, &debug, 1);
    bus.add(0x81, 15, &dma, 1);
    bus.add(0x92, 1, &port92, 1);
    bus.add(0xc0, 32, &dma, 1);
    bus.add(0xb2, 2, &pm, 1);
    bus.add(0x600, 64, &pm, 4);
    bus.add(0xafe0, 4, &pm, 4);
    bus.add(0xcf9, 1, &sysctrl, 1);
    bus.add(0x3f8, 8, &uart, 1);
    bus.add(0x510, 2, &fw, 2);
    bus.add(0x514, 8, &fw, 4);
    for (Device* d : devices) d->reset();
  }
  void gsi(unsigned n, bool level) {
    if (n < 16) pic.set_irq(n, level);
    ioapic.set_irq(n == 0 ? 2 : n, level);
  }
  IrqLine isa(unsigned n) {
    return IrqLine([this, n](bool l) { gsi(n, l); });
  }
  void state(State& s) {
    clock.state(s);
    for (Device* d : devices) d->state(s);
  }

  Clock clock;
  PhysMem mem;
  IoBus bus;
  unsigned resets = 0;
  Pic pic{[this](bool l) { lapic.set_lint(0, l); }};
  Lapic lapic{clock, {{}, {}, [this] { lapic.init(); }, {}, {}, [this](u8 v) { ioapic.eoi(v); }, {}}};
  IoApic ioapic{[this](u8 dest, bool logical, u8 mode, u8 vector, bool level) {
    return lapic.deliver(dest, logical, mode, vector, level);
  }};
  Pit pit{clock, isa(0)};
  Rtc rtc{clock, isa(8)};
  I8042 kbc{clock, {isa(1), isa(12), {}, [this] { resets++; }}};
  Uart uart{clock, 0x3f8, isa(4), [](const u8*, usize) {}};
  Hpet hpet{clock, {[this](unsigned n, bool l) { ioapic.set_irq(n, l); }, isa(0), isa(8), {}}};
  AcpiPm pm{clock, {isa(9), {}, {}}};
  FwCfg fw{mem};
  Dma8237 dma;
  Port92 port92{{}, [this] { resets++; }};
  DebugCon debug{{}};
  SysCtrl sysctrl{[this](bool) { resets++; }};
  Device* devices[14] = {&pic,  &lapic, &ioapic, &pit, &rtc,    &kbc,   &uart,
                         &hpet, &pm,    &fw,     &dma, &port92, &debug, &sysctrl};
};

constexpr u16 kPorts[] = {0x00,  0x08,  0x20,  0x21,  0xa0,  0xa1,  0x4d0, 0x4d1, 0x40,  0x41,  0x42,
                          0x43,  0x60,  0x61,  0x64,  0x70,  0x71,  0x72,  0x73,  0x80,  0x92,  0xb2,
                          0xb3,  0xc0,  0xcf9, 0x402, 0x3f8, 0x3f9, 0x3fa, 0x3fb, 0x3fc, 0x3fd, 0x510,
                          0x511, 0x514, 0x518, 0x600, 0x602, 0x604, 0x608, 0xafe0};

struct Input {
  const u8* p;
  usize n;
  u8 byte() {
    if (!n) return 0;
    n--;
    return *p++;
  }
  u32 word() { return byte() | byte() << 8 | byte() << 16 | static_cast<u32>(byte()) << 24; }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  static u8 ram[kRam];
  auto pc = std::make_unique<Pc>(ram);
  Input in{data, std::min<usize>(size, 4096)};
  while (in.n) {
    u8 op = in.byte();
    unsigned width = 1u << (op >> 4 & 3) % 3;
    switch (op & 15) {
      case 0:
      case 1:
      case 2: {
        u16 port = kPorts[in.byte() % std::size(kPorts)];
        pc->bus.write(port, width == 1 ? in.byte() : in.word(), width);
        break;
      }
      case 3: pc->bus.read(kPorts[in.byte() % std::size(kPorts)], width); break;
      case 4: pc->bus.write(static_cast<u16>(in.word()), in.word(), width); break;
      case 5: pc->bus.read(static_cast<u16>(in.word()), width); break;
      case 6:
      case 7: {
        MmioHandler* h[3] = {&pc->lapic, &pc->ioapic, &pc->hpet};
        u64 offset = in.byte() << 4 & 0xff0, value = in.word();
        if (op & 0x80) offset |= 8;
        if (op & 0x40) value |= u64{in.word()} << 32;
        unsigned n = 1u << (op >> 4 & 3);
        if (op & 1)
          h[in.byte() % 3]->mmio_write(offset, value, n);
        else
          h[in.byte() % 3]->mmio_read(offset + (value & (8 - n)), n);
        break;
      }
      case 8: pc->clock.advance(in.byte() * 100, true); break;
      case 9: pc->clock.advance(u64{1} << (in.byte() % 38), false); break;
      case 10:  // the CPU takes an interrupt and, sometimes, ends it
        if (pc->lapic.has_interrupt())
          pc->lapic.acknowledge();
        else if (pc->pic.intr())
          pc->pic.acknowledge();
        if (op & 0x10) pc->lapic.mmio_write(0xb0, 0, 4);
        pc->lapic.set_cr8(op >> 5 & 7);
        break;
      case 11: pc->kbc.key(static_cast<u16>(in.word()), op & 0x10); break;
      case 12: {
        s32 dx = static_cast<s32>(in.word()), dy = static_cast<s8>(in.byte());
        pc->kbc.mouse(dx, dy, dy, in.byte());
        break;
      }
      case 13: {
        u8 line[3] = {in.byte(), in.byte(), in.byte()};
        pc->uart.receive(line, op >> 4 & 3);
        pc->uart.set_modem(op & 0x10, op & 0x20, op & 0x40, op & 0x80);
        pc->rtc.set_time(u64{in.word()} << (op >> 4));
        break;
      }
      case 14: {
        u32 v = in.word();
        if (op & 0x10) pc->lapic.set_apic_base(v);
        if (op & 0x20) pc->lapic.set_tsc_deadline(pc->clock.now() + v);
        if (op & 0x40) pc->lapic.deliver_msi(0xfee00000 | (v & 0xffff0), v >> 8);
        if (op & 0x80) pc->gsi(v & 31, v & 32);
        break;
      }
      default: {
        SaveState s;
        pc->state(s);
        if (op & 0x80) {  // a damaged snapshot
          for (unsigned i = 0; i < 4; i++) s.data[in.word() % s.data.size()] ^= in.byte();
          pc->clock.damaged = true;
          LoadState l(s.data.data(), s.data.size() - (op >> 4 & 3));
          pc->state(l);
        } else if (op & 0x40) {
          for (Device* d : pc->devices) d->reset();
        } else {
          LoadState l(s.data.data(), s.data.size());
          pc->state(l);
          SaveState t;
          pc->state(t);
          if (!pc->clock.damaged && (l.bad || l.left() || s.data != t.data)) std::abort();
        }
        break;
      }
    }
  }
  return 0;
}
