// Looks for programs on which tier 0 and compiled code differ, and makes them small:
//   node tests/jit/fuzz.mjs [--mix NAME] [--bits 32|64] [--from SEED] [--count N]
// A small failure is written to tests/jit/cases, where it stays as a test once what was wrong is right.
// @ts-check
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { parseArgs } from "node:util";

import { ROOT } from "../harness.mjs";
import { explain, same, toJson } from "./differ.mjs";
import { generate, MIXES } from "./program.mjs";
import { shrink } from "./shrink.mjs";

const { values } = parseArgs({
  options: {
    mix: { type: "string", multiple: true, default: MIXES },
    bits: { type: "string", multiple: true, default: ["32", "64"] },
    from: { type: "string", default: "1" },
    count: { type: "string", default: "10" },
  },
});
/** @param {import("./program.mjs").Item[]} items @returns {number} */
const count = (items) => items.reduce((n, i) => n + 1 + count(i.items ?? []), 0);
const dir = fs.mkdtempSync(path.join(os.tmpdir(), "oriel-jit-"));
let failures = 0;
for (let seed = Number(values.from); seed < Number(values.from) + Number(values.count); seed++) {
  for (const mix of values.mix) {
    for (const bits of values.bits) {
      const width = bits === "32" ? 32 : 64;
      const program = generate(seed, width, mix);
      const { equal, ended } = await same(program, dir);
      console.log(`${mix} ${bits} ${seed}: ${!ended ? "does not end" : equal ? "same" : "DIFFERENT"}`);
      if (equal) continue;
      failures++;
      const fails = async (/** @type {import("./program.mjs").Program} */ p) => {
        try {
          return !(await same(p, dir)).equal;
        } catch {
          return false; // a label went with its item
        }
      };
      const small = await shrink(program, fails, (p) =>
        process.stdout.write(`  ${p.functions.length} functions, ${p.functions.reduce((n, f) => n + count(f.items), 0)} items\r`),
      );
      console.log(`\n${(await explain(small, dir)) || "--verify-jit finds nothing"}`);
      const file = path.join(ROOT, "tests/jit/cases", `${mix}-${bits}-${seed}.json`);
      fs.mkdirSync(path.dirname(file), { recursive: true });
      fs.writeFileSync(file, toJson(small));
      console.log(`${small.functions.map((f) => `${f.name}: mxcsr ${f.mxcsr.toString(16)}\n${JSON.stringify(f.items, null, 1)}`).join("\n")}\n-> ${file}`);
    }
  }
}
fs.rmSync(dir, { recursive: true });
process.exit(failures ? 1 : 0);
