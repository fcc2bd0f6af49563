// Where compiled code finds state of the processor that it does not keep in variables.
#pragma once

#include "cpu/cpu.h"

namespace oriel::jit {

// Cpu has a virtual base, so that offsetof is "conditionally supported"; clang does support it.
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Winvalid-offsetof"
constexpr u64 kSegOffset = offsetof(Cpu, seg), kRflagsOffset = offsetof(Cpu, rflags),
              kCcResOffset = offsetof(Cpu, cc_res), kCcAuxOffset = offsetof(Cpu, cc_aux),
              kXmmOffset = offsetof(Cpu, xmm), kYmmHighOffset = offsetof(Cpu, ymm_hi),
              kXcr0Offset = offsetof(Cpu, xcr0), kFpuOffset = offsetof(Cpu, fpu), kMxcsrOffset = offsetof(Cpu, mxcsr),
              kCr0Offset = offsetof(Cpu, cr0), kCr4Offset = offsetof(Cpu, cr4), kJitOffset = offsetof(Cpu, jit),

              kCodeKeyOffset = offsetof(Cpu, code_key);
#pragma clang diagnostic pop

}  // namespace oriel::jit
