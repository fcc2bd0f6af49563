// Random programs leave the same states behind in tier 0 and compiled.
// @ts-check
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { test } from "node:test";

import { FULL, ROOT, temporary } from "../harness.mjs";
import { fromJson, LIMITS, same, toJson } from "./differ.mjs";
import { generate, MIXES } from "./program.mjs";

const SEEDS = FULL ? 40 : 4;
const CASES = path.join(ROOT, "tests/jit/cases");

/** @param {import("./program.mjs").Program} program @param {import("node:test").TestContext} t @param {string[]} [limits] */
async function check(program, t, limits) {
  const { equal, ended, interpreted, compiled } = await same(program, temporary(t), limits);
  assert.ok(ended, interpreted.text);
  assert.ok(equal, `${compiled?.status} instead of ${interpreted.status}; node tests/jit/fuzz.mjs makes it small`);
}

for (const mix of MIXES) {
  for (const bits of /** @type {const} */ ([32, 64])) {
    test(`${mix}, ${bits} bits`, async (t) => {
      // What changes is compiled again and again, which takes long.
      for (let seed = 1; seed <= (mix === "code" && !FULL ? 2 : SEEDS); seed++) {
        // Tight limits take long: without --full one program of each kind, in turns.
        const tight = seed > 1 ? [] : [LIMITS[1] ?? "", LIMITS[bits === 32 ? 2 : 3] ?? ""];
        const usual = mix === "code" ? "threshold=5,batch=2" : "on"; // what changes is seldom hot
        await check(generate(seed, bits, mix), t, FULL ? [...LIMITS, usual] : [usual, ...tight]);
      }
    });
  }
}

for (const file of fs.existsSync(CASES) ? fs.readdirSync(CASES) : []) {
  test(`case ${file}`, async (t) => {
    const text = fs.readFileSync(path.join(CASES, file), "utf8");
    const program = fromJson(text);
    assert.equal(toJson(program), text);
    await check(program, t);
  });
}
