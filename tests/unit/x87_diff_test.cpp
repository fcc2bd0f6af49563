// Differential test of the x87 instructions: random operands with the corner cases of the 80-bit format (denormals,
// pseudo-denormals, unnormals, NaNs of both kinds), every rounding and precision control, unmasked exceptions, stack
// overflow and underflow. The whole state is compared bit by bit with this machine's processor; transcendentals
// within one unit in the last place. x86-64 hosts only; arguments: cases per form (default 3000), seed, a form's ID.
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "support/diff_runner.h"
#include "support/form_groups.h"

using namespace oriel;

namespace {

// Where processors differ among themselves, within the manuals. The test is known to pass on AMD Zen 3.
//
//   FOP, FIP, FCS, FDP, FDS      AMD updates them with an exception pending only, newer Intel processors likewise for
//                                FDP, and both may store FCS and FDS as 0 (SDM Vol. 1, 8.1.8): not compared.
//   FPREM, FPREM1 with C2 = 1    a partial remainder: by how much each step reduces is up to the implementation
//                                (SDM Vol. 2, FPREM): only C2 is compared.
//   comparisons                  with an unmasked exception condition codes and flags are not set (SDM Vol. 2, FCOM),
//   or
//                                they are (Zen 3): not compared. FCOMI and FUCOMI clear C1 (SDM) or leave it (Zen 3).
//   transcendentals              within 1 ulp (SDM Vol. 1, 8.3.10); C1 and PE tell about the rounding of an
//                                approximation and are not compared, nor is UE beside results that differ. A
//                                tiny result that is exact, FYL2X of a power of two, is no masked underflow (SDM
//                                Vol. 1, 4.9.1.5), but Zen 3 sets UE. x87_exact is the same without a processor.
//   F2XM1, FYL2XP1 out of range  undefined (SDM Vol. 2): operands are kept in range.
struct Transcendental {
  const char* id;
  unsigned results;  // registers from ST0 on that are approximate
};
constexpr Transcendental kTranscendental[] = {{"F2XM1", 1}, {"FYL2X", 1},   {"FYL2XP1", 1}, {"FPATAN", 1},
                                              {"FPTAN", 2}, {"FSINCOS", 2}, {"FSIN", 1},    {"FCOS", 1}};
unsigned approximate_results(const Form& f) {
  for (const Transcendental& t : kTranscendental)
    if (std::string(f.id) == t.id) return t.results;
  return 0;
}

F80 f80(bool negative, unsigned exponent, u64 m) {
  return F80{m, static_cast<u16>((negative ? 0x8000 : 0) | exponent)};
}

F80 f80_operand(Random& r) {
  constexpr u64 kTop = u64{1} << 63;
  const bool neg = r() & 1;
  const u64 m = r() | kTop;
  switch (r() % 20) {
    case 0: return f80(neg, 0, 0);
    case 1: return f80(neg, 0x7fff, kTop);
    case 2: return f80(neg, 0x7fff, m | u64{1} << 62);                          // quiet NaN
    case 3: return f80(neg, 0x7fff, (m & ~(u64{1} << 62)) | 1);                 // signalling NaN
    case 4: return f80(neg, 0, (m & ~kTop) >> r() % 63);                        // denormal
    case 5: return f80(neg, 0, m);                                              // pseudo-denormal
    case 6: return f80(neg, static_cast<unsigned>(r() % 0x8000), r() & ~kTop);  // unnormal, pseudo-NaN, pseudo-infinity
    case 7: return f80(neg, 0x7ffe, ~u64{0});
    case 8: return f80(neg, 1, kTop);
    case 9: return f80(neg, 0x3fff, kTop);
    case 10: return f80(neg, static_cast<unsigned>(0x3fff - 4 + r() % 9), m);
    case 11: return f80(neg, static_cast<unsigned>(0x3fff + r() % 66), m & ~u64{0} << r() % 64);  // integers and halves
    case 12: return f80(neg, static_cast<unsigned>(0x3fff + 13 + r() % 52), r.one_in(2) ? ~u64{0} : kTop);
    case 13: return f80(neg, static_cast<unsigned>(0x3fff - 1023 - 60 + r() % 70), m);  // around the limits of double
    case 14: return f80(neg, static_cast<unsigned>(0x3fff + 1020 + r() % 8), m);
    case 15: return f80(neg, static_cast<unsigned>(0x3fff - 127 - 30 + r() % 40), m);  // and of single
    case 16: return f80(neg, static_cast<unsigned>(r() % 80), m);
    default: return f80(neg, static_cast<unsigned>(r() % 0x7fff), m);
  }
}

// Operands of a transcendental, in its domain.
F80 domain_operand(Random& r, const std::string& id, unsigned st) {
  const bool neg = r() & 1;
  const u64 m = r() | u64{1} << 63;
  if (r.one_in(8)) {
    const F80 v = f80_operand(r);
    const bool bounded = (id == "F2XM1" || id == "FYL2XP1") && st == 0;
    if (!bounded || (v.se & 0x7fff) < 0x3ffd || (v.se & 0x7fff) == 0x7fff) return v;
  }
  if (id == "F2XM1") return f80(neg, static_cast<unsigned>(0x3ffe - r() % (r.one_in(4) ? 70 : 5)), m);
  if (id == "FYL2XP1" && st == 0) return f80(neg, static_cast<unsigned>(0x3ffc - r() % (r.one_in(4) ? 70 : 5)), m);
  if (id == "FYL2X" && st == 0) return f80(r.one_in(16), static_cast<unsigned>(0x3fff + r() % 40 - 20), m);
  return f80(neg, static_cast<unsigned>(0x3fff + r() % (r.one_in(4) ? 100 : 12) - (r.one_in(4) ? 50 : 6)), m);
}

void put_f80(u8* p, F80 v) {
  store<u64>(p, v.m);
  store<u16>(p + 8, v.se);
}

u64 float_bits(Random& r, bool wide) {
  // From the 80-bit operands by truncation, and any bits.
  if (r.one_in(3)) return r.operand();
  const F80 v = f80_operand(r);
  const unsigned fraction = wide ? 52 : 23, bias = wide ? 1023 : 127, top = 2 * bias + 1;
  const u64 sign = static_cast<u64>(v.se >> 15) << (wide ? 63 : 31);
  const unsigned e = v.se & 0x7fff;
  const u64 m = v.m << 1 >> (64 - fraction);
  if (e == 0x7fff) return sign | static_cast<u64>(top) << fraction | m;
  if (e == 0) return sign | m;
  const int scaled = static_cast<int>(e) - 0x3fff + static_cast<int>(bias);
  return sign | static_cast<u64>(static_cast<unsigned>(scaled) % top) << fraction | m;
}

void memory_operand(Random& r, const Form& f, u8* p) {
  const std::string ops = f.operands, id = f.id;
  for (unsigned i = 0; i < 112; i += 8) store<u64>(p + i, r.operand());
  if (ops.find("Mfd") != std::string::npos) store<u32>(p, static_cast<u32>(float_bits(r, false)));
  if (ops.find("Mfq") != std::string::npos) store<u64>(p, float_bits(r, true));
  if (ops.find("Mft") != std::string::npos) put_f80(p, f80_operand(r));
  if (id == "FBLD") {
    // Digits above 9 are undefined.
    for (unsigned i = 0; i < 9; i++) p[i] = static_cast<u8>(r.below(10) | (r.one_in(3) ? 0 : r.below(10) << 4));
    p[9] = r() & 1 ? 0x80 : 0;
  }
  if (id == "FLDCW") store<u16>(p, static_cast<u16>((r() & 0x1f3f) | 0x40));
  if (id == "FLDENV" || id == "FRSTOR") {
    store<u32>(p, 0xffff0000u | (r() & 0x1f3f) | 0x40);
    store<u32>(p + 4, 0xffff0000u | (r() & 0x7f3f));
    store<u32>(p + 8, 0xffff0000u | (r() & 0xffff));
    if (id == "FRSTOR")
      for (unsigned i = 0; i < 8; i++) put_f80(p + 28 + 10 * i, f80_operand(r));
  }
}

// Distance of two finite numbers of a sign in units of the last place, counted along the encodings; huge otherwise.
u64 ulps(const u8* a, const u8* b) {
  const u16 ea = load<u16>(a + 8), eb = load<u16>(b + 8);
  const u64 ma = load<u64>(a), mb = load<u64>(b);
  if (ea == eb && ma == mb) return 0;
  if ((ea ^ eb) & 0x8000 || (ea & 0x7fff) == 0x7fff || (eb & 0x7fff) == 0x7fff) return ~u64{0};
  using Wide = unsigned __int128;
  const Wide ka = static_cast<Wide>(ea & 0x7fff) << 63 | (ma & ~u64{0} >> 1),
             kb = static_cast<Wide>(eb & 0x7fff) << 63 | (mb & ~u64{0} >> 1);
  const Wide d = ka > kb ? ka - kb : kb - ka;
  return d > 1000 ? 1000 : static_cast<u64>(d);
}

}  // namespace

int main(int argc, char** argv) {
  const unsigned per_form = case_count(argc, argv, 3000);
  DiffRunner d(argc > 2 ? std::strtoull(argv[2], nullptr, 0) : 1);
  Random& rnd = d.rnd;

  for (u16 fi = 0; fi < kFormCount; fi++) {
    const Form& f = kForms[fi];
    if (form_group(f) != FormGroup::kX87) continue;
    if (argc > 3 && std::string_view(argv[3]) != f.id) continue;
    const std::string id = f.id;
    const unsigned approximate = approximate_results(f);
    const bool image = f.operands == std::string("M");  // a state of which not all is compared
    for (unsigned n = 0; n < per_form && !d.full(f); n++) {
      EncodeOptions o;
      if (rnd.one_in(3)) o.mode = CodeMode::k32;
      o.any_address = !image && (rnd() & 1);
      DiffCase c;
      if (!d.begin(f, o, c)) continue;
      CpuState& start = c.start;
      const Insn& insn = c.insn;
      static constexpr u16 kPrecision[] = {0, 0x200, 0x300, 0x300};
      u16 cw =
          static_cast<u16>(0x40 | kPrecision[rnd.below(4)] | (rnd() & 3) << 10 | (rnd.one_in(4) ? rnd() & 0x3f : 0x3f));
      u16 sw = static_cast<u16>(rnd() & 0x7f00);  // condition codes, TOP
      if (rnd.one_in(8)) sw |= static_cast<u16>(rnd() & 0x7f);
      if (!rnd.one_in(16)) sw &= static_cast<u16>(0xffc0 | (cw & 0x3f));  // nothing pending
      if (sw & ~cw & 0x3f) sw |= 0x8080;
      store<u16>(start.fx + kFxCw, cw);
      store<u16>(start.fx + kFxSw, sw);
      start.fx[kFxTw] = rnd.one_in(6) ? static_cast<u8>(rnd()) : id[1] == 'L' || id == "FILD_Mq" ? 0 : 0xff;
      if (id.starts_with("FLD") || id.starts_with("FILD") || id == "FBLD") {
        // Loads need room, FLD STi a source.
        if (!rnd.one_in(4)) start.fx[kFxTw] &= static_cast<u8>(~(1u << (((sw >> 11) - 1) & 7)));
        if (id == "FLD_STi" && !rnd.one_in(4)) start.fx[kFxTw] |= static_cast<u8>(1u << (((sw >> 11) + insn.rm) & 7));
      }
      for (unsigned i = 0; i < 8; i++)
        put_f80(start.fx + kFxSt + 16 * i, approximate && i < 2 ? domain_operand(rnd, id, i) : f80_operand(rnd));
      if (id.starts_with("FPREM") && !rnd.one_in(4)) {
        // Exponents close enough for a whole remainder, and quotients that fill the condition codes.
        u8* a = start.fx + kFxSt;
        store<u16>(a + 8, static_cast<u16>((load<u16>(a + 8) & 0x8000) | 0x4000));
        store<u16>(a + 24, static_cast<u16>((load<u16>(a + 24) & 0x8000) | (0x4000 - rnd.below(50))));
        store<u64>(a, rnd() | u64{1} << 63), store<u64>(a + 16, rnd() | u64{1} << 63);
      }
      if (c.operand) memory_operand(rnd, f, c.operand);

      d.run(c);
      CpuState &h = c.host, &g = c.guest;
      CompareMask mask;
      const u16 host_sw = load<u16>(h.fx + kFxSw), guest_sw = load<u16>(g.fx + kFxSw);
      if (id.starts_with("FPREM") && (host_sw & guest_sw & 0x400)) {
        d.verdict(c, "", "");
        continue;
      }
      if (approximate && h.vector < 0 && g.vector < 0) {
        bool same = true;
        for (unsigned i = 0; i < approximate; i++) {
          u8* ours = g.fx + kFxSt + 16 * i;
          const u8* theirs = h.fx + kFxSt + 16 * i;
          const u64 distance = ulps(ours, theirs);
          same &= distance == 0;
          if (distance <= 1) std::memcpy(ours, theirs, 10);
        }
        const bool power_of_two = id == "FYL2X" && std::has_single_bit(load<u64>(start.fx + kFxSt));
        mask.sw = static_cast<u16>(~(0x0200 | 0x20 | (same && !power_of_two ? 0 : 0x10)));
        if (!(cw & 0x20)) mask.sw &= static_cast<u16>(~0x8080);
      }
      if (id.find("COM") != std::string::npos || id == "FTST") {
        if (host_sw & ~cw & 3) mask.sw &= static_cast<u16>(~0x4700), mask.flags = kDF;
        if (id.find("COMI") != std::string::npos) mask.sw &= static_cast<u16>(~0x0200);
      }
      const bool save = (id == "FNSTENV" || id == "FNSAVE") && h.vector < 0;
      std::string diff = d.compare(c, mask, !save);
      if (save) {
        // The pointers are not compared.
        u8 ours[112], theirs[112];
        std::memcpy(ours, d.guest.data() + (c.address - kDiffData), 112);
        std::memcpy(theirs, c.operand, 112);
        const unsigned word = c.insn.osz == 1 ? 2 : 4;
        for (u8* p : {ours, theirs}) std::memset(p + 3 * word, 0, 4 * word);
        if (std::memcmp(ours, theirs, sizeof ours) != 0) diff += " image";
      }
      std::string operands;
      for (unsigned r : {0u, 1u, static_cast<unsigned>(insn.rm & 7)})
        operands += " st" + std::to_string(r) + " " + hex(load<u16>(start.fx + kFxSt + 16 * r + 8)) + ":" +
                    hex(load<u64>(start.fx + kFxSt + 16 * r));
      d.verdict(c, diff, ", cw " + hex(cw) + " sw " + hex(sw) + " tw " + hex(start.fx[kFxTw]) + operands);
    }
    d.report.end_of(f);
  }
  return d.report.finish("x87_diff");
}
