// The I/O port map and the timers on virtual time that every device uses.
#include "devices/device.h"

#include <algorithm>
#include <utility>

namespace oriel {

// ---- IoBus -------------------------------------------------------------------------------------

IoBus::IoBus() : slots_(1, Slot{nullptr, 1}), map_(65536, 0) {}

void IoBus::add(u16 first, u32 count, PortHandler* h, unsigned max_size) {
  u8 width = max_size >= 4 ? 4 : max_size >= 2 ? 2 : 1;
  usize slot = 1;
  while (slot < slots_.size() && (slots_[slot].handler != h || slots_[slot].max_size != width)) slot++;
  if (slot == slots_.size()) {
    if (slot == 256) {
      // All numbers were given out at some time: take one that no port uses any more.
      bool used[256] = {};
      for (u8 m : map_) used[m] = true;
      for (slot = 1; slot < 256 && used[slot];) slot++;
      if (slot == 256) return;
      slots_[slot] = {h, width};
    } else {
      slots_.push_back({h, width});
    }
  }
  u32 end = std::min<u64>(u64{first} + count, 65536);
  for (u32 p = first; p < end; p++) map_[p] = static_cast<u8>(slot);
}

void IoBus::remove(u16 first, u32 count) {
  u32 end = std::min<u64>(u64{first} + count, 65536);
  for (u32 p = first; p < end; p++) map_[p] = 0;
}

// An access belongs to the handler of its first port, up to that handler's width; what is left over
// goes on from the next port. So a 32-bit write to CF8 is one access although CF9 is another device.
u32 IoBus::read(u16 port, unsigned size) {
  u32 value = 0;
  for (unsigned done = 0; done < size;) {
    u16 p = static_cast<u16>(port + done);
    const Slot& s = slots_[map_[p]];
    unsigned n = std::min<unsigned>(s.max_size, std::bit_floor(size - done));
    u32 mask = n == 4 ? ~u32{0} : (u32{1} << 8 * n) - 1;
    u32 piece = s.handler ? s.handler->port_read(p, n) & mask : mask;
    value |= piece << 8 * done;
    done += n;
  }
  return value;
}

void IoBus::write(u16 port, u32 value, unsigned size) {
  for (unsigned done = 0; done < size;) {
    u16 p = static_cast<u16>(port + done);
    const Slot s = slots_[map_[p]];  // a copy: the write may change the map
    unsigned n = std::min<unsigned>(s.max_size, std::bit_floor(size - done));
    u32 mask = n == 4 ? ~u32{0} : (u32{1} << 8 * n) - 1;
    if (s.handler) s.handler->port_write(p, value >> 8 * done & mask, n);
    done += n;
  }
}

// ---- Scheduler ---------------------------------------------------------------------------------

Scheduler::TimerId Scheduler::create(const char* name, std::function<void()> fire) {
  timers_.push_back({name, std::move(fire), kNever});
  return static_cast<TimerId>(timers_.size() - 1);
}

void Scheduler::arm(TimerId t, u64 deadline_ns) {
  u64 old = timers_[t].deadline;
  if (old == deadline_ns) return;
  timers_[t].deadline = deadline_ns;
  if (deadline_ns < next_) {
    next_ = deadline_ns;
    deadline_moved_earlier();
  } else if (old == next_) {
    recompute();
  }
}

void Scheduler::recompute() {
  next_ = kNever;
  for (const Timer& t : timers_) next_ = std::min(next_, t.deadline);
}

void Scheduler::run_due(u64 now_ns) {
  // Devices catch up by arithmetic, so one pass fires each timer a few times at most. The bound is for
  // what should not happen: then the rest stays due and the machine goes on.
  for (unsigned budget = 4096; next_ <= now_ns && next_ != kNever && budget; budget--) {
    usize t = 0;
    while (timers_[t].deadline != next_) t++;
    timers_[t].deadline = kNever;
    recompute();
    timers_[t].fire();
  }
}

void Scheduler::state(State& s) {
  u32 n = static_cast<u32>(timers_.size());
  s.io(n);
  if (n != timers_.size()) {
    s.bad = true;
    return;
  }
  for (Timer& t : timers_) s.io(t.deadline);
  if (s.loading()) recompute();
}

}  // namespace oriel
