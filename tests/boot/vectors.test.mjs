// What tests/data has of a processor's results (vectors.bin) and of exact ones (x87_exact.txt), replayed by tier 0 in
// WebAssembly.
// @ts-check
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as path from "node:path";
import { test } from "node:test";

import { ROOT } from "../harness.mjs";

const PROGRAM = `
import { WASI } from "node:wasi";
import * as fs from "node:fs";
const [wasm, data, file] = process.argv.slice(1);
const wasi = new WASI({ version: "preview1", args: ["test", "/data/" + file], preopens: { "/data": data } });
const module = await WebAssembly.compile(fs.readFileSync(wasm));
process.exitCode = wasi.start(await WebAssembly.instantiate(module, wasi.getImportObject()));
`;

/** @param {string} name @param {string} data @param {RegExp} outcome */
function replay(name, data, outcome) {
  const files = [path.join(ROOT, `build/wasm/${name}.wasm`), path.join(ROOT, "tests/data"), data];
  const args = ["--no-warnings", "--input-type=module", "-e", PROGRAM, ...files];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  assert.match(stdout, outcome, stdout + stderr);
  assert.equal(status, 0);
}

test("recorded vectors in WebAssembly", () => replay("vectors", "vectors.bin", /^[1-9][0-9]{3} passed, 0 failed\n$/));

test("exact x87 results in WebAssembly", () => replay("x87_exact", "x87_exact.txt", /^[1-9][0-9]{2} passed, 0 failed;/));
