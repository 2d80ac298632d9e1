// See shell.h. By posix_spawn, which copies nothing of ours.
#include "sys/shell.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "sys/errors.h"

extern char** environ;

namespace ktap::sys {

Result<int64_t> run_shell(const std::string& command, int output_fd) {
  constexpr int kSignalled = 128;
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  if (output_fd != STDOUT_FILENO)
    posix_spawn_file_actions_adddup2(&actions, output_fd, STDOUT_FILENO);
  // What we block and ignore for ourselves, it shall not.
  sigset_t none;
  sigset_t defaults;
  sigemptyset(&none);
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  char shell[] = "sh";
  char option[] = "-c";
  char* const argv[] = {shell, option, const_cast<char*>(command.c_str()), nullptr};
  pid_t pid = -1;
  const int failed = posix_spawn(&pid, "/bin/sh", &actions, &attributes, argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (failed != 0) return system_error("running /bin/sh", failed);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return system_error("waiting for a command", errno);
  }
  return int64_t{WIFSIGNALED(status) ? kSignalled + WTERMSIG(status) : WEXITSTATUS(status)};
}

}  // namespace ktap::sys
