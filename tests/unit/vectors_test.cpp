// Replays the recorded vectors (support/vectors.h) in tier 0, on any host. Argument: their file.
#include <cstdio>
#include <memory>

#include "support/coverage.h"
#include "support/vectors.h"

using namespace oriel;

int main(int argc, char** argv) {
  std::vector<RecordedVector> vectors;
  if (argc < 2 || !read_vectors(argv[1], vectors)) return std::puts("cannot read the vectors"), 1;
  GuestCpu guest;
  const std::unique_ptr<u8[]> data(new u8[kDiffDataSize]);
  unsigned passed = 0, failed = 0;
  for (const RecordedVector& v : vectors) {
    u8 code[15] = {};
    std::memcpy(code, v.code, v.len);
    Insn i;
    if (decode(code, 15, v.mode, i) != DecodeStatus::kOk || i.op <= OP_LONG || i.len != v.len) {
      std::printf("a vector does not decode: %s...\n", hex(load<u64>(code)).c_str());
      failed++;
      continue;
    }
    CpuState s;
    vector_state(v, i, s, data.get());
    guest.set_data(data.get());
    guest.run(s, code, v.len);
    if (vector_hash(v, i, s, guest.data()) == v.hash) {
      passed++;
      continue;
    }
    char text[128];
    disassemble(i, v.mode, kDiffStart, text, sizeof text);
    if (failed++ < 20)
      std::printf("%s: %s (%s-bit, seed %x): not as recorded\n", kForms[form_of(i.op)].id, text,
                  v.mode == CodeMode::k64 ? "64" : "32", v.seed);
  }
  std::printf("%u passed, %u failed\n", passed, failed);
  return failed || !passed || !FormCoverage::get().save("vectors");
}
