// Raw disk images, and the sparse overlay that keeps a snapshot's writes in memory.
#include "storage/image.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "base/state.h"

namespace oriel {

namespace {

constexpr u32 kSector = 512;

class RawImage : public BlockDevice {
 public:
  RawImage(std::unique_ptr<ByteStore> store, bool read_only)
      : store_(std::move(store)), sectors_(store_->size() / kSector), read_only_(read_only) {}
  u64 sectors() const override { return sectors_; }
  bool writable() const override { return !read_only_ && store_->writable(); }
  u64 write_hash() const override { return hash_.value(); }

  bool read(u64 sector, u32 count, u8* buf) override {
    if (!inside(sector, count)) return false;
    stats.reads++;
    stats.bytes_read += u64{count} * kSector;
    return load_bytes(sector * kSector, buf, count * kSector);
  }

  bool write(u64 sector, u32 count, const u8* buf) override {
    if (!inside(sector, count) || !writable()) return false;
    stats.writes++;
    stats.bytes_written += u64{count} * kSector;
    hash_.io(sector);
    hash_.io(count);
    hash_.bytes(const_cast<u8*>(buf), count * kSector);  // a hash only reads
    return store_bytes(sector * kSector, buf, count * kSector);
  }

  bool flush() override {
    stats.flushes++;
    return flush_bytes();
  }

 protected:
  virtual bool load_bytes(u64 at, u8* buf, u32 n) { return store_->read(at, buf, n); }
  virtual bool store_bytes(u64 at, const u8* buf, u32 n) { return store_->write(at, buf, n); }
  virtual bool flush_bytes() { return !writable() || store_->flush(); }
  u64 bytes() const { return sectors_ * kSector; }

  std::unique_ptr<ByteStore> store_;

 private:
  static constexpr u32 kMaxCount = 1u << 22;  // so that byte counts fit 32 bits
  bool inside(u64 sector, u32 count) const {
    return count <= kMaxCount && sector <= sectors_ && count <= sectors_ - sector;
  }
  u64 sectors_;
  bool read_only_;
  HashState hash_;
};

// Writes go to 64 KiB chunks in memory; a chunk is copied from the store when it is first written.
class Overlay final : public RawImage {
 public:
  explicit Overlay(std::unique_ptr<ByteStore> store) : RawImage(std::move(store), false) {}
  bool writable() const override { return true; }

  u64 next_changed(u64 sector) const override { return next(sector, true); }
  u64 next_unchanged(u64 sector) const override { return next(sector, false); }

 protected:
  static constexpr u32 kChunk = 65536;

  bool load_bytes(u64 at, u8* buf, u32 n) override {
    while (n) {
      u32 within = static_cast<u32>(at % kChunk), k = std::min(n, kChunk - within);
      auto it = chunks_.find(at / kChunk);
      if (it != chunks_.end()) {
        std::memcpy(buf, it->second.get() + within, k);
      } else if (!store_->read(at, buf, k)) {
        return false;
      }
      at += k, buf += k, n -= k;
    }
    return true;
  }

  bool store_bytes(u64 at, const u8* buf, u32 n) override {
    while (n) {
      u32 within = static_cast<u32>(at % kChunk), k = std::min(n, kChunk - within);
      u8* chunk = writable_chunk(at / kChunk, within == 0 && k == kChunk);
      if (!chunk) return false;
      std::memcpy(chunk + within, buf, k);
      at += k, buf += k, n -= k;
    }
    return true;
  }

  bool flush_bytes() override { return true; }

 private:
  u64 next(u64 sector, bool changed) const {
    constexpr u64 kChunkSectors = kChunk / kSector;
    while (sector < sectors() && chunks_.contains(sector / kChunkSectors) != changed)
      sector = (sector / kChunkSectors + 1) * kChunkSectors;
    return std::min(sector, sectors());
  }

  u8* writable_chunk(u64 index, bool overwritten) {
    auto it = chunks_.find(index);
    if (it != chunks_.end()) return it->second.get();
    auto fresh = std::make_unique<u8[]>(kChunk);
    u64 at = index * kChunk;
    usize n = static_cast<usize>(std::min<u64>(kChunk, bytes() - at));
    if (!overwritten && !store_->read(at, fresh.get(), n)) return nullptr;
    return chunks_.emplace(index, std::move(fresh)).first->second.get();
  }

  std::unordered_map<u64, std::unique_ptr<u8[]>> chunks_;  // only looked up, never walked
};

}  // namespace

std::unique_ptr<BlockDevice> open_image(std::unique_ptr<ByteStore> store, bool snapshot, bool is_cdrom,
                                        std::string& error) {
  if (!store) {
    error = "there is no image";
    return nullptr;
  }
  u64 size = store->size();
  if (size == 0) {
    error = "the image is empty";
    return nullptr;
  }
  if (const ForeignFormat* f = detect_foreign_format(*store)) {
    error = std::string("the image is in ") + f->name + " format, not raw: " + f->advice;
    return nullptr;
  }
  u32 unit = is_cdrom ? 2048 : kSector;
  if (size % unit) {
    error = "the image is truncated: its size of " + std::to_string(size) + " bytes is not a multiple of " +
            std::to_string(unit);
    return nullptr;
  }
  if (is_cdrom) return std::make_unique<RawImage>(std::move(store), true);
  if (snapshot) return std::make_unique<Overlay>(std::move(store));
  return std::make_unique<RawImage>(std::move(store), false);
}

}  // namespace oriel
