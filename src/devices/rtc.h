// The MC146818A real-time clock with 128 bytes of CMOS RAM, and the second bank of 128 bytes of the PIIX.
// Ports 70-71 and 72-73; register them with max_size 1.
// Sources: Motorola MC146818A data sheet; 82371SB (PIIX3) data sheet, RTC index register (NMI mask).
#pragma once

#include "devices/device.h"

namespace oriel {

class Rtc final : public Device, public PortHandler {
 public:
  // `irq8` is the IRQ output. `nmi_mask`, optional, is told the level of bit 7 of port 70 when it changes.
  Rtc(Scheduler& sched, IrqLine irq8, std::function<void(bool masked)> nmi_mask = {});

  // The calendar: seconds since 1970-01-01 00:00:00, shown as they are (UTC or local is the caller's choice).
  void set_time(u64 seconds);
  u64 time();
  // CMOS contents below the clock's own registers, indices 0E to 7F (80 to FF: the second bank). The century
  // at 32 belongs to the calendar. Kept over reset.
  void set_cmos(u8 index, u8 value);
  u8 cmos(u8 index);
  bool nmi_masked() const { return nmi_masked_; }

  u32 port_read(u16 port, unsigned size) override;
  void port_write(u16 port, u32 value, unsigned size) override;
  const char* name() const override { return "rtc"; }
  void reset() override;
  void state(State& s) override;

 private:
  static constexpr unsigned kTimeRegs = 8;  // seconds, minutes, hours, weekday, day, month, year, century

  u64 since_phase(u64 now) const { return now - phase_; }  // modulo 2^64; divided into seconds
  bool stopped() const { return (b_ & 0x80) || (a_ & 0x60) == 0x60; }
  u8 encode(unsigned v) const;  // to BCD or binary
  unsigned decode(u8 v) const;
  u8 encode_hour(unsigned h) const;
  void show(s64 seconds, u8* regs) const;
  s64 value_of(const u8* regs) const;
  u8 read_reg(u8 index);
  void write_reg(u8 index, u8 v);
  void write_time_reg(unsigned slot, u8 v);
  void freeze(u64 now);
  void thaw(u64 now);
  unsigned period_ticks() const;    // of 32768 Hz; 0: off
  s64 next_alarm(s64 after) const;  // second of the next match, or -1
  void sync(u64 now);               // raises the flags of everything up to now
  void update(u64 now);             // interrupt line and the next event

  u8 index_ = 0, index2_ = 0x80;
  u8 a_ = 0x26, b_ = 0x02, c_ = 0;
  u8 alarm_[3] = {};           // seconds, minutes, hours as written
  u8 frozen_[kTimeRegs] = {};  // the registers while the clock is stopped
  u8 ram_[256] = {};
  bool nmi_masked_ = false;
  // The calendar shows base_ + whole seconds since phase_. Flags are computed up to synced_.
  s64 base_ = 946684800;
  u64 phase_ = 0, synced_ = 0;
  u8 weekday_shift_ = 0;  // what the guest set the weekday to, relative to the date's
  Scheduler& sched_;
  Scheduler::TimerId timer_;
  IrqLine irq_;
  std::function<void(bool)> nmi_mask_;
};

}  // namespace oriel
