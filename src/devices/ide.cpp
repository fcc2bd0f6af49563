// The ATA channel: registers, the PIO, packet and DMA protocols, resets, and the bus master.
// Sources: ATA/ATAPI-6 sections 7 (registers) and 9 (protocols); Intel 82371SB data sheet, section 2.7.
#include "devices/ide.h"

#include <algorithm>
#include <utility>

#include "devices/devutil.h"

namespace oriel {

using namespace ide;

IdeChannel::IdeChannel(Scheduler& sched, Dma& dma, const char* timer_name, IrqLine irq)
    : buffer_(kBufferSize), sched_(sched), dma_(dma), irq_(std::move(irq)) {
  timer_ = sched_.create(timer_name, [this] { on_timer(); });
}

void IdeChannel::attach_disk(unsigned unit, BlockDevice* disk) {
  Drive& d = drives_[unit & 1];
  d = Drive{};
  d.kind = disk ? Kind::kAta : Kind::kNone;
  d.media = disk;
  set_signature(d);
}

void IdeChannel::attach_cdrom(unsigned unit, BlockDevice* disc) {
  Drive& d = drives_[unit & 1];
  d = Drive{};
  d.kind = Kind::kAtapi;
  d.media = disc;
  set_signature(d);
}

void IdeChannel::insert(unsigned unit, BlockDevice* disc) {
  Drive& d = drives_[unit & 1];
  if (d.kind != Kind::kAtapi) return;
  // A transfer under way must not continue from another disc: its remaining reads fail.
  if (active_ == (unit & 1)) lba_ = ~u64{0} >> 1;
  d.media = disc;
  d.tray_open = false;
  d.media_changed = disc != nullptr;
  d.media_event = disc ? 2 : 3;  // new media, media removal
}

// ---- Interrupt and status ----------------------------------------------------------------------

void IdeChannel::update_irq() {
  bool level = drives_[selected()].intrq && !(control_ & kNien);
  if (level && !irq_.level()) bm_status_ |= kBmInterrupt;
  irq_.set(level);
}

void IdeChannel::raise_irq() {
  active().intrq = true;
  update_irq();
}

u8 IdeChannel::status_of_selected() const {
  const Drive& d = drives_[selected()];
  return d.kind == Kind::kNone ? 0 : d.status;
}

u8 IdeChannel::alternate_status() { return status_of_selected(); }

// ---- Registers ---------------------------------------------------------------------------------

u8 IdeChannel::read_register(unsigned reg) {
  if (reg == 6) return device_ | 0xa0;
  Drive& d = drives_[selected()];
  if (d.kind == Kind::kNone) return 0;
  const TaskFile& t = control_ & kHob ? d.hob : d.tf;
  switch (reg) {
    case 1: return d.error;
    case 2: return t.count;
    case 3: return t.lba_low;
    case 4: return t.lba_mid;
    case 5: return t.lba_high;
    default: {
      u8 v = status_of_selected();
      d.intrq = false;
      update_irq();
      return v;
    }
  }
}

void IdeChannel::write_register(unsigned reg, u8 v) {
  if (reg == 7) {
    write_command(v);
    return;
  }
  control_ &= static_cast<u8>(~kHob);
  if (status_of_selected() & kBsy) return;  // a busy drive does not look
  if (reg == 6) {
    device_ = v;
    update_irq();
    return;
  }
  // Both drives latch what is written.
  for (Drive& d : drives_) {
    if (d.kind == Kind::kNone || d.status & kBsy) continue;
    switch (reg) {
      case 1: d.hob.features = std::exchange(d.tf.features, v); break;
      case 2: d.hob.count = std::exchange(d.tf.count, v); break;
      case 3: d.hob.lba_low = std::exchange(d.tf.lba_low, v); break;
      case 4: d.hob.lba_mid = std::exchange(d.tf.lba_mid, v); break;
      case 5: d.hob.lba_high = std::exchange(d.tf.lba_high, v); break;
    }
  }
}

void IdeChannel::write_control(u8 v) {
  u8 old = control_;
  control_ = v;
  if ((v & kSrst) && !(old & kSrst)) {
    abort_all();
    device_ = 0;
    phase_ = Phase::kReset;
    for (Drive& d : drives_) {
      d.intrq = false;
      d.status = kBsy;
    }
  } else if (!(v & kSrst) && (old & kSrst)) {
    start(Phase::kReset, 10 * kRegisterNs);
    for (Drive& d : drives_) d.status = kBsy;
  }
  update_irq();
}

void IdeChannel::start(Phase p, u64 ns) {
  phase_ = p;
  active().status = kBsy;
  sched_.arm(timer_, sched_.now() + ns);
}

void IdeChannel::abort_all() {
  sched_.cancel(timer_);
  phase_ = Phase::kIdle;
  pos_ = end_ = fill_ = 0;
  sectors_left_ = 0;
  bm_status_ &= static_cast<u8>(~kBmActive);
}

void IdeChannel::set_signature(Drive& d) {
  d.hob = TaskFile{};
  d.tf = TaskFile{0, 1, 1, 0, 0};
  d.error = 1;  // diagnostic code: passed
  d.status = kReady;
  if (d.kind == Kind::kAtapi) {
    d.tf.lba_mid = 0x14;
    d.tf.lba_high = 0xeb;
    d.status = 0;  // not ready until it is told IDENTIFY PACKET DEVICE or PACKET
  }
}

void IdeChannel::diagnostics_done(bool interrupt) {
  phase_ = Phase::kIdle;
  device_ = 0;
  active_ = 0;
  for (Drive& d : drives_) set_signature(d);
  if (interrupt && drives_[0].kind != Kind::kNone) raise_irq();
  update_irq();
}

void IdeChannel::reset() {
  abort_all();
  device_ = control_ = command_ = active_ = 0;
  bm_command_ = bm_status_ = 0;
  bm_table_ = 0;
  for (Drive& d : drives_) {
    Drive fresh;
    fresh.kind = d.kind;
    fresh.media = d.media;
    fresh.media_changed = d.media_changed;
    fresh.media_event = d.media_event;
    d = fresh;
    set_signature(d);
  }
  update_irq();
}

// ---- Command completion ------------------------------------------------------------------------

void IdeChannel::complete() {
  phase_ = Phase::kIdle;
  active().status = kReady;
  active().error = 0;
}

void IdeChannel::complete_irq() {
  complete();
  raise_irq();
}

void IdeChannel::fail(u8 error_bits) {
  phase_ = Phase::kIdle;
  active().status = kReady | kErr;
  active().error = error_bits;
  raise_irq();
}

void IdeChannel::abort_command() { fail(kAbrt); }

// ---- Commands and their phases -----------------------------------------------------------------

void IdeChannel::on_timer() {
  bool packet = active().kind == Kind::kAtapi;
  switch (phase_) {
    case Phase::kCommand: execute(); break;
    case Phase::kNextIn: packet ? packet_next_in() : ata_next_in(); break;
    case Phase::kCommitOut: ata_commit_out(); break;
    case Phase::kDma: dma_run(); break;
    case Phase::kPacket: execute_packet(); break;
    case Phase::kReset: diagnostics_done(false); break;
    default: break;
  }
}

void IdeChannel::host_drained_block() {
  if (active().kind == Kind::kAtapi) {
    if (pos_ < fill_ || sectors_left_) {
      start(Phase::kNextIn, kRegisterNs);
    } else {
      packet_ok();
    }
  } else if (sectors_left_) {
    start(Phase::kNextIn, kRegisterNs);
  } else {
    complete();
  }
}

void IdeChannel::host_filled_block() {
  if (phase_ == Phase::kPacketOut) {
    std::memcpy(packet_, buffer_.data(), kPacketSize);
    start(Phase::kPacket, packet_latency());
  } else {
    start(Phase::kCommitOut, kRegisterNs);
  }
}

u32 IdeChannel::read_data(unsigned size) {
  u32 ones = size == 4 ? ~u32{0} : (u32{1} << 8 * size) - 1;
  if (phase_ != Phase::kDataIn || selected() != active_) return ones;
  u32 v = 0, n = std::min<u32>(size, end_ - pos_);
  std::memcpy(&v, &buffer_[pos_], n);
  pos_ += n;
  if (pos_ == end_) host_drained_block();
  return v;
}

void IdeChannel::write_data(u32 value, unsigned size) {
  if ((phase_ != Phase::kDataOut && phase_ != Phase::kPacketOut) || selected() != active_) return;
  u32 n = std::min<u32>(size, end_ - pos_);
  std::memcpy(&buffer_[pos_], &value, n);
  pos_ += n;
  if (pos_ == end_) host_filled_block();
}

// Reads from the medium as much of the transfer as fits into the buffer.
bool IdeChannel::fill_from_media() {
  u32 n = std::min(sectors_left_, kBufferSectors);
  BlockDevice* m = active().media;
  if (!m || lba_ > m->sectors() || n > m->sectors() - lba_ || !m->read(lba_, n, buffer_.data())) return false;
  lba_ += n;
  sectors_left_ -= n;
  pos_ = 0;
  fill_ = n * 512;
  return true;
}

// ---- Bus master --------------------------------------------------------------------------------

u8 IdeChannel::bus_master_read(unsigned reg) {
  switch (reg) {
    case 0: return bm_command_;
    case 2: return bm_status_;
    case 4:
    case 5:
    case 6:
    case 7: return static_cast<u8>(bm_table_ >> 8 * (reg - 4));
    default: return 0xff;
  }
}

void IdeChannel::bus_master_write(unsigned reg, u8 v) {
  switch (reg) {
    case 0: {
      bool was = bm_command_ & kBmStart;
      bm_command_ = v & 0x09;
      if ((v & kBmStart) && !was) {
        bm_status_ |= kBmActive;
        if (phase_ == Phase::kDma) sched_.arm(timer_, sched_.now() + 1000);
      } else if (!(v & kBmStart) && was) {
        bm_status_ &= static_cast<u8>(~kBmActive);
      }
      break;
    }
    case 2:  // error and interrupt are cleared by writing 1; the "drive is DMA capable" bits are storage
      bm_status_ = static_cast<u8>((bm_status_ & ~(v & (kBmError | kBmInterrupt)) & ~0x60) | (v & 0x60));
      break;
    case 4:
    case 5:
    case 6:
    case 7: {
      unsigned shift = 8 * (reg - 4);
      bm_table_ = (bm_table_ & ~(u32{0xff} << shift)) | static_cast<u32>(v) << shift;
      bm_table_ &= ~u32{3};
      break;
    }
    default: break;
  }
}

// Moves up to `n` bytes between `p` and the memory the table describes; less than `n` when the table ends.
usize IdeChannel::dma_move(PrdCursor& c, u8* p, usize n, bool to_memory) {
  constexpr unsigned kMaxEntries = 8192;  // a table is at most 64 KiB
  usize done = 0;
  while (done < n) {
    if (!c.left) {
      if (c.last || c.entries == kMaxEntries) break;
      u32 entry[2];
      dma_.read(c.next, entry, sizeof entry);
      c.next = (c.next & 0xffff0000) | ((c.next + 8) & 0xffff);  // the table does not cross 64 KiB
      c.entries++;
      c.address = entry[0] & ~u32{1};
      c.left = (entry[1] & 0xfffe) ? entry[1] & 0xfffe : 0x10000;
      c.last = entry[1] >> 31;
    }
    u32 k = static_cast<u32>(std::min<usize>(c.left, n - done));
    if (to_memory) {
      dma_.write(c.address, p + done, k);
    } else {
      dma_.read(c.address, p + done, k);
    }
    c.address += k;
    c.left -= k;
    done += k;
  }
  return done;
}

// After the whole transfer: the engine stays active if the table describes more memory than there was data.
void IdeChannel::dma_finish(const PrdCursor& c) {
  if (c.last && !c.left) bm_status_ &= static_cast<u8>(~kBmActive);
}

// The table describes less memory than the drive has data for: the engine stops, the drive waits, and no
// interrupt comes; the host's time-out resets the drive.
void IdeChannel::dma_stall() {
  bm_status_ &= static_cast<u8>(~kBmActive);
  phase_ = Phase::kDma;
  active().status = kReady | kDrq;
}

// Both sides are ready: the whole transfer happens now, as its time has passed.
void IdeChannel::dma_run() {
  if (phase_ != Phase::kDma || !(bm_command_ & kBmStart) || !(bm_status_ & kBmActive)) return;
  if (!bus_mastering_) {
    dma_stall();
    return;
  }
  Drive& d = active();
  bool packet = d.kind == Kind::kAtapi;
  bool to_memory = packet || command_ == 0xc8 || command_ == 0xc9 || command_ == 0x25;
  PrdCursor c{bm_table_};
  while (sectors_left_ || pos_ < fill_) {
    if (to_memory) {
      if (pos_ == fill_ && !fill_from_media()) break;
      u32 n = fill_ - pos_;
      if (dma_move(c, &buffer_[pos_], n, true) < n) {
        dma_stall();
        return;
      }
      pos_ = fill_;
    } else {
      u32 n = std::min(sectors_left_, kBufferSectors);
      if (dma_move(c, buffer_.data(), n * 512, false) < n * 512) {
        dma_stall();
        return;
      }
      if (!d.media->write(lba_, n, buffer_.data())) break;
      lba_ += n;
      sectors_left_ -= n;
    }
  }
  bool failed = sectors_left_ != 0;
  sectors_left_ = 0;
  pos_ = end_ = fill_ = 0;
  if (failed) {
    bm_status_ &= static_cast<u8>(~kBmActive);
    if (packet) {
      packet_fail(3, 0x11);  // medium error, unrecovered read error
    } else {
      put_lba(lba_);
      fail(to_memory ? kUnc : kAbrt);
    }
    return;
  }
  dma_finish(c);
  if (packet) {
    packet_ok();
  } else {
    if (lba_) put_lba(lba_ - 1);
    complete_irq();
  }
}

// Whether the active drive can be in this phase: for restored states.
bool IdeChannel::phase_possible() const {
  Kind kind = drives_[active_ & 1].kind;
  switch (phase_) {
    case Phase::kIdle:
    case Phase::kReset: return true;
    case Phase::kCommand: return kind != Kind::kNone || command_ == 0x90;
    case Phase::kDataIn:
    case Phase::kNextIn:
    case Phase::kDma: return kind != Kind::kNone;
    case Phase::kDataOut:
    case Phase::kCommitOut: return kind == Kind::kAta;
    case Phase::kPacketOut:
    case Phase::kPacket: return kind == Kind::kAtapi;
    default: return false;
  }
}

// ---- State -------------------------------------------------------------------------------------

void IdeChannel::state(State& s) {
  for (Drive& d : drives_) {
    u8 kind = static_cast<u8>(d.kind);
    s.io(kind);
    if (kind != static_cast<u8>(d.kind)) s.bad = true;  // another machine's snapshot
    for (TaskFile* t : {&d.tf, &d.hob}) {
      s.io(t->features);
      s.io(t->count);
      s.io(t->lba_low);
      s.io(t->lba_mid);
      s.io(t->lba_high);
    }
    s.io(d.error);
    s.io(d.status);
    io_bool(s, d.intrq);
    s.io(d.heads);
    s.io(d.sectors_per_track);
    s.io(d.multiple);
    s.io(d.transfer_mode);
    io_bool(s, d.write_cache);
    s.io(d.sense_key);
    s.io(d.asc);
    s.io(d.ascq);
    s.io(d.media_event);
    io_bool(s, d.tray_open);
    io_bool(s, d.locked);
    io_bool(s, d.media_changed);
    if (!d.heads || d.heads > 16 || !d.sectors_per_track || d.multiple > 16) s.bad = true;
  }
  s.io(device_);
  s.io(control_);
  s.io(command_);
  s.io(active_);
  s.io(phase_);
  io_bool(s, packet_dma_);
  s.io(byte_count_limit_);
  s.io(packet_);
  s.io(lba_);
  s.io(sectors_left_);
  s.io(pos_);
  s.io(end_);
  s.io(fill_);
  s.io(bm_command_);
  s.io(bm_status_);
  s.io(bm_table_);
  io_line(s, irq_);
  u32 used = std::max(end_, fill_);
  bool host_data = phase_ == Phase::kDataIn || phase_ == Phase::kDataOut || phase_ == Phase::kPacketOut;
  if (active_ > 1 || used > kBufferSize || pos_ > used || (host_data && pos_ >= end_) || byte_count_limit_ > 0xfffe ||
      !phase_possible()) {
    s.bad = true;
  }
  if (s.bad && s.loading()) {
    for (Drive& d : drives_) d.heads = 16, d.sectors_per_track = 63, d.multiple = 0;
    active_ = 0;
    abort_all();
    return;
  }
  s.bytes(buffer_.data(), used);
}

}  // namespace oriel
