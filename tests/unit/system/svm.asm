; AMD's secure virtual machine: VMRUN and #VMEXIT, intercepts, events, nested paging. The sections are those of the
; AMD64 Architecture Programmer's Manual, Vol. 2, where the name does not begin with another.
%include "bare.inc"

; Four pages: the VMCB, the permission maps of MSRs (two pages) and, behind them, of ports.
VMCB equ 0x24000
MSRPM equ 0x26000
IOPM equ 0x28000
NPML4 equ 0x2c000                ; nested tables
NPDPT equ 0x2d000
NPD equ 0x2e000
NPT equ 0x2f000
GUEST_STACK equ 0x5800

EXIT_CODE equ VMCB + 0x70
INFO1 equ VMCB + 0x78
INFO2 equ VMCB + 0x80
INT_INFO equ VMCB + 0x88
INJECT equ VMCB + 0xa8
NEXT_RIP equ VMCB + 0xc8
SAVE equ VMCB + 0x400
S_CPL equ SAVE + 0xcb
S_EFER equ SAVE + 0xd0
S_CR4 equ SAVE + 0x148
S_CR3 equ SAVE + 0x150
S_CR0 equ SAVE + 0x158
S_DR7 equ SAVE + 0x160
S_DR6 equ SAVE + 0x168
S_RFLAGS equ SAVE + 0x170
S_RIP equ SAVE + 0x178
S_RSP equ SAVE + 0x1d8
S_RAX equ SAVE + 0x1f8

EFER_SVME equ 0x1000
NEXT_PAGE equ 0x30000            ; a page of data
PAGE_ENTRY equ NPT + 0x30 * 8

%macro SEGMENT_OF_VMCB 4         ; index, selector, attributes, limit
  mov dword [SAVE + 16 * (%1)], (%2) | (%3) << 16
  mov dword [SAVE + 16 * (%1) + 4], %4
%endmacro
%macro INTERCEPT 1
  or dword [VMCB + (%1) / 32 * 4], 1 << ((%1) % 32)
%endmacro

; A VMCB of the mode that runs, whose guest begins at %1. VMRUN and VMMCALL are intercepted.
%macro VMCB_OF 1
  INTERCEPT 0x80
  INTERCEPT 0x81
  mov dword [VMCB + 0x40], IOPM
  mov dword [VMCB + 0x48], MSRPM
  mov byte [VMCB + 0x58], 1     ; ASID
  SEGMENT_OF_VMCB 0, DATA32, 0xc93, -1
  %if __BITS__ = 64
  SEGMENT_OF_VMCB 1, CODE64, 0xa9b, -1
  %else
  SEGMENT_OF_VMCB 1, CODE32, 0xc9b, -1
  %endif
  SEGMENT_OF_VMCB 2, DATA32, 0xc93, -1
  SEGMENT_OF_VMCB 3, DATA32, 0xc93, -1
  SEGMENT_OF_VMCB 6, 0, 0, 0xaf  ; GDTR
  mov dword [SAVE + 0x68], GDT
  SEGMENT_OF_VMCB 8, 0, 0, 0xfff ; IDTR
  mov dword [SAVE + 0x88], IDT
  mov ecx, 0xc0000080
  rdmsr
  mov [S_EFER], eax
  %if __BITS__ = 64
    %define AX_ rax
  %else
    %define AX_ eax
  %endif
  mov AX_, cr0
  mov [S_CR0], eax
  mov AX_, cr3
  mov [S_CR3], eax
  mov AX_, cr4
  mov [S_CR4], eax
  mov dword [S_DR6], 0xffff0ff0
  mov dword [S_DR7], 0x400
  mov dword [S_RFLAGS], 2
  mov dword [S_RSP], GUEST_STACK
  mov dword [S_RIP], %1
%endmacro
%macro RUN 0
  mov eax, VMCB
  vmrun
%endmacro
; The first 2 MiB one to one.
%macro NESTED 0
  mov dword [NPML4], NPDPT | 7
  mov dword [NPDPT], NPD | 7
  mov dword [NPD], NPT | 7
  mov edi, NPT
  mov eax, 7
%%next:
  mov [rdi], rax
  add eax, 0x1000
  add edi, 8
  cmp edi, NPT + 4096
  jb %%next
  mov byte [VMCB + 0x90], 1
  mov dword [VMCB + 0xb0], NPML4
%endmacro

; ---- VMRUN and #VMEXIT ----

TEST "VMRUN, VMMCALL and back", "15.5, 15.6", LONG64, 0, 0, EFER_SVME
  VMCB_OF .guest
  mov dword [S_RAX], 0x1234
  mov ebx, 5
  RUN
  mov rsi, rax                  ; the host's rAX again
  mov rdi, rsp
  hlt
.guest:
  mov ecx, eax
  inc ebx
  push rbx
  mov eax, 0x77
.exit: vmmcall
EXPECT HALT, NOERR, ANY, R_RSI, 0, VMCB, R_RDI, 0, STACK0, R_RCX, 0, 0x1234, R_RBX, 0, 6, M64, EXIT_CODE, 0x81, \
  M32, S_RIP, .exit, M32, S_RAX, 0x77, M32, S_RSP, GUEST_STACK - 8, M64, GUEST_STACK - 8, 6, M64, NEXT_RIP, .exit + 3

TEST "VMRUN in 32-bit code", "15.5, 15.6", PROT32, 0, 0, EFER_SVME
  VMCB_OF .guest
  RUN
  mov esi, eax
  hlt
.guest:
  mov ebx, esp
.exit: vmmcall
EXPECT HALT, NOERR, ANY, R_RSI, 0, VMCB, R_RBX, 0, GUEST_STACK, M64, EXIT_CODE, 0x81, M32, S_RIP, .exit

TEST "a guest in real mode", "15.5", LONG64, 0, 0, EFER_SVME
  VMCB_OF 0x100
  SEGMENT_OF_VMCB 1, 0x3000, 0x9b, 0xffff
  mov dword [SAVE + 0x18], 0x30000
  SEGMENT_OF_VMCB 2, 0, 0x93, 0xffff
  SEGMENT_OF_VMCB 3, 0x3000, 0x93, 0xffff
  mov dword [SAVE + 0x38], 0x30000
  mov dword [S_CR0], 0x10
  mov dword [S_EFER], EFER_SVME
  mov dword [0x30100], 0x0f0200a1 ; mov ax, [0200h]; vmmcall
  mov word [0x30104], 0xd901
  mov word [0x30200], 0x4242
  RUN
  hlt
EXPECT HALT, NOERR, ANY, M64, EXIT_CODE, 0x81, M16, S_RAX, 0x4242, M32, S_RIP, 0x103

TEST "VMRUN without EFER.SVME", "Vol. 3, VMRUN", LONG64
.fault: vmrun
EXPECT UD, NOERR, .fault

TEST "VMRUN in user mode", "Vol. 3, VMRUN", LONG64 | USER, 0, 0, EFER_SVME
.fault: vmrun
EXPECT GP, 0, .fault

TEST "VMRUN of an address that is no page's", "Vol. 3, VMRUN", LONG64, 0, 0, EFER_SVME
  mov eax, VMCB + 8
.fault: vmrun
EXPECT GP, 0, .fault

%macro INVALID 2+                ; name; what makes the VMCB so
TEST %1, "15.5.1", LONG64, 0, 0, EFER_SVME
  VMCB_OF .guest
  mov ebx, 1
  %2
  RUN
  hlt
.guest:
  mov ebx, 2
  vmmcall
EXPECT HALT, NOERR, ANY, R_RBX, 0, 1, M64, EXIT_CODE, 0xffffffffffffffff
%endmacro
INVALID "ASID 0", mov byte [VMCB + 0x58], 0
INVALID "VMRUN is not intercepted", and byte [VMCB + 16], 0xfe
INVALID "no EFER.SVME in the guest", and byte [S_EFER + 1], 0xef
INVALID "CR0 with NW and not CD", or byte [S_CR0 + 3], 0x20
INVALID "upper half of CR0", mov byte [S_CR0 + 4], 1
INVALID "a reserved bit of CR4", mov byte [S_CR4 + 3], 0x80
INVALID "upper half of DR6", mov byte [S_DR6 + 4], 1
INVALID "upper half of DR7", mov byte [S_DR7 + 4], 1
INVALID "long mode without PAE", and byte [S_CR4], 0xdf
INVALID "CS.L and CS.D", mov word [SAVE + 0x12], 0xe9b
INVALID "an exception that there is not", mov dword [INJECT], 0x80000320

TEST "VMLOAD and VMSAVE", "Vol. 3, VMLOAD, VMSAVE", LONG64, 0, 0, EFER_SVME
  SEGMENT_OF_VMCB 4, 0x3b, 0xcf3, -1
  mov dword [SAVE + 0x48], 0x11110000
  mov rax, 0x123456789abc
  mov [SAVE + 0x208], rax       ; LSTAR
  mov eax, VMCB
  vmload
  mov ecx, 0xc0000082
  rdmsr
  mov ebx, eax
  mov ecx, 0xc0000100
  rdmsr
  mov esi, eax
  mov eax, NEXT_PAGE
  vmsave
  mov edi, fs
  hlt
EXPECT HALT, NOERR, ANY, R_RBX, 0, 0x56789abc, R_RSI, 0, 0x11110000, R_RDI, 0, 0x3b, M64, NEXT_PAGE + 0x608, 0x123456789abc, \
  M32, NEXT_PAGE + 0x440, 0x0cf3003b

TEST "VMLOAD and VMSAVE in 32-bit code; STGI, CLGI, INVLPGA", "Vol. 3", PROT32, 0, 0, EFER_SVME
  SEGMENT_OF_VMCB 5, 0x3b, 0xcf3, -1
  mov eax, VMCB
  vmload
  mov eax, NEXT_PAGE
  vmsave
  clgi
  stgi
  xor ecx, ecx
  db 0x0f, 0x01, 0xdf           ; invlpga
  mov edi, gs
  hlt
EXPECT HALT, NOERR, ANY, R_RDI, 0, 0x3b, M32, NEXT_PAGE + 0x450, 0x0cf3003b

TEST "STGI, CLGI, INVLPGA", "Vol. 3", LONG64, 0, 0, EFER_SVME
  clgi
  stgi
  xor ecx, ecx
  db 0x0f, 0x01, 0xdf
  hlt
EXPECT HALT, NOERR, ANY

TEST "VMMCALL that no host intercepts", "Vol. 3, VMMCALL", LONG64
.fault: vmmcall
EXPECT UD, NOERR, .fault
TEST "VMMCALL in 32-bit code", "Vol. 3, VMMCALL", PROT32
.fault: vmmcall
EXPECT UD, NOERR, .fault
TEST "RSM outside SMM", "Vol. 3, RSM", LONG64
.fault: rsm
EXPECT UD, NOERR, .fault
TEST "RSM outside SMM in 32-bit code", "Vol. 3, RSM", PROT32
.fault: rsm
EXPECT UD, NOERR, .fault

; ---- intercepts ----

%macro EXITS 4+                  ; name, exit code, EXITINFO1; the instruction
TEST %1, "15.9 to 15.13", LONG64, CR4_OSXSAVE, 0, EFER_SVME
  VMCB_OF .guest
  INTERCEPT %2
  mov ebx, 1
  RUN
  hlt
.guest:
.exit:
  %4
.next:
  mov ebx, 2
  vmmcall
EXPECT HALT, NOERR, ANY, R_RBX, 0, 1, M64, EXIT_CODE, %2, M64, INFO1, %3, M32, S_RIP, .exit, M64, NEXT_RIP, .next
%endmacro
EXITS "reads of CR0", 0, 0, mov rax, cr0
EXITS "reads of CR0 by SMSW", 0, 0, smsw eax
EXITS "reads of CR3", 3, 0, mov rax, cr3
EXITS "reads of CR8", 8, 0, mov rax, cr8
EXITS "writes of CR4", 0x14, 0, mov cr4, rax
EXITS "writes of CR0 by CLTS", 0x10, 0, clts
EXITS "LMSW, selectively", 0x65, 0, lmsw ax
EXITS "reads of DR5", 0x25, 0, mov rax, dr5
EXITS "writes of DR7", 0x37, 0, mov dr7, rax
EXITS "SIDT", 0x66, 0, sidt [DATA]
EXITS "SGDT", 0x67, 0, sgdt [DATA]
EXITS "SLDT", 0x68, 0, sldt ax
EXITS "STR", 0x69, 0, str ax
EXITS "LIDT", 0x6a, 0, lidt [DATA]
EXITS "LGDT", 0x6b, 0, lgdt [DATA]
EXITS "LLDT", 0x6c, 0, lldt ax
EXITS "LTR", 0x6d, 0, ltr ax
EXITS "RDTSC", 0x6e, 0, rdtsc
EXITS "RDPMC", 0x6f, 0, rdpmc
EXITS "PUSHF", 0x70, 0, pushfq
EXITS "POPF", 0x71, 0, popfq
EXITS "CPUID", 0x72, 0, cpuid
EXITS "RSM", 0x73, 0, rsm
EXITS "IRET", 0x74, 0, iretq
EXITS "INT n", 0x75, 0x40, int 0x40
EXITS "INVD", 0x76, 0, invd
EXITS "PAUSE", 0x77, 0, pause
EXITS "HLT", 0x78, 0, hlt
EXITS "INVLPG", 0x79, 0, invlpg [DATA]
EXITS "INVLPGA", 0x7a, 0, db 0x0f, 0x01, 0xdf
EXITS "VMLOAD", 0x82, 0, vmload
EXITS "VMSAVE", 0x83, 0, vmsave
EXITS "STGI", 0x84, 0, stgi
EXITS "CLGI", 0x85, 0, clgi
EXITS "RDTSCP", 0x87, 0, rdtscp
EXITS "ICEBP", 0x88, 0, db 0xf1
EXITS "WBINVD", 0x89, 0, wbinvd
EXITS "XSETBV", 0x8d, 0, xsetbv
EXITS "INVPCID", 0xa2, 0, invpcid rax, [DATA]

TEST "writes of CR0 that change nothing but TS and MP", "15.9", LONG64, 0, 0, EFER_SVME
  VMCB_OF .guest
  INTERCEPT 0x65
  RUN
  hlt
.guest:
  mov rax, cr0
  or eax, CR0_MP
  mov cr0, rax
  or eax, CR0_WP
.exit: mov cr0, rax
EXPECT HALT, NOERR, ANY, M64, EXIT_CODE, 0x65, M32, S_RIP, .exit

TEST "an MSR that the map has", "15.11", LONG64, 0, 0, EFER_SVME
  VMCB_OF .guest
  INTERCEPT 0x7c
  mov byte [MSRPM + 0x800 + 0x82 / 4], 0x20 ; writes of LSTAR
  RUN
  hlt
.guest:
  mov ecx, 0xc0000082
  rdmsr
.exit: wrmsr
EXPECT HALT, NOERR, ANY, M64, EXIT_CODE, 0x7c, M64, INFO1, 1, M32, S_RIP, .exit

TEST "an MSR beyond the maps", "15.11", LONG64, 0, 0, EFER_SVME
  VMCB_OF .guest
  INTERCEPT 0x7c
  RUN
  hlt
.guest:
  mov ecx, 0x2000
.exit: rdmsr
EXPECT HALT, NOERR, ANY, M64, EXIT_CODE, 0x7c, M64, INFO1, 0, M32, S_RIP, .exit

TEST "a port that the map has", "15.10", LONG64, 0, 0, EFER_SVME
  VMCB_OF .guest
  INTERCEPT 0x7b
  mov byte [IOPM + 0x60 / 8], 1
  RUN
  hlt
.guest:
  in al, 0x61
.exit: in al, 0x60
.next:
EXPECT HALT, NOERR, ANY, M64, EXIT_CODE, 0x7b, M64, INFO1, 0x600011, M32, INFO2, .next, M32, S_RIP, .exit

TEST "a string instruction of a port", "15.10.2", LONG64, 0, 0, EFER_SVME
  VMCB_OF .guest
  INTERCEPT 0x7b
  mov byte [IOPM + 0x41 / 8], 4 ; 42H
  RUN
  hlt
.guest:
  mov edx, 0x40
  out dx, ax                    ; 40H and 41H
  mov ecx, 3
  mov esi, DATA
.exit: rep outsd
.next:
EXPECT HALT, NOERR, ANY, M64, EXIT_CODE, 0x7b, M64, INFO1, 0x400000 | 0x200 | 0x40 | 8 | 4, M32, INFO2, .next, M32, S_RIP, .exit

TEST "an exception, before it is delivered", "15.12", LONG64, 0, 0, EFER_SVME
  VMCB_OF .guest
  INTERCEPT 0x40 + GP
  RUN
  hlt
.guest:
  mov eax, 0xfff8
.exit: mov ds, eax
EXPECT HALT, NOERR, ANY, M64, EXIT_CODE, 0x40 + GP, M64, INFO1, 0xfff8, M32, S_RIP, .exit, M32, S_RSP, GUEST_STACK

TEST "a page fault: its address is not in CR2", "15.12.15", LONG64, 0, 0, EFER_SVME
  VMCB_OF .guest
  INTERCEPT 0x40 + PF
  RUN
  mov rbx, cr2
  hlt
.guest:
  mov rax, 0x800000123
.exit: mov [rax], eax
EXPECT HALT, NOERR, ANY, M64, EXIT_CODE, 0x40 + PF, M64, INFO1, 2, M64, INFO2, 0x800000123, R_RBX, 0, 0

TEST "a fault while an exception is delivered", "15.7.2", LONG64, 0, 0, EFER_SVME
  VMCB_OF .guest
  INTERCEPT 0x40 + PF
  mov dword [S_RSP], 0x800000   ; no stack
  RUN
  hlt
.guest:
  ud2
EXPECT HALT, NOERR, ANY, M64, EXIT_CODE, 0x40 + PF, M32, INT_INFO, 0x80000306, M32, S_RIP, .guest

TEST "shutdown", "15.14.3", LONG64, 0, 0, EFER_SVME
  VMCB_OF .guest
  INTERCEPT 0x7f
  mov dword [SAVE + 0x84], 0    ; no IDT
  RUN
  hlt
.guest:
  ud2
EXPECT HALT, NOERR, ANY, M64, EXIT_CODE, 0x7f

; ---- events ----

TEST "an injected exception", "15.20", LONG64, 0, 0, EFER_SVME
  VMCB_OF .guest
  mov dword [INJECT], 0x80000b0d
  mov dword [INJECT + 4], 0x1234
  mov word [IDT + GP * 16], .handler
  RUN
  hlt
.guest:
  hlt
.handler:
  pop rbx
  pop rcx
  vmmcall
EXPECT HALT, NOERR, ANY, M64, EXIT_CODE, 0x81, R_RBX, 0, 0x1234, R_RCX, 0, .guest, M32, INJECT, 0xb0d

TEST "a virtual interrupt waits for IF", "15.21.4", LONG64, 0, 0, EFER_SVME
  VMCB_OF .guest
  mov dword [VMCB + 0x60], 0x100 | 5 << 16
  mov byte [VMCB + 0x64], 0x40
  mov word [IDT + 0x40 * 16], .handler
  RUN
  hlt
.guest:
  mov ebx, 1
  sti
  inc ebx
  inc ebx
.handler:
  pop rcx
  vmmcall
EXPECT HALT, NOERR, ANY, M64, EXIT_CODE, 0x81, R_RBX, 0, 2, R_RCX, 0, .handler - 2, M32, VMCB + 0x60, 5 << 16

TEST "a virtual interrupt below the virtual TPR", "15.21.4", LONG64, 0, 0, EFER_SVME
  VMCB_OF .guest
  mov dword [VMCB + 0x60], 0x105 | 5 << 16 | 1 << 24
  mov byte [VMCB + 0x64], 0x40
  INTERCEPT 0x64
  RUN
  hlt
.guest:
  sti
  mov rbx, cr8
  mov eax, 4
  mov cr8, rax
.exit: nop
EXPECT HALT, NOERR, ANY, M64, EXIT_CODE, 0x64, R_RBX, 0, 5, M32, S_RIP, .exit, M8, VMCB + 0x60, 4

; ---- nested paging ----

TEST "nested paging: the guest's memory is elsewhere", "15.25", LONG64, 0, 0, EFER_SVME
  VMCB_OF .guest
  NESTED
  mov dword [PAGE_ENTRY], 0x31000 | 7
  mov dword [0x31008], 0x5151
  RUN
  mov ecx, [NEXT_PAGE + 12]
  mov edx, [0x3100c]
  hlt
.guest:
  mov ebx, [NEXT_PAGE + 8]
  mov [NEXT_PAGE + 12], ebx
  vmmcall
EXPECT HALT, NOERR, ANY, M64, EXIT_CODE, 0x81, R_RBX, 0, 0x5151, R_RCX, 0, 0, R_RDX, 0, 0x5151, M8, PAGE_ENTRY, 0x67

%macro NESTED_FAULT 5+           ; name, the entry, error code, address; the instruction
TEST %1, "15.25.6", LONG64, 0, 0, EFER_SVME | EFER_NXE
  VMCB_OF .guest
  NESTED
  mov rax, %2
  mov [PAGE_ENTRY], rax
  RUN
  hlt
.guest:
  mov ebx, NEXT_PAGE
.exit:
  %5
EXPECT HALT, NOERR, ANY, M64, EXIT_CODE, 0x400, M64, INFO1, %3, M64, INFO2, %4
%endmacro
NESTED_FAULT "nested: not present", NEXT_PAGE | 6, 0x100000004, NEXT_PAGE + 4, mov eax, [rbx + 4]
NESTED_FAULT "nested: a write", NEXT_PAGE | 5, 0x100000007, NEXT_PAGE, mov [rbx], eax
NESTED_FAULT "nested: a supervisor's page", NEXT_PAGE | 3, 0x100000005, NEXT_PAGE, mov eax, [rbx]
NESTED_FAULT "nested: no execution", 1 << 63 | NEXT_PAGE | 7, 0x100000015, NEXT_PAGE, jmp rbx
NESTED_FAULT "nested: a reserved bit", 1 << 50 | NEXT_PAGE | 7, 0x10000000d, NEXT_PAGE, mov eax, [rbx]
TEST "nested: the guest's own tables", "15.25.6", LONG64, 0, 0, EFER_SVME
  VMCB_OF .guest
  NESTED
  and byte [NPT + (PT >> 12) * 8], 0xfd
  RUN
  hlt
.guest:
EXPECT HALT, NOERR, ANY, M64, EXIT_CODE, 0x400, M64, INFO1, 0x200000007, M64, INFO2, PT + 8 * 8

END_TESTS
