// VMRUN and #VMEXIT, the other instructions of AMD's secure virtual machine, nested paging. Source: APM Vol. 2, chapter
// 15, appendices B and C; Vol. 3 for the instructions.
//
// An intercept is raised like an exception, by raise_exit(): nothing of the instruction has happened, RIP is its own,
// and deliver_exception() makes the exit of it.
#include "cpu/svm.h"

#include "cpu/exec.h"
#include "cpu/sys_descriptor.h"

namespace oriel {

namespace {

constexpr u64 kPhysMask = (u64{1} << 40) - 1;

// The VMCB (APM Vol. 2, appendix B).
enum : u64 {
  kIntercepts = 0,
  kIopmBase = 0x40,
  kMsrpmBase = 0x48,
  kTscOffset = 0x50,
  kAsid = 0x58,
  kVTpr = 0x60,      // V_TPR, and V_IRQ in bit 8
  kVPrio = 0x62,     // V_INTR_PRIO, V_IGN_TPR
  kVMasking = 0x63,  // V_INTR_MASKING
  kVVector = 0x64,
  kIntState = 0x68,
  kExitCode = 0x70,
  kExitInfo1 = 0x78,
  kExitInfo2 = 0x80,
  kExitIntInfo = 0x88,
  kNestedCtl = 0x90,
  kEventInj = 0xa8,
  kNestedCr3 = 0xb0,
  kNextRip = 0xc8,
  kSave = 0x400,
  kEs = kSave,
  kCs = kSave + 0x10,
  kSs = kSave + 0x20,
  kDs = kSave + 0x30,
  kFs = kSave + 0x40,
  kGs = kSave + 0x50,
  kGdtr = kSave + 0x60,
  kLdtr = kSave + 0x70,
  kIdtr = kSave + 0x80,
  kTr = kSave + 0x90,
  kCpl = kSave + 0xcb,
  kEfer = kSave + 0xd0,
  kCr4 = kSave + 0x148,
  kCr3 = kSave + 0x150,
  kCr0 = kSave + 0x158,
  kDr7 = kSave + 0x160,
  kDr6 = kSave + 0x168,
  kRflags = kSave + 0x170,
  kRip = kSave + 0x178,
  kRsp = kSave + 0x1d8,
  kRax = kSave + 0x1f8,
  kStar = kSave + 0x200,
  kCr2 = kSave + 0x240,
  kGPat = kSave + 0x268,
};
constexpr unsigned kSwitched[4] = {kES, kCS, kSS, kDS};  // the segments that VMRUN and #VMEXIT switch, in VMCB order

// Segments: selector, attributes, limit, base.
void save_segment(Cpu& c, u64 at, const SegCache& g) {
  c.mem.write<u16>(at, g.sel);
  c.mem.write<u16>(at + 2, g.attr);
  c.mem.write<u32>(at + 4, g.limit);
  c.mem.write<u64>(at + 8, g.base);
}
void load_segment_cache(Cpu& c, u64 at, SegCache& g) {
  g.sel = c.mem.read<u16>(at);
  g.attr = c.mem.read<u16>(at + 2) & 0xfff;
  g.limit = c.mem.read<u32>(at + 4);
  g.base = c.mem.read<u64>(at + 8);
}

bool svm_ready(Cpu& c) {
  if (!(c.efer & kEferSVME) || !c.protected_mode()) return c.raise(kUD);
  return c.cpl == 0 || c.raise(kGP, 0);
}

// The address in rAX, of a page of memory.
bool vmcb_address(Cpu& c, const Insn& i, u64& pa) {
  static constexpr u64 mask[4] = {0xffff, 0xffff, 0xffffffff, ~u64{0}};
  pa = c.gpr[kRAX] & mask[i.asz];
  return !(pa & (0xfff | ~kPhysMask)) || c.raise(kGP, 0);
}

// What VMRUN must not be given (APM Vol. 2, 15.5.1).
bool valid_state(Cpu& c, u64 v) {
  const u64 efer = c.mem.read<u64>(v + kEfer), cr0 = c.mem.read<u64>(v + kCr0), cr3 = c.mem.read<u64>(v + kCr3),
            cr4 = c.mem.read<u64>(v + kCr4);
  if (!(c.mem.read<u32>(v + kIntercepts + 16) & 1)) return false;  // VMRUN itself
  if (c.mem.read<u32>(v + kAsid) == 0) return false;
  if (!(efer & kEferSVME) || (efer & ~kEferValid)) return false;
  if (cr0 >> 32 || ((cr0 & kCr0NW) && !(cr0 & kCr0CD))) return false;
  if ((cr0 & kCr0PG) && !(cr0 & kCr0PE)) return false;
  if ((cr4 & ~kCr4Valid) || (cr3 & ~kPhysMask)) return false;
  // The maps of ports and of MSRs, three pages and two.
  if ((c.mem.read<u64>(v + kIopmBase) & ~u64{0xfff}) + 0x3000 > kPhysMask + 1) return false;
  if ((c.mem.read<u64>(v + kMsrpmBase) & ~u64{0xfff}) + 0x2000 > kPhysMask + 1) return false;
  if (c.mem.read<u64>(v + kDr6) >> 32 || c.mem.read<u64>(v + kDr7) >> 32) return false;
  if ((efer & kEferLME) && (cr0 & kCr0PG)) {
    if (!(cr4 & kCr4PAE)) return false;
    const u16 cs = c.mem.read<u16>(v + kCs + 2);
    if ((cs & kSegL) && (cs & kSegDB)) return false;
  }
  const u32 inject = c.mem.read<u32>(v + kEventInj);
  if (inject >> 31) {
    const u32 type = inject >> 8 & 7, vector = inject & 0xff;
    if (type == 1 || type > 4) return false;
    if (type == 3 && (vector == 2 || vector > 31)) return false;
  }
  // Nested paging walks the host's kind of tables: four levels here.
  if ((c.mem.read<u64>(v + kNestedCtl) & 1) && (!c.lma() || (c.mem.read<u64>(v + kNestedCr3) & ~kPhysMask)))
    return false;
  return true;
}

void set_control_registers(Cpu& c, u64 cr0, u64 cr3, u64 cr4, u64 efer) {
  c.cr0 = cr0 | kCr0ET;
  c.cr3 = cr3;
  c.cr4 = cr4;
  c.efer = (efer & ~u64{kEferLMA}) | ((efer & kEferLME) && (cr0 & kCr0PG) ? kEferLMA : 0);
}

void keep_host(Cpu& c) {
  SvmHost& h = c.svm.host;
  h.cr0 = c.cr0, h.cr3 = c.cr3, h.cr4 = c.cr4, h.efer = c.efer;
  h.rip = c.rip, h.rsp = c.gpr[kRSP], h.rax = c.gpr[kRAX];
  h.rflags = c.get_rflags();
  h.pat = c.msr.pat;
  h.gdt_base = c.gdtr.base, h.gdt_limit = c.gdtr.limit;
  h.idt_base = c.idtr.base, h.idt_limit = c.idtr.limit;
  for (unsigned k = 0; k < 4; k++) {
    const SegCache& g = c.seg[kSwitched[k]];
    h.seg_sel[k] = g.sel, h.seg_attr[k] = g.attr, h.seg_limit[k] = g.limit, h.seg_base[k] = g.base;
  }
}

void load_host(Cpu& c) {
  const SvmHost& h = c.svm.host;
  set_control_registers(c, h.cr0, h.cr3, h.cr4, h.efer);
  c.gpr[kRSP] = h.rsp, c.gpr[kRAX] = h.rax;
  c.rip = c.fault_rip = h.rip;
  c.set_rflags_raw(h.rflags & ~static_cast<u32>(kVM | kRF));
  c.msr.pat = h.pat;
  c.gdtr = DescTable{h.gdt_base, h.gdt_limit};
  c.idtr = DescTable{h.idt_base, h.idt_limit};
  for (unsigned k = 0; k < 4; k++) {
    SegCache& g = c.seg[kSwitched[k]];
    g.sel = h.seg_sel[k], g.attr = h.seg_attr[k], g.limit = h.seg_limit[k], g.base = h.seg_base[k];
  }
  c.cpl = 0;
  c.dr[7] = 0x400;
}

// Everything that was derived from the other side's state.
void changed_sides(Cpu& c) {
  c.update_breakpoints();  // flushes the TLB
  c.update_mode();
}

void inject_event(Cpu& c, u64 v) {
  const u32 inject = c.mem.read<u32>(v + kEventInj), error = c.mem.read<u32>(v + kEventInj + 4);
  if (!(inject >> 31)) return;
  const u8 vector = static_cast<u8>(inject);
  const u32 type = inject >> 8 & 7;
  const bool has_error = type == 3 && (inject >> 11 & 1);
  if (type == 2) c.nmi_blocked = true;
  const Cpu::IntKind kind = type == 4   ? Cpu::IntKind::kSoftware
                            : type == 3 ? Cpu::IntKind::kException
                                        : Cpu::IntKind::kExternal;
  if (!c.interrupt(vector, kind, has_error, error)) c.deliver_exception();
}

}  // namespace

bool Cpu::raise_exit(u64 code, u64 info1, u64 info2) {
  svm.exit_code = code;
  svm.exit_info1 = info1;
  svm.exit_info2 = info2;
  svm.exit_next_rip = rip;  // where an instruction raises it; otherwise vm_exit() does not use it
  exc = Exception{kVmExit, false, 0, 0};
  return false;
}

void Cpu::vm_exit() {
  const u64 v = svm.vmcb;
  auto put = [&](u64 at, u64 value) { mem.write<u64>(v + at, value); };
  for (unsigned k = 0; k < 4; k++) save_segment(*this, v + kEs + 16 * k, seg[kSwitched[k]]);
  mem.write<u32>(v + kGdtr + 4, gdtr.limit);
  put(kGdtr + 8, gdtr.base);
  mem.write<u32>(v + kIdtr + 4, idtr.limit);
  put(kIdtr + 8, idtr.base);
  mem.write<u8>(v + kCpl, cpl);
  put(kEfer, efer);
  put(kCr0, cr0), put(kCr2, cr2), put(kCr3, cr3), put(kCr4, cr4);
  put(kDr6, dr[6]), put(kDr7, dr[7]);
  put(kRflags, get_rflags()), put(kRip, rip), put(kRsp, gpr[kRSP]), put(kRax, gpr[kRAX]);
  if (svm.nested) put(kGPat, msr.pat);
  mem.write<u16>(v + kVTpr, static_cast<u16>(svm.v_tpr | (svm.v_irq ? 0x100 : 0)));
  put(kIntState, events & kEvShadow ? 1 : 0);
  put(kExitCode, svm.exit_code), put(kExitInfo1, svm.exit_info1), put(kExitInfo2, svm.exit_info2);
  put(kExitIntInfo, svm.event);
  const u64 code = svm.exit_code;
  const bool of_instruction =
      code < kSvmException || (code >= kSvmCr0Selective && code < kSvmNestedPageFault && code != kSvmShutdown);
  put(kNextRip, of_instruction ? svm.exit_next_rip : 0);
  mem.write<u32>(v + kEventInj, mem.read<u32>(v + kEventInj) & 0x7fffffff);

  svm.guest = svm.gif = svm.nested = svm.v_irq = svm.v_intr_masking = false;
  svm.event = 0;
  events &= ~static_cast<u32>(kEvShadow | kEvMovSs | kEvHalt | kEvDebug | kEvVintr | kEvRep);
  pending_dr6 = 0;
  step_trap = false;
  fault_in_new_task = false;
  load_host(*this);
  if (rflags & kTF) {  // the single step of VMRUN itself
    pending_dr6 |= kDr6BS;
    raise_event(kEvDebug);
  }
  changed_sides(*this);
}

bool exec_VMRUN(Cpu& c, const Insn& i) {
  u64 v;
  if (!svm_ready(c) || c.intercepts(kSvmVmrun) || !vmcb_address(c, i, v)) return false;
  Svm& s = c.svm;
  keep_host(c);
  if (!valid_state(c, v)) {
    c.mem.write<u64>(v + kExitCode, kSvmInvalid);
    s.gif = false;
    return true;
  }
  s.vmcb = v;
  for (unsigned k = 0; k < 6; k++) s.intercepts[k] = c.mem.read<u32>(v + kIntercepts + 4 * k);
  s.iopm = c.mem.read<u64>(v + kIopmBase) & kPhysMask & ~u64{0xfff};
  s.msrpm = c.mem.read<u64>(v + kMsrpmBase) & kPhysMask & ~u64{0xfff};
  s.tsc_offset = c.mem.read<u64>(v + kTscOffset);
  s.nested = c.mem.read<u64>(v + kNestedCtl) & 1;
  s.nested_cr3 = c.mem.read<u64>(v + kNestedCr3) & ~u64{0xfff};
  s.v_tpr = c.mem.read<u8>(v + kVTpr) & 15;
  s.v_irq = c.mem.read<u8>(v + kVTpr + 1) & 1;
  s.v_priority = c.mem.read<u8>(v + kVPrio) & 15;
  s.v_ignore_tpr = c.mem.read<u8>(v + kVPrio) >> 4 & 1;
  s.v_intr_masking = c.mem.read<u8>(v + kVMasking) & 1;
  s.v_vector = c.mem.read<u8>(v + kVVector);
  s.guest = s.gif = true;
  s.event = 0;

  auto get = [&](u64 at) { return c.mem.read<u64>(v + at); };
  for (unsigned k = 0; k < 4; k++) load_segment_cache(c, v + kEs + 16 * k, c.seg[kSwitched[k]]);
  c.gdtr = DescTable{get(kGdtr + 8), c.mem.read<u16>(v + kGdtr + 4)};
  c.idtr = DescTable{get(kIdtr + 8), c.mem.read<u16>(v + kIdtr + 4)};
  set_control_registers(c, get(kCr0) & kCr0Valid, get(kCr3), get(kCr4), get(kEfer));
  c.cr2 = get(kCr2);
  c.dr[6] = (get(kDr6) & 0xe00f) | 0xffff0ff0;
  c.dr[7] = (get(kDr7) & 0xffff23ff) | 0x400;
  if (s.nested) c.msr.pat = get(kGPat);
  c.gpr[kRSP] = get(kRsp), c.gpr[kRAX] = get(kRax);
  c.rip = c.fault_rip = get(kRip);
  constexpr u32 kAll = kArith | kTF | kIF | kDF | kIOPL | kNT | kRF | kVM | kAC | kVIF | kVIP | kID;
  c.set_rflags_raw(static_cast<u32>(get(kRflags)) & (c.pe() && !c.lma() ? kAll : kAll & ~static_cast<u32>(kVM)));
  c.cpl = c.real_mode() ? 0 : c.vm86() ? 3 : c.mem.read<u8>(v + kCpl) & 3;
  c.step_trap = false;
  changed_sides(c);
  if ((c.cr0 & kCr0PG) && (c.cr4 & kCr4PAE) && !c.lma() && !c.load_pdptes(c.cr3)) {
    if (c.exc.vector != kVmExit) c.raise_exit(kSvmInvalid, 0, 0);
    c.vm_exit();
    return true;
  }
  if (s.v_irq) c.raise_event(kEvVintr);
  if (get(kIntState) & 1) c.raise_event(kEvShadow);
  inject_event(c, v);
  return true;
}

bool exec_VMMCALL(Cpu& c, const Insn&) { return !c.intercepts(kSvmVmmcall) && c.raise(kUD); }

bool exec_VMLOAD(Cpu& c, const Insn& i) {
  u64 v;
  if (!svm_ready(c) || c.intercepts(kSvmVmload) || !vmcb_address(c, i, v)) return false;
  // Bases become canonical.
  auto canonical = [](u64 a) { return static_cast<u64>(static_cast<s64>(a << 16) >> 16); };
  constexpr u64 from[] = {kFs, kGs, kTr, kLdtr};
  constexpr unsigned to[] = {kFS, kGS, kTR, kLDTR};
  for (unsigned k = 0; k < 4; k++) {
    load_segment_cache(c, v + from[k], c.seg[to[k]]);
    c.seg[to[k]].base = canonical(c.seg[to[k]].base);
  }
  u64 at = v + kStar;
  for (u64* m : {&c.msr.star, &c.msr.lstar, &c.msr.cstar, &c.msr.fmask, &c.msr.kernel_gs_base, &c.msr.sysenter_cs,
                 &c.msr.sysenter_esp, &c.msr.sysenter_eip}) {
    *m = c.mem.read<u64>(at);
    at += 8;
  }
  c.msr.kernel_gs_base = canonical(c.msr.kernel_gs_base);
  for (unsigned s : {kFS, kGS}) c.update_seg(s);
  return true;
}

bool exec_VMSAVE(Cpu& c, const Insn& i) {
  u64 v;
  if (!svm_ready(c) || c.intercepts(kSvmVmsave) || !vmcb_address(c, i, v)) return false;
  save_segment(c, v + kFs, c.seg[kFS]);
  save_segment(c, v + kGs, c.seg[kGS]);
  save_segment(c, v + kTr, c.seg[kTR]);
  save_segment(c, v + kLdtr, c.seg[kLDTR]);
  u64 at = v + kStar;
  for (u64 m : {c.msr.star, c.msr.lstar, c.msr.cstar, c.msr.fmask, c.msr.kernel_gs_base, c.msr.sysenter_cs,
                c.msr.sysenter_esp, c.msr.sysenter_eip}) {
    c.mem.write<u64>(at, m);
    at += 8;
  }
  return true;
}

bool exec_STGI(Cpu& c, const Insn&) {
  if (!svm_ready(c) || c.intercepts(kSvmStgi)) return false;
  c.svm.gif = true;
  return true;
}

bool exec_CLGI(Cpu& c, const Insn&) {
  if (!svm_ready(c) || c.intercepts(kSvmClgi)) return false;
  c.svm.gif = false;
  return true;
}

// rAX is the address, ECX the ASID. The translations of all ASIDs are in one place, and those of other sides are gone
// with every switch.
bool exec_INVLPGA(Cpu& c, const Insn&) {
  if (!svm_ready(c) || c.intercepts(kSvmInvlpga)) return false;
  c.flush_tlb(false);
  return true;
}

bool Cpu::svm_io_exit(u16 port, unsigned size, u64 info) {
  if (!svm.guest || !(svm.intercepts[3] >> (kSvmIoio & 31) & 1)) return false;
  const u32 bits = mem.read<u16>(svm.iopm + port / 8u);
  if (!(bits >> (port & 7) & ((1u << size) - 1))) return false;
  raise_exit(kSvmIoio, info | static_cast<u64>(port) << 16 | u64{size} << 4, rip);
  return true;
}

bool Cpu::svm_msr_exit(u32 index, bool write) {
  if (!svm.guest || !(svm.intercepts[3] >> (kSvmMsr & 31) & 1)) return false;
  u64 range;
  if (index < 0x2000)
    range = 0;
  else if (index >> 13 == 0xc0000000 >> 13)
    range = 0x800;
  else if (index >> 13 == 0xc0010000 >> 13)
    range = 0x1000;
  else
    range = ~u64{0};
  if (range != ~u64{0}) {
    const u32 bit = (index & 0x1fff) * 2 + write;
    if (!(mem.read<u8>(svm.msrpm + range + bit / 8) >> (bit & 7) & 1)) return false;
  }
  raise_exit(kSvmMsr, write, 0);
  return true;
}

void Cpu::svm_state(State& s) {
  for (bool* b : {&svm.guest, &svm.gif, &svm.nested, &svm.v_intr_masking, &svm.v_irq, &svm.v_ignore_tpr}) {
    u8 v = *b;
    s.io(v);
    *b = v != 0;
  }
  for (u8* p : {&svm.v_tpr, &svm.v_priority, &svm.v_vector}) s.io(*p);
  for (u64* p :
       {&svm.vm_cr, &svm.hsave, &svm.vmcb, &svm.iopm, &svm.msrpm, &svm.tsc_offset, &svm.nested_cr3, &svm.event})
    s.io(*p);
  s.io(svm.intercepts);
  SvmHost& h = svm.host;
  for (u64* p : {&h.cr0, &h.cr3, &h.cr4, &h.efer, &h.rip, &h.rsp, &h.rax, &h.pat, &h.gdt_base, &h.idt_base}) s.io(*p);
  s.io(h.seg_base);
  s.io(h.rflags);
  s.io(h.seg_limit);
  s.io(h.gdt_limit);
  s.io(h.idt_limit);
  s.io(h.seg_sel);
  s.io(h.seg_attr);
}

// Guest-physical to physical, by the host's four-level tables as a user access. `final`: the address that the access is
// of, not that of an entry of the guest's own tables.
bool Cpu::nested_walk(u64& pa, AccessKind kind, bool final, Translation& t) {
  constexpr u64 kP = 1, kW = 2, kU = 4, kA = 1u << 5, kD = 1u << 6, kLarge = 1u << 7, kNX = u64{1} << 63;
  const bool nxe = svm.host.efer & kEferNXE;
  const u64 error = (kind == kWrite ? 2u : 0u) | 4 | (kind == kFetch && (nxe || (svm.host.cr4 & kCr4SMEP)) ? 16u : 0u) |
                    u64{1} << (final ? 32 : 33);
  auto fault = [&](u64 bits) { return raise_exit(kSvmNestedPageFault, error | bits, pa); };
  if (pa >> 48) return fault(0);
  u64 table = svm.nested_cr3 & kPhysMask, at[4], entry[4];
  bool writable = true, user = true, nx = false;
  unsigned n = 0, shift;
  for (unsigned level = 3;; level--) {
    shift = level * 9 + 12;
    at[n] = (table & kPhysMask & ~u64{0xfff}) + (pa >> shift & 0x1ff) * 8;
    const u64 e = entry[n] = mem.read<u64>(at[n]);
    n++;
    if (!(e & kP)) return fault(0);
    const bool large = (level == 1 || level == 2) && (e & kLarge);
    u64 reserved = 0x000fff0000000000u | (nxe ? 0 : kNX) | (level == 3 ? kLarge | 0x100 : 0);
    if (large) reserved |= ((u64{1} << shift) - 1) & ~u64{0x1fff};
    if (e & reserved) return fault(1 | 8);
    writable &= (e & kW) != 0;
    user &= (e & kU) != 0;
    nx |= (e & kNX) != 0;
    if (level == 0 || large) break;
    table = e;
  }
  if (!user || (kind == kWrite && !writable) || (kind == kFetch && nx)) return fault(1);
  for (unsigned k = 0; k < n; k++) {
    const u64 want = kA | (k == n - 1 && kind == kWrite ? kD : 0);
    if ((entry[k] & want) == want) continue;
    entry[k] |= want;
    mem.write<u64>(at[k], entry[k]);
  }
  const u64 offset = (u64{1} << shift) - 1;
  pa = (entry[n - 1] & kPhysMask & ~offset) | (pa & offset);
  t.writable &= writable;
  t.key_write &= writable;  // whatever the guest's CR0.WP is
  t.nx |= nx;
  t.dirty &= (entry[n - 1] & kD) != 0;
  return true;
}

}  // namespace oriel
