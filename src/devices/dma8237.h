// The two 8237A DMA controllers of a PC with their page registers, and no device on any channel: software
// finds registers that read back. Ports 00-0F, 81-8F (80 is the POST code port), C0-DF; max_size 1.
// Sources: Intel 8237A data sheet (231466); 82371SB (PIIX3) data sheet, section 2.5.1.
#pragma once

#include "devices/device.h"

namespace oriel {

class Dma8237 final : public Device, public PortHandler {
 public:
  u32 port_read(u16 port, unsigned size) override;
  void port_write(u16 port, u32 value, unsigned size) override;
  const char* name() const override { return "dma8237"; }
  void reset() override;
  void state(State& s) override;

 private:
  struct Controller {
    u16 base_addr[4] = {}, base_count[4] = {}, addr[4] = {}, count[4] = {};
    u8 mode[4] = {}, command = 0, request = 0, mask = 0x0f;
    bool high = false;  // the byte flip-flop
  };
  void clear(Controller& c);
  u8 read(Controller& c, unsigned reg);
  void write(Controller& c, unsigned reg, u8 v);
  Controller ctl_[2];
  u8 page_[16] = {};
};

}  // namespace oriel
