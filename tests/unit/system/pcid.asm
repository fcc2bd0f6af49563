; Process-context identifiers, INVPCID, and what invalidates which translations.
%include "bare.inc"

PAGE equ 0x30000
ENTRY equ PT + 0x30 * 8
OTHER equ 0x31000                ; where ENTRY points after a change
KEEP equ 63                      ; of CR3: the translations of its PCID hold

; A page of one value, then of another, with the old translation cached (and the entry's low bits %1).
%macro CACHED_PAGE 1
  mov dword [PAGE], 1
  mov dword [OTHER], 2
  mov dword [ENTRY], PAGE | (%1)
  invlpg [PAGE]
  cmp byte [PAGE], 0
  mov dword [ENTRY], OTHER | (%1)
%endmacro
%macro CR3_IS 1-2 0              ; PCID, KEEP or nothing
  mov rax, PML4 | (%1)
  %if (%2)
    bts rax, KEEP
  %endif
  mov cr3, rax
%endmacro
%macro INVPCID_IS 2-3 0          ; type, PCID, linear address
  mov qword [DATA], %2
  mov rax, %3
  mov [DATA + 8], rax
  mov eax, %1
  invpcid rax, [DATA]
%endmacro

; ---- CR3 ----

TEST "a switch of PCID and back keeps both", "Vol. 3, 4.10.4.1", LONG64, CR4_PCIDE
  CR3_IS 1
  CACHED_PAGE 7
  CR3_IS 2
  mov ebx, [PAGE]
  CR3_IS 1, KEEP
  mov ecx, [PAGE]
  CR3_IS 2, KEEP
  mov edx, [PAGE]
  CR3_IS 1
  mov esi, [PAGE]
  hlt
EXPECT HALT, NOERR, ANY, R_RBX, 0, 2, R_RCX, 0, 1, R_RDX, 0, 2, R_RSI, 0, 2

; Each has a page of its own at PAGE, with its number in it.
TEST "more PCIDs than are kept", "Vol. 3, 4.10.4.1", LONG64, CR4_PCIDE
  mov edi, 1
.next:
  mov eax, edi
  shl eax, 12
  add eax, PAGE | 7
  mov [ENTRY], eax
  lea eax, [rdi + PML4]
  mov cr3, rax
  mov [PAGE], edi
  inc edi
  cmp edi, 40
  jb .next
  xor ebx, ebx
.again:
  dec edi
  mov eax, edi
  shl eax, 12
  add eax, PAGE | 7
  mov [ENTRY], eax
  lea rax, [rdi + PML4]
  bts rax, KEEP
  mov cr3, rax
  cmp [PAGE], edi
  setne al
  or bl, al
  cmp edi, 1
  ja .again
  hlt
EXPECT HALT, NOERR, ANY, R_RBX, 0, 0

TEST "CR3 does not keep bit 63", "Vol. 2, MOV CR", LONG64, CR4_PCIDE
  CR3_IS 5, KEEP
  mov rbx, cr3
  hlt
EXPECT HALT, NOERR, ANY, R_RBX, 0, PML4 | 5

TEST "bit 63 of CR3 without PCIDs", "Vol. 2, MOV CR", LONG64
  mov rax, PML4
  bts rax, KEEP
.fault: mov cr3, rax
EXPECT GP, 0, .fault

TEST "another reserved bit of CR3", "Vol. 2, MOV CR", LONG64, CR4_PCIDE
  mov rax, PML4
  bts rax, 62
.fault: mov cr3, rax
EXPECT GP, 0, .fault

TEST "code of two PCIDs at one address", "Vol. 3, 4.10.1", LONG64, CR4_PCIDE
  mov dword [PAGE], 0xc301b0              ; mov al, 1; ret
  mov dword [OTHER], 0xc302b0             ; mov al, 2; ret
  xor eax, eax
  mov esi, PAGE
  call rsi
  movzx ebx, al
  mov dword [ENTRY], OTHER | 7
  CR3_IS 1
  call rsi
  movzx ecx, al
  mov dword [ENTRY], PAGE | 7
  CR3_IS 0, KEEP
  call rsi
  movzx edx, al
  mov dword [ENTRY], OTHER | 7
  CR3_IS 1, KEEP
  call rsi
  movzx edi, al
  CR3_IS 0
  call rsi
  movzx ebp, al
  hlt
EXPECT HALT, NOERR, ANY, R_RBX, 0, 1, R_RCX, 0, 2, R_RDX, 0, 1, R_RDI, 0, 2, R_RBP, 0, 2

TEST "a global page is every PCID's", "Vol. 3, 4.10.2.4", LONG64, CR4_PCIDE | CR4_PGE
  CR3_IS 1
  CACHED_PAGE 0x107
  CR3_IS 1
  mov ebx, [PAGE]
  invlpg [PAGE]
  mov ecx, [PAGE]
  hlt
EXPECT HALT, NOERR, ANY, R_RBX, 0, 1, R_RCX, 0, 2

TEST "INVLPG of a global page under another PCID", "Vol. 3, 4.10.4.1", LONG64, CR4_PCIDE | CR4_PGE
  CR3_IS 1
  CACHED_PAGE 0x107
  CR3_IS 2
  invlpg [PAGE]
  CR3_IS 1, KEEP
  mov ebx, [PAGE]
  hlt
EXPECT HALT, NOERR, ANY, R_RBX, 0, 2

TEST "INVLPG of a large page's other piece", "Vol. 3, 4.10.4.1", LONG64
  mov dword [DATA], 1
  mov eax, [0x200000 + DATA]
  mov eax, [0x200000 + DATA + 0x1000]
  mov dword [PD + 8], 0x40000000 | 0x87 ; nothing there
  invlpg [0x200000 + DATA + 0x1000]
  mov eax, [0x200000 + DATA]
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 0xffffffff

; ---- CR4.PCIDE ----

TEST "PCIDE is set with CR3 of PCID 0", "Vol. 3, 4.10.1", LONG64
  CR3_IS 8
  mov rax, cr4
  bts rax, 17
.fault: mov cr4, rax
EXPECT GP, 0, .fault

TEST "PCIDE outside of IA-32e mode", "Vol. 3, 4.10.1", PROT32 | PAGING | PAE
  mov eax, cr4
  bts eax, 17
.fault: mov cr4, eax
EXPECT GP, 0, .fault

TEST "PCIDE and no paging", "Vol. 2, MOV CR", COMPAT32, CR4_PCIDE
  mov eax, cr0
  btr eax, 31
.fault: mov cr0, eax
EXPECT GP, 0, .fault

TEST "PCIDE that goes takes everything", "Vol. 3, 4.10.4.1", LONG64, CR4_PCIDE | CR4_PGE
  CR3_IS 1
  CACHED_PAGE 0x107
  CR3_IS 0
  mov rax, cr4
  btr rax, 17
  mov cr4, rax
  mov ebx, [PAGE]
  bts rax, 17
  mov cr4, rax
  CR3_IS 1, KEEP
  mov ecx, [PAGE]
  hlt
EXPECT HALT, NOERR, ANY, R_RBX, 0, 2, R_RCX, 0, 2

; ---- INVPCID ----

TEST "INVPCID 0: one address of one PCID", "Vol. 2, INVPCID", LONG64, CR4_PCIDE
  CR3_IS 1
  CACHED_PAGE 7
  CR3_IS 2
  INVPCID_IS 0, 2, PAGE         ; not that one
  CR3_IS 1, KEEP
  mov ebx, [PAGE]
  CR3_IS 2, KEEP
  INVPCID_IS 0, 1, PAGE
  CR3_IS 1, KEEP
  mov ecx, [PAGE]
  hlt
EXPECT HALT, NOERR, ANY, R_RBX, 0, 1, R_RCX, 0, 2

TEST "INVPCID 0 of the current PCID", "Vol. 2, INVPCID", LONG64, CR4_PCIDE
  CR3_IS 1
  CACHED_PAGE 7
  INVPCID_IS 0, 1, PAGE
  mov ebx, [PAGE]
  hlt
EXPECT HALT, NOERR, ANY, R_RBX, 0, 2

TEST "INVPCID 1: all of one PCID but global pages", "Vol. 2, INVPCID", LONG64, CR4_PCIDE | CR4_PGE
  CR3_IS 1
  CACHED_PAGE 7
  mov dword [PT + 0x32 * 8], PAGE | 0x107
  cmp byte [0x32000], 0
  mov dword [PT + 0x32 * 8], OTHER | 0x107
  CR3_IS 2
  INVPCID_IS 1, 1
  CR3_IS 1, KEEP
  mov ebx, [PAGE]
  mov ecx, [0x32000]
  hlt
EXPECT HALT, NOERR, ANY, R_RBX, 0, 2, R_RCX, 0, 1

TEST "INVPCID 1 without PCIDs", "Vol. 2, INVPCID", LONG64
  CR3_IS 0x18
  CACHED_PAGE 7
  INVPCID_IS 1, 0
  mov ebx, [PAGE]
  hlt
EXPECT HALT, NOERR, ANY, R_RBX, 0, 2

TEST "INVPCID 2: everything", "Vol. 2, INVPCID", LONG64, CR4_PCIDE | CR4_PGE
  CR3_IS 1
  CACHED_PAGE 0x107
  CR3_IS 2
  INVPCID_IS 2, 0
  CR3_IS 1, KEEP
  mov ebx, [PAGE]
  hlt
EXPECT HALT, NOERR, ANY, R_RBX, 0, 2

TEST "INVPCID 3: all but global pages", "Vol. 2, INVPCID", LONG64, CR4_PCIDE | CR4_PGE
  CR3_IS 1
  CACHED_PAGE 7
  mov dword [PT + 0x32 * 8], PAGE | 0x107
  cmp byte [0x32000], 0
  mov dword [PT + 0x32 * 8], OTHER | 0x107
  CR3_IS 2
  INVPCID_IS 3, 0
  CR3_IS 1, KEEP
  mov ebx, [PAGE]
  mov ecx, [0x32000]
  hlt
EXPECT HALT, NOERR, ANY, R_RBX, 0, 2, R_RCX, 0, 1

TEST "INVPCID in 32-bit code, of code", "Vol. 2, INVPCID", PROT32 | PAGING
  mov dword [PAGE], 0xc301b0              ; mov al, 1; ret
  mov dword [OTHER], 0xc302b0
  mov esi, PAGE
  xor eax, eax
  call esi
  mov dword [PT32 + 0x30 * 4], OTHER | 7
  mov dword [DATA], 0
  mov dword [DATA + 4], 0
  mov dword [DATA + 8], PAGE
  mov dword [DATA + 12], 0
  xor ecx, ecx
  invpcid ecx, [DATA]
  call esi
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 2

TEST "INVPCID in 16-bit code", "Vol. 2, INVPCID", PROT16
  mov byte [0x9000 + 15], 1
  mov ecx, 2
  invpcid ecx, [0x9000]
  xor ecx, ecx
  invpcid ecx, [0x9000 + 16]
.fault: invpcid ecx, [0x9000]
EXPECT GP, 0, .fault

TEST "INVPCID of type 4", "Vol. 2, INVPCID", LONG64, CR4_PCIDE
  mov eax, 4
.fault: invpcid rax, [DATA]
EXPECT GP, 0, .fault

TEST "INVPCID: all of the register is the type", "Vol. 2, INVPCID", LONG64, CR4_PCIDE
  mov rax, 0x100000002
.fault: invpcid rax, [DATA]
EXPECT GP, 0, .fault

TEST "INVPCID: reserved bits of the descriptor", "Vol. 2, INVPCID", LONG64, CR4_PCIDE
  mov qword [DATA], 0x1000
  mov eax, 2
.fault: invpcid rax, [DATA]
EXPECT GP, 0, .fault

TEST "INVPCID: a PCID without CR4.PCIDE", "Vol. 2, INVPCID", LONG64
  mov qword [DATA], 1
  mov eax, 1
.fault: invpcid rax, [DATA]
EXPECT GP, 0, .fault

TEST "INVPCID: a noncanonical address", "Vol. 2, INVPCID", LONG64, CR4_PCIDE
  mov byte [DATA + 15], 1
  xor eax, eax
.fault: invpcid rax, [DATA]
EXPECT GP, 0, .fault

TEST "INVPCID in user mode", "Vol. 2, INVPCID", LONG64 | USER, CR4_PCIDE
  mov eax, 2
.fault: invpcid rax, [DATA]
EXPECT GP, 0, .fault

TEST "INVPCID of a descriptor that is not there", "Vol. 2, INVPCID", LONG64, CR4_PCIDE
  mov eax, 2
  mov rbx, 0x800000000
.fault: invpcid rax, [rbx]
EXPECT PF, 0, .fault, CR2_, 0, 0x800000000

TEST "INVPCID of a register", "Vol. 2, INVPCID", LONG64, CR4_PCIDE
.fault: db 0x66, 0x0f, 0x38, 0x82, 0xc0
EXPECT UD, NOERR, .fault

END_TESTS
