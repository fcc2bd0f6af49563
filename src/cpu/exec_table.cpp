// Op to executor, from the forms table.
#include "cpu/exec.h"

namespace oriel {

namespace {
bool raise_ud(Cpu& c, const Insn&) { return c.raise(kUD); }
bool raise_too_long(Cpu& c, const Insn&) { return c.raise(kGP, 0); }
}  // namespace

const ExecFn kExec[OP_COUNT] = {
    raise_ud,
    raise_too_long,
#define FORM_OUT(ID) exec_##ID,
#define FORM_ONE(ID) nullptr,
#define FORM_V(ID) nullptr, nullptr, nullptr,
#define FORM_RM(ID) nullptr, nullptr,
#define FORM_VRM(ID) nullptr, nullptr, nullptr, nullptr, nullptr, nullptr,
#define FORM(ID, KIND, ...) FORM_##KIND(ID)
#include "x86/forms_all.inc"
#undef FORM
#undef FORM_OUT
#undef FORM_ONE
#undef FORM_V
#undef FORM_RM
#undef FORM_VRM
};

}  // namespace oriel
