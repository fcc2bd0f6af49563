#include "jit/ir/ir.h"

namespace oriel::jit {

constexpr Type kNone = Type::kNone, kSame = Type::kSame, kI32 = Type::kI32, kI64 = Type::kI64, kF32 = Type::kF32,
               kF64 = Type::kF64, kV128 = Type::kV128;

const IrOpInfo kIrOps[static_cast<usize>(IrOp::kCount)] = {
#define IROP(NAME, TEXT, ARITY, RESULT, WASM32, WASM64, FLAGS) {TEXT, ARITY, RESULT, WASM32, WASM64, FLAGS},
#include "jit/ir/ops.inc"
#undef IROP
};

const char* const kTypeSuffixes[] = {"", ".32", ".64", ".f32", ".f64", ".v128", ""};
const char* const kVarNames[kVarCount] = {"ax",  "cx",  "dx",  "bx",  "sp",  "bp",  "si", "di", "r8", "r9",
                                          "r10", "r11", "r12", "r13", "r14", "r15", "fk", "fa", "fb"};
const char* const kTermNames[] = {"enter", "jump", "branch", "reenter", "exit", "exit_to"};

namespace {
// What a Probe looks at: " write" if the access at hand does, and the range where there is one.
std::string print_range(const Inst& probe) {
  std::string s = probe.imm ? " write" : "";
  if (!probe.imm2) return s;
  s += " range " + std::to_string(probe.imm2 >> 16 & 0xffff) + ":" + std::to_string(probe.imm2 & 0xffff);
  return s + (probe.imm2 >> 32 ? ":w" : "");
}
}  // namespace

std::string print(const Unit& unit) {
  std::string s;
  for (usize n = 0; n < unit.blocks.size(); n++) {
    const IrBlock& b = unit.blocks[n];
    s += "block " + std::to_string(n) + " insns " + std::to_string(b.insn_count);
    if (b.checkpoint) s += " checkpoint " + std::to_string(b.longest_path);
    s += "\n";
    for (usize v = 1; v < b.insts.size(); v++) {
      const Inst& i = b.insts[v];
      if (i.op == IrOp::kNop) continue;
      const IrOpInfo& o = info(i.op);
      s += "  ";
      if (i.result() != Type::kNone) s += "v" + std::to_string(v) + " = ";
      s += o.text;
      if (!(o.flags & kSimd)) s += kTypeSuffixes[static_cast<usize>(i.type)];
      if (i.op == IrOp::kProbe || i.op == IrOp::kLoadAt || i.op == IrOp::kStoreAt)
        s += " size " + std::to_string(1u << i.size);
      if (i.op == IrOp::kGet || i.op == IrOp::kSet)
        s += " " + (i.imm < kVarCount ? kVarNames[i.imm] : "x" + std::to_string(i.imm - kVarXmm));
      else if (i.op == IrOp::kProbe)
        s += print_range(i);
      else if ((o.flags & kLeaf) || i.imm)
        s += " " + std::to_string(i.imm) + (i.imm2 ? ":" + std::to_string(i.imm2) : "");
      const Value operands[3] = {i.a, i.b, i.c};
      for (unsigned k = 0; k < o.arity; k++) s += " v" + std::to_string(operands[k]);
      s += "\n";
    }
    s += std::string("  ") + kTermNames[static_cast<usize>(b.term)];
    if (b.value) s += " v" + std::to_string(b.value);
    if (b.term == Term::kExit) s += " page+" + std::to_string(b.offset);
    if (b.term == Term::kReenter) s += " " + std::to_string(b.offset);
    if (b.term != Term::kReenter)
      for (u32 to : b.succ)
        if (to != kNoBlock) s += " ->" + std::to_string(to);
    if (b.term == Term::kEnter)
      for (u32 to : unit.entries) s += " ->" + std::to_string(to);
    s += "\n";
  }
  return s;
}

}  // namespace oriel::jit
