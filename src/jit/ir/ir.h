// The intermediate representation of a unit: the guest's control flow graph, each block a list of operations on values.
//
// Values are local to their block: a value is the number of the operation that makes it. What lives longer is in
// variables (the guest's registers and the lazy flags), which are in memory or in locals of the WebAssembly function
// (wasm/emit_variables.cpp). Guest instructions are kept beside the operations so that the unit can be left at any
// of them with exact state.
#pragma once

#include <string>
#include <vector>

#include "x86/insn.h"

namespace oriel::jit {

enum class Type : u8 { kNone, kI32, kI64, kF32, kF64, kV128, kSame };
// The wider of the two types that an operation of scalars may have.
constexpr bool is_wide(Type t) { return t == Type::kI64 || t == Type::kF64; }

enum class IrOp : u8 {
#define IROP(NAME, ...) k##NAME,
#include "jit/ir/ops.inc"
#undef IROP
  kCount
};

enum IrFlag : u8 { kPure = 1, kLeaves = 2, kLeaf = 4, kSimd = 8, kLane = 16 };

struct IrOpInfo {
  const char* text;
  u8 arity;
  Type result;  // kSame: the type of the operation
  u8 wasm32, wasm64;
  u8 flags;
};
extern const IrOpInfo kIrOps[static_cast<usize>(IrOp::kCount)];
inline const IrOpInfo& info(IrOp op) { return kIrOps[static_cast<usize>(op)]; }

// Variables, at most 64. The general registers come first, in their encoding order; those from kVarXmm on have locals
// only where they are used (ir/simd.h).
enum Var : u8 {
  kVarFlagKind = 16,
  kVarFlagA,
  kVarFlagB,
  kVarCount,
  kVarXmm = kVarCount,         // XMM0 to XMM15
  kVarYmmHigh = kVarXmm + 16,  // upper halves of YMM0 to YMM15
  kVarSseOff = 51,             // not 0: SSE raises #UD or #NM, by CR0 and CR4
  kVarAvxOff = 52,             // AVX does, by CR0, CR4 and XCR0
  kVarFpLimit64 = 53,  // 0 unless the host's arithmetic gives MXCSR's results: then how many exponents of results are
  kVarFpLimit32 = 54,  // ordinary (lift_fp.cpp)
  kVarX87Top = 55,     // TOP in bits 4 to 6; those above mean nothing
  kVarX87Tags = 56,    // bit i: ST(i) is not empty
  kVarX87Cc = 57,      // C0, C2 and C3 as in the status word
  kVarX87C1 = 58,
  kVarX87Off = 59,   // not 0: #NM or #MF, by CR0 and ES
  kVarX87Last = 60,  // of the last instruction FOP, and from kX87OffShift on its offset in the page; 0: as in Cpu
  kVarX87Seg = 61,   // where in Cpu the selector of its operand is; 0: FDS and FDP are as in Cpu
  kVarX87Ea = 62,    // FDP
  kVarX87Page = 63,  // beside kVarX87Last, where a unit has several pages: how many behind the first
};

constexpr u64 kX87Variables = u64{0x1ff} << kVarX87Top;
constexpr unsigned kX87OffShift = 11;

// A value's number in its block. 0 is a Nop, so that 0 says "none".
using Value = u32;

struct Inst {
  IrOp op = IrOp::kNop;
  Type type = Type::kNone;  // what the operands have; for leaves and loads the result
  u8 size = 0;              // Load, Store: log2 of the bytes
  u16 guest = 0;            // number of the guest instruction in the block
  Value a = 0, b = 0, c = 0;
  u64 imm = 0, imm2 = 0;  // imm2: the upper half of 128 bits

  Type result() const {
    const Type r = info(op).result;
    return r == Type::kSame ? type : r;
  }
};

// Probe: a range of `bytes` (at most 4096) that begins `before` bytes before the address; any of it may be written.
constexpr u64 probe_range(u32 before, u32 bytes, bool writes) {
  return u64{bytes} | u64{before} << 16 | (writes ? u64{1} << 32 : 0);
}

// How a block ends.
enum class Term : u8 {
  kEnter,    // block 0 only: to the entry that JitState::entry names
  kJump,     // to succ[0]
  kBranch,   // value ? succ[0] : succ[1]
  kReenter,  // to entry number `offset`, by way of block 0, which is succ[0]
  kExit,     // to a known address outside the unit: `offset` from the start of the first page
  kExitTo,   // to the address `value`
};

constexpr u32 kNoBlock = ~u32{0};

// A page that a unit's code lies in.
struct CodePage {
  s64 at = 0;                // its linear address, from that of the first entry's page
  u64 pa = 0;                // its physical address
  const u8* host = nullptr;  // and the host's
};

struct IrBlock {
  u32 first_insn = 0;  // in Unit::insns
  u32 insn_count = 0;  // retired by the block, its terminator included
  u32 page = 0;        // in Unit::pages
  std::vector<Inst> insts{Inst{}};
  Term term = Term::kExit;
  Value value = 0;
  s64 offset = 0;
  u32 succ[2] = {kNoBlock, kNoBlock};
  // A place where the remaining budget is checked: the entries and loop headers.
  bool checkpoint = false;
  u32 longest_path = 0;  // checkpoints: instructions that may retire before the next one
};

struct Unit {
  u64 pa = 0;  // of the first entry
  CodeMode mode = CodeMode::k64;
  std::vector<CodePage> pages;  // [0]: that of the first entry
  std::vector<Insn> insns;      // all guest instructions, in block order; `off` is the offset in their page
  std::vector<IrBlock> blocks;  // [0] has no instructions and goes to the entries
  std::vector<u32> entries;     // blocks at which the unit may be entered
  // Whether block 0 has to choose.
  bool dispatches() const { return entries.size() > 1; }
  Type word() const { return mode == CodeMode::k64 ? Type::kI64 : Type::kI32; }
};

// One line an operation, for tests.
extern const char* const kTypeSuffixes[];       // by Type
extern const char* const kVarNames[kVarCount];  // XMM0 and what follows it are x0, x1, ...
extern const char* const kTermNames[];          // by Term
std::string print(const Unit& unit);

}  // namespace oriel::jit
