// The two cascaded 8259A interrupt controllers of a PC with the PIIX edge/level control registers.
// Ports 20-21, A0-A1 and 4D0-4D1; register them with max_size 1.
// Sources: Intel 8259A data sheet (231468); 82371SB (PIIX3) data sheet, section 2.5.5 (ELCR).
#pragma once

#include "devices/device.h"

namespace oriel {

class Pic final : public Device, public PortHandler {
 public:
  // `intr` is the INT output of the master: the level of the CPU's INTR in PIC mode, or of LINT0 and
  // I/O APIC pin 0. Called when it changes.
  explicit Pic(std::function<void(bool)> intr);

  // Input lines 0 to 15; 2 is the cascade and is ignored. A rising edge is held until acknowledged
  // (an input that falls first does not withdraw its request); a level counts as long as it lasts.
  void set_irq(unsigned irq, bool level);
  // The INTA cycles: the vector. Without a request it is the spurious IR7 of the chip concerned.
  u8 acknowledge();
  bool intr() const { return intr_level_; }

  u32 port_read(u16 port, unsigned size) override;
  void port_write(u16 port, u32 value, unsigned size) override;
  const char* name() const override { return "pic"; }
  void reset() override;
  void state(State& s) override;

 private:
  struct Chip {
    u8 lines = 0;  // input levels
    u8 irr = 0, isr = 0, imr = 0, elcr = 0;
    u8 base = 0;       // ICW2: T7-T3
    u8 lowest = 7;     // the input of lowest priority
    u8 init_step = 0;  // next ICW expected (2, 3, 4); 0: ready
    bool need_icw4 = false, single = false, level_all = false;
    bool auto_eoi = false, rotate_aeoi = false, fully_nested = false, special_mask = false;
    bool read_isr = false, poll = false;
  };

  u8 level_mask(const Chip& c) const { return c.level_all ? 0xff : c.elcr; }
  void set_input(Chip& c, unsigned n, bool level);
  int pending(const Chip& c, bool master) const;  // the request to present, or -1
  void take(Chip& c, unsigned n);                 // what INTA does to the chip
  void command(Chip& c, u8 v);
  void data(Chip& c, u8 v);
  void write_elcr(Chip& c, u8 v);
  void update();

  Chip chip_[2];
  bool intr_level_ = false;
  std::function<void(bool)> intr_;
};

}  // namespace oriel
