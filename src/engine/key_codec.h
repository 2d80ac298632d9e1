// A table's key between its two homes: bytes of the kernel map's key and a runtime Value.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "backend/unit.h"
#include "runtime/heap.h"
#include "runtime/value.h"
#include "ssa/function.h"

namespace ktap::engine {

/// For one table of a unit. Requires: `layout`, `strings` (of the module) and `heap` outlive it.
class KeyCodec {
 public:
  KeyCodec(const backend::Table& layout, const std::vector<std::string>& strings);

  /// One part is the value itself, more are a tuple.
  runtime::Value decode(const uint8_t* key, runtime::Heap& heap) const;
  /// False when the kernel could not make such a key: another type or number of parts, a string
  /// that no kernel code names or that is too long. Such an entry lives in user space alone.
  bool encode(runtime::Value key, std::vector<uint8_t>* bytes);

 private:
  // `bytes`: of the part, zeros before it is encoded.
  runtime::Value decode_part(const ssa::KeyPart& shape, const uint8_t* bytes,
                             runtime::Heap& heap) const;
  runtime::Value decode_word(const ssa::KeyPart& shape, const uint8_t* bytes,
                             runtime::Heap& heap) const;
  runtime::Value decode_union(const ssa::KeyPart& shape, const uint8_t* bytes,
                              runtime::Heap& heap) const;
  bool encode_part(const ssa::KeyPart& shape, runtime::Value value, uint8_t* bytes);
  bool encode_union(const ssa::KeyPart& shape, runtime::Value value, uint8_t* bytes);
  int64_t string_id(std::string_view text);

  const backend::Table& layout_;
  const std::vector<std::string>& strings_;
  std::unordered_map<std::string, int64_t>
      ids_;  // of the first ids_.size() strings; filled when asked
};

}  // namespace ktap::engine
