// The page-granular map of guest-physical memory and accesses by physical address.
#include "cpu/physmem.h"

#include <cstdlib>
#include <utility>

namespace oriel {

namespace {
constexpr u32 kPageMask = PhysMem::kPageSize - 1;
constexpr unsigned kRegionShift = 20;  // region number above the page number within the region
constexpr u32 kRegionPageMask = (1u << kRegionShift) - 1;
}  // namespace

PhysMem::PhysMem(u8* ram, u64 ram_size) : ram_(ram), ram_size_(ram_size) {
  // calloc, not new[]: untouched parts of these tables must not cost host memory.
  map_ = static_cast<u32*>(std::calloc(kPages, sizeof(u32)));
  ram_flags_ = static_cast<u8*>(std::calloc(ram_size >> kPageShift, 1));
  regions_[0] = Region{};
  ram_id_ = add_memory(ram, ram_size, true, ram_flags_);
  ram_ro_id_ = add_memory(ram, ram_size, false, ram_flags_);
}

PhysMem::~PhysMem() {
  std::free(map_);
  std::free(ram_flags_);
}

PhysMem::RegionId PhysMem::add_memory(u8* host, u64 size, bool writable, u8* page_flags) {
  if (region_count_ >= 256) return 0;
  regions_[region_count_] = Region{host, size, page_flags, nullptr, writable};
  return static_cast<RegionId>(region_count_++);
}

PhysMem::RegionId PhysMem::add_mmio(MmioHandler* h, u64 size) {
  if (region_count_ >= 256) return 0;
  regions_[region_count_] = Region{nullptr, size, nullptr, h, false};
  return static_cast<RegionId>(region_count_++);
}

void PhysMem::map(u64 pa, u64 size, RegionId region, u64 offset) {
  u64 first = pa >> kPageShift;
  u64 pages = size >> kPageShift;
  for (u64 i = 0; i < pages && first + i < kPages; i++) {
    u64 in_region = (offset >> kPageShift) + i;
    bool inside = region != 0 && in_region < regions_[region].size >> kPageShift;
    map_[first + i] = inside ? static_cast<u32>(region) << kRegionShift | static_cast<u32>(in_region) : 0;
  }
  if (listener_) listener_->mapping_changed();
}

void PhysMem::unmap(u64 pa, u64 size) { map(pa, size, 0, 0); }

PhysMem::Page PhysMem::page(u64 pa) const {
  u64 n = pa >> kPageShift;
  if (n >= kPages) return Page{};
  u32 m = map_[n];
  const Region& r = regions_[m >> kRegionShift];
  u64 in_region = m & kRegionPageMask;
  if (r.mmio) return Page{nullptr, nullptr, false, r.mmio, in_region << kPageShift};
  if (!r.host) return Page{};
  return Page{r.host + (in_region << kPageShift), r.flags ? r.flags + in_region : nullptr, r.writable, nullptr, 0};
}

void PhysMem::read(u64 pa, void* buf, u64 n) {
  u8* out = static_cast<u8*>(buf);
  while (n) {
    u64 in_page = pa & kPageMask;
    u64 chunk = kPageSize - in_page < n ? kPageSize - in_page : n;
    Page p = page(pa);
    if (p.host) {
      std::memcpy(out, p.host + in_page, chunk);
    } else if (p.mmio) {
      for (u64 i = 0; i < chunk; i++) out[i] = static_cast<u8>(p.mmio->mmio_read(p.mmio_offset + in_page + i, 1));
    } else {
      std::memset(out, 0xff, chunk);
    }
    out += chunk;
    pa += chunk;
    n -= chunk;
  }
}

void PhysMem::write(u64 pa, const void* buf, u64 n) {
  const u8* in = static_cast<const u8*>(buf);
  while (n) {
    u64 in_page = pa & kPageMask;
    u64 chunk = kPageSize - in_page < n ? kPageSize - in_page : n;
    Page p = page(pa);
    if (p.host && p.writable) {
      std::memcpy(p.host + in_page, in, chunk);
      note_write(p, pa, static_cast<u32>(chunk));
    } else if (p.mmio) {
      for (u64 i = 0; i < chunk; i++) p.mmio->mmio_write(p.mmio_offset + in_page + i, in[i], 1);
    }
    in += chunk;
    pa += chunk;
    n -= chunk;
  }
}

void PhysMem::note_write(const Page& page, u64 pa, u32 n) {
  if (!page.flags) return;
  if (tracks_writes()) note_written(page.host);
  u8 f = *page.flags;
  *page.flags = f | kPageDirty | kPageTouched;
  if ((f & kPageCode) && listener_) listener_->code_written(pa, n);
}

void PhysMem::track_writes() { seen_.resize(ram_size_ >> kPageShift); }

void PhysMem::note_written(const u8* host) {
  const usize page = static_cast<usize>(host - ram_) >> kPageShift;
  if (host < ram_ || page >= seen_.size() || seen_[page]) return;
  seen_[page] = true;
  written_.push_back(static_cast<u32>(page));
}

std::vector<u32> PhysMem::take_written() {
  for (u32 page : written_) seen_[page] = false;
  return std::exchange(written_, {});
}

void PhysMem::clear_dirty(u8* flags, usize n) {
  for (usize i = 0; i < n; i++) flags[i] &= static_cast<u8>(~kPageDirty);
  if (listener_) listener_->write_tracking_restarted();
}

}  // namespace oriel
