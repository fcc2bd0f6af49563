// Memory from one end to the other: copy, scale, add, sum, and the C library's memcpy(), memset() and memchr(), over
// three arrays of 4 MiB.
#include "bench.h"

enum { kBytes = 4 << 20, kWords = kBytes / 4 };

// Each in a function of its own, so that the compiler sees plain loops.
#define PLAIN __attribute__((noinline))
PLAIN static void copy(uint32_t* restrict a, const uint32_t* restrict b) {
  for (unsigned n = 0; n < kWords; n++) a[n] = b[n] ^ 1;
}
PLAIN static void scale(uint32_t* restrict a, const uint32_t* restrict b, uint32_t s) {
  for (unsigned n = 0; n < kWords; n++) a[n] = b[n] * s;
}
PLAIN static void add(uint32_t* restrict a, const uint32_t* restrict b, const uint32_t* restrict c) {
  for (unsigned n = 0; n < kWords; n++) a[n] = b[n] + c[n];
}
PLAIN static uint32_t total(const uint32_t* a) {
  uint32_t sum = 0;
  for (unsigned n = 0; n < kWords; n++) sum += a[n];
  return sum;
}

static uint64_t run(unsigned repeat) {
  uint64_t sum = 0;
  uint32_t *a = allocate(kBytes), *b = allocate(kBytes), *c = allocate(kBytes);
  for (unsigned n = 0; n < kWords; n++) b[n] = random32(), c[n] = n;
  for (unsigned n = 0; n < repeat * 20; n++) {
    copy(a, b);
    scale(b, c, n | 1);
    add(c, a, b);
    sum = mix(sum, total(c));
    memcpy(a, c, kBytes);
    memset((uint8_t*)b + kBytes / 2, (int)n, kBytes / 4);
    memmove((uint8_t*)a + 3, a, kBytes / 2);
    const void* found = memchr((uint8_t*)b + kBytes / 2, (int)(n + 1) & 0xff, kBytes / 4);
    sum = mix(sum, total(a) + (found != NULL));
  }
  return sum;
}
