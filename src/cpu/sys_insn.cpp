// System instructions: segment registers, far transfers, interrupts, flags, fast system calls.
// SDM Vol. 2 for each; Vol. 3, chapters 5 and 6.
#include "cpu/exec.h"
#include "cpu/sys_descriptor.h"

namespace oriel {

namespace {

bool is_mem(const Insn& i) { return i.flags & kInsnMem; }

// A far transfer or interrupt that switched tasks may have faulted in the new one, which is where its
// exception belongs: the instruction itself is over.
bool settle(Cpu& c, bool ok) {
  if (ok || !c.fault_in_new_task) return ok;
  c.stats.exceptions++;
  c.deliver_exception();
  return true;
}

bool read_ew(Cpu& c, const Insn& i, u16& v) {
  if (is_mem(i)) return c.read<u16>(i.seg, c.ea(i), v);
  v = c.get16(i.rm);
  return true;
}

bool read_size(Cpu& c, unsigned s, u64 off, unsigned osz, u64& v) {
  if (osz == 3) return c.read<u64>(s, off, v);
  u32 w = 0;
  u16 h = 0;
  bool ok = osz == 2 ? c.read<u32>(s, off, w) : c.read<u16>(s, off, h);
  v = osz == 2 ? w : h;
  return ok;
}

bool push_seg(Cpu& c, const Insn& i, unsigned s) {
  u16 sel = c.seg[s].sel;
  if (i.osz != 2) return c.push(sel, i.osz);
  // With a 32-bit operand only 16 bits are written, as recent processors do.
  u64 sp = (c.gpr[kRSP] - 4) & c.sp_mask;
  if (!c.write<u16>(kSS, sp, sel)) return false;
  c.set_sp(sp);
  return true;
}

bool pop_seg(Cpu& c, const Insn& i, unsigned s) {
  u64 v;
  if (!read_size(c, kSS, c.gpr[kRSP] & c.sp_mask, i.osz, v)) return false;
  // The stack pointer moves first in width: SS may change it.
  u64 sp = c.gpr[kRSP] + (u64{1} << i.osz), old = c.gpr[kRSP];
  c.set_sp(sp);
  if (!c.load_segment(s, static_cast<u16>(v))) {
    c.gpr[kRSP] = old;
    return false;
  }
  return true;
}

bool load_far_pointer(Cpu& c, const Insn& i, unsigned s) {
  u64 off, at = c.ea(i);
  u16 sel;
  if (!read_size(c, i.seg, at, i.osz, off) || !c.read<u16>(i.seg, at + (u64{1} << i.osz), sel)) return false;
  if (!c.load_segment(s, sel)) return false;
  c.set_reg(i.reg, off, i.osz);
  return true;
}

void set_zf(Cpu& c, bool z) {
  u32 f = c.arith_flags() & ~static_cast<u32>(kZF);
  c.set_arith_flags(f | (z ? kZF : 0));
}

bool need_cpl0(Cpu& c) { return c.real_mode() || c.cpl == 0 || c.raise(kGP, 0); }

// Descriptor lookups of LAR, LSL, VERR, VERW never fault by themselves. `found` is false too for a null selector.
bool probe_descriptor(Cpu& c, u16 sel, Descriptor& d, bool& found) {
  found = false;
  return !(sel & ~3) || fetch_descriptor(c, sel, d, found);
}

bool visible(const Cpu& c, u16 sel, const Descriptor& d) {
  return (d.code() && d.conforming()) || (d.dpl() >= c.cpl && d.dpl() >= (sel & 3u));
}

bool in_set(unsigned type, u32 set) { return set >> type & 1; }

bool verify(Cpu& c, const Insn& i, bool write) {
  if (!c.protected_mode()) return c.raise(kUD);
  u16 sel;
  Descriptor d;
  bool found;
  if (!read_ew(c, i, sel) || !probe_descriptor(c, sel, d, found)) return false;
  set_zf(c, found && !d.system() && visible(c, sel, d) && (write ? d.writable_data() : d.readable()));
  return true;
}

bool mp_operand(Cpu& c, const Insn& i, u64& off, u16& sel) {
  u64 at = c.ea(i);
  return read_size(c, i.seg, at, i.osz, off) && c.read<u16>(i.seg, at + (u64{1} << i.osz), sel);
}

bool umip_blocks(const Cpu& c) { return (c.cr4 & kCr4UMIP) && c.cpl != 0 && !c.real_mode(); }

bool store_word(Cpu& c, const Insn& i, u64 v) {
  if (is_mem(i)) return c.write<u16>(i.seg, c.ea(i), static_cast<u16>(v));
  c.set_reg(i.rm, v, i.osz);
  return true;
}

bool store_table(Cpu& c, const Insn& i, const DescTable& t, u32 intercept) {
  if (umip_blocks(c)) return c.raise(kGP, 0);
  if (c.intercepts(intercept)) return false;
  u64 at = c.ea(i);
  u8 buf[10];
  store<u16>(buf, t.limit);
  store<u64>(buf + 2, t.base);
  return c.write_bytes(i.seg, at, buf, c.long64() ? 10 : 6);
}

bool load_table(Cpu& c, const Insn& i, DescTable& t, u32 intercept) {
  if (!need_cpl0(c) || c.intercepts(intercept)) return false;
  u64 at = c.ea(i);
  u8 buf[10] = {};
  if (!c.read_bytes(i.seg, at, buf, c.long64() ? 10 : 6)) return false;
  u64 base = load<u64>(buf + 2);
  if (c.long64()) {
    if (!c.canonical(base)) return c.raise(kGP, 0);
  } else {
    base &= i.osz == 1 ? 0xffffff : 0xffffffff;
  }
  t.limit = load<u16>(buf);
  t.base = base;
  return true;
}

// Flat segments as SYSCALL, SYSENTER and their returns load them, without a descriptor.
void flat_cs(Cpu& c, u16 sel, unsigned dpl, bool bits64) {
  SegCache& g = c.seg[kCS];
  g.sel = sel;
  g.base = 0;
  g.limit = 0xffffffff;
  g.attr = static_cast<u16>(kSegP | kSegS | kSegExec | kSegRW | kSegA | kSegG | dpl << 5 | (bits64 ? kSegL : kSegDB));
}

void flat_ss(Cpu& c, u16 sel, unsigned dpl) {
  SegCache& g = c.seg[kSS];
  g.sel = sel;
  g.base = 0;
  g.limit = 0xffffffff;
  g.attr = static_cast<u16>(kSegP | kSegS | kSegRW | kSegA | kSegG | kSegDB | dpl << 5);
}

}  // namespace

// ---- segment registers -------------------------------------------------------------------------

bool exec_PUSH_ES(Cpu& c, const Insn& i) { return push_seg(c, i, kES); }
bool exec_PUSH_CS(Cpu& c, const Insn& i) { return push_seg(c, i, kCS); }
bool exec_PUSH_SS(Cpu& c, const Insn& i) { return push_seg(c, i, kSS); }
bool exec_PUSH_DS(Cpu& c, const Insn& i) { return push_seg(c, i, kDS); }
bool exec_PUSH_FS(Cpu& c, const Insn& i) { return push_seg(c, i, kFS); }
bool exec_PUSH_GS(Cpu& c, const Insn& i) { return push_seg(c, i, kGS); }
bool exec_POP_ES(Cpu& c, const Insn& i) { return pop_seg(c, i, kES); }
bool exec_POP_DS(Cpu& c, const Insn& i) { return pop_seg(c, i, kDS); }
bool exec_POP_FS(Cpu& c, const Insn& i) { return pop_seg(c, i, kFS); }
bool exec_POP_GS(Cpu& c, const Insn& i) { return pop_seg(c, i, kGS); }

bool exec_POP_SS(Cpu& c, const Insn& i) {
  if (!pop_seg(c, i, kSS)) return false;
  c.raise_event(kEvShadow | kEvMovSs);
  return true;
}

bool exec_MOV_EvSw(Cpu& c, const Insn& i) { return store_word(c, i, c.seg[i.reg].sel); }

bool exec_MOV_SwEw(Cpu& c, const Insn& i) {
  u16 sel;
  if (!read_ew(c, i, sel) || !c.load_segment(i.reg, sel)) return false;
  if (i.reg == kSS) c.raise_event(kEvShadow | kEvMovSs);
  return true;
}

bool exec_LES(Cpu& c, const Insn& i) { return load_far_pointer(c, i, kES); }
bool exec_LDS(Cpu& c, const Insn& i) { return load_far_pointer(c, i, kDS); }
bool exec_LSS(Cpu& c, const Insn& i) { return load_far_pointer(c, i, kSS); }
bool exec_LFS(Cpu& c, const Insn& i) { return load_far_pointer(c, i, kFS); }
bool exec_LGS(Cpu& c, const Insn& i) { return load_far_pointer(c, i, kGS); }

bool exec_ARPL(Cpu& c, const Insn& i) {
  if (!c.protected_mode()) return c.raise(kUD);
  u16 dst, src = c.get16(i.reg);
  if (!read_ew(c, i, dst)) return false;
  bool adjust = (dst & 3) < (src & 3);
  if (adjust) {  // there is no write otherwise
    const u16 out = static_cast<u16>((dst & ~3) | (src & 3));
    if (!is_mem(i))
      c.set16(i.rm, out);
    else if (!c.write<u16>(i.seg, c.ea(i), out))
      return false;
  }
  set_zf(c, adjust);
  return true;
}

bool exec_LAR(Cpu& c, const Insn& i) {
  if (!c.protected_mode()) return c.raise(kUD);
  u16 sel;
  Descriptor d;
  bool found;
  if (!read_ew(c, i, sel) || !probe_descriptor(c, sel, d, found)) return false;
  // SDM Vol. 2, LAR, table 3-53.
  u32 types = c.lma() ? 1u << 2 | 1u << 9 | 1u << 11 | 1u << 12 : 0x1a3eu;
  bool ok = found && (!d.system() || in_set(d.type(), types)) && visible(c, sel, d);
  if (ok) c.set_reg(i.reg, static_cast<u32>(d.raw >> 32) & (i.osz == 1 ? 0xff00u : 0xf0ff00u), i.osz);
  set_zf(c, ok);
  return true;
}

bool exec_LSL(Cpu& c, const Insn& i) {
  if (!c.protected_mode()) return c.raise(kUD);
  u16 sel;
  Descriptor d;
  bool found;
  if (!read_ew(c, i, sel) || !probe_descriptor(c, sel, d, found)) return false;
  u32 types = c.lma() ? 1u << 2 | 1u << 9 | 1u << 11 : 0x0a0eu;
  bool ok = found && (!d.system() || in_set(d.type(), types)) && visible(c, sel, d);
  if (ok) c.set_reg(i.reg, d.limit(), i.osz);
  set_zf(c, ok);
  return true;
}

bool exec_VERR(Cpu& c, const Insn& i) { return verify(c, i, false); }
bool exec_VERW(Cpu& c, const Insn& i) { return verify(c, i, true); }

// ---- far transfers and interrupts --------------------------------------------------------------

bool exec_CALL_Ap(Cpu& c, const Insn& i) { return settle(c, c.far_call(i.imm2, i.imm, i.osz)); }
bool exec_JMP_Ap(Cpu& c, const Insn& i) { return settle(c, c.far_jump(i.imm2, i.imm, i.osz)); }

bool exec_CALL_Mp(Cpu& c, const Insn& i) {
  u64 off;
  u16 sel;
  return mp_operand(c, i, off, sel) && settle(c, c.far_call(sel, off, i.osz));
}

bool exec_JMP_Mp(Cpu& c, const Insn& i) {
  u64 off;
  u16 sel;
  return mp_operand(c, i, off, sel) && settle(c, c.far_jump(sel, off, i.osz));
}

bool exec_RETF(Cpu& c, const Insn& i) { return c.far_ret(i.osz, 0); }
bool exec_RETF_Iw(Cpu& c, const Insn& i) { return c.far_ret(i.osz, static_cast<u16>(i.imm)); }
bool exec_IRET(Cpu& c, const Insn& i) { return !c.intercepts(kSvmIret) && settle(c, c.iret(i.osz)); }

bool exec_INT3(Cpu& c, const Insn&) {
  return !c.intercepts(kSvmException + kBP) && settle(c, c.interrupt(kBP, Cpu::IntKind::kSoftTrap, false, 0));
}
bool exec_INT1(Cpu& c, const Insn&) {
  if (c.intercepts(kSvmIcebp)) return false;
  if (!settle(c, c.interrupt(kDB, Cpu::IntKind::kInt1, false, 0))) return false;
  // A debug exception that MOV SS held off is part of this one.
  if (c.pending_dr6) c.dr[6] = (c.dr[6] & ~u64{0xf}) | c.pending_dr6;
  c.pending_dr6 = 0;
  c.events &= ~static_cast<u32>(kEvDebug);
  return true;
}

bool exec_INT_Ib(Cpu& c, const Insn& i) {
  if (c.intercepts(kSvmSoftInt, static_cast<u8>(i.imm))) return false;
  return settle(c, c.interrupt(static_cast<u8>(i.imm), Cpu::IntKind::kSoftware, false, 0));
}

bool exec_INTO(Cpu& c, const Insn&) {
  if (!c.of()) return true;
  return !c.intercepts(kSvmException + kOFv) && settle(c, c.interrupt(kOFv, Cpu::IntKind::kSoftTrap, false, 0));
}

bool exec_BOUND(Cpu& c, const Insn& i) {
  u64 at = c.ea(i), lo, hi, n = u64{1} << i.osz;
  if (!read_size(c, i.seg, at, i.osz, lo) || !read_size(c, i.seg, at + n, i.osz, hi)) return false;
  auto sign = [&](u64 v) {
    return i.osz == 1 ? static_cast<s64>(static_cast<s16>(v)) : static_cast<s64>(static_cast<s32>(v));
  };
  s64 v = sign(c.get_reg(i.reg, i.osz));
  return (v >= sign(lo) && v <= sign(hi)) || c.raise(kBR);
}

bool exec_RSM(Cpu& c, const Insn&) { return !c.intercepts(kSvmRsm) && c.raise(kUD); }  // there is no SMM
bool exec_UD0(Cpu& c, const Insn&) { return c.raise(kUD); }
bool exec_UD1(Cpu& c, const Insn&) { return c.raise(kUD); }
bool exec_UD2(Cpu& c, const Insn&) { return c.raise(kUD); }

bool exec_SYSCALL(Cpu& c, const Insn&) {
  if (!(c.efer & kEferSCE)) return c.raise(kUD);
  u32 flags = c.get_rflags();
  c.gpr[kRCX] = c.rip;
  c.gpr[kR8 + 3] = flags & ~static_cast<u32>(kRF);
  c.rip = c.msr.lstar;
  u16 cs = static_cast<u16>(c.msr.star >> 32 & 0xfffc);
  flat_cs(c, cs, 0, true);
  flat_ss(c, static_cast<u16>(cs + 8), 0);
  c.cpl = 0;
  write_flags(c, 0, static_cast<u32>(c.msr.fmask) | kRF | kVM);
  c.step_trap = c.rflags & kTF;  // not in the kernel when it masks TF
  return true;
}

bool exec_SYSRET(Cpu& c, const Insn& i) {
  if (!(c.efer & kEferSCE)) return c.raise(kUD);
  if (c.cpl != 0) return c.raise(kGP, 0);
  bool to64 = i.osz == 3;
  if (to64 && !c.canonical(c.gpr[kRCX])) return c.raise(kGP, 0);
  u32 flags = static_cast<u32>(c.gpr[kR8 + 3]) & 0x3c7fd7;
  u16 base = static_cast<u16>(c.msr.star >> 48);
  c.rip = to64 ? c.gpr[kRCX] : c.get32(kRCX);
  flat_cs(c, static_cast<u16>((to64 ? base + 16 : base) | 3), 3, to64);
  flat_ss(c, static_cast<u16>((base + 8) | 3), 3);
  c.cpl = 3;
  c.set_rflags_raw(flags & ~static_cast<u32>(kRF | kVM));
  c.update_mode();
  if (flags & kTF) {  // as if the SYSCALL had just completed
    c.pending_dr6 |= kDr6BS;
    c.raise_event(kEvDebug);
  }
  c.step_trap = false;
  return true;
}

bool exec_SYSENTER(Cpu& c, const Insn&) {
  u16 cs = static_cast<u16>(c.msr.sysenter_cs & 0xfffc);
  if (!c.pe() || !cs) return c.raise(kGP, 0);
  bool l = c.lma();
  c.gpr[kRSP] = l ? c.msr.sysenter_esp : static_cast<u32>(c.msr.sysenter_esp);
  c.rip = l ? c.msr.sysenter_eip : static_cast<u32>(c.msr.sysenter_eip);
  flat_cs(c, cs, 0, l);
  flat_ss(c, static_cast<u16>(cs + 8), 0);
  c.cpl = 0;
  write_flags(c, 0, kVM | kIF | kRF);
  return true;
}

bool exec_SYSEXIT(Cpu& c, const Insn& i) {
  u16 cs = static_cast<u16>(c.msr.sysenter_cs & 0xfffc);
  if (!c.protected_mode() || !cs || c.cpl != 0) return c.raise(kGP, 0);
  bool to64 = i.osz == 3;
  if (to64 && (!c.canonical(c.gpr[kRCX]) || !c.canonical(c.gpr[kRDX]))) return c.raise(kGP, 0);
  u64 sp = to64 ? c.gpr[kRCX] : c.get32(kRCX);
  c.rip = to64 ? c.gpr[kRDX] : c.get32(kRDX);
  c.gpr[kRSP] = sp;
  flat_cs(c, static_cast<u16>((cs + (to64 ? 32 : 16)) | 3), 3, to64);
  flat_ss(c, static_cast<u16>((cs + (to64 ? 40 : 24)) | 3), 3);
  c.cpl = 3;
  c.update_mode();
  return true;
}

// ---- flags -------------------------------------------------------------------------------------

bool exec_PUSHF(Cpu& c, const Insn& i) {
  if (c.intercepts(kSvmPushf)) return false;
  u32 f = c.get_rflags() & ~static_cast<u32>(kVM | kRF);
  if (c.vm86() && c.iopl() < 3) {
    if (!(c.cr4 & kCr4VME) || i.osz != 1) return c.raise(kGP, 0);
    f = (f & ~static_cast<u32>(kIF)) | kIOPL | (f & kVIF ? kIF : 0);
  }
  return c.push(f, i.osz);
}

bool exec_POPF(Cpu& c, const Insn& i) {
  if (c.intercepts(kSvmPopf)) return false;
  bool virt = c.vm86() && c.iopl() < 3;
  if (virt && (!(c.cr4 & kCr4VME) || i.osz != 1)) return c.raise(kGP, 0);
  u64 v;
  if (!read_size(c, kSS, c.gpr[kRSP] & c.sp_mask, i.osz, v)) return false;
  u32 f = static_cast<u32>(v);
  u32 mask = kArith | kTF | kDF | kNT;
  if (i.osz > 1) mask |= kAC | kID;
  u32 zero = i.osz > 1 ? kRF : 0;
  if (virt) {
    if ((f & kTF) || ((f & kIF) && (c.rflags & kVIP))) return c.raise(kGP, 0);
    mask |= kVIF;
    f = (f & ~static_cast<u32>(kVIF)) | (f & kIF ? kVIF : 0);
  } else if (c.vm86()) {
    mask |= kIF;
  } else {
    if (c.real_mode() || c.cpl <= c.iopl()) mask |= kIF;
    if (c.real_mode() || c.cpl == 0) mask |= kIOPL;
    if (i.osz > 1) zero |= kVIF | kVIP;
  }
  c.add_sp(u64{1} << i.osz);
  write_flags(c, f & ~zero, mask | zero);
  return true;
}

bool exec_CLI(Cpu& c, const Insn&) {
  if (c.real_mode() || c.cpl <= c.iopl()) {
    c.rflags &= ~static_cast<u32>(kIF);
  } else if (c.vm86() ? (c.cr4 & kCr4VME) != 0 : c.cpl == 3 && (c.cr4 & kCr4PVI)) {
    c.rflags &= ~static_cast<u32>(kVIF);
  } else {
    return c.raise(kGP, 0);
  }
  return true;
}

bool exec_STI(Cpu& c, const Insn&) {
  if (c.real_mode() || c.cpl <= c.iopl()) {
    if (!(c.rflags & kIF)) c.raise_event(kEvShadow);
    c.rflags |= kIF;
  } else if (c.vm86() ? (c.cr4 & kCr4VME) != 0 : c.cpl == 3 && (c.cr4 & kCr4PVI)) {
    if (c.rflags & kVIP) return c.raise(kGP, 0);
    c.rflags |= kVIF;
  } else {
    return c.raise(kGP, 0);
  }
  return true;
}

bool exec_CLAC(Cpu& c, const Insn&) {
  if (c.cpl != 0) return c.raise(kUD);
  write_flags(c, 0, kAC);
  return true;
}

bool exec_STAC(Cpu& c, const Insn&) {
  if (c.cpl != 0) return c.raise(kUD);
  write_flags(c, kAC, kAC);
  return true;
}

// ---- descriptor tables -------------------------------------------------------------------------

bool exec_SGDT(Cpu& c, const Insn& i) { return store_table(c, i, c.gdtr, kSvmReadGdtr); }
bool exec_SIDT(Cpu& c, const Insn& i) { return store_table(c, i, c.idtr, kSvmReadIdtr); }
bool exec_LGDT(Cpu& c, const Insn& i) { return load_table(c, i, c.gdtr, kSvmWriteGdtr); }
bool exec_LIDT(Cpu& c, const Insn& i) { return load_table(c, i, c.idtr, kSvmWriteIdtr); }

static bool store_selector(Cpu& c, const Insn& i, unsigned s) {
  if (!c.protected_mode()) return c.raise(kUD);
  if (umip_blocks(c)) return c.raise(kGP, 0);
  if (c.intercepts(s == kLDTR ? kSvmReadLdtr : kSvmReadTr)) return false;
  return store_word(c, i, c.seg[s].sel);
}
bool exec_SLDT_Mw(Cpu& c, const Insn& i) { return store_selector(c, i, kLDTR); }
bool exec_SLDT_Rv(Cpu& c, const Insn& i) { return store_selector(c, i, kLDTR); }
bool exec_STR_Mw(Cpu& c, const Insn& i) { return store_selector(c, i, kTR); }
bool exec_STR_Rv(Cpu& c, const Insn& i) { return store_selector(c, i, kTR); }

bool exec_LLDT(Cpu& c, const Insn& i) {
  if (!c.protected_mode()) return c.raise(kUD);
  if (c.cpl != 0) return c.raise(kGP, 0);
  if (c.intercepts(kSvmWriteLdtr)) return false;
  u16 sel;
  if (!read_ew(c, i, sel)) return false;
  SegCache& g = c.seg[kLDTR];
  if (!(sel & ~3)) {
    g.sel = sel;
    g.attr = 0;
    g.base = 0;
    g.limit = 0;
    return true;
  }
  Descriptor d;
  if (sel & 4) return c.raise(kGP, sel & ~u32{3});
  if (!need_descriptor(c, sel, kGP, 0, d)) return false;
  if (!d.system() || d.type() != kTypeLdt) return c.raise(kGP, sel & ~u32{3});
  if (c.lma() && !c.canonical(d.base64())) return c.raise(kGP, sel & ~u32{3});
  if (!d.present()) return c.raise(kNP, sel & ~u32{3});
  load_cache(c, kLDTR, sel, d);
  return true;
}

bool exec_LTR(Cpu& c, const Insn& i) {
  if (!c.protected_mode()) return c.raise(kUD);
  if (c.cpl != 0) return c.raise(kGP, 0);
  if (c.intercepts(kSvmWriteTr)) return false;
  u16 sel;
  if (!read_ew(c, i, sel)) return false;
  Descriptor d;
  if (!(sel & ~3)) return c.raise(kGP, 0);
  if (sel & 4) return c.raise(kGP, sel & ~u32{3});
  if (!need_descriptor(c, sel, kGP, 0, d)) return false;
  bool tss = d.system() && (d.type() == kTypeTss || (d.type() == kTypeTss16 && !c.lma()));
  if (!tss) return c.raise(kGP, sel & ~u32{3});
  if (!d.present()) return c.raise(kNP, sel & ~u32{3});
  if (c.lma() && !c.canonical(d.base64())) return c.raise(kGP, sel & ~u32{3});
  d.raw |= u64{2} << 40;
  if (!c.write_sys<u8>(c.gdtr.base + (sel & ~u32{7}) + 5, static_cast<u8>(d.raw >> 40))) return false;
  load_cache(c, kTR, sel, d);
  return true;
}

static bool store_msw(Cpu& c, const Insn& i) {
  if (umip_blocks(c)) return c.raise(kGP, 0);
  return !c.intercepts(kSvmReadCr) && store_word(c, i, c.cr0);
}
bool exec_SMSW_Mw(Cpu& c, const Insn& i) { return store_msw(c, i); }
bool exec_SMSW_Rv(Cpu& c, const Insn& i) { return store_msw(c, i); }

bool exec_LMSW(Cpu& c, const Insn& i) {
  u16 v;
  if (!need_cpl0(c) || c.intercepts(kSvmWriteCr) || c.intercepts(kSvmCr0Selective) || !read_ew(c, i, v)) return false;
  // PE can be set but not cleared.
  return c.set_cr0((c.cr0 & ~u64{kCr0MP | kCr0EM | kCr0TS}) | (v & 15));
}

}  // namespace oriel
