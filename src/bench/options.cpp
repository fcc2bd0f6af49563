// The options of `oriel bench`.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "bench/command.h"

namespace oriel::bench {

namespace {

struct Given {
  bool iterations = false, seconds = false, jit = false;
};

struct Option {
  const char* name;
  const char* value;  // what the value is called; null for a switch
  const char* help;
  bool (*set)(Options& o, const std::string& value, std::string& error);
};

bool number(const char* name, const std::string& text, bool whole, bool zero, double& out, std::string& error) {
  const bool digits = !text.empty() && text.find_first_not_of("0123456789.") == std::string::npos;
  char* end = nullptr;
  out = digits ? std::strtod(text.c_str(), &end) : -1;
  constexpr double kMost = 9007199254740991.0;  // 2^53 - 1
  if (digits && *end == 0 && out <= kMost && (!whole || std::floor(out) == out) && (out > 0 || zero)) return true;
  error = std::string("--") + name + ": '" + text + "' is not a " + (zero ? "" : "positive ") +
          (whole ? "whole " : "") + "number";
  return false;
}

bool hexadecimal(const std::string& text, u64& out) {
  const std::string digits = text.compare(0, 2, "0x") == 0 ? text.substr(2) : text;
  if (digits.empty() || digits.size() > 16 || digits.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos)
    return false;
  out = std::strtoull(digits.c_str(), nullptr, 16);
  return true;
}

constexpr double kMostRuns = 1000;

const Option kOptions[] = {
    {"bits", "32|64", "only these payloads; of --raw the mode in which it is called",
     [](Options& o, const std::string& v, std::string& error) {
       o.bits = v == "32" ? 32 : v == "64" ? 64 : 0;
       if (!o.bits) error = "--bits: '" + v + "' is not 32 or 64";
       return o.bits != 0;
     }},
    {"iterations", "N", "the count that a payload is called with",
     [](Options& o, const std::string& v, std::string& error) {
       double n;
       if (!number("iterations", v, true, false, n, error)) return false;
       o.iterations = static_cast<u64>(n);
       return true;
     }},
    {"seconds", "S", "instead: the count with which a call takes about S seconds; default 0.2",
     [](Options& o, const std::string& v, std::string& error) {
       return number("seconds", v, false, false, o.seconds, error);
     }},
    {"runs", "N", "measured calls of each payload, up to 1000; default 5, and 1 with --raw",
     [](Options& o, const std::string& v, std::string& error) {
       double n;
       if (!number("runs", v, true, false, n, error)) return false;
       if (n > kMostRuns) error = "--runs: " + v + " is more than 1000";
       o.runs = static_cast<u32>(std::min(n, kMostRuns));
       return error.empty();
     }},
    {"warmup", "N", "calls before them, up to 1000; default 1",
     [](Options& o, const std::string& v, std::string& error) {
       double n;
       if (!number("warmup", v, true, true, n, error)) return false;
       if (n > kMostRuns) error = "--warmup: " + v + " is more than 1000";
       o.warmup = static_cast<u32>(std::min(n, kMostRuns));
       return error.empty();
     }},
    {"mode", "M", "interpreter, jit_baseline or jit_opt; default: the fastest that is there",
     [](Options& o, const std::string& v, std::string& error) {
       if (v == "interpreter")
         o.mode = Mode::kInterpreter;
       else if (v == "jit_baseline")
         o.mode = Mode::kJitBaseline;
       else if (v == "jit_opt")
         o.mode = Mode::kJitOpt;
       else
         error = "--mode: '" + v + "' is not interpreter, jit_baseline or jit_opt";
       return error.empty();
     }},
    {"jit", "L", "limits and switches of the JIT compiler, NAME=N,... (docs/testing.md)",
     [](Options& o, const std::string& v, std::string& error) { return jit::set_limits(v, o.jit_limits, error); }},
    {"max-seconds", "N", "end a call after N seconds, with exit status 3; default 60",
     [](Options& o, const std::string& v, std::string& error) {
       return number("max-seconds", v, false, false, o.max_seconds, error);
     }},
    {"json", nullptr, "print JSON, at the end",
     [](Options& o, const std::string&, std::string&) { return o.json = true; }},
    {"raw", "F", "measure a flat binary of up to 1 MiB: called with the count in (E/R)CX and",
     [](Options& o, const std::string& v, std::string& error) {
       o.raw = v;
       if (v.empty()) error = "--raw needs a file";
       return error.empty();
     }},
    {nullptr, nullptr, "a zeroed buffer of 1 MiB at (E/R)DI, at address 0x200000; until its RET", nullptr},
    {"expect", "HEX", "with --raw and --iterations: the checksum that it must return in (E/R)AX",
     [](Options& o, const std::string& v, std::string& error) {
       u64 n;
       if (hexadecimal(v, n))
         o.expected = n;
       else
         error = "--expect: '" + v + "' is not a hexadecimal number of up to 64 bits";
       return error.empty();
     }},
    {"help", nullptr, "print this", [](Options& o, const std::string&, std::string&) { return o.help = true; }},
};

std::string names() {
  std::string s;
  for (usize n = 0; n < suite().size(); n += 2) s += (n ? ", " : "") + std::string(suite()[n].name);
  return s;
}

bool add_payload(const std::string& name, std::vector<std::string>& wanted, std::string& error) {
  for (const SuiteEntry& e : suite())
    if (name == e.name || name == e.full_name()) {
      wanted.push_back(name);
      return true;
    }
  error = "there is no payload '" + name + "' (see 'oriel bench --help')";
  return false;
}

bool check_together(Options& o, const Given& given, bool named, std::string& error) {
  if (given.iterations && given.seconds)
    error = "--iterations and --seconds exclude one another";
  else if (given.jit && o.mode == Mode::kInterpreter)
    error = "--jit needs a mode with a compiler, under --host node";
  else if (!o.raw.empty() && named)
    error = "--raw and payloads of the suite exclude one another";
  else if (!o.raw.empty() && !o.bits)
    error = "--raw needs --bits 32 or --bits 64";
  else if (o.expected && (o.raw.empty() || !o.iterations))
    error = "--expect needs --raw and --iterations";
  else if (o.expected && o.bits == 32 && *o.expected >> 32)
    error = "--expect: more than the 32 bits of EAX";
  else if (o.raw.empty() && o.entries.empty())
    error = "no payload of those has " + std::to_string(o.bits) + " bits";
  else if (o.iterations >> 32 && (o.raw.empty() ? o.entries.front()->bits : o.bits) == 32)
    error = "--iterations: more than the 32 bits of ECX";
  return error.empty();
}

}  // namespace

std::string help_text() {
  std::string s =
      "Usage: oriel bench [--host node|native] [OPTION]... [PAYLOAD]...\n\n"
      "Measures how fast guest programs run, without an operating system. Payloads, each in 32 and 64 bits:\n" +
      names() + ";\nalu, for example, is both, and alu64 one. Without any, all of them.\n\nOptions:\n";
  for (const Option& o : kOptions) {
    std::string left = o.name ? std::string("  --") + o.name + (o.value ? std::string(" ") + o.value : "") : "";
    left.resize(20, ' ');
    s += left + o.help + "\n";
  }
  s += "\nMIPS are million retired instructions a second, from the payload's first instruction to its RET, which is\n"
       "counted too; an instruction with REP counts once. \"by CPU\": a second of processor time, of all threads.\n"
       "Every result is compared with what the payload must compute.\n"
       "Exit status: 0 all is well, 2 wrong call or input, 3 a call took too long, 4 the payload raised an exception\n"
       "or stopped the machine, 5 a result is not what it must be.\n";
  return s;
}

std::string table_head() {
  char text[120];
  std::snprintf(text, sizeof text, "%-15s %12s %14s %10s %9s %10s %10s %8s %8s\n", "payload", "iterations",
                "instructions", "seconds", "deviation", "min", "max", "MIPS", "by CPU");
  return text;
}

std::string document(const Options& o, const std::string& results, const JitSummary& jit) {
  return o.raw.empty() ? "{\"results\":[\n" + results + "\n],\n\"jit\":" + jit.json() + "}" : results;
}

bool parse_options(const std::vector<std::string>& args, bool can_compile, Options& o, std::string& error) {
  o.mode = can_compile ? Mode::kJitOpt : Mode::kInterpreter;
  Given given;
  std::vector<std::string> wanted;
  for (usize i = 0; i < args.size(); i++) {
    const std::string& arg = args[i];
    if (arg == "-h") {
      o.help = true;
      continue;
    }
    if (arg.compare(0, 2, "--") != 0) {
      if (!add_payload(arg, wanted, error)) return false;
      continue;
    }
    const usize equals = arg.find('=');
    const std::string name = arg.substr(2, equals == std::string::npos ? equals : equals - 2);
    const Option* option = std::find_if(std::begin(kOptions), std::end(kOptions),
                                        [&](const Option& k) { return k.name && name == k.name; });
    if (option == std::end(kOptions)) {
      error = "there is no option --" + name + " (see 'oriel bench --help')";
      return false;
    }
    std::string value;
    if (!option->value) {
      if (equals != std::string::npos) {
        error = "--" + name + " takes no value";
        return false;
      }
    } else if (equals != std::string::npos) {
      value = arg.substr(equals + 1);
    } else if (i + 1 < args.size()) {
      value = args[++i];
    } else {
      error = "--" + name + " needs a value: " + option->value;
      return false;
    }
    if (!option->set(o, value, error)) return false;
    given.iterations |= name == "iterations";
    given.seconds |= name == "seconds";
    given.jit |= name == "jit";
  }
  if (o.help) return true;
  if (o.mode != Mode::kInterpreter && !can_compile) {
    error = std::string("--mode jit_") + (o.mode == Mode::kJitOpt ? "opt" : "baseline") +
            ": the native command has no WebAssembly engine; use --host node";
    return false;
  }
  if (o.raw.empty())
    for (const SuiteEntry& e : suite()) {
      const bool named = wanted.empty() || std::any_of(wanted.begin(), wanted.end(), [&](const std::string& w) {
                           return w == e.name || w == e.full_name();
                         });
      if (named && (!o.bits || o.bits == e.bits)) o.entries.push_back(&e);
    }
  if (!o.runs) o.runs = o.raw.empty() ? 5 : 1;
  return check_together(o, given, !wanted.empty(), error);
}

}  // namespace oriel::bench
