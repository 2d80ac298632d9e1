// Stacks: what stack() and ustack() give. Addresses, as the kernel walked them, and whose they are;
// names are looked up when one is printed. Immutable, equal by their addresses and owner; the words
// follow the object.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/user_stack.h"
#include "runtime/value.h"

namespace ktap::runtime {

class StackNames;

/// Made by Heap::stack() alone. Word 0 says whose it is, the others are addresses from the
/// innermost frame on, none of them 0.
class alignas(uint64_t) Stack : public Object {
 public:
  /// In word 0 of a user stack (base/user_stack.h). That of a kernel stack is 0.
  static constexpr uint64_t kUserBit = kUserStackBit;

  bool is_user() const { return (words()[0] & kUserBit) != 0; }
  int64_t pid() const { return static_cast<int64_t>(words()[0] & (kUserBit - 1)); }
  /// Tells what the process ran then from what it ran before and after; 0: not known.
  uint32_t program() const { return static_cast<uint32_t>(words()[0] >> kProgramMarkShift); }
  size_t frame_count() const { return word_count_ - 1; }
  uint64_t frame(size_t i) const { return words()[i + 1]; }

  const uint64_t* words() const { return reinterpret_cast<const uint64_t*>(this + 1); }
  size_t word_count() const { return word_count_; }
  uint32_t hash() const { return hash_; }
  /// As its heap has them; null: nobody knows.
  StackNames* names() const { return names_ == nullptr ? nullptr : *names_; }
  size_t memory_bytes() const { return sizeof(Stack) + word_count_ * sizeof(uint64_t); }

 private:
  friend class Heap;
  explicit Stack(uint32_t word_count) : Object(Type::Stack), word_count_(word_count) {}

  uint32_t word_count_;
  uint32_t hash_ = 0;
  StackNames* const* names_ = nullptr;
};

/// A frame by its parts.
struct StackFrame {
  std::string text;      ///< its line in a printed stack
  std::string function;  ///< without an offset; the address where it has no name
  std::string module;    ///< "libc.so.6", "[vdso]", "[jit]"; a module of the kernel; "" for none
  std::string source;    ///< "loop.c:42"; "" where no debug information tells
  bool is_inlined = false;
};

/// Who knows what lies at a stack's addresses.
class StackNames {
 public:
  virtual ~StackNames() = default;
  /// A line of text for each frame, innermost first. An inlined function is one of its own.
  virtual std::vector<std::string> lines_of(const Stack& stack) = 0;
  /// The same frames by their parts.
  virtual std::vector<StackFrame> frames_of(const Stack& stack) = 0;
  /// An address of the kernel's code.
  virtual StackFrame kernel_place(uint64_t address) = 0;
};

/// The frames of a stack by their parts; addresses where nobody knows their names.
std::vector<StackFrame> stack_frames(const Stack& stack);

bool same_stack(const Stack& a, const Stack& b);
/// Negative, 0 or positive: by owner, then frame by frame.
int compare_stacks(const Stack& a, const Stack& b);
/// The value is a stack, or a multi-key with one: its text has several lines.
bool has_stack(Value key);

}  // namespace ktap::runtime
