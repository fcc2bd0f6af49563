// How a run ends, and what is in the files then.
// @ts-check
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { describe, test } from "node:test";

import { HOSTS, oriel, Run, temporary } from "../harness.mjs";
import { HALT, makeDisk, SECTOR, testDevice, TRIPLE_FAULT, WRITE } from "./guests.mjs";

const WRITTEN = Buffer.alloc(SECTOR, "W");

for (const host of HOSTS) {
  describe(`runs under ${host}`, () => {
    for (const [signal, number] of /** @type {[NodeJS.Signals, number][]} */ ([["SIGINT", 2], ["SIGTERM", 15]])) {
      test(`${signal}: what the guest wrote is in the image`, async (t) => {
        const image = makeDisk(temporary(t), "disk.img", WRITE);
        const expected = fs.readFileSync(image);
        WRITTEN.copy(expected, SECTOR);
        const run = new Run(host, ["run", "--hda", image]);
        await run.output("written");
        run.child.kill(signal);
        const { status, stderr } = await run.ended;
        assert.equal(status, 128 + number);
        assert.equal(stderr, "");
        assert.ok(fs.readFileSync(image).equals(expected));
        assert.ok(!fs.existsSync(`${image}.lock`));
      });
    }

    test("--snapshot: the image stays as it is", async (t) => {
      const image = makeDisk(temporary(t), "disk.img", WRITE);
      fs.chmodSync(image, 0o444);
      const before = fs.readFileSync(image);
      const run = new Run(host, ["run", "--hda", image, "--snapshot"]);
      await run.output("written");
      run.child.kill("SIGINT");
      await run.ended;
      assert.ok(fs.readFileSync(image).equals(before));
      assert.deepEqual(fs.readdirSync(path.dirname(image)), ["disk.img"]);
    });

    test("time runs out: exit status 3", async (t) => {
      const image = makeDisk(temporary(t), "disk.img", HALT);
      const { status, stderr } = await oriel(host, ["run", "--hda", image, "--max-seconds", "2.5"]);
      assert.equal(status, 3);
      assert.equal(stderr, "oriel: stopped after 2.5 seconds\n");
    });

    test("instructions run out: exit status 3, counters and a picture written", async (t) => {
      const dir = temporary(t);
      const [stats, png, serial] = ["stats.json", "screen.png", "serial"].map((f) => path.join(dir, f));
      const args = ["--hda", makeDisk(dir, "disk.img", HALT), "--deterministic", "--max-instructions", "60000000"];
      const outputs = ["--stats", `json:${stats}`, "--display", `png:${png}`, "--serial", `file:${serial}`];
      const { status, stdout, stderr } = await oriel(host, ["run", ...args, ...outputs]);
      assert.equal(status, 3);
      assert.equal(stdout, "");
      assert.equal(stderr, "oriel: stopped after 60000000 instructions\n");
      const counters = JSON.parse(fs.readFileSync(/** @type {string} */ (stats), "utf8"));
      assert.equal(counters.host, host);
      assert.equal(counters.exit_status, 3);
      assert.equal(counters.instructions, 60_000_000);
      assert.ok(counters.touched_bytes > 0 && counters.touched_bytes < 16 << 20);
      assert.match(fs.readFileSync(/** @type {string} */ (serial), "utf8"), /ready/);
      assert.equal(fs.readFileSync(/** @type {string} */ (png)).subarray(1, 4).toString(), "PNG");
    });

    test("a triple fault: exit status 4 and the state", async (t) => {
      const image = makeDisk(temporary(t), "disk.img", TRIPLE_FAULT);
      const { status, stderr } = await oriel(host, ["run", "--hda", image, "--serial", "none"]);
      assert.equal(status, 4);
      assert.match(stderr, /^oriel: the guest shut itself down by a triple fault\n/);
      assert.match(stderr, /RAX=0000000012345678/);
      assert.match(stderr, /RIP=0000000000007c[0-9a-f]{2}/);
    });

    test("--test-device: the guest ends the run, with exit status 0 or 5", async (t) => {
      for (const [value, expected] of /** @type {[number, number][]} */ ([[0, 0], [7, 5]])) {
        const image = makeDisk(temporary(t), "disk.img", testDevice(value));
        const { status, stderr } = await oriel(host, ["run", "--hda", image, "--test-device", "--max-seconds", "600"]);
        assert.equal(stderr, "");
        assert.equal(status, expected);
      }
    });

    test("without --test-device there is none", async (t) => {
      const image = makeDisk(temporary(t), "disk.img", testDevice(0));
      const { status } = await oriel(host, ["run", "--hda", image, "--max-seconds", "2.5"]);
      assert.equal(status, 3);
    });

    test("--help", async () => {
      const { status, stdout, stderr } = await oriel(host, ["run", "--help"]);
      assert.equal(status, 0);
      assert.equal(stderr, "");
      for (const option of ["kernel F", "hda F", "cdrom F", "memory MiB", "deterministic", "stats json:F"]) {
        assert.ok(stdout.includes(`--${option}`), option);
      }
    });
  });
}

test("both hosts have the same help", async () => {
  const [native, node] = await Promise.all(HOSTS.map((host) => oriel(host, ["run", "--help"])));
  assert.equal(node?.stdout, native?.stdout);
});
