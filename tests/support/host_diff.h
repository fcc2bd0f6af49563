// What the differential tests share: random encodings of a form, and running code on this machine's own processor.
// x86-64 hosts under Linux only.
#pragma once

#include <string>

#include "support/diff_state.h"
#include "support/guest_cpu.h"

namespace oriel {

class HostCpu {
 public:
  static bool has_avx();  // AVX, AVX2, FMA and F16C
  HostCpu();              // maps the fixed addresses and installs signal handlers
  u8* data() { return reinterpret_cast<u8*>(kDiffData); }
  // As GuestCpu::run().
  void run(CpuState& s, const u8* code, unsigned len);

 private:
  static constexpr unsigned kBackLen = 7;  // of the jump behind the tested code
  unsigned last_len_ = 0;
};

// A random encoding of `f` for 64-bit mode. A memory operand is [RBX + disp32], disp a multiple of `align` below 512.
// False when the registers picked cannot be used (RSP as an operand that is written).
struct Encoding {
  u8 bytes[32];
  unsigned len = 0;  // without what follows the ModRM operand; random bytes come after it
  bool memory = false;
  unsigned reg = 0, rm = 0, vvvv = 0;
  unsigned vector_index = 0;  // of a gather
  s32 disp = 0;
};
bool encode(const Form& f, Random& rnd, unsigned align, Encoding& e);

}  // namespace oriel
