// kForms and the decoder's look-up tables, all built at compile time from the forms_*.inc rows.
// An operand code that is not known, or two rows for one encoding, do not compile.
#include "x86/decode_tables.h"

#include <array>

namespace oriel {

namespace {
// MODRM column.
constexpr s16 NO = -1;
constexpr s16 R = 8;
[[maybe_unused]] constexpr s16 X(int b) { return static_cast<s16>(0x100 | b); }
}  // namespace

#define FORM_OUT(ID) OP_##ID
#define FORM_ONE(ID) OP_##ID
#define FORM_V(ID) OP_##ID##_w
#define FORM_RM(ID) OP_##ID##_r
#define FORM_VRM(ID) OP_##ID##_rw
#define FORM(ID, KIND, MAP, PFX, OPCODE, MODRM, MNEMONIC, OPERANDS, ATTRS) \
  {#ID,                                                                    \
   FormKind::KIND,                                                         \
   FormMap::MAP,                                                           \
   FormPfx::PFX,                                                           \
   static_cast<u8>(OPCODE),                                                \
   static_cast<s16>(MODRM),                                                \
   MNEMONIC,                                                               \
   OPERANDS,                                                               \
   static_cast<u64>(ATTRS),                                                \
   FORM_##KIND(ID)},
constexpr Form kForms[] = {
#include "x86/forms_all.inc"
};
#undef FORM
#undef FORM_OUT
#undef FORM_ONE
#undef FORM_V
#undef FORM_RM
#undef FORM_VRM

constexpr u16 kFormCount = sizeof(kForms) / sizeof(kForms[0]);
static_assert(sizeof(kForms) / sizeof(kForms[0]) < x86::kNoForm);

constexpr std::array<u16, OP_COUNT> kFormOfOp = [] {
  std::array<u16, OP_COUNT> t{};
  for (u16 form = 0; form < kFormCount; form++)
    for (unsigned op = kForms[form].op; op < (form + 1 < kFormCount ? kForms[form + 1].op : OP_COUNT); op++)
      t[op] = form;
  return t;
}();

namespace x86 {
namespace {

// Not constexpr: a call while a table is built is the compile error that reports a bad row.
void unknown_operand_code(const char*) { __builtin_trap(); }
void bad_row(const char*) { __builtin_trap(); }

// ---- operand codes -----------------------------------------------------------------------------

constexpr u32 pack(const char* s) {
  u32 v = 0;
  for (; *s; ++s) v = v << 8 | static_cast<u8>(*s);
  return v;
}

constexpr OpndSize parse_size(u32 t, const char* operands) {
  switch (t) {
    case 0: return OpndSize::kNone;
    case pack("b"): return OpndSize::kB;
    case pack("bs"): return OpndSize::kBs;
    case pack("w"): return OpndSize::kW;
    case pack("d"):
    case pack("fd"): return OpndSize::kD;
    case pack("q"):
    case pack("fq"): return OpndSize::kQ;
    case pack("dq"): return OpndSize::kDq;
    case pack("x"): return OpndSize::kX;
    case pack("qx"): return OpndSize::kQx;
    case pack("x2"): return OpndSize::kX2;
    case pack("x4"): return OpndSize::kX4;
    case pack("x8"): return OpndSize::kX8;
    case pack("v"): return OpndSize::kV;
    case pack("y"): return OpndSize::kY;
    case pack("z"): return OpndSize::kZ;
    case pack("p"): return OpndSize::kP;
    case pack("a"): return OpndSize::kA;
    case pack("s"): return OpndSize::kS;
    case pack("ft"): return OpndSize::kT;
    case pack("fx"): return OpndSize::kFx;
    default: unknown_operand_code(operands); return OpndSize::kNone;
  }
}

constexpr Operand parse_operand(u32 t, const char* operands) {
  switch (t) {
    case pack("AL"): return {Opnd::kAcc, OpndSize::kB};
    case pack("AX"): return {Opnd::kAcc, OpndSize::kW};
    case pack("eAX"): return {Opnd::kAcc, OpndSize::kV};
    case pack("CL"): return {Opnd::kCL, OpndSize::kB};
    case pack("DX"): return {Opnd::kDX, OpndSize::kW};
    case pack("1"): return {Opnd::kOne, OpndSize::kB};
    case pack("ES"): return {Opnd::kSeg, static_cast<OpndSize>(kES)};
    case pack("CS"): return {Opnd::kSeg, static_cast<OpndSize>(kCS)};
    case pack("SS"): return {Opnd::kSeg, static_cast<OpndSize>(kSS)};
    case pack("DS"): return {Opnd::kSeg, static_cast<OpndSize>(kDS)};
    case pack("FS"): return {Opnd::kSeg, static_cast<OpndSize>(kFS)};
    case pack("GS"): return {Opnd::kSeg, static_cast<OpndSize>(kGS)};
    case pack("ST0"): return {Opnd::kST0, OpndSize::kT};
    case pack("STi"): return {Opnd::kSTi, OpndSize::kT};
    case pack("XMM0"): return {Opnd::kXMM0, OpndSize::kX};
    default: break;
  }
  u32 letter = t, size = 0;
  unsigned shift = 0;
  while (letter > 0xff) {
    size |= (letter & 0xff) << shift;
    shift += 8;
    letter >>= 8;
  }
  Opnd k = Opnd::kNone;
  switch (letter) {
    case 'E': k = Opnd::kE; break;
    case 'G': k = Opnd::kG; break;
    case 'Z': k = Opnd::kZ; break;
    case 'M': k = Opnd::kM; break;
    case 'R': k = Opnd::kR; break;
    case 'S': k = Opnd::kS; break;
    case 'C': k = Opnd::kC; break;
    case 'D': k = Opnd::kD; break;
    case 'P': k = Opnd::kP; break;
    case 'Q': k = Opnd::kQ; break;
    case 'N': k = Opnd::kN; break;
    case 'V': k = Opnd::kV; break;
    case 'W': k = Opnd::kW; break;
    case 'U': k = Opnd::kU; break;
    case 'H': k = Opnd::kH; break;
    case 'L': k = Opnd::kL; break;
    case 'T': k = Opnd::kT; break;
    case 'B': k = Opnd::kB; break;
    case 'I': k = Opnd::kI; break;
    case 'J': k = Opnd::kJ; break;
    case 'A': k = Opnd::kA; break;
    case 'O': k = Opnd::kO; break;
    case 'X': k = Opnd::kX; break;
    case 'Y': k = Opnd::kY; break;
    default: unknown_operand_code(operands);
  }
  return {k, parse_size(size, operands)};
}

constexpr FormOperands parse_operands(const char* s) {
  FormOperands f{};
  unsigned n = 0;
  for (const char* c = s; *c;) {
    u32 t = 0;
    for (; *c && *c != ','; ++c) t = t << 8 | static_cast<u8>(*c);
    if (*c == ',') ++c;
    if (n == kMaxOperands) unknown_operand_code(s);
    f.op[n++] = parse_operand(t, s);
  }
  return f;
}

// ---- what decode() needs of a form -------------------------------------------------------------

constexpr ImmKind join_imm(ImmKind have, ImmKind next, const char* id) {
  if (have == ImmKind::kNone) return next;
  if (have == ImmKind::kIw && next == ImmKind::kIb) return ImmKind::kIwIb;
  if (have == ImmKind::kIb && next == ImmKind::kIb) return ImmKind::kIbIb;
  bad_row(id);
  return have;
}

constexpr ImmKind imm_kind(Operand o, const char* id) {
  if (o.kind == Opnd::kL) return ImmKind::kIb;
  if (o.kind == Opnd::kA) return ImmKind::kAp;
  if (o.kind == Opnd::kO) return ImmKind::kMoffs;
  if (o.kind == Opnd::kJ) return o.size == OpndSize::kB ? ImmKind::kJb : ImmKind::kJz;
  switch (o.size) {
    case OpndSize::kB: return ImmKind::kIb;
    case OpndSize::kBs: return ImmKind::kIbs;
    case OpndSize::kW: return ImmKind::kIw;
    case OpndSize::kZ: return ImmKind::kIz;
    case OpndSize::kV: return ImmKind::kIv;
    default: bad_row(id); return ImmKind::kNone;
  }
}

// FormAttr::MEMONLY and REGONLY as the row's attributes or operand codes say.
constexpr u32 mod_limits(const Form& f, const FormOperands& ops) {
  u32 a = static_cast<u32>(f.attrs & (MEMONLY | REGONLY));
  for (const Operand& o : ops.op) {
    if (o.kind == Opnd::kM || o.kind == Opnd::kT) a |= MEMONLY;
    if (o.kind == Opnd::kR || o.kind == Opnd::kN || o.kind == Opnd::kU) a |= REGONLY;
    if (o.kind == Opnd::kC || o.kind == Opnd::kD) return 0;
  }
  return a;
}

constexpr FormInfo make_info(const Form& f, const FormOperands& ops) {
  FormInfo r{};
  r.op = f.op;
  if (f.modrm >= 0) r.bits |= kHasModrm;
  if (f.attrs & LOCK) r.bits |= kLockable;
  if (!(f.attrs & L1)) r.bits |= kVexL0;
  if (f.attrs & (L1 | VL | LIG)) r.bits |= kVexL1;
  bool any_v = false, any_y = false, any_b = false, acc_v = false, io = false;
  for (const Operand& o : ops.op) {
    bool b = o.size == OpndSize::kB;
    switch (o.kind) {
      case Opnd::kG:
        if (b) r.bits |= kReg8;
        break;
      case Opnd::kZ: r.bits |= kOpcodeReg; [[fallthrough]];
      case Opnd::kE:
        if (b) r.bits |= kRm8;
        break;
      case Opnd::kS: r.bits |= kRegLow | kRegLimited; break;
      case Opnd::kP: r.bits |= kRegLow; break;
      case Opnd::kQ:
      case Opnd::kN:
      case Opnd::kSTi: r.bits |= kRmLow; break;
      case Opnd::kC:
      case Opnd::kD: r.bits |= kRmAlwaysReg | kRegLimited; break;
      case Opnd::kB:
      case Opnd::kH: r.bits |= kVvvv; break;
      case Opnd::kT: r.bits |= kVsib; break;
      case Opnd::kL:
      case Opnd::kI:
      case Opnd::kJ:
      case Opnd::kA:
      case Opnd::kO: r.imm = join_imm(r.imm, imm_kind(o, f.id), f.id); break;
      default: break;
    }
    if (o.kind == Opnd::kSeg || o.kind == Opnd::kNone) continue;
    const bool imm = o.kind == Opnd::kI;
    acc_v |= o.kind == Opnd::kAcc && o.size == OpndSize::kV;
    io |= o.kind == Opnd::kDX || (imm && b);
    any_v |= o.size == OpndSize::kV || (o.size == OpndSize::kZ && imm);
    any_y |= o.size == OpndSize::kY;
    any_b |= b && !imm && o.kind != Opnd::kCL && o.kind != Opnd::kOne && o.kind != Opnd::kM;
  }
  io &= any_v && (acc_v || ops.op[0].kind == Opnd::kDX || ops.op[1].kind == Opnd::kDX);
  const bool xmm = f.map != FormMap::M1 && ops.op[0].kind == Opnd::kV;
  r.osz = r.bits & kRmAlwaysReg     ? OszClass::kCr
          : f.attrs & F64           ? OszClass::kF64
          : f.attrs & D64           ? OszClass::kD64
          : io                      ? OszClass::kIo
          : any_y && !any_v         ? OszClass::kY
          : any_b && !any_v && !xmm ? OszClass::kByte
          : f.pfx == FormPfx::P66   ? OszClass::kV66
                                    : OszClass::kV;
  switch (f.kind) {
    case FormKind::OUT:
    case FormKind::ONE: break;
    case FormKind::V: r.osz_step = 1; break;
    case FormKind::RM: r.mem_step = 1; break;
    case FormKind::VRM: r.mem_step = 3, r.osz_step = 1; break;
  }
  if (r.osz_step && r.osz == OszClass::kByte) bad_row(f.id);
  if (r.mem_step && !(r.bits & kHasModrm)) bad_row(f.id);
  if (f.modrm >= 0x100 && f.modrm < 0x1c0) bad_row(f.id);  // exact ModRM bytes have mod = 3
  if ((r.bits & kOpcodeReg) && ((r.bits & kHasModrm) || (f.opcode & 7))) bad_row(f.id);
  return r;
}

constexpr auto kOperandTable = [] {
  std::array<FormOperands, kFormCount> t{};
  for (unsigned i = 0; i < kFormCount; ++i) t[i] = parse_operands(kForms[i].operands);
  return t;
}();

constexpr auto kInfoTable = [] {
  std::array<FormInfo, kFormCount> t{};
  for (unsigned i = 0; i < kFormCount; ++i) t[i] = make_info(kForms[i], kOperandTable[i]);
  return t;
}();

constexpr auto kModLimits = [] {
  std::array<u16, kFormCount> t{};
  for (unsigned i = 0; i < kFormCount; ++i) t[i] = static_cast<u16>(mod_limits(kForms[i], kOperandTable[i]));
  return t;
}();

// ---- look-up -----------------------------------------------------------------------------------

constexpr unsigned map_index(const Form& f) { return static_cast<unsigned>(f.map) + (f.attrs & VEX ? kVexMapBase : 0); }

// Forms sorted by map and opcode. A form with a register in its opcode is listed eight times.
struct Buckets {
  std::array<u16, kMapCount * 256 + 1> start{};
  std::array<u16, kFormCount * 2 + 256> form{};
};

constexpr unsigned opcodes_of(unsigned form) { return kInfoTable[form].bits & kOpcodeReg ? 8 : 1; }

constexpr auto kBuckets = [] {
  Buckets b{};
  for (unsigned i = 0; i < kFormCount; ++i) {
    unsigned key = map_index(kForms[i]) * 256 + kForms[i].opcode;
    for (unsigned k = 0; k < opcodes_of(i); ++k) ++b.start[key + k + 1];
  }
  for (unsigned k = 0; k < kMapCount * 256; ++k) b.start[k + 1] = static_cast<u16>(b.start[k + 1] + b.start[k]);
  std::array<u16, kMapCount * 256> used{};
  for (unsigned i = 0; i < kFormCount; ++i) {
    unsigned key = map_index(kForms[i]) * 256 + kForms[i].opcode;
    for (unsigned k = 0; k < opcodes_of(i); ++k) b.form[b.start[key + k] + used[key + k]++] = static_cast<u16>(i);
  }
  return b;
}();

template <unsigned kGroups, unsigned kExacts>
struct MapTables {
  std::array<OpcodeSlots, 256> opcode{};
  u16 group[kGroups][16] = {};
  u16 exact[kExacts][8] = {};
  unsigned groups = 0, exacts = 0;
};

// Whether a row is found in 64-bit mode or in the others; a VEX row: with VEX.W set or clear.
constexpr bool in_mode(const Form& f, bool m64) {
  return !(f.attrs & (f.attrs & VEX ? (m64 ? W0 : W1) : (m64 ? I64 : O64)));
}

// The rank of a candidate for a mandatory prefix: higher wins, negative does not apply. The bits:
// 3 exact ModRM, 2 digit, 1 any; and 4 when the prefix is the row's own.
constexpr int rank(const Form& f, unsigned pfx) {
  constexpr FormPfx wanted[4] = {FormPfx::NP, FormPfx::P66, FormPfx::PF3, FormPfx::PF2};
  if (f.pfx != FormPfx::ANY && f.pfx != wanted[pfx]) return -1;
  // In the three-byte maps F2 and F3 are never ignored.
  if (f.pfx == FormPfx::ANY && f.map >= FormMap::M38 && pfx >= kPfxF3) return -1;
  return (f.pfx == FormPfx::ANY ? 0 : 4) + (f.modrm >= 0x100 ? 3 : f.modrm >= 0 && f.modrm < 8 ? 2 : 1);
}

template <class T>
constexpr void put(T& table, u16 (&cells)[16], const Form& f, u16 form) {
  const u32 limits = kModLimits[form];
  if (f.modrm >= 0x100) {
    u16& cell = cells[8 + (f.modrm >> 3 & 7)];
    if (!(cell & kIndirect)) {
      if (table.exacts == sizeof(table.exact) / sizeof(table.exact[0])) bad_row(f.id);
      for (u16& e : table.exact[table.exacts]) e = cell;
      cell = static_cast<u16>(kIndirect | table.exacts++);
    }
    table.exact[cell & ~kIndirect][f.modrm & 7] = form;
    return;
  }
  const unsigned first = f.modrm < 8 ? static_cast<unsigned>(f.modrm) : 0, last = f.modrm < 8 ? first : 7;
  for (unsigned r = first; r <= last; ++r) {
    if (!(limits & REGONLY)) cells[r] = form;
    if (!(limits & MEMONLY)) cells[8 + r] = form;
  }
}

template <unsigned kMap, unsigned kGroups, unsigned kExacts>
constexpr auto make_map() {
  MapTables<kGroups, kExacts> t{};
  for (unsigned op = 0; op < 256; ++op) {
    OpcodeSlots& slots = t.opcode[op];
    const unsigned first = kBuckets.start[kMap * 256 + op], last = kBuckets.start[kMap * 256 + op + 1];
    bool by_mode = false, by_pfx = false, by_modrm = false;
    for (unsigned c = first; c < last; ++c) {
      const Form& f = kForms[kBuckets.form[c]];
      by_mode |= (f.attrs & (I64 | O64 | W0 | W1)) != 0;
      by_pfx |= f.pfx != FormPfx::ANY || f.map >= FormMap::M38;
      by_modrm |= (f.modrm >= 0 && f.modrm != R) || kModLimits[kBuckets.form[c]] != 0;
      if ((f.modrm < 0) != (kForms[kBuckets.form[first]].modrm < 0)) bad_row(f.id);
    }
    for (unsigned m64 = 0; m64 < 2; ++m64) {
      for (unsigned pfx = 0; pfx < 4; ++pfx) {
        u16& slot = slots.slot[m64][pfx];
        slot = kNoForm;
        if (first == last) continue;
        if (m64 && !by_mode) {
          slot = slots.slot[0][pfx];
          continue;
        }
        if (pfx && !by_pfx) {
          slot = slots.slot[m64][0];
          continue;
        }
        u16 cells[16];
        for (u16& c : cells) c = kNoForm;
        bool found = false;
        for (int want = 1; want <= 7; ++want) {
          for (unsigned c = first; c < last; ++c) {
            const u16 form = kBuckets.form[c];
            const Form& f = kForms[form];
            if (rank(f, pfx) != want || !in_mode(f, m64)) continue;
            found = true;
            if (by_modrm)
              put(t, cells, f, form);
            else
              slot = form;
          }
        }
        if (!found || !by_modrm) continue;
        if (t.groups == kGroups) bad_row(kForms[kBuckets.form[first]].id);
        for (unsigned i = 0; i < 16; ++i) t.group[t.groups][i] = cells[i];
        slot = static_cast<u16>(kIndirect | t.groups++);
      }
    }
  }
  return t;
}

constexpr auto kM1Tables = make_map<0, 48, 48>();
constexpr auto kM0FTables = make_map<1, 200, 40>();
constexpr auto kM38Tables = make_map<2, 64, 8>();
constexpr auto kM3ATables = make_map<3, 48, 8>();
constexpr auto kV0FTables = make_map<4, 64, 8>();
constexpr auto kV38Tables = make_map<5, 64, 8>();
constexpr auto kV3ATables = make_map<6, 32, 8>();

}  // namespace

constexpr OpcodeMap kOpcodeMaps[kMapCount] = {
    {kM1Tables.opcode.data(), kM1Tables.group, kM1Tables.exact},
    {kM0FTables.opcode.data(), kM0FTables.group, kM0FTables.exact},
    {kM38Tables.opcode.data(), kM38Tables.group, kM38Tables.exact},
    {kM3ATables.opcode.data(), kM3ATables.group, kM3ATables.exact},
    {kV0FTables.opcode.data(), kV0FTables.group, kV0FTables.exact},
    {kV38Tables.opcode.data(), kV38Tables.group, kV38Tables.exact},
    {kV3ATables.opcode.data(), kV3ATables.group, kV3ATables.exact},
};

const FormInfo* const kFormInfo = kInfoTable.data();
const FormOperands* const kFormOperands = kOperandTable.data();

}  // namespace x86
}  // namespace oriel
