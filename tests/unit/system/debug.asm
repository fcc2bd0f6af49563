; Single-stepping and breakpoints where they meet MOV SS, STI, software interrupts and fast system calls.
%include "bare.inc"

; After this the next instruction is the first that is stepped.
%macro STEP 0
  %if __BITS__ = 64
  pushfq
  or dword [rsp], 0x100
  popfq
  %else
  pushfd
  or dword [esp], 0x100
  popfd
  %endif
%endmacro

TEST "INT n ends without a single-step trap", "Vol. 3, 17.3.1.4", PROT32
  STEP
  int 0x40
.after:
EXPECT 0x40, NOERR, .after, FRAME, 2, 0x102, DR6_, 0, 0

TEST "INT n ends without a single-step trap, real mode", "Vol. 3, 17.3.1.4", REAL
  pushf
  mov bp, sp
  or word [bp], 0x100
  popf
  int 0x40
.after:
EXPECT 0x40, NOERR, .after, FRAME, 2, 0x102, DR6_, 0, 0

TEST "MOV SS loses its own single-step trap: INT1 after it", "Vol. 3, 6.8.3", PROT32
  mov eax, ss
  STEP
  mov ss, ax
  db 0xf1
.after:
EXPECT DB, NOERR, .after, DR6_, 0, 0

TEST "a data breakpoint of MOV SS joins the INT1 after it", "Vol. 3, 6.8.3", PROT32
  mov eax, DATA
  mov dr1, eax
  mov [DATA], ss
  mov eax, 0xf00404           ; L1, four bytes, read or write
  mov dr7, eax
  mov ss, [DATA]
  db 0xf1
.after: mov byte [DATA + 8], 1
EXPECT DB, NOERR, .after, DR6_, 0, 2, M8, DATA + 8, 0

TEST "a data breakpoint of MOV SS comes after the next instruction", "Vol. 3, 6.8.3", PROT32
  mov eax, DATA
  mov dr1, eax
  mov [DATA], ss
  mov eax, 0xf00404
  mov dr7, eax
  mov ss, [DATA]
  mov byte [DATA + 8], 1
.after: mov byte [DATA + 8], 2
EXPECT DB, NOERR, .after, DR6_, 0, 2, M8, DATA + 8, 1

TEST "MOV SS does not hold off general detect", "Vol. 3, 17.2.4", PROT32
  mov ecx, ss
  mov eax, 0x2400
  mov dr7, eax
  STEP
  mov ss, cx
.fault: mov eax, dr0
EXPECT DB, NOERR, .fault, DR6_, 0, 0x2000, FRAME, 2, 0x10102

TEST "MOV SS holds off an instruction breakpoint", "Vol. 3, 6.8.3", PROT32
  mov ecx, ss
  mov eax, .here
  mov dr0, eax
  mov eax, 0x401
  mov dr7, eax
  mov ss, cx
.here: hlt
EXPECT HALT, NOERR, ANY

TEST "STI does not hold off the single-step trap", "Vol. 2, STI", PROT32
  STEP
  sti
.after: nop
EXPECT DB, NOERR, .after, DR6_, 0, 0x4000, FRAME, 2, 0x302

TEST "HLT does not stay when its single-step trap is due", "Vol. 3, 17.3.1.4", PROT32
  STEP
  hlt
.after:
EXPECT DB, NOERR, .after, DR6_, 0, 0x4000

TEST "a REP is stepped iteration by iteration", "Vol. 3, 17.3.1.4", PROT32
  mov edi, DATA
  mov ecx, 3
  mov al, 0x77
  STEP
.again: rep stosb
EXPECT DB, NOERR, .again, R_RCX, 0, 2, M8, DATA, 0x77, M8, DATA + 1, 0, DR6_, 0, 0x4000, FRAME, 2, 0x10102

TEST "the last iteration of a REP is as any instruction", "Vol. 3, 17.3.1.1", PROT32
  mov edi, DATA
  mov ecx, 1
  STEP
  rep stosb
.after:
EXPECT DB, NOERR, .after, R_RCX, 0, 0, DR6_, 0, 0x4000, FRAME, 2, 0x102

TEST "a data breakpoint in a REP comes after its iteration", "Vol. 3, 17.3.1.2", PROT32
  mov eax, DATA + 4
  mov dr1, eax
  mov eax, 0x100404           ; L1, one byte, write
  mov dr7, eax
  mov edi, DATA
  mov ecx, 8
.again: rep stosb
EXPECT DB, NOERR, .again, R_RCX, 0, 3, DR6_, 0, 2, FRAME, 2, 0x10002

TEST "SYSCALL that masks TF ends without a single-step trap", "Vol. 2, SYSCALL", LONG64, 0, 0, EFER_SCE
  mov ecx, 0xc0000084
  mov eax, 0x100
  xor edx, edx
  wrmsr
  mov ecx, 0xc0000082
  mov eax, .target
  wrmsr
  mov ecx, 0xc0000081
  mov edx, CODE64
  xor eax, eax
  wrmsr
  STEP
  syscall
  ud2
.target: hlt
EXPECT HALT, NOERR, ANY, FLAGS, 0x100, 0, R_R8 + 3, 0, 0x146

TEST "SYSRET that sets TF ends in a single-step trap", "Vol. 2, SYSRET", LONG64, 0, 0, EFER_SCE
  mov ecx, 0xc0000081
  xor eax, eax
  mov edx, (UCODE32 & ~3) << 16
  wrmsr
  mov ecx, .target
  mov r11d, 0x102
  o64 sysret
.target: nop
EXPECT DB, NOERR, .target, DR6_, 0, 0x4000, FRAME, 1, UCODE64, FRAME, 2, 0x102

END_TESTS
