// Hardware task switching. SDM Vol. 3, 7.2 and 7.3.
#include "cpu/sys_descriptor.h"

namespace oriel {

namespace {

// Where the fields of a TSS lie, by width. Offsets in bytes (SDM Vol. 3, figures 7-2 and 7-10).
struct TssLayout {
  u32 min_limit;
  u32 ip, flags, gpr, segs, ldt;
  unsigned size;  // of a general register or EIP
  unsigned seg_step, seg_count;
};
constexpr TssLayout kTss16Layout{0x2b, 14, 16, 18, 34, 42, 2, 2, 4};
constexpr TssLayout kTss32Layout{0x67, 32, 36, 40, 72, 96, 4, 4, 6};

bool read_field(Cpu& c, u64 at, unsigned size, u32& v) {
  if (size == 4) return c.read_sys<u32>(at, v);
  u16 h;
  if (!c.read_sys<u16>(at, h)) return false;
  v = h;
  return true;
}

bool write_field(Cpu& c, u64 at, unsigned size, u32 v) {
  return size == 4 ? c.write_sys<u32>(at, v) : c.write_sys<u16>(at, static_cast<u16>(v));
}

bool set_busy(Cpu& c, u16 sel, bool busy) {
  u64 at = c.gdtr.base + (sel & ~u32{7}) + 5;
  u8 b;
  if (!c.read_sys<u8>(at, b)) return false;
  return c.write_sys<u8>(at, static_cast<u8>(busy ? b | 2 : b & ~2));
}

u32 ts_error(u16 sel) { return sel & ~u32{3}; }

bool load_task_ldt(Cpu& c, u16 sel) {
  SegCache& g = c.seg[kLDTR];
  g.sel = sel;
  g.attr = 0;
  g.base = 0;
  g.limit = 0;
  if (!(sel & ~3)) return true;
  Descriptor d;
  if (sel & 4) return c.raise(kTS, ts_error(sel));
  if (!need_descriptor(c, sel, kTS, 0, d)) return false;
  if (!d.system() || d.type() != kTypeLdt || !d.present()) return c.raise(kTS, ts_error(sel));
  load_cache(c, kLDTR, sel, d);
  return true;
}

bool load_task_cs(Cpu& c, u16 sel) {
  if (!(sel & ~3)) return c.raise(kTS, 0);
  Descriptor d;
  if (!need_descriptor(c, sel, kTS, 0, d)) return false;
  unsigned rpl = sel & 3;
  if (!d.code() || (d.conforming() ? d.dpl() > rpl : d.dpl() != rpl)) return c.raise(kTS, ts_error(sel));
  if (!d.present()) return c.raise(kNP, ts_error(sel));
  if (!set_accessed(c, sel, d)) return false;
  commit_cs(c, sel, d, rpl);
  return true;
}

bool load_task_ss(Cpu& c, u16 sel) {
  if (!(sel & ~3)) return c.raise(kTS, 0);
  Descriptor d;
  if (!need_descriptor(c, sel, kTS, 0, d)) return false;
  if ((sel & 3u) != c.cpl || d.dpl() != c.cpl || !d.writable_data()) return c.raise(kTS, ts_error(sel));
  if (!d.present()) return c.raise(kSSv, ts_error(sel));
  if (!set_accessed(c, sel, d)) return false;
  load_cache(c, kSS, sel, d);
  c.update_mode();
  return true;
}

bool load_task_data(Cpu& c, unsigned s, u16 sel) {
  if (!(sel & ~3)) return true;
  Descriptor d;
  if (!need_descriptor(c, sel, kTS, 0, d)) return false;
  unsigned rpl = sel & 3;
  if (!d.readable()) return c.raise(kTS, ts_error(sel));
  if (!(d.code() && d.conforming()) && (rpl > d.dpl() || c.cpl > d.dpl())) return c.raise(kTS, ts_error(sel));
  if (!d.present()) return c.raise(kNP, ts_error(sel));
  if (!set_accessed(c, sel, d)) return false;
  load_cache(c, s, sel, d);
  c.update_seg(s);
  return true;
}

}  // namespace

bool task_switch(Cpu& c, u16 sel, const Descriptor& d, TaskSwitch how, bool has_error, u32 error, u32 ext) {
  // APM Vol. 2, 15.14.1.
  const u64 reason = how == TaskSwitch::kIret ? u64{1} << 36 : how == TaskSwitch::kJump ? u64{1} << 38 : 0;
  if (c.intercepts(kSvmTaskSwitch, sel, error | reason | (has_error ? u64{1} << 44 : 0))) return false;
  bool new32 = d.type() & 8, old32 = c.seg[kTR].attr & 8;
  const TssLayout& nl = new32 ? kTss32Layout : kTss16Layout;
  const TssLayout& ol = old32 ? kTss32Layout : kTss16Layout;
  u64 base = d.base32(), old_base = c.seg[kTR].base;
  u16 old_sel = c.seg[kTR].sel;
  if (d.limit() < nl.min_limit) return c.raise(kTS, ts_error(sel) | ext);
  if (c.seg[kTR].limit < ol.min_limit) return c.raise(kTS, ts_error(old_sel) | ext);

  // Everything that can fault by paging happens before anything changes.
  u32 ip, flags, regs[8], segs[6] = {}, ldt, cr3 = 0, trap = 0;
  if (!read_field(c, base + nl.ip, nl.size, ip) || !read_field(c, base + nl.flags, nl.size, flags)) return false;
  for (unsigned k = 0; k < 8; k++)
    if (!read_field(c, base + nl.gpr + k * nl.size, nl.size, regs[k])) return false;
  for (unsigned k = 0; k < nl.seg_count; k++)
    if (!read_field(c, base + nl.segs + k * nl.seg_step, 2, segs[k])) return false;
  if (!read_field(c, base + nl.ldt, 2, ldt)) return false;
  if (new32 && (!read_field(c, base + 28, 4, cr3) || !read_field(c, base + 100, 2, trap))) return false;

  u32 old_flags = c.get_rflags();
  if (how == TaskSwitch::kIret) old_flags &= ~static_cast<u32>(kNT);
  if (!write_field(c, old_base + ol.ip, ol.size, static_cast<u32>(c.rip)) ||
      !write_field(c, old_base + ol.flags, ol.size, old_flags))
    return false;
  for (unsigned k = 0; k < 8; k++)
    if (!write_field(c, old_base + ol.gpr + k * ol.size, ol.size, c.get32(k))) return false;
  for (unsigned k = 0; k < ol.seg_count; k++)
    if (!write_field(c, old_base + ol.segs + k * ol.seg_step, 2, c.seg[k].sel)) return false;
  if (how == TaskSwitch::kCall && !write_field(c, base, 2, old_sel)) return false;
  if (how != TaskSwitch::kCall && !set_busy(c, old_sel, false)) return false;
  if (how != TaskSwitch::kIret && !set_busy(c, sel, true)) return false;

  // The point of no return: from here faults belong to the new task.
  load_cache(c, kTR, sel, d);
  c.seg[kTR].attr |= 2;
  c.cr0 |= kCr0TS;
  c.dr[7] &= ~u64{0x155};  // L0-L3 and LE
  if (how == TaskSwitch::kCall) flags |= kNT;
  constexpr u32 all = kArith | kTF | kIF | kDF | kIOPL | kNT | kRF | kVM | kAC | kVIF | kVIP | kID;
  c.set_rflags_raw(flags & (new32 ? all : all & 0xffff));
  for (unsigned k = 0; k < 8; k++) {
    if (new32)
      c.set32(k, regs[k]);
    else
      c.gpr[k] = 0xffff0000u | regs[k];
  }
  c.rip = c.fault_rip = ip;
  c.fault_in_new_task = true;
  for (unsigned s = 0; s < 6; s++) {
    c.seg[s].sel = static_cast<u16>(segs[s]);
    c.seg[s].attr = s == kCS || s == kSS ? c.seg[s].attr : u16{0};
    if (s != kCS && s != kSS) {
      c.seg[s].base = 0;
      c.seg[s].limit = 0;
    }
  }
  if (c.vm86()) {
    c.cpl = 3;
    for (unsigned s = 0; s < 6; s++) c.load_segment_real(s, static_cast<u16>(segs[s]));
  }
  c.update_breakpoints();
  c.update_mode();
  if (new32 && (c.cr0 & kCr0PG)) {
    if ((c.cr4 & kCr4PAE) && !c.load_pdptes(cr3)) return false;
    c.cr3 = cr3;
    c.flush_tlb(true);
  }
  if (!load_task_ldt(c, static_cast<u16>(ldt))) return false;
  if (!c.vm86()) {
    if (!load_task_cs(c, static_cast<u16>(segs[kCS])) || !load_task_ss(c, static_cast<u16>(segs[kSS]))) return false;
    for (unsigned s : {kES, kDS, kFS, kGS})
      if (!load_task_data(c, s, static_cast<u16>(segs[s]))) return false;
  }
  if (has_error) {
    StackWriter w = writer_for_current(c);
    if (!w.push(error, new32 ? 4 : 2)) return false;
    c.set_sp(w.sp);
  }
  if (ip > c.seg[kCS].limit) return c.raise(kGP, 0);
  if (trap & 1) {
    c.pending_dr6 |= kDr6BT;
    c.raise_event(kEvDebug);
  }
  c.fault_in_new_task = false;
  return true;
}

}  // namespace oriel
