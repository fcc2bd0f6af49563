// Debug console and POST code.
#include "devices/debugcon.h"

#include "devices/devutil.h"

namespace oriel {

DebugCon::DebugCon(std::function<void(u8)> output) : output_(std::move(output)) {}

u32 DebugCon::port_read(u16 port, unsigned) { return port == 0x80 ? post_code_ : 0xe9; }

void DebugCon::port_write(u16 port, u32 value, unsigned) {
  u8 v = static_cast<u8>(value);
  if (port == 0x80)
    post_code_ = v;
  else
    notify(output_, v);
}

}  // namespace oriel
