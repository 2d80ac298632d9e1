// The operators on values: integers wrap, a mix with a float gives a float, bits are for integers
// alone.
#include "runtime/arith.h"

#include <cmath>
#include <utility>

#include <fmt/core.h>

#include "runtime/code_address.h"
#include "runtime/number.h"
#include "runtime/string.h"

namespace ktap::runtime {
namespace {

bool integers(ArithOp op, int64_t a, int64_t b, Value* result, std::string* error) {
  int64_t r = 0;
  switch (op) {
    case ArithOp::Add:
      r = wrap_add(a, b);
      break;
    case ArithOp::Sub:
      r = wrap_sub(a, b);
      break;
    case ArithOp::Mul:
      r = wrap_mul(a, b);
      break;
    case ArithOp::BitAnd:
      r = a & b;
      break;
    case ArithOp::BitOr:
      r = a | b;
      break;
    case ArithOp::BitXor:
      r = a ^ b;
      break;
    case ArithOp::Shl:
      r = shift_left(a, b);
      break;
    case ArithOp::Shr:
      r = shift_right(a, b);
      break;
    case ArithOp::Div:
    case ArithOp::Mod:
      if (b == 0) {
        *error = "division by zero";
        return false;
      }
      r = op == ArithOp::Div ? wrap_div(a, b) : wrap_mod(a, b);
      break;
  }
  *result = Value::of(r);
  return true;
}

double floats(ArithOp op, double a, double b) {
  switch (op) {
    case ArithOp::Add:
      return a + b;
    case ArithOp::Sub:
      return a - b;
    case ArithOp::Mul:
      return a * b;
    case ArithOp::Div:
      return a / b;
    case ArithOp::Mod:
      return std::fmod(a, b);
    default:
      KTAP_UNREACHABLE();
  }
}

bool takes_floats(ArithOp op) {
  switch (op) {
    case ArithOp::Add:
    case ArithOp::Sub:
    case ArithOp::Mul:
    case ArithOp::Div:
    case ArithOp::Mod:
      return true;
    default:
      return false;
  }
}

/// The same for all four comparisons, which are made from two by swapping operands.
bool order_error(Value a, Value b, std::string* error) {
  if (b.type < a.type) std::swap(a, b);
  *error = fmt::format("only two numbers or two strings can be ordered, got {} and {}",
                       type_phrase(a.type), type_phrase(b.type));
  return false;
}

/// Names what is wrong alone: constants may have changed sides.
std::string arith_error(ArithOp op, Value a, Value b) {
  const auto fits = [&](Value value) {
    return takes_floats(op) ? value.is_number() : value.is_integer();
  };
  std::string got(type_phrase(fits(a) ? b.type : a.type));
  if (!fits(a) && !fits(b)) got += fmt::format(" and {}", type_phrase(b.type));
  return fmt::format("'{}' takes {}, got {}", arith_symbol(op),
                     takes_floats(op) ? "numbers" : "integers", got);
}

}  // namespace

const char* arith_symbol(ArithOp op) {
  static constexpr const char* kSymbols[] = {"+", "-", "&", "|", "^", "*", "/", "%", "<<", ">>"};
  return kSymbols[static_cast<size_t>(op)];
}

bool arith(ArithOp op, Value a, Value b, Value* result, std::string* error) {
  a = plain_number(a);
  b = plain_number(b);
  if (a.is_integer() && b.is_integer()) return integers(op, a.integer, b.integer, result, error);
  if (takes_floats(op) && a.is_number() && b.is_number()) {
    *result = Value::of(floats(op, to_double(a), to_double(b)));
    return true;
  }
  *error = arith_error(op, a, b);
  return false;
}

bool negate(Value a, Value* result, std::string* error) {
  a = plain_number(a);
  if (a.is_integer()) {
    *result = Value::of(wrap_sub(0, a.integer));
  } else if (a.type == Type::Float) {
    *result = Value::of(-a.number);
  } else {
    *error = fmt::format("unary '-' takes a number, got {}", type_phrase(a.type));
    return false;
  }
  return true;
}

bool bit_not(Value a, Value* result, std::string* error) {
  a = plain_number(a);
  if (!a.is_integer()) {
    *error = fmt::format("unary '~' takes an integer, got {}", type_phrase(a.type));
    return false;
  }
  *result = Value::of(~a.integer);
  return true;
}

bool less(Value a, Value b, bool* result, std::string* error) {
  a = plain_number(a);
  b = plain_number(b);
  if (a.is_number() && b.is_number()) {
    *result = number_less(a, b);
  } else if (a.type == Type::String && b.type == Type::String) {
    *result = a.string()->view() < b.string()->view();
  } else {
    return order_error(a, b, error);
  }
  return true;
}

bool less_equal(Value a, Value b, bool* result, std::string* error) {
  a = plain_number(a);
  b = plain_number(b);
  if (a.is_number() && b.is_number()) {
    *result = number_less_equal(a, b);
  } else if (a.type == Type::String && b.type == Type::String) {
    *result = a.string()->view() <= b.string()->view();
  } else {
    return order_error(a, b, error);
  }
  return true;
}

}  // namespace ktap::runtime
