// The instruction set as data. Each row of the forms_*.inc tables is one encodable form; from the
// rows come the decoder's tables, the Op numbers that tier 0 dispatches on, the disassembler's
// names and the coverage report. Nothing else in the project knows an opcode byte.
//
// A row:  FORM(ID, KIND, MAP, PFX, OPCODE, MODRM, "MNEMONIC", "operands", ATTRS)
//
// ID       unique; also names the executor (below)
// KIND     how the form becomes Ops:
//            OUT  one Op, executed by `bool exec_<ID>(Cpu&, const Insn&)` out of line (it looks at
//                 i.osz and i.flags itself). A row without its function does not link.
//            ONE  one Op `ID`, executed in tier 0's main switch
//            V    three Ops by operand size: ID_w, ID_d, ID_q (16, 32, 64 bits)
//            RM   two Ops: ID_r (r/m is a register), ID_m (memory)
//            VRM  six Ops: ID_rw, ID_rd, ID_rq, ID_mw, ID_md, ID_mq
// MAP      M1 (one byte), M0F, M38 (0F 38), M3A (0F 3A)
// PFX      ANY: 66/F2/F3 are not part of the opcode (66 sets the operand size; F2/F3 are REP or ignored)
//          NP, P66, PF3, PF2: the form needs exactly this mandatory prefix. Candidates with a
//          mandatory prefix are tried before ANY rows of the same opcode; F2/F3 win over 66.
//          PF3/PF2 rows leave 66 to its meaning as operand size.
// OPCODE   the last opcode byte. Forms with the register in the low three bits (operand codes Zx)
//          give the base (e.g. 0x50) and cover eight opcodes.
// MODRM    NO: no ModRM. R: any ModRM (/r). 0..7: /digit. X(b): this whole ModRM byte (e.g. X(0xD0)).
//          A more specific row (X, then digit) wins over R.
// operands the manual's codes, comma separated, destination first:
//   registers and memory  Eb Ew Ed Eq Ev Ey   general r/m (v: by operand size; y: 32, or 64 with REX.W)
//                         Gb Gw Gd Gq Gv Gy   ModRM.reg
//                         Zb Zv               register in the low opcode bits
//                         M Mb Mw Md Mq Mdq Mp Ms Mfx  memory of that size (M alone: size irrelevant)
//                         Rv Ry Rd            register r/m only
//                         Sw Cy Dy            segment, control, debug register in ModRM.reg
//                         Pq Qd Qq Nq         MMX: reg, r/m, r/m register only
//                         Vx Wx Wd Wq Ww Wb Ux  XMM: reg, r/m with the memory size x=128, d=32, q=64, w=16, b=8;
//                         U: register only
//                         Hx Lx By            with VEX: VEX.vvvv, the immediate's bits 7:4, VEX.vvvv as a general
//                         register Td Tq               VSIB memory: lanes of 32 or 64 bits at addresses with a vector
//                         index x is the vector length (VL, L1: a YMM register), dq always 128 bits, x2 x4 x8 memory of
//                         a half, a quarter, an eighth of the vector length (a register is XMM then); qx 64 or 256 bits
//   immediates            Ib (zero-extended) Ibs (8 bits sign-extended to the operand size) Iw Iz (16 or 32 bits,
//                         sign-extended to 64) Iv (full operand size, MOV only) Jb Jz (relative, in Insn::disp) Ap (far
//                         pointer) Ob Ov (moffs: address in Insn::imm, kInsnMem set)
//   fixed                 AL CL DX AX eAX(by operand size) 1 and segment names ES CS SS DS FS GS; ST0 STi (ModRM.rm)
//   string operands       Xb Xv (DS:rSI) Yb Yv (ES:rDI)
//   The memory operand size for the disassembler follows from the code (b w d q dq v; fd fq ft for x87: Mfd Mfq Mft).
// ATTRS    bits of FormAttr, or 0
#pragma once

#include <array>

#include "base/types.h"

namespace oriel {

enum FormAttr : u64 {
  LOCK = 1u << 0,     // F0 is allowed when the destination is memory; elsewhere F0 is #UD
  I64 = 1u << 1,      // #UD in 64-bit mode
  O64 = 1u << 2,      // only in 64-bit mode
  D64 = 1u << 3,      // operand size defaults to 64 in 64-bit mode, 66 gives 16 (PUSH, POP, ...)
  F64 = 1u << 4,      // operand size is 64 in 64-bit mode whatever the prefix (near branches; Intel ignores 66)
  END = 1u << 5,      // ends a block: branches, and whatever may change mode, mapping or interrupt state
  PROT = 1u << 6,     // #UD in real and virtual-8086 mode (the decoder leaves it to the executor to raise)
  MEMONLY = 1u << 7,  // mod = 3 is another form or #UD
  REGONLY = 1u << 8,  // mod != 3 is another form or #UD
  REPS = 1u << 9,     // REP/REPE/REPNE repeats it (string instructions)
  STACK = 1u << 10,   // memory operand computed after RSP was changed by the instruction itself (POP r/m)
  F_MMX = 1u << 16,
  F_SSE = 1u << 17,
  F_SSE2 = 1u << 18,
  F_SSE3 = 1u << 19,
  F_SSSE3 = 1u << 20,
  F_SSE41 = 1u << 21,
  F_SSE42 = 1u << 22,
  F_AES = 1u << 23,
  F_PCLMUL = 1u << 24,
  F_BMI1 = 1u << 25,
  F_BMI2 = 1u << 26,
  F_ADX = 1u << 27,
  F_MOVBE = 1u << 28,
  F_POPCNT = 1u << 29,
  F_X87 = 1u << 30,
  F_AVX = u64{1} << 32,
  F_AVX2 = u64{1} << 33,
  F_AVX12 = F_AVX | F_AVX2,  // AVX with 128 bits, AVX2 with 256
  F_FMA = u64{1} << 34,
  F_F16C = u64{1} << 35,
  // A VEX row is encoded only by C4/C5; without the bit, never. VEX.L is 0 and VEX.W ignored (in 64-bit mode an operand
  // size where there is a general register) unless the row says otherwise.
  VEX = u64{1} << 31,
  VL = u64{1} << 40,   // VEX.L is the vector length: 128 or 256 bits
  L1 = u64{1} << 41,   // VEX.L must be 1
  LIG = u64{1} << 42,  // VEX.L is ignored
  W0 = u64{1} << 43,   // VEX.W must be 0
  W1 = u64{1} << 44,   // VEX.W must be 1
};

// Every Op. Order: table order; Op 0 is the invalid instruction.
enum Op : u16 {
  OP_UD = 0,    // invalid opcode: raises #UD
  OP_LONG = 1,  // more than 15 bytes: raises #GP(0)
#define FORM_OUT(ID) OP_##ID,
#define FORM_ONE(ID) OP_##ID,
#define FORM_V(ID) OP_##ID##_w, OP_##ID##_d, OP_##ID##_q,
#define FORM_RM(ID) OP_##ID##_r, OP_##ID##_m,
#define FORM_VRM(ID) OP_##ID##_rw, OP_##ID##_rd, OP_##ID##_rq, OP_##ID##_mw, OP_##ID##_md, OP_##ID##_mq,
#define FORM(ID, KIND, ...) FORM_##KIND(ID)
#include "x86/forms_all.inc"
#undef FORM
#undef FORM_OUT
#undef FORM_ONE
#undef FORM_V
#undef FORM_RM
#undef FORM_VRM
  OP_COUNT
};

enum class FormKind : u8 { OUT, ONE, V, RM, VRM };
enum class FormMap : u8 { M1, M0F, M38, M3A };
enum class FormPfx : u8 { ANY, NP, P66, PF3, PF2 };

struct Form {
  const char* id;
  FormKind kind;
  FormMap map;
  FormPfx pfx;
  u8 opcode;
  s16 modrm;  // -1 none, 0..7 digit, 8 any, 0x100 | byte exact
  const char* mnemonic;
  const char* operands;
  u64 attrs;
  u16 op;  // first Op of the form
};

extern const Form kForms[];
extern const u16 kFormCount;

// The row that an Op came from; 0 for OP_UD and OP_LONG, which have none.
extern const std::array<u16, OP_COUNT> kFormOfOp;
inline u16 form_of(u16 op) { return kFormOfOp[op]; }

}  // namespace oriel
