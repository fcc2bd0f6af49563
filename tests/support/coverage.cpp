#include "support/coverage.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "x86/decode_tables.h"

namespace oriel {

namespace {

enum class Sizes : u8 {
  kNone,  // the operand size changes nothing
  kWide,  // only REX.W does: 16 bits are as 32
  kWord,  // only 66 does: 64 bits are as 32
  kAll,
};

// Forms whose operands do not say that the operand size matters.
struct SizedForm {
  std::string_view id;
  Sizes sizes;
};
constexpr SizedForm kSizedForms[] = {
    {"RETF", Sizes::kAll},      {"RETF_Iw", Sizes::kAll},  {"IRET", Sizes::kAll},     {"PUSHA", Sizes::kAll},
    {"POPA", Sizes::kAll},      {"LGDT", Sizes::kWord},    {"LIDT", Sizes::kWord},    {"SGDT", Sizes::kWord},
    {"SIDT", Sizes::kWord},     {"FLDENV", Sizes::kWord},  {"FNSTENV", Sizes::kWord}, {"FRSTOR", Sizes::kWord},
    {"FNSAVE", Sizes::kWord},   {"SYSRET", Sizes::kWide},  {"SYSEXIT", Sizes::kWide}, {"CMPXCHG8B", Sizes::kWide},
    {"FXSAVE", Sizes::kWide},   {"FXRSTOR", Sizes::kWide}, {"XSAVE", Sizes::kWide},   {"XRSTOR", Sizes::kWide},
    {"XSAVEOPT", Sizes::kWide}, {"UD0", Sizes::kNone},     {"UD1", Sizes::kNone},
};

Sizes sizes_of(u16 form) {
  const Form& f = kForms[form];
  for (const SizedForm& k : kSizedForms)
    if (k.id == f.id) return k.sizes;
  if (f.mnemonic == std::string_view("NOP")) return Sizes::kNone;
  if (f.kind == FormKind::V || f.kind == FormKind::VRM || (f.attrs & (D64 | F64))) return Sizes::kAll;
  Sizes s = Sizes::kNone;
  for (const x86::Operand& o : x86::kFormOperands[form].op) {
    switch (o.size) {
      case x86::OpndSize::kV:
      case x86::OpndSize::kZ:
      case x86::OpndSize::kP:
      case x86::OpndSize::kA: return Sizes::kAll;
      case x86::OpndSize::kY: s = Sizes::kWide; break;
      default: break;
    }
  }
  // Control and debug registers are as wide as the mode.
  return x86::kFormInfo[form].osz == x86::OszClass::kCr ? Sizes::kNone : s;
}

const std::vector<Sizes>& sizes() {
  static const std::vector<Sizes> table = [] {
    std::vector<Sizes> t;
    for (u16 f = 0; f < kFormCount; f++) t.push_back(sizes_of(f));
    return t;
  }();
  return table;
}

}  // namespace

std::string FormVariant::text() const {
  std::string s = legacy ? "16/32-bit" : "64-bit";
  s += memory ? " memory" : " register";
  if (osz) s += std::string(" ") + "?wdq"[osz];
  if (vl) s += " L";
  return s;
}

FormVariant variant_of(const Insn& i, CodeMode mode) {
  const Sizes s = sizes()[form_of(i.op)];
  u8 osz = s == Sizes::kNone ? u8{0} : i.osz;
  if (s == Sizes::kWide && osz == 1) osz = 2;
  if (s == Sizes::kWord && osz == 3) osz = 2;
  return FormVariant{mode != CodeMode::k64, (i.flags & kInsnMem) != 0, osz, (i.vex & 2) != 0};
}

bool only_raises(const Insn& i) {
  return i.op == OP_UD0 || i.op == OP_UD1 || i.op == OP_UD2 || i.op == OP_RDPMC || i.op == OP_RSM || i.op == OP_VMMCALL;
}

FormCoverage& FormCoverage::get() {
  static FormCoverage c;
  return c;
}

void FormCoverage::note(const Insn& i, CodeMode mode) {
  if (i.op > OP_LONG) seen_[form_of(i.op)] |= 1u << variant_of(i, mode).index();
}

bool FormCoverage::save(std::string_view program) const {
  const char* dir = std::getenv("ORIEL_COVERAGE");
  if (!dir) return true;
  const std::string path = std::string(dir) + "/" + std::string(program) + ".forms";
  std::FILE* f = std::fopen(path.c_str(), "w");
  if (!f) return std::perror(path.c_str()), false;
  for (u16 k = 0; k < kFormCount; k++)
    if (seen_[k]) std::fprintf(f, "%s %x\n", kForms[k].id, seen_[k]);
  return std::fclose(f) == 0;
}

bool read_coverage(const std::string& path, VariantSets& into) {
  std::FILE* file = std::fopen(path.c_str(), "r");
  if (!file) return false;
  char id[64];
  unsigned bits;
  bool ok = true;
  while (ok && std::fscanf(file, "%63s %x", id, &bits) == 2) {
    u16 f = 0;
    while (f < kFormCount && std::strcmp(kForms[f].id, id)) f++;
    ok = f < kFormCount;
    if (ok) into[f] |= bits;
  }
  ok &= std::feof(file) != 0;
  std::fclose(file);
  return ok;
}

}  // namespace oriel
