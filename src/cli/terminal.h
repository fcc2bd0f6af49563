// The serial port on the terminal: raw mode, the Ctrl-A commands, and output that leaves in order.
#pragma once

#include <functional>
#include <string>

#include "base/types.h"
#include "cli/options.h"

namespace oriel::cli {

// Standard input as serial input: bytes wait here until the guest's port takes them.
class TerminalInput {
 public:
  struct Commands {
    std::function<void()> quit, power, reset;
    std::function<std::string()> dump;
  };
  explicit TerminalInput(Commands c);
  ~TerminalInput();
  // Waits up to `ms` for input; a signal ends the wait too.
  void wait(int ms);
  void read();
  void drain(const std::function<usize(const u8*, usize)>& take);
  bool waiting() const { return !pending_.empty(); }

 private:
  Commands commands_;
  std::string pending_;
  bool tty_, escaped_ = false, ended_ = false;
};

// Where a port's bytes go.
class ByteSink {
 public:
  ~ByteSink();
  bool open(const Target& t, int stdio_fd, std::string& error);
  void add(const u8* p, usize n);
  // False: the reader is gone.
  bool flush();

 private:
  int fd_ = -1;
  bool owned_ = false;
  std::string buffer_;
};

}  // namespace oriel::cli
