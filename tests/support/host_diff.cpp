#include "support/host_diff.h"

#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace oriel {

namespace {

// At this address, and addressed absolutely by the stubs below.
constexpr u64 kState = 0x0ff00000;
struct HostState {
  u64 gpr[16];
  u64 flags;     // +80
  u64 host_rsp;  // +88
  u64 inside;    // +90: the tested code runs
  s64 vector;    // +98
  u64 avx;       // +a0: nonzero if the host has it
  u64 pad[11];
  alignas(64) u8 fx[512];       // +100
  alignas(64) u8 host_fx[512];  // +300
  u8 ymm_hi[256];               // +500
  struct {
    u32 offset;
    u16 selector;
  } entry;               // +600: where the tested code starts
  u64 back;              // +608
  u16 sel[8];            // +610: by SegReg
  u64 fs_base, gs_base;  // +620, +628
  u64 host_fs, host_gs;  // +630, +638
  u64 rip, error, cr2;   // of an exception
  u16 cs;
  u32 signals;  // of this run
};
static_assert(offsetof(HostState, fx) == 0x100 && offsetof(HostState, host_fx) == 0x300 &&
              offsetof(HostState, ymm_hi) == 0x500 && offsetof(HostState, entry) == 0x600 &&
              offsetof(HostState, back) == 0x608 && offsetof(HostState, sel) == 0x610 &&
              offsetof(HostState, host_gs) == 0x638);
HostState* const hs = reinterpret_cast<HostState*>(kState);

extern "C" void oriel_host_run();
extern "C" void oriel_host_back();
asm(R"(
.text
.macro oriel_upper_halves from
.set at, 0x0ff00500
.irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
.if \from
  vinsertf128 $1, at, %ymm\n, %ymm\n
.else
  vextractf128 $1, %ymm\n, at
.endif
.set at, at + 16
.endr
.endm
.globl oriel_host_run
oriel_host_run:
  push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15
  mov %rsp, 0x0ff00088
  fxsave64 0x0ff00300
  fxrstor64 0x0ff00100
  cmpq $0, 0x0ff000a0
  je 1f
  oriel_upper_halves 1
1:
  rdfsbase %rax
  mov %rax, 0x0ff00630
  rdgsbase %rax
  mov %rax, 0x0ff00638
  mov 0x0ff00610, %es
  mov 0x0ff00616, %ds
  mov 0x0ff00618, %fs
  mov 0x0ff0061a, %gs
  mov 0x0ff00620, %rax
  wrfsbase %rax
  mov 0x0ff00628, %rax
  wrgsbase %rax
  pushq 0x0ff00080
  popfq
  mov 0x0ff00000, %rax
  mov 0x0ff00008, %rcx
  mov 0x0ff00010, %rdx
  mov 0x0ff00018, %rbx
  mov 0x0ff00020, %rsp
  mov 0x0ff00028, %rbp
  mov 0x0ff00030, %rsi
  mov 0x0ff00038, %rdi
  mov 0x0ff00040, %r8
  mov 0x0ff00048, %r9
  mov 0x0ff00050, %r10
  mov 0x0ff00058, %r11
  mov 0x0ff00060, %r12
  mov 0x0ff00068, %r13
  mov 0x0ff00070, %r14
  mov 0x0ff00078, %r15
  movq $1, 0x0ff00090
  ljmp *0x0ff00600
.globl oriel_host_back
oriel_host_back:
  movq $0, 0x0ff00090
  mov %rax, 0x0ff00000
  mov %rcx, 0x0ff00008
  mov %rdx, 0x0ff00010
  mov %rbx, 0x0ff00018
  mov %rsp, 0x0ff00020
  mov %rbp, 0x0ff00028
  mov %rsi, 0x0ff00030
  mov %rdi, 0x0ff00038
  mov %r8, 0x0ff00040
  mov %r9, 0x0ff00048
  mov %r10, 0x0ff00050
  mov %r11, 0x0ff00058
  mov %r12, 0x0ff00060
  mov %r13, 0x0ff00068
  mov %r14, 0x0ff00070
  mov %r15, 0x0ff00078
  mov 0x0ff00088, %rsp
  pushfq
  popq 0x0ff00080
  pushq $2
  popfq
  cmpq $0, 0x0ff000a0
  je 1f
  oriel_upper_halves 0
  vzeroupper
1:
  mov %es, 0x0ff00610
  mov %ss, 0x0ff00614
  mov %ds, 0x0ff00616
  mov %fs, 0x0ff00618
  mov %gs, 0x0ff0061a
  rdfsbase %rax
  mov %rax, 0x0ff00620
  rdgsbase %rax
  mov %rax, 0x0ff00628
  xor %eax, %eax
  mov %eax, %es
  mov %eax, %ds
  mov %eax, %fs
  mov %eax, %gs
  mov $0x2b, %eax
  mov %eax, %ss
  mov 0x0ff00630, %rax
  wrfsbase %rax
  mov 0x0ff00638, %rax
  wrgsbase %rax
  fxsave64 0x0ff00100
  fxrstor64 0x0ff00300
  pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx
  ret
)");

constexpr u8 kInt3 = 0xcc;

// The base of FS is the tested code's here: nothing thread-local may be used, as sanitizers do.
__attribute__((no_sanitize("address", "undefined", "coverage"))) void on_signal(int, siginfo_t*, void* context) {
  auto* uc = static_cast<ucontext_t*>(context);
  greg_t* const r = uc->uc_mcontext.gregs;
  if (!hs->inside || hs->signals++ > 2) {  // a mistake of ours, or the kernel cannot return to oriel_host_back
    asm volatile("wrfsbase %0" : : "r"(hs->host_fs));
    std::printf(
        "signal outside the tested code: exception %lld error %llx at %llx address %llx selectors %llx flags %llx\n",
        r[REG_TRAPNO], r[REG_ERR], r[REG_RIP], r[REG_CR2], r[REG_CSGSFS], r[REG_EFL]);
    std::fflush(stdout);
    _exit(1);
  }
  hs->vector = static_cast<s64>(r[REG_TRAPNO]);
  hs->rip = static_cast<u64>(r[REG_RIP]);
  hs->error = static_cast<u64>(r[REG_ERR]);
  hs->cr2 = static_cast<u64>(r[REG_CR2]);
  hs->cs = static_cast<u16>(r[REG_CSGSFS]);
  r[REG_CSGSFS] = static_cast<greg_t>((static_cast<u64>(r[REG_CSGSFS]) & ~u64{0xffff}) | kDiffCode64);
  r[REG_RIP] = reinterpret_cast<greg_t>(oriel_host_back);
}

u8* map_fixed(u64 at, usize n, int protection) {
  void* p = mmap(reinterpret_cast<void*>(at), n, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (p != reinterpret_cast<void*>(at)) std::perror("mmap"), std::exit(1);
  return static_cast<u8*>(p);
}

// Code below 4 GiB that 32-bit code can return to: jmp *back.
constexpr u64 kTrampoline = kState + 0x800;

}  // namespace

bool HostCpu::has_avx() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
}

HostCpu::HostCpu() {
  constexpr int kReadWrite = PROT_READ | PROT_WRITE;
  map_fixed(kState, 0x1000, kReadWrite | PROT_EXEC);
  map_fixed(kDiffCode, kDiffCodeSize, kReadWrite | PROT_EXEC);
  data_ = map_fixed(kDiffData, kDiffDataSize, kReadWrite);
  map_fixed(kDiffReadOnly, 0x1000, kReadWrite);
  std::memset(reinterpret_cast<u8*>(kDiffCode), kInt3, kDiffCodeSize);
  std::memset(reinterpret_cast<u8*>(kDiffReadOnly), kReadOnlyByte, 0x1000);
  mprotect(reinterpret_cast<u8*>(kDiffReadOnly), 0x1000, PROT_READ);
  hs->avx = has_avx();
  hs->back = reinterpret_cast<u64>(oriel_host_back);
  static constexpr u8 kJump[] = {0xff, 0x24, 0x25};  // jmp *disp32
  std::memcpy(reinterpret_cast<u8*>(kTrampoline), kJump, sizeof kJump);
  store<u32>(reinterpret_cast<u8*>(kTrampoline) + sizeof kJump, static_cast<u32>(kState + offsetof(HostState, back)));
  static u8 stack[65536];
  stack_t ss{};
  ss.ss_sp = stack;
  ss.ss_size = sizeof stack;
  sigaltstack(&ss, nullptr);
  struct sigaction sa{};
  sa.sa_sigaction = on_signal;
  sa.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  for (int s : {SIGFPE, SIGSEGV, SIGILL, SIGTRAP, SIGBUS}) sigaction(s, &sa, nullptr);
}

void HostCpu::run(CpuState& s, const u8* code, unsigned len) {
  u8* at = reinterpret_cast<u8*>(kDiffStart);
  std::memset(at, kInt3, last_len_);
  std::memcpy(at, code, len);
  last_len_ = len + kBackLen;
  at += len;
  if (s.sel[kCS] == kDiffCode32) {
    at[0] = 0xea;  // jmp far
    store<u32>(at + 1, static_cast<u32>(kTrampoline));
    store<u16>(at + 5, kDiffCode64);
  } else {
    static constexpr u8 kJump[] = {0xff, 0x24, 0x25};
    std::memcpy(at, kJump, sizeof kJump);
    store<u32>(at + sizeof kJump, static_cast<u32>(kState + offsetof(HostState, back)));
  }
  std::memcpy(hs->gpr, s.gpr, sizeof s.gpr);
  std::memcpy(hs->fx, s.fx, sizeof s.fx);
  std::memcpy(hs->ymm_hi, s.ymm_hi, sizeof s.ymm_hi);
  std::memcpy(hs->sel, s.sel, sizeof s.sel);
  hs->fs_base = s.fs_base, hs->gs_base = s.gs_base;
  hs->flags = s.flags;
  hs->entry.offset = static_cast<u32>(kDiffStart);
  hs->entry.selector = s.sel[kCS];
  hs->vector = -1;
  hs->signals = 0;
  hs->rip = kDiffStart + len;
  hs->cs = s.sel[kCS];
  oriel_host_run();
  std::memcpy(s.gpr, hs->gpr, sizeof s.gpr);
  std::memcpy(s.fx, hs->fx, sizeof s.fx);
  std::memcpy(s.ymm_hi, hs->ymm_hi, sizeof s.ymm_hi);
  std::memcpy(s.sel, hs->sel, sizeof s.sel);
  s.fs_base = hs->fs_base, s.gs_base = hs->gs_base;
  s.sel[kCS] = hs->cs;
  s.flags = hs->flags;
  s.vector = static_cast<int>(hs->vector);
  s.rip = hs->rip;
  s.error = 0, s.address = 0;
  if (s.vector >= 0) {
    // With #PF the error code and CR2; CR2 is stale otherwise.
    if (s.vector >= kTS && s.vector <= kPFv) s.error = static_cast<u32>(hs->error);
    if (s.vector == kPFv) s.address = hs->cr2;
    if (s.vector == kBP && (s.rip <= kDiffStart || s.rip > kDiffStart + len) && s.rip - kDiffCode <= kDiffCodeSize)
      s.vector = -1, s.rip--;  // landed on a stop byte
  }
}

}  // namespace oriel
