#include "bench/suite.h"

#include <cstring>

#include "bench/payloads_bin.h"

namespace oriel::bench {

namespace {

// ---- what the payloads compute (payloads/*.asm) ------------------------------------------------------
// W is the word of the mode: u32 or u64. Every definition counts c from `count` down to 1.

template <class W>
struct Scratch {
  static constexpr usize kBytes = 1 << 20;
  std::vector<u8> bytes = std::vector<u8>(kBytes);
  template <class T = W>
  T get(usize at) const {
    return load<T>(&bytes[at]);
  }
  template <class T = W>
  void put(usize at, T v) {
    store<T>(&bytes[at], v);
  }
};

template <class W>
u64 alu(u64 count) {
  W a = 1, b = 0x9e3779b9, d = 0x85ebca6b, s = 0x27d4eb2f;
  for (W c = static_cast<W>(count); c; c--) {
    a += b;
    b ^= d;
    d = std::rotl(d, 5);
    s -= a;
    b += s * 4 + 17;
    a ^= c;
    b += a >> 7;
    d *= 0x1000193;
    s += b & d;
    a = W{0} - a;
    s = ~s;
    a = std::rotr(a, 11);
    d += s << 3;
  }
  return a ^ b ^ d ^ s;
}

template <class W>
u64 branch_pred(u64 count) {
  W a = 0, b = 0;
  for (W c = static_cast<W>(count); c; c--) {
    a += c & 1 ? 3 : 5;
    if ((c & 6) == 0) b ^= a;
    if ((c & 63) == 0) a = std::rotl(a, 1);
    b += c;
  }
  return a ^ b;
}

template <class W>
u64 branch_unpred(u64 count) {
  W x = 12345, a = 0, b = 0;
  for (W c = static_cast<W>(count); c; c--) {
    x = x * 1664525 + 1013904223;
    const unsigned top = static_cast<unsigned>(x >> (sizeof(W) * 8 - 8));
    a = top & 1 ? a + x : a ^ x;
    if (top & 2) b -= a;
    if (top & 4) a = std::rotl(a, 3);
    if (top < 0x60) b ^= top;
  }
  return a ^ b;
}

template <class W>
u64 mem_seq(u64 count) {
  Scratch<W> m;
  W sum = 0;
  usize at = 0;
  for (W c = static_cast<W>(count); c; c--) {
    for (unsigned n = 0; n < 4; n++, at += sizeof(W)) {
      const W v = m.get(at) + c;
      m.put(at, v);
      sum += v;
    }
    at %= m.kBytes;
  }
  return sum;
}

template <class W>
u64 mem_stride(u64 count) {
  Scratch<W> m;
  W a = 0;
  usize at = 0;
  for (W c = static_cast<W>(count); c; c--) {
    a = (a ^ m.get(at)) + c;
    m.put(at, a);
    a = std::rotl(a, 1) + m.get(at ^ 0x80000);
    at = (at + 65 * 64) % m.kBytes;
  }
  return a;
}

template <class W>
u64 call_ret(u64 count) {
  W a = 0;
  for (W c = static_cast<W>(count); c; c--) {
    const W depth = c & 7;
    a += depth * (depth + 1) / 2;
    a += std::rotl(a, 7) ^ c;
  }
  return a;
}

template <class W>
u64 sse(u64 count) {
  using Ints = u32[4];
  Ints x0 = {}, x1 = {0x01030507, 0x01030507, 0x01030507, 0x01030507};
  float f[4] = {};
  for (W c = static_cast<W>(count); c; c--) {
    Ints r, turned;
    for (unsigned n = 0; n < 4; n++) {
      x1[n] += static_cast<u32>(c);
      r[n] = std::rotl(x1[n], 5);
      x0[n] ^= r[n];
      x1[n] += r[n];
    }
    for (unsigned n = 0; n < 4; n++) turned[n] = x0[(n + 1) % 4];
    for (unsigned n = 0; n < 4; n += 2) {
      const u64 product = u64{r[n]} * turned[n];
      r[n] = static_cast<u32>(product);
      r[n + 1] = static_cast<u32>(product >> 32);
    }
    for (unsigned n = 0; n < 4; n++) {
      x1[n] += r[n];
      if (static_cast<s32>(turned[n]) > static_cast<s32>(x1[n])) x1[n] ^= r[n];
      f[n] = f[n] * 0.5f + static_cast<float>(turned[n] >> 16);
      x0[n] = turned[n] ^ std::bit_cast<u32>(f[n]);
    }
  }
  u32 folded[4];
  for (unsigned n = 0; n < 4; n++) folded[n] = x0[n] ^ x1[n] ^ std::bit_cast<u32>(f[n]);
  const u32 low = folded[0] ^ folded[2], high = folded[1] ^ folded[3];
  return sizeof(W) == 8 ? low | u64{high} << 32 : low ^ high;
}

template <class W>
u64 fp(u64 count) {
  const double c1 = std::bit_cast<double>(u64{0x3fdffedcba987654}), c2 = std::bit_cast<double>(u64{0x3fcfedcba9876543});
  double x = 1, y = 1, z = 0;
  u32 a = 0;
  for (W c = static_cast<W>(count); c; c--) {
    x = x * c1 + y * c2;
    x += static_cast<double>(c & 15);
    y = __builtin_sqrt(x * x + 1.0);
    const double q = x / y;
    z += q;
    a = std::rotl(a + static_cast<u32>(static_cast<s32>(q * 1024.0)), 1);
    if (x > 25.0) z -= 1.0;
  }
  const u64 bits = std::bit_cast<u64>(x) ^ std::bit_cast<u64>(z);
  return sizeof(W) == 8 ? a ^ bits : a ^ static_cast<u32>(bits) ^ static_cast<u32>(bits >> 32);
}

template <class W>
u64 string(u64 count) {
  u8 source[64], copy[64], filled[32];
  for (unsigned n = 0; n < 64; n++) source[n] = static_cast<u8>(n * 7 + 1);
  W b = 0;
  for (W c = static_cast<W>(count); c; c--) {
    std::memcpy(copy, source, 64);
    const unsigned at = c & 31;
    const u8 old = copy[at];
    source[at] = static_cast<u8>(c);
    // What CX is after REPE CMPSB and after REPNE SCASB: the bytes behind the one that ended it.
    unsigned left = 32;
    while (left && source[32 - left] == copy[32 - left]) left--;
    b += left ? left - 1 : 0;
    left = 32;
    while (copy[32 - left] != old) left--;
    b += left - 1;
    for (unsigned k = 0; k < 32; k += 4) store<u32>(filled + k, static_cast<u32>(b));
    u8 out[16];
    for (unsigned k = 0; k < 16; k++) {
      out[k] = static_cast<u8>(source[k] + b);
      b = std::rotl(static_cast<W>(b + out[k]), 3);
    }
    std::memcpy(source, out, 12);
    b ^= load<W>(filled + 24);
    b += c;
  }
  return b;
}

}  // namespace

const std::vector<SuiteEntry>& suite() {
#define BOTH(name) \
  {#name, 32, name<u32>}, { #name, 64, name<u64> }
  static const std::vector<SuiteEntry> entries = {
      BOTH(alu), BOTH(branch_pred), BOTH(branch_unpred), BOTH(mem_seq), BOTH(mem_stride), BOTH(call_ret),
      BOTH(sse), BOTH(fp),          BOTH(string),
  };
#undef BOTH
  return entries;
}

// The table at the head of payloads.asm has two words for each, in the order of suite(): offset and size.
std::vector<u8> SuiteEntry::code() const {
  const u8* entry = kPayloads + 8 * (this - suite().data());
  const u8* begin = kPayloads + load<u32>(entry);
  return {begin, begin + load<u32>(entry + 4)};
}

}  // namespace oriel::bench
