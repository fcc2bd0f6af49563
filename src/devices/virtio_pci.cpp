// Virtqueues and the virtio PCI transport. Source: VIRTIO 1.1, sections 2.6 (split virtqueues) and 4.1 (PCI).
#include "devices/virtio_pci.h"

#include <algorithm>

#include "devices/devutil.h"

namespace oriel {

namespace {
constexpr u16 kDescNext = 1, kDescWrite = 2, kDescIndirect = 4;
constexpr u16 kAvailNoInterrupt = 1;
constexpr u32 kDescSize = 16;

// BAR 0: one page for each structure.
constexpr u32 kBarSize = 0x4000, kCommon = 0x0000, kIsr = 0x1000, kDeviceCfg = 0x2000, kNotify = 0x3000;
constexpr u32 kCommonSize = 0x38, kNotifyMultiplier = 4;
constexpr u8 kCapVendor = 0x09;
constexpr u8 kCapCommon = 1, kCapNotify = 2, kCapIsr = 3, kCapDevice = 4, kCapPci = 5;
constexpr u8 kIsrQueue = 1, kIsrConfig = 2;
constexpr u64 kIoApicBase = 0xfec00000;
}  // namespace

// ---- VirtQueue ---------------------------------------------------------------------------------

VirtQueue::Pop VirtQueue::pop(Dma& dma, bool indirect, u16& head, std::vector<Segment>& out) {
  out.clear();
  if (!enabled || !size) return Pop::kEmpty;
  u16 avail = dma.read<u16>(driver + 2);
  u16 waiting = static_cast<u16>(avail - last_avail);
  if (!waiting) return Pop::kEmpty;
  if (waiting > size) return Pop::kBroken;
  head = dma.read<u16>(driver + 4 + 2u * (last_avail & (size - 1)));
  if (head >= size) return Pop::kBroken;
  last_avail++;

  u64 table = desc;
  u32 entries = size, index = head;
  bool in_indirect = false;
  for (unsigned steps = 0;; steps++) {
    if (index >= entries || steps > kMaxSegments || out.size() == kMaxSegments) return Pop::kBroken;
    struct {
      u64 address;
      u32 length;
      u16 flags, next;
    } d;
    static_assert(sizeof d == kDescSize);
    dma.read(table + u64{index} * kDescSize, &d, sizeof d);
    if (d.flags & kDescIndirect) {
      if (!indirect || in_indirect || (d.flags & kDescNext) || !d.length || d.length % kDescSize) return Pop::kBroken;
      in_indirect = true;
      table = d.address;
      entries = d.length / kDescSize;
      index = 0;
      continue;
    }
    bool writes = d.flags & kDescWrite;
    if (!writes && !out.empty() && out.back().device_writes) return Pop::kBroken;
    out.push_back({d.address, d.length, writes});
    if (!(d.flags & kDescNext)) return Pop::kChain;
    index = d.next;
  }
}

bool VirtQueue::push(Dma& dma, u16 head, u32 written, bool event_idx) {
  u64 element = device + 4 + 8u * (used_index & (size - 1u));
  dma.write<u32>(element, head);
  dma.write<u32>(element + 4, written);
  u16 old = used_index++;
  dma.write<u16>(device + 2, used_index);
  if (event_idx) {
    u16 event = dma.read<u16>(driver + 4 + 2u * size);
    return static_cast<u16>(used_index - event - 1) < static_cast<u16>(used_index - old);
  }
  return !(dma.read<u16>(driver) & kAvailNoInterrupt);
}

bool VirtQueue::enable_notification(Dma& dma, bool event_idx) {
  if (event_idx) dma.write<u16>(device + 4 + 8u * size, last_avail);
  return dma.read<u16>(driver + 2) != last_avail;
}

void VirtQueue::state(State& s) {
  s.io(size);
  s.io(last_avail);
  s.io(used_index);
  io_bool(s, enabled);
  s.io(desc);
  s.io(driver);
  s.io(device);
  if (!std::has_single_bit(size) || size > kMaxSize) {
    s.bad = true;
    if (s.loading()) size = kMaxSize;
  }
}

// ---- VirtioPci ---------------------------------------------------------------------------------

VirtioPci::VirtioPci(Dma& dma, u16 type, u32 class_code, unsigned queues, u64 features)
    : PciDevice(0x1af4, static_cast<u16>(0x1040 + type), class_code, 1),
      dma_(dma),
      queue_count_(std::min(queues, kMaxQueues)),
      offered_(features | kVersion1 | kIndirectDesc | kEventIdx) {
  config[0x3d] = 1;  // INTA#
  declare_bar(0, BarKind::kMem32, kBarSize);
  region_ = dma_.add_mmio(this, kBarSize);
  window_cap_ = add_virtio_capability(kCapPci, 0, 0, 20);
  for (unsigned i : {4, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19}) wmask[window_cap_ + i] = 0xff;
  u8 notify_cap = add_virtio_capability(kCapNotify, kNotify, kNotifyMultiplier * queue_count_, 20);
  put32(static_cast<u8>(notify_cap + 16), kNotifyMultiplier);
  add_virtio_capability(kCapDevice, kDeviceCfg, kConfigSize, 16);
  add_virtio_capability(kCapIsr, kIsr, 1, 16);
  add_virtio_capability(kCapCommon, kCommon, kCommonSize, 16);
}

u8 VirtioPci::add_virtio_capability(u8 type, u32 offset, u32 length, u8 size) {
  u8 at = add_capability(kCapVendor, size);
  config[at + 2] = size;
  config[at + 3] = type;
  put32(static_cast<u8>(at + 8), offset);
  put32(static_cast<u8>(at + 12), length);
  return at;
}

// The bridge sends to PCI what lies above the memory and below the interrupt controllers.
void VirtioPci::bar_changed(unsigned bar, u64 address) {
  if (bar != 0) return;
  if (mapped_ != kUnmapped) dma_.unmap(mapped_, kBarSize);
  mapped_ = kUnmapped;
  if (address < std::max<u64>(dma_.ram_size(), 0x100000) || address > kIoApicBase - kBarSize) return;
  mapped_ = address;
  dma_.map(address, kBarSize, region_, 0);
}

// Access to the BAR through configuration space, for firmware that cannot reach it: the capability names
// BAR, offset and length (1, 2 or 4), and its last four bytes are the data.
u32 VirtioPci::config_read(u8 reg, unsigned size) {
  unsigned data = window_cap_ + 16u, offset = cfg32(static_cast<u8>(window_cap_ + 8)),
           length = cfg32(static_cast<u8>(window_cap_ + 12));
  bool valid = config[window_cap_ + 4] == 0 && (length == 1 || length == 2 || length == 4) && offset < kBarSize &&
               offset % length == 0;
  if (valid && reg < data + 4 && reg + size > data) {
    put32(static_cast<u8>(data), static_cast<u32>(mmio_read(offset, length)));
  }
  return PciDevice::config_read(reg, size);
}

void VirtioPci::config_write(u8 reg, u32 value, unsigned size) {
  PciDevice::config_write(reg, value, size);
  unsigned data = window_cap_ + 16u, offset = cfg32(static_cast<u8>(window_cap_ + 8)),
           length = cfg32(static_cast<u8>(window_cap_ + 12));
  bool valid = config[window_cap_ + 4] == 0 && (length == 1 || length == 2 || length == 4) && offset < kBarSize &&
               offset % length == 0;
  if (valid && reg < data + 4 && reg + size > data) mmio_write(offset, cfg32(static_cast<u8>(data)), length);
}

// ---- Common configuration ----------------------------------------------------------------------

// The 32 bits at a multiple of 4.
u32 VirtioPci::common_read(unsigned at) {
  bool exists = queue_select_ < queue_count_;
  const VirtQueue& q = queues_[exists ? queue_select_ : 0];
  switch (at) {
    case 0x00: return feature_select_;
    case 0x04: return feature_select_ < 2 ? static_cast<u32>(offered_ >> 32 * feature_select_) : 0;
    case 0x08: return driver_feature_select_;
    case 0x0c:
      return driver_feature_select_ < 2 ? static_cast<u32>(driver_features_ >> 32 * driver_feature_select_) : 0;
    case 0x10: return 0xffff | queue_count_ << 16;  // no MSI-X vector
    case 0x14: return status_ | static_cast<u32>(queue_select_) << 16;
    case 0x18: return (exists ? q.size : 0) | 0xffff0000;
    case 0x1c: return exists ? static_cast<u32>(q.enabled) | static_cast<u32>(queue_select_) << 16 : 0;
    case 0x20: return exists ? static_cast<u32>(q.desc) : 0;
    case 0x24: return exists ? static_cast<u32>(q.desc >> 32) : 0;
    case 0x28: return exists ? static_cast<u32>(q.driver) : 0;
    case 0x2c: return exists ? static_cast<u32>(q.driver >> 32) : 0;
    case 0x30: return exists ? static_cast<u32>(q.device) : 0;
    case 0x34: return exists ? static_cast<u32>(q.device >> 32) : 0;
    default: return 0;
  }
}

static void put_half(u64& v, bool high, u32 half) {
  v = high ? (v & 0xffffffff) | static_cast<u64>(half) << 32 : (v & ~u64{0xffffffff}) | half;
}

// Drivers write each field with its own width; 64-bit fields also in halves.
void VirtioPci::common_write(unsigned offset, u32 value, unsigned size) {
  bool exists = queue_select_ < queue_count_;
  VirtQueue& q = queues_[exists ? queue_select_ : 0];
  switch (offset) {
    case 0x00: feature_select_ = value; return;
    case 0x08: driver_feature_select_ = value; return;
    case 0x0c:
      if (!(status_ & kFeaturesOk) && driver_feature_select_ < 2) {
        put_half(driver_features_, driver_feature_select_, value);
      }
      return;
    case 0x14:
      if (size == 1) write_status(static_cast<u8>(value));
      return;
    case 0x16: queue_select_ = static_cast<u16>(value); return;
    default: break;
  }
  if (!exists || q.enabled) return;
  switch (offset) {
    case 0x18: {
      u16 n = static_cast<u16>(value);
      if (std::has_single_bit(n) && n <= VirtQueue::kMaxSize) q.size = n;
      break;
    }
    case 0x1c: q.enabled = (value & 0xffff) == 1; break;
    case 0x20:
    case 0x24: put_half(q.desc, offset & 4, value); break;
    case 0x28:
    case 0x2c: put_half(q.driver, offset & 4, value); break;
    case 0x30:
    case 0x34: put_half(q.device, offset & 4, value); break;
    default: break;
  }
}

void VirtioPci::write_status(u8 v) {
  if (v == 0) {
    reset_device();
    return;
  }
  u8 set = v & static_cast<u8>(~kNeedsReset);
  if ((set & kFeaturesOk) && !(status_ & kFeaturesOk) &&
      ((driver_features_ & ~offered_) || !(driver_features_ & kVersion1))) {
    set &= static_cast<u8>(~kFeaturesOk);
  }
  bool starts = (set & kDriverOk) && !(status_ & kDriverOk);
  status_ |= set;
  // Chains may have been made available, and announced, before DRIVER_OK.
  for (unsigned i = 0; starts && i < queue_count_; i++) queue_notified(i);
}

void VirtioPci::reset_device() {
  driver_features_ = 0;
  feature_select_ = driver_feature_select_ = 0;
  queue_select_ = 0;
  status_ = isr_ = 0;
  for (VirtQueue& q : queues_) q.reset();
  set_intx(false);
  device_reset();
}

void VirtioPci::broken() {
  status_ |= kNeedsReset;
  isr_ |= kIsrConfig;
  set_intx(true);
}

void VirtioPci::queue_interrupt() {
  isr_ |= kIsrQueue;
  set_intx(true);
}

// ---- The BAR -----------------------------------------------------------------------------------

u64 VirtioPci::mmio_read(u64 offset, unsigned size) {
  u64 page = offset & ~u64{0xfff}, at = offset & 0xfff;
  u64 mask = size == 8 ? ~u64{0} : (u64{1} << 8 * size) - 1;
  switch (page) {
    case kCommon: {
      if (at + size > kCommonSize) return 0;
      u64 v = 0;
      for (unsigned i = 0; i < size; i++) {
        unsigned b = static_cast<unsigned>(at) + i;
        v |= static_cast<u64>(common_read(b & ~3u) >> 8 * (b & 3) & 0xff) << 8 * i;
      }
      return v;
    }
    case kIsr: {
      if (at != 0) return 0;
      u8 v = isr_;
      isr_ = 0;
      set_intx(false);
      return v;
    }
    case kDeviceCfg: {
      u8 bytes[kConfigSize] = {};
      if (at + size > kConfigSize) return 0;
      device_config(bytes);
      u64 v = 0;
      std::memcpy(&v, &bytes[at], size);
      return v & mask;
    }
    default: return 0;
  }
}

void VirtioPci::mmio_write(u64 offset, u64 value, unsigned size) {
  u64 page = offset & ~u64{0xfff}, at = offset & 0xfff;
  if (page == kCommon && at + size <= kCommonSize) {
    common_write(static_cast<unsigned>(at), static_cast<u32>(value), size);
    if (size == 8) common_write(static_cast<unsigned>(at) + 4, static_cast<u32>(value >> 32), 4);
  } else if (page == kNotify) {
    // The offset says which queue; the value repeats it.
    u64 queue = at / kNotifyMultiplier;
    if (queue < queue_count_ && running()) queue_notified(static_cast<unsigned>(queue));
  }
}

// ---- Reset and state ---------------------------------------------------------------------------

void VirtioPci::reset() {
  reset_device();
  PciDevice::reset();
  for (unsigned i = 4; i < 20; i++) config[window_cap_ + i] &= static_cast<u8>(~wmask[window_cap_ + i]);
}

void VirtioPci::state(State& s) {
  PciDevice::state(s);
  s.io(driver_features_);
  s.io(feature_select_);
  s.io(driver_feature_select_);
  s.io(queue_select_);
  s.io(status_);
  s.io(isr_);
  for (VirtQueue& q : queues_) q.state(s);
}

}  // namespace oriel
