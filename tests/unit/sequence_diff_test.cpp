// Differential test of sequences: 3 to 20 general-purpose instructions whose flags, registers and memory flow from one
// to the next, with conditional jumps forward, run on this machine's own processor and in tier 0, as blocks and an
// instruction at a time. What it is after is the lazy evaluation of flags and the fusing of pairs. No flag is read
// while the manual leaves it undefined. x86-64 hosts only; arguments: cases per mode (default 40000), seed.
#include <cstdlib>
#include <string_view>
#include <vector>

#include "support/diff_runner.h"
#include "support/form_groups.h"
#include "support/undefined_flags.h"

using namespace oriel;

namespace {

// Forms that a sequence is made of: no implicit pointers, no undefined results.
bool eligible(const Form& f) {
  if (form_group(f) != FormGroup::kInt || (f.attrs & REPS)) return false;
  for (std::string_view id : {"ENTER", "LEAVE", "PUSHA", "POPA", "XLAT", "CMPXCHG8B", "PAUSE", "BSWAP_Zv", "BSF_GvEv",
                              "BSR_GvEv", "CLD", "STD"})
    if (id == f.id) return false;
  return std::string_view(f.operands).find('O') == std::string_view::npos;
}

class Sequence {
 public:
  Sequence(Random& rnd, CodeMode mode) : rnd_(rnd), mode_(mode) {}
  void make(const std::vector<const Form*>& forms) {
    const unsigned count = 3 + static_cast<unsigned>(rnd_.below(18));
    for (unsigned n = 0; n < count; n++) {
      if (rnd_.one_in(5))
        add_jump();
      else
        add(*forms[rnd_.below(forms.size())]);
    }
    for (Jump& j : jumps_) land(j);
    note();
  }
  const u8* code() const { return code_; }
  unsigned len() const { return len_; }
  // Flags that are undefined before the instruction at `rip`, or at the end.
  u32 undefined_at(u64 rip) const {
    for (const Mark& m : marks_)
      if (kDiffStart + m.at == rip) return m.undefined;
    return kArith;
  }
  std::string text() const {
    std::string s;
    for (const Mark& m : marks_) {
      Insn i;
      if (m.at == len_ || decode(code_ + m.at, 15, mode_, i) != DecodeStatus::kOk) continue;
      char t[128];
      disassemble(i, mode_, kDiffStart + m.at, t, sizeof t);
      s += std::string("\n  ") + hex(kDiffStart + m.at) + "  " + t;
    }
    return s;
  }

 private:
  struct Jump {
    unsigned at;     // behind the jump
    unsigned skips;  // instructions still to come
    u32 undefined;
  };
  struct Mark {
    unsigned at;
    u32 undefined;
  };

  void note() { marks_.push_back(Mark{len_, undefined_}); }
  void land(Jump& j) {
    code_[j.at - 1] = static_cast<u8>(len_ - j.at);
    undefined_ |= j.undefined;
  }
  // Before an instruction: jumps that lead to it.
  void begin() {
    for (usize k = 0; k < jumps_.size();) {
      if (jumps_[k].skips-- == 0) {
        land(jumps_[k]);
        jumps_.erase(jumps_.begin() + static_cast<std::ptrdiff_t>(k));
      } else {
        k++;
      }
    }
    note();
  }

  void add_jump() {
    const u8 bytes[] = {static_cast<u8>(0x70 | (rnd_() & 15)), 0};
    Insn i;
    if (decode(bytes, 2, mode_, i) != DecodeStatus::kOk || (flags_read(i) & undefined_after_landing())) return;
    begin();
    std::memcpy(code_ + len_, bytes, 2);
    len_ += 2;
    jumps_.push_back(Jump{len_, 1 + static_cast<unsigned>(rnd_.below(3)), undefined_});
  }

  // A jump that lands here brings what was undefined where it came from.
  u32 undefined_after_landing() const {
    u32 u = undefined_;
    for (const Jump& j : jumps_)
      if (j.skips == 0) u |= j.undefined;
    return u;
  }

  void add(const Form& f) {
    EncodeOptions o;
    o.mode = mode_;
    Encoding e;
    Insn i;
    if (!encode(f, rnd_, o, e) || decode(e.bytes, 15, mode_, i) != DecodeStatus::kOk || i.op <= OP_LONG) return;
    // RBX is the base of every memory operand and RSP the stack; BH and SPL are parts of them.
    auto reserved = [](unsigned r) { return r == kRBX || r == kRSP || r == kRDI; };
    if (f.modrm == 8 && reserved(e.reg)) return;
    if (!e.memory && reserved(e.rm)) return;
    if ((f.attrs & VEX) && reserved(e.vvvv)) return;
    const std::string_view m = f.mnemonic;
    if (e.memory && m[0] == 'B' && std::string_view(f.operands) == "Ev,Gv") return;  // addresses by a register
    u32 undefined = 0;
    for (u8 cl : {u8{0}, u8{31}}) {
      undefined |= undefined_flags(i, cl);
      if (undefined_result(i, cl, false)) return;
    }
    if (flags_read(i) & undefined_after_landing()) return;
    begin();
    std::memcpy(code_ + len_, e.bytes, i.len);
    len_ += i.len;
    undefined_ = (undefined_ & ~flags_defined(i)) | undefined;
  }

  Random& rnd_;
  CodeMode mode_;
  u8 code_[kMaxCode + 16] = {};
  unsigned len_ = 0;
  u32 undefined_ = 0;
  std::vector<Jump> jumps_;
  std::vector<Mark> marks_;
};

}  // namespace

int main(int argc, char** argv) {
  const unsigned cases = case_count(argc, argv, 40000);
  DiffRunner d(argc > 2 ? std::strtoull(argv[2], nullptr, 0) : 1);
  Random& rnd = d.rnd;
  u8* const window = d.host.data() + kDiffDataSize / 2 - 0x400;
  for (const CodeMode mode : {CodeMode::k64, CodeMode::k32}) {
    std::vector<const Form*> forms;
    for (u16 k = 0; k < kFormCount; k++)
      if (eligible(kForms[k]) && !(kForms[k].attrs & (mode == CodeMode::k64 ? I64 : O64))) forms.push_back(&kForms[k]);
    for (unsigned n = 0; n < cases && !d.report.full(); n++) {
      Sequence s(rnd, mode);
      s.make(forms);
      CpuState start;
      const bool legacy = mode == CodeMode::k32;
      if (legacy) start.sel[kCS] = kDiffCode32;
      for (u64& r : start.gpr) r = legacy ? static_cast<u32>(rnd.operand()) : rnd.operand();
      start.gpr[kRBX] = kDiffMid;
      start.gpr[kRSP] = kDiffMid + (rnd() & 0x38);
      start.flags = (static_cast<u32>(rnd()) & kArith) | 2;
      for (u64 a = 0; a < 0x800; a += 8) store<u64>(window + a, rnd.operand());
      d.guest.set_data(d.host.data());
      CpuState h = start, g = start;
      d.host.run(h, s.code(), s.len());
      d.guest.run(g, s.code(), s.len(), rnd() & 1);
      CompareMask mask;
      mask.legacy = legacy;
      mask.flags = (kArith | kDF) & ~s.undefined_at(h.rip);
      std::string diff = differences(h, g, mask);
      if (std::memcmp(d.host.data(), d.guest.data(), kDiffDataSize) != 0) diff += " memory";
      if (diff.empty())
        d.report.pass();
      else
        d.report.fail(std::string(legacy ? "32" : "64") + "-bit, flags in " + hex(start.flags) + ":" + diff + s.text());
    }
  }
  return d.report.finish("sequence_diff");
}
