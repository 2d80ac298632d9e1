// Counts system calls by the thread's name in a per-CPU hash map.
#include "common.h"

struct name {
  char text[kCommBytes];
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
  __uint(max_entries, kEntries);
  __type(key, struct name);
  __type(value, u64);
} counts SEC(".maps");

SEC("raw_tp/sys_enter")
int on_enter(struct bpf_raw_tracepoint_args* ctx) {
  struct name name;
  const u64 one = 1;
  bpf_get_current_comm(name.text, sizeof name.text);
  u64* count = bpf_map_lookup_elem(&counts, &name);
  if (count) {
    ++*count;
  } else {
    bpf_map_update_elem(&counts, &name, &one, BPF_NOEXIST);
  }
  return 0;
}
