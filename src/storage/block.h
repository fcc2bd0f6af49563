// Disk images as devices see them: 512-byte sectors, asynchronous requests. Format detection, the
// snapshot overlay and caching are behind this interface; the host supplies bytes.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/types.h"

namespace oriel {

// Bytes of an image, from the host (a file, a browser File, memory). Synchronous; offsets and lengths
// are checked by the caller against size().
class ByteStore {
 public:
  virtual ~ByteStore() = default;
  virtual u64 size() const = 0;
  virtual bool writable() const = 0;
  virtual bool read(u64 offset, void* buf, usize n) = 0;  // false: I/O error
  virtual bool write(u64 offset, const void* buf, usize n) = 0;
  virtual bool flush() = 0;
};

// What a disk or CD drive reads and writes. Sector size 512 (a CD drive asks for 2048 at a time).
class BlockDevice {
 public:
  virtual ~BlockDevice() = default;
  virtual u64 sectors() const = 0;    // 512-byte sectors
  virtual bool writable() const = 0;  // guest writes are accepted (they may go to an overlay)
  // `sector + count` within sectors(), else false. False: I/O error.
  virtual bool read(u64 sector, u32 count, u8* buf) = 0;
  virtual bool write(u64 sector, u32 count, const u8* buf) = 0;
  virtual bool flush() = 0;
  // An overlay's: the first sector at or after `sector` that may differ from the store, else sectors(); and the end of
  // what differs from there on.
  virtual u64 next_changed(u64 sector) const {
    static_cast<void>(sector);
    return sectors();
  }
  virtual u64 next_unchanged(u64 sector) const { return sector; }
  // For the state hash: a running hash of everything written.
  virtual u64 write_hash() const = 0;
  struct Stats {
    u64 reads = 0, writes = 0, bytes_read = 0, bytes_written = 0, flushes = 0;
  } stats;
};

// Opens an image: raw (any size that is a multiple of 512). Returns null and one line in
// `error` for anything else (qcow2, VHD, VMDK, VDI are recognised and refused by name).
// snapshot: writes go to a sparse in-memory overlay and the store is never written.
std::unique_ptr<BlockDevice> open_image(std::unique_ptr<ByteStore> store, bool snapshot, bool is_cdrom,
                                        std::string& error);

}  // namespace oriel
