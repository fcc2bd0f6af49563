// ./oriel passes its arguments to the host that --host names; a call that is wrong is refused.
// @ts-check
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as path from "node:path";
import { test } from "node:test";

import { ROOT, temporary } from "../harness.mjs";

/** @param {string} script @param {string[]} args @param {string} [cwd] */
function script(script, args, cwd) {
  return spawnSync(path.join(ROOT, script), args, { encoding: "utf8", cwd, timeout: 600_000 });
}

for (const host of ["node", "native"]) {
  test(`./oriel run --host ${host}, from another directory`, (t) => {
    const dir = temporary(t);
    for (const args of [["--host", host], [`--host=${host}`]]) {
      const { status, stdout } = script("oriel", ["run", ...args, "--help"], dir);
      assert.equal(status, 0);
      assert.match(stdout, /^Usage: oriel run/);
    }
    const { status, stderr } = script("oriel", ["run", "--host", host, "--hda", "a file's name"], dir);
    assert.equal(status, 2);
    assert.equal(stderr, "oriel: a file's name: no such file\n");
  });
}

/** @type {[string, string[], RegExp][]} */
const CASES = [
  ["oriel", ["run", "--host", "moon"], /--host: 'moon' is not node or native/],
  ["oriel", ["run", "--host"], /--host needs a value/],
  ["oriel", ["bench", "--host", "moon"], /--host: 'moon' is not node or native/],
  ["oriel", ["bench", "--host", "native", "--mode", "jit_baseline"], /no WebAssembly engine/],
  ["oriel", ["run", "--host", "native", "--hda", "x", "--verify-jit"], /no WebAssembly engine/],
  ["oriel", [], /which command/],
  ["oriel", ["serve", "--port", "99999"], /not a port/],
  ["test", ["--warp"], /no option --warp/],
  ["test", ["everything"], /no check 'everything'/],
];
for (const [name, args, says] of CASES) {
  test(`./${[name, ...args].join(" ")}`, () => {
    const { status, stdout, stderr } = script(name, args);
    assert.equal(stdout, "");
    assert.match(stderr, /^oriel: [^\n]+\n$/);
    assert.match(stderr, says);
    assert.equal(status, 2);
  });
}
