// The child's whole life, process references, timers and signals.
#include "sys/process.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "sys/clock.h"

namespace ktap::sys {
namespace {

std::string temporary_path(const char* name) {
  return std::string(testing::TempDir()) + "ktap_" + std::to_string(getpid()) + "_" + name;
}

bool exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

TEST(Child, IsHeldUntilReleased) {
  const std::string mark = temporary_path("held");
  Result<Child> child = Child::start({"touch", mark});
  ASSERT_TRUE(child.ok());
  EXPECT_GT(child.value().pid(), 0);
  usleep(50000);
  EXPECT_FALSE(exists(mark));
  EXPECT_FALSE(child.value().try_wait().has_value());
  ASSERT_TRUE(child.value().release().ok());
  EXPECT_EQ(child.value().wait(), 0);
  EXPECT_TRUE(exists(mark));
  EXPECT_EQ(child.value().try_wait(), std::optional<int>(0));
  unlink(mark.c_str());
}

TEST(Child, RunsNothingWhenNeverReleased) {
  const std::string mark = temporary_path("dropped");
  pid_t pid = -1;
  {
    Result<Child> child = Child::start({"touch", mark});
    ASSERT_TRUE(child.ok());
    pid = child.value().pid();
  }
  EXPECT_FALSE(exists(mark));
  EXPECT_EQ(kill(pid, 0), -1) << "still there";
}

TEST(Child, IsHeldBehindItsExec) {
  const std::string mark = temporary_path("mapped");
  Result<Child> child = Child::start({"touch", mark}, Child::Held::BehindExec);
  ASSERT_TRUE(child.ok());
  std::ifstream name("/proc/" + std::to_string(child.value().pid()) + "/comm");
  std::string comm;
  name >> comm;
  EXPECT_EQ(comm, "touch");
  usleep(50000);
  EXPECT_FALSE(exists(mark));
  EXPECT_FALSE(child.value().try_wait().has_value());
  ASSERT_TRUE(child.value().release().ok());
  EXPECT_EQ(child.value().wait(), 0);
  EXPECT_TRUE(exists(mark));
  unlink(mark.c_str());
}

TEST(Child, RunsNothingWhenDroppedBehindItsExec) {
  const std::string mark = temporary_path("unmapped");
  pid_t pid = -1;
  {
    Result<Child> child = Child::start({"touch", mark}, Child::Held::BehindExec);
    ASSERT_TRUE(child.ok());
    pid = child.value().pid();
  }
  EXPECT_FALSE(exists(mark));
  EXPECT_EQ(kill(pid, 0), -1) << "still there";
  const std::string no_program = temporary_path("no_program");
  std::ofstream(no_program) << "#!/no/such/interpreter\n";
  chmod(no_program.c_str(), 0755);
  const Result<Child> none = Child::start({no_program}, Child::Held::BehindExec);
  unlink(no_program.c_str());
  ASSERT_FALSE(none.ok());
  EXPECT_NE(none.error().message.find("interpreter"), std::string::npos);
}

TEST(Child, GivesItsStatus) {
  Result<Child> child = Child::start({"sh", "-c", "exit 3"});
  ASSERT_TRUE(child.ok());
  ASSERT_TRUE(child.value().release().ok());
  const int status = child.value().wait();
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 3);
}

TEST(Child, GetsSignalsAsTheyWere) {
  Result<Signals> signals = Signals::create();
  ASSERT_TRUE(signals.ok());
  // Were SIGTERM still blocked in it, the shell would exit with 0.
  Result<Child> child = Child::start({"sh", "-c", "kill -TERM $$; exit 0"});
  ASSERT_TRUE(child.ok());
  ASSERT_TRUE(child.value().release().ok());
  const int status = child.value().wait();
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGTERM);
}

TEST(Child, ScriptWithoutInterpreterLineRunsInTheShell) {
  const std::string path = temporary_path("script");
  std::ofstream(path) << "exit 5\n";
  ASSERT_EQ(chmod(path.c_str(), 0700), 0);
  Result<Child> child = Child::start({path});
  ASSERT_TRUE(child.ok());
  ASSERT_TRUE(child.value().release().ok());
  EXPECT_EQ(WEXITSTATUS(child.value().wait()), 5);
  unlink(path.c_str());
}

TEST(Child, ReportsWhatExecSays) {
  const std::string path = temporary_path("broken");
  std::ofstream(path) << "#!/no/such/interpreter\n";
  ASSERT_EQ(chmod(path.c_str(), 0700), 0);
  Result<Child> child = Child::start({path});
  ASSERT_TRUE(child.ok());
  Result<void> released = child.value().release();
  ASSERT_FALSE(released.ok());
  EXPECT_EQ(released.error().sys_errno, ENOENT);
  unlink(path.c_str());
}

TEST(FindCommand, LooksInPath) {
  Result<std::string> sh = find_command("sh");
  ASSERT_TRUE(sh.ok());
  EXPECT_NE(sh.value().find("/sh"), std::string::npos);
  Result<std::string> missing = find_command("no-such-command-here");
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().message, "running 'no-such-command-here': no such command in PATH");
  EXPECT_FALSE(find_command("").ok());
  Result<std::string> directory = find_command("/tmp");
  ASSERT_FALSE(directory.ok());
  EXPECT_EQ(directory.error().sys_errno, EISDIR);
}

TEST(ProcessRef, SeesTheEnd) {
  Result<Child> child = Child::start({"true"});
  ASSERT_TRUE(child.ok());
  Result<ProcessRef> process = ProcessRef::open(child.value().pid());
  ASSERT_TRUE(process.ok());
  EXPECT_FALSE(process.value().ended());
  ASSERT_TRUE(child.value().release().ok());
  child.value().wait();
  EXPECT_TRUE(process.value().ended());
}

TEST(ProcessRef, NamesWhatIsMissing) {
  Result<ProcessRef> process = ProcessRef::open(999999999);
  ASSERT_FALSE(process.ok());
  EXPECT_EQ(process.error().message, "no process 999999999");
  EXPECT_FALSE(ProcessRef::open(0).ok());
  EXPECT_FALSE(ProcessRef::open(-1).ok());
}

TEST(Clock, TimerExpires) {
  Result<Timer> timer = Timer::create(2000000, 2000000);
  ASSERT_TRUE(timer.ok());
  EXPECT_EQ(timer.value().take_expiries(), 0U);
  const int fds[] = {-1, timer.value().fd()};
  EXPECT_EQ(wait_readable(fds, 2, 1000000000), 2U);
  EXPECT_GE(timer.value().take_expiries(), 1U);
}

TEST(Clock, SignalsComeAsDescriptor) {
  Result<Signals> signals = Signals::create();
  ASSERT_TRUE(signals.ok());
  EXPECT_EQ(signals.value().take(), std::nullopt);
  kill(getpid(), SIGTERM);
  const int fd = signals.value().fd();
  EXPECT_EQ(wait_readable(&fd, 1, 1000000000), 1U);
  EXPECT_EQ(signals.value().take(), std::optional<int>(SIGTERM));
  EXPECT_EQ(wait_readable(&fd, 1, 0), 0U);
}

}  // namespace
}  // namespace ktap::sys
