// The shape of a unit's control flow graph, for WebAssembly's structured control flow.
#pragma once

#include "jit/ir/ir.h"

namespace oriel::jit {

// Block numbers in reverse postorder, 0 first; unreachable ones are left out.
std::vector<u32> reverse_postorder(const Unit& unit);

// By block, where control comes from but for block 0's ways to the entries.
std::vector<std::vector<u32>> predecessors(const Unit& unit);

// For blocks that are in reverse postorder. Block 0's is itself. Cooper, Harvey, Kennedy: "A Simple, Fast Dominance
// Algorithm" (2001).
std::vector<u32> immediate_dominators(const Unit& unit);

inline bool dominates(const std::vector<u32>& idom, u32 a, u32 b) {
  while (b > a) b = idom[b];
  return a == b;
}

}  // namespace oriel::jit
