// Privileged and machine instructions: control and debug registers, MSRs, time, CPUID, XCR0, HLT, and port
// I/O. SDM Vol. 2 for each; Vol. 1, chapter 18.
#include <utility>

#include "cpu/exec.h"
#include "cpu/sys_descriptor.h"

namespace oriel {

namespace {

bool need_cpl0(Cpu& c) { return c.real_mode() || c.cpl == 0 || c.raise(kGP, 0); }

void set_edx_eax(Cpu& c, u64 v) {
  c.set32(kRAX, static_cast<u32>(v));
  c.set32(kRDX, static_cast<u32>(v >> 32));
}

u64 edx_eax(const Cpu& c) { return c.get32(kRAX) | static_cast<u64>(c.get32(kRDX)) << 32; }

bool tsc_allowed(Cpu& c) { return c.real_mode() || c.cpl == 0 || !(c.cr4 & kCr4TSD) || c.raise(kGP, 0); }

// DR4 and DR5 are DR6 and DR7 unless CR4.DE; DR7.GD makes any access a fault.
bool debug_register(Cpu& c, unsigned& n) {
  if (n == 4 || n == 5) {
    if (c.cr4 & kCr4DE) return c.raise(kUD);
    n += 2;
  }
  if (!need_cpl0(c)) return false;
  if (c.dr[7] & 1 << 13) {
    c.pending_dr6 |= kDr6BD;
    return c.raise(kDB);
  }
  return true;
}

}  // namespace

bool exec_HLT(Cpu& c, const Insn&) {
  if (!need_cpl0(c) || c.intercepts(kSvmHlt)) return false;
  c.raise_event(kEvHalt);
  c.bus.halted();
  return true;
}

bool exec_CPUID(Cpu& c, const Insn&) {
  if (c.intercepts(kSvmCpuid)) return false;
  u32 out[4];
  c.cpuid(c.get32(kRAX), c.get32(kRCX), out);
  c.set32(kRAX, out[0]);
  c.set32(kRBX, out[1]);
  c.set32(kRCX, out[2]);
  c.set32(kRDX, out[3]);
  return true;
}

bool exec_RDTSC(Cpu& c, const Insn&) {
  if (!tsc_allowed(c) || c.intercepts(kSvmRdtsc)) return false;
  set_edx_eax(c, c.read_tsc());
  return true;
}

bool exec_RDTSCP(Cpu& c, const Insn&) {
  if (!tsc_allowed(c) || c.intercepts(kSvmRdtscp)) return false;
  set_edx_eax(c, c.read_tsc());
  c.set32(kRCX, static_cast<u32>(c.msr.tsc_aux));
  return true;
}

// CPUID leaf 0AH reports no counters: no index is valid.
bool exec_RDPMC(Cpu& c, const Insn&) { return !c.intercepts(kSvmRdpmc) && c.raise(kGP, 0); }

bool exec_RDMSR(Cpu& c, const Insn&) {
  u64 v;
  if (!need_cpl0(c) || c.svm_msr_exit(c.get32(kRCX), false) || !c.read_msr(c.get32(kRCX), v)) return false;
  set_edx_eax(c, v);
  return true;
}

bool exec_WRMSR(Cpu& c, const Insn&) {
  return need_cpl0(c) && !c.svm_msr_exit(c.get32(kRCX), true) && c.write_msr(c.get32(kRCX), edx_eax(c));
}

bool exec_CLTS(Cpu& c, const Insn&) {
  if (!need_cpl0(c) || c.intercepts(kSvmWriteCr)) return false;
  c.cr0 &= ~u64{kCr0TS};
  return true;
}

// There is no cache to lose or to write back.
bool exec_INVD(Cpu& c, const Insn&) { return need_cpl0(c) && !c.intercepts(kSvmInvd); }
bool exec_WBINVD(Cpu& c, const Insn&) { return need_cpl0(c) && !c.intercepts(kSvmWbinvd); }

bool exec_INVLPG(Cpu& c, const Insn& i) {
  if (!need_cpl0(c) || c.intercepts(kSvmInvlpg)) return false;
  u64 lin = (c.seg[i.seg].lin + c.ea(i)) & c.lin_mask;
  if (c.canonical(lin) || !c.long64()) c.flush_tlb_page(lin);
  return true;
}

// SDM Vol. 2, INVPCID: the descriptor has the PCID in bits 11:0 and the linear address in bits 127:64.
bool exec_INVPCID(Cpu& c, const Insn& i) {
  if (!need_cpl0(c) || c.intercepts(kSvmInvpcid)) return false;
  u8 descriptor[16];
  if (!c.read_bytes(i.seg, c.ea(i), descriptor, 16)) return false;
  const u64 type = c.long64() ? c.gpr[i.reg] : c.get32(i.reg);
  const u64 low = load<u64>(descriptor), lin = load<u64>(descriptor + 8);
  const u16 pcid = low & 0xfff;
  if (type > 3 || low >> 12) return c.raise(kGP, 0);
  if (type < 2 && pcid && !(c.cr4 & kCr4PCIDE)) return c.raise(kGP, 0);
  if (type == 0 && !c.canonical(lin)) return c.raise(kGP, 0);
  // Without PCIDs all translations are those of PCID 0.
  c.invpcid(static_cast<Cpu::Invpcid>(type), c.cr4 & kCr4PCIDE ? pcid : c.tlb_set->pcid, lin);
  return true;
}

bool exec_MOV_RyCy(Cpu& c, const Insn& i) {
  if (!need_cpl0(c) || c.intercepts(kSvmReadCr + i.reg)) return false;
  u64 v = 0;
  switch (i.reg) {
    case 0: v = c.cr0; break;
    case 2: v = c.cr2; break;
    case 3: v = c.cr3; break;
    case 4: v = c.cr4; break;
    default: v = c.svm.v_intr_masking ? c.svm.v_tpr : c.bus.tpr() >> 4; break;
  }
  c.set_reg(i.rm, v, c.long64() ? 3 : 2);
  return true;
}

bool exec_MOV_CyRy(Cpu& c, const Insn& i) {
  if (!need_cpl0(c) || c.intercepts(kSvmWriteCr + i.reg)) return false;
  u64 v = c.long64() ? c.gpr[i.rm] : c.get32(i.rm);
  switch (i.reg) {
    case 0:
      if (((v ^ c.cr0) & ~u64{kCr0TS | kCr0MP}) && c.intercepts(kSvmCr0Selective)) return false;
      return c.set_cr0(v);
    case 2: c.cr2 = v; return true;
    case 3: return c.set_cr3(v);
    case 4: return c.set_cr4(v);
    default:
      if (v & ~u64{15}) return c.raise(kGP, 0);
      if (c.svm.v_intr_masking) {
        c.svm.v_tpr = static_cast<u8>(v);
        return true;
      }
      c.bus.set_tpr(static_cast<u8>(v << 4));
      return true;
  }
}

bool exec_MOV_RyDy(Cpu& c, const Insn& i) {
  unsigned n = i.reg;
  if (!debug_register(c, n) || c.intercepts(kSvmReadDr + i.reg)) return false;
  c.set_reg(i.rm, c.dr[n], c.long64() ? 3 : 2);
  return true;
}

bool exec_MOV_DyRy(Cpu& c, const Insn& i) {
  unsigned n = i.reg;
  if (!debug_register(c, n) || c.intercepts(kSvmWriteDr + i.reg)) return false;
  u64 v = c.long64() ? c.gpr[i.rm] : c.get32(i.rm);
  if (n >= 6 && v >> 32) return c.raise(kGP, 0);
  if (n == 6) v = (v & 0xe00f) | 0xffff0ff0;
  if (n == 7) v = (v & 0xffff23ff) | 0x400;
  c.dr[n] = v;
  c.update_breakpoints();
  return true;
}

bool exec_SWAPGS(Cpu& c, const Insn&) {
  if (c.cpl != 0) return c.raise(kGP, 0);
  std::swap(c.seg[kGS].base, c.msr.kernel_gs_base);
  c.update_seg(kGS);
  return true;
}

static bool fsgs_allowed(Cpu& c) { return (c.cr4 & kCr4FSGSBASE) || c.raise(kUD); }

static bool read_base(Cpu& c, const Insn& i, unsigned s) {
  if (!fsgs_allowed(c)) return false;
  c.set_reg(i.rm, c.seg[s].base, i.flags & kInsnRexW ? 3 : 2);
  return true;
}

static bool write_base(Cpu& c, const Insn& i, unsigned s) {
  if (!fsgs_allowed(c)) return false;
  u64 v = i.flags & kInsnRexW ? c.gpr[i.rm] : c.get32(i.rm);
  if (!c.canonical(v)) return c.raise(kGP, 0);
  c.seg[s].base = v;
  c.update_seg(s);
  return true;
}

bool exec_RDFSBASE(Cpu& c, const Insn& i) { return read_base(c, i, kFS); }
bool exec_RDGSBASE(Cpu& c, const Insn& i) { return read_base(c, i, kGS); }
bool exec_WRFSBASE(Cpu& c, const Insn& i) { return write_base(c, i, kFS); }
bool exec_WRGSBASE(Cpu& c, const Insn& i) { return write_base(c, i, kGS); }

bool exec_XGETBV(Cpu& c, const Insn&) {
  if (!(c.cr4 & kCr4OSXSAVE)) return c.raise(kUD);
  if (c.get32(kRCX) != 0) return c.raise(kGP, 0);
  set_edx_eax(c, c.xcr0);
  return true;
}

bool exec_XSETBV(Cpu& c, const Insn&) {
  if (!(c.cr4 & kCr4OSXSAVE)) return c.raise(kUD);
  if (!need_cpl0(c) || c.intercepts(kSvmXsetbv)) return false;
  u64 v = edx_eax(c);
  // x87 state always; AVX state only with SSE state (SDM Vol. 1, 13.3); PKRU state.
  if (c.get32(kRCX) != 0 || !(v & 1) || (v & ~u64{0x207}) || (v & 6) == 4) return c.raise(kGP, 0);
  c.xcr0 = v;
  return true;
}

bool exec_RDPKRU(Cpu& c, const Insn&) {
  if (!(c.cr4 & kCr4PKE)) return c.raise(kUD);
  if (c.get32(kRCX) != 0) return c.raise(kGP, 0);
  set_edx_eax(c, c.pkru);
  return true;
}

bool exec_WRPKRU(Cpu& c, const Insn&) {
  if (!(c.cr4 & kCr4PKE)) return c.raise(kUD);
  if (c.get32(kRCX) != 0 || c.get32(kRDX) != 0) return c.raise(kGP, 0);
  c.set_pkru(c.get32(kRAX));
  return true;
}

// ---- port I/O ----------------------------------------------------------------------------------

static bool in(Cpu& c, u16 port, unsigned size) {
  if (!c.io_allowed(port, size) || c.svm_io_exit(port, size, 1)) return false;
  u32 v = c.bus.port_read(port, size);
  if (size == 1)
    c.set8(0, static_cast<u8>(v));
  else
    c.set_reg(kRAX, v, size == 2 ? 1 : 2);
  return true;
}

static bool out(Cpu& c, u16 port, unsigned size) {
  if (!c.io_allowed(port, size) || c.svm_io_exit(port, size, 0)) return false;
  u32 mask = size == 4 ? 0xffffffffu : (1u << size * 8) - 1;
  c.bus.port_write(port, c.get32(kRAX) & mask, size);
  return true;
}

static unsigned port_size(const Insn& i) { return i.osz == 1 ? 2 : 4; }

bool exec_IN_ALIb(Cpu& c, const Insn& i) { return in(c, static_cast<u8>(i.imm), 1); }
bool exec_IN_eAXIb(Cpu& c, const Insn& i) { return in(c, static_cast<u8>(i.imm), port_size(i)); }
bool exec_IN_ALDX(Cpu& c, const Insn&) { return in(c, c.get16(kRDX), 1); }
bool exec_IN_eAXDX(Cpu& c, const Insn& i) { return in(c, c.get16(kRDX), port_size(i)); }
bool exec_OUT_IbAL(Cpu& c, const Insn& i) { return out(c, static_cast<u8>(i.imm), 1); }
bool exec_OUT_IbeAX(Cpu& c, const Insn& i) { return out(c, static_cast<u8>(i.imm), port_size(i)); }
bool exec_OUT_DXAL(Cpu& c, const Insn&) { return out(c, c.get16(kRDX), 1); }
bool exec_OUT_DXeAX(Cpu& c, const Insn& i) { return out(c, c.get16(kRDX), port_size(i)); }

namespace {

constexpr u64 kAddrMask[4] = {0xffff, 0xffff, 0xffffffff, ~u64{0}};
// Iterations of a REP before the block loop gets control; it comes back to the same instruction.
constexpr unsigned kChunk = 256;

template <class T, bool kIn>
bool one(Cpu& c, const Insn& i) {
  u16 port = c.get16(kRDX);
  unsigned reg = kIn ? kRDI : kRSI;
  u64 off = c.gpr[reg] & kAddrMask[i.asz];
  if constexpr (kIn) {
    // The port is read only when its value can be stored.
    if (!c.probe_write(kES, off, sizeof(T))) return false;
    T v = static_cast<T>(c.bus.port_read(port, sizeof(T)));
    if (!c.write<T>(kES, off, v)) return false;
  } else {
    T v;
    if (!c.read<T>(i.seg, off, v)) return false;
    c.bus.port_write(port, v, sizeof(T));
  }
  c.set_reg(reg, c.rflags & kDF ? c.gpr[reg] - sizeof(T) : c.gpr[reg] + sizeof(T), i.asz);
  return true;
}

template <class T, bool kIn>
bool string_io(Cpu& c, const Insn& i) {
  if (!c.io_allowed(c.get16(kRDX), sizeof(T))) return false;
  const bool repeated = i.flags & (kInsnRep | kInsnRepne);
  if (c.svm_io_exit(c.get16(kRDX), sizeof(T), (kIn ? 1 : 0) | 4 | (repeated ? 8 : 0) | 64u << i.asz)) return false;
  if (!repeated) return one<T, kIn>(c, i);
  u64 count = c.gpr[kRCX] & kAddrMask[i.asz];
  for (unsigned n = 0; count != 0; n++) {
    // Devices may have raised an interrupt: it is taken between iterations.
    if (n == kChunk || (n != 0 && c.events != 0)) {
      c.rip = c.fault_rip;
      return true;
    }
    if (!one<T, kIn>(c, i)) return false;
    count--;
    c.set_reg(kRCX, count, i.asz);
    c.rep_iterations++;
  }
  return true;
}

}  // namespace

bool exec_INSB(Cpu& c, const Insn& i) { return string_io<u8, true>(c, i); }
bool exec_INSV(Cpu& c, const Insn& i) { return i.osz == 1 ? string_io<u16, true>(c, i) : string_io<u32, true>(c, i); }
bool exec_OUTSB(Cpu& c, const Insn& i) { return string_io<u8, false>(c, i); }
bool exec_OUTSV(Cpu& c, const Insn& i) {
  return i.osz == 1 ? string_io<u16, false>(c, i) : string_io<u32, false>(c, i);
}

}  // namespace oriel
