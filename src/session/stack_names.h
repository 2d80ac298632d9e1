// The lines of stacks that are printed. Nothing is read before the first one is: then the kernel's
// symbols, the maps of its process, the files that lie there.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "runtime/stack.h"
#include "session/kernel_data.h"
#include "symbol/unwind.h"
#include "symbol/user_symbols.h"

namespace ktap::session {

class StackNamer final : public runtime::StackNames {
 public:
  /// `kernel` outlives it.
  explicit StackNamer(KernelData& kernel) : kernel_(kernel) {}

  /// "vfs_read+0x12/0x90 [module]", "malloc+0x12 (libc.so.6)", "main+0x12 (app) at app.c:42", or
  /// the address. A function that was inlined is a line of its own, above the one that holds it:
  /// "clamp [inlined] (app) at app.h:7". Frames of the tracing itself at a kernel stack's inner end
  /// are left out.
  std::vector<std::string> lines_of(const runtime::Stack& stack) override;
  std::vector<runtime::StackFrame> frames_of(const runtime::Stack& stack) override;
  runtime::StackFrame kernel_place(uint64_t address) override {
    return kernel_frame(address, false).frame;
  }

  /// The line of one address. Of a process: the function that holds it, then the source line, and
  /// the functions inlined there: "main+0x12 (app) at app.h:7 [inlined clamp]".
  std::string kernel_name(uint64_t address) { return kernel_frame(address, false).frame.text; }
  std::string user_name(int64_t pid, uint64_t address);

  /// As symbol::UserSymbols has them: processes that end before they are looked at have names too.
  Result<void> watch(symbol::WatchedProcesses whom) { return users_.watch(whom); }
  bool is_watching() const { return users_.is_watching(); }
  void take_records() { users_.take_records(); }
  uint64_t lost_records() const { return users_.lost_records(); }

  /// The calls that a copy of a stack tells. `owner` is word 0 of a stack.
  symbol::Unwound unwind(uint64_t owner, uint64_t time_ns, const symbol::StackCopy& copy,
                         size_t most_frames);

  /// Of the stacks that unwind() made those that end before the program's beginning for want of
  /// something: what, in words, and how many.
  std::vector<std::pair<std::string, uint64_t>> early_ends() const;

  /// Keeps what a process has mapped now, in case that it ends, or runs another program, before it
  /// is printed. `owner` is word 0 of a stack of it, which was taken then.
  void remember(uint64_t owner, uint64_t time_ns);
  /// The program that the process runs now, for names that are asked by process.
  void remember(pid_t pid) { users_.remember(pid); }

 private:
  struct KernelFrame {
    runtime::StackFrame frame;
    bool is_tracing = false;
  };
  using UserFrames = std::vector<runtime::StackFrame>;  ///< innermost first

  const KernelFrame& kernel_frame(uint64_t address, bool is_return);
  const UserFrames& user_frames(uint64_t owner, uint64_t address, bool is_return);
  /// Calls visit(frame) for each frame that is shown.
  template <class Visit>
  void each_frame(const runtime::Stack& stack, Visit visit);

  KernelData& kernel_;
  symbol::UserSymbols users_;
  std::unordered_map<uint64_t, KernelFrame> kernel_frames_;  ///< by twice the address, + is_return
  std::unordered_map<uint64_t, UserFrames> user_frames_;     ///< of frames_owner_, likewise
  uint64_t frames_owner_ = 0;
  uint64_t replacements_ = 0;  ///< that user_frames_ know of
  UserFrames unnamed_;         ///< the last that may have a name when they are asked for again
  std::map<std::pair<symbol::MissingCode, std::string>, uint64_t> early_ends_;
};

}  // namespace ktap::session
