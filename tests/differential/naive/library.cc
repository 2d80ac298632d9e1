// The built-in functions that the naive evaluator knows: section 8 of the language without the
// kernel, the clocks and the terminal.
#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "naive/evaluator.h"

namespace ktap::naive {
namespace {

using sx = syntax::BinaryOp;

bool given(const Values& args, size_t i) {
  return i < args.size() && !std::holds_alternative<std::monostate>(args[i]);
}
template <class T>
const T& arg(const Values& args, size_t i) {
  const T* value = i < args.size() ? std::get_if<T>(&args[i]) : nullptr;
  if (value == nullptr) throw Failure{"argument of a wrong type"};
  return *value;
}
const std::string& string_arg(const Values& args, size_t i) { return arg<std::string>(args, i); }
int64_t integer_arg(const Values& args, size_t i) { return arg<int64_t>(args, i); }
int64_t integer_or(const Values& args, size_t i, int64_t otherwise) {
  return given(args, i) ? integer_arg(args, i) : otherwise;
}
const Value& number_arg(const Values& args, size_t i) {
  if (i >= args.size() || !is_number(args[i])) throw Failure{"not a number"};
  return args[i];
}
void count_args(const Values& args, size_t least, size_t most) {
  if (args.size() < least || args.size() > most) throw Failure{"wrong number of arguments"};
}

/// Position `i` of a string, from 1; what is before it is 0.
int64_t position(int64_t i, size_t size) {
  if (i >= 0) return i;
  const auto length = static_cast<int64_t>(size);
  return i < -length ? 0 : length + i + 1;
}

// ---- base

Value to_number(const std::string& full, bool has_base, int64_t base) {
  const char* const blanks = " \t\n\v\f\r";
  size_t begin = full.find_first_not_of(blanks);
  if (begin == std::string::npos) return {};
  std::string text = full.substr(begin, full.find_last_not_of(blanks) - begin + 1);
  bool negative = text[0] == '-';
  std::string digits = negative || text[0] == '+' ? text.substr(1) : text;
  bool is_hex = digits.size() > 2 && digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X') &&
                (!has_base || base == 16);
  int64_t radix = has_base ? base : is_hex ? 16 : 10;
  unsigned __int128 number = 0;
  std::string body = is_hex ? digits.substr(2) : digits;
  bool is_integer = !body.empty();
  const unsigned __int128 bound = static_cast<unsigned __int128>(1) << 64;
  for (char c : body) {
    int digit = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'z' ? c - 'a' + 10
                : c >= 'A' && c <= 'Z' ? c - 'A' + 10
                                       : 99;
    if (digit >= radix) is_integer = false;
    if (number < bound)
      number = number * static_cast<unsigned>(radix) + static_cast<unsigned>(digit);
  }
  if (radix == 10 && number > (bound >> 1) - (negative ? 0 : 1)) is_integer = is_integer && false;
  if (is_integer && number < bound) {
    auto bits = static_cast<uint64_t>(number);
    return static_cast<int64_t>(negative ? 0 - bits : bits);
  }
  if (has_base || is_hex || digits.empty() || digits[0] == '-' || digits[0] == '+' ||
      digits.find_first_not_of("0123456789.eE+-") != std::string::npos)
    return {};
  char* end = nullptr;
  double value = std::strtod(digits.c_str(), &end);
  if (end != digits.c_str() + digits.size()) return {};
  return negative ? -value : value;
}

Values native_tonumber(Evaluator&, Values& args) {
  count_args(args, 1, 2);
  bool has_base = given(args, 1);
  if (!has_base && is_number(args[0])) return {args[0]};
  if (!has_base && !std::holds_alternative<std::string>(args[0])) return {Value{}};
  const std::string& text = string_arg(args, 0);
  int64_t base = has_base ? integer_arg(args, 1) : 10;
  if (base < 2 || base > 36) throw Failure{"a base is 2 to 36"};
  return {to_number(text, has_base, base)};
}

std::string line_of(const Values& args) {
  std::string line;
  for (const Value& value : args) line += (&value == args.data() ? "" : "\t") + text(value);
  return line + "\n";
}
Values native_print(Evaluator& self, Values& args) {
  self.print(line_of(args));
  return {};
}
/// As the VM's fake host marks it.
Values native_warn(Evaluator& self, Values& args) {
  self.print("! " + line_of(args));
  return {};
}
Values native_printf(Evaluator& self, Values& args) {
  self.print(formatted(args));
  return {};
}
Values native_format(Evaluator& self, Values& args) {
  std::string out = formatted(args);
  self.check_text(out.size());
  return {out};
}
Values native_tostring(Evaluator&, Values& args) {
  count_args(args, 1, 1);
  return {text(args[0])};
}
Values native_type(Evaluator&, Values& args) {
  count_args(args, 1, 1);
  return {type_name(args[0])};
}

Values native_len(Evaluator&, Values& args) {
  count_args(args, 1, 1);
  size_t size = 0;
  if (const auto* string = std::get_if<std::string>(&args[0])) {
    size = string->size();
  } else if (Table* const* table = std::get_if<Table*>(&args[0])) {
    size = (*table)->entries.size();
  } else {
    size = arg<const Tuple*>(args, 0)->parts.size();
  }
  return {static_cast<int64_t>(size)};
}

Values native_delete(Evaluator& self, Values& args) {
  if (args.size() == 1 && std::holds_alternative<Aggregate*>(args[0])) {
    *std::get<Aggregate*>(args[0]) = {};
    return {};
  }
  Table* table = arg<Table*>(args, 0);
  if (args.size() == 1) {
    table->entries.clear();
    return {};
  }
  Value key = args[1];
  if (args.size() > 2) key = self.new_tuple(Values(args.begin() + 1, args.end()));
  const auto is_nil = [](const Value& v) { return std::holds_alternative<std::monostate>(v); };
  if (std::any_of(args.begin() + 1, args.end(), is_nil)) return {};
  if (!valid_key(key)) throw Failure{"cannot be a key"};
  table->entries.erase(key);
  return {};
}

Values native_error(Evaluator&, Values& args) {
  count_args(args, 1, 1);
  throw Failure{text(args[0])};
}
Values native_assert(Evaluator&, Values& args) {
  count_args(args, 1, 2);
  if (!truthy(args[0])) throw Failure{"assertion failed"};
  return {args[0]};
}
Values native_exit(Evaluator&, Values& args) {
  if (given(args, 0)) integer_arg(args, 0);
  throw Exit{};
}

// ---- aggregates

Values read_aggregate(Values& args, int64_t (*read)(const Aggregate&), bool nil_when_empty) {
  count_args(args, 1, 1);
  Aggregate* const* aggregate = std::get_if<Aggregate*>(&args[0]);
  if (aggregate == nullptr && !std::holds_alternative<std::monostate>(args[0]))
    throw Failure{"takes an aggregate"};
  if (aggregate != nullptr && (*aggregate)->count > 0) return {read(**aggregate)};
  if (nil_when_empty) return {Value{}};
  return {int64_t{0}};
}

Values native_count(Evaluator& self, Values& args) {
  if (args.size() == 1)
    return read_aggregate(
        args, [](const Aggregate& a) { return a.count; }, false);
  count_args(args, 1, 2);
  self.update_cell(args[0], args[1], sx::Add, int64_t{1});
  return {};
}
Values native_sum(Evaluator&, Values& args) {
  return read_aggregate(
      args, [](const Aggregate& a) { return static_cast<int64_t>(a.sum); }, false);
}
Values native_min(Evaluator&, Values& args) {
  return read_aggregate(
      args, [](const Aggregate& a) { return a.min; }, true);
}
Values native_max(Evaluator&, Values& args) {
  return read_aggregate(
      args, [](const Aggregate& a) { return a.max; }, true);
}
Values native_avg(Evaluator&, Values& args) {
  return read_aggregate(
      args, [](const Aggregate& a) { return static_cast<int64_t>(a.sum / a.count); }, false);
}
Values native_aggr(Evaluator& self, Values&) { return {self.new_aggregate()}; }
Values native_table_count(Evaluator& self, Values& args) {
  count_args(args, 2, 3);
  self.update_cell(args[0], args[1], sx::Add, given(args, 2) ? args[2] : Value{int64_t{1}});
  return {};
}

// ---- string

Values string_len(Evaluator&, Values& args) {
  return {static_cast<int64_t>(string_arg(args, 0).size())};
}
Values string_sub(Evaluator&, Values& args) {
  const std::string& s = string_arg(args, 0);
  int64_t first = position(integer_arg(args, 1), s.size());
  int64_t last = position(integer_or(args, 2, -1), s.size());
  std::string out;
  for (int64_t i = 1; i <= static_cast<int64_t>(s.size()); ++i) {
    if (i >= first && i <= last) out += s[static_cast<size_t>(i) - 1];
  }
  return {out};
}
Values string_find(Evaluator& self, Values& args) {
  const std::string& s = string_arg(args, 0);
  const std::string& what = string_arg(args, 1);
  int64_t from = std::max<int64_t>(position(integer_or(args, 2, 1), s.size()), 1);
  bool is_glob = what.find_first_of("*?[") != std::string::npos;
  for (int64_t at = from; at <= static_cast<int64_t>(s.size()) + 1; ++at) {
    const auto begin = static_cast<size_t>(at) - 1;
    if (!is_glob && s.compare(begin, what.size(), what) == 0) return {at};
    for (size_t length = 0; is_glob && length <= s.size() - begin; ++length) {
      if (self.match(what, s.substr(begin, length))) return {at};
    }
  }
  return {Value{}};
}
Values change_case(Values& args, char from, char to) {
  std::string s = string_arg(args, 0);
  for (char& c : s) {
    if (c >= from && c <= from + 25) c = static_cast<char>(c - from + to);
  }
  return {s};
}
Values string_upper(Evaluator&, Values& args) { return change_case(args, 'a', 'A'); }
Values string_lower(Evaluator&, Values& args) { return change_case(args, 'A', 'a'); }
Values string_rep(Evaluator& self, Values& args) {
  const std::string& s = string_arg(args, 0);
  int64_t count = integer_arg(args, 1);
  std::string between = given(args, 2) ? string_arg(args, 2) : "";
  std::string out;
  if (s.empty() && between.empty()) return {out};
  for (int64_t i = 0; i < count; ++i) {
    out += (i > 0 ? between : "") + s;
    self.check_text(out.size());
  }
  return {out};
}
Values string_byte(Evaluator&, Values& args) {
  const std::string& s = string_arg(args, 0);
  int64_t at = position(integer_or(args, 1, 1), s.size());
  if (at < 1 || at > static_cast<int64_t>(s.size())) return {Value{}};
  return {int64_t{static_cast<unsigned char>(s[static_cast<size_t>(at) - 1])}};
}
Values string_char(Evaluator&, Values& args) {
  std::string out;
  for (size_t i = 0; i < args.size(); ++i) {
    int64_t byte = integer_arg(args, i);
    if (byte < 0 || byte > 255) throw Failure{"not a byte"};
    out += static_cast<char>(byte);
  }
  return {out};
}
Values string_split(Evaluator& self, Values& args) {
  const std::string& s = string_arg(args, 0);
  const std::string& separator = string_arg(args, 1);
  if (separator.empty()) throw Failure{"an empty separator"};
  Table* parts = self.new_table();
  size_t begin = 0;
  for (int64_t i = 1;; ++i) {
    size_t end = s.find(separator, begin);
    set(*parts, i, s.substr(begin, end == std::string::npos ? end : end - begin));
    if (end == std::string::npos) return {parts};
    begin = end + separator.size();
  }
}
Values string_trim(Evaluator&, Values& args) {
  const std::string& s = string_arg(args, 0);
  size_t begin = s.find_first_not_of(" \t\n\v\f\r");
  if (begin == std::string::npos) return {std::string()};
  return {s.substr(begin, s.find_last_not_of(" \t\n\v\f\r") - begin + 1)};
}
Values string_starts(Evaluator&, Values& args) {
  const std::string& with = string_arg(args, 1);
  return {string_arg(args, 0).compare(0, with.size(), with) == 0};
}
Values string_ends(Evaluator&, Values& args) {
  const std::string& s = string_arg(args, 0);
  const std::string& with = string_arg(args, 1);
  return {s.size() >= with.size() && s.substr(s.size() - with.size()) == with};
}

// ---- math

Values math_abs(Evaluator&, Values& args) {
  const Value& n = number_arg(args, 0);
  const int64_t* integer = std::get_if<int64_t>(&n);
  if (integer == nullptr) return {std::fabs(to_double(n))};
  auto bits = static_cast<uint64_t>(*integer);
  return {*integer < 0 ? static_cast<int64_t>(0 - bits) : *integer};
}
Values extreme(Values& args, int wanted) {
  Value best = number_arg(args, 0);
  for (size_t i = 1; i < args.size(); ++i) {
    if (compare_numbers(number_arg(args, i), best) == wanted) best = args[i];
  }
  return {best};
}
Values math_min(Evaluator&, Values& args) { return extreme(args, -1); }
Values math_max(Evaluator&, Values& args) { return extreme(args, 1); }
Values math_log2(Evaluator&, Values& args) {
  const Value& n = number_arg(args, 0);
  const int64_t* integer = std::get_if<int64_t>(&n);
  if (integer == nullptr) return {std::log2(to_double(n))};
  if (*integer <= 0) throw Failure{"no logarithm"};
  int64_t log = 0;
  for (int64_t rest = *integer; rest > 1; rest /= 2) ++log;
  return {log};
}
Values math_floor(Evaluator&, Values& args) {
  const Value& n = number_arg(args, 0);
  if (std::holds_alternative<int64_t>(n)) return {n};
  double whole = std::floor(to_double(n));
  if (!(whole >= -9223372036854775808.0 && whole < 9223372036854775808.0))
    throw Failure{"out of range"};
  return {static_cast<int64_t>(whole)};
}

// ---- table

int64_t list_length(const Table& table) {
  int64_t n = 0;
  while (table.entries.count(Value{n + 1}) != 0) ++n;
  if (n > 1000) throw GaveUp{"a long list"};
  return n;
}
Values table_new(Evaluator& self, Values& args) {
  for (size_t i = 0; i < args.size(); ++i) {
    int64_t size = integer_or(args, i, 0);
    if (size < 0 || size > INT64_C(0xffffffff)) throw Failure{"no such size"};
  }
  return {self.new_table()};
}
Values table_insert(Evaluator&, Values& args) {
  count_args(args, 2, 3);
  Table& table = *arg<Table*>(args, 0);
  int64_t n = list_length(table);
  int64_t at = args.size() == 3 ? integer_or(args, 1, n + 1) : n + 1;
  if (at < 1 || at > n + 1) throw Failure{"no such position"};
  for (int64_t i = n; i >= at; --i) set(table, i + 1, get(table, i));
  set(table, at, args.back());
  return {};
}
Values table_remove(Evaluator&, Values& args) {
  count_args(args, 1, 2);
  Table& table = *arg<Table*>(args, 0);
  int64_t n = list_length(table);
  int64_t at = integer_or(args, 1, n);
  if (given(args, 1) && (at < 1 || at > n + 1)) throw Failure{"no such position"};
  if (at < 1 || at > n) return {Value{}};
  Value removed = get(table, at);
  for (int64_t i = at; i <= n; ++i) set(table, i, get(table, i + 1));
  return {removed};
}
Values table_concat(Evaluator& self, Values& args) {
  Table& table = *arg<Table*>(args, 0);
  std::string separator = given(args, 1) ? string_arg(args, 1) : "";
  int64_t first = integer_or(args, 2, 1);
  int64_t last = integer_or(args, 3, list_length(table));
  std::string out;
  for (int64_t i = first; i <= last; ++i) {
    Value item = get(table, i);
    if (!is_number(item) && !std::holds_alternative<std::string>(item))
      throw Failure{"neither string nor number"};
    out += (i > first ? separator : "") + text(item);
    self.check_text(out.size());
  }
  return {out};
}
Values table_sort(Evaluator& self, Values& args) {
  Table& table = *arg<Table*>(args, 0);
  Table items;
  int64_t n = list_length(table);
  for (int64_t i = 1; i <= n; ++i) set(items, i, get(table, i));
  Value compare = given(args, 1) ? args[1] : Value{};
  Values keys = self.sorted_keys(items, true, compare);
  for (int64_t i = 1; i <= n; ++i) set(table, i, get(items, keys[static_cast<size_t>(i) - 1]));
  return {};
}

}  // namespace

bool is_beyond(const std::string& name) {
  static const std::set<std::string> kNames = {"arg",
                                               "ansi",
                                               "net",
                                               "kdebug",
                                               "stack",
                                               "ustack",
                                               "backtrace",
                                               "print_backtrace",
                                               "ksym",
                                               "ipof",
                                               "usym",
                                               "timer",
                                               "hist",
                                               "quantile",
                                               "stddev",
                                               "print_hist",
                                               "histogram",
                                               "print_flame",
                                               "print_heatmap",
                                               "print_table",
                                               "sparkline",
                                               "stringof",
                                               "strftime",
                                               "ns",
                                               "rand",
                                               "pid",
                                               "gettimeofday_ns",
                                               "gettimeofday_us",
                                               "gettimeofday_ms",
                                               "num_cpus",
                                               "arch",
                                               "kernel_v",
                                               "syscall_name",
                                               "errno_name",
                                               "signal_name",
                                               "enum_name",
                                               "gettimeofday_s"};
  return kNames.count(name) != 0;
}

Native find_native(const std::string& name) {
  using Plain = Values (*)(Evaluator&, Values&);
  static const std::map<std::string, Plain> kNatives = {
      {"print", native_print},
      {"printf", native_printf},
      {"warn", native_warn},
      {"format", native_format},
      {"tostring", native_tostring},
      {"tonumber", native_tonumber},
      {"type", native_type},
      {"len", native_len},
      {"delete", native_delete},
      {"error", native_error},
      {"assert", native_assert},
      {"exit", native_exit},
      {"count", native_count},
      {"sum", native_sum},
      {"min", native_min},
      {"max", native_max},
      {"avg", native_avg},
      {"aggr", native_aggr},
      {"table_count", native_table_count},
      {"inplace_inc", native_count},
      {"ptable", table_new},
      {"string.len", string_len},
      {"string.sub", string_sub},
      {"string.find", string_find},
      {"string.upper", string_upper},
      {"string.lower", string_lower},
      {"string.rep", string_rep},
      {"string.byte", string_byte},
      {"string.char", string_char},
      {"string.split", string_split},
      {"string.trim", string_trim},
      {"string.starts", string_starts},
      {"string.ends", string_ends},
      {"string.format", native_format},
      {"math.abs", math_abs},
      {"math.min", math_min},
      {"math.max", math_max},
      {"math.log2", math_log2},
      {"math.floor", math_floor},
      {"table.new", table_new},
      {"table.insert", table_insert},
      {"table.remove", table_remove},
      {"table.concat", table_concat},
      {"table.sort", table_sort},
  };
  auto at = kNatives.find(name);
  return at == kNatives.end() ? Native{} : Native{at->second};
}

}  // namespace ktap::naive
