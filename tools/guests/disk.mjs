// The demo's disk: a partition table, GRUB and an ext4 partition; and the rescue CD. Nothing is mounted.
// @ts-check
import * as fs from "node:fs";
import * as path from "node:path";

import { DISK_LABEL } from "./initramfs.mjs";
import { run } from "./steps.mjs";

const GRUB = "/usr/lib/grub/i386-pc";
const SECTOR = 512;
const DISK_SECTORS = (64 << 20) / SECTOR;
const PARTITION_START = (1 << 20) / SECTOR;
const MEMTEST = "memtest86+";

// cryptomgr.notests: the kernel does not test its ciphers at start, which is more than half of the work of a boot.
const APPEND = "console=tty0 console=ttyS0,115200 cryptomgr.notests disk";

const GRUB_CFG = `serial --unit=0 --speed=115200
terminal_input serial console
terminal_output serial console
set timeout=3
set default=0

menuentry "Oriel demo: Linux, 64-bit" {
  linux /boot/amd64/vmlinuz ${APPEND}
  initrd /boot/amd64/initrd
}
menuentry "Oriel demo: Linux, 32-bit" {
  linux /boot/686/vmlinuz ${APPEND}
  initrd /boot/686/initrd
}
menuentry "${MEMTEST}" {
  linux16 /boot/memtest
}
`;

const RESCUE_CFG = `serial --unit=0 --speed=115200
terminal_input serial console
terminal_output serial console
set timeout=3
set default=0

menuentry "Oriel rescue CD: Linux, 32-bit" {
  linux /boot/686/vmlinuz ${APPEND}
  initrd /boot/686/initrd
}
menuentry "Switch the machine off" {
  halt
}
`;

/** Cylinder, head and sector of a table entry, as every BIOS since LBA translates: 255 heads, 63 sectors.
 * @param {number} lba */
function chs(lba) {
  const cylinder = Math.floor(lba / (255 * 63));
  if (cylinder > 1023) return [0xfe, 0xff, 0xff];
  return [Math.floor(lba / 63) % 255, ((lba % 63) + 1) | ((cylinder >> 2) & 0xc0), cylinder & 0xff];
}

/** The master boot record: GRUB's boot sector with a partition table of one entry. GRUB's defaults hold: the core
 * image begins at sector 1 and knows its own length.
 * @param {Uint8Array} boot */
function masterBootRecord(boot) {
  const mbr = Buffer.from(boot);
  const count = DISK_SECTORS - PARTITION_START;
  const entry = Buffer.alloc(16);
  entry.set([0x80, ...chs(PARTITION_START), 0x83, ...chs(DISK_SECTORS - 1)]);
  entry.writeUInt32LE(PARTITION_START, 8);
  entry.writeUInt32LE(count, 12);
  mbr.writeUInt32LE(0x4c49524f, 440); // disk signature
  mbr.fill(0, 444, 510);
  mbr.set(entry, 446);
  mbr.set([0x55, 0xaa], 510);
  return mbr;
}

/** @typedef {{kernels: Record<string, {vmlinuz: string, initrd: string}>, memtest: string}} Parts */

/** @param {Parts} parts @param {string[]} which @param {string} root */
function copyBootFiles(parts, which, root) {
  fs.rmSync(root, { recursive: true, force: true });
  for (const name of which) {
    fs.mkdirSync(path.join(root, "boot", name), { recursive: true });
    const kernel = parts.kernels[name];
    if (!kernel) throw new Error(`no kernel ${name}`);
    fs.copyFileSync(kernel.vmlinuz, path.join(root, "boot", name, "vmlinuz"));
    fs.copyFileSync(kernel.initrd, path.join(root, "boot", name, "initrd"));
  }
  fs.mkdirSync(path.join(root, "boot/grub"), { recursive: true });
}

/** @param {Parts} parts @param {string} image @param {string} work */
export function makeDisk(parts, image, work) {
  const root = path.join(work, "disk");
  copyBootFiles(parts, ["amd64", "686"], root);
  fs.copyFileSync(parts.memtest, path.join(root, "boot/memtest"));
  fs.writeFileSync(path.join(root, "boot/grub/grub.cfg"), GRUB_CFG);
  const modules = path.join(root, "boot/grub/i386-pc");
  fs.mkdirSync(modules);
  for (const f of fs.readdirSync(GRUB)) {
    if (/\.(mod|lst)$/.test(f)) fs.copyFileSync(path.join(GRUB, f), path.join(modules, f));
  }

  const core = path.join(work, "core.img");
  run("grub-mkimage", ["-O", "i386-pc", "-o", core, "-p", "(,msdos1)/boot/grub", "biosdisk", "part_msdos", "ext2"]);
  const coreBytes = fs.readFileSync(core);
  if (coreBytes.length > (PARTITION_START - 1) * SECTOR) throw new Error("GRUB's core image does not fit before the partition");

  const partition = path.join(work, "partition");
  fs.rmSync(partition, { force: true });
  const kib = ((DISK_SECTORS - PARTITION_START) * SECTOR) / 1024;
  run("mke2fs", ["-q", "-t", "ext4", "-L", DISK_LABEL, "-d", root, "-E", "root_owner=0:0", partition, `${kib}k`]);

  const partial = `${image}.partial`;
  const fd = fs.openSync(partial, "w");
  try {
    const write = (/** @type {Uint8Array} */ bytes, /** @type {number} */ sector) => fs.writeSync(fd, bytes, 0, bytes.length, sector * SECTOR);
    fs.ftruncateSync(fd, DISK_SECTORS * SECTOR);
    write(masterBootRecord(fs.readFileSync(path.join(GRUB, "boot.img"))), 0);
    write(coreBytes, 1);
    write(fs.readFileSync(partition), PARTITION_START);
  } finally {
    fs.closeSync(fd);
  }
  fs.renameSync(partial, image);
}

/** @param {Parts} parts @param {string} image @param {string} work */
export function makeRescueCd(parts, image, work) {
  const root = path.join(work, "cd");
  copyBootFiles(parts, ["686"], root);
  fs.writeFileSync(path.join(root, "boot/grub/grub.cfg"), RESCUE_CFG);
  const partial = `${image}.partial`;
  run("grub-mkrescue", ["-d", GRUB, "-o", partial, root, "--", "-volid", "ORIEL_RESCUE"]);
  fs.renameSync(partial, image);
}
