// The CPU worker: runs the machine in slices. Between two slices it takes the page's messages; when the guest
// is idle it sleeps until the guest's next timer or the next message.
import { Core, DETERMINISTIC_SLICE, LogLevel, MachineError, MachineStatus, type CoreHost } from "../core.ts";
import { CompilerThread, pays, type Thread } from "../compiler.ts";
import type { FromWorker, GuestConfig, KeyEventMessage, NamedBlob, RunState, ToWorker } from "../protocol.ts";
import { BlobStore } from "./blob_store.ts";

const SLICE_NS = 6e6;
const STATUS_MS = 250;
/** idleNs() beyond this means that only input wakes the guest. */
const NEVER_NS = 1e17;
/** How long the cursor and blinking text show, and hide: about 16 frames of a VGA. */
const BLINK_MS = 266;

const scope = self as unknown as DedicatedWorkerGlobalScope;

function post(message: FromWorker, transfer: Transferable[] = []): void {
  scope.postMessage(message, transfer);
}

function startCompiling(): Thread {
  const worker = new Worker("compile_worker.js", { type: "module" });
  return {
    postMessage: (task) => worker.postMessage(task),
    receive: (take) => {
      worker.onmessage = (event: MessageEvent<Parameters<typeof take>[0]>) => take(event.data);
    },
    lost: (tell) => {
      worker.onerror = (event) => tell(event.message || "compile_worker.js cannot be loaded");
      worker.onmessageerror = () => tell("a module does not pass from thread to thread");
    },
  };
}

interface MouseEventMessage {
  dx: number;
  dy: number;
  dz: number;
  buttons: number;
}

class CpuWorker {
  private core: Core | undefined;
  private config: GuestConfig | undefined;
  private state: RunState = "running";

  // Input that waits for the guest.
  private keys: KeyEventMessage[] = [];
  private keyDueNs = 0;
  private mouse: MouseEventMessage[] = [];
  private serialIn: Uint8Array[] = [];
  private takeInput = true;

  private serialOut: Uint8Array[] = [];

  private readonly channel = new MessageChannel();
  private turnPosted = false;
  private timer: ReturnType<typeof setTimeout> | undefined;
  // Sleeping for less than a timer can: not without cross-origin isolation.
  private readonly sleeper = scope.crossOriginIsolated ? new Int32Array(new SharedArrayBuffer(4)) : undefined;

  private busyMs = 0;
  private statusMs = 0;
  private statusInsns = 0;
  private mips = 0;
  private load = 0;
  private nextHash = Infinity;
  private hashes: string[] = [];

  constructor() {
    this.channel.port1.onmessage = () => {
      this.turnPosted = false;
      this.turn();
    };
    setInterval(() => {
      if (this.alive && performance.now() - this.statusMs >= STATUS_MS) this.postStatus();
    }, STATUS_MS);
  }

  async start(message: Extract<ToWorker, { type: "start" }>): Promise<void> {
    const { config, firmware } = message;
    const disks = Object.fromEntries(
      Object.entries(config.disks).map(([slot, disk]) => [
        slot,
        { store: new BlobStore(disk.blob), snapshot: slot !== "cdrom", name: disk.name },
      ]),
    );
    this.core = await Core.create(firmware.module, this.host(), {
      memoryBytes: config.memoryMib * 2 ** 20,
      deterministic: config.deterministic,
      jit: "on",
      bios: firmware.bios,
      vgabios: firmware.vgabios,
      kernel: config.kernel && new BlobStore(config.kernel.blob),
      kernelName: config.kernel?.name,
      initrd: config.initrd && new BlobStore(config.initrd.blob),
      append: config.append,
      bootOrder: config.bootOrder,
      disks,
    });
    this.config = config;
    this.nextHash = config.hashEvery ?? Infinity;
    this.statusMs = performance.now();
    post({ type: "started" });
    this.postStatus();
    this.schedule();
  }

  private host(): CoreHost {
    return {
      compiler: pays(navigator.hardwareConcurrency) ? new CompilerThread(startCompiling, (text) => console.warn(text)) : undefined,
      nowNs: () => performance.now() * 1e6,
      wallClockSeconds: () => Date.now() / 1000,
      log: (level, text) => {
        if (level <= LogLevel.Warn) console.warn(text);
      },
      serialOutput: (port, bytes) => {
        if (port === 0) this.serialOut.push(bytes.slice());
      },
      debugOutput: () => undefined,
    };
  }

  receive(message: ToWorker): void {
    const { core } = this;
    if (!core) return; // not started, or refused
    switch (message.type) {
      case "start":
        break;
      case "pause":
        if (this.alive) this.enter("paused");
        break;
      case "resume":
        if (this.state === "paused") this.enter("running");
        break;
      case "reset":
        core.reset();
        if (this.state !== "paused") this.enter("running");
        break;
      case "power":
        core.powerButton();
        this.wake();
        break;
      case "keys":
        this.keys.push(...message.events);
        this.wake();
        break;
      case "mouse":
        this.mouse.push(message);
        this.wake();
        break;
      case "serial":
        this.serialIn.push(message.bytes);
        this.wake();
        break;
      case "frame":
        this.frame(core);
        break;
      case "cd":
        this.attempt(() => {
          if (message.cd) core.insertCd({ store: new BlobStore(message.cd.blob), snapshot: false, name: message.cd.name });
          else core.ejectCd();
        });
        this.wake();
        break;
      case "disks":
        this.attempt(() => post({ type: "disks", disks: this.changedDisks(core) }));
        break;
      case "ask":
        post({
          type: "answer",
          id: message.id,
          text:
            message.what === "screenText"
              ? core.screenText()
              : message.what === "stats"
                ? core.statsJson()
                : core.debugDump(),
        });
        break;
    }
  }

  private attempt(action: () => void): void {
    try {
      action();
    } catch (error) {
      if (!(error instanceof MachineError)) throw error;
      post({ type: "notice", message: error.message });
    }
  }

  /** The disks that were written to: what is as it was in the image is a part of it, and costs nothing. */
  private changedDisks(core: Core): NamedBlob[] {
    const changed: NamedBlob[] = [];
    for (const slot of ["hda", "hdb", "virtio"] as const) {
      const disk = this.config?.disks[slot];
      if (!disk) continue;
      const parts: BlobPart[] = [];
      let end = 0;
      for (const { offset, bytes } of core.changes(slot)) {
        parts.push(disk.blob.slice(end, offset), bytes);
        end = offset + bytes.length;
      }
      if (parts.length > 0) changed.push({ name: disk.name, blob: new Blob([...parts, disk.blob.slice(end)]) });
    }
    return changed;
  }

  /** Neither paused nor at its end. */
  private get alive(): boolean {
    return this.state === "running" || this.state === "halted";
  }

  private enter(state: RunState): void {
    this.state = state;
    this.postStatus();
    this.wake();
  }

  private wake(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.alive) this.schedule();
  }

  /** The next turn, after the messages that wait. */
  private schedule(): void {
    if (this.turnPosted) return;
    this.turnPosted = true;
    this.channel.port2.postMessage(null);
  }

  private turn(): void {
    const { core, config } = this;
    if (!core || !config || !this.alive) return;
    if (this.takeInput) this.giveInput(core);
    const done = core.instructions();
    const end = config.maxInstructions ?? Infinity;
    if (done >= end) return this.enter("paused");

    const before = performance.now();
    const room = Math.min(end, this.nextHash, Number.MAX_SAFE_INTEGER) - done;
    const status = config.deterministic
      ? core.run(core.deterministicSlice(room), Number.MAX_SAFE_INTEGER)
      : core.run(room, core.sliceNs(SLICE_NS));
    this.busyMs += performance.now() - before;
    const idle = status === MachineStatus.Idle;
    this.takeInput = !config.deterministic || idle || core.instructions() % DETERMINISTIC_SLICE === 0;
    while (core.instructions() >= this.nextHash) {
      this.hashes.push(`${core.instructions()} ${core.stateHash()}`);
      this.nextHash += config.hashEvery ?? Infinity;
    }
    this.postSerial();
    if (status === MachineStatus.PoweredOff || status === MachineStatus.Failed) return this.enter("poweredOff");
    if (status === MachineStatus.TripleFault) return this.enter("tripleFault");
    if (performance.now() - this.statusMs >= STATUS_MS) this.postStatus();
    if (idle) this.sleep(core);
    else {
      this.state = "running";
      this.schedule();
    }
  }

  private giveInput(core: Core): void {
    for (let key = this.keys[0]; key; key = this.keys[0]) {
      if (core.virtualTimeNs() < this.keyDueNs + key.afterNs) break;
      core.key(key.code, key.down);
      this.keyDueNs = core.virtualTimeNs();
      this.keys.shift();
    }
    for (const { dx, dy, dz, buttons } of this.mouse) core.mouse(dx, dy, dz, buttons);
    this.mouse = [];
    for (let first = this.serialIn[0]; first; first = this.serialIn[0]) {
      const taken = core.serialInput(0, first);
      if (taken < first.length) {
        this.serialIn[0] = first.subarray(taken);
        break;
      }
      this.serialIn.shift();
    }
  }

  private sleep(core: Core): void {
    let ns = core.idleNs();
    this.state = ns > NEVER_NS ? "halted" : "running";
    const key = this.keys[0];
    if (key) ns = Math.min(ns, this.keyDueNs + key.afterNs - core.virtualTimeNs());
    if (this.serialIn.length > 0 || ns <= 0) return this.schedule();
    if (ns > NEVER_NS) return; // a message wakes it
    const ms = ns / 1e6;
    if (ms < 1 && this.sleeper) {
      Atomics.wait(this.sleeper, 0, 0, ms);
      return this.schedule();
    }
    // By way of the channel, because a timer that a timer sets takes at least 4 ms.
    this.timer = setTimeout(() => this.wake(), Math.max(1, Math.floor(ms)));
  }

  private postSerial(): void {
    if (this.serialOut.length === 0) return;
    const bytes = new Uint8Array(this.serialOut.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of this.serialOut) {
      bytes.set(part, at);
      at += part.length;
    }
    this.serialOut = [];
    post({ type: "serial", bytes }, [bytes.buffer]);
  }

  private frame(core: Core): void {
    const blinkOn = this.state === "paused" || Math.floor(performance.now() / BLINK_MS) % 2 === 0;
    const rects = core.screenRender(false, blinkOn);
    const screen = core.screenInfo();
    const pixels = new Uint8Array(rects.reduce((sum, r) => sum + r.width * r.height * 4, 0));
    const all = core.screenPixels(screen);
    let at = 0;
    for (const { x, y, width, height } of rects) {
      for (let row = y; row < y + height; row++) {
        const from = (row * screen.width + x) * 4;
        pixels.set(all.subarray(from, from + width * 4), at);
        at += width * 4;
      }
    }
    post({ type: "frame", screen, rects, pixels: pixels.buffer }, [pixels.buffer]);
  }

  private postStatus(): void {
    const { core } = this;
    if (!core) return;
    const now = performance.now();
    const ms = now - this.statusMs;
    const instructions = core.instructions();
    if (ms >= STATUS_MS / 2) {
      this.mips = (instructions - this.statusInsns) / 1000 / ms;
      this.load = Math.min(1, this.busyMs / ms);
      this.statusMs = now;
      this.statusInsns = instructions;
      this.busyMs = 0;
    }
    post({
      type: "status",
      status: {
        state: this.state,
        instructions,
        mips: this.mips,
        load: this.load,
        screen: core.screenInfo(),
        report: this.state === "tripleFault" ? core.tripleFaultReport() : "",
        hashes: this.hashes,
      },
    });
  }
}

const worker = new CpuWorker();

/** What a person can do about it when the core could not be made, or failed. */
function describe(error: unknown): FromWorker {
  if (error instanceof MachineError) return { type: "refused", message: error.message };
  if (error instanceof RangeError) {
    return { type: "refused", message: "the browser does not give the guest this much memory; choose less" };
  }
  return { type: "crashed", message: error instanceof Error ? (error.stack ?? error.message) : String(error) };
}

scope.onmessage = (event: MessageEvent<ToWorker>) => {
  const message = event.data;
  if (message.type === "start") worker.start(message).catch((error: unknown) => post(describe(error)));
  else worker.receive(message);
};
// What fails in a turn arrives here.
scope.onerror = (event) => {
  const error: unknown = typeof event === "string" ? event : ((event as ErrorEvent).error ?? event);
  post(describe(error));
  return true;
};
