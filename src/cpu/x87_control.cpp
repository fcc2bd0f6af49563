// x87 control: the stack pointer, the control, status and tag words, the environment images.
// Sources: SDM Vol. 1, 8.1 (figures 8-9 to 8-12: the images); Vol. 2, FSAVE, FLDENV, FNINIT.
#include "cpu/x87.h"

namespace oriel {

using namespace x87;

namespace x87 {

void set_status_word(Cpu& c, u16 sw) {
  c.fpu.top = sw >> 11 & 7;
  c.fpu.sw = static_cast<u16>(sw & ~(0x3800 | kSwES | kSwB));
  if (c.fpu.sw & ~c.fpu.cw & 0x3f) c.fpu.sw |= kSwES | kSwB;
}

u16 full_tag_word(const Cpu& c) {
  u32 w = 0;
  for (unsigned r = 0; r < 8; r++) {
    const F80& v = c.fpu.r[r];
    const u32 exp = v.se & 0x7fff;
    u32 tag = 0;
    if (!(c.fpu.tw >> r & 1))
      tag = 3;
    else if (exp == 0 && v.m == 0)
      tag = 1;
    else if (exp == 0 || exp == 0x7fff || !(v.m >> 63))
      tag = 2;
    w |= tag << (2 * r);
  }
  return static_cast<u16>(w);
}

void initialize(Cpu& c) {
  c.fpu.cw = 0x37f;
  c.fpu.sw = 0;
  c.fpu.top = 0;
  c.fpu.tw = 0;
  c.fpu.fop = 0;
  c.fpu.fip = c.fpu.fdp = 0;
  c.fpu.fcs = c.fpu.fds = 0;
}

}  // namespace x87

namespace {

// The environment in its four formats: 16 or 32 bits, protected or real-address (and virtual-8086) mode.
u32 environment_size(const Insn& i) { return i.osz == 1 ? 14 : 28; }

void put_environment(const Cpu& c, const Insn& i, u8* p) {
  const Fpu& f = c.fpu;
  const u16 words[3] = {f.cw, status_word(c), full_tag_word(c)};
  const u32 ip = static_cast<u32>(f.fip), dp = static_cast<u32>(f.fdp);
  const bool real = !c.protected_mode();
  const u32 lip = ip + (u32{f.fcs} << 4), ldp = dp + (u32{f.fds} << 4);  // real mode: linear addresses
  if (i.osz == 1) {
    for (int k = 0; k < 3; k++) store<u16>(p + 2 * k, words[k]);
    store<u16>(p + 6, static_cast<u16>(real ? lip : ip));
    store<u16>(p + 8, static_cast<u16>(real ? (lip >> 4 & 0xf000) | f.fop : f.fcs));
    store<u16>(p + 10, static_cast<u16>(real ? ldp : dp));
    store<u16>(p + 12, static_cast<u16>(real ? ldp >> 4 & 0xf000 : f.fds));
    return;
  }
  for (int k = 0; k < 3; k++) store<u32>(p + 4 * k, 0xffff0000u | words[k]);
  if (real) {
    store<u32>(p + 12, 0xffff0000u | (lip & 0xffff));
    store<u32>(p + 16, (lip >> 16 & 0xffff) << 12 | f.fop);
    store<u32>(p + 20, 0xffff0000u | (ldp & 0xffff));
    store<u32>(p + 24, (ldp >> 16 & 0xffff) << 12);
  } else {
    store<u32>(p + 12, ip);
    store<u32>(p + 16, u32{f.fop} << 16 | f.fcs);
    store<u32>(p + 20, dp);
    store<u32>(p + 24, 0xffff0000u | f.fds);
  }
}

void get_environment(Cpu& c, const Insn& i, const u8* p) {
  Fpu& f = c.fpu;
  const bool real = !c.protected_mode(), small = i.osz == 1;
  const unsigned step = small ? 2 : 4;
  f.cw = static_cast<u16>((load<u16>(p) & 0x1f3f) | 0x40);
  set_status_word(c, load<u16>(p + step));
  const u16 tags = load<u16>(p + 2 * step);
  f.tw = 0;
  for (unsigned r = 0; r < 8; r++)
    if ((tags >> (2 * r) & 3) != 3) f.tw |= static_cast<u8>(1u << r);
  const u8* q = p + 3 * step;
  if (small && real) {
    f.fip = load<u16>(q) | (load<u16>(q + 2) & 0xf000u) << 4;
    f.fop = load<u16>(q + 2) & 0x7ff;
    f.fdp = load<u16>(q + 4) | (load<u16>(q + 6) & 0xf000u) << 4;
    f.fcs = f.fds = 0;
  } else if (small) {
    f.fip = load<u16>(q);
    f.fcs = load<u16>(q + 2);
    f.fdp = load<u16>(q + 4);
    f.fds = load<u16>(q + 6);
  } else if (real) {
    f.fip = load<u16>(q) | (load<u32>(q + 4) >> 12 & 0xffff) << 16;
    f.fop = load<u32>(q + 4) & 0x7ff;
    f.fdp = load<u16>(q + 8) | (load<u32>(q + 12) >> 12 & 0xffff) << 16;
    f.fcs = f.fds = 0;
  } else {
    f.fip = load<u32>(q);
    f.fcs = load<u16>(q + 4);
    f.fop = load<u16>(q + 6) & 0x7ff;
    f.fdp = load<u32>(q + 8);
    f.fds = load<u16>(q + 12);
  }
}

}  // namespace

bool exec_FNSTENV(Cpu& c, const Insn& i) {
  if (!c.check_x87(false)) return false;
  u8 image[28];
  put_environment(c, i, image);
  if (!c.write_bytes(i.seg, c.ea(i), image, environment_size(i))) return false;
  c.fpu.cw |= 0x3f;
  c.fpu.sw &= static_cast<u16>(~(kSwES | kSwB));
  return true;
}
bool exec_FLDENV(Cpu& c, const Insn& i) {
  if (!c.check_x87()) return false;
  u8 image[28];
  if (!c.read_bytes(i.seg, c.ea(i), image, environment_size(i))) return false;
  get_environment(c, i, image);
  return true;
}
bool exec_FNSAVE(Cpu& c, const Insn& i) {
  if (!c.check_x87(false)) return false;
  u8 image[108];
  const u32 n = environment_size(i);
  put_environment(c, i, image);
  for (unsigned k = 0; k < 8; k++) {
    store<u64>(image + n + 10 * k, st(c, k).m);
    store<u16>(image + n + 10 * k + 8, st(c, k).se);
  }
  if (!c.write_bytes(i.seg, c.ea(i), image, n + 80)) return false;
  initialize(c);
  return true;
}
bool exec_FRSTOR(Cpu& c, const Insn& i) {
  if (!c.check_x87()) return false;
  u8 image[108];
  const u32 n = environment_size(i);
  if (!c.read_bytes(i.seg, c.ea(i), image, n + 80)) return false;
  get_environment(c, i, image);
  for (unsigned k = 0; k < 8; k++) st(c, k) = F80{load<u64>(image + n + 10 * k), load<u16>(image + n + 10 * k + 8)};
  return true;
}

bool exec_FLDCW(Cpu& c, const Insn& i) {
  if (!c.check_x87()) return false;
  u16 v;
  if (!c.read<u16>(i.seg, c.ea(i), v)) return false;
  c.fpu.cw = static_cast<u16>((v & 0x1f3f) | 0x40);
  set_status_word(c, status_word(c));
  return true;
}
bool exec_FNSTCW(Cpu& c, const Insn& i) { return c.check_x87(false) && c.write<u16>(i.seg, c.ea(i), c.fpu.cw); }
bool exec_FNSTSW_Mw(Cpu& c, const Insn& i) {
  return c.check_x87(false) && c.write<u16>(i.seg, c.ea(i), status_word(c));
}
bool exec_FNSTSW_AX(Cpu& c, const Insn&) {
  if (!c.check_x87(false)) return false;
  c.set16(kRAX, status_word(c));
  return true;
}
bool exec_FNCLEX(Cpu& c, const Insn&) {
  if (!c.check_x87(false)) return false;
  c.fpu.sw &= static_cast<u16>(~(0x3f | kSwSF | kSwES | kSwB));
  return true;
}
bool exec_FNINIT(Cpu& c, const Insn&) {
  if (!c.check_x87(false)) return false;
  initialize(c);
  return true;
}
// Instructions of the 8087 and the 80287 that do nothing now.
bool exec_FNENI(Cpu& c, const Insn&) { return c.check_x87(false); }
bool exec_FNDISI(Cpu& c, const Insn&) { return c.check_x87(false); }
bool exec_FNSETPM(Cpu& c, const Insn&) { return c.check_x87(false); }
bool exec_FNOP(Cpu& c, const Insn& i) { return begin(c, i); }
bool exec_FWAIT(Cpu& c, const Insn&) {
  if ((c.cr0 & (kCr0MP | kCr0TS)) == (kCr0MP | kCr0TS)) return c.raise(kNM);
  if (c.fpu.sw & kSwES) {
    if (c.cr0 & kCr0NE) return c.raise(kMF);
    c.bus.ferr();
  }
  return true;
}

bool exec_FDECSTP(Cpu& c, const Insn& i) {
  if (!begin(c, i)) return false;
  set_c1(c, false);
  c.fpu.top = (c.fpu.top - 1) & 7;
  return true;
}
bool exec_FINCSTP(Cpu& c, const Insn& i) {
  if (!begin(c, i)) return false;
  set_c1(c, false);
  c.fpu.top = (c.fpu.top + 1) & 7;
  return true;
}
bool exec_FFREE(Cpu& c, const Insn& i) {
  if (!begin(c, i)) return false;
  set_c1(c, false);
  c.fpu.tw &= static_cast<u8>(~(1u << ((c.fpu.top + i.rm) & 7)));
  return true;
}
bool exec_FFREEP(Cpu& c, const Insn& i) {
  if (!begin(c, i)) return false;
  set_c1(c, false);
  c.fpu.tw &= static_cast<u8>(~(1u << ((c.fpu.top + i.rm) & 7)));
  pop(c);
  return true;
}

}  // namespace oriel
