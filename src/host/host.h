// What the core asks of the host it runs on. One implementation natively, one in wasm (whose
// functions are the module's imports). Nothing else in the core reaches outside.
#pragma once

#include "base/types.h"

namespace oriel {

enum class Compiled : u8 { kNever, kNow, kLater };
enum class LogLevel : u8 { kError, kWarn, kInfo, kDebug };

class Host {
 public:
  virtual ~Host() = default;
  virtual u64 monotonic_ns() = 0;     // for the normal (not deterministic) clock
  virtual u64 wall_clock_s() = 0;     // seconds since 1970 UTC, for the RTC at power-on
  virtual u64 cpu_ns() { return 0; }  // processor time that the process has used; 0 where that is not known
  virtual void log(LogLevel level, const char* text) = 0;
  virtual void serial_output(unsigned port, const u8* data, usize n) = 0;  // bytes the guest sent on COM1+port
  virtual void debug_output(u8 byte) = 0;                                  // port 0x402 (SeaBIOS)
  // Has a WebAssembly module compiled that exports functions "0", "1", ... (jit/wasm/emit.h), under a number of the
  // caller's choice. kNow: install() may be called. kLater, only where `may_wait`: another thread compiles it, and
  // Jit::compiled() is called with that number, between runs of the machine. kNever: that cannot be.
  virtual Compiled compile(const u8* module, usize n, u32 number, bool may_wait) {
    static_cast<void>(module), static_cast<void>(n), static_cast<void>(number), static_cast<void>(may_wait);
    return Compiled::kNever;
  }
  // Puts the first `count` functions of a module that has been compiled into the core's table of functions, each into
  // its slot; where a slot is 0, into a new one, whose number it becomes. Once for a module, in the call of compile()'s
  // caller or of Jit::compiled(); what is not installed then is forgotten. False where that cannot be.
  virtual bool install(u32 number, u32* slots, u32 count) {
    static_cast<void>(number), static_cast<void>(slots), static_cast<void>(count);
    return false;
  }
  // Instantiates a module whose exports the modules of later calls of install() import; it imports the table. False
  // where the engine does not have what it needs.
  virtual bool provide(const u8* module, usize n) {
    static_cast<void>(module), static_cast<void>(n);
    return false;
  }
  // With jit::Config::verify: compiled code has taken the machine from one count of retired instructions to another,
  // and has left registers with this hash (jit/verify.h).
  virtual void compiled_ran(u64 from, u64 to, u64 registers) {
    static_cast<void>(from), static_cast<void>(to), static_cast<void>(registers);
  }
  // Empties slots, so that the engine can drop what was compiled.
  virtual void release(const u32* slots, u32 count) { static_cast<void>(slots), static_cast<void>(count); }
};

}  // namespace oriel
