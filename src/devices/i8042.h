// The keyboard controller with a PS/2 keyboard and a PS/2 wheel mouse. Ports 60 and 64; register them with
// max_size 1. Sources: IBM PS/2 Hardware Interface Technical Reference (keyboard and auxiliary device
// controller, keyboards, mouse); Microsoft's IntelliMouse protocol (the sample-rate knock).
#pragma once

#include "devices/device.h"
#include "devices/ps2.h"

namespace oriel {

class I8042 final : public Device, public PortHandler {
 public:
  struct Wiring {
    IrqLine irq1, irq12;
    std::function<void(bool)> a20;  // the A20 gate was written
    std::function<void()> reset;    // the CPU reset output was pulsed
  };
  I8042(Scheduler& sched, Wiring w);

  // Input from the host. Scan codes are set 1, as Machine::key() has them; the pause key is E11D or E046.
  // Repeats are the host's to send.
  void key(u16 scancode_set1, bool down);
  // dx right, dy down (screen coordinates), dz wheel clicks towards the user. buttons: 1 left, 2 right,
  // 4 middle, 8 and 16 the side buttons.
  void mouse(int dx, int dy, int dz, unsigned buttons);
  u8 keyboard_leds() const { return kbd_.leds(); }  // 1 scroll, 2 num, 4 caps

  u32 port_read(u16 port, unsigned size) override;
  void port_write(u16 port, u32 value, unsigned size) override;
  const char* name() const override { return "i8042"; }
  void reset() override;
  void state(State& s) override;

 private:
  void command(u8 v);
  void data(u8 v);
  void output_port(u8 v);
  void reply(u8 v, bool aux = false);  // from the controller itself
  void put(u8 v, bool aux);            // into the output buffer
  u8 translate(u8 v, bool& drop);
  void feed();  // gives a device time to send its next byte
  void pump_mouse();
  void on_timer();
  void update_irq();

  u8 status_ = 0x18, ctr_ = 0x03, obuf_ = 0, pending_ = 0 /* command that waits for its byte */;
  u8 output_port_ = 0xc3;
  bool break_prefix_ = false;  // translation saw F0
  u8 ram_[32] = {};
  Ps2Queue<8> replies_, reply_aux_;  // parallel: the byte, and 1 when it comes as from the mouse
  Ps2Keyboard kbd_;
  Ps2Mouse mouse_;
  Scheduler& sched_;
  Scheduler::TimerId timer_, sample_timer_;
  Wiring w_;
};

}  // namespace oriel
