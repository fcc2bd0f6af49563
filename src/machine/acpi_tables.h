// The ACPI tables of the board, as the fw_cfg files from which SeaBIOS places them in memory.
// Sources: ACPI specification 3.0b, chapter 5; IA-PC HPET specification, section 3.2.4.
#pragma once

#include <vector>

#include "base/types.h"

namespace oriel {

struct AcpiConfig {
  u64 memory_bytes = 0;           // of RAM, all of it below 4 GiB
  unsigned serial_ports = 1;      // bit n: COMn+1 exists
  u64 hpet_period_fs = 10000000;  // femtoseconds a tick of the HPET's counter takes
  u16 pm_base = 0x600;            // where SeaBIOS puts the power management block
};

struct AcpiTables {
  std::vector<u8> rsdp;          // etc/acpi/rsdp
  std::vector<u8> tables;        // etc/acpi/tables
  std::vector<u8> table_loader;  // etc/table-loader: how firmware links the two above
};

AcpiTables build_acpi_tables(const AcpiConfig& config);

}  // namespace oriel
