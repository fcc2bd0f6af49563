#include "jit/stats.h"

#include "base/json.h"
#include "jit/opt/opt.h"

namespace oriel::jit {

namespace {

std::string tier_json(const Stats::Tier& t) {
  return Json()
      .number("compile_time_ns_total", t.compile_ns)
      .number("worker_time_ns_total", t.worker_ns)
      .number("units_compiled_total", t.units)
      .number("blocks_compiled_total", t.blocks)
      .number("instructions_compiled_total", t.insns)
      .number("wasm_bytes_total", t.wasm_bytes)
      .number("modules_total", t.modules)
      .number("refused_total", t.refused)
      .str();
}

}  // namespace

std::string to_json(const Stats& s) {
  Json cache, steps, passes, j;
  cache.number("capacity_bytes", s.capacity_bytes)
      .number("capacity_units", s.capacity_units)
      .number("used_bytes", s.used_bytes)
      .number("used_units", s.used_units)
      .number("lookup_hit_total", s.lookup_hits)
      .number("lookup_miss_total", s.lookup_misses)
      .number("installs_total", s.installs)
      .number("stale_rejects_total", s.stale)
      .number("evictions_total", s.evictions)
      .number("invalidations_total", s.invalidations);
  for (const auto& [count, form] : s.steps_by_form) steps.number(form, count);
  for (usize n = 0; n < kPassCount; n++)
    passes.raw(kPasses[n].name, Json().number("time_ns_total", s.pass_ns[n]).str());
  return j.raw("tier1", tier_json(s.tier[0]))
      .raw("tier2", tier_json(s.tier[1]))
      .number("compile_pause_longest_ns", s.longest_pause_ns)
      .raw("pass", passes.str())
      .raw("cache", cache.str())
      .number("instructions_total", s.retired)
      .number("runs_total", s.runs)
      .number("deopt_total", s.deopts)
      .number("guard_fail_total", s.mapping_fails + s.group_fails)
      .number("mapping_fail_total", s.mapping_fails)
      .number("group_fail_total", s.group_fails)
      .number("steps_total", s.steps)
      .number("fills_total", s.fills)
      .number("conditions_total", s.conditions)
      .number("simd_calls_total", s.simd_calls)
      .raw("steps_by_form", steps.str())
      .str();
}

}  // namespace oriel::jit
