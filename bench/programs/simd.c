// SSE2 by intrinsics: a blend of pictures, sums of absolute differences, and a filter in single precision.
#include "bench.h"

#include <emmintrin.h>

enum { kBytes = 256 << 10, kFloats = 16 << 10 };

static void blend(uint8_t* out, const uint8_t* a, const uint8_t* b, unsigned alpha) {
  const __m128i zero = _mm_setzero_si128(), wa = _mm_set1_epi16((short)alpha), wb = _mm_set1_epi16((short)(256 - alpha));
  for (unsigned n = 0; n < kBytes; n += 16) {
    const __m128i va = _mm_load_si128((const __m128i*)(a + n)), vb = _mm_load_si128((const __m128i*)(b + n));
    const __m128i low = _mm_add_epi16(_mm_mullo_epi16(_mm_unpacklo_epi8(va, zero), wa),
                                      _mm_mullo_epi16(_mm_unpacklo_epi8(vb, zero), wb));
    const __m128i high = _mm_add_epi16(_mm_mullo_epi16(_mm_unpackhi_epi8(va, zero), wa),
                                       _mm_mullo_epi16(_mm_unpackhi_epi8(vb, zero), wb));
    _mm_store_si128((__m128i*)(out + n), _mm_packus_epi16(_mm_srli_epi16(low, 8), _mm_srli_epi16(high, 8)));
  }
}

static uint64_t difference(const uint8_t* a, const uint8_t* b) {
  __m128i sum = _mm_setzero_si128();
  for (unsigned n = 0; n < kBytes; n += 16)
    sum = _mm_add_epi64(sum, _mm_sad_epu8(_mm_load_si128((const __m128i*)(a + n)), _mm_loadu_si128((const __m128i*)(b + n))));
  uint64_t parts[2];
  _mm_storeu_si128((__m128i*)parts, sum);
  return parts[0] + parts[1];
}

static void filter(float* out, const float* in) {
  const __m128 side = _mm_set1_ps(0.25f), middle = _mm_set1_ps(0.5f), most = _mm_set1_ps(100.0f);
  for (unsigned n = 0; n + 8 <= kFloats; n += 4) {
    const __m128 v = _mm_add_ps(_mm_mul_ps(_mm_add_ps(_mm_loadu_ps(in + n), _mm_loadu_ps(in + n + 2)), side),
                                _mm_mul_ps(_mm_loadu_ps(in + n + 1), middle));
    const __m128 above = _mm_cmpgt_ps(v, most);
    _mm_storeu_ps(out + n + 1, _mm_or_ps(_mm_and_ps(above, most), _mm_andnot_ps(above, v)));
  }
}

static void* aligned(size_t n) {
  const uintptr_t p = (uintptr_t)allocate(n + 64);
  return (void*)((p + 63) & ~(uintptr_t)63);
}

static uint64_t run(unsigned repeat) {
  uint64_t sum = 0;
  uint8_t *a = aligned(kBytes), *b = aligned(kBytes + 16), *c = aligned(kBytes);
  float *f = aligned(kFloats * 4), *g = aligned(kFloats * 4);
  for (unsigned n = 0; n < kBytes; n++) a[n] = (uint8_t)random32(), b[n] = (uint8_t)(n >> 3);
  memset(b + kBytes, 7, 16);
  for (unsigned n = 0; n < kFloats; n++) f[n] = g[n] = (float)(random32() % 20000) / 128.0f;
  for (unsigned n = 0; n < repeat * 1000; n++) {
    blend(c, a, b, n & 255);
    sum = mix(sum, difference(c, b + n % 16));
    for (unsigned k = 0; k < 4; k++) {
      filter(g, f);
      filter(f, g);
    }
    sum = mix(sum, (uint64_t)(f[n % kFloats] * 4096.0f));
    f[(n * 37) % kFloats] += 50.0f;
  }
  return sum;
}
