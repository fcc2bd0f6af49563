// The same deterministic boot passes through the same states under both hosts, and with hot code compiled.
// @ts-check
import assert from "node:assert/strict";
import * as path from "node:path";
import { test } from "node:test";

import { FULL, GUESTS, oriel } from "../harness.mjs";

/** Far enough for the kernel's start: decompression ends at some 2,300 (686) and 4,500 (amd64) million. */
const BOOTS = [
  { kernel: "686", millions: 2900, every: 100, full: false },
  { kernel: "amd64", millions: 5600, every: 100, full: true },
];

for (const { kernel, millions, every, full } of BOOTS) {
  const skip = full && !FULL ? "only with --full" : false;
  test(`${kernel}: the hashes of ${millions} million instructions`, { skip }, async () => {
    const file = (/** @type {string} */ name) => path.join(GUESTS, kernel, name);
    const guest = ["--kernel", file("vmlinuz"), "--initrd", file("initrd"), "--append", "console=ttyS0 cryptomgr.notests"];
    const limits = ["--deterministic", "--hash-every", `${every}000000`, "--max-instructions", `${millions}000000`];
    const run = (/** @type {import("../harness.mjs").HostName} */ host, /** @type {string} */ jit) =>
      oriel(host, ["run", ...guest, ...limits, "--jit", jit], { seconds: 1200 });
    const [native, node, compiled] = await Promise.all([run("native", "off"), run("node", "off"), run("node", "on")]);
    const hashes = native.stderr.match(/^hash [0-9]+ [0-9a-f]{16}$/gm) ?? [];
    assert.equal(hashes.length, millions / every);
    assert.equal(new Set(hashes.map((h) => h.split(" ")[2])).size, hashes.length, "the state never stands still");
    for (const { stdout, stderr } of [node, compiled]) {
      assert.equal(stderr, native.stderr);
      assert.equal(stdout, native.stdout);
    }
    assert.match(native.stdout, /Linux version 6/);
  });
}
