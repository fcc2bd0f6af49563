// Telemetry: the heaviest keys of a stream, and rates over the last second.
#include <cmath>
#include <cstdio>
#include <map>

#include "perf/rates.h"
#include "perf/space_saving.h"
#include "support/check.h"

using namespace oriel;

namespace {

using Heavy = SpaceSaving<u64, int>;

void test_few_keys() {
  Heavy s(3);
  s.add(1, 10, 5);
  s.add(2, 20, 7);
  s.add(1, 11, 4);
  const auto top = s.top(10);
  CHECK(top.size() == 2 && s.total() == 16);
  CHECK(top[0].key == 1 && top[0].weight == 9 && top[0].error == 0 && top[0].note == 11);
  CHECK(top[1].key == 2 && top[1].weight == 7 && top[1].error == 0 && top[1].note == 20);
  CHECK(s.top(1).size() == 1 && s.top(0).empty());
}

void test_replaced() {
  Heavy s(2);
  s.add(1, 0, 5);
  s.add(2, 0, 3);
  s.add(3, 0, 1);  // in place of 2
  const auto top = s.top(2);
  CHECK(top[0].key == 1 && top[0].weight == 5 && top[0].error == 0);
  CHECK(top[1].key == 3 && top[1].weight == 4 && top[1].error == 3);
}

// What the algorithm promises, on a stream of ten thousand keys of which few are heavy.
void test_promises() {
  constexpr usize kCapacity = 200;
  u64 seed = 7;
  auto next = [&seed] {
    return seed = seed * 6364136223846793005u + 1442695040888963407u, static_cast<double>(seed >> 40) / (1 << 24);
  };
  Heavy s(kCapacity);
  std::map<u64, u64> exact;
  u64 total = 0;
  for (unsigned n = 0; n < 200'000; n++) {
    const u64 key = static_cast<u64>(std::pow(10'000.0, next())), weight = 1 + static_cast<u64>(next() * 100);
    s.add(key, 0, weight);
    exact[key] += weight;
    total += weight;
  }
  CHECK(s.total() == total);
  const auto all = s.top(kCapacity + 1);
  CHECK(all.size() == kCapacity);
  u64 sum = 0;
  std::map<u64, u64> counted;
  for (const auto& c : all) {
    CHECK(c.weight - c.error <= exact[c.key] && exact[c.key] <= c.weight);
    CHECK(c.error <= total / kCapacity);
    CHECK(&c == all.data() || (&c)[-1].weight >= c.weight);
    sum += c.weight;
    counted[c.key] = c.weight;
  }
  CHECK(sum == total && counted.size() == kCapacity);
  usize heavy = 0;
  for (const auto& [key, weight] : exact) {
    if (weight <= total / kCapacity) continue;
    heavy++;
    CHECK(counted.contains(key));
  }
  CHECK(heavy > 5);
}

constexpr u64 kMs = 1'000'000;

bool near(double a, double b) { return std::fabs(a - b) < 1e-6 * (1 + std::fabs(b)); }

void test_rates() {
  Rates<2> r;
  CHECK(r.growth(5 * kMs, {3, 4}).per_second[0] == 0);  // nothing is known
  CHECK(r.due(5 * kMs));
  r.note(5 * kMs, {0, 100});
  CHECK(!r.due(104 * kMs) && r.due(105 * kMs));
  // Less than a second: since the start.
  auto g = r.growth(255 * kMs, {50, 100});
  CHECK(near(g.seconds, 0.25) && near(g.per_second[0], 200) && g.per_second[1] == 0);
  // Ten times as fast after three seconds; the second before the change is as slow as ever.
  u64 at = 5, v = 0;
  for (; at < 3005; at += 100) r.note((at + 100) * kMs, {v += 20, 100});
  g = r.growth(at * kMs, {v, 100});
  CHECK(near(g.seconds, 1) && near(g.per_second[0], 200));
  for (; at < 3405; at += 100) r.note((at + 100) * kMs, {v += 200, 100});
  g = r.growth(at * kMs, {v, 100});
  CHECK(near(g.seconds, 1) && near(g.per_second[0], 0.6 * 200 + 0.4 * 2000));
  // Between two snapshots in proportion: 50 ms into one of 100.
  g = r.growth((at + 50) * kMs, {v + 100, 100});
  CHECK(near(g.per_second[0], 0.55 * 200 + 0.45 * 2000));
  // At rest, long and short.
  g = r.growth((at + 500) * kMs, {v, 100});
  CHECK(near(g.per_second[0], 0.1 * 200 + 0.4 * 2000));
  g = r.growth((at + 60'000) * kMs, {v, 100});
  CHECK(g.per_second[0] == 0);
}

}  // namespace

int main() {
  test_few_keys();
  test_replaced();
  test_promises();
  test_rates();
  std::printf("%d passed, %d failed\n", g_passed, g_failed);
  return g_failed != 0;
}
