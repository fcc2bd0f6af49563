// Firmware configuration. Source: the QEMU documentation's "Firmware Configuration (fw_cfg) Device".
#include "devices/fw_cfg.h"

#include <algorithm>

namespace oriel {

namespace {
constexpr usize kNameBytes = 56;
constexpr u16 kSelector = 0x510, kData = 0x511, kDmaHigh = 0x514, kDmaLow = 0x518;
constexpr u16 kWriteChannel = 0x4000;  // an old flag in keys, without effect
enum : u32 { kError = 1, kRead = 2, kSkip = 4, kSelect = 8, kWrite = 16 };
// Reads go on as zeros behind the end of an item. A request for more of them than any item is long is refused,
// so that a guest cannot have gigabytes filled with one command.
constexpr u64 kMaxZeros = 1 << 20;

void push_be(std::vector<u8>& v, u64 x, unsigned bytes) {
  while (bytes--) v.push_back(static_cast<u8>(x >> 8 * bytes));
}
}  // namespace

FwCfg::FwCfg(Dma& dma) : dma_(dma) {
  add_item(kSignature, {'Q', 'E', 'M', 'U'});
  add_item32(kId, 3);  // the port interface and DMA
  rebuild_directory();
}

FwCfg::Item* FwCfg::find(u16 key) {
  auto it = std::lower_bound(items_.begin(), items_.end(), key, [](const Item& i, u16 k) { return i.key < k; });
  return it != items_.end() && it->key == key ? &*it : nullptr;
}

FwCfg::Item& FwCfg::item(u16 key) {
  if (Item* i = find(key)) return *i;
  auto at = std::lower_bound(items_.begin(), items_.end(), key, [](const Item& i, u16 k) { return i.key < k; });
  return *items_.insert(at, Item{key, {}, nullptr, 0});
}

void FwCfg::add_item(u16 key, std::vector<u8> data) { item(key) = {key, std::move(data), nullptr, 0}; }

void FwCfg::add_item(u16 key, std::unique_ptr<ByteStore> store, u64 offset) {
  item(key) = {key, {}, std::move(store), offset};
}

bool FwCfg::Item::read(u64 offset, u8* to, usize n) const {
  if (store) return store->read(store_offset + offset, to, n);
  std::copy_n(data.data() + offset, n, to);
  return true;
}

void FwCfg::add_item16(u16 key, u16 v) { add_item(key, {static_cast<u8>(v), static_cast<u8>(v >> 8)}); }

void FwCfg::add_item32(u16 key, u32 v) {
  std::vector<u8> d(4);
  store(d.data(), v);
  add_item(key, std::move(d));
}

void FwCfg::add_item64(u16 key, u64 v) {
  std::vector<u8> d(8);
  store(d.data(), v);
  add_item(key, std::move(d));
}

u16 FwCfg::add_file(const std::string& file, std::vector<u8> data) {
  std::string short_name = file.substr(0, kNameBytes - 1);
  u32 size = static_cast<u32>(data.size());
  auto it = std::find_if(files_.begin(), files_.end(), [&](const File& f) { return f.name == short_name; });
  if (it == files_.end()) {
    u16 key = static_cast<u16>(kFileFirst + files_.size());
    it = files_.insert(files_.end(), File{short_name, key, 0});
  }
  it->size = size;
  u16 key = it->key;
  add_item(key, std::move(data));
  rebuild_directory();
  return key;
}

void FwCfg::rebuild_directory() {
  std::vector<u8> d;
  push_be(d, files_.size(), 4);
  for (const File& f : files_) {
    push_be(d, f.size, 4);
    push_be(d, f.key, 2);
    push_be(d, 0, 2);
    usize at = d.size();
    d.resize(at + kNameBytes);
    std::copy(f.name.begin(), f.name.end(), d.begin() + static_cast<std::ptrdiff_t>(at));
  }
  add_item(kFileDir, std::move(d));
}

void FwCfg::reset() {
  select(0);
  dma_high_ = 0;
}

void FwCfg::select(u16 key) {
  key_ = key & ~kWriteChannel;
  offset_ = 0;
}

u8 FwCfg::next_byte() {
  const Item* i = find(key_);
  u8 v = 0;
  if (!i || offset_ >= i->size() || !i->read(offset_, &v, 1)) return 0;
  offset_++;
  return v;
}

bool FwCfg::copy_out(const Item& i, u64 address, u64 n) {
  std::vector<u8> part(std::min<u64>(n, 64 * 1024));
  for (u64 done = 0; done < n; done += part.size()) {
    const usize bytes = static_cast<usize>(std::min<u64>(n - done, part.size()));
    if (!i.read(offset_ + done, part.data(), bytes)) return false;
    dma_.write(address + done, part.data(), bytes);
  }
  return true;
}

void FwCfg::run_dma(u64 at) {
  u8 block[16];
  dma_.read(at, block, sizeof block);
  u32 control = __builtin_bswap32(load<u32>(block)), length = __builtin_bswap32(load<u32>(block + 4));
  u64 address = __builtin_bswap64(load<u64>(block + 8));
  if (control & kSelect) select(static_cast<u16>(control >> 16));
  const Item* i = find(key_);
  u64 left = i && offset_ < i->size() ? i->size() - offset_ : 0;
  u32 result = 0;
  if (control & kRead) {
    u64 n = std::min<u64>(length, left), zeros = length - n;
    if (zeros > kMaxZeros || (n && !copy_out(*i, address, n))) {
      result = kError;
    } else {
      static constexpr u8 kZero[4096] = {};
      for (u64 done = 0; done < zeros; done += sizeof kZero)
        dma_.write(address + n + done, kZero, std::min<u64>(zeros - done, sizeof kZero));
      offset_ += n;
    }
  } else if (control & kWrite) {
    result = kError;  // nothing here is writable
  } else if (control & kSkip) {
    offset_ += std::min<u64>(length, left);
  }
  dma_.write<u32>(at, __builtin_bswap32(result));
}

u32 FwCfg::port_read(u16 port, unsigned size) {
  u32 v = 0;
  if (port >= kDmaHigh) {
    // The register reads as a signature, most significant byte first.
    static constexpr char kSignatureText[] = "QEMU CFG";
    for (unsigned i = 0; i < size; i++) {
      unsigned n = port - kDmaHigh + i;
      v |= static_cast<u32>(n < 8 ? kSignatureText[n] : 0) << 8 * i;
    }
    return v;
  }
  if (port == kData) return next_byte();
  return 0;  // the selector is write-only
}

void FwCfg::port_write(u16 port, u32 value, unsigned size) {
  if (port == kSelector && size == 2) select(static_cast<u16>(value));
  if (size != 4) return;
  if (port == kDmaHigh) dma_high_ = __builtin_bswap32(value);
  if (port == kDmaLow) {
    u64 at = static_cast<u64>(dma_high_) << 32 | __builtin_bswap32(value);
    dma_high_ = 0;
    run_dma(at);
  }
}

void FwCfg::state(State& s) {
  s.io(key_);
  s.io(offset_);
  s.io(dma_high_);
}

}  // namespace oriel
