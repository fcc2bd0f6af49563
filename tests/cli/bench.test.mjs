// `oriel bench`: what it measures is right, and what cannot be measured is refused.
// @ts-check
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { describe, test } from "node:test";

import { HOSTS, oriel, ROOT, temporary } from "../harness.mjs";

/** @param {string} dir @param {string} name @param {32 | 64} bits @param {string} code */
function assemble(dir, name, bits, code) {
  const source = path.join(dir, `${name}.asm`);
  const binary = path.join(dir, name);
  fs.writeFileSync(source, `bits ${bits}\n${code}\n`);
  const { status, stderr } = spawnSync("nasm", ["-f", "bin", "-o", binary, source], { encoding: "utf8" });
  assert.equal(status, 0, stderr);
  return binary;
}

/** @param {import("../harness.mjs").HostName} host */
const modes = (host) => (host === "node" ? ["interpreter", "jit_baseline", "jit_opt"] : ["interpreter"]);

/** @param {import("../harness.mjs").HostName} host @param {string[]} args */
async function json(host, args) {
  const { status, stdout, stderr } = await oriel(host, ["bench", ...args, "--json"]);
  assert.equal(stderr, "");
  assert.equal(status, 0);
  return JSON.parse(stdout);
}

const NAMES = ["alu", "branch_pred", "branch_unpred", "mem_seq", "mem_stride", "call_ret", "sse", "fp", "string"];

/** Instructions of each payload: the same in every mode and under every host. @type {Map<string, number>} */
const retired = new Map();

for (const host of HOSTS) {
  describe(`oriel bench under ${host}`, () => {
    for (const mode of modes(host)) {
      test(`the suite, ${mode}: all payloads, and their results are right`, async () => {
        const { results } = await json(host, ["--iterations", "3001", "--runs", "2", "--mode", mode]);
        assert.deepEqual(
          results.map((/** @type {any} */ r) => r.payload + r.bits),
          NAMES.flatMap((name) => [`${name}32`, `${name}64`]),
        );
        for (const r of results) {
          assert.equal(r.checksum_ok, true);
          assert.equal(r.checksum, r.checksum_expected);
          assert.match(r.checksum, r.bits === 32 ? /^0x[0-9a-f]{8}$/ : /^0x[0-9a-f]{16}$/);
          assert.equal(r.host, host);
          assert.equal(r.mode, mode);
          assert.equal(r.iterations, 3001);
          assert.equal(r.seconds_runs.length, 2);
          assert.ok(r.instructions > 3001 * 8 && r.seconds > 0 && r.mips > 0);
          const name = `${r.payload}${r.bits}`;
          assert.equal(r.instructions, retired.get(name) ?? r.instructions, name);
          retired.set(name, r.instructions);
          assert.ok(r.seconds_min <= r.seconds && r.seconds <= r.seconds_max && r.seconds_stddev >= 0);
        }
      });

      test(`--raw, ${mode}: counts exactly, and passes what it promises`, async (t) => {
        const dir = temporary(t);
        for (const bits of /** @type {const} */ ([32, 64])) {
          const r = bits === 64 ? "r" : "e";
          const code = assemble(
            dir,
            "loop",
            bits,
            `  mov ${r}dx, ${r}cx\n  xor eax, eax\n  nop\n.next: add ${r}ax, ${r}dx\n  nop\n  dec ${r}dx\n  jnz .next\n  ret`,
          );
          for (const n of [1, 2, 49, 300_000]) {
            const result = await json(host, ["--raw", code, "--bits", `${bits}`, "--iterations", `${n}`, "--mode", mode, "--runs", "3"]);
            assert.equal(result.instructions, 4 * n + 4);
            assert.equal(BigInt(result.checksum), BigInt.asUintN(bits, (BigInt(n) * BigInt(n + 1)) / 2n));
            assert.equal(result.runs, 3);
            assert.equal(result.iterations, n);
          }
          // The buffer: zeroed for each call, writable to its end; memory of the payload is as in the file each time.
          const buffer = assemble(
            dir,
            "buffer",
            bits,
            `  xor eax, eax\n  mov ${r}dx, ${r}di\n  mov ecx, 0x40000\n  repe scasd\n  jne .no
  mov dword [${r}dx], 1\n  mov dword [${r}dx + 0xffffc], 1\n  call .here\n.here: pop ${r}dx\n  add dword [${r}dx + value - .here], 2
  mov eax, [${r}dx + value - .here]\n.no: ret\nvalue: dd 40`,
          );
          const result = await json(host, ["--raw", buffer, `--bits=${bits}`, "--iterations", "1", "--runs", "3", "--mode", mode]);
          assert.equal(Number(result.checksum), 42);
          assert.equal(result.instructions, 12);
          assert.equal(result.rep_iterations, 0x40000);
        }
      });
    }

    test("SSE and AVX work in a payload, and the stack is aligned", async (t) => {
      const dir = temporary(t);
      const code = `  sub rsp, 24\n  vpcmpeqd ymm0, ymm0, ymm0\n  vextracti128 xmm1, ymm0, 1\n  movdqa [rsp], xmm1\n  pop rax
  add rsp, 16\n  fld1\n  fistp dword [rdi]\n  sub eax, [rdi]\n  ret`;
      const binary = assemble(dir, "avx", 64, code);
      const result = await json(host, ["--raw", binary, "--bits", "64", "--iterations", "1", "--mode", "interpreter"]);
      assert.equal(result.checksum, "0x00000000fffffffe");
    });

    test("by seconds: as many iterations as that takes, the same for each run", async () => {
      const { results } = await json(host, ["alu64", "--seconds", "0.05", "--runs", "4"]);
      assert.equal(results.length, 1);
      assert.ok(Number.isInteger(results[0].iterations) && results[0].iterations > 0);
      assert.equal(results[0].seconds_runs.length, 4);
    });

    test("a table without --json", async () => {
      const { status, stdout, stderr } = await oriel(host, ["bench", "alu", "fp64", "--iterations", "100"]);
      assert.equal(stderr, "");
      assert.equal(status, 0);
      const lines = stdout.trimEnd().split("\n");
      assert.match(/** @type {string} */ (lines[0]), /^payload .* MIPS/);
      if (host === "node") assert.match(lines.pop() ?? "", /^JIT: \d+ units compiled in [\d.]+ ms, [\d.]+ % of \d+ cache lookups hit, \d+ deopts$/);
      assert.deepEqual(lines.slice(1).map((l) => l.split(" ")[0]), ["alu32", "alu64", "fp64"]);
      assert.equal(new Set(lines.map((l) => l.length)).size, 1);
    });

    test("a result that is wrong: exit status 5", async (t) => {
      const binary = assemble(temporary(t), "answer", 32, "  mov eax, 42\n  ret");
      const args = ["--raw", binary, "--bits", "32", "--iterations", "1"];
      assert.equal((await oriel(host, ["bench", ...args, "--expect", "0x2a"])).status, 0);
      const { status, stderr, stdout } = await oriel(host, ["bench", ...args, "--expect", "2b", "--json"]);
      assert.equal(status, 5);
      assert.match(stderr, /^oriel: .*answer: the checksum 0x0000002a is not 0x0000002b, with 1 iterations\n$/);
      assert.equal(JSON.parse(stdout).checksum_ok, false);
    });

    test("a result that is not the same each time: exit status 5", async (t) => {
      const binary = assemble(temporary(t), "tsc", 64, "  rdtsc\n  ret");
      const { status, stderr } = await oriel(host, ["bench", "--raw", binary, "--bits=64", "--iterations=1", "--runs=2"]);
      assert.equal(status, 5);
      assert.match(stderr, /two calls differ/);
    });

    /** @type {[string, 32 | 64, string, RegExp][]} */
    const FAULTS = [
      ["an undefined instruction", 32, "  nop\n  ud2", /#UD \(vector 6\) at 0x200001\n$/],
      ["an undefined instruction", 64, "  nop\n  ud2", /#UD \(vector 6\) at 0x200001\n$/],
      ["a division by zero", 64, "  xor ecx, ecx\n  div ecx", /#DE \(vector 0\) at 0x200002\n$/],
      ["a null pointer", 32, "  mov eax, [4]\n  ret", /#PF \(vector 14\) at 0x200000, error code 0x0, address 0x4\n$/],
      ["a null pointer", 64, "  mov [4], eax\n  ret", /#PF \(vector 14\) at 0x200000, error code 0x2, address 0x4\n$/],
      ["behind the buffer", 64, "  mov [rdi + 0x100000], al\n  ret", /#PF .* address 0x500000\n$/],
      ["a noncanonical address", 64, "  mov rax, 0x8000000000000000\n  mov [rax], al\n  ret", /#GP \(vector 13\) at 0x20000a, error code 0x0\n$/],
      ["a port that resets", 64, "  mov al, 6\n  mov dx, 0xcf9\n  out dx, al\n  jmp $", /it reset the machine\n$/],
      ["a halt", 32, "  hlt\n  ret", /it halted, and interrupts are off\n$/],
      ["a stack overflow", 64, ".l: push rax\n  jmp .l", /a triple fault\nRIP=/],
    ];
    for (const [what, bits, code, says] of FAULTS) {
      test(`${what}, ${bits} bits: exit status 4`, async (t) => {
        const binary = assemble(temporary(t), "payload", bits, code);
        const { status, stdout, stderr } = await oriel(host, ["bench", "--raw", binary, `--bits=${bits}`, "--iterations=1"]);
        assert.equal(stdout, "");
        assert.match(stderr, /^oriel: .*payload: failed: /);
        assert.match(stderr, says);
        assert.equal(status, 4);
      });
    }

    test("it never returns: exit status 3", async (t) => {
      const binary = assemble(temporary(t), "loop", 64, "  jmp $");
      const args = ["--raw", binary, "--bits=64", "--iterations=1", "--max-seconds=0.5"];
      const { status, stdout, stderr } = await oriel(host, ["bench", ...args]);
      assert.equal(stdout, "");
      assert.match(stderr, /^oriel: .*loop: has not returned in 0.5 seconds \(--max-seconds\)\n$/);
      assert.equal(status, 3);
    });

    /** @type {[string, string[], RegExp][]} */
    const WRONG = [
      ["an unknown option", ["--warp", "9"], /no option --warp/],
      ["an unknown payload", ["alu16"], /no payload 'alu16'/],
      ["a missing value", ["--runs"], /--runs needs a value/],
      ["a value for a switch", ["--json=yes"], /--json takes no value/],
      ["no runs", ["--runs", "0"], /--runs: '0' is not a positive whole number/],
      ["no iterations", ["--iterations", "0"], /--iterations: '0' is not a positive whole number/],
      ["half an iteration", ["--iterations", "0.5"], /--iterations: '0.5' is not a positive whole number/],
      ["no time", ["--seconds", "0"], /--seconds: '0' is not a positive number/],
      ["both", ["--seconds", "1", "--iterations", "1"], /exclude one another/],
      ["too many for ECX", ["alu", "--iterations", "4294967296"], /32 bits of ECX/],
      ["bits that are none", ["--bits", "16"], /--bits: '16' is not 32 or 64/],
      ["payloads that are none", ["alu32", "--bits", "64"], /no payload/],
      ["limits without a compiler", ["--mode", "interpreter", "--jit", "threshold=1"], /--jit needs a mode with a compiler/],
      ["a limit that is none", ["--jit", "threshold=1,group=0"], /--jit: 'group=0' is not on or off, nor NAME=N of chain, .*group_probes/],
      ["a mode that is none", ["--mode", "fast"], /--mode: 'fast' is not interpreter, jit_baseline or jit_opt/],
      ["a file without a mode", ["--raw", "good", "--iterations", "1"], /--raw needs --bits/],
      ["a file and a payload", ["--raw", "good", "--bits", "32", "alu"], /exclude one another/],
      ["a result that is none", ["--raw", "good", "--bits", "32", "--iterations", "1", "--expect", "xyz"], /--expect: 'xyz'/],
      ["a result too wide", ["--raw", "good", "--bits", "32", "--iterations", "1", "--expect", "100000000"], /32 bits of EAX/],
      ["a result without iterations", ["--raw", "good", "--bits", "32", "--expect", "1"], /--expect needs/],
      ["a missing file", ["--raw", "gone", "--bits", "32", "--iterations", "1"], /gone: no such file/],
      ["an empty file", ["--raw", "empty", "--bits", "32", "--iterations", "1"], /empty: is empty/],
      ["a file too long", ["--raw", "long", "--bits", "32", "--iterations", "1"], /long: is longer than the 1 MiB/],
      ["a directory", ["--raw", ".", "--bits", "32", "--iterations", "1"], /\.: is a directory/],
    ];
    if (host === "native") WRONG.push(["a compiler that is not there", ["--mode", "jit_baseline"], /no WebAssembly engine; use --host node/]);
    for (const [what, args, says] of WRONG) {
      test(`refused: ${what}`, async (t) => {
        const dir = temporary(t);
        fs.writeFileSync(path.join(dir, "good"), "\xc3", "latin1");
        fs.writeFileSync(path.join(dir, "empty"), "");
        fs.writeFileSync(path.join(dir, "long"), Buffer.alloc((1 << 20) + 1, 0xc3));
        const { status, stdout, stderr } = await oriel(host, ["bench", ...args], { cwd: dir });
        assert.equal(stdout, "");
        assert.match(stderr, /^oriel: [^\n]+\n$/);
        assert.match(stderr, says);
        assert.equal(status, 2);
      });
    }

    test("the longest file there may be", async (t) => {
      const binary = path.join(temporary(t), "long");
      fs.writeFileSync(binary, Buffer.concat([Buffer.alloc((1 << 20) - 1, 0x90), Buffer.of(0xc3)]));
      const result = await json(host, ["--raw", binary, "--bits", "64", "--iterations", "1"]);
      assert.equal(result.instructions, 1 << 20);
    });
  });
}

test("both hosts have the same help", async () => {
  const [native, node] = await Promise.all(HOSTS.map((host) => oriel(host, ["bench", "--help"])));
  assert.equal(native?.status, 0);
  assert.match(native?.stdout ?? "", /^Usage: oriel bench/);
  assert.equal(node?.stdout, native?.stdout);
});

/** The scripts that compare with other emulators: a wrong call does nothing.
 * @type {[string, string[], RegExp][]} */
const SCRIPTS = [
  ["bench.mjs", ["--hosts", "moon"], /^bench: no host or case is called moon/],
  ["bench.mjs", ["--runs", "0"], /^bench: --runs/],
  ["peers.mjs", ["--hosts", "moon"], /^peers: no host is called 'moon'/],
  ["peers.mjs", ["--hosts", "jit,jit:fast"], /^peers: no host is called 'jit:fast'/],
  ["peers.mjs", ["--hosts", "jit", "--ablation"], /^peers: --ablation and --hosts exclude one another/],
  ["peers.mjs", ["--arch", "arm64"], /^peers: no architecture is called 'arm64'/],
  ["peers.mjs", ["--programs", "integer,doom"], /^peers: no program is called 'doom'/],
  ["peers.mjs", ["--runs", "0"], /^peers: --runs: '0' is not a positive whole number/],
  ["peers.mjs", ["--clock", "sun"], /^peers: --clock: 'sun' is not cpu or wall/],
];
for (const [script, args, says] of SCRIPTS) {
  test(`bench/${[script, ...args].join(" ")}`, () => {
    const run = (/** @type {string[]} */ a) =>
      spawnSync(process.execPath, [path.join(ROOT, "bench", script), ...a], { encoding: "utf8", timeout: 60_000 });
    const { status, stdout, stderr } = run(args);
    assert.equal(stdout, "");
    assert.match(stderr, says);
    assert.equal(status, 2);
    assert.match(run(["--help"]).stdout, /^Usage: bench\//);
  });
}
