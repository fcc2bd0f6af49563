// PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM: comparisons of packed strings. SDM Vol. 1, 12.11 (SSE4.2 string
// processing) and SDM Vol. 2B, 4.1 (the immediate and the aggregation operations).
#include "cpu/simd_int.h"

namespace oriel {

namespace {

// Fields of the immediate.
enum : unsigned { kWords = 1, kSigned = 2, kNegate = 0x10, kMasked = 0x20, kHigh = 0x40 };
enum Aggregation : unsigned { kEqualAny, kRanges, kEqualEach, kEqualOrdered };

struct Strings {
  V128 a, b;        // first (register) and second operand
  unsigned na, nb;  // valid elements
  unsigned n;       // elements of a register
};

u32 ones(unsigned n) { return (1u << n) - 1; }

// IntRes1: bit j belongs to element j of the second operand.
template <class T>
u32 aggregate(const Strings& s, Aggregation kind) {
  const auto a = simd::lanes<T>(s.a), b = simd::lanes<T>(s.b);
  u32 r = 0;
  switch (kind) {
    case kEqualAny:
      for (unsigned j = 0; j < s.nb; j++) {
        for (unsigned k = 0; k < s.na; k++) r |= static_cast<u32>(a[k] == b[j]) << j;
      }
      return r;
    case kRanges:  // pairs of the first operand: lower and upper bound
      for (unsigned j = 0; j < s.nb; j++) {
        for (unsigned k = 0; k + 1 < s.na; k += 2) r |= static_cast<u32>(a[k] <= b[j] && b[j] <= a[k + 1]) << j;
      }
      return r;
    case kEqualEach:  // ends of string match each other and nothing else
      for (unsigned j = 0; j < s.n; j++) {
        const bool in_a = j < s.na, in_b = j < s.nb;
        r |= static_cast<u32>(in_a && in_b ? a[j] == b[j] : in_a == in_b) << j;
      }
      return r;
    default:  // the first operand is found at j; a match may run over the end of the register
      for (unsigned j = 0; j < s.n; j++) {
        bool match = true;
        for (unsigned k = 0; k < s.na && j + k < s.n; k++) match &= j + k < s.nb && a[k] == b[j + k];
        r |= static_cast<u32>(match) << j;
      }
      return r;
  }
}

// IntRes2, and the flags.
u32 compare_strings(Cpu& c, const Strings& s, unsigned imm) {
  const auto kind = static_cast<Aggregation>(imm >> 2 & 3);
  u32 r = 0;
  switch (imm & (kWords | kSigned)) {
    case 0: r = aggregate<u8>(s, kind); break;
    case kWords: r = aggregate<u16>(s, kind); break;
    case kSigned: r = aggregate<s8>(s, kind); break;
    default: r = aggregate<s16>(s, kind); break;
  }
  if (imm & kNegate) r ^= imm & kMasked ? ones(s.nb) : ones(s.n);
  c.set_arith_flags((r ? u32{kCF} : 0) | (s.nb < s.n ? u32{kZF} : 0) | (s.na < s.n ? u32{kSF} : 0) |
                    (r & 1 ? u32{kOF} : 0));
  return r;
}

// The length in a register counts by magnitude; more than fits is all.
unsigned explicit_length(const Cpu& c, unsigned r, unsigned osz, unsigned n) {
  u64 v = osz == 3 ? c.gpr[r] : static_cast<u64>(static_cast<s64>(static_cast<s32>(c.gpr[r])));
  if (v >> 63) v = u64{0} - v;
  return v < n ? static_cast<unsigned>(v) : n;
}
template <class T>
unsigned implicit_length(const V128& v) {
  const auto e = simd::lanes<T>(v);
  unsigned n = 0;
  while (n < e.size() && e[n] != 0) n++;
  return n;
}

template <bool kExplicit>
bool begin(Cpu& c, const Insn& i, Strings& s) {
  if (!(i.vex ? simd::avx_ready(c) : simd::sse_ready(c)) || !simd::xmm_source_unaligned(c, i, s.b)) return false;
  s.a = c.xmm[i.reg];
  const bool words = i.imm & kWords;
  s.n = words ? 8 : 16;
  if constexpr (kExplicit) {
    s.na = explicit_length(c, kRAX, i.osz, s.n);
    s.nb = explicit_length(c, kRDX, i.osz, s.n);
  } else {
    s.na = words ? implicit_length<u16>(s.a) : implicit_length<u8>(s.a);
    s.nb = words ? implicit_length<u16>(s.b) : implicit_length<u8>(s.b);
  }
  return true;
}

template <bool kExplicit>
bool compare_index(Cpu& c, const Insn& i) {
  Strings s;
  if (!begin<kExplicit>(c, i, s)) return false;
  const unsigned imm = static_cast<unsigned>(i.imm);
  const u32 r = compare_strings(c, s, imm);
  c.gpr[kRCX] = r == 0        ? s.n
                : imm & kHigh ? 31 - static_cast<unsigned>(std::countl_zero(r))
                              : static_cast<unsigned>(std::countr_zero(r));
  return true;
}

template <bool kExplicit>
bool compare_mask(Cpu& c, const Insn& i) {
  Strings s;
  if (!begin<kExplicit>(c, i, s)) return false;
  const unsigned imm = static_cast<unsigned>(i.imm);
  const u32 r = compare_strings(c, s, imm);
  V128 m = simd::make128(r, 0);
  if (imm & kHigh) {  // a mask by elements
    for (unsigned k = 0; k < s.n; k++) {
      if (s.n == 8)
        m.w[k] = r >> k & 1 ? 0xffff : 0;
      else
        m.b[k] = r >> k & 1 ? 0xff : 0;
    }
  }
  c.xmm[0] = m;
  if (i.vex) c.ymm_hi[0] = V128{};
  return true;
}

}  // namespace

bool exec_PCMPESTRM_VxWxIb(Cpu& c, const Insn& i) { return compare_mask<true>(c, i); }
bool exec_PCMPESTRI_VxWxIb(Cpu& c, const Insn& i) { return compare_index<true>(c, i); }
bool exec_PCMPISTRM_VxWxIb(Cpu& c, const Insn& i) { return compare_mask<false>(c, i); }
bool exec_PCMPISTRI_VxWxIb(Cpu& c, const Insn& i) { return compare_index<false>(c, i); }

bool exec_VPCMPESTRM(Cpu& c, const Insn& i) { return compare_mask<true>(c, i); }
bool exec_VPCMPESTRI(Cpu& c, const Insn& i) { return compare_index<true>(c, i); }
bool exec_VPCMPISTRM(Cpu& c, const Insn& i) { return compare_mask<false>(c, i); }
bool exec_VPCMPISTRI(Cpu& c, const Insn& i) { return compare_index<false>(c, i); }

}  // namespace oriel
