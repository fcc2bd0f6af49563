#include "jit/config.h"

#include <algorithm>
#include <type_traits>

namespace oriel::jit {

namespace {

struct Limit {
  const char* name;
  void (*set)(Config& c, u64 n);
};

template <auto Field>
void set(Config& c, u64 n) {
  using T = std::remove_reference_t<decltype(c.*Field)>;
  if constexpr (std::is_same_v<T, bool>)
    c.*Field = n != 0;
  else
    c.*Field = static_cast<T>(std::min<u64>(n, static_cast<T>(~u64{0})));
}

constexpr Limit kLimits[] = {
    {"chain", set<&Config::chain>},
    {"threshold", set<&Config::threshold>},
    {"maxInsns", set<&Config::max_insns>},
    {"threshold2", set<&Config::threshold2>},
    {"maxInsns2", set<&Config::max_insns2>},
    {"batch", set<&Config::batch>},
    {"maxWait", set<&Config::max_wait>},
    {"cacheBytes", set<&Config::cache_bytes>},
    {"cacheUnits", set<&Config::cache_units>},
    {"worker", set<&Config::worker>},
    {"verify", set<&Config::verify>},
    {"plant", set<&Config::plant>},
#define PASS(NAME) {#NAME, set<&Config::NAME>},
#include "jit/opt/passes.inc"
#undef PASS
};

bool set_one(const std::string& part, Config& config) {
  const usize equals = part.find('=');
  if (equals == std::string::npos) return false;
  const std::string name = part.substr(0, equals), digits = part.substr(equals + 1);
  // Far more than any limit makes sense of, and no overflow.
  if (digits.empty() || digits.size() > 15 || digits.find_first_not_of("0123456789") != std::string::npos) return false;
  for (const Limit& limit : kLimits)
    if (name == limit.name) return limit.set(config, std::stoull(digits)), true;
  return false;
}

}  // namespace

bool set_limits(const std::string& text, Config& config, std::string& error) {
  if (text == "on") return true;
  for (usize at = 0; at <= text.size();) {
    const usize end = std::min(text.find(',', at), text.size());
    const std::string part = text.substr(at, end - at);
    if (!set_one(part, config)) {
      error = "--jit: '" + part + "' is not on or off, nor NAME=N of ";
      for (const Limit& limit : kLimits) error += (&limit == kLimits ? "" : ", ") + std::string(limit.name);
      return false;
    }
    at = end + 1;
  }
  return true;
}

}  // namespace oriel::jit
