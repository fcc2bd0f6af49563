// Running code on this machine's own processor, as GuestCpu does in tier 0. x86-64 hosts under Linux only.
#pragma once

#include <string>

#include "support/diff_state.h"
#include "support/guest_cpu.h"

namespace oriel {

class HostCpu {
 public:
  static bool has_avx();        // AVX, AVX2, FMA and F16C
  HostCpu();                    // maps the fixed addresses and installs signal handlers
  u8* data() { return data_; }  // at kDiffData, but compilers take a constant address for no object's
  // As GuestCpu::run().
  void run(CpuState& s, const u8* code, unsigned len);

 private:
  static constexpr unsigned kBackLen = 7;  // of the jump behind the tested code
  u8* data_;
  unsigned last_len_ = 0;
};

}  // namespace oriel
