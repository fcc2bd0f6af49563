#include "perf/hot_blocks.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/json.h"
#include "cpu/blocks.h"

namespace oriel {

namespace {

// What an Op does with memory besides a memory operand (kInsnMem), and whether that is only an address.
enum : u8 { kImplicit = 1, kAddressOnly = 2 };

u8 memory_of(const Form& form) {
  const std::string name = form.mnemonic, operands = std::string(",") + form.operands;
  auto is = [&name](const char* prefix) { return name.compare(0, std::strlen(prefix), prefix) == 0; };
  for (const char* stack : {"PUSH", "POP", "CALL", "RET", "IRET", "ENTER", "LEAVE", "XLAT"})
    if (is(stack) && !is("POPCNT")) return kImplicit;
  for (const char* string : {",Xb", ",Xv", ",Yb", ",Yv"})
    if (operands.find(string) != std::string::npos) return kImplicit;
  for (const char* address : {"LEA", "NOP", "PREFETCH", "INVLPG", "CLFLUSH"})
    if (is(address)) return kAddressOnly;
  return 0;
}

bool accesses_memory(const Insn& i) {
  static const std::vector<u8> by_form = [] {
    std::vector<u8> all(kFormCount);
    for (u16 n = 0; n < kFormCount; n++) all[n] = memory_of(kForms[n]);
    return all;
  }();
  const u8 form = i.op < OP_COUNT ? by_form[form_of(i.op)] : 0;  // what is fused is a comparison and its jump
  return form & kImplicit || (i.flags & kInsnMem && !(form & kAddressOnly));
}

constexpr unsigned kBits[] = {16, 32, 64};  // by CodeMode

}  // namespace

void HotBlocks::sample(Cpu& c, u64 insns) {
  samples_++;
  instructions_ += insns;
  const u64 lin = (c.seg[kCS].lin + c.block_rip) & c.lin_mask;
  u64 pa;
  const Block* b = c.peek_fetch(lin, pa) ? c.blocks->find_physical(pa, c.code_mode) : nullptr;
  if (!b) return;  // the last instruction changed what is mapped here
  blocks_.add({pa, c.code_mode}, {lin, b->count}, insns);
  const auto accesses = static_cast<u64>(std::count_if(b->insns, b->insns + b->count, accesses_memory));
  memory_operations_ += insns * accesses / b->count;
}

std::string HotBlocks::json() const {
  std::string all;
  for (const auto& c : blocks_.top(kPublished)) {
    char address[20];
    std::snprintf(address, sizeof address, "0x%llx", static_cast<unsigned long long>(c.note.address));
    all += (all.empty() ? "" : ",") +
           Json()
               .text("address", address)
               .number("mode_bits", kBits[static_cast<usize>(c.key.mode)])
               .number("block_instructions", c.note.insns)
               .number("hits", c.weight / c.note.insns)
               .number("instructions", c.weight)
               .number("instructions_error_most", c.error)
               .real("percent", 100.0 * static_cast<double>(c.weight) / static_cast<double>(instructions_))
               .str();
  }
  return "[" + all + "]";
}

}  // namespace oriel
