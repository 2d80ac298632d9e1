// Format files, whole and broken.
#include "event/format.h"

#include <gtest/gtest.h>

namespace ktap::event {
namespace {

using schema::FieldKind;

constexpr const char* kText =
    "name: made_up\n"
    "ID: 372\n"
    "format:\n"
    "\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n"
    "\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n"
    "\n"
    "\tfield:char comm[16];\toffset:8;\tsize:16;\tsigned:0;\n"
    "\tfield:pid_t pid;\toffset:24;\tsize:4;\tsigned:1;\n"
    "\tfield:const char * name;\toffset:32;\tsize:8;\tsigned:0;\n"
    "\tfield:__data_loc char[] file;\toffset:40;\tsize:4;\tsigned:0;\n"
    "\tfield:__rel_loc char[] rel;\toffset:44;\tsize:4;\tsigned:0;\n"
    "\tfield:__data_loc u64[] list;\toffset:48;\tsize:4;\tsigned:0;\n"
    "\tfield:unsigned long args[6];\toffset:56;\tsize:48;\tsigned:0;\n"
    "\tfield:u8 addr[4];\toffset:104;\tsize:4;\tsigned:0;\n"
    "\tfield:struct range span;\toffset:108;\tsize:8;\tsigned:0;\n"
    "\tfield:bool on;\toffset:116;\tsize:1;\tsigned:0;\n"
    "\n"
    "print fmt: \"field:not a;field\", REC->pid\n";

TEST(Format, ReadsEveryKindOfField) {
  Result<Format> parsed = parse_format(kText);
  ASSERT_TRUE(parsed.ok());
  const Format& format = parsed.value();
  EXPECT_EQ(format.id, 372);
  EXPECT_EQ(format.record_size_bytes, 117U);
  struct Expected {
    const char* name;
    const char* c_type;
    FieldKind kind;
    uint32_t offset;
    uint32_t size;
    bool is_signed;
  };
  const Expected expected[] = {
      {"comm", "char[16]", FieldKind::CharArray, 8, 16, false},
      {"pid", "pid_t", FieldKind::Int, 24, 4, true},
      {"name", "const char *", FieldKind::Pointer, 32, 8, false},
      {"file", "__data_loc char[]", FieldKind::DynString, 40, 4, false},
      {"rel", "__rel_loc char[]", FieldKind::RelString, 44, 4, false},
      {"list", "__data_loc u64[]", FieldKind::Opaque, 48, 4, false},
      {"args", "unsigned long[6]", FieldKind::Opaque, 56, 48, false},
      {"addr", "u8[4]", FieldKind::ByteArray, 104, 4, false},
      {"span", "struct range", FieldKind::Opaque, 108, 8, false},
      {"on", "bool", FieldKind::Bool, 116, 1, false},
  };
  ASSERT_EQ(format.fields.size(), std::size(expected));
  for (size_t i = 0; i < std::size(expected); ++i) {
    const schema::Field& field = format.fields[i];
    EXPECT_EQ(field.name, expected[i].name);
    EXPECT_EQ(field.c_type, expected[i].c_type) << field.name;
    EXPECT_EQ(field.kind, expected[i].kind) << field.name;
    EXPECT_EQ(field.offset_bytes, expected[i].offset) << field.name;
    EXPECT_EQ(field.size_bytes, expected[i].size) << field.name;
    EXPECT_EQ(field.is_signed, expected[i].is_signed) << field.name;
  }
}

TEST(Format, ArraysOfBytesAreStringsUpToTheBoundOfStrings) {
  const auto kind = [](const std::string& declaration, uint32_t size_bytes) {
    const Result<Format> parsed =
        parse_format("ID: 1\n\tfield:" + declaration +
                     ";\toffset:8;\tsize:" + std::to_string(size_bytes) + ";\tsigned:0;\n");
    return parsed.ok() ? parsed.value().fields.at(0).kind : FieldKind::Bool;
  };
  EXPECT_EQ(kind("__u8 saddr_v6[16]", 16), FieldKind::ByteArray);
  EXPECT_EQ(kind("unsigned char key[3]", 3), FieldKind::ByteArray);
  EXPECT_EQ(kind("const u8 all[256]", 256), FieldKind::ByteArray);
  EXPECT_EQ(kind("u8 more[257]", 257), FieldKind::Opaque);
  EXPECT_EQ(kind("u8 none[0]", 0), FieldKind::Opaque);
  EXPECT_EQ(kind("__u16 words[8]", 16), FieldKind::Opaque);
}

TEST(Format, RefusesWhatItCannotRead) {
  EXPECT_FALSE(parse_format("").ok());
  EXPECT_FALSE(parse_format("name: x\n").ok());
  EXPECT_FALSE(parse_format("ID: 1\n\tfield:int x;\tsize:4;\n").ok());
  EXPECT_FALSE(parse_format("ID: 1\n\tfield:x\n").ok());
  EXPECT_FALSE(parse_format("ID: 1\n\tfield:;\toffset:0;\tsize:4;\tsigned:1;\n").ok());
}

}  // namespace
}  // namespace ktap::event
