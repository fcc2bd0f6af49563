; Call gates, interrupt gates with a change of privilege, far returns, task switches.
%include "bare.inc"

TEST "a call gate to an inner ring switches stacks and copies parameters", "Vol. 3, 5.8.5", PROT32 | USER
  push dword 0x1111
  push dword 0x2222
  call GATE_SEL | 3:0
.after:
EXPECT DE, NOERR, .after, CPL, 0, 0, FRAME, 1, UCODE32, FRAME, 2, 0x2222, FRAME, 3, 0x1111, FRAME, 4, STACK3 - 8, FRAME, 5, UDATA

TEST "CALL to a gate whose DPL is less than CPL", "Vol. 3, 5.8.4", PROT32
  and byte [GDT + GATE_SEL + 5], 0x9f   ; DPL 0
  push dword UDATA
  push dword STACK3
  push dword UCODE32
  push dword .user
  retf
.user:
.fault: call GATE_SEL | 3:0
EXPECT GP, GATE_SEL, .fault

TEST "JMP through a call gate to an inner ring", "Vol. 3, 5.8.6", PROT32 | USER
.fault: jmp GATE_SEL | 3:0
EXPECT GP, CODE32, .fault

TEST "a gate to a segment that is not present", "Vol. 2, CALL", PROT32
  and byte [GDT + CODE32 + 5], 0x7f
.fault: call GATE_SEL:0
EXPECT SHUTDOWN, NOERR, ANY       ; the handlers need that segment too

TEST "a gate that is not present", "Vol. 2, CALL", PROT32
  and byte [GDT + GATE_SEL + 5], 0x7f
.fault: call GATE_SEL:0
EXPECT NP, GATE_SEL, .fault

TEST "far CALL and RETF in a ring", "Vol. 3, 5.8.1", PROT32
  call CODE32:.there
.back: hlt
.there: retf
EXPECT HALT, NOERR, ANY, R_RSP, 0, STACK0

TEST "far JMP to a conforming segment keeps the CPL", "Vol. 3, 5.8.1.2", PROT32 | USER
  jmp CONFORMING:.there
.there: mov eax, cs
  int END_USER
EXPECT END_USER, NOERR, ANY, R_RAX, 0, CONFORMING | 3

TEST "far JMP to an inner nonconforming segment", "Vol. 3, 5.8.1.1", PROT32 | USER
.fault: jmp CODE32 | 3:0
EXPECT GP, CODE32, .fault

TEST "RETF outward loads SS:ESP and clears inner data segments", "Vol. 3, 5.8.6", PROT32
  push dword UDATA
  push dword STACK3 - 0x100
  push dword UCODE32
  push dword .user
  retf
.user: mov eax, ds
  mov ebx, esp
  int END_USER
EXPECT END_USER, NOERR, ANY, R_RAX, 0, 0, R_RBX, 0, STACK3 - 0x100

TEST "RETF to an inner ring", "Vol. 2, RET", PROT32 | USER
  push dword CODE32
  push dword 0
.fault: retf
EXPECT GP, CODE32, .fault

TEST "an interrupt from user mode takes the stack of the TSS", "Vol. 3, 6.12.1", PROT32 | USER
  int END_USER
.after:
EXPECT END_USER, NOERR, .after, CPL, 0, 0, R_RSP, 0, STACK0 - 20, FRAME, 1, UCODE32, FRAME, 3, STACK3, FRAME, 4, UDATA

TEST "INT n above the gate's DPL", "Vol. 3, 6.12.1.1", PROT32
  and byte [IDT + 0x40 * 8 + 5], 0x9f
  push dword UDATA
  push dword STACK3
  push dword UCODE32
  push dword .user
  retf
.user:
.fault: int 0x40
EXPECT GP, 0x40 * 8 + 2, .fault

TEST "a vector beyond the IDT", "Vol. 3, 6.13", PROT32
  lidt [.table]
.fault: int 0x40
.table: dw 0x1ff
  dd IDT
EXPECT GP, 0x40 * 8 + 2, .fault

TEST "a gate that is not present in the IDT", "Vol. 3, 6.13", PROT32
  and byte [IDT + 0x40 * 8 + 5], 0x7f
.fault: int 0x40
EXPECT NP, 0x40 * 8 + 2, .fault

TEST "a TSS without room for the inner stack", "Vol. 3, 6.15, interrupt 10", PROT32
  mov word [GDT + TSS_SEL], 4
  mov byte [GDT + TSS_SEL + 5], 0x89
  mov ax, TSS_SEL
  ltr ax
  push dword UDATA
  push dword STACK3
  push dword UCODE32
  push dword .user
  retf
.user:
  int END_USER              ; #TS cannot be delivered either
EXPECT SHUTDOWN, NOERR, ANY

TEST "interrupt gates clear IF, trap gates do not", "Vol. 3, 6.12.1.3", PROT32
  mov byte [IDT + 0x40 * 8 + 5], 0xef
  sti
  int 0x40
EXPECT 0x40, NOERR, ANY, FLAGS, 0x200, 0x200

TEST "an interrupt gate clears IF", "Vol. 3, 6.12.1.3", PROT32
  sti
  int 0x40
EXPECT 0x40, NOERR, ANY, FLAGS, 0x200, 0, FRAME, 2, 0x202

TEST "IRET restores flags and returns outward", "Vol. 2, IRET", PROT32
  push dword UDATA
  push dword STACK3
  push dword 0x246
  push dword UCODE32
  push dword .user
  iretd
.user: pushfd
  pop eax
  int END_USER
EXPECT END_USER, NOERR, ANY, R_RAX, 0, 0x246, R_RSP, 0, STACK0 - 20

TEST "IRET in user mode does not change IF or IOPL", "Vol. 2, IRET", PROT32 | USER
  push dword 0x3202
  push dword UCODE32
  push dword .user
  iretd
.user: pushfd
  pop eax
  int END_USER
EXPECT END_USER, NOERR, ANY, R_RAX, 0, 2

TEST "LTR of a busy TSS", "Vol. 2, LTR", PROT32
  mov ax, TSS_SEL
.fault: ltr ax
EXPECT GP, TSS_SEL, .fault

TEST "JMP to a TSS switches tasks", "Vol. 3, 7.3", PROT32
  mov dword [TSS2 + 0x20], .there
  mov dword [TSS2 + 0x28], 0xcafe   ; EAX was saved at 0x28
  mov ebx, 0x55
  jmp TSS2_SEL:0
  ud2
.there: hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 0xcafe, M32, TSS + 0x34, 0x55, M8, GDT + TSS_SEL + 5, 0x89, M8, GDT + TSS2_SEL + 5, 0x8b, CR0_, CR0_TS, CR0_TS

TEST "CALL to a TSS links back, IRET returns", "Vol. 3, 7.4", PROT32
  mov dword [TSS2 + 0x20], .there
  mov ecx, 1
  call TSS2_SEL:0
  inc ecx
  hlt
.there: iretd
EXPECT HALT, NOERR, ANY, R_RCX, 0, 2, M16, TSS2, TSS_SEL, M8, GDT + TSS_SEL + 5, 0x8b, M8, GDT + TSS2_SEL + 5, 0x89, FLAGS, 0x4000, 0

TEST "CALL to a busy TSS", "Vol. 3, 7.3", PROT32
.fault: call TSS_SEL:0
EXPECT GP, TSS_SEL, .fault

TEST "a task gate from user mode", "Vol. 3, 7.2.5", PROT32 | USER
  call TASK_GATE | 3:0
EXPECT DE, NOERR, ANY, CPL, 0, 0, FLAGS, 0x4000, 0x4000, M16, TSS2, TSS_SEL

TEST "an invalid segment in the new task faults in its context", "Vol. 3, 7.3, step 13", PROT32
  mov dword [TSS2 + 0x54], 0x1000   ; DS
  mov dword [TSS2 + 0x20], .there
  jmp TSS2_SEL:0
.there: hlt
EXPECT TS, 0x1000, .there

TEST "a task that is too short", "Vol. 3, 7.3, step 3", PROT32
  mov word [GDT + TSS2_SEL], 0x60
.fault: jmp TSS2_SEL:0
EXPECT TS, TSS2_SEL, .fault

TEST "the debug trap bit of a TSS", "Vol. 3, 7.2.1", PROT32
  mov dword [TSS2 + 0x20], .there
  mov byte [TSS2 + 0x64], 1
  jmp TSS2_SEL:0
.there: hlt
EXPECT DB, NOERR, .there, DR6_, 0, 0x8000

TEST "I/O permission bitmap: a port that is closed", "Vol. 1, 19.5.2", PROT32 | USER
  mov word [TSS + 0x66], 0x88
  mov byte [TSS + 0x88 + 0x80 / 8], 2
  in al, 0x80
.fault: in al, 0x81
EXPECT GP, 0, .fault

TEST "I/O permission bitmap: an access that reaches a closed port", "Vol. 1, 19.5.2", PROT32 | USER
  mov byte [TSS + 0x88 + 0x80 / 8], 8
.fault: in eax, 0x80
EXPECT GP, 0, .fault

TEST "SYSENTER and SYSEXIT", "Vol. 2, SYSENTER", PROT32
  mov ecx, 0x176
  mov eax, .entry
  xor edx, edx
  wrmsr
  mov edx, .user
  mov ecx, STACK3
  mov dword [GDT + CODE32 + 24], 0xffff   ; SYSEXIT goes to SYSENTER_CS + 16 and + 24
  mov dword [GDT + CODE32 + 28], 0x00cff300
  mov dword [GDT + CODE32 + 16], 0xffff
  mov dword [GDT + CODE32 + 20], 0x00cffb00
  sysexit
.user: mov ebx, esp
  mov eax, cs
  sysenter
.entry: mov ecx, cs
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, CODE32 + 16 + 3, R_RBX, 0, STACK3, R_RCX, 0, CODE32, CPL, 0, 0, R_RSP, 0, STACK0

END_TESTS
