// The text of jit::print(), read.
#pragma once

#include <string>

#include "jit/ir/ir.h"

namespace oriel {

// The blocks of a unit, without its guest instructions. False where it is no such text.
bool parse_ir(const std::string& text, jit::Unit& unit);

}  // namespace oriel
