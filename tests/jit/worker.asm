; A function that is called until it is worth compiling, and then changed: what another thread made of it is stale when it
; comes. A second one stays as it is.
%include "machine.inc"

ROUNDS equ 60
CALLS  equ 400

main:
  mov edi, 1
.round:
  mov [changing.value], edi
  mov esi, CALLS
.call:
  call changing
  call staying
  dec esi
  jnz .call
  inc edi
  cmp edi, ROUNDS
  jb .round
  ret

align 64
changing:
  db 0x81, 0xc3                  ; add ebx, imm32
.value:
  dd 0
  ret

align 64
staying:
  mov ecx, 5
.again:
  rol ebx, 3
  xor ebx, ecx
  loop .again
  ret

TAIL
