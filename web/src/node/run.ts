// `oriel run` under Node: opens everything, then runs the machine in slices between which stdin, signals and
// timers get their turn.
import { performance } from "node:perf_hooks";

import {
  Core,
  DETERMINISTIC_SLICE,
  LogLevel,
  MachineError,
  MachineStatus,
  ScriptStep,
  type CoreHost,
  type Disk,
  type DiskSlot,
  type MachineConfig,
} from "../core.ts";
import { compileCore, compilerThread } from "./engine.ts";
import { checkOutput, ImageFile, openOutput, readInput, readWhole, writeWhole } from "./files.ts";
import { EXIT, UsageError, type RunOptions } from "./options.ts";
import { pngOfScreen } from "./png.ts";
import { ByteSink, TerminalInput } from "./terminal.ts";
import { Difference, Verifier } from "./verify.ts";

const VERIFY = "verify=1,chain=0,worker=0";
const SLICE_NS = 15e6;
const SIGNALS = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 } as const;

/** Not resourceUsage(), which also counts what the parent took when it forked. */
function peakRssBytes(): number {
  const status = new TextDecoder().decode(readWhole("/proc/self/status"));
  return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024;
}

type OpenedConfig = Pick<MachineConfig, "disks" | "kernel" | "initrd">;

/** Opens the images, kernel and initrd that `o` names; closes those it opened when one of them cannot be. */
function openImages(o: RunOptions): { images: ImageFile[]; config: OpenedConfig } {
  const images: ImageFile[] = [];
  const disks: Partial<Record<DiskSlot, Disk>> = {};
  const config: OpenedConfig = { disks };
  try {
    for (const part of ["kernel", "initrd"] as const) {
      const path = o[part];
      if (path === undefined) continue;
      const store = ImageFile.open(path, false);
      images.push(store);
      if (store.size === 0) throw new UsageError(`${path}: is empty`);
      config[part] = store;
    }
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
  return { images, config };
}

/** What the machine is made of, with the files that are read whole. */
function readInputs(o: RunOptions): Omit<MachineConfig, keyof OpenedConfig> {
  return {
    memoryBytes: o.memoryMib * 2 ** 20,
    deterministic: o.deterministic,
    nsPerInsn: o.nsPerInsn,
    // Each unit is looked at by itself, and each run is as the one before, unless other limits are asked for.
    jit: !o.verifyJit ? o.jit : o.jit === "on" ? VERIFY : `${VERIFY},${o.jit}`,
    bios: readInput(o.bios),
    vgabios: readInput(o.vgabios),
    kernelName: o.kernel,
    append: o.append,
    bootOrder: o.boot,
    testDevice: o.testDevice,
    script: o.script === undefined ? undefined : { text: readWhole(o.script), name: o.script },
  };
}

class Run {
  private core: Core | undefined;
  private verifier: Verifier | undefined;
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
    let inputs: ReturnType<typeof readInputs> | undefined = readInputs(o); // before anything is opened or written
    for (const path of [o.displayPng, o.statsJson]) if (path !== undefined) checkOutput(path);
    for (const t of [o.serial, o.debugcon]) if (t.kind === "file") checkOutput(t.path);
    const module = await compileCore(wasmPath);

    const { images, config } = openImages(o);
    try {
      this.core = await Core.create(module, this.host(), { ...inputs, ...config });
      if (o.verifyJit) this.verifier = await Verifier.create(module, { ...inputs, ...config }, () => this.core as Core);
      inputs = undefined; // the core has copies
      this.serial = ByteSink.open(o.serial, process.stdout, openOutput);
      this.debugcon = ByteSink.open(o.debugcon, process.stderr, openOutput);
      return await this.loop(this.core);
    } catch (error) {
      if (error instanceof Difference) {
        process.stderr.write(`oriel: ${error.message}`);
        return EXIT.differs;
      }
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
      compiler: compilerThread(this.o.jit, (text) => process.stderr.write(`oriel: ${text}\n`)),
      nowNs: () => performance.now() * 1e6,
      wallClockSeconds: () => Date.now() / 1000,
      log: (level, text) => {
        if (level <= LogLevel.Warn) process.stderr.write(`oriel: ${text}\n`);
      },
      serialOutput: (port, data) => {
        if (port === 0) this.serial?.add(data);
      },
      debugOutput: (byte) => this.debugcon?.add(Uint8Array.of(byte)),
      compiledRan: (from, to, registers) => this.verifier?.compiledRan(from, to, registers),
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
        power: () => (core.powerButton(), this.verifier?.powerButton()),
        reset: () => (core.reset(), this.verifier?.reset()),
        dump: () => core.debugDump(),
      };
      this.input = new TerminalInput(commands, () => this.wake());
    }
    this.startMs = performance.now();
    const status = await this.slices(core);
    this.serial?.flush();
    if (o.displayPng !== undefined) writeWhole(o.displayPng, pngOfScreen(core));
    if (o.statsJson !== undefined) writeWhole(o.statsJson, this.stats(core, status));
    return status;
  }

  private async slices(core: Core): Promise<number> {
    const { o } = this;
    const endMs = this.startMs + (o.maxSeconds ?? Infinity) * 1000;
    const endInsns = o.maxInstructions ?? Infinity;
    let nextHash = o.hashEvery ?? Infinity;
    let takeInput = true;
    while (this.stopWith === undefined) {
      if (performance.now() >= endMs) return this.ranOut(core, `${o.maxSeconds} seconds`);
      if (takeInput) this.input?.drain((bytes) => this.serialInput(core, bytes));
      if (o.script !== undefined && takeInput && !this.runScript(core)) return EXIT.poweredOff;

      const done = core.instructions();
      if (done >= endInsns) return this.ranOut(core, `${o.maxInstructions} instructions`);
      const room = Math.min(endInsns, nextHash, Number.MAX_SAFE_INTEGER) - done;
      const slice = core.deterministicSlice(room);
      const status = o.deterministic
        ? core.run(slice, Number.MAX_SAFE_INTEGER)
        : core.run(room, core.sliceNs(SLICE_NS));
      this.verifier?.sliceEnded(done + slice, status);
      takeInput =
        !o.deterministic || status === MachineStatus.Idle || core.instructions() % DETERMINISTIC_SLICE === 0;
      this.serial?.flush();
      this.debugcon?.flush();

      while (core.instructions() >= nextHash) {
        process.stderr.write(`hash ${core.instructions()} ${core.stateHash()}\n`);
        nextHash += o.hashEvery ?? Infinity;
      }
      if (status === MachineStatus.PoweredOff) return EXIT.poweredOff;
      if (status === MachineStatus.Failed) return EXIT.guestFailed;
      if (status === MachineStatus.TripleFault) {
        process.stderr.write(`oriel: the guest shut itself down by a triple fault\n${core.tripleFaultReport()}\n`);
        return EXIT.tripleFault;
      }
      let idleMs = status === MachineStatus.Idle ? core.idleNs() / 1e6 : 0;
      if (idleMs > 0 && o.script !== undefined) idleMs = Math.min(idleMs, core.scriptIdleNs() / 1e6);
      await this.pause(Math.min(idleMs, endMs - performance.now()));
    }
    return this.stopWith;
  }

  private serialInput(core: Core, bytes: Uint8Array): number {
    const taken = core.serialInput(0, bytes);
    this.verifier?.serialInput(bytes.subarray(0, taken));
    return taken;
  }

  /** Lets the script go on. False: it ended the run. */
  private runScript(core: Core): boolean {
    this.verifier?.runScript();
    for (;;) {
      switch (core.scriptStep()) {
        case ScriptStep.Waiting:
        case ScriptStep.Finished:
          return true;
        case ScriptStep.End:
          return false;
        case ScriptStep.Print:
          process.stdout.write(core.scriptText());
          break;
        case ScriptStep.Screenshot:
          try {
            writeWhole(core.scriptText(), pngOfScreen(core));
          } catch (error) {
            process.stderr.write(`oriel: ${(error as Error).message}\n`);
          }
          break;
      }
    }
  }

  private ranOut(core: Core, what: string): number {
    process.stderr.write(`oriel: stopped after ${what}\n`);
    const waitingFor = this.o.script === undefined ? "" : core.scriptWaitingFor();
    if (waitingFor) process.stderr.write(`oriel: the script waits at ${waitingFor}\n`);
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
      peak_rss_bytes: peakRssBytes(),
      machine: JSON.parse(core.statsJson()) as unknown,
    };
    return `${JSON.stringify(stats, null, 2)}\n`;
  }
}

export function run(o: RunOptions, wasmPath: string): Promise<number> {
  return new Run(o).main(wasmPath);
}
