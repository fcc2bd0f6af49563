// The image of bench/peers, one for each architecture: our programs, compiled by Debian's gcc, and busybox, Lua and tcc as
// Debian has them, in a directory for the machine itself and as an initramfs for emulators.
// @ts-check
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { fileURLToPath } from "node:url";

import { Debian } from "../../tools/guests/debian.mjs";
import { cpio } from "../../tools/guests/initramfs.mjs";
import { run } from "../../tools/guests/steps.mjs";

/** @typedef {import("../../tools/guests/debian.mjs").Architecture} Architecture */
/** @typedef {{root: string, initrd: string, kernel: string}} Image */

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const PROGRAMS = path.join(ROOT, "bench/programs");

/** Compiled from programs/NAME.c. @type {Record<string, string[]>} */
const COMPILED = {
  integer: [],
  branchy: [],
  recursive: [],
  sorting: [],
  hashing: [],
  streaming: [],
  chasing: [],
  double: ["-msse2", "-mfpmath=sse"],
  x87: ["-mfpmath=387"],
  simd: ["-msse2"],
};
export const NAMES = [...Object.keys(COMPILED), "compress", "lua", "compile"];

const CFLAGS = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off", "-static"];

/** @type {Record<Architecture, {kernel: string, gcc: string, triplet: string, loader: string}>} */
const ARCHITECTURES = {
  i386: { kernel: "686", gcc: "-m32", triplet: "i386-linux-gnu", loader: "ld-linux.so.2" },
  amd64: { kernel: "amd64", gcc: "-m64", triplet: "x86_64-linux-gnu", loader: "ld-linux-x86-64.so.2" },
};

const INIT = `#!/bin/busybox sh
echo "[B]"
/bin/busybox mount -t proc proc /proc
/bin/busybox sh /share/all.sh "" /tmp
while :; do /bin/busybox sleep 1000; done
`;

/** Numbers for what is made up here. @param {number} seed */
function generator(seed) {
  let state = seed;
  /** @param {number} n */
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
}

/** Text that compresses as text does: words, the first of them often. */
function makeText() {
  const random = generator(1);
  const words = Array.from({ length: 3000 }, () => {
    let word = "";
    for (let n = 1 + random(4); n >= 0; n--) word += "tnrsl"[random(5)] + /** @type {string} */ ("aeiou"[random(5)]);
    return word;
  });
  let text = "";
  while (text.length < 500_000) {
    const word = words[Math.floor(3000 ** (random(1000) / 1000)) - 1] ?? "";
    text += word + (random(12) === 0 ? ".\n" : " ");
  }
  return text;
}

/** A long C program without headers. */
function makeProgram() {
  const random = generator(2);
  const parts = ["struct pair { int a, b; unsigned char c[8]; };\nstatic int table[256];\n"];
  for (let n = 0; n < 2500; n++) {
    const [a, b, c] = [random(1000), random(31) + 1, random(256)];
    const callee = n === 0 ? "x" : `function${random(n)}(y, x & ${c})`;
    parts.push(`/* number ${n} */
static int function${n}(int x, int y)
{
  struct pair p = { x + ${a}, y ^ 0x${c.toString(16)} };
  unsigned n, sum = ${a}u;
  if (p.a < 0 || x == ${c}) return y;
  for (n = 0; n < ${b}; n++) {
    switch ((p.a + n) % 4) {
    case 0: sum += table[(x + n) & 255] * ${b}; break;
    case 1: sum ^= (unsigned)p.b << (n & 15); break;
    case 2: table[n & 255] = (int)(sum >> 3) - y; break;
    default: p.c[n & 7] = (unsigned char)(sum + n); sum -= p.c[(n + 1) & 7];
    }
  }
  while (sum > ${a * 3 + 7}u && n-- > 0) sum = (sum >> 1) + (unsigned)"text of ${n}"[n % 5];
  return x > y ? ${callee} + (int)sum : (int)sum - p.b;
}
`);
  }
  parts.push("int main(void)\n{\n  return function2499(1, 2);\n}\n");
  return parts.join("");
}

/** @param {string} dir @param {RegExp} pattern */
function find(dir, pattern) {
  const found = fs.readdirSync(dir, { recursive: true, encoding: "utf8" }).find((f) => pattern.test(f));
  if (!found) throw new Error(`${dir} has nothing like ${pattern}`);
  return fs.realpathSync(path.join(dir, found));
}

/** @param {Architecture} architecture @param {string} root */
function fill(architecture, root) {
  const { gcc, triplet, loader } = ARCHITECTURES[architecture];
  for (const d of ["bin", "lib", "share"]) fs.mkdirSync(path.join(root, d), { recursive: true });
  for (const [name, flags] of Object.entries(COMPILED)) {
    run("gcc", [...CFLAGS, gcc, ...flags, "-o", path.join(root, "bin", name), path.join(PROGRAMS, `${name}.c`)]);
  }
  const debian = new Debian(path.join(ROOT, ".cache/guests/debian"));
  /** @param {string} name */
  const download = (name) => {
    try {
      return debian.download(name, architecture);
    } catch {
      debian.update(); // the lists are old, or there are none
      return debian.download(name, architecture);
    }
  };
  /** @param {string} name @param {RegExp} file @param {string} target */
  const take = (name, file, target) => {
    const to = path.join(root, target);
    fs.copyFileSync(find(debian.unpack(download(name)), file), to);
    fs.chmodSync(to, 0o755);
  };
  take("busybox-static", /^bin\/busybox$/, "bin/busybox");
  take("lua5.4", /^usr\/bin\/lua5\.4$/, "bin/lua5.4");
  take("tcc", /^usr\/bin\/tcc$/, "bin/tcc");
  take("libc6", new RegExp(`(^|/)${loader.replaceAll(".", "\\.")}$`), "lib/ld.so");
  for (const library of ["libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0"]) {
    take("libc6", new RegExp(`(^|/)${triplet}/${library.replaceAll(".", "\\.")}$`), `lib/${library}`);
  }
  take("libreadline8", /libreadline\.so\.8$/, "lib/libreadline.so.8");
  take("libtinfo6", /libtinfo\.so\.6$/, "lib/libtinfo.so.6");
  for (const script of ["all.sh", "bench.lua"]) fs.copyFileSync(path.join(PROGRAMS, script), path.join(root, "share", script));
  fs.writeFileSync(path.join(root, "share/text"), makeText());
  fs.writeFileSync(path.join(root, "share/program.c"), makeProgram());
}

/** Of everything that is put together here. */
function recipe() {
  const hash = createHash("sha256").update(fs.readFileSync(fileURLToPath(import.meta.url)));
  for (const f of fs.readdirSync(PROGRAMS).sort()) hash.update(fs.readFileSync(path.join(PROGRAMS, f)));
  return hash.digest("hex");
}

/** The image, made when it is not there. @param {Architecture} architecture @returns {Image} */
export function makeImage(architecture) {
  const dir = path.join(ROOT, ".cache/peers", architecture);
  const image = {
    root: path.join(dir, "root"),
    initrd: path.join(dir, "initrd"),
    kernel: path.join(ROOT, ".cache/guests", ARCHITECTURES[architecture].kernel, "vmlinuz"),
  };
  if (!fs.existsSync(image.kernel)) throw new Error(`there is no ${image.kernel}: node tools/guests.mjs makes it`);
  const stamp = path.join(dir, "recipe");
  const wanted = recipe();
  if (fs.existsSync(stamp) && fs.readFileSync(stamp, "utf8") === wanted) return image;
  process.stderr.write(`peers: making the image for ${architecture}\n`);
  fs.rmSync(dir, { recursive: true, force: true });
  fill(architecture, image.root);
  /** @type {Map<string, import("../../tools/guests/initramfs.mjs").Entry>} */
  const files = new Map([["init", { mode: 0o100755, data: Buffer.from(INIT) }]]);
  for (const f of fs.readdirSync(image.root, { recursive: true, encoding: "utf8" })) {
    const full = path.join(image.root, f);
    if (fs.statSync(full).isFile()) files.set(f, { mode: 0o100000 | (fs.statSync(full).mode & 0o777), data: fs.readFileSync(full) });
  }
  fs.writeFileSync(image.initrd, cpio(files));
  fs.writeFileSync(stamp, wanted);
  return image;
}
