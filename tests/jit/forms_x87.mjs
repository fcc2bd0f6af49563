// The x87 and MMX instructions that the generated programs use. Operands: m2 m4 m8 m10 memory of that many bytes, read;
// w2 w4 w8 w10 written; i a register ST0 to ST7; what else is there stands as it is. `by`: how the stack grows.
// @ts-check

/** @typedef {{name: string, operands: string[], by: number}} X87Form */

/** @param {string} operands @param {number} by @param {string} names @returns {X87Form[]} */
const forms = (operands, by, names) => names.trim().split(/\s+/).map((name) => ({ name, operands: operands ? operands.split(" ") : [], by }));

/** @type {X87Form[]} */
export const PUSH = [
  ...forms("m4", 1, "fld fild"),
  ...forms("m8", 1, "fld fld fld fild"),
  ...forms("m10", 1, "fld fld fbld"),
  ...forms("m2", 1, "fild"),
  ...forms("i", 1, "fld fld"),
  ...forms("", 1, "fld1 fldz fldpi fldl2e fld1 fldz fxtract fptan"),
];

/** @type {X87Form[]} */
export const POP = [
  ...forms("i st0", -1, "faddp fsubp fsubrp fmulp fdivp fdivrp faddp fsubp fsubrp fmulp fdivp fdivrp"),
  ...forms("w4", -1, "fstp fistp fisttp"),
  ...forms("w8", -1, "fstp fstp fstp fistp fisttp"),
  ...forms("w2", -1, "fistp fisttp"),
  ...forms("w10", -1, "fstp fstp fbstp"),
  ...forms("i", -1, "fstp fstp fcomp fucomp"),
  ...forms("st0 i", -1, "fcomip fucomip"),
  ...forms("m4", -1, "fcomp ficomp"),
  ...forms("m8", -1, "fcomp"),
  ...forms("i", -1, "ffreep"),
  ...forms("", -2, "fcompp fucompp"),
  ...forms("", -1, "fyl2x fpatan"),
];

const FOUR = "fadd fsub fsubr fmul fdiv fdivr";
/** @type {X87Form[]} */
export const STAY = [
  ...forms("st0 i", 0, `${FOUR} ${FOUR} fcmovb fcmove fcmovbe fcmovu fcmovnb fcmovne fcmovnbe fcmovnu fcomi fucomi fcomi fucomi`),
  ...forms("i st0", 0, `${FOUR} ${FOUR}`),
  ...forms("m4", 0, `${FOUR} fiadd fisub fisubr fimul fidiv fidivr fcom ficom`),
  ...forms("m8", 0, `${FOUR} ${FOUR} fcom`),
  ...forms("m2", 0, "fiadd fisub fisubr fimul fidiv fidivr ficom"),
  ...forms("i", 0, "fxch fxch fxch fst fcom fucom"),
  ...forms("w4", 0, "fst fist"),
  ...forms("w8", 0, "fst fst"),
  ...forms("w2", 0, "fist fnstcw fnstsw"),
  ...forms("ax", 0, "fnstsw fnstsw"),
  ...forms("", 0, "fsqrt frndint fchs fabs ftst fxam fwait fnop fsqrt frndint fchs fabs ftst fxam fscale fprem fprem1 fsin f2xm1"),
];

/** What changes the stack's own state. @type {X87Form[]} */
export const STATE = [...forms("i", 0, "ffree"), ...forms("", 0, "fincstp fdecstp fnclex fnclex fninit emms")];

/** MMX. Operands: p a register, q and d register or memory of 8 and 4 bytes, rd and rw general register or memory, r a
 * general register, n an immediate; w8 as above. @type {X87Form[]} */
export const MMX = [
  ...forms("p q", 0, `paddb paddw paddd paddq paddsb paddsw paddusb paddusw psubb psubw psubd psubq psubsb psubsw psubusb psubusw
    pand pandn por pxor pcmpeqb pcmpeqw pcmpeqd pcmpgtb pcmpgtw pcmpgtd pminub pminsw pmaxub pmaxsw pavgb pavgw pmullw pmulhw
    pmulhuw pmulhrsw pmuludq pmaddwd pmaddubsw psadbw pabsb pabsw pabsd psignb psignw psignd psllw pslld psllq psrlw psrld
    psrlq psraw psrad packsswb packuswb packssdw punpckhbw punpckhwd punpckhdq phaddw phaddd phaddsw phsubw phsubd phsubsw
    pshufb movq movq movq`),
  ...forms("p d", 0, "punpcklbw punpcklwd punpckldq"),
  ...forms("p n", 0, "psllw pslld psllq psrlw psrld psrlq psraw psrad"),
  ...forms("p q n", 0, "pshufw palignr"),
  ...forms("p rd", 0, "movd movd"),
  ...forms("rd p", 0, "movd movd"),
  ...forms("w8 p", 0, "movq movq movntq"),
  ...forms("p rw n", 0, "pinsrw"),
  ...forms("r p n", 0, "pextrw"),
  ...forms("r p", 0, "pmovmskb"),
  ...forms("p x", 0, "movdq2q cvttps2pi"),
  ...forms("x p", 0, "movq2dq cvtpi2ps"),
];

/** All exceptions masked: every precision and rounding, the usual ones more often. */
export const CONTROL = [0x37f, 0x37f, 0x37f, 0x37f, 0x27f, 0x27f, 0x27f, 0x07f, 0xf7f, 0xe7f, 0x77f, 0xb7f, 0x67f, 0xa7f, 0x17f, 0xc7f];
