// The imports of oriel.wasm (module "oriel"), which web/src/core.ts supplies. Numbers that may pass 32 bits
// travel as f64, exact to 2^53, so that no call makes a BigInt.
#pragma once

#include "base/types.h"

#define ORIEL_IMPORT(name) __attribute__((import_module("oriel"), import_name(#name)))
#define ORIEL_EXPORT(name) extern "C" __attribute__((export_name("oriel_" #name)))

namespace oriel::imports {

ORIEL_IMPORT(now_ns) double now_ns();
ORIEL_IMPORT(wall_clock_s) double wall_clock_s();
ORIEL_IMPORT(cpu_ns) double cpu_ns();
ORIEL_IMPORT(log) void log(u32 level, const char* text, usize n);
ORIEL_IMPORT(serial_output) void serial_output(u32 port, const u8* data, usize n);
ORIEL_IMPORT(debug_output) void debug_output(u32 byte);
// An image by the handle that the host gave it. Zero: I/O error.
ORIEL_IMPORT(block_read) u32 block_read(u32 handle, double offset, void* buf, usize n);
ORIEL_IMPORT(block_write) u32 block_write(u32 handle, double offset, const void* buf, usize n);
ORIEL_IMPORT(block_flush) u32 block_flush(u32 handle);

// Host::compile(), install(), ...
ORIEL_IMPORT(compile) u32 compile(const u8* module, usize n, u32 number, u32 may_wait);
ORIEL_IMPORT(install) u32 install(u32 number, u32* slots, u32 count);
ORIEL_IMPORT(provide) u32 provide(const u8* module, usize n);
ORIEL_IMPORT(release) void release(const u32* slots, u32 count);
// Host::compiled_ran().
ORIEL_IMPORT(compiled_ran) void compiled_ran(double from, double to, double registers);

}  // namespace oriel::imports
