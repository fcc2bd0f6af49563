; Segmentation in real, protected and virtual-8086 mode.
%include "bare.inc"

TEST "real mode: a word at FFFF is beyond the limit", "Vol. 3, 20.1.1", REAL
  xor ax, ax
.fault: mov [0xffff], ax
EXPECT GP, NOERR, .fault

TEST "real mode: a stack word at FFFF raises #SS", "Vol. 3, 20.1.1", REAL
  mov bp, 0xffff
.fault: mov ax, [bp]
EXPECT SS_, NOERR, .fault

TEST "real mode: PUSH wraps at 16 bits", "Vol. 2, PUSH", REAL
  mov sp, 2
  push word 0x1234
  push word 0x5678
  hlt
EXPECT HALT, NOERR, ANY, R_RSP, 0, 0xfffe, M16, 0, 0x1234, M16, 0xfffe, 0x5678

TEST "real mode: segment times 16 goes beyond 1 MiB with A20 on", "Vol. 3, 20.1.1", REAL
  mov ax, 0xffff
  mov es, ax
  mov word [es:0x20], 0xbeef
  hlt
EXPECT HALT, NOERR, ANY, M16, 0x100010, 0xbeef

TEST "real mode: LGDT, CR0.PE and a far jump enter protected mode", "Vol. 3, 9.9.1", REAL
  lgdt [cs:.table]
  mov eax, cr0
  or al, 1
  mov cr0, eax
  jmp CODE32:.inside
.table: dw 0xaf
  dd GDT
bits 32
.inside:
  mov ax, DATA32
  mov ds, eax
  mov dword [0x180000], 0x11223344
  hlt
EXPECT HALT, NOERR, ANY, M32, 0x180000, 0x11223344, SEL_CS, 0, CODE32

TEST "beyond a data segment's limit", "Vol. 3, 5.3", PROT32
  mov ax, DATA16
  mov ds, ax
.fault: mov eax, [0xfffd]
EXPECT GP, 0, .fault

TEST "the last bytes within the limit", "Vol. 3, 5.3", PROT32
  mov ax, DATA16
  mov ds, ax
  mov eax, [0xfffc]
  hlt
EXPECT HALT, NOERR, ANY

TEST "an expand-down segment has its bytes above the limit", "Vol. 3, 5.3", PROT32 | USER
  mov ax, EXPAND_DOWN | 3
  mov ds, ax
  mov dword [0x20000], 7
.fault: mov eax, [0xfff]
EXPECT GP, 0, .fault, M32, 0x20000, 7

TEST "a null selector loads, its use faults", "Vol. 3, 5.4.1", PROT32
  xor eax, eax
  mov es, ax
.fault: mov [es:0x20000], eax
EXPECT GP, 0, .fault

TEST "a null selector in SS faults at once", "Vol. 3, 5.4.1", PROT32
  xor eax, eax
.fault: mov ss, ax
EXPECT GP, 0, .fault

TEST "a selector beyond the GDT", "Vol. 3, 5.4; Vol. 2, MOV", PROT32
  mov ax, 0x1000
.fault: mov ds, ax
EXPECT GP, 0x1000, .fault

TEST "a segment that is not present", "Vol. 3, 6.15, interrupt 11", PROT32
  and byte [GDT + DATA16 + 5], 0x7f
  mov ax, DATA16
.fault: mov ds, ax
EXPECT NP, DATA16, .fault

TEST "a stack segment that is not present", "Vol. 3, 6.15, interrupt 12", PROT32
  and byte [GDT + DATA16 + 5], 0x7f
  mov ax, DATA16
.fault: mov ss, ax
EXPECT SS_, DATA16, .fault

TEST "writing a read-only data segment", "Vol. 3, 5.5", PROT32
  and byte [GDT + DATA16 + 5], 0xfd
  mov ax, DATA16
  mov ds, ax
  mov eax, [0x8000]
.fault: mov [0x8000], eax
EXPECT GP, 0, .fault

TEST "writing a code segment", "Vol. 3, 5.5", PROT32
.fault: mov [cs:0x20000], eax
EXPECT GP, 0, .fault

TEST "an execute-only segment cannot be read", "Vol. 3, 5.5", PROT32
  and byte [GDT + CODE16 + 5], 0xfd
.fault: mov ax, CODE16
  mov es, ax
EXPECT GP, CODE16, .fault + 4

TEST "user code cannot load the supervisor's data", "Vol. 3, 5.6", PROT32 | USER
  mov ax, DATA32 | 3
.fault: mov ds, ax
EXPECT GP, DATA32, .fault

TEST "loading sets the accessed bit", "Vol. 3, 3.4.5.1", PROT32
  and byte [GDT + DATA16 + 5], 0xfe
  mov ax, DATA16
  mov es, ax
  hlt
EXPECT HALT, NOERR, ANY, M8, GDT + DATA16 + 5, 0x93

TEST "a descriptor in the LDT", "Vol. 3, 3.5.1", PROT32
  mov dword [LDT + 8], 0x0000ffff | (DATA & 0xffff) << 16
  mov dword [LDT + 12], 0x00409300 | DATA >> 16
  mov ax, 8 | 4
  mov es, ax
  mov dword [es:4], 0x99
  hlt
EXPECT HALT, NOERR, ANY, M32, DATA + 4, 0x99

TEST "LAR, LSL and VERR of what the CPL cannot see clear ZF", "Vol. 2, LAR", PROT32 | USER
  mov ebx, 0x1111
  mov ax, DATA32
  lar ebx, eax
  jz .wrong
  lsl ebx, eax
  jz .wrong
  verr ax
  jz .wrong
  mov ax, UDATA
  lsl ecx, eax
  lar edx, eax
  int END_USER
.wrong: ud2
EXPECT END_USER, NOERR, ANY, R_RBX, 0, 0x1111, R_RCX, 0, 0xffffffff, R_RDX, 0, 0xc0f300

TEST "ARPL raises the RPL", "Vol. 2, ARPL", PROT32
  mov ax, 0x50
  mov bx, 2
  arpl ax, bx
  setz cl
  movzx ecx, cl
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 0x52, R_RCX, 0, 1

TEST "a 16-bit stack segment uses SP alone", "Vol. 1, 6.2.3", PROT32
  mov esp, 0x77770000
  mov ax, DATA16
  mov ss, ax
  push eax
  push eax
  hlt
EXPECT HALT, NOERR, ANY, R_RSP, 0, 0x7777fff8

TEST "virtual-8086 mode: segments are paragraphs", "Vol. 3, 20.2", VM86
  mov ax, 0x2000
  mov ds, ax
  mov word [4], 0x4242
  int END_USER
EXPECT GP, 0, ANY, M16, 0x20004, 0x4242

TEST "virtual-8086 mode: CLI at IOPL 0", "Vol. 3, 20.2.7", VM86
.fault: cli
EXPECT GP, 0, .fault, CPL, 0, 0

TEST "virtual-8086 mode: privileged instructions", "Vol. 3, 20.2.6", VM86
.fault: mov eax, cr0
EXPECT GP, 0, .fault

TEST "virtual-8086 mode: LLDT is invalid", "Vol. 3, 20.2.6", VM86
.fault: lldt ax
EXPECT UD, NOERR, .fault

TEST "virtual-8086 mode: a fault pushes the data segments and loads null", "Vol. 3, 20.3.1", VM86
  mov ax, 0x1234
  mov ds, ax
  mov ax, 0x2345
  mov es, ax
.fault: ud2
EXPECT UD, NOERR, .fault, FRAME, 5, 0x2345, FRAME, 6, 0x1234, FRAME, 1, 0, CPL, 0, 0

TEST "IRET enters virtual-8086 mode", "Vol. 3, 20.2.5", PROT32
  push dword 0x1111       ; GS
  push dword 0x2222       ; FS
  push dword 0x3333       ; DS
  push dword 0x2000       ; ES
  push dword 0            ; SS
  push dword 0x5000       ; ESP
  push dword 0x20002      ; VM
  push dword 0            ; CS
  push dword .v86
  iretd
bits 16
.v86: mov word [es:0], 0x7777
.at: ud2
EXPECT UD, NOERR, .at, M16, 0x20000, 0x7777, FRAME, 6, 0x3333, FRAME, 7, 0x2222, FRAME, 8, 0x1111

END_TESTS
