// One walk over a component's state that saves, restores or hashes it. A component writes
// `void state(State& s)` once, naming its fields in a fixed order with `s.io(field)`; what it names
// is what a snapshot holds and what the state hash covers. Only fixed-size scalar values go in, so
// the bytes are the same natively and in wasm.
#pragma once

#include <vector>

#include "base/types.h"

namespace oriel {

class State {
 public:
  virtual ~State() = default;
  // Saves from, or restores into, `n` bytes at `p`.
  virtual void bytes(void* p, usize n) = 0;
  // True when bytes() overwrites its argument.
  virtual bool loading() const = 0;
  // Set by a component that finds restored values that cannot be; the whole restore is then refused.
  bool bad = false;

  template <class T>
    requires std::is_arithmetic_v<T> || std::is_enum_v<T>
  void io(T& v) {
    static_assert(!std::is_pointer_v<T>);
    bytes(&v, sizeof v);
  }
  template <class T, usize N>
  void io(T (&a)[N]) {
    for (T& v : a) io(v);
  }
  void io(V128& v) { bytes(&v, sizeof v); }
  // A vector of scalars with its length before it; lengths over `limit` are refused on load.
  template <class T>
  void io(std::vector<T>& v, u32 limit) {
    u32 n = static_cast<u32>(v.size());
    io(n);
    if (loading()) {
      if (n > limit) {
        bad = true;
        return;
      }
      v.resize(n);
    }
    for (T& e : v) io(e);
  }
};

class SaveState final : public State {
 public:
  std::vector<u8> data;
  void bytes(void* p, usize n) override {
    const u8* b = static_cast<const u8*>(p);
    data.insert(data.end(), b, b + n);
  }
  bool loading() const override { return false; }
};

class LoadState final : public State {
 public:
  LoadState(const u8* p, usize n) : p_(p), left_(n) {}
  void bytes(void* p, usize n) override {
    if (n > left_) {
      bad = true;
      std::memset(p, 0, n);
      return;
    }
    std::memcpy(p, p_, n);
    p_ += n;
    left_ -= n;
  }
  bool loading() const override { return true; }
  usize left() const { return left_; }

 private:
  const u8* p_;
  usize left_;
};

// 64-bit mixing hash over a stream of bytes (FNV-1a over 8-byte words with a final avalanche);
// for equality of runs, not against adversaries.
class HashState final : public State {
 public:
  void bytes(void* p, usize n) override {
    const u8* b = static_cast<const u8*>(p);
    for (; n >= 8; b += 8, n -= 8) mix(load<u64>(b));
    u64 tail = n;
    for (usize i = 0; i < n; i++) tail = tail << 8 | b[i];
    mix(tail);
  }
  bool loading() const override { return false; }
  u64 value() const {
    u64 h = h_;
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93u;
    h ^= h >> 32;
    return h;
  }

 private:
  void mix(u64 v) {
    h_ = (h_ ^ v) * 0x9e3779b97f4a7c15u;
    h_ ^= h_ >> 29;
  }
  u64 h_ = 0xcbf29ce484222325u;
};

}  // namespace oriel
