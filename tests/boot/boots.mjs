// Runs the scenarios of a host, in their order.
// @ts-check
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { after, before, describe, test } from "node:test";

import { FULL, GUESTS, oriel } from "../harness.mjs";
import { SCENARIOS } from "./scenarios.mjs";

/** @param {import("../harness.mjs").HostName} host @param {import("./scenarios.mjs").Scenario} scenario @param {string} dir */
export async function boot(host, scenario, dir) {
  const script = path.join(dir, "script");
  fs.writeFileSync(script, scenario.script(dir));
  const most = (scenario.maxInstructions ?? 12_000) * 1e6;
  const args = ["run", ...scenario.args(dir), "--script", script, "--deterministic", "--max-instructions", String(most)];
  const { status, stdout, stderr } = await oriel(host, args, { seconds: 1200 });
  assert.equal(status, 0, `exit status ${status}\n${stderr}\n${stdout}`);
  assert.equal(stderr, "");
  scenario.check?.(dir, stdout);
}

/** @param {import("../harness.mjs").HostName} host */
export function bootAll(host) {
  describe(`under ${host}`, () => {
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), "oriel-boot-"));
    before(() => fs.copyFileSync(path.join(GUESTS, "demo.img"), path.join(dir, "demo.img")));
    after(() => fs.rmSync(dir, { recursive: true }));
    for (const scenario of SCENARIOS) {
      const skip = !FULL && scenario.only && !scenario.only.includes(host) ? "only with --full" : false;
      test(scenario.name, { skip }, () => boot(host, scenario, dir));
    }
    test("the disk's file system is clean afterwards", () => {
      const check = spawnSync("/sbin/e2fsck", ["-f", "-n", path.join(dir, "partition")], { encoding: "utf8" });
      assert.equal(check.status, 0, check.stdout + check.stderr);
    });
  });
}
