; SSE2: integers and single-precision numbers, four at a time, with loads and stores.
        pxor xmm0, xmm0                 ; integers
        mov eax, 0x01030507
        movd xmm1, eax
        pshufd xmm1, xmm1, 0
        pxor xmm4, xmm4                 ; floating point
        mov eax, 0x3f000000             ; 0.5
        movd xmm5, eax
        pshufd xmm5, xmm5, 0
        xor esi, esi
.next:  movd xmm2, ecx
        pshufd xmm2, xmm2, 0
        paddd xmm1, xmm2
        movdqa xmm3, xmm1               ; rotated left by 5
        movdqa xmm6, xmm1
        pslld xmm3, 5
        psrld xmm6, 27
        por xmm3, xmm6
        pxor xmm0, xmm3
        paddd xmm1, xmm3
        pshufd xmm0, xmm0, 0x39
        movdqa [T + S], xmm0
        pmuludq xmm3, xmm0
        paddd xmm1, xmm3
        movdqa xmm6, xmm0
        pcmpgtd xmm6, xmm1
        pand xmm6, xmm3
        pxor xmm1, xmm6
        movdqa xmm6, [T + S]
        psrld xmm6, 16
        cvtdq2ps xmm6, xmm6
        mulps xmm4, xmm5
        addps xmm4, xmm6
        movaps [T + S + 4096], xmm4
        pxor xmm0, [T + S + 4096]
        add S, 16
        and S, 4095
        dec C
        jnz .next
        pxor xmm0, xmm1
        pxor xmm0, xmm4
        pshufd xmm1, xmm0, 0xee
        pxor xmm0, xmm1
%if W = 8
        movq rax, xmm0
%else
        pshufd xmm1, xmm0, 0x55
        pxor xmm0, xmm1
        movd eax, xmm0
%endif
        ret
