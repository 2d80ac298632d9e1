// How long system calls take: start times by thread in a hash map, a histogram in a per-CPU array.
#include "common.h"

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, kEntries);
  __type(key, u32);
  __type(value, u64);
} starts SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, kBuckets);
  __type(key, u32);
  __type(value, u64);
} buckets SEC(".maps");

SEC("raw_tp/sys_enter")
int on_enter(struct bpf_raw_tracepoint_args* ctx) {
  const u32 tid = bpf_get_current_pid_tgid();
  const u64 now = bpf_ktime_get_ns();
  bpf_map_update_elem(&starts, &tid, &now, BPF_ANY);
  return 0;
}

SEC("raw_tp/sys_exit")
int on_exit(struct bpf_raw_tracepoint_args* ctx) {
  const u32 tid = bpf_get_current_pid_tgid();
  const u64* start = bpf_map_lookup_elem(&starts, &tid);
  if (!start) return 0;
  const u32 bucket = log2_of(bpf_ktime_get_ns() - *start);
  u64* count = bpf_map_lookup_elem(&buckets, &bucket);
  if (count) ++*count;
  bpf_map_delete_elem(&starts, &tid);
  return 0;
}
