// See bench_port.h.
#include "devices/bench_port.h"

namespace oriel {

void BenchPort::call(u32 target, u64 count) {
  target_ = target;
  count_ = count;
  result_ = 0;
  marks_ = 0;
  ready_ = false;
  fault_.clear();
}

u32 BenchPort::port_read(u16 port, unsigned) {
  switch (port - kBase) {
    case 0: return target_;
    case 4: return static_cast<u32>(count_);
    case 8: return static_cast<u32>(count_ >> 32);
    default: return 0;
  }
}

void BenchPort::port_write(u16 port, u32 value, unsigned) {
  constexpr usize kFaultWords = 8;
  switch (port - kBase) {
    case 0:
      ready_ = true;
      machine_.stop();
      break;
    case 4:
      if (marks_ == 0) {
        first_ = machine_.mark();
        marks_ = 1;
      } else if (marks_ == 1) {
        last_ = machine_.mark();
        marks_ = 2;
        result_ = value;
      }
      break;
    case 8: result_ |= u64{value} << 32; break;
    case 12:
      if (fault_.size() < kFaultWords) fault_.push_back(value);
      break;
    default: break;
  }
}

}  // namespace oriel
