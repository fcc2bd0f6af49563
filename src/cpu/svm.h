// AMD's secure virtual machine: what the processor knows of the guest that it runs. Source: AMD64 Architecture
// Programmer's Manual (APM) Vol. 2, chapter 15 and appendices B (VMCB) and C (exit codes).
#pragma once

#include "base/types.h"

namespace oriel {

// Intercepts by their bit in the VMCB, which is also the exit code. Reads of CR0 to CR15 from 0, writes from 10H; of
// DR0 to DR15 from 20H and 30H; exceptions from 40H.
enum SvmIntercept : u32 {
  kSvmReadCr = 0,
  kSvmWriteCr = 0x10,
  kSvmReadDr = 0x20,
  kSvmWriteDr = 0x30,
  kSvmIntr = 0x60,
  kSvmNmi = 0x61,
  kSvmVintr = 0x64,
  kSvmCr0Selective = 0x65,
  kSvmReadIdtr = 0x66,
  kSvmReadGdtr = 0x67,
  kSvmReadLdtr = 0x68,
  kSvmReadTr = 0x69,
  kSvmWriteIdtr = 0x6a,
  kSvmWriteGdtr = 0x6b,
  kSvmWriteLdtr = 0x6c,
  kSvmWriteTr = 0x6d,
  kSvmRdtsc = 0x6e,
  kSvmRdpmc = 0x6f,
  kSvmPushf = 0x70,
  kSvmPopf = 0x71,
  kSvmCpuid = 0x72,
  kSvmRsm = 0x73,
  kSvmIret = 0x74,
  kSvmSoftInt = 0x75,
  kSvmInvd = 0x76,
  kSvmPause = 0x77,
  kSvmHlt = 0x78,
  kSvmInvlpg = 0x79,
  kSvmInvlpga = 0x7a,
  kSvmIoio = 0x7b,
  kSvmMsr = 0x7c,
  kSvmTaskSwitch = 0x7d,
  kSvmShutdown = 0x7f,
  kSvmVmrun = 0x80,
  kSvmVmmcall = 0x81,
  kSvmVmload = 0x82,
  kSvmVmsave = 0x83,
  kSvmStgi = 0x84,
  kSvmClgi = 0x85,
  kSvmRdtscp = 0x87,
  kSvmIcebp = 0x88,
  kSvmWbinvd = 0x89,
  kSvmXsetbv = 0x8d,
  kSvmInvpcid = 0xa2,
};
constexpr u32 kSvmException = 0x40;
constexpr u64 kSvmNestedPageFault = 0x400, kSvmInvalid = ~u64{0};

struct SvmHost {  // what #VMEXIT loads; kept here, not at VM_HSAVE_PA
  u64 cr0 = 0, cr3 = 0, cr4 = 0, efer = 0, rip = 0, rsp = 0, rax = 0, pat = 0;
  u64 gdt_base = 0, idt_base = 0, seg_base[4] = {};
  u32 rflags = 0, seg_limit[4] = {};
  u16 gdt_limit = 0, idt_limit = 0, seg_sel[4] = {}, seg_attr[4] = {};
};

struct Svm {
  bool guest = false;   // a guest runs
  bool gif = true;      // the global interrupt flag
  bool nested = false;  // nested paging
  bool v_intr_masking = false, v_irq = false, v_ignore_tpr = false;
  u8 v_tpr = 0, v_priority = 0, v_vector = 0;
  u64 vm_cr = 0, hsave = 0;  // MSRs
  u64 vmcb = 0, iopm = 0, msrpm = 0, tsc_offset = 0, nested_cr3 = 0;
  u32 intercepts[6] = {};
  u64 event = 0;  // as EXITINTINFO has it: what is being delivered
  // The exit that Cpu::raise_exit() asked for.
  u64 exit_code = 0, exit_info1 = 0, exit_info2 = 0, exit_next_rip = 0;
  SvmHost host;
};

}  // namespace oriel
