// What a display adapter shows: a text screen or a picture, and what changed since last asked.
#pragma once

#include <string>
#include <vector>

#include "base/types.h"

namespace oriel {

struct ScreenInfo {
  u32 width = 0, height = 0;            // in pixels, as rendered (text: columns * cell width)
  u32 text_columns = 0, text_rows = 0;  // nonzero in text modes
  bool blank = true;                    // display off
  u32 generation = 0;                   // changes when size or mode changes
};

struct Rect {
  u32 x, y, w, h;
};

class Screen {
 public:
  virtual ~Screen() = default;
  virtual ScreenInfo info() = 0;
  // Renders into `rgba` (width * height * 4 bytes, R first, alpha 255), all of it or only what changed since the
  // last call, and reports the rectangles written. A new generation means everything. blink_on: phase of cursor and
  // blinking text.
  virtual std::vector<Rect> render(u8* rgba, bool everything, bool blink_on) = 0;
  // The characters on a text screen as UTF-8 lines, trailing blanks removed; empty in graphics modes.
  virtual std::string text() = 0;
};

}  // namespace oriel
