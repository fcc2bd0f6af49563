// What the programs of bench/peers have in common: each defines run(), whose result is its checksum; main() prints that
// and the seconds by the program's own clock, which in an emulator may be the emulator's.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t run(unsigned repeat);

// A generator for inputs (xorshift32).
static uint32_t random_state = 2463534242u;
static inline uint32_t random32(void) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 17;
  return random_state ^= random_state << 5;
}

static inline uint64_t mix(uint64_t sum, uint64_t v) { return (sum ^ v) * 0x100000001b3u + (sum >> 47); }

static inline void* allocate(size_t n) {
  void* p = malloc(n);
  if (!p) {
    puts("out of memory");
    exit(1);
  }
  return p;
}

int main(int argc, char** argv) {
  struct timespec from, to;
  const int repeat = argc > 1 ? atoi(argv[1]) : 1;
  clock_gettime(CLOCK_MONOTONIC, &from);
  const uint64_t sum = run(repeat > 0 ? (unsigned)repeat : 1);
  clock_gettime(CLOCK_MONOTONIC, &to);
  printf("%08x%08x %.3f\n", (unsigned)(sum >> 32), (unsigned)sum,
         (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9);
  return 0;
}
