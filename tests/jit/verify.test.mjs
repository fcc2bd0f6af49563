// --verify-jit: boots pass, and what is planted is found where it first shows.
// @ts-check
import assert from "node:assert/strict";
import * as path from "node:path";
import { test } from "node:test";

import { FULL, GUESTS, oriel } from "../harness.mjs";
import { importTypeScript } from "../web/harness.mjs";

/** @param {string} kernel @param {number} millions @param {string} jit */
function verify(kernel, millions, jit) {
  const file = (/** @type {string} */ name) => path.join(GUESTS, kernel, name);
  const guest = ["--kernel", file("vmlinuz"), "--initrd", file("initrd"), "--append", "console=ttyS0 cryptomgr.notests"];
  const how = ["--verify-jit", "--jit", jit, "--max-instructions", `${millions}000000`];
  return oriel("node", ["run", ...guest, ...how], { seconds: 3000 });
}

const BOOTS = /** @type {[string, number, string, boolean][]} */ ([
  ["686", 100, "on", false],
  ["686", 2700, "chain=1", true],
  ["amd64", 5200, "threshold=10,threshold2=1000", true],
]);
for (const [kernel, millions, jit, full] of BOOTS) {
  const skip = full && !FULL ? "only with --full" : false;
  test(`${kernel}, ${millions} million instructions, --jit ${jit}`, { skip }, async () => {
    const { status, stderr } = await verify(kernel, millions, jit);
    assert.equal(stderr, `oriel: stopped after ${millions}000000 instructions\n`);
    assert.equal(status, 3);
  });
}

for (const [plant, mistake, ir] of /** @type {[string, RegExp, RegExp][]} */ ([
  ["plant=1", /^\* R[A-Z0-9]+=[0-9a-f]{16}$/m, /^ {2}v\d+ = sub\.32 v\d+ v\d+$/m],
  ["plant=2", /^RAM at [0-9a-f]{8}: compiled [0-9a-f ]+, tier 0 [0-9a-f ]+$/m, /^ {2}v\d+ = probe\.32 size \d/m],
])) {
  test(`a mistake: ${plant}`, async () => {
    const { status, stderr } = await verify("686", 100, plant);
    const where = /^oriel: compiled code and tier 0 differ between instructions (\d+) and (\d+)\n/.exec(stderr);
    assert.ok(where, stderr);
    // Within the unit that is printed, whose loops are left after 5,000 instructions.
    const retired = Number(where[2]) - Number(where[1]);
    assert.ok(retired > 0 && retired <= 5000, stderr);
    assert.match(stderr, mistake);
    for (const state of ["compiled", "tier 0"]) assert.match(stderr, new RegExp(`^${state}:\\n[* ] RIP=[0-9a-f]{16}\\n[* ] RFLAGS=`, "m"));
    assert.match(stderr, /^the unit that ran last:\nblock 0 insns 0\n/m);
    assert.match(stderr, ir);
    assert.equal(status, 6);
  });
}

test("what compiled code alone writes is found at the end of the slice", async () => {
  const { Verifier, Difference } = await importTypeScript("node/verify.ts");
  const MIB = 2 ** 20;
  /** What a Verifier asks of a machine, without a machine. @param {Uint8Array} memory */
  const fake = (memory) => ({
    run: () => 0,
    instructions: () => 1000,
    registers: () => 7,
    stateHash: () => String(memory.findIndex((byte) => byte !== 0)),
    registerText: () => "RIP=0000000000000000\n",
    unitText: () => "block 0\n",
    writtenPages: () => Uint32Array.of(3),
    ram: (/** @type {number} */ offset, /** @type {number} */ n) => memory.subarray(offset, offset + n),
  });
  const compiled = new Uint8Array(4 * MIB);
  const verifier = new Verifier(() => fake(compiled), fake(new Uint8Array(4 * MIB)), 4 * MIB);
  verifier.sliceEnded(1000, 0);
  compiled[2 * MIB + 5] = 0xab;
  verifier.compiledRan(990, 1000, 7);
  assert.throws(
    () => verifier.sliceEnded(1000, 0),
    (/** @type {Error} */ error) => {
      assert.ok(error instanceof Difference);
      assert.match(error.message, /^compiled code and tier 0 differ in the slice before instruction 1000 .*\nRAM at 00200005: compiled ab 00 .*, tier 0 00 00 /);
      return true;
    },
  );
  // An entry of a page table of which tier 0 will set the A bit with the next instruction; or never.
  compiled.fill(0);
  compiled[3 * 4096 + 8] = 0x20;
  verifier.compiledRan(990, 1000, 7);
  assert.throws(() => verifier.sliceEnded(1000, 0), /\nRAM at 00003008: compiled 20 00 /);
  compiled[3 * 4096 + 8] = 0x30;
  assert.throws(() => verifier.compiledRan(990, 1000, 7), /\nRAM at 00003008: compiled 30 00 /);
  // A difference that memory does not show: how the runs ended.
  compiled.fill(0);
  assert.throws(() => verifier.sliceEnded(1000, 2), /\(compiled: status 2, instruction 1000; tier 0: status 0, instruction 1000\)\ncompiled:\n/);
});
