// Event text → its parts. Pure; what each part means is the catalog's affair.
#include "base/chars.h"
#include "base/name_brackets.h"
#include "event/provider.h"

namespace ktap::event {

namespace {

/// Adds text[begin, end) without blanks around it.
void add(std::string_view text, size_t begin, size_t end, std::vector<Pattern>* out) {
  while (begin < end && is_event_blank(text[begin])) ++begin;
  while (end > begin && is_event_blank(text[end - 1])) --end;
  Pattern pattern;
  pattern.offset = static_cast<uint32_t>(begin);
  pattern.exclude = begin < end && text[begin] == '~';
  if (pattern.exclude) ++begin;
  pattern.text = std::string(text.substr(begin, end - begin));
  out->push_back(std::move(pattern));
}

}  // namespace

std::vector<Pattern> split_patterns(std::string_view text) {
  std::vector<Pattern> out;
  size_t begin = 0;
  const NameBrackets brackets(text);
  for (size_t i = 0; i < text.size(); i = brackets.behind(i)) {
    if (text[i] == ',') {
      add(text, begin, i, &out);
      begin = i + 1;
    } else if (text[i] == '~' && i > begin && is_event_blank(text[i - 1])) {
      // An exclusion ends what stands before it; right behind a comma nothing does.
      bool only_blanks = true;
      for (size_t j = begin; j < i; ++j) only_blanks = only_blanks && is_event_blank(text[j]);
      if (!only_blanks) {
        add(text, begin, i, &out);
        begin = i;
      }
    }
  }
  add(text, begin, text.size(), &out);
  return out;
}

}  // namespace ktap::event
