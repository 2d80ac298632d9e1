// 64 rounds of arithmetic and branches over the number of the call; the sum goes to a variable.
#include "common.h"

enum { kRounds = 64 };

s64 total = 0;

SEC("raw_tp/sys_enter")
int on_enter(struct bpf_raw_tracepoint_args* ctx) {
  s64 x = ctx->args[1];
  s64 sum = 0;
  for (s64 i = 1; i <= kRounds; ++i) {
    x = x * 5 + i;
    if (x & 1) {
      sum += x & 255;
    } else {
      sum ^= x >> 3;
    }
    if (sum > 1000000) sum -= 999999;
  }
  __sync_fetch_and_add(&total, sum);
  return 0;
}
