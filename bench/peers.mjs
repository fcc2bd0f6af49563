// Compiled programs and the boot of a kernel on Oriel, v86, QEMU's TCG and the processor itself, in one run on one image
// for each architecture: see USAGE, and programs/ for what is run.
// @ts-check
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { makeImage, NAMES } from "./emulators/image.mjs";
import { between, geometricMean, median, watch } from "./emulators/measure.mjs";

const USAGE = `Usage: bench/peers [OPTION]...

Runs the same Linux image on emulators, and its programs on this machine's processor, and prints seconds and ratios.

  --hosts LIST     of native, tcg (QEMU), v86 (i386 only), jit and interpreter (Oriel in Node, with --jit on and off),
                   jit:NAME=N (Oriel in Node, with --jit NAME=N) and oriel (the native command); default
                   native,tcg,v86,jit,interpreter
  --ablation       instead: Oriel in Node, and that with each of the JIT's passes off
  --arch LIST      of i386, amd64; default both
  --programs LIST  default all: ${NAMES.slice(0, 7).join(", ")},
                   ${NAMES.slice(7).join(", ")}; none: only the boot
  --runs N         boots of each emulator, whose medians count; default 1
  --repeat N       how much each program has to do; default 1
  --clock C        cpu: processor time of all threads of the emulator, which other work on the machine disturbs little;
                   wall: the time on the wall; default cpu
  --append TEXT    for the kernel's command line; default cryptomgr.notests
  --max-seconds N  for one boot with all its programs; default 1800
  --json FILE      write all figures, both clocks
`;

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const V86_VERSION = "0.5.462";
const V86 = path.join(ROOT, ".cache/peers/node_modules/v86");
const MEMORY_MIB = 256;
/** The processor itself is so fast that the clock would be too coarse. */
const NATIVE_LOOPS = 5;

/** @typedef {import("./emulators/image.mjs").Image} Image */
/** @typedef {import("./emulators/measure.mjs").Seconds} Seconds */
/** @typedef {"tcg" | "v86" | "jit" | "interpreter" | "oriel"} Emulator */
/** @typedef {"native" | Emulator | `jit:${string}`} HostName */
/** @typedef {{programs: string[], repeat: string, append: string, maxSeconds: number}} Plan */
/** @typedef {{boot?: Seconds, seconds: Record<string, Seconds>, results: Record<string, string>, error?: string}} Run */

/** @param {Image} image @param {string} append @param {string[]} jit */
const orielOptions = (image, append, jit) => [
  ...["run", "--kernel", image.kernel, "--initrd", image.initrd, "--append", append, "--memory", `${MEMORY_MIB}`],
  ...["--serial", "stdio", ...jit],
];
const node = path.join(ROOT, "build/web/oriel.mjs");

/** The commands that boot an image. @type {Record<Emulator, (image: Image, append: string) => string[]>} */
const EMULATORS = {
  tcg: (image, append) => [
    ...["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", `${MEMORY_MIB}`, "-display", "none", "-no-reboot"],
    ...["-serial", "stdio", "-monitor", "none", "-kernel", image.kernel, "-initrd", image.initrd, "-append", append],
  ],
  v86: (image, append) => [
    ...[process.execPath, path.join(ROOT, "bench/emulators/v86.mjs"), V86, image.kernel, image.initrd, `${MEMORY_MIB}`, append],
  ],
  jit: (image, append) => [process.execPath, node, ...orielOptions(image, append, ["--jit", "on"])],
  interpreter: (image, append) => [process.execPath, node, ...orielOptions(image, append, ["--jit", "off"])],
  oriel: (image, append) => [path.join(ROOT, "build/release/oriel"), ...orielOptions(image, append, [])],
};
const HOSTS = ["native", ...Object.keys(EMULATORS)];

/** @param {Exclude<HostName, "native">} host @param {Image} image @param {string} append */
function commandOf(host, image, append) {
  const own = /^jit:(.+)/.exec(host)?.[1];
  if (own !== undefined) return [process.execPath, node, ...orielOptions(image, append, ["--jit", own])];
  return EMULATORS[/** @type {Emulator} */ (host)](image, append);
}

/** The JIT's passes, as it names them itself. @returns {string[]} */
function passes() {
  const args = [node, "bench", "alu64", "--iterations", "1", "--runs", "1", "--json"];
  return Object.keys(JSON.parse(execFileSync(process.execPath, args, { encoding: "utf8" })).results[0].machine.jit.pass);
}

/** Follows the marks of programs/all.sh on a host's output. @param {string[]} argv @param {NodeJS.ProcessEnv} env @param {number} loops @param {Plan} plan */
async function follow(argv, env, loops, plan) {
  /** @type {Run} */
  const run = { seconds: {}, results: {} };
  let started = { wall_seconds: 0, cpu_seconds: 0 };
  const running = watch(
    argv,
    (line, at) => {
      const mark = /\[([BSDE])(?: (\S+))?(?: (\S+).*)?\]/.exec(line);
      if (!mark) return false;
      const [, kind, name = "", result = ""] = mark;
      if (kind === "B") run.boot = at;
      if (kind === "S") started = at;
      if (kind === "D") {
        const { wall_seconds, cpu_seconds } = between(started, at);
        run.seconds[name] = { wall_seconds: wall_seconds / loops, cpu_seconds: cpu_seconds / loops };
        run.results[name] = result;
      }
      return kind === "E";
    },
    { env, maxSeconds: plan.maxSeconds },
  );
  await running.catch((error) => (run.error = error.message)); // what it did before counts
  return run;
}

/** @param {HostName} host @param {Image} image @param {Plan} plan @param {string} temporary */
function runOnce(host, image, plan, temporary) {
  const words = { programs: plan.programs.join(","), repeat: plan.repeat };
  if (host === "native") {
    const argv = [path.join(image.root, "bin/busybox"), "sh", path.join(image.root, "share/all.sh"), image.root, temporary];
    return follow(argv, { ...words, loops: `${NATIVE_LOOPS}` }, NATIVE_LOOPS, plan);
  }
  // What the kernel does not know and has a value becomes init's environment.
  const assignments = Object.entries(words).map(([name, value]) => `${name}=${value}`);
  const append = ["console=ttyS0", plan.append, ...assignments].join(" ");
  return follow(commandOf(host, image, append), {}, 1, plan);
}

function installV86() {
  const file = path.join(V86, "package.json");
  if (fs.existsSync(file) && JSON.parse(fs.readFileSync(file, "utf8")).version.startsWith(V86_VERSION)) return;
  const options = ["--no-save", "--no-audit", "--no-fund", "--loglevel=error"];
  execFileSync("npm", ["install", "--prefix", path.join(ROOT, ".cache/peers"), ...options, `v86@${V86_VERSION}`], { stdio: ["ignore", 2, 2] });
}

/** @param {string} text @param {readonly string[]} known @param {string} what @returns {string[]} */
function list(text, known, what) {
  const names = text.split(",");
  const wrong = names.find((n) => !known.includes(n) && !(what === "host" && /^jit:\w+=\d+$/.test(n)));
  if (wrong !== undefined) throw new Error(`no ${what} is called '${wrong}' (see --help)`);
  return names;
}

/** @param {string} name @param {string} text */
function positive(name, text) {
  const n = Number(text);
  if (!Number.isInteger(n) || n < 1) throw new Error(`--${name}: '${text}' is not a positive whole number`);
  return n;
}

/**
 * Prints a table: seconds, and each host's seconds over Oriel's (or over the first host's, where Oriel's JIT did not run);
 * of the processor itself Oriel's over its.
 * Returns the ratios and their geometric means.
 * @param {string} title @param {HostName[]} hosts @param {string[]} rows
 * @param {(host: HostName, row: string) => number | undefined} value
 */
function table(title, hosts, rows, value) {
  const base = hosts.includes("jit") ? "jit" : /** @type {HostName} */ (hosts[0]);
  const others = hosts.filter((h) => h !== base);
  const pair = (/** @type {HostName} */ h) => (h === "native" ? `${base}/native` : `${h}/${base}`);
  const width = Math.max(12, ...hosts.map((h) => h.length + 2));
  const wide = width + 4;
  const cell = (/** @type {number | undefined} */ v, /** @type {number} */ digits) => (v === undefined || Number.isNaN(v) ? "-" : v.toFixed(digits)).padStart(width);
  console.log(`\n${title.padEnd(14)}${hosts.map((h) => h.padStart(width)).join("")}   ${others.map((h) => pair(h).padStart(wide)).join("")}`);
  /** @type {Record<string, Record<string, number>>} */
  const ratios = Object.fromEntries(others.map((h) => [pair(h), {}]));
  for (const row of rows) {
    const mine = value(base, row);
    const quotients = others.map((h) => {
      const theirs = value(h, row);
      const q = mine && theirs ? (h === "native" ? mine / theirs : theirs / mine) : undefined;
      if (q !== undefined) (ratios[pair(h)] ??= {})[row] = q;
      return cell(q, 2).padStart(wide);
    });
    console.log(`${row.padEnd(14)}${hosts.map((h) => cell(value(h, row), 3)).join("")}   ${quotients.join("")}`);
  }
  const means = Object.fromEntries(Object.entries(ratios).map(([name, q]) => [name, geometricMean(Object.values(q))]));
  if (rows.length > 1) {
    const cells = Object.values(means).map((v) => cell(v, 2).padStart(wide));
    console.log(`${"geometric mean".padEnd(14 + width * hosts.length)}   ${cells.join("")}`);
  }
  return { ratios, geometric_means: means };
}

async function main() {
  const { values } = parseArgs({
    options: {
      hosts: { type: "string" },
      ablation: { type: "boolean", default: false },
      arch: { type: "string", default: "i386,amd64" },
      programs: { type: "string", default: NAMES.join(",") },
      runs: { type: "string", default: "1" },
      repeat: { type: "string", default: "1" },
      clock: { type: "string", default: "cpu" },
      append: { type: "string", default: "cryptomgr.notests" },
      "max-seconds": { type: "string", default: "1800" },
      json: { type: "string" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) return void process.stdout.write(USAGE);
  if (values.ablation && values.hosts !== undefined) throw new Error("--ablation and --hosts exclude one another");
  const hosts = /** @type {HostName[]} */ (list(values.hosts ?? "native,tcg,v86,jit,interpreter", HOSTS, "host"));
  const architectures = /** @type {import("./emulators/image.mjs").Architecture[]} */ (list(values.arch, ["i386", "amd64"], "architecture"));
  if (values.clock !== "cpu" && values.clock !== "wall") throw new Error(`--clock: '${values.clock}' is not cpu or wall`);
  const clock = /** @type {"cpu_seconds" | "wall_seconds"} */ (`${values.clock}_seconds`);
  const plan = {
    programs: values.programs === "none" ? [] : list(values.programs, NAMES, "program"),
    repeat: `${positive("repeat", values.repeat)}`,
    append: values.append,
    maxSeconds: positive("max-seconds", values["max-seconds"]),
  };
  const runs = positive("runs", values.runs);
  if (values.ablation) hosts.splice(0, Infinity, "jit", ...passes().map((name) => /** @type {const} */ (`jit:${name}=0`)));
  if (hosts.includes("v86")) installV86();

  const temporary = fs.mkdtempSync(path.join(os.tmpdir(), "oriel-peers-"));
  const report = [];
  let wrong = 0;
  try {
    for (const architecture of architectures) {
      const image = makeImage(architecture);
      const able = hosts.filter((h) => h !== "v86" || architecture === "i386");
      /** @type {Partial<Record<HostName, Run[]>>} */
      const all = {};
      for (let n = 0; n < runs; n++) {
        for (const host of able) {
          process.stderr.write(`peers: ${architecture} on ${host}\n`);
          const run = await runOnce(host, image, plan, temporary);
          (all[host] ??= []).push(run);
          if (run.error === undefined) continue;
          process.stderr.write(`peers: ${architecture} on ${host}: ${run.error}\n`);
          wrong++;
        }
      }
      // Everybody must have computed the same.
      for (const program of plan.programs) {
        const results = Object.entries(all).flatMap(([host, list_]) => (list_ ?? []).map((r) => [host, r.results[program] ?? "missing"]));
        const expected = results[0]?.[1];
        for (const [host, result] of results) {
          if (result === expected) continue;
          process.stderr.write(`peers: ${architecture}: the result of ${program} on ${host} is ${result}, on ${results[0]?.[0]} ${expected}\n`);
          wrong++;
        }
      }
      const emulators = able.filter((h) => h !== "native");
      const seconds = (/** @type {HostName} */ host, /** @type {string} */ program) => {
        const times = (all[host] ?? []).flatMap((r) => r.seconds[program]?.[clock] ?? []);
        return times.length ? median(times) : undefined;
      };
      const boot = (/** @type {HostName} */ host) => median((all[host] ?? []).flatMap((r) => r.boot?.[clock] ?? []));
      console.log(`\n${architecture}: seconds (${values.clock === "cpu" ? "processor time" : "on the wall"}), median of ${runs}; ratios: seconds over seconds`);
      report.push({
        architecture,
        boot: emulators.length ? table("boot", emulators, ["to the shell"], boot) : undefined,
        programs: plan.programs.length ? table("program", able, plan.programs, seconds) : undefined,
        runs: all,
      });
    }
  } finally {
    fs.rmSync(temporary, { recursive: true, force: true });
  }
  if (values.json) {
    fs.writeFileSync(values.json, `${JSON.stringify({ node: process.version, clock, repeat: plan.repeat, append: plan.append, architectures: report }, null, 2)}\n`);
  }
  if (wrong) process.exitCode = 1;
}

main().catch((error) => {
  process.stderr.write(`peers: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 2;
});
