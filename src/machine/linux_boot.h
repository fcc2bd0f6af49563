// A Linux kernel image taken apart for direct boot: what the boot ROM (linuxboot_rom.asm) finds in fw_cfg.
// Source: "The Linux/x86 Boot Protocol" (Documentation/x86/boot.rst), protocol versions 2.02 and later.
#pragma once

#include <string>
#include <vector>

#include "base/types.h"
#include "storage/block.h"

namespace oriel {

struct LinuxImage {
  static constexpr u32 kSetupAddress = 0x10000;    // real-mode setup code, up to 64 KiB less the stack
  static constexpr u32 kCmdlineAddress = 0x20000;  // NUL-terminated
  static constexpr u32 kKernelAddress = 0x100000;
  std::vector<u8> setup, cmdline;
  u64 kernel_offset = 0;  // the protected-mode part: the rest of the image from here
};

// Takes `bzimage` apart into `out` and fills in the header fields of the boot loader. False and one line in `error`
// when it is no kernel that can be booted so, or does not fit: into memory_bytes of RAM with initrd_bytes beside it.
bool load_linux(ByteStore& bzimage, const std::string& append, u64 initrd_bytes, u64 memory_bytes, LinuxImage& out,
                std::string& error);

}  // namespace oriel
