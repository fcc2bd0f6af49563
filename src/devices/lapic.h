// The local APIC of the one processor, version 14h. In xAPIC mode one 4 KiB page of MMIO, FEE00000 unless
// IA32_APIC_BASE moves it; in x2APIC mode MSRs 800H to 83FH. Source: Intel SDM Vol. 3A, chapter "Advanced Programmable
// Interrupt Controller".
#pragma once

#include "devices/device.h"

namespace oriel {

class Lapic final : public Device, public MmioHandler {
 public:
  // The count-down timer's input clock before the divider. One TSC tick is one nanosecond too.
  static constexpr u64 kTimerHz = 1'000'000'000;
  static constexpr u64 kDefaultBase = 0xfee00000;
  static constexpr u64 kBaseBsp = 1 << 8, kBaseX2 = 1 << 10, kBaseEnable = 1 << 11;

  enum Mode : u8 { kFixed = 0, kLowest = 1, kSmi = 2, kNmi = 4, kInit = 5, kSipi = 6, kExtInt = 7 };

  struct Wiring {
    // has_interrupt() or accepts_extint() changed: the machine works out the CPU's INTR again, which is
    // has_interrupt() || (accepts_extint() && the PIC's INTR). The argument is has_interrupt().
    std::function<void(bool pending)> intr;
    std::function<void()> nmi, init, smi;
    std::function<void(u8 vector)> sipi;
    std::function<void(u8 vector)> eoi;  // EOI of a level-triggered vector, to the I/O APIC
    // IA32_APIC_BASE changed: map the page at `base` when `mapped`.
    std::function<void(u64 base, bool mapped)> base_changed;
  };
  Lapic(Scheduler& sched, Wiring w);

  bool has_interrupt() const;  // a vector above the processor priority waits
  // INTA for the APIC: moves the highest vector to ISR. The spurious vector when there is none.
  u8 acknowledge();
  // Whether the PIC's INTR reaches the CPU: APIC disabled in IA32_APIC_BASE, or LINT0 is unmasked ExtINT.
  bool accepts_extint() const;

  // An interrupt message on the (one-processor) bus. `dest` is compared with the ID (physical) or with LDR and
  // DFR (logical). True when this APIC accepted it.
  bool deliver(u8 dest, bool logical, u8 mode, u8 vector, bool level_triggered);
  void deliver_msi(u64 addr, u32 data);  // FEExxxxx; other addresses are ignored
  // Pins LINT0 and LINT1 for delivery modes other than ExtINT (that one is accepts_extint()).
  void set_lint(unsigned pin, bool level);

  u8 cr8() const { return tpr_ >> 4; }  // 0 to 15
  void set_cr8(u8 v);
  u64 apic_base() const { return base_; }
  bool set_apic_base(u64 v);  // false: #GP (reserved bits, a transition that there is not)
  bool enabled() const { return base_ & kBaseEnable; }
  bool x2apic() const { return base_ & kBaseX2; }
  bool mapped() const { return enabled() && !x2apic(); }
  // MSRs 800H to 8FFH. false: #GP.
  bool read_msr(u32 index, u64& v);
  bool write_msr(u32 index, u64 v);
  u64 tsc_deadline();
  void set_tsc_deadline(u64 v);
  void init();  // the INIT signal: as reset, but the ID and IA32_APIC_BASE stay

  u64 mmio_read(u64 offset, unsigned size) override;
  void mmio_write(u64 offset, u64 value, unsigned size) override;
  const char* name() const override { return "lapic"; }
  void reset() override;
  void state(State& s) override;

 private:
  enum Lvt : unsigned { kTimer, kThermal, kPerf, kLint0, kLint1, kError, kLvtCount };
  enum Esr : u32 { kEsrSendVector = 1 << 5, kEsrRecvVector = 1 << 6, kEsrRegister = 1 << 7 };
  enum TimerMode : u32 { kOneShot = 0, kPeriodic = 1, kDeadline = 2 };

  bool software_enabled() const { return svr_ & 0x100; }
  TimerMode timer_mode() const;
  u64 divider() const;
  u8 ppr() const;
  u32 ldr() const;
  bool is_destination(u32 dest, bool logical) const;
  bool deliver_to(u32 dest, bool logical, u8 mode, u8 vector, bool level_triggered);
  bool accept(u8 vector, bool level);  // into IRR
  void local_interrupt(Lvt n);
  void error(u32 bits);
  void eoi();
  void send_ipi();
  void write_lvt(Lvt n, u32 v);
  u32 current_count(u64 now) const;
  void start_timer(u32 initial, u64 now);
  void arm_timer(u64 now);
  void sync();
  void on_timer();
  void update();
  u32 read_reg(unsigned reg);
  void write_reg(unsigned reg, u32 v);
  void clear_registers();

  u64 base_ = kDefaultBase | kBaseBsp | kBaseEnable;
  u32 id_ = 0;
  u8 tpr_ = 0;
  u32 ldr_ = 0, dfr_ = ~u32{0}, svr_ = 0xff, esr_ = 0, esr_pending_ = 0;
  u32 icr_lo_ = 0, icr_hi_ = 0;  // the upper half: the destination in bits 31:24, in x2APIC mode all of it
  u32 lvt_[kLvtCount] = {};
  u32 isr_[8] = {}, irr_[8] = {}, tmr_[8] = {};
  u32 initial_ = 0, dcr_ = 0;
  u64 timer_start_ = 0;  // when the count was `initial_` (modulo 2^64)
  bool timer_running_ = false;
  u64 deadline_ = 0;
  bool lint_[2] = {};
  bool in_error_ = false;
  bool last_pending_ = false, last_extint_ = false;
  Scheduler& sched_;
  Scheduler::TimerId timer_;
  Wiring w_;
};

}  // namespace oriel
