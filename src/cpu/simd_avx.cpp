// What AVX and AVX2 add to the SSE instructions: broadcasts, moves of 128-bit halves, permutations, masked moves,
// gathers, VZEROUPPER. SDM Vol. 2.
#include "cpu/simd_int.h"

namespace oriel {

using namespace simd;

// ---- broadcasts ----------------------------------------------------------------------------------

namespace {
template <class T>
bool broadcast(Cpu& c, const Insn& i) {
  T v;
  if (!avx_ready(c) || !xmm_source_low<T>(c, i, v)) return false;
  Lanes<T, V128> all;
  all.fill(v);
  V256 r{};
  for (unsigned h = 0; h < halves(i); h++) r.h[h] = join<V128>(all);
  set_ymm(c, i.reg, r);
  return true;
}
bool broadcast128(Cpu& c, const Insn& i) {
  V128 v;
  if (!avx_ready(c) || !c.read<V128>(i.seg, c.ea(i), v)) return false;
  set_ymm(c, i.reg, V256{{v, v}});
  return true;
}
}  // namespace

bool exec_VBROADCASTSS(Cpu& c, const Insn& i) { return broadcast<u32>(c, i); }
bool exec_VBROADCASTSD(Cpu& c, const Insn& i) { return broadcast<u64>(c, i); }
bool exec_VPBROADCASTB(Cpu& c, const Insn& i) { return broadcast<u8>(c, i); }
bool exec_VPBROADCASTW(Cpu& c, const Insn& i) { return broadcast<u16>(c, i); }
bool exec_VPBROADCASTD(Cpu& c, const Insn& i) { return broadcast<u32>(c, i); }
bool exec_VPBROADCASTQ(Cpu& c, const Insn& i) { return broadcast<u64>(c, i); }
bool exec_VBROADCASTF128(Cpu& c, const Insn& i) { return broadcast128(c, i); }
bool exec_VBROADCASTI128(Cpu& c, const Insn& i) { return broadcast128(c, i); }

// ---- halves --------------------------------------------------------------------------------------

namespace {
bool insert128(Cpu& c, const Insn& i) {
  V128 s;
  if (!avx_ready(c) || !xmm_source_unaligned(c, i, s)) return false;
  V256 r = ymm(c, i.vvvv);
  r.h[i.imm & 1] = s;
  set_ymm(c, i.reg, r);
  return true;
}
bool extract128(Cpu& c, const Insn& i) {
  if (!avx_ready(c)) return false;
  const V128 v = half(c, i.reg, i.imm & 1);
  if (i.flags & kInsnMem) return c.write<V128>(i.seg, c.ea(i), v);
  set_xmm<true>(c, i.rm, v);
  return true;
}
// Each half of the result is one of the four halves of the sources, or zero.
bool permute128(Cpu& c, const Insn& i) {
  V256 s;
  if (!avx_ready(c) || !ymm_source(c, i, s)) return false;
  V256 r{};
  for (unsigned h = 0; h < 2; h++) {
    const unsigned control = static_cast<unsigned>(i.imm) >> 4 * h;
    if (!(control & 8)) r.h[h] = control & 2 ? s.h[control & 1] : half(c, i.vvvv, control & 1);
  }
  set_ymm(c, i.reg, r);
  return true;
}
}  // namespace

bool exec_VINSERTF128(Cpu& c, const Insn& i) { return insert128(c, i); }
bool exec_VINSERTI128(Cpu& c, const Insn& i) { return insert128(c, i); }
bool exec_VEXTRACTF128(Cpu& c, const Insn& i) { return extract128(c, i); }
bool exec_VEXTRACTI128(Cpu& c, const Insn& i) { return extract128(c, i); }
bool exec_VPERM2F128(Cpu& c, const Insn& i) { return permute128(c, i); }
bool exec_VPERM2I128(Cpu& c, const Insn& i) { return permute128(c, i); }

// ---- permutations --------------------------------------------------------------------------------

namespace {
// VPERMILPS, VPERMILPD: within each half, by a control in a vector or in the immediate.
struct PermutePs {
  static V128 op(const V128& a, const V128& control) {
    V128 r;
    for (unsigned k = 0; k < 4; k++) r.d[k] = a.d[control.d[k] & 3];
    return r;
  }
};
struct PermutePd {
  static V128 op(const V128& a, const V128& control) {
    return make128(a.q[control.q[0] >> 1 & 1], a.q[control.q[1] >> 1 & 1]);
  }
};
struct PermutePsImm {
  static V128 op(const V128&, const V128& s, unsigned imm) {
    V128 r;
    for (unsigned k = 0; k < 4; k++) r.d[k] = s.d[imm >> 2 * k & 3];
    return r;
  }
};
struct PermutePdImm {
  static constexpr unsigned kImmStep = 2;
  static V128 op(const V128&, const V128& s, unsigned imm) { return make128(s.q[imm & 1], s.q[imm >> 1 & 1]); }
};

// Across the halves.
bool permute_dwords(Cpu& c, const Insn& i) {
  V256 s;
  if (!avx_ready(c) || !ymm_source(c, i, s)) return false;
  const auto table = lanes<u32>(s), control = lanes<u32>(ymm(c, i.vvvv));
  auto r = table;
  for (unsigned k = 0; k < 8; k++) r[k] = table[control[k] & 7];
  set_ymm(c, i.reg, join<V256>(r));
  return true;
}
bool permute_quads(Cpu& c, const Insn& i) {
  V256 s;
  if (!avx_ready(c) || !ymm_source(c, i, s)) return false;
  const auto table = lanes<u64>(s);
  auto r = table;
  for (unsigned k = 0; k < 4; k++) r[k] = table[i.imm >> 2 * k & 3];
  set_ymm(c, i.reg, join<V256>(r));
  return true;
}
}  // namespace

ORIEL_AVX(VPERMILPS_VxHxWx, PermutePs)
ORIEL_AVX(VPERMILPD_VxHxWx, PermutePd)
bool exec_VPERMILPS_VxWxIb(Cpu& c, const Insn& i) { return avx_binary_imm<PermutePsImm>(c, i); }
bool exec_VPERMILPD_VxWxIb(Cpu& c, const Insn& i) { return avx_binary_imm<PermutePdImm>(c, i); }
bool exec_VPERMD(Cpu& c, const Insn& i) { return permute_dwords(c, i); }
bool exec_VPERMPS(Cpu& c, const Insn& i) { return permute_dwords(c, i); }
bool exec_VPERMQ(Cpu& c, const Insn& i) { return permute_quads(c, i); }
bool exec_VPERMPD(Cpu& c, const Insn& i) { return permute_quads(c, i); }

// ---- masked moves --------------------------------------------------------------------------------

namespace {
template <class T>
constexpr bool negative(T v) {
  return v >> (8 * sizeof(T) - 1);
}
// Only lanes whose mask is negative are accessed, so that only they can fault. Lanes beyond the vector length are not.
template <class T>
unsigned lane_count(const Insn& i) {
  return halves(i) * 16 / sizeof(T);
}
template <class T>
bool masked_load(Cpu& c, const Insn& i) {
  if (!avx_ready(c)) return false;
  const auto mask = lanes<T>(ymm(c, i.vvvv));
  Lanes<T, V256> r{};
  const u64 off = c.ea(i);
  for (unsigned k = 0; k < lane_count<T>(i); k++)
    if (negative(mask[k]) && !c.read<T>(i.seg, wrap_offset(i, off + k * sizeof(T)), r[k])) return false;
  set_ymm(c, i.reg, join<V256>(r));
  return true;
}
template <class T>
bool masked_store(Cpu& c, const Insn& i) {
  if (!avx_ready(c)) return false;
  const auto mask = lanes<T>(ymm(c, i.vvvv)), v = lanes<T>(ymm(c, i.reg));
  const u64 off = c.ea(i);
  for (unsigned k = 0; k < lane_count<T>(i); k++)
    if (negative(mask[k]) && !c.probe_write(i.seg, wrap_offset(i, off + k * sizeof(T)), sizeof(T))) return false;
  for (unsigned k = 0; k < lane_count<T>(i); k++)
    if (negative(mask[k]) && !c.write<T>(i.seg, wrap_offset(i, off + k * sizeof(T)), v[k])) return false;
  return true;
}
}  // namespace

#define MASKED(NAME, T)                                                             \
  bool exec_##NAME##_VxHxMx(Cpu& c, const Insn& i) { return masked_load<T>(c, i); } \
  bool exec_##NAME##_MxHxVx(Cpu& c, const Insn& i) { return masked_store<T>(c, i); }
MASKED(VMASKMOVPS, u32)
MASKED(VMASKMOVPD, u64)
MASKED(VPMASKMOVD, u32)
MASKED(VPMASKMOVQ, u64)
#undef MASKED

// ---- gathers -------------------------------------------------------------------------------------

namespace {
// In order from the lowest lane. A lane that is done clears its mask, and what has been done stays done when a later
// lane faults, so that the instruction can be restarted. At the end the whole mask register is zero, and so is what the
// destination has beyond the last lane.
template <class T, class Index>
bool gather(Cpu& c, const Insn& i) {
  if (!avx_ready(c)) return false;
  using SignedIndex = std::make_signed_t<Index>;
  const unsigned n = halves(i) * 16 / (sizeof(T) > sizeof(Index) ? sizeof(T) : sizeof(Index));
  const auto index = lanes<SignedIndex>(ymm(c, i.index));
  auto mask = lanes<T>(ymm(c, i.vvvv)), r = lanes<T>(ymm(c, i.reg));
  const u64 base = c.gpr[i.base] + static_cast<u64>(s64{i.disp});
  for (unsigned k = 0; k < n; k++) {
    const u64 off = base + (static_cast<u64>(static_cast<s64>(index[k])) << i.scale);
    if (negative(mask[k]) && !c.read<T>(i.seg, wrap_offset(i, off), r[k])) {
      set_ymm(c, i.reg, join<V256>(r));
      set_ymm(c, i.vvvv, join<V256>(mask));
      return false;
    }
    mask[k] = 0;
  }
  for (unsigned k = n; k < r.size(); k++) r[k] = 0;
  set_ymm(c, i.reg, join<V256>(r));
  set_ymm(c, i.vvvv, V256{});
  return true;
}
}  // namespace

bool exec_VPGATHERDD(Cpu& c, const Insn& i) { return gather<u32, u32>(c, i); }
bool exec_VPGATHERDQ(Cpu& c, const Insn& i) { return gather<u64, u32>(c, i); }
bool exec_VPGATHERQD(Cpu& c, const Insn& i) { return gather<u32, u64>(c, i); }
bool exec_VPGATHERQQ(Cpu& c, const Insn& i) { return gather<u64, u64>(c, i); }
bool exec_VGATHERDPS(Cpu& c, const Insn& i) { return gather<u32, u32>(c, i); }
bool exec_VGATHERDPD(Cpu& c, const Insn& i) { return gather<u64, u32>(c, i); }
bool exec_VGATHERQPS(Cpu& c, const Insn& i) { return gather<u32, u64>(c, i); }
bool exec_VGATHERQPD(Cpu& c, const Insn& i) { return gather<u64, u64>(c, i); }

// ---- state ---------------------------------------------------------------------------------------

// VZEROUPPER, and VZEROALL with VEX.L = 1. Outside 64-bit mode only the eight registers there are.
bool exec_VZERO(Cpu& c, const Insn& i) {
  if (!avx_ready(c)) return false;
  for (unsigned r = 0; r < (c.long64() ? 16 : 8); r++) {
    c.ymm_hi[r] = V128{};
    if (i.vex & 2) c.xmm[r] = V128{};
  }
  return true;
}

}  // namespace oriel
