// Counts what passes several conditions: a range of numbers, two of them left out, the thread's
// name.
#include "common.h"

u64 total = 0;

/// The name is `driver`. Compared in place: the helper for it (5.17) is a call.
static __always_inline int is_driver(const char* name) {
  const char wanted[] = "driver";
#pragma unroll
  for (unsigned i = 0; i < sizeof wanted; ++i) {
    if (name[i] != wanted[i]) return 0;
  }
  return 1;
}

SEC("raw_tp/sys_enter")
int on_enter(struct bpf_raw_tracepoint_args* ctx) {
  const s64 number = ctx->args[1];
  char name[kCommBytes];
  if (number < 100 || number > 200 || number == 150 || number == 151) return 0;
  bpf_get_current_comm(name, sizeof name);
  if (!is_driver(name)) return 0;
  __sync_fetch_and_add(&total, 1);
  return 0;
}
