// Paging, the software TLB and the memory paths behind its inline probe. SDM Vol. 3, chapter 4.
#include <cstdlib>

#include "cpu/blocks.h"
#include "cpu/cpu.h"

namespace oriel {

namespace {

constexpr u64 kPageOff = 0xfff;
// Bits of page-table entries.
constexpr u64 kPteP = 1, kPteW = 2, kPteU = 4, kPteA = 1u << 5, kPteD = 1u << 6, kPtePS = 1u << 7, kPteG = 1u << 8,
              kPteNX = u64{1} << 63;
constexpr unsigned kPteKeyShift = 59;                // protection key, bits 62:59
constexpr u64 kPhysMask = (u64{1} << 40) - 1;        // MAXPHYADDR = 40
constexpr u64 kPhysReserved = 0x000fff0000000000u;   // bits 51:40
constexpr u64 kPdpteReserved = 0x1e6u | ~kPhysMask;  // bits 2:1, 8:5 and everything above MAXPHYADDR
// Page-fault error code.
constexpr u32 kPfP = 1, kPfW = 2, kPfU = 4, kPfRsvd = 8, kPfI = 16, kPfPk = 32;

// In TlbSet::pa: a global page, a user page, its protection key in bits 5:2, a piece of a large page.
constexpr u64 kTlbGlobal = 1, kTlbUser = 2, kTlbLarge = 1 << 6;
constexpr unsigned kTlbKeyShift = 2;

constexpr TlbEntry kEmptyEntry = {kTlbNone, kTlbNone, kTlbNone, 0};

// In TlbEntry::wtag where writes are tracked: what would be the tag, for write_slow() alone.
constexpr u64 kTracked = 1;

constexpr u16 kNoPcid = 0xffff;

}  // namespace

Cpu::Cpu(PhysMem& memory, CpuBus& b) : mem(memory), bus(b) {
  init_tlb_set(*tlb_set);
  tlb = tlb_set->tables[0];
  blocks = new BlockCache(*this);
  mem.set_listener(this);
  reset();
}

Cpu::~Cpu() {
  mem.set_listener(nullptr);
  delete blocks;
  for (unsigned n = 0; n < kTlbSets; n++)
    for (unsigned m = 0; m < kMmuCount; m++) {
      if (m == kMmuAlign && n != 0) continue;
      std::free(tlb_sets_[n].tables[m]);
      std::free(tlb_sets_[n].pa[m]);
    }
}

// ---- TLB maintenance ---------------------------------------------------------------------------

void Cpu::init_tlb_set(TlbSet& s) {
  for (unsigned m = 0; m < kMmuCount; m++) {
    if (m == kMmuAlign && &s != tlb_sets_) {  // always empty: all have the same one
      s.tables[m] = tlb_sets_[0].tables[m];
      s.pa[m] = tlb_sets_[0].pa[m];
      continue;
    }
    s.tables[m] = static_cast<TlbEntry*>(std::aligned_alloc(64, sizeof(TlbEntry) * kTlbSize));
    s.pa[m] = static_cast<u64*>(std::malloc(sizeof(u64) * kTlbSize));
    for (unsigned i = 0; i < kTlbSize; i++) {
      s.tables[m][i] = kEmptyEntry;
      s.pa[m][i] = kTlbNone;
    }
  }
}

// f(entries, TlbSet::pa) for each table that may hold entries.
template <class F>
void Cpu::each_tlb(F f) {
  for (TlbSet& s : tlb_sets_)
    for (unsigned m = 0; m < kMmuCount; m++)
      if (s.used >> m & 1) f(s.tables[m], s.pa[m]);
}

void Cpu::drop_entries(TlbSet& s, bool keep_global) {
  for (unsigned m = 0; m < kMmuCount; m++) {
    if (!(s.used >> m & 1)) continue;
    u64* pa = s.pa[m];
    bool left = false;
    for (unsigned i = 0; i < kTlbSize; i++) {
      if (pa[i] == kTlbNone) continue;
      if (keep_global && (pa[i] & kTlbGlobal)) {
        left = true;
        continue;
      }
      s.tables[m][i] = kEmptyEntry;
      pa[i] = kTlbNone;
    }
    if (!left) s.used &= static_cast<u8>(~(1u << m));
  }
  s.gen = 0;
}

void Cpu::flush_tlb(bool keep_global) {
  stats.tlb_flushes++;
  if (keep_global) {
    drop_entries(*tlb_set, true);
    return renew_tlb_gen();
  }
  for (TlbSet& s : tlb_sets_) {
    drop_entries(s, false);
    s.pcid = kNoPcid;
  }
  tlb_set->pcid = static_cast<u16>(cr3 & kPageOff);
  large_pages_.clear();
  huge_pages_.clear();
  new_tlb_gen();
}

// A large page is entered piece by piece: all pieces of large pages in the GiB of `lin` go with it.
void Cpu::drop_page(TlbSet& s, u64 lin, bool global_only) {
  const bool large = may_be_large(lin);
  const unsigned slot = tlb_index(lin);
  for (unsigned m = 0; m < kMmuCount; m++) {
    if (!(s.used >> m & 1)) continue;
    for (unsigned i = large ? 0 : slot; i <= (large ? kTlbSize - 1 : slot); i++) {
      TlbEntry& e = s.tables[m][i];
      u64& pa = s.pa[m][i];
      if (pa == kTlbNone || (global_only && !(pa & kTlbGlobal))) continue;
      if (i != slot) {
        const u64 tag = e.rtag & e.wtag & e.xtag;  // kTlbNone is all ones
        if (!(pa & kTlbLarge) || ((tag ^ lin) >> 30)) continue;
      }
      e = kEmptyEntry;
      pa = kTlbNone;
    }
  }
}

void Cpu::flush_tlb_page(u64 lin) {
  for (TlbSet& s : tlb_sets_) drop_page(s, lin, &s != tlb_set);
  if (may_be_large(lin) || code_pages_.has(lin)) new_tlb_gen();
}

void Cpu::select_pcid(u16 pcid, bool keep) {
  if (pcid != tlb_set->pcid) {
    TlbSet* to = nullptr;
    for (TlbSet& s : tlb_sets_)
      if (s.tables[0] && s.pcid == pcid) to = &s;
    if (!to) {  // in place of the one that has not been in force for the longest time
      for (TlbSet& s : tlb_sets_)
        if (&s != tlb_set && (!to || s.last_used < to->last_used)) to = &s;
      if (!to->tables[0]) init_tlb_set(*to);
      drop_entries(*to, true);
      to->pcid = pcid;
    }
    tlb_set->last_used = ++pcid_switches_;
    tlb_set = to;
    tlb = to->tables[mmu];
  }
  if (!keep) return flush_tlb(true);
  if (tlb_set->gen)
    update_code_key();
  else
    renew_tlb_gen();
}

void Cpu::invpcid(Invpcid type, u16 pcid, u64 lin) {
  if (type == Invpcid::kAllWithGlobal) return flush_tlb(false);
  for (TlbSet& s : tlb_sets_) {
    if (type != Invpcid::kAll && s.pcid != pcid) continue;
    if (type == Invpcid::kAddress)
      drop_page(s, lin, false);
    else
      drop_entries(s, true);
    s.gen = 0;
  }
  if (!tlb_set->gen) renew_tlb_gen();
}

void Cpu::drop_write_permission(u64 pa) {
  each_tlb([pa](TlbEntry* e, const u64* at) {
    for (unsigned i = 0; i < kTlbSize; i++)
      if ((at[i] & ~kPageOff) == (pa & ~kPageOff)) e[i].wtag = kTlbNone;
  });
}

void Cpu::mapping_changed() {
  flush_tlb(false);
  if (compiled) compiled->all_dropped();
  blocks->flush();
}

void Cpu::code_written(u64 pa, u32 n) { blocks->invalidate(pa, n); }

void Cpu::write_tracking_restarted() {
  each_tlb([](TlbEntry* e, const u64*) {
    for (unsigned i = 0; i < kTlbSize; i++) e[i].wtag = kTlbNone;
  });
}

// Rights of keys changed: two bits of `changed` each. Entries of their pages lose what they allow to data.
void Cpu::drop_keys(u32 changed, bool user) {
  u32 keys = 0;
  for (unsigned k = 0; k < 16; k++) keys |= (changed >> 2 * k & 3 ? 1u : 0u) << k;
  each_tlb([keys, user](TlbEntry* e, const u64* at) {
    for (unsigned i = 0; i < kTlbSize; i++) {
      const u64 pa = at[i];
      if (pa == kTlbNone || ((pa & kTlbUser) != 0) != user || !(keys >> (pa >> kTlbKeyShift & 15) & 1)) continue;
      e[i].rtag = e[i].wtag = kTlbNone;
    }
  });
}

void Cpu::set_pkru(u32 v) {
  const u32 changed = pkru ^ v;
  pkru = v;
  if (changed && (cr4 & kCr4PKE)) drop_keys(changed, true);
}

void Cpu::set_pkrs(u32 v) {
  const u32 changed = static_cast<u32>(msr.pkrs) ^ v;
  msr.pkrs = v;
  if (changed && (cr4 & kCr4PKS)) drop_keys(changed, false);
}

void Cpu::set_a20(bool on) {
  u64 m = on ? ~u64{0} : ~(u64{1} << 20);
  if (m == a20_mask_) return;
  a20_mask_ = m;
  flush_tlb(false);
}

void Cpu::update_breakpoints() {
  // Data breakpoints work by keeping their pages out of the TLB.
  for (unsigned i = 0; i < 4; i++) {
    bool armed = dr[7] >> (2 * i) & 3;
    bool data = (dr[7] >> (16 + 4 * i) & 3) != 0;
    data_breakpoint_pages_[i] = armed && data ? dr[i] & ~kPageOff : kTlbNone;
  }
  flush_tlb(false);
  update_mode();
}

// ---- page walk ---------------------------------------------------------------------------------

// Walks for `lin` and checks the access. On success sets A (and D for a write) and fills `t`.
bool Cpu::walk(u64 lin, AccessKind kind, u8 index, Translation& t, bool peek) {
  if (!peek) stats.translations++;
  bool user_access = index == kMmuUser || index == kMmuAlign;
  u32 err = (kind == kWrite ? kPfW : 0) | (user_access ? kPfU : 0);
  bool nxe = efer & kEferNXE;
  if (kind == kFetch && ((nxe && (cr4 & kCr4PAE)) || (cr4 & kCr4SMEP))) err |= kPfI;

  t = Translation{lin & a20_mask_, true, true, false, false, true, 12};
  if (!(cr0 & kCr0PG)) return !svm.nested || nested_walk(t.pa, kind, true, t);

  auto fault = [this, peek](u64 at, u32 error) { return peek ? false : raise_pf(at, error); };
  struct Level {
    u64 addr;
    u64 entry;
  };
  Level chain[4];
  unsigned n = 0;
  u64 leaf = 0;
  unsigned shift = 12;
  bool rw = true, us = true, nx = false;
  const bool pae = cr4 & kCr4PAE;
  const unsigned entry_size = pae ? 8 : 4;

  // False: a nested page fault. Entries are read as if they were written (APM Vol. 2, 15.25.6).
  auto fetch_entry = [&](u64 addr, u64& e) {
    addr &= a20_mask_;
    Translation nested{};
    if (svm.nested && !nested_walk(addr, kWrite, false, nested)) return false;
    e = pae ? mem.read<u64>(addr) : mem.read<u32>(addr);
    chain[n++] = Level{addr, e};
    return true;
  };
  auto reserved = [&](u64 e, u64 mask) { return (e & (mask | kPhysReserved | (nxe ? 0 : kPteNX))) != 0; };

  if (pae) {
    u64 table;
    unsigned level;  // level * 9 + 12 is the shift of the entries in `table`
    if (lma()) {
      table = cr3 & kPhysMask & ~kPageOff;
      level = 3;
    } else {
      u64 e = pdpte[lin >> 30 & 3];
      if (svm.nested) {  // not kept but read like any entry (APM Vol. 2, 15.25.10)
        u64 at = (cr3 & 0xffffffe0u) + (lin >> 30 & 3) * 8;
        Translation nested{};
        if (!nested_walk(at, kWrite, false, nested)) return false;
        e = mem.read<u64>(at);
      }
      if (!(e & kPteP)) return fault(lin, err);
      if (svm.nested && (e & kPdpteReserved)) return fault(lin, err | kPfP | kPfRsvd);
      table = e & kPhysMask & ~kPageOff;
      level = 1;
    }
    for (;; level--) {
      shift = level * 9 + 12;
      u64 e;
      if (!fetch_entry(table + (lin >> shift & 0x1ff) * entry_size, e)) return false;
      if (!(e & kPteP)) return fault(lin, err);
      u64 rsvd = level == 3 ? kPtePS : 0;
      if (!lma()) rsvd |= 0x7ff0000000000000u & ~kPhysReserved;  // bits 62:52 outside IA-32e paging
      bool large = (level == 1 || level == 2) && (e & kPtePS);
      if (large) rsvd |= ((u64{1} << shift) - 1) & ~u64{0x1fff};
      if (reserved(e, rsvd)) return fault(lin, err | kPfP | kPfRsvd);
      rw &= (e & kPteW) != 0;
      us &= (e & kPteU) != 0;
      nx |= (e & kPteNX) != 0;
      if (level == 0 || large) {
        leaf = e;
        break;
      }
      table = e & kPhysMask & ~kPageOff;
    }
    t.pa = (leaf & kPhysMask & ~((u64{1} << shift) - 1)) | (lin & ((u64{1} << shift) - 1));
  } else {
    u64 e;
    if (!fetch_entry((cr3 & 0xfffff000u) + (lin >> 22 & 0x3ff) * 4, e)) return false;
    if (!(e & kPteP)) return fault(lin, err);
    rw &= (e & kPteW) != 0;
    us &= (e & kPteU) != 0;
    if ((e & kPtePS) && (cr4 & kCr4PSE)) {
      // PSE-36 with 40 physical bits: bits 20:13 are address bits 39:32, bit 21 is reserved.
      if (e & (1u << 21)) return fault(lin, err | kPfP | kPfRsvd);
      shift = 22;
      leaf = e;
      t.pa = (e & 0xffc00000u) | (e >> 13 & 0xff) << 32 | (lin & 0x3fffff);
    } else {
      if (!fetch_entry((e & 0xfffff000u) + (lin >> 12 & 0x3ff) * 4, leaf)) return false;
      if (!(leaf & kPteP)) return fault(lin, err);
      rw &= (leaf & kPteW) != 0;
      us &= (leaf & kPteU) != 0;
      t.pa = (leaf & 0xfffff000u) | (lin & kPageOff);
    }
  }

  // Access rights (SDM Vol. 3, 4.6.1).
  bool ok;
  if (user_access) {
    ok = us && (kind != kWrite || rw) && !(kind == kFetch && nx);
  } else {
    bool smap = (cr4 & kCr4SMAP) && index != kMmuSupAc;
    if (kind == kFetch)
      ok = !nx && !(us && (cr4 & kCr4SMEP));
    else if (us && smap)
      ok = false;
    else
      ok = kind == kRead || rw || !(cr0 & kCr0WP);
  }
  // Protection keys (4.6.2) concern data alone.
  if (lma() && (cr4 & (us ? kCr4PKE : kCr4PKS))) {
    t.key = leaf >> kPteKeyShift & 15;
    const u32 rights = (us ? pkru : static_cast<u32>(msr.pkrs)) >> 2 * t.key;
    t.key_read = !(rights & 1);
    t.key_write = t.key_read && !((rights & 2) && (user_access || (cr0 & kCr0WP)));
    if (kind == kRead ? !t.key_read : kind == kWrite && !t.key_write) {
      err |= kPfPk;
      ok = false;
    }
  }
  if (!ok) return fault(lin, err | kPfP);

  t.pa &= a20_mask_;
  t.writable = rw;
  t.user = us;
  t.nx = nx;
  t.dirty = true;
  if (svm.nested && !nested_walk(t.pa, kind, true, t)) return false;

  for (unsigned i = 0; i < n; i++) {
    u64 want = kPteA | (i == n - 1 && kind == kWrite ? kPteD : 0);
    if ((chain[i].entry & want) == want) continue;
    if (peek) return false;
    chain[i].entry |= want;
    if (pae)
      mem.write<u64>(chain[i].addr, chain[i].entry);
    else
      mem.write<u32>(chain[i].addr, static_cast<u32>(chain[i].entry));
  }
  t.global = (leaf & kPteG) && (cr4 & kCr4PGE);
  t.dirty &= (chain[n - 1].entry & kPteD) != 0;
  t.page_shift = static_cast<u8>(shift);
  return true;
}

bool Cpu::translate(u64 lin, AccessKind kind, u8 index, u64& pa) {
  Translation t;
  if (!walk(lin, kind, index, t)) return false;
  pa = t.pa;
  return true;
}

bool Cpu::load_pdptes(u64 value) {
  if (svm.nested) return true;
  u64 e[4];
  for (unsigned i = 0; i < 4; i++) {
    e[i] = mem.read<u64>((value & 0xffffffe0u) + i * 8);
    if ((e[i] & kPteP) && (e[i] & kPdpteReserved)) return raise(kGP, 0);
  }
  for (unsigned i = 0; i < 4; i++) pdpte[i] = e[i];
  return true;
}

// Translates and enters the page into the TLB with every right that holds without another walk.
// `pa` gets the physical address.
bool Cpu::fill(u64 lin, AccessKind kind, u8 index, u64& pa) {
  Translation t;
  stats.tlb_misses++;
  if (!walk(lin, kind, index, t)) return false;
  pa = t.pa;
  if (index == kMmuAlign) return true;
  PhysMem::Page page = mem.page(t.pa);
  if (!page.host) return true;
  if (t.page_shift >= 30)
    huge_pages_.add(lin);
  else if (t.page_shift > 12)
    large_pages_.add(lin);

  u64 lin_page = lin & ~kPageOff;
  bool watched = false;
  for (u64 w : data_breakpoint_pages_) watched |= w == lin_page;

  TlbEntry& e = tlb_set->tables[index][tlb_index(lin)];
  tlb_set->used |= static_cast<u8>(1u << index);
  bool user = index == kMmuUser;
  bool smap_hides = !user && t.user && (cr4 & kCr4SMAP) && index != kMmuSupAc;
  bool readable = (user ? t.user : !smap_hides) && t.key_read;
  bool may_write = readable && t.key_write && (t.writable || (!user && !(cr0 & kCr0WP)));
  bool fetchable = !t.nx && (user ? t.user : !(t.user && (cr4 & kCr4SMEP)));
  bool write_now = may_write && t.dirty && page.writable && !watched;
  if (write_now) {
    if (kind == kWrite && page.flags) *page.flags |= kPageDirty | kPageTouched;
    // Writes through the entry go unseen: it may exist only for pages already marked and without code.
    if (page.flags && (*page.flags & (kPageDirty | kPageTouched | kPageCode)) != (kPageDirty | kPageTouched))
      write_now = false;
  }
  e.rtag = readable && !watched ? lin_page : kTlbNone;
  e.wtag = write_now ? lin_page | (mem.tracks_writes() ? kTracked : 0) : kTlbNone;
  e.xtag = fetchable ? lin_page : kTlbNone;
  e.addend = static_cast<u64>(reinterpret_cast<uintptr_t>(page.host)) - lin_page;
  tlb_set->pa[index][tlb_index(lin)] = (t.pa & ~kPageOff) | (t.global ? kTlbGlobal : 0) | (t.user ? kTlbUser : 0) |
                                       (t.page_shift > 12 ? kTlbLarge : 0) | u64{t.key} << kTlbKeyShift;
  return true;
}

bool Cpu::translate_fetch(u64 lin, u64& pa) { return fill(lin, kFetch, mmu, pa); }

bool Cpu::peek_fetch(u64 lin, u64& pa) {
  if (!canonical(lin) || svm.nested) return false;
  if (fetch_in_tlb(lin, pa)) return true;
  Translation t;
  if (!walk(lin, kFetch, mmu, t, true)) return false;
  pa = t.pa;
  return true;
}

// ---- slow access paths -------------------------------------------------------------------------

namespace {

// One piece of an access, within a page, by physical address.
void phys_read(Cpu& c, u64 pa, u8* out, u32 n) {
  PhysMem::Page p = c.mem.page(pa);
  u64 off = pa & kPageOff;
  if (p.host) {
    std::memcpy(out, p.host + off, n);
  } else if (p.mmio) {
    c.stats.mmio_reads++;
    u32 step = n == 8 || n == 4 || n == 2 || n == 1 ? n : n % 8 == 0 ? 8 : 1;
    for (u32 i = 0; i < n; i += step) {
      u64 v = p.mmio->mmio_read(p.mmio_offset + off + i, step);
      std::memcpy(out + i, &v, step);
    }
  } else {
    std::memset(out, 0xff, n);
  }
}

void phys_write(Cpu& c, u64 pa, const u8* in, u32 n) {
  PhysMem::Page p = c.mem.page(pa);
  u64 off = pa & kPageOff;
  if (p.host) {
    if (!p.writable) return;
    std::memcpy(p.host + off, in, n);
    c.mem.note_write(p, pa, n);
  } else if (p.mmio) {
    c.stats.mmio_writes++;
    u32 step = n == 8 || n == 4 || n == 2 || n == 1 ? n : n % 8 == 0 ? 8 : 1;
    for (u32 i = 0; i < n; i += step) {
      u64 v = 0;
      std::memcpy(&v, in + i, step);
      p.mmio->mmio_write(p.mmio_offset + off + i, v, step);
    }
  }
}

}  // namespace

// Checks that come before translation: canonical form and alignment.
bool Cpu::linear_check(u64 lin, u32 n, unsigned s, u8& index) {
  if (lin_mask == ~u64{0} && ORIEL_UNLIKELY(!canonical(lin) || !canonical(lin + n - 1)))
    return raise(s == kSS ? kSSv : kGP, 0);
  if (index == kMmuAlign) {
    if (n <= 8 && (lin & (n - 1))) return raise(kACv, 0);
    index = kMmuUser;
  }
  return true;
}

void Cpu::check_data_breakpoints(u64 lin, u32 n, bool write) {
  for (unsigned i = 0; i < 4; i++) {
    unsigned rw = dr[7] >> (16 + 4 * i) & 3;
    if (!(dr[7] >> (2 * i) & 3) || rw == 0 || rw == 2) continue;
    if (rw == 1 && !write) continue;
    static constexpr u8 lengths[4] = {1, 2, 8, 4};
    u64 len = lengths[dr[7] >> (18 + 4 * i) & 3];
    u64 start = dr[i] & ~(len - 1);
    if (lin < start + len && start < lin + n) {
      pending_dr6 |= 1u << i;
      raise_event(kEvDebug);
    }
  }
}

bool Cpu::read_slow(u64 lin, void* out, u32 n, unsigned s, u8 index) {
  stats.slow_reads++;
  if (!linear_check(lin, n, s, index)) return false;
  u8* o = static_cast<u8*>(out);
  u32 first = static_cast<u32>(0x1000 - (lin & kPageOff));
  u64 pa, pa2 = 0;
  if (!fill(lin, kRead, index, pa)) return false;
  if (ORIEL_UNLIKELY(first < n)) {
    if (!fill((lin + first) & lin_mask, kRead, index, pa2)) return false;
    phys_read(*this, pa, o, first);
    phys_read(*this, pa2, o + first, n - first);
  } else {
    phys_read(*this, pa, o, n);
  }
  if (ORIEL_UNLIKELY(is_breakpoint_armed())) check_data_breakpoints(lin, n, false);
  return true;
}

// The host address of a write that would have gone unseen, if writes were not tracked; else nullptr.
u8* Cpu::tracked_write(u64 lin, u32 n, u8 index) {
  const TlbEntry& e = tlb_set->tables[index][tlb_index(lin)];
  if ((((lin + n - 1) & ~kPageOff) | kTracked) != e.wtag) return nullptr;
  u8* host = reinterpret_cast<u8*>(static_cast<uintptr_t>(lin + e.addend));
  mem.note_written(host);
  return host;
}

bool Cpu::write_slow(u64 lin, const void* v, u32 n, unsigned s, u8 index) {
  if (u8 * host; mem.tracks_writes() && (host = tracked_write(lin, n, index))) {
    std::memcpy(host, v, n);
    return true;
  }
  stats.slow_writes++;
  if (!linear_check(lin, n, s, index)) return false;
  const u8* in = static_cast<const u8*>(v);
  u32 first = static_cast<u32>(0x1000 - (lin & kPageOff));
  u64 pa, pa2 = 0;
  if (!fill(lin, kWrite, index, pa)) return false;
  if (ORIEL_UNLIKELY(first < n)) {
    if (!fill((lin + first) & lin_mask, kWrite, index, pa2)) return false;
    phys_write(*this, pa, in, first);
    phys_write(*this, pa2, in + first, n - first);
  } else {
    phys_write(*this, pa, in, n);
  }
  if (ORIEL_UNLIKELY(is_breakpoint_armed())) check_data_breakpoints(lin, n, true);
  return true;
}

bool Cpu::rmw_slow(u64 lin, void* old, u32 n, unsigned s) {
  u8 index = mmu;
  if (const u8 * host; mem.tracks_writes() && (host = tracked_write(lin, n, index))) {
    std::memcpy(old, host, n);
    rmw_ = Rmw{lin, nullptr, s};
    return true;
  }
  if (!linear_check(lin, n, s, index)) return false;
  u32 first = static_cast<u32>(0x1000 - (lin & kPageOff));
  u64 pa;
  if (!fill(lin, kWrite, index, pa)) return false;
  if (first < n && !fill((lin + first) & lin_mask, kWrite, index, pa)) return false;
  rmw_ = Rmw{lin, nullptr, s};
  return read_slow(lin, old, n, s, index);
}

void Cpu::rmw_commit_slow(const void* v, u32 n) { write_slow(rmw_.lin, v, n, rmw_.s, mmu); }

bool Cpu::probe(unsigned s, u64 off, u32 n, AccessKind kind) {
  if (!(seg[s].ok & (kind == kWrite ? kSegOkWrite : kSegOkRead)) && !seg_check(s, off, n, kind)) return false;
  u64 lin = (seg[s].lin + off) & lin_mask;
  if (lin_mask == ~u64{0} && (!canonical(lin) || !canonical(lin + n - 1))) return raise(s == kSS ? kSSv : kGP, 0);
  u8 index = mmu == kMmuAlign ? static_cast<u8>(kMmuUser) : mmu;
  for (u64 done = 0; done < n;) {
    u64 at = (lin + done) & lin_mask, pa;
    if (!fill(at, kind, index, pa)) return false;
    done += 0x1000 - (at & kPageOff);
  }
  return true;
}

bool Cpu::probe_write(unsigned s, u64 off, u32 n) { return probe(s, off, n, kWrite); }
bool Cpu::probe_read(unsigned s, u64 off, u32 n) { return probe(s, off, n, kRead); }

bool Cpu::read_bytes(unsigned s, u64 off, void* buf, u32 n) {
  if (!probe_read(s, off, n)) return false;
  u64 lin = (seg[s].lin + off) & lin_mask;
  u8* o = static_cast<u8*>(buf);
  u8 index = mmu == kMmuAlign ? static_cast<u8>(kMmuUser) : mmu;
  while (n) {
    u32 chunk = static_cast<u32>(0x1000 - (lin & kPageOff));
    if (chunk > n) chunk = n;
    if (!read_slow(lin, o, chunk, s, index)) return false;
    o += chunk;
    n -= chunk;
    lin = (lin + chunk) & lin_mask;
  }
  return true;
}

bool Cpu::write_bytes(unsigned s, u64 off, const void* buf, u32 n) {
  if (!probe_write(s, off, n)) return false;
  u64 lin = (seg[s].lin + off) & lin_mask;
  const u8* in = static_cast<const u8*>(buf);
  u8 index = mmu == kMmuAlign ? static_cast<u8>(kMmuUser) : mmu;
  while (n) {
    u32 chunk = static_cast<u32>(0x1000 - (lin & kPageOff));
    if (chunk > n) chunk = n;
    if (!write_slow(lin, in, chunk, s, index)) return false;
    in += chunk;
    n -= chunk;
    lin = (lin + chunk) & lin_mask;
  }
  return true;
}

template <class T>
bool Cpu::read_sys(u64 lin, T& out) {
  return read_slow(lin & lin_mask_sys(), &out, sizeof(T), kDS, kMmuSup);
}
template <class T>
bool Cpu::write_sys(u64 lin, T v) {
  return write_slow(lin & lin_mask_sys(), &v, sizeof(T), kDS, kMmuSup);
}
template bool Cpu::read_sys<u8>(u64, u8&);
template bool Cpu::read_sys<u16>(u64, u16&);
template bool Cpu::read_sys<u32>(u64, u32&);
template bool Cpu::read_sys<u64>(u64, u64&);
template bool Cpu::write_sys<u8>(u64, u8);
template bool Cpu::write_sys<u16>(u64, u16);
template bool Cpu::write_sys<u32>(u64, u32);
template bool Cpu::write_sys<u64>(u64, u64);

// ---- segment checks and the stack --------------------------------------------------------------

bool Cpu::seg_check(unsigned s, u64 off, u32 n, AccessKind kind) {
  const SegCache& g = seg[s];
  u8 vector = s == kSS ? kSSv : kGP;
  if (long64()) return true;
  if (!(g.attr & kSegP)) return raise(vector, 0);
  bool code = g.attr & kSegExec;
  if (kind == kWrite && (code || !(g.attr & kSegRW))) return raise(vector, 0);
  if (kind == kRead && code && !(g.attr & kSegRW)) return raise(vector, 0);
  u64 last = off + n - 1;
  if (!code && (g.attr & kSegDC)) {
    u64 top = g.attr & kSegDB ? 0xffffffffu : 0xffffu;
    if (off <= g.limit || last > top) return raise(vector, 0);
  } else if (last > g.limit) {
    return raise(vector, 0);
  }
  return true;
}

bool Cpu::push(u64 v, unsigned osz) {
  u64 size = u64{1} << osz;
  u64 sp = (gpr[kRSP] - size) & sp_mask;
  bool ok = osz == 3   ? write<u64>(kSS, sp, v)
            : osz == 2 ? write<u32>(kSS, sp, static_cast<u32>(v))
                       : write<u16>(kSS, sp, static_cast<u16>(v));
  if (!ok) return false;
  gpr[kRSP] = sp_mask == 0xffff ? (gpr[kRSP] & ~u64{0xffff}) | sp : sp;
  return true;
}

bool Cpu::pop(u64& v, unsigned osz) {
  u64 size = u64{1} << osz;
  u64 sp = gpr[kRSP] & sp_mask;
  if (osz == 3) {
    if (!read<u64>(kSS, sp, v)) return false;
  } else if (osz == 2) {
    u32 w;
    if (!read<u32>(kSS, sp, w)) return false;
    v = w;
  } else {
    u16 w;
    if (!read<u16>(kSS, sp, w)) return false;
    v = w;
  }
  u64 next = (sp + size) & sp_mask;
  gpr[kRSP] = sp_mask == 0xffff ? (gpr[kRSP] & ~u64{0xffff}) | next : next;
  return true;
}

}  // namespace oriel
