// High precision event timers. Source: IA-PC HPET Specification, revision 1.0a.
#include "devices/hpet.h"

#include <algorithm>

#include "devices/devutil.h"

namespace oriel {

namespace {
// Timer configuration bits.
enum : u64 { kLevelInt = 1 << 1, kIntEnable = 1 << 2, kPeriodic = 1 << 3, kValSet = 1 << 6, k32Bit = 1 << 8 };
constexpr u64 kRouteMask = 0x3e00, kTimerWritable = 0x3f4e;  // no FSB delivery
constexpr u64 kTimerFixed = 1 << 4 | 1 << 5;                 // periodic capable, 64 bits wide
constexpr u64 kLow = 0xffffffff;
}  // namespace

Hpet::Hpet(Scheduler& sched, Wiring w, u32 route_cap) : route_cap_(route_cap), sched_(sched), w_(std::move(w)) {
  for (unsigned n = 0; n < kTimers; n++) timer_[n].id = sched.create("hpet", [this, n] { on_timer(n); });
}

void Hpet::reset() {
  bool legacy = legacy_replacement();
  for (unsigned n = 0; n < kTimers; n++) {
    Timer& t = timer_[n];
    if (t.line) set_line(n, t.where, false);
    Scheduler::TimerId id = t.id;
    t = Timer{};
    t.id = id;
    sched_.cancel(id);
  }
  config_ = status_ = base_ = start_ = 0;
  if (legacy) notify(w_.legacy_changed, false);
}

// ---- interrupts --------------------------------------------------------------------------------

int Hpet::route(unsigned n) const {
  if (legacy_replacement() && n < 2) return kLegacy;
  unsigned pin = (timer_[n].config & kRouteMask) >> 9;
  return route_cap_ >> pin & 1 ? static_cast<int>(pin) : kNowhere;
}

void Hpet::set_line(unsigned n, int where, bool level) {
  if (where == kLegacy)
    (n == 0 ? w_.irq0 : w_.irq8).set(level);
  else if (where >= 0)
    notify(w_.set_gsi, static_cast<unsigned>(where), level);
}

// The level a timer drives: its status bit, in level mode, while its interrupt is enabled.
void Hpet::drive(unsigned n) {
  Timer& t = timer_[n];
  bool level = (status_ >> n & 1) && (t.config & kIntEnable) && (t.config & kLevelInt);
  int where = route(n);
  if (t.line && (!level || where != t.where)) {
    set_line(n, t.where, false);
    t.line = false;
  }
  if (level && !t.line) {
    t.line = true;
    t.where = static_cast<s8>(where);
    set_line(n, where, true);
  }
}

void Hpet::fire(unsigned n) {
  Timer& t = timer_[n];
  if (t.config & kLevelInt) {
    status_ |= u64{1} << n;
    drive(n);
  } else if (t.config & kIntEnable) {
    int where = route(n);
    set_line(n, where, true);
    set_line(n, where, false);
  }
}

// ---- comparators -------------------------------------------------------------------------------

u64 Hpet::to_match(const Timer& t) const {
  u64 d = t.comparator - t.synced;
  if (!(t.config & k32Bit)) return d;
  d &= kLow;
  return d ? d : u64{1} << 32;
}

// Brings the timer up to the counter's value: fires if it passed a match, and moves a periodic comparator on.
void Hpet::sync(unsigned n, u64 now) {
  Timer& t = timer_[n];
  if (!on()) return;
  u64 c = counter(now), passed = c - t.synced, d = to_match(t);
  bool match = d != 0 && passed >= d;
  if (match && (t.config & kPeriodic) && t.period) {
    // The first multiple of the period beyond the counter. In 32-bit mode only the low half counts.
    u64 late = passed - d;
    u64 step = (late / t.period + 1) * t.period;
    t.comparator = t.config & k32Bit ? (t.comparator + step) & kLow : t.comparator + step;
  }
  t.synced = c;
  if (match) fire(n);
}

void Hpet::arm(unsigned n, u64 now) {
  Timer& t = timer_[n];
  u64 at = Scheduler::kNever;
  u64 d = to_match(t);
  // Nothing has to be timed that nobody sees: the comparator is brought up to date when it is read.
  if (on() && (t.config & kIntEnable) && d != 0 && d < u64{1} << 50) {
    u64 target = (t.synced - base_ + d) * kTickNs + start_;
    at = std::max(target, now + (t.config & kPeriodic && t.period < kMinEventNs / kTickNs ? kMinEventNs : 0));
  }
  sched_.arm(t.id, at);
}

void Hpet::on_timer(unsigned n) {
  u64 now = sched_.now();
  sync(n, now);
  arm(n, now);
}

void Hpet::sync_all(u64 now) {
  for (unsigned n = 0; n < kTimers; n++) sync(n, now);
}

// ---- registers ---------------------------------------------------------------------------------

u64 Hpet::read64(u64 reg, u64 now) {
  switch (reg) {
    case 0x000: return kPeriodFs << 32 | u64{0x8086} << 16 | 1 << 15 | 1 << 13 | (kTimers - 1) << 8 | 1;
    case 0x010: return config_;
    case 0x020: return status_;
    case 0x0f0: return counter(now);
    default: break;
  }
  if (reg < 0x100 || reg >= 0x100 + 0x20 * kTimers) return 0;
  const Timer& t = timer_[(reg - 0x100) >> 5];
  switch (reg & 0x1f) {
    case 0x00: return u64{route_cap_} << 32 | t.config | kTimerFixed;
    case 0x08: return t.comparator;
    default: return 0;
  }
}

void Hpet::write_timer(unsigned n, unsigned reg, u64 value, u64 mask) {
  Timer& t = timer_[n];
  if (reg == 0x00) {
    u64 writable = mask & kTimerWritable;
    t.config = (t.config & ~writable) | (value & writable);
    if (t.config & k32Bit) {
      t.comparator &= kLow;
      t.period &= kLow;
    }
    if (!(t.config & kPeriodic)) t.config &= ~kValSet;
    drive(n);
  } else if (reg == 0x08) {
    u64 width = t.config & k32Bit ? kLow : ~u64{0};
    bool periodic = t.config & kPeriodic;
    if (!periodic || (t.config & kValSet)) t.comparator = ((t.comparator & ~mask) | (value & mask)) & width;
    if (periodic) t.period = ((t.period & ~mask) | (value & mask)) & width;
    t.config &= ~kValSet;
  }
}

void Hpet::write64(u64 reg, u64 value, u64 mask, u64 now) {
  switch (reg) {
    case 0x010: {
      u64 old = config_, fresh = ((config_ & ~mask) | (value & mask)) & 3;
      if ((old ^ fresh) & 1) {
        if (fresh & 1)
          start_ = now;
        else
          base_ = counter(now);
      }
      config_ = fresh;
      for (unsigned n = 0; n < kTimers; n++) timer_[n].synced = counter(now);
      if ((old ^ fresh) & 2) {
        notify(w_.legacy_changed, (fresh & 2) != 0);
        for (unsigned n = 0; n < kTimers; n++) drive(n);
      }
      break;
    }
    case 0x020:
      status_ &= ~(value & mask);
      for (unsigned n = 0; n < kTimers; n++) drive(n);
      break;
    case 0x0f0:
      base_ = (counter(now) & ~mask) | (value & mask);
      start_ = now;
      for (Timer& t : timer_) t.synced = base_;
      break;
    default:
      if (reg >= 0x100 && reg < 0x100 + 0x20 * kTimers)
        write_timer(static_cast<unsigned>(reg - 0x100) >> 5, reg & 0x1f, value, mask);
      break;
  }
  for (unsigned n = 0; n < kTimers; n++) arm(n, now);
}

u64 Hpet::mmio_read(u64 offset, unsigned size) {
  u64 now = sched_.now();
  sync_all(now);
  u64 v = read64(offset & 0xff8, now) >> 8 * (offset & 7);
  return size >= 8 ? v : v & ((u64{1} << 8 * size) - 1);
}

void Hpet::mmio_write(u64 offset, u64 value, unsigned size) {
  u64 now = sched_.now();
  sync_all(now);
  unsigned shift = 8 * (offset & 7);
  u64 mask = (size >= 8 ? ~u64{0} : (u64{1} << 8 * size) - 1) << shift;
  write64(offset & 0xff8, value << shift, mask, now);
}

void Hpet::state(State& s) {
  s.io(config_);
  s.io(status_);
  s.io(base_);
  s.io(start_);
  config_ &= 3;
  for (Timer& t : timer_) {
    s.io(t.config);
    s.io(t.comparator);
    s.io(t.period);
    s.io(t.synced);
    s.io(t.where);
    io_bool(s, t.line);
    if (t.where > 31 || t.where < kLegacy) {
      s.bad = true;
      t.where = kNowhere;
    }
  }
  io_line(s, w_.irq0);
  io_line(s, w_.irq8);
}

}  // namespace oriel
