// The part of the load that is compiled with debug information: the same function twice, as -O0 and
// as -O2 make it. Nothing else of the load has any, so that its other functions have no names of
// arguments.
#include "typed_calls.h"

#include <stdbool.h>
#include <string.h>

#ifdef __clang__
#define NOT_OPTIMISED __attribute__((optnone))
#else
#define NOT_OPTIMISED __attribute__((optimize("O0")))
#endif

enum color { RED, GREEN = 7, BLUE = -2 };
struct inner {
  int a;
  unsigned b : 3;
  int c : 5;
  char name[8];
};
struct outer {
  struct inner in;
  struct inner* p;
  const char* text;
  enum color color;
  union {
    long whole;
    char bytes[8];
  };
  short grid[2][3];
};

#define TYPED(which, how)                                                                         \
  how __attribute__((noinline, noclone)) int typed_##which(                                       \
      int a, const char* s, struct outer* o, double d, unsigned char small, long six, long seven, \
      short eight, enum color nine) {                                                             \
    __asm__ volatile("" : : "r"(o) : "memory");                                                   \
    return a + (s ? s[0] : 0) + (o ? o->in.a : 0) + (int)d + small + (int)(six + seven) + eight + \
           (int)nine;                                                                             \
  }                                                                                               \
  how __attribute__((noinline, noclone)) const char* typed_word_##which(long n) {                 \
    __asm__ volatile("" : : "r"(n) : "memory");                                                   \
    return n % 2 ? "odd" : n == 4 ? 0 : "even";                                                   \
  }

TYPED(plain, NOT_OPTIMISED)
TYPED(fast, )

/// Results that are no value of the language.
__attribute__((noinline, noclone)) void typed_nothing(long n) {
  __asm__ volatile("" : : "r"(n) : "memory");
}
__attribute__((noinline, noclone)) double typed_half(long n) {
  // Not first an instruction of the float unit: on 32-bit arm uprobes refuse it.
  __asm__ volatile("nop" : "+r"(n) : : "memory");
  return (double)n / 2;
}

/// Without arguments, and with one that stands behind what takes no register of such.
__attribute__((noinline, noclone)) void takes_none(void) { __asm__ volatile("" : : : "memory"); }
__attribute__((noinline, noclone)) long takes_behind(long double wide, long n) {
  __asm__ volatile("" : "+r"(n) : : "memory");
  return wide > 0 ? n : -n;
}

/// Booleans in a register, in memory and as the result.
__attribute__((noinline, noclone)) bool odd_one(bool in_register, int b, int c, int d, int e, int f,
                                                int g, int h, bool in_memory) {
  __asm__ volatile("" : : "r"(b + c + d + e + f + g + h) : "memory");
  return in_register && !in_memory;
}

void call_typed(const char* which, long number) {
  struct inner inner = {5, 6, -3, "seven"};
  struct outer outer = {{1, 2, 3, "four"}, &inner, "a text", BLUE, {77}, {{1, 2, 3}, {4, 5, 6}}};
  for (long i = 1; i <= number; ++i) {
    typed_nothing(i);
    takes_none();
    if (takes_behind(1, i) != i) return;
    if (typed_half(i) < 0) return;
    odd_one(i % 2 == 1, 2, 3, 4, 5, 6, 7, 8, i % 2 == 0);
    outer.in.a = (int)i;
    struct outer* o = i == 3 ? 0 : &outer;
    if (strcmp(which, "plain") == 0) {
      typed_plain((int)-i, "hello", o, 1.5, (unsigned char)(200 + i), 6, 70 + i, -8, GREEN);
      typed_word_plain(i);
    } else {
      typed_fast((int)-i, "hello", o, 1.5, (unsigned char)(200 + i), 6, 70 + i, -8, GREEN);
      typed_word_fast(i);
    }
  }
}
