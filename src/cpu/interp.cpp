// Tier 0: the block loop, event handling between instructions, and the hot integer instructions in
// one switch. Everything else goes through kExec.
#include <algorithm>

#include "cpu/alu.h"
#include "cpu/blocks.h"
#include "cpu/exec.h"

namespace oriel {

// Between instructions: reset-like conditions, debug traps, NMI, INTR (SDM Vol. 3, table 6-2).
// `single` becomes true when exactly one instruction is to be executed next.
Cpu::EventAction Cpu::handle_events(bool& single) {
  single = false;
  if (events & kEvShutdown) return EventAction::kShutdown;
  if (events & kEvExit) {
    events &= ~static_cast<u32>(kEvExit);
    return EventAction::kExit;
  }
  const bool shadow = events & kEvShadow, debug_held = events & kEvMovSs;
  // RF in the image that a trap or interrupt between the iterations of a REP pushes (SDM Vol. 3, 17.3.1.1).
  const u32 resume = events & kEvRep ? kRF : 0;
  events &= ~static_cast<u32>(kEvShadow | kEvMovSs | kEvRep);
  if (debug_held) {
    single = true;
    return EventAction::kGo;
  }
  if (events & kEvDebug) {
    events &= ~static_cast<u32>(kEvDebug);
    events &= ~static_cast<u32>(kEvHalt);
    if (pending_dr6) {
      fault_rip = rip;
      rflags |= resume;
      raise(kDB);
      deliver_exception();
      return EventAction::kAgain;
    }
  }
  if ((events & kEvNmi) && !nmi_blocked && !shadow && svm.gif) {
    if (intercepts(kSvmNmi)) {
      deliver_exception();
      return EventAction::kAgain;
    }
    events &= ~static_cast<u32>(kEvNmi | kEvHalt);
    nmi_blocked = true;
    stats.interrupts++;
    fault_rip = rip;
    rflags |= resume;
    if (!interrupt(kNMI, IntKind::kExternal, false, 0)) deliver_exception();
    return EventAction::kAgain;
  }
  const u32 intr_flags = svm.guest && svm.v_intr_masking ? svm.host.rflags : rflags;
  if ((events & kEvIntr) && (intr_flags & kIF) && !shadow && svm.gif) {
    if (intercepts(kSvmIntr)) {
      deliver_exception();
      return EventAction::kAgain;
    }
    events &= ~static_cast<u32>(kEvHalt);
    stats.interrupts++;
    fault_rip = rip;
    rflags |= resume;
    if (!interrupt(bus.interrupt_acknowledge(), IntKind::kExternal, false, 0)) deliver_exception();
    return EventAction::kAgain;
  }
  if ((events & kEvVintr) && (rflags & kIF) && !shadow && (svm.v_ignore_tpr || svm.v_priority > svm.v_tpr)) {
    if (intercepts(kSvmVintr)) {
      deliver_exception();
      return EventAction::kAgain;
    }
    events &= ~static_cast<u32>(kEvVintr | kEvHalt);
    svm.v_irq = false;
    fault_rip = rip;
    rflags |= resume;
    if (!interrupt(svm.v_vector, IntKind::kExternal, false, 0)) deliver_exception();
    return EventAction::kAgain;
  }
  if (events & kEvHalt) return EventAction::kHalted;
  single = shadow;
  if (events & kEvTrap) {
    single = true;
    // Instruction breakpoints are faults before the instruction, once per RF.
    if ((dr[7] & 0xff) && !(rflags & kRF)) {
      u64 lin = (seg[kCS].lin + rip) & lin_mask;
      for (unsigned i = 0; i < 4; i++) {
        if (!(dr[7] >> (2 * i) & 3) || (dr[7] >> (16 + 4 * i) & 3) != 0 || dr[i] != lin) continue;
        pending_dr6 |= 1u << i;
      }
      if (pending_dr6) {
        fault_rip = rip;
        rflags |= kRF;  // the pushed image has RF set, so that the handler can return to it
        raise(kDB);
        deliver_exception();
        return EventAction::kAgain;
      }
    }
  }
  return EventAction::kGo;
}

RunResult Cpu::run(u64 limit) {
  u32 spins = 0;
  for (;;) {
    bool single = false;
    const u32 held = events & (kEvShadow | kEvMovSs | kEvRep);
    if (ORIEL_UNLIKELY(events != 0)) {
      switch (handle_events(single)) {
        case EventAction::kGo: break;
        case EventAction::kAgain:
          if (++spins > max_spins) return RunResult::kBudget;
          continue;
        case EventAction::kHalted: return RunResult::kHalted;
        case EventAction::kExit: return RunResult::kExit;
        case EventAction::kShutdown: return RunResult::kShutdown;
      }
    }
    if (icount >= limit) {
      events |= held;  // for the next instruction, which has not come yet
      return RunResult::kBudget;
    }
    step_trap = rflags & kTF;
    bool rf = rflags & kRF;
    Exit e = execute(single ? icount + 1 : limit);
    if (e != Exit::kNormal) {
      if (e == Exit::kFault) {
        stats.exceptions++;
        deliver_exception();
      } else {
        events |= kEvRep;
        if (step_trap) {
          pending_dr6 |= kDr6BS;
          raise_event(kEvDebug);
        }
      }
      if (++spins > max_spins) return RunResult::kBudget;
    } else if (single) {
      if (rf) rflags &= ~static_cast<u32>(kRF);
      // MOV SS loses its own single-step trap (SDM Vol. 3, 6.8.3); what else is due waits.
      if (step_trap && !(events & kEvMovSs)) {
        pending_dr6 |= kDr6BS;
        raise_event(kEvDebug);
      }
      update_mode();
    }
  }
}

// ---- the main loop -----------------------------------------------------------------------------

// Instructions in the switch are compiled twice from one text. kFast: the loop over blocks, which calls nothing, so
// that a compiler (V8's above all, which saves every register around a call that it cannot prove cold) keeps its state
// in registers; whatever needs a call makes it leave at the instruction. Not kFast: that one instruction, with every
// check.
#define FAULT goto leave
#define RIP (c.block_rip + ip->off)
#define NEXT (c.block_rip + ip->off + ip->len)
#define EA()                                                                                            \
  ((ORIEL_UNLIKELY(ip->base == kRipBase) ? (c.gpr[kRipBase] = NEXT, 0) : 0),                            \
   (c.gpr[ip->base] + (c.gpr[ip->index] << ip->scale) + static_cast<u64>(static_cast<s64>(ip->disp))) & \
       kAddrMask[ip->asz])

// clang-format off
// One case per size of a V or VRM form: BODY(T) with T the operand type.
#define CASES_V(ID, BODY)                   \
  case OP_##ID##_w: { BODY(u16) } break;    \
  case OP_##ID##_d: { BODY(u32) } break;    \
  case OP_##ID##_q: { BODY(u64) } break;
#define CASES_VR(ID, BODY)                  \
  case OP_##ID##_rw: { BODY(u16) } break;   \
  case OP_##ID##_rd: { BODY(u32) } break;   \
  case OP_##ID##_rq: { BODY(u64) } break;
#define CASES_VM(ID, BODY)                  \
  case OP_##ID##_mw: { BODY(u16) } break;   \
  case OP_##ID##_md: { BODY(u32) } break;   \
  case OP_##ID##_mq: { BODY(u64) } break;
// Two forms with the same bodies (aliases; Iz and Ibs, whose immediate is already extended).
#define CASES2_VR(A, B, BODY)                                 \
  case OP_##A##_rw: case OP_##B##_rw: { BODY(u16) } break;    \
  case OP_##A##_rd: case OP_##B##_rd: { BODY(u32) } break;    \
  case OP_##A##_rq: case OP_##B##_rq: { BODY(u64) } break;
#define CASES2_VM(A, B, BODY)                                 \
  case OP_##A##_mw: case OP_##B##_mw: { BODY(u16) } break;    \
  case OP_##A##_md: case OP_##B##_md: { BODY(u32) } break;    \
  case OP_##A##_mq: case OP_##B##_mq: { BODY(u64) } break;

#define REG(T) get_r<T>(c, ip->reg)
#define RM(T) get_r<T>(c, ip->rm)
#define IMM(T) static_cast<T>(ip->imm)
#define READ(T, v, s_, off)                                                     \
  T v;                                                                           \
  if constexpr (kFast) {                                                         \
    const u8* from_ = c.fast_read<T>(s_, off);                                   \
    if (ORIEL_UNLIKELY(!from_)) FAULT;                                           \
    v = load<T>(from_);                                                          \
  } else if (!c.read<T>(s_, off, v)) FAULT
#define WRITE(T, s_, off, v)                                                     \
  if constexpr (kFast) {                                                         \
    u8* to_ = c.fast_write<T>(s_, off);                                          \
    if (ORIEL_UNLIKELY(!to_)) FAULT;                                             \
    store<T>(to_, v);                                                            \
  } else if (!c.write<T>(s_, off, v)) FAULT
#define LOAD(T, v) READ(T, v, ip->seg, EA())
#define STORE(T, v) WRITE(T, ip->seg, EA(), v)
#define RMW(T, v)                                                                \
  T v;                                                                           \
  [[maybe_unused]] u8* place = nullptr;                                          \
  if constexpr (kFast) {                                                         \
    place = c.fast_write<T>(ip->seg, EA());                                      \
    if (ORIEL_UNLIKELY(!place)) FAULT;                                           \
    v = load<T>(place);                                                          \
  } else if (!c.rmw_begin<T>(ip->seg, EA(), v)) FAULT
#define COMMIT(T, v)                                                             \
  do {                                                                           \
    if constexpr (kFast) store<T>(place, v);                                     \
    else c.rmw_commit<T>(v);                                                     \
  } while (0)

#define JUMP_REL()                                                                                                  \
  do {                                                                                                              \
    const u64 to = (NEXT + static_cast<u64>(static_cast<s64>(ip->disp))) & kAddrMask[ip->osz];              \
    if (ORIEL_UNLIKELY(!c.target_ok(to))) goto bad_target;                                                          \
    rip = to;                                                                                                       \
    ip++;                                                                                                           \
    goto done;                                                                                                      \
  } while (0)

// clang-format on

namespace {
constexpr u64 kAddrMask[4] = {0xffff, 0xffff, 0xffffffff, ~u64{0}};
}

namespace {

// How the switch was left. The instruction is at c.ip, the block at c.block_rip.
enum class Left : u8 {
  kDone,   // kFast: an event is due or the limit reached, between instructions, at c.rip
  kBlock,  // kFast: the block at c.rip must be found with a call
  kHot,    // kFast: the compiled tiers are asked about the block at c.rip
  kHere,   // kFast: this instruction needs a call; else it raised an exception
  kNext,   // not kFast: the instruction is done, the next one follows
  kJump,   // not kFast: it is done, c.rip is where to go on
};

// One loop on purpose, and entered at its top only: an inner loop would get its invariants anew for each block.
template <bool kFast>
Left run_switch([[maybe_unused]] Cpu& cpu, [[maybe_unused]] u64 limit) {
  Cpu& c = ORIEL_THE_CPU(cpu);
  const Insn* ip = c.ip;
  u64 rip;
  Block* b;
  bool taken;
  for (;;) {
    // clang-format off
      switch (ip->op) {
#define BIN_RR(T) set_r<T>(c, ip->rm, FN::op<T>(c, RM(T), REG(T)));
#define BIN_RR2(T) set_r<T>(c, ip->reg, FN::op<T>(c, REG(T), RM(T)));
#define BIN_RI(T) set_r<T>(c, ip->rm, FN::op<T>(c, RM(T), IMM(T)));
#define BIN_MR(T)  \
  RMW(T, v);       \
  COMMIT(T, FN::op<T>(c, v, REG(T)));
#define BIN_MI(T)  \
  RMW(T, v);       \
  COMMIT(T, FN::op<T>(c, v, IMM(T)));
#define BIN_RM(T)  \
  LOAD(T, v);      \
  set_r<T>(c, ip->reg, FN::op<T>(c, REG(T), v));
#define BIN_AI(T) set_r<T>(c, kRAX, FN::op<T>(c, get_r<T>(c, kRAX), IMM(T)));

#define ALU(NAME, FUNC)                                                                        \
  case OP_##NAME##_EbGb_r: { using FN = FUNC; BIN_RR(u8) } break;                              \
  case OP_##NAME##_EbGb_m: { using FN = FUNC; BIN_MR(u8) } break;                              \
  case OP_##NAME##_GbEb_r: { using FN = FUNC; BIN_RR2(u8) } break;                             \
  case OP_##NAME##_GbEb_m: { using FN = FUNC; BIN_RM(u8) } break;                              \
  case OP_##NAME##_ALIb: { using FN = FUNC; BIN_AI(u8) } break;                                \
  case OP_##NAME##_EbIb_r: case OP_##NAME##_EbIb82_r: { using FN = FUNC; BIN_RI(u8) } break;   \
  case OP_##NAME##_EbIb_m: case OP_##NAME##_EbIb82_m: { using FN = FUNC; BIN_MI(u8) } break;   \
  ALU_SIZES(NAME, FUNC, u16, w) ALU_SIZES(NAME, FUNC, u32, d) ALU_SIZES(NAME, FUNC, u64, q)
#define ALU_SIZES(NAME, FUNC, T, S)                                                                    \
  case OP_##NAME##_EvGv_r##S: { using FN = FUNC; BIN_RR(T) } break;                                    \
  case OP_##NAME##_EvGv_m##S: { using FN = FUNC; BIN_MR(T) } break;                                    \
  case OP_##NAME##_GvEv_r##S: { using FN = FUNC; BIN_RR2(T) } break;                                   \
  case OP_##NAME##_GvEv_m##S: { using FN = FUNC; BIN_RM(T) } break;                                    \
  case OP_##NAME##_eAXIz_##S: { using FN = FUNC; BIN_AI(T) } break;                                    \
  case OP_##NAME##_EvIz_r##S: case OP_##NAME##_EvIbs_r##S: { using FN = FUNC; BIN_RI(T) } break;       \
  case OP_##NAME##_EvIz_m##S: case OP_##NAME##_EvIbs_m##S: { using FN = FUNC; BIN_MI(T) } break;
        ALU(ADD, AluAdd)
        ALU(OR, AluOr)
        ALU(ADC, AluAdc)
        ALU(SBB, AluSbb)
        ALU(AND, AluAnd)
        ALU(SUB, AluSub)
        ALU(XOR, AluXor)
#undef ALU
#undef ALU_SIZES

        // CMP and TEST write flags only.
#define CMP_RR(T) AluSub::op<T>(c, RM(T), REG(T));
#define CMP_RR2(T) AluSub::op<T>(c, REG(T), RM(T));
#define CMP_RI(T) AluSub::op<T>(c, RM(T), IMM(T));
#define CMP_AI(T) AluSub::op<T>(c, get_r<T>(c, kRAX), IMM(T));
#define CMP_MR(T) LOAD(T, v); AluSub::op<T>(c, v, REG(T));
#define CMP_RM(T) LOAD(T, v); AluSub::op<T>(c, REG(T), v);
#define CMP_MI(T) LOAD(T, v); AluSub::op<T>(c, v, IMM(T));
        case OP_CMP_EbGb_r: { CMP_RR(u8) } break;
        case OP_CMP_EbGb_m: { CMP_MR(u8) } break;
        case OP_CMP_GbEb_r: { CMP_RR2(u8) } break;
        case OP_CMP_GbEb_m: { CMP_RM(u8) } break;
        case OP_CMP_ALIb: { CMP_AI(u8) } break;
        case OP_CMP_EbIb_r: case OP_CMP_EbIb82_r: { CMP_RI(u8) } break;
        case OP_CMP_EbIb_m: case OP_CMP_EbIb82_m: { CMP_MI(u8) } break;
        CASES_VR(CMP_EvGv, CMP_RR)
        CASES_VM(CMP_EvGv, CMP_MR)
        CASES_VR(CMP_GvEv, CMP_RR2)
        CASES_VM(CMP_GvEv, CMP_RM)
        CASES_V(CMP_eAXIz, CMP_AI)
        CASES2_VR(CMP_EvIz, CMP_EvIbs, CMP_RI)
        CASES2_VM(CMP_EvIz, CMP_EvIbs, CMP_MI)
#define TEST_RR(T) AluAnd::op<T>(c, RM(T), REG(T));
#define TEST_RI(T) AluAnd::op<T>(c, RM(T), IMM(T));
#define TEST_AI(T) AluAnd::op<T>(c, get_r<T>(c, kRAX), IMM(T));
#define TEST_MR(T) LOAD(T, v); AluAnd::op<T>(c, v, REG(T));
#define TEST_MI(T) LOAD(T, v); AluAnd::op<T>(c, v, IMM(T));
        case OP_TEST_EbGb_r: { TEST_RR(u8) } break;
        case OP_TEST_EbGb_m: { TEST_MR(u8) } break;
        case OP_TEST_ALIb: { TEST_AI(u8) } break;
        case OP_TEST_EbIb_r: case OP_TEST_EbIb1_r: { TEST_RI(u8) } break;
        case OP_TEST_EbIb_m: case OP_TEST_EbIb1_m: { TEST_MI(u8) } break;
        CASES_VR(TEST_EvGv, TEST_RR)
        CASES_VM(TEST_EvGv, TEST_MR)
        CASES_V(TEST_eAXIz, TEST_AI)
        CASES2_VR(TEST_EvIz, TEST_EvIz1, TEST_RI)
        CASES2_VM(TEST_EvIz, TEST_EvIz1, TEST_MI)

        // One-operand arithmetic.
#define UN_R(T) set_r<T>(c, ip->rm, FN::op<T>(c, RM(T)));
#define UN_M(T) RMW(T, v); COMMIT(T, FN::op<T>(c, v));
#define UNARY(NAME, FUNC)                                              \
  case OP_##NAME##_Eb_r: { using FN = FUNC; UN_R(u8) } break;          \
  case OP_##NAME##_Eb_m: { using FN = FUNC; UN_M(u8) } break;          \
  case OP_##NAME##_Ev_rw: { using FN = FUNC; UN_R(u16) } break;        \
  case OP_##NAME##_Ev_rd: { using FN = FUNC; UN_R(u32) } break;        \
  case OP_##NAME##_Ev_rq: { using FN = FUNC; UN_R(u64) } break;        \
  case OP_##NAME##_Ev_mw: { using FN = FUNC; UN_M(u16) } break;        \
  case OP_##NAME##_Ev_md: { using FN = FUNC; UN_M(u32) } break;        \
  case OP_##NAME##_Ev_mq: { using FN = FUNC; UN_M(u64) } break;
        UNARY(INC, AluInc)
        UNARY(DEC, AluDec)
        UNARY(NOT, AluNot)
        UNARY(NEG, AluNeg)
#define INC_Z(T) set_r<T>(c, ip->rm, AluInc::op<T>(c, RM(T)));
#define DEC_Z(T) set_r<T>(c, ip->rm, AluDec::op<T>(c, RM(T)));
        CASES_V(INC_Zv, INC_Z)
        CASES_V(DEC_Zv, DEC_Z)

        // Shifts.
#define SH_R(T) set_r<T>(c, ip->rm, FN::op<T>(c, RM(T), COUNT));
#define SH_M(T) RMW(T, v); COMMIT(T, FN::op<T>(c, v, COUNT));
#define SHIFT1(ID, FUNC, CNT)                                                             \
  case OP_##ID##_rw: { using FN = FUNC; const u8 COUNT = CNT; SH_R(u16) } break;          \
  case OP_##ID##_rd: { using FN = FUNC; const u8 COUNT = CNT; SH_R(u32) } break;          \
  case OP_##ID##_rq: { using FN = FUNC; const u8 COUNT = CNT; SH_R(u64) } break;          \
  case OP_##ID##_mw: { using FN = FUNC; const u8 COUNT = CNT; SH_M(u16) } break;          \
  case OP_##ID##_md: { using FN = FUNC; const u8 COUNT = CNT; SH_M(u32) } break;          \
  case OP_##ID##_mq: { using FN = FUNC; const u8 COUNT = CNT; SH_M(u64) } break;
#define SHIFT8(ID, FUNC, CNT)                                                             \
  case OP_##ID##_r: { using FN = FUNC; const u8 COUNT = CNT; SH_R(u8) } break;            \
  case OP_##ID##_m: { using FN = FUNC; const u8 COUNT = CNT; SH_M(u8) } break;
#define SHIFT(NAME, FUNC)                                \
  SHIFT1(NAME##_EvIb, FUNC, static_cast<u8>(ip->imm))    \
  SHIFT1(NAME##_Ev1, FUNC, 1)                            \
  SHIFT1(NAME##_EvCL, FUNC, c.get8(kRCX * 8))            \
  SHIFT8(NAME##_EbIb, FUNC, static_cast<u8>(ip->imm))    \
  SHIFT8(NAME##_Eb1, FUNC, 1)                            \
  SHIFT8(NAME##_EbCL, FUNC, c.get8(kRCX * 8))
        SHIFT(SHL, AluShl)
        SHIFT(SAL, AluShl)
        SHIFT(SHR, AluShr)
        SHIFT(SAR, AluSar)

#define IMUL_RR(T) set_r<T>(c, ip->reg, AluImul::op<T>(c, REG(T), RM(T)));
#define IMUL_RM(T) LOAD(T, v); set_r<T>(c, ip->reg, AluImul::op<T>(c, REG(T), v));
#define IMUL_RI(T) set_r<T>(c, ip->reg, AluImul::op<T>(c, RM(T), IMM(T)));
#define IMUL_MI(T) LOAD(T, v); set_r<T>(c, ip->reg, AluImul::op<T>(c, v, IMM(T)));
        CASES_VR(IMUL_GvEv, IMUL_RR)
        CASES_VM(IMUL_GvEv, IMUL_RM)
        CASES2_VR(IMUL_GvEvIz, IMUL_GvEvIbs, IMUL_RI)
        CASES2_VM(IMUL_GvEvIz, IMUL_GvEvIbs, IMUL_MI)

        // Moves.
#define MOV_RR(T) set_r<T>(c, ip->rm, REG(T));
#define MOV_RR2(T) set_r<T>(c, ip->reg, RM(T));
#define MOV_MR(T) STORE(T, REG(T));
#define MOV_RM(T) LOAD(T, v); set_r<T>(c, ip->reg, v);
#define MOV_RI(T) set_r<T>(c, ip->rm, IMM(T));
#define MOV_MI(T) STORE(T, IMM(T));
        case OP_MOV_EbGb_r: { MOV_RR(u8) } break;
        case OP_MOV_EbGb_m: { MOV_MR(u8) } break;
        case OP_MOV_GbEb_r: { MOV_RR2(u8) } break;
        case OP_MOV_GbEb_m: { MOV_RM(u8) } break;
        case OP_MOV_EbIb_r: case OP_MOV_ZbIb: { MOV_RI(u8) } break;
        case OP_MOV_EbIb_m: { MOV_MI(u8) } break;
        CASES_VR(MOV_EvGv, MOV_RR)
        CASES_VM(MOV_EvGv, MOV_MR)
        CASES_VR(MOV_GvEv, MOV_RR2)
        CASES_VM(MOV_GvEv, MOV_RM)
        CASES_VR(MOV_EvIz, MOV_RI)
        CASES_VM(MOV_EvIz, MOV_MI)
        CASES_V(MOV_ZvIv, MOV_RI)
#define LEA_(T) set_r<T>(c, ip->reg, static_cast<T>(EA()));
        CASES_V(LEA_GvM, LEA_)
#define ZX8_R(T) set_r<T>(c, ip->reg, RM(u8));
#define ZX8_M(T) LOAD(u8, v); set_r<T>(c, ip->reg, v);
#define ZX16_R(T) set_r<T>(c, ip->reg, RM(u16));
#define ZX16_M(T) LOAD(u16, v); set_r<T>(c, ip->reg, v);
#define SX8_R(T) set_r<T>(c, ip->reg, static_cast<T>(sext(RM(u8))));
#define SX8_M(T) LOAD(u8, v); set_r<T>(c, ip->reg, static_cast<T>(sext(v)));
#define SX16_R(T) set_r<T>(c, ip->reg, static_cast<T>(sext(RM(u16))));
#define SX16_M(T) LOAD(u16, v); set_r<T>(c, ip->reg, static_cast<T>(sext(v)));
#define SX32_R(T) set_r<T>(c, ip->reg, static_cast<T>(sext(RM(u32))));
#define SX32_M(T) LOAD(u32, v); set_r<T>(c, ip->reg, static_cast<T>(sext(v)));
        CASES_VR(MOVZX_GvEb, ZX8_R)
        CASES_VM(MOVZX_GvEb, ZX8_M)
        CASES_VR(MOVZX_GvEw, ZX16_R)
        CASES_VM(MOVZX_GvEw, ZX16_M)
        CASES_VR(MOVSX_GvEb, SX8_R)
        CASES_VM(MOVSX_GvEb, SX8_M)
        CASES_VR(MOVSX_GvEw, SX16_R)
        CASES_VM(MOVSX_GvEw, SX16_M)
        CASES_VR(MOVSXD_GvEd, SX32_R)
        case OP_MOVSXD_GvEd_mw: { MOV_RM(u16) } break;  // a 16-bit source in the manual
        case OP_MOVSXD_GvEd_md: { SX32_M(u32) } break;
        case OP_MOVSXD_GvEd_mq: { SX32_M(u64) } break;
#define XCHG_RR(T) T a = RM(T); set_r<T>(c, ip->rm, REG(T)); set_r<T>(c, ip->reg, a);
#define XCHG_MR(T) RMW(T, a); COMMIT(T, REG(T)); set_r<T>(c, ip->reg, a);
#define XCHG_ZA(T) T a = RM(T); set_r<T>(c, ip->rm, get_r<T>(c, kRAX)); set_r<T>(c, kRAX, a);
        case OP_XCHG_EbGb_r: { XCHG_RR(u8) } break;
        case OP_XCHG_EbGb_m: { XCHG_MR(u8) } break;
        CASES_VR(XCHG_EvGv, XCHG_RR)
        CASES_VM(XCHG_EvGv, XCHG_MR)
        case OP_XCHG_ZveAX_d:
          // 90 is NOP: it does not clear the upper half of RAX.
          if (ip->rm == kRAX) break;
          { XCHG_ZA(u32) } break;
        case OP_XCHG_ZveAX_w: { XCHG_ZA(u16) } break;
        case OP_XCHG_ZveAX_q: { XCHG_ZA(u64) } break;
        case OP_BSWAP_Zv_w: c.set16(ip->rm, 0); break;  // undefined in the manual; zero on hardware
        case OP_BSWAP_Zv_d: c.gpr[ip->rm] = __builtin_bswap32(static_cast<u32>(c.gpr[ip->rm])); break;
        case OP_BSWAP_Zv_q: c.gpr[ip->rm] = __builtin_bswap64(c.gpr[ip->rm]); break;
        case OP_CBW_w: c.set16(kRAX, static_cast<u16>(sext(c.get8(0)))); break;
        case OP_CBW_d: c.gpr[kRAX] = static_cast<u32>(sext(c.get16(kRAX))); break;
        case OP_CBW_q: c.gpr[kRAX] = sext(c.get32(kRAX)); break;
        case OP_CWD_w: c.set16(kRDX, static_cast<u16>(sext(c.get16(kRAX)) >> 16)); break;
        case OP_CWD_d: c.gpr[kRDX] = static_cast<u32>(sext(c.get32(kRAX)) >> 32); break;
        case OP_CWD_q: c.gpr[kRDX] = static_cast<u64>(static_cast<s64>(c.gpr[kRAX]) >> 63); break;

        // Conditions.
#define CMOV_R(T) T v = RM(T); set_r<T>(c, ip->reg, COND ? v : REG(T));
#define CMOV_M(T) LOAD(T, v); set_r<T>(c, ip->reg, COND ? v : REG(T));
#define CC(NAME, EXPR)                                                                           \
  case OP_J##NAME##_Jb: case OP_J##NAME##_Jz:                                                    \
    if (EXPR) JUMP_REL();                                                                        \
    break;                                                                                       \
  case OP_SET##NAME##_Eb_r: c.set8(ip->rm, EXPR); break;                                         \
  case OP_SET##NAME##_Eb_m: { STORE(u8, static_cast<u8>(EXPR)); } break;                         \
  case OP_CMOV##NAME##_GvEv_rw: { const bool COND = EXPR; CMOV_R(u16) } break;                   \
  case OP_CMOV##NAME##_GvEv_rd: { const bool COND = EXPR; CMOV_R(u32) } break;                   \
  case OP_CMOV##NAME##_GvEv_rq: { const bool COND = EXPR; CMOV_R(u64) } break;                   \
  case OP_CMOV##NAME##_GvEv_mw: { const bool COND = EXPR; CMOV_M(u16) } break;                   \
  case OP_CMOV##NAME##_GvEv_md: { const bool COND = EXPR; CMOV_M(u32) } break;                   \
  case OP_CMOV##NAME##_GvEv_mq: { const bool COND = EXPR; CMOV_M(u64) } break;
        CC(O, c.of())
        CC(NO, !c.of())
        CC(B, c.cf())
        CC(AE, !c.cf())
        CC(E, c.zf())
        CC(NE, !c.zf())
        CC(BE, (c.cf() || c.zf()))
        CC(A, !(c.cf() || c.zf()))
        CC(S, c.sf())
        CC(NS, !c.sf())
        CC(P, c.pf())
        CC(NP, !c.pf())
        CC(L, (c.sf() != c.of()))
        CC(GE, (c.sf() == c.of()))
        CC(LE, (c.zf() || c.sf() != c.of()))
        CC(G, !(c.zf() || c.sf() != c.of()))

        // Branches and the stack.
        case OP_JMP_Jb: case OP_JMP_Jz: JUMP_REL();
#define TARGET(t)                                                  \
  u64 t_ = t;                                                      \
  if (ORIEL_UNLIKELY(!c.target_ok(t_))) goto bad_target;
#define JMP_R(T) TARGET(RM(T)) rip = t_; ip++; goto done;
#define JMP_M(T) LOAD(T, v); TARGET(v) rip = t_; ip++; goto done;
        CASES_VR(JMP_Ev, JMP_R)
        CASES_VM(JMP_Ev, JMP_M)
#define PUSH_T(T, v)                                    \
  const u64 sp_ = (c.gpr[kRSP] - sizeof(T)) & c.sp_mask; \
  WRITE(T, kSS, sp_, v);                                \
  c.set_sp(sp_)
#define PEEK(T, v) READ(T, v, kSS, c.gpr[kRSP] & c.sp_mask)
#define CALL_TO(T) PUSH_T(T, static_cast<T>(NEXT)); rip = t_; ip++; goto done;
#define CALL_J(T) TARGET((NEXT + static_cast<u64>(static_cast<s64>(ip->disp))) & kAddrMask[ip->osz]) CALL_TO(T)
#define CALL_R(T) TARGET(RM(T)) CALL_TO(T)
#define CALL_M(T) LOAD(T, v); TARGET(v) CALL_TO(T)
        CASES_V(CALL_Jz, CALL_J)
        CASES_VR(CALL_Ev, CALL_R)
        CASES_VM(CALL_Ev, CALL_M)
#define RET_(T)                                          \
  PEEK(T, v);                                            \
  TARGET(v)                                              \
  c.add_sp(sizeof(T) + EXTRA);                           \
  rip = t_;                                              \
  ip++;                                                  \
  goto done;
#define EXTRA 0
        CASES_V(RET, RET_)
#undef EXTRA
#define EXTRA static_cast<u16>(ip->imm)
        CASES_V(RET_Iw, RET_)
#undef EXTRA
#define PUSH_Z(T) PUSH_T(T, RM(T));
#define PUSH_I(T) PUSH_T(T, IMM(T));
#define PUSH_M(T) LOAD(T, v); PUSH_T(T, v);
        CASES_V(PUSH_Zv, PUSH_Z)
        CASES_V(PUSH_Iz, PUSH_I)
        CASES_V(PUSH_Ibs, PUSH_I)
        CASES_VR(PUSH_Ev, PUSH_Z)
        CASES_VM(PUSH_Ev, PUSH_M)
#define POP_Z(T)                   \
  PEEK(T, v);                      \
  c.add_sp(sizeof(T));             \
  set_r<T>(c, ip->rm, v);
        CASES_V(POP_Zv, POP_Z)
#define LEAVE_(T)                                                                  \
  const u64 bp = c.gpr[kRBP] & c.sp_mask;                                          \
  READ(T, v, kSS, bp);                                                             \
  c.set_sp(bp + sizeof(T));                                                        \
  set_r<T>(c, kRBP, v);
        CASES_V(LEAVE, LEAVE_)

        // Flags and nothing.
        case OP_CMC: c.set_cf(!c.cf()); break;
        case OP_CLC: c.set_cf(false); break;
        case OP_STC: c.set_cf(true); break;
        case OP_CLD: c.rflags &= ~static_cast<u32>(kDF); break;
        case OP_STD: c.rflags |= kDF; break;
        case OP_PAUSE:
          if (ORIEL_UNLIKELY(c.svm.guest)) {
            if constexpr (kFast) FAULT;
            c.rip = NEXT;
            if (c.intercepts(kSvmPause)) FAULT;
          }
          break;
        case OP_NOP_19: case OP_NOP_1A: case OP_NOP_1B: case OP_NOP_1C: case OP_NOP_1D: case OP_NOP_1E: case OP_NOP_1F: break;

        // Comparisons fused with the jump behind them (blocks.h). An access that raised an event ends the block first.
#define DECIDE(T, a, b)                                                                                       \
  do {                                                                                                        \
    const T x_ = a, y_ = b;                                                                                   \
    using S = std::make_signed_t<T>;                                                                          \
    const unsigned k_ = static_cast<unsigned>(x_ == y_) | static_cast<unsigned>(x_ < y_) << 1 |               \
                        static_cast<unsigned>(static_cast<S>(x_) < static_cast<S>(y_)) << 2;                  \
    taken = ip[1].modrm >> k_ & 1;                                                                            \
    goto fused_jump;                                                                                          \
  } while (0)
#define FUSE_CMP(ID, T, A, B) case FUSED_##ID: { const T lhs = A, rhs = B; AluSub::op<T>(c, lhs, rhs); DECIDE(T, lhs, rhs); }
#define FUSE_CMP_M(ID, T, A, B)                                                                                  \
  case FUSED_##ID: {                                                                                          \
    LOAD(T, v);                                                                                               \
    const T lhs = A, rhs = B;                                                                                     \
    AluSub::op<T>(c, lhs, rhs);                                                                                   \
    if (!kFast && c.ip_end == nullptr) break;                                                                 \
    DECIDE(T, lhs, rhs);                                                                                          \
  }
#define FUSE_SUB(ID, T, B) \
  case FUSED_##ID: { const T lhs = RM(T), rhs = B; set_r<T>(c, ip->rm, AluSub::op<T>(c, lhs, rhs)); DECIDE(T, lhs, rhs); }
#define FUSE_TEST(ID, T, A, B) case FUSED_##ID: { const T r = AluAnd::op<T>(c, A, B); DECIDE(T, r, 0); }
#define FUSE_TEST_M(ID, T)                                                                                       \
  case FUSED_##ID: {                                                                                          \
    LOAD(T, v);                                                                                               \
    const T r = AluAnd::op<T>(c, v, IMM(T));                                                                  \
    if (!kFast && c.ip_end == nullptr) break;                                                                 \
    DECIDE(T, r, 0);                                                                                          \
  }
#define FUSE_AND(ID, T, B) \
  case FUSED_##ID: { const T r = AluAnd::op<T>(c, RM(T), B); set_r<T>(c, ip->rm, r); DECIDE(T, r, 0); }
#define FUSE_COUNT(ID, T, FUNC) \
  case FUSED_##ID: { const T r = FUNC::op<T>(c, RM(T)); set_r<T>(c, ip->rm, r); DECIDE(T, r, 0); }
#define FUSE_SIZES(M, ID, A, B) M(ID##w, u16, A(u16), B(u16)) M(ID##d, u32, A(u32), B(u32)) M(ID##q, u64, A(u64), B(u64))
#define LOADED(T) v
#define ACC(T) get_r<T>(c, kRAX)
        FUSE_SIZES(FUSE_CMP, CMP_EvGv_r, RM, REG)
        FUSE_SIZES(FUSE_CMP, CMP_GvEv_r, REG, RM)
        FUSE_SIZES(FUSE_CMP, CMP_EvIz_r, RM, IMM)
        FUSE_SIZES(FUSE_CMP, CMP_EvIbs_r, RM, IMM)
        FUSE_SIZES(FUSE_CMP, CMP_eAXIz_, ACC, IMM)
        FUSE_CMP(CMP_EbGb_r, u8, RM(u8), REG(u8))
        FUSE_CMP(CMP_GbEb_r, u8, REG(u8), RM(u8))
        FUSE_CMP(CMP_EbIb_r, u8, RM(u8), IMM(u8))
        FUSE_CMP(CMP_ALIb, u8, ACC(u8), IMM(u8))
        FUSE_CMP_M(CMP_EvGv_md, u32, v, REG(u32))
        FUSE_CMP_M(CMP_EvGv_mq, u64, v, REG(u64))
        FUSE_CMP_M(CMP_GvEv_md, u32, REG(u32), v)
        FUSE_CMP_M(CMP_GvEv_mq, u64, REG(u64), v)
        FUSE_CMP_M(CMP_EvIz_md, u32, v, IMM(u32))
        FUSE_CMP_M(CMP_EvIz_mq, u64, v, IMM(u64))
        FUSE_SIZES(FUSE_CMP_M, CMP_EvIbs_m, LOADED, IMM)
        FUSE_CMP_M(CMP_EbGb_m, u8, v, REG(u8))
        FUSE_CMP_M(CMP_GbEb_m, u8, REG(u8), v)
        FUSE_CMP_M(CMP_EbIb_m, u8, v, IMM(u8))
        FUSE_SUB(SUB_EvGv_rd, u32, REG(u32))
        FUSE_SUB(SUB_EvGv_rq, u64, REG(u64))
        FUSE_SUB(SUB_EvIbs_rd, u32, IMM(u32))
        FUSE_SUB(SUB_EvIbs_rq, u64, IMM(u64))
        FUSE_SIZES(FUSE_TEST, TEST_EvGv_r, RM, REG)
        FUSE_SIZES(FUSE_TEST, TEST_EvIz_r, RM, IMM)
        FUSE_TEST(TEST_EbGb_r, u8, RM(u8), REG(u8))
        FUSE_TEST(TEST_EbIb_r, u8, RM(u8), IMM(u8))
        FUSE_TEST(TEST_ALIb, u8, ACC(u8), IMM(u8))
        FUSE_TEST(TEST_eAXIz_d, u32, ACC(u32), IMM(u32))
        FUSE_TEST_M(TEST_EbIb_m, u8)
        FUSE_TEST_M(TEST_EvIz_md, u32)
        FUSE_AND(AND_EvGv_rd, u32, REG(u32))
        FUSE_AND(AND_EvGv_rq, u64, REG(u64))
        FUSE_AND(AND_EvIbs_rd, u32, IMM(u32))
        FUSE_AND(AND_EvIbs_rq, u64, IMM(u64))
        FUSE_AND(AND_EvIz_rd, u32, IMM(u32))
        FUSE_AND(AND_EvIz_rq, u64, IMM(u64))
        FUSE_COUNT(INC_Zv_d, u32, AluInc)
        FUSE_COUNT(DEC_Zv_d, u32, AluDec)
        FUSE_COUNT(INC_Ev_rd, u32, AluInc)
        FUSE_COUNT(INC_Ev_rq, u64, AluInc)
        FUSE_COUNT(DEC_Ev_rd, u32, AluDec)
        FUSE_COUNT(DEC_Ev_rq, u64, AluDec)

        default: FAULT;  // an executor of its own
      }
    // clang-format on
    ip++;
    if constexpr (!kFast) {
      c.ip = ip;
      return Left::kNext;
    }
    if (ORIEL_LIKELY(ip < c.ip_end)) continue;
    rip = c.block_rip + ip[-1].off + ip[-1].len;

  done:
    if constexpr (!kFast) {
      c.ip = ip;
      c.rip = rip;
      return Left::kJump;
    }
    c.icount += static_cast<u64>(ip - c.ip_start);
    // In 16- and 32-bit code RIP wraps; the next fetch checks it against the limit.
    rip &= c.lin_mask;
    if (ORIEL_UNLIKELY(c.events != 0 || c.icount >= limit)) {
      c.rip = rip;
      return Left::kDone;
    }
    b = c.blocks->find_fast((c.seg[kCS].lin + rip) & c.lin_mask);
    if (ORIEL_UNLIKELY(!b || limit - c.icount < b->count || rip + b->bytes - 1 > c.fetch_limit)) {
      c.rip = rip;
      return Left::kBlock;
    }
    if (ORIEL_UNLIKELY(--b->heat == 0)) {
      c.rip = rip;
      return Left::kHot;
    }
    ip = b->insns;
    c.block_rip = rip;
    c.ip_start = ip;
    c.ip_end = ip + b->count;
    continue;

  fused_jump:
    ip++;
    if (taken) JUMP_REL();
    rip = NEXT;
    ip++;
    goto done;

  bad_target:
    if constexpr (!kFast) c.raise(kGP, 0);
  leave:
    c.ip = ip;
    return Left::kHere;
  }
}

// An instruction of kind OUT, at c.ip.
Cpu::Exit call_executor(Cpu& c, Left& left) {
  const Insn& i = *c.ip;
  const u64 next = c.fault_rip + i.len;
  c.rip = next;
  if (ORIEL_UNLIKELY(!kExec[i.op](c, i))) return Cpu::Exit::kFault;
  // A repeated string instruction that goes round again is not retired.
  if (c.rip == c.fault_rip && (i.flags & (kInsnRep | kInsnRepne))) return Cpu::Exit::kAgain;
  c.ip++;
  left = c.rip == next ? Left::kNext : Left::kJump;
  return Cpu::Exit::kNormal;
}

}  // namespace

// Begins the block at c.rip, or as much of it as the instruction limit and CS.limit allow; `whole`: the block, if all
// of it. False: the fetch raised.
bool Cpu::enter_block(u64 limit, Block*& whole) {
  whole = nullptr;
  ip = ip_start;
  fault_rip = rip;
  if (rip > fetch_limit) return raise(kGP, 0);
  const u64 lin = (seg[kCS].lin + rip) & lin_mask;
  Block* b = blocks->find_fast(lin);
  if (!b) b = blocks->find(lin);
  if (!b) return false;
  u64 n = std::min<u64>(b->count, limit - icount);
  if (rip + b->bytes - 1 > fetch_limit) {
    // Part of the block lies beyond the segment: one instruction at a time.
    if (rip + b->insns[0].len - 1 > fetch_limit) return raise(kGP, 0);
    n = 1;
  }
  if (n == b->count) whole = b;
  ip = ip_start = whole ? b->insns : blocks->prefix(*b, static_cast<unsigned>(n));
  ip_end = ip + n;
  block_rip = rip;
  return true;
}

Cpu::Exit Cpu::execute_one(bool& next) {
  Left left;
  Exit e = Exit::kNormal;
  if (ip->op < OP_COUNT && kExec[ip->op])
    e = call_executor(*this, left);
  else if (left = run_switch<false>(*this, 0); left == Left::kHere)
    e = Exit::kFault;
  next = e == Exit::kNormal && left == Left::kNext;
  return e;
}

Cpu::Exit Cpu::execute(u64 limit) {
  for (bool ask = true;;) {
    Block* block;
    if (!enter_block(limit, block)) {
      ip = ip_start;
      return Exit::kFault;
    }
    Exit e;
    Left left = Left::kHot;
    bool next;
    // Where the compiled tiers have just been asked, something must be executed before they are again.
    if (!ask || !block || --block->heat != 0) {
      ask = true;
      do {
        left = run_switch<true>(*this, limit);
        if (left != Left::kHere) break;
        fault_rip = block_rip + ip->off;
        e = execute_one(next);
      } while (next && ip < ip_end);
    }
    if (left == Left::kDone) {
      ip = ip_start;
      return Exit::kNormal;
    }
    if (left == Left::kBlock) continue;
    if (left == Left::kHot) {
      ip = ip_start;
      if (!compiled || svm.guest) continue;  // compiled code knows no intercepts
      const u64 before = icount;
      switch (compiled->run(*blocks->find_fast((seg[kCS].lin + rip) & lin_mask), limit)) {
        case CompiledCode::Ran::kGo:
          // An event may need an instruction to be executed before it is due.
          if (icount != before && (events != 0 || icount >= limit)) return Exit::kNormal;
          ask = false;
          continue;
        case CompiledCode::Ran::kFault: return Exit::kFault;
        case CompiledCode::Ran::kAgain: return Exit::kAgain;
      }
    }

    // The block ends here.
    icount += static_cast<u64>(ip - ip_start);
    ip_start = ip;
    if (e != Exit::kNormal) {
      rip = fault_rip;
      return e;
    }
    if (next) rip = block_rip + ip[-1].off + ip[-1].len;
    rip &= lin_mask;
    if (events != 0 || icount >= limit) return Exit::kNormal;
  }
}

}  // namespace oriel
