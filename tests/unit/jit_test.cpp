// Unit tests of tier 1's front half: which instructions make a unit, the IR that they become, and that any bytes at all
// get through to WebAssembly (whose semantics the boot tests compare, hash for hash).
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "jit/ir/flags.h"
#include "jit/lift/lift.h"
#include "jit/lift/region.h"
#include "jit/opt/opt.h"
#include "jit/wasm/emit.h"
#include "support/check.h"
#include "support/ir_text.h"
#include "support/stub_bus.h"

using namespace oriel;
using namespace oriel::jit;

namespace {

Surroundings around(const std::vector<u8>& page, std::function<Target(u64 pa)> target_of) {
  return {[&page](s64 at, CodePage& p) {
            p.pa = 0x5000;
            p.host = page.data();
            return at == 0;
          },
          std::move(target_of)};
}

bool make(const std::vector<u8>& page, u64 entry, CodeMode mode, unsigned max_insns, Unit& unit) {
  unit.pa = 0x5000 + entry;
  unit.mode = mode;
  if (!find_region(around(page, [](u64) { return Target::kSeen; }), max_insns, unit)) return false;
  order_blocks(unit);
  lift(unit);
  group_probes(unit);
  drop_dead_sets(unit);
  return true;
}

std::vector<u8> page_with(std::initializer_list<u8> code) {
  std::vector<u8> page(4096, 0xcc);  // INT3, which no unit has
  std::copy(code.begin(), code.end(), page.begin());
  return page;
}

void test_loop() {
  // L: add eax, ecx; dec ecx; jnz L; ret
  const auto page = page_with({0x01, 0xc8, 0x49, 0x75, 0xfb, 0xc3});
  Unit unit;
  CHECK(make(page, 0, CodeMode::k32, 100, unit));
  CHECK(unit.insns.size() == 4);
  CHECK(unit.blocks.size() == 3 && unit.entries == std::vector<u32>{1});
  CHECK(unit.blocks[1].checkpoint && unit.blocks[1].longest_path == 4);
  const std::string text = print(unit);
  const std::string expected =
      "block 0 insns 0\n"
      "  enter ->1\n"
      "block 1 insns 3 checkpoint 4\n"
      "  v1 = get.32 ax\n"
      "  v2 = get.32 cx\n"
      "  v3 = add.32 v1 v2\n"
      "  set.32 ax v3\n";
  CHECK(text.compare(0, expected.size(), expected) == 0);
  // The flags of ADD are dead: DEC writes all but CF, which it takes from the operands.
  CHECK(text.find("branch") != std::string::npos && text.find("->1 ->2") != std::string::npos);
  CHECK(text.find("exit_to") != std::string::npos);
  if (g_failed) std::printf("%s", text.c_str());
}

void test_x87() {
  // fld qword [eax]; fmul qword [eax + 8]; faddp; fstp qword [eax]; ret
  const auto page = page_with({0xdd, 0x00, 0xdc, 0x48, 0x08, 0xde, 0xc1, 0xdd, 0x18, 0xc3});
  Unit unit;
  CHECK(make(page, 0, CodeMode::k32, 100, unit));
  usize tests = 0, calls = 0, steps = 0;
  for (const Inst& i : unit.blocks[1].insts) {
    tests += i.op == IrOp::kLeaveIf;
    calls += i.op == IrOp::kX87;
    steps += i.op == IrOp::kStep;
  }
  CHECK(tests == 1 && calls == 4 && steps == 0);
  // One test for the block: ST(7) must be empty and ST(0) not.
  const std::string text = print(unit);
  CHECK(text.find("const.32 129\n") != std::string::npos && text.find("const.32 1\n") != std::string::npos);
  if (g_failed) std::printf("%s", text.c_str());
}

void test_irreducible() {
  // Two entries into a loop: jz B; A: inc ecx; B: dec eax; jnz A; ret
  const auto page = page_with({0x74, 0x01, 0x41, 0x48, 0x75, 0xfc, 0xc3});
  Unit unit;
  CHECK(make(page, 0, CodeMode::k32, 100, unit));
  bool around = false;
  for (const IrBlock& b : unit.blocks) around |= b.term == Term::kReenter;
  CHECK(around && unit.entries.size() == 2);  // the edge that cannot be structured goes by way of block 0
  CHECK(!emit(unit, Addresses{}).bytes.empty());
}

void test_entries() {
  // call X; L: dec eax; jnz L; call Y; ret: entered at the start and where the calls return to. What has not been
  // executed and what belongs to another unit is left out.
  const auto page = page_with({0xe8, 0, 1, 0, 0, 0x48, 0x75, 0xfd, 0xe8, 0, 1, 0, 0, 0xc3});
  Unit unit;
  CHECK(make(page, 0, CodeMode::k32, 100, unit));
  CHECK(unit.entries.size() == 3 && unit.insns.size() == 5);
  for (u64 stop : {5, 13}) {
    for (Target t : {Target::kNever, Target::kElsewhere}) {
      Unit less;
      less.pa = 0x5000;
      less.mode = CodeMode::k32;
      CHECK(find_region(around(page, [&](u64 pa) { return pa == 0x5000 + stop ? t : Target::kSeen; }), 100, less));
      order_blocks(less);
      CHECK(less.insns.size() == (stop == 5 ? 1 : 4) && less.entries.size() == (stop == 5 ? 1u : 2u));
    }
  }
}

unsigned count(const std::string& text, const std::string& part) {
  unsigned n = 0;
  for (usize at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) n++;
  return n;
}

void test_group_probes() {
  // mov eax, [esp+8]; push eax; add [esp+4], eax; mov ecx, [eax+4]; mov [eax], ecx; ret: what ESP points to is one
  // range of 12 bytes, which is written, the return address in it; what EAX points to another.
  const std::initializer_list<u8> code = {0x8b, 0x44, 0x24, 8, 0x50, 0x01, 0x44, 0x24,
                                          4,    0x8b, 0x48, 4, 0x89, 0x08, 0xc3};
  Unit unit;
  CHECK(make(page_with(code), 0, CodeMode::k32, 100, unit));
  const std::string text = print(unit);
  CHECK(count(text, "= probe") == 2 && count(text, "= offset") == 4);
  const Inst *stack = nullptr, *other = nullptr;
  for (const Inst& i : unit.blocks[1].insts)
    if (i.op == IrOp::kProbe) (stack ? other : stack) = &i;
  CHECK(stack && stack->imm == 0 && stack->imm2 == probe_range(12, 16, true));
  CHECK(other && other->imm == 0 && other->imm2 == probe_range(4, 8, true));
  if (g_failed) std::printf("%s", text.c_str());
  // Too far apart; from another register; behind CPUID, which is a step.
  for (const auto& apart :
       {std::vector<u8>{0x8b, 0x03, 0x8b, 0x4b, 0x7f, 0xc3}, std::vector<u8>{0x8b, 0x03, 0x8b, 0x0f, 0xc3},
        std::vector<u8>{0x8b, 0x33, 0x0f, 0xa2, 0x8b, 0x3b, 0xc3}}) {
    std::vector<u8> page(4096, 0xcc);
    std::copy(apart.begin(), apart.end(), page.begin());
    Unit none;
    CHECK(make(page, 0, CodeMode::k32, 100, none));
    CHECK(count(print(none), "= offset") == 0);
  }
}

void test_pages() {
  // Page 0 calls page 2 and falls into page 1 by an instruction that lies in both; page 3 is not to be had.
  std::vector<u8> pages(3 * 4096, 0xcc);
  const std::initializer_list<u8> main = {0xe8, 0, 0x10, 0, 0, 0xb8, 1, 2, 3, 4, 0xc3};  // call; mov eax, imm32; ret
  std::copy(main.begin(), main.end(), pages.begin() + 0xff8);
  const std::initializer_list<u8> callee = {0x40, 0xe9, 0xfd, 0x0f, 0, 0};  // inc eax; jmp page 3
  std::copy(callee.begin(), callee.end(), pages.begin() + 0x1ffd);
  Unit unit;
  unit.pa = 0x5ff8;
  unit.mode = CodeMode::k32;
  const Surroundings around = {[&pages](s64 at, CodePage& p) {
                                 p.pa = 0x5000 + static_cast<u64>(at) * 4;  // not side by side
                                 p.host = pages.data() + at;
                                 return at >= 0 && at < 0x3000;
                               },
                               [](u64) { return Target::kSeen; }};
  CHECK(find_region(around, 100, unit));
  order_blocks(unit);
  CHECK(unit.pages.size() == 3 && unit.insns.size() == 5);
  for (const IrBlock& b : unit.blocks)
    for (u32 n = 0; n < b.insn_count; n++) {
      const Insn& i = unit.insns[b.first_insn + n];
      const s64 at = unit.pages[b.page].at + i.off;
      CHECK(at == 0xff8 || at == 0xffd || at == 0x1002 || at == 0x1ffd || at == 0x1ffe);
      CHECK(at != 0xffd || (i.len == 5 && i.imm == 0x04030201));
    }
  lift(unit);
  const std::string text = print(unit);
  CHECK(text.find("page+12288") != std::string::npos);  // 0x3000
  CHECK(!emit(unit, {}).bytes.empty());
  if (g_failed) std::printf("%s", text.c_str());
}

void test_refused() {
  Unit unit;
  CHECK(!make(page_with({0xf4}), 0, CodeMode::k32, 100, unit));  // HLT is for tier 0
  CHECK(!make(page_with({0x0f, 0x0b}), 0, CodeMode::k64, 100, unit));
}

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

void test_simd() {
  // addsd xmm0, xmm1; addsd xmm0, xmm2; paddd xmm3, [rdi]; ucomisd xmm0, xmm1; ja (itself); ret
  const auto page = page_with({0xf2, 0x0f, 0x58, 0xc1, 0xf2, 0x0f, 0x58, 0xc2, 0x66, 0x0f, 0xfe, 0x1f, 0x66, 0x0f, 0x2e,
                               0xc1, 0x77, 0xee, 0xc3});
  Unit unit;
  CHECK(make(page, 0, CodeMode::k64, 100, unit));
  const std::string text = print(unit);
  CHECK(!has(text, "step"));
  CHECK(has(text, "fadd.f64") && has(text, "i32x4.add") && has(text, "fp_check") && has(text, "fgt.f64"));
  // CR0 and CR4 are asked once a block, alignment before the probe.
  usize asked = 0;
  for (const Inst& i : unit.blocks[1].insts) asked += i.op == IrOp::kGet && i.imm == kVarSseOff;
  CHECK(asked == 1);
  CHECK(text.find("leave_if", text.find("fadd")) < text.find("probe"));
  CHECK(!emit(unit, Addresses{}).bytes.empty());
  if (g_failed) std::printf("%s", text.c_str());
}

// What print() says of a unit is read as the same unit: the tests of the passes need that.
void check_text(const Unit& unit) {
  const std::string text = print(unit);
  Unit read;
  read.mode = unit.mode;
  const bool same = parse_ir(text, read) && print(read) == text;
  CHECK(same);
  if (!same) std::printf("%s\n-- read as\n%s", text.c_str(), print(read).c_str());
}

void test_avx() {
  // vpaddd ymm0, ymm1, [rdi]; vpmovmskb eax, ymm0; vaddsd xmm2, xmm2, xmm0; vzeroupper; andn ecx, eax, edx; ret
  const auto page = page_with({0xc5, 0xf5, 0xfe, 0x07, 0xc5, 0xfd, 0xd7, 0xc0, 0xc5, 0xeb, 0x58,
                               0xd0, 0xc5, 0xf8, 0x77, 0xc4, 0xe2, 0x78, 0xf2, 0xca, 0xc3});
  Unit unit;
  CHECK(make(page, 0, CodeMode::k64, 100, unit));
  const std::string text = print(unit);
  CHECK(!has(text, "step") && has(text, "i32x4.add") && has(text, "fadd.f64") && has(text, "zero_upper 16"));
  // Both halves come from one probe and are written behind what may leave the unit.
  usize added = 0, probes = 0, written = 0;
  for (const Inst& i : unit.blocks[1].insts) {
    if (i.op == IrOp::kProbe) CHECK(++probes > 1 || i.size == 5);
    if (i.op == IrOp::kAdd32) CHECK(++added && !written);
    written += i.op == IrOp::kSet && (i.imm == kVarXmm || i.imm == kVarYmmHigh);
  }
  CHECK(added == 2 && written == 2);
  check_text(unit);
  if (g_failed) std::printf("%s", text.c_str());
}

void test_strings() {
  // mov ecx, 9; rep movsd; repe cmpsb; rol eax, 3; bt eax, 1; ret
  const auto page = page_with({0xb9, 9, 0, 0, 0, 0xf3, 0xa5, 0xf3, 0xa6, 0xc1, 0xc0, 3, 0x0f, 0xba, 0xe0, 1, 0xc3});
  Unit unit;
  CHECK(make(page, 0, CodeMode::k32, 100, unit));
  const std::string text = print(unit);
  usize strings = 0, commits = 0;
  for (const Inst& i : unit.blocks[1].insts) {
    strings += i.op == IrOp::kString;
    commits += i.op == IrOp::kCommitFlags;
  }
  // Flags go to Cpu for CMPS alone.
  CHECK(!has(text, "step") && strings == 2 && commits == 1);
  check_text(unit);
  if (g_failed) std::printf("%s", text.c_str());
}

// Any bytes, from any place of a page, in both modes.
void test_random(unsigned rounds) {
  u64 seed = 1;
  auto next = [&seed] {
    return seed = seed * 6364136223846793005u + 1442695040888963407u, static_cast<u32>(seed >> 33);
  };
  std::vector<u8> page(4096);
  usize made = 0;
  for (unsigned n = 0; n < rounds; n++) {
    for (u8& b : page) {
      // Much of it common opcodes, so that there are jumps and long blocks.
      static constexpr u8 kCommon[] = {0x01, 0x29, 0x31, 0x39, 0x74, 0x75, 0x7c, 0xeb,
                                       0x8b, 0x89, 0x83, 0xc1, 0xe8, 0x0f, 0xc3, 0x48};
      static constexpr u8 kPrefix[] = {0x66, 0xf2, 0xf3, 0x0f};
      const bool sse = n & 2 && next() % 3 == 0;
      b = static_cast<u8>(sse          ? kPrefix[next() % sizeof kPrefix]
                          : next() & 1 ? kCommon[next() % sizeof kCommon]
                                       : next());
    }
    const CodeMode mode = n & 1 ? CodeMode::k64 : CodeMode::k32;
    Unit unit;
    if (!make(page, next() & 4095, mode, 1 + next() % 200, unit)) continue;
    made++;
    check_text(unit);
    const Body body = emit(unit, Addresses{});
    CHECK(!body.bytes.empty() && module_of({body}, true).size() > body.bytes.size());
    CHECK(std::is_sorted(body.hints.begin(), body.hints.end()));
    for (u32 at : body.hints) CHECK(body.bytes[at] == 0x04);  // if
  }
  CHECK(made > rounds / 2);
}

// INC and DEC keep CF; a shift's flags are those of tier 0's; asking for a condition changes nothing.
void test_flags() {
  constexpr u64 kRam = 1 << 20;
  std::vector<u8> ram(kRam);
  PhysMem mem(ram.data(), kRam);
  StubBus bus;
  Cpu cpu(mem, bus);
  constexpr unsigned kE = 4, kS = 8, kB = 2;
  struct Case {
    FlagOp op;
    unsigned size;
    u64 a, b;
    bool cf, zf, sf;
  };
  // The bits above the operand's size do not count.
  const Case cases[] = {
      {FlagOp::kAdd, 0, 0x1ff, 1, true, true, false},
      {FlagOp::kAdd, 2, 0x7fffffff, 1, false, false, true},
      {FlagOp::kAdd, 3, u64{1} << 63, u64{1} << 63, true, true, false},
      {FlagOp::kSub, 2, 0x80000000, 1, false, false, false},
      {FlagOp::kSub, 3, 7, 7, false, true, false},
      {FlagOp::kInc, 1, 0x7fff, 1, true, false, true},
      {FlagOp::kDec, 3, u64{1} << 63, 0, false, false, false},
      {FlagOp::kAdc, 2, 0xffffffff, 0, true, true, false},
      {FlagOp::kSub, 1, 0xdead0001, 0xbeef0002, true, false, true},
      {FlagOp::kSbb, 3, 0, 0, true, false, true},
      {FlagOp::kLogic, 2, 0x80000000, 0, false, false, true},
      {FlagOp::kInc, 2, 0xffffffff, 0, false, true, false},
      {FlagOp::kInc, 2, 0xffffffff, 1, true, true, false},
      {FlagOp::kDec, 0, 0x100, 1, true, false, true},
      {FlagOp::kShl, 2, 0x80000001, 1, true, false, false},
      {FlagOp::kShr, 3, 3, 2, true, true, false},
      {FlagOp::kSar, 0, 0x80, 7, false, false, true},
      {FlagOp::kMul, 2, 0, 1, true, true, false},
      {FlagOp::kCompare, 2, 1, 0, true, false, false},
      {FlagOp::kCompare, 2, 1, 1, true, true, false},
      {FlagOp::kTest, 2, 0, 1, false, true, false},
  };
  // CF and OF apart from the operation.
  cpu.set_arith_flags(kPF);
  constexpr u32 kBoth = kFlagCf | kFlagOf | 1 << kFlagCfBit;
  for (u32 kind : {flag_kind(FlagOp::kSub, 2), flag_kind(FlagOp::kCpu, 0)}) {
    CHECK(flag_condition(cpu, kind | kBoth, 5, 5, kB) && !flag_condition(cpu, kind | kBoth, 5, 5, 0));
    CHECK(flag_condition(cpu, kind | kFlagCf | 1 << kFlagCfBit, 5, 5, kB));
    CHECK(flag_condition(cpu, kind | kFlagOf | 1 << kFlagOfBit, 5, 5, 0));
  }
  commit_flags(cpu, flag_kind(FlagOp::kSub, 2) | kFlagCf | 1 << kFlagCfBit, 0x80000000, 1);
  CHECK(cpu.cf() && cpu.of() && !cpu.zf());
  commit_flags(cpu, flag_kind(FlagOp::kCpu, 0) | kBoth, 0, 0);
  CHECK(cpu.cf() && !cpu.of() && !cpu.zf());
  for (const Case& t : cases) {
    const u32 kind = flag_kind(t.op, t.size);
    cpu.set_arith_flags(kOF | kPF);
    CHECK(flag_condition(cpu, kind, t.a, t.b, kB) == t.cf);
    CHECK(flag_condition(cpu, kind, t.a, t.b, kE) == t.zf);
    CHECK(flag_condition(cpu, kind, t.a, t.b, kS) == t.sf);
    CHECK(cpu.arith_flags() == (kOF | kPF));
    bool asked[16];
    for (unsigned cc = 0; cc < 16; cc++) asked[cc] = flag_condition(cpu, kind, t.a, t.b, cc);
    commit_flags(cpu, kind, t.a, t.b);
    for (unsigned cc = 0; cc < 16; cc++) CHECK(asked[cc] == cpu.condition(cc));
    CHECK(cpu.cf() == t.cf && cpu.zf() == t.zf && cpu.sf() == t.sf);
  }
}

}  // namespace

int main() {
  test_loop();
  test_x87();
  test_irreducible();
  test_entries();
  test_group_probes();
  test_pages();
  test_refused();
  test_simd();
  test_avx();
  test_strings();
  test_random(400);
  test_flags();
  std::printf("%d passed, %d failed\n", g_passed, g_failed);
  return g_failed != 0;
}
