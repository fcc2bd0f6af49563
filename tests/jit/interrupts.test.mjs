// Small programs, interrupted at every count of their instructions: compiled code is left exactly there, with the state that
// tier 0 has there.
// @ts-check
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { test } from "node:test";

import { ROOT, temporary } from "../harness.mjs";
import { assemble, hashes } from "./differ.mjs";

const EAGER = "threshold=1,batch=1,maxWait=0,threshold2=30";

for (const bits of [32, 64]) {
  test(`an interrupt at every instruction, ${bits} bits`, async (t) => {
    const dir = temporary(t);
    const source = fs.readFileSync(path.join(ROOT, "tests/jit/interrupts.asm"), "utf8");
    const image = assemble(`%define BITS_ ${bits}\n${source}`, dir);
    /** @param {string} jit @param {string[]} more */
    const run = async (jit, ...more) => {
      const stats = path.join(dir, `${jit}.json`);
      const { text, status } = await hashes(image, jit, dir, ["--ns-per-insn", "1", "--hash-every", "503", "--stats", `json:${stats}`, ...more]);
      return { text, status, counted: JSON.parse(fs.readFileSync(stats, "utf8")) };
    };
    const interpreted = await run("off");
    assert.equal(interpreted.status, 0, interpreted.text);
    assert.ok(interpreted.counted.machine.cpu.interrupts_total > 1000);
    for (const jit of ["threshold=20,maxWait=1000", EAGER, `${EAGER},chain=0,maxInsns=3`]) {
      const compiled = await run(jit);
      assert.equal(compiled.text, interpreted.text, jit);
      assert.equal(compiled.status, 0);
      assert.ok(compiled.counted.machine.jit.instructions_total > 0.7 * interpreted.counted.instructions, jit);
    }
    const verified = await run(EAGER, "--verify-jit");
    assert.equal(verified.text, interpreted.text);
  });
}
