// Owns every heap object; mark and sweep at safe points. The VM registers itself as the source of
// roots. Nothing is collected while values are made: only collect() frees, and the VM alone calls
// it.
#pragma once

#include <cstddef>
#include <functional>
#include <string_view>
#include <vector>

#include "runtime/value.h"

namespace ktap::runtime {

struct Cell;

class Heap {
 public:
  Heap();
  ~Heap();
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;

  Value string(std::string_view bytes);
  /// 2 to limits::kMaxKeyParts parts, none of them a tuple.
  Value tuple(const Value* parts, size_t count);
  Table* table();
  Closure* closure();
  Cell* cell();
  Iterator* iterator(Table* table);
  /// One that walks `keys` in their order.
  Iterator* sorted_iterator(Table* table, std::vector<Value> keys);

  /// Called by collect(); marks with mark().
  void set_roots(std::function<void(Heap&)> roots);
  void mark(Value value) {
    if (value.is_object()) mark(value.object);
  }
  void mark(Object* object);
  /// True when enough was allocated since the last collection; the VM asks at safe points. With
  /// KTAP_HOSTILE: always.
  bool wants_collection() const {
#ifdef KTAP_HOSTILE
    return true;
#else
    return bytes_ >= threshold_;
#endif
  }
  void collect();
  size_t live_bytes() const { return bytes_; }
  size_t object_count() const { return object_count_; }

 private:
  void link(Object* object, size_t bytes);
  void mark_children(Object* object);
  size_t destroy(Object* object);
  String* make_string(std::string_view bytes);
  String* intern(std::string_view bytes);
  void grow_pool();
  void sweep_pool();
  void sweep();

  size_t bytes_ = 0;
  size_t threshold_;
  size_t object_count_ = 0;
  Object* objects_ = nullptr;
  std::vector<Object*> gray_;
  std::vector<String*> pool_;  // interned strings by hash, chained; a power of two
  size_t pool_count_ = 0;
  std::function<void(Heap&)> roots_;
};

}  // namespace ktap::runtime
