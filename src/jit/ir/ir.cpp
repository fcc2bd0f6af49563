#include "jit/ir/ir.h"

namespace oriel::jit {

constexpr Type kNone = Type::kNone, kSame = Type::kSame, kI32 = Type::kI32, kI64 = Type::kI64, kF32 = Type::kF32,
               kF64 = Type::kF64, kV128 = Type::kV128;

const IrOpInfo kIrOps[static_cast<usize>(IrOp::kCount)] = {
#define IROP(NAME, TEXT, ARITY, RESULT, WASM32, WASM64, FLAGS) {TEXT, ARITY, RESULT, WASM32, WASM64, FLAGS},
#include "jit/ir/ops.inc"
#undef IROP
};

std::string print(const Unit& unit) {
  static const char* const types[] = {"", ".32", ".64", ".f32", ".f64", ".v128", ""};
  static const char* const vars[kVarCount] = {"ax",  "cx",  "dx",  "bx",  "sp",  "bp",  "si", "di", "r8", "r9",
                                              "r10", "r11", "r12", "r13", "r14", "r15", "fk", "fa", "fb"};
  static const char* const terms[] = {"enter", "jump", "branch", "reenter", "exit", "exit_to"};
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
      if (!(o.flags & kSimd)) s += types[static_cast<usize>(i.type)];
      if (i.op == IrOp::kProbe || i.op == IrOp::kLoadAt || i.op == IrOp::kStoreAt)
        s += " size " + std::to_string(1u << i.size);
      if (i.op == IrOp::kGet || i.op == IrOp::kSet)
        s += " " + (i.imm < kVarCount ? vars[i.imm] : "x" + std::to_string(i.imm - kVarXmm));
      else if ((o.flags & kLeaf) || i.imm)
        s += " " + std::to_string(i.imm) + (i.imm2 ? ":" + std::to_string(i.imm2) : "");
      const Value operands[3] = {i.a, i.b, i.c};
      for (unsigned k = 0; k < o.arity; k++) s += " v" + std::to_string(operands[k]);
      s += "\n";
    }
    s += std::string("  ") + terms[static_cast<usize>(b.term)];
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
