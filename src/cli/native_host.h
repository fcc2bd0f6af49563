// The host as every native command has it: the clocks, and messages on stderr.
#pragma once

#include <time.h>

#include <cstdio>
#include <string>

#include "cli/options.h"
#include "host/host.h"

namespace oriel::cli {

class NativeHost : public Host {
 public:
  u64 monotonic_ns() override { return clock_ns(CLOCK_MONOTONIC); }
  u64 wall_clock_s() override { return clock_ns(CLOCK_REALTIME) / 1'000'000'000; }
  u64 cpu_ns() override { return clock_ns(CLOCK_PROCESS_CPUTIME_ID); }
  void log(LogLevel level, const char* text) override {
    if (level <= LogLevel::kWarn) std::fprintf(stderr, "oriel: %s\n", text);
  }
  void serial_output(unsigned, const u8*, usize) override {}
  void debug_output(u8) override {}

 private:
  static u64 clock_ns(clockid_t id) {
    timespec t;
    ::clock_gettime(id, &t);
    return static_cast<u64>(t.tv_sec) * 1'000'000'000 + static_cast<u64>(t.tv_nsec);
  }
};

// Says what is wrong with a call or an input; the exit status.
inline int usage(const std::string& error) {
  std::fprintf(stderr, "oriel: %s\n", error.c_str());
  return kUsage;
}

}  // namespace oriel::cli
