#include "support/diff_state.h"

#include <cstdio>

#include "support/coverage.h"

namespace oriel {

u64 Random::operand() {
  Random& r = *this;
  switch (r() % 8) {
    case 0: return 0;
    case 1: return ~u64{0};
    case 2: return u64{1} << (r() & 63);
    case 3: return (u64{1} << (r() & 63)) - 1;
    case 4: return static_cast<u64>(static_cast<s64>(static_cast<s8>(r())));
    case 5: return static_cast<u32>(r());
    default: return r();
  }
}

CpuState::CpuState() {
  store<u16>(fx + kFxCw, 0x37f);
  store<u32>(fx + kFxMxcsr, 0x1f80);
  store<u32>(fx + kFxMxcsr + 4, 0xffff);
}

void DiffReport::fail(const Form& f, const std::string& text) {
  note(f);
  failed_++, bad_++, compared_++;
  std::printf("%s: %s\n", f.id, text.c_str());
}

void DiffReport::fail(const std::string& text) {
  failed_++;
  std::puts(text.c_str());
}

void DiffReport::end_of(const Form& f) {
  note(f);
  if (compared_ == 0) fail(f, "no case compared it");
}

int DiffReport::finish(std::string_view program) const {
  std::printf("%llu passed, %llu failed\n", static_cast<unsigned long long>(passed_),
              static_cast<unsigned long long>(failed_));
  return failed_ || !passed_ || !FormCoverage::get().save(program);
}

std::string hex(u64 v) {
  char b[20];
  std::snprintf(b, sizeof b, "%llx", static_cast<unsigned long long>(v));
  return b;
}

std::string differences(const CpuState& host, const CpuState& guest, const CompareMask& mask) {
  std::string d;
  auto field = [&](const std::string& name, u64 h, u64 g) {
    if (h != g) d += " " + name + " host " + hex(h) + " guest " + hex(g);
  };
  if (host.vector != guest.vector)
    d += " exception: host " + std::to_string(host.vector) + " guest " + std::to_string(guest.vector);
  field("address", host.address, guest.address);
  // Linux reports every user access to its half of the address space as a protection violation.
  const u32 hidden = host.address >> 47 ? 1 : 0;
  field("error code", host.error | hidden, guest.error | hidden);
  field("rip", host.rip, guest.rip);
  static constexpr const char* kSegName[] = {"es", "cs", "ss", "ds", "fs", "gs"};
  for (unsigned k = 0; k < 6; k++) field(kSegName[k], host.sel[k], guest.sel[k]);
  field("fs base", host.fs_base, guest.fs_base);
  field("gs base", host.gs_base, guest.gs_base);
  const unsigned registers = mask.legacy ? 8 : 16;
  const u64 bits = mask.legacy ? 0xffffffff : ~u64{0};
  for (unsigned r = 0; r < registers; r++) field("r" + std::to_string(r), host.gpr[r] & bits, guest.gpr[r] & bits);
  if ((static_cast<u32>(host.flags) ^ static_cast<u32>(guest.flags)) & mask.flags)
    field("flags", host.flags, guest.flags);
  field("mxcsr", load<u32>(host.fx + kFxMxcsr) & mask.mxcsr, load<u32>(guest.fx + kFxMxcsr) & mask.mxcsr);
  for (unsigned i = 0; i < 16; i++) {  // 32-bit code leaves the upper eight alone
    const unsigned at = kFxXmm + 16 * i;
    for (unsigned k : {8u, 0u})
      field("ymm" + std::to_string(i) + "[" + std::to_string(16 + k) + "]", load<u64>(host.ymm_hi + 16 * i + k),
            load<u64>(guest.ymm_hi + 16 * i + k));
    field("xmm" + std::to_string(i) + ".hi", load<u64>(host.fx + at + 8), load<u64>(guest.fx + at + 8));
    field("xmm" + std::to_string(i) + ".lo", load<u64>(host.fx + at), load<u64>(guest.fx + at));
  }
  if (!mask.x87) return d;
  field("fcw", load<u16>(host.fx + kFxCw), load<u16>(guest.fx + kFxCw));
  field("fsw", load<u16>(host.fx + kFxSw) & mask.sw, load<u16>(guest.fx + kFxSw) & mask.sw);
  field("ftw", host.fx[kFxTw], guest.fx[kFxTw]);
  for (unsigned i = 0; i < 8; i++) {
    const unsigned at = kFxSt + 16 * i;
    field("st" + std::to_string(i) + ".e", load<u16>(host.fx + at + 8), load<u16>(guest.fx + at + 8));
    field("st" + std::to_string(i) + ".m", load<u64>(host.fx + at), load<u64>(guest.fx + at));
  }
  return d;
}

}  // namespace oriel
