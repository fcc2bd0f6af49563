// Power management. Sources: Intel 82371AB (PIIX4) data sheet, section 7.2; ACPI specification, chapter 4.
#include "devices/acpi_pm.h"

#include <algorithm>

#include "devices/devutil.h"

namespace oriel {

namespace {
enum : u16 { kTmr = 1 << 0, kGbl = 1 << 5, kPwrBtn = 1 << 8, kSlpBtn = 1 << 9, kRtc = 1 << 10, kWak = 1 << 15 };
constexpr u16 kStsBits = kTmr | 1 << 4 | kGbl | kPwrBtn | kSlpBtn | kRtc | kWak;
constexpr u16 kEnBits = kTmr | kGbl | kPwrBtn | kSlpBtn | kRtc;
constexpr u16 kCntBits = 0x1c03;  // SCI_EN, BM_RLD, SLP_TYP; GBL_RLS and SLP_EN read as zero
constexpr u64 kTimerHalf = u64{1} << 23;

void put_byte(u16& reg, unsigned high, u8 v) {
  reg = static_cast<u16>(high ? (reg & 0x00ff) | v << 8 : (reg & 0xff00) | v);
}
u8 get_byte(u16 reg, unsigned high) { return static_cast<u8>(high ? reg >> 8 : reg); }
}  // namespace

AcpiPm::AcpiPm(Scheduler& sched, Wiring w)
    : sched_(sched), timer_(sched.create("acpi-pm", [this] { sync(sched_.now()), update(); })), w_(std::move(w)) {}

void AcpiPm::reset() {
  sts_ = en_ = cnt_ = gpe_sts_ = gpe_en_ = 0;
  apm_command_ = apm_status_ = 0;
  timer_seen_ = ticks_at(sched_.now(), kTimerHz) / kTimerHalf;
  update();
}

void AcpiPm::power_button() {
  sts_ |= kPwrBtn;
  update();
}

void AcpiPm::wake() {
  sts_ |= kWak;
  update();
}

void AcpiPm::set_gpe(unsigned n, bool level) {
  if (n > 15 || !level) return;
  gpe_sts_ |= static_cast<u16>(1u << n);
  update();
}

// TMR_STS is set whenever the most significant of the 24 bits changes.
void AcpiPm::sync(u64 now) {
  u64 half = ticks_at(now, kTimerHz) / kTimerHalf;
  if (half != timer_seen_) sts_ |= kTmr;
  timer_seen_ = half;
}

void AcpiPm::update() {
  w_.sci.set((cnt_ & 1) && ((sts_ & en_ & kEnBits) || (gpe_sts_ & gpe_en_)));
  u64 at = Scheduler::kNever;
  if ((en_ & kTmr) && !(sts_ & kTmr)) at = ns_of_tick((timer_seen_ + 1) * kTimerHalf, kTimerHz);
  sched_.arm(timer_, at);
}

u8 AcpiPm::read_byte(unsigned reg, u64 now) {
  switch (reg & ~1u) {
    case 0x00: return get_byte(sts_, reg & 1);
    case 0x02: return get_byte(en_, reg & 1);
    case 0x04: return get_byte(cnt_, reg & 1);
    case 0x08:
    case 0x0a: return static_cast<u8>((ticks_at(now, kTimerHz) & 0xffffff) >> 8 * (reg & 3));
    default: return 0;
  }
}

void AcpiPm::write_byte(unsigned reg, u8 v) {
  u16 placed = static_cast<u16>(reg & 1 ? v << 8 : v);
  switch (reg & ~1u) {
    case 0x00: sts_ &= ~(placed & kStsBits); break;  // written ones clear
    case 0x02:
      put_byte(en_, reg & 1, v);
      en_ &= kEnBits;
      break;
    case 0x04:
      put_byte(cnt_, reg & 1, v);
      cnt_ &= kCntBits;
      if (placed & 0x2000) notify(w_.sleep, static_cast<u8>(cnt_ >> 10 & 7));
      break;
    default: break;
  }
}

u32 AcpiPm::port_read(u16 port, unsigned size) {
  if (port == kApmCommand) return apm_command_;
  if (port == kApmStatus) return apm_status_;
  u64 now = sched_.now();
  sync(now);
  update();
  u32 v = 0;
  for (unsigned i = 0; i < size; i++) {
    unsigned p = port + i, gpe = p - kGpeBase, reg = p - base_;
    u8 b = gpe < kGpeSize     ? get_byte(gpe & 2 ? gpe_en_ : gpe_sts_, gpe & 1)
           : reg < kBlockSize ? read_byte(reg, now)
                              : 0;
    v |= static_cast<u32>(b) << 8 * i;
  }
  return v;
}

void AcpiPm::port_write(u16 port, u32 value, unsigned size) {
  if (port == kApmStatus) {
    apm_status_ = static_cast<u8>(value);
    return;
  }
  if (port == kApmCommand) {
    apm_command_ = static_cast<u8>(value);
    if (apm_command_ == kAcpiEnable) cnt_ |= 1;
    if (apm_command_ == kAcpiDisable) cnt_ &= ~1;
    update();
    notify(w_.smi, apm_command_);
    return;
  }
  sync(sched_.now());
  for (unsigned i = 0; i < size; i++) {
    u8 v = static_cast<u8>(value >> 8 * i);
    unsigned p = port + i, gpe = p - kGpeBase, reg = p - base_;
    if (gpe < kGpeSize) {
      if (gpe & 2)
        put_byte(gpe_en_, gpe & 1, v);
      else
        gpe_sts_ &= static_cast<u16>(~(gpe & 1 ? v << 8 : v));
    } else if (reg < kBlockSize) {
      write_byte(reg, v);
    }
  }
  update();
}

void AcpiPm::state(State& s) {
  for (u16* p : {&base_, &sts_, &en_, &cnt_, &gpe_sts_, &gpe_en_}) s.io(*p);
  s.io(apm_command_);
  s.io(apm_status_);
  s.io(timer_seen_);
  io_line(s, w_.sci);
}

}  // namespace oriel
