// ATAPI CD/DVD drive: packet commands. Sources: MMC-3 (T10 1363D) section 6; SPC-2 (T10 1236D) for INQUIRY,
// REQUEST SENSE and MODE SENSE; ATA/ATAPI-6 section 9.8 for the packet protocol.
#include <algorithm>

#include "devices/ide.h"

namespace oriel {

using namespace ide;

namespace {
constexpr u32 kBlock = 2048, kSectorsPerBlock = 4;
constexpr u32 kCdMaxBlocks = 80 * 60 * 75;  // larger discs are DVDs
// Sense keys and the additional codes in use.
constexpr u8 kNotReady = 2, kMediumError = 3, kIllegalRequest = 5, kUnitAttention = 6;
constexpr u8 kAscReadError = 0x11, kAscOpcode = 0x20, kAscLba = 0x21, kAscField = 0x24, kAscMediaChanged = 0x28,
             kAscIncompatible = 0x30, kAscSaving = 0x39, kAscNoMedium = 0x3a, kAscRemoval = 0x53, kAscWrongMode = 0x64;
constexpr u16 kProfileCd = 0x0008, kProfileDvd = 0x0010;
enum : u8 { kNeedsDisc = 1, kInAttention = 2 };  // kInAttention: works while UNIT ATTENTION is pending
}  // namespace

struct IdeChannel::PacketCommand {
  u8 opcode, flags;
  void (IdeChannel::*run)();
};

const IdeChannel::PacketCommand* IdeChannel::find_packet(u8 opcode) {
  using C = IdeChannel;
  static constexpr PacketCommand kPackets[] = {
      {0x00, kNeedsDisc, &C::pk_nothing},              // TEST UNIT READY
      {0x03, kInAttention, &C::pk_request_sense},      // REQUEST SENSE
      {0x12, kInAttention, &C::pk_inquiry},            // INQUIRY
      {0x1a, 0, &C::pk_mode_sense},                    // MODE SENSE (6)
      {0x1b, 0, &C::pk_start_stop},                    // START STOP UNIT
      {0x1e, 0, &C::pk_prevent},                       // PREVENT ALLOW MEDIUM REMOVAL
      {0x25, kNeedsDisc, &C::pk_read_capacity},        // READ CAPACITY
      {0x28, kNeedsDisc, &C::pk_read10},               // READ (10)
      {0x2b, kNeedsDisc, &C::pk_seek},                 // SEEK (10)
      {0x43, kNeedsDisc, &C::pk_read_toc},             // READ TOC/PMA/ATIP
      {0x46, kInAttention, &C::pk_get_configuration},  // GET CONFIGURATION
      {0x4a, kInAttention, &C::pk_get_event},          // GET EVENT STATUS NOTIFICATION
      {0x51, kNeedsDisc, &C::pk_disc_information},     // READ DISC INFORMATION
      {0x52, kNeedsDisc, &C::pk_track_information},    // READ TRACK INFORMATION
      {0x5a, 0, &C::pk_mode_sense},                    // MODE SENSE (10)
      {0xa8, kNeedsDisc, &C::pk_read12},               // READ (12)
      {0xad, kNeedsDisc, &C::pk_dvd_structure},        // READ DVD STRUCTURE
      {0xbb, 0, &C::pk_nothing},                       // SET CD SPEED
      {0xbd, 0, &C::pk_mechanism_status},              // MECHANISM STATUS
      {0xbe, kNeedsDisc, &C::pk_read_cd},              // READ CD
  };
  for (const PacketCommand& c : kPackets) {
    if (c.opcode == opcode) return &c;
  }
  return nullptr;
}

bool IdeChannel::has_disc() const { return drives_[active_].media && !drives_[active_].tray_open; }
u32 IdeChannel::disc_blocks() const {
  return static_cast<u32>(std::min<u64>(drives_[active_].media->sectors() / kSectorsPerBlock, 0xffffffff));
}

u32 IdeChannel::packet_be16(unsigned at) const { return static_cast<u32>(packet_[at]) << 8 | packet_[at + 1]; }
u32 IdeChannel::packet_be32(unsigned at) const { return packet_be16(at) << 16 | packet_be16(at + 2); }
void IdeChannel::put_be16(u32 at, u16 v) {
  buffer_[at] = static_cast<u8>(v >> 8);
  buffer_[at + 1] = static_cast<u8>(v);
}
void IdeChannel::put_be32(u32 at, u32 v) {
  put_be16(at, static_cast<u16>(v >> 16));
  put_be16(at + 2, static_cast<u16>(v));
}
// Four bytes: a block address, or minute, second and frame.
void IdeChannel::put_address(u32 at, u32 block, bool msf) {
  if (!msf) {
    put_be32(at, block);
    return;
  }
  u64 frames = u64{block} + 150;  // 2 seconds of lead-in pause
  buffer_[at] = 0;
  buffer_[at + 1] = static_cast<u8>(std::min<u64>(frames / 4500, 255));
  buffer_[at + 2] = static_cast<u8>(frames / 75 % 60);
  buffer_[at + 3] = static_cast<u8>(frames % 75);
}

// ---- Protocol ----------------------------------------------------------------------------------

u64 IdeChannel::packet_latency() {
  u64 blocks = 0;
  switch (packet_[0]) {
    case 0x28: blocks = packet_be16(7); break;
    case 0xa8: blocks = packet_be32(6); break;
    case 0xbe: blocks = packet_be32(5) & 0xffffff; break;
    default: return kRegisterNs;
  }
  if (!packet_dma_) return kMediaNs;  // each PIO block has its own time
  return kMediaNs + std::min<u64>(blocks, 65536) * kSectorsPerBlock * kNsPerSector;
}

void IdeChannel::execute_packet() {
  Drive& d = active();
  pos_ = end_ = fill_ = 0;
  sectors_left_ = 0;
  const PacketCommand* c = find_packet(packet_[0]);
  if (!c) {
    packet_fail(kIllegalRequest, kAscOpcode);
    return;
  }
  if (d.media_changed && !(c->flags & kInAttention)) {
    d.media_changed = false;
    packet_fail(kUnitAttention, kAscMediaChanged);
    return;
  }
  if ((c->flags & kNeedsDisc) && !has_disc()) {
    packet_fail(kNotReady, kAscNoMedium, d.tray_open ? 2 : 1);
    return;
  }
  if (packet_[0] != 0x03) d.sense_key = d.asc = d.ascq = 0;
  (this->*c->run)();
}

void IdeChannel::packet_ok() {
  active().tf.count = kReasonCd | kReasonIo;
  pos_ = end_ = fill_ = 0;
  complete_irq();
}

void IdeChannel::packet_fail(u8 key, u8 asc, u8 ascq) {
  Drive& d = active();
  d.sense_key = key;
  d.asc = asc;
  d.ascq = ascq;
  d.tf.count = kReasonCd | kReasonIo;
  pos_ = end_ = fill_ = 0;
  sectors_left_ = 0;
  fail(static_cast<u8>(key << 4 | kAbrt));
}

// Sends the first `limit` of the `n` bytes in the buffer.
void IdeChannel::packet_reply(u32 n, u32 limit) {
  pos_ = 0;
  fill_ = std::min(n, limit);
  sectors_left_ = 0;
  fill_ ? packet_data() : packet_ok();
}

void IdeChannel::packet_read(u32 block, u32 blocks) {
  u32 total = disc_blocks();
  if (block > total || blocks > total - block) {
    packet_fail(kIllegalRequest, kAscLba);
    return;
  }
  if (!blocks) {
    packet_ok();
    return;
  }
  // A count whose sectors do not fit 32 bits is terabytes: no disc.
  if (blocks > 0xffffffff / kSectorsPerBlock) {
    packet_fail(kIllegalRequest, kAscField);
    return;
  }
  lba_ = u64{block} * kSectorsPerBlock;
  sectors_left_ = blocks * kSectorsPerBlock;
  packet_data();
}

void IdeChannel::packet_data() {
  if (packet_dma_) {
    active().tf.count = kReasonIo;
    phase_ = Phase::kDma;
    active().status = kReady | kDrq;
    dma_run();
  } else {
    packet_next_in();
  }
}

// The next piece for the host: at most the byte count limit, and whole blocks of the disc where it allows them.
void IdeChannel::packet_next_in() {
  if (pos_ == fill_ && !fill_from_media()) {
    packet_fail(kMediumError, kAscReadError);
    return;
  }
  u32 n = fill_ - pos_;
  if (n > byte_count_limit_) {
    n = byte_count_limit_;
    n = n >= kBlock ? n & ~(kBlock - 1) : std::max(n & ~u32{1}, u32{2});
  }
  end_ = pos_ + n;
  Drive& d = active();
  d.tf.count = kReasonIo;
  d.tf.lba_mid = static_cast<u8>(n);
  d.tf.lba_high = static_cast<u8>(n >> 8);
  phase_ = Phase::kDataIn;
  d.status = kReady | kDrq;
  d.error = 0;
  raise_irq();
}

// ---- Commands ----------------------------------------------------------------------------------

void IdeChannel::pk_nothing() { packet_ok(); }

void IdeChannel::pk_request_sense() {
  Drive& d = active();
  if (!d.sense_key && d.media_changed) {
    d.media_changed = false;
    d.sense_key = kUnitAttention;
    d.asc = kAscMediaChanged;
    d.ascq = 0;
  }
  std::memset(buffer_.data(), 0, 18);
  buffer_[0] = 0x70;
  buffer_[2] = d.sense_key;
  buffer_[7] = 10;
  buffer_[12] = d.asc;
  buffer_[13] = d.ascq;
  d.sense_key = d.asc = d.ascq = 0;
  packet_reply(18, packet_[4]);
}

void IdeChannel::pk_inquiry() {
  if (packet_[1] & 3) {  // no vital product data
    packet_fail(kIllegalRequest, kAscField);
    return;
  }
  static constexpr char kText[] = "ORIEL   DVD-ROM         1.0 ";
  std::memset(buffer_.data(), 0, 8);
  buffer_[0] = 0x05;  // CD/DVD device
  buffer_[1] = 0x80;  // removable
  buffer_[3] = 0x21;  // ATAPI, response data format 1
  buffer_[4] = 31;
  std::memcpy(&buffer_[8], kText, 28);
  packet_reply(36, packet_be16(3));
}

void IdeChannel::pk_start_stop() {
  Drive& d = active();
  bool load_eject = packet_[4] & 2, start_unit = packet_[4] & 1;
  if ((packet_[4] & 0xf0) || !load_eject) {  // power conditions, spin up or down: nothing to do
    packet_ok();
  } else if (!start_unit && d.locked) {
    packet_fail(kIllegalRequest, kAscRemoval, 2);
  } else {
    if (d.tray_open != !start_unit) {
      d.media_event = !start_unit ? 3 : d.media ? 2 : 0;
      if (start_unit && d.media) d.media_changed = true;
    }
    d.tray_open = !start_unit;
    packet_ok();
  }
}

void IdeChannel::pk_prevent() {
  active().locked = packet_[4] & 1;
  packet_ok();
}

void IdeChannel::pk_read_capacity() {
  u32 blocks = disc_blocks();
  put_be32(0, blocks ? blocks - 1 : 0);
  put_be32(4, kBlock);
  packet_reply(8, 8);
}

void IdeChannel::pk_read10() { packet_read(packet_be32(2), packet_be16(7)); }
void IdeChannel::pk_read12() { packet_read(packet_be32(2), packet_be32(6)); }

// Only the user data of data blocks; audio and raw sectors do not exist in these images.
void IdeChannel::pk_read_cd() {
  u8 type = packet_[1] >> 2 & 7;  // expected sector type: any, mode 1, mode 2 form 1
  u32 blocks = packet_be32(5) & 0xffffff;
  if (type != 0 && type != 2 && type != 4) {
    packet_fail(kIllegalRequest, kAscWrongMode);
  } else if (packet_[10] & 7) {  // subchannel data
    packet_fail(kIllegalRequest, kAscField);
  } else if ((packet_[9] & 0xfe) == 0) {
    packet_read(packet_be32(2), 0);
  } else if ((packet_[9] & 0xfe) == 0x10) {
    packet_read(packet_be32(2), blocks);
  } else {
    packet_fail(kIllegalRequest, kAscField);
  }
}

void IdeChannel::pk_seek() { packet_read(packet_be32(2), 0); }

void IdeChannel::pk_read_toc() {
  bool msf = packet_[1] & 2;
  u8 format = packet_[2] & 15;
  if (!format) format = packet_[9] >> 6;  // where older drives had it
  u8 first = packet_[6];
  u32 blocks = disc_blocks(), n = 0;
  switch (format) {
    case 0: {  // tracks: one data track and the lead-out
      if (first > 1 && first != 0xaa) {
        packet_fail(kIllegalRequest, kAscField);
        return;
      }
      n = 4;
      buffer_[2] = buffer_[3] = 1;
      for (u8 track : {u8{1}, u8{0xaa}}) {
        if (track < first) continue;
        buffer_[n] = buffer_[n + 3] = 0;
        buffer_[n + 1] = track == 1 ? 0x14 : 0x16;
        buffer_[n + 2] = track;
        put_address(n + 4, track == 1 ? 0 : blocks, msf);
        n += 8;
      }
      break;
    }
    case 1:  // sessions
      n = 12;
      std::memset(buffer_.data(), 0, n);
      buffer_[2] = buffer_[3] = buffer_[6] = 1;
      buffer_[5] = 0x14;
      put_address(8, 0, msf);
      break;
    case 2: {  // all of the Q subcode: points A0, A1, A2 and the track
      n = 4;
      buffer_[2] = buffer_[3] = 1;
      for (u8 point : {u8{0xa0}, u8{0xa1}, u8{0xa2}, u8{1}}) {
        std::memset(&buffer_[n], 0, 11);
        buffer_[n] = 1;
        buffer_[n + 1] = 0x14;
        buffer_[n + 3] = point;
        if (point == 0xa0 || point == 0xa1) {
          buffer_[n + 8] = 1;
        } else {
          put_address(n + 7, point == 1 ? 0 : blocks, true);
        }
        n += 11;
      }
      break;
    }
    default: packet_fail(kIllegalRequest, kAscField); return;
  }
  put_be16(0, static_cast<u16>(n - 2));
  packet_reply(n, packet_be16(7));
}

void IdeChannel::pk_get_configuration() {
  struct Feature {
    u16 code;
    u8 version_flags;  // version << 2 | persistent << 1
    u8 length, data[8];
    bool cd, dvd;  // current with such a disc
  };
  static constexpr Feature kFeatures[] = {
      {0x0000, 0x03, 8, {0, 0x10, 0, 0, 0, 0x08, 0, 0}, true, true},  // profiles: DVD-ROM, CD-ROM
      {0x0001, 0x07, 8, {0, 0, 0, 2, 1, 0, 0, 0}, true, true},        // core: ATAPI
      {0x0002, 0x07, 4, {0, 0, 0, 0}, true, true},                    // morphing
      {0x0003, 0x03, 4, {0x29, 0, 0, 0}, true, true},                 // removable: tray, eject, lock
      {0x0010, 0x00, 8, {0, 0, 8, 0, 0, 1, 0, 0}, true, true},        // random readable: 2048-byte blocks
      {0x001e, 0x08, 4, {0, 0, 0, 0}, true, false},                   // CD read
      {0x001f, 0x00, 0, {}, false, true},                             // DVD read
  };
  u8 requested = packet_[1] & 3;
  u16 first = static_cast<u16>(packet_be16(2));
  bool disc = has_disc(), dvd = disc && disc_blocks() > kCdMaxBlocks;
  u16 profile = !disc ? 0 : dvd ? kProfileDvd : kProfileCd;
  if (requested == 3) {
    packet_fail(kIllegalRequest, kAscField);
    return;
  }
  u32 n = 8;
  for (const Feature& f : kFeatures) {
    bool persistent = f.version_flags & 2;
    bool current = persistent || (disc && (dvd ? f.dvd : f.cd));
    if (f.code < first || (requested == 2 && f.code != first) || (requested == 1 && !current)) continue;
    put_be16(n, f.code);
    buffer_[n + 2] = static_cast<u8>((f.version_flags & ~1) | current);
    buffer_[n + 3] = f.length;
    std::memcpy(&buffer_[n + 4], f.data, f.length);
    if (f.code == 0) {  // which of the profiles is current
      buffer_[n + 6] = profile == kProfileDvd;
      buffer_[n + 10] = profile == kProfileCd;
    }
    n += 4u + f.length;
  }
  put_be32(0, n - 4);
  put_be16(4, 0);
  put_be16(6, profile);
  packet_reply(n, packet_be16(7));
}

void IdeChannel::pk_get_event() {
  Drive& d = active();
  if (!(packet_[1] & 1)) {  // only polled operation
    packet_fail(kIllegalRequest, kAscField);
    return;
  }
  buffer_[3] = 0x10;  // supported: media class
  u32 n = 4;
  if (packet_[4] & 0x10) {
    buffer_[2] = 0x04;
    buffer_[4] = d.media_event;
    buffer_[5] = static_cast<u8>(d.tray_open | (has_disc() ? 2 : 0));
    buffer_[6] = buffer_[7] = 0;
    d.media_event = 0;
    n = 8;
  } else {
    buffer_[2] = 0x80;  // no event of a requested class is available
  }
  put_be16(0, static_cast<u16>(n - 2));
  packet_reply(n, packet_be16(7));
}

void IdeChannel::pk_disc_information() {
  if (packet_[1] & 7) {
    packet_fail(kIllegalRequest, kAscField);
    return;
  }
  std::memset(buffer_.data(), 0, 34);
  put_be16(0, 32);
  buffer_[2] = 0x0e;  // complete session on a finalised disc
  for (u32 i = 3; i <= 6; i++) buffer_[i] = 1;
  buffer_[7] = 0x20;                   // unrestricted use
  std::memset(&buffer_[16], 0xff, 8);  // no further lead-in or lead-out
  packet_reply(34, packet_be16(7));
}

void IdeChannel::pk_track_information() {
  u8 type = packet_[1] & 3;
  u32 address = packet_be32(2), blocks = disc_blocks();
  bool found = type == 0 ? address < blocks : address == 1;  // by block, track or session number
  if (!found || type == 3) {
    packet_fail(kIllegalRequest, kAscField);
    return;
  }
  std::memset(buffer_.data(), 0, 36);
  put_be16(0, 34);
  buffer_[2] = buffer_[3] = 1;
  buffer_[5] = 4;  // data track, recorded uninterrupted
  buffer_[6] = 1;  // mode 1
  put_be32(24, blocks);
  packet_reply(36, packet_be16(7));
}

// Appends a mode page and returns its length; 0 when there is no such page.
u32 IdeChannel::put_mode_page(u32 at, u8 page, bool changeable) {
  Drive& d = active();
  static constexpr u8 kRecovery[] = {0x01, 6, 0, 5, 0, 0, 0, 0};
  static constexpr u8 kAudio[] = {0x0e, 14, 4, 0, 0, 0, 0, 75, 1, 255, 2, 255, 0, 0, 0, 0};
  static constexpr u8 kPower[] = {0x1a, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  // Reads CD-R, CD-RW and DVD-ROM; mode 2, multisession; lock, eject, tray; 16x CD speed (2816 kB/s).
  static constexpr u8 kCapabilities[] = {0x2a, 18, 0x0b, 0,    0x70, 0, 0x29, 0, 0x0b, 0,
                                         0,    2,  0,    0x80, 0x0b, 0, 0,    0, 0,    0};
  const u8* from;
  u32 n;
  switch (page) {
    case 0x01: from = kRecovery, n = sizeof kRecovery; break;
    case 0x0e: from = kAudio, n = sizeof kAudio; break;
    case 0x1a: from = kPower, n = sizeof kPower; break;
    case 0x2a: from = kCapabilities, n = sizeof kCapabilities; break;
    default: return 0;
  }
  std::memcpy(&buffer_[at], from, n);
  if (changeable) {
    std::memset(&buffer_[at + 2], 0, n - 2);
  } else if (page == 0x2a && d.locked) {
    buffer_[at + 6] |= 2;
  }
  return n;
}

void IdeChannel::pk_mode_sense() {
  bool ten = packet_[0] == 0x5a;
  u8 control = packet_[2] >> 6, page = packet_[2] & 0x3f;
  if (control == 3) {
    packet_fail(kIllegalRequest, kAscSaving);
    return;
  }
  u32 header = ten ? 8 : 4, n = header;
  for (u8 p : {u8{0x01}, u8{0x0e}, u8{0x1a}, u8{0x2a}}) {
    if (page == p || page == 0x3f) n += put_mode_page(n, p, control == 1);
  }
  if (n == header) {
    packet_fail(kIllegalRequest, kAscField);
    return;
  }
  // 120 mm data disc; door closed without a disc; door open.
  u8 medium = has_disc() ? 0x01 : active().tray_open ? 0x71 : 0x70;
  std::memset(buffer_.data(), 0, header);
  if (ten) {
    put_be16(0, static_cast<u16>(n - 2));
    buffer_[2] = medium;
  } else {
    buffer_[0] = static_cast<u8>(n - 1);
    buffer_[1] = medium;
  }
  packet_reply(n, ten ? packet_be16(7) : packet_[4]);
}

void IdeChannel::pk_mechanism_status() {
  std::memset(buffer_.data(), 0, 8);
  if (active().tray_open) buffer_[1] = 0x10;
  buffer_[5] = 1;  // one slot
  packet_reply(8, packet_be16(8));
}

void IdeChannel::pk_dvd_structure() {
  u8 format = packet_[7];
  u32 blocks = disc_blocks(), n;
  if (blocks <= kCdMaxBlocks) {
    packet_fail(kIllegalRequest, kAscIncompatible, 2);
    return;
  }
  if (packet_[6] > 0) {  // a single layer
    packet_fail(kIllegalRequest, kAscField);
    return;
  }
  std::memset(buffer_.data(), 0, 4 + kBlock);
  switch (format) {
    case 0x00:            // physical format
      buffer_[4] = 0x01;  // DVD-ROM, part version 1
      buffer_[5] = 0x0f;  // 120 mm, no maximum rate
      buffer_[6] = 0x01;  // one layer, read-only
      put_be32(8, 0x030000);
      put_be32(12, 0x030000 + blocks - 1);
      n = 4 + kBlock;
      break;
    case 0x01: n = 8; break;           // copyright: none
    case 0x04: n = 4 + kBlock; break;  // manufacturing information: blank
    default: packet_fail(kIllegalRequest, kAscField); return;
  }
  put_be16(0, static_cast<u16>(n - 2));
  packet_reply(n, packet_be16(8));
}

void IdeChannel::identify_packet() {
  std::memset(buffer_.data(), 0, 512);
  put_word(0, 0x85c0);  // ATAPI, CD/DVD, removable, DRQ within 50 us of PACKET, 12-byte packets
  put_string(10, 10, active_ ? "ORL00004" : "ORL00003");
  put_word(20, 3);
  put_word(21, 512);
  put_string(23, 4, "1.0");
  put_string(27, 20, "ORIEL DVD-ROM");
  put_word(71, 30);
  put_word(72, 30);
  put_word(80, 0x0030);  // ATA/ATAPI-4 and 5
  put_word(82, 0x4210);  // NOP, DEVICE RESET, PACKET
  put_word(83, 0x4000);
  put_word(84, 0x4000);
  put_word(85, 0x4210);
  put_word(87, 0x4000);
  finish_identify();
}

}  // namespace oriel
