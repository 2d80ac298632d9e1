// Names of C++ and Rust functions in event text: what of it belongs together, so that the commas,
// blanks and signs within are the name's: `std::map<int, int>::find(int const&)`, `operator<<`. The
// parser, the formatter and the event catalog divide texts by it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace ktap {

/// `<…>`, `(…)`, `{…}` and `[…]` that close before the next event of a list begins (`, sched:`,
/// ` ~`); what does not close stands for itself, and so do the signs of operators.
class NameBrackets {
 public:
  /// Cost: one walk. Requires text.size() < 2^32.
  explicit NameBrackets(std::string_view text);

  /// Behind what begins at `at` and belongs together: a pair of brackets with all within, `\x`, an
  /// operator's name (`operator<`, `operator,`); else the next byte. Requires `at` in the text.
  size_t behind(size_t at) const { return behind_[at]; }

 private:
  std::vector<uint32_t> behind_;
};

/// How many bytes the name of an operator that begins at `at` has with the signs that could be
/// taken for something else, `operator+` but `operator` of `operator==`; 0: none begins there.
size_t operator_size(std::string_view text, size_t at);

/// Does what stands at `at` look like a type without a name in a list of parameters, as demanglers
/// write it: `{lambda(int)#1}`, `{unnamed type#2}`?
bool is_unnamed_type(std::string_view text, size_t at);

}  // namespace ktap
