// The decoder and the disassembler against Zydis 4.0: every opcode of the four maps, with prefixes, every ModRM
// byte and a choice of SIB bytes, in all three modes: validity, length, mnemonic, operand sizes and operands. What is
// to be valid is what our CPUID promises.
#include <Zydis/Zydis.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "support/bare_machine.h"
#include "x86/decode.h"

using namespace oriel;

namespace {

struct Failure {
  u64 count = 0;
  std::string first;
};
u64 passed = 0, failed = 0;
std::map<std::string, Failure> failures;
std::vector<u32> form_seen;

constexpr const char* kModeName[3] = {"16", "32", "64"};

std::string hex(const u8* p, usize n) {
  std::string s;
  char b[4];
  for (usize k = 0; k < n; ++k) {
    std::snprintf(b, sizeof b, "%02x ", p[k]);
    s += b;
  }
  return s;
}

void fail(const std::string& key, CodeMode mode, const u8* p, usize n, const std::string& detail) {
  ++failed;
  Failure& f = failures[key];
  if (f.count++ == 0) f.first = std::string(kModeName[static_cast<int>(mode)]) + ": " + hex(p, n) + " " + detail;
}

void expect(bool ok, const char* what) {
  if (ok) {
    ++passed;
    return;
  }
  ++failed;
  ++failures[what].count;
}

// ---- what Zydis knows and we do not ------------------------------------------------------------

// ISA sets whose instructions must decode here; those of any other set must not.
bool in_our_set(ZydisISASet s) {
  switch (s) {
    case ZYDIS_ISA_SET_ADOX_ADCX:
    case ZYDIS_ISA_SET_AES:
    case ZYDIS_ISA_SET_AVX:
    case ZYDIS_ISA_SET_AVX2:
    case ZYDIS_ISA_SET_AVX2GATHER:
    case ZYDIS_ISA_SET_AVXAES:
    case ZYDIS_ISA_SET_BMI1:
    case ZYDIS_ISA_SET_BMI2:
    case ZYDIS_ISA_SET_CLFSH:
    case ZYDIS_ISA_SET_CMOV:
    case ZYDIS_ISA_SET_CMPXCHG16B:
    case ZYDIS_ISA_SET_F16C:
    case ZYDIS_ISA_SET_FAT_NOP:
    case ZYDIS_ISA_SET_FCMOV:
    case ZYDIS_ISA_SET_FMA:
    case ZYDIS_ISA_SET_FXSAVE:
    case ZYDIS_ISA_SET_FXSAVE64:
    case ZYDIS_ISA_SET_I186:
    case ZYDIS_ISA_SET_I286PROTECTED:
    case ZYDIS_ISA_SET_I286REAL:
    case ZYDIS_ISA_SET_I386:
    case ZYDIS_ISA_SET_I486:
    case ZYDIS_ISA_SET_I486REAL:
    case ZYDIS_ISA_SET_I86:
    case ZYDIS_ISA_SET_INVPCID:
    case ZYDIS_ISA_SET_LAHF:
    case ZYDIS_ISA_SET_LONGMODE:
    case ZYDIS_ISA_SET_LZCNT:
    case ZYDIS_ISA_SET_MOVBE:
    case ZYDIS_ISA_SET_PAUSE:
    case ZYDIS_ISA_SET_PCLMULQDQ:
    case ZYDIS_ISA_SET_PENTIUMMMX:
    case ZYDIS_ISA_SET_PENTIUMREAL:
    case ZYDIS_ISA_SET_POPCNT:
    case ZYDIS_ISA_SET_PPRO:
    case ZYDIS_ISA_SET_PREFETCH_NOP:
    case ZYDIS_ISA_SET_RDPMC:
    case ZYDIS_ISA_SET_RDTSCP:
    case ZYDIS_ISA_SET_RDWRFSGS:
    case ZYDIS_ISA_SET_SMAP:
    case ZYDIS_ISA_SET_SSE:
    case ZYDIS_ISA_SET_SSE2:
    case ZYDIS_ISA_SET_SSE2MMX:
    case ZYDIS_ISA_SET_SSE3:
    case ZYDIS_ISA_SET_SSE3X87:
    case ZYDIS_ISA_SET_SSE4:
    case ZYDIS_ISA_SET_SSE42:
    case ZYDIS_ISA_SET_SSEMXCSR:
    case ZYDIS_ISA_SET_SSE_PREFETCH:
    case ZYDIS_ISA_SET_SSSE3:
    case ZYDIS_ISA_SET_SSSE3MMX:
    case ZYDIS_ISA_SET_SVM:
    case ZYDIS_ISA_SET_X87:
    case ZYDIS_ISA_SET_CLFLUSHOPT:
    case ZYDIS_ISA_SET_CLWB:
    case ZYDIS_ISA_SET_PKU:
    case ZYDIS_ISA_SET_XSAVE:
    case ZYDIS_ISA_SET_XSAVEOPT: return true;
    default: return false;
  }
}

// CPUID's bits of sets: what it promises is in our set, and nothing else is.
struct Feature {
  u32 leaf;
  u8 reg, bit;  // EAX, EBX, ECX, EDX
  ZydisISASet set;
  u32 subleaf = 0;
};
constexpr Feature kFeatures[] = {
    {1, 2, 0, ZYDIS_ISA_SET_SSE3},
    {1, 2, 1, ZYDIS_ISA_SET_PCLMULQDQ},
    {1, 2, 3, ZYDIS_ISA_SET_MONITOR},
    {1, 2, 5, ZYDIS_ISA_SET_VTX},
    {1, 2, 6, ZYDIS_ISA_SET_SMX},
    {1, 2, 9, ZYDIS_ISA_SET_SSSE3},
    {1, 2, 12, ZYDIS_ISA_SET_FMA},
    {1, 2, 13, ZYDIS_ISA_SET_CMPXCHG16B},
    {1, 2, 19, ZYDIS_ISA_SET_SSE4},
    {1, 2, 20, ZYDIS_ISA_SET_SSE42},
    {1, 2, 22, ZYDIS_ISA_SET_MOVBE},
    {1, 2, 23, ZYDIS_ISA_SET_POPCNT},
    {1, 2, 25, ZYDIS_ISA_SET_AES},
    {1, 2, 26, ZYDIS_ISA_SET_XSAVE},
    {1, 2, 28, ZYDIS_ISA_SET_AVX},
    {1, 2, 29, ZYDIS_ISA_SET_F16C},
    {1, 2, 30, ZYDIS_ISA_SET_RDRAND},
    {1, 3, 0, ZYDIS_ISA_SET_X87},
    {1, 3, 15, ZYDIS_ISA_SET_CMOV},
    {1, 3, 19, ZYDIS_ISA_SET_CLFSH},
    {1, 3, 23, ZYDIS_ISA_SET_PENTIUMMMX},
    {1, 3, 24, ZYDIS_ISA_SET_FXSAVE},
    {1, 3, 25, ZYDIS_ISA_SET_SSE},
    {1, 3, 26, ZYDIS_ISA_SET_SSE2},
    {7, 1, 0, ZYDIS_ISA_SET_RDWRFSGS},
    {7, 1, 2, ZYDIS_ISA_SET_SGX},
    {7, 1, 3, ZYDIS_ISA_SET_BMI1},
    {7, 1, 4, ZYDIS_ISA_SET_RTM},
    {7, 1, 5, ZYDIS_ISA_SET_AVX2},
    {7, 1, 8, ZYDIS_ISA_SET_BMI2},
    {7, 1, 10, ZYDIS_ISA_SET_INVPCID},
    {7, 1, 18, ZYDIS_ISA_SET_RDSEED},
    {7, 1, 19, ZYDIS_ISA_SET_ADOX_ADCX},
    {7, 1, 20, ZYDIS_ISA_SET_SMAP},
    {7, 1, 23, ZYDIS_ISA_SET_CLFLUSHOPT},
    {7, 1, 24, ZYDIS_ISA_SET_CLWB},
    {7, 1, 29, ZYDIS_ISA_SET_SHA},
    {7, 2, 3, ZYDIS_ISA_SET_PKU},
    {7, 2, 8, ZYDIS_ISA_SET_GFNI},
    {7, 2, 9, ZYDIS_ISA_SET_VAES},
    {7, 2, 10, ZYDIS_ISA_SET_VPCLMULQDQ},
    {7, 2, 22, ZYDIS_ISA_SET_RDPID},
    {0xd, 0, 0, ZYDIS_ISA_SET_XSAVEOPT, 1},
    {0xd, 0, 1, ZYDIS_ISA_SET_XSAVEC, 1},
    {0xd, 0, 3, ZYDIS_ISA_SET_XSAVES, 1},
    {0x80000001, 2, 0, ZYDIS_ISA_SET_LAHF},
    {0x80000001, 2, 2, ZYDIS_ISA_SET_SVM},
    {0x80000001, 2, 5, ZYDIS_ISA_SET_LZCNT},
    {0x80000001, 2, 6, ZYDIS_ISA_SET_SSE4A},
    {0x80000001, 2, 11, ZYDIS_ISA_SET_XOP},
    {0x80000001, 2, 16, ZYDIS_ISA_SET_FMA4},
    {0x80000001, 2, 21, ZYDIS_ISA_SET_TBM},
    {0x80000001, 3, 27, ZYDIS_ISA_SET_RDTSCP},
    {0x80000001, 3, 29, ZYDIS_ISA_SET_LONGMODE},
    {0x80000001, 3, 31, ZYDIS_ISA_SET_AMD3DNOW},
};

// What may decode or not: features that no bit promises, and instructions that do nothing but raise #UD.
bool may_be_either(const ZydisDecodedInstruction& z) {
  switch (z.mnemonic) {
    case ZYDIS_MNEMONIC_UD0:
    case ZYDIS_MNEMONIC_UD1:
    case ZYDIS_MNEMONIC_UD2: return true;
    case ZYDIS_MNEMONIC_SKINIT: return true;  // of the SVM set, not there
    default: break;
  }
  switch (z.meta.isa_set) {
    case ZYDIS_ISA_SET_PREFETCHWT1: return true;
    default: return false;
  }
}

// The 16-bit system registers: the memory operand is a word whatever the operand size.
bool stores_word(const ZydisDecodedInstruction& z) {
  switch (z.mnemonic) {
    case ZYDIS_MNEMONIC_SLDT:
    case ZYDIS_MNEMONIC_STR:
    case ZYDIS_MNEMONIC_SMSW: return true;
    default: return z.mnemonic == ZYDIS_MNEMONIC_MOV && z.opcode == 0x8c;
  }
}

// ---- expected operands from an Insn ------------------------------------------------------------

ZydisRegister gpr(unsigned n, unsigned log2_bytes) {
  if (n == kZero) return ZYDIS_REGISTER_NONE;
  if (n == kRipBase) return log2_bytes == 3 ? ZYDIS_REGISTER_RIP : ZYDIS_REGISTER_EIP;
  return ZydisRegisterEncode(log2_bytes == 3   ? ZYDIS_REGCLASS_GPR64
                             : log2_bytes == 2 ? ZYDIS_REGCLASS_GPR32
                                               : ZYDIS_REGCLASS_GPR16,
                             static_cast<ZyanU8>(n));
}

ZydisRegister gpr_byte(u8 slot) {
  if (slot & 7) return static_cast<ZydisRegister>(ZYDIS_REGISTER_AH + (slot >> 3));
  unsigned n = slot >> 3;
  if (n < 4) return static_cast<ZydisRegister>(ZYDIS_REGISTER_AL + n);
  if (n < 8) return static_cast<ZydisRegister>(ZYDIS_REGISTER_SPL + n - 4);
  return static_cast<ZydisRegister>(ZYDIS_REGISTER_R8B + n - 8);
}

unsigned operand_size(const Insn& i, std::string_view size) {
  if (i.op == OP_MOVSXD_GvEd_rw || i.op == OP_MOVSXD_GvEd_mw) return 1;  // the source is 16 bits wide then
  if (size == "b") return 0;
  if (size == "w") return 1;
  if (size == "d") return 2;
  if (size == "q") return 3;
  if (size == "y") return i.osz == 3 ? 3 : 2;
  return i.osz;
}

ZydisRegister general(const Insn& i, u8 slot, std::string_view size) {
  return size == "b" ? gpr_byte(slot) : gpr(slot, operand_size(i, size));
}

u64 truncate(u64 v, unsigned log2_bytes) { return log2_bytes == 3 ? v : v & ((u64{1} << (8u << log2_bytes)) - 1); }

// Whether VEX.L chooses a YMM register for an operand of that size.
bool is_ymm(const Insn& i, std::string_view size) {
  return (size == "x" || size == "qx") && (i.vex & 2) && (kForms[form_of(i.op)].attrs & (VL | L1));
}

// Bits of memory operands by code suffix, 0 where the size is not compared.
unsigned memory_bits(const Insn& i, std::string_view size) {
  const unsigned vector = i.vex & 2 ? 256 : 128;
  if (is_ymm(i, size)) return 256;
  if (size == "qx") return 64;
  if (size == "x2") return vector / 2;
  if (size == "x4") return vector / 4;
  if (size == "x8") return vector / 8;
  if (size == "b") return 8;
  if (size == "w") return 16;
  if (size == "d" || size == "fd") return 32;
  if (size == "q" || size == "fq") return 64;
  if (size == "v" || size == "y") return 8u << operand_size(i, size);
  if (size == "x" || size == "dq") return 128;
  if (size == "ft") return 80;
  if (size == "a") return 16u << i.osz;
  if (size == "p") return (8u << i.osz) + 16;
  return 0;
}

std::string check_memory(const Insn& i, const ZydisDecodedOperand& o, std::string_view code) {
  if (o.type != ZYDIS_OPERAND_TYPE_MEMORY) return "not memory";
  const std::string_view size = code.substr(1);
  if (unsigned bits = memory_bits(i, size); bits && bits != o.size && o.mem.type == ZYDIS_MEMOP_TYPE_MEM)
    return "memory size " + std::to_string(bits) + " for " + std::to_string(o.size);
  if (o.mem.base != gpr(i.base, i.asz)) return "base";
  if (code[0] == 'T') {
    const bool ymm = (i.vex & 2) && (size == "d" || (i.opcode & 1));
    if (o.mem.index != ZydisRegisterEncode(ymm ? ZYDIS_REGCLASS_YMM : ZYDIS_REGCLASS_XMM, i.index)) return "index";
  } else if (o.mem.index != gpr(i.index, i.asz)) {
    return "index";
  }
  if (i.index != kZero && o.mem.scale != 1u << i.scale) return "scale";
  if (o.mem.type == ZYDIS_MEMOP_TYPE_MEM && o.mem.segment != ZydisRegisterEncode(ZYDIS_REGCLASS_SEGMENT, i.seg))
    return "segment";
  const u64 d = truncate(static_cast<u64>(s64{i.disp}), i.asz);
  if (truncate(static_cast<u64>(o.mem.disp.value), i.asz) != d) return "displacement";
  return {};
}

std::string check_register(const ZydisDecodedOperand& o, ZydisRegister want) {
  if (o.type != ZYDIS_OPERAND_TYPE_REGISTER) return "not a register";
  if (o.reg.value != want)
    return std::string("register ") + (ZydisRegisterGetString(want) ? ZydisRegisterGetString(want) : "?") + " for " +
           ZydisRegisterGetString(o.reg.value);
  return {};
}

std::string check_operand(const Insn& i, bool long_mode, std::string_view code, const ZydisDecodedOperand& o,
                          unsigned& imms) {
  const char letter = code[0];
  const std::string_view size = code.substr(1);
  const bool mem = i.flags & kInsnMem;
  const ZydisRegisterClass vector_class = is_ymm(i, size) ? ZYDIS_REGCLASS_YMM : ZYDIS_REGCLASS_XMM;
  auto vec = [](ZydisRegisterClass c, unsigned n) { return ZydisRegisterEncode(c, static_cast<ZyanU8>(n)); };
  if (code == "AL") return check_register(o, ZYDIS_REGISTER_AL);
  if (code == "AX") return check_register(o, ZYDIS_REGISTER_AX);
  if (code == "CL") return check_register(o, ZYDIS_REGISTER_CL);
  if (code == "DX") return check_register(o, ZYDIS_REGISTER_DX);
  if (code == "eAX") return check_register(o, gpr(0, i.osz));
  if (code == "ST0") return check_register(o, ZYDIS_REGISTER_ST0);
  if (code == "STi") return check_register(o, vec(ZYDIS_REGCLASS_X87, i.rm));
  if (code == "XMM0") return check_register(o, ZYDIS_REGISTER_XMM0);
  if (code == "1") return o.type == ZYDIS_OPERAND_TYPE_IMMEDIATE && o.imm.value.u == 1 ? "" : "not 1";
  for (unsigned s = 0; s < 6; ++s)
    if (code == std::string_view("ESCSSSDSFSGS").substr(s * 2, 2))
      return check_register(o, vec(ZYDIS_REGCLASS_SEGMENT, s));
  switch (letter) {
    case 'E':
    case 'M':
    case 'R': return mem ? check_memory(i, o, code) : check_register(o, general(i, i.rm, size));
    case 'G': return check_register(o, general(i, i.reg, size));
    case 'Z': return check_register(o, general(i, i.rm, size));
    case 'B': return check_register(o, general(i, i.vvvv, size));
    case 'S': return check_register(o, vec(ZYDIS_REGCLASS_SEGMENT, i.reg));
    case 'C': return check_register(o, vec(ZYDIS_REGCLASS_CONTROL, i.reg));
    case 'D': return check_register(o, vec(ZYDIS_REGCLASS_DEBUG, i.reg));
    case 'P': return check_register(o, vec(ZYDIS_REGCLASS_MMX, i.reg));
    case 'Q':
    case 'N': return mem ? check_memory(i, o, code) : check_register(o, vec(ZYDIS_REGCLASS_MMX, i.rm));
    case 'V': return check_register(o, vec(vector_class, i.reg));
    case 'H': return check_register(o, vec(vector_class, i.vvvv));
    case 'L': return check_register(o, vec(vector_class, i.imm >> 4 & (long_mode ? 15 : 7)));
    case 'T': return check_memory(i, o, code);
    case 'W':
    case 'U': return mem ? check_memory(i, o, code) : check_register(o, vec(vector_class, i.rm));
    case 'O': {
      if (o.type != ZYDIS_OPERAND_TYPE_MEMORY || !mem) return "not memory";
      if (truncate(static_cast<u64>(o.mem.disp.value), i.asz) != i.imm) return "moffs";
      return o.mem.segment == vec(ZYDIS_REGCLASS_SEGMENT, i.seg) ? "" : "segment";
    }
    case 'X':
    case 'Y': {
      if (o.type != ZYDIS_OPERAND_TYPE_MEMORY) return "not memory";
      if (o.mem.base != gpr(letter == 'X' ? kRSI : kRDI, i.asz)) return "string base";
      if (o.size != 8u << operand_size(i, size)) return "string size";
      return o.mem.segment == vec(ZYDIS_REGCLASS_SEGMENT, letter == 'X' ? i.seg : u8{kES}) ? "" : "segment";
    }
    case 'J':
      if (o.type != ZYDIS_OPERAND_TYPE_IMMEDIATE || !o.imm.is_relative) return "not relative";
      return o.imm.value.s == i.disp ? "" : "relative target";
    case 'A':
      if (o.type != ZYDIS_OPERAND_TYPE_POINTER) return "not a far pointer";
      return o.ptr.segment == i.imm2 && o.ptr.offset == i.imm ? "" : "far pointer";
    case 'I': {
      if (o.type != ZYDIS_OPERAND_TYPE_IMMEDIATE) return "not an immediate";
      const u64 v = imms++ ? i.imm2 : i.imm;
      const unsigned bits = size == "b" ? 0 : size == "w" ? 1 : i.osz;
      if (truncate(o.imm.value.u, bits) != truncate(v, bits)) return "immediate";
      if ((size == "z" || size == "bs") && v != static_cast<u64>(static_cast<s64>(static_cast<s32>(v))))
        return "extension";
      return {};
    }
    default: return "unknown operand code " + std::string(code);
  }
}

// ---- mnemonics ---------------------------------------------------------------------------------

// Our name for Zydis' name where they differ.
std::string_view our_name(std::string_view z) {
  struct Alias {
    std::string_view zydis, ours;
  };
  static constexpr Alias kAliases[] = {
      {"nb", "ae"}, {"z", "e"}, {"nz", "ne"}, {"nbe", "a"}, {"nl", "ge"}, {"nle", "g"},
  };
  static std::string buf;
  static constexpr Alias kWhole[] = {
      {"xlat", "xlatb"},
      {"feni8087_nop", "fneni"},
      {"fdisi8087_nop", "fndisi"},
      {"fsetpm287_nop", "fnsetpm"},
  };
  for (const Alias& a : kWhole)
    if (z == a.zydis) return a.ours;
  for (std::string_view stem : {"j", "set", "cmov"}) {
    if (!z.starts_with(stem)) continue;
    for (const Alias& a : kAliases) {
      if (z.substr(stem.size()) == a.zydis) {
        buf = std::string(stem) + std::string(a.ours);
        return buf;
      }
    }
  }
  return z;
}

// ---- one encoding ------------------------------------------------------------------------------

struct Reference {
  ZydisDecoder decoder;
  ZydisFormatter formatter;
};
Reference refs[3];

// Where we differ from Zydis on purpose.
struct Difference {
  const char* form;     // Form::id
  const char* operand;  // operand code that is not compared, "*" for all of them, or nullptr
  bool text;            // the operand text is not compared
  const char* why;
};
constexpr Difference kDifferences[] = {
    {"CMPXCHG8B", nullptr, true, "8 or 16 bytes by REX.W: the mnemonic says which, the operand has no size"},
    {"MOVSXD_GvEd", nullptr, true, "with a 16-bit operand size the source is r/m16; Zydis has m32"},
    {"CALL_Ap", nullptr, true, "Zydis pads the selector"},
    {"JMP_Ap", nullptr, true, "Zydis pads the selector"},
    {"RETF", nullptr, true, "Zydis: ret far"},
    {"RETF_Iw", nullptr, true, "Zydis: ret far"},
    {"NOP_0D", "*", true,
     "the manual reserves all of the group but PREFETCHW and PREFETCHWT1, which the model has not"},
    {"CLFLUSH", "Mb", true, "the manual says m8, Zydis has the whole line"},
    {"CLFLUSHOPT", "Mb", true, "the manual says m8, Zydis has the whole line"},
    {"CLWB", "Mb", true, "the manual says m8, Zydis has the whole line"},
    {"LAR", "Ew", true, "only 16 bits of the register are read"},
    {"LSL", "Ew", true, "only 16 bits of the register are read"},
    {"FUCOMP", "*", true, "Zydis shows ST0 too, here alone among the comparisons with ST0"},
    {"VMRUN", "*", true, "the APM shows rAX as an operand, assemblers take it or leave it"},
    {"VMLOAD", "*", true, "as above"},
    {"VMSAVE", "*", true, "as above"},
    {"INVLPGA", "*", true, "as above"},
    {"UD0", "*", true, "the operands are decoded for their length alone"},
    {"UD1", "*", true, "the operands are decoded for their length alone"},
    {"MOVMSKPS_GdUx", "Gd", true, "the upper half is zero whatever REX.W"},
    {"MOVMSKPD_GdUx", "Gd", true, "the upper half is zero whatever REX.W"},
};

const Difference* difference(const char* form) {
  for (const Difference& d : kDifferences)
    if (std::string_view(d.form) == form) return &d;
  return nullptr;
}

// Returns false when the instruction has no ModRM byte, so that the sweep need not go through all of its values.
bool compare(const u8* p, CodeMode mode) {
  const Reference& ref = refs[static_cast<int>(mode)];
  ZydisDecodedInstruction z{};
  ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
  const bool z_decodes = ZYAN_SUCCESS(ZydisDecoderDecodeFull(&ref.decoder, p, 15, &z, ops));
  bool z_valid = z_decodes && in_our_set(z.meta.isa_set);
  Insn i;
  const DecodeStatus st = decode(p, 15, mode, i);
  const bool valid = st == DecodeStatus::kOk && i.op > OP_LONG;
  if (st != DecodeStatus::kOk) {
    fail("status", mode, p, 15, "");
    return true;
  }
  if (z_decodes && may_be_either(z)) z_valid = valid;
  const bool more = !valid || kForms[form_of(i.op)].modrm >= 0;
  if (valid) ++form_seen[form_of(i.op)];
  if (valid != z_valid) {
    if (valid)
      fail(std::string("we accept ") + kForms[form_of(i.op)].id, mode, p, i.len,
           z_decodes ? std::string("Zydis: not our set: ") + ZydisMnemonicGetString(z.mnemonic) : "Zydis: invalid");
    else
      fail(std::string("we reject ") + ZydisMnemonicGetString(z.mnemonic) + " (" +
               ZydisISASetGetString(z.meta.isa_set) + ")",
           mode, p, z.length, "");
    return more;
  }
  if (!valid) {
    ++passed;
    return !z_decodes || (z.attributes & ZYDIS_ATTRIB_HAS_MODRM);
  }
  const Form& f = kForms[form_of(i.op)];
  const Difference* diff = difference(f.id);
  if (i.len != z.length) {
    fail(std::string("length ") + f.id, mode, p, z.length, "ours " + std::to_string(i.len));
    return more;
  }
  char text[128];
  const usize n = disassemble(i, mode, 0x1000, text, sizeof text);
  if (n == 0 || n >= sizeof text) fail("text", mode, p, i.len, "");
  std::string_view ours(text);
  for (std::string_view pre : {"lock ", "rep ", "repe ", "repne "})
    if (ours.starts_with(pre)) ours.remove_prefix(pre.size());
  const std::string_view name = ours.substr(0, ours.find(' '));
  std::string_view want = our_name(ZydisMnemonicGetString(z.mnemonic));
  if (z.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR && want == "ret") want = "retf";
  if (z.mnemonic == ZYDIS_MNEMONIC_PREFETCH || z.mnemonic == ZYDIS_MNEMONIC_PREFETCHWT1) want = "nop";
  if (name != want)
    fail(std::string("mnemonic ") + f.id + " " + std::string(want), mode, p, i.len, "ours " + std::string(name));

  // Zydis lists operands for the hint space that the manual does not have, and none for NOP.
  if (z.mnemonic == ZYDIS_MNEMONIC_NOP) {
    ++passed;
    return more;
  }
  // Operands: Zydis' visible ones in order; where the counts differ, its hidden ones count too.
  std::string_view codes = f.operands;
  unsigned count = 0, imms = 0;
  while (!codes.empty()) {
    const usize comma = codes.find(',');
    const std::string_view code = codes.substr(0, comma);
    codes = comma == std::string_view::npos ? std::string_view() : codes.substr(comma + 1);
    const unsigned k = count++;
    if (k >= z.operand_count) {
      fail(std::string("operand count ") + f.id, mode, p, i.len, ours.data());
      return more;
    }
    if (diff && diff->operand && (code == diff->operand || diff->operand == std::string_view("*"))) continue;
    if (stores_word(z) && code == "Ev") {
      if (std::string e = check_operand(i, mode == CodeMode::k64, (i.flags & kInsnMem) ? "Ew" : "Ev", ops[k], imms);
          !e.empty())
        fail(std::string("operand ") + f.id + " " + std::string(code) + ": " + e, mode, p, i.len, text);
      continue;
    }
    if (std::string e = check_operand(i, mode == CodeMode::k64, code, ops[k], imms); !e.empty()) {
      fail(std::string("operand ") + f.id + " " + std::string(code) + ": " + e, mode, p, i.len, text);
      return more;
    }
  }
  if (count < z.operand_count_visible && !(diff && diff->operand)) {
    fail(std::string("operand count ") + f.id, mode, p, i.len, text);
    return more;
  }
  // Operand text.
  char ztext[160];
  if (z.operand_count_visible == count && !(diff && diff->text) &&
      ZYAN_SUCCESS(ZydisFormatterFormatInstruction(&ref.formatter, &z, ops, z.operand_count_visible, ztext,
                                                   sizeof ztext, 0x1000, nullptr))) {
    const std::string_view zname = ZydisMnemonicGetString(z.mnemonic);
    const std::string_view zall(ztext);
    std::string theirs(zall.substr(zall.find(zname) + zname.size()));
    std::string mine(ours.substr(name.size()));
    // A constant 1 is printed as such, relative targets wrap at the operand size, and an override that
    // changes nothing is not printed (the operand's segment has been compared above).
    if (mine.ends_with(", 1") && theirs.ends_with(", 0x1")) theirs.replace(theirs.size() - 3, 3, "1");
    const bool relative = i.disp < 0 && f.operands[0] == 'J' && mode != CodeMode::k64;
    for (const char* dflt : {"ss:[", "ds:["}) {
      if (const usize at = theirs.find(dflt); at != std::string::npos && mine.find(dflt) == std::string::npos)
        theirs.erase(at, 3);
    }
    if (theirs != mine && !relative && !(stores_word(z) && (i.flags & kInsnMem))) {
      fail(std::string("text ") + f.id, mode, p, i.len, std::string(ztext) + " | " + text);
      return more;
    }
  }
  ++passed;
  return more;
}

// ---- the sweep ---------------------------------------------------------------------------------

struct Prefixes {
  const char* bytes;
  bool only64;
};
constexpr Prefixes kPrefixes[] = {
    {"", false},         {"\x66", false},     {"\xf3", false},        {"\xf2", false},        {"\x67", false},
    {"\xf0", false},     {"\x64", false},     {"\x36", false},        {"\x66\xf2", false},    {"\xf3\x66", false},
    {"\x67\x66", false}, {"\x40", true},      {"\x48", true},         {"\x4f", true},         {"\x44", true},
    {"\x41", true},      {"\x42", true},      {"\x66\x48", true},     {"\xf3\x48", true},     {"\xf2\x4d", true},
    {"\xf0\x48", true},  {"\x48\x66", true},  {"\x67\x48", true},     {"\x65\x2e\x41", true}, {"\xf2\xf3", false},
    {"\x66\xf0", false}, {"\xf2\xf0", false}, {"\x66\xf2\x48", true},
};

void sweep_opcode(u8* buf, usize at, CodeMode mode, bool all_sibs) {
  static constexpr u8 kTail[4][12] = {
      {0x12, 0x34, 0x56, 0x78, 0x1a, 0x2b, 0x3c, 0x4d, 0x5e, 0x6f, 0x70, 0x71},
      {0x8c, 0xfe, 0xdc, 0xba, 0x98, 0x87, 0xa6, 0xb5, 0xc4, 0xd3, 0xe2, 0xf1},
      {0x25, 0x80, 0xff, 0x7f, 0x80, 0xff, 0x7f, 0x80, 0xff, 0x7f, 0x80, 0xff},
      {0xe5, 0x00, 0x00, 0x00, 0x80, 0x00, 0x00, 0x00, 0x80, 0x00, 0x01, 0x02},
  };
  for (unsigned m = 0; m < 256; ++m) {
    buf[at] = static_cast<u8>(m);
    std::memcpy(buf + at + 1, kTail[(m ^ m >> 3 ^ m >> 6) & 3], 12);
    if (!compare(buf, mode) && m >= 3) return;
    if (all_sibs && m < 0xc0 && (m & 7) == 4) {
      for (unsigned sib = 0; sib < 256; ++sib) {
        buf[at + 1] = static_cast<u8>(sib);
        compare(buf, mode);
      }
    }
  }
}

void sweep_legacy(CodeMode mode) {
  static constexpr const char* kEscapes[4] = {"", "\x0f", "\x0f\x38", "\x0f\x3a"};
  u8 buf[40] = {};
  for (const Prefixes& pre : kPrefixes) {
    if (pre.only64 && mode != CodeMode::k64) continue;
    usize n = std::strlen(pre.bytes);
    std::memcpy(buf, pre.bytes, n);
    for (unsigned map = 0; map < 4; ++map) {
      usize at = n;
      for (const char* e = kEscapes[map]; *e; ++e) buf[at++] = static_cast<u8>(*e);
      for (unsigned op = 0; op < 256; ++op) {
        if (map == 1 && (op == 0x38 || op == 0x3a)) continue;
        buf[at] = static_cast<u8>(op);
        sweep_opcode(buf, at + 1, mode, map == 0 && (op == 0x8b || op == 0x8d || op == 0x88));
      }
    }
  }
}

void sweep_vex(CodeMode mode) {
  u8 buf[40] = {};
  // C4: every map, W, L, pp; register fields by a few patterns of R X B and vvvv.
  for (unsigned rxb : {0xe0u, 0x00u, 0x40u, 0xa0u, 0xc0u}) {
    for (unsigned mmmmm : {0u, 1u, 2u, 3u, 4u, 8u}) {
      for (unsigned vvvv : {15u, 7u, 0u, 11u}) {
        for (unsigned wlpp = 0; wlpp < 16; ++wlpp) {
          buf[0] = 0xc4;
          buf[1] = static_cast<u8>(rxb | mmmmm);
          buf[2] = static_cast<u8>((wlpp & 8) << 4 | vvvv << 3 | (wlpp & 7));
          for (unsigned op = 0; op < 256; ++op) {
            // Every ModRM byte with the registers below eight, else samples.
            buf[3] = static_cast<u8>(op);
            if (rxb == 0xe0 && (vvvv == 15 || vvvv == 11)) {
              sweep_opcode(buf, 4, mode, false);
            } else {
              for (unsigned m : {0x05u, 0x4cu, 0xc1u, 0xf8u}) {
                buf[4] = static_cast<u8>(m);
                buf[5] = static_cast<u8>(0x4b ^ vvvv << 3);  // SIB
                compare(buf, mode);
              }
            }
          }
        }
      }
    }
  }
  for (unsigned b1 = 0; b1 < 256; ++b1) {
    buf[0] = 0xc5;
    buf[1] = static_cast<u8>(b1);
    for (unsigned op = 0; op < 256; ++op) {
      buf[2] = static_cast<u8>(op);
      for (unsigned m : {0x05u, 0xc1u}) {
        buf[3] = static_cast<u8>(m);
        compare(buf, mode);
      }
    }
  }
  // Prefixes that VEX does not tolerate, and those it does.
  for (u8 pre : {0x66, 0xf2, 0xf3, 0xf0, 0x48, 0x67, 0x2e, 0x65}) {
    if (pre == 0x48 && mode != CodeMode::k64) continue;
    const u8 andn[] = {pre, 0xc4, 0xe2, 0x60, 0xf2, 0xc1, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    const u8 blsr[] = {pre, 0xc4, 0xe2, 0x60, 0xf3, 0x4c, 0x48, 0x81, 0, 0, 0, 0, 0, 0, 0};
    compare(andn, mode);
    compare(blsr, mode);
  }
}

// ---- what Zydis does not say -------------------------------------------------------------------

Insn one(CodeMode mode, std::initializer_list<int> bytes, usize n = 0) {
  u8 buf[16] = {};
  usize k = 0;
  for (int b : bytes) buf[k++] = static_cast<u8>(b);
  Insn i{};
  if (decode(buf, n ? n : 15, mode, i) != DecodeStatus::kOk) i.op = OP_COUNT;
  return i;
}

void directed() {
  constexpr CodeMode m16 = CodeMode::k16, m32 = CodeMode::k32, m64 = CodeMode::k64;
  // Limits and truncation.
  expect(one(m64, {0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66}).op ==
             OP_LONG,
         "15 prefixes");
  expect(one(m64, {0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90}).len == 15,
         "15 bytes");
  expect(one(m64, {0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x81, 0x00, 1, 2, 3}).op == OP_LONG,
         "16 bytes");
  expect(one(m64, {0x0f, 0xff}, 1).op == OP_COUNT, "one byte of two");
  expect(one(m64, {0xb8, 1, 2, 3, 4}, 4).op == OP_COUNT, "immediate cut");
  expect(one(m64, {0xb8, 1, 2, 3, 4}, 5).len == 5, "immediate whole");
  expect(one(m64, {0x06}).op == OP_UD && one(m64, {0x06}).len == 1, "PUSH ES in 64-bit mode");
  // Flags and sizes.
  Insn i = one(m64, {0xf2, 0xf3, 0xa4});
  expect((i.flags & (kInsnRep | kInsnRepne)) == kInsnRep, "the last of F2 and F3 wins");
  i = one(m64, {0x64, 0x2e, 0x8b, 0x00});
  expect(i.seg == kFS, "CS override after FS is ignored in 64-bit mode");
  i = one(m32, {0x64, 0x2e, 0x8b, 0x00});
  expect(i.seg == kCS, "the last override wins");
  i = one(m64, {0x66, 0xe8, 1, 2, 3, 4});
  expect(i.len == 6 && i.osz == 3, "66 on a near CALL is ignored in 64-bit mode");
  i = one(m32, {0x66, 0xe8, 1, 0x82});
  expect(i.len == 4 && i.osz == 1 && i.disp == static_cast<s16>(0x8201), "CALL rel16");
  i = one(m64, {0xc8, 0x34, 0x12, 0x05});
  expect(i.imm == 0x1234 && i.imm2 == 5 && i.osz == 3, "ENTER");
  i = one(m64, {0x83, 0xc0, 0xff});
  expect(i.op == OP_ADD_EvIbs_rd && i.imm == ~u64{0}, "ADD r32, imm8");
  i = one(m64, {0x48, 0x01, 0x18});
  expect(i.op == OP_ADD_EvGv_mq && i.base == kRAX && i.index == kZero && i.reg == kRBX, "ADD [rax], rbx");
  i = one(m16, {0x00, 0x20});
  expect(i.op == OP_ADD_EbGb_m && i.reg == 1 && i.osz == 0, "ADD [bx+si], ah");
  i = one(m64, {0x40, 0x88, 0xe0});
  expect(i.reg == kRSP * 8 && i.rm == 0, "MOV al, spl");
  i = one(m64, {0xa0, 1, 2, 3, 4, 5, 6, 7, 0x88});
  expect(i.len == 9 && i.imm == 0x8807060504030201 && (i.flags & kInsnMem), "moffs64");
  i = one(m64, {0x67, 0xa1, 1, 2, 3, 0x84});
  expect(i.len == 6 && i.imm == 0x84030201, "moffs32");
  expect(ends_block(one(m64, {0xeb, 0xfe})) && ends_block(one(m64, {0x06})) && !ends_block(one(m64, {0x90})), "END");
  // Zydis says PAUSE here; processors exchange R8 (SDM Vol. 2, NOP: 90 is a NOP without REX.B only).
  expect(one(m64, {0xf3, 0x41, 0x90}).op == OP_XCHG_ZveAX_d, "F3 90 with REX.B");
  expect(one(m64, {0xf3, 0x48, 0x90}).op == OP_PAUSE, "PAUSE with REX.W");
  char tiny[4];
  expect(disassemble(one(m64, {0x90}), m64, 0, tiny, 3) == 2 && tiny[2] == 0, "short buffer");
}

}  // namespace

int main() {
  form_seen.resize(kFormCount);
  static constexpr ZydisMachineMode kModes[3] = {ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_MACHINE_MODE_LEGACY_32,
                                                 ZYDIS_MACHINE_MODE_LONG_64};
  static constexpr ZydisStackWidth kWidths[3] = {ZYDIS_STACK_WIDTH_16, ZYDIS_STACK_WIDTH_32, ZYDIS_STACK_WIDTH_64};
  for (int m = 0; m < 3; ++m) {
    ZydisDecoderInit(&refs[m].decoder, kModes[m], kWidths[m]);
    for (ZydisDecoderMode off : {ZYDIS_DECODER_MODE_MPX, ZYDIS_DECODER_MODE_CET, ZYDIS_DECODER_MODE_CLDEMOTE})
      ZydisDecoderEnableMode(&refs[m].decoder, off, ZYAN_FALSE);
    ZydisFormatter* fm = &refs[m].formatter;
    ZydisFormatterInit(fm, ZYDIS_FORMATTER_STYLE_INTEL);
    ZydisFormatterSetProperty(fm, ZYDIS_FORMATTER_PROP_HEX_UPPERCASE, ZYAN_FALSE);
    ZydisFormatterSetProperty(fm, ZYDIS_FORMATTER_PROP_FORCE_RELATIVE_RIPREL, ZYAN_TRUE);
    ZydisFormatterSetProperty(fm, ZYDIS_FORMATTER_PROP_FORCE_SIZE, ZYAN_TRUE);
    ZydisFormatterSetProperty(fm, ZYDIS_FORMATTER_PROP_FORCE_SCALE_ONE, ZYAN_FALSE);
    for (ZydisFormatterProperty pad :
         {ZYDIS_FORMATTER_PROP_ADDR_PADDING_ABSOLUTE, ZYDIS_FORMATTER_PROP_ADDR_PADDING_RELATIVE,
          ZYDIS_FORMATTER_PROP_DISP_PADDING, ZYDIS_FORMATTER_PROP_IMM_PADDING})
      ZydisFormatterSetProperty(fm, pad, ZYDIS_PADDING_DISABLED);
    ZydisFormatterSetProperty(fm, ZYDIS_FORMATTER_PROP_IMM_SIGNEDNESS, ZYDIS_SIGNEDNESS_UNSIGNED);
  }
  for (CodeMode mode : {CodeMode::k16, CodeMode::k32, CodeMode::k64}) {
    sweep_legacy(mode);
    sweep_vex(mode);
  }
  directed();
  StubBus bus;
  NoMmio mmio;
  BareMachine machine(bus, mmio);
  for (const Feature& f : kFeatures) {
    u32 regs[4];
    machine.cpu.cpuid(f.leaf, f.subleaf, regs);
    expect((regs[f.reg] >> f.bit & 1) == in_our_set(f.set), ZydisISASetGetString(f.set));
  }
  for (unsigned f = 0; f < kFormCount; ++f) {
    if (form_seen[f])
      ++passed;
    else
      ++failed, ++failures[std::string("no encoding reaches ") + kForms[f].id].count;
  }
  for (const auto& [key, f] : failures)
    std::printf("%s: %llu, first %s\n", key.c_str(), static_cast<unsigned long long>(f.count), f.first.c_str());
  std::printf("%llu passed, %llu failed\n", static_cast<unsigned long long>(passed),
              static_cast<unsigned long long>(failed));
  return failed != 0;
}
