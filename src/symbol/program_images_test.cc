// What processes had mapped at some time, by records of the kernel.
#include "symbol/program_images.h"

#include <gtest/gtest.h>

#include <random>

namespace ktap::symbol {
namespace {

using sys::MapRecord;
constexpr pid_t kShell = 50;
constexpr pid_t kChild = 60;

MapRecord mapped(pid_t pid, uint64_t time_ns, uint64_t begin, uint64_t end, std::string path,
                 uint64_t file_offset = 0) {
  MapRecord record;
  record.pid = pid;
  record.time_ns = time_ns;
  record.begin = begin;
  record.end = end;
  record.file_offset = file_offset;
  record.device = uint64_t{8} << 32 | 1;
  record.inode = path[0] == '/' && path[1] != '/' ? 100 + path.size() : 0;
  record.path = std::move(path);
  return record;
}

MapRecord executed(pid_t pid, uint64_t time_ns) {
  MapRecord record;
  record.kind = MapRecord::Kind::Executed;
  record.pid = pid;
  record.time_ns = time_ns;
  return record;
}

MapRecord forked(pid_t pid, pid_t parent, uint64_t time_ns) {
  MapRecord record;
  record.kind = MapRecord::Kind::Forked;
  record.pid = pid;
  record.parent = parent;
  record.time_ns = time_ns;
  return record;
}

MapRecord lost(uint64_t since_ns, uint64_t until_ns) {
  MapRecord record;
  record.kind = MapRecord::Kind::Lost;
  record.time_ns = since_ns;
  record.until_ns = until_ns;
  record.count = 3;
  return record;
}

/// "whole 1000-2000 /bin/a, 3000-4000 /lib/c@10"; "-" when nothing is known.
std::string text(const std::optional<ProgramImages::Program>& program) {
  if (!program.has_value()) return "-";
  std::string all = program->is_whole ? "whole" : "part";
  const char* comma = " ";
  for (const Mapping& mapping : program->code) {
    EXPECT_TRUE(mapping.is_recorded);
    EXPECT_TRUE(mapping.is_executable);
    char line[200];
    snprintf(line, sizeof line, "%s%lx-%lx %s", comma, static_cast<unsigned long>(mapping.begin),
             static_cast<unsigned long>(mapping.end), mapping.path.c_str());
    all += line;
    if (mapping.file_offset != 0) all += "@" + std::to_string(mapping.file_offset);
    if (!mapping.path_before.empty()) all += " for " + mapping.path_before;
    comma = ", ";
  }
  return all;
}

ProgramImages images_of(const std::vector<MapRecord>& records) {
  ProgramImages images;
  for (const MapRecord& record : records) images.add(record);
  return images;
}

TEST(ProgramImages, ByTime) {
  const ProgramImages images = images_of({
      executed(kShell, 10),
      mapped(kShell, 11, 0x1000, 0x2000, "/bin/sh"),
      forked(kChild, kShell, 20),
      executed(kChild, 30),
      mapped(kChild, 31, 0x5000, 0x6000, "/bin/true"),
      mapped(kChild, 32, 0x7000, 0x8000, "[vdso]"),
      executed(kChild, 40),
      mapped(kChild, 41, 0x1000, 0x2000, "/bin/false"),
  });
  EXPECT_EQ(text(images.at(kShell, 9)), "-");
  EXPECT_EQ(text(images.at(kShell, 500)), "whole 1000-2000 /bin/sh");
  EXPECT_EQ(text(images.at(kChild, 19)), "-");
  EXPECT_EQ(text(images.at(kChild, 20)), "whole 1000-2000 /bin/sh");
  EXPECT_EQ(text(images.at(kChild, 29)), "whole 1000-2000 /bin/sh");
  EXPECT_EQ(text(images.at(kChild, 30)), "whole 5000-6000 /bin/true, 7000-8000 [vdso]");
  EXPECT_EQ(text(images.at(kChild, 40)), "whole 1000-2000 /bin/false");
  EXPECT_EQ(text(images.at(99, 40)), "-");
  EXPECT_EQ(images.parent_of(kChild), kShell);
  EXPECT_EQ(images.parent_of(kShell), 0);
  EXPECT_EQ(images.at(kChild, 30)->code[0].kind, MappingKind::File);
  EXPECT_EQ(images.at(kChild, 30)->code[0].inode, 109U);
  EXPECT_EQ(images.at(kChild, 30)->code[0].device, uint64_t{8} << 32 | 1);
  EXPECT_EQ(images.at(kChild, 30)->code[1].kind, MappingKind::Vdso);
}

/// Each of the two maps on, and the other does not see it.
TEST(ProgramImages, ForksPart) {
  const ProgramImages images = images_of({
      executed(kShell, 10),
      mapped(kShell, 11, 0x1000, 0x2000, "/bin/sh"),
      forked(kChild, kShell, 20),
      mapped(kChild, 21, 0x3000, 0x4000, "/lib/child"),
      mapped(kShell, 22, 0x5000, 0x6000, "/lib/parent"),
  });
  EXPECT_EQ(text(images.at(kChild, 99)), "whole 1000-2000 /bin/sh, 3000-4000 /lib/child");
  EXPECT_EQ(text(images.at(kShell, 99)), "whole 1000-2000 /bin/sh, 5000-6000 /lib/parent");
}

TEST(ProgramImages, LaterMappingsCutEarlierOnes) {
  const std::vector<MapRecord> before = {executed(kShell, 10),
                                         mapped(kShell, 11, 0x1000, 0x5000, "/lib/a", 0x100),
                                         mapped(kShell, 12, 0x5000, 0x6000, "/lib/b")};
  const auto with = [&](uint64_t begin, uint64_t end) {
    ProgramImages images = images_of(before);
    images.add(mapped(kShell, 20, begin, end, "//anon"));
    return text(images.at(kShell, 30));
  };
  EXPECT_EQ(with(0x1000, 0x6000),
            "whole 1000-5000 //anon for /lib/a, 5000-6000 //anon@16384 for /lib/b");
  EXPECT_EQ(with(0x0000, 0x9000),
            "whole 0-1000 //anon, 1000-5000 //anon@4096 for /lib/a, "
            "5000-6000 //anon@20480 for /lib/b, 6000-9000 //anon@24576");
  EXPECT_EQ(with(0x2000, 0x3000),
            "whole 1000-2000 /lib/a@256, 2000-3000 //anon for /lib/a, 3000-5000 /lib/a@8448, "
            "5000-6000 /lib/b");
  EXPECT_EQ(with(0x4000, 0x5800),
            "whole 1000-4000 /lib/a@256, 4000-5000 //anon for /lib/a, "
            "5000-5800 //anon@4096 for /lib/b, 5800-6000 /lib/b@2048");
  EXPECT_EQ(with(0x800, 0x1800),
            "whole 800-1000 //anon, 1000-1800 //anon@2048 for /lib/a, 1800-5000 /lib/a@2304, "
            "5000-6000 /lib/b");
  EXPECT_EQ(with(0x8000, 0x9000), "whole 1000-5000 /lib/a@256, 5000-6000 /lib/b, 8000-9000 //anon");
}

/// A library that is loaded again where it was has replaced nothing.
TEST(ProgramImages, WhatLayThereBefore) {
  ProgramImages images =
      images_of({executed(kShell, 10), mapped(kShell, 11, 0x1000, 0x3000, "/lib/a", 0x100),
                 mapped(kShell, 12, 0x1000, 0x3000, "/lib/a", 0x100)});
  EXPECT_EQ(images.last_mapped_ns(kShell), 12U);
  EXPECT_EQ(images.last_mapped_ns(kChild), 0U);
  EXPECT_EQ(text(images.at(kShell, 30)), "whole 1000-3000 /lib/a@256");
  images.add(mapped(kShell, 13, 0x2000, 0x4000, "/lib/b", 0x700));
  images.add(mapped(kShell, 14, 0x3000, 0x4000, "/lib/b", 0x1700));
  images.add(forked(kChild, kShell, 15));
  const std::string replaced =
      "whole 1000-2000 /lib/a@256, 2000-3000 /lib/b@1792 for /lib/a, 3000-4000 /lib/b@5888";
  EXPECT_EQ(text(images.at(kShell, 30)), replaced);
  EXPECT_EQ(text(images.at(kChild, 30)), replaced);
  // The same file elsewhere is other code.
  images.add(mapped(kChild, 16, 0x1000, 0x2000, "/lib/a", 0x900));
  EXPECT_EQ(text(images.at(kChild, 30)),
            "whole 1000-2000 /lib/a@2304 for /lib/a, 2000-3000 /lib/b@1792 for /lib/a, "
            "3000-4000 /lib/b@5888");
  EXPECT_EQ(text(images.ever(kShell, false)), replaced);
}

/// A process that was there before: what it had mapped nobody tells.
TEST(ProgramImages, OfProcessesThatWereThere) {
  const ProgramImages images = images_of({
      mapped(kShell, 11, 0x1000, 0x2000, "/lib/later"),
      forked(kChild, kShell, 20),
      forked(70, 40, 20),
  });
  EXPECT_EQ(text(images.at(kShell, 5)), "part 1000-2000 /lib/later");
  EXPECT_EQ(text(images.at(kChild, 25)), "part 1000-2000 /lib/later");
  EXPECT_EQ(text(images.at(70, 25)), "part");
}

TEST(ProgramImages, WithoutATime) {
  const std::vector<MapRecord> records = {executed(kShell, 10),
                                          mapped(kShell, 11, 0x1000, 0x2000, "/bin/sh"),
                                          forked(kChild, kShell, 20),
                                          executed(kChild, 30),
                                          mapped(kChild, 31, 0x5000, 0x6000, "/bin/true"),
                                          executed(kChild, 40),
                                          mapped(kChild, 41, 0x7000, 0x8000, "/bin/other")};
  ProgramImages images = images_of(records);
  const std::string all = "whole 1000-2000 /bin/sh, 5000-6000 /bin/true, 7000-8000 /bin/other";
  EXPECT_EQ(text(images.ever(kChild, true)), all);
  EXPECT_EQ(text(images.ever(kChild, false)), all);
  // What it ran before its first exec is not known.
  EXPECT_EQ(text(images.ever(kShell, true)), "-");
  EXPECT_EQ(text(images.ever(kShell, false)), "whole 1000-2000 /bin/sh");
  EXPECT_EQ(text(images.ever(99, false)), "-");
  // Two programs that say different things of an address, and two that agree.
  images.add(executed(kChild, 50));
  images.add(mapped(kChild, 51, 0x5800, 0x6800, "/bin/contradicts"));
  images.add(mapped(kChild, 52, 0x9000, 0xa000, "/bin/contradicts"));
  images.add(mapped(kChild, 53, 0x7000, 0x8000, "/bin/other"));
  EXPECT_EQ(text(images.ever(kChild, true)),
            "whole 1000-2000 /bin/sh, 7000-8000 /bin/other, 9000-a000 /bin/contradicts");
}

/// An exec may be among what was lost.
TEST(ProgramImages, BehindALoss) {
  ProgramImages images = images_of({
      forked(kChild, kShell, 20),
      executed(kChild, 30),
      mapped(kChild, 31, 0x5000, 0x6000, "/bin/true"),
      lost(40, 60),
      mapped(kChild, 45, 0x5000, 0x6000, "/bin/which?"),
      executed(kShell, 50),
      mapped(kShell, 51, 0x1000, 0x2000, "/bin/sh"),
      mapped(kChild, 70, 0x8000, 0x9000, "/lib/late"),
  });
  EXPECT_EQ(text(images.at(kChild, 39)), "whole 5000-6000 /bin/true");
  EXPECT_EQ(text(images.at(kChild, 40)), "-");
  EXPECT_EQ(text(images.at(kChild, 65)), "part 8000-9000 /lib/late");
  EXPECT_EQ(text(images.at(kShell, 52)), "-");
  EXPECT_EQ(text(images.ever(kChild, true)), "-");
  images.add(executed(kChild, 80));
  images.add(mapped(kChild, 81, 0x1000, 0x2000, "/bin/new"));
  EXPECT_EQ(text(images.at(kChild, 85)), "whole 1000-2000 /bin/new");
}

TEST(ProgramImages, Only) {
  for (const bool follow : {false, true}) {
    ProgramImages images;
    images.keep_only(kShell, follow);
    images.add(executed(kShell, 10));
    images.add(forked(kChild, kShell, 20));
    images.add(forked(kChild + 1, kChild, 30));
    images.add(executed(kChild + 1, 31));
    images.add(forked(99, 98, 40));
    images.add(executed(99, 41));
    EXPECT_EQ(text(images.at(kShell, 50)), "whole");
    EXPECT_EQ(text(images.at(kChild, 50)), follow ? "whole" : "-");
    EXPECT_EQ(text(images.at(kChild + 1, 50)), follow ? "whole" : "-");
    EXPECT_EQ(text(images.at(99, 50)), "-");
    // The number of one that has ended, of another's child.
    images.add(forked(kChild, 98, 60));
    EXPECT_NE(images.parent_of(kChild), 98);
  }
}

TEST(ProgramImages, TheOldestGo) {
  ProgramImages images(100);
  for (pid_t pid = 1; pid <= 1000; ++pid) {
    images.add(executed(pid, static_cast<uint64_t>(pid)));
    images.add(
        mapped(pid, static_cast<uint64_t>(pid), 0x1000, 0x2000, "/bin/" + std::to_string(pid)));
  }
  EXPECT_EQ(images.programs(), 100U);
  EXPECT_EQ(text(images.at(900, 5000)), "-");
  EXPECT_EQ(text(images.at(901, 5000)), "whole 1000-2000 /bin/901");
  EXPECT_EQ(text(images.at(1000, 5000)), "whole 1000-2000 /bin/1000");
  ProgramImages crowded(1000, 50);
  for (pid_t pid = 1; pid <= 100; ++pid) {
    crowded.add(executed(pid, static_cast<uint64_t>(pid)));
    for (uint64_t i = 0; i < 10; ++i)
      crowded.add(mapped(pid, 200, 0x1000 * i + 0x1000, 0x1000 * i + 0x1800, "/bin/x"));
  }
  EXPECT_LE(crowded.programs(), 6U);
  EXPECT_EQ(crowded.at(100, 300)->code.size(), 10U);
}

/// Records in any order and with any numbers.
TEST(ProgramImages, AnyRecords) {
  std::mt19937 random(11);
  for (int round = 0; round < 300; ++round) {
    ProgramImages images(20, 60);
    if (round % 3 == 0) images.keep_only(3, round % 2 == 0);
    for (int i = 0; i < 200; ++i) {
      MapRecord record;
      record.kind = static_cast<MapRecord::Kind>(random() % 4);
      record.pid = static_cast<pid_t>(random() % 8) - 1;
      record.parent = static_cast<pid_t>(random() % 8) - 1;
      record.time_ns = random() % 100;
      record.until_ns = record.time_ns + random() % 10;
      record.begin = random() % 20;
      record.end = record.begin + 1 + random() % 9;
      record.path = "/" + std::to_string(random() % 5);
      images.add(record);
      const auto pid = static_cast<pid_t>(random() % 8) - 1;
      for (const auto& program :
           {images.at(pid, random() % 110), images.ever(pid, random() % 2 == 0)}) {
        if (!program.has_value()) continue;
        for (size_t m = 1; m < program->code.size(); ++m)
          EXPECT_LE(program->code[m - 1].end, program->code[m].begin);
      }
    }
    EXPECT_LE(images.programs(), 20U);
  }
}

}  // namespace
}  // namespace ktap::symbol
