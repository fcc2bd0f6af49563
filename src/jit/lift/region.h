// Which guest instructions a unit is made of: the basic blocks of one page that are reachable from its entry by direct
// jumps and behind calls.
#pragma once

#include "jit/ir/ir.h"

namespace oriel::jit {

// Fills unit.insns and the control flow of unit.blocks (first_insn, insn_count, term, offset, succ); the operations are
// left to lift(). `page` is the host's view of the 4 KiB page of unit.pa. At most `max_insns` instructions.
// False when the entry itself cannot be part of a unit.
bool find_region(const u8* page, unsigned max_insns, Unit& unit);

// Orders the blocks so that each comes behind those that dominate it (reverse postorder), turns edges that would make
// the graph irreducible into exits, drops what is not reachable, and fills checkpoint and longest_path.
void order_blocks(Unit& unit);

}  // namespace oriel::jit
