// Programs and libraries that g++ and gcc make here: with handlers, with a throw alone, with
// neither, and C.
#include "symbol/exceptions.h"

#include <gtest/gtest.h>

#include "symbol/elf_file.h"
#include "symbol/test_files.h"

namespace ktap::symbol {
namespace {

class Exceptions : public testing::Test {
 protected:
  void SetUp() override {
    if (!has_command("g++") || !has_command("gcc")) GTEST_SKIP() << "g++ is not installed";
  }

  /// Compiles `source` to a library; whether it is one that exceptions pass.
  bool pass(const std::string& compiler, const std::string& flags, const std::string& source) {
    folder_.write(compiler == "gcc" ? "a.c" : "a.cc", source);
    EXPECT_TRUE(folder_.run("rm -f a.so; " + compiler + " -fPIC " + flags +
                            (compiler == "gcc" ? " a.c" : " a.cc") + " -o a.so"));
    const Result<ElfFile> file = ElfFile::open(folder_ / "a.so");
    if (!file.ok()) {
      ADD_FAILURE() << file.error().message;
      return false;
    }
    has_handlers_ = file.value().image().section(".gcc_except_table") != nullptr;
    return has_unwind_tables(file.value().image()) && is_of_throwing_language(file.value().image());
  }

  TempFolder folder_;
  bool has_handlers_ = false;
};

TEST_F(Exceptions, AreThrownByCodeWithoutHandlers) {
  EXPECT_TRUE(
      pass("g++", "-shared -O1", "extern \"C\" int f(int x) { if (x) throw 1; return x; }"));
  EXPECT_FALSE(has_handlers_);
  EXPECT_TRUE(pass("g++", "-shared -O1 -s -nodefaultlibs -Wl,-z,lazy",
                   "extern \"C\" int f(int x) { if (x) throw 1; return x; }"))
      << "without the library's name";
}

TEST_F(Exceptions, PassCodeThatOnlyCalls) {
  const std::string calls = "int f(int (*g)(int)) { return g(1) + 1; }";
  EXPECT_TRUE(pass("g++", "-shared -O1", calls));
  EXPECT_TRUE(pass("g++", "-shared -O1 -s -nodefaultlibs", calls)) << "by its name alone";
  EXPECT_TRUE(pass("g++", "-shared -O1 -s -Wl,--no-as-needed", "extern \"C\" " + calls))
      << "by what it is linked with";
}

TEST_F(Exceptions, DoNotPassC) {
  EXPECT_FALSE(pass("gcc", "-shared -O1", "int f(int (*g)(int)) { return g(1) + 1; }"));
  EXPECT_FALSE(
      pass("gcc", "-shared -O1 -fno-asynchronous-unwind-tables", "int f(int x) { return x; }"));
  if (folder_.run("echo 'int main(void) { return 0; }' >s.c; gcc -static s.c -o s")) {
    EXPECT_FALSE(pass("gcc", "-static", "int main(void) { return 0; }")) << "with its unwinder";
  }
  const Result<ElfFile> self = ElfFile::open("/proc/self/exe");
  ASSERT_TRUE(self.ok());
  EXPECT_TRUE(is_of_throwing_language(self.value().image())) << "this program";
}

}  // namespace
}  // namespace ktap::symbol
