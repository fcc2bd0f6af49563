// The passes of src/jit/opt, on IR text in and out.
#include <cstdio>
#include <string>

#include "jit/opt/opt.h"
#include "support/check.h"
#include "support/ir_text.h"

using namespace oriel;
using namespace oriel::jit;

namespace {

const char* const kHead = "block 0 insns 0\n  enter ->1\nblock 1 insns 1 checkpoint 1\n";
const char* const kTail = "  exit page+0\n";

// What a pass makes of a block.
void check(void (*pass)(Unit&), CodeMode mode, const std::string& in, const std::string& out, int line) {
  Unit unit;
  unit.mode = mode;
  const bool parsed = parse_ir(kHead + in + kTail, unit);
  CHECK(parsed && print(unit) == kHead + in + kTail);
  pass(unit);
  const bool same = print(unit) == kHead + out + kTail;
  CHECK(same);
  if (!parsed || !same) std::printf("line %d: became\n%s", line, print(unit).c_str());
}
#define PASS_MAKES(PASS, MODE, IN, OUT) check(PASS, CodeMode::MODE, IN, OUT, __LINE__)
#define PASS_LEAVES(PASS, MODE, TEXT) check(PASS, CodeMode::MODE, TEXT, TEXT, __LINE__)

void test_group_probes() {
  // Two fields of what EAX points to, the second of them written: one range, both ways from the first.
  PASS_MAKES(group_probes, k32,
             "  v1 = get.32 ax\n"
             "  v2 = const.32 8\n"
             "  v3 = add.32 v1 v2\n"
             "  v4 = probe.32 size 4 v3\n"
             "  v5 = load_at.32 size 4 v4\n"
             "  v6 = probe.32 size 2 write v1\n"
             "  store_at.32 size 2 v6 v5\n",
             "  v1 = get.32 ax\n"
             "  v2 = const.32 8\n"
             "  v3 = add.32 v1 v2\n"
             "  v4 = probe.32 size 4 range 8:12:w v3\n"
             "  v5 = load_at.32 size 4 v4\n"
             "  v6 = offset.32 18446744073709551608 v4\n"
             "  store_at.32 size 2 v6 v5\n");
  // A push and the word above it: the value in the variable counts, not the variable.
  PASS_MAKES(group_probes, k64,
             "  v1 = get.64 sp\n"
             "  v2 = const.64 8\n"
             "  v3 = sub.64 v1 v2\n"
             "  set.64 sp v3\n"
             "  v5 = probe.64 size 8 write v3\n"
             "  v6 = get.64 sp\n"
             "  v7 = add.64 v2 v6\n"
             "  v8 = probe.64 size 8 v7\n",
             "  v1 = get.64 sp\n"
             "  v2 = const.64 8\n"
             "  v3 = sub.64 v1 v2\n"
             "  set.64 sp v3\n"
             "  v5 = probe.64 size 8 write range 0:16:w v3\n"
             "  v6 = get.64 sp\n"
             "  v7 = add.64 v2 v6\n"
             "  v8 = offset.32 8 v5\n");
  // Absolute addresses, at a distance that goes over the end of the 32-bit address space.
  PASS_MAKES(group_probes, k32,
             "  v1 = const.32 4294967292\n"
             "  v2 = probe.32 size 4 v1\n"
             "  v3 = const.32 4\n"
             "  v4 = probe.32 size 4 v3\n",
             "  v1 = const.32 4294967292\n"
             "  v2 = probe.32 size 4 range 0:12 v1\n"
             "  v3 = const.32 4\n"
             "  v4 = offset.32 8 v2\n");
  // Too far apart for a register, near enough for the stack.
  const auto apart = [](const std::string& var, unsigned distance, const std::string& first,
                        const std::string& second) {
    return "  v1 = get.64 " + var + "\n  v2 = probe.64 size 8 " + first + "v1\n  v3 = const.64 " +
           std::to_string(distance) + "\n  v4 = add.64 v1 v3\n  v5 = " + second + "\n";
  };
  PASS_LEAVES(group_probes, k64, apart("bx", 57, "", "probe.64 size 8 v4"));
  PASS_MAKES(group_probes, k64, apart("bx", 56, "", "probe.64 size 8 v4"),
             apart("bx", 56, "range 0:64 ", "offset.32 56 v2"));
  PASS_LEAVES(group_probes, k64, apart("sp", 249, "", "probe.64 size 8 v4"));
  PASS_MAKES(group_probes, k64, apart("bp", 248, "", "probe.64 size 8 v4"),
             apart("bp", 248, "range 0:256 ", "offset.32 248 v2"));
  // Of two registers nothing is known, nor behind a step, nor of a register that was computed from another value.
  PASS_LEAVES(group_probes, k64,
              "  v1 = get.64 bx\n"
              "  v2 = probe.64 size 8 v1\n"
              "  v3 = get.64 si\n"
              "  v4 = probe.64 size 8 v3\n"
              "  v5 = mul.64 v1 v3\n"
              "  set.64 bx v5\n"
              "  v7 = get.64 bx\n"
              "  v8 = probe.64 size 8 v7\n");
  PASS_LEAVES(group_probes, k32,
              "  v1 = get.32 bx\n"
              "  v2 = probe.32 size 4 v1\n"
              "  step\n"
              "  v4 = get.32 bx\n"
              "  v5 = probe.32 size 4 v4\n");
}

void test_drop_dead_sets() {
  // Flags that are written again, and an XMM register; general registers are left to the engine.
  PASS_MAKES(drop_dead_sets, k64,
             "  v1 = get.64 ax\n"
             "  v2 = const.32 7\n"
             "  set.32 fk v2\n"
             "  set.64 fa v1\n"
             "  set.64 ax v1\n"
             "  v6 = get.v128 x3\n"
             "  set.v128 x1 v6\n"
             "  set.32 fk v2\n"
             "  set.64 fa v1\n"
             "  set.v128 x1 v6\n"
             "  set.64 ax v1\n",
             "  v1 = get.64 ax\n"
             "  v2 = const.32 7\n"
             "  set.64 ax v1\n"
             "  v6 = get.v128 x3\n"
             "  set.32 fk v2\n"
             "  set.64 fa v1\n"
             "  set.v128 x1 v6\n"
             "  set.64 ax v1\n");
  // What is read in between stays, and all of it where the unit can be left.
  PASS_LEAVES(drop_dead_sets, k64,
              "  v1 = const.32 7\n"
              "  set.32 fk v1\n"
              "  v3 = get.32 fk\n"
              "  set.32 fk v3\n"
              "  leave_if.32 v1\n"
              "  set.32 fk v1\n"
              "  v7 = get.64 bx\n"
              "  v8 = probe.64 size 8 v7\n"
              "  set.32 fk v1\n"
              "  step\n"
              "  set.32 fk v1\n");
  // A group's second access does not leave.
  const std::string first =
      "  v1 = get.64 bx\n  v2 = probe.64 size 8 v1\n  v3 = const.32 7\n  set.32 fk v3\n  v5 = const.64 8\n"
      "  v6 = add.64 v1 v5\n";
  Unit unit;
  CHECK(parse_ir(kHead + first + "  v7 = probe.64 size 8 v6\n  set.32 fk v3\n" + kTail, unit));
  for (const Pass& pass : kPasses) pass.run(unit);
  const std::string text = print(unit);
  CHECK(text.find("set.32 fk") == text.rfind("set.32 fk"));
  if (g_failed) std::printf("%s", text.c_str());
}

}  // namespace

int main() {
  test_group_probes();
  test_drop_dead_sets();
  std::printf("%d passed, %d failed\n", g_passed, g_failed);
  return g_failed != 0;
}
