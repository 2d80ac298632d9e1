// Matching over a made-up tracefs, then the same catalog over this machine's own.
#include "event/catalog.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <sys/syscall.h>
#include <unistd.h>
#include <algorithm>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "symbol/elf_file.h"
#include "symbol/test_files.h"

namespace ktap::event {
namespace {

using schema::EventKind;
using schema::EventPtr;

constexpr const char* kHeader =
    "format:\n\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\n";

class CatalogTest : public testing::Test {
 protected:
  void SetUp() override {
    root_ =
        std::filesystem::path(testing::TempDir()) / ("ktap_tracefs_" + std::to_string(getpid()));
    add("sched", "sched_switch", 10,
        "\tfield:char prev_comm[16];\toffset:8;\tsize:16;\tsigned:0;\n"
        "\tfield:pid_t prev_pid;\toffset:24;\tsize:4;\tsigned:1;\n",
        "\"%s:%d\", REC->prev_comm, REC->prev_pid");
    add("sched", "sched_process_exec", 11,
        "\tfield:__data_loc char[] filename;\toffset:8;\tsize:4;\tsigned:0;\n"
        "\tfield:pid_t pid;\toffset:12;\tsize:4;\tsigned:1;\n",
        "\"filename=%s pid=%d\", __get_str(filename), REC->pid");
    add("syscalls", "sys_exit_read", 20, "", "\"\"");
    add("syscalls", "sys_enter_read", 21,
        "\tfield:int __syscall_nr;\toffset:8;\tsize:4;\tsigned:1;\n"
        "\tfield:unsigned int fd;\toffset:16;\tsize:8;\tsigned:0;\n"
        "\tfield:char * buf;\toffset:24;\tsize:8;\tsigned:0;\n"
        "\tfield:__data_loc char[] __buf_val;\toffset:32;\tsize:4;\tsigned:0;\n",
        "\"\"");
    add("syscalls", "sys_enter_from_the_future", 22,
        "\tfield:int __syscall_nr;\toffset:8;\tsize:4;\tsigned:1;\n", "\"\"");
    add("syscalls", "sys_enter_unheard_of", 24,
        "\tfield:int __syscall_nr;\toffset:8;\tsize:4;\tsigned:1;\n"
        "\tfield:int dfd;\toffset:16;\tsize:8;\tsigned:0;\n"
        "\tfield:const char * filename;\toffset:24;\tsize:8;\tsigned:0;\n"
        "\tfield:umode_t mode;\toffset:32;\tsize:8;\tsigned:0;\n"
        "\tfield:__data_loc char[] __filename_val;\toffset:40;\tsize:4;\tsigned:0;\n",
        "\"\"");
    add("syscalls", "sys_exit_unheard_of", 25,
        "\tfield:int __syscall_nr;\toffset:8;\tsize:4;\tsigned:1;\n"
        "\tfield:long ret;\toffset:16;\tsize:8;\tsigned:1;\n",
        "\"0x%lx\", REC->ret");
    add("syscalls", "sys_enter_write", 23, "", "\"\"");
    add("ftrace", "function", 1, "", "\"\"");
    std::ofstream(root_ / "available_events") << names_;
    Result<sys::Tracefs> tracefs = sys::Tracefs::at(root_.string());
    ASSERT_TRUE(tracefs.ok());
    Result<std::unique_ptr<Catalog>> catalog = make_catalog(std::move(tracefs).value());
    ASSERT_TRUE(catalog.ok());
    catalog_ = std::move(catalog).value();
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void add(const std::string& system, const std::string& name, int id, const std::string& fields,
           const std::string& print) {
    const std::filesystem::path directory = root_ / "events" / system / name;
    std::filesystem::create_directories(directory);
    std::ofstream(directory / "format") << "name: " << name << "\nID: " << id << "\n"
                                        << kHeader << fields << "\nprint fmt: " << print << "\n";
    names_ += system + ":" + name + "\n";
  }

  /// "sched_switch sched_process_exec", or the first mistake in brackets with what is near.
  std::string match(std::string_view text) {
    Matches matches = catalog_->match(text);
    std::string out;
    for (const EventPtr& event : matches.events) out += (out.empty() ? "" : " ") + event->name;
    for (const Mistake& mistake : matches.mistakes) {
      out += "[" + mistake.text + "]";
      for (const std::string& near : mistake.nearest) out += " " + near;
    }
    return out;
  }

  std::filesystem::path root_;
  std::string names_;
  std::unique_ptr<Catalog> catalog_;
};

TEST_F(CatalogTest, NamesGlobsAndLists) {
  EXPECT_EQ(match("sched:sched_switch"), "sched_switch");
  EXPECT_EQ(match("sched:*"), "sched_switch sched_process_exec");
  EXPECT_EQ(match("s*:*_read"), "sys_exit_read sys_enter_read");
  EXPECT_EQ(match("syscalls:sys_{enter,exit}_read"), "sys_exit_read sys_enter_read");
  EXPECT_EQ(match("sched:sched_process_exec, sched:sched_switch, sched:*"),
            "sched_switch sched_process_exec");
}

TEST_F(CatalogTest, AllIsEveryTracepointButTheKernelsOwnRecordTypes) {
  EXPECT_EQ(catalog_->match("*:*").events.size(), 8U);
  // And perf's.
  EXPECT_EQ(std::ranges::count_if(catalog_->list(""),
                                  [](const std::string& name) {
                                    return name.rfind("software:", 0) != 0 &&
                                           name.rfind("hardware:", 0) != 0 &&
                                           name.rfind("cache:", 0) != 0;
                                  }),
            8);
  EXPECT_EQ(catalog_->list("sched*"),
            (std::vector<std::string>{"sched:sched_switch", "sched:sched_process_exec"}));
  EXPECT_EQ(catalog_->list("software:cs"), (std::vector<std::string>{"software:context-switches"}));
  EXPECT_EQ(catalog_->list("sys_enter_r*"), (std::vector<std::string>{"syscalls:sys_enter_read"}));
}

TEST_F(CatalogTest, Exclusions) {
  EXPECT_EQ(match("sched:* ~sched_switch"), "sched_process_exec");
  EXPECT_EQ(match("*:* ~syscalls:* ~*_exec"), "sched_switch");
  EXPECT_EQ(match("sched:* ~nothing*"), "[no event matches 'nothing*': nothing is excluded]");
  EXPECT_EQ(match("sched:* ~sched*"), "[the exclusions leave no event]");
  EXPECT_EQ(match("~sched:*"), "[nothing to exclude from: the list is empty]");
  // Names, whatever subsystem they are of; with it where the part has one.
  EXPECT_EQ(match("sched:* ~*ed:*ch"), "sched_process_exec");
  EXPECT_EQ(match("sched:sched_switch ~*ed:x*"),
            "[no event matches '*ed:x*': nothing is excluded]");
  EXPECT_EQ(match("syscalls:sys_enter_read ~*calls*"),
            "[no event matches '*calls*': nothing is excluded]");
  EXPECT_EQ(match("sched:* ~"), "['~' wants a name or glob of what to leave out]");
}

TEST_F(CatalogTest, MistakesNameWhatIsNear) {
  EXPECT_EQ(match("sched:sched_swich"),
            "[no event matches 'sched:sched_swich'] sched:sched_switch");
  EXPECT_EQ(match("syscalls:sys_enter_raed"),
            "[no event matches 'syscalls:sys_enter_raed'] syscalls:sys_enter_read");
  EXPECT_EQ(match("sched_switch"),
            "['sched_switch' names no event; an event is written SUBSYSTEM:NAME] "
            "sched:sched_switch");
  EXPECT_EQ(match("sched"), "['sched' names no event; an event is written SUBSYSTEM:NAME] sched:*");
  EXPECT_EQ(match("syscalls:read"), "[no event matches 'syscalls:read'] syscalls:sys_enter_read");
  EXPECT_EQ(match("syscalls:wriet"),
            "[no event matches 'syscalls:wriet'] syscalls:sys_enter_write");
  EXPECT_EQ(match("syscalls:sys_exti_read"),
            "[no event matches 'syscalls:sys_exti_read'] syscalls:sys_exit_read "
            "syscalls:sys_enter_read");
  EXPECT_EQ(match("syscalls:"), "[no event matches 'syscalls:'] syscalls:*");
  EXPECT_EQ(match("tracepoint:sched:sched_switch"),
            "[no event matches 'tracepoint:sched:sched_switch'] sched:sched_switch");
  EXPECT_EQ(match("sched:sched_switch,"), "[an event name is missing here]");
  EXPECT_EQ(match("sched:* tick"),
            "['sched:*' is followed by more; events of a list are separated by commas]");
  const Matches matches = catalog_->match("sched:*, sched:x");
  ASSERT_EQ(matches.mistakes.size(), 1U);
  EXPECT_EQ(matches.mistakes[0].offset, 9U);
  EXPECT_EQ(matches.mistakes[0].length, 7U);
}

TEST_F(CatalogTest, SamplesOfPerfEventsAndOfClocks) {
  EXPECT_EQ(match("software:page-faults, software:cs:10, software:faults"),
            "page-faults context-switches");
  EXPECT_EQ(match("software:*-faults ~minor*, profile-99hz"),
            "page-faults major-faults alignment-faults emulation-faults profile-99hz");
  EXPECT_EQ(match("software:page-fault"),
            "[no event matches 'software:page-fault'] software:page-faults software:major-faults "
            "software:minor-faults");
  for (const char* none : {"software:", "hardware:", "cache:", "software::10"})
    EXPECT_EQ(match(none).substr(0, 17), "[no event matches") << none;
  for (const char* rate : {"0", "x", "0hz", "hz", "9khz", ""})
    EXPECT_NE(match(std::string("software:cs:") + rate).find("stands the period"),
              std::string::npos)
        << rate;
  EXPECT_EQ(
      match("software:cpu-clock:99999"),
      "['software:cpu-clock:99999' would stop each CPU 10000 times a second: its period is in "
      "nanoseconds, at least 100000]");
  EXPECT_EQ(match("software:task-clock:10001hz"),
            "['software:task-clock:10001hz' would stop each CPU 10001 times a second: at most "
            "10000hz]");
  EXPECT_EQ(
      match("software:cpu-clock:100000, software:cpu-clock:10000hz, software:cs:1, profile-100us"),
      "cpu-clock cpu-clock context-switches profile-100us");
  EXPECT_EQ(match("profile-99us"),
            "['profile-99us' would stop each CPU 10101 times a second: at most profile-10000hz]");
  EXPECT_EQ(match("profile-1").substr(0, 29), "[a unit is missing after 1: n");
  const Matches matches = catalog_->match("software:cs:10, profile-100hz, hardware:cycles");
  ASSERT_EQ(matches.events.size(), 3U);
  EXPECT_EQ(matches.events[0]->perf.period, 10U);
  EXPECT_EQ(matches.events[1]->perf.period, 10000000U);
  EXPECT_EQ(matches.events[2]->perf.period, 1000000U);
  EXPECT_EQ(matches.events[2]->kind, EventKind::Sample);
  for (const schema::EventPtr& event : matches.events) {
    EXPECT_EQ(event->find_field("addr"), -1) << event->name << ": the kernel leaves it as it was";
  }
  const Matches fault = catalog_->match("software:major-faults");
  ASSERT_EQ(fault.events.size(), 1U);
  EXPECT_EQ(fault.events[0]->find_field("addr"), 1);
  EXPECT_FALSE(matches.events[1]->perf.is_of_target);
  EXPECT_TRUE(matches.events[2]->perf.is_of_target);
}

TEST(Catalog, WithoutTracepointsSaysWhyAndHasTheOtherEvents) {
  const std::unique_ptr<Catalog> catalog = Catalog::without_tracepoints("tracefs is closed");
  for (const char* text : {"sched:sched_switch", "syscalls:*", "vfs_read"}) {
    const Matches matches = catalog->match(text);
    ASSERT_EQ(matches.mistakes.size(), 1U) << text;
    EXPECT_EQ(matches.mistakes[0].text, "tracefs is closed");
    EXPECT_TRUE(matches.mistakes[0].is_unavailable);
  }
  EXPECT_TRUE(catalog->match("profile-100hz, software:page-faults").mistakes.empty());
}

TEST_F(CatalogTest, FrequenciesAndCaches) {
  const Matches matches =
      catalog_->match("cache:LLC-load-misses:99hz, cache:LLC-load-misses:99, cache:dTLB-stores");
  ASSERT_EQ(matches.events.size(), 3U);
  EXPECT_EQ(matches.events[0]->name, "LLC-load-misses");
  EXPECT_EQ(matches.events[0]->perf.type, 3U);
  EXPECT_EQ(matches.events[0]->perf.config, 0x10002U);
  EXPECT_EQ(matches.events[0]->perf.period, 99U);
  EXPECT_TRUE(matches.events[0]->perf.is_frequency);
  EXPECT_FALSE(matches.events[1]->perf.is_frequency);
  EXPECT_EQ(matches.events[2]->perf.config, 0x103U);
  EXPECT_EQ(matches.events[2]->perf.period, 1000000U);
  EXPECT_EQ(match("cache:L1-icache-*"),
            "L1-icache-loads L1-icache-load-misses L1-icache-prefetches L1-icache-prefetch-misses");
  EXPECT_EQ(match("cache:LLC-load").find("[no event matches 'cache:LLC-load'] cache:LLC-loads"),
            0U);
}

// This test program itself is the file.
extern "C" __attribute__((noinline, used)) int ktap_probed_one(int a) { return a; }
extern "C" __attribute__((noinline, used)) int ktap_probed_two(int a) { return a; }

TEST_F(CatalogTest, FunctionsOfPrograms) {
  const std::string probe = "probe:/proc/self/exe:";
  const Matches matches = catalog_->match(probe + "ktap_probed_*, " + probe + "ktap_probed_one");
  ASSERT_EQ(matches.events.size(), 2U) << match(probe + "ktap_probed_*");
  const schema::Event& one = *matches.events[0];
  EXPECT_EQ(one.kind, EventKind::Probe);
  EXPECT_EQ(one.name, "ktap_probed_one");
  EXPECT_EQ(one.point.symbol, "ktap_probed_one");
  EXPECT_NE(one.point.offset_bytes, 0U);
  ASSERT_EQ(one.fields.size(), 7U);
  EXPECT_EQ(one.fields[2].fetch.base, schema::Fetch::Base::Argument);
  EXPECT_EQ(one.fields[2].fetch.at, 1);
  const Matches returns = catalog_->match(probe + "ktap_probed_one%return");
  ASSERT_EQ(returns.events.size(), 1U);
  EXPECT_EQ(returns.events[0]->kind, EventKind::ProbeReturn);
  EXPECT_EQ(returns.events[0]->find_field("retval"), 1);
}

TEST_F(CatalogTest, MistakesInProbes) {
  const std::string probe = "probe:/proc/self/exe:";
  EXPECT_EQ(match(probe + "ktap_probed_tow"), "[no function 'ktap_probed_tow' in /proc/self/exe] " +
                                                  probe + "ktap_probed_two " + probe +
                                                  "ktap_probed_one");
  EXPECT_EQ(match(probe + "ktap_probed_tow%return size=$retval"),
            "[no function 'ktap_probed_tow' in /proc/self/exe] " + probe +
                "ktap_probed_two%return size=$retval " + probe +
                "ktap_probed_one%return size=$retval")
      << "texts that can stand in its place";
  EXPECT_EQ(match("probe:/none/such:f"), "[/none/such: no such file]");
  const std::string quotes = "; a path is written without quotes, blanks in it as they are]";
  EXPECT_EQ(match("probe:\"./none such\":f"), "[\"./none: no such file" + quotes);
  EXPECT_EQ(match("probe:'/none/such':f"), "['/none/such': no such file" + quotes);
  EXPECT_EQ(match("probe:\"none\":f"), "[\"none\": no such program or library" + quotes);
  EXPECT_EQ(match(probe + "f+x"), "[probe '" + probe + "f+x': '+x' is no offset]");
  EXPECT_EQ(match(probe + "f+1%return"),
            "[probe '" + probe +
                "f+1%return': only a whole function returns: leave out the offset, or %return]");
  EXPECT_EQ(match(probe + "ktap_probed_one+9999").substr(0, 39),
            "[ktap_probed_one of /proc/self/exe has ");
}

TEST_F(CatalogTest, SystemCallsHaveNumberAndDeclaredArguments) {
  const Matches matches = catalog_->match("syscalls:sys_*_read");
  ASSERT_EQ(matches.events.size(), 2U);
  const schema::Event& exit = *matches.events[0];
  EXPECT_EQ(exit.kind, EventKind::SyscallExit);
  EXPECT_EQ(exit.syscall_nr, SYS_read);
  ASSERT_EQ(exit.fields.size(), 2U);
  EXPECT_EQ(exit.fields[1].name, "ret");
  EXPECT_TRUE(exit.fields[1].is_signed);
  const schema::Event& enter = *matches.events[1];
  EXPECT_EQ(enter.kind, EventKind::SyscallEnter);
  EXPECT_EQ(enter.syscall_nr, SYS_read);
  ASSERT_EQ(enter.fields.size(), 3U);
  EXPECT_EQ(enter.fields[0].name, "__syscall_nr");
  EXPECT_EQ(enter.fields[1].size_bytes, 4U);
  EXPECT_EQ(enter.fields[2].kind, schema::FieldKind::Pointer);
  const uint64_t words[7] = {SYS_read, 3, 0xabc};
  EXPECT_EQ(catalog_->render_words(enter, words), "sys_read(fd: 3, buf: abc)");
}

TEST_F(CatalogTest, AnUnknownSystemCallIsAnOrdinaryTracepoint) {
  const Matches matches = catalog_->match("syscalls:sys_enter_from_the_future");
  ASSERT_EQ(matches.events.size(), 1U);
  EXPECT_EQ(matches.events[0]->kind, EventKind::Tracepoint);
  EXPECT_EQ(matches.events[0]->tracefs_id, 22);
}

TEST_F(CatalogTest, ATracepointOfASystemCallHasItsFormAllTheSame) {
  const Matches matches = catalog_->match("syscalls:sys_*_unheard_of");
  ASSERT_EQ(matches.events.size(), 2U);
  const schema::Event& enter = *matches.events[0];
  EXPECT_TRUE(enter.enters_syscall() && !enter.leaves_syscall());
  ASSERT_EQ(enter.fields.size(), 4U);
  EXPECT_TRUE(enter.fields[1].is_signed);
  EXPECT_EQ(enter.fields[1].size_bytes, 4U);
  EXPECT_EQ(enter.fields[2].kind, schema::FieldKind::Pointer);
  uint8_t record[40] = {0xff, 0xff, 0xff};
  std::memset(record + 16, 0xff, 24);
  record[16] = 0x9c;
  std::memset(record + 25, 0, 7);
  EXPECT_EQ(catalog_->render_record(enter, record, sizeof record, 0),
            "sys_unheard_of(dfd: ffffff9c, filename: ff, mode: ffff)");
  EXPECT_EQ(catalog_->render_record(enter, record, 24, 0),
            "sys_unheard_of(dfd: ffffff9c, filename: 0, mode: 0)");
  const schema::Event& exit = *matches.events[1];
  EXPECT_TRUE(exit.leaves_syscall() && !exit.enters_syscall());
  EXPECT_EQ(catalog_->render_record(exit, record, 24, 0), "sys_unheard_of -> 0xffffffffffffff9c");
}

TEST_F(CatalogTest, RecordsPrintByTheirFormat) {
  const EventPtr event = catalog_->match("sched:sched_switch").events.at(0);
  uint8_t record[28] = {0xff, 0xff, 0xff};  // the header is not looked at
  std::memcpy(record + 8, "bash", 4);
  record[24] = 42;
  EXPECT_EQ(catalog_->render_record(*event, record, sizeof record, 0), "bash:42");
}

TEST_F(CatalogTest, ARecordThatWasCutPrintsWhatIsThere) {
  const EventPtr event = catalog_->match("sched:sched_process_exec").events.at(0);
  uint8_t record[24] = {};
  const uint32_t where = 200U << 16 | 16;  // 200 bytes at 16; 8 of them are here
  std::memcpy(record + 8, &where, 4);
  record[12] = 5;
  std::memcpy(record + 16, "/bin/lon", 8);
  EXPECT_EQ(catalog_->render_record(*event, record, sizeof record, 0), "filename=/bin/lon pid=5");
  const uint32_t beyond = 20U << 16 | 4000;
  std::memcpy(record + 8, &beyond, 4);
  EXPECT_EQ(catalog_->render_record(*event, record, sizeof record, 0), "filename= pid=5");
}

TEST(ThisMachine, EverySystemCallHasItsNumber) {
  Result<std::unique_ptr<Catalog>> catalog = Catalog::open();
  if (!catalog.ok()) GTEST_SKIP() << catalog.error().message;
  if (catalog.value()->list("syscalls:*").empty()) GTEST_SKIP() << "no syscall tracepoints";
  const Matches matches = catalog.value()->match("syscalls:*");
  EXPECT_TRUE(matches.mistakes.empty());
  EXPECT_GT(matches.events.size(), 500U);
  for (const EventPtr& event : matches.events) {
    EXPECT_NE(event->kind, EventKind::Tracepoint) << event->name << " is missing in syscalls.def";
  }
}

TEST(ThisMachine, EveryFormatCanBeRead) {
  Result<std::unique_ptr<Catalog>> catalog = Catalog::open();
  if (!catalog.ok()) GTEST_SKIP() << catalog.error().message;
  const Matches matches = catalog.value()->match("*:*");
  for (const Mistake& mistake : matches.mistakes) ADD_FAILURE() << mistake.text;
  EXPECT_GT(matches.events.size(), 100U);
}

[[gnu::noinline, gnu::used]] int overloaded(int a) { return a; }
[[gnu::noinline, gnu::used]] int overloaded(long a) { return static_cast<int>(a) + 1; }
template <class T>
[[gnu::noinline, gnu::used]] int made_of(int a) {
  return a;
}
template int made_of<char>(int);
struct Overloaded {
  [[gnu::noinline, gnu::used]] int take(const char* text) const { return text[0] + by; }
  [[gnu::noinline, gnu::used]] explicit operator bool() const { return by != 0; }
  int by = 1;
};
extern "C" __attribute__((noinline, used)) int ktap_alias_one(int a) { return a - 1; }
extern "C" __attribute__((alias("ktap_alias_one"), nothrow)) int ktap_alias_two(int a);

/// A script that speaks of C++ names sees them; without parameters, where that is enough.
TEST(Catalog, FunctionsAreCalledAsTheScriptSpeaks) {
  ASSERT_EQ(overloaded(1) + overloaded(1L), 3);
  const std::unique_ptr<Catalog> catalog = Catalog::without_tracepoints();
  const auto names = [&](const std::string& place) {
    std::set<std::string> found;
    for (const schema::EventPtr& event : catalog->match("probe:/proc/self/exe:" + place).events)
      found.insert(event->name);
    return found;
  };
  using Names = std::set<std::string>;
  EXPECT_EQ(names("ktap::event::split_patterns"), Names{"ktap::event::split_patterns"});
  EXPECT_EQ(names("*::split_pat*%return"), Names{"ktap::event::split_patterns%return"});
  const Names both = names("ktap::event::*::overloaded");
  EXPECT_EQ(both, (Names{"ktap::event::(anonymous namespace)::overloaded(int)",
                         "ktap::event::(anonymous namespace)::overloaded(long)"}));
  EXPECT_EQ(names("ktap::event::*::overloaded ~*(long)"),
            Names{"ktap::event::(anonymous namespace)::overloaded(int)"});
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe");
  const std::string relative = "./" + std::filesystem::relative(program).string();
  const Matches left = catalog->match("probe:" + program.string() + ":ktap::event::split_pat* " +
                                      "~probe:" + relative + ":ktap::event::split_patterns");
  ASSERT_EQ(left.mistakes.size(), 1U) << "left out as it would be asked for";
  EXPECT_EQ(left.mistakes[0].text, "the exclusions leave no event");
  const std::string here = "ktap::event::(anonymous namespace)::";
  EXPECT_EQ(names(here + "overloaded(int)"), Names{here + "overloaded(int)"})
      << "as it is written: another handler may have the other one";
  const std::string method = here + "Overloaded::take(char const*) const";
  EXPECT_EQ(names(method), Names{method});
  EXPECT_EQ(names(method + " x=$arg2"), Names{method});
  EXPECT_EQ(names(method + "%return"), Names{method + "%return"});
  const std::string conversion = here + "Overloaded::operator bool() const";
  EXPECT_EQ(names(conversion), Names{conversion});
  const std::string made = here + "made_of<char>";
  EXPECT_EQ(names(made), Names{made});
  EXPECT_EQ(names(made + "(int)"), Names{made + "(int)"});
  const Names raw = names("_ZN4ktap5event14split_patterns*");
  ASSERT_EQ(raw.size(), 1U);
  EXPECT_EQ(raw.begin()->substr(0, 4), "_ZN4");
  EXPECT_TRUE(
      catalog->match("probe:/proc/self/exe:*::split_patterns ~" + *raw.begin()).events.empty())
      << "either name leaves it out";
}

#ifdef __x86_64__
// The first instruction has one byte here and two there.
[[gnu::naked, gnu::used]] int stepped(int) { __asm__("nop; mov %edi, %eax; ret"); }
[[gnu::naked, gnu::used]] int stepped(long) { __asm__("mov %edi, %eax; ret"); }

TEST(Catalog, AnOffsetThatOnlySomeHaveIsSaid) {
  ASSERT_EQ(stepped(1) + stepped(2L), 3);
  const std::unique_ptr<Catalog> catalog = Catalog::without_tracepoints();
  const std::string place = "probe:/proc/self/exe:ktap::event::(anonymous namespace)::stepped";
  const Matches one = catalog->match(place + "+1");
  EXPECT_EQ(one.events.size(), 1U);
  ASSERT_EQ(one.warnings.size(), 1U);
  EXPECT_NE(one.warnings[0].text.find("::stepped(long) (no instruction begins there"),
            std::string::npos)
      << one.warnings[0].text;
  EXPECT_TRUE(catalog->match(place + "(int)+1").warnings.empty());
}
#endif

TEST(Catalog, ExclusionsKnowAllNamesOfAFunction) {
  ASSERT_EQ(Overloaded().take("a"), 'a' + 1);
  ASSERT_TRUE(Overloaded());
  ASSERT_EQ(ktap_alias_two(made_of<char>(1)), 0);
  const std::unique_ptr<Catalog> catalog = Catalog::without_tracepoints();
  const auto left = [&](const std::string& list) {
    return catalog->match("probe:/proc/self/exe:" + list).events.size();
  };
  EXPECT_EQ(left("ktap_alias_*"), 1U);
  EXPECT_EQ(left("ktap_alias_* ~ktap_alias_one"), 0U);
  EXPECT_EQ(left("ktap_alias_* ~ktap_alias_two"), 0U);
  const std::string here = "ktap::event::(anonymous namespace)::";
  EXPECT_EQ(left("*::overloaded"), 2U);
  EXPECT_EQ(left("*::overloaded ~" + here + "overloaded"), 0U);
  EXPECT_EQ(left("*::overloaded ~" + here + "overloaded(int)"), 1U);
  EXPECT_EQ(left("*::overloaded%return ~" + here + "overloaded"), 0U);
  EXPECT_EQ(left("*::overloaded%return ~" + here + "overloaded%return"), 0U);
  EXPECT_EQ(left("*::made_of<*> ~" + here + "made_of<char>"), 0U);
  EXPECT_EQ(left("*::made_of<*> ~" + here + "made_of<char>(int)"), 0U);
  EXPECT_FALSE(catalog->match("probe:/proc/self/exe:*::overloaded ~over_nothing").mistakes.empty());
}

TEST(Catalog, WarnsOfAddressesOfWhichNothingIsKnown) {
#if !defined(__x86_64__)
  GTEST_SKIP() << "instructions of x86-64";
#endif
  if (!symbol::has_command("g++")) GTEST_SKIP() << "g++ is not installed";
  const symbol::TempFolder folder;
  folder.write("p.s",
               ".text\n.globl main, told\n.type main, @function\n.type told, @function\n"
               "main: ret\ntold: .cfi_startproc\n"
               "movabs $0x1122334455, %rax\nret\n.cfi_endproc\n"
               ".section .note.GNU-stack, \"\", @progbits\n");
  ASSERT_TRUE(folder.run("g++ p.s -o named && strip -o bare named"));
  const Result<symbol::ElfFile> named = symbol::ElfFile::open(folder / "named");
  ASSERT_TRUE(named.ok());
  const std::unique_ptr<Catalog> catalog = Catalog::without_tracepoints();
  const auto match = [&](uint64_t address) {
    return catalog->match(fmt::format("probe:{}:{:#x}", folder / "bare", address));
  };
  const uint64_t told = named.value().find("told").at(0).address;
  EXPECT_EQ(match(told).events.size(), 1U);
  EXPECT_TRUE(match(told).unproved.empty());
  EXPECT_EQ(match(told + 1).mistakes.size(), 1U);
  const Matches unknown = match(named.value().find("main").at(0).address);
  EXPECT_EQ(unknown.events.size(), 1U);
  ASSERT_EQ(unknown.unproved.size(), 1U);
  EXPECT_NE(unknown.unproved[0].text.find("tells whether an instruction begins at 0x"),
            std::string::npos);
}

// This test program itself is C++ that throws.
TEST(Catalog, WarnsOnceOfReturnsThatExceptionsPass) {
  const std::unique_ptr<Catalog> catalog = Catalog::without_tracepoints();
  const std::string ours = "probe:/proc/self/exe:ktap::event::split_patterns";
  EXPECT_TRUE(catalog->match(ours).dangers.empty()) << "an entry";
  EXPECT_EQ(Catalog::without_tracepoints()
                ->match("probe:/proc/self/exe:ktap_probed_one%return")
                .dangers.size(),
            1U)
      << "a name of C";
  EXPECT_TRUE(catalog->match("probe:libc.so.6:getpid%return").dangers.empty()) << "no C++";
  const Matches first = catalog->match(ours + "%return");
  ASSERT_TRUE(first.mistakes.empty()) << first.mistakes[0].text;
  ASSERT_EQ(first.dangers.size(), 1U);
  EXPECT_EQ(first.dangers[0].text,
            "an exception that leaves a function of /proc/self/exe whose return is probed ends the "
            "program");
  EXPECT_TRUE(catalog->match("probe:/proc/self/exe:ktap::event::*%return").dangers.empty());
}

}  // namespace
}  // namespace ktap::event
