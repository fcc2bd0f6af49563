// The guest's screen on a canvas: draws what changed, and sizes the canvas to the room there is.
import type { ScreenInfo } from "../core.ts";
import type { FromWorker } from "../protocol.ts";

/** The share of the window's height that the screen may take, so that the terminal stays in view. */
const PAGE_SHARE = 0.62;
const MIN_ROOM = 420;

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

  /** As large as fits in half steps, from one CSS pixel a guest pixel on; smaller when not even that fits. */
  private fit(): void {
    const { canvas, box } = this;
    const style = getComputedStyle(box);
    const paddingX = parseFloat(style.paddingLeft) * 2;
    const paddingY = parseFloat(style.paddingTop) * 2;
    const roomX = box.clientWidth - paddingX;
    const fullScreen = document.fullscreenElement === box;
    const roomY = (fullScreen ? box.clientHeight : Math.max(MIN_ROOM, window.innerHeight * PAGE_SHARE)) - paddingY;
    const most = Math.min(roomX / canvas.width, roomY / canvas.height);
    const scale = most < 1 ? most : Math.floor(most * 2) / 2;
    canvas.classList.toggle("crisp", Number.isInteger(scale * devicePixelRatio));
    canvas.style.width = `${canvas.width * scale}px`;
    canvas.style.height = `${canvas.height * scale}px`;
  }
}
