// Unit tests of the ACPI tables: runs the table-loader script as firmware does, then checks every checksum,
// pointer and length. With a directory as argument it also writes the tables there, for `iasl -d`.
#include <cstdio>
#include <map>
#include <string>

#include "machine/acpi_tables.h"
#include "support/check.h"

using namespace oriel;

namespace {

#define CHECK_EQ(a, b) CHECK((a) == (b))

u8 sum(const std::vector<u8>& v, usize at, usize n) {
  u8 s = 0;
  for (usize i = 0; i < n; i++) s = static_cast<u8>(s + v[at + i]);
  return s;
}

constexpr u32 kTablesAt = 0x1ffe0000, kRsdpAt = 0xf5a40;

struct Loaded {
  std::vector<u8> rsdp, tables;
  std::map<std::string, u32> at;
};

Loaded run_loader(const AcpiTables& t) {
  Loaded l{t.rsdp, t.tables, {}};
  auto file = [&](const u8* p) { return std::string(reinterpret_cast<const char*>(p)); };
  auto data = [&](const std::string& n) -> std::vector<u8>& { return n == "etc/acpi/rsdp" ? l.rsdp : l.tables; };
  CHECK_EQ(t.table_loader.size() % 128, 0u);
  for (usize i = 0; i + 128 <= t.table_loader.size(); i += 128) {
    const u8* e = &t.table_loader[i];
    std::string name = file(e + 4);
    CHECK(name == "etc/acpi/rsdp" || name == "etc/acpi/tables");
    switch (load<u32>(e)) {
      case 1:
        CHECK(!l.at.contains(name));
        l.at[name] = name == "etc/acpi/rsdp" ? kRsdpAt : kTablesAt;
        CHECK_EQ(l.at[name] % load<u32>(e + 60), 0u);
        CHECK_EQ(e[64], name == "etc/acpi/rsdp" ? 2 : 1);
        break;
      case 2: {
        std::string to = file(e + 60);
        u32 offset = load<u32>(e + 116);
        CHECK(l.at.contains(name) && l.at.contains(to));
        CHECK_EQ(e[120], 4);
        CHECK(offset + 4 <= data(name).size());
        u8* p = &data(name)[offset];
        CHECK(load<u32>(p) < data(to).size());
        store(p, load<u32>(p) + l.at[to]);
        break;
      }
      case 3: {
        u32 offset = load<u32>(e + 60), start = load<u32>(e + 64), length = load<u32>(e + 68);
        CHECK(start + length <= data(name).size() && offset >= start && offset < start + length);
        CHECK_EQ(data(name)[offset], 0);
        u8& c = data(name)[offset];
        c = static_cast<u8>(c - sum(data(name), start, length));
        break;
      }
      default: CHECK(false);
    }
  }
  return l;
}

std::string signature(const Loaded& l, u32 pa) {
  return std::string(reinterpret_cast<const char*>(&l.tables[pa - kTablesAt]), 4);
}

void check_table(const Loaded& l, u32 pa, const char* name, u32 length) {
  CHECK_EQ(signature(l, pa), name);
  u32 at = pa - kTablesAt, n = load<u32>(&l.tables[at + 4]);
  CHECK(n <= l.tables.size() - at);
  if (length) CHECK_EQ(n, length);
  CHECK_EQ(sum(l.tables, at, n), 0);
}

void dump(const Loaded& l, u32 pa, const std::string& path) {
  u32 at = pa - kTablesAt, n = load<u32>(&l.tables[at + 4]);
  std::FILE* f = std::fopen(path.c_str(), "wb");
  if (!f) return;
  std::fwrite(&l.tables[at], 1, n, f);
  std::fclose(f);
}

u32 named_integer(const Loaded& l, u32 dsdt, const char* name) {
  std::string all(l.tables.begin() + (dsdt - kTablesAt), l.tables.end());
  usize i = all.find(std::string("\x08") + name);
  CHECK(i != std::string::npos);
  return load<u32>(all.data() + i + 6);
}

void test_tables(const char* directory) {
  AcpiConfig config;
  config.memory_bytes = u64{3} << 30;
  config.serial_ports = 3;
  Loaded l = run_loader(build_acpi_tables(config));
  CHECK_EQ(l.rsdp.size(), 20u);
  CHECK_EQ(sum(l.rsdp, 0, 20), 0);
  CHECK(std::memcmp(l.rsdp.data(), "RSD PTR ", 8) == 0);
  u32 rsdt = load<u32>(&l.rsdp[16]);
  check_table(l, rsdt, "RSDT", 36 + 3 * 4);
  u32 fadt = load<u32>(&l.tables[rsdt - kTablesAt + 36]), madt = load<u32>(&l.tables[rsdt - kTablesAt + 40]),
      hpet = load<u32>(&l.tables[rsdt - kTablesAt + 44]);
  check_table(l, fadt, "FACP", 244);
  check_table(l, madt, "APIC", 44 + 8 + 12 + 5 * 10 + 6);
  check_table(l, hpet, "HPET", 56);
  const u8* f = &l.tables[fadt - kTablesAt];
  u32 facs = load<u32>(f + 36), dsdt = load<u32>(f + 40);
  CHECK_EQ(facs % 64, 0u);
  CHECK_EQ(signature(l, facs), "FACS");
  check_table(l, dsdt, "DSDT", 0);
  CHECK_EQ(load<u64>(f + 132), facs);
  CHECK_EQ(load<u64>(f + 140), dsdt);
  CHECK_EQ(load<u16>(f + 46), 9);       // SCI_INT
  CHECK_EQ(load<u32>(f + 48), 0xb2u);   // SMI_CMD
  CHECK_EQ(load<u32>(f + 56), 0x600u);  // PM1a_EVT_BLK
  CHECK_EQ(load<u32>(f + 64), 0x604u);
  CHECK_EQ(load<u32>(f + 76), 0x608u);
  CHECK_EQ(load<u32>(f + 80), 0xafe0u);
  CHECK_EQ(f[88], 4);                        // PM1_EVT_LEN
  CHECK_EQ(f[108], 0x32);                    // CENTURY
  CHECK_EQ(load<u64>(f + 120), 0xcf9u);      // RESET_REG
  CHECK_EQ(f[128], 6);                       // RESET_VALUE
  CHECK_EQ(load<u64>(f + 148 + 4), 0x600u);  // X_PM1a_EVT_BLK
  CHECK_EQ(load<u64>(f + 172 + 4), 0x604u);
  CHECK_EQ(load<u64>(f + 208 + 4), 0x608u);  // X_PM_TMR_BLK
  CHECK_EQ(load<u64>(f + 220 + 4), 0xafe0u);
  CHECK_EQ(named_integer(l, dsdt, "PCIM"), 0xc0000000u);
  CHECK_EQ(named_integer(l, dsdt, "COMP"), 3u);
  if (directory) {
    std::string d = directory;
    dump(l, dsdt, d + "/dsdt.dat");
    dump(l, fadt, d + "/facp.dat");
    dump(l, madt, d + "/apic.dat");
    dump(l, hpet, d + "/hpet.dat");
    dump(l, rsdt, d + "/rsdt.dat");
    dump(l, facs, d + "/facs.dat");
  }
  config.memory_bytes = u64{512} << 20;
  Loaded small = run_loader(build_acpi_tables(config));
  CHECK_EQ(named_integer(small, dsdt, "PCIM"), 0x80000000u);
}

}  // namespace

int main(int argc, char** argv) {
  test_tables(argc > 1 ? argv[1] : nullptr);
  std::printf("acpi_test: %d checks passed, %d failed\n", g_passed, g_failed);
  return g_failed != 0;
}
