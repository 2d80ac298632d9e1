// What debug information says of small programs that are compiled here, optimised and not.
#include "symbol/user_types.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <list>

#include "symbol/name_pattern.h"
#include "symbol/test_files.h"

namespace ktap::symbol {
namespace {

using schema::CKind;
using schema::CType;
using testing::ElementsAre;

constexpr const char* kProgram = R"(
enum color { RED, GREEN = 7, BLUE = -2 };
enum plain { A = 1, B = 200, C = 4000000000u };
struct inner { int a; unsigned b : 3; int c : 5; char name[8]; };
struct hidden;
typedef const struct inner inner_type;
struct outer {
  struct inner in; struct inner *p; const char *text; enum color color; enum plain kind;
  union { long whole; double half; }; short grid[2][3]; struct hidden *hidden; _Bool yes;
  unsigned char raw[4]; long long wide : 40;
};
struct pair { long x, y; };
struct mixed { double d; long x; };
struct big { long x[3]; };
long keep;
#define HERE __attribute__((noinline, noclone, used))
HERE int many(int a, const char *s, inner_type *i, double d, unsigned char c, struct outer *o,
              long six, short seven, float f, int eight) {
  __asm__ volatile("" : : "r"(i), "r"(o) : "memory");
  return a + s[0] + (int)d + c + (int)six + seven + (int)f + eight; }
HERE long structs(struct pair p, int a, struct mixed m, int b, struct big g, int c, int d, int e) {
  __asm__ volatile("" : : : "memory"); return p.x + a + m.x + b + g.x[0] + c + d + e; }
HERE struct big gives(int a, int b) {
  struct big g = {{a, b, keep}}; __asm__ volatile("" : : : "memory"); return g; }
HERE void rest(const char *format, ...) { __asm__ volatile("" : : "r"(format) : "memory"); }
HERE int narrow(_Bool yes, signed char c, _Bool no, short s) {
  __asm__ volatile("" : : : "memory"); if (yes) ++keep; if (no) keep += c; return s; }
HERE struct outer *nothing(void) { __asm__ volatile("" : : : "memory"); return 0; }
int main(void) { return (int)keep; }
)";
constexpr const char* kHidden = "struct hidden { int inside; }; struct hidden visible = {1};\n";

std::string describe(const UserTypes& types, const UserFunction& function) {
  std::string text = types.name(function.result) + " (";
  for (const UserFunction::Parameter& parameter : function.parameters) {
    text += types.name(parameter.type) + " " + parameter.name + " ";
    switch (parameter.place.kind) {
      case ArgumentPlace::Kind::Unknown:
        text += "?";
        break;
      case ArgumentPlace::Kind::Register:
        text += parameter.place.in.name;
        break;
      case ArgumentPlace::Kind::Stack:
        text += "sp+" + std::to_string(parameter.place.value);
        break;
      case ArgumentPlace::Kind::Constant:
        text += "=" + std::to_string(parameter.place.value);
        break;
    }
    text += ", ";
  }
  return text + (function.is_variadic ? "...)" : ")");
}

class UserTypesTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    folder_.write("program.c", kProgram);
    folder_.write("hidden.c", kHidden);
    const std::string command = std::string(GetParam()) + " program.c hidden.c -o program";
    if (!has_command("cc") || !folder_.run(command)) GTEST_SKIP() << "no compiler for: " << command;
    open("program");
  }

  void open(const std::string& name) {
    Result<ElfFile> file = ElfFile::open(folder_ / name);
    ASSERT_TRUE(file.ok());
    files_.push_back(std::move(file).value());
    file_ = &files_.back();
  }

  std::optional<UserFunction> function(const std::string& name) {
    const std::vector<FunctionSymbol> found = file_->find(name);
    if (found.empty()) return std::nullopt;
    return types_.function(*file_, found.front().address);
  }

  std::string described(const std::string& name) {
    const std::optional<UserFunction> found = function(name);
    if (!found) return "none";
    std::string text = describe(types_, *found);
    for (const char* type : {"long int", "short int"}) {  // as GCC has them
      for (size_t at = 0; (at = text.find(type)) != text.npos;) text.erase(text.find(' ', at), 4);
    }
    return text;
  }

  TempFolder folder_;
  std::list<ElfFile> files_;  // as long as the types
  ElfFile* file_ = nullptr;   // the last one
  UserTypes types_;
};

INSTANTIATE_TEST_SUITE_P(Compilers, UserTypesTest,
                         testing::Values("cc -g -O0", "cc -g -O2", "cc -gdwarf-4 -O2",
                                         "cc -g -O2 -gz", "cc -g -O2 -fdebug-types-section",
                                         "cc -gdwarf-4 -O0 -fdebug-types-section",
                                         "cc -g -O0 -gsplit-dwarf", "cc -g -O2 -gsplit-dwarf",
                                         "clang -g -O0", "clang -g -O2", "clang -gdwarf-4 -O2",
                                         "clang -g -O2 -gsplit-dwarf"));

#ifdef __x86_64__
TEST_P(UserTypesTest, ArgumentsLieWhereTheCallerPutsThem) {
  EXPECT_EQ(described("many"),
            "int (int a rdi, char * s rsi, inner_type * i rdx, double d ?, unsigned char c rcx, "
            "struct outer * o r8, long six r9, short seven sp+8, float f ?, int eight "
            "sp+16, )");
  EXPECT_EQ(described("gives"), "struct big (int a rsi, int b rdx, )");
  EXPECT_EQ(described("nothing"), "struct outer * ()");
  EXPECT_EQ(described("narrow"),
            "int (_Bool yes rdi, signed char c rsi, _Bool no rdx, short s rcx, )")
      << "clang computes them from the registers";
  EXPECT_EQ(described("rest"), "void (char * format rdi, ...)");
  EXPECT_EQ(described("absent"), "none");
}

TEST_P(UserTypesTest, StructsByValueTakeRegistersOrTheStack) {
  const std::string text = described("structs");
  EXPECT_THAT(text, testing::HasSubstr("int a rdx, "));
  EXPECT_THAT(text, testing::HasSubstr("int b r8, "));
  EXPECT_THAT(text, testing::HasSubstr("int c r9, int d sp+32, int e sp+40, "));
}
#endif

TEST_P(UserTypesTest, Types) {
  const std::optional<UserFunction> found = function("many");
  ASSERT_TRUE(found);
  const CType pointer = found->parameters[5].type;
  const CType outer = types_.shape(pointer).target;
  EXPECT_TRUE(schema::is_user_type(outer));
  EXPECT_EQ(types_.name(outer), "struct outer");
  EXPECT_THAT(types_.member_names(outer),
              ElementsAre("in", "p", "text", "color", "kind", "whole", "half", "grid", "hidden",
                          "yes", "raw", "wide"));
  const auto type = [&](const char* name) { return types_.member(outer, name)->type; };
  EXPECT_TRUE(types_.shape(type("text")).is_text);
  EXPECT_FALSE(types_.shape(type("grid")).is_text);
  EXPECT_EQ(types_.enum_name(type("color"), -2), "BLUE");
  EXPECT_EQ(types_.enum_name(type("color"), 7), "GREEN");
  EXPECT_EQ(types_.enum_name(type("color"), 8), "");
  EXPECT_EQ(types_.enum_name(type("kind"), 4000000000), "C");
  EXPECT_TRUE(types_.shape(type("color")).is_signed);
  EXPECT_FALSE(types_.shape(type("kind")).is_signed);
  EXPECT_EQ(types_.shape(type("half")).kind, CKind::Opaque);
  EXPECT_EQ(types_.shape(type("yes")).kind, CKind::Bool);
  EXPECT_EQ(types_.member(outer, "whole")->offset_bits, types_.member(outer, "half")->offset_bits);
  const schema::CShape grid = types_.shape(type("grid"));
  EXPECT_EQ(grid.count, 2U);
  EXPECT_EQ(grid.size_bytes, 12U);
  EXPECT_EQ(types_.shape(grid.target).count, 3U);
  EXPECT_EQ(types_.shape(grid.target).size_bytes, 6U);
  EXPECT_EQ(types_.member(outer, "wide")->width_bits, 40U);
  EXPECT_FALSE(types_.member(outer, "none"));
  EXPECT_FALSE(types_.parse("struct outer *").ok());
  const CType inner = types_.shape(found->parameters[2].type).target;
  EXPECT_EQ(types_.member(inner, "b")->offset_bits, 32U);
  EXPECT_EQ(types_.member(inner, "c")->offset_bits, 35U);
  EXPECT_EQ(types_.member(inner, "c")->width_bits, 5U);
}

TEST_P(UserTypesTest, AStructThatIsDeclaredAloneIsFoundElsewhereInTheProgram) {
  const std::optional<UserFunction> found = function("nothing");
  ASSERT_TRUE(found);
  const CType outer = types_.shape(found->result).target;
  const CType hidden = types_.shape(types_.member(outer, "hidden")->type).target;
  EXPECT_EQ(types_.shape(hidden).kind, CKind::Struct);
  EXPECT_THAT(types_.member_names(hidden), ElementsAre("inside"));
}

TEST_P(UserTypesTest, SeparateDebugFile) {
  if (!has_command("objcopy")) GTEST_SKIP() << "no objcopy";
  const std::string before = described("many");
  for (const char* strip : {"strip", "strip -g"}) {
    ASSERT_TRUE(folder_.run(std::string("cp program two && objcopy --only-keep-debug two two.debug "
                                        "&& ") +
                            strip + " two && objcopy --add-gnu-debuglink=two.debug two"));
    open("two");
    ASSERT_FALSE(file_->debug_information().empty());
    EXPECT_EQ(described("many"), before) << strip;
  }
  ASSERT_TRUE(folder_.run("cp program three && strip -g three"));
  open("three");
  EXPECT_TRUE(file_->debug_information().empty());
  EXPECT_EQ(described("many"), "none");
}

TEST_P(UserTypesTest, BytesThatLieGiveLess) {
  std::string bytes = output_of("cat " + (folder_ / "program"));
  uint64_t state = 7;
  for (int round = 0; round < 300; ++round) {
    std::string broken = bytes;
    const ElfSection* info = file_->image().section(".debug_info");
    const ElfSection* abbrev = file_->image().section(".debug_abbrev");
    for (int i = 0; i < 8; ++i) {
      state = state * 6364136223846793005U + 1442695040888963407U;
      const ElfSection& section = i % 2 == 0 ? *info : *abbrev;
      broken[section.offset + (state >> 33) % section.size_bytes] ^= static_cast<char>(state >> 20);
    }
    const Bytes view(reinterpret_cast<const uint8_t*>(broken.data()), broken.size());
    const Result<ElfFile> file = ElfFile::from_memory(view, "broken");
    ASSERT_TRUE(file.ok());
    UserTypes types;
    for (const FunctionSymbol& symbol : file.value().functions()) {
      const std::optional<UserFunction> found = types.function(file.value(), symbol.address);
      if (!found) continue;
      describe(types, *found);
      for (const UserFunction::Parameter& parameter : found->parameters)
        types.member_names(types.shape(parameter.type).target);
    }
  }
}

TEST_P(UserTypesTest, WhatAFunctionTakesIsNotAlwaysSaid) {
  folder_.write("old.c", R"(
#define HERE __attribute__((noinline, noclone, used))
HERE int unsaid() { __asm__ volatile(""); return 4; }
HERE int old_style(a) int a; { __asm__ volatile(""); return a; }
HERE int nothing(void) { __asm__ volatile(""); return 5; }
int main(void) { return 0; }
)");
  folder_.write("add.S", R"(
    .text
    .globl add
    .type add, %function
add:
    nop
    .size add, . - add
    .section .note.GNU-stack, "", %progbits
)");
  ASSERT_TRUE(folder_.run(std::string(GetParam()) + " -std=gnu89 -w old.c add.S -o old"));
  open("old");
  const auto said = [&](const char* name) {
    const std::optional<UserFunction> found = function(name);
    if (!found) return std::string("none");
    return std::string(found->are_parameters_told ? "takes" : "") +
           (found->is_result_told ? " gives" : "");
  };
  EXPECT_EQ(said("unsaid"), " gives");
  EXPECT_EQ(said("old_style"), "takes gives");
  EXPECT_EQ(said("nothing"), "takes gives");
  EXPECT_THAT(said("add"), testing::AnyOf("", "none")) << "assemblers may write no functions";
}

class UserTypesOfCxx : public testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(Options, UserTypesOfCxx,
                         testing::Values("", "-fdebug-types-section",
                                         "-gdwarf-4 -fdebug-types-section", "-gsplit-dwarf"));

TEST_P(UserTypesOfCxx, Classes) {
  TempFolder folder;
  folder.write("program.cc", R"(
namespace ns {
struct Base { int first; };
struct Heavy { Heavy(); Heavy(const Heavy&); long value; };
class Class : public Base {
 public:
  static int shared;
  __attribute__((noinline)) long method(int by, Heavy heavy, const Base& base);
  long second = 2;
};
__attribute__((noinline)) long Class::method(int by, Heavy heavy, const Base& base) {
  __asm__ volatile("" : : "r"(this), "r"(&heavy), "r"(&base) : "memory");
  return by + second;
}
}
int main() { return 0; }
)");
  const std::string compile = "c++ -g -O0 " + std::string(GetParam()) + " program.cc";
  if (!has_command("c++") ||
      !folder.run(compile + " -c && " + compile + " -o a -Wl,--unresolved-symbols=ignore-all"))
    GTEST_SKIP() << "no C++ compiler";
  const Result<ElfFile> file = ElfFile::open(folder / "a");
  ASSERT_TRUE(file.ok());
  UserTypes types;
  const std::vector<FunctionSymbol> found = file.value().find("ns::Class::method");
  ASSERT_EQ(found.size(), 1U);
  const auto function = types.function(file.value(), found.front().address);
  ASSERT_TRUE(function);
#ifdef __x86_64__
  EXPECT_EQ(describe(types, *function),
            "long int (class Class * this rdi, int by rsi, struct Heavy heavy ?, struct Base & "
            "base rcx, )");
#endif
  const CType self = types.shape(function->parameters[0].type).target;
  EXPECT_THAT(types.member_names(self), ElementsAre("first", "second"));
  EXPECT_EQ(types.member(self, "second")->offset_bits, 64U);
}

/// "f first rdi, k rsi" of each function but main: how C++ hands the objects over is not written.
TEST(UserTypes, ObjectsThatAreNotCopiedByBytes) {
  TempFolder folder;
  folder.write("program.cc", R"(
#include <memory>
#include <string>
#include <tuple>
struct Guard { long v; ~Guard() { asm volatile(""); } };
struct Moved { int *p; Moved(int *q) : p(q) {} Moved(Moved &&o) : p(o.p) {} };
struct Holds { Guard inside[1]; };
struct Plain { long v; Plain() : v(1) {} Plain(const Plain &) = default; };
struct Derived : Guard {};
struct __attribute__((packed)) Packed { char c; long l; };
int by_string(std::string s, int k) { return s.size() + k; }
int by_unique(std::unique_ptr<int> s, int k) { return *s + k; }
int by_shared(std::shared_ptr<int> s, int k) { return *s + k; }
int by_holds(Holds h, int k) { return h.inside[0].v + k; }
int by_derived(Derived d, int k) { return d.v + k; }
int by_plain(Plain p, int k) { return p.v + k; }
int by_packed(Packed p, int k) { return p.l + k; }
std::unique_ptr<int> gives_unique(int k) { return std::make_unique<int>(k); }
std::tuple<int, int> gives_tuple(int k) { return {k, k}; }
std::pair<int, int> gives_pair(int k) { return {k, k}; }
Guard gives_guard(int k) { return Guard{k}; }
Moved gives_moved(int k) { static int s = k; return Moved(&s); }
int main() { return 0; }
)");
  const std::string compile = "g++ -O0 -std=c++17 program.cc ";
  if (!has_command("g++") || !folder.run(compile + "-gdwarf-5 -o a") ||
      !folder.run(compile + "-gdwarf-4 -gstrict-dwarf -o b"))
    GTEST_SKIP() << "no C++ compiler";
  UserTypes types;
  std::list<Result<ElfFile>> files;
  [[maybe_unused]] const auto place_of_k = [&](const char* name,
                                               const char* program = "a") -> std::string {
    files.push_back(ElfFile::open(folder / program));
    const ElfFile& file = files.back().value();
    const std::vector<FunctionSymbol> found = file.find(name);
    if (found.size() != 1) return "none";
    const auto function = types.function(file, found.front().address);
    const std::string text = function ? describe(types, *function) : "none";
    const size_t at = text.find("int k ");
    return at == std::string::npos ? text : text.substr(at + 6, text.find(',', at) - at - 6);
  };
#ifdef __x86_64__
  for (const char* name : {"by_string", "by_unique", "by_shared", "by_holds", "by_derived",
                           "by_plain", "gives_unique", "gives_tuple", "gives_guard", "gives_moved"})
    EXPECT_EQ(place_of_k(name), "rsi") << name;
  EXPECT_EQ(place_of_k("by_packed"), "rdi");
  EXPECT_EQ(place_of_k("gives_pair"), "rdi");
  EXPECT_EQ(place_of_k("gives_pair", "b"), "?") << "an older format does not say enough";
  EXPECT_EQ(place_of_k("by_packed", "b"), "rdi");
#endif
}

class FunctionsOfGcc : public testing::Test {
 protected:
  /// Of the function whose name begins so; "": there is none.
  std::string described(const char* name) {
    for (const FunctionSymbol& symbol : file_->functions()) {
      const std::string_view plain = symbol.name.substr(0, symbol.name.find('.'));
      if (plain != name || is_cold_part(symbol.name)) continue;
      const std::optional<UserFunction> found = types_.function(*file_, symbol.address);
      return found ? describe(types_, *found) : "none";
    }
    return "";
  }

  bool compile(const std::string& text, const std::string& options = "") {
    folder_.write("program.c", text);
    if (!has_command("gcc") || !folder_.run("gcc -g -O2 program.c -o program " + options))
      return false;
    Result<ElfFile> file = ElfFile::open(folder_ / "program");
    if (file.ok()) file_.emplace(std::move(file).value());
    return file.ok();
  }

  TempFolder folder_;
  std::optional<ElfFile> file_;
  UserTypes types_;
};

TEST_F(FunctionsOfGcc, CopiesHaveTheirParametersInTheOrderOfTheDeclaration) {
  if (!compile(R"(
#define HERE static __attribute__((noinline))
HERE int first(unsigned char u, int pad) { __asm__ volatile("" : : : "memory"); return pad; }
HERE int middle(int a, int u, int b) { __asm__ volatile("" : : : "memory"); return a + b; }
int main(int count, char **words) {
  int sum = 0;
  for (int i = 0; i < count; ++i) sum += first(200, i) + middle(i, 200, count);
  return sum == 99;
}
)"))
    GTEST_SKIP() << "no gcc";
  if (file_->find("first.constprop.0").empty()) GTEST_SKIP() << "this gcc makes no copy";
#ifdef __x86_64__
  EXPECT_EQ(described("first"), "int (unsigned char u =-56, int pad rdi, )");
  EXPECT_EQ(described("middle"), "int (int a rdi, int u =200, int b rsi, )")
      << "gcc writes 200 of an int in one byte";
#endif
}

TEST_F(FunctionsOfGcc, FunctionsInBlocksOfFunctions) {
  if (!compile(R"(
__attribute__((noinline)) int outer(int n) {
  int sum = 0;
  for (int i = 0; i < n; i++) {
    volatile int z = i;
    __attribute__((noinline)) int inner(int w) { return w + z; }
    sum += inner(i + 50);
  }
  return sum;
}
int main(int count, char **words) { return outer(count) == -1; }
)"))
    GTEST_SKIP() << "no gcc";
  EXPECT_THAT(described("inner"), testing::StartsWith("int (int w "));
}

// The ranges of functions are listed in the split file, those of its unit in the program.
TEST_F(FunctionsOfGcc, InSeveralPartsInSplitDebugInformation) {
  if (!compile(R"(
#define HERE __attribute__((noinline, noclone))
__attribute__((cold)) HERE void rare(int n) { __asm__ volatile("" : : "r"(n) : "memory"); }
HERE int parts(int a, const char *s) {
  if (a > 900) { rare(a); rare(a + 1); rare(s[1]); }
  return a + s[0];
}
int main(int count, char **words) { return parts(count, words[0]); }
)",
               "-gsplit-dwarf"))
    GTEST_SKIP() << "no gcc";
  EXPECT_THAT(described("parts"), testing::StartsWith("int (int a "));
}

}  // namespace
}  // namespace ktap::symbol
