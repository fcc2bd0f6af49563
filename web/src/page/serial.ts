// The serial terminal: xterm.js on COM1, and its text for whoever asks.
import { FitAddon } from "@xterm/addon-fit";
import { Terminal } from "@xterm/xterm";

import { isRelease } from "./input.ts";

const KEPT_CHARACTERS = 1 << 20;
/** What firmware and boot loaders take a serial terminal to have. */
const COLUMNS = 80;
const ROWS = 24;
const FONT_PIXELS = 14;

export class SerialTerminal {
  private readonly terminal = new Terminal({
    fontFamily: 'ui-monospace, "Cascadia Mono", "DejaVu Sans Mono", Menlo, Consolas, monospace',
    fontSize: FONT_PIXELS,
    lineHeight: 1.1,
    scrollback: 10_000,
    cursorBlink: true,
    theme: { background: "#0b0e13", foreground: "#d8e0ea", cursor: "#66b3ff", selectionBackground: "#2f4f75" },
  });
  private readonly fitAddon = new FitAddon();
  private decoder = new TextDecoder();
  private received = "";

  /** `send` gets what is typed; `release` is called when the way out is pressed. */
  constructor(box: HTMLElement, send: (bytes: Uint8Array) => void, release: () => void) {
    this.terminal.loadAddon(this.fitAddon);
    this.terminal.open(box);
    this.terminal.attachCustomKeyEventHandler((event) => {
      if (!isRelease(event)) return true;
      event.preventDefault();
      release();
      return false;
    });
    const encoder = new TextEncoder();
    this.terminal.onData((text) => send(encoder.encode(text)));
    this.terminal.onBinary((text) => send(Uint8Array.from(text, (c) => c.charCodeAt(0))));
    new ResizeObserver(() => this.fit()).observe(box);
  }

  /** Fills the box; in a narrow one the letters get smaller, so that a whole line fits. */
  private fit(): void {
    const { terminal, fitAddon } = this;
    terminal.options.fontSize = FONT_PIXELS;
    const full = fitAddon.proposeDimensions();
    if (!full || !(full.cols > 0)) return; // not visible
    if (full.cols < COLUMNS) {
      terminal.options.fontSize = Math.max(4, Math.floor((FONT_PIXELS * full.cols * 2) / COLUMNS) / 2);
    }
    const { cols, rows } = fitAddon.proposeDimensions() ?? full;
    terminal.resize(Math.max(COLUMNS, cols), Math.max(ROWS, rows));
  }

  write(bytes: Uint8Array): void {
    this.received += this.decoder.decode(bytes, { stream: true });
    if (this.received.length > 2 * KEPT_CHARACTERS) this.received = this.received.slice(-KEPT_CHARACTERS);
    this.terminal.write(bytes);
  }

  /** What the port has sent since the start, or the last part of it. */
  get text(): string {
    return this.received;
  }

  /** For a new machine. */
  reset(): void {
    this.terminal.reset();
    this.received = "";
    this.decoder = new TextDecoder();
  }

  clear(): void {
    this.terminal.clear();
  }
}
