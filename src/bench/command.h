// `oriel bench`, but for files and the terminal: its options, and one payload measured. Both hosts' commands and the
// page use it, so that they take the same options and say the same.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/payload_machine.h"
#include "bench/suite.h"

namespace oriel::bench {

// As of `oriel run`.
enum ExitStatus : int { kDone = 0, kUsage = 2, kTimeOut = 3, kFaulted = 4, kWrongResult = 5 };

enum class Mode : u8 { kInterpreter, kJitBaseline, kJitOpt };

struct Options {
  std::vector<const SuiteEntry*> entries;  // empty with a file
  std::string raw;                         // a file with a payload instead
  unsigned bits = 0;                       // 0: both
  u64 iterations = 0;                      // 0: as many as `seconds` need
  double seconds = 0.2;
  u32 runs = 0, warmup = 1;
  Mode mode = Mode::kInterpreter;
  jit::Config jit_limits;  // jit_baseline has no second tier whatever they are
  double max_seconds = 60;
  std::optional<u64> expected;
  bool json = false, help = false;
  usize cases() const { return raw.empty() ? entries.size() : 1; }
};

// `host`: what JSON calls it. `can_compile`: it has a WebAssembly engine. False and one line in `error` for a wrong
// call.
bool parse_options(const std::vector<std::string>& args, bool can_compile, Options& o, std::string& error);
std::string help_text();
// The line above those of Case::row().
std::string table_head();
// What the JIT compiler did in the machines of some payloads.
struct JitSummary {
  double units = 0, compile_ns = 0, lookup_hits = 0, lookup_misses = 0, deopts = 0;
  void add(const JitSummary& more);
  std::string line() const;
  std::string json() const;
};

// One payload: as many calls as its options say.
class Case {
 public:
  // Number `index` of o.cases(); `raw` is the file's content when there is one. Null and a line in `error`.
  static std::unique_ptr<Case> create(Host& host, const Options& o, usize index, std::vector<u8> raw, u8* ram,
                                      std::string& error);
  // Goes on for some milliseconds. False: it is over.
  bool step();
  ExitStatus status() const { return status_; }
  // What went wrong, with the payload's name: one line, and the processor's state behind it where that helps.
  const std::string& failure() const { return failure_; }
  // The measurement, when the payload returned: a line of the table, and a JSON object.
  bool measured() const { return first_.has_value(); }
  std::string row() const;
  std::string json(const char* host) const;
  Machine& machine() { return machine_->machine(); }
  JitSummary jit() const;

 private:
  enum class Phase : u8 { kCalibrate, kWarmUp, kMeasure };
  struct Times {
    double mean, deviation, least, most;
  };

  Case(Host& host, const Options& o) : host_(host), o_(o) {}
  void next(u64 count);
  bool returned(const Outcome& r);
  bool end(ExitStatus status, const std::string& failure);
  Times times() const;
  double mips(double seconds) const;
  std::string hex(u64 result) const;

  Host& host_;
  const Options& o_;
  const SuiteEntry* entry_ = nullptr;  // null: of a file
  std::string name_;
  unsigned bits_ = 0;
  std::unique_ptr<PayloadMachine> machine_;
  Phase phase_ = Phase::kCalibrate;
  u64 count_ = 0, started_ns_ = 0;
  u32 left_ = 0;                  // calls of the phase
  std::optional<u64> expected_;   // of calls with this count
  std::optional<Outcome> first_;  // of the measured runs, which must agree
  std::vector<double> seconds_;
  double cpu_seconds_ = 0;  // of all of them together
  ExitStatus status_ = kDone;
  std::string failure_;
};

// All that --json prints, of the Case::json() of the payloads, with commas between them, and their summaries' sum.
std::string document(const Options& o, const std::string& results, const JitSummary& jit);

}  // namespace oriel::bench
