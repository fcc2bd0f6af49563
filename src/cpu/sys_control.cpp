// Control registers, EFER, model-specific registers and I/O permission. SDM Vol. 3, 2.5, 5.8 and 9.11;
// Vol. 4; Vol. 1, 18.5.
#include "cpu/sys_descriptor.h"

namespace oriel {

namespace {

constexpr u64 kPhysMask = (u64{1} << 40) - 1;
bool valid_memory_type(u64 t) { return t == 0 || t == 1 || t == 4 || t == 5 || t == 6; }

bool valid_types(u64 v, u64 extra) {
  for (unsigned k = 0; k < 64; k += 8) {
    u64 t = v >> k & 0xff;
    if (!valid_memory_type(t) && t != extra) return false;
  }
  return true;
}

constexpr u64 kVmCrSvmDisable = 1 << 4;

constexpr u64 kNoExtra = 0x100;  // no additional memory type

// IA32_ARCH_CAPABILITIES: this processor has none of the side channels, because it executes nothing
// speculatively: RDCL_NO, IBRS_ALL, SKIP_L1DFL_VMENTRY, SSB_NO, MDS_NO, PSCHANGE_MC_NO, TAA_NO,
// SBDR_SSDP_NO, FBSDP_NO, PSDP_NO, BHI_NO, PBRSB_NO, GDS_NO, RFDS_NO, ITS_NO.
constexpr u64 kArchCapabilities = 1 << 0 | 1 << 1 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 8 | 1 << 13 | 1 << 14 |
                                  1 << 15 | 1 << 20 | 1 << 24 | 1 << 26 | 1 << 27 | u64{1} << 62;

// MSRs that are storage with a mask of writable bits (a write of another bit is #GP).
struct Plain {
  u32 index;
  u64 Cpu::Msrs::* field;
  u64 writable;
  bool canonical;
};
constexpr Plain kPlain[] = {
    {0x48, &Cpu::Msrs::spec_ctrl, 7, false},
    {0x174, &Cpu::Msrs::sysenter_cs, 0xffffffff, false},
    {0x175, &Cpu::Msrs::sysenter_esp, ~u64{0}, true},
    {0x176, &Cpu::Msrs::sysenter_eip, ~u64{0}, true},
    {0x17a, &Cpu::Msrs::mcg_status, 7, false},
    {0x1a0, &Cpu::Msrs::misc_enable, ~u64{0}, false},
    {0x1d9, &Cpu::Msrs::debugctl, 0xffff, false},
    {0x3b, &Cpu::Msrs::tsc_adjust, ~u64{0}, false},
    {0xc0000081, &Cpu::Msrs::star, ~u64{0}, false},
    {0xc0000082, &Cpu::Msrs::lstar, ~u64{0}, true},
    {0xc0000083, &Cpu::Msrs::cstar, ~u64{0}, true},
    {0xc0000084, &Cpu::Msrs::fmask, 0xffffffff, false},
    {0xc0000102, &Cpu::Msrs::kernel_gs_base, ~u64{0}, true},
    {0xc0000103, &Cpu::Msrs::tsc_aux, 0xffffffff, false},
};

// MSRs with a fixed value, whose writes are ignored.
struct Fixed {
  u32 index;
  u64 value;
};
constexpr Fixed kFixed[] = {
    {0x17, 0},                             // IA32_PLATFORM_ID
    {0x2a, 0},                             // EBL_CR_POWERON
    {0x79, 0},                             // IA32_BIOS_UPDT_TRIG
    {0xcd, 0},                             // MSR_FSB_FREQ
    {0xce, u64{10} << 8 | u64{10} << 40},  // MSR_PLATFORM_INFO: ratio 10 of 100 MHz
    {0x179, 8},                            // IA32_MCG_CAP: 8 banks
    {0x198, u64{10} << 8},                 // IA32_PERF_STATUS
    {0x199, u64{10} << 8},                 // IA32_PERF_CTL
    {0x19a, 0},                            // IA32_CLOCK_MODULATION
    {0x19b, 0},                            // IA32_THERM_INTERRUPT
    {0x19c, 0},                            // IA32_THERM_STATUS
    {0x1b0, 6},                            // IA32_ENERGY_PERF_BIAS
    {0x1c9, 0},                            // MSR_LASTBRANCH_TOS
    {0x1db, 0},                            // last branch and last exception records
    {0x1dc, 0},
    {0x1dd, 0},
    {0x1de, 0},
};

int mtrr_fixed_slot(u32 index) {
  if (index == 0x250) return 0;
  if (index == 0x258 || index == 0x259) return static_cast<int>(index - 0x258 + 1);
  if (index >= 0x268 && index <= 0x26f) return static_cast<int>(index - 0x268 + 3);
  return -1;
}

}  // namespace

bool Cpu::set_cr0(u64 v) {
  if (v >> 32) return raise(kGP, 0);
  v = (v & kCr0Valid) | kCr0ET;
  if ((v & kCr0PG) && !(v & kCr0PE)) return raise(kGP, 0);
  if ((v & kCr0NW) && !(v & kCr0CD)) return raise(kGP, 0);
  u64 changed = cr0 ^ v;
  if (changed & kCr0PG) {
    if (v & kCr0PG) {
      if (efer & kEferLME) {
        if (!(cr4 & kCr4PAE) || (seg[kCS].attr & kSegL)) return raise(kGP, 0);
        if ((seg[kTR].attr & 15) == kTypeTss16Busy) return raise(kGP, 0);
        efer |= kEferLMA;
      } else if ((cr4 & kCr4PAE) && !load_pdptes(cr3)) {
        return false;
      }
    } else {
      if (long64() || (cr4 & kCr4PCIDE)) return raise(kGP, 0);
      efer &= ~u64{kEferLMA};
    }
  }
  cr0 = v;
  if (changed & (kCr0PG | kCr0WP | kCr0PE)) flush_tlb(false);
  update_mode();
  return true;
}

bool Cpu::set_cr3(u64 v) {
  const bool pcids = cr4 & kCr4PCIDE;
  bool keep = false;
  if (lma()) {
    if (pcids) {
      keep = v >> 63;
      v &= ~u64{0} >> 1;
    }
    if (v & ~kPhysMask) return raise(kGP, 0);
  } else {
    v &= 0xffffffff;
    if ((cr0 & kCr0PG) && (cr4 & kCr4PAE) && !load_pdptes(v)) return false;
  }
  cr3 = v;
  if (pcids)
    select_pcid(v & 0xfff, keep);
  else
    flush_tlb(true);
  return true;
}

bool Cpu::set_cr4(u64 v) {
  if (v & ~kCr4Valid) return raise(kGP, 0);
  if (lma() && !(v & kCr4PAE)) return raise(kGP, 0);
  u64 changed = cr4 ^ v;
  if ((changed & v & kCr4PCIDE) && (!lma() || (cr3 & 0xfff))) return raise(kGP, 0);
  constexpr u64 paging = kCr4PSE | kCr4PAE | kCr4PGE | kCr4SMEP;
  if ((changed & paging) && (cr0 & kCr0PG) && (v & kCr4PAE) && !lma() && !load_pdptes(cr3)) return false;
  cr4 = v;
  if (changed & (paging | kCr4SMAP | kCr4PCIDE | kCr4PKE | kCr4PKS)) flush_tlb(false);
  update_mode();
  return true;
}

bool Cpu::set_efer(u64 v) {
  if ((v & ~kEferValid) || ((v & kEferSVME) && (svm.vm_cr & kVmCrSvmDisable))) return raise(kGP, 0);
  if (((v ^ efer) & kEferLME) && (cr0 & kCr0PG)) return raise(kGP, 0);
  u64 changed = v ^ efer;
  efer = (v & ~u64{kEferLMA}) | (efer & kEferLMA);
  if (changed & kEferNXE) flush_tlb(false);
  update_mode();
  return true;
}

bool Cpu::read_msr(u32 index, u64& v) {
  for (const Plain& p : kPlain)
    if (p.index == index) {
      v = msr.*p.field;
      return true;
    }
  for (const Fixed& f : kFixed)
    if (f.index == index) {
      v = f.value;
      return true;
    }
  if (int slot = mtrr_fixed_slot(index); slot >= 0) {
    v = msr.mtrr_fixed[slot];
    return true;
  }
  if (index >= 0x200 && index < 0x210) {
    v = msr.mtrr_phys[index - 0x200];
    return true;
  }
  if (index >= 0x400 && index < 0x420) {
    u32 bank = (index - 0x400) / 4, reg = index & 3;
    const u64* const regs[4] = {msr.mc_ctl, msr.mc_status, msr.mc_addr, msr.mc_misc};
    v = regs[reg][bank];
    return true;
  }
  if (index >= 0x800 && index < 0x900) return bus.read_apic_msr(index, v) || raise(kGP, 0);
  switch (index) {
    case 0x10: v = read_tsc(); return true;
    case 0x1b: v = bus.apic_base(); return true;
    case 0x3a: v = msr.feature_control; return true;
    case 0x8b: v = msr.bios_sign_id; return true;
    case 0xfe: v = 0x508; return true;  // IA32_MTRRCAP: 8 variable ranges, fixed ranges, write combining
    case 0x10a: v = kArchCapabilities; return true;
    case 0x277: v = msr.pat; return true;
    case 0x2ff: v = msr.mtrr_def_type; return true;
    case 0x6e1: v = msr.pkrs; return true;
    case 0x6e0: {
      u64 d = bus.tsc_deadline();
      v = d ? d + msr.tsc_adjust : 0;
      return true;
    }
    case 0xc0000080: v = efer; return true;
    case 0xc0000100: v = seg[kFS].base; return true;
    case 0xc0000101: v = seg[kGS].base; return true;
    case 0xc0010114: v = svm.vm_cr; return true;
    case 0xc0010117: v = svm.hsave; return true;
    default: return raise(kGP, 0);
  }
}

bool Cpu::write_msr(u32 index, u64 v) {
  for (const Plain& p : kPlain) {
    if (p.index != index) continue;
    if ((v & ~p.writable) || (p.canonical && !canonical(v))) return raise(kGP, 0);
    msr.*p.field = v;
    return true;
  }
  for (const Fixed& f : kFixed)
    if (f.index == index) return true;
  if (int slot = mtrr_fixed_slot(index); slot >= 0) {
    if (!valid_types(v, kNoExtra)) return raise(kGP, 0);
    msr.mtrr_fixed[slot] = v;
    return true;
  }
  if (index >= 0x200 && index < 0x210) {
    bool mask = index & 1;
    if ((v & ~kPhysMask) || (mask ? (v & 0x7ff) != 0 : (v & 0xf00) || !valid_memory_type(v & 0xff)))
      return raise(kGP, 0);
    msr.mtrr_phys[index - 0x200] = v;
    return true;
  }
  if (index >= 0x400 && index < 0x420) {
    u32 bank = (index - 0x400) / 4, reg = index & 3;
    // Every error reporting bit at once, or none; a status can only be cleared.
    if (reg == 0 && v && ~v) return raise(kGP, 0);
    if (reg == 1 && v) return raise(kGP, 0);
    u64* const regs[4] = {msr.mc_ctl, msr.mc_status, msr.mc_addr, msr.mc_misc};
    regs[reg][bank] = v;
    return true;
  }
  if (index >= 0x800 && index < 0x900) return bus.write_apic_msr(index, v) || raise(kGP, 0);
  switch (index) {
    case 0x10: msr.tsc_adjust = v - bus.tsc(); return true;
    case 0x1b: return bus.set_apic_base(v) || raise(kGP, 0);
    case 0x49: return !(v & ~u64{1}) || raise(kGP, 0);  // IA32_PRED_CMD, write only: nothing is predicted
    case 0x8b: msr.bios_sign_id = v; return true;
    case 0x277:
      if (!valid_types(v, 7)) return raise(kGP, 0);
      msr.pat = v;
      return true;
    case 0x2ff:
      if ((v & ~u64{0xcff}) || !valid_memory_type(v & 0xff)) return raise(kGP, 0);
      msr.mtrr_def_type = v;
      return true;
    case 0x6e0: bus.set_tsc_deadline(v ? v - msr.tsc_adjust : 0); return true;
    case 0x6e1:
      if (v >> 32) return raise(kGP, 0);
      set_pkrs(static_cast<u32>(v));
      return true;
    case 0xc0000080: return set_efer(v);
    case 0xc0000100:
    case 0xc0000101: {
      if (!canonical(v)) return raise(kGP, 0);
      unsigned s = index & 1 ? kGS : kFS;
      seg[s].base = v;
      update_seg(s);
      return true;
    }
    case 0xc0010114:  // VM_CR
      if ((v & ~u64{0x1f}) || ((v & kVmCrSvmDisable) && (efer & kEferSVME))) return raise(kGP, 0);
      svm.vm_cr = v;
      return true;
    case 0xc0010117:  // VM_HSAVE_PA
      if (v & (0xfff | ~kPhysMask)) return raise(kGP, 0);
      svm.hsave = v;
      return true;
    default: return raise(kGP, 0);
  }
}

bool Cpu::io_allowed(u16 port, unsigned size) {
  if (real_mode() || (!vm86() && cpl <= iopl())) return true;
  const SegCache& tr = seg[kTR];
  unsigned type = tr.attr & 15;
  u16 io_base, bits;
  if ((type != kTypeTss && type != kTypeTssBusy) || tr.limit < 0x67) return raise(kGP, 0);
  if (!read_sys<u16>(tr.base + 0x66, io_base)) return false;
  u32 at = io_base + port / 8u;
  // Two bytes are read always, and both must lie inside the TSS.
  if (at + 1 > tr.limit) return raise(kGP, 0);
  if (!read_sys<u16>(tr.base + at, bits)) return false;
  return !(bits >> (port & 7) & ((1u << size) - 1)) || raise(kGP, 0);
}

}  // namespace oriel
