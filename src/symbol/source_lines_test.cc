// Lines and inlined functions of small programs that are compiled here, whole and broken.
#include "symbol/source_lines.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "symbol/test_files.h"

namespace ktap::symbol {
namespace {

constexpr const char* kProgram =
    "static inline __attribute__((always_inline)) int inner(volatile int *p) {\n"
    "  return *p + 1;\n"
    "}\n"
    "namespace a { struct B { static inline __attribute__((always_inline)) int middle(volatile int "
    "*p) {\n"
    "  return inner(p) * 2;\n"
    "} }; }\n"
    "extern \"C\" __attribute__((noinline)) int outer(volatile int *p) {\n"
    "  return a::B::middle(p);\n"
    "}\n"
    "extern \"C\" __attribute__((noinline)) int plain(int x) {\n"
    "  return x * 5;\n"
    "}\n"
    "int main() { volatile int v = 1; return outer(&v) + plain(v); }\n";

std::string text_of(const std::vector<SourceFrame>& frames) {
  std::string text;
  for (const SourceFrame& frame : frames) {
    text += fmt::format("{}{}{} {}:{}", text.empty() ? "" : ", ", frame.function,
                        frame.is_inlined ? " inlined" : "", frame.file, frame.line);
  }
  return text;
}

class Lines : public testing::Test {
 protected:
  void SetUp() override {
    if (!has_command("g++")) GTEST_SKIP() << "g++ is not installed";
    folder_.write("lines.cc", kProgram);
  }

  std::optional<ElfFile> build(const std::string& flags, const std::string& then = "true") {
    EXPECT_TRUE(folder_.run("g++ -O1 " + flags + " lines.cc -o lines && " + then));
    Result<ElfFile> file = ElfFile::open(folder_ / "lines");
    if (!file.ok()) return std::nullopt;
    return std::move(file).value();
  }

  /// What the addresses of `function` say.
  static std::set<std::string> texts(const ElfFile& file, const std::string& function) {
    SourceLines lines(file);
    std::set<std::string> texts;
    for (const FunctionSymbol& symbol : file.find(function)) {
      for (uint64_t at = 0; at < symbol.size_bytes; ++at)
        texts.insert(text_of(lines.at(symbol.address + at)));
    }
    return texts;
  }

  TempFolder folder_;
};

constexpr const char* kChain =
    "inner inlined lines.cc:2, a::B::middle inlined lines.cc:5, outer lines.cc:8";

TEST_F(Lines, OfInlinedFunctions) {
  const std::optional<ElfFile> file = build("-g");
  ASSERT_TRUE(file.has_value());
  EXPECT_THAT(texts(*file, "outer"), testing::Contains(kChain));
  EXPECT_THAT(texts(*file, "plain"), testing::Contains("plain lines.cc:11"));
  SourceLines lines(*file);
  EXPECT_TRUE(lines.at(0).empty());
  EXPECT_TRUE(lines.at(UINT64_MAX).empty());
}

TEST_F(Lines, OfAllForms) {
  for (const char* flags : {"-gdwarf-4", "-gdwarf-3", "-g -gz", "-g -gsplit-dwarf"}) {
    const std::optional<ElfFile> file = build(flags);
    ASSERT_TRUE(file.has_value());
    EXPECT_THAT(texts(*file, "outer"), testing::Contains(kChain)) << flags;
  }
}

TEST_F(Lines, WithoutTheListOfUnits) {
  for (const char* flags : {"-g", "-g -gsplit-dwarf", "-g -gsplit-dwarf -ffunction-sections"}) {
    const std::optional<ElfFile> file =
        build(flags, "objcopy --remove-section .debug_aranges lines");
    ASSERT_TRUE(file.has_value());
    EXPECT_THAT(texts(*file, "outer"), testing::Contains(kChain)) << flags;
  }
}

/// Another reader of the same bytes was there before.
TEST_F(Lines, OfCompressedSections) {
  for (const char* then : {"true", "objcopy --compress-debug-sections=zlib-gnu lines lines"}) {
    const std::optional<ElfFile> file = build("-g -gz", then);
    if (!file.has_value()) continue;
    const std::set<std::string> first = texts(*file, "outer");
    EXPECT_EQ(texts(*file, "outer"), first);
    EXPECT_THAT(first, testing::Contains(testing::HasSubstr("inner inlined lines.cc:2")));
  }
}

TEST_F(Lines, OfTheDebugFile) {
  const std::optional<ElfFile> file =
      build("-g",
            "objcopy --only-keep-debug lines lines.debug && strip lines && "
            "objcopy --add-gnu-debuglink=lines.debug lines && cp lines.debug kept");
  ASSERT_TRUE(file.has_value());
  EXPECT_THAT(texts(*file, "outer"), testing::Contains(kChain));
}

TEST_F(Lines, NoneWithoutDebugInformation) {
  const std::optional<ElfFile> file = build("-g0");
  ASSERT_TRUE(file.has_value());
  EXPECT_THAT(texts(*file, "outer"), testing::ElementsAre(""));
}

/// Whatever stands in the sections: no crash, no endless loop.
TEST_F(Lines, OfBrokenBytes) {
  ASSERT_TRUE(build("-g").has_value());
  std::ifstream input(folder_ / "lines", std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(input)), {});
  uint64_t state = 7;
  const auto random = [&state] {
    state = state * 6364136223846793005U + 1442695040888963407U;
    return state >> 33;
  };
  for (int round = 0; round < 400; ++round) {
    std::string broken = bytes;
    const Bytes whole(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
    const Result<ElfImage> image = ElfImage::parse(whole);
    ASSERT_TRUE(image.ok());
    for (const ElfSection& section : image.value().sections()) {
      if (section.name.substr(0, 7) != ".debug_" || section.size_bytes == 0) continue;
      for (uint64_t i = 0; i < 4; ++i)
        broken[section.offset + random() % section.size_bytes] ^= static_cast<char>(random());
    }
    const Bytes view(reinterpret_cast<const uint8_t*>(broken.data()), broken.size());
    const Result<ElfFile> file = ElfFile::from_memory(view, "broken");
    ASSERT_TRUE(file.ok());
    EXPECT_FALSE(texts(file.value(), "outer").empty());
  }
}

}  // namespace
}  // namespace ktap::symbol
