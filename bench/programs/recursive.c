// Calls: Fibonacci numbers, Ackermann's and Takeuchi's functions, as they are defined.
#include "bench.h"

// The compiler must not turn the calls into loops or copies.
#define PLAIN __attribute__((noinline, noclone, optimize("no-optimize-sibling-calls", "no-inline", "no-ipa-cp")))

PLAIN static unsigned fibonacci(unsigned n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }
PLAIN static unsigned ackermann(unsigned m, unsigned n) {
  return m == 0 ? n + 1 : n == 0 ? ackermann(m - 1, 1) : ackermann(m - 1, ackermann(m, n - 1));
}
PLAIN static int takeuchi(int x, int y, int z) {
  return y >= x ? z : takeuchi(takeuchi(x - 1, y, z), takeuchi(y - 1, z, x), takeuchi(z - 1, x, y));
}

static uint64_t run(unsigned repeat) {
  uint64_t sum = 0;
  for (unsigned n = 0; n < repeat * 4; n++) {
    sum = mix(sum, fibonacci(32));
    sum = mix(sum, ackermann(3, 8));
    sum = mix(sum, (unsigned)takeuchi(18, 12, 6 + (int)(n & 1)));
  }
  return sum;
}
