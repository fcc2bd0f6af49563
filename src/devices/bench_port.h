// The ports through which the firmware of a benchmark (src/bench/firmware.asm) learns what to call and reports: not a
// part of a PC, and there only for benchmarks. 32 bits each:
//
//   5F0   read: the address to call; written: ready for the next call, or done for good after a fault
//   5F4   read: the count to pass, low half; written: the call begins; written again: it ended, low half of its result
//   5F8   the upper halves
//   5FC   written: vector, CR2 and what is on the stack of an exception, in words of 32 bits
#pragma once

#include <functional>
#include <vector>

#include "devices/device.h"

namespace oriel {

class BenchPort final : public PortHandler {
 public:
  static constexpr u16 kBase = 0x5f0;
  static constexpr u32 kSize = 16;

  // How far the machine is, without the instruction being executed.
  struct Mark {
    u64 instructions = 0, rep_iterations = 0, host_ns = 0, cpu_ns = 0;
  };
  struct Machine {
    std::function<Mark()> mark;
    std::function<void()> stop;  // ends run() soon
  };
  void attach(Machine machine) { machine_ = std::move(machine); }

  // What the guest is told next, and what it has said since.
  void call(u32 target, u64 count);
  bool ready() const { return ready_; }
  bool began() const { return marks_ > 0; }
  bool ended() const { return marks_ == 2; }
  Mark first() const { return first_; }
  Mark last() const { return last_; }
  u64 result() const { return result_; }
  const std::vector<u32>& fault() const { return fault_; }

  u32 port_read(u16 port, unsigned size) override;
  void port_write(u16 port, u32 value, unsigned size) override;

 private:
  Machine machine_;
  u32 target_ = 0;
  u64 count_ = 0, result_ = 0;
  unsigned marks_ = 0;
  Mark first_, last_;
  bool ready_ = false;
  std::vector<u32> fault_;
};

}  // namespace oriel
