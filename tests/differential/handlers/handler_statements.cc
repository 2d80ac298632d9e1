// Statements of the handler generator.
#include <utility>

#include "handlers/handler_generator_impl.h"

namespace ktap::differential {

Node HandlerGenerator::body(int depth, size_t most) {
  const size_t variables = scope_.size();
  Nodes out;
  const size_t count = 1 + below(most);
  for (size_t i = 0; i < count; ++i) statement(out, depth);
  scope_.resize(variables);
  return block(std::move(out));
}

void HandlerGenerator::statement(Nodes& out, int depth) {
  switch (below(depth > 0 ? 23 : 17)) {
    case 0:
    case 1:
      return declare(out);
    case 2:
      return assign(out);
    case 3:
    case 4:
      return update(out);
    case 5:
    case 6:
    case 7:
    case 8:
      return change_table(out);
    case 9:
      return has_.values ? change_values(out) : change_table(out);
    case 10:
    case 11:
    case 12:
      return output(out);
    case 13:
      return call_statement(out);
    case 14:
      return has_.aggregates ? sample(out) : update(out);
    case 15:
      return leave(out);
    case 16:
      return rare(out);
    case 17:
      return has_.loops ? loop(out, depth) : branch(out, depth);
    case 18:
      return has_.loops ? table_loop(out, depth) : branch(out, depth);
    case 19:
      return has_.closures ? nested_function(out, depth) : branch(out, depth);
    default:
      return branch(out, depth);
  }
}

/// A function of this place alone, which may capture what is around it.
void HandlerGenerator::nested_function(Nodes& out, int depth) {
  Fn made;
  made.name = fresh("f");
  const bool has_result = chance(80);
  const std::vector<Variable> outer = scope_;
  const std::vector<Type>* const outer_returns = returns_;
  const int outer_loops = loops_;
  const std::string param = fresh("p");
  made.params.push_back(chance(70) ? Type::Int : Type::Str);
  if (has_result) made.results.push_back(chance(70) ? Type::Int : Type::Bool);
  scope_.push_back({param, made.params[0], true});
  returns_ = &made.results;
  loops_ = 0;
  Node inner = body(depth - 1, 2);
  if (has_result) inner.kids.push_back(stmt("return $0", {value(made.results[0], 2)}));
  returns_ = outer_returns;
  loops_ = outer_loops;
  scope_ = outer;
  const char* head = chance(50) ? "local function " : "var ";
  const char* then = head[0] == 'l' ? "(" : " = function (";
  out.push_back(stmt(head + made.name + then + param + ") {$0}", {std::move(inner)}));
  functions_.push_back(made);
  Node use = call(made, 2);
  out.push_back(has_result ? stmt("print($0)", {std::move(use)}) : std::move(use));
  if (out.back().kind == Node::Kind::Expr) out.back() = stmt("$0", {out.back()});
  if (chance(50)) out.push_back(stmt("print($0)", {call(made, 1)}));
  functions_.pop_back();
}

void HandlerGenerator::declare(Nodes& out) {
  if (chance(20) && !functions_.empty()) {
    const Fn& fn = functions_[below(functions_.size())];
    if (fn.results.size() > 1) {
      std::string a = fresh("v");
      std::string b = fresh("v");
      out.push_back(stmt("var " + a + ", " + b + " = $0", {call(fn, 2)}));
      scope_.push_back({a, fn.results[0], true});
      scope_.push_back({b, fn.results[1], true});
      return;
    }
  }
  const size_t die = below(10);
  const Type type = die < 5 ? Type::Int : die < 7 ? Type::Str : die < 8 ? Type::Bool : Type::Maybe;
  Node initial = value(type, 3);
  std::string name = fresh("v");
  out.push_back(stmt("var " + name + " = $0", {std::move(initial)}));
  scope_.push_back({name, type, true});
}

void HandlerGenerator::assign(Nodes& out) {
  if (const Variable* any = any_variable(Type::Any, true); any != nullptr && chance(25)) {
    const std::string u = any->name;
    out.push_back(per_1000(150) ? stmt(u + " += $0", {value(Type::Int, 1)})
                                : stmt(u + " = $0", {value(Type::Any, 2)}));
    return;
  }
  const size_t die = below(10);
  const Type type = die < 6 ? Type::Int : die < 8 ? Type::Str : die < 9 ? Type::Bool : Type::Maybe;
  const Variable* variable = any_variable(type, true);
  if (variable == nullptr) return declare(out);
  const std::string name = variable->name;
  const Variable* other = any_variable(type, true);
  if (chance(20) && other->name != name) {
    out.push_back(stmt(name + ", " + other->name + " = $0, $1", {value(type, 2), value(type, 2)}));
    return;
  }
  out.push_back(stmt(name + " = $0", {value(type, 3)}));
}

void HandlerGenerator::update(Nodes& out) {
  static const Texts kOps = {"+=", "+=", "-=", "*=", "&=", "|=", "^=", "<<=", ">>=", "/=", "%="};
  const Variable* variable = any_variable(Type::Int, true);
  if (has_.strings && chance(8)) {
    const Variable* string = any_variable(Type::Str, true);
    if (string != nullptr) {
      out.push_back(stmt(string->name + " ..= $0", {value(Type::Str, 1)}));
      return;
    }
  }
  if (variable == nullptr) return declare(out);
  const std::string name = variable->name;
  if (chance(25)) {
    out.push_back(stmt(name + (chance(70) ? "++" : "--")));
    return;
  }
  const size_t ops = has_.updates ? kOps.size() : 3;
  out.push_back(stmt(name + " " + kOps[below(ops)] + " $0", {value(Type::Int, 2)}));
}

void HandlerGenerator::change_table(Nodes& out) {
  const TableVar* table = any_table(Type::Int, false);
  if (table == nullptr) return update(out);
  static const Texts kOps = {"*=", "&=", "|=", "^=", "<<=", ">>=", "/=", "%="};
  const std::string t = table->name;
  const auto at = [&] { return key(table->key, 2); };
  switch (below(table->counts ? 6 : 12)) {
    case 0:
    case 1:
    case 2:
      out.push_back(stmt(t + "[$0] += $1", {at(), value(Type::Int, 2)}));
      return;
    case 3:
      out.push_back(stmt(t + "[$0] -= $1", {at(), value(Type::Int, 2)}));
      return;
    case 4:
    case 5:
      out.push_back(stmt(t + "[$0]" + (chance(70) ? "++" : "--"), {at()}));
      return;
    case 6:
    case 7:
      out.push_back(stmt(t + "[$0] = $1", {at(), value(Type::Int, 2)}));
      return;
    case 8:
      out.push_back(stmt(t + "[$0] = " + (chance(50) ? "nil" : "$1"), {at(), maybe(1)}));
      return;
    case 9:
      out.push_back(stmt("delete(" + t + ", $0)", {at()}));
      return;
    case 10:
      if (is_pair(table->key)) break;
      out.push_back(
          stmt(std::string(chance(50) ? "inplace_inc(" : "count(") + t + ", $0)", {at()}));
      return;
    default:
      if (!has_.updates) break;
      out.push_back(
          stmt(t + "[$0] " + kOps[below(kOps.size())] + " $1", {at(), value(Type::Int, 1)}));
      return;
  }
  out.push_back(stmt(t + "[$0] += $1", {at(), value(Type::Int, 2)}));
}

/// Tables of strings and of anything.
void HandlerGenerator::change_values(Nodes& out) {
  const Type type = chance(60) ? Type::Str : chance(50) ? Type::Bool : Type::Any;
  const TableVar* table = any_table(type);
  if (table == nullptr) return change_table(out);
  if (chance(20)) {
    out.push_back(stmt(table->name + "[$0] = nil", {key(table->key, 1)}));
    return;
  }
  if (type == Type::Any && chance(25)) {
    static const Texts kOps = {"+=", "-=", "|=", "&=", "^=", "*="};
    out.push_back(stmt(table->name + "[$0] " + kOps[below(has_.updates ? kOps.size() : 2)] + " $1",
                       {key(table->key, 1), value(Type::Int, 1)}));
    return;
  }
  out.push_back(stmt(table->name + "[$0] = $1",
                     {key(table->key, 1), value(type == Type::Any ? Type::Any : type, 2)}));
}

void HandlerGenerator::output(Nodes& out) {
  switch (below(7)) {
    case 0:
      out.push_back(stmt("print($0)", {value(Type::Any, 3)}));
      return;
    case 1:
    case 2:
      out.push_back(stmt("print($0, $1, $2)",
                         {value(Type::Int, 2), value(Type::Any, 2), value(Type::Str, 1)}));
      return;
    case 3:
      out.push_back(
          stmt("printf(\"%d|%x|%5d|%s\\n\", $0, $1, $2, $3)",
               {printed_integer(2), printed_integer(1), printed_integer(1), value(Type::Any, 1)}));
      return;
    case 4:
      out.push_back(stmt("printf(\"%-8s|%3s|%u\\n\", $0, $1, $2)",
                         {value(Type::Str, 1), value(Type::Str, 1), printed_integer(1)}));
      return;
    case 5:
      out.push_back(stmt("print(\"here\")"));
      return;
    default:
      return print_something(out);
  }
}

void HandlerGenerator::print_something(Nodes& out) {
  if (in_handler_ && has_.argstr && chance(30)) {
    out.push_back(stmt(chance(70) ? "print(argstr)" : "printf(\"%s\", e.tostring())"));
    return;
  }
  // No whole tables: a kernel handler's `print(t)` shows it as it is when user space reads the
  // record, which other handlers may have gone past.
  out.push_back(stmt("print($0, $1)", {maybe(2), condition(2)}));
}

void HandlerGenerator::call_statement(Nodes& out) {
  if (functions_.empty()) return output(out);
  const Fn& fn = functions_[below(functions_.size())];
  const Variable* variable = fn.results.empty() ? nullptr : any_variable(fn.results[0], true);
  if (variable != nullptr && chance(50)) {
    const std::string name = variable->name;
    out.push_back(stmt(name + " = $0", {call(fn, 2)}));
  } else {
    out.push_back(stmt(chance(50) ? "print($0)" : "$0", {call(fn, 2)}));
  }
}

void HandlerGenerator::sample(Nodes& out) {
  if (aggregates_.empty()) return update(out);
  const Aggregate& aggregate = aggregates_[below(aggregates_.size())];
  if (chance(25)) {
    static const Texts kReaders = {"count(", "sum(", "min(", "max(", "avg("};
    const std::string reader = kReaders[below(kReaders.size())] + aggregate.name;
    if (!aggregate.in_table) {
      out.push_back(stmt("print(" + reader + "), $0)", {maybe(1)}));
    } else {
      out.push_back(stmt("print(" + reader + "[$0]), $1)", {key(aggregate.key, 1), maybe(1)}));
    }
  }
  if (!aggregate.in_table) {
    out.push_back(stmt(aggregate.name + " <<< $0", {value(Type::Int, 2)}));
    return;
  }
  out.push_back(stmt(aggregate.name + "[$0] <<< $1", {key(aggregate.key, 1), value(Type::Int, 2)}));
}

/// return, break, continue: under a condition, so that something follows.
void HandlerGenerator::leave(Nodes& out) {
  Node guard = condition(2);
  Nodes inner;
  if (loops_ > 0 && chance(70)) {
    inner.push_back(stmt(chance(50) ? "break" : "continue"));
  } else if (returns_ != nullptr && !returns_->empty()) {
    Nodes values;
    std::string form = "return";
    for (size_t i = 0; i < returns_->size(); ++i) {
      form += (i > 0 ? ", $" : " $") + std::to_string(i);
      values.push_back(value((*returns_)[i], 2));
    }
    inner.push_back(stmt(form, std::move(values)));
  } else {
    inner.push_back(stmt("return"));
  }
  out.push_back(stmt("if ($0) {$1}", {std::move(guard), block(std::move(inner))}));
}

void HandlerGenerator::branch(Nodes& out, int depth) {
  Node guard = condition(2);
  Node first = body(depth - 1, 3);
  if (chance(50)) {
    out.push_back(stmt("if ($0) {$1}", {std::move(guard), std::move(first)}));
  } else if (chance(60)) {
    out.push_back(
        stmt("if ($0) {$1} else {$2}", {std::move(guard), std::move(first), body(depth - 1, 2)}));
  } else {
    Node second = condition(1);
    Node then = body(depth - 1, 2);
    out.push_back(stmt("if ($0) {$1} elseif ($2) {$3} else {$4}",
                       {std::move(guard), std::move(first), std::move(second), std::move(then),
                        body(depth - 1, 2)}));
  }
}

void HandlerGenerator::loop(Nodes& out, int depth) {
  if (has_.strings && chance(20)) return text_loop(out);
  if (has_.strings && chance(20)) return mixed_loop(out);
  ++loops_;
  const size_t variables = scope_.size();
  switch (below(4)) {
    case 0: {  // counted by hand
      const std::string n = fresh("w");
      out.push_back(stmt("var " + n + " = $0",
                         {chance(70) ? one_of({"0", "1", "5", "(-2)"}) : value(Type::Int, 1)}));
      Node inner = body(depth - 1, 2);
      // `continue` must not miss the step: it stands first.
      inner.kids.insert(inner.kids.begin(), stmt(n + (chance(90) ? " = " + n + " + 1" : "++")));
      out.push_back(stmt(
          "while (" + n + " < $0) {$1}",
          {chance(80) ? one_of({"3", "6", "10", "20"}) : value(Type::Int, 1), std::move(inner)}));
      scope_.push_back({n, Type::Int, true});
      --loops_;
      return;
    }
    case 1: {
      const std::string n = fresh("w");
      out.push_back(stmt("var " + n + " = $0", {one_of({"1", "2", "4", "7"})}));
      Node inner = body(depth - 1, 2);
      inner.kids.insert(inner.kids.begin(), stmt(n + " -= 1"));
      out.push_back(
          stmt("repeat {$0} until (" + n + " <= $1)",
               {std::move(inner), chance(80) ? one_of({"0", "(-3)", "2"}) : value(Type::Int, 1)}));
      --loops_;
      scope_.push_back({n, Type::Int, true});
      return;
    }
    default: {
      const std::string i = fresh("i");
      Nodes parts = {chance(70) ? one_of({"1", "0", "5", "(-3)"}) : value(Type::Int, 1),
                     chance(75) ? one_of({"3", "8", "1", "(-2)", "16"}) : value(Type::Int, 1)};
      std::string form = "for (" + i + " = $0, $1";
      if (chance(40)) {
        form += ", $2";
        parts.push_back(chance(85) ? one_of({"2", "(-1)", "3", "1", "(-2)"}) : value(Type::Int, 1));
      }
      scope_.push_back({i, Type::Int, chance(20)});
      parts.push_back(body(depth - 1, 2));
      scope_.resize(variables);
      form += ") {$" + std::to_string(parts.size() - 1) + "}";
      out.push_back(stmt(form, std::move(parts)));
      --loops_;
      return;
    }
  }
}

/// A string that rounds change, how many of them is not known: cut, joined, exchanged with another.
void HandlerGenerator::text_loop(Nodes& out) {
  const std::string s = fresh("v");
  const std::string other = fresh("v");
  const std::string i = fresh("i");
  out.push_back(stmt("var " + s + ", " + other + " = $0, $1",
                     {value(Type::Str, 2), chance(15) ? expr("nil") : value(Type::Str, 1)}));
  static constexpr const char* kSteps[] = {
      "@ = $0",
      "@ = string.sub(@ .. $0, 1, 16)",
      "@ = string.sub($0 .. @, 3)",
      "@ = format(\"%s%d\", string.sub(@, 1, 9), #)",
      "@ = string.upper(string.sub(@, 1, #))",
      "@, ` = ` || $0, @",
      "` = @ @ = $0",
      "if (@ == ` || @ == $0) {\n    @ = tostring(#)\n  }",
      "if (# == 2) {\n    ` = @ .. $0\n  }",
  };
  Nodes inner;
  const size_t count = 1 + below(3);
  for (size_t n = 0; n < count; ++n) {
    std::string form;
    for (const char* c = kSteps[below(std::size(kSteps))]; *c != '\0'; ++c) {
      form += *c == '@' ? s : *c == '`' ? other : *c == '#' ? i : std::string(1, *c);
    }
    Node step = stmt(form, {value(Type::Str, 1)});
    if (chance(40)) step = stmt("if ($0) {$1}", {condition(1), block({std::move(step)})});
    inner.push_back(std::move(step));
  }
  out.push_back(
      stmt("for (" + i + " = 1, $0 & 7) {$1}", {value(Type::Int, 1), block(std::move(inner))}));
  out.push_back(stmt("print(" + s + ", " + other + ")"));
  scope_.push_back({s, Type::Str, true});
}

/// A variable that rounds give values of several types.
void HandlerGenerator::mixed_loop(Nodes& out) {
  const std::string v = fresh("v");
  const std::string i = fresh("i");
  const auto any = [&] {
    switch (below(6)) {
      case 0:
        return expr("nil");
      case 1:
        return expr(v);
      case 2:
        return condition(1);
      case 3:
        return expr("format(\"%d!\", " + i + ")");
      default:
        return value(chance(50) ? Type::Str : Type::Int, 2);
    }
  };
  out.push_back(stmt("var " + v + " = $0", {value(chance(50) ? Type::Str : Type::Int, 1)}));
  Nodes inner;
  const size_t count = 1 + below(3);
  for (size_t n = 0; n < count; ++n) {
    Node step = stmt(v + " = $0", {any()});
    if (chance(30)) step = stmt("if (" + v + " == $0) {$1}", {any(), block({std::move(step)})});
    if (chance(50)) step = stmt("if ($0) {$1}", {condition(1), block({std::move(step)})});
    inner.push_back(std::move(step));
  }
  if (chance(20)) inner.push_back(stmt("print(" + v + ")"));
  out.push_back(
      stmt("for (" + i + " = 1, $0 & 7) {$1}", {value(Type::Int, 1), block(std::move(inner))}));
  out.push_back(
      stmt("print(" + v + ", " + v + " == $0)", {value(chance(50) ? Type::Str : Type::Int, 1)}));
}

/// What a walk does must not depend on its order.
void HandlerGenerator::table_loop(Nodes& out, int depth) {
  const TableVar* table = any_table(chance(80) ? Type::Int : Type::Any);
  if (table == nullptr) return loop(out, depth);
  const Variable* sum = any_variable(Type::Int, true);
  if (table->value == Type::Any) return union_loop(out, *table, sum);
  const TableVar* other = any_table(Type::Int);
  const std::string t = table->name;
  const std::string k = fresh("k");
  const std::string v = fresh("x");
  const std::string head = "for (" + k + ", " + v + " in pairs(" + t + ")) {$0}";
  Nodes inner;
  switch (below(6)) {
    case 0:
      if (sum == nullptr) return loop(out, depth);
      inner.push_back(stmt(sum->name + " += " + v));
      break;
    case 5:  // what the body adds is not met
      if (sum == nullptr || table->key != KeyKind::Int) return loop(out, depth);
      inner.push_back(stmt(sum->name + " += 1"));
      inner.push_back(stmt(t + "[" + k + " + 1000003] = 1"));
      break;
    case 1:
      if (sum == nullptr) return loop(out, depth);
      inner.push_back(
          stmt("if (" + v + " > $0) {$1}", {number(), block({stmt(sum->name + " ^= " + v)})}));
      break;
    case 2:
      inner.push_back(stmt(t + "[" + k + "] = nil"));
      break;
    case 3:
      if (other->name == t || other->key != table->key || table->key > KeyKind::Any)
        return loop(out, depth);
      inner.push_back(stmt(other->name + "[" + k + "] += " + v));
      break;
    default:
      inner.push_back(
          stmt("if (" + v + " == $0) {$1}", {number(), block({stmt("print(\"found\")")})}));
      break;
  }
  out.push_back(stmt(head, {block(std::move(inner))}));
}

/// A walk over values of several types.
void HandlerGenerator::union_loop(Nodes& out, const TableVar& table, const Variable* sum) {
  const std::string k = fresh("k");
  const std::string v = fresh("x");
  Node inner = stmt("if (" + v + " == $0) {$1}", {value(Type::Any, 0), block({stmt("print(1)")})});
  if (sum != nullptr && chance(60))
    inner =
        stmt("if (type(" + v + ") == \"integer\") {$0}", {block({stmt(sum->name + " ^= " + v)})});
  if (sum != nullptr && chance(20))
    inner = stmt("if (type(" + k + ") == type(" + v + ")) {$0}", {block({stmt(sum->name + "++")})});
  out.push_back(stmt("for (" + k + ", " + v + " in pairs(" + table.name + ")) {$0}",
                     {block({std::move(inner)})}));
}

void HandlerGenerator::rare(Nodes& out) {
  switch (below(9)) {
    case 0:
      out.push_back(stmt("if ($0) {$1}", {condition(2), block({stmt("error(\"stop\")")})}));
      return;
    case 1:
      out.push_back(stmt("assert($0)", {condition(2)}));
      return;
    case 2:
      out.push_back(stmt("assert($0, \"no\")", {condition(1)}));
      return;
    case 3:
      if (in_handler_ && chance(40))
        out.push_back(stmt("if ($0) {$1}", {condition(2), block({stmt("exit($0)", {number()})})}));
      return;
    case 4:
      out.push_back(stmt("print(type($0))", {value(Type::Any, 1)}));
      return;
    case 5: {
      const TableVar* table = any_table(chance(70) ? Type::Int : Type::Str);
      if (table != nullptr && chance(40)) out.push_back(stmt("print(len(" + table->name + "))"));
      return;
    }
    case 6: {
      const TableVar* table = any_table(chance(70) ? Type::Int : Type::Str);
      if (table != nullptr && chance(20)) out.push_back(stmt("delete(" + table->name + ")"));
      return;
    }
    case 7:
      if (has_.user_space && chance(20)) out.push_back(stmt("print(1.5 * $0)", {number()}));
      return;
    default:
      out.push_back(stmt("do {$0}", {body(0, 2)}));
      return;
  }
}

}  // namespace ktap::differential
