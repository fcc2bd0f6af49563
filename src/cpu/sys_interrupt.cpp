// Delivery of interrupts and exceptions, and IRET. SDM Vol. 3, chapter 6, 20.3 (virtual-8086);
// Vol. 2, INT n and IRET.
#include "cpu/sys_descriptor.h"

namespace oriel {

namespace {

constexpr u32 kClearedOnDelivery = kTF | kNT | kRF | kVM;

// Real mode, and virtual-8086 interrupts that the redirection bitmap leaves to the IVT.
bool deliver_through_ivt(Cpu& c, u8 vector, bool redirected) {
  u32 at = vector * 4u, vec;
  u32 image = c.get_rflags();
  if (redirected) {
    if (!c.read_lin<u32>(at, vec)) return false;
    // With IOPL below 3 the guest of the monitor sees VIF as IF.
    if (c.iopl() < 3) image = (image & ~static_cast<u32>(kIF)) | kIOPL | (image & kVIF ? kIF : 0);
  } else {
    if (at + 3 > c.idtr.limit) return c.raise(kGP, at + 2);
    if (!c.read_sys<u32>(c.idtr.base + at, vec)) return false;
  }
  StackWriter w = writer_for_current(c);
  if (!w.push(image & 0xffff, 2) || !w.push(c.seg[kCS].sel, 2) || !w.push(c.rip & 0xffff, 2)) return false;
  c.set_sp(w.sp);
  c.load_segment_real(kCS, static_cast<u16>(vec >> 16));
  c.rip = vec & 0xffff;
  u32 cleared = kTF | kRF;
  if (redirected)
    cleared |= c.iopl() < 3 ? kVIF : kIF;
  else
    cleared |= kIF | kAC;
  write_flags(c, 0, cleared);
  c.step_trap = false;
  return true;
}

// The interrupt redirection bitmap lies in the 32 bytes below the I/O bitmap.
bool redirection_bit(Cpu& c, u8 vector, bool& set) {
  const SegCache& tr = c.seg[kTR];
  u16 io_base;
  u8 byte;
  set = true;
  if (tr.limit < 0x67) return true;
  if (!c.read_sys<u16>(tr.base + 0x66, io_base)) return false;
  u32 at = static_cast<u32>(io_base) - 32 + vector / 8;
  if (io_base < 32 || at > tr.limit) return true;
  if (!c.read_sys<u8>(tr.base + at, byte)) return false;
  set = byte >> (vector & 7) & 1;
  return true;
}

struct Frame {
  u64 ss, sp, flags, cs, ip;
};

bool push_frame(StackWriter& w, const Frame& f, unsigned size, bool with_stack, bool has_error, u32 error) {
  if (with_stack && (!w.push(f.ss, size) || !w.push(f.sp, size))) return false;
  return w.push(f.flags, size) && w.push(f.cs, size) && w.push(f.ip, size) && (!has_error || w.push(error, size));
}

void null_stack_segment(Cpu& c, unsigned cpl) {
  SegCache& g = c.seg[kSS];
  g.sel = static_cast<u16>(cpl);
  g.attr = static_cast<u16>(cpl << 5 | kSegS | kSegRW | kSegA | kSegDB);
  g.base = 0;
  g.limit = 0xffffffff;
}

bool deliver_long(Cpu& c, const Descriptor& gate, u16 sel, Descriptor& code, bool inner, u32 ext, const Frame& f,
                  bool has_error, u32 error) {
  unsigned ist = gate.raw >> 32 & 7, new_cpl = inner ? code.dpl() : c.cpl;
  u64 target = gate.gate_offset();
  u64 sp = c.gpr[kRSP] & c.sp_mask;
  if (ist) {
    u32 at = 36 + (ist - 1) * 8;
    if (at + 7 > c.seg[kTR].limit) return c.raise(kTS, (c.seg[kTR].sel & ~u32{3}) | ext);
    if (!c.read_sys<u64>(c.seg[kTR].base + at, sp)) return false;
  } else if (inner) {
    NewStack ns;
    if (!inner_stack(c, new_cpl, ext, ns)) return false;
    sp = ns.sp;
  }
  StackWriter w{
      c, 0, sp & ~u64{15}, ~u64{0}, 0, false, false, true, new_cpl == 3 ? kMmuUser : kMmuSup, static_cast<u16>(ext)};
  if (c.mmu == kMmuSupAc && new_cpl != 3) w.mmu = kMmuSupAc;
  if (!push_frame(w, f, 8, true, has_error, error)) return false;
  if (!c.canonical(target)) return c.raise(kGP, ext);
  if (!set_accessed(c, sel, code)) return false;
  if (inner) null_stack_segment(c, new_cpl);
  commit_cs(c, sel, code, new_cpl);
  c.gpr[kRSP] = w.sp;
  c.rip = target;
  return true;
}

bool deliver_legacy(Cpu& c, const Descriptor& gate, u16 sel, Descriptor& code, bool inner, u32 ext, const Frame& f,
                    bool has_error, u32 error) {
  bool gate16 = !(gate.type() & 8);
  unsigned size = gate16 ? 2 : 4;
  u64 target = gate16 ? gate.gate_offset() & 0xffff : gate.gate_offset() & 0xffffffff;
  bool from_vm86 = c.vm86();
  if (!inner) {
    StackWriter w = writer_for_current(c);
    w.error_sel = static_cast<u16>(ext);
    if (!push_frame(w, f, size, false, has_error, error)) return false;
    if (target > code.limit()) return c.raise(kGP, ext);
    if (!set_accessed(c, sel, code)) return false;
    c.set_sp(w.sp);
    commit_cs(c, sel, code, c.cpl);
    c.rip = target;
    return true;
  }
  unsigned dpl = code.dpl();
  NewStack ns;
  if (!inner_stack(c, dpl, ext, ns)) return false;
  StackWriter w = writer_for(c, ns, dpl, ext);
  if (from_vm86) {
    for (unsigned s : {kGS, kFS, kDS, kES})
      if (!w.push(c.seg[s].sel, size)) return false;
  }
  if (!push_frame(w, f, size, true, has_error, error)) return false;
  if (target > code.limit()) return c.raise(kGP, ext);
  if (!set_accessed(c, sel, code) || !set_accessed(c, ns.ss, ns.d)) return false;
  if (from_vm86) {
    c.rflags &= ~static_cast<u32>(kVM);
    for (unsigned s : {kGS, kFS, kDS, kES}) {
      c.seg[s].sel = 0;
      c.seg[s].attr = 0;
      c.seg[s].base = 0;
      c.seg[s].limit = 0;
    }
  }
  load_cache(c, kSS, ns.ss, ns.d);
  commit_cs(c, sel, code, dpl);
  c.set_sp(w.sp);
  c.rip = target;
  return true;
}

}  // namespace

void write_flags(Cpu& c, u32 value, u32 mask) {
  c.set_rflags_raw((c.get_rflags() & ~mask) | (value & mask));
  c.update_mode();
}

bool Cpu::interrupt(u8 vector, IntKind kind, bool has_error, u32 error) {
  if (!svm.guest) return deliver_event(vector, kind, has_error, error);
  // Should an exit come of it, its host sees what was to be delivered (APM Vol. 2, 15.7.2).
  const u64 type = kind == IntKind::kExternal ? (vector == kNMI ? 2 : 0) : kind == IntKind::kSoftware ? 4 : 3;
  svm.event = vector | type << 8 | (has_error ? u64{error} << 32 | 1 << 11 : 0) | u64{1} << 31;
  if (!deliver_event(vector, kind, has_error, error)) return false;
  svm.event = 0;
  return true;
}

bool Cpu::deliver_event(u8 vector, IntKind kind, bool has_error, u32 error) {
  u32 ext = kind == IntKind::kSoftware || kind == IntKind::kSoftTrap ? 0 : 1;
  if (real_mode()) return deliver_through_ivt(*this, vector, false);
  if (vm86() && kind == IntKind::kSoftware) {
    if (cr4 & kCr4VME) {
      bool bit;
      if (!redirection_bit(*this, vector, bit)) return false;
      if (!bit) return deliver_through_ivt(*this, vector, true);
    }
    if (iopl() < 3) return raise(kGP, 0);
  }
  u32 at = vector * (lma() ? 16u : 8u), gate_error = vector * 8u + 2 + ext;
  if (at + (lma() ? 15 : 7) > idtr.limit) return raise(kGP, gate_error);
  Descriptor gate;
  if (!read_sys<u64>(idtr.base + at, gate.raw)) return false;
  if (lma() && !read_sys<u64>(idtr.base + at + 8, gate.high)) return false;
  unsigned type = gate.type();
  bool legal = gate.system() && (type == kTypeInt || type == kTypeTrap ||
                                 (!lma() && (type == kTypeInt16 || type == kTypeTrap16 || type == kTypeTaskGate)));
  if (!legal) return raise(kGP, gate_error);
  if ((kind == IntKind::kSoftware || kind == IntKind::kSoftTrap) && gate.dpl() < cpl) return raise(kGP, gate_error);
  if (!gate.present()) return raise(kNP, gate_error);
  u16 sel = gate.gate_selector();
  if (type == kTypeTaskGate) {
    Descriptor td;
    if ((sel & 4) || !(sel & ~3)) return raise(kGP, (sel & ~u32{3}) | ext);
    if (!need_descriptor(*this, sel, kGP, ext, td)) return false;
    if (!td.system() || (td.type() != kTypeTss && td.type() != kTypeTss16)) return raise(kGP, (sel & ~u32{3}) | ext);
    if (!td.present()) return raise(kNP, (sel & ~u32{3}) | ext);
    return task_switch(*this, sel, td, TaskSwitch::kCall, has_error, error, ext);
  }
  if (!(sel & ~3)) return raise(kGP, ext);
  Descriptor code;
  if (!need_descriptor(*this, sel, kGP, ext, code)) return false;
  u32 code_error = (sel & ~u32{3}) | ext;
  if (!code.code() || code.dpl() > cpl) return raise(kGP, code_error);
  if (lma() && (code.attr() & (kSegL | kSegDB)) != kSegL) return raise(kGP, code_error);
  if (!code.present()) return raise(kNP, code_error);
  bool inner = !code.conforming() && code.dpl() < cpl;
  if (vm86() && (!inner || code.dpl() != 0)) return raise(kGP, code_error);
  Frame f{seg[kSS].sel, gpr[kRSP] & (long64() ? ~u64{0} : 0xffffffff), get_rflags(), seg[kCS].sel, rip};
  bool ok = lma() ? deliver_long(*this, gate, sel, code, inner, ext, f, has_error, error)
                  : deliver_legacy(*this, gate, sel, code, inner, ext, f, has_error, error);
  if (!ok) return false;
  bool interrupt_gate = type == kTypeInt || type == kTypeInt16;
  write_flags(*this, 0, kClearedOnDelivery | (interrupt_gate ? kIF : 0));
  step_trap = false;  // INT n has cleared TF when its trap would come (SDM Vol. 3, 17.3.1.4)
  return true;
}

void Cpu::deliver_exception() {
  // SDM Vol. 3, table 6-5.
  auto contributory = [](u8 v) { return v == kDE || (v >= kTS && v <= kGP); };
  for (;;) {
    if (exc.vector == kVmExit) return vm_exit();
    Exception e = exc;
    if (e.vector != kDB && intercepts(kSvmException + e.vector, e.error, e.vector == kPFv ? e.cr2 : 0))
      return vm_exit();
    fault_in_new_task = false;
    if (e.vector == kPFv) cr2 = e.cr2;
    if (e.vector == kDB) {
      if (pending_dr6 & kDr6BD) rflags |= kRF;  // general detect is a fault
      dr[6] = (dr[6] & ~u64{0xf}) | pending_dr6;
      pending_dr6 = 0;
      events &= ~static_cast<u32>(kEvDebug);
      dr[7] &= ~u64{1 << 13};
      if (intercepts(kSvmException + kDB)) return vm_exit();
    } else {
      // All that is raised, not called by INT n, is a fault: its handler returns to the instruction with RF set.
      rflags |= kRF;
    }
    if (interrupt(e.vector, IntKind::kException, e.has_error, e.error)) return;
    if (exc.vector == kVmExit) return vm_exit();
    if (e.vector == kDF_) {
      if (intercepts(kSvmShutdown)) return vm_exit();
      update_mode();
      raise_event(kEvShutdown);
      return;
    }
    bool page = e.vector == kPFv;
    if ((contributory(e.vector) && contributory(exc.vector)) ||
        (page && (contributory(exc.vector) || exc.vector == kPFv))) {
      if (exc.vector == kPFv) cr2 = exc.cr2;
      raise(kDF_, 0);
    }
  }
}

bool Cpu::iret(unsigned osz) {
  u64 size = u64{1} << osz, sp = gpr[kRSP] & sp_mask;
  bool lma_now = lma();
  u32 wide = osz > 1 ? kAC | kID | kRF : 0;
  bool virt = vm86();
  if (virt && iopl() < 3 && !((cr4 & kCr4VME) && osz == 1)) return raise(kGP, 0);
  if (protected_mode() && (rflags & kNT)) {
    if (lma_now) return raise(kGP, 0);
    u16 link;
    Descriptor d;
    if (!read_sys<u16>(seg[kTR].base, link)) return false;
    u32 err = link & ~u32{3};
    if ((link & 4) || !err) return raise(kTS, err);
    if (!need_descriptor(*this, link, kTS, 0, d)) return false;
    if (!d.system() || (d.type() != kTypeTssBusy && d.type() != kTypeTss16Busy)) return raise(kTS, err);
    if (!d.present()) return raise(kNP, err);
    if (!task_switch(*this, link, d, TaskSwitch::kIret, false, 0, 0)) return false;
    nmi_blocked = false;
    return true;
  }
  u64 frame[9] = {};
  auto fetch = [&](unsigned first, unsigned n) {
    for (unsigned k = first; k < first + n; k++) {
      u64 at = (sp + k * size) & sp_mask;
      u32 w = 0;
      u16 h = 0;
      if (osz == 3 ? !read<u64>(kSS, at, frame[k]) : osz == 2 ? !read<u32>(kSS, at, w) : !read<u16>(kSS, at, h))
        return false;
      if (osz < 3) frame[k] = osz == 2 ? w : h;
    }
    return true;
  };
  if (!fetch(0, 3)) return false;
  u64 offset = frame[0];
  u16 sel = static_cast<u16>(frame[1]);
  u32 flags = static_cast<u32>(frame[2]);
  if (!protected_mode()) {
    if (offset > seg[kCS].limit) return raise(kGP, 0);
    u32 mask = kArith | kTF | kDF | kNT | wide;
    if (virt && iopl() < 3) {
      // VME: IF is virtual.
      if ((flags & kTF) || ((flags & kIF) && (rflags & kVIP))) return raise(kGP, 0);
      mask |= kVIF;
      flags = (flags & ~static_cast<u32>(kVIF)) | (flags & kIF ? kVIF : 0);
    } else {
      mask |= kIF | (virt ? 0 : kIOPL);
    }
    set_sp(sp + 3 * size);
    load_segment_real(kCS, sel);
    rip = offset;
    write_flags(*this, flags, mask);
    nmi_blocked = false;
    return true;
  }
  if ((flags & kVM) && cpl == 0 && osz == 2 && !lma_now) {
    if (!fetch(3, 6)) return false;
    set_rflags_raw(flags & (kArith | kTF | kIF | kDF | kIOPL | kNT | kRF | kVM | kAC | kVIF | kVIP | kID));
    cpl = 3;
    load_segment_real(kCS, sel);
    static constexpr u8 order[5] = {kSS, kES, kDS, kFS, kGS};
    for (unsigned k = 0; k < 5; k++) load_segment_real(order[k], static_cast<u16>(frame[4 + k]));
    rip = offset & 0xffff;
    gpr[kRSP] = static_cast<u32>(frame[3]);
    update_mode();
    nmi_blocked = false;
    return true;
  }
  u32 mask = kArith | kTF | kDF | kNT | wide | (cpl <= iopl() ? kIF : 0);
  if (cpl == 0) mask |= kIOPL | (osz > 1 ? kVIF | kVIP : 0);
  if (!far_return_to(sel, offset, sp + 3 * size, osz, 0, true, flags, mask)) return false;
  nmi_blocked = false;
  return true;
}

}  // namespace oriel
