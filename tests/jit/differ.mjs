// Assembles a generated program, runs it under Node in tier 0 and compiled, and compares the hashes of the state.
// @ts-check
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

import { oriel, ROOT } from "../harness.mjs";
import { render } from "./program.mjs";

const EVERY = 2000;
const MOST = 20_000_000;

/** @param {string} text @param {string} dir where the image is written @param {string} [name] */
export function assemble(text, dir, name = "program") {
  const source = path.join(dir, `${name}.asm`);
  const image = path.join(dir, `${name}.bin`);
  fs.writeFileSync(source, text);
  const include = `${path.join(ROOT, "tests/jit")}/`;
  const result = spawnSync("nasm", ["-f", "bin", "-i", include, "-o", image, source], { encoding: "utf8" });
  if (result.status !== 0) throw new Error(result.stderr);
  return image;
}

/** The limits within which programs are compiled: the usual ones, and those under which nothing stays compiled for long,
 * nor without tail calls. Where nothing is said of it, no other thread compiles, so that each run is as the one before. */
export const LIMITS = ["on", "worker=1,threshold=1,batch=2,maxWait=0,threshold2=5", "threshold=1,batch=2,maxWait=0,cacheUnits=8,threshold2=5", "threshold=2,maxInsns=7,chain=0,threshold2=9,maxInsns2=60"];

/** @param {string} image @param {string} jit @param {string} dir @param {string[]} [more] */
export async function hashes(image, jit, dir, more = []) {
  const disk = path.join(dir, "empty.img");
  if (!fs.existsSync(disk)) fs.writeFileSync(disk, new Uint8Array(65536));
  const how = ["--bios", image, "--hda", disk, "--snapshot", "--memory", "16", "--serial", "none", "--test-device"];
  const limits = ["--deterministic", "--hash-every", String(EVERY), "--max-instructions", String(MOST)];
  const here = jit === "off" || jit.includes("worker=") ? jit : jit === "on" ? "worker=0" : `worker=0,${jit}`;
  const { stderr, status } = await oriel("node", ["run", ...how, ...limits, "--jit", here, ...more], { seconds: 300 });
  return { text: stderr, status };
}

/** Whether tier 0 and compiled code, within each of `limits`, give the same; `compiled` is the first that does not. @param {import("./program.mjs").Program} program @param {string} dir */
export async function same(program, dir, limits = LIMITS) {
  const image = assemble(render(program), dir);
  const [interpreted, ...compiled] = await Promise.all(["off", ...limits].map((jit) => hashes(image, jit, dir)));
  assert.ok(interpreted);
  const ended = interpreted.status === 0 || interpreted.status === 5;
  const wrong = compiled.find((c) => c.text !== interpreted.text || c.status !== interpreted.status);
  return { equal: !wrong, ended, interpreted, compiled: wrong };
}

/** What --verify-jit says of a program that differs: which unit, and how; empty where it passes.
 * @param {import("./program.mjs").Program} program @param {string} dir */
export async function explain(program, dir, limits = LIMITS) {
  const image = assemble(render(program), dir);
  for (const jit of limits) {
    const { text, status } = await hashes(image, jit, dir, ["--verify-jit"]);
    if (status === 6) return `--jit ${jit}: ${text.slice(text.indexOf("oriel: "))}`;
  }
  return "";
}

/** @param {import("./program.mjs").Program} program */
export const toJson = (program) =>
  `${JSON.stringify(program, (_, v) => (typeof v === "bigint" ? `0x${v.toString(16)}` : v), 1)}\n`;
/** @param {string} text @returns {import("./program.mjs").Program} */
export function fromJson(text) {
  const program = JSON.parse(text);
  return { ...program, specials: program.specials.map(BigInt) };
}
