#include "bench/payload_machine.h"

#include <algorithm>
#include <cstdio>

#include "bench/firmware_bin.h"

namespace oriel::bench {

namespace {

// Offsets in the firmware, which is the last 4 KiB of the BIOS image.
enum : usize { kEmptyAt = 0xfd0, kSizeAt = 0xfe0, kAddressAt = 0xfe4, kBitsAt = 0xff3 };
constexpr usize kFirmwareBytes = sizeof kBenchFirmware;
static_assert(kFirmwareBytes == 4096);
constexpr usize kRomUnit = 65536;

std::vector<u8> make_image(const std::vector<u8>& code, unsigned bits) {
  const usize size = (code.size() + kFirmwareBytes + kRomUnit - 1) / kRomUnit * kRomUnit;
  std::vector<u8> image(size);
  std::copy(code.begin(), code.end(), image.begin());
  u8* firmware = image.data() + size - kFirmwareBytes;
  std::copy(std::begin(kBenchFirmware), std::end(kBenchFirmware), firmware);
  store<u32>(firmware + kSizeAt, static_cast<u32>(code.size()));
  store<u32>(firmware + kAddressAt, static_cast<u32>((u64{1} << 32) - size));
  firmware[kBitsAt] = static_cast<u8>(bits);
  return image;
}

// Vectors that push an error code (SDM Vol. 3, table 6-1).
bool has_error_code(u32 vector) { return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17; }

constexpr const char* kExceptions[] = {"#DE", "#DB", "NMI", "#BP", "#OF", "#BR",   "#UD", "#NM", "#DF", nullptr,
                                       "#TS", "#NP", "#SS", "#GP", "#PF", nullptr, "#MF", "#AC", "#MC", "#XM"};

}  // namespace

std::unique_ptr<PayloadMachine> PayloadMachine::create(Host& host, const PayloadConfig& config, std::string& error) {
  if (config.code.empty())
    error = "is empty";
  else if (config.code.size() > kMaxPayload)
    error = "is longer than the " + std::to_string(kMaxPayload >> 20) + " MiB that a payload may have";
  if (!error.empty()) return nullptr;
  std::unique_ptr<PayloadMachine> m(new PayloadMachine(config.bits));
  MachineConfig c;
  c.memory_bytes = kMemoryBytes;
  c.ram = config.ram;
  c.deterministic = true;
  c.jit = config.jit;
  c.jit_limits = config.jit_limits;
  c.bios = make_image(config.code, config.bits);
  c.bench_port = &m->port_;
  m->machine_ = Machine::create(host, std::move(c), error);
  return m->machine_ ? std::move(m) : nullptr;
}

void PayloadMachine::call(u64 count) {
  count_ = count;
  if (phase_ == Phase::kCalls) port_.call(kPayloadAddress, count);
}

PayloadMachine::Step PayloadMachine::step(u64 max_insns) {
  const MachineStatus status = machine_->run(max_insns, ~u64{0});
  if (status == MachineStatus::kTripleFault) {
    dump_ = machine_->triple_fault_report();
    return fail("a triple fault");
  }
  if (!port_.fault().empty()) return fail(fault_text());
  if (!port_.ready()) {
    if (status == MachineStatus::kRunning) return Step::kRunning;
    return fail(status == MachineStatus::kIdle ? "it halted, and interrupts are off" : "it switched the machine off");
  }
  if (phase_ == Phase::kBoot) {
    port_.call(load<u32>(kBenchFirmware + kEmptyAt), 0);
    phase_ = Phase::kEmptyCall;
    return Step::kRunning;
  }
  if (!port_.ended()) return fail("it reset the machine");
  const BenchPort::Mark from = port_.first(), to = port_.last();
  const u64 instructions = to.instructions - from.instructions;
  if (phase_ == Phase::kEmptyCall) {
    around_ = instructions - 1;  // a RET was called
    phase_ = Phase::kCalls;
    call(count_);
    return Step::kRunning;
  }
  outcome_ = {port_.result(), instructions - around_, to.rep_iterations - from.rep_iterations,
              to.host_ns - from.host_ns, to.cpu_ns - from.cpu_ns};
  return Step::kReturned;
}

PayloadMachine::Step PayloadMachine::fail(std::string what) {
  failure_ = std::move(what);
  return Step::kFailed;
}

// What firmware.asm sends of an exception: the vector, CR2, and two entries of the stack.
std::string PayloadMachine::fault_text() const {
  const std::vector<u32>& words = port_.fault();
  const bool wide = bits_ == 64;
  auto value = [&](usize n) {
    const usize at = wide ? 1 + 2 * n : 1 + n;
    if (at + wide >= words.size()) return u64{0};
    return wide ? words[at] | u64{words[at + 1]} << 32 : u64{words[at]};
  };
  const u32 vector = words[0];
  const bool coded = has_error_code(vector);
  const char* name = vector < std::size(kExceptions) ? kExceptions[vector] : nullptr;
  char text[160];
  usize n =
      static_cast<usize>(std::snprintf(text, sizeof text, "%s (vector %u) at 0x%llx", name ? name : "an exception",
                                       vector, static_cast<unsigned long long>(value(coded ? 2 : 1))));
  if (coded)
    n += static_cast<usize>(
        std::snprintf(text + n, sizeof text - n, ", error code 0x%x", static_cast<unsigned>(value(1))));
  if (vector == 14)
    std::snprintf(text + n, sizeof text - n, ", address 0x%llx", static_cast<unsigned long long>(value(0)));
  return text;
}

}  // namespace oriel::bench
