// Expressions of the handler generator.
#include <utility>

#include "handlers/handler_generator_impl.h"

namespace ktap::differential {

namespace {

const Texts kInts = {"0",  "1",  "2",   "3",   "5",    "7",    "8",    "10",
                     "63", "64", "255", "256", "1000", "(-1)", "(-7)", "1000000007"};
const Texts kEdges = {"9223372036854775807", "(-9223372036854775807 - 1)",
                      "4294967296",          "2147483648",
                      "(-2147483648)",       "0xffffffff",
                      "0x8000000000000000",  "9223372036854775806"};
const Texts kStrings = {"\"\"",
                        "\"a\"",
                        "\"abc\"",
                        "\"x y\"",
                        "\"sys_enter_close\"",
                        "\"judged_x\"",
                        "\"/etc/passwd\"",
                        "\"/dev/null\"",
                        "\"10\"",
                        "\"twenty bytes of text\"",
                        "\"twenty-five bytes of text\"",
                        "\"a string of more than sixteen bytes\""};
const Texts kGlobs = {"\"sys_enter_*\"", "\"*close\"", "\"*exit*\"", "\"judged*\"", "\"/etc/*\"",
                      "\"*\"",           "\"abc\"",    "\"a*\"",     "\"*e*\""};
const Texts kHardGlobs = {"\"sys_?n*\"", "\"*{close,read}\"", "\"[a-j]*\"",
                          "\"/*/*\"",    "\"*a*b*\"",         "\"[!s]*\""};
const Texts kTaskNumbers = {"pid", "tid", "uid", "gid", "cpu", "pid()", "(ns * 0)"};

}  // namespace

const HandlerGenerator::TableVar* HandlerGenerator::any_table(Type value, bool reads) {
  std::vector<const TableVar*> fitting;
  for (const TableVar& table : tables_) {
    if (table.value == value && !(reads && table.counts)) fitting.push_back(&table);
  }
  return fitting.empty() ? nullptr : fitting[below(fitting.size())];
}

Node HandlerGenerator::value(Type type, int depth) {
  if (!is_sure_ && per_1000(4)) type = static_cast<Type>(below(4));
  if (type == Type::Any && chance(25)) {
    if (std::optional<Node> kept = kept_union(depth)) return std::move(*kept);
  }
  if (type == Type::Any) type = static_cast<Type>(below(4));
  const Variable* variable = any_variable(type, false);
  if (variable != nullptr && chance(depth <= 0 ? 60 : 25)) return expr(variable->name);
  switch (type) {
    case Type::Int:
      return integer(depth);
    case Type::Str:
      return text(depth);
    case Type::Bool:
      return condition(depth);
    default:
      return maybe(depth);
  }
}

std::optional<Node> HandlerGenerator::kept_union(int depth) {
  if (is_sure_) return std::nullopt;
  const TableVar* table = any_table(Type::Any);
  const Variable* variable = any_variable(Type::Any, false);
  if (variable != nullptr && (table == nullptr || chance(50))) return expr(variable->name);
  if (table == nullptr || depth < 0) return std::nullopt;
  return cell(*table, depth - 1);
}

Node HandlerGenerator::number() {
  if (in_handler_ && chance(35)) return event_word();
  return chance(85) ? one_of(kInts) : one_of(kEdges);
}

Node HandlerGenerator::operation(const char* op, Node a, Node b) {
  return expr(std::string("($0 ") + op + " $1)", {std::move(a), std::move(b)});
}

Node HandlerGenerator::integer(int depth) {
  if (depth <= 0 || chance(15)) return number();
  --depth;
  const auto sub = [&] { return value(Type::Int, depth); };
  switch (below(16)) {
    case 0:
    case 1:
      return operation("+", sub(), sub());
    case 2:
      return operation("-", sub(), sub());
    case 3:
      return operation("*", sub(), sub());
    case 4:
      return operation(chance(50) ? "/" : "%", sub(),
                       chance(25) ? sub() : one_of({"1", "2", "3", "7", "8", "(-1)", "(-3)"}));
    case 5:
      return operation("&", sub(), sub());
    case 6:
      return operation(chance(50) ? "|" : "^", sub(), sub());
    case 7:
      return operation(chance(50) ? "<<" : ">>", sub(), sub());
    case 8:
      return expr(chance(50) ? "(-$0)" : "(~$0)", {sub()});
    case 9:
      if (!has_.choices) return sub();
      return expr("($0 && $1 || $2)", {condition(depth), sub(), sub()});
    case 10:
    case 11: {
      const TableVar* table = any_table(Type::Int);
      if (table == nullptr) return sub();
      return expr("($0 || $1)", {cell(*table, depth), sub()});
    }
    case 12:
      return call_of(Type::Int, depth);
    case 13:
      if (has_.strings && chance(50)) return expr("len($0)", {text(depth)});
      if (const TableVar* table = any_table(Type::Int); table != nullptr && chance(15))
        return expr("len(" + table->name + ")", {});
      return expr("($0 || $1)", {maybe(depth), sub()});
    case 14:
      if (in_handler_ && chance(40)) return one_of(kTaskNumbers);
      if (is_sure_ || per_1000(950)) return sub();
      return kept_union(depth).value_or(maybe(depth));
    default:
      return has_.calls && chance(50) ? library_integer(depth) : number();
  }
}

/// For a %d, which takes no other type that is known before the script runs.
Node HandlerGenerator::printed_integer(int depth) {
  const TableVar* table = any_table(Type::Int);
  if (table != nullptr && per_1000(40)) return cell(*table, 0);
  const bool outside = std::exchange(is_sure_, true);
  Node node = value(Type::Int, depth);
  is_sure_ = outside;
  return node;
}

Node HandlerGenerator::library_integer(int depth) {
  const auto sub = [&] { return value(Type::Int, depth); };
  switch (below(7)) {
    case 0:
      return expr("math.abs($0)", {sub()});
    case 1:
      return expr(chance(50) ? "math.max($0, $1)" : "math.min($0, $1)", {sub(), sub()});
    case 2:
      return expr("math.log2($0)", {sub()});
    case 3:
      return expr("(string.byte($0, $1) || 0)", {text(depth), one_of({"1", "2", "(-1)", "40"})});
    case 4:
      return expr("(tonumber($0) || 0)", {value(chance(50) ? Type::Str : Type::Int, depth)});
    case 5:
      return expr("num_cpus()");
    default:
      return expr("string.len($0)", {text(depth)});
  }
}

/// One that the kernel makes too where it is kept.
Node HandlerGenerator::formatted(int depth) {
  static constexpr const char* kFormats[] = {
      "format(\"%d:%s\", $0, $1)",     "format(\"%d:%s\", $0, $1)",
      "format(\"%5d|%-8s|\", $0, $1)", "format(\"%x.%.3s\", $0, $1)",
      "format(\"%03d%8.2s\", $0, $1)", "format(\"%-4u%X\", $0, $1)"};
  const size_t which = below(6);
  if (which == 5) return expr(kFormats[which], {printed_integer(depth), printed_integer(depth)});
  return expr(kFormats[which], {printed_integer(depth), value(Type::Any, depth)});
}

Node HandlerGenerator::library_text(int depth) {
  switch (below(6)) {
    case 0:
      return expr(chance(50) ? "string.lower($0)" : "string.upper($0)", {text(depth)});
    case 1:
      return formatted(depth);
    case 2:
      return expr("errno_name($0)", {value(Type::Int, depth)});
    case 3:
      return expr("syscall_name($0)", {value(Type::Int, depth)});
    case 4:
      return expr("string.char(($0 & 63) + 48)", {value(Type::Int, depth)});
    default:
      return expr("arch()");
  }
}

Node HandlerGenerator::event_word() {
  if (fields_.empty() || chance(25)) return expr(chance(70) ? "arg0" : "e.sc_nr");
  return expr(fields_[below(fields_.size())]);
}

Node HandlerGenerator::event_text() {
  if (has_path_ && chance(50)) {
    return expr(chance(70)   ? "(user_string(args.filename) || \"?\")"
                : chance(50) ? "(user_string(args.filename, 8) || \"\")"
                : chance(50) ? "(user_string(args.filename, 100) || probename)"
                             : "(user_string(args.filename, 300) || execname)");
  }
  if (has_buf_ && chance(40)) {
    return expr(chance(70) ? "(kernel_string(args.buf) || \"?\")"
                           : "(kernel_string(args.buf, 16) || \"\")");
  }
  const TableVar* table = any_table(Type::Str);
  if (table != nullptr && chance(15)) return expr("($0 || execname)", {cell(*table, 0)});
  return expr(chance(60) ? "probename" : chance(80) ? "execname" : "e.name");
}

/// An integer or nil.
Node HandlerGenerator::maybe(int depth) {
  const TableVar* table = any_table(Type::Int);
  switch (below(6)) {
    case 0:
      return expr("nil");
    case 1:
      if (in_handler_) return expr(chance(50) ? "arg9" : "e.sc_arg6");
      return expr("nil");
    case 2:
      if (depth <= 0 || !has_.choices) return number();
      return expr("($0 && $1 || $2)",
                  {condition(depth - 1), maybe(depth - 1), value(Type::Int, depth - 1)});
    default:
      return table == nullptr ? number() : cell(*table, depth - 1);
  }
}

Node HandlerGenerator::text(int depth) {
  if (in_handler_ && chance(30)) return event_text();
  // Seldom, as these send much to user space.
  if (has_.strings && chance(1)) return one_of({"\"a\\0\"", "\"n\\0l\""});
  if (depth <= 0 || !has_.strings || chance(30)) return one_of(kStrings);
  return made_text(depth - 1);
}

Node HandlerGenerator::made_text(int depth) {
  const auto sub = [&] { return value(Type::Str, depth); };
  switch (below(10)) {
    case 0:
    case 1:
      return operation("..", sub(), sub());
    case 2:
      return operation("..", sub(), value(Type::Int, depth));
    case 3:
      return expr("tostring($0)", {value(chance(60) ? Type::Int : Type::Any, depth)});
    case 4:
      return expr("string.sub($0, $1, $2)",
                  {sub(), one_of({"1", "2", "3", "(-3)", "0"}), one_of({"1", "4", "(-1)", "20"})});
    case 5:
      return expr("string.sub($0, $1)", {sub(), value(Type::Int, 0)});
    case 6: {
      const TableVar* table = any_table(Type::Str);
      if (table == nullptr) return sub();
      return expr("($0 || $1)", {cell(*table, depth), sub()});
    }
    case 7:
      if (!has_.choices) return sub();
      return expr("($0 && $1 || $2)", {condition(depth), sub(), sub()});
    case 8:
      if (has_.user_space && chance(25))
        return expr(chance(50) ? "string.upper($0)" : "string.rep($0, 2)", {sub()});
      return sub();
    default:
      if (has_.calls && chance(50)) return library_text(depth);
      return call_of(Type::Str, depth);
  }
}

Node HandlerGenerator::condition(int depth) {
  if (depth <= 0) return chance(85) ? comparison(0) : one_of({"true", "false"});
  --depth;
  switch (below(9)) {
    case 0:
      return expr("($0 && $1)", {condition(depth), condition(depth)});
    case 1:
      return expr("($0 || $1)", {condition(depth), condition(depth)});
    case 2:
      return expr("(!$0)", {condition(depth)});
    case 3:
      return operation(chance(50) ? "==" : "!=", maybe(depth),
                       chance(70) ? expr("nil") : value(Type::Int, depth));
    case 4:
      return operation("~", in_handler_ ? event_text() : text(depth),
                       has_.strings && chance(25) ? one_of(kHardGlobs) : one_of(kGlobs));
    case 5:
      if (has_.strings && chance(40))
        return expr(chance(50) ? "string.starts($0, $1)" : "string.ends($0, $1)",
                    {value(Type::Str, depth), one_of(kStrings)});
      if (has_.strings && chance(40))
        return expr("(string.find($0, $1) != nil)", {value(Type::Str, depth), one_of(kStrings)});
      return operation(chance(50) ? "==" : "!=", value(Type::Str, depth), value(Type::Str, depth));
    default:
      return comparison(depth);
  }
}

Node HandlerGenerator::comparison(int depth) {
  static const Texts kOrders = {"<", "<=", ">", ">="};
  if (chance(60)) {
    return operation(kOrders[below(4)], value(Type::Int, depth), value(Type::Int, depth));
  }
  if (has_.strings && chance(10))
    return operation(kOrders[below(4)], value(Type::Str, depth), value(Type::Str, depth));
  const Type type = chance(70) ? Type::Int : Type::Str;
  return operation(chance(50) ? "==" : "!=", value(type, depth),
                   value(per_1000(50) ? Type::Any : type, depth));
}

// ---- tables and calls

Node HandlerGenerator::key(KeyKind kind, int depth) {
  switch (kind) {
    case KeyKind::Int:
      return value(Type::Int, depth);
    case KeyKind::Few:
      return chance(50) ? one_of({"1", "2", "3", "4"})
                        : expr("($0 & 7)", {value(Type::Int, depth)});
    case KeyKind::Str:
      return value(Type::Str, depth);
    case KeyKind::Bool:
      return condition(depth);
    case KeyKind::Any:
      return any_key(depth);
    case KeyKind::AnyInt:
      return expr("$0, $1", {any_key(depth), value(Type::Int, depth)});
    case KeyKind::IntStr:
      return expr("$0, $1", {value(Type::Int, depth), value(Type::Str, depth)});
    case KeyKind::IntInt:
      return expr("$0, $1", {value(Type::Int, depth), value(Type::Int, depth)});
    default:
      return event_key(kind);
  }
}

/// Of any of the types that a key may have beside others; nil at times.
Node HandlerGenerator::any_key(int depth) {
  if (!is_sure_ && chance(20)) return value(Type::Any, depth);
  if (chance(30)) return one_of({"0", "1", "\"\"", "\"0\"", "false", "true"});
  return value(chance(40) ? Type::Int : chance(75) ? Type::Str : Type::Bool, depth);
}

Node HandlerGenerator::event_key(KeyKind kind) {
  // The main chunk knows no event.
  switch (kind) {
    case KeyKind::Thread:
      return is_sure_ ? one_of(kInts) : expr("tid");
    case KeyKind::ThreadName:
      return is_sure_ ? expr("$0, $1", {one_of(kInts), one_of(kStrings)}) : expr("tid, probename");
    case KeyKind::Name:
      return is_sure_ ? one_of(kStrings) : expr("probename");
    default:
      return is_sure_ ? one_of(kStrings) : expr("execname");
  }
}

Node HandlerGenerator::cell(const TableVar& table, int depth) {
  return expr(table.name + "[$0]", {key(table.key, depth)});
}

Node HandlerGenerator::call_of(Type type, int depth) {
  std::vector<const Fn*> fitting;
  for (const Fn& fn : functions_) {
    if (!fn.results.empty() && fn.results[0] == type) fitting.push_back(&fn);
  }
  if (fitting.empty()) return value(type, depth - 1);
  Node made = call(*fitting[below(fitting.size())], depth);
  return expr("($0)", {std::move(made)});
}

Node HandlerGenerator::call(const Fn& fn, int depth) {
  std::string form = fn.name + "(";
  Nodes args;
  const size_t missing = chance(3) ? 1 : 0;  // then it is nil
  for (size_t i = 0; i + missing < fn.params.size(); ++i) {
    form += (i > 0 ? ", $" : "$") + std::to_string(i);
    args.push_back(value(fn.params[i], depth - 1));
  }
  return expr(form + ")", std::move(args));
}

}  // namespace ktap::differential
