// Loops, with their jumps out and on. A loop variable is a fresh one each round: where a closure
// captured it, or anything else of the round, `Close` ends the round; `break` and `continue` close
// what they leave.
#include <fmt/format.h>

#include "base/check.h"
#include "base/limits.h"
#include "compiler/generator.h"

namespace ktap::compiler {

namespace sx = syntax;
namespace bc = bytecode;
using bc::Insn;
using bc::Op;
using diag::Code;

namespace {

bc::IterKind iter_kind(sx::IterKind kind) {
  switch (kind) {
    case sx::IterKind::Pairs:
      return bc::IterKind::Pairs;
    case sx::IterKind::SortPairs:
      return bc::IterKind::SortPairs;
    case sx::IterKind::SortKeys:
      return bc::IterKind::SortKeys;
  }
  KTAP_UNREACHABLE();
}

std::string iterator_name(sx::IterKind kind) {
  switch (kind) {
    case sx::IterKind::Pairs:
      return "pairs";
    case sx::IterKind::SortPairs:
      return "sort_pairs";
    case sx::IterKind::SortKeys:
      return "sort_keys";
  }
  KTAP_UNREACHABLE();
}

}  // namespace

void Generator::statement(const sx::Stmt&, const sx::While& node) {
  Label body;
  Label condition;
  Label end;
  scope_->emitter.jump(condition, node.condition.span);
  scope_->emitter.bind(body);
  open_block();
  scope_->loops.push_back({scope_->blocks.size() - 1, &end, &condition, nullptr});
  statements(node.body);
  scope_->loops.pop_back();
  close_block(node.condition.span);
  scope_->emitter.bind(condition);
  jump_if(node.condition, true, body);
  scope_->emitter.bind(end);
}

void Generator::statement(const sx::Stmt&, const sx::Repeat& node) {
  Label body;
  Label end;
  std::map<int, Label> continues;
  scope_->emitter.bind(body);
  open_block();
  scope_->loops.push_back({scope_->blocks.size() - 1, &end, nullptr, &continues});
  statements(node.body);
  scope_->loops.pop_back();
  repeat_continues(continues, node.until.span);
  const Block inner = scope_->blocks.back();
  if (scope_->captures_from(inner.variables_begin)) {
    Label done;
    jump_if(node.until, true, done);
    emit(Op::Close, inner.first_register, 0, 0, node.until.span);
    scope_->emitter.jump(body, node.until.span);
    scope_->emitter.bind(done);
  } else {
    jump_if(node.until, false, body);
  }
  close_block(node.until.span);
  scope_->emitter.bind(end);
}

/// `until` may read body variables whose declaration a `continue` jumped over: they are nil then.
void Generator::repeat_continues(std::map<int, Label>& labels, diag::Span span) {
  const int last = scope_->first_temporary();
  Label condition;
  for (auto it = labels.begin(); it != labels.end(); ++it) {
    const auto next = std::next(it);
    const int from = it->first;
    const int to = next == labels.end() ? last : next->first;
    if (from < last && it == labels.begin()) scope_->emitter.jump(condition, span);
    scope_->emitter.bind(it->second);
    if (from < to) emit(Op::LoadNil, from, to - from - 1, 0, span);
  }
  scope_->emitter.bind(condition);
}

void Generator::statement(const sx::Stmt& stmt, const sx::NumericFor& node) {
  const diag::Span head{stmt.span.begin, node.step ? node.step->span.end : node.last.span.end};
  open_block();
  const int base = take(3, head);
  expr_to(node.first, base);
  expr_to(node.last, base + 1);
  if (node.step) {
    expr_to(*node.step, base + 2);
  } else {
    scope_->emitter.load(int64_t{1}, base + 2, head);
  }
  for (int i = 0; i < 3; ++i) scope_->declare("", base + i, {}, head);

  Label body;
  Label next;
  Label end;
  scope_->emitter.jump(Op::ForPrep, base, end, head);
  scope_->emitter.bind(body);
  open_block();
  declare(node.var);
  scope_->loops.push_back({scope_->blocks.size() - 1, &end, &next, nullptr});
  statements(node.body);
  scope_->loops.pop_back();
  close_block(head);
  scope_->emitter.bind(next);
  scope_->emitter.jump(Op::ForLoop, base, body, head);
  scope_->emitter.bind(end);
  close_block(head);
}

/// The word in a loop head is the language's own; a variable of that name would not be asked.
void Generator::check_iterator(const sx::GenericFor& node) {
  const std::string name = iterator_name(node.kind);
  const Meaning::Kind kind = meaning(name, node.iterator, true).kind;
  if (kind != Meaning::Kind::Local && kind != Meaning::Kind::Upvalue &&
      kind != Meaning::Kind::Global) {
    return;
  }
  sink_
      .report(Code::BadIterator, node.iterator,
              fmt::format("'{}' is a variable here; a loop head takes the built-in", name))
      .hints.emplace_back("give the variable another name");
}

void Generator::statement(const sx::Stmt& stmt, const sx::GenericFor& node) {
  const diag::Span head{stmt.span.begin,
                        node.compare ? node.compare->span.end : node.table.span.end};
  const int count = static_cast<int>(node.vars.size());
  if (count > limits::kMaxKeyParts + 1) {
    sink_.report(Code::TooManyKeyParts, head,
                 fmt::format("a multi-key has at most {} parts", limits::kMaxKeyParts));
    return;
  }
  check_iterator(node);
  open_block();
  const int base = take(2, head);
  expr_to(node.table, base);
  if (node.compare) {
    expr_to(*node.compare, base + 1);
  } else {
    scope_->emitter.load({}, base + 1, head);
  }
  emit(Op::IterPrep, base, static_cast<int>(iter_kind(node.kind)), 0, node.table.span);
  for (int i = 0; i < 2; ++i) scope_->declare("", base + i, {}, head);

  Label body;
  Label next;
  Label end;
  scope_->emitter.jump(next, head);
  scope_->emitter.bind(body);
  open_block();
  for (const sx::Param& var : node.vars) declare(var);
  scope_->loops.push_back({scope_->blocks.size() - 1, &end, &next, nullptr});
  statements(node.body);
  scope_->loops.pop_back();
  close_block(head);
  scope_->emitter.bind(next);
  emit(Op::IterNext, base, count, 0, head);
  scope_->emitter.jump(body, head);
  scope_->emitter.bind(end);
  close_block(head);
}

void Generator::statement(const sx::Stmt& stmt, const sx::Break&) {
  if (scope_->loops.empty()) {
    sink_.report(Code::JumpOutsideLoop, stmt.span, "'break' stands outside of a loop");
    return;
  }
  const Loop& loop = scope_->loops.back();
  const Block& block = scope_->blocks[loop.block];
  if (scope_->captures_from(block.variables_begin))
    emit(Op::Close, block.first_register, 0, 0, stmt.span);
  scope_->emitter.jump(*loop.break_label, stmt.span);
}

void Generator::statement(const sx::Stmt& stmt, const sx::Continue&) {
  if (scope_->loops.empty()) {
    sink_.report(Code::JumpOutsideLoop, stmt.span, "'continue' stands outside of a loop");
    return;
  }
  const Loop& loop = scope_->loops.back();
  const Block& block = scope_->blocks[loop.block];
  if (loop.continue_label != nullptr) {
    if (scope_->captures_from(block.variables_begin))
      emit(Op::Close, block.first_register, 0, 0, stmt.span);
    return scope_->emitter.jump(*loop.continue_label, stmt.span);
  }
  // In a repeat loop the body's own variables stay: `until` sees them.
  const bool is_nested = loop.block + 1 < scope_->blocks.size();
  const size_t kept =
      is_nested ? scope_->blocks[loop.block + 1].variables_begin : scope_->variables.size();
  const int first = block.first_register + static_cast<int>(kept - block.variables_begin);
  if (scope_->captures_from(kept)) emit(Op::Close, first, 0, 0, stmt.span);
  scope_->emitter.jump((*loop.repeat_labels)[first], stmt.span);
}

}  // namespace ktap::compiler
