// A wrong call or input: one line on standard error, exit status 2, and nothing written.
// @ts-check
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { describe, test } from "node:test";

import { GUESTS, HOSTS, oriel, Run, temporary } from "../harness.mjs";
import { HALT, makeDisk } from "./guests.mjs";

const kernel = path.join(GUESTS, "686/vmlinuz");

/** @param {string} dir */
function makeInputs(dir) {
  const file = (/** @type {string} */ name, /** @type {string | Uint8Array} */ bytes) => fs.writeFileSync(path.join(dir, name), bytes);
  const padded = (/** @type {string} */ magic) => Buffer.concat([Buffer.from(magic, "latin1"), Buffer.alloc(65536)]);
  makeDisk(dir, "good.img", HALT);
  file("empty", "");
  file("odd.img", Buffer.alloc(1000));
  file("short.iso", Buffer.alloc(2048 + 5));
  file("disk.qcow2", padded("QFI\xfb\0\0\0\x03"));
  file("disk.vmdk", padded("KDMV\x01\0\0\0"));
  file("disk.vdi", padded("\0".repeat(64) + "\x7f\x10\xda\xbe"));
  file("disk.gz", padded("\x1f\x8b\x08"));
  file("text", "This is no kernel.\n".repeat(100));
  file("cut.vmlinuz", fs.readFileSync(kernel).subarray(0, 100_000));
  file("cut-early.vmlinuz", fs.readFileSync(kernel).subarray(0, 600));
  file("script", "wait for \"godot\"\n");
  fs.mkdirSync(path.join(dir, "directory"));
}

/** What is wrong, the arguments, and what the line must say. Paths are relative to the directory of makeInputs().
 * @type {[string, string[], RegExp][]} */
const CASES = [
  ["no command", [], /which command/],
  ["an unknown command", ["walk"], /no command 'walk'/],
  ["an unknown option", ["run", "--warp", "9"], /no option --warp/],
  ["a word that is no option", ["run", "good.img"], /'good.img' is not an option/],
  ["a missing value", ["run", "--hda"], /--hda needs a value/],
  ["a value for a switch", ["run", "--hda", "good.img", "--snapshot=yes"], /--snapshot takes no value/],
  ["nothing to boot", ["run"], /nothing to boot/],
  ["an initrd without a kernel", ["run", "--initrd", "text"], /--initrd needs --kernel/],
  ["a command line without a kernel", ["run", "--hda", "good.img", "--append", "x"], /--append needs --kernel/],
  ["a clock of a run that is not deterministic", ["run", "--hda", "good.img", "--ns-per-insn", "5"], /needs --deterministic/],
  ["neither on nor off", ["run", "--hda", "good.img", "--jit", "maybe"], /--jit: 'maybe' is not on or off/],
  ["a limit without a number", ["run", "--hda", "good.img", "--jit", "threshold=1,chain="], /--jit: '(threshold=1,)?chain=' is not on or off/],
  ["compiled code to verify, and none", ["run", "--hda", "good.img", "--jit", "off", "--verify-jit"], /--verify-jit/],
  ["too slow a clock", ["run", "--hda", "good.img", "--deterministic", "--ns-per-insn", "1000001"], /not between 1 and 1000000/],
  ["hashes of a run that is not deterministic", ["run", "--hda", "good.img", "--hash-every", "5"], /needs --deterministic/],
  ["no memory", ["run", "--hda", "good.img", "--memory", "0"], /--memory/],
  ["too little memory", ["run", "--hda", "good.img", "--memory", "1"], /not between/],
  ["too much memory", ["run", "--hda", "good.img", "--memory", "1048576"], /not between/],
  ["memory that is no number", ["run", "--hda", "good.img", "--memory", "lots"], /not a positive whole number/],
  ["a time that is none", ["run", "--hda", "good.img", "--max-seconds", "-1"], /not a positive number/],
  ["a boot device that is none", ["run", "--hda", "good.img", "--boot", "x"], /not c or d/],
  ["a serial port to nowhere", ["run", "--hda", "good.img", "--serial", "moon"], /not stdio, file:FILE or none/],
  ["a display that is none", ["run", "--hda", "good.img", "--display", "gif:x"], /not png:FILE/],
  ["a missing disk", ["run", "--hda", "gone.img"], /gone\.img: no such file/],
  ["a missing second disk", ["run", "--hda", "good.img", "--hdb", "gone.img"], /gone\.img: no such file/],
  ["a missing virtio disk", ["run", "--virtio", "gone.img"], /gone\.img: no such file/],
  ["a missing CD", ["run", "--cdrom", "gone.iso"], /gone\.iso: no such file/],
  ["an empty disk", ["run", "--hda", "empty"], /empty/],
  ["a disk that is no whole number of sectors", ["run", "--hda", "odd.img"], /odd\.img/],
  ["a CD that is no whole number of sectors", ["run", "--cdrom", "short.iso"], /short\.iso/],
  ["an empty CD", ["run", "--cdrom", "empty"], /empty/],
  ["a QCOW2 image", ["run", "--hda", "disk.qcow2"], /disk\.qcow2.*QCOW2.*qemu-img/],
  ["a VMDK image", ["run", "--hda", "disk.vmdk"], /disk\.vmdk.*VMDK.*qemu-img/],
  ["a VDI image", ["run", "--virtio", "disk.vdi"], /disk\.vdi.*VDI.*qemu-img/],
  ["a compressed image", ["run", "--cdrom", "disk.gz"], /disk\.gz.*gzip.*unpack/],
  ["a directory as a disk", ["run", "--hda", "directory"], /directory: (is a directory|not a regular file)/],
  ["a device as a disk", ["run", "--hda", "/dev/null"], /\/dev\/null: not a regular file/],
  ["a directory as a kernel", ["run", "--kernel", "directory"], /directory: is a directory/],
  ["a missing kernel", ["run", "--kernel", "gone"], /gone: no such file/],
  ["an empty kernel", ["run", "--kernel", "empty"], /empty: is empty/],
  ["a kernel that is none", ["run", "--kernel", "text"], /kernel/],
  ["a truncated kernel", ["run", "--kernel", "cut.vmlinuz"], /cut\.vmlinuz: a truncated Linux kernel/],
  ["a kernel that ends in its header", ["run", "--kernel", "cut-early.vmlinuz"], /kernel/],
  ["a missing initrd", ["run", "--kernel", kernel, "--initrd", "gone"], /gone: no such file/],
  ["a kernel that does not fit", ["run", "--kernel", kernel, "--memory", "4"], /memory/],
  ["a missing firmware", ["run", "--hda", "good.img", "--bios", "gone"], /gone: no such file/],
  ["a firmware that is none", ["run", "--hda", "good.img", "--bios", "text"], /BIOS|firmware/i],
  ["an empty firmware", ["run", "--hda", "good.img", "--bios", "empty"], /empty: is empty/],
  ["a missing script", ["run", "--hda", "good.img", "--script", "gone"], /gone: no such file/],
  ["a script with a command that is none", ["run", "--hda", "good.img", "--script", "script"], /line 1/],
  ["a picture that cannot be written", ["run", "--hda", "good.img", "--display", "png:gone/x.png"], /gone\/x\.png: no such file/],
  ["counters that cannot be written", ["run", "--hda", "good.img", "--stats", "json:directory"], /directory: is a directory/],
  ["a serial log that cannot be written", ["run", "--hda", "good.img", "--serial", "file:gone/log"], /gone\/log: no such file/],
  ["one disk twice", ["run", "--hda", "good.img", "--hdb", "good.img"], /good\.img: in use by this run/],
];

/** Names, sizes and times of all there is.
 * @param {string} dir */
function listing(dir) {
  return fs
    .readdirSync(dir)
    .sort()
    .map((name) => {
      const { size, mtimeMs } = fs.statSync(path.join(dir, name));
      return `${name} ${size} ${mtimeMs}`;
    });
}

/** @param {import("../harness.mjs").Result} result @param {RegExp} says */
function refused({ status, stdout, stderr }, says) {
  assert.equal(stdout, "");
  assert.match(stderr, /^oriel: [^\n]+\n$/);
  assert.match(stderr, says);
  assert.equal(status, 2);
}

for (const host of HOSTS) {
  describe(`bad input under ${host}`, () => {
    for (const [what, args, says] of CASES) {
      test(what, async (t) => {
        const dir = temporary(t);
        makeInputs(dir);
        const before = listing(dir);
        refused(await oriel(host, args, { cwd: dir }), says);
        assert.deepEqual(listing(dir), before);
      });
    }

    // Root may read and write everything.
    const uid = process.getuid?.() === 0 ? 65534 : undefined;
    test("files without permission", async (t) => {
      const dir = temporary(t);
      makeInputs(dir);
      fs.chmodSync(dir, 0o755);
      fs.chmodSync(path.join(dir, "good.img"), 0o444);
      const before = listing(dir);
      refused(await oriel(host, ["run", "--hda", "good.img"], { cwd: dir, uid }), /good\.img: permission denied; --snapshot/);
      fs.chmodSync(path.join(dir, "text"), 0);
      refused(await oriel(host, ["run", "--kernel", "text"], { cwd: dir, uid }), /text: permission denied/);
      refused(await oriel(host, ["run", "--cdrom", "text"], { cwd: dir, uid }), /text: permission denied/);
      if (uid !== undefined) {
        const args = ["run", "--hda", "good.img", "--snapshot", "--display", "png:x.png"];
        refused(await oriel(host, args, { cwd: dir, uid }), /x\.png: permission denied/);
      }
      assert.deepEqual(listing(dir), before);
    });

    test("an image that another run uses, and one whose user is gone", async (t) => {
      const dir = temporary(t);
      const image = makeDisk(dir, "disk.img", HALT);
      const first = new Run(host, ["run", "--hda", image]);
      await first.output("ready");
      assert.ok(fs.existsSync(`${image}.lock`));
      const says = new RegExp(`disk\\.img: in use by process ${first.child.pid}`);
      for (const other of HOSTS) {
        refused(await oriel(other, ["run", "--hda", image]), says);
        refused(await oriel(other, ["run", "--hda", image, "--snapshot"]), says);
      }
      first.child.kill("SIGKILL");
      await first.ended;
      assert.ok(fs.existsSync(`${image}.lock`), "killed, it leaves its lock");
      const second = new Run(host, ["run", "--hda", image]);
      await second.output("ready");
      second.child.kill("SIGTERM");
      assert.equal((await second.ended).status, 128 + 15);
      assert.ok(!fs.existsSync(`${image}.lock`));
    });
  });
}
