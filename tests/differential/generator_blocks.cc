// Statements with blocks, and functions.
#include <utility>

#include "generator_impl.h"

namespace ktap::differential {

// ---- branches and loops

void Generator::nested(Statements& out, int depth) {
  --depth;
  switch (below(12)) {
    case 0:
    case 1:
    case 2:
      return if_else(out, depth);
    case 3:
      return while_loop(out, depth);
    case 4:
      return repeat_loop(out, depth);
    case 5:
    case 6:
      return numeric_for(out, depth);
    case 7:
      return table_loop(out, depth);
    case 8:
      return options_.common || chance(50) ? closures(out) : effects(out);
    case 9:
      out.push_back(stmt("do {$0}", {body(depth, 3)}, "do $0 end"));
      return;
    case 10:
      return unordered_loop(out);
    default:
      return loops_ == 0 || chance(50) ? function(out, depth) : if_else(out, depth);
  }
}

void Generator::if_else(Statements& out, int depth) {
  Node guard = value(chance(90) ? Type::Bool : Type::Any, 3);
  Node then = body(depth, 3);
  switch (below(3)) {
    case 0:
      out.push_back(stmt("if ($0) {$1}", {std::move(guard), std::move(then)}, "if $0 then $1 end"));
      return;
    case 1:
      out.push_back(stmt("if ($0) {$1} else {$2}",
                         {std::move(guard), std::move(then), body(depth, 3)},
                         "if $0 then $1 else $2 end"));
      return;
    default:
      out.push_back(
          stmt("if ($0) {$1} elseif ($2) {$3} else {$4}",
               {std::move(guard), std::move(then), condition(2), body(depth, 2), body(depth, 2)},
               "if $0 then $1 elseif $2 then $3 else $4 end"));
  }
}

void Generator::while_loop(Statements& out, int depth) {
  std::string counter = fresh("w");
  out.push_back(stmt("var " + counter + " = 0", {}, "local " + counter + " = 0"));
  scope_.push_back({counter, Type::Int, false});
  Node guard = chance(50) ? condition(2) : expr("true");
  ++loops_;
  const bool outer = std::exchange(in_repeat_, false);
  Node inner = body(depth, 3);
  in_repeat_ = outer;
  --loops_;
  inner.kids.insert(inner.kids.begin(),
                    stmt(counter + " += 1", {}, counter + " = " + counter + " + 1"));
  const std::string bound = std::to_string(1 + below(6));
  out.push_back(stmt("while (" + counter + " < " + bound + " && $0) {$1}",
                     {std::move(guard), std::move(inner)},
                     "while " + counter + " < " + bound + " and $0 do do $1 end ::continue:: end"));
}

void Generator::repeat_loop(Statements& out, int depth) {
  std::string counter = fresh("w");
  out.push_back(stmt("var " + counter + " = 0", {}, "local " + counter + " = 0"));
  scope_.push_back({counter, Type::Int, false});
  ++loops_;
  const bool outer = std::exchange(in_repeat_, true);
  Node inner = body(depth, 3);
  in_repeat_ = outer;
  --loops_;
  std::string seen = fresh("u");
  inner.kids.insert(inner.kids.begin(),
                    stmt(counter + " += 1", {}, counter + " = " + counter + " + 1"));
  inner.kids.insert(inner.kids.begin() + 1,
                    stmt("var " + seen + " = $0", {condition(2)}, "local " + seen + " = $0"));
  const std::string bound = std::to_string(1 + below(6));
  out.push_back(stmt("repeat {$0} until (" + counter + " >= " + bound + " || " + seen + ")",
                     {std::move(inner)},
                     "repeat $0 until " + counter + " >= " + bound + " or " + seen));
}

void Generator::numeric_for(Statements& out, int depth) {
  static constexpr const char* kRanges[] = {"1, 4",
                                            "3, 1",
                                            "5, 1, -2",
                                            "0, 10, 3",
                                            "1, 1",
                                            "-2, 2",
                                            "9223372036854775805, 9223372036854775807",
                                            "-9223372036854775807, -9223372036854775807 - 1, -1"};
  static constexpr const char* kFloatRanges[] = {"1, 2.5", "0.5, 2", "1, 2, 0.25", "3, 0.5, -1",
                                                 "2.0, 1"};
  const bool is_float = !options_.common && chance(15);
  std::string range = is_float ? kFloatRanges[below(5)] : kRanges[below(8)];
  std::vector<Node> kids;
  if (!is_float && chance(25)) {
    range = "$1, $2";
    kids = {expr(std::to_string(below(4))), operation("&", value(Type::Int, 2), expr("7"))};
  }
  std::string i = fresh("i");
  const size_t outer_variables = scope_.size();
  if (!is_float) scope_.push_back({i, Type::Int, chance(20)});
  ++loops_;
  const bool outer = std::exchange(in_repeat_, false);
  Node inner = body(depth, 4);
  in_repeat_ = outer;
  --loops_;
  scope_.resize(outer_variables);
  if (is_float) inner.kids.insert(inner.kids.begin(), stmt("print(" + i + ")"));
  kids.insert(kids.begin(), std::move(inner));
  out.push_back(stmt("for (" + i + " = " + range + ") {$0}", std::move(kids),
                     "for " + i + " = " + range + " do do $0 end ::continue:: end"));
}

std::string Generator::compare(bool by_value) {
  if (by_value && !options_.common && chance(60)) return {};  // needs values of one type
  if (!by_value && chance(50)) return {};
  // Keys compare by their text, so that they may be of any type.
  const std::string order = chance(50) ? "<" : ">";
  const std::string a = by_value ? "x" : "p";
  const std::string b = by_value ? "y" : "q";
  return ", function (" + std::string(by_value ? "x, y, p, q" : "p, q") + ") { return tostring(" +
         a + ") " + order + " tostring(" + b + ") }";
}

void Generator::table_loop(Statements& out, int depth) {
  const Variable* variable = any_variable(Type::Table, false);
  if (variable == nullptr) return change_table(out);
  const std::string t = variable->name;
  const bool by_value = chance(40) && !options_.common;
  const std::string order = options_.common ? "" : compare(by_value);
  // Without a compare function the values must be of one type.
  const bool numbers = by_value && order.empty();
  std::string over = t;
  if (numbers) {
    over = fresh("t");
    out.push_back(stmt("var " + over + " = {$0, $1, k = $2}",
                       {value(Type::Int, 2), value(Type::Int, 1), value(Type::Int, 2)}));
  }
  std::string k = fresh("k");
  std::string v = fresh("v");
  const size_t outer_variables = scope_.size();
  scope_.push_back({k, Type::Any, true});
  scope_.push_back({v, numbers ? Type::Int : Type::Any, true});
  ++loops_;
  const bool outer = std::exchange(in_repeat_, false);
  Node inner = body(depth, 3);
  in_repeat_ = outer;
  --loops_;
  scope_.resize(outer_variables);
  inner.kids.insert(inner.kids.begin(), stmt("print(" + k + ", " + v + ")"));
  const std::string head = k + ", " + v + " in ";
  out.push_back(stmt(
      "for (" + head + (by_value ? "sort_pairs(" : "sort_keys(") + over + order + ")) {$0}",
      {std::move(inner)}, "for " + head + "sort_keys(" + over + ") do do $0 end ::continue:: end"));
}

void Generator::unordered_loop(Statements& out) {
  const Variable* variable = any_variable(Type::Table, false);
  if (variable == nullptr) return change_table(out);
  const std::string t = variable->name;
  std::string n = fresh("n");
  std::string to = fresh("t");
  out.push_back(
      stmt("var " + n + ", " + to + " = 0, {}", {}, "local " + n + ", " + to + " = 0, {}"));
  static constexpr std::pair<const char*, const char*> kBodies[] = {
      {"@ += 1", "@ = @ + 1"},
      {"%[k] = v", ""},
      {"%[v] = true", ""},
      {"#[k] = nil", ""},
      {"#[k] = @", ""},
      {"%[tostring(v)] += len(tostring(k))",
       "%[tostring(v)] = (%[tostring(v)] or 0) + len(tostring(k))"}};
  const auto& [ktap, lua] = kBodies[below(6)];
  const auto filled = [&](const std::string& form) {
    std::string text;
    for (char c : form) text += c == '@' ? n : c == '%' ? to : c == '#' ? t : std::string(1, c);
    return text;
  };
  Node inner = block({stmt(filled(ktap), {}, filled(lua))});
  out.push_back(stmt("for (k, v in pairs(" + t + ")) {$0}", {std::move(inner)},
                     "for k, v in pairs(" + t + ") do $0 end"));
  out.push_back(stmt("print(" + n + ", " + to + ", " + t + ")"));
}

// ---- functions

void Generator::function(Statements& out, int depth) {
  if (chance(25)) return recursive_function(out);
  Fn fn{fresh("f"), {}, {}, false};
  const size_t params = below(4);
  for (size_t i = 0; i < params; ++i) fn.params.push_back(any_type());
  const size_t results_count = below(4);
  for (size_t i = 0; i < results_count; ++i) fn.results.push_back(any_type());

  const size_t outer_variables = scope_.size();
  std::string list;
  for (Type type : fn.params) {
    scope_.push_back({fresh("p"), type, true});
    list += (list.empty() ? "" : ", ") + scope_.back().name;
  }
  const int loops = std::exchange(loops_, 0);
  const auto* outer_returns = std::exchange(returns_, &fn.results);
  Node inner = body(depth, 4);
  // The last statement may be a return whose variables are gone: results are made of what is left.
  inner.kids.push_back(stmt("$0", {results(fn.results)}, "do $0 end"));
  returns_ = outer_returns;
  loops_ = loops;
  scope_.resize(outer_variables);
  const size_t form = below(2);
  out.push_back(form == 0
                    ? stmt("local function " + fn.name + "(" + list + ") {$0}", {std::move(inner)},
                           "local function " + fn.name + "(" + list + ") $0 end")
                    : stmt("var " + fn.name + " = function (" + list + ") {$0}", {std::move(inner)},
                           "local " + fn.name + " = function (" + list + ") $0 end"));
  functions_.push_back(std::move(fn));
  if (chance(60)) out.push_back(stmt("print($0)", {call(functions_.back(), 2, false)}));
}

/// A variable that a call changes while the expression around the call reads it: what was read
/// before the call stays as it was.
void Generator::effects(Statements& out) {
  const bool is_text = chance(30);
  const Type type = is_text ? Type::String : Type::Int;
  const std::string x = fresh("v");
  const std::string f = fresh("f");
  out.push_back(stmt("var " + x + " = $0", {value(type, 1)}));
  scope_.push_back({x, type, true});
  const std::string update = x + (is_text ? " ..= $0" : chance(50) ? " += $0" : " = $0");
  std::vector<Node> inner = {stmt(update, {value(type, 1)}), stmt("return $0", {value(type, 1)})};
  out.push_back(stmt("local function " + f + "() {$0}", {block(std::move(inner))}));
  static constexpr const char* kForms[] = {
      "print(@ .. #, # .. @)",
      "print(@ == #, # == @, @ < #, # <= @)",
      "print({@, #, @})",
      "print({[@] = #, [101] = @})",
      "@ ..= #",
      "var `, ' = @, # print(`, ')",
      "gt[@] = # print(gt)",
      "gt[@], gt[1] = #, @ print(gt)",
      "if (@ == # && # != @) {\n    print(1)\n  }",
      "print((@ && #) .. @, (# || @) .. @)",
      "gt[#] = @ print(gt)",
      "print(gt[@], gt[#], gt[@ .. #])",
      "print(tostring(@) .. @ .. # .. @)",
      "print(@ + #, # + @, @ - # * @)",
      "@ += #",
      "@ -= # + @",
      "gt.na += # print(gt.na, @)",
      "gx = @ + (# ^ @)",
      "print(@ > # || @ >= #, -@ + #)",
      "print(math.max(@, #, @), @ / (# | 1))",
      "for (i = @ & 3, # & 7) {\n    print(i, @)\n  }",
  };
  const size_t count = 1 + below(4);
  for (size_t i = 0; i < count; ++i) {
    const std::string y = fresh("v");
    const std::string z = fresh("v");
    std::string form;
    for (const char* c = kForms[below(is_text ? 13 : 21)]; *c != '\0'; ++c) {
      form += *c == '@'    ? x
              : *c == '#'  ? f + "()"
              : *c == '`'  ? y
              : *c == '\'' ? z
                           : std::string(1, *c);
    }
    out.push_back(stmt(form));
  }
}

/// A global function that text before it may call; it sees the globals alone.
Node Generator::later_function() {
  Fn fn{fresh("h"), {any_type()}, {any_type(), any_type()}, false};
  scope_.push_back({fresh("p"), fn.params[0], true});
  const std::string param = scope_.back().name;
  const auto* outer_returns = std::exchange(returns_, &fn.results);
  Node inner = body(2, 3);
  inner.kids.push_back(results(fn.results));
  returns_ = outer_returns;
  scope_.pop_back();
  const std::string head = "function " + fn.name + "(" + param + ") {$0}";
  functions_.push_back(std::move(fn));
  return stmt(head, {std::move(inner)});
}

void Generator::recursive_function(Statements& out) {
  const bool is_tail = chance(50);
  Fn fn{fresh("f"), {Type::Int, Type::Int}, {Type::Int}, true};
  const size_t outer_variables = scope_.size();
  std::string fuel = fresh("p");
  std::string sum = fresh("p");
  scope_.push_back({fuel, Type::Int, false});
  scope_.push_back({sum, Type::Int, false});
  std::vector<Node> inner;
  Node base = value(Type::Int, 2);
  inner.push_back(stmt("if (" + fuel + " <= 0) {$0}",
                       {block({stmt("return $0", {std::move(base)})})},
                       "if " + fuel + " <= 0 then $0 end"));
  const std::string again = fn.name + "(" + fuel + " - 1, $0)";
  if (is_tail) {
    inner.push_back(stmt("return " + again, {value(Type::Int, 2)}));
  } else {
    inner.push_back(stmt("var rest = " + again, {value(Type::Int, 1)}, "local rest = " + again));
    inner.push_back(stmt("return (rest ^ " + sum + ") + 1", {}, "return (rest ~ " + sum + ") + 1"));
  }
  scope_.resize(outer_variables);
  out.push_back(stmt("local function " + fn.name + "(" + fuel + ", " + sum + ") {$0}",
                     {block(std::move(inner))},
                     "local function " + fn.name + "(" + fuel + ", " + sum + ") $0 end"));
  functions_.push_back(std::move(fn));
  if (chance(60)) out.push_back(stmt("print($0)", {call(functions_.back(), 2, false)}));
}

/// Closures made in a loop, each over its own variables and one that they share.
void Generator::closures(Statements& out) {
  std::string fs = fresh("c");
  std::string shared = fresh("v");
  std::string i = fresh("i");
  out.push_back(stmt("var " + fs + ", " + shared + " = {}, $0", {value(Type::Int, 1)},
                     "local " + fs + ", " + shared + " = {}, $0"));
  const size_t outer_variables = scope_.size();
  scope_.push_back({shared, Type::Int, true});
  scope_.push_back({i, Type::Int, false});
  Node own = value(Type::Int, 2);
  std::string mine = fresh("v");
  scope_.push_back({mine, Type::Int, true});
  std::vector<Node> inner;
  update(inner);
  inner.push_back(stmt(shared + " += " + i, {}, shared + " = " + shared + " + " + i));
  inner.push_back(stmt("return " + shared + ", " + mine + ", $0", {value(Type::Int, 1)}));
  scope_.resize(outer_variables);
  scope_.push_back({shared, Type::Int, true});
  std::vector<Node> loop;
  loop.push_back(stmt("var " + mine + " = $0", {std::move(own)}, "local " + mine + " = $0"));
  loop.push_back(stmt(fs + "[" + i + "] = function () {$0}", {block(std::move(inner))},
                      fs + "[" + i + "] = function () $0 end"));
  if (chance(40)) {
    const std::string guard = i + (chance(50) ? " == 2" : " != 2");
    const bool goes_on = chance(50);
    std::string lua_guard = guard;
    if (guard.find("!=") != std::string::npos) lua_guard = i + " ~= 2";
    loop.push_back(stmt("if (" + guard + ") {$0}",
                        {block({goes_on ? stmt("continue", {}, "goto continue") : stmt("break")})},
                        "if " + lua_guard + " then $0 end"));
  }
  out.push_back(stmt("for (" + i + " = 1, 3) {$0}", {block(std::move(loop))},
                     "for " + i + " = 1, 3 do do $0 end ::continue:: end"));
  out.push_back(stmt("print(" + fs + "[1]())"));
  out.push_back(stmt("print(" + fs + "[1]())"));
  out.push_back(stmt("if (" + fs + "[2]) {$0}", {block({stmt("print(" + fs + "[2]())")})},
                     "if " + fs + "[2] then $0 end"));
}

}  // namespace ktap::differential
