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
  const auto decoded = [&](size_t i) {
    return decode_part(layout_.key[i], key + layout_.part_offset_bytes[i], heap);
  };
  if (layout_.key.size() == 1) return decoded(0);
  std::vector<Value> parts;
  for (size_t i = 0; i < layout_.key.size(); ++i) parts.push_back(decoded(i));
  return heap.tuple(parts.data(), parts.size());
}

Value KeyCodec::decode_union(const ssa::KeyPart& shape, const uint8_t* bytes,
                             runtime::Heap& heap) const {
  int64_t tag = 0;
  std::memcpy(&tag, bytes, sizeof tag);
  if (tag == ssa::kIntTag) return decode_part({}, bytes + ssa::kUnionWordOffset, heap);
  if (tag == ssa::kBoolTag)
    return decode_part({Kind::Bool, 8}, bytes + ssa::kUnionWordOffset, heap);
  KTAP_CHECK(tag == ssa::kStrTag);
  return decode_part(ssa::union_text(shape.max_bytes), bytes + ssa::kUnionTextOffset, heap);
}

Value KeyCodec::decode_part(const ssa::KeyPart& shape, const uint8_t* bytes,
                            runtime::Heap& heap) const {
  if (shape.kind == Kind::Bytes) {
    const char* text = reinterpret_cast<const char*>(bytes);
    return heap.string(std::string_view(text, strnlen(text, shape.max_bytes)));
  }
  if (shape.kind == Kind::Stack) {
    std::vector<uint64_t> words(shape.max_bytes / 8);
    std::memcpy(words.data(), bytes, shape.max_bytes);
    return heap.stack(words.data(), words.size());
  }
  if (shape.kind == Kind::Union) return decode_union(shape, bytes, heap);
  return decode_word(shape, bytes, heap);
}

Value KeyCodec::decode_word(const ssa::KeyPart& shape, const uint8_t* bytes,
                            runtime::Heap& heap) const {
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
  const auto encodes = [&](size_t i, Value value) {
    return encode_part(layout_.key[i], value, bytes->data() + layout_.part_offset_bytes[i]);
  };
  if (layout_.key.size() == 1) return encodes(0, key);
  if (key.type != Type::Tuple || key.tuple()->size() != layout_.key.size()) return false;
  for (size_t i = 0; i < layout_.key.size(); ++i) {
    if (!encodes(i, (*key.tuple())[i])) return false;
  }
  return true;
}

bool KeyCodec::encode_union(const ssa::KeyPart& shape, Value value, uint8_t* bytes) {
  int64_t tag = ssa::kNilTag;
  ssa::KeyPart part;
  uint32_t offset = ssa::kUnionWordOffset;
  if (value.type == Type::Integer) tag = ssa::kIntTag;
  if (value.type == Type::Boolean) {
    tag = ssa::kBoolTag;
    part = {Kind::Bool, 8};
  }
  if (value.type == Type::String) {
    tag = ssa::kStrTag;
    part = ssa::union_text(shape.max_bytes);
    offset = ssa::kUnionTextOffset;
  }
  if ((shape.tags >> tag & 1) == 0) return false;
  std::memcpy(bytes, &tag, sizeof tag);
  return encode_part(part, value, bytes + offset);
}

bool KeyCodec::encode_part(const ssa::KeyPart& shape, Value value, uint8_t* bytes) {
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
    case Kind::Union:
      return encode_union(shape, value, bytes);
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
