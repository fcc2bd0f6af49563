// Integer arithmetic: modular powers, greatest common divisors, square roots, Collatz sequences.
#include "bench.h"

static uint32_t power(uint32_t base, uint32_t exponent, uint32_t modulus) {
  uint32_t result = 1;
  for (base %= modulus; exponent; exponent >>= 1) {
    if (exponent & 1) result = (uint32_t)((uint64_t)result * base % modulus);
    base = (uint32_t)((uint64_t)base * base % modulus);
  }
  return result;
}

static uint32_t gcd(uint32_t a, uint32_t b) {
  while (b) {
    const uint32_t r = a % b;
    a = b;
    b = r;
  }
  return a;
}

static uint32_t root(uint32_t v) {
  uint32_t result = 0;
  for (uint32_t bit = 1u << 30; bit; bit >>= 2) {
    if (v >= result + bit) {
      v -= result + bit;
      result = (result >> 1) + bit;
    } else {
      result >>= 1;
    }
  }
  return result;
}

static uint64_t run(unsigned repeat) {
  uint64_t sum = 0;
  for (unsigned n = 0; n < repeat * 240000; n++) {
    const uint32_t a = random32(), b = random32() | 1;
    sum = mix(sum, power(a, b & 0xffff, b));
    sum = mix(sum, gcd(a, b));
    sum = mix(sum, root(a));
    uint32_t steps = 0;
    for (uint32_t c = (a & 0xfff) + 1; c != 1; steps++) c = c & 1 ? 3 * c + 1 : c >> 1;
    sum = mix(sum, steps);
  }
  return sum;
}
