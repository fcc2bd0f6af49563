#include "bench/command.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/json.h"
#include "jit/jit.h"

namespace oriel::bench {

namespace {

constexpr u64 kStepInsns = 4'000'000;  // some milliseconds

const char* mode_name(Mode m) {
  static constexpr const char* kNames[] = {"interpreter", "jit_baseline", "jit_opt"};
  return kNames[static_cast<usize>(m)];
}

}  // namespace

void JitSummary::add(const JitSummary& more) {
  units += more.units;
  compile_ns += more.compile_ns;
  lookup_hits += more.lookup_hits;
  lookup_misses += more.lookup_misses;
  deopts += more.deopts;
}

std::string JitSummary::line() const {
  const double lookups = lookup_hits + lookup_misses;
  char text[200];
  std::snprintf(text, sizeof text,
                "JIT: %.0f units compiled in %.1f ms, %.1f %% of %.0f cache lookups hit, %.0f deopts\n", units,
                compile_ns / 1e6, lookups > 0 ? 100 * lookup_hits / lookups : 0, lookups, deopts);
  return text;
}

std::string JitSummary::json() const {
  const double lookups = lookup_hits + lookup_misses;
  return Json()
      .number("units_compiled_total", static_cast<u64>(units))
      .number("compile_time_ns_total", static_cast<u64>(compile_ns))
      .number("lookup_total", static_cast<u64>(lookups))
      .real("lookup_hit_ratio", lookups > 0 ? lookup_hits / lookups : 0, 4)
      .number("deopt_total", static_cast<u64>(deopts))
      .str();
}

std::unique_ptr<Case> Case::create(Host& host, const Options& o, usize index, std::vector<u8> raw, u8* ram,
                                   std::string& error) {
  std::unique_ptr<Case> c(new Case(host, o));
  if (o.raw.empty()) c->entry_ = o.entries[index];
  c->bits_ = c->entry_ ? c->entry_->bits : o.bits;
  c->name_ = c->entry_ ? c->entry_->full_name() : o.raw;
  jit::Config limits = o.jit_limits;
  if (o.mode != Mode::kJitOpt) limits.threshold2 = 0;
  c->machine_ = PayloadMachine::create(
      host, {c->entry_ ? c->entry_->code() : std::move(raw), c->bits_, o.mode != Mode::kInterpreter, limits, ram},
      error);
  if (!c->machine_) {
    error = c->name_ + ": " + error;
    return nullptr;
  }
  if (o.iterations) {
    c->phase_ = Phase::kWarmUp;
    c->left_ = o.warmup;
  }
  c->next(o.iterations ? o.iterations : 1);
  return c;
}

// Begins the next call, of the next phase if this one is over.
void Case::next(u64 count) {
  if (phase_ == Phase::kWarmUp && left_ == 0) {
    phase_ = Phase::kMeasure;
    left_ = o_.runs;
  }
  if (count != count_) expected_ = entry_ ? std::optional(entry_->reference(count)) : o_.expected;
  count_ = count;
  started_ns_ = host_.monotonic_ns();
  machine_->call(count);
}

bool Case::step() {
  switch (machine_->step(kStepInsns)) {
    case PayloadMachine::Step::kRunning:
      if (static_cast<double>(host_.monotonic_ns() - started_ns_) < o_.max_seconds * 1e9) return true;
      char text[80];
      std::snprintf(text, sizeof text, "has not returned in %g seconds (--max-seconds)", o_.max_seconds);
      return end(kTimeOut, text);
    case PayloadMachine::Step::kReturned: return returned(machine_->outcome());
    case PayloadMachine::Step::kFailed:
      return end(kFaulted,
                 "failed: " + machine_->failure() + (machine_->dump().empty() ? "" : "\n" + machine_->dump()));
  }
  return false;
}

bool Case::returned(const Outcome& r) {
  if (expected_ && r.result != *expected_) {
    first_ = first_.value_or(r);
    return end(kWrongResult, "the checksum " + hex(r.result) + " is not " + hex(*expected_) + ", with " +
                                 std::to_string(count_) + " iterations");
  }
  if (phase_ == Phase::kCalibrate) {
    // Longer calls, until one is long enough to tell.
    const double ns = static_cast<double>(std::max<u64>(r.host_ns, 1)), wanted = o_.seconds * 1e9;
    const double most = static_cast<double>(bits_ == 32 ? ~u32{0} : u64{1} << 53);
    const double count = static_cast<double>(count_);
    const bool enough = ns >= wanted / 4 || count >= most;
    const double scaled = std::clamp(count * (enough ? wanted / ns : std::min(wanted / 2 / ns, 20.0)), 1.0, most);
    if (enough) {
      phase_ = Phase::kWarmUp;
      left_ = o_.warmup;
    }
    next(static_cast<u64>(enough ? scaled : std::max(scaled, count + 1)));
    return true;
  }
  left_--;
  if (phase_ == Phase::kMeasure) {
    if (!first_)
      first_ = r;
    else if (r.result != first_->result || r.instructions != first_->instructions)
      return end(kWrongResult, "two calls differ: " + hex(first_->result) + " after " +
                                   std::to_string(first_->instructions) + " instructions, and " + hex(r.result) +
                                   " after " + std::to_string(r.instructions));
    seconds_.push_back(static_cast<double>(r.host_ns) / 1e9);
    cpu_seconds_ += static_cast<double>(r.cpu_ns) / 1e9;
    if (left_ == 0) return false;
  }
  next(count_);
  return true;
}

bool Case::end(ExitStatus status, const std::string& failure) {
  status_ = status;
  failure_ = name_ + ": " + failure;
  return false;
}

Case::Times Case::times() const {
  Times t{0, 0, 0, 0};
  if (seconds_.empty()) return t;
  const double n = static_cast<double>(seconds_.size());
  for (double s : seconds_) t.mean += s / n;
  for (double s : seconds_) t.deviation += (s - t.mean) * (s - t.mean);
  t.deviation = n > 1 ? std::sqrt(t.deviation / (n - 1)) : 0;
  const auto [least, most] = std::minmax_element(seconds_.begin(), seconds_.end());
  t.least = *least, t.most = *most;
  return t;
}

double Case::mips(double seconds) const {
  return first_ && seconds > 0 ? static_cast<double>(first_->instructions) / seconds / 1e6 : 0;
}

std::string Case::hex(u64 result) const {
  char text[20];
  std::snprintf(text, sizeof text, "0x%0*llx", static_cast<int>(bits_ / 4), static_cast<unsigned long long>(result));
  return text;
}

std::string Case::row() const {
  const Times t = times();
  const double runs = static_cast<double>(std::max<usize>(seconds_.size(), 1));
  char text[200];
  std::snprintf(text, sizeof text, "%-15s %12llu %14llu %10.6f %9.6f %10.6f %10.6f %8.1f %8.1f\n", name_.c_str(),
                static_cast<unsigned long long>(count_),
                static_cast<unsigned long long>(first_ ? first_->instructions : 0), t.mean, t.deviation, t.least,
                t.most, mips(t.mean), mips(cpu_seconds_ / runs));
  return text;
}

JitSummary Case::jit() const {
  const jit::Jit* compiler = machine_->machine().compiler();
  if (!compiler) return {};
  const jit::Stats& s = compiler->counters();
  auto sum = [&s](u64 jit::Stats::Tier::* n) { return static_cast<double>(s.both(n)); };
  return {sum(&jit::Stats::Tier::units), sum(&jit::Stats::Tier::compile_ns), static_cast<double>(s.lookup_hits),
          static_cast<double>(s.lookup_misses), static_cast<double>(s.deopts)};
}

std::string Case::json(const char* host) const {
  const Times t = times();
  const Outcome r = first_.value_or(Outcome{});
  const double cpu = cpu_seconds_ / static_cast<double>(std::max<usize>(seconds_.size(), 1));
  Json j;
  if (entry_)
    j.text("payload", entry_->name);
  else
    j.text("file", name_);
  std::string all;
  for (double s : seconds_) {
    char text[40];
    std::snprintf(text, sizeof text, "%s%.9f", all.empty() ? "" : ",", s);
    all += text;
  }
  j.number("bits", bits_)
      .text("host", host)
      .text("mode", mode_name(o_.mode))
      .number("iterations", count_)
      .number("warmup_runs", o_.warmup)
      .number("runs", seconds_.size())
      .number("instructions", r.instructions)
      .number("rep_iterations", r.rep_iterations)
      .text("checksum", hex(r.result));
  if (expected_) j.text("checksum_expected", hex(*expected_)).raw("checksum_ok", status_ == kDone ? "true" : "false");
  j.real("seconds", t.mean, 9)
      .real("seconds_stddev", t.deviation, 9)
      .real("seconds_min", t.least, 9)
      .real("seconds_max", t.most, 9)
      .raw("seconds_runs", "[" + all + "]")
      .real("cpu_seconds", cpu, 9)
      .real("mips", mips(t.mean))
      .real("cpu_mips", mips(cpu))
      .raw("jit", jit().json())
      .raw("machine", machine_->machine().stats_json());
  if (status_ != kDone) j.text("failure", failure_);
  return j.str();
}

}  // namespace oriel::bench
