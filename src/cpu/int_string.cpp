// String instructions. REP runs in bounded pieces: a page at a time where both sides are plain
// memory, and at most kChunk iterations before the block loop gets control (it comes back to the same
// instruction). SDM Vol. 2, REP; Vol. 1, 7.3.9.
#include "cpu/alu.h"
#include "cpu/exec.h"

namespace oriel {

namespace {

constexpr u64 kChunk = 4096;
constexpr u64 kAddrMask[4] = {0xffff, 0xffff, 0xffffffff, ~u64{0}};

enum class Str { kMovs, kCmps, kStos, kLods, kScas };

void advance(Cpu& c, unsigned reg, const Insn& i, u64 bytes) {
  u64 v = c.rflags & kDF ? c.gpr[reg] - bytes : c.gpr[reg] + bytes;
  c.set_reg(reg, v, i.asz);
}

// One iteration. CMPS and SCAS set flags.
template <Str K, class T>
ORIEL_INLINE bool step(Cpu& c, const Insn& i) {
  u64 si = c.gpr[kRSI] & kAddrMask[i.asz], di = c.gpr[kRDI] & kAddrMask[i.asz];
  T a, b;
  if constexpr (K == Str::kMovs) {
    if (!c.read<T>(i.seg, si, a) || !c.write<T>(kES, di, a)) return false;
  } else if constexpr (K == Str::kCmps) {
    if (!c.read<T>(i.seg, si, a) || !c.read<T>(kES, di, b)) return false;
    AluSub::op<T>(c, a, b);
  } else if constexpr (K == Str::kStos) {
    if (!c.write<T>(kES, di, get_r<T>(c, kRAX))) return false;
  } else if constexpr (K == Str::kLods) {
    if (!c.read<T>(i.seg, si, a)) return false;
    set_r<T>(c, kRAX, a);
  } else {
    if (!c.read<T>(kES, di, b)) return false;
    AluSub::op<T>(c, get_r<T>(c, kRAX), b);
  }
  if constexpr (K == Str::kMovs || K == Str::kCmps || K == Str::kLods) advance(c, kRSI, i, sizeof(T));
  if constexpr (K != Str::kLods) advance(c, kRDI, i, sizeof(T));
  return true;
}

// The host address of `off` if it lies in a page that the TLB holds for the access; `room` is cut to
// the bytes left in the page.
u8* fast_pointer(Cpu& c, unsigned s, u64 off, bool write, u64& room) {
  if (!(c.seg[s].ok & (write ? kSegOkWrite : kSegOkRead))) return nullptr;
  u64 lin = (c.seg[s].lin + off) & c.lin_mask;
  const TlbEntry& e = c.tlb[tlb_index(lin)];
  if ((write ? e.wtag : e.rtag) != (lin & ~u64{0xfff})) return nullptr;
  u64 left = 0x1000 - (lin & 0xfff);
  if (left < room) room = left;
  return reinterpret_cast<u8*>(static_cast<uintptr_t>(lin + e.addend));
}

// MOVS or STOS of as many elements as fit in the pages at hand, forward; 0 if the plain path must do it.
template <Str K, class T>
u64 bulk(Cpu& c, const Insn& i, u64 count) {
  if (c.rflags & kDF) return 0;
  u64 si = c.gpr[kRSI] & kAddrMask[i.asz], di = c.gpr[kRDI] & kAddrMask[i.asz];
  u64 room = count > 0x1000 ? 0x1000 : count * sizeof(T);
  if (room > 0x1000) room = 0x1000;
  // Offsets that wrap at the address size go the plain way.
  if (di + room - 1 > kAddrMask[i.asz] || si + room - 1 > kAddrMask[i.asz]) return 0;
  u8* d = fast_pointer(c, kES, di, true, room);
  if (!d) return 0;
  u64 n;
  if constexpr (K == Str::kMovs) {
    const u8* s = fast_pointer(c, i.seg, si, false, room);
    if (!s) return 0;
    n = room / sizeof(T);
    if (n == 0) return 0;
    if (d > s && d < s + n * sizeof(T)) {
      // Overlap in the direction of the copy repeats the pattern: element by element.
      for (u64 k = 0; k < n; k++) store<T>(d + k * sizeof(T), load<T>(s + k * sizeof(T)));
    } else {
      std::memmove(d, s, n * sizeof(T));
    }
    advance(c, kRSI, i, n * sizeof(T));
  } else {
    n = room / sizeof(T);
    if (n == 0) return 0;
    T v = get_r<T>(c, kRAX);
    if constexpr (sizeof(T) == 1)
      std::memset(d, v, n);
    else
      for (u64 k = 0; k < n; k++) store<T>(d + k * sizeof(T), v);
  }
  advance(c, kRDI, i, n * sizeof(T));
  return n;
}

template <Str K, class T>
bool string_op(Cpu& c, const Insn& i) {
  if (!(i.flags & (kInsnRep | kInsnRepne))) return step<K, T>(c, i);
  u64 next = c.rip;
  u64 budget = kChunk;
  const bool stepping = c.rflags & kTF;  // a trap after every iteration (SDM Vol. 3, 17.3.1.4)
  while (u64 count = c.get_reg(kRCX, i.asz)) {
    u64 done = 0;
    if constexpr (K == Str::kMovs || K == Str::kStos) {
      if (!stepping) done = bulk<K, T>(c, i, count);
    }
    if (done == 0) {
      if (!step<K, T>(c, i)) return false;
      done = 1;
    }
    c.set_reg(kRCX, count - done, i.asz);
    c.rep_iterations += done;
    if constexpr (K == Str::kCmps || K == Str::kScas) {
      if (c.zf() != static_cast<bool>(i.flags & kInsnRep)) break;
    }
    if (c.get_reg(kRCX, i.asz) == 0) break;
    // Interrupts, traps and self-modification are seen between iterations.
    if (budget <= done || c.ip_end == nullptr || stepping) {
      c.rip = c.fault_rip;
      return true;
    }
    budget -= done;
  }
  c.rip = next;
  return true;
}

template <Str K>
bool string_v(Cpu& c, const Insn& i) {
  return by_size(i.osz, [&](auto t) { return string_op<K, decltype(t)>(c, i); });
}

}  // namespace

bool exec_MOVSB(Cpu& c, const Insn& i) { return string_op<Str::kMovs, u8>(c, i); }
bool exec_MOVSV(Cpu& c, const Insn& i) { return string_v<Str::kMovs>(c, i); }
bool exec_CMPSB(Cpu& c, const Insn& i) { return string_op<Str::kCmps, u8>(c, i); }
bool exec_CMPSV(Cpu& c, const Insn& i) { return string_v<Str::kCmps>(c, i); }
bool exec_STOSB(Cpu& c, const Insn& i) { return string_op<Str::kStos, u8>(c, i); }
bool exec_STOSV(Cpu& c, const Insn& i) { return string_v<Str::kStos>(c, i); }
bool exec_LODSB(Cpu& c, const Insn& i) { return string_op<Str::kLods, u8>(c, i); }
bool exec_LODSV(Cpu& c, const Insn& i) { return string_v<Str::kLods>(c, i); }
bool exec_SCASB(Cpu& c, const Insn& i) { return string_op<Str::kScas, u8>(c, i); }
bool exec_SCASV(Cpu& c, const Insn& i) { return string_v<Str::kScas>(c, i); }

}  // namespace oriel
