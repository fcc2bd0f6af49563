// Which guest instructions a unit is made of: the basic blocks of one page that are reachable from its first entry by
// direct jumps and behind calls.
#pragma once

#include <functional>

#include "jit/ir/ir.h"

namespace oriel::jit {

// What is known of an offset in the page to which a jump of a unit goes.
enum class Target : u8 {
  kNever,  // has not been executed yet: the unit is left there
  kSeen,
  kEntry,      // of this unit too, if it gets there: a hot block
  kElsewhere,  // another unit has its entry there: left as well
};
using TargetOf = std::function<Target(u64 offset)>;

// Fills unit.insns, unit.entries and the control flow of unit.blocks (first_insn, insn_count, term, offset, succ); the
// operations are left to lift(). `page` is the host's view of the 4 KiB page of unit.pa. At most `max_insns`
// instructions. Entries: unit.pa, what target_of says, and where calls return to.
// False when the first entry itself cannot be part of a unit.
bool find_region(const u8* page, unsigned max_insns, const TargetOf& target_of, Unit& unit);

// Orders the blocks so that each comes behind those that dominate it (reverse postorder), leads edges that would make
// the graph irreducible through block 0, drops what is not reachable, and fills checkpoint and longest_path.
void order_blocks(Unit& unit);

}  // namespace oriel::jit
