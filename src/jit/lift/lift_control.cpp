// Control transfers, the stack, and conditions as values.
#include "cpu/cpu.h"
#include "jit/lift/lifter.h"

namespace oriel::jit {

void Lifter::cmov(unsigned cc) {
  const unsigned size = insn_->osz;
  const Value v = read_e(size);
  const Value old = reg(insn_->reg, size);
  set_reg(insn_->reg, emit(IrOp::kSelect, type_for(size), v, old, condition(cc)), size);
}

void Lifter::setcc(unsigned cc) {
  if (!memory()) return set_reg(insn_->rm, condition(cc), 0);
  const Value host = probe_write(linear(true, 0), 0);
  store_at(host, condition(cc), 0);
}

bool Lifter::insn_control() {
  const Insn& i = *insn_;
  const unsigned word_size = long_ ? 3 : 2;
  if (memory() && !address_ok()) return false;
  switch (i.op) {
#define CC(N, NAME)                                                \
  case OP_J##NAME##_Jb:                                            \
  case OP_J##NAME##_Jz: block_->value = condition(N); return true; \
  case OP_SET##NAME##_Eb_r:                                        \
  case OP_SET##NAME##_Eb_m: setcc(N); return true;                 \
  case OP_CMOV##NAME##_GvEv_rw:                                    \
  case OP_CMOV##NAME##_GvEv_rd:                                    \
  case OP_CMOV##NAME##_GvEv_rq:                                    \
  case OP_CMOV##NAME##_GvEv_mw:                                    \
  case OP_CMOV##NAME##_GvEv_md:                                    \
  case OP_CMOV##NAME##_GvEv_mq: cmov(N); return true;
    // clang-format off
    CC(0, O) CC(1, NO) CC(2, B) CC(3, AE) CC(4, E) CC(5, NE) CC(6, BE) CC(7, A)
    CC(8, S) CC(9, NS) CC(10, P) CC(11, NP) CC(12, L) CC(13, GE) CC(14, LE) CC(15, G)
    // clang-format on
#undef CC
          case OP_JMP_Jb:
  case OP_JMP_Jz: return true;
  case OP_JMP_Ev_rd:
  case OP_JMP_Ev_rq:
  case OP_JMP_Ev_md:
  case OP_JMP_Ev_mq:
    block_->value = read_e(i.osz);
    leave_unless_canonical(block_->value);
    return true;
    case OP_CALL_Jz_d:
    case OP_CALL_Jz_q: push(next_address(), word_size); return true;
    case OP_CALL_Ev_rd:
    case OP_CALL_Ev_rq:
    case OP_CALL_Ev_md:
    case OP_CALL_Ev_mq:
      block_->value = read_e(i.osz);
      leave_unless_canonical(block_->value);
      push(next_address(), word_size);
      return true;
    case OP_RET_d:
    case OP_RET_q:
    case OP_RET_Iw_d:
    case OP_RET_Iw_q: {
      const Value sp = get(kRSP);
      block_->value = load(sp, word_size);
      leave_unless_canonical(block_->value);
      const bool extra = i.op == OP_RET_Iw_d || i.op == OP_RET_Iw_q;
      set(kRSP, bin_c(IrOp::kAdd, word_, sp, (u64{1} << word_size) + (extra ? i.imm & 0xffff : 0)));
      return true;
    }

    case OP_PUSH_Zv_d:
    case OP_PUSH_Zv_q:
      if (i.osz != word_size) return false;
      push(reg(i.rm, word_size), word_size);
      return true;
    case OP_PUSH_Iz_d:
    case OP_PUSH_Iz_q:
    case OP_PUSH_Ibs_d:
    case OP_PUSH_Ibs_q:
      if (i.osz != word_size) return false;
      push(immediate(word_size), word_size);
      return true;
    case OP_PUSH_Ev_rd:
    case OP_PUSH_Ev_rq:
    case OP_PUSH_Ev_md:
    case OP_PUSH_Ev_mq:
      if (i.osz != word_size) return false;
      push(read_e(word_size), word_size);
      return true;
    case OP_POP_Zv_d:
    case OP_POP_Zv_q: {
      if (i.osz != word_size) return false;
      const Value sp = get(kRSP);
      const Value v = load(sp, word_size);
      set(kRSP, bin_c(IrOp::kAdd, word_, sp, u64{1} << word_size));
      set_reg(i.rm, v, word_size);
      return true;
    }
    case OP_LEAVE_d:
    case OP_LEAVE_q: {
      if (i.osz != word_size) return false;
      const Value bp = get(kRBP);
      const Value v = load(bp, word_size);
      set(kRSP, bin_c(IrOp::kAdd, word_, bp, u64{1} << word_size));
      set_reg(kRBP, v, word_size);
      return true;
    }
    default: return false;
  }
}

}  // namespace oriel::jit
