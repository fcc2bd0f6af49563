// When the host's own arithmetic may stand for that of SSE, bit for bit and flag for flag (lift_fp.cpp).
#pragma once

#include "base/types.h"

namespace oriel::jit {

// MXCSR: every exception masked, rounding to nearest, and "inexact" raised already. DAZ and FTZ do not matter while no
// denormal is in sight.
constexpr u32 kHostArithmeticMask = 0x7fa0, kHostArithmetic = 0x1fa0;

// An ordinary number is normal and above the least exponent: no underflow can hide behind it. The test, on the upper
// half of an f64 or on an f32: (bits << 1) - kFpLeast < kFpLimit.
constexpr u32 kFpLeast64 = 2u << 21, kFpLimit64 = (0x7ffu << 21) - kFpLeast64;
constexpr u32 kFpLeast32 = 2u << 24, kFpLimit32 = (0xffu << 24) - kFpLeast32;

}  // namespace oriel::jit
