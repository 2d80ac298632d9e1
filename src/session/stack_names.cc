// See stack_names.h. A return address may be the first one behind a function that never returns, so
// that all frames but the innermost are looked up a byte before it; the text tells the address
// itself.
#include "session/stack_names.h"

#include <fmt/format.h>

#include <optional>
#include <string_view>

#include "base/printable.h"
#include "base/user_stack.h"

namespace ktap::session {

namespace {

constexpr const char* kReturnProbe = "[uretprobe]";

bool starts_with(std::string_view text, std::string_view head) {
  return text.substr(0, head.size()) == head;
}

/// What the kernel calls on the way from a tracepoint or function to our program, and that itself.
bool is_tracing(const symbol::KernelSymbol& symbol) {
  for (const char* head : {"__traceiter_", "__bpf_trace_", "bpf_trace_run", "perf_trace_"}) {
    if (starts_with(symbol.name, head)) return true;
  }
  return symbol.module == "bpf" &&
         (starts_with(symbol.name, "bpf_prog_") || starts_with(symbol.name, "bpf_trampoline_"));
}

/// What a program begins with, and what the C library puts between that and main().
bool begins_program(const runtime::StackFrame& frame) {
  return frame.function == "_start" || starts_with(frame.function, "__libc_start_main");
}

/// Outermost of a program's first thread: what calls main().
bool calls_main(const runtime::StackFrame& frame) {
  return frame.function == "__libc_start_call_main" || begins_program(frame);
}

uint64_t frame_key(uint64_t address, bool is_return) { return address * 2 + (is_return ? 1 : 0); }

symbol::UserProgram program_of(uint64_t owner, uint64_t time_ns = 0) {
  return {static_cast<pid_t>(owner & (kUserStackBit - 1)),
          static_cast<uint32_t>(owner >> kProgramMarkShift), time_ns};
}

runtime::StackFrame frame_of(const symbol::UserPlace& place) {
  runtime::StackFrame frame;
  frame.text = printable(place.text());
  frame.function =
      printable(place.function.empty() ? fmt::format("{:#x}", place.address) : place.function);
  frame.module = printable(place.file_name());
  frame.source = printable(place.source);
  frame.is_inlined = place.is_inlined;
  return frame;
}

}  // namespace

const StackNamer::KernelFrame& StackNamer::kernel_frame(uint64_t address, bool is_return) {
  const auto [at, is_new] = kernel_frames_.try_emplace(frame_key(address, is_return));
  KernelFrame& known = at->second;
  if (!is_new) return known;
  runtime::StackFrame& frame = known.frame;
  const uint64_t back = is_return ? 1 : 0;
  const symbol::Kallsyms* symbols = kernel_.symbols();
  const std::optional<symbol::KernelPlace> place =
      symbols == nullptr ? std::nullopt : symbols->at(address - back);
  if (!place) {
    frame.text = frame.function = fmt::format("0x{:x}", address);
    return known;
  }
  frame.function = printable(place->symbol.name);
  frame.module = printable(place->symbol.module);
  frame.text = fmt::format("{}+0x{:x}", frame.function, place->offset + back);
  if (place->size_bytes != 0) frame.text += fmt::format("/0x{:x}", place->size_bytes);
  if (!frame.module.empty()) frame.text += fmt::format(" [{}]", frame.module);
  known.is_tracing = is_tracing(place->symbol);
  return known;
}

const StackNamer::UserFrames& StackNamer::user_frames(uint64_t owner, uint64_t address,
                                                      bool is_return) {
  if (owner != frames_owner_ || replacements_ != users_.replacements()) user_frames_.clear();
  frames_owner_ = owner;
  replacements_ = users_.replacements();
  const auto [at, is_new] = user_frames_.try_emplace(frame_key(address, is_return));
  if (!is_new) return at->second;
  if (users_.is_return_probe(program_of(owner), address)) {
    runtime::StackFrame frame;
    frame.text = frame.function = kReturnProbe;
    at->second.push_back(std::move(frame));
    return at->second;
  }
  // In a system call the program stands behind it, which may be another line's code.
  const bool is_call = is_return || users_.is_behind_system_call(program_of(owner), address);
  uint64_t back = is_call ? 1 : 0;
  std::vector<symbol::UserPlace> places = users_.places(program_of(owner), address - back);
  if (back != 0 && places.back().function.empty()) {
    // What nothing calls, and is returned to, begins there (what a signal handler returns to).
    std::vector<symbol::UserPlace> at_begin = users_.places(program_of(owner), address);
    if (!at_begin.back().function.empty() && at_begin.back().offset == 0) {
      places = std::move(at_begin);
      back = 0;
    }
  }
  symbol::UserPlace& holder = places.back();
  (holder.function.empty() ? holder.address : holder.offset) += back;
  UserFrames frames;
  for (const symbol::UserPlace& place : places) frames.push_back(frame_of(place));
  if (!holder.may_get_name) return at->second = std::move(frames);
  user_frames_.erase(at);
  return unnamed_ = std::move(frames);
}

std::string StackNamer::user_name(int64_t pid, uint64_t address) {
  if (users_.is_return_probe(static_cast<pid_t>(pid), address)) return kReturnProbe;
  std::vector<symbol::UserPlace> places = users_.places(static_cast<pid_t>(pid), address);
  symbol::UserPlace& holder = places.back();
  holder.source = places.front().source;
  std::string text = holder.text();
  if (places.size() > 1) text += fmt::format(" [inlined {}]", places.front().function);
  return printable(text);
}

void StackNamer::remember(uint64_t owner, uint64_t time_ns) {
  users_.look_again(program_of(owner, time_ns));
  if (owner == frames_owner_) user_frames_.clear();
}

symbol::Unwound StackNamer::unwind(uint64_t owner, uint64_t time_ns, const symbol::StackCopy& copy,
                                   size_t most_frames) {
  users_.take_records();
  symbol::Unwound unwound = symbol::unwind(users_, program_of(owner, time_ns), copy, most_frames);
  if (unwound.missing != symbol::MissingCode::None)
    ++early_ends_[{unwound.missing, unwound.missing_file}];
  return unwound;
}

std::vector<std::pair<std::string, uint64_t>> StackNamer::early_ends() const {
  std::vector<std::pair<std::string, uint64_t>> all;
  for (const auto& [what, count] : early_ends_) {
    const std::string file = printable(what.second);
    switch (what.first) {
      case symbol::MissingCode::None:
        break;
      case symbol::MissingCode::Rules:
        all.emplace_back(file + " has no unwind tables (.eh_frame) for its code there", count);
        break;
      case symbol::MissingCode::File:
        all.emplace_back(file + " cannot be read, or has been replaced", count);
        break;
      case symbol::MissingCode::Maps:
        all.emplace_back("what their processes had mapped is not known", count);
        break;
    }
  }
  return all;
}

template <class Visit>
void StackNamer::each_frame(const runtime::Stack& stack, Visit visit) {
  bool is_outside = false, is_end = false;
  if (stack.is_user()) users_.take_records();
  for (size_t i = 0; i < stack.frame_count(); ++i) {
    if (stack.is_user()) {
      const uint64_t owner = stack.words()[0];
      // Where code keeps no frame pointers, the kernel takes for one what it finds: what it reads
      // there, and from there on, is no caller.
      if (i > 0 && !is_end && !users_.may_be_code(program_of(owner), stack.frame(i))) return;
      // A stripped program has no name for it.
      const bool is_start = is_end && users_.begins_program(program_of(owner), stack.frame(i) - 1);
      for (const runtime::StackFrame& frame : user_frames(owner, stack.frame(i), i > 0)) {
        // Its frame pointer is whatever the kernel left: what follows is no caller.
        if (is_end && !is_start && !begins_program(frame)) continue;
        visit(frame);
        is_end = is_end || calls_main(frame);
      }
      continue;
    }
    const KernelFrame& known = kernel_frame(stack.frame(i), i > 0);
    is_outside = is_outside || !known.is_tracing;
    if (is_outside) visit(known.frame);
  }
}

std::vector<std::string> StackNamer::lines_of(const runtime::Stack& stack) {
  std::vector<std::string> lines;
  each_frame(stack, [&lines](const runtime::StackFrame& frame) { lines.push_back(frame.text); });
  return lines;
}

std::vector<runtime::StackFrame> StackNamer::frames_of(const runtime::Stack& stack) {
  std::vector<runtime::StackFrame> frames;
  each_frame(stack, [&frames](const runtime::StackFrame& frame) { frames.push_back(frame); });
  return frames;
}

}  // namespace ktap::session
