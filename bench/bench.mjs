#!/usr/bin/env node
// Oriel beside other emulators: the payloads of `oriel bench`, without an operating system, and the boot of Debian's
// kernels to a shell. Each figure is CPU time of the whole process, so that other work on the machine disturbs it little;
// runs of the hosts alternate, and the median is printed with the least and the greatest.
// @ts-check
import { execFileSync, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { cpuSeconds, median } from "./emulators/measure.mjs";

const USAGE = `Usage: bench/bench.mjs [OPTION]...

Measures guest MIPS (million retired instructions per second of CPU time). Build first: ./run --build-only

  --runs N          runs of each case and host; default 3
  --hosts LIST      of native, node (its interpreter), jit (Node with --jit on), qemu (TCG), bochs; default native,node
  --cases LIST      of the payloads (oriel bench --help), boot (686 and amd64), and cd (686 from a CD, which is all that
                    bochs is given: it boots no kernel by itself); default the payloads and boot
  --instructions N  a payload's iterations retire about so many; default 300000000
  --json FILE       write all figures as JSON
`;

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), "..");
const work = fs.mkdtempSync(path.join(os.tmpdir(), "oriel-bench-"));
const PAYLOADS = ["alu", "branch_pred", "branch_unpred", "mem_seq", "mem_stride", "call_ret", "sse", "fp", "string"];
const PROMPT = "oriel:/root#";
const EMPTY = path.join(work, "empty.iso");
// Bochs 2.7 does not get the kernel past its interrupt controllers otherwise.
const CD_APPEND = "console=ttyS0 cryptomgr.notests noapic nolapic acpi=off";

/** @typedef {"native" | "node" | "jit" | "qemu" | "bochs"} HostName */
/** What is booted: a firmware of its own, a kernel, or a CD.
 * @typedef {{rom?: string, kernel?: string, initrd?: string, append?: string, cdrom?: string}} Guest */

/** The command that boots `guest` with COM1 going to the file `serial`. @type {Record<HostName, (g: Guest, serial: string) => string[]>} */
const HOSTS = {
  native: (g, serial) => [path.join(root, "build/release/oriel"), ...orielOptions(g, serial)],
  node: (g, serial) => [process.execPath, path.join(root, "build/web/oriel.mjs"), ...orielOptions(g, serial), "--jit", "off"],
  jit: (g, serial) => [process.execPath, path.join(root, "build/web/oriel.mjs"), ...orielOptions(g, serial)],
  qemu: (g, serial) => {
    const args = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "512", "-display", "none", "-serial", `file:${serial}`];
    if (g.rom) args.push("-bios", g.rom);
    if (g.kernel) args.push("-kernel", g.kernel, "-initrd", g.initrd ?? "", "-append", g.append ?? "");
    if (g.cdrom) args.push("-cdrom", g.cdrom, "-boot", "d");
    return args;
  },
  bochs: (g, serial) => {
    if (!g.cdrom) throw new Error("bochs runs only the case cd");
    const settings = path.join(work, "bochsrc");
    const lines = [
      "display_library: term",
      "romimage: file=/usr/share/bochs/BIOS-bochs-latest",
      "vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest",
      "cpu: model=p4_willamette, count=1, ips=100000000, reset_on_triple_fault=0, ignore_bad_msrs=1",
      "memory: guest=512, host=512",
      "clock: sync=none",
      `log: ${path.join(work, "bochs.log")}`,
      "panic: action=fatal",
      `ata0-master: type=cdrom, path=${g.cdrom}, status=inserted`,
      "boot: cdrom",
      `com1: enabled=1, mode=file, dev=${serial}`,
      "sound: driver=dummy, waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy", // others end it where there is no device
    ];
    fs.writeFileSync(settings, lines.map((line) => `${line}\n`).join(""));
    fs.writeFileSync(`${settings}.go`, "c\n"); // for its debugger
    return ["script", "-qec", `bochs -q -f ${settings} -rc ${settings}.go`, "/dev/null"]; // it wants a terminal
  },
};

/** @param {Guest} g @param {string} serial */
function orielOptions(g, serial) {
  const args = ["run", "--serial", `file:${serial}`];
  // Oriel wants something to boot beside a firmware.
  if (g.rom) args.push("--bios", g.rom, "--cdrom", EMPTY);
  if (g.cdrom) args.push("--cdrom", g.cdrom, "--boot", "d");
  for (const name of /** @type {const} */ (["kernel", "initrd", "append"])) {
    const value = g[name];
    if (value !== undefined) args.push(`--${name}`, value);
  }
  return args;
}

/**
 * Boots `guest` and returns the CPU seconds between two texts on COM1 (the first "": from the start).
 * @param {HostName} host @param {Guest} guest @param {string} from @param {string} to
 */
async function measure(host, guest, from, to) {
  const serial = path.join(work, `${host}.serial`);
  fs.rmSync(serial, { force: true });
  const [command = "", ...args] = HOSTS[host](guest, serial);
  const child = spawn(command, args, { stdio: ["ignore", "ignore", "pipe"] });
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
      const result = /\[D\] .*\n/.exec(text);
      if (result) throw new Error(`${host} wrote '${result[0].trim()}' and not '${to}'`);
      if (ended) throw new Error(`${host} ended before it wrote '${to}': ${stderr.trim()}`);
      if (now > 900) throw new Error(`${host} did not write '${to}' in 900 s of CPU time`);
    }
  } finally {
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

/**
 * The firmware of `oriel bench` with a payload and a count filled in (src/bench/firmware.asm), for any emulator: it
 * writes [S], calls the payload once, and writes [D] and its result.
 * @param {string} name @param {number} bits @param {number} count
 */
function makeRom(name, bits, count) {
  const generated = path.join(root, "build/release/generated");
  const payloads = fs.readFileSync(path.join(generated, "payloads.bin"));
  const entry = (PAYLOADS.indexOf(name) * 2 + (bits === 64 ? 1 : 0)) * 8;
  const at = payloads.readUInt32LE(entry);
  const size = payloads.readUInt32LE(entry + 4);
  const rom = Buffer.alloc(65536);
  payloads.copy(rom, 0, at, at + size);
  const end = rom.subarray(65536 - 4096);
  fs.readFileSync(path.join(generated, "firmware.bin")).copy(end);
  end.writeUInt32LE(size, 0xfe0);
  end.writeUInt32LE(0xffff0000, 0xfe4);
  end.writeUInt32LE(count, 0xfe8);
  end[0xff3] = bits;
  const file = path.join(work, `${name}${bits}.rom`);
  fs.writeFileSync(file, rom);
  return file;
}

/** A CD whose GRUB boots the 686 kernel at once. */
function makeCd() {
  const boot = path.join(work, "cd/boot");
  fs.mkdirSync(path.join(boot, "grub"), { recursive: true });
  for (const file of ["vmlinuz", "initrd"]) fs.copyFileSync(path.join(root, ".cache/guests/686", file), path.join(boot, file));
  const menu = `set timeout=0\nmenuentry linux {\n linux /boot/vmlinuz ${CD_APPEND}\n initrd /boot/initrd\n}\n`;
  fs.writeFileSync(path.join(boot, "grub/grub.cfg"), menu);
  const image = path.join(work, "linux.iso");
  execFileSync("grub-mkrescue", ["-d", "/usr/lib/grub/i386-pc", "-o", image, path.dirname(boot)], { stdio: "pipe" });
  return image;
}

/** A payload called once. @param {string} payload @param {number} count */
function orielBench(payload, count) {
  const args = ["bench", payload, "--iterations", `${count}`, "--runs", "1", "--warmup", "0", "--json"];
  return JSON.parse(execFileSync(path.join(root, "build/release/oriel"), args, { encoding: "utf8" })).results[0];
}

/** @typedef {{name: string, guest: Guest, from: string, to: string, instructions: number}} Case */

/** @param {string} name @param {number} wanted instructions @returns {Case[]} */
function makeCases(name, wanted) {
  if (name === "boot") {
    return ["686", "amd64"].map((kernel) => {
      const dir = path.join(root, ".cache/guests", kernel);
      const guest = { kernel: path.join(dir, "vmlinuz"), initrd: path.join(dir, "initrd"), append: "console=ttyS0" };
      return { name: `boot ${kernel}`, guest, from: "", to: PROMPT, instructions: instructions(guest, PROMPT) };
    });
  }
  if (name === "cd") {
    const guest = { cdrom: makeCd() };
    return [{ name: "cd 686", guest, from: "", to: PROMPT, instructions: instructions(guest, PROMPT) }];
  }
  return [32, 64].map((bits) => {
    const sample = 1000;
    const count = Math.max(1, Math.round((wanted / orielBench(`${name}${bits}`, sample).instructions) * sample));
    const exact = orielBench(`${name}${bits}`, count);
    const to = `[D] ${exact.checksum.slice(2).padStart(16, "0")}`; // any other result is a failure
    return { name: `${name} ${bits}`, guest: { rom: makeRom(name, bits, count) }, from: "[S]", to, instructions: exact.instructions };
  });
}

async function main() {
  const { values } = parseArgs({
    options: {
      runs: { type: "string", default: "3" },
      hosts: { type: "string", default: "native,node" },
      cases: { type: "string", default: [...PAYLOADS, "boot"].join(",") },
      instructions: { type: "string", default: "300000000" },
      json: { type: "string" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) return void process.stdout.write(USAGE);
  const hosts = /** @type {HostName[]} */ (values.hosts.split(","));
  const names = values.cases.split(",");
  const wrong = [...hosts.filter((h) => !(h in HOSTS)), ...names.filter((c) => ![...PAYLOADS, "boot", "cd"].includes(c))];
  if (wrong.length) throw new Error(`no host or case is called ${wrong[0]} (see --help)`);
  const runs = Number(values.runs);
  const wanted = Number(values.instructions);
  if (!(runs >= 1) || !(wanted >= 1)) throw new Error("--runs and --instructions are positive numbers");

  fs.writeFileSync(EMPTY, Buffer.alloc(2048 * 16));
  const results = [];
  console.log(`${"case".padEnd(18)}${"Minsns".padStart(9)}${hosts.map((h) => `${h} MIPS (least, greatest)`.padStart(32)).join("")}`);
  for (const name of names) {
    for (const c of makeCases(name, wanted)) {
      /** @type {Partial<Record<HostName, number[]>>} */
      const seconds = {};
      for (let run = 0; run < runs; run++) {
        for (const host of hosts) {
          (seconds[host] ??= []).push(await measure(host, c.guest, c.from, c.to));
        }
      }
      const millions = c.instructions / 1e6;
      const row = hosts.map((host) => {
        const mips = (seconds[host] ?? []).map((s) => millions / s);
        const [mid, low, high] = [median(mips), Math.min(...mips), Math.max(...mips)].map((v) => v.toFixed(0));
        return `${mid} (${low}, ${high}) ${median(seconds[host] ?? []).toFixed(1)} s`.padStart(32);
      });
      console.log(`${c.name.padEnd(18)}${millions.toFixed(0).padStart(9)}${row.join("")}`);
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
