// PIIX3 ISA bridge and PIRQ router, PIIX4 power management function, PIIX3 IDE function.
// Sources: Intel 82371SB data sheet 290550, sections 2.2 and 2.3; 82371AB data sheet 290562, chapter 7.
#include "devices/piix3.h"

#include <utility>

#include "devices/devutil.h"

namespace oriel {

// ---- ISA bridge --------------------------------------------------------------------------------

namespace {
constexpr u8 kPirqRc = 0x60;
constexpr u16 kRoutable = 0xdef8;  // IRQ 3-7, 9-12, 14, 15; the rest are reserved values

struct Default {
  u8 reg, value;
};
constexpr Default kIsaDefaults[] = {
    {0x4c, 0x4d}, {0x4e, 0x03}, {0x4f, 0x00}, {0x60, 0x80}, {0x61, 0x80}, {0x62, 0x80}, {0x63, 0x80}, {0x69, 0x02},
    {0x70, 0x80}, {0x71, 0x00}, {0x76, 0x0c}, {0x77, 0x0c}, {0x78, 0x02}, {0xa0, 0x08}, {0xa8, 0x0f},
};
}  // namespace

Piix3::Piix3(SetIsaIrq set_isa_irq) : PciDevice(0x8086, 0x7000, 0x060100), set_isa_irq_(std::move(set_isa_irq)) {
  config[0x0e] = 0x80;               // multifunction
  store<u16>(&wmask[0x04], 0x0100);  // I/O, memory and bus master are always on
  put16(0x04, 0x0007);
  put16(0x06, 0x0200);
  for (unsigned r = 0x40; r < 0x100; r++) wmask[r] = 0xff;
  for (unsigned r = kPirqRc; r < kPirqRc + 4; r++) wmask[r] = 0x8f;
  reset();
}

void Piix3::reset() {
  PciDevice::reset();
  for (unsigned r = 0x40; r < 0x100; r++) config[r] = 0;
  for (const Default& d : kIsaDefaults) config[d.reg] = d.value;
  route();
}

void Piix3::set_pirq(unsigned pirq, bool level) {
  u8 bit = static_cast<u8>(1 << (pirq & 3));
  pirq_ = static_cast<u8>(level ? pirq_ | bit : pirq_ & ~bit);
  route();
}

void Piix3::config_write(u8 reg, u32 value, unsigned size) {
  PciDevice::config_write(reg, value, size);
  route();
}

void Piix3::route() {
  u16 now = 0;
  for (unsigned p = 0; p < 4; p++) {
    u8 rc = config[kPirqRc + p];
    if ((pirq_ >> p & 1) && !(rc & 0x80)) now = static_cast<u16>(now | 1u << (rc & 15));
  }
  now &= kRoutable;
  u16 changed = now ^ irqs_;
  irqs_ = now;
  for (unsigned irq = 0; irq < 16; irq++) {
    if (changed >> irq & 1) notify(set_isa_irq_, irq, (now >> irq & 1) != 0);
  }
}

void Piix3::state(State& s) {
  PciDevice::state(s);
  s.io(pirq_);
  s.io(irqs_);
}

// ---- Power management --------------------------------------------------------------------------

namespace {
constexpr u8 kPmBase = 0x40, kDevActB = 0x58, kPmRegMisc = 0x80, kSmbBase = 0x90, kSmbHostCfg = 0xd2;
// SMBus host registers and bits.
constexpr u8 kSmbStatus = 0, kSmbControl = 2;
constexpr u8 kSmbInterrupt = 0x02, kSmbDeviceError = 0x04, kSmbStatusW1c = 0x1e, kSmbStart = 0x40;
}  // namespace

Piix4Pm::Piix4Pm(MapPorts map_pm, MapPorts map_smbus)
    : PciDevice(0x8086, 0x7113, 0x068000, 3), map_pm_(std::move(map_pm)), map_smbus_(std::move(map_smbus)) {
  put16(0x06, 0x0280);
  config[0x3d] = 1;
  for (unsigned r = 0x40; r < 0x100; r++) wmask[r] = 0xff;
  store<u32>(&wmask[kPmBase], 0x0000ffc0);
  store<u32>(&wmask[kSmbBase], 0x0000fff0);
  reset();
}

void Piix4Pm::reset() {
  PciDevice::reset();
  for (unsigned r = 0x40; r < 0x100; r++) config[r] = 0;
  config[kPmBase] = 1;
  config[kSmbBase] = 1;
  // APMC_EN reads as set: firmware takes the SMI handler for installed and leaves system management mode alone.
  config[kDevActB + 3] = 0x02;
  // Which legacy devices are decoded, as ACPI tables of this platform read it: parallel, floppy, serial ports.
  config[0x5f] = 0x90;
  config[0x63] = 0x60;
  config[0x67] = 0x98;
  std::memset(smbus_, 0, sizeof smbus_);
  apply();
}

void Piix4Pm::config_write(u8 reg, u32 value, unsigned size) {
  PciDevice::config_write(reg, value, size);
  apply();
}

// Bases below the first free port are as good as not programmed.
static u16 io_base(u32 reg, bool enabled) {
  u16 base = static_cast<u16>(reg & 0xfff0);
  return enabled && base >= 0x400 ? base : 0;
}

void Piix4Pm::apply() {
  u16 pm = io_base(cfg32(kPmBase) & 0xffc0, config[kPmRegMisc] & 1);
  u16 smbus = io_base(cfg32(kSmbBase), config[kSmbHostCfg] & 1);
  if (smbus == pm || (smbus & 0xffc0) == pm) smbus = 0;  // two devices on the same ports: only the first answers
  bool pm_moves = pm != pm_base_, smbus_moves = smbus != smbus_base_;
  if (pm_moves && pm_base_) notify(map_pm_, pm_base_, false);
  if (smbus_moves && smbus_base_) notify(map_smbus_, smbus_base_, false);
  pm_base_ = pm;
  smbus_base_ = smbus;
  if (pm_moves && pm) notify(map_pm_, pm, true);
  if (smbus_moves && smbus) notify(map_smbus_, smbus, true);
}

u32 Piix4Pm::port_read(u16 port, unsigned) { return smbus_[port & (kSmbusSize - 1)]; }

void Piix4Pm::port_write(u16 port, u32 value, unsigned) {
  unsigned reg = port & (kSmbusSize - 1);
  u8 v = static_cast<u8>(value);
  switch (reg) {
    case kSmbStatus: smbus_[reg] &= static_cast<u8>(~(v & kSmbStatusW1c)); break;
    case kSmbControl:
      smbus_[reg] = v & static_cast<u8>(~kSmbStart);
      if (v & kSmbStart) smbus_[kSmbStatus] |= kSmbDeviceError | kSmbInterrupt;
      break;
    default: smbus_[reg] = v;
  }
}

void Piix4Pm::state(State& s) {
  PciDevice::state(s);
  s.io(smbus_);
  if (s.loading()) apply();
}

// ---- IDE ---------------------------------------------------------------------------------------

PiixIde::PiixIde(Scheduler& sched, Dma& dma, Wiring w)
    : PciDevice(0x8086, 0x7010, 0x010180),
      channels_{IdeChannel(sched, dma, "ide0", std::move(w.irq14)), IdeChannel(sched, dma, "ide1", std::move(w.irq15))},
      map_bus_master_(std::move(w.map_bus_master)) {
  put16(0x06, 0x0280);
  declare_bar(4, BarKind::kIo, kBusMasterSize);
  for (unsigned r = 0x40; r < 0x48; r++) wmask[r] = 0xff;  // IDETIM and what follows: timings have no effect
}

void PiixIde::reset() {
  PciDevice::reset();
  for (unsigned r = 0x40; r < 0x48; r++) config[r] = 0;
  for (IdeChannel& c : channels_) {
    c.set_bus_mastering(false);
    c.reset();
  }
}

void PiixIde::config_write(u8 reg, u32 value, unsigned size) {
  PciDevice::config_write(reg, value, size);
  for (IdeChannel& c : channels_) c.set_bus_mastering(bus_master());
}

void PiixIde::bar_changed(unsigned bar, u64 address) {
  if (bar != 4) return;
  if (bus_master_base_) notify(map_bus_master_, bus_master_base_, false);
  bus_master_base_ = address == kUnmapped ? 0 : static_cast<u16>(address);
  if (bus_master_base_) notify(map_bus_master_, bus_master_base_, true);
}

u8 PiixIde::read_byte(u16 port) {
  if ((port & 0xff78) == 0x170) {
    IdeChannel& c = channels_[port & 0x80 ? 0 : 1];
    return port & 7 ? c.read_register(port & 7) : static_cast<u8>(c.read_data(1));
  }
  if (port == 0x3f6 || port == 0x376) return channels_[port == 0x376].alternate_status();
  unsigned reg = static_cast<u16>(port - bus_master_base_);
  return bus_master_base_ && reg < kBusMasterSize ? channels_[reg >> 3].bus_master_read(reg & 7) : 0xff;
}

void PiixIde::write_byte(u16 port, u8 v) {
  if ((port & 0xff78) == 0x170) {
    IdeChannel& c = channels_[port & 0x80 ? 0 : 1];
    port & 7 ? c.write_register(port & 7, v) : c.write_data(v, 1);
    return;
  }
  if (port == 0x3f6 || port == 0x376) {
    channels_[port == 0x376].write_control(v);
    return;
  }
  unsigned reg = static_cast<u16>(port - bus_master_base_);
  if (bus_master_base_ && reg < kBusMasterSize) channels_[reg >> 3].bus_master_write(reg & 7, v);
}

// Only the data ports are wider than a byte; elsewhere a wide access is as many byte accesses.
u32 PiixIde::port_read(u16 port, unsigned size) {
  if (port == 0x1f0 || port == 0x170) return channels_[port == 0x170].read_data(size);
  u32 v = 0;
  for (unsigned i = 0; i < size; i++) v |= static_cast<u32>(read_byte(static_cast<u16>(port + i))) << 8 * i;
  return v;
}

void PiixIde::port_write(u16 port, u32 value, unsigned size) {
  if (port == 0x1f0 || port == 0x170) {
    channels_[port == 0x170].write_data(value, size);
    return;
  }
  for (unsigned i = 0; i < size; i++) write_byte(static_cast<u16>(port + i), static_cast<u8>(value >> 8 * i));
}

void PiixIde::state(State& s) {
  PciDevice::state(s);
  for (IdeChannel& c : channels_) {
    c.state(s);
    if (s.loading()) c.set_bus_mastering(bus_master());
  }
}

}  // namespace oriel
