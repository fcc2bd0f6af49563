// The heaviest keys of a stream in bounded memory: the Space-Saving algorithm (Metwally, Agrawal, El Abbadi: Efficient
// Computation of Frequent and Top-k Elements in Data Streams, 2005), with weights.
#pragma once

#include <algorithm>
#include <vector>

#include "base/types.h"

namespace oriel {

// Counters number as many as the capacity. A key without one takes over the lightest, weight and all: so a weight is
// never too small, too large by `error` at most, and every key that is heavier than total() / capacity has a counter.
// Note: what is kept of a key besides, as it was given last.
template <class Key, class Note>
class SpaceSaving {
 public:
  struct Counter {
    Key key;
    Note note;
    u64 weight, error;
  };

  explicit SpaceSaving(usize capacity) : capacity_(capacity) {}

  void add(const Key& key, const Note& note, u64 weight) {
    total_ += weight;
    Counter* lightest = nullptr;
    for (Counter& c : counters_) {
      if (c.key == key) {
        c.weight += weight;
        c.note = note;
        return;
      }
      if (!lightest || c.weight < lightest->weight) lightest = &c;
    }
    if (counters_.size() < capacity_)
      counters_.push_back({key, note, weight, 0});
    else
      *lightest = {key, note, lightest->weight + weight, lightest->weight};
  }

  u64 total() const { return total_; }

  // The `n` heaviest, in order.
  std::vector<Counter> top(usize n) const {
    std::vector<Counter> all = counters_;
    std::sort(all.begin(), all.end(), [](const Counter& a, const Counter& b) { return a.weight > b.weight; });
    if (all.size() > n) all.erase(all.begin() + static_cast<std::ptrdiff_t>(n), all.end());
    return all;
  }

 private:
  usize capacity_;
  u64 total_ = 0;
  std::vector<Counter> counters_;
};

}  // namespace oriel
