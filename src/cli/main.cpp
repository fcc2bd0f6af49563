// The native command: `oriel run` and `oriel bench`.
#include <cstdio>
#include <cstring>

#include "cli/bench.h"
#include "cli/options.h"
#include "cli/run.h"

using namespace oriel::cli;

int main(int argc, char** argv) {
  const char* command = argc > 1 ? argv[1] : "";
  if (!std::strcmp(command, "--help") || !std::strcmp(command, "-h") || !std::strcmp(command, "help")) {
    std::printf(
        "Usage: oriel COMMAND [OPTION]...\n\n"
        "  run     boot a PC in the terminal          oriel run --help\n"
        "  bench   measure how fast it computes       oriel bench --help\n");
    return 0;
  }
  if (!std::strcmp(command, "bench")) return bench(argc - 2, argv + 2);
  if (std::strcmp(command, "run") != 0) {
    if (*command)
      std::fprintf(stderr, "oriel: there is no command '%s' here (see 'oriel --help')\n", command);
    else
      std::fprintf(stderr, "oriel: which command? (see 'oriel --help')\n");
    return kUsage;
  }
  Options o;
  std::string error;
  if (!parse_options(argc - 2, argv + 2, o, error)) {
    std::fprintf(stderr, "oriel: %s\n", error.c_str());
    return kUsage;
  }
  if (o.help) {
    std::printf("%s", help_text().c_str());
    return 0;
  }
  return run(o);
}
