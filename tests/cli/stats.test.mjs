// The counters of --stats and `oriel bench --json`: what is there, and that a machine without a compiler has zeros.
// @ts-check
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { HOSTS, oriel } from "../harness.mjs";

/** @param {import("../harness.mjs").HostName} host @param {string[]} args */
async function bench(host, ...args) {
  const { status, stdout, stderr } = await oriel(host, ["bench", ...args, "--iterations", "400000", "--runs", "3", "--json"]);
  assert.equal(stderr, "");
  assert.equal(status, 0);
  return JSON.parse(stdout).results[0].machine;
}

/** All numbers of an object, those of objects in it too. @param {object} o @returns {number[]} */
const numbers = (o) => Object.values(o).flatMap((v) => (typeof v === "object" ? numbers(v) : [v]));

const PASSES = ["group_probes", "drop_dead_sets"];

describe("counters of compiled code", () => {
  test("compiled", async () => {
    const { jit, cpu } = await bench("node", "mem_seq64", "--jit", "threshold2=5");
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
  });

  for (const pass of PASSES) {
    test(`${pass} switched off`, async () => {
      const { jit } = await bench("node", "mem_seq64", "--jit", `${pass}=0`);
      for (const name of PASSES) assert.equal(jit.pass[name].time_ns_total > 0, name !== pass, name);
    });
  }

  for (const host of HOSTS) {
    test(`interpreted, ${host}: all zero`, async () => {
      const { jit, cpu } = await bench(host, "mem_seq64", "--mode", "interpreter");
      assert.ok(numbers(jit).length > 30);
      assert.deepEqual(numbers(jit).filter((n) => n !== 0), []);
      assert.ok(cpu.slow_reads_total > 0);
    });
  }
});
