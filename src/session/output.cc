// Buffered writing that notices a reader who went away.
#include "session/output.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

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

/// Where a link leads.
std::string real_path(const std::string& path) {
  char* const found = ::realpath(path.c_str(), nullptr);
  if (found == nullptr) return path;
  std::string real(found);
  std::free(found);
  return real;
}

/// The file can be made, or overwritten: tried before anything is traced for it. What is no file, a
/// pipe say, would wait for a reader and cannot be replaced. Gives where links lead.
Result<std::string> try_file(const std::string& path) {
  const int made = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, kMode);
  if (made >= 0) {
    ::close(made);
    ::unlink(path.c_str());
    return path;
  }
  if (errno != EEXIST) return cannot_write(path);
  struct stat status = {};
  if (::stat(path.c_str(), &status) != 0) {
    if (errno != ENOENT) return cannot_write(path);
    // A link to nothing. The kernel follows it, so that what it guards links by holds here too.
    const int beyond = ::open(path.c_str(), O_WRONLY | O_CREAT | O_NONBLOCK | O_CLOEXEC, kMode);
    if (beyond < 0) return cannot_write(path);
    ::close(beyond);
    std::string real = real_path(path);
    ::unlink(real.c_str());
    return real;
  }
  if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode))
    return Error{
        "cannot write to " + path + ": a picture needs a file, and this is a pipe or a device",
        EINVAL};
  const int there = ::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
  if (there < 0) return cannot_write(path);
  ::close(there);
  return real_path(path);
}

/// Of the terminal: where nothing says so the picture is drawn in letters.
bool has_256_colours() {
  const char* const colours = std::getenv("COLORTERM");
  const char* const name = std::getenv("TERM");
  const std::string_view terminal = name == nullptr ? "" : name;
  if (terminal.empty() || terminal == "dumb") return false;
  if (colours != nullptr && *colours != '\0') return true;
  if (terminal.find("256color") != std::string_view::npos) return true;
  for (const std::string_view known : {"xterm", "screen", "tmux"}) {
    if (terminal.starts_with(known)) return true;
  }
  return false;
}

/// Where a folder takes no other files: in place.
Result<void> overwrite(const std::string& path, std::string_view text) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_TRUNC | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return cannot_write(path);
  ::fchmod(fd, kMode);  // of another's file its owner says who may read it
  Result<void> written = write_all(fd, path, text);
  if (::close(fd) != 0 && written.ok()) return cannot_write(path);
  return written;
}

}  // namespace

Result<std::unique_ptr<Output>> Output::open(const std::string& path) {
  std::unique_ptr<Output> standard(new Output(STDOUT_FILENO, false));
  if (path.empty()) return standard;
  if (path.ends_with(".svg")) {
    if (const Result<std::string> possible = try_file(path); !possible.ok())
      return possible.error();
    standard->picture_path_ = path;
    return standard;
  }
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, kMode);
  if (fd < 0) return cannot_write(path);
  return std::unique_ptr<Output>(new Output(fd, true));
}

Output::~Output() {
  flush();
  if (owned_) ::close(fd_);
}

void Output::begin() {
  if (!std::exchange(has_begun_, true) && owned_)
    static_cast<void>(::ftruncate(fd_, 0));  // a pipe or device has nothing to lose
}

bool Output::is_terminal() const { return ::isatty(fd_) == 1; }

bool Output::shows_colours() const {
  const char* no_colour = std::getenv("NO_COLOR");
  return is_terminal() && !diverted_ && (no_colour == nullptr || *no_colour == '\0') &&
         has_256_colours();
}

Result<void> Output::write_picture(const std::string& path, std::string_view picture) {
  has_drawn_ = true;
  return write_file(path.empty() ? picture_path_ : path, picture);
}

std::string Output::missing_picture() const {
  if (picture_path_.empty() || has_drawn_) return "";
  return picture_path_ + ": no picture was drawn; print_flame and print_heatmap draw them";
}

Result<void> Output::write_file(const std::string& path, std::string_view text) {
  const Result<std::string> possible = try_file(path);
  if (!possible.ok()) return possible.error();
  const std::string& real = possible.value();
  // Not NAME and more: that may be too long for a name.
  std::string beside = real.substr(0, real.rfind('/') + 1) + ".ktap.XXXXXX";
  const int fd = ::mkostemp(beside.data(), O_CLOEXEC);  // its owner's alone
  if (fd < 0) return overwrite(real, text);
  Result<void> written = write_all(fd, path, text);
  if (::close(fd) != 0 && written.ok()) written = cannot_write(path);
  if (written.ok() && ::rename(beside.c_str(), real.c_str()) != 0) written = cannot_write(path);
  if (!written.ok()) ::unlink(beside.c_str());
  return written;
}

Result<void> Output::write_standard(std::string_view text) {
  return write_all(STDOUT_FILENO, "standard output", text);
}

void Output::write(std::string_view text) {
  if (broken_) return;
  buffer_.append(text);
  if (buffer_.size() >= kBufferBytes) flush();
}

void Output::write_warning(std::string_view text) {
  if (diverted_) return write(text);
  flush();
  if (before_) before_();
  // Who closed it wants none.
  static_cast<void>(write_all(STDERR_FILENO, "standard error", text));
  if (after_) after_();
}

void Output::flush() {
  if (buffer_.empty()) return;
  if (diverted_) {
    diverted_(buffer_);
    return buffer_.clear();
  }
  begin();
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
