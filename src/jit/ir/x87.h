// What an X87 operation asks of tier 0's arithmetic: a register (a), an operand (b), and Inst::imm. What it returns
// goes into C1 or the condition codes; where it would raise an exception that is not masked, it does nothing and the
// unit is left.
#pragma once

#include "base/types.h"

namespace oriel::jit {

// Bits 0-3 of `what`: the operand, another register or what a host address points to.
enum X87Operand : u32 { kX87Reg, kX87F64, kX87F32, kX87F80, kX87I16, kX87I32, kX87I64 };
// Bits 4-7.
enum X87Variant : u32 {
  kX87Add = 0,
  kX87Sub = 1,
  kX87Reversed = 2,  // the operand comes first: FSUBR is kX87Sub | kX87Reversed
  // Of stores of integers.
  kX87Truncate = 1,
  // Of the function for all the rest.
  kX87Compare = 0,
  kX87CompareQuiet,
  kX87Test,
  kX87Examine,
  kX87SquareRoot,
  kX87RoundInt,
  kX87LoadControl,
};
constexpr unsigned kX87VariantShift = 4, kX87FunctionShift = 8;

// Inst::imm: the function's number (emit.h: Import), and `what` above it.
constexpr unsigned kX87WhatShift = 8;

// Results of comparisons: C0, C2 and C3 as in the status word.
constexpr u32 kX87C0 = 1 << 8, kX87C1 = 1 << 9, kX87C2 = 1 << 10, kX87C3 = 1 << 14;
constexpr u32 kX87Leaves = ~u32{0};

}  // namespace oriel::jit
