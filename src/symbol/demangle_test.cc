// Names of C++ and Rust, and the words by which patterns pass over most of them.
#include "symbol/demangle.h"

#include <gtest/gtest.h>

#include "symbol/name_pattern.h"

namespace ktap::symbol {
namespace {

TEST(Demangle, CppAndRust) {
  EXPECT_EQ(demangle("_ZNSt6vectorIiSaIiEE9push_backERKi"),
            "std::vector<int, std::allocator<int> >::push_back(int const&)");
  EXPECT_EQ(demangle("_ZN4core3fmt5write17h0123456789abcdefE"), "core::fmt::write");
  EXPECT_EQ(demangle("_RNvCs1234_7mycrate3foo"), "mycrate::foo");
  EXPECT_EQ(demangle("__Z3fooi"), "foo(int)");
  EXPECT_EQ(demangle("malloc"), "");
  EXPECT_EQ(demangle("_Z"), "");
  EXPECT_EQ(demangle("_ZN"), "");
  EXPECT_EQ(demangle("i"), "");
}

TEST(Demangle, NestedNamesEnd) {
  EXPECT_EQ(demangle("_Z1f" + std::string(30000, 'P') + "i"), "");
  EXPECT_EQ(demangle("_Z" + std::string(100000, 'N')), "");
}

TEST(Demangle, WithoutParameters) {
  EXPECT_EQ(without_parameters("foo(int)"), "foo");
  EXPECT_EQ(without_parameters("foo"), "foo");
  EXPECT_EQ(without_parameters("a::b(int (*)(char)) const"), "a::b");
  EXPECT_EQ(without_parameters("void f<int>(int) [clone .cold]"), "f<int>");
  EXPECT_EQ(without_parameters("std::vector<int> g<char, long>(long)"), "g<char, long>");
  EXPECT_EQ(without_parameters("(anonymous namespace)::h(int)"), "(anonymous namespace)::h");
  EXPECT_EQ(without_parameters("(anonymous namespace)::counter"), "(anonymous namespace)::counter");
  EXPECT_EQ(without_parameters("A::operator()(int) const"), "A::operator()");
  EXPECT_EQ(without_parameters("A::operator unsigned int()"), "A::operator unsigned int");
  EXPECT_EQ(without_parameters("core::fmt::write"), "core::fmt::write");
  EXPECT_EQ(without_parameters(")"), ")");
  EXPECT_EQ(without_parameters(""), "");
}

TEST(Demangle, ThunksAreNotWhatTheyCall) {
  EXPECT_EQ(without_parameters("non-virtual thunk to A::f(int)"), "non-virtual thunk to A::f");
  EXPECT_EQ(without_result("virtual thunk to A::~A()"), "virtual thunk to A::~A()");
  EXPECT_FALSE(NamePattern("A::f", false).matches("_ZThn8_N1A1fEi"));
  EXPECT_TRUE(NamePattern("*A::f", true).matches("_ZThn8_N1A1fEi"));
}

TEST(Demangle, WithoutResult) {
  EXPECT_EQ(without_result("foo(int)"), "foo(int)");
  EXPECT_EQ(without_result("foo"), "foo");
  EXPECT_EQ(without_result("int f<int>(int)"), "f<int>(int)");
  EXPECT_EQ(without_result("std::vector<int> a::g<char>(long) const"), "a::g<char>(long) const");
  EXPECT_EQ(without_result("A::operator bool() const"), "A::operator bool() const");
  EXPECT_EQ(without_result("std::ostream& std::operator<< <std::less<int> >(std::ostream&, char)"),
            "std::operator<< <std::less<int> >(std::ostream&, char)");
  EXPECT_EQ(without_result("bool operator< <int, char>(A<int>, A<char>)"),
            "operator< <int, char>(A<int>, A<char>)");
  EXPECT_EQ(without_result("void A<&B::operator> >::f<int>(int)"),
            "A<&B::operator> >::f<int>(int)");
  EXPECT_EQ(without_result(""), "");
}

TEST(Demangle, WithoutAbiTags) {
  EXPECT_EQ(without_abi_tags("f(int)"), "");
  EXPECT_EQ(without_abi_tags("f[abi:cxx11](int)"), "f(int)");
  EXPECT_EQ(without_abi_tags("A[abi:x][abi:y]::f[abi:z]"), "A::f");
  EXPECT_EQ(without_abi_tags("f[abi:x"), "f[abi:x");
}

TEST(NamePattern, NeededWord) {
  EXPECT_EQ(needed_word("std::vector*::push_back*", true), "push_back");
  EXPECT_EQ(needed_word("std::string::*", true), "");
  EXPECT_EQ(needed_word("{alpha,beta}_gamma", true), "_gamma");
  EXPECT_EQ(needed_word("[]abcd]xyzw", true), "xyzw");
  EXPECT_EQ(needed_word("[abcd", true), "");
  EXPECT_EQ(needed_word("{a,[}]}longer", true), "");
  EXPECT_EQ(needed_word("*operat*", true), "");
  EXPECT_EQ(needed_word("f<12345ul>", true), "");
  EXPECT_EQ(needed_word("[abcd]", false), "abcd");
}

TEST(NamePattern, Matches) {
  constexpr const char* kPush = "_ZNSt6vectorIiSaIiEE9push_backERKi";
  EXPECT_TRUE(NamePattern("std::vector*::push_back*", true).matches(kPush));
  EXPECT_TRUE(NamePattern("*::push_back", true).matches(kPush));
  EXPECT_TRUE(NamePattern("*::push_{back,front}", true).matches(kPush));
  EXPECT_TRUE(NamePattern("_ZNSt6vector*", true).matches(kPush));
  EXPECT_FALSE(NamePattern("*::pop_back", true).matches(kPush));
  EXPECT_TRUE(NamePattern("std::string::*", true).matches("_ZNSs6appendEPKc"));
  EXPECT_TRUE(NamePattern("foo(int)", false).matches("_Z3fooi"));
  EXPECT_TRUE(NamePattern("foo", false).matches("_Z3fooi"));
  EXPECT_FALSE(NamePattern("fo*", false).matches("_Z3fooi"));
  for (const char* text : {"int f<int>(int)", "f<int>(int)", "f<int>"})
    EXPECT_TRUE(NamePattern(text, false).matches("_Z1fIiEiT_")) << text;
  EXPECT_TRUE(NamePattern("fo*(int) [clone .part.0]", true).matches("_Z3fooi.part.0"));
  EXPECT_FALSE(NamePattern("fo*(int) [clone .part.1]", true).matches("_Z3fooi.part.0"));
  EXPECT_TRUE(NamePattern("f*[abi:x]", true).matches("_Z1fB1xv"));
  EXPECT_FALSE(NamePattern("f*[abi:x]", true).matches("_Z1fB1yv"));
  EXPECT_TRUE(NamePattern("f*\\[abi:x]", true).matches("_Z1fB1xv"));
  for (const char* text : {"f", "f()", "f[abi:x]", "f[abi:x]()"})
    EXPECT_TRUE(NamePattern(text, false).matches("_Z1fB1xv")) << text;
  EXPECT_FALSE(NamePattern("f(int)", false).matches("_Z1fB1xv"));
  EXPECT_FALSE(NamePattern("f[abi:y]", false).matches("_Z1fB1xv"));
  EXPECT_FALSE(NamePattern("f[abi:x]", false).matches("_Z1fv"));
  EXPECT_TRUE(NamePattern("?()", true).matches("_Z1fB1xv"));
  EXPECT_TRUE(NamePattern("core::*", true).matches("_ZN4core3fmt5write17h0123456789abcdefE"));
}

TEST(NamePattern, PassesOverColdParts) {
  for (const char* name : {"_Z3fooi.cold", "_Z3fooi.part.0.cold", "_Z3fooi.cold.12"}) {
    EXPECT_FALSE(NamePattern("foo*", true).matches(name)) << name;
    EXPECT_FALSE(NamePattern("foo", false).matches(name)) << name;
    EXPECT_FALSE(NamePattern("foo(int)", false).matches(name)) << name;
    EXPECT_FALSE(NamePattern("_Z3foo*", true).matches(name)) << name;
    EXPECT_TRUE(NamePattern(name, false).matches(name)) << name;
    EXPECT_TRUE(NamePattern("foo*.cold*", true).matches(name)) << name;
  }
  EXPECT_FALSE(NamePattern("mai*", true).matches("main.cold"));
  EXPECT_TRUE(NamePattern("main.c*", true).matches("main.coldest"));
  EXPECT_TRUE(NamePattern("foo", false).matches("_Z3fooi.part.0"));
  EXPECT_TRUE(NamePattern("foo*", true).matches("_Z3fooi.isra.0"));
}

}  // namespace
}  // namespace ktap::symbol
