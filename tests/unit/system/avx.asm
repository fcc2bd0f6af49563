; AVX and the XSAVE feature set: when they are enabled, what each raises, which part of the state each touches.
%include "bare.inc"

%macro XCR0_IS 1
  xor ecx, ecx
  xor edx, edx
  mov eax, %1
  xsetbv
%endmacro
; Component bits of XCR0, of EDX:EAX and of XSTATE_BV
X87 equ 1
SSE equ 2
AVX equ 4
AREA equ DATA                   ; an XSAVE area
HEADER equ AREA + 512
YMM_AT equ 576
AVX_BITS equ CR4_OSXSAVE | CR4_OSFXSR
%macro FILL_AREA 0              ; 896 bytes that tell whether they were written
  mov edi, AREA
  mov ecx, 896 / 4
  mov eax, 0x5a5a5a5a
  rep stosd
  xor eax, eax
  mov edi, HEADER
  mov ecx, 64 / 4
  rep stosd
%endmacro

; ---- when AVX is enabled ----

TEST "AVX without CR4.OSXSAVE", "Vol. 2, table 2-22", LONG64, CR4_OSFXSR
.fault: vaddps ymm0, ymm1, ymm2
EXPECT UD, NOERR, .fault

TEST "AVX with XCR0 as reset leaves it", "Vol. 2, table 2-22", LONG64, AVX_BITS
.fault: vaddps xmm0, xmm1, xmm2
EXPECT UD, NOERR, .fault

TEST "AVX with SSE state alone in XCR0", "Vol. 2, table 2-22", LONG64, AVX_BITS
  XCR0_IS X87 | SSE
.fault: vpxor xmm0, xmm1, xmm2
EXPECT UD, NOERR, .fault

TEST "AVX with its state in XCR0", "Vol. 1, 14.1.2", LONG64, CR4_OSXSAVE
  XCR0_IS X87 | SSE | AVX
  vpcmpeqd ymm1, ymm1, ymm1
  vextracti128 xmm0, ymm1, 1
  vmovq rax, xmm0
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 0xffffffffffffffff

TEST "AVX in 16-bit protected mode", "Vol. 2, 2.3.2", PROT16, AVX_BITS
  XCR0_IS X87 | SSE | AVX
  vpcmpeqd xmm1, xmm1, xmm1
  vmovd eax, xmm1
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 0xffffffff

TEST "no VEX in real mode", "Vol. 2, table 2-22", REAL, AVX_BITS
  XCR0_IS X87 | SSE | AVX
.fault: db 0xc5, 0xf8, 0x58, 0xc1       ; vaddps xmm0, xmm0, xmm1
EXPECT UD, NOERR, .fault

TEST "no VEX in virtual-8086 mode", "Vol. 2, table 2-22", VM86, AVX_BITS
.fault: db 0xc4, 0xe2, 0x70, 0xf2, 0xc2 ; andn eax, ecx, edx
EXPECT UD, NOERR, .fault

TEST "AVX with TS", "Vol. 2, table 2-22", LONG64, AVX_BITS
  XCR0_IS X87 | SSE | AVX
  mov rax, cr0
  or eax, CR0_TS
  mov cr0, rax
.fault: vaddps ymm0, ymm1, ymm2
EXPECT NM, NOERR, .fault

TEST "AVX with TS but not enabled: #UD first", "Vol. 2, table 2-22", LONG64, AVX_BITS, CR0_TS
.fault: vaddps ymm0, ymm1, ymm2
EXPECT UD, NOERR, .fault

TEST "CR0.EM is nothing to AVX", "Vol. 2, table 2-22", LONG64, CR4_OSXSAVE, CR0_EM
  XCR0_IS X87 | SSE | AVX
  vpcmpeqd xmm1, xmm1, xmm1
  vmovd eax, xmm1
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 0xffffffff

TEST "BMI needs neither OSXSAVE nor XCR0", "Vol. 2, table 2-26", LONG64
  mov ecx, 0xf0
  mov edx, 0xff
  andn eax, ecx, edx
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 0x0f

TEST "a VEX instruction with 66", "Vol. 2, 2.3.2", LONG64, AVX_BITS
  XCR0_IS X87 | SSE | AVX
.fault: db 0x66, 0xc5, 0xf8, 0x58, 0xc1
EXPECT UD, NOERR, .fault

TEST "a VEX instruction with LOCK", "Vol. 2, 2.3.2", LONG64, AVX_BITS
  XCR0_IS X87 | SSE | AVX
.fault: db 0xf0, 0xc5, 0xf8, 0x58, 0xc1
EXPECT UD, NOERR, .fault

TEST "a VEX instruction with REX", "Vol. 2, 2.3.2", LONG64, AVX_BITS
  XCR0_IS X87 | SSE | AVX
.fault: db 0x40, 0xc5, 0xf8, 0x58, 0xc1
EXPECT UD, NOERR, .fault

TEST "VEX.vvvv that is not used must be 1111b", "Vol. 2, 2.3.5.6", LONG64, AVX_BITS
  XCR0_IS X87 | SSE | AVX
.fault: db 0xc5, 0xf0, 0x28, 0xc1       ; vmovaps xmm0, xmm1 with vvvv of xmm1
EXPECT UD, NOERR, .fault

TEST "VEX.L where it is reserved", "Vol. 2, 2.3.6.2", LONG64, AVX_BITS
  XCR0_IS X87 | SSE | AVX
.fault: db 0xc5, 0xf5, 0x6e, 0xc0       ; vmovd with L = 1
EXPECT UD, NOERR, .fault

TEST "VEX.W where it is fixed", "Vol. 2, VPERMD", LONG64, AVX_BITS
  XCR0_IS X87 | SSE | AVX
.fault: db 0xc4, 0xe2, 0xf5, 0x36, 0xc2 ; vpermd with W = 1
EXPECT UD, NOERR, .fault

TEST "a gather into its own mask", "Vol. 2, VPGATHERDD", LONG64, AVX_BITS
  XCR0_IS X87 | SSE | AVX
.fault: db 0xc4, 0xe2, 0x71, 0x90, 0x0c, 0x13 ; vpgatherdd xmm1, [rbx+xmm2], xmm1
EXPECT UD, NOERR, .fault

; ---- exceptions of AVX ----

TEST "an unaligned operand", "Vol. 2, table 2-19", LONG64, AVX_BITS
  XCR0_IS X87 | SSE | AVX
  mov ebx, DATA
  vmovups ymm0, [rbx + 1]
  vaddps ymm0, ymm0, [rbx + 4]
  vmovaps xmm0, [rbx + 16]
.fault: vmovaps ymm0, [rbx + 16]
EXPECT GP, 0, .fault

TEST "an unmasked SIMD exception", "Vol. 1, 14.4", LONG64, AVX_BITS | 0x400
  XCR0_IS X87 | SSE | AVX
  push 0x1d80                   ; zero divide unmasked
  vldmxcsr [rsp]
  vpcmpeqd ymm1, ymm1, ymm1
  vpsrld ymm1, ymm1, 25
  vpslld ymm1, ymm1, 23         ; ones
.fault: vdivps ymm1, ymm1, ymm2
EXPECT 19, NOERR, .fault

TEST "an unmasked SIMD exception without OSXMMEXCPT", "Vol. 2, table 2-18", LONG64, AVX_BITS
  XCR0_IS X87 | SSE | AVX
  push 0x1d80
  vldmxcsr [rsp]
  vpcmpeqd ymm1, ymm1, ymm1
  vpsrld ymm1, ymm1, 25
  vpslld ymm1, ymm1, 23
.fault: vdivps ymm1, ymm1, ymm2
EXPECT UD, NOERR, .fault

TEST "masked moves touch no masked lane", "Vol. 2, VMASKMOV", LONG64, AVX_BITS
  XCR0_IS X87 | SSE | AVX
  mov dword [PT + 0x21 * 8], 0          ; the page after DATA
  mov rax, cr3
  mov cr3, rax
  mov dword [DATA + 0xffc], 0x1234
  vpcmpeqd xmm1, xmm1, xmm1
  vpsrldq xmm1, xmm1, 12                ; the lowest lane alone
  vmaskmovps ymm0, ymm1, [DATA + 0xffc]
  vmovd eax, xmm0
  vpaddd ymm0, ymm0, ymm0
  vpmaskmovd [DATA + 0xffc], ymm1, ymm0
  vpxor xmm1, xmm1, xmm1
  mov rbx, 0x800000000000
  vmaskmovpd ymm2, ymm1, [rbx]          ; not even canonical
  vmaskmovpd [rbx], ymm1, ymm2
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 0x1234, M32, DATA + 0xffc, 0x2468

TEST "a masked store that faults writes nothing", "Vol. 2, VMASKMOV", LONG64, AVX_BITS
  XCR0_IS X87 | SSE | AVX
  mov dword [PT + 0x21 * 8], 0
  mov rax, cr3
  mov cr3, rax
  vpcmpeqd ymm1, ymm1, ymm1
.fault: vmaskmovps [DATA + 0xff8], ymm1, ymm1
EXPECT PF, 2, .fault, CR2_, 0, DATA + 0x1000, M32, DATA + 0xff8, 0

TEST "a gather that faults keeps what it has done", "Vol. 2, VPGATHERDD", LONG64, AVX_BITS
  XCR0_IS X87 | SSE | AVX
  mov word [IDT + PF * 16], .handler
  mov dword [PT + 0x21 * 8], 0
  mov rax, cr3
  mov cr3, rax
  mov dword [DATA], 11
  mov dword [DATA + 8], 13
  mov dword [.index], 0
  vmovdqu xmm2, [.index]
  vpcmpeqd xmm1, xmm1, xmm1
  vpgatherdd xmm0, [DATA + xmm2], xmm1
  vmovdqu [DATA + 0x100], xmm0
  vmovdqu [DATA + 0x110], xmm1
  hlt
.handler:                               ; the third lane: map the page and go on
  vmovdqu [DATA + 0x120], xmm1
  mov dword [PT + 0x21 * 8], (DATA + 0x1000) | P | W | U
  mov dword [DATA + 0x1000], 17
  mov dword [DATA], 99                  ; not read again
  add rsp, 8
  iretq
.index: dd 0, 8, 0x1000, 8
EXPECT HALT, NOERR, ANY, M32, DATA + 0x100, 11, M32, DATA + 0x104, 13, M32, DATA + 0x108, 17, M32, DATA + 0x10c, 13, \
  M64, DATA + 0x110, 0, M64, DATA + 0x118, 0, M64, DATA + 0x120, 0, M64, DATA + 0x128, 0xffffffffffffffff, \
  CR2_, 0, DATA + 0x1000

; ---- upper halves ----

TEST "SSE leaves the upper half, VEX.128 clears it", "Vol. 1, 14.1.1", LONG64, AVX_BITS
  XCR0_IS X87 | SSE | AVX
  vpcmpeqd ymm1, ymm1, ymm1
  xorps xmm1, xmm1
  vextractf128 xmm2, ymm1, 1
  vmovq rax, xmm2
  vpcmpeqd ymm1, ymm1, ymm1
  vxorps xmm1, xmm1, xmm1
  vextractf128 xmm2, ymm1, 1
  vmovq rbx, xmm2
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 0xffffffffffffffff, R_RBX, 0, 0

TEST "VZEROUPPER, VZEROALL in compatibility mode: eight registers", "Vol. 2, VZEROALL", LONG64, AVX_BITS
  XCR0_IS X87 | SSE | AVX
  vpcmpeqd ymm1, ymm1, ymm1
  vpcmpeqd ymm9, ymm9, ymm9
  push CODE32
  push .compat
  retfq
bits 32
.compat:
  vzeroupper
  vextractf128 xmm2, ymm1, 1
  vpaddd xmm2, xmm2, xmm1
  vmovd ebx, xmm2
  vzeroall
  vmovd ecx, xmm1
  jmp CODE64:.long
bits 64
.long:
  vextractf128 xmm2, ymm9, 1
  vmovq rdx, xmm2
  vmovq rsi, xmm9
  vzeroupper
  vextractf128 xmm2, ymm9, 1
  vmovq rdi, xmm2
  hlt
EXPECT HALT, NOERR, ANY, R_RBX, 0, 0xffffffff, R_RCX, 0, 0, R_RDX, 0, 0xffffffffffffffff, R_RSI, 0, 0xffffffffffffffff, \
  R_RDI, 0, 0

; ---- XSETBV, XGETBV, CPUID ----

TEST "XSETBV without CR4.OSXSAVE", "Vol. 2, XSETBV", LONG64
  xor ecx, ecx
  mov eax, 1
  xor edx, edx
.fault: xsetbv
EXPECT UD, NOERR, .fault

TEST "XGETBV without CR4.OSXSAVE", "Vol. 2, XGETBV", LONG64
  xor ecx, ecx
.fault: xgetbv
EXPECT UD, NOERR, .fault

TEST "XSETBV in user mode", "Vol. 2, XSETBV", LONG64 | USER, CR4_OSXSAVE
  xor ecx, ecx
  mov eax, 1
  xor edx, edx
.fault: xsetbv
EXPECT GP, 0, .fault

TEST "XGETBV in user mode, with TS", "Vol. 2, XGETBV", LONG64 | USER, CR4_OSXSAVE, CR0_TS
  xor ecx, ecx
  mov edx, 5
  xgetbv
  int END_USER
EXPECT END_USER, NOERR, ANY, R_RAX, 0, 1, R_RDX, 0, 0

%macro BAD_XCR0 2
TEST %1, "Vol. 1, 13.3", LONG64, CR4_OSXSAVE
  xor ecx, ecx
  xor edx, edx
  mov eax, %2
.fault: xsetbv
EXPECT GP, 0, .fault
%endmacro
BAD_XCR0 "XCR0 without x87 state", SSE
BAD_XCR0 "XCR0 with AVX state but not SSE state", X87 | AVX
BAD_XCR0 "XCR0 with a component that there is not", X87 | SSE | 8

TEST "XSETBV of another register", "Vol. 2, XSETBV", LONG64, CR4_OSXSAVE
  mov ecx, 7
  mov eax, 1
  xor edx, edx
.fault: xsetbv
EXPECT GP, 0, .fault

TEST "the size of the area follows XCR0", "Vol. 2, CPUID leaf 0DH", LONG64, CR4_OSXSAVE
  mov eax, 0x0d
  xor ecx, ecx
  cpuid
  mov esi, ebx
  mov edi, ecx
  mov ebp, eax
  XCR0_IS X87 | SSE | AVX
  mov eax, 0x0d
  cpuid
  mov r8d, ebx
  mov eax, 0x0d
  mov ecx, 2
  cpuid
  hlt
EXPECT HALT, NOERR, ANY, R_RSI, 0, 576, R_RDI, 0, 840, R_RBP, 0, 0x207, R_R8, 0, 832, R_RAX, 0, 256, R_RBX, 0, 576

TEST "CPUID has all of x86-64-v3", "System V ABI for AMD64, 3.1.1", LONG64, CR4_OSXSAVE
  mov eax, 1
  cpuid
  mov esi, ecx
  and esi, 1 << 12 | 1 << 22 | 1 << 27 | 1 << 28 | 1 << 29      ; FMA, MOVBE, OSXSAVE, AVX, F16C
  mov eax, 7
  xor ecx, ecx
  cpuid
  mov edi, ebx
  and edi, 1 << 3 | 1 << 5 | 1 << 8                             ; BMI1, AVX2, BMI2
  mov eax, 0x80000001
  cpuid
  and ecx, 1 << 5                                               ; LZCNT
  hlt
EXPECT HALT, NOERR, ANY, R_RSI, 0, 0x38401000, R_RDI, 0, 0x128, R_RCX, 0, 0x20

; ---- XSAVE, XSAVEOPT, XRSTOR ----

TEST "XSAVE without CR4.OSXSAVE", "Vol. 2, XSAVE", LONG64
.fault: xsave [AREA]
EXPECT UD, NOERR, .fault

TEST "XSAVE with TS", "Vol. 2, XSAVE", LONG64, CR4_OSXSAVE, CR0_TS
.fault: xsave [AREA]
EXPECT NM, NOERR, .fault

TEST "XSAVE to an address that is not a multiple of 64", "Vol. 2, XSAVE", LONG64, CR4_OSXSAVE
.fault: xsave [AREA + 16]
EXPECT GP, 0, .fault

TEST "XSAVE saves what is asked for, and says what is in use", "Vol. 1, 13.7", LONG64, AVX_BITS
  XCR0_IS X87 | SSE | AVX
  FILL_AREA
  vpcmpeqd ymm1, ymm1, ymm1
  vzeroupper
  mov eax, SSE | AVX
  xor edx, edx
  mov qword [HEADER], X87
  xsave [AREA]
  hlt
EXPECT HALT, NOERR, ANY, M64, HEADER, X87 | SSE, M32, AREA, 0x5a5a5a5a, M32, AREA + 24, 0x1f80, M32, AREA + 160, 0, \
  M64, AREA + 176, 0xffffffffffffffff, M64, AREA + 416, 0x5a5a5a5a5a5a5a5a, M64, AREA + YMM_AT + 16, 0, \
  M64, AREA + 832, 0x5a5a5a5a5a5a5a5a

TEST "XSAVE of x87 state alone leaves MXCSR's field", "Vol. 1, 13.7", LONG64, AVX_BITS
  XCR0_IS X87 | SSE | AVX
  FILL_AREA
  fninit
  mov eax, X87
  xor edx, edx
  xsave [AREA]
  hlt
EXPECT HALT, NOERR, ANY, M16, AREA, 0x37f, M64, AREA + 24, 0x5a5a5a5a5a5a5a5a, M32, AREA + 160, 0x5a5a5a5a, \
  M32, AREA + YMM_AT, 0x5a5a5a5a

TEST "XSAVEOPT leaves out what is in its initial configuration", "Vol. 1, 13.9", LONG64, AVX_BITS
  XCR0_IS X87 | SSE | AVX
  FILL_AREA
  mov eax, X87 | SSE | AVX
  xor edx, edx
  mov qword [AREA + 24], 0x1f80
  xrstor [AREA]                         ; XSTATE_BV is 0: everything initial
  FILL_AREA
  mov eax, X87 | SSE | AVX
  xor edx, edx
  mov qword [HEADER], X87 | SSE | AVX
  xsaveopt [AREA]
  hlt
EXPECT HALT, NOERR, ANY, M64, HEADER, 0, M32, AREA, 0x5a5a5a5a, M64, AREA + 24, 0xffff00001f80, \
  M32, AREA + 160, 0x5a5a5a5a, M32, AREA + YMM_AT, 0x5a5a5a5a

TEST "MXCSR is no part of what is tracked, and always saved", "Vol. 1, 13.6 and 13.9", LONG64, AVX_BITS
  XCR0_IS X87 | SSE | AVX
  FILL_AREA
  push 0x1fa0
  ldmxcsr [rsp]
  mov eax, SSE
  xor edx, edx
  xsaveopt [AREA]
  hlt
EXPECT HALT, NOERR, ANY, M64, HEADER, 0, M32, AREA + 24, 0x1fa0, M32, AREA + 160, 0x5a5a5a5a

TEST "XRSTOR of upper halves, and MXCSR with them", "Vol. 1, 13.8.1", LONG64, AVX_BITS
  XCR0_IS X87 | SSE | AVX
  FILL_AREA
  mov dword [AREA + 24], 0x1fa0
  mov dword [HEADER], AVX
  vpcmpeqd ymm3, ymm3, ymm3
  mov eax, AVX
  xor edx, edx
  xrstor [AREA]
  vextractf128 xmm4, ymm3, 1
  vmovq rax, xmm3
  vmovq rbx, xmm4
  push rdx
  vstmxcsr [rsp]
  pop rdx
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 0xffffffffffffffff, R_RBX, 0, 0x5a5a5a5a5a5a5a5a, R_RDX, 0, 0x1fa0

TEST "XRSTOR outside 64-bit mode: eight registers", "Vol. 1, 13.8.1", LONG64, AVX_BITS
  XCR0_IS X87 | SSE | AVX
  FILL_AREA
  mov dword [AREA + 24], 0x1f80
  mov dword [HEADER], SSE | AVX
  vpcmpeqd ymm3, ymm3, ymm3
  vpcmpeqd ymm12, ymm12, ymm12
  push CODE32
  push .compat
  retfq
bits 32
.compat:
  mov eax, SSE | AVX
  xor edx, edx
  xrstor [AREA]
  jmp CODE64:.long
bits 64
.long:
  vextractf128 xmm4, ymm3, 1
  vextractf128 xmm5, ymm12, 1
  vmovq rax, xmm4
  vmovq rbx, xmm5
  vmovq rdx, xmm12
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 0x5a5a5a5a5a5a5a5a, R_RBX, 0, 0xffffffffffffffff, R_RDX, 0, 0xffffffffffffffff

TEST "XSAVE outside 64-bit mode: eight registers", "Vol. 1, 13.7", PROT32, AVX_BITS
  XCR0_IS X87 | SSE | AVX
  FILL_AREA
  vpcmpeqd ymm7, ymm7, ymm7
  mov eax, SSE | AVX
  xor edx, edx
  xsave [AREA]
  hlt
EXPECT HALT, NOERR, ANY, M64, HEADER, SSE | AVX, M64, AREA + 160 + 7 * 16, 0xffffffffffffffff, \
  M64, AREA + 160 + 8 * 16, 0x5a5a5a5a5a5a5a5a, M64, AREA + YMM_AT + 7 * 16, 0xffffffffffffffff, \
  M64, AREA + YMM_AT + 8 * 16, 0x5a5a5a5a5a5a5a5a

TEST "XSAVEOPT outside 64-bit mode", "Vol. 1, 13.9", PROT32, AVX_BITS
  XCR0_IS X87 | SSE | AVX
  FILL_AREA
  vpcmpeqd ymm7, ymm7, ymm7
  mov eax, AVX
  xor edx, edx
  xsaveopt [AREA]
  hlt
EXPECT HALT, NOERR, ANY, M64, HEADER, AVX, M32, AREA + 24, 0x1f80, M32, AREA + 160 + 7 * 16, 0x5a5a5a5a, \
  M64, AREA + YMM_AT + 7 * 16, 0xffffffffffffffff, M64, AREA + YMM_AT + 8 * 16, 0x5a5a5a5a5a5a5a5a

TEST "XSAVEOPT64 has 64-bit pointers", "Vol. 1, 13.5.1", LONG64, AVX_BITS
  XCR0_IS X87 | SSE | AVX
  FILL_AREA
  fninit
  fld1
  mov eax, X87
  xor edx, edx
  mov dword [AREA + 12], 0x5a5a5a5a
  xsaveopt64 [AREA]
  mov eax, [AREA + 12]
  hlt
EXPECT HALT, NOERR, ANY, M64, HEADER, X87, R_RAX, 0, 0, M16, AREA + 32 + 8, 0x3fff

%macro BAD_AREA 3+
TEST %1, %2, LONG64, AVX_BITS
  XCR0_IS X87 | SSE
  FILL_AREA
  mov dword [AREA + 24], 0x1f80
  mov eax, X87 | SSE
  xor edx, edx
  %3
.fault: xrstor [AREA]
EXPECT GP, 0, .fault
%endmacro
BAD_AREA "XRSTOR of a component that is not in XCR0", "Vol. 1, 13.8", mov dword [HEADER], AVX
BAD_AREA "XRSTOR with XCOMP_BV", "Vol. 1, 13.8", mov dword [HEADER + 8], 1
BAD_AREA "XRSTOR of a compacted area", "Vol. 1, 13.8", mov dword [HEADER + 12], 0x80000000
BAD_AREA "XRSTOR with reserved bits in the header", "Vol. 1, 13.8", mov dword [HEADER + 16], 1
BAD_AREA "XRSTOR with reserved bits of MXCSR", "Vol. 1, 13.8", mov dword [AREA + 24], 0x11f80

TEST "FXSAVE knows no upper halves", "Vol. 1, 10.5.1", LONG64, AVX_BITS
  XCR0_IS X87 | SSE | AVX
  FILL_AREA
  vpcmpeqd ymm1, ymm1, ymm1
  fxsave [AREA]
  vpxor xmm2, xmm2, xmm2
  movdqu [AREA + 176], xmm2
  fxrstor [AREA]
  vextractf128 xmm4, ymm1, 1
  vmovq rax, xmm1
  vmovq rbx, xmm4
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 0, R_RBX, 0, 0xffffffffffffffff, M32, AREA + YMM_AT, 0x5a5a5a5a

END_TESTS
