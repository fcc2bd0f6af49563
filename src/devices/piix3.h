// The south bridge: PIIX3 ISA bridge (8086:7000, 01.0) with the PIRQ router, its IDE function (8086:7010,
// 01.1) and, as on QEMU's "pc" machine, the PIIX4's power management function (8086:7113, 01.3).
// Sources: Intel 82371SB (PIIX3) data sheet 290550; 82371AB (PIIX4) data sheet 290562.
#pragma once

#include "devices/ide.h"
#include "devices/pci.h"

namespace oriel {

class Piix3 final : public PciDevice {
 public:
  // Drives ISA IRQ `irq` as the PCI interrupts need it. Both the PIC and the I/O APIC see it under that number.
  using SetIsaIrq = std::function<void(unsigned irq, bool level)>;
  explicit Piix3(SetIsaIrq set_isa_irq);

  void set_pirq(unsigned pirq, bool level);  // 0 to 3: PIRQA# to PIRQD#, active
  void config_write(u8 reg, u32 value, unsigned size) override;
  const char* name() const override { return "piix3"; }
  void reset() override;
  void state(State& s) override;

 private:
  void route();
  SetIsaIrq set_isa_irq_;
  u8 pirq_ = 0;   // bit n: PIRQ n is active
  u16 irqs_ = 0;  // ISA IRQs now driven
};

// Power management: where the ACPI register block and the SMBus host controller appear in the I/O space.
// The SMBus has no devices: every transaction ends with a device error.
class Piix4Pm final : public PciDevice, public PortHandler {
 public:
  using MapPorts = std::function<void(u16 base, bool on)>;
  static constexpr u16 kPmSize = 0x40, kSmbusSize = 0x10;
  // map_pm: the ACPI registers' kPmSize ports at `base` come or go. map_smbus: this device's own
  // kSmbusSize ports (max_size 1).
  Piix4Pm(MapPorts map_pm, MapPorts map_smbus);

  void config_write(u8 reg, u32 value, unsigned size) override;
  u32 port_read(u16 port, unsigned size) override;  // SMBus
  void port_write(u16 port, u32 value, unsigned size) override;
  const char* name() const override { return "piix4-pm"; }
  void reset() override;
  void state(State& s) override;

 private:
  void apply();
  MapPorts map_pm_, map_smbus_;
  u16 pm_base_ = 0, smbus_base_ = 0;  // as mapped; 0: not
  u8 smbus_[kSmbusSize] = {};
};

// Two channels at the legacy ports (1F0-1F7 and 170-177 max_size 4; 3F6 and 376 max_size 1; IRQ 14 and 15) and
// the bus-master registers in BAR 4 (16 ports, max_size 4). All of them have this object as their handler.
class PiixIde final : public PciDevice, public PortHandler {
 public:
  struct Wiring {
    IrqLine irq14, irq15;
    std::function<void(u16 base, bool on)> map_bus_master;
  };
  static constexpr u32 kBusMasterSize = 16;
  PiixIde(Scheduler& sched, Dma& dma, Wiring w);
  IdeChannel& channel(unsigned n) { return channels_[n & 1]; }

  u32 port_read(u16 port, unsigned size) override;
  void port_write(u16 port, u32 value, unsigned size) override;
  void config_write(u8 reg, u32 value, unsigned size) override;
  void bar_changed(unsigned bar, u64 address) override;
  const char* name() const override { return "piix-ide"; }
  void reset() override;
  void state(State& s) override;

 private:
  u8 read_byte(u16 port);
  void write_byte(u16 port, u8 v);
  IdeChannel channels_[2];
  std::function<void(u16, bool)> map_bus_master_;
  u16 bus_master_base_ = 0;  // 0: not mapped
};

}  // namespace oriel
