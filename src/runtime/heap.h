// Owns every heap object; incremental mark and sweep. The VM registers itself as the source of
// roots and lets the collector work for a slice at its safe points: nothing is freed while values
// are made.
//
// A cycle: mark the roots, then what they reach, slice by slice; at the end the roots once more and
// what that adds, at once; then sweep, slice by slice. What keeps it right while the script runs
// on: whoever stores an object into a heap object shades it (Dijkstra's insertion barrier), objects
// made during a cycle are born reached, and variables on the stack are seen by the last look at the
// roots.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "runtime/pool.h"
#include "runtime/table.h"
#include "runtime/value.h"

namespace ktap::runtime {

struct Cell;
struct Distribution;
class SampleSource;
class StackNames;

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
  /// With room for so many upvalues.
  Closure* closure(size_t upvalue_count);
  Cell* cell();
  Aggregate* aggregate();
  Histogram* histogram(Distribution distribution);
  /// To a C type of the kernel; null_pointer() for address 0.
  Value pointer(int64_t address, uint32_t type, uint32_t pointers);
  /// Of the kernel's code.
  Value address(int64_t number);
  /// Of words as Stack has them: the owner, then addresses up to the first 0, at most.
  Value stack(const uint64_t* words, size_t count);
  Iterator* iterator(Table* table);
  /// One that walks `keys` in their order.
  Iterator* sorted_iterator(Table* table, std::vector<Value> keys);

  /// Where aggregates that say so get samples from; null: nowhere, what they have is all.
  void set_sample_source(SampleSource* source) { sample_source_ = source; }

  /// Who names the frames of stacks that are printed; null: they print as addresses.
  void set_stack_names(StackNames* names) { stack_names_ = names; }

  /// Called twice in a cycle, at its start and at the end of marking; marks with mark().
  void set_roots(std::function<void(Heap&)> roots);
  void mark(Value value) {
    if (value.is_object()) mark(value.object);
  }
  void mark(Object* object) {
    if (object != nullptr && object->mark != current_) reach(object);
  }
  /// The write barrier: called with each value that is stored into a heap object.
  void shade(Value value) {
    if (phase_ == Phase::Marking) mark(value);
  }
  void shade(Object* object) {
    if (phase_ == Phase::Marking) mark(object);
  }

  /// True when enough was allocated for a slice of work; the VM asks at safe points. With
  /// KTAP_HOSTILE: always.
  bool wants_collection() const {
#ifdef KTAP_HOSTILE
    return true;
#else
    return bytes_ >= next_slice_;
#endif
  }
  /// A slice of work, in proportion to what was allocated since the last one. False when what is
  /// alive takes more than the limit; all that could be freed is then freed.
  bool step();
  /// Everything that is unreachable now is freed before this returns.
  void collect();
  /// Bounds live_bytes(), as far as step() can see to it. SIZE_MAX: no bound.
  void set_limit_bytes(size_t limit);
  size_t limit_bytes() const { return limit_; }
  /// Bytes of all objects that were not freed yet.
  size_t live_bytes() const { return bytes_; }
  size_t object_count() const { return object_count_; }

 private:
  friend class Table;
  enum class Phase : uint8_t { Idle, Marking, Sweeping };

  void link(Object* object, size_t bytes);
  void reach(Object* object);
  void start_cycle();
  /// Work on the present phase until `units` (objects and table cells looked at) are spent; false:
  /// the phase has more to do.
  bool work(int64_t units);
  bool mark_slice(int64_t& units);
  bool sweep_slice(int64_t& units);
  void finish_marking();
  void finish_cycle();
  void plan_next_slice();
  void mark_children(Object* object, int64_t& units);
  size_t destroy(Object* object);
  String* make_string(std::string_view bytes);
  String* intern(std::string_view bytes);
  void grow_pool();
  void leave_pool(const String& string);

  Pool memory_;
  SampleSource* sample_source_ = nullptr;
  StackNames* stack_names_ = nullptr;
  size_t bytes_ = 0;
  size_t threshold_;        // bytes at which the next cycle starts
  size_t next_slice_;       // bytes at which step() is wanted
  size_t slice_start_ = 0;  // bytes at the end of the last slice
  size_t limit_ = SIZE_MAX;
  size_t object_count_ = 0;
  Object* objects_ = nullptr;
  Phase phase_ = Phase::Idle;
  uint8_t current_ = 0;        // the mark of objects that are reached; flips with each cycle
  std::vector<Object*> gray_;  // reached, their children not yet
  Table* scanned_ = nullptr;   // a table whose cells are looked at slice by slice
  Table::ScanPoint scan_point_;
  Object** sweep_at_ = nullptr;  // the link to the next object to sweep
  std::vector<String*> pool_;    // interned strings by hash, chained; a power of two
  size_t pool_count_ = 0;
  std::function<void(Heap&)> roots_;
#ifdef KTAP_HOSTILE
  unsigned hostile_turn_ = 0;
#endif
};

inline void Table::shade(const Value& value) {
  if (value.is_object() && heap_ != nullptr) heap_->shade(value);
}

inline bool Table::set_list(int64_t key, const Value& value) {
  uint64_t i = static_cast<uint64_t>(key) - 1;
  if (value.is_nil()) return false;
  if (i < list_size_ && !list_[i].is_nil()) {
    shade(value);
    copy_value(list_[i], value);
    return true;
  }
  if (i != list_size_ || i >= list_capacity_ || hash_live_ != 0) return false;
  shade(value);
  copy_value(list_[i], value);
  ++list_size_;
  ++list_live_;
  return true;
}

}  // namespace ktap::runtime
