// The look into tier 0's jump cache that compiled code takes, within a unit and from one to another.
#pragma once

#include "jit/wasm/emit.h"
#include "jit/wasm/writer.h"

namespace oriel::jit {

// Whether the jump cache knows the address in local `lin` (of 64 bits if `wide`), onto the stack; `jump`: an i32 local
// for where in the cache that is.
void find_jump(Writer& w, const Addresses& at, u32 lin, u32 jump, bool wide);

}  // namespace oriel::jit
