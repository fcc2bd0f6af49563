// Fuzzes what reads files: disk image recognition and opening, the Linux boot image,
// and scripts. The first byte chooses.
#include <cstdlib>
#include <memory>
#include <vector>

#include "machine/linux_boot.h"
#include "machine/script.h"
#include "storage/block.h"

using namespace oriel;

namespace {

void check(bool ok) {
  if (!ok) std::abort();
}

class BytesStore final : public ByteStore {
 public:
  BytesStore(std::vector<u8> data, bool can_write, bool fails)
      : data_(std::move(data)), writable_(can_write), fails_(fails) {}
  u64 size() const override { return data_.size(); }
  bool writable() const override { return writable_; }
  bool read(u64 offset, void* buf, usize n) override {
    check(offset <= data_.size() && n <= data_.size() - offset);
    std::memcpy(buf, data_.data() + offset, n);
    return !fails_;
  }
  bool write(u64 offset, const void* buf, usize n) override {
    check(writable_ && offset <= data_.size() && n <= data_.size() - offset);
    std::memcpy(data_.data() + offset, buf, n);
    return !fails_;
  }
  bool flush() override { return true; }

 private:
  std::vector<u8> data_;
  bool writable_, fails_;
};

void fuzz_image(const u8* p, usize n, u8 how) {
  std::string error;
  const bool snapshot = how & 2, cdrom = how & 4, can_write = how & 8, fails = how & 0x10;
  std::unique_ptr<BlockDevice> d =
      open_image(std::make_unique<BytesStore>(std::vector<u8>(p, p + n), can_write, fails), snapshot, cdrom, error);
  check((d == nullptr) == !error.empty());
  check(error.find('\n') == std::string::npos);
  if (!d) return;
  check(d->sectors() * 512 <= n + 2047);
  std::vector<u8> buf(8 * 512, 0xa5), back(8 * 512);
  const u64 sectors = d->sectors();
  for (u64 at : {u64{0}, sectors / 2, sectors - 1, sectors, ~u64{0}}) {
    for (u32 count : {1u, 8u}) {
      const bool inside = at < sectors && count <= sectors - at;
      const bool wrote = d->write(at, count, buf.data());
      const bool got = d->read(at, count, back.data());
      check(inside || (!wrote && !got));
      check(!wrote || d->writable());
      if (wrote && got) check(std::memcmp(buf.data(), back.data(), count * 512) == 0);
    }
  }
  (void)d->flush();
  (void)d->write_hash();
}

void fuzz_kernel(const u8* p, usize n, u8 how) {
  // The setup header of a real kernel stands far into the image: what lies before it is filled in.
  std::vector<u8> file(how & 2 ? 0x1f1 : 0);
  file.insert(file.end(), p, p + n);
  if ((how & 4) && file.size() >= 0x206) std::memcpy(&file[0x202], "HdrS", 4);
  if (how & 8) file.resize(file.size() + (how >> 4) * 4096u);
  LinuxImage image;
  std::string error;
  const std::string append(how & 0x10 ? 4096 : 20, 'a');
  const u64 memory = u64{how & 0x20 ? 4u : 512u} << 20;
  BytesStore store(file, false, false);
  const bool ok = load_linux(store, append, n, memory, image, error);
  check(ok == error.empty());
  check(error.find('\n') == std::string::npos);
  if (!ok) return;
  check(image.setup.size() == image.kernel_offset && image.kernel_offset < file.size());
  check(LinuxImage::kKernelAddress + file.size() - image.kernel_offset <= memory);
  check(LinuxImage::kSetupAddress + image.setup.size() <= LinuxImage::kCmdlineAddress);
  check(image.cmdline.back() == 0);
}

void fuzz_script(const u8* p, usize n) {
  std::string error;
  const std::unique_ptr<Script> script = Script::parse(std::string(p, p + n), error);
  check((script == nullptr) == !error.empty());
  check(error.find('\n') == std::string::npos);
  if (!script) return;
  script->serial_output(p, n);
  (void)script->waiting_for();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  if (size < 2) return 0;
  if (data[0] & 1)
    fuzz_kernel(data + 1, size - 1, data[0]);
  else if (data[0] & 0x20)
    fuzz_script(data + 1, size - 1);
  else
    fuzz_image(data + 1, size - 1, data[0]);
  return 0;
}
