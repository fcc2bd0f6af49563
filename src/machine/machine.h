// A PC: i440FX/PIIX with everything wired, its firmware, virtual time, and the way a host drives it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/state.h"
#include "base/types.h"
#include "devices/screen.h"
#include "host/host.h"
#include "jit/config.h"
#include "storage/block.h"

namespace oriel {

namespace jit {
class Jit;
}
class BenchPort;

struct MachineConfig {
  u64 memory_bytes = 512u << 20;  // multiple of 1 MiB, 4 MiB to 3 GiB
  u8* ram = nullptr;              // zeroed, memory_bytes long; from the host
  bool deterministic = false;     // clock = retired instructions; RTC starts at 2000-01-01 00:00:00
  u32 ns_per_insn = 10;           // deterministic mode: virtual nanoseconds an instruction takes
  bool jit = false;               // compile hot code: only where Host::compile() works
  jit::Config jit_limits;
  std::vector<u8> bios, vgabios;        // images of SeaBIOS and its VGA BIOS
  std::unique_ptr<BlockDevice> hda;     // IDE primary master
  std::unique_ptr<BlockDevice> hdb;     // IDE primary slave
  std::unique_ptr<BlockDevice> cdrom;   // IDE secondary master
  std::unique_ptr<BlockDevice> virtio;  // virtio-blk
  std::unique_ptr<ByteStore> kernel;    // direct Linux boot, bzImage: read when the guest starts, at each reset
  std::unique_ptr<ByteStore> initrd;
  std::string append;
  char boot_order = 0;              // 'c' disk, 'd' cdrom; 0: disk, then CD
  bool test_device = false;         // devices/test_device.h
  BenchPort* bench_port = nullptr;  // devices/bench_port.h; outlives the machine
  bool track_writes = false;        // for Machine::take_written(); writes are slow then
};

enum class MachineStatus : u8 {
  kRunning,      // the slice is over
  kIdle,         // the guest is halted; nothing to do until idle_ns passes or input comes
  kPoweredOff,   // ACPI S5 (or port-based shutdown)
  kTripleFault,  // shut itself down; text in triple_fault_report(). With reset_on_triple_fault false only
  kFailed,       // ended the run through the test device, with a status that is not zero
};

enum class DiskSlot : u8 { kHda, kHdb, kCdrom, kVirtio };

class Machine {
 public:
  // Null and one line in `error` when the configuration cannot be (bad kernel image, ...).
  static std::unique_ptr<Machine> create(Host& host, MachineConfig config, std::string& error);
  virtual ~Machine() = default;

  // Runs until about `max_insns` instructions were retired or (normal mode) `max_host_ns` of host time
  // passed, or the guest idles. Deterministic mode stops exactly at max_insns and never idles (virtual
  // time jumps to the next timer).
  virtual MachineStatus run(u64 max_insns, u64 max_host_ns) = 0;
  virtual u64 idle_ns() = 0;  // after kIdle: host time until the next timer

  virtual void reset() = 0;
  virtual void power_button() = 0;                     // ACPI fixed button
  virtual void key(u16 scancode_set1, bool down) = 0;  // scan code set 1; 0xE0xx for extended keys
  virtual void mouse(
      int dx, int dy, int dz,
      unsigned buttons) = 0;  // dy up is negative (screen coordinates); buttons: 1 left, 2 right, 4 middle
  virtual usize serial_input(unsigned port, const u8* data, usize n) = 0;  // returns how many bytes were taken
  virtual void insert_cd(std::unique_ptr<BlockDevice> cd) = 0;             // null ejects
  virtual BlockDevice* disk(DiskSlot slot) = 0;                            // null: none
  virtual bool flush_disks() = 0;

  virtual Screen& screen() = 0;
  virtual u64 instructions() const = 0;  // retired
  virtual u64 virtual_time_ns() = 0;
  virtual u64 state_hash() = 0;          // CPU, devices and RAM
  virtual u64 touched_pages() = 0;       // RAM pages the guest wrote at least once
  virtual jit::Jit* compiler() = 0;      // null without config.jit
  virtual std::string stats_json() = 0;  // one JSON object, units in the names
  virtual std::string triple_fault_report() = 0;
  virtual std::string debug_dump() = 0;  // registers, as the guest stands
  // For comparing machines (jit/verify.h).
  virtual u64 register_hash() = 0;
  virtual std::string register_text() = 0;
  virtual std::vector<u32> take_written() = 0;  // pages of RAM that were written since the last call
};

}  // namespace oriel
