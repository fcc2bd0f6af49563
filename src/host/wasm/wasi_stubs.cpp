// What stands between wasi-libc and the host. First, the WASI functions that wasi-libc refers to (its abort and assert
// paths), defined here so that the module imports nothing but "oriel". Signatures: WASI snapshot preview1.
#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "host/wasm/wasm_host.h"

namespace {
constexpr int kEnosys = 52;
}

extern "C" {
int __imported_wasi_snapshot_preview1_fd_write(int, int, int, int) { return kEnosys; }
int __imported_wasi_snapshot_preview1_fd_seek(int, long long, int, int) { return kEnosys; }
int __imported_wasi_snapshot_preview1_fd_close(int) { return kEnosys; }
int __imported_wasi_snapshot_preview1_fd_fdstat_get(int, int) { return kEnosys; }
[[noreturn]] void __imported_wasi_snapshot_preview1_proc_exit(int) { __builtin_trap(); }
}

// calloc (linked with --wrap=calloc). libc's clears all it gives, and so makes the host commit memory that the core
// allocates large and touches little: tables with an entry for each page, video memory. Memory that was never
// written is zero, and reading it costs nothing, so only what is not zero is written.
extern "C" void* __wrap_calloc(oriel::usize n, oriel::usize size) {
  oriel::usize bytes;
  if (__builtin_mul_overflow(n, size, &bytes)) return nullptr;
  char* p = static_cast<char*>(std::malloc(bytes));
  if (!p) return nullptr;
  constexpr oriel::usize kPage = 4096;
  static constexpr char kZeroes[kPage] = {};
  for (oriel::usize at = 0; at < bytes;) {
    const oriel::usize page_end = kPage - (reinterpret_cast<oriel::usize>(p) + at) % kPage;
    const oriel::usize part = std::min(bytes - at, page_end);
    if (std::memcmp(p + at, kZeroes, part) != 0) std::memset(p + at, 0, part);
    at += part;
  }
  return p;
}
