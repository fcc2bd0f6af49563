#include "jit/jit.h"

#include <algorithm>

#include "base/json.h"
#include "jit/ir/flags.h"
#include "jit/lift/lift.h"
#include "jit/lift/region.h"

namespace oriel::jit {

namespace {
constexpr u64 kPageOff = 0xfff;
// Frames of compiled code on the engine's stack, of which each takes up to some 2 KiB.
constexpr u32 kMaxDepth = 128;
constexpr u32 kNever = ~u32{0};

u32 address(const void* p) { return static_cast<u32>(reinterpret_cast<uintptr_t>(p)); }

// A unit's function by its slot in the table of functions, of which a function pointer is the index in WebAssembly.
u32 invoke(u32 slot) { return reinterpret_cast<u32 (*)()>(static_cast<uintptr_t>(slot))(); }
}  // namespace

Jit::Jit(Cpu& cpu, Host& host, const Config& config) : c_(cpu), host_(host), config_(config) {
  addresses_ = {address(&c_.gpr),
                address(&c_.rip),
                address(&c_.tlb),
                address(&c_),
                address(&c_.jit.budget),
                address(&c_.jit.exit),
                address(&c_.jit.flag_kind),
                address(&c_.jit.flag_a),
                address(&c_.jit.flag_b),
                address(&c_.jit.page),
                0,
                sizeof(Site)};
  c_.compiled = this;
}

Jit::~Jit() { c_.compiled = nullptr; }

// ---- making units ----------------------------------------------------------------------------------

void Jit::note_hot(Block& b) {
  b.heat = kNever;
  if (b.mode == CodeMode::k16 || b.pa2 != BlockCache::kNoPage) return;
  if (pending_.empty()) pending_since_ = c_.icount;
  pending_.push_back({b.pa, b.mode});
}

std::unique_ptr<Unit> Jit::make_unit(const Entry& e) const {
  const PhysMem::Page page = c_.mem.page(e.pa);
  if (!page.host) return nullptr;
  auto unit = std::make_unique<Unit>();
  unit->pa = e.pa;
  unit->mode = e.mode;
  if (!find_region(page.host, config_.max_insns, *unit)) return nullptr;
  order_blocks(*unit);
  lift(*unit);
  return unit;
}

void Jit::compile_pending() {
  const u64 start = host_.monotonic_ns();
  std::vector<std::unique_ptr<CompiledUnit>> units;
  std::vector<std::vector<u8>> bodies;
  for (const Entry& e : pending_) {
    Block* b = c_.blocks->find_physical(e.pa, e.mode);
    if (!b || b->unit) continue;
    const auto unit = make_unit(e);
    if (!unit) {
      stats_.refused_total++;
      continue;
    }
    auto cu = std::make_unique<CompiledUnit>();
    cu->pa = e.pa;
    cu->mode = e.mode;
    cu->block = b;
    for (const IrBlock& block : unit->blocks) {
      // Steps are numbered in this order.
      for (const Inst& i : block.insts)
        if (i.op == IrOp::kStep) cu->sites.push_back({unit->insns[block.first_insn + i.guest], i.guest});
      if (!block.insn_count) continue;
      const Insn& last = unit->insns[block.first_insn + block.insn_count - 1];
      cu->ranges.push_back({unit->insns[block.first_insn].off, static_cast<u16>(last.off + last.len - 1)});
    }
    Addresses at = addresses_;
    at.sites = address(cu->sites.data());
    bodies.push_back(emit(*unit, at));
    stats_.insns_total += unit->insns.size();
    units.push_back(std::move(cu));
  }
  pending_.clear();
  if (units.empty()) return;
  const std::vector<u8> module = module_of(bodies);
  const s32 slot = host_.compile(module.data(), module.size(), static_cast<u32>(bodies.size()));
  if (slot < 0) return;
  stats_.units_total += units.size();
  stats_.bytes_total += module.size();
  stats_.modules_total++;
  for (usize n = 0; n < units.size(); n++) {
    CompiledUnit* u = units[n].get();
    u->slot = static_cast<u32>(slot) + static_cast<u32>(n);
    attach(u, *u->block);
    note_code(*u);
    pages_[static_cast<u32>(u->pa >> 12)].push_back(std::move(units[n]));
  }
  stats_.compile_ns_total += host_.monotonic_ns() - start;
}

void Jit::attach(CompiledUnit* u, Block& b) {
  u->block = &b;
  b.unit = u;
  b.heat = 1;
}

void Jit::note_code(const CompiledUnit& u) {
  const u64 page = u.pa & ~kPageOff;
  for (const auto& r : u.ranges) c_.blocks->note_code(page + r.first, r.last - r.first + 1u);
}

void Jit::block_added(Block& b) {
  b.heat = config_.threshold;
  const auto it = pages_.find(static_cast<u32>(b.pa >> 12));
  if (it == pages_.end()) return;
  for (const auto& u : it->second)
    if (u->pa == b.pa && u->mode == b.mode) attach(u.get(), b);
}

void Jit::blocks_flushed() {
  for (const auto& [page, units] : pages_)
    for (const auto& u : units) {
      u->block = nullptr;
      note_code(*u);
    }
}

void Jit::drop(CompiledUnit* u) {
  if (u->block) {
    u->block->unit = nullptr;
    u->block->heat = config_.threshold;
    u->block = nullptr;
  }
  stats_.dropped_total++;
}

u64 Jit::code_written(u64 pa, u32 n) {
  const auto it = pages_.find(static_cast<u32>(pa >> 12));
  if (it == pages_.end()) return 0;
  const u64 first = pa & kPageOff, last = first + n - 1;
  u64 lines = 0;
  std::erase_if(it->second, [&](std::unique_ptr<CompiledUnit>& u) {
    const bool hit = std::any_of(u->ranges.begin(), u->ranges.end(),
                                 [&](const auto& r) { return r.first <= last && first <= r.last; });
    if (hit) {
      drop(u.get());
      dropped_.push_back(std::move(u));
      c_.new_tlb_gen();  // calls that are under way do not come back to it
      return true;
    }
    for (const auto& r : u->ranges)
      for (unsigned line = r.first >> 6; line <= r.last >> 6u; line++) lines |= u64{1} << line;
    return false;
  });
  return lines;
}

// A unit is entered by its block only, and goes with it.
void Jit::block_dropped(Block& b) {
  auto* u = static_cast<CompiledUnit*>(b.unit);
  auto& page = pages_[static_cast<u32>(u->pa >> 12)];
  const auto it = std::find_if(page.begin(), page.end(), [u](const auto& p) { return p.get() == u; });
  if (it == page.end()) return;  // code_written() is at it
  drop(u);
  dropped_.push_back(std::move(*it));
  page.erase(it);
}

void Jit::all_dropped() {
  for (auto& [page, units] : pages_)
    for (auto& u : units) {
      drop(u.get());
      dropped_.push_back(std::move(u));
    }
  pages_.clear();
  pending_.clear();
}

// ---- running ---------------------------------------------------------------------------------------

Block* Jit::find_unit() {
  const u64 lin = c_.rip & c_.lin_mask;
  Block* b = c_.blocks->find_fast(lin);
  if (!b) b = c_.blocks->find(lin);
  if (!b || b->unit) return b;
  if (--b->heat == 0) note_hot(*b);
  return nullptr;
}

void Jit::take_flags() {
  commit_flags(c_, c_.jit.flag_kind, c_.jit.flag_a, c_.jit.flag_b);
  c_.jit.flag_kind = 0;
}

// Runs the unit of a block at rip; the flags are in Cpu before and after.
u32 Jit::run_unit(Block& b) {
  c_.jit.page = c_.rip & ~kPageOff;
  b.heat = 1;
  const u32 leave = invoke(static_cast<CompiledUnit*>(b.unit)->slot);
  take_flags();
  return leave;
}

CompiledCode::Ran Jit::run(Block& first, u64 limit) {
  dropped_.clear();  // nothing compiled is running
  if (!first.unit) note_hot(first);
  if (!pending_.empty() && (pending_.size() >= config_.batch || c_.icount - pending_since_ > config_.max_wait))
    compile_pending();
  const bool flat = c_.code_mode == CodeMode::k64 || c_.flat32();
  if (!first.unit || !flat) {
    if (first.unit) first.heat = 1;
    return Ran::kGo;
  }
  c_.jit.budget = static_cast<u32>(std::min<u64>(limit - c_.icount, 0x7fffffff));
  c_.jit.flag_kind = 0;
  end_ = c_.icount + c_.jit.budget;
  stats_.enters_total++;
  u32 leave;
  for (Block* b = &first;;) {
    leave = run_unit(*b);
    if (leave != kLeaveGo) break;
    b = find_unit();
    if (!b) {
      leave = kLeaveCold;
      break;
    }
  }
  return outcome(leave);
}

CompiledCode::Ran Jit::outcome(u32 leave) {
  if (leave == kLeaveStep) return step_outcome_;
  c_.icount = retired();
  c_.ip = c_.ip_start;
  switch (leave) {
    case kLeaveTier0: {
      stats_.leaves_total++;
      c_.icount += c_.jit.exit >> kExitShift;
      c_.rip = c_.jit.page + (c_.jit.exit & kPageOff);
      return Ran::kGo;
    }
    case kLeaveBudget: return Ran::kGo;
    default: stats_.cold_total++; return Ran::kGo;
  }
}

u32 Jit::call(u64 return_to) {
  take_flags();
  if (depth_ == kMaxDepth) return 1 + kLeaveGo;
  const u64 key = c_.code_key;
  depth_++;
  stats_.calls_total++;
  u32 leave;
  for (;;) {
    Block* b = find_unit();
    if (!b) {
      leave = 1 + kLeaveCold;
      break;
    }
    leave = run_unit(*b);
    if (leave != kLeaveGo) {
      leave++;
      break;
    }
    if (c_.rip == return_to) {
      // The caller's code and its page's address are still what they were?
      leave = c_.code_key == key ? 0 : 1 + kLeaveGo;
      break;
    }
  }
  depth_--;
  return leave;
}

u32 Jit::step(Site* site, u64 page) {
  take_flags();
  site->count++;
  stats_.steps_total++;
  c_.icount = retired() + site->executed;
  c_.ip = c_.ip_start = &site->insn;
  c_.ip_end = c_.ip + 1;
  c_.block_rip = page;
  c_.fault_rip = page + site->insn.off;
  const u64 key = c_.code_key;
  bool next;
  const Cpu::Exit e = c_.execute_one(next);
  if (e == Cpu::Exit::kNormal) {
    if (next && c_.events == 0 && c_.code_key == key) return 0;
    c_.icount++;
    if (next) c_.rip = c_.fault_rip + site->insn.len;
    c_.rip &= c_.lin_mask;
    step_outcome_ = Ran::kGo;
  } else {
    c_.rip = c_.fault_rip;
    step_outcome_ = e == Cpu::Exit::kFault ? Ran::kFault : Ran::kAgain;
  }
  c_.ip = c_.ip_start;
  return 1;
}

u32 Jit::fill(u64 lin, u32 size_and_write) {
  const bool write = size_and_write & 0x100;
  const u64 last = lin + (u64{1} << (size_and_write & 0xff)) - 1;
  stats_.fills_total++;
  if (((lin ^ last) & ~kPageOff) || c_.mmu == kMmuAlign || (c_.long64() && !c_.canonical(lin))) return 0;
  u64 pa;
  if (!c_.fill(lin, write ? Cpu::kWrite : Cpu::kRead, c_.mmu, pa)) return 0;
  const TlbEntry& e = c_.tlb[tlb_index(lin)];
  return (write ? e.wtag : e.rtag) == (lin & ~kPageOff);
}

u32 Jit::condition(u32 kind, u64 a, u64 b, u32 cc) {
  stats_.conditions_total++;
  return flag_condition(c_, kind, a, b, cc);
}

u32 Jit::commit(u32 kind, u64 a, u64 b) {
  commit_flags(c_, kind, a, b);
  return 0;
}

std::string Jit::stats_json() const {
  Json j;
  j.number("units_total", stats_.units_total)
      .number("instructions_total", stats_.insns_total)
      .number("wasm_bytes_total", stats_.bytes_total)
      .number("modules_total", stats_.modules_total)
      .number("dropped_total", stats_.dropped_total)
      .number("refused_total", stats_.refused_total)
      .number("compile_ns_total", stats_.compile_ns_total)
      .number("enters_total", stats_.enters_total)
      .number("steps_total", stats_.steps_total)
      .number("leaves_total", stats_.leaves_total)
      .number("fills_total", stats_.fills_total)
      .number("calls_total", stats_.calls_total)
      .number("cold_total", stats_.cold_total)
      .number("conditions_total", stats_.conditions_total)
      .number("simd_calls_total", stats_.simd_calls_total);
  // What tier 0 does for compiled code most often.
  std::unordered_map<u16, u64> by_form;
  for (const auto& [page, units] : pages_)
    for (const auto& u : units)
      for (const Site& site : u->sites) by_form[form_of(site.insn.op)] += site.count;
  std::vector<std::pair<u64, u16>> order;
  for (const auto& [form, count] : by_form)
    if (count) order.push_back({count, form});
  std::sort(order.rbegin(), order.rend());
  Json steps;
  for (usize n = 0; n < order.size() && n < 40; n++) steps.number(kForms[order[n].second].id, order[n].first);
  return j.raw("steps_by_form", steps.str()).str();
}

}  // namespace oriel::jit
