// The native command line. The Node command (web/src/node/options.ts) takes the same options.
#pragma once

#include <optional>
#include <string>

#include "base/types.h"

namespace oriel::cli {

enum ExitStatus : int {
  kPoweredOff = 0,
  kUsage = 2,
  kTimeOut = 3,
  kTripleFaulted = 4,
  kGuestFailed = 5,
  kSignal = 128
};

struct Target {
  enum class Kind : u8 { kStdio, kNone, kFile } kind = Kind::kStdio;
  std::string path;
};

struct Options {
  std::string kernel, initrd, append, hda, hdb, cdrom, virtio;
  bool has_append = false;
  char boot = 0;
  bool snapshot = false;
  u64 memory_mib = 512;
  bool test_device = false;
  std::string bios = "/usr/share/seabios/bios-256k.bin", vgabios = "/usr/share/seabios/vgabios-stdvga.bin";
  Target serial, debugcon{Target::Kind::kNone, {}};
  std::string display_png, stats_json, script;
  double max_seconds = 0;    // 0: no limit
  u64 max_instructions = 0;  // 0: no limit
  bool deterministic = false;
  u32 ns_per_insn = 0;  // 0: the machine's default
  u64 hash_every = 0;
  bool help = false;
};

// False and one line in `error` for a wrong call.
bool parse_options(int argc, char** argv, Options& o, std::string& error);
std::string help_text();

}  // namespace oriel::cli
