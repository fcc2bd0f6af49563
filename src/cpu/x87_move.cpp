// x87 loads, stores, exchanges and conditional moves, and the checks that precede every x87 and SIMD instruction.
// Sources: SDM Vol. 1, 8.3; Vol. 2; Vol. 3, 2.5 (CR0.EM, TS, MP, NE), 12.1 (MMX).
#include "cpu/x87.h"

namespace oriel {

using namespace x87;

// ---- checks ------------------------------------------------------------------------------------

bool Cpu::check_x87(bool waiting) {
  if (ORIEL_UNLIKELY(cr0 & (kCr0EM | kCr0TS))) return raise(kNM);
  if (ORIEL_UNLIKELY(waiting && (fpu.sw & kSwES))) {
    if (cr0 & kCr0NE) return raise(kMF);
    bus.ferr();  // the interrupt comes after this instruction; a real one may be as late
  }
  return true;
}

bool Cpu::check_mmx() {
  if (ORIEL_UNLIKELY(cr0 & kCr0EM)) return raise(kUD);
  return check_x87();
}

bool Cpu::check_sse() {
  if ((cr0 & kCr0EM) || !(cr4 & kCr4OSFXSR)) return raise(kUD);
  if (cr0 & kCr0TS) return raise(kNM);
  return true;
}
bool Cpu::check_avx() {
  if (!protected_mode() || !(cr4 & kCr4OSXSAVE) || (xcr0 & 6) != 6) return raise(kUD);
  if (cr0 & kCr0TS) return raise(kNM);
  return true;
}

// ---- loads -------------------------------------------------------------------------------------

namespace {

// Pushes a loaded value unless the stack is full.
void load(Cpu& c, F80 v, const FloatEnv& e) {
  if (!empty(c, 7)) {
    if (overflow(c)) push(c, kF80DefaultNan);
    return;
  }
  report(c, e);
  // A denormal operand is loaded even if its exception is unmasked, unlike those of arithmetic.
  if (!(e.flags & ~e.masked & kFeInvalid)) push(c, v);
}

template <class T, class Convert>
bool load_mem(Cpu& c, const Insn& i, Convert convert) {
  if (!c.check_x87()) return false;
  const u64 ea = c.ea(i);
  T v;
  if (!c.read<T>(i.seg, ea, v)) return false;
  note_data(c, i, ea);
  FloatEnv e = env_of(c);
  F80 r = convert(v, e);
  load(c, r, e);
  return true;
}

}  // namespace

bool exec_FLD_Mfd(Cpu& c, const Insn& i) { return load_mem<u32>(c, i, f80_from_f32); }
bool exec_FLD_Mfq(Cpu& c, const Insn& i) { return load_mem<u64>(c, i, f80_from_f64); }
bool exec_FILD_Mw(Cpu& c, const Insn& i) {
  return load_mem<u16>(c, i, [](u16 v, FloatEnv&) { return f80_from_i64(static_cast<s16>(v)); });
}
bool exec_FILD_Md(Cpu& c, const Insn& i) {
  return load_mem<u32>(c, i, [](u32 v, FloatEnv&) { return f80_from_i64(static_cast<s32>(v)); });
}
bool exec_FILD_Mq(Cpu& c, const Insn& i) {
  return load_mem<u64>(c, i, [](u64 v, FloatEnv&) { return f80_from_i64(static_cast<s64>(v)); });
}

bool exec_FLD_Mft(Cpu& c, const Insn& i) {
  if (!c.check_x87()) return false;
  const u64 ea = c.ea(i);
  u8 raw[10];
  if (!c.read_bytes(i.seg, ea, raw, 10)) return false;
  note_data(c, i, ea);
  load(c, F80{oriel::load<u64>(raw), oriel::load<u16>(raw + 8)}, FloatEnv{});
  return true;
}

bool exec_FBLD(Cpu& c, const Insn& i) {
  if (!c.check_x87()) return false;
  const u64 ea = c.ea(i);
  u8 raw[10];
  if (!c.read_bytes(i.seg, ea, raw, 10)) return false;
  note_data(c, i, ea);
  u64 v = 0;
  for (int k = 8; k >= 0; k--) v = v * 100 + static_cast<u64>(raw[k] >> 4) * 10 + (raw[k] & 15);
  F80 r = f80_from_i64(static_cast<s64>(v));
  if (raw[9] & 0x80) r.se |= 0x8000;
  load(c, r, FloatEnv{});
  return true;
}

bool exec_FLD_STi(Cpu& c, const Insn& i) {
  if (!begin(c, i)) return false;
  if (empty(c, i.rm)) {
    if (underflow(c)) push(c, kF80DefaultNan);
    return true;
  }
  if (!empty(c, 7)) {
    if (overflow(c)) push(c, kF80DefaultNan);
    return true;
  }
  set_c1(c, false);
  push(c, F80{st(c, i.rm)});
  return true;
}

// Constants, as each rounding mode gives them: the significand rounded down, and whether nearest and up add one.
namespace {
bool load_constant(Cpu& c, const Insn& i, u64 m, u16 se, bool nearest_up, bool inexact) {
  if (!begin(c, i)) return false;
  const unsigned rc = c.fpu.cw >> 10 & 3;
  if (inexact && (rc == kRoundUp || (rc == kRoundNearest && nearest_up))) m++;
  load(c, F80{m, se}, FloatEnv{});
  return true;
}
}  // namespace
bool exec_FLD1(Cpu& c, const Insn& i) { return load_constant(c, i, u64{1} << 63, 0x3fff, false, false); }
bool exec_FLDZ(Cpu& c, const Insn& i) { return load_constant(c, i, 0, 0, false, false); }
bool exec_FLDL2T(Cpu& c, const Insn& i) { return load_constant(c, i, 0xd49a784bcd1b8afe, 0x4000, false, true); }
bool exec_FLDL2E(Cpu& c, const Insn& i) { return load_constant(c, i, 0xb8aa3b295c17f0bb, 0x3fff, true, true); }
bool exec_FLDPI(Cpu& c, const Insn& i) { return load_constant(c, i, 0xc90fdaa22168c234, 0x4000, true, true); }
bool exec_FLDLG2(Cpu& c, const Insn& i) { return load_constant(c, i, 0x9a209a84fbcff798, 0x3ffd, true, true); }
bool exec_FLDLN2(Cpu& c, const Insn& i) { return load_constant(c, i, 0xb17217f7d1cf79ab, 0x3ffe, true, true); }

// ---- stores ------------------------------------------------------------------------------------

namespace {

// Stores Convert(ST(0)). The memory write comes before any change of state, for it may fault; it faults as well when
// an unmasked exception keeps the value from being stored.
template <class T, class Convert>
bool store_mem(Cpu& c, const Insn& i, bool do_pop, T indefinite, Convert convert) {
  if (!c.check_x87()) return false;
  const u64 ea = c.ea(i);
  if (empty(c, 0)) {
    const bool masked = c.fpu.cw & kFeInvalid;
    if (!(masked ? c.write<T>(i.seg, ea, indefinite) : c.probe_write(i.seg, ea, sizeof(T)))) return false;
    note_data(c, i, ea);
    if (underflow(c) && do_pop) pop(c);
    return true;
  }
  FloatEnv e = env_of(c);
  T v = convert(st(c, 0), e);
  const bool store = !store_suppressed(e);
  if (!(store ? c.write<T>(i.seg, ea, v) : c.probe_write(i.seg, ea, sizeof(T)))) return false;
  if (!store) {  // nothing was rounded then
    e.flags &= static_cast<u8>(~kFeInexact);
    e.c1 = false;
  }
  note_data(c, i, ea);
  report(c, e);
  if (store && do_pop) pop(c);
  return true;
}

template <class T, auto Fn>
bool store_int(Cpu& c, const Insn& i, bool do_pop, bool truncate) {
  constexpr T indefinite = static_cast<T>(T{1} << (sizeof(T) * 8 - 1));
  return store_mem<T>(c, i, do_pop, indefinite, [truncate](F80 v, FloatEnv& e) {
    return static_cast<T>(Fn(v, truncate ? static_cast<u8>(kRoundZero) : e.round, e));
  });
}

}  // namespace

bool exec_FST_Mfd(Cpu& c, const Insn& i) { return store_mem<u32>(c, i, false, kF32DefaultNan, f80_to_f32); }
bool exec_FSTP_Mfd(Cpu& c, const Insn& i) { return store_mem<u32>(c, i, true, kF32DefaultNan, f80_to_f32); }
bool exec_FST_Mfq(Cpu& c, const Insn& i) { return store_mem<u64>(c, i, false, kF64DefaultNan, f80_to_f64); }
bool exec_FSTP_Mfq(Cpu& c, const Insn& i) { return store_mem<u64>(c, i, true, kF64DefaultNan, f80_to_f64); }
bool exec_FIST_Mw(Cpu& c, const Insn& i) { return store_int<u16, f80_to_i16>(c, i, false, false); }
bool exec_FIST_Md(Cpu& c, const Insn& i) { return store_int<u32, f80_to_i32>(c, i, false, false); }
bool exec_FISTP_Mw(Cpu& c, const Insn& i) { return store_int<u16, f80_to_i16>(c, i, true, false); }
bool exec_FISTP_Md(Cpu& c, const Insn& i) { return store_int<u32, f80_to_i32>(c, i, true, false); }
bool exec_FISTP_Mq(Cpu& c, const Insn& i) { return store_int<u64, f80_to_i64>(c, i, true, false); }
bool exec_FISTTP_Mw(Cpu& c, const Insn& i) { return store_int<u16, f80_to_i16>(c, i, true, true); }
bool exec_FISTTP_Md(Cpu& c, const Insn& i) { return store_int<u32, f80_to_i32>(c, i, true, true); }
bool exec_FISTTP_Mq(Cpu& c, const Insn& i) { return store_int<u64, f80_to_i64>(c, i, true, true); }

bool exec_FSTP_Mft(Cpu& c, const Insn& i) {
  if (!c.check_x87()) return false;
  const u64 ea = c.ea(i);
  const bool none = empty(c, 0);
  if (!c.probe_write(i.seg, ea, 10)) return false;
  if (!none || (c.fpu.cw & kFeInvalid)) {
    const F80 v = none ? kF80DefaultNan : st(c, 0);
    u8 raw[10];
    oriel::store<u64>(raw, v.m);
    oriel::store<u16>(raw + 8, v.se);
    if (!c.write_bytes(i.seg, ea, raw, 10)) return false;
  }
  note_data(c, i, ea);
  if (none) {
    if (underflow(c)) pop(c);
    return true;
  }
  set_c1(c, false);
  pop(c);
  return true;
}

bool exec_FBSTP(Cpu& c, const Insn& i) {
  if (!c.check_x87()) return false;
  const u64 ea = c.ea(i);
  FloatEnv e = env_of(c);
  constexpr s64 kLimit = 1'000'000'000'000'000'000;
  const bool none = empty(c, 0);
  u8 raw[10] = {0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0xff};  // packed BCD indefinite
  if (!none) {
    FloatEnv own = e;
    s64 v = f80_to_i64(st(c, 0), e.round, own);
    if ((own.flags & kFeInvalid) || v >= kLimit || v <= -kLimit) {
      e.flags |= kFeInvalid;
    } else {
      e.flags |= own.flags;
      e.c1 = own.c1;
      u64 mag = v < 0 ? 0 - static_cast<u64>(v) : static_cast<u64>(v);
      for (int k = 0; k < 9; k++, mag /= 100) raw[k] = static_cast<u8>((mag / 10 % 10) << 4 | mag % 10);
      raw[9] = st(c, 0).se & 0x8000 ? 0x80 : 0;
    }
  }
  const bool store = none ? (c.fpu.cw & kFeInvalid) != 0 : !store_suppressed(e);
  if (!(store ? c.write_bytes(i.seg, ea, raw, 10) : c.probe_write(i.seg, ea, 10))) return false;
  note_data(c, i, ea);
  if (none)
    underflow(c);
  else
    report(c, e);
  if (store) pop(c);
  return true;
}

namespace {
bool store_reg(Cpu& c, const Insn& i, bool do_pop) {
  if (!begin(c, i)) return false;
  if (empty(c, 0)) {
    if (!underflow(c)) return true;
    set_st(c, i.rm, kF80DefaultNan);
  } else {
    set_c1(c, false);
    set_st(c, i.rm, F80{st(c, 0)});
  }
  if (do_pop) pop(c);
  return true;
}
bool exchange(Cpu& c, const Insn& i) {
  if (!begin(c, i)) return false;
  set_c1(c, false);
  if (empty(c, 0) || empty(c, i.rm)) {
    if (!underflow(c)) return true;
    if (empty(c, 0)) set_st(c, 0, kF80DefaultNan);
    if (empty(c, i.rm)) set_st(c, i.rm, kF80DefaultNan);
  }
  const F80 a = st(c, 0);
  st(c, 0) = st(c, i.rm);
  st(c, i.rm) = a;
  return true;
}
bool move_if(Cpu& c, const Insn& i, bool condition) {
  if (!begin(c, i)) return false;
  if (empty(c, 0) || empty(c, i.rm)) {
    if (underflow(c)) set_st(c, 0, kF80DefaultNan);
    return true;
  }
  if (condition) st(c, 0) = st(c, i.rm);
  return true;
}
}  // namespace
bool exec_FST_STi(Cpu& c, const Insn& i) { return store_reg(c, i, false); }
bool exec_FSTP_STi(Cpu& c, const Insn& i) { return store_reg(c, i, true); }
bool exec_FSTP8(Cpu& c, const Insn& i) { return store_reg(c, i, true); }
bool exec_FSTP9(Cpu& c, const Insn& i) { return store_reg(c, i, true); }
bool exec_FSTPNCE(Cpu& c, const Insn& i) {  // no stack underflow exception: an empty register is not stored
  if (!begin(c, i)) return false;
  set_c1(c, false);
  if (!empty(c, 0)) set_st(c, i.rm, F80{st(c, 0)});
  pop(c);
  return true;
}
bool exec_FXCH(Cpu& c, const Insn& i) { return exchange(c, i); }
bool exec_FXCH4(Cpu& c, const Insn& i) { return exchange(c, i); }
bool exec_FXCH7(Cpu& c, const Insn& i) { return exchange(c, i); }
bool exec_FCMOVB(Cpu& c, const Insn& i) { return move_if(c, i, c.cf()); }
bool exec_FCMOVE(Cpu& c, const Insn& i) { return move_if(c, i, c.zf()); }
bool exec_FCMOVBE(Cpu& c, const Insn& i) { return move_if(c, i, c.cf() || c.zf()); }
bool exec_FCMOVU(Cpu& c, const Insn& i) { return move_if(c, i, c.pf()); }
bool exec_FCMOVNB(Cpu& c, const Insn& i) { return move_if(c, i, !c.cf()); }
bool exec_FCMOVNE(Cpu& c, const Insn& i) { return move_if(c, i, !c.zf()); }
bool exec_FCMOVNBE(Cpu& c, const Insn& i) { return move_if(c, i, !c.cf() && !c.zf()); }
bool exec_FCMOVNU(Cpu& c, const Insn& i) { return move_if(c, i, !c.pf()); }

}  // namespace oriel
