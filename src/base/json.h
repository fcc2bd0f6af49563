// Statistics as text.
#pragma once

#include <cstdio>
#include <string>

#include "base/types.h"

namespace oriel {

// One JSON object from name and value, in order.
class Json {
 public:
  Json& number(const char* name, u64 v) { return raw(name, std::to_string(v)); }
  Json& real(const char* name, double v) {
    char buf[40];
    std::snprintf(buf, sizeof buf, "%.3f", v);
    return raw(name, buf);
  }
  Json& raw(const char* name, const std::string& v) {
    s_ += s_.empty() ? "{" : ",";
    s_ += '"';
    s_ += name;
    s_ += "\":";
    s_ += v;
    return *this;
  }
  std::string str() const { return s_.empty() ? "{}" : s_ + "}"; }

 private:
  std::string s_;
};

}  // namespace oriel
