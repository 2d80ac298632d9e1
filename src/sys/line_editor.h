// One line from the terminal, with editing and history (libedit); the wait for keys is the
// caller's, so that it can do other things meanwhile.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"

namespace ktap::sys {

class LineEditor {
 public:
  enum class Wait : uint8_t { Input, Interrupted, Ended };
  enum class Got : uint8_t { Line, Interrupted, End };

  /// Reads standard input, which is a terminal. `wait` comes back when a key was hit, Ctrl-C was,
  /// or nothing more is wanted. `history_file` "": none is kept.
  static Result<std::unique_ptr<LineEditor>> create(std::function<Wait()> wait,
                                                    const std::string& history_file);
  virtual ~LineEditor() = default;

  /// `line` is without its newline. A line that holds more than blanks goes to the history.
  virtual Got read(const std::string& prompt, std::string* line) = 0;

  /// Takes the prompt and the line in the making off the screen, and puts them back, around output
  /// that comes between. Nothing outside read().
  virtual void hide() = 0;
  virtual void show() = 0;
};

/// Where the history is kept: $XDG_STATE_HOME/ktap/history, ~/.local/state/ktap/history; "" without
/// a home. Makes the folders.
std::string history_path();

}  // namespace ktap::sys
