// The picture of print_hist, column for column the one of the first ktap (README of 2013): each bar
// is the value's share of the sum of all values, also of those that are not shown.
#include "output/histogram.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/printable.h"
#include "runtime/number.h"
#include "runtime/text.h"

namespace ktap::output {
namespace {

using runtime::Type;
using runtime::Value;

constexpr size_t kKeyColumns = 32;
constexpr size_t kCutKeyColumns = 28;
constexpr int kBarColumns = 39;

/// Columns of UTF-8 text, one a code point: bytes that do not continue one.
size_t columns(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

/// The first `count` code points.
std::string_view first_columns(std::string_view text, size_t count) {
  size_t seen = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if ((text[i] & 0xc0) != 0x80 && seen++ == count) return text.substr(0, i);
  }
  return text;
}

void append_key(std::string& out, std::string_view text) {
  size_t width = columns(text);
  out.append(width < kKeyColumns ? kKeyColumns - width : 0, ' ');
  out.append(text).append(" |");
}

__extension__ typedef __int128 Wide;  // 2^64 values of 63 bits do not overflow it

/// The sum of all values, exact for integers.
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
      return static_cast<int>(
          std::min<Wide>(static_cast<Wide>(value.integer) * kBarColumns / integers_, kBarColumns));
    }
    double sum = floats_ + static_cast<double>(integers_);
    double length = runtime::to_double(value) * kBarColumns / sum;
    if (!(sum > 0) || !(length > 0)) return 0;
    return static_cast<int>(std::min<double>(length, kBarColumns));
  }

 private:
  Wide integers_ = 0;
  double floats_ = 0;
  bool exact_ = true;
};

bool before(const std::pair<Value, Value>& a, const std::pair<Value, Value>& b) {
  if (runtime::number_less(b.second, a.second)) return true;
  if (runtime::number_less(a.second, b.second)) return false;
  return runtime::compare_keys(a.first, b.first) < 0;
}

}  // namespace

std::string histogram_key(Value key) {
  std::string text = printable(runtime::to_text(key));
  if (columns(text) <= kKeyColumns) return text;
  return std::string(first_columns(text, kCutKeyColumns)) + "...";
}

bool print_hist(const runtime::Table& table, int64_t rows, std::string& out, std::string* error) {
  auto entries = table.entries();
  Sum sum;
  for (const auto& [key, value] : entries) {
    if (!value.is_number() || (value.type == Type::Float && value.number != value.number)) {
      *error = fmt::format("print_hist draws numbers, the value of '{}' is {}", histogram_key(key),
                           value.is_number() ? "not a number" : runtime::type_phrase(value.type));
      return false;
    }
    sum.add(value);
  }
  size_t shown =
      static_cast<size_t>(std::clamp<int64_t>(rows, 0, static_cast<int64_t>(entries.size())));
  auto middle = entries.begin() + static_cast<std::ptrdiff_t>(shown);
  std::partial_sort(entries.begin(), middle, entries.end(), before);

  out.append(kKeyColumns - 6, ' ').append("value ------------- Distribution ------------- count\n");
  for (auto row = entries.begin(); row != middle; ++row) {
    append_key(out, histogram_key(row->first));
    auto bar = static_cast<size_t>(sum.bar(row->second));
    out.append(bar, '@').append(static_cast<size_t>(kBarColumns) - bar, ' ');
    runtime::append_text(out, row->second);
    out += '\n';
  }
  if (shown < entries.size()) {
    append_key(out, "...");
    out += '\n';
  }
  return true;
}

}  // namespace ktap::output
