// Buffered writing that notices a reader who went away.
#include "session/output.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace ktap::session {

Result<std::unique_ptr<Output>> Output::open(const std::string& path) {
  if (path.empty()) return std::unique_ptr<Output>(new Output(STDOUT_FILENO, false));
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return Error{"cannot write to " + path + ": " + std::strerror(errno), errno};
  return std::unique_ptr<Output>(new Output(fd, true));
}

Output::~Output() {
  flush();
  if (owned_) ::close(fd_);
}

void Output::write(std::string_view text) {
  if (broken_) return;
  buffer_.append(text);
  if (buffer_.size() >= kBufferBytes) flush();
}

void Output::flush() {
  if (buffer_.empty()) return;
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
