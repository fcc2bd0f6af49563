// The vectors that were recorded from a processor (tests/data/vectors.bin), replayed by tier 0 in WebAssembly.
// @ts-check
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as path from "node:path";
import { test } from "node:test";

import { ROOT } from "../harness.mjs";

const PROGRAM = `
import { WASI } from "node:wasi";
import * as fs from "node:fs";
const [wasm, data] = process.argv.slice(1);
const wasi = new WASI({ version: "preview1", args: ["vectors", "/data/vectors.bin"], preopens: { "/data": data } });
const module = await WebAssembly.compile(fs.readFileSync(wasm));
process.exitCode = wasi.start(await WebAssembly.instantiate(module, wasi.getImportObject()));
`;

test("recorded vectors in WebAssembly", () => {
  const files = [path.join(ROOT, "build/wasm/vectors.wasm"), path.join(ROOT, "tests/data")];
  const args = ["--no-warnings", "--input-type=module", "-e", PROGRAM, ...files];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  assert.match(stdout, /^[1-9][0-9]{3} passed, 0 failed\n$/, stdout + stderr);
  assert.equal(status, 0);
});
