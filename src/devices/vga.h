// A VGA with the Bochs VBE extensions and a linear framebuffer, as a PCI device (1234:1111).
//
// Ports: 3B0-3DF and 1CE-1D0 (max_size 2). Memory: the legacy window A0000-BFFFF, which the device maps itself;
// BAR 0, the framebuffer; BAR 2, the same registers in memory (400: ports 3C0-3DF, 500: the VBE registers);
// the ROM BAR.
//
// Video memory holds the four planes interleaved: byte 4 * address + plane. So a chained access, a 256-colour
// screen and the linear framebuffer are all plain bytes.
// Sources: IBM VGA Technical Reference (1992); Bochs VBE display interface, versions B0C0 to B0C5; QEMU
// documentation, "QEMU Standard VGA" (the layout of BAR 2).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "devices/pci.h"
#include "devices/screen.h"

namespace oriel {

class Vga final : public PciDevice, public PortHandler, public Screen {
 public:
  static constexpr u32 kMaxWidth = 2560, kMaxHeight = 1600;

  // `vram`: `vram_bytes` zeroed bytes (a power of two, 1 MiB to 64 MiB), the caller's. `rom`: the VGA BIOS, may be
  // empty.
  Vga(PhysMem& mem, Scheduler& sched, u8* vram, u32 vram_bytes, std::vector<u8> rom);

  u32 port_read(u16 port, unsigned size) override;
  void port_write(u16 port, u32 value, unsigned size) override;

  ScreenInfo info() override;
  std::vector<Rect> render(u8* rgba, bool everything, bool blink_on) override;
  std::string text() override;

  const char* name() const override { return "vga"; }
  void reset() override;
  void state(State& s) override;  // with video memory: the pages ever written
  void bar_changed(unsigned bar, u64 address) override;

  // Frame statistics, as the names say.
  struct Stats {
    u64 frames_rendered = 0, frames_unchanged = 0, pixels_rendered = 0;
  } stats;

 private:
  // The legacy window and BAR 2, as memory-mapped handlers.
  struct Window final : MmioHandler {
    explicit Window(Vga& vga) : v(vga) {}
    u64 mmio_read(u64 offset, unsigned size) override;
    void mmio_write(u64 offset, u64 value, unsigned size) override;
    Vga& v;
  };
  struct Registers final : MmioHandler {
    explicit Registers(Vga& vga) : v(vga) {}
    u64 mmio_read(u64 offset, unsigned size) override;
    void mmio_write(u64 offset, u64 value, unsigned size) override;
    Vga& v;
  };
  enum VbeRegister : u8 {
    kVbeId,
    kVbeXRes,
    kVbeYRes,
    kVbeBpp,
    kVbeEnable,
    kVbeBank,
    kVbeVirtWidth,
    kVbeVirtHeight,
    kVbeXOffset,
    kVbeYOffset,
    kVbeVideoMemory64k,
    kVbeCount
  };
  enum class Kind : u8 { kBlank, kText, kPlanar, kCga, kPacked256, kVbe };
  // What the registers amount to.
  struct Mode {
    Kind kind = Kind::kBlank;
    u32 width = 0, height = 0, columns = 0, rows = 0, cell_width = 8, cell_height = 16;
    u32 bpp = 0;
    bool operator==(const Mode&) const = default;
  };

  u8 read_register(u16 port);
  void write_register(u16 port, u8 v);
  void write_crtc(u8 v);
  u16 vbe_read() const;
  void vbe_write(u16 v);
  u8 status1();
  u8 window_read(u32 addr);
  void window_write(u32 addr, u8 v);
  bool window_address(u32& addr) const;  // from A0000-relative to window-relative; false: not decoded
  void touch(u32 at) { vram_flags_[at >> PhysMem::kPageShift] |= kPageDirty | kPageTouched; }
  void touch_all() { all_changed_ = true; }

  // vga_render.cpp
  Mode mode() const;
  u32 vertical_display_end() const;
  u32 start_address() const { return u32{crtc_[0x0c]} << 8 | crtc_[0x0d]; }
  u32 dac_rgba(u8 index) const;
  u32 palette_rgba(u8 index) const;
  std::vector<Rect> render_text(u8* rgba, bool everything, bool blink_on, const Mode& m);
  std::vector<Rect> render_graphics(u8* rgba, bool everything, const Mode& m);
  void draw_cell(u8* rgba, const Mode& m, u32 column, u32 row, u32 cell);
  void line_bytes(const Mode& m, u32 y, u32& first, u32& count, bool& scattered) const;
  void draw_line(u32* out, const Mode& m, u32 y) const;
  u32 crtc_index(u32 ma, u32 scan) const;

  PhysMem& mem_;
  Scheduler& sched_;
  u8* vram_;
  u32 vram_bytes_;
  std::unique_ptr<u8[]> vram_flags_;
  std::vector<u8> rom_;
  Window window_;
  Registers registers_;
  PhysMem::RegionId lfb_region_, registers_region_, rom_region_ = 0;
  u64 mapped_[kRom + 1];

  u8 misc_ = 0, feature_ = 0;
  u8 seq_index_ = 0, seq_[8] = {};
  u8 crtc_index_ = 0, crtc_[32] = {};
  u8 gfx_index_ = 0, gfx_[16] = {};
  u8 attr_index_ = 0, attr_[32] = {};
  bool attr_data_ = false;  // the flip-flop of port 3C0: the next write is data
  u8 dac_mask_ = 0xff, dac_read_ = 0, dac_write_ = 0, dac_component_ = 0, dac_state_ = 0, dac_latch_[3] = {};
  u8 dac_[768] = {};
  u8 latch_[4] = {};
  u16 vbe_index_ = 0, vbe_[kVbeCount] = {};

  // Of the picture last rendered.
  Mode shown_;
  u32 generation_ = 1;
  bool all_changed_ = true;
  std::vector<u32> cells_;
};

}  // namespace oriel
