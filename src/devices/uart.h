// A 16550A serial port. Eight ports from `base` (3F8, 2F8, ...); register them with max_size 1.
// Source: National Semiconductor PC16550D data sheet (TL/C/8652).
#pragma once

#include "devices/device.h"

namespace oriel {

class Uart final : public Device, public PortHandler {
 public:
  // `transmit` gets what the guest sends, in order. The interrupt output passes through OUT2, as on a PC.
  Uart(Scheduler& sched, u16 base, IrqLine irq, std::function<void(const u8* data, usize n)> transmit);

  // Bytes from the line: takes as many as there is room for in the receiver, and returns how many.
  // The caller keeps the rest and tries again.
  usize receive(const u8* data, usize n);
  usize room() const;
  // The other end's modem lines. They start asserted, ring apart.
  void set_modem(bool cts, bool dsr, bool ri, bool dcd);

  u32 port_read(u16 port, unsigned size) override;
  void port_write(u16 port, u32 value, unsigned size) override;
  const char* name() const override { return "uart"; }
  void reset() override;
  void state(State& s) override;

 private:
  static constexpr unsigned kFifo = 16;
  bool fifo() const { return fcr_ & 1; }
  u64 char_ns() const;  // one character at the programmed rate
  unsigned trigger() const;
  u8 iir() const;  // with bits 7:6 by FIFO mode
  void push_rx(u8 v, u8 errors);
  void clear_rx();
  void write_fcr(u8 v);
  void update_msr();
  void update_irq();
  void arm_timeout();
  void on_transmit();
  void on_timeout();

  u16 base_;
  u8 ier_ = 0, fcr_ = 0, lcr_ = 0, mcr_ = 0, lsr_ = 0x60, msr_ = 0xb0, scr_ = 0, modem_in_ = 0xb0;
  u16 divisor_ = 12;
  u8 rx_[kFifo] = {}, rx_err_[kFifo] = {}, tx_[kFifo] = {};
  u8 rx_count_ = 0, tx_count_ = 0;
  bool thre_pending_ = false, timeout_pending_ = false;
  Scheduler& sched_;
  Scheduler::TimerId tx_timer_, rx_timer_;
  IrqLine irq_;
  std::function<void(const u8*, usize)> transmit_;
};

}  // namespace oriel
