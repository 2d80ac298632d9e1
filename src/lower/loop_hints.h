// What lowering has learned about the variables that loops change. At first a loop is believed to
// change nothing; where a round comes back to its head with something else, the type that both have
// in common is noted here, and the handler is lowered anew. Types only widen, so that this ends.
#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "schema/kernel_types.h"
#include "ssa/function.h"

namespace ktap::lower {

/// A variable at a place of inlined code. Stable from attempt to attempt.
struct HintKey {
  uint32_t path = 0;   ///< of calls, numbered by LoopHints
  uint32_t place = 0;  ///< the loop's head; a captured variable of its own: its register
  uint32_t visit = 0;  ///< how often the head was entered; a captured variable: its generation
  uint32_t slot = 0;   ///< register, or 256 + number of a captured variable's name
  friend auto operator<=>(const HintKey&, const HintKey&) = default;
};

/// What a variable may hold at a loop's head, over all rounds.
struct LoopShape {
  enum class Kind : uint8_t {
    Unknown,
    Nil,
    Value,    ///< of one type of SSA
    Slot,     ///< an iterator over a table in the kernel
    Pointer,  ///< to kernel memory, or nil
    Union,    ///< of several of these types: nil, boolean, integer, string
    Text,     ///< strings whose length has no bound, or nil: of no use
    Anything  ///< of types that have no common form: of no use
  } kind = Kind::Unknown;
  ssa::Type type = ssa::Type::None;
  ssa::StrKind str_kind = ssa::StrKind::None;
  uint32_t max_bytes = 0;
  const void* table = nullptr;   ///< Slot
  schema::CType ctype;           ///< Pointer: what it points to
  std::vector<LoopShape> parts;  ///< Union: by tag (abstract_value.h), Unknown: not among them
  friend bool operator==(const LoopShape&, const LoopShape&) = default;

  /// No value of it can be known at the loop's head.
  bool is_useless() const {
    return kind == Kind::Text || kind == Kind::Anything ||
           std::any_of(parts.begin(), parts.end(),
                       [](const LoopShape& part) { return part.is_useless(); });
  }
};

/// The narrowest shape that takes both. Names (StrKind::Id) beside bytes become bytes: whoever has
/// them looks that they fit.
LoopShape widen(const LoopShape& a, const LoopShape& b);
/// The same for a shape that has been widened before: a string that grows gets the room of the next
/// power of two, so that it is at its bound after a few attempts.
LoopShape widen_again(const LoopShape& known, const LoopShape& shape);

class LoopHints {
 public:
  /// What is known of a variable; Kind::Unknown: rounds do not change it.
  LoopShape find(const HintKey& key) const {
    const auto found = shapes_.find(key);
    return found == shapes_.end() ? LoopShape{} : found->second;
  }
  void add(const HintKey& key, const LoopShape& shape) {
    LoopShape& known = shapes_[key];
    const LoopShape wider = widen_again(known, shape);
    grown_ = grown_ || wider != known;
    known = wider;
  }
  /// The number of the path that goes on from `path` by a call at `pc`.
  uint32_t path(uint32_t path, uint64_t pc) {
    return paths_.try_emplace({path, pc}, static_cast<uint32_t>(paths_.size() + 1)).first->second;
  }
  /// The number of a captured variable's name.
  uint32_t name(const HintKey& key) {
    return names_.try_emplace(key, static_cast<uint32_t>(names_.size())).first->second;
  }
  /// One instruction more, over all attempts; false when it is one too many.
  bool step() { return steps_++ < kMaxSteps; }
  bool has_grown() const { return grown_; }
  void restart() { grown_ = false; }

 private:
  static constexpr uint64_t kMaxSteps = 1000000;  // guessed

  uint64_t steps_ = 0;
  std::map<HintKey, LoopShape> shapes_;
  std::map<std::pair<uint32_t, uint64_t>, uint32_t> paths_;
  std::map<HintKey, uint32_t> names_;
  bool grown_ = false;
};

}  // namespace ktap::lower
