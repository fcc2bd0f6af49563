// The benchmark suite's 64-bit payloads on this machine's own processor, against what suite.cpp says they compute.
#include <sys/mman.h>

#include <cstdio>
#include <cstring>

#include "bench/suite.h"
#include "support/check.h"

using namespace oriel;

namespace {

constexpr usize kScratch = 1 << 20;

// Calls a payload as payload_machine.h describes it.
u64 call(const u8* code, u64 count, u8* scratch) {
  u64 result;
  // The red zone is skipped; the frame pointer is saved by hand, for it cannot be a clobber.
  asm volatile(
      "sub $128, %%rsp\n\t"
      "push %%rbp\n\t"
      "call *%%rax\n\t"
      "pop %%rbp\n\t"
      "add $128, %%rsp"
      : "=a"(result), "+c"(count), "+D"(scratch)
      : "a"(code)
      : "rbx", "rdx", "rsi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm0", "xmm1", "xmm2", "xmm3",
        "xmm4", "xmm5", "xmm6", "xmm7", "memory", "cc");
  return result;
}

}  // namespace

int main() {
  constexpr usize kCode = 65536;
  void* p = ::mmap(nullptr, kCode + kScratch, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(p != MAP_FAILED);
  u8* code = static_cast<u8*>(p);
  u8* scratch = code + kCode;
  unsigned called = 0;
  for (const bench::SuiteEntry& e : bench::suite()) {
    const std::vector<u8> bytes = e.code();
    CHECK(!bytes.empty() && bytes.size() < kCode);
    if (e.bits != 64) continue;
    std::memcpy(code, bytes.data(), bytes.size());
    for (const u64 count : {1u, 2u, 3u, 64u, 1000u, 300'007u}) {
      std::memset(scratch, 0, kScratch);
      const u64 result = call(code, count, scratch), expected = e.reference(count);
      if (result != expected)
        std::printf("%s, %llu times: %016llx, expected %016llx\n", e.full_name().c_str(),
                    static_cast<unsigned long long>(count), static_cast<unsigned long long>(result),
                    static_cast<unsigned long long>(expected));
      CHECK(result == expected);
      called++;
    }
  }
  CHECK(called == 9 * 6);
  std::printf("bench: %d checks passed, %d failed\n", g_passed, g_failed);
  return g_failed != 0;
}
