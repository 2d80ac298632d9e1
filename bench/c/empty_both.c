// The floor of what has two ends: empty programs on entry and exit of every system call.
#include "common.h"

SEC("raw_tp/sys_enter")
int on_enter(struct bpf_raw_tracepoint_args* ctx) { return 0; }

SEC("raw_tp/sys_exit")
int on_exit(struct bpf_raw_tracepoint_args* ctx) { return 0; }
