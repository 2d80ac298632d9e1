// Expressions into registers. Constant parts are folded first; what is left is one case per kind of
// node.
#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "base/limits.h"
#include "compiler/fold.h"
#include "compiler/generator.h"
#include "compiler/library.h"

namespace ktap::compiler {

namespace sx = syntax;
namespace bc = bytecode;
using bc::Constant;
using bc::Insn;
using bc::Op;
using diag::Code;
using sx::BinaryOp;

namespace {

constexpr int kListBatch = 50;    ///< items that one SetList stores
constexpr int kMaxBatches = 256;  ///< numbers that its C can hold
constexpr int kConcatBatch = 50;  ///< operands that one Concat joins

bool may_call(const sx::Expr& expr);

bool may_call(const std::vector<sx::Expr>& exprs) {
  return std::any_of(exprs.begin(), exprs.end(), [](const sx::Expr& e) { return may_call(e); });
}

/// True when evaluating `expr` can run a function of the script, which may change captured
/// variables.
bool may_call(const sx::Expr& expr) {
  struct Visitor {
    bool operator()(const sx::NilLit&) const { return false; }
    bool operator()(const sx::BoolLit&) const { return false; }
    bool operator()(const sx::IntLit&) const { return false; }
    bool operator()(const sx::FloatLit&) const { return false; }
    bool operator()(const sx::StringLit&) const { return false; }
    bool operator()(const sx::Name&) const { return false; }
    bool operator()(const sx::Index& node) const {
      return may_call(*node.object) || may_call(node.keys);
    }
    bool operator()(const sx::Member& node) const { return may_call(*node.object); }
    bool operator()(const sx::Call&) const { return true; }
    bool operator()(const sx::Unary& node) const { return may_call(*node.operand); }
    bool operator()(const sx::Binary& node) const {
      return may_call(*node.left) || may_call(*node.right);
    }
    bool operator()(const sx::Function&) const { return false; }
    bool operator()(const sx::TableCtor& node) const {
      return std::any_of(node.items.begin(), node.items.end(), [](const sx::TableItem& item) {
        return (item.key && may_call(*item.key)) || may_call(*item.value);
      });
    }
    bool operator()(const sx::Paren& node) const { return may_call(*node.inner); }
  };
  return std::visit(Visitor{}, expr.node);
}

bool is_comparison(BinaryOp op) {
  return op == BinaryOp::Eq || op == BinaryOp::Ne || op == BinaryOp::Lt || op == BinaryOp::Le ||
         op == BinaryOp::Gt || op == BinaryOp::Ge;
}

/// True when the value is a boolean whatever the operands are, and is best made by jumps.
bool is_boolean(const sx::Expr& expr) {
  if (const auto* paren = std::get_if<sx::Paren>(&expr.node)) return is_boolean(*paren->inner);
  if (const auto* unary = std::get_if<sx::Unary>(&expr.node)) {
    return unary->op == sx::UnaryOp::Not && is_boolean(*unary->operand);
  }
  const auto* binary = std::get_if<sx::Binary>(&expr.node);
  if (binary == nullptr) return false;
  if (is_comparison(binary->op)) return true;
  if (binary->op != BinaryOp::And && binary->op != BinaryOp::Or) return false;
  return is_boolean(*binary->right) && is_boolean(*binary->left);
}

Op binary_opcode(BinaryOp op) {
  switch (op) {
    case BinaryOp::BitOr:
      return Op::BitOr;
    case BinaryOp::BitXor:
      return Op::BitXor;
    case BinaryOp::BitAnd:
      return Op::BitAnd;
    case BinaryOp::Shl:
      return Op::Shl;
    case BinaryOp::Shr:
      return Op::Shr;
    case BinaryOp::Add:
      return Op::Add;
    case BinaryOp::Sub:
      return Op::Sub;
    case BinaryOp::Mul:
      return Op::Mul;
    case BinaryOp::Div:
      return Op::Div;
    case BinaryOp::Mod:
      return Op::Mod;
    default:
      KTAP_UNREACHABLE();
  }
}

/// The form with a constant right operand, where there is one.
std::optional<Op> constant_form(Op op) {
  switch (op) {
    case Op::Add:
      return Op::AddK;
    case Op::Sub:
      return Op::SubK;
    case Op::Mul:
      return Op::MulK;
    default:
      return std::nullopt;
  }
}

bool is_number(const Constant& value) {
  return std::holds_alternative<int64_t>(value) || std::holds_alternative<double>(value);
}

}  // namespace

void Generator::emit(Op op, int a, int b, int c, diag::Span span) {
  emit(Insn::abc(op, static_cast<uint8_t>(a), static_cast<uint8_t>(b), static_cast<uint8_t>(c)),
       span);
}

void Generator::expr_to(const sx::Expr& expr, int dst) {
  if (const auto constant = fold(expr)) return scope_->emitter.load(*constant, dst, expr.span);
  const int free = free_register();
  std::visit([&](const auto& node) { value(expr, node, dst); }, expr.node);
  release(free);
}

const Variable* Generator::local_of(const sx::Expr& expr) {
  if (const auto* paren = std::get_if<sx::Paren>(&expr.node)) return local_of(*paren->inner);
  const auto* name = std::get_if<sx::Name>(&expr.node);
  return name == nullptr ? nullptr : scope_->find(name->name);
}

int Generator::operand(const sx::Expr& expr, int hint, bool calls_follow) {
  const Variable* variable = local_of(expr);
  if (variable != nullptr && !(calls_follow && variable->facts.changed_by_closure))
    return variable->reg;
  if (hint < 0 || !is_temporary(hint)) return temporary(expr);
  expr_to(expr, hint);
  return hint;
}

int Generator::temporary(const sx::Expr& expr) {
  const int reg = take(1, expr.span);
  expr_to(expr, reg);
  return reg;
}

// ---- literals and names ----

void Generator::value(const sx::Expr& expr, const sx::NilLit&, int dst) {
  scope_->emitter.load({}, dst, expr.span);
}
void Generator::value(const sx::Expr& expr, const sx::BoolLit& node, int dst) {
  scope_->emitter.load(node.value, dst, expr.span);
}
void Generator::value(const sx::Expr& expr, const sx::IntLit& node, int dst) {
  scope_->emitter.load(node.value, dst, expr.span);
}
void Generator::value(const sx::Expr& expr, const sx::FloatLit& node, int dst) {
  scope_->emitter.load(node.value, dst, expr.span);
}
void Generator::value(const sx::Expr& expr, const sx::StringLit& node, int dst) {
  scope_->emitter.load(node.value, dst, expr.span);
}
void Generator::value(const sx::Expr& expr, const sx::Name& node, int dst) {
  name_to(expr, node.name, dst);
}
void Generator::value(const sx::Expr&, const sx::Paren& node, int dst) {
  expr_to(*node.inner, dst);
}

void Generator::value(const sx::Expr& expr, const sx::Function& node, int dst) {
  function_to(*node.body, node.body->name, Role::Plain, expr.span, dst);
}

// ---- indexing ----

void Generator::get_field(int object, const std::string& name, int dst, diag::Span span) {
  if (const auto constant = scope_->emitter.small_constant(name, span)) {
    return emit(Op::GetField, dst, object, *constant, span);
  }
  const int key = take(1, span);
  scope_->emitter.load(name, key, span);
  emit(Op::GetIndex, dst, object, key, span);
}

int Generator::key_operand(const std::vector<sx::Expr>& keys, int base, diag::Span span,
                           bool calls_follow) {
  if (keys.size() == 1 && base < 0) return operand(keys[0], -1, calls_follow);
  if (keys.size() == 1) {
    expr_to(keys[0], base);
    return base;
  }
  const int count = static_cast<int>(keys.size());
  if (count > limits::kMaxKeyParts) {
    sink_.report(Code::TooManyKeyParts, span,
                 fmt::format("a multi-key has at most {} parts", limits::kMaxKeyParts));
    return base < 0 ? take(1, span) : base;
  }
  const int first = base < 0 ? take(1, span) : base;
  for (int i = 0; i < count; ++i) {
    if (i > 0) take(1, keys[static_cast<size_t>(i)].span);
    expr_to(keys[static_cast<size_t>(i)], first + i);
  }
  emit(Op::Tuple, first, first, count, span);
  release(first + 1);
  return first;
}

void Generator::value(const sx::Expr& expr, const sx::Index& node, int dst) {
  const std::optional<Constant> key = node.keys.size() == 1 ? fold(node.keys[0]) : std::nullopt;
  const auto* name = key ? std::get_if<std::string>(&*key) : nullptr;
  if (name != nullptr && is_args(*node.object)) return event_field_to(*name, expr.span, dst);
  if (name != nullptr) check_event_member(*node.object, *name, expr.span);
  const int object = operand(*node.object, dst, may_call(node.keys));
  if (name != nullptr) return get_field(object, *name, dst, expr.span);
  emit(Op::GetIndex, dst, object, key_operand(node.keys, -1, expr.span, false), expr.span);
}

void Generator::value(const sx::Expr& expr, const sx::Member& node, int dst) {
  if (is_args(*node.object)) return event_field_to(node.name, expr.span, dst);
  if (is_library_name(*node.object)) {
    const std::string& library = std::get<sx::Name>(node.object->node).name;
    const Meaning found = member_meaning(library, node);
    if (found.kind == Meaning::Kind::Unknown) return report_no_member(library, node);
    return meaning_to(found, node.name, expr.span, dst);
  }
  check_event_member(*node.object, node.name, expr.span);
  // By its own name, so that --unsafe is asked for wherever it stands.
  if (node.name == "set_retval" && is_event_object(*node.object)) {
    const auto override_builtin = static_cast<uint16_t>(bytecode::Builtin::Override);
    return emit(Insn::ad(Op::LoadBuiltin, static_cast<uint8_t>(dst), override_builtin), expr.span);
  }
  get_field(operand(*node.object, dst), node.name, dst, expr.span);
}

// ---- operators ----

void Generator::value(const sx::Expr& expr, const sx::Unary& node, int dst) {
  if (is_boolean(expr)) return boolean_to(expr, dst);
  const int operand_register = operand(*node.operand, dst);
  switch (node.op) {
    case sx::UnaryOp::Neg:
      return emit(Op::Neg, dst, operand_register, 0, expr.span);
    case sx::UnaryOp::Not:
      return emit(Op::Not, dst, operand_register, 0, expr.span);
    case sx::UnaryOp::BitNot:
      return emit(Op::BitNot, dst, operand_register, 0, expr.span);
  }
}

void Generator::value(const sx::Expr& expr, const sx::Binary& node, int dst) {
  if (is_boolean(expr)) return boolean_to(expr, dst);
  switch (node.op) {
    case BinaryOp::Or:
    case BinaryOp::And:
      return logic_to(expr, node, dst);
    case BinaryOp::Match:
      return match_to(expr, node, dst);
    case BinaryOp::Concat:
      return concat_to(expr, node, dst);
    default:
      break;
  }
  const Op op = binary_opcode(node.op);
  const sx::Expr* left = node.left.get();
  const sx::Expr* right = node.right.get();
  // A constant goes right, where the instruction can hold it; it has no effect that the order could
  // show.
  if ((op == Op::Add || op == Op::Mul) && fold(*left) && !fold(*right)) std::swap(left, right);
  const int first = operand(*left, dst, may_call(*right));
  arithmetic_to(op, first, *right, dst, first == dst ? -1 : dst, expr.span);
}

void Generator::arithmetic_to(Op op, int left, const sx::Expr& right, int dst, int hint,
                              diag::Span span) {
  if (const auto form = constant_form(op)) {
    const auto constant = fold(right);
    if (constant && is_number(*constant)) {
      if (const auto index = scope_->emitter.small_constant(*constant, right.span)) {
        return emit(*form, dst, left, *index, span);
      }
    }
  }
  emit(op, dst, left, operand(right, hint), span);
}

void Generator::match_to(const sx::Expr& expr, const sx::Binary& node, int dst) {
  const auto [left, right] = compare_operands(node);
  emit(Op::Match, dst, left, right, expr.span);
}

void Generator::concat_to(const sx::Expr& expr, const sx::Binary& node, int dst) {
  std::vector<const sx::Expr*> operands = {node.left.get()};
  const sx::Expr* rest = node.right.get();
  while (const auto* more = std::get_if<sx::Binary>(&rest->node)) {
    if (more->op != BinaryOp::Concat) break;
    operands.push_back(more->left.get());
    rest = more->right.get();
  }
  operands.push_back(rest);

  // Neighbours that are constants are joined here; a long chain is joined from the left in batches.
  const int first = take(1, expr.span);
  int count = 0;
  for (size_t i = 0; i < operands.size(); ++i) {
    auto constant = fold(*operands[i]);
    const sx::Expr& at = *operands[i];
    while (constant && i + 1 < operands.size()) {
      const auto next = fold(*operands[i + 1]);
      const auto joined = next ? fold_concat(*constant, *next) : std::nullopt;
      if (!joined) break;
      constant = joined;
      ++i;
    }
    const int reg = count == 0 ? first : take(1, at.span);
    if (constant) {
      scope_->emitter.load(*constant, reg, at.span);
    } else {
      expr_to(at, reg);
    }
    if (++count == kConcatBatch && i + 1 < operands.size()) {
      emit(Op::Concat, first, first, first + count - 1, expr.span);
      release(first + 1);
      count = 1;
    }
  }
  emit(Op::Concat, dst, first, first + count - 1, expr.span);
}

void Generator::logic_to(const sx::Expr& expr, const sx::Binary& node, int dst) {
  const bool is_or = node.op == BinaryOp::Or;
  if (const auto left = fold(*node.left)) {
    if (truth(*left) == is_or) return scope_->emitter.load(*left, dst, expr.span);
    return expr_to(*node.right, dst);
  }
  // The left value must not reach a variable before the whole is known.
  const int reg = is_temporary(dst) ? dst : take(1, expr.span);
  Label end;
  expr_to(*node.left, reg);
  emit(Op::Test, reg, 0, is_or ? 1 : 0, node.left->span);
  scope_->emitter.jump(end, node.left->span);
  expr_to(*node.right, reg);
  scope_->emitter.bind(end);
  if (reg != dst) emit(Op::Move, dst, reg, 0, expr.span);
}

void Generator::boolean_to(const sx::Expr& expr, int dst) {
  Label no;
  Label end;
  jump_if(expr, false, no);
  scope_->emitter.load(true, dst, expr.span);
  scope_->emitter.jump(end, expr.span);
  scope_->emitter.bind(no);
  scope_->emitter.load(false, dst, expr.span);
  scope_->emitter.bind(end);
}

// ---- tables ----

void Generator::value(const sx::Expr& expr, const sx::TableCtor& node, int dst) {
  // The items are laid out right above the table.
  const int table = is_temporary(dst) && dst + 1 == free_register() ? dst : take(1, expr.span);
  const auto is_list = [](const sx::TableItem& item) { return item.key == nullptr; };
  const auto list = std::count_if(node.items.begin(), node.items.end(), is_list);
  const auto others = static_cast<std::ptrdiff_t>(node.items.size()) - list;
  emit(Op::NewTable, table, static_cast<int>(std::min<std::ptrdiff_t>(list, UINT8_MAX)),
       static_cast<int>(std::min<std::ptrdiff_t>(others, UINT8_MAX)), expr.span);
  table_items(expr, node, table);
  if (table != dst) emit(Op::Move, dst, table, 0, expr.span);
}

void Generator::table_items(const sx::Expr& expr, const sx::TableCtor& node, int table) {
  int64_t done = 0;
  int pending = 0;
  for (const sx::TableItem& item : node.items) {
    if (item.key) {
      const int free = free_register();
      const auto key = fold(*item.key);
      const auto* name = key ? std::get_if<std::string>(&*key) : nullptr;
      const auto constant =
          name != nullptr ? scope_->emitter.small_constant(*name, item.key->span) : std::nullopt;
      const int key_register = constant ? 0 : operand(*item.key, -1, may_call(*item.value));
      const int value_register = operand(*item.value, -1);
      const diag::Span span{item.key->span.begin, item.value->span.end};
      if (constant) {
        emit(Op::SetField, table, *constant, value_register, span);
      } else {
        emit(Op::SetIndex, table, key_register, value_register, span);
      }
      release(free);
      continue;
    }
    const bool is_last = &item == &node.items.back();
    if (is_last && gives_many(*item.value)) {
      call(*item.value, std::get<sx::Call>(item.value->node), -1, -1);
      list_batch(table, done, pending, true, item.value->span);
      return;
    }
    expr_to(*item.value, take(1, item.value->span));
    if (++pending < kListBatch) continue;
    list_batch(table, done, pending, false, expr.span);
    done += pending;
    pending = 0;
    release(table + 1);
  }
  if (pending > 0) list_batch(table, done, pending, false, expr.span);
}

void Generator::list_batch(int table, int64_t done, int count, bool open, diag::Span span) {
  const int64_t batch = done / kListBatch;
  if (batch < kMaxBatches)
    return emit(Op::SetList, table, open ? 0 : count, static_cast<int>(batch), span);
  if (open) {
    scope_->emitter.report_limit(
        Code::TooLarge, span,
        fmt::format("a list that ends in a call has fewer than {} items before it",
                    kListBatch * kMaxBatches));
    return;
  }
  const int key = take(1, span);
  for (int i = 1; i <= count; ++i) {
    scope_->emitter.load(done + i, key, span);
    emit(Op::SetIndex, table, key, table + i, span);
  }
}

// ---- lists of values ----

int Generator::list_to_registers(const std::vector<sx::Expr>& exprs, int count, diag::Span span) {
  const int first = free_register();
  for (int i = 0; i < static_cast<int>(exprs.size()); ++i) {
    const sx::Expr& expr = exprs[static_cast<size_t>(i)];
    const bool is_last = i + 1 == static_cast<int>(exprs.size());
    if (is_last && i + 1 < count && gives_many(expr)) {
      const int results = count - i;
      call(expr, std::get<sx::Call>(expr.node), results, -1);
      take(results, expr.span);
      return first;
    }
    const int reg = take(1, expr.span);
    expr_to(expr, reg);
    if (i >= count) release(reg);  // evaluated for its effects alone
  }
  const int missing = count - static_cast<int>(exprs.size());
  if (missing > 0) {
    const int rest = take(missing, span);
    emit(Op::LoadNil, rest, missing - 1, 0, span);
  }
  return first;
}

}  // namespace ktap::compiler
