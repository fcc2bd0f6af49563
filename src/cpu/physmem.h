// Guest-physical memory: one contiguous, sparse range of host memory for RAM, plus a page-granular
// map of what each 4 KiB page of the low 4 GiB is: RAM, ROM, other host-backed memory (VRAM), or MMIO.
// Addresses at and above 4 GiB are unmapped: they read as all ones and swallow writes.
#pragma once

#include <vector>

#include "base/types.h"

namespace oriel {

// Memory-mapped registers. `offset` is relative to the start of the region; `size` is 1, 2, 4 or 8
// and an access never crosses a page. Reads return the value in the low `size` bytes.
class MmioHandler {
 public:
  virtual ~MmioHandler() = default;
  virtual u64 mmio_read(u64 offset, unsigned size) = 0;
  virtual void mmio_write(u64 offset, u64 value, unsigned size) = 0;
};

// Told when the map or the dirty or code state of pages changes, so that cached translations go.
class PhysMemListener {
 public:
  virtual ~PhysMemListener() = default;
  virtual void mapping_changed() = 0;            // flush every translation
  virtual void code_written(u64 pa, u32 n) = 0;  // bytes in a page flagged kPageCode were written
  virtual void write_tracking_restarted() = 0;   // drop cached write permission (dirty flags were cleared)
};

enum PageFlags : u8 {
  kPageDirty = 1 << 0,    // written since clear_dirty(), for the state hash and for VRAM the screen
  kPageCode = 1 << 1,     // holds bytes of cached blocks
  kPageTouched = 1 << 2,  // written at least once since power-on: what the guest uses (memory accounting)
};

class PhysMem {
 public:
  static constexpr u32 kPageShift = 12, kPageSize = 4096;
  static constexpr u32 kPages = 1u << 20;  // pages below 4 GiB
  using RegionId = u8;                     // 0: unmapped

  // `ram` is `ram_size` zeroed bytes (a multiple of 1 MiB, at most 3 GiB), owned by the caller.
  // Everything starts unmapped.
  PhysMem(u8* ram, u64 ram_size);
  ~PhysMem();
  PhysMem(const PhysMem&) = delete;
  PhysMem& operator=(const PhysMem&) = delete;

  u64 ram_size() const { return ram_size_; }
  u8* ram() { return ram_; }
  void set_listener(PhysMemListener* l) { listener_ = l; }

  // Regions: created once, then mapped (and remapped: PCI BARs, PAM) over page ranges.
  // Host-backed memory: reads, and writes if `writable`, go straight to `host`. `page_flags` has one
  // byte a page of the region. A region that is not writable swallows writes.
  RegionId add_memory(u8* host, u64 size, bool writable, u8* page_flags);
  RegionId add_mmio(MmioHandler* h, u64 size);
  RegionId ram_region() const { return ram_id_; }
  // RAM that reads as RAM but whose writes are dropped (PAM write protection).
  RegionId ram_readonly_region() const { return ram_ro_id_; }

  // Maps `size` bytes at `pa` (both page multiples; the part beyond 4 GiB is ignored) to `region`
  // starting `offset` bytes into it. For the RAM regions `offset` is the RAM offset.
  void map(u64 pa, u64 size, RegionId region, u64 offset);
  void unmap(u64 pa, u64 size);

  // One page looked up. host == nullptr for MMIO and unmapped pages.
  struct Page {
    u8* host;   // first byte of the page in host memory
    u8* flags;  // its PageFlags, nullptr for MMIO and unmapped
    bool writable;
    MmioHandler* mmio;  // nullptr unless MMIO
    u64 mmio_offset;    // offset of the page in the MMIO region
  };
  Page page(u64 pa) const;

  // Access by physical address from outside the CPU's fast path (DMA, firmware loading, page walks).
  // Any alignment and length; host memory is written with its flags kept right (code invalidated).
  void read(u64 pa, void* buf, u64 n);
  void write(u64 pa, const void* buf, u64 n);
  template <class T>
  T read(u64 pa) {
    T v;
    read(pa, &v, sizeof v);
    return v;
  }
  template <class T>
  void write(u64 pa, T v) {
    write(pa, &v, sizeof v);
  }

  // Marks `n` bytes at `pa` written: sets dirty and touched, reports code_written if needed.
  // (The CPU calls it when it grants write permission or takes a slow write.)
  void note_write(const Page& page, u64 pa, u32 n);

  u8* ram_flags() { return ram_flags_; }  // one PageFlags byte per page of RAM
  // From now on take_written() gives the pages of RAM that were written since it was called last. Cpu::fill() then
  // grants no write that would go unseen.
  void track_writes();
  bool tracks_writes() const { return !seen_.empty(); }
  void note_written(const u8* host);
  std::vector<u32> take_written();
  // Clears kPageDirty over `n` page flags and makes the CPU report the next write to each page again.
  void clear_dirty(u8* flags, usize n);

 private:
  struct Region {
    u8* host;
    u64 size;
    u8* flags;
    MmioHandler* mmio;
    bool writable;
  };
  Region regions_[256];
  unsigned region_count_ = 1;
  RegionId ram_id_, ram_ro_id_;
  u8* ram_;
  u64 ram_size_;
  u8* ram_flags_;
  // Per page: region and page offset within it, packed as region << 20 | page number in the region.
  u32* map_;
  PhysMemListener* listener_ = nullptr;
  std::vector<u32> written_;
  std::vector<bool> seen_;  // by page: it is in written_
};

}  // namespace oriel
