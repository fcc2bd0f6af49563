#include "jit/verify.h"

#include <cstdio>

namespace oriel::jit {

namespace {

// f(name, number in its group or -1, value, upper half or null) for every register.
template <class F>
void each_register(const Cpu& c, F f) {
  f("RIP", -1, c.rip);
  f("RFLAGS", -1, c.get_rflags());
  for (int n = 0; n < 16; n++) f(kGprNames[n], -1, c.gpr[n]);
  for (unsigned n = 0; n < kSegCount; n++) f(kSegNames[n], -1, c.seg[n].sel, c.seg[n].base);
  f("CR0", -1, c.cr0);
  f("CR2", -1, c.cr2);
  f("CR3", -1, c.cr3);
  f("CR4", -1, c.cr4);
  f("EFER", -1, c.efer);
  f("MXCSR", -1, c.mxcsr);
  for (int n = 0; n < 16; n++) f("XMM", n, c.xmm[n].q[0], c.xmm[n].q[1]);
  for (int n = 0; n < 16; n++) f("upper half of YMM", n, c.ymm_hi[n].q[0], c.ymm_hi[n].q[1]);
  for (int n = 0; n < 8; n++) f("R", n, c.fpu.r[n].m, c.fpu.r[n].se);
  f("FCW", -1, c.fpu.cw);
  f("FSW", -1, c.fpu.sw);
  f("TOP", -1, c.fpu.top);
  f("FTW", -1, c.fpu.tw);
  f("FOP", -1, c.fpu.fop);
  f("FIP", -1, c.fpu.fip, c.fpu.fcs);
  f("FDP", -1, c.fpu.fdp, c.fpu.fds);
}

}  // namespace

u64 register_hash(const Cpu& c) {
  HashState h;
  each_register(c, [&h](const char*, int, u64 low, u64 high = 0) {
    u64 both = low ^ high * 0x9e3779b97f4a7c15u;
    h.io(both);
  });
  return h.value() >> 12;
}

std::string register_text(const Cpu& c) {
  std::string s;
  each_register(c, [&s](const char* name, int n, u64 low, u64 high = 0) {
    char value[40];
    std::snprintf(value, sizeof value, high ? "=%016llx %016llx\n" : "=%016llx\n", static_cast<unsigned long long>(low),
                  static_cast<unsigned long long>(high));
    s += name + (n < 0 ? std::string() : std::to_string(n)) + value;
  });
  return s;
}

void plant_mistake(Unit& unit, u32 plant) {
  for (IrBlock& b : unit.blocks)
    for (Inst& i : b.insts) {
      if (plant == kPlantSubtract && i.op == IrOp::kAdd) i.op = IrOp::kSub;
      if (plant == kPlantNoStore && i.op == IrOp::kStoreAt) i = Inst{};
    }
}

}  // namespace oriel::jit
