// The 82441FX host bridge: configuration registers, PAM and SMRAM. Source: data sheet 290549, section 3.2.
#include "devices/i440fx.h"

#include <algorithm>
#include <utility>

#include "devices/devutil.h"

namespace oriel {

namespace {
constexpr u8 kRamSize = 0x57;  // in 8 MiB units, where QEMU leaves it for firmware
constexpr u8 kPam0 = 0x59, kSmram = 0x72;
constexpr u8 kSmramOpen = 0x40, kSmramClosed = 0x20, kSmramLock = 0x10, kSmramEnable = 0x08, kSmramBase = 0x02;
constexpr u32 kShadowBase = 0xc0000, kShadowEnd = 0x100000, kIsaBiosBase = 0xe0000;
constexpr u8 kReadEnable = 1, kWriteEnable = 2;

struct Segment {
  u32 base, size;
  u8 reg, shift;
};
constexpr Segment kPam[13] = {
    {0xf0000, 0x10000, 0x59, 4}, {0xc0000, 0x4000, 0x5a, 0}, {0xc4000, 0x4000, 0x5a, 4}, {0xc8000, 0x4000, 0x5b, 0},
    {0xcc000, 0x4000, 0x5b, 4},  {0xd0000, 0x4000, 0x5c, 0}, {0xd4000, 0x4000, 0x5c, 4}, {0xd8000, 0x4000, 0x5d, 0},
    {0xdc000, 0x4000, 0x5d, 4},  {0xe0000, 0x4000, 0x5e, 0}, {0xe4000, 0x4000, 0x5e, 4}, {0xe8000, 0x4000, 0x5f, 0},
    {0xec000, 0x4000, 0x5f, 4},
};
}  // namespace

I440fx::I440fx(Wiring w) : PciDevice(0x8086, 0x1237, 0x060000, 2), w_(std::move(w)) {
  split_region_ = w_.mem.add_mmio(this, kShadowEnd - kShadowBase);
  store<u16>(&wmask[0x04], 0x0100);  // memory and bus master are always on
  put16(0x04, 0x0006);
  put16(0x06, 0x0280);
  for (unsigned r = 0x50; r < 0x72; r++) wmask[r] = 0xff;
  for (unsigned r = kPam0; r < kPam0 + 7; r++) wmask[r] = 0x33;
  wmask[kPam0] = 0x30;
  wmask[kRamSize] = 0;
  wmask[kSmram] = kSmramOpen | kSmramClosed | kSmramLock | kSmramEnable;
  wmask[0x90] = wmask[0x91] = wmask[0x92] = wmask[0x93] = 0xff;
  reset();
}

void I440fx::reset() {
  PciDevice::reset();
  for (unsigned r = 0x50; r < 0x94; r++) config[r] = 0;
  config[0x51] = 0x01;
  config[kRamSize] = static_cast<u8>(std::min<u64>(w_.mem.ram_size() >> 23, 255));
  for (unsigned r = 0x60; r < 0x68; r++) config[r] = 0x01;
  config[kSmram] = kSmramBase;
  apply(true);
}

void I440fx::config_write(u8 reg, u32 value, unsigned size) {
  u8 before = config[kSmram];
  PciDevice::config_write(reg, value, size);
  if (before & kSmramLock) {  // locked until reset
    config[kSmram] = before;
  } else if (config[kSmram] & kSmramLock) {
    config[kSmram] &= static_cast<u8>(~kSmramOpen);
  }
  apply(false);
}

void I440fx::apply(bool all) {
  for (unsigned i = 0; i < kSegments; i++) {
    const Segment& seg = kPam[i];
    u8 mode = config[seg.reg] >> seg.shift & 3;
    if (!all && mode == mapped_[i]) continue;
    mapped_[i] = mode;
    if (mode == (kReadEnable | kWriteEnable)) {
      w_.mem.map(seg.base, seg.size, w_.mem.ram_region(), seg.base);
    } else if (mode == kReadEnable) {
      w_.mem.map(seg.base, seg.size, w_.mem.ram_readonly_region(), seg.base);
    } else if (mode == kWriteEnable) {
      w_.mem.map(seg.base, seg.size, split_region_, seg.base - kShadowBase);
    } else {
      // From PCI: the BIOS ROM answers in the last 128 KiB, nobody below.
      w_.mem.unmap(seg.base, seg.size);
      u64 first = std::max(kShadowEnd - std::min(w_.bios_size, kShadowEnd - kIsaBiosBase), seg.base);
      u64 end = seg.base + seg.size;
      if (first < end) w_.mem.map(first, end - first, w_.bios_region, w_.bios_size - (kShadowEnd - first));
    }
  }
  bool open = (config[kSmram] & kSmramEnable) && (config[kSmram] & kSmramOpen) && !(config[kSmram] & kSmramClosed);
  if (open != smram_open_) {
    smram_open_ = open;
    notify(w_.smram, open);
  }
}

u8 I440fx::rom_byte(u64 pa) const {
  u64 from_end = kShadowEnd - pa;
  return pa >= kIsaBiosBase && from_end <= w_.bios_size ? w_.bios[w_.bios_size - from_end] : 0xff;
}

u64 I440fx::mmio_read(u64 offset, unsigned size) {
  u64 v = 0;
  for (unsigned i = 0; i < size; i++) {
    u64 pa = kShadowBase + offset + i;
    v |= static_cast<u64>(pa < kShadowEnd ? rom_byte(pa) : 0xff) << 8 * i;
  }
  return v;
}

void I440fx::mmio_write(u64 offset, u64 value, unsigned size) {
  u64 pa = kShadowBase + offset;
  if (pa + size > kShadowEnd || pa + size > w_.mem.ram_size()) return;
  std::memcpy(w_.mem.ram() + pa, &value, size);
  u64 n = pa >> PhysMem::kPageShift;
  PhysMem::Page page{w_.mem.ram() + (n << PhysMem::kPageShift), w_.mem.ram_flags() + n, true, nullptr, 0};
  w_.mem.note_write(page, pa, size);
}

void I440fx::state(State& s) {
  PciDevice::state(s);
  if (s.loading()) apply(true);
}

}  // namespace oriel
