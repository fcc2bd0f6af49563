#!/usr/bin/env node
// The speed of tier 0, side by side: integer loops without an operating system, and the boot of Debian's kernels to a
// shell. Each figure is CPU time of the whole process, so that other work on the machine disturbs it little; runs of
// the hosts alternate, and the median is printed with the least and the greatest.
// @ts-check
import { execFileSync, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const USAGE = `Usage: bench/bench.mjs [OPTION]...

Measures guest MIPS (million retired instructions per second of CPU time). Build first: ./run --build-only

  --runs N          runs of each case and host; default 3
  --hosts LIST      of native, node, bochs, qemu (TCG); default native,node
  --cases LIST      of alu, branch, memory, call (each in 32 and 64 bits), boot (686 and amd64, not on Bochs); default all
  --rounds N        rounds of a loop; default 20000000
  --json FILE       write all figures as JSON
`;

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), "..");
const work = fs.mkdtempSync(path.join(os.tmpdir(), "oriel-bench-"));
const LOOPS = ["alu", "branch", "memory", "call"];
const PROMPT = "oriel:/root#";

/** @typedef {"native" | "node" | "bochs" | "qemu"} HostName */
/** @typedef {{hda?: string, kernel?: string, initrd?: string, append?: string}} Guest */

/** The command that boots `guest` with COM1 going to the file `serial`. @type {Record<HostName, (g: Guest, serial: string) => string[]>} */
const HOSTS = {
  native: (g, serial) => [path.join(root, "build/release/oriel"), ...orielOptions(g, serial)],
  node: (g, serial) => [process.execPath, path.join(root, "build/web/oriel.mjs"), ...orielOptions(g, serial)],
  qemu: (g, serial) => {
    const args = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "512", "-display", "none", "-serial", `file:${serial}`];
    if (g.hda) args.push("-drive", `file=${g.hda},format=raw,snapshot=on`);
    if (g.kernel) args.push("-kernel", g.kernel, "-initrd", g.initrd ?? "", "-append", g.append ?? "");
    return args;
  },
  bochs: (g, serial) => {
    // Debian's Bochs is built with its debugger, which waits for a command, and has no display without a terminal.
    const rc = path.join(work, "bochsrc");
    fs.rmSync(`${g.hda}.lock`, { force: true }); // of the run before, which was killed
    fs.writeFileSync(
      rc,
      `display_library: term
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
cpu: model=corei7_sandy_bridge_2600k, count=1, ips=100000000, reset_on_triple_fault=0
memory: guest=512, host=512
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=disk, path=${g.hda}, mode=flat
boot: disk
clock: sync=none
port_e9_hack: enabled=1
log: ${work}/bochs.log
panic: action=fatal
`,
    );
    fs.writeFileSync(path.join(work, "bochs.go"), "c\n");
    return ["script", "-qfec", `exec bochs -q -rc ${work}/bochs.go -f ${rc}`, serial];
  },
};

/** @param {Guest} g @param {string} serial */
function orielOptions(g, serial) {
  const args = ["run", "--serial", `file:${serial}`, "--snapshot"];
  for (const name of /** @type {const} */ (["hda", "kernel", "initrd", "append"])) {
    const value = g[name];
    if (value !== undefined) args.push(`--${name}`, value);
  }
  return args;
}

/** CPU seconds that a process and its children alive have used. @param {number} pid @returns {number} */
function cpuSeconds(pid) {
  let ticks = 0;
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    ticks = Number(fields[11]) + Number(fields[12]);
    for (const child of fs.readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").split(" ").filter(Boolean)) {
      ticks += cpuSeconds(Number(child)) * 100;
    }
  } catch {
    // It ended.
  }
  return ticks / 100;
}

/**
 * Boots `guest` and returns the CPU seconds between two texts on COM1 (the first "": from the start).
 * @param {HostName} host @param {Guest} guest @param {string} from @param {string} to
 */
async function measure(host, guest, from, to) {
  const serial = path.join(work, `${host}.serial`);
  fs.rmSync(serial, { force: true });
  const [command = "", ...args] = HOSTS[host](guest, serial);
  const child = spawn(command, args, { stdio: ["ignore", "ignore", "pipe"], env: { ...process.env, TERM: "xterm" } });
  let stderr = "";
  let ended = false;
  child.stderr.on("data", (data) => (stderr += data));
  child.on("error", (error) => ((ended = true), (stderr += error.message)));
  child.on("exit", () => (ended = true));
  let began = from === "" ? 0 : -1;
  try {
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      const text = fs.existsSync(serial) ? fs.readFileSync(serial, "latin1") : "";
      const now = cpuSeconds(child.pid ?? 0);
      if (began < 0 && text.includes(from)) began = now;
      if (began >= 0 && text.includes(to)) return now - began;
      if (ended) throw new Error(`${host} ended before it wrote '${to}': ${stderr.trim()}`);
      if (now > 900) throw new Error(`${host} did not write '${to}' in 900 s of CPU time`);
    }
  } finally {
    // SIGTERM, so that script(1) ends what it runs.
    child.kill("SIGTERM");
    if (!ended) await new Promise((resolve) => child.on("exit", resolve));
  }
}

/** Instructions that Oriel retires until `until`, an idle machine included. @param {Guest} guest @param {string} until */
function instructions(guest, until) {
  const script = path.join(work, "script");
  const stats = path.join(work, "stats.json");
  fs.writeFileSync(script, `wait serial "${until}"\nend\n`);
  execFileSync(path.join(root, "build/release/oriel"), [
    ...orielOptions(guest, path.join(work, "count.serial")),
    ...["--script", script, "--stats", `json:${stats}`],
  ]);
  return Number(JSON.parse(fs.readFileSync(stats, "utf8")).instructions);
}

/** @param {string} kernel @param {number} bits @param {number} rounds */
function loopDisk(kernel, bits, rounds) {
  const file = path.join(work, `${kernel}${bits}.img`);
  execFileSync("nasm", [
    ...["-f", "bin", `-DKERNEL=${LOOPS.indexOf(kernel) + 1}`, `-DBITS_=${bits}`, `-DROUNDS=${rounds}`],
    ...["-o", file, path.join(root, "bench/loops.asm")],
  ]);
  fs.truncateSync(file, 16 * 63 * 512 * 20); // whole cylinders, as Bochs wants
  return file;
}

/** @typedef {{name: string, guest: Guest, from: string, to: string, instructions: number}} Case */

/** @param {string} name @param {number} rounds @returns {Case[]} */
function makeCases(name, rounds) {
  if (name === "boot") {
    return ["686", "amd64"].map((kernel) => {
      const dir = path.join(root, ".cache/guests", kernel);
      const guest = { kernel: path.join(dir, "vmlinuz"), initrd: path.join(dir, "initrd"), append: "console=ttyS0" };
      return { name: `boot ${kernel}`, guest, from: "", to: PROMPT, instructions: instructions(guest, PROMPT) };
    });
  }
  return [32, 64].map((bits) => {
    const least = instructions({ hda: loopDisk(name, bits, 1) }, "[D]");
    const guest = { hda: loopDisk(name, bits, rounds) };
    return { name: `${name} ${bits}`, guest, from: "[S]", to: "[D]", instructions: instructions(guest, "[D]") - least };
  });
}

/** @param {number[]} values */
function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

async function main() {
  const { values } = parseArgs({
    options: {
      runs: { type: "string", default: "3" },
      hosts: { type: "string", default: "native,node" },
      cases: { type: "string", default: [...LOOPS, "boot"].join(",") },
      rounds: { type: "string", default: "20000000" },
      json: { type: "string" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) return void process.stdout.write(USAGE);
  const hosts = /** @type {HostName[]} */ (values.hosts.split(","));
  const names = values.cases.split(",");
  const wrong = [...hosts.filter((h) => !(h in HOSTS)), ...names.filter((c) => ![...LOOPS, "boot"].includes(c))];
  if (wrong.length) throw new Error(`no host or case is called ${wrong[0]} (see --help)`);
  const runs = Number(values.runs);
  const rounds = Number(values.rounds);
  if (!(runs >= 1) || !(rounds >= 1)) throw new Error("--runs and --rounds are positive numbers");

  const results = [];
  console.log(`${"case".padEnd(12)}${"Minsns".padStart(9)}${hosts.map((h) => `${h} MIPS (least, greatest)`.padStart(32)).join("")}`);
  for (const name of names) {
    for (const c of makeCases(name, rounds)) {
      /** @type {Partial<Record<HostName, number[]>>} */
      const seconds = {};
      for (let run = 0; run < runs; run++) {
        for (const host of hosts) {
          if (host === "bochs" && !c.guest.hda) continue; // it cannot boot a kernel directly
          (seconds[host] ??= []).push(await measure(host, c.guest, c.from, c.to));
        }
      }
      const millions = c.instructions / 1e6;
      const row = hosts.map((host) => {
        if (!seconds[host]) return "-".padStart(32);
        const mips = (seconds[host] ?? []).map((s) => millions / s);
        const [mid, low, high] = [median(mips), Math.min(...mips), Math.max(...mips)].map((v) => v.toFixed(0));
        return `${mid} (${low}, ${high}) ${median(seconds[host] ?? []).toFixed(1)} s`.padStart(32);
      });
      console.log(`${c.name.padEnd(12)}${millions.toFixed(0).padStart(9)}${row.join("")}`);
      results.push({ case: c.name, instructions: c.instructions, cpu_seconds: seconds });
    }
  }
  if (values.json) fs.writeFileSync(values.json, `${JSON.stringify({ node: process.version, runs, results }, null, 2)}\n`);
}

main()
  .catch((error) => {
    process.stderr.write(`bench: ${error instanceof Error ? error.message : error}\n`);
    process.exitCode = 2;
  })
  .finally(() => fs.rmSync(work, { recursive: true, force: true }));
