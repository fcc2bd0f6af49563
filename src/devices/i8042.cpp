// Keyboard controller. Source: IBM PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary
// Device Controller".
#include "devices/i8042.h"

#include "devices/devutil.h"
#include "devices/scancodes.h"

namespace oriel {

namespace {
enum : u8 { kObf = 0x01, kSys = 0x04, kLastCommand = 0x08, kUnlocked = 0x10, kAuxObf = 0x20 };
enum : u8 { kInt1 = 0x01, kInt12 = 0x02, kDisKbd = 0x10, kDisAux = 0x20, kXlat = 0x40 };
// From one byte of a device to the next. The serial line takes some 900 us; drivers need only that the
// interrupt line drops in between, and old ones that port 60 keeps its value for a while.
constexpr u64 kByteNs = 100'000;
}  // namespace

I8042::I8042(Scheduler& sched, Wiring w)
    : sched_(sched),
      timer_(sched.create("i8042", [this] { on_timer(); })),
      sample_timer_(sched.create("mouse", [this] { pump_mouse(); })),
      w_(std::move(w)) {}

void I8042::reset() {
  status_ = kUnlocked;
  ctr_ = kInt1 | kInt12;
  obuf_ = pending_ = 0;
  output_port_ = 0xc3;
  break_prefix_ = false;
  for (u8& b : ram_) b = 0;
  replies_.clear();
  reply_aux_.clear();
  kbd_.reset();
  mouse_.reset();
  sched_.cancel(timer_);
  sched_.cancel(sample_timer_);
  update_irq();
}

// ---- output buffer -----------------------------------------------------------------------------

void I8042::update_irq() {
  bool full = status_ & kObf, aux = status_ & kAuxObf;
  w_.irq1.set(full && !aux && (ctr_ & kInt1));
  w_.irq12.set(full && aux && (ctr_ & kInt12));
}

void I8042::put(u8 v, bool aux) {
  obuf_ = v;
  status_ = static_cast<u8>((status_ & ~kAuxObf) | kObf | (aux ? kAuxObf : 0));
  update_irq();
}

void I8042::reply(u8 v, bool aux) {
  if (!(status_ & kObf)) return put(v, aux);
  if (replies_.room() == 0) return;
  replies_.push(v);
  reply_aux_.push(aux);
}

u8 I8042::translate(u8 v, bool& drop) {
  drop = false;
  if (!(ctr_ & kXlat)) return v;
  if (v == 0xf0) {
    break_prefix_ = drop = true;
    return v;
  }
  u8 code = v < 0x80 ? kScanSet2To1[v] : v == 0x83 ? 0x41 : v == 0x84 ? 0x54 : v;
  if (break_prefix_) code |= 0x80;
  break_prefix_ = false;
  return code;
}

void I8042::feed() {
  if ((status_ & kObf) || sched_.deadline(timer_) != Scheduler::kNever) return;
  if ((kbd_.has_output() && !(ctr_ & kDisKbd)) || (mouse_.has_output() && !(ctr_ & kDisAux)))
    sched_.arm(timer_, sched_.now() + kByteNs);
}

void I8042::on_timer() {
  while (!(status_ & kObf) && kbd_.has_output() && !(ctr_ & kDisKbd)) {
    bool drop;
    u8 v = translate(kbd_.next(), drop);
    if (!drop) put(v, false);
  }
  if (!(status_ & kObf) && mouse_.has_output() && !(ctr_ & kDisAux)) {
    put(mouse_.next(), true);
    pump_mouse();
  }
}

// The next report, when the sampling interval has passed and the last report was taken.
void I8042::pump_mouse() {
  if (sched_.deadline(sample_timer_) == Scheduler::kNever && mouse_.sample())
    sched_.arm(sample_timer_, sched_.now() + kNsPerSecond / mouse_.rate());
  feed();
}

// ---- host input --------------------------------------------------------------------------------

void I8042::key(u16 scancode_set1, bool down) {
  kbd_.key(scancode_set1, down);
  feed();
}

void I8042::mouse(int dx, int dy, int dz, unsigned buttons) {
  constexpr int kLimit = 1 << 14;  // also keeps the negation defined
  mouse_.move(dx, dy < -kLimit ? kLimit : -dy, dz, buttons);
  pump_mouse();
}

// ---- ports -------------------------------------------------------------------------------------

void I8042::output_port(u8 v) {
  output_port_ = v;
  notify(w_.a20, (v & 2) != 0);
  if (!(v & 1)) notify(w_.reset);
}

void I8042::command(u8 v) {
  pending_ = 0;
  if ((v & 0xe0) == 0x20) return reply(v == 0x20 ? ctr_ : ram_[v & 31]);
  if ((v & 0xe0) == 0x60) {
    pending_ = v;
    return;
  }
  if (v >= 0xf0) {  // pulse output port bits that are 0 in the command
    if (!(v & 1)) notify(w_.reset);
    return;
  }
  switch (v) {
    case 0xa7: ctr_ |= kDisAux; break;
    case 0xa8: ctr_ &= ~kDisAux; break;
    case 0xa9: return reply(0);  // the lines of the mouse are good
    case 0xaa:                   // self-test
      replies_.clear();
      reply_aux_.clear();
      status_ &= ~(kObf | kAuxObf);
      update_irq();
      status_ |= kSys;
      ctr_ |= kSys;
      return reply(0x55);
    case 0xab: return reply(0);
    case 0xad: ctr_ |= kDisKbd; break;
    case 0xae: ctr_ &= ~kDisKbd; break;
    case 0xc0: return reply(0x80);  // input port: the keyboard is not locked
    case 0xd0: {
      u8 full = status_ & kObf ? status_ & kAuxObf ? 0x20 : 0x10 : 0;
      return reply(static_cast<u8>((output_port_ & 0xcf) | full));
    }
    case 0xd1:
    case 0xd2:
    case 0xd3:
    case 0xd4: pending_ = v; break;
    case 0xdd: return output_port(output_port_ & ~2);
    case 0xdf: return output_port(output_port_ | 2);
    case 0xe0: return reply(0);  // test inputs
    default: break;
  }
  feed();
}

void I8042::data(u8 v) {
  u8 of = pending_;
  pending_ = 0;
  switch (of) {
    case 0x60:
      ctr_ = v;
      status_ = static_cast<u8>((status_ & ~kSys) | (v & kSys));
      update_irq();
      break;
    case 0xd1: return output_port(v);
    case 0xd2: return reply(v, false);
    case 0xd3: return reply(v, true);
    case 0xd4:
      ctr_ &= ~kDisAux;  // sending enables the interface
      mouse_.command(v);
      pump_mouse();
      break;
    case 0:
      ctr_ &= ~kDisKbd;
      kbd_.command(v);
      break;
    default: ram_[of & 31] = v; break;
  }
  feed();
}

u32 I8042::port_read(u16 port, unsigned) {
  if (port & 4) return status_;
  u8 v = obuf_;
  if (!(status_ & kObf)) return v;
  status_ &= ~(kObf | kAuxObf);
  update_irq();
  if (!replies_.empty()) {
    u8 next = replies_.pop();
    put(next, reply_aux_.pop());
  } else {
    feed();
  }
  return v;
}

void I8042::port_write(u16 port, u32 value, unsigned) {
  u8 v = static_cast<u8>(value);
  if (port & 4) {
    status_ |= kLastCommand;
    command(v);
  } else {
    status_ &= ~kLastCommand;
    data(v);
  }
}

void I8042::state(State& s) {
  for (u8* p : {&status_, &ctr_, &obuf_, &pending_, &output_port_}) s.io(*p);
  io_bool(s, break_prefix_);
  s.io(ram_);
  replies_.state(s);
  reply_aux_.state(s);
  kbd_.state(s);
  mouse_.state(s);
  io_line(s, w_.irq1);
  io_line(s, w_.irq12);
}

}  // namespace oriel
