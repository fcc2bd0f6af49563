// Integer arithmetic with lazy flags (the two words described in cpu.h), shared by the main switch
// and the out-of-line executors.
#pragma once

#include <limits>

#include "cpu/cpu.h"

namespace oriel {

template <class T>
ORIEL_INLINE u64 sext(T v) {
  return static_cast<u64>(static_cast<s64>(static_cast<std::make_signed_t<T>>(v)));
}

// Places carry-out bits: bit n-1 (CF) at 63, bit n-2 at 62, bit 3 (AF) at 3.
template <class T>
ORIEL_INLINE u64 carry_word(T cout) {
  if constexpr (sizeof(T) == 8)
    return cout & 0xc000000000000008u;
  else
    return static_cast<u64>(cout) << (64 - 8 * sizeof(T)) | (cout & 8u);
}

template <class T>
ORIEL_INLINE void flags_add(Cpu& c, T a, T b, T r) {
  c.cc_res = sext(r);
  c.cc_aux = carry_word<T>(static_cast<T>((a & b) | ((a | b) & static_cast<T>(~r))));
}
template <class T>
ORIEL_INLINE void flags_sub(Cpu& c, T a, T b, T r) {
  c.cc_res = sext(r);
  c.cc_aux = carry_word<T>(static_cast<T>((static_cast<T>(~a) & b) | (static_cast<T>(~(a ^ b)) & r)));
}

struct AluAdd {
  template <class T>
  static ORIEL_INLINE T op(Cpu& c, T a, T b) {
    T r = static_cast<T>(a + b);
    flags_add(c, a, b, r);
    return r;
  }
};
struct AluAdc {
  template <class T>
  static ORIEL_INLINE T op(Cpu& c, T a, T b) {
    T r = static_cast<T>(a + b + static_cast<T>(c.cf()));
    flags_add(c, a, b, r);
    return r;
  }
};
struct AluSub {
  template <class T>
  static ORIEL_INLINE T op(Cpu& c, T a, T b) {
    T r = static_cast<T>(a - b);
    flags_sub(c, a, b, r);
    return r;
  }
};
struct AluSbb {
  template <class T>
  static ORIEL_INLINE T op(Cpu& c, T a, T b) {
    T r = static_cast<T>(a - b - static_cast<T>(c.cf()));
    flags_sub(c, a, b, r);
    return r;
  }
};
struct AluAnd {
  template <class T>
  static ORIEL_INLINE T op(Cpu& c, T a, T b) {
    T r = a & b;
    c.set_logic_flags(sext(r));
    return r;
  }
};
struct AluOr {
  template <class T>
  static ORIEL_INLINE T op(Cpu& c, T a, T b) {
    T r = a | b;
    c.set_logic_flags(sext(r));
    return r;
  }
};
struct AluXor {
  template <class T>
  static ORIEL_INLINE T op(Cpu& c, T a, T b) {
    T r = a ^ b;
    c.set_logic_flags(sext(r));
    return r;
  }
};
// INC and DEC leave CF alone.
struct AluInc {
  template <class T>
  static ORIEL_INLINE T op(Cpu& c, T a) {
    bool cf = c.cf();
    T r = AluAdd::op<T>(c, a, 1);
    c.set_cf(cf);
    return r;
  }
};
struct AluDec {
  template <class T>
  static ORIEL_INLINE T op(Cpu& c, T a) {
    bool cf = c.cf();
    T r = AluSub::op<T>(c, a, 1);
    c.set_cf(cf);
    return r;
  }
};
struct AluNeg {
  template <class T>
  static ORIEL_INLINE T op(Cpu& c, T a) {
    return AluSub::op<T>(c, 0, a);
  }
};
struct AluNot {
  template <class T>
  static ORIEL_INLINE T op(Cpu&, T a) {
    return static_cast<T>(~a);
  }
};

ORIEL_INLINE void flags_shift(Cpu& c, u64 res, bool cf, bool of) {
  c.cc_res = res;
  c.cc_aux = static_cast<u64>(cf) << 63 | static_cast<u64>(cf ^ of) << 62;
}
// Shifts; a masked count of 0 changes no flag. OF for counts above 1 is undefined: as for a count of 1.
struct AluShl {
  template <class T>
  static ORIEL_INLINE T op(Cpu& c, T a, u8 count) {
    constexpr unsigned bits = 8 * sizeof(T);
    unsigned n = count & (bits == 64 ? 63 : 31);
    if (n == 0) return a;
    bool cf = n <= bits && (a >> (bits - n) & 1);
    T r = n < bits ? static_cast<T>(a << n) : T{0};
    flags_shift(c, sext(r), cf, cf ^ (r >> (bits - 1) & 1));
    return r;
  }
};
struct AluShr {
  template <class T>
  static ORIEL_INLINE T op(Cpu& c, T a, u8 count) {
    constexpr unsigned bits = 8 * sizeof(T);
    unsigned n = count & (bits == 64 ? 63 : 31);
    if (n == 0) return a;
    bool cf = n <= bits && (a >> (n - 1) & 1);
    T r = n < bits ? static_cast<T>(a >> n) : T{0};
    flags_shift(c, sext(r), cf, a >> (bits - 1) & 1);
    return r;
  }
};
struct AluSar {
  template <class T>
  static ORIEL_INLINE T op(Cpu& c, T a, u8 count) {
    constexpr unsigned bits = 8 * sizeof(T);
    unsigned n = count & (bits == 64 ? 63 : 31);
    if (n == 0) return a;
    auto v = static_cast<std::make_signed_t<T>>(a);
    if (n > bits) n = bits;
    bool cf = n == bits ? v < 0 : (v >> (n - 1) & 1);
    T r = static_cast<T>(v >> (n == bits ? bits - 1 : n));
    flags_shift(c, sext(r), cf, false);
    return r;
  }
};
// The high 64 bits of a signed product.
ORIEL_INLINE s64 mul_high(s64 a, s64 b) {
#ifdef __wasm__
  const u64 al = static_cast<u32>(a), bl = static_cast<u32>(b);
  const s64 ah = a >> 32, bh = b >> 32;
  const s64 mid = ah * static_cast<s64>(bl) + static_cast<s64>(al * bl >> 32);
  const s64 low = static_cast<s64>(al) * bh + static_cast<s64>(static_cast<u32>(mid));
  return ah * bh + (mid >> 32) + (low >> 32);
#else
  return static_cast<s64>(static_cast<__int128>(a) * b >> 64);
#endif
}
// Signed multiplication of two- and three-operand IMUL: CF = OF = the product did not fit.
struct AluImul {
  template <class T>
  static ORIEL_INLINE T op(Cpu& c, T a, T b) {
    using S = std::make_signed_t<T>;
    S r;
    bool over;
    if constexpr (sizeof(T) == 8) {
      // Without 128-bit arithmetic, which is a call in wasm. The signed high half from 32-bit parts.
      r = static_cast<S>(a * b);
      over = static_cast<u64>(mul_high(static_cast<s64>(a), static_cast<s64>(b))) != static_cast<u64>(r >> 63);
    } else {
      over = __builtin_mul_overflow(static_cast<S>(a), static_cast<S>(b), &r);
    }
    c.cc_res = sext(static_cast<T>(r));
    c.cc_aux = static_cast<u64>(over) << 63;
    return static_cast<T>(r);
  }
};

// Register access by type: u8 takes a byte offset into the file, the others a register number.
template <class T>
ORIEL_INLINE T get_r(const Cpu& c, u8 r) {
  if constexpr (sizeof(T) == 1)
    return c.get8(r);
  else
    return static_cast<T>(c.gpr[r]);
}
template <class T>
ORIEL_INLINE void set_r(Cpu& c, u8 r, T v) {
  if constexpr (sizeof(T) == 1)
    c.set8(r, v);
  else if constexpr (sizeof(T) == 2)
    c.set16(r, v);
  else
    c.gpr[r] = v;
}

// The r/m operand of an out-of-line executor.
template <class T>
inline bool read_rm(Cpu& c, const Insn& i, T& v) {
  if (!(i.flags & kInsnMem)) {
    v = get_r<T>(c, i.rm);
    return true;
  }
  return c.read<T>(i.seg, c.ea(i), v);
}
// Reads the r/m operand for a later write_back.
template <class T>
inline bool begin_rm(Cpu& c, const Insn& i, T& v) {
  if (!(i.flags & kInsnMem)) {
    v = get_r<T>(c, i.rm);
    return true;
  }
  return c.rmw_begin<T>(i.seg, c.ea(i), v);
}
template <class T>
inline void write_back(Cpu& c, const Insn& i, T v) {
  if (!(i.flags & kInsnMem))
    set_r<T>(c, i.rm, v);
  else
    c.rmw_commit<T>(v);
}

// Calls f(T{}) with the unsigned type of the operand size.
template <class F>
inline bool by_size(unsigned osz, F f) {
  switch (osz) {
    case 0: return f(u8{});
    case 1: return f(u16{});
    case 2: return f(u32{});
    default: return f(u64{});
  }
}

}  // namespace oriel
