// Unit test of bytecode::names_builtin on code as the compiler makes it.
#include <gtest/gtest.h>

#include "bytecode/chunk.h"
#include "compiler/testing.h"

namespace ktap::compiler {
namespace {

bool names_usym(const std::string& text) {
  Compiled compiled(text);
  EXPECT_EQ(compiled.codes(), "");
  return compiled.chunk != nullptr &&
         bytecode::names_builtin(*compiled.chunk->main, bytecode::Builtin::Usym);
}

TEST(NamesBuiltin, WhereverItStands) {
  EXPECT_TRUE(names_usym("print(usym(1, 2))"));
  EXPECT_TRUE(names_usym("function f() { return function() { return usym } } print(f())"));
  EXPECT_TRUE(names_usym("trace a:b { print(usym(arg1)) }"));
  EXPECT_TRUE(names_usym("trace_end { print(usym(1, 2)) }"));
  EXPECT_FALSE(names_usym("trace a:b { print(ksym(arg1), ustack()) } print(\"usym\")"));
}

}  // namespace
}  // namespace ktap::compiler
