// Integer instructions outside the main switch: multiply and divide, rotates and double shifts, bit
// operations, exchanges, stack frames, loops, flags and decimal arithmetic. SDM Vol. 2.
#include <array>

#include "cpu/alu.h"
#include "cpu/exec.h"

namespace oriel {

namespace {

template <class T>
struct Wide;
template <>
struct Wide<u8> {
  using U = u16;
  using S = s16;
};
template <>
struct Wide<u16> {
  using U = u32;
  using S = s32;
};
template <>
struct Wide<u32> {
  using U = u64;
  using S = s64;
};
template <>
struct Wide<u64> {
  using U = unsigned __int128;
  using S = __int128;
};

// The double-width accumulator: AX for bytes, else DX:AX of the size.
template <class T>
T acc_low(const Cpu& c) {
  return sizeof(T) == 1 ? static_cast<T>(c.get8(0)) : static_cast<T>(c.gpr[kRAX]);
}
template <class T>
T acc_high(const Cpu& c) {
  return sizeof(T) == 1 ? static_cast<T>(c.get8(1)) : static_cast<T>(c.gpr[kRDX]);
}
template <class T>
void set_acc(Cpu& c, T low, T high) {
  if constexpr (sizeof(T) == 1) {
    c.set8(0, low);
    c.set8(1, high);
  } else {
    set_r<T>(c, kRAX, low);
    set_r<T>(c, kRDX, high);
  }
}

template <class T>
bool mul(Cpu& c, const Insn& i) {
  T v;
  if (!read_rm<T>(c, i, v)) return false;
  auto p = static_cast<typename Wide<T>::U>(acc_low<T>(c)) * v;
  T lo = static_cast<T>(p), hi = static_cast<T>(p >> (8 * sizeof(T)));
  set_acc<T>(c, lo, hi);
  c.cc_res = sext(lo);
  c.cc_aux = static_cast<u64>(hi != 0) << 63;
  return true;
}

template <class T>
bool imul(Cpu& c, const Insn& i) {
  using S = std::make_signed_t<T>;
  using WS = typename Wide<T>::S;
  T v;
  if (!read_rm<T>(c, i, v)) return false;
  WS p = static_cast<WS>(static_cast<S>(acc_low<T>(c))) * static_cast<S>(v);
  T lo = static_cast<T>(p), hi = static_cast<T>(static_cast<typename Wide<T>::U>(p) >> (8 * sizeof(T)));
  set_acc<T>(c, lo, hi);
  c.cc_res = sext(lo);
  c.cc_aux = static_cast<u64>(p != static_cast<WS>(static_cast<S>(lo))) << 63;
  return true;
}

template <class T>
bool div(Cpu& c, const Insn& i) {
  using W = typename Wide<T>::U;
  T v;
  if (!read_rm<T>(c, i, v)) return false;
  if (v == 0) return c.raise(kDE);
  T high = acc_high<T>(c);
  if (high >= v) return c.raise(kDE);
  if (high == 0) {  // the common case, without the wide division
    T n = acc_low<T>(c);
    set_acc<T>(c, static_cast<T>(n / v), static_cast<T>(n % v));
    return true;
  }
  W n = static_cast<W>(static_cast<W>(high) << (8 * sizeof(T))) | acc_low<T>(c);
  set_acc<T>(c, static_cast<T>(n / v), static_cast<T>(n % v));
  return true;
}

template <class T>
bool idiv(Cpu& c, const Insn& i) {
  using W = typename Wide<T>::U;
  using WS = typename Wide<T>::S;
  using S = std::make_signed_t<T>;
  T v;
  if (!read_rm<T>(c, i, v)) return false;
  if (v == 0) return c.raise(kDE);
  W bits = static_cast<W>(static_cast<W>(acc_high<T>(c)) << (8 * sizeof(T))) | acc_low<T>(c);
  bool neg_n = static_cast<WS>(bits) < 0, neg_d = static_cast<S>(v) < 0;
  W n = neg_n ? static_cast<W>(W{0} - bits) : bits;
  W d = neg_d ? static_cast<W>(static_cast<T>(T{0} - v)) : static_cast<W>(v);
  W q = n / d, r = n % d;
  bool neg_q = neg_n != neg_d;
  W limit = (static_cast<W>(1) << (8 * sizeof(T) - 1)) - (neg_q ? 0 : 1);
  if (q > limit) return c.raise(kDE);
  T tq = static_cast<T>(q), tr = static_cast<T>(r);
  set_acc<T>(c, neg_q ? static_cast<T>(T{0} - tq) : tq, neg_n ? static_cast<T>(T{0} - tr) : tr);
  return true;
}

}  // namespace

bool exec_MUL_Eb(Cpu& c, const Insn& i) { return mul<u8>(c, i); }
bool exec_IMUL_Eb(Cpu& c, const Insn& i) { return imul<u8>(c, i); }
bool exec_DIV_Eb(Cpu& c, const Insn& i) { return div<u8>(c, i); }
bool exec_IDIV_Eb(Cpu& c, const Insn& i) { return idiv<u8>(c, i); }
bool exec_MUL_Ev(Cpu& c, const Insn& i) {
  return by_size(i.osz, [&](auto t) { return mul<decltype(t)>(c, i); });
}
bool exec_IMUL_Ev(Cpu& c, const Insn& i) {
  return by_size(i.osz, [&](auto t) { return imul<decltype(t)>(c, i); });
}
bool exec_DIV_Ev(Cpu& c, const Insn& i) {
  return by_size(i.osz, [&](auto t) { return div<decltype(t)>(c, i); });
}
bool exec_IDIV_Ev(Cpu& c, const Insn& i) {
  return by_size(i.osz, [&](auto t) { return idiv<decltype(t)>(c, i); });
}

// ---- rotates and double shifts -----------------------------------------------------------------

namespace {

enum class Rot { kRol, kRor, kRcl, kRcr };

// Rotates change CF and OF only. OF is defined for counts of 1; hardware computes it the same way for others.
template <class T>
T rotate(Cpu& c, Rot kind, T v, unsigned count) {
  constexpr unsigned bits = 8 * sizeof(T);
  count &= bits == 64 ? 63 : 31;
  if (count == 0) return v;
  T r = v;
  bool cf = c.cf();
  auto msb = [](T x) { return (x >> (bits - 1) & 1) != 0; };
  switch (kind) {
    case Rot::kRol: {
      unsigned n = count % bits;
      if (n) r = static_cast<T>(v << n | v >> (bits - n));
      cf = r & 1;
      c.set_of_cf(msb(r) ^ cf, cf);
      return r;
    }
    case Rot::kRor: {
      unsigned n = count % bits;
      if (n) r = static_cast<T>(v >> n | v << (bits - n));
      cf = msb(r);
      c.set_of_cf(cf ^ (r >> (bits - 2) & 1), cf);
      return r;
    }
    case Rot::kRcl: {
      unsigned n = count % (bits + 1);
      for (; n; n--) {
        bool out = msb(r);
        r = static_cast<T>(r << 1 | static_cast<T>(cf));
        cf = out;
      }
      c.set_of_cf(msb(r) ^ cf, cf);
      return r;
    }
    default: {
      unsigned n = count % (bits + 1);
      for (; n; n--) {
        bool out = r & 1;
        r = static_cast<T>(static_cast<T>(r >> 1) | static_cast<T>(static_cast<T>(cf) << (bits - 1)));
        cf = out;
      }
      c.set_of_cf(msb(r) ^ (r >> (bits - 2) & 1), cf);
      return r;
    }
  }
}

template <class T>
bool rot_rm(Cpu& c, const Insn& i, Rot kind, unsigned count) {
  T v;
  if (!begin_rm<T>(c, i, v)) return false;
  write_back<T>(c, i, rotate<T>(c, kind, v, count));
  return true;
}
bool rot_ev(Cpu& c, const Insn& i, Rot kind, unsigned count) {
  return by_size(i.osz, [&](auto t) { return rot_rm<decltype(t)>(c, i, kind, count); });
}

// SHLD and SHRD. A 16-bit count above 16 is undefined: as if the source followed again.
template <class T>
bool double_shift(Cpu& c, const Insn& i, bool left, unsigned count) {
  constexpr unsigned bits = 8 * sizeof(T);
  T a;
  if (!begin_rm<T>(c, i, a)) return false;
  T b = static_cast<T>(c.gpr[i.reg]);
  count &= bits == 64 ? 63 : 31;
  if (count == 0) {
    write_back<T>(c, i, a);
    return true;
  }
  T r;
  bool cf;
  if (count > bits) {  // only 16-bit operands
    unsigned n = count - bits;
    r = left ? static_cast<T>(b << n | a >> (bits - n)) : static_cast<T>(b >> n | a << (bits - n));
    cf = left ? b >> (bits - n) & 1 : b >> (n - 1) & 1;
  } else if (count == bits) {
    r = b;
    cf = left ? a & 1 : a >> (bits - 1) & 1;
  } else {
    r = left ? static_cast<T>(a << count | b >> (bits - count)) : static_cast<T>(a >> count | b << (bits - count));
    cf = left ? a >> (bits - count) & 1 : a >> (count - 1) & 1;
  }
  flags_shift(c, sext(r), cf, (a ^ r) >> (bits - 1) & 1);
  write_back<T>(c, i, r);
  return true;
}
bool double_shift_ev(Cpu& c, const Insn& i, bool left, unsigned count) {
  return by_size(i.osz, [&](auto t) { return double_shift<decltype(t)>(c, i, left, count); });
}
u8 cl(const Cpu& c) { return c.get8(kRCX * 8); }

}  // namespace

#define ROT(ID, KIND)                                                                                           \
  bool exec_##ID##_EbIb(Cpu& c, const Insn& i) { return rot_rm<u8>(c, i, KIND, static_cast<unsigned>(i.imm)); } \
  bool exec_##ID##_Eb1(Cpu& c, const Insn& i) { return rot_rm<u8>(c, i, KIND, 1); }                             \
  bool exec_##ID##_EbCL(Cpu& c, const Insn& i) { return rot_rm<u8>(c, i, KIND, cl(c)); }                        \
  bool exec_##ID##_EvIb(Cpu& c, const Insn& i) { return rot_ev(c, i, KIND, static_cast<unsigned>(i.imm)); }     \
  bool exec_##ID##_Ev1(Cpu& c, const Insn& i) { return rot_ev(c, i, KIND, 1); }                                 \
  bool exec_##ID##_EvCL(Cpu& c, const Insn& i) { return rot_ev(c, i, KIND, cl(c)); }
ROT(ROL, Rot::kRol)
ROT(ROR, Rot::kRor)
ROT(RCL, Rot::kRcl)
ROT(RCR, Rot::kRcr)
#undef ROT
bool exec_SHLD_EvGvIb(Cpu& c, const Insn& i) { return double_shift_ev(c, i, true, static_cast<unsigned>(i.imm)); }
bool exec_SHLD_EvGvCL(Cpu& c, const Insn& i) { return double_shift_ev(c, i, true, cl(c)); }
bool exec_SHRD_EvGvIb(Cpu& c, const Insn& i) { return double_shift_ev(c, i, false, static_cast<unsigned>(i.imm)); }
bool exec_SHRD_EvGvCL(Cpu& c, const Insn& i) { return double_shift_ev(c, i, false, cl(c)); }

// ---- bit operations ----------------------------------------------------------------------------

namespace {

enum class Bit { kTest, kSet, kReset, kComplement };

template <class T>
T bit_apply(Bit kind, T v, T mask) {
  switch (kind) {
    case Bit::kTest: return v;
    case Bit::kSet: return v | mask;
    case Bit::kReset: return v & static_cast<T>(~mask);
    default: return v ^ mask;
  }
}

// With a register bit number and a memory operand the bit string extends over all of memory: the
// word at the operand's address plus the signed bit number divided by the operand size.
template <class T>
bool bit_op(Cpu& c, const Insn& i, Bit kind, bool imm) {
  constexpr unsigned bits = 8 * sizeof(T);
  u64 n = imm ? i.imm : static_cast<u64>(sext(static_cast<T>(c.gpr[i.reg])));
  T mask = static_cast<T>(T{1} << (n & (bits - 1)));
  if (!(i.flags & kInsnMem)) {
    T v = static_cast<T>(c.gpr[i.rm]);
    c.set_cf(v & mask);
    if (kind != Bit::kTest) set_r<T>(c, i.rm, bit_apply(kind, v, mask));
    return true;
  }
  static constexpr u64 amask[4] = {0xffff, 0xffff, 0xffffffff, ~u64{0}};
  u64 off = c.ea(i);
  if (!imm) off = (off + static_cast<u64>(static_cast<s64>(n) >> 3 & ~static_cast<s64>(sizeof(T) - 1))) & amask[i.asz];
  T v;
  if (kind == Bit::kTest) {
    if (!c.read<T>(i.seg, off, v)) return false;
    c.set_cf(v & mask);
    return true;
  }
  if (!c.rmw_begin<T>(i.seg, off, v)) return false;
  c.rmw_commit<T>(bit_apply(kind, v, mask));
  c.set_cf(v & mask);
  return true;
}
bool bit_ev(Cpu& c, const Insn& i, Bit kind, bool imm) {
  return by_size(i.osz, [&](auto t) { return bit_op<decltype(t)>(c, i, kind, imm); });
}

void set_zf_cf(Cpu& c, bool zf, bool cf) { c.set_arith_flags((zf ? kZF : 0) | (cf ? kCF : 0)); }

template <class T>
unsigned ctz(T v) {
  return static_cast<unsigned>(std::countr_zero(v));
}
template <class T>
unsigned clz(T v) {
  return static_cast<unsigned>(std::countl_zero(v));
}

template <class T>
bool bit_scan(Cpu& c, const Insn& i, bool reverse) {
  T v;
  if (!read_rm<T>(c, i, v)) return false;
  c.set_logic_flags(sext(v));  // ZF by the source; the others are undefined
  if (v != 0) set_r<T>(c, i.reg, static_cast<T>(reverse ? 8 * sizeof(T) - 1 - clz(v) : ctz(v)));
  return true;
}
template <class T>
bool zero_count(Cpu& c, const Insn& i, bool leading) {
  T v;
  if (!read_rm<T>(c, i, v)) return false;
  unsigned n = leading ? clz(v) : ctz(v);
  set_r<T>(c, i.reg, static_cast<T>(n));
  set_zf_cf(c, n == 0, v == 0);
  return true;
}

}  // namespace

bool exec_BT_EvGv(Cpu& c, const Insn& i) { return bit_ev(c, i, Bit::kTest, false); }
bool exec_BTS_EvGv(Cpu& c, const Insn& i) { return bit_ev(c, i, Bit::kSet, false); }
bool exec_BTR_EvGv(Cpu& c, const Insn& i) { return bit_ev(c, i, Bit::kReset, false); }
bool exec_BTC_EvGv(Cpu& c, const Insn& i) { return bit_ev(c, i, Bit::kComplement, false); }
bool exec_BT_EvIb(Cpu& c, const Insn& i) { return bit_ev(c, i, Bit::kTest, true); }
bool exec_BTS_EvIb(Cpu& c, const Insn& i) { return bit_ev(c, i, Bit::kSet, true); }
bool exec_BTR_EvIb(Cpu& c, const Insn& i) { return bit_ev(c, i, Bit::kReset, true); }
bool exec_BTC_EvIb(Cpu& c, const Insn& i) { return bit_ev(c, i, Bit::kComplement, true); }
bool exec_BSF_GvEv(Cpu& c, const Insn& i) {
  return by_size(i.osz, [&](auto t) { return bit_scan<decltype(t)>(c, i, false); });
}
bool exec_BSR_GvEv(Cpu& c, const Insn& i) {
  return by_size(i.osz, [&](auto t) { return bit_scan<decltype(t)>(c, i, true); });
}
bool exec_TZCNT_GvEv(Cpu& c, const Insn& i) {
  return by_size(i.osz, [&](auto t) { return zero_count<decltype(t)>(c, i, false); });
}
bool exec_LZCNT_GvEv(Cpu& c, const Insn& i) {
  return by_size(i.osz, [&](auto t) { return zero_count<decltype(t)>(c, i, true); });
}
bool exec_POPCNT_GvEv(Cpu& c, const Insn& i) {
  return by_size(i.osz, [&](auto t) {
    using T = decltype(t);
    T v;
    if (!read_rm<T>(c, i, v)) return false;
    set_r<T>(c, i.reg, static_cast<T>(std::popcount(v)));
    set_zf_cf(c, v == 0, false);
    return true;
  });
}

namespace {

// The reflected CRC-32C (polynomial 11EDC6F41H), a byte at a time from the low end.
template <class T>
bool crc32(Cpu& c, const Insn& i) {
  static constexpr auto kTable = [] {
    std::array<u32, 256> t{};
    for (u32 n = 0; n < 256; n++) {
      u32 v = n;
      for (int k = 0; k < 8; k++) v = v >> 1 ^ (v & 1 ? 0x82f63b78u : 0);
      t[n] = v;
    }
    return t;
  }();
  T v;
  if (!read_rm<T>(c, i, v)) return false;
  u32 crc = static_cast<u32>(c.gpr[i.reg]);
  for (unsigned k = 0; k < sizeof(T); k++) crc = crc >> 8 ^ kTable[(crc ^ static_cast<u32>(v >> 8 * k)) & 0xff];
  c.gpr[i.reg] = crc;
  return true;
}

}  // namespace

bool exec_CRC32_GyEb(Cpu& c, const Insn& i) { return crc32<u8>(c, i); }
bool exec_CRC32_GyEv(Cpu& c, const Insn& i) {
  return by_size(i.osz, [&](auto t) { return crc32<decltype(t)>(c, i); });
}

// ---- moves and exchanges -----------------------------------------------------------------------

bool exec_MOV_ALOb(Cpu& c, const Insn& i) {
  u8 v;
  if (!c.read<u8>(i.seg, i.imm, v)) return false;
  c.set8(0, v);
  return true;
}
bool exec_MOV_eAXOv(Cpu& c, const Insn& i) {
  return by_size(i.osz, [&](auto t) {
    if (!c.read(i.seg, i.imm, t)) return false;
    set_r(c, kRAX, t);
    return true;
  });
}
bool exec_MOV_ObAL(Cpu& c, const Insn& i) { return c.write<u8>(i.seg, i.imm, c.get8(0)); }
bool exec_MOV_OveAX(Cpu& c, const Insn& i) {
  return by_size(i.osz, [&](auto t) { return c.write(i.seg, i.imm, static_cast<decltype(t)>(c.gpr[kRAX])); });
}

namespace {
template <class T>
bool xadd(Cpu& c, const Insn& i) {
  T old;
  if (!begin_rm<T>(c, i, old)) return false;
  T sum = AluAdd::op<T>(c, old, get_r<T>(c, i.reg));
  set_r<T>(c, i.reg, old);  // first: with one register for both, the sum remains
  write_back<T>(c, i, sum);
  return true;
}
template <class T>
bool cmpxchg(Cpu& c, const Insn& i) {
  T old;
  if (!begin_rm<T>(c, i, old)) return false;
  T acc = get_r<T>(c, kRAX);
  AluSub::op<T>(c, acc, old);
  if (acc == old) {
    write_back<T>(c, i, get_r<T>(c, i.reg));
  } else {
    // The destination is written in any case; a register destination keeps its upper half.
    if (i.flags & kInsnMem) c.rmw_commit<T>(old);
    set_r<T>(c, kRAX, old);
  }
  return true;
}
}  // namespace

bool exec_XADD_EbGb(Cpu& c, const Insn& i) { return xadd<u8>(c, i); }
bool exec_XADD_EvGv(Cpu& c, const Insn& i) {
  return by_size(i.osz, [&](auto t) { return xadd<decltype(t)>(c, i); });
}
bool exec_CMPXCHG_EbGb(Cpu& c, const Insn& i) { return cmpxchg<u8>(c, i); }
bool exec_CMPXCHG_EvGv(Cpu& c, const Insn& i) {
  return by_size(i.osz, [&](auto t) { return cmpxchg<decltype(t)>(c, i); });
}

// CMPXCHG8B, and CMPXCHG16B with REX.W (16-byte aligned).
bool exec_CMPXCHG8B(Cpu& c, const Insn& i) {
  u64 off = c.ea(i);
  bool equal;
  if (i.osz == 3) {
    if ((c.seg[i.seg].lin + off) & 15) return c.raise(kGP, 0);
    V128 v;
    if (!c.rmw_begin<V128>(i.seg, off, v)) return false;
    equal = v.q[0] == c.gpr[kRAX] && v.q[1] == c.gpr[kRDX];
    if (equal) {
      V128 n;
      n.q[0] = c.gpr[kRBX];
      n.q[1] = c.gpr[kRCX];
      c.rmw_commit<V128>(n);
    } else {
      c.rmw_commit<V128>(v);
      c.gpr[kRAX] = v.q[0];
      c.gpr[kRDX] = v.q[1];
    }
  } else {
    u64 v;
    if (!c.rmw_begin<u64>(i.seg, off, v)) return false;
    equal = v == (static_cast<u64>(c.get32(kRDX)) << 32 | c.get32(kRAX));
    if (equal) {
      c.rmw_commit<u64>(static_cast<u64>(c.get32(kRCX)) << 32 | c.get32(kRBX));
    } else {
      c.rmw_commit<u64>(v);
      c.set32(kRAX, static_cast<u32>(v));
      c.set32(kRDX, static_cast<u32>(v >> 32));
    }
  }
  c.set_arith_flags((c.arith_flags() & ~static_cast<u32>(kZF)) | (equal ? kZF : 0));
  return true;
}

namespace {
template <class T>
T swap_bytes(T v) {
  if constexpr (sizeof(T) == 2)
    return __builtin_bswap16(v);
  else if constexpr (sizeof(T) == 4)
    return __builtin_bswap32(v);
  else if constexpr (sizeof(T) == 8)
    return __builtin_bswap64(v);
  else
    return v;
}
}  // namespace

bool exec_MOVBE_GvMv(Cpu& c, const Insn& i) {
  return by_size(i.osz, [&](auto t) {
    if (!c.read(i.seg, c.ea(i), t)) return false;
    set_r(c, i.reg, swap_bytes(t));
    return true;
  });
}
bool exec_MOVBE_MvGv(Cpu& c, const Insn& i) {
  return by_size(i.osz,
                 [&](auto t) { return c.write(i.seg, c.ea(i), swap_bytes(static_cast<decltype(t)>(c.gpr[i.reg]))); });
}

bool exec_XLAT(Cpu& c, const Insn& i) {
  static constexpr u64 amask[4] = {0xffff, 0xffff, 0xffffffff, ~u64{0}};
  u8 v;
  if (!c.read<u8>(i.seg, (c.gpr[kRBX] + c.get8(0)) & amask[i.asz], v)) return false;
  c.set8(0, v);
  return true;
}
bool exec_SALC(Cpu& c, const Insn&) {
  c.set8(0, c.cf() ? 0xff : 0);
  return true;
}

// ---- loops -------------------------------------------------------------------------------------

namespace {
bool jump_rel(Cpu& c, const Insn& i) {
  static constexpr u64 mask[4] = {0xffff, 0xffff, 0xffffffff, ~u64{0}};
  u64 t = (c.rip + static_cast<u64>(static_cast<s64>(i.disp))) & mask[i.osz];
  if (!c.target_ok(t)) return c.raise(kGP, 0);
  c.rip = t;
  return true;
}
bool loop(Cpu& c, const Insn& i, bool condition) {
  u64 n = c.get_reg(kRCX, i.asz) - 1;
  u64 old = c.gpr[kRCX];
  c.set_reg(kRCX, n, i.asz);
  if (c.get_reg(kRCX, i.asz) == 0 || !condition) return true;
  if (jump_rel(c, i)) return true;
  c.gpr[kRCX] = old;
  return false;
}
}  // namespace

bool exec_LOOPNE_Jb(Cpu& c, const Insn& i) { return loop(c, i, !c.zf()); }
bool exec_LOOPE_Jb(Cpu& c, const Insn& i) { return loop(c, i, c.zf()); }
bool exec_LOOP_Jb(Cpu& c, const Insn& i) { return loop(c, i, true); }
bool exec_JCXZ_Jb(Cpu& c, const Insn& i) { return c.get_reg(kRCX, i.asz) != 0 || jump_rel(c, i); }

// ---- stack -------------------------------------------------------------------------------------

// POP to memory: the address is formed with the stack pointer already moved; nothing moves on a fault.
bool exec_POP_Ev(Cpu& c, const Insn& i) {
  u64 old = c.gpr[kRSP], v;
  if (!c.pop(v, i.osz)) return false;
  if (!(i.flags & kInsnMem)) {
    c.set_reg(i.rm, v, i.osz);
    return true;
  }
  bool ok = by_size(i.osz, [&](auto t) { return c.write(i.seg, c.ea(i), static_cast<decltype(t)>(v)); });
  if (!ok) c.gpr[kRSP] = old;
  return ok;
}

bool exec_PUSHA(Cpu& c, const Insn& i) {
  u64 old = c.gpr[kRSP];
  for (unsigned r = 0; r < 8; r++) {
    if (c.push(r == kRSP ? old : c.gpr[r], i.osz)) continue;
    c.gpr[kRSP] = old;
    return false;
  }
  return true;
}

bool exec_POPA(Cpu& c, const Insn& i) {
  u64 old = c.gpr[kRSP], v[8];
  for (int r = 7; r >= 0; r--) {
    if (c.pop(v[r], i.osz)) continue;
    c.gpr[kRSP] = old;
    return false;
  }
  for (unsigned r = 0; r < 8; r++)
    if (r != kRSP) c.set_reg(r, v[r], i.osz);
  return true;
}

bool exec_ENTER(Cpu& c, const Insn& i) {
  unsigned level = i.imm2 & 31;
  u64 old_sp = c.gpr[kRSP], bp = c.gpr[kRBP];
  u64 size = u64{1} << i.osz;
  auto fail = [&] {
    c.gpr[kRSP] = old_sp;
    return false;
  };
  if (!c.push(bp, i.osz)) return fail();
  u64 frame = c.gpr[kRSP];  // with a 32-bit operand all of ESP, also when SS makes the stack 16 bits wide
  for (unsigned n = 1; n < level; n++) {
    bp -= size;
    u64 v = 0;
    bool ok = by_size(i.osz, [&](auto t) {
      if (!c.read(kSS, bp & c.sp_mask, t)) return false;
      v = t;
      return true;
    });
    if (!ok || !c.push(v, i.osz)) return fail();
  }
  if (level && !c.push(frame, i.osz)) return fail();
  u64 sp = (c.gpr[kRSP] - static_cast<u16>(i.imm)) & c.sp_mask;
  // The new top of the stack must be writable (SDM Vol. 2, ENTER).
  if (!c.probe_write(kSS, sp, static_cast<u32>(size))) return fail();
  c.set_sp(sp);
  c.set_reg(kRBP, frame, i.osz);
  return true;
}

// ---- flags and decimal -------------------------------------------------------------------------

bool exec_LAHF(Cpu& c, const Insn&) {
  c.set8(1, static_cast<u8>((c.arith_flags() & 0xd5) | 2));
  return true;
}
bool exec_SAHF(Cpu& c, const Insn&) {
  c.set_arith_flags((c.arith_flags() & kOF) | (c.get8(1) & 0xd5));
  return true;
}

namespace {
bool adjust_decimal(Cpu& c, bool subtract) {
  u8 al = c.get8(0), old = al;
  bool cf = c.cf(), af = c.af(), new_cf = false;
  if ((al & 15) > 9 || af) {
    new_cf = cf || (subtract ? al < 6 : al > 0xf9);
    al = static_cast<u8>(subtract ? al - 6 : al + 6);
    af = true;
  } else {
    af = false;
  }
  if (old > 0x99 || cf) {
    al = static_cast<u8>(subtract ? al - 0x60 : al + 0x60);
    new_cf = true;
  }
  c.set8(0, al);
  c.set_logic_flags(sext(al));
  c.set_of_cf(false, new_cf);
  if (af) c.cc_aux |= 8;
  return true;
}
bool adjust_ascii(Cpu& c, bool subtract) {
  bool adjust = (c.get8(0) & 15) > 9 || c.af();
  if (adjust) c.set16(kRAX, static_cast<u16>(subtract ? c.get16(kRAX) - 0x106 : c.get16(kRAX) + 0x106));
  u8 al = c.get8(0) & 15;
  c.set8(0, al);
  c.set_logic_flags(sext(al));
  c.set_of_cf(false, adjust);
  if (adjust) c.cc_aux |= 8;
  return true;
}
}  // namespace

bool exec_DAA(Cpu& c, const Insn&) { return adjust_decimal(c, false); }
bool exec_DAS(Cpu& c, const Insn&) { return adjust_decimal(c, true); }
bool exec_AAA(Cpu& c, const Insn&) { return adjust_ascii(c, false); }
bool exec_AAS(Cpu& c, const Insn&) { return adjust_ascii(c, true); }
bool exec_AAM_Ib(Cpu& c, const Insn& i) {
  u8 base = static_cast<u8>(i.imm), al = c.get8(0);
  if (base == 0) return c.raise(kDE);
  c.set8(1, al / base);
  c.set8(0, al % base);
  c.set_logic_flags(sext(c.get8(0)));
  return true;
}
bool exec_AAD_Ib(Cpu& c, const Insn& i) {
  u8 al = static_cast<u8>(c.get8(0) + c.get8(1) * static_cast<u8>(i.imm));
  c.set16(kRAX, al);
  c.set_logic_flags(sext(al));
  return true;
}

// ---- BMI1, BMI2, ADX ---------------------------------------------------------------------------

namespace {
// By operands have no memory form; y is 32 or 64 bits.
template <class F>
bool by_y(Cpu& c, const Insn& i, F f) {
  if (!c.protected_mode()) return c.raise(kUD);
  auto run = [&](auto t) {
    using T = decltype(t);
    T v;
    if (!read_rm<T>(c, i, v)) return false;
    f(v);
    return true;
  };
  return i.osz == 3 ? run(u64{}) : run(u32{});
}
template <class T>
void flags_bmi(Cpu& c, T r, bool cf) {
  c.set_logic_flags(sext(r));
  c.set_of_cf(false, cf);
}
template <class T>
T deposit(T src, T mask) {
  T r = 0;
  for (T m = mask; m; m &= m - 1, src >>= 1)
    if (src & 1) r |= m & (~m + 1);
  return r;
}
template <class T>
T extract(T src, T mask) {
  T r = 0;
  unsigned n = 0;
  for (T m = mask; m; m &= m - 1, n++)
    if (src & (m & (~m + 1))) r |= T{1} << n;
  return r;
}
}  // namespace

#define BMI(ID, BODY)                            \
  bool exec_##ID(Cpu& c, const Insn& i) {        \
    return by_y(c, i, [&](auto v) {              \
      using T = decltype(v);                     \
      constexpr unsigned bits = 8 * sizeof(T);   \
      const T w = static_cast<T>(c.gpr[i.vvvv]); \
      (void)bits, (void)w;                       \
      BODY                                       \
    });                                          \
  }
BMI(ANDN, T r = static_cast<T>(~w) & v; set_r<T>(c, i.reg, r); flags_bmi(c, r, false);)
BMI(BLSR, T r = v & (v - 1); set_r<T>(c, i.vvvv, r); flags_bmi(c, r, v == 0);)
BMI(BLSMSK, T r = v ^ (v - 1); set_r<T>(c, i.vvvv, r); flags_bmi(c, r, v == 0);)
BMI(BLSI, T r = v & (~v + 1); set_r<T>(c, i.vvvv, r); flags_bmi(c, r, v != 0);)
BMI(BEXTR, unsigned start = w & 0xff; unsigned len = w >> 8 & 0xff; T r = start < bits ? v >> start : T{0};
    if (len < bits) r &= (T{1} << len) - 1; set_r<T>(c, i.reg, r); flags_bmi(c, r, false);)
BMI(BZHI, unsigned n = w & 0xff; T r = n < bits ? v & ((T{1} << n) - 1) : v; set_r<T>(c, i.reg, r);
    flags_bmi(c, r, n >= bits);)
BMI(PEXT, set_r<T>(c, i.reg, extract<T>(w, v));)
BMI(PDEP, set_r<T>(c, i.reg, deposit<T>(w, v));)
BMI(MULX, auto p = static_cast<typename Wide<T>::U>(static_cast<T>(c.gpr[kRDX])) * v;
    set_r<T>(c, i.vvvv, static_cast<T>(p)); set_r<T>(c, i.reg, static_cast<T>(p >> bits));)
BMI(SHLX, set_r<T>(c, i.reg, static_cast<T>(v << (w & (bits - 1))));)
BMI(SHRX, set_r<T>(c, i.reg, static_cast<T>(v >> (w & (bits - 1))));)
BMI(SARX, set_r<T>(c, i.reg, static_cast<T>(static_cast<std::make_signed_t<T>>(v) >> (w & (bits - 1))));)
#undef BMI
bool exec_RORX(Cpu& c, const Insn& i) {
  return by_y(c, i, [&](auto v) { set_r(c, i.reg, std::rotr(v, static_cast<int>(i.imm & (8 * sizeof(v) - 1)))); });
}

namespace {
// ADCX works on CF alone, ADOX on OF alone.
bool add_carry(Cpu& c, const Insn& i, bool use_of) {
  auto run = [&](auto t) {
    using T = decltype(t);
    T v;
    if (!read_rm<T>(c, i, v)) return false;
    bool in = use_of ? c.of() : c.cf();
    auto sum = static_cast<typename Wide<T>::U>(static_cast<T>(c.gpr[i.reg])) + v + in;
    bool out = static_cast<bool>(sum >> (8 * sizeof(T)));
    set_r<T>(c, i.reg, static_cast<T>(sum));
    if (use_of)
      c.set_of_cf(out, c.cf());
    else
      c.set_cf(out);
    return true;
  };
  return i.osz == 3 ? run(u64{}) : run(u32{});
}
}  // namespace
bool exec_ADCX(Cpu& c, const Insn& i) { return add_carry(c, i, false); }
bool exec_ADOX(Cpu& c, const Insn& i) { return add_carry(c, i, true); }

}  // namespace oriel
