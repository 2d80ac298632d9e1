// Flame graphs: a table whose keys are stacks, or multi-keys with stacks in them, as paths of
// frames from the outermost on, each with its count. Two forms: folded text (the lines that
// flame graph tools read), and a picture (flame_svg.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/stack.h"
#include "runtime/table.h"

namespace ktap::output {

enum class FrameKind : uint8_t {
  Part,     ///< a part of the key that is no stack: a process's name, an event
  Program,  ///< user code of the program itself, or made at run time
  Library,  ///< user code of a shared library
  Kernel,
  Unknown,  ///< user code that nobody can name
};

struct Frame {
  std::string name;   ///< "vfs_read", "[libc.so.6]" of an address without a name
  std::string place;  ///< the file or module, "" when it is none
  FrameKind kind = FrameKind::Part;
  bool is_inlined = false;  ///< into the frame below; its place says so, too
};

/// Of a frame of a stack; what differs within a function is dropped, so that its addresses are one.
Frame frame_of(const runtime::StackFrame& from, bool is_user);

struct Flame {
  struct Path {
    std::vector<uint32_t> frames;  ///< into `frames`, the outermost first
    uint64_t count = 0;
  };
  std::vector<Frame> frames;  ///< ordered by name, place, kind
  std::vector<Path> paths;    ///< ordered by their frames, each once
  uint64_t total = 0;         ///< stays at its greatest where a sum would wrap
};

/// Counts that are 0 or less are left out. A user stack is put below a kernel stack of the same
/// key, whichever comes first there. False and `error` where a value is no integer.
bool read_flame(const runtime::Table& table, Flame* flame, std::string* error);

/// `outermost;…;innermost COUNT` lines in byte order; kernel frames end in `_[k]`, inlined ones
/// in `_[i]`, as perf's folding tool marks them. A `;` within a name is a `:`.
std::string folded_text(const Flame& flame);

}  // namespace ktap::output
