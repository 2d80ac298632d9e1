// The explanations of explanations.def, one for each row of codes.def in the same order: a code
// without one does not compile.
#include "diag/explain.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cstdlib>
#include <iterator>
#include <utility>

namespace ktap::diag {
namespace {

struct Row {
  Code code;
  Severity severity;
  std::string_view summary;
};

constexpr Row kRows[] = {
#define KTAP_DIAGNOSTIC(enumerator, number, level, summary) \
  {Code::enumerator, Severity::level, summary},
#include "diag/codes.def"
#undef KTAP_DIAGNOSTIC
};

struct Text {
  Code code;
  std::string_view rule;
  std::string_view wrong;
  std::string_view right;
};

constexpr Text kTexts[] = {
#define KTAP_EXPLANATION(enumerator, rule, wrong, right) {Code::enumerator, rule, wrong, right},
#include "diag/explanations.def"
};

constexpr bool all_explained() {
  if (std::size(kTexts) != std::size(kRows)) return false;
  for (size_t i = 0; i < std::size(kRows); ++i) {
    if (kTexts[i].code != kRows[i].code || kTexts[i].rule.empty()) return false;
  }
  return true;
}
static_assert(all_explained(),
              "explanations.def has a text for each row of codes.def, in the same order");

constexpr Explanation join(size_t i) {
  return {kRows[i].code,  kRows[i].severity, kRows[i].summary,
          kTexts[i].rule, kTexts[i].wrong,   kTexts[i].right};
}

template <size_t... I>
constexpr auto join_all(std::index_sequence<I...>) {
  return std::array<Explanation, sizeof...(I)>{join(I)...};
}

constexpr auto kExplanations = join_all(std::make_index_sequence<std::size(kRows)>{});

constexpr std::string_view kSections[] = {"",
                                          "Text",
                                          "Grammar",
                                          "Names and scopes",
                                          "Events and fields",
                                          "Calls, formats and types",
                                          "Limits",
                                          "Not there yet",
                                          "Run time"};

/// The number in "K0203", "k203", "0203" or "203".
std::optional<unsigned> code_number(std::string_view name) {
  if (!name.empty() && (name[0] == 'K' || name[0] == 'k')) name.remove_prefix(1);
  unsigned number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (name.empty() || error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return number;
}

/// `text` in lines of at most 80 columns.
std::string wrapped(std::string_view text) {
  constexpr size_t kColumns = 80;
  std::string out;
  size_t column = 0;
  while (!text.empty()) {
    const size_t blank = text.find(' ');
    const std::string_view word = text.substr(0, blank);
    if (column > 0 && column + 1 + word.size() > kColumns) {
      out += '\n';
      column = 0;
    }
    if (column > 0) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
    text.remove_prefix(blank == std::string_view::npos ? text.size() : blank + 1);
  }
  return out;
}

std::string indented(std::string_view script) {
  std::string out = "    ";
  for (const char c : script) {
    out += c;
    if (c == '\n') out += "    ";
  }
  return out + "\n";
}

const char* severity_word(Severity severity) {
  return severity == Severity::Warning ? "warning" : "error";
}

}  // namespace

const Explanation* find_explanation(std::string_view name) {
  const std::optional<unsigned> number = code_number(name);
  if (!number) return nullptr;
  for (const Explanation& explanation : kExplanations) {
    if (static_cast<unsigned>(explanation.code) == *number) return &explanation;
  }
  return nullptr;
}

std::string render_explanation(const Explanation& explanation) {
  return fmt::format("{} ({}): {}\n\n{}\n\nWrong:\n\n{}\nRight:\n\n{}", code_name(explanation.code),
                     severity_word(explanation.severity), explanation.summary,
                     wrapped(explanation.rule), indented(explanation.wrong),
                     indented(explanation.right));
}

std::string no_such_code(std::string_view name) {
  std::string text = fmt::format("there is no diagnostic '{}'", printable(name));
  const std::optional<unsigned> number = code_number(name);
  const std::string all =
      fmt::format("{}; a code is {} to {}, and --explain-code=all lists them", text,
                  code_name(kExplanations.front().code), code_name(kExplanations.back().code));
  if (!number) return all;
  const Explanation* nearest = &kExplanations.front();
  const auto apart = [&number](const Explanation& explanation) {
    return std::abs(static_cast<long long>(*number) - static_cast<long long>(explanation.code));
  };
  for (const Explanation& explanation : kExplanations) {
    if (apart(explanation) < apart(*nearest)) nearest = &explanation;
  }
  constexpr long long kNear = 100;  // as many as a section may have
  if (apart(*nearest) >= kNear) return all;
  return fmt::format("{}; the nearest is {} ({})", text, code_name(nearest->code),
                     nearest->summary);
}

std::string explanations_page() {
  std::string out;
  unsigned section = 0;
  for (const Explanation& explanation : kExplanations) {
    const unsigned its_section = static_cast<unsigned>(explanation.code) / 100;
    if (its_section != section) {
      section = its_section;
      out += fmt::format("## {}\n\n", section < std::size(kSections) ? kSections[section] : "");
    }
    out += fmt::format("### {}: {}\n\n", code_name(explanation.code), explanation.summary);
    if (explanation.severity == Severity::Warning) out += "A warning.\n\n";
    out += fmt::format("{}\n\nWrong:\n\n{}\nRight:\n\n{}\n", wrapped(explanation.rule),
                       indented(explanation.wrong), indented(explanation.right));
  }
  out.pop_back();
  return out;
}

}  // namespace ktap::diag
