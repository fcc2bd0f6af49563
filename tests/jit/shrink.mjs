// Makes a program on which tier 0 and compiled code differ small: leaves out functions and items as long as they differ.
// @ts-check
/** @typedef {import("./program.mjs").Program} Program */
/** @typedef {import("./program.mjs").Item} Item */

/** @template T @param {T[]} list @param {number} n @param {T} v */
const put = (list, n, v) => [...list.slice(0, n), v, ...list.slice(n + 1)];

/** Every way to leave out a run of `size` items, at any depth.
 * @param {Item[]} items @param {number} size @returns {Generator<Item[]>} */
function* without(items, size) {
  for (let at = 0; at < items.length; at += size) yield [...items.slice(0, at), ...items.slice(at + size)];
  for (const [n, item] of items.entries()) {
    if (!item.items) continue;
    for (const inner of without(item.items, size)) yield put(items, n, { ...item, items: inner });
    if (size === 1) yield [...items.slice(0, n), ...item.items, ...items.slice(n + 1)]; // what is in it, without it
  }
}

/** @param {Program} p @param {number} size @returns {Generator<Program>} */
function* smaller(p, size) {
  for (let at = 0; p.functions.length > 1 && at < p.functions.length; at += size)
    if (p.functions.length > size) yield { ...p, functions: [...p.functions.slice(0, at), ...p.functions.slice(at + size)] };
  for (const [n, f] of p.functions.entries())
    for (const items of without(f.items, size)) yield { ...p, functions: put(p.functions, n, { ...f, items }) };
}

/** @param {Program} program @param {(p: Program) => Promise<boolean>} fails @param {(p: Program) => void} [progress] */
export async function shrink(program, fails, progress) {
  for (let size = 16; size >= 1; size >>= 1) {
    for (let again = true; again; ) {
      again = false;
      for (const candidate of smaller(program, size)) {
        if (!(await fails(candidate))) continue;
        program = candidate;
        progress?.(program);
        again = true;
        break;
      }
    }
  }
  return program;
}
