#include "support/vectors.h"

#include <cstdio>
#include <string_view>

namespace oriel {

namespace {

constexpr u32 kMagic = 0x4345564f;  // "OVEC"

u64 lanes(Random& r) {
  static constexpr u32 kSingles[] = {0,          0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000,
                                     0x7fc00000, 0x7f800001, 1,          0x807fffff, 0x00800000, 0x7f7fffff,
                                     0x4effffff, 0xcf000000, 0x3fc00000, 0x40200000};
  static constexpr u64 kDoubles[] = {0,
                                     u64{1} << 63,
                                     0x3ff0000000000000,
                                     0xbff8000000000000,
                                     0x7ff0000000000000,
                                     0x7ff8000000000000,
                                     0x7ff0000000000001,
                                     1,
                                     0x800fffffffffffff,
                                     0x0010000000000000,
                                     0x7fefffffffffffff,
                                     0x41dfffffffe00000,
                                     0xc1e0000000000000,
                                     0x43e0000000000000,
                                     0x4004000000000000,
                                     0x3810000000000000};
  switch (r.below(4)) {
    case 0: return kSingles[r.below(16)] | static_cast<u64>(kSingles[r.below(16)]) << 32;
    case 1: return kDoubles[r.below(16)];
    case 2: return r.operand();
    default: return r();
  }
}

}  // namespace

void vector_state(const RecordedVector& v, const Insn& i, CpuState& s, u8* data) {
  Random r(u64{v.seed} << 1 | 1);
  const bool legacy = v.mode != CodeMode::k64;
  const std::string_view ops = kForms[form_of(i.op)].operands;
  s = CpuState{};
  if (legacy) s.sel[kCS] = kDiffCode32;
  s.fs_base = kDiffData, s.gs_base = kDiffMid;
  for (u64& g : s.gpr) g = legacy ? static_cast<u32>(r.operand()) : r.operand();
  s.gpr[kRSP] = kDiffMid + r.below(8) * 8;
  if (i.flags & kInsnMem || kForms[form_of(i.op)].id == std::string_view("XLAT")) s.gpr[kRBX] = kDiffMid;
  if (kForms[form_of(i.op)].attrs & REPS) s.gpr[kRCX] = r.below(20);
  if (ops.find('X') != ops.npos || ops.find('Y') != ops.npos || ops == "Pq,Nq" || ops == "Vx,Ux") {
    s.gpr[kRSI] = kDiffMid + r.below(256);
    s.gpr[kRDI] = kDiffMid + r.below(256);
  }
  if (kForms[form_of(i.op)].id == std::string_view("LEAVE") || i.op == OP_ENTER) s.gpr[kRBP] = kDiffMid + 64;
  s.flags = (static_cast<u32>(r()) & kArith) | 2;
  for (unsigned k = 0; k < 32; k++) store<u64>(s.fx + kFxXmm + 8 * k, lanes(r));
  for (unsigned k = 0; k < 32; k++) store<u64>(s.ymm_hi + 8 * k, lanes(r));
  if (ops.find("Td") != ops.npos || ops.find("Tq") != ops.npos)  // indices of a gather
    for (unsigned k = 0; k < 2; k++) {
      store<u64>(s.fx + kFxXmm + 16 * i.index + 8 * k, r.below(64));
      store<u64>(s.ymm_hi + 16 * i.index + 8 * k, r.below(64));
    }
  store<u16>(s.fx + kFxCw, static_cast<u16>(0x7f | (r() & 3) << 10 | (r.one_in(2) ? 0x300 : 0x200)));
  store<u16>(s.fx + kFxSw, static_cast<u16>(r() & 0x7800));
  s.fx[kFxTw] = r.one_in(4) ? static_cast<u8>(r()) : 0xff;
  store<u32>(s.fx + kFxMxcsr, static_cast<u32>(0x1f80 | (r() & 3) << 13));
  for (unsigned k = 0; k < 8; k++) {
    static constexpr u16 kExponents[] = {0, 1, 0x3fff, 0xbffe, 0x4001, 0x403e, 0x7ffe, 0x7fff};
    const u16 e = r.one_in(2) ? kExponents[r.below(8)] : static_cast<u16>(0x3fe0 + r.below(64));
    const bool denormal = !(e & 0x7fff);
    store<u64>(s.fx + kFxSt + 16 * k, denormal ? r() >> 1 : r() | u64{1} << 63);
    store<u16>(s.fx + kFxSt + 16 * k + 8, e);
  }
  std::memset(data, 0, kDiffDataSize);
  for (u64 a = 0; a < 0x800; a += 8) store<u64>(data + kDiffDataSize / 2 - 0x400 + a, lanes(r));
}

u32 vector_hash(const RecordedVector& v, const Insn& i, const CpuState& s, const u8* data) {
  u64 h = 0xcbf29ce484222325;  // FNV-1a, a word at a time
  auto add = [&](u64 x) { h = (h ^ x) * 0x100000001b3, h ^= h >> 29; };
  const bool legacy = v.mode != CodeMode::k64;
  add(static_cast<u64>(static_cast<s64>(s.vector)));
  add(s.rip);
  add(s.error);
  add(s.address);
  for (unsigned k = 0; k < (legacy ? 8 : 16); k++) add(legacy ? static_cast<u32>(s.gpr[k]) : s.gpr[k]);
  add(s.flags & v.flags);
  add(load<u32>(s.fx + kFxMxcsr));
  for (unsigned k = 0; k < (legacy ? 16 : 32); k++) add(load<u64>(s.fx + kFxXmm + 8 * k));
  for (unsigned k = 0; k < (legacy ? 16 : 32); k++) add(load<u64>(s.ymm_hi + 8 * k));
  add(load<u16>(s.fx + kFxCw));
  // C1 after FCOMI and the like: cleared (SDM Vol. 2) or left alone (AMD).
  const bool comi = std::string_view(kForms[form_of(i.op)].mnemonic).find("COMI") != std::string_view::npos;
  add(load<u16>(s.fx + kFxSw) & (comi ? 0xfdff : 0xffff));
  add(s.fx[kFxTw]);
  for (unsigned k = 0; k < 8; k++) {
    add(load<u64>(s.fx + kFxSt + 16 * k));
    add(load<u16>(s.fx + kFxSt + 16 * k + 8));
  }
  for (u64 a = 0; a < kDiffDataSize; a += 8) add(load<u64>(data + a));
  return static_cast<u32>(h ^ h >> 32);
}

bool read_vectors(const std::string& path, std::vector<RecordedVector>& out) {
  std::FILE* f = std::fopen(path.c_str(), "rb");
  if (!f) return false;
  std::vector<u8> b;
  for (int c; (c = std::fgetc(f)) != EOF;) b.push_back(static_cast<u8>(c));
  std::fclose(f);
  if (b.size() < 4 || load<u32>(b.data()) != kMagic) return false;
  for (usize at = 4; at < b.size();) {
    RecordedVector v{};
    v.len = b[at] & 15;
    v.mode = b[at] & 16 ? CodeMode::k64 : CodeMode::k32;
    if (b.size() - at < 11u + v.len) return false;
    std::memcpy(v.code, &b[at + 1], v.len);
    at += 1u + v.len;
    v.seed = load<u32>(&b[at]);
    v.flags = load<u16>(&b[at + 4]);
    v.hash = load<u32>(&b[at + 6]);
    at += 10;
    out.push_back(v);
  }
  return true;
}

bool write_vectors(const std::string& path, const std::vector<RecordedVector>& vectors) {
  std::FILE* f = std::fopen(path.c_str(), "wb");
  if (!f) return false;
  auto put = [&](const void* p, usize n) { std::fwrite(p, 1, n, f); };
  put(&kMagic, 4);
  for (const RecordedVector& v : vectors) {
    const u8 head = static_cast<u8>(v.len | (v.mode == CodeMode::k64 ? 16 : 0));
    put(&head, 1);
    put(v.code, v.len);
    put(&v.seed, 4);
    put(&v.flags, 2);
    put(&v.hash, 4);
  }
  return std::fclose(f) == 0;
}

}  // namespace oriel
