// The keyboard and mouse of whoever uses the page, as the guest's: while the canvas has the focus.
import { scanCode } from "./keymap.ts";

export interface GuestInput {
  key(code: number, down: boolean): void;
  /** Screen directions; dz: notches of the wheel, down positive; buttons: 1 left, 2 right, 4 middle. */
  mouse(dx: number, dy: number, dz: number, buttons: number): void;
}

/** Whether a key event is the way out of the guest: Ctrl+Alt+G. */
export function isRelease(event: KeyboardEvent): boolean {
  return event.code === "KeyG" && event.ctrlKey && event.altKey && event.type === "keydown";
}

/** Wheels report pixels, lines or pages; a notch is about 100 pixels or 3 lines. */
const PIXELS_A_NOTCH = 100;
const LINE_PIXELS = 33;

export class InputCapture {
  private readonly held = new Set<number>();
  private buttons = 0;
  private wheelPixels = 0;

  /** `release` is called when the way out is pressed. */
  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly guest: GuestInput,
    private readonly release: () => void,
  ) {
    canvas.addEventListener("keydown", (event) => this.onKey(event, true));
    canvas.addEventListener("keyup", (event) => this.onKey(event, false));
    canvas.addEventListener("blur", () => this.releaseAll());
    window.addEventListener("blur", () => this.releaseAll());
    canvas.addEventListener("mousedown", (event) => this.onMouseDown(event));
    canvas.addEventListener("mouseup", (event) => this.onMouseUp(event));
    canvas.addEventListener("mousemove", (event) => this.onMouseMove(event));
    canvas.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    document.addEventListener("pointerlockchange", () => {
      if (!this.locked) this.releaseButtons();
    });
  }

  private get locked(): boolean {
    return document.pointerLockElement === this.canvas;
  }

  private onKey(event: KeyboardEvent, down: boolean): void {
    if (isRelease(event)) {
      event.preventDefault();
      this.releaseAll();
      if (this.locked) document.exitPointerLock();
      return this.release();
    }
    const code = scanCode(event.code);
    if (code === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    if (!down && !this.held.has(code)) return; // it went down elsewhere
    if (down) this.held.add(code);
    else this.held.delete(code);
    this.guest.key(code, down);
    // A Mac reports no release of a key while Command is held.
    if (!down && event.key === "Meta") this.releaseAll();
  }

  private releaseAll(): void {
    for (const code of this.held) this.guest.key(code, false);
    this.held.clear();
    this.releaseButtons();
  }

  private releaseButtons(): void {
    if (this.buttons === 0) return;
    this.buttons = 0;
    this.guest.mouse(0, 0, 0, 0);
  }

  private onMouseDown(event: MouseEvent): void {
    event.preventDefault();
    this.canvas.focus({ preventScroll: true });
    if (!this.locked) {
      // Refused in some embeddings, and right after Esc: the keyboard works all the same.
      void Promise.resolve(this.canvas.requestPointerLock() as Promise<void> | undefined).catch(() => undefined);
      return;
    }
    this.moved(event, 0, 0);
  }

  private onMouseUp(event: MouseEvent): void {
    if (this.locked) this.moved(event, 0, 0);
  }

  private onMouseMove(event: MouseEvent): void {
    if (this.locked) this.moved(event, event.movementX, event.movementY);
  }

  private moved(event: MouseEvent, dx: number, dy: number): void {
    this.buttons = event.buttons & 7;
    this.guest.mouse(Math.round(dx), Math.round(dy), 0, this.buttons);
  }

  private onWheel(event: WheelEvent): void {
    if (!this.locked) return;
    event.preventDefault();
    const unit = event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? 1 : LINE_PIXELS;
    this.wheelPixels += event.deltaY * unit;
    const notches = Math.trunc(this.wheelPixels / PIXELS_A_NOTCH);
    if (notches === 0) return;
    this.wheelPixels -= notches * PIXELS_A_NOTCH;
    this.guest.mouse(0, 0, notches, this.buttons);
  }
}
