// Unit tests of the chipset devices against their data sheets, on a scheduler whose time the test sets.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "devices/acpi_pm.h"
#include "devices/debugcon.h"
#include "devices/devutil.h"
#include "devices/dma8237.h"
#include "devices/fw_cfg.h"
#include "devices/hpet.h"
#include "devices/i8042.h"
#include "devices/ioapic.h"
#include "devices/lapic.h"
#include "devices/pic.h"
#include "devices/pit.h"
#include "devices/port92.h"
#include "devices/rtc.h"
#include "devices/sysctrl.h"
#include "devices/uart.h"
#include "support/check.h"

using namespace oriel;

namespace {

#define CHECK_EQ(a, b)                                                                                            \
  do {                                                                                                            \
    u64 va_ = static_cast<u64>(a), vb_ = static_cast<u64>(b);                                                     \
    if (va_ == vb_) {                                                                                             \
      g_passed++;                                                                                                 \
    } else {                                                                                                      \
      g_failed++;                                                                                                 \
      std::printf("%s:%d: %s is %llx, want %llx\n", __FILE__, __LINE__, #a, static_cast<unsigned long long>(va_), \
                  static_cast<unsigned long long>(vb_));                                                          \
    }                                                                                                             \
  } while (0)

class FakeScheduler final : public Scheduler {
 public:
  u64 now() override { return now_; }
  // Runs to `t`, stopping at every deadline on the way.
  void run_to(u64 t) {
    while (next_deadline() <= t) {
      now_ = std::max(now_, next_deadline());
      run_due(now_);
    }
    now_ = t;
  }
  void run(u64 ns) { run_to(now_ + ns); }
  // Time passes all at once, as when the host was suspended.
  void jump(u64 ns) {
    now_ += ns;
    run_due(now_);
  }
  u64 earlier = 0;

 protected:
  void deadline_moved_earlier() override { earlier++; }

 private:
  u64 now_ = 0;
};

struct Line {
  int rises = 0;
  bool level = false;
  IrqLine make() {
    return IrqLine([this](bool l) {
      rises += l;
      level = l;
    });
  }
};

u8 in(PortHandler& d, u16 port) { return static_cast<u8>(d.port_read(port, 1)); }
void out(PortHandler& d, u16 port, unsigned v) { d.port_write(port, v, 1); }

template <class D>
std::vector<u8> save(D& d) {
  SaveState s;
  d.state(s);
  return s.data;
}
// What was saved restores to the same bytes, and a truncated or scrambled image does no harm.
template <class D>
void check_state(D& d) {
  std::vector<u8> a = save(d);
  LoadState l(a.data(), a.size());
  d.state(l);
  CHECK(!l.bad && l.left() == 0);
  CHECK(save(d) == a);
  LoadState shorter(a.data(), a.size() / 2);
  d.state(shorter);
  CHECK(shorter.bad);
  LoadState again(a.data(), a.size());
  d.state(again);
  CHECK(save(d) == a);
}

// ---- bus and scheduler -------------------------------------------------------------------------

struct Recorder final : PortHandler {
  std::vector<std::string> log;
  u32 value = 0;
  u32 port_read(u16 port, unsigned size) override {
    log.push_back("r" + std::to_string(port) + ":" + std::to_string(size));
    return value + port;
  }
  void port_write(u16 port, u32 v, unsigned size) override {
    log.push_back("w" + std::to_string(port) + ":" + std::to_string(size) + "=" + std::to_string(v));
  }
};

void test_iobus() {
  IoBus bus;
  Recorder byte, dword;
  CHECK_EQ(bus.read(0x100, 1), 0xff);
  CHECK_EQ(bus.read(0x100, 2), 0xffff);
  CHECK_EQ(bus.read(0x100, 4), 0xffffffff);
  bus.add(0x10, 4, &byte, 1);
  bus.add(0xcf8, 8, &dword, 4);
  CHECK_EQ(bus.read(0x10, 4), 0x13121110);
  CHECK(byte.log.size() == 4);
  byte.log.clear();
  bus.write(0x12, 0x04030201, 4);  // two ports are past the end of the range
  CHECK(byte.log.size() == 2 && byte.log[0] == "w18:1=1" && byte.log[1] == "w19:1=2");
  bus.add(0xcf9, 1, &byte, 1);
  bus.write(0xcf8, 0x80000000, 4);
  CHECK(dword.log.size() == 1 && dword.log[0] == "w3320:4=2147483648");
  byte.log.clear();
  bus.write(0xcf9, 6, 1);
  CHECK(byte.log.size() == 1);
  bus.remove(0x10, 4);
  CHECK_EQ(bus.read(0x10, 1), 0xff);
  CHECK_EQ(bus.read(0xffff, 4), 0xffffffff);  // wraps
  // BARs that move for ever do not use up the slots.
  std::vector<Recorder> many(300);
  for (Recorder& r : many) {
    bus.add(0x4000, 16, &r, 4);
    bus.remove(0x4000, 16);
  }
  bus.add(0x4000, 16, &many[299], 4);
  CHECK_EQ(bus.read(0x4000, 4), 0x4000);
  bus.add(0xfff0, 0x1000, &byte, 1);  // cut off at the end of the space
  CHECK_EQ(bus.read(0xffff, 1), 0xff);
  CHECK_EQ(bus.read(0, 1), 0xff);
}

void test_scheduler() {
  FakeScheduler s;
  std::string order;
  Scheduler::TimerId a = s.create("a", [&] { order += 'a'; });
  Scheduler::TimerId b = s.create("b", [&] { order += 'b'; });
  Scheduler::TimerId c = s.create("c", [&] {
    order += 'c';
    if (order.size() < 6) s.arm(2, s.now());  // itself, in the past
  });
  s.arm(b, 100);
  s.arm(a, 100);
  s.arm(c, 50);
  CHECK_EQ(s.next_deadline(), 50);
  CHECK_EQ(s.earlier, 2);
  s.run_due(49);
  CHECK(order.empty());
  s.run_due(100);
  CHECK(order == "ccccccab");
  s.arm(a, 10);
  s.cancel(a);
  CHECK_EQ(s.next_deadline(), Scheduler::kNever);
  unsigned fired = 0;
  Scheduler::TimerId d = s.create("d", [&] {
    fired++;
    s.arm(3, 0);
  });
  s.arm(d, 0);
  s.run_due(1000);  // ends
  CHECK(fired > 0 && fired <= 4096);
  s.cancel(d);
  s.arm(b, 777);
  SaveState save_state;
  s.state(save_state);
  s.cancel(b);
  LoadState load_state(save_state.data.data(), save_state.data.size());
  s.state(load_state);
  CHECK_EQ(s.deadline(b), 777);
  CHECK_EQ(s.next_deadline(), 777);
  CHECK_EQ(ticks_at(1'000'000'000, 1193182), 1193182);
  CHECK_EQ(ticks_at(ns_of_tick(12345678901, 3579545), 3579545), 12345678901);
  CHECK_EQ(ticks_at(ns_of_tick(12345678901, 3579545) - 1, 3579545), 12345678900);
}

// ---- 8259A -------------------------------------------------------------------------------------

void init_pic(Pic& p, u8 icw4 = 1) {
  out(p, 0x20, 0x11);
  out(p, 0x21, 0x20);
  out(p, 0x21, 0x04);
  out(p, 0x21, icw4);
  out(p, 0xa0, 0x11);
  out(p, 0xa1, 0x28);
  out(p, 0xa1, 0x02);
  out(p, 0xa1, 0x01);
}

void test_pic() {
  bool intr = false;
  Pic p([&](bool l) { intr = l; });
  init_pic(p);
  CHECK(!intr);
  p.set_irq(1, true);
  CHECK(intr);
  CHECK_EQ(in(p, 0x20), 2);  // IRR
  CHECK_EQ(p.acknowledge(), 0x21);
  CHECK(!intr);
  out(p, 0x20, 0x0b);
  CHECK_EQ(in(p, 0x20), 2);  // ISR
  p.set_irq(4, true);
  CHECK(!intr);  // lower priority
  p.set_irq(0, true);
  CHECK(intr);
  CHECK_EQ(p.acknowledge(), 0x20);
  out(p, 0x20, 0x20);  // non-specific EOI: IRQ 0
  CHECK_EQ(in(p, 0x20), 2);
  out(p, 0x20, 0x61);  // specific EOI: IRQ 1
  CHECK_EQ(in(p, 0x20), 0);
  CHECK(intr);
  CHECK_EQ(p.acknowledge(), 0x24);
  out(p, 0x20, 0x20);
  CHECK(!intr);
  // The line is still high: no second edge.
  p.set_irq(4, true);
  CHECK(!intr);
  p.set_irq(4, false);
  p.set_irq(4, true);
  CHECK(intr);
  out(p, 0x21, 0x10);  // masked
  CHECK(!intr);
  CHECK_EQ(p.acknowledge(), 0x27);  // spurious
  out(p, 0x20, 0x0b);
  CHECK_EQ(in(p, 0x20), 0);
  out(p, 0x21, 0);
  CHECK_EQ(p.acknowledge(), 0x24);
  out(p, 0x20, 0x20);
  // Cascade
  p.set_irq(12, true);
  CHECK(intr);
  CHECK_EQ(p.acknowledge(), 0x2c);
  CHECK_EQ(in(p, 0x20), 4);
  p.set_irq(8, true);  // higher on the slave, but the master serves IR2
  CHECK(!intr);
  out(p, 0xa0, 0x20);
  out(p, 0x20, 0x20);
  CHECK(intr);
  CHECK_EQ(p.acknowledge(), 0x28);
  out(p, 0xa0, 0x20);
  out(p, 0x20, 0x20);
  CHECK(!intr);
  // A slave request withdrawn by masking takes the master's along.
  p.set_irq(9, true);
  CHECK(intr);
  out(p, 0xa1, 0xff);
  CHECK(!intr);
  out(p, 0xa1, 0);
  CHECK(intr);
  CHECK_EQ(p.acknowledge(), 0x29);
  out(p, 0xa0, 0x20);
  out(p, 0x20, 0x20);
  // Level-triggered by ELCR
  out(p, 0x4d1, 0xff);
  CHECK_EQ(in(p, 0x4d1), 0xde);
  out(p, 0x4d0, 0xff);
  CHECK_EQ(in(p, 0x4d0), 0xf8);
  CHECK(intr);  // IRQ 4, 9, 12 are high
  p.set_irq(4, false);
  p.set_irq(9, false);
  p.set_irq(12, false);
  CHECK(!intr);
  p.set_irq(10, true);
  CHECK_EQ(p.acknowledge(), 0x2a);
  out(p, 0xa0, 0x20);
  out(p, 0x20, 0x20);
  CHECK(intr);  // still high
  p.set_irq(10, false);
  CHECK(!intr);
  // Priority rotation
  init_pic(p);
  out(p, 0x4d0, 0);
  out(p, 0x20, 0xc3);  // IR3 lowest, IR4 highest
  p.set_irq(1, false);
  p.set_irq(1, true);
  p.set_irq(5, true);
  CHECK_EQ(p.acknowledge(), 0x25);
  out(p, 0x20, 0xa0);  // rotate on non-specific EOI: IR5 lowest
  p.set_irq(5, false);
  p.set_irq(5, true);
  p.set_irq(6, true);
  CHECK_EQ(p.acknowledge(), 0x26);
  out(p, 0x20, 0x20);
  // Special mask mode: lower levels come through while one is served and masked.
  init_pic(p);
  for (unsigned i : {1u, 5u, 6u}) p.set_irq(i, false);
  p.set_irq(3, true);
  CHECK_EQ(p.acknowledge(), 0x23);
  p.set_irq(6, true);
  CHECK(!intr);
  out(p, 0x21, 0x08);
  out(p, 0x20, 0x68);
  CHECK(intr);
  CHECK_EQ(p.acknowledge(), 0x26);
  out(p, 0x20, 0x20);  // not IR3: masked
  out(p, 0x20, 0x0b);
  CHECK_EQ(in(p, 0x20), 8);
  // Auto EOI
  init_pic(p, 3);
  for (unsigned i : {3u, 6u}) p.set_irq(i, false);
  p.set_irq(7, true);
  CHECK_EQ(p.acknowledge(), 0x27);
  out(p, 0x20, 0x0b);
  CHECK_EQ(in(p, 0x20), 0);
  // Poll
  init_pic(p);
  p.set_irq(7, false);
  p.set_irq(7, true);
  out(p, 0x20, 0x0c);
  CHECK_EQ(in(p, 0x20), 0x87);
  CHECK(!intr);
  out(p, 0x20, 0x0c);
  CHECK_EQ(in(p, 0x20), 0);
  // Edge sense is reset by ICW1: a line that is up must fall and rise.
  p.set_irq(3, true);
  init_pic(p);
  CHECK(!intr);
  p.set_irq(3, false);
  p.set_irq(3, true);
  CHECK(intr);
  check_state(p);
}

// ---- 8254 --------------------------------------------------------------------------------------

// The first nanosecond of a tick of the 8254.
u64 pit_ns(u64 tick) { return ns_of_tick(tick, Pit::kHz); }
u16 pit_read(Pit& p, u16 port) {
  out(p, 0x43, (port - 0x40u) << 6);
  unsigned lo = in(p, port);
  return static_cast<u16>(lo | in(p, port) << 8);
}
u8 pit_status(Pit& p, unsigned n) {
  out(p, 0x43, 0xe0 | 2u << n);
  return in(p, static_cast<u16>(0x40 + n));
}

// A new count taken in the low half of a cycle shortly after power-on: the cycle began before time did.
void test_pit_early() {
  FakeScheduler s;
  Line irq;
  Pit p(s, irq.make());
  p.reset();
  out(p, 0x43, 0x36);
  out(p, 0x40, 100);
  out(p, 0x40, 0);
  s.run_to(pit_ns(11));
  out(p, 0x40, 0);
  out(p, 0x40, 0);
  s.run_to(pit_ns(51));
  CHECK_EQ(pit_status(p, 0), 0x36);
  CHECK_EQ(pit_read(p, 0x40), 0);
  int before = irq.rises;
  s.run_to(pit_ns(51 + 32768) - 1);
  CHECK_EQ(irq.rises, before);
  s.run(1);
  CHECK_EQ(irq.rises, before + 1);
  s.jump(60'000'000'000);
  CHECK(s.next_deadline() > s.now());
}

void test_pit() {
  FakeScheduler s;
  Line irq;
  Pit p(s, irq.make());
  p.reset();
  // Mode 2, N = 1000: period 1000 ticks from the tick after the write.
  out(p, 0x43, 0x34);
  CHECK_EQ(pit_status(p, 0) & 0x40, 0x40);  // null count
  out(p, 0x40, 1000 & 255);
  out(p, 0x40, 1000 >> 8);
  CHECK_EQ(pit_status(p, 0), 0xf4);  // OUT, null count until the next tick
  s.run_to(pit_ns(1));
  CHECK_EQ(pit_status(p, 0), 0xb4);
  CHECK_EQ(pit_read(p, 0x40), 1000);
  s.run_to(pit_ns(11));
  CHECK_EQ(pit_read(p, 0x40), 990);
  int before = irq.rises;
  s.run_to(pit_ns(1000));
  CHECK_EQ(pit_read(p, 0x40), 1);
  CHECK_EQ(pit_status(p, 0) & 0x80, 0);  // low for the last tick
  CHECK_EQ(irq.rises, before);
  s.run_to(pit_ns(1001));
  CHECK_EQ(irq.rises, before + 1);
  CHECK_EQ(pit_read(p, 0x40), 1000);
  s.run_to(pit_ns(10001));
  CHECK_EQ(irq.rises, before + 10);
  // A new count takes over at the end of the cycle.
  s.run_to(pit_ns(10101));
  out(p, 0x40, 500 & 255);
  out(p, 0x40, 500 >> 8);
  CHECK_EQ(pit_status(p, 0) & 0x40, 0x40);
  CHECK_EQ(pit_read(p, 0x40), 900);
  s.run_to(pit_ns(11001));
  CHECK_EQ(irq.rises, before + 11);
  CHECK_EQ(pit_read(p, 0x40), 500);
  s.run_to(pit_ns(11501));
  CHECK_EQ(irq.rises, before + 12);
  // Time that jumps far makes one edge and keeps the phase.
  s.jump(3'000'000'000);
  CHECK_EQ(irq.rises, before + 13);
  u64 t = ticks_at(s.now(), Pit::kHz);
  CHECK_EQ(pit_read(p, 0x40), 500 - (t - 11001) % 500);
  // A latched count stays, a second latch is ignored.
  out(p, 0x43, 0x00);
  s.run(pit_ns(100));
  out(p, 0x43, 0x00);
  CHECK_EQ((in(p, 0x40) | in(p, 0x40) << 8), 500 - (t - 11001) % 500);

  // Mode 0, LSB only: OUT rises N ticks after the load; counting wraps.
  out(p, 0x43, 0x10);
  CHECK(!irq.level);
  u64 t0 = ticks_at(s.now(), Pit::kHz);
  before = irq.rises;
  out(p, 0x40, 50);
  s.run_to(pit_ns(t0 + 50));
  CHECK(!irq.level);
  CHECK_EQ(in(p, 0x40), 1);
  s.run_to(pit_ns(t0 + 51));
  CHECK(irq.level);
  CHECK_EQ(irq.rises, before + 1);
  s.run_to(pit_ns(t0 + 52));
  CHECK_EQ(in(p, 0x40), 0xff);
  out(p, 0x40, 9);  // a new count lowers OUT again
  CHECK(!irq.level);
  s.run(pit_ns(20));
  CHECK(irq.level);

  // Mode 4: one tick low N ticks after the load, an edge when it rises.
  out(p, 0x43, 0x38);
  t0 = ticks_at(s.now(), Pit::kHz);
  before = irq.rises;
  out(p, 0x40, 100);
  out(p, 0x40, 0);
  s.run_to(pit_ns(t0 + 101));
  CHECK_EQ(pit_status(p, 0) & 0x80, 0);
  s.run_to(pit_ns(t0 + 102));
  CHECK_EQ(pit_status(p, 0) & 0x80, 0x80);
  CHECK_EQ(irq.rises, before + 1);
  s.run(200'000'000);
  CHECK_EQ(irq.rises, before + 1);

  // Mode 3, odd count 5: high 3, low 2.
  out(p, 0x43, 0x36);
  t0 = ticks_at(s.now(), Pit::kHz);
  out(p, 0x40, 5);
  out(p, 0x40, 0);
  static constexpr u8 level[6] = {1, 1, 1, 0, 0, 1}, count[6] = {4, 2, 0, 4, 2, 4};
  for (unsigned i = 0; i < 6; i++) {
    s.run_to(pit_ns(t0 + 1 + i));
    CHECK_EQ(pit_status(p, 0) >> 7, level[i]);
    CHECK_EQ(pit_read(p, 0x40), count[i]);
  }
  // Even count 4: 4 2 4 2.
  out(p, 0x43, 0x36);
  t0 = ticks_at(s.now(), Pit::kHz);
  out(p, 0x40, 4);
  out(p, 0x40, 0);
  for (unsigned i = 0; i < 4; i++) {
    s.run_to(pit_ns(t0 + 1 + i));
    CHECK_EQ(pit_read(p, 0x40), i & 1 ? 2 : 4);
    CHECK_EQ(pit_status(p, 0) >> 7, i < 2);
  }
  // Count 0 is 65536.
  out(p, 0x43, 0x36);
  before = irq.rises;
  out(p, 0x40, 0);
  out(p, 0x40, 0);
  s.run(pit_ns(65536 * 18 + 2));
  CHECK_EQ(irq.rises, before + 18);
  // A count of 1 cannot flood.
  out(p, 0x40, 1);
  out(p, 0x40, 0);
  s.run(1'000'000'000);
  out(p, 0x40, 2);
  out(p, 0x40, 0);
  s.run(1'000'000);

  // Counter 2: BCD, gate and OUT in port 61.
  out(p, 0x61, 0);
  out(p, 0x43, 0xb1);  // mode 0, BCD
  t0 = ticks_at(s.now(), Pit::kHz);
  out(p, 0x42, 0x34);
  out(p, 0x42, 0x12);
  s.run_to(pit_ns(t0 + 500));
  CHECK_EQ(pit_read(p, 0x42), 0x1234);  // held by the gate
  CHECK_EQ(in(p, 0x61) & 0x21, 0);
  out(p, 0x61, 1);
  s.run_to(pit_ns(t0 + 500 + 234));
  CHECK_EQ(pit_read(p, 0x42), 0x1000);
  s.run_to(pit_ns(t0 + 500 + 235));
  CHECK_EQ(pit_read(p, 0x42), 0x0999);
  out(p, 0x61, 0);
  s.run_to(pit_ns(t0 + 800));
  CHECK_EQ(pit_read(p, 0x42), 0x0999);
  out(p, 0x61, 1);
  s.run_to(pit_ns(t0 + 800 + 998));
  CHECK_EQ(in(p, 0x61) & 0x20, 0);
  s.run_to(pit_ns(t0 + 800 + 999));
  CHECK_EQ(in(p, 0x61) & 0x21, 0x21);
  // Mode 1: the gate triggers, a retrigger restarts.
  out(p, 0x61, 0);
  out(p, 0x43, 0xb2);
  out(p, 0x42, 100);
  out(p, 0x42, 0);
  CHECK_EQ(in(p, 0x61) & 0x20, 0x20);
  t0 = ticks_at(s.now(), Pit::kHz);
  out(p, 0x61, 1);
  s.run_to(pit_ns(t0 + 1));
  CHECK_EQ(in(p, 0x61) & 0x20, 0);
  s.run_to(pit_ns(t0 + 50));
  out(p, 0x61, 0);
  out(p, 0x61, 1);
  s.run_to(pit_ns(t0 + 150));
  CHECK_EQ(in(p, 0x61) & 0x20, 0);
  s.run_to(pit_ns(t0 + 151));
  CHECK_EQ(in(p, 0x61) & 0x20, 0x20);
  // Mode 5: the strobe N ticks after the trigger's load.
  out(p, 0x61, 0);
  out(p, 0x43, 0xba);
  out(p, 0x42, 10);
  out(p, 0x42, 0);
  t0 = ticks_at(s.now(), Pit::kHz);
  out(p, 0x61, 1);
  for (unsigned i = 1; i < 15; i++) {
    s.run_to(pit_ns(t0 + i));
    CHECK_EQ(in(p, 0x61) >> 5 & 1, i != 11);
  }
  // Read-back of status and count together: status first.
  out(p, 0x43, 0xc8);
  CHECK_EQ(in(p, 0x42), 0xba);
  u16 latched = in(p, 0x42);
  latched |= static_cast<u16>(in(p, 0x42) << 8);
  CHECK_EQ(latched, 65536 - 3);
  // Refresh toggles some 15 us apart.
  unsigned toggles = 0;
  u8 last = in(p, 0x61) & 0x10;
  for (int i = 0; i < 1000; i++) {
    s.run(1000);
    u8 v = in(p, 0x61) & 0x10;
    toggles += v != last;
    last = v;
  }
  CHECK(toggles >= 65 && toggles <= 67);
  check_state(p);
}

// ---- RTC ---------------------------------------------------------------------------------------

u8 cmos(Rtc& r, u8 i) {
  out(r, 0x70, i);
  return in(r, 0x71);
}
void cmos_write(Rtc& r, u8 i, u8 v) {
  out(r, 0x70, i);
  out(r, 0x71, v);
}

void test_rtc() {
  FakeScheduler s;
  Line irq;
  bool nmi_masked = false;
  Rtc r(s, irq.make(), [&](bool m) { nmi_masked = m; });
  r.reset();
  r.set_time(1709251199);  // 2024-02-29 23:59:59, a Thursday
  CHECK_EQ(cmos(r, 0), 0x59);
  CHECK_EQ(cmos(r, 2), 0x59);
  CHECK_EQ(cmos(r, 4), 0x23);
  CHECK_EQ(cmos(r, 6), 5);
  CHECK_EQ(cmos(r, 7), 0x29);
  CHECK_EQ(cmos(r, 8), 2);
  CHECK_EQ(cmos(r, 9), 0x24);
  CHECK_EQ(cmos(r, 0x32), 0x20);
  CHECK_EQ(cmos(r, 0x0d), 0x80);
  CHECK_EQ(cmos(r, 0x0a), 0x26);
  s.run_to(999'000'000);
  CHECK_EQ(cmos(r, 0x0a), 0xa6);  // UIP
  CHECK_EQ(cmos(r, 0), 0x59);
  s.run_to(1'000'000'000);
  CHECK_EQ(cmos(r, 0x0a), 0x26);
  CHECK_EQ(cmos(r, 0), 0);
  CHECK_EQ(cmos(r, 4), 0);
  CHECK_EQ(cmos(r, 6), 6);
  CHECK_EQ(cmos(r, 7), 1);
  CHECK_EQ(cmos(r, 8), 3);
  // UF and PF without interrupt enables; register C clears on reading.
  // (The alarm registers are zero: midnight.)
  CHECK_EQ(cmos(r, 0x0c), 0x70);
  CHECK_EQ(cmos(r, 0x0c), 0);
  CHECK(!irq.level);
  // Setting the clock: stopped while SET, the phase kept.
  cmos_write(r, 0x0b, 0x82);
  s.run(5'000'000'000);
  CHECK_EQ(cmos(r, 0), 0);
  cmos_write(r, 9, 0x99);
  cmos_write(r, 0x32, 0x19);
  cmos_write(r, 8, 0x12);
  cmos_write(r, 7, 0x31);
  cmos_write(r, 6, 3);  // not the true weekday (Friday)
  cmos_write(r, 4, 0x23);
  cmos_write(r, 2, 0x59);
  cmos_write(r, 0, 0x58);
  cmos_write(r, 0x0b, 0x02);
  s.run_to(6'999'000'000);
  CHECK_EQ(cmos(r, 0), 0x58);
  s.run_to(7'000'000'000);
  CHECK_EQ(cmos(r, 0), 0x59);
  s.run_to(8'000'000'000);
  CHECK_EQ(cmos(r, 9), 0);
  CHECK_EQ(cmos(r, 0x32), 0x20);
  CHECK_EQ(cmos(r, 6), 4);
  CHECK_EQ(r.time(), 946684800);
  // Binary, 12-hour.
  r.set_time(946684800 + 13 * 3600 + 30 * 60 + 45);
  cmos_write(r, 0x0b, 0x04);
  CHECK_EQ(cmos(r, 4), 0x81);
  CHECK_EQ(cmos(r, 2), 30);
  CHECK_EQ(cmos(r, 0), 45);
  cmos_write(r, 4, 12);  // 12 AM
  CHECK_EQ(r.time(), 946684800 + 30 * 60 + 45);
  cmos_write(r, 0x0b, 0x02);
  CHECK_EQ(cmos(r, 4), 0);
  // Periodic interrupt at 1024 Hz: one at a time until register C is read.
  r.set_time(946684800);
  u64 start = s.now();
  cmos(r, 0x0c);
  int before = irq.rises;
  cmos_write(r, 0x0b, 0x42);
  s.run(10'000'000);
  CHECK_EQ(irq.rises, before + 1);
  CHECK_EQ(cmos(r, 0x0c), 0xc0);
  CHECK(!irq.level);
  unsigned ticks = 0;
  for (u64 end = start + 1'000'000'000; s.now() < end; s.run(100'000))
    if (irq.level) {
      ticks++;
      cmos(r, 0x0c);
    }
  CHECK(ticks >= 1012 && ticks <= 1014);  // the first 10 ms gave one
  // Update-ended
  cmos_write(r, 0x0b, 0x12);
  cmos(r, 0x0c);
  s.run(999'000'000);
  CHECK(!irq.level);
  s.run(2'000'000);
  CHECK(irq.level);
  CHECK_EQ(cmos(r, 0x0c) & 0x90, 0x90);
  // Alarm: at a second, with wild cards, and never
  r.set_time(946684800);
  cmos_write(r, 1, 0x10);
  cmos_write(r, 3, 0x01);
  cmos_write(r, 5, 0x00);
  cmos_write(r, 0x0b, 0x22);
  cmos(r, 0x0c);
  s.run(69'999'000'000);
  CHECK(!irq.level);
  s.run(1'100'000);
  CHECK(irq.level);
  CHECK_EQ(cmos(r, 0x0c) & 0xa0, 0xa0);
  cmos_write(r, 3, 0xc0);
  cmos_write(r, 5, 0xff);
  s.run(60'000'000'000);
  CHECK(irq.level);
  cmos(r, 0x0c);
  cmos_write(r, 1, 0x7f);
  s.run(200'000'000'000);
  CHECK(!irq.level);
  // Divider reset: stops, and starts with half a second to the first update.
  r.set_time(946684800);
  cmos_write(r, 0x0a, 0x66);
  s.run(3'000'000'000);
  CHECK_EQ(cmos(r, 0), 0);
  cmos_write(r, 0x0a, 0x26);
  s.run(499'000'000);
  CHECK_EQ(cmos(r, 0), 0);
  s.run(2'000'000);
  CHECK_EQ(cmos(r, 0), 1);
  // RAM, the second bank, the NMI mask
  r.set_cmos(0x10, 0x42);
  CHECK_EQ(cmos(r, 0x10), 0x42);
  cmos_write(r, 0x7f, 0x99);
  CHECK_EQ(r.cmos(0x7f), 0x99);
  out(r, 0x72, 0x7f);
  out(r, 0x73, 0x11);
  CHECK_EQ(cmos(r, 0x7f), 0x99);
  out(r, 0x72, 0x7f);
  CHECK_EQ(in(r, 0x73), 0x11);
  out(r, 0x70, 0x8f);
  CHECK(nmi_masked && r.nmi_masked());
  out(r, 0x70, 0x0f);
  CHECK(!nmi_masked);
  check_state(r);
}

// ---- keyboard controller -----------------------------------------------------------------------

struct Kbc {
  FakeScheduler s;
  Line irq1, irq12;
  int a20 = -1, resets = 0;
  I8042 k{s, {irq1.make(), irq12.make(), [this](bool v) { a20 = v; }, [this] { resets++; }}};
  // Everything that comes, as a string of hex pairs; bytes from the mouse in brackets.
  std::string drain() {
    std::string r;
    for (int i = 0; i < 200; i++) {
      s.run(150'000);
      u8 st = in(k, 0x64);
      if (!(st & 1)) continue;
      char b[8];
      std::snprintf(b, sizeof b, st & 0x20 ? "[%02x]" : "%02x", in(k, 0x60));
      r += b;
    }
    return r;
  }
  void kbd(u8 v) { out(k, 0x60, v); }
  void aux(u8 v) {
    out(k, 0x64, 0xd4);
    out(k, 0x60, v);
  }
  void ctr(u8 v) {
    out(k, 0x64, 0x60);
    out(k, 0x60, v);
  }
};

void test_i8042() {
  Kbc c;
  c.k.reset();
  CHECK_EQ(in(c.k, 0x64) & 3, 0);
  out(c.k, 0x64, 0xaa);
  CHECK_EQ(in(c.k, 0x64) & 5, 5);
  CHECK_EQ(in(c.k, 0x60), 0x55);
  out(c.k, 0x64, 0xab);
  CHECK_EQ(in(c.k, 0x60), 0);
  out(c.k, 0x64, 0xa9);
  CHECK_EQ(in(c.k, 0x60), 0);
  c.ctr(0x47);
  out(c.k, 0x64, 0x20);
  CHECK_EQ(in(c.k, 0x60), 0x47);
  // Keys, translated to set 1
  c.k.key(0x1e, true);
  c.k.key(0x1e, false);
  CHECK(c.drain() == "1e9e");
  c.k.key(0xe048, true);
  c.k.key(0xe048, false);
  CHECK(c.drain() == "e048e0c8");
  c.k.key(0xe11d, true);
  CHECK(c.drain() == "e11d45e19dc5");
  c.k.key(0xe037, true);
  c.k.key(0xe037, false);
  CHECK(c.drain() == "e02ae037e0b7e0aa");
  c.k.key(0x38, true);
  c.k.key(0xe037, true);
  c.k.key(0xe037, false);
  c.k.key(0x38, false);
  CHECK(c.drain() == "3854d4b8");
  // Every key of the main block survives the way through set 2.
  for (u8 code = 1; code <= 0x58; code++) {
    if (code == 0x54 || code == 0x55) continue;
    c.k.key(code, true);
    c.k.key(code, false);
    char want[8];
    std::snprintf(want, sizeof want, "%02x%02x", code, code | 0x80);
    CHECK(c.drain() == want);
  }
  // Untranslated set 2
  c.ctr(0x07);
  c.k.key(0x3b, true);
  c.k.key(0x3b, false);
  CHECK(c.drain() == "05f005");
  c.k.key(0x41, true);
  CHECK(c.drain() == "83");
  c.k.key(0xe053, true);
  c.k.key(0xe053, false);
  CHECK(c.drain() == "e071e0f071");
  // Interrupts: an edge for each byte
  int before = c.irq1.rises;
  c.k.key(0x1e, true);
  c.k.key(0x1e, false);
  c.drain();
  CHECK_EQ(c.irq1.rises, before + 3);
  CHECK(!c.irq1.level);
  CHECK_EQ(c.irq12.rises, 0);
  // Keyboard commands
  c.kbd(0xf2);
  CHECK(c.drain() == "faab83");
  c.kbd(0xee);
  CHECK(c.drain() == "ee");
  c.kbd(0xfe);
  CHECK(c.drain() == "ee");
  c.kbd(0xed);
  CHECK(c.drain() == "fa");
  c.kbd(2);
  CHECK(c.drain() == "fa");
  CHECK_EQ(c.k.keyboard_leds(), 2);
  c.kbd(0xf0);
  c.kbd(0);
  CHECK(c.drain() == "fafa02");
  c.kbd(0xf0);
  c.kbd(3);
  CHECK(c.drain() == "fafa");
  c.k.key(0x1d, true);
  c.k.key(0xe01d, false);
  CHECK(c.drain() == "11f058");
  c.kbd(0xf0);
  c.kbd(1);
  CHECK(c.drain() == "fafa");
  c.k.key(0x1d, true);
  c.k.key(0xe01d, false);
  CHECK(c.drain() == "1de09d");
  c.kbd(0xff);
  CHECK(c.drain() == "faaa");
  c.kbd(0xf5);
  CHECK(c.drain() == "fa");
  c.k.key(0x1e, true);
  CHECK(c.drain().empty());
  c.kbd(0xf4);
  CHECK(c.drain() == "fa");
  c.kbd(0x55);
  CHECK(c.drain() == "fe");
  c.kbd(0xf3);
  c.kbd(0x20);
  CHECK(c.drain() == "fafa");
  // Translation of the keyboard's ID
  c.ctr(0x47);
  c.kbd(0xf2);
  CHECK(c.drain() == "faab41");
  // Disabled interface: the byte waits
  out(c.k, 0x64, 0xad);
  c.k.key(0x10, true);
  CHECK(c.drain().empty());
  out(c.k, 0x64, 0xae);
  CHECK(c.drain() == "10");
  // Loops D2 and D3
  out(c.k, 0x64, 0xd3);
  out(c.k, 0x60, 0x5a);
  CHECK_EQ(in(c.k, 0x64) & 0x21, 0x21);
  CHECK(c.irq12.level);
  CHECK_EQ(in(c.k, 0x60), 0x5a);
  CHECK(!c.irq12.level);
  out(c.k, 0x64, 0xd2);
  out(c.k, 0x60, 0xa5);
  CHECK(c.irq1.level);
  out(c.k, 0x64, 0x20);  // the answer waits for the buffer
  CHECK_EQ(in(c.k, 0x60), 0xa5);
  CHECK_EQ(in(c.k, 0x60), 0x47);
  // Output port: A20 and reset
  out(c.k, 0x64, 0xd1);
  out(c.k, 0x60, 0xdd);
  CHECK_EQ(c.a20, 0);
  out(c.k, 0x64, 0xd0);
  CHECK_EQ(in(c.k, 0x60) & 3, 1);
  out(c.k, 0x64, 0xd1);
  out(c.k, 0x60, 0xdf);
  CHECK_EQ(c.a20, 1);
  out(c.k, 0x64, 0xdd);
  CHECK_EQ(c.a20, 0);
  out(c.k, 0x64, 0xdf);
  CHECK_EQ(c.a20, 1);
  CHECK_EQ(c.resets, 0);
  out(c.k, 0x64, 0xfe);
  CHECK_EQ(c.resets, 1);
  out(c.k, 0x64, 0xff);
  CHECK_EQ(c.resets, 1);
  // Mouse
  out(c.k, 0x64, 0xa8);
  c.aux(0xff);
  CHECK(c.drain() == "[fa][aa][00]");
  c.aux(0xf2);
  CHECK(c.drain() == "[fa][00]");
  c.k.mouse(5, 3, 0, 1);
  CHECK(c.drain().empty());  // reporting is off
  c.aux(0xf4);
  CHECK(c.drain() == "[fa][09][00][00]");
  c.k.mouse(5, 3, 0, 1);
  CHECK(c.drain() == "[29][05][fd]");
  c.k.mouse(-300, 0, 0, 0);
  CHECK(c.drain() == "[18][01][00][18][d3][00]");
  before = c.irq12.rises;
  c.k.mouse(0, 0, 0, 1);
  c.k.mouse(0, 0, 0, 0);  // a click between two reports is seen
  c.k.mouse(0, 0, 0, 2);
  c.k.mouse(0, 0, 0, 0);
  CHECK(c.drain() == "[09][00][00][0a][00][00][08][00][00]");
  CHECK_EQ(c.irq12.rises, before + 9);
  c.aux(0xe9);
  CHECK(c.drain() == "[fa][20][02][64]");
  for (u8 v : {0xf3, 200, 0xf3, 100, 0xf3, 80}) c.aux(v);
  CHECK(c.drain() == "[fa][fa][fa][fa][fa][fa]");
  c.aux(0xf2);
  CHECK(c.drain() == "[fa][03]");
  c.k.mouse(0, 0, -1, 0);
  CHECK(c.drain() == "[08][00][00][ff]");
  for (u8 v : {0xf3, 200, 0xf3, 200, 0xf3, 80}) c.aux(v);
  c.drain();
  c.aux(0xf2);
  CHECK(c.drain() == "[fa][04]");
  c.k.mouse(0, 0, 1, 8);
  CHECK(c.drain() == "[08][00][00][11]");
  c.aux(0xf0);
  c.aux(0xeb);
  CHECK(c.drain() == "[fa][fa][08][00][00][10]");
  c.aux(0xee);
  c.aux(0x77);
  c.aux(0xec);
  CHECK(c.drain() == "[fa][77][fa]");
  c.aux(0x12);
  CHECK(c.drain() == "[fe]");
  for (int i = 0; i < 1000; i++) {
    c.k.key(0x1e, i & 1);
    c.k.mouse(INT32_MIN, INT32_MIN, INT32_MIN, ~0u);
  }
  c.drain();
  check_state(c.k);
}

// ---- UART --------------------------------------------------------------------------------------

void test_uart() {
  FakeScheduler s;
  Line irq;
  std::string sent;
  Uart u(s, 0x3f8, irq.make(), [&](const u8* d, usize n) { sent.append(reinterpret_cast<const char*>(d), n); });
  u.reset();
  auto rd = [&](unsigned r) { return in(u, static_cast<u16>(0x3f8 + r)); };
  auto wr = [&](unsigned r, unsigned v) { out(u, static_cast<u16>(0x3f8 + r), v); };
  CHECK_EQ(rd(2), 1);
  CHECK_EQ(rd(5), 0x60);
  wr(3, 0x83);
  wr(0, 1);
  wr(1, 0);
  CHECK_EQ(rd(0), 1);
  wr(3, 3);
  wr(7, 0x5a);
  CHECK_EQ(rd(7), 0x5a);
  // Transmit, polled
  wr(0, 'A');
  CHECK_EQ(rd(5) & 0x60, 0);
  s.run(200'000);
  CHECK_EQ(rd(5) & 0x60, 0x60);
  CHECK(sent == "A");
  // THRE interrupt: on enabling, cleared by reading IIR, raised again by the next empty
  wr(4, 0x0b);
  wr(1, 2);
  CHECK(irq.level);
  CHECK_EQ(rd(2), 2);
  CHECK(!irq.level);
  CHECK_EQ(rd(2), 1);
  wr(1, 0);
  wr(1, 2);
  CHECK_EQ(rd(2), 2);
  wr(0, 'B');
  CHECK(!irq.level);
  s.run(200'000);
  CHECK(irq.level);
  wr(4, 0x03);  // OUT2 gates the line
  CHECK(!irq.level);
  wr(4, 0x0b);
  CHECK(irq.level);
  // FIFOs
  wr(2, 0xc7);
  CHECK_EQ(rd(2), 0xc2);
  for (char c : std::string("0123456789abcdef")) wr(0, static_cast<u8>(c));
  s.run(200'000);
  CHECK(sent == "AB0123456789abcdef");
  wr(1, 1);
  rd(2);
  CHECK(!irq.level);
  const u8 data[20] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20};
  CHECK_EQ(u.receive(data, 13), 13);
  CHECK(!irq.level);  // the trigger is 14
  s.run(1'000'000);
  CHECK(irq.level);
  CHECK_EQ(rd(2), 0xcc);  // character timeout
  CHECK_EQ(rd(0), 1);
  CHECK(!irq.level);
  CHECK_EQ(u.receive(data + 13, 7), 4);  // room for four
  CHECK(irq.level);
  CHECK_EQ(rd(2), 0xc4);
  CHECK_EQ(u.receive(data, 1), 0);
  CHECK_EQ(rd(5) & 2, 0);
  for (unsigned i = 2; i <= 17; i++) CHECK_EQ(rd(0), i);
  CHECK_EQ(rd(5) & 1, 0);
  CHECK(!irq.level);
  // Loopback: modem lines and data, overrun
  wr(4, 0x1a);
  CHECK_EQ(rd(6) & 0xf0, 0x90);
  CHECK_EQ(u.receive(data, 1), 0);
  wr(0, 0x77);
  s.run(1'000'000);
  CHECK_EQ(rd(5) & 1, 1);
  CHECK_EQ(rd(0), 0x77);
  for (int i = 0; i < 16; i++) wr(0, static_cast<u8>(i));
  s.run(1'000'000);
  wr(0, 0x99);
  s.run(1'000'000);
  CHECK_EQ(rd(5) & 3, 3);
  CHECK_EQ(rd(5) & 3, 1);
  wr(2, 0x07);
  CHECK_EQ(rd(5) & 1, 0);
  wr(4, 0x0b);
  rd(6);
  // Modem status interrupt
  wr(1, 8);
  u.set_modem(false, true, false, true);
  CHECK(irq.level);
  CHECK_EQ(rd(2), 0xc0);
  CHECK_EQ(rd(6), 0xa1);
  CHECK(!irq.level);
  wr(2, 0);
  CHECK_EQ(rd(2), 1);
  CHECK_EQ(u.receive(data, 2), 1);
  check_state(u);
}

// ---- local APIC --------------------------------------------------------------------------------

struct Apic {
  FakeScheduler s;
  bool intr = false;
  int nmis = 0, inits = 0, remaps = 0;
  bool mapped = true;
  std::vector<u8> eois, sipis;
  Lapic l{s,
          {[this](bool p) { intr = p; },
           [this] { nmis++; },
           [this] { inits++; },
           {},
           [this](u8 v) { sipis.push_back(v); },
           [this](u8 v) { eois.push_back(v); },
           [this](u64, bool m) {
             remaps++;
             mapped = m;
           }}};
  u32 rd(u32 r) { return static_cast<u32>(l.mmio_read(r, 4)); }
  void wr(u32 r, u32 v) { l.mmio_write(r, v, 4); }
};

void test_lapic() {
  Apic a;
  Lapic& l = a.l;
  l.reset();
  CHECK_EQ(a.rd(0x30), 0x50014);
  CHECK_EQ(a.rd(0xe0), 0xffffffff);
  CHECK_EQ(a.rd(0xf0), 0xff);
  CHECK_EQ(a.rd(0x320), 0x10000);
  CHECK_EQ(a.rd(0x370), 0x10000);
  CHECK(l.accepts_extint());
  // Disabled by software: nothing fixed is accepted, LVT masks are stuck.
  CHECK(!l.deliver(0, false, Lapic::kFixed, 0x50, false));
  a.wr(0x320, 0x40);
  CHECK_EQ(a.rd(0x320), 0x10040);
  CHECK(l.deliver(0, false, Lapic::kNmi, 0, false));
  CHECK_EQ(a.nmis, 1);
  a.wr(0xf0, 0x1ff);
  CHECK(l.deliver(0, false, Lapic::kFixed, 0x50, false));
  CHECK(a.intr);
  CHECK_EQ(a.rd(0x220), 1u << 16);  // IRR of vectors 40-5F
  CHECK(l.deliver(0xff, false, Lapic::kFixed, 0x61, true));
  CHECK_EQ(l.acknowledge(), 0x61);
  CHECK_EQ(a.rd(0x130), 2);    // ISR
  CHECK_EQ(a.rd(0x1b0), 2);    // TMR
  CHECK_EQ(a.rd(0xa0), 0x60);  // PPR
  CHECK(!a.intr);              // 50 is below
  a.wr(0xb0, 0);
  CHECK(a.eois.size() == 1 && a.eois[0] == 0x61);
  CHECK(a.intr);
  l.set_cr8(5);
  CHECK(!a.intr);
  CHECK_EQ(a.rd(0x80), 0x50);
  CHECK_EQ(l.acknowledge(), 0xff);  // spurious
  CHECK_EQ(a.rd(0x120), 0);
  a.wr(0x80, 0x4f);
  CHECK_EQ(l.cr8(), 4);
  CHECK(a.intr);
  CHECK_EQ(l.acknowledge(), 0x50);
  a.wr(0xb0, 0);
  a.wr(0xb0, 0);
  CHECK_EQ(a.eois.size(), 1);
  a.wr(0x80, 0);
  // Destinations
  a.wr(0x20, 0x03000000);
  CHECK(!l.deliver(0, false, Lapic::kFixed, 0x50, false));
  CHECK(l.deliver(3, false, Lapic::kFixed, 0x50, false));
  CHECK(!l.deliver(1, true, Lapic::kFixed, 0x50, false));
  a.wr(0xd0, 0x21000000);
  CHECK(l.deliver(1, true, Lapic::kFixed, 0x50, false));
  CHECK(!l.deliver(2, true, Lapic::kFixed, 0x50, false));
  a.wr(0xe0, 0);  // cluster
  CHECK_EQ(a.rd(0xe0), 0x0fffffff);
  CHECK(l.deliver(0x21, true, Lapic::kFixed, 0x50, false));
  CHECK(l.deliver(0xf1, true, Lapic::kFixed, 0x50, false));
  CHECK(!l.deliver(0x11, true, Lapic::kFixed, 0x50, false));
  l.acknowledge();
  a.wr(0xb0, 0);
  a.wr(0xe0, ~0u);
  a.wr(0x20, 0);
  // MSI
  l.deliver_msi(0xfee00000, 0x4071);
  CHECK_EQ(l.acknowledge(), 0x71);
  a.wr(0xb0, 0);
  l.deliver_msi(0xfee01000, 0x4071);
  l.deliver_msi(0xfed00000, 0x4071);
  CHECK(!a.intr);
  // IPIs
  a.wr(0x300, 0x40033);  // self
  CHECK_EQ(l.acknowledge(), 0x33);
  a.wr(0xb0, 0);
  a.wr(0x300, 0x80034);  // all
  CHECK_EQ(l.acknowledge(), 0x34);
  a.wr(0xb0, 0);
  a.wr(0x300, 0xc0035);  // all others
  CHECK(!a.intr);
  CHECK_EQ(a.rd(0x300), 0xc0035);
  a.wr(0x310, 0);
  a.wr(0x300, 0x4500);
  CHECK_EQ(a.inits, 1);
  a.wr(0x300, 0x8500);  // de-assert
  CHECK_EQ(a.inits, 1);
  a.wr(0x300, 0x4612);
  CHECK(a.sipis.size() == 1 && a.sipis[0] == 0x12);
  a.wr(0x300, 0x400);
  CHECK_EQ(a.nmis, 2);
  // Errors
  a.wr(0x370, 0x42);
  a.wr(0x300, 0x40005);
  CHECK_EQ(a.rd(0x280), 0);
  CHECK_EQ(l.acknowledge(), 0x42);
  a.wr(0xb0, 0);
  a.wr(0x280, 0);
  CHECK_EQ(a.rd(0x280), 0x20);
  l.deliver(0, false, Lapic::kFixed, 3, false);
  a.rd(0x40);
  a.wr(0x280, 0);
  CHECK_EQ(a.rd(0x280), 0xc0);
  a.wr(0x280, 0);
  CHECK_EQ(a.rd(0x280), 0);
  l.acknowledge();
  a.wr(0xb0, 0);
  a.wr(0x370, 0x02);  // an illegal vector for errors does not recurse
  a.rd(0x40);
  a.wr(0x370, 0x10000);
  // Timer: one-shot, divide by 16
  a.wr(0x320, 0x60);
  a.wr(0x3e0, 3);
  a.wr(0x380, 1000);
  a.s.run(8'000);
  CHECK_EQ(a.rd(0x390), 500);
  a.s.run(7'999);
  CHECK(!a.intr);
  a.s.run(1);
  CHECK(a.intr);
  CHECK_EQ(a.rd(0x390), 0);
  CHECK_EQ(l.acknowledge(), 0x60);
  a.wr(0xb0, 0);
  a.s.run(1'000'000);
  CHECK(!a.intr);
  // Periodic
  a.wr(0x320, 0x20060);
  a.wr(0x3e0, 0xb);
  a.wr(0x380, 10'000);
  int ticks = 0;
  for (int i = 0; i < 100; i++) {
    a.s.run(1'000);
    if (!a.intr) continue;
    ticks++;
    l.acknowledge();
    a.wr(0xb0, 0);
  }
  CHECK_EQ(ticks, 10);
  a.s.run(2'500);
  CHECK_EQ(a.rd(0x390), 7'500);
  a.wr(0x3e0, 0);  // divide by 2: the count goes on
  CHECK_EQ(a.rd(0x390), 7'500);
  a.s.run(5'000);
  CHECK_EQ(a.rd(0x390), 5'000);
  a.wr(0x320, 0x30060);  // masked: counts silently
  a.s.run(100'000);
  CHECK(!a.intr);
  a.wr(0x320, 0x20060);
  a.s.run(20'001);
  CHECK(a.intr);
  l.acknowledge();
  a.wr(0xb0, 0);
  a.wr(0x380, 1);  // the shortest period does not stall
  a.wr(0x3e0, 0xb);
  a.s.run(10'000'000);
  a.s.jump(10'000'000'000);
  a.wr(0x380, 0);
  l.acknowledge();
  a.wr(0xb0, 0);
  // TSC deadline
  CHECK_EQ(l.tsc_deadline(), 0);
  l.set_tsc_deadline(a.s.now() + 5);
  CHECK_EQ(l.tsc_deadline(), 0);  // not in that mode
  a.wr(0x320, 0x40061);
  l.set_tsc_deadline(a.s.now() + 5'000);
  CHECK_EQ(l.tsc_deadline(), a.s.now() + 5'000);
  a.wr(0x380, 77);
  CHECK_EQ(a.rd(0x380), 0);
  a.s.run(4'999);
  CHECK(!a.intr);
  a.s.run(1);
  CHECK(a.intr);
  CHECK_EQ(l.tsc_deadline(), 0);
  CHECK_EQ(l.acknowledge(), 0x61);
  a.wr(0xb0, 0);
  l.set_tsc_deadline(1);  // in the past: at once
  a.s.run(0);
  CHECK(a.intr);
  l.acknowledge();
  a.wr(0xb0, 0);
  l.set_tsc_deadline(a.s.now() + 5'000);
  l.set_tsc_deadline(0);
  a.s.run(10'000);
  CHECK(!a.intr);
  // LINT pins
  a.wr(0x350, 0x10700);
  CHECK(!l.accepts_extint());
  a.wr(0x350, 0x8700);
  CHECK(l.accepts_extint());
  a.wr(0x350, 0x8048);  // fixed, level
  l.set_lint(0, true);
  CHECK_EQ(l.acknowledge(), 0x48);
  CHECK_EQ(a.rd(0x350) & 0x4000, 0x4000);
  a.wr(0xb0, 0);
  CHECK(a.intr);  // still high
  l.set_lint(0, false);
  l.acknowledge();
  a.wr(0xb0, 0);
  CHECK(!a.intr);
  CHECK_EQ(a.eois.size(), 1);
  a.wr(0x360, 0x400);
  l.set_lint(1, true);
  CHECK_EQ(a.nmis, 3);
  // IA32_APIC_BASE
  CHECK_EQ(l.apic_base(), 0xfee00900);
  CHECK(!l.set_apic_base(0xfee00500));  // x2APIC mode of a disabled APIC
  CHECK(!l.set_apic_base(0xfee00901));
  CHECK(!l.set_apic_base(u64{1} << 40 | 0x900));
  CHECK(l.set_apic_base(0xfee00100));
  CHECK_EQ(a.remaps, 1);
  CHECK(!l.enabled() && l.accepts_extint());
  CHECK(!l.deliver(0, false, Lapic::kFixed, 0x50, false));
  CHECK(l.set_apic_base(0xfec80900));
  CHECK_EQ(a.rd(0xf0), 0xff);
  CHECK(!l.accepts_extint());
  a.wr(0x20, 0x05000000);
  l.init();
  CHECK_EQ(a.rd(0x20), 0x05000000);
  CHECK_EQ(a.rd(0x350), 0x10000);
  // Sizes
  CHECK_EQ(l.mmio_read(0x23, 1), 5);
  CHECK_EQ(l.mmio_read(0x24, 4), 0);
  l.mmio_write(0x80, 0xff, 1);
  CHECK_EQ(a.rd(0x80), 0);
  check_state(l);
}

void test_x2apic() {
  Apic a;
  Lapic& l = a.l;
  l.reset();
  const u64 base = 0xfee00000 | Lapic::kBaseBsp, x1 = base | Lapic::kBaseEnable, x2 = x1 | Lapic::kBaseX2;
  u64 v = 0;
  auto rd = [&](u32 r) {
    u64 value = 0;
    CHECK(l.read_msr(r, value));
    return value;
  };
  auto wr = [&](u32 r, u64 value) { return l.write_msr(r, value); };
  // The registers are MSRs in that mode alone.
  CHECK(!l.read_msr(0x803, v) && !wr(0x808, 0));
  a.wr(0x20, 0x07000000);
  a.wr(0xd0, 0x40000000);
  a.wr(0x80, 0x30);
  a.wr(0x310, 0x55000000);
  a.wr(0xf0, 0x1ff);
  // Transitions
  CHECK(!l.set_apic_base(base | Lapic::kBaseX2));
  CHECK(l.set_apic_base(x2) && l.x2apic() && l.enabled() && !a.mapped);
  CHECK(!l.set_apic_base(base | Lapic::kBaseX2));
  CHECK(!l.set_apic_base(x1));
  CHECK_EQ(l.apic_base(), x2);
  // What is kept, what follows from the ID of CPUID
  CHECK_EQ(rd(0x802), 0);
  CHECK_EQ(rd(0x803), 0x50014);
  CHECK_EQ(rd(0x808), 0x30);
  CHECK_EQ(rd(0x80d), 1);
  CHECK_EQ(rd(0x80f), 0x1ff);
  CHECK_EQ(rd(0x830), 0);
  CHECK_EQ(l.cr8(), 3);
  // Not there, read-only, write-only, reserved bits
  for (u32 r :
       {0x800u, 0x801u, 0x804u, 0x809u, 0x80bu, 0x80cu, 0x80eu, 0x829u, 0x82fu, 0x831u, 0x83au, 0x83fu, 0x840u, 0x8ffu})
    CHECK(!l.read_msr(r, v));
  for (u32 r : {0x800u, 0x802u, 0x803u, 0x809u, 0x80au, 0x80cu, 0x80du, 0x80eu, 0x810u, 0x818u, 0x827u, 0x82fu, 0x831u,
                0x839u, 0x83du, 0x8ffu})
    CHECK(!wr(r, 0));
  CHECK(!wr(0x808, 0x100) && !wr(0x80b, 1) && !wr(0x828, 1) && !wr(0x80f, 0x400) && !wr(0x832, u64{1} << 19) &&
        !wr(0x837, 0x700) && !wr(0x838, u64{1} << 32) && !wr(0x83e, 4) && !wr(0x83f, 0x100));
  CHECK(!wr(0x830, 1 << 13) && !wr(0x830, 1 << 16) && !wr(0x830, 1 << 20));
  CHECK(wr(0x808, 0) && wr(0x828, 0));
  CHECK_EQ(rd(0x828), 0);
  // IPIs: one register with 32 bits of destination
  CHECK(wr(0x830, 0x51));
  CHECK_EQ(l.acknowledge(), 0x51);
  CHECK_EQ(rd(0x812), 1u << 17);
  CHECK(wr(0x80b, 0));
  CHECK(wr(0x830, u64{0xff} << 32 | 0x51) && !a.intr);  // no broadcast here
  CHECK_EQ(rd(0x830), u64{0xff} << 32 | 0x51);
  CHECK(wr(0x830, u64{0xffffffff} << 32 | 0x52));
  CHECK_EQ(l.acknowledge(), 0x52);
  CHECK(wr(0x80b, 0));
  CHECK(wr(0x830, u64{0x1} << 32 | 0x853));  // logical
  CHECK_EQ(l.acknowledge(), 0x53);
  CHECK(wr(0x80b, 0));
  CHECK(wr(0x830, u64{0x2} << 32 | 0x854) && wr(0x830, u64{0x10001} << 32 | 0x854) && !a.intr);
  CHECK(wr(0x830, u64{0xffffffff} << 32 | 0x855));
  CHECK_EQ(l.acknowledge(), 0x55);
  CHECK(wr(0x80b, 0));
  CHECK(wr(0x830, u64{0x77} << 32 | 0x80056));  // all, whatever the destination
  CHECK_EQ(l.acknowledge(), 0x56);
  CHECK(wr(0x80b, 0));
  CHECK(wr(0x83f, 0x57));  // SELF IPI
  CHECK_EQ(l.acknowledge(), 0x57);
  CHECK(wr(0x80b, 0));
  CHECK(wr(0x83f, 5) && wr(0x828, 0));
  CHECK_EQ(rd(0x828), 0x20);
  CHECK(wr(0x828, 0));
  // Messages of devices
  CHECK(l.deliver(0, false, Lapic::kFixed, 0x60, false) && l.deliver(0xff, false, Lapic::kFixed, 0x61, false) &&
        l.deliver(1, true, Lapic::kFixed, 0x62, false));
  CHECK(!l.deliver(7, false, Lapic::kFixed, 0x63, false) && !l.deliver(2, true, Lapic::kFixed, 0x63, false));
  for (int n = 0x62; n >= 0x60; n--) {
    CHECK_EQ(l.acknowledge(), n);
    CHECK(wr(0x80b, 0));
  }
  // The timer
  CHECK(wr(0x832, 0x40070));
  l.set_tsc_deadline(a.s.now() + 100);
  a.s.run(100);
  CHECK_EQ(l.acknowledge(), 0x70);
  CHECK(wr(0x80b, 0));
  CHECK(wr(0x832, 0x71) && wr(0x83e, 0xb) && wr(0x838, 1000));
  a.s.run(400);
  CHECK_EQ(rd(0x839), 600);
  a.s.run(600);
  CHECK_EQ(l.acknowledge(), 0x71);
  CHECK(wr(0x80b, 0));
  check_state(l);
  // INIT leaves the mode, disabling and RESET end it.
  l.init();
  CHECK(l.x2apic());
  CHECK_EQ(rd(0x80f), 0xff);
  CHECK(l.set_apic_base(base) && !l.enabled() && !l.x2apic() && !a.mapped);
  CHECK(!l.read_msr(0x803, v));
  CHECK(!l.set_apic_base(x2));
  CHECK(l.set_apic_base(x1) && a.mapped);
  CHECK_EQ(a.rd(0x20), 0);
  CHECK_EQ(a.rd(0xd0), 0);
  CHECK(l.set_apic_base(x2));
  l.reset();
  CHECK(!l.x2apic() && a.mapped);
  CHECK_EQ(l.apic_base(), x1);
}

// ---- I/O APIC ----------------------------------------------------------------------------------

void test_ioapic() {
  struct Msg {
    u8 dest, mode, vector;
    bool logical, level;
  };
  std::vector<Msg> log;
  bool accept = true;
  IoApic io([&](u8 dest, bool logical, u8 mode, u8 vector, bool level) {
    log.push_back({dest, mode, vector, logical, level});
    return accept;
  });
  io.reset();
  auto rd = [&](u8 r) {
    io.mmio_write(0, r, 4);
    return static_cast<u32>(io.mmio_read(0x10, 4));
  };
  auto wr = [&](u8 r, u32 v) {
    io.mmio_write(0, r, 4);
    io.mmio_write(0x10, v, 4);
  };
  CHECK_EQ(rd(1), 0x170011);
  wr(0, 0xff000000);
  CHECK_EQ(rd(0), 0x0f000000);
  CHECK_EQ(rd(2), 0x0f000000);
  CHECK_EQ(rd(0x10), 0x10000);
  io.set_irq(4, true);
  CHECK(log.empty());
  wr(0x18, 0x31);
  CHECK(log.empty());  // an edge on a masked pin is lost
  io.set_irq(4, false);
  wr(0x19, 0x02000000);
  wr(0x18, 0x831);
  io.set_irq(4, true);
  CHECK(log.size() == 1 && log[0].dest == 2 && log[0].vector == 0x31 && log[0].logical && !log[0].level);
  io.set_irq(4, true);
  CHECK_EQ(log.size(), 1);
  // Level: once until EOI, again while high
  wr(0x26, 0xa041);  // pin 11: level, active low
  CHECK_EQ(rd(0x26), 0xa041);
  io.set_irq(11, true);
  CHECK(log.size() == 2 && log[1].vector == 0x41 && log[1].level);
  CHECK_EQ(rd(0x26), 0xe041);
  io.set_irq(11, false);
  io.set_irq(11, true);
  CHECK_EQ(log.size(), 2);
  io.eoi(0x40);
  CHECK_EQ(log.size(), 2);
  io.eoi(0x41);
  CHECK_EQ(log.size(), 3);
  io.set_irq(11, false);
  io.eoi(0x41);
  CHECK_EQ(log.size(), 3);
  CHECK_EQ(rd(0x26), 0xa041);
  // Unmasking a level that is high delivers; switching to edge clears remote IRR.
  wr(0x26, 0x1a041);
  io.set_irq(11, true);
  CHECK_EQ(log.size(), 3);
  wr(0x26, 0xa041);
  CHECK_EQ(log.size(), 4);
  wr(0x26, 0x12041);
  CHECK_EQ(rd(0x26), 0x12041);
  wr(0x26, 0xa041);
  CHECK_EQ(log.size(), 5);
  // Not accepted: no remote IRR
  io.eoi(0x41);
  io.set_irq(11, false);
  io.eoi(0x41);
  accept = false;
  io.set_irq(11, true);
  CHECK_EQ(rd(0x26), 0xa041);
  // ExtINT on pin 0
  CHECK(!io.accepts_extint());
  wr(0x10, 0x700);
  CHECK(io.accepts_extint());
  CHECK_EQ(io.mmio_read(0, 1), 0x10);
  CHECK_EQ(rd(0x40), 0);
  CHECK_EQ(rd(0xff), 0);
  io.set_irq(24, true);
  check_state(io);
}

// ---- HPET --------------------------------------------------------------------------------------

void test_hpet() {
  FakeScheduler s;
  std::vector<std::pair<unsigned, bool>> gsi;
  Line irq0, irq8;
  int legacy = -1;
  Hpet h(s, {[&](unsigned n, bool l) { gsi.emplace_back(n, l); }, irq0.make(), irq8.make(),
             [&](bool on) { legacy = on; }});
  h.reset();
  auto rd = [&](u64 r) { return h.mmio_read(r, 8); };
  auto wr = [&](u64 r, u64 v) { h.mmio_write(r, v, 8); };
  CHECK_EQ(rd(0), 0x009896808086a201);
  CHECK_EQ(h.mmio_read(4, 4), 10'000'000);
  CHECK_EQ(rd(0x100), 0x00ff010400000030);
  s.run(1000);
  CHECK_EQ(rd(0xf0), 0);
  wr(0x10, 1);
  s.run(1000);
  CHECK_EQ(rd(0xf0), 100);
  wr(0x10, 0);
  s.run(1000);
  CHECK_EQ(rd(0xf0), 100);
  h.mmio_write(0xf4, 1, 4);
  CHECK_EQ(rd(0xf0), 0x100000064);
  wr(0xf0, 0);
  wr(0x10, 1);
  // One-shot, edge, pin 2
  wr(0x100, 2 << 9 | 4);
  wr(0x108, 500);
  s.run(4990);
  CHECK(gsi.empty());
  s.run(10);
  CHECK(gsi.size() == 2 && gsi[0].first == 2 && gsi[0].second && !gsi[1].second);
  CHECK_EQ(rd(0x20), 0);
  s.run(1'000'000'000);
  CHECK_EQ(gsi.size(), 2);
  // A comparator in the past waits for the wrap (64 bits: for ever).
  wr(0x108, 5);
  s.run(100'000'000'000);
  CHECK_EQ(gsi.size(), 2);
  // 32-bit: fires again when the low half comes round.
  gsi.clear();
  wr(0x100, 1 << 8 | 2 << 9 | 4);
  wr(0x108, static_cast<u32>(rd(0xf0)) + 100);
  s.run(1000);
  CHECK_EQ(gsi.size(), 2);
  s.run(10 * (u64{1} << 32));
  CHECK_EQ(gsi.size(), 4);
  wr(0x100, 0);
  // Level, pin 20
  gsi.clear();
  wr(0x120, 20 << 9 | 4 | 2);
  wr(0x128, rd(0xf0) + 10);
  s.run(100);
  CHECK(gsi.size() == 1 && gsi[0].first == 20 && gsi[0].second);
  CHECK_EQ(rd(0x20), 2);
  wr(0x20, 1);
  CHECK_EQ(gsi.size(), 1);
  wr(0x20, 2);
  CHECK(gsi.size() == 2 && !gsi[1].second);
  wr(0x120, 0);
  // Periodic with legacy routing, as Linux programs it
  wr(0x10, 0);
  wr(0xf0, 0);
  wr(0x10, 3);
  CHECK_EQ(legacy, 1);
  wr(0x100, 1 << 8 | 1 << 6 | 1 << 3 | 1 << 2);
  wr(0x108, 1000);
  wr(0x108, 1000);
  CHECK_EQ(rd(0x100) & 0xffff, 0x13c);
  s.run(10'000 * 50);
  CHECK_EQ(irq0.rises, 50);
  CHECK_EQ(rd(0x108), 51'000);
  // Catching up is one step.
  s.jump(10'000 * 1'000'000'000ull);
  CHECK_EQ(irq0.rises, 51);
  CHECK(static_cast<u32>(rd(0x108) - rd(0xf0) - 1) < 1000);  // the next match is ahead, within a period
  s.run(10'000);
  CHECK_EQ(irq0.rises, 52);
  // The shortest period does not stall.
  wr(0x100, 1 << 8 | 1 << 6 | 1 << 3 | 1 << 2);
  wr(0x108, static_cast<u32>(rd(0xf0)) + 10);
  wr(0x108, 1);
  int before = irq0.rises;
  s.run(1'000'000);
  CHECK(irq0.rises - before <= 1001 && irq0.rises - before >= 900);
  wr(0x108, 0);
  s.run(1'000'000);
  check_state(h);
  h.reset();
  CHECK_EQ(legacy, 0);
}

// ---- ACPI --------------------------------------------------------------------------------------

void test_acpi() {
  FakeScheduler s;
  Line sci;
  int slept = -1;
  AcpiPm p(s, {sci.make(), [&](u8 t) { slept = t; }, {}});
  p.reset();
  CHECK_EQ(p.port_read(0x608, 4), 0);
  s.run(1'000'000'000);
  CHECK_EQ(p.port_read(0x608, 4), 3579545);
  s.run(4'000'000'000);
  CHECK_EQ(p.port_read(0x608, 4), 5ull * 3579545 & 0xffffff);
  CHECK_EQ(p.port_read(0x60a, 1), (5ull * 3579545 >> 16) & 0xff);
  CHECK_EQ(p.port_read(0x600, 2), 1);  // bit 23 changed
  p.port_write(0x600, 1, 2);
  CHECK_EQ(p.port_read(0x600, 2), 0);
  p.port_write(0x602, 0x101, 2);
  p.power_button();
  CHECK(!sci.level);  // ACPI mode is off
  out(p, 0xb2, 0xf1);
  CHECK_EQ(p.port_read(0x604, 2), 1);
  CHECK(sci.level);
  CHECK_EQ(p.port_read(0x600, 4), 0x01010100);
  p.port_write(0x600, 0x100, 2);
  CHECK(!sci.level);
  s.run(3'000'000'000);
  CHECK(sci.level);
  p.port_write(0x600, 1, 2);
  CHECK(!sci.level);
  p.port_write(0x604, 5 << 10 | 1 << 13 | 1, 2);
  CHECK_EQ(slept, 5);
  CHECK_EQ(p.port_read(0x604, 2), 5 << 10 | 1);
  p.port_write(0xafe2, 0x0004, 2);
  p.set_gpe(2, true);
  CHECK(sci.level);
  CHECK_EQ(p.port_read(0xafe0, 4), 0x00040004);
  p.port_write(0xafe0, 4, 1);
  CHECK(!sci.level);
  out(p, 0xb3, 0x12);
  CHECK_EQ(in(p, 0xb3), 0x12);
  out(p, 0xb2, 0xf0);
  CHECK(!p.acpi_enabled());
  p.set_base(0xb000);
  CHECK_EQ(p.port_read(0x608, 4), 0);
  CHECK(p.port_read(0xb008, 4) != 0);
  p.wake();
  CHECK_EQ(p.port_read(0xb001, 1), 0x80);
  check_state(p);
}

// ---- the rest ----------------------------------------------------------------------------------

class CountingStore final : public ByteStore {
 public:
  explicit CountingStore(bool fails) : fails_(fails) {}
  u64 size() const override { return 200'010; }
  bool writable() const override { return false; }
  bool read(u64 offset, void* buf, usize n) override {
    CHECK(n <= 64 * 1024 && offset + n <= size());
    for (usize i = 0; i < n; i++) static_cast<u8*>(buf)[i] = byte(offset + i);
    return !fails_;
  }
  bool write(u64, const void*, usize) override { return false; }
  bool flush() override { return true; }
  static u8 byte(u64 offset) { return static_cast<u8>(offset * 7 + (offset >> 8)); }

 private:
  bool fails_;
};

void test_fw_cfg() {
  constexpr u64 kRam = 2 << 20;
  u8* ram = static_cast<u8*>(std::calloc(kRam, 1));
  PhysMem mem(ram, kRam);
  mem.map(0, kRam, mem.ram_region(), 0);
  FwCfg f(mem);
  f.add_item16(FwCfg::kCpus, 1);
  u16 key = f.add_file("etc/table", {1, 2, 3, 4, 5});
  CHECK_EQ(key, 0x20);
  CHECK_EQ(f.add_file("bootorder", {'x'}), 0x21);
  CHECK_EQ(f.add_file("etc/table", {9, 8, 7, 6, 5, 4}), 0x20);
  auto bytes = [&](u16 k, unsigned n) {
    std::string r;
    f.port_write(0x510, k, 2);
    while (n--) r += static_cast<char>(in(f, 0x511));
    return r;
  };
  CHECK(bytes(0, 4) == "QEMU");
  CHECK(bytes(1, 4) == std::string("\3\0\0\0", 4));
  CHECK(bytes(5, 3) == std::string("\1\0\0", 3));
  CHECK(bytes(0x20, 7) == std::string("\x9\x8\x7\x6\x5\x4\0", 7));
  CHECK(bytes(0x7777, 1) == std::string(1, 0));
  std::string dir = bytes(0x19, 4 + 64 * 2);
  CHECK(dir.substr(0, 8) == std::string("\0\0\0\2\0\0\0\6", 8));
  CHECK(dir.substr(8, 4) == std::string("\0\x20\0\0", 4));
  CHECK(dir.substr(12, 10) == std::string("etc/table\0", 10));
  CHECK_EQ(f.port_read(0x514, 4), 0x554d4551);
  CHECK_EQ(f.port_read(0x518, 4), 0x47464320);
  auto dma = [&](u32 control, u32 length, u64 address) {
    mem.write<u32>(0x1000, __builtin_bswap32(control));
    mem.write<u32>(0x1004, __builtin_bswap32(length));
    mem.write<u64>(0x1008, __builtin_bswap64(address));
    f.port_write(0x514, 0, 4);
    f.port_write(0x518, __builtin_bswap32(0x1000), 4);
    return __builtin_bswap32(mem.read<u32>(0x1000));
  };
  mem.write<u64>(0x2000, ~u64{0});
  CHECK_EQ(dma(0x20 << 16 | 8 | 4, 2, 0), 0);  // select, skip
  CHECK_EQ(dma(2, 5, 0x2000), 0);              // four bytes left, then zero
  CHECK_EQ(mem.read<u64>(0x2000), 0xffffff0004050607);
  CHECK_EQ(dma(0x20 << 16 | 8 | 16, 2, 0x2000), 1);      // no writes
  CHECK_EQ(dma(0x20 << 16 | 8 | 2, ~0u, 0), 1);          // refused
  CHECK_EQ(dma(0x20 << 16 | 8 | 2, 6, ~u64{0} - 2), 0);  // nowhere, then wraps
  CHECK_EQ(dma(0x20 << 16 | 8 | 4, ~0u, 0), 0);
  CHECK_EQ(dma(2, 1, 0x2000), 0);
  CHECK_EQ(mem.read<u8>(0x2000), 0);

  // An item that is read from its store, from an offset on.
  f.add_item(FwCfg::kKernelData, std::make_unique<CountingStore>(false), 10);
  CHECK(bytes(0x11, 2) == std::string({static_cast<char>(70), static_cast<char>(77)}));
  CHECK_EQ(dma(2, 200'000, 0x10000), 0);  // all that is left, then zeros
  bool same = true;
  for (u64 k = 0; k < 199'998; k++) same = same && mem.read<u8>(0x10000 + k) == CountingStore::byte(12 + k);
  CHECK(same);
  CHECK_EQ(mem.read<u16>(0x10000 + 199'998), 0);
  f.add_item(FwCfg::kKernelData, std::make_unique<CountingStore>(true), 10);
  CHECK(bytes(0x11, 1) == std::string(1, 0));
  CHECK_EQ(dma(0x11 << 16 | 8 | 2, 4, 0x2000), 1);  // an I/O error
  f.port_write(0x514, 0xffffffff, 4);               // a control block outside memory
  f.port_write(0x518, 0xffffffff, 4);
  check_state(f);
  std::free(ram);
}

void test_small() {
  std::string text;
  DebugCon d([&](u8 c) { text += static_cast<char>(c); });
  out(d, 0x402, 'h');
  out(d, 0x80, 0x5c);
  CHECK(text == "h" && d.post_code() == 0x5c);
  CHECK_EQ(in(d, 0x402), 0xe9);
  CHECK_EQ(in(d, 0x80), 0x5c);

  int a20 = -1, resets = 0, hard = -1;
  Port92 p([&](bool v) { a20 = v; }, [&] { resets++; });
  out(p, 0x92, 2);
  CHECK(a20 == 1 && resets == 0 && in(p, 0x92) == 2);
  out(p, 0x92, 1);
  out(p, 0x92, 1);
  CHECK(a20 == 0 && resets == 1);

  SysCtrl c([&](bool h) { hard = h; });
  out(c, 0xcf9, 2);
  CHECK_EQ(hard, -1);
  out(c, 0xcf9, 6);
  CHECK_EQ(hard, 1);
  out(c, 0xcf9, 0);
  out(c, 0xcf9, 4);
  CHECK_EQ(hard, 0);

  Dma8237 m;
  m.reset();
  out(m, 0x0c, 0);
  out(m, 0x02, 0x34);
  out(m, 0x02, 0x12);
  CHECK_EQ(in(m, 0x02), 0x34);
  CHECK_EQ(in(m, 0x02), 0x12);
  out(m, 0xd8, 0);
  out(m, 0xc6, 0x78);
  out(m, 0xc6, 0x56);
  CHECK_EQ(in(m, 0xc6), 0x78);
  CHECK_EQ(in(m, 0xc6), 0x56);
  out(m, 0x87, 0xab);
  CHECK_EQ(in(m, 0x87), 0xab);
  CHECK_EQ(in(m, 0x0f), 0xff);
  out(m, 0x0a, 2);
  CHECK_EQ(in(m, 0x0f), 0xfb);
  out(m, 0x0d, 0);
  CHECK_EQ(in(m, 0x0f), 0xff);
  check_state(m);
}

}  // namespace

int main() {
  test_iobus();
  test_scheduler();
  test_pic();
  test_pit();
  test_pit_early();
  test_rtc();
  test_i8042();
  test_uart();
  test_lapic();
  test_x2apic();
  test_ioapic();
  test_hpet();
  test_acpi();
  test_fw_cfg();
  test_small();
  std::printf("%d passed, %d failed\n", g_passed, g_failed);
  return g_failed != 0;
}
