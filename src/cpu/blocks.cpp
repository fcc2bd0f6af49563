// Building, finding and dropping pre-decoded blocks.
#include "cpu/blocks.h"

#include <array>
#include <cstdlib>

namespace oriel {

namespace {
constexpr u64 kPageOff = 0xfff;
template <class T>
T* lazy_array(usize n) {
  return static_cast<T*>(std::calloc(n, sizeof(T)));
}

// Which conditions (a bit for each of the 16) a fused pair can decide, and the FusedOp of a first Op.
constexpr u32 kCompareConditions = 0xf0fc;  // not O, S, P: B, E, BE, L, LE and their opposites
constexpr u32 kLogicConditions = 0xf3fc;    // the sign as well: less than zero
constexpr u32 kCountConditions = 0x0330;    // CF and OF have rules of their own: E, S
struct Fusion {
  u16 op;
  u16 conditions;
};
constexpr auto kFusion = [] {
  std::array<Fusion, OP_COUNT> t{};
#define X(ID) t[OP_##ID] = {FUSED_##ID, kCompareConditions};
  ORIEL_FUSED_COMPARE(X)
#undef X
#define X(ID) t[OP_##ID] = {FUSED_##ID, kLogicConditions};
  ORIEL_FUSED_LOGIC(X)
#undef X
#define X(ID) t[OP_##ID] = {FUSED_##ID, kCountConditions};
  ORIEL_FUSED_COUNT(X)
#undef X
  return t;
}();

// The truth table of condition `cc` over equal | below << 1 | less << 2 (SDM Vol. 1, table B-1).
u8 truth_table(unsigned cc) {
  u8 t = 0;
  for (unsigned k = 0; k < 8; k++) {
    const bool equal = k & 1, below = k & 2, less = k & 4;
    const bool holds[8] = {false, below, equal, below || equal, less, false, less, less || equal};
    if (holds[cc >> 1] != static_cast<bool>(cc & 1)) t |= static_cast<u8>(1u << k);
  }
  return t;
}

// The condition of a Jcc, else kNotJcc.
constexpr u8 kNotJcc = 16;
constexpr auto kJccCondition = [] {
  std::array<u8, OP_COUNT> t{};
  t.fill(kNotJcc);
  u8 cc = 0;
  // clang-format off
#define X(NAME) t[OP_J##NAME##_Jb] = t[OP_J##NAME##_Jz] = cc++;
  X(O) X(NO) X(B) X(AE) X(E) X(NE) X(BE) X(A) X(S) X(NS) X(P) X(NP) X(L) X(GE) X(LE) X(G)
#undef X
  return t;
  // clang-format on
}();

void fuse(Insn& first, Insn& jump) {
  const Fusion f = kFusion[first.op];
  const unsigned cc = kJccCondition[jump.op];
  if (cc == kNotJcc || !(f.conditions >> cc & 1)) return;
  jump.imm = first.op;
  jump.modrm = truth_table(cc);
  first.op = f.op;
}
}  // namespace

BlockCache::BlockCache(Cpu& cpu) : c_(cpu) {
  jumps_ = lazy_array<Jump>(1u << kJumpBits);
  hash_ = lazy_array<Block*>(1u << kHashBits);
  pages_ = lazy_array<CodePage*>(PhysMem::kPages);
  blocks_ = lazy_array<Block>(kMaxBlocks);
  insns_ = lazy_array<Insn>(kMaxInsns);
}

BlockCache::~BlockCache() {
  flush();
  std::free(jumps_);
  std::free(hash_);
  std::free(pages_);
  std::free(blocks_);
  std::free(insns_);
}

void BlockCache::flush() {
  std::memset(jumps_, 0, sizeof(Jump) << kJumpBits);
  std::memset(hash_, 0, sizeof(Block*) << kHashBits);
  for (u32 p : page_list_) {
    std::free(pages_[p]);
    pages_[p] = nullptr;
    PhysMem::Page page = c_.mem.page(static_cast<u64>(p) << 12);
    if (page.flags) *page.flags &= static_cast<u8>(~kPageCode);
  }
  page_list_.clear();
  block_count_ = insn_count_ = 0;
  c_.new_tlb_gen();
  c_.ip_end = nullptr;
  if (c_.compiled) c_.compiled->blocks_flushed();
}

BlockCache::CodePage& BlockCache::code_page(u64 pa) {
  CodePage*& p = pages_[pa >> 12];
  if (!p) {
    p = static_cast<CodePage*>(std::calloc(1, sizeof(CodePage)));
    page_list_.push_back(static_cast<u32>(pa >> 12));
  }
  return *p;
}

void BlockCache::note_code(u64 pa, unsigned bytes) {
  CodePage& p = code_page(pa);
  for (u64 line = (pa & kPageOff) >> 6; line <= ((pa & kPageOff) + bytes - 1) >> 6 && line < 64; line++)
    p.lines |= u64{1} << line;
  PhysMem::Page page = c_.mem.page(pa);
  if (page.flags && !(*page.flags & kPageCode)) {
    *page.flags |= kPageCode;
    c_.drop_write_permission(pa);
  }
}

Block* BlockCache::add(u64 pa, u64 pa2, const Insn* insns, unsigned count, unsigned bytes) {
  const u32 thirds = c_.compiled ? 3 : 2;
  if (block_count_ >= kMaxBlocks / 3 * thirds || insn_count_ + count > kMaxInsns / 3 * thirds) flush();
  Block* b = &blocks_[block_count_++];
  b->pa = pa;
  b->pa2 = pa2;
  b->insns = &insns_[insn_count_];
  u16 off = 0;
  for (unsigned k = 0; k < count; k++) {
    b->insns[k] = insns[k];
    b->insns[k].off = off;
    off = static_cast<u16>(off + insns[k].len);
  }
  if (count >= 2) fuse(b->insns[count - 2], b->insns[count - 1]);
  insn_count_ += count;
  b->count = static_cast<u16>(count);
  b->bytes = static_cast<u16>(bytes);
  b->mode = c_.code_mode;
  b->valid = true;
  b->heat = 0;
  b->unit = nullptr;
  Block*& head = hash_[hash_index(pa, c_.code_mode)];
  b->hash_next = head;
  head = b;
  unsigned here = bytes;
  if (pa2 != kNoPage) {
    here = static_cast<unsigned>(0x1000 - (pa & kPageOff));
    note_code(pa2, bytes - here);
    CodePage& second = code_page(pa2);
    b->page2_next = second.second;
    second.second = b;
  }
  note_code(pa, here);
  CodePage& first = code_page(pa);
  b->page_next = first.first;
  first.first = b;
  if (c_.compiled) c_.compiled->block_added(*b);
  c_.stats.blocks_decoded++;
  return b;
}

// Decodes from `pa`. A fetch that would fault beyond the first instruction ends the block instead.
Block* BlockCache::build(u64 lin, u64 pa) {
  Insn insns[kMaxBlockInsns];
  unsigned count = 0, bytes = 0;
  PhysMem::Page page = c_.mem.page(pa);
  unsigned off = static_cast<unsigned>(pa & kPageOff);
  if (page.host) {
    while (count < kMaxBlockInsns && off < 0x1000) {
      unsigned avail = 0x1000 - off < 15 ? 0x1000 - off : 15;
      if (decode(page.host + off, avail, c_.code_mode, insns[count]) == DecodeStatus::kNeedBytes) break;
      const Insn& i = insns[count++];
      off += i.len;
      bytes += i.len;
      if (i.op == OP_UD || i.op == OP_LONG || ends_block(i)) break;
    }
    if (count) return add(pa, kNoPage, insns, count, bytes);
  }
  // One instruction that crosses into the next page, or one in MMIO or unmapped space.
  u8 buf[15];
  unsigned here = 0x1000 - static_cast<unsigned>(pa & kPageOff);
  if (here > 15) here = 15;
  c_.mem.read(pa, buf, here);
  u64 pa2 = kNoPage;
  unsigned have = here;
  if (decode(buf, have, c_.code_mode, insns[0]) == DecodeStatus::kNeedBytes) {
    u64 next = (lin + here) & c_.lin_mask;
    if (!c_.canonical(next)) {
      c_.raise(kGP, 0);
      return nullptr;
    }
    if (!c_.translate(next, Cpu::kFetch, c_.mmu, pa2)) return nullptr;
    pa2 &= ~kPageOff;
    c_.mem.read(pa2, buf + here, 15 - here);
    decode(buf, 15, c_.code_mode, insns[0]);
  }
  bool cacheable = page.host && pa < u64{1} << 32 && (pa2 == kNoPage || (c_.mem.page(pa2).host && pa2 < u64{1} << 32));
  if (cacheable) return add(pa, insns[0].len > here ? pa2 : kNoPage, insns, 1, insns[0].len);
  uncached_insn_ = insns[0];
  uncached_ =
      Block{pa, pa2, &uncached_insn_, 1, insns[0].len, c_.code_mode, false, 0, nullptr, nullptr, nullptr, nullptr};
  return &uncached_;
}

Block* BlockCache::find_physical(u64 pa, CodeMode mode) const {
  Block* b = hash_[hash_index(pa, mode)];
  while (b && !(b->pa == pa && b->mode == mode)) b = b->hash_next;
  return b;
}

Block* BlockCache::find(u64 lin) {
  u64 pa;
  if (ORIEL_UNLIKELY(!c_.canonical(lin))) {
    c_.raise(kGP, 0);
    return nullptr;
  }
  if (!c_.fetch_in_tlb(lin, pa) && !c_.translate_fetch(lin, pa)) return nullptr;
  Block* b = find_physical(pa, c_.code_mode);
  if (b && b->pa2 != kNoPage) {
    u64 pa2;
    u64 next = ((lin | kPageOff) + 1) & c_.lin_mask;
    if (!c_.canonical(next)) {
      c_.raise(kGP, 0);
      return nullptr;
    }
    if (!c_.translate(next, Cpu::kFetch, c_.mmu, pa2)) return nullptr;
    if ((pa2 & ~kPageOff) != b->pa2) {
      invalidate(pa, 1);
      b = nullptr;
    }
  }
  if (!b) b = build(lin, pa);
  if (!b || !b->valid) return b;
  c_.code_pages_.add(lin);
  if (b->pa2 != kNoPage) c_.code_pages_.add(lin + kPageOff);
  Jump& j = jumps_[jump_index(lin)];
  j.lin = lin;
  j.key = c_.code_key;
  j.block = b;
  j.code = 0;
  j.page = 0;
  return b;
}

const Insn* BlockCache::prefix(const Block& b, unsigned n) {
  std::memcpy(prefix_, b.insns, n * sizeof(Insn));
  if (n < b.count && prefix_[n - 1].op > kFusedBefore) prefix_[n - 1].op = static_cast<u16>(b.insns[n].imm);
  return prefix_;
}

void BlockCache::unhash(Block* b) {
  Block** p = &hash_[hash_index(b->pa, b->mode)];
  while (*p && *p != b) p = &(*p)->hash_next;
  if (*p) *p = b->hash_next;
  b->valid = false;
  if (b->unit) c_.compiled->block_dropped(*b);
}

void BlockCache::invalidate(u64 pa, u32 n) {
  if (pa >> 12 >= PhysMem::kPages) return;
  CodePage* p = pages_[pa >> 12];
  if (!p || n == 0) return;
  u64 first = (pa & kPageOff), last = first + n - 1;
  if (last > kPageOff) last = kPageOff;
  u64 hit = 0;
  for (u64 line = first >> 6; line <= last >> 6; line++) hit |= u64{1} << line;
  if (!(p->lines & hit)) return;

  bool dropped = false;
  u64 lines = c_.compiled ? c_.compiled->code_written(pa, static_cast<u32>(last - first + 1)) : 0;
  auto note = [&lines](u64 lo, u64 hi) {
    for (u64 line = lo >> 6; line <= hi >> 6 && line < 64; line++) lines |= u64{1} << line;
  };
  // Blocks that start here. A block already dropped through its other page is only unlinked.
  for (Block** q = &p->first; *q;) {
    Block* b = *q;
    u64 lo = b->pa & kPageOff, hi = lo + b->bytes - 1;
    if (b->valid && (lo > last || hi < first)) {
      note(lo, hi);
      q = &b->page_next;
      continue;
    }
    if (b->valid) unhash(b), dropped = true;
    *q = b->page_next;
  }
  // Instructions that end here.
  for (Block** q = &p->second; *q;) {
    Block* b = *q;
    u64 hi = ((b->pa & kPageOff) + b->bytes - 1) & kPageOff;
    if (b->valid && hi < first) {
      note(0, hi);
      q = &b->page2_next;
      continue;
    }
    if (b->valid) unhash(b), dropped = true;
    *q = b->page2_next;
  }
  p->lines = lines;
  if (!lines) {
    PhysMem::Page page = c_.mem.page(pa);
    if (page.flags) *page.flags &= static_cast<u8>(~kPageCode);
  }
  if (dropped) {
    c_.stats.code_invalidations++;
    c_.new_tlb_gen();  // forgets every entry of the jump cache
    c_.ip_end = nullptr;
  }
}

}  // namespace oriel
