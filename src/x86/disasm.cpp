// Intel-syntax text of decoded instructions, from the mnemonic and operand codes of the form.
#include "x86/decode.h"
#include "x86/decode_tables.h"

namespace oriel {

using namespace x86;

namespace {

constexpr const char* kGpr64[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                    "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
constexpr const char* kGpr32[16] = {"eax", "ecx", "edx",  "ebx",  "esp",  "ebp",  "esi",  "edi",
                                    "r8d", "r9d", "r10d", "r11d", "r12d", "r13d", "r14d", "r15d"};
constexpr const char* kGpr16[16] = {"ax",  "cx",  "dx",   "bx",   "sp",   "bp",   "si",   "di",
                                    "r8w", "r9w", "r10w", "r11w", "r12w", "r13w", "r14w", "r15w"};
constexpr const char* kGprLow[16] = {"al",  "cl",  "dl",   "bl",   "spl",  "bpl",  "sil",  "dil",
                                     "r8b", "r9b", "r10b", "r11b", "r12b", "r13b", "r14b", "r15b"};
constexpr const char* kGprHigh[4] = {"ah", "ch", "dh", "bh"};
constexpr const char* kSegName[6] = {"es", "cs", "ss", "ds", "fs", "gs"};

// Appends to a buffer of fixed size; what does not fit is dropped.
class Text {
 public:
  Text(char* buf, usize size) : buf_(buf), size_(size) {}
  void put(char c) {
    if (len_ + 1 < size_) buf_[len_++] = c;
  }
  void put(const char* s) {
    for (; *s; ++s) put(*s);
  }
  void hex(u64 v) {
    put("0x");
    unsigned digits = v ? (67 - static_cast<unsigned>(std::countl_zero(v))) / 4 : 1;
    while (digits--) put("0123456789abcdef"[v >> digits * 4 & 15]);
  }
  void number(unsigned v) {
    if (v >= 10) put(static_cast<char>('0' + v / 10 % 10));
    put(static_cast<char>('0' + v % 10));
  }
  usize finish() {
    if (size_) buf_[len_] = 0;
    return len_;
  }

 private:
  char* buf_;
  usize size_, len_ = 0;
};

constexpr u64 low_bits(u64 v, unsigned log2_bytes) {
  return log2_bytes >= 3 ? v : v & ((u64{1} << (8u << log2_bytes)) - 1);
}

class Printer {
 public:
  Printer(const Insn& i, CodeMode mode, u64 rip, char* buf, usize size)
      : i_(i), f_(kForms[form_of(i.op)]), ops_(kFormOperands[form_of(i.op)]), mode_(mode), rip_(rip), t_(buf, size) {}

  usize print() {
    if (i_.op <= OP_LONG) {
      t_.put(i_.op == OP_UD ? "(invalid)" : "(too long)");
      return t_.finish();
    }
    if (i_.flags & kInsnLock) t_.put("lock ");
    if (f_.attrs & REPS) {
      if (i_.flags & kInsnRep) t_.put(compares() ? "repe " : "rep ");
      if (i_.flags & kInsnRepne) t_.put(compares() ? "repne " : "rep ");
    }
    if (is_nop()) {
      t_.put("nop");
      return t_.finish();
    }
    mnemonic();
    bool first = true;
    for (const Operand& o : ops_.op) {
      if (o.kind == Opnd::kNone) break;
      t_.put(first ? " " : ", ");
      first = false;
      operand(o);
    }
    return t_.finish();
  }

 private:
  // CMPS and SCAS: the repeat prefixes test ZF.
  bool compares() const { return (i_.opcode & 0xf6) == 0xa6; }
  // XCHG rAX, rAX is NOP whatever its operand size.
  bool is_nop() const { return i_.opcode == 0x90 && i_.rm == 0 && f_.op == OP_XCHG_ZveAX_w; }

  // A mnemonic "A/B/C" has a name for each operand size (address size for JCXZ); "A/B" has B for the
  // larger size: 64 bits, or 32 where there is no 64-bit form. VZEROUPPER/VZEROALL: by the vector length.
  // String instructions get their size as a suffix.
  void mnemonic() {
    unsigned names = 1;
    for (const char* c = f_.mnemonic; *c; ++c) names += *c == '/';
    const unsigned size = ops_.op[0].kind == Opnd::kJ ? i_.asz : i_.osz;
    unsigned skip = names == 3 && size ? size - 1 : names == 2 ? size == (f_.attrs & I64 ? 2 : 3) : 0;
    if (names == 2 && (f_.attrs & VL)) skip = i_.vex >> 1 & 1;
    const char* c = f_.mnemonic;
    for (; skip; ++c) skip -= *c == '/';
    for (; *c && *c != '/'; ++c) t_.put(*c >= 'A' && *c <= 'Z' ? static_cast<char>(*c | 0x20) : *c);
    // Far transfers (LES and its like have a register first).
    const Operand& o0 = ops_.op[0];
    if (o0.kind == Opnd::kA || (o0.kind == Opnd::kM && o0.size == OpndSize::kP)) t_.put(" far");
    for (const Operand& o : ops_.op) {
      if ((o.kind == Opnd::kX || o.kind == Opnd::kY) && o.size == OpndSize::kV) {
        t_.put("wwdq"[i_.osz & 3]);
        break;
      }
    }
  }

  // Log2 of the bytes of a general register or immediate operand.
  unsigned size_of(OpndSize s) const {
    switch (s) {
      case OpndSize::kB: return 0;
      case OpndSize::kW: return 1;
      // MOVSXD with a 16-bit operand size reads 16 bits.
      case OpndSize::kD: return f_.op == OP_MOVSXD_GvEd_rw && i_.osz == 1 ? 1 : 2;
      case OpndSize::kQ: return 3;
      case OpndSize::kY: return i_.osz == 3 ? 3 : 2;
      default: return i_.osz;
    }
  }

  void gpr(unsigned r, unsigned size) {
    r &= 15;
    t_.put(size == 3 ? kGpr64[r] : size == 2 ? kGpr32[r] : kGpr16[r]);
  }

  // `slot` as Insn::reg and rm hold it.
  void general(u8 slot, OpndSize s) {
    if (s != OpndSize::kB)
      gpr(slot, size_of(s));
    else if (slot & 7)
      t_.put(kGprHigh[slot >> 3 & 3]);
    else
      t_.put(kGprLow[slot >> 3 & 15]);
  }

  void numbered(const char* name, unsigned n) {
    t_.put(name);
    t_.number(n);
  }

  bool is_ymm(OpndSize s) const {
    return (s == OpndSize::kX || s == OpndSize::kQx) && (i_.vex & 2) && (f_.attrs & (VL | L1));
  }
  void vector(unsigned n, OpndSize s) { numbered(is_ymm(s) ? "ymm" : "xmm", n); }
  // The index of a gather has as many lanes as it has elements: 64-bit data with 32-bit indices (even opcode) need half
  // a register.
  void vector_index(OpndSize element) {
    const bool half = element == OpndSize::kQ && !(i_.opcode & 1);
    numbered((i_.vex & 2) && !half ? "ymm" : "xmm", i_.index);
  }

  void memory_size(OpndSize s) {
    static constexpr const char* by_size[4] = {"byte", "word", "dword", "qword"};
    const char* name = "";
    switch (s) {
      case OpndSize::kB:
      case OpndSize::kW:
      case OpndSize::kD:
      case OpndSize::kQ:
      case OpndSize::kV:
      case OpndSize::kY:
        // A segment register is stored as a word whatever the operand size.
        name = by_size[ops_.op[1].kind == Opnd::kS ? 1 : size_of(s) & 3];
        break;
      case OpndSize::kDq: name = "xmmword"; break;
      case OpndSize::kX: name = is_ymm(s) ? "ymmword" : "xmmword"; break;
      case OpndSize::kQx: name = is_ymm(s) ? "ymmword" : "qword"; break;
      case OpndSize::kX2: name = i_.vex & 2 ? "xmmword" : "qword"; break;
      case OpndSize::kX4: name = i_.vex & 2 ? "qword" : "dword"; break;
      case OpndSize::kX8: name = i_.vex & 2 ? "dword" : "word"; break;
      case OpndSize::kT: name = "tbyte"; break;
      case OpndSize::kP: name = i_.osz == 1 ? "dword" : i_.osz == 2 ? "fword" : "tbyte"; break;
      case OpndSize::kA: name = i_.osz == 1 ? "dword" : "qword"; break;
      case OpndSize::kS: name = mode_ == CodeMode::k64 ? "tbyte" : "fword"; break;
      default: return;
    }
    t_.put(name);
    t_.put(" ptr ");
  }

  void segment(u8 dflt) {
    if (i_.seg == dflt) return;
    t_.put(kSegName[i_.seg < 6 ? i_.seg : 0]);
    t_.put(':');
  }

  void memory(OpndSize s, bool vsib = false) {
    memory_size(s);
    if (f_.op != OP_LEA_GvM_w) segment(i_.base == kRSP || i_.base == kRBP ? kSS : kDS);
    t_.put('[');
    bool any = false;
    if (i_.base == kRipBase) {
      t_.put(i_.asz == 3 ? "rip" : "eip");
      any = true;
    } else if (i_.base != kZero) {
      gpr(i_.base, i_.asz);
      any = true;
    }
    if (i_.index != kZero) {
      if (any) t_.put('+');
      if (vsib)
        vector_index(s);
      else
        gpr(i_.index, i_.asz);
      if (i_.scale) {
        t_.put('*');
        t_.number(1u << (i_.scale & 3));
      }
      any = true;
    }
    const s64 d = i_.disp;
    if (!any) {
      t_.hex(low_bits(static_cast<u64>(d), i_.asz));
    } else if (d) {
      t_.put(d < 0 ? '-' : '+');
      t_.hex(static_cast<u64>(d < 0 ? -d : d));
    }
    t_.put(']');
  }

  void string_operand(Operand o, u8 reg, bool source) {
    memory_size(o.size);
    if (!source)
      t_.put("es:");
    else
      segment(kDS);
    t_.put('[');
    gpr(reg, i_.asz);
    t_.put(']');
  }

  void immediate(OpndSize s) {
    // The second of two immediates; each is printed once.
    const bool second = seen_imm_;
    seen_imm_ = true;
    const u64 v = second ? i_.imm2 : i_.imm;
    t_.hex(s == OpndSize::kBs || s == OpndSize::kZ || s == OpndSize::kV ? low_bits(v, i_.osz) : v);
  }

  void operand(Operand o) {
    const bool mem = i_.flags & kInsnMem;
    switch (o.kind) {
      case Opnd::kNone: break;
      case Opnd::kE:
      case Opnd::kM:
      case Opnd::kR:
        if (mem)
          memory(o.size);
        else
          general(i_.rm, o.size);
        break;
      case Opnd::kG: general(i_.reg, o.size); break;
      case Opnd::kZ: general(i_.rm, o.size); break;
      case Opnd::kS: t_.put(kSegName[i_.reg < 6 ? i_.reg : 0]); break;
      case Opnd::kC: numbered("cr", i_.reg); break;
      case Opnd::kD: numbered("dr", i_.reg); break;
      case Opnd::kP: numbered("mm", i_.reg); break;
      case Opnd::kQ:
      case Opnd::kN:
        if (mem)
          memory(o.size);
        else
          numbered("mm", i_.rm);
        break;
      case Opnd::kV: vector(i_.reg, o.size); break;
      case Opnd::kW:
      case Opnd::kU:
        if (mem)
          memory(o.size);
        else
          vector(i_.rm, o.size);
        break;
      case Opnd::kH: vector(i_.vvvv, o.size); break;
      case Opnd::kL: vector(i_.imm >> 4 & (mode_ == CodeMode::k64 ? 15 : 7), o.size); break;
      case Opnd::kT: memory(o.size, true); break;
      case Opnd::kB: general(i_.vvvv, o.size); break;
      case Opnd::kI: immediate(o.size); break;
      case Opnd::kJ: {
        const u64 target = rip_ + i_.len + static_cast<u64>(s64{i_.disp});
        t_.hex(low_bits(target, i_.osz));
        break;
      }
      case Opnd::kA:
        t_.hex(i_.imm2);
        t_.put(':');
        t_.hex(i_.imm);
        break;
      case Opnd::kO:
        memory_size(o.size);
        segment(kDS);
        t_.put('[');
        t_.hex(i_.imm);
        t_.put(']');
        break;
      case Opnd::kX: string_operand(o, kRSI, true); break;
      case Opnd::kY: string_operand(o, kRDI, false); break;
      case Opnd::kAcc:
        if (o.size == OpndSize::kB)
          t_.put("al");
        else
          gpr(kRAX, size_of(o.size));
        break;
      case Opnd::kCL: t_.put("cl"); break;
      case Opnd::kDX: t_.put("dx"); break;
      case Opnd::kOne: t_.put('1'); break;
      case Opnd::kSeg: t_.put(kSegName[static_cast<unsigned>(o.size) % 6]); break;
      case Opnd::kST0: t_.put("st0"); break;
      case Opnd::kSTi: numbered("st", i_.rm & 7u); break;
      case Opnd::kXMM0: t_.put("xmm0"); break;
    }
  }

  const Insn& i_;
  const Form& f_;
  const FormOperands& ops_;
  CodeMode mode_;
  u64 rip_;
  Text t_;
  bool seen_imm_ = false;
};

}  // namespace

usize disassemble(const Insn& i, CodeMode mode, u64 rip, char* buf, usize size) {
  return Printer(i, mode, rip, buf, size).print();
}

}  // namespace oriel
