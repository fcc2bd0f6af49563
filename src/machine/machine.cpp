// The wiring of a PC and its run loop. Sources: the devices' data sheets (see their headers); the memory
// and interrupt layout of the i440FX PC as SeaBIOS and ACPI describe it.
#include "machine/machine_impl.h"

#include <algorithm>

namespace oriel {

namespace {

constexpr u64 kMiB = 1u << 20;
constexpr u64 kFourGiB = u64{1} << 32;
constexpr u32 kVramBytes = 16u << 20;
// A slice of the normal mode ends after this long at the latest, so that timers and input are on time.
constexpr u64 kMaxSliceNs = 2'000'000;
// Taking a sample costs what some hundred instructions do.
constexpr u64 kSampleInsns = 20'000;
// If the host did not call run() for longer than this beyond the idle time it was told, the guest was paused.
constexpr u64 kPauseNs = 200'000'000;

enum A20Source : u8 { kA20Port92 = 1, kA20Keyboard = 2 };

}  // namespace

MachineImpl::MachineImpl(Host& host, MachineConfig config)
    : host_(host),
      config_(std::move(config)),
      mem_(config_.ram, config_.memory_bytes),
      cpu_place_(Cpu::create(mem_, *this)),
      cpu_(*cpu_place_),
      pic_([this](bool level) {
        lapic_.set_lint(0, level);
        update_intr();
      }),
      lapic_(*this, {.intr = [this](bool) { update_intr(); },
                     .nmi = [this] { cpu_.raise_nmi(); },
                     .init = [this] { init_cpu(); },
                     .smi = {},
                     .sipi = {},
                     .eoi = [this](u8 vector) { ioapic_.eoi(vector); },
                     .base_changed = [this](u64 base, bool mapped) { map_lapic(base, mapped); }}),
      ioapic_([this](u8 dest, bool logical, u8 mode, u8 vector,
                     bool level) { return lapic_.deliver(dest, logical, mode, vector, level); },
              [this] { update_intr(); }),
      pit_(*this, IrqLine([this](bool level) {
        if (!hpet_.legacy_replacement()) isa_irq(0, kIsa, level);
      })),
      hpet_(*this, {.set_gsi = [this](unsigned gsi, bool level) { ioapic_.set_irq(gsi, level); },
                    .irq0 = irq_line(0, kHpet),
                    .irq8 = irq_line(8, kHpet),
                    .legacy_changed =
                        [this](bool on) {
                          if (on) {
                            isa_irq(0, kIsa, false);
                            isa_irq(8, kIsa, false);
                          }
                        }}),
      rtc_(*this, IrqLine([this](bool level) {
        if (!hpet_.legacy_replacement()) isa_irq(8, kIsa, level);
      })),
      i8042_(*this, {.irq1 = irq_line(1, kIsa),
                     .irq12 = irq_line(12, kIsa),
                     .a20 = [this](bool on) { set_a20(kA20Keyboard, on); },
                     .reset = [this] { init_cpu(); }}),
      com1_(*this, 0x3f8, irq_line(4, kIsa), [this](const u8* p, usize n) { host_.serial_output(0, p, n); }),
      com2_(*this, 0x2f8, irq_line(3, kIsa), [this](const u8* p, usize n) { host_.serial_output(1, p, n); }),
      pm_(*this, {.sci = irq_line(9, kSci),
                  .sleep =
                      [this](u8 slp_typ) {
                        if (slp_typ != 0) return;  // only S5 is offered
                        powered_off_ = true;
                        cpu_.request_exit();
                      },
                  .smi = {}}),
      port92_([this](bool on) { set_a20(kA20Port92, on); }, [this] { init_cpu(); }),
      debugcon_([this](u8 byte) { host_.debug_output(byte); }),
      sysctrl_([this](bool hard) {
        if (!hard) return init_cpu();
        want_reset_ = true;
        cpu_.request_exit();
      }),
      fw_cfg_(mem_),
      fpu_port_(*this),
      pci_({.set_pirq = [this](unsigned pirq, bool level) { piix3_.set_pirq(pirq, level); },
            .send_msi = [this](u64 addr, u32 data) { lapic_.deliver_msi(addr, data); }}),
      bios_region_(mem_.add_memory(config_.bios.data(), config_.bios.size(), false, nullptr)),
      lapic_region_(mem_.add_mmio(&lapic_, 4096)),
      i440fx_({.mem = mem_,
               .bios_region = bios_region_,
               .bios = config_.bios.data(),
               .bios_size = static_cast<u32>(config_.bios.size()),
               .smram = {}}),
      piix3_([this](unsigned irq, bool level) { isa_irq(irq, kPci, level); }),
      ide_(*this, mem_,
           {.irq14 = irq_line(14, kIsa),
            .irq15 = irq_line(15, kIsa),
            .map_bus_master =
                [this](u16 base, bool on) {
                  if (on)
                    io_.add(base, PiixIde::kBusMasterSize, &ide_, 4);
                  else
                    io_.remove(base, PiixIde::kBusMasterSize);
                }}),
      piix4_pm_(
          [this](u16 base, bool on) {
            if (!on) return io_.remove(base, Piix4Pm::kPmSize);
            pm_.set_base(base);
            io_.add(base, Piix4Pm::kPmSize, &pm_, 4);
          },
          [this](u16 base, bool on) {
            if (on)
              io_.add(base, Piix4Pm::kSmbusSize, &piix4_pm_, 1);
            else
              io_.remove(base, Piix4Pm::kSmbusSize);
          }),
      vram_(static_cast<u8*>(std::calloc(kVramBytes, 1))),
      vga_(mem_, *this, vram_.get(), kVramBytes, std::move(config_.vgabios)) {
  mem_.set_listener(&cpu_);
  if (config_.track_writes) mem_.track_writes();
  if (config_.jit) jit_ = std::make_unique<jit::Jit>(cpu_, host_, config_.jit_limits);
  // Memory: conventional RAM, the region of the PAM registers (the host bridge maps it), extended RAM, the BIOS.
  mem_.map(0, 0xa0000, mem_.ram_region(), 0);
  mem_.map(kMiB, mem_.ram_size() - kMiB, mem_.ram_region(), kMiB);
  mem_.map(kFourGiB - config_.bios.size(), config_.bios.size(), bios_region_, 0);
  mem_.map(IoApic::kBase, 4096, mem_.add_mmio(&ioapic_, 4096), 0);
  mem_.map(Hpet::kBase, 4096, mem_.add_mmio(&hpet_, 4096), 0);

  if (config_.hda) ide_.channel(0).attach_disk(0, config_.hda.get());
  if (config_.hdb) ide_.channel(0).attach_disk(1, config_.hdb.get());
  ide_.channel(1).attach_cdrom(0, config_.cdrom.get());
  pci_.attach(&i440fx_, 0x00);
  pci_.attach(&piix3_, 0x08);
  pci_.attach(&ide_, 0x09);
  pci_.attach(&piix4_pm_, 0x0b);
  pci_.attach(&vga_, 0x10);
  if (config_.virtio) {
    virtio_ = std::make_unique<VirtioBlk>(*this, mem_, *config_.virtio);
    pci_.attach(virtio_.get(), 0x20);
  }
  // SeaBIOS knows the machine by the subsystem of its host bridge.
  store<u16>(&i440fx_.config[0x2c], 0x1af4);
  store<u16>(&i440fx_.config[0x2e], 0x1100);
  map_ports();
  if (config_.test_device) add_test_device();
  if (config_.bench_port) add_bench_port();
  host_zero_ns_ = last_exit_ns_ = host_.monotonic_ns();
}

void MachineImpl::map_ports() {
  struct Range {
    u16 first;
    u32 count;
    PortHandler* handler;
    unsigned max_size;
  };
  const Range ranges[] = {
      {0x00, 0x10, &dma_, 1}, {0x20, 2, &pic_, 1},      {0x40, 4, &pit_, 1},
      {0x60, 1, &i8042_, 1},  {0x61, 1, &pit_, 1},      {0x64, 1, &i8042_, 1},
      {0x70, 4, &rtc_, 1},    {0x80, 1, &debugcon_, 1}, {0x81, 0xf, &dma_, 1},
      {0x92, 1, &port92_, 1}, {0xa0, 2, &pic_, 1},      {0xb2, 2, &pm_, 1},
      {0xc0, 0x20, &dma_, 1}, {0xf0, 2, &fpu_port_, 1}, {0x170, 8, &ide_, 4},
      {0x1f0, 8, &ide_, 4},   {0x2f8, 8, &com2_, 1},    {0x376, 1, &ide_, 1},
      {0x3f6, 1, &ide_, 1},   {0x3f8, 8, &com1_, 1},    {0x402, 1, &debugcon_, 1},
      {0x4d0, 2, &pic_, 1},   {0x510, 2, &fw_cfg_, 2},  {0x514, 8, &fw_cfg_, 4},
      {0xcf8, 8, &pci_, 4},   {0xcf9, 1, &sysctrl_, 1}, {AcpiPm::kGpeBase, AcpiPm::kGpeSize, &pm_, 4},
      {0x1ce, 3, &vga_, 2},   {0x3b0, 0x30, &vga_, 2},
  };
  for (const Range& r : ranges) io_.add(r.first, r.count, r.handler, r.max_size);
}

void MachineImpl::add_test_device() {
  test_device_ = std::make_unique<TestDevice>(TestDevice::Hooks{.exit =
                                                                    [this](u32 status) {
                                                                      powered_off_ = true;
                                                                      failed_ = status != 0;
                                                                      cpu_.request_exit();
                                                                    },
                                                                .set_line =
                                                                    [this](unsigned line, bool level) {
                                                                      if (line < 16)
                                                                        isa_irq(line, kTest, level);
                                                                      else
                                                                        ioapic_.set_irq(line, level);
                                                                    }});
  io_.add(TestDevice::kScratch, TestDevice::kScratchSize, test_device_.get(), 4);
  io_.add(TestDevice::kExit, TestDevice::kExitSize, test_device_.get(), 4);
  io_.add(TestDevice::kLines, TestDevice::kLineCount, test_device_.get(), 1);
  mem_.map(TestDevice::kMemory, TestDevice::kMemorySize, mem_.add_mmio(test_device_.get(), TestDevice::kMemorySize), 0);
}

void MachineImpl::add_bench_port() {
  config_.bench_port->attach({.mark =
                                  [this] {
                                    return BenchPort::Mark{cpu_.icount_now(), cpu_.rep_iterations, host_.monotonic_ns(),
                                                           host_.cpu_ns()};
                                  },
                              .stop =
                                  [this] {
                                    want_stop_ = true;
                                    cpu_.request_exit();
                                  }});
  io_.add(BenchPort::kBase, BenchPort::kSize, config_.bench_port, 4);
}

void MachineImpl::all_devices(auto&& f) {
  Device* const devices[] = {&pic_,    &lapic_, &ioapic_, &pit_,   &hpet_,   &rtc_,      &i8042_,
                             &com1_,   &com2_,  &pm_,     &dma_,   &port92_, &debugcon_, &sysctrl_,
                             &fw_cfg_, &pci_,   &i440fx_, &piix3_, &ide_,    &piix4_pm_, &vga_};
  for (Device* d : devices) f(*d);
  if (virtio_) f(*virtio_);
  if (test_device_) f(*test_device_);
}

// ---- interrupts --------------------------------------------------------------------------------

IrqLine MachineImpl::irq_line(unsigned irq, IrqSource source) {
  return IrqLine([this, irq, source](bool level) { isa_irq(irq, source, level); });
}

void MachineImpl::isa_irq(unsigned irq, IrqSource source, bool level) {
  u8& sources = irq_sources_[irq & 15];
  bool before = sources != 0;
  sources = static_cast<u8>(level ? sources | source : sources & ~source);
  bool after = sources != 0;
  if (before == after) return;
  pic_.set_irq(irq, after);
  ioapic_.set_irq(irq == 0 ? 2 : irq, after);
}

void MachineImpl::update_intr() {
  bool from_pic = pic_.intr() && (lapic_.accepts_extint() || ioapic_.accepts_extint());
  cpu_.set_intr(lapic_.has_interrupt() || from_pic);
}

u8 MachineImpl::interrupt_acknowledge() {
  u8 vector = lapic_.has_interrupt() ? lapic_.acknowledge() : pic_.acknowledge();
  update_intr();
  return vector;
}

void MachineImpl::set_a20(u8 source, bool on) {
  a20_sources_ = static_cast<u8>(on ? a20_sources_ | source : a20_sources_ & ~source);
  cpu_.set_a20(a20_sources_ != 0);
}

// What asserts INIT: an interprocessor interrupt, and the resets that are only the processor's (the keyboard
// controller's, port 92's, and CF9's when it is not a hard one). Memory and devices stay; the firmware sees from the
// CMOS shutdown status why it runs.
void MachineImpl::init_cpu() {
  want_init_ = true;
  cpu_.request_exit();
}

void MachineImpl::map_lapic(u64 base, bool mapped) {
  // The page goes where nothing else can be: above RAM.
  u64 at = mapped && base >= 0xc0000000 && base < kFourGiB ? base : 0;
  if (at == lapic_mapped_) return;
  if (lapic_mapped_) mem_.unmap(lapic_mapped_, 4096);
  if (at) mem_.map(at, 4096, lapic_region_, 0);
  lapic_mapped_ = at;
}

// ---- time --------------------------------------------------------------------------------------

u64 MachineImpl::now() {
  if (!config_.deterministic) return host_.monotonic_ns() - host_zero_ns_;
  return (in_run_ ? cpu_.icount_now() : cpu_.icount) * config_.ns_per_insn + skipped_ns_;
}

u64 MachineImpl::insns_until(u64 deadline) {
  u64 t = now();
  u64 left = deadline > t ? deadline - t : 0;
  if (config_.deterministic) return (left + config_.ns_per_insn - 1) / config_.ns_per_insn;
  left = std::min(left, kMaxSliceNs);
  return left * insns_per_ms_ / 1'000'000 + 100;
}

void MachineImpl::act_on_requests() {
  if (want_reset_) reset();
  if (want_init_) {
    want_init_ = false;
    cpu_.init();
  }
}

MachineStatus MachineImpl::run(u64 max_insns, u64 max_host_ns) {
  u64 start_ns = host_.monotonic_ns();
  if (!config_.deterministic && start_ns - last_exit_ns_ > promised_idle_ns_ + kPauseNs)
    host_zero_ns_ += start_ns - last_exit_ns_ - promised_idle_ns_;
  promised_idle_ns_ = 0;
  note_rates(start_ns);
  u64 target = cpu_.icount + max_insns;
  if (target < max_insns) target = ~u64{0};
  MachineStatus status = MachineStatus::kRunning;
  u64 slice_ns = start_ns, rounds = 0;
  // Without progress in this many rounds the host gets control: a guest that only faults, or one that halted with
  // interrupts off in deterministic mode, where time jumps from timer to timer.
  constexpr u64 kMaxStuck = 1 << 16, kFaultRound = 1 << 8;
  u64 stuck = 0;
  while (cpu_.icount < target && stuck < kMaxStuck) {
    act_on_requests();
    if (powered_off_) {
      status = failed_ ? MachineStatus::kFailed : MachineStatus::kPoweredOff;
      break;
    }
    run_due(now());
    u64 deadline = next_deadline();
    u64 limit = target;
    if (deadline != kNever || !config_.deterministic)
      limit = std::min(limit, cpu_.icount + std::max<u64>(insns_until(deadline), 1));
    u64 before = cpu_.icount;
    in_run_ = true;
    RunResult r = cpu_.run(limit);
    in_run_ = false;
    if (jit_) {
      unsampled_insns_ += cpu_.icount - before;
      if (r == RunResult::kBudget && unsampled_insns_ >= kSampleInsns) {
        hot_blocks_.sample(cpu_, unsampled_insns_);
        unsampled_insns_ = 0;
      }
    }
    stuck = cpu_.icount != before ? 0 : stuck + (r == RunResult::kBudget ? kFaultRound : 1);
    if (want_stop_) {
      want_stop_ = false;
      break;
    }
    if (r == RunResult::kShutdown) {
      char buf[4096];
      usize n = cpu_.dump(buf, sizeof buf);
      report_.assign(buf, n);
      status = MachineStatus::kTripleFault;
      break;
    }
    if (r == RunResult::kHalted && !want_reset_ && !want_init_ && !powered_off_) {
      deadline = next_deadline();
      if (!config_.deterministic) {
        if (deadline > now()) {
          status = MachineStatus::kIdle;
          break;
        }
      } else if (deadline == kNever) {
        status = MachineStatus::kIdle;
        break;
      } else if (u64 t = now(); deadline > t) {
        skipped_ns_ += deadline - t;
      }
    }
    if (!config_.deterministic || (++rounds & 63) == 0) {
      u64 t = host_.monotonic_ns();
      if (!config_.deterministic && t - slice_ns > 200'000 && r == RunResult::kBudget) {
        u64 rate = (cpu_.icount - before) * 1'000'000 / (t - slice_ns);
        insns_per_ms_ = std::clamp<u64>((insns_per_ms_ * 7 + rate) / 8, 1000, 2'000'000);
      }
      slice_ns = t;
      if (t - start_ns >= max_host_ns) break;
    }
  }
  last_exit_ns_ = host_.monotonic_ns();
  run_ns_ += last_exit_ns_ - start_ns;
  note_rates(last_exit_ns_);
  if (status == MachineStatus::kIdle) promised_idle_ns_ = idle_ns();
  return status;
}

u64 MachineImpl::idle_ns() {
  u64 deadline = next_deadline(), t = now();
  return deadline == kNever ? kNever : deadline > t ? deadline - t : 0;
}

// ---- what a host may ask -----------------------------------------------------------------------

void MachineImpl::reset() {
  want_reset_ = want_init_ = powered_off_ = failed_ = false;
  a20_sources_ = 0;
  std::fill(std::begin(irq_sources_), std::end(irq_sources_), u8{0});
  all_devices([](Device& d) { d.reset(); });
  set_a20(kA20Keyboard, true);
  map_lapic(lapic_.apic_base() & ~u64{0xfff}, lapic_.mapped());
  cpu_.reset();
  update_intr();
}

void MachineImpl::power_on() {
  rtc_.set_time(config_.deterministic ? 946684800 : host_.wall_clock_s());
  set_up_cmos();
  reset();
}

usize MachineImpl::serial_input(unsigned port, const u8* data, usize n) {
  return port == 0 ? com1_.receive(data, n) : port == 1 ? com2_.receive(data, n) : 0;
}

void MachineImpl::insert_cd(std::unique_ptr<BlockDevice> cd) {
  ide_.channel(1).insert(0, cd.get());
  config_.cdrom = std::move(cd);
}

BlockDevice* MachineImpl::disk(DiskSlot slot) {
  BlockDevice* const disks[] = {config_.hda.get(), config_.hdb.get(), config_.cdrom.get(), config_.virtio.get()};
  return disks[static_cast<usize>(slot)];
}

bool MachineImpl::flush_disks() {
  bool ok = true;
  for (BlockDevice* d : {config_.hda.get(), config_.hdb.get(), config_.virtio.get()})
    if (d && d->writable() && !d->flush()) ok = false;
  return ok;
}

u64 MachineImpl::state_hash() {
  HashState s;
  cpu_.state(s);
  Scheduler::state(s);
  all_devices([&](Device& d) { d.state(s); });
  s.io(skipped_ns_);
  s.io(irq_sources_);
  s.io(a20_sources_);
  for (BlockDevice* d : {config_.hda.get(), config_.hdb.get(), config_.virtio.get()}) {
    u64 written = d ? d->write_hash() : 0;
    s.io(written);
  }
  // RAM by pages: only what was written since the last time is hashed again, and the sum of the pages' hashes
  // (each with its number) is the whole.
  usize pages = mem_.ram_size() >> PhysMem::kPageShift;
  u8* flags = mem_.ram_flags();
  page_hash_.resize(pages);
  for (usize p = 0; p < pages; p++) {
    if (!(flags[p] & kPageDirty)) continue;
    HashState h;
    u64 number = p;
    h.io(number);
    h.bytes(mem_.ram() + p * PhysMem::kPageSize, PhysMem::kPageSize);
    ram_hash_ += h.value() - page_hash_[p];
    page_hash_[p] = h.value();
  }
  mem_.clear_dirty(flags, pages);
  s.io(ram_hash_);
  return s.value();
}

u64 MachineImpl::touched_pages() {
  u64 n = 0;
  const u8* flags = mem_.ram_flags();
  for (usize p = 0; p < mem_.ram_size() >> PhysMem::kPageShift; p++) n += (flags[p] & kPageTouched) != 0;
  return n;
}

std::string MachineImpl::debug_dump() {
  char buf[4096];
  return {buf, cpu_.dump(buf, sizeof buf)};
}

}  // namespace oriel
