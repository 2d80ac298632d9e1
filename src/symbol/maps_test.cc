// Maps as text, whole and broken, and those of this process.
#include "symbol/maps.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "symbol/elf_file.h"

extern "C" {
__attribute__((used)) volatile short ktap_test_variable;
__attribute__((used)) thread_local volatile int ktap_test_of_thread;
}

namespace ktap::symbol {
namespace {

constexpr const char* kMaps =
    "55d0a0000000-55d0a0001000 r-xp 00002000 fe:01 1234                      /usr/bin/a b\n"
    "55d0a0002000-55d0a0003000 rw-p 00000000 00:00 0                         [heap]\n"
    "7f0000000000-7f0000001000 r-xp 00000000 00:05 77                        /memfd:jit (deleted)\n"
    "7f0000001000-7f0000002000 rwxp 00000000 00:00 0 \n"
    "7f0000003000-7f0000004000 r-xp 00001000 fe:01 9                         /lib/x\\012y "
    "(deleted)\n"
    "7f0000004000-7f0000005000 r-xs 00000000 00:06 4                         /dev/dri/card0\n"
    "7fffffffe000-7ffffffff000 --xp 00000000 00:00 0                         [uprobes]\n"
    "7ffc00000000-7ffc00001000 r-xp 00000000 00:00 0                         [vdso]\n"
    "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                 [vsyscall]\n";

TEST(Maps, EveryKindOfMapping) {
  const ProcessMaps maps(parse_maps(kMaps));
  ASSERT_EQ(maps.mappings().size(), 9U);
  const Mapping* program = maps.find(0x55d0a0000fff);
  ASSERT_NE(program, nullptr);
  EXPECT_EQ(program->path, "/usr/bin/a b");
  EXPECT_EQ(program->file_offset, 0x2000U);
  EXPECT_EQ(program->device, 0xfe00000001U);
  EXPECT_EQ(program->inode, 1234U);
  EXPECT_TRUE(program->is_executable);
  EXPECT_EQ(program->kind, MappingKind::File);
  EXPECT_EQ(maps.find(0x55d0a0001000), nullptr);
  EXPECT_EQ(maps.find(0), nullptr);
  EXPECT_EQ(maps.find(UINT64_MAX), nullptr);
  EXPECT_EQ(maps.find(0x55d0a0002000)->kind, MappingKind::Anonymous);
  EXPECT_TRUE(maps.find(0x7f0000000000)->is_deleted);
  EXPECT_EQ(maps.find(0x7f0000000000)->path, "/memfd:jit");
  EXPECT_EQ(maps.find(0x7f0000001000)->kind, MappingKind::Anonymous);
  EXPECT_EQ(maps.find(0x7f0000003000)->path, "/lib/x\ny");
  EXPECT_EQ(maps.find(0x7f0000004000)->kind, MappingKind::Other);
  EXPECT_EQ(maps.find(0x7ffc00000000)->kind, MappingKind::Vdso);
  EXPECT_EQ(maps.find(0x7fffffffe000)->kind, MappingKind::Uprobes);
  EXPECT_EQ(maps.find(0xffffffffff600000)->kind, MappingKind::Vsyscall);
}

TEST(Maps, BrokenLinesArePassedOver) {
  for (const char* text :
       {"", "\n\n", "55d0", "55d0-", "55d0-55d1", "55d0-55d1 r-xp", "55d0-55d1 r-xp 0 fe:01",
        "55d0-55d1 r-xp 0 fe-01 3 /x", "2000-1000 r-xp 0 fe:01 3 /x", "zz-zz r-xp 0 0:0 0",
        "11111111111111111-22222222222222222 r-xp 0 0:0 0"}) {
    EXPECT_TRUE(parse_maps(text).empty()) << text;
  }
  EXPECT_EQ(parse_maps("junk\n1000-2000 r-xp 0 fe:01 3 /x").size(), 1U);
}

/// "1000-2000 /lib/a, 2000-3000 /lib/b@4096 for /lib/a".
std::string text(const std::vector<Mapping>& mappings) {
  std::ostringstream all;
  for (const Mapping& mapping : mappings) {
    if (all.tellp() > 0) all << ", ";
    all << std::hex << mapping.begin << '-' << mapping.end << ' ' << mapping.path;
    if (mapping.file_offset != 0) all << '@' << mapping.file_offset;
    if (!mapping.path_before.empty()) all << " for " << mapping.path_before;
  }
  return all.str();
}

TEST(Maps, CodeThatTookThePlaceOfOther) {
  const auto code = [](const char* lines) { return parse_maps(lines); };
  const std::vector<Mapping> before = code(
      "1000-3000 r-xp 00000000 08:01 5 /lib/a\n"
      "5000-6000 r-xp 00002000 08:01 6 /lib/b\n"
      "8000-9000 r-xp 00000000 00:00 0 \n");
  std::vector<Mapping> now = before;
  mark_replaced(now, before);
  EXPECT_EQ(text(now), "1000-3000 /lib/a, 5000-6000 /lib/b@2000, 8000-9000 ");
  now = code(
      "1000-2000 r-xp 00000000 08:01 5 /lib/a\n"
      "2000-5800 r-xp 00001000 08:01 7 /lib/c\n"
      "5800-6000 r-xp 00002800 08:01 6 /lib/b\n"
      "7000-8800 r-xp 00000000 00:00 0 \n"
      "8800-9800 r-xp 00000000 08:01 7 /lib/c\n");
  mark_replaced(now, before);
  EXPECT_EQ(text(now),
            "1000-2000 /lib/a, 2000-3000 /lib/c@1000 for /lib/a, 3000-5000 /lib/c@2000, "
            "5000-5800 /lib/c@4000 for /lib/b, 5800-6000 /lib/b@2800, 7000-8800 , "
            "8800-9000 /lib/c for //anon, 9000-9800 /lib/c@800");
  // It stays known.
  std::vector<Mapping> later = code("2000-5800 r-xp 00001000 08:01 7 /lib/c\n");
  mark_replaced(later, now);
  EXPECT_EQ(text(later),
            "2000-3000 /lib/c@1000 for /lib/a, 3000-5000 /lib/c@2000, "
            "5000-5800 /lib/c@4000 for /lib/b");
}

TEST(Maps, OfThisProcess) {
  Result<ProcessMaps> maps = ProcessMaps::read(getpid());
  ASSERT_TRUE(maps.ok());
  const Mapping* here = maps.value().find(reinterpret_cast<uint64_t>(&parse_maps));
  ASSERT_NE(here, nullptr);
  EXPECT_EQ(here->path, std::filesystem::read_symlink("/proc/self/exe"));
  EXPECT_TRUE(here->is_executable);
  if (const uint64_t vdso = getauxval(AT_SYSINFO_EHDR); vdso != 0) {
    ASSERT_NE(maps.value().find(vdso), nullptr);
    EXPECT_EQ(maps.value().find(vdso)->kind, MappingKind::Vdso);
  }
  Result<ProcessMaps> none = ProcessMaps::read(0x7ffffff0);
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().message, "process 2147483632: no such process");
}

TEST(Maps, RootAndNumberOfThisProcess) {
  EXPECT_EQ(root_of(getpid()), "");
  EXPECT_EQ(root_of(0x7ffffff0), "");
  EXPECT_GT(pid_inside(getpid()), 0);
}

TEST(JitMap, LaterLinesWin) {
  const JitMap map(
      "1000 100 first\n"
      "2000 10 void Foo::bar(int, long)\n"
      "junk\n"
      "3000 0 empty\n"
      "3000 10\n"
      "1080 10 second\n"
      "1000 8 third\n"
      "fffffffffffffff0 ffff last");
  EXPECT_EQ(map.size(), 5U);
  EXPECT_EQ(map.at(0x1004)->name, "third");
  EXPECT_EQ(map.at(0x1008)->name, "first");
  EXPECT_EQ(map.at(0x1008)->offset, 8U);
  EXPECT_EQ(map.at(0x1085)->name, "second");
  EXPECT_EQ(map.at(0x1090)->name, "first");
  EXPECT_EQ(map.at(0x200f)->name, "void Foo::bar(int, long)");
  EXPECT_FALSE(map.at(0x2010).has_value());
  EXPECT_FALSE(map.at(0xfff).has_value());
  EXPECT_EQ(map.at(0xfffffffffffffffe)->name, "last");
}

TEST(JitMap, OfThisProcess) {
  const std::string path = "/tmp/perf-" + std::to_string(pid_inside(getpid())) + ".map";
  EXPECT_FALSE(JitMap::read(getpid()).has_value());
  std::ofstream(path) << "1000 20 compiled\n";
  const std::optional<JitMap> map = JitMap::read(getpid());
  ASSERT_TRUE(map.has_value());
  EXPECT_FALSE(JitMap::read(getpid(), &*map).has_value());
  std::ofstream(path, std::ios::app) << "2000 20 added\n";
  const std::optional<JitMap> newer = JitMap::read(getpid(), &*map);
  std::filesystem::remove(path);
  ASSERT_TRUE(newer.has_value());
  EXPECT_EQ(newer->at(0x2010)->name, "added");
  EXPECT_EQ(map->at(0x1010)->name, "compiled");
  std::filesystem::create_symlink("/etc/passwd", path);
  EXPECT_FALSE(JitMap::read(getpid()).has_value());
  std::filesystem::remove(path);
}

TEST(ProcessMaps, WhereAVariableOfThisProgramIs) {
  const std::string path = std::filesystem::read_symlink("/proc/self/exe");
  const Result<ElfFile> file = ElfFile::open(path);
  ASSERT_TRUE(file.ok());
  const std::vector<VariableSymbol> found = file.value().find_variables("ktap_test_variable");
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].size_bytes, sizeof ktap_test_variable);
  EXPECT_FALSE(found[0].is_thread_local);
  const std::optional<LoadPlace> load = file.value().image().load_place();
  ASSERT_TRUE(load.has_value());
  const ProcessMaps maps = ProcessMaps::read(getpid()).value();
  const std::optional<uint64_t> base = maps.base_of(file.value().identity(), *load);
  ASSERT_TRUE(base.has_value());
  EXPECT_EQ(*base + found[0].address, reinterpret_cast<uintptr_t>(&ktap_test_variable));
  EXPECT_FALSE(maps.base_of({}, *load).has_value());
  EXPECT_EQ(file.value().find_variables("ktap_test_of_thread").at(0).is_thread_local, true);
  EXPECT_THAT(file.value().why_no_variable("ktap_test_varable"),
              testing::HasSubstr("did you mean 'ktap_test_variable'?"));
}

}  // namespace
}  // namespace ktap::symbol
