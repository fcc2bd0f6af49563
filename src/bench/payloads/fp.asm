; SSE2: scalar double precision with conversions, a division, a square root and a comparison.
%macro double 2
        mov dword [T + %1 * 8], %2 & 0xffffffff
        mov dword [T + %1 * 8 + 4], %2 >> 32
%endmacro
        double 0, 0x3fdffedcba987654    ; 0.49993
        double 1, 0x3fcfedcba9876543    ; 0.24944
        double 2, __float64__(1.0)
        double 3, __float64__(1024.0)
        double 4, __float64__(25.0)
%unmacro double 2
        xor eax, eax
        movsd xmm0, [T + 16]            ; x
        movsd xmm1, [T + 16]            ; y
        xorpd xmm2, xmm2                ; z
.next:  mov edx, ecx
        and edx, 15
        cvtsi2sd xmm3, edx
        mulsd xmm0, [T]
        movapd xmm4, xmm1
        mulsd xmm4, [T + 8]
        addsd xmm0, xmm4
        addsd xmm0, xmm3
        movapd xmm4, xmm0
        mulsd xmm4, xmm4
        addsd xmm4, [T + 16]
        sqrtsd xmm1, xmm4
        movapd xmm5, xmm0
        divsd xmm5, xmm1
        addsd xmm2, xmm5
        mulsd xmm5, [T + 24]
        cvttsd2si edx, xmm5
        add eax, edx
        rol eax, 1
        ucomisd xmm0, [T + 32]
        jbe .less
        subsd xmm2, [T + 16]
.less:  dec C
        jnz .next
        xorpd xmm2, xmm0
%if W = 8
        movq rdx, xmm2
        xor rax, rdx
%else
        movsd [T], xmm2
        xor eax, [T]
        xor eax, [T + 4]
%endif
        ret
