// The guest's screen on a canvas: draws what changed, and sizes the canvas to whole pixels where there is room.
import type { ScreenInfo } from "../core.ts";
import type { FromWorker } from "../protocol.ts";

export class ScreenView {
  private readonly context: CanvasRenderingContext2D;
  private generation = -1;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly box: HTMLElement,
  ) {
    const context = canvas.getContext("2d", { alpha: false });
    if (!context) throw new Error("a canvas without a 2D context");
    this.context = context;
    new ResizeObserver(() => this.fit()).observe(box);
    this.clear();
  }

  clear(): void {
    this.generation = -1;
    this.resize(720, 400);
  }

  draw({ screen, rects, pixels }: Extract<FromWorker, { type: "frame" }>): void {
    if (screen.width === 0 || screen.height === 0) return this.black();
    if (screen.generation !== this.generation) this.newMode(screen);
    let at = 0;
    for (const { x, y, width, height } of rects) {
      const bytes = width * height * 4;
      this.context.putImageData(new ImageData(new Uint8ClampedArray(pixels, at, bytes), width, height), x, y);
      at += bytes;
    }
  }

  private black(): void {
    this.generation = -1;
    this.context.fillRect(0, 0, this.canvas.width, this.canvas.height);
  }

  private newMode(screen: ScreenInfo): void {
    this.generation = screen.generation;
    if (screen.width !== this.canvas.width || screen.height !== this.canvas.height) {
      this.resize(screen.width, screen.height);
    }
  }

  private resize(width: number, height: number): void {
    this.canvas.width = width;
    this.canvas.height = height;
    this.fit();
  }

  /** The largest whole number of screen pixels a guest pixel that fits; smaller than one when none does. */
  private fit(): void {
    const { canvas, box } = this;
    const fullScreen = document.fullscreenElement === box;
    const room = {
      width: box.clientWidth,
      height: fullScreen ? box.clientHeight : Math.max(402, window.innerHeight - 200),
    };
    const scale = Math.min(room.width / canvas.width, room.height / canvas.height);
    const pixels = Math.floor(scale * devicePixelRatio);
    const whole = pixels >= 1 && pixels / devicePixelRatio >= 1;
    const used = whole ? pixels / devicePixelRatio : Math.min(scale, 1);
    canvas.classList.toggle("crisp", whole);
    canvas.style.width = `${canvas.width * used}px`;
    canvas.style.height = `${canvas.height * used}px`;
  }
}
