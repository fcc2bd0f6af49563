// What the differential tests share: random encodings of a form, and running one instruction from the same state
// on this machine's own processor and in tier 0. x86-64 hosts only.
#pragma once

#include <string>

#include "cpu/cpu.h"
#include "support/stub_bus.h"
#include "x86/forms.h"

namespace oriel {

// xorshift64*: the same cases for the same seed everywhere.
class Random {
 public:
  explicit Random(u64 seed) : s_(seed | 1) {}
  u64 operator()() {
    s_ ^= s_ << 13;
    s_ ^= s_ >> 7;
    s_ ^= s_ << 17;
    return s_ * 0x2545f4914f6cdd1du;
  }
  u64 below(u64 n) { return (*this)() % n; }
  bool one_in(u64 n) { return below(n) == 0; }
  // An integer that is likely to be a corner case.
  u64 operand();

 private:
  u64 s_;
};

// Host and guest use the same addresses, so that pointers in registers compare equal.
constexpr u64 kDiffCode = 0x10000000, kDiffData = 0x10010000, kDiffDataSize = 0x4000,
              kDiffMid = kDiffData + kDiffDataSize / 2;

// Fields of an FXSAVE image in 64-bit mode (SDM Vol. 1, table 10-2).
enum FxOffset : unsigned { kFxCw = 0, kFxSw = 2, kFxTw = 4, kFxMxcsr = 24, kFxSt = 32, kFxXmm = 160, kFxSize = 416 };

struct CpuState {
  u64 gpr[16] = {};
  u64 flags = 2;
  alignas(16) u8 fx[512] = {};
  u8 ymm_hi[256] = {};  // upper halves of YMM0 to YMM15; zeros on a host without AVX
  int vector = -1;      // of the exception that it ended with, or -1
  CpuState();           // FPU and MXCSR as FNINIT and reset leave them
};

class HostCpu {
 public:
  static bool has_avx();  // AVX, AVX2, FMA and F16C
  HostCpu();              // maps the fixed addresses and installs signal handlers
  u8* data() { return reinterpret_cast<u8*>(kDiffData); }
  void run(CpuState& s, const u8* code, unsigned len);
};

class GuestCpu {
 public:
  GuestCpu();
  ~GuestCpu();
  void set_data(const u8* p) { mem_.write(kDiffData, p, kDiffDataSize); }
  const u8* data() { return mem_.ram() + kDiffData; }
  void run(CpuState& s, const u8* code);

 private:
  static constexpr u64 kRamSize = 512u << 20;
  u8* ram_;
  PhysMem mem_;
  StubBus bus_;

 public:
  Cpu cpu;
};

// A random encoding of `f` for 64-bit mode. A memory operand is [RBX + disp32], disp a multiple of `align` below 512.
// False when the registers picked cannot be used (RSP as an operand that is written).
struct Encoding {
  u8 bytes[32];
  unsigned len = 0;  // without what follows the ModRM operand; random bytes come after it
  bool memory = false;
  unsigned reg = 0, rm = 0, vvvv = 0;
  unsigned vector_index = 0;  // of a gather
  s32 disp = 0;
};
bool encode(const Form& f, Random& rnd, unsigned align, Encoding& e);

// Counts, prints failures (three a form at most), and makes the exit status.
class DiffReport {
 public:
  bool full(const Form& f) const { return &f == form_ && bad_ >= 3; }
  void pass(const Form& f) { note(f), passed_++, compared_++; }
  void fail(const Form& f, const std::string& text);
  // After the cases of a form: a form that no case compared is a failure.
  void end_of(const Form& f);
  // `program` names the file of what was covered.
  int finish(std::string_view program) const;

 private:
  void note(const Form& f) {
    if (form_ != &f) form_ = &f, bad_ = 0, compared_ = 0;
  }
  const Form* form_ = nullptr;
  unsigned bad_ = 0;
  u64 compared_ = 0, passed_ = 0, failed_ = 0;
};

std::string hex(u64 v);
// Differences of two states, register by register, with the flags, status bits and parts that `mask` names.
struct CompareMask {
  u32 flags = kArith | kDF;
  u16 sw = 0xffff;
  u32 mxcsr = 0xffff;
  bool x87 = true;
};
std::string differences(const CpuState& host, const CpuState& guest, const CompareMask& mask);

}  // namespace oriel
