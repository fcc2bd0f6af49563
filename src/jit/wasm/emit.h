// IR to WebAssembly.
#pragma once

#include "jit/ir/ir.h"

namespace oriel::jit {

// Addresses in the linear memory that compiled code uses.
struct Addresses {
  u32 gpr, rip, tlb;  // fields of Cpu; `tlb` holds a pointer
  u32 cpu;            // Cpu itself, for state by offset
  u32 budget, exit;   // fields of JitState
  u32 flag_kind, flag_a, flag_b;
  u32 page;               // linear address of the page that is entered (u64)
  u32 sites, site_bytes;  // the unit's array of Sites, one for each Step
};

// How a unit's function ends; its result. In all cases the registers are in Cpu, the lazy flags and the budget in
// JitState.
enum Leave : u32 {
  kLeaveGo = 0,  // between instructions; Cpu::rip says where
  // Tier 0 executes a guest instruction of the page JitState::page. JitState::exit is its offset there, and shifted by
  // kExitShift how many of its block retired before it.
  kLeaveTier0 = 1,
  kLeaveBudget = 2,  // as kLeaveGo, and fewer instructions may retire than the unit needs at this place
  kLeaveStep = 3,    // a step by tier 0 ended in something that the run loop must look at
  kLeaveCold = 4,    // as kLeaveGo; what is there is not compiled
};

constexpr unsigned kExitShift = 12;

// The functions that a unit calls, by their numbers in the module.
enum Import : u32 { kImportFill, kImportStep, kImportCall, kImportCondition, kImportCommit, kImportSimd, kImportCount };
struct ImportInfo {
  const char* name;
  const char* params;  // 'i' for i32, 'I' for i64, 'V' for v128
  char result = 'i';
};
extern const ImportInfo kImports[kImportCount];

// The body of the unit's function (locals and code), of type () -> i32.
std::vector<u8> emit(const Unit& unit, const Addresses& at);
// A module of such bodies, exported as "0", "1", ...; imports "o" "m" (memory) and the functions.
std::vector<u8> module_of(const std::vector<std::vector<u8>>& bodies);

}  // namespace oriel::jit
