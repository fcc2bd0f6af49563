// I/O APIC. Source: Intel 82093AA data sheet (290566).
#include "devices/ioapic.h"

#include "devices/devutil.h"

namespace oriel {

namespace {
constexpr u64 kMode = 0x700, kLogical = 1 << 11, kRemoteIrr = 1 << 14, kLevel = 1 << 15, kMasked = 1 << 16;
constexpr u64 kWritable = 0xff00'0000'0001'afff;  // all but delivery status and remote IRR
enum : u64 { kFixed = 0x000, kLowest = 0x100, kExtInt = 0x700 };
}  // namespace

IoApic::IoApic(Deliver deliver, std::function<void()> extint_changed)
    : deliver_(std::move(deliver)), extint_changed_(std::move(extint_changed)) {
  for (u64& e : entry_) e = kMasked;
}

void IoApic::reset() {
  for (u64& e : entry_) e = kMasked;
  select_ = id_ = 0;
  notify(extint_changed_);
}

bool IoApic::accepts_extint() const { return (entry_[0] & (kMasked | kMode)) == kExtInt; }

// Sends the pin's message if it is due: on an edge, or while a level is high and not yet being served.
void IoApic::service(unsigned pin, bool edge) {
  u64& e = entry_[pin];
  if ((e & kMasked) || (e & kMode) == kExtInt) return;
  // SMI, NMI and INIT are edge-triggered whatever the entry says.
  bool level = (e & kLevel) && ((e & kMode) == kFixed || (e & kMode) == kLowest);
  if (level ? !(lines_ >> pin & 1) || (e & kRemoteIrr) : !edge) return;
  // Set first: the delivery may bring the EOI back before it returns.
  if (level) e |= kRemoteIrr;
  bool taken = deliver_ &&
               deliver_(static_cast<u8>(e >> 56), e & kLogical, static_cast<u8>(e >> 8 & 7), static_cast<u8>(e), level);
  if (level && !taken) e &= ~kRemoteIrr;
}

void IoApic::set_irq(unsigned pin, bool level) {
  if (pin >= kPins) return;
  u32 bit = u32{1} << pin;
  bool was = lines_ & bit;
  lines_ = level ? lines_ | bit : lines_ & ~bit;
  // An edge on a masked pin is lost, as the data sheet says.
  service(pin, level && !was);
}

void IoApic::eoi(u8 vector) {
  for (unsigned pin = 0; pin < kPins; pin++) {
    u64& e = entry_[pin];
    if (!(e & kRemoteIrr) || static_cast<u8>(e) != vector) continue;
    e &= ~kRemoteIrr;
    service(pin, false);
  }
}

u32 IoApic::read_reg(u8 reg) const {
  if (reg == 0 || reg == 2) return static_cast<u32>(id_) << 24;  // ID; the arbitration ID follows it
  if (reg == 1) return 0x11 | (kPins - 1) << 16;
  if (reg < 0x10 || reg >= 0x10 + 2 * kPins) return 0;
  return static_cast<u32>(entry_[(reg - 0x10) >> 1] >> (reg & 1 ? 32 : 0));
}

void IoApic::write_reg(u8 reg, u32 v) {
  if (reg == 0) id_ = v >> 24 & 15;
  if (reg < 0x10 || reg >= 0x10 + 2 * kPins) return;
  unsigned pin = (reg - 0x10) >> 1;
  u64& e = entry_[pin];
  u64 mask = reg & 1 ? kWritable & 0xffff'ffff'0000'0000 : kWritable & 0xffff'ffff;
  u64 value = reg & 1 ? u64{v} << 32 : v;
  e = (e & ~mask) | (value & mask);
  if (!(e & kLevel)) e &= ~kRemoteIrr;  // what drivers use to end a level interrupt without an EOI message
  service(pin, false);
  if (pin == 0) notify(extint_changed_);
}

u64 IoApic::mmio_read(u64 offset, unsigned size) {
  u64 v = 0;
  if ((offset & ~3u) == 0)
    v = select_;
  else if ((offset & ~3u) == 0x10)
    v = read_reg(select_);
  v >>= 8 * (offset & 3);
  return size >= 4 ? v : v & ((u64{1} << 8 * size) - 1);
}

void IoApic::mmio_write(u64 offset, u64 value, unsigned) {
  if (offset == 0) select_ = static_cast<u8>(value);
  if (offset == 0x10) write_reg(select_, static_cast<u32>(value));
}

void IoApic::state(State& s) {
  s.io(entry_);
  s.io(lines_);
  s.io(select_);
  s.io(id_);
}

}  // namespace oriel
