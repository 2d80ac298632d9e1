// The state of the generator, shared by handler_values.cc (expressions), handler_statements.cc and
// handler_scripts.cc (the whole).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "dice.h"
#include "handlers/handler_generator.h"

namespace ktap::differential {

class HandlerGenerator : private Dice {
 public:
  HandlerGenerator(uint64_t seed, const HandlerFeatures& features) : Dice(seed), has_(features) {}
  Node script();

 private:
  enum class Type : uint8_t { Int, Str, Bool, Maybe, Any };
  /// From Thread on: the same in every place, for tables that are laid out by that.
  enum class KeyKind : uint8_t {
    Int,
    Few,
    Str,
    Bool,
    Any,
    IntStr,
    IntInt,
    AnyInt,
    Thread,
    ThreadName,
    Name,
    Exec
  };
  struct Variable {
    std::string name;
    Type type;
    bool assignable;
  };
  struct TableVar {
    std::string name;
    KeyKind key;
    Type value;
    bool counts = false;  ///< handlers only add to it
  };
  struct Aggregate {
    std::string name;
    bool in_table;
    KeyKind key;
  };
  struct Fn {
    std::string name;
    std::vector<Type> params;
    std::vector<Type> results;
  };
  using Nodes = std::vector<Node>;

  // ---- dice
  const Variable* any_variable(Type type, bool assignable) {
    return any_of(scope_, type, assignable);
  }

  // ---- expressions (handler_values.cc)
  Node value(Type type, int depth);
  Node integer(int depth);
  Node printed_integer(int depth);
  Node number();
  Node operation(const char* op, Node a, Node b);
  Node maybe(int depth);
  Node text(int depth);
  Node made_text(int depth);
  Node library_integer(int depth);
  Node library_text(int depth);
  Node formatted(int depth);
  Node condition(int depth);
  Node comparison(int depth);
  Node event_word();
  Node event_text();
  Node call_of(Type type, int depth);
  Node call(const Fn& fn, int depth);
  Node key(KeyKind kind, int depth);
  Node any_key(int depth);
  Node event_key(KeyKind kind);
  static bool is_pair(KeyKind kind) {
    return kind == KeyKind::IntStr || kind == KeyKind::IntInt || kind == KeyKind::AnyInt ||
           kind == KeyKind::ThreadName;
  }
  Node cell(const TableVar& table, int depth);
  /// `reads`: not one that is only added to.
  const TableVar* any_table(Type value, bool reads = true);
  /// Of a variable or table that holds values of several types; nothing when there is none.
  std::optional<Node> kept_union(int depth);

  // ---- statements (handler_statements.cc): each appends one or more
  Node body(int depth, size_t most);
  void statement(Nodes& out, int depth);
  void declare(Nodes& out);
  void assign(Nodes& out);
  void update(Nodes& out);
  void change_table(Nodes& out);
  void change_values(Nodes& out);
  void output(Nodes& out);
  void print_something(Nodes& out);
  void leave(Nodes& out);
  void sample(Nodes& out);
  void call_statement(Nodes& out);
  void branch(Nodes& out, int depth);
  void loop(Nodes& out, int depth);
  void text_loop(Nodes& out);
  void mixed_loop(Nodes& out);
  void table_loop(Nodes& out, int depth);
  void union_loop(Nodes& out, const TableVar& table, const Variable* sum);
  void nested_function(Nodes& out, int depth);
  void rare(Nodes& out);

  // ---- the whole (handler_scripts.cc)
  void happenings(Nodes& out);
  Node happening();
  void world(Nodes& out);
  void table(Nodes& out);
  void settings(Nodes& out);
  void function(Nodes& out);
  void closure(Nodes& out);
  void handler(Nodes& out);
  void handlers_in_loop(Nodes& out);
  void tick(Nodes& out);
  void end(Nodes& out);
  void show_aggregate(Nodes& out, const Aggregate& aggregate);

  HandlerFeatures has_;
  std::vector<Variable> scope_;
  std::vector<TableVar> tables_;
  std::vector<Aggregate> aggregates_;
  std::vector<Fn> functions_;
  std::vector<std::string> fields_;  ///< what the events of this handler have; empty in functions
  bool in_handler_ = false;
  bool is_sure_ = false;   ///< no operand of any type: the script would not start
  bool has_path_ = false;  ///< the events of this handler have a file name
  bool has_buf_ = false;   ///< … an address of the kernel
  int loops_ = 0;
  const std::vector<Type>* returns_ = nullptr;  ///< of the function around this place
};

}  // namespace ktap::differential
