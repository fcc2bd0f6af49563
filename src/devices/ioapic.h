// The 82093AA I/O APIC with 24 inputs. One 4 KiB page of MMIO at FEC00000.
// Source: Intel 82093AA data sheet (290566).
#pragma once

#include "devices/device.h"

namespace oriel {

class IoApic final : public Device, public MmioHandler {
 public:
  static constexpr u64 kBase = 0xfec00000;
  static constexpr unsigned kPins = 24;
  // Sends a message to the local APICs; true when one accepted it.
  using Deliver = std::function<bool(u8 dest, bool logical, u8 mode, u8 vector, bool level_triggered)>;
  // `extint_changed`, optional: accepts_extint() may have changed.
  explicit IoApic(Deliver deliver, std::function<void()> extint_changed = {});

  // Pin levels, true = asserted whatever the entry's polarity says. Pins are pins: the machine maps
  // ISA IRQ 0 to pin 2, as the ACPI tables say.
  void set_irq(unsigned pin, bool level);
  void eoi(u8 vector);  // broadcast by the local APIC
  // Pin 0 is wired to the PIC's INTR: true when its entry passes ExtINT on ("virtual wire" through the I/O APIC).
  bool accepts_extint() const;

  u64 mmio_read(u64 offset, unsigned size) override;
  void mmio_write(u64 offset, u64 value, unsigned size) override;
  const char* name() const override { return "ioapic"; }
  void reset() override;
  void state(State& s) override;

 private:
  void service(unsigned pin, bool edge);
  u32 read_reg(u8 reg) const;
  void write_reg(u8 reg, u32 v);

  u64 entry_[kPins] = {};
  u32 lines_ = 0;
  u8 select_ = 0, id_ = 0;
  Deliver deliver_;
  std::function<void()> extint_changed_;
};

}  // namespace oriel
