// Fetch arguments read, printed again, and refused.
#include "event/fetch_arguments.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace ktap::event {
namespace {

using schema::Fetch;
using symbol::Machine;
using testing::HasSubstr;

FetchContext context(Machine machine = Machine::X86_64) {
  FetchContext result;
  result.machine = machine;
  result.word_bytes = machine == Machine::Arm ? 4 : 8;
  result.find_symbol = [](std::string_view name) -> Result<Fetch> {
    if (name != "jiffies") return Error{"no symbol"};
    Fetch fetch;
    fetch.base = Fetch::Base::Constant;
    fetch.at = -4096;
    fetch.steps.push_back({});
    return fetch;
  };
  return result;
}

std::string word(const Fetch& fetch) {
  switch (fetch.base) {
    case Fetch::Base::Register:
      return fmt::format("reg{}", fetch.at);
    case Fetch::Base::Argument:
      return fmt::format("arg{}", fetch.at);
    case Fetch::Base::Constant:
      return fmt::format("{}", fetch.at);
    case Fetch::Base::Result:
      return "result";
    case Fetch::Base::Comm:
      return "comm";
    default:
      return "?";
  }
}

/// "dfd=reg112 u64, …; mistakes".
std::string read(std::string_view text, const FetchContext& in = context()) {
  std::vector<Mistake> mistakes;
  std::string out;
  for (const schema::Field& field : parse_fetch_arguments(text, 10, in, &mistakes)) {
    if (!out.empty()) out += ", ";
    out += field.name + "=" + word(field.fetch);
    for (const schema::FetchStep& step : field.fetch.steps)
      out += fmt::format("{}[{:+}]", step.is_user ? "u" : "", step.offset_bytes);
    if (field.fetch.width_bits != 0)
      out += fmt::format(".{}:{}", field.fetch.shift_bits, field.fetch.width_bits);
    out += field.kind == schema::FieldKind::Text
               ? " text"
               : fmt::format(" {}{}", field.is_signed ? "s" : "u", 8 * field.size_bytes);
  }
  if (mistakes.empty()) return out;
  out.clear();
  for (const Mistake& mistake : mistakes) {
    out += fmt::format("{}+{} {}", mistake.offset, mistake.length, mistake.text);
    for (const std::string& near : mistake.nearest) out += " ~" + near;
    out += '\n';
  }
  return out;
}

TEST(FetchArguments, TheFormsOfTheKernel) {
  EXPECT_EQ(read("dfd=%di filename=%dx flags=%cx mode=+4($stack)"),
            "dfd=reg112 u64, filename=reg96 u64, flags=reg88 u64, mode=reg152[+4] u64");
  EXPECT_EQ(read("%ax  $stack3\t$comm"), "arg1=reg80 u64, arg2=reg152[+24] u64, arg3=comm text");
  EXPECT_EQ(read("name=+0(%si):string t=-8(+0x10(%r8)):s16"),
            "name=reg104[+0] text, t=reg72[+16][-8] s16");
  EXPECT_EQ(read("a=$arg1:u8 b=$arg7"), "a=arg0 u8, b=reg152[+8] u64");
  EXPECT_EQ(read("a=@0x1000:u32 b=@jiffies+8 c=\\-1:u16 d=\\0x13:b2@1/8"),
            "a=4096[+0] u32, b=-4096[+8] u64, c=65535 u16, d=1.1:2 u8");
  EXPECT_EQ(read("a=+u0(%si) b=+0(+8(%si)):ustring c=%si:b4@2/32 d=%si:symbol"),
            "a=reg104u[+0] u64, b=reg104[+8]u[+0] text, c=reg104.2:4 u32, d=reg104 u64");
  EXPECT_EQ(read("a=%edi b=%ah"), "a=reg112 u32, b=reg80.8:8 u8");
}

TEST(FetchArguments, OfOtherMachinesAndPlaces) {
  EXPECT_EQ(read("%x1 $arg9", context(Machine::Arm64)), "arg1=reg8 u64, arg2=reg248[+0] u64");
  EXPECT_EQ(read("%r1 $arg5 +4(%sp)", context(Machine::Arm)),
            "arg1=reg4 u32, arg2=reg52[+0] u32, arg3=reg52[+4] u32");
  EXPECT_EQ(read("%a1", context(Machine::RiscV)), "arg1=reg88 u64");
  FetchContext at = context();
  at.is_return = true;
  at.is_entry = false;
  at.is_user = true;
  EXPECT_EQ(read("fd=$retval:s32 +0(%di)", at), "fd=result s32, arg2=reg112u[+0] u64");
  EXPECT_THAT(read("$arg1", at), HasSubstr("the arguments are gone"));
}

TEST(FetchArguments, MistakesStandAtTheirArgument) {
  EXPECT_EQ(read("%di:u9 ok=%si"),
            "10+6 'u9' is no type of a fetch argument; there are u8 u16 u32 u64, s8 … s64, x8 … "
            "x64, string, ustring, symbol, bWIDTH@OFFSET/SIZE\n");
  EXPECT_THAT(read("ok=%si a=%dii:u8"), HasSubstr("17+9 '%dii' is no register of x86-64"));
  EXPECT_THAT(read("a=%dii:u8"), HasSubstr("~a=%di:u8"));
  for (const auto& [text, problem] : std::initializer_list<std::pair<const char*, const char*>>{
           {"$retval", "probe:…%return"},
           {"%di:string", "+0(%di):string reads what %di points to"},
           {"%di:u8[4]", "fetch its elements"},
           {"%di:symstr", "ksym"},
           {"%di:b9@0/8", "is no bit field"},
           {"%di:b0@0/8", "is no bit field"},
           {"a=%di a=%si", "two fetch arguments 'a'"},
           {"arg2=%di %si", "two fetch arguments 'arg2'"},
           {"1a=%di", "no name"},
           {"$stackx", "$stackN"},
           {"$argx", "$argN"},
           {"$nothing", "no variable"},
           {"@nothing", "no symbol"},
           {"@+8", "no symbol"},
           {"@jiffies+x", "no offset"},
           {"+8", "in parentheses"},
           {"+x(%di)", "no offset"},
           {"+0($comm)", "no address"},
           {"$comm:u8", "is a string"},
           {"\\x", "no number"},
           {"word", "no fetch argument"},
           {"a=", "missing"},
           {"%di:", "no type"},
           {"+0(+0(+0(+0(+0(+0(+0(+0(+0(+0(+0(+0(+0(+0(+0(+0(+0(%di)))))))))))))))))", "deep"},
       }) {
    EXPECT_THAT(read(text), HasSubstr(problem)) << text;
  }
}

}  // namespace
}  // namespace ktap::event
