// The state of the generator, shared by generator.cc (expressions) and generator_statements.cc.
#pragma once

#include <string>
#include <vector>

#include "dice.h"
#include "generator.h"

namespace ktap::differential {

class Generator : private Dice {
 public:
  Generator(uint64_t seed, const GeneratorOptions& options);
  Node program();

 private:
  enum class Type : uint8_t { Int, Float, String, Bool, Table, Any };
  struct Variable {
    std::string name;
    Type type;
    bool assignable;
  };
  struct Fn {
    std::string name;
    std::vector<Type> params;
    std::vector<Type> results;
    bool is_recursive;
  };

  // ---- dice
  const Variable* any_variable(Type type, bool assignable) {
    return any_of(scope_, type, assignable);
  }
  Type any_type();

  // ---- expressions (generator.cc)
  Node value(Type type, int depth);
  Node operation(const std::string& op, Node a, Node b);
  Node integer(int depth);
  Node library_integer(int depth);
  Node floating(int depth);
  Node text(int depth);
  Node condition(int depth);
  Node key(int depth);
  Node table_place();
  Node table(int depth);
  Node long_list(const std::string& open, const std::string& between, const std::string& close);
  Node call_of(Type type, int depth);
  Node call(const Fn& fn, int depth, bool cut);

  // ---- statements (generator_statements.cc): each appends one or more
  using Statements = std::vector<Node>;
  Node body(int depth, size_t most);
  void statement(Statements& out, int depth);
  void simple(Statements& out);
  void declare(Statements& out);
  void assign(Statements& out);
  void update(Statements& out);
  void change_table(Statements& out);
  void output(Statements& out);
  void call_statement(Statements& out);
  void nested(Statements& out, int depth);
  void if_else(Statements& out, int depth);
  void while_loop(Statements& out, int depth);
  void repeat_loop(Statements& out, int depth);
  void numeric_for(Statements& out, int depth);
  void table_loop(Statements& out, int depth);
  void unordered_loop(Statements& out);
  void multi_keys(Statements& out);
  void aggregates(Statements& out);
  void jump(Statements& out);
  void function(Statements& out, int depth);
  Node later_function();
  void recursive_function(Statements& out);
  void closures(Statements& out);
  void effects(Statements& out);
  Node results(const std::vector<Type>& types);
  std::string compare(bool by_value);

  GeneratorOptions options_;
  std::vector<Variable> scope_;
  std::vector<Fn> functions_;
  int loops_ = 0;                               ///< loops around this place in its function
  bool in_repeat_ = false;                      ///< the innermost loop is a repeat
  const std::vector<Type>* returns_ = nullptr;  ///< of the function around this place
};

}  // namespace ktap::differential
