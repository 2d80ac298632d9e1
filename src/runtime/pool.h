// Memory for what is small and short-lived: objects, short lists, a table's first entries. A free
// list for each size in steps of 16 bytes, filled from chunks. What is given back serves the same
// size again; chunks go back when the pool does. Under a sanitizer everything comes from malloc,
// for a use after the end to be seen.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "base/check.h"

namespace ktap::runtime {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kPoolIsMalloc = true;
#elif defined(__has_feature)
constexpr bool kPoolIsMalloc = __has_feature(address_sanitizer);
#else
constexpr bool kPoolIsMalloc = false;
#endif

class Pool {
 public:
  Pool() = default;
  ~Pool() {
    for (void* chunk : chunks_) std::free(chunk);
  }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// Never null.
  void* take(size_t bytes) {
    if (bytes <= kMaxBytes && !kPoolIsMalloc) {
      size_t size_class = class_of(bytes);
      Free* first = free_[size_class];
      if (first == nullptr) return carve(size_class);
      free_[size_class] = first->next;
      return first;
    }
    return check(std::malloc(bytes));
  }
  /// `bytes`: as it was taken.
  void give(void* memory, size_t bytes) {
    if (bytes <= kMaxBytes && !kPoolIsMalloc) {
      if (memory == nullptr) return;
      auto* freed = static_cast<Free*>(memory);
      Free*& first = free_[class_of(bytes)];
      freed->next = first;
      first = freed;
      return;
    }
    std::free(memory);
  }
  /// A block of `bytes` that begins with what was in the old one; `memory` may be null when
  /// `old_bytes` is 0.
  void* resize(void* memory, size_t old_bytes, size_t bytes) {
    if (old_bytes > kMaxBytes && bytes > kMaxBytes) return check(std::realloc(memory, bytes));
    void* moved = take(bytes);
    if (old_bytes != 0) std::memcpy(moved, memory, old_bytes < bytes ? old_bytes : bytes);
    give(memory, old_bytes);
    return moved;
  }

 private:
  struct Free {
    Free* next;
  };
  static constexpr size_t kStep = 16;
  static constexpr size_t kMaxBytes = 256;
  static constexpr size_t kChunkBytes = size_t{64} << 10;

  static size_t class_of(size_t bytes) { return bytes == 0 ? 1 : (bytes + kStep - 1) / kStep; }
  static void* check(void* memory) {
    if (memory == nullptr) out_of_memory();
    return memory;
  }
  void* carve(size_t size_class) {
    size_t bytes = size_class * kStep;
    if (bytes > left_) {  // the rest of the old chunk, less than kMaxBytes, is lost
      chunks_.push_back(check(std::malloc(kChunkBytes)));
      at_ = static_cast<char*>(chunks_.back());
      left_ = kChunkBytes;
    }
    void* memory = at_;
    at_ += bytes;
    left_ -= bytes;
    return memory;
  }

  Free* free_[kMaxBytes / kStep + 1] = {};
  char* at_ = nullptr;
  size_t left_ = 0;
  std::vector<void*> chunks_;
};

}  // namespace ktap::runtime
