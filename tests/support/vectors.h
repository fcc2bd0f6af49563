// Recorded vectors: an instruction and a seed, from which the state before it is made, and a hash of the state that a
// real processor left. They stand in for the processor where the host has none of its kind.
#pragma once

#include <string>
#include <vector>

#include "support/guest_cpu.h"

namespace oriel {

struct RecordedVector {
  CodeMode mode;
  u8 len;
  u8 code[15];
  u32 seed;
  u16 flags;  // that are compared
  u32 hash;   // of the state after it
};

// The state before: everything follows from the seed, but for pointers that the instruction needs.
void vector_state(const RecordedVector& v, const Insn& i, CpuState& s, u8* data);
// `data`: the memory after it.
u32 vector_hash(const RecordedVector& v, const Insn& i, const CpuState& s, const u8* data);

bool read_vectors(const std::string& path, std::vector<RecordedVector>& out);
bool write_vectors(const std::string& path, const std::vector<RecordedVector>& v);

}  // namespace oriel
