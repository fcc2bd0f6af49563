// --verify-jit: tier 0 runs the same machine beside compiled code, in a second instance of the core, and is compared with
// it each time that compiled code has been left.
import { Core, MachineStatus, ScriptStep, type CoreHost, type MachineConfig } from "../core.ts";

const PAGE = 4096;
/** The A and D bits of a page table entry. */
const ACCESSED_DIRTY = 0x60;
/** So much memory is looked at at once where what differs is not known. */
const CHUNK = 2 ** 20;

/** Compiled code and tier 0 came to different states; the message is the report. */
export class Difference extends Error {}

export class Verifier {
  constructor(
    private readonly machine: () => Core,
    private readonly tier0: Core,
    private readonly memoryBytes: number,
  ) {}

  /** `config`: of the machine that is verified, whose disks are snapshots. */
  static async create(module: WebAssembly.Module, config: MachineConfig, machine: () => Core): Promise<Verifier> {
    const host: CoreHost = {
      nowNs: () => 0, // the clock counts instructions
      wallClockSeconds: () => 0,
      log: () => undefined,
      serialOutput: () => undefined,
      debugOutput: () => undefined,
    };
    const tier0 = await Core.create(module, host, { ...config, jit: undefined, trackWrites: true });
    return new Verifier(machine, tier0, config.memoryBytes);
  }

  /** CoreHost.compiledRan(). */
  compiledRan(from: number, to: number, registers: number): void {
    this.tier0.run(to - this.tier0.instructions(), Number.MAX_SAFE_INTEGER);
    const same = this.tier0.instructions() === to && this.tier0.registers() === registers;
    // Memory that tier 0 wrote. What compiled code alone wrote is found at the end of the slice.
    let memory = "";
    // Compiled code that leaves an access to tier 0 has walked the page tables for it: A and D bits may be set already.
    for (const page of this.tier0.writtenPages()) memory ||= this.firstDifference(page * PAGE, PAGE, ACCESSED_DIRTY);
    if (!same || memory) throw new Difference(this.report(`between instructions ${from} and ${to}`, memory));
  }

  /** The machine ran until `target`, or its run ended in another way. */
  sliceEnded(target: number, status: MachineStatus): void {
    const { tier0 } = this;
    const machine = this.machine();
    const status0 = tier0.run(target - tier0.instructions(), Number.MAX_SAFE_INTEGER);
    const same = status0 === status && tier0.instructions() === machine.instructions() && tier0.stateHash() === machine.stateHash();
    if (same) return;
    let memory = "";
    for (let at = 0; at < this.memoryBytes && !memory; at += CHUNK) memory = this.firstDifference(at, CHUNK);
    const states = `compiled: status ${status}, instruction ${machine.instructions()}; tier 0: status ${status0}, instruction ${tier0.instructions()}`;
    throw new Difference(this.report(`in the slice before instruction ${machine.instructions()} (${states})`, memory));
  }

  /** What is done to the machine between slices, done to tier 0. */
  serialInput(bytes: Uint8Array): void {
    this.tier0.serialInput(0, bytes);
  }
  powerButton(): void {
    this.tier0.powerButton();
  }
  reset(): void {
    this.tier0.reset();
  }
  runScript(): void {
    let step: ScriptStep;
    do step = this.tier0.scriptStep();
    while (step === ScriptStep.Print || step === ScriptStep.Screenshot);
  }

  /** `early`: bits of each fourth byte that compiled code may have set and tier 0 not yet. */
  private firstDifference(at: number, n: number, early = 0): string {
    const a = this.machine().ram(at, n);
    const b = this.tier0.ram(at, n);
    if (Buffer.compare(a, b) === 0) return "";
    const first = a.findIndex((byte, k) => byte !== b[k] && (k % 4 !== 0 || (byte & ~early) !== ((b[k] ?? 0) & ~early) || byte < (b[k] ?? 0)));
    if (first < 0) return "";
    const hex = (v: number | undefined, digits: number) => (v ?? 0).toString(16).padStart(digits, "0");
    const line = (m: Uint8Array) => Array.from(m.subarray(first, first + 16), (byte) => hex(byte, 2)).join(" ");
    return `RAM at ${hex(at + first, 8)}: compiled ${line(a)}, tier 0 ${line(b)}\n`;
  }

  private report(where: string, memory: string): string {
    const compiled = this.machine().registerText().trimEnd().split("\n");
    const tier0 = this.tier0.registerText().trimEnd().split("\n");
    const mark = (lines: string[], others: string[]) => lines.map((l, n) => `${l === others[n] ? " " : "*"} ${l}\n`).join("");
    return (
      `compiled code and tier 0 differ ${where}\n${memory}` +
      `compiled:\n${mark(compiled, tier0)}tier 0:\n${mark(tier0, compiled)}the unit that ran last:\n${this.machine().unitText()}`
    );
  }
}
