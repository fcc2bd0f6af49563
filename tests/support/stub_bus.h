// A CpuBus with nothing on it, for tests that run the processor alone.
#pragma once

#include "cpu/cpu.h"

namespace oriel {

class StubBus : public CpuBus {
 public:
  u32 port_read(u16, unsigned) override { return ~0u; }
  void port_write(u16, u32, unsigned) override {}
  u8 interrupt_acknowledge() override { return 0; }
  u64 tsc() override { return 0; }
  u64 apic_base() override { return 0; }
  bool set_apic_base(u64) override { return true; }
  u64 tsc_deadline() override { return 0; }
  void set_tsc_deadline(u64) override {}
  u8 tpr() override { return 0; }
  void set_tpr(u8) override {}
};

}  // namespace oriel
