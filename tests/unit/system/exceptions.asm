; Exceptions and their priorities, double and triple faults, debugging, interrupt shadow.
%include "bare.inc"

TEST "divide error is a fault", "Vol. 3, 6.15, interrupt 0", PROT32
  xor ecx, ecx
.fault: div ecx
EXPECT DE, NOERR, .fault

TEST "INT3 and INTO are traps", "Vol. 3, 6.15, interrupts 3 and 4", PROT32
  mov al, 0x7f
  inc al
  into
.after:
EXPECT OF, NOERR, .after

TEST "BOUND is a fault", "Vol. 2, BOUND", PROT32
  mov eax, 5
.fault: bound eax, [.limits]
.limits: dd 0, 4
EXPECT BR, NOERR, .fault

TEST "an invalid opcode", "Vol. 3, 6.15, interrupt 6", PROT32
.fault: db 0x0f, 0xff, 0xc0
EXPECT UD, NOERR, .fault

TEST "LOCK where it is not allowed", "Vol. 2, LOCK", PROT32
.fault: db 0xf0, 0x8b, 0x03       ; lock mov eax, [ebx]
EXPECT UD, NOERR, .fault

TEST "an instruction of more than 15 bytes", "Vol. 3, 6.15, interrupt 13", PROT32
.fault: times 15 db 0x66
  nop
EXPECT GP, 0, .fault

TEST "a fault pushes RF, a trap does not", "Vol. 3, 17.3.1.1", PROT32
.fault: ud2
EXPECT UD, NOERR, .fault, FRAME, 2, 0x10002

TEST "INT n does not push RF", "Vol. 3, 17.3.1.1", PROT32
  int 0x40
EXPECT 0x40, NOERR, ANY, FRAME, 2, 2

TEST "device not available", "Vol. 3, 6.15, interrupt 7", PROT32, 0, CR0_TS
.fault: fninit
EXPECT NM, NOERR, .fault

TEST "FWAIT with TS and MP", "Vol. 3, 2.5, table 2-2", PROT32, 0, CR0_TS | CR0_MP
.fault: fwait
EXPECT NM, NOERR, .fault

TEST "FWAIT with TS alone", "Vol. 3, 2.5, table 2-2", PROT32, 0, CR0_TS
  fwait
  hlt
EXPECT HALT, NOERR, ANY

TEST "SSE without CR4.OSFXSR", "Vol. 3, 13.1.2", PROT32
.fault: xorps xmm0, xmm0
EXPECT UD, NOERR, .fault

TEST "SSE with TS", "Vol. 3, 13.1.2", PROT32, CR4_OSFXSR, CR0_TS
.fault: xorps xmm0, xmm0
EXPECT NM, NOERR, .fault

TEST "a pending x87 exception at the next waiting instruction", "Vol. 3, 6.15, interrupt 16", PROT32, 0, CR0_NE
  fninit
  push dword 0x37b          ; zero divide unmasked
  fldcw [esp]
  fld1
  fldz
  fdivp
  fnstsw ax
.fault: fld1
EXPECT 16, NOERR, .fault

TEST "alignment check", "Vol. 3, 6.15, interrupt 17", PROT32 | USER, 0, CR0_AM
  pushfd
  or dword [esp], 0x40000
  popfd
.fault: mov eax, [DATA + 1]
EXPECT AC, 0, .fault

TEST "no alignment check in the supervisor", "Vol. 3, 6.15, interrupt 17", PROT32, 0, CR0_AM
  pushfd
  or dword [esp], 0x40000
  popfd
  mov eax, [DATA + 1]
  hlt
EXPECT HALT, NOERR, ANY

TEST "contributory faults make a double fault", "Vol. 3, 6.15, table 6-5", PROT32
  and byte [IDT + GP * 8 + 5], 0x7f    ; #GP delivers #NP
  mov ax, 0x1000
.fault: mov ds, ax
EXPECT DF, 0, .fault

TEST "a fault beside a benign one is delivered in turn", "Vol. 3, 6.15, table 6-5", PROT32
  and byte [IDT + UD * 8 + 5], 0x7f
.fault: ud2
EXPECT NP, UD * 8 + 3, .fault

TEST "triple fault", "Vol. 3, 6.15, interrupt 8", PROT32
  lidt [.table]
  ud2
.table: dw 0
  dd 0
EXPECT SHUTDOWN, NOERR, ANY

TEST "a page fault in page-fault delivery", "Vol. 3, 6.15, table 6-5", PROT32 | PAGING
  mov dword [PT32 + 0x30 * 4], 0       ; page 30000 is away
  invlpg [0x30000]
  mov dword [IDT + PF * 8], CODE32 << 16 | (STUBS + PF * 4)
  mov esp, 0x30004
  pop eax                              ; esp at 30008: the frame needs the page
.fault: mov eax, [0x30000]
EXPECT SHUTDOWN, NOERR, ANY            ; nor can #DF be pushed

TEST "user mode: HLT, CLI, MOV CR0, LGDT", "Vol. 3, 5.9", PROT32 | USER
.fault: hlt
EXPECT GP, 0, .fault

TEST "user mode: MOV from CR0", "Vol. 3, 5.9", PROT32 | USER
.fault: mov eax, cr0
EXPECT GP, 0, .fault

TEST "user mode: CLI at IOPL 0", "Vol. 1, 19.5.1", PROT32 | USER
.fault: cli
EXPECT GP, 0, .fault

TEST "user mode: RDTSC with CR4.TSD", "Vol. 2, RDTSC", PROT32 | USER, CR4_TSD
.fault: rdtsc
EXPECT GP, 0, .fault

TEST "user mode: SGDT with CR4.UMIP", "Vol. 3, 2.5", PROT32 | USER, CR4_UMIP
.fault: sgdt [DATA]
EXPECT GP, 0, .fault

TEST "reserved bits of CR4", "Vol. 2, MOV", PROT32
  mov eax, 1 << 31
.fault: mov cr4, eax
EXPECT GP, 0, .fault

TEST "CR0.PG without PE", "Vol. 2, MOV", REAL
  mov eax, 0x80000000
.fault: mov cr0, eax
EXPECT GP, NOERR, .fault

TEST "single step traps after each instruction", "Vol. 3, 17.3.1.4", PROT32
  pushfd
  or dword [esp], 0x100
  popfd
  nop
.after: ud2
EXPECT DB, NOERR, .after, DR6_, 0, 0x4000, FLAGS, 0x100, 0, FRAME, 2, 0x102

TEST "MOV SS holds off the single-step trap", "Vol. 3, 6.8.3", PROT32
  mov eax, ss
  pushfd
  or dword [esp], 0x100
  popfd
  mov ss, ax
  nop
.after: ud2
EXPECT DB, NOERR, .after

TEST "an instruction breakpoint is a fault, once with RF", "Vol. 3, 17.3.1.1", PROT32
  mov eax, .here
  mov dr0, eax
  mov eax, 0x401
  mov dr7, eax
.here: nop
EXPECT DB, NOERR, .here, DR6_, 0, 1, FRAME, 2, 0x10002

TEST "IRET with RF steps over the breakpoint", "Vol. 3, 17.3.1.1", PROT32
  mov eax, .here
  mov dr0, eax
  mov eax, 0x401
  mov dr7, eax
  push dword 0x10002
  push dword CODE32
  push dword .here
  iretd
.here: nop
  hlt
EXPECT HALT, NOERR, ANY

TEST "a data breakpoint is a trap after the write", "Vol. 3, 17.3.1.2", PROT32
  mov eax, DATA
  mov dr1, eax
  mov eax, 0xd00404           ; L1, four bytes, write
  mov dr7, eax
  mov ecx, [DATA]             ; reading does not match
  mov dword [DATA + 3], 5
.after: ud2
EXPECT DB, NOERR, .after, DR6_, 0, 2, M32, DATA + 3, 5

TEST "a read-write breakpoint matches reads", "Vol. 3, 17.2.4", PROT32
  mov eax, DATA + 4
  mov dr2, eax
  mov eax, 0x3000410          ; L2, one byte, read or write
  mov dr7, eax
  mov ecx, [DATA]
  mov ecx, [DATA + 1]
.after: ud2
EXPECT DB, NOERR, .after, DR6_, 0, 4

TEST "DR7.GD guards the debug registers", "Vol. 3, 17.2.4", PROT32
  mov eax, 0x2400
  mov dr7, eax
.fault: mov eax, dr0
EXPECT DB, NOERR, .fault, DR6_, 0, 0x2000

TEST "DR4 with CR4.DE", "Vol. 3, 17.2.2", PROT32, CR4_DE
.fault: mov eax, dr4
EXPECT UD, NOERR, .fault

TEST "INT1 does not set DR6.BS", "Vol. 2, INT n", PROT32
  db 0xf1
.after:
EXPECT DB, NOERR, .after, DR6_, 0, 0

TEST "string instructions stop where they fault", "Vol. 2, REP", PROT32 | PAGING
  mov dword [PT32 + 0x31 * 4], 0
  invlpg [0x31000]
  mov edi, 0x30ff0
  mov ecx, 0x100
  mov al, 0x77
.fault: rep stosb
EXPECT PF, 2, .fault, R_RCX, 0, 0xf0, R_RDI, 0, 0x31000, M8, 0x30fff, 0x77, CR2_, 0, 0x31000

TEST "PUSHA faults as a whole", "Vol. 2, PUSHA", PROT32 | PAGING
  mov dword [PT32 + 0x30 * 4], 0
  invlpg [0x30000]
  mov ebx, esp
  mov esp, 0x31008
.fault: pusha
EXPECT SHUTDOWN, NOERR, ANY     ; the handler has the same stack

END_TESTS
