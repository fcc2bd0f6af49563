#!/usr/bin/env node
// Makes the guests for the demo and the tests, from Debian's packages, in .cache/guests:
//
//   amd64/, 686/    Debian's kernel (vmlinuz) and an initramfs (initrd)
//   memtest64.bin, memtest32.bin
//   demo.img        a disk: partition table, GRUB, ext4
//   rescue.iso      a CD by grub-mkrescue
//
// and the page's demo (build/web/page/demo). Does nothing when all is there; `--update` asks apt for newer packages.
// @ts-check
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { fileURLToPath } from "node:url";

import { Debian } from "./guests/debian.mjs";
import { makeDisk, makeRescueCd } from "./guests/disk.mjs";
import { busyboxApplets, makeInitramfs } from "./guests/initramfs.mjs";
import { step } from "./guests/steps.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));
const out = path.join(here, "../.cache/guests");
const pageDemo = path.join(here, "../build/web/page/demo");

/** @type {{name: string, architecture: import("./guests/debian.mjs").Architecture}[]} */
const KERNELS = [
  { name: "amd64", architecture: "amd64" },
  { name: "686", architecture: "i386" },
];

/** A hash of these scripts: what they made is up to date while it stays. */
function recipe() {
  const hash = createHash("sha256");
  const files = ["guests.mjs", ...fs.readdirSync(path.join(here, "guests")).sort().map((f) => `guests/${f}`)];
  for (const f of files) hash.update(fs.readFileSync(path.join(here, f)));
  return hash.digest("hex");
}

/** @param {string} dir @param {RegExp} pattern */
function fileIn(dir, pattern) {
  const found = fs.readdirSync(dir).find((f) => pattern.test(f));
  if (!found) throw new Error(`${dir} has nothing like ${pattern}`);
  return path.join(dir, found);
}

function makeGuests() {
  const debian = new Debian(path.join(out, "debian"));
  step("package lists (apt-get update, in a directory of its own)", () => debian.update());

  /** @type {import("./guests/disk.mjs").Parts} */
  const parts = { kernels: {}, memtest: path.join(out, "memtest64.bin") };
  /** @type {string[] | undefined} of the first kernel's, which is this machine's */
  let applets;
  for (const { name, architecture } of KERNELS) {
    const dir = path.join(out, name);
    fs.mkdirSync(dir, { recursive: true });
    const image = debian.dependency(`linux-image-${name}`, /^linux-image-[0-9]/, architecture);
    const packages = step(`download ${image} and busybox-static:${architecture}`, () =>
      [image, "busybox-static"].map((p) => debian.download(p, architecture)),
    );
    const [kernelDir, busyboxDir] = /** @type {[string, string]} */ (
      step(`unpack ${image} and busybox-static:${architecture}`, () => packages.map((p) => debian.unpack(p)))
    );
    const kernel = { vmlinuz: path.join(dir, "vmlinuz"), initrd: path.join(dir, "initrd") };
    step(`initramfs for ${name}`, () => {
      fs.copyFileSync(fileIn(path.join(kernelDir, "boot"), /^vmlinuz-/), kernel.vmlinuz);
      fs.writeFileSync(kernel.initrd, makeInitramfs(busyboxDir, (applets ??= busyboxApplets(busyboxDir)), kernelDir));
    });
    parts.kernels[name] = kernel;
  }
  step("memtest86+", () => {
    const dir = path.join(debian.unpack(debian.download("memtest86+", "amd64")), "boot");
    fs.copyFileSync(fileIn(dir, /^memtest86\+x64\.bin$/), path.join(out, "memtest64.bin"));
    fs.copyFileSync(fileIn(dir, /^memtest86\+ia32\.bin$/), path.join(out, "memtest32.bin"));
  });
  const work = path.join(out, "work");
  fs.mkdirSync(work, { recursive: true });
  step("demo disk", () => makeDisk(parts, path.join(out, "demo.img"), work));
  step("rescue CD", () => makeRescueCd(parts, path.join(out, "rescue.iso"), work));
  fs.rmSync(work, { recursive: true });
}

/** The page's demo: the disk, which the page downloads, and a description of it. */
function publishDemo() {
  const source = path.join(out, "demo.img");
  const target = path.join(pageDemo, "demo.img");
  const made = fs.statSync(source).mtimeMs;
  if (fs.existsSync(target) && fs.statSync(target).mtimeMs >= made) return;
  fs.mkdirSync(pageDemo, { recursive: true });
  const manifest = { name: "Linux (Debian's kernels, 64-bit and 32-bit)", hda: "demo.img", memoryMiB: 512 };
  fs.writeFileSync(path.join(pageDemo, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  fs.copyFileSync(source, target);
}

const stamp = path.join(out, "recipe");
const wanted = recipe();
const upToDate = fs.existsSync(stamp) && fs.readFileSync(stamp, "utf8") === wanted;
try {
  if (!upToDate || process.argv.includes("--update")) {
    fs.rmSync(stamp, { force: true });
    makeGuests();
    fs.writeFileSync(stamp, wanted);
  }
  publishDemo();
} catch (error) {
  process.stderr.write(`guests: ${/** @type {Error} */ (error).message}\n`);
  process.exit(1);
}
