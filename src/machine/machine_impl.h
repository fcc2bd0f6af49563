// The machine behind machine.h: every device, wired. One object is the CPU's bus, the devices' clock
// and the host's handle at once, because those three share the question "what time is it".
#pragma once

#include <cstdlib>

#include "cpu/cpu.h"
#include "devices/acpi_pm.h"
#include "devices/bench_port.h"
#include "devices/debugcon.h"
#include "devices/dma8237.h"
#include "devices/fw_cfg.h"
#include "devices/hpet.h"
#include "devices/i440fx.h"
#include "devices/i8042.h"
#include "devices/ioapic.h"
#include "devices/lapic.h"
#include "devices/pic.h"
#include "devices/piix3.h"
#include "devices/pit.h"
#include "devices/port92.h"
#include "devices/rtc.h"
#include "devices/sysctrl.h"
#include "devices/test_device.h"
#include "devices/uart.h"
#include "devices/vga.h"
#include "devices/virtio_blk.h"
#include "jit/jit.h"
#include "jit/verify.h"
#include "machine/machine.h"
#include "perf/hot_blocks.h"
#include "perf/rates.h"

namespace oriel {

class MachineImpl final : public Machine, public CpuBus, public Scheduler {
 public:
  MachineImpl(Host& host, MachineConfig config);
  bool set_up_firmware(std::string& error);
  void power_on();

  MachineStatus run(u64 max_insns, u64 max_host_ns) override;
  u64 idle_ns() override;
  void reset() override;
  void power_button() override { pm_.power_button(); }
  void key(u16 scancode_set1, bool down) override { i8042_.key(scancode_set1, down); }
  void mouse(int dx, int dy, int dz, unsigned buttons) override { i8042_.mouse(dx, dy, dz, buttons); }
  usize serial_input(unsigned port, const u8* data, usize n) override;
  void insert_cd(std::unique_ptr<BlockDevice> cd) override;
  BlockDevice* disk(DiskSlot slot) override;
  bool flush_disks() override;
  Screen& screen() override { return vga_; }
  u64 instructions() const override { return cpu_.icount; }
  u64 virtual_time_ns() override { return now(); }
  u64 state_hash() override;
  u64 touched_pages() override;
  jit::Jit* compiler() override { return jit_.get(); }
  std::string stats_json() override;
  std::string triple_fault_report() override { return report_; }
  std::string debug_dump() override;
  u64 register_hash() override { return jit::register_hash(cpu_); }
  std::string register_text() override { return jit::register_text(cpu_); }
  std::vector<u32> take_written() override { return mem_.take_written(); }

  // CpuBus
  u32 port_read(u16 port, unsigned size) override { return io_.read(port, size); }
  void port_write(u16 port, u32 value, unsigned size) override { io_.write(port, value, size); }
  u8 interrupt_acknowledge() override;
  u64 tsc() override { return now(); }
  u64 apic_base() override { return lapic_.apic_base(); }
  bool set_apic_base(u64 v) override { return lapic_.set_apic_base(v); }
  bool read_apic_msr(u32 index, u64& v) override { return lapic_.read_msr(index, v); }
  bool write_apic_msr(u32 index, u64 v) override { return lapic_.write_msr(index, v); }
  u64 tsc_deadline() override { return lapic_.tsc_deadline(); }
  void set_tsc_deadline(u64 v) override { lapic_.set_tsc_deadline(v); }
  u8 tpr() override { return static_cast<u8>(lapic_.cr8() << 4); }
  void set_tpr(u8 v) override { lapic_.set_cr8(v >> 4); }
  void ferr() override { isa_irq(13, kIsa, true); }

  // Scheduler
  u64 now() override;

 private:
  // Who drives an ISA interrupt line. A line is asserted while any of them asserts it.
  enum IrqSource : u8 { kIsa = 1, kPci = 2, kHpet = 4, kSci = 8, kTest = 16 };

  // Port F0: writing it withdraws IRQ 13. PC/AT Technical Reference.
  struct FpuPort final : PortHandler {
    explicit FpuPort(MachineImpl& machine) : m(machine) {}
    u32 port_read(u16, unsigned) override { return 0xff; }
    void port_write(u16, u32, unsigned) override { m.isa_irq(13, kIsa, false); }
    MachineImpl& m;
  };

  void deadline_moved_earlier() override { cpu_.request_exit(); }
  IrqLine irq_line(unsigned irq, IrqSource source);
  void isa_irq(unsigned irq, IrqSource source, bool level);
  void update_intr();
  void set_a20(u8 source, bool on);
  void map_lapic(u64 base, bool mapped);
  void init_cpu();
  void map_ports();
  void add_test_device();
  void add_bench_port();
  void set_up_cmos();
  void all_devices(auto&& f);
  u64 guest_time();
  u64 insns_until(u64 deadline);
  void act_on_requests();

  Host& host_;
  MachineConfig config_;
  PhysMem mem_;
  std::unique_ptr<Cpu, Cpu::Delete> cpu_place_;
  Cpu& cpu_;
  std::unique_ptr<jit::Jit> jit_;
  IoBus io_;

  // Time. Deterministic: retired instructions times ns_per_insn, plus skipped_ns_ of idling. Otherwise: host
  // time less host_zero_ns_ (which moves when the host stopped calling run(): a paused guest does not age).
  u64 skipped_ns_ = 0, host_zero_ns_ = 0, last_exit_ns_ = 0, promised_idle_ns_ = 0;
  u64 insns_per_ms_ = 20'000;  // measured, to size slices in the normal mode
  u64 run_ns_ = 0;             // host time spent in run()

  // Telemetry beyond counters.
  HotBlocks hot_blocks_;     // with a compiler only
  u64 unsampled_insns_ = 0;  // retired since its last sample
  enum Counter : usize { kInstructions, kCompileNs, kBlocksCompiled, kDeopts, kTlbFills, kCounters };
  using Rates = oriel::Rates<kCounters>;
  Rates::Values counters() const;
  void note_rates(u64 host_ns) {
    if (rates_.due(host_ns)) rates_.note(host_ns, counters());
  }
  Rates rates_;

  Pic pic_;
  Lapic lapic_;
  IoApic ioapic_;
  Pit pit_;
  Hpet hpet_;
  Rtc rtc_;
  I8042 i8042_;
  Uart com1_, com2_;
  AcpiPm pm_;
  Dma8237 dma_;
  Port92 port92_;
  DebugCon debugcon_;
  SysCtrl sysctrl_;
  FwCfg fw_cfg_;
  FpuPort fpu_port_;
  PciBus pci_;
  PhysMem::RegionId bios_region_, lapic_region_;
  I440fx i440fx_;
  Piix3 piix3_;
  PiixIde ide_;
  Piix4Pm piix4_pm_;
  struct Free {
    void operator()(u8* p) const { std::free(p); }
  };
  std::unique_ptr<u8[], Free> vram_;  // from calloc: costs the host only what is touched
  Vga vga_;
  std::unique_ptr<VirtioBlk> virtio_;
  std::unique_ptr<TestDevice> test_device_;

  u8 irq_sources_[16] = {};
  u8 a20_sources_ = 0;
  u64 lapic_mapped_ = 0;  // 0: nowhere
  bool want_reset_ = false, want_init_ = false, powered_off_ = false, failed_ = false, in_run_ = false,
       want_stop_ = false;
  std::string report_;
  std::vector<u64> page_hash_;
  u64 ram_hash_ = 0;
};

}  // namespace oriel
