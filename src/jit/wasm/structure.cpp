#include "jit/wasm/structure.h"

#include <algorithm>

namespace oriel::jit {

std::vector<u32> reverse_postorder(const Unit& unit) {
  std::vector<u32> post;
  std::vector<bool> seen(unit.blocks.size());
  struct Frame {
    u32 block;
    usize next;
  };
  std::vector<Frame> stack{{0, unit.entries.size()}};
  seen[0] = true;
  while (!stack.empty()) {
    Frame& f = stack.back();
    if (f.next == 0) {
      post.push_back(f.block);
      stack.pop_back();
      continue;
    }
    f.next--;
    const u32 s = f.block ? unit.blocks[f.block].succ[f.next] : unit.entries[f.next];
    if (s == kNoBlock || seen[s]) continue;
    seen[s] = true;
    stack.push_back({s, 2});
  }
  std::reverse(post.begin(), post.end());
  return post;
}

std::vector<std::vector<u32>> predecessors(const Unit& unit) {
  const usize n = unit.blocks.size();
  std::vector<std::vector<u32>> preds(n);
  for (u32 b = 0; b < n; b++)
    for (u32 s : unit.blocks[b].succ)
      if (s != kNoBlock && s < n) preds[s].push_back(b);
  return preds;
}

std::vector<u32> immediate_dominators(const Unit& unit) {
  const usize n = unit.blocks.size();
  std::vector<std::vector<u32>> preds = predecessors(unit);
  for (u32 e : unit.entries) preds[e].push_back(0);
  std::vector<u32> idom(n, kNoBlock);
  idom[0] = 0;
  auto meet = [&idom](u32 a, u32 b) {
    while (a != b) {
      while (a > b) a = idom[a];
      while (b > a) b = idom[b];
    }
    return a;
  };
  for (bool changed = true; changed;) {
    changed = false;
    for (u32 b = 1; b < n; b++) {
      u32 to = kNoBlock;
      for (u32 p : preds[b]) {
        if (idom[p] == kNoBlock) continue;
        to = to == kNoBlock ? p : meet(p, to);
      }
      if (idom[b] != to) {
        idom[b] = to;
        changed = true;
      }
    }
  }
  return idom;
}

}  // namespace oriel::jit
