// Units of several pages: entered only while their pages are where they need them.
// @ts-check
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { test } from "node:test";

import { ROOT, temporary } from "../harness.mjs";
import { assemble, hashes } from "./differ.mjs";

for (const bits of [32, 64]) {
  test(`pages that part, ${bits} bits`, async (t) => {
    const dir = temporary(t);
    const source = fs.readFileSync(path.join(ROOT, "tests/jit/pages.asm"), "utf8");
    const image = assemble(`%define BITS_ ${bits}\n${source}`, dir);
    const interpreted = await hashes(image, "off", dir);
    assert.ok(interpreted.text.split("\n").length > 100, interpreted.text);
    for (const jit of ["threshold2=50", "threshold2=51", "threshold2=51,chain=0"]) {
      const stats = path.join(dir, "stats.json");
      const compiled = await hashes(image, jit, dir, ["--stats", `json:${stats}`]);
      assert.deepEqual(compiled, interpreted);
      const counted = JSON.parse(fs.readFileSync(stats, "utf8")).machine.jit;
      assert.ok(counted.tier2.units_compiled_total > 0);
      assert.ok(counted.mapping_fail_total > 0);
    }
  });
}
