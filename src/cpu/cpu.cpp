// Reset, derived mode state, flags, and the saved state. SDM Vol. 3, table 9-1.
#include "cpu/cpu.h"

#include <cstdio>
#include <new>

#include "cpu/blocks.h"

namespace oriel {

const char* const kGprNames[16] = {"RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
                                   "R8",  "R9",  "R10", "R11", "R12", "R13", "R14", "R15"};
const char* const kSegNames[kSegCount] = {"ES", "CS", "SS", "DS", "FS", "GS", "LDTR", "TR"};

namespace {
constexpr u16 kRealData = kSegP | kSegS | kSegRW | kSegA;
}

#ifdef __wasm__
extern "C" {
alignas(64) unsigned char oriel_cpu_place[sizeof(Cpu)];
}
std::unique_ptr<Cpu, Cpu::Delete> Cpu::create(PhysMem& m, CpuBus& b) {
  return std::unique_ptr<Cpu, Delete>(new (oriel_cpu_place) Cpu(m, b));
}
void Cpu::Delete::operator()(Cpu* c) const { c->~Cpu(); }
#else
std::unique_ptr<Cpu, Cpu::Delete> Cpu::create(PhysMem& m, CpuBus& b) {
  return std::unique_ptr<Cpu, Delete>(new Cpu(m, b));
}
void Cpu::Delete::operator()(Cpu* c) const { delete c; }
#endif

void Cpu::reset() {
  for (u64& r : gpr) r = 0;
  u32 id[4];
  cpuid(1, 0, id);
  gpr[kRDX] = id[0];
  rflags = kF1;
  cc_res = 1;
  cc_aux = 1u << 8;  // parity odd, so that no flag is set
  for (unsigned s = 0; s < 6; s++) {
    seg[s] = SegCache{};
    seg[s].limit = 0xffff;
    seg[s].attr = kRealData;
  }
  seg[kCS].sel = 0xf000;
  seg[kCS].base = 0xffff0000;
  rip = fault_rip = 0xfff0;
  for (unsigned s : {kLDTR, kTR}) {
    seg[s] = SegCache{};
    seg[s].limit = 0xffff;
    seg[s].attr = kSegP | (s == kLDTR ? 2 : 0xb);
  }
  gdtr = idtr = DescTable{};
  cr0 = 0x60000010;
  cr2 = cr3 = cr4 = 0;
  efer = 0;
  xcr0 = 1;
  pkru = 0;
  for (u64& d : dr) d = 0;
  dr[6] = 0xffff0ff0;
  dr[7] = 0x400;
  cpl = 0;
  msr = Msrs{};
  svm = Svm{};
  mxcsr = 0x1f80;
  for (V128& x : xmm) x = V128{};
  for (V128& x : ymm_hi) x = V128{};
  fpu = Fpu{};
  for (F80& r : fpu.r) r = F80{0, 0};
  fpu.cw = 0x40;  // RESET leaves 0040H; FNINIT gives 037FH
  events &= kEvIntr | kEvExit;
  nmi_blocked = false;
  pending_dr6 = 0;
  for (u64& p : data_breakpoint_pages_) p = kTlbNone;
  flush_tlb(false);
  update_mode();
}

void Cpu::init() {
  Fpu keep_fpu = fpu;
  Msrs keep_msr = msr;
  const u64 keep_vm_cr = svm.vm_cr, keep_hsave = svm.hsave;
  V128 keep_xmm[16], keep_ymm_hi[16];
  std::memcpy(keep_xmm, xmm, sizeof xmm);
  std::memcpy(keep_ymm_hi, ymm_hi, sizeof ymm_hi);
  u64 keep_xcr0 = xcr0;
  u32 keep_mxcsr = mxcsr, keep_pkru = pkru;
  u64 keep_cr0 = cr0;
  reset();
  fpu = keep_fpu;
  msr = keep_msr;
  svm.vm_cr = keep_vm_cr;
  svm.hsave = keep_hsave;
  std::memcpy(xmm, keep_xmm, sizeof xmm);
  std::memcpy(ymm_hi, keep_ymm_hi, sizeof ymm_hi);
  xcr0 = keep_xcr0;
  mxcsr = keep_mxcsr;
  pkru = keep_pkru;
  cr0 = (cr0 & ~u64{kCr0CD | kCr0NW}) | (keep_cr0 & (kCr0CD | kCr0NW));
}

void Cpu::update_seg(unsigned s) {
  derive_seg(s);
  update_code_key();
}

void Cpu::derive_seg(unsigned s) {
  SegCache& g = seg[s];
  if (long64()) {
    g.lin = s == kFS || s == kGS ? g.base : 0;
    g.ok = kSegOkRead | kSegOkWrite;
    g.readable = g.writable = ~u64{0};
    return;
  }
  g.lin = g.base;
  g.ok = 0;
  g.readable = g.writable = 0;
  if (!(g.attr & kSegP)) return;
  u8 may = 0;
  if (g.attr & kSegExec) {
    if (g.attr & kSegRW) may = kSegOkRead;
  } else if (!(g.attr & kSegDC)) {
    may = g.attr & kSegRW ? kSegOkRead | kSegOkWrite : kSegOkRead;
  }
  const bool flat = g.limit == 0xffffffff;
  if (flat) g.ok = may;
  const u64 bytes = flat ? ~u64{0} : u64{g.limit} + 1;
  if (may & kSegOkRead) g.readable = bytes;
  if (may & kSegOkWrite) g.writable = bytes;
}

void Cpu::update_mode() {
  const bool was_long = long64();
  if (lma() && (seg[kCS].attr & kSegL)) {
    code_mode = CodeMode::k64;
    lin_mask = sp_mask = ~u64{0};
    stack32 = false;
  } else {
    code_mode = (seg[kCS].attr & kSegDB) && !vm86() ? CodeMode::k32 : CodeMode::k16;
    lin_mask = 0xffffffff;
    stack32 = (seg[kSS].attr & kSegDB) && !vm86();
    sp_mask = stack32 ? 0xffffffff : 0xffff;
  }
  if (cpl == 3)
    mmu = (cr0 & kCr0AM) && (rflags & kAC) ? kMmuAlign : kMmuUser;
  else
    mmu = (cr4 & kCr4SMAP) && (rflags & kAC) ? kMmuSupAc : kMmuSup;
  tlb = tlb_set->tables[mmu];
  fetch_limit = code_mode == CodeMode::k64 ? ~u64{0} : seg[kCS].limit;
  for (unsigned s = 0; s < 6; s++) derive_seg(s);
  update_code_key();
  // Undefined when 64-bit mode is left (SDM Vol. 1, 3.4.1.1). Zero, so that code compiled for the other modes keeps
  // registers in 32 bits.
  if (was_long && !long64())
    for (unsigned r = 0; r < 8; r++) gpr[r] = static_cast<u32>(gpr[r]);
  if ((rflags & (kTF | kRF)) || (dr[7] & 0xff))
    raise_event(kEvTrap);
  else
    events &= ~static_cast<u32>(kEvTrap);
}

u32 Cpu::arith_flags() const {
  return (cf() ? kCF : 0) | (pf() ? kPF : 0) | (af() ? kAF : 0) | (zf() ? kZF : 0) | (sf() ? kSF : 0) |
         (of() ? kOF : 0);
}

void Cpu::set_arith_flags(u32 f) {
  bool c = f & kCF, o = f & kOF;
  cc_res = f & kZF ? 0 : 1;
  cc_aux = static_cast<u64>(c) << 63 | static_cast<u64>(c ^ o) << 62 | (f & kAF ? 8 : 0) | (f & kSF ? 1 : 0);
  // The low byte of cc_res is 0 (even parity) or 1 (odd); the delta byte corrects it.
  bool even = f & kZF;
  if (even != static_cast<bool>(f & kPF)) cc_aux |= 1u << 8;
}

bool Cpu::condition(unsigned cc) const {
  bool r;
  switch (cc >> 1 & 7) {
    case 0: r = of(); break;
    case 1: r = cf(); break;
    case 2: r = zf(); break;
    case 3: r = cf() || zf(); break;
    case 4: r = sf(); break;
    case 5: r = pf(); break;
    case 6: r = sf() != of(); break;
    default: r = zf() || sf() != of(); break;
  }
  return r != static_cast<bool>(cc & 1);
}

bool Cpu::raise(u8 vector, u32 error) {
  constexpr u32 with_error = 1u << kDF_ | 1u << kTS | 1u << kNP | 1u << kSSv | 1u << kGP | 1u << kPFv | 1u << kACv;
  exc = Exception{vector, (with_error >> vector & 1) != 0, error, 0};
  return false;
}

bool Cpu::raise_pf(u64 linear, u32 error) {
  raise(kPFv, error);
  exc.cr2 = linear;
  return false;
}

void Cpu::state(State& s) {
  for (unsigned i = 0; i < 16; i++) s.io(gpr[i]);
  s.io(rip);
  s.io(icount);
  s.io(rep_iterations);
  u32 flags = get_rflags();
  s.io(flags);
  s.io(cpl);
  u32 ev = events & static_cast<u32>(~kEvExit);
  s.io(ev);
  for (SegCache& g : seg) {
    s.io(g.base);
    s.io(g.limit);
    s.io(g.sel);
    s.io(g.attr);
  }
  for (V128& x : xmm) s.io(x);
  for (V128& x : ymm_hi) s.io(x);
  s.io(mxcsr);
  s.io(pkru);
  for (F80& r : fpu.r) {
    s.io(r.m);
    s.io(r.se);
  }
  s.io(fpu.cw);
  s.io(fpu.sw);
  s.io(fpu.top);
  s.io(fpu.tw);
  s.io(fpu.fop);
  s.io(fpu.fip);
  s.io(fpu.fdp);
  s.io(fpu.fcs);
  s.io(fpu.fds);
  for (u64* r : {&cr0, &cr2, &cr3, &cr4, &efer, &xcr0, &gdtr.base, &idtr.base, &a20_mask_}) s.io(*r);
  s.io(gdtr.limit);
  s.io(idtr.limit);
  s.io(dr);
  s.io(pdpte);
  u8 blocked = nmi_blocked;
  s.io(blocked);
  s.io(pending_dr6);
  svm_state(s);
  u64* m = reinterpret_cast<u64*>(&msr);
  static_assert(sizeof(Msrs) % sizeof(u64) == 0 && std::is_standard_layout_v<Msrs>);
  for (usize i = 0; i < sizeof(Msrs) / sizeof(u64); i++) s.io(m[i]);
  if (!s.loading()) return;
  nmi_blocked = blocked != 0;
  fpu.top &= 7;
  cpl &= 3;
  events = ev;
  set_rflags_raw(flags);
  fault_rip = rip;
  flush_tlb(false);
  if (compiled) compiled->all_dropped();
  blocks->flush();
  update_breakpoints();
}

usize Cpu::dump(char* buf, usize size) {
  usize n = 0;
  auto put = [&](const char* format, auto... args) {
    if (n + 1 >= size) return;
    int k = std::snprintf(buf + n, size - n, format, args...);
    if (k > 0) n = n + static_cast<usize>(k) < size ? n + static_cast<usize>(k) : size - 1;
  };
  auto x = [](u64 v) { return static_cast<unsigned long long>(v); };
  put("RIP=%016llx RFLAGS=%08x CPL=%u instructions=%llu\n", x(rip), get_rflags(), static_cast<unsigned>(cpl),
      x(icount));
  for (unsigned i = 0; i < 16; i++) put("%3s=%016llx%s", kGprNames[i], x(gpr[i]), i % 4 == 3 ? "\n" : " ");
  for (unsigned i = 0; i < kSegCount; i++)
    put("%-4s=%04x base=%016llx limit=%08x attr=%03x\n", kSegNames[i], seg[i].sel, x(seg[i].base), seg[i].limit,
        seg[i].attr);
  put("GDT=%016llx:%04x IDT=%016llx:%04x\n", x(gdtr.base), gdtr.limit, x(idtr.base), idtr.limit);
  put("CR0=%08llx CR2=%016llx CR3=%016llx CR4=%08llx EFER=%llx\n", x(cr0), x(cr2), x(cr3), x(cr4), x(efer));
  put("last exception: vector %u error %x\n", static_cast<unsigned>(exc.vector), exc.error);
  return n;
}

}  // namespace oriel
