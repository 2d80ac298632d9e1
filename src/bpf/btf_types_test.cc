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
  EXPECT_EQ(function.kernel_id, print);
  EXPECT_EQ(function.result, (CType{number, 0}));
  ASSERT_EQ(function.parameters.size(), 1U);
  EXPECT_EQ(function.parameters[0].name, "first");
  EXPECT_TRUE(function.is_variadic);
  EXPECT_EQ(types.function(number).kernel_id, 0U) << "no function";
}

/// struct own { struct pair *two; struct own *next; enum { … } } and a function of each of two
/// modules, which have an `odd` of their own each.
TEST(BtfTypes, ModulesBuildOnTheKernel) {
  BtfWriter kernel;
  const uint32_t number = kernel.type("int", 1, 0, {1U << 24 | 32}, false, 4);
  const uint32_t pair = kernel.type(
      "pair", 4, 2, {kernel.name("a"), number, 0, kernel.name("b"), number, 32}, false, 8);
  const std::vector<uint8_t> base = kernel.bytes();
  std::vector<std::vector<uint8_t>> modules;
  uint32_t opened = 0;
  for (const uint32_t bytes : {8, 16}) {
    BtfWriter module = BtfWriter::module_of(kernel);
    const uint32_t pairs = module.type("", 2, 0, {}, false, pair);
    const uint32_t own = pairs + 2;
    const uint32_t next = module.type("", 2, 0, {}, false, own);
    const uint32_t made = module.type(
        "own", 4, 2, {module.name("two"), pairs, 0, module.name("next"), next, 64}, false, 16);
    ASSERT_EQ(made, own);
    module.type("odd", 4, 1, {module.name("x"), number, 0}, false, bytes);
    module.type("mood", 6, 1, {module.name(bytes == 8 ? "GLAD" : "SAD"), bytes}, false, 4);
    const uint32_t prototype =
        module.type("", 13, 2, {module.name("of"), next, module.name("n"), number}, false, pairs);
    EXPECT_EQ(module.type("open", 12, 1, {}, false, prototype), prototype + 1);
    opened = prototype + 1;
    modules.push_back(module.bytes());
  }
  BtfTypes types = BtfTypes::open(base.data(), base.size()).value();
  EXPECT_FALSE(types.parse("struct own *").ok());
  ASSERT_TRUE(types.add_module("first", modules[0].data(), modules[0].size()));
  const CType own{types.parse("struct own *").value().id, 0};
  EXPECT_FALSE(types.is_base(own));
  EXPECT_TRUE(types.parse("struct odd *").ok());
  ASSERT_TRUE(types.add_module("second", modules[1].data(), modules[1].size()));
  EXPECT_EQ(types.parse("struct own *").value().id, own.id) << "alike in both: the first";
  EXPECT_EQ(types.parse("struct odd *").error().message,
            "the modules first and second each have a 'struct odd' of their own");
  EXPECT_EQ(types.parse("struct pair").value().id, pair);
  const CType two = types.shape(types.member(own, "two")->type).target;
  EXPECT_EQ(two, (CType{pair, 0}));
  EXPECT_EQ(types.member(two, "b")->offset_bits, 32U);
  EXPECT_EQ(types.shape(types.member(own, "next")->type).target, own);
  EXPECT_EQ(types.enum_name(*types.enum_of("SAD"), 16), "SAD");
  EXPECT_EQ(types.functions().size(), 0U);
  ASSERT_EQ(types.functions("second").size(), 1U);
  const BtfFunction open = types.function(types.functions("second")[0].second);
  EXPECT_EQ(open.kernel_id, opened) << "each module's numbers go on where the kernel's end";
  EXPECT_NE(types.functions("second")[0].second, opened);
  ASSERT_EQ(open.parameters.size(), 2U);
  EXPECT_EQ(types.name(open.parameters[0].type), "struct own *");
  EXPECT_NE(types.shape(open.parameters[0].type).target, own) << "the second one's";
  EXPECT_EQ(types.name(open.parameters[1].type), "int");
  EXPECT_EQ(types.name(open.result), "struct pair *");
  // Numbers that nobody has lead to nothing.
  EXPECT_EQ(types.shape(CType{1000, 0}).kind, CKind::Void);
  EXPECT_FALSE(types.add_module("cut", modules[0].data(), modules[0].size() - 1));
}

}  // namespace
}  // namespace ktap::bpf
