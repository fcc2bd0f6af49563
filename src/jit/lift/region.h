// Which guest instructions a unit is made of: the basic blocks that are reachable from its first entry by direct jumps
// and calls and behind calls, in the pages that it may have.
#pragma once

#include <functional>

#include "jit/ir/ir.h"

namespace oriel::jit {

// What is known of an address to which control may go.
enum class Target : u8 {
  kNever,  // has not been executed yet: the unit is left there
  kSeen,
  kEntry,      // of this unit too, if it gets there: a hot block
  kElsewhere,  // another unit has its entry there: left as well
};

struct Surroundings {
  // The page at a distance, a multiple of 4096, from the first entry's (0: that itself); false: the unit ends there.
  std::function<bool(s64 at, CodePage& page)> page_at;
  std::function<Target(u64 pa)> target_of;
};

// At most so many pages: they are numbered at side exits (emit.h: kExitPageShift). Their distances fit 32 bits.
constexpr usize kMostPages = 1000;

// Fills unit.pages, unit.insns, unit.entries and the control flow of unit.blocks (first_insn, insn_count, page, term,
// offset, succ); the operations are left to lift(). At most `max_insns` instructions. Entries: unit.pa, what target_of
// says, functions that are called, and where calls return to. False when the first entry itself cannot be part of a
// unit.
bool find_region(const Surroundings& around, unsigned max_insns, Unit& unit);

// Orders the blocks so that each comes behind those that dominate it (reverse postorder), leads edges that would make
// the graph irreducible through block 0, drops what is not reachable, and fills checkpoint and longest_path.
void order_blocks(Unit& unit);

}  // namespace oriel::jit
