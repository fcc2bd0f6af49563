// Boots pass through the same states in the page as under Node, compiled code included.
// @ts-check
import assert from "node:assert/strict";
import { availableParallelism } from "node:os";
import { after, before, test } from "node:test";

import { FULL, oriel } from "../harness.mjs";
import { Browser, guest } from "./harness.mjs";

const APPEND = "console=ttyS0 cryptomgr.notests";
/** What is booted, with how much memory, and how far, in millions of instructions: always, and with --full. */
const BOOTS = [
  { name: "686", files: ["686/vmlinuz", "686/initrd"], memory: 512, millions: [200, 2900], every: 20 },
  { name: "amd64", files: ["amd64/vmlinuz", "amd64/initrd"], memory: 512, millions: [200, 5600], every: 20 },
  { name: "memtest86+", files: ["memtest64.bin"], memory: 64, millions: [100, 3000], every: 20 },
];

/** @type {Browser} */
let browser;
before(async () => void (browser = await Browser.open()));
after(() => browser?.close());

/** @param {string[]} files a kernel and an initrd @param {Omit<Parameters<typeof window.oriel.start>[0], "kernel" | "initrd">} options
 * @param {number} seconds */
async function inPage(files, options, seconds) {
  const p = await browser.page();
  const input = await p.page.evaluateHandle(() => {
    const element = document.createElement("input");
    element.type = "file";
    element.multiple = true;
    return element;
  });
  await input.uploadFile(...files);
  await input.evaluate(async (element, o) => {
    const [kernel, initrd] = element.files ?? [];
    await window.oriel.start({ ...o, ...(kernel && { kernel }), ...(initrd && { initrd }) });
  }, options);
  await p.state("paused", seconds);
  const { hashes } = await p.status();
  const stats = /** @type {any} */ (await p.page.evaluate(() => window.oriel.stats()));
  assert.deepEqual(p.failures, []);
  await p.close();
  assert.equal(stats.jit.tier1.worker_time_ns_total > 0, availableParallelism() > 2, "compiled on another thread where that pays");
  return { hashes, compiled: stats.jit.instructions_total };
}

for (const { name, files, memory, millions: [short = 0, long = 0], every } of BOOTS) {
  const millions = FULL ? long : short;
  test(`${name}: the hashes of ${millions} million instructions`, async () => {
    const [kernel = "", initrd] = files.map(guest);
    const limits = ["--deterministic", "--hash-every", `${every}000000`, "--max-instructions", `${millions}000000`];
    const boot = ["--kernel", kernel, ...(initrd ? ["--initrd", initrd] : []), "--append", APPEND, "--memory", String(memory)];
    const options = { deterministic: true, hashEvery: every * 1e6, maxInstructions: millions * 1e6, memoryMiB: memory, append: APPEND };
    const [node, page] = await Promise.all([
      oriel("node", ["run", ...boot, ...limits, "--serial", "none"], { seconds: 3000 }),
      inPage([kernel, ...(initrd ? [initrd] : [])], options, 3000),
    ]);
    assert.equal(page.hashes.length, millions / every);
    assert.deepEqual(page.hashes.map((h) => `hash ${h}`), node.stderr.match(/^hash .*$/gm));
    assert.ok(page.compiled > 0.5e6 * millions, `${page.compiled} instructions were compiled code's`);
  });
}
