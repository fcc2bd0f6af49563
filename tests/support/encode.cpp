#include "support/encode.h"

namespace oriel {

namespace {

struct ModrmBytes {
  u8 bytes[6] = {};  // ModRM without its register field, SIB, displacement
  unsigned len = 0, disp_size = 0;
  unsigned rex = 0;  // X and B
};

// SDM Vol. 2, tables 2-1 to 2-3.
ModrmBytes random_address(Random& rnd, bool m64, bool small) {
  ModrmBytes b;
  const unsigned mod = static_cast<unsigned>(rnd.below(3)), rm = static_cast<unsigned>(rnd() & 7);
  b.bytes[b.len++] = static_cast<u8>(mod << 6 | rm);
  if (m64) b.rex = static_cast<unsigned>(rnd() & 3);
  b.disp_size = mod == 1 ? 1 : mod == 2 ? (small ? 2 : 4) : 0;
  if (small) {
    if (mod == 0 && rm == 6) b.disp_size = 2;
  } else if (rm == 4) {
    const u8 sib = static_cast<u8>(rnd());
    b.bytes[b.len++] = sib;
    if (mod == 0 && (sib & 7) == 5) b.disp_size = 4;
  } else if (mod == 0 && rm == 5) {
    b.disp_size = 4;
  }
  for (unsigned k = 0; k < b.disp_size; k++) b.bytes[b.len++] = static_cast<u8>(rnd());
  return b;
}

constexpr u64 kAddressMask[4] = {0, 0xffff, 0xffffffff, ~u64{0}};

}  // namespace

// [67] [segment] [LOCK] [66] [F2/F3] [REX | VEX] map opcode [ModRM ...] random immediate.
bool encode(const Form& f, Random& rnd, const EncodeOptions& o, Encoding& e) {
  const bool m64 = o.mode == CodeMode::k64;
  const unsigned registers = m64 ? 15 : 7;
  e = Encoding{};
  u8* code = e.bytes;
  const std::string ops = std::string(",") + f.operands;
  // Whether an operand code starts like this.
  auto uses = [&](const char* code_name) { return ops.find(std::string(",") + code_name) != std::string::npos; };
  const bool vex = f.attrs & VEX, modrm = f.modrm >= 0, exact = f.modrm >= 0x100;
  const bool w = f.attrs & W1 || (!(f.attrs & W0) && (rnd() & 1)), opsize = rnd.one_in(4);
  e.reg = static_cast<unsigned>(rnd() & registers), e.rm = static_cast<unsigned>(rnd() & registers);
  const unsigned vvvv = static_cast<unsigned>(rnd() & registers);
  const bool only_register = (f.attrs & REGONLY) || uses("N") || uses("U") || uses("R") || uses("STi");
  const bool only_memory = (f.attrs & MEMONLY) || uses("M") || uses("Td") || uses("Tq");
  e.memory = modrm && !exact && !only_register && (only_memory || (rnd() & 1));
  if (f.modrm >= 0 && f.modrm < 8) e.reg = static_cast<unsigned>(f.modrm);
  if (e.memory) e.rm = kRBX;
  const bool vsib = uses("Td") || uses("Tq");
  if (vsib) {
    e.vector_index = static_cast<unsigned>(rnd() & registers);
    if (e.vector_index == e.reg || e.vector_index == vvvv || e.reg == vvvv) return false;
  }
  // The stack pointer keeps its value, as signal handling on the host needs a stack... of its own, but PUSH a valid
  // one.
  const bool general_reg = uses("G") || uses("Z") || !modrm, general_rm = uses("E") || uses("R") || uses("Z");
  if ((general_reg && e.reg == kRSP && f.modrm == 8) || (general_rm && e.rm == kRSP) || (uses("B") && vvvv == kRSP))
    return false;
  // Numbers of special registers that there are, and that may be written.
  if (uses("Sw")) {
    e.reg = static_cast<unsigned>(rnd.below(6));
    if (f.operands[0] == 'S' && e.reg == kCS) return false;
  }
  static constexpr u8 kControlRegisters[] = {0, 2, 3, 4};
  if (uses("Cy")) e.reg = kControlRegisters[rnd() & 3];
  if (uses("Dy")) e.reg &= 7;
  unsigned& len = e.len;
  const bool counts =
      o.any_address && (f.id == std::string_view("JCXZ_Jb") || std::string_view(f.id).starts_with("LOOP"));
  if (counts && (rnd() & 1)) code[len++] = 0x67;
  const bool any_address = o.any_address && e.memory && !vsib;
  const bool implicit_memory = uses("Xb") || uses("Xv") || uses("O");
  bool small_address = false;
  if ((any_address || (o.any_address && implicit_memory)) && rnd.one_in(6)) code[len++] = 0x67, small_address = !m64;
  if ((any_address || (o.any_address && implicit_memory)) && (small_address || rnd.one_in(4))) {
    static constexpr u8 kOverrides[] = {0x64, 0x65, 0x64, 0x65, 0x26, 0x2e, 0x36, 0x3e};
    code[len++] = kOverrides[rnd.below(small_address ? 5 : 8)];
  }
  if ((f.attrs & LOCK) && e.memory && rnd.one_in(6)) code[len++] = 0xf0;
  ModrmBytes operand;
  if (any_address) operand = random_address(rnd, m64, small_address);
  if (vex) {
    const unsigned pp = f.pfx == FormPfx::P66 ? 1 : f.pfx == FormPfx::PF3 ? 2 : f.pfx == FormPfx::PF2 ? 3 : 0;
    const bool long_vector = (f.attrs & L1) || ((f.attrs & (VL | LIG)) && (rnd() & 1));
    e.vvvv = uses("H") || uses("B") ? vvvv : 0;
    const unsigned low = (~e.vvvv & 15) << 3 | (long_vector ? 4 : 0) | pp;
    const unsigned not_r = f.modrm < 8 || e.reg < 8 ? 0x80 : 0;
    if (f.map == FormMap::M0F && (any_address ? operand.rex == 0 : e.rm < 8) && !w && (rnd() & 1)) {
      code[len++] = 0xc5;
      code[len++] = static_cast<u8>(not_r | low);
    } else {
      const bool not_x = any_address ? !(operand.rex & 2) : e.vector_index < 8;
      const bool not_b = any_address ? !(operand.rex & 1) : e.rm < 8;
      code[len++] = 0xc4;
      code[len++] = static_cast<u8>(not_r | (not_x ? 0x40 : 0) | (not_b ? 0x20 : 0) | static_cast<unsigned>(f.map));
      code[len++] = static_cast<u8>((w ? 0x80 : 0) | low);
    }
  } else {
    const bool vector =
        f.attrs & (F_MMX | F_SSE | F_SSE2 | F_SSE3 | F_SSSE3 | F_SSE41 | F_SSE42 | F_AES | F_PCLMUL | F_X87);
    // The size of an operand in an instruction set where 66 is part of the opcode otherwise.
    const bool sized = f.mnemonic == std::string("CRC32") || ((f.attrs & F_X87) && ops == ",M");
    if (f.pfx == FormPfx::P66 || (opsize && f.pfx != FormPfx::NP && !(f.attrs & F_ADX) && (!vector || sized)))
      code[len++] = 0x66;
    if (f.pfx == FormPfx::PF3) code[len++] = 0xf3;
    if (f.pfx == FormPfx::PF2) code[len++] = 0xf2;
    if ((f.attrs & REPS) && (rnd() & 1)) code[len++] = rnd() & 1 ? 0xf3 : 0xf2;
    const unsigned rex_b = any_address ? operand.rex : e.rm > 7 ? 1 : 0;
    const bool x87 = f.attrs & F_X87;
    const u8 rex = static_cast<u8>((w && !x87 ? 8 : 0) | (e.reg > 7 && f.modrm == 8 ? 4 : 0) | rex_b);
    if (m64 && (x87 ? rex_b != 0 : rex || (rnd() & 1))) code[len++] = static_cast<u8>(0x40 | rex);
    if (f.map != FormMap::M1) code[len++] = 0x0f;
    if (f.map == FormMap::M38) code[len++] = 0x38;
    if (f.map == FormMap::M3A) code[len++] = 0x3a;
  }
  code[len++] = static_cast<u8>(f.opcode + (uses("Z") ? e.rm & 7 : 0));
  if (exact) {
    code[len++] = static_cast<u8>(f.modrm);
  } else if (any_address) {
    operand.bytes[0] |= static_cast<u8>((e.reg & 7) << 3);
    std::memcpy(code + len, operand.bytes, operand.len);
    len += operand.len;
    e.disp_at = len - operand.disp_size, e.disp_size = operand.disp_size;
  } else if (modrm) {
    code[len++] = static_cast<u8>((e.memory ? 0x80 : 0xc0) | (e.reg & 7) << 3 | (vsib ? 4 : e.rm & 7));
    if (vsib) code[len++] = static_cast<u8>((rnd() & 3) << 6 | (e.vector_index & 7) << 3 | kRBX);
    if (e.memory) {
      store<u32>(code + len, static_cast<u32>(rnd.below(512 / o.align) * o.align));
      e.disp_at = len, e.disp_size = 4;
      len += 4;
    }
  }
  for (unsigned k = 0; k < 8; k++) code[len + k] = static_cast<u8>(rnd());
  return true;
}

u64 segment_base(unsigned seg, const CpuState& s) { return seg == kFS ? s.fs_base : seg == kGS ? s.gs_base : 0; }

u64 operand_address(const Insn& i, CodeMode mode, const CpuState& s, u64 next) {
  auto reg = [&](unsigned r) { return r < 16 ? s.gpr[r] : r == kRipBase ? next : 0; };
  const u64 offset =
      (reg(i.base) + (reg(i.index) << i.scale) + static_cast<u64>(static_cast<s64>(i.disp))) & kAddressMask[i.asz];
  const u64 lin = segment_base(i.seg, s) + offset;
  return mode == CodeMode::k64 ? lin : lin & 0xffffffff;
}

bool known_address(u64 at) {
  constexpr u64 kGuard = 0x800;
  return at < 0x10000 - kGuard || (at >= kDiffData - kGuard && at < kDiffReadOnly + 0x1000 + kGuard) ||
         (at >> 46 && at >> 46 != 0x3ffff && at < ~u64{0} - kGuard);
}

u64 random_target(Random& rnd, CodeMode mode, unsigned align) {
  const u64 near = rnd.below(32);
  switch (rnd.below(64)) {
    case 0: return kDiffData - near;                  // not mapped, into the data
    case 1: return kDiffReadOnly - near;              // writable, into what is not
    case 2: return kDiffReadOnly + rnd.below(0x800);  // cannot be written
    case 3: return kDiffReadOnly + 0x1000 - near;     // into what is not mapped
    case 4: return kDiffReadOnly + 0x1000 + near;
    case 5: return rnd.below(0x8000);
    case 6: return mode == CodeMode::k64 ? u64{1} << 47 | rnd() >> 18 : rnd.below(0x8000);     // not canonical
    case 7: return mode == CodeMode::k64 ? 0xffff900000000000 + rnd.below(0x8000) : kDiffMid;  // the kernel's half
    default: return kDiffMid + rnd.below(512 / align) * align;
  }
}

bool place_operand(Encoding& e, Insn& i, CodeMode mode, u64 target, Random& rnd, CpuState& s, u64& at) {
  const u64 mask = kAddressMask[i.asz];
  u64 next = kDiffStart + i.len;
  u64 offset = (target - segment_base(i.seg, s)) & mask;
  const u64 disp = static_cast<u64>(static_cast<s64>(i.disp));
  auto set = [&](unsigned r, u64 v) {
    // What the address size leaves out is random.
    s.gpr[r] = mode == CodeMode::k64 ? (v & mask) | (rnd() & ~mask) : (v & mask) | (rnd() & ~mask & 0xffffffff);
  };
  auto set_disp = [&](u64 d) {
    std::memcpy(e.bytes + e.disp_at, &d, e.disp_size);
    return decode(e.bytes, 15, mode, i) == DecodeStatus::kOk;
  };
  const bool has_base = i.base < 16, has_index = i.index < 16;
  if (i.base == kRipBase) {
    if (!set_disp(offset - next)) return false;
  } else if (!has_base && !has_index) {
    if (!set_disp(offset)) return false;
  } else if (!has_base) {
    set(i.index, rnd.below(0x10000));
    if (!set_disp(offset - ((s.gpr[i.index] & mask) << i.scale))) return false;
  } else if (i.base == i.index) {
    set(i.base, (((offset - disp) & mask) / (1 + (u64{1} << i.scale))));
  } else {
    set(i.base, offset - disp - (has_index ? s.gpr[i.index] << i.scale : 0));
  }
  at = operand_address(i, mode, s, next);
  return known_address(at);
}

}  // namespace oriel
