// PS/2 keyboard and mouse protocols. Sources: IBM PS/2 Hardware Interface Technical Reference, "Keyboards
// (101- and 102-key)" and "Mouse"; Microsoft's IntelliMouse protocol.
#include "devices/ps2.h"

#include <algorithm>
#include <array>

#include "devices/devutil.h"
#include "devices/scancodes.h"

namespace oriel {

namespace {
enum : u8 { kAck = 0xfa, kResend = 0xfe, kBatOk = 0xaa, kEcho = 0xee };

constexpr std::array<u8, 128> make_set2() {
  std::array<u8, 128> t{};
  for (unsigned code2 = 1; code2 < 128; code2++)
    if (kScanSet2To1[code2] < 128) t[kScanSet2To1[code2]] = static_cast<u8>(code2);
  t[0x41] = 0x83;  // F7 and SysRq have codes above 7F
  t[0x54] = 0x84;
  return t;
}
constexpr std::array<u8, 128> kSet1To2 = make_set2();

u8 set3_of(u8 code1, bool extended) {
  if (!extended) return kScanSet1To3[code1 & 0x7f];
  for (auto [one, three] : kScanExtended1To3)
    if (one == code1) return three;
  return 0;
}
}  // namespace

// ---- keyboard ----------------------------------------------------------------------------------

void Ps2Keyboard::defaults() {
  codes_.clear();
  set_ = 2;
  pending_ = 0;
}

void Ps2Keyboard::reset() {
  defaults();
  replies_.clear();
  leds_ = modifiers_ = last_ = 0;
  scanning_ = true;
}

u8 Ps2Keyboard::next() {
  last_ = replies_.empty() ? codes_.pop() : replies_.pop();
  return last_;
}

void Ps2Keyboard::command(u8 v) {
  u8 of = pending_;
  pending_ = 0;
  if (of && v < 0xed) {  // a parameter; a command byte in its place is a command
    switch (of) {
      case 0xed: leds_ = v & 7; break;
      case 0xf0:
        if (v > 3) return replies_.push(kResend);
        replies_.push(kAck);
        if (v == 0)
          replies_.push(set_);
        else
          set_ = v;
        return codes_.clear();
      case 0xf3: break;        // the host repeats keys
      default: pending_ = of;  // FB, FC, FD: a list of keys, ended by the next command
    }
    return replies_.push(kAck);
  }
  switch (v) {
    case 0xed:
    case 0xf0:
    case 0xf3:
    case 0xfb:
    case 0xfc:
    case 0xfd:
      pending_ = v;
      replies_.push(kAck);
      break;
    case 0xee: replies_.push(kEcho); break;
    case 0xf2:
      replies_.push(kAck);
      replies_.push(0xab);
      replies_.push(0x83);
      break;
    case 0xf4:
      codes_.clear();
      scanning_ = true;
      replies_.push(kAck);
      break;
    case 0xf5:
      defaults();
      scanning_ = false;
      replies_.push(kAck);
      break;
    case 0xf6:
      defaults();
      replies_.push(kAck);
      break;
    case 0xf7:
    case 0xf8:
    case 0xf9:
    case 0xfa: replies_.push(kAck); break;
    case 0xfe: replies_.push(last_); break;
    case 0xff:
      reset();
      replies_.push(kAck);
      replies_.push(kBatOk);
      break;
    default: replies_.push(kResend); break;
  }
}

// A key's codes go in whole or not at all.
void Ps2Keyboard::send(std::initializer_list<u8> bytes) {
  if (codes_.room() < bytes.size()) return;
  for (u8 b : bytes) codes_.push(b);
}

void Ps2Keyboard::send_key(u8 code, bool extended, bool down) {
  if (set_ == 3) {
    u8 c = set3_of(code, extended);
    if (c && down) send({c});
    if (c && !down) send({0xf0, c});
    return;
  }
  u8 c = set_ == 2 ? kSet1To2[code] : static_cast<u8>(code | (down ? 0 : 0x80));
  if (c == 0) return;
  bool prefix = set_ == 2 && !down;
  if (extended && prefix) return send({0xe0, 0xf0, c});
  if (extended) return send({0xe0, c});
  if (prefix) return send({0xf0, c});
  send({c});
}

void Ps2Keyboard::key(u16 scancode, bool down) {
  const u8 code = scancode & 0x7f;
  const bool extended = scancode >> 8 == 0xe0;
  static constexpr u8 modifier_code[3] = {0x2a, 0x1d, 0x38};  // right shift (36) has a code of its own
  for (unsigned i = 0; i < 3; i++) {
    if (code != modifier_code[i] && !(i == 0 && code == 0x36)) continue;
    if (scancode >> 8 == 0xe1 || (i == 0 && extended)) continue;
    u8 bit = static_cast<u8>(1u << (2 * i + (extended || code == 0x36)));
    modifiers_ = static_cast<u8>(down ? modifiers_ | bit : modifiers_ & ~bit);
  }
  if (!scanning_ || code == 0) return;
  const bool shift_or_ctrl = modifiers_ & 0x0f, ctrl = modifiers_ & 0x0c, alt = modifiers_ & 0x30;

  if (scancode == 0xe11d || scancode == 0xe046) {  // Pause has no break code; with control it is Break
    if (set_ == 3) return send_key(0x46, true, down);
    if (!down) return;
    if (ctrl) {
      send_key(0x46, true, true);
      send_key(0x46, true, false);
    } else if (set_ == 2) {
      send({0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77});
    } else {
      send({0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5});
    }
    return;
  }
  if (scancode == 0xe037 && set_ != 3) {  // Print Screen: SysRq with Alt, else within a shift of its own
    if (alt) return send_key(0x54, false, down);
    if (shift_or_ctrl) return send_key(0x37, true, down);
    if (set_ == 2) return down ? send({0xe0, 0x12, 0xe0, 0x7c}) : send({0xe0, 0xf0, 0x7c, 0xe0, 0xf0, 0x12});
    return down ? send({0xe0, 0x2a, 0xe0, 0x37}) : send({0xe0, 0xb7, 0xe0, 0xaa});
  }
  send_key(code, extended, down);
}

void Ps2Keyboard::state(State& s) {
  replies_.state(s);
  codes_.state(s);
  for (u8* p : {&set_, &leds_, &pending_, &last_, &modifiers_}) s.io(*p);
  io_bool(s, scanning_);
  if (set_ < 1 || set_ > 3) {
    s.bad = true;
    set_ = 2;
  }
}

// ---- mouse -------------------------------------------------------------------------------------

void Ps2Mouse::defaults() {
  packet_.clear();
  dx_ = dy_ = dz_ = 0;
  clicked_ = reported_ = 0;
  rate_ = 100;
  resolution_ = 2;
  pending_ = 0;
  enabled_ = remote_ = wrap_ = scaling_ = false;
}

void Ps2Mouse::reset() {
  defaults();
  replies_.clear();
  buttons_ = id_ = last_ = knock_[0] = knock_[1] = 0;
}

u8 Ps2Mouse::next() {
  last_ = replies_.empty() ? packet_.pop() : replies_.pop();
  return last_;
}

void Ps2Mouse::command(u8 v) {
  if (wrap_ && v != 0xec && v != 0xff) return replies_.push(v);
  u8 of = pending_;
  pending_ = 0;
  packet_.clear();  // a command cuts a report short
  if (of == 0xe8) {
    resolution_ = v & 3;
    return replies_.push(kAck);
  }
  if (of == 0xf3) {
    rate_ = v;
    if (knock_[0] == 200 && knock_[1] == 100 && v == 80) id_ = 3;
    if (knock_[0] == 200 && knock_[1] == 200 && v == 80) id_ = 4;
    knock_[0] = knock_[1];
    knock_[1] = v;
    return replies_.push(kAck);
  }
  switch (v) {
    case 0xe6:
    case 0xe7: scaling_ = v & 1; break;
    case 0xe8:
    case 0xf3: pending_ = v; break;
    case 0xe9: {
      u8 middle = buttons_ >> 2 & 1, right = buttons_ >> 1 & 1, left = buttons_ & 1;
      replies_.push(kAck);
      replies_.push(static_cast<u8>(remote_ << 6 | enabled_ << 5 | scaling_ << 4 | left << 2 | middle << 1 | right));
      replies_.push(resolution_);
      return replies_.push(rate_);
    }
    case 0xea:
    case 0xf0: remote_ = v == 0xf0; break;
    case 0xeb: replies_.push(kAck); return make_packet(false);
    case 0xec: wrap_ = false; break;
    case 0xee: wrap_ = true; break;
    case 0xf2: replies_.push(kAck); return replies_.push(id_);
    case 0xf4:
    case 0xf5:
      enabled_ = v == 0xf4;
      dx_ = dy_ = dz_ = 0;
      break;
    case 0xf6: defaults(); break;
    case 0xfe: return replies_.push(last_);
    case 0xff:
      reset();
      replies_.push(kAck);
      replies_.push(kBatOk);
      return replies_.push(id_);
    default: return replies_.push(kResend);
  }
  replies_.push(kAck);
}

void Ps2Mouse::move(int dx, int dy, int dz, unsigned buttons) {
  static constexpr int kLimit = 1 << 14;
  auto add = [](s32& sum, int d) { sum = std::clamp(sum + std::clamp(d, -kLimit, kLimit), -kLimit, kLimit); };
  add(dx_, dx);
  add(dy_, dy);
  if (id_ >= 3) add(dz_, dz);
  u8 now = static_cast<u8>(buttons & (id_ == 4 ? 31 : 7));
  clicked_ |= now & ~buttons_;
  buttons_ = now;
}

bool Ps2Mouse::wants_sample() const {
  return enabled_ && !remote_ && !wrap_ && packet_.empty() && (dx_ || dy_ || dz_ || (buttons_ | clicked_) != reported_);
}

bool Ps2Mouse::sample() {
  if (!wants_sample()) return false;
  make_packet(scaling_);
  return true;
}

void Ps2Mouse::make_packet(bool scale) {
  auto axis = [scale](s32& sum) {
    static constexpr s32 scaled[6] = {0, 1, 1, 3, 6, 9};
    s32 limit = scale ? 127 : 255, d = std::clamp(sum, -limit, limit);
    sum -= d;
    if (!scale) return d;
    s32 m = d < 0 ? -d : d;
    m = m < 6 ? scaled[m] : 2 * m;
    return d < 0 ? -m : m;
  };
  s32 x = axis(dx_), y = axis(dy_);
  // A button that was pressed and released since the last report shows as pressed once.
  u8 b = buttons_ | clicked_;
  reported_ = b;
  clicked_ = 0;
  packet_.clear();
  packet_.push(static_cast<u8>((b & 7) | 8 | (x < 0 ? 0x10 : 0) | (y < 0 ? 0x20 : 0)));
  packet_.push(static_cast<u8>(x));
  packet_.push(static_cast<u8>(y));
  if (id_ < 3) return;
  s32 z = std::clamp(dz_, -8, 7);
  dz_ -= z;
  packet_.push(static_cast<u8>(id_ == 4 ? (z & 15) | (b & 0x18) << 1 : z));
}

void Ps2Mouse::state(State& s) {
  replies_.state(s);
  packet_.state(s);
  for (s32* p : {&dx_, &dy_, &dz_}) {
    s.io(*p);
    if (*p > 1 << 14 || *p < -(1 << 14)) {
      s.bad = true;
      *p = 0;
    }
  }
  for (u8* p : {&buttons_, &reported_, &clicked_, &id_, &rate_, &resolution_, &pending_, &last_}) s.io(*p);
  s.io(knock_);
  for (bool* p : {&enabled_, &remote_, &wrap_, &scaling_}) io_bool(s, *p);
}

}  // namespace oriel
