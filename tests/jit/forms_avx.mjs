// The instructions of AVX, AVX2, BMI1 and BMI2 that the generated programs use. Operands as in forms.mjs; and v a vector
// register, vm that or memory, va aligned memory, vu memory, all of 16 or of 32 bytes: the instruction has one length.
// @ts-check
/** @typedef {import("./forms.mjs").Form} Form */

/** @param {string} operands @param {string} names @param {Partial<Form>} [more] @returns {Form[]} */
const forms = (operands, names, more = {}) =>
  names.trim().split(/\s+/).map((name) => ({ name, operands: operands.split(" "), group: "avx", fp: false, store: false, ...more }));

const fp = { fp: true };
const store = { store: true };
const wide = { wide: true };

/** @type {Form[]} */
export const AVX = [
  // Moves.
  ...forms("v vm", "vmovdqu vmovups vmovupd vmovdqu"),
  ...forms("v va", "vmovdqa vmovaps vmovapd vmovntdqa"),
  ...forms("va v", "vmovdqa vmovaps vmovapd vmovntdq vmovntps", store),
  ...forms("vu v", "vmovdqu vmovups vmovupd", store),
  ...forms("v vu", "vlddqu"),
  ...forms("x rm", "vmovd"),
  ...forms("x xq", "vmovq"),
  ...forms("uq x", "vmovq vmovsd vmovlps vmovhpd", store),
  ...forms("ud x", "vmovss vmovd", store),
  ...forms("x ud", "vmovss"),
  ...forms("x uq", "vmovsd"),
  ...forms("x x x", "vmovss vmovsd vmovhlps vmovlhps"),
  ...forms("x x uq", "vmovlps vmovlpd vmovhps vmovhpd"),
  ...forms("r v", "vpmovmskb vmovmskps vmovmskpd"),
  ...forms("v vm", "vmovsldup vmovshdup"),
  ...forms("v vm", "vmovddup", wide),
  ...forms("x xq", "vmovddup"),
  ...forms("v xb", "vpbroadcastb"),
  ...forms("v xw", "vpbroadcastw"),
  ...forms("v xd", "vpbroadcastd vbroadcastss"),
  ...forms("v xq", "vpbroadcastq"),
  ...forms("v xq", "vbroadcastsd", wide),
  ...forms("v uu", "vbroadcasti128 vbroadcastf128", wide),
  ...forms("v v xu i", "vinserti128 vinsertf128", wide),
  ...forms("x v i", "vextracti128 vextractf128", wide),
  ...forms("uu v i", "vextracti128 vextractf128", { ...wide, ...store }),
  ...forms("v v vm i", "vperm2i128 vperm2f128", wide),
  ...forms("v vm i", "vpermq vpermpd", wide),
  ...forms("v v vm", "vpermd", wide),
  ...forms("v vm i", "vpermilps vpermilpd vpshufd vpshuflw vpshufhw"),
  ...forms("v v vm", "vpermilps vpermilpd vpsllvd vpsrlvq"),
  ...forms("v v vu", "vpmaskmovd vmaskmovpd"),
  ...forms("", "vzeroupper vzeroupper vzeroupper vzeroall"),
  // Integers.
  ...forms("v v vm", `vpaddb vpaddw vpaddd vpaddq vpaddsb vpaddsw vpaddusb vpaddusw vpsubb vpsubw vpsubd vpsubq vpsubsb vpsubsw
    vpsubusb vpsubusw vpand vpandn vpor vpxor vandps vandnps vorps vxorps vandpd vxorpd vpcmpeqb vpcmpeqw vpcmpeqd vpcmpeqq
    vpcmpgtb vpcmpgtw vpcmpgtd vpcmpgtq vpminub vpminsb vpminuw vpminsw vpminud vpminsd vpmaxub vpmaxsb vpmaxuw vpmaxsw
    vpmaxud vpmaxsd vpavgb vpavgw vpmullw vpmulld vpmulhw vpmulhuw vpmulhrsw vpmuludq vpmuldq vpmaddwd vpmaddubsw vpsadbw
    vpsignb vpsignw vpsignd vphaddw vphaddd vphaddsw vphsubw vphsubd vphsubsw vpshufb vpacksswb vpackuswb vpackssdw
    vpackusdw vpunpcklbw vpunpcklwd vpunpckldq vpunpcklqdq vpunpckhbw vpunpckhwd vpunpckhdq vpunpckhqdq vunpcklps
    vunpckhps vunpcklpd vunpckhpd`),
  ...forms("v vm", "vpabsb vpabsw vpabsd vptest vptest"),
  ...forms("x xu", "vphminposuw vaesimc"),
  ...forms("x x xu", "vaesenc vaesdeclast"),
  ...forms("v v i", "vpsllw vpslld vpsllq vpsrlw vpsrld vpsrlq vpsraw vpsrad vpslldq vpsrldq", { imm: 34 }),
  ...forms("v v xu", "vpsllw vpslld vpsllq vpsrlw vpsrld vpsrlq vpsraw vpsrad"),
  ...forms("v v vm i", "vshufps vshufpd vpblendw vblendps vblendpd vpblendd vmpsadbw"),
  ...forms("v v vm i", "vpalignr", { imm: 34 }),
  ...forms("x x xu i", "vpclmulqdq"),
  ...forms("v v vm v", "vpblendvb vblendvps vblendvpd"),
  ...forms("v xu", "vpmovsxbw vpmovzxbw vpmovsxwd vpmovzxwd vpmovsxdq vpmovzxdq", wide),
  ...forms("x xq", "vpmovsxbw vpmovzxwd vpmovsxdq"),
  ...forms("v xq", "vpmovsxbd vpmovzxbd vpmovsxwq vpmovzxwq", wide),
  ...forms("v xd", "vpmovsxbq vpmovzxbq", wide),
  ...forms("x xw", "vpmovzxbq"),
  ...forms("x x rb i", "vpinsrb"),
  ...forms("x x rw i", "vpinsrw"),
  ...forms("x x rm i", "vpinsrd"),
  ...forms("rb x i", "vpextrb", store),
  ...forms("rm x i", "vpextrd vextractps", store),
  ...forms("x x xd i", "vinsertps"),
  // Floating point.
  ...forms("x x xq", "vaddsd vsubsd vmulsd vdivsd vsqrtsd vminsd vmaxsd", fp),
  ...forms("x x xd", "vaddss vsubss vmulss vdivss vsqrtss vminss vmaxss vcvtss2sd vrcpss", fp),
  ...forms("x x xq", "vcvtsd2ss", fp),
  ...forms("x xq", "vcomisd vucomisd", fp),
  ...forms("x xd", "vcomiss vucomiss", fp),
  ...forms("x x xq i", "vcmpsd vroundsd", { ...fp, imm: 16 }),
  ...forms("x x xd i", "vcmpss vroundss", { ...fp, imm: 16 }),
  ...forms("x x Rm", "vcvtsi2sd vcvtsi2ss", fp),
  ...forms("R xq", "vcvtsd2si vcvttsd2si", fp),
  ...forms("R xd", "vcvttss2si", fp),
  ...forms("v v vm", `vaddpd vsubpd vmulpd vdivpd vminpd vmaxpd vaddps vsubps vmulps vdivps vminps vmaxps vhaddps vhaddpd
    vhsubps vaddsubps vaddsubpd`, fp),
  ...forms("v vm", "vsqrtps vsqrtpd vrcpps vrsqrtps vcvtdq2ps vcvtps2dq vcvttps2dq", fp),
  ...forms("v xu", "vcvtps2pd vcvtdq2pd", { ...fp, ...wide }),
  ...forms("x xq", "vcvtps2pd vcvtdq2pd", fp),
  ...forms("x v", "vcvtpd2ps vcvttpd2dq", { ...fp, ...wide }),
  ...forms("v v vm i", "vcmpps vcmppd vdpps", { ...fp, imm: 12 }),
  ...forms("v vm i", "vroundps vroundpd", { ...fp, imm: 8 }),
  ...forms("v v vm", "vfmadd231pd vfnmadd132ps", fp),
  // General registers.
  ...forms("R R Rm", "andn mulx pdep pext"),
  ...forms("R Rm R", "bextr bzhi shlx shrx sarx bzhi shlx"),
  ...forms("R Rm", "blsr blsmsk blsi"),
  ...forms("R Rm i", "rorx"),
];
