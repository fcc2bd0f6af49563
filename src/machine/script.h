// A script that uses a machine as a person would: it waits for text on the serial port or the screen, and types.
// One command a line; '#' begins a comment; "text" takes \n, \r, \t, \e, \\, \" and \xHH.
//
//   wait serial "text"    until COM1 has sent it, after what earlier waits matched
//   wait screen "text"    until a text screen shows it
//   send "text"           to COM1
//   type "text"           on the keyboard (US layout)
//   key NAME              a key, with modifiers: enter, f1, ctrl-c, ctrl-alt-delete, ...
//   sleep MS              of the guest's time
//   screenshot FILE       the screen as a PNG
//   print screen          the screen's text on standard output
//   power                 the power button
//   end                   stop the machine
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "machine/machine.h"

namespace oriel {

class Script {
 public:
  // Null and one line in `error`.
  static std::unique_ptr<Script> parse(const std::string& text, std::string& error);

  void serial_output(const u8* data, usize n);  // what COM1 sent

  // Goes on as far as possible. Call it between slices of the machine, and again at once after kScreenshot or kPrint.
  enum class Step : u8 {
    kWaiting,
    kScreenshot /* to text() */,
    kPrint /* text() */,
    kEnd,
    kFinished /* no more commands */
  };
  Step step(Machine& m);
  const std::string& text() const { return text_; }
  // What it waits for, for the report when the time is over.
  std::string waiting_for() const;
  // The guest's time until step() can do more without new output; ~0: only output helps.
  u64 idle_ns(Machine& m) const;

 private:
  enum class Verb : u8 {
    kWaitSerial,
    kWaitScreen,
    kSend,
    kType,
    kKey,
    kSleep,
    kScreenshot,
    kPrintScreen,
    kPower,
    kEnd
  };
  struct Command {
    Verb verb;
    unsigned line;
    std::string text;
    u64 number = 0;
  };
  struct KeyEvent {
    u16 code;
    bool down;
  };
  static bool press(const std::string& name, std::vector<KeyEvent>& out);
  static bool type_char(char c, std::vector<KeyEvent>& out);
  bool begin(Machine& m);  // of commands_[at_]

  std::vector<Command> commands_;
  usize at_ = 0;
  bool begun_ = false;
  std::string serial_;  // unmatched output
  std::string send_;
  std::deque<KeyEvent> keys_;
  u64 until_ns_ = 0;
  std::string text_;
};

}  // namespace oriel
