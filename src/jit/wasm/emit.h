// IR to WebAssembly.
#pragma once

#include "jit/ir/ir.h"

namespace oriel::jit {

// Addresses in the linear memory that compiled code uses.
struct Addresses {
  u32 gpr, rip, tlb;  // fields of Cpu; `tlb` holds a pointer
  // The unit's own 64-bit words, where it has more than one page: it may be entered while Cpu::code_key is `key`, with
  // its first page at `base`.
  u32 key, base;
  u32 cpu;                        // Cpu itself, for state by offset
  u32 budget, exit, entry, page;  // fields of JitState
  u32 flag_kind, flag_a, flag_b, left_base;
  u32 countdown;          // of entries, at whose 0 the unit is left (kLeaveHot); 0: none
  u32 jumps;              // BlockCache::jumps(); 0: units do not go on to one another by themselves
  u32 sites, site_bytes;  // the unit's array of Sites, one for each Step
};

// BlockCache::Jump::code: the slot in the table of functions, shifted, and the number of the entry in the unit.
constexpr unsigned kSlotShift = 12;

// How a unit's function ends; its result. In all cases the registers are in Cpu, the lazy flags and the budget in
// JitState. It is entered in the same state, with Cpu::rip the entry's address.
enum Leave : u32 {
  kLeaveGo = 0,  // between instructions; Cpu::rip says where. Not in the jump cache as compiled
  // Tier 0 executes a guest instruction. JitState::exit is its offset in its page, shifted by kExitShift how many of
  // its block retired before it, and by kExitPageShift the page's number in the unit; JitState::base is the first
  // page's linear address.
  kLeaveTier0 = 1,
  kLeaveBudget = 2,  // as kLeaveGo, and fewer instructions may retire than the unit needs at this place
  kLeaveStep = 3,    // a step by tier 0 ended in something that the run loop must look at
  kLeaveHot = 4,     // nothing was done: Addresses::countdown came to 0
};

constexpr unsigned kExitShift = 12, kExitPageShift = 22;

// The second argument of `fill`: how many bytes are looked at, less 1, whether the access at hand writes or any of them
// may, and whether there are more than the access at hand (group_probes()).
enum Fill : u32 { kFillBytes = 0xfff, kFillWrite = 1 << 12, kFillAnyWrite = 1 << 13, kFillRange = 1 << 14 };

// The functions that a unit calls, by their numbers in the module.
enum Import : u32 {
  kImportFill,
  kImportStep,
  kImportCondition,
  kImportCommit,
  kImportSimd,
  kImportString,
  kImportX87Add,
  kImportX87Mul,
  kImportX87Div,
  kImportX87Load,
  kImportX87Store,
  kImportX87Compare,
  kImportGo,
  kImportCount
};
struct ImportInfo {
  const char* name;
  const char* params;  // 'i' for i32, 'I' for i64, 'V' for v128
  char result = 'i';
};
extern const ImportInfo kImports[kImportCount];

// The body of the unit's function, of type () -> i32.
struct Body {
  std::vector<u8> bytes;   // locals and code
  std::vector<u32> hints;  // where the unlikely branches are, in ascending order
};
Body emit(const Unit& unit, const Addresses& at);
// A module of such bodies, exported as "0", "1", ...; imports "o" "m" (memory) and the functions. `chain`: kImportGo is
// one of them.
std::vector<u8> module_of(const std::vector<Body>& bodies, bool chain);
// The module that makes kImportGo and alone imports "o" "t" (the table of functions): V8 copies an imported table into
// each instance. go(lin), which units call last of all, goes on to the unit that the jump cache knows at `lin`, or
// returns kLeaveGo.
std::vector<u8> chain_module(const Addresses& at);

}  // namespace oriel::jit
