; A load and a store in every page of 1 MiB, and a load half of it away; 65 cache lines further each time.
        xor eax, eax
        xor esi, esi
.next:  xor A, [T + S]
        add A, C
        mov [T + S], A
        rol A, 1
        mov D, S
        xor D, 0x80000
        add A, [T + D]
        add S, 65 * 64
        and S, 0xfffff
        dec C
        jnz .next
        ret
