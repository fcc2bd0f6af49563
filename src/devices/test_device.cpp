// See test_device.h.
#include "devices/test_device.h"

#include <algorithm>
#include <cstring>

#include "devices/devutil.h"

namespace oriel {

u32 TestDevice::port_read(u16 port, unsigned size) {
  u32 v = 0;
  if (port >= kScratch && port + size <= kScratch + scratch_.size()) std::memcpy(&v, &scratch_[port - kScratch], size);
  return v;
}

void TestDevice::port_write(u16 port, u32 value, unsigned size) {
  if (port >= kLines)
    notify(hooks_.set_line, unsigned{port} - kLines, value != 0);
  else if (port >= kExit)
    notify(hooks_.exit, value);
  else if (port + size <= kScratch + scratch_.size())
    std::memcpy(&scratch_[port - kScratch], &value, size);
}

u64 TestDevice::mmio_read(u64 offset, unsigned size) {
  u64 v = 0;
  std::memcpy(&v, &memory_[offset], size);
  return v;
}

void TestDevice::mmio_write(u64 offset, u64 value, unsigned size) { std::memcpy(&memory_[offset], &value, size); }

void TestDevice::reset() {
  scratch_.fill(0);
  memory_.fill(0);
}

void TestDevice::state(State& s) {
  s.bytes(scratch_.data(), scratch_.size());
  s.bytes(memory_.data(), memory_.size());
}

}  // namespace oriel
