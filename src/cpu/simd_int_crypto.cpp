// AES round instructions and carry-less multiplication. SDM Vol. 2; FIPS 197 for the transformations.
#include "cpu/simd_int.h"

namespace oriel {

namespace {

// ---- the field GF(2^8) with the polynomial x^8 + x^4 + x^3 + x + 1, and the tables over it ------

constexpr u8 gf_double(u8 a) { return static_cast<u8>(a << 1 ^ (a & 0x80 ? 0x1b : 0)); }
constexpr u8 gf_mul(u8 a, u8 b) {
  u8 r = 0;
  for (; b; b >>= 1, a = gf_double(a)) r ^= b & 1 ? a : u8{0};
  return r;
}

struct AesTables {
  std::array<u8, 256> sbox{}, inv_sbox{};
  // A column of MixColumns (InvMixColumns) for a byte in row 0; the other rows are rotations of it.
  std::array<u32, 256> mix{}, inv_mix{};
};

constexpr AesTables kAes = [] {
  AesTables t{};
  // The S-box: multiplicative inverse, then the affine transformation (FIPS 197, 5.1.1). 3 generates the field's
  // multiplicative group, so that 3^n and its inverse (3^-1 = 0xf6)^n run through all nonzero elements.
  u8 p = 1, q = 1;
  do {
    const u8 s = static_cast<u8>(q ^ std::rotl(q, 1) ^ std::rotl(q, 2) ^ std::rotl(q, 3) ^ std::rotl(q, 4) ^ 0x63);
    t.sbox[p] = s;
    p = gf_mul(p, 3);
    q = gf_mul(q, 0xf6);
  } while (p != 1);
  t.sbox[0] = 0x63;
  for (unsigned k = 0; k < 256; k++) {
    const u8 b = static_cast<u8>(k);
    t.inv_sbox[t.sbox[k]] = b;
    t.mix[k] = static_cast<u32>(gf_mul(b, 2)) | static_cast<u32>(b) << 8 | static_cast<u32>(b) << 16 |
               static_cast<u32>(gf_mul(b, 3)) << 24;
    t.inv_mix[k] = static_cast<u32>(gf_mul(b, 14)) | static_cast<u32>(gf_mul(b, 9)) << 8 |
                   static_cast<u32>(gf_mul(b, 13)) << 16 | static_cast<u32>(gf_mul(b, 11)) << 24;
  }
  return t;
}();
static_assert(kAes.sbox[0x53] == 0xed && kAes.inv_sbox[0xed] == 0x53);

// Row r of column c is byte 4 c + r.
template <bool kInverse>
V128 shift_rows_sub_bytes(const V128& v) {
  V128 r;
  for (unsigned k = 0; k < 16; k++) {
    const unsigned from = (kInverse ? k - 4 * (k & 3) : k + 4 * (k & 3)) & 15;
    r.b[k] = kInverse ? kAes.inv_sbox[v.b[from]] : kAes.sbox[v.b[from]];
  }
  return r;
}
V128 mix_columns(const V128& v, const std::array<u32, 256>& table) {
  V128 r;
  for (unsigned c = 0; c < 4; c++) {
    r.d[c] = table[v.b[4 * c]] ^ std::rotl(table[v.b[4 * c + 1]], 8) ^ std::rotl(table[v.b[4 * c + 2]], 16) ^
             std::rotl(table[v.b[4 * c + 3]], 24);
  }
  return r;
}
V128 exclusive_or(const V128& a, const V128& b) { return simd::make128(a.q[0] ^ b.q[0], a.q[1] ^ b.q[1]); }

// One round; the source is the round key.
template <bool kInverse, bool kLast>
struct Round {
  static V128 op(const V128& state, const V128& key) {
    V128 v = shift_rows_sub_bytes<kInverse>(state);
    if (!kLast) v = mix_columns(v, kInverse ? kAes.inv_mix : kAes.mix);
    return exclusive_or(v, key);
  }
};
struct InvMixColumns {
  static V128 op(const V128&, const V128& s) { return mix_columns(s, kAes.inv_mix); }
};
u32 sub_word(u32 w) {
  return static_cast<u32>(kAes.sbox[w & 0xff]) | static_cast<u32>(kAes.sbox[w >> 8 & 0xff]) << 8 |
         static_cast<u32>(kAes.sbox[w >> 16 & 0xff]) << 16 | static_cast<u32>(kAes.sbox[w >> 24]) << 24;
}
struct KeyGenAssist {
  static V128 op(const V128&, const V128& s, unsigned rcon) {
    const u32 w1 = sub_word(s.d[1]), w3 = sub_word(s.d[3]);
    V128 r;
    r.d[0] = w1;
    r.d[1] = std::rotr(w1, 8) ^ rcon;
    r.d[2] = w3;
    r.d[3] = std::rotr(w3, 8) ^ rcon;
    return r;
  }
};

// ---- carry-less multiplication -----------------------------------------------------------------

struct CarrylessMultiply {
  // The immediate's bits 0 and 4 choose a half of each operand. Four bits of b at a time.
  static V128 op(const V128& d, const V128& s, unsigned imm) {
    const u64 a = d.q[imm & 1], b = s.q[imm >> 4 & 1];
    u64 lo[16], hi[16];  // a times 0 to 15
    lo[0] = hi[0] = hi[1] = 0;
    lo[1] = a;
    for (unsigned k = 2; k < 16; k += 2) {
      lo[k] = lo[k / 2] << 1;
      hi[k] = hi[k / 2] << 1 | lo[k / 2] >> 63;
      lo[k + 1] = lo[k] ^ a;
      hi[k + 1] = hi[k];
    }
    u64 l = 0, h = 0;
    for (unsigned k = 64; k != 0; k -= 4) {
      const unsigned nibble = b >> (k - 4) & 15;
      h = (h << 4 | l >> 60) ^ hi[nibble];
      l = l << 4 ^ lo[nibble];
    }
    return simd::make128(l, h);
  }
};

}  // namespace

ORIEL_SSE(AESENC, Round<false, false>)
ORIEL_SSE(AESENCLAST, Round<false, true>)
ORIEL_SSE(AESDEC, Round<true, false>)
ORIEL_SSE(AESDECLAST, Round<true, true>)
ORIEL_SSE(AESIMC, InvMixColumns)
ORIEL_SSE_IMM(AESKEYGENASSIST, KeyGenAssist)
ORIEL_SSE_IMM(PCLMULQDQ, CarrylessMultiply)

}  // namespace oriel
