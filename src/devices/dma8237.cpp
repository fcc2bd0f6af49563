// 8237A registers. Source: Intel 8237A data sheet (231466), "Register Description".
#include "devices/dma8237.h"

namespace oriel {

void Dma8237::clear(Controller& c) {  // master clear
  c.command = c.request = 0;
  c.mask = 0x0f;
  c.high = false;
}

void Dma8237::reset() {
  for (Controller& c : ctl_) clear(c);
}

u8 Dma8237::read(Controller& c, unsigned reg) {
  if (reg < 8) {
    u16 v = reg & 1 ? c.count[reg >> 1] : c.addr[reg >> 1];
    bool high = c.high;
    c.high = !high;
    return static_cast<u8>(high ? v >> 8 : v);
  }
  // Status: no channel ever reached its terminal count. The rest: no transfer has filled the temporary register.
  return reg == 8 ? static_cast<u8>(c.request << 4) : reg == 15 ? 0xf0 | c.mask : 0;
}

void Dma8237::write(Controller& c, unsigned reg, u8 v) {
  if (reg < 8) {
    unsigned ch = reg >> 1;
    u16& base = reg & 1 ? c.base_count[ch] : c.base_addr[ch];
    base = static_cast<u16>(c.high ? (base & 0x00ff) | v << 8 : (base & 0xff00) | v);
    (reg & 1 ? c.count[ch] : c.addr[ch]) = base;
    c.high = !c.high;
    return;
  }
  u8 bit = static_cast<u8>(1u << (v & 3));
  switch (reg) {
    case 8: c.command = v; break;
    case 9: c.request = static_cast<u8>(v & 4 ? c.request | bit : c.request & ~bit); break;
    case 10: c.mask = static_cast<u8>(v & 4 ? c.mask | bit : c.mask & ~bit); break;
    case 11: c.mode[v & 3] = v; break;
    case 12: c.high = false; break;
    case 13: clear(c); break;
    case 14: c.mask = 0; break;
    default: c.mask = v & 0x0f; break;
  }
}

u32 Dma8237::port_read(u16 port, unsigned) {
  if (port < 0x10) return read(ctl_[0], port);
  if ((port & ~0x1f) == 0xc0) return read(ctl_[1], port >> 1 & 15);
  return page_[port & 15];
}

void Dma8237::port_write(u16 port, u32 value, unsigned) {
  u8 v = static_cast<u8>(value);
  if (port < 0x10)
    write(ctl_[0], port, v);
  else if ((port & ~0x1f) == 0xc0)
    write(ctl_[1], port >> 1 & 15, v);
  else
    page_[port & 15] = v;
}

void Dma8237::state(State& s) {
  for (Controller& c : ctl_) {
    s.io(c.base_addr);
    s.io(c.base_count);
    s.io(c.addr);
    s.io(c.count);
    s.io(c.mode);
    s.io(c.command);
    s.io(c.request);
    s.io(c.mask);
    u8 high = c.high;
    s.io(high);
    if (high > 1) s.bad = true;
    c.high = high & 1;
  }
  s.io(page_);
}

}  // namespace oriel
