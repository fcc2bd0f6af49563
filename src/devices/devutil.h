// Small helpers shared by the chipset devices: clocks derived from virtual time, optional callbacks,
// and state fields that are booleans or interrupt lines.
#pragma once

#include "devices/device.h"

namespace oriel {

constexpr u64 kNsPerSecond = 1'000'000'000;
// No periodic source interrupts the machine more often than this; faster ones are coalesced, so that
// a guest cannot make the host do nothing but timers.
constexpr u64 kMinEventNs = 1000;

// Whole ticks of a clock of `hz` (1 to 10^9) that have passed at `ns`. Exact, cannot overflow.
constexpr u64 ticks_at(u64 ns, u64 hz) { return ns / kNsPerSecond * hz + ns % kNsPerSecond * hz / kNsPerSecond; }

// The first nanosecond at which ticks_at() is `tick` or more; kNever when it is out of range.
constexpr u64 ns_of_tick(u64 tick, u64 hz) {
  u64 s = tick / hz;
  if (s >= ~u64{0} / kNsPerSecond) return Scheduler::kNever;
  return s * kNsPerSecond + (tick % hz * kNsPerSecond + hz - 1) / hz;
}

// The first of start + k * period (k >= 1) that lies after `now`, and at least kMinEventNs after it
// when the period is shorter than that. `start` may be "before zero" (modulo 2^64); period > 0.
constexpr u64 next_edge(u64 start, u64 period, u64 now) {
  u64 from = period < kMinEventNs ? now + kMinEventNs : now;
  return start + ((from - start) / period + 1) * period;
}

// Calls an optional callback.
template <class F, class... A>
void notify(const F& f, A... a) {
  if (f) f(a...);
}

// A byte that is not 0 or 1 in a damaged snapshot must not become a bool.
inline void io_bool(State& s, bool& b) {
  u8 v = b;
  s.io(v);
  if (v > 1) s.bad = true;
  if (s.loading()) b = v & 1;
}

inline void io_line(State& s, IrqLine& line) {
  bool level = line.level();
  io_bool(s, level);
  if (s.loading()) line.restore(level);
}

}  // namespace oriel
