// Debian builds compiler-rt (128-bit division) with stack protectors, which wasi-libc does not know.
extern "C" {
void* __stack_chk_guard = nullptr;
[[noreturn]] void __stack_chk_fail() { __builtin_trap(); }
}
