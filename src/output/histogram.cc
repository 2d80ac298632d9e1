// The pictures of print_hist, column for column the one of the first ktap (README of 2013): each
// bar is the share of the sum of all values, also of those that are not shown.
#include "output/histogram.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/printable.h"
#include "runtime/aggregate.h"
#include "runtime/code_address.h"
#include "runtime/histogram.h"
#include "runtime/number.h"
#include "runtime/picture.h"
#include "runtime/stack.h"
#include "runtime/text.h"
#include "runtime/tuple.h"

namespace ktap::output {
namespace {

using runtime::kPictureBarColumns;
using runtime::Type;
using runtime::Value;
using runtime::Wide;

using Entries = std::vector<std::pair<Value, Value>>;

constexpr size_t kCutKeyColumns = 28;

/// The sum of all values, exact for integers: 2^64 values of 63 bits do not overflow it.
class Sum {
 public:
  void add(Value value) {
    if (value.type == Type::Float) {
      floats_ += value.number;
      exact_ = false;
    } else {
      integers_ += value.integer;
    }
  }

  /// value × 39 / sum, cut; 0 for a negative value or a sum that is not over 0.
  int bar(Value value) const {
    if (exact_) {
      if (value.integer <= 0 || integers_ <= 0) return 0;
      const Wide length = static_cast<Wide>(value.integer) * kPictureBarColumns / integers_;
      return static_cast<int>(std::min<Wide>(length, kPictureBarColumns));
    }
    double sum = floats_ + static_cast<double>(integers_);
    double length = runtime::to_double(value) * kPictureBarColumns / sum;
    if (!(sum > 0) || !(length > 0)) return 0;
    return static_cast<int>(std::min<double>(length, kPictureBarColumns));
  }

 private:
  Wide integers_ = 0;
  double floats_ = 0;
  bool exact_ = true;
};

bool is_distribution(Value value) {
  return value.type == Type::Aggregate || value.type == Type::Histogram;
}

bool is_drawable(Value value) {
  return value.is_number() && !(value.type == Type::Float && value.number != value.number);
}

/// By value descending, ties by key.
bool before(const std::pair<Value, Value>& a, const std::pair<Value, Value>& b) {
  if (runtime::number_less(b.second, a.second)) return true;
  if (runtime::number_less(a.second, b.second)) return false;
  return runtime::compare_keys(a.first, b.first) < 0;
}

bool key_before(const std::pair<Value, Value>& a, const std::pair<Value, Value>& b) {
  return runtime::compare_keys(a.first, b.first) < 0;
}

uint64_t samples(Value value) {
  return value.type == Type::Aggregate ? static_cast<uint64_t>(value.aggregate()->count())
                                       : value.histogram()->distribution().total();
}

bool samples_before(const std::pair<Value, Value>& a, const std::pair<Value, Value>& b) {
  const uint64_t left = samples(a.second);
  const uint64_t right = samples(b.second);
  return left != right ? left > right : key_before(a, b);
}

/// Puts the first of that order in front; returns how many are to be shown.
template <class Before>
size_t pick(Entries& entries, int64_t rows, Before before) {
  const auto shown = std::clamp<int64_t>(rows, 0, static_cast<int64_t>(entries.size()));
  std::partial_sort(entries.begin(), entries.begin() + shown, entries.end(), before);
  return static_cast<size_t>(shown);
}

/// All entries are numbers, or all are distributions.
bool check(const Entries& entries, std::string* error) {
  const bool distributions = !entries.empty() && is_distribution(entries[0].second);
  for (const auto& [key, value] : entries) {
    if (distributions ? is_distribution(value) : is_drawable(value)) continue;
    if (is_distribution(value) || (distributions && value.is_number())) {
      *error = fmt::format(
          "print_hist draws numbers or aggregates, not both: the value of '{}' is {}, that of '{}' "
          "is {}",
          histogram_key(entries[0].first), runtime::type_phrase(entries[0].second.type),
          histogram_key(key), runtime::type_phrase(value.type));
    } else {
      *error = fmt::format("print_hist draws numbers or aggregates, the value of '{}' is {}",
                           histogram_key(key),
                           value.is_number() ? "not a number" : runtime::type_phrase(value.type));
    }
    return false;
  }
  return true;
}

/// A multi-key with one.
bool has_address(Value key) {
  if (key.type != Type::Tuple) return false;
  const runtime::Tuple& parts = *key.tuple();
  return std::any_of(parts.parts(), parts.parts() + parts.size(),
                     [](Value part) { return part.type == Type::Address; });
}

/// A key of several lines, in full.
void append_lines(std::string& out, Value key) {
  std::string text;
  runtime::append_key_text(text, key);
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    out += printable(line);
    out += '\n';
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
  }
}

/// An address is its function alone, as it was with the first ktap.
void append_key(std::string& out, Value key) {
  if (key.type == Type::Address) {
    out += runtime::address_function(*key.address());
    return;
  }
  if (!has_address(key)) return runtime::append_text(out, key);
  const runtime::Tuple& parts = *key.tuple();
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) out += ", ";
    append_key(out, parts[i]);
  }
}

std::string key_text(Value key) {
  std::string text;
  append_key(text, key);
  return printable(text);
}

void draw_numbers(Entries& entries, int64_t rows, std::string& out) {
  Sum sum;
  for (const auto& entry : entries) sum.add(entry.second);
  const size_t shown = pick(entries, rows, before);
  runtime::append_picture_header(out);
  for (size_t i = 0; i < shown; ++i) {
    const auto& [key, value] = entries[i];
    const bool is_above = runtime::has_stack(key);
    if (is_above) append_lines(out, key);
    runtime::append_picture_row(out, is_above ? std::string() : histogram_key(key), sum.bar(value),
                                runtime::to_text(value));
  }
  if (shown < entries.size()) runtime::append_picture_more(out);
}

void draw_distributions(Entries& entries, std::optional<int64_t> rows, std::string& out) {
  const size_t shown = rows ? pick(entries, *rows, samples_before) : entries.size();
  std::sort(entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(shown), key_before);
  for (size_t i = 0; i < shown; ++i) {
    if (runtime::has_stack(entries[i].first)) {
      append_lines(out, entries[i].first);
    } else {
      out += key_text(entries[i].first);
      out += '\n';
    }
    print_distribution(entries[i].second, out);
  }
  if (shown < entries.size()) out += "...\n";
}

}  // namespace

std::string histogram_key(Value key) {
  std::string text = key_text(key);
  if (runtime::text_columns(text) <= runtime::kPictureKeyColumns) return text;
  return std::string(runtime::first_columns(text, kCutKeyColumns)) + "...";
}

bool print_hist(const runtime::Table& table, std::optional<int64_t> rows, std::string& out,
                std::string* error) {
  Entries entries = table.entries();
  for (const auto& entry : entries) {
    if (entry.second.type == Type::Aggregate) entry.second.aggregate()->refresh();
  }
  if (!check(entries, error)) return false;
  if (!entries.empty() && is_distribution(entries[0].second)) {
    draw_distributions(entries, rows, out);
  } else {
    draw_numbers(entries, rows.value_or(kDefaultHistogramRows), out);
  }
  return true;
}

bool print_distribution(Value value, std::string& out) {
  if (!is_distribution(value)) return false;
  if (value.type == Type::Aggregate) {
    value.aggregate()->refresh();
    runtime::append_distribution(out, value.aggregate()->pow2());
  } else {
    runtime::append_distribution(out, value.histogram()->distribution());
  }
  return true;
}

}  // namespace ktap::output
