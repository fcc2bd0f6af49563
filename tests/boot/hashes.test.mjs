// The same deterministic boot passes through the same states under both hosts, and with hot code compiled.
// @ts-check
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { test } from "node:test";

import { FULL, GUESTS, oriel, temporary } from "../harness.mjs";

/** @param {string} kernel */
function linux(kernel) {
  const file = (/** @type {string} */ name) => path.join(GUESTS, kernel, name);
  return ["--kernel", file("vmlinuz"), "--initrd", file("initrd"), "--append", "console=ttyS0 cryptomgr.notests"];
}
const MEMTEST = ["--kernel", path.join(GUESTS, "memtest64.bin"), "--memory", "64"];

/** Tier 1 alone, and wide units wherever there is a unit, all of them at once. */
const TIERS = ["threshold2=0", "worker=0,threshold=1,threshold2=1"];

/** How far, in millions of instructions: for Linux to its start, as decompression ends at some 2,300 (686) and 4,500
 * (amd64). `more`: other limits of compilation than the usual ones.
 * @type {{name: string, guest: string[], millions: number, every: number, full: boolean, more: string[], says?: RegExp}[]} */
const BOOTS = [
  { name: "686", guest: linux("686"), millions: 2900, every: 100, full: false, more: FULL ? TIERS : [], says: /Linux version 6/ },
  { name: "amd64", guest: linux("amd64"), millions: 5600, every: 100, full: true, more: TIERS, says: /Linux version 6/ },
  { name: "memtest86+", guest: MEMTEST, millions: FULL ? 5000 : 160, every: 20, full: false, more: TIERS },
];

for (const { name, guest, millions, every, full, more, says } of BOOTS) {
  const skip = full && !FULL ? "only with --full" : false;
  test(`${name}: the hashes of ${millions} million instructions`, { skip }, async (t) => {
    const limits = ["--deterministic", "--hash-every", `${every}000000`, "--max-instructions", `${millions}000000`];
    const stats = path.join(temporary(t), "stats.json");
    const run = (/** @type {import("../harness.mjs").HostName} */ host, /** @type {string} */ jit) =>
      oriel(host, ["run", ...guest, ...limits, "--jit", jit, ...(jit === "worker=1" ? ["--stats", `json:${stats}`] : [])], { seconds: 3000 });
    const [native, ...others] = await Promise.all([run("native", "off"), run("node", "off"), ...["worker=1", ...more].map((jit) => run("node", jit))]);
    const hashes = native.stderr.match(/^hash [0-9]+ [0-9a-f]{16}$/gm) ?? [];
    assert.equal(hashes.length, millions / every);
    assert.equal(new Set(hashes.map((h) => h.split(" ")[2])).size, hashes.length, "the state never stands still");
    for (const { stdout, stderr } of others) {
      assert.equal(stderr, native.stderr);
      assert.equal(stdout, native.stdout);
    }
    const { tier1, cache } = JSON.parse(fs.readFileSync(stats, "utf8")).machine.jit;
    assert.ok(cache.installs_total > 0 && tier1.worker_time_ns_total > 0, "compiled on another thread");
    if (says) assert.match(native.stdout, says);
  });
}
