// The 8254 interval timer and port 61 (timer 2 gate, speaker, refresh toggle). Counter 0 drives IRQ 0.
// Ports 40-43 and 61; register them with max_size 1.
// Sources: Intel 8254 data sheet (231164); 82371SB (PIIX3) data sheet, NMI status and control (61h).
#pragma once

#include "devices/device.h"

namespace oriel {

class Pit final : public Device, public PortHandler {
 public:
  static constexpr u64 kHz = 1193182;

  // `irq0` follows OUT of counter 0. In modes 2 and 3 only its rising edges are timed: the line drops just
  // before each of them. The HPET's legacy replacement disconnects it: that is for the machine to do.
  Pit(Scheduler& sched, IrqLine irq0);

  // OUT 2 and the data bit: the speaker cone moves while both are set.
  bool speaker_enabled() const { return port61_ & 2; }
  // The tone the speaker plays when counter 2 is in mode 3; 0 when it is silent.
  u32 speaker_hz();

  u32 port_read(u16 port, unsigned size) override;
  void port_write(u16 port, u32 value, unsigned size) override;
  const char* name() const override { return "pit"; }
  void reset() override;
  void state(State& s) override;

 private:
  struct Counter {
    u8 mode = 3, rw = 3;
    bool bcd = false, gate = true;
    bool write_high = false, read_high = false;  // next byte of a two-byte access
    u8 write_low = 0;
    bool latched = false, status_latched = false;
    u16 latch = 0;
    u8 status = 0;
    bool null_count = true;  // the count written is not in the counting element yet
    // The counting element. Time is in ticks of the input clock; `start` is the tick that loads `n`.
    bool loaded = false;   // a count is in, or will be on the next tick
    bool stopped = false;  // held by the gate, `frozen` ticks after start
    u64 start = 0, frozen = 0;
    u32 n = 0x10000;  // count in force, 1 to 65536 (10000 in BCD)
    u16 held = 0;     // value and OUT before `start`
    bool held_out = false;
    // Modes 2 and 3: a new count waits for the end of the cycle (or half cycle). Modes 1 and 5: for the trigger.
    bool pending = false, pending_low = false;
    u32 next_n = 0x10000;
    u64 load_tick = 0;
  };

  u64 ticks_now();
  static u32 modulus(const Counter& c) { return c.bcd ? 10000 : 65536; }
  static u32 high_part(u32 n) { return (n + 1) / 2; }  // ticks of OUT high in mode 3
  static bool running(const Counter& c, u64 t) { return c.loaded && (c.stopped || t >= c.start); }
  static u64 elapsed(const Counter& c, u64 t) { return c.stopped ? c.frozen : t - c.start; }
  void settle(Counter& c, u64 t);  // moves a pending count in when its time has come
  u32 value(const Counter& c, u64 t) const;
  u16 shown(const Counter& c, u64 t) const;  // value as it is read: BCD or binary
  bool out(const Counter& c, u64 t) const;
  u8 status(const Counter& c, u64 t) const;
  void control(u8 v);
  void write_count(Counter& c, u8 v);
  void load(Counter& c, u32 count);
  void set_gate(Counter& c, bool level);
  u8 read_count(Counter& c);
  u64 next_rise(const Counter& c, u64 t) const;
  void sync();  // fires what is due
  void on_timer();
  void update_irq();

  Counter counter_[3];
  u8 port61_ = 0;
  u64 rise_ = 0;  // tick of the next rising edge of OUT 0
  Scheduler& sched_;
  Scheduler::TimerId timer_;
  IrqLine irq_;
};

}  // namespace oriel
