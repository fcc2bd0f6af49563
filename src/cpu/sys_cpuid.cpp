// What the processor says of itself: exactly what executes. SDM Vol. 2, CPUID.
#include <initializer_list>

#include "cpu/cpu.h"

namespace oriel {

namespace {

constexpr u32 bits(std::initializer_list<unsigned> list) {
  u32 v = 0;
  for (unsigned b : list) v |= 1u << b;
  return v;
}

// Family 6, model 3CH, stepping 3.
constexpr u32 kSignature = 0x000306c3;

// Leaf 1. ECX: SSE3, PCLMULQDQ, SSSE3, FMA, CMPXCHG16B, PCID, SSE4.1, SSE4.2, x2APIC, MOVBE, POPCNT, TSC deadline, AES,
// XSAVE, AVX, F16C, hypervisor. With leaf 7 and LZCNT below that is x86-64-v3.
constexpr u32 kLeaf1Ecx = bits({0, 1, 9, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 28, 29, 31});
// EDX: FPU VME DE PSE TSC MSR PAE MCE CX8 SEP MTRR PGE MCA CMOV PAT PSE-36 CLFSH MMX FXSR SSE SSE2 SS.
constexpr u32 kLeaf1Edx = bits({0, 1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 14, 15, 16, 17, 19, 23, 24, 25, 26, 27});
constexpr u32 kApic = 1u << 9;
constexpr u32 kOsxsave = 1u << 27;
// Leaf 7. EBX: FSGSBASE, TSC_ADJUST, BMI1, AVX2, SMEP, BMI2, ERMS, INVPCID, ADX, SMAP, CLFLUSHOPT, CLWB. ECX: UMIP,
// PKU, PKS. EDX: SPEC_CTRL, STIBP, ARCH_CAPABILITIES.
constexpr u32 kLeaf7Ebx = bits({0, 1, 3, 5, 7, 8, 9, 10, 19, 20, 23, 24});
constexpr u32 kLeaf7Ecx = bits({2, 3, 31});
constexpr u32 kOspke = 1u << 4;
constexpr u32 kLeaf7Edx = bits({26, 27, 29});
// Leaf 80000001H. ECX: LAHF in 64-bit mode, SVM, LZCNT, PREFETCHW. EDX: NX, 1 GiB pages, RDTSCP, long mode; SYSCALL
// apart.
constexpr u32 kExtEcx = bits({0, 2, 5, 8});
constexpr u32 kExtEdx = bits({20, 26, 27, 29});
constexpr u32 kSyscall = 1u << 11;

constexpr u32 kMaxBasic = 0x16, kMaxExtended = 0x8000000a;
constexpr char kBrand[49] = "Oriel Virtual CPU @ 1.00GHz";

constexpr u32 word(const char* s) {
  return static_cast<u32>(static_cast<u8>(s[0])) | static_cast<u32>(static_cast<u8>(s[1])) << 8 |
         static_cast<u32>(static_cast<u8>(s[2])) << 16 | static_cast<u32>(static_cast<u8>(s[3])) << 24;
}

struct Regs {
  u32 a, b, c, d;
};

// Leaf 4: EAX = type and level, EBX = ways, partitions and line size less one, ECX = sets less one.
constexpr Regs kCaches[] = {
    {0x121, 0x01c0003f, 63, 0},    // L1 data, 32 KiB, 8 ways
    {0x122, 0x01c0003f, 63, 0},    // L1 instruction, 32 KiB, 8 ways
    {0x143, 0x01c0003f, 511, 0},   // L2, 256 KiB, 8 ways
    {0x163, 0x03c0003f, 8191, 6},  // L3, 8 MiB, 16 ways, inclusive
};

}  // namespace

void Cpu::cpuid(u32 leaf, u32 subleaf, u32 out[4]) {
  Regs r{0, 0, 0, 0};
  // A leaf beyond the last one of its range answers as the last basic leaf.
  if (leaf < 0x40000000 ? leaf > kMaxBasic : (leaf > 0x40000000 && leaf < 0x80000000) || leaf > kMaxExtended)
    leaf = kMaxBasic;
  switch (leaf) {
    case 0: r = {kMaxBasic, word("Genu"), word("ntel"), word("ineI")}; break;
    case 1:
      r = {kSignature, 1u << 16 | 8u << 8, kLeaf1Ecx | (cr4 & kCr4OSXSAVE ? kOsxsave : 0),
           kLeaf1Edx | (bus.apic_base() & 0x800 ? kApic : 0)};
      break;
    case 2: r = {0x76036301, 0x00f0b5ff, 0, 0x00c10000}; break;
    case 4:
      if (subleaf < 4) r = kCaches[subleaf];
      break;
    case 6: r.a = 1u << 2; break;  // ARAT: the APIC timer always runs
    case 7:
      if (subleaf == 0) r = {0, kLeaf7Ebx, kLeaf7Ecx | (cr4 & kCr4PKE ? kOspke : 0), kLeaf7Edx};
      break;
    case 0xb: r = {0, subleaf < 2 ? 1u : 0u, (subleaf & 0xff) | (subleaf < 2 ? (subleaf + 1) << 8 : 0), 0}; break;
    case 0xd:
      // x87, SSE, AVX and PKRU state: the legacy region and the header, 576 bytes; 256 bytes of upper halves; 8 bytes.
      if (subleaf == 0) r = {0x207, xcr0 & 0x200 ? 840u : xcr0 & 4 ? 832u : 576u, 840, 0};
      if (subleaf == 1) r.a = 1;  // XSAVEOPT
      if (subleaf == 2) r = {256, 576, 0, 0};
      if (subleaf == 9) r = {8, 832, 0, 0};
      break;
    case 0x15: r = {1, 1, 1'000'000'000, 0}; break;  // TSC and crystal: 1 GHz
    case 0x16: r = {1000, 1000, 100, 0}; break;
    case 0x40000000: r = {0x40000000, word("Orie"), word("lOri"), word("elOr")}; break;
    case 0x80000000: r.a = kMaxExtended; break;
    case 0x80000001: r = {0, 0, kExtEcx, kExtEdx | (long64() ? kSyscall : 0)}; break;
    case 0x80000002:
    case 0x80000003:
    case 0x80000004: {
      const char* s = kBrand + (leaf - 0x80000002) * 16;
      r = {word(s), word(s + 4), word(s + 8), word(s + 12)};
      break;
    }
    case 0x80000006: r.c = 0x01006040; break;
    case 0x80000007: r.d = 1u << 8; break;                 // invariant TSC
    case 0x80000008: r.a = 0x3028; break;                  // 40 physical, 48 linear address bits
    case 0x8000000a: r = {1, 16, 0, bits({0, 3})}; break;  // SVM revision 1, 16 ASIDs; nested paging, NRIP
    default: break;
  }
  out[0] = r.a;
  out[1] = r.b;
  out[2] = r.c;
  out[3] = r.d;
}

}  // namespace oriel
