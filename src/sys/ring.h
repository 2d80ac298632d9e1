// The reading end of a BPF ring buffer. The layout is the kernel's (Documentation/bpf/ringbuf.rst):
// a consumer page, a producer page, then the data mapped twice in a row so that no record is ever
// split. Of the data only a window is mapped, which goes along with the records: 16 MB of an 8 MB
// ring would count as our memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "base/result.h"
#include "sys/bpf.h"
#include "sys/unique_fd.h"

namespace ktap::sys {

/// The position behind `known` whose low bytes a 32-bit kernel shows, whose positions are words of
/// 4 bytes. Pure.
constexpr uint64_t widened_position(uint64_t known, uint32_t shown) {
  return known + static_cast<uint32_t>(shown - static_cast<uint32_t>(known));
}

class RingReader {
 public:
  static Result<RingReader> open(const Map& ring);
  RingReader(RingReader&& other) noexcept;
  RingReader& operator=(RingReader&& other) noexcept;
  ~RingReader();

  /// Hands over the records that were there when it was called, oldest first; returns how many. A
  /// record's bytes live until `deliver` returns.
  size_t drain(const std::function<void(const uint8_t* data, size_t size_bytes)>& deliver);

  /// Readable once a program has asked for a wake-up since the last drain. Records without one do
  /// not show: the reader polls on its own clock.
  int wake_fd() const { return epoll_.get(); }

 private:
  RingReader() = default;
  /// The bytes at a position, at least `bytes` of them; null when they cannot be mapped.
  const uint8_t* at(uint64_t position, size_t bytes);
  void unmap_window();
  uint64_t produced() const;
  void publish(uint64_t position);

  UniqueFd epoll_;
  UniqueFd ring_;
  size_t ring_bytes_ = 0;
  size_t page_bytes_ = 0;
  bool is_narrow_ = false;            ///< the kernel's positions have 4 bytes
  uint64_t position_ = 0;             ///< ours
  uint8_t* consumer_page_ = nullptr;  ///< where we write it
  uint8_t* producer_page_ = nullptr;  ///< written by the kernel
  uint8_t* window_ = nullptr;         ///< data from window_begin_ on
  uint64_t window_begin_ = 0;         ///< a position
  size_t window_bytes_ = 0;
};

}  // namespace ktap::sys
