// The page: puts the form, the machine, its screen and its serial terminal together.
//
// For tests and the curious, `window.oriel` drives it from a script; see OrielApi at the end.
import type { NamedBlob, RunState, WorkerStatus } from "../protocol.ts";
import type { FileKind } from "./guess.ts";
import { loadFirmware, PageError } from "./firmware.ts";
import { byId, guestConfig, GuestForm } from "./guest_form.ts";
import { InputCapture } from "./input.ts";
import { keyStrokes, scanCode } from "./keymap.ts";
import { Machine } from "./machine.ts";
import { ScreenView } from "./screen.ts";
import { SerialTerminal } from "./serial.ts";

/** A keyboard driver keeps up with a key event every so often, in the guest's time. */
const TYPING_NS = 8e6;

type PageState = RunState | "off" | "starting" | "failed";

const STATE_TEXT: Record<PageState, string> = {
  off: "Off",
  starting: "Starting…",
  running: "Running",
  paused: "Paused",
  halted: "Halted",
  poweredOff: "Powered off",
  tripleFault: "Triple fault",
  failed: "Failed",
};
const OVERLAY_TEXT: Partial<Record<PageState, string>> = {
  off: "Choose a guest, then press Start.",
  starting: "Starting…",
  paused: "Paused",
  poweredOff: "The guest has powered off. Reset switches it on again, with what it has written; Start begins afresh.",
  tripleFault: "The guest shut itself down by a triple fault.",
};
const KEY_COMBINATIONS: [label: string, codes: string][] = [
  ["Ctrl+Alt+Delete", "ControlLeft AltLeft Delete"],
  ["Escape", "Escape"],
  ["Alt+Tab", "AltLeft Tab"],
  ["Alt+F4", "AltLeft F4"],
  ["Print Screen", "PrintScreen"],
  ["Super", "MetaLeft"],
  ...Array.from({ length: 6 }, (_, i): [string, string] => [`Ctrl+Alt+F${i + 1}`, `ControlLeft AltLeft F${i + 1}`]),
];

/** The part of the machine's configuration that `window.oriel.start` takes; files as Blobs or addresses. */
type ApiFiles = Partial<Record<FileKind, Blob | string>>;
interface ApiConfig extends ApiFiles {
  memoryMiB?: number;
  append?: string;
  boot?: "c" | "d";
  deterministic?: boolean;
  hashEvery?: number;
  maxInstructions?: number;
}

class Page {
  private machine: Machine | undefined;
  private state: PageState = "off";
  private last: WorkerStatus | undefined;
  private failure = "";
  private starts = 0;

  private readonly start = byId<HTMLButtonElement>("start");
  private readonly pause = byId<HTMLButtonElement>("pause");
  private readonly reset = byId<HTMLButtonElement>("reset");
  private readonly power = byId<HTMLButtonElement>("power");
  private readonly sendKeys = byId<HTMLSelectElement>("send-keys");
  private readonly saveDisk = byId<HTMLButtonElement>("save-disk");
  private readonly insertCd = byId<HTMLButtonElement>("insert-cd");
  private readonly ejectCd = byId<HTMLButtonElement>("eject-cd");
  private readonly error = byId("error");

  private readonly screen = new ScreenView(byId<HTMLCanvasElement>("canvas"), byId("screen"));
  private readonly serial = new SerialTerminal(
    byId("terminal"),
    (bytes) => this.machine?.send({ type: "serial", bytes }),
    () => this.start.focus(),
  );
  private readonly form = new GuestForm((message) => this.showError(message));

  constructor() {
    new InputCapture(
      byId<HTMLCanvasElement>("canvas"),
      {
        key: (code, down) => this.machine?.send({ type: "keys", events: [{ code, down, afterNs: 0 }] }),
        mouse: (dx, dy, dz, buttons) => this.machine?.send({ type: "mouse", dx, dy, dz, buttons }),
      },
      () => this.start.focus(),
    );
    byId<HTMLFormElement>("guest-form").addEventListener("submit", (event) => {
      event.preventDefault();
      if (!this.busy) void this.startForm();
    });
    this.start.addEventListener("click", () => (this.busy ? this.stop() : void this.startForm()));
    this.pause.addEventListener("click", () =>
      this.machine?.send({ type: this.state === "paused" ? "resume" : "pause" }),
    );
    this.reset.addEventListener("click", () => {
      this.hideError();
      this.machine?.send({ type: "reset" });
    });
    this.power.addEventListener("click", () => this.machine?.send({ type: "power" }));
    this.sendKeys.append(new Option("Send keys…", ""));
    for (const [label, codes] of KEY_COMBINATIONS) this.sendKeys.append(new Option(label, codes));
    this.sendKeys.addEventListener("change", () => {
      this.press(this.sendKeys.value);
      this.sendKeys.value = "";
      byId("canvas").focus({ preventScroll: true });
    });
    this.saveDisk.addEventListener("click", () => this.machine?.send({ type: "disks" }));
    const cdFile = byId<HTMLInputElement>("cd-file");
    this.insertCd.addEventListener("click", () => cdFile.click());
    cdFile.addEventListener("change", () => {
      const [file] = cdFile.files ?? [];
      if (file) this.machine?.send({ type: "cd", cd: { name: file.name, blob: file } });
      cdFile.value = "";
    });
    this.ejectCd.addEventListener("click", () => this.machine?.send({ type: "cd", cd: undefined }));
    byId("fullscreen").addEventListener("click", () => void this.fullScreen());
    byId("serial-clear").addEventListener("click", () => this.serial.clear());
    byId("error-close").addEventListener("click", () => this.hideError());
    byId("not-isolated").hidden = crossOriginIsolated;
    this.setState("off");
    // Asked for by the browser's frames: a hidden page draws nothing, and its guest runs on.
    const frame = () => {
      if (this.machine && this.state !== "starting") this.machine.askFrame();
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  }

  /** The guest has come to its end by itself. */
  private get ended(): boolean {
    return this.state === "poweredOff" || this.state === "tripleFault";
  }
  private get busy(): boolean {
    return (this.machine !== undefined && !this.ended) || this.state === "starting";
  }

  private async startForm(): Promise<void> {
    await this.startWith((progress) => this.form.config(progress));
  }

  /** Starts what `configure` returns. Another start or a stop in the meantime wins. */
  private async startWith(configure: (progress: (text: string) => void) => ReturnType<GuestForm["config"]>) {
    this.stop();
    const mine = ++this.starts;
    this.hideError();
    this.setState("starting");
    try {
      const config = await configure((text) => {
        if (mine === this.starts) byId("overlay").textContent = text;
      });
      const firmware = await loadFirmware();
      if (mine !== this.starts) return;
      this.serial.reset();
      this.screen.clear();
      this.machine = new Machine(firmware, config, {
        started: () => {
          if (matchMedia("(width < 60rem)").matches) byId<HTMLDetailsElement>("guest").open = false;
          byId("canvas").focus({ preventScroll: true });
        },
        status: (status) => this.onStatus(status),
        serial: (bytes) => this.serial.write(bytes),
        frame: (frame) => this.screen.draw(frame),
        disks: (disks) => this.saveDisks(disks),
        notice: (message) => this.showError(message),
        failed: (message, detail) => this.onFailed(message, detail),
      });
    } catch (error) {
      if (mine !== this.starts) return;
      if (!(error instanceof PageError)) console.error(error);
      this.onFailed(error instanceof Error ? error.message : String(error));
    }
  }

  private stop(): void {
    this.starts++;
    this.machine?.stop();
    this.machine = undefined;
    this.last = undefined;
    this.setState("off");
  }

  private onFailed(message: string, detail?: string): void {
    this.stop();
    this.setState("failed");
    this.failure = message;
    this.showError(message, detail);
  }

  private onStatus(status: WorkerStatus): void {
    this.last = status;
    if (status.state !== this.state) {
      this.setState(status.state);
      if (status.state === "tripleFault") {
        this.showError("The guest shut itself down by a triple fault. The state of its CPU:", status.report);
      }
    }
    const { mips, load, screen, instructions } = status;
    const moving = status.state === "running" || status.state === "halted";
    const text = screen.textColumns > 0 ? `, text ${screen.textColumns}×${screen.textRows}` : "";
    byId("status-mips").textContent = moving ? `${mips.toFixed(mips < 10 ? 1 : 0)} MIPS` : "–";
    byId("status-load").textContent = moving ? `${Math.round(load * 100)} %` : "–";
    byId("status-screen").textContent = screen.width > 0 ? `${screen.width}×${screen.height}${text}` : "off";
    byId("status-instructions").textContent = `${(instructions / 1e6).toLocaleString("en", { maximumFractionDigits: 0 })} million`;
  }

  private setState(state: PageState): void {
    this.state = state;
    const on = this.machine !== undefined && state !== "starting";
    const { ended } = this;
    const pill = byId("state");
    pill.textContent = STATE_TEXT[state];
    pill.dataset["state"] = state;
    this.start.textContent = this.busy ? "Stop" : "Start";
    this.start.classList.toggle("stop", this.busy);
    this.pause.textContent = state === "paused" ? "Resume" : "Pause";
    this.pause.disabled = !on || ended;
    this.reset.disabled = !on;
    this.power.disabled = this.sendKeys.disabled = !on || ended || state === "paused";
    this.saveDisk.disabled = this.insertCd.disabled = this.ejectCd.disabled = !on;
    byId("next-start").hidden = !this.busy;
    byId("overlay").textContent = OVERLAY_TEXT[state] ?? "";
    byId("screen").classList.toggle("dimmed", state === "paused" || ended);
    if (state === "off") {
      this.screen.clear();
      for (const name of ["mips", "load", "screen", "instructions"]) byId(`status-${name}`).textContent = "–";
    }
  }

  private showError(message: string, detail?: string): void {
    byId("error-text").textContent = message;
    byId("error-detail").textContent = detail ?? "";
    byId("error-detail").hidden = detail === undefined;
    this.error.hidden = false;
  }

  private hideError(): void {
    this.failure = "";
    this.error.hidden = true;
  }

  /** Presses keys together and lets them go, by their KeyboardEvent.code. */
  private press(codes: string): void {
    const down = codes.split(" ").flatMap((code) => scanCode(code) ?? []);
    const events = [
      ...down.map((code) => ({ code, down: true, afterNs: TYPING_NS })),
      ...down.reverse().map((code) => ({ code, down: false, afterNs: TYPING_NS })),
    ];
    this.machine?.send({ type: "keys", events });
  }

  /** Gives each disk to the browser as a download. */
  private saveDisks(disks: NamedBlob[]): void {
    if (disks.length === 0) this.showError("the guest has written nothing to a disk so far");
    for (const { name, blob } of disks) {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(blob);
      link.download = name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // once the download has begun
    }
  }

  private async fullScreen(): Promise<void> {
    try {
      await byId("screen").requestFullscreen();
      byId("canvas").focus();
      // Where the browser can: Esc and Ctrl+W are the guest's too.
      const keyboard = (navigator as { keyboard?: { lock?(): Promise<void> } }).keyboard;
      await keyboard?.lock?.();
    } catch {
      this.showError("the browser does not allow full screen here");
    }
  }

  readonly api: OrielApi = {
    start: (config) => this.startWith(() => configOf(config)),
    stop: () => this.stop(),
    screenText: () => this.machine?.ask("screenText") ?? Promise.resolve(""),
    serialText: () => this.serial.text,
    sendSerial: (text) => this.machine?.send({ type: "serial", bytes: new TextEncoder().encode(text) }),
    typeText: (text) => {
      const events = keyStrokes(text).map((stroke) => ({ ...stroke, afterNs: TYPING_NS }));
      this.machine?.send({ type: "keys", events });
    },
    status: () => {
      const { mips = 0, load = 0, instructions = 0, report = "", hashes = [] } = this.last ?? {};
      return { state: this.state, error: this.failure, mips, load, instructions, report, hashes };
    },
    stats: async () => JSON.parse((await this.machine?.ask("stats")) || "null") as unknown,
  };
}

async function configOf(api: ApiConfig): ReturnType<GuestForm["config"]> {
  const { memoryMiB, append, boot, deterministic, hashEvery, maxInstructions, ...named } = api;
  const files = [];
  for (const [kind, file] of Object.entries(named as ApiFiles) as [FileKind, Blob | string][]) {
    const blob = typeof file === "string" ? await (await fetch(file)).blob() : file;
    files.push({ name: typeof file === "string" ? file : kind, kind, blob });
  }
  const config = guestConfig(files, { memoryMib: memoryMiB ?? 512, append, bootOrder: boot });
  return { ...config, deterministic: deterministic ?? false, hashEvery, maxInstructions };
}

interface OrielApi {
  /** Stops what runs and boots `config`. Resolves when the worker has it; status() says how it went. */
  start(config: ApiConfig): Promise<void>;
  stop(): void;
  /** The text screen's lines; empty in graphics modes. */
  screenText(): Promise<string>;
  /** What COM1 has sent since the start (its last megabyte). */
  serialText(): string;
  /** Sends text to COM1. */
  sendSerial(text: string): void;
  /** Types text on the guest's keyboard (US layout). */
  typeText(text: string): void;
  /** As of the last quarter of a second; `error` is the line shown when a guest could not be started. */
  status(): {
    state: PageState;
    error: string;
    mips: number;
    load: number;
    instructions: number;
    report: string;
    hashes: string[];
  };
  /** The machine's counters (Machine::stats_json). */
  stats(): Promise<unknown>;
}

declare global {
  interface Window {
    oriel: OrielApi;
  }
}

window.oriel = new Page().api;
