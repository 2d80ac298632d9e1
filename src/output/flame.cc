// See flame.h. Frames are numbered in their order, so that sorting the paths by numbers puts those
// with a common beginning side by side: what draws them needs no search tree.
#include "output/flame.h"

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "base/printable.h"
#include "runtime/stack.h"
#include "runtime/text.h"
#include "runtime/tuple.h"

namespace ktap::output {
namespace {

using runtime::Stack;
using runtime::Type;
using runtime::Value;

bool starts_with(std::string_view text, std::string_view head) {
  return text.substr(0, head.size()) == head;
}

/// "/usr/lib/libc.so.6", "ld-linux-x86-64.so.2", "[vdso]".
bool is_library(std::string_view file) {
  const size_t at = file.find(".so");
  if (at != std::string_view::npos && (at + 3 == file.size() || file[at + 3] == '.')) return true;
  return file == "[vdso]";
}

uint64_t add_saturated(uint64_t a, uint64_t b) { return a > UINT64_MAX - b ? UINT64_MAX : a + b; }

class Reader {
 public:
  explicit Reader(Flame& flame) : flame_(flame) {}

  void add(Value key, uint64_t count) {
    Flame::Path path;
    path.count = count;
    if (key.type == Type::Tuple) {
      add_parts(*key.tuple(), path);
    } else {
      add_part(key, path);
      if (path.frames.empty()) add_no_frames(path, 0);
    }
    flame_.total = add_saturated(flame_.total, count);
    flame_.paths.push_back(std::move(path));
  }

  void finish() {
    put_frames_in_order();
    auto& paths = flame_.paths;
    std::sort(paths.begin(), paths.end(),
              [](const auto& a, const auto& b) { return a.frames < b.frames; });
    size_t kept = 0;
    for (size_t i = 0; i < paths.size(); ++i) {
      if (kept > 0 && paths[kept - 1].frames == paths[i].frames) {
        paths[kept - 1].count = add_saturated(paths[kept - 1].count, paths[i].count);
      } else {
        if (kept != i) paths[kept] = std::move(paths[i]);
        ++kept;
      }
    }
    paths.resize(kept);
  }

 private:
  void add_parts(const runtime::Tuple& tuple, Flame::Path& path) {
    std::vector<Value> parts(tuple.parts(), tuple.parts() + tuple.size());
    const auto is_stack = [](Value part, bool user) {
      return part.type == Type::Stack && part.stack()->is_user() == user;
    };
    const auto kernel =
        std::find_if(parts.begin(), parts.end(), [&](Value p) { return is_stack(p, false); });
    const auto user =
        std::find_if(parts.begin(), parts.end(), [&](Value p) { return is_stack(p, true); });
    if (user != parts.end() && kernel < user) std::iter_swap(kernel, user);
    // What runs in the program has no frames of the kernel: those are nothing beside its own.
    std::optional<size_t> empty;  // where the first stack without frames stands in the path
    bool has_frames = false;
    for (const Value part : parts) {
      const size_t before = path.frames.size();
      add_part(part, path);
      if (part.type != Type::Stack) continue;
      const bool is_empty = path.frames.size() == before;
      has_frames = has_frames || !is_empty;
      if (is_empty && !empty) empty = before;
    }
    if (empty && !has_frames) add_no_frames(path, *empty);
  }

  void add_no_frames(Flame::Path& path, size_t at) {
    path.frames.insert(path.frames.begin() + static_cast<ptrdiff_t>(at),
                       number(Frame{"[no frames]", "", FrameKind::Unknown}));
  }

  /// Of a stack without frames nothing.
  void add_part(Value part, Flame::Path& path) {
    if (part.type != Type::Stack) {
      path.frames.push_back(number(Frame{printable(runtime::to_text(part)), "", FrameKind::Part}));
      return;
    }
    const Stack& stack = *part.stack();
    const std::vector<runtime::StackFrame> frames = runtime::stack_frames(stack);
    auto& known = known_[stack.is_user() ? 1 : 0];
    for (auto frame = frames.rbegin(); frame != frames.rend(); ++frame) {
      const auto [at, is_new] = known.try_emplace(frame->text, 0);
      if (is_new) at->second = number(frame_of(*frame, stack.is_user()));
      path.frames.push_back(at->second);
    }
  }

  uint32_t number(Frame frame) {
    const auto key = std::make_tuple(frame.name, frame.place, frame.kind);
    const auto [at, is_new] =
        numbers_.try_emplace(key, static_cast<uint32_t>(flame_.frames.size()));
    if (is_new) flame_.frames.push_back(std::move(frame));
    return at->second;
  }

  void put_frames_in_order() {
    std::vector<Frame> ordered;
    std::vector<uint32_t> new_number(flame_.frames.size());
    for (const auto& [key, old] : numbers_) {
      new_number[old] = static_cast<uint32_t>(ordered.size());
      ordered.push_back(std::move(flame_.frames[old]));
    }
    flame_.frames = std::move(ordered);
    for (Flame::Path& path : flame_.paths) {
      for (uint32_t& frame : path.frames) frame = new_number[frame];
    }
  }

  Flame& flame_;
  std::map<std::tuple<std::string, std::string, FrameKind>, uint32_t> numbers_;
  /// By their lines, of kernel stacks and of user stacks.
  std::unordered_map<std::string, uint32_t> known_[2];
};

std::string folded_name(const Frame& frame) {
  std::string name = frame.name;
  std::replace(name.begin(), name.end(), ';', ':');
  if (frame.is_inlined) return name + "_[i]";
  if (frame.kind == FrameKind::Kernel) name += "_[k]";
  return name;
}

}  // namespace

Frame frame_of(const runtime::StackFrame& from, bool is_user) {
  Frame frame;
  frame.kind = is_user ? FrameKind::Program : FrameKind::Kernel;
  frame.name = from.function;
  frame.place = from.module;
  frame.is_inlined = from.is_inlined;
  if (is_user && is_library(frame.place)) frame.kind = FrameKind::Library;
  if (frame.is_inlined) frame.place += frame.place.empty() ? "inlined" : ", inlined";
  if (starts_with(frame.name, "0x")) {
    if (is_user && frame.place.empty()) frame.kind = FrameKind::Unknown;
    frame.name = frame.place.empty() ? "[unknown]" : '[' + frame.place + ']';
  }
  return frame;
}

bool read_flame(const runtime::Table& table, Flame* flame, std::string* error) {
  Reader reader(*flame);
  for (const auto& [key, value] : table.entries()) {
    if (!value.is_integer()) {
      *error = fmt::format("print_flame draws integers, the value of '{}' is {}",
                           printable(runtime::to_text(key)), runtime::type_phrase(value.type));
      return false;
    }
    if (value.integer > 0) reader.add(key, static_cast<uint64_t>(value.integer));
  }
  reader.finish();
  return true;
}

std::string folded_text(const Flame& flame) {
  std::vector<std::string> names;
  for (const Frame& frame : flame.frames) names.push_back(folded_name(frame));
  std::map<std::string, uint64_t> lines;  // functions of one name in two files are one here
  for (const Flame::Path& path : flame.paths) {
    std::string line;
    for (const uint32_t frame : path.frames) {
      if (!line.empty()) line += ';';
      line += names[frame];
    }
    uint64_t& count = lines[line];
    count = add_saturated(count, path.count);
  }
  std::string text;
  for (const auto& [line, count] : lines) text += fmt::format("{} {}\n", line, count);
  return text;
}

}  // namespace ktap::output
