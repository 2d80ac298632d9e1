// Statements of the generator that hold no blocks, and the whole program.
#include <utility>

#include "generator_impl.h"

namespace ktap::differential {

Generator::Type Generator::any_type() {
  static constexpr Type kOften[] = {Type::Int,  Type::Int,   Type::Int,   Type::String,
                                    Type::Bool, Type::Table, Type::Float, Type::Any};
  Type type = kOften[below(8)];
  return options_.common && type == Type::Float ? Type::Int : type;
}

Node Generator::body(int depth, size_t most) {
  const size_t outer_variables = scope_.size();
  const size_t outer_functions = functions_.size();
  Statements out;
  const size_t count = 1 + below(most);
  for (size_t i = 0; i < count; ++i) statement(out, depth);
  scope_.resize(outer_variables);
  functions_.resize(outer_functions);
  return block(std::move(out));
}

void Generator::statement(Statements& out, int depth) {
  if (depth > 0 && chance(35)) return nested(out, depth);
  simple(out);
}

void Generator::simple(Statements& out) {
  switch (below(12)) {
    case 0:
    case 1:
      return declare(out);
    case 2:
    case 3:
      return assign(out);
    case 4:
    case 5:
      return update(out);
    case 6:
    case 7:
      return change_table(out);
    case 8:
      return call_statement(out);
    case 9:
      return jump(out);
    case 10:
      if (!options_.common && chance(50)) return multi_keys(out);
      if (!options_.common && options_.aggregates) return aggregates(out);
      return output(out);
    default:
      return output(out);
  }
}

// ---- without blocks

void Generator::declare(Statements& out) {
  if (chance(25) && !functions_.empty()) {
    const Fn& fn = functions_[below(functions_.size())];
    std::string names;
    std::vector<Variable> made;
    for (Type type : fn.results) {
      // In ktap a name too many is nil and a result too many is dropped, as in Lua.
      made.push_back({fresh("v"), type, true});
      names += (names.empty() ? "" : ", ") + made.back().name;
    }
    if (made.empty()) names = fresh("v");
    out.push_back(stmt("var " + names + " = $0", {call(fn, 2, false)}, "local " + names + " = $0"));
    scope_.insert(scope_.end(), made.begin(), made.end());
    return;
  }
  if (chance(20)) {
    Type a = any_type();
    Type b = any_type();
    std::vector<Node> initial = {value(a, 2), value(b, 2)};
    std::string names = fresh("v");
    std::string other = fresh("v");
    out.push_back(stmt("var " + names + ", " + other + " = $0, $1", std::move(initial),
                       "local " + names + ", " + other + " = $0, $1"));
    scope_.push_back({names, a, true});
    scope_.push_back({other, b, true});
    return;
  }
  Type type = any_type();
  Node initial = value(type, 3);
  std::string name = fresh("v");
  out.push_back(stmt("var " + name + " = $0", {std::move(initial)}, "local " + name + " = $0"));
  scope_.push_back({name, type, true});
}

void Generator::assign(Statements& out) {
  Type type = any_type();
  const Variable* variable = any_variable(type, true);
  if (variable == nullptr) return declare(out);
  const std::string name = variable->name;
  const Variable* other = any_variable(type, true);
  if (chance(25) && other->name != name) {
    out.push_back(stmt(name + ", " + other->name + " = $0, $1", {value(type, 2), value(type, 2)}));
    return;
  }
  if (chance(15) && !options_.common && type == Type::Int) {
    out.push_back(
        stmt("$0[$1], " + name + " = " + name + ", $2", {table_place(), key(1), value(type, 2)}));
    return;
  }
  out.push_back(stmt(name + " = $0", {value(type, 3)}));
}

void Generator::update(Statements& out) {
  const Texts ops = {"+", "-", "*", "&", "|", "^", "<<", ">>"};
  const std::string op = ops[below(ops.size())];
  const auto lua = [&](const std::string& place, const std::string& old,
                       const std::string& operand) {
    if (op == "<<" || op == ">>")
      return place + (op == "<<" ? " = shl(" : " = shr(") + old + ", " + operand + ")";
    return place + " = (" + old + " " + (op == "^" ? "~" : op) + " " + operand + ")";
  };
  if (chance(20)) {
    const Variable* string = any_variable(Type::String, true);
    if (string == nullptr) return declare(out);
    const bool calls = !options_.common && chance(30);  // it may change the variable meanwhile
    Node operand = calls ? call_of(Type::String, 1) : value(Type::String, 1);
    out.push_back(stmt(string->name + " ..= $0", {std::move(operand)},
                       string->name + " = " + string->name + " .. $0"));
    return;
  }
  if (chance(35)) {
    if (op != "+" && op != "-" && op != "|" && op != "^") return change_table(out);
    // A cell of another type is a run-time error: names that hold integers alone.
    static constexpr const char* kCells[] = {"na", "nb", "nc"};
    std::string cell = std::string("$0.") + kCells[below(3)];
    if (chance(30)) {
      out.push_back(stmt(cell + (chance(50) ? "++" : "--"), {table_place()}));
      if (out.back().ktap.back() == '+') out.back().lua = cell + " = (" + cell + " or 0) + 1";
      if (out.back().ktap.back() == '-') out.back().lua = cell + " = (" + cell + " or 0) - 1";
      return;
    }
    out.push_back(stmt(cell + " " + op + "= $1", {table_place(), value(Type::Int, 2)},
                       lua(cell, "(" + cell + " or 0)", "$1")));
    return;
  }
  const Variable* variable = any_variable(Type::Int, true);
  if (variable == nullptr) return declare(out);
  const std::string name = variable->name;
  if (chance(25)) {
    out.push_back(stmt(name + "++", {}, name + " = " + name + " + 1"));
    return;
  }
  const bool calls = !options_.common && chance(30);
  Node operand = calls ? call_of(Type::Int, 2) : value(Type::Int, 2);
  out.push_back(stmt(name + " " + op + "= $0", {std::move(operand)}, lua(name, name, "$0")));
}

void Generator::change_table(Statements& out) {
  const Variable* variable = any_variable(Type::Table, false);
  if (variable == nullptr) {
    Node made = table(2);
    scope_.push_back({fresh("t"), Type::Table, true});
    out.push_back(stmt("var " + scope_.back().name + " = $0", {std::move(made)},
                       "local " + scope_.back().name + " = $0"));
    return;
  }
  const std::string t = variable->name;
  const Type type = chance(70) ? Type::Int : chance(70) ? Type::String : Type::Bool;
  switch (below(options_.common ? 6 : 10)) {
    case 0:
    case 1:
      out.push_back(stmt(t + "[$0] = $1", {key(2), value(type, 2)}));
      return;
    case 2:
      out.push_back(stmt(t + ".a = $0", {value(type, 2)}));
      return;
    case 3:
      out.push_back(stmt(t + "[$0] = nil", {key(1)}));
      return;
    case 4:
      out.push_back(stmt("delete(" + t + ", $0)", {key(1)}));
      return;
    case 5:
      if (chance(30)) out.push_back(stmt("delete(" + t + ")"));
      return;
    case 6:
      out.push_back(stmt("table.insert(" + t + ", $0)", {value(Type::Int, 2)}));
      return;
    case 7:
      out.push_back(stmt("print(table.remove(" + t + (chance(50) ? "))" : ", 1))")));
      return;
    case 8:
      out.push_back(stmt("inplace_inc(" + t + ", \"nd\")"));
      return;
    default: {
      std::string list = fresh("t");
      out.push_back(stmt("var " + list + " = {$0, $1, $2}",
                         {value(Type::Int, 1), value(Type::Int, 1), value(Type::Int, 1)}));
      out.push_back(
          stmt("table.sort(" + list + (chance(50) ? ")" : ", function (a, b) { return a > b })")));
      out.push_back(stmt("print(" + list + ", table.concat(" + list + ", \"-\"))"));
      scope_.push_back({list, Type::Table, true});
    }
  }
}

void Generator::output(Statements& out) {
  if (chance(50)) {
    out.push_back(stmt("print($0)", {value(any_type(), 3)}));
  } else if (chance(60) || options_.common) {
    out.push_back(stmt("print($0, $1)", {value(any_type(), 2), value(any_type(), 2)}));
  } else {
    out.push_back(stmt("printf(\"%d %s %5.1f|\\n\", $0, $1, $2)",
                       {value(Type::Int, 2), value(Type::Any, 2), value(Type::Float, 2)}));
  }
}

void Generator::call_statement(Statements& out) {
  if (functions_.empty()) return output(out);
  const Fn& fn = functions_[below(functions_.size())];
  const Variable* variable = fn.results.empty() ? nullptr : any_variable(fn.results[0], true);
  if (variable != nullptr && chance(60)) {
    out.push_back(stmt(variable->name + " = $0", {call(fn, 2, false)}));
  } else if (chance(50)) {
    out.push_back(stmt("print($0)", {call(fn, 2, false)}));
  } else {
    out.push_back(stmt("$0", {call(fn, 2, false)}));
  }
}

void Generator::jump(Statements& out) {
  if (loops_ == 0 && returns_ == nullptr) return output(out);
  Node guard = condition(2);
  std::vector<Node> inner;
  if (chance(3)) {
    out.push_back(stmt("if ($0) {$1}", {std::move(guard), block({stmt("error(\"stop\")")})},
                       "if $0 then $1 end"));
    return;
  }
  if (loops_ > 0 && chance(70)) {
    const bool goes_on = chance(50) && !(options_.common && in_repeat_);
    inner.push_back(goes_on ? stmt("continue", {}, "goto continue") : stmt("break"));
  } else if (returns_ != nullptr) {
    inner.push_back(results(*returns_));
  } else {
    inner.push_back(stmt("break"));
  }
  out.push_back(
      stmt("if ($0) {$1}", {std::move(guard), block(std::move(inner))}, "if $0 then $1 end"));
}

Node Generator::results(const std::vector<Type>& types) {
  if (types.size() == 1 && !functions_.empty() && chance(30)) {
    for (const Fn& fn : functions_) {  // a tail call
      if (fn.results == types) return stmt("return $0", {call(fn, 2, false)});
    }
  }
  std::vector<Node> values;
  std::string form = "return";
  for (size_t i = 0; i < types.size(); ++i) {
    form += (i > 0 ? ", $" : " $") + std::to_string(i);
    values.push_back(value(types[i], 2));
  }
  return stmt(form, std::move(values));
}

// ---- tables with multi-keys, aggregates

void Generator::multi_keys(Statements& out) {
  std::string t = fresh("m");
  out.push_back(stmt("var " + t + " = {}"));
  const size_t count = 1 + below(4);
  for (size_t i = 0; i < count; ++i) {
    out.push_back(stmt(t + (chance(50) ? "[$0, $1] = $2" : "[$0, $1] += $2"),
                       {value(Type::Int, 1), value(Type::String, 1), value(Type::Int, 1)}));
  }
  if (chance(50))
    out.push_back(stmt("delete(" + t + ", $0, $1)", {value(Type::Int, 0), value(Type::String, 0)}));
  static constexpr const char* kLoops[] = {
      "for (a, b, v in sort_keys(%)) {\n    print(a, b, v)\n  }",
      "for (k, v in sort_keys(%)) {\n    print(k, k[1], k[2], k[3], len(k), v)\n  }",
      "for (a, b, v in sort_pairs(%)) {\n    print(a, b, v)\n  }",
      "for (k, v in pairs(%)) {\n    %[k] = nil\n  }",
      "for (k, v in pairs(%)) {\n    %[k] += k[1]\n  }",
  };
  std::string loop;
  for (const char* c = kLoops[below(5)]; *c != '\0'; ++c)
    loop += *c == '%' ? t : std::string(1, *c);
  out.push_back(stmt(loop));
  out.push_back(stmt("print(" + t + ")"));
}

void Generator::aggregates(Statements& out) {
  std::string a = fresh("a");
  const bool in_table = chance(60);
  out.push_back(stmt("var " + a + (in_table ? " = {}" : " = aggr()")));
  const std::string i = fresh("i");
  out.push_back(stmt("for (" + i + " = 1, $0) {$1}",
                     {expr(std::to_string(below(6))),
                      block({stmt(in_table ? a + "[" + i + " % 3] <<< $0" : a + " <<< $0",
                                  {value(Type::Int, 2)})})}));
  const std::string c = in_table ? a + "[1]" : a;
  out.push_back(stmt("print(count(" + c + "), sum(" + c + "), min(" + c + "), max(" + c +
                     "), avg(" + c + "))"));
  out.push_back(stmt(in_table
                         ? "for (k, v in sort_pairs(" + a + ")) {\n    print(k, v, type(v))\n  }"
                         : "print(" + a + ")"));
}

// ---- the whole

Node Generator::program() {
  Statements out;
  static constexpr std::pair<const char*, Type> kGlobals[] = {{"ga", Type::Int},
                                                              {"gb", Type::Int},
                                                              {"gs", Type::String},
                                                              {"gt", Type::Table},
                                                              {"gx", Type::Any}};
  for (const auto& [name, type] : kGlobals) {
    out.push_back(stmt(std::string(name) + " = $0", {value(type, 1)}));
    scope_.push_back({name, type, true});
  }
  Statements later;
  if (!options_.common && chance(50)) later.push_back(later_function());
  const size_t count = 4 + below(12);
  for (size_t i = 0; i < count; ++i) {
    if (chance(25)) {
      function(out, 2);
    } else {
      statement(out, 3);
    }
  }
  for (const Variable& variable : scope_) out.push_back(stmt("print(" + variable.name + ")"));
  // Anywhere among the top-level statements; mostly behind all calls.
  const size_t at = chance(70) ? out.size() : below(out.size());
  out.insert(out.begin() + static_cast<std::ptrdiff_t>(at), later.begin(), later.end());
  return block(std::move(out));
}

Node random_program(uint64_t seed, const GeneratorOptions& options) {
  return Generator(seed, options).program();
}

}  // namespace ktap::differential
