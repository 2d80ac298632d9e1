// A terminal as a screen that is drawn anew: keys come as they are hit, the lines from before stay
// behind another screen. Whatever ends the process but SIGKILL gives the terminal back as it was.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "sys/unique_fd.h"

namespace ktap::sys {

/// One at a time, while sys::Signals is there: it keeps Ctrl-C from ending the process.
class Terminal {
 public:
  /// Of this process, whatever standard input is. Errors: there is none.
  static Result<std::unique_ptr<Terminal>> take();
  /// Gives it back.
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  /// For output of others that is to stay: the screen from before, until resume().
  void suspend();
  void resume();

  struct Size {
    size_t rows;
    size_t columns;
  };
  /// 24 × 80 when it does not tell.
  Size size() const;
  /// Readable when a key was hit.
  int fd() const { return fd_.get(); }
  /// What was typed since the last call; `ended`: nothing will come any more.
  std::string take_keys(bool* ended);
  void draw(std::string_view text);

 private:
  explicit Terminal(UniqueFd fd) : fd_(std::move(fd)) {}

  UniqueFd fd_;
};

}  // namespace ktap::sys
