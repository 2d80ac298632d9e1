// Values of the naive evaluator: a plain variant. What lives on the heap belongs to the evaluator
// and is freed with it; nothing is ever collected. Written from the contract alone, it shares
// nothing with src/runtime.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "syntax/ast.h"

namespace ktap::naive {

struct Tuple;
struct Table;
struct Function;
struct Aggregate;
using Value = std::variant<std::monostate, bool, int64_t, double, std::string, const Tuple*, Table*,
                           const Function*, Aggregate*>;
using Values = std::vector<Value>;

struct Tuple {
  Values parts;
};

/// Integers before strings before booleans before tuples, which compare part by part.
struct KeyLess {
  bool operator()(const Value& a, const Value& b) const;
};

struct Table {
  std::map<Value, Value, KeyLess> entries;
};

struct Aggregate {
  int64_t count = 0;
  __int128 sum = 0;
  int64_t min = 0;
  int64_t max = 0;
};

/// One variable, in a list from the innermost to the outermost: a closure keeps the list as it was.
struct Variable {
  std::string name;
  Value value;
  Variable* outer;
};

class Evaluator;
using Native = std::function<Values(Evaluator&, Values&)>;

/// A closure of the script, or a built-in.
struct Function {
  const syntax::FunctionBody* body = nullptr;
  Variable* scope = nullptr;
  Native native;
};

/// A run-time error of the script on its way to the line that it belongs to. The exceptions of this
/// folder stay inside it: a tree walker reads best with them.
struct Failure {
  std::string text;
};

/// No judgement: too long, too deep, or beyond what is evaluated here.
struct GaveUp {
  std::string why;
};
/// exit() was called.
struct Exit {};

bool truthy(const Value& value);
bool is_number(const Value& value);
double to_double(const Value& number);
bool equal(const Value& a, const Value& b);
/// -1, 0, 1, or 2 when a NaN has no place. Two numbers.
int compare_numbers(const Value& a, const Value& b);
/// `<` and `<=` of two numbers or two strings.
bool less(const Value& a, const Value& b);
bool less_equal(const Value& a, const Value& b);
/// A table may store under it.
bool valid_key(const Value& key);
std::string type_name(const Value& value);
/// What tostring gives.
std::string text(const Value& value);
Value get(const Table& table, const Value& key);
void set(Table& table, const Value& key, const Value& value);

/// Does the glob match the whole text?
bool glob(const std::string& pattern, const std::string& text);
/// What printf(args…) prints.
std::string formatted(const Values& args);

}  // namespace ktap::naive
