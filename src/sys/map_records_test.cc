// Records as the kernel writes them, whole and broken; and those of programs that end at once.
#include "sys/map_records.h"

#include <gtest/gtest.h>
#include <linux/perf_event.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <random>

namespace ktap::sys {
namespace {

using Kind = MapRecord::Kind;
constexpr size_t kRing = 4096;

/// A ring that is written as the kernel does it.
class Ring {
 public:
  explicit Ring(uint64_t begin = 0) : tail_(begin), head_(begin) {}

  void put(const void* data, size_t size) {
    for (size_t i = 0; i < size; ++i)
      bytes_[(head_ + i) & (kRing - 1)] = static_cast<const uint8_t*>(data)[i];
    head_ += size;
  }
  void header(uint32_t type, uint16_t misc, size_t size) {
    const perf_event_header header = {type, misc, static_cast<uint16_t>(size)};
    put(&header, sizeof header);
  }
  template <class... Number>
  void numbers(Number... number) {
    (put(&number, sizeof number), ...);
  }

  /// `room`: for the name, its NUL included.
  void mapped(uint32_t pid, uint64_t begin, uint64_t length, const std::string& name,
              uint64_t time_ns, size_t room = 0, uint32_t protection = PROT_READ | PROT_EXEC) {
    room = room != 0 ? room : (name.size() + 8) / 8 * 8;
    header(PERF_RECORD_MMAP2, 0, 8 + 64 + room + 8);
    numbers(pid, pid, begin, length, uint64_t{0x2000}, uint32_t{254}, uint32_t{3}, uint64_t{77},
            uint64_t{1}, protection, uint32_t{MAP_PRIVATE});
    std::string padded = name;
    padded.resize(room);
    put(padded.data(), room);
    numbers(time_ns);
  }
  void named(uint32_t pid, bool is_exec, uint64_t time_ns) {
    header(PERF_RECORD_COMM, is_exec ? PERF_RECORD_MISC_COMM_EXEC : 0, 8 + 8 + 8 + 8);
    numbers(pid, pid);
    put("program\0", 8);
    numbers(time_ns);
  }
  void made(uint32_t type, uint32_t pid, uint32_t parent, uint64_t time_ns) {
    header(type, 0, 8 + 24 + 8);
    numbers(pid, parent, pid + 1, parent, time_ns - 1, time_ns);
  }
  void lost(uint64_t count, uint64_t time_ns) {
    header(PERF_RECORD_LOST, 0, 8 + 16 + 8);
    numbers(uint64_t{9}, count, time_ns);
  }

  std::vector<MapRecord> read() {
    std::vector<MapRecord> records;
    read_map_records(bytes_, tail_, head_, &last_ns_, records);
    return records;
  }
  void cut(size_t bytes) { head_ -= bytes; }
  uint64_t last_ns() const { return last_ns_; }
  size_t size() const { return head_ - tail_; }

 private:
  std::vector<uint8_t> bytes_ = std::vector<uint8_t>(kRing, 0xee);
  uint64_t tail_;
  uint64_t head_;
  uint64_t last_ns_ = 5;
};

TEST(MapRecords, OfEachKind) {
  Ring ring;
  ring.made(PERF_RECORD_FORK, 70, 60, 10);
  ring.named(70, true, 20);
  ring.mapped(70, 0x400000, 0x1000, "/bin/a program", 30);
  ring.lost(12, 90);
  const std::vector<MapRecord> found = ring.read();
  ASSERT_EQ(found.size(), 4U);
  EXPECT_EQ(found[0].kind, Kind::Forked);
  EXPECT_EQ(found[0].pid, 70);
  EXPECT_EQ(found[0].parent, 60);
  EXPECT_EQ(found[0].time_ns, 10U);
  EXPECT_EQ(found[1].kind, Kind::Executed);
  EXPECT_EQ(found[1].pid, 70);
  EXPECT_EQ(found[1].time_ns, 20U);
  EXPECT_EQ(found[2].kind, Kind::Mapped);
  EXPECT_EQ(found[2].pid, 70);
  EXPECT_EQ(found[2].begin, 0x400000U);
  EXPECT_EQ(found[2].end, 0x401000U);
  EXPECT_EQ(found[2].file_offset, 0x2000U);
  EXPECT_EQ(found[2].device, uint64_t{254} << 32 | 3);
  EXPECT_EQ(found[2].inode, 77U);
  EXPECT_EQ(found[2].path, "/bin/a program");
  EXPECT_EQ(found[2].time_ns, 30U);
  EXPECT_EQ(found[3].kind, Kind::Lost);
  EXPECT_EQ(found[3].count, 12U);
  EXPECT_EQ(found[3].time_ns, 30U);
  EXPECT_EQ(found[3].until_ns, 90U);
  EXPECT_EQ(ring.last_ns(), 90U);
}

TEST(MapRecords, WhatConcernsNobodyIsLeftOut) {
  Ring ring;
  ring.made(PERF_RECORD_FORK, 60, 60, 10);  // a thread
  ring.made(PERF_RECORD_EXIT, 70, 60, 11);
  ring.named(70, false, 12);                                                // prctl(PR_SET_NAME)
  ring.mapped(70, 0x1000, 0x1000, "/etc/passwd", 13, 0, PROT_READ);         // no code
  ring.mapped(70, 0x1000, 0, "/bin/none", 14);                              // nothing at all
  ring.mapped(70, UINT64_MAX - 0xfff, 0x10000, "/bin/beyond the end", 15);  // cut off there
  const std::vector<MapRecord> found = ring.read();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].end, UINT64_MAX);
  EXPECT_EQ(ring.last_ns(), 15U);
}

/// At each place a record may go round the end.
TEST(MapRecords, RoundTheEndOfTheRing) {
  for (uint64_t begin = kRing - 200; begin <= kRing; begin += 8) {
    Ring ring(begin + 7 * kRing);
    ring.named(70, true, 20);
    ring.mapped(70, 0x400000, 0x1000, "/usr/bin/program", 30);
    ring.named(71, true, 40);
    const std::vector<MapRecord> found = ring.read();
    ASSERT_EQ(found.size(), 3U) << begin;
    EXPECT_EQ(found[1].path, "/usr/bin/program");
    EXPECT_EQ(found[1].end, 0x401000U);
    EXPECT_EQ(found[2].pid, 71);
  }
}

TEST(MapRecords, NamesWithoutAnEnd) {
  Ring ring;
  ring.mapped(70, 0x1000, 0x1000, "/bin/abc", 30, 8);
  const std::vector<MapRecord> found = ring.read();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].path, "/bin/abc");
}

/// What comes behind something that is no record is lost, and told so.
TEST(MapRecords, BadLengths) {
  for (const size_t length : {size_t{0}, size_t{8}, size_t{12}, size_t{400}, size_t{65535}}) {
    Ring ring;
    ring.named(70, true, 20);
    ring.header(PERF_RECORD_COMM, PERF_RECORD_MISC_COMM_EXEC, length);
    ring.numbers(uint64_t{71}, uint64_t{0}, uint64_t{30});
    const std::vector<MapRecord> found = ring.read();
    ASSERT_EQ(found.size(), 2U) << length;
    EXPECT_EQ(found[0].pid, 70);
    EXPECT_EQ(found[1].kind, Kind::Lost);
    EXPECT_EQ(found[1].count, 1U);
    EXPECT_EQ(found[1].time_ns, 20U);
  }
  // A length that is one, but not of such a record.
  for (const uint32_t type : {uint32_t{PERF_RECORD_MMAP2}, uint32_t{PERF_RECORD_FORK},
                              uint32_t{PERF_RECORD_LOST}, uint32_t{PERF_RECORD_COMM}}) {
    Ring ring;
    ring.header(type, PERF_RECORD_MISC_COMM_EXEC, 16);
    ring.numbers(uint64_t{30});
    ring.named(70, true, 40);
    const std::vector<MapRecord> found = ring.read();
    ASSERT_EQ(found.size(), 1U) << type;
    EXPECT_EQ(found[0].pid, 70);
  }
}

/// More than the ring holds, and a record that is cut off.
TEST(MapRecords, PositionsThatCannotBe) {
  Ring cut;
  cut.named(70, true, 20);
  cut.cut(8);
  ASSERT_EQ(cut.read().size(), 1U);
  EXPECT_EQ(cut.read()[0].kind, Kind::Lost);
  const std::vector<uint8_t> bytes(kRing, 0);
  std::vector<MapRecord> records;
  uint64_t last_ns = 3;
  read_map_records(bytes, 8, kRing + 16, &last_ns, records);
  read_map_records(bytes, 16, 8, &last_ns, records);
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[0].kind, Kind::Lost);
  EXPECT_EQ(records[1].kind, Kind::Lost);
}

TEST(MapRecords, AnyBytes) {
  std::mt19937 random(7);
  for (int i = 0; i < 3000; ++i) {
    Ring ring(random() % kRing);
    while (ring.size() + 200 < kRing) {
      const uint32_t type = random() % 12;
      const size_t numbers = random() % 20;
      ring.header(type, static_cast<uint16_t>(random()), 8 + 8 * (random() % 4 ? numbers : 0));
      for (size_t n = 0; n < numbers; ++n) ring.numbers(uint64_t{random()} << 32 | random());
    }
    for (const MapRecord& record : ring.read()) {
      if (record.kind != Kind::Mapped) continue;
      EXPECT_LT(record.begin, record.end);
      EXPECT_LT(record.path.size(), kRing);
    }
  }
}

/// The programs of children, which are gone when their records are looked at.
TEST(MapRecords, OfProgramsThatHaveEnded) {
  Result<MapRecords> opened = MapRecords::open();
  if (!opened.ok()) GTEST_SKIP() << opened.error().message;
  std::vector<pid_t> children;
  for (int i = 0; i < 20; ++i) {
    const pid_t pid = fork();
    if (pid == 0) {
      execl("/bin/true", "true", nullptr);
      _exit(1);
    }
    int status = 1;
    ASSERT_EQ(waitpid(pid, &status, 0), pid);
    ASSERT_EQ(status, 0);
    children.push_back(pid);
  }
  const std::vector<MapRecord> records = opened.value().take();
  EXPECT_EQ(opened.value().lost(), 0U);
  uint64_t before_ns = 0;
  for (const MapRecord& record : records) {
    EXPECT_LE(before_ns, record.time_ns);
    before_ns = record.time_ns;
  }
  for (const pid_t pid : children) {
    std::string story;
    for (const MapRecord& record : records) {
      if (record.pid != pid) continue;
      if (record.kind == Kind::Forked && record.parent == getpid()) story += "forked ";
      if (record.kind == Kind::Executed) story += "executed ";
      if (record.path.ends_with("/true")) story += "mapped ";
    }
    EXPECT_EQ(story, "forked executed mapped ");
  }
}

}  // namespace
}  // namespace ktap::sys
