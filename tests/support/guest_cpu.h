// Tier 0 as a user program under Linux sees a processor: CPL 3, paging on, the memory of diff_state.h.
#pragma once

#include <memory>

#include "support/diff_state.h"
#include "support/stub_bus.h"

namespace oriel {

class GuestCpu {
 public:
  GuestCpu();
  void set_data(const u8* p) { mem_.write(kPhysData, p, kDiffDataSize); }
  const u8* data() { return ram_.get() + kPhysData; }
  // Runs `len` bytes of code at kDiffStart from the state `s`, until control reaches its end or a stop, or an
  // exception; `steps`: one instruction at a time. In 64- or 32-bit mode by s.sel[kCS].
  void run(CpuState& s, const u8* code, unsigned len, bool steps = false);

 private:
  // Physical addresses. The tables are mapped into the kernel's half alone.
  static constexpr u64 kRamSize = 1 << 20, kPml4 = 0x1000, kPdpt = 0x2000, kPd = 0x3000, kPt = 0x4000, kGdt = 0x5000,
                       kIdt = 0x6000, kTss = 0x7000, kStubs = 0x8000, kStack = 0xa000, kKernelPdpt = 0xb000,
                       kKernelPd = 0xc000, kPhysCode = 0x20000, kPhysData = 0x30000;
  static constexpr u64 kKernel = 0xffff800000000000;  // linear, of physical 0
  static constexpr u16 kGdtLimit = 0x7f;
  void set_segment(unsigned s, u16 sel);
  void load(const CpuState& s);
  void save(CpuState& s);

  unsigned last_len_ = 0;
  std::unique_ptr<u8[]> ram_;
  PhysMem mem_;
  StubBus bus_;

  std::unique_ptr<Cpu, Cpu::Delete> place_;

 public:
  Cpu& cpu;
};

}  // namespace oriel
