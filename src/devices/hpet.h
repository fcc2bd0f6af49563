// The high precision event timers: a 64-bit counter at 100 MHz and three comparators, the first two with
// legacy replacement routing. One 4 KiB page of MMIO at FED00000.
// Source: IA-PC HPET Specification, revision 1.0a.
#pragma once

#include "devices/device.h"

namespace oriel {

class Hpet final : public Device, public MmioHandler {
 public:
  static constexpr u64 kBase = 0xfed00000;
  static constexpr u64 kPeriodFs = 10'000'000;  // 10 ns a tick
  static constexpr unsigned kTimers = 3;

  struct Wiring {
    // An I/O APIC pin of `route_cap`.
    std::function<void(unsigned gsi, bool level)> set_gsi;
    // Legacy replacement: timer 0 drives ISA IRQ 0 (and I/O APIC pin 2), timer 1 ISA IRQ 8.
    IrqLine irq0, irq8;
    // Legacy replacement was switched: while on, the PIT's IRQ 0 and the RTC's IRQ 8 are disconnected (the
    // machine drops them).
    std::function<void(bool on)> legacy_changed;
  };
  // `route_cap`: I/O APIC pins that any timer may use, bit n for pin n.
  Hpet(Scheduler& sched, Wiring w, u32 route_cap = 0x00ff0104);
  bool legacy_replacement() const { return config_ & 2; }

  u64 mmio_read(u64 offset, unsigned size) override;
  void mmio_write(u64 offset, u64 value, unsigned size) override;
  const char* name() const override { return "hpet"; }
  void reset() override;
  void state(State& s) override;

 private:
  static constexpr s8 kNowhere = -1, kLegacy = -2;  // routes that are not an I/O APIC pin
  struct Timer {
    u64 config = 0, comparator = ~u64{0}, period = 0;
    u64 synced = 0;     // matches up to this counter value were seen
    bool line = false;  // level asserted, on the route `where`
    s8 where = kNowhere;
    Scheduler::TimerId id = 0;
  };
  static constexpr u64 kTickNs = kPeriodFs / 1'000'000;

  bool on() const { return config_ & 1; }
  u64 counter(u64 now) const { return on() ? base_ + (now - start_) / kTickNs : base_; }
  u64 to_match(const Timer& t) const;  // ticks from t.synced to the next match; 0: 2^64
  void sync(unsigned n, u64 now);
  void sync_all(u64 now);
  void arm(unsigned n, u64 now);
  void drive(unsigned n);  // puts the level of timer n on the line it is routed to
  void fire(unsigned n);
  void on_timer(unsigned n);
  int route(unsigned n) const;  // pin, kNowhere or kLegacy
  void set_line(unsigned n, int where, bool level);
  u64 read64(u64 reg, u64 now);
  void write64(u64 reg, u64 value, u64 mask, u64 now);
  void write_timer(unsigned n, unsigned reg, u64 value, u64 mask);

  u64 config_ = 0, status_ = 0;
  u64 base_ = 0, start_ = 0;  // counter value at virtual time start_
  u32 route_cap_;
  Timer timer_[kTimers];
  Scheduler& sched_;
  Wiring w_;
};

}  // namespace oriel
