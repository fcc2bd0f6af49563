; Calls: a recursion up to seven deep, a function with a frame, a leaf.
        xor eax, eax
.next:  mov D, C
        and D, 7
        call .sum
        call .mix
        dec C
        jnz .next
        ret
.sum:   test D, D                       ; A += D + (D - 1) + ... + 1
        jz .zero
        push D
        dec D
        call .sum
        pop D
        add A, D
.zero:  ret
.mix:   push F
        mov F, Z
        sub Z, 4 * W
        mov [F - W], A
        call .leaf
        add A, [F - W]
        leave
        ret
.leaf:  rol A, 7
        xor A, C
        ret
