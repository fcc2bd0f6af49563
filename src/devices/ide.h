// One ATA channel with up to two drives (ATA disks or ATAPI CD/DVD drives) and its bus-master DMA engine.
// Sources: ATA/ATAPI-6 (T13 1410D) sections 6 to 9; MMC-3 (T10 1363D); Intel 82371SB data sheet, section 2.7.
#pragma once

#include <string_view>

#include "devices/device.h"
#include "storage/block.h"

namespace oriel {

class IdeChannel {
 public:
  IdeChannel(Scheduler& sched, Dma& dma, const char* timer_name, IrqLine irq);
  IdeChannel(const IdeChannel&) = delete;
  IdeChannel& operator=(const IdeChannel&) = delete;

  // Drives are attached before the guest runs; the caller keeps ownership of the media and keeps them alive.
  void attach_disk(unsigned unit, BlockDevice* disk);
  void attach_cdrom(unsigned unit, BlockDevice* disc);  // null: an empty drive
  // Changes the disc (null: none), as if the tray had been opened and closed.
  void insert(unsigned unit, BlockDevice* disc);
  bool tray_open(unsigned unit) const { return drives_[unit & 1].tray_open; }

  u32 read_data(unsigned size);
  void write_data(u32 value, unsigned size);
  u8 read_register(unsigned reg);  // 1 to 7: offset from the command block's base
  void write_register(unsigned reg, u8 v);
  u8 alternate_status();
  void write_control(u8 v);
  u8 bus_master_read(unsigned reg);  // 0 to 7
  void bus_master_write(unsigned reg, u8 v);
  void set_bus_mastering(bool on) { bus_mastering_ = on; }  // the PCI command register's bit

  void reset();
  void state(State& s);

 private:
  enum class Kind : u8 { kNone, kAta, kAtapi };
  // What the channel's active drive is doing. In the phases with a timer the drive shows BSY.
  enum class Phase : u8 {
    kIdle,
    kCommand,    // timer: execute the command
    kDataIn,     // DRQ: the host reads the buffer
    kDataOut,    // DRQ: the host fills the buffer
    kNextIn,     // timer: prepare the next block for the host
    kCommitOut,  // timer: write the block to the medium
    kDma,        // waiting for the bus master, or (timer) moving the data
    kPacketOut,  // DRQ: the host writes the command packet
    kPacket,     // timer: execute the packet
    kReset,      // SRST is set, or (timer) the drives are getting ready after it
  };
  struct TaskFile {
    u8 features, count, lba_low, lba_mid, lba_high;
  };
  struct Drive {
    Kind kind = Kind::kNone;
    BlockDevice* media = nullptr;
    TaskFile tf{}, hob{};  // hob: what each register held before the last write
    u8 error = 1, status = 0;
    bool intrq = false;
    // ATA
    u8 heads = 16, sectors_per_track = 63, multiple = 0, transfer_mode = 0;
    bool write_cache = true;
    // ATAPI
    u8 sense_key = 0, asc = 0, ascq = 0, media_event = 0;
    bool tray_open = false, locked = false, media_changed = false;
  };
  // Position in a PRD table during one transfer.
  struct PrdCursor {
    u32 next, address = 0, left = 0;
    unsigned entries = 0;
    bool last = false;
  };
  struct Command;
  struct PacketCommand;
  static constexpr u32 kBufferSectors = 128, kBufferSize = kBufferSectors * 512, kPacketSize = 12;

  // ide.cpp: registers, protocols, DMA
  unsigned selected() const { return device_ >> 4 & 1; }
  Drive& active() { return drives_[active_]; }
  u8 status_of_selected() const;
  void update_irq();
  void raise_irq();
  void start(Phase p, u64 ns);
  void write_command(u8 v);
  void on_timer();
  void set_signature(Drive& d);
  void abort_all();
  void diagnostics_done(bool interrupt);
  void complete();           // no error, no interrupt
  void complete_irq();       // no error
  void fail(u8 error_bits);  // ERR, with an interrupt
  void abort_command();
  void host_drained_block();
  void host_filled_block();
  usize dma_move(PrdCursor& c, u8* p, usize n, bool to_memory);
  void dma_run();
  void dma_finish(const PrdCursor& c);
  void dma_stall();
  bool fill_from_media();
  bool phase_possible() const;

  // ide_ata.cpp
  static const Command* find_command(u8 opcode, Kind kind);
  u64 command_latency(const Command& c);
  void execute();
  bool get_range(bool ext, bool lba48_count);
  void put_lba(u64 lba);
  u32 current_count(bool ext) const;
  void identify();
  void set_features();
  void put_string(unsigned word, unsigned words, std::string_view text);
  void put_word(unsigned word, u16 v) { store(&buffer_[word * 2], v); }
  void finish_identify();
  void send_buffer(u32 n);
  void ata_next_in();
  void ata_commit_out();
  void ata_request_out();
  u32 block_sectors() const;

  // ide_atapi.cpp
  static const PacketCommand* find_packet(u8 opcode);
  u64 packet_latency();
  void identify_packet();
  void execute_packet();
  bool has_disc() const;
  u32 disc_blocks() const;
  void packet_ok();
  void packet_fail(u8 key, u8 asc, u8 ascq = 0);
  void packet_reply(u32 n, u32 limit);
  void packet_read(u32 block, u32 blocks);
  void packet_data();
  void packet_next_in();
  void put_be16(u32 at, u16 v);
  void put_be32(u32 at, u32 v);
  void put_address(u32 at, u32 block, bool msf);
  u32 packet_be16(unsigned at) const;
  u32 packet_be32(unsigned at) const;
  void pk_nothing();
  void pk_request_sense();
  void pk_inquiry();
  void pk_start_stop();
  void pk_prevent();
  void pk_read_capacity();
  void pk_read10();
  void pk_read12();
  void pk_read_cd();
  void pk_seek();
  void pk_read_toc();
  void pk_get_configuration();
  void pk_get_event();
  void pk_disc_information();
  void pk_track_information();
  void pk_mode_sense();
  void pk_mechanism_status();
  void pk_dvd_structure();
  u32 put_mode_page(u32 at, u8 page, bool changeable);

  Drive drives_[2];
  u8 device_ = 0, control_ = 0, command_ = 0, active_ = 0;
  Phase phase_ = Phase::kIdle;
  bool packet_dma_ = false;
  u32 byte_count_limit_ = 0;
  u8 packet_[kPacketSize] = {};
  u64 lba_ = 0;           // next sector (512 bytes) of the transfer
  u32 sectors_left_ = 0;  // still to be read from or written to the medium
  // Host data is buffer_[pos_, end_); an ATAPI reply may go on to fill_ in further blocks.
  u32 pos_ = 0, end_ = 0, fill_ = 0;
  std::vector<u8> buffer_;
  u8 bm_command_ = 0, bm_status_ = 0;
  u32 bm_table_ = 0;
  bool bus_mastering_ = false;

  Scheduler& sched_;
  Dma& dma_;
  Scheduler::TimerId timer_;
  IrqLine irq_;
};

// Status and error register bits, and the bits of the bus master's registers.
namespace ide {
constexpr u8 kBsy = 0x80, kDrdy = 0x40, kDsc = 0x10, kDrq = 0x08, kErr = 0x01;
constexpr u8 kReady = kDrdy | kDsc;
constexpr u8 kUnc = 0x40, kIdnf = 0x10, kAbrt = 0x04;
constexpr u8 kDevLba = 0x40;
constexpr u8 kNien = 0x02, kSrst = 0x04, kHob = 0x80;
constexpr u8 kReasonCd = 0x01, kReasonIo = 0x02;  // ATAPI interrupt reason, in the sector count register
constexpr u8 kBmStart = 0x01, kBmActive = 0x01, kBmError = 0x02, kBmInterrupt = 0x04;
constexpr u64 kRegisterNs = 10'000;  // a command without media access; a PIO block
constexpr u64 kMediaNs = 50'000;     // access to the medium, plus kNsPerSector for each sector
constexpr u64 kNsPerSector = 1000;   // about 500 MB/s
}  // namespace ide

}  // namespace oriel
