// Port CF9. Source: 82371SB (PIIX3) data sheet.
#include "devices/sysctrl.h"

#include "devices/devutil.h"

namespace oriel {

SysCtrl::SysCtrl(std::function<void(bool)> reset) : reset_(std::move(reset)) {}

u32 SysCtrl::port_read(u16, unsigned) { return value_; }

void SysCtrl::port_write(u16, u32 value, unsigned) {
  bool pulse = !(value_ & 4) && (value & 4);
  value_ = value & 6;
  if (pulse) notify(reset_, (value & 2) != 0);
}

}  // namespace oriel
