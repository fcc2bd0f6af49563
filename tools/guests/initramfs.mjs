// The demo's initramfs: busybox, the modules of Debian's kernel that our disks need, and a shell on the serial port
// and on the VGA console.
// @ts-check
import * as fs from "node:fs";
import * as path from "node:path";

import { run } from "./steps.mjs";

/** @typedef {{mode: number, data: Uint8Array}} Entry */

const DIRECTORY = 0o040755;
const EXECUTABLE = 0o100755;
const FILE = 0o100644;
const LINK = 0o120777;

/** What init loads when the kernel's command line has the word `disk`: only what the machine needs, as the kernel
 * checks a signature on each, which takes an interpreter a while. */
const VIRTIO_MODULES = ["virtio_pci", "virtio_blk"];
const IDE_MODULES = ["ata_piix", "sd_mod"];
const EXT4_MODULES = ["crc32c_generic", "ext4"];
/** What is there to be loaded by hand: CD and mouse. */
const OTHER_MODULES = ["sr_mod", "isofs", "psmouse", "evdev"];

const APPLETS_IN_SBIN = new Set(["init", "getty", "poweroff", "reboot", "halt", "modprobe", "insmod"]);

export const DISK_LABEL = "oriel-demo";

const INIT = `#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
exec /sbin/init
`;

const INITTAB = `::sysinit:/etc/rc
ttyS0::respawn:-/bin/sh
tty1::respawn:-/bin/sh
::ctrlaltdel:/sbin/reboot
::shutdown:/bin/umount -a -r
`;

const RC = `#!/bin/sh
hostname oriel

find_disk() {
  modprobe -a "$@"
  tries=0
  until device=$(findfs LABEL=${DISK_LABEL} 2>/dev/null); do
    tries=$((tries + 1))
    [ $tries -gt 50 ] && return 1
    usleep 100000
  done
}

case " $(cat /proc/cmdline) " in
*" disk "*)
  if cat /sys/bus/pci/devices/*/vendor | grep -q 0x1af4; then find_disk ${VIRTIO_MODULES.join(" ")}; fi
  [ -n "$device" ] || find_disk ${IDE_MODULES.join(" ")}
  modprobe -a ${EXT4_MODULES.join(" ")}
  if [ -n "$device" ] && mount -t ext4 "$device" /disk; then
    echo "$device is mounted on /disk"
  else
    echo "there is no disk with the label ${DISK_LABEL}"
  fi
  ;;
esac
`;

const PROFILE = `export HOME=/root PATH=/bin:/sbin PS1='oriel:\\w# '
cd
echo
echo "Oriel demo: Linux $(uname -r) $(uname -m) on $(tty)"
grep -q ' /disk ' /proc/mounts && echo "The disk's partition is on /disk. What you write there stays; in a browser, when you download the disk."
echo "'poweroff' switches the machine off."
echo
`;

/** The names of the modules that a module needs, from its .modinfo section.
 * @param {Uint8Array} module */
function moduleDependencies(module) {
  const text = Buffer.from(module).toString("latin1");
  const list = /\0depends=([^\0]*)\0/.exec(text)?.[1] ?? "";
  return list.split(",").filter((m) => m !== "").map((m) => m.replaceAll("-", "_"));
}

/** Modules with what they depend on, and modules.dep for modprobe.
 * @param {string} kernelDir an unpacked kernel package @param {Map<string, Entry>} files */
function addModules(kernelDir, files) {
  const base = path.join(kernelDir, "lib/modules");
  const release = /** @type {string} */ (fs.readdirSync(base)[0]);
  /** @type {Map<string, string>} */
  const all = new Map();
  for (const f of fs.readdirSync(path.join(base, release), { recursive: true, encoding: "utf8" })) {
    if (f.endsWith(".ko")) all.set(path.basename(f, ".ko").replaceAll("-", "_"), f);
  }
  const target = `lib/modules/${release}`;
  /** @type {Map<string, string[]>} every module that a module needs, itself first: modprobe loads them from the end */
  const closures = new Map();
  /** @param {string} name @returns {string[]} */
  const add = (name) => {
    const known = closures.get(name);
    if (known) return known;
    const file = all.get(name);
    if (!file) throw new Error(`Debian's kernel ${release} has no module ${name}`);
    const data = fs.readFileSync(path.join(base, release, file));
    files.set(`${target}/${file}`, { mode: FILE, data });
    const closure = [name];
    closures.set(name, closure);
    for (const d of moduleDependencies(data)) for (const m of add(d)) if (!closure.includes(m)) closure.push(m);
    return closure;
  };
  for (const m of [...VIRTIO_MODULES, ...IDE_MODULES, ...EXT4_MODULES, ...OTHER_MODULES]) add(m);
  const lines = [...closures].map(([name, closure]) => {
    const needs = closure.slice(1).map((m) => ` ${all.get(m)}`).join("");
    return `${all.get(name)}:${needs}\n`;
  });
  files.set(`${target}/modules.dep`, { mode: FILE, data: Buffer.from(lines.join("")) });
}

/** The archive format that the kernel unpacks ("newc"; Documentation/driver-api/early-userspace/buffer-format.rst).
 * @param {Map<string, Entry>} files */
export function cpio(files) {
  /** @type {Uint8Array[]} */
  const parts = [];
  let inode = 1;
  /** @param {Uint8Array} bytes */
  const padded = (bytes) => {
    parts.push(bytes, Buffer.alloc(-bytes.length & 3));
  };
  /** @param {string} name @param {Entry} entry */
  const add = (name, { mode, data }) => {
    const links = mode === DIRECTORY ? 2 : 1;
    const fields = [inode++, mode, 0, 0, links, 0, data.length, 0, 0, 0, 0, name.length + 1, 0];
    padded(Buffer.from(`070701${fields.map((f) => f.toString(16).padStart(8, "0")).join("")}${name}\0`));
    padded(data);
  };
  const directories = new Set(["dev", "proc", "sys", "tmp", "root", "disk"]);
  for (const name of files.keys()) {
    for (let d = path.dirname(name); d !== "."; d = path.dirname(d)) directories.add(d);
  }
  for (const d of [...directories].sort()) add(d, { mode: DIRECTORY, data: Buffer.alloc(0) });
  for (const [name, entry] of [...files].sort(([a], [b]) => (a < b ? -1 : 1))) add(name, entry);
  add("TRAILER!!!", { mode: 0, data: Buffer.alloc(0) });
  return Buffer.concat(parts);
}

/** The names that a busybox answers to. It is run, so it must be the one for this machine.
 * @param {string} busyboxDir */
export function busyboxApplets(busyboxDir) {
  const names = run(path.join(busyboxDir, "bin/busybox"), ["--list"]).toString().split("\n");
  return names.filter((a) => a !== "" && a !== "busybox");
}

/** @param {string} busyboxDir an unpacked busybox-static @param {string[]} applets
 * @param {string} kernelDir an unpacked linux-image */
export function makeInitramfs(busyboxDir, applets, kernelDir) {
  const busybox = path.join(busyboxDir, "bin/busybox");
  /** @type {Map<string, Entry>} */
  const files = new Map();
  files.set("bin/busybox", { mode: EXECUTABLE, data: fs.readFileSync(busybox) });
  for (const applet of applets) {
    const dir = APPLETS_IN_SBIN.has(applet) ? "sbin" : "bin";
    files.set(`${dir}/${applet}`, { mode: LINK, data: Buffer.from("/bin/busybox") });
  }
  for (const [name, text] of Object.entries({ init: INIT, "etc/rc": RC })) {
    files.set(name, { mode: EXECUTABLE, data: Buffer.from(text) });
  }
  for (const [name, text] of Object.entries({ "etc/inittab": INITTAB, "etc/profile": PROFILE })) {
    files.set(name, { mode: FILE, data: Buffer.from(text) });
  }
  addModules(kernelDir, files);
  return cpio(files);
}
