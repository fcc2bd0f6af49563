// What bench.mjs and peers.mjs have in common: processes, and the processor time that they use.
// @ts-check
import { spawn } from "node:child_process";
import * as fs from "node:fs";

const TICKS_PER_SECOND = 100; // USER_HZ

/** CPU seconds that a process, its children alive and those it waited for have used. @param {number} pid @returns {number} */
export function cpuSeconds(pid) {
  let seconds = 0;
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ").map(Number);
    // utime, stime, cutime, cstime (proc(5))
    for (const ticks of fields.slice(11, 15)) seconds += ticks / TICKS_PER_SECOND;
    for (const child of fs.readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").split(" ").filter(Boolean)) {
      seconds += cpuSeconds(Number(child));
    }
  } catch {
    // It ended.
  }
  return seconds;
}

/** Since a start. @typedef {{wall_seconds: number, cpu_seconds: number}} Seconds */

/** @param {Seconds} from @param {Seconds} to @returns {Seconds} */
export function between(from, to) {
  return { wall_seconds: to.wall_seconds - from.wall_seconds, cpu_seconds: to.cpu_seconds - from.cpu_seconds };
}

/**
 * Runs a command and calls `line` with each line of its standard output and the time then, until `line` returns true or
 * the command ends; then the command is killed. Throws when it ends by itself or `maxSeconds` pass, with what it said.
 * @param {string[]} argv @param {(text: string, at: Seconds) => boolean} line
 * @param {{env?: NodeJS.ProcessEnv, maxSeconds: number}} options
 */
export async function watch(argv, line, { env, maxSeconds }) {
  const [program = "", ...args] = argv;
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } });
  const began = performance.now();
  let stderr = "";
  let last = "";
  let rest = "";
  /** @type {(error?: Error) => void} */
  let settle = () => undefined;
  const over = new Promise((resolve, reject) => (settle = (error) => (error ? reject(error) : resolve(undefined))));
  const killer = setTimeout(() => settle(new Error(`${program}: ${maxSeconds} s passed; its last line: '${last}'`)), maxSeconds * 1000);
  child.stderr.on("data", (data) => (stderr += data));
  child.stdout.setEncoding("latin1").on("data", (data) => {
    const at = { wall_seconds: (performance.now() - began) / 1000, cpu_seconds: cpuSeconds(child.pid ?? 0) };
    const lines = (rest + data).split(/\r*\n/);
    rest = lines.pop() ?? "";
    for (const text of lines) {
      last = text;
      try {
        if (line(text, at)) settle();
      } catch (error) {
        settle(/** @type {Error} */ (error));
      }
    }
  });
  const ended = new Promise((resolve) => child.on("close", resolve));
  const signals = /** @type {const} */ (["SIGINT", "SIGTERM"]);
  const stop = () => {
    child.kill("SIGKILL");
    process.exit(1);
  };
  for (const signal of signals) process.on(signal, stop);
  child.on("error", settle);
  child.on("close", () => settle(new Error(`${program} ended early; its last line: '${last}'\n${stderr}`.trimEnd())));
  try {
    await over;
  } finally {
    clearTimeout(killer);
    for (const signal of signals) process.off(signal, stop);
    child.kill("SIGKILL");
    await ended;
  }
}

/** @param {number[]} values */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}

/** @param {number[]} values */
export function geometricMean(values) {
  return Math.exp(values.reduce((sum, v) => sum + Math.log(v), 0) / values.length);
}
