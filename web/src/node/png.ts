// The guest's screen as a PNG file.
import { PNG } from "pngjs";

import type { Core } from "../core.ts";

export function pngOfScreen(core: Core): Buffer {
  const info = core.screenInfo();
  // A display that is off has no picture: one black pixel.
  const png = new PNG({ width: Math.max(1, info.width), height: Math.max(1, info.height) });
  if (info.width > 0 && info.height > 0) {
    core.screenRender(true, true);
    png.data.set(core.screenPixels(info));
  } else {
    png.data[3] = 255;
  }
  return PNG.sync.write(png);
}
