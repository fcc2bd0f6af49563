// The bare-metal tests of tests/unit/system in QEMU (TCG): what they expect of the processor must come about there as
// well. Where TCG is not followed, a table says why. Each test is entered by a firmware of ours (system/enter.asm)
// from the memory and registers that tier 0 starts with. Skipped where there is no QEMU. Arguments: the firmware, the
// assembled tests. -v before them shows every test.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "support/system_case.h"

using namespace oriel;

namespace {

constexpr int kSkipped = 77;
constexpr const char* kProgram = "qemu-system-x86_64";

// Of enter.asm.
constexpr u64 kImage = 0x400000, kState = 0x1f0000, kGuestRam = 16 << 20;
struct EnterState {
  enum Kind : u32 { kDirect, kByIret, kReal };
  u32 kind, cr0, cr3, cr4, efer, cs, data, edx;
  u32 frame[9];  // EIP, CS, EFLAGS, ESP, SS, ES, DS, FS, GS
  u32 msrs;
  u32 msr[8][3];
};
static_assert(offsetof(EnterState, msrs) == 68);

// QEMU with a QMP connection over its standard input and output.
class Qemu {
 public:
  explicit Qemu(const char* firmware) {
    const int fd = memfd_create("ram", 0);
    if (fd < 0 || ftruncate(fd, kGuestRam) != 0) std::perror("memfd"), std::exit(1);
    ram = static_cast<u8*>(mmap(nullptr, kGuestRam, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    int in[2], out[2];
    if (ram == MAP_FAILED || pipe(in) != 0 || pipe(out) != 0) std::perror("pipe"), std::exit(1);
    pid_ = fork();
    if (pid_ == 0) {
      dup2(in[0], 0), dup2(out[1], 1);
      for (int p : {in[0], in[1], out[0], out[1]}) close(p);
      const std::string memory =
          "memory-backend-file,id=ram,share=on,size=16M,mem-path=/proc/self/fd/" + std::to_string(fd);
      execlp(kProgram, kProgram, "-accel", "tcg", "-cpu", "max,vendor=GenuineIntel", "-machine",
             "pc,memory-backend=ram", "-m", "16", "-object", memory.c_str(), "-bios", firmware, "-nodefaults",
             "-display", "none", "-vga", "none", "-S", "-qmp", "stdio", static_cast<char*>(nullptr));
      _exit(127);
    }
    close(in[0]), close(out[1]), close(fd);
    to_ = in[1];
    from_ = fdopen(out[0], "r");
    there_ = !line().empty() && !command("qmp_capabilities").empty();
  }
  ~Qemu() {
    close(to_);
    kill(pid_, SIGTERM);
    std::fclose(from_);
    int status;
    waitpid(pid_, &status, 0);
    munmap(ram, kGuestRam);
  }
  Qemu(const Qemu&) = delete;
  Qemu& operator=(const Qemu&) = delete;

  bool there() const { return there_; }
  // Resets it and lets it run until it halts or is to shut down, for some seconds; then its registers are in `s`.
  void run(SystemState& s, unsigned seconds) {
    command("stop");
    reset_ = false;
    command("system_reset");
    while (!reset_)
      if (const std::string event = line(); !event.empty())
        note(event);
      else
        return;
    shut_down_ = false;
    command("cont");
    std::string r;
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
    bool halted = false;
    do {
      usleep(2000);
      r = monitor("info registers");
      halted = r.find("HLT=1") != std::string::npos;
    } while (!halted && !shut_down_ && std::chrono::steady_clock::now() < end);
    static constexpr const char* kNames[] = {"AX", "CX", "DX", "BX", "SP", "BP", "SI", "DI"};
    for (unsigned k = 0; k < 16; k++) {
      char name[8];
      if (k < 8)
        std::snprintf(name, sizeof name, "%s", kNames[k]);
      else
        std::snprintf(name, sizeof name, k < 10 ? "R%u " : "R%u", k);
      s.gpr[k] = field(r, std::string(name) + "=");
    }
    s.rip = field(r, "IP=");
    s.flags = static_cast<u32>(field(r, "FL="));
    s.cpl = static_cast<unsigned>(field(r, "CPL="));
    s.cr0 = field(r, "CR0="), s.cr2 = field(r, "CR2="), s.dr6 = field(r, "DR6="), s.efer = field(r, "EFER=");
    s.cs = static_cast<u16>(field(r, "CS ="));
    unsigned sel = 0, attributes = 0;
    unsigned long long base = 0, limit = 0;
    if (const usize at = r.find("SS ="); at != std::string::npos)
      std::sscanf(r.c_str() + at, "SS =%x %llx %llx %x", &sel, &base, &limit, &attributes);
    s.ss = static_cast<u16>(sel), s.ss_base = static_cast<u32>(base), s.big_stack = attributes & 1 << 22;
    s.read = [this](u64 at, void* to, usize size) { std::memcpy(to, ram + at, size); };
    if (shut_down_)
      s.outcome = kOutcomeShutdown;
    else if (halted)
      s.set_halted();
  }

  u8* ram;

 private:
  static u64 field(const std::string& text, const std::string& name) {
    const usize at = text.find(name);
    return at == std::string::npos ? 0 : std::strtoull(text.c_str() + at + name.size(), nullptr, 16);
  }
  std::string line() {
    std::string text;
    for (int ch; (ch = std::fgetc(from_)) != EOF && ch != '\n';) text += static_cast<char>(ch);
    return text;
  }
  // A triple fault resets the machine, and so do we.
  void note(const std::string& event) {
    if (event.find("\"event\": \"RESET\"") == std::string::npos) return;
    const bool by_guest = event.find("\"guest\": true") != std::string::npos;
    (by_guest ? shut_down_ : reset_) = true;
  }
  std::string send(const std::string& json) {
    if (write(to_, json.data(), json.size()) != static_cast<ssize_t>(json.size())) return {};
    for (;;) {
      std::string text = line();
      if (text.empty() || text.starts_with("{\"return\"") || text.starts_with("{\"error\"")) return text;
      note(text);
    }
  }
  std::string command(const std::string& name) { return send("{\"execute\":\"" + name + "\"}\n"); }
  std::string monitor(const std::string& text) {
    return send("{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":\"" + text + "\"}}\n");
  }

  pid_t pid_;
  int to_;
  std::FILE* from_;
  bool shut_down_ = false, reset_ = false, there_ = false;
};

// Where TCG (QEMU 7.2) is not followed: in a file, tests whose names begin so, what is wrong beginning so; the manual's
// section stands with each test. Empty texts are for all.
struct Difference {
  const char *file, *test, *wrong, *why;
};
constexpr const char* kNoSegmentChecks = "TCG checks neither limits nor types of segments when they are used";
constexpr const char* kNoRf = "TCG does not set RF in what a fault pushes";
constexpr const char* kNoMovSs = "TCG knows no MOV SS that holds off debug exceptions";
constexpr const char* kNoPresentBit = "TCG leaves out P in the error code of a reserved bit";
constexpr const char* kNoPcid = "TCG has no PCIDs and no INVPCID";
constexpr const char* kEarlier = "TCG forgets more than it must: a TLB may";
constexpr const char* kExitCode = "TCG's VMEXIT_INVALID has 32 bits";
constexpr const char* kNoIntercept = "TCG has no such intercept, or another exit for it";
constexpr const char* kJumped = "TCG jumps first and faults at the target";
constexpr const char* kOtherCpuid = "what CPUID and ports say is the machine's";
constexpr const char* kUnused = "TCG writes registers whether or not they are in use: XINUSE is what it likes";
constexpr const char* kNoX87Pointers =
    "TCG keeps no FOP, FIP, FDP, leaves what is reserved of the registers, and begins with FINIT";
constexpr const char* kMoreRam = "there is memory in the larger machine";
constexpr Difference kDifferences[] = {
    {"segments", "real mode: a word at FFFF", "", kNoSegmentChecks},
    {"segments", "real mode: a stack word", "", kNoSegmentChecks},
    {"segments", "beyond a data segment's limit", "", kNoSegmentChecks},
    {"segments", "an expand-down segment has", "", kNoSegmentChecks},
    {"segments", "a null selector loads", "", kNoSegmentChecks},
    {"segments", "writing a ", "", kNoSegmentChecks},
    {"gates", "an invalid segment in the new task", "saved address", "TCG has the old task's address there"},
    {"gates", "the debug trap bit of a TSS", "", "TCG does not look at it"},
    {"exceptions", "LOCK where it is not allowed", "", "TCG: no #UD"},
    {"exceptions", "a fault pushes RF", "frame", kNoRf},
    {"exceptions", "an instruction breakpoint is a fault", "frame", kNoRf},
    {"exceptions", "a pending x87 exception", "", "TCG looks for it at FWAIT alone"},
    {"exceptions", "alignment check", "", "TCG has no #AC"},
    {"exceptions", "a fault beside a benign one", "error code", "TCG leaves out EXT"},
    {"exceptions", "reserved bits of CR4", "", "TCG: no #GP"},
    {"exceptions", "CR0.PG without PE", "", "TCG: no #GP"},
    {"exceptions", "DR7.GD", "", "TCG has no general detect"},
    {"exceptions", "INT1", "", "TCG: #UD"},
    {"exceptions", "IRET with RF", "flags is 10002", "TCG leaves RF set after the instruction"},
    {"debug", "SYSCALL that masks TF", "flags is 2,", "TCG clears the arithmetic flags"},
    {"debug", "MOV SS loses its own single-step trap: INT1", "", "TCG: INT1 is #UD"},
    {"debug", "a data breakpoint of MOV SS", "", kNoMovSs},
    {"debug", "MOV SS does not hold off general detect", "", "TCG has no general detect"},
    {"debug", "MOV SS holds off an instruction breakpoint", "", kNoMovSs},
    {"debug", "STI does not hold off the single-step trap", "", "TCG holds it off"},
    {"debug", "HLT does not stay", "", "TCG halts first"},
    {"debug", "a REP is stepped", "frame", kNoRf},
    {"debug", "a data breakpoint in a REP", "frame", kNoRf},
    {"paging", "a global page survives", "register 3", kEarlier},
    {"paging", "reserved bit 21", "error code", kNoPresentBit},
    {"paging", "PAE: the page-directory pointers", "saved address", "TCG reads them with each walk"},
    {"paging", "PAE: reserved bits of a pointer", "", "TCG reads them with each walk"},
    {"paging", "PAE: NX is reserved", "error code", kNoPresentBit},
    {"paging", "a walk through tables outside of memory", "", kMoreRam},
    {"keys", "CPUID says what CR4 enabled", "", kOtherCpuid},
    {"keys", "and when CR4.PKE goes", "", "TCG keeps the translation made while it was clear"},
    {"keys", "where CPUID has the component", "", kOtherCpuid},
    {"keys", "XSAVE and XRSTOR of PKRU", "qword at 20340", kOtherCpuid},
    {"keys", "PKRU in its initial state", "qword at 20200", kUnused},
    {"pcid", "INVPCID", "", kNoPcid},
    {"pcid", "PCIDE", "", kNoPcid},
    {"pcid", "a switch of PCID", "", kNoPcid},
    {"pcid", "more PCIDs", "", kNoPcid},
    {"pcid", "CR3 does not keep bit 63", "", kNoPcid},
    {"pcid", "bit 63 of CR3", "", "TCG: no #GP"},
    {"pcid", "another reserved bit of CR3", "", "TCG: no #GP"},
    {"pcid", "code of two PCIDs", "", kNoPcid},
    {"pcid", "a global page is every PCID's", "register 3", kEarlier},
    {"pcid", "INVLPG of a global page", "", kNoPcid},
    {"pcid", "INVLPG of a large page's other piece", "register 0", kMoreRam},
    {"svm", "", "qword at 240c8 is 0,", "TCG saves no next RIP (CPUID 8000000AH, EDX bit 3)"},
    {"svm", "", "dword at 240c8 is 0,", "as above"},
    {"svm", "", "dword at 24570 is 2, want 10002", kNoRf},
    {"svm", "a port that the map has", "dword at 245f8", kOtherCpuid},
    {"svm", "shutdown", "dword at 24088", "TCG leaves the first exception there, not the double fault"},
    {"svm", "a virtual interrupt waits", "dword at 24088 is 340,", "EXITINTINFO without V: nothing"},
    {"svm", "", "qword at 24070 is ffffffff,", kExitCode},
    {"svm", "LMSW, selectively", "", kNoIntercept},
    {"svm", "INVD", "", kNoIntercept},
    {"svm", "RDTSCP", "", kNoIntercept},
    {"svm", "ICEBP", "", "TCG: INT1 is #UD"},
    {"svm", "XSETBV", "", kNoIntercept},
    {"svm", "INVPCID", "", kNoPcid},
    {"svm", "INT n", "qword at 24078", "TCG does not say which vector"},
    {"svm", "a string instruction of a port", "qword at 24078", "TCG leaves out the address size"},
    {"svm", "an injected exception", "dword at 240a8", "TCG clears the field"},
    {"svm", "a virtual interrupt below", "", "V_TPR holds nothing back in TCG"},
    {"svm", "nested: a reserved bit", "qword at 24078", kNoPresentBit},
    {"long", "a noncanonical stack address", "outcome", "TCG: #GP"},
    {"long", "a noncanonical jump", "saved address", kJumped},
    {"long", "IRETQ to a noncanonical address", "saved address", kJumped},
    {"long", "reserved: PS in the top level", "error code", kNoPresentBit},
    {"long", "WRFSBASE with a noncanonical address", "saved address", "TCG takes it, and faults at the access"},
    {"long", "segment bases and limits do not count", "", "TCG adds the base of ES"},
    {"long", "CS cannot be both", "outcome", "TCG: no #GP"},
    {"long", "PAE cannot be cleared", "", "TCG: no #GP"},
    {"long", "EFER.LME cannot change", "", "TCG: no #GP"},
    {"long", "CR8 is the task priority", "", "TCG: no #GP for reserved bits"},
    {"long", "machine-check banks", "", kOtherCpuid},
    {"long", "IA32_PRED_CMD", "", "TCG: no #GP"},
    {"long", "interrupt stack table", "SS", "TCG loads null without a change of privilege (SDM Vol. 2, INT n: NewSS)"},
    {"long", "SYSCALL and SYSRET", "flags is 2,", "TCG clears the arithmetic flags"},
    {"long", "XSAVE and XRSTOR", "dword at 200", kNoX87Pointers},
    {"legacy", "AAS", "flags", "SF, undefined (SDM Vol. 2, AAS)"},
    {"avx", "CPUID has all of", "register", kOtherCpuid},
    {"avx", "XSAVE of x87 state alone", "dword at 200", kNoX87Pointers},
    {"avx", "XSAVEOPT64", "dword at 200", kNoX87Pointers},
    {"avx", "FXSAVE knows", "dword at 200", kNoX87Pointers},
    {"avx", "AVX in 16-bit protected mode", "", "TCG: #UD"},
    {"avx", "CR0.EM is nothing to AVX", "", "TCG: #UD"},
    {"avx", "VEX.W where it is fixed", "", "TCG ignores it"},
    {"avx", "an unmasked SIMD exception", "", "TCG has no #XM"},
    {"avx", "masked moves touch no masked lane", "", "TCG accesses every lane"},
    {"avx", "a masked store that faults", "", "TCG writes lane by lane"},
    {"avx", "VZEROUPPER, VZEROALL in compatibility mode", "", "TCG clears sixteen"},
    {"avx", "the size of the area", "", kOtherCpuid},
    {"avx", "XSAVE with TS", "", "TCG has no #NM there"},
    {"avx", "XSAVE saves what is asked for", "qword at 20200", kUnused},
    {"avx", "XSAVEOPT leaves out", "", kUnused},
    {"avx", "MXCSR is no part", "", kUnused},
    {"avx", "XRSTOR of upper halves", "register 2", "TCG takes MXCSR with SSE alone"},
    {"avx", "XSAVEOPT outside", "dword at 20018", "TCG saves MXCSR with SSE alone"},
    {"avx", "XRSTOR with reserved bits of MXCSR", "", "TCG: no #GP"},
    {"forms", "CPUID", "", kOtherCpuid},
    {"forms", "RDTSC", "", kOtherCpuid},
    {"forms", "RDPMC", "outcome", "TCG: #UD"},
    {"forms", "0F 0D with a register", "outcome", "TCG: #UD"},
    {"forms", "IN", "", kOtherCpuid},
    {"forms", "66 is nothing to LGDT", "qword", "TCG takes 24 bits of the base"},
    {"forms", "CLAC and STAC in 64-bit mode", "",
     "the far jump of enter.asm reads the GDT, which is a user page, under SMAP (SDM Vol. 3, 4.6.1)"},
    {"forms", "SGDT and LGDT", "dword at 20024", "TCG stores 24 bits of the base (SDM Vol. 2, SGDT: 32)"},
    {"forms", "SIDT and LIDT", "dword at 20024", "TCG stores 24 bits of the base (SDM Vol. 2, SIDT: 32)"},
    {"forms", "XSAVEOPT saves", "dword at 2", kNoX87Pointers},
    {"forms", "INT1", "outcome", "TCG: #UD"},
    {"forms", "LSS, LFS and LGS with 64 bits", "", "TCG has AMD's: REX.W is ignored"},
};

// Whether all that is wrong, complaint by complaint, is in the table.
bool is_known(std::string_view file, const std::string& test, std::string_view wrong) {
  file.remove_prefix(file.rfind('/') + 1);
  while (!wrong.empty()) {
    const std::string_view complaint = wrong.substr(1, wrong.find(';'));  // behind a space
    wrong.remove_prefix(complaint.size() + 1);
    bool known = false;
    for (const Difference& d : kDifferences)
      known |= file == std::string(d.file) + ".bin" && test.starts_with(d.test) && complaint.starts_with(d.wrong);
    if (!known) return false;
  }
  return true;
}

// The machine that tier 0 starts with, laid out for enter.asm.
void prepare(Qemu& q, BareMachine& m, const SystemCase& test) {
  set_up(m, test);
  Cpu& c = m.cpu;
  std::memset(q.ram, 0, kBareRam);
  std::memcpy(q.ram + kImage, m.ram.get(), kBareRam);
  EnterState s{};
  const bool real = c.real_mode(), vm86 = test.setup.mode == BareMode::kVm86;
  s.kind = real ? EnterState::kReal : c.cpl == 3 ? EnterState::kByIret : EnterState::kDirect;
  s.cr0 = static_cast<u32>(c.cr0), s.cr3 = static_cast<u32>(c.cr3), s.cr4 = static_cast<u32>(c.cr4);
  s.efer = static_cast<u32>(c.efer) & ~u32{kEferLMA};
  s.cs = c.seg[kCS].sel;
  s.edx = static_cast<u32>(c.gpr[kRDX]);
  s.data = vm86 ? kSelData32 : c.seg[kDS].sel;  // IRET loads them then
  const u32 frame[] = {
      kBareCode, s.cs, static_cast<u32>(c.get_rflags()), static_cast<u32>(c.gpr[kRSP]), c.seg[kSS].sel, 0, 0, 0, 0};
  std::memcpy(s.frame, frame, sizeof frame);
  auto msr = [&](u32 index, u64 v) {
    s.msr[s.msrs][0] = index, s.msr[s.msrs][1] = static_cast<u32>(v), s.msr[s.msrs][2] = static_cast<u32>(v >> 32);
    s.msrs++;
  };
  msr(0xc0000081, c.msr.star), msr(0xc0000082, c.msr.lstar), msr(0xc0000083, c.msr.cstar);
  msr(0x174, c.msr.sysenter_cs), msr(0x175, c.msr.sysenter_esp), msr(0x176, c.msr.sysenter_eip);
  std::memcpy(q.ram + kImage + kState, &s, sizeof s);
}

// What else there is, beside what the test expects: registers and memory as tier 0 leaves them.
std::string differs_from_ours(BareMachine& m, const Qemu& q, const SystemCase& test, const SystemState& s) {
  Cpu& c = m.cpu;
  set_up(m, test);
  c.run(20000);
  std::string text;
  char part[96];
  auto expect = [&](const char* what, u64 at, u64 theirs, u64 ours) {
    if (theirs == ours || text.size() > 200) return;
    std::snprintf(part, sizeof part, " %s", what);
    text += part;
    if (what[0] == 'r') std::snprintf(part, sizeof part, " %llu", static_cast<unsigned long long>(at)), text += part;
    if (what[0] == 'd') std::snprintf(part, sizeof part, " %llx", static_cast<unsigned long long>(at)), text += part;
    std::snprintf(part, sizeof part, " is %llx, want %llx;", static_cast<unsigned long long>(theirs),
                  static_cast<unsigned long long>(ours));
    text += part;
  };
  for (unsigned k = 0; k < 16; k++) expect("register", k, s.gpr[k], c.gpr[k]);
  expect("flags", 0, s.flags, c.get_rflags());
  expect("CR0", 0, s.cr0, c.cr0);
  expect("CR2", 0, s.cr2, c.cr2);
  expect("EFER", 0, s.efer, c.efer);
  expect("CS", 0, s.cs, c.seg[kCS].sel);
  expect("SS", 0, s.ss, c.seg[kSS].sel);
  for (u64 at = 0; at < kBareRam; at += 4) {
    if (at == 0xa0000) at = 0x100000;
    if (at == kState) at += 0x1000;
    if (at == 0x400 && test.setup.efer & kEferSVME) at = 0x800;
    // The host's state of SVM, which tier 0 has not in memory (VM_HSAVE_PA is 0); RF in what a fault pushes (kNoRf); A,
    // D of tables: enter.asm and its stack were there.
    const u32 ignored = at < kBareCode ? kRF : at >= kBarePml4 && at < kBarePaePdpt + 0x1000 ? 0x60 : 0;
    expect("dword at", at, load<u32>(q.ram + at) | ignored, load<u32>(m.ram.get() + at) | ignored);
  }
  return text;
}

}  // namespace

int main(int argc, char** argv) {
  const bool verbose = argc > 1 && std::string_view(argv[1]) == "-v";
  const int first = verbose ? 2 : 1;
  if (argc < first + 2) return std::puts("usage: system_qemu_test [-v] FIRMWARE FILE..."), 1;
  std::signal(SIGPIPE, SIG_IGN);
  Qemu q(argv[first]);
  if (!q.there()) return std::printf("there is no %s\n", kProgram), kSkipped;
  StubBus bus;
  NoMmio mmio;
  BareMachine m(bus, mmio);
  unsigned passed = 0, known = 0, failed = 0;
  for (int a = first + 1; a < argc; a++)
    for (const SystemCase& test : read_system_cases(argv[a])) {
      std::string wrong;
      bool ours = false, expected = false;
      // A few known ones do not end. Any other that does not gets more time: the host may be busy.
      for (const unsigned seconds : {2u, 60u}) {
        prepare(q, m, test);
        SystemState s;
        q.run(s, seconds);
        wrong = wrong_with(test, s);
        if (wrong.empty() && test.outcome != kOutcomeShutdown) wrong = differs_from_ours(m, q, test, s);
        ours = wrong.empty(), expected = !ours && is_known(argv[a], test.name, wrong);
        if (ours || expected || s.outcome != kOutcomeNone) break;
      }
      (ours ? passed : expected ? known : failed)++;
      if (verbose || (!ours && !expected))
        std::printf("%s: %s (SDM %s):%s%s\n", argv[a], test.name.c_str(), test.section.c_str(),
                    ours ? " ok" : wrong.c_str(), expected ? " (known)" : "");
    }
  std::printf("%u passed, %u differ as known, %u failed\n", passed, known, failed);
  return failed || !passed;
}
