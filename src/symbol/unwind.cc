// A step takes the registers of a frame to those of its caller. What a rule does not say is not
// known above; a step that does not lead up the stack is the last.
#include "symbol/unwind.h"

#include <dwarf.h>

#include <optional>
#include <string_view>

#include "base/paths.h"
#include "symbol/call_frames.h"
#include "symbol/elf_cache.h"
#include "symbol/frame_expression.h"
#include "symbol/registers.h"

namespace ktap::symbol {

namespace {

/// The registers of this machine as DWARF numbers them, by the names of registers.h.
#if defined(__x86_64__)
constexpr std::string_view kNumbered[] = {"rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp",
                                          "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
constexpr std::string_view kPlace = "rip";
constexpr uint64_t kStackPointer = 7;
constexpr uint64_t kFramePointer = 6;
constexpr int kSavedFrame = 0;  ///< of the caller, from the frame pointer on; then its address
constexpr uint32_t kRegistersBytes = 168;
constexpr uint64_t kAddressMask = UINT64_MAX;
#elif defined(__aarch64__)
constexpr std::string_view kNumbered[] = {"x0",  "x1",  "x2",  "x3",  "x4",  "x5",  "x6",  "x7",
                                          "x8",  "x9",  "x10", "x11", "x12", "x13", "x14", "x15",
                                          "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23",
                                          "x24", "x25", "x26", "x27", "x28", "x29", "x30", "sp"};
constexpr std::string_view kPlace = "pc";
constexpr uint64_t kStackPointer = 31;
constexpr uint64_t kFramePointer = 29;
constexpr int kSavedFrame = 0;
constexpr uint32_t kRegistersBytes = 272;
constexpr uint64_t kAddressMask = (uint64_t{1} << 48) - 1;  // above it a signature may stand
#elif defined(__riscv) && __riscv_xlen == 64
constexpr std::string_view kNumbered[] = {"",   "ra", "sp",  "gp",  "tp", "t0", "t1", "t2",
                                          "s0", "s1", "a0",  "a1",  "a2", "a3", "a4", "a5",
                                          "a6", "a7", "s2",  "s3",  "s4", "s5", "s6", "s7",
                                          "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6"};
constexpr std::string_view kPlace = "pc";
constexpr uint64_t kStackPointer = 2;
constexpr uint64_t kFramePointer = 8;
constexpr int kSavedFrame = -16;
constexpr uint32_t kRegistersBytes = 256;
constexpr uint64_t kAddressMask = UINT64_MAX;
#else
constexpr std::string_view kNumbered[] = {""};
constexpr std::string_view kPlace = "pc";
constexpr uint64_t kStackPointer = 0;
constexpr uint64_t kFramePointer = 0;
constexpr int kSavedFrame = 0;
constexpr uint32_t kRegistersBytes = 0;
constexpr uint64_t kAddressMask = UINT64_MAX;
#endif

constexpr size_t kWord = 8;

std::optional<uint64_t> saved(Bytes registers, std::string_view name) {
  const std::optional<Register> at = find_register(kNativeMachine, name);
  if (!at.has_value() || size_t{at->offset_bytes} + kWord > registers.size()) return std::nullopt;
  return read_number(registers, at->offset_bytes, kWord);
}

class Unwinder {
 public:
  Unwinder(UserSymbols& symbols, UserProgram program, const StackCopy& copy)
      : symbols_(symbols),
        program_(program),
        memory_{copy.begin, copy.bytes},
        return_probes_(copy.return_probes) {
    for (size_t i = 0; i < std::size(kNumbered); ++i) {
      if (!kNumbered[i].empty()) registers_.set(i, saved(copy.registers, kNumbered[i]));
    }
    place_ = saved(copy.registers, kPlace).value_or(0);
  }

  Unwound run(size_t most_frames) {
    Unwound result;
    while (place_ != 0 && result.addresses.size() < most_frames) {
      result.addresses.push_back(place_);
      const uint64_t before = registers_.get(kStackPointer).value_or(0);
      if (!step(result.addresses.size() == 1)) {
        result.is_elsewhere = lies_elsewhere();
        break;
      }
      const uint64_t after = registers_.get(kStackPointer).value_or(0);
      // A leaf without a frame leaves the pointer where it is, once; a signal's stack may lie
      // anywhere.
      const bool is_up = after > before || (after == before && result.addresses.size() == 1);
      if (!is_up && !is_signal_) break;
      restore(before, after);
    }
    result.is_cut = is_cut_ && !result.is_elsewhere;
    result.is_hidden = is_hidden_;
    const bool is_early = !is_end_ && !is_cut_ && !is_hidden_ && !result.is_elsewhere &&
                          result.addresses.size() < most_frames;
    if (missing_ == MissingCode::None || !is_early || begins_thread(result.addresses))
      return result;
    result.missing = missing_;
    result.missing_file = missing_file_;
    return result;
  }

 private:
  /// Nobody calls the outermost one: it is where a program or a thread of it begins, or as good.
  bool begins_thread(const std::vector<uint64_t>& addresses) {
    if (addresses.empty()) return false;
    const uint64_t back = addresses.size() == 1 ? 0 : 1;
    // That of the dynamic linker, a program's first code, has no tables, and mostly no name.
    if (symbols_.begins_program(program_, addresses.back() - back)) return true;
    const std::string name = symbols_.name(program_, addresses.back() - back).function;
    for (const char* begin : {"main", "_start", "clone", "__clone", "clone3", "__clone3"}) {
      if (name == begin) return true;
    }
    return false;
  }

  /// Of the last frame: nothing of its stack was copied, for the one above had another.
  bool lies_elsewhere() const {
    const std::optional<uint64_t> stack = registers_.get(kStackPointer);
    return stack.has_value() && !memory_.bytes.empty() &&
           (*stack < memory_.begin || *stack > memory_.begin + memory_.bytes.size());
  }

  /// No file has rules for it: why.
  void look_for_file(uint64_t address) {
    const UserPlace place = symbols_.name(program_, address);
    if (!place.file.empty() && place.file[0] == '/') {
      missing_ = MissingCode::File;
      missing_file_ = place.file_name();
    } else if (!symbols_.knows(program_)) {
      missing_ = MissingCode::Maps;
    }
  }

  /// Between these two places of the stack pointer lay the return address. What a longjmp() has
  /// left behind waits for frames that are gone. Each is of one call: where the address is kept in
  /// a register (arm64), one call's stack begins where the next one's ends.
  void restore(uint64_t before, uint64_t after) {
    if (return_probes_.empty() || !symbols_.is_return_probe(program_, place_)) return;
    for (size_t i = used_probes_; i < return_probes_.size(); ++i) {
      const ReturnProbe& probe = return_probes_[i];
      if (probe.stack < before || probe.stack > after) continue;
      place_ = probe.address & kAddressMask;
      used_probes_ = i + 1;
      return;
    }
  }

  bool step(bool is_innermost) {
    // A return address may be the first one behind a function that never returns.
    const uint64_t back = is_innermost || is_signal_ ? 0 : 1;
    is_signal_ = false;
    const std::optional<UserCode> code = symbols_.code(program_, place_ - back);
    if (!code.has_value() && symbols_.came_later(program_, place_ - back)) {
      missing_ = MissingCode::File;
      missing_file_ = symbols_.name(program_, place_ - back).file_name();
      return false;
    }
    if (!code.has_value()) {
      // The caller's registers are known, but not where in it they are: its rules are not either.
      is_hidden_ = symbols_.is_return_probe(program_, place_);
      if (is_hidden_) return false;
      // A call of what is no code leads back to where it was called.
      const bool is_jit = !symbols_.name(program_, place_ - back).function.empty();
      if (!is_jit) look_for_file(place_ - back);
      return (is_innermost && !is_jit && step_from_call()) || step_by_pointer();
    }
    if (!code->file->file.image().is_wide()) return false;  // a 32-bit program
    CallFrames& frames = code->file->call_frames();
    Dwarf_Frame* frame = frames.at(code->address);
    // What nothing calls, and is returned to, begins there (a context's first function).
    if (frame == nullptr && back != 0) frame = frames.at(code->address + back);
    if (frame != nullptr) return step_by_rules(frame);
    missing_ = MissingCode::Rules;
    missing_file_ = base_name(code->file->file.path());
    return step_by_pointer();
  }

  std::optional<uint64_t> read(uint64_t address) const { return memory_.read(address, kWord); }

  bool step_by_rules(Dwarf_Frame* frame) {
    Dwarf_Op* operations = nullptr;
    size_t count = 0;
    pointer_steps_ = 0;
    if (dwarf_frame_cfa(frame, &operations, &count) != 0 || count == 0) return false;
    const auto cfa = evaluate(operations, count, std::nullopt, registers_, memory_);
    if (!cfa.has_value()) return false;
    const int return_register = dwarf_frame_info(frame, nullptr, nullptr, &is_signal_);
    if (return_register < 0) return false;
    FrameRegisters caller;
    saved_above_ = false;
    for (size_t i = 0; i < std::size(kNumbered); ++i) find(frame, i, cfa->value, caller);
    find(frame, static_cast<uint64_t>(return_register), cfa->value, caller);
    if (!caller.get(kStackPointer).has_value()) caller.set(kStackPointer, cfa->value);
    const std::optional<uint64_t> place = caller.get(static_cast<uint64_t>(return_register));
    if (!place.has_value()) {
      // Nowhere on the stack: of who has no caller.
      is_cut_ = saved_above_;
      is_end_ = !saved_above_;
      return false;
    }
    registers_ = caller;
    place_ = *place & kAddressMask;
    return true;
  }

  /// What register `number` of the caller held.
  void find(Dwarf_Frame* frame, uint64_t number, uint64_t cfa, FrameRegisters& caller) {
    Dwarf_Op own[3];
    Dwarf_Op* operations = nullptr;
    size_t count = 0;
    if (dwarf_frame_register(frame, static_cast<int>(number), own, &operations, &count) != 0)
      return;
    if (count == 0) {
      if (operations == nullptr) caller.set(number, registers_.get(number));
      return;
    }
    const auto found = evaluate(operations, count, cfa, registers_, memory_);
    if (!found.has_value()) return;
    saved_above_ = found->is_address && memory_.ends_before(found->value, kWord);
    caller.set(number, found->is_address ? read(found->value) : std::optional(found->value));
  }

  bool step_by_pointer() {
    const std::optional<uint64_t> pointer = registers_.get(kFramePointer);
    // So a chain of them ends; a single one may be anything.
    is_end_ = pointer == uint64_t{0} && pointer_steps_ > 0;
    if (!pointer.has_value() || *pointer % kWord != 0) return false;
    const uint64_t at = *pointer + static_cast<uint64_t>(int64_t{kSavedFrame});
    const std::optional<uint64_t> saved_pointer = read(at);
    const std::optional<uint64_t> place = read(at + kWord);
    if (!saved_pointer.has_value() || !place.has_value()) return false;
    registers_.known = 0;
    registers_.set(kFramePointer, saved_pointer);
    registers_.set(kStackPointer, at + 2 * kWord);
    place_ = *place & kAddressMask;
    is_end_ = place_ == 0 && pointer_steps_ > 0;
    ++pointer_steps_;
    return true;
  }

  /// As the first instruction of a function would.
  bool step_from_call() {
#if defined(__x86_64__)
    const std::optional<uint64_t> pointer = registers_.get(kStackPointer);
    const std::optional<uint64_t> place = pointer ? read(*pointer) : std::nullopt;
    if (!place.has_value() || !symbols_.code(program_, *place - 1).has_value()) return false;
    registers_.set(kStackPointer, *pointer + kWord);
    place_ = *place;
    return true;
#else
    return false;
#endif
  }

  UserSymbols& symbols_;
  const UserProgram program_;
  const MemoryPiece memory_;
  const std::vector<ReturnProbe>& return_probes_;
  size_t used_probes_ = 0;  ///< those up to there are of calls that were passed
  FrameRegisters registers_;
  uint64_t place_ = 0;
  bool is_signal_ = false;    ///< the kernel put the frame there: its place is no return address
  bool saved_above_ = false;  ///< what was looked for last lies behind the copy
  bool is_cut_ = false;
  bool is_hidden_ = false;
  bool is_end_ = false;                      ///< nobody has called the last one
  int pointer_steps_ = 0;                    ///< since the last one by rules
  MissingCode missing_ = MissingCode::None;  ///< of the last one that had no rules
  std::string missing_file_;
};

}  // namespace

const uint32_t kSavedRegistersBytes = kRegistersBytes;
const uint32_t kSavedStackPointer = [] {
  const std::optional<Register> at = find_register(kNativeMachine, "sp");
  return at.has_value() ? uint32_t{at->offset_bytes} : 0;
}();

Unwound unwind(UserSymbols& symbols, UserProgram program, const StackCopy& copy,
               size_t most_frames) {
  return Unwinder(symbols, program, copy).run(most_frames);
}

}  // namespace ktap::symbol
