// 8254 counters computed from virtual time: nothing ticks; values and OUT follow from the tick at which the
// count was loaded. Source: Intel 8254 data sheet (231164), "Mode Definitions".
#include "devices/pit.h"

#include <algorithm>

#include "devices/devutil.h"

namespace oriel {

namespace {
u32 from_bcd(u32 v) { return (v & 15) + 10 * (v >> 4 & 15) + 100 * (v >> 8 & 15) + 1000 * (v >> 12 & 15); }
u32 to_bcd(u32 v) { return v % 10 | v / 10 % 10 << 4 | v / 100 % 10 << 8 | v / 1000 % 10 << 12; }
// Memory refresh requests, which bit 4 of port 61 halves: counter 1 as every BIOS programs it.
constexpr u64 kRefreshTicks = 18;
// Ticks are counted from here, so that a cycle can have begun before power-on (mode 3, loaded in its low half).
constexpr u64 kFirstTick = 1 << 17;
}  // namespace

Pit::Pit(Scheduler& sched, IrqLine irq0)
    : sched_(sched), timer_(sched.create("pit", [this] { on_timer(); })), irq_(std::move(irq0)) {
  counter_[2].gate = false;
}

void Pit::reset() {
  for (Counter& c : counter_) c = Counter{};
  counter_[2].gate = false;
  port61_ = 0;
  rise_ = Scheduler::kNever;
  sched_.cancel(timer_);
  irq_.set(false);
}

u64 Pit::ticks_now() { return kFirstTick + ticks_at(sched_.now(), kHz); }

// ---- the counting element ----------------------------------------------------------------------

void Pit::settle(Counter& c, u64 t) {
  if (!c.pending || c.stopped || t < c.load_tick || (c.mode != 2 && c.mode != 3)) return;
  c.n = c.next_n;
  c.start = c.load_tick - (c.pending_low ? high_part(c.n) : 0);
  c.pending = c.null_count = false;
}

u32 Pit::value(const Counter& c, u64 t) const {
  if (!running(c, t)) return c.held;
  const u32 m = modulus(c);
  const u64 e = elapsed(c, t);
  switch (c.mode) {
    case 2: return static_cast<u32>(c.n - e % c.n) % m;
    case 3: {
      u32 pos = static_cast<u32>(e % c.n);
      if (pos >= high_part(c.n)) pos -= high_part(c.n);
      return ((c.n & ~u32{1}) - 2 * pos) % m;
    }
    default: return static_cast<u32>((c.n + m - e % m) % m);
  }
}

u16 Pit::shown(const Counter& c, u64 t) const {
  u32 v = value(c, t);
  return static_cast<u16>(c.bcd ? to_bcd(v) : v);
}

bool Pit::out(const Counter& c, u64 t) const {
  if ((c.mode == 2 || c.mode == 3) && (c.stopped || !c.gate)) return true;
  if (!running(c, t)) return c.held_out;
  const u64 e = elapsed(c, t);
  switch (c.mode) {
    case 2: return e % c.n != c.n - 1 || c.n == 1;
    case 3: return e % c.n < high_part(c.n);
    case 4:
    case 5: return e != c.n;
    default: return e >= c.n;
  }
}

u8 Pit::status(const Counter& c, u64 t) const {
  // The count written is not readable before the tick that loads it.
  bool null = c.null_count || (c.loaded && !c.stopped && t < c.start);
  return static_cast<u8>(out(c, t) << 7 | null << 6 | c.rw << 4 | c.mode << 1 | c.bcd);
}

// Loads `count` into the counting element on the next tick, or holds it loaded while the gate is low.
void Pit::load(Counter& c, u32 count) {
  u64 t = ticks_now();
  u32 old_value = value(c, t);
  bool old_out = c.mode == 0 ? false : c.mode == 1 ? out(c, t) : true;
  c.held = static_cast<u16>(old_value);
  c.held_out = old_out;
  c.n = c.next_n = count;
  c.start = t + 1;
  c.loaded = true;
  c.null_count = c.pending = false;
  c.stopped = !c.gate && c.mode != 1 && c.mode != 5;
  c.frozen = 0;
}

void Pit::write_count(Counter& c, u8 v) {
  u64 t = ticks_now();
  u32 raw;
  switch (c.rw) {
    case 1: raw = v; break;
    case 2: raw = static_cast<u32>(v) << 8; break;
    default:
      if (!c.write_high) {
        c.write_high = true;
        c.write_low = v;
        if (c.mode == 0) {  // the first byte stops counting and lowers OUT at once
          c.held = static_cast<u16>(value(c, t));
          c.held_out = false;
          c.loaded = c.stopped = false;
        }
        return;
      }
      c.write_high = false;
      raw = static_cast<u32>(v) << 8 | c.write_low;
  }
  u32 count = c.bcd ? from_bcd(raw) % 10000 : raw;
  if (count == 0) count = modulus(c);
  if (c.mode == 1 || c.mode == 5) {
    c.next_n = count;
    c.pending = c.null_count = true;
    return;
  }
  if ((c.mode != 2 && c.mode != 3) || !c.loaded) return load(c, count);
  c.next_n = count;
  if (c.stopped) {  // the gate's rise will load it
    c.pending = c.null_count = true;
    return;
  }
  if (t < c.start) {  // the first count has not been loaded yet
    c.n = count;
    return;
  }
  // A counter that runs takes the new count at the end of the cycle, in mode 3 of the half cycle.
  u32 pos = static_cast<u32>(elapsed(c, t) % c.n), high = high_part(c.n);
  c.pending = c.null_count = true;
  c.pending_low = c.mode == 3 && pos < high;
  c.load_tick = t - pos + (c.pending_low ? high : c.n);
}

void Pit::set_gate(Counter& c, bool level) {
  if (level == c.gate) return;
  u64 t = ticks_now();
  settle(c, t);
  c.gate = level;
  switch (c.mode) {
    case 0:
    case 4:
      if (!c.loaded) break;
      if (level) {
        c.start = t - c.frozen;
        c.stopped = false;
      } else {
        c.frozen = t >= c.start ? t - c.start : 0;
        c.stopped = true;
      }
      break;
    case 2:
    case 3:
      if (!c.loaded) break;
      if (level) {
        load(c, c.next_n);
      } else {
        c.frozen = t >= c.start ? t - c.start : 0;
        c.stopped = true;
      }
      break;
    default:  // 1 and 5: the rising edge is the trigger
      if (level && (c.pending || c.loaded)) load(c, c.next_n);
      break;
  }
}

// ---- programming -------------------------------------------------------------------------------

void Pit::control(u8 v) {
  u64 t = ticks_now();
  unsigned sel = v >> 6;
  if (sel == 3) {  // read-back
    for (unsigned i = 0; i < 3; i++) {
      if (!(v >> (i + 1) & 1)) continue;
      Counter& c = counter_[i];
      if (!(v & 0x20) && !c.latched) {
        c.latched = true;
        c.latch = shown(c, t);
      }
      if (!(v & 0x10) && !c.status_latched) {
        c.status_latched = true;
        c.status = status(c, t);
      }
    }
    return;
  }
  Counter& c = counter_[sel];
  unsigned rw = v >> 4 & 3;
  if (rw == 0) {  // counter latch
    if (!c.latched) {
      c.latched = true;
      c.latch = shown(c, t);
    }
    return;
  }
  u16 held = static_cast<u16>(value(c, t));
  bool gate = c.gate;
  c = Counter{};
  c.gate = gate;
  c.held = held;
  c.rw = static_cast<u8>(rw);
  u8 mode = v >> 1 & 7;
  c.mode = mode > 5 ? mode & 3 : mode;
  c.bcd = v & 1;
  c.held_out = c.mode != 0;
}

u8 Pit::read_count(Counter& c) {
  if (c.status_latched) {
    c.status_latched = false;
    return c.status;
  }
  u16 v = c.latched ? c.latch : shown(c, ticks_now());
  bool high = c.rw == 2 || (c.rw == 3 && c.read_high);
  if (c.rw == 3) c.read_high = !c.read_high;
  if (c.rw != 3 || high) c.latched = false;
  return static_cast<u8>(high ? v >> 8 : v);
}

u32 Pit::port_read(u16 port, unsigned) {
  sync();
  u64 t = ticks_now();
  for (Counter& c : counter_) settle(c, t);
  if (port == 0x61) {
    u8 refresh = t / kRefreshTicks & 1;
    return static_cast<u32>(port61_ | refresh << 4 | out(counter_[2], t) << 5);
  }
  return port < 0x43 && port >= 0x40 ? read_count(counter_[port - 0x40]) : 0;
}

void Pit::port_write(u16 port, u32 value, unsigned) {
  u8 v = static_cast<u8>(value);
  sync();
  u64 t = ticks_now();
  for (Counter& c : counter_) settle(c, t);
  if (port == 0x61) {
    port61_ = v & 0x0f;
    set_gate(counter_[2], v & 1);
    return;
  }
  if (port < 0x40 || port > 0x43) return;
  if (port == 0x43)
    control(v);
  else
    write_count(counter_[port - 0x40], v);
  update_irq();
}

u32 Pit::speaker_hz() {
  Counter& c = counter_[2];
  settle(c, ticks_now());
  if ((port61_ & 3) != 3 || c.mode != 3 || !c.loaded || c.stopped) return 0;
  return static_cast<u32>(kHz / c.n);
}

// ---- IRQ 0 -------------------------------------------------------------------------------------

u64 Pit::next_rise(const Counter& c, u64 t) const {
  if (!c.loaded || c.stopped) return Scheduler::kNever;
  switch (c.mode) {
    case 0:
    case 1: return t < c.start + c.n ? c.start + c.n : Scheduler::kNever;
    case 2:
    case 3: {
      if (c.pending) return c.load_tick + (c.pending_low ? c.next_n - high_part(c.next_n) : 0);
      if (c.n == 1) return Scheduler::kNever;  // not allowed by the data sheet; OUT does not move
      u64 from = std::max(t, c.start);
      return from + c.n - (from - c.start) % c.n;
    }
    default: return t <= c.start + c.n ? c.start + c.n + 1 : Scheduler::kNever;
  }
}

void Pit::update_irq() {
  u64 t = ticks_now();
  settle(counter_[0], t);
  rise_ = next_rise(counter_[0], t);
  irq_.set(out(counter_[0], t));
  sched_.arm(timer_, rise_ == Scheduler::kNever ? rise_ : ns_of_tick(rise_ - kFirstTick, kHz));
}

void Pit::sync() {
  if (sched_.deadline(timer_) <= sched_.now()) on_timer();
}

void Pit::on_timer() {
  // Several cycles may have passed; their edges are one, as they would be in the interrupt controller.
  irq_.set(false);
  irq_.set(true);
  update_irq();
}

void Pit::state(State& s) {
  for (Counter& c : counter_) {
    for (u8* p : {&c.mode, &c.rw, &c.write_low, &c.status}) s.io(*p);
    for (bool* p : {&c.bcd, &c.gate, &c.write_high, &c.read_high, &c.latched, &c.status_latched, &c.null_count,
                    &c.loaded, &c.stopped, &c.held_out, &c.pending, &c.pending_low})
      io_bool(s, *p);
    s.io(c.latch);
    s.io(c.held);
    s.io(c.start);
    s.io(c.frozen);
    s.io(c.load_tick);
    s.io(c.n);
    s.io(c.next_n);
    if (c.mode > 5 || c.rw > 3 || c.n - 1 > 0xffff || c.next_n - 1 > 0xffff) {
      s.bad = true;
      c = Counter{};
    }
  }
  s.io(port61_);
  s.io(rise_);
  io_line(s, irq_);
}

}  // namespace oriel
