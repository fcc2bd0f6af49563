// The PS/2 devices behind the keyboard controller: a keyboard with scan code sets 1 to 3 and a mouse that
// becomes an IntelliMouse (wheel) or IntelliMouse Explorer (side buttons) by the sample-rate knock.
// Sources: as i8042.h. They know nothing of ports and time.
#pragma once

#include <initializer_list>

#include "base/state.h"
#include "base/types.h"

namespace oriel {

// A ring of N bytes (N a power of two, at most 128).
template <unsigned N>
class Ps2Queue {
  static_assert(std::has_single_bit(N) && N <= 128);

 public:
  bool empty() const { return count_ == 0; }
  unsigned room() const { return N - count_; }
  void clear() { head_ = count_ = 0; }
  void push(u8 v) {
    if (count_ == N) return;
    buf_[(head_ + count_++) & (N - 1)] = v;
  }
  u8 pop() {
    if (count_ == 0) return 0;
    u8 v = buf_[head_];
    head_ = (head_ + 1) & (N - 1);
    count_--;
    return v;
  }
  void state(State& s) {
    s.io(buf_);
    s.io(head_);
    s.io(count_);
    if (head_ >= N || count_ > N) {
      s.bad = true;
      clear();
    }
  }

 private:
  u8 buf_[N] = {};
  u8 head_ = 0, count_ = 0;
};

class Ps2Keyboard {
 public:
  void reset();
  void command(u8 v);  // a byte from the host
  void key(u16 scancode_set1, bool down);
  bool has_output() const { return !replies_.empty() || !codes_.empty(); }
  u8 next();
  u8 leds() const { return leds_; }
  void state(State& s);

 private:
  void defaults();
  void send(std::initializer_list<u8> bytes);
  void send_key(u8 code, bool extended, bool down);  // a set 1 code in the set in force

  Ps2Queue<16> replies_;  // answers to commands go before scan codes
  Ps2Queue<64> codes_;
  u8 set_ = 2, leds_ = 0, pending_ = 0, last_ = 0;
  u8 modifiers_ = 0;  // held: left and right shift, control, alt in bits 0 to 5
  bool scanning_ = true;
};

class Ps2Mouse {
 public:
  void reset();
  void command(u8 v);
  // dx right, dy up, dz towards the user.
  void move(int dx, int dy, int dz, unsigned buttons);
  // Puts a packet in the queue when there is something to report and the last one has gone. True if it did.
  bool sample();
  bool wants_sample() const;
  bool has_output() const { return !replies_.empty() || !packet_.empty(); }
  u8 next();
  unsigned rate() const { return rate_ ? rate_ : 100; }  // samples a second
  void state(State& s);

 private:
  void defaults();
  void make_packet(bool scale);

  Ps2Queue<16> replies_;
  Ps2Queue<16> packet_;
  s32 dx_ = 0, dy_ = 0, dz_ = 0;
  u8 buttons_ = 0, reported_ = 0, clicked_ = 0;  // now, in the last packet, pressed since it
  u8 id_ = 0, rate_ = 100, resolution_ = 2, pending_ = 0, last_ = 0;
  u8 knock_[2] = {};  // the last two sample rates
  bool enabled_ = false, remote_ = false, wrap_ = false, scaling_ = false;
};

}  // namespace oriel
