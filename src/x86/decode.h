// The one decoder: bytes to Insn, driven by kForms. SDM Vol. 2, chapters 2 and 3, appendix A.
#pragma once

#include "x86/forms.h"
#include "x86/insn.h"

namespace oriel {

enum class DecodeStatus : u8 {
  kOk,         // `out` is complete; an invalid encoding is kOk with op OP_UD, an over-long one OP_LONG
  kNeedBytes,  // the instruction goes on beyond the `n` bytes given (n < 15)
};

// Decodes one instruction from `n` (1 to 15) bytes at `p`. For OP_UD, out.len is the number of bytes
// looked at; for OP_LONG it is 15. No state, no allocation, safe on any input.
DecodeStatus decode(const u8* p, usize n, CodeMode mode, Insn& out);

// Intel-syntax text of a decoded instruction at address `rip` into `buf` (always terminated).
// Returns the text's length, at most size - 1.
usize disassemble(const Insn& i, CodeMode mode, u64 rip, char* buf, usize size);

// True when the form of `i` ends a block (FormAttr::END).
bool ends_block(const Insn& i);

}  // namespace oriel
