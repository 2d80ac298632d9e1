// Keys there and back again, and those that a kernel map cannot have.
#include "engine/key_codec.h"

#include <gtest/gtest.h>

#include <set>

#include "runtime/string.h"
#include "runtime/tuple.h"

namespace ktap::engine {
namespace {

using runtime::Type;
using runtime::Value;
using Kind = ssa::KeyPart::Kind;

backend::Table layout_of(std::vector<ssa::KeyPart> parts) {
  backend::Table layout;
  layout.key = std::move(parts);
  layout.key_size_bytes = 0;
  for (const ssa::KeyPart& part : layout.key) {
    layout.part_offset_bytes.push_back(layout.key_size_bytes);
    layout.key_size_bytes += part.is_bytes() ? (part.max_bytes + 7) / 8 * 8 : 8;
  }
  return layout;
}

TEST(KeyCodec, EachKindOfPartComesBack) {
  runtime::Heap heap;
  std::vector<std::string> strings = {"read", "write"};
  const backend::Table layout = layout_of(
      {{Kind::Int, 8}, {Kind::Bool, 8}, {Kind::StrId, 8}, {Kind::Bytes, 16}, {Kind::Address, 8}});
  KeyCodec codec(layout, strings);
  const Value parts[] = {Value::of(int64_t{-5}), Value::of(true), heap.string("write"),
                         heap.string("dd"), heap.address(-16)};
  const Value key = heap.tuple(parts, 5);
  std::vector<uint8_t> bytes;
  ASSERT_TRUE(codec.encode(key, &bytes));
  ASSERT_EQ(bytes.size(), 48U);
  EXPECT_EQ(bytes[16], 1);  // id of "write"
  EXPECT_EQ(bytes[24], 'd');
  const Value back = codec.decode(bytes.data(), heap);
  EXPECT_TRUE(runtime::equal(back, key));
  EXPECT_EQ((*back.tuple())[4].type, Type::Address);
}

TEST(KeyCodec, OnePartIsNoTuple) {
  runtime::Heap heap;
  std::vector<std::string> strings;
  const backend::Table layout = layout_of({{Kind::Int, 8}});
  KeyCodec codec(layout, strings);
  std::vector<uint8_t> bytes;
  ASSERT_TRUE(codec.encode(Value::of(int64_t{7}), &bytes));
  EXPECT_EQ(codec.decode(bytes.data(), heap).type, Type::Integer);
}

TEST(KeyCodec, RefusesWhatTheKernelCannotMake) {
  runtime::Heap heap;
  std::vector<std::string> strings = {"read"};
  const backend::Table by_id = layout_of({{Kind::StrId, 8}});
  const backend::Table by_bytes = layout_of({{Kind::Bytes, 16}});
  const backend::Table by_two = layout_of({{Kind::Int, 8}, {Kind::Int, 8}});
  std::vector<uint8_t> bytes;
  EXPECT_FALSE(KeyCodec(by_id, strings).encode(heap.string("close"), &bytes));
  EXPECT_FALSE(KeyCodec(by_id, strings).encode(Value::of(int64_t{0}), &bytes));
  EXPECT_FALSE(KeyCodec(by_two, strings).encode(heap.address(1), &bytes));
  EXPECT_FALSE(KeyCodec(layout_of({{Kind::Int, 8}}), strings).encode(heap.address(1), &bytes));
  EXPECT_FALSE(
      KeyCodec(layout_of({{Kind::Address, 8}}), strings).encode(Value::of(int64_t{1}), &bytes));
  EXPECT_TRUE(KeyCodec(by_bytes, strings).encode(heap.string("fifteen-bytes.."), &bytes));
  EXPECT_FALSE(KeyCodec(by_bytes, strings).encode(heap.string("seventeen bytes.."), &bytes));
  EXPECT_FALSE(
      KeyCodec(by_bytes, strings).encode(heap.string(std::string_view("a\0b", 3)), &bytes));
  EXPECT_FALSE(KeyCodec(by_two, strings).encode(Value::of(int64_t{1}), &bytes));
}

TEST(KeyCodec, AStringOfAllBytesComesBack) {
  runtime::Heap heap;
  std::vector<std::string> strings;
  const backend::Table layout = layout_of({{Kind::Bytes, 16}});
  KeyCodec codec(layout, strings);
  std::vector<uint8_t> bytes;
  const Value key = heap.string("sixteen--bytes..");
  ASSERT_TRUE(codec.encode(key, &bytes));
  EXPECT_TRUE(runtime::equal(codec.decode(bytes.data(), heap), key));
}

TEST(KeyCodec, StacksOfAnyDepthThatFits) {
  runtime::Heap heap;
  std::vector<std::string> strings;
  const backend::Table layout = layout_of({{Kind::Stack, 32}});
  KeyCodec codec(layout, strings);
  const uint64_t words[] = {7, 0x10, 0x20, 0, 0};
  const Value shorter = heap.stack(words, 3);
  std::vector<uint8_t> bytes;
  ASSERT_TRUE(codec.encode(shorter, &bytes));
  ASSERT_EQ(bytes.size(), 32u);
  EXPECT_TRUE(runtime::equal(codec.decode(bytes.data(), heap), shorter));
  const uint64_t longer[] = {7, 1, 2, 3, 4};
  EXPECT_TRUE(codec.encode(heap.stack(longer, 4), &bytes));
  EXPECT_FALSE(codec.encode(heap.stack(longer, 5), &bytes));
  EXPECT_FALSE(codec.encode(Value::of(int64_t{7}), &bytes));
}

TEST(KeyCodec, KeysOfSeveralTypesThatLookAlike) {
  runtime::Heap heap;
  std::vector<std::string> strings = {"1", ""};
  constexpr uint8_t kAll = 1 << ssa::kBoolTag | 1 << ssa::kIntTag | 1 << ssa::kStrTag;
  for (const uint32_t text_bytes : {8, 16}) {
    const backend::Table layout =
        layout_of({{Kind::Union, ssa::kUnionTextOffset + text_bytes, {}, kAll}});
    KeyCodec codec(layout, strings);
    std::set<std::vector<uint8_t>> all;
    for (const Value key : {Value::of(int64_t{0}), Value::of(int64_t{1}), Value::of(false),
                            Value::of(true), heap.string("1"), heap.string("")}) {
      std::vector<uint8_t> bytes;
      ASSERT_TRUE(codec.encode(key, &bytes));
      EXPECT_TRUE(runtime::equal(codec.decode(bytes.data(), heap), key));
      EXPECT_TRUE(all.insert(bytes).second);
    }
    std::vector<uint8_t> bytes;
    EXPECT_FALSE(codec.encode(Value::of(1.5), &bytes));
    EXPECT_FALSE(codec.encode(heap.string("longer than sixteen"), &bytes));
  }
  const backend::Table layout = layout_of({{Kind::Union, 24, {}, kAll & ~(1 << ssa::kBoolTag)}});
  std::vector<uint8_t> bytes;
  EXPECT_FALSE(KeyCodec(layout, strings).encode(Value::of(true), &bytes));
}

TEST(KeyCodec, KnowsStringsThatWereInternedLater) {
  runtime::Heap heap;
  std::vector<std::string> strings = {"a"};
  const backend::Table layout = layout_of({{Kind::StrId, 8}});
  KeyCodec codec(layout, strings);
  std::vector<uint8_t> bytes;
  EXPECT_FALSE(codec.encode(heap.string("b"), &bytes));
  strings.emplace_back("b");
  EXPECT_TRUE(codec.encode(heap.string("b"), &bytes));
  EXPECT_EQ(bytes[0], 1);
}

}  // namespace
}  // namespace ktap::engine
