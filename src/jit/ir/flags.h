// Lazy flags inside compiled code: what the last instruction that wrote them did, and with which operands. A unit keeps
// the three words in variables; when it is left they become the two words of Cpu (cpu.h), by one function here.
#pragma once

#include "cpu/cpu.h"

namespace oriel::jit {

// A flag kind is operation << 2 | log2 of the operand's bytes. Operands: only their low bits count.
enum class FlagOp : u8 {
  kCpu,    // the flags are those in Cpu: nothing has written any since the unit was entered
  kAdd,    // a + b
  kAdc,    // a + b + 1
  kSub,    // a - b
  kSbb,    // a - b - 1
  kLogic,  // the result a: CF = OF = AF = 0
  kInc,    // a + 1; CF is b
  kDec,    // a - 1; CF is b
  kShl,    // a << b, b from 1 to the operand's bits - 1
  kShr,
  kSar,
  kMul,     // the result a; CF = OF = b
  kDouble,  // the result a; CF is bit 0 of b, OF bit 1
  // CF = a, ZF = b; PF = both (unordered). The rest 0
  kCompare,
  kTest,  // CF = a, ZF = b, the rest 0
};
// Above it: CF is the bit kFlagCfBit, and OF is kFlagOfBit, whatever the operation: rotates and bit tests change no
// more.
constexpr u32 kFlagKindMask = 0xff, kFlagCf = 1 << 8, kFlagOf = 1 << 9;
constexpr unsigned kFlagCfBit = 10, kFlagOfBit = 11;
constexpr u32 flag_kind(FlagOp op, unsigned size) { return static_cast<u32>(op) << 2 | size; }

// Puts the flags into `c`.
void commit_flags(Cpu& c, u32 kind, u64 a, u64 b);
// The condition `cc` (Jcc's low four opcode bits) of such flags.
bool flag_condition(Cpu& c, u32 kind, u64 a, u64 b, unsigned cc);

}  // namespace oriel::jit
