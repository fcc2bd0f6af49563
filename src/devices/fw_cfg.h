// The firmware configuration device: named blobs for SeaBIOS. Ports 510-511 (max_size 2) and the DMA
// registers 514-51B (max_size 4). Source: the QEMU documentation's "Firmware Configuration (fw_cfg) Device".
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "devices/device.h"
#include "storage/block.h"

namespace oriel {

class FwCfg final : public Device, public PortHandler {
 public:
  // Keys with a fixed meaning.
  enum Key : u16 {
    kSignature = 0x00,
    kId = 0x01,
    kUuid = 0x02,
    kRamSize = 0x03,
    kNoGraphic = 0x04,
    kCpus = 0x05,
    kMachineId = 0x06,
    kKernelAddr = 0x07,
    kKernelSize = 0x08,
    kKernelCmdline = 0x09,
    kInitrdAddr = 0x0a,
    kInitrdSize = 0x0b,
    kBootDevice = 0x0c,
    kNuma = 0x0d,
    kBootMenu = 0x0e,
    kMaxCpus = 0x0f,
    kKernelEntry = 0x10,
    kKernelData = 0x11,
    kInitrdData = 0x12,
    kCmdlineAddr = 0x13,
    kCmdlineSize = 0x14,
    kCmdlineData = 0x15,
    kSetupAddr = 0x16,
    kSetupSize = 0x17,
    kSetupData = 0x18,
    kFileDir = 0x19,
    kFileFirst = 0x20,
    kArchLocal = 0x8000,  // x86: 8000 ACPI tables, 8001 SMBIOS, 8002 IRQ0 override, 8003 e820
  };

  explicit FwCfg(Dma& dma);

  // Contents are the machine's configuration: set before the guest runs, not part of the saved state.
  void add_item(u16 key, std::vector<u8> data);  // replaces
  void add_item16(u16 key, u16 v);               // little-endian values
  void add_item32(u16 key, u32 v);
  void add_item64(u16 key, u64 v);
  // What `store` holds from `offset` on, read when the guest asks for it: large items cost the host no memory.
  void add_item(u16 key, std::unique_ptr<ByteStore> store, u64 offset);
  // A file of the directory (name of at most 55 bytes); replaces one of the same name. Returns its key.
  u16 add_file(const std::string& file, std::vector<u8> data);

  u32 port_read(u16 port, unsigned size) override;
  void port_write(u16 port, u32 value, unsigned size) override;
  const char* name() const override { return "fw_cfg"; }
  void reset() override;
  void state(State& s) override;

 private:
  struct Item {
    u16 key;
    std::vector<u8> data;  // or
    std::unique_ptr<ByteStore> store;
    u64 store_offset;
    u64 size() const { return store ? store->size() - store_offset : data.size(); }
    bool read(u64 offset, u8* to, usize n) const;  // within size(); false: an I/O error
  };
  struct File {
    std::string name;
    u16 key;
    u32 size;
  };
  Item* find(u16 key);
  Item& item(u16 key);  // made if there is none
  void select(u16 key);
  u8 next_byte();
  void rebuild_directory();
  void run_dma(u64 control_block);
  bool copy_out(const Item& item, u64 address, u64 n);

  Dma& dma_;
  std::vector<Item> items_;
  std::vector<File> files_;
  u16 key_ = 0;
  u64 offset_ = 0;
  u32 dma_high_ = 0;
};

}  // namespace oriel
