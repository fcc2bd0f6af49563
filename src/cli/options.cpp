#include "cli/options.h"

#include <cmath>
#include <cstdlib>
#include <cstring>

namespace oriel::cli {

namespace {

struct Option {
  const char* name;
  const char* value;  // what the value is called; null for a switch
  const char* help;
  bool (*set)(Options& o, const char* value, std::string& error);
};
struct Group {
  const char* title;
  const Option* options;
  usize count;
};

bool positive(const char* name, const char* text, bool integer, double& out, std::string& error) {
  char* end = nullptr;
  const bool digits = std::strspn(text, "0123456789.") == std::strlen(text) && *text;
  out = digits ? std::strtod(text, &end) : 0;
  if (digits && *end == 0 && out > 0 && out <= 9007199254740991.0 && (!integer || std::floor(out) == out)) return true;
  error = std::string("--") + name + ": '" + text + "' is not a positive " + (integer ? "whole " : "") + "number";
  return false;
}

bool target(const char* name, const char* v, Target& t, std::string& error) {
  if (!std::strcmp(v, "stdio"))
    t = {Target::Kind::kStdio, {}};
  else if (!std::strcmp(v, "none"))
    t = {Target::Kind::kNone, {}};
  else if (!std::strncmp(v, "file:", 5) && v[5])
    t = {Target::Kind::kFile, v + 5};
  else {
    error = std::string("--") + name + ": '" + v + "' is not stdio, file:FILE or none";
    return false;
  }
  return true;
}

bool path_after(const char* name, const char* prefix, const char* v, std::string& path, std::string& error) {
  const usize n = std::strlen(prefix);
  if (!std::strncmp(v, prefix, n) && v[n] == ':' && v[n + 1]) {
    path = v + n + 1;
    return true;
  }
  error = std::string("--") + name + ": '" + v + "' is not " + prefix + ":FILE";
  return false;
}

template <std::string Options::* kMember>
bool text(Options& o, const char* v, std::string&) {
  o.*kMember = v;
  return true;
}

const Option kBoot[] = {
    {"kernel", "F", "a Linux kernel (bzImage), booted directly", text<&Options::kernel>},
    {"initrd", "F", "its initial RAM disk", text<&Options::initrd>},
    {"append", "TEXT", "its command line",
     [](Options& o, const char* v, std::string&) {
       o.append = v;
       return o.has_append = true;
     }},
    {"hda", "F", "raw disk image, IDE primary master", text<&Options::hda>},
    {"hdb", "F", "raw disk image, IDE primary slave", text<&Options::hdb>},
    {"virtio", "F", "raw disk image, virtio-blk", text<&Options::virtio>},
    {"cdrom", "F", "CD image (.iso), IDE secondary master", text<&Options::cdrom>},
    {"boot", "c|d", "boot the disk (c) or the CD (d) first; default: the disk",
     [](Options& o, const char* v, std::string& error) {
       if ((*v == 'c' || *v == 'd') && !v[1]) {
         o.boot = *v;
         return true;
       }
       error = std::string("--boot: '") + v + "' is not c or d";
       return false;
     }},
    {"snapshot", nullptr, "keep writes in memory; the images stay as they are",
     [](Options& o, const char*, std::string&) { return o.snapshot = true; }},
};
const Option kMachine[] = {
    {"memory", "MiB", "memory, 4 to 3072; default 512",
     [](Options& o, const char* v, std::string& error) {
       double n;
       if (!positive("memory", v, true, n, error)) return false;
       if (n < 4 || n > 3072) {
         error = std::string("--memory: ") + v + " MiB is not between 4 and 3072 MiB";
         return false;
       }
       o.memory_mib = static_cast<u64>(n);
       return true;
     }},
    {"bios", "F", "the firmware; default: Debian's SeaBIOS", text<&Options::bios>},
    {"vgabios", "F", "the VGA firmware; default: Debian's", text<&Options::vgabios>},
    {"test-device", nullptr, "the ports through which test programs report (docs/conformance.md)",
     [](Options& o, const char*, std::string&) { return o.test_device = true; }},
};
const Option kIo[] = {
    {"serial", "stdio|file:F|none", "where COM1 goes; default stdio (Ctrl-A x quits, Ctrl-A h lists more)",
     [](Options& o, const char* v, std::string& error) { return target("serial", v, o.serial, error); }},
    {"debugcon", "stdio|file:F|none", "the firmware's debug port 0x402 (stdio: to stderr); default none",
     [](Options& o, const char* v, std::string& error) { return target("debugcon", v, o.debugcon, error); }},
    {"display", "none|png:F", "png: the screen as it is at the end; default none",
     [](Options& o, const char* v, std::string& error) {
       if (!std::strcmp(v, "none")) {
         o.display_png.clear();
         return true;
       }
       return path_after("display", "png", v, o.display_png, error);
     }},
    {"stats", "json:F", "write counters at the end",
     [](Options& o, const char* v, std::string& error) { return path_after("stats", "json", v, o.stats_json, error); }},
};
const Option kRun[] = {
    {"max-seconds", "N", "stop after N seconds of host time, with exit status 3",
     [](Options& o, const char* v, std::string& error) {
       return positive("max-seconds", v, false, o.max_seconds, error);
     }},
    {"max-instructions", "N", "stop after N guest instructions, with exit status 3",
     [](Options& o, const char* v, std::string& error) {
       double n;
       if (!positive("max-instructions", v, true, n, error)) return false;
       o.max_instructions = static_cast<u64>(n);
       return true;
     }},
    {"deterministic", nullptr, "the clock counts instructions: the same run every time",
     [](Options& o, const char*, std::string&) { return o.deterministic = true; }},
    {"ns-per-insn", "N", "the time that an instruction takes on that clock, 1 to 1000000; default 10",
     [](Options& o, const char* v, std::string& error) {
       double n;
       if (!positive("ns-per-insn", v, true, n, error)) return false;
       if (n > 1'000'000) {
         error = std::string("--ns-per-insn: ") + v + " is not between 1 and 1000000";
         return false;
       }
       o.ns_per_insn = static_cast<u32>(n);
       return true;
     }},
    {"hash-every", "N", "print the state hash every N instructions (needs --deterministic)",
     [](Options& o, const char* v, std::string& error) {
       double n;
       if (!positive("hash-every", v, true, n, error)) return false;
       o.hash_every = static_cast<u64>(n);
       return true;
     }},
    {"jit", "on|off|L",
     "compile hot code to WebAssembly; default on with --host node, which alone can; L: on, within limits "
     "(docs/testing.md)",
     [](Options&, const char* v, std::string& error) {
       if (!std::strcmp(v, "off")) return true;
       error = std::strcmp(v, "on") ? std::string("--jit: '") + v + "' is not on or off"
                                    : "--jit on: the native command has no WebAssembly engine; use --host node";
       return false;
     }},
    {"verify-jit", nullptr,
     "run tier 0 beside compiled code, stop where they differ; implies --deterministic --snapshot",
     [](Options&, const char*, std::string& error) {
       error = "--verify-jit: the native command has no WebAssembly engine; use --host node";
       return false;
     }},
    {"script", "F", "a test script that types and waits (docs/script.md)", text<&Options::script>},
    {"help", nullptr, "print this", [](Options& o, const char*, std::string&) { return o.help = true; }},
};
const Group kGroups[] = {
    {"What to boot (at least one)", kBoot, std::size(kBoot)},
    {"The machine", kMachine, std::size(kMachine)},
    {"Input and output", kIo, std::size(kIo)},
    {"How to run", kRun, std::size(kRun)},
};

const Option* find(const std::string& name) {
  for (const Group& g : kGroups)
    for (usize i = 0; i < g.count; i++)
      if (name == g.options[i].name) return &g.options[i];
  return nullptr;
}

bool check_together(const Options& o, std::string& error) {
  if (o.kernel.empty()) {
    if (!o.initrd.empty())
      error = "--initrd needs --kernel";
    else if (o.has_append)
      error = "--append needs --kernel";
    else if (o.hda.empty() && o.hdb.empty() && o.virtio.empty() && o.cdrom.empty())
      error = "nothing to boot: give --kernel, --hda, --virtio or --cdrom (see 'oriel run --help')";
  }
  if (o.hash_every && !o.deterministic) error = "--hash-every needs --deterministic";
  if (o.ns_per_insn && !o.deterministic) error = "--ns-per-insn needs --deterministic";
  return error.empty();
}

}  // namespace

std::string help_text() {
  std::string s = "Usage: oriel run [--host node|native] [OPTION]...\n\nBoots a PC.\n\n";
  for (const Group& g : kGroups) {
    s += std::string(g.title) + ":\n";
    for (usize i = 0; i < g.count; i++) {
      const Option& o = g.options[i];
      std::string left = std::string("  --") + o.name + (o.value ? std::string(" ") + o.value : "");
      if (left.size() < 28)
        left.resize(28, ' ');
      else
        left += "\n" + std::string(28, ' ');
      s += left + o.help + "\n";
    }
    s += "\n";
  }
  s += "Exit status: 0 the guest powered off or was quit, 2 wrong call or input, 3 the time or the instructions\n"
       "ran out, 4 the guest shut itself down by a triple fault, 5 it failed by its own report to the test device,\n"
       "6 compiled code and tier 0 differ (--verify-jit), 128 + N ended by signal N.\n"
       "A writable image is locked by IMAGE.lock while it is in use.\n";
  return s;
}

bool parse_options(int argc, char** argv, Options& o, std::string& error) {
  for (int i = 0; i < argc; i++) {
    const std::string arg = argv[i];
    if (arg == "-h") {
      o.help = true;
      continue;
    }
    if (arg.compare(0, 2, "--") != 0) {
      error = "'" + arg + "' is not an option (see 'oriel run --help')";
      return false;
    }
    const usize equals = arg.find('=');
    const std::string name = arg.substr(2, equals == std::string::npos ? equals : equals - 2);
    const Option* option = find(name);
    if (!option) {
      error = "there is no option --" + name + " (see 'oriel run --help')";
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
    } else if (i + 1 < argc) {
      value = argv[++i];
    } else {
      error = "--" + name + " needs a value: " + option->value;
      return false;
    }
    if (!option->set(o, value.c_str(), error)) return false;
  }
  return o.help || check_together(o, error);
}

}  // namespace oriel::cli
