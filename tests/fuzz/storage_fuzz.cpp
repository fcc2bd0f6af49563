// Fuzzes PCI, the chipset functions, IDE/ATAPI and virtio-blk: the input is a program of port, MMIO,
// configuration and memory accesses, with time passing in between, and restored snapshots that were damaged.
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "devices/i440fx.h"
#include "devices/pci.h"
#include "devices/piix3.h"
#include "devices/virtio_blk.h"
#include "storage/block.h"

using namespace oriel;

namespace {

class FuzzScheduler final : public Scheduler {
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

class FuzzStore final : public ByteStore {
 public:
  FuzzStore(usize size, bool can_write) : data_(size, 0x5a), writable_(can_write) {}
  u64 size() const override { return data_.size(); }
  bool writable() const override { return writable_; }
  bool read(u64 offset, void* buf, usize n) override {
    check(offset, n);
    std::memcpy(buf, data_.data() + offset, n);
    return true;
  }
  bool write(u64 offset, const void* buf, usize n) override {
    check(offset, n);
    std::memcpy(data_.data() + offset, buf, n);
    return true;
  }
  bool flush() override { return true; }

 private:
  void check(u64 offset, usize n) const {
    if (offset > data_.size() || n > data_.size() - offset) std::abort();
  }
  std::vector<u8> data_;
  bool writable_;
};

class Input {
 public:
  Input(const u8* p, usize n) : p_(p), n_(n) {}
  bool empty() const { return !n_; }
  u8 byte() {
    if (!n_) return 0;
    n_--;
    return *p_++;
  }
  u16 half() { return static_cast<u16>(byte() | byte() << 8); }
  u32 word() { return half() | static_cast<u32>(half()) << 16; }

 private:
  const u8* p_;
  usize n_;
};

constexpr u64 kRam = 2u << 20;
constexpr u32 kVio = 0xfe000000;
constexpr u16 kBm = 0xc000;
constexpr u8 kFunctions[] = {0x00, 0x08, 0x09, 0x0b, 0x18};

std::unique_ptr<BlockDevice> open(usize size, bool snapshot, bool cdrom) {
  std::string error;
  return open_image(std::make_unique<FuzzStore>(size, true), snapshot, cdrom, error);
}

// Values that mean something to the devices, so that programs get past the first checks.
u32 pick_address(Input& in) {
  u8 b = in.byte();
  u32 low = (b & 0x3fu) << 4;
  switch (b >> 6) {
    case 0: return 0x1000 + low;
    case 1: return 0x2000 + low;
    case 2: return kVio + (in.byte() & 0x3fu) * 0x100 + low;
    default: return in.word();
  }
}

// A PRD table at 1000: up to three entries.
void put_table(Input& in, PhysMem& mem, IoBus& io, u16 base, bool to_memory) {
  u8 shape = in.byte();
  u32 entries = 1 + shape % 3;
  for (u32 i = 0; i < entries; i++) {
    mem.write<u32>(0x1000 + i * 8, shape & 0x10 ? pick_address(in) : 0x100000 + i * 0x10000);
    u32 n = shape & 0x20 ? in.half() : shape & 0x40 ? 0 : 0x800;
    mem.write<u32>(0x1000 + i * 8 + 4, n | (i + 1 == entries && !(shape & 0x80) ? 0x80000000 : 0));
  }
  io.write(static_cast<u16>(base + 4), 0x1000, 4);
  io.write(base, to_memory ? 8 : 0, 1);
  io.write(static_cast<u16>(base + 2), 0x66, 1);
}

void move_data(Input& in, IoBus& io, FuzzScheduler& sched, u16 base, bool out) {
  for (unsigned block = 0; block < 40; block++) {
    sched.run(100'000);
    u8 st = static_cast<u8>(io.read(static_cast<u16>(base + 7), 1));
    if (!(st & 8)) return;
    u32 n = in.empty() ? 4096 : in.byte() & 0x80 ? in.half() & 0xfff : 4096;
    for (u32 i = 0; i < n; i++) out ? io.write(base, i * 0x01010101, 4) : static_cast<void>(io.read(base, 4));
  }
}

void ata_request(Input& in, IoBus& io, PhysMem& mem, FuzzScheduler& sched, u8 op) {
  static constexpr u8 kCommands[] = {0x20, 0x24, 0x25, 0x29, 0x30, 0x34, 0x35, 0x39, 0x40, 0x42, 0x91, 0xa1, 0xc4,
                                     0xc5, 0xc6, 0xc8, 0xca, 0xe7, 0xea, 0xec, 0xef, 0xf8, 0x27, 0x90, 0x10, 0xe5};
  u16 base = op & 0x80 ? 0x170 : 0x1f0, bm = static_cast<u16>(kBm + (op & 0x80 ? 8 : 0));
  u8 command = kCommands[in.byte() % sizeof kCommands];
  bool out = command == 0x30 || command == 0x34 || command == 0x39 || command == 0xc5 || command == 0x35;
  put_table(in, mem, io, bm, !out && command != 0xca);
  u8 shape = in.byte();
  io.write(base + 6, (op & 0x10) | (shape & 1 ? 0xa0 : 0xe0) | (shape & 2 ? in.byte() & 15 : 0), 1);
  if (shape & 4) {
    for (u16 r = 1; r < 6; r++) io.write(static_cast<u16>(base + r), in.byte(), 1);
  } else {
    for (u16 r = 1; r < 6; r++) io.write(static_cast<u16>(base + r), 0, 1);
  }
  io.write(base + 1, shape & 8 ? in.byte() : 3, 1);
  io.write(base + 2, shape & 0x10 ? in.byte() : 8, 1);
  io.write(base + 3, in.byte(), 1);
  io.write(base + 4, shape & 0x20 ? in.byte() : 0, 1);
  io.write(base + 5, shape & 0x40 ? in.byte() : 0, 1);
  io.write(base + 7, command, 1);
  if (op & 0x20) sched.run(u64{in.byte()} * 1000);
  io.write(bm, io.read(bm, 1) | 1, 1);
  move_data(in, io, sched, base, out);
  if (!(op & 0x40)) {
    io.write(bm, 0, 1);
    if (io.read(base + 7, 1) & 8) {  // stuck: reset
      u16 control = static_cast<u16>(base + 0x206);
      io.write(control, 4, 1);
      io.write(control, 0, 1);
      sched.run(200'000);
    }
  }
}

void packet_request(Input& in, IoBus& io, PhysMem& mem, FuzzScheduler& sched, u8 op) {
  static constexpr u8 kOpcodes[] = {0x00, 0x03, 0x12, 0x1a, 0x1b, 0x1e, 0x25, 0x28, 0x2b, 0x43, 0x46,
                                    0x4a, 0x51, 0x52, 0x5a, 0xa8, 0xad, 0xbb, 0xbd, 0xbe, 0x28, 0xa8};
  u8 shape = in.byte(), packet[12] = {};
  packet[0] = kOpcodes[in.byte() % sizeof kOpcodes];
  if (shape & 1) {
    for (unsigned i = 1; i < 12; i++) packet[i] = in.byte();
  } else {
    packet[1] = in.byte();
    packet[2] = packet[0] >= 0x40 && packet[0] < 0x60 ? in.byte() : 0;
    packet[4] = in.byte();
    packet[5] = shape & 2 ? in.byte() : 0;
    packet[7] = shape & 4 ? in.byte() : 0;
    packet[8] = in.byte();
    packet[9] = in.byte();
  }
  put_table(in, mem, io, kBm + 8, true);
  io.write(0x176, 0xa0, 1);
  io.write(0x171, op >> 7, 1);
  io.write(0x174, shape & 8 ? in.byte() : 0, 1);
  io.write(0x175, shape & 0x10 ? in.byte() : 8, 1);
  io.write(0x177, 0xa0, 1);
  sched.run(20'000);
  for (unsigned i = 0; i < 12; i += 2) io.write(0x170, packet[i] | packet[i + 1] << 8, 2);
  if (op & 0x80) io.write(kBm + 8, 9, 1);
  move_data(in, io, sched, 0x170, false);
  io.write(kBm + 8, 0, 1);
  if (shape & 0x20) {
    io.write(0x177, 8, 1);
    sched.run(20'000);
  }
}

// A queue of 8 at 2000 (descriptors), 2100 (available), 2200 (used); the request's parts follow at 3000.
void virtio_request(Input& in, VirtioBlk& v, PhysMem& mem, FuzzScheduler& sched, u8 op) {
  if (op & 0x10 || !(v.mmio_read(0x14, 1) & 4) || v.mmio_read(0x14, 1) & 0x40) {
    const struct {
      u32 at, value, size;
    } init[] = {{0x14, 0, 1},      {0x08, 0, 4},      {0x0c, op & 0x20 ? 0x10000000u : 0x30000200u, 4},
                {0x08, 1, 4},      {0x0c, 1, 4},      {0x14, 0xb, 1},
                {0x16, 0, 2},      {0x18, 8, 2},      {0x20, 0x2000, 4},
                {0x28, 0x2100, 4}, {0x30, 0x2200, 4}, {0x1c, 1, 2},
                {0x14, 0xf, 1}};
    mem.write<u32>(0x2100, 0);
    mem.write<u32>(0x2200, 0);
    for (auto& i : init) v.mmio_write(i.at, i.value, i.size);
  }
  u8 shape = in.byte(), type = in.byte();
  static constexpr u8 kTypes[] = {0, 1, 4, 8};
  mem.write<u32>(0x3000, shape & 1 ? type : kTypes[type & 3]);
  mem.write<u64>(0x3008, shape & 2 ? ~u64{in.half()} : in.half() & 0x1ff);
  bool indirect = shape & 4;
  u32 table = indirect ? 0x2400 : 0x2000, parts = 2 + (shape >> 3 & 3);
  u16 head = indirect ? 7 : 0;
  for (u32 i = 0; i < parts; i++) {
    bool first = i == 0, last = i + 1 == parts;
    u32 at = table + i * 16;
    bool writes = last || (!first && (kTypes[type & 3] != 1));
    mem.write<u64>(at, first ? 0x3000 : last ? 0x3010 : shape & 0x20 ? pick_address(in) : 0x100000);
    mem.write<u32>(at + 8, first ? 16 : last ? 1 : shape & 0x40 ? in.half() : 512u * (1 + (in.byte() & 0xff)));
    mem.write<u16>(at + 12, static_cast<u16>((last ? 0 : 1) | (writes ? 2 : 0) | (shape & 0x80 ? in.byte() & 7 : 0)));
    mem.write<u16>(at + 14, static_cast<u16>(shape & 0x80 ? in.byte() & 15 : i + 1));
  }
  if (indirect) {
    mem.write<u64>(0x2070, table);
    mem.write<u32>(0x2078, shape & 0x80 ? in.half() : parts * 16);
    mem.write<u16>(0x207c, 4);
  }
  u16 avail = mem.read<u16>(0x2102);
  mem.write<u16>(0x2104 + 2u * (avail & 7), head);
  mem.write<u16>(0x2102, static_cast<u16>(avail + 1 + (op & 0x40 ? in.byte() & 7 : 0)));
  v.mmio_write(0x3000, 0, 2);
  if (!(op & 0x80)) sched.run(1'000'000);
  v.mmio_read(0x1000, 1);
}

void chipset_access(Input& in, PciBus& bus, Piix4Pm& pm, PhysMem& mem, u8 op) {
  switch (op & 3) {
    case 0:  // PAM, then memory there
      bus.port_write(0xcf8, 0x80000058 + (in.byte() & 7) / 4 * 4, 4);
      bus.port_write(0xcfc, in.word(), 4);
      break;
    case 1: {
      u32 at = 0xc0000 + (in.half() & 0xfff) * 64u;
      u8 buf[100];
      mem.read(at, buf, sizeof buf);
      mem.write(at, buf, in.byte() % 100);
      break;
    }
    case 2:
      pm.port_write(0x700 + (op >> 4), in.byte(), 1);
      pm.port_read(0x700 + (op >> 4), 1);
      break;
    default: bus.port_read(static_cast<u16>(0xcf8 + (op >> 5)), 1u << (op >> 2 & 1)); break;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, size_t size) {
  static std::vector<u8> ram(kRam), bios(128 * 1024, 0xea);
  std::memset(ram.data(), 0, 0x10000);
  u8 bios_flags[32] = {};
  Input in(data, size);
  FuzzScheduler sched;
  PhysMem mem(ram.data(), kRam);
  IoBus io;
  auto hda = open(1u << 18, false, false), hdb = open(300 * 512, true, false), cd = open(400 * 2048, false, true),
       cd2 = open(4 * 2048, false, true), vd = open(1u << 18, true, false);
  mem.map(0, 0xa0000, mem.ram_region(), 0);
  mem.map(0x100000, kRam - 0x100000, mem.ram_region(), 0x100000);
  auto rom = mem.add_memory(bios.data(), bios.size(), false, bios_flags);

  u32 irqs = 0;
  Piix3 south([&](unsigned irq, bool l) { irqs = l ? irqs | 1u << irq : irqs & ~(1u << irq); });
  PciBus bus(PciBus::Wiring{[&](unsigned p, bool l) { south.set_pirq(p, l); }, nullptr});
  I440fx north(I440fx::Wiring{mem, rom, bios.data(), static_cast<u32>(bios.size()), nullptr});
  PiixIde* ide_at = nullptr;
  PiixIde::Wiring w{IrqLine(), IrqLine(), [&](u16 base, bool on) {
                      on ? io.add(base, PiixIde::kBusMasterSize, ide_at, 4) : io.remove(base, PiixIde::kBusMasterSize);
                    }};
  PiixIde ide(sched, mem, std::move(w));
  ide_at = &ide;
  ide.channel(0).attach_disk(0, hda.get());
  ide.channel(0).attach_disk(1, hdb.get());
  ide.channel(1).attach_cdrom(0, cd.get());
  Piix4Pm pm(nullptr, nullptr);
  VirtioBlk virtio(sched, mem, *vd);
  PciDevice* functions[] = {&north, &south, &ide, &pm, &virtio};
  for (unsigned i = 0; i < 5; i++) bus.attach(functions[i], kFunctions[i]);
  io.add(0xcf8, 8, &bus, 4);
  io.add(0x1f0, 8, &ide, 4);
  io.add(0x170, 8, &ide, 4);
  io.add(0x3f6, 1, &ide, 1);
  io.add(0x376, 1, &ide, 1);
  ide.config_write(0x20, kBm, 4);
  ide.config_write(4, 5, 2);
  virtio.config_write(0x10, kVio, 4);
  virtio.config_write(4, 6, 2);

  std::vector<u8> saved;
  for (int steps = 0; !in.empty() && steps < 2000; steps++) {
    u8 op = in.byte();
    unsigned width = 1u << (op >> 4 & 1) << (op >> 5 & 1);
    u8 kind = in.byte();
    if (kind & 0x80) {  // whole requests, as a driver makes them, with what the input changes in them
      switch (kind & 3) {
        case 0: ata_request(in, io, mem, sched, op); break;
        case 1: packet_request(in, io, mem, sched, op); break;
        case 2: virtio_request(in, virtio, mem, sched, op); break;
        case 3: chipset_access(in, bus, pm, mem, op); break;
      }
      continue;
    }
    switch (kind & 15) {
      case 0:  // IDE registers
      case 1: {
        u8 r = in.byte();
        u16 base = r & 8 ? 0x170 : 0x1f0;
        if (op & 1) {
          io.write(static_cast<u16>(base + (r & 7)), in.byte(), 1);
        } else {
          io.read(static_cast<u16>(base + (r & 7)), width);
        }
        break;
      }
      case 2: {  // a whole task file and its command
        u8 r = in.byte();
        u16 base = r & 8 ? 0x170 : 0x1f0;
        io.write(base + 6, (r & 0x10) | 0xe0, 1);
        for (u16 i = 1; i < 6; i++) io.write(static_cast<u16>(base + i), in.byte(), 1);
        io.write(base + 7, in.byte(), 1);
        break;
      }
      case 3: {  // data
        u16 base = op & 0x80 ? 0x170 : 0x1f0;
        u32 n = in.half() & 0x3fff;
        for (u32 i = 0; i < n; i++) {
          op & 0x40 ? io.write(base, i * 0x01010101, width) : static_cast<void>(io.read(base, width));
        }
        break;
      }
      case 4: {  // a packet
        io.write(0x176, 0xa0, 1);
        io.write(0x171, op >> 7, 1);
        io.write(0x174, in.byte(), 1);
        io.write(0x175, in.byte(), 1);
        io.write(0x177, 0xa0, 1);
        sched.run(20'000);
        for (unsigned i = 0; i < 6; i++) io.write(0x170, in.half(), 2);
        break;
      }
      case 5: io.write(op & 0x80 ? 0x376 : 0x3f6, in.byte(), 1); break;
      case 6: {  // bus master
        u8 r = in.byte();
        u16 port = static_cast<u16>(kBm + (r & 15));
        (r & 7) == 4 ? io.write(port, pick_address(in), 4) : io.write(port, in.byte(), width);
        io.read(port, width);
        break;
      }
      case 7: sched.run(u64{in.half()} * 100); break;
      case 8: {  // memory
        u32 at = pick_address(in), n = in.byte() & 15;
        for (u32 i = 0; i < n; i++) mem.write<u8>(at + i, in.byte());
        break;
      }
      case 9: {  // a descriptor or PRD
        u32 at = pick_address(in);
        mem.write<u32>(at, pick_address(in));
        mem.write<u32>(at + 4, op & 0x80 ? in.half() | static_cast<u32>(op & 0x40) << 25 : 0);
        if (!(op & 0x80)) {
          mem.write<u32>(at + 8, in.half());
          mem.write<u16>(at + 12, op >> 4 & 7);
          mem.write<u16>(at + 14, in.byte());
        }
        break;
      }
      case 10: {  // virtio registers
        u32 at = kVio + (in.byte() & 0x3f) + (op & 0x80 ? 0x1000u * (in.byte() & 3) : 0);
        at &= ~(width - 1);
        PhysMem::Page p = mem.page(at);
        if (!p.mmio) break;
        p.mmio->mmio_read(p.mmio_offset + (at & 0xfff), width);
        p.mmio->mmio_write(p.mmio_offset + (at & 0xfff), op & 0x40 ? pick_address(in) : in.byte(), width);
        break;
      }
      case 11: {  // a queue, ready to use
        VirtioBlk& v = virtio;
        v.mmio_write(0x14, 0, 1);
        v.mmio_write(0x08, 0, 4);
        v.mmio_write(0x0c, op & 0x10 ? 0x30000000 : 0, 4);
        v.mmio_write(0x08, 1, 4);
        v.mmio_write(0x0c, 1, 4);
        v.mmio_write(0x14, 0xb, 1);
        v.mmio_write(0x18, 1u << (op >> 5), 2);
        v.mmio_write(0x20, pick_address(in), 8);
        v.mmio_write(0x28, pick_address(in), 8);
        v.mmio_write(0x30, pick_address(in), 8);
        v.mmio_write(0x1c, 1, 2);
        v.mmio_write(0x14, 0xf, 1);
        break;
      }
      case 12: {  // configuration space
        u8 b = in.byte();
        u32 fn = kFunctions[b % 5];
        io.write(0xcf8, 0x80000000 | fn << 8 | (in.byte() & 0xfc), 4);
        u16 port = static_cast<u16>(0xcfc + (b >> 6));
        b & 0x20 ? io.write(port, in.word(), width) : static_cast<void>(io.read(port, width));
        break;
      }
      case 13: io.write(in.half(), in.word(), width); break;
      case 14: ide.channel(1).insert(0, op & 0x10 ? cd.get() : op & 0x20 ? cd2.get() : nullptr); break;
      case 15: {
        if (op & 0x80) {
          functions[op >> 4 & 3]->reset();
          if (op & 0x40) virtio.reset();
        } else if (op & 0x40) {
          SaveState s;
          for (PciDevice* f : functions) f->state(s);
          bus.state(s);
          sched.state(s);
          saved = s.data;
        } else if (!saved.empty()) {
          if (op & 0x20) {
            for (u8 n = in.byte() & 3; n; n--) saved[in.half() % saved.size()] = in.byte();
          }
          LoadState l(saved.data(), saved.size());
          for (PciDevice* f : functions) f->state(l);
          bus.state(l);
          sched.state(l);
        }
        break;
      }
    }
  }
  sched.run(10'000'000);
  return 0;
}
