# Debian's clang 19 for wasm32 with wasi-libc and libc++: the core as a reactor module.
set(CMAKE_SYSTEM_NAME WASI)
set(CMAKE_SYSTEM_PROCESSOR wasm32)
set(CMAKE_CXX_COMPILER clang++-19)
set(CMAKE_CXX_COMPILER_TARGET wasm32-wasi)
set(CMAKE_AR llvm-ar-19)
set(CMAKE_RANLIB llvm-ranlib-19)
set(CMAKE_CXX_COMPILER_WORKS ON)
set(CMAKE_CXX_FLAGS_INIT "-mbulk-memory -msimd128 -mtail-call -mnontrapping-fptoint -msign-ext -stdlib=libc++ -isystem /usr/lib/llvm-19/include/wasm32-wasi/c++/v1")
