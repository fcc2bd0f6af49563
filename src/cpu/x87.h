// What the x87 executors (x87_*.cpp) share: the stack, exception reporting, result delivery.
// Sources: SDM Vol. 1, chapter 8 (8.1.3 status word, 8.1.5 control word, 8.5 exceptions); Vol. 2.
#pragma once

#include "cpu/exec.h"
#include "cpu/softfloat.h"

namespace oriel::x87 {

// Status word beyond the six exception flags.
enum : u16 {
  kSwSF = 1 << 6,
  kSwES = 1 << 7,
  kSwC0 = 1 << 8,
  kSwC1 = 1 << 9,
  kSwC2 = 1 << 10,
  kSwC3 = 1 << 14,
  kSwB = 1 << 15,
  kSwCC = kSwC0 | kSwC1 | kSwC2 | kSwC3,
};

inline F80& st(Cpu& c, unsigned n) { return c.fpu.r[(c.fpu.top + n) & 7]; }
inline bool empty(const Cpu& c, unsigned n) { return !(c.fpu.tw >> ((c.fpu.top + n) & 7) & 1); }
inline void set_st(Cpu& c, unsigned n, F80 v) {
  const unsigned r = (c.fpu.top + n) & 7;
  c.fpu.r[r] = v;
  c.fpu.tw |= static_cast<u8>(1u << r);
}
inline void pop(Cpu& c) {
  c.fpu.tw &= static_cast<u8>(~(1u << c.fpu.top));
  c.fpu.top = (c.fpu.top + 1) & 7;
}
inline void push(Cpu& c, F80 v) {
  c.fpu.top = (c.fpu.top - 1) & 7;
  set_st(c, 0, v);
}
inline void set_c1(Cpu& c, bool v) { c.fpu.sw = static_cast<u16>((c.fpu.sw & ~kSwC1) | (v ? kSwC1 : 0)); }
inline void set_cc(Cpu& c, u16 cc) { c.fpu.sw = static_cast<u16>((c.fpu.sw & ~kSwCC) | cc); }

inline FloatEnv env_of(const Cpu& c) {
  static constexpr u8 precision[4] = {24, 64, 53, 64};  // 01 is reserved and acts as 11
  FloatEnv e;
  e.round = c.fpu.cw >> 10 & 3;
  e.precision = precision[c.fpu.cw >> 8 & 3];
  e.masked = c.fpu.cw & 0x3f;
  return e;
}

// The start of every waiting instruction that is not a control instruction: faults, then the last-instruction
// pointers. ea: the memory operand's offset.
inline void note(Cpu& c, const Insn& i) {
  c.fpu.fop = static_cast<u16>((i.opcode & 7) << 8 | i.modrm);
  c.fpu.fip = c.fault_rip;
  c.fpu.fcs = c.seg[kCS].sel;
}
inline void note_data(Cpu& c, const Insn& i, u64 ea) {
  note(c, i);
  c.fpu.fdp = ea;
  c.fpu.fds = c.seg[i.seg].sel;
}
inline bool begin(Cpu& c, const Insn& i) {
  if (!c.check_x87()) return false;
  note(c, i);
  return true;
}

// Merges raised exceptions into the status word.
inline void report(Cpu& c, u8 flags) {
  c.fpu.sw |= flags;
  if (flags & ~c.fpu.cw & 0x3f) c.fpu.sw |= kSwES | kSwB;
}
inline void report(Cpu& c, const FloatEnv& e) {
  report(c, e.flags);
  set_c1(c, e.c1);
}
// Invalid, denormal and divide-by-zero exceptions, when unmasked, leave the destination alone.
inline bool suppressed(const FloatEnv& e) { return e.flags & ~e.masked & (kFeInvalid | kFeDenormal | kFeDivZero); }
// So do overflow and underflow for a destination in memory.
inline bool store_suppressed(const FloatEnv& e) {
  return e.flags & ~e.masked & (kFeInvalid | kFeDenormal | kFeDivZero | kFeOverflow | kFeUnderflow);
}
// Stack overflow or underflow; true when masked, that is, when the default result is to be delivered.
inline bool stack_fault(Cpu& c, bool overflow) {
  c.fpu.sw |= kSwSF;
  set_c1(c, overflow);
  report(c, kFeInvalid);
  return c.fpu.cw & kFeInvalid;
}
inline bool underflow(Cpu& c) { return stack_fault(c, false); }
inline bool overflow(Cpu& c) { return stack_fault(c, true); }

// Memory operands as arithmetic sees them: a NaN keeps its kind, and a denormal is noted in e, so that the operation
// itself decides which exception comes first.
F80 widen(u32 v, FloatEnv& e);
F80 widen(u64 v, FloatEnv& e);
inline F80 widen(s32 v, FloatEnv&) { return f80_from_i64(v); }
inline F80 widen(s16 v, FloatEnv&) { return f80_from_i64(v); }

// FNSTENV's and FXSAVE's views of the state.
inline u16 status_word(const Cpu& c) { return static_cast<u16>((c.fpu.sw & ~0x3800) | c.fpu.top << 11); }
void set_status_word(Cpu& c, u16 sw);  // sets TOP; ES and B follow from the exceptions and the mask
u16 full_tag_word(const Cpu& c);
void initialize(Cpu& c);  // FNINIT

// x87_math.cpp: correct to well within one unit in the last place of the 64-bit significand.
F80 f2xm1(F80 x, FloatEnv& e);
F80 fyl2x(F80 x, F80 y, FloatEnv& e);    // y * log2(x)
F80 fyl2xp1(F80 x, F80 y, FloatEnv& e);  // y * log2(x + 1)
F80 fpatan(F80 x, F80 y, FloatEnv& e);   // atan2(y, x)
// The argument is reduced by the processors' 66-bit approximation of pi (SDM Vol. 1, 8.3.8). False: out of
// range (|x| >= 2^63). Null pointers: not wanted.
bool fsincos(F80 x, F80* sine, F80* cosine, F80* tangent, FloatEnv& e);

}  // namespace oriel::x87
