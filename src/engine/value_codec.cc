// Values are coded like a key of one part; longer ones have a check behind them (backend/unit.h).
#include "engine/value_codec.h"

#include <cstring>

namespace ktap::engine {

namespace {

backend::Table value_layout(const backend::Table& table) {
  backend::Table layout;
  layout.key = {table.value};
  layout.part_offset_bytes = {0};
  layout.key_size_bytes =
      backend::has_check(table) ? table.value_size_bytes - 8 : table.value_size_bytes;
  return layout;
}

}  // namespace

ValueCodec::ValueCodec(const backend::Table& table, const std::vector<std::string>& strings)
    : table_(table), layout_(value_layout(table)), codec_(layout_, strings) {}

uint64_t ValueCodec::check(const uint8_t* key, const uint8_t* value) const {
  std::vector<uint64_t> words((table_.key_size_bytes + layout_.key_size_bytes) / 8);
  const size_t key_words = table_.key_size_bytes / 8;
  std::memcpy(words.data(), key, table_.key_size_bytes);
  std::memcpy(words.data() + key_words, value, layout_.key_size_bytes);
  if (table_.value.kind == ssa::KeyPart::Kind::Union)
    words.erase(words.begin() + static_cast<ptrdiff_t>(key_words + ssa::kUnionWordOffset / 8));
  return backend::table_check(words.data(), key_words, words.data() + key_words,
                              words.size() - key_words);
}

bool ValueCodec::is_whole(const uint8_t* key, const uint8_t* value) const {
  if (!backend::has_check(table_)) return true;
  uint64_t stored = 0;
  std::memcpy(&stored, value + layout_.key_size_bytes, sizeof stored);
  return stored == check(key, value);
}

runtime::Value ValueCodec::decode(const uint8_t* value, runtime::Heap& heap) const {
  return codec_.decode(value, heap);
}

bool ValueCodec::encode(const uint8_t* key, runtime::Value value, std::vector<uint8_t>* bytes) {
  if (!codec_.encode(value, bytes)) return false;
  if (!backend::has_check(table_)) return true;
  const uint64_t sum = check(key, bytes->data());
  bytes->resize(table_.value_size_bytes);
  std::memcpy(bytes->data() + layout_.key_size_bytes, &sum, sizeof sum);
  return true;
}

}  // namespace ktap::engine
