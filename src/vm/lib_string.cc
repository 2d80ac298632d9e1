// Library: string. Strings are bytes: positions count bytes from 1, negative ones from the end, and
// upper and lower know the letters of ASCII alone. Nothing is converted: a number is no string
// here.
#include <algorithm>
#include <cstdint>
#include <string>

#include "base/glob.h"
#include "base/limits.h"
#include "runtime/parse_number.h"
#include "runtime/string.h"
#include "runtime/table.h"
#include "vm/library.h"

namespace ktap::vm {

using runtime::Value;

namespace {

/// A position as scripts give it, from 1 on; a negative one counts from the end. 0 or less: before
/// the string.
int64_t from_start(int64_t position, size_t size) {
  if (position >= 0) return position;
  auto length = static_cast<int64_t>(size);
  return position < -length ? 0 : length + position + 1;
}

/// The call's first argument with each byte changed by `change`.
template <class Change>
bool give_changed(NativeCall& call, std::string_view function, Change change) {
  std::string_view text;
  if (!call.string_arg(function, 0, &text)) return false;
  std::string changed(text);
  std::transform(changed.begin(), changed.end(), changed.begin(), change);
  return call.give(changed);
}

bool two_strings(NativeCall& call, std::string_view function, std::string_view* a,
                 std::string_view* b) {
  return call.string_arg(function, 0, a) && call.string_arg(function, 1, b);
}

/// How many times `text` and the separators between make less than the bound; false when not.
bool repeated_fits(NativeCall& call, size_t text, size_t separator, int64_t count) {
  auto times = static_cast<uint64_t>(count);
  uint64_t step = text + separator;
  if (step == 0) return true;
  if (times > (uint64_t{limits::kMaxTextBytes} + separator) / step) {
    return call.fits(size_t{limits::kMaxTextBytes} + 1);
  }
  return true;
}

}  // namespace

namespace lib {

bool StringLen(NativeCall& call) {
  std::string_view text;
  return call.string_arg("string.len", 0, &text) &&
         call.give(Value::of(static_cast<int64_t>(text.size())));
}

bool StringSub(NativeCall& call) {
  std::string_view text;
  int64_t first = 0;
  int64_t last = -1;
  if (!call.string_arg("string.sub", 0, &text) || !call.integer_arg("string.sub", 1, &first))
    return false;
  if (call.has(2) && !call.integer_arg("string.sub", 2, &last)) return false;
  first = std::max<int64_t>(from_start(first, text.size()), 1);
  last = std::min(from_start(last, text.size()), static_cast<int64_t>(text.size()));
  if (first > last) return call.give("");
  if (first == 1 && last == static_cast<int64_t>(text.size())) return call.give(call.arg(0));
  return call.give(
      text.substr(static_cast<size_t>(first - 1), static_cast<size_t>(last - first + 1)));
}

bool StringFind(NativeCall& call) {
  std::string_view text;
  std::string_view what;
  int64_t from = 1;
  if (!two_strings(call, "string.find", &text, &what)) return false;
  if (call.has(2) && !call.integer_arg("string.find", 2, &from)) return false;
  from = std::max<int64_t>(from_start(from, text.size()), 1);
  if (static_cast<uint64_t>(from - 1) > text.size()) return call.give(Value::nil());
  auto begin = static_cast<size_t>(from - 1);
  bool is_glob = what.find_first_of("*?[") != std::string_view::npos;
  size_t at = is_glob ? glob_find(what, text, begin) : text.find(what, begin);
  if (at == std::string_view::npos) return call.give(Value::nil());
  return call.give(Value::of(static_cast<int64_t>(at) + 1));
}

bool StringUpper(NativeCall& call) {
  return give_changed(call, "string.upper", [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
}

bool StringLower(NativeCall& call) {
  return give_changed(call, "string.lower", [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
}

bool StringRep(NativeCall& call) {
  std::string_view text;
  std::string_view separator;
  int64_t count = 0;
  if (!call.string_arg("string.rep", 0, &text) || !call.integer_arg("string.rep", 1, &count))
    return false;
  if (call.has(2) && !call.string_arg("string.rep", 2, &separator)) return false;
  if (count <= 0 || text.size() + separator.size() == 0) return call.give("");
  if (!repeated_fits(call, text.size(), separator.size(), count)) return false;
  auto times = static_cast<size_t>(count);
  std::string out;
  out.reserve(times * (text.size() + separator.size()));
  for (size_t i = 0; i < times; ++i) {
    if (i > 0) out += separator;
    out += text;
  }
  return call.give(out);
}

bool StringByte(NativeCall& call) {
  std::string_view text;
  int64_t position = 1;
  if (!call.string_arg("string.byte", 0, &text)) return false;
  if (call.has(1) && !call.integer_arg("string.byte", 1, &position)) return false;
  uint64_t at = static_cast<uint64_t>(from_start(position, text.size())) - 1;
  if (at >= text.size()) return call.give(Value::nil());
  return call.give(Value::of(int64_t{static_cast<unsigned char>(text[at])}));
}

bool StringChar(NativeCall& call) {
  std::string out;
  for (size_t i = 0; i < call.count; ++i) {
    int64_t byte = 0;
    if (!call.integer_arg("string.char", i, &byte)) return false;
    if (byte < 0 || byte > 255) return call.out_of_range("string.char", i, "a byte, 0 to 255");
    out += static_cast<char>(byte);
  }
  return call.give(out);
}

bool StringSplit(NativeCall& call) {
  std::string_view text;
  std::string_view separator;
  if (!two_strings(call, "string.split", &text, &separator)) return false;
  if (separator.empty()) {
    return call.machine.fail("argument 2 of 'string.split' is to be a string that is not empty");
  }
  runtime::Table* pieces = call.machine.heap().table();
  int64_t count = 0;
  for (size_t begin = 0;;) {
    size_t end = text.find(separator, begin);
    std::string_view piece = text.substr(begin, end - begin);
    pieces->set(Value::of(++count), call.machine.string(piece));
    if (end == std::string_view::npos) break;
    begin = end + separator.size();
  }
  return call.give(Value::of_object(runtime::Type::Table, pieces));
}

bool StringTrim(NativeCall& call) {
  std::string_view text;
  return call.string_arg("string.trim", 0, &text) && call.give(runtime::trimmed(text));
}

bool StringStarts(NativeCall& call) {
  std::string_view text;
  std::string_view start;
  return two_strings(call, "string.starts", &text, &start) &&
         call.give(Value::of(text.substr(0, start.size()) == start));
}

bool StringEnds(NativeCall& call) {
  std::string_view text;
  std::string_view end;
  if (!two_strings(call, "string.ends", &text, &end)) return false;
  bool holds = end.size() <= text.size() && text.substr(text.size() - end.size()) == end;
  return call.give(Value::of(holds));
}

bool StringFormat(NativeCall& call) {
  std::string text;
  return call.machine.printf_text(call.args, call.count, text) && call.give(text);
}

}  // namespace lib
}  // namespace ktap::vm
