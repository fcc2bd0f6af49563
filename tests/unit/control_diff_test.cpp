// Differential test of what changes control, the stack or segment registers, and of what a user program may not do:
// branches near and far (also between 64- and 32-bit code), RET, IRET, INT n, segment loads, PUSHF and POPF, BOUND,
// privileged instructions, in 64- and 32-bit mode. Compared is also where execution goes on: a taken branch lands on a
// byte that stops, or faults on the fetch. x86-64 hosts only; arguments: cases per form and mode (default 300), seed, a
// form's ID.
#include <cpuid.h>

#include <cstdlib>
#include <string_view>

#include "support/diff_runner.h"
#include "support/form_groups.h"

using namespace oriel;

namespace {

// Where vendors differ:
//   far pointers of 16:64        AMD ignores REX.W of LSS, LFS, LGS, CALL and JMP with a memory operand (APM Vol. 3),
//                                Intel does not (SDM Vol. 2): compared on Intel only; system_test has them.
//   66 on a near branch in       Intel ignores it (SDM Vol. 2, appendix A, "f64"), AMD takes 16 bits (APM Vol. 3,
//   64-bit mode                  1.2.2): compared on Intel only.
//   PUSH Sreg of 32 bits         writes 16 or 32 bits (SDM Vol. 2, PUSH): the upper half is not compared.
bool is_amd() {
  unsigned a, b, c, d;
  return __get_cpuid(0, &a, &b, &c, &d) && b == signature_AMD_ebx;
}

// Selectors that Linux defines (arch/x86/include/asm/segment.h) and some that none can use. Not 1 to 3: a task switch
// of the host may turn those into 0.
u16 random_selector(Random& rnd) {
  static constexpr u16 kSelectors[] = {0, 0x23, 0x2b, 0x2b, 0x2b, 0x33, 0x28, 0x2a, 0x0f};
  return kSelectors[rnd.below(std::size(kSelectors))];
}
u16 random_code_selector(Random& rnd) {
  static constexpr u16 kSelectors[] = {0x23, 0x23, 0x33, 0x33, 0x23, 0x33, 0x2b, 0, 0x20, 0x0f};
  return kSelectors[rnd.below(std::size(kSelectors))];
}

// Flags that may be loaded: TF would trap, NT makes IRET another instruction, AC makes the host check alignment.
u32 random_flags(Random& rnd) { return static_cast<u32>(rnd()) & (kArith | kDF | kIF | kIOPL | kID); }

// A place to go to: most of the time in the page of code, not within the tested instruction or what is behind it on
// the host; else where a fetch faults.
u64 random_place(Random& rnd, CodeMode mode, unsigned len) {
  switch (rnd.below(24)) {
    case 0: return kDiffCode - 1 - rnd.below(16);
    case 1: return kDiffCode + kDiffCodeSize + rnd.below(16);
    case 2: return kDiffData + rnd.below(16);  // not executable
    case 3: return kDiffReadOnly;
    case 4: return mode == CodeMode::k64 ? u64{1} << 47 | rnd() >> 20 : rnd.below(0x8000);
    default: break;
  }
  u64 at;
  do at = kDiffCode + rnd.below(kDiffCodeSize);
  while (at > kDiffStart - 8 && at < kDiffStart + len + 16);
  return at;
}

void put(u8*& p, u64 v, unsigned size) {
  std::memcpy(p, &v, size);
  p += size;
}

// False: not this case.
bool prepare(DiffRunner& d, DiffCase& c) {
  const std::string_view id = c.form->id, ops = c.form->operands, mnemonic = c.form->mnemonic;
  Random& rnd = d.rnd;
  CpuState& s = c.start;
  const Insn& i = c.insn;
  u64 place = random_place(rnd, c.mode, i.len);
  if (id == "IRET" && place >> 47) place = kDiffCode;  // a bad selector as well would be one fault too many
  const unsigned size = 1u << i.osz;                   // of a stack slot or an offset
  u8* const tail = c.e.bytes + c.e.len;
  if (id == "INT_Ib" && *tail == 0x80) return false;  // a call of the host's kernel

  // The stack, for returns and pops: in the data, now and then where it faults; but flags and selectors are not to
  // come from where nothing is put.
  if (rnd.one_in(16) && !c.e.memory) s.gpr[kRSP] = random_target(rnd, c.mode, 1);
  const u64 sp = s.gpr[kRSP];
  if (!known_address(sp)) return false;
  if ((id == "POPF" || id == "IRET" || mnemonic.starts_with("RET")) && sp >= kDiffReadOnly - 64 &&
      sp < kDiffReadOnly + 0x1000)
    return false;
  if (s.gpr[kRSP] >= kDiffData && s.gpr[kRSP] + 64 <= kDiffReadOnly) {
    u8* p = d.host.data() + (s.gpr[kRSP] - kDiffData);
    if (mnemonic == "RET") {
      put(p, place, size);
    } else if (mnemonic == "RETF" || id == "IRET") {
      put(p, place, size);
      put(p, random_code_selector(rnd) | (rnd() & ~u64{0xffff}), size);
      if (id == "IRET") {
        put(p, random_flags(rnd), size);
        put(p, kDiffMid + rnd.below(64), size);
        put(p, rnd.one_in(4) ? random_selector(rnd) : kDiffDataSel, size);
      }
    } else if (mnemonic == "POP") {
      put(p, random_selector(rnd) | (rnd() & ~u64{0xffff}), 8);
    } else if (id == "POPF") {
      put(p, random_flags(rnd), 8);
    }
  }
  if (id == "PUSHF") s.flags |= random_flags(rnd) & (kDF | kID);

  if (ops == "Jb" || ops == "Jz") {
    if (ops == "Jb") {
      s64 disp;
      do disp = static_cast<s8>(rnd());
      while (disp < 0 ? disp > -20 : disp < 16);
      *tail = static_cast<u8>(disp);
    } else {
      const u64 disp = place - (kDiffStart + i.len);
      if (disp + 0x80000000 > 0xffffffff) return false;
      std::memcpy(tail, &disp, i.osz == 1 ? 2 : 4);
    }
    if (rnd.one_in(2)) s.gpr[kRCX] = rnd.below(3) | (i.asz == 2 && c.mode == CodeMode::k64 ? rnd() << 32 : 0);
  } else if (mnemonic == "JMP" || mnemonic == "CALL") {
    if (ops == "Ap") {
      u8* p = tail;
      put(p, place, size);
      put(p, random_code_selector(rnd), 2);
    } else if (!c.e.memory) {
      s.gpr[i.rm] = c.mode == CodeMode::k64 ? place : static_cast<u32>(place);
    } else if (c.operand) {
      u8* p = c.operand;
      put(p, place, size);
      if (ops == "Mp") put(p, random_code_selector(rnd), 2);
    } else if (c.address + 16 >= kDiffData && c.address < kDiffReadOnly) {
      return false;  // whatever earlier cases left there
    }
  } else if (ops == "Gv,Mp") {
    if (c.operand) store<u16>(c.operand + size, random_selector(rnd));
  } else if (ops.ends_with("Ew") || ops == "Ew,Gw") {
    // A selector that is loaded or looked at.
    const u16 sel = random_selector(rnd);
    if (!c.e.memory)
      s.gpr[i.rm] = (s.gpr[i.rm] & ~u64{0xffff}) | sel;
    else if (c.operand)
      store<u16>(c.operand, sel);
  } else if (mnemonic.starts_with("WR") && mnemonic.ends_with("BASE") && (rnd() & 1)) {
    s.gpr[i.rm] = rnd() >> 17;
  }
  static const bool amd = is_amd();
  if (amd && (ops == "Mp" || ops == "Gv,Mp") && i.osz == 3) return false;
  if (amd && c.mode == CodeMode::k64 && (c.form->attrs & F64) && (i.flags & kInsnOpsz)) return false;
  // RETF looks at the stack that it would leave before it has checked the selector, or after (Zen 3: before).
  if (id == "RETF_Iw") store<u16>(tail, static_cast<u16>(rnd.below(64)));
  // Of two faults, on the stack and of the target, the manual says which comes first, but not all do as it says; and
  // a stack pointer of 64 bits is none for the 32-bit code that a far transfer goes to.
  const bool stack_faults = s.gpr[kRSP] < kDiffData || s.gpr[kRSP] >= kDiffReadOnly - 64;
  if (mnemonic == "CALL" && stack_faults && (c.e.memory || ops == "Ap" || place >> 47)) return false;
  if (mnemonic == "CALL" && s.gpr[kRSP] >> 32 && ops == "Mp") return false;
  decode(c.e.bytes, 15, c.mode, c.insn);
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  const unsigned per_form = case_count(argc, argv, 300);
  DiffRunner d(argc > 2 ? std::strtoull(argv[2], nullptr, 0) : 1);
  Random& rnd = d.rnd;
  u8* const window = d.host.data() + kDiffDataSize / 2 - 0x400;

  for (u16 fi = 0; fi < kFormCount; fi++) {
    const Form& f = kForms[fi];
    if (form_group(f) != FormGroup::kControl) continue;
    if (argc > 3 && std::string_view(argv[3]) != f.id) continue;
    for (const CodeMode mode : {CodeMode::k64, CodeMode::k32}) {
      if (f.attrs & (mode == CodeMode::k64 ? I64 : O64)) continue;
      for (unsigned n = 0; n < per_form && !d.full(f); n++) {
        DiffCase c;
        EncodeOptions o;
        o.mode = mode;
        o.any_address = true;
        for (u64 a = 0; a < 0x800; a += 8) store<u64>(window + a, rnd.operand());
        if (!d.begin(f, o, c) || !prepare(d, c)) continue;
        const u64 sp = c.start.gpr[kRSP];
        std::string top = "not in the data";
        if (sp >= kDiffData && sp < kDiffReadOnly) top = hex(load<u64>(d.host.data() + (sp - kDiffData)));
        d.run(c);
        const std::string_view id = f.id;
        if (mode == CodeMode::k32 && c.insn.osz == 2 && c.host.vector < 0 && id.starts_with("PUSH_") &&
            id.ends_with("S")) {
          const u64 upper = static_cast<u32>(c.host.gpr[kRSP]) - kDiffData + 2;
          std::memcpy(d.host.data() + upper, d.guest.data() + upper, 2);
        }
        // LAR leaves bits 19:16 undefined (SDM Vol. 2, LAR).
        if (id == "LAR" && c.insn.osz > 1)
          for (CpuState* s : {&c.host, &c.guest}) s->gpr[c.insn.reg] &= ~u64{0xf0000};
        // RETF and IRET read their frame in any order.
        if (c.host.vector == kPFv && c.guest.vector == kPFv && (id == "IRET" || id.starts_with("RETF")) &&
            c.host.address - c.guest.address + 64 < 128)
          c.guest.address = c.host.address;
        CompareMask mask;
        mask.legacy = c.host.sel[kCS] == kDiffCode32;  // the upper halves of registers are lost there
        mask.flags = kArith | kDF | kIF | kIOPL | kID;
        d.verdict(c, d.compare(c, mask),
                  ", rcx in " + hex(c.start.gpr[kRCX]) + ", rsp in " + hex(c.start.gpr[kRSP]) + ": " + top);
      }
    }
    d.report.end_of(f);
  }
  return d.report.finish("control_diff");
}
