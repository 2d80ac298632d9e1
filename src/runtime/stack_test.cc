// Stacks as values: equality, keys, order, text.
#include "runtime/stack.h"
#include "runtime/code_address.h"

#include <gtest/gtest.h>

#include "runtime/heap.h"
#include "runtime/table.h"
#include "runtime/text.h"

namespace ktap::runtime {
namespace {

constexpr uint64_t kUser7 = Stack::kUserBit | 7;

Value make(Heap& heap, std::vector<uint64_t> words) {
  return heap.stack(words.data(), words.size());
}

TEST(Stack, WhatComesBehindA0IsNoFrame) {
  Heap heap;
  const Value stack = make(heap, {kUser7, 0x10, 0x20, 0, 0});
  ASSERT_EQ(stack.type, Type::Stack);
  EXPECT_EQ(stack.stack()->frame_count(), 2u);
  EXPECT_EQ(stack.stack()->frame(1), 0x20u);
  EXPECT_TRUE(stack.stack()->is_user());
  EXPECT_EQ(stack.stack()->pid(), 7);
  EXPECT_EQ(make(heap, {0}).stack()->frame_count(), 0u);
}

TEST(Stack, EqualByFramesAndOwner) {
  Heap heap;
  EXPECT_TRUE(equal(make(heap, {0, 1, 2, 0}), make(heap, {0, 1, 2})));
  EXPECT_FALSE(equal(make(heap, {0, 1, 2}), make(heap, {0, 1})));
  EXPECT_FALSE(equal(make(heap, {kUser7, 1}), make(heap, {kUser7 + 1, 1})));
  EXPECT_FALSE(equal(make(heap, {0, 1}), Value::of(int64_t{1})));
  EXPECT_LT(compare_keys(make(heap, {0, 1}), make(heap, {0, 1, 1})), 0);
  EXPECT_GT(compare_keys(make(heap, {0, 2}), make(heap, {0, 1, 1})), 0);
}

TEST(Stack, IsAKeyAndPartOfOne) {
  Heap heap;
  Table& table = *heap.table();
  table.set(make(heap, {0, 1, 2}), Value::of(int64_t{5}));
  EXPECT_EQ(table.get(make(heap, {0, 1, 2})).integer, 5);
  EXPECT_TRUE(table.get(make(heap, {0, 1})).is_nil());
  const auto pair = [&](uint64_t frame) {
    const Value parts[] = {make(heap, {kUser7, frame}), Value::of(int64_t{3})};
    return heap.tuple(parts, 2);
  };
  table.set(pair(9), Value::of(int64_t{6}));
  EXPECT_EQ(table.get(pair(9)).integer, 6);
  EXPECT_TRUE(table.get(pair(8)).is_nil());
  EXPECT_TRUE(has_stack(pair(9)));
}

TEST(Stack, TextHasAHeadAKeyHasNone) {
  Heap heap;
  const Value stack = make(heap, {0, 0x10, 0x20});
  EXPECT_EQ(to_text(stack), "<stack trace>\n => 0x10\n => 0x20");
  std::string key;
  append_key_text(key, stack, 2);
  EXPECT_EQ(key, "0x10\n  0x20");
  const Value parts[] = {heap.string("a"), stack, Value::of(int64_t{3})};
  EXPECT_EQ(to_text(heap.tuple(parts, 3)), "a,\n0x10\n0x20,\n3");
  key.clear();
  append_key_text(key, make(heap, {0}));
  EXPECT_EQ(key, "[no frames]");
}

class Names : public StackNames {
 public:
  std::vector<std::string> lines_of(const Stack& stack) override {
    return {"frames: " + std::to_string(stack.frame_count())};
  }
  std::vector<StackFrame> frames_of(const Stack&) override { return {}; }
  StackFrame kernel_place(uint64_t) override {
    StackFrame place;
    place.text = "vfs_read+0x4/0x90";
    place.function = "vfs_read";
    return place;
  }
};

TEST(Stack, NamesThatComeLaterAreUsed) {
  Heap heap;
  const Value stack = make(heap, {0, 0x10});
  Names names;
  heap.set_stack_names(&names);
  EXPECT_EQ(to_text(stack), "<stack trace>\n => frames: 1");
}

TEST(CodeAddress, IsANumberThatPrintsAsASymbol) {
  Heap heap;
  const Value address = heap.address(-16);
  EXPECT_EQ(to_text(address), "0xfffffffffffffff0");
  Names names;
  heap.set_stack_names(&names);
  EXPECT_EQ(to_text(address), "vfs_read+0x4/0x90");
  EXPECT_EQ(address_function(*address.address()), "vfs_read");
  EXPECT_EQ(type_name(address.type), "address");
  EXPECT_TRUE(equal(address, Value::of(int64_t{-16})));
  EXPECT_TRUE(equal(Value::of(int64_t{-16}), address));
  EXPECT_TRUE(equal(address, heap.address(-16)));
  EXPECT_FALSE(equal(address, heap.address(16)));
  EXPECT_FALSE(equal(address, Value::of(-16.0)));
  // As all addresses are ordered: without a sign.
  EXPECT_GT(compare_keys(address, heap.address(16)), 0);
}

}  // namespace
}  // namespace ktap::runtime
