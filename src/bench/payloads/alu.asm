; Register arithmetic: four chains that meet.
        mov A, 1
        mov B, 0x9e3779b9
        mov D, 0x85ebca6b
        mov S, 0x27d4eb2f
.next:  add A, B
        xor B, D
        rol D, 5
        sub S, A
        lea B, [B + S * 4 + 17]
        xor A, C
        mov F, A
        shr F, 7
        add B, F
        imul D, D, 0x1000193
        mov T, B
        and T, D
        add S, T
        neg A
        not S
        ror A, 11
        mov F, S
        shl F, 3
        add D, F
        dec C
        jnz .next
        xor A, B
        xor A, D
        xor A, S
        ret
