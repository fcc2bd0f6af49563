; String instructions, with REP and without, over blocks of 16 to 64 bytes.
        mov F, T                        ; blocks at 0, 1000H, 2000H and 3000H
        mov D, C
        mov ecx, 64                     ; 1, 8, 15, ...
        mov al, 1
.fill:  stosb
        add al, 7
        dec ecx
        jnz .fill
        xor ebx, ebx
.next:  mov S, F
        lea T, [F + 0x1000]
        mov ecx, 64
        rep movsb
        mov S, D
        and S, 31
        mov [F + S], dl                 ; one byte of the first block
        mov al, [F + S + 0x1000]        ; what it was
        mov S, F
        lea T, [F + 0x1000]
        mov ecx, 32
        repe cmpsb
        add B, C
        lea T, [F + 0x1000]
        mov ecx, 32
        repne scasb
        add B, C
        mov eax, ebx
        lea T, [F + 0x2000]
        mov ecx, 8
        rep stosd
        mov S, F
        lea T, [F + 0x3000]
        mov ecx, 16
.byte:  lodsb
        add al, bl
        stosb
        movzx eax, al
        add B, A
        rol B, 3
        dec ecx
        jnz .byte
        lea S, [F + 0x3000]
        mov T, F
        movsd
        movsd
        movsw
        movsw
        xor B, [F + 0x2000 + 24]
        add B, D
        dec D
        jnz .next
        mov A, B
        ret
