// Fuzzes the decoder and the disassembler: any bytes, in all three modes, from a buffer of exactly the
// bytes given, so that reading past them is an AddressSanitizer error.
#include <cstdlib>
#include <memory>

#include "x86/decode.h"

using namespace oriel;

namespace {
void check(bool ok) {
  if (!ok) std::abort();
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  if (size == 0) return 0;
  if (size > 15) size = 15;
  const std::unique_ptr<u8[]> bytes(new u8[size]);
  std::memcpy(bytes.get(), data, size);
  for (CodeMode mode : {CodeMode::k16, CodeMode::k32, CodeMode::k64}) {
    Insn i;
    std::memset(&i, 0xa5, sizeof i);
    if (decode(bytes.get(), size, mode, i) == DecodeStatus::kNeedBytes) {
      check(size < 15);
      continue;
    }
    check(i.len >= 1 && i.len <= 15 && i.len <= size);
    check(i.op < OP_COUNT && form_of(i.op) < kFormCount);
    if (i.op > OP_LONG) {
      check(i.osz <= 3 && i.asz >= 1 && i.asz <= 3 && i.scale <= 3 && i.seg <= kGS);
      check(i.base < kGprSlots && i.index <= kZero && i.vvvv <= 15);
      check(i.reg < 128 && i.rm < 128);
      // The instruction depends on its own bytes alone.
      const std::unique_ptr<u8[]> own(new u8[i.len]);
      std::memcpy(own.get(), data, i.len);
      Insn j;
      std::memset(&j, 0xa5, sizeof j);
      check(decode(own.get(), i.len, mode, j) == DecodeStatus::kOk && std::memcmp(&i, &j, sizeof i) == 0);
      if (i.len > 1) check(decode(own.get(), i.len - 1, mode, j) == DecodeStatus::kNeedBytes);
    }
    char text[160];
    const usize n = disassemble(i, mode, 0xfffffffffffffff0, text, sizeof text);
    check(n > 0 && n < sizeof text && text[n] == 0);
    char small[8];
    const usize m = disassemble(i, mode, 0, small, size % 8 + 1);
    check(m <= size % 8 && small[m] == 0);
    (void)ends_block(i);
  }
  return 0;
}
