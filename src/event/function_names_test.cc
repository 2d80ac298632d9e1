// Names of functions in event text, over this test program itself, which is C++.
#include "event/function_names.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "base/glob.h"
#include "event/provider.h"
#include "symbol/demangle.h"
#include "symbol/name_pattern.h"
#include "symbol/registers.h"
#include "symbol/test_files.h"

namespace ktap::event {
namespace {

using symbol::ElfFile;
using symbol::FunctionSymbol;
using Names = std::vector<std::string>;

std::string_view name_of(std::string_view text) {
  return text.substr(0, function_name_end(text, 0));
}

TEST(FunctionNameEnd, BlanksThatBelongToTheName) {
  for (const char* name :
       {"f", "f(int, long)", "A<int, B<char> >::f", "A::f(char const*) const", "A::f() const &",
        "f(int) [clone .part.0] [clone .cold]", "A::operator bool() const",
        "A::operator unsigned long", "A::operator char const*() const", "operator new[]",
        "operator new(unsigned long)", "std::operator<< <A, B>(C&)", "A::operator<", "A::operator+",
        "f(int)::{lambda(A, B)#1}::operator()(A, B) const::{lambda()#2}::operator()() const",
        "(anonymous namespace)::f", "<alloc::vec::Vec<T> as core::ops::Drop>::drop"}) {
    EXPECT_EQ(name_of(name), name);
    EXPECT_EQ(name_of(std::string(name) + " x=+0($arg1) y=%di"), name);
  }
}

TEST(FunctionNames, OffsetsAndReturns) {
  const auto parsed = [](std::string_view text) {
    const Result<FunctionName> name = parse_function_name(text);
    if (!name.ok()) return name.error().message;
    return name.value().name + "|" + std::to_string(name.value().offset) +
           (name.value().is_return ? "|return" : "") + (name.value().address ? "|address" : "");
  };
  EXPECT_EQ(parsed("f+0x10"), "f|16");
  EXPECT_EQ(parsed("f%return"), "f|0|return");
  EXPECT_EQ(parsed("0x10"), "0x10|0|address");
  EXPECT_EQ(parsed("A::operator+"), "A::operator+|0");
  EXPECT_EQ(parsed("A::operator++(int)%return"), "A::operator++(int)|0|return");
  EXPECT_EQ(parsed("A::operator+=(A)+4"), "A::operator+=(A)|4");
  EXPECT_EQ(parsed("A<(1+2)>::f"), "A<(1+2)>::f|0");
  EXPECT_EQ(parsed("f+x"), "'+x' is no offset");
}

TEST(FunctionNames, GlobSignsByTheLetter) {
  for (const char* name : {"f(char*)", "A::operator*", "f()::{lambda()#1}", "f[abi:cxx11]"})
    EXPECT_TRUE(may_be_by_the_letter(name)) << name;
  for (const char* name : {"f", "f*", "A::f", "f(int)"})
    EXPECT_FALSE(may_be_by_the_letter(name)) << name;
}

// Made with the names of what compilers make of a function.
[[gnu::noinline, gnu::used]] int cloned(int a) __asm__("_ZN4ktap5event6clonedEi.part.0");
int cloned(int a) { return a; }
[[gnu::noinline, gnu::used]] int of_c(int a) __asm__("ktap_names_twice");
int of_c(int a) { return a + 1; }
[[gnu::noinline, gnu::used]] int of_cxx(int a) __asm__("_Z16ktap_names_twicei");
int of_cxx(int a) { return a + 2; }
[[gnu::noinline, gnu::used]] int unlike(const char* a) __asm__("_ZN4ktap5event6unlikeEPKc");
int unlike(const char* a) { return a[0]; }
[[gnu::noinline, gnu::used]] int unlikes(const char** a) __asm__("_ZN4ktap5event6unlikeEPPKc");
int unlikes(const char** a) { return a[0][1]; }

[[gnu::noinline, gnu::used]] int tagged(int a) __asm__("_ZN4ktap5event6taggedB5cxx11Ei");
int tagged(int a) { return a + 3; }
[[gnu::noinline, gnu::used]] int beside(int a) __asm__("_ZN4ktap5event6besideB5cxx11Ei");
int beside(int a) { return a + 4; }
[[gnu::noinline, gnu::used]] int untagged(int a) __asm__("_ZN4ktap5event6besideEi");
int untagged(int a) { return a + 5; }

TEST(FunctionsMeant, TagsOfCompilersMayBeLeftOut) {
  ASSERT_EQ(tagged(1) + beside(1) + untagged(1), 15);
  const std::unique_ptr<Catalog> catalog = Catalog::without_tracepoints();
  const auto names = [&](const std::string& list) {
    std::set<std::string> found;
    for (const schema::EventPtr& event : catalog->match("probe:/proc/self/exe:" + list).events)
      found.insert(event->name);
    return found;
  };
  using Set = std::set<std::string>;
  const std::string here = "ktap::event::";
  for (const char* name : {"tagged", "tagged(int)", "tagged[abi:cxx11]", "tagged[abi:cxx11](int)"})
    EXPECT_EQ(names(here + name), Set{here + name});
  EXPECT_EQ(names("*::tagg?d"), Set{here + "tagged"});
  EXPECT_EQ(names("*::tagged*"), Set{here + "tagged[abi:cxx11]"});
  EXPECT_EQ(names("*::tagged* ~" + here + "tagged"), Set{});
  EXPECT_EQ(names(here + "beside"), (Set{here + "beside(int)", here + "beside[abi:cxx11](int)"}));
  EXPECT_EQ(names(here + "beside[abi:cxx11]"), Set{here + "beside[abi:cxx11]"});
  const Result<ElfFile> file = ElfFile::open("/proc/self/exe");
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(written_names(file.value(), functions_meant(file.value(), here + "beside").symbols),
            (Names{"_ZN4ktap5event6besideEi", here + "beside[abi:cxx11]"}))
      << "what is written means no other";
}

TEST(FunctionsMeant, AnIfuncsNameIsOneOfWhatItChooses) {
  using symbol::Machine;
  if (symbol::kNativeMachine != Machine::X86_64 && symbol::kNativeMachine != Machine::Arm64)
    GTEST_SKIP() << "not for this machine";
  const symbol::TempFolder folder;
  folder.write("p.c", R"(
static int made(int x) { return x + 1; }
static int (*choose(void))(int) { return made; }
int pick(int) __attribute__((ifunc("choose")));
int __pick(int) __attribute__((ifunc("choose")));
int plain(int x) { return x; }
int main(void) { return pick(0) + __pick(0); }
)");
  if (!symbol::has_command("cc") || !folder.run("cc -O1 -fno-inline p.c -o p"))
    GTEST_SKIP() << "no compiler";
  const std::unique_ptr<Catalog> catalog = Catalog::without_tracepoints();
  const auto names = [&](const std::string& list) {
    Names found;
    for (const schema::EventPtr& event :
         catalog->match("probe:" + (folder / "p") + ":" + list).events)
      found.push_back(event->name);
    return found;
  };
  EXPECT_EQ(names("pick"), Names{"pick"});
  EXPECT_EQ(names("p[il]*"), (Names{"plain", "pick"}));
  EXPECT_EQ(names("*pick%return"), Names{"pick%return"}) << "the one that people know";
  EXPECT_EQ(names("{pick,made}"), Names{"made"}) << "that is its own name";
  EXPECT_EQ(names("{pick,plain} ~pick"), Names{"plain"});
  EXPECT_EQ(names("{made,plain} ~__pick"), Names{"plain"});
  EXPECT_EQ(names("{pick,plain} ~made"), Names{"plain"});
  EXPECT_EQ(names("{choose,made} ~pick"), Names{"choose"}) << "not of what chooses";
}

TEST(FunctionsMeant, ByTheLetterFirst) {
  const char* text = "ab";
  ASSERT_EQ(unlike(text) + unlikes(&text) + cloned(1) + of_c(1) + of_cxx(1), 'a' + 'b' + 6);
  const Result<ElfFile> file = ElfFile::open("/proc/self/exe");
  ASSERT_TRUE(file.ok());
  const auto meant = [&](std::string_view written) {
    return functions_meant(file.value(), written).symbols.size();
  };
  EXPECT_EQ(meant("ktap::event::unlike(char const*)"), 1U);
  EXPECT_EQ(meant("ktap::event::unlike(char cons?*)"), 2U);
  EXPECT_EQ(meant("ktap::event::cloned(int) [clone .part.0]"), 1U);
  EXPECT_EQ(meant("ktap::event::clon*(int) [clone .part.0]"), 1U);
  EXPECT_EQ(meant("ktap::event::clon*(int) [clone .part.1]"), 0U);
}

TEST(FunctionsMeant, ExclusionsByTheLetterFirst) {
  const std::unique_ptr<Catalog> catalog = Catalog::without_tracepoints();
  const auto left = [&](const std::string& list) {
    return catalog->match("probe:/proc/self/exe:" + list).events.size();
  };
  EXPECT_EQ(left("ktap::event::unlike*"), 2U);
  EXPECT_EQ(left("ktap::event::unlike* ~ktap::event::unlike(char const*)"), 1U);
  EXPECT_EQ(left("ktap::event::unlike* ~*::unlike(char *)"), 0U);
  EXPECT_EQ(left("ktap::event::clon* ~ktap::event::cloned(int) [clone .part.0]"), 0U);
}

TEST(FunctionsMeant, ACommaThatEndsANameIsExplained) {
  const std::unique_ptr<Catalog> catalog = Catalog::without_tracepoints();
  const auto mistake = [&](const std::string& list) {
    const Matches found = catalog->match("probe:/proc/self/exe:" + list);
    std::string texts;
    for (const Mistake& one : found.mistakes) texts += one.text + "\n";
    return texts;
  };
  const std::string hint = "write ? for a comma of the name";
  EXPECT_NE(mistake("*::nothing<int, x*::f").find("'<'"), std::string::npos);
  EXPECT_NE(mistake("*::nothing(int, x:f").find(hint), std::string::npos);
  EXPECT_EQ(mistake("*::nothing<int, x>::f, probe:x:f").find(hint), std::string::npos);
  EXPECT_EQ(mistake("*::operator<x, probe:x:f").find(hint), std::string::npos);
}

TEST(WrittenNames, AsPeopleWriteThem) {
  const Result<ElfFile> file = ElfFile::open("/proc/self/exe");
  ASSERT_TRUE(file.ok());
  const auto written = [&](std::string_view glob) {
    return written_names(file.value(), functions_meant(file.value(), glob).symbols);
  };
  EXPECT_EQ(written("*::split_patterns"), Names{"ktap::event::split_patterns"});
  EXPECT_EQ(written("*::unlike(char const*)"),
            (Names{"ktap::event::unlike(char const*)", "ktap::event::unlike(char const**)"}));
  EXPECT_EQ(written("ktap::event::unlike(char const*)"), Names{"ktap::event::unlike(char const*)"})
      << "one that is not asked for counts too";
  EXPECT_EQ(written("ktap_names_twice*"), (Names{"ktap_names_twice", "ktap_names_twice(int)"}));
  EXPECT_EQ(written("_ZN4ktap5event6cloned*"), Names{"ktap::event::cloned"});
}

/// What is written means the function, those of the same name, and no other.
TEST(WrittenNames, EachIsReadAsWhatItNames) {
  const Result<ElfFile> file = ElfFile::open("/proc/self/exe");
  ASSERT_TRUE(file.ok());
  const std::vector<FunctionSymbol>& all = file.value().functions();
  const size_t step = std::max<size_t>(all.size() / 60, 1);
  size_t demangled = 0;
  for (size_t i = 0; i < all.size(); i += step) {
    const Names names = written_names(file.value(), {all[i]});
    ASSERT_EQ(names.size(), 1U);
    const std::string text = "probe:/proc/self/exe:" + names[0];
    ASSERT_EQ(split_patterns(text).size(), 1U) << text;
    const std::string name(name_of(names[0]));
    ASSERT_EQ(name, names[0]);
    const Result<FunctionName> parsed = parse_function_name(name);
    ASSERT_TRUE(parsed.ok()) << parsed.error().message;
    if (parsed.value().address) {
      EXPECT_EQ(*parsed.value().address, all[i].address);
      continue;
    }
    demangled += name == all[i].name ? 0 : 1;
    const std::string is_called = symbol::demangle(all[i].name);
    bool is_there = false;
    for (const FunctionSymbol& found : functions_meant(file.value(), name).symbols) {
      is_there = is_there || found.address == all[i].address;
      EXPECT_EQ(symbol::demangle(found.name), is_called) << name;
    }
    EXPECT_TRUE(is_there) << name;
  }
  EXPECT_GT(demangled, 10U);
}

}  // namespace
}  // namespace ktap::event
