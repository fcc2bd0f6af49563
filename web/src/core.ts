// oriel.wasm as a typed object: instantiates the module with a host's functions and wraps its exports
// (src/host/wasm/wasm_host.cpp). Runs alike in Node and in a worker; knows neither.

/** What a host supplies to the core. Views passed in are into the machine's memory: copy what is kept. */
export interface CoreHost {
  /** Compiles the guest's code while the machine runs; without it, the machine waits for that. */
  readonly compiler?: Compiler | undefined;
  /** Monotonic host time, for the normal (not deterministic) clock. */
  nowNs(): number;
  /** Seconds since 1970 UTC, for the RTC at power-on. */
  wallClockSeconds(): number;
  /** Processor time that the process has used, where that is known. */
  cpuNs?(): number;
  log(level: LogLevel, text: string): void;
  serialOutput(port: number, bytes: Uint8Array): void;
  /** A byte that the firmware wrote to its debug port. */
  debugOutput(byte: number): void;
  /** With the limit verify=1: compiled code came from one count of instructions to another, and left registers with this
   * hash. */
  compiledRan?(from: number, to: number, registers: number): void;
}

/** Another thread that compiles WebAssembly (compiler.ts). */
export interface Compiler {
  /** There will be work. */
  start(): void;
  /** Whether it takes work: not any more once it has failed. */
  readonly alive: boolean;
  /** Whether an answer is due. */
  readonly busy: boolean;
  /** `done`: what came of it (undefined: nothing), and in how many milliseconds; called between runs of the machine. */
  compile(bytes: Uint8Array, done: (module: WebAssembly.Module | undefined, ms: number) => void): void;
}

/** The bytes of an image. Synchronous; false is an I/O error. */
export interface ByteStore {
  readonly size: number;
  readonly writable: boolean;
  read(offset: number, into: Uint8Array): boolean;
  write(offset: number, from: Uint8Array): boolean;
  flush(): boolean;
}

export enum LogLevel {
  Error,
  Warn,
  Info,
  Debug,
}

export enum MachineStatus {
  Running,
  Idle,
  PoweredOff,
  TripleFault,
  Failed,
}

/** What a script asks of the host next (src/machine/script.h). */
export enum ScriptStep {
  Waiting,
  Screenshot,
  Print,
  End,
  Finished,
}

export type DiskSlot = "hda" | "hdb" | "cdrom" | "virtio";

export interface Disk {
  store: ByteStore;
  /** Keep the guest's writes in memory and never write the store. */
  snapshot: boolean;
  /** What error messages call it. */
  name: string;
}

export interface MachineConfig {
  memoryBytes: number;
  deterministic: boolean;
  /** Compile hot code: "on", or within limits, NAME=N,... (src/jit/config.cpp). Default: do not. */
  jit?: string | undefined;
  /** For --verify-jit: note what memory is written (writtenPages()). */
  trackWrites?: boolean | undefined;
  /** In the deterministic mode: the virtual nanoseconds that an instruction takes; default 10. */
  nsPerInsn?: number | undefined;
  bios: Uint8Array;
  vgabios: Uint8Array;
  /** Read when the guest starts, and again at each reset. */
  kernel?: ByteStore | undefined;
  /** What error messages call the kernel. */
  kernelName?: string | undefined;
  initrd?: ByteStore | undefined;
  append?: string | undefined;
  bootOrder?: "c" | "d" | undefined;
  /** The ports through which test programs report. */
  testDevice?: boolean | undefined;
  disks: Partial<Record<DiskSlot, Disk>>;
  /** A test script, and what error messages call it. */
  script?: { text: Uint8Array; name: string } | undefined;
}

export interface ScreenInfo {
  width: number;
  height: number;
  textColumns: number;
  textRows: number;
  blank: boolean;
  generation: number;
}

export interface ScreenRect {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** A configuration that cannot be; its message is one line for a person. */
export class MachineError extends Error {}

/** The exports of oriel.wasm. Pointers are unsigned 32-bit. */
export interface Exports {
  memory: WebAssembly.Memory;
  _initialize(): void;
  oriel_alloc(n: number): number;
  oriel_free(p: number): void;
  oriel_config_number(field: number, value: number): void;
  oriel_config_blob(field: number, n: number): number;
  oriel_config_store(field: number, handle: number, size: number): void;
  oriel_config_disk(slot: number, handle: number, size: number, writable: number, snapshot: number): number;
  oriel_config_script(text: number, n: number): number;
  oriel_config_jit(text: number, n: number): number;
  oriel_config_memory(): number;
  oriel_create(): number;
  oriel_run(maxInsns: number, maxHostNs: number): number;
  oriel_idle_ns(): number;
  oriel_reset(): void;
  oriel_power_button(): void;
  oriel_key(scancode: number, down: number): void;
  oriel_mouse(dx: number, dy: number, dz: number, buttons: number): void;
  oriel_serial_input(port: number, data: number, n: number): number;
  oriel_insert_cd(handle: number, size: number): number;
  oriel_eject_cd(): void;
  oriel_disk_next_changed(slot: number, sector: number): number;
  oriel_disk_next_unchanged(slot: number, sector: number): number;
  oriel_disk_read(slot: number, sector: number, count: number, to: number): number;
  oriel_flush(): number;
  oriel_script_step(): number;
  oriel_script_text(): number;
  oriel_script_waiting_for(): number;
  oriel_script_idle_ns(): number;
  oriel_screen_info(): number;
  oriel_screen_render(everything: number, blinkOn: number): number;
  oriel_screen_pixels(): number;
  oriel_screen_rects(): number;
  oriel_screen_text(): number;
  oriel_instructions(): number;
  oriel_virtual_time_ns(): number;
  oriel_state_hash(): bigint;
  oriel_touched_pages(): number;
  oriel_stats_json(): number;
  oriel_triple_fault_report(): number;
  oriel_debug_dump(): number;
  oriel_registers(): number;
  oriel_register_text(): number;
  oriel_unit_text(): number;
  oriel_ram(): number;
  oriel_written_pages(): number;
  oriel_text_size(): number;
  oriel_bench_options(args: number, n: number, canCompile: number): number;
  oriel_bench_help(): number;
  oriel_bench_file(): number;
  oriel_bench_wants_json(): number;
  oriel_bench_cases(): number;
  oriel_bench_head(): number;
  oriel_bench_document(results: number, n: number): number;
  oriel_bench_jit_line(): number;
  oriel_bench_jit(): number;
  oriel_bench_jit_add(units: number, compileNs: number, lookupHits: number, lookupMisses: number, deopts: number): void;
  oriel_bench_payload(n: number): number;
  oriel_bench_create(index: number): number;
  oriel_bench_step(): number;
  oriel_bench_status(): number;
  oriel_bench_failure(): number;
  oriel_bench_measured(): number;
  oriel_bench_row(): number;
  oriel_bench_json(host: number, n: number): number;
  oriel_jit_compiled(number: number, ok: number, ns: number): void;
  __indirect_function_table: WebAssembly.Table;
}

/** What compiled code imports (src/jit/wasm/emit.h) besides "m", the memory, and "go", by the names of the core's exports. */
export const JIT_IMPORTS = ["fill", "step", "condition", "commit", "simd", "string", "x87_add", "x87_mul", "x87_div", "x87_load", "x87_store", "x87_compare"] as const;

// Numbered as in wasm_host.cpp.
const CONFIG_NUMBER = {
  memoryBytes: 0,
  deterministic: 1,
  nsPerInsn: 2,
  bootOrder: 3,
  testDevice: 4,
  trackWrites: 5,
} as const;
const CONFIG_BLOB = { bios: 0, vgabios: 1, append: 2 } as const;
const CONFIG_STORE = { kernel: 0, initrd: 1 } as const;
const DISK_SLOT: Record<DiskSlot, number> = { hda: 0, hdb: 1, cdrom: 2, virtio: 3 };

/**
 * In the deterministic mode input enters at multiples of this many instructions (and when the guest waits for
 * nothing but input), so that a script's run is the same on every host: src/cli/run.cpp has the same number.
 */
export const DETERMINISTIC_SLICE = 250_000;

/** How long a run is at most while code is being compiled that the guest waits for in tier 0, in instructions and nanoseconds. */
const SHORT_SLICE = { insns: 50_000, ns: 1e6 };

/** Serial input goes through one buffer of this size; what does not fit waits in the host. */
const INPUT_BUFFER = 4096;

/** Host::compile()'s answers. */
const COMPILED = { never: 0, now: 1, later: 2 } as const;

/** What the core has compiled goes into its table of functions (src/host/host.h: compile, install, provide, release). */
class CodeInstaller {
  private readonly modules = new Map<number, WebAssembly.Module>();
  private readonly table: WebAssembly.Table;
  private readonly imports: Record<string, WebAssembly.ImportValue>;

  constructor(
    private readonly exports: Exports,
    private readonly host: CoreHost,
  ) {
    this.table = exports.__indirect_function_table;
    this.imports = { m: exports.memory };
    const functions = exports as unknown as Record<string, WebAssembly.ImportValue>;
    for (const name of JIT_IMPORTS) this.imports[name] = functions[`oriel_jit_${name}`] as WebAssembly.ImportValue;
  }


  provide(bytes: Uint8Array): number {
    if (!WebAssembly.validate(bytes as BufferSource)) return 0; // an engine without tail calls
    const module = new WebAssembly.Module(bytes as BufferSource);
    Object.assign(this.imports, new WebAssembly.Instance(module, { o: { ...this.imports, t: this.table } }).exports);
    return 1;
  }

  private slots(at: number, count: number): Uint32Array {
    return new Uint32Array(this.exports.memory.buffer, at >>> 0, count);
  }

  /** An engine may run out of memory for code: tier 0 goes on. Anything else is a mistake of ours, to be seen. */
  private attempt<T>(make: () => T): T | undefined {
    try {
      return make();
    } catch (error) {
      this.host.log(LogLevel.Error, `code for the guest was not compiled: ${String(error)}`);
      return undefined;
    }
  }

  compile(bytes: Uint8Array, number: number, mayWait: boolean): number {
    const { compiler } = this.host;
    if (mayWait && compiler?.alive) {
      const copy = bytes.slice();
      compiler.compile(copy, (made, ms) => {
        const module = made ?? this.attempt(() => new WebAssembly.Module(copy));
        if (module) this.modules.set(number, module);
        this.exports.oriel_jit_compiled(number, Number(module !== undefined), ms * 1e6);
        this.modules.delete(number);
      });
      return COMPILED.later;
    }
    const module = this.attempt(() => new WebAssembly.Module(bytes as BufferSource));
    if (!module) return COMPILED.never;
    this.modules.set(number, module);
    return COMPILED.now;
  }

  install(number: number, at: number, count: number): number {
    const module = this.modules.get(number);
    this.modules.delete(number);
    const functions = module && this.attempt(() => new WebAssembly.Instance(module, { o: this.imports }).exports);
    if (!functions) return 0;
    const slots = this.slots(at, count);
    const missing = slots.filter((s) => s === 0).length;
    let next = missing ? this.table.grow(missing) : 0;
    for (let n = 0; n < count; n++) {
      slots[n] ||= next++;
      this.table.set(slots[n] as number, functions[String(n)]);
    }
    return 1;
  }

  release(at: number, count: number): void {
    for (const slot of this.slots(at, count)) this.table.set(slot, null);
  }
}

/** An instance of the module with its imports: `host`, and `stores` by their handles. */
export async function instantiate(
  module: WebAssembly.Module,
  host: CoreHost,
  stores: ByteStore[],
): Promise<Exports> {
  let memory: WebAssembly.Memory | undefined;
  // Memory grows, and a grown memory has a new buffer: a view is made for each use.
  const view = (p: number, n: number): Uint8Array => {
    if (!memory) throw new Error("the core called its host before it was ready");
    return new Uint8Array(memory.buffer, p >>> 0, n >>> 0);
  };
  const decoder = new TextDecoder();
  const imports = {
    now_ns: () => host.nowNs(),
    wall_clock_s: () => host.wallClockSeconds(),
    cpu_ns: () => host.cpuNs?.() ?? 0,
    log: (level: number, p: number, n: number) => host.log(level, decoder.decode(view(p, n))),
    serial_output: (port: number, p: number, n: number) => host.serialOutput(port, view(p, n)),
    debug_output: (byte: number) => host.debugOutput(byte),
    block_read: (handle: number, offset: number, p: number, n: number) =>
      Number(stores[handle]?.read(offset, view(p, n)) ?? false),
    block_write: (handle: number, offset: number, p: number, n: number) =>
      Number(stores[handle]?.write(offset, view(p, n)) ?? false),
    block_flush: (handle: number) => Number(stores[handle]?.flush() ?? false),
    compile: (p: number, n: number, number: number, mayWait: number) =>
      installer?.compile(view(p, n), number, mayWait !== 0) ?? COMPILED.never,
    install: (number: number, slots: number, count: number) => installer?.install(number, slots, count) ?? 0,
    provide: (p: number, n: number) => installer?.provide(view(p, n)) ?? 0,
    release: (slots: number, count: number) => installer?.release(slots, count),
    compiled_ran: (from: number, to: number, registers: number) => host.compiledRan?.(from, to, registers),
  };
  let installer: CodeInstaller | undefined;
  const instance = await WebAssembly.instantiate(module, { oriel: imports });
  const exports = instance.exports as unknown as Exports;
  memory = exports.memory;
  installer = new CodeInstaller(exports, host);
  exports._initialize();
  return exports;
}

/** Hands bytes, and a 0 behind them, to a function of the core. `tooLong`: what to say when there is no memory for them. */
export function give<T>(exports: Exports, bytes: Uint8Array, tooLong: string, f: (p: number, n: number) => T): T {
  const p = exports.oriel_alloc(bytes.length + 1) >>> 0;
  if (p === 0) throw new MachineError(tooLong);
  const copy = new Uint8Array(exports.memory.buffer, p, bytes.length + 1);
  copy.set(bytes);
  copy[bytes.length] = 0;
  const result = f(p, bytes.length);
  exports.oriel_free(p);
  return result;
}

export class Core {
  private readonly decoder = new TextDecoder();
  private readonly inputBuffer: number;

  private constructor(
    private readonly exports: Exports,
    private readonly stores: ByteStore[],
    private readonly compiler: Compiler | undefined,
  ) {
    this.inputBuffer = exports.oriel_alloc(INPUT_BUFFER) >>> 0;
  }

  /** Instantiates the module and makes the machine, or throws a MachineError. */
  static async create(module: WebAssembly.Module, host: CoreHost, config: MachineConfig): Promise<Core> {
    const stores: ByteStore[] = [];
    const exports = await instantiate(module, host, stores);
    const core = new Core(exports, stores, host.compiler);
    if (config.jit !== undefined) host.compiler?.start();
    core.configure(config);
    core.check(exports.oriel_config_memory());
    core.check(exports.oriel_create(), config.kernelName);
    return core;
  }

  private configure(config: MachineConfig): void {
    const e = this.exports;
    e.oriel_config_number(CONFIG_NUMBER.memoryBytes, config.memoryBytes);
    e.oriel_config_number(CONFIG_NUMBER.deterministic, Number(config.deterministic));
    if (config.jit !== undefined) {
      this.check(give(e, new TextEncoder().encode(config.jit), "--jit: too long", (p, n) => e.oriel_config_jit(p, n)));
    }
    e.oriel_config_number(CONFIG_NUMBER.trackWrites, Number(config.trackWrites ?? false));
    if (config.nsPerInsn !== undefined) e.oriel_config_number(CONFIG_NUMBER.nsPerInsn, config.nsPerInsn);
    e.oriel_config_number(CONFIG_NUMBER.bootOrder, config.bootOrder?.charCodeAt(0) ?? 0);
    e.oriel_config_number(CONFIG_NUMBER.testDevice, Number(config.testDevice ?? false));
    const blobs: Partial<Record<keyof typeof CONFIG_BLOB, Uint8Array | undefined>> = {
      bios: config.bios,
      vgabios: config.vgabios,
      append: config.append === undefined ? undefined : new TextEncoder().encode(config.append),
    };
    for (const [name, bytes] of Object.entries(blobs)) {
      if (!bytes || bytes.length === 0) continue;
      const p = e.oriel_config_blob(CONFIG_BLOB[name as keyof typeof CONFIG_BLOB], bytes.length) >>> 0;
      if (p === 0) throw new MachineError(`the ${name} of ${bytes.length} bytes does not fit in memory`);
      this.view(p, bytes.length).set(bytes);
    }
    for (const name of ["kernel", "initrd"] as const) {
      const store = config[name];
      if (store) e.oriel_config_store(CONFIG_STORE[name], this.stores.push(store) - 1, store.size);
    }
    for (const [slot, disk] of Object.entries(config.disks)) {
      const handle = this.stores.push(disk.store) - 1;
      const { size, writable } = disk.store;
      this.check(
        e.oriel_config_disk(DISK_SLOT[slot as DiskSlot], handle, size, Number(writable), Number(disk.snapshot)),
        disk.name,
      );
    }
    if (config.script) {
      const { text, name } = config.script;
      this.check(give(e, text, `${name}: too long`, (p, n) => e.oriel_config_script(p, n)), name);
    }
  }

  private view(p: number, n: number): Uint8Array {
    return new Uint8Array(this.exports.memory.buffer, p >>> 0, n);
  }

  /** The text that an export returned. */
  private text(p: number): string {
    return this.decoder.decode(this.view(p, this.exports.oriel_text_size()));
  }

  private check(errorText: number, name?: string): void {
    const error = this.text(errorText);
    if (error) throw new MachineError(name === undefined ? error : `${name}: ${error}`);
  }

  /** How many instructions the next run may have in the deterministic mode: `room`, and not beyond where input may enter. */
  deterministicSlice(room: number): number {
    const slice = Math.min(room, DETERMINISTIC_SLICE - (this.instructions() % DETERMINISTIC_SLICE));
    return this.compiler?.busy ? Math.min(slice, SHORT_SLICE.insns) : slice;
  }
  /** How long it may take in the other mode, where `ns` is usual. */
  sliceNs(ns: number): number {
    return this.compiler?.busy ? Math.min(ns, SHORT_SLICE.ns) : ns;
  }
  run(maxInsns: number, maxHostNs: number): MachineStatus {
    return this.exports.oriel_run(maxInsns, maxHostNs);
  }
  idleNs(): number {
    return this.exports.oriel_idle_ns();
  }
  reset(): void {
    this.exports.oriel_reset();
  }
  powerButton(): void {
    this.exports.oriel_power_button();
  }
  /** Scan code set 1; 0xE0xx for extended keys. */
  key(scancode: number, down: boolean): void {
    this.exports.oriel_key(scancode, Number(down));
  }
  /** Screen directions; buttons: 1 left, 2 right, 4 middle. */
  mouse(dx: number, dy: number, dz: number, buttons: number): void {
    this.exports.oriel_mouse(dx, dy, dz, buttons);
  }
  /** Returns how many bytes the port took. */
  serialInput(port: number, bytes: Uint8Array): number {
    const n = Math.min(bytes.length, INPUT_BUFFER);
    this.view(this.inputBuffer, n).set(bytes.subarray(0, n));
    return this.exports.oriel_serial_input(port, this.inputBuffer, n);
  }
  insertCd(disk: Disk): void {
    const handle = this.stores.push(disk.store) - 1;
    this.check(this.exports.oriel_insert_cd(handle, disk.store.size), disk.name);
  }
  ejectCd(): void {
    this.exports.oriel_eject_cd();
  }
  /** What the guest wrote to a disk that is a snapshot, in order: bytes, and where they belong. */
  *changes(slot: DiskSlot): Generator<{ offset: number; bytes: Uint8Array<ArrayBuffer> }> {
    const e = this.exports;
    const n = DISK_SLOT[slot];
    const most = 2048; // sectors at a time
    const buffer = e.oriel_alloc(most * 512) >>> 0;
    if (buffer === 0) throw new MachineError("there is no memory left to read the disk");
    try {
      for (let at = 0; ; ) {
        const from = e.oriel_disk_next_changed(n, at);
        const count = Math.min(e.oriel_disk_next_unchanged(n, from) - from, most);
        if (count <= 0) return;
        if (!e.oriel_disk_read(n, from, count, buffer)) throw new MachineError("the disk cannot be read");
        yield { offset: from * 512, bytes: this.view(buffer, count * 512).slice() as Uint8Array<ArrayBuffer> };
        at = from + count;
      }
    } finally {
      e.oriel_free(buffer);
    }
  }
  flushDisks(): boolean {
    return this.exports.oriel_flush() !== 0;
  }

  /** Goes on with the script: call it between slices, and again at once after Screenshot and Print. */
  scriptStep(): ScriptStep {
    return this.exports.oriel_script_step();
  }
  /** After Screenshot: the file's name. After Print: what to print. */
  scriptText(): string {
    return this.text(this.exports.oriel_script_text());
  }
  /** The command that the script waits at; empty when it is over. */
  scriptWaitingFor(): string {
    return this.text(this.exports.oriel_script_waiting_for());
  }
  /** The guest's time until scriptStep() can do more without new output. */
  scriptIdleNs(): number {
    return this.exports.oriel_script_idle_ns();
  }

  screenInfo(): ScreenInfo {
    const p = this.exports.oriel_screen_info() >>> 0;
    const [width = 0, height = 0, textColumns = 0, textRows = 0, blank = 0, generation = 0] = new Uint32Array(
      this.exports.memory.buffer,
      p,
      6,
    );
    return { width, height, textColumns, textRows, blank: blank !== 0, generation };
  }
  /** Renders what changed, or everything, into screenPixels(); returns the rectangles written. */
  screenRender(everything: boolean, blinkOn: boolean): ScreenRect[] {
    const n = this.exports.oriel_screen_render(Number(everything), Number(blinkOn)) >>> 0;
    const raw = new Uint32Array(this.exports.memory.buffer, this.exports.oriel_screen_rects() >>> 0, n * 4);
    const rects: ScreenRect[] = [];
    for (let i = 0; i < raw.length; i += 4) {
      const [x = 0, y = 0, width = 0, height = 0] = raw.subarray(i, i + 4);
      rects.push({ x, y, width, height });
    }
    return rects;
  }
  /** RGBA, width * height * 4 bytes, as of the last screenRender(). A view: valid until the machine runs again. */
  screenPixels(info: ScreenInfo): Uint8Array {
    return this.view(this.exports.oriel_screen_pixels(), info.width * info.height * 4);
  }
  screenText(): string {
    return this.text(this.exports.oriel_screen_text());
  }

  instructions(): number {
    return this.exports.oriel_instructions();
  }
  virtualTimeNs(): number {
    return this.exports.oriel_virtual_time_ns();
  }
  /** 16 hexadecimal digits. */
  stateHash(): string {
    return BigInt.asUintN(64, this.exports.oriel_state_hash()).toString(16).padStart(16, "0");
  }
  touchedPages(): number {
    return this.exports.oriel_touched_pages();
  }
  statsJson(): string {
    return this.text(this.exports.oriel_stats_json());
  }
  tripleFaultReport(): string {
    return this.text(this.exports.oriel_triple_fault_report());
  }
  debugDump(): string {
    return this.text(this.exports.oriel_debug_dump());
  }

  /** A hash of the registers, and the registers (src/jit/verify.h). */
  registers(): number {
    return this.exports.oriel_registers();
  }
  registerText(): string {
    return this.text(this.exports.oriel_register_text());
  }
  /** The IR of the unit that ran last. */
  unitText(): string {
    return this.text(this.exports.oriel_unit_text());
  }
  /** The numbers of the pages of RAM that were written since the last call. */
  writtenPages(): Uint32Array {
    const p = this.exports.oriel_written_pages() >>> 0;
    const [n = 0] = new Uint32Array(this.exports.memory.buffer, p, 1);
    return new Uint32Array(this.exports.memory.buffer, p + 4, n);
  }
  /** A view of RAM. */
  ram(offset: number, n: number): Uint8Array {
    return this.view((this.exports.oriel_ram() >>> 0) + offset, n);
  }
}
