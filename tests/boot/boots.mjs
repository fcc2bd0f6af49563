// Runs the scenarios of a host, in their order.
// @ts-check
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { after, before, describe, test } from "node:test";

import { command, ENVIRONMENT, FULL, GUESTS, HOSTS, oriel, temporary } from "../harness.mjs";
import { SCENARIOS } from "./scenarios.mjs";

/** @param {import("../harness.mjs").HostName} host @param {import("./scenarios.mjs").Scenario} scenario @param {string} dir */
export async function boot(host, scenario, dir) {
  const script = path.join(dir, "script");
  fs.writeFileSync(script, scenario.script(dir));
  const most = (scenario.maxInstructions ?? 12_000) * 1e6;
  const stats = path.join(dir, "stats");
  const limits = ["--deterministic", "--max-instructions", String(most)];
  const args = ["run", ...scenario.args(dir), "--script", script, ...limits, "--stats", `json:${stats}`];
  if (scenario.checkMemory) args.push("--jit", "off"); // compiled code has a bound of its own (src/jit/config.h)
  const { status, stdout, stderr } = await oriel(host, args, { seconds: 2400 });
  assert.equal(status, 0, `exit status ${status}\n${stderr}\n${stdout}`);
  assert.equal(stderr, "");
  scenario.check?.(dir, stdout);
  if (scenario.checkMemory) checkMemory(host, stats);
}

/** What the host's process takes at its peak without a machine: Node itself.
 * @param {import("../harness.mjs").HostName} host */
function baseBytes(host) {
  if (host === "native") return 0;
  const atExit =
    'import * as fs from "node:fs";' +
    'process.on("exit", () => fs.writeSync(2, /VmHWM:\\s+(\\d+)/.exec(fs.readFileSync("/proc/self/status", "utf8"))[1]));';
  const [node, args] = command(host);
  const flags = ["--import", `data:text/javascript,${encodeURIComponent(atExit)}`];
  const help = spawnSync(node, [...flags, ...args, "run", "--help"], { encoding: "utf8", env: ENVIRONMENT });
  assert.ok(Number(help.stderr) > 0, help.stderr);
  return Number(help.stderr) * 1024;
}

/** What the machine costs its host at its peak is less than 1.5 times what the guest has touched.
 * @param {import("../harness.mjs").HostName} host @param {string} stats */
function checkMemory(host, stats) {
  const { touched_bytes: touched, peak_rss_bytes: peak } = JSON.parse(fs.readFileSync(stats, "utf8"));
  const base = baseBytes(host);
  const mib = (/** @type {number} */ n) => `${(n / 2 ** 20).toFixed(1)} MiB`;
  const ratio = (peak - base) / touched;
  const found = `touched ${mib(touched)}, peak of the process ${mib(peak)}, of it the bare host ${mib(base)}`;
  console.log(`# memory under ${host}: ${found}: ${ratio.toFixed(2)} times`);
  assert.ok(ratio < 1.5, found);
}

/** A scenario that needs no other, on each host that it is for.
 * @param {import("./scenarios.mjs").Scenario} scenario */
export function bootAlone(scenario) {
  for (const host of HOSTS) {
    test(`under ${host}: ${scenario.name}`, { skip: skipped(host, scenario) }, (t) => boot(host, scenario, temporary(t)));
  }
}

/** @param {import("../harness.mjs").HostName} host @param {import("./scenarios.mjs").Scenario} scenario */
function skipped(host, scenario) {
  return !FULL && scenario.only && !scenario.only.includes(host) ? "only with --full" : false;
}

/** @param {import("../harness.mjs").HostName} host */
export function bootAll(host) {
  describe(`under ${host}`, () => {
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), "oriel-boot-"));
    before(() => fs.copyFileSync(path.join(GUESTS, "demo.img"), path.join(dir, "demo.img")));
    after(() => fs.rmSync(dir, { recursive: true }));
    for (const scenario of SCENARIOS) {
      test(scenario.name, { skip: skipped(host, scenario) }, () => boot(host, scenario, dir));
    }
    test("the disk's file system is clean afterwards", () => {
      const check = spawnSync("/sbin/e2fsck", ["-f", "-n", path.join(dir, "partition")], { encoding: "utf8" });
      assert.equal(check.status, 0, check.stdout + check.stderr);
    });
  });
}
