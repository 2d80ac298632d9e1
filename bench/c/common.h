// What the C programs of the comparison share: the kernel's types, as far as they are read here
// (libbpf moves the offsets to the running kernel's), and the headers of libbpf.
#pragma once
#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

typedef __u8 u8;
typedef __u32 u32;
typedef __u64 u64;
typedef __s64 s64;

enum { kMaxCalls = 512, kBuckets = 64, kCommBytes = 16, kEntries = 10240 };

char LICENSE[] SEC("license") = "GPL";

/// floor(log2(value)), 0 for 0; what the histogram tools of libbpf's own examples do.
static __always_inline u64 log2_of(u64 value) {
  u64 r = 0;
  u64 shift = 0;
  r = (value > 0xffffffff) << 5;
  value >>= r;
  shift = (value > 0xffff) << 4;
  value >>= shift;
  r |= shift;
  shift = (value > 0xff) << 3;
  value >>= shift;
  r |= shift;
  shift = (value > 0xf) << 2;
  value >>= shift;
  r |= shift;
  shift = (value > 0x3) << 1;
  value >>= shift;
  r |= shift;
  return r | (value >> 1);
}
