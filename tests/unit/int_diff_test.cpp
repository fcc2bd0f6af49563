// Differential test of the general-purpose instructions in 64-bit mode: random encodings of every
// form of forms_int.inc run on this machine's own processor and in tier 0; registers, defined flags,
// memory and #DE are compared. x86-64 hosts only; argument: cases per form (default 2000), seed.
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "cpu/cpu.h"
#include "x86/forms.h"

using namespace oriel;

namespace {

// Host and guest use the same addresses, so that pointers in registers compare equal.
constexpr u64 kState = 0x0ff00000, kCode = 0x10000000, kData = 0x10010000, kDataSize = 0x4000, kMid = kData + kDataSize / 2;

struct HostState {  // at kState, addressed absolutely by the stubs below
  u64 gpr[16];
  u64 flags;
  u64 host_rsp;
  u64 target;
  u64 fault;
};
HostState* const hs = reinterpret_cast<HostState*>(kState);

extern "C" void host_run();
extern "C" void host_back();
asm(R"(
.text
.globl host_run
host_run:
  push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15
  mov %rsp, 0x0ff00088
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
.globl host_back
host_back:
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
  pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx
  ret
)");

void on_signal(int sig, siginfo_t*, void* context) {
  auto* uc = static_cast<ucontext_t*>(context);
  hs->fault = static_cast<u64>(sig);
  uc->uc_mcontext.gregs[REG_RIP] = reinterpret_cast<greg_t>(host_back);
}

struct NoBus final : CpuBus {
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

u64 g_seed = 1;
u64 rnd() {
  g_seed ^= g_seed << 13;
  g_seed ^= g_seed >> 7;
  g_seed ^= g_seed << 17;
  return g_seed * 0x2545f4914f6cdd1du;
}
u64 operand() {
  switch (rnd() % 8) {
    case 0: return 0;
    case 1: return ~u64{0};
    case 2: return u64{1} << (rnd() & 63);
    case 3: return (u64{1} << (rnd() & 63)) - 1;
    case 4: return static_cast<u64>(static_cast<s64>(static_cast<s8>(rnd())));
    case 5: return static_cast<u32>(rnd());
    default: return rnd();
  }
}

// Flags the manual leaves undefined, by mnemonic (SDM Vol. 2, each instruction's "Flags Affected").
u32 undefined_flags(const Form& f, unsigned count, unsigned bits) {
  std::string m = f.mnemonic;
  if (m == "AND" || m == "OR" || m == "XOR" || m == "TEST") return kAF;
  if (m == "MUL" || m == "IMUL") return kSF | kZF | kAF | kPF;
  if (m == "DIV" || m == "IDIV") return kArith;
  if (m == "SHL" || m == "SHR" || m == "SAR") return kAF | (count != 1 ? kOF : 0) | (count > bits ? kCF : 0);
  if (m == "SHLD" || m == "SHRD") return count > bits ? u32{kArith} : kAF | (count != 1 ? u32{kOF} : 0u);
  if (m == "ROL" || m == "ROR" || m == "RCL" || m == "RCR") return count != 1 ? kOF : 0;
  if (m == "BT" || m == "BTS" || m == "BTR" || m == "BTC") return kOF | kSF | kAF | kPF;
  if (m == "BSF" || m == "BSR") return kArith & ~static_cast<u32>(kZF);
  if (m == "TZCNT" || m == "LZCNT") return kOF | kSF | kPF | kAF;
  if (m == "ANDN") return kAF | kPF;
  if (m == "BLSI" || m == "BLSR" || m == "BZHI") return kAF | kPF;
  if (m == "BLSMSK") return kAF | kPF;
  if (m == "BEXTR") return kAF | kSF | kPF;
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  unsigned per_form = argc > 1 ? static_cast<unsigned>(std::atoi(argv[1])) : 2000;
  if (argc > 2) g_seed = std::strtoull(argv[2], nullptr, 0) | 1;

  auto fixed = [](u64 at, usize n) {
    void* p = mmap(reinterpret_cast<void*>(at), n, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (p != reinterpret_cast<void*>(at)) std::perror("mmap"), std::exit(1);
  };
  fixed(kState, 0x1000);
  fixed(kCode, 0x1000);
  fixed(kData, kDataSize);
  static u8 stack[65536];
  stack_t ss{};
  ss.ss_sp = stack;
  ss.ss_size = sizeof stack;
  sigaltstack(&ss, nullptr);
  struct sigaction sa{};
  sa.sa_sigaction = on_signal;
  sa.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  for (int s : {SIGFPE, SIGSEGV, SIGILL, SIGTRAP, SIGBUS}) sigaction(s, &sa, nullptr);

  const u64 ram_size = 512u << 20;
  u8* ram = static_cast<u8*>(mmap(nullptr, ram_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  PhysMem mem(ram, ram_size);
  mem.map(0, ram_size, mem.ram_region(), 0);
  NoBus bus;
  Cpu cpu(mem, bus);
  cpu.cr0 |= kCr0PE;
  cpu.efer |= kEferLMA | kEferLME;
  for (unsigned s = 0; s < 6; s++) {
    cpu.seg[s].base = 0;
    cpu.seg[s].limit = 0xffffffff;
    cpu.seg[s].attr = kSegP | kSegS | kSegRW | kSegA;
  }
  cpu.seg[kCS].attr |= kSegExec | kSegL;
  cpu.update_mode();

  u64 passed = 0, failed = 0;
  for (u16 fi = 0; fi < kFormCount; fi++) {
    const Form& f = kForms[fi];
    if (std::string(f.id) == "PAUSE") continue;
    std::string id = f.id, ops = f.operands;
    if ((f.attrs & (END | I64)) || id == "MOV_ALOb" || id == "MOV_eAXOv" || id == "MOV_ObAL" || id == "MOV_OveAX") {
      if (id == "ADOX") break;
      continue;
    }
    unsigned bad = 0;
    for (unsigned n = 0; n < per_form && bad < 3; n++) {
      // Encode: [66] [F2/F3] [REX | VEX] map opcode [ModRM ...] random immediate.
      u8 code[32];
      unsigned len = 0;
      bool vex = f.attrs & VEX, modrm = f.modrm >= 0, w = rnd() & 1, opsize = !(rnd() & 3);
      unsigned reg = static_cast<unsigned>(rnd() & 15), rm = static_cast<unsigned>(rnd() & 15), vvvv = static_cast<unsigned>(rnd() & 15);
      bool memory = modrm && !(f.attrs & REGONLY) && ((rnd() & 1) || (f.attrs & MEMONLY));
      if (f.modrm >= 0 && f.modrm < 8) reg = static_cast<unsigned>(f.modrm);
      if (memory) rm = kRBX;
      if (reg == kRSP || rm == kRSP || vvvv == kRSP) {
        if (f.modrm == 8 || f.modrm < 0 || !memory || vvvv == kRSP) {
          if (!(f.modrm == kRSP && rm != kRSP && vvvv != kRSP)) continue;
        }
      }
      bool low_reg = ops.find('Z') != std::string::npos;
      if (vex) {
        code[len++] = 0xc4;
        code[len++] = static_cast<u8>((reg < 8 ? 0x80 : 0) | 0x40 | (rm < 8 ? 0x20 : 0) | (f.map == FormMap::M38 ? 2 : 3));
        unsigned pp = f.pfx == FormPfx::P66 ? 1 : f.pfx == FormPfx::PF3 ? 2 : f.pfx == FormPfx::PF2 ? 3 : 0;
        bool uses_v = ops.find("By") != std::string::npos;
        code[len++] = static_cast<u8>((w ? 0x80 : 0) | ((uses_v ? ~vvvv & 15 : 15) << 3) | pp);
      } else {
        if (f.pfx == FormPfx::P66 || (opsize && f.pfx != FormPfx::NP && !(f.attrs & F_ADX))) code[len++] = 0x66;
        if (f.pfx == FormPfx::PF3) code[len++] = 0xf3;
        if (f.pfx == FormPfx::PF2) code[len++] = 0xf2;
        if ((f.attrs & REPS) && (rnd() & 1)) code[len++] = rnd() & 1 ? 0xf3 : 0xf2;
        u8 rex = static_cast<u8>((w ? 8 : 0) | (reg > 7 && f.modrm == 8 ? 4 : 0) | (rm > 7 ? 1 : 0));
        if (rex || (rnd() & 1)) code[len++] = static_cast<u8>(0x40 | rex);
        if (f.map != FormMap::M1) code[len++] = 0x0f;
        if (f.map == FormMap::M38) code[len++] = 0x38;
        if (f.map == FormMap::M3A) code[len++] = 0x3a;
      }
      code[len++] = static_cast<u8>(f.opcode + (low_reg ? rm & 7 : 0));
      if (modrm) {
        code[len++] = static_cast<u8>((memory ? 0x80 : 0xc0) | (reg & 7) << 3 | (rm & 7));
        if (memory) {
          s32 disp = static_cast<s32>(rnd() & 0x1f) * (f.opcode == 0xC7 && f.map == FormMap::M0F ? 16 : 1);
          std::memcpy(code + len, &disp, 4);
          len += 4;
        }
      }
      for (unsigned k = 0; k < 8; k++) code[len + k] = static_cast<u8>(rnd());
      if (id == "ENTER") code[len + 2] &= 3, code[len + 1] &= 1;
      Insn insn;
      if (decode(code, 15, CodeMode::k64, insn) != DecodeStatus::kOk || insn.form != fi) {
        std::printf("%s: our own encoding decodes as %s:", f.id, insn.op == OP_UD ? "#UD" : kForms[insn.form].id);
        for (unsigned k = 0; k < len; k++) std::printf(" %02x", code[k]);
        std::printf("\n");
        failed++, bad++;
        continue;
      }
      len = insn.len;

      // State.
      u64 regs[16];
      for (u64& r : regs) r = operand();
      regs[kRSP] = kMid + (rnd() & 0x38);
      if (memory) regs[kRBX] = kMid + (insn.op == OP_UD ? 0 : 0);
      if (ops.find('X') != std::string::npos || ops.find('Y') != std::string::npos) {
        regs[kRSI] = kMid + (rnd() & 0xff);
        regs[kRDI] = kMid + (rnd() & 0xff);
        regs[kRCX] = rnd() % 40;
      }
      if (id == "XLAT") regs[kRBX] = kMid;
      if (id == "LEAVE" || id == "ENTER") regs[kRBP] = kMid + (rnd() & 0xf8);
      bool bit_string = memory && (id == "BT_EvGv" || id == "BTS_EvGv" || id == "BTR_EvGv" || id == "BTC_EvGv");
      if (bit_string && reg != kRBX) regs[reg] = static_cast<u64>(static_cast<s64>(rnd() % 0x2000) - 0x1000);
      if (bit_string && reg == kRBX) continue;
      if (insn.op == OP_UD) continue;
      u32 flags = (static_cast<u32>(rnd()) & kArith) | 2;
      if ((f.attrs & REPS) && (rnd() & 1)) flags |= kDF;
      u8* data = reinterpret_cast<u8*>(kData);
      for (u64 a = kMid - 0x400; a < kMid + 0x400; a += 8) {
        u64 v = operand();
        std::memcpy(reinterpret_cast<u8*>(a), &v, 8);
      }
      if ((f.attrs & REPS) && (rnd() & 1)) std::memset(reinterpret_cast<u8*>(kMid - 0x400), 0x55, 0x800);
      mem.write(kData, data, kDataSize);

      // Native.
      u8* at = reinterpret_cast<u8*>(kCode);
      std::memcpy(at, code, len);
      at[len] = 0xff, at[len + 1] = 0x25, at[len + 2] = 0, at[len + 3] = 0, at[len + 4] = 0, at[len + 5] = 0;
      u64 back = reinterpret_cast<u64>(host_back);
      std::memcpy(at + len + 6, &back, 8);
      std::memcpy(hs->gpr, regs, sizeof regs);
      hs->flags = flags;
      hs->target = kCode;
      hs->fault = 0;
      host_run();

      // Tier 0.
      mem.write(kCode, code, 15);
      std::memcpy(cpu.gpr, regs, sizeof regs);
      cpu.set_rflags_raw(flags);
      cpu.rip = kCode;
      cpu.events = 0;
      Cpu::Exit e;
      unsigned rounds = 0;
      do e = Cpu::execute(cpu, cpu.icount + 1, true);
      while (e == Cpu::Exit::kAgain && ++rounds < 100);
      int fault = e == Cpu::Exit::kFault ? (cpu.exc.vector == kDE ? SIGFPE : cpu.exc.vector == kUD ? SIGILL : SIGSEGV) : 0;

      bool m = f.modrm >= 0;
      (void)m;
      unsigned bits = insn.osz == 0 ? 8 : 8u << insn.osz;
      unsigned count = ops.find("CL") != std::string::npos ? static_cast<unsigned>(regs[kRCX]) : ops.find(",1") != std::string::npos ? 1 : static_cast<unsigned>(insn.imm);
      count &= bits == 64 ? 63 : 31;
      u32 skip = undefined_flags(f, count, bits);
      bool undefined_result = (f.id[0] == 'S' && f.id[1] == 'H' && (f.id[3] == 'D') && count > bits) ||
                              ((std::string(f.mnemonic) == "BSF" || std::string(f.mnemonic) == "BSR") && (hs->flags & kZF)) ||
                              (std::string(f.mnemonic) == "BSWAP" && insn.osz == 1);
      if (count == 0 && (skip & kOF) && std::string(f.mnemonic)[0] != 'B') skip &= std::string(f.mnemonic) == "SHL" ? ~0u : ~0u;
      std::string diff;
      char line[160];
      if (static_cast<int>(hs->fault) != fault) {
        std::snprintf(line, sizeof line, " fault host %d guest %d", static_cast<int>(hs->fault), fault);
        diff += line;
      } else if (!fault && !undefined_result) {
        for (unsigned r = 0; r < 16; r++)
          if (hs->gpr[r] != cpu.gpr[r]) {
            std::snprintf(line, sizeof line, " r%u host %llx guest %llx", r, static_cast<unsigned long long>(hs->gpr[r]), static_cast<unsigned long long>(cpu.gpr[r]));
            diff += line;
          }
        u32 delta = (static_cast<u32>(hs->flags) ^ cpu.get_rflags()) & (kArith | kDF) & ~skip;
        if (delta) {
          std::snprintf(line, sizeof line, " flags host %x guest %x", static_cast<u32>(hs->flags), cpu.get_rflags());
          diff += line;
        }
        if (std::memcmp(data, ram + kData, kDataSize) != 0) diff += " memory";
      }
      if (diff.empty()) {
        passed++;
        continue;
      }
      failed++, bad++;
      char text[128];
      disassemble(insn, CodeMode::k64, kCode, text, sizeof text);
      std::printf("%s: %s:%s (flags in %x, count %u)\n", f.id, text, diff.c_str(), flags, count);
    }
    if (id == "ADOX") break;
  }
  std::printf("%llu passed, %llu failed\n", static_cast<unsigned long long>(passed), static_cast<unsigned long long>(failed));
  return failed ? 1 : 0;
}
