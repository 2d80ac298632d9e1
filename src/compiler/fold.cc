// See fold.h.
#include "compiler/fold.h"

#include <string>
#include <variant>

namespace ktap::compiler {

namespace sx = syntax;
using bytecode::Constant;
using sx::BinaryOp;

namespace {

int64_t wrap(uint64_t bits) { return static_cast<int64_t>(bits); }

std::optional<Constant> fold_integers(BinaryOp op, int64_t a, int64_t b) {
  const auto ua = static_cast<uint64_t>(a);
  const auto ub = static_cast<uint64_t>(b);
  const auto count = ub & 63;
  switch (op) {
    case BinaryOp::Add:
      return wrap(ua + ub);
    case BinaryOp::Sub:
      return wrap(ua - ub);
    case BinaryOp::Mul:
      return wrap(ua * ub);
    case BinaryOp::Div:
      if (b == 0) return std::nullopt;
      return b == -1 ? wrap(0 - ua) : a / b;
    case BinaryOp::Mod:
      if (b == 0) return std::nullopt;
      return b == -1 ? 0 : a % b;
    case BinaryOp::BitAnd:
      return wrap(ua & ub);
    case BinaryOp::BitOr:
      return wrap(ua | ub);
    case BinaryOp::BitXor:
      return wrap(ua ^ ub);
    case BinaryOp::Shl:
      return wrap(ua << count);
    case BinaryOp::Shr:
      return a >> count;
    case BinaryOp::Eq:
      return a == b;
    case BinaryOp::Ne:
      return a != b;
    case BinaryOp::Lt:
      return a < b;
    case BinaryOp::Le:
      return a <= b;
    case BinaryOp::Gt:
      return a > b;
    case BinaryOp::Ge:
      return a >= b;
    default:
      return std::nullopt;
  }
}

std::optional<Constant> fold_floats(BinaryOp op, double a, double b) {
  switch (op) {
    case BinaryOp::Add:
      return a + b;
    case BinaryOp::Sub:
      return a - b;
    case BinaryOp::Mul:
      return a * b;
    default:
      return std::nullopt;
  }
}

std::optional<Constant> fold_strings(BinaryOp op, const std::string& a, const std::string& b) {
  switch (op) {
    case BinaryOp::Eq:
      return a == b;
    case BinaryOp::Ne:
      return a != b;
    case BinaryOp::Lt:
      return a < b;
    case BinaryOp::Le:
      return a <= b;
    case BinaryOp::Gt:
      return a > b;
    case BinaryOp::Ge:
      return a >= b;
    default:
      return std::nullopt;
  }
}

std::optional<Constant> fold_binary(const sx::Binary& node) {
  // The right side first: it is a leaf in a long chain, so that a chain of n is not walked n times.
  const std::optional<Constant> right = fold(*node.right);
  if (!right) return std::nullopt;
  const std::optional<Constant> left = fold(*node.left);
  if (!left) return std::nullopt;
  if (node.op == BinaryOp::Or) return truth(*left) ? left : right;
  if (node.op == BinaryOp::And) return truth(*left) ? right : left;
  if (node.op == BinaryOp::Concat) return fold_concat(*left, *right);
  const auto* left_int = std::get_if<int64_t>(&*left);
  const auto* right_int = std::get_if<int64_t>(&*right);
  if (left_int != nullptr && right_int != nullptr)
    return fold_integers(node.op, *left_int, *right_int);
  const auto* left_float = std::get_if<double>(&*left);
  const auto* right_float = std::get_if<double>(&*right);
  if (left_float != nullptr && right_float != nullptr) {
    return fold_floats(node.op, *left_float, *right_float);
  }
  const auto* left_text = std::get_if<std::string>(&*left);
  const auto* right_text = std::get_if<std::string>(&*right);
  if (left_text != nullptr && right_text != nullptr) {
    return fold_strings(node.op, *left_text, *right_text);
  }
  return std::nullopt;
}

std::optional<Constant> fold_unary(const sx::Unary& node) {
  const std::optional<Constant> operand = fold(*node.operand);
  if (!operand) return std::nullopt;
  if (node.op == sx::UnaryOp::Not) return !truth(*operand);
  const auto* number = std::get_if<double>(&*operand);
  if (number != nullptr && node.op == sx::UnaryOp::Neg) return -*number;
  const auto* integer = std::get_if<int64_t>(&*operand);
  if (integer == nullptr) return std::nullopt;
  const auto bits = static_cast<uint64_t>(*integer);
  return wrap(node.op == sx::UnaryOp::Neg ? 0 - bits : ~bits);
}

struct Folder {
  using Result = std::optional<Constant>;
  Result operator()(const sx::NilLit&) const { return Constant{}; }
  Result operator()(const sx::BoolLit& node) const { return node.value; }
  Result operator()(const sx::IntLit& node) const { return node.value; }
  Result operator()(const sx::FloatLit& node) const { return node.value; }
  Result operator()(const sx::StringLit& node) const { return node.value; }
  Result operator()(const sx::Unary& node) const { return fold_unary(node); }
  Result operator()(const sx::Binary& node) const { return fold_binary(node); }
  Result operator()(const sx::Paren& node) const { return fold(*node.inner); }
  Result operator()(const sx::Name&) const { return std::nullopt; }
  Result operator()(const sx::Index&) const { return std::nullopt; }
  Result operator()(const sx::Member&) const { return std::nullopt; }
  Result operator()(const sx::Call&) const { return std::nullopt; }
  Result operator()(const sx::Function&) const { return std::nullopt; }
  Result operator()(const sx::TableCtor&) const { return std::nullopt; }
};

std::optional<std::string> concat_text(const Constant& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  if (const auto* integer = std::get_if<int64_t>(&value)) return std::to_string(*integer);
  return std::nullopt;
}

}  // namespace

bool truth(const Constant& value) {
  if (const auto* boolean = std::get_if<bool>(&value)) return *boolean;
  return !std::holds_alternative<std::monostate>(value);
}

std::optional<Constant> fold_concat(const Constant& a, const Constant& b) {
  const std::optional<std::string> left = concat_text(a);
  const std::optional<std::string> right = concat_text(b);
  if (!left || !right) return std::nullopt;
  return *left + *right;
}

std::optional<Constant> fold(const sx::Expr& expr) { return std::visit(Folder{}, expr.node); }

}  // namespace ktap::compiler
