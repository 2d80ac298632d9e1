// The load of the kernel benchmarks: a tight loop of the cheapest system call, timed from inside,
// and the kernel's own run-time figures of eBPF programs over the same loop. Obeys lines on
// standard input and answers each with one line, so that who measures decides what takes turns with
// what:
//
//   sample COUNT CALLS PAUSE_US   COUNT times CALLS calls, a pause between: COUNT times ns a call,
//   of
//                                 CPU time
//   run CALLS                     CALLS calls at full rate: ns in all, of the clock on the wall
//   rate MS                       calls at full rate for MS ms: their number and the ns it took
//   stats CALLS ID…               CALLS calls: for each program runs and ns that they took
//   pid                           the number of this process
//
// usage: driver CPU; it stays on that CPU.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/bpf.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { kMaxPrograms = 32, kLine = 4096, kCallsAtOnce = 256, kMaxHolders = 3 };

static void die(const char* what) {
  fprintf(stderr, "driver: %s: %s\n", what, strerror(errno));
  exit(1);
}

static int64_t now_ns(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

// ---- quiet

// While something is measured, nothing else runs on this CPU, nor on up to three others, which may
// be this one's siblings: on each a thread of ours sits and pauses. Where we may not do that, CPU
// time alone has to do.
static atomic_int holding;
static atomic_int held;
static int holders;

static void pause_cpu(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

static int go_to_cpu(size_t cpu) {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(cpu, &cpus);
  return sched_setaffinity(0, sizeof cpus, &cpus);
}

static int set_urgent(int on) {
  const struct sched_param param = {.sched_priority = on ? 1 : 0};
  return sched_setscheduler(0, on ? SCHED_FIFO : SCHED_OTHER, &param);
}

static void wait_until(int value) {
  int now;
  while ((now = atomic_load(&holding)) != value) {
    syscall(SYS_futex, &holding, FUTEX_WAIT_PRIVATE, now, NULL, NULL, 0);
  }
}

static void* hold_cpu(void* cpu) {
  if (go_to_cpu((size_t)cpu) != 0) return NULL;
  for (;;) {
    wait_until(1);
    set_urgent(1);
    atomic_fetch_add(&held, 1);
    while (atomic_load_explicit(&holding, memory_order_relaxed) == 1) pause_cpu();
    atomic_fetch_sub(&held, 1);
    set_urgent(0);
  }
}

static void start_holders(size_t own_cpu) {
  cpu_set_t cpus;
  if (sched_getaffinity(0, sizeof cpus, &cpus) != 0) die("sched_getaffinity");
  for (size_t cpu = 0; cpu < CPU_SETSIZE && holders < kMaxHolders; ++cpu) {
    pthread_t thread;
    if (!CPU_ISSET(cpu, &cpus) || cpu == own_cpu) continue;
    if (pthread_create(&thread, NULL, hold_cpu, (void*)cpu) == 0) ++holders;
  }
}

static void stay_undisturbed(int on, int others_too) {
  if (set_urgent(on) != 0 && on) return;
  if (!others_too) return;
  atomic_store(&holding, on);
  syscall(SYS_futex, &holding, FUTEX_WAKE_PRIVATE, kMaxHolders, NULL, NULL, 0);
  while (atomic_load(&held) != (on ? holders : 0)) usleep(100);
}

// ---- the load

static void make_calls(long calls) {
  for (long i = 0; i < calls; ++i) syscall(SYS_getppid);
}

// CPU time: what others do on this CPU meanwhile is not ours.
static double sample_ns(long calls) {
  const int64_t begin = now_ns(CLOCK_THREAD_CPUTIME_ID);
  make_calls(calls);
  return (double)(now_ns(CLOCK_THREAD_CPUTIME_ID) - begin) / (double)calls;
}

static void answer_samples(const char* line) {
  long count = 0;
  long calls = 0;
  long pause_us = 0;
  if (sscanf(line, "%ld %ld %ld", &count, &calls, &pause_us) != 3 || calls <= 0) die("sample");
  const int steady = pause_us == 0;  // else the pauses are for others to run
  stay_undisturbed(1, steady);
  make_calls(calls / 4);  // caches and predictors, not counted
  for (long i = 0; i < count; ++i) {
    if (pause_us > 0) usleep((useconds_t)pause_us);
    printf("%s%.3f", i > 0 ? " " : "", sample_ns(calls));
  }
  stay_undisturbed(0, steady);
  printf("\n");
}

static void answer_run(const char* line) {
  const long calls = atol(line);
  const int64_t begin = now_ns(CLOCK_MONOTONIC);
  make_calls(calls);
  printf("%lld\n", (long long)(now_ns(CLOCK_MONOTONIC) - begin));
}

static void answer_rate(const char* line) {
  const int64_t begin = now_ns(CLOCK_MONOTONIC);
  const int64_t end = begin + atol(line) * 1000000LL;
  int64_t now = begin;
  long calls = 0;
  while (now < end) {
    make_calls(kCallsAtOnce);
    calls += kCallsAtOnce;
    now = now_ns(CLOCK_MONOTONIC);  // no system call: the vDSO answers
  }
  printf("%ld %lld\n", calls, (long long)(now - begin));
}

// ---- run-time figures of programs

static long bpf(int command, union bpf_attr* attr) {
  return syscall(SYS_bpf, command, attr, sizeof *attr);
}

static int open_program(uint32_t id) {
  union bpf_attr attr;
  memset(&attr, 0, sizeof attr);
  attr.prog_id = id;
  const int fd = (int)bpf(BPF_PROG_GET_FD_BY_ID, &attr);
  if (fd < 0) die("BPF_PROG_GET_FD_BY_ID");
  return fd;
}

static struct bpf_prog_info info_of(int fd) {
  struct bpf_prog_info info;
  union bpf_attr attr;
  memset(&info, 0, sizeof info);
  memset(&attr, 0, sizeof attr);
  attr.info.bpf_fd = (uint32_t)fd;
  attr.info.info_len = sizeof info;
  attr.info.info = (uint64_t)(uintptr_t)&info;
  if (bpf(BPF_OBJ_GET_INFO_BY_FD, &attr) != 0) die("BPF_OBJ_GET_INFO_BY_FD");
  return info;
}

static void answer_stats(char* line) {
  int fds[kMaxPrograms];
  struct bpf_prog_info before[kMaxPrograms];
  int count = 0;
  char* word = strtok(line, " ");
  const long calls = word != NULL ? atol(word) : 0;
  while ((word = strtok(NULL, " ")) != NULL && count < kMaxPrograms) {
    fds[count++] = open_program((uint32_t)strtoul(word, NULL, 10));
  }
  union bpf_attr attr;
  memset(&attr, 0, sizeof attr);
  attr.enable_stats.type = BPF_STATS_RUN_TIME;
  const int stats = (int)bpf(BPF_ENABLE_STATS, &attr);
  if (stats < 0) die("BPF_ENABLE_STATS");
  stay_undisturbed(1, 1);
  make_calls(calls / 4);
  for (int i = 0; i < count; ++i) before[i] = info_of(fds[i]);
  make_calls(calls);
  for (int i = 0; i < count; ++i) {
    const struct bpf_prog_info after = info_of(fds[i]);
    printf("%s%llu %llu", i > 0 ? " " : "", (unsigned long long)(after.run_cnt - before[i].run_cnt),
           (unsigned long long)(after.run_time_ns - before[i].run_time_ns));
    close(fds[i]);
  }
  stay_undisturbed(0, 1);
  close(stats);
  printf("\n");
}

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: driver CPU\n");
    return 2;
  }
  const size_t cpu = (size_t)atol(argv[1]);
  start_holders(cpu);
  if (go_to_cpu(cpu) != 0) die("sched_setaffinity");
  setpriority(PRIO_PROCESS, 0, -20);  // fewer interruptions; without the right for it, more of them
  char line[kLine];
  while (fgets(line, sizeof line, stdin) != NULL) {
    line[strcspn(line, "\n")] = '\0';
    if (strncmp(line, "sample ", 7) == 0) {
      answer_samples(line + 7);
    } else if (strncmp(line, "run ", 4) == 0) {
      answer_run(line + 4);
    } else if (strncmp(line, "rate ", 5) == 0) {
      answer_rate(line + 5);
    } else if (strncmp(line, "stats ", 6) == 0) {
      answer_stats(line + 6);
    } else if (strcmp(line, "pid") == 0) {
      printf("%d\n", (int)getpid());
    } else {
      fprintf(stderr, "driver: what is '%s'?\n", line);
      return 2;
    }
    fflush(stdout);
  }
  return 0;
}
