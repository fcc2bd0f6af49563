// Descriptor fetching, segment loads and far transfers. SDM Vol. 3, chapters 3 and 5; Vol. 2, MOV,
// JMP, CALL, RET.
#include "cpu/sys_descriptor.h"

namespace oriel {

namespace {
u32 sel_error(u16 sel, u32 ext = 0) { return (sel & ~u32{3}) | ext; }
u64 width_mask(unsigned osz) { return osz == 3 ? ~u64{0} : osz == 2 ? 0xffffffff : 0xffff; }
}  // namespace

bool fetch_descriptor(Cpu& c, u16 sel, Descriptor& d, bool& found) {
  u64 base;
  u32 limit;
  if (sel & 4) {
    const SegCache& ldt = c.seg[kLDTR];
    base = ldt.base;
    limit = ldt.limit;
    if (!(ldt.attr & kSegP) || !(ldt.sel & ~3)) {
      found = false;
      return true;
    }
  } else {
    base = c.gdtr.base;
    limit = c.gdtr.limit;
  }
  found = (sel | 7u) <= limit;
  if (!found) return true;
  if (!c.read_sys<u64>(base + (sel & ~u32{7}), d.raw)) return false;
  d.high = 0;
  // LDT, TSS and call gates are 16 bytes long in IA-32e mode.
  if (c.lma() && d.system()) {
    unsigned t = d.type();
    if (t == kTypeLdt || t == kTypeTss || t == kTypeTssBusy || t == kTypeCall) {
      found = (sel | 7u) + 8 <= limit;
      if (found && !c.read_sys<u64>(base + (sel & ~u32{7}) + 8, d.high)) return false;
    }
  }
  return true;
}

bool need_descriptor(Cpu& c, u16 sel, u8 vector, u32 ext, Descriptor& d) {
  bool found;
  if (!fetch_descriptor(c, sel, d, found)) return false;
  return found || c.raise(vector, sel_error(sel, ext));
}

bool set_accessed(Cpu& c, u16 sel, Descriptor& d) {
  if (d.attr() & kSegA) return true;
  d.raw |= u64{1} << 40;
  u64 base = sel & 4 ? c.seg[kLDTR].base : c.gdtr.base;
  return c.write_sys<u8>(base + (sel & ~u32{7}) + 5, static_cast<u8>(d.raw >> 40));
}

void load_cache(Cpu& c, unsigned s, u16 sel, const Descriptor& d) {
  SegCache& g = c.seg[s];
  g.sel = sel;
  g.attr = d.attr();
  g.base = d.system() ? d.base64() : d.base32();
  g.limit = d.limit();
}

void commit_cs(Cpu& c, u16 sel, const Descriptor& d, unsigned cpl) {
  load_cache(c, kCS, static_cast<u16>((sel & ~3) | cpl), d);
  c.cpl = static_cast<u8>(cpl);
  c.update_mode();
}

void Cpu::load_segment_real(unsigned s, u16 selector) {
  SegCache& g = seg[s];
  g.sel = selector;
  g.base = static_cast<u64>(selector) << 4;
  if (vm86()) {
    g.limit = 0xffff;
    g.attr = kSegP | kSegS | kSegRW | kSegA | 3 << 5;
  } else if (s == kCS) {
    g.attr = static_cast<u16>(kSegP | kSegS | kSegRW | kSegA | (g.attr & kSegDB));
  } else if (!(g.attr & kSegP)) {
    g.attr = kSegP | kSegS | kSegRW | kSegA;  // a null selector from protected mode
  }
  update_seg(s);
}

bool Cpu::load_segment(unsigned s, u16 sel) {
  if (!protected_mode()) {
    load_segment_real(s, sel);
    if (s == kSS) update_mode();
    return true;
  }
  unsigned rpl = sel & 3;
  if (!(sel & ~3)) {
    if (s == kSS) {
      if (!long64() || cpl == 3 || rpl != cpl) return raise(kGP, 0);
      seg[kSS].sel = sel;
      seg[kSS].attr = static_cast<u16>(cpl << 5 | kSegS | kSegRW | kSegA | kSegDB);
      seg[kSS].base = 0;
      seg[kSS].limit = 0xffffffff;
      update_mode();
      return true;
    }
    seg[s].sel = sel;
    seg[s].attr = 0;
    seg[s].base = 0;
    seg[s].limit = 0;
    update_seg(s);
    return true;
  }
  Descriptor d;
  if (!need_descriptor(*this, sel, kGP, 0, d)) return false;
  if (s == kSS) {
    if (rpl != cpl || !d.writable_data() || d.dpl() != cpl) return raise(kGP, sel_error(sel));
    if (!d.present()) return raise(kSSv, sel_error(sel));
  } else {
    if (!d.readable()) return raise(kGP, sel_error(sel));
    if (!(d.code() && d.conforming()) && (rpl > d.dpl() || cpl > d.dpl())) return raise(kGP, sel_error(sel));
    if (!d.present()) return raise(kNP, sel_error(sel));
  }
  if (!set_accessed(*this, sel, d)) return false;
  load_cache(*this, s, sel, d);
  if (s == kSS)
    update_mode();
  else
    update_seg(s);
  return true;
}

bool StackWriter::push(u64 v, unsigned size) {
  u64 at = (sp - size) & mask;
  if (check) {
    u64 last = at + size - 1;
    bool bad = expand_down ? at <= limit || last > (big ? 0xffffffffu : 0xffffu) : last > limit;
    if (bad) return c.raise(kSSv, error_sel);
  } else if (!c.canonical(at)) {
    return c.raise(kSSv, error_sel);
  }
  u64 lin = check ? (base + at) & 0xffffffff : at;
  if (!c.write_slow(lin, &v, size, kSS, mmu)) return false;
  sp = at;
  return true;
}

StackWriter writer_for_current(Cpu& c) {
  const SegCache& g = c.seg[kSS];
  return {c,
          g.base,
          c.gpr[kRSP] & c.sp_mask,
          c.sp_mask,
          g.limit,
          !c.long64(),
          (g.attr & (kSegExec | kSegDC)) == kSegDC,
          (g.attr & kSegDB) != 0,
          c.mmu,
          0};
}

StackWriter writer_for(Cpu& c, const NewStack& s, unsigned dpl, u32 ext) {
  u8 mmu = dpl == 3 ? kMmuUser : kMmuSup;
  if (c.lma()) return {c, 0, s.sp, ~u64{0}, 0, false, false, true, mmu, 0};
  bool big = s.d.attr() & kSegDB;
  return {c,
          s.d.base32(),
          s.sp,
          big ? 0xffffffffu : 0xffffu,
          s.d.limit(),
          true,
          (s.d.attr() & (kSegExec | kSegDC)) == kSegDC,
          big,
          mmu,
          static_cast<u16>((s.ss & ~3) | ext)};
}

bool inner_stack(Cpu& c, unsigned dpl, u32 ext, NewStack& out) {
  const SegCache& tr = c.seg[kTR];
  unsigned type = tr.attr & 15;
  u32 ts_error = sel_error(tr.sel, ext);
  if (c.lma()) {
    u32 at = 4 + dpl * 8;
    if (at + 7 > tr.limit) return c.raise(kTS, ts_error);
    if (!c.read_sys<u64>(tr.base + at, out.sp)) return false;
    if (!c.canonical(out.sp)) return c.raise(kSSv, ext);
    out.ss = static_cast<u16>(dpl);  // a null selector with the new CPL
    return true;
  }
  if (type == kTypeTssBusy || type == kTypeTss) {
    u32 at = 4 + dpl * 8, sp;
    if (at + 5 > tr.limit) return c.raise(kTS, ts_error);
    if (!c.read_sys<u32>(tr.base + at, sp) || !c.read_sys<u16>(tr.base + at + 4, out.ss)) return false;
    out.sp = sp;
  } else {
    u32 at = 2 + dpl * 4;
    u16 sp;
    if (at + 3 > tr.limit) return c.raise(kTS, ts_error);
    if (!c.read_sys<u16>(tr.base + at, sp) || !c.read_sys<u16>(tr.base + at + 2, out.ss)) return false;
    out.sp = sp;
  }
  if (!(out.ss & ~3)) return c.raise(kTS, ext);
  if (!need_descriptor(c, out.ss, kTS, ext, out.d)) return false;
  if ((out.ss & 3u) != dpl || out.d.dpl() != dpl || !out.d.writable_data()) return c.raise(kTS, sel_error(out.ss, ext));
  if (!out.d.present()) return c.raise(kSSv, sel_error(out.ss, ext));
  return true;
}

namespace {

// Checks of a code segment reached directly (not through a gate) with the CPL kept.
bool check_direct_code(Cpu& c, u16 sel, const Descriptor& d) {
  if (!d.code()) return c.raise(kGP, sel_error(sel));
  if (c.lma() && (d.attr() & kSegL) && (d.attr() & kSegDB)) return c.raise(kGP, sel_error(sel));
  if (d.conforming() ? d.dpl() > c.cpl : ((sel & 3u) > c.cpl || d.dpl() != c.cpl)) return c.raise(kGP, sel_error(sel));
  if (!d.present()) return c.raise(kNP, sel_error(sel));
  return true;
}

bool check_target(Cpu& c, const Descriptor& d, u64 offset) {
  if (c.lma() && (d.attr() & kSegL)) return c.canonical(offset) || c.raise(kGP, 0);
  return offset <= d.limit() || c.raise(kGP, 0);
}

// The code segment that a call gate names; `d` and `sel` are replaced by it.
bool check_gate(Cpu& c, u16 sel, const Descriptor& gate, u16& code_sel, Descriptor& d) {
  if (gate.dpl() < c.cpl || gate.dpl() < (sel & 3u)) return c.raise(kGP, sel_error(sel));
  if (!gate.present()) return c.raise(kNP, sel_error(sel));
  code_sel = gate.gate_selector();
  if (!(code_sel & ~3)) return c.raise(kGP, 0);
  if (!need_descriptor(c, code_sel, kGP, 0, d)) return false;
  if (!d.code() || d.dpl() > c.cpl) return c.raise(kGP, sel_error(code_sel));
  if (c.lma() && (d.attr() & (kSegL | kSegDB)) != kSegL) return c.raise(kGP, sel_error(code_sel));
  if (!d.present()) return c.raise(kNP, sel_error(code_sel));
  return true;
}

bool is_call_gate(const Cpu& c, const Descriptor& d) {
  return d.type() == kTypeCall || (d.type() == kTypeCall16 && !c.lma());
}

// JMP or CALL to a task gate or TSS. Sets `done` when it was one.
bool try_task(Cpu& c, u16 sel, const Descriptor& d, TaskSwitch how, bool& done) {
  done = false;
  if (c.lma()) return true;
  unsigned t = d.type();
  if (t == kTypeTaskGate) {
    done = true;
    if (d.dpl() < c.cpl || d.dpl() < (sel & 3u)) return c.raise(kGP, sel_error(sel));
    if (!d.present()) return c.raise(kNP, sel_error(sel));
    u16 tss = d.gate_selector();
    Descriptor td;
    if ((tss & 4) || !(tss & ~3)) return c.raise(kGP, sel_error(tss));
    if (!need_descriptor(c, tss, kGP, 0, td)) return false;
    if (!td.system() || (td.type() != kTypeTss && td.type() != kTypeTss16)) return c.raise(kGP, sel_error(tss));
    if (!td.present()) return c.raise(kNP, sel_error(tss));
    return task_switch(c, tss, td, how, false, 0, 0);
  }
  if (t == kTypeTss || t == kTypeTss16) {
    done = true;
    if (d.dpl() < c.cpl || d.dpl() < (sel & 3u)) return c.raise(kGP, sel_error(sel));
    if (sel & 4) return c.raise(kGP, sel_error(sel));
    if (!d.present()) return c.raise(kNP, sel_error(sel));
    return task_switch(c, sel, d, how, false, 0, 0);
  }
  return true;
}

}  // namespace

bool Cpu::far_jump(u16 sel, u64 offset, unsigned osz) {
  offset &= width_mask(osz);
  if (!protected_mode()) {
    if (offset > seg[kCS].limit) return raise(kGP, 0);
    load_segment_real(kCS, sel);
    rip = offset;
    update_mode();
    return true;
  }
  if (!(sel & ~3)) return raise(kGP, 0);
  Descriptor d;
  if (!need_descriptor(*this, sel, kGP, 0, d)) return false;
  if (d.system()) {
    bool done;
    if (!try_task(*this, sel, d, TaskSwitch::kJump, done)) return false;
    if (done) return true;
    if (!is_call_gate(*this, d)) return raise(kGP, sel_error(sel));
    Descriptor code;
    u16 code_sel;
    if (!check_gate(*this, sel, d, code_sel, code)) return false;
    if (!code.conforming() && code.dpl() != cpl) return raise(kGP, sel_error(code_sel));
    u64 target = d.gate_offset();
    if (d.type() == kTypeCall16) target &= 0xffff;
    if (!check_target(*this, code, target) || !set_accessed(*this, code_sel, code)) return false;
    commit_cs(*this, code_sel, code, cpl);
    rip = target;
    return true;
  }
  if (!check_direct_code(*this, sel, d) || !check_target(*this, d, offset) || !set_accessed(*this, sel, d))
    return false;
  commit_cs(*this, sel, d, cpl);
  rip = offset;
  return true;
}

bool Cpu::far_call(u16 sel, u64 offset, unsigned osz) {
  offset &= width_mask(osz);
  unsigned size = 1u << osz;
  u64 return_ip = rip & width_mask(osz);
  if (!protected_mode()) {
    if (offset > seg[kCS].limit) return raise(kGP, 0);
    StackWriter w = writer_for_current(*this);
    if (!w.push(seg[kCS].sel, size) || !w.push(return_ip, size)) return false;
    set_sp(w.sp);
    load_segment_real(kCS, sel);
    rip = offset;
    update_mode();
    return true;
  }
  if (!(sel & ~3)) return raise(kGP, 0);
  Descriptor d;
  if (!need_descriptor(*this, sel, kGP, 0, d)) return false;
  if (!d.system()) {
    if (!check_direct_code(*this, sel, d) || !check_target(*this, d, offset)) return false;
    StackWriter w = writer_for_current(*this);
    if (!w.push(seg[kCS].sel, size) || !w.push(return_ip, size) || !set_accessed(*this, sel, d)) return false;
    set_sp(w.sp);
    commit_cs(*this, sel, d, cpl);
    rip = offset;
    return true;
  }
  bool done;
  if (!try_task(*this, sel, d, TaskSwitch::kCall, done)) return false;
  if (done) return true;
  if (!is_call_gate(*this, d)) return raise(kGP, sel_error(sel));
  Descriptor code;
  u16 code_sel;
  if (!check_gate(*this, sel, d, code_sel, code)) return false;
  bool gate16 = d.type() == kTypeCall16;
  unsigned gsize = lma() ? 8 : gate16 ? 2 : 4;
  u64 target = d.gate_offset();
  if (gate16) target &= 0xffff;
  if (!check_target(*this, code, target)) return false;
  if (code.conforming() || code.dpl() == cpl) {
    StackWriter w = writer_for_current(*this);
    if (!w.push(seg[kCS].sel, gsize) || !w.push(rip, gsize) || !set_accessed(*this, code_sel, code)) return false;
    set_sp(w.sp);
    commit_cs(*this, code_sel, code, cpl);
    rip = target;
    return true;
  }
  // To an inner level, with the parameters copied.
  unsigned dpl = code.dpl();
  NewStack ns;
  if (!inner_stack(*this, dpl, 0, ns)) return false;
  StackWriter w = writer_for(*this, ns, dpl, 0);
  if (!w.push(seg[kSS].sel, gsize) || !w.push(gpr[kRSP], gsize)) return false;
  if (!lma()) {
    unsigned count = d.raw >> 32 & 31;
    for (unsigned k = count; k-- > 0;) {
      u64 at = (gpr[kRSP] + k * gsize) & sp_mask;
      u32 v = 0;
      u16 half = 0;
      if (gsize == 4 ? !read<u32>(kSS, at, v) : !read<u16>(kSS, at, half)) return false;
      if (!w.push(gsize == 4 ? v : half, gsize)) return false;
    }
  }
  if (!w.push(seg[kCS].sel, gsize) || !w.push(rip, gsize)) return false;
  if (!set_accessed(*this, code_sel, code)) return false;
  if (!lma() && !set_accessed(*this, ns.ss, ns.d)) return false;
  if (lma()) {
    seg[kSS].sel = static_cast<u16>(dpl);
    seg[kSS].attr = static_cast<u16>(dpl << 5 | kSegS | kSegRW | kSegA | kSegDB);
  } else {
    load_cache(*this, kSS, ns.ss, ns.d);
  }
  commit_cs(*this, code_sel, code, dpl);
  set_sp(w.sp);
  rip = target;
  return true;
}

// After a return to an outer level, data segments that the outer level may not use become null. Their bases stay: in
// 64-bit mode those of FS and GS are in use with a null selector.
static void drop_inner_segments(Cpu& c) {
  for (unsigned s : {kES, kDS, kFS, kGS}) {
    SegCache& g = c.seg[s];
    bool conforming_code = (g.attr & (kSegExec | kSegDC)) == (kSegExec | kSegDC);
    if (!(g.attr & kSegP) || conforming_code || seg_dpl(g.attr) >= c.cpl) continue;
    g.sel = 0;
    g.attr = 0;
    g.limit = 0;
    c.update_seg(s);
  }
}

// RETF and the protected-mode part of IRET share the return to CS:RIP and, outward, SS:RSP.
// Reads CS, RIP (and flags for IRET) from the stack at `sp`; see iret().
bool Cpu::far_return_to(u16 sel, u64 offset, u64 sp_after, unsigned osz, u16 release, bool is_iret, u32 flags,
                        u32 flags_mask) {
  if (!(sel & ~3)) return raise(kGP, 0);
  Descriptor d;
  if (!need_descriptor(*this, sel, kGP, 0, d)) return false;
  unsigned rpl = sel & 3;
  if (!d.code() || rpl < cpl) return raise(kGP, sel_error(sel));
  if (lma() && (d.attr() & kSegL) && (d.attr() & kSegDB)) return raise(kGP, sel_error(sel));
  if (d.conforming() ? d.dpl() > rpl : d.dpl() != rpl) return raise(kGP, sel_error(sel));
  if (!d.present()) return raise(kNP, sel_error(sel));
  u64 size = u64{1} << osz;
  bool to64 = lma() && (d.attr() & kSegL);
  bool outer = rpl > cpl || (is_iret && long64());
  if (!outer) {
    if (!check_target(*this, d, offset) || !set_accessed(*this, sel, d)) return false;
    set_sp(sp_after + release);
    commit_cs(*this, sel, d, cpl);
    rip = offset;
    if (is_iret) write_flags(*this, flags, flags_mask);
    return true;
  }
  u64 new_sp = 0, new_ss = 0, at = (sp_after + release) & sp_mask;
  auto fetch = [&](u64 off, u64& v) {
    if (osz == 3) return read<u64>(kSS, off, v);
    u32 w = 0;
    u16 h = 0;
    bool ok = osz == 2 ? read<u32>(kSS, off, w) : read<u16>(kSS, off, h);
    v = osz == 2 ? w : h;
    return ok;
  };
  if (!fetch(at, new_sp) || !fetch((at + size) & sp_mask, new_ss)) return false;
  u16 ss = static_cast<u16>(new_ss);
  Descriptor sd;
  bool null_ss = !(ss & ~3);
  if (null_ss) {
    if (!to64 || rpl == 3) return raise(kGP, 0);
    if ((ss & 3u) != rpl) return raise(kGP, sel_error(ss));
  } else {
    if (!need_descriptor(*this, ss, kGP, 0, sd)) return false;
    if ((ss & 3u) != rpl || !sd.writable_data() || sd.dpl() != rpl) return raise(kGP, sel_error(ss));
    if (!sd.present()) return raise(kSSv, sel_error(ss));
  }
  if (!check_target(*this, d, offset) || !set_accessed(*this, sel, d)) return false;
  if (!null_ss && !set_accessed(*this, ss, sd)) return false;
  bool lower = rpl > cpl;
  if (null_ss) {
    seg[kSS].sel = ss;
    seg[kSS].attr = static_cast<u16>(rpl << 5 | kSegS | kSegRW | kSegA | kSegDB);
    seg[kSS].base = 0;
    seg[kSS].limit = 0xffffffff;
  } else {
    load_cache(*this, kSS, ss, sd);
  }
  commit_cs(*this, sel, d, rpl);
  if (sp_mask == 0xffff && osz == 1)
    set16(kRSP, static_cast<u16>(new_sp + (is_iret ? 0 : release)));
  else
    set_sp(new_sp + (is_iret ? 0 : release));
  rip = offset;
  if (is_iret) write_flags(*this, flags, flags_mask);
  if (lower) drop_inner_segments(*this);
  return true;
}

bool Cpu::far_ret(unsigned osz, u16 release) {
  u64 sp = gpr[kRSP] & sp_mask, size = u64{1} << osz, offset = 0, sel = 0;
  auto fetch = [&](u64 off, u64& v) {
    if (osz == 3) return read<u64>(kSS, off, v);
    u32 w = 0;
    u16 h = 0;
    bool ok = osz == 2 ? read<u32>(kSS, off, w) : read<u16>(kSS, off, h);
    v = osz == 2 ? w : h;
    return ok;
  };
  if (!fetch(sp, offset) || !fetch((sp + size) & sp_mask, sel)) return false;
  if (!protected_mode()) {
    if (offset > seg[kCS].limit) return raise(kGP, 0);
    set_sp(sp + 2 * size + release);
    load_segment_real(kCS, static_cast<u16>(sel));
    rip = offset;
    update_mode();
    return true;
  }
  return far_return_to(static_cast<u16>(sel), offset, sp + 2 * size, osz, release, false, 0, 0);
}

}  // namespace oriel
