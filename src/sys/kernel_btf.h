// The bytes of the running kernel's BTF.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace ktap::sys {

class KernelBtf {
 public:
  /// Maps the file where the kernel lets us (6.16), else reads it. Nothing when there is none.
  /// Cost: microseconds mapped, 3 ms read (5 MB).
  static std::optional<KernelBtf> open();
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

}  // namespace ktap::sys
