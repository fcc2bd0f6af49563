// Runs the scenarios of a host, in their order.
// @ts-check
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { after, before, describe, test } from "node:test";

import { FULL, GUESTS, HOSTS, oriel, temporary } from "../harness.mjs";
import { SCENARIOS } from "./scenarios.mjs";

/** @param {import("../harness.mjs").HostName} host @param {import("./scenarios.mjs").Scenario} scenario @param {string} dir */
export async function boot(host, scenario, dir) {
  const script = path.join(dir, "script");
  fs.writeFileSync(script, scenario.script(dir));
  const most = (scenario.maxInstructions ?? 12_000) * 1e6;
  const stats = path.join(dir, "stats");
  const limits = ["--deterministic", "--max-instructions", String(most)];
  const args = ["run", ...scenario.args(dir), "--script", script, ...limits, "--stats", `json:${stats}`];
  const { status, stdout, stderr } = await oriel(host, args, { seconds: 2400 });
  assert.equal(status, 0, `exit status ${status}\n${stderr}\n${stdout}`);
  assert.equal(stderr, "");
  scenario.check?.(dir, stdout);
  if (scenario.checkMemory) checkMemory(host, stats, scenario.checkMemory.includes(host));
}

/** What the host's process takes without a machine: Node itself. */
function baseBytes(/** @type {import("../harness.mjs").HostName} */ host) {
  if (host === "native") return 0;
  // Not resourceUsage(), which also counts what the parent took when it forked.
  const program = 'Number(/VmHWM:\\s+(\\d+)/.exec(fs.readFileSync("/proc/self/status", "utf8"))[1]) * 1024';
  const node = spawnSync(process.execPath, ["-p", program], { encoding: "utf8" });
  assert.ok(Number(node.stdout) > 0, node.stderr);
  return Number(node.stdout);
}

/** Prints what the machine costs its host at its peak; if `bounded`, that is less than 1.5 times what the guest has touched.
 * @param {import("../harness.mjs").HostName} host @param {string} stats @param {boolean} bounded */
function checkMemory(host, stats, bounded) {
  const { touched_bytes: touched, peak_rss_bytes: peak } = JSON.parse(fs.readFileSync(stats, "utf8"));
  const base = baseBytes(host);
  const mib = (/** @type {number} */ n) => `${(n / 2 ** 20).toFixed(1)} MiB`;
  const found = `touched ${mib(touched)}, peak of the process ${mib(peak)}, of it the bare host ${mib(base)}`;
  console.log(`# memory under ${host}: ${found}`);
  if (bounded) assert.ok(peak - base < 1.5 * touched, found);
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
