; A boot sector that runs one integer loop in 32-bit or 64-bit mode, and writes [S] before it and [D] after it to COM1 and
; to port E9H (Bochs writes the port out at once, COM1 with a delay).
; nasm -D KERNEL=n -D BITS_=32|64 -D ROUNDS=n; bench.mjs counts what a loop retires by running it with one round and with all.
; KERNEL: 1 alu: register arithmetic; 2 branch: conditional jumps on the bits of an LCG; 3 memory: loads and stores over
; 64 KiB; 4 call: a call, a frame, a return.
%ifndef ROUNDS
%define ROUNDS 20000000
%endif
%macro mark 1
        mov ecx, 3
        mov esi, %1
%%next: mov dx, 0x3fd                   ; the line status: THR is empty
%%full: in al, dx
        test al, 0x20
        jz %%full
        mov dx, 0x3f8
        mov al, [esi]
        inc esi
        out dx, al
        out 0xe9, al
        dec ecx
        jnz %%next
%endmacro
        org 0x7c00
        bits 16
start:  cli
        xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, 0x7c00
        in al, 0x92                     ; A20
        or al, 2
        out 0x92, al
        mov al, 0xff                    ; no interrupts
        out 0x21, al
        out 0xa1, al
        lgdt [gdtr]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp 0x08:protected

        bits 32
protected:
        mov ax, 0x10
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov esp, 0x90000
%if BITS_ = 64
        ; Identity mapping of the first 1 GiB by 2 MiB pages: PML4 at 1000H, PDPT at 2000H, PD at 3000H.
        mov edi, 0x1000
        xor eax, eax
        mov ecx, 0x3000 / 4
        rep stosd
        mov dword [0x1000], 0x2003
        mov dword [0x2000], 0x3003
        mov edi, 0x3000
        mov eax, 0x83
        mov ecx, 512
.pd:    mov [edi], eax
        add eax, 0x200000
        add edi, 8
        loop .pd
        mov eax, cr4
        or al, 0x20                     ; PAE
        mov cr4, eax
        mov eax, 0x1000
        mov cr3, eax
        mov ecx, 0xc0000080             ; EFER.LME
        rdmsr
        or ah, 1
        wrmsr
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
        jmp 0x18:mode64
        bits 64
mode64:
%define A rax
%define B rbx
%define C rcx
%define D rdx
%define SI_ rsi
%define DI_ rdi
%define BP_ rbp
%define SP_ rsp
%else
%define A eax
%define B ebx
%define C ecx
%define D edx
%define SI_ esi
%define DI_ edi
%define BP_ ebp
%define SP_ esp
%endif
        mark began
        mov C, ROUNDS
        mov A, 1
        mov B, 12345
        mov D, 7
        mov SI_, 0x100000
        xor DI_, DI_
        align 16
%if KERNEL = 1
.loop:  add A, B
        xor B, A
        lea D, [D + A*2 + 5]
        sub SI_, D
        and SI_, 0xffff
        shl A, 3
        or A, 1
        shr B, 2
        adc D, B
        imul A, D
        dec C
        jnz .loop
%elif KERNEL = 2
.loop:  imul eax, eax, 1103515245
        add eax, 12345
        mov edx, eax
        shr edx, 16
        test dl, 1
        jz .even
        inc ebx
.even:  test dl, 6
        jnz .next
        inc edi
.next:  dec C
        jnz .loop
%elif KERNEL = 3
.loop:  mov A, [SI_ + DI_]
        add A, B
        mov [SI_ + DI_ + 0x10000], A
        add B, [SI_ + DI_ + 8]
        add DI_, 64
        and DI_, 0xffff
        dec C
        jnz .loop
%else
.loop:  mov A, C
        call .leaf
        dec C
        jnz .loop
        jmp .end
.leaf:  push BP_
        mov BP_, SP_
        add B, A
        pop BP_
        ret
.end:
%endif
        mark done
.halt:  hlt
        jmp .halt

began:  db '[S]'
done:   db '[D]'
        align 8
gdt:    dq 0
        dq 0x00cf9a000000ffff           ; 08: 32-bit code
        dq 0x00cf92000000ffff           ; 10: data
        dq 0x00af9a000000ffff           ; 18: 64-bit code
gdtr:   dw gdtr - gdt - 1
        dd gdt
        times 510 - ($ - $$) db 0
        dw 0xaa55
