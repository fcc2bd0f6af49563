// Port 92. Source: 82371SB (PIIX3) data sheet.
#include "devices/port92.h"

#include "devices/devutil.h"

namespace oriel {

Port92::Port92(std::function<void(bool)> a20, std::function<void()> cpu_reset)
    : a20_(std::move(a20)), cpu_reset_(std::move(cpu_reset)) {}

u32 Port92::port_read(u16, unsigned) { return value_; }

void Port92::port_write(u16, u32 value, unsigned) {
  bool pulse = !(value_ & 1) && (value & 1);
  value_ = value & 3;
  notify(a20_, (value & 2) != 0);
  if (pulse) notify(cpu_reset_);
}

}  // namespace oriel
