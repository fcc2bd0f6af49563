#include "support/host_diff.h"

#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <cstdio>
#include <cstdlib>

#include "support/coverage.h"

namespace oriel {

namespace {

// At this address, and addressed absolutely by the stubs below.
constexpr u64 kState = 0x0ff00000;
struct HostState {
  u64 gpr[16];
  u64 flags;     // +80
  u64 host_rsp;  // +88
  u64 target;    // +90
  s64 vector;    // +98
  u64 avx;       // +a0: nonzero if the host has it
  u64 pad[11];
  alignas(64) u8 fx[512];       // +100
  alignas(64) u8 host_fx[512];  // +300
  u8 ymm_hi[256];               // +500
};
static_assert(offsetof(HostState, fx) == 0x100 && offsetof(HostState, host_fx) == 0x300 &&
              offsetof(HostState, ymm_hi) == 0x500);
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
  jmp *0x0ff00090
.globl oriel_host_back
oriel_host_back:
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
  cld
  cmpq $0, 0x0ff000a0
  je 1f
  oriel_upper_halves 0
  vzeroupper
1:
  fxsave64 0x0ff00100
  fxrstor64 0x0ff00300
  pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx
  ret
)");

void on_signal(int, siginfo_t*, void* context) {
  auto* uc = static_cast<ucontext_t*>(context);
  hs->vector = static_cast<s64>(uc->uc_mcontext.gregs[REG_TRAPNO]);
  uc->uc_mcontext.gregs[REG_RIP] = reinterpret_cast<greg_t>(oriel_host_back);
}

void map_fixed(u64 at, usize n) {
  void* p = mmap(reinterpret_cast<void*>(at), n, PROT_READ | PROT_WRITE | PROT_EXEC,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (p != reinterpret_cast<void*>(at)) std::perror("mmap"), std::exit(1);
}

}  // namespace

u64 Random::operand() {
  Random& r = *this;
  switch (r() % 8) {
    case 0: return 0;
    case 1: return ~u64{0};
    case 2: return u64{1} << (r() & 63);
    case 3: return (u64{1} << (r() & 63)) - 1;
    case 4: return static_cast<u64>(static_cast<s64>(static_cast<s8>(r())));
    case 5: return static_cast<u32>(r());
    default: return r();
  }
}

CpuState::CpuState() {
  store<u16>(fx + kFxCw, 0x37f);
  store<u32>(fx + kFxMxcsr, 0x1f80);
  store<u32>(fx + kFxMxcsr + 4, 0xffff);
}

bool HostCpu::has_avx() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
}

HostCpu::HostCpu() {
  map_fixed(kState, 0x1000);
  hs->avx = has_avx();
  map_fixed(kDiffCode, 0x1000);
  map_fixed(kDiffData, kDiffDataSize);
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
  u8* at = reinterpret_cast<u8*>(kDiffCode);
  std::memcpy(at, code, len);
  static constexpr u8 kJumpBack[6] = {0xff, 0x25, 0, 0, 0, 0};  // jmp [rip]
  std::memcpy(at + len, kJumpBack, 6);
  store<u64>(at + len + 6, reinterpret_cast<u64>(oriel_host_back));
  std::memcpy(hs->gpr, s.gpr, sizeof s.gpr);
  std::memcpy(hs->fx, s.fx, sizeof s.fx);
  std::memcpy(hs->ymm_hi, s.ymm_hi, sizeof s.ymm_hi);
  hs->flags = s.flags;
  hs->target = kDiffCode;
  hs->vector = -1;
  oriel_host_run();
  std::memcpy(s.gpr, hs->gpr, sizeof s.gpr);
  std::memcpy(s.fx, hs->fx, sizeof s.fx);
  std::memcpy(s.ymm_hi, hs->ymm_hi, sizeof s.ymm_hi);
  s.flags = hs->flags;
  s.vector = static_cast<int>(hs->vector);
}

GuestCpu::GuestCpu()
    : ram_(static_cast<u8*>(
          mmap(nullptr, kRamSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))),
      mem_(ram_, kRamSize),
      cpu(mem_, bus_) {
  mem_.set_listener(&cpu);
  mem_.map(0, kRamSize, mem_.ram_region(), 0);
  // 64-bit mode at CPL 0 without paging, which no real processor has, spares the test the tables.
  cpu.cr0 |= kCr0PE | kCr0MP | kCr0NE;
  cpu.cr4 |= kCr4OSFXSR | kCr4OSXMMEXCPT | kCr4OSXSAVE;
  cpu.xcr0 = 7;
  cpu.efer |= kEferLMA | kEferLME;
  for (unsigned s = 0; s < 6; s++) {
    cpu.seg[s].base = 0;
    cpu.seg[s].limit = 0xffffffff;
    cpu.seg[s].attr = kSegP | kSegS | kSegRW | kSegA;
  }
  cpu.seg[kCS].attr |= kSegExec | kSegL;
  cpu.update_mode();
}

GuestCpu::~GuestCpu() { munmap(ram_, kRamSize); }

void GuestCpu::run(CpuState& s, const u8* code) {
  mem_.write(kDiffCode, code, 15);
  std::memcpy(cpu.gpr, s.gpr, sizeof s.gpr);
  cpu.set_rflags_raw(static_cast<u32>(s.flags));
  Fpu& f = cpu.fpu;
  f = Fpu{};
  f.cw = load<u16>(s.fx + kFxCw);
  u16 sw = load<u16>(s.fx + kFxSw);
  f.top = sw >> 11 & 7;
  f.sw = sw & 0xc7ff;
  f.tw = s.fx[kFxTw];
  for (unsigned i = 0; i < 8; i++) {
    const u8* st = s.fx + kFxSt + 16 * i;
    f.r[(f.top + i) & 7] = F80{load<u64>(st), load<u16>(st + 8)};
  }
  for (unsigned i = 0; i < 16; i++) std::memcpy(&cpu.xmm[i], s.fx + kFxXmm + 16 * i, 16);
  std::memcpy(cpu.ymm_hi, s.ymm_hi, sizeof s.ymm_hi);
  cpu.mxcsr = load<u32>(s.fx + kFxMxcsr);
  cpu.rip = kDiffCode;
  cpu.events = 0;
  Cpu::Exit e;
  unsigned rounds = 0;
  do e = cpu.execute(cpu.icount + 1);
  while (e == Cpu::Exit::kAgain && ++rounds < 100);
  s.vector = e == Cpu::Exit::kFault ? cpu.exc.vector : -1;
  if (Insn i; s.vector < 0 && decode(code, 15, CodeMode::k64, i) == DecodeStatus::kOk)
    FormCoverage::get().note(i, CodeMode::k64);
  std::memcpy(s.gpr, cpu.gpr, sizeof s.gpr);
  s.flags = cpu.get_rflags();
  store<u16>(s.fx + kFxCw, f.cw);
  store<u16>(s.fx + kFxSw, static_cast<u16>((f.sw & 0xc7ff) | f.top << 11));
  s.fx[kFxTw] = f.tw;
  for (unsigned i = 0; i < 8; i++) {
    const F80& r = f.r[(f.top + i) & 7];
    store<u64>(s.fx + kFxSt + 16 * i, r.m);
    store<u16>(s.fx + kFxSt + 16 * i + 8, r.se);
  }
  for (unsigned i = 0; i < 16; i++) std::memcpy(s.fx + kFxXmm + 16 * i, &cpu.xmm[i], 16);
  std::memcpy(s.ymm_hi, cpu.ymm_hi, sizeof s.ymm_hi);
  store<u32>(s.fx + kFxMxcsr, cpu.mxcsr);
}

// [66] [F2/F3] [REX | VEX] map opcode [ModRM ...] random immediate.
bool encode(const Form& f, Random& rnd, unsigned align, Encoding& e) {
  e = Encoding{};
  u8* code = e.bytes;
  const std::string ops = std::string(",") + f.operands;
  // Whether an operand code starts like this.
  auto uses = [&](const char* code_name) { return ops.find(std::string(",") + code_name) != std::string::npos; };
  const bool vex = f.attrs & VEX, modrm = f.modrm >= 0, exact = f.modrm >= 0x100;
  const bool w = f.attrs & W1 || (!(f.attrs & W0) && (rnd() & 1)), opsize = rnd.one_in(4);
  e.reg = static_cast<unsigned>(rnd() & 15), e.rm = static_cast<unsigned>(rnd() & 15);
  const unsigned vvvv = static_cast<unsigned>(rnd() & 15);
  const bool only_register = (f.attrs & REGONLY) || uses("N") || uses("U") || uses("R") || uses("STi");
  const bool only_memory = (f.attrs & MEMONLY) || uses("M") || uses("Td") || uses("Tq");
  e.memory = modrm && !exact && !only_register && (only_memory || (rnd() & 1));
  if (f.modrm >= 0 && f.modrm < 8) e.reg = static_cast<unsigned>(f.modrm);
  if (e.memory) e.rm = kRBX;
  const bool vsib = uses("Td") || uses("Tq");
  if (vsib) e.vector_index = static_cast<unsigned>(rnd() & 15);
  // The stack pointer keeps its value, as signal handling on the host needs a stack... of its own, but PUSH a valid
  // one.
  const bool general_reg = uses("G") || uses("Z") || !modrm, general_rm = uses("E") || uses("R") || uses("Z");
  if ((general_reg && e.reg == kRSP && f.modrm == 8) || (general_rm && e.rm == kRSP) || (uses("B") && vvvv == kRSP))
    return false;
  unsigned& len = e.len;
  if (vex) {
    const unsigned pp = f.pfx == FormPfx::P66 ? 1 : f.pfx == FormPfx::PF3 ? 2 : f.pfx == FormPfx::PF2 ? 3 : 0;
    const bool long_vector = (f.attrs & L1) || ((f.attrs & (VL | LIG)) && (rnd() & 1));
    e.vvvv = uses("H") || uses("B") ? vvvv : 0;
    const unsigned low = (~e.vvvv & 15) << 3 | (long_vector ? 4 : 0) | pp;
    const unsigned not_r = f.modrm < 8 || e.reg < 8 ? 0x80 : 0;
    if (f.map == FormMap::M0F && e.rm < 8 && !w && (rnd() & 1)) {
      code[len++] = 0xc5;
      code[len++] = static_cast<u8>(not_r | low);
    } else {
      const bool not_x = e.vector_index < 8;
      code[len++] = 0xc4;
      code[len++] = static_cast<u8>(not_r | (not_x ? 0x40 : 0) | (e.rm < 8 ? 0x20 : 0) | static_cast<unsigned>(f.map));
      code[len++] = static_cast<u8>((w ? 0x80 : 0) | low);
    }
  } else {
    const bool vector =
        f.attrs & (F_MMX | F_SSE | F_SSE2 | F_SSE3 | F_SSSE3 | F_SSE41 | F_SSE42 | F_AES | F_PCLMUL | F_X87);
    const bool crc = std::string(f.mnemonic) == "CRC32";
    if (f.pfx == FormPfx::P66 || (opsize && f.pfx != FormPfx::NP && !(f.attrs & F_ADX) && (!vector || crc)))
      code[len++] = 0x66;
    if (f.pfx == FormPfx::PF3) code[len++] = 0xf3;
    if (f.pfx == FormPfx::PF2) code[len++] = 0xf2;
    if ((f.attrs & REPS) && (rnd() & 1)) code[len++] = rnd() & 1 ? 0xf3 : 0xf2;
    const u8 rex = static_cast<u8>((w ? 8 : 0) | (e.reg > 7 && f.modrm == 8 ? 4 : 0) | (e.rm > 7 ? 1 : 0));
    if (!(f.attrs & F_X87) && (rex || (rnd() & 1))) code[len++] = static_cast<u8>(0x40 | rex);
    if (f.map != FormMap::M1) code[len++] = 0x0f;
    if (f.map == FormMap::M38) code[len++] = 0x38;
    if (f.map == FormMap::M3A) code[len++] = 0x3a;
  }
  code[len++] = static_cast<u8>(f.opcode + (uses("Z") ? e.rm & 7 : 0));
  if (exact) {
    code[len++] = static_cast<u8>(f.modrm);
  } else if (modrm) {
    code[len++] = static_cast<u8>((e.memory ? 0x80 : 0xc0) | (e.reg & 7) << 3 | (vsib ? 4 : e.rm & 7));
    if (vsib) code[len++] = static_cast<u8>((rnd() & 3) << 6 | (e.vector_index & 7) << 3 | kRBX);
    if (e.memory) {
      e.disp = static_cast<s32>(rnd.below(512 / align) * align);
      std::memcpy(code + len, &e.disp, 4);
      len += 4;
    }
  }
  for (unsigned k = 0; k < 8; k++) code[len + k] = static_cast<u8>(rnd());
  return true;
}

void DiffReport::fail(const Form& f, const std::string& text) {
  note(f);
  failed_++, bad_++, compared_++;
  std::printf("%s: %s\n", f.id, text.c_str());
}

void DiffReport::end_of(const Form& f) {
  note(f);
  if (compared_ == 0) fail(f, "no case compared it");
}

int DiffReport::finish(std::string_view program) const {
  std::printf("%llu passed, %llu failed\n", static_cast<unsigned long long>(passed_),
              static_cast<unsigned long long>(failed_));
  return failed_ || !passed_ || !FormCoverage::get().save(program);
}

std::string hex(u64 v) {
  char b[20];
  std::snprintf(b, sizeof b, "%llx", static_cast<unsigned long long>(v));
  return b;
}

std::string differences(const CpuState& host, const CpuState& guest, const CompareMask& mask) {
  if (host.vector != guest.vector)
    return " exception: host " + std::to_string(host.vector) + " guest " + std::to_string(guest.vector);
  std::string d;
  auto field = [&](const std::string& name, u64 h, u64 g) {
    if (h != g) d += " " + name + " host " + hex(h) + " guest " + hex(g);
  };
  for (unsigned r = 0; r < 16; r++) field("r" + std::to_string(r), host.gpr[r], guest.gpr[r]);
  if ((static_cast<u32>(host.flags) ^ static_cast<u32>(guest.flags)) & mask.flags)
    field("flags", host.flags, guest.flags);
  field("mxcsr", load<u32>(host.fx + kFxMxcsr) & mask.mxcsr, load<u32>(guest.fx + kFxMxcsr) & mask.mxcsr);
  for (unsigned i = 0; i < 16; i++) {
    const unsigned at = kFxXmm + 16 * i;
    for (unsigned k : {8u, 0u})
      field("ymm" + std::to_string(i) + "[" + std::to_string(16 + k) + "]", load<u64>(host.ymm_hi + 16 * i + k),
            load<u64>(guest.ymm_hi + 16 * i + k));
    field("xmm" + std::to_string(i) + ".hi", load<u64>(host.fx + at + 8), load<u64>(guest.fx + at + 8));
    field("xmm" + std::to_string(i) + ".lo", load<u64>(host.fx + at), load<u64>(guest.fx + at));
  }
  if (!mask.x87) return d;
  field("fcw", load<u16>(host.fx + kFxCw), load<u16>(guest.fx + kFxCw));
  field("fsw", load<u16>(host.fx + kFxSw) & mask.sw, load<u16>(guest.fx + kFxSw) & mask.sw);
  field("ftw", host.fx[kFxTw], guest.fx[kFxTw]);
  for (unsigned i = 0; i < 8; i++) {
    const unsigned at = kFxSt + 16 * i;
    field("st" + std::to_string(i) + ".e", load<u16>(host.fx + at + 8), load<u16>(guest.fx + at + 8));
    field("st" + std::to_string(i) + ".m", load<u64>(host.fx + at), load<u64>(guest.fx + at));
  }
  return d;
}

}  // namespace oriel
