// What `--explain-code` says: the rule behind a code, a script that breaks it and the one that was
// meant. The texts are explanations.def; docs/diagnostics.md is made of them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "diag/diagnostic.h"

namespace ktap::diag {

struct Explanation {
  Code code;
  Severity severity;
  std::string_view summary;  ///< the code's row in codes.def
  std::string_view rule;
  std::string_view wrong;  ///< script text
  std::string_view right;
};

/// The row for "K0203", "k203" or "203"; null when there is no such code.
const Explanation* find_explanation(std::string_view name);

/// Text for a terminal, lines of at most 80 columns.
std::string render_explanation(const Explanation& explanation);

/// Why `name` names no code: the nearest one, or the range that there is. One line.
std::string no_such_code(std::string_view name);

/// All of them in Markdown, section by section.
std::string explanations_page();

}  // namespace ktap::diag
