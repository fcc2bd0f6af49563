// Two 8259A interrupt controllers in cascade. Source: Intel 8259A data sheet (231468).
#include "devices/pic.h"

#include "devices/devutil.h"

namespace oriel {

namespace {
constexpr u8 bit(unsigned n) { return static_cast<u8>(1u << n); }
constexpr unsigned kCascade = 2;
}  // namespace

Pic::Pic(std::function<void(bool)> intr) : intr_(std::move(intr)) {}

void Pic::reset() {
  // The input levels belong to the devices that drive them; requests do not survive.
  for (Chip& c : chip_) {
    u8 lines = c.lines;
    c = Chip{};
    c.lines = lines;
  }
  update();
}

void Pic::set_irq(unsigned irq, bool level) {
  if (irq > 15 || irq == kCascade) return;
  set_input(chip_[irq >> 3], irq & 7, level);
  update();
}

void Pic::set_input(Chip& c, unsigned n, bool level) {
  bool was = c.lines & bit(n);
  c.lines = static_cast<u8>(level ? c.lines | bit(n) : c.lines & ~bit(n));
  if (level_mask(c) & bit(n))
    c.irr = static_cast<u8>(level ? c.irr | bit(n) : c.irr & ~bit(n));
  else if (level && !was)
    c.irr |= bit(n);
}

int Pic::pending(const Chip& c, bool master) const {
  if (c.init_step) return -1;
  u8 requests = c.irr & ~c.imr;
  if (!requests) return -1;
  u8 serving = c.isr;
  if (c.special_mask) serving &= ~c.imr;
  // Special fully nested mode: further requests of a slave in service come through.
  if (c.fully_nested && master) serving &= ~bit(kCascade);
  for (unsigned i = 1; i <= 8; i++) {
    unsigned n = (c.lowest + i) & 7;
    // In special mask mode only the level in service itself is inhibited, not those below it.
    if (serving & bit(n)) {
      if (!c.special_mask) return -1;
      continue;
    }
    if (requests & bit(n)) return static_cast<int>(n);
  }
  return -1;
}

void Pic::take(Chip& c, unsigned n) {
  if (!(level_mask(c) & bit(n))) c.irr &= ~bit(n);
  if (!c.auto_eoi)
    c.isr |= bit(n);
  else if (c.rotate_aeoi)
    c.lowest = static_cast<u8>(n);
}

u8 Pic::acknowledge() {
  Chip& m = chip_[0];
  Chip& s = chip_[1];
  int n = pending(m, true);
  u8 vector;
  if (n < 0) {
    vector = m.base | 7;
  } else if (n == static_cast<int>(kCascade) && !m.single) {
    take(m, kCascade);
    int k = pending(s, false);
    if (k >= 0) take(s, static_cast<unsigned>(k));
    vector = s.base | static_cast<u8>(k < 0 ? 7 : k);
    set_input(m, kCascade, false);  // INT falls during the cycle, so that a further request makes an edge
  } else {
    take(m, static_cast<unsigned>(n));
    vector = m.base | static_cast<u8>(n);
  }
  update();
  return vector;
}

void Pic::update() {
  Chip& m = chip_[0];
  bool slave = pending(chip_[1], false) >= 0;
  set_input(m, kCascade, slave);
  // A slave that withdraws its request (masked, level gone) takes the master's with it.
  if (!slave) m.irr &= ~bit(kCascade);
  bool level = pending(m, true) >= 0;
  if (level == intr_level_) return;
  intr_level_ = level;
  notify(intr_, level);
}

void Pic::command(Chip& c, u8 v) {
  if (v & 0x10) {  // ICW1
    // The edge sense circuit is reset: an input must rise again to request.
    c.level_all = v & 0x08;
    c.single = v & 0x02;
    c.need_icw4 = v & 0x01;
    c.irr = c.lines & level_mask(c);
    c.isr = c.imr = 0;
    c.lowest = 7;
    c.special_mask = c.read_isr = c.poll = false;
    if (!c.need_icw4) c.auto_eoi = c.fully_nested = false;
    c.rotate_aeoi = false;
    c.init_step = 2;
    return;
  }
  if (v & 0x08) {  // OCW3
    if (v & 0x40) c.special_mask = v & 0x20;
    if (v & 0x02) c.read_isr = v & 0x01;
    c.poll = v & 0x04;
    return;
  }
  // OCW2
  unsigned level = v & 7;
  switch (v >> 5) {
    case 0: c.rotate_aeoi = false; break;
    case 4: c.rotate_aeoi = true; break;
    case 1:  // non-specific EOI, with or without rotation
    case 5: {
      u8 serving = c.isr;
      if (c.special_mask) serving &= ~c.imr;
      for (unsigned i = 1; i <= 8; i++) {
        unsigned n = (c.lowest + i) & 7;
        if (!(serving & bit(n))) continue;
        c.isr &= ~bit(n);
        if (v >> 5 == 5) c.lowest = static_cast<u8>(n);
        break;
      }
      break;
    }
    case 3: c.isr &= ~bit(level); break;
    case 7:
      c.isr &= ~bit(level);
      c.lowest = static_cast<u8>(level);
      break;
    case 6: c.lowest = static_cast<u8>(level); break;
    default: break;  // 2: no operation
  }
}

void Pic::data(Chip& c, u8 v) {
  switch (c.init_step) {
    case 2:
      c.base = v & 0xf8;
      c.init_step = !c.single ? 3 : c.need_icw4 ? 4 : 0;
      break;
    case 3: c.init_step = c.need_icw4 ? 4 : 0; break;  // the cascade is wired, not programmed
    case 4:
      c.fully_nested = v & 0x10;
      c.auto_eoi = v & 0x02;
      c.init_step = 0;
      break;
    default: c.imr = v; break;  // OCW1
  }
}

void Pic::write_elcr(Chip& c, u8 v) {
  // The timer, the keyboard, the cascade, the RTC and the FPU are always edge-triggered.
  c.elcr = v & (&c == &chip_[0] ? 0xf8 : 0xde);
  c.irr = static_cast<u8>((c.irr & ~level_mask(c)) | (c.lines & level_mask(c)));
}

u32 Pic::port_read(u16 port, unsigned) {
  if ((port & 0xfffe) == 0x4d0) return chip_[port & 1].elcr;
  Chip& c = chip_[port >> 7 & 1];
  if (c.poll) {
    c.poll = false;
    int n = pending(c, &c == &chip_[0]);
    if (n < 0) return 0;
    take(c, static_cast<unsigned>(n));
    update();
    return 0x80 | static_cast<u32>(n);
  }
  if (port & 1) return c.imr;
  return c.read_isr ? c.isr : c.irr;
}

void Pic::port_write(u16 port, u32 value, unsigned) {
  u8 v = static_cast<u8>(value);
  Chip& c = chip_[(port & 0xfffe) == 0x4d0 ? port & 1 : port >> 7 & 1];
  if ((port & 0xfffe) == 0x4d0)
    write_elcr(c, v);
  else if (port & 1)
    data(c, v);
  else
    command(c, v);
  update();
}

void Pic::state(State& s) {
  for (Chip& c : chip_) {
    for (u8* p : {&c.lines, &c.irr, &c.isr, &c.imr, &c.elcr, &c.base, &c.lowest, &c.init_step}) s.io(*p);
    for (bool* p : {&c.need_icw4, &c.single, &c.level_all, &c.auto_eoi, &c.rotate_aeoi, &c.fully_nested,
                    &c.special_mask, &c.read_isr, &c.poll})
      io_bool(s, *p);
    if (c.lowest > 7 || c.init_step > 4) s.bad = true;
    c.lowest &= 7;
  }
  io_bool(s, intr_level_);
}

}  // namespace oriel
