// Strings: immutable bytes behind the object's head. Short ones are interned, so that equal ones
// are one object.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "runtime/value.h"

namespace ktap::runtime {

/// Made by Heap::string() alone; the bytes follow the object.
class String : public Object {
 public:
  /// Strings up to this length are interned.
  static constexpr size_t kMaxInterned = 40;

  std::string_view view() const { return {reinterpret_cast<const char*>(this + 1), size_}; }
  size_t size() const { return size_; }
  bool interned() const { return size_ <= kMaxInterned; }
  /// Cached for long strings, ready for short ones.
  uint32_t hash() const {
    if (!hashed_) compute_hash();
    return hash_;
  }

 private:
  friend class Heap;
  friend struct StringPool;
  String() : Object(Type::String) {}
  void compute_hash() const;

  uint32_t size_ = 0;
  mutable uint32_t hash_ = 0;
  mutable bool hashed_ = false;
  String* chain_ = nullptr;  // of the pool's bucket
};

/// Same bytes? Cheap when either is interned.
inline bool same_string(const String* a, const String* b) {
  if (a == b) return true;
  if (a->size() != b->size() || a->interned()) return false;
  return a->hash() == b->hash() && a->view() == b->view();
}

/// Of any bytes, the same for the same bytes.
uint32_t hash_bytes(std::string_view bytes);

}  // namespace ktap::runtime
