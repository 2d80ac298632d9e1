// Files of every machine (libc, this program) and small programs compiled here: symbols from all
// places, offsets against `readelf`, errors in words.
#include "symbol/elf_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <link.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <sstream>

#include "symbol/demangle.h"
#include "symbol/name_pattern.h"
#include "symbol/test_files.h"

extern "C" __attribute__((noinline, used)) int ktap_test_function(int value) { return value + 1; }

namespace ktap::symbol {
namespace {

using testing::HasSubstr;

/// The C library that this program runs with.
std::string loaded_libc() {
  std::string path;
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* data) {
        const std::string name = info->dlpi_name;
        if (name.find("/libc.so") != std::string::npos) *static_cast<std::string*>(data) = name;
        return 0;
      },
      &path);
  return path;
}

std::string open_error(const std::string& path, const ElfOptions& options = {}) {
  const Result<ElfFile> file = ElfFile::open(path, options);
  return file.ok() ? "" : file.error().message;
}

constexpr const char* kProgram = R"(
#include <vector>
namespace shapes { struct Circle { __attribute__((noinline)) int area(int r) { return r * 3; } }; }
__attribute__((noinline)) static int hidden(int x) { asm volatile(""); return x + 7; }
extern "C" __attribute__((noinline)) int seen(int x) { asm volatile(""); return hidden(x); }
extern "C" int also_seen(int) __attribute__((alias("seen")));
extern "C" int main(int argc, char**) { return shapes::Circle().area(argc) + seen(argc); }
)";

class Program : public testing::Test {
 protected:
  void SetUp() override {
    if (!has_command("g++")) GTEST_SKIP() << "g++ is not installed";
    folder_.write("p.cc", kProgram);
    ASSERT_TRUE(folder_.run("g++ -O1 -g -rdynamic -Wl,--build-id p.cc -o full"));
  }

  ElfFile open(const std::string& name, const ElfOptions& options = {}) const {
    Result<ElfFile> file = ElfFile::open(folder_ / name, options);
    EXPECT_TRUE(file.ok()) << file.error().message;
    return std::move(file).value();
  }

  TempFolder folder_;
};

TEST_F(Program, SymbolsAreThoseOfReadelf) {
  const ElfFile file = open("full");
  std::istringstream lines(output_of("readelf -sW --dyn-syms " + (folder_ / "full")));
  size_t count = 0;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string number, value, size, type, binding, visibility, section, name;
    words >> number >> value >> size >> type >> binding >> visibility >> section >> name;
    if (type != "FUNC" || section == "UND") continue;
    name = name.substr(0, name.find('@'));
    const std::vector<FunctionSymbol> found = file.find(name);
    ASSERT_FALSE(found.empty()) << name;
    const uint64_t address = std::stoull(value, nullptr, 16);
    EXPECT_TRUE(std::any_of(found.begin(), found.end(), [&](const FunctionSymbol& symbol) {
      return symbol.address == address && symbol.size_bytes == std::stoull(size, nullptr, 0) &&
             symbol.is_global == (binding != "LOCAL");
    })) << name;
    ++count;
  }
  EXPECT_GT(count, 5U);
}

TEST_F(Program, NamesGlobsAndAliases) {
  const ElfFile file = open("full");
  EXPECT_EQ(file.find("shapes::Circle::area").size(), 1U);
  EXPECT_EQ(file.find("shapes::Circle::area(int)").size(), 1U);
  EXPECT_EQ(file.find("hidden").size(), 1U);
  EXPECT_FALSE(file.find("hidden")[0].is_global);
  EXPECT_TRUE(file.find("Circle").empty());
  EXPECT_TRUE(file.find("").empty());
  const std::vector<FunctionSymbol> seen = file.glob("*seen");
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen[0].name, "also_seen");
  EXPECT_EQ(seen[0].file_offset, seen[1].file_offset);
  EXPECT_EQ(file.glob("shapes::*").size(), 1U);
  EXPECT_EQ(file.nearest("sene"), std::vector<std::string>{"seen"});
  EXPECT_EQ(file.nearest("shapes::Circle::arae"), std::vector<std::string>{"shapes::Circle::area"});
  EXPECT_EQ(file.nearest("area"), std::vector<std::string>{"shapes::Circle::area"});
  EXPECT_EQ(file.nearest("shapes::Circle::area(long)"),
            std::vector<std::string>{"shapes::Circle::area"});
  const std::optional<FunctionPlace> place = file.at(seen[0].address + 1);
  ASSERT_TRUE(place.has_value());
  EXPECT_EQ(place->function.name, "seen");
  EXPECT_EQ(place->offset, 1U);
  EXPECT_FALSE(file.at(0).has_value());
  EXPECT_FALSE(file.at(UINT64_MAX).has_value());
}

TEST_F(Program, StrippedHasDynamicSymbolsAlone) {
  ASSERT_TRUE(folder_.run("strip -o bare full"));
  const ElfFile file = open("bare");
  EXPECT_EQ(file.find("seen").size(), 1U);
  EXPECT_TRUE(file.find("hidden").empty());
  EXPECT_EQ(file.debug_path(), "");
}

TEST_F(Program, WhyNothingWasFound) {
  const ElfFile file = open("full");
  const std::string path = folder_ / "full";
  EXPECT_EQ(file.why_missing("sene"), "no function 'sene' in " + path + "; did you mean 'seen'?");
  std::vector<std::string> near;
  EXPECT_EQ(file.why_missing("sene", &near), "no function 'sene' in " + path);
  EXPECT_EQ(near, std::vector<std::string>{"seen"}) << "for who shows them in another place";
  EXPECT_EQ(file.why_missing("area"),
            "no function 'area' in " + path + "; did you mean 'shapes::Circle::area'?");
  EXPECT_EQ(file.why_missing("nothing_like_it"), "no function 'nothing_like_it' in " + path);
  EXPECT_EQ(file.why_missing("seen%ret"),
            "no function 'seen%ret' in " + path + "; a function's return is seen%return");
  EXPECT_EQ(file.why_missing("zz*"), "no function in " + path + " matches 'zz*'");
  folder_.write("c.c",
                "int copy(int) __asm__(\"work.constprop.0\");\n"
                "int cold(int) __asm__(\"work.constprop.0.cold\");\n"
                "int copy(int n) { return n; }\nint cold(int n) { return -n; }\n"
                "int main() { return 0; }\n");
  ASSERT_TRUE(folder_.run("gcc -O0 c.c -o copies"));
  EXPECT_EQ(open("copies").nearest("work"), std::vector<std::string>{"work.constprop.0"});
  folder_.write("q.c", "#include <stdlib.h>\nint main() { free(malloc(2)); return 0; }\n");
  ASSERT_TRUE(folder_.run("g++ -O0 q.c -o imports && strip -o bare imports"));
  EXPECT_EQ(open("imports").why_missing("malloc"), "'malloc' is not in " + (folder_ / "imports") +
                                                       " itself, which takes it from a library");
  EXPECT_THAT(open("bare").why_missing("main"),
              testing::MatchesRegex(".*/bare has no function symbols .it was stripped.; its debug "
                                    "file would be /usr/lib/debug/.build-id/../.*[.]debug"));
}

TEST_F(Program, NamesWithoutTheArgumentsOfTheirTemplates) {
  folder_.write(
      "t.cc",
      "namespace ns { template <class T, int N> struct Pool { T take(T a) { return a + N; }\n"
      "template <class U> U give(U a) { return a; } bool operator<(int) { return true; } }; }\n"
      "template struct ns::Pool<int, 3>; template struct ns::Pool<long, 4>;\n"
      "template char ns::Pool<int, 3>::give(char); int main() { return 0; }\n");
  ASSERT_TRUE(folder_.run("g++ -O0 t.cc -o templates"));
  const ElfFile file = open("templates");
  using Names = std::vector<std::string>;
  const Names take = {"ns::Pool<int, 3>::take", "ns::Pool<long, 4>::take"};
  for (const char* name :
       {"ns::Pool::take", "Pool::take", "take", "ns::Pool::take(int)", "Pool<long, 3>::take"}) {
    EXPECT_EQ(file.nearest(name), take) << name;
  }
  EXPECT_EQ(file.nearest("Pool::give"), Names{"ns::Pool<int, 3>::give<char>"});
  EXPECT_EQ(file.nearest("Pool::operator<"),
            (Names{"ns::Pool<int, 3>::operator<", "ns::Pool<long, 4>::operator<"}));
  EXPECT_EQ(file.why_missing("ns::Pool::take"),
            "no function 'ns::Pool::take' in " + (folder_ / "templates") +
                "; did you mean 'ns::Pool<int, 3>::take' or 'ns::Pool<long, 4>::take'?");
}

/// `_init` has no size, and behind its section lie the stubs of other libraries' functions.
TEST_F(Program, WhatHasNoSizeEndsWithItsSection) {
  folder_.write("stub.c", "#include <unistd.h>\nint main(void) { return getppid() == 0; }\n");
  ASSERT_TRUE(folder_.run("gcc -O1 stub.c -o stub"));
  const Result<ElfFile> file = ElfFile::open(folder_ / "stub");
  ASSERT_TRUE(file.ok());
  const ElfImage& image = file.value().image();
  const ElfSection* init = image.section(".init");
  const ElfSection* stubs = image.section(".plt");
  if (init == nullptr || stubs == nullptr || file.value().find("_init").empty())
    GTEST_SKIP() << "programs of this machine have no _init, or no .plt";
  EXPECT_EQ(file.value().at(init->address + 4)->function.name, "_init");
  EXPECT_FALSE(file.value().at(stubs->address + 4).has_value());
  EXPECT_FALSE(image.in_one_section(init->address, stubs->address));
  EXPECT_TRUE(image.in_one_section(init->address, init->address + init->size_bytes - 1));
}

TEST_F(Program, MiniDebugInfo) {
  if (!has_command("xz")) GTEST_SKIP() << "xz is not installed";
  ASSERT_TRUE(
      folder_.run("objcopy --strip-debug full mini && objcopy -S --keep-symbol=_Z6hiddeni "
                  "--keep-symbol=_ZL6hiddeni mini && xz -k mini && strip -o bare full && "
                  "objcopy --add-section .gnu_debugdata=mini.xz bare with"));
  const ElfFile file = open("with");
  const std::vector<FunctionSymbol> hidden = file.find("hidden");
  ASSERT_EQ(hidden.size(), 1U);
  EXPECT_EQ(hidden[0].file_offset, open("full").find("hidden")[0].file_offset);
  EXPECT_EQ(file.find("seen").size(), 1U);
  ASSERT_TRUE(
      folder_.run("head -c 200 mini.xz > cut && "
                  "objcopy --add-section .gnu_debugdata=cut bare broken"));
  EXPECT_TRUE(open("broken").find("hidden").empty());
  EXPECT_EQ(open("broken").find("seen").size(), 1U);
}

TEST_F(Program, SeparateDebugFileByBuildId) {
  const std::string id = open("full").build_id();
  ASSERT_EQ(id.size(), 40U);
  const std::string place = "debug/.build-id/" + id.substr(0, 2);
  ASSERT_TRUE(folder_.run("mkdir -p " + place + " && objcopy --only-keep-debug full " + place +
                          "/" + id.substr(2) + ".debug && strip -o bare full"));
  ElfOptions options;
  options.debug_folder = folder_ / "debug";
  const ElfFile file = open("bare", options);
  ASSERT_EQ(file.find("hidden").size(), 1U);
  EXPECT_EQ(file.find("hidden")[0].file_offset, open("full").find("hidden")[0].file_offset);
  EXPECT_THAT(file.debug_path(), HasSubstr(id.substr(2)));
  options.separate_debug_files = false;
  EXPECT_TRUE(open("bare", options).find("hidden").empty());
  // Another program's debug file under that name is none.
  ASSERT_TRUE(folder_.run("g++ -DX p.cc -O2 -Wl,--build-id -o other && cp other " + place + "/" +
                          id.substr(2) + ".debug"));
  options.separate_debug_files = true;
  EXPECT_TRUE(open("bare", options).find("hidden").empty());
}

TEST_F(Program, SeparateDebugFileByLink) {
  ASSERT_TRUE(
      folder_.run("g++ -O1 -g -Wl,--build-id=none p.cc -o full && mkdir .debug && "
                  "objcopy --only-keep-debug full .debug/full.debug && strip -o bare full "
                  "&& objcopy --add-gnu-debuglink=.debug/full.debug bare"));
  EXPECT_EQ(open("full").build_id(), "");
  EXPECT_EQ(open("bare").find("hidden").size(), 1U);
  EXPECT_EQ(open("bare").debug_path(), folder_ / ".debug/full.debug");
  ASSERT_TRUE(folder_.run("printf x >> .debug/full.debug"));  // the checksum is another now
  EXPECT_TRUE(open("bare").find("hidden").empty());
}

TEST_F(Program, InAnotherRoot) {
  ElfOptions options;
  options.root = folder_ / "";
  Result<ElfFile> file = ElfFile::open("/full", options);
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(file.value().path(), "/full");
}

TEST_F(Program, ErrorsAreInWords) {
  EXPECT_EQ(open_error(folder_ / "none"), folder_ / "none: no such file");
  EXPECT_EQ(open_error(folder_ / ""), folder_ / ": a folder, not a file");
  EXPECT_EQ(open_error("/dev/null"), "/dev/null: not a regular file");
  EXPECT_EQ(open_error(folder_ / "p.cc"), folder_ / "p.cc: not an ELF file");
  EXPECT_EQ(open_error(folder_.write("empty", "")), folder_ / "empty: not an ELF file");
  ASSERT_TRUE(folder_.run("g++ -c p.cc -o p.o"));
  EXPECT_THAT(open_error(folder_ / "p.o"), HasSubstr("an object file"));
  ASSERT_TRUE(
      folder_.run("cp full foreign && printf '\\010\\000' | dd of=foreign bs=1 seek=18 "
                  "conv=notrunc"));
  EXPECT_THAT(open_error(folder_ / "foreign"), HasSubstr("for machine 8, but this machine is"));
  ElfOptions any;
  any.any_machine = true;
  EXPECT_EQ(open_error(folder_ / "foreign", any), "");
  ASSERT_TRUE(folder_.run("printf '\\002' | dd of=foreign bs=1 seek=5 conv=notrunc"));
  EXPECT_THAT(open_error(folder_ / "foreign", any), HasSubstr("big-endian"));
}

TEST(ElfFile, ThisProgramAtRunTime) {
  Result<ElfFile> file = ElfFile::open("/proc/self/exe");
  ASSERT_TRUE(file.ok()) << file.error().message;
  const std::vector<FunctionSymbol> found = file.value().find("ktap_test_function");
  ASSERT_EQ(found.size(), 1U);
  EXPECT_TRUE(found[0].is_global);
  uint64_t base = 0;
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* data) {
        *static_cast<uint64_t*>(data) = info->dlpi_addr;
        return 1;
      },
      &base);
  EXPECT_EQ(base + found[0].address, reinterpret_cast<uint64_t>(&ktap_test_function));
  EXPECT_EQ(file.value().file_offset(found[0].address), found[0].file_offset);
  EXPECT_EQ(file.value().image().address_of(found[0].file_offset), found[0].address);
}

/// Every word of a demangled name, as a pattern, finds the mangled one: none is passed over because
/// the mangled name seems not to hold it.
TEST(ElfFile, PatternsPassOverNothing) {
  Result<ElfFile> file = ElfFile::open("/proc/self/exe");
  ASSERT_TRUE(file.ok()) << file.error().message;
  std::map<std::string, std::string_view> words;
  for (const FunctionSymbol& function : file.value().functions()) {
    if (is_cold_part(function.name)) continue;
    const std::string plain = demangle(function.name);
    std::string word;
    for (const char c : plain + " ") {
      if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_') {
        word += c;
      } else if (!word.empty()) {
        words.emplace(std::move(word), function.name);
        word.clear();
      }
    }
  }
  EXPECT_GT(words.size(), 500U);
  for (const auto& [word, name] : words) {
    EXPECT_TRUE(NamePattern("*" + word + "*", true).matches(name)) << word << " " << name;
  }
}

TEST(ElfFile, LibcHasVersionsAndIfuncs) {
  const std::string path = loaded_libc();
  if (path.empty()) GTEST_SKIP() << "linked without a shared C library";
  Result<ElfFile> file = ElfFile::open(path);
  ASSERT_TRUE(file.ok()) << file.error().message;
  const ElfFile& libc = file.value();
  ASSERT_FALSE(libc.find("malloc").empty());
  EXPECT_EQ(libc.find("malloc")[0].name, "malloc");
  EXPECT_TRUE(libc.find("mallo").empty());
  EXPECT_GT(libc.functions().size(), 1000U);
  for (const FunctionSymbol& function : libc.functions()) {
    EXPECT_EQ(function.name.find('@'), std::string_view::npos);
  }
#if defined(__x86_64__)
  ASSERT_FALSE(libc.find("strlen").empty());
  EXPECT_TRUE(libc.find("strlen")[0].is_ifunc);
#endif
  const uint64_t inside = libc.find("malloc")[0].address + 2;
  ASSERT_TRUE(libc.at(inside).has_value());
  EXPECT_EQ(libc.at(inside)->function.name, "malloc");
  EXPECT_THAT(libc.nearest("maloc"), testing::Contains("malloc"));
  EXPECT_GE(libc.glob("mall*").size(), 3U);
}

}  // namespace
}  // namespace ktap::symbol
