#include "jit/jit.h"

#include <algorithm>

#include "jit/ir/flags.h"
#include "jit/lift/lift.h"
#include "jit/opt/opt.h"
#include "jit/verify.h"

namespace oriel::jit {

namespace {
constexpr u64 kPageOff = 0xfff;
constexpr u32 kNever = ~u32{0};
// Entries after which a block that waits to be compiled is not left waiting.
constexpr u32 kPatience = 1000, kSoon = 4;
// A unit is dropped when its pages were so often not where it needs them.
constexpr u32 kMostFails = 50;
// So many instructions apart, ranges that cannot be probed at once are no reason to give that up.
constexpr u64 kFailDistance = 50'000;
// So many guest instructions, and the rest of a unit, are made into WebAssembly at a time: a millisecond or two.
constexpr u32 kBatchInsns = 400;
// What another thread has yet to compile is at most so many modules, and so many batches wait for that.
constexpr u32 kMostAwaited = 8, kMostBatches = 4;
// A loop that is verified is left so often.
constexpr u64 kVerifyInsns = 5'000;
// What an engine holds for a module besides its code, and for each byte of WebAssembly (its own copy, the code of the
// baseline compiler, and for some of it that of the optimising one): V8, measured.
constexpr u64 kModuleBytes = 100 << 10, kBytesPerByte = 6;

u32 address(const void* p) { return static_cast<u32>(reinterpret_cast<uintptr_t>(p)); }

// A unit's function by its slot in the table of functions, of which a function pointer is the index in WebAssembly.
u32 invoke(u32 slot) { return reinterpret_cast<u32 (*)()>(static_cast<uintptr_t>(slot))(); }

u64 page_of(u64 pa) { return pa & ~kPageOff; }
u32 frame(u64 pa) { return static_cast<u32>(pa >> 12); }
}  // namespace

Jit::Jit(Cpu& cpu, Host& host, const Config& config) : c_(cpu), host_(host), config_(config) {
  addresses_.gpr = address(&c_.gpr);
  addresses_.rip = address(&c_.rip);
  addresses_.tlb = address(&c_.tlb);
  addresses_.cpu = address(&c_);
  addresses_.budget = address(&c_.jit.budget);
  addresses_.exit = address(&c_.jit.exit);
  addresses_.entry = address(&c_.jit.entry);
  addresses_.page = address(&c_.jit.page);
  addresses_.left_base = address(&c_.jit.base);
  addresses_.flag_kind = address(&c_.jit.flag_kind);
  addresses_.flag_a = address(&c_.jit.flag_a);
  addresses_.flag_b = address(&c_.jit.flag_b);
  addresses_.jumps = config.chain ? address(c_.blocks->jumps()) : 0;
  addresses_.site_bytes = sizeof(Site);
  config_.max_insns = std::clamp(config_.max_insns, 1u, kMostInsns);
  config_.max_insns2 = std::clamp(config_.max_insns2, 1u, kMostInsns);
  config_.threshold = std::max(config_.threshold, 1u);
  config_.batch = std::max(config_.batch, 1u);
  config_.cache_units = std::min(config_.cache_units, kMostUnits);
  if (config_.chain) {
    const std::vector<u8> module = chain_module(addresses_);
    config_.chain = host_.provide(module.data(), module.size());
    if (!config_.chain) addresses_.jumps = 0;
  }
  c_.compiled = this;
}

Jit::~Jit() { c_.compiled = nullptr; }

// ---- making units ----------------------------------------------------------------------------------

bool Jit::is_pending(u64 pa, CodeMode mode) const {
  return std::any_of(pending_.begin(), pending_.end(), [&](const Hot& h) { return h.pa == pa && h.mode == mode; });
}

void Jit::note_hot(Block& b) {
  b.heat = kNever;
  if (b.mode == CodeMode::k16 || b.pa2 != BlockCache::kNoPage) return;
  if (is_pending(b.pa, b.mode)) {
    impatient_ = true;
    return;
  }
  b.heat = kPatience;
  if (is_awaited(b.pa, b.mode) || pending_.size() >= usize{config_.batch} * kMostBatches) return;
  if (pending_.empty()) pending_since_ = c_.icount;
  pending_.push_back({b.pa, b.mode});
}

Jit::Entry* Jit::entry_at(u64 pa, CodeMode mode, unsigned below) const {
  const auto it = pages_.find(frame(pa));
  if (it == pages_.end()) return nullptr;
  Entry* best = nullptr;
  for (const auto& u : it->second)
    if (u->slot && u->mode == mode && u->tier < below && (!best || u->tier > best->unit->tier))
      for (Entry& e : u->entries)
        if (e.pa == pa) best = &e;
  return best;
}

template <class F>
bool Jit::any_awaited(u64 pa, CodeMode mode, F f) const {
  const auto it = awaited_ ? pages_.find(frame(pa)) : pages_.end();
  return it != pages_.end() && std::any_of(it->second.begin(), it->second.end(),
                                           [&](const auto& u) { return !u->slot && u->mode == mode && f(*u); });
}

bool Jit::is_awaited(u64 pa, CodeMode mode) const {
  return any_awaited(pa, mode, [pa](const CompiledUnit& u) { return u.contains(pa, 1); });
}

bool Jit::is_awaited_entry(u64 pa, CodeMode mode) const {
  return any_awaited(pa, mode, [pa](const CompiledUnit& u) { return u.has_entry(pa); });
}

bool Jit::was_compiled(u64 pa, CodeMode mode) const {
  const auto it = pages_.find(frame(pa));
  if (it == pages_.end()) return false;
  return std::any_of(it->second.begin(), it->second.end(),
                     [&](const auto& u) { return u->mode == mode && u->contains(pa, 1); });
}

std::unique_ptr<Unit> Jit::make_ir(const Hot& at) {
  Surroundings around;
  around.page_at = [&](s64 distance, CodePage& page) {
    if (distance) return false;
    page.pa = page_of(at.pa);
    page.host = c_.mem.page(at.pa).host;
    return page.host != nullptr;
  };
  around.target_of = [&](u64 pa) {
    if (entry_at(pa, at.mode) || is_awaited_entry(pa, at.mode)) return Target::kElsewhere;
    const Block* b = c_.blocks->find_physical(pa, at.mode);
    return !b ? Target::kNever : is_pending(pa, at.mode) ? Target::kEntry : Target::kSeen;
  };
  return ir_of(at, around, config_.max_insns);
}

std::unique_ptr<Unit> Jit::make_wide_ir(u64 lin, u64 pa) {
  const CodeMode mode = c_.code_mode;
  const u64 base = page_of(lin);
  Surroundings around;
  around.page_at = [&](s64 distance, CodePage& page) {
    if (!c_.peek_fetch((base + static_cast<u64>(distance)) & c_.lin_mask, page.pa)) return false;
    page.host = c_.mem.page(page.pa).host;
    return page.host != nullptr && page.pa < u64{1} << 32;
  };
  around.target_of = [&](u64 at) {
    return c_.blocks->find_physical(at, mode) || was_compiled(at, mode) ? Target::kSeen : Target::kNever;
  };
  return ir_of({pa, mode}, around, config_.max_insns2);
}

std::unique_ptr<Unit> Jit::ir_of(const Hot& at, const Surroundings& around, u32 max_insns) {
  auto unit = std::make_unique<Unit>();
  unit->pa = at.pa;
  unit->mode = at.mode;
  if (!find_region(around, max_insns, *unit)) return nullptr;
  order_blocks(*unit);
  lift(*unit);
  u64 began = host_.monotonic_ns();
  for (usize n = 0; n < kPassCount; n++) {
    const Pass& pass = kPasses[n];
    if (!(config_.*pass.on) || (pass.run == group_probes && ungrouped_.contains(at.pa))) continue;
    pass.run(*unit);
    const u64 now = host_.monotonic_ns();
    stats_.pass_ns[n] += now - began;
    began = now;
  }
  if (config_.plant) plant_mistake(*unit, config_.plant);
  return unit;
}

std::shared_ptr<Jit::CompiledUnit> Jit::make_unit(const Unit& ir, u8 tier) const {
  auto u = std::make_shared<CompiledUnit>();
  u->pages = ir.pages;
  u->mode = ir.mode;
  u->tier = tier;
  u->insns = static_cast<u32>(ir.insns.size());
  if (config_.verify) u->text = print(ir);
  u->countdown = tier == 1 ? config_.threshold2 : 0;
  for (const IrBlock& block : ir.blocks) {
    if (!block.insn_count) continue;
    const CodePage& page = ir.pages[block.page];
    // Steps are numbered in this order.
    for (const Inst& i : block.insts)
      if (i.op == IrOp::kStep) u->sites.push_back({ir.insns[block.first_insn + i.guest], i.guest, page.at});
    const Insn& last = ir.insns[block.first_insn + block.insn_count - 1];
    const u64 end = last.off + last.len - 1u;
    u->ranges.push_back({page.pa + ir.insns[block.first_insn].off, page.pa + std::min(end, kPageOff)});
    if (end <= kPageOff) continue;
    for (const CodePage& second : ir.pages)
      if (second.at == page.at + s64{kPageOff + 1}) u->ranges.push_back({second.pa, second.pa + (end & kPageOff)});
  }
  for (u32 e : ir.entries) {
    const CodePage& page = ir.pages[ir.blocks[e].page];
    u->entries.push_back({page.pa + ir.insns[ir.blocks[e].first_insn].off, page.at, u.get(), 0, nullptr});
  }
  return u;
}

Body Jit::make_body(const Unit& ir, CompiledUnit& u) {
  Addresses addresses = addresses_;
  addresses.key = address(&u.key);
  addresses.base = address(&u.base);
  addresses.countdown = u.countdown ? address(&u.countdown) : 0;
  addresses.sites = address(u.sites.data());
  Stats::Tier& stats = stats_.tier[u.tier - 1];
  stats.insns += ir.insns.size();
  stats.blocks += ir.blocks.size() - 1;
  return emit(ir, addresses);
}

void Jit::compile_pending() {
  const u64 start = host_.monotonic_ns();
  Units units;
  std::vector<Body> bodies;
  u32 insns = 0;
  usize done = 0;
  for (; done < pending_.size() && insns < kBatchInsns; done++) {
    const Hot at = pending_[done];
    Block* b = c_.blocks->find_physical(at.pa, at.mode);
    if (!b || b->unit || is_awaited_entry(at.pa, at.mode)) continue;
    b->heat = kNever;  // if nothing comes of it
    // Another of this batch may have it as its entry.
    if (std::any_of(units.begin(), units.end(),
                    [&](const auto& u) { return u->mode == at.mode && u->has_entry(at.pa); }))
      continue;
    const auto ir = make_ir(at);
    if (!ir) {
      stats_.tier[0].refused++;
      continue;
    }
    insns += static_cast<u32>(ir->insns.size());
    auto unit = make_unit(*ir, 1);
    bodies.push_back(make_body(*ir, *unit));
    units.push_back(std::move(unit));
  }
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(done));
  pending_since_ = c_.icount;
  impatient_ = false;
  if (!units.empty()) submit(std::move(units), bodies, {});
  paused(1, start);
}

void Jit::paused(unsigned tier, u64 since) {
  const u64 ns = host_.monotonic_ns() - since;
  stats_.tier[tier - 1].compile_ns += ns;
  stats_.longest_pause_ns = std::max(stats_.longest_pause_ns, ns);
}

void Jit::optimise() {
  const u64 start = host_.monotonic_ns(), lin = c_.rip & c_.lin_mask;
  Block* b = c_.blocks->find_fast(lin);
  if (!b || !b->unit) return;
  const CompiledUnit& old = *static_cast<Entry*>(b->unit)->unit;
  const auto ir = make_wide_ir(lin, b->pa);
  // Nothing is won where it would be the same again.
  if (!ir || ir->insns.size() <= old.insns) {
    stats_.tier[1].refused++;
    paused(2, start);
    return;
  }
  Units units{make_unit(*ir, 2)};
  const std::vector<Body> bodies{make_body(*ir, *units[0])};
  std::vector<u64> older;
  for (const Entry& e : units[0]->entries)
    older.push_back((page_of(lin) + static_cast<u64>(e.page) + (e.pa & kPageOff)) & c_.lin_mask);
  submit(std::move(units), bodies, std::move(older));
  paused(2, start);
}

void Jit::submit(Units units, const std::vector<Body>& bodies, std::vector<u64> older) {
  const std::vector<u8> wasm = module_of(bodies, config_.chain);
  const Compiled state = host_.compile(wasm.data(), wasm.size(), ++last_number_, config_.worker);
  if (state == Compiled::kNever) return;
  auto module = std::make_unique<Module>();
  module->number = last_number_;
  module->tier = units[0]->tier;
  module->older = std::move(older);
  module->live = module->units = static_cast<u32>(units.size());
  module->bytes = kModuleBytes + wasm.size() * kBytesPerByte;
  module->used = epoch_;
  used_bytes_ += module->bytes;
  used_units_ += module->units;
  Stats::Tier& stats = stats_.tier[module->tier - 1];
  stats.units += units.size();
  stats.wasm_bytes += wasm.size();
  stats.modules++;
  for (const auto& u : units) {
    u->module = module.get();
    note_code(*u);
    for (const CodePage& page : u->pages) {
      Units& list = pages_[frame(page.pa)];
      if (list.empty() || list.back() != u) list.push_back(u);  // a page may be mapped in it twice
    }
  }
  module->awaiting = std::move(units);
  modules_.push_back(std::move(module));
  if (state == Compiled::kNow)
    install(*modules_.back());
  else
    awaited_++;
  make_room();
}

void Jit::compiled(u32 number, bool ok, u64 ns) {
  const u64 start = host_.monotonic_ns();
  awaited_--;
  const auto it =
      std::find_if(modules_.begin(), modules_.end(), [number](const auto& m) { return m->number == number; });
  if (it == modules_.end()) return;  // all of it has been dropped
  Module& m = **it;
  const u8 tier = m.tier;
  stats_.tier[tier - 1].worker_ns += ns;
  if (ok)
    install(m);
  else
    give_up(m);
  paused(tier, start);
}

// What waits for a module that there will not be goes on without.
void Jit::give_up(Module& m) {
  const Units units = std::move(m.awaiting);
  for (const auto& u : units) {
    if (u->dropped) continue;
    drop(*u);
    for (const Entry& e : u->entries)
      if (Block* b = c_.blocks->find_physical(e.pa, u->mode); b && !b->unit) b->heat = kNever;
  }
}

void Jit::install(Module& m) {
  for (usize n = 0; n < m.awaiting.size(); n++) {
    m.slots.push_back(free_slots_.empty() ? 0 : free_slots_.back());
    if (!free_slots_.empty()) free_slots_.pop_back();
  }
  if (!host_.install(m.number, m.slots.data(), static_cast<u32>(m.slots.size()))) {
    for (u32 slot : m.slots)
      if (slot) free_slots_.push_back(slot);
    m.slots.clear();
    return give_up(m);
  }
  const Units units = std::move(m.awaiting);
  for (usize n = 0; n < units.size(); n++) {
    CompiledUnit* u = units[n].get();
    u->slot = m.slots[n];
    if (u->dropped) continue;  // stale
    stats_.installs++;
    by_slot_[u->slot] = u;
    for (usize k = 0; k < u->entries.size(); k++) {
      Entry& e = u->entries[k];
      e.code = u->slot << kSlotShift | static_cast<u32>(k);
      Block* b = c_.blocks->find_physical(e.pa, u->mode);
      if (b && b->pa2 == BlockCache::kNoPage && (!b->unit || static_cast<Entry*>(b->unit)->unit->tier < u->tier))
        attach(e, *b);
    }
  }
  for (u64 lin : m.older) c_.blocks->forget(lin);
}

template <class F>
void Jit::each_unit(F f) const {
  for (const auto& [page, units] : pages_)
    for (const auto& u : units)
      if (page == frame(u->pages[0].pa)) f(*u);
}

void Jit::attach(Entry& e, Block& b) {
  if (b.unit) static_cast<Entry*>(b.unit)->block = nullptr;
  e.block = &b;
  b.unit = &e;
  b.heat = 1;
}

void Jit::note_code(const CompiledUnit& u) {
  for (const auto& r : u.ranges) c_.blocks->note_code(r.first, static_cast<unsigned>(r.last - r.first + 1));
}

void Jit::block_added(Block& b) {
  b.heat = config_.threshold;
  if (b.pa2 != BlockCache::kNoPage) return;
  if (Entry* e = entry_at(b.pa, b.mode)) attach(*e, b);
}

void Jit::block_dropped(Block& b) { static_cast<Entry*>(b.unit)->block = nullptr; }

void Jit::blocks_flushed() {
  each_unit([this](CompiledUnit& u) {
    for (Entry& e : u.entries) e.block = nullptr;
    note_code(u);
  });
}

// ---- dropping them ---------------------------------------------------------------------------------

// Takes it out of the lists of its pages.
void Jit::drop(CompiledUnit& unit) {
  auto u = unit.shared_from_this();
  u->dropped = true;
  if (!u->slot) stats_.stale++;
  for (const CodePage& page : u->pages)
    if (const auto it = pages_.find(frame(page.pa)); it != pages_.end()) std::erase(it->second, u);
  for (Entry& e : u->entries) {
    if (Block* waits = u->slot ? nullptr : c_.blocks->find_physical(e.pa, u->mode); waits && !waits->unit)
      waits->heat = config_.threshold;
    if (!e.block) continue;
    e.block->unit = nullptr;
    e.block->heat = config_.threshold;
    if (Entry* other = entry_at(e.pa, u->mode)) attach(*other, *e.block);
    e.block = nullptr;
  }
  u->module->live--;
  dropped_.push_back(std::move(u));
  c_.new_tlb_gen();  // the jump cache knows it no longer, and a unit that runs is left
}

u64 Jit::code_written(u64 pa, u32 n) {
  const auto it = pages_.find(frame(pa));
  if (it == pages_.end()) return 0;
  std::vector<CompiledUnit*> hit;
  u64 lines = 0;
  for (const auto& u : it->second) {
    if (u->contains(pa, n)) {
      hit.push_back(u.get());
      continue;
    }
    for (const auto& r : u->ranges) {
      if (page_of(r.first) != page_of(pa)) continue;
      for (u64 line = (r.first & kPageOff) >> 6; line <= (r.last & kPageOff) >> 6; line++) lines |= u64{1} << line;
    }
  }
  stats_.invalidations += hit.size();
  for (CompiledUnit* u : hit) drop(*u);
  return lines;
}

void Jit::all_dropped() {
  while (!pages_.empty()) {
    const auto it = pages_.begin();
    if (it->second.empty())
      pages_.erase(it);
    else
      drop(*it->second.back());
  }
  pending_.clear();
}

// Nothing compiled is running: what was dropped can go, and the engine forgets the modules of which nothing is left.
void Jit::free_dropped() {
  if (dropped_.empty()) return;
  dropped_.clear();
  std::erase_if(modules_, [this](const std::unique_ptr<Module>& m) {
    if (m->live) return false;
    host_.release(m->slots.data(), static_cast<u32>(m->slots.size()));
    free_slots_.insert(free_slots_.end(), m->slots.begin(), m->slots.end());
    used_bytes_ -= m->bytes;
    used_units_ -= m->units;
    for (u32 slot : m->slots) by_slot_.erase(slot);
    return true;
  });
}

// Evicts the modules that have not been used for the longest time when a limit is passed. At seven eighths of it the
// jump cache is made to forget, so that whatever is in use is looked up anew, and its module marked.
void Jit::make_room() {
  auto over = [this](u64 eighths) {
    return used_bytes_ > config_.cache_bytes / 8 * eighths || used_units_ > u64{config_.cache_units} * eighths / 8;
  };
  if (over(7) && !marking_) {
    marking_ = true;
    epoch_++;
    c_.new_tlb_gen();
  }
  if (!over(8)) return;
  marking_ = false;
  std::vector<Module*> order;
  for (const auto& m : modules_)
    if (m->live && m->awaiting.empty() && m != modules_.back()) order.push_back(m.get());
  std::sort(order.begin(), order.end(), [](const Module* a, const Module* b) { return a->used < b->used; });
  u64 bytes = 0, units = 0;
  for (Module* m : order) {
    if (used_bytes_ - bytes <= config_.cache_bytes / 4 * 3 && used_units_ - units <= u64{config_.cache_units} * 3 / 4)
      break;
    bytes += m->bytes;
    units += m->units;
    m->evicted = true;
  }
  stats_.evictions += units;
  std::vector<CompiledUnit*> evicted;
  each_unit([&evicted](CompiledUnit& u) {
    if (u.module->evicted) evicted.push_back(&u);
  });
  for (CompiledUnit* u : evicted) drop(*u);
  free_dropped();
}

// ---- running ---------------------------------------------------------------------------------------

const Jit::Entry* Jit::find_entry() {
  const u64 lin = c_.rip & c_.lin_mask;
  Block* b = c_.blocks->find_fast(lin);
  if (!b) b = c_.blocks->find(lin);
  if (!b) return nullptr;
  if (b->unit) {
    Entry* e = usable(static_cast<Entry*>(b->unit), lin);
    if (!e) return nullptr;
    stats_.lookup_hits++;
    e->unit->module->used = epoch_;
    c_.blocks->note_compiled(lin, e->code, static_cast<s32>(e->page >> 12));
    return e;
  }
  stats_.lookup_misses++;
  if (--b->heat == 0) note_hot(*b);
  return nullptr;
}

Jit::Entry* Jit::usable(Entry* e, u64 lin) {
  for (unsigned tier = e->unit->tier; e; e = entry_at(e->pa, c_.code_mode, tier--)) {
    CompiledUnit& u = *e->unit;
    if (bind(u, (page_of(lin) - static_cast<u64>(e->page)) & c_.lin_mask)) return e;
    stats_.mapping_fails++;
    if (++u.mapping_fails < kMostFails || u.tier == 1) continue;
    // Its pages have parted.
    const Entry* lower = entry_at(e->pa, c_.code_mode, tier);
    if (lower) lower->unit->countdown = 0;
    drop(u);
  }
  return nullptr;
}

bool Jit::bind(CompiledUnit& u, u64 base) {
  if (u.pages.size() == 1) return true;
  if (u.key == c_.code_key) return u.base == base;
  // All of them: the entry may be in any.
  for (const CodePage& page : u.pages) {
    u64 pa;
    const u64 lin = (base + static_cast<u64>(page.at)) & c_.lin_mask;
    if (!c_.peek_fetch(lin, pa) || pa != page.pa) return false;
    c_.code_pages_.add(lin);
  }
  u.key = c_.code_key;
  u.base = base;
  return true;
}

void Jit::take_flags() {
  commit_flags(c_, c_.jit.flag_kind, c_.jit.flag_a, c_.jit.flag_b);
  c_.jit.flag_kind = 0;
}

void Jit::report(bool flags_taken) {
  const u64 from = reported_;
  reported_ = flags_taken ? c_.icount : retired();
  // Where nothing has retired, an interrupt may have been delivered since, which tier 0 has yet to come to; where an
  // event is pending, tier 0 may deal with it before it stops.
  if (from == reported_ || c_.events != 0) return;
  if (flags_taken) return host_.compiled_ran(from, reported_, register_hash(c_));
  // The next unit shall find the flags as this one left them.
  const u64 res = c_.cc_res, aux = c_.cc_aux;
  commit_flags(c_, c_.jit.flag_kind, c_.jit.flag_a, c_.jit.flag_b);
  host_.compiled_ran(from, reported_, register_hash(c_));
  c_.cc_res = res;
  c_.cc_aux = aux;
}

std::string Jit::unit_text() const { return ran_last_ ? ran_last_->text : ""; }

CompiledCode::Ran Jit::run(Block& first, u64 limit) {
  free_dropped();
  if (!first.unit) note_hot(first);
  if (!pending_.empty() && awaited_ < kMostAwaited &&
      (impatient_ || pending_.size() >= config_.batch || c_.icount - pending_since_ > config_.max_wait))
    compile_pending();
  if (!first.unit) return Ran::kGo;
  first.heat = 1;
  if (c_.code_mode != CodeMode::k64 && !c_.flat32()) return Ran::kGo;
  c_.jit.budget = static_cast<u32>(std::min<u64>(limit - c_.icount, config_.verify ? kVerifyInsns : 0x7fffffff));
  c_.jit.flag_kind = 0;
  end_ = c_.icount + c_.jit.budget;
  stats_.runs++;
  within_string_ = false;
  const u64 begin = reported_ = c_.icount;
  u32 leave = kLeaveGo;
  for (const Entry* e = usable(static_cast<Entry*>(first.unit), c_.rip & c_.lin_mask); e && leave == kLeaveGo;
       e = leave == kLeaveGo ? find_entry() : nullptr) {
    c_.jit.entry = e->code;
    c_.jit.page = static_cast<s32>(e->page >> 12);
    if (config_.verify) ran_last_ = e->unit->shared_from_this();
    leave = invoke(e->unit->slot);
    if (config_.verify && leave == kLeaveGo) report(false);
    if (leave != kLeaveHot) continue;
    optimise();
    leave = kLeaveGo;
  }
  const Ran ran = outcome(leave);
  if (config_.verify && ran == Ran::kGo && !within_string_) report(true);
  stats_.retired += c_.icount - begin;
  return ran;
}

CompiledCode::Ran Jit::outcome(u32 leave) {
  if (leave == kLeaveStep) return step_outcome_;
  take_flags();
  c_.icount = retired();
  c_.ip = c_.ip_start;
  if (leave == kLeaveTier0) {
    stats_.deopts++;
    const CompiledUnit& u = *by_slot_.at(c_.jit.entry >> kSlotShift);
    c_.icount += c_.jit.exit >> kExitShift & ((1u << (kExitPageShift - kExitShift)) - 1);
    c_.rip = (c_.jit.base + static_cast<u64>(u.pages[c_.jit.exit >> kExitPageShift].at) + (c_.jit.exit & kPageOff)) &
             c_.lin_mask;
  } else if (leave == kLeaveBudget) {
    // A loop that is left for tier 0 here, perhaps for long: it should be entered here too.
    Block* b = c_.blocks->find(c_.rip);
    if (b && !b->unit && b->heat > kSoon && b->heat < kNever / 2) b->heat = kSoon;
  }
  c_.block_rip = c_.rip;  // as tier 0 leaves it: where the last block began, or the next one
  return Ran::kGo;
}

u32 Jit::step(Site* site, u64 page) {
  take_flags();
  site->count++;
  stats_.steps++;
  c_.icount = retired() + site->executed;
  c_.ip = c_.ip_start = &site->insn;
  c_.ip_end = c_.ip + 1;
  c_.block_rip = (page + static_cast<u64>(site->page)) & c_.lin_mask;
  c_.fault_rip = c_.block_rip + site->insn.off;
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

u32 Jit::fill(u64 lin, u32 what) {
  const bool any_write = what & kFillAnyWrite;
  stats_.fills++;
  if (c_.mmu == kMmuAlign || (c_.long64() && !c_.canonical(lin))) return 0;
  bool ok = !((lin ^ (lin + (what & kFillBytes))) & ~kPageOff);
  if (ok) {
    u64 pa;
    if (!c_.fill(lin, what & kFillWrite ? Cpu::kWrite : Cpu::kRead, c_.mmu, pa)) return 0;
    const TlbEntry& e = c_.tlb[tlb_index(lin)];
    ok = (any_write ? e.wtag : e.rtag) == (lin & ~kPageOff);
  }
  if (!ok && (what & kFillRange)) parted();
  return ok;
}

// Accesses that share a probe could not.
void Jit::parted() {
  stats_.group_fails++;
  CompiledUnit& u = *by_slot_.at(c_.jit.entry >> kSlotShift);
  if (u.group_fails++ == 0) u.group_failed_at = c_.icount;
  if (u.group_fails < kMostFails) return;
  const bool often = c_.icount - u.group_failed_at < kMostFails * kFailDistance;
  u.group_fails = 0;
  if (!often) return;
  for (const Entry& e : u.entries) ungrouped_.insert(e.pa);
  drop(u);
}

u32 Jit::condition(u32 kind, u64 a, u64 b, u32 cc) {
  stats_.conditions++;
  return flag_condition(c_, kind, a, b, cc);
}

u32 Jit::commit(u32 kind, u64 a, u64 b) {
  commit_flags(c_, kind, a, b);
  return 0;
}

Stats Jit::stats() const {
  Stats s = stats_;
  s.capacity_bytes = config_.cache_bytes;
  s.capacity_units = config_.cache_units;
  s.used_bytes = used_bytes_;
  s.used_units = used_units_;
  // What tier 0 does for compiled code most often.
  std::unordered_map<u16, u64> by_form;
  each_unit([&by_form](const CompiledUnit& u) {
    for (const Site& site : u.sites) by_form[form_of(site.insn.op)] += site.count;
  });
  std::vector<std::pair<u64, u16>> order;
  for (const auto& [form, count] : by_form)
    if (count) order.push_back({count, form});
  std::sort(order.rbegin(), order.rend());
  for (usize n = 0; n < order.size() && n < 40; n++)
    s.steps_by_form.push_back({order[n].first, kForms[order[n].second].id});
  return s;
}

}  // namespace oriel::jit
