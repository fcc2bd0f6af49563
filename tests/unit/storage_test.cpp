// Unit tests of PCI, the i440FX/PIIX chipset, IDE, virtio-blk and disk images: register sequences as
// firmware and operating systems use them, on a scheduler whose time the test sets.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "devices/i440fx.h"
#include "devices/pci.h"
#include "devices/piix3.h"
#include "devices/virtio_blk.h"
#include "storage/block.h"
#include "support/check.h"

using namespace oriel;

namespace {

#define CHECK_EQ(a, b)                                                                                            \
  do {                                                                                                            \
    u64 va_ = static_cast<u64>(a), vb_ = static_cast<u64>(b);                                                     \
    if (va_ == vb_) {                                                                                             \
      g_passed++;                                                                                                 \
    } else {                                                                                                      \
      g_failed++;                                                                                                 \
      std::printf("%s:%d: %s is %llx, want %llx\n", __FILE__, __LINE__, #a, static_cast<unsigned long long>(va_), \
                  static_cast<unsigned long long>(vb_));                                                          \
    }                                                                                                             \
  } while (0)

class FakeScheduler final : public Scheduler {
 public:
  u64 now() override { return now_; }
  void run(u64 ns) {
    u64 end = now_ + ns;
    while (next_deadline() <= end) {
      now_ = std::max(now_, next_deadline());
      run_due(now_);
    }
    now_ = end;
  }

 protected:
  void deadline_moved_earlier() override {}

 private:
  u64 now_ = 0;
};

class MemoryStore final : public ByteStore {
 public:
  MemoryStore(std::vector<u8>& data, bool can_write) : data_(data), writable_(can_write) {}
  u64 size() const override { return data_.size(); }
  bool writable() const override { return writable_; }
  bool read(u64 offset, void* buf, usize n) override {
    if (fail || offset + n > data_.size()) return false;
    std::memcpy(buf, data_.data() + offset, n);
    return true;
  }
  bool write(u64 offset, const void* buf, usize n) override {
    if (fail || !writable_ || offset + n > data_.size()) return false;
    std::memcpy(data_.data() + offset, buf, n);
    return true;
  }
  bool flush() override {
    flushes++;
    return !fail;
  }
  bool fail = false;
  int flushes = 0;

 private:
  std::vector<u8>& data_;
  bool writable_;
};

// Sector n of test media is filled with a pattern of n.
u8 pattern(u64 sector, u32 i) { return static_cast<u8>(sector * 7 + i * 3 + (i >> 8) + (sector >> 8)); }
std::vector<u8> make_media(u32 sectors) {
  std::vector<u8> v(usize{sectors} * 512);
  for (usize i = 0; i < v.size(); i++) v[i] = pattern(i / 512, i % 512);
  return v;
}

constexpr u64 kRam = 4u << 20;
constexpr u32 kHdaSectors = 40000, kHdbSectors = 2048, kCdBlocks = 600, kVirtioSectors = 5000;

struct Pc {
  std::vector<u8> ram = std::vector<u8>(kRam), bios = std::vector<u8>(256 * 1024), bios_flags = std::vector<u8>(64);
  std::vector<u8> hda_data = make_media(kHdaSectors), hdb_data = make_media(kHdbSectors),
                  cd_data = make_media(kCdBlocks * 4), virtio_data = make_media(kVirtioSectors);
  MemoryStore *hda_store = nullptr, *hdb_store = nullptr, *cd_store = nullptr, *virtio_store = nullptr;
  std::unique_ptr<BlockDevice> hda, hdb, cd, virtio_disk;
  FakeScheduler sched;
  PhysMem mem{ram.data(), kRam};
  IoBus io;
  u32 isa_irqs = 0;  // levels from the PIRQ router
  bool irq14 = false, irq15 = false;
  int irq14_rises = 0, irq15_rises = 0, smram_changes = 0;
  u16 pm_base = 0, smbus_base = 0, bm_base = 0;
  std::vector<std::pair<u64, u32>> msis;
  std::unique_ptr<PciBus> bus;
  std::unique_ptr<I440fx> north;
  std::unique_ptr<Piix3> south;
  std::unique_ptr<PiixIde> ide;
  std::unique_ptr<Piix4Pm> pm;
  std::unique_ptr<VirtioBlk> virtio;

  std::unique_ptr<BlockDevice> open(std::vector<u8>& data, MemoryStore*& store, bool cdrom, bool snapshot = false) {
    auto s = std::make_unique<MemoryStore>(data, true);
    store = s.get();
    std::string error;
    auto d = open_image(std::move(s), snapshot, cdrom, error);
    CHECK(d != nullptr);
    return d;
  }

  Pc() {
    for (usize i = 0; i < bios.size(); i++) bios[i] = static_cast<u8>(i * 5 + (i >> 12));
    hda = open(hda_data, hda_store, false);
    hdb = open(hdb_data, hdb_store, false, true);
    cd = open(cd_data, cd_store, true);
    virtio_disk = open(virtio_data, virtio_store, false);
    mem.map(0, 0xa0000, mem.ram_region(), 0);
    mem.map(0x100000, kRam - 0x100000, mem.ram_region(), 0x100000);
    bus = std::make_unique<PciBus>(PciBus::Wiring{[this](unsigned p, bool l) { south->set_pirq(p, l); },
                                                  [this](u64 a, u32 d) { msis.push_back({a, d}); }});
    auto rom = mem.add_memory(bios.data(), bios.size(), false, bios_flags.data());
    mem.map(0x100000000 - bios.size(), bios.size(), rom, 0);
    north = std::make_unique<I440fx>(
        I440fx::Wiring{mem, rom, bios.data(), static_cast<u32>(bios.size()), [this](bool) { smram_changes++; }});
    south = std::make_unique<Piix3>(
        [this](unsigned irq, bool l) { isa_irqs = l ? isa_irqs | 1u << irq : isa_irqs & ~(1u << irq); });
    PiixIde::Wiring w{IrqLine([this](bool l) {
                        irq14 = l;
                        irq14_rises += l;
                      }),
                      IrqLine([this](bool l) {
                        irq15 = l;
                        irq15_rises += l;
                      }),
                      [this](u16 base, bool on) {
                        bm_base = on ? base : 0;
                        on ? io.add(base, PiixIde::kBusMasterSize, ide.get(), 4)
                           : io.remove(base, PiixIde::kBusMasterSize);
                      }};
    ide = std::make_unique<PiixIde>(sched, mem, std::move(w));
    ide->channel(0).attach_disk(0, hda.get());
    ide->channel(0).attach_disk(1, hdb.get());
    ide->channel(1).attach_cdrom(0, cd.get());
    pm = std::make_unique<Piix4Pm>([this](u16 base, bool on) { pm_base = on ? base : 0; },
                                   [this](u16 base, bool on) {
                                     smbus_base = on ? base : 0;
                                     on ? io.add(base, Piix4Pm::kSmbusSize, pm.get(), 1)
                                        : io.remove(base, Piix4Pm::kSmbusSize);
                                   });
    virtio = std::make_unique<VirtioBlk>(sched, mem, *virtio_disk);
    bus->attach(north.get(), 0x00);
    bus->attach(south.get(), 0x08);
    bus->attach(ide.get(), 0x09);
    bus->attach(pm.get(), 0x0b);
    bus->attach(virtio.get(), 0x18);
    io.add(0xcf8, 8, bus.get(), 4);
    io.add(0x1f0, 8, ide.get(), 4);
    io.add(0x170, 8, ide.get(), 4);
    io.add(0x3f6, 1, ide.get(), 1);
    io.add(0x376, 1, ide.get(), 1);
  }

  u32 cfg(u8 devfn, u8 reg, unsigned size) {
    io.write(0xcf8, 0x80000000 | devfn << 8 | (reg & 0xfc), 4);
    return io.read(static_cast<u16>(0xcfc + (reg & 3)), size);
  }
  void cfg_write(u8 devfn, u8 reg, u32 v, unsigned size) {
    io.write(0xcf8, 0x80000000 | devfn << 8 | (reg & 0xfc), 4);
    io.write(static_cast<u16>(0xcfc + (reg & 3)), v, size);
  }
};

constexpr u8 kIdeFn = 0x09, kPmFn = 0x0b, kVirtioFn = 0x18;

// ---- PCI and chipset ---------------------------------------------------------------------------

void test_pci() {
  Pc pc;
  // Mechanism #1 as Linux probes it.
  pc.io.write(0xcfb, 1, 1);
  pc.io.write(0xcf8, 0x80000000, 4);
  CHECK_EQ(pc.io.read(0xcf8, 4), 0x80000000);
  CHECK_EQ(pc.cfg(0x00, 0, 4), 0x12378086);
  CHECK_EQ(pc.cfg(0x00, 0x2c, 4), 0x11001af4);
  CHECK_EQ(pc.cfg(0x00, 0x0a, 2), 0x0600);
  CHECK_EQ(pc.cfg(0x08, 0, 4), 0x70008086);
  CHECK_EQ(pc.cfg(0x08, 0x0e, 1), 0x80);
  CHECK_EQ(pc.cfg(0x09, 0, 4), 0x70108086);
  CHECK_EQ(pc.cfg(0x09, 0x08, 4), 0x01018000);
  CHECK_EQ(pc.cfg(0x0b, 0, 4), 0x71138086);
  CHECK_EQ(pc.cfg(0x0b, 0x0a, 2), 0x0680);
  CHECK_EQ(pc.cfg(0x0a, 0, 4), 0xffffffff);  // no USB
  CHECK_EQ(pc.cfg(0x18, 0, 4), 0x10421af4);
  pc.io.write(0xcf8, 0x80010000, 4);  // bus 1
  CHECK_EQ(pc.io.read(0xcfc, 4), 0xffffffff);
  pc.io.write(0xcf8, 0x00000000, 4);  // not enabled
  CHECK_EQ(pc.io.read(0xcfc, 4), 0xffffffff);
  pc.io.write(0xcf8, 0x80000000, 4);
  CHECK_EQ(pc.io.read(0xcfd, 2), 0x3780);  // not aligned
  CHECK_EQ(pc.io.read(0xcff, 1), 0x12);
  CHECK_EQ(pc.io.read(0xcf8, 1), 0xff);
  pc.cfg_write(0x00, 0, 0, 4);
  CHECK_EQ(pc.cfg(0x00, 0, 4), 0x12378086);

  // BAR sizing.
  CHECK_EQ(pc.cfg(kIdeFn, 0x20, 4), 1);
  pc.cfg_write(kIdeFn, 0x20, 0xffffffff, 4);
  CHECK_EQ(pc.cfg(kIdeFn, 0x20, 4), 0xfffffff1);
  pc.cfg_write(kIdeFn, 0x20, 0xc041, 4);
  CHECK_EQ(pc.bm_base, 0);
  pc.cfg_write(kIdeFn, 4, 5, 2);
  CHECK_EQ(pc.bm_base, 0xc040);
  pc.cfg_write(kIdeFn, 0x20, 0xd000, 4);
  CHECK_EQ(pc.bm_base, 0xd000);
  pc.cfg_write(kIdeFn, 4, 4, 2);
  CHECK_EQ(pc.bm_base, 0);
  pc.cfg_write(kIdeFn, 0x10, 0xffffffff, 4);
  CHECK_EQ(pc.cfg(kIdeFn, 0x10, 4), 0);
  pc.cfg_write(kVirtioFn, 0x10, 0xffffffff, 4);
  CHECK_EQ(pc.cfg(kVirtioFn, 0x10, 4), 0xffffc000);
  pc.cfg_write(kVirtioFn, 4, 2, 2);
  CHECK(pc.mem.page(0xffffc000).mmio == nullptr);  // the BIOS stays
  CHECK_EQ(pc.mem.read<u8>(0xffffffff), pc.bios.back());
  pc.cfg_write(kVirtioFn, 0x10, 0x1000 & ~0x3fff, 4);
  pc.cfg_write(kVirtioFn, 0x10, 0x8000, 4);  // over RAM: the memory controller has it
  CHECK(pc.mem.page(0x8000).host != nullptr);
  pc.cfg_write(kVirtioFn, 0x10, 0xfebf0000, 4);
  CHECK(pc.mem.page(0xfebf0000).mmio != nullptr);
  CHECK_EQ(pc.mem.page(0xfebf3000).mmio_offset, 0x3000);
  CHECK(pc.mem.page(0xfebf4000).mmio == nullptr);
  pc.cfg_write(kVirtioFn, 4, 0, 2);
  CHECK(pc.mem.page(0xfebf0000).mmio == nullptr);

  // The state comes back, mappings included.
  pc.cfg_write(kVirtioFn, 4, 2, 2);
  SaveState save;
  pc.virtio->state(save);
  pc.virtio->reset();
  CHECK(pc.mem.page(0xfebf0000).mmio == nullptr);
  CHECK_EQ(pc.cfg(kVirtioFn, 0x10, 4), 0);
  LoadState load(save.data.data(), save.data.size());
  pc.virtio->state(load);
  CHECK(!load.bad && load.left() == 0);
  CHECK(pc.mem.page(0xfebf0000).mmio != nullptr);
}

class MsiDevice final : public PciDevice {
 public:
  MsiDevice() : PciDevice(0x1234, 0x1111, 0x020000) {
    config[0x3d] = 1;
    declare_bar(0, BarKind::kMem64, 0x1000, true);
    declare_bar(kRom, BarKind::kMem32, 0x10000);
    add_msi();
  }
  const char* name() const override { return "msi-test"; }
  void bar_changed(unsigned bar, u64 address) override { where[bar] = address; }
  u64 where[7] = {kUnmapped, kUnmapped, kUnmapped, kUnmapped, kUnmapped, kUnmapped, kUnmapped};
};

void test_interrupts() {
  Pc pc;
  MsiDevice a, b;
  pc.bus->attach(&a, 0x20);  // slot 4 pin A: PIRQD
  pc.bus->attach(&b, 0x40);  // slot 8 pin A: PIRQD
  pc.cfg_write(0x08, 0x60, 0x0b0b0a0a, 4);
  a.set_intx(true);
  CHECK_EQ(pc.isa_irqs, 1u << 11);
  CHECK_EQ(pc.cfg(0x20, 6, 2) & 0x18, 0x18);  // interrupt status, capability list
  b.set_intx(true);
  a.set_intx(false);
  CHECK_EQ(pc.isa_irqs, 1u << 11);
  b.set_intx(false);
  CHECK_EQ(pc.isa_irqs, 0);
  a.set_intx(true);
  pc.cfg_write(0x08, 0x63, 0x05, 1);
  CHECK_EQ(pc.isa_irqs, 1u << 5);
  pc.cfg_write(0x08, 0x63, 0x80, 1);
  CHECK_EQ(pc.isa_irqs, 0);
  pc.cfg_write(0x08, 0x63, 0x0d, 1);  // reserved
  CHECK_EQ(pc.isa_irqs, 0);
  pc.cfg_write(0x08, 0x63, 0x0b, 1);
  CHECK_EQ(pc.isa_irqs, 1u << 11);
  pc.cfg_write(0x20, 4, 0x400, 2);  // INTx disable
  CHECK_EQ(pc.isa_irqs, 0);
  CHECK_EQ(pc.cfg(0x20, 6, 1) & 8, 8);
  pc.cfg_write(0x20, 4, 0x000, 2);
  CHECK_EQ(pc.isa_irqs, 1u << 11);
  // MSI: enabling it takes the request off the line.
  CHECK(!a.send_msi());
  u8 cap = static_cast<u8>(pc.cfg(0x20, 0x34, 1));
  CHECK_EQ(pc.cfg(0x20, cap, 1), 5);
  pc.cfg_write(0x20, cap + 4, 0xfee01003, 4);
  pc.cfg_write(0x20, cap + 12, 0x4051, 2);
  pc.cfg_write(0x20, cap + 2, 1, 2);
  CHECK_EQ(pc.isa_irqs, 0);
  CHECK(a.send_msi());
  CHECK_EQ(pc.msis.size(), 0);  // not a bus master
  pc.cfg_write(0x20, 4, 4, 2);
  CHECK(a.send_msi());
  CHECK_EQ(pc.msis.size(), 1);
  CHECK_EQ(pc.msis[0].first, 0xfee01000);
  CHECK_EQ(pc.msis[0].second, 0x4051);
  // 64-bit and ROM BARs.
  pc.cfg_write(0x20, 0x10, 0xffffffff, 4);
  pc.cfg_write(0x20, 0x14, 0xffffffff, 4);
  CHECK_EQ(pc.cfg(0x20, 0x10, 4), 0xfffff00c);
  CHECK_EQ(pc.cfg(0x20, 0x14, 4), 0xffffffff);
  pc.cfg_write(0x20, 0x30, 0xfffff800, 4);
  CHECK_EQ(pc.cfg(0x20, 0x30, 4), 0xffff0000);
  pc.cfg_write(0x20, 0x10, 0xe0000000, 4);
  pc.cfg_write(0x20, 0x14, 1, 4);
  pc.cfg_write(0x20, 0x30, 0xfeb00001, 4);
  pc.cfg_write(0x20, 4, 2, 2);
  CHECK_EQ(a.where[0], 0x1e0000000);
  CHECK_EQ(a.where[6], 0xfeb00000);
  pc.cfg_write(0x20, 0x30, 0xfeb00000, 4);
  CHECK_EQ(a.where[6], PciDevice::kUnmapped);
  a.reset();
  CHECK_EQ(a.where[0], PciDevice::kUnmapped);
  CHECK(!a.msi_enabled());
}

void test_pam() {
  Pc pc;
  auto bios_at = [&](u32 pa) { return pc.bios[pc.bios.size() - (0x100000 - pa)]; };
  CHECK_EQ(pc.mem.read<u8>(0xffff0), bios_at(0xffff0));
  CHECK_EQ(pc.mem.read<u8>(0xe0000), bios_at(0xe0000));
  CHECK_EQ(pc.mem.read<u8>(0xfffffff0), bios_at(0xffff0));
  CHECK_EQ(pc.mem.read<u8>(0xc0000), 0xff);
  pc.mem.write<u8>(0xf0000, 0x12);
  CHECK_EQ(pc.ram[0xf0000], 0);
  // Write enable only: reads from ROM, writes to the RAM beneath.
  pc.cfg_write(0, 0x59, 0x20, 1);
  for (u32 pa = 0xf0000; pa < 0x100000; pa++) pc.mem.write<u8>(pa, pc.mem.read<u8>(pa));
  CHECK_EQ(pc.ram[0xfabcd], bios_at(0xfabcd));
  pc.mem.write<u32>(0xf0000, 0xdeadbeef);
  CHECK_EQ(load<u32>(&pc.ram[0xf0000]), 0xdeadbeef);
  CHECK_EQ(pc.mem.read<u8>(0xf0000), bios_at(0xf0000));
  CHECK(pc.mem.ram_flags()[0xf0] & kPageDirty);
  // Both: RAM.
  pc.cfg_write(0, 0x59, 0x30, 1);
  CHECK_EQ(pc.mem.read<u32>(0xf0000), 0xdeadbeef);
  pc.mem.write<u8>(0xf0000, 0x55);
  CHECK_EQ(pc.ram[0xf0000], 0x55);
  // Read only.
  pc.cfg_write(0, 0x59, 0x10, 1);
  pc.mem.write<u8>(0xf0000, 0x66);
  CHECK_EQ(pc.mem.read<u8>(0xf0000), 0x55);
  // As SeaBIOS opens C0000-EFFFF.
  for (u8 r = 0x5a; r <= 0x5f; r++) pc.cfg_write(0, r, 0x33, 1);
  pc.mem.write<u8>(0xc0000, 1);
  pc.mem.write<u8>(0xeffff, 2);
  CHECK_EQ(pc.ram[0xc0000], 1);
  CHECK_EQ(pc.ram[0xeffff], 2);
  pc.cfg_write(0, 0x5a, 0x31, 1);  // C0000-C3FFF protected
  pc.mem.write<u8>(0xc3fff, 9);
  pc.mem.write<u8>(0xc4000, 9);
  CHECK_EQ(pc.ram[0xc3fff], 0);
  CHECK_EQ(pc.ram[0xc4000], 9);
  SaveState save;
  pc.north->state(save);
  pc.north->reset();
  CHECK_EQ(pc.mem.read<u8>(0xffff0), bios_at(0xffff0));
  LoadState load(save.data.data(), save.data.size());
  pc.north->state(load);
  CHECK(!load.bad);
  CHECK_EQ(pc.mem.read<u8>(0xf0000), 0x55);
  // SMRAM: opened, then closed by the lock for good.
  pc.smram_changes = 0;
  pc.cfg_write(0, 0x72, 0x4a, 1);
  CHECK_EQ(pc.smram_changes, 1);
  CHECK_EQ(pc.cfg(0, 0x72, 1), 0x4a);
  pc.cfg_write(0, 0x72, 0x5a, 1);
  CHECK_EQ(pc.cfg(0, 0x72, 1), 0x1a);
  CHECK_EQ(pc.smram_changes, 2);
  pc.cfg_write(0, 0x72, 0x4a, 1);
  CHECK_EQ(pc.cfg(0, 0x72, 1), 0x1a);
}

void test_pm() {
  Pc pc;
  CHECK_EQ(pc.cfg(kPmFn, 0x58, 4) & 0x02000000, 0x02000000);
  pc.cfg_write(kPmFn, 0x40, 0x601, 4);
  CHECK_EQ(pc.pm_base, 0);
  pc.cfg_write(kPmFn, 0x80, 1, 1);
  CHECK_EQ(pc.pm_base, 0x600);
  CHECK_EQ(pc.cfg(kPmFn, 0x40, 4), 0x601);
  pc.cfg_write(kPmFn, 0x90, 0x701, 4);
  pc.cfg_write(kPmFn, 0xd2, 9, 1);
  CHECK_EQ(pc.smbus_base, 0x700);
  CHECK_EQ(pc.io.read(0x700, 1), 0);
  pc.io.write(0x702, 0x48, 1);
  CHECK_EQ(pc.io.read(0x700, 1), 0x06);
  pc.io.write(0x700, 0x1e, 1);
  CHECK_EQ(pc.io.read(0x700, 1), 0);
  pc.pm->reset();
  CHECK_EQ(pc.pm_base, 0);
  CHECK_EQ(pc.smbus_base, 0);
  CHECK_EQ(pc.cfg(kPmFn, 0x3d, 1), 1);
}

// ---- IDE ---------------------------------------------------------------------------------------

struct Ide {
  Pc& pc;
  u16 base, control;
  explicit Ide(Pc& p, unsigned channel = 0) : pc(p), base(channel ? 0x170 : 0x1f0), control(channel ? 0x376 : 0x3f6) {}
  u8 in(unsigned r) { return static_cast<u8>(pc.io.read(static_cast<u16>(base + r), 1)); }
  void out(unsigned r, u8 v) { pc.io.write(static_cast<u16>(base + r), v, 1); }
  u8 alt() { return static_cast<u8>(pc.io.read(control, 1)); }
  void set_control(u8 v) { pc.io.write(control, v, 1); }
  bool irq() { return base == 0x1f0 ? pc.irq14 : pc.irq15; }
  // Until not busy, a microsecond a poll.
  u8 wait() {
    for (int i = 0; i < 1000000 && (alt() & 0x80); i++) pc.sched.run(1000);
    CHECK(!(alt() & 0x80));
    return alt();
  }
  void address(u32 lba, u8 count, u8 drive) {
    out(6, static_cast<u8>(0xe0 | drive << 4 | (lba >> 24 & 15)));
    out(2, count);
    out(3, static_cast<u8>(lba));
    out(4, static_cast<u8>(lba >> 8));
    out(5, static_cast<u8>(lba >> 16));
  }
  void address48(u64 lba, u16 count, u8 drive) {
    out(6, static_cast<u8>(0xe0 | drive << 4));
    out(2, static_cast<u8>(count >> 8));
    out(3, static_cast<u8>(lba >> 24));
    out(4, static_cast<u8>(lba >> 32));
    out(5, static_cast<u8>(lba >> 40));
    out(2, static_cast<u8>(count));
    out(3, static_cast<u8>(lba));
    out(4, static_cast<u8>(lba >> 8));
    out(5, static_cast<u8>(lba >> 16));
  }
  std::vector<u8> read(u32 n, unsigned width = 2) {
    std::vector<u8> v(n + 4);
    for (u32 i = 0; i < n; i += width) store<u32>(&v[i], pc.io.read(base, width));
    v.resize(n);
    return v;
  }
  void write(const u8* p, u32 n, unsigned width = 2) {
    for (u32 i = 0; i < n; i += width) {
      u32 v = 0;
      std::memcpy(&v, p + i, width);
      pc.io.write(base, v, width);
    }
  }
};

bool is_sectors(const u8* p, u64 first, u32 n) {
  for (u32 i = 0; i < n * 512; i++) {
    if (p[i] != pattern(first + i / 512, i % 512)) return false;
  }
  return true;
}

std::string text(const std::vector<u8>& v, unsigned word, unsigned words) {
  std::string s;
  for (unsigned i = 0; i < words * 2; i++) s += static_cast<char>(v[word * 2 + (i ^ 1)]);
  while (!s.empty() && s.back() == ' ') s.pop_back();
  return s;
}

void test_ide_pio() {
  Pc pc;
  Ide d(pc);
  // Presence as SeaBIOS checks it.
  for (u8 dh : {0xa0, 0xb0}) {
    d.out(6, dh);
    CHECK_EQ(d.in(7) & 0x80, 0);
    d.out(2, 0x55);
    d.out(3, 0xaa);
    CHECK_EQ(d.in(2), 0x55);
    CHECK_EQ(d.in(3), 0xaa);
    CHECK_EQ(d.in(6), dh);
  }
  // Soft reset and signature.
  d.set_control(0x06);
  CHECK_EQ(d.alt(), 0x80);
  pc.sched.run(5000);
  d.set_control(0x02);
  CHECK_EQ(d.alt(), 0x80);
  d.wait();
  CHECK_EQ(d.in(1), 1);
  CHECK_EQ(d.in(2), 1);
  CHECK_EQ(d.in(3), 1);
  CHECK_EQ(d.in(4), 0);
  CHECK_EQ(d.in(5), 0);
  CHECK_EQ(d.in(7), 0x50);
  CHECK(!d.irq());
  // nIEN hides the interrupt, not the data.
  d.out(7, 0xec);
  CHECK_EQ(d.alt(), 0x80);
  CHECK_EQ(d.wait(), 0x58);
  CHECK(!d.irq());
  d.set_control(0);
  CHECK(d.irq());
  CHECK_EQ(d.in(7), 0x58);
  CHECK(!d.irq());
  auto id = d.read(512);
  CHECK_EQ(d.in(7), 0x50);
  CHECK_EQ(load<u32>(&id[120]), kHdaSectors);
  CHECK_EQ(load<u64>(&id[200]), kHdaSectors);
  CHECK_EQ(load<u16>(&id[2]), kHdaSectors / 1008);
  CHECK(text(id, 27, 20) == "ORIEL HARDDISK");
  u8 sum = 0;
  for (u8 b : id) sum = static_cast<u8>(sum + b);
  CHECK_EQ(sum, 0);
  CHECK_EQ(id[510], 0xa5);
  // READ SECTORS, one interrupt a sector, none after the last is drained.
  pc.irq14_rises = 0;
  d.address(100, 3, 0);
  d.out(7, 0x20);
  for (u32 i = 0; i < 3; i++) {
    CHECK_EQ(d.wait(), 0x58);
    CHECK(d.irq());
    CHECK_EQ(d.in(7), 0x58);
    auto s = d.read(512, i == 1 ? 4 : 2);
    CHECK(is_sectors(s.data(), 100 + i, 1));
  }
  CHECK_EQ(d.in(7), 0x50);
  CHECK_EQ(pc.irq14_rises, 3);
  CHECK_EQ(d.in(3), 102);
  // CHS.
  d.out(6, 0xa0 | 5);
  d.out(2, 1);
  d.out(3, 7);
  d.out(4, 3);
  d.out(5, 0);
  d.out(7, 0x20);
  d.wait();
  auto chs = d.read(512);
  CHECK(is_sectors(chs.data(), (3 * 16 + 5) * 63 + 6, 1));
  CHECK_EQ(d.in(3), 7);
  CHECK_EQ(d.in(6) & 15, 5);
  d.out(3, 0);  // sector 0 does not exist
  d.out(7, 0x20);
  CHECK_EQ(d.wait(), 0x51);
  CHECK_EQ(d.in(1), 0x10);
  // INITIALIZE DEVICE PARAMETERS changes the translation.
  d.out(6, 0xa0 | 7);
  d.out(2, 32);
  d.out(7, 0x91);
  CHECK_EQ(d.wait(), 0x50);
  d.out(6, 0xa0 | 7);
  d.out(2, 1);
  d.out(3, 32);
  d.out(4, 9);
  d.out(5, 0);
  d.out(7, 0x20);
  d.wait();
  chs = d.read(512);
  CHECK(is_sectors(chs.data(), (9 * 8 + 7) * 32 + 31, 1));
  // READ MULTIPLE needs SET MULTIPLE MODE.
  d.address(1000, 20, 0);
  d.out(7, 0xc4);
  CHECK_EQ(d.wait(), 0x51);
  CHECK_EQ(d.in(1), 4);
  d.out(2, 5);
  d.out(7, 0xc6);
  CHECK_EQ(d.wait(), 0x51);
  d.out(2, 16);
  d.out(7, 0xc6);
  CHECK_EQ(d.wait(), 0x50);
  pc.irq14_rises = 0;
  d.in(7);
  d.address48(1000, 20, 0);
  d.out(7, 0x29);
  CHECK_EQ(d.wait(), 0x58);
  d.in(7);
  auto m = d.read(16 * 512, 4);
  CHECK(is_sectors(m.data(), 1000, 16));
  CHECK_EQ(d.wait(), 0x58);
  d.in(7);
  m = d.read(4 * 512);
  CHECK(is_sectors(m.data(), 1016, 4));
  CHECK_EQ(d.in(7), 0x50);
  CHECK_EQ(pc.irq14_rises, 2);
  // Beyond the end.
  d.address(kHdaSectors - 1, 2, 0);
  d.out(7, 0x20);
  CHECK_EQ(d.wait(), 0x51);
  CHECK_EQ(d.in(1), 0x10);
  d.address48(0xffffffffffff, 0, 0);
  d.out(7, 0x24);
  CHECK_EQ(d.wait(), 0x51);
  // 48-bit registers read back through HOB.
  d.address48(0x123456789abc, 0xdef0, 0);
  CHECK_EQ(d.in(3), 0xbc);
  d.set_control(0x80);
  CHECK_EQ(d.in(2), 0xde);
  CHECK_EQ(d.in(3), 0x56);
  CHECK_EQ(d.in(4), 0x34);
  CHECK_EQ(d.in(5), 0x12);
  d.set_control(0);
  // WRITE SECTORS: DRQ without an interrupt, then one after each sector.
  auto src = make_media(3);
  for (u8& b : src) b ^= 0xa5;
  d.in(7);
  pc.irq14_rises = 0;
  d.address(200, 3, 0);
  d.out(7, 0x30);
  CHECK_EQ(d.wait(), 0x58);
  CHECK(!d.irq());
  for (u32 i = 0; i < 3; i++) {
    d.write(&src[i * 512], 512, i ? 4 : 2);
    CHECK_EQ(d.alt(), 0x80);
    CHECK_EQ(d.wait(), i < 2 ? 0x58 : 0x50);
    CHECK(d.irq());
    d.in(7);
  }
  CHECK(std::memcmp(&pc.hda_data[200 * 512], src.data(), src.size()) == 0);
  CHECK_EQ(pc.irq14_rises, 3);
  // WRITE MULTIPLE.
  d.address(300, 3, 0);
  d.out(7, 0xc5);
  CHECK_EQ(d.wait(), 0x58);
  d.write(src.data(), 3 * 512);
  CHECK_EQ(d.wait(), 0x50);
  CHECK(std::memcmp(&pc.hda_data[300 * 512], src.data(), src.size()) == 0);
  d.out(7, 0xe7);
  CHECK_EQ(d.wait(), 0x50);
  CHECK_EQ(pc.hda_store->flushes, 1);
  // The slave, with an overlay.
  u64 hash = pc.hdb->write_hash();
  d.address(5, 1, 1);
  d.out(7, 0x30);
  CHECK_EQ(d.wait(), 0x58);
  d.write(src.data(), 512);
  CHECK_EQ(d.wait(), 0x50);
  CHECK(hash != pc.hdb->write_hash());
  CHECK(is_sectors(&pc.hdb_data[5 * 512], 5, 1));
  d.address(4, 3, 1);
  d.out(7, 0x20);
  d.wait();
  CHECK(is_sectors(d.read(512).data(), 4, 1));
  d.wait();
  CHECK(std::memcmp(d.read(512).data(), src.data(), 512) == 0);
  d.wait();
  CHECK(is_sectors(d.read(512).data(), 6, 1));
  // Odds and ends.
  struct {
    u8 command, status, error;
  } const table[] = {{0x00, 0x51, 4}, {0x10, 0x50, 0}, {0x70, 0x50, 0}, {0xe0, 0x50, 0}, {0xe1, 0x50, 0},
                     {0xe5, 0x50, 0}, {0xe6, 0x50, 0}, {0xea, 0x50, 0}, {0xa0, 0x51, 4}, {0xa1, 0x51, 4},
                     {0x08, 0x51, 4}, {0xb0, 0x51, 4}, {0xff, 0x51, 4}, {0x40, 0x50, 0}, {0xf8, 0x50, 0}};
  for (auto& t : table) {
    d.address(10, 1, 0);
    d.out(7, t.command);
    CHECK_EQ(d.wait(), t.status);
    CHECK_EQ(d.in(1), t.error);
    CHECK(d.irq());
    CHECK_EQ(d.in(7), t.status);
  }
  CHECK_EQ(d.in(3) | d.in(4) << 8 | d.in(5) << 16 | (d.in(6) & 15) << 24, kHdaSectors - 1);
  // I/O errors.
  pc.hda_store->fail = true;
  d.address(10, 1, 0);
  d.out(7, 0x20);
  CHECK_EQ(d.wait(), 0x51);
  CHECK_EQ(d.in(1), 0x40);
  pc.hda_store->fail = false;
  // EXECUTE DEVICE DIAGNOSTIC.
  d.out(6, 0xb0);
  d.in(7);
  d.out(7, 0x90);
  CHECK_EQ(d.alt(), 0x80);
  CHECK_EQ(d.wait(), 0x50);
  CHECK(d.irq());
  CHECK_EQ(d.in(1), 1);
  CHECK_EQ(d.in(6), 0xa0);
  // A drive that is not there.
  Ide e(pc, 1);
  e.out(6, 0xb0);
  CHECK_EQ(e.in(7), 0);
  e.out(7, 0xec);
  CHECK_EQ(e.in(7), 0);
}

constexpr u16 kBm = 0xc000;
constexpr u32 kPrd = 0x10000, kData = 0x20000;

void enable_bus_master(Pc& pc) {
  pc.cfg_write(kIdeFn, 0x20, kBm, 4);
  pc.cfg_write(kIdeFn, 4, 5, 2);
}

void put_prd(Pc& pc, std::initializer_list<std::pair<u32, u32>> entries) {
  u32 at = kPrd, i = 0;
  for (auto& [address, n] : entries) {
    pc.mem.write<u32>(at, address);
    pc.mem.write<u32>(at + 4, (n & 0xffff) | (++i == entries.size() ? 0x80000000 : 0));
    at += 8;
  }
}

void test_ide_dma() {
  Pc pc;
  Ide d(pc);
  enable_bus_master(pc);
  CHECK_EQ(pc.bm_base, kBm);
  auto bm_setup = [&](unsigned ch, bool to_memory) {
    u16 b = static_cast<u16>(kBm + 8 * ch);
    pc.io.write(b + 4, kPrd, 4);
    CHECK_EQ(pc.io.read(b + 4, 4), kPrd);
    pc.io.write(b, to_memory ? 8 : 0, 1);
    pc.io.write(b + 2, pc.io.read(b + 2, 1) | 6, 1);
    CHECK_EQ(pc.io.read(b + 2, 1) & 7, 0);
  };
  // As libata: set up, issue the command, start the engine, interrupt.
  put_prd(pc, {{kData, 0x600}, {kData + 0x800, 0x0a00}});
  bm_setup(0, true);
  d.address48(2000, 8, 0);
  d.out(7, 0x25);
  CHECK_EQ(d.alt(), 0x80);
  pc.io.write(kBm, 9, 1);
  CHECK_EQ(pc.io.read(kBm + 2, 1) & 7, 1);
  CHECK_EQ(d.wait(), 0x50);
  CHECK(d.irq());
  CHECK_EQ(pc.io.read(kBm + 2, 1) & 7, 4);
  pc.io.write(kBm, 8, 1);
  CHECK_EQ(d.in(7), 0x50);
  CHECK(!d.irq());
  CHECK(is_sectors(&pc.ram[kData], 2000, 3));
  CHECK(is_sectors(&pc.ram[kData + 0x800], 2003, 5));
  // The engine started late; the drive waits.
  std::memset(&pc.ram[kData], 0, 0x2000);
  bm_setup(0, true);
  d.address(2000, 8, 0);
  d.out(7, 0xc8);
  pc.sched.run(1'000'000);
  CHECK(!d.irq());
  pc.io.write(kBm, 9, 1);
  pc.sched.run(10'000);
  CHECK(d.irq());
  CHECK(is_sectors(&pc.ram[kData + 0x800], 2003, 5));
  pc.io.write(kBm, 0, 1);
  d.in(7);
  // Write.
  for (u32 i = 0; i < 0x20000; i++) pc.ram[kData + i] = static_cast<u8>(i * 11 + (i >> 9));
  put_prd(pc, {{kData, 0}, {kData + 0x10000, 0}});
  bm_setup(0, false);
  d.address(3000, 0, 0);  // 256 sectors
  d.out(7, 0xca);
  pc.io.write(kBm, 1, 1);
  CHECK_EQ(d.wait(), 0x50);
  CHECK_EQ(pc.io.read(kBm + 2, 1) & 7, 4);
  CHECK(std::memcmp(&pc.hda_data[3000 * 512], &pc.ram[kData], 0x20000) == 0);
  pc.io.write(kBm, 0, 1);
  d.in(7);
  // A table larger than the transfer: interrupt with the engine still active.
  bm_setup(0, true);
  d.address(50, 1, 0);
  d.out(7, 0xc8);
  pc.io.write(kBm, 9, 1);
  CHECK_EQ(d.wait(), 0x50);
  CHECK_EQ(pc.io.read(kBm + 2, 1) & 7, 5);
  pc.io.write(kBm, 0, 1);
  CHECK_EQ(pc.io.read(kBm + 2, 1) & 7, 4);
  d.in(7);
  // A table that is too small: stopped, no interrupt, and a reset brings the drive back.
  put_prd(pc, {{kData, 512}});
  bm_setup(0, true);
  d.address(50, 4, 0);
  d.out(7, 0xc8);
  pc.io.write(kBm, 9, 1);
  pc.sched.run(10'000'000);
  CHECK(!d.irq());
  CHECK_EQ(pc.io.read(kBm + 2, 1) & 7, 0);
  d.set_control(4);
  d.set_control(0);
  CHECK_EQ(d.wait(), 0x50);
  pc.io.write(kBm, 0, 1);
  // Device errors.
  pc.hda_store->fail = true;
  bm_setup(0, true);
  d.address(50, 1, 0);
  d.out(7, 0xc8);
  pc.io.write(kBm, 9, 1);
  CHECK_EQ(d.wait(), 0x51);
  CHECK(d.irq());
  CHECK_EQ(pc.io.read(kBm + 2, 1) & 5, 4);
  pc.hda_store->fail = false;
  pc.io.write(kBm, 0, 1);
  d.in(7);
  // A transfer in the middle survives save and restore.
  put_prd(pc, {{kData, 512}});
  bm_setup(0, true);
  std::memset(&pc.ram[kData], 0, 512);
  d.address(77, 1, 0);
  d.out(7, 0xc8);
  pc.io.write(kBm, 9, 1);
  SaveState s1;
  pc.ide->state(s1);
  pc.sched.state(s1);
  pc.sched.run(1'000'000);
  pc.ide->reset();
  std::memset(&pc.ram[kData], 0, 512);
  LoadState l(s1.data.data(), s1.data.size());
  pc.ide->state(l);
  pc.sched.state(l);
  CHECK(!l.bad && l.left() == 0);
  CHECK_EQ(d.alt(), 0x80);
  pc.sched.run(1'000'000);
  CHECK(d.irq());
  CHECK(is_sectors(&pc.ram[kData], 77, 1));
  SaveState s2;
  pc.ide->state(s2);
  s2.data.resize(s2.data.size() - 100);
  LoadState l2(s2.data.data(), s2.data.size());
  pc.ide->state(l2);
  CHECK(l2.bad);
}

// ---- ATAPI -------------------------------------------------------------------------------------

struct Cd : Ide {
  explicit Cd(Pc& p) : Ide(p, 1) {}
  // One packet command with PIO data in; the data, or the error register in `error`.
  std::vector<u8> packet(std::vector<u8> p, u8& error, u16 limit = 0xfffe) {
    p.resize(12);
    out(6, 0xa0);
    out(1, 0);
    out(4, static_cast<u8>(limit));
    out(5, static_cast<u8>(limit >> 8));
    out(7, 0xa0);
    CHECK_EQ(wait() & 0x89, 0x08);
    CHECK_EQ(in(2) & 3, 1);
    CHECK(!irq());
    write(p.data(), 12);
    std::vector<u8> data;
    for (int blocks = 0; blocks < 100000; blocks++) {
      u8 st = wait();
      CHECK(irq());
      in(7);
      if (!(st & 8)) {
        CHECK_EQ(in(2) & 3, 3);
        error = st & 1 ? in(1) : 0;
        return data;
      }
      CHECK_EQ(in(2) & 3, 2);
      u32 n = in(4) | in(5) << 8;
      CHECK(n > 0 && n <= limit);
      auto part = read((n + 1) & ~1u);
      part.resize(n);
      data.insert(data.end(), part.begin(), part.end());
    }
    CHECK(false);
    return data;
  }
  std::vector<u8> ok(std::vector<u8> p, u16 limit = 0xfffe) {
    u8 error = 0xff;
    auto v = packet(std::move(p), error, limit);
    CHECK_EQ(error, 0);
    return v;
  }
  // The sense triple after a command that must fail; 0 when it does not.
  u32 sense(std::vector<u8> p) {
    u8 error = 0;
    packet(std::move(p), error);
    if (!error) return 0;
    auto s = ok({0x03, 0, 0, 0, 18});
    CHECK_EQ(s.size(), 18);
    CHECK_EQ(s[0], 0x70);
    CHECK_EQ(error >> 4, s[2] & 15);
    return static_cast<u32>(s[2] << 16 | s[12] << 8 | s[13]);
  }
};

u32 be32(const u8* p) { return static_cast<u32>(p[0]) << 24 | p[1] << 16 | p[2] << 8 | p[3]; }

void test_atapi() {
  Pc pc;
  Cd c(pc);
  // Signature, also from IDENTIFY DEVICE.
  c.out(6, 0xa0);
  CHECK_EQ(c.in(4), 0x14);
  CHECK_EQ(c.in(5), 0xeb);
  CHECK_EQ(c.in(7), 0);
  c.out(4, 0);
  c.out(7, 0xec);
  CHECK_EQ(c.wait() & 1, 1);
  CHECK_EQ(c.in(4), 0x14);
  CHECK_EQ(c.in(5), 0xeb);
  c.out(7, 0xa1);
  CHECK_EQ(c.wait(), 0x58);
  auto id = c.read(512);
  CHECK_EQ(load<u16>(&id[0]), 0x85c0);
  CHECK(text(id, 27, 20) == "ORIEL DVD-ROM");
  CHECK_EQ(c.in(7), 0x50);
  // DEVICE RESET while busy.
  c.out(7, 0xa0);
  CHECK_EQ(c.alt(), 0x80);
  c.out(7, 0x08);
  CHECK_EQ(c.wait(), 0);
  CHECK_EQ(c.in(5), 0xeb);
  c.in(7);

  auto inq = c.ok({0x12, 0, 0, 0, 36});
  CHECK_EQ(inq.size(), 36);
  CHECK_EQ(inq[0], 5);
  CHECK_EQ(inq[1], 0x80);
  CHECK_EQ(c.ok({0x12, 0, 0, 0, 5}).size(), 5);
  c.ok({0x00});
  auto cap = c.ok({0x25});
  CHECK_EQ(be32(&cap[0]), kCdBlocks - 1);
  CHECK_EQ(be32(&cap[4]), 2048);
  auto data = c.ok({0x28, 0, 0, 0, 0, 16, 0, 0, 5}, 2048);
  CHECK_EQ(data.size(), 5 * 2048);
  CHECK(is_sectors(data.data(), 64, 20));
  data = c.ok({0x28, 0, 0, 0, 0, 16, 0, 0, 100}, 0xfffe);
  CHECK(data.size() == 100 * 2048 && is_sectors(data.data(), 64, 400));
  data = c.ok({0xa8, 0, 0, 0, 0, 1, 0, 0, 0, 2}, 100);  // a limit below a block
  CHECK(data.size() == 2 * 2048 && is_sectors(data.data(), 4, 8));
  data = c.ok({0xbe, 0, 0, 0, 0, 3, 0, 0, 1, 0x10});
  CHECK(data.size() == 2048 && is_sectors(data.data(), 12, 4));
  CHECK_EQ(c.ok({0x28}).size(), 0);
  CHECK_EQ(c.sense({0xbe, 0, 0, 0, 0, 3, 0, 0, 1, 0xf8}), 0x052400);
  CHECK_EQ(c.sense({0x28, 0, 0, 0, 2, 0x58, 0, 0, 1}), 0x052100);  // block 600
  CHECK_EQ(c.sense({0x28, 0, 0, 0, 2, 0x57, 0, 0, 2}), 0x052100);
  CHECK_EQ(c.sense({0xa8, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}), 0x052100);
  CHECK_EQ(c.sense({0xee}), 0x052000);
  c.ok({0x2b, 0, 0, 0, 0, 9});
  auto toc = c.ok({0x43, 0, 0, 0, 0, 0, 0, 0, 100});
  CHECK_EQ(toc.size(), 20);
  CHECK_EQ(toc[1], 18);
  CHECK_EQ(toc[6], 1);
  CHECK_EQ(toc[14], 0xaa);
  CHECK_EQ(be32(&toc[16]), kCdBlocks);
  toc = c.ok({0x43, 2, 0, 0, 0, 0, 0xaa, 0, 100});
  CHECK_EQ(toc.size(), 12);
  CHECK_EQ(be32(&toc[8]), 0x00000a00);  // 600 + 150 frames: 10 seconds
  CHECK_EQ(c.ok({0x43, 0, 1, 0, 0, 0, 0, 0, 12}).size(), 12);
  CHECK_EQ(c.ok({0x43, 0, 0, 0, 0, 0, 0, 0, 12, 0x40}).size(), 12);
  CHECK_EQ(c.ok({0x43, 0, 2, 0, 0, 0, 0, 1, 0}).size(), 48);
  CHECK_EQ(c.sense({0x43, 0, 5, 0, 0, 0, 0, 1, 0}), 0x052400);
  auto conf = c.ok({0x46, 0, 0, 0, 0, 0, 0, 1, 0});
  CHECK_EQ(be32(&conf[0]), conf.size() - 4);
  CHECK_EQ(conf[7], 8);
  auto event = c.ok({0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8});
  CHECK_EQ(event[4], 0);
  CHECK_EQ(event[5], 2);
  CHECK_EQ(c.ok({0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 128}).size(), 28);
  CHECK_EQ(c.ok({0x5a, 0, 0x3f, 0, 0, 0, 0, 0, 255}).size(), 8 + 8 + 16 + 12 + 20);
  CHECK_EQ(c.ok({0x1a, 0, 0x01, 0, 24}).size(), 12);
  CHECK_EQ(c.sense({0x5a, 0, 0x05, 0, 0, 0, 0, 0, 128}), 0x052400);
  CHECK_EQ(c.ok({0x51, 0, 0, 0, 0, 0, 0, 0, 34}).size(), 34);
  CHECK_EQ(be32(&c.ok({0x52, 1, 0, 0, 0, 1, 0, 0, 36})[24]), kCdBlocks);
  CHECK_EQ(c.ok({0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8}).size(), 8);
  CHECK_EQ(c.sense({0xad, 0, 0, 0, 0, 0, 0, 0, 8, 0}), 0x053002);

  // Locked, then ejected, loaded, changed.
  c.ok({0x1e, 0, 0, 0, 1});
  CHECK_EQ(c.sense({0x1b, 0, 0, 0, 2}), 0x055302);
  c.ok({0x1e});
  c.ok({0x1b, 0, 0, 0, 2});
  CHECK(pc.ide->channel(1).tray_open(0));
  CHECK_EQ(c.sense({0x00}), 0x023a02);
  event = c.ok({0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8});
  CHECK_EQ(event[4], 3);
  CHECK_EQ(event[5], 1);
  c.ok({0x1b, 0, 0, 0, 3});
  CHECK_EQ(c.sense({0x00}), 0x062800);
  c.ok({0x00});
  pc.ide->channel(1).insert(0, nullptr);
  CHECK_EQ(c.sense({0x25}), 0x023a01);
  CHECK_EQ(c.ok({0x46, 0, 0, 0, 0, 0, 0, 0, 8})[7], 0);
  auto other_data = make_media(8);
  MemoryStore* store = nullptr;
  auto other = pc.open(other_data, store, true);
  pc.ide->channel(1).insert(0, other.get());
  CHECK_EQ(c.ok({0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8})[4], 2);
  CHECK_EQ(c.ok({0x12, 0, 0, 0, 36}).size(), 36);
  CHECK_EQ(c.sense({0x25}), 0x062800);
  CHECK_EQ(be32(&c.ok({0x25})[0]), 1);
  store->fail = true;
  CHECK_EQ(c.sense({0x28, 0, 0, 0, 0, 0, 0, 0, 1}), 0x031100);
  pc.ide->channel(1).insert(0, pc.cd.get());
  c.sense({0x00});

  // DMA: the packet first, then the engine.
  enable_bus_master(pc);
  put_prd(pc, {{kData, 0x1000}, {kData + 0x3000, 0x800}});
  pc.io.write(kBm + 12, kPrd, 4);
  pc.io.write(kBm + 8, 8, 1);
  pc.io.write(kBm + 10, 6, 1);
  c.out(1, 1);
  c.out(7, 0xa0);
  CHECK_EQ(c.wait() & 8, 8);
  const u8 read3[12] = {0x28, 0, 0, 0, 0, 20, 0, 0, 3};
  c.write(read3, 12);
  pc.io.write(kBm + 8, 9, 1);
  c.wait();
  for (int i = 0; i < 1000 && !c.irq(); i++) pc.sched.run(1000);
  CHECK(c.irq());
  CHECK_EQ(pc.io.read(kBm + 10, 1) & 7, 4);
  CHECK_EQ(c.in(7), 0x50);
  CHECK_EQ(c.in(2) & 3, 3);
  CHECK(is_sectors(&pc.ram[kData], 80, 8));
  CHECK(is_sectors(&pc.ram[kData + 0x3000], 88, 4));
}

// ---- virtio ------------------------------------------------------------------------------------

constexpr u32 kVio = 0xfe000000, kQueueDesc = 0x30000, kQueueAvail = 0x31000, kQueueUsed = 0x32000, kIndirect = 0x33000,
              kReq = 0x34000, kBuf = 0x40000;

struct Vio {
  Pc& pc;
  u16 size = 16, avail = 0;
  explicit Vio(Pc& p) : pc(p) {}
  template <class T>
  T get(u32 at) {
    return static_cast<T>(pc.mem.page(kVio + at).mmio->mmio_read(at, sizeof(T)));
  }
  template <class T>
  void put(u32 at, T v) {
    pc.mem.page(kVio + at).mmio->mmio_write(at, v, sizeof(T));
  }
  void init(u64 features) {
    pc.cfg_write(kVirtioFn, 0x10, kVio, 4);
    pc.cfg_write(kVirtioFn, 4, 6, 2);
    put<u8>(0x14, 0);
    CHECK_EQ(get<u8>(0x14), 0);
    put<u8>(0x14, 1);
    put<u8>(0x14, 3);
    put<u32>(0, 1);
    CHECK_EQ(get<u32>(4) & 1, 1);  // VERSION_1
    put<u32>(8, 0);
    put<u32>(0xc, static_cast<u32>(features));
    put<u32>(8, 1);
    put<u32>(0xc, static_cast<u32>(features >> 32));
    put<u8>(0x14, 0xb);
    CHECK_EQ(get<u8>(0x14), 0xb);
    CHECK_EQ(get<u16>(0x12), 1);
    put<u16>(0x16, 0);
    CHECK_EQ(get<u16>(0x18), 256);
    put<u16>(0x18, size);
    CHECK_EQ(get<u16>(0x1e), 0);
    put<u32>(0x20, kQueueDesc);
    put<u32>(0x24, 0);
    put<u64>(0x28, kQueueAvail);
    put<u64>(0x30, kQueueUsed);
    CHECK_EQ(get<u64>(0x20), kQueueDesc);
    put<u16>(0x1c, 1);
    CHECK_EQ(get<u16>(0x1c), 1);
    put<u8>(0x14, 0xf);
    avail = 0;
    std::memset(&pc.ram[kQueueAvail], 0, 0x2000);
  }
  void desc(u32 table, u16 i, u64 a, u32 n, u16 flags, u16 next) {
    pc.mem.write<u64>(table + i * 16u, a);
    pc.mem.write<u32>(table + i * 16u + 8, n);
    pc.mem.write<u16>(table + i * 16u + 12, flags);
    pc.mem.write<u16>(table + i * 16u + 14, next);
  }
  void header(u32 type, u64 sector) {
    pc.mem.write<u32>(kReq, type);
    pc.mem.write<u32>(kReq + 4, 0);
    pc.mem.write<u64>(kReq + 8, sector);
    pc.mem.write<u8>(kReq + 16, 0xff);
  }
  void offer(u16 head) {
    pc.mem.write<u16>(kQueueAvail + 4 + 2u * (avail % size), head);
    pc.mem.write<u16>(kQueueAvail + 2, ++avail);
  }
  void kick() {
    put<u16>(0x3000, 0);
    pc.sched.run(2'000'000);
  }
  u8 status() { return pc.mem.read<u8>(kReq + 16); }
  u16 used() { return pc.mem.read<u16>(kQueueUsed + 2); }
};

void test_virtio() {
  Pc pc;
  Vio v(pc);
  pc.cfg_write(0x08, 0x60, 0x0b0b0a0a, 4);
  // The capabilities a driver looks for.
  u32 seen = 0;
  for (u8 cap = static_cast<u8>(pc.cfg(kVirtioFn, 0x34, 1)); cap;
       cap = static_cast<u8>(pc.cfg(kVirtioFn, cap + 1, 1))) {
    CHECK_EQ(pc.cfg(kVirtioFn, cap, 1), 9);
    seen |= 1u << pc.cfg(kVirtioFn, static_cast<u8>(cap + 3), 1);
  }
  CHECK_EQ(seen, 0x3e);
  v.init(1ull << 32 | 1 << 9);
  CHECK_EQ(v.get<u64>(0x2000), kVirtioSectors);
  CHECK_EQ(v.get<u32>(0x2014), 512);
  // IN over three segments.
  v.header(0, 100);
  v.desc(kQueueDesc, 3, kReq, 16, 1, 4);
  v.desc(kQueueDesc, 4, kBuf, 700, 3, 5);
  v.desc(kQueueDesc, 5, kBuf + 0x1000, 836, 3, 6);
  v.desc(kQueueDesc, 6, kReq + 16, 1, 2, 0);
  v.offer(3);
  v.kick();
  CHECK_EQ(v.status(), 0);
  CHECK_EQ(v.used(), 1);
  CHECK_EQ(pc.mem.read<u32>(kQueueUsed + 4), 3);
  CHECK_EQ(pc.mem.read<u32>(kQueueUsed + 8), 1537);
  CHECK(std::memcmp(&pc.ram[kBuf], &pc.virtio_data[100 * 512], 700) == 0);
  CHECK(std::memcmp(&pc.ram[kBuf + 0x1000], &pc.virtio_data[100 * 512 + 700], 836) == 0);
  CHECK_EQ(pc.isa_irqs, 1u << 11);  // slot 3 pin A: PIRQC
  CHECK_EQ(v.get<u8>(0x1000), 1);
  CHECK_EQ(pc.isa_irqs, 0);
  CHECK_EQ(v.get<u8>(0x1000), 0);
  // OUT, header and data in one segment.
  for (u32 i = 0; i < 1024; i++) pc.ram[kBuf + 16 + i] = static_cast<u8>(i * 13);
  v.header(1, 200);
  std::memcpy(&pc.ram[kBuf], &pc.ram[kReq], 16);
  v.desc(kQueueDesc, 0, kBuf, 16 + 1024, 1, 1);
  v.desc(kQueueDesc, 1, kReq + 16, 1, 2, 0);
  v.offer(0);
  v.kick();
  CHECK_EQ(v.status(), 0);
  CHECK(std::memcmp(&pc.virtio_data[200 * 512], &pc.ram[kBuf + 16], 1024) == 0);
  // FLUSH, GET_ID, an unknown type, out of range, odd length.
  v.desc(kQueueDesc, 0, kReq, 16, 1, 1);
  v.header(4, 0);
  v.offer(0);
  v.kick();
  CHECK_EQ(v.status(), 0);
  CHECK_EQ(pc.virtio_store->flushes, 1);
  v.header(99, 0);
  v.offer(0);
  v.kick();
  CHECK_EQ(v.status(), 2);
  v.desc(kQueueDesc, 1, kBuf, 20, 3, 2);
  v.desc(kQueueDesc, 2, kReq + 16, 1, 2, 0);
  v.header(8, 0);
  v.offer(0);
  v.kick();
  CHECK_EQ(v.status(), 0);
  CHECK(std::memcmp(&pc.ram[kBuf], "oriel-virtio", 13) == 0);
  v.header(0, kVirtioSectors);
  v.desc(kQueueDesc, 1, kBuf, 512, 3, 2);
  v.offer(0);
  v.kick();
  CHECK_EQ(v.status(), 1);
  v.header(0, ~u64{0});
  v.offer(0);
  v.kick();
  CHECK_EQ(v.status(), 1);
  v.header(0, 0);
  v.desc(kQueueDesc, 1, kBuf, 513, 3, 2);
  v.offer(0);
  v.kick();
  CHECK_EQ(v.status(), 1);
  CHECK_EQ(v.get<u8>(0x14), 0xf);
  // A loop of descriptors: the device stops and asks for a reset.
  v.desc(kQueueDesc, 1, kBuf, 512, 3, 1);
  v.offer(0);
  v.kick();
  CHECK_EQ(v.get<u8>(0x14), 0x4f);
  CHECK_EQ(v.get<u8>(0x1000) & 2, 2);
  v.offer(0);
  v.kick();
  // Indirect descriptors and event index.
  v.init(1ull << 32 | 1 << 28 | 1 << 29);
  v.header(0, 7);
  v.desc(kIndirect, 0, kReq, 16, 1, 1);
  v.desc(kIndirect, 1, kBuf, 2048, 3, 2);
  v.desc(kIndirect, 2, kReq + 16, 1, 2, 0);
  v.desc(kQueueDesc, 2, kIndirect, 48, 4, 0);
  pc.mem.write<u16>(kQueueAvail + 4 + 2 * 16, 1);  // used_event: after the second
  v.offer(2);
  v.kick();
  CHECK_EQ(v.status(), 0);
  CHECK_EQ(v.used(), 1);
  CHECK(is_sectors(&pc.ram[kBuf], 7, 4));
  CHECK_EQ(v.get<u8>(0x1000), 0);
  CHECK_EQ(pc.mem.read<u16>(kQueueUsed + 4 + 8 * 16), 1);  // avail_event
  v.offer(2);
  v.kick();
  CHECK_EQ(v.used(), 2);
  CHECK_EQ(v.get<u8>(0x1000), 1);
  // The window in configuration space.
  u8 win = 0;
  for (u8 cap = static_cast<u8>(pc.cfg(kVirtioFn, 0x34, 1)); cap;
       cap = static_cast<u8>(pc.cfg(kVirtioFn, cap + 1, 1))) {
    if (pc.cfg(kVirtioFn, static_cast<u8>(cap + 3), 1) == 5) win = cap;
  }
  pc.cfg_write(kVirtioFn, win + 4, 0, 1);
  pc.cfg_write(kVirtioFn, win + 8, 0x2000, 4);
  pc.cfg_write(kVirtioFn, win + 12, 4, 4);
  CHECK_EQ(pc.cfg(kVirtioFn, win + 16, 4), kVirtioSectors);
  pc.cfg_write(kVirtioFn, win + 8, 0x14, 4);
  pc.cfg_write(kVirtioFn, win + 12, 1, 4);
  CHECK_EQ(pc.cfg(kVirtioFn, win + 16, 1), 0xf);
  pc.cfg_write(kVirtioFn, win + 16, 0, 1);
  CHECK_EQ(pc.cfg(kVirtioFn, win + 16, 1), 0);
  // Without VERSION_1, FEATURES_OK is not granted.
  v.put<u8>(0x14, 3);
  v.put<u8>(0x14, 0xb);
  CHECK_EQ(v.get<u8>(0x14), 3);
}

// ---- Images ------------------------------------------------------------------------------------

std::string refused(std::vector<u8> data, bool cdrom = false) {
  std::string error;
  auto d = open_image(std::make_unique<MemoryStore>(data, true), false, cdrom, error);
  return d ? "" : error;
}

std::vector<u8> with(usize size, usize at, const char* bytes, usize n) {
  std::vector<u8> v(size);
  std::memcpy(v.data() + at, bytes, n);
  return v;
}

void test_images() {
  CHECK(refused({}) == "the image is empty");
  CHECK(refused(std::vector<u8>(1000)).find("truncated") != std::string::npos);
  CHECK(refused(std::vector<u8>(512)).empty());
  CHECK(refused(std::vector<u8>(512), true).find("truncated") != std::string::npos);
  CHECK(refused(std::vector<u8>(4096), true).empty());
  struct {
    const char* name;
    usize at;
    const char* bytes;
    usize n;
  } const formats[] = {{"QCOW2", 0, "QFI\xfb", 4},
                       {"VHD", 0, "conectix", 8},
                       {"VHD", 1536, "conectix", 8},
                       {"VHDX", 0, "vhdxfile", 8},
                       {"VMDK", 0, "KDMV", 4},
                       {"VMDK", 0, "# Disk DescriptorFile", 21},
                       {"VDI", 0x40, "\x7f\x10\xda\xbe", 4},
                       {"QED", 0, "QED", 4},
                       {"gzip", 0, "\x1f\x8b\x08", 3},
                       {"xz", 0,
                        "\xfd"
                        "7zXZ",
                        6},
                       {"zstd", 0, "\x28\xb5\x2f\xfd", 4},
                       {"bzip2", 0, "BZh91AY&SY", 10},
                       {"raw CD", 0, "\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0", 12}};
  for (auto& f : formats) {
    std::string e = refused(with(2048, f.at, f.bytes, f.n));
    CHECK(e.find(f.name) != std::string::npos);
    CHECK(e.find('\n') == std::string::npos);
    if (e.find(f.name) == std::string::npos) std::printf("  %s: %s\n", f.name, e.c_str());
  }
  CHECK(refused(with(2048, 0, "QFI\xfb", 4)).find("qemu-img convert -O raw") != std::string::npos);

  // The overlay: across chunks, at the short last chunk, and the store untouched.
  auto data = make_media(300), before = data;
  std::string error;
  auto d = open_image(std::make_unique<MemoryStore>(data, false), true, false, error);
  CHECK(d && d->writable());
  CHECK_EQ(d->next_changed(0), 300);
  std::vector<u8> buf(200 * 512), w(200 * 512, 0x77);
  CHECK(d->write(100, 200, w.data()));
  CHECK(d->read(99, 200, buf.data()));
  CHECK(is_sectors(buf.data(), 99, 1));
  CHECK(std::memcmp(&buf[512], w.data(), 199 * 512) == 0);
  CHECK_EQ(d->next_changed(0), 0);  // by chunks of 128 sectors
  CHECK_EQ(d->next_unchanged(0), 300);
  CHECK(d->write(299, 1, buf.data()));
  CHECK(d->read(299, 1, w.data()) && is_sectors(w.data(), 99, 1));
  CHECK(!d->write(299, 2, buf.data()));
  CHECK(!d->read(300, 1, buf.data()));
  CHECK(!d->read(~u64{0}, 1, buf.data()));
  CHECK(data == before);
  CHECK(d->flush());
  CHECK_EQ(d->stats.writes, 2);
  auto ro = open_image(std::make_unique<MemoryStore>(data, false), false, false, error);
  CHECK(ro && !ro->writable() && !ro->write(0, 1, buf.data()));
  // The same writes give the same hash, others another.
  auto a = open_image(std::make_unique<MemoryStore>(data, false), true, false, error);
  auto b = open_image(std::make_unique<MemoryStore>(data, false), true, false, error);
  CHECK_EQ(a->write_hash(), b->write_hash());
  a->write(3, 1, buf.data());
  CHECK_EQ(a->next_unchanged(a->next_changed(0)), 128);
  CHECK_EQ(a->next_changed(128), 300);
  CHECK(a->write_hash() != b->write_hash());
  b->write(3, 1, buf.data());
  CHECK_EQ(a->write_hash(), b->write_hash());
}

}  // namespace

int main() {
  test_pci();
  test_interrupts();
  test_pam();
  test_pm();
  test_ide_pio();
  test_ide_dma();
  test_atapi();
  test_virtio();
  test_images();
  std::printf("%d passed, %d failed\n", g_passed, g_failed);
  return g_failed ? 1 : 0;
}
