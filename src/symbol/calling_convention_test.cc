// Where arguments lie by convention alone, over made-up types; user_types_test.cc looks at what
// compilers do.
#include "symbol/calling_convention.h"

#include <gtest/gtest.h>

namespace ktap::symbol {
namespace {

using schema::CKind;
using schema::CShape;
using schema::CType;
using Kind = ArgumentPlace::Kind;

constexpr CType kInt{1, 0}, kDouble{2, 0}, kPair{3, 0}, kLarge{4, 0}, kLongDouble{5, 0};

class Types final : public schema::KernelTypes {
 public:
  Result<CType> parse(std::string_view) const override { return Error{"none"}; }
  CShape shape(CType type) const override {
    CShape shape;
    if (type == kInt) shape = {CKind::Int, 4, true, {}, 0, false};
    if (type == kDouble) shape = {CKind::Opaque, 8, false, {}, 0, false};
    if (type == kPair) shape = {CKind::Struct, 8, false, {}, 0, false};
    if (type == kLongDouble) shape = {CKind::Opaque, 16, false, {}, 0, false};
    if (type == kLarge) shape = {CKind::Struct, 64, false, {}, 0, false};
    return shape;
  }
  std::optional<schema::CMember> member(CType, std::string_view) const override { return {}; }
  std::vector<std::string> member_names(CType) const override { return {}; }
  std::vector<std::string> names_like(std::string_view) const override { return {}; }
  std::string name(CType) const override { return ""; }
  std::string enum_name(CType, int64_t) const override { return ""; }
  std::vector<std::pair<std::string, int64_t>> enumerators(CType) const override { return {}; }
  std::optional<CType> enum_of(std::string_view) const override { return {}; }
};

/// "r0 r1 - +0": registers, unknown, from the stack pointer.
std::string places(CType result, const std::vector<CType>& parameters, bool has_float_registers,
                   Machine machine = Machine::Arm) {
  std::vector<PassedType> passed;
  for (const CType type : parameters) passed.push_back({type});
  std::string text;
  for (const ArgumentPlace& place :
       argument_places(machine, Types(), {result}, passed, has_float_registers)) {
    text += text.empty() ? "" : " ";
    if (place.kind == Kind::Register) {
      text += "r" + std::to_string(place.in.offset_bytes / (machine == Machine::Arm ? 4 : 8));
    } else {
      text += place.kind == Kind::Stack ? "+" + std::to_string(place.value) : "-";
    }
  }
  return text;
}

TEST(CallingConvention, OfArmGoesOnBehindFloatsThatHaveTheirRegisters) {
  const std::vector<CType> mixed = {kInt, kInt, kInt, kDouble, kInt, kInt, kInt};
  EXPECT_EQ(places(kInt, mixed, true), "r0 r1 r2 - r3 +0 +4");
  EXPECT_EQ(places(kInt, mixed, false), "r0 r1 r2 - - - -");
  EXPECT_EQ(places({}, {kInt, kPair, kInt}, true), "r0 - -");
}

TEST(CallingConvention, OfArmKnowsWhereALargeResultGoes) {
  EXPECT_EQ(places(kLarge, {kInt, kInt}, true), "r1 r2");
  EXPECT_EQ(places(kPair, {kInt, kInt}, true), "- -");  // two floats, or memory
}

/// In order of pt_regs: rdi is 14, rsi 13.
TEST(CallingConvention, LongDoublesTakeNoGeneralRegisterAndAnUnknownPartOfTheStack) {
  EXPECT_EQ(places(kInt, {kLongDouble, kInt, kInt}, true, Machine::X86_64), "- r14 r13");
  const std::vector<CType> many = {kInt, kInt, kInt, kInt, kInt, kLongDouble, kInt, kInt};
  EXPECT_EQ(places(kInt, many, true, Machine::X86_64), "r14 r13 r12 r11 r9 - r8 -");
}

}  // namespace
}  // namespace ktap::symbol
