// libedit asks for its next key through a function of ours, which waits in the event loop.
#include "sys/line_editor.h"

#include <histedit.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <cwchar>

namespace ktap::sys {

namespace {

constexpr int kHistoryLines = 1000;

class LibeditEditor final : public LineEditor {
 public:
  LibeditEditor(std::function<Wait()> wait, std::string history_file)
      : wait_(std::move(wait)), history_file_(std::move(history_file)) {}

  ~LibeditEditor() override {
    if (editor_ != nullptr) el_end(editor_);
    if (history_ != nullptr) history_end(history_);
  }
  LibeditEditor(const LibeditEditor&) = delete;
  LibeditEditor& operator=(const LibeditEditor&) = delete;

  bool start() {
    std::setlocale(LC_CTYPE, "");
    history_ = history_init();
    editor_ = el_init("ktap", stdin, stdout, stderr);
    if (editor_ == nullptr || history_ == nullptr) return false;
    HistEvent event;
    history(history_, &event, H_SETSIZE, kHistoryLines);
    history(history_, &event, H_SETUNIQUE, 1);
    if (!history_file_.empty()) history(history_, &event, H_LOAD, history_file_.c_str());
    el_set(editor_, EL_CLIENTDATA, this);
    el_set(editor_, EL_PROMPT, prompt_of);
    el_set(editor_, EL_SIGNAL, 0);
    el_set(editor_, EL_EDITOR, "emacs");
    el_set(editor_, EL_HIST, history, history_);
    el_set(editor_, EL_GETCFN, key_of);
    el_source(editor_, nullptr);  // the user's ~/.editrc
    return true;
  }

  Got read(const std::string& prompt, std::string* line) override {
    prompt_ = prompt;
    interrupted_ = false;
    reading_ = true;
    int count = 0;
    // Before the prompt is seen: a ^D that comes to a terminal which still makes lines is lost.
    el_set(editor_, EL_PREP_TERM, 1);
    const char* text = el_gets(editor_, &count);
    reading_ = false;
    if (interrupted_) {
      std::fputs("^C\n", stdout);
      std::fflush(stdout);
      return Got::Interrupted;
    }
    if (text == nullptr || count <= 0) {
      std::fputs("\n", stdout);
      std::fflush(stdout);
      return Got::End;
    }
    line->assign(text, static_cast<size_t>(count));
    while (!line->empty() && (line->back() == '\n' || line->back() == '\r')) line->pop_back();
    remember(*line);
    return Got::Line;
  }

  void hide() override {
    if (!reading_) return;
    std::fputs("\r\x1b[K", stdout);
    std::fflush(stdout);
  }

  void show() override {
    if (reading_) el_set(editor_, EL_REFRESH);
  }

 private:
  static LibeditEditor* self(EditLine* editor) {
    void* data = nullptr;
    el_get(editor, EL_CLIENTDATA, &data);
    return static_cast<LibeditEditor*>(data);
  }

  static char* prompt_of(EditLine* editor) { return self(editor)->prompt_.data(); }

  static int key_of(EditLine* editor, wchar_t* key) { return self(editor)->next_key(key); }

  /// 1 with a key, 0 at the end, -1 when interrupted.
  int next_key(wchar_t* key) {
    std::mbstate_t state{};
    while (true) {
      const Wait waited = wait_();
      if (waited == Wait::Interrupted) {
        interrupted_ = true;
        errno = EINTR;
        return -1;
      }
      if (waited == Wait::Ended) return 0;
      char byte = 0;
      const ssize_t count = ::read(STDIN_FILENO, &byte, 1);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return 0;
      const size_t length = std::mbrtowc(key, &byte, 1, &state);
      if (length == static_cast<size_t>(-2)) continue;  // more bytes follow
      if (length == static_cast<size_t>(-1)) {
        state = {};
        continue;
      }
      return 1;
    }
  }

  void remember(const std::string& line) {
    if (line.find_first_not_of(" \t") == std::string::npos) return;
    HistEvent event;
    history(history_, &event, H_ENTER, line.c_str());
    if (history_file_.empty()) return;
    history(history_, &event, H_SAVE, history_file_.c_str());
    chmod(history_file_.c_str(), 0600);
  }

  std::function<Wait()> wait_;
  std::string history_file_;
  std::string prompt_;
  EditLine* editor_ = nullptr;
  History* history_ = nullptr;
  bool reading_ = false;
  bool interrupted_ = false;
};

void make_folders(const std::string& path) {
  for (size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1))
    mkdir(path.substr(0, at).c_str(), 0700);
}

}  // namespace

Result<std::unique_ptr<LineEditor>> LineEditor::create(std::function<Wait()> wait,
                                                       const std::string& history_file) {
  auto editor = std::make_unique<LibeditEditor>(std::move(wait), history_file);
  if (!editor->start()) return Error{"the terminal cannot be used for editing lines", 0};
  return std::unique_ptr<LineEditor>(std::move(editor));
}

std::string history_path() {
  const char* state = std::getenv("XDG_STATE_HOME");
  const char* home = std::getenv("HOME");
  std::string path;
  if (state != nullptr && state[0] == '/') {
    path = state;
  } else if (home != nullptr && home[0] == '/') {
    path = std::string(home) + "/.local/state";
  } else {
    return "";
  }
  path += "/ktap/history";
  make_folders(path);
  return path;
}

}  // namespace ktap::sys
