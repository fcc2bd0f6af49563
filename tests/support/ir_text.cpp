#include "support/ir_text.h"

#include <sstream>

namespace oriel {

using namespace jit;

namespace {

using Words = std::istringstream;

bool number(const std::string& word, u64& n) {
  if (word.empty() || word.find_first_not_of("0123456789") != std::string::npos) return false;
  n = std::stoull(word);
  return true;
}

bool value(const std::string& word, Value& v) {
  u64 n;
  if (word.compare(0, 1, "v") != 0 || !number(word.substr(1), n)) return false;
  v = static_cast<Value>(n);
  return true;
}

bool operation(const std::string& word, Inst& i) {
  for (usize op = 1; op < static_cast<usize>(IrOp::kCount); op++) {
    const IrOpInfo& o = kIrOps[op];
    for (usize type = 0; type < static_cast<usize>(Type::kSame); type++) {
      if ((o.flags & kSimd) && type) break;
      if (word != std::string(o.text) + kTypeSuffixes[type]) continue;
      i.op = static_cast<IrOp>(op);
      i.type = static_cast<Type>(type);
      return true;
    }
  }
  return false;
}

bool variable(const std::string& word, u64& var) {
  for (var = 0; var < kVarCount; var++)
    if (word == kVarNames[var]) return true;
  if (word.compare(0, 1, "x") != 0 || !number(word.substr(1), var)) return false;
  var += kVarXmm;
  return true;
}

// BEFORE:BYTES, and :w where any of it may be written.
bool range(const std::string& word, u64& packed) {
  u32 before, bytes;
  char writes = 0;
  const int n = std::sscanf(word.c_str(), "%u:%u:%c", &before, &bytes, &writes);
  packed = probe_range(before, bytes, writes == 'w');
  return n >= 2;
}

bool inst(const std::string& line, IrBlock& b) {
  Words words(line);
  std::string word;
  words >> word;
  Inst i;
  Value at = static_cast<Value>(b.insts.size()), result;
  if (value(word, result)) {
    if (result < at || !(words >> word) || word != "=" || !(words >> word)) return false;
    at = result;
  }
  if (!operation(word, i)) return false;
  Value* const operands[] = {&i.a, &i.b, &i.c};
  unsigned have = 0;
  while (words >> word) {
    u64 n;
    const usize colon = word.find(':');
    if (have < info(i.op).arity && value(word, *operands[have])) {
      have++;
    } else if (word == "size" && words >> word && number(word, n)) {
      while (n >> i.size > 1) i.size++;
    } else if (word == "write") {
      i.imm = 1;
    } else if (word == "range" && words >> word && range(word, i.imm2)) {
    } else if ((i.op == IrOp::kGet || i.op == IrOp::kSet) && variable(word, i.imm)) {
    } else if (!number(word.substr(0, colon), i.imm) ||
               (colon != std::string::npos && !number(word.substr(colon + 1), i.imm2))) {
      return false;
    }
  }
  b.insts.resize(at);
  b.insts.push_back(i);
  return have == info(i.op).arity;
}

bool terminator(const std::string& line, Unit& unit, IrBlock& b) {
  Words words(line);
  std::string word;
  words >> word;
  unsigned term = 0, to = 0;
  while (term < 6 && word != kTermNames[term]) term++;
  if (term == 6) return false;
  b.term = static_cast<Term>(term);
  while (words >> word) {
    u64 n;
    if (value(word, b.value)) continue;
    if (word.compare(0, 2, "->") == 0 && number(word.substr(2), n)) {
      if (b.term == Term::kEnter)
        unit.entries.push_back(static_cast<u32>(n));
      else if (to < 2)
        b.succ[to++] = static_cast<u32>(n);
    } else if (word.compare(0, 5, "page+") == 0) {
      b.offset = std::stoll(word.substr(5));
    } else if (number(word, n)) {
      b.offset = static_cast<s64>(n);
    } else {
      return false;
    }
  }
  return true;
}

}  // namespace

bool parse_ir(const std::string& text, Unit& unit) {
  Words lines(text);
  bool open = false;
  for (std::string line; std::getline(lines, line);) {
    unsigned at, insns, path;
    const int n = std::sscanf(line.c_str(), "block %u insns %u checkpoint %u", &at, &insns, &path);
    if (n >= 2) {
      if (open || at != unit.blocks.size()) return false;
      open = true;
      IrBlock b;
      b.insn_count = insns;
      b.checkpoint = n == 3;
      b.longest_path = n == 3 ? path : 0;
      unit.blocks.push_back(std::move(b));
    } else if (!open) {
      return false;
    } else if (!inst(line, unit.blocks.back())) {
      if (!terminator(line, unit, unit.blocks.back())) return false;
      open = false;
    }
  }
  return !open && !unit.blocks.empty();
}

}  // namespace oriel
