// What the decoder and the disassembler read: kForms compiled to compact records and look-up tables
// (decode_tables.cpp). Internal to src/x86.
#pragma once

#include "x86/forms.h"
#include "x86/insn.h"

namespace oriel::x86 {

// First letter of an operand code, or the fixed operand it names.
enum class Opnd : u8 {
  kNone,
  kE,    // ModRM.rm: general register or memory
  kG,    // ModRM.reg: general register
  kZ,    // opcode's low bits: general register
  kM,    // ModRM.rm: memory
  kR,    // ModRM.rm: general register
  kS,    // ModRM.reg: segment register
  kC,    // ModRM.reg: control register
  kD,    // ModRM.reg: debug register
  kP,    // ModRM.reg: MMX
  kQ,    // ModRM.rm: MMX or memory
  kN,    // ModRM.rm: MMX
  kV,    // ModRM.reg: XMM
  kW,    // ModRM.rm: XMM or memory
  kU,    // ModRM.rm: XMM
  kH,    // VEX.vvvv: XMM
  kL,    // immediate, bits 7:4: XMM
  kT,    // ModRM.rm: memory with a vector index (VSIB)
  kB,    // VEX.vvvv: general register
  kI,    // immediate
  kJ,    // relative target
  kA,    // far pointer
  kO,    // moffs
  kX,    // DS:rSI
  kY,    // ES:rDI
  kAcc,  // AL, AX or by operand size
  kCL,
  kDX,
  kOne,
  kSeg,  // fixed segment register; `size` holds the SegReg
  kST0,
  kSTi,  // ModRM.rm
  kXMM0,
};

// The rest of an operand code.
enum class OpndSize : u8 { kNone, kB, kBs, kW, kD, kQ, kDq, kX, kQx, kX2, kX4, kX8, kV, kY, kZ, kP, kA, kS, kT, kFx };

struct Operand {
  Opnd kind;
  OpndSize size;
};

inline constexpr unsigned kMaxOperands = 4;

struct FormOperands {
  Operand op[kMaxOperands];
};

// How the operand size comes about.
enum class OszClass : u8 {
  kV,     // mode default, 66, REX.W
  kV66,   // as kV, but 66 is part of the opcode
  kByte,  // 0
  kY,     // 32 bits, 64 with REX.W
  kD64,   // FormAttr::D64
  kF64,   // FormAttr::F64
  kCr,    // 64 bits in 64-bit mode, else 32
  kIo,    // 16 or 32 bits: REX.W has no effect on IN, OUT, INS, OUTS
  kCount
};

enum class ImmKind : u8 {
  kNone,
  kIb,
  kIbs,
  kIw,
  kIz,
  kIv,
  kJb,
  kJz,
  kAp,
  kMoffs,
  kIwIb,
  kIbIb,
};

enum FormBits : u16 {
  kHasModrm = 1 << 0,
  kReg8 = 1 << 1,         // ModRM.reg is a byte register
  kRm8 = 1 << 2,          // the register operand of r/m or of the opcode is a byte register
  kRegLow = 1 << 3,       // REX.R does not extend ModRM.reg (MMX, segment registers)
  kRmLow = 1 << 4,        // REX.B does not extend ModRM.rm as a register (MMX, x87)
  kOpcodeReg = 1 << 5,    // register in the low bits of the opcode
  kRmAlwaysReg = 1 << 6,  // mod is ignored: MOV to and from control and debug registers
  kRegLimited = 1 << 7,   // segment, control or debug register in ModRM.reg: not every number exists
  kVvvv = 1 << 8,         // VEX.vvvv is an operand
  kVexL0 = 1 << 9,        // VEX.L = 0 is allowed
  kVexL1 = 1 << 10,       // VEX.L = 1 is allowed
  kVsib = 1 << 11,        // the memory operand has a vector index
  kLockable = 1 << 12,
};

// What decode() needs of a form.
struct FormInfo {
  u16 op;
  u16 bits;  // FormBits
  OszClass osz;
  ImmKind imm;
  u8 mem_step;  // added to op for a memory operand
  u8 osz_step;  // times (osz - 1), added to op
};

// Look-up: map and opcode to a slot by mode (in the VEX maps: by VEX.W) and mandatory prefix; the slot is a form, or a
// group that the ModRM byte resolves, or kNoForm.
inline constexpr u16 kNoForm = 0x7fff;
inline constexpr u16 kIndirect = 0x8000;  // slot: the rest indexes `group`; group cell: the rest indexes `exact`
struct OpcodeSlots {
  u16 slot[2][4];  // [64-bit mode, or VEX.W][PfxIndex]
};
enum PfxIndex : u8 { kPfxNone, kPfx66, kPfxF3, kPfxF2 };  // the order of VEX.pp
struct OpcodeMap {
  const OpcodeSlots* opcode;  // 256
  const u16 (*group)[16];     // by (mod == 3) * 8 + reg
  const u16 (*exact)[8];      // by rm, mod == 3
};

// M1, M0F, M38, M3A, then the VEX maps of the last three.
inline constexpr unsigned kMapCount = 7;
inline constexpr unsigned kVexMapBase = 3;  // VEX.mmmmm + kVexMapBase indexes kOpcodeMaps
extern const OpcodeMap kOpcodeMaps[kMapCount];
extern const FormInfo* const kFormInfo;
extern const FormOperands* const kFormOperands;

}  // namespace oriel::x86
