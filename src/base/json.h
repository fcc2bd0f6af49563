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
  Json& real(const char* name, double v, int digits = 3) {
    char buf[400];
    std::snprintf(buf, sizeof buf, "%.*f", digits, v);
    return raw(name, buf);
  }
  Json& text(const char* name, const std::string& v) {
    std::string quoted = "\"";
    for (const char c : v) {
      char buf[8] = {c};
      if (c == '"' || c == '\\')
        std::snprintf(buf, sizeof buf, "\\%c", c);
      else if (static_cast<unsigned char>(c) < ' ')
        std::snprintf(buf, sizeof buf, "\\u%04x", static_cast<unsigned>(c));
      quoted += buf;
    }
    return raw(name, quoted + '"');
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
