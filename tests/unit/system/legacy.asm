; Instructions that 64-bit mode does not have, and the direct addresses that the differential test leaves out.
%include "bare.inc"

CF equ 1
PF_ equ 4
AF equ 0x10
ZF equ 0x40
SF equ 0x80

TEST "DAA with a decimal carry", "Vol. 2, DAA", PROT32
  mov al, 0x79
  add al, 0x35
  daa
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 0x14, FLAGS, CF | AF | ZF | SF | PF_, CF | AF | PF_

TEST "DAA of a value in range", "Vol. 2, DAA", PROT32
  mov al, 0x12
  add al, 0x34
  daa
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 0x46, FLAGS, CF | AF | ZF | SF, 0

TEST "DAS with a borrow", "Vol. 2, DAS", PROT32
  mov al, 0x35
  sub al, 0x47
  das
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 0x88, FLAGS, CF | AF | ZF | SF, CF | AF | SF

TEST "AAA", "Vol. 2, AAA", PROT32
  mov eax, 0x0f
  and al, al
  aaa
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 0x105, FLAGS, CF | AF, CF | AF

TEST "AAA of a digit", "Vol. 2, AAA", PROT32
  mov eax, 0x205
  add al, 2
  aaa
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 0x207, FLAGS, CF | AF, 0

TEST "AAS", "Vol. 2, AAS", PROT32
  mov eax, 0x202
  sub al, 3
  aas
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 0x109, FLAGS, CF | AF, CF | AF

TEST "AAM and AAD", "Vol. 2, AAM, AAD", PROT32
  mov eax, 57
  aam
  mov ebx, eax
  aad
  hlt
EXPECT HALT, NOERR, ANY, R_RBX, 0, 0x507, R_RAX, 0, 57

TEST "AAM by zero", "Vol. 2, AAM", PROT32
.fault: aam 0
EXPECT DE, NOERR, .fault

TEST "AAD by another base", "Vol. 2, AAD", PROT32
  mov eax, 0x305
  aad 16
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 0x35, FLAGS, ZF | SF | PF_, PF_

TEST "SALC", "Vol. 2, table A-2: D6", PROT32
  stc
  salc
  mov ebx, eax
  clc
  salc
  hlt
EXPECT HALT, NOERR, ANY, R_RBX, 0, 0xff, R_RAX, 0, 0

TEST "one-byte INC and DEC leave CF", "Vol. 2, INC", PROT32
  mov eax, -1
  stc
  inc eax
  dec bx
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 0, R_RBX, 0, 0xffff, FLAGS, CF | SF, CF | SF

TEST "opcode 82 is opcode 80", "Vol. 2, appendix A", PROT32
  mov eax, 1
  db 0x82, 0xc0, 0x05
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 6

TEST "direct addresses of MOV", "Vol. 2, MOV", PROT32
  mov eax, 0x11223344
  mov [DATA], eax
  mov al, 0x55
  mov [DATA + 8], al
  mov eax, [DATA]
  mov ebx, eax
  mov al, [DATA + 8]
  hlt
EXPECT HALT, NOERR, ANY, R_RBX, 0, 0x11223344, R_RAX, 0, 0x11223355, M32, DATA + 8, 0x55

TEST "direct addresses of 64 bits", "Vol. 2, MOV", LONG64
  mov rax, 0x1122334455667788
  mov [qword 0xffffff8000000000 + DATA], rax
  xor eax, eax
  mov rax, [qword DATA]
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 0x1122334455667788

TEST "PUSHA and POPA", "Vol. 2, PUSHA", PROT32
  mov eax, 1
  mov ecx, 2
  mov edi, 8
  pusha
  mov ebx, [esp + 12]           ; ESP as it was
  mov [esp + 16], ebx           ; to EBX
  xor eax, eax
  xor ecx, ecx
  popa
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 1, R_RCX, 0, 2, R_RDI, 0, 8, R_RBX, 0, STACK0, R_RSP, 0, STACK0

TEST "LES and LDS", "Vol. 2, LDS", PROT32
  mov dword [DATA], 0x123
  mov word [DATA + 4], DATA16
  les eax, [DATA]
  mov ebx, es
  push ds
  push es
  pop ds
  mov ecx, ds
  pop ds
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 0x123, R_RBX, 0, DATA16, R_RCX, 0, DATA16

TEST "ENTER with a 32-bit operand on a 16-bit stack", "Vol. 2, ENTER", PROT32
  mov ax, DATA16
  mov ss, ax
  mov esp, 0x57000
  mov ebp, 0x12345678
  enter 8, 1
  hlt
EXPECT HALT, NOERR, ANY, R_RBP, 0, 0x56ffc, R_RSP, 0, 0x56ff0, M32, 0x6ffc, 0x12345678, M32, 0x6ff8, 0x56ffc

TEST "ENTER with a 16-bit operand on a 32-bit stack", "Vol. 2, ENTER", PROT32
  mov esp, 0x57000
  mov ebp, 0x12345678
  o16 enter 8, 1
  hlt
EXPECT HALT, NOERR, ANY, R_RBP, 0, 0x12346ffe, R_RSP, 0, 0x56ff4, M16, 0x56ffe, 0x5678, M16, 0x56ffc, 0x6ffe

END_TESTS
