// Types of a small kernel by hand: members, shapes, spelling, broken bytes.
#include "bpf/btf_types.h"

#include <gtest/gtest.h>

#include "bpf/test_btf.h"

namespace ktap::bpf {
namespace {

using schema::CKind;
using schema::CType;

class BtfTypesTest : public testing::Test {
 protected:
  const std::vector<uint8_t> bytes_ = small_task_btf();
  const BtfTypes types_ = BtfTypes::open(bytes_.data(), bytes_.size()).value();

  CType type(const std::string& text) const { return types_.parse(text).value(); }
  schema::CMember member(const std::string& name) const {
    return types_.member(type("struct task_struct"), name).value();
  }
  schema::CShape shape(const std::string& name) const { return types_.shape(member(name).type); }
};

TEST_F(BtfTypesTest, Spelling) {
  EXPECT_EQ(types_.name(type("struct task_struct **")), "struct task_struct **");
  EXPECT_EQ(types_.name(type(" const  unsigned int *")), "unsigned int *");
  EXPECT_EQ(type("unsigned"), type("unsigned int"));
  EXPECT_EQ(types_.name(type("u8 *")), "u8 *");
  EXPECT_EQ(type("void *"), (CType{0, 1}));
  for (const char* wrong : {"", "*", "struct", "struct none *", "int x", "task_struct *", "a-b"}) {
    EXPECT_FALSE(types_.parse(wrong).ok()) << wrong;
  }
  EXPECT_EQ(types_.parse("task_struct *").error().message,
            "'task_struct' is a struct: write \"struct task_struct *\"");
  EXPECT_EQ(types_.names_like("struct pairs *"), std::vector<std::string>{"struct pair"});
}

TEST_F(BtfTypesTest, Members) {
  EXPECT_EQ(member("pid").offset_bits, 0U);
  EXPECT_EQ(member("state").offset_bits, 37U);
  EXPECT_EQ(member("state").width_bits, 3U);
  EXPECT_EQ(member("byte").offset_bits, 384U);  // of the unnamed union
  EXPECT_EQ(types_.name(member("two").type), "struct pair");
  EXPECT_FALSE(types_.member(type("struct task_struct"), "a").has_value());
  EXPECT_FALSE(types_.member(type("struct task_struct *"), "pid").has_value());
  EXPECT_FALSE(types_.member(type("int"), "pid").has_value());
  EXPECT_EQ(types_.member_names(type("struct pair")), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(types_.member_names(type("struct task_struct")).size(), 12U);
}

TEST_F(BtfTypesTest, Shapes) {
  EXPECT_EQ(shape("pid").kind, CKind::Int);
  EXPECT_TRUE(shape("pid").is_signed);
  EXPECT_FALSE(shape("state").is_signed);
  EXPECT_EQ(shape("dead").kind, CKind::Bool);
  EXPECT_EQ(types_.name(shape("parent").target), "struct task_struct");
  EXPECT_FALSE(shape("parent").is_text);
  EXPECT_TRUE(shape("comm").is_text);
  EXPECT_EQ(shape("comm").count, 16U);
  EXPECT_TRUE(shape("name").is_text);
  EXPECT_FALSE(shape("raw").is_text);  // a typedef is a byte
  EXPECT_EQ(shape("codes").size_bytes, 16U);
  EXPECT_EQ(shape("c").kind, CKind::Enum);
  EXPECT_EQ(types_.enum_name(member("c").type, 7), "BLUE");
  EXPECT_EQ(types_.enum_name(member("c").type, 1), "");
  const auto named = types_.enum_of("BLUE");
  ASSERT_TRUE(named.has_value());
  EXPECT_EQ(types_.enumerators(*named), types_.enumerators(member("c").type));
  EXPECT_FALSE(types_.enum_of("BLU").has_value());
  EXPECT_TRUE(types_.enumerators(member("pid").type).empty());
  EXPECT_EQ(shape("inside").kind, CKind::Struct);
  EXPECT_EQ(shape("inside").size_bytes, 8U);
}

TEST_F(BtfTypesTest, BrokenBytesAreRefusedOrTellLess) {
  for (size_t size = 0; size < bytes_.size(); ++size) {
    const std::vector<uint8_t> cut(bytes_.begin(), bytes_.begin() + static_cast<int64_t>(size));
    EXPECT_FALSE(BtfTypes::open(cut.data(), cut.size()).has_value()) << size;
  }
  for (size_t i = 0; i < bytes_.size(); ++i) {  // any byte, to a reference beyond and to itself
    for (const uint8_t change : {0x80, 0x0f}) {
      std::vector<uint8_t> broken = bytes_;
      broken[i] ^= change;
      const auto types = BtfTypes::open(broken.data(), broken.size());
      if (!types) continue;
      for (uint32_t id = 0; id < 20; ++id) {
        types->shape({id, 0});
        types->name({id, 1});
        types->member({id, 0}, "none");
        types->member_names({id, 0});
        types->enum_name({id, 0}, 7);
        types->enum_of("none");
      }
    }
  }
}

TEST(BtfTypes, Functions) {
  BtfWriter btf;
  const uint32_t number = btf.type("int", 1, 0, {1U << 24 | 32}, false, 4);
  const uint32_t prototype = btf.type("", 13, 2, {btf.name("first"), number, 0, 0}, false, number);
  const uint32_t print = btf.type("print", 12, 1, {}, false, prototype);
  const std::vector<uint8_t> bytes = btf.bytes();
  const BtfTypes types = BtfTypes::open(bytes.data(), bytes.size()).value();
  ASSERT_EQ(types.functions().size(), 1U);
  EXPECT_EQ(types.functions()[0], (std::pair<std::string_view, uint32_t>("print", print)));
  const BtfFunction function = types.function(print);
  EXPECT_EQ(function.id, print);
  EXPECT_EQ(function.result, (CType{number, 0}));
  ASSERT_EQ(function.parameters.size(), 1U);
  EXPECT_EQ(function.parameters[0].name, "first");
  EXPECT_TRUE(function.is_variadic);
  EXPECT_EQ(types.function(number).id, 0U) << "no function";
}

}  // namespace
}  // namespace ktap::bpf
