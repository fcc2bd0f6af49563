# Debian's clang 19 for wasm32 with wasi-libc and libc++: the core as a reactor module.
set(CMAKE_SYSTEM_NAME WASI)
set(CMAKE_SYSTEM_PROCESSOR wasm32)
set(CMAKE_CXX_COMPILER clang++-19)
set(CMAKE_CXX_COMPILER_TARGET wasm32-wasi)
set(CMAKE_AR llvm-ar-19)
set(CMAKE_RANLIB llvm-ranlib-19)
set(CMAKE_CXX_COMPILER_WORKS ON)
# Not -mtail-call: clang 19 then makes tail calls whose arguments by value lie in the frame that is given up.
set(CMAKE_CXX_FLAGS_INIT "-mbulk-memory -msimd128 -mnontrapping-fptoint -msign-ext -stdlib=libc++ -isystem /usr/lib/llvm-19/include/wasm32-wasi/c++/v1")
