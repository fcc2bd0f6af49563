// Running the tools that make the guests, and saying what is going on.
// @ts-check
import { spawnSync } from "node:child_process";

// mke2fs and others are not on an ordinary user's path.
const ENV = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin`, LC_ALL: "C" };

/** Runs a program; its output is returned, or goes to the terminal when `show` is set. Throws when it fails.
 * @param {string} program @param {string[]} args @param {{show?: boolean, cwd?: string}} [options] */
export function run(program, args, options = {}) {
  const show = options.show ?? false;
  const result = spawnSync(program, args, {
    cwd: options.cwd,
    env: ENV,
    stdio: show ? "inherit" : ["ignore", "pipe", "pipe"],
    maxBuffer: 2 ** 30,
  });
  if (result.error) throw new Error(`${program}: ${result.error.message}`);
  if (result.status !== 0) {
    const said = show ? "" : `\n${result.stderr}${result.stdout}`.trimEnd();
    throw new Error(`${program} ${args.join(" ")}: exit status ${result.status ?? result.signal}${said}`);
  }
  return show ? Buffer.alloc(0) : result.stdout;
}

/** Says what is being done, does it, and says how long it took.
 * @template T @param {string} what @param {() => T} work @returns {T} */
export function step(what, work) {
  const start = Date.now();
  process.stdout.write(`guests: ${what}\n`);
  const result = work();
  process.stdout.write(`guests: ${what}: done in ${((Date.now() - start) / 1000).toFixed(1)} s\n`);
  return result;
}
