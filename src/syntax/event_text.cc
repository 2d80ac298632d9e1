// Finds the end of event texts, their filters and their bodies. Works on bytes: `:`, `%`, `*`,
// paths and fetch arguments make no tokens. What the text means is the event catalog's business.
#include "syntax/event_text.h"

#include <algorithm>

#include "base/chars.h"
#include "base/name_brackets.h"
#include "syntax/parser.h"
#include "syntax/token.h"

namespace ktap::syntax {
namespace {

/// The offset behind the string that opens at `at`, or 0 when it does not end on its line.
size_t skip_quoted(std::string_view text, size_t at) {
  char quote = text[at];
  for (size_t i = at + 1; i < text.size() && text[i] != '\n'; ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == quote) {
      return i + 1;
    }
  }
  return 0;
}

size_t skip_blanks(std::string_view text, size_t at) {
  while (at < text.size() && is_blank(text[at])) ++at;
  return at;
}

/// The end of text[begin, end) without the blanks at its end.
size_t trim_end(std::string_view text, size_t begin, size_t end) {
  while (end > begin && is_blank(text[end - 1])) --end;
  return end;
}

/// The text goes on in a line that can only be a new statement: the body was forgotten.
bool begins_statement(std::string_view text, size_t newline, size_t begin) {
  size_t before = trim_end(text, begin, newline);
  if (before > begin && text[before - 1] == ',') return false;
  size_t word = skip_blanks(text, newline);
  size_t end = word;
  while (end < text.size() && is_name_part(text[end])) ++end;
  if (end == word || !is_keyword(text.substr(word, end - word))) return false;
  return end == text.size() || is_blank(text[end]) || text[end] == '(' || text[end] == '-' ||
         text[end] == '{';
}

class Scanner {
 public:
  Scanner(std::string_view text, uint32_t begin, bool timer) : text_(text), timer_(timer) {
    at_ = skip_blanks(text, begin);
    scan_.text_begin = static_cast<uint32_t>(at_);
  }

  EventTextScan run() {
    while (at_ < text_.size()) {
      char c = text_[at_];
      if (c == '"' || c == '\'') {
        size_t after = skip_quoted(text_, at_);
        if (after == 0) return stop_at_line(EventTextProblem::UnterminatedQuote, at_);
        at_ = after;
        continue;
      }
      if (begins_comment()) {
        set_problem(EventTextProblem::Comment, at_);
        at_ = std::min(text_.find('\n', at_), text_.size());
        continue;
      }
      if (c == '\n' && begins_statement(text_, at_, scan_.text_begin)) break;
      if (c == '{' && opens_body()) return finish();
      if (c == '/' && !scan_.has_filter && after_blank()) {
        scan_.has_filter = true;
        scan_.filter_begin = static_cast<uint32_t>(at_ + 1);
        scan_.text_end = static_cast<uint32_t>(trim_end(text_, scan_.text_begin, at_));
      }
      ++at_;
    }
    return stop_at_line(EventTextProblem::NoBody, scan_.text_begin);
  }

 private:
  bool after_blank() const { return at_ == scan_.text_begin || is_blank(text_[at_ - 1]); }

  /// A `#` inside a word may belong to a path.
  bool begins_comment() const {
    return text_[at_] == '#' && (scan_.has_filter || timer_ || after_blank());
  }

  /// The first one is told.
  void set_problem(EventTextProblem problem, size_t where) {
    if (scan_.problem != EventTextProblem::None) return;
    scan_.problem = problem;
    scan_.problem_at = static_cast<uint32_t>(where);
  }

  bool opens_body() {
    if (scan_.has_filter) {
      return after_blank() || (text_[at_ - 1] == '/' && at_ > scan_.filter_begin);
    }
    char next = at_ + 1 < text_.size() ? text_[at_ + 1] : ' ';
    bool glob = !is_blank(next) && next != '}';
    if (at_ == scan_.text_begin) return !glob;  // `trace { }`: no event at all
    if (after_blank()) return !is_parameter();
    if (glob && !timer_) return false;
    set_problem(EventTextProblem::GluedBody, at_);
    return true;
  }

  /// `f(int, {lambda(int)#1})`: a type of C++, in a function's parameters or a template's.
  bool is_parameter() const {
    const std::string_view before = text_.substr(scan_.text_begin, at_ - scan_.text_begin);
    const auto has_open = [before](char open, char close) {
      return std::count(before.begin(), before.end(), open) >
             std::count(before.begin(), before.end(), close);
    };
    return is_unnamed_type(text_, at_) && (has_open('(', ')') || has_open('<', '>'));
  }

  EventTextScan finish() {
    scan_.has_body = true;
    scan_.body = static_cast<uint32_t>(at_);
    size_t end = trim_end(text_, scan_.text_begin, at_);
    if (!scan_.has_filter) {
      scan_.text_end = static_cast<uint32_t>(end);
    } else if (end > scan_.filter_begin && text_[end - 1] == '/') {
      scan_.filter_end = static_cast<uint32_t>(end - 1);
    } else {
      set_problem(EventTextProblem::UnclosedFilter, scan_.filter_begin - 1);
      scan_.filter_end = static_cast<uint32_t>(end);
    }
    return scan_;
  }

  /// There is no body to be found: the text is what stands on its first line, parsing goes on
  /// behind.
  EventTextScan stop_at_line(EventTextProblem problem, size_t where) {
    size_t line_end = text_.find('\n', where);
    if (line_end == std::string_view::npos) line_end = text_.size();
    set_problem(problem, where);
    scan_.text_end = static_cast<uint32_t>(trim_end(text_, scan_.text_begin, line_end));
    scan_.has_filter = false;
    scan_.body = static_cast<uint32_t>(line_end);
    return scan_;
  }

  std::string_view text_;
  bool timer_;
  size_t at_ = 0;
  EventTextScan scan_;
};

}  // namespace

EventTextScan scan_event_text(std::string_view text, uint32_t begin, bool timer) {
  return Scanner(text, begin, timer).run();
}

EventTextSplit split_event_text(std::string_view text) {
  EventTextSplit split;
  size_t begin = skip_blanks(text, 0);
  size_t end = trim_end(text, begin, text.size());
  for (size_t i = begin; i < end; ++i) {
    if (text[i] == '"' || text[i] == '\'') {
      size_t after = skip_quoted(text, i);
      if (after != 0) i = after - 1;
    } else if (text[i] == '/' && (i == begin || is_blank(text[i - 1]))) {
      split.text = text.substr(begin, trim_end(text, begin, i) - begin);
      split.filter_begin = static_cast<uint32_t>(i + 1);
      split.closed = text[end - 1] == '/' && end - 1 > i;
      split.filter_end = static_cast<uint32_t>(split.closed ? end - 1 : end);
      return split;
    }
  }
  split.text = text.substr(begin, end - begin);
  return split;
}

GlobWord glob_word(std::string_view event_text, std::string_view filter, size_t begin) {
  size_t at = skip_blanks(filter, begin);
  if (event_text != "ftrace:function" || filter.substr(at, 2) != "ip") return {};
  at = skip_blanks(filter, at + 2);
  if (filter.substr(at, 2) == "==") {
    at += 2;
  } else if (filter.substr(at, 1) == "~") {
    at += 1;
  } else {
    return {};
  }
  at = skip_blanks(filter, at);
  const size_t end = trim_end(filter, at, filter.size());
  const std::string_view word = filter.substr(at, end - at);
  constexpr std::string_view kLetters =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.*?";
  const bool is_glob = word.find_first_of("*?") != std::string_view::npos &&
                       word.find_first_not_of(kLetters) == std::string_view::npos;
  if (!is_glob) return {};
  return {static_cast<uint32_t>(at), static_cast<uint32_t>(end)};
}

size_t find_comment(std::string_view text, size_t filter_begin) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"' || text[i] == '\'') {
      size_t after = skip_quoted(text, i);
      if (after != 0) i = after - 1;
    } else if (text[i] == '#') {
      const bool in_filter = filter_begin != 0 && i >= filter_begin;
      if (in_filter || i == 0 || is_blank(text[i - 1])) return i;
    }
  }
  return std::string_view::npos;
}

std::vector<EventPart> event_parts(std::string_view text) {
  std::vector<EventPart> parts;
  auto add = [&](size_t begin, size_t end) {
    size_t first = skip_blanks(text.substr(0, end), begin);
    parts.push_back(
        {static_cast<uint32_t>(first), static_cast<uint32_t>(trim_end(text, first, end))});
  };
  size_t begin = 0;
  const NameBrackets brackets(text);
  for (size_t i = 0; i < text.size();) {
    char c = text[i];
    if (c == '"' || c == '\'') {
      size_t after = skip_quoted(text, i);
      i = after != 0 ? after : i + 1;
      continue;
    }
    if (c == ',') {
      add(begin, i);
      begin = i + 1;
    }
    i = brackets.behind(i);
  }
  add(begin, text.size());
  return parts;
}

std::string with_blank_before_filter(std::string_view part) {
  const size_t end = trim_end(part, 0, part.size());
  size_t name = 0;  // behind the last colon, so that no slash of a path is meant
  for (size_t i = 0; i < end; ++i) {
    const size_t after = part[i] == '"' || part[i] == '\'' ? skip_quoted(part, i) : 0;
    if (after != 0) i = after - 1;
    if (part[i] == ':') name = i + 1;
  }
  size_t slash = part.find('/', name);
  // mem:ADDRESS/4/cpu == 0/: its length.
  if (slash != std::string_view::npos && part.starts_with("mem:")) {
    size_t digits = slash + 1;
    while (digits < end && is_digit(part[digits])) ++digits;
    if (digits > slash + 1 && digits < end && part[digits] == '/') slash = digits;
  }
  if (slash == std::string_view::npos || slash + 1 >= end || part[end - 1] != '/') return "";
  // A name stands there, and no path alone (`probe:./a/`).
  const std::string_view head = part.substr(0, slash);
  if (slash == name || is_blank(head.back()) || slash + 2 >= end || head.ends_with(":.") ||
      head.ends_with(":.."))
    return "";
  std::string out(head);
  out += ' ';
  return out += part.substr(slash, end - slash);
}

std::string glued_filter_hint(std::string_view part) {
  const std::string mended = with_blank_before_filter(part);
  return mended.empty() ? mended : "a blank stands before a filter: " + mended;
}

}  // namespace ktap::syntax
