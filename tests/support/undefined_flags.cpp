#include "support/undefined_flags.h"

#include <string_view>

namespace oriel {

namespace {

// "Flags Affected" of each instruction, SDM Vol. 2. An instruction that is not listed leaves none undefined.
struct Row {
  std::string_view mnemonic;
  u32 always;
  u32 not_one;   // by a masked count other than 1 (and by 0, which changes no flag at all: masked in both)
  u32 too_many;  // by a masked count greater than the operand has bits
};
constexpr u32 kAll = kArith;
constexpr Row kRows[] = {
    {"AND", kAF, 0, 0},
    {"OR", kAF, 0, 0},
    {"XOR", kAF, 0, 0},
    {"TEST", kAF, 0, 0},
    {"MUL", kSF | kZF | kAF | kPF, 0, 0},
    {"IMUL", kSF | kZF | kAF | kPF, 0, 0},
    {"DIV", kAll, 0, 0},
    {"IDIV", kAll, 0, 0},
    {"SHL", kAF, kOF, kCF},
    {"SHR", kAF, kOF, kCF},
    {"SAR", kAF, kOF, kCF},
    {"SHLD", kAF, kOF, kAll},
    {"SHRD", kAF, kOF, kAll},
    {"ROL", 0, kOF, 0},
    {"ROR", 0, kOF, 0},
    {"RCL", 0, kOF, 0},
    {"RCR", 0, kOF, 0},
    {"BT", kOF | kSF | kAF | kPF, 0, 0},
    {"BTS", kOF | kSF | kAF | kPF, 0, 0},
    {"BTR", kOF | kSF | kAF | kPF, 0, 0},
    {"BTC", kOF | kSF | kAF | kPF, 0, 0},
    {"BSF", kAll & ~u32{kZF}, 0, 0},
    {"BSR", kAll & ~u32{kZF}, 0, 0},
    {"TZCNT", kOF | kSF | kPF | kAF, 0, 0},
    {"LZCNT", kOF | kSF | kPF | kAF, 0, 0},
    {"ANDN", kAF | kPF, 0, 0},
    {"BLSI", kAF | kPF, 0, 0},
    {"BLSR", kAF | kPF, 0, 0},
    {"BLSMSK", kAF | kPF, 0, 0},
    {"BZHI", kAF | kPF, 0, 0},
    {"BEXTR", kAF | kSF | kPF, 0, 0},
    {"DAA", kOF, 0, 0},
    {"DAS", kOF, 0, 0},
    {"AAA", kOF | kSF | kZF | kPF, 0, 0},
    {"AAS", kOF | kSF | kZF | kPF, 0, 0},
    {"AAM", kOF | kAF | kCF, 0, 0},
    {"AAD", kOF | kAF | kCF, 0, 0},
};

const Row* row_of(const Form& f) {
  for (const Row& r : kRows)
    if (r.mnemonic == f.mnemonic) return &r;
  return nullptr;
}

unsigned bits_of(const Insn& i) { return i.osz == 0 ? 8 : 8u << i.osz; }

unsigned shift_count(const Form& f, const Insn& i, u8 cl) {
  const std::string_view ops = f.operands;
  const unsigned count = ops.ends_with("CL") ? cl : ops.ends_with(",1") ? 1u : static_cast<unsigned>(i.imm);
  return count & (bits_of(i) == 64 ? 63 : 31);
}

u32 condition_flags(unsigned cc) {
  static constexpr u32 kFlags[8] = {kOF, kCF, kZF, kCF | kZF, kSF, kPF, kSF | kOF, kZF | kSF | kOF};
  return kFlags[cc >> 1 & 7];
}

}  // namespace

u32 undefined_flags(const Insn& i, u8 cl) {
  const Form& f = kForms[form_of(i.op)];
  const Row* r = row_of(f);
  if (!r) return 0;
  u32 flags = r->always;
  if (r->not_one || r->too_many) {
    const unsigned count = shift_count(f, i, cl);
    if (count != 1) flags |= r->not_one;
    if (count > bits_of(i)) flags |= r->too_many;
  }
  return flags;
}

bool undefined_result(const Insn& i, u8 cl, bool zf) {
  const Form& f = kForms[form_of(i.op)];
  const std::string_view m = f.mnemonic;
  if (m == "SHLD" || m == "SHRD") return shift_count(f, i, cl) > bits_of(i);
  if (m == "BSF" || m == "BSR") return zf;
  return m == "BSWAP" && i.osz == 1;
}

u32 flags_read(const Insn& i) {
  const Form& f = kForms[form_of(i.op)];
  const std::string_view m = f.mnemonic, id = f.id;
  if (m.starts_with("CMOV")) return condition_flags(i.opcode);
  if (m.starts_with("SET")) return condition_flags(i.opcode);
  if (m[0] == 'J' && (id.ends_with("_Jb") || id.ends_with("_Jz")) && m != "JMP" && !m.starts_with("JCXZ"))
    return condition_flags(i.opcode);
  if (m.starts_with("FCMOV") || m == "INTO" || m.starts_with("PUSHF")) return kAll;
  if (m == "ADC" || m == "SBB" || m == "RCL" || m == "RCR" || m == "CMC" || m == "SALC" || m == "ADCX") return kCF;
  if (m == "ADOX") return kOF;
  if (m == "LAHF") return kAll & ~u32{kOF};
  if (m == "DAA" || m == "DAS") return kCF | kAF;
  if (m == "AAA" || m == "AAS") return kAF;
  if (m == "LOOPE" || m == "LOOPNE") return kZF;
  return 0;
}

u32 flags_defined(const Insn& i) {
  const std::string_view m = kForms[form_of(i.op)].mnemonic;
  for (std::string_view all : {"ADD", "ADC", "SUB", "SBB", "CMP", "NEG", "XADD", "CMPXCHG"})
    if (m == all) return kAll;
  for (std::string_view logic : {"AND", "OR", "XOR", "TEST"})
    if (m == logic) return kAll & ~u32{kAF};
  if (m == "INC" || m == "DEC") return kAll & ~u32{kCF};
  if (m == "SAHF") return kAll & ~u32{kOF};
  if (m == "CLC" || m == "STC") return kCF;
  return 0;
}

}  // namespace oriel
