// The load of the kernel cases: makes exactly the system calls that its arguments name, and few
// others. Linked statically, so that start-up makes none of the calls that the cases count. Every
// call stands in a raw syscall(2), so that no library decides to make it another one.
//
//   load VERB N [VERB N]…
//
//   getppid sched_yield      N calls
//   read write close         N calls on descriptor -1 (EBADF); `write:7` on descriptor 7
//   writeout                 N writes of no bytes to standard output: they succeed and give 0
//   openat                   N calls for /ktap-load-none (ENOENT); `openat:NAME` for another path
//   spread:K N               N calls of close, on -1 to -K in turns (EBADF)
//   half:B N                 N calls of probed_half(i, B), i from 1, which gives i / 2 + B
//   twice N                  N calls of probed_twice(i), i from 1, which gives 2 * i
//   touch N                  writes to N fresh pages
//   comm:NAME 1              prctl: the thread's name
//   sleep N                  N milliseconds, in one clock_nanosleep
//   wait 1                   reads one byte of standard input
//   threads N                what follows is done by N threads at once
//   cpus N                   the same, each on a CPU of its own, and starting together
//   exit N                   ends with status N
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { kMaxThreads = 64 };

static char** words;  // what is left for the threads
static pthread_barrier_t start;
static int on_cpus;

static void die(const char* text, const char* word) {
  fprintf(stderr, "load: %s: %s\n", text, word);
  _exit(125);
}

static void sleep_ms(long ms) {
  struct timespec span = {ms / 1000, ms % 1000 * 1000000};
  syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &span, NULL);
}

/// What uprobes are set on.
__attribute__((noinline, noclone)) long probed_half(long a, long b) { return a / 2 + b; }
__attribute__((noinline, noclone)) long probed_twice(long a) { return 2 * a; }
static volatile long sum;

static void call_functions(const char* verb, const char* detail, long number) {
  for (long i = 1; i <= number; ++i)
    sum += verb[0] == 'h' ? probed_half(i, detail ? atol(detail) : 0) : probed_twice(i);
}

static void touch_pages(long number) {
  const long page = sysconf(_SC_PAGESIZE);
  char* memory = mmap(NULL, (size_t)(number * page), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) die("mmap", "failed");
  madvise(memory, (size_t)(number * page), MADV_NOHUGEPAGE);
  for (long i = 0; i < number; ++i) memory[i * page] = 1;
}

static void one_call(const char* verb, const char* detail) {
  long fd = detail ? atol(detail) : -1;
  if (strcmp(verb, "getppid") == 0) {
    syscall(SYS_getppid);
  } else if (strcmp(verb, "sched_yield") == 0) {
    syscall(SYS_sched_yield);
  } else if (strcmp(verb, "read") == 0) {
    syscall(SYS_read, fd, "", 0);
  } else if (strcmp(verb, "write") == 0) {
    syscall(SYS_write, fd, "", 0);
  } else if (strcmp(verb, "writeout") == 0) {
    syscall(SYS_write, 1, "", 0);
  } else if (strcmp(verb, "close") == 0) {
    syscall(SYS_close, fd);
  } else if (strcmp(verb, "openat") == 0) {
    syscall(SYS_openat, AT_FDCWD, detail ? detail : "/ktap-load-none", O_RDONLY, 0);
  } else if (strcmp(verb, "comm") == 0) {
    syscall(SYS_prctl, PR_SET_NAME, detail ? detail : "load", 0, 0, 0);
  } else if (strcmp(verb, "wait") == 0) {
    char byte;
    if (syscall(SYS_read, 0, &byte, 1) != 1) _exit(124);
  } else {
    die("unknown verb", verb);
  }
}

// A loop of its own: little else than the calls.
static void spread_calls(long kinds, long calls) {
  if (kinds < 1) die("spread", "needs a number of kinds");
  for (long i = 0, kind = 0; i < calls; ++i) {
    syscall(SYS_close, -1 - kind);
    if (++kind == kinds) kind = 0;
  }
}

static void perform(char** pairs);

/// To the allowed CPU of that index, counted round.
static void go_to_cpu(size_t index) {
  cpu_set_t allowed;
  cpu_set_t one;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) die("sched_getaffinity", "failed");
  size_t left = index % (size_t)CPU_COUNT(&allowed);
  CPU_ZERO(&one);
  for (size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed) || left-- > 0) continue;
    CPU_SET(cpu, &one);
    break;
  }
  if (sched_setaffinity(0, sizeof one, &one) != 0) die("sched_setaffinity", "failed");
}

static void* thread_main(void* index) {
  if (on_cpus) go_to_cpu((size_t)index);
  pthread_barrier_wait(&start);
  perform(words);
  return NULL;
}

static void run_threads(long count, char** pairs) {
  pthread_t threads[kMaxThreads];
  if (count < 1 || count > kMaxThreads) die("threads", "1 to 64");
  words = pairs;
  pthread_barrier_init(&start, NULL, (unsigned)count);
  for (long i = 0; i < count; ++i) {
    if (pthread_create(&threads[i], NULL, thread_main, (void*)i) != 0) {
      die("pthread_create", "failed");
    }
  }
  for (long i = 0; i < count; ++i) pthread_join(threads[i], NULL);
}

static void perform(char** pairs) {
  for (; pairs[0]; pairs += 2) {
    if (!pairs[1]) die("no number behind", pairs[0]);
    char verb[8192];
    if (strlen(pairs[0]) >= sizeof verb) die("too long", pairs[0]);
    strcpy(verb, pairs[0]);
    char* detail = strchr(verb, ':');
    if (detail) *detail++ = '\0';
    long number = atol(pairs[1]);
    if (strcmp(verb, "threads") == 0 || strcmp(verb, "cpus") == 0) {
      on_cpus = verb[0] == 'c';
      run_threads(number, pairs + 2);
      return;
    }
    if (strcmp(verb, "exit") == 0) _exit((int)number);
    if (strcmp(verb, "spread") == 0) {
      spread_calls(detail ? atol(detail) : 0, number);
      continue;
    }
    if (strcmp(verb, "half") == 0 || strcmp(verb, "twice") == 0) {
      call_functions(verb, detail, number);
      continue;
    }
    if (strcmp(verb, "touch") == 0) {
      touch_pages(number);
      continue;
    }
    if (strcmp(verb, "sleep") == 0) {
      sleep_ms(number);
      continue;
    }
    for (long i = 0; i < number; ++i) one_call(verb, detail);
  }
}

int main(int argc, char** argv) {
  (void)argc;
  perform(argv + 1);
  _exit(0);
}
