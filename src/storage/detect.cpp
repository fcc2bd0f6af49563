// Magic numbers of disk image formats that are not raw. Sources: the formats' public specifications.
#include <algorithm>
#include <string_view>

#include "storage/image.h"

namespace oriel {

namespace {

constexpr char kConvert[] = "convert it with `qemu-img convert -O raw`";
constexpr char kUnpack[] = "unpack it first; if what is inside is not raw, convert that with `qemu-img convert -O raw`";
constexpr char kCooked[] = "make an image with 2048 bytes a sector (.iso) from it, for example with `bchunk`";

struct Magic {
  s64 offset;  // negative: from the end
  std::string_view bytes;
  ForeignFormat format;
};

using namespace std::string_view_literals;

constexpr Magic kMagics[] = {
    {0, "QFI\xfb"sv, {"QCOW2 (or QCOW)", kConvert}},
    {0, "QED\0"sv, {"QED", kConvert}},
    {0, "conectix"sv, {"VHD", kConvert}},
    {-512, "conectix"sv, {"VHD (fixed size)", kConvert}},
    {0, "vhdxfile"sv, {"VHDX", kConvert}},
    {0, "KDMV"sv, {"VMDK", kConvert}},
    {0, "COWD"sv, {"VMDK (ESX)", kConvert}},
    {0, "# Disk DescriptorFile"sv, {"VMDK descriptor", kConvert}},
    {0x40, "\x7f\x10\xda\xbe"sv, {"VDI", kConvert}},  // BEDA107F, little-endian
    {0, "WithoutFreeSpace"sv, {"Parallels HDD", kConvert}},
    {0, "WithouFreSpacExt"sv, {"Parallels HDD", kConvert}},
    {0, "Bochs Virtual HD Image"sv, {"Bochs disk", kConvert}},
    {0, "LUKS\xba\xbe"sv, {"LUKS encrypted", kConvert}},
    {-512, "koly"sv, {"Apple DMG", kConvert}},
    {0, "\x1f\x8b\x08"sv, {"gzip", kUnpack}},
    {0, "\xfd\x37\x7a\x58\x5a\x00"sv, {"xz", kUnpack}},
    {0, "\x28\xb5\x2f\xfd"sv, {"zstd", kUnpack}},
    {0, "\x04\x22\x4d\x18"sv, {"lz4", kUnpack}},
    {4, "\x31\x41\x59\x26\x53\x59"sv, {"bzip2", kUnpack}},
    {0, "7z\xbc\xaf\x27\x1c"sv, {"7-Zip", kUnpack}},
    {0, "PK\x03\x04"sv, {"ZIP", kUnpack}},
    {0, "Rar!\x1a\x07"sv, {"RAR", kUnpack}},
    {0, "CISO"sv, {"CISO", kUnpack}},
    {0, "MComprHD"sv, {"CHD", kUnpack}},
    {0, "\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0"sv, {"raw CD (2352 bytes a sector)", kCooked}},
};
bool matches(ByteStore& store, const Magic& m) {
  u64 size = store.size();
  u64 need = m.offset < 0 ? static_cast<u64>(-m.offset) : static_cast<u64>(m.offset) + m.bytes.size();
  if (size < need) return false;
  u64 at = m.offset < 0 ? size - static_cast<u64>(-m.offset) : static_cast<u64>(m.offset);
  char buf[32];
  usize n = std::min(m.bytes.size(), sizeof buf);
  return store.read(at, buf, n) && std::string_view(buf, n) == m.bytes.substr(0, n);
}

}  // namespace

const ForeignFormat* detect_foreign_format(ByteStore& store) {
  for (const Magic& m : kMagics) {
    if (matches(store, m)) return &m.format;
  }
  return nullptr;
}

}  // namespace oriel
