#include "jit/lift/region.h"

#include <algorithm>
#include <deque>
#include <map>

#include "jit/wasm/structure.h"
#include "x86/decode.h"

namespace oriel::jit {

namespace {

constexpr s64 kPageSize = 4096;
constexpr usize kLongest = 15;  // bytes of an instruction

// Control transfers that a unit can have inside itself; the three that leave it differ in whether control comes back,
// and to where it goes. Others end it.
enum class Flow : u8 { kNone, kJump, kBranch, kCall, kCallTo, kGoTo, kOther };

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
    case OP_JMP_Ev_mq:
    case OP_RET_d:
    case OP_RET_q:
    case OP_RET_Iw_d:
    case OP_RET_Iw_q: return Flow::kGoTo;
    default: break;
  }
  if (i.op == OP_UD || i.op == OP_LONG) return Flow::kOther;
  return ends_block(i) && !falls_through(i.op) ? Flow::kOther : Flow::kNone;
}

// A near branch whose operand size truncates the target is left to tier 0.
bool plain_size(const Insn& i, CodeMode mode) { return i.osz == (mode == CodeMode::k64 ? 3 : 2); }

s64 page_start(s64 offset) { return offset & -kPageSize; }

struct Finder {
  const Surroundings& around;
  Unit& unit;
  unsigned max_insns;
  std::map<s64, s32> pages;     // in unit.pages by their distance, or kNoPage
  std::map<s64, Insn> insns;    // by offset from the first page
  std::map<s64, bool> leaders;  // offsets at which a block begins; true: an entry
  std::vector<s64> work;
  std::deque<s64> calls;
  std::map<s64, u32> block_of;  // by the leader's offset

  static constexpr s32 kNoPage = -1;
  // The number of the page of an offset, or kNoPage.
  s32 page_of(s64 offset) {
    const s64 at = page_start(offset);
    const auto [it, fresh] = pages.emplace(at, kNoPage);
    CodePage page;
    const bool near = at == static_cast<s32>(at);
    if (fresh && near && unit.pages.size() < kMostPages && around.page_at(at, page)) {
      page.at = at;
      it->second = static_cast<s32>(unit.pages.size());
      unit.pages.push_back(page);
    }
    return it->second;
  }
  const CodePage& page(s32 n) const { return unit.pages[static_cast<usize>(n)]; }

  void lead(s64 offset, bool entry = false) {
    const s32 p = page_of(offset);
    if (p == kNoPage) return;
    const auto it = leaders.find(offset);
    if (it != leaders.end()) {
      it->second |= entry;
      return;
    }
    if (!leaders.empty()) {
      const Target t = around.target_of(page(p).pa + static_cast<u64>(offset - page(p).at));
      if (t == Target::kNever || t == Target::kElsewhere) return;
      entry |= t == Target::kEntry;
    }
    leaders.emplace(offset, entry);
    work.push_back(offset);
  }

  // Decodes from `at` until control goes elsewhere.
  void trace(s64 at) {
    const s32 p = page_of(at);
    while (insns.size() < max_insns) {
      if (insns.contains(at)) return;
      Insn i;
      const s64 off = at - page(p).at;
      const auto room = static_cast<usize>(std::min<s64>(kPageSize - off, kLongest));
      if (decode(page(p).host + off, room, unit.mode, i) == DecodeStatus::kNeedBytes) {
        if (room == kLongest) return;
        const s32 second = page_of(at + kLongest);
        if (second == kNoPage) return;
        u8 bytes[kLongest];
        std::copy_n(page(p).host + off, room, bytes);
        std::copy_n(page(second).host, kLongest - room, bytes + room);
        if (decode(bytes, kLongest, unit.mode, i) == DecodeStatus::kNeedBytes) return;
      }
      i.off = static_cast<u16>(off);
      const Flow flow = flow_of(i);
      if (flow == Flow::kOther) return;
      if (flow != Flow::kNone && !plain_size(i, unit.mode)) return;
      insns.emplace(at, i);
      const s64 next = at + i.len;
      switch (flow) {
        case Flow::kBranch:
          lead(next + i.disp);
          lead(next);
          return;
        case Flow::kCall: calls.push_back(next + i.disp); [[fallthrough]];
        case Flow::kCallTo: lead(next, true); return;
        case Flow::kJump: lead(next + i.disp); return;
        case Flow::kNone: break;
        default: return;
      }
      if (page_start(next) != page(p).at) return lead(next);
      at = next;
    }
  }

  bool run(s64 entry) {
    lead(entry, true);
    // What is called comes after the rest of the caller.
    for (;;) {
      for (; work.empty() && !calls.empty(); calls.pop_front()) lead(calls.front(), true);
      if (work.empty()) break;
      const s64 at = work.back();
      work.pop_back();
      trace(at);
    }
    if (!insns.contains(entry)) return false;
    unit.blocks.resize(1);
    unit.blocks[0].term = Term::kEnter;
    for (const auto& [at, is_entry] : leaders) {
      if (!insns.contains(at)) continue;
      block_of.emplace(at, static_cast<u32>(unit.blocks.size()));
      unit.blocks.emplace_back();
    }
    unit.entries.push_back(block_of.at(entry));
    for (const auto& [at, n] : block_of) {
      fill(n, at);
      if (leaders.at(at) && at != entry) unit.entries.push_back(n);
    }
    return true;
  }

  // The block at an offset; where there is none, a new one that leaves the unit.
  u32 block_at(s64 offset) {
    const auto it = block_of.find(offset);
    if (it != block_of.end()) return it->second;
    IrBlock exit;
    exit.term = Term::kExit;
    exit.offset = offset;
    unit.blocks.push_back(std::move(exit));
    return static_cast<u32>(unit.blocks.size() - 1);
  }

  void fill(u32 n, s64 at) {
    IrBlock b;
    b.first_insn = static_cast<u32>(unit.insns.size());
    b.page = static_cast<u32>(page_of(at));
    const s64 start = page_start(at);
    for (bool open = true; open;) {
      auto it = insns.find(at);
      if (it == insns.end() || page_start(at) != start) {
        // What comes here was not decoded: over the last page's end, beyond the limit, or for tier 0.
        b.term = Term::kExit;
        b.offset = at;
        break;
      }
      const Insn& i = it->second;
      unit.insns.push_back(i);
      b.insn_count++;
      at += i.len;
      open = false;
      switch (flow_of(i)) {
        case Flow::kNone:
          open = !block_of.contains(at);
          b.term = Term::kJump;
          if (!open) b.succ[0] = block_of.at(at);
          break;
        case Flow::kBranch:
          b.term = Term::kBranch;
          b.succ[0] = block_at(at + i.disp);
          b.succ[1] = block_at(at);
          break;
        case Flow::kJump:
          b.term = Term::kJump;
          b.succ[0] = block_at(at + i.disp);
          break;
        case Flow::kCall:
          if (const auto to = block_of.find(at + i.disp); to != block_of.end()) {
            b.term = Term::kJump;
            b.succ[0] = to->second;
            break;
          }
          b.term = Term::kExit;
          b.offset = at + i.disp;
          break;
        default: b.term = Term::kExitTo;
      }
    }
    unit.blocks[n] = std::move(b);
  }
};

}  // namespace

bool find_region(const Surroundings& around, unsigned max_insns, Unit& unit) {
  Finder f{around, unit, max_insns, {}, {}, {}, {}, {}, {}};
  if (f.page_of(0) == Finder::kNoPage) return false;
  return f.run(static_cast<s64>(unit.pa & (kPageSize - 1)));
}

void order_blocks(Unit& unit) {
  auto enter_at = [&unit](u32 block) {
    const auto it = std::find(unit.entries.begin(), unit.entries.end(), block);
    if (it == unit.entries.end()) return unit.entries.push_back(block), unit.entries.size() - 1;
    return static_cast<usize>(it - unit.entries.begin());
  };
  for (bool changed = true; changed;) {
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
    for (u32& e : unit.entries) e = number[e];

    // A backward edge to a block that does not dominate its source: by way of block 0. The graph is another then, and
    // the order made anew.
    const std::vector<u32> idom = immediate_dominators(unit);
    changed = false;
    for (u32 n = 1; n < unit.blocks.size(); n++) {
      for (unsigned k = 0; k < 2; k++) {
        const u32 to = unit.blocks[n].succ[k];
        if (to == kNoBlock || to > n || to == 0 || dominates(idom, to, n)) continue;
        IrBlock around;
        around.term = Term::kReenter;
        around.offset = static_cast<s64>(enter_at(to));
        around.succ[0] = 0;
        unit.blocks[n].succ[k] = static_cast<u32>(unit.blocks.size());
        unit.blocks.push_back(std::move(around));
        changed = true;
      }
    }
  }
  // Checkpoints, and the longest way between them: backwards, so that each successor is known.
  for (u32 e : unit.entries) unit.blocks[e].checkpoint = true;
  for (u32 n = 1; n < unit.blocks.size(); n++)
    for (u32 s : unit.blocks[n].succ)
      if (s != kNoBlock && s != 0 && s <= n) unit.blocks[s].checkpoint = true;
  for (u32 n = static_cast<u32>(unit.blocks.size()); n-- > 1;) {
    IrBlock& b = unit.blocks[n];
    u32 most = 0;
    for (u32 s : b.succ)
      if (s != kNoBlock && s != 0 && !unit.blocks[s].checkpoint) most = std::max(most, unit.blocks[s].longest_path);
    b.longest_path = b.insn_count + most;
  }
}

}  // namespace oriel::jit
