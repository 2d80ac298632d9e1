// Rows of `ktap doctor` that take more than loading two instructions: each does what a script would
// do, for a moment, and gives what it found or why not.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "bpf/insn.h"
#include "bpf/program.h"
#include "sys/unique_fd.h"

namespace ktap::session {

using Found = Result<std::string>;

/// A kernel function that every kernel has.
constexpr const char* kTriedFunction = "vfs_read";

/// Loads `code` with `return 0` behind it.
Result<sys::UniqueFd> load_trial(bpf::ProgramKind kind, std::vector<bpf::Insn> code = {},
                                 uint32_t btf_id = 0);

/// Does nothing: probes are set on it. On 32-bit ARM it is ARM code, whatever the rest of ktap is:
/// Linux sets no uprobes on Thumb.
#ifdef __arm__
[[gnu::target("arm")]]
#endif
void probed_function();
/// Where in our own file what stands at the address lies. Source: /proc/self/maps.
Result<uint64_t> file_offset(uintptr_t address);

/// fentry: a program of one function's own.
Found try_trampoline();
Found try_function_trace();
/// A place with a semaphore in our own file, which the kernel then counts up in our own memory.
Found try_markers();
Found try_memory_of_process();
Found try_memory_of_kernel();
Found try_write_user();
Found try_signal();
Found try_override();
/// A system call that no kernel has, in whose event the helper is called.
Found try_cgroup();

}  // namespace ktap::session
