// The benchmark suite from JavaScript in a browser: web/src/bench.ts in a worker, on the page's oriel.wasm.
// @ts-check
import assert from "node:assert/strict";
import * as path from "node:path";
import { after, before, test } from "node:test";

import * as esbuild from "esbuild";

import { Browser, ROOT } from "./harness.mjs";

const WORKER = `
import { bench } from "./bench.ts";
onmessage = async ({ data }) => {
  const result = { status: -1, printed: "", complaints: "" };
  const host = {
    name: "browser",
    nowNs: () => performance.now() * 1e6,
    wallClockSeconds: () => Date.now() / 1000,
    log: () => undefined,
    serialOutput: () => undefined,
    debugOutput: () => undefined,
    readFile: () => data.file,
    print: (text) => (result.printed += text),
    complain: (text) => (result.complaints += text),
  };
  try {
    result.status = await bench(await WebAssembly.compileStreaming(fetch(data.wasm)), host, data.args);
  } catch (error) {
    result.complaints += error.message;
  }
  postMessage(result);
};
`;

/** @type {Browser} */
let browser;
/** @type {(args: string[], file?: number[]) => Promise<{status: number, printed: string, complaints: string}>} */
let bench;
before(async () => {
  browser = await Browser.open();
  const { outputFiles } = await esbuild.build({
    stdin: { contents: WORKER, resolveDir: path.join(ROOT, "web/src"), loader: "ts" },
    bundle: true,
    write: false,
    format: "esm",
  });
  const code = outputFiles[0]?.text ?? "";
  const { page } = await browser.page();
  bench = (args, file = []) =>
    page.evaluate(
      (source, a, f) =>
        new Promise((resolve, reject) => {
          const worker = new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })), { type: "module" });
          worker.onerror = (event) => reject(new Error(event.message));
          worker.onmessage = ({ data }) => {
            worker.terminate();
            resolve(data);
          };
          worker.postMessage({ args: a, file: Uint8Array.from(f), wasm: new URL("oriel.wasm", location.href).href });
        }),
      code,
      args,
      file,
    );
});
after(() => browser?.close());

for (const mode of ["interpreter", "jit_baseline", "jit_opt"]) {
  test(`the suite, ${mode}`, async () => {
    const { status, printed, complaints } = await bench(["--iterations", "2000", "--runs", "2", "--mode", mode, "--json"]);
    assert.equal(complaints, "");
    assert.equal(status, 0);
    const { results } = JSON.parse(printed);
    assert.equal(results.length, 18);
    for (const r of results) {
      assert.equal(r.host, "browser");
      assert.equal(r.mode, mode);
      assert.equal(r.checksum_ok, true);
    }
  });
}

test("a payload of one's own, and a wrong call", async () => {
  const lea = [0x8d, 0x41, 0x05, 0xc3]; // lea eax, [ecx + 5] or [rcx + 5]; ret
  const { status, printed } = await bench(["--raw", "x", "--bits", "32", "--iterations", "7", "--json"], lea);
  assert.equal(status, 0);
  const result = JSON.parse(printed);
  assert.equal(result.checksum, "0x0000000c");
  assert.equal(result.instructions, 2);
  assert.equal((await bench(["--warp"])).complaints, "there is no option --warp (see 'oriel bench --help')");
});
