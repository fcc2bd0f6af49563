; Forms that no other test executes, in 32- and in 64-bit mode: system registers and tables, ports, processor state. The
; bus of the test has a byte at every port that reads as it was written, and a time stamp of 1122334455667788H.
%include "bare.inc"

TSC_HIGH equ 0x11223344
TSC_LOW equ 0x55667788
PORT equ 0x40

; %1: mode, %2: CR0 as the mode has it
%macro BOTH_MODES 2

TEST "SLDT", "Vol. 2, SLDT", %1
  mov eax, -1
  mov ebx, -1
  o16 sldt ax
  o32 sldt ebx
  mov dword [DATA], -1
  sldt [DATA]
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 0xffff0000 | LDT_SEL, R_RBX, 0, LDT_SEL, M32, DATA, 0xffff0000 | LDT_SEL

TEST "STR", "Vol. 2, STR", %1
  mov eax, -1
  mov ebx, -1
  o16 str ax
  o32 str ebx
  mov dword [DATA], -1
  str [DATA]
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 0xffff0000 | TSS_SEL, R_RBX, 0, TSS_SEL, M32, DATA, 0xffff0000 | TSS_SEL

TEST "SMSW", "Vol. 2, SMSW", %1
  mov eax, -1
  mov ebx, -1
  o16 smsw ax
  o32 smsw ebx
  mov dword [DATA], -1
  smsw [DATA]
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 0xffff0000 | ((%2) & 0xffff), R_RBX, 0, %2, M32, DATA, 0xffff0000 | ((%2) & 0xffff)

TEST "LMSW sets four bits and does not clear PE", "Vol. 2, LMSW", %1
  mov eax, CR0_TS | CR0_EM | 0xff00
  lmsw ax
  mov ebx, 0
  smsw bx
  mov word [DATA], CR0_MP
  lmsw [DATA]
  mov ecx, 0
  smsw cx
  hlt
EXPECT HALT, NOERR, ANY, R_RBX, 0, 0x11 | CR0_TS | CR0_EM, R_RCX, 0, 0x11 | CR0_MP

TEST "LLDT", "Vol. 2, LLDT", %1
  mov eax, 0
  lldt ax
  sldt ecx
  mov word [DATA], LDT_SEL
  lldt [DATA]
  sldt edx
  hlt
EXPECT HALT, NOERR, ANY, R_RCX, 0, 0, R_RDX, 0, LDT_SEL

TEST "LTR makes the TSS busy", "Vol. 2, LTR", %1
  mov byte [GDT + TSS_SEL + 5], 0x89
  mov eax, TSS_SEL
  ltr ax
  mov cl, [GDT + TSS_SEL + 5]
  mov byte [GDT + TSS_SEL + 5], 0x89
  mov word [DATA], TSS_SEL
  ltr [DATA]
  hlt
EXPECT HALT, NOERR, ANY, R_RCX, 0, 0x8b, M8, GDT + TSS_SEL + 5, 0x8b

TEST "LTR of a busy TSS", "Vol. 2, LTR", %1
  mov eax, TSS_SEL
.fault: ltr ax
EXPECT GP, TSS_SEL, .fault

TEST "SGDT and LGDT", "Vol. 2, SGDT", %1
  sgdt [DATA]
  mov word [DATA + 0x10], 0x12
  mov dword [DATA + 0x12], 0x12345678
  mov dword [DATA + 0x16], 0
  lgdt [DATA + 0x10]
  o16 sgdt [DATA + 0x20]
  o32 sgdt [DATA + 0x30]
  hlt
EXPECT HALT, NOERR, ANY, M16, DATA, 0xaf, M32, DATA + 2, GDT, M16, DATA + 0x30, 0x12, M32, DATA + 0x32, 0x12345678

TEST "SIDT and LIDT", "Vol. 2, SIDT", %1
  sidt [DATA]
  mov word [DATA + 0x10], 0x12
  mov dword [DATA + 0x12], 0x12345678
  mov dword [DATA + 0x16], 0
  lidt [DATA + 0x10]
  o16 sidt [DATA + 0x20]
  o32 sidt [DATA + 0x30]
  hlt
EXPECT HALT, NOERR, ANY, M16, DATA, 0xfff, M32, DATA + 2, IDT, M16, DATA + 0x30, 0x12, M32, DATA + 0x32, 0x12345678

TEST "CLTS", "Vol. 2, CLTS", %1, 0, CR0_TS
  smsw eax
  clts
  smsw ebx
  and eax, CR0_TS
  and ebx, CR0_TS
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, CR0_TS, R_RBX, 0, 0

TEST "CLI and STI", "Vol. 2, CLI, STI", %1
  sti
  pushf
  cli
  pushf
%if (%1) = LONG64
  pop rbx
  pop rax
%else
  pop ebx
  pop eax
%endif
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 0x202, R_RBX, 0, 2

TEST "MOV to and from debug registers", "Vol. 2, MOV DRn", %1
%if (%1) = LONG64
  mov rax, 0x123456789abc
  mov dr3, rax
  mov rbx, dr3
%else
  mov eax, 0x56789abc
  mov dr3, eax
  mov ebx, dr3
%endif
  hlt
EXPECT HALT, NOERR, ANY, R_RBX, 0, ((%1) = LONG64) * 0x123400000000 + 0x56789abc

TEST "CPUID", "Vol. 2, CPUID", %1
  mov eax, 0
  cpuid
  mov [DATA], ebx
  mov [DATA + 4], edx
  mov [DATA + 8], ecx
  mov eax, 1
  cpuid
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 0x306c3, M64, DATA, "GenuineI", M32, DATA + 8, "ntel"

TEST "RDTSC and RDTSCP", "Vol. 2, RDTSC, RDTSCP", %1
  mov ecx, 0xc0000103           ; IA32_TSC_AUX
  mov eax, 0x1234
  mov edx, 0
  wrmsr
  rdtsc
  mov ebx, eax
  mov esi, edx
  rdtscp
  hlt
EXPECT HALT, NOERR, ANY, R_RBX, 0, TSC_LOW, R_RSI, 0, TSC_HIGH, R_RAX, 0, TSC_LOW, R_RDX, 0, TSC_HIGH, R_RCX, 0, 0x1234

TEST "RDPMC: there are no counters", "Vol. 2, RDPMC", %1
.fault: rdpmc
EXPECT GP, 0, .fault

TEST "INVD and WBINVD", "Vol. 2, INVD, WBINVD", %1
  mov dword [DATA], 5
  wbinvd
  invd
  mov eax, [DATA]
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 5

TEST "0F 0D with a register is a NOP", "Vol. 2, table A-3", %1
  mov eax, 0x12345678
  db 0x0f, 0x0d, 0xc0
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 0x12345678

TEST "XSETBV and XGETBV", "Vol. 2, XSETBV", %1, CR4_OSXSAVE
  mov ecx, 0
  xgetbv
  mov ebx, eax
  mov eax, 3
  xsetbv
  mov eax, 0
  xgetbv
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 3, R_RBX, 0, 1, R_RDX, 0, 0

TEST "XSAVEOPT saves what is in use", "Vol. 1, 13.9", %1, CR4_OSXSAVE | CR4_OSFXSR
  mov ecx, 0
  mov edx, 0
  mov eax, 3
  xsetbv
  fninit
  fld1
  pcmpeqd xmm0, xmm0
  xsaveopt [DATA]
%if (%1) = LONG64
  mov ecx, 0x1000
  xsaveopt64 [rcx + DATA]
%endif
  hlt
EXPECT HALT, NOERR, ANY, M64, DATA + 512, 3, M64, DATA + 160, -1, M64, DATA + 168, -1, M64, DATA + 32, 0x8000000000000000, M64, DATA + 0x1000 + 160, -((%1) = LONG64)

TEST "IN and OUT with an immediate", "Vol. 2, IN, OUT", %1
  mov eax, 0x11223344
  out PORT, eax
  in al, PORT + 1
  movzx ebx, al
  in ax, PORT + 2
  movzx ecx, ax
  mov eax, 0x5566
  out PORT, ax
  mov al, 0x77
  out PORT + 3, al
  mov eax, 0
  in eax, PORT
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 0x77225566, R_RBX, 0, 0x33, R_RCX, 0, 0x1122

TEST "IN and OUT with DX", "Vol. 2, IN, OUT", %1
  mov edx, 0x1230
  mov eax, 0x11223344
  out dx, eax
  inc edx
  in al, dx
  movzx ebx, al
  inc edx
  in ax, dx
  movzx ecx, ax
  mov eax, 0x5566
  mov edx, 0x1230
  out dx, ax
  mov edx, 0x1233
  mov al, 0x77
  out dx, al
  mov edx, 0x1230
  mov eax, 0
  in eax, dx
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 0x77225566, R_RBX, 0, 0x33, R_RCX, 0, 0x1122

TEST "INS and OUTS", "Vol. 2, INS, OUTS", %1
  mov edx, PORT
  mov esi, DATA
  mov edi, DATA + 0x10
  mov dword [DATA], 0x11223344
  mov dword [DATA + 4], 0x55667788
  outsd
  insd
  outsw
  insw
  outsb
  insb
  mov ecx, 3
  rep insb
  hlt
EXPECT HALT, NOERR, ANY, R_RSI, 0, DATA + 7, R_RDI, 0, DATA + 0x1a, R_RCX, 0, 0, M64, DATA + 0x10, 0x6666778811223344, M16, DATA + 0x18, 0x6666

%endmacro

BOTH_MODES PROT32, 0x11
BOTH_MODES LONG64, 0x80000011

TEST "LGDT and LIDT with 16 bits load 24 bits of base", "Vol. 2, LGDT", PROT32
  mov word [DATA], 0x12
  mov dword [DATA + 2], 0x12345678
  o16 lgdt [DATA]
  o16 lidt [DATA]
  sgdt [DATA + 0x10]
  sidt [DATA + 0x20]
  hlt
EXPECT HALT, NOERR, ANY, M32, DATA + 0x12, 0x345678, M32, DATA + 0x22, 0x345678

TEST "66 is nothing to LGDT and LIDT in 64-bit mode", "Vol. 2, LGDT", LONG64
  mov word [DATA], 0x12
  mov rax, 0x123456789a
  mov [DATA + 2], rax
  o16 lgdt [DATA]
  o16 lidt [DATA]
  sgdt [DATA + 0x10]
  sidt [DATA + 0x20]
  hlt
EXPECT HALT, NOERR, ANY, M64, DATA + 0x12, 0x123456789a, M64, DATA + 0x22, 0x123456789a

TEST "64-bit SLDT, STR and SMSW", "Vol. 2, SLDT, STR, SMSW", LONG64
  mov rax, -1
  mov rbx, -1
  mov rcx, -1
  db 0x48                       ; nasm leaves it out
  sldt eax
  o64 str rbx
  o64 smsw rcx
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, LDT_SEL, R_RBX, 0, TSS_SEL, R_RCX, 0, 0x80000011

TEST "MOV to CR4 in 64-bit mode", "Vol. 2, MOV CRn", LONG64
  mov rax, cr4
  or rax, CR4_OSFXSR
  mov cr4, rax
  mov rbx, cr4
  hlt
EXPECT HALT, NOERR, ANY, R_RBX, 0, 0x20 | CR4_OSFXSR

TEST "INVLPG in 64-bit mode", "Vol. 3, 4.10.4.1", LONG64
  mov dword [DATA + 0x2000], 77
  mov eax, [DATA + 0x1000]
  mov dword [PT + (DATA / 0x1000 + 1) * 8], DATA + 0x2000 | P | W | U
  invlpg [DATA + 0x1000]
  mov ebx, [DATA + 0x1000]
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 0, R_RBX, 0, 77

TEST "CLAC and STAC in 64-bit mode", "Vol. 2, CLAC, STAC", LONG64, CR4_SMAP
  xor ebp, ebp
  stac
  pushf
  pop rbx
  mov dword [PT + 5 * 8], 0x5000 | P | W    ; a supervisor's page for the stack
  invlpg [0x5000]
  clac
  pushf
  pop rcx
  and ebx, 0x40000
  and ecx, 0x40000
  hlt
EXPECT HALT, NOERR, ANY, R_RBX, 0, 0x40000, R_RCX, 0, 0

TEST "INT1 in 64-bit mode", "Vol. 2, INT n/INTO/INT3/INT1", LONG64
  db 0xf1
.after:
EXPECT DB, NOERR, .after

TEST "SYSENTER in 64-bit mode", "Vol. 2, SYSENTER", LONG64 | USER
  sysenter
EXPECT DE, NOERR, ANY, CPL, 0, 0, SEL_CS, 0, CODE32, SEL_SS, 0, DATA32, R_RSP, 0, STACK0

TEST "SYSEXIT to 64-bit code", "Vol. 2, SYSEXIT", LONG64
  mov edx, .user
  mov ecx, STACK3
  o64 sysexit
.user: int END_USER
EXPECT END_USER, NOERR, ANY, FRAME, 1, (CODE32 + 32) | 3, FRAME, 4, (CODE32 + 40) | 3, FRAME, 3, STACK3

TEST "SYSEXIT to 32-bit code", "Vol. 2, SYSEXIT", LONG64
  mov edx, .user
  mov ecx, STACK3
  sysexit
  bits 32
.user: int END_USER
EXPECT END_USER, NOERR, ANY, FRAME, 1, (CODE32 + 16) | 3, FRAME, 4, (CODE32 + 24) | 3, FRAME, 3, STACK3

TEST "SYSRET to 32-bit code", "Vol. 2, SYSRET", LONG64, 0, 0, EFER_SCE
  mov ecx, .user
  mov r11d, 2
  mov rsp, STACK3
  o32 sysret
  bits 32
.user: int END_USER
EXPECT END_USER, NOERR, ANY, FRAME, 1, UCODE32, FRAME, 4, UDATA, FRAME, 3, STACK3

TEST "LSS, LFS and LGS with 64 bits", "Vol. 2, LDS", LONG64
  mov rax, 0x123456789abcdef0
  mov [DATA], rax
  mov word [DATA + 8], DATA32
  lss rbx, [DATA]
  lfs rcx, [DATA]
  lgs rdx, [DATA]
  hlt
EXPECT HALT, NOERR, ANY, R_RBX, 0, 0x123456789abcdef0, R_RCX, 0, 0x123456789abcdef0, R_RDX, 0, 0x123456789abcdef0, SEL_SS, 0, DATA32

TOP equ 0xffffff8000000000              ; the same memory

TEST "far JMP and CALL with 64 bits", "Vol. 2, JMP, CALL", LONG64
  mov rax, TOP + .there
  mov [DATA], rax
  mov word [DATA + 8], CODE64
  mov rax, TOP + .call
  mov [DATA + 0x10], rax
  mov word [DATA + 0x18], CODE64
  db 0x48
  jmp far [DATA]
  hlt
.there:
  lea rbx, [rel .there]
  db 0x48
  call far [DATA + 0x10]
.back: hlt
.call:
  pop rcx
  pop rdx
  hlt
EXPECT HALT, NOERR, ANY, R_RBX, 0, TOP + .there, R_RCX, 0, TOP + .back, R_RDX, 0, CODE64

END_TESTS
