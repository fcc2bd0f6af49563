// The compiled tiers: which code is hot, what was made of it, and running it. One object beside each Cpu, where the
// host has a WebAssembly engine that compiles while the machine runs (host.h: compile()).
//
// A unit is compiled for a physical address and a code mode, like a block of tier 0, and may be entered at its first
// instruction only. It leaves in the ways of jit::Leave; calls of the guest become calls of the engine (call()), so
// that a return finds its caller's unit still there.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "cpu/blocks.h"
#include "host/host.h"
#include "jit/wasm/emit.h"

namespace oriel::jit {

struct Config {
  u32 threshold = 50;      // entries of a block before it is compiled
  u32 max_insns = 100;     // guest instructions in a unit
  u32 batch = 32;          // units compiled together, at most
  u64 max_wait = 200'000;  // retired instructions that a hot block waits for others to be compiled with it
};

// A guest instruction of a unit that tier 0 executes inside it.
struct Site {
  Insn insn;      // `off` is its offset in the page
  u32 executed;   // instructions of its block before it
  u64 count = 0;  // how often
};

class Jit final : public CompiledCode {
 public:
  struct Stats {
    u64 units_total = 0, insns_total = 0, bytes_total = 0, modules_total = 0, dropped_total = 0, refused_total = 0;
    u64 compile_ns_total = 0, enters_total = 0, steps_total = 0, leaves_total = 0, fills_total = 0, calls_total = 0,
        cold_total = 0, conditions_total = 0, simd_calls_total = 0;
  };

  Jit(Cpu& cpu, Host& host, const Config& config);
  ~Jit() override;

  // CompiledCode
  Ran run(Block& b, u64 limit) override;
  u64 code_written(u64 pa, u32 n) override;
  void block_dropped(Block& b) override;
  void block_added(Block& b) override;
  void blocks_flushed() override;
  void all_dropped() override;

  // Called by compiled code (emit.h: Import).
  u32 fill(u64 lin, u32 size_and_write);
  u32 step(Site* site, u64 page);
  u32 call(u64 return_to);
  u32 condition(u32 kind, u64 a, u64 b, u32 cc);
  u32 commit(u32 kind, u64 a, u64 b);
  V128 simd(u32 what, V128 a, V128 b);

  std::string stats_json() const;

 private:
  struct CompiledUnit {
    u64 pa;
    CodeMode mode;
    Block* block;
    u32 slot;
    std::vector<Site> sites;  // compiled code has their addresses: none is added later
    struct Range {
      u16 first, last;
    };
    std::vector<Range> ranges;  // of code bytes in the page
  };
  struct Entry {
    u64 pa;
    CodeMode mode;
  };

  // The block at rip if it has a unit; else it is one entry closer to having one.
  Block* find_unit();
  void note_hot(Block& b);
  void compile_pending();
  // The IR of what begins at an address, ready to be emitted; null if nothing can be compiled there.
  std::unique_ptr<Unit> make_unit(const Entry& e) const;
  // The flags as compiled code left them, into Cpu.
  void take_flags();
  u32 run_unit(Block& b);
  Ran outcome(u32 leave);
  void attach(CompiledUnit* u, Block& b);
  void note_code(const CompiledUnit& u);
  void drop(CompiledUnit* u);
  u64 retired() const { return end_ - c_.jit.budget; }

  Cpu& c_;
  Host& host_;
  Config config_;
  Addresses addresses_;
  std::vector<Entry> pending_;
  u64 pending_since_ = 0;
  std::unordered_map<u32, std::vector<std::unique_ptr<CompiledUnit>>> pages_;
  std::vector<std::unique_ptr<CompiledUnit>> dropped_;  // may still be on the engine's stack
  u64 end_ = 0;                                         // icount when the budget is spent
  u32 depth_ = 0;                                       // calls of the guest inside one another
  Ran step_outcome_ = Ran::kGo;
  Stats stats_;
};

}  // namespace oriel::jit
