// Where print and its kin go: a file or standard output, buffered; flushed when the event loop has
// nothing to do. With -o NAME.svg pictures go to that file, all else to standard output.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace ktap::session {

class Output {
 public:
  /// `path` empty: standard output; NAME.svg: the file of pictures. Errors: the file cannot be
  /// made.
  static Result<std::unique_ptr<Output>> open(const std::string& path);
  ~Output();
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  /// What the file holds from before goes: at the first writing, or when tracing begins. A run that
  /// fails before, or only looks, leaves it.
  void begin();
  void write(std::string_view text);
  /// Lets `text` append to the buffer; gives what it gives.
  template <class Text>
  bool append(Text text) {
    if (broken_) return true;
    const bool done = text(buffer_);
    if (buffer_.size() >= kBufferBytes) flush();
    return done;
  }
  void flush();
  /// To standard error, behind what was written before. A diverted output takes it as well: the
  /// screen is that one's.
  void write_warning(std::string_view text);
  /// Where it goes, for a program whose output stands between ours.
  int fd() {
    begin();
    return fd_;
  }
  /// Called around each writing, for a prompt that shares the screen.
  void around_writing(std::function<void()> before, std::function<void()> after) {
    before_ = std::move(before);
    after_ = std::move(after);
  }
  /// What is written goes there from now on; null: to the file again.
  void divert(std::function<void(std::string_view)> to) {
    flush();
    diverted_ = std::move(to);
  }
  /// It goes to a screen that shows colours (NO_COLOR is not set).
  bool shows_colours() const;
  bool is_terminal() const;
  bool has_picture_file() const { return !picture_path_.empty(); }
  /// In place of what is there. `path` empty: to the file of pictures. Requires then:
  /// has_picture_file(). Errors: in words.
  Result<void> write_picture(const std::string& path, std::string_view picture);
  /// "" or that no picture was drawn, into no file: that of -o is not there then, or is the one
  /// from before.
  std::string missing_picture() const;
  /// Makes `path` hold `text` alone, at once: whoever looks sees the file from before or this one.
  /// Errors: in words; then it is as before.
  static Result<void> write_file(const std::string& path, std::string_view text);
  /// To standard output, past all buffers.
  static Result<void> write_standard(std::string_view text);
  /// The reader has gone (EPIPE) or the disk is full: what a run does about it is to end.
  bool broken() const { return broken_; }
  /// "" or why output was lost, for the user. A reader that went away is no error.
  const std::string& failure() const { return failure_; }

 private:
  static constexpr size_t kBufferBytes = size_t{64} * 1024;

  Output(int fd, bool owned) : fd_(fd), owned_(owned) {}

  int fd_;
  bool owned_;
  std::string picture_path_;  ///< "": none
  bool has_begun_ = false;
  bool has_drawn_ = false;
  bool broken_ = false;
  std::string failure_;
  std::string buffer_;
  std::function<void(std::string_view)> diverted_;
  std::function<void()> before_;
  std::function<void()> after_;
};

}  // namespace ktap::session
