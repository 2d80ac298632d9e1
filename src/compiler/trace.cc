// The registering statements: event text, filter and handler side by side in three registers, then
// `Register`. The filter is a function of its own, so that it can run in the kernel where the
// handler cannot.
#include "base/check.h"
#include "base/interval.h"
#include "base/printable.h"
#include "compiler/compiler.h"
#include "compiler/fold.h"
#include "compiler/generator.h"
#include "syntax/event_text.h"

namespace ktap::compiler {

namespace sx = syntax;
namespace bc = bytecode;
using bc::Insn;
using bc::Op;
using diag::Code;

namespace {

constexpr std::string_view kTick = "tick-";
constexpr std::string_view kProfile = "profile-";

bc::HandlerKind handler_kind(sx::TraceKind kind) {
  switch (kind) {
    case sx::TraceKind::Event:
      return bc::HandlerKind::Event;
    case sx::TraceKind::Tick:
      return bc::HandlerKind::Tick;
    case sx::TraceKind::Profile:
      return bc::HandlerKind::Profile;
    case sx::TraceKind::End:
      return bc::HandlerKind::End;
  }
  KTAP_UNREACHABLE();
}

Role handler_role(sx::TraceKind kind) {
  switch (kind) {
    case sx::TraceKind::Event:
    case sx::TraceKind::Profile:  // has an event's fields
      return Role::Handler;
    case sx::TraceKind::Tick:
      return Role::TimerHandler;
    case sx::TraceKind::End:
      return Role::EndHandler;
  }
  KTAP_UNREACHABLE();
}

/// `trace tick-1s { }` is `tick-1s { }`.
sx::TraceKind kind_of(const sx::Trace& node) {
  const bool is_tick = node.kind == sx::TraceKind::Event && !node.text_expr &&
                       node.event_text.compare(0, kTick.size(), kTick) == 0;
  return is_tick ? sx::TraceKind::Tick : node.kind;
}

/// In one line: the text may be spread over several, and quoted text may hold anything.
std::string one_line(const std::string& text) {
  std::string line;
  for (char c : text) {
    const bool blank = c == ' ' || c == '\t' || c == '\n' || c == '\r';
    if (!blank) {
      line += c;
    } else if (!line.empty() && line.back() != ' ') {
      line += ' ';
    }
  }
  return printable(line);
}

/// What a call trace calls the handler.
std::string handler_name(const sx::Trace& node) {
  if (node.kind == sx::TraceKind::End) return "trace_end";
  if (node.kind != sx::TraceKind::Event) return one_line(node.event_text);
  return node.text_expr ? "trace" : "trace " + one_line(node.event_text);
}

}  // namespace

void Generator::report_nested_handler(diag::Span span) {
  sink_.report(Code::HandlerInHandler, span, "a handler cannot be registered inside a handler")
      .hints.emplace_back(
          "all handlers are armed together when the main chunk ends: register it there");
}

void Generator::statement(const sx::Stmt& stmt, const sx::Trace& node) {
  const bool has_text = node.event_span.end > node.event_span.begin;
  const diag::Span head = node.text_expr ? node.text_expr->span
                          : has_text     ? node.event_span
                                         : stmt.span;
  if (scope_->in_handler) report_nested_handler(head);
  check_timers(node);
  const int base = take(3, head);
  TracedFunctions traced{node.event_text, node.filter.get()};
  if (node.filter) {
    TracedFunctions functions =
        traced_functions(node.event_text, *node.filter,
                         [&](const std::string& name) { return is_variable(name, head); });
    if (!functions.event_text.empty()) traced = std::move(functions);
  }
  if (node.text_expr) {
    expr_to(*node.text_expr, base);
  } else {
    scope_->emitter.load(traced.event_text, base, head);
  }
  const sx::TraceKind kind = kind_of(node);
  filter_to(traced.filter, kind, head, base + 1);
  handler_to(stmt, node, base + 2);
  emit(Op::Register, base, static_cast<int>(handler_kind(kind)), 0, head);
}

/// What no machine has: with `--check` nothing but the text is looked at.
void Generator::check_timers(const sx::Trace& node) {
  if (node.text_expr || node.kind == sx::TraceKind::End) return;
  const std::string& text = node.event_text;
  const diag::Span whole = node.event_span;
  const bool is_exact = whole.end - whole.begin == text.size();  // no escapes
  const bool is_tick = kind_of(node) == sx::TraceKind::Tick;
  std::vector<sx::EventPart> parts;
  if (is_tick) {  // stands alone
    parts.push_back({0, static_cast<uint32_t>(text.size())});
  } else {
    parts = sx::event_parts(text);
  }
  for (const sx::EventPart& part : parts) {
    const std::string timer = text.substr(part.begin, part.end - part.begin);
    if (!is_tick && !timer.starts_with(kProfile)) continue;
    const Interval interval = parse_interval(timer);
    if (interval.error.empty()) continue;
    const diag::Span span =
        is_exact ? diag::Span{whole.begin + part.begin, whole.begin + part.end} : whole;
    auto& diagnostic =
        sink_.report(is_tick ? Code::BadInterval : Code::NoSuchEvent, span, interval.error);
    if (std::string hint = sx::glued_filter_hint(timer); !hint.empty())
      diagnostic.hints.push_back(std::move(hint));
  }
}

bool Generator::is_variable(const std::string& name, diag::Span span) {
  return scope_->find(name) != nullptr || scope_->upvalue(name, span) >= 0 ||
         analysis_.find_global(name) >= 0;
}

void Generator::filter_to(const sx::Expr* condition, sx::TraceKind kind, diag::Span head, int dst) {
  if (condition == nullptr) return scope_->emitter.load({}, dst, head);
  const sx::Expr& expr = *condition;
  std::unique_ptr<bc::Function> made =
      filter(expr, handler_role(kind) == Role::Handler ? Role::EventFilter : Role::TimerFilter);
  const int child = scope_->emitter.add_child(std::move(made), expr.span);
  emit(Insn::ad(Op::Closure, static_cast<uint8_t>(dst), static_cast<uint16_t>(child)), expr.span);
}

void Generator::handler_to(const sx::Stmt& stmt, const sx::Trace& node, int dst) {
  if (node.body) {
    return function_to(*node.body, handler_name(node), handler_role(kind_of(node)), stmt.span, dst);
  }
  const KnownType type = known_type(*node.function);
  if (type != KnownType::Unknown && type != KnownType::Function) {
    sink_.report(Code::NotAFunction, node.function->span, "the handler of an event is a function")
        .hints.emplace_back("write { … }, function (e) { … } or the name of a function");
  }
  expr_to(*node.function, dst);
}

}  // namespace ktap::compiler
