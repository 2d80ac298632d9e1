// See generator.h. Each make_… function gives one piece; what it may use stands in the scope, a
// list of variables with their types. In the common subset, expressions are pure and calls of the
// script's functions stand alone on the right of an assignment, since Lua leaves open in which
// order a variable is read and changed by a call.
#include "generator.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "generator_impl.h"

namespace ktap::differential {

namespace {

const Texts kInts = {"0",  "1",  "2",   "3",   "5",    "7",    "10",
                     "63", "64", "255", "256", "(-1)", "(-7)", "1000000007"};
const Texts kEdges = {"9223372036854775807", "9223372036854775806", "4294967296", "2147483648",
                      "9007199254740993"};
const Texts kFloats = {"0.5",   "1.5", "2.0",    "(-0.25)",   "1e15",       "2e9",
                       "1e300", "3.0", "(-0.0)", "(1.0 / 0)", "(0.0 / 0.0)"};
const Texts kStrings = {"\"\"",   "\"a\"",  "\"b\"",  "\"abc\"",    "\"ab ba\"",
                        "\"10\"", "\" x\"", "\"Zz\"", "\"a,b,,c\"", "\"-7\""};
const Texts kGlobs = {"\"a*\"", "\"?b*\"", "\"[a-c]*\"", "\"*{b,ab}*\"", "\"*\"", "\"[!a]*\""};

}  // namespace

Generator::Generator(uint64_t seed, const GeneratorOptions& options)
    : Dice(seed), options_(options) {}

// ---- expressions

Node Generator::value(Type type, int depth) {
  if (!options_.common && per_1000(options_.wild_per_1000)) type = static_cast<Type>(below(6));
  if (type == Type::Any) type = chance(15) ? Type::Any : static_cast<Type>(below(4));
  if (type == Type::Float && options_.common) type = Type::Int;
  const Variable* variable = any_variable(type, false);
  if (variable != nullptr && chance(depth <= 0 ? 75 : 30)) return expr(variable->name);
  switch (type) {
    case Type::Int:
      return integer(depth);
    case Type::Float:
      return floating(depth);
    case Type::String:
      return text(depth);
    case Type::Bool:
      return condition(depth);
    case Type::Table:
      return table(depth);
    case Type::Any:
      return expr("nil");
  }
  return expr("nil");
}

Node Generator::operation(const std::string& op, Node a, Node b) {
  static const std::map<std::string, const char*> kLua = {
      {"/", "cdiv($0, $1)"}, {"%", "cmod($0, $1)"}, {"<<", "shl($0, $1)"}, {">>", "shr($0, $1)"},
      {"^", "($0 ~ $1)"},    {"!=", "($0 ~= $1)"},  {"&&", "($0 and $1)"}, {"||", "($0 or $1)"}};
  auto lua = kLua.find(op);
  return expr("($0 " + op + " $1)", {std::move(a), std::move(b)},
              lua != kLua.end() ? lua->second : "");
}

Node Generator::integer(int depth) {
  if (depth <= 0 || chance(15)) return chance(85) ? one_of(kInts) : one_of(kEdges);
  --depth;
  const auto sub = [&] { return value(Type::Int, depth); };
  switch (below(options_.common ? 14 : 20)) {
    case 0:
    case 1:
    case 2:
      return operation("+", sub(), sub());
    case 3:
      return operation("-", sub(), sub());
    case 4:
      return operation("*", sub(), sub());
    case 5:
      // A zero divisor ends the program: most are none.
      return operation(chance(50) ? "/" : "%", sub(),
                       chance(2) ? sub() : one_of({"1", "2", "3", "7", "(-1)", "(-3)"}));
    case 6:
      return operation("&", sub(), sub());
    case 7:
      return operation(chance(50) ? "|" : "^", sub(), sub());
    case 8:
      return operation(chance(50) ? "<<" : ">>", sub(), sub());
    case 9:
      return expr(chance(50) ? "(-$0)" : "(~$0)", {sub()});
    case 10:
      return expr("len($0)", {value(chance(50) ? Type::String : Type::Table, depth)});
    case 11:
      return expr("($0 && $1 || $2)", {condition(depth), sub(), sub()}, "($0 and $1 or $2)");
    case 12:
      return expr("(type($0[$1]) == \"integer\" && $0[$1] || $2)",
                  {table_place(), key(depth), sub()}, "num($0[$1], $2)");
    case 13:
      return sub();
    default:
      return library_integer(depth);
  }
}

Node Generator::library_integer(int depth) {
  const auto sub = [&] { return value(Type::Int, depth); };
  switch (below(8)) {
    case 0:
      return expr("math.abs($0)", {sub()});
    case 1:
      return expr("math.max($0, $1)", {sub(), sub()});
    case 2:
      return expr("math.min($0, $1, $2)", {sub(), sub(), sub()});
    case 3:
      return expr("math.floor($0)", {value(Type::Float, 0)});
    case 4:
      return expr("(string.find($0, $1) || 0)",
                  {value(Type::String, depth), value(Type::String, 0)});
    case 5:
      return expr("(string.byte($0, $1) || 0)",
                  {value(Type::String, depth), one_of({"1", "2", "(-1)"})});
    case 6:
      return expr("(tonumber($0) || 0)", {value(Type::String, depth)});
    default:
      return call_of(Type::Int, depth);
  }
}

Node Generator::floating(int depth) {
  if (depth <= 0 || chance(30)) return one_of(kFloats);
  --depth;
  Node a = value(Type::Float, depth);
  Node b = value(chance(60) ? Type::Float : Type::Int, depth);
  if (chance(30)) std::swap(a, b);
  switch (below(5)) {
    case 0:
      return operation("+", std::move(a), std::move(b));
    case 1:
      return operation("-", std::move(a), std::move(b));
    case 2:
      return operation("*", std::move(a), std::move(b));
    case 3:
      return operation("/", std::move(a), one_of(kFloats));
    default:
      return chance(50) ? expr("(-$0)", {std::move(a)})
                        : operation("%", std::move(a), one_of(kFloats));
  }
}

Node Generator::text(int depth) {
  if (depth <= 0 || chance(20)) return one_of(kStrings);
  if (chance(1)) return long_list("(", " .. ", ")");
  --depth;
  const auto sub = [&] { return value(Type::String, depth); };
  switch (below(options_.common ? 8 : 15)) {
    case 0:
    case 1:
      return operation("..", sub(), chance(60) ? sub() : value(Type::Int, depth));
    case 2:
      return expr("($0 .. $1 .. $2 .. $3)", {sub(), value(Type::Int, 0), sub(), sub()});
    case 3:
      return expr("tostring($0)", {value(chance(50) ? Type::Int : Type::Bool, depth)});
    case 4:
      return expr("string.sub($0, $1, $2)",
                  {sub(), one_of({"1", "2", "(-2)", "0"}), one_of({"1", "3", "(-1)", "99"})});
    case 5:
      return expr(chance(50) ? "string.upper($0)" : "string.lower($0)", {sub()});
    case 6:
      return expr("string.rep($0, $1)", {sub(), one_of({"0", "1", "2", "3"})});
    case 7:
      return expr("($0 && $1 || $2)", {condition(depth), sub(), sub()}, "($0 and $1 or $2)");
    case 8:
      return expr("format($0, $1, $2)", {one_of({"\"%d:%s\"", "\"%5d|%-4s\"", "\"%x %s\"",
                                                 "\"%03d%10s\"", "\"%+d %.2s\"", "\"%u,%s\""}),
                                         value(Type::Int, depth), value(Type::Any, depth)});
    case 9:
      return expr("format($0, $1)",
                  {one_of({"\"%f\"", "\"%8.3f\"", "\"%g\"", "\"%e\""}), value(Type::Float, depth)});
    case 10:
      return expr("string.trim($0)", {sub()});
    case 11:
      return expr("table.concat(string.split($0, $1), $2)",
                  {sub(), one_of({"\",\"", "\"a\"", "\"b\""}), sub()});
    case 12:
      return expr("type($0)", {value(Type::Any, depth)});
    case 13:
      return expr("string.char($0, $1)", {one_of({"65", "97", "48"}), one_of({"66", "98", "49"})});
    default:
      return call_of(Type::String, depth);
  }
}

Node Generator::condition(int depth) {
  if (depth <= 0) return chance(50) ? expr("true") : expr("false");
  --depth;
  static constexpr const char* kOrders[] = {"<", "<=", ">", ">=", "==", "!="};
  const char* const order = kOrders[below(6)];
  switch (below(options_.common ? 9 : 12)) {
    case 0:
    case 1:
    case 2:
      return operation(order, value(Type::Int, depth), value(Type::Int, depth));
    case 3:
      return operation(order, value(Type::String, depth), value(Type::String, depth));
    case 4:
      return operation("&&", condition(depth), condition(depth));
    case 5:
      return operation("||", condition(depth), condition(depth));
    case 6:
      return expr("(!$0)", {condition(depth)}, "(not $0)");
    case 7:
      return operation(chance(50) ? "==" : "!=", value(Type::Any, depth), value(Type::Any, depth));
    case 8:
      return expr("($0[$1] == nil)", {table_place(), key(depth)});
    case 9:
      return operation("~", value(Type::String, depth), one_of(kGlobs));
    case 10:
      return operation(order, value(Type::Float, depth),
                       value(chance(50) ? Type::Float : Type::Int, depth));
    default:
      return expr(chance(50) ? "string.starts($0, $1)" : "string.ends($0, $1)",
                  {value(Type::String, depth), value(Type::String, 0)});
  }
}

Node Generator::key(int depth) {
  switch (below(6)) {
    case 0:
    case 1:
      return expr(std::to_string(1 + below(5)));
    case 2:
      return one_of({"\"a\"", "\"b\"", "\"c\""});
    case 3:
      return value(Type::String, std::min(depth, 1));
    default:
      return value(Type::Int, std::min(depth, 1));
  }
}

Node Generator::table_place() {
  const Variable* variable = any_variable(Type::Table, false);
  return variable != nullptr ? expr(variable->name) : expr("({})");
}

/// Of more items than one instruction takes.
Node Generator::long_list(const std::string& open, const std::string& between,
                          const std::string& close) {
  std::string all = open;
  const size_t count = 48 + below(60);
  for (size_t i = 0; i < count; ++i) {
    const Variable* variable = any_variable(Type::Int, false);
    all += i > 0 ? between : "";
    all += variable != nullptr && chance(50) ? variable->name : kInts[below(kInts.size())];
  }
  return expr(all + close);
}

Node Generator::table(int depth) {
  if (chance(1)) return long_list("{", ", ", "}");
  std::vector<Node> kids;
  std::string form = "{";
  const size_t count = below(4);
  for (size_t i = 0; i < count; ++i) {
    if (i > 0) form += ", ";
    const auto slot = [&](Node node) {
      kids.push_back(std::move(node));
      return "$" + std::to_string(kids.size() - 1);
    };
    // List items keep to the front: what a key that a list item has too gives, Lua leaves open.
    const size_t shape = below(3);
    if (shape == 0) form += std::string("k") + static_cast<char>('a' + below(3)) + " = ";
    if (shape == 1) form += "[" + std::to_string(100 + below(3)) + "] = ";
    form += slot(value(shape == 2 ? Type::Int : chance(50) ? Type::Int : Type::String, depth - 1));
  }
  return expr(form + "}", std::move(kids));
}

Node Generator::call_of(Type type, int depth) {
  std::vector<const Fn*> fitting;
  for (const Fn& fn : functions_) {
    if (!fn.results.empty() && fn.results[0] == type) fitting.push_back(&fn);
  }
  if (fitting.empty()) return value(type, depth - 1);
  return call(*fitting[below(fitting.size())], depth, true);
}

Node Generator::call(const Fn& fn, int depth, bool cut) {
  std::vector<Node> args;
  std::string form = (cut ? "(" : "") + fn.name + "(";
  for (size_t i = 0; i < fn.params.size(); ++i) {
    form += (i > 0 ? ", $" : "$") + std::to_string(i);
    // The fuel of a recursive function is small.
    args.push_back(i == 0 && fn.is_recursive
                       ? expr(std::to_string(below(9)))
                       : value(fn.params[i], options_.common ? 1 : depth - 1));
  }
  if (chance(10)) {  // one too many is dropped
    form += (args.empty() ? "$" : ", $") + std::to_string(args.size());
    args.push_back(value(Type::Int, 0));
  }
  return expr(form + (cut ? "))" : ")"), std::move(args));
}

}  // namespace ktap::differential
