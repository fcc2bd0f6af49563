; Small programs, each called again and again with an interrupt at another count of instructions, from before its first to
; behind its last. The handler keeps what it interrupted. One nanosecond is one instruction (--ns-per-insn 1), and the
; local APIC's timer has a deadline, so that the count is exact.
%include "machine.inc"

%if BITS_ = 64
%define rbx_ rbx
%define rcx_ rcx
%define rdx_ rdx
%define rdi_ rdi
%else
%define rbx_ ebx
%define rcx_ ecx
%define rdx_ edx
%define rdi_ edi
%endif
PAGE   equ 4096
VECTOR equ 0x30
BEFORE equ 20                    ; instructions between reading the clock and the program, at least
LOG    equ 0x60000               ; a ring of what was interrupted
LOG_END equ 0x6f000

main:
  mov al, 0xff
  out 0x21, al
  out 0xa1, al
  mov ecx, 0x1b                  ; x2APIC mode
  rdmsr
  or eax, 0xc00
  wrmsr
  xor edx, edx
  mov ecx, 0x80f
  mov eax, 0x1ff
  wrmsr
  mov ecx, 0x832                 ; timer: TSC deadline
  mov eax, 0x40000 + VECTOR
  wrmsr
%if BITS_ = 64
  mov edi, IDT + VECTOR * 16
  mov dword [edi + 8], 0
  mov dword [edi + 12], 0
  mov edx, 0x180000
%else
  mov edi, IDT + VECTOR * 8
  mov edx, 0x080000
%endif
  mov eax, handler
  mov ecx, eax
  and eax, 0xffff
  or eax, edx
  mov [edi], eax
  and ecx, 0xffff0000
  or ecx, 0x8e00
  mov [edi + 4], ecx
  lidt [wide_idt]

.program:
  mov ecx, [number]
  mov eax, [programs + ecx * 4]
  test eax, eax
  jz .done
  mov [program], eax
  ; Its length. Twice, so that it may change itself.
  call once
  rdtsc
  mov [began], eax
  call once
  rdtsc
  sub eax, [began]
  add eax, BEFORE
  mov [most], eax
  mov dword [n], 0
.count:
  mov dword [interrupts], 0
  rdtsc
  mov ecx, 0x6e0
  add eax, 6                     ; behind WRMSR
  add eax, [n]
  adc edx, 0
  wrmsr
  call once
  mov ecx, 100                   ; for what is late
.late:
  dec ecx
  jnz .late
  sti
  nop
  cli
  cmp dword [interrupts], 1
  jne .wrong
  inc dword [n]
  mov eax, [n]
  cmp eax, [most]
  jb .count
  inc dword [number]
  jmp .program
.wrong:
  mov al, 1
  mov dx, 0xf4
  out dx, al
  jmp $
.done:
  mov ecx, 3000                  ; so that the last hash is behind everything
.wait:
  dec ecx
  jnz .wait
  ret

once:
  mov rsi_, CONST + PAGE - 24
  mov rdi_, DATA + 3 * PAGE - 24
  fninit
  mov ecx, 16
.fill:
  mov eax, ecx
  imul eax, eax, 0x01010301
  mov [rdi_ + rcx_ * 4 - 4], eax
  dec ecx
  jnz .fill
  mov eax, 12345
  mov edx, 0x89abcdef
  mov ebx, 77
  mov ecx, 5
  mov ebp, 3
  movups xmm0, [numbers]
  movups xmm1, [numbers + 16]
  sti
  call PTR [program]
  cli
  ret

handler:
%if BITS_ = 64
REGS equ 9 + 3
  push rax
  push rcx
  push rdx
  push rbx
  push rbp
  push rsi
  push rdi
  push r8
  push r9
%else
REGS equ 8 + 3
  pushad
%endif
  cld
  mov rsi_, rsp_
  mov edi, [log_at]
  mov ecx, REGS * WORD_ / 4   ; and RIP, CS, flags
  rep movsd
  add edi, 15
  and edi, ~15
  fxsave [rdi_]
  add edi, 512
  cmp edi, LOG_END
  jb .in
  mov edi, LOG
.in:
  mov [log_at], edi
  inc dword [interrupts]
  mov ecx, 0x80b
  xor eax, eax
  xor edx, edx
  wrmsr
%if BITS_ = 64
  pop r9
  pop r8
  pop rdi
  pop rsi
  pop rbp
  pop rbx
  pop rdx
  pop rcx
  pop rax
  iretq
%else
  popad
  iretd
%endif

; ---- the programs ---------------------------------------------------------------------------------

alu:                             ; loops in a loop, flags that live across them
.outer:
  mov ecx, 4
.inner:
  add eax, edx
  adc edx, ebx
  rol eax, 3
  sbb ebx, ecx
  bt eax, 7
  jc .skip
  xor edx, eax
.skip:
  dec ecx
  jnz .inner
  setc bl
  cmovs eax, edx
  dec ebp
  jnz .outer
  ret

calls:                           ; recursion, indirect calls, a return to where nobody called from
  push rax_
  cmp ebp, 0
  je .end
  dec ebp
  call calls
  call calls
  mov eax, .leaf
  call rax_
.end:
  pop rax_
  ret
.leaf:
  add edx, 3
  push rbx_
  mov ebx, .next
  xchg rbx_, [rsp_]
  ret
.next:
  inc edx
  ret

memory:                          ; over the ends of pages, reading and writing, read-modify-write
  mov ecx, 10
.next:
  mov eax, [rsi_ + rcx_ * 2]
  add [rdi_ + rcx_ * 2], eax
  mov edx, [rdi_ + rcx_ * 2 + 1]
  xor [rdi_ + rcx_], dl
  push rdx_
  inc word [rdi_ + 23]
  pop rbx_
  mov [rdi_ + rcx_ * 2 + 3], bx
  dec ecx
  jnz .next
  ret

sse:
  mov ecx, 6
.next:
  mulpd xmm0, xmm1
  addpd xmm0, [rdi_ + 8]
  movups xmm2, [rsi_ + rcx_ * 4]
  paddd xmm2, xmm0
  pshufd xmm3, xmm2, 0x1b
  movups [rdi_ + rcx_ * 4], xmm3
  cvttsd2si eax, xmm1
  sqrtsd xmm1, xmm1
  ucomisd xmm0, xmm1
  ja .over
  pxor xmm0, xmm3
.over:
  dec ecx
  jnz .next
  ret

avx:
  mov ecx, 4
.next:
  vmovdqu ymm2, [rsi_ + rcx_ * 4]
  vpaddd ymm3, ymm2, [rdi_ + 2]
  vpcmpeqb ymm4, ymm3, ymm2
  vpmovmskb eax, ymm4
  vmovdqu [rdi_ + rcx_ * 4], ymm3
  vextracti128 xmm5, ymm3, 1
  vaddsd xmm0, xmm1, [rdi_ + 8]
  blsr edx, eax
  ja .over
  vzeroupper
.over:
  vmulpd ymm1, ymm3, ymm0
  dec ecx
  jnz .next
  ret

x87:
  fld qword [numbers]
  fld qword [numbers + 8]
  mov ecx, 5
.next:
  fadd st1, st0
  fmul qword [numbers + 16]
  fld st1
  fsqrt
  fstp qword [rdi_ + rcx_ * 4]
  fxch st1
  fcomi st1
  jb .less
  fchs
.less:
  dec ecx
  jnz .next
  fstp dword [rdi_]
  fistp dword [rdi_ + 22]
  ret

strings:                         ; and what tier 0 executes within compiled code
  mov ecx, 3
.next:
  push rcx_
  mov ecx, 40
  rep stosb
  sub edi, 40
  mov ecx, 9
  repe scasb
  push rsi_                      ; over the ends of both pages, once as a pattern that repeats
  push rdi_
  mov ecx, 11
  rep movsd
  lea rsi_, [rdi_ - 3]
  mov ecx, 30
  rep movsb
  mov ecx, 25
  repne cmpsw
  pop rdi_
  pop rsi_
  rdtsc
  cpuid
  mov ecx, 5
  pop rcx_
  pushf
  popf
  dec ecx
  jnz .next
  sti                            ; holds interrupts off for one instruction
  nop
  cli
  add eax, edx
  sti
  ret

faulting:                        ; execution goes on behind what faults
  mov ecx, 3
.next:
  mov PTR [resume], .first
  ud2
.first:
  add eax, ecx
  mov PTR [resume], .second
  mov [CONST], eax
.second:
  mov edx, eax
  mov PTR [resume], .third
  mov ebx, [DATA + MAPPED - 2]
.third:
  dec ecx
  jnz .next
  ret

modified:                        ; an immediate ahead, while it runs
  mov ecx, 3
.next:
  test ecx, 1
  jz .same
  mov [.ahead + 1], cl
.same:
  add edx, eax
.ahead:
  add eax, 0x11111111
  dec ecx
  jnz .next
  ret

align 16
numbers: dq 1.5, -2.25, 0.75, 1.0e-3
programs: dd alu, calls, memory, sse, avx, x87, strings, faulting, modified, 0
program: dq 0
number: dd 0
n: dd 0
most: dd 0
began: dd 0
interrupts: dd 0
log_at: dd LOG
wide_idt:
  dw 64 * 16 - 1
  dd IDT, 0

TAIL
