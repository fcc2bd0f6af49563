#include "support/guest_cpu.h"

#include "support/coverage.h"

namespace oriel {

namespace {
constexpr u8 kHlt = 0xf4;  // #GP(0) at CPL 3
constexpr u64 kPresent = 1, kWritable = 2, kUser = 4, kLarge = 0x80, kNoExecute = u64{1} << 63;
}  // namespace

GuestCpu::GuestCpu()
    : ram_(new u8[kRamSize]()), mem_(ram_.get(), kRamSize), place_(Cpu::create(mem_, bus_)), cpu(*place_) {
  mem_.set_listener(&cpu);
  mem_.map(0, kRamSize, mem_.ram_region(), 0);
  auto put = [&](u64 pa, u64 v) { mem_.write<u64>(pa, v); };
  put(kPml4, kPdpt | kPresent | kWritable | kUser);
  put(kPdpt, kPd | kPresent | kWritable | kUser);
  put(kPd + (kDiffCode >> 21) * 8, kPt | kPresent | kWritable | kUser);
  auto page = [&](u64 lin, u64 pa, u64 bits) { put(kPt + (lin >> 12 & 511) * 8, pa | kPresent | kUser | bits); };
  page(kDiffCode, kPhysCode, kWritable);
  for (u64 at = 0; at < kDiffDataSize; at += 4096) page(kDiffData + at, kPhysData + at, kWritable | kNoExecute);
  page(kDiffReadOnly, kPhysData + kDiffDataSize, kNoExecute);
  std::memset(ram_.get() + kPhysData + kDiffDataSize, kReadOnlyByte, 4096);
  std::memset(ram_.get() + kPhysCode, kHlt, 4096);
  put(kPml4 + 256 * 8, kKernelPdpt | kPresent | kWritable);
  put(kKernelPdpt, kKernelPd | kPresent | kWritable);
  put(kKernelPd, kPresent | kWritable | kLarge);

  put(kGdt + (kDiffCode32 & ~7), 0x00cffb000000ffff);
  put(kGdt + (kDiffDataSel & ~7), 0x00cff3000000ffff);
  put(kGdt + (kDiffCode64 & ~7), 0x00affb000000ffff);
  put(kGdt + 0x10, 0x00af9b000000ffff);
  for (unsigned v = 0; v < 256; v++) {
    const u64 stub = kKernel + kStubs + v * 4;
    const bool user = v == kBP || v == kOFv;
    put(kIdt + v * 16,
        (stub & 0xffff) | u64{0x10} << 16 | u64{user ? 0xeeu : 0x8eu} << 40 | (stub >> 16 & 0xffff) << 48);
    put(kIdt + v * 16 + 8, stub >> 32);
    mem_.write<u8>(kStubs + v * 4, kHlt);
  }
  put(kTss + 4, kKernel + kStack);
  mem_.write<u16>(kTss + 0x66, 0x68);  // no I/O bitmap
  cpu.cr0 |= kCr0PE | kCr0PG | kCr0WP | kCr0MP | kCr0NE;
  cpu.cr3 = kPml4;
  cpu.cr4 |= kCr4PAE | kCr4OSFXSR | kCr4OSXMMEXCPT | kCr4OSXSAVE | kCr4FSGSBASE;
  cpu.xcr0 = 7;
  cpu.efer |= kEferLMA | kEferLME | kEferNXE;
  cpu.gdtr = DescTable{kKernel + kGdt, kGdtLimit};
  cpu.idtr = DescTable{kKernel + kIdt, 0xfff};
  cpu.seg[kTR].base = kKernel + kTss;
  cpu.seg[kTR].limit = 0x67;
  cpu.seg[kTR].sel = 0x40;
  cpu.seg[kTR].attr = kSegP | 0xb;
}

void GuestCpu::set_segment(unsigned s, u16 sel) {
  SegCache& g = cpu.seg[s];
  g = SegCache{};
  g.sel = sel;
  if (!(sel & ~3u)) return;
  const u64 d = mem_.read<u64>(kGdt + (sel & ~7u));
  g.limit = 0xffffffff;
  g.attr = static_cast<u16>((d >> 40 & 0xff) | (d >> 44 & 0xf00));
}

void GuestCpu::load(const CpuState& s) {
  std::memcpy(cpu.gpr, s.gpr, sizeof s.gpr);
  cpu.set_rflags_raw(static_cast<u32>(s.flags) | kIF);
  cpu.cpl = 3;
  for (unsigned k = 0; k < 6; k++) set_segment(k, s.sel[k]);
  cpu.seg[kFS].base = s.fs_base;
  cpu.seg[kGS].base = s.gs_base;
  Fpu& f = cpu.fpu;
  f = Fpu{};
  f.cw = oriel::load<u16>(s.fx + kFxCw);
  u16 sw = oriel::load<u16>(s.fx + kFxSw);
  f.top = sw >> 11 & 7;
  f.sw = sw & 0xc7ff;
  f.tw = s.fx[kFxTw];
  for (unsigned i = 0; i < 8; i++) {
    const u8* st = s.fx + kFxSt + 16 * i;
    f.r[(f.top + i) & 7] = F80{oriel::load<u64>(st), oriel::load<u16>(st + 8)};
  }
  for (unsigned i = 0; i < 16; i++) std::memcpy(&cpu.xmm[i], s.fx + kFxXmm + 16 * i, 16);
  std::memcpy(cpu.ymm_hi, s.ymm_hi, sizeof s.ymm_hi);
  cpu.mxcsr = oriel::load<u32>(s.fx + kFxMxcsr);
  cpu.rip = kDiffStart;
  cpu.events = 0;
  cpu.update_mode();
}

void GuestCpu::save(CpuState& s) {
  std::memcpy(s.gpr, cpu.gpr, sizeof s.gpr);
  s.flags = cpu.get_rflags();
  for (unsigned k = 0; k < 6; k++) s.sel[k] = cpu.seg[k].sel;
  s.fs_base = cpu.seg[kFS].base, s.gs_base = cpu.seg[kGS].base;
  const Fpu& f = cpu.fpu;
  store<u16>(s.fx + kFxCw, f.cw);
  store<u16>(s.fx + kFxSw, static_cast<u16>((f.sw & 0xc7ff) | f.top << 11));
  s.fx[kFxTw] = f.tw;
  for (unsigned i = 0; i < 8; i++) {
    const F80& r = f.r[(f.top + i) & 7];
    store<u64>(s.fx + kFxSt + 16 * i, r.m);
    store<u16>(s.fx + kFxSt + 16 * i + 8, r.se);
  }
  for (unsigned i = 0; i < 16; i++) std::memcpy(s.fx + kFxXmm + 16 * i, &cpu.xmm[i], 16);
  std::memcpy(s.ymm_hi, cpu.ymm_hi, sizeof s.ymm_hi);
  store<u32>(s.fx + kFxMxcsr, cpu.mxcsr);
}

void GuestCpu::run(CpuState& s, const u8* code, unsigned len, bool steps) {
  // Only what changes is written: all of the page would be the most of the work.
  const u64 start = kDiffStart - kDiffCode;
  const u8* page = ram_.get() + kPhysCode;
  u8 bytes[kMaxCode + 16];
  std::memset(bytes, kHlt, sizeof bytes);
  std::memcpy(bytes, code, len);
  mem_.write(kPhysCode + start, bytes, std::max(len, last_len_));
  last_len_ = len;
  load(s);

  // What retires is noted: with `steps` each instruction, else the first.
  Insn first;
  const CodeMode mode = cpu.code_mode;
  const bool known = decode(page + start, 15, mode, first) == DecodeStatus::kOk;
  const u64 begin = cpu.icount;
  Cpu::Exit e;
  unsigned rounds = 0;
  do {
    Insn i;
    const u64 at = cpu.rip - kDiffCode, before = cpu.icount;
    const CodeMode now = cpu.code_mode;
    e = cpu.execute(before + (steps ? 1 : 1000));
    if (steps && cpu.icount != before && at + 15 <= kDiffCodeSize && decode(page + at, 15, now, i) == DecodeStatus::kOk)
      FormCoverage::get().note(i, now);
  } while (e != Cpu::Exit::kFault && cpu.cpl == 3 && ++rounds < 1000);
  if (known && (cpu.icount != begin || only_raises(first))) FormCoverage::get().note(first, mode);

  s.vector = -1, s.error = 0, s.address = 0;
  s.rip = cpu.rip;
  save(s);
  const u64 at = cpu.rip - kDiffCode;
  if (cpu.cpl != 3) {
    // INT3, INTO or INT n went to its handler: SDM Vol. 3, figure 6-9 is the frame.
    const u64 frame = cpu.gpr[kRSP] - kKernel;
    s.vector = static_cast<int>((cpu.rip - kKernel - kStubs) / 4);
    s.rip = mem_.read<u64>(frame);
    s.sel[kCS] = mem_.read<u16>(frame + 8);
    s.flags = mem_.read<u64>(frame + 16);
    s.gpr[kRSP] = mem_.read<u64>(frame + 24);
    s.sel[kSS] = mem_.read<u16>(frame + 32);
  } else if (at < kDiffCodeSize && page[at] == kHlt && (at < start || at >= start + len) && cpu.exc.vector == kGP) {
    // A stop byte.
  } else {
    s.vector = cpu.exc.vector;
    s.error = cpu.exc.error;
    if (s.vector == kPFv) s.address = cpu.exc.cr2;
  }
}

}  // namespace oriel
