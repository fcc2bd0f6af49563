// One TLB probe for what a block reads and writes at known distances: a stack frame, the fields of a structure.
//
// The first access probes for the whole range: it must lie in one page, and the page be writable if any of them writes.
// Otherwise tier 0 executes the first instruction and goes on (Jit::fill() watches how often that happens). An access
// that only shares the probe of another leaves the unit no more, so flags before it are needed less.
#include <algorithm>
#include <array>

#include "jit/opt/opt.h"

namespace oriel::jit {

namespace {

// How far the accesses of a group may be from one another: the farther, the more often a page ends in between. Stacks
// are worth more, for the same frame is probed again and again.
constexpr s64 kSpan = 64, kStackSpan = 256;

constexpr u32 kVariables = 64;
// What an address is a constant distance from: the value of a variable at the start of the block or behind a step, by
// its number and the step's; zero; the page of the code; any other value.
constexpr u32 kFromZero = kVariables, kFromPage = kVariables + 1, kFromValue = kVariables + 2;

struct Address {
  u64 root;
  s64 offset;
};

struct Group {
  u64 root;
  Value first;
  s64 offset;  // of the first
  s64 low, high;
  bool writes;
  bool shared = false;
};

class Grouper {
 public:
  Grouper(Unit& unit, IrBlock& block) : unit_(unit), b_(block), address_(block.insts.size()) { forget(0); }

  void run() {
    for (Value v = 1; v < b_.insts.size(); v++) {
      Inst& i = b_.insts[v];
      address_[v] = {kFromValue + v, 0};
      switch (i.op) {
        case IrOp::kGet: address_[v] = variable_[i.imm]; break;
        case IrOp::kSet: variable_[i.imm] = address_[i.a]; break;
        case IrOp::kConst: address_[v] = {kFromZero, static_cast<s64>(i.imm)}; break;
        case IrOp::kPage: address_[v] = {kFromPage, 0}; break;
        case IrOp::kAdd:
        case IrOp::kSub: add(v, i); break;
        case IrOp::kProbe: probe(v, i); break;
        case IrOp::kStep:  // anything may be in the registers, and pages elsewhere
          forget(v);
          done_.insert(done_.end(), groups_.begin(), groups_.end());
          groups_.clear();
          break;
        default: break;
      }
    }
    for (const Group& g : done_) finish(g);
    for (const Group& g : groups_) finish(g);
  }

 private:
  // From the value `v` on (0: at the start) nothing is known of the variables.
  void forget(Value v) {
    for (u32 n = 0; n < kVariables; n++) variable_[n] = {u64{v} << 32 | n, 0};
  }

  void add(Value v, const Inst& i) {
    if (i.type != unit_.word()) return;
    const bool subtract = i.op == IrOp::kSub;
    Value base = i.a, k = i.b;
    if (!subtract && b_.insts[k].op != IrOp::kConst) std::swap(base, k);
    if (b_.insts[k].op != IrOp::kConst) return;
    const s64 n = static_cast<s64>(b_.insts[k].imm);
    address_[v] = {address_[base].root, address_[base].offset + (subtract ? -n : n)};
  }

  s64 distance(s64 from, s64 to) const {
    const s64 d = static_cast<s64>(static_cast<u64>(to) - static_cast<u64>(from));
    return unit_.word() == Type::kI64 ? d : static_cast<s32>(d);
  }

  void probe(Value v, Inst& i) {
    const Address at = address_[i.a];
    const s64 bytes = s64{1} << i.size;
    const bool writes = i.imm != 0;
    const s64 most = at.root == kRSP || at.root == kRBP ? kStackSpan : kSpan;
    for (Group& g : groups_) {
      if (g.root != at.root) continue;
      const s64 d = distance(g.offset, at.offset);
      if (d <= -most || d >= most) continue;
      const s64 low = std::min(g.low, d), high = std::max(g.high, d + bytes);
      if (high - low > most) continue;
      g.low = low;
      g.high = high;
      g.writes |= writes;
      g.shared = true;
      Inst shared;
      shared.op = IrOp::kOffset;
      shared.type = Type::kI32;
      shared.guest = i.guest;
      shared.a = g.first;
      shared.imm = static_cast<u64>(d);
      i = shared;
      return;
    }
    groups_.push_back({at.root, v, at.offset, 0, bytes, writes});
  }

  void finish(const Group& g) {
    if (!g.shared) return;
    b_.insts[g.first].imm2 = probe_range(static_cast<u32>(-g.low), static_cast<u32>(g.high - g.low), g.writes);
  }

  Unit& unit_;
  IrBlock& b_;
  std::vector<Address> address_;
  std::array<Address, kVariables> variable_;
  std::vector<Group> groups_, done_;
};

}  // namespace

void group_probes(Unit& unit) {
  for (IrBlock& b : unit.blocks) Grouper(unit, b).run();
}

}  // namespace oriel::jit
