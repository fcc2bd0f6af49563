// For comparing compiled code with tier 0 (--verify-jit): the registers that instructions compute, as a number and as
// text, and mistakes that a test of the comparison makes.
#pragma once

#include <string>

#include "cpu/cpu.h"
#include "jit/ir/ir.h"

namespace oriel::jit {

// Of what compiled code keeps: general registers, RIP, flags, segments, control registers, x87, vector registers. 52
// bits.
u64 register_hash(const Cpu& c);
// The same, a line for each: NAME=value.
std::string register_text(const Cpu& c);

// Config::plant
enum Plant : u32 { kPlantNone, kPlantSubtract, kPlantNoStore };
// Additions subtract; stores to memory do nothing.
void plant_mistake(Unit& unit, u32 plant);

}  // namespace oriel::jit
