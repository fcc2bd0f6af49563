// Where compiled code finds state of the processor that it does not keep in variables.
#pragma once

#include "cpu/cpu.h"

namespace oriel::jit {

// Cpu has a virtual base, so that offsetof is "conditionally supported"; clang does support it.
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Winvalid-offsetof"
constexpr u64 kSegOffset = offsetof(Cpu, seg), kRflagsOffset = offsetof(Cpu, rflags),
              kCcResOffset = offsetof(Cpu, cc_res), kCcAuxOffset = offsetof(Cpu, cc_aux);
#pragma clang diagnostic pop

}  // namespace oriel::jit
