// The cache of pre-decoded blocks: straight-line runs of instructions, keyed by guest-physical
// address and code mode, so that they survive changes of the linear mapping. A block lies in one
// page, except a block of one instruction that crosses into the next.
#pragma once

#include <memory>
#include <vector>

#include "cpu/cpu.h"

namespace oriel {

struct Block {
  u64 pa;        // of the first byte
  u64 pa2;       // physical page of the second part of a page-crossing instruction, else kNoPage
  Insn* insns;
  u16 count;     // instructions
  u16 bytes;     // code bytes
  CodeMode mode;
  bool valid;
  Block* hash_next;
  Block* page_next;   // other blocks starting in the same page
  Block* page2_next;  // blocks whose second part is in the same page
};

class BlockCache {
 public:
  static constexpr u64 kNoPage = ~u64{0};
  static constexpr u32 kMaxBlocks = 192 * 1024, kMaxInsns = 1024 * 1024, kMaxBlockInsns = 64;

  explicit BlockCache(Cpu& cpu);
  ~BlockCache();
  BlockCache(const BlockCache&) = delete;
  BlockCache& operator=(const BlockCache&) = delete;

  // The block at linear address `lin` (c.rip within CS) in the current mode; decodes it if needed.
  // nullptr: an exception was raised by the fetch.
  Block* find(u64 lin) {
    const Jump& j = jumps_[jump_index(lin)];
    if (ORIEL_LIKELY(j.lin == lin && j.key == key())) return j.block;
    return find_slow(lin);
  }
  // Bytes [pa, pa + n) within one page changed: drops the blocks that overlap them.
  void invalidate(u64 pa, u32 n);
  // Drops everything.
  void flush();

 private:
  struct Jump {
    u64 lin;
    u64 key;  // tlb_gen, code mode and MMU index together
    Block* block;
#if UINTPTR_MAX == 0xffffffffu
    u32 pad;
#endif
  };
  static constexpr unsigned kJumpBits = 14, kHashBits = 16;
  static unsigned jump_index(u64 lin) { return static_cast<unsigned>(lin ^ lin >> kJumpBits) & ((1u << kJumpBits) - 1); }
  static unsigned hash_index(u64 pa, CodeMode m) {
    return static_cast<unsigned>((pa * 4 + static_cast<unsigned>(m)) * 0x9e3779b97f4a7c15u >> (64 - kHashBits));
  }
  u64 key() const { return static_cast<u64>(c_.tlb_gen) << 8 | static_cast<u64>(c_.code_mode) << 4 | c_.mmu; }

  // Blocks by page, with a bitmap of the 64-byte lines that hold code, so that data beside code in a
  // page can be written without dropping blocks.
  struct CodePage {
    Block* first;
    Block* second;  // linked by page2_next
    u64 lines;
  };

  Block* find_slow(u64 lin);
  Block* build(u64 lin, u64 pa);
  Block* add(u64 pa, u64 pa2, const Insn* insns, unsigned count, unsigned bytes);
  void note_code(u64 pa, unsigned bytes);
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
};

}  // namespace oriel
