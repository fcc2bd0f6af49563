; The firmware under which system_qemu_test runs a bare-metal test in QEMU: it copies the 2 MiB of memory that the
; test lays at IMAGE to address 0, and enters the test's mode with the registers of the STATE block in it, as
; BareMachine::set_up does for tier 0. 64 KiB, at F0000.
%include "bare.inc"

IMAGE equ 0x400000
STATE equ 0x1f0000                ; in the first 2 MiB, which every paging mode maps to itself
SCRATCH equ STATE + 0x1000        ; top of a stack

; Offsets in STATE, 32 bits each.
S_KIND equ 0                      ; 0: ring 0, protected mode or beyond; 1: by IRET; 2: real mode
S_CR0 equ 4
S_CR3 equ 8
S_CR4 equ 12
S_EFER equ 16
S_CS equ 20
S_DATA equ 24                     ; DS, ES, FS, GS, SS
S_EDX equ 28
S_FRAME equ 32                    ; EIP, CS, EFLAGS, ESP, SS, ES, DS, FS, GS
S_MSRS equ 68                     ; count, then index and two halves

section .rom progbits start=0 vstart=0
bits 16
start16:
  cli
  mov al, 0xff                    ; the interrupt controllers stay quiet
  out 0x21, al
  out 0xa1, al
  o32 lgdt [cs:rom_gdtr]
  mov eax, cr0
  or al, 1
  mov cr0, eax
  jmp dword 0x08:0xf0000 + start32

align 8
rom_gdt:
  dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00009b0f0000ffff, 0x000093000000ffff
rom_gdtr:
  dw rom_gdtr - rom_gdt - 1
  dd 0xf0000 + rom_gdt
test_gdtr:
  dw 0xaf
  dd GDT
test_idtr:
  dw 0xfff
  dd IDT
real_idtr:
  dw 0x3ff
  dd 0

bits 32
start32:
  mov ax, 0x10
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov esp, SCRATCH
  cld
  mov esi, IMAGE
  xor edi, edi
  mov ecx, 0xa0000 / 4
  rep movsd
  mov esi, IMAGE + 0x100000
  mov edi, 0x100000
  mov ecx, 0x100000 / 4
  rep movsd
  push dword 0x40002              ; AC: with CR4.SMAP the stack is still ours
  popfd

  mov esi, STATE + S_MSRS
  mov ebx, [esi]
  add esi, 4
.msrs:
  test ebx, ebx
  jz .tables
  mov ecx, [esi]
  mov eax, [esi + 4]
  mov edx, [esi + 8]
  wrmsr
  add esi, 12
  dec ebx
  jmp .msrs

.tables:
  lgdt [0xf0000 + test_gdtr]
  lidt [0xf0000 + test_idtr]
  and byte [GDT + TSS_SEL + 5], ~2   ; LTR wants a TSS that is not busy, and makes it so
  mov ax, TSS_SEL
  ltr ax
  mov ax, LDT_SEL
  lldt ax
  mov eax, [STATE + S_CR4]
  and eax, ~CR4_PCIDE             ; only in long mode
  mov cr4, eax
  mov eax, [STATE + S_CR3]
  mov cr3, eax
  mov ecx, 0xc0000080
  mov eax, [STATE + S_EFER]
  xor edx, edx
  wrmsr
  mov ebx, [STATE + S_CR0]
  cmp dword [STATE + S_KIND], 2
  je real
  mov cr0, ebx
  mov eax, [STATE + S_CR4]
  mov cr4, eax
  cmp dword [STATE + S_KIND], 1
  je by_iret

  mov edx, [STATE + S_EDX]
  mov ecx, [STATE + S_CS]
  mov ebx, [STATE + S_DATA]
  push dword 2
  mov ds, bx
  mov es, bx
  mov fs, bx
  mov gs, bx
  cmp ecx, CODE16
  je .to16
  cmp ecx, CODE64
  je .to64
  xor ebx, ebx
  xor ecx, ecx
  xor esi, esi
  xor edi, edi
  popfd
  mov esp, STACK0
  mov eax, 0
  jmp CODE32:CODE
.to16:
  xor esi, esi
  xor edi, edi
  xor ecx, ecx
  popfd
  mov ss, bx
  mov esp, STACK0
  mov eax, 0
  mov ebx, 0
  jmp CODE16:CODE
.to64:
  xor ebx, ebx
  xor ecx, ecx
  xor esi, esi
  xor edi, edi
  popfd
  mov esp, STACK0
  mov eax, 0
  jmp CODE64:CODE

by_iret:
  mov esp, STATE + S_FRAME
  mov edx, [STATE + S_EDX]
  mov ebx, [STATE + S_DATA]
  mov ds, bx
  mov es, bx
  mov fs, bx
  mov gs, bx
  mov eax, 0
  mov ebx, 0
  mov ecx, 0
  mov esi, 0
  mov edi, 0
  iretd

real:
  mov edx, [STATE + S_EDX]
  push dword 2
  popfd
  lgdt [0xf0000 + rom_gdtr]
  mov ax, 0x20
  mov ds, ax
  mov es, ax
  mov fs, ax
  mov gs, ax
  mov ss, ax
  jmp 0x18:real16
bits 16
real16:
  mov cr0, ebx
  jmp 0xf000:.flushed
.flushed:
  o32 lgdt [cs:test_gdtr]
  o32 lidt [cs:real_idtr]
  mov ax, 0                       ; not XOR: the flags are those of the test
  mov ds, ax
  mov es, ax
  mov fs, ax
  mov gs, ax
  mov ss, ax
  mov esp, STACK0
  mov eax, 0
  mov ebx, 0
  mov ecx, 0
  mov esi, 0
  mov edi, 0
  jmp 0:CODE

  times 0xfff0 - ($ - $$) db 0xf4
  jmp 0xf000:start16
  times 0x10000 - ($ - $$) db 0
