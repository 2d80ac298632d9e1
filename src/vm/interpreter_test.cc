// Unit test of the interpreter's fast paths: whatever way an operator takes through the loop, it
// gives what runtime/arith.h gives, with the same error at the same place; fields are found again
// by the entry of last time only while that is theirs.
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/arith.h"
#include "runtime/string.h"
#include "runtime/table.h"
#include "vm/fake_host.h"

namespace ktap::vm {
namespace {

using bytecode::Op;
using bytecode::UpdateOp;
using runtime::ArithOp;
using runtime::Table;
using runtime::Type;
using runtime::Value;
using testing::Assembler;
using testing::Program;

Value i(int64_t x) { return Value::of(x); }

/// Main puts closures of `functions`, at most two, into the globals from 1 on.
class Functions {
 public:
  explicit Functions(std::vector<Assembler*> functions) : run_(main(functions)) {
    EXPECT_EQ(run_.main(), "");
  }
  /// The error, or "" and `result`.
  std::string call(size_t slot, const std::vector<Value>& args, Value* result) {
    std::string error = run_.call(run_.vm->globals()[slot], args);
    *result = run_.result;
    return error;
  }
  Program& program() { return run_; }
  Value string(std::string_view text) { return run_.vm->heap().string(text); }

 private:
  static Assembler& main(const std::vector<Assembler*>& functions) {
    static thread_local std::unique_ptr<Assembler> main;
    main = std::make_unique<Assembler>("main");
    int slot = 1;
    for (Assembler* function : functions) {
      main->ad(Op::Closure, 0, main->child(*function)).ad(Op::SetGlobal, 0, slot++);
    }
    main->ret();
    return *main;
  }
  Program run_;
};

bool identical(Value a, Value b) {
  if (a.type != b.type) return false;
  if (a.type == Type::Float && std::isnan(a.number)) return std::isnan(b.number);
  return a.integer == b.integer;  // bits: 0.0 is not -0.0
}

std::vector<Value> numbers() {
  std::vector<Value> all;
  for (int64_t x : {int64_t{0}, int64_t{1}, int64_t{-1}, int64_t{7}, int64_t{-64}, int64_t{1} << 32,
                    (int64_t{1} << 32) - 1, INT64_MAX, INT64_MIN}) {
    all.push_back(i(x));
  }
  for (double x : {0.0, -0.0, 0.5, -7.0, 1e300, std::numeric_limits<double>::infinity(),
                   std::numeric_limits<double>::quiet_NaN()}) {
    all.push_back(Value::of(x));
  }
  all.push_back(Value::nil());
  all.push_back(Value::of(true));
  return all;
}

struct Operator {
  Op op;
  ArithOp meaning;
};
constexpr Operator kOperators[] = {
    {Op::Add, ArithOp::Add},     {Op::Sub, ArithOp::Sub},       {Op::Mul, ArithOp::Mul},
    {Op::Div, ArithOp::Div},     {Op::Mod, ArithOp::Mod},       {Op::BitAnd, ArithOp::BitAnd},
    {Op::BitOr, ArithOp::BitOr}, {Op::BitXor, ArithOp::BitXor}, {Op::Shl, ArithOp::Shl},
    {Op::Shr, ArithOp::Shr},
};

void expect_as_arith(Functions& functions, const std::vector<Value>& args, Operator op, Value a,
                     Value b) {
  Value wanted;
  std::string wanted_error;
  bool ok = runtime::arith(op.meaning, a, b, &wanted, &wanted_error);
  Value result;
  EXPECT_EQ(functions.call(1, args, &result), wanted_error) << bytecode::op_name(op.op);
  if (ok) {
    EXPECT_TRUE(identical(result, wanted))
        << bytecode::op_name(op.op) << " of " << runtime::type_name(a.type) << " " << a.integer
        << ", " << runtime::type_name(b.type) << " " << b.integer;
  }
}

TEST(Interpreter, OperatorsOfRegisters) {
  for (Operator op : kOperators) {
    Assembler f("f", 4, 2);
    f.abc(op.op, 2, 0, 1).ret(2, 1);
    Functions functions({&f});
    for (Value a : numbers()) {
      for (Value b : numbers()) expect_as_arith(functions, {a, b}, op, a, b);
    }
  }
}

TEST(Interpreter, OperatorsOfConstants) {
  constexpr Operator kWithConstant[] = {
      {Op::AddK, ArithOp::Add}, {Op::SubK, ArithOp::Sub}, {Op::MulK, ArithOp::Mul}};
  const bytecode::Constant constants[] = {int64_t{0}, int64_t{-7},        int64_t{INT32_MAX},
                                          INT64_MIN,  int64_t{INT32_MIN}, 0.0,
                                          -2.5,       int64_t{1} << 40};
  for (Operator op : kWithConstant) {
    for (const bytecode::Constant& constant : constants) {
      Assembler f("f", 4, 1);
      f.abc(op.op, 2, 0, f.constant(constant)).ret(2, 1);
      Functions functions({&f});
      Value b = constant.index() == 2 ? i(std::get<int64_t>(constant))
                                      : Value::of(std::get<double>(constant));
      for (Value a : numbers()) expect_as_arith(functions, {a}, op, a, b);
    }
  }
}

TEST(Interpreter, OperatorsOfASmallInteger) {
  for (Operator op : kOperators) {
    for (int small : {0, 1, -1, 3, 64, -32768, 32767}) {
      Assembler f("f", 4, 1);
      f.as(Op::LoadInt, 1, small).abc(op.op, 2, 0, 1).ret(2, 1);
      Functions functions({&f});
      for (Value a : numbers()) expect_as_arith(functions, {a, i(small)}, op, a, i(small));
    }
  }
}

/// R[2] = (R[0] op R[1]) is `sense`
Assembler comparison(Op op, int sense, int params) {
  Assembler f("f", 4, static_cast<uint8_t>(params));
  f.abc(op, 0, 1, sense).jump(2).abc(Op::LoadBool, 2, 0).jump(1).abc(Op::LoadBool, 2, 1).ret(2, 1);
  return f;
}

void expect_as_comparison(Functions& functions, const std::vector<Value>& args, Op op, int sense,
                          Value a, Value b) {
  bool holds = false;
  std::string wanted_error;
  bool ok = op == Op::TestLt ? runtime::less(a, b, &holds, &wanted_error)
                             : runtime::less_equal(a, b, &holds, &wanted_error);
  Value result;
  EXPECT_EQ(functions.call(1, args, &result), wanted_error);
  if (ok) {
    EXPECT_EQ(result.truthy(), holds == (sense != 0));
  }
}

TEST(Interpreter, Comparisons) {
  for (Op op : {Op::TestLt, Op::TestLe}) {
    for (int sense : {0, 1}) {
      Assembler f = comparison(op, sense, 2);
      Functions functions({&f});
      for (Value a : numbers()) {
        for (Value b : numbers()) expect_as_comparison(functions, {a, b}, op, sense, a, b);
      }
    }
  }
}

TEST(Interpreter, ComparisonsWithASmallInteger) {
  for (Op op : {Op::TestLt, Op::TestLe}) {
    for (int sense : {0, 1}) {
      for (int on_the_right : {0, 1}) {
        Assembler f("f", 4, 2);
        f.as(Op::LoadInt, on_the_right, 7).abc(op, 0, 1, sense).jump(2).abc(Op::LoadBool, 2, 0);
        f.jump(1).abc(Op::LoadBool, 2, 1).ret(2, 1);
        Functions functions({&f});
        for (Value other : numbers()) {
          Value a = on_the_right != 0 ? other : i(7);
          Value b = on_the_right != 0 ? i(7) : other;
          expect_as_comparison(functions, {other, other}, op, sense, a, b);
        }
      }
    }
  }
}

TEST(Interpreter, ErrorsOfJoinedStepsNameTheirOwnInstruction) {
  // Lines count the instructions from 1.
  Assembler compares("f", 4, 1);
  compares.as(Op::LoadInt, 1, 2).abc(Op::TestLt, 0, 1, 1).jump(0).ret();
  Assembler divides("g", 4, 1);
  divides.as(Op::LoadInt, 1, 2).abc(Op::Mod, 2, 0, 1).ret();
  Functions functions({&compares, &divides});
  Program& run = functions.program();
  Value result;
  EXPECT_NE(functions.call(1, {functions.string("x")}, &result), "");
  EXPECT_EQ(run.error->place.line, 2u);
  EXPECT_NE(functions.call(2, {Value::nil()}, &result), "");
  EXPECT_EQ(run.error->place.line, 2u);
}

TEST(Interpreter, TooManyRoundsAreTheJumpsError) {
  Assembler loops("f", 4, 1);
  loops.abc(Op::LoadNil, 0).abc(Op::Test, 0, 0, 0).jump(-3).ret();
  Functions functions({&loops});
  Program& run = functions.program();
  Budget budget;
  budget.iterations = 10;
  EXPECT_EQ(run.call(run.vm->globals()[1], {}, budget), "more than 10 loop iterations in one run");
  EXPECT_EQ(run.error->place.line, 3u);
}

TEST(Interpreter, AJoinedIntegerIsLoadedToo) {
  Assembler f("f", 4, 1);
  f.as(Op::LoadInt, 1, 5).abc(Op::Mod, 2, 0, 1).abc(Op::Add, 2, 2, 1).ret(2, 1);
  Functions functions({&f});
  Value result;
  EXPECT_EQ(functions.call(1, {i(13)}, &result), "");
  EXPECT_EQ(result.integer, 8);
}

TEST(Interpreter, AJumpBetweenJoinedStepsFindsTheSecondAlone) {
  // R0 = 9 behind the LoadInt: 9 < 5 does not hold.
  Assembler f("f", 4, 1);
  f.as(Op::LoadInt, 1, 9).jump(1).as(Op::LoadInt, 1, 5).abc(Op::TestLt, 0, 1, 1).jump(2);
  f.abc(Op::LoadBool, 2, 0).jump(1).abc(Op::LoadBool, 2, 1).ret(2, 1);
  Functions functions({&f});
  Value result;
  EXPECT_EQ(functions.call(1, {i(7)}, &result), "");
  EXPECT_TRUE(result.boolean);  // 7 < 9
}

/// get(t) { return t.x } and put(t, v) { t.x = v }, always at the same places in code.
class FieldTest : public ::testing::Test {
 protected:
  FieldTest() : functions_({&get_, &put_}) {
    functions_.program().vm->add_roots([this](runtime::Heap& heap) {
      for (Value root : roots_) heap.mark(root);
    });
  }
  static Assembler getter() {
    Assembler f("get", 4, 1);
    f.abc(Op::GetField, 1, 0, f.constant(std::string("x"))).ret(1, 1);
    return f;
  }
  static Assembler putter() {
    Assembler f("put", 4, 2);
    f.abc(Op::SetField, 0, f.constant(std::string("x")), 1).ret();
    return f;
  }
  Table* table() {
    roots_.push_back(Value::of_object(Type::Table, heap().table()));
    return roots_.back().table();
  }
  /// With `before` other names added before x.
  Table* table_with(int before, int64_t x) {
    Table* made = table();
    for (int n = 0; n < before; ++n) made->set(name(n), i(n));
    made->set(functions_.string("x"), i(x));
    return made;
  }
  Value name(int n) { return functions_.string("n" + std::to_string(n)); }
  runtime::Heap& heap() { return functions_.program().vm->heap(); }
  /// -1: nil
  int64_t get(Table* from) {
    Value result;
    EXPECT_EQ(functions_.call(1, {Value::of_object(Type::Table, from)}, &result), "");
    return result.is_nil() ? -1 : result.integer;
  }
  void put(Table* into, Value value) {
    Value result;
    EXPECT_EQ(functions_.call(2, {Value::of_object(Type::Table, into), value}, &result), "");
  }

  Assembler get_ = getter();
  Assembler put_ = putter();
  std::vector<Value> roots_;
  Functions functions_;
};

TEST_F(FieldTest, OnePlaceManyTables) {
  std::vector<Table*> tables;
  for (int before : {0, 1, 7, 8, 30, 1, 0}) tables.push_back(table_with(before, 100 + before));
  tables.push_back(table());  // without x
  for (int round = 0; round < 3; ++round) {
    for (Table* t : tables) EXPECT_EQ(get(t), t->size() == 0 ? -1 : 99 + (int64_t)t->size());
  }
  for (Table* t : tables) put(t, i(5));
  for (Table* t : tables) EXPECT_EQ(get(t), 5);
}

TEST_F(FieldTest, RemovedAndBack) {
  Table* t = table_with(3, 1);
  EXPECT_EQ(get(t), 1);
  put(t, Value::nil());
  EXPECT_EQ(get(t), -1);
  EXPECT_EQ(t->size(), 3u);
  put(t, Value::nil());
  EXPECT_EQ(t->size(), 3u);
  put(t, i(2));
  EXPECT_EQ(get(t), 2);
  EXPECT_EQ(t->size(), 4u);
  t->clear();
  EXPECT_EQ(get(t), -1);
  t->set(name(0), i(9));  // at an entry where x was once
  EXPECT_EQ(get(t), -1);
  put(t, i(3));
  EXPECT_EQ(get(t), 3);
  EXPECT_EQ(t->get(name(0)).integer, 9);
}

TEST_F(FieldTest, EntriesThatMove) {
  Table* t = table_with(20, 1);
  EXPECT_EQ(get(t), 1);
  put(t, i(2));
  for (int n = 0; n < 20; ++n) t->set(name(n), Value::nil());
  for (int n = 20; n < 60; ++n) t->set(name(n), i(n));  // drops the dead ones: x moves down
  EXPECT_EQ(get(t), 2);
  put(t, i(3));
  EXPECT_EQ(get(t), 3);
  for (int n = 20; n < 60; ++n) EXPECT_EQ(t->get(name(n)).integer, n);
}

TEST_F(FieldTest, FarBehindIsNotRemembered) {
#ifdef KTAP_HOSTILE
  GTEST_SKIP() << "a table that grows at each insert takes minutes to get that large";
#endif
  Table* t = table_with(70000, 1);
  for (int round = 0; round < 3; ++round) EXPECT_EQ(get(t), 1);
  put(t, i(2));
  put(t, i(3));
  EXPECT_EQ(get(t), 3);
  EXPECT_EQ(t->size(), 70001u);
}

TEST_F(FieldTest, AnIntegerThatLooksLikeTheName) {
  Table* named = table_with(0, 1);
  EXPECT_EQ(get(named), 1);
  Table* other = table();
  Value disguised = functions_.string("x");
  disguised.type = Type::Integer;  // the same payload in the same entry
  other->set(disguised, i(7));
  EXPECT_EQ(get(other), -1);
  put(other, i(8));
  EXPECT_EQ(get(other), 8);
  EXPECT_EQ(other->get(disguised).integer, 7);
}

TEST_F(FieldTest, StoredObjectsSurvive) {
  Table* t = table_with(0, 1);
  for (int n = 0; n < 200; ++n) {
    put(t, functions_.string("a string that is longer than what is interned " + std::to_string(n)));
    heap().collect();
    EXPECT_EQ(t->get(functions_.string("x")).string()->view(),
              "a string that is longer than what is interned " + std::to_string(n));
  }
}

TEST(Interpreter, AddToCells) {
  // add(t, k, v) { t[k] += v }
  Assembler f("add", 6, 3);
  f.abc(Op::Move, 3, 1)
      .abc(Op::Move, 4, 2)
      .abc(Op::UpdateIndex, 0, 3, static_cast<int>(UpdateOp::Add));
  f.ret();
  Functions functions({&f});
  runtime::Heap& heap = functions.program().vm->heap();
  Value table = Value::of_object(Type::Table, heap.table());
  Value text = functions.string("k");
  functions.program().vm->add_roots([table, text](runtime::Heap& h) {
    h.mark(table);
    h.mark(text);
  });
  Value result;
  for (Value key : {i(1), i(-5), i(int64_t{1} << 50), Value::of(true), text}) {
    EXPECT_EQ(functions.call(1, {table, key, i(INT64_MAX)}, &result), "");
    EXPECT_EQ(functions.call(1, {table, key, i(1)}, &result), "");
    EXPECT_EQ(table.table()->get(key).integer, INT64_MIN);
    table.table()->set(key, Value::nil());
    EXPECT_EQ(functions.call(1, {table, key, i(3)}, &result), "");
    EXPECT_EQ(functions.call(1, {table, key, Value::of(0.5)}, &result), "");
    EXPECT_EQ(table.table()->get(key).number, 3.5);
  }
  EXPECT_EQ(functions.call(1, {table, Value::nil(), i(1)}, &result), "nil cannot be a key");
  EXPECT_EQ(functions.call(1, {table, Value::of(1.0), i(1)}, &result), "a float cannot be a key");
  EXPECT_EQ(functions.call(1, {i(1), i(1), i(1)}, &result), "cannot store into an integer");
}

}  // namespace
}  // namespace ktap::vm
