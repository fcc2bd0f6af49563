// Boots a kernel in v86 and copies its first serial port to standard output:
// node v86.mjs V86_DIR KERNEL INITRD MEMORY_MIB CMDLINE
// @ts-check
import * as fs from "node:fs";
import * as path from "node:path";
import { pathToFileURL } from "node:url";

const [dir = "", kernel = "", initrd = "", memory = "", cmdline = ""] = process.argv.slice(2);
const { V86 } = await import(pathToFileURL(path.join(dir, "build/libv86.mjs")).href);

/** @param {string} file */
const buffer = (file) => {
  const bytes = fs.readFileSync(file);
  return { buffer: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) };
};

const emulator = new V86({
  wasm_path: path.join(dir, "build/v86.wasm"),
  memory_size: Number(memory) << 20,
  vga_memory_size: 8 << 20,
  bios: buffer("/usr/share/seabios/bios.bin"),
  vga_bios: buffer("/usr/share/seabios/vgabios-stdvga.bin"),
  bzimage: buffer(kernel),
  initrd: buffer(initrd),
  cmdline,
  disable_keyboard: true,
  disable_mouse: true,
  disable_speaker: true,
  autostart: true,
});
let line = "";
emulator.add_listener("serial0-output-byte", (/** @type {number} */ byte) => {
  line += String.fromCharCode(byte);
  if (byte !== 10) return;
  fs.writeSync(1, line, null, "latin1");
  line = "";
});
