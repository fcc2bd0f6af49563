// ACPI tables, and the table-loader script that relocates them. Sources: ACPI specification 3.0b, chapter 5;
// IA-PC HPET specification, section 3.2.4; the comment on romfile_loader in SeaBIOS's documentation for the script.
#include "machine/acpi_tables.h"

#include <algorithm>
#include <string_view>

#include "devices/acpi_pm.h"
#include "devices/hpet.h"
#include "devices/ioapic.h"
#include "devices/lapic.h"
#include "machine/dsdt_aml.h"

namespace oriel {

namespace {

using namespace std::string_view_literals;

constexpr std::string_view kRsdpFile = "etc/acpi/rsdp", kTablesFile = "etc/acpi/tables";
constexpr usize kHeader = 36, kLength = 4, kChecksum = 9;
constexpr u32 kFacsAlign = 64;
constexpr u8 kSci = 9;

// Bytes of a table, appended in the order of the specification's field lists.
class Bytes {
 public:
  explicit Bytes(std::vector<u8>& v) : v_(v) {}
  u32 at() const { return static_cast<u32>(v_.size()); }
  template <class T>
  Bytes& put(T x) {
    usize n = v_.size();
    v_.resize(n + sizeof x);
    store(&v_[n], x);
    return *this;
  }
  Bytes& u8s(u8 x) { return put(x); }
  Bytes& u16s(u16 x) { return put(x); }
  Bytes& u32s(u32 x) { return put(x); }
  Bytes& u64s(u64 x) { return put(x); }
  Bytes& text(std::string_view s, usize width, char pad = 0) {
    for (usize i = 0; i < width; i++) put(i < s.size() ? s[i] : pad);
    return *this;
  }
  Bytes& zeros(usize n) {
    v_.resize(v_.size() + n);
    return *this;
  }
  // A generic address structure in the I/O space.
  Bytes& port(u16 address, u8 bytes, u8 access) {
    return u8s(1).u8s(static_cast<u8>(bytes * 8)).u8s(0).u8s(access).u64s(address);
  }

 private:
  std::vector<u8>& v_;
};

// The commands of etc/table-loader, 128 bytes each. A pointer field holds an offset into the file it points
// to; the firmware adds the address it gave that file.
class Loader {
 public:
  enum Zone : u8 { kHigh = 1, kFSeg = 2 };
  explicit Loader(std::vector<u8>& out) : out_(out) {}
  void allocate(std::string_view file, u32 align, Zone zone) {
    entry(1).text(file, kName).u32s(align).u8s(zone);
    end();
  }
  void pointer(std::string_view in, u32 offset, std::string_view to) {
    entry(2).text(in, kName).text(to, kName).u32s(offset).u8s(4);
    end();
  }
  void checksum(std::string_view file, u32 offset, u32 start, u32 length) {
    entry(3).text(file, kName).u32s(offset).u32s(start).u32s(length);
    end();
  }

 private:
  static constexpr usize kName = 56, kEntry = 128;
  Bytes entry(u32 command) { return Bytes(out_).u32s(command); }
  void end() { out_.resize((out_.size() + kEntry - 1) / kEntry * kEntry); }
  std::vector<u8>& out_;
};

u32 begin_table(Bytes& b, std::string_view signature, u8 revision) {
  u32 at = b.at();
  b.text(signature, 4).u32s(0).u8s(revision).u8s(0).text("ORIEL", 6, ' ').text("ORIELPC", 8, ' ');
  b.u32s(1).text("ORIE", 4).u32s(1);
  return at;
}

void end_table(std::vector<u8>& tables, u32 at, Loader& loader) {
  u32 length = static_cast<u32>(tables.size()) - at;
  store(&tables[at + kLength], length);
  loader.checksum(kTablesFile, at + static_cast<u32>(kChecksum), at, length);
}

// Gives the named integer `name` of the AML, compiled as a DWord constant (NameOp NAME DWordPrefix), a value.
void set_integer(std::vector<u8>& aml, usize from, std::string_view name, u32 value) {
  auto it = std::search(aml.begin() + static_cast<std::ptrdiff_t>(from), aml.end(), name.begin(), name.end());
  if (aml.end() - it < 9 || it[-1] != 0x08 || it[4] != 0x0c) __builtin_trap();  // the build compiled another DSDT
  store(&it[5], value);
}

void put_fadt(Bytes& b, const AcpiConfig& c, u32 facs, u32 dsdt, Loader& loader) {
  constexpr u32 kFlags = 1 << 0      // WBINVD
                         | 1 << 2    // C1 on every processor
                         | 1 << 5    // no fixed sleep button
                         | 1 << 10   // RESET_REG
                         | 1 << 15;  // the platform's timer is to be preferred
  u32 at = b.at() - static_cast<u32>(kHeader);
  loader.pointer(kTablesFile, at + 36, kTablesFile);
  loader.pointer(kTablesFile, at + 40, kTablesFile);
  b.u32s(facs).u32s(dsdt).u8s(1).u8s(0).u16s(kSci);
  b.u32s(AcpiPm::kApmCommand).u8s(AcpiPm::kAcpiEnable).u8s(AcpiPm::kAcpiDisable).u8s(0).u8s(0);
  b.u32s(c.pm_base).u32s(0).u32s(c.pm_base + 4u).u32s(0).u32s(0).u32s(c.pm_base + 8u).u32s(AcpiPm::kGpeBase).u32s(0);
  b.u8s(4).u8s(2).u8s(0).u8s(4).u8s(AcpiPm::kGpeSize).u8s(0).u8s(0).u8s(0);
  b.u16s(0xfff).u16s(0xfff);               // no C2, no C3
  b.u16s(0).u16s(0).u8s(0).u8s(0);         // flush size and stride, duty cycle
  b.u8s(0).u8s(0).u8s(0x32);               // RTC day and month alarm, century
  b.u16s(0x0003).u8s(0).u32s(kFlags);      // boot flags: legacy devices, 8042
  b.port(0xcf9, 1, 1).u8s(0x06).zeros(3);  // reset register and value
  loader.pointer(kTablesFile, b.at(), kTablesFile);
  b.u64s(facs);
  loader.pointer(kTablesFile, b.at(), kTablesFile);
  b.u64s(dsdt);
  b.port(c.pm_base, 4, 2).zeros(12);                        // PM1a, PM1b event
  b.port(static_cast<u16>(c.pm_base + 4), 2, 2).zeros(12);  // PM1a, PM1b control
  b.zeros(12).port(static_cast<u16>(c.pm_base + 8), 4, 3);  // PM2 control, timer
  b.port(AcpiPm::kGpeBase, AcpiPm::kGpeSize, 1).zeros(12);  // GPE0, GPE1
}

void put_madt(Bytes& b) {
  constexpr u16 kActiveHighLevel = 0x000d;
  b.u32s(static_cast<u32>(Lapic::kDefaultBase)).u32s(1);  // there are also two 8259s
  b.u8s(0).u8s(8).u8s(0).u8s(0).u32s(1);                  // processor 0: local APIC 0, enabled
  b.u8s(1).u8s(12).u8s(0).u8s(0).u32s(static_cast<u32>(IoApic::kBase)).u32s(0);
  auto override_irq = [&](u8 irq, u32 gsi, u16 flags) { b.u8s(2).u8s(10).u8s(0).u8s(irq).u32s(gsi).u16s(flags); };
  override_irq(0, 2, 0);
  for (u8 irq : {5, kSci + 0, 10, 11}) override_irq(irq, irq, kActiveHighLevel);  // PCI's, and the SCI
  b.u8s(4).u8s(6).u8s(0xff).u16s(0).u8s(1);                                       // NMI at LINT1 of every processor
}

void put_hpet(Bytes& b, const AcpiConfig& c) {
  // Vendor 8086, legacy replacement, 64-bit counter, number of timers, revision 1: the low half of the
  // capability register.
  b.u32s(0x80860000 | 1 << 15 | 1 << 13 | (Hpet::kTimers - 1) << 8 | 1);
  b.u8s(0).u8s(64).u8s(0).u8s(0).u64s(Hpet::kBase);
  u64 tick = c.hpet_period_fs ? c.hpet_period_fs : Hpet::kPeriodFs;
  b.u8s(0).u16s(static_cast<u16>(std::min<u64>(0xffff, (100'000'000'000 + tick - 1) / tick))).u8s(0);  // 0.1 ms
}

}  // namespace

AcpiTables build_acpi_tables(const AcpiConfig& config) {
  AcpiTables out;
  std::vector<u8>& t = out.tables;
  Loader loader(out.table_loader);
  Bytes b(t);
  loader.allocate(kTablesFile, kFacsAlign, Loader::kHigh);
  loader.allocate(kRsdpFile, 16, Loader::kFSeg);

  u32 facs = b.at();  // at the file's beginning, for its alignment; it has no checksum
  b.text("FACS", 4).u32s(64).zeros(24).u8s(1).zeros(31);

  u32 dsdt = b.at();
  t.insert(t.end(), std::begin(kDsdtAml), std::end(kDsdtAml));
  // SeaBIOS gives PCI the space from 2 or 3 GiB up, whichever is the first above RAM.
  set_integer(t, dsdt, "PCIM"sv, config.memory_bytes <= u64{2} << 30 ? 0x80000000 : 0xc0000000);
  set_integer(t, dsdt, "COMP"sv, config.serial_ports);
  t[dsdt + kChecksum] = 0;
  end_table(t, dsdt, loader);

  u32 roots[3];
  roots[0] = begin_table(b, "FACP", 3);
  put_fadt(b, config, facs, dsdt, loader);
  end_table(t, roots[0], loader);
  roots[1] = begin_table(b, "APIC", 1);
  put_madt(b);
  end_table(t, roots[1], loader);
  roots[2] = begin_table(b, "HPET", 1);
  put_hpet(b, config);
  end_table(t, roots[2], loader);

  u32 rsdt = begin_table(b, "RSDT", 1);
  for (u32 table : roots) {
    loader.pointer(kTablesFile, b.at(), kTablesFile);
    b.u32s(table);
  }
  end_table(t, rsdt, loader);

  Bytes(out.rsdp).text("RSD PTR ", 8).u8s(0).text("ORIEL", 6, ' ').u8s(0).u32s(rsdt);
  loader.pointer(kRsdpFile, 16, kTablesFile);
  loader.checksum(kRsdpFile, 8, 0, 20);
  return out;
}

}  // namespace oriel
