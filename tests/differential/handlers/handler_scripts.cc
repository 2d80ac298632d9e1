// The whole script of the handler generator: happenings, main chunk, handlers, trace_end.
#include <algorithm>
#include <utility>

#include "handlers/handler_generator_impl.h"

namespace ktap::differential {

namespace {

/// An event text, the arguments that all its events have, and whether one is a file name.
struct EventChoice {
  const char* text;
  std::vector<const char*> fields;
  bool has_path = false;
  bool has_buf = false;
};
const std::vector<EventChoice>& choices() {
  static const std::vector<EventChoice> kChoices = {
      {"syscalls:sys_enter_close", {"args.fd", "arg1", "e.sc_arg1"}, false},
      {"syscalls:sys_enter_read", {"args.fd", "args.count", "arg3"}, false, true},
      {"syscalls:sys_enter_lseek", {"args.fd", "args.offset", "args.whence", "arg2"}, false},
      {"syscalls:sys_enter_getppid", {}, false},
      {"syscalls:sys_enter_openat", {"args.dfd", "args.flags", "args.mode", "arg1"}, true},
      {"syscalls:sys_exit_close", {"retval", "args.ret", "arg1"}, false},
      {"syscalls:sys_exit_read", {"retval", "e.retval"}, false},
      {"syscalls:sys_enter_*", {}, false},
      {"syscalls:sys_exit_*", {"retval", "args.ret"}, false},
      {"syscalls:sys_*_close, syscalls:sys_enter_read", {}, false},
      {"syscalls:sys_enter_* ~sys_enter_close", {}, false},
      {"syscalls:sys_enter_{read,close,lseek}", {"args.fd", "arg1"}, false},
      {"syscalls:sys_*_read", {}, false},
  };
  return kChoices;
}

const Texts kArguments = {"0",
                          "1",
                          "2",
                          "3",
                          "4",
                          "5",
                          "7",
                          "9",
                          "10",
                          "63",
                          "64",
                          "100",
                          "255",
                          "256",
                          "4096",
                          "-1",
                          "-2",
                          "-9",
                          "-100",
                          "2147483647",
                          "2147483648",
                          "4294967295",
                          "4294967296",
                          "9223372036854775807",
                          "-9223372036854775808",
                          "0xdeadbeefcafe"};

}  // namespace

Node HandlerGenerator::happening() {
  static constexpr std::pair<const char*, int> kCalls[] = {
      {"close", 1}, {"close", 1}, {"read", 3}, {"lseek", 3}, {"getppid", 0}, {"openat", 4}};
  const auto& [name, count] = kCalls[below(6)];
  const bool enters = chance(70);
  std::string line = std::string("#on: ") + (enters ? "enter " : "exit ") + name;
  for (int i = 0; i < (enters ? count : 1); ++i) {
    line += " ";
    if (enters && count == 4 && i == 1) {
      line += chance(90) ? "path:" + std::to_string(below(13)) : "bad";
    } else if (enters && std::string_view(name) == "read" && i == 1) {
      line += chance(80) ? "kernel:" + std::to_string(below(13)) : "bad";
    } else {
      line += kArguments[chance(60) ? below(10) : below(kArguments.size())];
    }
  }
  return stmt(line);
}

void HandlerGenerator::happenings(Nodes& out) {
  if (chance(4)) out.push_back(stmt("#strict"));
  if (chance(4)) out.push_back(stmt("#only cpu 1"));
  const size_t count = 3 + below(12);
  for (size_t i = 0; i < count; ++i) {
    out.push_back(happening());
    if (chance(10)) out.push_back(stmt("#on: tick"));
    if (chance(8)) out.push_back(stmt("#on: thread " + std::to_string(below(3))));
    if (chance(8)) out.push_back(stmt("#on: cpu " + std::to_string(below(2))));
  }
}

void HandlerGenerator::table(Nodes& out) {
  static constexpr KeyKind kKinds[] = {
      KeyKind::Int,    KeyKind::Int,        KeyKind::Few,    KeyKind::Str,
      KeyKind::Str,    KeyKind::IntStr,     KeyKind::IntInt, KeyKind::Bool,
      KeyKind::Thread, KeyKind::Thread,     KeyKind::Any,    KeyKind::Any,
      KeyKind::AnyInt, KeyKind::ThreadName, KeyKind::Name,   KeyKind::Exec};
  TableVar made{fresh("t"), kKinds[below(std::size(kKinds))], Type::Int};
  if (has_.values && chance(25))
    made.value = chance(60) ? Type::Str : chance(50) ? Type::Bool : Type::Any;
  out.push_back(stmt("var " + made.name + (chance(90) ? " = {}" : " = table.new(0, 400)")));
  const size_t entries = chance(40) ? below(4) : 0;
  for (size_t i = 0; i < entries; ++i) {
    out.push_back(stmt(made.name + "[$0] = $1", {key(made.key, 0), value(made.value, 0)}));
  }
  made.counts = made.value == Type::Int && chance(50);
  tables_.push_back(made);
}

void HandlerGenerator::world(Nodes& out) {
  is_sure_ = true;
  const size_t variables = 1 + below(3);
  for (size_t i = 0; i < variables; ++i) {
    // Variables that handlers assign, local to the chunk and global.
    const bool local = chance(60);
    const std::string name = fresh(local ? "n" : "g");
    out.push_back(stmt((local ? "var " : "") + name + " = $0", {number()}));
    scope_.push_back({name, Type::Int, true});
  }
  const std::string constant = fresh("c");
  out.push_back(stmt("var " + constant + " = $0", {number()}));
  scope_.push_back({constant, Type::Int, false});
  const std::string string = fresh("s");
  out.push_back(stmt("var " + string + " = $0", {text(0)}));
  scope_.push_back({string, Type::Str, has_.values && chance(30)});
  if (has_.values && chance(30)) {
    const std::string flag = fresh("b");
    out.push_back(stmt("var " + flag + " = $0", {one_of({"true", "false"})}));
    scope_.push_back({flag, Type::Bool, true});
  }
  if (has_.values && chance(30)) {
    const std::string maybe_name = fresh("m");
    out.push_back(stmt("var " + maybe_name + " = $0", {one_of({"nil", "7"})}));
    scope_.push_back({maybe_name, Type::Maybe, true});
  }
  if (has_.values && chance(30)) {
    const std::string any = fresh("u");
    out.push_back(stmt("var " + any + " = $0", {one_of({"1", "\"u\"", "true", "nil"})}));
    scope_.push_back({any, Type::Any, true});
  }
  const size_t tables = 1 + below(3);
  for (size_t i = 0; i < tables; ++i) table(out);
  if (has_.aggregates && chance(30)) {
    Aggregate made{fresh("a"), chance(60), static_cast<KeyKind>(below(3))};
    out.push_back(stmt("var " + made.name + (made.in_table ? " = {}" : " = aggr()")));
    aggregates_.push_back(made);
  }
  if (chance(25)) settings(out);
  is_sure_ = false;
  while (chance(55)) function(out);
  if (chance(20)) closure(out);
}

/// A table that nobody writes: its entries are constants.
void HandlerGenerator::settings(Nodes& out) {
  const std::string t = fresh("cfg");
  out.push_back(stmt("var " + t + " = {limit = $0, name = $1, inner = {1, $2}, [7] = $3}",
                     {number(), text(0), number(), one_of({"true", "false", "1"})}));
  scope_.push_back({t + ".limit", Type::Int, false});
  scope_.push_back({t + ".name", Type::Str, false});
  scope_.push_back({t + ".inner[2]", Type::Int, false});
  if (!has_.closures || !chance(50)) return;
  const std::string f = fresh("fs");
  out.push_back(stmt("var " + f + " = {twice = function (x) { return x * 2 }, " +
                     "less = function (x) { return x - " + t + ".limit }}"));
  functions_.push_back({f + ".twice", {Type::Int}, {Type::Int}});
  functions_.push_back({f + ".less", {Type::Int}, {Type::Int}});
}

void HandlerGenerator::function(Nodes& out) {
  const std::vector<Variable> outer = scope_;
  Fn made;
  made.name = fresh("f");
  static constexpr Type kTypes[] = {Type::Int, Type::Int,  Type::Int,
                                    Type::Str, Type::Bool, Type::Maybe};
  std::string head = (chance(70) ? "function " : "local function ") + made.name + "(";
  const size_t params = below(4);
  for (size_t i = 0; i < params; ++i) {
    made.params.push_back(kTypes[below(6)]);
    const std::string name = fresh("p");
    head += (i > 0 ? ", " : "") + name;
    scope_.push_back({name, made.params.back(), true});
  }
  const size_t results = chance(80) ? 1 : chance(50) ? 2 : 0;
  for (size_t i = 0; i < results; ++i) made.results.push_back(kTypes[below(6)]);
  returns_ = &made.results;
  Node inner = body(1, 3);
  if (!made.results.empty()) {
    Nodes values;
    std::string form = "return";
    for (size_t i = 0; i < made.results.size(); ++i) {
      form += (i > 0 ? ", $" : " $") + std::to_string(i);
      values.push_back(value(made.results[i], 2));
    }
    inner.kids.push_back(stmt(form, std::move(values)));
  }
  returns_ = nullptr;
  scope_ = outer;
  out.push_back(stmt(head + ") {$0}", {std::move(inner)}));
  functions_.push_back(made);
}

void HandlerGenerator::closure(Nodes& out) {
  const std::string maker = fresh("mk");
  const std::string made = fresh("f");
  out.push_back(stmt("function " + maker + "(n) {\n  return function (x) {\n    " +
                     (chance(50) ? "return x + n" : "n += x\n    return n") + "\n  }\n}"));
  out.push_back(stmt("var " + made + " = " + maker + "($0)", {number()}));
  functions_.push_back({made, {Type::Int}, {Type::Int}});
}

void HandlerGenerator::handler(Nodes& out) {
  const EventChoice& choice = choices()[below(choices().size())];
  fields_.assign(choice.fields.begin(), choice.fields.end());
  has_path_ = choice.has_path;
  has_buf_ = choice.has_buf;
  in_handler_ = true;
  Nodes parts;
  std::string head = std::string("trace ") + choice.text;
  if (chance(30)) {
    head += " /$0/";
    parts.push_back(condition(2));
  }
  const bool is_large = chance(8);
  parts.push_back(is_large ? body(3, 12) : body(2, 6));
  const std::string place = "$" + std::to_string(parts.size() - 1);
  out.push_back(stmt(head + " {" + place + "}", std::move(parts)));
  in_handler_ = false;
  fields_.clear();
  has_path_ = has_buf_ = false;
}

/// The same code several times, on other captured variables and events.
void HandlerGenerator::handlers_in_loop(Nodes& out) {
  const std::string i = fresh("i");
  const size_t variables = scope_.size();
  scope_.push_back({i, Type::Int, false});
  in_handler_ = true;
  Node inner = body(1, 3);
  in_handler_ = false;
  scope_.resize(variables);
  const bool computed = chance(50);
  out.push_back(stmt("for (" + i + " = 1, 2) {\n  trace " +
                         (computed ? "\"syscalls:sys_enter_\" .. (" + i +
                                         " == 1 && \"close\" || \"read\") function (e) {$0}\n}"
                                   : "syscalls:sys_enter_read {$0}\n}"),
                     {std::move(inner)}));
}

void HandlerGenerator::tick(Nodes& out) {
  Nodes inner;
  const TableVar& shown = tables_[below(tables_.size())];
  inner.push_back(stmt("print(\"tick\")"));
  inner.push_back(stmt("print(" + shown.name + ")"));
  if (chance(60)) inner.push_back(stmt("delete(" + shown.name + ")"));
  if (chance(30)) inner.push_back(stmt("delete(" + shown.name + ", $0)", {key(shown.key, 0)}));
  if (chance(30) && shown.value == Type::Int)
    inner.push_back(stmt(shown.name + "[$0] = $1", {key(shown.key, 0), number()}));
  if (chance(30) && shown.value == Type::Any)
    inner.push_back(stmt(shown.name + "[$0] = $1", {key(shown.key, 0), value(Type::Any, 0)}));
  for (const Variable& variable : scope_)
    if (chance(30)) inner.push_back(stmt("print(" + variable.name + ")"));
  const Variable* variable = any_variable(Type::Int, true);
  if (variable != nullptr && chance(30))
    inner.push_back(stmt(variable->name + " = $0", {number()}));
  for (const Aggregate& aggregate : aggregates_) {
    show_aggregate(inner, aggregate);
    if (chance(50)) inner.push_back(stmt("delete(" + aggregate.name + ")"));
  }
  out.push_back(stmt("tick-1s {$0}", {block(std::move(inner))}));
}

void HandlerGenerator::show_aggregate(Nodes& out, const Aggregate& aggregate) {
  static const Texts kReaders = {"count(%)",
                                 "sum(%)",
                                 "min(%)",
                                 "max(%)",
                                 "avg(%)",
                                 "stddev(%)",
                                 "quantile(%, 0.5)",
                                 "quantile(%, 0.99)",
                                 "hist(%)",
                                 "hist(%, 0, 100, 10)",
                                 "hist(%, \"log-linear\")",
                                 "%"};
  const auto reader = [&](const std::string& of) {
    std::string text;
    for (const char* c = kReaders[below(kReaders.size())]; *c != '\0'; ++c)
      text += *c == '%' ? of : std::string(1, *c);
    return text;
  };
  if (!aggregate.in_table) {
    out.push_back(stmt("print(" + reader(aggregate.name) + ", " + reader(aggregate.name) + ")"));
    if (chance(30)) out.push_back(stmt("print_hist(" + aggregate.name + ")"));
    return;
  }
  const std::string k = fresh("k");
  const std::string v = fresh("x");
  out.push_back(stmt("for (" + k + ", " + v + " in sort_keys(" + aggregate.name + ")) {$0}",
                     {block({stmt("print(" + k + ", " + reader(v) + ", " + reader(v) + ")")})}));
  if (chance(20)) out.push_back(stmt("print_hist(" + aggregate.name + ")"));
}

void HandlerGenerator::end(Nodes& out) {
  Nodes inner;
  for (const TableVar& shown : tables_) {
    inner.push_back(stmt("print(\"" + shown.name + "\")"));
    inner.push_back(stmt("print(" + shown.name + ")"));
  }
  for (const Variable& variable : scope_)
    inner.push_back(stmt("print(\"" + variable.name + "\", " + variable.name + ")"));
  for (const Aggregate& aggregate : aggregates_) show_aggregate(inner, aggregate);
  out.push_back(stmt("trace_end {$0}", {block(std::move(inner))}));
}

Node HandlerGenerator::script() {
  Nodes out;
  // One handler in user space takes others with it.
  has_.user_space = has_.user_space && chance(40);
  happenings(out);
  world(out);
  const size_t count = 1 + below(3);
  for (size_t i = 0; i < count; ++i) {
    if (chance(10)) {
      handlers_in_loop(out);
    } else {
      handler(out);
    }
  }
  if (chance(20)) {
    if (chance(10)) out.insert(out.begin(), stmt("#live"));
    tick(out);
  }
  end(out);
  return block(std::move(out));
}

Node random_script(uint64_t seed, const HandlerFeatures& features) {
  return HandlerGenerator(seed, features).script();
}

}  // namespace ktap::differential
