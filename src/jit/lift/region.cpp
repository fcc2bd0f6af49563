#include "jit/lift/region.h"

#include <algorithm>
#include <map>

#include "jit/wasm/structure.h"
#include "x86/decode.h"

namespace oriel::jit {

namespace {

constexpr s64 kPageSize = 4096;

// Control transfers that a unit can have inside itself. Others end it.
enum class Flow : u8 { kNone, kJump, kBranch, kCall, kCallTo, kJumpTo, kReturn, kOther };

// What ends a block of tier 0 and goes on behind itself is a step in a unit: the unit is left if something changed that
// matters to compiled code, or control went elsewhere (Jit::step()).
bool falls_through(u16 op) {
  switch (op) {
      // clang-format off
    case OP_RDTSC: case OP_RDTSCP: case OP_RDMSR: case OP_WRMSR: case OP_CLI: case OP_STI: case OP_CLTS: case OP_POPF:
    case OP_INVLPG: case OP_SWAPGS: case OP_CLAC: case OP_STAC: case OP_MOV_SwEw: case OP_MOV_CyRy: case OP_IN_ALIb:
    case OP_IN_eAXIb: case OP_OUT_IbAL: case OP_OUT_IbeAX: case OP_IN_ALDX: case OP_IN_eAXDX: case OP_OUT_DXAL:
    case OP_OUT_DXeAX: case OP_INSB: case OP_INSV: case OP_OUTSB: case OP_OUTSV: case OP_LOOPNE_Jb: case OP_LOOPE_Jb:
    case OP_LOOP_Jb: case OP_JCXZ_Jb:
      return true;
    default: return false;
      // clang-format on
  }
}

Flow flow_of(const Insn& i) {
  switch (i.op) {
    // clang-format off
#define CC(NAME) case OP_J##NAME##_Jb: case OP_J##NAME##_Jz:
    CC(O) CC(NO) CC(B) CC(AE) CC(E) CC(NE) CC(BE) CC(A) CC(S) CC(NS) CC(P) CC(NP) CC(L) CC(GE) CC(LE) CC(G)
#undef CC
        // clang-format on
        return Flow::kBranch;
    case OP_JMP_Jb:
    case OP_JMP_Jz: return Flow::kJump;
    case OP_CALL_Jz_d:
    case OP_CALL_Jz_q: return Flow::kCall;
    case OP_CALL_Ev_rd:
    case OP_CALL_Ev_rq:
    case OP_CALL_Ev_md:
    case OP_CALL_Ev_mq: return Flow::kCallTo;
    case OP_JMP_Ev_rd:
    case OP_JMP_Ev_rq:
    case OP_JMP_Ev_md:
    case OP_JMP_Ev_mq: return Flow::kJumpTo;
    case OP_RET_d:
    case OP_RET_q:
    case OP_RET_Iw_d:
    case OP_RET_Iw_q: return Flow::kReturn;
    default: break;
  }
  if (i.op == OP_UD || i.op == OP_LONG) return Flow::kOther;
  return ends_block(i) && !falls_through(i.op) ? Flow::kOther : Flow::kNone;
}

// A near branch whose operand size truncates the target is left to tier 0.
bool plain_size(const Insn& i, CodeMode mode) { return i.osz == (mode == CodeMode::k64 ? 3 : 2); }

struct Finder {
  const u8* page;
  Unit& unit;
  unsigned max_insns;
  std::map<s64, Insn> insns;  // by offset in the page
  std::vector<s64> leaders;   // offsets at which a block begins
  std::vector<s64> work;

  void lead(s64 offset) {
    if (offset < 0 || offset >= kPageSize) return;
    if (std::find(leaders.begin(), leaders.end(), offset) == leaders.end()) {
      leaders.push_back(offset);
      work.push_back(offset);
    }
  }

  // Decodes from `at` until control goes elsewhere.
  void trace(s64 at) {
    while (at < kPageSize && insns.size() < max_insns) {
      if (insns.contains(at)) return;
      Insn i;
      const auto room = static_cast<usize>(std::min<s64>(kPageSize - at, 15));
      if (decode(page + at, room, unit.mode, i) == DecodeStatus::kNeedBytes) return;
      i.off = static_cast<u16>(at);
      const Flow flow = flow_of(i);
      if (flow == Flow::kOther) return;
      if (flow != Flow::kNone && !plain_size(i, unit.mode)) return;
      insns.emplace(at, i);
      const s64 next = at + i.len;
      switch (flow) {
        case Flow::kBranch: lead(next + i.disp); [[fallthrough]];
        case Flow::kCall:
        case Flow::kCallTo: lead(next); return;
        case Flow::kJump: lead(next + i.disp); return;
        case Flow::kNone: break;
        default: return;
      }
      at = next;
    }
  }

  u32 block_at(s64 offset) const {
    auto it = std::lower_bound(leaders.begin(), leaders.end(), offset);
    return it != leaders.end() && *it == offset && insns.contains(offset) ? static_cast<u32>(it - leaders.begin())
                                                                          : kNoBlock;
  }

  void edge(IrBlock& b, unsigned n, s64 offset) {
    b.succ[n] = block_at(offset);
    if (b.succ[n] != kNoBlock) return;
    // An address outside the unit: a block of its own that leaves.
    IrBlock exit;
    exit.first_insn = static_cast<u32>(unit.insns.size());
    exit.term = Term::kExit;
    exit.offset = offset;
    exits.push_back(exit);
    exit_of.push_back({&b - unit.blocks.data(), n});
  }
  std::vector<IrBlock> exits;
  struct Edge {
    std::ptrdiff_t block;
    unsigned n;
  };
  std::vector<Edge> exit_of;

  bool run(s64 entry) {
    lead(entry);
    while (!work.empty()) {
      const s64 at = work.back();
      work.pop_back();
      trace(at);
    }
    if (!insns.contains(entry)) return false;
    std::erase_if(leaders, [this](s64 at) { return !insns.contains(at); });
    std::sort(leaders.begin(), leaders.end());
    unit.blocks.resize(leaders.size());
    for (usize n = 0; n < leaders.size(); n++) fill(unit.blocks[n], leaders[n]);
    for (usize n = 0; n < exits.size(); n++) {
      unit.blocks[static_cast<usize>(exit_of[n].block)].succ[exit_of[n].n] = static_cast<u32>(unit.blocks.size());
      unit.blocks.push_back(exits[n]);
    }
    std::swap(unit.blocks[0], unit.blocks[block_at(entry)]);
    const u32 moved = block_at(entry);
    for (IrBlock& b : unit.blocks)
      for (u32& s : b.succ)
        if (s == moved)
          s = 0;
        else if (s == 0)
          s = moved;
    return true;
  }

  void fill(IrBlock& b, s64 at) {
    b.first_insn = static_cast<u32>(unit.insns.size());
    for (;;) {
      auto it = insns.find(at);
      if (it == insns.end()) {
        // What comes here was not decoded: over the page's end, beyond the limit, or for tier 0.
        b.term = Term::kExit;
        b.offset = at;
        return;
      }
      const Insn& i = it->second;
      unit.insns.push_back(i);
      b.insn_count++;
      at += i.len;
      switch (flow_of(i)) {
        case Flow::kNone: break;
        case Flow::kBranch:
          b.term = Term::kBranch;
          edge(b, 0, at + i.disp);
          edge(b, 1, at);
          return;
        case Flow::kJump:
          b.term = Term::kJump;
          edge(b, 0, at + i.disp);
          return;
        case Flow::kCall:
          b.term = Term::kCall;
          b.offset = at + i.disp;
          edge(b, 0, at);
          return;
        case Flow::kCallTo:
          b.term = Term::kCallTo;
          edge(b, 0, at);
          return;
        default: b.term = Term::kExitTo; return;
      }
      if (block_at(at) != kNoBlock) {
        b.term = Term::kJump;
        b.succ[0] = block_at(at);
        return;
      }
    }
  }
};

}  // namespace

bool find_region(const u8* page, unsigned max_insns, Unit& unit) {
  Finder f{page, unit, max_insns, {}, {}, {}, {}, {}};
  return f.run(static_cast<s64>(unit.pa & (kPageSize - 1)));
}

void order_blocks(Unit& unit) {
  for (;;) {
    const std::vector<u32> order = reverse_postorder(unit);
    std::vector<u32> number(unit.blocks.size(), kNoBlock);
    for (u32 n = 0; n < order.size(); n++) number[order[n]] = n;
    std::vector<IrBlock> blocks;
    blocks.reserve(order.size());
    for (u32 old : order) {
      blocks.push_back(std::move(unit.blocks[old]));
      for (u32& s : blocks.back().succ)
        if (s != kNoBlock) s = number[s];
    }
    unit.blocks = std::move(blocks);

    // A backward edge to a block that does not dominate its source: leave the unit there, and come back by the front
    // door. The exit is a new block, so that the order is made anew.
    const std::vector<u32> idom = immediate_dominators(unit);
    bool changed = false;
    for (u32 n = 0; n < unit.blocks.size(); n++) {
      for (unsigned k = 0; k < 2; k++) {
        const u32 to = unit.blocks[n].succ[k];
        if (to == kNoBlock || to > n || dominates(idom, to, n)) continue;
        IrBlock exit;
        exit.term = Term::kExit;
        exit.offset = unit.insns[unit.blocks[to].first_insn].off;
        unit.blocks[n].succ[k] = static_cast<u32>(unit.blocks.size());
        unit.blocks.push_back(exit);
        changed = true;
      }
    }
    if (!changed) break;
  }
  // Checkpoints, and the longest way between them: backwards, so that each successor is known.
  unit.blocks[0].checkpoint = true;
  for (u32 n = 0; n < unit.blocks.size(); n++) {
    const IrBlock& b = unit.blocks[n];
    for (u32 s : b.succ)
      if (s != kNoBlock && (s <= n || b.term == Term::kCall || b.term == Term::kCallTo))
        unit.blocks[s].checkpoint = true;
  }
  for (u32 n = static_cast<u32>(unit.blocks.size()); n-- > 0;) {
    IrBlock& b = unit.blocks[n];
    u32 most = 0;
    for (u32 s : b.succ)
      if (s != kNoBlock && !unit.blocks[s].checkpoint) most = std::max(most, unit.blocks[s].longest_path);
    b.longest_path = b.insn_count + most;
  }
}

}  // namespace oriel::jit
