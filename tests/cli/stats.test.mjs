// The counters of --stats and `oriel bench --json`: what is there, and that a machine without a compiler has zeros.
// @ts-check
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { describe, test } from "node:test";

import { HOSTS, oriel, temporary } from "../harness.mjs";

/** @param {import("../harness.mjs").HostName} host @param {string[]} args */
async function bench(host, ...args) {
  const { status, stdout, stderr } = await oriel(host, ["bench", ...args, "--iterations", "400000", "--runs", "3", "--json"]);
  assert.equal(stderr, "");
  assert.equal(status, 0);
  const { results, jit } = JSON.parse(stdout);
  return { ...results[0].machine, summary: results[0].jit, summaries: jit };
}

/** All numbers of an object, those of objects in it too. @param {object} o @returns {number[]} */
const numbers = (o) => Object.values(o).flatMap((v) => (typeof v === "object" ? numbers(v) : [v]));

const PASSES = ["group_probes", "drop_dead_sets"];

describe("counters of compiled code", () => {
  test("compiled", async () => {
    const { jit, cpu, rates, summary, summaries, ...machine } = await bench("node", "mem_seq64", "--jit", "threshold2=5");
    for (const tier of [jit.tier1, jit.tier2]) {
      for (const name of ["compile_time_ns_total", "units_compiled_total", "blocks_compiled_total", "instructions_compiled_total", "modules_total"]) {
        assert.ok(tier[name] > 0, name);
      }
    }
    assert.deepEqual(Object.keys(jit.pass), PASSES);
    for (const name of PASSES) assert.ok(jit.pass[name].time_ns_total > 0, name);
    const spent = PASSES.reduce((sum, name) => sum + jit.pass[name].time_ns_total, 0);
    assert.ok(spent < jit.tier1.compile_time_ns_total + jit.tier2.compile_time_ns_total);
    const { cache } = jit;
    assert.equal(cache.capacity_bytes, 256 * 2 ** 20);
    assert.equal(cache.capacity_units, 100_000);
    assert.ok(cache.used_bytes > 0 && cache.used_bytes < cache.capacity_bytes);
    assert.equal(cache.installs_total, jit.tier1.units_compiled_total + jit.tier2.units_compiled_total);
    assert.ok(cache.lookup_hit_total > 0 && cache.lookup_miss_total > 0);
    assert.equal(cache.evictions_total, 0);
    assert.equal(jit.guard_fail_total, jit.mapping_fail_total + jit.group_fail_total);
    assert.ok(cpu.mmu_translate_calls_total >= cpu.tlb_misses_total && cpu.tlb_misses_total > 0);
    assert.ok(cpu.slow_reads_total > 0 && cpu.slow_writes_total > 0);
    // Nearly all of it is the payload's loop: 4 loads and 4 stores in 17 instructions or so.
    assert.ok(machine.samples_total > 3);
    const [hottest] = machine.hot_blocks;
    assert.match(hottest.address, /^0x2000[0-9a-f]{2}$/);
    assert.equal(hottest.mode_bits, 64);
    assert.ok(hottest.percent > 80 && hottest.percent <= 100, `${hottest.percent}`);
    assert.ok(hottest.instructions <= machine.sampled_instructions_total);
    assert.equal(hottest.hits, Math.floor(hottest.instructions / hottest.block_instructions));
    assert.ok(cpu.memory_operations_per_instruction > 0.3 && cpu.memory_operations_per_instruction < 0.6);
    assert.ok(cpu.mmu_translate_calls_per_memory_operation > 0 && cpu.mmu_translate_calls_per_memory_operation < 0.01);
    assert.ok(rates.window_seconds > 0 && rates.window_seconds <= 1);
    for (const name of ["instructions", "compile_time_ns", "blocks_compiled", "tlb_fills"]) assert.ok(rates[`${name}_per_second`] > 0, name);
    assert.deepEqual(summary, {
      units_compiled_total: cache.installs_total,
      compile_time_ns_total: jit.tier1.compile_time_ns_total + jit.tier2.compile_time_ns_total,
      lookup_total: cache.lookup_hit_total + cache.lookup_miss_total,
      lookup_hit_ratio: Number((cache.lookup_hit_total / (cache.lookup_hit_total + cache.lookup_miss_total)).toFixed(4)),
      deopt_total: jit.deopt_total,
    });
    assert.deepEqual(summaries, summary);
  });

  test("hot blocks: two loops, with three quarters of the instructions and one", async (t) => {
    const dir = temporary(t);
    const code = `bits 64
.next: mov edx, 6100000
.a: add rax, rdx\n xor rax, 1\n dec edx\n jnz .a
 mov edx, 4100000
.b: dec edx\n jnz .b
 dec rcx\n jnz .next\n ret\n`;
    fs.writeFileSync(path.join(dir, "loops.asm"), code);
    const image = path.join(dir, "loops");
    assert.equal(spawnSync("nasm", ["-f", "bin", "-o", image, path.join(dir, "loops.asm")]).status, 0);
    const { stdout } = await oriel("node", ["bench", "--raw", image, "--bits", "64", "--iterations", "20", "--json"]);
    const [a, b] = JSON.parse(stdout).machine.hot_blocks;
    assert.deepEqual([a.address, a.block_instructions], ["0x200005", 4]);
    assert.deepEqual([b.address, b.block_instructions], ["0x200015", 2]);
    assert.ok(Math.abs(a.percent - 75) < 10 && Math.abs(b.percent - 25) < 10, `${a.percent} ${b.percent}`);
  });

  test("several payloads: the sum of what is said of each", async () => {
    const { stdout } = await oriel("node", ["bench", "alu", "--iterations", "400000", "--runs", "1", "--json"]);
    const { results, jit } = JSON.parse(stdout);
    assert.equal(results.length, 2);
    assert.ok(jit.units_compiled_total > results[0].jit.units_compiled_total);
    for (const name of ["units_compiled_total", "compile_time_ns_total", "lookup_total", "deopt_total"]) {
      assert.equal(jit[name], results[0].jit[name] + results[1].jit[name], name);
    }
  });

  for (const pass of PASSES) {
    test(`${pass} switched off`, async () => {
      const { jit } = await bench("node", "mem_seq64", "--jit", `${pass}=0`);
      for (const name of PASSES) assert.equal(jit.pass[name].time_ns_total > 0, name !== pass, name);
    });
  }

  for (const host of HOSTS) {
    test(`interpreted, ${host}: all zero`, async () => {
      const { jit, cpu, rates, summary, summaries, ...machine } = await bench(host, "mem_seq64", "--mode", "interpreter");
      assert.ok(numbers(jit).length > 30);
      assert.deepEqual(numbers(jit).filter((n) => n !== 0), []);
      assert.deepEqual([...numbers(summary), ...numbers(summaries)].filter((n) => n !== 0), []);
      assert.deepEqual(machine.hot_blocks, []);
      assert.equal(machine.sampled_instructions_total, 0);
      for (const name of ["compile_time_ns", "blocks_compiled", "deopts"]) assert.equal(rates[`${name}_per_second`], 0, name);
      assert.ok(rates.instructions_per_second > 0);
      assert.ok(cpu.slow_reads_total > 0);
    });
  }
});
