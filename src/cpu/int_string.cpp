// String instructions. REP runs in bounded pieces: a page at a time where both sides are plain
// memory, and at most kChunk iterations before the block loop gets control (it comes back to the same
// instruction). SDM Vol. 2, REP; Vol. 1, 7.3.9.
#include "cpu/string_run.h"

#include <algorithm>

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

// The host address of the element at `lin` if it lies in a page that the TLB holds for the access; `n` is cut to the
// elements from there on that lie in the page whole.
template <class T>
u8* elements(const Cpu& c, u64 lin, bool write, bool down, u64& n) {
  const TlbEntry& e = c.tlb[tlb_index(lin)];
  const u64 off = lin & 0xfff;
  if ((write ? e.wtag : e.rtag) != lin - off || off > 0x1000 - sizeof(T)) return nullptr;
  n = std::min<u64>(n, down ? off / sizeof(T) + 1 : (0x1000 - off) / sizeof(T));
  return reinterpret_cast<u8*>(static_cast<uintptr_t>(lin + e.addend));
}

// Upwards, where no byte is written before it is read. A call costs more than a few moves.
void copy_up(u8* d, const u8* s, u64 n) {
  if (n > 256) {
    std::memmove(d, s, n);
    return;
  }
  for (; n >= 16; n -= 16, d += 16, s += 16) store<V128>(d, load<V128>(s));
  if (n & 8) store<u64>(d, load<u64>(s)), d += 8, s += 8;
  if (n & 4) store<u32>(d, load<u32>(s)), d += 4, s += 4;
  if (n & 2) store<u16>(d, load<u16>(s)), d += 2, s += 2;
  if (n & 1) *d = *s;
}

// Where an element that has been written is read later, the pattern repeats: element by element then.
template <class T>
void copy(u8* d, const u8* s, u64 n, bool down) {
  const u64 bytes = n * sizeof(T);
  if (!down) {
    if (d <= s || d >= s + bytes) return copy_up(d, s, bytes);
    for (u64 k = 0; k < n; k++) store<T>(d + k * sizeof(T), load<T>(s + k * sizeof(T)));
    return;
  }
  const u64 low = bytes - sizeof(T);
  if (s <= d || s - low >= d + sizeof(T)) {
    std::memmove(d - low, s - low, bytes);
    return;
  }
  for (u64 k = 0; k < n; k++) store<T>(d - k * sizeof(T), load<T>(s - k * sizeof(T)));
}

// Elements in eight bytes, and eight bytes of ones.
template <class T>
constexpr u64 kMany = 8 / sizeof(T);
template <class T>
constexpr u64 kEvery = ~u64{0} / static_cast<T>(~T{0});

template <class T>
bool has_zero(u64 v) {
  const u64 borrows = v - kEvery<T>;
  return ~v & borrows & kEvery<T> << (8 * sizeof(T) - 1);
}

template <class T>
void fill(u8* d, T v, u64 n, bool down) {
  if (down) d -= (n - 1) * sizeof(T);
  if constexpr (sizeof(T) == 1) {
    if (n > 256) {
      std::memset(d, v, n);
      return;
    }
  }
  for (; n >= kMany<T>; n -= kMany<T>, d += 8) store<u64>(d, v * kEvery<T>);
  for (; n; n--, d += sizeof(T)) store<T>(d, v);
}

template <Str K, class T>
u64 run_of(Cpu& c, u64 src, u64 dst, u64 n, bool while_equal) {
  const bool down = c.rflags & kDF;
  const u8* s = nullptr;
  if constexpr (K == Str::kMovs || K == Str::kCmps) {
    s = elements<T>(c, src, false, down, n);
    if (!s) return 0;
  }
  u8* d = elements<T>(c, dst, K == Str::kMovs || K == Str::kStos, down, n);
  if (!d) return 0;
  if constexpr (K == Str::kMovs) {
    copy<T>(d, s, n, down);
  } else if constexpr (K == Str::kStos) {
    fill<T>(d, static_cast<T>(src), n, down);
  } else {
    const s64 by = down ? -s64{sizeof(T)} : s64{sizeof(T)};
    T a = static_cast<T>(src), b;
    u64 k = 0;
    // Eight bytes at a time, upwards, before those in which it ends.
    while (!down && n - k > kMany<T>) {
      const u64 differ = load<u64>(d) ^ (K == Str::kCmps ? load<u64>(s) : a * kEvery<T>);
      if (while_equal ? differ != 0 : has_zero<T>(differ)) break;
      k += kMany<T>;
      d += 8;
      if constexpr (K == Str::kCmps) s += 8;
    }
    do {
      if constexpr (K == Str::kCmps) {
        a = load<T>(s);
        s += by;
      }
      b = load<T>(d);
      d += by;
    } while (++k < n && (a == b) == while_equal);
    AluSub::op<T>(c, a, b);
    return k;
  }
  return n;
}

// A run of what is repeated; 0 if the first element must go the plain way.
template <Str K, class T>
u64 run(Cpu& c, const Insn& i, u64 count) {
  constexpr bool reads = K == Str::kMovs || K == Str::kCmps, writes = K == Str::kMovs || K == Str::kStos;
  if (!(c.seg[kES].ok & (writes ? kSegOkWrite : kSegOkRead)) || (reads && !(c.seg[i.seg].ok & kSegOkRead))) return 0;
  const u64 si = c.gpr[kRSI] & kAddrMask[i.asz], di = c.gpr[kRDI] & kAddrMask[i.asz];
  // Near the end of what offsets can reach, too.
  u64 most = std::min<u64>(count, 0x1000);
  for (u64 off : {di, reads ? si : di}) {
    const u64 above = (kAddrMask[i.asz] - off) / sizeof(T), below = off / sizeof(T);
    most = std::min(most, !(c.rflags & kDF) || above == 0 ? above : below);
  }
  if (most == 0) return 0;
  const u64 src = reads ? (c.seg[i.seg].lin + si) & c.lin_mask : c.gpr[kRAX];
  const u64 n = run_of<K, T>(c, src, (c.seg[kES].lin + di) & c.lin_mask, most, i.flags & kInsnRep);
  if (n == 0) return 0;
  if constexpr (reads) advance(c, kRSI, i, n * sizeof(T));
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
    if constexpr (K != Str::kLods) {
      if (!stepping) done = run<K, T>(c, i, count);
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

u64 string_run(Cpu& c, u32 what, u64 src, u64 dst, u64 count) {
  const bool while_equal = what & kRepeatWhileEqual;
  u64 n = 0;
  by_size(what >> kRunSizeShift, [&](auto t) {
    using T = decltype(t);
    switch (what & kRunKind) {
      case kRunMovs: n = run_of<Str::kMovs, T>(c, src, dst, count, while_equal); break;
      case kRunStos: n = run_of<Str::kStos, T>(c, src, dst, count, while_equal); break;
      case kRunCmps: n = run_of<Str::kCmps, T>(c, src, dst, count, while_equal); break;
      default: n = run_of<Str::kScas, T>(c, src, dst, count, while_equal); break;
    }
    return true;
  });
  return n;
}

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
