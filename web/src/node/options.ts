// The command line of `oriel run`: one table that is parsed and printed. The native command
// (src/cli) takes the same options.

/** A wrong call or input: one line on stderr, exit status 2. */
export class UsageError extends Error {}

export const EXIT = { poweredOff: 0, usage: 2, timeOut: 3, tripleFault: 4, guestFailed: 5, differs: 6 } as const;

export type SerialTarget = { kind: "stdio" } | { kind: "none" } | { kind: "file"; path: string };

export interface RunOptions {
  kernel?: string;
  initrd?: string;
  append?: string;
  hda?: string;
  hdb?: string;
  cdrom?: string;
  virtio?: string;
  boot?: "c" | "d";
  snapshot: boolean;
  memoryMib: number;
  testDevice: boolean;
  bios: string;
  vgabios: string;
  serial: SerialTarget;
  debugcon: SerialTarget;
  displayPng?: string;
  maxSeconds?: number;
  maxInstructions?: number;
  deterministic: boolean;
  /** MachineConfig.jit, which the core looks at. */
  jit?: string;
  verifyJit: boolean;
  nsPerInsn?: number;
  hashEvery?: number;
  script?: string;
  statsJson?: string;
  help: boolean;
}

const MIN_MEMORY_MIB = 4;
const MAX_MEMORY_MIB = 3072;
const MAX_NS_PER_INSN = 1_000_000;

interface Option {
  name: string;
  /** What the value is called in the help; absent for a switch. */
  value?: string;
  help: string;
  set(o: RunOptions, value: string): void;
}

interface Group {
  title: string;
  options: Option[];
}

function positive(name: string, value: string, integer: boolean): number {
  const n = Number(value);
  if (!/^([0-9]+\.?[0-9]*|\.[0-9]+)$/.test(value) || !(n > 0) || n > Number.MAX_SAFE_INTEGER || (integer && n % 1 !== 0)) {
    throw new UsageError(`--${name}: '${value}' is not a positive ${integer ? "whole " : ""}number`);
  }
  return n;
}

/** The F of `prefix:F`. */
function pathAfter(name: string, prefix: string, value: string): string {
  const path = value.slice(prefix.length + 1);
  if (!value.startsWith(`${prefix}:`) || path === "") {
    throw new UsageError(`--${name}: '${value}' is not ${prefix}:FILE`);
  }
  return path;
}

/** Sets a file's name; an empty one is none. */
function path(key: "kernel" | "initrd" | "hda" | "hdb" | "virtio" | "cdrom" | "script") {
  return (o: RunOptions, value: string): void => {
    if (value === "") delete o[key];
    else o[key] = value;
  };
}

function target(name: string, value: string): SerialTarget {
  if (value === "stdio" || value === "none") return { kind: value };
  if (value.startsWith("file:") && value.length > 5) return { kind: "file", path: value.slice(5) };
  throw new UsageError(`--${name}: '${value}' is not stdio, file:FILE or none`);
}

const GROUPS: Group[] = [
  {
    title: "What to boot (at least one)",
    options: [
      { name: "kernel", value: "F", help: "a Linux kernel (bzImage), booted directly", set: path("kernel") },
      { name: "initrd", value: "F", help: "its initial RAM disk", set: path("initrd") },
      { name: "append", value: "TEXT", help: "its command line", set: (o, v) => void (o.append = v) },
      { name: "hda", value: "F", help: "raw disk image, IDE primary master", set: path("hda") },
      { name: "hdb", value: "F", help: "raw disk image, IDE primary slave", set: path("hdb") },
      { name: "virtio", value: "F", help: "raw disk image, virtio-blk", set: path("virtio") },
      { name: "cdrom", value: "F", help: "CD image (.iso), IDE secondary master", set: path("cdrom") },
      {
        name: "boot",
        value: "c|d",
        help: "boot the disk (c) or the CD (d) first; default: the disk",
        set: (o, v) => {
          if (v !== "c" && v !== "d") throw new UsageError(`--boot: '${v}' is not c or d`);
          o.boot = v;
        },
      },
      {
        name: "snapshot",
        help: "keep writes in memory; the images stay as they are",
        set: (o) => void (o.snapshot = true),
      },
    ],
  },
  {
    title: "The machine",
    options: [
      {
        name: "memory",
        value: "MiB",
        help: `memory, ${MIN_MEMORY_MIB} to ${MAX_MEMORY_MIB}; default 512`,
        set: (o, v) => {
          const n = positive("memory", v, true);
          if (n < MIN_MEMORY_MIB || n > MAX_MEMORY_MIB) {
            throw new UsageError(`--memory: ${v} MiB is not between ${MIN_MEMORY_MIB} and ${MAX_MEMORY_MIB} MiB`);
          }
          o.memoryMib = n;
        },
      },
      { name: "bios", value: "F", help: "the firmware; default: Debian's SeaBIOS", set: (o, v) => void (o.bios = v) },
      { name: "vgabios", value: "F", help: "the VGA firmware; default: Debian's", set: (o, v) => void (o.vgabios = v) },
      {
        name: "test-device",
        help: "the ports through which test programs report (docs/conformance.md)",
        set: (o) => void (o.testDevice = true),
      },
    ],
  },
  {
    title: "Input and output",
    options: [
      {
        name: "serial",
        value: "stdio|file:F|none",
        help: "where COM1 goes; default stdio (Ctrl-A x quits, Ctrl-A h lists more)",
        set: (o, v) => void (o.serial = target("serial", v)),
      },
      {
        name: "debugcon",
        value: "stdio|file:F|none",
        help: "the firmware's debug port 0x402 (stdio: to stderr); default none",
        set: (o, v) => void (o.debugcon = target("debugcon", v)),
      },
      {
        name: "display",
        value: "none|png:F",
        help: "png: the screen as it is at the end; default none",
        set: (o, v) => {
          if (v === "none") delete o.displayPng;
          else o.displayPng = pathAfter("display", "png", v);
        },
      },
      {
        name: "stats",
        value: "json:F",
        help: "write counters at the end",
        set: (o, v) => void (o.statsJson = pathAfter("stats", "json", v)),
      },
    ],
  },
  {
    title: "How to run",
    options: [
      {
        name: "max-seconds",
        value: "N",
        help: "stop after N seconds of host time, with exit status 3",
        set: (o, v) => void (o.maxSeconds = positive("max-seconds", v, false)),
      },
      {
        name: "max-instructions",
        value: "N",
        help: "stop after N guest instructions, with exit status 3",
        set: (o, v) => void (o.maxInstructions = positive("max-instructions", v, true)),
      },
      {
        name: "deterministic",
        help: "the clock counts instructions: the same run every time",
        set: (o) => void (o.deterministic = true),
      },
      {
        name: "ns-per-insn",
        value: "N",
        help: `the time that an instruction takes on that clock, 1 to ${MAX_NS_PER_INSN}; default 10`,
        set: (o, v) => {
          o.nsPerInsn = positive("ns-per-insn", v, true);
          if (o.nsPerInsn > MAX_NS_PER_INSN) throw new UsageError(`--ns-per-insn: ${v} is not between 1 and ${MAX_NS_PER_INSN}`);
        },
      },
      {
        name: "hash-every",
        value: "N",
        help: "print the state hash every N instructions (needs --deterministic)",
        set: (o, v) => void (o.hashEvery = positive("hash-every", v, true)),
      },
      {
        name: "jit",
        value: "on|off|L",
        help: "compile hot code to WebAssembly; default on with --host node, which alone can; L: on, within limits (docs/testing.md)",
        set: (o, v) => {
          if (v === "off") delete o.jit;
          else o.jit = v;
        },
      },
      {
        name: "verify-jit",
        help: "run tier 0 beside compiled code, stop where they differ; implies --deterministic --snapshot",
        set: (o) => void (o.verifyJit = o.deterministic = o.snapshot = true),
      },
      { name: "script", value: "F", help: "a test script that types and waits (docs/script.md)", set: path("script") },
      { name: "help", help: "print this", set: (o) => void (o.help = true) },
    ],
  },
];

export function runHelp(): string {
  const lines = ["Usage: oriel run [--host node|native] [OPTION]...", "", "Boots a PC.", ""];
  for (const group of GROUPS) {
    lines.push(`${group.title}:`);
    for (const o of group.options) {
      const left = `  --${o.name}${o.value === undefined ? "" : ` ${o.value}`}`;
      lines.push(left.length < 28 ? left.padEnd(28) + o.help : `${left}\n${" ".repeat(28)}${o.help}`);
    }
    lines.push("");
  }
  lines.push(
    "Exit status: 0 the guest powered off or was quit, 2 wrong call or input, 3 the time or the instructions",
    "ran out, 4 the guest shut itself down by a triple fault, 5 it failed by its own report to the test device,",
    "6 compiled code and tier 0 differ (--verify-jit), 128 + N ended by signal N.",
    "A writable image is locked by IMAGE.lock while it is in use.",
    "",
  );
  return lines.join("\n");
}

export function parseRunOptions(args: string[]): RunOptions {
  const o: RunOptions = {
    snapshot: false,
    memoryMib: 512,
    testDevice: false,
    bios: "/usr/share/seabios/bios-256k.bin",
    vgabios: "/usr/share/seabios/vgabios-stdvga.bin",
    serial: { kind: "stdio" },
    debugcon: { kind: "none" },
    deterministic: false,
    jit: "on",
    verifyJit: false,
    help: false,
  };
  const known = new Map(GROUPS.flatMap((g) => g.options).map((opt) => [opt.name, opt]));
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] as string;
    if (arg === "-h") {
      o.help = true;
      continue;
    }
    if (!arg.startsWith("--")) throw new UsageError(`'${arg}' is not an option (see 'oriel run --help')`);
    const equals = arg.indexOf("=");
    const name = equals < 0 ? arg.slice(2) : arg.slice(2, equals);
    const option = known.get(name);
    if (!option) throw new UsageError(`there is no option --${name} (see 'oriel run --help')`);
    if (option.value === undefined) {
      if (equals >= 0) throw new UsageError(`--${name} takes no value`);
      option.set(o, "");
      continue;
    }
    const value = equals >= 0 ? arg.slice(equals + 1) : args[++i];
    if (value === undefined) throw new UsageError(`--${name} needs a value: ${option.value}`);
    option.set(o, value);
  }
  if (!o.help) checkTogether(o);
  return o;
}

function checkTogether(o: RunOptions): void {
  if (o.kernel === undefined) {
    if (o.initrd !== undefined) throw new UsageError("--initrd needs --kernel");
    if (o.append !== undefined) throw new UsageError("--append needs --kernel");
    if (o.hda === undefined && o.hdb === undefined && o.virtio === undefined && o.cdrom === undefined) {
      throw new UsageError("nothing to boot: give --kernel, --hda, --virtio or --cdrom (see 'oriel run --help')");
    }
  }
  if (o.hashEvery !== undefined && !o.deterministic) throw new UsageError("--hash-every needs --deterministic");
  if (o.verifyJit && !o.jit) throw new UsageError("--verify-jit needs --jit on");
  if (o.nsPerInsn !== undefined && !o.deterministic) throw new UsageError("--ns-per-insn needs --deterministic");
}
