// Addresses of this process and of children: named while they run, and after.
#include "symbol/user_symbols.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "base/user_stack.h"
#include "symbol/elf_cache.h"
#include "symbol/maps.h"
#include "symbol/test_files.h"

namespace ktap::symbol {
namespace {

__attribute__((noinline, used)) int named_function(int value) { return value * 3; }

uint64_t address_of(int (*function)(int)) { return reinterpret_cast<uint64_t>(function); }

/// The file that this process runs, shortened as places are.
std::string own_name() {
  return std::filesystem::read_symlink("/proc/self/exe").filename().string();
}

TEST(UserSymbols, OfThisProcess) {
  UserSymbols symbols;
  const UserPlace place = symbols.name(getpid(), address_of(named_function) + 2);
  EXPECT_EQ(place.text(),
            "ktap::symbol::(anonymous namespace)::named_function+0x2 (" + own_name() + ")");
  void* malloc_address = dlsym(RTLD_DEFAULT, "malloc");
  const UserPlace in_libc = symbols.name(getpid(), reinterpret_cast<uint64_t>(malloc_address) + 1);
  EXPECT_THAT(in_libc.text(), testing::MatchesRegex(".*malloc.*[+]0x1 [(].*[)]"));
  EXPECT_EQ(symbols.name(getpid(), 0x10).text(), "0x10");
  EXPECT_EQ(symbols.name(getpid(), UINT64_MAX).text(), "0xffffffffffffffff");
}

TEST(UserSymbols, Vdso) {
  const uint64_t vdso = getauxval(AT_SYSINFO_EHDR);
  if (vdso == 0) GTEST_SKIP() << "no vdso";
  ElfCache cache;
  NamedFile* named = cache.vdso();
  ASSERT_NE(named, nullptr);
  ASSERT_FALSE(named->file.functions().empty());
  const FunctionSymbol& function = named->file.functions().back();
  UserSymbols symbols;
  const std::string text = symbols.name(getpid(), vdso + function.file_offset).text();
  EXPECT_THAT(text, testing::EndsWith("+0x0 ([vdso])"));
}

TEST(UserSymbols, CodeMappedLater) {
  UserSymbols symbols;
  EXPECT_EQ(symbols.name(getpid(), 0x20).text(), "0x20");
  const std::string self = "/proc/self/exe";
  const int fd = open(self.c_str(), O_RDONLY);
  const size_t bytes = 4096;
  void* mapped = mmap(nullptr, bytes, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
  close(fd);
  ASSERT_NE(mapped, MAP_FAILED);
  std::this_thread::sleep_for(std::chrono::milliseconds(120));
  const UserPlace place = symbols.name(getpid(), reinterpret_cast<uint64_t>(mapped));
  munmap(mapped, bytes);
  EXPECT_THAT(place.file, testing::EndsWith("/" + own_name()));
}

uint64_t now_ns() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}

/// A page of a file, where another may have been.
class CodePage {
 public:
  CodePage() { address_ = mmap(nullptr, kBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); }
  ~CodePage() { munmap(address_, kBytes); }
  void load(const std::string& path) const {
    const int fd = open(path.c_str(), O_RDONLY);
    EXPECT_NE(mmap(address_, kBytes, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, fd, 0),
              MAP_FAILED);
    close(fd);
  }
  void unload() const {
    mmap(address_, kBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  }
  uint64_t begin() const { return reinterpret_cast<uint64_t>(address_); }
  std::string text() const {
    std::ostringstream hex;
    hex << "0x" << std::hex << begin();
    return hex.str();
  }

 private:
  static constexpr size_t kBytes = 4096;
  void* address_;
};

/// One library goes and another comes to its place: which of them a stack means nobody can tell.
TEST(UserSymbols, CodeThatTookThePlaceOfOther) {
  const CodePage page;
  UserSymbols symbols;
  page.load("/proc/self/exe");
  EXPECT_THAT(symbols.name(getpid(), page.begin()).text(), testing::HasSubstr(own_name()));
  page.load("/usr/bin/env");
  symbols.look_again(getpid());
  const std::string either = page.text() + " ([" + own_name() + " or env])";
  EXPECT_EQ(symbols.name(getpid(), page.begin()).text(), either);
  symbols.look_again(getpid());
  EXPECT_EQ(symbols.name(getpid(), page.begin()).text(), either);
}

/// The same where the kernel told of it, before anyone looked.
TEST(UserSymbols, ToldThatCodeTookThePlaceOfOther) {
  const CodePage page;
  const CodePage gone;
  UserSymbols symbols;
  const Result<void> watched = symbols.watch({});
  if (!watched.ok()) GTEST_SKIP() << watched.error().message;
  gone.load("/usr/bin/env");
  page.load("/proc/self/exe");
  EXPECT_THAT(symbols.name(getpid(), page.begin()).text(), testing::HasSubstr(own_name()));
  const uint64_t before_ns = now_ns();
  page.load("/usr/bin/env");
  const uint64_t between_ns = now_ns();
  page.load("/proc/self/exe");
  gone.unload();
  EXPECT_EQ(symbols.replacements(), 0U);
  symbols.take_records();
  EXPECT_EQ(symbols.replacements(), 2U);
  const auto file_at = [&](uint64_t time_ns) {
    const std::optional<UserCode> code = symbols.code({getpid(), 0, time_ns}, page.begin());
    return code.has_value() ? std::string(base_name(code->file->file.path())) : "";
  };
  EXPECT_EQ(file_at(now_ns()), own_name());
  EXPECT_EQ(file_at(between_ns), "env") << "what was there then";
  EXPECT_EQ(file_at(before_ns), own_name());
  EXPECT_EQ(file_at(1), "") << "before anything was told";
  EXPECT_TRUE(symbols.came_later({getpid(), 0, before_ns}, page.begin()));
  EXPECT_FALSE(symbols.came_later({getpid(), 0, now_ns()}, page.begin()));
  const std::string either = page.text() + " ([env or " + own_name() + "])";
  EXPECT_EQ(symbols.name(getpid(), page.begin()).text(), either);
  // Of another process, that had ended before it was looked at again.
  const pid_t pid = fork();
  if (pid == 0) {
    page.load("/usr/bin/env");
    raise(SIGSTOP);
    page.load("/proc/self/exe");
    _exit(0);
  }
  int status = 0;
  waitpid(pid, &status, WUNTRACED);
  symbols.take_records();
  symbols.remember(pid);
  kill(pid, SIGCONT);
  waitpid(pid, &status, 0);
  symbols.take_records();
  EXPECT_THAT(symbols.name(pid, page.begin()).text(), testing::HasSubstr(" or "));
  // What was unloaded, and has no successor, keeps its name.
  EXPECT_THAT(symbols.name(getpid(), gone.begin()).text(), testing::HasSubstr("(env)"));
}

TEST(UserSymbols, WhereCodeMayLie) {
  UserSymbols symbols;
  const pid_t self = getpid();
  const auto here = reinterpret_cast<uint64_t>(&getpid);
  EXPECT_TRUE(symbols.may_be_code(self, here));
  EXPECT_TRUE(symbols.may_be_code(self, 0x1000));  // may have been mapped since
  EXPECT_FALSE(symbols.may_be_code(self, 0));
  EXPECT_FALSE(symbols.may_be_code(self, 0xfff));
  EXPECT_FALSE(symbols.may_be_code(self, UINT64_MAX));
  EXPECT_FALSE(symbols.may_be_code(self, uint64_t{1} << 63));
#if !defined(__arm__)
  EXPECT_FALSE(symbols.may_be_code(self, 0x2f656c61636f6c2f));  // text
  EXPECT_FALSE(symbols.may_be_code(self, 0x3fbad20900007ffd));
  EXPECT_FALSE(symbols.may_be_code(self, (uint64_t{1} << 48) + 0x1000));  // nothing is mapped there
  EXPECT_TRUE(symbols.may_be_code(self, (uint64_t{1} << 47) - 0x2000));
#endif
}

TEST(UserSymbols, JitCode) {
  const size_t bytes = 4096;
  void* code = mmap(nullptr, bytes, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(code, MAP_FAILED);
  const auto begin = reinterpret_cast<uint64_t>(code);
  const std::string path = "/tmp/perf-" + std::to_string(pid_inside(getpid())) + ".map";
  std::ofstream(path) << std::hex << begin << " 40 LazyCompile:~add x.js:1\n";
  UserSymbols symbols;
  const std::string inside = symbols.name(getpid(), begin + 8).text();
  const std::string outside = symbols.name(getpid(), begin + 0x40).text();
  std::filesystem::remove(path);
  munmap(code, bytes);
  EXPECT_EQ(inside, "LazyCompile:~add x.js:1+0x8 ([jit])");
  EXPECT_EQ(outside.substr(0, 2), "0x");
  EXPECT_EQ(outside.find(' '), std::string::npos);
}

/// A child that waits until it is killed.
class Child {
 public:
  explicit Child(const std::string& path) : pid_(fork()) {
    if (pid_ == 0) {
      if (path.empty()) {
        while (true) pause();
      }
      execl(path.c_str(), path.c_str(), nullptr);
      _exit(1);
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() { end(); }
  pid_t pid() const { return pid_; }
  void end() {
    if (pid_ > 0) kill(pid_, SIGKILL);
    if (pid_ > 0) waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  /// Until it runs `path`.
  /// Until it runs that program. The kernel maps the vDSO after the program itself.
  void wait_for(const std::string& path) const {
    const std::string process = "/proc/" + std::to_string(pid_);
    const auto runs = [&] {
      std::error_code error;
      if (std::filesystem::read_symlink(process + "/exe", error) != path) return false;
      std::ifstream maps(process + "/maps");
      const std::string text{std::istreambuf_iterator<char>(maps), {}};
      return text.find("[vdso]") != std::string::npos;
    };
    for (int i = 0; i < 1000 && !runs(); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }

 private:
  pid_t pid_;
};

TEST(UserSymbols, ProcessThatHasEnded) {
  UserSymbols symbols;
  Child child("");
  Child unknown("");
  const pid_t pid = child.pid();
  const pid_t unknown_pid = unknown.pid();
  symbols.remember(pid);
  child.end();
  unknown.end();
  EXPECT_THAT(symbols.name(pid, address_of(named_function)).text(),
              testing::HasSubstr("named_function+0x0"));
  std::this_thread::sleep_for(std::chrono::milliseconds(120));
  EXPECT_THAT(symbols.name(pid, address_of(named_function)).text(),
              testing::HasSubstr("named_function+0x0"));
  EXPECT_EQ(symbols.name(unknown_pid, 0x1234).text(), "0x1234");
}

class Running : public testing::Test {
 protected:
  void SetUp() override {
    if (!has_command("g++")) GTEST_SKIP() << "g++ is not installed";
    folder_.write("p.cc",
                  "#include <unistd.h>\n"
                  "namespace a { __attribute__((used)) int waits(int x) { return x + 3; } }\n"
                  "int main() { while (true) pause(); }\n");
    ASSERT_TRUE(folder_.run("g++ -O1 -no-pie -fno-pie -Wl,--build-id p.cc -o p && cp -p p q"));
    const Result<ElfFile> file = ElfFile::open(folder_ / "p");
    ASSERT_TRUE(file.ok());
    ASSERT_EQ(file.value().find("a::waits").size(), 1U);
    address_ = file.value().find("a::waits")[0].address;
  }
  TempFolder folder_;
  uint64_t address_ = 0;
};

TEST_F(Running, ReplacedAndDeleted) {
  Child child(folder_ / "p");
  Child other(folder_ / "q");
  child.wait_for(folder_ / "p");
  other.wait_for(folder_ / "q");
  // Another file under its name, none under the other's: what runs is still there.
  ASSERT_TRUE(folder_.run("rm q && cp /bin/true new && mv new p"));
  UserSymbols symbols;
  const std::string replaced = symbols.name(child.pid(), address_).text();
  const std::string deleted = symbols.name(other.pid(), address_).text();
  if (geteuid() != 0) GTEST_SKIP() << "needs root: /proc/PID/map_files";
  EXPECT_EQ(replaced, "a::waits+0x0 (p)");
  EXPECT_EQ(deleted, "a::waits+0x0 (q)");
}

TEST_F(Running, NewProgramOfAProcess) {
  UserSymbols symbols;
  Child child("");
  EXPECT_THAT(symbols.name(child.pid(), address_of(named_function)).text(),
              testing::HasSubstr("named_function"));
  child.end();
  Child execed(folder_ / "p");
  symbols.remember(execed.pid());  // perhaps before its exec
  execed.wait_for(folder_ / "p");
  std::this_thread::sleep_for(std::chrono::milliseconds(120));
  EXPECT_EQ(symbols.name(execed.pid(), address_).text(), "a::waits+0x0 (p)");
}

/// What a stack of the process would carry now.
uint32_t mark_of(pid_t pid) {
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::string text((std::istreambuf_iterator<char>(stat)), {});
  text.erase(0, text.rfind(')') + 2);
  std::istringstream fields(text);
  std::string field;
  for (int i = 3; i <= 28; ++i) fields >> field;
  return program_mark(std::stoull(field));
}

TEST_F(Running, ProgramsBeforeAndBehindAnExec) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root: where a stack begins";
  int go[2];
  ASSERT_EQ(pipe(go), 0);
  const std::string path = folder_ / "p";
  const pid_t pid = fork();
  if (pid == 0) {
    char byte = 0;
    if (read(go[0], &byte, 1) == 1) execl(path.c_str(), path.c_str(), nullptr);
    _exit(1);
  }
  const UserProgram before(pid, mark_of(pid));
  UserSymbols symbols;
  UserSymbols late;
  symbols.remember(before);
  ASSERT_EQ(write(go[1], "x", 1), 1);
  for (int i = 0; i < 1000 && mark_of(pid) == before.mark; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const UserProgram behind(pid, mark_of(pid));
  EXPECT_NE(before.mark, behind.mark);
  symbols.remember(behind);
  const std::string old_name = symbols.name(before, address_of(named_function)).text();
  const std::string new_name = symbols.name(behind, address_).text();
  const std::string lost = late.name(before, address_).text();
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  close(go[0]);
  close(go[1]);
  EXPECT_THAT(old_name, testing::HasSubstr("named_function+0x0"));
  EXPECT_EQ(new_name, "a::waits+0x0 (p)");
  EXPECT_EQ(lost.substr(0, 2), "0x");
  EXPECT_EQ(lost.find(' '), std::string::npos);
  EXPECT_THAT(symbols.name(before, address_of(named_function)).text(),
              testing::HasSubstr("named_function+0x0"));
}

TEST(UserSymbols, ForkThatNobodySaw) {
  const uint32_t mark = mark_of(getpid());
  if (mark == 0) GTEST_SKIP() << "/proc hides where the stack begins";
  const pid_t pid = fork();
  if (pid == 0) _exit(0);
  waitpid(pid, nullptr, 0);
  UserSymbols symbols;
  symbols.remember({getpid(), mark});
  EXPECT_THAT(symbols.name({pid, mark}, address_of(named_function)).text(),
              testing::HasSubstr("named_function+0x0"));
  EXPECT_EQ(symbols.name({pid, mark + 1}, address_of(named_function)).function, "");
}

/// Its parent has never been looked at either, and is there.
TEST(UserSymbols, ForkOfAProcessThatNobodySaw) {
  const uint32_t mark = mark_of(getpid());
  if (mark == 0) GTEST_SKIP() << "/proc hides where the stack begins";
  const pid_t pid = fork();
  if (pid == 0) _exit(0);
  waitpid(pid, nullptr, 0);
  UserSymbols symbols;
  EXPECT_THAT(symbols.name({pid, mark}, address_of(named_function)).text(),
              testing::HasSubstr("named_function+0x0"));
  UserSymbols others;
  EXPECT_EQ(others.name({pid, mark + 1}, address_of(named_function)).function, "");
}

/// Two programs that a process runs, one behind the other, and that are gone: each says something
/// else of the same address.
TEST_F(Running, ProgramsThatNobodySaw) {
  folder_.write("q.cc",
                "#include <unistd.h>\n"
                "__attribute__((used)) int other(int x) { return x + 3; }\n"
                "int main() { char c; return read(0, &c, 1) == 1 ? 0 : 1; }\n");
  folder_.write("r.cc",
                "#include <unistd.h>\n"
                "namespace a { __attribute__((used)) int waits(int x) { return x + 3; } }\n"
                "int main(int, char** v) {\n"
                "  char c;\n"
                "  if (read(0, &c, 1) != 1) return 1;\n"
                "  execl(v[1], v[1], nullptr);\n"
                "}\n");
  ASSERT_TRUE(
      folder_.run("rm -f q && for i in q r; do g++ -O1 -no-pie -fno-pie $i.cc -o $i; done"));
  const Result<ElfFile> first = ElfFile::open(folder_ / "r");
  const Result<ElfFile> second = ElfFile::open(folder_ / "q");
  ASSERT_TRUE(first.ok() && second.ok());
  const uint64_t waits = first.value().find("a::waits")[0].address;
  const uint64_t other = second.value().find("other")[0].address;
  UserSymbols symbols;
  UserSymbols unwatched;
  const Result<void> watched = symbols.watch({});
  if (!watched.ok()) GTEST_SKIP() << watched.error().message;
  int go[2];
  ASSERT_EQ(pipe(go), 0);
  const std::string programs[] = {folder_ / "r", folder_ / "q"};
  const pid_t pid = fork();
  if (pid == 0) {
    dup2(go[0], 0);
    close(go[1]);
    execl(programs[0].c_str(), "r", programs[1].c_str(), nullptr);
    _exit(1);
  }
  uint64_t times[2] = {};
  for (int i = 0; i < 2; ++i) {
    const auto runs = [&] {
      std::error_code error;
      return std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/exe", error) ==
             programs[i];
    };
    for (int n = 0; n < 5000 && !runs(); ++n)
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    times[i] = now_ns();
    ASSERT_EQ(write(go[1], "x", 1), 1);
  }
  int status = 1;
  waitpid(pid, &status, 0);
  close(go[0]);
  close(go[1]);
  ASSERT_EQ(status, 0);
  EXPECT_EQ(symbols.name({pid, 5, times[0]}, waits).text(), "a::waits+0x0 (r)");
  EXPECT_EQ(symbols.name({pid, 6, times[1]}, other).text(), "other+0x0 (q)");
  EXPECT_EQ(symbols.name({pid, 7, 1}, other).function, "");
  // Without a time, of two that differ, neither.
  EXPECT_EQ(symbols.name({pid, 8}, other).function, "");
  EXPECT_EQ(symbols.name(pid, waits).function, "");
  // It is told later: by a record that comes behind the stack.
  EXPECT_EQ(symbols.name({pid, 8, times[1]}, other).text(), "other+0x0 (q)");
  EXPECT_EQ(unwatched.name({pid, 5, times[0]}, waits).function, "");
}

/// It has mapped, since it was looked at, what its last stacks lie in.
TEST_F(Running, CodeThatAnEndedProcessHadMappedLater) {
  UserSymbols symbols;
  const Result<void> watched = symbols.watch({});
  if (!watched.ok()) GTEST_SKIP() << watched.error().message;
  int pipes[2][2];
  ASSERT_EQ(pipe(pipes[0]), 0);
  ASSERT_EQ(pipe(pipes[1]), 0);
  const std::string path = folder_ / "p";
  const pid_t pid = fork();
  if (pid == 0) {
    char byte = 0;
    const int fd = open(path.c_str(), O_RDONLY);
    if (read(pipes[0][0], &byte, 1) != 1) _exit(1);
    void* at = mmap(nullptr, 1 << 20, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    _exit(write(pipes[1][1], &at, sizeof at) == sizeof at ? 0 : 1);
  }
  EXPECT_THAT(symbols.name(pid, address_of(named_function)).text(),
              testing::HasSubstr("named_function"));
  uint64_t at = 0;
  ASSERT_EQ(write(pipes[0][1], "x", 1), 1);
  ASSERT_EQ(read(pipes[1][0], &at, sizeof at), static_cast<ssize_t>(sizeof at));
  waitpid(pid, nullptr, 0);
  for (const auto& ends : pipes) {
    close(ends[0]);
    close(ends[1]);
  }
  const Result<ElfFile> file = ElfFile::open(path);
  ASSERT_TRUE(file.ok());
  const uint64_t offset = file.value().find("a::waits")[0].file_offset;
  EXPECT_EQ(symbols.name(pid, at + offset).text(), "a::waits+0x0 (p)");
}

/// A file that has come under the name of one that ran, before anyone asked.
TEST_F(Running, ReplacedAfterItHasEnded) {
  folder_.write("q.cc", "__attribute__((used)) int other(int x) { return x; } int main() {}\n");
  ASSERT_TRUE(folder_.run("rm -f q && g++ -O1 -no-pie -fno-pie q.cc -o q"));
  const Result<ElfFile> file = ElfFile::open(folder_ / "q");
  ASSERT_TRUE(file.ok());
  const uint64_t other = file.value().find("other")[0].address;
  UserSymbols symbols;
  const Result<void> watched = symbols.watch({});
  if (!watched.ok()) GTEST_SKIP() << watched.error().message;
  const std::string path = folder_ / "q";
  const pid_t pid = fork();
  if (pid == 0) {
    execl(path.c_str(), "q", nullptr);
    _exit(1);
  }
  waitpid(pid, nullptr, 0);
  // The first keeps the number of the file, and the file system may give it to the second too.
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  for (const char* replace : {"cat p > q", "rm q && cp p q", "cp p new && mv new q"}) {
    ASSERT_TRUE(folder_.run(replace));
    const UserPlace place = symbols.name(pid, other);
    EXPECT_EQ(place.function, "") << replace;
    EXPECT_EQ(place.file, path) << replace;
  }
}

/// A new program in a file of the old one's number: each has its own names.
TEST_F(Running, TwoProgramsInOneFile) {
  folder_.write("r.cc",
                "#include <unistd.h>\n"
                "__attribute__((used)) int other(int x) { return x + 3; }\n"
                "int main() { while (true) pause(); }\n");
  ASSERT_TRUE(folder_.run("g++ -O1 -no-pie -fno-pie r.cc -o r"));
  UserSymbols symbols;
  {
    Child first(folder_ / "q");
    first.wait_for(folder_ / "q");
    EXPECT_EQ(symbols.name(first.pid(), address_).function, "a::waits");
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  ASSERT_TRUE(folder_.run("cat r > q"));
  const Result<ElfFile> file = ElfFile::open(folder_ / "r");
  ASSERT_TRUE(file.ok());
  Child second(folder_ / "q");
  second.wait_for(folder_ / "q");
  EXPECT_EQ(symbols.name(second.pid(), file.value().find("other")[0].address).function, "other");
}

/// They have one build-id.
TEST_F(Running, AStrippedCopy) {
  ASSERT_TRUE(folder_.run("cp p r && strip r"));
  UserSymbols symbols;
  Child stripped(folder_ / "r");
  Child whole(folder_ / "p");
  stripped.wait_for(folder_ / "r");
  whole.wait_for(folder_ / "p");
  EXPECT_EQ(symbols.name(stripped.pid(), address_).function, "");
  EXPECT_EQ(symbols.name(whole.pid(), address_).function, "a::waits");
}

TEST_F(Running, LinesOfAProcess) {
  folder_.write("q.cc",
                "#include <unistd.h>\n"
                "static inline __attribute__((always_inline)) void waits() {\n"
                "  while (true) pause();\n"
                "}\n"
                "int main() {\n"
                "  waits();\n"
                "}\n");
  ASSERT_TRUE(folder_.run("rm -f q && g++ -O1 -g -no-pie -fno-pie q.cc -o q"));
  const Result<ElfFile> file = ElfFile::open(folder_ / "q");
  ASSERT_TRUE(file.ok());
  const FunctionSymbol main_symbol = file.value().find("main")[0];
  Child child(folder_ / "q");
  child.wait_for(folder_ / "q");
  UserSymbols symbols;
  std::vector<std::string> texts;
  const uint64_t last = main_symbol.address + main_symbol.size_bytes - 1;
  for (const UserPlace& place : symbols.places(child.pid(), last)) texts.push_back(place.text());
  ASSERT_EQ(texts.size(), 2U);
  EXPECT_EQ(texts[0], "waits [inlined] (q) at q.cc:3");
  EXPECT_THAT(texts[1], testing::MatchesRegex("main[+]0x[0-9a-f]+ [(]q[)] at q.cc:6"));
}

TEST_F(Running, OneFilePerBuildId) {
  ElfCache cache;
  Child one(folder_ / "p");
  Child two(folder_ / "q");
  one.wait_for(folder_ / "p");
  two.wait_for(folder_ / "q");
  for (const pid_t pid : {one.pid(), two.pid()}) {
    const Result<ProcessMaps> maps = ProcessMaps::read(pid);
    ASSERT_TRUE(maps.ok());
    const Mapping* mapping = maps.value().find(address_);
    ASSERT_NE(mapping, nullptr);
    EXPECT_NE(cache.of_mapping(pid, "", *mapping), nullptr);
  }
  EXPECT_EQ(cache.size(), 1U);
}

}  // namespace
}  // namespace ktap::symbol
