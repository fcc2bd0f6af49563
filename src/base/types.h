// Fixed-width names and the few bit helpers that every part of the core uses.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace oriel {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using s8 = std::int8_t;
using s16 = std::int16_t;
using s32 = std::int32_t;
using s64 = std::int64_t;
using usize = std::size_t;

static_assert(std::endian::native == std::endian::little, "the core assumes a little-endian host");

#define ORIEL_LIKELY(x) __builtin_expect(!!(x), 1)
#define ORIEL_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define ORIEL_INLINE inline __attribute__((always_inline))
#define ORIEL_NOINLINE __attribute__((noinline))
#define ORIEL_COLD __attribute__((noinline, cold))

// Unaligned little-endian access to host memory.
template <class T>
ORIEL_INLINE T load(const void* p) {
  T v;
  std::memcpy(&v, p, sizeof(T));
  return v;
}
template <class T>
ORIEL_INLINE void store(void* p, T v) {
  std::memcpy(p, &v, sizeof(T));
}

// A 128-bit value as memory and registers hold it: lane 0 is the least significant.
union alignas(16) V128 {
  u8 b[16];
  u16 w[8];
  u32 d[4];
  u64 q[2];
  s8 sb[16];
  s16 sw[8];
  s32 sd[4];
  s64 sq[2];
};
static_assert(sizeof(V128) == 16);
struct V256 {
  V128 h[2];  // the lower half first
};

}  // namespace oriel
