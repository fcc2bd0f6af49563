// Guest code is compiled on another thread: the machine goes on meanwhile, and passes through the same states whenever
// that is done, and if it never is.
// @ts-check
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { before, describe, test } from "node:test";

import { ROOT, temporary } from "../harness.mjs";
import { importTypeScript } from "../web/harness.mjs";
import { assemble } from "./differ.mjs";

const { Core, MachineStatus } = await importTypeScript("core.ts");
const { CompilerThread, CompilingEnd } = await importTypeScript("compiler.ts");

const SLICE = 1000;
const LIMITS = "threshold=50,batch=2,maxWait=0";

/** Compiles by itself, but answers when it is told to. */
class Slow {
  alive = true;
  /** @type {(() => void)[]} */
  due = [];
  asked = 0;
  start() {}
  /** @param {Uint8Array} bytes @param {(module: WebAssembly.Module | undefined, ms: number) => void} done */
  compile(bytes, done) {
    this.asked++;
    const module = new WebAssembly.Module(/** @type {Uint8Array<ArrayBuffer>} */ (bytes));
    this.due.push(() => done(module, 2));
  }
}

/** @type {WebAssembly.Module} */
let core;
before(async () => void (core = await WebAssembly.compile(fs.readFileSync(path.join(ROOT, "build/web/page/oriel.wasm")))));

/** The hashes after each slice, and the counters. @param {Uint8Array} bios @param {string | undefined} jit @param {Slow} [compiler]
 * @param {(slice: number) => void} [between] @param {(text: string) => void} [log] */
async function run(bios, jit, compiler, between = () => {}, log = assert.fail) {
  const host = {
    compiler,
    nowNs: () => performance.now() * 1e6,
    wallClockSeconds: () => 0,
    log: (/** @type {number} */ _, /** @type {string} */ text) => log(text),
    serialOutput: () => undefined,
    debugOutput: () => undefined,
  };
  const config = { memoryBytes: 16 << 20, deterministic: true, jit, bios, vgabios: new Uint8Array(), testDevice: true, disks: {} };
  const machine = await Core.create(core, host, config);
  const hashes = [];
  let status = MachineStatus.Running;
  for (let slice = 0; status === MachineStatus.Running; slice++) {
    assert.ok(slice < 5000, "the program does not end");
    status = machine.run(SLICE, Number.MAX_SAFE_INTEGER);
    hashes.push(`${status} ${machine.instructions()} ${machine.stateHash()}`);
    between(slice);
  }
  return { hashes, jit: JSON.parse(machine.statsJson()).jit };
}

for (const bits of [32, 64]) {
  describe(`${bits} bits`, () => {
    /** @type {Uint8Array} */
    let bios;
    /** @type {string[]} */
    let expected;
    test("tier 0", async (t) => {
      const source = fs.readFileSync(path.join(ROOT, "tests/jit/worker.asm"), "utf8");
      bios = new Uint8Array(fs.readFileSync(assemble(`%define BITS_ ${bits}\n${source}`, temporary(t))));
      expected = (await run(bios, undefined)).hashes;
      assert.ok(expected.length > 500, `${expected.length} slices`);
    });

    for (const late of [1, 4, 40]) {
      test(`compiled ${late} slices late`, async () => {
        const compiler = new Slow();
        /** @type {{ at: number, answer: () => void }[]} */
        const coming = [];
        const { hashes, jit } = await run(bios, LIMITS, compiler, (slice) => {
          for (const answer of compiler.due.splice(0)) coming.push({ at: slice + late, answer });
          while ((coming[0]?.at ?? Infinity) <= slice) coming.shift()?.answer();
        });
        assert.deepEqual(hashes, expected);
        const modules = jit.tier1.modules_total + jit.tier2.modules_total;
        assert.equal(modules, compiler.asked);
        assert.ok(jit.cache.installs_total > 0 && jit.instructions_total > 10_000, `${jit.instructions_total} instructions`);
        if (late > 10) assert.ok(jit.cache.stale_rejects_total > 0, "what was changed in between is rejected");
        assert.ok(jit.tier1.worker_time_ns_total >= 2e6 && jit.tier1.worker_time_ns_total % 2e6 === 0);
      });
    }

    test("never", async () => {
      const compiler = new Slow();
      const { hashes, jit } = await run(bios, LIMITS, compiler);
      assert.deepEqual(hashes, expected);
      assert.equal(jit.instructions_total, 0);
      assert.equal(jit.cache.installs_total, 0);
      assert.ok(compiler.asked > 0 && compiler.asked <= 8, `${compiler.asked} modules wait`);
    });

    test("the thread is lost", async () => {
      /** @type {(why: string) => void} */
      let lose = () => {};
      const complaints = /** @type {string[]} */ ([]);
      const sent = /** @type {unknown[]} */ ([]);
      const thread = { postMessage: (/** @type {unknown} */ m) => void sent.push(m), receive: () => {}, lost: (/** @type {any} */ tell) => (lose = tell) };
      const compiler = new CompilerThread(() => thread, (/** @type {string} */ text) => complaints.push(text));
      const { hashes, jit } = await run(bios, LIMITS, compiler, (slice) => {
        if (slice === 200) lose("gone");
      });
      assert.deepEqual(hashes, expected);
      assert.ok(jit.cache.installs_total > 0, "the CPU's thread compiles, what was under way as well");
      assert.ok(sent.length > 0 && compiler.alive === false);
      assert.deepEqual(complaints, ["the compiling thread is lost, and the CPU's thread compiles what the guest runs: gone"]);
    });

    test("without another thread", async () => {
      const compiler = new Slow();
      const { hashes, jit } = await run(bios, `${LIMITS},worker=0`, compiler);
      assert.deepEqual(hashes, expected);
      assert.equal(compiler.asked, 0);
      assert.ok(jit.cache.installs_total > 0);
      assert.equal(jit.cache.stale_rejects_total, 0);
      assert.equal(jit.tier1.worker_time_ns_total, 0);
    });
  });
}

test("what the thread answers", async () => {
  /** @type {any[]} */
  const answers = [];
  const end = new CompilingEnd((/** @type {unknown} */ a) => answers.push(a));
  end.take({ id: 1, bytes: Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0) });
  end.take({ id: 2, bytes: Uint8Array.of(1, 2, 3) });
  assert.deepEqual(answers.map((a) => [a.id, a.module instanceof WebAssembly.Module]), [[1, true], [2, false]]);
});
