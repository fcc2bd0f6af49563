// A payload without an operating system: a flat binary in a machine of its own, whose firmware (firmware.asm) sets up
// 32-bit protected mode or 64-bit mode with paging, the FPU, SSE and AVX, and calls it, as often as it is asked to:
//
//   ECX or RCX   the count that is passed
//   EDI or RDI   a scratch buffer of 1 MiB, zeroed before each call
//   EAX or RAX   what the payload returns by RET: its result
//
// The other general registers are 0 but ESP or RSP, which has nearly 1 MiB of stack below it, aligned as a C compiler
// expects it. Interrupts are off. The payload is as in its file before each call. The pages next to stack, payload and
// buffer are not mapped. The clock counts instructions, so a run is the same every time and in every tier.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "devices/bench_port.h"
#include "machine/machine.h"

namespace oriel::bench {

struct PayloadConfig {
  std::vector<u8> code;
  unsigned bits = 64;  // 32 or 64
  bool jit = false;
  jit::Config jit_limits;
  u8* ram = nullptr;  // PayloadMachine::kMemoryBytes, zeroed; from the host
};

// A call that returned. From the payload's first instruction to its RET, which is the last one counted.
struct Outcome {
  u64 result = 0, instructions = 0, rep_iterations = 0, host_ns = 0, cpu_ns = 0;
};

class PayloadMachine {
 public:
  static constexpr u64 kMemoryBytes = 16 << 20;
  static constexpr usize kMaxPayload = 1 << 20;
  static constexpr u64 kPayloadAddress = 0x200000;

  // Null and one line in `error` for a payload that cannot be.
  static std::unique_ptr<PayloadMachine> create(Host& host, const PayloadConfig& config, std::string& error);

  enum class Step : u8 { kRunning, kReturned, kFailed };
  void call(u64 count);
  // Goes on with the call, for `max_insns` instructions at the most.
  Step step(u64 max_insns);
  const Outcome& outcome() const { return outcome_; }
  // After kFailed: what the payload did, in one line, and the processor's state where that helps.
  const std::string& failure() const { return failure_; }
  const std::string& dump() const { return dump_; }
  Machine& machine() { return *machine_; }

 private:
  // The firmware starts, calls nothing (a RET alone) for the number of instructions around a call, and then the
  // payload.
  enum class Phase : u8 { kBoot, kEmptyCall, kCalls };

  explicit PayloadMachine(unsigned bits) : bits_(bits) {}
  Step fail(std::string what);
  std::string fault_text() const;

  unsigned bits_;
  BenchPort port_;
  std::unique_ptr<Machine> machine_;
  Phase phase_ = Phase::kBoot;
  u64 count_ = 0;
  u64 around_ = 0;  // instructions between the marks that are not the payload's
  Outcome outcome_;
  std::string failure_, dump_;
};

}  // namespace oriel::bench
