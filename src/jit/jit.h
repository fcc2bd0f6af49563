// The compiled tiers: which code is hot, what was made of it, and running it. One object beside each Cpu, where the
// host has a WebAssembly engine that compiles while the machine runs (host.h: compile()).
//
// A unit is compiled for blocks of a physical page in a code mode, and may be entered at some of them, which are then
// known to the block cache. It leaves in the ways of jit::Leave; from unit to unit control goes by a tail call, where
// the jump cache of tier 0 knows the way, else through run().
#pragma once

#include <algorithm>
#include <memory>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "cpu/blocks.h"
#include "host/host.h"
#include "jit/config.h"
#include "jit/lift/region.h"
#include "jit/stats.h"
#include "jit/wasm/emit.h"

namespace oriel::jit {

// A guest instruction of a unit that tier 0 executes inside it.
struct Site {
  Insn insn;      // `off` is its offset in the page
  u32 executed;   // instructions of its block before it
  s64 page;       // the distance of its page from the unit's first
  u64 count = 0;  // how often
};

class Jit final : public CompiledCode {
 public:
  Jit(Cpu& cpu, Host& host, const Config& config);
  ~Jit() override;

  // CompiledCode
  Ran run(Block& b, u64 limit) override;
  u64 code_written(u64 pa, u32 n) override;
  void block_dropped(Block& b) override;
  void block_added(Block& b) override;
  void blocks_flushed() override;
  void all_dropped() override;

  // What Host::compile() made another thread do has been done, or could not be, in `ns` of that thread's time.
  void compiled(u32 number, bool ok, u64 ns);

  // Called by compiled code (emit.h: Import).
  u32 fill(u64 lin, u32 what);
  u32 step(Site* site, u64 page);
  u32 condition(u32 kind, u64 a, u64 b, u32 cc);
  u32 commit(u32 kind, u64 a, u64 b);
  V128 simd(u32 what, V128 a, V128 b);
  u64 string(u32 what, u64 src, u64 dst, u64 count);
  u32 x87_arith(u32 what, F80& st, const void* operand);
  u32 x87_load(u32 what, F80& st, const void* operand);
  u32 x87_store(u32 what, const F80& st, void* to);
  u32 x87(u32 what, F80& st, const void* operand);

  Stats stats() const;  // all of it
  const Stats& counters() const { return stats_; }
  std::string unit_text() const;  // IR of the unit that ran last, where Config::verify keeps it

 private:
  struct CompiledUnit;
  using Units = std::vector<std::shared_ptr<CompiledUnit>>;
  struct Module {
    u32 number;              // Host::compile()'s
    u8 tier;                 // of its units
    Units awaiting;          // its units, until it is compiled
    std::vector<u64> older;  // linear addresses for which the jump cache may know other code than its
    std::vector<u32> slots;  // once it is installed
    u32 units = 0;
    u32 live = 0;          // units not dropped
    bool evicted = false;  // its units are being dropped
    u64 bytes = 0;         // what it costs the engine
    u64 used = 0;          // epoch in which a unit of it was looked up last
  };
  struct Entry {
    u64 pa;
    s64 page;  // the distance of its page from the unit's first
    CompiledUnit* unit;
    u32 code;  // BlockCache::Jump::code
    Block* block;
  };
  struct CompiledUnit : std::enable_shared_from_this<CompiledUnit> {
    std::vector<CodePage> pages;
    CodeMode mode;
    u8 tier;       // 1 or 2
    u32 slot = 0;  // while it is not installed
    // Where it has several pages: they are where it needs them, the first at linear address `base`, while Cpu::code_key
    // is `key`. Compiled code looks at both.
    u64 base = 0, key = ~u64{0};
    bool dropped = false;
    u32 insns = 0;
    u32 countdown = 0;        // compiled code counts its entries
    u32 group_fails = 0;      // how often accesses that share a probe could not, since
    u64 group_failed_at = 0;  // this count of instructions
    u32 mapping_fails = 0;    // how often the pages were not where the unit needs them
    Module* module;
    std::vector<Entry> entries;  // blocks have their addresses: none is added later
    std::vector<Site> sites;     // so has compiled code
    struct Range {
      u64 first, last;
    };
    std::vector<Range> ranges;  // of code bytes, physical, each within a page
    bool has_entry(u64 pa) const {
      return std::any_of(entries.begin(), entries.end(), [pa](const Entry& e) { return e.pa == pa; });
    }
    // Any of these bytes.
    bool contains(u64 pa, u32 n) const {
      return std::any_of(ranges.begin(), ranges.end(),
                         [&](const Range& r) { return r.first < pa + n && pa <= r.last; });
    }
    std::string text;  // its IR, with Config::verify
  };
  struct Hot {
    u64 pa;
    CodeMode mode;
  };

  // The entry at rip, if there is compiled code; else the block there is one execution closer to having some.
  const Entry* find_entry();
  // The entry of a block at a linear address in the present mapping: `e`, if all pages of its unit are where it needs
  // them, else one of a unit of which that is true, or null.
  Entry* usable(Entry* e, u64 lin);
  bool bind(CompiledUnit& u, u64 base);
  // Compiles what is at rip, where a unit of tier 1 is entered often, together with what it calls.
  void optimise();
  void note_hot(Block& b);
  void parted();
  bool is_pending(u64 pa, CodeMode mode) const;
  void compile_pending();
  // Has units compiled, all of one tier.
  void submit(Units units, const std::vector<Body>& bodies, std::vector<u64> older);
  void install(Module& m);
  void give_up(Module& m);
  void paused(unsigned tier, u64 since);
  // The IR of what begins at an address, ready to be emitted; null if nothing can be compiled there.
  std::unique_ptr<Unit> make_ir(const Hot& at);
  // The same for tier 2, at rip: over all pages that can be looked at now, and whatever units there are.
  std::unique_ptr<Unit> make_wide_ir(u64 lin, u64 pa);
  std::unique_ptr<Unit> ir_of(const Hot& at, const Surroundings& around, u32 max_insns);
  std::shared_ptr<CompiledUnit> make_unit(const Unit& ir, u8 tier) const;
  Body make_body(const Unit& ir, CompiledUnit& u);
  // The best entry there; `below`: of a tier below that.
  Entry* entry_at(u64 pa, CodeMode mode, unsigned below = 3) const;
  // Whether a unit that is not installed yet has it as an entry, or anywhere.
  bool is_awaited_entry(u64 pa, CodeMode mode) const;
  bool is_awaited(u64 pa, CodeMode mode) const;
  template <class F>
  bool any_awaited(u64 pa, CodeMode mode, F f) const;
  bool was_compiled(u64 pa, CodeMode mode) const;
  // The flags as compiled code left them, into Cpu.
  void take_flags();
  // Compiled code has been left between instructions, or `flags_taken` by way of outcome().
  void report(bool flags_taken);
  Ran outcome(u32 leave);
  void attach(Entry& e, Block& b);
  void note_code(const CompiledUnit& u);
  void drop(CompiledUnit& unit);
  // f(CompiledUnit&) for each that is not dropped.
  template <class F>
  void each_unit(F f) const;
  void free_dropped();
  void make_room();
  u64 retired() const { return end_ - c_.jit.budget; }

  Cpu& c_;
  Host& host_;
  Config config_;
  Addresses addresses_;
  std::vector<Hot> pending_;
  u64 pending_since_ = 0;
  bool impatient_ = false;
  std::unordered_map<u32, Units> pages_;  // by physical page: the units with code in it
  std::unordered_map<u32, CompiledUnit*> by_slot_;
  std::vector<std::unique_ptr<Module>> modules_;
  u32 last_number_ = 0;  // of a module
  u32 awaited_ = 0;      // answers that compiled() has yet to get
  Units dropped_;        // one of them may be running
  std::vector<u32> free_slots_;
  std::unordered_set<u64> ungrouped_;  // physical addresses of entries whose units do not share probes
  u64 used_bytes_ = 0;
  u32 used_units_ = 0;  // slots held, those of dropped units in modules that live on among them
  u64 epoch_ = 1;
  bool marking_ = false;
  u64 end_ = 0;  // icount when the budget is spent
  Ran step_outcome_ = Ran::kGo;
  std::shared_ptr<CompiledUnit> ran_last_;
  bool within_string_ = false;  // left where some of a repeated instruction has been done
  u64 reported_ = 0;            // the count of instructions when report() told the host, or compiled code was entered
  Stats stats_;
};

}  // namespace oriel::jit
