// The exact ways of the x87's arithmetic (x87_call.h).
#include "jit/x87_call.h"

#include "cpu/x87.h"

namespace oriel::jit {

namespace {

using namespace softfloat;

F80 raw80(const void* p) { return {load<u64>(p), load<u16>(static_cast<const u8*>(p) + 8)}; }

F80 any_operand(Fpu& f, u32 what, const void* p, FloatEnv& e) {
  switch (what & 15) {
    case kX87Reg: return x87_register(f, static_cast<u32>(reinterpret_cast<uintptr_t>(p)));
    case kX87F64: return x87::widen(load<u64>(p), e);
    case kX87F32: return x87::widen(load<u32>(p), e);
    case kX87I16: return f80_from_i64(static_cast<s16>(load<u16>(p)));
    default: return f80_from_i64(static_cast<s32>(load<u32>(p)));
  }
}

bool raises(const FloatEnv& e) { return e.flags & ~e.masked; }

u32 compare(Cpu& c, F80 a, F80 b, bool quiet, FloatEnv& e) {
  static constexpr u32 conditions[4] = {kX87C0, kX87C3, 0, kX87C0 | kX87C2 | kX87C3};
  const FloatCmp r = f80_compare(a, b, quiet, e);
  if (raises(e)) return kX87Leaves;
  c.fpu.sw |= e.flags;
  return conditions[r];
}

template <class T>
u32 finish_store(Cpu& c, const FloatEnv& e, void* to, T v) {
  if (raises(e)) return kX87Leaves;
  c.fpu.sw |= e.flags;
  store<T>(to, v);
  return e.c1 ? kStatusC1 : 0;
}

u32 examine(F80 v) {
  const u32 exp = v.se & 0x7fff, sign = v.se & 0x8000 ? kX87C1 : 0;
  if (!exp) return sign | (v.m ? kX87C3 | kX87C2 : kX87C3);
  if (!(v.m >> 63)) return sign;
  if (exp != 0x7fff) return sign | kX87C2;
  return sign | (v.m << 1 ? kX87C0 : kX87C2 | kX87C0);
}

}  // namespace

u32 Jit::x87_arith(u32 what, F80& st, const void* operand) {
  static constexpr F80 (*functions[])(F80, F80, FloatEnv&) = {f80_add, f80_sub, f80_mul, f80_div};
  FloatEnv e = x87::env_of(c_);
  const F80 b = any_operand(c_.fpu, what, operand, e);
  const auto function = functions[what >> kX87FunctionShift];
  const F80 r = what >> kX87VariantShift & kX87Reversed ? function(b, st, e) : function(st, b, e);
  if (raises(e)) return kX87Leaves;
  c_.fpu.sw |= e.flags;
  st = r;
  return e.c1 ? kStatusC1 : 0;
}

u32 Jit::x87_load(u32 what, F80& st, const void* operand) {
  FloatEnv e = x87::env_of(c_);
  F80 v;
  switch (what & 15) {
    case kX87F64: v = f80_from_f64(load<u64>(operand), e); break;
    case kX87F32: v = f80_from_f32(load<u32>(operand), e); break;
    case kX87F80: v = raw80(operand); break;
    case kX87I64: v = f80_from_i64(static_cast<s64>(load<u64>(operand))); break;
    default: v = any_operand(c_.fpu, what, operand, e); break;
  }
  if (raises(e)) return kX87Leaves;
  c_.fpu.sw |= e.flags;
  st = v;
  return 0;
}

u32 Jit::x87_store(u32 what, const F80& st, void* to) {
  FloatEnv e = x87::env_of(c_);
  const u8 round = what >> kX87VariantShift == kX87Truncate ? u8{kRoundZero} : e.round;
  switch (what & 15) {
    case kX87F64: {
      const u64 v = f80_to_f64(st, e);
      return finish_store(c_, e, to, v);
    }
    case kX87F32: {
      const u32 v = f80_to_f32(st, e);
      return finish_store(c_, e, to, v);
    }
    case kX87I16: {
      const s16 v = f80_to_i16(st, round, e);
      return finish_store(c_, e, to, static_cast<u16>(v));
    }
    case kX87I32: {
      const s32 v = f80_to_i32(st, round, e);
      return finish_store(c_, e, to, static_cast<u32>(v));
    }
    case kX87I64: {
      const s64 v = f80_to_i64(st, round, e);
      return finish_store(c_, e, to, static_cast<u64>(v));
    }
    default:
      store<u64>(to, st.m);
      store<u16>(static_cast<u8*>(to) + 8, st.se);
      return 0;
  }
}

u32 Jit::x87(u32 what, F80& st, const void* operand) {
  const u32 variant = what >> kX87VariantShift;
  FloatEnv e = x87::env_of(c_);
  switch (variant) {
    case kX87Test: return compare(c_, st, F80{0, 0}, false, e);
    case kX87Examine: return examine(st);
    case kX87SquareRoot:
    case kX87RoundInt: {
      const F80 r = variant == kX87SquareRoot ? f80_sqrt(st, e) : f80_round_int(st, e);
      if (raises(e)) return kX87Leaves;
      c_.fpu.sw |= e.flags;
      st = r;
      return e.c1 ? kStatusC1 : 0;
    }
    case kX87LoadControl: {
      const u16 v = load<u16>(operand);
      if (c_.fpu.sw & ~v & 0x3f) return kX87Leaves;  // an exception that was masked is pending now
      c_.fpu.cw = static_cast<u16>((v & 0x1f3f) | 0x40);
      return 0;
    }
    default: {
      const F80 b = any_operand(c_.fpu, what, operand, e);
      return compare(c_, st, b, variant == kX87CompareQuiet, e);
    }
  }
}

}  // namespace oriel::jit
