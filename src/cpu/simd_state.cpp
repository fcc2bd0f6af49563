// FXSAVE, XSAVE and their kin, MXCSR, fences, cache control.
// Sources: SDM Vol. 1, 10.5 (FXSAVE area), 13 (XSAVE: 13.4 area, 13.7 XSAVE, 13.8 XRSTOR, 13.9 XSAVEOPT); Vol. 2.
#include "cpu/simd_fp.h"
#include "cpu/x87.h"

namespace oriel {

using namespace simd;

namespace {

// Offsets in the legacy region.
enum : u32 {
  kFcw = 0,
  kFsw = 2,
  kFtw = 4,
  kFop = 6,
  kFip = 8,
  kFcs = 12,
  kFdp = 16,
  kFds = 20,
  kMxcsr = 24,
  kMxcsrMaskAt = 28,
  kSt = 32,
  kXmm = 160,
  kXsaveHeader = 512,
  kYmm = 576,  // upper halves: as CPUID leaf 0DH says
  kPkru = 832,
  kXsaveSize = 840
};
constexpr u64 kX87State = 1, kSseState = 2, kAvxState = 4, kPkruState = 1 << 9;

unsigned xmm_count(const Cpu& c) { return c.long64() ? 16 : 8; }

void put_x87(Cpu& c, const Insn& i, u8* p) {
  const Fpu& f = c.fpu;
  store<u16>(p + kFcw, f.cw);
  store<u16>(p + kFsw, x87::status_word(c));
  p[kFtw] = f.tw;
  p[kFtw + 1] = 0;
  store<u16>(p + kFop, f.fop);
  if (i.flags & kInsnRexW) {
    store<u64>(p + kFip, f.fip);
    store<u64>(p + kFdp, f.fdp);
  } else {
    store<u32>(p + kFip, static_cast<u32>(f.fip));
    store<u32>(p + kFcs, f.fcs);
    store<u32>(p + kFdp, static_cast<u32>(f.fdp));
    store<u32>(p + kFds, f.fds);
  }
  for (unsigned k = 0; k < 8; k++) {
    std::memset(p + kSt + 16 * k, 0, 16);
    store<u64>(p + kSt + 16 * k, x87::st(c, k).m);
    store<u16>(p + kSt + 16 * k + 8, x87::st(c, k).se);
  }
}
void get_x87(Cpu& c, const Insn& i, const u8* p) {
  Fpu& f = c.fpu;
  f.cw = static_cast<u16>((load<u16>(p + kFcw) & 0x1f3f) | 0x40);
  x87::set_status_word(c, load<u16>(p + kFsw));
  f.tw = p[kFtw];
  f.fop = load<u16>(p + kFop) & 0x7ff;
  if (i.flags & kInsnRexW) {
    f.fip = load<u64>(p + kFip);
    f.fdp = load<u64>(p + kFdp);
    f.fcs = f.fds = 0;
  } else {
    f.fip = load<u32>(p + kFip);
    f.fcs = load<u16>(p + kFcs);
    f.fdp = load<u32>(p + kFdp);
    f.fds = load<u16>(p + kFds);
  }
  for (unsigned k = 0; k < 8; k++) x87::st(c, k) = F80{load<u64>(p + kSt + 16 * k), load<u16>(p + kSt + 16 * k + 8)};
}
void put_mxcsr(Cpu& c, u8* p) {
  store<u32>(p + kMxcsr, c.mxcsr);
  store<u32>(p + kMxcsrMaskAt, kMxcsrMask);
}

bool state_fault(Cpu& c, const Insn& i, u64 off, u64 alignment) {
  if ((c.seg[i.seg].lin + off) & (alignment - 1)) return !c.raise(kGP, 0);
  return false;
}

}  // namespace

bool exec_FXSAVE(Cpu& c, const Insn& i) {
  if (!c.check_x87(false)) return false;
  const u64 off = c.ea(i);
  if (state_fault(c, i, off, 16)) return false;
  u8 image[416];
  put_x87(c, i, image);
  put_mxcsr(c, image);
  const u32 n = 16 * xmm_count(c);
  std::memcpy(image + kXmm, c.xmm, n);
  return c.write_bytes(i.seg, off, image, kXmm + n);
}

bool exec_FXRSTOR(Cpu& c, const Insn& i) {
  if (!c.check_x87(false)) return false;
  const u64 off = c.ea(i);
  if (state_fault(c, i, off, 16)) return false;
  u8 image[512];
  if (!c.read_bytes(i.seg, off, image, 512)) return false;
  const u32 mxcsr = load<u32>(image + kMxcsr);
  if (mxcsr & ~kMxcsrMask) return c.raise(kGP, 0);
  get_x87(c, i, image);
  c.mxcsr = mxcsr;
  std::memcpy(c.xmm, image + kXmm, 16 * xmm_count(c));
  return true;
}

namespace {

bool xsave_ready(Cpu& c, const Insn& i, u64& off, u64& requested) {
  if (!(c.cr4 & kCr4OSXSAVE)) return c.raise(kUD);
  if (c.cr0 & kCr0TS) return c.raise(kNM);
  off = c.ea(i);
  if (state_fault(c, i, off, 64)) return false;
  requested = c.xcr0 & (u64{c.get32(kRDX)} << 32 | c.get32(kRAX));
  return true;
}

bool all_zero(const V128 (&registers)[16]) {
  u64 any = 0;
  for (const V128& v : registers) any |= v.q[0] | v.q[1];
  return any == 0;
}

// XINUSE: the components that are not in their initial configuration (SDM Vol. 1, 13.6). MXCSR is not looked at.
u64 in_use(const Cpu& c) {
  const Fpu& f = c.fpu;
  u64 x87 = f.sw | f.top | f.tw | f.fop | f.fip | f.fdp | f.fcs | f.fds | (f.cw ^ 0x37fu);
  for (const F80& r : f.r) x87 |= r.m | r.se;
  return (x87 ? kX87State : 0) | (!all_zero(c.xmm) ? kSseState : 0) | (!all_zero(c.ymm_hi) ? kAvxState : 0) |
         (c.pkru ? kPkruState : 0);
}

// `optimized`: components in their initial configuration are not written (XSAVEOPT; the modified optimization is not
// done).
bool xsave(Cpu& c, const Insn& i, bool optimized) {
  u64 off, requested;
  if (!xsave_ready(c, i, off, requested)) return false;
  const u64 used = in_use(c), saved = optimized ? requested & used : requested;
  u8 image[kXsaveSize];
  u64 present;
  // The parts of the area that are written; nothing else of it is touched.
  struct Part {
    u32 at, size;
  } parts[7];
  unsigned n = 0;
  parts[n++] = {kXsaveHeader, 8};
  if (saved & kX87State) {
    put_x87(c, i, image);
    parts[n++] = {0, kMxcsr};
    parts[n++] = {kSt, kXmm - kSt};
  }
  if (requested & (kSseState | kAvxState)) {  // never optimized away
    put_mxcsr(c, image);
    parts[n++] = {kMxcsr, 8};
  }
  const u32 register_bytes = 16 * xmm_count(c);
  if (saved & kSseState) {
    std::memcpy(image + kXmm, c.xmm, register_bytes);
    parts[n++] = {kXmm, register_bytes};
  }
  if (saved & kAvxState) {
    std::memcpy(image + kYmm, c.ymm_hi, register_bytes);
    parts[n++] = {kYmm, register_bytes};
  }
  if (saved & kPkruState) {
    store<u64>(image + kPkru, c.pkru);
    parts[n++] = {kPkru, 8};
  }
  auto at = [&](const Part& p) { return wrap_offset(i, off + p.at); };
  for (unsigned k = 0; k < n; k++)
    if (!c.probe_write(i.seg, at(parts[k]), parts[k].size)) return false;
  if (!c.read<u64>(i.seg, at(parts[0]), present)) return false;
  store<u64>(image + kXsaveHeader, (present & ~requested) | (used & requested));
  for (unsigned k = 0; k < n; k++)
    if (!c.write_bytes(i.seg, at(parts[k]), image + parts[k].at, parts[k].size)) return false;
  return true;
}

}  // namespace

bool exec_XSAVE(Cpu& c, const Insn& i) { return xsave(c, i, false); }
bool exec_XSAVEOPT(Cpu& c, const Insn& i) { return xsave(c, i, true); }

bool exec_XRSTOR(Cpu& c, const Insn& i) {
  u64 off, requested;
  if (!xsave_ready(c, i, off, requested)) return false;
  u8 image[kXsaveSize];
  auto read_part = [&](u32 at, u32 size) { return c.read_bytes(i.seg, wrap_offset(i, off + at), image + at, size); };
  if (!read_part(kXsaveHeader, 64)) return false;
  // The standard form: XCOMP_BV and the 8 bytes after it are zero (the compacted form is not offered).
  const u64 present = load<u64>(image + kXsaveHeader);
  if ((present & ~c.xcr0) || load<u64>(image + kXsaveHeader + 8) || load<u64>(image + kXsaveHeader + 16))
    return c.raise(kGP, 0);
  const u32 register_bytes = 16 * xmm_count(c);
  // MXCSR comes from memory with SSE or AVX state, whether these are present or not.
  const bool with_mxcsr = requested & (kSseState | kAvxState);
  if ((requested & present & kX87State) && !(read_part(0, kMxcsr) && read_part(kSt, kXmm - kSt))) return false;
  if (with_mxcsr && !read_part(kMxcsr, 4)) return false;
  if ((requested & present & kSseState) && !read_part(kXmm, register_bytes)) return false;
  if ((requested & present & kAvxState) && !read_part(kYmm, register_bytes)) return false;
  if ((requested & present & kPkruState) && !read_part(kPkru, 8)) return false;
  if (with_mxcsr) {
    const u32 mxcsr = load<u32>(image + kMxcsr);
    if (mxcsr & ~kMxcsrMask) return c.raise(kGP, 0);
    c.mxcsr = mxcsr;
  }
  if (requested & present & kX87State) {
    get_x87(c, i, image);
  } else if (requested & kX87State) {
    x87::initialize(c);
    for (F80& r : c.fpu.r) r = F80{0, 0};
  }
  auto restore = [&](u64 component, V128* registers, u32 at) {
    if (!(requested & component)) return;
    if (present & component)
      std::memcpy(registers, image + at, register_bytes);
    else
      std::memset(registers, 0, register_bytes);
  };
  restore(kSseState, c.xmm, kXmm);
  restore(kAvxState, c.ymm_hi, kYmm);
  if (requested & kPkruState) c.set_pkru(present & kPkruState ? load<u32>(image + kPkru) : 0);
  return true;
}

namespace {
template <bool kVex>
bool load_mxcsr(Cpu& c, const Insn& i) {
  u32 v;
  if (!ready<kVex>(c) || !c.read<u32>(i.seg, c.ea(i), v)) return false;
  if (v & ~kMxcsrMask) return c.raise(kGP, 0);
  c.mxcsr = v;
  return true;
}
}  // namespace
bool exec_LDMXCSR(Cpu& c, const Insn& i) { return load_mxcsr<false>(c, i); }
bool exec_STMXCSR(Cpu& c, const Insn& i) { return c.check_sse() && c.write<u32>(i.seg, c.ea(i), c.mxcsr); }

bool exec_VLDMXCSR(Cpu& c, const Insn& i) { return load_mxcsr<true>(c, i); }
bool exec_VSTMXCSR(Cpu& c, const Insn& i) { return avx_ready(c) && c.write<u32>(i.seg, c.ea(i), c.mxcsr); }

// One CPU, executing in order: nothing to fence or to fetch.
bool exec_LFENCE(Cpu&, const Insn&) { return true; }
bool exec_MFENCE(Cpu&, const Insn&) { return true; }
bool exec_SFENCE(Cpu&, const Insn&) { return true; }
bool exec_CLFLUSH(Cpu& c, const Insn& i) {  // faults as a load of one byte does
  u8 v;
  return c.read<u8>(i.seg, c.ea(i), v);
}
bool exec_CLFLUSHOPT(Cpu& c, const Insn& i) { return exec_CLFLUSH(c, i); }
bool exec_CLWB(Cpu& c, const Insn& i) { return exec_CLFLUSH(c, i); }
bool exec_PREFETCHNTA(Cpu&, const Insn&) { return true; }
bool exec_PREFETCHT0(Cpu&, const Insn&) { return true; }
bool exec_PREFETCHT1(Cpu&, const Insn&) { return true; }
bool exec_PREFETCHT2(Cpu&, const Insn&) { return true; }
bool exec_PREFETCHW(Cpu&, const Insn&) { return true; }
bool exec_NOP_18(Cpu&, const Insn&) { return true; }
bool exec_NOP_0D(Cpu&, const Insn&) { return true; }

}  // namespace oriel
