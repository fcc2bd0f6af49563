// The modern PCI transport of virtio devices and their split virtqueues. Interrupts go over INTx.
// Source: Virtual I/O Device (VIRTIO) Version 1.1, OASIS, sections 2.4 to 2.6, 3.1 and 4.1.
#pragma once

#include "devices/pci.h"

namespace oriel {

// One split virtqueue. Everything it reads from guest memory is checked; a queue that breaks the rules
// reports it once and stays silent until the device is reset.
class VirtQueue {
 public:
  static constexpr u16 kMaxSize = 256;
  static constexpr unsigned kMaxSegments = 1024;
  struct Segment {
    u64 address;
    u32 length;
    bool device_writes;
  };
  enum class Pop : u8 { kEmpty, kChain, kBroken };

  u16 size = kMaxSize, last_avail = 0, used_index = 0;
  bool enabled = false;
  u64 desc = 0, driver = 0, device = 0;

  void reset() { *this = VirtQueue{}; }
  // The next chain the driver made available: its head and its segments, device-readable ones first.
  Pop pop(Dma& dma, bool indirect, u16& head, std::vector<Segment>& out);
  // Returns a chain; true when the driver wants an interrupt for it.
  bool push(Dma& dma, u16 head, u32 written, bool event_idx);
  // Asks for a notification when another chain comes (with event_idx); true if one is there already.
  bool enable_notification(Dma& dma, bool event_idx);
  void state(State& s);
};

class VirtioPci : public PciDevice, public MmioHandler {
 public:
  u32 config_read(u8 reg, unsigned size) override;
  void config_write(u8 reg, u32 value, unsigned size) override;
  void bar_changed(unsigned bar, u64 address) override;
  u64 mmio_read(u64 offset, unsigned size) override;
  void mmio_write(u64 offset, u64 value, unsigned size) override;
  void reset() override;
  void state(State& s) override;

 protected:
  static constexpr u64 kIndirectDesc = 1ull << 28, kEventIdx = 1ull << 29, kVersion1 = 1ull << 32;
  static constexpr u8 kAcknowledge = 1, kDriver = 2, kDriverOk = 4, kFeaturesOk = 8, kNeedsReset = 0x40, kFailed = 0x80;
  static constexpr unsigned kMaxQueues = 4, kConfigSize = 64;

  // `type` is the virtio device ID: 2 for a block device.
  VirtioPci(Dma& dma, u16 type, u32 class_code, unsigned queues, u64 features);
  // The device's configuration structure, as the driver reads it (read-only).
  virtual void device_config(u8 (&out)[kConfigSize]) = 0;
  virtual void queue_notified(unsigned queue) = 0;
  virtual void device_reset() = 0;  // the driver reset the device: requests in flight are forgotten

  bool running() const { return (status_ & kDriverOk) && !(status_ & kNeedsReset) && bus_master(); }
  bool has(u64 feature) const { return (driver_features_ & feature) == feature; }
  void broken();  // the driver broke the rules: DEVICE_NEEDS_RESET
  void queue_interrupt();
  Dma& dma_;
  VirtQueue queues_[kMaxQueues];

 private:
  u8 add_virtio_capability(u8 type, u32 offset, u32 length, u8 size);
  u32 common_read(unsigned at);
  void common_write(unsigned offset, u32 value, unsigned size);
  void write_status(u8 v);
  void reset_device();

  unsigned queue_count_;
  u64 offered_;
  u64 driver_features_ = 0;
  u32 feature_select_ = 0, driver_feature_select_ = 0;
  u16 queue_select_ = 0;
  u8 status_ = 0, isr_ = 0;
  u8 window_cap_ = 0;  // the capability for access through configuration space
  PhysMem::RegionId region_;
  u64 mapped_ = kUnmapped;
};

}  // namespace oriel
