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

char unclosed_sign(std::string_view glob) {
  size_t first_brace = glob.size();  // of those that are open
  size_t braces = 0;
  for (size_t i = 0; i < glob.size(); ++i) {
    if (glob[i] == '\\') {
      ++i;
    } else if (glob[i] == '[') {
      const size_t member = i + (glob.substr(i + 1, 1) == "!" ? 2 : 1);  // a `]` there is one too
      const size_t end = glob.find(']', member + 1);
      if (end == std::string_view::npos) return first_brace < i ? '{' : '[';
      i = end;
    } else if (glob[i] == '{') {
      if (braces++ == 0) first_brace = i;
    } else if (glob[i] == '}' && braces > 0 && --braces == 0) {
      first_brace = glob.size();
    }
  }
  return braces > 0 ? '{' : '\0';
}

}  // namespace ktap::event
