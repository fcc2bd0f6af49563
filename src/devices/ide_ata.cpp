// ATA disk commands. Source: ATA/ATAPI-6 (T13 1410D) section 8; the IDENTIFY data follows table 27.
#include <algorithm>

#include "devices/ide.h"

namespace oriel {

using namespace ide;

namespace {
constexpr u64 kLba28Limit = 1u << 28;
constexpr u32 kMaxMultiple = 16;

enum class Op : u8 {
  kNone,       // completes at once
  kAbort,      // NOP, and commands that put the packet device's signature
  kSignature,  // a packet device answers with its signature and aborts
  kReadPio,
  kWritePio,
  kReadDma,
  kWriteDma,
  kVerify,
  kSeek,
  kFlush,
  kIdentify,
  kIdentifyPacket,
  kPacket,
  kDeviceReset,
  kDiagnostic,
  kInitParams,
  kSetMultiple,
  kSetFeatures,
  kCheckPower,
  kNativeMax,
};
enum : u8 { kForAta = 1, kForAtapi = 2, kForBoth = 3, kExt = 4, kMulti = 8 };
}  // namespace

struct IdeChannel::Command {
  u8 first, last;
  Op op;
  u8 flags;
};

const IdeChannel::Command* IdeChannel::find_command(u8 opcode, Kind kind) {
  static constexpr Command kCommands[] = {
      {0x00, 0x00, Op::kAbort, kForBoth},                    // NOP
      {0x08, 0x08, Op::kDeviceReset, kForAtapi},             // DEVICE RESET
      {0x10, 0x1f, Op::kSeek, kForAta},                      // RECALIBRATE
      {0x20, 0x20, Op::kSignature, kForAtapi},               // READ SECTOR(S)
      {0x20, 0x21, Op::kReadPio, kForAta},                   // READ SECTOR(S)
      {0x24, 0x24, Op::kReadPio, kForAta | kExt},            // READ SECTOR(S) EXT
      {0x25, 0x25, Op::kReadDma, kForAta | kExt},            // READ DMA EXT
      {0x27, 0x27, Op::kNativeMax, kForAta | kExt},          // READ NATIVE MAX ADDRESS EXT
      {0x29, 0x29, Op::kReadPio, kForAta | kExt | kMulti},   // READ MULTIPLE EXT
      {0x30, 0x31, Op::kWritePio, kForAta},                  // WRITE SECTOR(S)
      {0x34, 0x34, Op::kWritePio, kForAta | kExt},           // WRITE SECTOR(S) EXT
      {0x35, 0x35, Op::kWriteDma, kForAta | kExt},           // WRITE DMA EXT
      {0x39, 0x39, Op::kWritePio, kForAta | kExt | kMulti},  // WRITE MULTIPLE EXT
      {0x40, 0x41, Op::kVerify, kForAta},                    // READ VERIFY SECTOR(S)
      {0x42, 0x42, Op::kVerify, kForAta | kExt},             // READ VERIFY SECTOR(S) EXT
      {0x70, 0x7f, Op::kSeek, kForAta},                      // SEEK
      {0x90, 0x90, Op::kDiagnostic, kForBoth},               // EXECUTE DEVICE DIAGNOSTIC
      {0x91, 0x91, Op::kInitParams, kForAta},                // INITIALIZE DEVICE PARAMETERS
      {0x94, 0x97, Op::kNone, kForBoth},                     // STANDBY, IDLE (IMMEDIATE), old numbers
      {0x98, 0x98, Op::kCheckPower, kForBoth},               // CHECK POWER MODE, old number
      {0x99, 0x99, Op::kNone, kForBoth},                     // SLEEP, old number
      {0xa0, 0xa0, Op::kPacket, kForAtapi},                  // PACKET
      {0xa1, 0xa1, Op::kIdentifyPacket, kForAtapi},          // IDENTIFY PACKET DEVICE
      {0xc4, 0xc4, Op::kReadPio, kForAta | kMulti},          // READ MULTIPLE
      {0xc5, 0xc5, Op::kWritePio, kForAta | kMulti},         // WRITE MULTIPLE
      {0xc6, 0xc6, Op::kSetMultiple, kForAta},               // SET MULTIPLE MODE
      {0xc8, 0xc9, Op::kReadDma, kForAta},                   // READ DMA
      {0xca, 0xcb, Op::kWriteDma, kForAta},                  // WRITE DMA
      {0xe0, 0xe3, Op::kNone, kForBoth},                     // STANDBY, IDLE (IMMEDIATE)
      {0xe5, 0xe5, Op::kCheckPower, kForBoth},               // CHECK POWER MODE
      {0xe6, 0xe6, Op::kNone, kForBoth},                     // SLEEP: this drive wakes on any command
      {0xe7, 0xe7, Op::kFlush, kForAta},                     // FLUSH CACHE
      {0xea, 0xea, Op::kFlush, kForAta},                     // FLUSH CACHE EXT
      {0xec, 0xec, Op::kIdentify, kForAta},                  // IDENTIFY DEVICE
      {0xec, 0xec, Op::kSignature, kForAtapi},
      {0xef, 0xef, Op::kSetFeatures, kForBoth},  // SET FEATURES
      {0xf8, 0xf8, Op::kNativeMax, kForAta},     // READ NATIVE MAX ADDRESS
  };
  u8 want = kind == Kind::kAta ? kForAta : kForAtapi;
  for (const Command& c : kCommands) {
    if (opcode >= c.first && opcode <= c.last && (c.flags & want)) return &c;
  }
  return nullptr;
}

void IdeChannel::write_command(u8 v) {
  control_ &= static_cast<u8>(~kHob);
  unsigned unit = selected();
  Drive& d = drives_[unit];
  if (v == 0x90) unit = 0;  // EXECUTE DEVICE DIAGNOSTIC is for both
  if (d.kind == Kind::kNone && v != 0x90) return;
  bool device_reset = v == 0x08 && d.kind == Kind::kAtapi && phase_ != Phase::kReset;
  if (((d.status & (kBsy | kDrq)) || phase_ != Phase::kIdle) && !device_reset) return;
  if (device_reset && active_ != unit && phase_ != Phase::kIdle) return;  // the other drive has the bus
  if (device_reset) abort_all();
  active_ = static_cast<u8>(unit);
  command_ = v;
  d.intrq = false;
  update_irq();
  const Command* c = find_command(v, active().kind);
  u64 ns = c ? command_latency(*c) : kRegisterNs;
  start(Phase::kCommand, ns);
  if (v == 0x90) {
    for (Drive& each : drives_) each.status = kBsy;
  }
}

u32 IdeChannel::current_count(bool ext) const {
  const Drive& d = drives_[active_];
  if (!ext) return d.tf.count ? d.tf.count : 256;
  u32 n = static_cast<u32>(d.hob.count) << 8 | d.tf.count;
  return n ? n : 65536;
}

u64 IdeChannel::command_latency(const Command& c) {
  switch (c.op) {
    case Op::kReadDma:
    case Op::kWriteDma:
    case Op::kVerify: return kMediaNs + current_count(c.flags & kExt) * kNsPerSector;
    case Op::kFlush: return kMediaNs;
    default: return kRegisterNs;
  }
}

// ---- Addresses ---------------------------------------------------------------------------------

// The command's first sector and count into lba_ and sectors_left_; false (after failing the command)
// when they do not lie on the disk.
bool IdeChannel::get_range(bool ext, bool lba48_count) {
  const Drive& d = active();
  u64 total = d.media->sectors();
  const TaskFile& t = d.tf;
  u64 low = static_cast<u64>(t.lba_high) << 16 | static_cast<u64>(t.lba_mid) << 8 | t.lba_low;
  bool ok = true;
  if (ext) {
    lba_ = static_cast<u64>(d.hob.lba_high) << 40 | static_cast<u64>(d.hob.lba_mid) << 32 |
           static_cast<u64>(d.hob.lba_low) << 24 | low;
  } else if (device_ & kDevLba) {
    lba_ = static_cast<u64>(device_ & 15) << 24 | low;
  } else {
    u32 cylinder = static_cast<u32>(t.lba_high) << 8 | t.lba_mid, head = device_ & 15, sector = t.lba_low;
    ok = head < d.heads && sector >= 1 && sector <= d.sectors_per_track;
    lba_ = ok ? (static_cast<u64>(cylinder) * d.heads + head) * d.sectors_per_track + sector - 1 : 0;
  }
  sectors_left_ = current_count(lba48_count);
  if (ok && lba_ < total && sectors_left_ <= total - lba_) return true;
  sectors_left_ = 0;
  fail(kIdnf);
  return false;
}

// The address registers name a sector in the form in which the command gave its address.
void IdeChannel::put_lba(u64 lba) {
  Drive& d = active();
  const Command* c = find_command(command_, d.kind);
  if (c && (c->flags & kExt)) {
    d.hob.lba_low = static_cast<u8>(lba >> 24);
    d.hob.lba_mid = static_cast<u8>(lba >> 32);
    d.hob.lba_high = static_cast<u8>(lba >> 40);
  } else if (device_ & kDevLba) {
    device_ = static_cast<u8>((device_ & 0xf0) | (lba >> 24 & 15));
  } else {
    u64 track = lba / d.sectors_per_track;
    d.tf.lba_low = static_cast<u8>(lba % d.sectors_per_track + 1);
    device_ = static_cast<u8>((device_ & 0xf0) | track % d.heads);
    u64 cylinder = track / d.heads;
    d.tf.lba_mid = static_cast<u8>(cylinder);
    d.tf.lba_high = static_cast<u8>(cylinder >> 8);
    return;
  }
  d.tf.lba_low = static_cast<u8>(lba);
  d.tf.lba_mid = static_cast<u8>(lba >> 8);
  d.tf.lba_high = static_cast<u8>(lba >> 16);
}

// ---- Execution ---------------------------------------------------------------------------------

void IdeChannel::execute() {
  Drive& d = active();
  if (command_ == 0x90) {
    diagnostics_done(true);
    return;
  }
  const Command* c = find_command(command_, d.kind);
  if (!c) {
    abort_command();
    return;
  }
  bool ext = c->flags & kExt;
  switch (c->op) {
    case Op::kNone: complete_irq(); break;
    case Op::kAbort:
    case Op::kDiagnostic: abort_command(); break;
    case Op::kSignature:
      set_signature(d);
      abort_command();
      break;
    case Op::kDeviceReset:
      set_signature(d);
      phase_ = Phase::kIdle;
      break;
    case Op::kReadPio:
    case Op::kWritePio:
      if ((c->flags & kMulti) && !d.multiple) {
        abort_command();
      } else if (c->op == Op::kWritePio && !d.media->writable()) {
        abort_command();
      } else if (get_range(ext, ext)) {
        c->op == Op::kReadPio ? ata_next_in() : ata_request_out();
      }
      break;
    case Op::kReadDma:
    case Op::kWriteDma:
      if (c->op == Op::kWriteDma && !d.media->writable()) {
        abort_command();
      } else if (get_range(ext, ext)) {
        pos_ = end_ = fill_ = 0;
        phase_ = Phase::kDma;
        d.status = kReady | kDrq;
        dma_run();
      }
      break;
    case Op::kVerify:
      if (get_range(ext, ext)) {
        put_lba(lba_ + sectors_left_ - 1);
        sectors_left_ = 0;
        complete_irq();
      }
      break;
    case Op::kSeek: complete_irq(); break;
    case Op::kFlush: d.media->flush() ? complete_irq() : fail(kAbrt); break;
    case Op::kIdentify:
      identify();
      send_buffer(512);
      break;
    case Op::kIdentifyPacket:
      identify_packet();
      send_buffer(512);
      break;
    case Op::kPacket:
      packet_dma_ = d.tf.features & 1;
      // A limit of 0 or FFFF is taken as the largest there is; an odd one must not split a word.
      byte_count_limit_ = static_cast<u32>(d.tf.lba_high) << 8 | d.tf.lba_mid;
      if (byte_count_limit_ == 0 || byte_count_limit_ == 0xffff) byte_count_limit_ = 0xfffe;
      d.tf.count = kReasonCd;
      pos_ = 0;
      end_ = kPacketSize;
      phase_ = Phase::kPacketOut;
      d.status = kReady | kDrq;
      break;
    case Op::kInitParams:
      if (!d.tf.count || d.tf.count > 63) {
        abort_command();
      } else {
        d.heads = (device_ & 15) + 1;
        d.sectors_per_track = d.tf.count;
        complete_irq();
      }
      break;
    case Op::kSetMultiple:
      if (d.tf.count > kMaxMultiple || (d.tf.count & (d.tf.count - 1))) {
        d.multiple = 0;
        abort_command();
      } else {
        d.multiple = d.tf.count;
        complete_irq();
      }
      break;
    case Op::kSetFeatures: set_features(); break;
    case Op::kCheckPower:
      d.tf.count = 0xff;  // active or idle
      complete_irq();
      break;
    case Op::kNativeMax: {
      u64 last = d.media->sectors() - 1;
      device_ |= kDevLba;
      put_lba(ext ? last : std::min(last, kLba28Limit - 1));
      complete_irq();
      break;
    }
  }
}

void IdeChannel::set_features() {
  Drive& d = active();
  u8 mode = d.tf.count;
  switch (d.tf.features) {
    case 0x02: d.write_cache = true; break;
    case 0x82:
      d.write_cache = false;
      if (d.kind == Kind::kAta && !d.media->flush()) {
        abort_command();
        return;
      }
      break;
    case 0x03: {
      u8 n = mode & 7;
      bool known = mode <= 1 || (mode >> 3 == 1 && n <= 4) || (mode >> 3 == 4 && n <= 2) || (mode >> 3 == 8 && n <= 5);
      if (!known) {
        abort_command();
        return;
      }
      if (mode >> 3 >= 4) d.transfer_mode = mode;
      break;
    }
    case 0x55:  // read look-ahead off, on
    case 0xaa:
    case 0x66:  // keep or drop settings at reset
    case 0xcc: break;
    default: abort_command(); return;
  }
  complete_irq();
}

// ---- PIO data ----------------------------------------------------------------------------------

u32 IdeChannel::block_sectors() const {
  const Drive& d = drives_[active_];
  const Command* c = find_command(command_, d.kind);
  u32 block = c && (c->flags & kMulti) && d.multiple ? d.multiple : 1;
  return std::min(sectors_left_, block);
}

// Offers buffer_[0, n) to the host.
void IdeChannel::send_buffer(u32 n) {
  pos_ = 0;
  end_ = fill_ = n;
  sectors_left_ = 0;
  phase_ = Phase::kDataIn;
  active().status = kReady | kDrq;
  active().error = 0;
  raise_irq();
}

void IdeChannel::ata_next_in() {
  u32 n = block_sectors();
  if (!active().media->read(lba_, n, buffer_.data())) {
    sectors_left_ = 0;
    put_lba(lba_);
    fail(kUnc);
    return;
  }
  u32 left = sectors_left_ - n;
  lba_ += n;
  put_lba(lba_ - 1);
  send_buffer(n * 512);
  sectors_left_ = left;
}

void IdeChannel::ata_request_out() {
  pos_ = fill_ = 0;
  end_ = block_sectors() * 512;
  phase_ = Phase::kDataOut;
  active().status = kReady | kDrq;
  active().error = 0;
}

void IdeChannel::ata_commit_out() {
  u32 n = block_sectors();
  if (!active().media->write(lba_, n, buffer_.data())) {
    sectors_left_ = 0;
    put_lba(lba_);
    fail(kAbrt);
    return;
  }
  lba_ += n;
  sectors_left_ -= n;
  put_lba(lba_ - 1);
  if (sectors_left_) {
    ata_request_out();
    raise_irq();
  } else {
    complete_irq();
  }
}

// ---- IDENTIFY ----------------------------------------------------------------------------------

// Text is padded with spaces, the first character of each pair in the high byte.
void IdeChannel::put_string(unsigned word, unsigned words, std::string_view text) {
  for (unsigned i = 0; i < words * 2; i++) {
    buffer_[word * 2 + (i ^ 1)] = i < text.size() ? static_cast<u8>(text[i]) : ' ';
  }
}

// What disks and packet devices share: the transfer modes, and the checksum over it all.
void IdeChannel::finish_identify() {
  u8 mode = active().transfer_mode;
  put_word(48, 1);       // 32-bit data port accesses
  put_word(49, 0x0f00);  // DMA, LBA, IORDY
  put_word(53, 0x0007);  // words 54-58, 64-70 and 88 are valid
  put_word(63, static_cast<u16>(0x07 | (mode >> 3 == 4 ? 0x100 << (mode & 7) : 0)));  // multiword DMA 0-2
  put_word(64, 0x0003);                                                               // PIO 3, 4
  for (unsigned w = 65; w <= 68; w++) put_word(w, 120);                               // cycle times, ns
  put_word(88, static_cast<u16>(0x3f | (mode >> 3 == 8 ? 0x100 << (mode & 7) : 0)));  // Ultra DMA 0-5
  put_word(93, active_ ? 0x6100 : 0x6001);  // 80-conductor cable, hardware reset result
  buffer_[510] = 0xa5;
  u8 sum = 0;
  for (unsigned i = 0; i < 511; i++) sum = static_cast<u8>(sum + buffer_[i]);
  buffer_[511] = static_cast<u8>(-sum);
}

void IdeChannel::identify() {
  const Drive& d = active();
  u64 total = d.media->sectors();
  u64 lba28 = std::min(total, kLba28Limit - 1);
  u64 cylinders = std::min<u64>(total / (16 * 63), 16383);
  u64 current = std::min<u64>(total / (static_cast<u32>(d.heads) * d.sectors_per_track), 65535);
  u64 chs = current * d.heads * d.sectors_per_track;
  std::memset(buffer_.data(), 0, 512);
  put_word(0, 0x0040);
  put_word(1, static_cast<u16>(cylinders));
  put_word(3, 16);
  put_word(6, 63);
  put_string(10, 10, active_ ? "ORL00002" : "ORL00001");
  put_word(20, 3);
  put_word(21, 512);
  put_string(23, 4, "1.0");
  put_string(27, 20, "ORIEL HARDDISK");
  put_word(47, 0x8000 | kMaxMultiple);
  put_word(51, 0x0200);
  put_word(54, static_cast<u16>(current));
  put_word(55, d.heads);
  put_word(56, d.sectors_per_track);
  put_word(57, static_cast<u16>(chs));
  put_word(58, static_cast<u16>(chs >> 16));
  put_word(59, static_cast<u16>(d.multiple ? 0x100 | d.multiple : 0));
  put_word(60, static_cast<u16>(lba28));
  put_word(61, static_cast<u16>(lba28 >> 16));
  put_word(80, 0x00f0);  // ATA-4 to ATA-7
  put_word(82, 0x4028);  // NOP, write cache, power management
  put_word(83, 0x7400);  // FLUSH CACHE (EXT), 48-bit addresses
  put_word(84, 0x4000);
  put_word(85, static_cast<u16>(0x4008 | (d.write_cache ? 0x20 : 0)));
  put_word(86, 0x3400);
  put_word(87, 0x4000);
  for (unsigned i = 0; i < 4; i++) put_word(100 + i, static_cast<u16>(total >> 16 * i));
  put_word(217, 1);  // no rotating media
  finish_identify();
}

}  // namespace oriel
