// Guest instructions to IR. The semantics are those of tier 0 (src/cpu), operation for operation, the flags that the
// manual leaves undefined included: every tier must give the same state.
#pragma once

#include "jit/ir/ir.h"

namespace oriel::jit {

// Fills the operations of every block of `unit`, whose blocks are in order (order_blocks()).
void lift(Unit& unit);

}  // namespace oriel::jit
