; Self-modifying code: a write is seen by the next instruction that is fetched (SDM Vol. 3, 11.6 asks for a jump or a
; serializing instruction in between; processors, and so we, do without on the same linear address).
%include "bare.inc"

TEST "a later instruction of the same block", "Vol. 3, 11.6", PROT32
  mov byte [.here + 1], 0x42
  nop
.here: mov al, 0
  movzx eax, al
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 0x42

TEST "the next instruction", "Vol. 3, 11.6", PROT32
  mov byte [.here], 0x43         ; inc eax becomes inc ebx
.here: inc eax
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 0, R_RBX, 0, 1

TEST "a loop that changes its own immediate", "Vol. 3, 11.6", PROT32
  mov ecx, 5
  xor eax, eax
.again: add eax, dword 1
  add dword [.again + 2], 0     ; the page is written, the code stays
  inc byte [.again + 2]
  loop .again
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 15

TEST "through a second mapping of the page", "Vol. 3, 11.6", PROT32 | PAGING
  mov byte [ALIAS + .here + 1], 0x42
  jmp .here
.here: mov al, 0
  movzx eax, al
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 0x42

TEST "code that ran once, rewritten through a second mapping", "Vol. 3, 11.6", PROT32 | PAGING
  call .here
  mov ebx, eax
  mov byte [ALIAS + .here + 1], 0x42
  call .here
  hlt
.here: mov al, 7
  movzx eax, al
  ret
EXPECT HALT, NOERR, ANY, R_RAX, 0, 0x42, R_RBX, 0, 7

TEST "the second page of an instruction that crosses", "Vol. 3, 11.6", PROT32
  mov dword [0x30ffe], 0x2211b8 | 0x33 << 24  ; mov eax, 44332211; ret
  mov word [0x31002], 0xc344
  mov edx, 0x30ffe
  call edx
  mov ebx, eax
  mov byte [0x31002], 0x99
  call edx
  hlt
EXPECT HALT, NOERR, ANY, R_RBX, 0, 0x44332211, R_RAX, 0, 0x99332211

TEST "an instruction that overwrites itself completes first", "Vol. 3, 11.6", PROT32
.here: mov dword [.here], 0x90909090
  inc eax
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 1, M32, CODE, 0x90909090

TEST "REP STOS over the code that follows", "Vol. 3, 11.6", PROT32
  mov edi, .here
  mov ecx, 4
  mov al, 0x40                  ; inc eax
  mov ah, 0
  rep stosb
.here: ud2
  ud2
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 0x44

TEST "a page that becomes code after it was data, and data again", "Vol. 3, 11.6", PROT32
  mov ecx, 20
  xor ebx, ebx
.again: mov byte [0x30000], 0xb8   ; mov eax, ecx's value; ret
  mov [0x30001], ecx
  mov byte [0x30005], 0xc3
  mov edx, 0x30000
  call edx
  add ebx, eax
  loop .again
  hlt
EXPECT HALT, NOERR, ANY, R_RBX, 0, 210

TEST "a remapped page runs its new code", "Vol. 3, 4.10.4.1", PROT32 | PAGING
  mov dword [0x30000], 0xc301b0      ; mov al, 1; ret
  mov dword [0x31000], 0xc302b0
  mov edx, 0x30000
  call edx
  mov bl, al
  mov dword [PT32 + 0x30 * 4], 0x31007
  invlpg [0x32000]                   ; where no code is
  invlpg [0x30000]
  call edx
  movzx eax, al
  movzx ebx, bl
  hlt
EXPECT HALT, NOERR, ANY, R_RBX, 0, 1, R_RAX, 0, 2

TEST "the same bytes as 16-bit and 32-bit code", "Vol. 3, 3.4.5", PROT32
  mov dword [0x30000], 0x000001b8    ; mov eax, 1, or mov ax, 1; add [bx+si], al
  mov byte [0x30004], 0
  mov byte [0x30005], 0xcb
  mov dword [LDT + 8], 0x0000ffff
  mov dword [LDT + 12], 0x00009b03   ; 16-bit code at 30000
  mov eax, 0xffffffff
  mov ebx, 0x100
  xor esi, esi
  mov dword [.pointer], 0
  mov word [.pointer + 4], 8 | 4
  push cs
  call .far32
  mov ecx, eax
  mov eax, 0xffffffff
  o16 push cs
  o16 push word .back
  jmp far [.pointer]
.far32: mov dword [.target], 0x30000
  jmp [.target]
.back: hlt
.target: dd 0
.pointer: dd 0
  dw 0
EXPECT HALT, NOERR, ANY, R_RCX, 0, 1, R_RAX, 0, 0xffff0001

END_TESTS
