// The power management registers of the PIIX4: PM1a event and control blocks, PM timer, a general-purpose
// event block, and the APM ports through which an OS asks for ACPI mode. Ports base..base+3F (max_size 4),
// AFE0-AFE3 (max_size 4) and B2-B3 (max_size 1). The base is set by the PCI function's configuration.
// Sources: Intel 82371AB (PIIX4) data sheet, section 7.2; ACPI specification, chapter 4.
#pragma once

#include "devices/device.h"

namespace oriel {

class AcpiPm final : public Device, public PortHandler {
 public:
  static constexpr u64 kTimerHz = 3579545;
  static constexpr u16 kDefaultBase = 0x600, kBlockSize = 0x40, kGpeBase = 0xafe0, kGpeSize = 4;
  static constexpr u16 kApmCommand = 0xb2, kApmStatus = 0xb3;
  static constexpr u8 kAcpiEnable = 0xf1, kAcpiDisable = 0xf0;  // values for B2, as the FADT names them

  struct Wiring {
    IrqLine sci;                            // ISA IRQ 9, level
    std::function<void(u8 slp_typ)> sleep;  // SLP_EN was written; the machine knows which type is S5 or S3
    std::function<void(u8 command)> smi;    // optional: any write to B2 (the ACPI commands are handled here)
  };
  AcpiPm(Scheduler& sched, Wiring w);

  void set_base(u16 base) { base_ = base; }  // where this device's block appears; a multiple of 64
  u16 base() const { return base_; }
  void power_button();
  void wake();                           // leaving S3: sets WAK_STS
  void set_gpe(unsigned n, bool level);  // general-purpose event 0 to 15: sets its status bit when asserted
  bool acpi_enabled() const { return cnt_ & 1; }

  u32 port_read(u16 port, unsigned size) override;
  void port_write(u16 port, u32 value, unsigned size) override;
  const char* name() const override { return "acpi-pm"; }
  void reset() override;
  void state(State& s) override;

 private:
  u8 read_byte(unsigned reg, u64 now);
  void write_byte(unsigned reg, u8 v);
  void sync(u64 now);
  void update();

  u16 base_ = kDefaultBase;
  u16 sts_ = 0, en_ = 0, cnt_ = 0, gpe_sts_ = 0, gpe_en_ = 0;
  u8 apm_command_ = 0, apm_status_ = 0;
  u64 timer_seen_ = 0;  // half periods of the 24-bit timer (bit 23 changes) that are in TMR_STS already
  Scheduler& sched_;
  Scheduler::TimerId timer_;
  Wiring w_;
};

}  // namespace oriel
