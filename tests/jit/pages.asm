; A function over the end of a page calls another in the next page, which is now this, now that physical page; and the
; same pages are called at two linear addresses, of which only one changes. What is called depends on both.
%include "machine.inc"

PAGE   equ 4096
BEGINS    equ 0xff0                  ; where it begins in its page
LAST   equ 40000

main:
  mov eax, [first_here]
  mov rsi_, function
  mov edi, DATA + BEGINS
  mov ecx, function_end - function
  rep movsb
  mov rsi_, first
  mov edi, DATA + PAGE + 0x100
  mov ecx, first_end - first
  rep movsb
  ; the other next page: another end of the instruction that lies in two, another function
  mov dword [DATA + 2 * PAGE], 0x00c37788
  mov rsi_, second
  mov edi, DATA + 2 * PAGE + 0x100
  mov ecx, second_end - second
  rep movsb

  mov ebx, LAST
.next:
  mov rsi_, DATA + BEGINS
  test bl, 7
  jnz .call
  mov rsi_, CONST + BEGINS
.call:
  call rsi_
  fnstenv [DATA + 4 * PAGE]      ; where the last x87 instruction was
  test ebx, 0xfff
  jnz .same
  mov edx, [PTD + 8]
  mov ecx, [PTD + 16]
  mov [PTD + 8], ecx
  mov [PTD + 16], edx
  invlpg [DATA + PAGE]
  invlpg [DATA + 2 * PAGE]
.same:
  dec ebx
  jnz .next
  mov [DATA + 3 * PAGE], eax
  ret

first_here: dd 1

function:
  db 0xe8                        ; call
  dd PAGE + 0x100 - (BEGINS + 5)
  times 8 nop
  db 0x05                        ; add eax, imm32, of which two bytes are in the next page
  dd 0x01020304
  ret
function_end:
first:
  fldz
  fstp st0
  xor eax, 0x55aa1234
  ret
first_end:
second:
  sub eax, 0x777
  ret
second_end:

TAIL
