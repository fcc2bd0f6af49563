// The common case of the 80-bit arithmetic: normal operands (or zeros, where that is easy), rounding to nearest, a
// normal result. The functions return false where it is another one, and have done nothing then.
//
// `drop`: how many low bits of the significand the precision control leaves out (0, 11, 40). `status`: what the result
// sets in the status word, PE and C1.
#pragma once

#include <bit>
#include <cmath>

#include "cpu/softfloat.h"

namespace oriel::softfloat {

constexpr u64 kF80One = u64{1} << 63;  // the integer bit
constexpr u32 kStatusPE = 1 << 5, kStatusC1 = 1 << 9;

// The full product of two words. WebAssembly multiplies 64 bits to 64.
ORIEL_INLINE u64 multiply_wide(u64 a, u64 b, u64& low) {
#ifdef __wasm__
  const u64 a0 = static_cast<u32>(a), a1 = a >> 32, b0 = static_cast<u32>(b), b1 = b >> 32;
  const u64 p00 = a0 * b0, p01 = a0 * b1, p10 = a1 * b0, p11 = a1 * b1;
  const u64 middle = (p00 >> 32) + static_cast<u32>(p01) + p10;
  low = a * b;
  return p11 + (p01 >> 32) + (middle >> 32);
#else
  __extension__ typedef unsigned __int128 u128;
  const u128 p = static_cast<u128>(a) * b;
  low = static_cast<u64>(p);
  return static_cast<u64>(p >> 64);
#endif
}

// floor(high:low / d), where high < d and bit 63 of d is set. Knuth, "The Art of Computer Programming", Vol. 2, 4.3.1,
// algorithm D, with digits of 32 bits.
ORIEL_INLINE u64 divide_wide(u64 high, u64 low, u64 d, u64& remainder) {
  const u64 d1 = d >> 32, d0 = static_cast<u32>(d);
  u64 quotient = 0;
  for (unsigned shift : {32u, 0u}) {
    const u64 next = static_cast<u32>(low >> shift);
    u64 q = high / d1, rest = high - q * d1;
    while (q >> 32 || q * d0 > (rest << 32 | next)) {  // at most twice
      q--;
      rest += d1;
      if (rest >> 32) break;
    }
    high = (high << 32 | next) - q * d;
    quotient = quotient << 32 | q;
  }
  remainder = high;
  return quotient;
}

ORIEL_INLINE bool normal(F80 v) { return (v.m >> 63) && (v.se & 0x7fffu) - 1 < 0x7ffe; }
ORIEL_INLINE bool is_zero(F80 v) { return !v.m && !(v.se & 0x7fff); }

// Rounds high:low, bit 63 of high set, low's bit 0 sticky.
ORIEL_INLINE bool round_nearest(u32 sign, s32 exp, u64 high, u64 low, unsigned drop, F80& r, u32& status) {
  if (drop) {
    low = high << (64 - drop) | low >> drop | (low << (64 - drop) != 0);
    high = high >> drop << drop;
  }
  const u64 up = low >> 63 & ((low << 1 != 0) | (high >> drop & 1));
  high += up << drop;
  if (!high) {
    high = kF80One;
    exp++;
  }
  if (static_cast<u32>(exp) - 1 >= 0x7ffe) return false;
  r = {high, static_cast<u16>(sign | static_cast<u32>(exp))};
  status = low ? kStatusPE | static_cast<u32>(up) << 9 : 0;
  return true;
}

// a + b, or with flip = 8000H a - b.
ORIEL_INLINE bool fast_add(F80 a, F80 b, u32 flip, unsigned drop, F80& r, u32& status) {
  const u32 sign_a = a.se & 0x8000u, sign_b = (b.se & 0x8000u) ^ flip;
  s32 exp = a.se & 0x7fff;
  u32 sign = sign_a;
  u64 high = b.m, low = 0;
  if (ORIEL_UNLIKELY(!normal(a) || !normal(b))) {
    if (is_zero(b) && normal(a)) {
      high = a.m;
    } else if (is_zero(a) && normal(b)) {
      exp = b.se & 0x7fff;
      sign = sign_b;
    } else {
      return false;
    }
    return round_nearest(sign, exp, high, 0, drop, r, status);
  }
  const s32 difference = exp - (b.se & 0x7fff);
  u32 distance = static_cast<u32>(difference);
  u64 first = a.m;
  if (difference < 0) {
    distance = 0 - distance;
    first = b.m;
    high = a.m;
    exp = b.se & 0x7fff;
    sign = sign_b;
  }
  if (distance) {
    if (distance < 64) {
      low = high << (64 - distance);
      high >>= distance;
    } else {
      // At most one bit cancels then, so that a sticky bit says enough.
      low = distance == 64 ? high : distance < 128 ? high >> (distance - 64) | 1 : 1;
      high = 0;
    }
  }
  if (sign_a == sign_b) {
    high += first;
    if (high < first) {
      low = low >> 1 | (low & 1) | high << 63;
      high = high >> 1 | kF80One;
      exp++;
    }
  } else {
    if (!distance && first <= high) {
      if (first == high) {
        r = {0, 0};
        status = 0;
        return true;
      }
      high -= first;
      sign ^= 0x8000;
    } else {
      high = first - high - (low != 0);
      low = 0 - low;
    }
    if (!high) {
      high = low;
      low = 0;
      exp -= 64;
    }
    if (const int n = std::countl_zero(high)) {
      high = high << n | low >> (64 - n);
      low <<= n;
      exp -= n;
    }
  }
  return round_nearest(sign, exp, high, low, drop, r, status);
}

ORIEL_INLINE bool fast_mul(F80 a, F80 b, unsigned drop, F80& r, u32& status) {
  const u32 sign = (a.se ^ b.se) & 0x8000u;
  if (!normal(a) || !normal(b)) {
    if (!(is_zero(b) && (normal(a) || is_zero(a))) && !(is_zero(a) && normal(b))) return false;
    r = {0, static_cast<u16>(sign)};
    status = 0;
    return true;
  }
  s32 exp = (a.se & 0x7fff) + (b.se & 0x7fff) - 16382;
  u64 low, high = multiply_wide(a.m, b.m, low);
  if (!(high >> 63)) {
    high = high << 1 | low >> 63;
    low <<= 1;
    exp--;
  }
  return round_nearest(sign, exp, high, low, drop, r, status);
}

// What is below the 64 bits of a quotient or a root, from the remainder: half or more, and whether there is any.
ORIEL_INLINE u64 rest_bits(u64 remainder, bool half, bool exactly_half) {
  if (half) return kF80One | !exactly_half;
  return remainder != 0;
}

ORIEL_INLINE bool fast_div(F80 a, F80 b, unsigned drop, F80& r, u32& status) {
  if (!normal(a) || !normal(b)) return false;
  const bool less = a.m < b.m;
  u64 rest, q = less ? divide_wide(a.m, 0, b.m, rest) : divide_wide(a.m >> 1, a.m << 63, b.m, rest);
  const u64 low = rest_bits(rest, rest >= b.m - rest, rest == b.m - rest);
  return round_nearest((a.se ^ b.se) & 0x8000u, (a.se & 0x7fff) - (b.se & 0x7fff) + 16383 - less, q, low, drop, r,
                       status);
}

// The root by the host's, which has 53 of the bits, one step of Newton's, and a look at the remainder.
ORIEL_INLINE bool fast_sqrt(F80 a, unsigned drop, F80& r, u32& status) {
  if (!normal(a) || (a.se & 0x8000)) return false;
  __extension__ typedef unsigned __int128 u128;
  const s32 exp = a.se - 16383;
  const bool odd = exp & 1;
  const u64 top = odd ? a.m : a.m >> 1;
  const u128 n = static_cast<u128>(top) << 64 | (odd ? 0 : a.m << 63);
  const double estimate = std::sqrt(static_cast<double>(top)) * 0x1p32;
  u64 s = estimate >= 0x1p64 ? ~u64{0} : static_cast<u64>(estimate);
  auto remainder = [&] {
    u64 low;
    const u64 high = multiply_wide(s, s, low);
    return n - (static_cast<u128>(high) << 64 | low);  // modulo 2^128: negative where s is too large
  };
  auto high_half = [](u128 v) { return static_cast<s64>(static_cast<u64>(v >> 64)); };
  u128 rest = remainder();
  const double step = (static_cast<double>(high_half(rest)) * 0x1p64 + static_cast<double>(static_cast<u64>(rest))) /
                      static_cast<double>(s) * 0.5;
  const u64 next = s + static_cast<u64>(static_cast<s64>(step));
  s = next >> 63 ? next : ~u64{0};  // it may have gone over the end
  rest = remainder();
  while (high_half(rest) < 0) {
    rest += static_cast<u128>(s) * 2 - 1;
    s--;
  }
  while (rest > static_cast<u128>(s) * 2) {
    s++;
    rest -= static_cast<u128>(s) * 2 - 1;
  }
  // A root cannot lie half way: its square would have another bit.
  const u64 low = (rest > s ? kF80One : 0) | (rest != 0);
  return round_nearest(0, (exp - odd) / 2 + 16383, s, low, drop, r, status);
}

// a <=> b of normal numbers and zeros.
ORIEL_INLINE bool fast_compare(F80 a, F80 b, FloatCmp& r) {
  if (!(normal(a) || is_zero(a)) || !(normal(b) || is_zero(b))) return false;
  if (is_zero(a) && is_zero(b)) {
    r = kCmpEqual;
    return true;
  }
  const bool sa = a.se >> 15, sb = b.se >> 15;
  if (sa != sb) {
    r = sa ? kCmpLess : kCmpGreater;
    return true;
  }
  if (a.se == b.se && a.m == b.m) {
    r = kCmpEqual;
    return true;
  }
  const bool less = a.se != b.se ? a.se < b.se : a.m < b.m;
  r = less != sa ? kCmpLess : kCmpGreater;
  return true;
}

// A normal number as one of a narrower format with kP significand bits and kExpBits of exponent.
template <int kP, int kExpBits, class Bits>
ORIEL_INLINE bool fast_narrow(F80 a, Bits& bits, u32& status) {
  if (!normal(a)) {
    bits = static_cast<Bits>(Bits{static_cast<Bits>(a.se >> 15)} << (kP - 1 + kExpBits));
    status = 0;
    return is_zero(a);
  }
  constexpr int kDrop = 64 - kP;
  constexpr s32 kMost = (1 << kExpBits) - 2, kBias = (1 << (kExpBits - 1)) - 1;
  const u64 kept = a.m >> kDrop, rest = a.m << kP;
  const u64 up = rest >> 63 & ((rest << 1 != 0) | (kept & 1));
  const s32 exp = (a.se & 0x7fff) - 16383 + kBias;
  if (static_cast<u32>(exp) - 1 >= static_cast<u32>(kMost)) return false;
  // The integer bit is added to the exponent, and so is a carry out of the significand.
  const u64 v = (static_cast<u64>(exp - 1) << (kP - 1)) + kept + up;
  if (v >> (kP - 1) > static_cast<u64>(kMost)) return false;
  bits = static_cast<Bits>(v | u64{static_cast<u32>(a.se >> 15)} << (kP - 1 + kExpBits));
  status = rest ? kStatusPE | static_cast<u32>(up) << 9 : 0;
  return true;
}

// A normal number or zero as an integer of `size` bits, to nearest or towards zero.
ORIEL_INLINE bool fast_to_int(F80 a, unsigned size, bool nearest, s64& r, u32& status) {
  status = 0;
  r = 0;
  if (!normal(a)) return is_zero(a);
  const s32 exp = (a.se & 0x7fff) - 16383;
  if (exp >= static_cast<s32>(size) - 1) return false;
  u64 whole = 0, rest = a.m >> 1 | 1;  // below a half
  if (exp == -1) rest = a.m;
  if (exp >= 0) {
    whole = a.m >> (63 - exp);
    rest = a.m << exp << 1;
  }
  const u64 up = nearest ? rest >> 63 & ((rest << 1 != 0) | (whole & 1)) : 0;
  whole += up;
  if (whole >> (size - 1)) return false;
  r = static_cast<s64>(a.se >> 15 ? 0 - whole : whole);
  status = rest ? kStatusPE | static_cast<u32>(up) << 9 : 0;
  return true;
}

// A normal double or zero.
ORIEL_INLINE bool fast_widen(u64 bits, F80& r) {
  const u32 exp = bits >> 52 & 0x7ff;
  const u16 sign = static_cast<u16>(bits >> 48 & 0x8000);
  if (exp - 1 >= 0x7fe) {
    r = {0, sign};
    return !(bits << 1);
  }
  r = {bits << 11 | kF80One, static_cast<u16>(sign | (exp + 15360))};
  return true;
}
ORIEL_INLINE bool fast_widen(u32 bits, F80& r) {
  const u32 exp = bits >> 23 & 0xff;
  const u16 sign = static_cast<u16>(bits >> 16 & 0x8000);
  if (exp - 1 >= 0xfe) {
    r = {0, sign};
    return !(bits << 1);
  }
  r = {u64{bits} << 40 | kF80One, static_cast<u16>(sign | (exp + 16256))};
  return true;
}

}  // namespace oriel::softfloat
