#include "cli/bench.h"

#include <sys/mman.h>

#include <cstdio>
#include <utility>

#include "bench/command.h"
#include "cli/files.h"
#include "cli/native_host.h"

namespace oriel::cli {

namespace {

// Zeroed memory for a machine, for as long as it lives.
class Ram {
 public:
  Ram() : p_(::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)) {}
  ~Ram() {
    if (p_ != MAP_FAILED) ::munmap(p_, kBytes);
  }
  Ram(const Ram&) = delete;
  Ram& operator=(const Ram&) = delete;
  u8* bytes() const { return p_ == MAP_FAILED ? nullptr : static_cast<u8*>(p_); }

 private:
  static constexpr usize kBytes = oriel::bench::PayloadMachine::kMemoryBytes;
  void* p_;
};

}  // namespace

int bench(int argc, char** argv) {
  namespace b = oriel::bench;
  b::Options o;
  std::string error;
  if (!b::parse_options({argv, argv + argc}, false, o, error)) return usage(error);
  if (o.help) {
    std::printf("%s", b::help_text().c_str());
    return 0;
  }
  std::vector<u8> raw;
  if (!o.raw.empty() && !read_whole(o.raw, raw, error)) return usage(error);

  NativeHost host;
  int status = b::kDone;
  std::string results, head = b::table_head();
  for (usize n = 0; n < o.cases(); n++) {
    const Ram ram;
    auto c = b::Case::create(host, o, n, raw, ram.bytes(), error);
    if (!c) return usage(error);
    while (c->step()) {
    }
    if (c->status() != b::kDone) {
      std::fprintf(stderr, "oriel: %s\n", c->failure().c_str());
      status = c->status();
    }
    if (!c->measured()) continue;
    if (o.json)
      results += (results.empty() ? "" : ",\n") + c->json("native");
    else
      std::printf("%s%s", std::exchange(head, {}).c_str(), c->row().c_str());
    std::fflush(stdout);
  }
  if (o.json && !results.empty()) std::printf("%s\n", b::document(o, results, {}).c_str());
  return status;
}

}  // namespace oriel::cli
