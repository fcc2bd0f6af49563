// IEEE 754 arithmetic on bit patterns with the x86's rounding, exceptions and NaN rules: the exact
// reference behind x87 (80-bit) and behind SSE wherever the host's own arithmetic cannot be shown to
// give the same bits and the same flags. Pure functions; the state is in FloatEnv.
// Sources: SDM Vol. 1, chapters 4 (formats, 4.8.3.5 NaN rules, 4.9 exceptions), 8 and 11; IEEE 754-2008.
#pragma once

#include "base/types.h"
#include "cpu/cpu.h"

namespace oriel {

// Exception flags, in the positions MXCSR and the x87 status word share.
enum FloatFlags : u8 {
  kFeInvalid = 1,
  kFeDenormal = 2,
  kFeDivZero = 4,
  kFeOverflow = 8,
  kFeUnderflow = 16,
  kFeInexact = 32
};
enum FloatRound : u8 { kRoundNearest = 0, kRoundDown = 1, kRoundUp = 2, kRoundZero = 3 };

struct FloatEnv {
  u8 round = kRoundNearest;
  u8 precision = 64;  // F80 results: significand bits, 24, 53 or 64 (x87 precision control)
  bool daz = false;   // denormal operands are zeros (SSE)
  bool ftz = false;   // underflowing results are zeros, if underflow is masked (SSE)
  u8 masked = 0x3f;   // exceptions that are masked: unmasked underflow/overflow change results (x87: biased by 24576)
                      // and when underflow is flagged (SDM Vol. 1, 4.9.1.5)
  u8 flags = 0;       // raised so far: FloatFlags, accumulated
  bool denormal_operand = false;  // x87: a memory operand was denormal in its own format before it was widened
  bool c1 = false;                // x87: the last result was rounded up (away from zero in magnitude)
};

enum FloatCmp : u8 { kCmpLess = 0, kCmpEqual = 1, kCmpGreater = 2, kCmpUnordered = 3 };

// f32, f64: SSE rules. A NaN operand gives the first operand's NaN, else the second's, quieted; no NaN
// operand gives the default NaN (sign set, quiet bit only).
u32 f32_add(u32 a, u32 b, FloatEnv& e);
u32 f32_sub(u32 a, u32 b, FloatEnv& e);
u32 f32_mul(u32 a, u32 b, FloatEnv& e);
u32 f32_div(u32 a, u32 b, FloatEnv& e);
u32 f32_sqrt(u32 a, FloatEnv& e);
u32 f32_fma(u32 a, u32 b, u32 c, FloatEnv& e);  // a * b + c, one rounding
u64 f64_add(u64 a, u64 b, FloatEnv& e);
u64 f64_sub(u64 a, u64 b, FloatEnv& e);
u64 f64_mul(u64 a, u64 b, FloatEnv& e);
u64 f64_div(u64 a, u64 b, FloatEnv& e);
u64 f64_sqrt(u64 a, FloatEnv& e);
u64 f64_fma(u64 a, u64 b, u64 c, FloatEnv& e);
// `quiet`: only signalling NaNs are invalid (UCOMISS, CMPEQ); else any NaN is (COMISS, CMPLT).
FloatCmp f32_compare(u32 a, u32 b, bool quiet, FloatEnv& e);
FloatCmp f64_compare(u64 a, u64 b, bool quiet, FloatEnv& e);
u32 f32_round_int(u32 a, u8 round, bool suppress_inexact, FloatEnv& e);  // ROUNDSS and FRNDINT-like
u64 f64_round_int(u64 a, u8 round, bool suppress_inexact, FloatEnv& e);
u64 f32_to_f64(u32 a, FloatEnv& e);
u32 f64_to_f32(u64 a, FloatEnv& e);
// To integers with rounding mode `round`; out of range or NaN: invalid and the integer indefinite (MIN).
s32 f32_to_i32(u32 a, u8 round, FloatEnv& e);
s64 f32_to_i64(u32 a, u8 round, FloatEnv& e);
s32 f64_to_i32(u64 a, u8 round, FloatEnv& e);
s64 f64_to_i64(u64 a, u8 round, FloatEnv& e);
u32 i32_to_f32(s32 a, FloatEnv& e);
u32 i64_to_f32(s64 a, FloatEnv& e);
u64 i32_to_f64(s32 a, FloatEnv& e);
u64 i64_to_f64(s64 a, FloatEnv& e);
// Half precision (F16C): f16 in the low 16 bits.
u32 f16_to_f32(u16 a, FloatEnv& e);
u16 f32_to_f16(u32 a, u8 round, FloatEnv& e);

// F80: x87 rules. Two NaNs: the one with the larger significand (SDM Vol. 1, table 4-7); unsupported
// encodings (unnormals, pseudo-NaNs, pseudo-infinities) are invalid; pseudo-denormals are accepted.
F80 f80_add(F80 a, F80 b, FloatEnv& e);
F80 f80_sub(F80 a, F80 b, FloatEnv& e);
F80 f80_mul(F80 a, F80 b, FloatEnv& e);
F80 f80_div(F80 a, F80 b, FloatEnv& e);
F80 f80_sqrt(F80 a, FloatEnv& e);
FloatCmp f80_compare(F80 a, F80 b, bool quiet, FloatEnv& e);
F80 f80_round_int(F80 a, FloatEnv& e);
F80 f80_from_f32(u32 a, FloatEnv& e);
F80 f80_from_f64(u64 a, FloatEnv& e);
F80 f80_from_i64(s64 a);
u32 f80_to_f32(F80 a, FloatEnv& e);
u64 f80_to_f64(F80 a, FloatEnv& e);
s16 f80_to_i16(F80 a, u8 round, FloatEnv& e);
s32 f80_to_i32(F80 a, u8 round, FloatEnv& e);
s64 f80_to_i64(F80 a, u8 round, FloatEnv& e);

constexpr u32 kF32DefaultNan = 0xffc00000u;
constexpr u64 kF64DefaultNan = 0xfff8000000000000u;
constexpr F80 kF80DefaultNan{0xc000000000000000u, 0xffff};

}  // namespace oriel
