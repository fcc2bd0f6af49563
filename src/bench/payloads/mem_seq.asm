; Loads and stores, one word after the other, round and round in 1 MiB.
        xor eax, eax
        xor esi, esi
.next:
%assign n 0
%rep 4
        mov D, [T + S + n * W]
        add D, C
        mov [T + S + n * W], D
        add A, D
  %assign n n + 1
%endrep
        add S, 4 * W
        and S, 0xfffff
        dec C
        jnz .next
        ret
