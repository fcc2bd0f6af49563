#include "cli/run.h"

#include <png.h>
#include <signal.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "cli/files.h"
#include "cli/native_host.h"
#include "cli/terminal.h"
#include "machine/machine.h"
#include "machine/script.h"

namespace oriel::cli {

namespace {

constexpr u64 kSliceNs = 15'000'000;
// In the deterministic mode input enters at multiples of this many instructions (and when the guest waits for
// nothing but input), so that a script's run is the same on every host: web/src/node/run.ts has the same number.
constexpr u64 kDeterministicSlice = 250'000;

volatile sig_atomic_t g_signal = 0;
void on_signal(int n) { g_signal = n; }

class RunHost final : public NativeHost {
 public:
  ByteSink serial, debugcon;
  Script* script = nullptr;
  void serial_output(unsigned port, const u8* data, usize n) override {
    if (port != 0) return;
    serial.add(data, n);
    if (script) script->serial_output(data, n);
  }
  void debug_output(u8 byte) override { debugcon.add(&byte, 1); }
};

// Not getrusage(), which also counts what the parent took when it forked.
u64 peak_rss_bytes() {
  std::vector<u8> status;
  std::string error;
  if (!read_whole("/proc/self/status", status, error)) return 0;
  const std::string text(status.begin(), status.end());
  const usize at = text.find("VmHWM:");
  return at == std::string::npos ? 0 : std::strtoull(text.c_str() + at + 6, nullptr, 10) * 1024;
}

bool screenshot(Machine& m, const std::string& path, std::string& error) {
  Screen& screen = m.screen();
  ScreenInfo info = screen.info();
  // A display that is off has no picture: one black pixel.
  const u32 w = std::max(1u, info.width), h = std::max(1u, info.height);
  std::vector<u8> rgba(usize{w} * h * 4);
  if (info.width && info.height)
    screen.render(rgba.data(), true, true);
  else
    rgba[3] = 255;
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = w;
  image.height = h;
  image.format = PNG_FORMAT_RGBA;
  png_alloc_size_t size = 0;
  std::vector<u8> file;
  bool ok = png_image_write_to_memory(&image, nullptr, &size, 0, rgba.data(), 0, nullptr);
  if (ok) {
    file.resize(size);
    ok = png_image_write_to_memory(&image, file.data(), &size, 0, rgba.data(), 0, nullptr);
  }
  if (!ok) {
    error = path + ": " + image.message;
    return false;
  }
  return write_whole(path, file.data(), size, error);
}

class Run {
 public:
  explicit Run(const Options& o) : o_(o) {}

  int main() {
    std::string error;
    MachineConfig config;
    if (!read_inputs(config, error) || !open_disks(config, error)) return usage(error);
    config.memory_bytes = o_.memory_mib << 20;
    config.deterministic = o_.deterministic;
    if (o_.ns_per_insn) config.ns_per_insn = o_.ns_per_insn;
    config.append = o_.append;
    config.boot_order = o_.boot;
    config.test_device = o_.test_device;
    void* ram = ::mmap(nullptr, config.memory_bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (ram == MAP_FAILED) return usage("cannot have " + std::to_string(o_.memory_mib) + " MiB of memory");
    config.ram = static_cast<u8*>(ram);
    const std::string kernel = o_.kernel;
    machine_ = Machine::create(host_, std::move(config), error);
    if (!machine_) return usage(kernel.empty() ? error : kernel + ": " + error);
    if (!host_.serial.open(o_.serial, 1, error) || !host_.debugcon.open(o_.debugcon, 2, error)) return usage(error);
    host_.script = script_.get();

    struct sigaction sa{};
    sa.sa_handler = on_signal;
    for (int s : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(s, &sa, nullptr);
    ::signal(SIGPIPE, SIG_IGN);

    int status = loop();
    host_.serial.flush();
    if (!machine_->flush_disks()) std::fprintf(stderr, "oriel: not everything the guest wrote reached its image\n");
    if (!o_.display_png.empty() && !screenshot(*machine_, o_.display_png, error)) return usage(error);
    if (!o_.stats_json.empty()) {
      const std::string s = stats(status);
      if (!write_whole(o_.stats_json, s.data(), s.size(), error)) return usage(error);
    }
    return status;
  }

 private:
  bool read_inputs(MachineConfig& config, std::string& error) {
    struct Input {
      const std::string& path;
      std::vector<u8>& bytes;
    };
    auto not_empty = [&error](const std::string& path, u64 bytes) {
      if (bytes == 0) error = path + ": is empty";
      return bytes != 0;
    };
    for (const Input& i : {Input{o_.bios, config.bios}, Input{o_.vgabios, config.vgabios}})
      if (!read_whole(i.path, i.bytes, error) || !not_empty(i.path, i.bytes.size())) return false;
    struct Source {
      const std::string& path;
      std::unique_ptr<ByteStore>& store;
    };
    for (const Source& s : {Source{o_.kernel, config.kernel}, Source{o_.initrd, config.initrd}}) {
      if (s.path.empty()) continue;
      s.store = open_file(s.path, false, error);
      if (!s.store || !not_empty(s.path, s.store->size())) return false;
    }
    if (!o_.script.empty()) {
      std::vector<u8> text;
      if (!read_whole(o_.script, text, error)) return false;
      script_ = Script::parse(std::string(text.begin(), text.end()), error);
      if (!script_) {
        error = o_.script + ": " + error;
        return false;
      }
    }
    for (const std::string* path : {&o_.display_png, &o_.stats_json})
      if (!path->empty() && !check_output(*path, error)) return false;
    for (const Target* t : {&o_.serial, &o_.debugcon})
      if (t->kind == Target::Kind::kFile && !check_output(t->path, error)) return false;
    return true;
  }

  bool open_disks(MachineConfig& config, std::string& error) {
    struct Slot {
      const std::string& path;
      std::unique_ptr<BlockDevice>& device;
      bool cdrom;
    };
    for (const Slot& s : {Slot{o_.hda, config.hda, false}, Slot{o_.hdb, config.hdb, false},
                          Slot{o_.virtio, config.virtio, false}, Slot{o_.cdrom, config.cdrom, true}}) {
      if (s.path.empty()) continue;
      auto store = open_file(s.path, !s.cdrom && !o_.snapshot, error);
      if (!store) return false;
      s.device = open_image(std::move(store), o_.snapshot && !s.cdrom, s.cdrom, error);
      if (!s.device) {
        error = s.path + ": " + error;
        return false;
      }
    }
    return true;
  }

  int ran_out(const std::string& what) {
    std::fprintf(stderr, "oriel: stopped after %s\n", what.c_str());
    if (script_ && !script_->waiting_for().empty())
      std::fprintf(stderr, "oriel: the script waits at %s\n", script_->waiting_for().c_str());
    return kTimeOut;
  }

  // True: go on. False: the script ended the run.
  bool run_script() {
    for (;;) {
      switch (script_->step(*machine_)) {
        case Script::Step::kWaiting:
        case Script::Step::kFinished: return true;
        case Script::Step::kEnd: return false;
        case Script::Step::kPrint: std::printf("%s", script_->text().c_str()), std::fflush(stdout); break;
        case Script::Step::kScreenshot: {
          std::string error;
          if (!screenshot(*machine_, script_->text(), error)) std::fprintf(stderr, "oriel: %s\n", error.c_str());
          break;
        }
      }
    }
  }

  int loop() {
    Machine& m = *machine_;
    bool quit = false;
    std::unique_ptr<TerminalInput> input;
    if (o_.serial.kind == Target::Kind::kStdio) {
      input = std::make_unique<TerminalInput>(TerminalInput::Commands{
          [&] { quit = true; }, [&] { m.power_button(); }, [&] { m.reset(); }, [&] { return m.debug_dump(); }});
    }
    start_ns_ = host_.monotonic_ns();
    const u64 end_ns = o_.max_seconds > 0 ? start_ns_ + static_cast<u64>(o_.max_seconds * 1e9) : ~u64{0};
    u64 next_hash = o_.hash_every ? o_.hash_every : ~u64{0};
    bool take_input = true;
    for (;;) {
      if (quit) return kPoweredOff;
      if (g_signal) return kSignal + g_signal;
      if (host_.monotonic_ns() >= end_ns) {
        char text[40];
        std::snprintf(text, sizeof text, "%g seconds", o_.max_seconds);
        return ran_out(text);
      }
      if (input) input->read();
      if (input && take_input) {
        input->drain([&](const u8* p, usize n) { return m.serial_input(0, p, n); });
      }
      if (script_ && take_input && !run_script()) return kPoweredOff;

      const u64 done = m.instructions();
      if (o_.max_instructions && done >= o_.max_instructions)
        return ran_out(std::to_string(o_.max_instructions) + " instructions");
      u64 room = next_hash - done;
      if (o_.max_instructions) room = std::min(room, o_.max_instructions - done);
      const MachineStatus status =
          o_.deterministic ? m.run(std::min(room, kDeterministicSlice - done % kDeterministicSlice), ~u64{0})
                           : m.run(room, kSliceNs);
      take_input = !o_.deterministic || status == MachineStatus::kIdle || m.instructions() % kDeterministicSlice == 0;
      if (!host_.serial.flush()) return kSignal + SIGPIPE;
      host_.debugcon.flush();

      while (m.instructions() >= next_hash) {
        std::fprintf(stderr, "hash %llu %016llx\n", static_cast<unsigned long long>(m.instructions()),
                     static_cast<unsigned long long>(m.state_hash()));
        next_hash += o_.hash_every;
      }
      if (status == MachineStatus::kPoweredOff) return kPoweredOff;
      if (status == MachineStatus::kFailed) return kGuestFailed;
      if (status == MachineStatus::kTripleFault) {
        std::fprintf(stderr, "oriel: the guest shut itself down by a triple fault\n%s\n",
                     m.triple_fault_report().c_str());
        return kTripleFaulted;
      }
      if (status == MachineStatus::kIdle) {
        u64 ns = std::min<u64>(m.idle_ns(), 1'000'000'000);
        if (script_) ns = std::min(ns, script_->idle_ns(m));
        ns = std::min(ns, end_ns - std::min(end_ns, host_.monotonic_ns()));
        sleep(ns, input.get());
      }
    }
  }

  void sleep(u64 ns, TerminalInput* input) {
    const u64 before = host_.monotonic_ns();
    if (input && input->waiting()) {
      // The port could not take it all yet.
    } else if (input && ns >= 1'000'000) {
      input->wait(static_cast<int>(ns / 1'000'000));
    } else {
      timespec t{static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
      ::nanosleep(&t, nullptr);
    }
    slept_ns_ += host_.monotonic_ns() - before;
  }

  std::string stats(int status) {
    const double seconds = static_cast<double>(host_.monotonic_ns() - start_ns_) / 1e9;
    const double busy = seconds - static_cast<double>(slept_ns_) / 1e9;
    char head[512];
    std::snprintf(
        head, sizeof head,
        "{\n  \"host\": \"native\",\n  \"exit_status\": %d,\n  \"seconds\": %.3f,\n  \"busy_seconds\": %.3f,\n"
        "  \"instructions\": %llu,\n  \"mips\": %.3f,\n  \"touched_bytes\": %llu,\n  \"peak_rss_bytes\": %llu,\n  "
        "\"machine\": ",
        status, seconds, busy, static_cast<unsigned long long>(machine_->instructions()),
        static_cast<double>(machine_->instructions()) / 1e6 / busy,
        static_cast<unsigned long long>(machine_->touched_pages() * 4096),
        static_cast<unsigned long long>(peak_rss_bytes()));
    return head + machine_->stats_json() + "\n}\n";
  }

  const Options& o_;
  RunHost host_;
  std::unique_ptr<Script> script_;
  std::unique_ptr<Machine> machine_;
  u64 start_ns_ = 0, slept_ns_ = 0;
};

}  // namespace

int run(const Options& o) { return Run(o).main(); }

}  // namespace oriel::cli
