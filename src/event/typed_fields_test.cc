// Arguments of functions that debug information describes: words and values.
#include "event/typed_fields.h"

#include <gtest/gtest.h>

#include "bpf/btf_types.h"
#include "bpf/test_btf.h"
#include "symbol/registers.h"

namespace ktap::event {
namespace {

using schema::Fetch;
using schema::FieldKind;
using symbol::ArgumentPlace;

// Where debug information does not say where an argument lies, its number means what it means
// without debug information; the name is refused.
TEST(TypedFields, NumbersOfArgumentsThatHaveNoPlaceAreThoseOfCalls) {
  const std::vector<uint8_t> bytes = bpf::small_task_btf();
  const bpf::BtfTypes types = bpf::BtfTypes::open(bytes.data(), bytes.size()).value();
  const schema::CType number = types.parse("int").value();
  const auto first = symbol::find_register(symbol::kNativeMachine, "sp", true);
  ASSERT_TRUE(first);
  ArgumentPlace usual;
  usual.kind = ArgumentPlace::Kind::Register;
  usual.in = *first;
  symbol::UserFunction function;
  function.parameters.push_back({"gone", number, {}, usual});
  function.parameters.push_back({"there", number, usual, usual});
  function.parameters.push_back({"nowhere", number, {}, {}});
  FetchContext context;
  context.machine = symbol::kNativeMachine;
  context.word_bytes = sizeof(void*);
  schema::Event event;
  event.fields.emplace_back();  // the address
  add_user_arguments(types, function, context, &event);
  ASSERT_EQ(event.fields.size(), 5U);
  EXPECT_EQ(event.unnumbered_fields, 1U);
  EXPECT_EQ(event.fields[1].kind, FieldKind::Int);
  EXPECT_EQ(event.fields[1].size_bytes, sizeof(void*));
  EXPECT_EQ(event.fields[1].fetch.base, Fetch::Base::Register);
  EXPECT_EQ(event.find_field("gone"), 4);
  EXPECT_EQ(event.fields[4].kind, FieldKind::Opaque);
  EXPECT_EQ(event.fields[4].c_type,
            "int that the compiler has optimised away, or put where nobody says");
  EXPECT_EQ(event.find_field("there"), 2);
  EXPECT_EQ(event.fields[2].size_bytes, 4U);
  EXPECT_EQ(event.fields[3].kind, FieldKind::Opaque) << "calls do not say either";
}

// What a compiler writes of a constant is no wider than the type, and of its own sign.
TEST(TypedFields, ConstantsAreAsWideAsTheirTypes) {
  const std::vector<uint8_t> bytes = bpf::small_task_btf();
  const bpf::BtfTypes types = bpf::BtfTypes::open(bytes.data(), bytes.size()).value();
  const auto value_of = [&](const char* type, int64_t written) {
    const ArgumentPlace place{ArgumentPlace::Kind::Constant, {}, written};
    symbol::UserFunction function;
    function.parameters.push_back({"u", types.parse(type).value(), place, {}});
    schema::Event event;
    add_user_arguments(types, function, {}, &event);
    return event.fields[0].fetch.at;
  };
  EXPECT_EQ(value_of("unsigned char", -56), 200);
  EXPECT_EQ(value_of("unsigned int", -294967296), 4000000000);
  EXPECT_EQ(value_of("unsigned int", 7), 7);
  EXPECT_EQ(value_of("int", -56), -56);
  EXPECT_EQ(value_of("int", 0xfffffff0), -16);
}

}  // namespace
}  // namespace ktap::event
