// Records tests/data/vectors.bin on this machine's own processor: a few cases of every form that the differential tests
// compare, where tier 0 agrees. x86-64 hosts only; argument: the file to write.
#include <cstdio>
#include <string_view>

#include "support/encode.h"
#include "support/form_groups.h"
#include "support/host_diff.h"
#include "support/undefined_flags.h"
#include "support/vectors.h"

using namespace oriel;

namespace {

// Results that are not the same on every processor, or not defined to the bit: see simd_diff_test and x87_diff_test.
bool portable(const Form& f) {
  const std::string_view m = f.mnemonic;
  for (std::string_view prefix :
       {"RCP",      "RSQRT",    "VRCP",   "VRSQRT",  "F2XM1",  "FYL2X",   "FPTAN",  "FPATAN", "FSIN",
        "FCOS",     "FPREM",    "FXSAVE", "FXRSTOR", "FNSAVE", "FNSTENV", "FLDENV", "FRSTOR", "LDMXCSR",
        "VLDMXCSR", "CVTPI2PS", "XSAVE",  "XRSTOR",  "FLDCW",  "FBLD",    "NOP"})
    if (m.starts_with(prefix)) return false;
  return std::string_view(f.operands).find('O') == std::string_view::npos;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return std::puts("usage: record_vectors FILE"), 1;
  Random rnd(1);
  HostCpu host;
  GuestCpu guest;
  std::vector<RecordedVector> vectors;
  unsigned differ = 0;
  for (u16 fi = 0; fi < kFormCount; fi++) {
    const Form& f = kForms[fi];
    const FormGroup g = form_group(f);
    if ((g != FormGroup::kInt && g != FormGroup::kSimd && g != FormGroup::kX87) || !portable(f)) continue;
    for (const CodeMode mode : {CodeMode::k64, CodeMode::k32}) {
      if (f.attrs & (mode == CodeMode::k64 ? I64 : O64)) continue;
      const unsigned want = mode == CodeMode::k64 ? 4 : 2;
      unsigned have = 0;
      for (unsigned tries = 0; have < want && tries < 400; tries++) {
        EncodeOptions o;
        o.mode = mode;
        o.align = 32;
        Encoding e;
        Insn i;
        if (!encode(f, rnd, o, e)) continue;
        if (f.id == std::string_view("ENTER")) e.bytes[e.len + 2] &= 3, e.bytes[e.len + 1] &= 1;
        if (decode(e.bytes, 15, mode, i) != DecodeStatus::kOk || i.op <= OP_LONG || form_of(i.op) != fi) continue;
        const std::string_view ops = f.operands, id = f.id;
        if ((id == "VPINSRD" || id == "VPEXTRD") && mode == CodeMode::k32 && (i.vex & 4)) continue;
        if (e.memory && f.mnemonic[0] == 'B' && ops == "Ev,Gv") continue;  // addresses by a register
        RecordedVector v{};
        v.mode = mode;
        v.len = i.len;
        std::memcpy(v.code, e.bytes, i.len);
        v.seed = static_cast<u32>(rnd());
        CpuState h, t;
        vector_state(v, i, h, host.data());
        t = h;
        const u8 cl = static_cast<u8>(h.gpr[kRCX]);
        v.flags = static_cast<u16>((kArith | kDF) & ~undefined_flags(i, cl));
        guest.set_data(host.data());
        host.run(h, v.code, v.len);
        guest.run(t, v.code, v.len);
        if (undefined_result(i, cl, h.flags & kZF)) continue;
        // An exception tells little; one of a form is enough.
        if (h.vector >= 0 && t.vector >= 0 && have + 1 < want) continue;
        v.hash = vector_hash(v, i, h, host.data());
        if (v.hash != vector_hash(v, i, t, guest.data())) {
          CompareMask mask;
          mask.flags = v.flags;
          mask.legacy = mode != CodeMode::k64;
          char text[128];
          disassemble(i, mode, kDiffStart, text, sizeof text);
          std::printf("%s: %s: tier 0 differs:%s\n", f.id, text, differences(h, t, mask).c_str());
          differ++;
          continue;
        }
        vectors.push_back(v);
        have++;
      }
    }
  }
  std::printf("%zu vectors, %u differ\n", vectors.size(), differ);
  return !write_vectors(argv[1], vectors) || differ;
}
