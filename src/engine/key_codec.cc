// Keys of kernel tables as runtime Values and back; the layout is backend::Table's.
#include "engine/key_codec.h"

#include <cstring>

#include "runtime/code_address.h"
#include "runtime/kernel_pointer.h"
#include "runtime/stack.h"
#include "runtime/string.h"
#include "runtime/tuple.h"

namespace ktap::engine {

using runtime::Type;
using runtime::Value;
using Kind = ssa::KeyPart::Kind;

KeyCodec::KeyCodec(const backend::Table& layout, const std::vector<std::string>& strings)
    : layout_(layout), strings_(strings) {
  KTAP_CHECK(layout.key.size() == layout.part_offset_bytes.size());
}

Value KeyCodec::decode(const uint8_t* key, runtime::Heap& heap) const {
  if (layout_.key.size() == 1) return decode_part(0, key, heap);
  std::vector<Value> parts;
  for (size_t i = 0; i < layout_.key.size(); ++i) parts.push_back(decode_part(i, key, heap));
  return heap.tuple(parts.data(), parts.size());
}

Value KeyCodec::decode_part(size_t part, const uint8_t* key, runtime::Heap& heap) const {
  const ssa::KeyPart& shape = layout_.key[part];
  const uint8_t* bytes = key + layout_.part_offset_bytes[part];
  if (shape.kind == Kind::Bytes) {
    const char* text = reinterpret_cast<const char*>(bytes);
    return heap.string(std::string_view(text, strnlen(text, shape.max_bytes)));
  }
  if (shape.kind == Kind::Stack) {
    std::vector<uint64_t> words(shape.max_bytes / 8);
    std::memcpy(words.data(), bytes, shape.max_bytes);
    return heap.stack(words.data(), words.size());
  }
  int64_t word = 0;
  std::memcpy(&word, bytes, sizeof word);
  if (shape.kind == Kind::Bool) return Value::of(word != 0);
  if (shape.kind == Kind::Int) return Value::of(word);
  if (shape.kind == Kind::Address) return heap.address(word);
  if (shape.kind == Kind::Pointer && word == 0) return runtime::null_pointer();  // of a variable
  if (shape.kind == Kind::Pointer) return heap.pointer(word, shape.ctype.id, shape.ctype.pointers);
  KTAP_CHECK(word >= 0 && static_cast<size_t>(word) < strings_.size());
  return heap.string(strings_[static_cast<size_t>(word)]);
}

bool KeyCodec::encode(Value key, std::vector<uint8_t>* bytes) {
  bytes->assign(layout_.key_size_bytes, 0);
  if (layout_.key.size() == 1) return encode_part(0, key, bytes->data());
  if (key.type != Type::Tuple || key.tuple()->size() != layout_.key.size()) return false;
  for (size_t i = 0; i < layout_.key.size(); ++i) {
    if (!encode_part(i, (*key.tuple())[i], bytes->data())) return false;
  }
  return true;
}

bool KeyCodec::encode_part(size_t part, Value value, uint8_t* key) {
  const ssa::KeyPart& shape = layout_.key[part];
  uint8_t* bytes = key + layout_.part_offset_bytes[part];
  int64_t word = 0;
  switch (shape.kind) {
    case Kind::Int:
      if (!value.is_integer()) return false;
      word = value.integer;
      break;
    case Kind::Address:
      if (value.type != Type::Address) return false;
      word = value.address()->number();
      break;
    case Kind::Pointer:
      if (value.type != Type::Pointer) return false;
      word = value.pointer()->address();
      break;
    case Kind::Bool:
      if (value.type != Type::Boolean) return false;
      word = value.boolean ? 1 : 0;
      break;
    case Kind::StrId:
      if (value.type != Type::String) return false;
      word = string_id(value.string()->view());
      if (word < 0) return false;
      break;
    case Kind::Bytes: {
      if (value.type != Type::String) return false;
      const std::string_view text = value.string()->view();
      // Kernel strings end at their first NUL; one of exactly max_bytes has none.
      if (text.size() > shape.max_bytes || text.find('\0') != std::string_view::npos) return false;
      std::memcpy(bytes, text.data(), text.size());
      return true;
    }
    case Kind::Stack: {
      if (value.type != Type::Stack) return false;
      const runtime::Stack& stack = *value.stack();
      if (8 * stack.word_count() > shape.max_bytes) return false;
      std::memcpy(bytes, stack.words(), 8 * stack.word_count());
      return true;
    }
  }
  std::memcpy(bytes, &word, sizeof word);
  return true;
}

int64_t KeyCodec::string_id(std::string_view text) {
  // The module interns: equal strings have one id, so the map has one entry a string.
  for (size_t i = ids_.size(); i < strings_.size(); ++i) {
    ids_.emplace(strings_[i], static_cast<int64_t>(i));
  }
  const auto found = ids_.find(std::string(text));
  return found == ids_.end() ? -1 : found->second;
}

}  // namespace ktap::engine
