// The virtio block device: one request queue, served in order. Source: VIRTIO 1.1, section 5.2.
#include "devices/virtio_blk.h"

#include <algorithm>

namespace oriel {

namespace {
constexpr u64 kSegMax = 1u << 2, kReadOnly = 1u << 5, kBlkSize = 1u << 6, kFlush = 1u << 9;
constexpr u32 kIn = 0, kOut = 1, kFlushOp = 4, kGetId = 8;
constexpr u8 kOk = 0, kIoError = 1, kUnsupported = 2;
constexpr u32 kHeaderSize = 16, kIdSize = 20, kSector = 512, kBufferSectors = 128;
constexpr u64 kMaxRequest = u64{64} << 20;         // bytes; more in one request is refused
constexpr u64 kFirstNs = 50'000, kNextNs = 2'000;  // from the notification, and between requests
constexpr u64 kNsPerSector = 1000;
}  // namespace

VirtioBlk::VirtioBlk(Scheduler& sched, Dma& dma, BlockDevice& disk)
    : VirtioPci(dma, 2, 0x010000, 1, kSegMax | kBlkSize | kFlush | (disk.writable() ? 0 : kReadOnly)),
      disk_(disk),
      sched_(sched),
      buffer_(kBufferSectors * kSector) {
  timer_ = sched_.create("virtio-blk", [this] { on_timer(); });
}

void VirtioBlk::device_config(u8 (&out)[kConfigSize]) {
  store<u64>(&out[0], disk_.sectors());
  store<u32>(&out[12], VirtQueue::kMaxSize - 2);  // seg_max: beside the header and the status
  store<u32>(&out[20], kSector);                  // blk_size
}

void VirtioBlk::queue_notified(unsigned) {
  if (running() && sched_.deadline(timer_) == Scheduler::kNever) sched_.arm(timer_, sched_.now() + kFirstNs);
}

void VirtioBlk::device_reset() { sched_.cancel(timer_); }

// One request a time; then the time its data takes passes before the next.
void VirtioBlk::on_timer() {
  if (!running()) return;
  VirtQueue& q = queues_[0];
  bool event_idx = has(kEventIdx);
  u16 head = 0;
  switch (q.pop(dma_, has(kIndirectDesc), head, chain_)) {
    case VirtQueue::Pop::kEmpty:
      if (q.enabled && q.enable_notification(dma_, event_idx)) sched_.arm(timer_, sched_.now() + kNextNs);
      return;
    case VirtQueue::Pop::kBroken: broken(); return;
    case VirtQueue::Pop::kChain: break;
  }
  u64 readable = 0, writable = 0, moved = 0;
  for (const VirtQueue::Segment& s : chain_) (s.device_writes ? writable : readable) += s.length;
  if (readable < kHeaderSize || !writable) {
    broken();
    return;
  }
  u32 written = 0;
  u8 status = run_request(written, moved);
  scatter(readable + writable - 1, &status, 1);  // the status is the last byte
  if (q.push(dma_, head, written + 1, event_idx)) queue_interrupt();
  sched_.arm(timer_, sched_.now() + kNextNs + moved * kNsPerSector);
}

// Copies `n` bytes at position `at` of the chain, seen as one run of bytes.
void VirtioBlk::gather(u64 at, u8* p, u32 n) {
  for (const VirtQueue::Segment& s : chain_) {
    if (at >= s.length) {
      at -= s.length;
      continue;
    }
    u32 k = static_cast<u32>(std::min<u64>(n, s.length - at));
    dma_.read(s.address + at, p, k);
    p += k;
    n -= k;
    at = 0;
    if (!n) return;
  }
}

void VirtioBlk::scatter(u64 at, const u8* p, u32 n) {
  for (const VirtQueue::Segment& s : chain_) {
    if (at >= s.length) {
      at -= s.length;
      continue;
    }
    u32 k = static_cast<u32>(std::min<u64>(n, s.length - at));
    dma_.write(s.address + at, p, k);
    p += k;
    n -= k;
    at = 0;
    if (!n) return;
  }
}

u8 VirtioBlk::run_request(u32& written, u64& sectors_moved) {
  u64 readable = 0, writable = 0;
  for (const VirtQueue::Segment& s : chain_) (s.device_writes ? writable : readable) += s.length;
  u8 header[kHeaderSize];
  gather(0, header, kHeaderSize);
  u32 type = load<u32>(header);
  u64 sector = load<u64>(header + 8);
  u64 out = readable - kHeaderSize, in = writable - 1;  // data bytes
  switch (type) {
    case kIn:
    case kOut: {
      u64 bytes = type == kIn ? in : out;
      u64 total = disk_.sectors(), left = bytes / kSector;
      if (bytes % kSector || bytes > kMaxRequest || sector > total || left > total - sector) return kIoError;
      if (type == kOut && !disk_.writable()) return kIoError;
      for (u64 at = type == kIn ? readable : kHeaderSize; left;) {
        u32 n = static_cast<u32>(std::min<u64>(left, kBufferSectors));
        if (type == kIn) {
          if (!disk_.read(sector, n, buffer_.data())) return kIoError;
          scatter(at, buffer_.data(), n * kSector);
          written += n * kSector;
        } else {
          gather(at, buffer_.data(), n * kSector);
          if (!disk_.write(sector, n, buffer_.data())) return kIoError;
        }
        at += n * kSector;
        sector += n;
        left -= n;
        sectors_moved += n;
      }
      return kOk;
    }
    case kFlushOp: return disk_.flush() ? kOk : kIoError;
    case kGetId: {
      static constexpr u8 kId[kIdSize] = {'o', 'r', 'i', 'e', 'l', '-', 'v', 'i', 'r', 't', 'i', 'o'};
      u32 n = static_cast<u32>(std::min<u64>(in, kIdSize));
      scatter(readable, kId, n);
      written += n;
      return kOk;
    }
    default: return kUnsupported;
  }
}

}  // namespace oriel
