; Long mode: addresses, segments, interrupts, SYSCALL, compatibility mode, entering and leaving.
%include "bare.inc"

TEST "a noncanonical address", "Vol. 1, 3.3.7.1", LONG64
  mov rax, 0x800000000000
.fault: mov ecx, [rax]
EXPECT GP, 0, .fault

TEST "a noncanonical stack address", "Vol. 1, 3.3.7.1", LONG64
  mov rbp, 0x800000000000
.fault: mov ecx, [rbp]
EXPECT SS_, 0, .fault

TEST "a noncanonical jump", "Vol. 2, JMP", LONG64
  mov rax, 0x800000000000
.fault: jmp rax
EXPECT GP, 0, .fault

TEST "the top of the address space", "Vol. 3, 4.5", LONG64
  mov dword [DATA], 0x1234
  mov eax, [qword 0xffffff8000000000 + DATA]
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 0x1234

TEST "a 1 GiB page", "Vol. 3, 4.5", LONG64
  mov dword [DATA], 0x1234
  mov eax, [0x40000000 + DATA]
  mov byte [0x40000000 + DATA + 4], 9
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 0x1234, M8, DATA + 4, 9, M8, PDPT + 8, 0x87 | A | D

TEST "a 2 MiB page that is read-only", "Vol. 3, 4.5", LONG64, 0, CR0_WP
  mov eax, [0x400000 + DATA]
.fault: mov [0x400000 + DATA], eax
EXPECT PF, 3, .fault, CR2_, 0, 0x400000 + DATA

TEST "reserved: PS in the top level", "Vol. 3, 4.5", LONG64
  mov dword [PML4 + 8], PDPT | 0x87
  mov rax, 0x8000000000
.fault: mov eax, [rax]
EXPECT PF, 9, .fault

TEST "interrupts push five slots on an aligned stack", "Vol. 3, 6.14.2", LONG64
  mov rsp, STACK0 - 3
  int 0x40
.after:
EXPECT 0x40, NOERR, .after, R_RSP, 0, STACK0 - 16 - 40, FRAME, 1, CODE64, FRAME, 3, STACK0 - 3, FRAME, 4, DATA32

TEST "interrupt stack table", "Vol. 3, 6.14.5", LONG64
  mov qword [TSS + 0x24 + 8], 0x5000       ; IST2
  mov byte [IDT + 0x40 * 16 + 4], 2
  int 0x40
EXPECT 0x40, NOERR, ANY, R_RSP, 0, 0x5000 - 40

TEST "from user mode to the stack of the TSS, with a null SS", "Vol. 3, 6.14.4", LONG64 | USER
  int END_USER
EXPECT END_USER, NOERR, ANY, CPL, 0, 0, SEL_SS, 0, 0, FRAME, 4, UDATA, FRAME, 3, STACK3

TEST "an error code is a whole slot", "Vol. 3, 6.14.2", LONG64
  mov eax, 0x1000
.fault: mov ds, eax
EXPECT GP, 0x1000, .fault

TEST "IRETQ to a noncanonical address", "Vol. 2, IRET", LONG64
  push DATA32
  push STACK0
  push 2
  push CODE64
  mov rax, 0x800000000000
  push rax
.fault: iretq
EXPECT GP, 0, .fault

TEST "SYSCALL and SYSRET", "Vol. 2, SYSCALL", LONG64, 0, 0, EFER_SCE
  mov ecx, 0xc0000082
  mov eax, .entry
  xor edx, edx
  wrmsr
  mov ecx, 0xc0000084
  mov eax, 0x200
  wrmsr
  mov ecx, 0xc0000081
  xor eax, eax
  mov edx, 0x00330008        ; user CS is 33 + 16, kernel CS 8
  wrmsr
  mov rcx, .user
  mov r11d, 0x246
  o64 sysret
.user: mov ebx, cs
  mov esi, ss
  syscall
.entry: mov edi, cs
  hlt
EXPECT HALT, NOERR, ANY, R_RBX, 0, UCODE64, R_RSI, 0, UDATA, R_RDI, 0, CODE32, R_RCX, 0, .entry, CPL, 0, 0, FLAGS, 0x200, 0

TEST "SYSCALL without EFER.SCE", "Vol. 2, SYSCALL", LONG64
.fault: syscall
EXPECT UD, NOERR, .fault

TEST "SWAPGS", "Vol. 2, SWAPGS", LONG64, CR4_FSGSBASE
  mov eax, DATA
  wrgsbase rax
  swapgs
  mov ecx, 0xc0000102
  rdmsr
  mov ebx, eax
  rdgsbase rdx
  swapgs
  mov dword [gs:8], 0x31
  hlt
EXPECT HALT, NOERR, ANY, R_RBX, 0, DATA, R_RDX, 0, 0, M32, DATA + 8, 0x31

TEST "WRFSBASE with a noncanonical address", "Vol. 2, WRFSBASE", LONG64, CR4_FSGSBASE
  mov rax, 0x800000000000
.fault: wrfsbase rax
EXPECT GP, 0, .fault

TEST "segment bases and limits do not count but FS and GS", "Vol. 3, 3.4.4", LONG64
  mov dword [LDT + 8], 0x0000000f | (DATA & 0xffff) << 16
  mov dword [LDT + 12], 0x00009300 | DATA >> 16
  mov eax, 8 | 4
  mov es, eax
  mov fs, eax
  db 0x26                     ; ES
  mov byte [0x30000], 5
  mov byte [fs:0x100], 6      ; beyond the limit
  hlt
EXPECT HALT, NOERR, ANY, M8, 0x30000, 5, M8, DATA + 0x100, 6

TEST "instructions that are gone", "Vol. 1, 3.6.1; Vol. 2", LONG64
.fault: db 0x06                ; push es
EXPECT UD, NOERR, .fault

TEST "no hardware tasks", "Vol. 3, 7.7", LONG64
  lea rbx, [.pointer]
.fault: jmp far dword [rbx]
.pointer: dd 0
  dw TSS2_SEL
EXPECT GP, TSS2_SEL, .fault

TEST "far return to compatibility mode and an interrupt back", "Vol. 3, 5.8.6", LONG64
  push UDATA
  push STACK3
  push UCODE32
  push .compat
  retfq
bits 32
.compat: mov eax, 0x11111111
  inc eax                     ; a REX prefix in 64-bit mode
  int END_USER
EXPECT END_USER, NOERR, ANY, R_RAX, 0, 0x11111112, FRAME, 1, UCODE32, FRAME, 4, UDATA, FRAME, 3, STACK3

TEST "compatibility mode: a call gate leads to 64-bit code", "Vol. 3, 5.8.3.1", COMPAT32 | USER
  call GATE_SEL | 3:0
.after:
EXPECT DE, NOERR, .after, CPL, 0, 0, FRAME, 1, UCODE32, FRAME, 2, STACK3, FRAME, 3, UDATA

TEST "CS cannot be both 64-bit and 32-bit", "Vol. 3, 5.2.1", LONG64
  or byte [GDT + CODE16 + 6], 0x60
  push CODE16
  push 0
.fault: retfq
EXPECT GP, CODE16, .fault

TEST "PAE cannot be cleared in long mode", "Vol. 2, MOV", LONG64
  mov rax, cr4
  and al, 0xdf
.fault: mov cr4, rax
EXPECT GP, 0, .fault

TEST "EFER.LME cannot change while paging", "Vol. 3, 9.8.5", LONG64
  mov ecx, 0xc0000080
  rdmsr
  and ah, 0xfe
.fault: wrmsr
EXPECT GP, 0, .fault

TEST "from protected mode into long mode", "Vol. 3, 9.8.5", PROT32
  mov eax, 0x20
  mov cr4, eax
  mov eax, PML4
  mov cr3, eax
  mov ecx, 0xc0000080
  rdmsr
  or ah, 1
  wrmsr
  mov eax, cr0
  or eax, 0x80000000
  mov cr0, eax
  jmp CODE64:.inside
bits 64
.inside: mov rax, 0x1122334455667788
  mov [DATA], rax
  mov ecx, 0xc0000080
  rdmsr
  hlt
EXPECT HALT, NOERR, ANY, M64, DATA, 0x1122334455667788, R_RAX, 0, 0x500

TEST "NX in long mode", "Vol. 3, 4.6.1", LONG64, 0, 0, EFER_NXE
  mov byte [PT + 0x30 * 8 + 7], 0x80
  mov eax, 0x30000
  jmp rax
EXPECT PF, 0x11, 0x30000

TEST "CMPXCHG16B wants alignment", "Vol. 2, CMPXCHG16B", LONG64
.fault: cmpxchg16b [DATA + 8]
EXPECT GP, 0, .fault

TEST "CR8 is the task priority", "Vol. 3, 10.8.6", LONG64
  mov eax, 16
.fault: mov cr8, rax
EXPECT GP, 0, .fault

TEST "32-bit writes clear the upper half, 16-bit writes do not", "Vol. 1, 3.4.1.1", LONG64
  mov rax, -1
  mov rbx, -1
  mov eax, 1
  mov bx, 1
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 1, R_RBX, 0, 0xffffffffffff0001

TEST "XSAVE writes the components asked for, and its header", "Vol. 1, 13.7", LONG64, CR4_OSFXSR | CR4_OSXSAVE
  xor ecx, ecx
  xor edx, edx
  mov eax, 3
  xsetbv
  mov eax, 0x12345678
  movd xmm3, eax
  mov eax, 2
  xsave [DATA]
  hlt
EXPECT HALT, NOERR, ANY, M64, DATA + 512, 2, M64, DATA + 160 + 48, 0x12345678, M32, DATA + 24, 0x1f80, M16, DATA, 0

TEST "XRSTOR initializes what the header does not have", "Vol. 1, 13.8", LONG64, CR4_OSFXSR | CR4_OSXSAVE
  xor ecx, ecx
  xor edx, edx
  mov eax, 3
  xsetbv
  movd xmm3, eax
  mov dword [DATA + 24], 0x1f80
  fninit
  fld1
  mov eax, 3
  xrstor [DATA]
  movq rbx, xmm3
  fnstsw ax
  movzx eax, ax
  hlt
EXPECT HALT, NOERR, ANY, R_RBX, 0, 0, R_RAX, 0, 0

TEST "XSAVE and XRSTOR come to the same", "Vol. 1, 13.8", LONG64, CR4_OSFXSR | CR4_OSXSAVE
  xor ecx, ecx
  xor edx, edx
  mov eax, 3
  xsetbv
  fninit
  fldpi
  mov eax, 7
  movd xmm15, eax
  mov eax, 3
  xsave64 [DATA]
  fninit
  pxor xmm15, xmm15
  xrstor64 [DATA]
  movd ebx, xmm15
  fstp qword [DATA + 0x1000]
  hlt
EXPECT HALT, NOERR, ANY, R_RBX, 0, 7, M64, DATA + 0x1000, 0x400921fb54442d18, M64, DATA + 512, 3

TEST "XSAVE of an area that is not aligned to 64 bytes", "Vol. 1, 13.7", LONG64, CR4_OSFXSR | CR4_OSXSAVE
.fault: xsave [DATA + 16]
EXPECT GP, 0, .fault

TEST "XRSTOR with a component that XCR0 does not have", "Vol. 1, 13.8", LONG64, CR4_OSFXSR | CR4_OSXSAVE
  mov dword [DATA + 512], 1 << 5
  mov dword [DATA + 24], 0x1f80
.fault: xrstor [DATA]
EXPECT GP, 0, .fault

TEST "XSAVE without CR4.OSXSAVE", "Vol. 2, XSAVE", LONG64, CR4_OSFXSR
.fault: xsave [DATA]
EXPECT UD, NOERR, .fault

TEST "XCR0 must have x87", "Vol. 2, XSETBV", LONG64, CR4_OSFXSR | CR4_OSXSAVE
  xor ecx, ecx
  xor edx, edx
  mov eax, 2
.fault: xsetbv
EXPECT GP, 0, .fault

TEST "XSETBV in user mode", "Vol. 2, XSETBV", LONG64 | USER, CR4_OSFXSR | CR4_OSXSAVE
  xor ecx, ecx
  xor edx, edx
  mov eax, 3
.fault: xsetbv
EXPECT GP, 0, .fault

TEST "a return to user mode leaves the base of a GS that it makes null", "Vol. 2, IRET", LONG64
  mov eax, DATA32
  mov gs, ax
  mov ecx, 0xc0000101
  mov eax, DATA
  xor edx, edx
  wrmsr
  mov dword [DATA + 8], 0x1234
  push qword UDATA
  push qword STACK3
  push qword 2
  push qword UCODE64
  push qword .user
  iretq
.user:
  mov ecx, gs
  mov eax, [gs:8]
.fault: ud2
EXPECT UD, NOERR, .fault, R_RAX, 0, 0x1234, R_RCX, 0, 0

TEST "machine-check banks", "Vol. 3, 16.3.2", LONG64
  mov ecx, 0x402                ; IA32_MC0_ADDR
  mov eax, 0x12345678
  mov edx, 0x9abcdef0
  wrmsr
  rdmsr
  mov ebx, eax
  dec ecx                       ; IA32_MC0_STATUS
  xor eax, eax
  xor edx, edx
  wrmsr
  inc eax
.fault: wrmsr
EXPECT GP, 0, .fault, R_RBX, 0, 0x12345678

TEST "IA32_PRED_CMD cannot be read", "Vol. 4, table 2-2", LONG64
  mov ecx, 0x49
  mov eax, 1
  xor edx, edx
  wrmsr
.fault: rdmsr
EXPECT GP, 0, .fault

END_TESTS
