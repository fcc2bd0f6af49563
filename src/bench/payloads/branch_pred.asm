; Branches with a short period, which every predictor learns.
        xor eax, eax
        xor ebx, ebx
.next:  test C, 1
        jz .even
        add A, 3
        jmp .both
.even:  add A, 5
.both:  test C, 6
        jnz .skip
        xor B, A
.skip:  test C, 63
        jnz .rare
        rol A, 1
.rare:  add B, C
        dec C
        jnz .next
        xor A, B
        ret
