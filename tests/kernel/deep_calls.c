// A chain of calls without frame pointers, compiled with debug information and optimisation: what
// ustack("dwarf") finds its way through. deep_helped() is inlined.
#define _GNU_SOURCE
#include "deep_calls.h"

#include <sys/syscall.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, noclone))

static inline __attribute__((always_inline)) long deep_helped(volatile long* n) {
  *n += 1;
  return syscall(SYS_getppid);
}

NOINLINE long deep_inner(volatile long* n) {
  volatile char room[100];
  room[*n % 50] = 1;
  return deep_helped(n) + room[0];
}
NOINLINE long deep_middle(volatile long* n) {
  volatile char room[700];
  room[*n % 50] = 1;
  return deep_inner(n) + room[1];
}
NOINLINE long deep_outer(volatile long* n) { return deep_middle(n) + 1; }

/// More than is copied of a stack.
NOINLINE long deep_wide(volatile long* n) {
  volatile char room[20000];
  room[*n % 50] = 1;
  return deep_inner(n) + room[1];
}
