// Hashing: SHA-256 (FIPS 180-4), CRC-32 by a table, and a hash table with open addressing.
#include "bench.h"

static const uint32_t kConstants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t right(uint32_t v, unsigned n) { return v >> n | v << (32 - n); }

static void sha256_block(uint32_t state[8], const uint8_t* block) {
  uint32_t w[64];
  for (unsigned n = 0; n < 16; n++)
    w[n] = (uint32_t)block[4 * n] << 24 | (uint32_t)block[4 * n + 1] << 16 | (uint32_t)block[4 * n + 2] << 8 |
           block[4 * n + 3];
  for (unsigned n = 16; n < 64; n++) {
    const uint32_t s0 = right(w[n - 15], 7) ^ right(w[n - 15], 18) ^ w[n - 15] >> 3;
    const uint32_t s1 = right(w[n - 2], 17) ^ right(w[n - 2], 19) ^ w[n - 2] >> 10;
    w[n] = w[n - 16] + s0 + w[n - 7] + s1;
  }
  uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6], h = state[7];
  for (unsigned n = 0; n < 64; n++) {
    const uint32_t t1 = h + (right(e, 6) ^ right(e, 11) ^ right(e, 25)) + ((e & f) ^ (~e & g)) + kConstants[n] + w[n];
    const uint32_t t2 = (right(a, 2) ^ right(a, 13) ^ right(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
    h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
  }
  state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

static uint32_t crc_table[256];
static void make_crc_table(void) {
  for (uint32_t n = 0; n < 256; n++) {
    uint32_t c = n;
    for (unsigned bit = 0; bit < 8; bit++) c = c & 1 ? c >> 1 ^ 0xedb88320u : c >> 1;
    crc_table[n] = c;
  }
}
static uint32_t crc32(const uint8_t* p, size_t n) {
  uint32_t c = ~0u;
  while (n--) c = crc_table[(c ^ *p++) & 0xff] ^ c >> 8;
  return ~c;
}

struct Slot {
  uint32_t key, value;
};
enum { kSlots = 1 << 16 };
static uint32_t count_words(struct Slot* table, const uint8_t* p, size_t n) {
  memset(table, 0, kSlots * sizeof *table);
  uint32_t most = 0;
  for (size_t at = 0; at + 4 <= n; at += 3) {
    uint32_t key = (p[at] | (uint32_t)p[at + 1] << 8 | (uint32_t)(p[at + 2] & 0x1f) << 16) % 40000 + 1;
    uint32_t slot = key * 2654435761u >> 16;
    while (table[slot].key && table[slot].key != key) slot = (slot + 1) % kSlots;
    table[slot].key = key;
    if (++table[slot].value > most) most = table[slot].value;
  }
  return most;
}

static uint64_t run(unsigned repeat) {
  enum { kBytes = 1 << 20 };
  uint64_t sum = 0;
  uint8_t* data = allocate(kBytes);
  struct Slot* table = allocate(kSlots * sizeof *table);
  for (unsigned n = 0; n < kBytes; n++) data[n] = (uint8_t)random32();
  make_crc_table();
  for (unsigned n = 0; n < repeat * 10; n++) {
    uint32_t state[8] = {
        0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    for (size_t at = 0; at < kBytes; at += 64) sha256_block(state, data + at);
    for (unsigned i = 0; i < 8; i++) sum = mix(sum, state[i]);
    sum = mix(sum, crc32(data, kBytes));
    sum = mix(sum, count_words(table, data, kBytes));
    data[n] ^= 0x5a;
  }
  return sum;
}
