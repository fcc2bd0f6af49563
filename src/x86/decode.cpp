// The instruction decoder: prefixes, opcode look-up, ModRM/SIB/displacement and immediates.
// SDM Vol. 2, chapter 2 (instruction format) and appendix A.
#include "x86/decode.h"

#include <array>

#include "x86/decode_tables.h"

namespace oriel {

using namespace x86;

namespace {

// What a byte means where a prefix or the first opcode byte may stand.
enum ByteClass : u8 { kPlain, kEscape, kRex, kSegment, kOpSize, kAddrSize, kRepe, kRepne, kLockPrefix, kVex2, kVex3 };

constexpr auto kByteClass = [] {
  std::array<std::array<u8, 256>, 2> t{};  // [64-bit mode]
  for (auto& m : t) {
    m[0x0f] = kEscape;
    for (u8 s : {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65}) m[s] = kSegment;
    m[0x66] = kOpSize;
    m[0x67] = kAddrSize;
    m[0xf0] = kLockPrefix;
    m[0xf2] = kRepne;
    m[0xf3] = kRepe;
    m[0xc4] = kVex3;
    m[0xc5] = kVex2;
  }
  for (unsigned b = 0x40; b < 0x50; ++b) t[1][b] = kRex;
  return t;
}();

constexpr u8 kNoSegment = 0xff;
constexpr u8 segment_of_prefix(u8 b) { return b < 0x40 ? static_cast<u8>(b >> 3 & 3) : b == 0x64 ? u8{kFS} : u8{kGS}; }

// Operand size by [class][mode][66 present + 2 * W].
constexpr auto kOperandSize = [] {
  std::array<std::array<std::array<u8, 4>, 3>, static_cast<unsigned>(OszClass::kCount)> t{};
  for (unsigned mode = 0; mode < 3; ++mode) {
    const bool m64 = mode == static_cast<unsigned>(CodeMode::k64);
    for (unsigned k = 0; k < 4; ++k) {
      const bool o66 = k & 1, w = k & 2;
      auto set = [&](OszClass c, unsigned v) { t[static_cast<unsigned>(c)][mode][k] = static_cast<u8>(v); };
      const unsigned dflt = mode == static_cast<unsigned>(CodeMode::k16) ? 1 : 2;
      const unsigned plain = o66 ? 3 - dflt : dflt;
      set(OszClass::kV, m64 && w ? 3 : plain);
      set(OszClass::kV66, m64 && w ? 3 : dflt);
      set(OszClass::kByte, 0);
      set(OszClass::kY, m64 && w ? 3 : 2);
      set(OszClass::kD64, !m64 ? plain : w || !o66 ? 3 : 1);
      set(OszClass::kF64, m64 ? 3 : plain);
      set(OszClass::kCr, m64 ? 3 : 2);
      set(OszClass::kIo, m64 && w ? 2 : plain);
    }
  }
  return t;
}();

// 16-bit addressing forms by ModRM.rm (SDM Vol. 2, table 2-1).
struct Addr16 {
  u8 base, index, seg;
};
constexpr Addr16 kAddr16[8] = {{kRBX, kRSI, kDS},  {kRBX, kRDI, kDS},  {kRBP, kRSI, kSS},  {kRBP, kRDI, kSS},
                               {kRSI, kZero, kDS}, {kRDI, kZero, kDS}, {kRBP, kZero, kSS}, {kRBX, kZero, kDS}};

DecodeStatus finish_bad(Insn& out, u16 op, usize len) {
  out.op = op;
  out.len = static_cast<u8>(len);
  out.off = 0;
  out.flags = 0;
  return DecodeStatus::kOk;
}

ORIEL_COLD DecodeStatus invalid(Insn& out, usize len) { return finish_bad(out, OP_UD, len); }

// The bytes ran out: the caller has more, or the instruction is over the limit.
ORIEL_COLD DecodeStatus truncated(Insn& out, usize n) {
  return n < 15 ? DecodeStatus::kNeedBytes : finish_bad(out, OP_LONG, 15);
}

// Of the registers that a form with a segment, control or debug register can name: which exist.
ORIEL_COLD bool reg_exists(const FormOperands& f, unsigned reg) {
  for (unsigned k = 0; k < kMaxOperands; ++k) {
    switch (f.op[k].kind) {
      case Opnd::kS: return reg <= kGS && !(k == 0 && reg == kCS);
      case Opnd::kC: return reg == 0 || (reg >= 2 && reg <= 4) || reg == 8;
      case Opnd::kD: return reg < 8;
      default: break;
    }
  }
  return true;
}

// Gathers: VSIB needs a SIB byte and an address size of at least 32 bits (SDM Vol. 2, 2.3.12), and the destination, the
// index and the mask must differ.
bool vsib_valid(unsigned modrm, unsigned asz, unsigned reg, unsigned index, unsigned mask) {
  return (modrm & 7) == 4 && asz != 1 && reg != index && reg != mask && index != mask;
}

constexpr s32 sx8(u8 v) { return static_cast<s8>(v); }
constexpr s32 sx16(u16 v) { return static_cast<s16>(v); }
constexpr s32 sx32(u32 v) { return static_cast<s32>(v); }

}  // namespace

DecodeStatus decode(const u8* p, usize n, CodeMode mode, Insn& out) {
  if (n > 15) n = 15;
  const bool m64 = mode == CodeMode::k64;
  const auto& classes = kByteClass[m64];
  usize pos = 0;
  unsigned map = 0;
  u8 rex = 0;  // the whole prefix; bits W R X B are also set from VEX
  u8 seg = kNoSegment;
  unsigned pfx66 = 0, rep = kPfxNone, addr67 = 0;
  bool lock = false;
  u8 vex = 0, vvvv = 0, vex_pp = 0;
  unsigned variant = m64;  // first index of OpcodeSlots
  u8 b;

  for (;;) {
    if (ORIEL_UNLIKELY(pos >= n)) return truncated(out, n);
    b = p[pos++];
    const u8 cls = classes[b];
    if (ORIEL_LIKELY(cls == kPlain)) break;
    if (cls == kRex) {
      rex = b;
      continue;
    }
    if (cls == kEscape) {
      if (ORIEL_UNLIKELY(pos >= n)) return truncated(out, n);
      b = p[pos++];
      map = static_cast<unsigned>(FormMap::M0F);
      if (b == 0x38 || b == 0x3a) {
        map = static_cast<unsigned>(b == 0x38 ? FormMap::M38 : FormMap::M3A);
        if (ORIEL_UNLIKELY(pos >= n)) return truncated(out, n);
        b = p[pos++];
      }
      break;
    }
    if (cls >= kVex2) {
      // Outside 64-bit mode these are LES and LDS unless the next byte would be a register ModRM.
      if (ORIEL_UNLIKELY(pos >= n)) return truncated(out, n);
      const u8 v1 = p[pos];
      if (!m64 && v1 < 0xc0) break;
      ++pos;
      if (pfx66 || rep || lock || rex) return invalid(out, pos);
      u8 v2 = v1;
      unsigned mmmmm = 1;
      rex = (v1 & 0x80) ? 0 : 4;
      if (cls == kVex3) {
        if (ORIEL_UNLIKELY(pos >= n)) return truncated(out, n);
        v2 = p[pos++];
        mmmmm = v1 & 31;
        rex = static_cast<u8>((~v1 >> 5 & 7) | (v2 >> 4 & 8));
        if (mmmmm == 0 || mmmmm > 3) return invalid(out, pos);
      }
      vex = static_cast<u8>(1 | (v2 >> 1 & 2) | (rex >> 1 & 4));
      vvvv = ~v2 >> 3 & 15;
      vex_pp = v2 & 3;
      variant = rex >> 3 & 1;
      if (!m64) {
        rex = 0;  // VEX.B is ignored, W does not widen general registers
      }
      map = mmmmm + kVexMapBase;
      if (ORIEL_UNLIKELY(pos >= n)) return truncated(out, n);
      b = p[pos++];
      break;
    }
    rex = 0;  // a REX prefix counts only right before the opcode
    switch (cls) {
      case kSegment:
        if (!m64 || b >= 0x64) seg = segment_of_prefix(b);
        break;
      case kOpSize: pfx66 = 1; break;
      case kAddrSize: addr67 = 1; break;
      case kRepe: rep = kPfxF3; break;
      case kRepne: rep = kPfxF2; break;
      default: lock = true; break;
    }
  }

  // The form.
  unsigned pfx = vex ? vex_pp : rep ? rep : pfx66;
  if (ORIEL_UNLIKELY(b == 0x90 && (rex & 1) && map == 0)) pfx = kPfxNone;  // F3 with REX.B: not PAUSE but XCHG R8, rAX
  const OpcodeMap& tables = kOpcodeMaps[map];
  unsigned form = tables.opcode[b].slot[variant][pfx];
  u8 modrm = 0;
  if (form & kIndirect) {
    if (ORIEL_UNLIKELY(pos >= n)) return truncated(out, n);
    modrm = p[pos];
    form = tables.group[form & ~unsigned{kIndirect}][(modrm >= 0xc0 ? 8 : 0) | (modrm >> 3 & 7)];
    if (form & kIndirect) form = tables.exact[form & ~unsigned{kIndirect}][modrm & 7];
    if (ORIEL_UNLIKELY(form == kNoForm)) return invalid(out, pos + 1);
  }
  if (ORIEL_UNLIKELY(form == kNoForm)) return invalid(out, pos);
  const FormInfo f = kFormInfo[form];

  const unsigned w = rex >> 3 & 1;
  const unsigned osz = kOperandSize[static_cast<unsigned>(f.osz)][static_cast<unsigned>(mode)][pfx66 | w << 1];
  const unsigned asz = m64 ? 3 - addr67 : mode == CodeMode::k32 ? 2 - addr67 : 1 + addr67;
  const bool has_rex = rex & 0x40;
  unsigned reg = 0, rm = 0, base = kZero, index = kZero, scale = 0, mem = 0;
  s32 disp = 0;
  u8 default_seg = kDS;

  if (f.bits & kHasModrm) {
    if (ORIEL_UNLIKELY(pos >= n)) return truncated(out, n);
    modrm = p[pos++];
    const unsigned r = modrm >> 3 & 7;
    reg = r | (rex << 1 & 8);
    if (f.bits & kRegLow) reg = r;
    if (f.bits & kReg8) reg = gpr8(static_cast<u8>(reg), has_rex);
    const unsigned mod = modrm >> 6;
    const unsigned low = modrm & 7;
    if (mod == 3 || (f.bits & kRmAlwaysReg)) {
      rm = low | (rex << 3 & 8);
      if (f.bits & kRmLow) rm = low;
      if (f.bits & kRm8) rm = gpr8(static_cast<u8>(rm), has_rex);
    } else if (asz != 1) {
      mem = 1;
      unsigned disp_size = mod == 1 ? 1 : mod == 2 ? 4 : 0;
      if (low == 4) {
        if (ORIEL_UNLIKELY(pos >= n)) return truncated(out, n);
        const u8 sib = p[pos++];
        const unsigned x = (sib >> 3 & 7) | (rex << 2 & 8);
        if (x != kRSP || (f.bits & kVsib)) {
          index = x;
          scale = sib >> 6;
        }
        base = (sib & 7) | (rex << 3 & 8);
        if ((sib & 7) == 5 && mod == 0) {
          base = kZero;
          disp_size = 4;
        }
      } else if (low == 5 && mod == 0) {
        base = m64 ? kRipBase : kZero;
        disp_size = 4;
      } else {
        base = low | (rex << 3 & 8);
      }
      if (base == kRSP || base == kRBP) default_seg = kSS;
      if (disp_size) {
        if (ORIEL_UNLIKELY(pos + disp_size > n)) return truncated(out, n);
        disp = disp_size == 1 ? sx8(p[pos]) : sx32(load<u32>(p + pos));
        pos += disp_size;
      }
    } else {
      mem = 1;
      const Addr16& a = kAddr16[low];
      base = a.base;
      index = a.index;
      default_seg = a.seg;
      unsigned disp_size = mod;
      if (mod == 0 && low == 6) {
        base = kZero;
        default_seg = kDS;
        disp_size = 2;
      }
      if (disp_size) {
        if (ORIEL_UNLIKELY(pos + disp_size > n)) return truncated(out, n);
        disp = disp_size == 1 ? sx8(p[pos]) : sx16(load<u16>(p + pos));
        pos += disp_size;
      }
    }
  } else if (f.bits & kOpcodeReg) {
    rm = (b & 7) | (rex << 3 & 8);
    if (f.bits & kRm8) rm = gpr8(static_cast<u8>(rm), has_rex);
  }

  u64 imm = 0;
  u16 imm2 = 0;
  if (f.imm != ImmKind::kNone) {
    const u8* q = p + pos;
    const usize left = n - pos;
    usize size = 1;
    switch (f.imm) {
      case ImmKind::kNone: break;
      case ImmKind::kIb:
      case ImmKind::kIbs:
      case ImmKind::kJb:
        if (ORIEL_UNLIKELY(left < 1)) return truncated(out, n);
        if (f.imm == ImmKind::kIb)
          imm = *q;
        else if (f.imm == ImmKind::kIbs)
          imm = static_cast<u64>(static_cast<s64>(sx8(*q)));
        else
          disp = sx8(*q);
        break;
      case ImmKind::kIw:
        size = 2;
        if (ORIEL_UNLIKELY(left < 2)) return truncated(out, n);
        imm = load<u16>(q);
        break;
      case ImmKind::kIz:
      case ImmKind::kJz: {
        size = osz == 1 ? 2 : 4;
        if (ORIEL_UNLIKELY(left < size)) return truncated(out, n);
        const s32 v = osz == 1 ? sx16(load<u16>(q)) : sx32(load<u32>(q));
        if (f.imm == ImmKind::kIz)
          imm = static_cast<u64>(static_cast<s64>(v));
        else
          disp = v;
        break;
      }
      case ImmKind::kIv:
        size = usize{1} << osz;
        if (ORIEL_UNLIKELY(left < size)) return truncated(out, n);
        imm = osz == 1 ? load<u16>(q) : osz == 2 ? load<u32>(q) : load<u64>(q);
        break;
      case ImmKind::kMoffs:
        size = usize{1} << asz;
        if (ORIEL_UNLIKELY(left < size)) return truncated(out, n);
        imm = asz == 1 ? load<u16>(q) : asz == 2 ? load<u32>(q) : load<u64>(q);
        mem = 1;
        break;
      case ImmKind::kAp:
        size = osz == 1 ? 4 : 6;
        if (ORIEL_UNLIKELY(left < size)) return truncated(out, n);
        imm = osz == 1 ? load<u16>(q) : load<u32>(q);
        imm2 = load<u16>(q + size - 2);
        break;
      case ImmKind::kIwIb:
        size = 3;
        if (ORIEL_UNLIKELY(left < 3)) return truncated(out, n);
        imm = load<u16>(q);
        imm2 = q[2];
        break;
      case ImmKind::kIbIb:
        size = 2;
        if (ORIEL_UNLIKELY(left < 2)) return truncated(out, n);
        imm = q[0];
        imm2 = q[1];
        break;
    }
    pos += size;
  }

  // Encodings that are complete but invalid.
  if (ORIEL_UNLIKELY(lock) && !((f.bits & kLockable) && mem)) return invalid(out, pos);
  if (ORIEL_UNLIKELY(f.bits & kRegLimited) && !reg_exists(kFormOperands[form], reg)) return invalid(out, pos);
  if (ORIEL_UNLIKELY(vex)) {
    if ((vvvv && !(f.bits & kVvvv)) || !(f.bits & (vex & 2 ? kVexL1 : kVexL0))) return invalid(out, pos);
    if (!m64) vvvv &= 7;
    if ((f.bits & kVsib) && !vsib_valid(modrm, asz, reg, index, vvvv)) return invalid(out, pos);
  }

  out.op = static_cast<u16>(f.op + (mem ? f.mem_step : 0) + (f.osz_step ? osz - 1 : 0));
  out.len = static_cast<u8>(pos);
  out.osz = static_cast<u8>(osz);
  out.reg = static_cast<u8>(reg);
  out.rm = static_cast<u8>(rm);
  out.base = static_cast<u8>(base);
  out.index = static_cast<u8>(index);
  out.scale = static_cast<u8>(scale);
  out.seg = seg != kNoSegment ? seg : default_seg;
  out.asz = static_cast<u8>(asz);
  out.flags = static_cast<u8>((mem ? kInsnMem : 0) | (lock ? kInsnLock : 0) | (rep == kPfxF3 ? kInsnRep : 0) |
                              (rep == kPfxF2 ? kInsnRepne : 0) | (pfx66 ? kInsnOpsz : 0) | (has_rex ? kInsnRex : 0) |
                              (has_rex && w ? kInsnRexW : 0));
  out.modrm = modrm;
  out.opcode = b;
  out.vvvv = vvvv;
  out.vex = vex;
  out.disp = disp;
  out.imm2 = imm2;
  out.off = 0;
  out.imm = imm;
  return DecodeStatus::kOk;
}

bool ends_block(const Insn& i) { return i.op <= OP_LONG || (kForms[form_of(i.op)].attrs & END); }

}  // namespace oriel
