// The Intel 82441FX host bridge (8086:1237, device 00.0): its PAM registers switch C0000-FFFFF between
// the BIOS ROM and shadow RAM. Source: Intel 82441FX (PMC) data sheet, order number 290549, section 3.2.
#pragma once

#include "devices/pci.h"

namespace oriel {

class I440fx final : public PciDevice, public MmioHandler {
 public:
  struct Wiring {
    PhysMem& mem;
    PhysMem::RegionId bios_region;  // the whole BIOS image, not writable; its last 128 KiB appear below 1 MiB
    const u8* bios;
    u32 bios_size;                         // a multiple of 4 KiB
    std::function<void(bool open)> smram;  // A0000-BFFFF is RAM (open) or the VGA's; called on changes
  };
  explicit I440fx(Wiring w);

  void config_write(u8 reg, u32 value, unsigned size) override;
  const char* name() const override { return "i440fx"; }
  void reset() override;
  void state(State& s) override;

  // For segments that read the ROM and write the RAM beneath it; the region begins at C0000.
  u64 mmio_read(u64 offset, unsigned size) override;
  void mmio_write(u64 offset, u64 value, unsigned size) override;

 private:
  static constexpr unsigned kSegments = 13;
  void apply(bool all);
  u8 rom_byte(u64 pa) const;

  Wiring w_;
  PhysMem::RegionId split_region_;
  u8 mapped_[kSegments] = {};  // what each segment is mapped as: bit 0 read enable, bit 1 write enable
  bool smram_open_ = false;
};

}  // namespace oriel
