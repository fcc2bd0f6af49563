// Declarations of every out-of-line executor (forms of kind OUT), and the table by Op.
#pragma once

#include "cpu/cpu.h"
#include "x86/forms.h"

namespace oriel {

using ExecFn = bool (*)(Cpu&, const Insn&);

#define FORM_OUT(ID) bool exec_##ID(Cpu& c, const Insn& i);
#define FORM_ONE(ID)
#define FORM_V(ID)
#define FORM_RM(ID)
#define FORM_VRM(ID)
#define FORM(ID, KIND, ...) FORM_##KIND(ID)
#include "x86/forms_all.inc"
#undef FORM
#undef FORM_OUT
#undef FORM_ONE
#undef FORM_V
#undef FORM_RM
#undef FORM_VRM

// Null for Ops that tier 0's main switch executes.
extern const ExecFn kExec[OP_COUNT];

}  // namespace oriel
