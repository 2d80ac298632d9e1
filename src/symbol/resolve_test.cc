// Names → files, in a root of our own making and on this machine.
#include "symbol/resolve.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <sstream>

#include "base/paths.h"
#include "symbol/linker_cache.h"
#include "symbol/maps.h"
#include "symbol/test_files.h"

namespace ktap::symbol {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

void append_number(std::string& text, uint64_t value, size_t size_bytes) {
  text.append(reinterpret_cast<const char*>(&value), size_bytes);
}

struct Row {
  std::string name;
  std::string path;
  uint64_t hwcap = 0;
};

/// A cache in the new format, as ldconfig writes it.
std::string make_cache(const std::vector<Row>& rows) {
  std::string text = "glibc-ld.so.cache1.1";
  std::string texts;
  append_number(text, rows.size(), 4);
  text.resize(48);
  const size_t texts_at = 48 + 24 * rows.size();
  for (const Row& row : rows) {
    append_number(text, 0x303, 4);
    append_number(text, texts_at + texts.size(), 4);
    texts += row.name + '\0';
    append_number(text, texts_at + texts.size(), 4);
    texts += row.path + '\0';
    append_number(text, 0, 4);
    append_number(text, row.hwcap, 8);
  }
  return text + texts;
}

Bytes as_bytes(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

std::vector<std::string> names_for(const std::vector<CachedLibrary>& cache, std::string_view name) {
  std::vector<std::string> paths;
  for (const CachedLibrary& library : libraries_named(cache, name)) {
    paths.emplace_back(library.path);
  }
  return paths;
}

TEST(LinkerCache, NamesAndVersions) {
  const std::string text = make_cache({{"libssl.so.3", "/a/3"},
                                       {"libssl.so.1.1", "/a/1.1"},
                                       {"libssl.so.10", "/a/10"},
                                       {"libc.so.6", "/special/6", 1},
                                       {"libc.so.6", "/a/6"},
                                       {"libcrypt.so.1", "/a/crypt"},
                                       {"ld-linux.so.2", "/a/ld"}});
  const std::vector<CachedLibrary> cache = parse_linker_cache(as_bytes(text));
  ASSERT_EQ(cache.size(), 7U);
  using testing::ElementsAre;
  EXPECT_THAT(names_for(cache, "libssl"), ElementsAre("/a/10", "/a/3", "/a/1.1"));
  EXPECT_THAT(names_for(cache, "libssl.so.1.1"), ElementsAre("/a/1.1"));
  EXPECT_THAT(names_for(cache, "libssl.so.1"), ElementsAre("/a/1.1"));
  for (const char* name : {"c", "libc", "libc.so", "libc.so.6"}) {
    EXPECT_THAT(names_for(cache, name), ElementsAre("/a/6", "/special/6")) << name;
  }
  EXPECT_THAT(names_for(cache, "ld-linux"), ElementsAre("/a/ld"));
  EXPECT_TRUE(names_for(cache, "lib").empty());
  EXPECT_TRUE(names_for(cache, "").empty());
}

TEST(LinkerCache, BehindTheOldFormat) {
  std::string text = "ld.so-1.7.0";
  text.resize(12);
  append_number(text, 1, 4);
  text.resize(16 + 12);
  text.resize(32);
  text += make_cache({{"libc.so.6", "/a/6"}});
  EXPECT_EQ(parse_linker_cache(as_bytes(text)).size(), 1U);
}

TEST(LinkerCache, BrokenOnes) {
  const std::string good = make_cache({{"libc.so.6", "/a/6"}, {"libd.so.6", "/a/7"}});
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_LE(parse_linker_cache(as_bytes(good.substr(0, size))).size(), 2U);
  }
  std::string lying = good;
  std::memset(lying.data() + 20, 0xff, 4);
  EXPECT_GE(parse_linker_cache(as_bytes(lying)).size(), 2U);
  std::memset(lying.data() + 48, 0xff, 48);
  parse_linker_cache(as_bytes(lying));
  std::string old = "ld.so-1.7.0";
  old.resize(16, '\xff');
  EXPECT_TRUE(parse_linker_cache(as_bytes(old)).empty());
}

/// A root with a program, a library and what else may be met.
class Root : public testing::Test {
 protected:
  void SetUp() override {
    const std::string self = std::filesystem::read_symlink("/proc/self/exe");
    for (const char* folder : {"bin", "usr/bin", "opt", "etc", "lib64"}) {
      std::filesystem::create_directories(root_ / folder);
    }
    std::filesystem::copy_file(self, root_ / "bin/prog");
    std::filesystem::create_symlink("/bin/prog", root_ / "usr/bin/linked");
    std::filesystem::create_symlink("../../../../bin", root_ / "opt/up");
    std::filesystem::create_symlink("around", root_ / "opt/round");
    std::filesystem::create_symlink("round", root_ / "opt/around");
    std::filesystem::create_symlink("/bin/prog", root_ / "lib64/libknown.so.2");
    std::filesystem::create_symlink("/bin/prog", root_ / "lib64/libknown.so.10");
    root_.write("bin/script", "#!/bin/sh -e\nexit\n");
    root_.write("opt/libscript.so", "/* GNU ld script\n*/");
    root_.write("opt/text", "hello");
    root_.write("etc/ld.so.cache",
                make_cache({{"libcached.so.1", "/usr/bin/linked"}, {"libgone.so.1", "/nowhere"}}));
    options_.root = root_ / "";
    options_.root.pop_back();
  }

  std::string path(std::string_view name) const {
    const Result<ResolvedFile> file = resolve(name, options_);
    return file.ok() ? file.value().path : "error: " + file.error().message;
  }

  TempFolder root_;
  ResolveOptions options_;
};

TEST_F(Root, PathsAndLinksStayInside) {
  EXPECT_EQ(path("/bin/prog"), "/bin/prog");
  EXPECT_EQ(path("/usr/bin/linked"), "/bin/prog");
  EXPECT_EQ(path("/opt/up/prog"), "/bin/prog");
  EXPECT_EQ(path("//bin/./../bin/prog"), "/bin/prog");
  EXPECT_EQ(resolve("/bin/prog", options_).value().full(), root_ / "bin/prog");
  EXPECT_THAT(path("/opt/round"), HasSubstr("/opt/round: no such file (in the root "));
  EXPECT_THAT(path("/etc/passwd"), HasSubstr("/etc/passwd: no such file"));
  EXPECT_THAT(path(""), HasSubstr("an empty file name"));
}

TEST_F(Root, ProgramsAndLibrariesByName) {
  EXPECT_EQ(path("prog"), "/bin/prog");
  EXPECT_EQ(path("linked"), "/bin/prog");
  EXPECT_EQ(path("libcached.so.1"), "/bin/prog");
  EXPECT_EQ(path("cached"), "/bin/prog");
  EXPECT_EQ(path("libknown"), "/bin/prog");
  options_.search_path = "/opt:/nowhere";
  EXPECT_THAT(path("prog"), HasSubstr("'prog': no such program or library"));
  EXPECT_THAT(path("prog"), HasSubstr("looked in PATH=/opt:/nowhere, /etc/ld.so.cache, /lib/"));
  EXPECT_THAT(path("libcachde.so.1"), EndsWith("did you mean 'libcached.so.1'?"));
  EXPECT_THAT(path("libgone"), HasSubstr("no such program or library"));
}

TEST_F(Root, WhatIsNoProgramIsNamed) {
  const std::string script =
      "a script (#!/bin/sh -e), not a program; its interpreter is /bin/sh (in the root ";
  EXPECT_THAT(path("script"), HasSubstr("error: /bin/script: " + script));
  EXPECT_THAT(path("/bin/script"), HasSubstr(script));
  EXPECT_THAT(path("/opt/libscript.so"), HasSubstr("a linker script"));
  EXPECT_THAT(path("/opt/text"), HasSubstr("/opt/text: not an ELF file"));
  EXPECT_THAT(path("/opt"), HasSubstr("/opt: a folder, not a file"));
}

TEST_F(Root, OfAProcessWithAnotherRoot) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root: chroot";
  const pid_t child = fork();
  if (child == 0) {
    if (chroot(options_.root.c_str()) == 0 && chdir("/bin") == 0) raise(SIGSTOP);
    _exit(1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, WUNTRACED), child);
  ASSERT_TRUE(WIFSTOPPED(status));
  ResolveOptions other;
  other.pid = child;
  const Result<ResolvedFile> by_name = resolve("prog", other);
  const Result<ResolvedFile> by_path = resolve("./prog", other);
  const Result<ResolvedFile> none = resolve("/bin/none", other);
  kill(child, SIGKILL);
  waitpid(child, &status, 0);
  ASSERT_TRUE(by_name.ok()) << by_name.error().message;
  EXPECT_EQ(by_name.value().root, "/proc/" + std::to_string(child) + "/root");
  EXPECT_EQ(by_name.value().path, "/bin/prog");
  ASSERT_TRUE(by_path.ok()) << by_path.error().message;
  EXPECT_EQ(by_path.value().full(), by_name.value().full());
  EXPECT_THAT(none.error().message, HasSubstr("as process " + std::to_string(child) + " sees it"));
}

TEST(Resolve, OnThisMachine) {
  EXPECT_TRUE(resolve("/proc/self/exe").ok());
  ResolveOptions own;
  own.pid = getpid();
  const Result<ProcessMaps> maps = ProcessMaps::read(getpid());
  ASSERT_TRUE(maps.ok());
  for (const Mapping& mapping : maps.value().mappings()) {
    const std::string_view base = base_name(mapping.path);
    if (base != "libc.so.6" || !mapping.is_executable) continue;
    const std::optional<std::string> libc = canonical_within("", mapping.path);
    ASSERT_TRUE(libc.has_value());
    for (const char* name : {"c", "libc", "libc.so.6"}) {
      const Result<ResolvedFile> mapped = resolve(name, own);
      ASSERT_TRUE(mapped.ok()) << mapped.error().message;
      EXPECT_EQ(mapped.value().path, *libc);
      const Result<ResolvedFile> found = resolve(name);
      ASSERT_TRUE(found.ok()) << found.error().message;
      EXPECT_EQ(found.value().path, *libc);
    }
    const Result<ElfFile> file = open_named("libc");
    ASSERT_TRUE(file.ok()) << file.error().message;
    EXPECT_FALSE(file.value().find("malloc").empty());
  }
  own.pid = 0x7ffffff0;
  EXPECT_EQ(resolve("libc", own).error().message, "process 2147483632: no such process");
}

TEST(Resolve, FromTheFolderOfAProcess) {
  const TempFolder folder;
  std::filesystem::copy_file("/proc/self/exe", folder / "here");
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder / "");
  const Result<ResolvedFile> plain = resolve("./here");
  ResolveOptions own;
  own.pid = getpid();
  const Result<ResolvedFile> of_process = resolve("./here", own);
  std::filesystem::current_path(before);
  ASSERT_TRUE(plain.ok()) << plain.error().message;
  EXPECT_THAT(plain.value().path, EndsWith("/here"));
  ASSERT_TRUE(of_process.ok()) << of_process.error().message;
  EXPECT_EQ(of_process.value().path, plain.value().path);
}

TEST(Resolve, WhatAProcessRunsOfAFileThatWasReplaced) {
  const TempFolder folder;
  const std::string sleep = canonical_within("", "/bin/sleep").value_or("");
  if (sleep.empty()) GTEST_SKIP() << "no /bin/sleep";
  const std::string mine = canonical_within("", folder / "").value_or("") + "/ktap_sleeper";
  std::filesystem::copy_file(sleep, mine);
  const pid_t child = fork();
  if (child == 0) {
    execl(mine.c_str(), mine.c_str(), "600", nullptr);
    _exit(1);
  }
  ASSERT_GT(child, 0);
  const std::string own = "/proc/" + std::to_string(child) + "/exe";
  ResolveOptions options;
  options.pid = child;
  // The exec is over when the file is mapped; its name is there before.
  constexpr int kMostTries = 10000;
  bool is_found = false;
  for (int i = 0; i < kMostTries && !is_found; ++i) {
    usleep(1000);
    is_found = resolve("ktap_sleeper", options).ok();
  }
  EXPECT_TRUE(is_found);
  EXPECT_EQ(deleted_file(child, mine), "");
  std::filesystem::remove(mine);
  const Result<ResolvedFile> by_name = resolve("ktap_sleeper", options);
  const Result<ResolvedFile> by_path = resolve(mine, options);
  EXPECT_EQ(deleted_file(child, mine), own);
  EXPECT_EQ(deleted_file(child, "ktap_sleeper"), own);
  EXPECT_TRUE(resolve(own, options).ok());
  const Result<ProcessMaps> maps = ProcessMaps::read(child);
  ASSERT_TRUE(maps.ok());
  for (const Mapping& mapping : maps.value().mappings()) {
    if (!mapping.is_executable || mapping.path != mine) continue;
    std::ostringstream name;
    name << "/proc/" << child << "/map_files/" << std::hex << mapping.begin << "-" << mapping.end;
    EXPECT_TRUE(geteuid() != 0 || resolve(name.str(), options).ok()) << name.str();
  }
  std::filesystem::copy_file(sleep, mine);
  EXPECT_TRUE(resolve(mine, options).ok());
  EXPECT_EQ(deleted_file(child, mine), own) << "the file that is there now is another";
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  const std::string what = "; process " + std::to_string(child) +
                           " runs a file of that name that has been deleted since: probe " + own;
  ASSERT_FALSE(by_name.ok());
  ASSERT_FALSE(by_path.ok());
  EXPECT_THAT(by_name.error().message, EndsWith(what));
  EXPECT_THAT(by_path.error().message, EndsWith(what));
}

}  // namespace
}  // namespace ktap::symbol
