; Protection keys of user pages (PKRU) and of supervisor pages (IA32_PKRS).
%include "bare.inc"

PAGE equ 0x30000
ENTRY equ PT + 0x30 * 8
PKRS equ 0x6e1
AD equ 1
WD equ 2
%define RIGHTS(KEY, BITS) ((BITS) << (2 * (KEY)))

%macro KEY_OF_PAGE 2            ; key, low bits of the entry
  mov dword [ENTRY], PAGE | (%2)
  mov dword [ENTRY + 4], (%1) << 27
  invlpg [PAGE]
%endmacro
; nasm has these in 64-bit code alone.
%define RDPKRU_ db 0x0f, 0x01, 0xee
%define WRPKRU_ db 0x0f, 0x01, 0xef
%macro PKRU_IS 1
  xor ecx, ecx
  xor edx, edx
  mov eax, %1
  WRPKRU_
%endmacro
%macro PKRS_IS 1
  mov ecx, PKRS
  xor edx, edx
  mov eax, %1
  wrmsr
%endmacro

; ---- RDPKRU and WRPKRU ----

TEST "RDPKRU, WRPKRU", "Vol. 2, RDPKRU, WRPKRU", LONG64, CR4_PKE
  PKRU_IS 0xfffffff0
  mov rax, -1
  mov rdx, -1
  rdpkru
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 0xfffffff0, R_RDX, 0, 0

TEST "RDPKRU, WRPKRU in 32-bit code", "Vol. 2, RDPKRU, WRPKRU", PROT32, CR4_PKE
  PKRU_IS 0x12345678
  xor eax, eax
  RDPKRU_
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 0x12345678, R_RDX, 0, 0

TEST "RDPKRU without CR4.PKE", "Vol. 2, RDPKRU", LONG64
.fault: rdpkru
EXPECT UD, NOERR, .fault

TEST "WRPKRU without CR4.PKE", "Vol. 2, WRPKRU", LONG64, CR4_PKS
.fault: wrpkru
EXPECT UD, NOERR, .fault

TEST "RDPKRU with ECX", "Vol. 2, RDPKRU", LONG64, CR4_PKE
  mov ecx, 1
.fault: rdpkru
EXPECT GP, 0, .fault

TEST "WRPKRU with EDX", "Vol. 2, WRPKRU", LONG64 | USER, CR4_PKE
  xor ecx, ecx
  mov edx, 1
.fault: wrpkru
EXPECT GP, 0, .fault

TEST "CPUID says what CR4 enabled", "Vol. 2, CPUID", LONG64, CR4_PKE
  mov eax, 7
  xor ecx, ecx
  cpuid
  and ecx, 1 << 3 | 1 << 4 | 1 << 31
  mov esi, ecx
  xor eax, eax
  mov cr4, rax                  ; PAE cannot go
.fault:
EXPECT GP, 0, .fault - 3, R_RSI, 0, 1 << 3 | 1 << 4 | 1 << 31

; ---- user pages ----

TEST "a key without access", "Vol. 3, 4.6.2", LONG64, CR4_PKE
  KEY_OF_PAGE 5, P | W | U
  mov eax, [PAGE]
  PKRU_IS RIGHTS(5, AD)
.fault: mov eax, [PAGE + 8]
EXPECT PF, 0x21, .fault, CR2_, 0, PAGE + 8

TEST "a key without access, in user mode", "Vol. 3, 4.6.2", LONG64 | USER, CR4_PKE
  mov dword [ENTRY + 4], 15 << 27
  mov eax, [PAGE]
  PKRU_IS RIGHTS(15, AD)
.fault: mov [PAGE], eax
EXPECT PF, 0x27, .fault, CR2_, 0, PAGE

TEST "a key that cannot be written, in user mode", "Vol. 3, 4.6.2", LONG64 | USER, CR4_PKE
  mov dword [ENTRY + 4], 1 << 27
  mov dword [PAGE], 0x11
  PKRU_IS RIGHTS(1, WD)
  mov ebx, [PAGE]
.fault: mov [PAGE], eax
EXPECT PF, 0x27, .fault, R_RBX, 0, 0x11

TEST "the supervisor writes to it", "Vol. 3, 4.6.2", LONG64, CR4_PKE
  KEY_OF_PAGE 1, P | W | U
  PKRU_IS RIGHTS(1, WD)
  mov dword [PAGE], 0x22
  hlt
EXPECT HALT, NOERR, ANY, M32, PAGE, 0x22

TEST "and not with WP", "Vol. 3, 4.6.2", LONG64, CR4_PKE, CR0_WP
  KEY_OF_PAGE 1, P | W | U
  mov dword [PAGE], 0x22
  PKRU_IS RIGHTS(1, WD)
  mov ebx, [PAGE]
.fault: mov dword [PAGE], 0x33
EXPECT PF, 0x23, .fault, R_RBX, 0, 0x22, M32, PAGE, 0x22

TEST "a key that gets its access back", "Vol. 3, 4.6.2", LONG64, CR4_PKE
  KEY_OF_PAGE 3, P | W | U
  PKRU_IS RIGHTS(3, AD | WD)
  PKRU_IS RIGHTS(2, AD | WD) | RIGHTS(4, AD | WD)
  mov dword [PAGE], 0x44
  hlt
EXPECT HALT, NOERR, ANY, M32, PAGE, 0x44

TEST "keys are not about instructions", "Vol. 3, 4.6.2", LONG64, CR4_PKE
  KEY_OF_PAGE 7, P | W | U
  mov byte [PAGE], 0xf4
  PKRU_IS RIGHTS(7, AD | WD)
  mov eax, PAGE
  jmp rax
EXPECT HALT, NOERR, ANY

TEST "PKRU is nothing to supervisor pages", "Vol. 3, 4.6.2", LONG64, CR4_PKE
  KEY_OF_PAGE 7, P | W
  PKRU_IS RIGHTS(7, AD | WD)
  mov dword [PAGE], 0x55
  hlt
EXPECT HALT, NOERR, ANY, M32, PAGE, 0x55

TEST "a page that is not there has no key", "Vol. 3, 4.7", LONG64, CR4_PKE
  KEY_OF_PAGE 7, W | U
  PKRU_IS RIGHTS(7, AD | WD)
.fault: mov dword [PAGE], 0x55
EXPECT PF, 2, .fault

TEST "the key is that of the last entry", "Vol. 3, 4.6.2", LONG64, CR4_PKE
  mov dword [PD + 8 + 4], 6 << 27       ; 2 MiB at 200000
  mov dword [PD + 4], 6 << 27           ; the table of PAGE
  mov eax, [0x200000 + DATA]
  PKRU_IS RIGHTS(6, AD)
  mov eax, [PAGE]
.fault: mov eax, [0x200000 + DATA]
EXPECT PF, 0x21, .fault, CR2_, 0, 0x200000 + DATA

TEST "bits 62:59 are ignored without CR4.PKE", "Vol. 3, 4.5.4", LONG64, CR4_PKS
  KEY_OF_PAGE 9, P | W | U
  PKRS_IS RIGHTS(9, AD)
  mov dword [PAGE], 0x66
  hlt
EXPECT HALT, NOERR, ANY, M32, PAGE, 0x66

TEST "and when CR4.PKE goes", "Vol. 3, 4.6.2", LONG64, CR4_PKE
  KEY_OF_PAGE 9, P | W | U
  PKRU_IS RIGHTS(9, AD)
  mov rbx, cr4
  mov rax, rbx
  xor eax, CR4_PKE
  mov cr4, rax
  mov dword [PAGE], 0x66
  mov cr4, rbx
.fault: mov dword [PAGE], 0x77
EXPECT PF, 0x23, .fault, M32, PAGE, 0x66

TEST "a key beside other reasons", "Vol. 3, 4.7", LONG64 | USER, CR4_PKE
  mov dword [ENTRY], PAGE | P | U       ; read-only
  mov dword [ENTRY + 4], 1 << 27
  PKRU_IS RIGHTS(1, WD)
.fault: mov [PAGE], eax
EXPECT PF, 0x27, .fault

TEST "PAE paging has no keys", "Vol. 3, 4.6.2", PROT32 | PAGING | PAE, CR4_PKE
  PKRU_IS 0xffffffff
  mov dword [PAGE], 0x66
  hlt
EXPECT HALT, NOERR, ANY, M32, PAGE, 0x66

; ---- supervisor pages ----

TEST "IA32_PKRS", "Vol. 4, table 2-2", LONG64
  PKRS_IS 0x89abcdef
  xor eax, eax
  mov rdx, -1
  rdmsr
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 0x89abcdef, R_RDX, 0, 0

TEST "IA32_PKRS has 32 bits", "Vol. 4, table 2-2", LONG64
  mov ecx, PKRS
  mov edx, 1
.fault: wrmsr
EXPECT GP, 0, .fault

TEST "a supervisor key without access", "Vol. 3, 4.6.2", LONG64, CR4_PKS
  KEY_OF_PAGE 2, P | W
  mov eax, [PAGE]
  PKRS_IS RIGHTS(2, AD)
.fault: mov eax, [PAGE]
EXPECT PF, 0x21, .fault

TEST "a supervisor key that cannot be written", "Vol. 3, 4.6.2", LONG64, CR4_PKS, CR0_WP
  KEY_OF_PAGE 2, P | W
  mov dword [PAGE], 1
  PKRS_IS RIGHTS(2, WD)
  mov ebx, [PAGE]
.fault: mov dword [PAGE], 2
EXPECT PF, 0x23, .fault, R_RBX, 0, 1

TEST "it is written without WP", "Vol. 3, 4.6.2", LONG64, CR4_PKS
  KEY_OF_PAGE 2, P | W
  PKRS_IS RIGHTS(2, WD)
  mov dword [PAGE], 2
  hlt
EXPECT HALT, NOERR, ANY, M32, PAGE, 2

TEST "IA32_PKRS is nothing to user pages", "Vol. 3, 4.6.2", LONG64, CR4_PKS | CR4_PKE
  KEY_OF_PAGE 2, P | W | U
  PKRS_IS 0xffffffff
  mov dword [PAGE], 2
  hlt
EXPECT HALT, NOERR, ANY, M32, PAGE, 2

TEST "implicit accesses count as well", "Vol. 3, 4.6.2", LONG64, CR4_PKS
  KEY_OF_PAGE 2, P | W
  mov word [GDT + LDT_SEL + 2], PAGE & 0xffff
  mov byte [GDT + LDT_SEL + 4], PAGE >> 16
  mov eax, LDT_SEL
  lldt ax
  PKRS_IS RIGHTS(2, AD)
  mov eax, 8 | 4
.fault: mov ds, eax
EXPECT PF, 0x21, .fault, CR2_, 0, PAGE + 8

; ---- state component 9 ----

XSAVE_BITS equ CR4_OSXSAVE | CR4_OSFXSR | CR4_PKE
%macro XCR0_IS 1
  xor ecx, ecx
  xor edx, edx
  mov eax, %1
  xsetbv
%endmacro
PKRU_STATE equ 0x200
HEADER equ DATA + 512

TEST "where CPUID has the component", "Vol. 2, CPUID", LONG64, XSAVE_BITS
  XCR0_IS PKRU_STATE | 1
  mov eax, 13
  xor ecx, ecx
  cpuid
  mov esi, ebx
  mov edi, eax
  mov eax, 13
  mov ecx, 9
  cpuid
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 8, R_RBX, 0, 832, R_RCX, 0, 0, R_RSI, 0, 840, R_RDI, 0, 0x207

TEST "XSAVE and XRSTOR of PKRU", "Vol. 1, 13.7, 13.8", LONG64, XSAVE_BITS
  XCR0_IS PKRU_STATE | 1
  mov qword [DATA + 832], -1
  PKRU_IS RIGHTS(4, AD)
  mov eax, PKRU_STATE
  xsave [DATA]
  KEY_OF_PAGE 4, P | W | U
  PKRU_IS 0
  mov dword [PAGE], 1
  mov eax, PKRU_STATE
  xrstor [DATA]
  rdpkru
  mov esi, eax
.fault: mov dword [PAGE], 2
EXPECT PF, 0x23, .fault, R_RSI, 0, RIGHTS(4, AD), M64, HEADER, PKRU_STATE, M64, DATA + 832, RIGHTS(4, AD)

TEST "PKRU in its initial state", "Vol. 1, 13.6", LONG64, XSAVE_BITS
  XCR0_IS PKRU_STATE | 1
  mov qword [DATA + 832], -1
  mov eax, PKRU_STATE
  xsaveopt [DATA]
  PKRU_IS 0x50
  mov eax, PKRU_STATE
  xrstor [DATA]
  rdpkru
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 0, M64, HEADER, 0, M64, DATA + 832, 0xffffffffffffffff

TEST "XRSTOR of PKRU that XCR0 does not have", "Vol. 1, 13.8.1", LONG64, XSAVE_BITS
  mov qword [HEADER], PKRU_STATE
  mov eax, PKRU_STATE
.fault: xrstor [DATA]
EXPECT GP, 0, .fault

END_TESTS
