// Local APIC. Source: Intel SDM Vol. 3A, chapter "Advanced Programmable Interrupt Controller (APIC)".
#include "devices/lapic.h"

#include <algorithm>

#include "devices/devutil.h"

namespace oriel {

namespace {
enum LvtBits : u32 { kStatus = 1 << 12, kRemoteIrr = 1 << 14, kLevel = 1 << 15, kMasked = 1 << 16 };
// Bits software may write in each entry: timer, thermal, performance, LINT0, LINT1, error.
constexpr u32 kLvtWritable[] = {0x700ff, 0x107ff, 0x107ff, 0x1a7ff, 0x1a7ff, 0x100ff};
constexpr u64 kAddressBits = 0xf'ffff'f000;  // 36-bit physical addresses, as for the MTRRs of this processor

bool test(const u32* r, u8 v) { return r[v >> 5] >> (v & 31) & 1; }
void set_bit(u32* r, u8 v) { r[v >> 5] |= u32{1} << (v & 31); }
void clear_bit(u32* r, u8 v) { r[v >> 5] &= ~(u32{1} << (v & 31)); }
int highest(const u32* r) {
  for (int i = 7; i >= 0; i--)
    if (r[i]) return i * 32 + 31 - std::countl_zero(r[i]);
  return -1;
}
}  // namespace

Lapic::Lapic(Scheduler& sched, Wiring w)
    : sched_(sched), timer_(sched.create("lapic", [this] { on_timer(); })), w_(std::move(w)) {
  clear_registers();
  lvt_[kLint0] = kExtInt << 8;
  last_extint_ = accepts_extint();
}

void Lapic::clear_registers() {
  tpr_ = 0;
  ldr_ = 0;
  dfr_ = ~u32{0};
  svr_ = 0xff;
  esr_ = esr_pending_ = icr_lo_ = icr_hi_ = 0;
  for (u32& l : lvt_) l = kMasked;
  for (unsigned i = 0; i < 8; i++) isr_[i] = irr_[i] = tmr_[i] = 0;
  initial_ = dcr_ = 0;
  timer_start_ = deadline_ = 0;
  timer_running_ = in_error_ = false;
  sched_.cancel(timer_);
}

void Lapic::init() {
  clear_registers();
  update();
}

void Lapic::reset() {
  u64 old = base_;
  base_ = kDefaultBase | kBaseBsp | kBaseEnable;
  id_ = 0;
  clear_registers();
  // A board comes up with the PIC's INTR reaching the processor (the IMCR's PIC mode). That is modelled as
  // firmware leaves it, LINT0 = ExtINT; an INIT masks it as the manual says.
  lvt_[kLint0] = kExtInt << 8;
  if (old != base_) notify(w_.base_changed, kDefaultBase, true);
  update();
}

// ---- priorities --------------------------------------------------------------------------------

u8 Lapic::ppr() const {
  int v = highest(isr_);
  u8 isrv = v < 0 ? 0 : static_cast<u8>(v & 0xf0);
  return (tpr_ & 0xf0) >= isrv ? tpr_ : isrv;
}

bool Lapic::has_interrupt() const {
  if (!enabled() || !software_enabled()) return false;
  int v = highest(irr_);
  return v >= 0 && (v & 0xf0) > (ppr() & 0xf0);
}

bool Lapic::accepts_extint() const { return !enabled() || (lvt_[kLint0] & (kMasked | 0x700)) == kExtInt << 8; }

u8 Lapic::acknowledge() {
  // The request may have gone (TPR raised, APIC disabled) since INTR was seen.
  if (!has_interrupt()) return static_cast<u8>(svr_);
  u8 v = static_cast<u8>(highest(irr_));
  clear_bit(irr_, v);
  set_bit(isr_, v);
  update();
  return v;
}

void Lapic::eoi() {
  int v = highest(isr_);
  if (v < 0) return;
  u8 vector = static_cast<u8>(v);
  clear_bit(isr_, vector);
  bool level = test(tmr_, vector);
  // A level-triggered LINT pin asks again while it is high.
  for (unsigned pin = 0; pin < 2; pin++) {
    u32& l = lvt_[kLint0 + pin];
    if (!(l & kRemoteIrr) || (l & 0xff) != vector) continue;
    l &= ~kRemoteIrr;
    level = false;
    if (lint_[pin]) local_interrupt(static_cast<Lvt>(kLint0 + pin));
  }
  if (level) notify(w_.eoi, vector);
  update();
}

void Lapic::set_cr8(u8 v) {
  tpr_ = static_cast<u8>(v << 4);
  update();
}

void Lapic::update() {
  bool pending = has_interrupt(), extint = accepts_extint();
  if (pending == last_pending_ && extint == last_extint_) return;
  last_pending_ = pending;
  last_extint_ = extint;
  notify(w_.intr, pending);
}

// ---- messages ----------------------------------------------------------------------------------

bool Lapic::is_destination(u32 dest, bool logical) const {
  if (x2apic()) {
    if (dest == ~u32{0}) return true;
    if (!logical) return dest == id_;
    return dest >> 16 == ldr() >> 16 && (dest & ldr() & 0xffff);
  }
  if (dest == 0xff) return true;
  if (!logical) return dest == id_ >> 24;
  u8 own = static_cast<u8>(ldr_ >> 24);
  if (dfr_ >> 28 == 15) return dest & own;
  return (dest >> 4 == own >> 4 || dest >> 4 == 15) && (dest & own & 15);
}

bool Lapic::accept(u8 vector, bool level) {
  if (!software_enabled()) return false;
  if (vector < 16) {
    error(kEsrRecvVector);
    return false;
  }
  set_bit(irr_, vector);
  if (level)
    set_bit(tmr_, vector);
  else
    clear_bit(tmr_, vector);
  update();
  return true;
}

// Messages of devices have 8 bits of destination in either mode.
bool Lapic::deliver(u8 dest, bool logical, u8 mode, u8 vector, bool level_triggered) {
  return deliver_to(x2apic() && dest == 0xff ? ~u32{0} : dest, logical, mode, vector, level_triggered);
}

bool Lapic::deliver_to(u32 dest, bool logical, u8 mode, u8 vector, bool level_triggered) {
  if (!enabled() || !is_destination(dest, logical)) return false;
  switch (mode & 7) {
    case kFixed:
    case kLowest: return accept(vector, level_triggered);
    case kSmi: notify(w_.smi); return true;
    case kNmi: notify(w_.nmi); return true;
    case kInit: notify(w_.init); return true;
    case kSipi: notify(w_.sipi, vector); return true;
    default: return false;  // ExtINT comes by accepts_extint(); 3 is reserved
  }
}

void Lapic::deliver_msi(u64 addr, u32 data) {
  if (addr >> 20 != 0xfee) return;
  bool level = data & 0x8000;
  if (level && !(data & 0x4000)) return;  // de-assertion carries nothing
  deliver(static_cast<u8>(addr >> 12), addr & 4, data >> 8 & 7, static_cast<u8>(data), level);
}

void Lapic::send_ipi() {
  u8 vector = static_cast<u8>(icr_lo_), mode = icr_lo_ >> 8 & 7;
  unsigned shorthand = icr_lo_ >> 18 & 3;
  bool fixed = mode == kFixed || mode == kLowest;
  // INIT level de-assert only synchronised arbitration IDs, on processors that had them.
  if (mode == kInit && (icr_lo_ & 0xc000) == 0x8000) return;
  if (fixed && vector < 16) return error(kEsrSendVector);
  switch (shorthand) {
    case 0: deliver_to(x2apic() ? icr_hi_ : icr_hi_ >> 24, icr_lo_ & 0x800, mode, vector, false); break;
    case 1:  // to itself: Fixed. The manual calls the rest invalid (table 11-3), yet programs send themselves INIT and
             // NMI
      if (mode == kFixed) accept(vector, false);
      if (mode == kNmi) notify(w_.nmi);
      if (mode == kInit) notify(w_.init);
      break;
    case 2:
      if (fixed || mode == kNmi || mode == kSmi) deliver_to(x2apic() ? ~u32{0} : 0xff, false, mode, vector, false);
      break;
    default: break;  // all others: there are none
  }
}

void Lapic::error(u32 bits) {
  bool fresh = bits & ~esr_pending_;
  esr_pending_ |= bits;
  if (!fresh || in_error_) return;
  in_error_ = true;  // an error vector that is itself illegal must not recurse
  local_interrupt(kError);
  in_error_ = false;
}

// ---- local vector table ------------------------------------------------------------------------

void Lapic::local_interrupt(Lvt n) {
  u32& l = lvt_[n];
  if (!enabled() || (l & kMasked)) return;
  u8 mode = n == kTimer || n == kError ? u8{kFixed} : l >> 8 & 7;
  switch (mode) {
    case kFixed: {
      bool level = n == kLint0 && (l & kLevel);  // LINT1 is always edge-triggered
      if (accept(static_cast<u8>(l), level) && level) l |= kRemoteIrr;
      break;
    }
    case kSmi: notify(w_.smi); break;
    case kNmi: notify(w_.nmi); break;
    case kInit: notify(w_.init); break;
    default: break;
  }
}

void Lapic::set_lint(unsigned pin, bool level) {
  if (pin > 1 || lint_[pin] == level) return;
  lint_[pin] = level;
  if (!level) return;
  if (!enabled()) {  // the pins are INTR and NMI then
    if (pin == 1) notify(w_.nmi);
    return;
  }
  Lvt n = static_cast<Lvt>(kLint0 + pin);
  if (!(lvt_[n] & kRemoteIrr)) local_interrupt(n);
}

void Lapic::write_lvt(Lvt n, u32 v) {
  u64 now = sched_.now();
  TimerMode old_mode = timer_mode();
  bool was_masked = lvt_[n] & kMasked;
  u32 left = current_count(now);
  lvt_[n] = (lvt_[n] & kRemoteIrr) | (v & kLvtWritable[n]);
  if (!software_enabled()) lvt_[n] |= kMasked;
  if (n == kTimer) {
    // Changing to or from TSC-deadline mode disarms the timer.
    if (old_mode != timer_mode() && (old_mode == kDeadline || timer_mode() == kDeadline)) {
      timer_running_ = false;
      initial_ = 0;
      deadline_ = 0;
    } else if (old_mode != timer_mode() && timer_running_) {
      // Between one-shot and periodic the count goes on.
      timer_running_ = left != 0;
      timer_start_ = now - (u64{initial_} - left) * divider();
    }
    arm_timer(now);
  }
  if (n == kLint0 && was_masked && (lvt_[n] & kLevel) && lint_[0] && !(lvt_[n] & kRemoteIrr)) local_interrupt(n);
  update();
}

// ---- timer -------------------------------------------------------------------------------------

Lapic::TimerMode Lapic::timer_mode() const {
  // 3 is reserved; it counts as one-shot.
  u32 m = lvt_[kTimer] >> 17 & 3;
  return m == 3 ? kOneShot : static_cast<TimerMode>(m);
}

u64 Lapic::divider() const {
  unsigned code = (dcr_ >> 1 & 4) | (dcr_ & 3);
  return code == 7 ? 1 : u64{2} << code;
}

u32 Lapic::current_count(u64 now) const {
  if (!timer_running_) return 0;
  u64 ticks = (now - timer_start_) / divider();
  if (timer_mode() == kPeriodic) return static_cast<u32>(initial_ - ticks % initial_);
  return ticks >= initial_ ? 0 : static_cast<u32>(initial_ - ticks);
}

void Lapic::start_timer(u32 initial, u64 now) {
  initial_ = initial;
  timer_running_ = initial != 0;
  timer_start_ = now;
  arm_timer(now);
}

// A masked timer counts all the same, but nothing has to happen when it ends.
void Lapic::arm_timer(u64 now) {
  u64 at = Scheduler::kNever;
  if (!(lvt_[kTimer] & kMasked)) {
    switch (timer_mode()) {
      case kDeadline:
        if (deadline_) at = std::max(deadline_, now);
        break;
      case kPeriodic:
        if (timer_running_) at = next_edge(timer_start_, initial_ * divider(), now);
        break;
      default:
        if (timer_running_ && (now - timer_start_) / divider() < initial_) at = timer_start_ + initial_ * divider();
        break;
    }
  }
  sched_.arm(timer_, at);
}

void Lapic::sync() {
  if (sched_.deadline(timer_) <= sched_.now()) on_timer();
}

void Lapic::on_timer() {
  sched_.cancel(timer_);
  u64 now = sched_.now();
  if (timer_mode() == kDeadline) deadline_ = 0;
  if (timer_mode() == kOneShot) timer_running_ = false;
  local_interrupt(kTimer);
  if (timer_mode() == kPeriodic) arm_timer(now);
}

u64 Lapic::tsc_deadline() {
  sync();
  return timer_mode() == kDeadline ? deadline_ : 0;
}

void Lapic::set_tsc_deadline(u64 v) {
  sync();
  if (timer_mode() != kDeadline) return;
  deadline_ = v;
  arm_timer(sched_.now());
}

bool Lapic::set_apic_base(u64 v) {
  if (v & ~(kAddressBits | kBaseBsp | kBaseX2 | kBaseEnable)) return false;
  // SDM Vol. 3A, "x2APIC States": x2APIC mode is entered from xAPIC mode alone and left by disabling the APIC alone.
  const bool to_x2 = v & kBaseX2;
  if (to_x2 && !(v & kBaseEnable)) return false;
  if (to_x2 && !enabled()) return false;
  if (x2apic() && !to_x2 && (v & kBaseEnable)) return false;
  if (v == base_) return true;
  const bool was = enabled(), was_x2 = x2apic();
  base_ = v;
  if (was != enabled()) {  // what was pending is lost; enabling starts from power-up values
    clear_registers();
    id_ = 0;
  }
  if (x2apic() && !was_x2) id_ = icr_hi_ = 0;  // the ID that CPUID has
  notify(w_.base_changed, base_ & kAddressBits, mapped());
  update();
  return true;
}

// ---- registers ---------------------------------------------------------------------------------

u32 Lapic::read_reg(unsigned reg) {
  switch (reg) {
    case 0x02: return id_;
    case 0x03: return 0x14 | (kLvtCount - 1) << 16;
    case 0x08: return tpr_;
    case 0x09: return 0;  // APR: no arbitration on this bus
    case 0x0a: return ppr();
    case 0x0b: return 0;  // EOI is write-only
    case 0x0c: return 0;  // RRD
    case 0x0d: return ldr();
    case 0x0e: return dfr_;
    case 0x0f: return svr_;
    case 0x28: return esr_;
    case 0x30: return icr_lo_;
    case 0x31: return icr_hi_;
    case 0x38: return initial_;
    case 0x39: return current_count(sched_.now());
    case 0x3e: return dcr_;
    default: break;
  }
  if (reg >= 0x10 && reg < 0x18) return isr_[reg - 0x10];
  if (reg >= 0x18 && reg < 0x20) return tmr_[reg - 0x18];
  if (reg >= 0x20 && reg < 0x28) return irr_[reg - 0x20];
  if (reg >= 0x32 && reg < 0x32 + kLvtCount) return lvt_[reg - 0x32];
  error(kEsrRegister);
  return 0;
}

void Lapic::write_reg(unsigned reg, u32 v) {
  switch (reg) {
    case 0x02: id_ = v & 0xff000000; return;
    case 0x08: tpr_ = static_cast<u8>(v); return update();
    case 0x0b: return eoi();
    case 0x0d: ldr_ = v & 0xff000000; return;
    case 0x0e: dfr_ = v | 0x0fffffff; return;
    case 0x0f:
      svr_ = v & 0x3ff;
      if (!software_enabled()) {  // all local sources are masked until software unmasks them again
        for (u32& l : lvt_) l |= kMasked;
        arm_timer(sched_.now());
      }
      return update();
    case 0x28:  // a write makes the errors since the last one readable
      esr_ = esr_pending_;
      esr_pending_ = 0;
      return;
    case 0x30: icr_lo_ = v & 0xccfff; return send_ipi();
    case 0x31: icr_hi_ = v & 0xff000000; return;
    case 0x38:
      if (timer_mode() != kDeadline) start_timer(v, sched_.now());
      return;
    case 0x3e: {
      u64 now = sched_.now();
      u32 left = current_count(now);
      dcr_ = v & 0x0b;
      // The count goes on from where it is at the new rate.
      timer_start_ = now - (u64{initial_} - left) * divider();
      return arm_timer(now);
    }
    default: break;
  }
  if (reg >= 0x32 && reg < 0x32 + kLvtCount) return write_lvt(static_cast<Lvt>(reg - 0x32), v);
  bool read_only =
      reg == 0x03 || reg == 0x09 || reg == 0x0a || reg == 0x0c || reg == 0x39 || (reg >= 0x10 && reg < 0x28);
  if (!read_only) error(kEsrRegister);
}

// Registers are 32 bits at 16-byte boundaries. Narrower reads see their bytes and the gaps read as zero; the
// manual leaves both undefined. Narrower and misplaced writes do nothing.
u64 Lapic::mmio_read(u64 offset, unsigned size) {
  sync();
  unsigned in = offset & 15;
  if (in >= 4) return 0;
  u64 v = read_reg(offset >> 4 & 0xff) >> 8 * in;
  return size >= 4 ? v : v & ((u64{1} << 8 * size) - 1);
}

void Lapic::mmio_write(u64 offset, u64 value, unsigned size) {
  sync();
  if (size < 4 || (offset & 15)) return;
  write_reg(offset >> 4 & 0xff, static_cast<u32>(value));
}

// In x2APIC mode the ID decides: 16 to a cluster.
u32 Lapic::ldr() const { return x2apic() ? (id_ >> 4) << 16 | 1u << (id_ & 15) : ldr_; }

// SDM Vol. 3A, table "Local APIC Register Address Map Supported by x2APIC". MSR 800H + n is the register at n * 16.
bool Lapic::read_msr(u32 index, u64& v) {
  const unsigned reg = index & 0xff;
  if (!x2apic()) return false;
  const bool readable = reg == 0x02 || reg == 0x03 || reg == 0x08 || reg == 0x0a || reg == 0x0d || reg == 0x0f ||
                        (reg >= 0x10 && reg <= 0x28) || reg == 0x30 || (reg >= 0x32 && reg < 0x32 + kLvtCount) ||
                        reg == 0x38 || reg == 0x39 || reg == 0x3e;
  if (!readable) return false;
  sync();
  v = read_reg(reg);
  if (reg == 0x30) v |= u64{icr_hi_} << 32;
  return true;
}

bool Lapic::write_msr(u32 index, u64 v) {
  const unsigned reg = index & 0xff;
  if (!x2apic()) return false;
  constexpr u64 kIcrWritable = 0xffffffff'000cdfff;  // there is no delivery status: its bit is ignored
  u64 writable = 0;
  switch (reg) {
    case 0x08: writable = 0xff; break;
    case 0x0b:
    case 0x28: break;  // only 0
    case 0x0f: writable = 0x3ff; break;
    case 0x30: writable = kIcrWritable; break;
    case 0x38: writable = 0xffffffff; break;
    case 0x3e: writable = 0x0b; break;
    case 0x3f: writable = 0xff; break;
    default:
      if (reg < 0x32 || reg >= 0x32 + kLvtCount) return false;
      writable = kLvtWritable[reg - 0x32] | kStatus | kRemoteIrr;
      break;
  }
  if (v & ~writable) return false;
  sync();
  if (reg == 0x3f) {  // SELF IPI
    if (v < 16)
      error(kEsrSendVector);
    else
      accept(static_cast<u8>(v), false);
    return true;
  }
  if (reg == 0x30) icr_hi_ = static_cast<u32>(v >> 32);
  write_reg(reg, static_cast<u32>(v));
  return true;
}

void Lapic::state(State& s) {
  s.io(base_);
  s.io(tpr_);
  for (u32* p : {&id_, &ldr_, &dfr_, &svr_, &esr_, &esr_pending_, &icr_lo_, &icr_hi_, &initial_, &dcr_}) s.io(*p);
  s.io(lvt_);
  s.io(isr_);
  s.io(irr_);
  s.io(tmr_);
  s.io(timer_start_);
  s.io(deadline_);
  for (bool* p : {&timer_running_, &lint_[0], &lint_[1], &last_pending_, &last_extint_}) io_bool(s, *p);
  if ((base_ & ~(kAddressBits | kBaseBsp | kBaseX2 | kBaseEnable)) || (x2apic() && (!enabled() || id_))) s.bad = true;
  if (timer_running_ && initial_ == 0) {
    s.bad = true;
    timer_running_ = false;
  }
}

}  // namespace oriel
