// PCI bus 0: configuration mechanism #1 (ports CF8, CFC), type-0 devices with BARs, INTx through the
// PIIX router, and MSI. Sources: PCI Local Bus 3.0; Intel 82371SB (PIIX3), 82441FX data sheets.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <vector>

#include "devices/device.h"

namespace oriel {

// One function of a PCI device. Derived classes fill the header and declare BARs in their constructor.
class PciDevice : public Device {
 public:
  PciDevice(u16 vendor, u16 device, u32 class_code, u8 revision = 0);
  static constexpr unsigned kBars = 6, kRom = 6;

  // Configuration space access, 1, 2 or 4 bytes, aligned. The default handles the header, BARs, and
  // the writable bits declared in wmask; override for device-specific registers and call it for the rest.
  virtual u32 config_read(u8 reg, unsigned size);
  virtual void config_write(u8 reg, u32 value, unsigned size);
  // Called after a BAR was moved, enabled or disabled. `address` is kUnmapped when off.
  static constexpr u64 kUnmapped = ~u64{0};
  virtual void bar_changed(unsigned bar, u64 address) { (void)bar, (void)address; }

  void reset() override;
  void state(State& s) override;
  // INTx level, wired by the bus.
  void set_intx(bool level);
  // Sends the MSI if enabled; false when the device must use INTx.
  bool send_msi();
  bool msi_enabled() const;

  std::array<u8, 256> config{};  // as read
  std::array<u8, 256> wmask{};   // bits that software may write
  u8 devfn = 0;

 protected:
  enum class BarKind : u8 { kNone, kMem32, kMem64, kIo };
  void declare_bar(unsigned bar, BarKind kind, u32 size, bool prefetchable = false);
  u8 add_capability(u8 id, u8 size);  // returns its offset in configuration space
  void add_msi();                     // 64-bit capable, one vector
  bool io_enabled() const { return config[4] & 1; }
  bool mem_enabled() const { return config[4] & 2; }
  bool bus_master() const { return config[4] & 4; }
  u16 cfg16(u8 r) const { return load<u16>(&config[r]); }
  u32 cfg32(u8 r) const { return load<u32>(&config[r]); }
  void put16(u8 r, u16 v) { store(&config[r], v); }
  void put32(u8 r, u32 v) { store(&config[r], v); }

 private:
  friend class PciBus;
  struct Bar {
    BarKind kind = BarKind::kNone;
    u32 size = 0;
    u64 mapped = kUnmapped;
  };
  Bar bars_[7];
  void update_bars();
  u8 msi_cap_ = 0, next_cap_ = 0x40;
  bool intx_ = false;
  std::function<void(bool)> intx_sink_;
  std::function<void(u64 addr, u32 data)> msi_sink_;
};

class PciBus final : public Device, public PortHandler {
 public:
  // set_gsi drives the interrupt lines after routing; send_msi delivers a message to the local APIC.
  struct Wiring {
    std::function<void(unsigned pirq /* 0..3 = A..D */, bool level)> set_pirq;
    std::function<void(u64 addr, u32 data)> send_msi;
  };
  explicit PciBus(Wiring w);
  // Puts a device at devfn; the caller keeps ownership. INTx pin p of slot s is PIRQ (s + p - 2) & 3 with p from 1
  // (QEMU's i440FX).
  void attach(PciDevice* d, u8 devfn);
  u32 port_read(u16 port, unsigned size) override;  // CF8-CFF
  void port_write(u16 port, u32 value, unsigned size) override;
  const char* name() const override { return "pci"; }
  void reset() override;
  void state(State& s) override;  // CF8 and the PIRQ counters; devices save themselves

 private:
  Wiring wiring_;
  PciDevice* devices_[256] = {};
  u32 address_ = 0;
  u32 pirq_level_[4] = {};  // how many devices assert it
};

}  // namespace oriel
