// Which variants of which forms a test program has executed in tier 0. The harnesses that run an instruction note it
// here, from the decoded instruction, so that the interpreter itself counts nothing; form_coverage_test reads what all
// the programs wrote and compares it with what the decoder can reach.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "x86/decode.h"

namespace oriel {

// Within a form: how it was decoded. `legacy`: 16- or 32-bit code.
struct FormVariant {
  bool legacy, memory;
  u8 osz;   // 0 where the form does the same whatever the operand size
  bool vl;  // VEX.L
  unsigned index() const { return (legacy ? 1u : 0u) | (memory ? 2u : 0u) | osz * 4u | (vl ? 16u : 0u); }
  static constexpr unsigned kCount = 32;
  std::string text() const;
};
FormVariant variant_of(const Insn& i, CodeMode mode);

// Whether an exception is all that the instruction ever comes to: such a one is covered without retiring.
bool only_raises(const Insn& i);

// A bit per FormVariant::index(), for every form.
using VariantSets = std::vector<u32>;

class FormCoverage {
 public:
  static FormCoverage& get();  // this program's
  // An instruction that retired, or whose whole purpose is the exception that it raised.
  void note(const Insn& i, CodeMode mode);
  // Writes the file NAME.forms into the directory that the environment variable ORIEL_COVERAGE names, if it does.
  // False when that fails.
  bool save(std::string_view program) const;

 private:
  VariantSets seen_ = VariantSets(kFormCount);
};

// Adds what save() wrote; false when the file cannot be read or names a form that there is not.
bool read_coverage(const std::string& path, VariantSets& into);

}  // namespace oriel
