// Conditions: an expression whose truth decides a jump. Comparisons become tests without a value in
// between, and in the filter of an event they are where a bare word may stand for a string
// (language, section 7).
#include "compiler/fold.h"
#include "compiler/generator.h"

namespace ktap::compiler {

namespace sx = syntax;
namespace bc = bytecode;
using bc::Insn;
using bc::Op;
using sx::BinaryOp;

void Generator::jump_if(const sx::Expr& expr, bool sense, Label& target) {
  if (const auto constant = fold(expr)) {
    if (truth(*constant) == sense) scope_->emitter.jump(target, expr.span);
    return;
  }
  if (const auto* paren = std::get_if<sx::Paren>(&expr.node))
    return jump_if(*paren->inner, sense, target);
  const auto* unary = std::get_if<sx::Unary>(&expr.node);
  if (unary != nullptr && unary->op == sx::UnaryOp::Not)
    return jump_if(*unary->operand, !sense, target);

  const int free = free_register();
  const auto* binary = std::get_if<sx::Binary>(&expr.node);
  const BinaryOp op = binary != nullptr ? binary->op : BinaryOp::Add;
  if (op == BinaryOp::And || op == BinaryOp::Or) {
    // One operand alone can decide the whole when its truth is `decides`.
    const bool decides = op == BinaryOp::Or;
    Label end;
    jump_if(*binary->left, decides, sense == decides ? target : end);
    jump_if(*binary->right, sense, target);
    scope_->emitter.bind(end);
  } else if (op == BinaryOp::Eq || op == BinaryOp::Ne) {
    jump_if_equal(expr, *binary, sense == (op == BinaryOp::Eq), target);
  } else if (op == BinaryOp::Lt || op == BinaryOp::Le || op == BinaryOp::Gt || op == BinaryOp::Ge) {
    jump_if_compares(expr, *binary, sense, target);
  } else {
    const int reg = operand(expr, -1);
    emit(Op::Test, reg, 0, sense ? 1 : 0, expr.span);
    scope_->emitter.jump(target, expr.span);
  }
  release(free);
}

void Generator::jump_if_compares(const sx::Expr& expr, const sx::Binary& node, bool sense,
                                 Label& target) {
  const auto [left, right] = compare_operands(node);
  const bool swapped = node.op == BinaryOp::Gt || node.op == BinaryOp::Ge;
  const Op test = node.op == BinaryOp::Lt || node.op == BinaryOp::Gt ? Op::TestLt : Op::TestLe;
  emit(test, swapped ? right : left, swapped ? left : right, sense ? 1 : 0, expr.span);
  scope_->emitter.jump(target, expr.span);
}

void Generator::jump_if_equal(const sx::Expr& expr, const sx::Binary& node, bool sense,
                              Label& target) {
  const auto left_constant = fold(*node.left);
  const auto right_constant = fold(*node.right);
  const auto& constant = right_constant ? right_constant : left_constant;
  if (constant) {
    const sx::Expr& other = right_constant ? *node.left : *node.right;
    const int reg = operand(other, -1);
    if (const auto index = scope_->emitter.small_constant(*constant, expr.span)) {
      emit(Op::TestEqK, reg, *index, sense ? 1 : 0, expr.span);
    } else {
      const int value = take(1, expr.span);
      scope_->emitter.load(*constant, value, expr.span);
      emit(Op::TestEq, reg, value, sense ? 1 : 0, expr.span);
    }
  } else {
    const auto [left, right] = compare_operands(node);
    emit(Op::TestEq, left, right, sense ? 1 : 0, expr.span);
  }
  scope_->emitter.jump(target, expr.span);
}

std::pair<int, int> Generator::compare_operands(const sx::Binary& node) {
  const auto [left_word, right_word] = words_of(node);
  const bool calls_follow = local_of(*node.right) == nullptr;
  const int left = compare_operand(*node.left, left_word, calls_follow);
  const int right = compare_operand(*node.right, right_word, false);
  return {left, right};
}

int Generator::compare_operand(const sx::Expr& expr, bool is_word, bool calls_follow) {
  if (!is_word) return operand(expr, -1, calls_follow);
  const int reg = take(1, expr.span);
  const std::string& word = std::get<sx::Name>(expr.node).name;
  if (scope_->in_timer_filter) {  // no field can have that name
    scope_->emitter.load(word, reg, expr.span);
    return reg;
  }
  const int constant = scope_->emitter.constant(word, expr.span);
  emit(Insn::ad(Op::EventWord, static_cast<uint8_t>(reg), static_cast<uint16_t>(constant)),
       expr.span);
  return reg;
}

bool Generator::may_be_word(Meaning::Kind kind) const {
  using Kind = Meaning::Kind;
  if (!scope_->in_timer_filter) return kind == Kind::EventField;
  const bool is_variable = kind == Kind::Local || kind == Kind::Upvalue || kind == Kind::Global ||
                           kind == Kind::EventVar;
  return !is_variable;
}

std::pair<bool, bool> Generator::words_of(const sx::Binary& node) {
  const bool compares_strings =
      node.op == BinaryOp::Eq || node.op == BinaryOp::Ne || node.op == BinaryOp::Match;
  const bool is_timer = scope_->in_timer_filter;
  if ((!scope_->in_event_filter && !is_timer) || !compares_strings) return {false, false};
  const auto is_bare = [this](const sx::Expr& expr) {
    const auto* name = std::get_if<sx::Name>(&expr.node);
    return name != nullptr && may_be_word(meaning(name->name, expr.span, false).kind);
  };
  // A field of the event, in any spelling, or a variable that holds text.
  const auto may_be_text = [&](const sx::Expr& expr) {
    if (is_bare(expr)) return !is_timer;
    const auto* call = std::get_if<sx::Call>(&expr.node);
    const sx::Expr& variable = call != nullptr ? *call->callee : expr;
    if (meaning(variable, true).kind == Meaning::Kind::EventVar)
      return known_type(variable) == KnownType::String;
    const auto* member = std::get_if<sx::Member>(&expr.node);
    return member != nullptr && (is_args(*member->object) || is_event_object(*member->object));
  };
  if (is_bare(*node.right) && may_be_text(*node.left)) return {false, true};
  return {is_bare(*node.left) && may_be_text(*node.right), false};
}

}  // namespace ktap::compiler
