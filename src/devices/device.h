// What a device sees of the machine: ports, interrupt lines, timers on virtual time, and a DMA view
// of memory. A device is one class in one file pair; it knows no other device.
#pragma once

#include <functional>
#include <vector>

#include "base/state.h"
#include "base/types.h"
#include "cpu/physmem.h"

namespace oriel {

class Device {
 public:
  virtual ~Device() = default;
  virtual const char* name() const = 0;
  virtual void reset() = 0;          // RESET#: registers to their power-on values; contents of media stay
  virtual void state(State& s) = 0;  // save, restore, hash
};

// Port I/O. `port` is absolute. Reads return the value in the low `size` (1, 2, 4) bytes.
class PortHandler {
 public:
  virtual ~PortHandler() = default;
  virtual u32 port_read(u16 port, unsigned size) = 0;
  virtual void port_write(u16 port, u32 value, unsigned size) = 0;
};

// The I/O space. An unclaimed port reads as all ones. A handler states the widest access it wants:
// wider accesses are split into little-endian pieces of that width.
class IoBus {
 public:
  void add(u16 first, u32 count, PortHandler* h, unsigned max_size);
  void remove(u16 first, u32 count);  // for PCI I/O BARs that move
  u32 read(u16 port, unsigned size);
  void write(u16 port, u32 value, unsigned size);
  IoBus();

 private:
  struct Slot {
    PortHandler* handler;
    u8 max_size;
  };
  std::vector<Slot> slots_;  // slot 0: nobody
  std::vector<u8> map_;      // 65536 slot numbers
};

// An interrupt line driven by one device. A default-constructed line goes nowhere.
class IrqLine {
 public:
  using Sink = std::function<void(bool level)>;
  IrqLine() = default;
  explicit IrqLine(Sink s) : sink_(std::move(s)) {}
  void set(bool level) {
    if (level == level_) return;
    level_ = level;
    if (sink_) sink_(level);
  }
  void pulse() {
    set(true);
    set(false);
  }
  bool level() const { return level_; }
  void restore(bool level) { level_ = level; }  // after a state load: no edge is sent

 private:
  Sink sink_;
  bool level_ = false;
};

// Virtual time in nanoseconds since power-on, and one-shot timers on it. Timers due at the same time
// fire in the order of their creation, so that runs repeat exactly.
class Scheduler {
 public:
  static constexpr u64 kNever = ~u64{0};
  using TimerId = u32;
  virtual ~Scheduler() = default;
  // The time of the instruction being executed, or of the timer being fired.
  virtual u64 now() = 0;
  // Timers are created at construction of the machine, never later; their deadlines are part of the
  // machine's state (the scheduler saves them).
  TimerId create(const char* name, std::function<void()> fire);
  void arm(TimerId t,
           u64 deadline_ns);  // replaces an earlier deadline; in the past: fires at once after this instruction
  void cancel(TimerId t) { arm(t, kNever); }
  u64 deadline(TimerId t) const { return timers_[t].deadline; }
  u64 next_deadline() const { return next_; }
  void run_due(u64 now_ns);  // fires every timer with deadline <= now_ns, in order
  void state(State& s);

 protected:
  virtual void deadline_moved_earlier() = 0;  // the running slice must end sooner

 private:
  struct Timer {
    const char* name;
    std::function<void()> fire;
    u64 deadline = kNever;
  };
  std::vector<Timer> timers_;
  u64 next_ = kNever;
  void recompute();
};

// A device's view of guest memory. Any address and length: what is not RAM is dropped or reads as ones.
using Dma = PhysMem;

}  // namespace oriel
