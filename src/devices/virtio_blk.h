// A virtio block device (1af4:1042). Source: VIRTIO 1.1, section 5.2.
#pragma once

#include "devices/virtio_pci.h"
#include "storage/block.h"

namespace oriel {

class VirtioBlk final : public VirtioPci {
 public:
  // The caller keeps ownership of the disk and keeps it alive.
  VirtioBlk(Scheduler& sched, Dma& dma, BlockDevice& disk);

  const char* name() const override { return "virtio-blk"; }

 private:
  void device_config(u8 (&out)[kConfigSize]) override;
  void queue_notified(unsigned queue) override;
  void device_reset() override;
  void on_timer();
  u8 run_request(u32& written, u64& sectors_moved);
  void gather(u64 at, u8* p, u32 n);
  void scatter(u64 at, const u8* p, u32 n);

  BlockDevice& disk_;
  Scheduler& sched_;
  Scheduler::TimerId timer_;
  std::vector<VirtQueue::Segment> chain_;  // of the request being done; empty between events
  std::vector<u8> buffer_;
};

}  // namespace oriel
