; The firmware of the machine that runs a payload without an operating system: it sets up 32-bit protected or 64-bit mode,
; calls the payload as often as the bench port (devices/bench_port.h) says, and reports when it begins, ends or faults.
; These 4 KiB are the end of the BIOS image, so that they hold the reset vector; the payload is before them. Where there
; is no bench port (another emulator), the payload is called once, with [S] before it and [D] and its result after it on
; COM1 and port E9H.
; Sources: Intel SDM Vol. 3, 9.1 (reset), 9.8.5 (to 64-bit mode), 4.3 and 4.5 (paging), 6.14 (64-bit interrupts).
;
; Memory, linear = physical, in pages of 4 KiB; what is not named is mapped too, up to 16 MiB, but for page 0:
HERE equ 0x7000                         ; this, copied
IDT equ 0x8000
FX_IMAGE equ 0x8200                     ; what FXRSTOR loads before each call
TABLES equ 0x10000                      ; page tables
PML4 equ 0x10000
PDPT equ 0x11000
PD64 equ 0x12000
PT64 equ 0x13000                        ; 8 of 2 MiB
PD32 equ 0x1b000
PT32 equ 0x1c000                        ; 4 of 4 MiB
TABLES_END equ 0x20000
STACK equ 0x100000                      ; its lowest page and the one above it are not mapped
STACK_TOP equ 0x1ff000
PAYLOAD equ 0x200000                    ; up to 1 MiB; the page after that is not mapped
SCRATCH equ 0x400000                    ; 1 MiB; the pages before and after it are not mapped
PRISTINE equ 0x600000                   ; the payload as it was
MIB equ 0x100000
MEMORY equ 16 * MIB

PORT equ 0x5f0
COMMAND equ PORT                        ; read: the address to call, all ones where there is no port; write: ready
MARK equ PORT + 4                       ; read: the count, low half; write: the call begins; it ended, with this result
HIGH equ PORT + 8                       ; the upper halves
FAULT equ PORT + 12

CODE32 equ 0x08
DATA equ 0x10
CODE64 equ 0x18
%define rom(x) ((x) - HERE + 0xfffff000)
%define rom16(x) ((x) - HERE + 0xf000)

        org HERE
; ---- the parts that are in memory, in both modes ----------------------------------------------------
        bits 32
; Copies what differs of the payload, so that code that is as it was is not invalidated; clears the scratch buffer.
; The same bytes in 64-bit mode, where only the registers are wider.
%macro refresh 0
        cld
        mov esi, PRISTINE
        mov edi, PAYLOAD
        mov ecx, [HERE + SIZE_AT]
        add ecx, 3
        shr ecx, 2
%%next: lodsd
        cmp [edi], eax
        je %%same
        mov [edi], eax
%%same: add edi, 4
        sub ecx, 1
        jnz %%next
        mov edi, SCRATCH
        xor eax, eax
        mov ecx, MIB / 4
        rep stosd
        fxrstor [FX_IMAGE]
%endmacro
%macro port_out 1
        mov edx, %1
        out dx, eax
%endmacro
%macro port_in 1
        mov edx, %1
        in eax, dx
%endmacro

loop32: mov esp, STACK_TOP
        refresh
        cmp byte [avx], 0
        je .ready
        vzeroall
.ready: port_out COMMAND
        port_in COMMAND
        cmp eax, -1
        je alone32
        mov [target], eax
        port_in MARK
        mov [count], eax
        call registers32
        port_out MARK
        xor edx, edx
        call [target]
        mov edx, MARK
        out dx, eax
        xor eax, eax
        port_out HIGH
        jmp loop32
alone32:
        mov esi, started
        call print
        call registers32
        xor edx, edx
        call [target]
        xor edx, edx
        jmp result
; What a payload finds in the registers but EDX.
registers32:
        xor eax, eax
        xor ebx, ebx
        xor esi, esi
        xor ebp, ebp
        mov edi, SCRATCH
        mov ecx, [count]
        ret
fault32:
        movzx eax, al
        port_out FAULT
        mov eax, cr2
        port_out FAULT
        pop eax
        port_out FAULT
        pop eax
        port_out FAULT
        port_out COMMAND
.stop:  hlt
        jmp .stop
empty:  ret

; Writes [D] and EDX:EAX, and stops.
result: mov ebp, eax
        mov edi, edx
        mov esi, finished
        call print
        mov ebx, edi
        call hex
        mov ebx, ebp
        call hex
        mov al, 10
        call put
.stop:  hlt
        jmp .stop
hex:    mov ecx, 8
.digit: rol ebx, 4
        mov eax, ebx
        and eax, 15
        add al, '0'
        cmp al, '9'
        jbe .put
        add al, 'a' - '0' - 10
.put:   call put
        sub ecx, 1
        jnz .digit
        ret
; Writes the bytes at ESI up to a zero.
print:  lodsb
        test al, al
        jz .end
        call put
        jmp print
.end:   ret
put:    mov ah, al
        mov edx, 0x3fd                  ; line status: THR is empty
.full:  in al, dx
        test al, 0x20
        jz .full
        mov al, ah
        mov edx, 0x3f8
        out dx, al
        out 0xe9, al
        ret

        bits 64
loop64: mov esp, STACK_TOP
        refresh
        cmp byte [abs avx], 0
        je .ready
        vzeroall
.ready: port_out COMMAND
        port_in COMMAND
        cmp eax, -1
        je alone64
        mov [abs target], rax
        port_in MARK
        mov [abs count], eax
        port_in HIGH
        mov [abs count + 4], eax
        call registers64
        port_out MARK
        xor edx, edx
        call [abs target]
        mov edx, MARK
        out dx, eax
        shr rax, 32
        port_out HIGH
        jmp loop64
alone64:
        mov esi, started
        call print
        call registers64
        xor edx, edx
        call [abs target]
        mov rdx, rax
        shr rdx, 32
        jmp result
registers64:
        xor eax, eax
        xor ebx, ebx
        xor esi, esi
        xor ebp, ebp
        xor r8d, r8d
        xor r9d, r9d
        xor r10d, r10d
        xor r11d, r11d
        xor r12d, r12d
        xor r13d, r13d
        xor r14d, r14d
        xor r15d, r15d
        mov edi, SCRATCH
        mov rcx, [abs count]
        ret
fault64:
        movzx eax, al
        port_out FAULT
        mov rax, cr2
        call .both
        pop rax
        call .both
        pop rax
        call .both
        port_out COMMAND
.stop:  hlt
        jmp .stop
.both:  port_out FAULT
        shr rax, 32
        port_out FAULT
        ret

; One entry a vector, the same bytes in both modes; IDT has their addresses.
STUB_BYTES equ 7
%macro stubs 1
  %assign v 0
  %rep 32
        mov al, v
        jmp strict near %1
    %assign v v + 1
  %endrep
%endmacro
        align 16
stubs64:
        stubs fault64
        bits 32
stubs32:
        stubs fault32

; ---- from reset to there -----------------------------------------------------------------------------
        bits 16
start:  cli
        o32 lgdt [cs:rom16(gdtr_rom)]
        mov eax, cr0
        and eax, ~0x60000000            ; caches on
        or al, 1
        mov cr0, eax
        jmp dword CODE32:rom(protected)

        bits 32
protected:
        mov eax, DATA
        mov ds, eax
        mov es, eax
        mov ss, eax
        mov fs, eax
        mov gs, eax
        cld
        mov esi, rom(HERE)
        mov edi, HERE
        mov ecx, 4096 / 4
        rep movsd
        mov esp, STACK_TOP
        lgdt [gdtr]
        jmp CODE32:in_memory
in_memory:
        mov al, 0xff                    ; both PICs: no interrupts
        out 0x21, al
        out 0xa1, al
        mov ecx, [HERE + SIZE_AT]       ; the payload
        mov esi, [HERE + ADDRESS_AT]
        mov edi, PRISTINE
        rep movsb
        mov edi, IDT
        mov ecx, (TABLES - IDT) / 4
        xor eax, eax
        rep stosd
        mov edi, TABLES
        mov ecx, (TABLES_END - TABLES) / 4
        rep stosd
        mov word [FX_IMAGE], 0x37f
        mov dword [FX_IMAGE + 24], 0x1f80 ; MXCSR

        ; FPU, SSE and, where there is one, AVX: CR0.MP and NE without EM and TS; CR4.OSFXSR and OSXMMEXCPT, OSXSAVE; XCR0.
        mov eax, cr0
        and eax, ~0xc
        or eax, 0x22
        mov cr0, eax
        mov eax, cr4
        or eax, 0x600
        mov cr4, eax
        mov eax, 1
        cpuid
        and ecx, 0x14000000             ; AVX and XSAVE
        cmp ecx, 0x14000000
        jne .no_avx
        mov eax, cr4
        or eax, 0x40000
        mov cr4, eax
        xor ecx, ecx
        xor edx, edx
        mov eax, 7
        xsetbv
        mov byte [avx], 1
.no_avx:
        cmp byte [HERE + BITS_AT], 64
        je .to64

        mov eax, PT32 | 3
        mov edi, PD32
        mov ecx, MEMORY / (4 * MIB)
.pd32:  stosd
        add eax, 0x1000
        loop .pd32
        mov edi, PT32
        mov eax, 3
        mov ecx, MEMORY / 4096
.pt32:  stosd
        add eax, 0x1000
        loop .pt32
        mov edi, PT32
        mov ebx, 10
        call guards
        mov esi, stubs32
        mov edi, IDT
        mov ecx, 32
.idt32: mov eax, esi                    ; interrupt gates
        and eax, 0xffff
        or eax, CODE32 << 16
        stosd
        mov eax, esi
        and eax, 0xffff0000
        or eax, 0x8e00
        stosd
        add esi, STUB_BYTES
        loop .idt32
        lidt [idtr32]
        mov eax, PD32
        mov cr3, eax
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
        jmp loop32

.to64:  mov dword [PML4], PDPT | 3
        mov dword [PDPT], PD64 | 3
        mov edi, PD64
        mov eax, PT64 | 3
        mov ecx, MEMORY / (2 * MIB)
.pd64:  stosd
        add edi, 4
        add eax, 0x1000
        loop .pd64
        mov edi, PT64
        mov eax, 3
        mov ecx, MEMORY / 4096
.pt64:  stosd
        add edi, 4
        add eax, 0x1000
        loop .pt64
        mov edi, PT64
        mov ebx, 9
        call guards
        mov esi, stubs64
        mov edi, IDT
        mov ecx, 32
.idt64: mov eax, esi
        and eax, 0xffff
        or eax, CODE64 << 16
        stosd
        mov eax, esi
        and eax, 0xffff0000
        or eax, 0x8e00
        stosd
        add edi, 8
        add esi, STUB_BYTES
        loop .idt64
        lidt [idtr64]
        mov eax, cr4
        or al, 0x20                     ; PAE
        mov cr4, eax
        mov eax, PML4
        mov cr3, eax
        mov ecx, 0xc0000080             ; EFER.LME
        rdmsr
        or ah, 1
        wrmsr
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
        jmp CODE64:loop64

; Unmaps the pages around the stack, the payload and the scratch buffer. EDI: the page tables, one after another; EBX:
; an address shifted right by this is the offset of its entry.
guards: mov esi, .pages
.next:  lodsd
        test eax, eax
        js .end
        mov cl, bl
        shr eax, cl
        mov dword [edi + eax], 0
        jmp .next
.end:   ret
        align 4
.pages: dd 0, STACK, STACK_TOP, PAYLOAD + MIB, SCRATCH - 0x1000, SCRATCH + MIB, -1

        align 8
gdt:    dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff
gdtr:   dw gdtr - gdt - 1
        dd gdt
gdtr_rom:
        dw gdtr - gdt - 1
        dd rom(gdt)
idtr32: dw 32 * 8 - 1
        dd IDT
idtr64: dw 32 * 16 - 1
        dd IDT, 0
        align 8
target: dq PAYLOAD
avx:    db 0
started:
        db "[S]", 10, 0
finished:
        db "[D] ", 0

; ---- filled in when an image is made (src/bench/payload_machine.cpp, bench/bench.mjs) -------------------
        times 0xfd0 - ($ - $$) db 0
        dd empty, PAYLOAD, SCRATCH, 0
SIZE_AT equ $ - $$
        dd 0                            ; of the payload, in bytes
ADDRESS_AT equ $ - $$
        dd 0                            ; where in the image it is
count:  dq 0                            ; for the call without a bench port
        bits 16
        times 0xff0 - ($ - $$) db 0
        jmp strict near start
BITS_AT equ $ - $$
        db 0                            ; 32 or 64
        times 0x1000 - ($ - $$) db 0
