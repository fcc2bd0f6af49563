#include "jit/opt/opt.h"

namespace oriel::jit {

namespace {

// Within a block: what is written to a flag or XMM variable and written again before anything can read it.
void drop(IrBlock& b) {
  bool dead[64] = {};
  for (usize n = b.insts.size(); n-- > 0;) {
    Inst& i = b.insts[n];
    if (info(i.op).flags & kLeaves) {
      for (bool& d : dead) d = false;
    } else if (i.op == IrOp::kGet) {
      dead[i.imm] = false;
    } else if (i.op == IrOp::kSet && i.imm >= kVarFlagKind) {
      const u64 var = i.imm;
      if (dead[var]) i = Inst{};
      dead[var] = true;
    }
  }
}

}  // namespace

void drop_dead_sets(Unit& unit) {
  for (IrBlock& b : unit.blocks) drop(b);
}

}  // namespace oriel::jit
