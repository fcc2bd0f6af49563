// Ports and memory through which a test program that runs on the bare machine reports and provokes: not a part of a
// PC, and there only when asked for. The layout is the one that test suites for virtual machines expect (what QEMU
// calls pc-testdev and isa-debug-exit):
//
//   E0-E3      four bytes that are read as they were written, at any width
//   E4-E7      written to tell the machine to forget what it knows of a page: there is nothing to do
//   F4-F7      a write ends the run; zero is success
//   2000-2017  interrupt line n as an edge or level: 0 low, anything else high
//   FF000000   64 KiB of registers that are read as they were written
#pragma once

#include <array>

#include "devices/device.h"

namespace oriel {

class TestDevice final : public Device, public PortHandler, public MmioHandler {
 public:
  static constexpr u16 kScratch = 0xe0, kExit = 0xf4, kLines = 0x2000;
  static constexpr u32 kScratchSize = 8, kExitSize = 4, kLineCount = 24;
  static constexpr u64 kMemory = 0xff000000, kMemorySize = 0x10000;
  struct Hooks {
    std::function<void(u32 status)> exit;
    std::function<void(unsigned line, bool level)> set_line;
  };
  explicit TestDevice(Hooks hooks) : hooks_(std::move(hooks)) {}
  u32 port_read(u16 port, unsigned size) override;
  void port_write(u16 port, u32 value, unsigned size) override;
  u64 mmio_read(u64 offset, unsigned size) override;
  void mmio_write(u64 offset, u64 value, unsigned size) override;
  const char* name() const override { return "test_device"; }
  void reset() override;
  void state(State& s) override;

 private:
  Hooks hooks_;
  std::array<u8, 4> scratch_ = {};
  std::array<u8, kMemorySize> memory_ = {};
};

}  // namespace oriel
