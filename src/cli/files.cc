// Reading needs a distinction of "cannot" from "empty"; writing goes through a second file beside
// the first, so that a full disk or a crash never costs the user a script.
#include "cli/files.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace ktap::cli {

namespace {

constexpr size_t kMostBytes = size_t{64} << 20;  // of a script; /dev/zero has no end

std::string too_long() {
  return fmt::format(" is no script: it has more than {} MB", kMostBytes >> 20);
}

/// The whole text of an open file; false when reading fails (a directory, say).
bool read_all(std::FILE* file, std::string& text) {
  char buffer[65536];
  size_t count = 0;
  while (text.size() <= kMostBytes && (count = std::fread(buffer, 1, sizeof buffer, file)) > 0)
    text.append(buffer, count);
  return std::ferror(file) == 0;
}

bool write_all(int fd, const std::string& text) {
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t count = write(fd, text.data() + done, text.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    done += static_cast<size_t>(count);
  }
  return true;
}

std::string cannot(const char* what, const std::string& path) {
  return std::string("cannot ") + what + " " + path + ": " + std::strerror(errno);
}

}  // namespace

std::string read_file(const std::string& path, std::string& text) {
  if (path == "-") {
    const bool read = read_all(stdin, text);
    if (read) return text.size() > kMostBytes ? "standard input" + too_long() : "";
    return std::string("cannot read the script from standard input: ") + std::strerror(errno);
  }
  std::FILE* file = std::fopen(path.c_str(), "rbe");
  const bool read = file != nullptr && read_all(file, text);
  const int error = errno;
  if (file != nullptr) std::fclose(file);
  errno = error;
  if (read && text.size() > kMostBytes) return path + too_long();
  return read ? "" : cannot("read", path);
}

std::string replace_file(const std::string& path, const std::string& text) {
  const std::unique_ptr<char, decltype(&std::free)> real(realpath(path.c_str(), nullptr),
                                                         &std::free);
  struct stat old {};
  if (!real || stat(real.get(), &old) != 0) return cannot("write", path);
  if (access(real.get(), W_OK) != 0) return cannot("write", path);
  std::string other = std::string(real.get()) + ".XXXXXX";
  const int fd = mkstemp(other.data());
  if (fd < 0) return cannot("write beside", path);
  const bool written = write_all(fd, text) && fchmod(fd, old.st_mode & 07777) == 0 &&
                       (geteuid() != 0 || fchown(fd, old.st_uid, old.st_gid) == 0);
  const int error = errno;
  const bool closed = close(fd) == 0;
  if (written && closed && std::rename(other.c_str(), real.get()) == 0) return "";
  if (!written) errno = error;
  std::string wrong = cannot("write", path);
  unlink(other.c_str());
  return wrong;
}

}  // namespace ktap::cli
