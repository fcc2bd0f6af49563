// The processor: architectural state, and the interfaces between the parts that execute it.
// Sources: Intel SDM Vol. 1-3 (cited by section where a rule is not obvious).
//
//   interp.cpp    the block loop and the hot integer instructions (tier 0)
//   int_*.cpp     the other integer instructions          (exec_* functions)
//   sys_*.cpp     segments, exceptions, gates, task switch, control registers, MSRs, CPUID
//   x87.cpp, softfloat.cpp, mmx/sse_*.cpp   floating point and SIMD
//   mmu.cpp       paging, TLB, slow memory paths;  blocks.cpp  block cache
//
// Rules for an executor `bool exec_X(Cpu& c, const Insn& i)`:
// - On entry c.rip is the address of the next instruction, c.fault_rip that of this one.
// - It returns true when the instruction retired. To fault it returns c.raise(...) (false) with no
//   architectural state changed except what the manual says is (REP progress). The block loop then
//   sets rip back to fault_rip and delivers the exception.
// - A branch writes c.rip. A write of a 32-bit register zero-extends (set_reg).
// - Memory goes through read/write/rmw below; each returns false when it has raised.
// - Instructions that fault half-way must make their checks (all reads, write permission) before
//   they change a register.
#pragma once

#include <memory>

#include "base/state.h"
#include "base/types.h"
#include "cpu/page_set.h"
#include "cpu/physmem.h"
#include "cpu/svm.h"
#include "x86/decode.h"

namespace oriel {

class BlockCache;
struct Block;

// ---- constants ---------------------------------------------------------------------------------

// RFLAGS (SDM Vol. 1, 3.4.3)
enum : u32 {
  kCF = 1u << 0,
  kF1 = 1u << 1,
  kPF = 1u << 2,
  kAF = 1u << 4,
  kZF = 1u << 6,
  kSF = 1u << 7,
  kTF = 1u << 8,
  kIF = 1u << 9,
  kDF = 1u << 10,
  kOF = 1u << 11,
  kIOPL = 3u << 12,
  kNT = 1u << 14,
  kRF = 1u << 16,
  kVM = 1u << 17,
  kAC = 1u << 18,
  kVIF = 1u << 19,
  kVIP = 1u << 20,
  kID = 1u << 21,
  kArith = kCF | kPF | kAF | kZF | kSF | kOF,
};
// Control registers and EFER (SDM Vol. 3, 2.5)
enum : u64 {
  kCr0PE = 1u << 0,
  kCr0MP = 1u << 1,
  kCr0EM = 1u << 2,
  kCr0TS = 1u << 3,
  kCr0ET = 1u << 4,
  kCr0NE = 1u << 5,
  kCr0WP = 1u << 16,
  kCr0AM = 1u << 18,
  kCr0NW = 1u << 29,
  kCr0CD = 1u << 30,
  kCr0PG = 1u << 31,
  kCr4VME = 1u << 0,
  kCr4PVI = 1u << 1,
  kCr4TSD = 1u << 2,
  kCr4DE = 1u << 3,
  kCr4PSE = 1u << 4,
  kCr4PAE = 1u << 5,
  kCr4MCE = 1u << 6,
  kCr4PGE = 1u << 7,
  kCr4PCE = 1u << 8,
  kCr4OSFXSR = 1u << 9,
  kCr4OSXMMEXCPT = 1u << 10,
  kCr4UMIP = 1u << 11,
  kCr4FSGSBASE = 1u << 16,
  kCr4PCIDE = 1u << 17,
  kCr4OSXSAVE = 1u << 18,
  kCr4SMEP = 1u << 20,
  kCr4SMAP = 1u << 21,
  kCr4PKE = 1u << 22,
  kCr4PKS = 1u << 24,
  kEferSCE = 1u << 0,
  kEferLME = 1u << 8,
  kEferLMA = 1u << 10,
  kEferNXE = 1u << 11,
  kEferSVME = 1u << 12,
};
// DR6 (SDM Vol. 3, 17.2.3)
enum : u32 { kDr6BD = 1u << 13, kDr6BS = 1u << 14, kDr6BT = 1u << 15 };
// Vectors (SDM Vol. 3, 6.3.1)
enum Vector : u8 {
  kDE = 0,
  kDB = 1,
  kNMI = 2,
  kBP = 3,
  kOFv = 4,
  kBR = 5,
  kUD = 6,
  kNM = 7,
  kDF_ = 8,
  kTS = 10,
  kNP = 11,
  kSSv = 12,
  kGP = 13,
  kPFv = 14,
  kMF = 16,
  kACv = 17,
  kMC = 18,
  kXM = 19,
  kVmExit = 0xff,  // not an exception: a #VMEXIT is due (svm.cpp)
};

// Segment descriptor attributes as SegCache holds them: descriptor bits 40-47 in bits 0-7 and
// bits 52-55 in bits 8-11.
enum SegAttr : u16 {
  kSegA = 1 << 0,
  kSegRW = 1 << 1,
  kSegDC = 1 << 2,
  kSegExec = 1 << 3,
  kSegS = 1 << 4,
  kSegP = 1 << 7,
  kSegAVL = 1 << 8,
  kSegL = 1 << 9,
  kSegDB = 1 << 10,
  kSegG = 1 << 11,
};
constexpr unsigned seg_dpl(u16 attr) { return attr >> 5 & 3; }

// SegCache::ok
enum : u8 { kSegOkRead = 1, kSegOkWrite = 2 };

struct alignas(64) SegCache {  // a power of two, so that an index is a shift
  u64 base = 0;                // as loaded from the descriptor (or FS/GS base MSR)
  u64 lin = 0;                 // base to add: 0 for ES, CS, SS, DS in 64-bit mode, else `base`
  u32 limit = 0;               // in bytes, inclusive (granularity applied)
  u16 sel = 0;
  u16 attr = 0;  // SegAttr; P clear means unusable (null selector)
  u8 ok = 0;     // accesses that need no limit or type check: flat 4 GiB, or 64-bit mode
  // How many bytes from offset 0 may be read or written without further checks: ~0 where `ok`, limit + 1 in an
  // ordinary expand-up segment, 0 where seg_check() must decide.
  u64 readable = 0, writable = 0;
};

struct DescTable {
  u64 base = 0;
  u16 limit = 0xffff;
};

// x87 register: 64-bit significand (explicit integer bit) and sign:exponent.
struct F80 {
  u64 m;
  u16 se;
};

struct Fpu {
  F80 r[8];        // physical registers; ST(i) is r[(top + i) & 7]. MMX MMi is r[i].m
  u16 cw = 0x37f;  // control word
  u16 sw = 0;      // status word, TOP field kept in `top`
  u8 top = 0;
  u8 tw = 0;    // abridged tag word: bit i set = physical register i is not empty
  u16 fop = 0;  // last opcode, 11 bits
  u64 fip = 0, fdp = 0;
  u16 fcs = 0, fds = 0;
};

// Software TLB: direct mapped, one table for each way permissions are checked.
enum MmuIndex : u8 {
  kMmuSup = 0,    // CPL 0-2
  kMmuUser = 1,   // CPL 3
  kMmuSupAc = 2,  // CPL 0-2 with EFLAGS.AC = 1 under CR4.SMAP: user pages are open
  kMmuAlign = 3,  // CPL 3 with alignment checks on: never filled, so that every access is slow
  kMmuCount = 4,
};
struct TlbEntry {
  // The linear page (low 12 bits zero) when that access needs nothing but the addition of `addend`;
  // otherwise kTlbNone, which no page equals. Noncanonical and MMIO pages are never entered.
  u64 rtag, wtag;
  u64 xtag;    // instruction fetch
  u64 addend;  // host address minus linear address (mod 2^64; mod 2^32 in wasm)
};
static_assert(sizeof(TlbEntry) == 32);
constexpr u64 kTlbNone = ~u64{0};
constexpr unsigned kTlbBits = 11, kTlbSize = 1u << kTlbBits;
constexpr unsigned tlb_index(u64 lin) { return static_cast<unsigned>(lin >> 12) & (kTlbSize - 1); }

// What is known of one PCID's translations, or of all while CR4.PCIDE is clear. The others' are kept, so that a switch
// of PCID that flushes nothing finds them again.
struct TlbSet {
  TlbEntry* tables[kMmuCount] = {};
  // Beside each table: the guest-physical page and, in the low bits, what flushes look at (mmu.cpp); kTlbNone where
  // there is no entry.
  u64* pa[kMmuCount] = {};
  u8 used = 0;  // bit per table that may hold entries
  u16 pcid = 0;
  u64 gen = 0;  // of the mappings from linear addresses to code; 0: none of them holds
  u64 last_used = 0;
};
constexpr unsigned kTlbSets = 6;  // as many as Linux uses PCIDs

// What the CPU asks of the machine around it. Port and MMIO effects may call back
// (raise_irq_line(), request_exit()); they take effect after the current instruction.
class CpuBus {
 public:
  virtual ~CpuBus() = default;
  virtual u32 port_read(u16 port, unsigned size) = 0;  // size 1, 2, 4
  virtual void port_write(u16 port, u32 value, unsigned size) = 0;
  virtual u8 interrupt_acknowledge() = 0;  // INTA: the vector, from LAPIC or PIC
  virtual u64 tsc() = 0;                   // virtual time in TSC ticks, without IA32_TSC_ADJUST
  virtual void halted() {}                 // HLT retired
  virtual u64 apic_base() = 0;             // IA32_APIC_BASE
  virtual bool set_apic_base(u64 v) = 0;   // false: #GP
  // MSRs 800H to 8FFH, the registers of an APIC in x2APIC mode. false: #GP.
  virtual bool read_apic_msr(u32, u64&) { return false; }
  virtual bool write_apic_msr(u32, u64) { return false; }
  virtual u64 tsc_deadline() = 0;  // IA32_TSC_DEADLINE
  virtual void set_tsc_deadline(u64 v) = 0;
  virtual u8 tpr() = 0;  // CR8: bits 7:4 of the task priority
  virtual void set_tpr(u8 v) = 0;
  virtual void ferr() {}  // FERR#: a pending x87 exception with CR0.NE = 0 (IRQ 13 on a PC)
};

// Reasons to leave the fast path before the next instruction; bits of Cpu::events.
enum CpuEvent : u32 {
  kEvIntr = 1 << 0,      // INTR pin is high
  kEvNmi = 1 << 1,       // NMI pending
  kEvShadow = 1 << 2,    // interrupts are held off for one instruction (STI, MOV SS, POP SS)
  kEvTrap = 1 << 3,      // single-stepping (TF), or instruction breakpoints armed: one instruction at a time
  kEvExit = 1 << 4,      // request_exit(): return from run()
  kEvHalt = 1 << 5,      // in HLT
  kEvShutdown = 1 << 6,  // triple fault
  kEvDebug = 1 << 7,     // a debug exception is due after this instruction (data breakpoint, TF)
  kEvRep = 1 << 9,       // the next instruction is a REP that has begun: what comes now pushes RF
  kEvVintr = 1 << 10,    // a virtual interrupt waits (APM Vol. 2, 15.21)
  kEvMovSs = 1 << 8,     // beside kEvShadow, of MOV SS and POP SS: debug exceptions are held off as well
};

// Result of a run().
enum class RunResult : u8 { kBudget, kHalted, kExit, kShutdown };

class Cpu;
bool exec_invalid(Cpu& c, const Insn& i);

// What compiled code and its runtime (src/jit) hand each other.
struct JitState {
  u32 budget = 0;     // instructions that may still retire
  u32 exit = 0;       // where a unit was left (jit/wasm/emit.h: kLeaveTier0)
  u32 entry = 0;      // where a unit is entered: BlockCache::Jump::code
  s32 page = 0;       // and BlockCache::Jump::page
  u32 flag_kind = 0;  // lazy flags as a unit left them (jit/ir/flags.h)
  u64 flag_a = 0, flag_b = 0;
  u64 base = 0;    // linear address of the first page of the unit that was left
  u32 raised = 0;  // an instruction that was called as a function would raise an exception
};

// The compiled tiers, as tier 0 sees them.
class CompiledCode {
 public:
  enum class Ran : u8 {
    kGo,     // tier 0 goes on at rip, unless an event is due or the limit reached
    kFault,  // as Cpu::Exit says
    kAgain,
  };
  virtual ~CompiledCode() = default;
  // Block::heat of the block at rip reached 0: runs its compiled code and what follows, or has it compiled.
  virtual Ran run(Block& b, u64 limit) = 0;
  // Bytes [pa, pa + n) of a page were written: drops the code made from them. Returns the 64-byte lines of the page
  // that other code was made from.
  virtual u64 code_written(u64 pa, u32 n) = 0;
  virtual void block_dropped(Block& b) = 0;
  // A block was made, where there may be compiled code already.
  virtual void block_added(Block& b) = 0;
  // All blocks are gone, and the cache's record of which pages have code; the compiled code stays.
  virtual void blocks_flushed() = 0;
  // The map of physical memory changed: nothing stays.
  virtual void all_dropped() = 0;
};

// Names of the general and of the segment registers, by their numbers.
extern const char* const kGprNames[16];
extern const char* const kSegNames[kSegCount];

// ---- the processor -----------------------------------------------------------------------------

class Cpu final : public PhysMemListener {
 public:
  Cpu(PhysMem& mem, CpuBus& bus);
  ~Cpu() override;
  // In wasm a module instance has one machine with one processor, and it lies at a fixed address: an engine then folds
  // the address of a field into the instruction that uses it. Elsewhere an ordinary object.
  struct Delete {
    void operator()(Cpu* c) const;
  };
  static std::unique_ptr<Cpu, Delete> create(PhysMem& mem, CpuBus& bus);

  // Architectural state, in one struct for the JIT's benefit: hot fields first.
  u64 gpr[kGprSlots] = {};         // [kZero] is always 0; [kRipBase] is scratch for RIP-relative sums
  u64 rip = 0;                     // see the executor rules above
  u64 fault_rip = 0;               // start of the instruction being executed
  const Insn* ip_end = nullptr;    // the block loop stops here; set to nullptr to stop after this instruction
  const Insn* ip = nullptr;        // current instruction in executors and slow paths
  const Insn* ip_start = nullptr;  // first instruction of the running block
  u64 block_rip = 0;               // its address
  u64 icount = 0;                  // retired instructions up to ip_start. REP counts once
  u64 rep_iterations = 0;

  // Lazy flags. CF, OF, ZF, SF, PF and AF follow from two words:
  //   ZF = res == 0;  SF = bit 63 of res ^ bit 0 of aux;  PF = even parity of (res ^ aux >> 8) & 0xff;
  //   CF = bit 63 of aux;  OF = bit 63 ^ bit 62 of aux;  AF = bit 3 of aux.
  // `res` is the result sign-extended from its size. The other RFLAGS bits are in `rflags`.
  u64 cc_res = 1, cc_aux = 0;
  u32 rflags = kF1;  // all but the six arithmetic flags (those bits are zero here)

  u8 cpl = 0;
  CodeMode code_mode = CodeMode::k16;
  u8 mmu = kMmuSup;           // MmuIndex in force
  bool stack32 = false;       // SS.B (outside 64-bit mode)
  u64 lin_mask = 0xffffffff;  // linear addresses: 32 bits outside 64-bit mode
  u64 sp_mask = 0xffff;       // stack pointer width
  u64 fetch_limit = 0xffff;   // the last RIP that may be fetched: CS.limit, or ~0 in 64-bit mode
  u64 code_key = 0;           // what a cached linear-to-block mapping depends on: TlbSet::gen, code mode, MMU index
  u32 events = 0;             // CpuEvent
  SegCache seg[kSegCount];
  TlbEntry* tlb = nullptr;  // table in force: tlb_set->tables[mmu]

  V128 xmm[16] = {};
  V128 ymm_hi[16] = {};  // upper halves of YMM0 to YMM15
  u32 mxcsr = 0x1f80;
  JitState jit;
  Fpu fpu;

  u64 cr0 = 0x60000010, cr2 = 0, cr3 = 0, cr4 = 0;
  u64 dr[8] = {};
  u64 efer = 0;
  u64 xcr0 = 1;
  u32 pkru = 0;
  DescTable gdtr, idtr;
  u64 pdpte[4] = {};  // PAE page-directory pointers, loaded with CR3
  bool nmi_blocked = false;
  bool fault_in_new_task = false;  // a task switch raised `exc` after its point of no return: rip is the new task's
  bool step_trap = false;          // the instruction being executed, alone, ends in a single-step trap
  u32 pending_dr6 = 0;             // DR6 bits of a debug exception that is due (kEvDebug)

  struct Msrs {
    u64 star = 0, lstar = 0, cstar = 0, fmask = 0, kernel_gs_base = 0, sysenter_cs = 0, sysenter_esp = 0,
        sysenter_eip = 0;
    u64 tsc_adjust = 0, tsc_offset = 0, tsc_aux = 0, pat = 0x0007040600070406, misc_enable = 1;
    u64 mtrr_def_type = 0, mtrr_fixed[11] = {}, mtrr_phys[16] = {};
    u64 spec_ctrl = 0, debugctl = 0, mcg_status = 0, mc_ctl[8] = {}, mc_status[8] = {}, mc_addr[8] = {},
        mc_misc[8] = {};
    u64 bios_sign_id = 0, feature_control = 1, pkrs = 0;
  } msr;

  Svm svm;

  // ---- running ----
  // Executes until `icount` reaches `limit` (exactly), or something ends it earlier. Interrupts and
  // exceptions are delivered inside.
  RunResult run(u64 limit);
  // After this many faults, interrupts or unfinished REPs in one run() control goes back to the host even if no
  // instruction retired: a guest must not be able to hold it.
  u32 max_spins = 4096;
  // The block loop: executes until `limit`, an event, or a fault (recorded in exc, rip at its start).
  enum class Exit : u8 { kNormal, kFault, kAgain /* an unfinished REP */ };
  Exit execute(u64 limit);
  // The instruction at `ip`, fault_rip its address. `next`: control goes on behind it; else rip is where.
  Exit execute_one(bool& next);
  bool enter_block(u64 limit, Block*& whole);
  enum class EventAction : u8 { kGo, kAgain, kHalted, kExit, kShutdown };
  EventAction handle_events(bool& single);
  // Retired instructions as of the instruction being executed (usable inside bus callbacks).
  u64 icount_now() const { return icount + static_cast<u64>(ip - ip_start); }
  void set_intr(bool level) { level ? raise_event(kEvIntr) : static_cast<void>(events &= ~kEvIntr); }
  void raise_nmi() { raise_event(kEvNmi); }
  void request_exit() { raise_event(kEvExit); }
  void raise_event(u32 ev) {
    events |= ev;
    ip_end = nullptr;
  }
  void reset();  // RESET: SDM Vol. 3, table 9-1. INIT differs only in what it keeps
  void init();
  void state(State& s);
  // Registers and segments as text, for the triple-fault report and debugging.
  usize dump(char* buf, usize size);

  // ---- modes ----
  bool pe() const { return cr0 & kCr0PE; }
  bool vm86() const { return rflags & kVM; }
  bool real_mode() const { return !(cr0 & kCr0PE); }
  bool protected_mode() const { return pe() && !vm86(); }
  bool lma() const { return efer & kEferLMA; }
  bool long64() const { return code_mode == CodeMode::k64; }
  unsigned iopl() const { return rflags >> 12 & 3; }
  // Recomputes everything derived (code_mode, mmu, tlb, masks, seg[].lin/ok, trap event) after CR0, CR4, EFER,
  // CS, SS, CPL or EFLAGS.VM/AC/TF changed. Flushes nothing.
  void update_mode();
  void update_seg(unsigned s);  // what follows from seg[s] alone
  void derive_seg(unsigned s);  // seg[s].lin, .ok, .readable, .writable only

  // ---- flags ----
  bool zf() const { return cc_res == 0; }
  bool sf() const { return (cc_res >> 63 ^ cc_aux) & 1; }
  bool cf() const { return cc_aux >> 63; }
  bool of() const { return (cc_aux ^ cc_aux << 1) >> 63; }
  bool af() const { return cc_aux >> 3 & 1; }
  bool pf() const { return !(std::popcount(static_cast<u32>((cc_res ^ cc_aux >> 8) & 0xff)) & 1); }
  u32 arith_flags() const;      // the six, in RFLAGS positions
  void set_arith_flags(u32 f);  // from RFLAGS positions
  u32 get_rflags() const { return rflags | arith_flags(); }
  void set_rflags_raw(u32 f) {  // no privilege rules, no update_mode()
    rflags = (f & ~kArith) | kF1;
    set_arith_flags(f);
  }
  void set_cf(bool v) {  // CF alone; OF stays
    bool o = of();
    cc_aux = (cc_aux & ~(u64{3} << 62)) | static_cast<u64>(v) << 63 | static_cast<u64>(v ^ o) << 62;
  }
  void set_of_cf(bool o, bool cy) {
    cc_aux = (cc_aux & ~(u64{3} << 62)) | static_cast<u64>(cy) << 63 | static_cast<u64>(cy ^ o) << 62;
  }
  // ZF from the argument, SF from sign, PF from parity of the result sign-extended to 64 bits; CF = OF = AF = 0.
  void set_logic_flags(u64 res_sext) {
    cc_res = res_sext;
    cc_aux = 0;
  }
  bool condition(unsigned cc) const;  // the 16 conditions of Jcc/SETcc/CMOVcc, SDM Vol. 1, table B-1

  // ---- registers ----
  u8 get8(u8 off) const { return reinterpret_cast<const u8*>(gpr)[off]; }
  void set8(u8 off, u8 v) { reinterpret_cast<u8*>(gpr)[off] = v; }
  u16 get16(unsigned r) const { return static_cast<u16>(gpr[r]); }
  void set16(unsigned r, u16 v) { gpr[r] = (gpr[r] & ~u64{0xffff}) | v; }
  u32 get32(unsigned r) const { return static_cast<u32>(gpr[r]); }
  void set32(unsigned r, u32 v) { gpr[r] = v; }
  // By size as log2 bytes, 1 to 3 (16-bit writes merge, 32-bit writes zero-extend).
  u64 get_reg(unsigned r, unsigned osz) const {
    return osz == 3 ? gpr[r] : osz == 2 ? static_cast<u32>(gpr[r]) : static_cast<u16>(gpr[r]);
  }
  void set_reg(unsigned r, u64 v, unsigned osz) {
    if (osz == 3)
      gpr[r] = v;
    else if (osz == 2)
      gpr[r] = static_cast<u32>(v);
    else
      set16(r, static_cast<u16>(v));
  }

  // ---- exceptions ----
  // Records an exception for delivery before the next instruction; always returns false.
  bool raise(u8 vector, u32 error = 0);
  bool raise_pf(u64 linear, u32 error);
  struct Exception {
    u8 vector;
    bool has_error;
    u32 error;
    u64 cr2;
  } exc{};

  // ---- memory, as instructions see it ----
  // Offset of the memory operand within its segment (address size applied).
  u64 ea(const Insn& i) {
    static constexpr u64 mask[4] = {0xffff, 0xffff, 0xffffffff, ~u64{0}};
    if (ORIEL_UNLIKELY(i.base == kRipBase)) gpr[kRipBase] = rip;  // executors see rip = next instruction
    return (gpr[i.base] + (gpr[i.index] << i.scale) + static_cast<u64>(static_cast<s64>(i.disp))) & mask[i.asz];
  }
  // T: u8, u16, u32, u64, or V128 (16 bytes, no alignment requirement). `seg` SegReg, `off` offset.
  // Checks segment type and limit, canonical form, alignment (when #AC is on), paging, data breakpoints.
  template <class T>
  bool read(unsigned s, u64 off, T& out);
  template <class T>
  bool write(unsigned s, u64 off, T v);
  template <class T>
  u8* fast_read(unsigned s, u64 off);
  template <class T>
  u8* fast_write(unsigned s, u64 off);
  // Read-modify-write: rmw_begin checks for write and reads; rmw_commit cannot fail and must follow
  // before any other memory access.
  template <class T>
  bool rmw_begin(unsigned s, u64 off, T& old);
  template <class T>
  void rmw_commit(T v);
  // Checks that `n` bytes (1 to 64 KiB) can be written (or read), without doing it. For multi-part stores.
  bool probe_write(unsigned s, u64 off, u32 n);
  bool probe_read(unsigned s, u64 off, u32 n);
  // Byte blocks of up to 4096 bytes (FXSAVE and the like): checked as a whole first.
  bool read_bytes(unsigned s, u64 off, void* buf, u32 n);
  bool write_bytes(unsigned s, u64 off, const void* buf, u32 n);
  // Accesses by linear address. read_sys/write_sys are implicit supervisor accesses
  // (descriptor tables, TSS, SDM Vol. 3, 4.6.1): a page fault has U/S = 0.
  template <class T>
  bool read_lin(u64 lin, T& out);
  template <class T>
  bool write_lin(u64 lin, T v);
  template <class T>
  bool read_sys(u64 lin, T& out);
  template <class T>
  bool write_sys(u64 lin, T v);
  // Stack, with SS and the stack width in force; osz 1..3 is the operand size. RSP moves only on success.
  bool push(u64 v, unsigned osz);
  bool pop(u64& v, unsigned osz);
  void add_sp(u64 n) { set_sp(gpr[kRSP] + n); }
  void set_sp(u64 sp) { gpr[kRSP] = sp_mask == 0xffff ? (gpr[kRSP] & ~u64{0xffff}) | (sp & 0xffff) : sp & sp_mask; }
  // Whether a near branch may go to `t`: canonical in 64-bit mode, within CS.limit elsewhere (SDM Vol. 2, JMP).
  bool target_ok(u64 t) const { return lin_mask == ~u64{0} ? canonical(t) : t <= seg[kCS].limit; }
  bool canonical(u64 a) const { return static_cast<s64>(a << 16) >> 16 == static_cast<s64>(a); }

  // ---- paging (mmu.cpp) ----
  enum AccessKind : u8 { kRead = 0, kWrite = 1, kFetch = 2 };
  struct Translation {
    u64 pa;
    bool writable, user, nx, global, dirty;
    u8 page_shift;
    u8 key = 0;  // protection key, and what it (or a nested table) takes away
    bool key_read = true, key_write = true;
  };
  // Walks the tables for a linear address with the rules of `mmu` (SDM Vol. 3, chapter 4), sets A/D, and
  // raises #PF on failure.
  bool translate(u64 lin, AccessKind kind, u8 mmu_index, u64& pa);
  // translate() through the TLB for an instruction fetch in the current mode.
  bool translate_fetch(u64 lin, u64& pa);
  // Whether the TLB has it.
  bool fetch_in_tlb(u64 lin, u64& pa) const {
    const unsigned n = tlb_index(lin);
    if (tlb[n].xtag != (lin & ~u64{0xfff})) return false;
    pa = (tlb_set->pa[mmu][n] & ~u64{0xfff}) | (lin & 0xfff);
    return true;
  }
  // translate_fetch() without a trace: no exception, no A bit, no entry in the TLB. False also where one would have to
  // be set.
  bool peek_fetch(u64 lin, u64& pa);
  // Forgets cached write permission for the physical page of `pa` (it has code now).
  void drop_write_permission(u64 pa);
  // All PCIDs' translations; or those of the current one, but for global pages.
  void flush_tlb(bool keep_global);
  void flush_tlb_page(u64 lin);  // as INVLPG
  enum class Invpcid : u8 { kAddress, kContext, kAllWithGlobal, kAll };
  void invpcid(Invpcid type, u16 pcid, u64 lin);
  void select_pcid(u16 pcid, bool keep);  // `keep`: what is known of its translations holds
  bool load_pdptes(u64 cr3_value);        // PAE: reads the four entries; #GP on reserved bits
  // Protection keys: the rights of user pages (PKRU) and of supervisor pages (IA32_PKRS).
  void set_pkru(u32 v);
  void set_pkrs(u32 v);
  void set_a20(bool on);
  bool a20() const { return a20_mask_ == ~u64{0}; }

  // ---- segments, gates, control registers (sys_*.cpp) ----
  bool load_segment(unsigned s, u16 selector);       // MOV/POP/LxS to ES, SS, DS, FS, GS: all checks of protected mode
  void load_segment_real(unsigned s, u16 selector);  // real mode and virtual-8086
  bool far_jump(u16 selector, u64 offset, unsigned osz);
  bool far_call(u16 selector, u64 offset, unsigned osz);
  bool far_ret(unsigned osz, u16 release_bytes);
  bool iret(unsigned osz);
  // The protected-mode end of RETF and IRET: to CS = sel, RIP = offset, and outward SS:RSP from the stack.
  bool far_return_to(u16 sel, u64 offset, u64 sp_after, unsigned osz, u16 release, bool is_iret, u32 flags,
                     u32 flags_mask);
  enum class IntKind : u8 {
    kSoftware /* INT n */,
    kSoftTrap /* INT3, INTO: no DPL skip, no IOPL check */,
    kInt1,
    kException,
    kExternal
  };
  // Delivers through IVT/IDT/vm86 redirection; false when delivery itself faulted (exc holds it).
  bool interrupt(u8 vector, IntKind kind, bool has_error, u32 error);
  bool deliver_event(u8 vector, IntKind kind, bool has_error, u32 error);
  // Delivers `exc`, escalating to double and triple fault (kEvShutdown).
  void deliver_exception();
  // Called by run() when events != 0, between instructions: NMI, INTR, debug traps, shadow, halt.
  // Returns true to go on executing (after possibly one-instruction stepping), false to leave run().
  bool set_cr0(u64 v);
  bool set_cr3(u64 v);
  bool set_cr4(u64 v);
  bool set_efer(u64 v);
  bool read_msr(u32 index, u64& v);  // false: #GP raised
  bool write_msr(u32 index, u64 v);
  void cpuid(u32 leaf, u32 subleaf, u32 out[4]);  // EAX, EBX, ECX, EDX
  bool io_allowed(u16 port, unsigned size);       // IOPL and the TSS bitmap; raises #GP(0)
  u64 read_tsc() { return bus.tsc() + msr.tsc_adjust + (svm.guest ? svm.tsc_offset : 0); }
  bool is_breakpoint_armed() const { return dr[7] & 0xff; }

  // ---- virtual machines (svm.cpp) ----
  // Makes a #VMEXIT of the instruction, like raise(); false.
  ORIEL_COLD bool raise_exit(u64 code, u64 info1 = 0, u64 info2 = 0);
  // True: this is a guest whose host wants to see that, and an exit has been raised.
  bool intercepts(u32 what, u64 info1 = 0, u64 info2 = 0) {
    return ORIEL_UNLIKELY(svm.guest) && (svm.intercepts[what >> 5] >> (what & 31) & 1) &&
           !raise_exit(what, info1, info2);
  }
  bool svm_io_exit(u16 port, unsigned size, u64 info);
  bool svm_msr_exit(u32 index, bool write);
  void vm_exit();
  void svm_state(State& s);
  bool nested_walk(u64& pa, AccessKind kind, bool final, Translation& t);

  // ---- floating point and SIMD checks (raise #UD, #NM, #MF as the manual's tables say) ----
  bool check_x87(bool waiting = true);  // CR0.EM, TS; waiting: a pending unmasked exception is #MF
  bool check_mmx();                     // EM -> #UD, TS -> #NM, pending -> #MF; then TOP = 0, tags valid on use
  bool check_sse();                     // EM, OSFXSR -> #UD, TS -> #NM
  bool check_avx();                     // mode, OSXSAVE, XCR0 -> #UD, TS -> #NM

  PhysMem& mem;
  CpuBus& bus;
  BlockCache* blocks;
  CompiledCode* compiled = nullptr;

  // Telemetry, as the names say. Accesses that the inline probe of the TLB lets through are not counted.
  struct Stats {
    u64 translations = 0, slow_reads = 0, slow_writes = 0, tlb_misses = 0, mmio_reads = 0, mmio_writes = 0,
        interrupts = 0, exceptions = 0, blocks_decoded = 0, code_invalidations = 0, tlb_flushes = 0;
  } stats;

  // PhysMemListener
  void mapping_changed() override;
  void code_written(u64 pa, u32 n) override;
  void write_tracking_restarted() override;

  // ---- internals shared by mmu.cpp and interp.cpp ----
  // Slow paths behind the inline probe. `lin` is complete (segment added, masked).
  ORIEL_COLD bool read_slow(u64 lin, void* out, u32 n, unsigned s, u8 mmu_index);
  ORIEL_COLD bool write_slow(u64 lin, const void* v, u32 n, unsigned s, u8 mmu_index);
  ORIEL_COLD u8* tracked_write(u64 lin, u32 n, u8 mmu_index);
  ORIEL_COLD bool seg_check(unsigned s, u64 off, u32 n, AccessKind kind);  // type and limit; raises #GP or #SS
  ORIEL_COLD bool rmw_slow(u64 lin, void* old, u32 n, unsigned s);
  ORIEL_COLD void rmw_commit_slow(const void* v, u32 n);
  // `peek`: changes nothing, and fails where it would have to.
  bool walk(u64 lin, AccessKind kind, u8 mmu_index, Translation& t, bool peek = false);
  bool fill(u64 lin, AccessKind kind, u8 mmu_index, u64& pa);  // walk() and enter into the TLB
  bool linear_check(u64 lin, u32 n, unsigned s, u8& mmu_index);
  bool probe(unsigned s, u64 off, u32 n, AccessKind kind);
  void check_data_breakpoints(u64 lin, u32 n, bool write);
  // Implicit accesses to tables wrap at 32 bits outside IA-32e mode.
  u64 lin_mask_sys() const { return lma() ? ~u64{0} : 0xffffffffu; }
  TlbSet tlb_sets_[kTlbSets];
  TlbSet* tlb_set = tlb_sets_;  // in force
  u64 tlb_gens_ = 0, pcid_switches_ = 0;
  // What entering a page sets, by hashes of its linear address, and forgetting all of them clears.
  PageSet<22> large_pages_;  // large pages, a bit for each 4 MiB
  PageSet<30> huge_pages_;   // those of 1 GiB
  PageSet<12> code_pages_;   // pages on whose mapping what code_key stands for depends
  // Cached linear-to-code mappings may be stale.
  void new_tlb_gen() {
    code_pages_.clear();
    for (TlbSet& s : tlb_sets_) s.gen = 0;
    renew_tlb_gen();
  }
  void renew_tlb_gen() {  // of the current PCID alone
    tlb_set->gen = ++tlb_gens_;
    update_code_key();
  }
  void init_tlb_set(TlbSet& s);
  template <class F>
  void each_tlb(F f);
  void drop_entries(TlbSet& s, bool keep_global);
  void drop_page(TlbSet& s, u64 lin, bool global_only);
  bool may_be_large(u64 lin) const { return large_pages_.has(lin) || huge_pages_.has(lin); }
  void update_code_key() {
    code_key = tlb_set->gen << 8 | static_cast<u64>(code_mode) << 4 | (flat32() ? 1 << 3 : 0) | mmu;
  }
  // 32-bit code and stack, and the four ordinary segments span all 4 GiB.
  bool flat32() const {
    auto flat = [this](unsigned s, u8 ok) { return seg[s].lin == 0 && (seg[s].ok & ok) == ok; };
    return code_mode == CodeMode::k32 && stack32 && flat(kCS, kSegOkRead) && fetch_limit == 0xffffffff &&
           flat(kDS, kSegOkRead | kSegOkWrite) && flat(kES, kSegOkRead | kSegOkWrite) &&
           flat(kSS, kSegOkRead | kSegOkWrite);
  }
  struct Rmw {
    u64 lin;
    u8* host;  // nullptr: the slow path commits
    unsigned s;
  } rmw_{};
  u64 a20_mask_ = ~u64{0};
  u64 data_breakpoint_pages_[4] = {kTlbNone, kTlbNone, kTlbNone, kTlbNone};
  void drop_keys(u32 changed, bool user);
  void update_breakpoints();  // after DR0-3, DR7 changed: flushes watched pages, sets kEvTrap
};

#ifdef __wasm__
extern "C" unsigned char oriel_cpu_place[sizeof(Cpu)];
#define ORIEL_THE_CPU(cpu) (*reinterpret_cast<Cpu*>(oriel_cpu_place))
#else
#define ORIEL_THE_CPU(cpu) (cpu)
#endif

// ---- inline memory fast paths ------------------------------------------------------------------

// The host address of an access that needs no call: within the segment's limit and in the TLB. Else nullptr.
template <class T>
ORIEL_INLINE u8* Cpu::fast_read(unsigned s, u64 off) {
  const SegCache& g = seg[s];
  const u64 lin = (g.lin + off) & lin_mask;
  const TlbEntry& e = tlb[tlb_index(lin)];
  if (ORIEL_UNLIKELY(off + sizeof(T) > g.readable || ((lin + sizeof(T) - 1) & ~u64{0xfff}) != e.rtag)) return nullptr;
  return reinterpret_cast<u8*>(static_cast<uintptr_t>(lin + e.addend));
}
template <class T>
ORIEL_INLINE u8* Cpu::fast_write(unsigned s, u64 off) {
  const SegCache& g = seg[s];
  const u64 lin = (g.lin + off) & lin_mask;
  const TlbEntry& e = tlb[tlb_index(lin)];
  if (ORIEL_UNLIKELY(off + sizeof(T) > g.writable || ((lin + sizeof(T) - 1) & ~u64{0xfff}) != e.wtag)) return nullptr;
  return reinterpret_cast<u8*>(static_cast<uintptr_t>(lin + e.addend));
}

template <class T>
ORIEL_INLINE bool Cpu::read_lin(u64 lin, T& out) {
  const TlbEntry& e = tlb[tlb_index(lin)];
  if (ORIEL_LIKELY(((lin + sizeof(T) - 1) & ~u64{0xfff}) == e.rtag)) {
    out = load<T>(reinterpret_cast<const void*>(static_cast<uintptr_t>(lin + e.addend)));
    return true;
  }
  return read_slow(lin, &out, sizeof(T), kDS, mmu);
}

template <class T>
ORIEL_INLINE bool Cpu::write_lin(u64 lin, T v) {
  const TlbEntry& e = tlb[tlb_index(lin)];
  if (ORIEL_LIKELY(((lin + sizeof(T) - 1) & ~u64{0xfff}) == e.wtag)) {
    store<T>(reinterpret_cast<void*>(static_cast<uintptr_t>(lin + e.addend)), v);
    return true;
  }
  return write_slow(lin, &v, sizeof(T), kDS, mmu);
}

template <class T>
ORIEL_INLINE bool Cpu::read(unsigned s, u64 off, T& out) {
  if (ORIEL_UNLIKELY(!(seg[s].ok & kSegOkRead)) && !seg_check(s, off, sizeof(T), kRead)) return false;
  u64 lin = (seg[s].lin + off) & lin_mask;
  const TlbEntry& e = tlb[tlb_index(lin)];
  if (ORIEL_LIKELY(((lin + sizeof(T) - 1) & ~u64{0xfff}) == e.rtag)) {
    out = load<T>(reinterpret_cast<const void*>(static_cast<uintptr_t>(lin + e.addend)));
    return true;
  }
  return read_slow(lin, &out, sizeof(T), s, mmu);
}

template <class T>
ORIEL_INLINE bool Cpu::write(unsigned s, u64 off, T v) {
  if (ORIEL_UNLIKELY(!(seg[s].ok & kSegOkWrite)) && !seg_check(s, off, sizeof(T), kWrite)) return false;
  u64 lin = (seg[s].lin + off) & lin_mask;
  const TlbEntry& e = tlb[tlb_index(lin)];
  if (ORIEL_LIKELY(((lin + sizeof(T) - 1) & ~u64{0xfff}) == e.wtag)) {
    store<T>(reinterpret_cast<void*>(static_cast<uintptr_t>(lin + e.addend)), v);
    return true;
  }
  return write_slow(lin, &v, sizeof(T), s, mmu);
}

template <class T>
ORIEL_INLINE bool Cpu::rmw_begin(unsigned s, u64 off, T& old) {
  if (ORIEL_UNLIKELY((seg[s].ok & 3) != 3) && !seg_check(s, off, sizeof(T), kWrite)) return false;
  u64 lin = (seg[s].lin + off) & lin_mask;
  const TlbEntry& e = tlb[tlb_index(lin)];
  if (ORIEL_LIKELY(((lin + sizeof(T) - 1) & ~u64{0xfff}) == e.wtag)) {
    rmw_.host = reinterpret_cast<u8*>(static_cast<uintptr_t>(lin + e.addend));
    old = load<T>(rmw_.host);
    return true;
  }
  return rmw_slow(lin, &old, sizeof(T), s);
}

template <class T>
ORIEL_INLINE void Cpu::rmw_commit(T v) {
  if (ORIEL_LIKELY(rmw_.host != nullptr))
    store<T>(rmw_.host, v);
  else
    rmw_commit_slow(&v, sizeof(T));
}

}  // namespace oriel
