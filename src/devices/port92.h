// System control port A: alternate A20 gate and fast CPU reset. Port 92, max_size 1.
// Source: 82371SB (PIIX3) data sheet, port 92 register.
#pragma once

#include "devices/device.h"

namespace oriel {

class Port92 final : public Device, public PortHandler {
 public:
  // `a20` is told bit 1 on every write; `cpu_reset` when bit 0 goes from 0 to 1.
  Port92(std::function<void(bool)> a20, std::function<void()> cpu_reset);
  u32 port_read(u16 port, unsigned size) override;
  void port_write(u16 port, u32 value, unsigned size) override;
  const char* name() const override { return "port92"; }
  void reset() override { value_ = 0; }
  void state(State& s) override { s.io(value_); }

 private:
  u8 value_ = 0;
  std::function<void(bool)> a20_;
  std::function<void()> cpu_reset_;
};

}  // namespace oriel
