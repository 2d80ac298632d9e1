// A literal format of printf or format, taken apart at compile time: which arguments it takes and
// of which type (language, section 8). What it means at run time is the run's own matter; the
// grammar is the same, ktap::parse_format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ktap::compiler {

/// One argument that a format takes.
struct Conversion {
  enum class Takes : uint8_t { Integer, Number, Any } takes = Takes::Any;
  size_t begin = 0;  ///< of the conversion in the format, '%' included
  size_t end = 0;
  bool is_star = false;  ///< a `*` of width or precision
  char letter = 0;       ///< the conversion's letter
};

struct CheckedFormat {
  std::vector<Conversion> arguments;  ///< in their order
  std::string error;                  ///< "" or what is wrong
  std::string hint;
  size_t error_begin = 0;
  size_t error_end = 0;
};

CheckedFormat check_format(std::string_view format);

/// Where byte `index` of a string's value stands in its literal's source text (quotes included): an
/// offset into `literal`. `literal` begins with its quote or bracket.
size_t literal_offset(std::string_view literal, size_t index);

}  // namespace ktap::compiler
