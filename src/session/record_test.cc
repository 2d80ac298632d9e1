// Records as the backend lays them out, read back as values.
#include "session/record.h"

#include <gtest/gtest.h>

#include <cstring>

#include "runtime/string.h"

namespace ktap::session {
namespace {

using ssa::StrKind;
using ssa::Type;

/// A record of 8-byte words behind the header.
std::vector<uint8_t> record_of(const std::vector<int64_t>& words) {
  std::vector<uint8_t> bytes(backend::kRecordHeaderBytes + words.size() * 8);
  std::memcpy(bytes.data() + backend::kRecordHeaderBytes, words.data(), words.size() * 8);
  return bytes;
}

TEST(Record, ArgumentsOfEachType) {
  runtime::Heap heap;
  ssa::Module module;
  const int64_t name = module.intern("sys_enter_read");
  ssa::Site site;
  site.args = {{Type::Int, StrKind::None, 0},      {Type::Bool, StrKind::None, 0},
               {Type::Str, StrKind::Id, 0},        {Type::Str, StrKind::Bytes, 16},
               {Type::MaybeInt, StrKind::None, 0}, {Type::MaybeInt, StrKind::None, 0},
               {Type::MaybeStr, StrKind::Bytes, 8}};
  int64_t text = 0;
  std::memcpy(&text, "load\0\0\0", 8);
  const std::vector<uint8_t> record = record_of({-7, 1, name, text, 0, 0, 99, 1, 42, 1, text});
  backend::SiteLayout layout;
  layout.arg_offset_bytes = {8, 16, 24, 32, 48, 64, 80};

  const std::vector<runtime::Value> values = decode_args(site, layout, record.data(), module, heap);

  ASSERT_EQ(values.size(), 7U);
  EXPECT_EQ(values[0].integer, -7);
  EXPECT_TRUE(values[1].boolean);
  EXPECT_EQ(values[2].string()->view(), "sys_enter_read");
  EXPECT_EQ(values[3].string()->view(), "load");
  EXPECT_TRUE(values[4].is_nil());  // whatever the payload says
  EXPECT_EQ(values[5].integer, 42);
  EXPECT_EQ(values[6].string()->view(), "load");
}

TEST(Record, BytesThatFillTheirSpaceHaveNoNul) {
  runtime::Heap heap;
  const ssa::Module module;
  const char text[9] = "abcdefgh";
  const runtime::Value value = decode_arg({Type::Str, StrKind::Bytes, 8},
                                          reinterpret_cast<const uint8_t*>(text), module, heap);
  EXPECT_EQ(value.string()->view(), "abcdefgh");
}

TEST(Record, TheEventOfARawSystemCallIsFoundByItsNumber) {
  const auto event = [](const char* name, int64_t number) {
    schema::Event made;
    made.name = name;
    made.kind = schema::EventKind::SyscallEnter;
    made.syscall_nr = number;
    return std::make_shared<const schema::Event>(made);
  };
  ssa::EventGroup group;
  group.kind = schema::EventKind::SyscallEnter;
  group.events = {event("sys_enter_read", 0), event("sys_enter_write", 1)};
  backend::SiteLayout layout;
  layout.raw_offset_bytes = 8;
  const std::vector<uint8_t> write = record_of({1, 0, 0, 0, 0, 0, 0});
  EXPECT_EQ(raw_event(group, layout, write.data())->name, "sys_enter_write");
  const std::vector<uint8_t> other = record_of({5, 0, 0, 0, 0, 0, 0});
  EXPECT_EQ(raw_event(group, layout, other.data()), nullptr);
}

}  // namespace
}  // namespace ktap::session
