// The instructions of SSE to SSE4.2 that the generated programs use. Operands: x an XMM register, xm register or 16
// aligned bytes, xu the same without alignment, xd xq xw register or memory of that size, um and uu and ud and uq memory
// alone; r a 32-bit and R a 32- or 64-bit general register, Rm rm rw rb those or memory; i an immediate.
// @ts-check

/** @typedef {{name: string, operands: string[], group: string, fp: boolean, store: boolean, imm?: number, wide?: boolean}} Form */

/** @param {string} group @param {string} operands @param {string} names @param {Partial<Form>} [more] @returns {Form[]} */
const forms = (group, operands, names, more = {}) =>
  names.trim().split(/\s+/).map((name) => ({ name, operands: operands.split(" "), group, fp: false, store: false, ...more }));

const fp = { fp: true };
const store = { store: true };

/** @type {Form[]} */
export const FORMS = [
  // Moves.
  ...forms("move", "x xm", "movdqa movaps movapd"),
  ...forms("move", "x xu", "movdqu movups movupd"),
  ...forms("move", "um x", "movdqa movaps movapd movntdq movntps movntpd", store),
  ...forms("move", "uu x", "movdqu movups movupd", store),
  ...forms("move", "x uu", "lddqu"),
  ...forms("move", "x um", "movntdqa"),
  ...forms("move", "x rm", "movd"),
  ...forms("move", "x xq", "movq"),
  ...forms("move", "uq x", "movq movsd movlps movlpd movhps movhpd", store),
  ...forms("move", "ud x", "movss movd", store),
  ...forms("move", "x xd", "movss"),
  ...forms("move", "x xq", "movsd movddup"),
  ...forms("move", "x uq", "movlps movlpd movhps movhpd"),
  ...forms("move", "x x", "movhlps movlhps movss movsd movq"),
  ...forms("move", "r x", "movmskps movmskpd pmovmskb movd"),
  ...forms("move", "x xm", "movsldup movshdup"),
  // Integers.
  ...forms("int", "x xm", `paddb paddw paddd paddq paddsb paddsw paddusb paddusw psubb psubw psubd psubq psubsb psubsw psubusb
    psubusw pand pandn por pxor andps andnps orps xorps andpd andnpd orpd xorpd pcmpeqb pcmpeqw pcmpeqd pcmpeqq pcmpgtb
    pcmpgtw pcmpgtd pcmpgtq pminub pminsb pminuw pminsw pminud pminsd pmaxub pmaxsb pmaxuw pmaxsw pmaxud pmaxsd pavgb
    pavgw pmullw pmulld pmulhw pmulhuw pmulhrsw pmuludq pmuldq pmaddwd pmaddubsw psadbw pabsb pabsw pabsd psignb psignw
    psignd phaddw phaddd phaddsw phsubw phsubd phsubsw phminposuw pshufb packsswb packuswb packssdw packusdw punpcklbw
    punpcklwd punpckldq punpcklqdq punpckhbw punpckhwd punpckhdq punpckhqdq unpcklps unpckhps unpcklpd unpckhpd psllw
    pslld psllq psrlw psrld psrlq psraw psrad ptest aesenc aesenclast aesdec aesdeclast aesimc`),
  ...forms("int", "x i", "psllw pslld psllq psrlw psrld psrlq psraw psrad pslldq psrldq", { imm: 34 }),
  ...forms("int", "x xm i", "pshufd pshuflw pshufhw shufps shufpd pblendw blendps blendpd mpsadbw pclmulqdq aeskeygenassist"),
  ...forms("int", "x xm i", "palignr", { imm: 34 }),
  ...forms("int", "x xm x0", "pblendvb blendvps blendvpd"),
  ...forms("int", "x xq", "pmovsxbw pmovzxbw pmovsxwd pmovzxwd pmovsxdq pmovzxdq"),
  ...forms("int", "x xd", "pmovsxbd pmovzxbd pmovsxwq pmovzxwq"),
  ...forms("int", "x xw", "pmovsxbq pmovzxbq"),
  ...forms("int", "x rb i", "pinsrb"),
  ...forms("int", "x rw i", "pinsrw"),
  ...forms("int", "x rm i", "pinsrd"),
  ...forms("int", "rb x i", "pextrb", store),
  ...forms("int", "rw x i", "pextrw", store),
  ...forms("int", "rm x i", "pextrd extractps", store),
  ...forms("int", "r x i", "pextrw"),
  ...forms("int", "x xd i", "insertps"),
  // Floating point.
  ...forms("scalar", "x xq", "addsd subsd mulsd divsd sqrtsd minsd maxsd addsd subsd mulsd divsd comisd ucomisd", fp),
  ...forms("scalar", "x xd", "addss subss mulss divss sqrtss minss maxss addss subss mulss divss comiss ucomiss", fp),
  ...forms("scalar", "x xq i", "cmpsd roundsd", { ...fp, imm: 16 }),
  ...forms("scalar", "x xd i", "cmpss roundss", { ...fp, imm: 16 }),
  ...forms("scalar", "x xd", "rcpss rsqrtss cvtss2sd", fp),
  ...forms("scalar", "x xq", "cvtsd2ss", fp),
  ...forms("scalar", "x Rm", "cvtsi2sd cvtsi2ss", fp),
  ...forms("scalar", "R xq", "cvtsd2si cvttsd2si", fp),
  ...forms("scalar", "R xd", "cvtss2si cvttss2si", fp),
  ...forms("packed", "x xm", `addpd subpd mulpd divpd sqrtpd minpd maxpd addps subps mulps divps sqrtps minps maxps addpd subpd
    mulpd divpd addps subps mulps divps haddps haddpd hsubps hsubpd addsubps addsubpd rcpps rsqrtps cvtdq2ps cvtps2dq
    cvttps2dq cvtpd2ps cvtpd2dq cvttpd2dq`, fp),
  ...forms("packed", "x xq", "cvtps2pd cvtdq2pd", fp),
  ...forms("packed", "x xm i", "cmpps cmppd roundps roundpd", { ...fp, imm: 8 }),
  ...forms("packed", "x xm i", "dpps dppd", fp),
];
