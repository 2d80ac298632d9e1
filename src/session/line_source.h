// The lines of an interactive session: from a terminal with editing, from anything else as they
// come.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "sys/line_editor.h"

namespace ktap::session {

using sys::LineEditor;

/// Reads standard input. `wait` is asked before each read.
class LineSource {
 public:
  static Result<std::unique_ptr<LineSource>> open(std::function<LineEditor::Wait()> wait);
  virtual ~LineSource() = default;

  virtual LineEditor::Got read(const std::string& prompt, std::string* line) = 0;
  virtual bool is_terminal() const = 0;
  virtual void hide_prompt() {}
  virtual void show_prompt() {}
};

}  // namespace ktap::session
