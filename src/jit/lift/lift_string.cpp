// String instructions.
#include "jit/cpu_layout.h"
#include "jit/ir/string.h"
#include "jit/lift/lifter.h"

namespace oriel::jit {

namespace {
constexpr u32 kLods = ~u32{0};  // beside StringRun's kinds: it is compiled without REP only
}

bool Lifter::insn_string() {
  switch (insn_->op) {
    case OP_MOVSB: return string(kRunMovs, 0);
    case OP_MOVSV: return string(kRunMovs, insn_->osz);
    case OP_STOSB: return string(kRunStos, 0);
    case OP_STOSV: return string(kRunStos, insn_->osz);
    case OP_CMPSB: return string(kRunCmps, 0);
    case OP_CMPSV: return string(kRunCmps, insn_->osz);
    case OP_SCASB: return string(kRunScas, 0);
    case OP_SCASV: return string(kRunScas, insn_->osz);
    case OP_LODSB: return string(kLods, 0);
    case OP_LODSV: return string(kLods, insn_->osz);
    default: return false;
  }
}

bool Lifter::string(u32 kind, unsigned size) {
  const Insn& i = *insn_;
  const bool from_si = kind == kRunMovs || kind == kRunCmps || kind == kLods;
  if (i.asz != (long_ ? 3 : 2) || (from_si && (i.seg == kFS || i.seg == kGS))) return false;
  if (!(i.flags & (kInsnRep | kInsnRepne))) {
    string_once(kind, size);
    return true;
  }
  if (kind == kLods) return false;
  string_repeated(kind, size, from_si);
  return true;
}

// Forwards.
void Lifter::string_once(u32 kind, unsigned size) {
  const Value rflags = emit(IrOp::kLoadState, Type::kI32, 0, 0, 0, kRflagsOffset);
  emit(IrOp::kLeaveIf, Type::kI32, bin_c(IrOp::kAnd, Type::kI32, rflags, kDF));
  const Value si = get(kRSI), di = get(kRDI);
  auto advance = [&](unsigned r, Value from) { set(r, bin_c(IrOp::kAdd, word_, from, u64{1} << size)); };
  const Value v = kind == kRunStos || kind == kRunScas ? reg(kRAX, size) : load(si, size);
  if (kind == kLods) {
    advance(kRSI, si);
    return set_reg(kRAX, v, size);
  }
  const bool compares = kind == kRunCmps || kind == kRunScas;
  const Value other = compares ? load(di, size) : 0;
  if (!compares) store_at(probe_write(di, size), v, size);
  if (kind == kRunMovs || kind == kRunCmps) advance(kRSI, si);
  advance(kRDI, di);
  if (compares) compare(v, other, size);
}

// By one call, after which the registers say how far it came: where that is not to the end tier 0 begins there.
void Lifter::string_repeated(u32 kind, unsigned size, bool from_si) {
  const Type t = Type::kI64;
  if (kind == kRunCmps || kind == kRunScas) flags_to_cpu();
  auto wide = [&](Value v) { return type_of(v) == t ? v : emit(IrOp::kExtendU, Type::kI32, v); };
  const Value si = get(from_si ? kRSI : kRAX), di = get(kRDI), count = get(kRCX);
  const u32 what = kind | (insn_->flags & kInsnRep ? u32{kRepeatWhileEqual} : 0) | size << kRunSizeShift;
  const Value r = emit(IrOp::kString, t, wide(si), wide(di), wide(count), what);
  const Value done = long_ ? bin_c(IrOp::kAnd, t, r, ~kStringUnfinished) : emit(IrOp::kWrap, t, r);
  // Downwards with DF: the distance is negated.
  const Value rflags = emit(IrOp::kLoadState, word_, 0, 0, 0, kRflagsOffset);
  const Value df = bin_c(IrOp::kAnd, word_, bin_c(IrOp::kShrU, word_, rflags, std::countr_zero(u32{kDF})), 1);
  const Value sign = bin(IrOp::kSub, word_, constant(word_, 0), df);
  const Value bytes = size ? bin_c(IrOp::kShl, word_, done, size) : done;
  const Value distance = bin(IrOp::kSub, word_, bin(IrOp::kXor, word_, bytes, sign), sign);
  if (from_si) set(kRSI, bin(IrOp::kAdd, word_, si, distance));
  set(kRDI, bin(IrOp::kAdd, word_, di, distance));
  set(kRCX, bin(IrOp::kSub, word_, count, done));
  emit(IrOp::kLeaveIf, Type::kI32, bin_c(IrOp::kLtS, t, r, 0));
}

}  // namespace oriel::jit
