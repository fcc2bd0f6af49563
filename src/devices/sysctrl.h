// The reset control register. Port CF9, max_size 1; register it after PCI's CF8-CFF.
// Source: 82371SB (PIIX3) data sheet, reset control register.
#pragma once

#include "devices/device.h"

namespace oriel {

class SysCtrl final : public Device, public PortHandler {
 public:
  // RCPU (bit 2) went from 0 to 1: a hard reset of the machine when SRST (bit 1) is set, else of the CPU.
  explicit SysCtrl(std::function<void(bool hard)> reset);
  u32 port_read(u16 port, unsigned size) override;
  void port_write(u16 port, u32 value, unsigned size) override;
  const char* name() const override { return "sysctrl"; }
  void reset() override { value_ = 0; }
  void state(State& s) override { s.io(value_); }

 private:
  u8 value_ = 0;
  std::function<void(bool)> reset_;
};

}  // namespace oriel
