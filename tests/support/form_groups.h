// Which test executes a form: every row of the instruction tables is in a group, or listed with the test that covers
// it.
#pragma once

#include <string_view>

#include "x86/forms.h"

namespace oriel {

enum class FormGroup : u8 {
  kInt,      // int_diff_test
  kControl,  // control_diff_test: what changes control, the stack's or the segments' state, or faults at CPL 3
  kSimd,     // simd_diff_test
  kX87,      // x87_diff_test
  kSystem,   // what user mode cannot compare: system_test and the boot tests
};

// Forms that their attributes would put elsewhere.
struct ListedForm {
  std::string_view id;
  FormGroup group;
  const char* why;
};
inline constexpr ListedForm kListedForms[] = {
    {"SYSCALL", FormGroup::kSystem, "a call of the host's kernel"},
    {"SYSENTER", FormGroup::kSystem, "as above"},
    {"SYSRET", FormGroup::kSystem, "the vendors differ (APM Vol. 3, SYSRET, SYSEXIT)"},
    {"SYSEXIT", FormGroup::kSystem, "as above"},
    {"INT1", FormGroup::kSystem, "hypervisors report it as a fault"},
    {"CPUID", FormGroup::kSystem, "another processor"},
    {"RDTSC", FormGroup::kSystem, "another time"},
    {"RDTSCP", FormGroup::kSystem, "another time"},
    {"SLDT_Mw", FormGroup::kSystem, "the host's tables; Linux emulates some with CR4.UMIP"},
    {"SLDT_Rv", FormGroup::kSystem, "as above"},
    {"STR_Mw", FormGroup::kSystem, "as above"},
    {"STR_Rv", FormGroup::kSystem, "as above"},
    {"SMSW_Mw", FormGroup::kSystem, "as above"},
    {"SMSW_Rv", FormGroup::kSystem, "as above"},
    {"SGDT", FormGroup::kSystem, "as above"},
    {"SIDT", FormGroup::kSystem, "as above"},
    {"RSM", FormGroup::kSystem, "always #UD in user mode, as VMRUN and its kin where there is no SVM"},
    {"VMRUN", FormGroup::kSystem, "as above"},
    {"VMMCALL", FormGroup::kSystem, "as above"},
    {"VMLOAD", FormGroup::kSystem, "as above"},
    {"VMSAVE", FormGroup::kSystem, "as above"},
    {"STGI", FormGroup::kSystem, "as above"},
    {"CLGI", FormGroup::kSystem, "as above"},
    {"INVLPGA", FormGroup::kSystem, "as above"},
    {"INVPCID", FormGroup::kSystem, "not every host has it"},
    {"RDPKRU", FormGroup::kSystem, "the keys protect the host's own memory"},
    {"WRPKRU", FormGroup::kSystem, "as above"},
    {"XGETBV", FormGroup::kSystem, "the host's state components differ"},
    {"XSAVE", FormGroup::kSystem, "the host's state components differ"},
    {"XRSTOR", FormGroup::kSystem, "the host's state components differ"},
    {"XSAVEOPT", FormGroup::kSystem, "the host's state components differ"},
};

inline FormGroup form_group(const Form& f) {
  for (const ListedForm& l : kListedForms)
    if (l.id == f.id) return l.group;
  if (f.attrs & F_X87) return FormGroup::kX87;
  static const u16 first_system = [] {
    u16 i = 0;
    while (std::string_view(kForms[i].id) != "PUSH_ES") i++;
    return i;
  }();
  static const u16 first_simd = [] {
    u16 i = 0;
    while (std::string_view(kForms[i].id) != "MOVD_PqEy") i++;
    return i;
  }();
  const auto index = static_cast<u16>(&f - kForms);
  if (index >= first_simd) return FormGroup::kSimd;
  if (index >= first_system || (f.attrs & END)) return FormGroup::kControl;
  return FormGroup::kInt;
}

}  // namespace oriel
