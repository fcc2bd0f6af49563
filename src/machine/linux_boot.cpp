#include "machine/linux_boot.h"

#include <algorithm>

namespace oriel {

namespace {

// The setup header, by offset from the start of the image.
enum : usize {
  kSetupSects = 0x1f1,
  kSysSize = 0x1f4,
  kVidMode = 0x1fa,
  kMagic = 0x202,
  kVersion = 0x206,
  kTypeOfLoader = 0x210,
  kLoadFlags = 0x211,
  kHeapEndPtr = 0x224,
  kCmdLinePtr = 0x228,
  kInitrdAddrMax = 0x22c,
  kCmdlineSize = 0x238,
  kInitSize = 0x260,
  kHeaderEnd = 0x268
};
constexpr u32 kHdrS = 0x53726448;
constexpr u8 kLoadedHigh = 1, kCanUseHeap = 0x80;
constexpr u16 kStackTop = 0xe000;  // SETUP_STACK of the boot ROM

}  // namespace

bool load_linux(ByteStore& bzimage, const std::string& append, u64 initrd_bytes, u64 memory_bytes, LinuxImage& out,
                std::string& error) {
  std::vector<u8> image(std::min<u64>(bzimage.size(), kStackTop));  // as much of it as may be setup code
  if (!bzimage.read(0, image.data(), image.size())) {
    error = "cannot be read";
    return false;
  }
  if (image.size() < 1024 || load<u32>(image.data() + kMagic) != kHdrS) {
    error = image.size() >= 4 && load<u32>(image.data()) == 0x464c457f
                ? "an ELF file, not a bzImage: use arch/x86/boot/bzImage, or the vmlinuz of a distribution"
                : "not a Linux kernel (bzImage): no setup header";
    return false;
  }
  const u16 version = load<u16>(image.data() + kVersion);
  if (version < 0x202 || !(image[kLoadFlags] & kLoadedHigh)) {
    error = "a Linux kernel of a boot protocol before 2.02, or a zImage: not supported";
    return false;
  }
  const usize sects = image[kSetupSects] ? image[kSetupSects] : 4;
  const usize setup_bytes = (sects + 1) * 512;
  if (setup_bytes < kHeaderEnd || setup_bytes > kStackTop - 0x1000u || bzimage.size() <= setup_bytes) {
    error = "a truncated Linux kernel: the protected-mode part is missing";
    return false;
  }
  const u64 kernel_bytes = bzimage.size() - setup_bytes;
  // In units of 16 bytes, rounded up; since protocol 2.04 with all its bits.
  if (version >= 0x204 && kernel_bytes + 15 < u64{load<u32>(image.data() + kSysSize)} * 16) {
    error = "a truncated Linux kernel: " + std::to_string(bzimage.size()) + " bytes of " +
            std::to_string(setup_bytes + u64{load<u32>(image.data() + kSysSize)} * 16);
    return false;
  }
  u64 need = std::max<u64>(kernel_bytes, version >= 0x20a ? load<u32>(image.data() + kInitSize) : kernel_bytes * 4);
  if (LinuxImage::kKernelAddress + need + initrd_bytes + (u64{2} << 20) > memory_bytes) {
    error = "kernel and initrd do not fit into the guest's memory of " + std::to_string(memory_bytes >> 20) +
            " MiB: about " + std::to_string((need + initrd_bytes + (u64{4} << 20)) >> 20) + " MiB are needed";
    return false;
  }
  const u32 limit = version >= 0x206 ? load<u32>(image.data() + kCmdlineSize) : 255;
  if (append.size() > std::min<u32>(limit, 0xfff)) {
    error = "the kernel command line is longer than the " + std::to_string(std::min<u32>(limit, 0xfff)) +
            " characters this kernel takes";
    return false;
  }
  out.setup.assign(image.begin(), image.begin() + static_cast<std::ptrdiff_t>(setup_bytes));
  out.kernel_offset = setup_bytes;
  out.cmdline.assign(append.begin(), append.end());
  out.cmdline.push_back(0);
  u8* h = out.setup.data();
  h[kTypeOfLoader] = 0xff;  // no assigned number
  h[kLoadFlags] |= kCanUseHeap;
  store<u16>(h + kHeapEndPtr, kStackTop - 0x200);
  store<u16>(h + kVidMode, 0xffff);  // the text mode that is set
  store<u32>(h + kCmdLinePtr, LinuxImage::kCmdlineAddress);
  if (version < 0x203) store<u32>(h + kInitrdAddrMax, 0x37ffffff);
  return true;
}

}  // namespace oriel
