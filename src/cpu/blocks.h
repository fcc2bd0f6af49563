// The cache of pre-decoded blocks: straight-line runs of instructions, keyed by guest-physical
// address and code mode, so that they survive changes of the linear mapping. A block lies in one
// page, except a block of one instruction that crosses into the next.
#pragma once

#include <memory>
#include <vector>

#include "cpu/cpu.h"
#include "x86/forms.h"

namespace oriel {

// Pairs of a comparison and the conditional jump that ends the block are fused: the first instruction's `op` is one of
// these, the jump's `imm` keeps its own Op, and the jump's `modrm` is a truth table of the condition over
// equal | below << 1 | less << 2. Listed by what is compared: the operands (CMP, SUB) or the result with zero.
// clang-format off
#define ORIEL_FUSED_COMPARE(X)                                                                        \
  X(CMP_EvGv_rw) X(CMP_EvGv_rd) X(CMP_EvGv_rq) X(CMP_GvEv_rw) X(CMP_GvEv_rd) X(CMP_GvEv_rq)           \
  X(CMP_EvIz_rw) X(CMP_EvIz_rd) X(CMP_EvIz_rq) X(CMP_EvIbs_rw) X(CMP_EvIbs_rd) X(CMP_EvIbs_rq)        \
  X(CMP_eAXIz_w) X(CMP_eAXIz_d) X(CMP_eAXIz_q) X(CMP_EbGb_r) X(CMP_GbEb_r) X(CMP_EbIb_r) X(CMP_ALIb)  \
  X(CMP_EvGv_md) X(CMP_EvGv_mq) X(CMP_GvEv_md) X(CMP_GvEv_mq) X(CMP_EvIz_md) X(CMP_EvIz_mq)           \
  X(CMP_EvIbs_mw) X(CMP_EvIbs_md) X(CMP_EvIbs_mq) X(CMP_EbGb_m) X(CMP_GbEb_m) X(CMP_EbIb_m)           \
  X(SUB_EvGv_rd) X(SUB_EvGv_rq) X(SUB_EvIbs_rd) X(SUB_EvIbs_rq)
#define ORIEL_FUSED_LOGIC(X)                                                                          \
  X(TEST_EvGv_rw) X(TEST_EvGv_rd) X(TEST_EvGv_rq) X(TEST_EbGb_r) X(TEST_EbIb_r) X(TEST_ALIb)          \
  X(TEST_EvIz_rw) X(TEST_EvIz_rd) X(TEST_EvIz_rq) X(TEST_eAXIz_d) X(TEST_EbIb_m) X(TEST_EvIz_md)      \
  X(AND_EvGv_rd) X(AND_EvGv_rq) X(AND_EvIbs_rd) X(AND_EvIbs_rq) X(AND_EvIz_rd) X(AND_EvIz_rq)
#define ORIEL_FUSED_COUNT(X) X(INC_Zv_d) X(DEC_Zv_d) X(INC_Ev_rd) X(INC_Ev_rq) X(DEC_Ev_rd) X(DEC_Ev_rq)
enum FusedOp : u16 {
  kFusedBefore = OP_COUNT - 1,
#define X(ID) FUSED_##ID,
  ORIEL_FUSED_COMPARE(X) ORIEL_FUSED_LOGIC(X) ORIEL_FUSED_COUNT(X)
#undef X
  kFusedEnd
};
// clang-format on

struct Block {
  u64 pa;   // of the first byte
  u64 pa2;  // physical page of the second part of a page-crossing instruction, else kNoPage
  Insn* insns;
  u16 count;  // instructions
  u16 bytes;  // code bytes
  CodeMode mode;
  bool valid;
  u32 heat;    // counts down at each entry from another block; at 0 the compiled tiers are asked
  void* unit;  // theirs
  Block* hash_next;
  Block* page_next;   // other blocks starting in the same page
  Block* page2_next;  // blocks whose second part is in the same page
};

class BlockCache {
 public:
  static constexpr u64 kNoPage = ~u64{0};
  // 8 MiB in all: some 40,000 blocks. A boot of Debian's kernel decodes 100,000, most of them once; when the cache is
  // full it starts anew, at the cost of decoding what is still in use (20 ms). Where nothing is compiled, so that this
  // is all that is lost, it does so at two thirds, which a boot does not notice and the host's memory does.
  static constexpr u32 kMaxBlocks = 40 * 1024, kMaxInsns = 192 * 1024, kMaxBlockInsns = 64;

  explicit BlockCache(Cpu& cpu);
  ~BlockCache();
  BlockCache(const BlockCache&) = delete;
  BlockCache& operator=(const BlockCache&) = delete;

  // The block at linear address `lin` (c.rip within CS) in the current mode, if it was found there lately; else
  // nullptr.
  Block* find_fast(u64 lin) const {
    const Jump& j = jumps_[jump_index(lin)];
    return ORIEL_LIKELY(j.lin == lin && j.key == c_.code_key) ? j.block : nullptr;
  }
  // The same from the page tables, decoding it if needed. nullptr: an exception was raised by the fetch.
  Block* find(u64 lin);
  // The first `n` instructions of a block, in a buffer that the next call reuses, with none of them fused beyond the
  // end.
  const Insn* prefix(const Block& b, unsigned n);
  // Bytes [pa, pa + n) within one page changed: drops the blocks that overlap them.
  void invalidate(u64 pa, u32 n);
  // Drops everything.
  void flush();
  // The block at a physical address, if there is one.
  Block* find_physical(u64 pa, CodeMode mode) const;
  // Bytes that other code than blocks was made from, within one page: invalidate() is called when they are written.
  void note_code(u64 pa, unsigned bytes);

  // A direct-mapped cache, in which compiled code looks too.
  struct alignas(32) Jump {
    u64 lin;
    u64 key;  // Cpu::code_key when it was entered
    Block* block;
    u32 code;  // the compiled tiers': 0 or how their code for it is entered
    s32 page;  // and how many pages it lies behind the first of that code
  };
  static constexpr unsigned kJumpBits = 14;
  const Jump* jumps() const { return jumps_; }
  // For the block that find_fast() or find() gave for `lin`, until the cache forgets it.
  void forget(u64 lin) { jumps_[jump_index(lin)] = {}; }
  void note_compiled(u64 lin, u32 code, s32 page) {
    Jump& j = jumps_[jump_index(lin)];
    j.code = code;
    j.page = page;
  }

 private:
  static constexpr unsigned kHashBits = 16;
  static unsigned jump_index(u64 lin) {
    return static_cast<unsigned>(lin ^ lin >> kJumpBits) & ((1u << kJumpBits) - 1);
  }
  static unsigned hash_index(u64 pa, CodeMode m) {
    return static_cast<unsigned>((pa * 4 + static_cast<unsigned>(m)) * 0x9e3779b97f4a7c15u >> (64 - kHashBits));
  }

  // Blocks by page, with a bitmap of the 64-byte lines that hold code, so that data beside code in a
  // page can be written without dropping blocks.
  struct CodePage {
    Block* first;
    Block* second;  // linked by page2_next
    u64 lines;
  };

  Block* build(u64 lin, u64 pa);
  Block* add(u64 pa, u64 pa2, const Insn* insns, unsigned count, unsigned bytes);
  CodePage& code_page(u64 pa);
  void unhash(Block* b);

  Cpu& c_;
  Jump* jumps_;
  Block** hash_;
  CodePage** pages_;  // by physical page below 4 GiB
  std::vector<u32> page_list_;
  Block* blocks_;
  Insn* insns_;
  u32 block_count_ = 0, insn_count_ = 0;
  Block uncached_{};
  Insn uncached_insn_{};
  Insn prefix_[kMaxBlockInsns];
};

}  // namespace oriel
