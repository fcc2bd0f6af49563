// What the differential tests compare: the state around an instruction, and where memory lies. No host in it, so that
// recorded states are replayed anywhere.
#pragma once

#include <string>
#include <string_view>

#include "cpu/cpu.h"
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

// Host and guest use the same addresses, so that pointers in registers compare equal: a page of code, executable;
// data, a page that can only be read after it, and nothing before and behind either. Below 4 GiB for 32-bit code.
constexpr u64 kDiffCode = 0x10000000, kDiffCodeSize = 0x1000, kDiffData = 0x10010000, kDiffDataSize = 0x4000,
              kDiffMid = kDiffData + kDiffDataSize / 2, kDiffReadOnly = kDiffData + kDiffDataSize;
// Where the tested code starts: a short jump in either direction stays in the page. Both ways around it the page is
// full of bytes that stop: a jump has landed there.
constexpr u64 kDiffStart = kDiffCode + 0x800;
constexpr unsigned kMaxCode = 0x200;
constexpr u8 kReadOnlyByte = 0x5a;
// Linux' user segments (arch/x86/include/asm/segment.h), which the guest has at the same selectors.
constexpr u16 kDiffCode32 = 0x23, kDiffDataSel = 0x2b, kDiffCode64 = 0x33;

// Fields of an FXSAVE image in 64-bit mode (SDM Vol. 1, table 10-2).
enum FxOffset : unsigned { kFxCw = 0, kFxSw = 2, kFxTw = 4, kFxMxcsr = 24, kFxSt = 32, kFxXmm = 160, kFxSize = 416 };

struct CpuState {
  u64 gpr[16] = {};
  u64 flags = 2;
  alignas(16) u8 fx[512] = {};
  u8 ymm_hi[256] = {};  // upper halves of YMM0 to YMM15; zeros on a host without AVX
  u16 sel[6] = {kDiffDataSel, kDiffCode64, kDiffDataSel, kDiffDataSel, kDiffDataSel, kDiffDataSel};  // by SegReg
  u64 fs_base = 0, gs_base = 0;
  // How it ended.
  int vector = -1;  // of the exception, or -1
  u64 rip = 0;      // of the instruction that faulted, after the one that trapped, or where execution went on
  u32 error = 0;
  u64 address = 0;  // of a page fault
  CpuState();       // FPU and MXCSR as FNINIT and reset leave them
};

// Differences of two states, register by register, with the flags, status bits and parts that `mask` names.
struct CompareMask {
  u32 flags = kArith | kDF;
  u16 sw = 0xffff;
  u32 mxcsr = 0xffff;
  bool x87 = true;
  bool legacy = false;  // 32-bit code: eight registers of 32 bits
};
std::string differences(const CpuState& host, const CpuState& guest, const CompareMask& mask);

// Counts, prints failures (three a form at most), and makes the exit status.
class DiffReport {
 public:
  bool full(const Form& f) const { return &f == form_ && bad_ >= 3; }
  void pass(const Form& f) { note(f), passed_++, compared_++; }
  void fail(const Form& f, const std::string& text);
  // A form that this machine's processor does not have.
  void skip(const Form& f) { note(f), compared_++; }
  // After the cases of a form: a form that no case compared is a failure.
  void end_of(const Form& f);
  // Cases of no form in particular.
  bool full() const { return failed_ >= 20; }
  void pass() { passed_++; }
  void fail(const std::string& text);
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

}  // namespace oriel
