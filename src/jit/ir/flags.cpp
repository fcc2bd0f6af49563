#include "jit/ir/flags.h"

#include "cpu/alu.h"

namespace oriel::jit {

namespace {
void commit_operation(Cpu& c, u32 kind, u64 a64, u64 b64) {
  if (static_cast<FlagOp>(kind >> 2) == FlagOp::kCpu) return;
  by_size(kind & 3, [&](auto zero) {
    using T = decltype(zero);
    const T a = static_cast<T>(a64), b = static_cast<T>(b64);
    switch (static_cast<FlagOp>(kind >> 2)) {
      case FlagOp::kCpu: break;
      case FlagOp::kAdd: AluAdd::op<T>(c, a, b); break;
      case FlagOp::kSub: AluSub::op<T>(c, a, b); break;
      case FlagOp::kAdc: flags_add<T>(c, a, b, static_cast<T>(a + b + 1)); break;
      case FlagOp::kSbb: flags_sub<T>(c, a, b, static_cast<T>(a - b - 1)); break;
      case FlagOp::kLogic: c.set_logic_flags(sext(a)); break;
      case FlagOp::kInc:
        AluAdd::op<T>(c, a, 1);
        c.set_cf(b64 & 1);
        break;
      case FlagOp::kDec:
        AluSub::op<T>(c, a, 1);
        c.set_cf(b64 & 1);
        break;
      case FlagOp::kShl: AluShl::op<T>(c, a, static_cast<u8>(b64)); break;
      case FlagOp::kShr: AluShr::op<T>(c, a, static_cast<u8>(b64)); break;
      case FlagOp::kSar: AluSar::op<T>(c, a, static_cast<u8>(b64)); break;
      case FlagOp::kMul:
        c.cc_res = sext(a);
        c.cc_aux = (b64 & 1) << 63;
        break;
      case FlagOp::kDouble: flags_shift(c, sext(a), b64 & 1, b64 >> 1 & 1); break;
      case FlagOp::kCompare:
        c.set_arith_flags((a ? u32{kCF} : 0) | (b ? u32{kZF} : 0) | (a && b ? u32{kPF} : 0));
        break;
      case FlagOp::kTest: c.set_arith_flags((a ? u32{kCF} : 0) | (b ? u32{kZF} : 0)); break;
    }
    return true;
  });
}
}  // namespace

void commit_flags(Cpu& c, u32 kind, u64 a, u64 b) {
  commit_operation(c, kind & kFlagKindMask, a, b);
  const bool cf = kind & kFlagCf ? kind >> kFlagCfBit & 1 : c.cf();
  if (kind & kFlagOf)
    c.set_of_cf(kind >> kFlagOfBit & 1, cf);
  else if (kind & kFlagCf)
    c.set_cf(cf);
}

namespace {

// What the condition codes are made of, of an operation on two numbers that are shifted to the top of 64 bits.
struct Outcome {
  bool o, b, e, s;
};

bool holds(const Outcome& f, unsigned cc) {
  bool v = false;
  switch (cc >> 1) {
    case 0: v = f.o; break;
    case 1: v = f.b; break;
    case 2: v = f.e; break;
    case 3: v = f.b || f.e; break;
    case 4: v = f.s; break;
    case 6: v = f.s != f.o; break;
    case 7: v = f.e || f.s != f.o; break;
    default: break;
  }
  return v != (cc & 1);
}

}  // namespace

bool flag_condition(Cpu& c, u32 kind, u64 a, u64 b, unsigned cc) {
  const unsigned shift = 64 - (8u << (kind & 3));
  const u64 x = a << shift, y = b << shift, one = u64{1} << shift;
  const bool parity = cc >> 1 == 5;
  switch (parity || kind & (kFlagCf | kFlagOf) ? FlagOp::kCpu : static_cast<FlagOp>(kind >> 2)) {
    case FlagOp::kLogic: return holds({false, false, x == 0, x >> 63 != 0}, cc);
    case FlagOp::kSub: return holds({((x ^ y) & (x ^ (x - y))) >> 63 != 0, x < y, x == y, (x - y) >> 63 != 0}, cc);
    case FlagOp::kAdd: {
      const u64 r = x + y;
      return holds({((x ^ r) & (y ^ r)) >> 63 != 0, r < x, r == 0, r >> 63 != 0}, cc);
    }
    case FlagOp::kInc: {
      const u64 r = x + one;
      return holds({r == u64{1} << 63, (b & 1) != 0, r == 0, r >> 63 != 0}, cc);
    }
    case FlagOp::kDec: {
      const u64 r = x - one;
      return holds({x == u64{1} << 63, (b & 1) != 0, r == 0, r >> 63 != 0}, cc);
    }
    default: break;
  }
  const u64 res = c.cc_res, aux = c.cc_aux;
  commit_flags(c, kind, a, b);
  const bool v = c.condition(cc);
  c.cc_res = res;
  c.cc_aux = aux;
  return v;
}

}  // namespace oriel::jit
