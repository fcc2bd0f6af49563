#include "cli/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include <cstdio>

#include "cli/files.h"

namespace oriel::cli {

namespace {

termios g_saved;
constexpr char kCtrlA = 1;
constexpr char kHelp[] =
    "Ctrl-A x  quit (the disks are flushed)\r\n"
    "Ctrl-A p  press the power button\r\n"
    "Ctrl-A r  reset the machine\r\n"
    "Ctrl-A s  print the state of the CPU\r\n"
    "Ctrl-A a  send Ctrl-A\r\n";

// True when everything was written.
bool write_all(int fd, const char* p, usize n) {
  while (n) {
    ssize_t k = ::write(fd, p, n);
    if (k < 0 && (errno == EINTR || errno == EAGAIN)) {
      if (errno == EAGAIN) {
        pollfd w{fd, POLLOUT, 0};
        ::poll(&w, 1, 1000);
      }
      continue;
    }
    if (k <= 0) return false;
    p += k, n -= static_cast<usize>(k);
  }
  return true;
}

}  // namespace

TerminalInput::TerminalInput(Commands c) : commands_(std::move(c)), tty_(::isatty(0)) {
  if (!tty_) return;
  ::tcgetattr(0, &g_saved);
  termios raw = g_saved;
  ::cfmakeraw(&raw);
  raw.c_oflag |= OPOST;
  ::tcsetattr(0, TCSANOW, &raw);
}

TerminalInput::~TerminalInput() {
  if (tty_) ::tcsetattr(0, TCSANOW, &g_saved);
}

void TerminalInput::wait(int ms) {
  pollfd p{0, POLLIN, 0};
  ::poll(&p, ended_ ? 0 : 1, ms);
}

void TerminalInput::read() {
  if (ended_ || pending_.size() > 65536) return;
  pollfd p{0, POLLIN, 0};
  if (::poll(&p, 1, 0) <= 0) return;
  char buf[4096];
  ssize_t n = ::read(0, buf, sizeof buf);
  if (n <= 0) {
    ended_ = n == 0 || (errno != EINTR && errno != EAGAIN);
    return;
  }
  if (!tty_) {  // a pipe is sent as it is; the commands are for a person
    pending_.append(buf, static_cast<usize>(n));
    return;
  }
  for (ssize_t k = 0; k < n; k++) {
    const char b = buf[k];
    if (!escaped_) {
      if (b == kCtrlA)
        escaped_ = true;
      else
        pending_ += b;
      continue;
    }
    escaped_ = false;
    switch (b) {
      case 'x': commands_.quit(); break;
      case 'p': commands_.power(); break;
      case 'r': commands_.reset(); break;
      case 's': {
        const std::string dump = "\r\n" + commands_.dump() + "\r\n";
        write_all(2, dump.data(), dump.size());
        break;
      }
      case 'a':
      case kCtrlA: pending_ += kCtrlA; break;
      default: write_all(2, kHelp, sizeof kHelp - 1); break;
    }
  }
}

void TerminalInput::drain(const std::function<usize(const u8*, usize)>& take) {
  if (pending_.empty()) return;
  pending_.erase(0, take(reinterpret_cast<const u8*>(pending_.data()), pending_.size()));
}

ByteSink::~ByteSink() {
  flush();
  if (owned_) ::close(fd_);
}

bool ByteSink::open(const Target& t, int stdio_fd, std::string& error) {
  if (t.kind == Target::Kind::kStdio) fd_ = stdio_fd;
  if (t.kind != Target::Kind::kFile) return true;
  fd_ = ::open(t.path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  owned_ = fd_ >= 0;
  if (!owned_) error = file_error(t.path, errno);
  return owned_;
}

void ByteSink::add(const u8* p, usize n) {
  if (fd_ >= 0) buffer_.append(reinterpret_cast<const char*>(p), n);
}

bool ByteSink::flush() {
  bool ok = buffer_.empty() || write_all(fd_, buffer_.data(), buffer_.size());
  buffer_.clear();
  return ok;
}

}  // namespace oriel::cli
