; Branches on the upper bits of a linear congruential generator, which no predictor learns.
        mov D, 12345
        xor eax, eax
        xor ebx, ebx
.next:  imul D, D, 1664525
        add D, 1013904223
        mov S, D
        shr S, W * 8 - 8
        test S, 1
        jz .xor
        add A, D
        jmp .one
.xor:   xor A, D
.one:   test S, 2
        jz .two
        sub B, A
.two:   test S, 4
        jz .three
        rol A, 3
.three: cmp S, 0x60
        jae .four
        xor B, S
.four:  dec C
        jnz .next
        xor A, B
        ret
