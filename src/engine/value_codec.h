// A table's value between its two homes: bytes of the kernel map's value and a runtime Value.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "backend/unit.h"
#include "engine/key_codec.h"
#include "runtime/heap.h"
#include "runtime/value.h"

namespace ktap::engine {

/// For one table of a unit. Requires: `strings` (of the module) outlives it.
class ValueCodec {
 public:
  ValueCodec(const backend::Table& table, const std::vector<std::string>& strings);

  size_t size_bytes() const { return table_.value_size_bytes; }
  /// False: a program was writing it. Look again.
  bool is_whole(const uint8_t* key, const uint8_t* value) const;
  runtime::Value decode(const uint8_t* value, runtime::Heap& heap) const;
  /// False for what the map cannot hold: another type, a string that is too long or that no kernel
  /// code names. Such an entry lives in user space alone.
  bool encode(const uint8_t* key, runtime::Value value, std::vector<uint8_t>* bytes);

 private:
  uint64_t check(const uint8_t* key, const uint8_t* value) const;

  backend::Table table_;
  backend::Table layout_;  ///< the value as the only part of a key
  KeyCodec codec_;
};

}  // namespace ktap::engine
