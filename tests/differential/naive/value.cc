// Equality, order and text of values, as sections 2, 3, 5 and 8 of the language have them.
#include "naive/value.h"

#include <cmath>
#include <cstdio>

namespace ktap::naive {
namespace {

template <class T>
const T* as(const Value& value) {
  return std::get_if<T>(&value);
}

/// An integer with a float, exactly: as long doubles, whose 64 bits hold both.
int compare_doubles(long double a, long double b) {
  if (std::isnan(a) || std::isnan(b)) return 2;
  return a < b ? -1 : a > b ? 1 : 0;
}
static_assert(sizeof(long double) > sizeof(double));

int key_rank(const Value& key) {
  if (as<int64_t>(key) != nullptr) return 0;
  if (as<std::string>(key) != nullptr) return 1;
  return as<bool>(key) != nullptr ? 2 : 3;
}

std::string float_text(double number) {
  if (std::isnan(number)) return "nan";
  char buffer[64];
  std::snprintf(buffer, sizeof(buffer), "%.14g", number);
  std::string out = buffer;
  bool digits = true;
  for (char c : out) digits = digits && (c == '-' || (c >= '0' && c <= '9'));
  return digits ? out + ".0" : out;
}

std::string tuple_text(const Tuple& tuple) {
  std::string out;
  for (const Value& part : tuple.parts) {
    if (!out.empty() || &part != &tuple.parts.front()) out += ", ";
    out += text(part);
  }
  return out;
}

std::string table_text(const Table& table, const std::string& indent) {
  if (table.entries.empty()) return "{}";
  if (indent.size() > 40) throw GaveUp{"a table within itself"};
  std::string out;
  for (const auto& [key, value] : table.entries) {
    if (!out.empty()) out += '\n';
    out += indent + text(key) + ":";
    Table* const* nested = std::get_if<Table*>(&value);
    if (nested != nullptr && !(*nested)->entries.empty()) {
      out += "\n" + table_text(**nested, indent + "  ");
    } else {
      out += " " + text(value);
    }
  }
  return out;
}

std::string aggregate_text(const Aggregate& a) {
  if (a.count == 0) return "count 0";
  return "count " + std::to_string(a.count) + ", sum " +
         std::to_string(static_cast<int64_t>(a.sum)) + ", min " + std::to_string(a.min) + ", max " +
         std::to_string(a.max) + ", avg " + std::to_string(static_cast<int64_t>(a.sum / a.count));
}

}  // namespace

bool KeyLess::operator()(const Value& a, const Value& b) const {
  if (key_rank(a) != key_rank(b)) return key_rank(a) < key_rank(b);
  const auto* tuple_a = as<const Tuple*>(a);
  const auto* tuple_b = as<const Tuple*>(b);
  if (tuple_a == nullptr || tuple_b == nullptr) return a < b;
  const Values& x = (*tuple_a)->parts;
  const Values& y = (*tuple_b)->parts;
  for (size_t i = 0; i < x.size() && i < y.size(); ++i) {
    if ((*this)(x[i], y[i])) return true;
    if ((*this)(y[i], x[i])) return false;
  }
  return x.size() < y.size();
}

bool truthy(const Value& value) {
  if (const bool* boolean = as<bool>(value)) return *boolean;
  return as<std::monostate>(value) == nullptr;
}

bool is_number(const Value& value) {
  return as<int64_t>(value) != nullptr || as<double>(value) != nullptr;
}

double to_double(const Value& number) {
  const int64_t* integer = as<int64_t>(number);
  return integer != nullptr ? static_cast<double>(*integer) : std::get<double>(number);
}

int compare_numbers(const Value& a, const Value& b) {
  const int64_t* x = as<int64_t>(a);
  const int64_t* y = as<int64_t>(b);
  if (x != nullptr && y != nullptr) return *x < *y ? -1 : *x > *y ? 1 : 0;
  const auto wide = [](const Value& v) {
    const int64_t* integer = as<int64_t>(v);
    return integer != nullptr ? static_cast<long double>(*integer)
                              : static_cast<long double>(std::get<double>(v));
  };
  return compare_doubles(wide(a), wide(b));
}

bool equal(const Value& a, const Value& b) {
  if (is_number(a) && is_number(b)) return compare_numbers(a, b) == 0;
  const auto* tuple_a = as<const Tuple*>(a);
  const auto* tuple_b = as<const Tuple*>(b);
  if (tuple_a == nullptr || tuple_b == nullptr) return a == b;
  const Values& x = (*tuple_a)->parts;
  const Values& y = (*tuple_b)->parts;
  if (x.size() != y.size()) return false;
  for (size_t i = 0; i < x.size(); ++i) {
    if (!equal(x[i], y[i])) return false;
  }
  return true;
}

bool less(const Value& a, const Value& b) {
  if (is_number(a) && is_number(b)) return compare_numbers(a, b) == -1;
  const auto* x = as<std::string>(a);
  const auto* y = as<std::string>(b);
  if (x == nullptr || y == nullptr) throw Failure{"no order"};
  return *x < *y;
}

bool less_equal(const Value& a, const Value& b) {
  if (!is_number(a) || !is_number(b)) return !less(b, a);
  int order = compare_numbers(a, b);
  return order == -1 || order == 0;
}

bool valid_key(const Value& key) {
  if (const auto* tuple = as<const Tuple*>(key)) {
    for (const Value& part : (*tuple)->parts) {
      if (!valid_key(part)) return false;
    }
    return true;
  }
  return as<int64_t>(key) != nullptr || as<std::string>(key) != nullptr || as<bool>(key) != nullptr;
}

std::string type_name(const Value& value) {
  static const char* const kNames[] = {"nil",   "boolean", "integer",  "float",    "string",
                                       "tuple", "table",   "function", "aggregate"};
  return kNames[value.index()];
}

std::string text(const Value& value) {
  if (const bool* boolean = as<bool>(value)) return *boolean ? "true" : "false";
  if (const int64_t* integer = as<int64_t>(value)) return std::to_string(*integer);
  if (const double* number = as<double>(value)) return float_text(*number);
  if (const auto* string = as<std::string>(value)) return *string;
  if (const auto* tuple = as<const Tuple*>(value)) return tuple_text(**tuple);
  if (Table* const* table = as<Table*>(value)) return table_text(**table, "");
  if (Aggregate* const* aggregate = as<Aggregate*>(value)) return aggregate_text(**aggregate);
  return as<std::monostate>(value) != nullptr ? "nil" : "function";
}

Value get(const Table& table, const Value& key) {
  if (!valid_key(key)) return {};
  auto at = table.entries.find(key);
  return at == table.entries.end() ? Value{} : at->second;
}

void set(Table& table, const Value& key, const Value& value) {
  if (!valid_key(key)) throw Failure{"cannot be a key"};
  if (as<std::monostate>(value) != nullptr) {
    table.entries.erase(key);
  } else {
    table.entries[key] = value;
  }
}

}  // namespace ktap::naive
