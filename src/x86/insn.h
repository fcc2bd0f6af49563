// The pre-decoded instruction: what the decoder makes of 1 to 15 bytes and what tier 0, the
// disassembler and the JIT's lifter read. Mode-dependent defaults (operand and address size,
// segment, stack width) are resolved here, so that an executor never looks at prefixes.
#pragma once

#include "base/types.h"

namespace oriel {

// Segment registers in their encoding order (SDM Vol. 2, table 3-1), then the two system ones.
enum SegReg : u8 { kES, kCS, kSS, kDS, kFS, kGS, kLDTR, kTR, kSegCount };

// General registers in their encoding order. The two extra slots of the register file let the
// address sum be formed without a test: kZero always reads 0.
enum Gpr : u8 {
  kRAX,
  kRCX,
  kRDX,
  kRBX,
  kRSP,
  kRBP,
  kRSI,
  kRDI,
  kR8,
  kR15 = 15,
  kZero = 16,
  kRipBase = 17,
  kGprSlots = 18
};

// How code bytes are decoded: the D bit of CS, or 64-bit mode.
enum class CodeMode : u8 { k16, k32, k64 };

enum InsnFlags : u8 {
  kInsnMem = 1 << 0,    // the r/m operand is memory (mod != 3), or a moffs operand
  kInsnLock = 1 << 1,   // F0, on a form that allows it
  kInsnRep = 1 << 2,    // F3 present
  kInsnRepne = 1 << 3,  // F2 present (the last of F2/F3 wins: never both flags)
  kInsnOpsz = 1 << 4,   // 66 present
  kInsnRex = 1 << 5,    // a REX prefix present
  kInsnRexW = 1 << 6,
};

struct Insn {
  u16 op;     // Op: form and variant (src/x86/forms.h)
  u8 len;     // whole length in bytes, 1 to 15
  u8 osz;     // effective operand size: 1, 2, 3 = 16, 32, 64 bits (0 for byte forms)
  u8 reg;     // ModRM.reg with REX.R. Byte register operands hold an offset into the GPR file (see gpr8)
  u8 rm;      // register operand of r/m, or of the opcode's low bits, with REX.B; byte registers as above
  u8 base;    // memory operand: GPR slot, kZero for none, kRipBase for RIP-relative
  u8 index;   // memory operand: GPR slot, kZero for none
  u8 scale;   // 0 to 3: index is shifted left by it
  u8 seg;     // memory operand: SegReg after defaults and overrides. String ops: the source segment
  u8 asz;     // effective address size: 1, 2, 3 = 16, 32, 64 bits
  u8 flags;   // InsnFlags
  u8 modrm;   // raw ModRM byte, 0 where there is none
  u8 opcode;  // last opcode byte
  u8 vvvv;    // VEX.vvvv register (not inverted), 0 without VEX
  u8 vex;     // bit 0: VEX encoded, bit 1: VEX.L, bit 2: VEX.W
  s32 disp;   // displacement, sign-extended; also the relative offset of Jb/Jz operands
  u16 imm2;   // second immediate: selector of a far pointer, ENTER's level, EXTRQ-like pairs
  u16 off;    // of the instruction from the start of its cached block; the decoder leaves 0
  u64 imm;    // immediate, already extended to the operand size as the manual says; moffs address
};
static_assert(sizeof(Insn) == 32);

// Byte offset in the GPR file of the 8-bit register `n`: without REX, 4 to 7 are AH, CH, DH, BH.
constexpr u8 gpr8(u8 n, bool rex) {
  return !rex && n >= 4 && n < 8 ? static_cast<u8>((n - 4) * 8 + 1) : static_cast<u8>(n * 8);
}

}  // namespace oriel
