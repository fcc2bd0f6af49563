#include "machine/script.h"

#include <algorithm>
#include <cstring>

namespace oriel {

namespace {

// Between two key events: slower than any keyboard driver, faster than a person.
constexpr u64 kKeyNs = 8'000'000;
constexpr usize kKeepSerial = 1 << 20;

struct NamedKey {
  const char* name;
  u16 code;  // scan code set 1; E0xx extended
};
constexpr NamedKey kKeys[] = {{"esc", 0x01},        {"backspace", 0x0e}, {"tab", 0x0f},      {"enter", 0x1c},
                              {"ctrl", 0x1d},       {"shift", 0x2a},     {"alt", 0x38},      {"space", 0x39},
                              {"capslock", 0x3a},   {"f1", 0x3b},        {"f2", 0x3c},       {"f3", 0x3d},
                              {"f4", 0x3e},         {"f5", 0x3f},        {"f6", 0x40},       {"f7", 0x41},
                              {"f8", 0x42},         {"f9", 0x43},        {"f10", 0x44},      {"f11", 0x57},
                              {"f12", 0x58},        {"home", 0xe047},    {"up", 0xe048},     {"pageup", 0xe049},
                              {"left", 0xe04b},     {"right", 0xe04d},   {"end", 0xe04f},    {"down", 0xe050},
                              {"pagedown", 0xe051}, {"insert", 0xe052},  {"delete", 0xe053}, {"meta", 0xe05b}};

// The US layout: the characters of each row of scan codes, plain and shifted.
struct Row {
  u8 first;
  const char *plain, *shifted;
};
constexpr Row kRows[] = {{0x02, "1234567890-=", "!@#$%^&*()_+"},
                         {0x10, "qwertyuiop[]", "QWERTYUIOP{}"},
                         {0x1e, "asdfghjkl;'`", "ASDFGHJKL:\"~"},
                         {0x2b, "\\zxcvbnm,./", "|ZXCVBNM<>?"}};

bool plain_key(char c, u16& code, bool& shift) {
  for (const Row& r : kRows) {
    if (const char* p = std::strchr(r.plain, c)) {
      code = static_cast<u16>(r.first + (p - r.plain));
      shift = false;
      return true;
    }
    if (const char* p = std::strchr(r.shifted, c)) {
      code = static_cast<u16>(r.first + (p - r.shifted));
      shift = true;
      return true;
    }
  }
  return false;
}

// "..." at s[at]; at moves behind it.
bool quoted(const std::string& s, usize& at, std::string& out) {
  if (at >= s.size() || s[at] != '"') return false;
  out.clear();
  for (at++; at < s.size(); at++) {
    char c = s[at];
    if (c == '"') {
      at++;
      return true;
    }
    if (c != '\\') {
      out += c;
      continue;
    }
    if (++at >= s.size()) return false;
    switch (s[at]) {
      case 'n': out += '\n'; break;
      case 'r': out += '\r'; break;
      case 't': out += '\t'; break;
      case 'e': out += '\x1b'; break;
      case 'x': {
        auto digit = [](char d) {
          return d >= '0' && d <= '9' ? d - '0' : (d | 32) >= 'a' && (d | 32) <= 'f' ? (d | 32) - 'a' + 10 : -1;
        };
        if (at + 2 >= s.size() || digit(s[at + 1]) < 0 || digit(s[at + 2]) < 0) return false;
        out += static_cast<char>(digit(s[at + 1]) * 16 + digit(s[at + 2]));
        at += 2;
        break;
      }
      case '\\':
      case '"': out += s[at]; break;
      default: return false;
    }
  }
  return false;
}

}  // namespace

bool Script::press(const std::string& name, std::vector<KeyEvent>& out) {
  std::vector<u16> held;
  for (usize from = 0; from <= name.size();) {
    usize dash = name.find('-', from + 1);
    std::string part = name.substr(from, dash == std::string::npos ? dash : dash - from);
    u16 code = 0;
    bool shift = false, found = false;
    for (const NamedKey& k : kKeys) {
      if (part != k.name) continue;
      code = k.code;
      found = true;
    }
    if (!found && part.size() == 1) found = plain_key(part[0], code, shift);
    if (!found || shift) return false;
    held.push_back(code);
    if (dash == std::string::npos) break;
    from = dash + 1;
  }
  for (u16 c : held) out.push_back({c, true});
  for (auto it = held.rbegin(); it != held.rend(); ++it) out.push_back({*it, false});
  return true;
}

bool Script::type_char(char c, std::vector<KeyEvent>& out) {
  if (c == '\n') return press("enter", out);
  if (c == '\t') return press("tab", out);
  if (c == ' ') return press("space", out);
  if (c == '\x1b') return press("esc", out);
  u16 code;
  bool shift;
  if (!plain_key(c, code, shift)) return false;
  if (shift) out.push_back({0x2a, true});
  out.push_back({code, true});
  out.push_back({code, false});
  if (shift) out.push_back({0x2a, false});
  return true;
}

std::unique_ptr<Script> Script::parse(const std::string& source, std::string& error) {
  auto script = std::make_unique<Script>();
  unsigned line_number = 0;
  for (usize from = 0; from < source.size();) {
    usize end = source.find('\n', from);
    if (end == std::string::npos) end = source.size();
    std::string line = source.substr(from, end - from);
    from = end + 1;
    line_number++;
    while (!line.empty() && std::strchr(" \t\r", line.back())) line.pop_back();
    usize at = line.find_first_not_of(" \t");
    if (at == std::string::npos || line[at] == '#') continue;
    auto word = [&] {
      usize stop = line.find_first_of(" \t", at);
      if (stop == std::string::npos) stop = line.size();
      std::string w = line.substr(at, stop - at);
      at = std::min(line.find_first_not_of(" \t", stop), line.size());
      return w;
    };
    Command c{Verb::kEnd, line_number, {}, 0};
    std::vector<KeyEvent> keys;
    bool ok = true;
    const std::string verb = word();
    if (verb == "wait") {
      const std::string where = word();
      c.verb = where == "serial" ? Verb::kWaitSerial : Verb::kWaitScreen;
      ok = (where == "serial" || where == "screen") && quoted(line, at, c.text) && !c.text.empty();
    } else if (verb == "send") {
      c.verb = Verb::kSend;
      ok = quoted(line, at, c.text);
    } else if (verb == "type") {
      c.verb = Verb::kType;
      ok = quoted(line, at, c.text);
      for (char ch : c.text) ok = ok && type_char(ch, keys);
    } else if (verb == "key") {
      c.verb = Verb::kKey;
      c.text = word();
      ok = press(c.text, keys);
    } else if (verb == "sleep") {
      c.verb = Verb::kSleep;
      const std::string n = word();
      ok = !n.empty() && n.size() < 9 && n.find_first_not_of("0123456789") == std::string::npos;
      for (char d : n) c.number = c.number * 10 + static_cast<u64>(d - '0');
    } else if (verb == "screenshot") {
      c.verb = Verb::kScreenshot;
      c.text = line.substr(at);
      ok = !c.text.empty();
      at = line.size();
    } else if (verb == "print") {
      c.verb = Verb::kPrintScreen;
      ok = word() == "screen";
    } else if (verb == "power") {
      c.verb = Verb::kPower;
    } else if (verb == "end") {
      c.verb = Verb::kEnd;
    } else {
      ok = false;
    }
    if (!ok || at < line.size()) {
      error = "line " + std::to_string(line_number) + " is no command of a script: " + line;
      return nullptr;
    }
    script->commands_.push_back(std::move(c));
  }
  return script;
}

void Script::serial_output(const u8* data, usize n) {
  serial_.append(reinterpret_cast<const char*>(data), n);
  if (serial_.size() > 2 * kKeepSerial) serial_.erase(0, serial_.size() - kKeepSerial);
}

bool Script::begin(Machine& m) {
  const Command& c = commands_[at_];
  std::vector<KeyEvent> keys;
  switch (c.verb) {
    case Verb::kSend: send_ = c.text; break;
    case Verb::kType:
      for (char ch : c.text) type_char(ch, keys);
      break;
    case Verb::kKey: press(c.text, keys); break;
    case Verb::kSleep: until_ns_ = m.virtual_time_ns() + c.number * 1'000'000; break;
    case Verb::kPower: m.power_button(); break;
    default: break;
  }
  keys_.assign(keys.begin(), keys.end());
  if (!keys_.empty()) until_ns_ = m.virtual_time_ns();
  return true;
}

Script::Step Script::step(Machine& m) {
  for (;;) {
    if (at_ >= commands_.size()) return Step::kFinished;
    const Command& c = commands_[at_];
    if (!begun_) begun_ = begin(m);
    Step result = Step::kWaiting;
    bool done = true;
    switch (c.verb) {
      case Verb::kWaitSerial: {
        const usize found = serial_.find(c.text);
        done = found != std::string::npos;
        if (done) serial_.erase(0, found + c.text.size());
        break;
      }
      case Verb::kWaitScreen: done = m.screen().text().find(c.text) != std::string::npos; break;
      case Verb::kSend:
        send_.erase(0, m.serial_input(0, reinterpret_cast<const u8*>(send_.data()), send_.size()));
        done = send_.empty();
        break;
      case Verb::kType:
      case Verb::kKey:
        while (!keys_.empty() && m.virtual_time_ns() >= until_ns_) {
          m.key(keys_.front().code, keys_.front().down);
          keys_.pop_front();
          until_ns_ = m.virtual_time_ns() + kKeyNs;
        }
        done = keys_.empty() && m.virtual_time_ns() >= until_ns_;
        break;
      case Verb::kSleep: done = m.virtual_time_ns() >= until_ns_; break;
      case Verb::kScreenshot:
        text_ = c.text;
        result = Step::kScreenshot;
        break;
      case Verb::kPrintScreen:
        text_ = m.screen().text();
        result = Step::kPrint;
        break;
      case Verb::kPower: break;
      case Verb::kEnd: return Step::kEnd;
    }
    if (!done) return Step::kWaiting;
    at_++;
    begun_ = false;
    if (result != Step::kWaiting) return result;
  }
}

u64 Script::idle_ns(Machine& m) const {
  if (at_ >= commands_.size()) return ~u64{0};
  switch (commands_[at_].verb) {
    case Verb::kType:
    case Verb::kKey:
    case Verb::kSleep: {
      const u64 now = m.virtual_time_ns();
      return until_ns_ > now ? until_ns_ - now : 0;
    }
    case Verb::kWaitSerial: return ~u64{0};
    default: return 10'000'000;
  }
}

std::string Script::waiting_for() const {
  if (at_ >= commands_.size()) return {};
  const Command& c = commands_[at_];
  const char* what = c.verb == Verb::kWaitSerial   ? "on the serial port: "
                     : c.verb == Verb::kWaitScreen ? "on the screen: "
                                                   : "";
  return "line " + std::to_string(c.line) + (*what ? std::string(", for text ") + what + c.text : "");
}

}  // namespace oriel
