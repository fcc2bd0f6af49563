// Sorting: a quicksort and a heapsort of our own, and the C library's qsort() with a function that compares.
#include "bench.h"

static void quicksort(uint32_t* v, long low, long high) {
  while (low < high) {
    const uint32_t pivot = v[(low + high) / 2];
    long i = low, j = high;
    while (i <= j) {
      while (v[i] < pivot) i++;
      while (v[j] > pivot) j--;
      if (i <= j) {
        const uint32_t t = v[i];
        v[i++] = v[j];
        v[j--] = t;
      }
    }
    if (j - low < high - i) {
      quicksort(v, low, j);
      low = i;
    } else {
      quicksort(v, i, high);
      high = j;
    }
  }
}

static void sift(uint32_t* v, size_t root, size_t n) {
  const uint32_t t = v[root];
  for (size_t child; (child = 2 * root + 1) < n; root = child) {
    if (child + 1 < n && v[child + 1] > v[child]) child++;
    if (v[child] <= t) break;
    v[root] = v[child];
  }
  v[root] = t;
}
static void heapsort(uint32_t* v, size_t n) {
  for (size_t k = n / 2; k-- > 0;) sift(v, k, n);
  for (size_t k = n; k-- > 1;) {
    const uint32_t t = v[0];
    v[0] = v[k];
    v[k] = t;
    sift(v, 0, k);
  }
}

static int compare(const void* a, const void* b) {
  const uint32_t x = *(const uint32_t*)a, y = *(const uint32_t*)b;
  return x < y ? -1 : x > y;
}

static uint64_t run(unsigned repeat) {
  enum { kCount = 200000 };
  uint64_t sum = 0;
  uint32_t* v = allocate(kCount * sizeof *v);
  for (unsigned n = 0; n < repeat * 6; n++) {
    for (unsigned k = 0; k < kCount; k++) v[k] = random32();
    if (n % 3 == 0)
      quicksort(v, 0, kCount - 1);
    else if (n % 3 == 1)
      heapsort(v, kCount);
    else
      qsort(v, kCount, sizeof *v, compare);
    for (unsigned k = 0; k < kCount; k += 97) sum = mix(sum, v[k]);
    for (unsigned k = 1; k < kCount; k++)
      if (v[k - 1] > v[k]) sum = 0;
  }
  return sum;
}
