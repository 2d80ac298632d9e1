// Arithmetic, comparison and truth on abstract values: folded where both sides are known, checked
// for nil where they may be, refused where the types cannot be right (the VM then reports the
// script's mistake). The texts of run-time errors are the runtime's own, found by doing the same
// operation on values of the same types.
#include <fmt/format.h>

#include <utility>

#include "base/glob.h"
#include "lower/lowerer.h"
#include "runtime/arith.h"
#include "ssa/fold.h"

namespace ktap::lower {

namespace {

using runtime::ArithOp;
using runtime::Value;

ArithOp arith_op(ssa::Op op) {
  switch (op) {
    case ssa::Op::Add:
      return ArithOp::Add;
    case ssa::Op::Sub:
      return ArithOp::Sub;
    case ssa::Op::Mul:
      return ArithOp::Mul;
    case ssa::Op::DivS:
      return ArithOp::Div;
    case ssa::Op::ModS:
      return ArithOp::Mod;
    case ssa::Op::And:
      return ArithOp::BitAnd;
    case ssa::Op::Or:
      return ArithOp::BitOr;
    case ssa::Op::Xor:
      return ArithOp::BitXor;
    case ssa::Op::Shl:
      return ArithOp::Shl;
    default:
      return ArithOp::Shr;
  }
}

/// `**` is `*`; behind a backslash it is not.
std::string without_double_stars(const std::string& glob) {
  std::string out;
  bool is_star = false;
  for (size_t i = 0; i < glob.size(); ++i) {
    if (glob[i] == '*' && is_star) continue;
    is_star = glob[i] == '*';
    out += glob[i];
    if (glob[i] == '\\' && i + 1 < glob.size()) out += glob[++i];
  }
  return out;
}

/// The words of an arithmetic operator on two values; "" where it takes them.
std::function<std::string(Value, Value)> arithmetic_error(ArithOp op) {
  return [op](Value a, Value b) {
    Value ignored;
    std::string text;
    runtime::arith(op, a, b, &ignored, &text);
    return text;
  };
}

std::function<std::string(Value, Value)> order_error(bool or_equal) {
  return [or_equal](Value a, Value b) {
    bool ignored;
    std::string text;
    or_equal ? runtime::less_equal(a, b, &ignored, &text) : runtime::less(a, b, &ignored, &text);
    return text;
  };
}

}  // namespace

// ---- constants and helpers -------------------------------------------------------------------

ssa::ValueId Lowerer::const_int(int64_t value) {
  ssa::Inst inst{ssa::Op::ConstInt, ssa::Type::Int};
  inst.imm = value;
  return emit(std::move(inst));
}

ssa::ValueId Lowerer::const_bool(bool value) {
  ssa::Inst inst{ssa::Op::ConstBool, ssa::Type::Bool};
  inst.imm = value ? 1 : 0;
  return emit(std::move(inst));
}

ssa::ValueId Lowerer::const_str(const std::string& text) {
  ssa::Inst inst{ssa::Op::ConstStr, ssa::Type::Str, ssa::StrKind::Id};
  inst.imm = linkage_.module.intern(text);
  return emit(std::move(inst));
}

ssa::ValueId Lowerer::op2(ssa::Op op, ssa::Type type, ssa::ValueId a, ssa::ValueId b) {
  ssa::Inst inst{op, type};
  inst.operands = {a, b};
  return emit(std::move(inst));
}

ssa::ValueId Lowerer::op1(ssa::Op op, ssa::Type type, ssa::ValueId a) {
  ssa::Inst inst{op, type};
  inst.operands = {a};
  return emit(std::move(inst));
}

ssa::Type Lowerer::type_of(const AbstractValue& value) const {
  switch (value.kind) {
    case Kind::Int:
      return ssa::Type::Int;
    case Kind::Bool:
      return ssa::Type::Bool;
    case Kind::Str:
      return ssa::Type::Str;
    case Kind::Ssa:
      return function_[value.id].type;
    default:
      return ssa::Type::None;
  }
}

bool Lowerer::is_maybe(const AbstractValue& value) const { return ssa::is_maybe(type_of(value)); }

std::string Lowerer::describe(const AbstractValue& value) const {
  switch (value.kind) {
    case Kind::Undefined:
      return "a variable that is not set on every way here";
    case Kind::Nil:
      return "nil";
    case Kind::Bool:
      return "a boolean";
    case Kind::Int:
      return "an integer";
    case Kind::Float:
      return "a float";
    case Kind::Str:
      return "a string";
    case Kind::Table:
      return "a table";
    case Kind::Function:
    case Kind::Builtin:
      return "a function";
    case Kind::Event:
      return "the event";
    case Kind::EventText:
      return "argstr";
    case Kind::EventTextLine:
      return "the event as text";
    case Kind::Tuple:
      return "a multi-key";
    case Kind::Iterator:
      return "an iterator";
    case Kind::Pointer:
      return "a kernel pointer";
    case Kind::Aggregate:
    case Kind::Reading:
      return "an aggregate";
    case Kind::Rendered:
      return fmt::format(
          "the result of {}()",
          full_name(bytecode::builtin_info(static_cast<bytecode::Builtin>(value.integer))));
    case Kind::Mixed:
      return value.text;
    case Kind::Ssa:
      break;
  }
  switch (type_of(value)) {
    case ssa::Type::Int:
      return "an integer";
    case ssa::Type::Bool:
      return "a boolean";
    case ssa::Type::Str:
      return "a string";
    case ssa::Type::MaybeInt:
      return "an integer that may be nil";
    case ssa::Type::MaybeBool:
      return "a boolean that may be nil";
    case ssa::Type::Stack:
      return "a stack";
    case ssa::Type::MaybeStack:
      return "a stack that may be nil";
    default:
      return "a string that may be nil";
  }
}

void Lowerer::refuse_use(const std::string& what, const AbstractValue& value) {
  refuse(fmt::format("{} on {}", what, describe(value)));
}

// ---- run-time errors -------------------------------------------------------------------------

/// Where it is now, and the calls that are being inlined.
std::vector<ssa::CodePlace> Lowerer::trace() const {
  std::vector<ssa::CodePlace> places;
  places.push_back(
      {calls_.empty() ? std::string() : calls_.back()->name, place_.span, place_.line});
  places.insert(places.end(), callers_.rbegin(), callers_.rend());
  return places;
}

int64_t Lowerer::failure(const std::string& text, std::vector<ssa::CodePlace> trace, bool is_told) {
  auto& failures = linkage_.module.failures;
  for (size_t i = 0; i < failures.size(); ++i) {
    if (failures[i].text == text && failures[i].trace == trace && failures[i].is_told == is_told)
      return static_cast<int64_t>(i);
  }
  const ssa::CodePlace& at = trace.front();
  failures.push_back({text, at.span, at.line, std::move(trace), is_told});
  return static_cast<int64_t>(failures.size() - 1);
}

void Lowerer::fail_now(const std::string& text) {
  if (!stopped()) fail(failure(text, trace()));
}

void Lowerer::fail(int64_t number) {
  ssa::Inst inst{ssa::Op::Fail};
  inst.imm = number;
  emit(std::move(inst));
  current_ = {};
}

void Lowerer::fail_when(ssa::ValueId condition, const std::string& text) {
  raise_when(condition, AbstractValue::string(text));
}

void Lowerer::raise_when(ssa::ValueId condition, const AbstractValue& message) {
  if (stopped()) return;
  const ssa::BlockId failed = new_block();
  const ssa::BlockId next = new_block();
  branch(condition, failed, next);
  current_ = failed;
  raise(message);
  current_ = next;
}

ssa::ValueId Lowerer::unwrap(const AbstractValue& maybe) {
  const ssa::Inst& from = function_[maybe.id];
  ssa::Inst inst{ssa::Op::Unwrap};
  inst.type = ssa::sure_type(from.type);
  inst.str_kind = from.str_kind;
  inst.max_bytes = from.max_bytes;
  inst.operands = {maybe.id};
  return emit(std::move(inst));
}

AbstractValue Lowerer::check_not_nil(const AbstractValue& value, const std::string& text) {
  if (!is_maybe(value)) return value;
  fail_when(op1(ssa::Op::IsNil, ssa::Type::Bool, value.id), text);
  return AbstractValue::ssa(unwrap(value));
}

ssa::ValueId Lowerer::to_int(const AbstractValue& value, const std::string& what) {
  if (value.is(Kind::Int)) return const_int(value.integer);
  if (type_of(value) == ssa::Type::Int) return value.id;
  refuse_use(what, value);
  return const_int(0);
}

// ---- arithmetic ------------------------------------------------------------------------------

/// A value of the same type, for an operation that is done for its error text; nothing when the
/// type is not known.
std::optional<Value> Lowerer::typed_sample(const AbstractValue& value) const {
  switch (value.kind) {
    case Kind::Nil:
      return Value::nil();
    case Kind::Float:
      return Value::of(value.number);
    case Kind::Table:
      return Value::of_object(runtime::Type::Table, value.table);
    case Kind::Function:
      return Value::of_object(runtime::Type::Function, nullptr);
    case Kind::Builtin:
      return Value::of_builtin(static_cast<uint16_t>(value.integer));
    case Kind::Event:
      return Value::event();
    case Kind::EventText:
    case Kind::EventTextLine:
      return linkage_.constants->string("x");
    case Kind::Tuple:
      return Value::of_object(runtime::Type::Tuple, nullptr);
    case Kind::Aggregate:
      return Value::of_object(runtime::Type::Aggregate, value.aggregate);
    case Kind::Rendered:
      if (value.may_be_nil || value.is_address()) return std::nullopt;
      if (value.result == runtime::Type::Integer) return Value::of(int64_t{1});
      if (value.result == runtime::Type::Float) return Value::of(1.0);
      return linkage_.constants->string("x");
    default:
      break;
  }
  switch (ssa::sure_type(type_of(value))) {
    case ssa::Type::Int:
      return Value::of(int64_t{1});
    case ssa::Type::Bool:
      return Value::of(true);
    case ssa::Type::Str:
      return linkage_.constants->string("x");
    case ssa::Type::Stack:
      return sample_stack();
    default:
      return std::nullopt;
  }
}

/// Operands of types that cannot be right: the run ends here, in words that depend on whether one
/// of them is nil.
void Lowerer::fail_by_types(const AbstractValue& a, const AbstractValue& b, const std::string& what,
                            const ErrorText& error_text) {
  if (stopped() || !reachable()) return;
  if (is_maybe(a)) {
    return do_either(a, [&](const AbstractValue& v) { fail_by_types(v, b, what, error_text); });
  }
  if (is_maybe(b)) {
    return do_either(b, [&](const AbstractValue& v) { fail_by_types(a, v, what, error_text); });
  }
  const std::optional<Value> x = typed_sample(a);
  const std::optional<Value> y = typed_sample(b);
  if (!x) return refuse_use(what, a);
  if (!y) return refuse_use(what, b);
  const std::string text = error_text(*x, *y);
  if (text.empty()) return refuse_use(what, a.is(Kind::Float) ? a : b);
  fail_now(text);
}

/// Both operands as sure integers, with the checks for nil that the machine must do. False after a
/// refusal, and where nothing runs any more.
bool Lowerer::sure_operands(AbstractValue& a, AbstractValue& b, const std::string& what,
                            const ErrorText& error_text) {
  for (const AbstractValue* v : {&a, &b}) {
    const ssa::Type type = type_of(*v);
    if (type == ssa::Type::Int || type == ssa::Type::MaybeInt) continue;
    fail_by_types(a, b, what, error_text);
    return false;
  }
  const Value some = Value::of(int64_t{1});
  if (is_maybe(a)) {
    const ssa::BlockId failed = new_block();
    const ssa::BlockId next = new_block();
    branch(op1(ssa::Op::IsNil, ssa::Type::Bool, a.id), failed, next);
    current_ = failed;
    if (is_maybe(b)) {
      fail_when(op1(ssa::Op::IsNil, ssa::Type::Bool, b.id), error_text(Value::nil(), Value::nil()));
    }
    fail_now(error_text(Value::nil(), some));
    current_ = next;
    const bool is_same = same(a, b);
    a = AbstractValue::ssa(unwrap(a));
    if (is_same) b = a;
  }
  b = check_not_nil(b, error_text(some, Value::nil()));
  return !stopped();
}

AbstractValue Lowerer::arithmetic(ssa::Op op, const AbstractValue& left,
                                  const AbstractValue& right) {
  if (left.is(Kind::Int) && right.is(Kind::Int)) {
    return AbstractValue::of(*ssa::fold(op, left.integer, right.integer));
  }
  if (auto result = by_type({left, right}, [&](const std::vector<AbstractValue>& v) {
        return arithmetic(op, v[0], v[1]);
      })) {
    return *result;
  }
  AbstractValue a = left;
  AbstractValue b = right;
  if (!sure_operands(a, b, "arithmetic", arithmetic_error(arith_op(op)))) return {};
  const ssa::ValueId x = to_int(a, "arithmetic");
  const ssa::ValueId y = to_int(b, "arithmetic");
  return AbstractValue::ssa(op2(op, ssa::Type::Int, x, y));
}

AbstractValue Lowerer::unary(bool negation, const AbstractValue& operand) {
  if (auto result = by_type(
          {operand}, [&](const std::vector<AbstractValue>& v) { return unary(negation, v[0]); })) {
    return *result;
  }
  const ErrorText error_text = [negation](Value of, Value) {
    Value ignored;
    std::string text;
    negation ? runtime::negate(of, &ignored, &text) : runtime::bit_not(of, &ignored, &text);
    return text;
  };
  const ssa::Type type = type_of(operand);
  if (type == ssa::Type::MaybeInt)
    return unary(negation, check_not_nil(operand, error_text(Value::nil(), {})));
  if (type != ssa::Type::Int) {
    fail_by_types(operand, AbstractValue::of(int64_t{1}), "arithmetic", error_text);
    return {};
  }
  return negation ? arithmetic(ssa::Op::Sub, AbstractValue::of(int64_t{0}), operand)
                  : arithmetic(ssa::Op::Xor, operand, AbstractValue::of(int64_t{-1}));
}

AbstractValue Lowerer::divide(ssa::Op op, const AbstractValue& left, const AbstractValue& right) {
  if (auto result = by_type({left, right}, [&](const std::vector<AbstractValue>& v) {
        return divide(op, v[0], v[1]);
      })) {
    return *result;
  }
  AbstractValue a = left;
  AbstractValue b = right;
  if (!sure_operands(a, b, "arithmetic", arithmetic_error(arith_op(op)))) return {};
  const std::string by_zero = "division by zero";
  if (b.is(Kind::Int)) {
    if (b.integer == 0) {
      fail_now(by_zero);
      return AbstractValue::of(int64_t{0});
    }
    if (a.is(Kind::Int)) return AbstractValue::of(*ssa::fold(op, a.integer, b.integer));
  } else {
    fail_when(op2(ssa::Op::Eq, ssa::Type::Bool, b.id, const_int(0)), by_zero);
  }
  const ssa::ValueId x = to_int(a, "arithmetic");
  const ssa::ValueId y = to_int(b, "arithmetic");
  return AbstractValue::ssa(op2(op, ssa::Type::Int, x, y));
}

// ---- truth and comparison --------------------------------------------------------------------

/// Only nil and false are false.
Lowerer::Truth Lowerer::truth(const AbstractValue& value) {
  if (value.is(Kind::Pointer)) return truth(plain(value));
  switch (value.kind) {
    case Kind::Nil:
      return Truth::of(false);
    case Kind::Bool:
      return Truth::of(value.integer != 0);
    case Kind::Undefined:
      refuse("a condition on " + describe(value));
      return Truth::of(false);
    case Kind::Rendered:
      if (!value.may_be_nil) return Truth::of(true);
      if (can_settle(value)) return truth(settled(value));
      refuse("a condition on " + describe(value));
      return Truth::of(false);
    case Kind::Mixed:
      if (!value.id.valid()) {
        refuse("a condition on " + describe(value));
        return Truth::of(false);
      }
      return truth(
          for_each_type(value, [&](const AbstractValue& part) { return to_value(truth(part)); }));
    case Kind::Ssa:
      break;
    default:
      return Truth::of(true);
  }
  if (type_of(value) == ssa::Type::Bool) return Truth::of(value.id);
  if (!is_maybe(value)) return Truth::of(true);
  if (type_of(value) == ssa::Type::MaybeBool)
    return Truth::of(op1(ssa::Op::IsTrue, ssa::Type::Bool, value.id));
  const ssa::ValueId is_nil = op1(ssa::Op::IsNil, ssa::Type::Bool, value.id);
  return Truth::of(op1(ssa::Op::Not, ssa::Type::Bool, is_nil));
}

ssa::ValueId Lowerer::truth_id(Truth truth) {
  return truth.known ? const_bool(truth.value) : truth.id;
}

Lowerer::Truth Lowerer::negate(Truth truth) {
  if (truth.known) return Truth::of(!truth.value);
  return Truth::of(op1(ssa::Op::Not, ssa::Type::Bool, truth.id));
}

AbstractValue Lowerer::to_value(Truth truth) {
  return truth.known ? AbstractValue::boolean(truth.value) : AbstractValue::ssa(truth.id);
}

Lowerer::Truth Lowerer::equals(const AbstractValue& a, const AbstractValue& b) {
  if (auto result = by_type({a, b}, [&](const std::vector<AbstractValue>& v) {
        return to_value(equals(v[0], v[1]));
      })) {
    return truth(*result);
  }
  if (a.is(Kind::Pointer) || b.is(Kind::Pointer)) return equals(plain(a), plain(b));
  for (const AbstractValue* v : {&a, &b}) {
    if (v->is(Kind::Undefined) || v->is(Kind::Mixed) || v->is(Kind::EventText) ||
        v->is(Kind::EventTextLine)) {
      refuse("a comparison with " + describe(*v));
      return Truth::of(false);
    }
  }
  if (a.is(Kind::Rendered) || b.is(Kind::Rendered)) return equals_rendered(a, b);
  if (a.is(Kind::Float) || b.is(Kind::Float)) {
    const AbstractValue& other = a.is(Kind::Float) ? b : a;
    if (other.is(Kind::Float)) return Truth::of(a.number == b.number);
    const bool number = type_of(other) == ssa::Type::Int || type_of(other) == ssa::Type::MaybeInt;
    if (number) refuse("a comparison with a float");
    return Truth::of(false);
  }
  if (a.is(Kind::Tuple) && b.is(Kind::Tuple)) return equals_tuple(a, b, 0);
  if (a.is_constant() && b.is_constant()) return Truth::of(same(a, b));
  if (same(a, b)) return Truth::of(true);
  if (is_maybe(a)) return equals_maybe(a, b);
  if (is_maybe(b)) return equals_maybe(b, a);
  const ssa::Type type = type_of(a);
  if (type != type_of(b) || type == ssa::Type::None) return Truth::of(false);
  if (type == ssa::Type::Str) return equals_string(a, b);
  if (type == ssa::Type::Stack) return Truth::of(op2(ssa::Op::StrEq, ssa::Type::Bool, a.id, b.id));
  const auto id = [&](const AbstractValue& v) {
    if (v.is(Kind::Int)) return const_int(v.integer);
    return v.is(Kind::Bool) ? const_bool(v.integer != 0) : v.id;
  };
  const ssa::ValueId x = id(a);
  const ssa::ValueId y = id(b);
  return Truth::of(op2(ssa::Op::Eq, ssa::Type::Bool, x, y));
}

/// The parts from number `from` on, as far as it takes to find one that differs.
Lowerer::Truth Lowerer::equals_tuple(const AbstractValue& a, const AbstractValue& b, size_t from) {
  if (a.parts.size() != b.parts.size()) return Truth::of(false);
  if (from == a.parts.size()) return Truth::of(true);
  const Truth part = equals(a.parts[from], b.parts[from]);
  if (stopped()) return Truth::of(false);
  if (part.known) return part.value ? equals_tuple(a, b, from + 1) : part;
  const ssa::BlockId alike = new_block();
  const ssa::BlockId differ = new_block();
  branch(part.id, alike, differ);
  current_ = alike;
  const Truth rest = equals_tuple(a, b, from + 1);
  if (stopped()) return Truth::of(false);
  return truth(
      join({{differ, {AbstractValue::boolean(false)}, 0}, {current_, {to_value(rest)}, 0}})[0]);
}

/// What a library function makes, against anything.
Lowerer::Truth Lowerer::equals_rendered(const AbstractValue& a, const AbstractValue& b) {
  const AbstractValue& call = a.is(Kind::Rendered) ? a : b;
  const AbstractValue& other = a.is(Kind::Rendered) ? b : a;
  if (call.may_be_nil || a.is_address() || b.is_address()) {
    refuse("a comparison with " + describe(call));
    return Truth::of(false);
  }
  const bool is_string = other.is(Kind::Rendered) || other.is(Kind::Str) ||
                         ssa::sure_type(type_of(other)) == ssa::Type::Str;
  if (!is_string) return Truth::of(false);
  const AbstractValue text = text_value(call);
  if (stopped()) return Truth::of(false);
  return equals(text, other);
}

/// `maybe` against nil, or: there, and equal.
Lowerer::Truth Lowerer::equals_maybe(const AbstractValue& maybe, const AbstractValue& other) {
  const ssa::ValueId is_nil = op1(ssa::Op::IsNil, ssa::Type::Bool, maybe.id);
  if (other.is(Kind::Nil)) return Truth::of(is_nil);
  const bool can_equal = ssa::sure_type(type_of(other)) == ssa::sure_type(type_of(maybe));
  if (!can_equal && !is_maybe(other)) return Truth::of(false);
  const ssa::BlockId absent = new_block();
  const ssa::BlockId present = new_block();
  branch(is_nil, absent, present);
  current_ = absent;
  const AbstractValue both_nil =
      is_maybe(other) ? AbstractValue::ssa(op1(ssa::Op::IsNil, ssa::Type::Bool, other.id))
                      : AbstractValue::boolean(false);
  current_ = present;
  const Truth equal =
      can_equal ? equals(AbstractValue::ssa(unwrap(maybe)), other) : Truth::of(false);
  if (stopped()) return Truth::of(false);
  return truth(join({{absent, {both_nil}, 0}, {current_, {to_value(equal)}, 0}})[0]);
}

Lowerer::Truth Lowerer::equals_string(const AbstractValue& a, const AbstractValue& b) {
  // A literal that is longer than the other side can be, or of bytes that it never has.
  for (const auto& [text, other] : {std::pair(&a, &b), std::pair(&b, &a)}) {
    if (text->is(Kind::Str) && other->is(Kind::Ssa) &&
        function_[other->id].str_kind == ssa::StrKind::Bytes &&
        (text->text.size() > function_[other->id].max_bytes || has_nul(text->text))) {
      return Truth::of(false);
    }
  }
  // Ids of strings are compared as numbers where both sides have one.
  const auto has_bytes = [&](const AbstractValue& v) {
    return v.is(Kind::Ssa) && function_[v.id].str_kind == ssa::StrKind::Bytes;
  };
  const bool by_bytes = has_bytes(a) || has_bytes(b);
  const auto id = [&](const AbstractValue& v) {
    if (v.is(Kind::Str)) return const_str(v.text);
    return by_bytes ? text_bytes(v) : v.id;
  };
  const ssa::ValueId x = id(a);
  const ssa::ValueId y = id(b);
  return Truth::of(op2(ssa::Op::StrEq, ssa::Type::Bool, x, y));
}

Lowerer::Truth Lowerer::less(const AbstractValue& left, const AbstractValue& right, bool or_equal) {
  if (auto result = by_type({left, right}, [&](const std::vector<AbstractValue>& v) {
        return to_value(less(v[0], v[1], or_equal));
      })) {
    return truth(*result);
  }
  if (left.is(Kind::Str) && right.is(Kind::Str)) {
    return Truth::of(or_equal ? left.text <= right.text : left.text < right.text);
  }
  if (is_text(left) && is_text(right)) return less_text(left, right, or_equal);
  const ssa::Op op = or_equal ? ssa::Op::Le : ssa::Op::Lt;
  if (left.is(Kind::Int) && right.is(Kind::Int)) {
    return Truth::of(*ssa::fold(op, left.integer, right.integer) != 0);
  }
  AbstractValue a = left;
  AbstractValue b = right;
  if (!sure_operands(a, b, "a comparison by size", order_error(or_equal))) return Truth::of(false);
  const ssa::ValueId x = to_int(a, "a comparison by size");
  const ssa::ValueId y = to_int(b, "a comparison by size");
  return Truth::of(op2(op, ssa::Type::Bool, x, y));
}

/// A string, or one that may be nil.
bool Lowerer::is_text(const AbstractValue& value) const {
  return (value.is(Kind::Rendered) && value.result == runtime::Type::String && !value.may_be_nil) ||
         ssa::sure_type(type_of(value)) == ssa::Type::Str;
}

/// Strings by their bytes; `a <= b` is not `b < a`.
Lowerer::Truth Lowerer::less_text(const AbstractValue& left, const AbstractValue& right,
                                  bool or_equal) {
  const ErrorText error_text = order_error(or_equal);
  const Value some = linkage_.constants->string("x");
  if (is_maybe(left) && is_maybe(right) && !same(left, right)) {
    const ssa::BlockId failed = new_block();
    const ssa::BlockId next = new_block();
    branch(op1(ssa::Op::IsNil, ssa::Type::Bool, left.id), failed, next);
    current_ = failed;
    fail_when(op1(ssa::Op::IsNil, ssa::Type::Bool, right.id),
              error_text(Value::nil(), Value::nil()));
    fail_now(error_text(Value::nil(), some));
    current_ = next;
    return less_text(AbstractValue::ssa(unwrap(left)), right, or_equal);
  }
  if (is_maybe(left) && is_maybe(right)) {
    const AbstractValue sure = check_not_nil(left, error_text(Value::nil(), Value::nil()));
    return less_text(sure, sure, or_equal);
  }
  const AbstractValue a = text_value(check_not_nil(left, error_text(Value::nil(), some)));
  const AbstractValue b = text_value(check_not_nil(right, error_text(some, Value::nil())));
  if (stopped()) return Truth::of(false);
  for (const AbstractValue* v : {&a, &b}) {
    if (text_bound(*v)) continue;
    refuse(kNoBytes);
    return Truth::of(false);
  }
  const ssa::ValueId x = text_bytes(a);
  const ssa::ValueId y = text_bytes(b);
  if (!or_equal) return Truth::of(op2(ssa::Op::StrLess, ssa::Type::Bool, x, y));
  return negate(Truth::of(op2(ssa::Op::StrLess, ssa::Type::Bool, y, x)));
}

/// A glob against text: known, a bounded compare of bytes, or a name among those of the group.
Lowerer::Truth Lowerer::match(const AbstractValue& text, const AbstractValue& pattern) {
  if (auto result = by_type({text, pattern}, [&](const std::vector<AbstractValue>& v) {
        return to_value(match(v[0], v[1]));
      })) {
    return truth(*result);
  }
  const auto error_text = [](Value of, Value glob) {
    return fmt::format("'~' matches a string with a glob, got {} and {}",
                       runtime::type_phrase(of.type), runtime::type_phrase(glob.type));
  };
  const auto is_string = [this](const AbstractValue& v) {
    return is_text(v) || v.is(Kind::Rendered) || v.is(Kind::EventText) || v.is(Kind::EventTextLine);
  };
  if (!is_string(text) || !is_string(pattern)) {
    fail_by_types(text, pattern, "a glob match", error_text);
    return Truth::of(false);
  }
  if (!pattern.is(Kind::Str)) {
    refuse("a glob that is not known before the handlers run");
    return Truth::of(false);
  }
  if (text.is(Kind::Str)) {
    return Truth::of(glob_match(pattern.text, text.text));
  }
  if (text.is(Kind::Rendered) && is_text(text)) {
    const AbstractValue made = text_value(text);
    return stopped() ? Truth::of(false) : match(made, pattern);
  }
  if (type_of(text) == ssa::Type::MaybeStr) {
    return match(check_not_nil(text, match_error_text()), pattern);
  }
  if (type_of(text) != ssa::Type::Str) {
    refuse_use("a glob match", text);
    return Truth::of(false);
  }
  if (function_[text.id].str_kind == ssa::StrKind::Id) return match_name(text, pattern.text);
  return match_glob(text, pattern.text);
}

/// Bytes against a glob.
Lowerer::Truth Lowerer::match_glob(const AbstractValue& text, const std::string& glob) {
  std::string plain = without_double_stars(glob);
  if (plain != glob) return match_glob(text, plain);
  if (glob == "*") return Truth::of(true);
  if (!has_glob(glob)) return equals_string(text, AbstractValue::string(glob));
  if (!glob_bits(glob, false)) {
    refuse("a glob of more than 64 parts");
    return Truth::of(false);
  }
  ssa::Inst inst{ssa::Op::StrGlob, ssa::Type::Bool};
  inst.operands = {text.id};
  inst.imm = linkage_.module.intern(glob);
  return Truth::of(emit(std::move(inst)));
}

/// probename of a group: known when all its names agree.
Lowerer::Truth Lowerer::match_name(const AbstractValue& text, const std::string& pattern) {
  if (function_[text.id].op == ssa::Op::EventVar) {
    const bool first = glob_match(pattern, group_.events.front()->name);
    bool agree = true;
    for (const schema::EventPtr& e : group_.events)
      agree = agree && glob_match(pattern, e->name) == first;
    if (agree) return Truth::of(first);
  }
  ssa::Inst inst{ssa::Op::IdGlob, ssa::Type::Bool};
  inst.operands = {text.id};
  inst.imm = linkage_.module.intern(pattern);
  return Truth::of(emit(std::move(inst)));
}

}  // namespace ktap::lower
