// The state of a generic `for`: a walk through a table (pairs) or through keys that were sorted
// before.
#pragma once

#include <cstddef>
#include <vector>

#include "runtime/table.h"
#include "runtime/value.h"

namespace ktap::runtime {

/// Never seen by a script. Entries that vanish during the walk are skipped, changed values are
/// seen, new entries are not.
class Iterator : public Object {
 public:
  Iterator() : Object(Type::Iterator) {}

  /// Requires: `table` is set. False at the end.
  bool next(Value& key, Value& value) {
    if (!sorted) {
      if (table->next(cursor, key, value)) return true;
      table->end_walk();
      return false;
    }
    while (index < keys.size()) {
      key = keys[index++];
      value = table->get(key);
      if (!value.is_nil()) return true;
    }
    return false;
  }

  Table* table = nullptr;
  bool sorted = false;
  Table::Cursor cursor;     ///< pairs
  std::vector<Value> keys;  ///< sorted
  size_t index = 0;

 private:
  friend class Heap;
  size_t accounted_bytes_ = 0;
};

}  // namespace ktap::runtime
