// What is booted, as a table: each scenario is a machine, a script that uses it as a person would (docs/script.md), and
// what must have come of it. A script that does not get to its end makes the run end with exit status 3.
// @ts-check
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { fileURLToPath } from "node:url";

import { PNG } from "pngjs";

import { GUESTS } from "../harness.mjs";

/**
 * @typedef {object} Scenario
 * @property {string} name
 * @property {(dir: string) => string[]} args options of `oriel run`; `dir` is a directory that the scenarios of a host share
 * @property {(dir: string) => string} script
 * @property {(dir: string, output: string) => void} [check]
 * @property {boolean} [checkMemory] what the machine costs the host is bounded
 * @property {number} [maxInstructions] in millions; default 12000
 * @property {("native" | "node")[]} [only] hosts for which it does not need --full
 */

const guest = (/** @type {string} */ name) => path.join(GUESTS, name);

/** The kernel's tests of its own ciphers would be more than half of the boot. */
const APPEND = "console=tty0 console=ttyS0,115200 cryptomgr.notests";
const direct = (/** @type {string} */ kernel, /** @type {string} */ words) => [
  "--kernel",
  guest(`${kernel}/vmlinuz`),
  "--initrd",
  guest(`${kernel}/initrd`),
  "--append",
  `${APPEND} ${words}`,
];

/** A screen's text ends where its last line does: no space follows the prompt there. */
const PROMPT = "oriel:/root#";

/** Commands typed at the serial console, each with a text of its output.
 * @param {[string, string][]} commands */
const serial = (commands) =>
  commands.map(([line, answer]) => `send "${line}\\n"\nwait serial "${answer}"\nwait serial "${PROMPT}"\n`).join("");
/** The same at the VGA console.
 * @param {[string, string][]} commands */
const vga = (commands) => commands.map(([line, answer]) => `type "${line}\\n"\nwait screen "${answer}"\n`).join("");

const userspace = `wait serial "${PROMPT}"\nwait screen "${PROMPT}"\n`;
const powerOff = 'send "poweroff\\n"\nwait serial "Power down"\n';

/** The pictures are the same from the menu's frame downwards; the title above has a version of Debian's in it.
 * @param {string} file */
function checkGrubMenu(file) {
  const reference = PNG.sync.read(fs.readFileSync(fileURLToPath(new URL("reference/grub_menu.png", import.meta.url))));
  const screen = PNG.sync.read(fs.readFileSync(file));
  assert.deepEqual([screen.width, screen.height], [reference.width, reference.height]);
  const top = 3 * 16 * screen.width * 4;
  assert.ok(screen.data.subarray(top).equals(reference.data.subarray(top)), `${file} differs from the reference`);
}

/** The disk's partition, to be looked at by e2fsprogs.
 * @param {string} image @param {string} to */
function extractPartition(image, to) {
  fs.writeFileSync(to, fs.readFileSync(image).subarray(1 << 20));
}

/** @type {Scenario[]} */
export const SCENARIOS = [
  {
    name: "firmware, GRUB's menu, the 64-bit kernel from the IDE disk; serial and VGA shells; a file is written",
    args: (dir) => ["--hda", path.join(dir, "demo.img")],
    script: (dir) =>
      'wait screen "SeaBIOS (version"\n' +
      'wait screen "GNU GRUB"\nwait screen "Linux, 64-bit"\nsleep 300\n' +
      `screenshot ${dir}/grub_menu.png\nprint screen\nkey enter\n` +
      userspace +
      serial([
        ["uname -m", "x86_64"],
        ["echo kept-$((6*7)) > /disk/note; sync; echo $((2+3))written", "5written"],
      ]) +
      vga([
        ["echo on-$(tty)", "on-/dev/tty1"],
        ["cat /disk/note", "kept-42"],
      ]) +
      powerOff,
    check: (dir, output) => {
      assert.match(output, /│\*Oriel demo: Linux, 64-bit +│\n │ Oriel demo: Linux, 32-bit +│\n │ memtest86\+ +│/);
      checkGrubMenu(path.join(dir, "grub_menu.png"));
    },
    checkMemory: true,
  },
  {
    name: "the same disk again, the 32-bit kernel by the menu's keys: the file is there",
    args: (dir) => ["--hda", path.join(dir, "demo.img")],
    script: () =>
      'wait screen "Linux, 64-bit"\nsleep 300\nkey down\nsleep 300\nkey enter\n' +
      userspace +
      serial([
        ["uname -m", "i686"],
        ["cat /disk/note", "kept-42"],
      ]) +
      vga([["echo on-$(tty)", "on-/dev/tty1"]]) +
      powerOff,
    check: (dir) => extractPartition(path.join(dir, "demo.img"), path.join(dir, "partition")),
    checkMemory: true,
  },
  {
    name: "the 64-bit kernel directly; its disk is virtio-blk",
    args: (dir) => [...direct("amd64", "disk"), "--virtio", path.join(dir, "demo.img"), "--snapshot"],
    script: () =>
      userspace +
      serial([
        ["mount | grep disk", "/dev/vda1 on /disk type ext4"],
        ["dd if=/dev/urandom of=/disk/random bs=64k count=64 2>/dev/null; sync; sha1sum < /disk/random > /tmp/sum; echo $((1+1))summed", "2summed"],
        ["umount /disk; mount -t ext4 /dev/vda1 /disk; sha1sum < /disk/random | cmp - /tmp/sum && echo $((3+4))same", "7same"],
      ]) +
      vga([["uname -m; echo $((6*7))vga", "42vga"]]) +
      powerOff,
  },
  {
    name: "the 32-bit kernel directly, without a disk; idle at the shell; ctrl-alt-delete reboots it",
    args: () => direct("686", ""),
    script: () =>
      userspace +
      serial([["free; echo $((6*7))free", "42free"]]) +
      vga([["uname -m; echo $((6*7))vga", "42vga"]]) +
      'key ctrl-alt-delete\nwait serial "Restarting system"\nwait serial "Linux version"\nend\n',
    checkMemory: true,
  },
  {
    name: "a rescue CD by grub-mkrescue (El Torito): the menu, and a kernel that is read from the CD",
    args: () => ["--cdrom", guest("rescue.iso")],
    script: () =>
      'wait screen "Oriel rescue CD"\nsleep 300\nprint screen\nkey enter\n' +
      userspace +
      serial([["uname -m", "i686"]]) +
      powerOff,
    only: ["native"],
  },
  {
    name: "a rescue CD before the disk (--boot d); the menu switches the machine off",
    args: (dir) => ["--cdrom", guest("rescue.iso"), "--hda", path.join(dir, "demo.img"), "--snapshot", "--boot", "d"],
    script: () =>
      'wait screen "Oriel rescue CD"\nsleep 300\nprint screen\nkey down\nsleep 300\nkey enter\nsleep 60000\nend\n',
    maxInstructions: 3000,
    check: (_, output) => assert.match(output, /Switch the machine off/),
  },
];

const MEMTEST_ARGS = () => ["--kernel", guest("memtest64.bin"), "--memory", "64"];

/** @type {Scenario} */
export const MEMTEST = {
  name: "memtest86+: its first tests over 64 MiB, without an error",
  args: MEMTEST_ARGS,
  script: () => 'wait screen "Test #3"\nsleep 1000\nprint screen\nend\n',
  check: (_, output) => {
    assert.match(output, /Memtest86\+ v[0-9.]+ +│ Oriel Virtual CPU/);
    assert.match(output, /Memory +: +64MB/);
    assert.match(output, /Pass: +0 +Errors: 0/);
  },
};

/** The bit fade test waits ten minutes of the guest's time: on a clock by which a processor runs at 5 MHz, that is few
 * instructions.
 * @type {Scenario} */
export const MEMTEST_PASS = {
  name: "memtest86+: one pass over 64 MiB, without an error",
  args: () => [...MEMTEST_ARGS(), "--ns-per-insn", "200"],
  script: () => 'wait screen "Pass:  1 "\nsleep 1000\nprint screen\nend\n',
  check: (_, output) => assert.match(output, /Pass: +1 +Errors: 0/),
  maxInstructions: 200_000,
  only: [],
};
