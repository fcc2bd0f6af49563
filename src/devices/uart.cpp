// 16550A. Source: National Semiconductor PC16550D data sheet (TL/C/8652), section 8.
#include "devices/uart.h"

#include <algorithm>

#include "devices/devutil.h"

namespace oriel {

namespace {
enum : u8 { kErbfi = 1, kEtbei = 2, kElsi = 4, kEdssi = 8 };
enum : u8 { kDr = 0x01, kOe = 0x02, kPe = 0x04, kFe = 0x08, kBi = 0x10, kThre = 0x20, kTemt = 0x40, kFifoErr = 0x80 };
enum : u8 { kDtr = 1, kRts = 2, kOut1 = 4, kOut2 = 8, kLoop = 0x10 };
enum : u8 { kTeri = 0x04, kCts = 0x10, kDsr = 0x20, kRi = 0x40, kDcd = 0x80 };
constexpr u64 kClockHz = 1843200;
}  // namespace

Uart::Uart(Scheduler& sched, u16 base, IrqLine irq, std::function<void(const u8*, usize)> transmit)
    : base_(base),
      sched_(sched),
      tx_timer_(sched.create("uart-tx", [this] { on_transmit(); })),
      rx_timer_(sched.create("uart-rx", [this] { on_timeout(); })),
      irq_(std::move(irq)),
      transmit_(std::move(transmit)) {}

void Uart::reset() {
  ier_ = fcr_ = lcr_ = mcr_ = scr_ = 0;
  lsr_ = kThre | kTemt;
  msr_ = modem_in_;
  divisor_ = 12;
  rx_count_ = tx_count_ = 0;
  thre_pending_ = timeout_pending_ = false;
  sched_.cancel(tx_timer_);
  sched_.cancel(rx_timer_);
  irq_.set(false);
}

u64 Uart::char_ns() const {
  // Start bit, 5 to 8 data bits, parity, one or two stop bits, 16 clocks of the divided input each.
  unsigned bits = 1 + 5 + (lcr_ & 3) + (lcr_ >> 3 & 1) + 1 + (lcr_ >> 2 & 1);
  u64 divisor = divisor_ ? divisor_ : 65536;
  return bits * 16 * divisor * kNsPerSecond / kClockHz;
}

unsigned Uart::trigger() const {
  static constexpr u8 level[4] = {1, 4, 8, 14};
  return fifo() ? level[fcr_ >> 6] : 1;
}

u8 Uart::iir() const {
  u8 top = fifo() ? 0xc0 : 0;
  if ((ier_ & kElsi) && (lsr_ & (kOe | kPe | kFe | kBi))) return top | 6;
  if ((ier_ & kErbfi) && (lsr_ & kDr)) {
    if (rx_count_ >= trigger()) return top | 4;
    if (timeout_pending_) return top | 12;
  }
  if ((ier_ & kEtbei) && thre_pending_) return top | 2;
  if ((ier_ & kEdssi) && (msr_ & 0x0f)) return top;
  return top | 1;
}

void Uart::update_irq() { irq_.set(!(iir() & 1) && (mcr_ & kOut2)); }

// ---- receiver ----------------------------------------------------------------------------------

usize Uart::room() const {
  if (mcr_ & kLoop) return 0;
  return (fifo() ? kFifo : 1) - std::min<usize>(rx_count_, fifo() ? kFifo : 1);
}

usize Uart::receive(const u8* data, usize n) {
  n = std::min(n, room());
  for (usize i = 0; i < n; i++) push_rx(data[i], 0);
  if (n) update_irq();
  return n;
}

void Uart::push_rx(u8 v, u8 errors) {
  unsigned size = fifo() ? kFifo : 1;
  if (rx_count_ >= size) {
    lsr_ |= kOe;
    if (fifo()) return;  // with FIFOs the new character is lost, without them the old one
    rx_count_ = 0;
  }
  rx_[rx_count_] = v;
  rx_err_[rx_count_] = errors;
  // Errors show when their character is at the head.
  if (rx_count_ == 0) lsr_ |= errors;
  if (errors && fifo()) lsr_ |= kFifoErr;
  rx_count_++;
  lsr_ |= kDr;
  arm_timeout();
}

void Uart::clear_rx() {
  rx_count_ = 0;
  lsr_ &= ~(kDr | kFifoErr);
  timeout_pending_ = false;
  sched_.cancel(rx_timer_);
}

void Uart::arm_timeout() {
  timeout_pending_ = false;
  if (fifo() && rx_count_)
    sched_.arm(rx_timer_, sched_.now() + 4 * char_ns());
  else
    sched_.cancel(rx_timer_);
}

void Uart::on_timeout() {
  if (rx_count_) timeout_pending_ = true;
  update_irq();
}

// ---- transmitter -------------------------------------------------------------------------------

void Uart::on_transmit() {
  // Everything that was written since goes out at once. The interrupts come as at a high baud rate.
  u8 data[kFifo];
  unsigned n = tx_count_;
  std::copy_n(tx_, n, data);
  tx_count_ = 0;
  lsr_ |= kThre | kTemt;
  thre_pending_ = true;
  if (mcr_ & kLoop) {
    for (unsigned i = 0; i < n; i++) push_rx(data[i], 0);
  } else if (n && transmit_) {
    transmit_(data, n);
  }
  update_irq();
}

void Uart::write_fcr(u8 v) {
  bool toggled = (v ^ fcr_) & 1;
  if (!(v & 1)) v = 0;  // the other bits are not programmed while FIFOs are off
  if (toggled || (v & 2)) clear_rx();
  if ((toggled || (v & 4)) && tx_count_) {
    // What the shift register holds is sent; here all of it had been promised to it.
    sched_.cancel(tx_timer_);
    fcr_ = v & 0xc9;
    on_transmit();
    return;
  }
  fcr_ = v & 0xc9;
}

void Uart::set_modem(bool cts, bool dsr, bool ri, bool dcd) {
  modem_in_ = static_cast<u8>((cts ? kCts : 0) | (dsr ? kDsr : 0) | (ri ? kRi : 0) | (dcd ? kDcd : 0));
  update_msr();
  update_irq();
}

void Uart::update_msr() {
  u8 in = modem_in_;
  if (mcr_ & kLoop)
    in = static_cast<u8>((mcr_ & kRts ? kCts : 0) | (mcr_ & kDtr ? kDsr : 0) | (mcr_ & kOut1 ? kRi : 0) |
                         (mcr_ & kOut2 ? kDcd : 0));
  u8 changed = (msr_ ^ in) & 0xf0;
  u8 delta = changed >> 4;
  if (in & kRi) delta &= ~kTeri;  // only the trailing edge of RI counts
  msr_ = static_cast<u8>(in | (msr_ & 0x0f) | delta);
}

// ---- registers ---------------------------------------------------------------------------------

u32 Uart::port_read(u16 port, unsigned) {
  unsigned reg = (port - base_) & 7;
  bool dlab = lcr_ & 0x80;
  switch (reg) {
    case 0: {
      if (dlab) return divisor_ & 0xff;
      u8 v = rx_[0];
      if (rx_count_) {
        rx_count_--;
        std::copy_n(rx_ + 1, rx_count_, rx_);
        std::copy_n(rx_err_ + 1, rx_count_, rx_err_);
        if (rx_count_)
          lsr_ |= rx_err_[0];
        else
          lsr_ &= ~kDr;
        arm_timeout();
      }
      update_irq();
      return v;
    }
    case 1: return dlab ? divisor_ >> 8 : ier_;
    case 2: {
      u8 v = iir();
      if ((v & 0x0f) == 2) {
        thre_pending_ = false;
        update_irq();
      }
      return v;
    }
    case 3: return lcr_;
    case 4: return mcr_;
    case 5: {
      u8 v = lsr_;
      lsr_ &= ~(kOe | kPe | kFe | kBi);
      if (rx_count_) rx_err_[0] = 0;
      if (std::all_of(rx_err_, rx_err_ + rx_count_, [](u8 e) { return e == 0; })) lsr_ &= ~kFifoErr;
      update_irq();
      return v;
    }
    case 6: {
      u8 v = msr_;
      msr_ &= 0xf0;
      update_irq();
      return v;
    }
    default: return scr_;
  }
}

void Uart::port_write(u16 port, u32 value, unsigned) {
  u8 v = static_cast<u8>(value);
  unsigned reg = (port - base_) & 7;
  bool dlab = lcr_ & 0x80;
  switch (reg) {
    case 0:
      if (dlab) {
        divisor_ = static_cast<u16>((divisor_ & 0xff00) | v);
        break;
      }
      // A full FIFO loses the character; without it, one is being sent and the holding register is overwritten.
      if (!fifo() && tx_count_ > 1) tx_count_ = 1;
      if (tx_count_ < kFifo) tx_[tx_count_++] = v;
      lsr_ &= ~(kThre | kTemt);
      thre_pending_ = false;
      if (sched_.deadline(tx_timer_) == Scheduler::kNever)
        sched_.arm(tx_timer_, sched_.now() + std::clamp<u64>(char_ns() / 8, kMinEventNs, 100'000));
      break;
    case 1:
      if (dlab) {
        divisor_ = static_cast<u16>((divisor_ & 0x00ff) | v << 8);
        break;
      }
      // Enabling the interrupt while the holding register is empty raises it.
      if ((v & ~ier_ & kEtbei) && (lsr_ & kThre)) thre_pending_ = true;
      ier_ = v & 0x0f;
      break;
    case 2: write_fcr(v); break;
    case 3:
      // A break looped back is a null character with the break flag.
      if ((v & ~lcr_ & 0x40) && (mcr_ & kLoop)) push_rx(0, kBi);
      lcr_ = v;
      break;
    case 4:
      mcr_ = v & 0x1f;
      update_msr();
      break;
    case 7: scr_ = v; break;
    default: break;  // LSR and MSR: written in factory tests only
  }
  update_irq();
}

void Uart::state(State& s) {
  for (u8* p : {&ier_, &fcr_, &lcr_, &mcr_, &lsr_, &msr_, &scr_, &modem_in_, &rx_count_, &tx_count_}) s.io(*p);
  s.io(divisor_);
  s.io(rx_);
  s.io(rx_err_);
  s.io(tx_);
  io_bool(s, thre_pending_);
  io_bool(s, timeout_pending_);
  io_line(s, irq_);
  if (rx_count_ > kFifo || tx_count_ > kFifo) {
    s.bad = true;
    rx_count_ = tx_count_ = 0;
  }
}

}  // namespace oriel
