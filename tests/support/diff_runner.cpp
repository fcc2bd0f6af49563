#include "support/diff_runner.h"

#include <cstdlib>

namespace oriel {

unsigned case_count(int argc, char** argv, unsigned usual) {
  if (argc > 1) return static_cast<unsigned>(std::atoi(argv[1]));
  const char* full = std::getenv("ORIEL_FULL");
  return full && *full ? usual * 10 : usual;
}

bool DiffRunner::begin(const Form& f, const EncodeOptions& o, DiffCase& c) {
  c.form = &f;
  c.mode = o.mode;
  c.address = 0, c.operand = nullptr;
  if (!encode(f, rnd, o, c.e)) return false;
  const u16 form = static_cast<u16>(&f - kForms);
  if (decode(c.e.bytes, 15, o.mode, c.insn) != DecodeStatus::kOk || form_of(c.insn.op) != form) {
    if (c.insn.op == OP_LONG) return false;
    const Form& other = kForms[form_of(c.insn.op)];
    if (c.insn.op != OP_UD && other.map == f.map && other.opcode == f.opcode) return false;  // a more specific row
    std::string text = std::string("our own encoding decodes as ") + (c.insn.op == OP_UD ? "#UD" : other.id) + ":";
    for (unsigned k = 0; k < c.e.len; k++) text += " " + hex(c.e.bytes[k]);
    report.fail(f, text);
    return false;
  }
  CpuState& s = c.start;
  s = CpuState{};
  const bool legacy = o.mode != CodeMode::k64;
  if (legacy) s.sel[kCS] = kDiffCode32;
  s.fs_base = kDiffData - 0x1000, s.gs_base = kDiffMid - 0x100;
  for (u64& r : s.gpr) r = legacy ? static_cast<u32>(rnd.operand()) : rnd.operand();
  s.gpr[kRSP] = kDiffMid + (rnd() & 0x38);
  s.flags = (static_cast<u32>(rnd()) & kArith) | 2;
  if (c.e.memory && !o.any_address) {
    s.gpr[kRBX] = kDiffMid;
    c.address = operand_address(c.insn, o.mode, s, 0);
  } else if (c.e.memory) {
    if (!place_operand(c.e, c.insn, o.mode, random_target(rnd, o.mode, o.align), rnd, s, c.address)) return false;
  }
  if (c.address >= kDiffData && c.address + kOperandSize <= kDiffReadOnly)
    c.operand = host.data() + (c.address - kDiffData);
  return true;
}

void DiffRunner::run(DiffCase& c) {
  guest.set_data(host.data());
  c.host = c.guest = c.start;
  host.run(c.host, c.e.bytes, c.insn.len);
  guest.run(c.guest, c.e.bytes, c.insn.len, rnd() & 1);
}

std::string DiffRunner::compare(const DiffCase& c, CompareMask mask, bool memory) {
  mask.legacy |= c.mode != CodeMode::k64;
  std::string d = differences(c.host, c.guest, mask);
  if (memory && std::memcmp(host.data(), guest.data(), kDiffDataSize) != 0) {
    u64 at = 0;
    while (host.data()[at] == guest.data()[at]) at++;
    const u64 from = std::min(at, kDiffDataSize - 8);
    d += " memory from " + hex(kDiffData + at) + " host " + hex(load<u64>(host.data() + from)) + " guest " +
         hex(load<u64>(guest.data() + from));
  }
  return d;
}

void DiffRunner::verdict(const DiffCase& c, const std::string& diff, const std::string& more) {
  if (diff.empty()) {
    report.pass(*c.form);
    return;
  }
  char text[128];
  disassemble(c.insn, c.mode, kDiffStart, text, sizeof text);
  std::string bytes;
  for (unsigned k = 0; k < c.insn.len; k++) bytes += (k ? " " : "") + hex(c.e.bytes[k]);
  report.fail(*c.form, std::string(text) + " (" + (c.mode == CodeMode::k64 ? "64" : "32") + "-bit " + bytes +
                           "):" + diff + " (flags in " + hex(c.start.flags) + more + ")");
}

}  // namespace oriel
