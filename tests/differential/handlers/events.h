// What happens while a generated script traces: system calls made by hand, with their arguments,
// and beats of its ticks. A script says it itself, in comments, so that it can be judged again from
// its text alone:
//   #on: enter openat -100 path:2 0 438     arguments: numbers, path:N a string of ours, bad an
//   #on: exit close -9                      address that cannot be read; kernel:N the same in the
//                                           kernel
//   #on: tick                               the tick handlers run
//   #on: thread 1                           another thread makes the calls that follow
//   #on: cpu 1                              they are made on another CPU
// and how ktap is called: `#strict` as with --strict, `#only cpu 1` as with -C 1; `#live`: handlers
// stay armed while ticks run, as they do in the product.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "schema/event.h"

namespace ktap::differential {

struct Happening {
  enum class Kind : uint8_t { Enter, Exit, Tick, Thread, Cpu } kind = Kind::Tick;
  schema::EventPtr event;  ///< of Enter and Exit, else null
  uint64_t words[7] =
      {};  ///< the number, then six arguments or the result; of Thread and Cpu: which
};

/// The happenings of a script, in order. Lines that do not parse are left out.
/// `kernel_paths` is where the kernel finds the strings. `attached`: as they are when the calls are
/// made in earnest. The numbers of ours are of no system call: each enters and gives -ENOSYS.
std::vector<Happening> happenings_of(const std::string& script, uint64_t kernel_paths,
                                     bool attached);

/// Our own events that an event text matches ("syscalls:sys_enter_*"), in a fixed order.
std::vector<schema::EventPtr> match_events(std::string_view event_text);

/// What `path:N` points to.
const std::vector<std::string>& paths();
/// Its bytes, which lie in this process for its whole life, NUL included.
std::string_view path_memory(size_t number);
/// All of them one behind the other, NUL included, and where each begins.
std::string joined_paths();
size_t joined_offset(size_t number);

}  // namespace ktap::differential
