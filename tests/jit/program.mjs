// Random programs for the bare machine (machine.inc), from a seed: what compiled code makes of them must be what tier 0
// makes of them. A program is functions, a function is items in a loop; an item is a piece of assembly that can be left
// out, so that a failure can be made small (shrink.mjs).
// @ts-check
import { FORMS } from "./forms.mjs";
import { AVX } from "./forms_avx.mjs";
import { CONTROL, MMX, POP, PUSH, STATE, STAY } from "./forms_x87.mjs";
import { codeData, modeSwitch, repairedFault, selfModification } from "./program_code.mjs";

/** @typedef {{lines: string[], items?: Item[], end?: string[]}} Item */
/** @typedef {{name: string, mxcsr: number, cw?: number, tidy?: boolean, iterations: number, items: Item[]}} Func */
/** @typedef {{bits: 32 | 64, seed: number, rounds: number, specials: bigint[], functions: Func[]}} Program */

/** A generator of random numbers (xorshift32). */
export class Random {
  /** @param {number} seed */
  constructor(seed) {
    this.state = (Math.imul(seed, 0x9e3779b1) ^ 0x2545f491) >>> 0 || 1;
    for (let n = 0; n < 8; n++) this.next();
  }
  next() {
    let x = this.state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (this.state = x >>> 0);
  }
  /** @param {number} n */
  below(n) {
    return this.next() % n;
  }
  /** @param {number} percent */
  chance(percent) {
    return this.below(100) < percent;
  }
  /** @template T @param {readonly T[]} list @returns {T} */
  pick(list) {
    return /** @type {T} */ (list[this.below(list.length)]);
  }
}

// ---- data ------------------------------------------------------------------------------------------

const F64 = [
  "0000000000000000", "8000000000000000", "3ff0000000000000", "bff0000000000000", "4000000000000000", "3fe0000000000000",
  "7ff0000000000000", "fff0000000000000", "7ff8000000000000", "fff8000000000123", "7ff0000000000001", "fff4000000000000",
  "0000000000000001", "800fffffffffffff", "0010000000000000", "8010000000000000", "0010000000000001", "0020000000000000",
  "7fefffffffffffff", "ffefffffffffffff", "7fe0000000000000", "41dfffffffc00000", "41e0000000000000", "c1e0000000000000",
  "c1e0000000200000", "43e0000000000000", "c3e0000000000000", "43dfffffffffffff", "3fefffffffffffff", "3ff0000000000001",
  "4340000000000000", "433fffffffffffff", "36a0000000000000", "369fffffffffffff", "380fffffffffffff", "3810000000000000",
  "47efffffe0000000", "47effffff0000000", "3cb0000000000000", "1ff0000000000000", "2000000000000000", "5ff0000000000000",
].map((h) => BigInt(`0x${h}`));
const F32 = [
  0x00000000, 0x80000000, 0x3f800000, 0xbf800000, 0x40000000, 0x3f000000, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00123,
  0x7f800001, 0xff900000, 0x00000001, 0x807fffff, 0x00800000, 0x80800000, 0x00800001, 0x01000000, 0x7f7fffff, 0xff7fffff,
  0x7f000000, 0x4effffff, 0x4f000000, 0xcf000000, 0xcf000001, 0x5f000000, 0xdf000000, 0x5effffff, 0x4b800000, 0x4b7fffff,
  0x3f7fffff, 0x3f800001, 0x20000000, 0x1f800000, 0x60000000,
];
const INTS = ["0", "1", "ff", "7f", "80", "ffff", "7fff", "8000", "7fffffff", "80000000", "ffffffff", "ffffffffffffffff",
  "7fffffffffffffff", "8000000000000000", "8080808080808080", "7f807f807f807f80", "0f0e0d0c0b0a0908", "100020003000400",
].map((h) => BigInt(`0x${h}`));

/** @param {Random} r @param {number} wild how many in 100 are corner cases */
function special(r, wild) {
  const raw = () => (BigInt(r.next()) << 32n) | BigInt(r.next());
  const f32 = (/** @type {boolean} */ corner) =>
    corner ? BigInt(r.pick(F32)) : BigInt(((r.next() & 0x807fffff) | ((118 + r.below(18)) << 23)) >>> 0);
  const whole = () => {
    const v = new DataView(new ArrayBuffer(8));
    v.setFloat64(0, r.below(2000) - 1000);
    return v.getBigUint64(0);
  };
  if (r.chance(wild)) {
    const kind = r.below(4);
    if (kind === 0) return r.pick(F64);
    if (kind === 1) return (f32(true) << 32n) | f32(true);
    if (kind === 2) return r.pick(INTS);
    return raw();
  }
  const kind = r.below(4);
  if (kind === 0) return whole();
  if (kind === 1) return (f32(false) << 32n) | f32(false);
  return (BigInt((r.next() & 0x800fffff) | ((1013 + r.below(20)) << 20)) << 32n & 0xffffffff00000000n) | BigInt(r.next());
}

// ---- code ------------------------------------------------------------------------------------------

const CC = ["o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g"];
/** All exceptions masked, inexact raised (twice as often as other states); without it; FTZ and DAZ; rounding modes. */
const MXCSR = [0x1fa0, 0x1fa0, 0x1fa0, 0x1fa0, 0x1f80, 0x1f80, 0x9fe0, 0x9fc0, 0x1fc0, 0x9f80, 0x3f80, 0x5fa0, 0x7f80, 0x1fbf];

const TIDY_PUSH = PUSH.filter((f) => f.name !== "fptan"); // it may not push
const TIDY_POP = POP.filter((f) => f.name !== "ffreep");

export class Generator {
  /** @param {number} seed @param {32 | 64} bits @param {string} mix */
  constructor(seed, bits, mix) {
    this.r = new Random(seed);
    this.bits = bits;
    this.mix = mix;
    this.label = 0;
    this.trapping = false; // floating-point exceptions are not masked
    this.depth = 0; // of the x87 stack, roughly; exactly where it is tidy
    this.tidy = false; // it neither runs over nor empty
    this.nested = false;
    this.name = ""; // of the function at hand
    /** @type {string[]} instructions of which bytes behind the first may be written */
    this.sites = [];
    this.forms = mix === "avx" ? [...AVX, ...AVX, ...AVX, ...FORMS] : FORMS.filter((f) => mix === "all" || f.group === mix || f.group === "move");
  }
  fresh() {
    return `.l${this.label++}`;
  }
  xmm() {
    return `xmm${this.r.below(this.bits === 64 && this.r.chance(30) ? 16 : 8)}`;
  }
  /** A free general register. @param {number} size in bits */
  gpr(size) {
    const n = this.r.below(this.bits === 64 ? 10 : 4);
    const name = ["ax", "cx", "dx", "bx"][n];
    if (name) return size === 64 ? `r${name}` : size === 32 ? `e${name}` : size === 16 ? name : `${name[0]}l`;
    return `r${n + 4}${size === 64 ? "" : size === 32 ? "d" : size === 16 ? "w" : "b"}`;
  }
  word() {
    return this.gpr(this.bits);
  }
  /** A memory operand that never faults: constants, or what stores write. @param {number} align in bytes */
  memory(align, write = false) {
    const { r } = this;
    const base = write || r.chance(30) ? (this.bits === 64 ? "rdi" : "edi") : this.bits === 64 ? "rsi" : "esi";
    const at = align > 1 ? r.below(8) * 16 + (align < 16 && r.chance(30) ? r.below(2) * 8 : 0) : r.below(120);
    return `[${base} + ${at}]`;
  }
  /** One that may: where nothing is mapped, read-only, misaligned, over the edge. */
  wild() {
    const { r } = this;
    const edge = `${r.pick(["DATA", "CONST"])} + MAPPED - ${r.below(20)}`;
    const page = `${r.pick(["DATA", "CONST"])} + ${4096 * (1 + r.below(14))} - ${r.below(17)}`;
    const bit64 = `[rsi + rax * 8]`;
    return r.chance(40) ? `[${edge}]` : this.bits === 64 && r.chance(20) ? bit64 : `[${page}]`;
  }
  /** An instruction after which execution goes on behind it, whether it faults or not.
   * @param {string} line @returns {Item} */
  guarded(line) {
    const l = this.fresh();
    return { lines: [`mov PTR [resume], ${l}`, line, `${l}:`] };
  }

  /** @returns {Item} */
  simd() {
    const { r } = this;
    const f = r.pick(this.forms);
    let risky = this.trapping && f.fp;
    const long = f.wide || (f.operands.some((o) => o[0] === "v") && r.chance(60));
    const general = this.bits === 64 && r.chance(50) ? 64 : 32;
    const operands = f.operands.map((o) => {
      // Vectors, and general registers that are all of one size.
      if (o === "") return "";
      if (o === "v" || (o === "vm" && r.chance(50))) return `${long ? "y" : "x"}mm${this.xmm().slice(3)}`;
      if (o === "va" && (long || r.chance(10))) risky = true;
      if (o[0] === "v") return r.chance(4) ? ((risky = true), this.wild()) : this.memory(o === "va" ? 16 : 1, f.store);
      if (f.group === "avx" && o === "R") return this.gpr(general);
      if (f.group === "avx" && o === "Rm") {
        if (r.chance(50)) return this.gpr(general);
        return (general === 64 ? "qword " : "dword ") + this.memory(1);
      }
      switch (o) {
        case "x": return this.xmm();
        case "x0": return "xmm0";
        case "g": return this.word();
        case "r": return this.gpr(32);
        case "R": return this.bits === 64 && r.chance(50) ? this.gpr(64) : this.gpr(32);
        case "i": return String(r.chance(70) ? r.below(f.imm ?? 256) : r.below(256));
      }
      // xm: register or 16 aligned bytes; xu: 16 bytes; xd xq xw xb: register or memory; m: memory alone
      if (o[0] === "x" && r.chance(50)) return this.xmm();
      if (o === "Rm" || o === "rm" || o === "rw" || o === "rb") {
        const wide = o === "Rm" && this.bits === 64 && r.chance(50);
        if (r.chance(50)) return this.gpr(wide ? 64 : 32);
        const s = o === "rw" ? "word " : o === "rb" ? "byte " : wide ? "qword " : "dword ";
        if (r.chance(5)) return (risky = true), s + this.wild();
        return s + this.memory(1, f.store);
      }
      if (r.chance(4)) {
        risky = true;
        return this.wild();
      }
      return this.memory(o[1] === "m" ? 16 : 1, f.store);
    });
    const line = `${f.name} ${operands.join(", ")}`;
    if (risky) return this.guarded(line);
    return { lines: [line] };
  }

  /** @returns {Item} */
  x87() {
    const { r } = this;
    const kind = r.below(100);
    const list = this.tidy
      ? this.nested || kind < 45 ? STAY : this.depth > 5 || (this.depth > 3 && kind < 72) ? TIDY_POP : TIDY_PUSH
      : kind < 4 ? STATE : kind < 45 ? STAY : this.depth > 5 || (this.depth > 2 && kind < 72) ? POP : PUSH;
    const f = r.pick(list);
    const depth = this.depth;
    this.depth = Math.max(0, Math.min(8, depth + f.by));
    if (f.name === "fninit" || f.name === "emms") this.depth = 0;
    let risky = this.trapping;
    const operands = f.operands.map((o) => {
      if (o === "i") return `st${this.tidy || (r.chance(90) && depth > 1) ? r.below(Math.max(1, depth)) : r.below(8)}`;
      const size = { 2: "word", 4: "dword", 8: "qword", 10: "tword" }[Number(o.slice(1))];
      if (!size) return o;
      const at = r.chance(3) ? ((risky = true), this.wild()) : this.memory(r.chance(50) ? 8 : 1, o[0] === "w");
      return `${size} ${at}`;
    });
    const line = `${f.name} ${operands.join(", ")}`;
    return risky ? this.guarded(line) : { lines: [line] };
  }

  /** @returns {Item} */
  mmx() {
    const { r } = this;
    const f = r.pick(MMX);
    let risky = this.trapping;
    const memory = (/** @type {string} */ size, write = false) =>
      `${size}${size && " "}${r.chance(4) ? ((risky = true), this.wild()) : this.memory(1, write)}`;
    const register = () => `mm${r.below(8)}`;
    const operands = f.operands.map((o, n) => {
      switch (o) {
        case "p": return register();
        case "q":
        case "d": return r.chance(60) ? register() : memory("");
        case "rd": return r.chance(60) ? this.gpr(32) : memory("dword", n === 0);
        case "rw": return r.chance(60) ? this.gpr(32) : memory("word");
        case "r": return this.gpr(32);
        case "n": return String(r.below(r.chance(80) ? 18 : 256));
        case "x": return this.xmm();
        default: return memory("qword", true);
      }
    });
    const line = `${f.name} ${operands.join(", ")}`;
    return risky ? this.guarded(line) : { lines: [line] };
  }

  /** With CR0.TS set, or CR4.OSFXSR clear. @returns {Item} */
  switched_off() {
    const { r } = this;
    const a = this.bits === 64 ? "rax" : "eax";
    const was = this.trapping;
    this.trapping = true;
    const x87 = this.mix === "x87" || this.mix === "mmx" || (this.mix === "all" && r.chance(30));
    const one = () => (x87 && this.mix === "mmx" ? this.mmx() : x87 ? this.x87() : this.simd());
    const inside = Array.from({ length: 1 + r.below(3) }, () => this.guarded(one().lines.find((l) => !/resume|:$/.test(l)) ?? "nop").lines);
    this.trapping = was;
    const [on, off] = x87 && r.chance(40)
      ? [[`mov ${a}, cr0`, "or al, 4", `mov cr0, ${a}`], [`mov ${a}, cr0`, "and al, ~4", `mov cr0, ${a}`]]
      : this.mix === "avx" && r.chance(40)
      ? [[`mov ${a}, cr4`, "and eax, ~(1 << 18)", `mov cr4, ${a}`], [`mov ${a}, cr4`, "or eax, 1 << 18", `mov cr4, ${a}`]]
      : r.chance(70)
      ? [[`mov ${a}, cr0`, "or al, 8", `mov cr0, ${a}`], ["clts"]]
      : [[`mov ${a}, cr4`, "and ah, ~2", `mov cr4, ${a}`], [`mov ${a}, cr4`, "or ah, 2", `mov cr4, ${a}`]];
    return { lines: [...on, ...inside.flat(), ...off] };
  }

  /** @returns {Item} */
  integer() {
    const { r } = this;
    const size = r.pick([8, 16, 32, 32, 32, this.bits]);
    const g = () => this.gpr(size);
    const name = { 8: "byte", 16: "word", 32: "dword", 64: "qword" }[size];
    const m = (w = false) => `${name} ${this.memory(1, w)}`;
    const imm = () => (size === 8 ? r.below(128) : r.chance(60) ? r.below(256) - 128 : (r.next() & (size === 16 ? 0x7fff : 0x7fffffff)));
    const alu = () => r.pick(["add", "sub", "and", "or", "xor", "cmp", "adc", "sbb", "test"]);
    switch (r.below(18)) {
      case 0: case 1: return { lines: [`${alu()} ${g()}, ${g()}`] };
      case 2: { const op = alu(); return { lines: [op === "test" ? `test ${m()}, ${g()}` : `${op} ${g()}, ${m()}`] }; }
      case 3: return { lines: [`${alu()} ${g()}, ${imm()}`] };
      case 4: return { lines: [`${r.pick(["add", "sub", "and", "or", "xor", "adc", "sbb"])} ${m(true)}, ${g()}`] };
      case 5: return { lines: [`mov ${g()}, ${m()}`] };
      case 6: return { lines: [`mov ${m(true)}, ${g()}`] };
      case 7: return { lines: [`${r.pick(["shl", "shr", "sar", "rol", "ror", "rcl", "rcr"])} ${g()}, ${r.pick(["cl", String(r.below(40))])}`] };
      case 8: return { lines: [`${r.pick(["inc", "dec", "neg", "not"])} ${r.chance(70) ? g() : m(true)}`] };
      case 9: return { lines: [`set${r.pick(CC)} ${this.gpr(8)}`] };
      case 10: { const s = size === 8 ? 32 : size; return { lines: [`cmov${r.pick(CC)} ${this.gpr(s)}, ${this.gpr(s)}`] }; }
      case 11: return { lines: [`${r.pick(["movzx", "movsx"])} ${this.gpr(32)}, ${r.chance(50) ? `byte ${this.memory(1)}` : this.gpr(16)}`] };
      case 12: { const s = size === 8 ? 32 : size; return { lines: [`imul ${this.gpr(s)}, ${this.gpr(s)}`] }; }
      case 13: { const s = size === 8 ? 32 : size; return { lines: [`${r.pick(["bsf", "bsr", "popcnt", "tzcnt", "lzcnt"])} ${this.gpr(s)}, ${this.gpr(s)}`] }; }
      case 14: { const s = size === 8 ? 32 : size; return { lines: [`${r.pick(["shld", "shrd"])} ${this.gpr(s)}, ${this.gpr(s)}, ${r.pick(["cl", String(r.below(40))])}`] }; }
      case 15: { const s = size === 8 ? 32 : size; return { lines: [`${r.pick(["bt", "bts", "btr", "btc"])} ${this.gpr(s)}, ${r.chance(50) ? this.gpr(s) : String(r.below(70))}`] }; }
      case 16: {
        const g32 = this.gpr(32);
        return { lines: [`and ${g32}, ${r.pick([31, 1023])}`, `${r.pick(["bt", "bts", "btr", "btc"])} ${this.memory(1, true)}, ${g32}`] };
      }
      default: return { lines: [`lea ${this.word()}, [${this.word()} + ${this.word()} * ${r.pick([1, 2, 4, 8])} + ${r.below(1000)}]`] };
    }
  }

  /** String instructions on what stores write. @returns {Item} */
  string() {
    const { r } = this;
    const [di, si] = this.bits === 64 ? ["rdi", "rsi"] : ["edi", "esi"];
    const kind = r.pick(["movs", "movs", "stos", "lods", "cmps", "scas"]);
    const op = kind + r.pick(this.bits === 64 ? ["b", "w", "d", "q"] : ["b", "w", "d"]);
    const prefix = /^(cmps|scas)/.test(op) ? r.pick(["", "repe ", "repne "]) : r.pick(["", "rep "]);
    // Some run into what is not mapped, after whole pages.
    const far = r.chance(20);
    const segment = r.chance(3) && /movs|cmps|lods/.test(op) ? "fs " : "";
    const address = r.chance(4) ? (this.bits === 64 ? "a32 " : "a16 ") : "";
    const guard = this.guarded(`${segment}${address}${prefix}${op}`).lines;
    const lines = [`mov [saved], ${si}`, `mov [saved + 8], ${di}`, `mov ecx, ${r.below(far ? 12000 : r.chance(20) ? 400 : 40)}`];
    if (far && r.chance(50)) lines.push(`mov ${di}, ${r.pick(["DATA + 100", "CONST", "DATA + MAPPED - 8192"])}`);
    // Where the source is near the destination patterns repeat, and comparisons go on for long.
    if (r.chance(40)) lines.push(`lea ${si}, [${di} + ${r.pick([-64, -17, -8, -4, -2, -1, 0, 1, 2, 3, 8, 16, 100])}]`);
    if (r.chance(10)) lines.push(`lea ${si}, [${di} + CONST - DATA + ${r.below(40) - 20}]`);
    if (kind === "scas" && r.chance(50)) lines.push(`mov ${this.bits === 64 ? "rax" : "eax"}, [${di}${r.chance(50) ? ` + ${r.below(100)}` : ""}]`);
    if (r.chance(30)) lines.push("std", `add ${di}, 4000`, ...(r.chance(50) ? [`lea ${si}, [${di} + ${r.below(40) - 20}]`] : []));
    lines.push(...guard, "cld");
    if (r.chance(30)) lines.push(`set${r.pick(CC)} dl`);
    lines.push(`mov ${r.pick(["eax", "edx"])}, ecx`, ...(r.chance(30) ? [`sub ${di}, ${si}`, `add edx, ${di === "rdi" ? "edi" : di}`] : []));
    lines.push(`mov ${di}, [saved + 8]`, `mov ${si}, [saved]`);
    return { lines };
  }

  /** @param {number} depth @returns {Item} */
  item(depth) {
    const { r } = this;
    this.nested = depth > 0;
    const kind = r.below(100);
    if (depth < 2 && kind < 6) {
      const l = this.fresh();
      return { lines: [`j${r.pick(CC)} ${l}`], items: this.items(1 + r.below(4), depth + 1), end: [`${l}:`] };
    }
    if (depth < 2 && kind < 8) {
      const l = this.fresh();
      const top = this.bits === 64 ? "rsp" : "esp";
      return {
        lines: [`push ${1 + r.below(4)}`, `${l}:`],
        items: this.items(1 + r.below(5), depth + 1),
        end: [`dec dword [${top}]`, `jnz ${l}`, `pop ${this.word()}`],
      };
    }
    if (this.mix === "avx" && kind >= 85) return this.integer();
    if (this.mix === "string") return kind < 50 ? this.string() : kind < 55 ? this.simd() : this.integer();
    if (this.mix === "code") {
      if (kind < 40) return selfModification(this);
      if (kind < 60) return modeSwitch(this);
      if (kind < 75) return repairedFault(this);
      return kind < 95 ? this.integer() : this.string();
    }
    if (this.mix === "x87" && kind < 78) {
      if (kind < 11 && !this.trapping) return { lines: [`fldcw [controls + ${2 * r.below(CONTROL.length)}]`] };
      return kind === 12 ? this.switched_off() : !this.tidy && r.chance(3) ? this.mmx() : this.x87();
    }
    if (this.mix === "mmx" && kind < 78) {
      if (kind < 20) return r.chance(25) ? { lines: ["emms"] } : this.x87();
      return kind === 21 ? this.switched_off() : this.mmx();
    }
    if (this.mix === "all" && kind >= 90) return r.chance(70) ? this.x87() : this.mmx();
    if (kind < 9 && this.forms.some((f) => f.fp)) return { lines: [`ldmxcsr [states + ${4 * r.below(MXCSR.length)}]`] };
    if (kind < 10 && r.chance(50)) return this.switched_off();
    if (kind < 20) return { lines: [`movups ${this.xmm()}, ${this.memory(1)}`] };
    if (this.mix === "all" && kind < 45) return r.chance(8) ? this.string() : this.integer();
    if (this.mix !== "all" && kind < 26) return this.integer();
    return this.simd();
  }
  /** @param {number} n @param {number} depth */
  items(n, depth) {
    return Array.from({ length: n }, () => this.item(depth));
  }

  /** @returns {Program} */
  program() {
    const { r } = this;
    const wild = r.pick([0, 5, 30, 100]);
    const specials = Array.from({ length: 256 }, () => special(r, wild));
    // Code that changes is compiled again and again: fewer functions, and fewer calls of them.
    const changing = this.mix === "code";
    const functions = Array.from({ length: changing ? 5 : 12 }, (_, n) => {
      this.name = `f${n}`;
      this.trapping = r.chance(10);
      // Some exceptions are not masked: bits 7 to 12.
      const mxcsr = this.trapping ? 0x1f80 & ~(r.below(64) << 7) : r.pick(MXCSR);
      const cw = this.trapping && r.chance(80) ? r.pick(CONTROL) & ~r.below(64) : r.pick(CONTROL);
      this.tidy = !this.trapping && this.mix === "x87" && r.chance(75);
      this.depth = this.tidy ? 3 : 0;
      return { name: this.name, mxcsr, cw, tidy: this.tidy, iterations: changing ? 8 + r.below(16) : 30 + r.below(60), items: this.items(5 + r.below(25), 0) };
    });
    return { bits: this.bits, seed: r.next(), rounds: changing ? 8 : 16, specials, functions };
  }
}

/** What programs are made of: groups of forms.mjs, everything, or what program_code.mjs has. */
export const MIXES = ["int", "scalar", "packed", "x87", "mmx", "string", "avx", "all", "code"];
/** @param {number} seed @param {32 | 64} bits @param {string} mix */
export const generate = (seed, bits, mix) => new Generator(seed, bits, mix).program();

// ---- text ------------------------------------------------------------------------------------------

/** @param {Item[]} items @returns {string[]} */
function flatten(items) {
  return items.flatMap((i) => [...i.lines, ...flatten(i.items ?? []), ...(i.end ?? [])]);
}

/** @param {Program} p */
export function render(p) {
  const wide = p.bits === 64;
  const [ax, cx, si, di, bp] = wide ? ["rax", "rcx", "rsi", "rdi", "rbp"] : ["eax", "ecx", "esi", "edi", "ebp"];
  const out = [`%define BITS_ ${p.bits}`, `%include "machine.inc"`];
  out.push("main:", "call fill", `mov dword [rounds], ${p.rounds}`, `mov ${si}, CONST`, `mov ${di}, DATA`);
  out.push(".round:", ...p.functions.map((f) => `call ${f.name}`), "dec dword [rounds]", "jnz .round");
  // So that the last hash is behind everything.
  out.push("mov ecx, 3000", ".wait: dec ecx", "jnz .wait", "ret");
  for (const f of p.functions) {
    out.push(`${f.name}:`, `ldmxcsr [${f.name}_mxcsr]`, `mov ebp, ${f.iterations}`, ".loop:");
    if (f.cw !== undefined) out.push("fninit", `fldcw [${f.name}_cw]`);
    out.push(`add ${si}, 48`, `cmp ${si}, CONST + MAPPED - 512`, "jb .const", `mov ${si}, CONST`, ".const:");
    out.push(`add ${di}, 80`, `cmp ${di}, DATA + MAPPED - 8192`, "jb .data", `mov ${di}, DATA`, ".data:");
    if (f.tidy) out.push("fninit", `fldcw [${f.name}_cw]`, ...[0, 8, 16].map((n) => `fld qword [${si} + ${n}]`));
    out.push(...flatten(f.items));
    out.push(wide ? "pushfq" : "pushfd", `call log`, "dec ebp", "jnz .loop", "ret");
    out.push("align 4", `${f.name}_mxcsr: dd ${f.mxcsr}`, `${f.name}_cw: dd ${f.cw ?? 0}`);
  }
  // Flags, MXCSR and every register, those of the x87 with their state, into a ring of 64 KiB.
  out.push("log:", `push ${cx}`, `mov ecx, [log_at]`, `mov [ecx], eax`, "stmxcsr [ecx + 4]");
  out.push(wide ? "mov rax, [rsp + 16]" : "mov eax, [esp + 8]", "mov [ecx + 8], eax", "mov [ecx + 12], edx");
  for (let n = 0; n < 8; n++) out.push(`movups [ecx + ${16 + 16 * n}], xmm${n}`);
  out.push("fxsave [ecx + 144]", "add ecx, 144 + 512", "cmp ecx, 0x6fd00", "jb .in", "mov ecx, 0x60000", ".in:", "mov [log_at], ecx");
  out.push(`pop ${cx}`, wide ? "ret 8" : "ret 4");
  // DATA from the table, in a random order.
  out.push("fill:", `mov edi, DATA`, `mov ebx, ${p.seed | 1}`, ".next:");
  out.push("mov eax, ebx", "shl eax, 13", "xor ebx, eax", "mov eax, ebx", "shr eax, 17", "xor ebx, eax");
  out.push("mov eax, ebx", "shl eax, 5", "xor ebx, eax", "mov ecx, ebx", "and ecx, 255");
  out.push("mov eax, [specials + ecx * 8]", "mov [edi], eax", "mov eax, [specials + ecx * 8 + 4]", "mov [edi + 4], eax");
  out.push("add edi, 8", "cmp edi, DATA + MAPPED", "jb .next");
  for (let n = 0; n < 8; n++) out.push(`movups xmm${n}, [CONST + ${n * 16}]`);
  out.push("xor eax, eax", "xor ecx, ecx", "xor edx, edx", "ret");
  void ax;
  void bp;
  out.push("align 8", "specials:", ...p.specials.map((v) => `dq 0x${v.toString(16)}`));
  out.push("align 4", `controls: dw ${CONTROL.join(", ")}`);
  out.push("align 4", `states: dd ${MXCSR.join(", ")}`);
  out.push("align 8", "saved: dq 0, 0", "rounds: dd 0", "log_at: dd 0x60000", ...codeData(p.bits), "TAIL");
  return `${out.join("\n")}\n`;
}
