// The WASI functions that wasi-libc refers to (its abort and assert paths), defined here so that the module
// imports nothing but "oriel". Signatures: WASI snapshot preview1.
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

// Debian builds compiler-rt (128-bit division) with stack protectors.
void* __stack_chk_guard = nullptr;
[[noreturn]] void __stack_chk_fail() { __builtin_trap(); }
}
