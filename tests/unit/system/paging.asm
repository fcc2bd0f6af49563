; Paging: A and D bits, protection, page sizes, PAE, accesses that cross pages.
%include "bare.inc"

TEST "32-bit: a page that is not present", "Vol. 3, 4.7", PROT32 | PAGING
  mov dword [PT32 + 0x30 * 4], 0
  invlpg [0x30000]
.fault: mov eax, [0x30123]
EXPECT PF, 0, .fault, CR2_, 0, 0x30123

TEST "32-bit: user write to a read-only page", "Vol. 3, 4.6.1", PROT32 | PAGING | USER
  mov byte [PT32 + 0x30 * 4], 5
  mov eax, [0x30000]
.fault: mov [0x30000], eax
EXPECT PF, 7, .fault, CR2_, 0, 0x30000

TEST "32-bit: user access to a supervisor page", "Vol. 3, 4.6.1", PROT32 | PAGING | USER
  mov byte [PT32 + 0x30 * 4], 3
.fault: mov eax, [0x30000]
EXPECT PF, 5, .fault

TEST "32-bit: user code in a supervisor page", "Vol. 3, 4.6.1", PROT32 | PAGING | USER
  mov byte [PT32 + 0x30 * 4], 3
  mov eax, 0x30000
  jmp eax
EXPECT PF, 5, 0x30000

TEST "the supervisor writes to read-only pages without WP", "Vol. 3, 4.6.1", PROT32 | PAGING
  mov byte [PT32 + 0x30 * 4], 5
  mov dword [0x30000], 1
  hlt
EXPECT HALT, NOERR, ANY, M32, 0x30000, 1

TEST "and not with WP", "Vol. 3, 4.6.1", PROT32 | PAGING, 0, CR0_WP
  mov byte [PT32 + 0x30 * 4], 5
.fault: mov dword [0x30000], 1
EXPECT PF, 3, .fault, M32, 0x30000, 0

TEST "rights are the weakest of all levels", "Vol. 3, 4.6.1", PROT32 | PAGING, 0, CR0_WP
  mov dword [PD32 + 4], PT32 | 5
.fault: mov dword [0x430000], 1
EXPECT PF, 3, .fault, CR2_, 0, 0x430000

TEST "reading sets A, writing sets D", "Vol. 3, 4.8", PROT32 | PAGING
  mov eax, [0x30000]
  mov dword [0x31000], 1
  mov dword [DATA], 0
  mov bl, [PT32 + 0x30 * 4]
  mov cl, [PT32 + 0x31 * 4]
  mov dl, [PT32 + 0x32 * 4]
  movzx ebx, bl
  movzx ecx, cl
  movzx edx, dl
  hlt
EXPECT HALT, NOERR, ANY, R_RBX, 0, 7 | A, R_RCX, 0, 7 | A | D, R_RDX, 0, 7

TEST "a first write after a read sets D", "Vol. 3, 4.8", PROT32 | PAGING
  mov eax, [0x30000]
  inc dword [0x30000]
  hlt
EXPECT HALT, NOERR, ANY, M8, PT32 + 0x30 * 4, 7 | A | D

TEST "a faulting access leaves D clear", "Vol. 3, 4.8", PROT32 | PAGING, 0, CR0_WP
  mov byte [PT32 + 0x30 * 4], 5
.fault: mov dword [0x30000], 1
EXPECT PF, 3, .fault, M8, PT32 + 0x30 * 4, 5

TEST "a write across pages of which the second is away writes nothing", "Vol. 3, 4.7", PROT32 | PAGING
  mov dword [PT32 + 0x31 * 4], 0
  invlpg [0x31000]
.fault: mov dword [0x30ffe], 0x11223344
EXPECT PF, 2, .fault, CR2_, 0, 0x31000, M32, 0x30ffc, 0

TEST "a write across two pages", "Vol. 3, 4.3", PROT32 | PAGING
  mov dword [PT32 + 0x31 * 4], 0x35007
  invlpg [0x31000]
  mov dword [0x30ffe], 0x11223344
  hlt
EXPECT HALT, NOERR, ANY, M16, 0x30ffe, 0x3344, M16, 0x35000, 0x1122

TEST "an instruction across pages of which the second is away", "Vol. 3, 4.7", PROT32 | PAGING
  mov dword [PT32 + 0x31 * 4], 0
  invlpg [0x31000]
  mov byte [0x30fff], 0xb8     ; mov eax, imm32
  mov eax, 0x30fff
  jmp eax
EXPECT PF, 0, 0x30fff, CR2_, 0, 0x31000

TEST "an instruction across pages that are not neighbours in memory", "Vol. 3, 4.3", PROT32 | PAGING
  mov dword [PT32 + 0x31 * 4], 0x35007
  invlpg [0x31000]
  mov word [0x30ffe], 0x11b8   ; mov eax, 44332211; hlt
  mov dword [0x35000], 0xf4443322
  mov eax, 0x30ffe
  jmp eax
EXPECT HALT, NOERR, ANY, R_RAX, 0, 0x44332211

TEST "INVLPG makes a change visible", "Vol. 3, 4.10.4.1", PROT32 | PAGING
  mov dword [0x30000], 1
  mov dword [0x31000], 2
  mov dword [PT32 + 0x30 * 4], 0x31007
  invlpg [0x30000]
  mov eax, [0x30000]
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 2

TEST "a global page survives MOV CR3, not a change of CR4.PGE", "Vol. 3, 4.10.4.1", PROT32 | PAGING, CR4_PGE
  mov dword [0x31000], 2
  mov dword [PT32 + 0x30 * 4], 0x30107
  invlpg [0x30000]
  mov dword [0x30000], 1
  mov dword [PT32 + 0x30 * 4], 0x31107
  mov eax, cr3
  mov cr3, eax
  mov ebx, [0x30000]
  mov eax, cr4
  and al, 0x7f
  mov cr4, eax
  mov ecx, [0x30000]
  hlt
EXPECT HALT, NOERR, ANY, R_RBX, 0, 1, R_RCX, 0, 2

TEST "MOV CR3 forgets other pages", "Vol. 3, 4.10.4.1", PROT32 | PAGING, CR4_PGE
  mov dword [0x31000], 2
  mov dword [0x30000], 1
  mov dword [PT32 + 0x30 * 4], 0x31007
  mov eax, cr3
  mov cr3, eax
  mov ebx, [0x30000]
  hlt
EXPECT HALT, NOERR, ANY, R_RBX, 0, 2

TEST "a 4 MiB page", "Vol. 3, 4.3", PROT32 | PAGING, CR4_PSE
  mov dword [DATA], 0x1234
  mov eax, [0x400000 + DATA]
  mov dword [0x400000 + DATA + 4], 1
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 0x1234, M32, DATA + 4, 1, M8, PD32 + 4, 0x87 | A | D

TEST "PS is ignored without CR4.PSE", "Vol. 3, 4.3", PROT32 | PAGING
  mov dword [PD32 + 4], PT32 | 0x87
  mov dword [DATA], 0x1234
  mov eax, [0x400000 + DATA]
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 0x1234

TEST "reserved bit 21 of a 4 MiB page", "Vol. 3, 4.3", PROT32 | PAGING, CR4_PSE
  mov dword [PD32 + 4], 0x200087
.fault: mov eax, [0x400000]
EXPECT PF, 8 | 1, .fault

TEST "PAE: a 2 MiB page", "Vol. 3, 4.4", PROT32 | PAGING | PAE
  mov dword [DATA], 0x1234
  mov eax, [0x200000 + DATA]
  mov dword [0x200000 + DATA + 4], 1
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 0x1234, M32, DATA + 4, 1, M8, PD + 8, 0x87 | A | D

TEST "PAE: the page-directory pointers are loaded with CR3", "Vol. 3, 4.4.1", PROT32 | PAGING | PAE
  mov dword [PAE_PDPT + 8], 0
  mov eax, [0x40000000 + DATA]       ; still the old one
  mov eax, cr3
  mov cr3, eax
.fault: mov eax, [0x40000000 + DATA]
EXPECT PF, 0, .fault, CR2_, 0, 0x40000000 + DATA

TEST "PAE: reserved bits of a pointer", "Vol. 3, 4.4.1", PROT32 | PAGING | PAE
  mov byte [PAE_PDPT + 8], 7
  mov eax, cr3
.fault: mov cr3, eax
EXPECT GP, 0, .fault

TEST "PAE: no execution with NX", "Vol. 3, 4.6.1", PROT32 | PAGING | PAE, 0, 0, EFER_NXE
  mov dword [PT + 0x30 * 8 + 4], 0x80000000
  mov byte [0x30000], 0xf4
  mov eax, 0x30000
  jmp eax
EXPECT PF, 0x11, 0x30000

TEST "PAE: NX is reserved without EFER.NXE", "Vol. 3, 4.4.2", PROT32 | PAGING | PAE
  mov dword [PT + 0x30 * 8 + 4], 0x80000000
.fault: mov eax, [0x30000]
EXPECT PF, 9, .fault

TEST "the linear address space wraps at 4 GiB", "Vol. 3, 3.4", PROT32
  mov eax, [GDT + DATA32]
  mov edx, [GDT + DATA32 + 4]
  or edx, 0xff000000            ; base FFFFF000
  mov [LDT + 8], eax
  or dword [LDT + 8], 0xf0000000
  mov [LDT + 12], edx
  mov byte [LDT + 12], 0xff
  mov ax, 8 | 4
  mov es, ax
  mov dword [es:DATA + 0x1000], 0x66
  hlt
EXPECT HALT, NOERR, ANY, M32, DATA, 0x66

TEST "SMEP: the supervisor does not execute user pages", "Vol. 3, 4.6.1", PROT32 | PAGING
  mov byte [PT32 + 0x08 * 4], 3     ; the code and the stubs are the supervisor's
  mov byte [PT32 + 0x0e * 4], 3
  invlpg [CODE]
  invlpg [STUBS]
  mov byte [0x30000], 0xf4
  mov eax, CR4_SMEP
  mov cr4, eax
  mov eax, 0x30000
  jmp eax
EXPECT PF, 0x11, 0x30000

TEST "SMAP: the supervisor does not read user pages", "Vol. 3, 4.6.1", PROT32 | PAGING
  mov edi, PT32                 ; all supervisor pages but one
  mov ecx, 0x60
.next: and byte [edi], 0xfb
  add edi, 4
  loop .next
  or byte [PT32 + 0x30 * 4], 4
  mov eax, CR4_SMAP
  mov cr4, eax
.fault: mov eax, [0x30000]
EXPECT PF, 1, .fault

TEST "SMAP: STAC opens them", "Vol. 3, 4.6.1", PROT32 | PAGING
  mov edi, PT32
  mov ecx, 0x60
.next: and byte [edi], 0xfb
  add edi, 4
  loop .next
  or byte [PT32 + 0x30 * 4], 4
  mov eax, CR4_SMAP
  mov cr4, eax
  stac
  mov dword [0x30000], 0x77
  clac
.fault: mov eax, [0x30000]
EXPECT PF, 1, .fault, M32, 0x30000, 0x77

TEST "a walk through tables outside of memory", "Vol. 3, 4.3", PROT32 | PAGING
  mov dword [PD32 + 8], 0xf0000007   ; nothing there: reads as ones
  mov eax, 0x800000
.fault: mov eax, [eax]
  hlt
EXPECT HALT, NOERR, ANY, R_RAX, 0, 0xffffffff

END_TESTS
