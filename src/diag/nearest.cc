// The nearest names to a mistyped one: edit distance in which a swap of two neighbours is one step
// (Damerau's restricted form). Asked by every step that can find a name unknown.
#include <algorithm>
#include <cctype>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "diag/diagnostic.h"

namespace ktap::diag {
namespace {

size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before_last(b.size() + 1);
  std::vector<size_t> last(b.size() + 1);
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t change = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, change});
      bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
    std::swap(before_last, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

bool same_but_for_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](unsigned char x, unsigned char y) {
    return std::tolower(x) == std::tolower(y);
  });
}

}  // namespace

std::vector<std::string> nearest(std::string_view word, const std::vector<std::string>& candidates,
                                 size_t most) {
  std::vector<std::pair<size_t, std::string_view>> found;
  size_t bound = word.size() / 3;
  for (const std::string& candidate : candidates) {
    if (candidate == word) continue;
    size_t apart = candidate.size() > word.size() ? candidate.size() - word.size()
                                                  : word.size() - candidate.size();
    if (same_but_for_case(word, candidate)) {
      found.emplace_back(0, candidate);
    } else if (apart <= bound) {
      size_t steps = distance(word, candidate);
      if (steps <= bound) found.emplace_back(steps, candidate);
    }
  }
  std::stable_sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  if (found.size() > most) found.resize(most);
  std::vector<std::string> names;
  for (const auto& entry : found) names.emplace_back(entry.second);
  return names;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates) {
  return did_you_mean(nearest(word, candidates));
}

std::string did_you_mean(const std::vector<std::string>& names) {
  if (names.empty()) return {};
  std::string text = "did you mean ";
  for (size_t i = 0; i < names.size(); ++i) {
    if (i > 0) text += i + 1 == names.size() ? " or " : ", ";
    text += '\'';
    text += names[i];
    text += '\'';
  }
  return text + "?";
}

void suggest(Diagnostic& diagnostic, std::string_view word,
             const std::vector<std::string>& candidates) {
  std::string hint = did_you_mean(word, candidates);
  if (hint.empty()) return;
  diagnostic.hints.push_back(std::move(hint));
  std::vector<std::string> names = nearest(word, candidates);
  if (names.size() == 1) diagnostic.fixes.push_back({diagnostic.span, std::move(names.front())});
}

void suggest_last_word(Diagnostic& diagnostic, std::string_view word,
                       const std::vector<std::string>& candidates, const Source* source) {
  suggest(diagnostic, word, candidates);
  if (diagnostic.fixes.empty()) return;
  const std::string_view text = source == nullptr ? "" : std::string_view(source->text());
  Span& span = diagnostic.fixes.front().span;
  if (span.end <= text.size() && text.substr(0, span.end).ends_with(word)) {
    span.begin = span.end - static_cast<uint32_t>(word.size());
  } else {
    diagnostic.fixes.clear();
  }
}

}  // namespace ktap::diag
