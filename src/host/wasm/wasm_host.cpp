// oriel.wasm's exports: one machine behind flat functions of numbers and pointers. web/src/core.ts is the
// other side. Texts come back as a pointer, with their length from oriel_text_size().
#include "host/wasm/wasm_host.h"

#include <wasm_simd128.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "bench/command.h"
#include "jit/jit.h"
#include "jit/x87_call.h"
#include "machine/machine.h"
#include "machine/script.h"

namespace oriel {
namespace {

class WasmHost final : public Host {
 public:
  std::unique_ptr<Script> script;
  u64 monotonic_ns() override { return static_cast<u64>(imports::now_ns()); }
  u64 wall_clock_s() override { return static_cast<u64>(imports::wall_clock_s()); }
  u64 cpu_ns() override { return static_cast<u64>(imports::cpu_ns()); }
  void log(LogLevel level, const char* text) override {
    imports::log(static_cast<u32>(level), text, std::strlen(text));
  }
  void serial_output(unsigned port, const u8* data, usize n) override {
    imports::serial_output(port, data, n);
    if (port == 0 && script) script->serial_output(data, n);
  }
  void debug_output(u8 byte) override { imports::debug_output(byte); }
  Compiled compile(const u8* module, usize n, u32 number, bool may_wait) override {
    return static_cast<Compiled>(imports::compile(module, n, number, may_wait));
  }
  bool install(u32 number, u32* slots, u32 count) override { return imports::install(number, slots, count) != 0; }
  bool provide(const u8* module, usize n) override { return imports::provide(module, n) != 0; }
  void release(const u32* slots, u32 count) override { imports::release(slots, count); }
  void compiled_ran(u64 from, u64 to, u64 registers) override {
    imports::compiled_ran(static_cast<double>(from), static_cast<double>(to), static_cast<double>(registers));
  }
};

class HostStore final : public ByteStore {
 public:
  HostStore(u32 handle, u64 size, bool writable) : handle_(handle), size_(size), writable_(writable) {}
  u64 size() const override { return size_; }
  bool writable() const override { return writable_; }
  bool read(u64 offset, void* buf, usize n) override {
    return imports::block_read(handle_, static_cast<double>(offset), buf, n) != 0;
  }
  bool write(u64 offset, const void* buf, usize n) override {
    return writable_ && imports::block_write(handle_, static_cast<double>(offset), buf, n) != 0;
  }
  bool flush() override { return imports::block_flush(handle_) != 0; }

 private:
  u32 handle_;
  u64 size_;
  bool writable_;
};

// A module holds one machine, or one benchmark in a machine of its own.
struct Instance {
  WasmHost host;
  MachineConfig config;
  std::unique_ptr<Machine> machine;
  bench::Options bench_options;
  std::vector<u8> payload;
  std::unique_ptr<bench::Case> bench;
  bench::JitSummary jit, jit_sum;
  std::string text;  // what the last call that returns a text returned
  std::vector<u8> pixels;
  std::vector<Rect> rects;
  u32 pixels_generation = 0;
  u32 screen_info[6] = {};
  u8* ram = nullptr;
  std::vector<u32> written;
};

Instance& instance() {
  static Instance i;
  return i;
}

const char* give(std::string text) {
  Instance& i = instance();
  i.text = std::move(text);
  return i.text.c_str();
}

constexpr u32 kWasmPage = 65536;

// Fresh pages of linear memory: zeroed, and not committed by the host before they are touched.
u8* grow_memory(u64 bytes) {
  u64 pages = (bytes + kWasmPage - 1) / kWasmPage;
  if (pages > 65536) return nullptr;
  usize old = __builtin_wasm_memory_grow(0, static_cast<usize>(pages));
  if (old == static_cast<usize>(-1)) return nullptr;
  return reinterpret_cast<u8*>(old * kWasmPage);
}

// Whether malloc can give `n` bytes: without exceptions, a container that cannot grow would trap.
bool can_allocate(usize n) {
  void* p = std::malloc(n);
  std::free(p);
  return p != nullptr;
}

}  // namespace

// ---- Configuration, before create ------------------------------------------------------------------

enum class ConfigNumber : u32 { kMemoryBytes, kDeterministic, kNsPerInsn, kBootOrder, kTestDevice, kTrackWrites };
enum class ConfigBlob : u32 { kBios, kVgaBios, kAppend };
enum class ConfigStore : u32 { kKernel, kInitrd };

ORIEL_EXPORT(config_number) void config_number(u32 field, double value) {
  MachineConfig& c = instance().config;
  switch (static_cast<ConfigNumber>(field)) {
    case ConfigNumber::kMemoryBytes: c.memory_bytes = static_cast<u64>(value); break;
    case ConfigNumber::kDeterministic: c.deterministic = value != 0; break;
    case ConfigNumber::kNsPerInsn: c.ns_per_insn = static_cast<u32>(value); break;
    case ConfigNumber::kBootOrder: c.boot_order = static_cast<char>(value); break;
    case ConfigNumber::kTestDevice: c.test_device = value != 0; break;
    case ConfigNumber::kTrackWrites: c.track_writes = value != 0; break;
  }
}

// Where the host writes the `n` bytes of a firmware image, ...; null when there is no memory for them.
ORIEL_EXPORT(config_blob) u8* config_blob(u32 field, usize n) {
  MachineConfig& c = instance().config;
  if (!can_allocate(n + 1)) return nullptr;
  auto sized = [n](auto& v) {
    v.resize(n);
    return reinterpret_cast<u8*>(v.data());
  };
  switch (static_cast<ConfigBlob>(field)) {
    case ConfigBlob::kBios: return sized(c.bios);
    case ConfigBlob::kVgaBios: return sized(c.vgabios);
    case ConfigBlob::kAppend: return sized(c.append);
  }
  return nullptr;
}

ORIEL_EXPORT(config_store) void config_store(u32 field, u32 handle, double size) {
  MachineConfig& c = instance().config;
  auto& store = static_cast<ConfigStore>(field) == ConfigStore::kKernel ? c.kernel : c.initrd;
  store = std::make_unique<HostStore>(handle, static_cast<u64>(size), false);
}

// Returns an empty text, or what is wrong with the image.
ORIEL_EXPORT(config_disk)
const char* config_disk(u32 slot, u32 handle, double size, u32 writable, u32 snapshot) {
  MachineConfig& c = instance().config;
  bool is_cdrom = static_cast<DiskSlot>(slot) == DiskSlot::kCdrom;
  std::string error;
  auto store = std::make_unique<HostStore>(handle, static_cast<u64>(size), writable != 0);
  auto device = open_image(std::move(store), snapshot != 0, is_cdrom, error);
  if (!device) return give(error);
  switch (static_cast<DiskSlot>(slot)) {
    case DiskSlot::kHda: c.hda = std::move(device); break;
    case DiskSlot::kHdb: c.hdb = std::move(device); break;
    case DiskSlot::kCdrom: c.cdrom = std::move(device); break;
    case DiskSlot::kVirtio: c.virtio = std::move(device); break;
  }
  return give("");
}

// Returns an empty text, or what is wrong with the `n` bytes of the script.
ORIEL_EXPORT(config_script) const char* config_script(const char* text, usize n) {
  std::string error;
  instance().host.script = Script::parse(std::string(text, n), error);
  return give(error);
}

// Compile hot code, within the limits that a text gives (jit/config.h: set_limits()). Returns an empty text, or what is
// wrong with it.
ORIEL_EXPORT(config_jit) const char* config_jit(const char* text, usize n) {
  MachineConfig& c = instance().config;
  c.jit = true;
  std::string error;
  jit::set_limits(std::string(text, n), c.jit_limits, error);
  return give(error);
}

// Returns an empty text, or why the guest cannot have its memory. After everything else that is configured.
ORIEL_EXPORT(config_memory) const char* config_memory() {
  MachineConfig& c = instance().config;
  c.ram = instance().ram = grow_memory(c.memory_bytes);
  return give(c.ram ? "" : "cannot have " + std::to_string(c.memory_bytes >> 20) + " MiB of memory");
}

namespace {
jit::Jit* compiler;  // of the machine
}

// Returns an empty text, or why there is no machine.
ORIEL_EXPORT(create) const char* create() {
  Instance& i = instance();
  if (i.machine) return give("there is a machine already");
  std::string error;
  i.machine = Machine::create(i.host, std::move(i.config), error);
  i.config = MachineConfig{};
  if (i.machine) {
    compiler = i.machine->compiler();
    return give("");
  }
  return give(error.empty() ? "the machine cannot be made" : error);
}

// ---- Running: create() succeeded before any of these -----------------------------------------------

ORIEL_EXPORT(run) u32 run(double max_insns, double max_host_ns) {
  return static_cast<u32>(instance().machine->run(static_cast<u64>(max_insns), static_cast<u64>(max_host_ns)));
}
ORIEL_EXPORT(idle_ns) double idle_ns() { return static_cast<double>(instance().machine->idle_ns()); }
ORIEL_EXPORT(reset) void reset() { instance().machine->reset(); }
ORIEL_EXPORT(power_button) void power_button() { instance().machine->power_button(); }
ORIEL_EXPORT(key) void key(u32 scancode, u32 down) { instance().machine->key(static_cast<u16>(scancode), down != 0); }
ORIEL_EXPORT(mouse) void mouse(s32 dx, s32 dy, s32 dz, u32 buttons) { instance().machine->mouse(dx, dy, dz, buttons); }
ORIEL_EXPORT(serial_input) usize serial_input(u32 port, const u8* data, usize n) {
  return instance().machine->serial_input(port, data, n);
}
ORIEL_EXPORT(insert_cd) const char* insert_cd(u32 handle, double size) {
  std::string error;
  auto cd = open_image(std::make_unique<HostStore>(handle, static_cast<u64>(size), false), false, true, error);
  if (!cd) return give(error);
  instance().machine->insert_cd(std::move(cd));
  return give("");
}
// What the guest wrote to a disk that is a snapshot: sectors, and where the next that were written begin and end.
ORIEL_EXPORT(disk_next_changed) double disk_next_changed(u32 slot, double sector) {
  const BlockDevice* d = instance().machine->disk(static_cast<DiskSlot>(slot));
  return d ? static_cast<double>(d->next_changed(static_cast<u64>(sector))) : sector;
}
ORIEL_EXPORT(disk_next_unchanged) double disk_next_unchanged(u32 slot, double sector) {
  const BlockDevice* d = instance().machine->disk(static_cast<DiskSlot>(slot));
  return d ? static_cast<double>(d->next_unchanged(static_cast<u64>(sector))) : sector;
}
ORIEL_EXPORT(disk_read) u32 disk_read(u32 slot, double sector, u32 count, u8* to) {
  BlockDevice* d = instance().machine->disk(static_cast<DiskSlot>(slot));
  return d && d->read(static_cast<u64>(sector), count, to);
}
ORIEL_EXPORT(eject_cd) void eject_cd() { instance().machine->insert_cd(nullptr); }
ORIEL_EXPORT(flush) u32 flush() { return instance().machine->flush_disks(); }

// ---- Compiled code calls these (jit/wasm/emit.h: Import) ---------------------------------------------

ORIEL_EXPORT(jit_fill) u32 jit_fill(u64 lin, u32 size_and_write) { return compiler->fill(lin, size_and_write); }
ORIEL_EXPORT(jit_step) u32 jit_step(jit::Site* site, u64 page) { return compiler->step(site, page); }
ORIEL_EXPORT(jit_condition) u32 jit_condition(u32 kind, u64 a, u64 b, u32 cc) {
  return compiler->condition(kind, a, b, cc);
}
ORIEL_EXPORT(jit_commit) u32 jit_commit(u32 kind, u64 a, u64 b) { return compiler->commit(kind, a, b); }
ORIEL_EXPORT(jit_simd) v128_t jit_simd(u32 what, v128_t a, v128_t b) {
  return std::bit_cast<v128_t>(compiler->simd(what, std::bit_cast<V128>(a), std::bit_cast<V128>(b)));
}
ORIEL_EXPORT(jit_string) u64 jit_string(u32 what, u64 src, u64 dst, u64 count) {
  return compiler->string(what, src, dst, count);
}

#define X87(NAME)                                                                    \
  ORIEL_EXPORT(jit_##NAME) u32 jit_##NAME(Fpu& f, u32 what, u32 st, void* operand) { \
    return jit::NAME(compiler, f, what, st, operand);                                \
  }
X87(x87_add)
X87(x87_mul)
X87(x87_div)
X87(x87_store)
X87(x87_compare)
ORIEL_EXPORT(jit_x87_load) u32 jit_x87_load(Fpu& f, u32 what, u32 st, void* operand) {
  return compiler->x87_load(what, jit::x87_register(f, st), operand);
}
#undef X87

// Jit::compiled().
ORIEL_EXPORT(jit_compiled) void jit_compiled(u32 number, u32 ok, double ns) {
  compiler->compiled(number, ok != 0, static_cast<u64>(ns));
}

// ---- The script, when there is one ------------------------------------------------------------------

// Returns a Script::Step.
ORIEL_EXPORT(script_step) u32 script_step() {
  return static_cast<u32>(instance().host.script->step(*instance().machine));
}
ORIEL_EXPORT(script_text) const char* script_text() { return give(instance().host.script->text()); }
ORIEL_EXPORT(script_waiting_for) const char* script_waiting_for() {
  return give(instance().host.script->waiting_for());
}
ORIEL_EXPORT(script_idle_ns) double script_idle_ns() {
  return static_cast<double>(instance().host.script->idle_ns(*instance().machine));
}

// ---- The screen ------------------------------------------------------------------------------------

// width, height, text columns, text rows, blank, generation
ORIEL_EXPORT(screen_info) const u32* screen_info() {
  Instance& i = instance();
  ScreenInfo s = i.machine->screen().info();
  const u32 values[6] = {s.width, s.height, s.text_columns, s.text_rows, s.blank, s.generation};
  std::memcpy(i.screen_info, values, sizeof values);
  return i.screen_info;
}
// Returns how many rectangles changed in screen_pixels(); they are at screen_rects(), four u32 each.
ORIEL_EXPORT(screen_render) usize screen_render(u32 everything, u32 blink_on) {
  Instance& i = instance();
  Screen& screen = i.machine->screen();
  ScreenInfo s = screen.info();
  usize n = usize{s.width} * s.height * 4;
  i.rects.clear();
  if (n == 0) return 0;
  bool fresh = i.pixels.size() != n || i.pixels_generation != s.generation;
  if (i.pixels.size() != n) {
    i.pixels = {};
    if (!can_allocate(n)) return 0;
    i.pixels.resize(n);
  }
  i.pixels_generation = s.generation;
  i.rects = screen.render(i.pixels.data(), everything != 0 || fresh, blink_on != 0);
  return i.rects.size();
}
ORIEL_EXPORT(screen_pixels) const u8* screen_pixels() { return instance().pixels.data(); }
ORIEL_EXPORT(screen_rects) const Rect* screen_rects() { return instance().rects.data(); }
ORIEL_EXPORT(screen_text) const char* screen_text() { return give(instance().machine->screen().text()); }

// ---- Numbers and dumps -----------------------------------------------------------------------------

ORIEL_EXPORT(instructions) double instructions() { return static_cast<double>(instance().machine->instructions()); }
ORIEL_EXPORT(virtual_time_ns) double virtual_time_ns() {
  return static_cast<double>(instance().machine->virtual_time_ns());
}
ORIEL_EXPORT(state_hash) u64 state_hash() { return instance().machine->state_hash(); }
ORIEL_EXPORT(touched_pages) double touched_pages() { return static_cast<double>(instance().machine->touched_pages()); }
ORIEL_EXPORT(stats_json) const char* stats_json() { return give(instance().machine->stats_json()); }
ORIEL_EXPORT(triple_fault_report) const char* triple_fault_report() {
  return give(instance().machine->triple_fault_report());
}
ORIEL_EXPORT(debug_dump) const char* debug_dump() { return give(instance().machine->debug_dump()); }

// ---- For --verify-jit (web/src/node/verify.ts) --------------------------------------------------------

ORIEL_EXPORT(registers) double registers() { return static_cast<double>(instance().machine->register_hash()); }
ORIEL_EXPORT(register_text) const char* register_text() { return give(instance().machine->register_text()); }
// The IR of the unit that ran last.
ORIEL_EXPORT(unit_text) const char* unit_text() { return give(compiler->unit_text()); }
ORIEL_EXPORT(ram) u8* ram() { return instance().ram; }
// The numbers of the pages of RAM that were written since the last call, with their count before them.
ORIEL_EXPORT(written_pages) const u32* written_pages() {
  Instance& i = instance();
  i.written = i.machine->take_written();
  i.written.insert(i.written.begin(), static_cast<u32>(i.written.size()));
  return i.written.data();
}

ORIEL_EXPORT(text_size) usize text_size() { return instance().text.size(); }

// ---- A benchmark instead (bench/command.h); web/src/bench.ts is the other side ----------------------------

// `args`: each ends with a NUL. Returns an empty text, or what is wrong with them.
ORIEL_EXPORT(bench_options) const char* bench_options(const char* args, usize n, u32 can_compile) {
  std::vector<std::string> list;
  for (usize at = 0; at < n; at += list.back().size() + 1) list.emplace_back(args + at);
  std::string error;
  bench::parse_options(list, can_compile != 0, instance().bench_options, error);
  return give(error);
}
// What the options ask for.
ORIEL_EXPORT(bench_help) const char* bench_help() {
  return give(instance().bench_options.help ? bench::help_text() : "");
}
ORIEL_EXPORT(bench_file) const char* bench_file() { return give(instance().bench_options.raw); }
ORIEL_EXPORT(bench_wants_json) u32 bench_wants_json() { return instance().bench_options.json; }
ORIEL_EXPORT(bench_cases) usize bench_cases() { return instance().bench_options.cases(); }
ORIEL_EXPORT(bench_head) const char* bench_head() { return give(bench::table_head()); }
// All that --json prints.
ORIEL_EXPORT(bench_document) const char* bench_document(const char* results, usize n) {
  const Instance& i = instance();
  return give(bench::document(i.bench_options, {results, n}, i.jit_sum));
}
// The last line of the table; empty in a mode without a compiler.
ORIEL_EXPORT(bench_jit_line) const char* bench_jit_line() {
  const Instance& i = instance();
  return give(i.bench_options.mode == bench::Mode::kInterpreter ? "" : i.jit_sum.line());
}
// Each payload has an instance of its own. For the sum: the numbers of this one's, and those of another instance.
ORIEL_EXPORT(bench_jit) const double* bench_jit() {
  Instance& i = instance();
  static_assert(sizeof i.jit == 5 * sizeof(double));
  i.jit = i.bench->jit();
  return &i.jit.units;
}
ORIEL_EXPORT(bench_jit_add)
void bench_jit_add(double units, double compile_ns, double lookup_hits, double lookup_misses, double deopts) {
  instance().jit_sum.add({units, compile_ns, lookup_hits, lookup_misses, deopts});
}
// Where the host writes the `n` bytes of the file; null when there is no memory for them.
ORIEL_EXPORT(bench_payload) u8* bench_payload(usize n) {
  if (!can_allocate(n + 1)) return nullptr;
  instance().payload.resize(n);
  return instance().payload.data();
}
// Returns an empty text, or why number `index` cannot be measured. One for each instance.
ORIEL_EXPORT(bench_create) const char* bench_create(usize index) {
  Instance& i = instance();
  std::string error;
  u8* ram = grow_memory(bench::PayloadMachine::kMemoryBytes);
  i.bench = bench::Case::create(i.host, i.bench_options, index, std::move(i.payload), ram, error);
  if (i.bench) compiler = i.bench->machine().compiler();
  return give(error);
}
ORIEL_EXPORT(bench_step) u32 bench_step() { return instance().bench->step(); }
// After the last step.
ORIEL_EXPORT(bench_status) u32 bench_status() { return instance().bench->status(); }
ORIEL_EXPORT(bench_failure) const char* bench_failure() { return give(instance().bench->failure()); }
ORIEL_EXPORT(bench_measured) u32 bench_measured() { return instance().bench->measured(); }
ORIEL_EXPORT(bench_row) const char* bench_row() { return give(instance().bench->row()); }
ORIEL_EXPORT(bench_json) const char* bench_json(const char* host, usize n) {
  return give(instance().bench->json(std::string(host, n).c_str()));
}

ORIEL_EXPORT(alloc) void* alloc(usize n) { return std::malloc(n); }
ORIEL_EXPORT(free) void free_(void* p) { std::free(p); }

}  // namespace oriel
