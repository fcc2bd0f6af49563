// The firmware's debug console, port 402, and the POST code latch, port 80. max_size 1.
// Sources: SeaBIOS documentation (debug port reads as E9 when it is there); PC/AT technical reference.
#pragma once

#include "devices/device.h"

namespace oriel {

class DebugCon final : public Device, public PortHandler {
 public:
  explicit DebugCon(std::function<void(u8)> output);
  u8 post_code() const { return post_code_; }
  u32 port_read(u16 port, unsigned size) override;
  void port_write(u16 port, u32 value, unsigned size) override;
  const char* name() const override { return "debugcon"; }
  void reset() override { post_code_ = 0; }
  void state(State& s) override { s.io(post_code_); }

 private:
  u8 post_code_ = 0;
  std::function<void(u8)> output_;
};

}  // namespace oriel
