// See terminal.h. What gives the terminal back has to work in signal handlers: the state is global,
// and only write and tcsetattr are called.
#include "sys/terminal.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

namespace ktap::sys {

namespace {

// The other screen, no cursor, no breaking of long lines.
constexpr char kEnter[] = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J";
constexpr char kLeave[] = "\x1b[?7h\x1b[?25h\x1b[?1049l";

// Those that end a process, but for those that sys::Signals holds.
constexpr int kEnds[] = {SIGQUIT, SIGABRT, SIGSEGV, SIGBUS,  SIGFPE,  SIGILL, SIGSYS,
                         SIGTRAP, SIGALRM, SIGUSR1, SIGUSR2, SIGXCPU, SIGXFSZ};
constexpr size_t kEndCount = sizeof kEnds / sizeof kEnds[0];

int taken_fd = -1;
termios before;
termios during;
std::atomic<int> is_on_screen{0};  // a whole word: riscv exchanges no byte without libatomic
struct sigaction actions_before[kEndCount];
struct sigaction stop_before;
std::new_handler no_memory_before = nullptr;

void put(const char* text, size_t size) {
  while (size > 0) {
    const ssize_t n = ::write(taken_fd, text, size);
    if (n < 0 && errno != EINTR) return;
    if (n > 0) {
      text += n;
      size -= static_cast<size_t>(n);
    }
  }
}

void leave() {
  if (is_on_screen.exchange(0) == 0) return;
  put(kLeave, sizeof kLeave - 1);
  ::tcsetattr(taken_fd, TCSADRAIN, &before);
}

void enter() {
  if (is_on_screen.exchange(1) != 0) return;
  ::tcsetattr(taken_fd, TCSADRAIN, &during);
  put(kEnter, sizeof kEnter - 1);
}

/// The handler ends the process without a word to anybody.
void end_without_memory() {
  leave();
  if (no_memory_before == nullptr) std::abort();
  no_memory_before();
}

void restore_actions() {
  std::set_new_handler(no_memory_before);
  for (size_t i = 0; i < kEndCount; ++i) ::sigaction(kEnds[i], &actions_before[i], nullptr);
  ::sigaction(SIGTSTP, &stop_before, nullptr);
}

extern "C" void end_by_signal(int number) {
  const int kept = errno;
  leave();
  restore_actions();
  ::raise(number);
  errno = kept;
}

extern "C" void stop_by_signal(int number) {
  const int kept = errno;
  leave();
  struct sigaction stopped = {};
  stopped.sa_handler = SIG_DFL;
  struct sigaction ours = {};
  ::sigaction(number, &stopped, &ours);
  sigset_t set;
  sigset_t masked;
  sigemptyset(&set);
  sigaddset(&set, number);
  ::raise(number);
  ::sigprocmask(SIG_UNBLOCK, &set, &masked);  // stops here
  ::sigprocmask(SIG_SETMASK, &masked, nullptr);
  ::sigaction(number, &ours, nullptr);
  enter();
  errno = kept;
}

void take_actions() {
  static const bool at_exit = std::atexit(leave) == 0;
  (void)at_exit;
  no_memory_before = std::set_new_handler(end_without_memory);
  struct sigaction ours = {};
  ours.sa_handler = end_by_signal;
  sigemptyset(&ours.sa_mask);
  for (size_t i = 0; i < kEndCount; ++i) {
    ::sigaction(kEnds[i], nullptr, &actions_before[i]);
    if (actions_before[i].sa_handler != SIG_IGN) ::sigaction(kEnds[i], &ours, nullptr);
  }
  ours.sa_handler = stop_by_signal;
  ours.sa_flags = SA_RESTART;
  ::sigaction(SIGTSTP, &ours, &stop_before);
}

}  // namespace

Result<std::unique_ptr<Terminal>> Terminal::take() {
  UniqueFd fd(::open("/dev/tty", O_RDWR | O_CLOEXEC));
  if (!fd.valid() || ::tcgetattr(fd.get(), &before) != 0)
    return Error{std::string("there is no terminal: ") + std::strerror(errno), errno};
  during = before;
  during.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);  // signals by keys stay
  during.c_cc[VMIN] = 0;
  during.c_cc[VTIME] = 0;
  taken_fd = fd.get();
  take_actions();
  enter();
  return std::unique_ptr<Terminal>(new Terminal(std::move(fd)));
}

Terminal::~Terminal() {
  leave();
  restore_actions();
}

void Terminal::suspend() { leave(); }

void Terminal::resume() { enter(); }

Terminal::Size Terminal::size() const {
  winsize window = {};
  if (::ioctl(fd_.get(), TIOCGWINSZ, &window) != 0 || window.ws_row == 0 || window.ws_col == 0)
    return {24, 80};
  return {window.ws_row, window.ws_col};
}

std::string Terminal::take_keys(bool* ended) {
  std::string typed;
  char buffer[256];
  const ssize_t n = ::read(fd_.get(), buffer, sizeof buffer);
  *ended = n < 0 && errno != EINTR && errno != EAGAIN;
  if (n > 0) typed.assign(buffer, static_cast<size_t>(n));
  return typed;
}

void Terminal::draw(std::string_view text) {
  if (is_on_screen) put(text.data(), text.size());
}

}  // namespace ktap::sys
