// What the firmware finds: fw_cfg items, CMOS, ACPI tables, option ROMs; and the machine's creation and statistics.
// Sources: QEMU documentation, "Firmware Configuration"; SeaBIOS documentation, "Runtime config"; the PC/AT CMOS map.
#include <algorithm>

#include "base/json.h"
#include "machine/acpi_tables.h"
#include "machine/linux_boot.h"
#include "machine/linuxboot_rom.h"
#include "machine/machine_impl.h"

namespace oriel {

namespace {

constexpr u64 kMiB = 1u << 20;
constexpr u16 kIrq0Override = 0x8002;

std::vector<u8> bytes_of(const std::string& s) {
  std::vector<u8> v(s.begin(), s.end());
  v.push_back(0);
  return v;
}

// Device paths as SeaBIOS matches them against "bootorder".
constexpr char kHdaPath[] = "/pci@i0cf8/ide@1,1/drive@0/disk@0\n", kHdbPath[] = "/pci@i0cf8/ide@1,1/drive@0/disk@1\n",
               kCdPath[] = "/pci@i0cf8/ide@1,1/drive@1/disk@0\n", kVirtioPath[] = "/pci@i0cf8/scsi@4/disk@0,0\n",
               kLinuxPath[] = "/rom@genroms/linuxboot.rom\n";

std::string disk_json(const BlockDevice& d) {
  return Json()
      .number("size_bytes", d.sectors() * 512)
      .number("reads_total", d.stats.reads)
      .number("read_bytes_total", d.stats.bytes_read)
      .number("writes_total", d.stats.writes)
      .number("written_bytes_total", d.stats.bytes_written)
      .number("flushes_total", d.stats.flushes)
      .str();
}

}  // namespace

std::unique_ptr<Machine> Machine::create(Host& host, MachineConfig config, std::string& error) {
  if (config.memory_bytes % kMiB || config.memory_bytes < 4 * kMiB || config.memory_bytes > 3072 * kMiB ||
      !config.ram) {
    error = "guest memory must be 4 to 3072 whole MiB";
    return nullptr;
  }
  if (config.bios.empty() || config.bios.size() % 65536 || config.bios.size() > 2 * kMiB) {
    error = "the BIOS image must be 64 KiB to 2 MiB long, in multiples of 64 KiB; it has " +
            std::to_string(config.bios.size()) + " bytes";
    return nullptr;
  }
  if (config.vgabios.size() > 65536) {
    error = "the VGA BIOS image is longer than 64 KiB";
    return nullptr;
  }
  if (config.ns_per_insn < 1 || config.ns_per_insn > 1'000'000) {
    error = "deterministic time must be 1 to 1000000 ns an instruction";
    return nullptr;
  }
  if (!config.kernel && (config.initrd || !config.append.empty())) {
    error = "an initrd or a kernel command line without a kernel";
    return nullptr;
  }
  auto m = std::make_unique<MachineImpl>(host, std::move(config));
  if (!m->set_up_firmware(error)) return nullptr;
  m->power_on();
  return m;
}

bool MachineImpl::set_up_firmware(std::string& error) {
  fw_cfg_.add_item16(FwCfg::kNoGraphic, 0);
  fw_cfg_.add_item64(FwCfg::kRamSize, mem_.ram_size());
  fw_cfg_.add_item16(FwCfg::kCpus, 1);
  fw_cfg_.add_item16(FwCfg::kMaxCpus, 1);
  fw_cfg_.add_item16(FwCfg::kBootMenu, 0);
  fw_cfg_.add_item32(kIrq0Override, 1);

  std::vector<u8> e820(20);
  store<u64>(e820.data(), 0);
  store<u64>(e820.data() + 8, mem_.ram_size());
  store<u32>(e820.data() + 16, 1);  // RAM
  fw_cfg_.add_file("etc/e820", std::move(e820));

  AcpiTables acpi =
      build_acpi_tables({.memory_bytes = mem_.ram_size(), .serial_ports = 3, .hpet_period_fs = 10'000'000});
  fw_cfg_.add_file("etc/acpi/rsdp", std::move(acpi.rsdp));
  fw_cfg_.add_file("etc/acpi/tables", std::move(acpi.tables));
  fw_cfg_.add_file("etc/table-loader", std::move(acpi.table_loader));

  std::string order;
  if (config_.kernel) {
    LinuxImage image;
    const u64 initrd_bytes = config_.initrd ? config_.initrd->size() : 0;
    if (!load_linux(*config_.kernel, config_.append, initrd_bytes, mem_.ram_size(), image, error)) return false;
    fw_cfg_.add_item32(FwCfg::kKernelAddr, LinuxImage::kKernelAddress);
    fw_cfg_.add_item32(FwCfg::kKernelSize, static_cast<u32>(config_.kernel->size() - image.kernel_offset));
    fw_cfg_.add_item(FwCfg::kKernelData, std::move(config_.kernel), image.kernel_offset);
    fw_cfg_.add_item32(FwCfg::kSetupAddr, LinuxImage::kSetupAddress);
    fw_cfg_.add_item32(FwCfg::kSetupSize, static_cast<u32>(image.setup.size()));
    fw_cfg_.add_item(FwCfg::kSetupData, std::move(image.setup));
    fw_cfg_.add_item32(FwCfg::kCmdlineAddr, LinuxImage::kCmdlineAddress);
    fw_cfg_.add_item32(FwCfg::kCmdlineSize, static_cast<u32>(image.cmdline.size()));
    fw_cfg_.add_item(FwCfg::kCmdlineData, std::move(image.cmdline));
    fw_cfg_.add_item32(FwCfg::kInitrdSize, static_cast<u32>(initrd_bytes));
    if (config_.initrd) fw_cfg_.add_item(FwCfg::kInitrdData, std::move(config_.initrd), 0);
    std::vector<u8> rom(std::begin(kLinuxBootRom), std::end(kLinuxBootRom));
    u8 sum = 0;
    for (u8 b : rom) sum = static_cast<u8>(sum + b);
    rom.back() = static_cast<u8>(rom.back() - sum);
    fw_cfg_.add_file("genroms/linuxboot.rom", std::move(rom));
    order += kLinuxPath;
  }
  const std::string disks =
      std::string(config_.hda ? kHdaPath : "") + (config_.hdb ? kHdbPath : "") + (config_.virtio ? kVirtioPath : "");
  order += config_.boot_order == 'd' ? kCdPath + disks : disks + kCdPath;
  fw_cfg_.add_file("bootorder", bytes_of(order));
  return true;
}

void MachineImpl::set_up_cmos() {
  const u64 kib = mem_.ram_size() >> 10;
  const u64 extended = std::min<u64>(kib - 1024, 0xffff), above16 = kib > 16384 ? (kib - 16384) / 64 : 0;
  auto word = [this](u8 index, u64 v) {
    rtc_.set_cmos(index, static_cast<u8>(v));
    rtc_.set_cmos(index + 1, static_cast<u8>(v >> 8));
  };
  rtc_.set_cmos(0x0f, 0);     // shutdown status: a normal start
  rtc_.set_cmos(0x10, 0);     // no floppy drives
  rtc_.set_cmos(0x14, 0x06);  // equipment: FPU, PS/2 mouse; VGA
  word(0x15, 640);            // conventional memory in KiB
  word(0x17, extended);       // above 1 MiB in KiB, twice
  word(0x30, extended);
  word(0x34, above16);                                    // above 16 MiB in 64 KiB
  for (u8 i = 0x5b; i <= 0x5d; i++) rtc_.set_cmos(i, 0);  // above 4 GiB
  // Boot order by kind, for a BIOS without "bootorder": 2 hard disk, 3 CD.
  const bool cd_first = config_.boot_order == 'd';
  rtc_.set_cmos(0x3d, cd_first ? 0x23 : 0x32);
  rtc_.set_cmos(0x38, 1);  // no floppy signature check
  rtc_.set_cmos(0x5f, 0);  // one CPU
}

MachineImpl::Rates::Values MachineImpl::counters() const {
  Rates::Values v{};
  v[kInstructions] = cpu_.icount;
  v[kTlbFills] = cpu_.stats.tlb_misses;
  if (!jit_) return v;
  const jit::Stats& s = jit_->counters();
  v[kCompileNs] = s.both(&jit::Stats::Tier::compile_ns);
  v[kBlocksCompiled] = s.both(&jit::Stats::Tier::blocks);
  v[kDeopts] = s.deopts;
  return v;
}

std::string MachineImpl::stats_json() {
  Json j;
  const double seconds = static_cast<double>(run_ns_) / 1e9;
  j.number("instructions_total", cpu_.icount)
      .number("rep_iterations_total", cpu_.rep_iterations)
      .real("host_run_seconds", seconds)
      .real("mips", seconds > 0 ? static_cast<double>(cpu_.icount) / 1e6 / seconds : 0)
      .real("virtual_seconds", static_cast<double>(now()) / 1e9)
      .number("memory_bytes", mem_.ram_size())
      .number("memory_touched_bytes", touched_pages() * PhysMem::kPageSize);
  const Cpu::Stats& s = cpu_.stats;
  auto per = [](u64 a, double b) { return b > 0 ? static_cast<double>(a) / b : 0; };
  const auto sampled = static_cast<double>(hot_blocks_.instructions());
  const double memory_operations =
      static_cast<double>(cpu_.icount) * per(hot_blocks_.memory_operations(), sampled);  // by the samples
  j.raw("cpu", Json()
                   .number("mmu_translate_calls_total", s.translations)
                   .number("slow_reads_total", s.slow_reads)
                   .number("slow_writes_total", s.slow_writes)
                   .number("tlb_misses_total", s.tlb_misses)
                   .number("tlb_flushes_total", s.tlb_flushes)
                   .number("mmio_reads_total", s.mmio_reads)
                   .number("mmio_writes_total", s.mmio_writes)
                   .number("interrupts_total", s.interrupts)
                   .number("exceptions_total", s.exceptions)
                   .number("blocks_decoded_total", s.blocks_decoded)
                   .number("code_invalidations_total", s.code_invalidations)
                   .real("memory_operations_per_instruction", per(hot_blocks_.memory_operations(), sampled))
                   .real("mmu_translate_calls_per_memory_operation", per(s.translations, memory_operations), 9)
                   .str());
  Json disks;
  if (config_.hda) disks.raw("hda", disk_json(*config_.hda));
  if (config_.hdb) disks.raw("hdb", disk_json(*config_.hdb));
  if (config_.cdrom) disks.raw("cdrom", disk_json(*config_.cdrom));
  if (config_.virtio) disks.raw("virtio", disk_json(*config_.virtio));
  const Rates::Growth growth = rates_.growth(host_.monotonic_ns(), counters());
  j.raw("rates", Json()
                     .real("window_seconds", growth.seconds)
                     .real("instructions_per_second", growth.per_second[kInstructions])
                     .real("compile_time_ns_per_second", growth.per_second[kCompileNs])
                     .real("blocks_compiled_per_second", growth.per_second[kBlocksCompiled])
                     .real("deopts_per_second", growth.per_second[kDeopts])
                     .real("tlb_fills_per_second", growth.per_second[kTlbFills])
                     .str());
  j.number("samples_total", hot_blocks_.samples())
      .number("sampled_instructions_total", hot_blocks_.instructions())
      .raw("hot_blocks", hot_blocks_.json());
  j.raw("jit", jit::to_json(jit_ ? jit_->stats() : jit::Stats{}));
  j.raw("disks", disks.str());
  j.raw("screen", Json()
                      .number("frames_rendered_total", vga_.stats.frames_rendered)
                      .number("frames_unchanged_total", vga_.stats.frames_unchanged)
                      .number("pixels_rendered_total", vga_.stats.pixels_rendered)
                      .str());
  return j.str();
}

}  // namespace oriel
