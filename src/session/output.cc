// Buffered writing that notices a reader who went away.
#include "session/output.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace ktap::session {

namespace {

constexpr mode_t kMode = 0600;  // what was traced is its owner's alone

Error cannot_write(const std::string& path) {
  return Error{"cannot write to " + path + ": " + std::strerror(errno), errno};
}

Result<void> write_all(int fd, const std::string& path, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n > 0) {
      text.remove_prefix(static_cast<size_t>(n));
    } else if (errno != EINTR) {
      return cannot_write(path);
    }
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Output>> Output::open(const std::string& path) {
  std::unique_ptr<Output> standard(new Output(STDOUT_FILENO, false));
  if (path.empty()) return standard;
  const bool is_picture = path.ends_with(".svg");
  // An older picture stays until there is a new one.
  const int fd =
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | (is_picture ? 0 : O_TRUNC), kMode);
  if (fd < 0) return cannot_write(path);
  if (!is_picture) return std::unique_ptr<Output>(new Output(fd, true));
  standard->picture_fd_ = fd;
  standard->picture_path_ = path;
  return standard;
}

Output::~Output() {
  flush();
  if (owned_) ::close(fd_);
  if (picture_fd_ >= 0) ::close(picture_fd_);
}

bool Output::is_terminal() const { return ::isatty(fd_) == 1; }

bool Output::shows_colours() const {
  const char* no_colour = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  return is_terminal() && !diverted_ && (no_colour == nullptr || *no_colour == '\0') &&
         terminal != nullptr && std::strcmp(terminal, "dumb") != 0;
}

Result<void> Output::write_picture(std::string_view svg) {
  has_drawn_ = true;
  if (::lseek(picture_fd_, 0, SEEK_SET) != 0 || ::ftruncate(picture_fd_, 0) != 0)
    return cannot_write(picture_path_);
  return write_all(picture_fd_, picture_path_, svg);
}

std::string Output::missing_picture() const {
  if (picture_fd_ < 0 || has_drawn_) return "";
  return picture_path_ + ": no picture was drawn; print_flame and print_heatmap draw them";
}

Result<void> Output::write_file(const std::string& path, std::string_view text) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, kMode);
  if (fd < 0) return cannot_write(path);
  Result<void> written = write_all(fd, path, text);
  ::close(fd);
  return written;
}

void Output::write(std::string_view text) {
  if (broken_) return;
  buffer_.append(text);
  if (buffer_.size() >= kBufferBytes) flush();
}

void Output::flush() {
  if (buffer_.empty()) return;
  if (diverted_) {
    diverted_(buffer_);
    return buffer_.clear();
  }
  if (before_) before_();
  size_t done = 0;
  while (done < buffer_.size() && !broken_) {
    const ssize_t n = ::write(fd_, buffer_.data() + done, buffer_.size() - done);
    if (n > 0) {
      done += static_cast<size_t>(n);
    } else if (errno != EINTR) {
      broken_ = true;
      if (errno != EPIPE) failure_ = std::string("writing the output: ") + std::strerror(errno);
    }
  }
  buffer_.clear();
  if (after_) after_();
}

}  // namespace ktap::session
