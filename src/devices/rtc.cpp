// MC146818A on virtual time: the calendar is a count of seconds from a phase, registers are encoded when they
// are read, and flags are worked out when somebody can see them. Source: Motorola MC146818A data sheet.
#include "devices/rtc.h"

#include <algorithm>

#include "devices/devutil.h"

namespace oriel {

namespace {
enum Reg : u8 { kA = 10, kB = 11, kC = 12, kD = 13, kCentury = 0x32 };
enum Slot : unsigned { kSec, kMin, kHour, kWeekday, kDay, kMonth, kYear, kCent };
enum : u8 { kSet = 0x80, kPie = 0x40, kAie = 0x20, kUie = 0x10, kSqwe = 0x08, kBinary = 0x04, k24h = 0x02 };
enum : u8 { kIrqf = 0x80, kPf = 0x40, kAf = 0x20, kUf = 0x10 };
// UIP rises 244 us before an update, which takes 1984 us. The new time shows, and UF comes, at its end.
constexpr u64 kUpdateNs = (244 + 1984) * 1000;
constexpr u64 kDividerHz = 32768;
constexpr s64 kDaySeconds = 86400;

// Slot of a calendar register, -1 for the others.
int slot_of(u8 index) {
  switch (index) {
    case 0: return kSec;
    case 2: return kMin;
    case 4: return kHour;
    case 6: return kWeekday;
    case 7: return kDay;
    case 8: return kMonth;
    case 9: return kYear;
    case kCentury: return kCent;
    default: return -1;
  }
}

struct Date {
  s64 year;
  unsigned month, day;  // from 1
};

// The proleptic Gregorian calendar, with years that begin in March so that the leap day is the last.
s64 days_from_date(s64 year, unsigned month, unsigned day) {
  if (month <= 2) year--;
  s64 era = (year >= 0 ? year : year - 399) / 400;
  s64 y = year - era * 400;
  s64 m = (month + 9) % 12;
  s64 doy = (153 * m + 2) / 5 + static_cast<s64>(day) - 1;
  return era * 146097 + y * 365 + y / 4 - y / 100 + doy - 719468;
}

Date date_from_days(s64 days) {
  days += 719468;
  s64 era = (days >= 0 ? days : days - 146096) / 146097;
  s64 d = days - era * 146097;
  s64 y = (d - d / 1460 + d / 36524 - d / 146096) / 365;
  s64 doy = d - (365 * y + y / 4 - y / 100);
  s64 m = (5 * doy + 2) / 153;
  unsigned month = static_cast<unsigned>(m < 10 ? m + 3 : m - 9);
  return {y + era * 400 + (month <= 2), month, static_cast<unsigned>(doy - (153 * m + 2) / 5 + 1)};
}

s64 floor_div(s64 a, s64 b) { return a / b - (a % b < 0); }
// 1 (Sunday) to 7, of the date alone.
unsigned weekday(s64 days) { return static_cast<unsigned>((days + 4) % 7 + 7) % 7 + 1; }
}  // namespace

Rtc::Rtc(Scheduler& sched, IrqLine irq8, std::function<void(bool)> nmi_mask)
    : sched_(sched),
      timer_(sched.create("rtc", [this] { sync(sched_.now()), update(sched_.now()); })),
      irq_(std::move(irq8)),
      nmi_mask_(std::move(nmi_mask)) {}

void Rtc::reset() {
  // RESET# leaves the calendar, register A and the RAM alone.
  u64 now = sched_.now();
  sync(now);
  b_ &= ~(kPie | kAie | kUie | kSqwe);
  c_ = 0;
  index_ = 0;
  index2_ = 0x80;
  if (nmi_masked_) notify(nmi_mask_, false);
  nmi_masked_ = false;
  update(now);
}

// ---- calendar ----------------------------------------------------------------------------------

u8 Rtc::encode(unsigned v) const { return static_cast<u8>(b_ & kBinary ? v : v / 10 % 10 << 4 | v % 10); }

unsigned Rtc::decode(u8 v) const { return b_ & kBinary ? v : (v >> 4) * 10u + (v & 15); }

u8 Rtc::encode_hour(unsigned h) const {
  if (b_ & k24h) return encode(h);
  return static_cast<u8>(encode(h % 12 ? h % 12 : 12) | (h >= 12 ? 0x80 : 0));
}

void Rtc::show(s64 seconds, u8* r) const {
  s64 days = floor_div(seconds, kDaySeconds);
  unsigned tod = static_cast<unsigned>(seconds - days * kDaySeconds);
  Date d = date_from_days(days);
  unsigned year = static_cast<unsigned>(std::clamp<s64>(d.year, 0, 25599));
  r[kSec] = encode(tod % 60);
  r[kMin] = encode(tod / 60 % 60);
  r[kHour] = encode_hour(tod / 3600);
  r[kWeekday] = encode((weekday(days) - 1 + weekday_shift_) % 7 + 1);
  r[kDay] = encode(d.day);
  r[kMonth] = encode(d.month);
  r[kYear] = encode(year % 100);
  r[kCent] = encode(year / 100);
}

// The guest may have written anything; every register is brought into a range that has a date.
s64 Rtc::value_of(const u8* r) const {
  unsigned hour;
  if (b_ & k24h)
    hour = decode(r[kHour]) % 24;
  else
    hour = decode(r[kHour] & 0x7f) % 12 + (r[kHour] & 0x80 ? 12 : 0);
  unsigned month = (decode(r[kMonth]) + 11) % 12 + 1, day = std::max(1u, decode(r[kDay]));
  s64 year = decode(r[kCent]) * 100 + decode(r[kYear]);
  return (days_from_date(year, month, 1) + day - 1) * kDaySeconds + hour * 3600 + decode(r[kMin]) * 60 +
         decode(r[kSec]);
}

void Rtc::set_time(u64 seconds) {
  u64 now = sched_.now();
  sync(now);
  // Beyond the year 9999 there is nothing the registers could show.
  base_ = static_cast<s64>(std::min<u64>(seconds, 253402300799));
  phase_ = synced_ = now;
  weekday_shift_ = 0;
  if (stopped()) show(base_, frozen_);
  update(now);
}

u64 Rtc::time() {
  s64 t = stopped() ? value_of(frozen_) : base_ + static_cast<s64>(since_phase(sched_.now()) / kNsPerSecond);
  return t < 0 ? 0 : static_cast<u64>(t);
}

void Rtc::freeze(u64 now) { show(base_ + static_cast<s64>(since_phase(now) / kNsPerSecond), frozen_); }

void Rtc::thaw(u64 now) {
  s64 t = value_of(frozen_);
  base_ = t - static_cast<s64>(since_phase(now) / kNsPerSecond);
  u8 r[kTimeRegs];
  weekday_shift_ = 0;
  show(t, r);
  weekday_shift_ = static_cast<u8>((decode(frozen_[kWeekday]) % 7 + 7 - decode(r[kWeekday])) % 7);
}

void Rtc::write_time_reg(unsigned slot, u8 v) {
  if (stopped()) {
    frozen_[slot] = v;
    return;
  }
  u64 now = sched_.now();
  freeze(now);
  frozen_[slot] = v;
  thaw(now);
}

// ---- interrupts --------------------------------------------------------------------------------

unsigned Rtc::period_ticks() const {
  unsigned rs = a_ & 15;
  if (rs == 0 || (a_ & 0x60) == 0x60) return 0;
  return rs < 3 ? 64u << rs : 1u << (rs - 1);
}

s64 Rtc::next_alarm(s64 after) const {
  // A register with both top bits set matches anything.
  auto match = [](u8 alarm, u8 v) { return (alarm & 0xc0) == 0xc0 || alarm == v; };
  // A second or minute that never matches ends the search at once; the guest must not buy long loops.
  bool second = false, minutes = false;
  for (unsigned v = 0; v < 60; v++) {
    second |= match(alarm_[0], encode(v));
    minutes |= match(alarm_[1], encode(v));
  }
  if (!second || !minutes) return -1;
  s64 midnight = floor_div(after, kDaySeconds) * kDaySeconds;
  for (int day = 0; day < 2; day++, midnight += kDaySeconds) {
    for (unsigned h = 0; h < 24; h++) {
      if (midnight + h * 3600 + 3599 <= after || !match(alarm_[2], encode_hour(h))) continue;
      for (unsigned m = 0; m < 60; m++) {
        s64 minute = midnight + h * 3600 + m * 60;
        if (minute + 59 <= after || !match(alarm_[1], encode(m))) continue;
        for (unsigned sec = 0; sec < 60; sec++)
          if (minute + sec > after && match(alarm_[0], encode(sec))) return minute + sec;
      }
    }
  }
  return -1;
}

void Rtc::sync(u64 now) {
  u64 from = since_phase(synced_), to = since_phase(now);
  synced_ = now;
  if (unsigned p = period_ticks())
    if (ticks_at(to, kDividerHz) / p != ticks_at(from, kDividerHz) / p) c_ |= kPf;
  if (stopped()) return;
  u64 s0 = from / kNsPerSecond, s1 = to / kNsPerSecond;
  if (s0 == s1) return;
  c_ |= kUf;
  if (!(c_ & kAf)) {
    s64 alarm = next_alarm(base_ + static_cast<s64>(s0));
    if (alarm >= 0 && alarm <= base_ + static_cast<s64>(s1)) c_ |= kAf;
  }
}

// Sets the interrupt line from the flags, and arms the timer for the first flag that would raise it. Nothing
// is timed while the line is up: reading register C starts it again, so the guest sets the pace.
void Rtc::update(u64 now) {
  bool irq = c_ & b_ & (kPf | kAf | kUf);
  c_ = static_cast<u8>((c_ & 0x7f) | (irq ? kIrqf : 0));
  u64 next = Scheduler::kNever;
  u64 elapsed = since_phase(now);
  if (!irq) {
    unsigned p = period_ticks();
    if ((b_ & kPie) && p) {
      u64 edge = (ticks_at(elapsed, kDividerHz) / p + 1) * p;
      next = std::min(next, phase_ + ns_of_tick(edge, kDividerHz));
    }
    if (!stopped() && (b_ & (kUie | kAie))) {
      u64 second = elapsed / kNsPerSecond;
      if (b_ & kUie) next = std::min(next, phase_ + (second + 1) * kNsPerSecond);
      if (b_ & kAie) {
        s64 alarm = next_alarm(base_ + static_cast<s64>(second));
        if (alarm >= 0) next = std::min(next, phase_ + static_cast<u64>(alarm - base_) * kNsPerSecond);
      }
    }
  }
  sched_.arm(timer_, next);
  irq_.set(irq);
}

// ---- registers ---------------------------------------------------------------------------------

u8 Rtc::read_reg(u8 index) {
  u64 now = sched_.now();
  if (int slot = slot_of(index); slot >= 0) {
    if (stopped()) return frozen_[slot];
    u8 r[kTimeRegs];
    show(base_ + static_cast<s64>(since_phase(now) / kNsPerSecond), r);
    return r[slot];
  }
  switch (index) {
    case 1:
    case 3:
    case 5: return alarm_[index >> 1];
    case kA: {
      bool uip = !stopped() && since_phase(now) % kNsPerSecond >= kNsPerSecond - kUpdateNs;
      return static_cast<u8>(a_ | (uip ? 0x80 : 0));
    }
    case kB: return b_;
    case kC: {
      sync(now);
      update(now);
      u8 v = c_;
      c_ = 0;
      update(now);
      return v;
    }
    case kD: return 0x80;  // VRT: the battery is good
    default: return ram_[index];
  }
}

void Rtc::write_reg(u8 index, u8 v) {
  u64 now = sched_.now();
  sync(now);
  if (int slot = slot_of(index); slot >= 0) {
    write_time_reg(static_cast<unsigned>(slot), v);
    update(now);
    return;
  }
  switch (index) {
    case 1:
    case 3:
    case 5: alarm_[index >> 1] = v; break;
    case kA: {
      bool was = stopped(), was_reset = (a_ & 0x60) == 0x60, is_reset = (v & 0x60) == 0x60;
      if (!was && is_reset) freeze(now);
      a_ = v & 0x7f;
      // The divider chain starts such that the first update comes half a second later.
      if (was_reset && !is_reset) phase_ = now - kNsPerSecond / 2;
      if (was && !stopped()) thaw(now);
      break;
    }
    case kB: {
      bool was = stopped();
      if (v & kSet) v &= ~kUie;
      if (!was && (v & kSet)) freeze(now);
      b_ = v;
      if (was && !stopped()) thaw(now);
      break;
    }
    case kC:
    case kD: break;  // read-only
    default: ram_[index] = v; break;
  }
  update(now);
}

void Rtc::set_cmos(u8 index, u8 value) {
  if (index > kD && index != kCentury) ram_[index] = value;
}

u8 Rtc::cmos(u8 index) { return index > kD && index != kCentury ? ram_[index] : 0; }

u32 Rtc::port_read(u16 port, unsigned) {
  switch (port) {
    case 0x71: return read_reg(index_);
    case 0x72: return index2_ & 0x7f;
    case 0x73: return ram_[index2_];
    default: return 0xff;  // the index register is write-only
  }
}

void Rtc::port_write(u16 port, u32 value, unsigned) {
  u8 v = static_cast<u8>(value);
  switch (port) {
    case 0x70: {
      index_ = v & 0x7f;
      bool masked = v & 0x80;
      if (masked != nmi_masked_) {
        nmi_masked_ = masked;
        notify(nmi_mask_, masked);
      }
      break;
    }
    case 0x71: write_reg(index_, v); break;
    case 0x72: index2_ = v | 0x80; break;
    case 0x73: ram_[index2_] = v; break;
    default: break;
  }
}

void Rtc::state(State& s) {
  for (u8* p : {&index_, &index2_, &a_, &b_, &c_, &weekday_shift_}) s.io(*p);
  s.io(alarm_);
  s.io(frozen_);
  s.io(ram_);
  io_bool(s, nmi_masked_);
  s.io(base_);
  s.io(phase_);
  s.io(synced_);
  io_line(s, irq_);
  // Ten thousand years either way: what the guest can set, and far from overflow.
  constexpr s64 kLimit = s64{1} << 40;
  if (base_ > kLimit || base_ < -kLimit || weekday_shift_ > 6) {
    s.bad = true;
    base_ = weekday_shift_ = 0;
  }
  index_ &= 0x7f;
  index2_ |= 0x80;
}

}  // namespace oriel
