// Random encodings of a form, and a state in which its memory operand lies where it should.
#pragma once

#include "support/diff_state.h"

namespace oriel {

struct EncodeOptions {
  CodeMode mode = CodeMode::k64;  // k32 or k64
  unsigned align = 1;             // of the displacement below
  // Every addressing form, with segment overrides and address sizes; otherwise a memory operand is [RBX + disp32],
  // disp a multiple of `align` below 512.
  bool any_address = false;
};

struct Encoding {
  u8 bytes[40];
  unsigned len = 0;  // without what follows the ModRM operand; random bytes come after it
  bool memory = false;
  unsigned reg = 0, rm = 0, vvvv = 0;
  unsigned vector_index = 0;            // of a gather
  unsigned disp_at = 0, disp_size = 0;  // displacement in `bytes`
};
// False when the registers picked cannot be used (RSP as an operand that is written).
bool encode(const Form& f, Random& rnd, const EncodeOptions& o, Encoding& e);

// Sets registers or the displacement so that the memory operand of `i` (as decoded from `e`, which is decoded anew when
// the displacement changes) is at linear address `target` or as near to it as can be; `at` is where it is then. False
// when that is somewhere that another program's memory might be.
bool place_operand(Encoding& e, Insn& i, CodeMode mode, u64 target, Random& rnd, CpuState& s, u64& at);
// Linear address of the memory operand of `i` from the registers of `s`, for an instruction that ends at `next`.
u64 operand_address(const Insn& i, CodeMode mode, const CpuState& s, u64 next);
// The base that is added to addresses in segment `seg`.
u64 segment_base(unsigned seg, const CpuState& s);
// Whether it is known what an access of a page's length at most at `at` comes to, on the host as here.
bool known_address(u64 at);
// An address to access: most of the time in the data, else at the edge of what can be accessed.
u64 random_target(Random& rnd, CodeMode mode, unsigned align);

}  // namespace oriel
