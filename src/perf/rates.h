// How fast counters grow: over the last second of host time.
#pragma once

#include <array>

#include "base/types.h"

namespace oriel {

// N counters, of which a snapshot is kept every tenth of a second or so.
template <usize N>
class Rates {
 public:
  using Values = std::array<u64, N>;
  static constexpr u64 kWindowNs = 1'000'000'000, kEveryNs = kWindowNs / 10;

  // Whether note() should be called. Before the counters grow and after it, so that they are known to have rested.
  bool due(u64 now) const { return size_ == 0 || now - newest().at >= kEveryNs; }
  void note(u64 now, const Values& values) {
    if (size_ == kMost)
      first_ = (first_ + 1) % kMost;
    else
      size_++;
    snapshots_[(first_ + size_ - 1) % kMost] = {now, values};
  }

  struct Growth {
    double seconds = 0;  // the window, shorter than one second at first
    std::array<double, N> per_second{};
  };
  Growth growth(u64 now, const Values& values) const {
    Growth g;
    const Snapshot from = size_ ? at(now, values) : Snapshot{now, values};
    g.seconds = static_cast<double>(now - from.at) / 1e9;
    for (usize n = 0; n < N && now > from.at; n++)
      g.per_second[n] = static_cast<double>(values[n] - from.values[n]) / g.seconds;
    return g;
  }

 private:
  struct Snapshot {
    u64 at = 0;
    Values values{};
  };
  static constexpr usize kMost = 12;  // more than the window has

  const Snapshot& newest() const { return snapshots_[(first_ + size_ - 1) % kMost]; }

  // What they were where the window begins, between two snapshots in proportion.
  Snapshot at(u64 now, const Values& values) const {
    Snapshot after{now, values};
    for (usize n = size_; n-- > 0;) {
      const Snapshot& before = snapshots_[(first_ + n) % kMost];
      if (now - before.at < kWindowNs) {
        after = before;
        continue;
      }
      const u64 wanted = now - kWindowNs;
      const double part = after.at == before.at
                              ? 0
                              : static_cast<double>(wanted - before.at) / static_cast<double>(after.at - before.at);
      Snapshot between{wanted, before.values};
      for (usize k = 0; k < N; k++)
        between.values[k] += static_cast<u64>(static_cast<double>(after.values[k] - before.values[k]) * part);
      return between;
    }
    return after;
  }

  std::array<Snapshot, kMost> snapshots_;
  usize first_ = 0, size_ = 0;
};

}  // namespace oriel
