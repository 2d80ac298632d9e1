// Read into pages of our own where the file cannot be mapped: given back as soon as it was walked.
#include "sys/kernel_btf.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "sys/bpf_quiet.h"

namespace ktap::sys {

namespace {

const std::string kFolder = "/sys/kernel/btf/";

bool read_all(int fd, uint8_t* data, size_t size_bytes) {
  for (size_t done = 0; done < size_bytes;) {
    const ssize_t got = read(fd, data + done, size_bytes - done);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    done += static_cast<size_t>(got);
  }
  return true;
}

}  // namespace

std::vector<std::string> KernelBtf::modules() {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir(kFolder.c_str()), closedir);
  if (folder == nullptr) return names;
  while (const dirent* entry = readdir(folder.get())) {
    if (entry->d_name[0] != '.' && entry->d_name != std::string("vmlinux"))
      names.emplace_back(entry->d_name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::optional<KernelBtf> KernelBtf::open(const std::string& name) {
  UniqueFd fd(::open((kFolder + name).c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status = {};
  if (!fd.valid() || fstat(fd.get(), &status) != 0 || status.st_size <= 0) return std::nullopt;
  KernelBtf btf;
  btf.size_bytes_ = static_cast<size_t>(status.st_size);
  void* data = mmap(nullptr, btf.size_bytes_, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (data == MAP_FAILED) {
    data =
        mmap(nullptr, btf.size_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) return std::nullopt;
    btf.data_ = static_cast<uint8_t*>(data);
    if (!read_all(fd.get(), btf.data_, btf.size_bytes_)) return std::nullopt;
    return btf;
  }
  btf.data_ = static_cast<uint8_t*>(data);
  return btf;
}

UniqueFd open_module_types(const std::string& module) {
  silence_libbpf();
  for (uint32_t id = 0; bpf_btf_get_next_id(id, &id) == 0;) {
    UniqueFd fd(bpf_btf_get_fd_by_id(id));
    if (!fd.valid()) continue;  // it has gone meanwhile
    char name[64] = {};         // MODULE_NAME_LEN is less
    bpf_btf_info info = {};
    info.name = reinterpret_cast<uintptr_t>(name);
    info.name_len = sizeof name;
    uint32_t size_bytes = sizeof info;
    if (bpf_obj_get_info_by_fd(fd.get(), &info, &size_bytes) != 0 || info.kernel_btf == 0) continue;
    if (name == module) return fd;
  }
  return UniqueFd();
}

KernelBtf::KernelBtf(KernelBtf&& other) noexcept { *this = std::move(other); }

KernelBtf& KernelBtf::operator=(KernelBtf&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_bytes_, other.size_bytes_);
  return *this;
}

KernelBtf::~KernelBtf() {
  if (data_ != nullptr) munmap(data_, size_bytes_);
}

}  // namespace ktap::sys
