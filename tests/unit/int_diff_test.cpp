// Differential test of the general-purpose instructions in 64- and 32-bit mode: random encodings of every form of
// forms_int.inc that goes on to the next instruction run on this machine's own processor and in tier 0, with every form
// of addressing, LOCK, REP, and operands that fault. Compared are registers, defined flags, memory, and the exception
// with its error code and address. x86-64 hosts only; arguments: cases per form and mode (default 1500), seed, a form's
// ID.
#include <cstdlib>
#include <string_view>

#include "support/diff_runner.h"
#include "support/form_groups.h"
#include "support/undefined_flags.h"

using namespace oriel;

namespace {

// What implicit operands need, and what would take too long. False: not this case.
bool prepare(DiffRunner& d, DiffCase& c) {
  const std::string_view id = c.form->id, ops = c.form->operands, mnemonic = c.form->mnemonic;
  Random& rnd = d.rnd;
  u64* const regs = c.start.gpr;
  const bool legacy = c.mode != CodeMode::k64;
  if (id == "ENTER") {
    // Sizes and levels whose frames stay in the data.
    c.e.bytes[c.e.len + 2] &= 3, c.e.bytes[c.e.len + 1] &= 1;
    decode(c.e.bytes, 15, c.mode, c.insn);
  }
  if (id == "LEAVE" || id == "ENTER") regs[kRBP] = kDiffMid + (rnd() & 0xf8);
  if (id == "XLAT") regs[kRBX] = random_target(rnd, c.mode, 1) - segment_base(c.insn.seg, c.start);
  if (ops.find('O') != std::string_view::npos) {
    const u64 offset = random_target(rnd, c.mode, 1) - segment_base(c.insn.seg, c.start);
    std::memcpy(c.e.bytes + c.e.len, &offset, usize{1} << c.insn.asz);
    decode(c.e.bytes, 15, c.mode, c.insn);
    if (!known_address(operand_address(c.insn, c.mode, c.start, 0) + c.insn.imm)) return false;
  }
  // Strings stay within the data but for those that begin at its edge.
  if (c.form->attrs & REPS) {
    const unsigned edge = rnd.one_in(16) ? (rnd() & 1 ? kRSI : kRDI) : kRSP;
    const u64 mask = c.insn.asz == 3 ? ~u64{0} : c.insn.asz == 2 ? 0xffffffff : 0xffff;
    unsigned outside = 0;
    for (unsigned r : {kRSI, kRDI}) {
      const u64 base = r == kRSI ? segment_base(c.insn.seg, c.start) : 0;
      const u64 target = r == edge ? random_target(rnd, c.mode, 1) : kDiffMid + (rnd() & 0xff);
      regs[r] = legacy ? static_cast<u32>(target - base) : target - base;
      const u64 at = base + (regs[r] & mask);
      if (!known_address(legacy ? at & 0xffffffff : at)) return false;
      outside += at - kDiffData >= kDiffDataSize;
    }
    // Which of two operands faults first the manual does not say (Zen 3: the one at rDI).
    if (outside == 2 && mnemonic.starts_with("CMPS")) return false;
    regs[kRCX] = rnd() % 40;
    if (rnd() & 1) c.start.flags |= kDF;
  }
  // The bit offset in a register addresses memory as well (SDM Vol. 2, BT).
  if (c.e.memory && ops == "Ev,Gv" && mnemonic[0] == 'B') {
    // Whether an operand that crosses the end of a segment of 4 GiB faults is open (SDM Vol. 3, 5.3).
    if (legacy && segment_base(c.insn.seg, c.start)) return false;
    if (c.e.reg == c.insn.base || c.e.reg == c.insn.index || !c.operand) return false;
    regs[c.e.reg] = static_cast<u64>(static_cast<s64>(rnd() % 0x2000) - 0x1000);
    if (legacy) regs[c.e.reg] &= 0xffffffff;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  const unsigned per_form = case_count(argc, argv, 1500);
  DiffRunner d(argc > 2 ? std::strtoull(argv[2], nullptr, 0) : 1);
  Random& rnd = d.rnd;
  u8* const window = d.host.data() + kDiffDataSize / 2 - 0x400;  // where operands lie

  for (u16 fi = 0; fi < kFormCount; fi++) {
    const Form& f = kForms[fi];
    if (form_group(f) != FormGroup::kInt) continue;
    if (argc > 3 && std::string_view(argv[3]) != f.id) continue;
    for (const CodeMode mode : {CodeMode::k64, CodeMode::k32}) {
      if (f.attrs & (mode == CodeMode::k64 ? I64 : O64)) continue;
      for (unsigned n = 0; n < per_form && !d.full(f); n++) {
        DiffCase c;
        EncodeOptions o;
        o.mode = mode;
        o.any_address = true;
        if (f.opcode == 0xC7 && f.map == FormMap::M0F && !rnd.one_in(8)) o.align = 16;  // CMPXCHG16B
        if (!d.begin(f, o, c) || !prepare(d, c)) continue;
        for (u64 a = 0; a < 0x800; a += 8) store<u64>(window + a, rnd.operand());
        if ((f.attrs & REPS) && (rnd() & 1)) std::memset(window, 0x55, 0x800);
        d.run(c);

        const u8 cl = static_cast<u8>(c.start.gpr[kRCX]);
        CompareMask mask;
        mask.flags = (kArith | kDF) & ~undefined_flags(c.insn, cl);
        std::string diff;
        if (c.host.vector >= 0 || c.guest.vector >= 0 || !undefined_result(c.insn, cl, c.host.flags & kZF))
          diff = d.compare(c, mask);
        d.verdict(c, diff, ", rcx in " + hex(c.start.gpr[kRCX]));
      }
    }
    d.report.end_of(f);
  }
  return d.report.finish("int_diff");
}
