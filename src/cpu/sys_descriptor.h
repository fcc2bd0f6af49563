// Segment descriptors as the system code sees them. SDM Vol. 3, 3.4.5 and 3.5.
#pragma once

#include "cpu/cpu.h"

namespace oriel {

struct Descriptor {
  u64 raw = 0;
  u64 high = 0;  // upper half of 16-byte system descriptors in IA-32e mode
  u16 attr() const { return static_cast<u16>((raw >> 40 & 0xff) | (raw >> 52 & 0xf) << 8); }
  u32 base32() const { return static_cast<u32>((raw >> 16 & 0xffffff) | (raw >> 32 & 0xff000000)); }
  u64 base64() const { return base32() | (high & 0xffffffff) << 32; }
  u32 limit() const {
    u32 l = static_cast<u32>((raw & 0xffff) | (raw >> 32 & 0xf0000));
    return attr() & kSegG ? l << 12 | 0xfff : l;
  }
  bool present() const { return attr() & kSegP; }
  bool system() const { return !(attr() & kSegS); }
  unsigned type() const { return attr() & 15; }
  unsigned dpl() const { return seg_dpl(attr()); }
  bool code() const { return (attr() & (kSegS | kSegExec)) == (kSegS | kSegExec); }
  bool conforming() const { return attr() & kSegDC; }
  bool writable_data() const { return (attr() & (kSegS | kSegExec | kSegRW)) == (kSegS | kSegRW); }
  bool readable() const { return !system() && (!(attr() & kSegExec) || (attr() & kSegRW)); }
  // Gates.
  u16 gate_selector() const { return static_cast<u16>(raw >> 16); }
  u64 gate_offset() const { return (raw & 0xffff) | (raw >> 32 & 0xffff0000) | (high & 0xffffffff) << 32; }
};

// Bits of control registers and of EFER that this processor has.
constexpr u64 kCr0Valid =
    kCr0PE | kCr0MP | kCr0EM | kCr0TS | kCr0ET | kCr0NE | kCr0WP | kCr0AM | kCr0NW | kCr0CD | kCr0PG;
constexpr u64 kCr4Valid = kCr4VME | kCr4PVI | kCr4TSD | kCr4DE | kCr4PSE | kCr4PAE | kCr4MCE | kCr4PGE | kCr4PCE |
                          kCr4OSFXSR | kCr4OSXMMEXCPT | kCr4UMIP | kCr4FSGSBASE | kCr4PCIDE | kCr4OSXSAVE | kCr4SMEP |
                          kCr4SMAP | kCr4PKE | kCr4PKS;
constexpr u64 kEferValid = kEferSCE | kEferLME | kEferLMA | kEferNXE | kEferSVME;

// System descriptor types.
enum : unsigned {
  kTypeTss16 = 1,
  kTypeLdt = 2,
  kTypeTss16Busy = 3,
  kTypeCall16 = 4,
  kTypeTaskGate = 5,
  kTypeInt16 = 6,
  kTypeTrap16 = 7,
  kTypeTss = 9,
  kTypeTssBusy = 11,
  kTypeCall = 12,
  kTypeInt = 14,
  kTypeTrap = 15,
};

enum class TaskSwitch : u8 { kJump, kCall, kIret };

// sys_segments.cpp
// Reads the descriptor of `sel` (not null). `found` is false when it lies outside its table; returns
// false only when the read itself faulted.
bool fetch_descriptor(Cpu& c, u16 sel, Descriptor& d, bool& found);
// The same, raising `vector`(sel & ~3 | ext) when it is outside.
bool need_descriptor(Cpu& c, u16 sel, u8 vector, u32 ext, Descriptor& d);
bool set_accessed(Cpu& c, u16 sel, Descriptor& d);
void load_cache(Cpu& c, unsigned s, u16 sel, const Descriptor& d);
// Loads CS with RPL replaced by `cpl`, and sets CPL.
void commit_cs(Cpu& c, u16 sel, const Descriptor& d, unsigned cpl);
// SS:RSP of privilege `dpl` out of the current TSS, checked; raises #TS or #SS with `ext`.
struct NewStack {
  u16 ss = 0;
  Descriptor d;
  u64 sp = 0;
};
bool inner_stack(Cpu& c, unsigned dpl, u32 ext, NewStack& out);

// Pushes onto a stack that is not in force yet; nothing changes in the CPU until the caller commits.
struct StackWriter {
  Cpu& c;
  u64 base;
  u64 sp;
  u64 mask;  // stack pointer width
  u32 limit;
  bool check;  // limit checks (not in 64-bit mode)
  bool expand_down;
  bool big;
  u8 mmu;
  u16 error_sel;                    // error code of #SS
  bool push(u64 v, unsigned size);  // size in bytes
};
StackWriter writer_for_current(Cpu& c);
StackWriter writer_for(Cpu& c, const NewStack& s, unsigned dpl, u32 ext);

// sys_task.cpp
bool task_switch(Cpu& c, u16 tss_selector, const Descriptor& d, TaskSwitch how, bool has_error, u32 error, u32 ext);

// sys_interrupt.cpp: writes RFLAGS bits in `mask` and refreshes what depends on them.
void write_flags(Cpu& c, u32 value, u32 mask);
constexpr u32 kFlagsWritable = kArith | kTF | kDF | kNT | kAC | kID | kRF;

}  // namespace oriel
