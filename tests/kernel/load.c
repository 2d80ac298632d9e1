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
//   steps N                  N calls of probed_steps, probed_lock, probed_fills
//   chain N                 N calls of chain_outer, which calls chain_middle, which calls
//   chain_inner, which
//                            makes a getppid
//   deep N                   N such chains of deep_calls.c, without frame pointers; `deep:wide`
//                            takes 20 000 bytes of stack
//   spin N                   for N milliseconds 3 parts of the time in spin_three, 7 in spin_seven
//   text:WORD N              N calls of probed_text(WORD, r), i from 1; r: {i, -i, i / 4, WORD}
//   typed:plain N            N calls of typed_plain(-i, …) and typed_word_plain(i), not optimised
//   typed:fast N             the same of typed_fast and typed_word_fast, optimised; typed_calls.c
//   mark N                   N times the markers of call_marks(i), i from 1 (x86-64 and arm64)
//   touch N                  writes to N fresh pages
//   poke N                   N writes of 8 bytes at 0x10000000, of 4 at 0x10000080, and to the
//                            variables poked, poked_half and poked_times
//   kill:S N                 sends itself the signal S (0 alone does nothing)
//   stat:PATH N              newfstatat
//   tcp:BYTES N              N connections to itself by 127.0.0.1, which carry so many bytes;
//                            brings `lo` up
//   unix:BYTES N             N pairs of local sockets, which carry so many bytes
//   disk:PATH N              N writes of 4096 bytes past the page cache to a new file, fsync,
//                            unlink
//   file:PATH N              the same through the page cache
//   loop N                   N reads of 4096 bytes past the page cache from a loop device (this
//                            and the next three in guests alone, with modules: devices.h)
//   raid N                   N calls of fsync on a RAID of RAM disks
//   swap N                   N pages are read back from swap
//   hungry N                 N children are killed for want of memory
//   fsync N                  N calls on descriptor -1 (EBADF)
//   exec N                   N times a child that becomes this program, with nothing to do
//   comm:NAME 1              prctl: the thread's name
//   sleep N                  N milliseconds, in one clock_nanosleep
//   wait 1                   reads one byte of standard input
//   threads N                what follows is done by N threads at once
//   cpus N                   the same, each on a CPU of its own, and starting together
//   leave 1                  what follows is done by another thread; the first ends
//   fork N                   what follows is done by N children, one after the other
//   orphan N                 what follows is done by N children that outlive the load by 200 ms
//   user N                   becomes user N (root)
//   exit N                   ends with status N
#define _GNU_SOURCE
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "deep_calls.h"
#include "devices.h"
#include "typed_calls.h"

#ifndef SYS_newfstatat  // 32-bit machines
#define SYS_newfstatat SYS_fstatat64
#endif

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
long probed_half_again(long a, long b) __attribute__((alias("probed_half")));
#if defined(__x86_64__)
/// Instructions at +0, +3 and +9; functions that begin with what uprobes refuse or mistake.
__asm__(
    ".text\n"
    ".globl probed_steps, probed_vector, probed_lock, probed_fills\n"
    ".type probed_fills, @function\n"
    ".type probed_steps, @function\n"
    ".type probed_vector, @function\n"
    ".type probed_lock, @function\n"
    "probed_steps: mov %rdi, %rax; add $0x12345678, %rax; ret\n"
    ".size probed_steps, . - probed_steps\n"
    "probed_vector: vmovd %xmm0, %eax; ret\n"
    ".size probed_vector, . - probed_vector\n"
    "probed_lock: lock incq (%rdi); ret\n"
    ".size probed_lock, . - probed_lock\n"
    "probed_fills: vxorps %xmm0, %xmm0, %xmm0; mov %rdi, %rax; ret\n"
    ".size probed_fills, . - probed_fills\n");
long probed_fills(long a);
long probed_steps(long a);
void probed_vector(void);
void probed_lock(long* a);
#elif defined(__arm__)
/// Begins with what uprobes refuse.
__asm__(
    ".text\n"
    ".arm\n"
    ".fpu vfpv3\n"
    ".globl probed_vector\n"
    ".type probed_vector, %function\n"
    "probed_vector: vmov s0, r0; bx lr\n"
    ".size probed_vector, . - probed_vector\n");
#endif
/// Laid out the same where a pointer has 4 bytes and where it has 8.
struct record {
  int64_t number;
  int negative;
  unsigned bits : 3, others : 5;
  _Alignas(8) const char* word;
  _Alignas(8) struct record* self;
};
long probed_number = 5;
__attribute__((noinline, noclone)) long probed_text(const char* word, struct record* record) {
  __asm__ volatile("" : : "r"(record) : "memory");  // all of the record is there
  probed_number = (long)record->number;
  return word[0];
}
static volatile long sum;

/// Known frames: the system call stands in chain_inner itself, which has a frame since it calls.
__attribute__((noinline, noclone)) static long chain_inner(void) {
#if defined(__x86_64__)
  long result;
  __asm__ volatile("syscall" : "=a"(result) : "a"((long)SYS_getppid) : "rcx", "r11", "memory");
#elif defined(__aarch64__)
  register long number __asm__("x8") = SYS_getppid;
  register long result __asm__("x0");
  __asm__ volatile("svc 0" : "=r"(result) : "r"(number) : "memory");
#else
  long result = syscall(SYS_getppid);
#endif
  return probed_twice(result) + 1;
}
__attribute__((noinline, noclone)) static long chain_middle(void) { return chain_inner() + 1; }
__attribute__((noinline, noclone)) static long chain_outer(void) { return chain_middle() + 1; }

/// Bound by the multiplication's latency: where the loop lies in memory does not change its speed.
static inline __attribute__((always_inline)) void spin_for(long rounds) {
  unsigned long x = 1;
  for (long i = 0; i < rounds; ++i) {
    x = x * 2862933555777941757UL + (unsigned long)i;
    __asm__ volatile("" : "+r"(x));
  }
}
__attribute__((noinline, noclone)) static void spin_three(void) { spin_for(30000); }
__attribute__((noinline, noclone)) static void spin_seven(void) { spin_for(70000); }

static void spin(long ms) {
  struct timespec now, end;
  clock_gettime(CLOCK_MONOTONIC, &end);
  end.tv_sec += ms / 1000;
  end.tv_nsec += ms % 1000 * 1000000;
  do {
    spin_three();
    spin_seven();
    clock_gettime(CLOCK_MONOTONIC, &now);
  } while ((now.tv_sec - end.tv_sec) * 1000000000L + (now.tv_nsec - end.tv_nsec) < 0);
}

static void call_text(const char* word, long number) {
  for (long i = 1; i <= number; ++i) {
    struct record record = {i, (int)-i, (unsigned)i & 7, (unsigned)i / 4, word, &record};
    record.self = &record;
    sum += probed_text(word, &record);
  }
}

static void call_functions(const char* verb, const char* detail, long number) {
  for (long i = 1; i <= number; ++i)
    sum += verb[0] == 'h' ? probed_half(i, detail ? atol(detail) : 0) : probed_twice(i);
}

#if defined(__x86_64__) || defined(__aarch64__)
/// A marker as sys/sdt.h writes it: a nop, and a note of its address, that of .stapsdt.base, that
/// of its semaphore, its names and where its arguments are.
#define MARK(name, semaphore, arguments)                                                     \
  "990: nop\n"                                                                               \
  ".pushsection .note.stapsdt, \"?\", \"note\"\n.balign 4\n.4byte 992f-991f, 994f-993f, 3\n" \
  "991: .asciz \"stapsdt\"\n992: .balign 4\n"                                                \
  "993: .8byte 990b, _.stapsdt.base, " semaphore                                             \
  "\n"                                                                                       \
  ".asciz \"load\", \"" name "\", \"" arguments                                              \
  "\"\n"                                                                                     \
  "994: .balign 4\n.popsection\n"
__asm__(
    ".pushsection .stapsdt.base, \"aG\", \"progbits\", .stapsdt.base, comdat\n"
    ".weak _.stapsdt.base\n.hidden _.stapsdt.base\n_.stapsdt.base: .space 1\n"
    ".size _.stapsdt.base, 1\n.popsection\n");
__attribute__((used, section(".probes"))) volatile unsigned short load_guarded_semaphore;

#ifdef __x86_64__
#define FIRST_PLACE "8@%0 -4@4(%1) -4@(%1,%2,4) -1@$-2"
#define SECOND_PLACE "8@$100 -4@%k0 1@%b0 -1@%h0"
#define MEMORY "-4@(%1) 8@%%xmm0"
#define GUARDED "-2@%w0 4@%k0"
#define VALUE "a"
#else
#define FIRST_PLACE "8@%0 -4@[%1, 4] -4@[%1, %2, lsl 2] -1@-2"
#define SECOND_PLACE "8@100 -4@%w0 1@%w0 -1@-1"
#define MEMORY "-4@[%1] 8@d0"
#define GUARDED "-2@%w0 4@%w0"
#define VALUE "r"
#endif

/// `places` stands at two places; `guarded` is passed where its semaphore counts somebody.
static void call_marks(long number) {
  int pair[4] = {(int)-number, 7, 8, (int)number};
  const long last = 3;
  __asm__ volatile(MARK("places", "0", FIRST_PLACE) MARK("memory", "0", MEMORY)
                   :
                   : "r"(number), "r"(pair), "r"(last)
                   : "memory");
  __asm__ volatile(MARK("places", "0", SECOND_PLACE) : : VALUE(-number) : "memory");
  if (load_guarded_semaphore != 0)
    __asm__ volatile(MARK("guarded", "load_guarded_semaphore", GUARDED)
                     :
                     : "r"(-number)
                     : "memory");
}
#else
static void call_marks(long number) {
  (void)number;
  die("mark", "x86-64 and arm64 alone");
}
#endif

volatile long poked;  // variables for breakpoints: poke writes them
static volatile short poked_half;

static void poke(long writes) {
  volatile long* at = mmap((void*)0x10000000, 4096, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  if (at == MAP_FAILED) die("poke", "mmap");
  volatile int* half = (volatile int*)(at + 16);
  static volatile int poked_times __attribute__((used));
  for (long i = 1; i <= writes; ++i) {
    *at = i;
    *half = (int)i;
    poked = i;
    poked_half = (short)i;
    poked_times = (int)i;
  }
}

static void touch_pages(long number) {
  const long page = sysconf(_SC_PAGESIZE);
  char* memory = mmap(NULL, (size_t)(number * page), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) die("mmap", "failed");
  madvise(memory, (size_t)(number * page), MADV_NOHUGEPAGE);
  for (long i = 0; i < number; ++i) memory[i * page] = 1;
}

static void raise_loopback(int socket) {
  struct ifreq request = {0};
  strcpy(request.ifr_name, "lo");
  if (ioctl(socket, SIOCGIFFLAGS, &request) != 0) die("lo", "not there");
  if ((request.ifr_flags & IFF_UP) != 0) return;
  request.ifr_flags = (short)(request.ifr_flags | IFF_UP | IFF_RUNNING);
  if (ioctl(socket, SIOCSIFFLAGS, &request) != 0) die("lo", "cannot be brought up");
}

static void carry(int from, int to, long bytes) {
  static char data[65536];
  if (bytes < 1 || bytes > (long)sizeof data) die("bytes", "1 to 65536");
  if (write(from, data, (size_t)bytes) != bytes) die("write", "failed");
  for (long got = 0; got < bytes;) {
    const long one = read(to, data, sizeof data);
    if (one <= 0) die("read", "failed");
    got += one;
  }
}

/// A socket that listens at 127.0.0.1, and its address.
static int listening(struct sockaddr_in* address, int backlog) {
  socklen_t length = sizeof *address;
  struct sockaddr* const name = (struct sockaddr*)address;
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  raise_loopback(listener);
  *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  if (bind(listener, name, length) != 0 || listen(listener, backlog) != 0 ||
      getsockname(listener, name, &length) != 0)
    die("tcp", "failed");
  return listener;
}

/// A connection that carries so many bytes; with 0 the end that is left sends to the one that is
/// closed.
static void tcp_connection(long bytes) {
  struct sockaddr_in address;
  const int listener = listening(&address, 1);
  const int client = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(client, (struct sockaddr*)&address, sizeof address) != 0) die("connect", "failed");
  const int server = accept(listener, NULL, NULL);
  if (bytes > 0) carry(client, server, bytes);
  close(client);
  if (bytes == 0) send(server, "late", 4, MSG_NOSIGNAL);
  close(server);
  close(listener);
}

static void full_backlog(long more) {
  struct sockaddr_in address;
  listening(&address, 0);
  for (long i = 0; i <= more; ++i)
    connect(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), (struct sockaddr*)&address,
            sizeof address);
  sleep_ms(1500);
}

static void local_sockets(long bytes) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) die("socketpair", "failed");
  carry(ends[0], ends[1], bytes);
  close(ends[0]);
  close(ends[1]);
}

static void write_file(const char* path, int flags, long writes) {
  char* block = aligned_alloc(4096, 4096);
  const int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | flags, 0600);
  if (block == NULL || file < 0) die("file", path);
  memset(block, 1, 4096);
  for (long i = 0; i < writes; ++i)
    if (write(file, block, 4096) != 4096) die("file", "write");
  fsync(file);
  unlink(path);
}

static void become_itself(void) {
  const pid_t child = fork();
  if (child == 0) {
    char* const words_of_it[] = {"load", NULL};
    execv("/proc/self/exe", words_of_it);
    _exit(126);
  }
  waitpid(child, NULL, 0);
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
  } else if (strcmp(verb, "bytes") == 0) {
    syscall(SYS_write, -1, "ab\0cd\377\0z", 8);
  } else if (strcmp(verb, "writeout") == 0) {
    syscall(SYS_write, 1, "", 0);
  } else if (strcmp(verb, "close") == 0) {
    syscall(SYS_close, fd);
  } else if (strcmp(verb, "fsync") == 0) {
    syscall(SYS_fsync, fd);
  } else if (strcmp(verb, "openat") == 0) {
    syscall(SYS_openat, AT_FDCWD, detail ? detail : "/ktap-load-none", O_RDONLY, 0);
  } else if (strcmp(verb, "kill") == 0) {
    syscall(SYS_kill, getpid(), detail ? atol(detail) : 0);
  } else if (strcmp(verb, "stat") == 0) {
    struct stat found;
    syscall(SYS_newfstatat, AT_FDCWD, detail ? detail : "/", &found, 0);
  } else if (strcmp(verb, "tcp") == 0) {
    tcp_connection(detail ? atol(detail) : 1);
  } else if (strcmp(verb, "aborted") == 0) {
    tcp_connection(0);
  } else if (strcmp(verb, "unix") == 0) {
    local_sockets(detail ? atol(detail) : 1);
  } else if (strcmp(verb, "exec") == 0) {
    become_itself();
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

static void* last_main(void* pairs) {
  perform(pairs);
  _exit(0);
}

/// The thread alone ends, not the process.
static void leave(char** pairs) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, last_main, pairs) != 0) die("pthread_create", "failed");
  syscall(SYS_exit, 0);
}

static void fork_children(int are_orphans, long count, char** pairs) {
  for (long i = 0; i < count; ++i) {
    const pid_t child = fork();
    if (child < 0) die("fork", "failed");
    if (child == 0) {
      if (are_orphans) sleep_ms(200);
      perform(pairs);
      _exit(0);
    }
    if (!are_orphans) waitpid(child, NULL, 0);
  }
}

/// What is done at once; false where the verb is a single call.
static int did_at_once(const char* verb, const char* detail, long number) {
  if (strcmp(verb, "half") == 0 || strcmp(verb, "twice") == 0) {
    call_functions(verb, detail, number);
  } else if (strcmp(verb, "deep") == 0) {
    volatile long count = 0;
    for (long i = 0; i < number; ++i) sum += detail ? deep_wide(&count) : deep_outer(&count);
  } else if (strcmp(verb, "chain") == 0) {
    for (long i = 0; i < number; ++i) sum += chain_outer();
  } else if (strcmp(verb, "spin") == 0) {
    spin(number);
#if defined(__x86_64__)
  } else if (strcmp(verb, "steps") == 0) {
    for (long i = 0; i < number; ++i) {
      long locked = i;
      probed_lock(&locked);
      const int has_avx = __builtin_cpu_supports("avx");
      if (probed_steps(i) != i + 0x12345678 || locked != i + 1 || (has_avx && probed_fills(i) != i))
        die("wrong result", verb);
    }
#endif
  } else if (strcmp(verb, "text") == 0) {
    call_text(detail ? detail : "", number);
  } else if (strcmp(verb, "typed") == 0) {
    call_typed(detail ? detail : "", number);
  } else if (strcmp(verb, "mark") == 0) {
    for (long i = 1; i <= number; ++i) call_marks(i);
  } else if (strcmp(verb, "touch") == 0) {
    touch_pages(number);
  } else if (strcmp(verb, "backlog") == 0) {
    full_backlog(number);
  } else if (strcmp(verb, "disk") == 0 || strcmp(verb, "file") == 0) {
    write_file(detail ? detail : "ktap-load-file", verb[0] == 'd' ? O_DIRECT : 0, number);
  } else if (strcmp(verb, "loop") == 0) {
    loop_reads(number);
  } else if (strcmp(verb, "raid") == 0) {
    raid_flushes(number);
  } else if (strcmp(verb, "swap") == 0) {
    swap_reads(number);
  } else if (strcmp(verb, "hungry") == 0) {
    want_memory(number);
  } else if (strcmp(verb, "poke") == 0) {
    poke(number);
  } else if (strcmp(verb, "sleep") == 0) {
    sleep_ms(number);
  } else {
    return 0;
  }
  return 1;
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
    if (strcmp(verb, "leave") == 0) leave(pairs + 2);
    if (strcmp(verb, "fork") == 0 || strcmp(verb, "orphan") == 0) {
      fork_children(verb[0] == 'o', number, pairs + 2);
      return;
    }
    if (strcmp(verb, "user") == 0) {
#ifdef SYS_setresuid32
      const long call = SYS_setresuid32;  // the other one takes users of 16 bits
#else
      const long call = SYS_setresuid;
#endif
      if (syscall(call, number, number, number) != 0) die("setresuid", "failed");
      continue;
    }
    if (strcmp(verb, "exit") == 0) _exit((int)number);
    if (strcmp(verb, "spread") == 0) {
      spread_calls(detail ? atol(detail) : 0, number);
      continue;
    }
    if (did_at_once(verb, detail, number)) continue;
    for (long i = 0; i < number; ++i) one_call(verb, detail);
  }
}

int main(int argc, char** argv) {
  (void)argc;
  perform(argv + 1);
  _exit(0);
}
