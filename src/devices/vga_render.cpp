// From VGA registers and video memory to a picture, or to text. Sources: see vga.h.
#include <algorithm>

#include "devices/vga.h"

namespace oriel {

namespace {

constexpr u16 kVbeOn = 1, kVbe8BitDac = 0x20;
constexpr u32 kBlack = 0xff000000;

u32 rgba(u32 r, u32 g, u32 b) { return r | g << 8 | b << 16 | 0xff000000; }

// Code page 437, 0x00-0x1f and 0x7f-0xff, as Unicode.
constexpr u16 kLow[32] = {0x0020, 0x263a, 0x263b, 0x2665, 0x2666, 0x2663, 0x2660, 0x2022, 0x25d8, 0x25cb, 0x25d9,
                          0x2642, 0x2640, 0x266a, 0x266b, 0x263c, 0x25ba, 0x25c4, 0x2195, 0x203c, 0x00b6, 0x00a7,
                          0x25ac, 0x21a8, 0x2191, 0x2193, 0x2192, 0x2190, 0x221f, 0x2194, 0x25b2, 0x25bc};
constexpr u16 kHigh[129] = {
    0x2302, 0x00c7, 0x00fc, 0x00e9, 0x00e2, 0x00e4, 0x00e0, 0x00e5, 0x00e7, 0x00ea, 0x00eb, 0x00e8, 0x00ef,
    0x00ee, 0x00ec, 0x00c4, 0x00c5, 0x00c9, 0x00e6, 0x00c6, 0x00f4, 0x00f6, 0x00f2, 0x00fb, 0x00f9, 0x00ff,
    0x00d6, 0x00dc, 0x00a2, 0x00a3, 0x00a5, 0x20a7, 0x0192, 0x00e1, 0x00ed, 0x00f3, 0x00fa, 0x00f1, 0x00d1,
    0x00aa, 0x00ba, 0x00bf, 0x2310, 0x00ac, 0x00bd, 0x00bc, 0x00a1, 0x00ab, 0x00bb, 0x2591, 0x2592, 0x2593,
    0x2502, 0x2524, 0x2561, 0x2562, 0x2556, 0x2555, 0x2563, 0x2551, 0x2557, 0x255d, 0x255c, 0x255b, 0x2510,
    0x2514, 0x2534, 0x252c, 0x251c, 0x2500, 0x253c, 0x255e, 0x255f, 0x255a, 0x2554, 0x2569, 0x2566, 0x2560,
    0x2550, 0x256c, 0x2567, 0x2568, 0x2564, 0x2565, 0x2559, 0x2558, 0x2552, 0x2553, 0x256b, 0x256a, 0x2518,
    0x250c, 0x2588, 0x2584, 0x258c, 0x2590, 0x2580, 0x03b1, 0x00df, 0x0393, 0x03c0, 0x03a3, 0x03c3, 0x00b5,
    0x03c4, 0x03a6, 0x0398, 0x03a9, 0x03b4, 0x221e, 0x03c6, 0x03b5, 0x2229, 0x2261, 0x00b1, 0x2265, 0x2264,
    0x2320, 0x2321, 0x00f7, 0x2248, 0x00b0, 0x2219, 0x00b7, 0x221a, 0x207f, 0x00b2, 0x25a0, 0x0020};

void append_cp437(std::string& s, u8 c) {
  const u16 u = c < 0x20 ? kLow[c] : c < 0x7f ? c : kHigh[c - 0x7f];
  if (u < 0x80) {
    s += static_cast<char>(u);
  } else if (u < 0x800) {
    s += static_cast<char>(0xc0 | u >> 6);
    s += static_cast<char>(0x80 | (u & 0x3f));
  } else {
    s += static_cast<char>(0xe0 | u >> 12);
    s += static_cast<char>(0x80 | (u >> 6 & 0x3f));
    s += static_cast<char>(0x80 | (u & 0x3f));
  }
}

// A cell of a text screen as remembered: character, attribute, and how the cursor and blinking show.
enum : u32 { kCellCursor = 1u << 16, kCellHidden = 1u << 17 };

}  // namespace

u32 Vga::vertical_display_end() const { return (crtc_[0x12] | (crtc_[7] & 2u) << 7 | (crtc_[7] & 0x40u) << 3) + 1; }

Vga::Mode Vga::mode() const {
  Mode m;
  if (vbe_[kVbeEnable] & kVbeOn) {
    m.kind = Kind::kVbe;
    m.width = vbe_[kVbeXRes];
    m.height = vbe_[kVbeYRes];
    m.bpp = vbe_[kVbeBpp];
    return m;
  }
  const u32 characters = crtc_[1] + 1u, lines = vertical_display_end();
  const u32 scans = (crtc_[9] & 0x1fu) + 1, doubled = crtc_[9] & 0x80 ? 2 : 1;
  if (!(gfx_[6] & 1)) {
    m.kind = Kind::kText;
    m.columns = characters;
    m.cell_width = seq_[1] & 1 ? 8 : 9;
    m.cell_height = scans;
    m.rows = lines / (scans * doubled);
    m.width = m.columns * m.cell_width;
    m.height = m.rows * scans;
  } else {
    m.kind = gfx_[5] & 0x40 ? Kind::kPacked256 : gfx_[5] & 0x20 ? Kind::kCga : Kind::kPlanar;
    m.width = characters * (m.kind == Kind::kPacked256 ? 4 : 8);
    // Interleaved rows (CGA) use the scan counter as part of the address; elsewhere it repeats lines.
    m.height = crtc_[0x17] & 1 ? lines / (scans * doubled) : lines / doubled;
  }
  m.width = std::min(m.width, kMaxWidth);
  m.height = std::min(m.height, kMaxHeight);
  const bool off = !(attr_index_ & 0x20) || (seq_[1] & 0x20) || !(crtc_[0x17] & 0x80) || !m.width || !m.height;
  if (off) m.kind = Kind::kBlank;
  return m;
}

ScreenInfo Vga::info() {
  const Mode m = mode();
  // Blanking alone keeps the size: the picture only turns black.
  if (m.width != shown_.width || m.height != shown_.height || m.columns != shown_.columns || m.rows != shown_.rows ||
      m.kind != shown_.kind || m.cell_width != shown_.cell_width || m.bpp != shown_.bpp) {
    generation_++;
    shown_ = m;
    all_changed_ = true;
  }
  ScreenInfo i;
  i.width = m.width;
  i.height = m.height;
  const bool is_text = m.kind == Kind::kText;
  i.text_columns = is_text ? m.columns : 0;
  i.text_rows = is_text ? m.rows : 0;
  i.blank = m.kind == Kind::kBlank;
  i.generation = generation_;
  return i;
}

u32 Vga::dac_rgba(u8 index) const {
  const u8* c = dac_ + (index & dac_mask_) * 3;
  if (vbe_[kVbeEnable] & kVbe8BitDac) return rgba(c[0], c[1], c[2]);
  auto wide = [](u8 v) { return static_cast<u32>(v << 2 | v >> 4) & 0xff; };
  return rgba(wide(c[0]), wide(c[1]), wide(c[2]));
}

// Through the attribute controller's palette, for up to 16 colours.
u32 Vga::palette_rgba(u8 index) const {
  const u8 p = attr_[index & attr_[0x12] & 15], select = attr_[0x14];
  return dac_rgba(
      static_cast<u8>(attr_[0x10] & 0x80 ? (p & 0x0f) | (select & 0x0f) << 4 : (p & 0x3f) | (select & 0x0c) << 4));
}

std::vector<Rect> Vga::render(u8* out, bool everything, bool blink_on) {
  const u32 before = generation_;
  info();
  const Mode m = shown_;
  everything |= all_changed_ || generation_ != before;
  std::vector<Rect> r;
  if (m.kind == Kind::kText) {
    r = render_text(out, everything, blink_on, m);
  } else if (m.kind == Kind::kBlank) {
    if (everything && m.width && m.height) {
      std::fill_n(reinterpret_cast<u32*>(out), usize{m.width} * m.height, kBlack);
      r.push_back({0, 0, m.width, m.height});
    }
  } else {
    r = render_graphics(out, everything, m);
  }
  all_changed_ = false;
  if (r.empty())
    stats.frames_unchanged++;
  else
    stats.frames_rendered++;
  for (const Rect& x : r) stats.pixels_rendered += u64{x.w} * x.h;
  return r;
}

// ---- text --------------------------------------------------------------------------------------

std::vector<Rect> Vga::render_text(u8* out, bool everything, bool blink_on, const Mode& m) {
  const u32 mask = vram_bytes_ - 1, pitch = crtc_[0x13] * 2u, start = start_address();
  const u32 cursor = u32{crtc_[0x0e]} << 8 | crtc_[0x0f];
  const bool cursor_shown = !(crtc_[0x0a] & 0x20) && blink_on && (crtc_[0x0a] & 0x1f) <= (crtc_[0x0b] & 0x1f);
  const bool blinking = attr_[0x10] & 8;
  if (cells_.size() != usize{m.columns} * m.rows) {
    cells_.assign(usize{m.columns} * m.rows, 0);
    everything = true;
  }
  std::vector<Rect> rects;
  for (u32 row = 0; row < m.rows; row++) {
    u32 first = m.columns, last = 0;
    for (u32 column = 0; column < m.columns; column++) {
      const u32 address = (start + row * pitch + column) & 0xffff;
      const u32 at = (address * 4) & mask;
      u32 cell = vram_[at] | u32{vram_[at + 1]} << 8;
      if (cursor_shown && address == cursor) cell |= kCellCursor;
      if (blinking && (cell & 0x8000) && !blink_on) cell |= kCellHidden;
      u32& known = cells_[usize{row} * m.columns + column];
      if (!everything && known == cell) continue;
      known = cell;
      draw_cell(out, m, column, row, cell);
      first = std::min(first, column);
      last = column;
    }
    if (first > last) continue;
    const Rect r{first * m.cell_width, row * m.cell_height, (last - first + 1) * m.cell_width, m.cell_height};
    // Rows that changed alike become one rectangle.
    if (!rects.empty() && rects.back().x == r.x && rects.back().w == r.w && rects.back().y + rects.back().h == r.y)
      rects.back().h += r.h;
    else
      rects.push_back(r);
  }
  return rects;
}

void Vga::draw_cell(u8* out, const Mode& m, u32 column, u32 row, u32 cell) {
  const u8 ch = static_cast<u8>(cell), attribute = static_cast<u8>(cell >> 8);
  // Sequencer register 3: two fonts, chosen by attribute bit 3 when they differ.
  const u8 map = seq_[3];
  static constexpr u32 font_at[8] = {0, 0x4000, 0x8000, 0xc000, 0x2000, 0x6000, 0xa000, 0xe000};
  const u32 font_a = (map >> 2 & 3) | (map >> 3 & 4), font_b = (map & 3) | (map >> 2 & 4);
  const u32 font = font_at[attribute & 8 ? font_a : font_b];
  const bool blinking = attr_[0x10] & 8;
  u32 fg = palette_rgba(attribute & 15);
  const u32 bg = palette_rgba(static_cast<u8>(attribute >> 4 & (blinking ? 7 : 15)));
  if (cell & kCellHidden) fg = bg;
  const bool line_drawing = (attr_[0x10] & 4) && ch >= 0xc0 && ch <= 0xdf;
  const u32 mask = vram_bytes_ - 1;
  const u32 cursor_first = crtc_[0x0a] & 0x1f, cursor_last = crtc_[0x0b] & 0x1f;
  u32* px = reinterpret_cast<u32*>(out) + usize{row} * m.cell_height * m.width + usize{column} * m.cell_width;
  for (u32 y = 0; y < m.cell_height; y++, px += m.width) {
    u32 bits = u32{vram_[((font + ch * 32 + y) * 4 + 2) & mask]} << 1;
    if (line_drawing) bits |= bits >> 1 & 1;
    if ((cell & kCellCursor) && y >= cursor_first && y <= cursor_last) bits = 0x1ff;
    for (u32 x = 0; x < m.cell_width; x++) px[x] = bits >> (8 - x) & 1 ? fg : bg;
  }
}

std::string Vga::text() {
  const Mode m = mode();
  std::string s;
  if (m.kind != Kind::kText) return s;
  const u32 mask = vram_bytes_ - 1, pitch = crtc_[0x13] * 2u, start = start_address();
  for (u32 row = 0; row < m.rows; row++) {
    u32 used = 0;
    for (u32 column = 0; column < m.columns; column++) {
      const u8 c = vram_[(((start + row * pitch + column) & 0xffff) * 4) & mask];
      if (c != ' ' && c != 0 && c != 0xff) used = column + 1;
    }
    for (u32 column = 0; column < used; column++)
      append_cp437(s, vram_[(((start + row * pitch + column) & 0xffff) * 4) & mask]);
    s += '\n';
  }
  return s;
}

// ---- graphics ----------------------------------------------------------------------------------

// The address within a plane for memory address counter `ma` and row scan counter `scan`: CRTC register 17 may put
// the latter's bits in place of address bits 13 and 14 (which lie lower in word and doubleword mode).
u32 Vga::crtc_index(u32 ma, u32 scan) const {
  const u8 mode_control = crtc_[0x17];
  const u32 shift = crtc_[0x14] & 0x40 ? 2 : mode_control & 0x40 ? 0 : 1;
  if (!(mode_control & 1)) ma = (ma & ~(1u << (13 - shift))) | (scan & 1) << (13 - shift);
  if (!(mode_control & 2)) ma = (ma & ~(1u << (14 - shift))) | (scan >> 1 & 1) << (14 - shift);
  return ma;
}

// Which bytes of video memory line y shows. scattered: not known, redraw when anything changed.
void Vga::line_bytes(const Mode& m, u32 y, u32& first, u32& count, bool& scattered) const {
  scattered = false;
  if (m.kind == Kind::kVbe && m.bpp > 4) {
    const u32 bytes = (m.bpp + 7) / 8, pitch = vbe_[kVbeVirtWidth] * bytes;
    const u64 at = (u64{vbe_[kVbeYOffset]} + y) * pitch + u64{vbe_[kVbeXOffset]} * bytes;
    count = m.width * bytes;
    first = at + count <= vram_bytes_ ? static_cast<u32>(at) : vram_bytes_;
    return;
  }
  scattered = true;
  first = count = 0;
}

void Vga::draw_line(u32* out, const Mode& m, u32 y) const {
  const u32 mask = vram_bytes_ - 1;
  if (m.kind == Kind::kVbe && m.bpp > 4) {
    u32 first, count;
    bool scattered;
    line_bytes(m, y, first, count, scattered);
    if (first >= vram_bytes_) {
      std::fill_n(out, m.width, kBlack);
      return;
    }
    const u8* p = vram_ + first;
    switch (m.bpp) {
      case 8:
        for (u32 x = 0; x < m.width; x++) out[x] = dac_rgba(p[x]);
        return;
      case 15:
        for (u32 x = 0; x < m.width; x++, p += 2) {
          const u32 v = load<u16>(p), r = v >> 10 & 31, g = v >> 5 & 31, b = v & 31;
          out[x] = rgba(r << 3 | r >> 2, g << 3 | g >> 2, b << 3 | b >> 2);
        }
        return;
      case 16:
        for (u32 x = 0; x < m.width; x++, p += 2) {
          const u32 v = load<u16>(p), r = v >> 11, g = v >> 5 & 63, b = v & 31;
          out[x] = rgba(r << 3 | r >> 2, g << 2 | g >> 4, b << 3 | b >> 2);
        }
        return;
      case 24:
        for (u32 x = 0; x < m.width; x++, p += 3) out[x] = rgba(p[2], p[1], p[0]);
        return;
      default:
        for (u32 x = 0; x < m.width; x++, p += 4) {
          const u32 v = load<u32>(p);
          out[x] = (v >> 16 & 0xff) | (v & 0xff00) | (v & 0xff) << 16 | 0xff000000;
        }
        return;
    }
  }

  u32 ma, scan, pan;
  if (m.kind == Kind::kVbe) {  // 4 bits, planar
    ma = (vbe_[kVbeYOffset] + y) * (vbe_[kVbeVirtWidth] / 8u) + vbe_[kVbeXOffset] / 8u;
    scan = 0;
    pan = vbe_[kVbeXOffset] & 7;
  } else {
    const u32 scans = (crtc_[9] & 0x1fu) + 1, doubled = crtc_[9] & 0x80 ? 2 : 1;
    const bool interleaved = !(crtc_[0x17] & 1);
    // In scan lines of the monitor, to compare with the line where the split screen begins.
    const u32 line = interleaved ? y * doubled : y * scans * doubled;
    const u32 compare = crtc_[0x18] | (crtc_[7] & 0x10u) << 4 | (crtc_[9] & 0x40u) << 3;
    const bool split = line > compare;
    const u32 from = split ? line - compare - 1 : line;
    const u32 row = from / (scans * doubled);
    scan = interleaved ? from / doubled % scans : 0;
    ma = (split ? 0 : start_address()) + row * crtc_[0x13] * 2;
    pan = split && (attr_[0x10] & 0x20) ? 0 : attr_[0x13] & 7;
    if (m.kind == Kind::kPacked256) pan >>= 1;
  }
  if (m.kind == Kind::kPacked256) {
    for (u32 x = 0; x < m.width; x++) {
      const u32 px = x + pan;
      out[x] = dac_rgba(vram_[(crtc_index(ma + px / 4, scan) * 4 + (px & 3)) & mask]);
    }
    return;
  }
  u32 colours[16];
  for (u8 k = 0; k < 16; k++) colours[k] = palette_rgba(k);
  for (u32 x = 0; x < m.width; x++) {
    const u32 px = x + pan, at = (crtc_index(ma + px / 8, scan) * 4) & mask, bit = 7 - (px & 7);
    u8 c;
    if (m.kind == Kind::kCga) {  // two bits a pixel: four pixels from the even plane, four from the odd
      const u32 pair = px & 7;
      c = vram_[at + pair / 4] >> (6 - 2 * (pair & 3)) & 3;
    } else {
      c = static_cast<u8>((vram_[at] >> bit & 1) | (vram_[at + 1] >> bit & 1) << 1 | (vram_[at + 2] >> bit & 1) << 2 |
                          (vram_[at + 3] >> bit & 1) << 3);
    }
    out[x] = colours[c];
  }
}

std::vector<Rect> Vga::render_graphics(u8* out, bool everything, const Mode& m) {
  const u32 pages = vram_bytes_ >> PhysMem::kPageShift;
  u8* flags = vram_flags_.get();
  bool any = false;
  for (u32 p = 0; p < pages && !any; p++) any = flags[p] & kPageDirty;
  std::vector<Rect> rects;
  if (!any && !everything) return rects;
  u32* px = reinterpret_cast<u32*>(out);
  for (u32 y = 0; y < m.height; y++) {
    bool draw = everything;
    if (!draw) {
      u32 first, count;
      bool scattered;
      line_bytes(m, y, first, count, scattered);
      draw = scattered;
      if (!scattered && first < vram_bytes_)
        for (u32 p = first >> PhysMem::kPageShift; p <= (first + count - 1) >> PhysMem::kPageShift && !draw; p++)
          draw = flags[p] & kPageDirty;
    }
    if (!draw) continue;
    draw_line(px + usize{y} * m.width, m, y);
    if (!rects.empty() && rects.back().y + rects.back().h == y)
      rects.back().h++;
    else
      rects.push_back({0, y, m.width, 1});
  }
  if (any) mem_.clear_dirty(flags, pages);
  return rects;
}

}  // namespace oriel
