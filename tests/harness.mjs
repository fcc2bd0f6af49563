// Runs `oriel` under either host, for the tests in tests/boot and tests/cli.
// @ts-check
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("..", import.meta.url));
export const GUESTS = path.join(ROOT, ".cache/guests");

/** @typedef {"native" | "node"} HostName */
/** @type {HostName[]} */
export const HOSTS = ["native", "node"];

/** The long checks are on (./test --full). */
export const FULL = Boolean(process.env.ORIEL_FULL);

/** The program and its first arguments. Not ./oriel, so that signals reach the host itself.
 * @param {HostName} host @returns {[string, string[]]} */
export function command(host) {
  if (host === "native") return [path.join(ROOT, "build/release/oriel"), []];
  return [process.execPath, [path.join(ROOT, "build/web/oriel.mjs")]];
}

/** The environment, with what ./oriel sets. */
export const ENVIRONMENT = { ...process.env, MALLOC_MMAP_THRESHOLD_: "16384" };

/** @typedef {{status: number | null, signal: NodeJS.Signals | null, stdout: string, stderr: string}} Result */

/** seconds: after which it is killed, so that a hang is a failure; a busy machine may take minutes for what is a
 * second's work
 * @typedef {{cwd?: string, uid?: number | undefined, seconds?: number}} Options */

/** A run that goes on. */
export class Run {
  /** @param {HostName} host @param {string[]} args @param {Options} [options] */
  constructor(host, args, options = {}) {
    const [program, first] = command(host);
    const { seconds = 600, ...how } = options;
    this.child = spawn(program, [...first, ...args], { ...how, env: ENVIRONMENT, stdio: ["pipe", "pipe", "pipe"] });
    this.hung = false;
    const killer = setTimeout(() => {
      this.hung = true;
      this.child.kill("SIGKILL");
    }, seconds * 1000);
    this.stdout = "";
    this.stderr = "";
    /** @type {(() => void)[]} */
    this.watchers = [];
    const heard = () => this.watchers.forEach((w) => w());
    this.child.stdout.setEncoding("utf8").on("data", (text) => ((this.stdout += text), heard()));
    this.child.stderr.setEncoding("utf8").on("data", (text) => ((this.stderr += text), heard()));
    this.child.stdin.on("error", () => undefined); // it may end without reading
    /** @type {Promise<Result>} */
    this.ended = new Promise((resolve, reject) => {
      this.child.on("error", reject);
      this.child.on("close", (status, signal) => {
        clearTimeout(killer);
        resolve({ status, signal, stdout: this.stdout, stderr: this.stderr });
        heard();
      });
    });
  }

  /** Resolves when standard output has a text; rejects when the run ends without it.
   * @param {string} text @returns {Promise<void>} */
  output(text) {
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = this.stdout.includes(text);
        const over = this.child.exitCode !== null || this.child.signalCode !== null;
        if (!found && !over) return;
        if (found) return resolve();
        const why = this.hung ? "it was killed for taking too long" : "it ended";
        reject(new Error(`no '${text}': ${why}\n${this.stdout}${this.stderr}`));
      };
      this.watchers.push(look);
      look();
    });
  }
}

/** Runs to the end, without input.
 * @param {HostName} host @param {string[]} args @param {Options} [options]
 * @returns {Promise<Result>} */
export function oriel(host, args, options) {
  const run = new Run(host, args, options);
  run.child.stdin.end();
  return run.ended;
}

/** A directory that goes away with the test.
 * @param {import("node:test").TestContext} t */
export function temporary(t) {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "oriel-test-"));
  t.after(() => fs.rmSync(dir, { recursive: true, force: true }));
  return dir;
}
