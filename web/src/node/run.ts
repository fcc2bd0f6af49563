// `oriel run` under Node: opens everything, then runs the machine in slices between which stdin, signals and
// timers get their turn.
import * as fs from "node:fs";
import { performance } from "node:perf_hooks";

import { Core, LogLevel, MachineError, MachineStatus, type CoreHost, type Disk, type DiskSlot } from "../core.ts";
import { checkOutput, ImageFile, openOutput, readWhole } from "./files.ts";
import { EXIT, UsageError, type RunOptions } from "./options.ts";
import { pngOfScreen } from "./png.ts";
import { ByteSink, TerminalInput } from "./terminal.ts";

const SLICE_NS = 15e6;
const SIGNALS = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 } as const;

/** Opens the images that `o` names; closes those it opened when one of them cannot be. */
function openImages(o: RunOptions): { images: ImageFile[]; disks: Partial<Record<DiskSlot, Disk>> } {
  const images: ImageFile[] = [];
  const disks: Partial<Record<DiskSlot, Disk>> = {};
  try {
    for (const slot of ["hda", "hdb", "virtio", "cdrom"] as const) {
      const path = o[slot];
      if (path === undefined) continue;
      const store = ImageFile.open(path, slot !== "cdrom" && !o.snapshot);
      images.push(store);
      disks[slot] = { store, snapshot: o.snapshot && slot !== "cdrom", name: path };
    }
  } catch (error) {
    for (const image of images) image.close();
    throw error;
  }
  return { images, disks };
}

class Run {
  private core: Core | undefined;
  private serial: ByteSink | undefined;
  private debugcon: ByteSink | undefined;
  private input: TerminalInput | undefined;
  private stopWith: number | undefined;
  private wake: () => void = () => undefined;
  private readonly sleeper = new Int32Array(new SharedArrayBuffer(4));
  private sleptMs = 0;
  private startMs = 0;

  constructor(private readonly o: RunOptions) {}

  /** Returns the exit status. */
  async main(wasmPath: string): Promise<number> {
    const o = this.o;
    const bytes = {
      bios: readWhole(o.bios),
      vgabios: readWhole(o.vgabios),
      kernel: o.kernel === undefined ? undefined : readWhole(o.kernel),
      initrd: o.initrd === undefined ? undefined : readWhole(o.initrd),
    };
    for (const path of [o.displayPng, o.statsJson]) if (path !== undefined) checkOutput(path);
    for (const t of [o.serial, o.debugcon]) if (t.kind === "file") checkOutput(t.path);
    const module = await WebAssembly.compile(readWhole(wasmPath) as Uint8Array<ArrayBuffer>);

    const { images, disks } = openImages(o);
    try {
      this.core = await Core.create(module, this.host(), {
        memoryBytes: o.memoryMib * 2 ** 20,
        deterministic: o.deterministic,
        ...bytes,
        append: o.append,
        bootOrder: o.boot,
        disks,
      });
      this.serial = ByteSink.open(o.serial, process.stdout, openOutput);
      this.debugcon = ByteSink.open(o.debugcon, process.stderr, openOutput);
      return await this.loop(this.core);
    } catch (error) {
      if (error instanceof MachineError) throw new UsageError(error.message);
      throw error;
    } finally {
      this.input?.close();
      const flushed = this.core?.flushDisks() ?? true;
      for (const image of images) image.close();
      if (!flushed) process.stderr.write("oriel: not everything the guest wrote reached its image\n");
      await this.serial?.close();
      await this.debugcon?.close();
    }
  }

  private host(): CoreHost {
    return {
      nowNs: () => performance.now() * 1e6,
      wallClockSeconds: () => Date.now() / 1000,
      log: (level, text) => {
        if (level <= LogLevel.Warn) process.stderr.write(`oriel: ${text}\n`);
      },
      serialOutput: (port, data) => {
        if (port === 0) this.serial?.add(data);
      },
      debugOutput: (byte) => this.debugcon?.add(Uint8Array.of(byte)),
    };
  }

  private stop(status: number): void {
    this.stopWith ??= status;
    this.wake();
  }

  private async loop(core: Core): Promise<number> {
    const { o } = this;
    for (const [name, number] of Object.entries(SIGNALS)) process.on(name, () => this.stop(128 + number));
    process.stdout.on("error", () => this.stop(128 + 13)); // its reader went away
    if (o.serial.kind === "stdio") {
      const commands = {
        quit: () => this.stop(EXIT.poweredOff),
        power: () => core.powerButton(),
        reset: () => core.reset(),
        dump: () => core.debugDump(),
      };
      this.input = new TerminalInput(commands, () => this.wake());
    }
    this.startMs = performance.now();
    const status = await this.slices(core);
    this.serial?.flush();
    if (o.displayPng !== undefined) fs.writeFileSync(o.displayPng, pngOfScreen(core));
    if (o.statsJson !== undefined) fs.writeFileSync(o.statsJson, this.stats(core, status));
    return status;
  }

  private async slices(core: Core): Promise<number> {
    const { o } = this;
    const endMs = this.startMs + (o.maxSeconds ?? Infinity) * 1000;
    const endInsns = o.maxInstructions ?? Infinity;
    let sliceInsns = 100_000; // deterministic mode has no time limit of its own: this one adapts
    let nextHash = o.hashEvery ?? Infinity;
    while (this.stopWith === undefined) {
      const before = performance.now();
      if (before >= endMs) return this.ranOut(`${o.maxSeconds} seconds`);
      this.input?.drain((bytes) => core.serialInput(0, bytes));

      const done = core.instructions();
      if (done >= endInsns) return this.ranOut(`${o.maxInstructions} instructions`);
      const room = Math.min(endInsns, nextHash) - done;
      const limit = o.deterministic ? Math.min(room, sliceInsns) : Math.min(room, Number.MAX_SAFE_INTEGER);
      const status = core.run(limit, SLICE_NS);
      this.serial?.flush();
      this.debugcon?.flush();

      while (core.instructions() >= nextHash) {
        process.stderr.write(`hash ${core.instructions()} ${core.stateHash()}\n`);
        nextHash += o.hashEvery ?? Infinity;
      }
      if (status === MachineStatus.PoweredOff) return EXIT.poweredOff;
      if (status === MachineStatus.TripleFault) {
        process.stderr.write(`oriel: the guest shut itself down by a triple fault\n${core.tripleFaultReport()}\n`);
        return EXIT.tripleFault;
      }
      if (o.deterministic && limit === sliceInsns) {
        const ms = performance.now() - before;
        sliceInsns = Math.round(Math.min(1e8, Math.max(1e4, sliceInsns * Math.min(2, SLICE_NS / 1e6 / ms))));
      }
      const idleMs = status === MachineStatus.Idle ? core.idleNs() / 1e6 : 0;
      await this.pause(Math.min(idleMs, endMs - performance.now()));
    }
    return this.stopWith;
  }

  private ranOut(what: string): number {
    process.stderr.write(`oriel: stopped after ${what}\n`);
    return EXIT.timeOut;
  }

  /** Lets the event loop turn, and sleeps until `ms` have passed or input came. */
  private async pause(ms: number): Promise<void> {
    const before = performance.now();
    if (ms >= 1 && !this.input?.waiting && this.stopWith === undefined) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.min(ms, 1000));
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.wake = () => undefined;
    } else {
      // Timers have no finer grain than a millisecond.
      if (ms > 0.05) Atomics.wait(this.sleeper, 0, 0, Math.min(ms, 1));
      await new Promise<void>((resolve) => void setImmediate(resolve));
    }
    if (ms > 0) this.sleptMs += performance.now() - before;
  }

  private stats(core: Core, status: number): string {
    const seconds = (performance.now() - this.startMs) / 1000;
    const busySeconds = seconds - this.sleptMs / 1000;
    const stats = {
      host: "node",
      exit_status: status,
      seconds,
      busy_seconds: busySeconds,
      instructions: core.instructions(),
      mips: core.instructions() / 1e6 / busySeconds,
      touched_bytes: core.touchedPages() * 4096,
      peak_rss_bytes: process.resourceUsage().maxRSS * 1024,
      machine: JSON.parse(core.statsJson()) as unknown,
    };
    return `${JSON.stringify(stats, null, 2)}\n`;
  }
}

export function run(o: RunOptions, wasmPath: string): Promise<number> {
  return new Run(o).main(wasmPath);
}
