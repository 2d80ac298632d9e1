// The bytes of the running kernel's BTF, and of its modules'.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sys/unique_fd.h"

namespace ktap::sys {

class KernelBtf {
 public:
  /// Maps the file where the kernel lets us (6.16), else reads it. Nothing when there is none.
  /// Cost: microseconds mapped, 3 ms read (5 MB).
  /// `name`: of a module, what is in the folder.
  static std::optional<KernelBtf> open(const std::string& name = "vmlinux");
  /// The modules that are loaded and say what their types are, in the order of their names.
  static std::vector<std::string> modules();
  KernelBtf(KernelBtf&& other) noexcept;
  KernelBtf& operator=(KernelBtf&& other) noexcept;
  ~KernelBtf();

  const uint8_t* data() const { return data_; }
  size_t size_bytes() const { return size_bytes_; }

 private:
  KernelBtf() = default;

  uint8_t* data_ = nullptr;
  size_t size_bytes_ = 0;
};

/// The types of a loaded module as the kernel has them, for programs at its functions: its BTF
/// object, to load them with. Not valid: there is none, or we may not have it.
/// Cost: three system calls for each BTF object of the machine, the kernel's own, modules' and
/// programs'.
UniqueFd open_module_types(const std::string& module);

}  // namespace ktap::sys
