// VGA registers, the legacy memory window with its write and read modes, and the Bochs VBE registers.
// Sources: see vga.h.
#include "devices/vga.h"

#include <algorithm>

#include "devices/devutil.h"

namespace oriel {

namespace {

constexpr u16 kVbeIdFirst = 0xb0c0, kVbeIdLast = 0xb0c5;
enum : u16 { kVbeEnabled = 1, kVbeGetCaps = 2, kVbe8BitDac = 0x20, kVbeNoClear = 0x80 };
constexpr u64 kWindowBase = 0xa0000, kWindowSize = 0x20000;
constexpr u64 kMmioEnd = 0xfec00000;  // above it are the I/O APIC, the local APIC and the BIOS
constexpr u64 kRegistersSize = 4096;

// A frame: 70 Hz, and within it 449 lines of which 400 are shown.
constexpr u64 kFrameNs = 14'285'714, kLines = 449, kShownLines = 400, kLineNs = kFrameNs / kLines;

u32 rom_size_for(usize n) {
  u32 size = 4096;
  while (size < n) size *= 2;
  return size;
}

}  // namespace

Vga::Vga(PhysMem& mem, Scheduler& sched, u8* vram, u32 vram_bytes, std::vector<u8> rom)
    : PciDevice(0x1234, 0x1111, 0x030000, 2),
      mem_(mem),
      sched_(sched),
      vram_(vram),
      vram_bytes_(vram_bytes),
      vram_flags_(new u8[vram_bytes >> PhysMem::kPageShift]()),
      rom_(std::move(rom)),
      window_(*this),
      registers_(*this),
      lfb_region_(mem.add_memory(vram, vram_bytes, true, vram_flags_.get())),
      registers_region_(mem.add_mmio(&registers_, kRegistersSize)) {
  put16(0x2c, 0x1af4);
  put16(0x2e, 0x1100);
  declare_bar(0, BarKind::kMem32, vram_bytes, true);
  declare_bar(2, BarKind::kMem32, kRegistersSize);
  if (!rom_.empty()) {
    rom_.resize(rom_size_for(rom_.size()));
    rom_region_ = mem.add_memory(rom_.data(), rom_.size(), false, nullptr);
    declare_bar(kRom, BarKind::kMem32, static_cast<u32>(rom_.size()));
  }
  for (u64& m : mapped_) m = kUnmapped;
  mem.map(kWindowBase, kWindowSize, mem.add_mmio(&window_, kWindowSize), 0);
  Vga::reset();
}

void Vga::reset() {
  PciDevice::reset();
  misc_ = feature_ = 0;
  seq_index_ = crtc_index_ = gfx_index_ = attr_index_ = 0;
  std::fill(std::begin(seq_), std::end(seq_), u8{0});
  std::fill(std::begin(gfx_), std::end(gfx_), u8{0});
  std::fill(std::begin(crtc_), std::end(crtc_), u8{0});
  std::fill(std::begin(attr_), std::end(attr_), u8{0});
  attr_data_ = false;
  dac_mask_ = 0xff;
  dac_read_ = dac_write_ = dac_component_ = dac_state_ = 0;
  std::fill(std::begin(latch_), std::end(latch_), u8{0});
  vbe_index_ = 0;
  std::fill(std::begin(vbe_), std::end(vbe_), u16{0});
  vbe_[kVbeId] = kVbeIdLast;
  touch_all();
}

void Vga::state(State& s) {
  PciDevice::state(s);
  s.io(misc_);
  s.io(feature_);
  s.io(seq_index_);
  s.io(seq_);
  s.io(crtc_index_);
  s.io(crtc_);
  s.io(gfx_index_);
  s.io(gfx_);
  s.io(attr_index_);
  s.io(attr_);
  io_bool(s, attr_data_);
  s.io(dac_mask_);
  s.io(dac_read_);
  s.io(dac_write_);
  s.io(dac_component_);
  s.io(dac_state_);
  s.io(dac_latch_);
  s.io(dac_);
  s.io(latch_);
  s.io(vbe_index_);
  s.io(vbe_);
  for (u32 p = 0; p < vram_bytes_ >> PhysMem::kPageShift; p++) {
    u8 touched = vram_flags_[p] & kPageTouched;
    s.io(touched);
    if (s.loading())
      vram_flags_[p] = static_cast<u8>((vram_flags_[p] & ~kPageTouched) | (touched & kPageTouched) | kPageDirty);
    if (touched & kPageTouched) s.bytes(vram_ + p * u64{PhysMem::kPageSize}, PhysMem::kPageSize);
  }
  if (s.loading()) {
    dac_component_ %= 3;
    generation_++;
    touch_all();
  }
}

// A BAR is honoured between the end of RAM and the chipset's own registers.
void Vga::bar_changed(unsigned bar, u64 address) {
  const u64 size = bar == 0 ? vram_bytes_ : bar == 2 ? kRegistersSize : rom_.size();
  const PhysMem::RegionId region = bar == 0 ? lfb_region_ : bar == 2 ? registers_region_ : rom_region_;
  if (mapped_[bar] != kUnmapped) mem_.unmap(mapped_[bar], size);
  mapped_[bar] = kUnmapped;
  if (address == kUnmapped || address < mem_.ram_size() || address + size > kMmioEnd) return;
  mem_.map(address, size, region, 0);
  mapped_[bar] = address;
}

// ---- ports -------------------------------------------------------------------------------------

u32 Vga::port_read(u16 port, unsigned size) {
  if (port >= 0x1ce && port <= 0x1d0) {
    if (size == 1) return 0xff;
    return port == 0x1ce ? vbe_index_ : vbe_read();
  }
  u32 v = read_register(port);
  if (size == 2) v |= u32{read_register(static_cast<u16>(port + 1))} << 8;
  return v;
}

void Vga::port_write(u16 port, u32 value, unsigned size) {
  if (port >= 0x1ce && port <= 0x1d0) {
    if (size == 1) return;
    if (port == 0x1ce)
      vbe_index_ = static_cast<u16>(value);
    else
      vbe_write(static_cast<u16>(value));
    return;
  }
  write_register(port, static_cast<u8>(value));
  if (size == 2) write_register(static_cast<u16>(port + 1), static_cast<u8>(value >> 8));
}

// Input status 1: bit 0 while nothing is shown, bit 3 in the vertical retrace.
u8 Vga::status1() {
  const u64 in_frame = sched_.now() % kFrameNs, line = in_frame / kLineNs;
  u8 v = 0;
  if (line >= kShownLines) v |= 1;
  if (line >= kShownLines + 12 && line < kShownLines + 14 + 10) v |= 8;
  if (in_frame % kLineNs > kLineNs * 4 / 5) v |= 1;
  return v;
}

u8 Vga::read_register(u16 port) {
  const bool colour = misc_ & 1;
  if ((port >= 0x3b0 && port <= 0x3bf && colour) || (port >= 0x3d0 && port <= 0x3df && !colour)) return 0xff;
  switch (port) {
    case 0x3c0: return attr_data_ ? 0 : attr_index_;
    case 0x3c1: return (attr_index_ & 0x1f) < 21 ? attr_[attr_index_ & 0x1f] : 0;
    case 0x3c2: return 0x10;  // switch sense: a colour monitor
    case 0x3c4: return seq_index_;
    case 0x3c5: return seq_index_ < 8 ? seq_[seq_index_] : 0;
    case 0x3c6: return dac_mask_;
    case 0x3c7: return dac_state_;
    case 0x3c8: return dac_write_;
    case 0x3c9: {
      const u8 v = dac_[dac_read_ * 3 + dac_component_];
      if (++dac_component_ == 3) {
        dac_component_ = 0;
        dac_read_++;
      }
      return v;
    }
    case 0x3ca: return feature_;
    case 0x3cc: return misc_;
    case 0x3ce: return gfx_index_;
    case 0x3cf: return gfx_index_ < 16 ? gfx_[gfx_index_] : 0;
    case 0x3b4:
    case 0x3d4: return crtc_index_;
    case 0x3b5:
    case 0x3d5: return crtc_index_ < 32 ? crtc_[crtc_index_] : 0;
    case 0x3ba:
    case 0x3da: attr_data_ = false; return status1();
    default: return 0xff;
  }
}

void Vga::write_register(u16 port, u8 v) {
  const bool colour = misc_ & 1;
  if ((port >= 0x3b0 && port <= 0x3bf && colour) || (port >= 0x3d0 && port <= 0x3df && !colour)) return;
  // Which bits of a register exist.
  static constexpr u8 kSeqMask[8] = {0x03, 0x3d, 0x0f, 0x3f, 0x0e, 0, 0, 0};
  static constexpr u8 kGfxMask[16] = {0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff};
  switch (port) {
    case 0x3c0:
      attr_data_ = !attr_data_;
      if (attr_data_) {
        if ((attr_index_ ^ v) & 0x20) touch_all();
        attr_index_ = v & 0x3f;
        return;
      }
      if (const u8 i = attr_index_ & 0x1f; i < 21) {
        // The palette proper is closed to the CPU while the screen uses it.
        if (i < 16 && (attr_index_ & 0x20)) return;
        const u8 old = attr_[i];
        attr_[i] = i < 16 ? v & 0x3f : i == 0x10 ? v & 0xef : i == 0x12 ? v & 0x3f : i == 0x11 ? v : v & 0x0f;
        if (attr_[i] != old) touch_all();
      }
      return;
    case 0x3c2: misc_ = v; return;
    case 0x3c4: seq_index_ = v & 7; return;
    case 0x3c5: {
      const u8 old = seq_[seq_index_];
      seq_[seq_index_] = v & kSeqMask[seq_index_];
      if (seq_index_ != 2 && seq_[seq_index_] != old) touch_all();
      return;
    }
    case 0x3c6:
      if (v != dac_mask_) touch_all();
      dac_mask_ = v;
      return;
    case 0x3c7:
      dac_read_ = v;
      dac_component_ = 0;
      dac_state_ = 3;
      return;
    case 0x3c8:
      dac_write_ = v;
      dac_component_ = 0;
      dac_state_ = 0;
      return;
    case 0x3c9:
      dac_latch_[dac_component_] = vbe_[kVbeEnable] & kVbe8BitDac ? v : v & 0x3f;
      if (++dac_component_ == 3) {
        dac_component_ = 0;
        u8* entry = dac_ + dac_write_ * 3;
        if (!std::equal(entry, entry + 3, dac_latch_)) touch_all();
        std::copy(dac_latch_, dac_latch_ + 3, entry);
        dac_write_++;
      }
      return;
    case 0x3ce: gfx_index_ = v & 15; return;
    case 0x3cf: {
      const u8 old = gfx_[gfx_index_];
      gfx_[gfx_index_] = v & kGfxMask[gfx_index_];
      if ((gfx_index_ == 5 || gfx_index_ == 6) && gfx_[gfx_index_] != old) touch_all();
      return;
    }
    case 0x3b4:
    case 0x3d4: crtc_index_ = v & 0x3f; return;
    case 0x3b5:
    case 0x3d5: write_crtc(v); return;
    case 0x3ba:
    case 0x3da: feature_ = v & 0x10; return;
    default: return;
  }
}

void Vga::write_crtc(u8 v) {
  const u8 i = crtc_index_;
  if (i >= 0x19) return;
  if (i <= 7 && (crtc_[0x11] & 0x80)) {  // protected: only the line compare bit of register 7
    if (i != 7) return;
    v = static_cast<u8>((crtc_[7] & ~0x10) | (v & 0x10));
  }
  if (crtc_[i] == v) return;
  crtc_[i] = v;
  // The cursor's registers change the cells it leaves and enters; everything else may change every pixel.
  if (i != 0x0a && i != 0x0b && i != 0x0e && i != 0x0f) touch_all();
}

// ---- Bochs VBE ---------------------------------------------------------------------------------

u16 Vga::vbe_read() const {
  if (vbe_index_ == kVbeVideoMemory64k) return static_cast<u16>(vram_bytes_ >> 16);
  if (vbe_index_ >= kVbeCount) return 0;
  if (vbe_[kVbeEnable] & kVbeGetCaps) {
    if (vbe_index_ == kVbeXRes) return kMaxWidth;
    if (vbe_index_ == kVbeYRes) return kMaxHeight;
    if (vbe_index_ == kVbeBpp) return 32;
  }
  return vbe_[vbe_index_];
}

void Vga::vbe_write(u16 v) {
  if (vbe_index_ >= kVbeVideoMemory64k) return;
  u16& r = vbe_[vbe_index_];
  const bool on = vbe_[kVbeEnable] & kVbeEnabled;
  const auto bytes_per_line = [this](u32 width) { return (width * std::max<u32>(vbe_[kVbeBpp], 1) + 7) / 8; };
  switch (vbe_index_) {
    case kVbeId:
      if (v >= kVbeIdFirst && v <= kVbeIdLast) r = v;
      return;
    case kVbeXRes:
      if (!on) r = static_cast<u16>(std::clamp<u32>(v & ~7u, 8, kMaxWidth));
      return;
    case kVbeYRes:
      if (!on) r = static_cast<u16>(std::clamp<u32>(v, 1, kMaxHeight));
      return;
    case kVbeBpp:
      if (v == 0) v = 8;
      if (!on && (v == 4 || v == 8 || v == 15 || v == 16 || v == 24 || v == 32)) r = v;
      return;
    case kVbeBank: {
      const u32 banks = vram_bytes_ >> 16;
      r = static_cast<u16>(v & (banks - 1));
      return;
    }
    case kVbeEnable: {
      if ((v & kVbeEnabled) && !on) {
        if (!vbe_[kVbeXRes]) vbe_[kVbeXRes] = 640;
        if (!vbe_[kVbeYRes]) vbe_[kVbeYRes] = 480;
        if (!vbe_[kVbeBpp]) vbe_[kVbeBpp] = 8;
        vbe_[kVbeBank] = vbe_[kVbeXOffset] = vbe_[kVbeYOffset] = 0;
        vbe_[kVbeVirtWidth] = vbe_[kVbeXRes];
        vbe_[kVbeVirtHeight] =
            static_cast<u16>(std::min<u32>(vram_bytes_ / std::max<u32>(bytes_per_line(vbe_[kVbeXRes]), 1), 0xffff));
        if (!(v & kVbeNoClear)) {
          for (u32 p = 0; p < vram_bytes_ >> PhysMem::kPageShift; p++)
            if (vram_flags_[p] & kPageTouched) std::memset(vram_ + p * u64{PhysMem::kPageSize}, 0, PhysMem::kPageSize);
        }
      }
      if (r != v) touch_all();
      r = v;
      return;
    }
    case kVbeVirtWidth:
      r = std::max<u16>(v & 0xfff8, std::max<u16>(vbe_[kVbeXRes], 8));
      vbe_[kVbeVirtHeight] = static_cast<u16>(std::min<u32>(vram_bytes_ / std::max<u32>(bytes_per_line(r), 1), 0xffff));
      touch_all();
      return;
    case kVbeXOffset:
    case kVbeYOffset:
      if (r != v) touch_all();
      r = v;
      return;
    default: return;
  }
}

u64 Vga::Registers::mmio_read(u64 offset, unsigned size) {
  if (offset >= 0x400 && offset + size <= 0x420 && size <= 2)
    return v.port_read(static_cast<u16>(0x3c0 + offset - 0x400), size);
  if (offset >= 0x500 && offset < 0x500 + 2 * kVbeCount && size == 2) {
    const u16 saved = v.vbe_index_;
    v.vbe_index_ = static_cast<u16>((offset - 0x500) / 2);
    const u16 r = v.vbe_read();
    v.vbe_index_ = saved;
    return r;
  }
  return ~u64{0};
}

void Vga::Registers::mmio_write(u64 offset, u64 value, unsigned size) {
  if (offset >= 0x400 && offset + size <= 0x420 && size <= 2) {
    v.port_write(static_cast<u16>(0x3c0 + offset - 0x400), static_cast<u32>(value), size);
  } else if (offset >= 0x500 && offset < 0x500 + 2 * kVbeCount && size == 2) {
    const u16 saved = v.vbe_index_;
    v.vbe_index_ = static_cast<u16>((offset - 0x500) / 2);
    v.vbe_write(static_cast<u16>(value));
    v.vbe_index_ = saved;
  }
}

// ---- the legacy window -------------------------------------------------------------------------

// Graphics register 6, bits 3:2, choose the part of the window that answers.
bool Vga::window_address(u32& addr) const {
  if (!(misc_ & 2)) return false;
  struct Part {
    u32 first, size;
  };
  static constexpr Part parts[4] = {{0, 0x20000}, {0, 0x10000}, {0x10000, 0x8000}, {0x18000, 0x8000}};
  const Part& p = parts[gfx_[6] >> 2 & 3];
  if (addr - p.first >= p.size) return false;
  addr -= p.first;
  return true;
}

u8 Vga::window_read(u32 addr) {
  if (!window_address(addr)) return 0xff;
  const u32 mask = vram_bytes_ - 1;
  if (vbe_[kVbeEnable] & kVbeEnabled) {
    if (vbe_[kVbeBpp] > 4) return vram_[((u32{vbe_[kVbeBank]} << 16) + (addr & 0xffff)) & mask];
  }
  if (seq_[4] & 8) return vram_[addr & mask];  // chain 4
  u32 at, plane;
  if (gfx_[5] & 0x10) {  // odd/even
    plane = (gfx_[4] & 2) | (addr & 1);
    at = (addr & ~1u) << 1;
  } else {
    plane = gfx_[4] & 3;
    at = addr << 2;
  }
  at &= mask;
  std::copy(vram_ + at, vram_ + at + 4, latch_);
  if (!(gfx_[5] & 8)) return latch_[plane];
  // Read mode 1: a bit is set where every plane that counts has the compared colour.
  u8 differ = 0;
  for (unsigned p = 0; p < 4; p++)
    if (gfx_[7] >> p & 1) differ |= static_cast<u8>(latch_[p] ^ (gfx_[2] >> p & 1 ? 0xff : 0));
  return static_cast<u8>(~differ);
}

void Vga::window_write(u32 addr, u8 v) {
  if (!window_address(addr)) return;
  const u32 mask = vram_bytes_ - 1;
  if ((vbe_[kVbeEnable] & kVbeEnabled) && vbe_[kVbeBpp] > 4) {
    const u32 at = ((u32{vbe_[kVbeBank]} << 16) + (addr & 0xffff)) & mask;
    vram_[at] = v;
    touch(at);
    return;
  }
  const u8 planes = seq_[2];
  if (seq_[4] & 8) {  // chain 4
    const u32 at = addr & mask;
    if (!(planes >> (at & 3) & 1)) return;
    vram_[at] = v;
    touch(at);
    return;
  }
  if (gfx_[5] & 0x10) {  // odd/even
    const u32 plane = (gfx_[4] & 2) | (addr & 1);
    if (!(planes >> plane & 1)) return;
    const u32 at = (((addr & ~1u) << 1) & mask) | plane;
    vram_[at] = v;
    touch(at);
    if (plane == 2) touch_all();  // a font
    return;
  }
  const u32 at = (addr << 2) & mask;
  const unsigned rotate = gfx_[3] & 7;
  u8 bits = gfx_[8];
  u8 data[4];
  switch (gfx_[5] & 3) {
    case 0: {
      const u8 rotated = static_cast<u8>(v >> rotate | v << (8 - rotate));
      for (unsigned p = 0; p < 4; p++) data[p] = gfx_[1] >> p & 1 ? (gfx_[0] >> p & 1 ? 0xff : 0) : rotated;
      break;
    }
    case 1:
      for (unsigned p = 0; p < 4; p++)
        if (planes >> p & 1) vram_[at + p] = latch_[p];
      touch(at);
      return;
    case 2:
      for (unsigned p = 0; p < 4; p++) data[p] = v >> p & 1 ? 0xff : 0;
      break;
    default:
      bits &= static_cast<u8>(v >> rotate | v << (8 - rotate));
      for (unsigned p = 0; p < 4; p++) data[p] = gfx_[0] >> p & 1 ? 0xff : 0;
      break;
  }
  for (unsigned p = 0; p < 4; p++) {
    if (!(planes >> p & 1)) continue;
    u8 d = data[p];
    switch (gfx_[3] >> 3 & 3) {
      case 1: d &= latch_[p]; break;
      case 2: d |= latch_[p]; break;
      case 3: d ^= latch_[p]; break;
      default: break;
    }
    vram_[at + p] = static_cast<u8>((d & bits) | (latch_[p] & ~bits));
  }
  touch(at);
  // Plane 2 holds the fonts of a text screen.
  if ((planes & 4) && !(gfx_[6] & 1)) touch_all();
}

u64 Vga::Window::mmio_read(u64 offset, unsigned size) {
  u64 r = 0;
  for (unsigned k = 0; k < size; k++) r |= u64{v.window_read(static_cast<u32>(offset + k))} << 8 * k;
  return r;
}
void Vga::Window::mmio_write(u64 offset, u64 value, unsigned size) {
  for (unsigned k = 0; k < size; k++) v.window_write(static_cast<u32>(offset + k), static_cast<u8>(value >> 8 * k));
}

}  // namespace oriel
