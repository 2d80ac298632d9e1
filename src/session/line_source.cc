// See line_source.h.
#include "session/line_source.h"

#include <unistd.h>

#include <cerrno>
#include <utility>

namespace ktap::session {

namespace {

class Terminal final : public LineSource {
 public:
  explicit Terminal(std::unique_ptr<LineEditor> editor) : editor_(std::move(editor)) {}

  LineEditor::Got read(const std::string& prompt, std::string* line) override {
    return editor_->read(prompt, line);
  }
  bool is_terminal() const override { return true; }
  void hide_prompt() override { editor_->hide(); }
  void show_prompt() override { editor_->show(); }

 private:
  std::unique_ptr<LineEditor> editor_;
};

class Pipe final : public LineSource {
 public:
  explicit Pipe(std::function<LineEditor::Wait()> wait) : wait_(std::move(wait)) {}

  LineEditor::Got read(const std::string&, std::string* line) override {
    while (true) {
      const size_t newline = text_.find('\n');
      if (newline != std::string::npos) {
        line->assign(text_, 0, newline);
        text_.erase(0, newline + 1);
        return LineEditor::Got::Line;
      }
      if (ended_) return take_rest(line);
      switch (wait_()) {
        case LineEditor::Wait::Ended:
        case LineEditor::Wait::Interrupted:
          return LineEditor::Got::End;
        case LineEditor::Wait::Input:
          break;
      }
      char buffer[4096];
      const ssize_t count = ::read(STDIN_FILENO, buffer, sizeof buffer);
      if (count > 0) text_.append(buffer, static_cast<size_t>(count));
      if (count == 0 || (count < 0 && errno != EINTR)) ended_ = true;
    }
  }
  bool is_terminal() const override { return false; }

 private:
  /// A last line without its newline.
  LineEditor::Got take_rest(std::string* line) {
    if (text_.empty()) return LineEditor::Got::End;
    *line = std::exchange(text_, {});
    return LineEditor::Got::Line;
  }

  std::function<LineEditor::Wait()> wait_;
  std::string text_;
  bool ended_ = false;
};

}  // namespace

Result<std::unique_ptr<LineSource>> LineSource::open(std::function<LineEditor::Wait()> wait) {
  if (isatty(STDIN_FILENO) == 0)
    return std::unique_ptr<LineSource>(std::make_unique<Pipe>(std::move(wait)));
  Result<std::unique_ptr<LineEditor>> editor =
      LineEditor::create(std::move(wait), sys::history_path());
  if (!editor.ok()) return editor.error();
  return std::unique_ptr<LineSource>(std::make_unique<Terminal>(std::move(editor).value()));
}

}  // namespace ktap::session
