// Items of random programs (program.mjs) that change code, the mode it runs in, and the mapping of what it uses.
// @ts-check
/** @typedef {import("./program.mjs").Item} Item */
/** @typedef {import("./program.mjs").Generator} Generator */

/** ALU r/m32, r32: opcodes that can stand for one another. */
const OPCODES = [0x01, 0x29, 0x21, 0x09, 0x31, 0x11, 0x19, 0x39];
/** Slots of CODE for written routines, the third over the end of a page. */
const SLOTS = [0, 64, 4096 - 5, 4096 + 64];

/** What the items refer to. @param {32 | 64} bits */
export function codeData(bits) {
  const routines = ["A", "B", "C"].map((name, n) => [`code${name}: mov cl, ${n + 5}`, `${["add", "xor", "sbb"][n]} eax, ecx`, "inc edx", "ret"]);
  return [
    `opcodes: db ${OPCODES.join(", ")}`,
    ...routines.flat(),
    "routines: dd codeA, codeB, codeC, codeA",
    // Another instruction in each mode.
    "both: db 0x01, 0xd0, 0x48, 0x31, 0xc8, 0x40, 0xc3",
    // 64 bits: m16:32 for JMP far.
    ...(bits === 64 ? ["align 8", "far_pointer: dd 0", "dw 8"] : []),
  ];
}

/** Some integer instructions in a row. @param {Generator} g @param {number} n */
const integers = (g, n) => Array.from({ length: n }, () => g.integer().lines).flat();

/** Executed each time, or each fourth or sixteenth. @param {Generator} g @param {string[]} lines */
function sometimes(g, lines) {
  const mask = g.r.pick([0, 3, 3, 15, 15]);
  if (mask === 0) return lines;
  const l = g.fresh();
  return [`test ebp, ${mask}`, `jnz near ${l}`, ...lines, `${l}:`];
}

/** A routine copied to CODE. @param {Generator} g @returns {string[]} */
function copied(g) {
  const [si, di] = g.bits === 64 ? ["rsi", "rdi"] : ["esi", "edi"];
  const lines = [`mov [saved], ${si}`, `mov [saved + 8], ${di}`, "and eax, 3", "mov esi, [routines + eax * 4]"];
  lines.push(`mov edi, ${g.r.pick(["CODE", "CODE_ALIAS"])} + ${g.r.pick(SLOTS)}`, "mov ecx, 7", "rep movsb");
  return [...lines, `mov ${si}, [saved]`, `mov ${di}, [saved + 8]`];
}

/** @param {Generator} g @returns {Item} */
export function selfModification(g) {
  const { r } = g;
  const l = g.fresh();
  switch (r.below(7)) {
    case 0: { // the immediate of an instruction further on in the block
      g.sites.push(`${g.name}${l}`);
      return { lines: [...sometimes(g, [`mov [${l} + 1], al`]), ...integers(g, r.below(3)), `${l}: ${r.pick(["add", "xor", "sub"])} eax, 0x12345678`] };
    }
    case 1: // its opcode
      return { lines: [...sometimes(g, ["mov ecx, edx", "and ecx, 7", "mov cl, [opcodes + ecx]", `mov [${l}], cl`]), ...integers(g, r.below(2)), `${l}: add eax, edx`] };
    case 2: { // which condition a jump has
      const over = g.fresh();
      return { lines: [...sometimes(g, ["and al, 15", "or al, 0x70", `mov [${l}], al`]), "cmp eax, edx", `${l}: jz short ${over}`, ...integers(g, 1 + r.below(3)), `${over}:`] };
    }
    case 3: { // an immediate behind, or in another function
      if (!g.sites.length) return selfModification(g);
      return { lines: sometimes(g, [`${r.pick(["mov", "add", "xor"])} [${r.pick(g.sites)} + 1], ${r.pick(["al", "dl"])}`]) };
    }
    case 4: { // the code at hand, written without a change
      const [si, di] = g.bits === 64 ? ["rsi", "rdi"] : ["esi", "edi"];
      const lines = [`mov [saved], ${si}`, `mov [saved + 8], ${di}`, `mov esi, ${l}`, `mov edi, ${l}`, `mov ecx, ${1 + r.below(8)}`, "rep movsb"];
      return { lines: [...sometimes(g, [...lines, `mov ${si}, [saved]`, `mov ${di}, [saved + 8]`]), `${l}: add eax, edx`, "adc edx, eax"] };
    }
    case 5: // a routine made elsewhere and called, at either of its addresses
      return { lines: [...sometimes(g, copied(g)), `call ${r.pick(["CODE", "CODE_ALIAS"])} + ${r.pick(SLOTS)}`] };
    default: // its immediate, at either address
      return { lines: [...sometimes(g, [`mov [${r.pick(["CODE", "CODE_ALIAS"])} + ${r.pick(SLOTS)} + 1], dl`]), `call ${r.pick(["CODE", "CODE_ALIAS"])} + ${r.pick(SLOTS)}`] };
  }
}

/** Instructions in another mode, of 16 or 32 bits, some in a loop, one of which may fault there.
 * @param {Generator} g @param {string} [base] of the code segment */
function inside(g, base = "0") {
  const { r } = g;
  const lines = integers(g, 1 + r.below(4));
  if (r.chance(40)) {
    const l = g.fresh();
    lines.push(`push dword ${2 + r.below(6)}`, `${l}:`, ...integers(g, 1 + r.below(3)), "dec dword [esp]", `jnz near ${l}`, "pop eax");
  }
  if (r.chance(30)) {
    const l = g.fresh();
    const fault = r.pick(["mov eax, [dword DATA + MAPPED]", "mov [dword CONST], eax", "ud2", "div ecx", "int3", "add [dword DATA + MAPPED - 2], edx"]);
    lines.push(`mov dword [dword resume], ${l} - ${base}`, fault, `${l}:`);
  }
  return lines;
}

/** @param {Generator} g @returns {Item} */
export function modeSwitch(g) {
  const { r } = g;
  const l = g.fresh();
  const back = g.fresh();
  if (g.bits === 64) {
    const to32 = r.pick([
      ["push 0x08", `push ${l}`, "o64 retf"],
      ["mov rax, rsp", "push 0x10", "push rax", "pushfq", "push 0x08", `push ${l}`, "iretq"],
      [`mov dword [far_pointer], ${l}`, "jmp far dword [far_pointer]"],
    ]);
    const to64 = r.pick([
      [`jmp dword 0x18:${back}`],
      ["push dword 0x18", `push dword ${back}`, "retf"],
      ["pushfd", "push dword 0x18", `push dword ${back}`, "iretd"],
    ]);
    g.bits = 32;
    const body = inside(g);
    g.bits = 64;
    if (r.chance(40)) body.push("call both");
    return { lines: [...to32, "bits 32", `${l}:`, ...body, ...to64, "bits 64", `${back}:`, ...(r.chance(30) ? ["call both"] : [])] };
  }
  switch (r.below(4)) {
    case 0: // 16-bit code
      return { lines: [`jmp 0x20:${l} - RAM`, "bits 16", `${l}:`, ...inside(g, "RAM"), `jmp dword 0x08:${back}`, "bits 32", `${back}:`] };
    case 1: // the same segment
      return { lines: [...r.pick([["pushfd", "push 0x08", `push ${l}`, "iretd"], ["push 0x08", `push ${l}`, "retf"], [`jmp 0x08:${l}`]]), `${l}:`, ...integers(g, 1)] };
    case 2: // data segments that are not flat, under code that is compiled for such as are
      return { lines: ["push 0x28", "pop ds", ...(r.chance(50) ? ["call both"] : []), ...integers(g, 1 + r.below(4)), "push 0x10", "pop ds"] };
    default: // a far call
      return { lines: [`call 0x08:${l}`, `jmp short ${back}`, `${l}:`, ...integers(g, r.below(3)), "retf", `${back}:`] };
  }
}

/** A page that goes, and comes back when it is used: the handler of the fault repairs it and the instruction begins anew.
 * @param {Generator} g @returns {Item} */
export function repairedFault(g) {
  const { r } = g;
  const fetch = r.chance(25);
  const slot = r.pick(SLOTS);
  const n = fetch ? slot >> 12 : 1 + r.below(14);
  const page = `${fetch ? "CODE_ALIAS" : "DATA"} + ${4096 * n}`;
  const pte = `PTD + ${8 * (n + (fetch ? 0xc0 : 0))}`;
  const at = `${page} + ${r.below(4000) - r.below(3)}`;
  const [di, a] = g.bits === 64 ? ["rdi", "rax"] : ["edi", "eax"];
  const reads = [[`add edx, [${at}]`], [`movups ${g.xmm()}, [${at}]`], [`cmp dl, [${at}]`], [`push ${a}`, `imul edx, [${at}]`, `pop ${a}`]];
  const writes = [
    [`${r.pick(["add", "mov", "xor", "xchg", "adc"])} [${at}], ${r.pick(["eax", "dl", "bx"])}`],
    [`mov [saved], ${di}`, `mov edi, ${page} - ${r.below(40)}`, `mov ecx, ${30 + r.below(30)}`, "rep stosb", `mov ${di}, [saved]`],
  ];
  const write = !fetch && r.chance(50);
  const gone = [`and byte [${pte}], ~${write ? r.pick([1, 2]) : 1}`, `invlpg [${page}]`, `mov PTR [repair], ${pte}`];
  // What does not reach the page leaves it as it was.
  const back = ["mov PTR [repair], 0", `or byte [${pte}], 3`];
  return { lines: [...sometimes(g, gone), ...(fetch ? [`call CODE_ALIAS + ${slot}`] : r.pick(write ? writes : reads)), ...back] };
}
