// PCI configuration space: the type-0 header, BARs, capabilities, MSI, and configuration mechanism #1.
// Source: PCI Local Bus Specification 3.0, sections 3.2.2.3.2, 6.1 to 6.8.
#include "devices/pci.h"

#include <utility>

#include "devices/devutil.h"

namespace oriel {

namespace {
constexpr u8 kCommand = 0x04, kStatus = 0x06, kBar0 = 0x10, kRomBar = 0x30, kCapPointer = 0x34, kInterruptLine = 0x3c;
constexpr u16 kIntxDisable = 0x400, kStatusInterrupt = 0x08, kStatusCapList = 0x10;
constexpr u8 kCapMsi = 0x05;
constexpr unsigned kMsiSize = 14;  // 64-bit address, no per-vector mask
// I/O BARs below this would hide ports of the chipset; they stay unmapped.
constexpr u64 kFirstIoBar = 0x1000;

constexpr u8 bar_reg(unsigned bar) { return static_cast<u8>(bar == PciDevice::kRom ? kRomBar : kBar0 + 4 * bar); }
constexpr bool overlaps(unsigned reg, unsigned size, unsigned first, unsigned last) {
  return reg <= last && reg + size > first;
}
}  // namespace

// ---- PciDevice ---------------------------------------------------------------------------------

PciDevice::PciDevice(u16 vendor, u16 device, u32 class_code, u8 revision) {
  put16(0x00, vendor);
  put16(0x02, device);
  put32(0x08, class_code << 8 | revision);
  put16(0x2c, 0x1af4);  // the subsystem by which firmware and guests know QEMU's machine
  put16(0x2e, 0x1100);
  store<u16>(&wmask[kCommand], 0x0547);  // I/O, memory, bus master, parity, SERR#, INTx disable
  wmask[0x0c] = 0xff;
  wmask[kInterruptLine] = 0xff;
}

void PciDevice::declare_bar(unsigned bar, BarKind kind, u32 size, bool prefetchable) {
  bars_[bar].kind = kind;
  bars_[bar].size = size;
  u8 reg = bar_reg(bar);
  u32 mask = ~(size - 1);
  if (bar == kRom) {
    store<u32>(&wmask[reg], (mask & 0xfffff800) | 1);
    put32(reg, 0);
    return;
  }
  u32 fixed = kind == BarKind::kIo ? 1 : (kind == BarKind::kMem64 ? 4 : 0) | (prefetchable ? 8 : 0);
  store<u32>(&wmask[reg], mask & (kind == BarKind::kIo ? 0xfffffffc : 0xfffffff0));
  put32(reg, fixed);
  if (kind == BarKind::kMem64 && bar + 1 < kBars) store<u32>(&wmask[reg + 4], 0xffffffff);
}

u8 PciDevice::add_capability(u8 id, u8 size) {
  u8 at = next_cap_;
  config[at] = id;
  config[at + 1] = config[kCapPointer];  // the newest is first in the list
  config[kCapPointer] = at;
  put16(kStatus, cfg16(kStatus) | kStatusCapList);
  next_cap_ = static_cast<u8>((at + size + 3) & ~3);
  return at;
}

void PciDevice::add_msi() {
  msi_cap_ = add_capability(kCapMsi, kMsiSize);
  put16(msi_cap_ + 2, 0x0080);
  wmask[msi_cap_ + 2] = 0x01;
  store<u32>(&wmask[msi_cap_ + 4], 0xfffffffc);
  store<u32>(&wmask[msi_cap_ + 8], 0xffffffff);
  store<u16>(&wmask[msi_cap_ + 12], 0xffff);
}

bool PciDevice::msi_enabled() const { return msi_cap_ && (config[msi_cap_ + 2] & 1); }

bool PciDevice::send_msi() {
  if (!msi_enabled()) return false;
  u64 address = static_cast<u64>(cfg32(msi_cap_ + 8)) << 32 | cfg32(msi_cap_ + 4);
  if (bus_master()) notify(msi_sink_, address, u32{cfg16(msi_cap_ + 12)});
  return true;
}

// The line the bus sees is the device's request unless the command register or MSI turns it off.
static bool intx_driven(bool request, u16 command, bool msi) { return request && !(command & kIntxDisable) && !msi; }

void PciDevice::set_intx(bool level) {
  bool before = intx_driven(intx_, cfg16(kCommand), msi_enabled());
  intx_ = level;
  config[kStatus] = static_cast<u8>((config[kStatus] & ~kStatusInterrupt) | (level ? kStatusInterrupt : 0));
  bool after = intx_driven(intx_, cfg16(kCommand), msi_enabled());
  if (before != after) notify(intx_sink_, after);
}

u32 PciDevice::config_read(u8 reg, unsigned size) {
  u32 v = 0;
  for (unsigned i = 0; i < size && reg + i < 256; i++) v |= static_cast<u32>(config[reg + i]) << 8 * i;
  return v;
}

void PciDevice::config_write(u8 reg, u32 value, unsigned size) {
  bool before = intx_driven(intx_, cfg16(kCommand), msi_enabled());
  for (unsigned i = 0; i < size && reg + i < 256; i++) {
    u8 m = wmask[reg + i];
    config[reg + i] = static_cast<u8>((config[reg + i] & ~m) | ((value >> 8 * i) & m));
  }
  bool after = intx_driven(intx_, cfg16(kCommand), msi_enabled());
  if (before != after) notify(intx_sink_, after);
  if (overlaps(reg, size, kCommand, kCommand) || overlaps(reg, size, kBar0, kBar0 + 23) ||
      overlaps(reg, size, kRomBar, kRomBar + 3)) {
    update_bars();
  }
}

// An address is decoded when its space is enabled and the whole BAR fits below the end of that space. The
// last byte of a 32-bit space is never part of a BAR, so that sizing by all ones maps nothing.
void PciDevice::update_bars() {
  u64 now[7];
  for (unsigned i = 0; i < 7; i++) {
    const Bar& b = bars_[i];
    now[i] = kUnmapped;
    if (b.kind == BarKind::kNone || !b.size) continue;
    u32 low = cfg32(bar_reg(i));
    u64 a = low & ~(b.size - 1) & (b.kind == BarKind::kIo ? 0xfffffffc : 0xfffffff0);
    if (b.kind == BarKind::kIo) {
      if (io_enabled() && a >= kFirstIoBar && a + b.size <= 0x10000) now[i] = a;
      continue;
    }
    if (!mem_enabled() || (i == kRom && !(low & 1))) continue;
    if (b.kind == BarKind::kMem64 && i + 1 < kBars) a |= static_cast<u64>(cfg32(bar_reg(i + 1))) << 32;
    u64 last = a + b.size - 1;
    if (a == 0 || last < a || (a <= 0xffffffff && last >= 0xffffffff)) continue;
    now[i] = a;
  }
  // First what goes away or moves, so that a BAR may take the place another one leaves.
  for (unsigned i = 0; i < 7; i++) {
    if (bars_[i].mapped == now[i] || bars_[i].mapped == kUnmapped) continue;
    bars_[i].mapped = kUnmapped;
    bar_changed(i, kUnmapped);
  }
  for (unsigned i = 0; i < 7; i++) {
    if (bars_[i].mapped == now[i]) continue;
    bars_[i].mapped = now[i];
    bar_changed(i, now[i]);
  }
}

void PciDevice::reset() {
  set_intx(false);
  put16(kCommand, static_cast<u16>(cfg16(kCommand) & ~load<u16>(&wmask[kCommand])));
  config[0x0c] &= static_cast<u8>(~wmask[0x0c]);
  config[kInterruptLine] &= static_cast<u8>(~wmask[kInterruptLine]);
  for (unsigned r = kBar0; r < kBar0 + 24; r++) config[r] &= static_cast<u8>(~wmask[r]);
  for (unsigned r = kRomBar; r < kRomBar + 4; r++) config[r] &= static_cast<u8>(~wmask[r]);
  if (msi_cap_) {
    for (unsigned r = msi_cap_ + 2u; r < msi_cap_ + kMsiSize; r++) config[r] &= static_cast<u8>(~wmask[r]);
  }
  update_bars();
}

void PciDevice::state(State& s) {
  s.bytes(config.data(), config.size());
  io_bool(s, intx_);
  if (s.loading()) update_bars();
}

// ---- PciBus ------------------------------------------------------------------------------------

PciBus::PciBus(Wiring w) : wiring_(std::move(w)) {}

void PciBus::attach(PciDevice* d, u8 devfn) {
  devices_[devfn] = d;
  d->devfn = devfn;
  d->intx_sink_ = [this, d](bool level) {
    unsigned pin = d->config[0x3d];
    if (pin < 1 || pin > 4) return;
    unsigned pirq = ((d->devfn >> 3) + pin + 2u) & 3;  // slot + pin - 2, modulo 4
    u32& n = pirq_level_[pirq];
    if (level) {
      if (n++ == 0) notify(wiring_.set_pirq, pirq, true);
    } else if (n && --n == 0) {
      notify(wiring_.set_pirq, pirq, false);
    }
  };
  d->msi_sink_ = [this](u64 address, u32 data) { notify(wiring_.send_msi, address, data); };
}

u32 PciBus::port_read(u16 port, unsigned size) {
  u32 ones = size == 4 ? ~u32{0} : (u32{1} << 8 * size) - 1;
  if (port < 0xcfc) return port == 0xcf8 && size == 4 ? address_ : ones;
  unsigned offset = port & 3;
  if (offset % size) {  // not aligned: byte by byte, and nothing beyond CFF
    u32 v = 0;
    for (unsigned i = 0; i < size; i++) {
      v |= (offset + i < 4 ? port_read(static_cast<u16>(port + i), 1) : 0xff) << 8 * i;
    }
    return v;
  }
  PciDevice* d = address_ >> 31 && !(address_ >> 16 & 0xff) ? devices_[address_ >> 8 & 0xff] : nullptr;
  return d ? d->config_read(static_cast<u8>((address_ & 0xfc) + offset), size) & ones : ones;
}

void PciBus::port_write(u16 port, u32 value, unsigned size) {
  if (port < 0xcfc) {
    // Anything but a 32-bit access to CF8 is not for the configuration address register.
    if (port == 0xcf8 && size == 4) address_ = value & 0x80fffffc;
    return;
  }
  unsigned offset = port & 3;
  if (offset % size) {
    for (unsigned i = 0; i < size && offset + i < 4; i++) {
      port_write(static_cast<u16>(port + i), value >> 8 * i & 0xff, 1);
    }
    return;
  }
  PciDevice* d = address_ >> 31 && !(address_ >> 16 & 0xff) ? devices_[address_ >> 8 & 0xff] : nullptr;
  if (d) d->config_write(static_cast<u8>((address_ & 0xfc) + offset), value, size);
}

// The PIRQ counts are not touched: each device lowers its own line when it is reset.
void PciBus::reset() { address_ = 0; }

void PciBus::state(State& s) {
  s.io(address_);
  s.io(pirq_level_);
  for (u32 n : pirq_level_) {
    if (n > 256) s.bad = true;
  }
}

}  // namespace oriel
