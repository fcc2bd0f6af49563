// Fuzzes the whole machine from inside and outside at once: the input becomes a BIOS image whose code makes random
// port, MMIO, configuration and memory accesses (VGA, IDE, virtio, fw_cfg DMA, APICs and all the rest, as wired in
// a PC), interleaved with what a host does: keys, mouse, serial input, screen updates, CD changes, resets.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "machine/machine.h"

using namespace oriel;

namespace {

void check(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "machine_fuzz: %s\n", what);
  std::abort();
}

class Input {
 public:
  Input(const u8* p, usize n) : p_(p), left_(n) {}
  bool empty() const { return left_ == 0; }
  u8 byte() {
    if (!left_) return 0;
    left_--;
    return *p_++;
  }
  u16 half() {
    u16 low = byte();
    return static_cast<u16>(low | byte() << 8);
  }
  u32 word() {
    u32 low = half();
    return low | static_cast<u32>(half()) << 16;
  }

 private:
  const u8* p_;
  usize left_;
};

class QuietHost final : public Host {
 public:
  u64 monotonic_ns() override { return now_ += 1'000'000; }
  u64 wall_clock_s() override { return 0; }
  void log(LogLevel, const char*) override {}
  void serial_output(unsigned, const u8*, usize) override {}
  void debug_output(u8) override {}

 private:
  u64 now_ = 0;
};

class MemoryStore final : public ByteStore {
 public:
  MemoryStore(usize size, bool can_write) : data_(size, 0x5a), writable_(can_write) {}
  u64 size() const override { return data_.size(); }
  bool writable() const override { return writable_; }
  bool read(u64 offset, void* buf, usize n) override {
    check(offset <= data_.size() && n <= data_.size() - offset, "a read beyond the image");
    std::memcpy(buf, data_.data() + offset, n);
    return true;
  }
  bool write(u64 offset, const void* buf, usize n) override {
    check(writable_ && offset <= data_.size() && n <= data_.size() - offset, "a write that must not be");
    std::memcpy(data_.data() + offset, buf, n);
    return true;
  }
  bool flush() override { return true; }

 private:
  std::vector<u8> data_;
  bool writable_;
};

std::unique_ptr<BlockDevice> image(usize size, bool snapshot, bool cdrom) {
  std::string error;
  return open_image(std::make_unique<MemoryStore>(size, !cdrom), snapshot, cdrom, error);
}

constexpr u32 kVgaBar = 0xe0000000, kVirtioBar = 0xfe000000, kRam = 4 << 20, kBios = 0x20000;
constexpr u16 kBusMaster = 0xc000, kPm = 0xb000, kSmbus = 0xb100;

struct PortRange {
  u16 first, count;
};
constexpr PortRange kPorts[] = {
    {0x00, 0x10}, {0x20, 2},  {0x40, 4},     {0x60, 5},  {0x70, 4},    {0x80, 0x10},     {0x92, 1},
    {0xa0, 2},    {0xb2, 2},  {0xc0, 0x20},  {0xf0, 2},  {0x170, 8},   {0x1ce, 3},       {0x1f0, 8},
    {0x2f8, 8},   {0x376, 1}, {0x3b0, 0x30}, {0x3f6, 1}, {0x3f8, 8},   {0x402, 1},       {0x4d0, 2},
    {0x510, 12},  {0xcf8, 8}, {0xafe0, 4},   {kPm, 64},  {kSmbus, 64}, {kBusMaster, 16},
};
struct MmioRange {
  u32 first, size;
};
constexpr MmioRange kMmio[] = {{0xa0000, 0x20000},
                               {0xc0000, 0x40000},
                               {0xfec00000, 0x40},
                               {0xfed00000, 0x400},
                               {0xfee00000, 0x400},
                               {kVgaBar, 16 << 20},
                               {kVgaBar + (16 << 20), 0x1000},
                               {kVirtioBar, 0x4000},
                               {0x1000, 0x4000},
                               {kRam - 0x1000, 0x2000}};

// A BIOS image: at the reset vector 16-bit code that enters flat 32-bit mode, then the input's accesses.
class Program {
 public:
  Program() : rom_(kBios, 0xf4) {}

  void bytes(std::initializer_list<u8> list) {
    for (u8 b : list) put(b);
  }
  void in(u16 port, unsigned size) {
    bytes({0x66, 0xba, static_cast<u8>(port), static_cast<u8>(port >> 8)});  // mov dx, port
    if (size == 2) put(0x66);
    put(size == 1 ? 0xec : 0xed);  // in al/ax/eax, dx
  }
  void out(u16 port, u32 value, unsigned size) {
    mov_eax(value);
    bytes({0x66, 0xba, static_cast<u8>(port), static_cast<u8>(port >> 8)});
    if (size == 2) put(0x66);
    put(size == 1 ? 0xee : 0xef);
  }
  void load(u32 address, unsigned size) {
    if (size == 2) put(0x66);
    put(size == 1 ? 0xa0 : 0xa1);  // mov al/ax/eax, [address]
    word(address);
  }
  void store_value(u32 address, u32 value, unsigned size) {
    mov_eax(value);
    if (size == 2) put(0x66);
    put(size == 1 ? 0xa2 : 0xa3);
    word(address);
  }
  // rep ins/outs/movs of `count` dwords.
  void repeat(u8 op, u16 port, u32 address, u32 count) {
    bytes({0x66, 0xba, static_cast<u8>(port), static_cast<u8>(port >> 8)});
    put(0xbf), word(address);  // mov edi
    put(0xbe), word(address);  // mov esi
    put(0xb9), word(count);    // mov ecx
    bytes({0xf3, op});
  }
  void pci(u8 devfn, u8 reg, u32 value, unsigned size) {
    out(0xcf8, 0x80000000u | static_cast<u32>(devfn) << 8 | (reg & 0xfc), 4);
    out(static_cast<u16>(0xcfc + (reg & 3)), value, size);
  }

  std::vector<u8> image() {
    // F:E000 lgdt/lidt and the switch; tables at F:F000 on; code at E:0000 on.
    static constexpr u8 kEntry[] = {
        0xfa,                                        // cli
        0x2e, 0x66, 0x0f, 0x01, 0x16, 0x00, 0xf1,    // o32 lgdt [cs:F100]
        0x2e, 0x66, 0x0f, 0x01, 0x1e, 0x08, 0xf1,    // o32 lidt [cs:F108]
        0x0f, 0x20, 0xc0, 0x0c, 0x01,                // mov eax, cr0; or al, 1
        0x0f, 0x22, 0xc0,                            // mov cr0, eax
        0x66, 0xea, 0x00, 0x00, 0xfe, 0xff, 8,    0  // jmp 8:FFFE0000
    };
    // The first part of the code: data segments and a stack.
    static constexpr u8 kLgdt[] = {0x17, 0, 0x00, 0xf0, 0xff, 0xff, 0, 0, 0xff, 0x07, 0x00, 0xf2, 0xff, 0xff};
    static constexpr u64 kGdt[] = {0, 0x00cf9b000000ffff, 0x00cf93000000ffff};
    std::memcpy(&rom_[0x1e000], kEntry, sizeof kEntry);
    std::memcpy(&rom_[0x1f000], kGdt, sizeof kGdt);
    std::memcpy(&rom_[0x1f100], kLgdt, sizeof kLgdt);
    // Interrupts: acknowledge at both PICs and the local APIC, and return.
    static constexpr u8 kHandler[] = {0x50, 0xb0, 0x20, 0xe6, 0x20, 0xe6, 0xa0,
                                      0xa3, 0xb0, 0x00, 0xe0, 0xfe, 0x58, 0xcf};
    std::memcpy(&rom_[0x1f180], kHandler, sizeof kHandler);
    for (unsigned v = 0; v < 256; v++) {
      // Exceptions stop at a HLT, so that a faulting program ends.
      u64 handler = v < 32 ? 0xfffff1c0 : 0xfffff180;
      u64 gate = (handler & 0xffff) | 8u << 16 | u64{0x8e} << 40 | (handler >> 16) << 48;
      std::memcpy(&rom_[0x1f200 + v * 8], &gate, 8);
    }
    static constexpr u8 kReset[] = {0xe9, 0x0d, 0xe0};  // jmp F:E000, from FFF0
    std::memcpy(&rom_[0x1fff0], kReset, sizeof kReset);
    return rom_;
  }
  bool full() const { return at_ > 0x1d000; }

 private:
  void put(u8 b) {
    if (at_ < 0x1df00) rom_[at_++] = b;
  }
  void word(u32 v) {
    for (unsigned i = 0; i < 4; i++) put(static_cast<u8>(v >> (8 * i)));
  }
  void mov_eax(u32 v) { put(0xb8), word(v); }

  std::vector<u8> rom_;
  usize at_ = 0;
};

// What an operating system does first: memory and I/O windows of the PCI functions.
void enable_pci(Program& p) {
  p.pci(0x10, 0x10, kVgaBar, 4);
  p.pci(0x10, 0x18, kVgaBar + (16 << 20), 4);
  p.pci(0x10, 0x04, 3, 2);
  p.pci(0x20, 0x20, kVirtioBar, 4);
  p.pci(0x20, 0x24, 0, 4);
  p.pci(0x20, 0x04, 7, 2);
  p.pci(0x09, 0x20, kBusMaster, 4);
  p.pci(0x09, 0x04, 5, 2);
  p.pci(0x0b, 0x40, kPm, 4);
  p.pci(0x0b, 0x80, 1, 1);
  p.pci(0x0b, 0x90, kSmbus, 4);
  p.pci(0x0b, 0xd2, 1, 1);
}

void enable_pic(Program& p) {
  static constexpr u8 kInit[][2] = {{0x20, 0x11}, {0x21, 0x20}, {0x21, 4}, {0x21, 1}, {0x21, 0},
                                    {0xa0, 0x11}, {0xa1, 0x28}, {0xa1, 2}, {0xa1, 1}, {0xa1, 0}};
  for (const u8(&w)[2] : kInit) p.out(w[0], w[1], 1);
}

u32 pick_value(Input& in) {
  u8 how = in.byte();
  switch (how >> 6) {
    case 0: return how & 0x3f;
    case 1: return in.byte();
    case 2: return 0x1000u + (how & 0x3fu) * 0x40;  // memory that the program fills
    default: return in.word();
  }
}

void build(Input& in, Program& p) {
  p.bytes({0x66, 0xb8, 0x10, 0x00, 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0, 0xbc, 0x00, 0x80, 0x00, 0x00});  // ds es ss esp
  const u8 prologue = in.byte();
  if (prologue & 1) enable_pci(p);
  if (prologue & 2) enable_pic(p);
  while (!in.empty() && !p.full()) {
    const u8 op = in.byte();
    const unsigned size = 1u << (op >> 4) % 3;
    switch (op & 15) {
      case 0:
      case 1:
      case 2: {
        const PortRange& r = kPorts[in.byte() % std::size(kPorts)];
        p.out(static_cast<u16>(r.first + in.byte() % r.count), pick_value(in), size);
        break;
      }
      case 3:
      case 4: {
        const PortRange& r = kPorts[in.byte() % std::size(kPorts)];
        p.in(static_cast<u16>(r.first + in.byte() % r.count), size);
        break;
      }
      case 5:
      case 6:
      case 7: {
        const MmioRange& r = kMmio[in.byte() % std::size(kMmio)];
        p.store_value(r.first + (in.half() * (op & 0x80 ? 257u : 1u)) % r.size, pick_value(in), size);
        break;
      }
      case 8: {
        const MmioRange& r = kMmio[in.byte() % std::size(kMmio)];
        p.load(r.first + (in.half() * (op & 0x80 ? 257u : 1u)) % r.size, size);
        break;
      }
      case 9: p.pci(in.byte() & 0x3f, in.byte(), pick_value(in), size); break;
      case 10: {
        // VGA: index and data at once, the sequencer, graphics, attribute and VBE registers.
        static constexpr u16 kIndex[] = {0x3c4, 0x3ce, 0x3d4, 0x3c0, 0x1ce};
        u16 port = kIndex[in.byte() % std::size(kIndex)];
        if (port == 0x1ce)
          p.out(port, in.byte() & 15, 2), p.out(0x1cf, pick_value(in), 2);
        else if (port == 0x3c0)
          p.out(port, in.byte() & 63, 1), p.out(port, in.byte(), 1);
        else
          p.out(port, static_cast<u32>((in.byte() & 31) | in.byte() << 8), 2);
        break;
      }
      case 11: {
        // fw_cfg DMA: a descriptor at 1000, started through the two halves of the address.
        p.store_value(0x1000, __builtin_bswap32((in.byte() & 0x1fu) | static_cast<u32>(in.byte() & 63) << 16), 4);
        p.store_value(0x1004, __builtin_bswap32(in.half()), 4);
        p.store_value(0x1008, 0, 4);
        p.store_value(0x100c, __builtin_bswap32(pick_value(in)), 4);
        p.out(0x518, __builtin_bswap32(op & 0x80 ? pick_value(in) : 0x1000), 4);
        break;
      }
      case 12: {
        static constexpr u8 kOps[] = {0x6d, 0x6f, 0xa5};  // rep insd, outsd, movsd
        const PortRange& r = kPorts[in.byte() % std::size(kPorts)];
        p.repeat(kOps[in.byte() % 3], r.first, pick_value(in), in.half() & 0x3ff);
        break;
      }
      case 13: p.bytes({0xfb}); break;        // sti
      case 14: p.bytes({0xfb, 0xf4}); break;  // sti; hlt
      case 15: p.store_value(0x2000 + (in.half() & 0x1ffc), in.word(), 4); break;
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  if (size < 4) return 0;
  // The first eighth is what the host does, the rest what the guest does.
  Input outside(data, size / 8), inside(data + size / 8, size - size / 8);
  Program program;
  build(inside, program);

  QuietHost host;
  std::vector<u8> ram(kRam);
  MachineConfig config;
  config.memory_bytes = kRam;
  config.ram = ram.data();
  config.deterministic = true;
  config.ns_per_insn = 1000;
  config.bios = program.image();
  config.vgabios.assign(0x8000, 0x90);
  config.hda = image(1 << 20, false, false);
  config.hdb = image(64 << 10, true, false);
  config.cdrom = image(1 << 20, false, true);
  config.virtio = image(1 << 20, true, false);
  std::string error;
  std::unique_ptr<Machine> m = Machine::create(host, std::move(config), error);
  check(m != nullptr, error.c_str());

  std::vector<u8> pixels;
  auto draw = [&] {
    const ScreenInfo s = m->screen().info();
    check(s.width <= 8192 && s.height <= 8192, "the screen is too large");
    pixels.assign(static_cast<usize>(s.width) * s.height * 4, 0);
    for (const Rect& r : m->screen().render(pixels.data(), true, true))
      check(r.x <= s.width && r.w <= s.width - r.x && r.y <= s.height && r.h <= s.height - r.y,
            "a rectangle off the screen");
    (void)m->screen().text();
  };
  constexpr u64 kInsns = 6000;
  unsigned halts = 0;
  for (unsigned round = 0; m->instructions() < kInsns && round < 200; round++) {
    const u8 op = outside.byte();
    MachineStatus s = m->run(op & 0x80 ? op & 0x7f : 500, 20'000'000);  // the time ends a halt without interrupts
    if (s == MachineStatus::kPoweredOff) break;
    if (s == MachineStatus::kTripleFault) m->reset();
    if (s == MachineStatus::kIdle && ++halts > 8) break;
    if (outside.empty()) continue;
    const u8 a = outside.byte(), b = outside.byte();
    switch (op % 11) {
      case 0: m->key(static_cast<u16>((a & 0x80 ? 0xe000 : 0) | (a & 0x7f)), b & 1); break;
      case 1: m->mouse(static_cast<s8>(a), static_cast<s8>(b), static_cast<s8>(a ^ b), a & 7u); break;
      case 2: {
        const u8 text[3] = {a, b, a};
        (void)m->serial_input(a % 3, text, sizeof text);
        break;
      }
      case 3: draw(); break;
      case 4: m->insert_cd(a & 1 ? image((b + 1u) * 2048, false, true) : nullptr); break;
      case 5:
        if (a < 8) m->reset();
        break;
      case 6: m->power_button(); break;
      case 7: (void)m->state_hash(); break;
      case 8: (void)m->flush_disks(); break;
      case 9:
        (void)m->stats_json();
        (void)m->debug_dump();
        (void)m->touched_pages();
        break;
      default: break;
    }
  }
  draw();
  if (std::getenv("MACHINE_FUZZ_TRACE")) std::fputs(m->debug_dump().c_str(), stderr);
  (void)m->state_hash();
  return 0;
}
