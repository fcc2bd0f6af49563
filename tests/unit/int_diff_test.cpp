// Differential test of the general-purpose instructions in 64-bit mode: random encodings of every
// form of forms_int.inc run on this machine's own processor and in tier 0; registers, defined flags,
// memory and #DE are compared. x86-64 hosts only; arguments: cases per form (default 2000), seed.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "support/form_groups.h"
#include "support/host_diff.h"

using namespace oriel;

namespace {

// Flags the manual leaves undefined, by mnemonic (SDM Vol. 2, each instruction's "Flags Affected").
u32 undefined_flags(const Form& f, unsigned count, unsigned bits) {
  std::string m = f.mnemonic;
  if (m == "AND" || m == "OR" || m == "XOR" || m == "TEST") return kAF;
  if (m == "MUL" || m == "IMUL") return kSF | kZF | kAF | kPF;
  if (m == "DIV" || m == "IDIV") return kArith;
  if (m == "SHL" || m == "SHR" || m == "SAR") return kAF | (count != 1 ? kOF : 0) | (count > bits ? kCF : 0);
  if (m == "SHLD" || m == "SHRD") return count > bits ? u32{kArith} : kAF | (count != 1 ? u32{kOF} : 0u);
  if (m == "ROL" || m == "ROR" || m == "RCL" || m == "RCR") return count != 1 ? kOF : 0;
  if (m == "BT" || m == "BTS" || m == "BTR" || m == "BTC") return kOF | kSF | kAF | kPF;
  if (m == "BSF" || m == "BSR") return kArith & ~static_cast<u32>(kZF);
  if (m == "TZCNT" || m == "LZCNT") return kOF | kSF | kPF | kAF;
  if (m == "ANDN") return kAF | kPF;
  if (m == "BLSI" || m == "BLSR" || m == "BZHI") return kAF | kPF;
  if (m == "BLSMSK") return kAF | kPF;
  if (m == "BEXTR") return kAF | kSF | kPF;
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const unsigned per_form = argc > 1 ? static_cast<unsigned>(std::atoi(argv[1])) : 2000;
  Random rnd(argc > 2 ? std::strtoull(argv[2], nullptr, 0) : 1);
  HostCpu host;
  GuestCpu guest;
  DiffReport report;
  u8* const data = host.data();

  for (u16 fi = 0; fi < kFormCount; fi++) {
    const Form& f = kForms[fi];
    if (form_group(f) != FormGroup::kInt) continue;
    const std::string id = f.id, ops = f.operands, mnemonic = f.mnemonic;
    for (unsigned n = 0; n < per_form && !report.full(f); n++) {
      Encoding e;
      if (!encode(f, rnd, f.opcode == 0xC7 && f.map == FormMap::M0F ? 16 : 1, e)) continue;
      if (id == "ENTER") e.bytes[e.len + 2] &= 3, e.bytes[e.len + 1] &= 1;
      Insn insn;
      if (decode(e.bytes, 15, CodeMode::k64, insn) != DecodeStatus::kOk || form_of(insn.op) != fi) {
        std::string text = std::string("our own encoding decodes as ") +
                           (insn.op == OP_UD ? "#UD" : kForms[form_of(insn.op)].id) + ":";
        for (unsigned k = 0; k < e.len; k++) text += " " + hex(e.bytes[k]);
        report.fail(f, text);
        continue;
      }

      CpuState start;
      u64* const regs = start.gpr;
      for (u64& r : start.gpr) r = rnd.operand();
      regs[kRSP] = kDiffMid + (rnd() & 0x38);
      if (e.memory) regs[kRBX] = kDiffMid;
      if (ops.find('X') != std::string::npos || ops.find('Y') != std::string::npos) {
        regs[kRSI] = kDiffMid + (rnd() & 0xff);
        regs[kRDI] = kDiffMid + (rnd() & 0xff);
        regs[kRCX] = rnd() % 40;
      }
      if (id == "XLAT") regs[kRBX] = kDiffMid;
      if (id == "LEAVE" || id == "ENTER") regs[kRBP] = kDiffMid + (rnd() & 0xf8);
      const bool bit_string = e.memory && f.operands == std::string("Ev,Gv") && mnemonic[0] == 'B';
      if (bit_string && e.reg == kRBX) continue;
      if (bit_string) regs[e.reg] = static_cast<u64>(static_cast<s64>(rnd() % 0x2000) - 0x1000);
      start.flags = (static_cast<u32>(rnd()) & kArith) | 2;
      if ((f.attrs & REPS) && (rnd() & 1)) start.flags |= kDF;
      for (u64 a = 0; a < 0x800; a += 8) store<u64>(data + kDiffDataSize / 2 - 0x400 + a, rnd.operand());
      if ((f.attrs & REPS) && (rnd() & 1)) std::memset(data + kDiffDataSize / 2 - 0x400, 0x55, 0x800);
      guest.set_data(data);

      CpuState h = start, g = start;
      host.run(h, e.bytes, insn.len);
      guest.run(g, e.bytes, insn.len);

      const unsigned bits = insn.osz == 0 ? 8 : 8u << insn.osz;
      unsigned count = static_cast<unsigned>(insn.imm);
      if (ops.find("CL") != std::string::npos) count = static_cast<unsigned>(regs[kRCX]);
      if (ops.find(",1") != std::string::npos) count = 1;
      count &= bits == 64 ? 63 : 31;
      CompareMask mask;
      mask.flags = (kArith | kDF) & ~undefined_flags(f, count, bits);
      const bool undefined_result = ((mnemonic == "SHLD" || mnemonic == "SHRD") && count > bits) ||
                                    ((mnemonic == "BSF" || mnemonic == "BSR") && (h.flags & kZF)) ||
                                    (mnemonic == "BSWAP" && insn.osz == 1);
      std::string diff;
      if (h.vector != g.vector || (h.vector < 0 && !undefined_result)) diff = differences(h, g, mask);
      if (h.vector < 0 && !undefined_result && std::memcmp(data, guest.data(), kDiffDataSize) != 0) diff += " memory";
      if (diff.empty()) {
        report.pass(f);
        continue;
      }
      char text[128];
      disassemble(insn, CodeMode::k64, kDiffStart, text, sizeof text);
      report.fail(f, std::string(text) + ":" + diff + " (flags in " + hex(start.flags) + ", count " +
                         std::to_string(count) + ")");
    }
    report.end_of(f);
  }
  return report.finish("int_diff");
}
