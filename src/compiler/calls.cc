// Calls: of values, of built-in functions, whose arguments are counted and whose literal formats
// are read here, and of built-in variables (`pid()`), which are no calls at all.
#include <fmt/format.h>

#include "compiler/fold.h"
#include "compiler/format_check.h"
#include "compiler/generator.h"
#include "compiler/library.h"

namespace ktap::compiler {

namespace sx = syntax;
namespace bc = bytecode;
using bc::Builtin;
using bc::Insn;
using bc::Op;
using diag::Code;
using Kind = Meaning::Kind;

namespace {

std::string count_text(int min, int max) {
  const auto plural = [](int n) { return n == 1 ? "argument" : "arguments"; };
  if (max < 0) return fmt::format("at least {} {}", min, plural(min));
  if (min == max) return min == 0 ? "no arguments" : fmt::format("{} {}", min, plural(min));
  if (max == min + 1) return fmt::format("{} or {} {}", min, max, plural(max));
  return fmt::format("{} to {} arguments", min, max);
}

std::string_view type_text(KnownType type) {
  switch (type) {
    case KnownType::Nil:
      return "nil";
    case KnownType::Boolean:
      return "a boolean";
    case KnownType::Integer:
      return "an integer";
    case KnownType::Float:
      return "a float";
    case KnownType::String:
      return "a string";
    case KnownType::Table:
      return "a table";
    case KnownType::Function:
      return "a function";
    case KnownType::Unknown:
      break;
  }
  return "a value";
}

bool fits(KnownType type, Conversion::Takes takes) {
  if (type == KnownType::Unknown || takes == Conversion::Takes::Any) return true;
  if (type == KnownType::Integer) return true;
  return type == KnownType::Float && takes == Conversion::Takes::Number;
}

KnownType type_of(const bc::Constant& constant) {
  constexpr KnownType kTypes[] = {KnownType::Nil, KnownType::Boolean, KnownType::Integer,
                                  KnownType::Float, KnownType::String};
  return kTypes[constant.index()];
}

KnownType type_of(schema::BuiltinVar var) {
  using schema::BuiltinVar;
  switch (var) {
    case BuiltinVar::Pid:
    case BuiltinVar::Tid:
    case BuiltinVar::Ppid:
    case BuiltinVar::Uid:
    case BuiltinVar::Gid:
    case BuiltinVar::Cpu:
    case BuiltinVar::Ns:
    case BuiltinVar::Cgroup:
      return KnownType::Integer;
    case BuiltinVar::InInterrupt:
      return KnownType::Boolean;
    case BuiltinVar::Execname:
    case BuiltinVar::Probename:
    case BuiltinVar::Argstr:
      return KnownType::String;
    default:
      return KnownType::Unknown;
  }
}

KnownType type_of(Builtin builtin) {
  switch (builtin) {
    case Builtin::Format:
    case Builtin::Tostring:
    case Builtin::Type:
    case Builtin::StringSub:
    case Builtin::StringUpper:
    case Builtin::StringLower:
    case Builtin::StringRep:
    case Builtin::StringChar:
    case Builtin::StringTrim:
    case Builtin::StringFormat:
    case Builtin::TableConcat:
    case Builtin::NetIp:
    case Builtin::NetFormatIpAddr:
      return KnownType::String;
    case Builtin::Len:
    case Builtin::Sum:
    case Builtin::Avg:
    case Builtin::Stddev:
    case Builtin::StringLen:
    case Builtin::NumCpus:
    case Builtin::GettimeofdayNs:
    case Builtin::GettimeofdayUs:
    case Builtin::GettimeofdayMs:
    case Builtin::GettimeofdayS:
    case Builtin::MathFloor:
    case Builtin::Rand:
    case Builtin::NetPort:
      return KnownType::Integer;
    case Builtin::StringStarts:
    case Builtin::StringEnds:
    case Builtin::InIowait:
      return KnownType::Boolean;
    case Builtin::TableNew:
    case Builtin::Ptable:
    case Builtin::StringSplit:
      return KnownType::Table;
    default:
      return KnownType::Unknown;
  }
}

/// The built-in variables that may also be called: pid() … execname(), in_interrupt().
bool is_callable(schema::BuiltinVar var) {
  return var <= schema::BuiltinVar::Execname || var == schema::BuiltinVar::InInterrupt;
}

/// Looks at what an event interrupts, whatever its arguments are.
bool is_of_event(Builtin builtin) {
  switch (builtin) {
    case Builtin::Stack:
    case Builtin::Ustack:
    case Builtin::Backtrace:
    case Builtin::PrintBacktrace:
    case Builtin::UserString:
    case Builtin::KernelString:
    case Builtin::Buf:
    case Builtin::InIowait:
    case Builtin::CurrTaskinfo:
    case Builtin::NetIpSockSaddr:
    case Builtin::NetIpSockDaddr:
      return true;
    default:
      return false;
  }
}

/// What a function becomes that is given to `builtin`, which registers it.
Role registered_role(Builtin builtin) {
  switch (builtin) {
    case Builtin::TimerTick:
      return Role::TimerHandler;
    case Builtin::KdebugProbeEnd:
      return Role::EndHandler;
    default:
      return Role::Handler;
  }
}

}  // namespace

bool Generator::gives_many(const sx::Expr& expr) {
  const auto* node = std::get_if<sx::Call>(&expr.node);
  if (node == nullptr) return false;
  const auto* member = std::get_if<sx::Member>(&node->callee->node);
  if (member != nullptr && member->name == "tostring" && is_event_object(*member->object))
    return false;
  const Meaning found = meaning(*node->callee, true);
  if (found.kind == Kind::EventVar) return false;
  return found.kind != Kind::Builtin || !gives_one_value(found.builtin);
}

bool Generator::event_var_call(const sx::Expr& expr, const sx::Call& node, int dst) {
  const Meaning found = meaning(*node.callee, true);
  if (found.kind != Kind::EventVar) return false;
  const std::string name(schema::builtin_var_name(found.event_var));
  if (!is_callable(found.event_var)) {
    sink_
        .report(Code::NotCallable, expr.span,
                fmt::format("'{}' is a variable, not a function", name))
        .hints.push_back(fmt::format("write {} without parentheses", name));
  } else if (!node.args.empty()) {
    sink_.report(Code::ArgumentCount, expr.span,
                 fmt::format("'{}' takes no arguments, {} given", name, node.args.size()));
  }
  meaning_to(found, name, expr.span, dst);
  return true;
}

void Generator::value(const sx::Expr& expr, const sx::Call& node, int dst) {
  if (event_var_call(expr, node, dst)) return;
  const bool in_place = is_temporary(dst) && dst + 1 == free_register();
  const int base = call(expr, node, 1, in_place ? dst : -1);
  if (base != dst) emit(Op::Move, dst, base, 0, expr.span);
}

int Generator::call(const sx::Expr& expr, const sx::Call& node, int results, int at) {
  const int base = at >= 0 ? at : take(1, expr.span);
  const Meaning found = meaning(*node.callee, true);
  std::optional<Role> registered;
  switch (found.kind) {
    case Kind::Builtin:
      check_builtin_call(found.builtin, expr, node);
      if (registers_handler(found.builtin)) registered = registered_role(found.builtin);
      emit(Insn::ad(Op::LoadBuiltin, static_cast<uint8_t>(base),
                    static_cast<uint16_t>(found.builtin)),
           node.callee->span);
      break;
    case Kind::Library:
      sink_.report(Code::NotCallable, node.callee->span, "a library is not a function");
      break;
    default: {
      const KnownType type = known_type(*node.callee);
      if (type != KnownType::Unknown && type != KnownType::Function) {
        sink_.report(Code::NotCallable, node.callee->span,
                     fmt::format("{} is called here", type_text(type)));
      }
      callee_to(*node.callee, found, base);
    }
  }
  const int b = arguments(node, registered);
  emit(Op::Call, base, b, results + 1, expr.span);
  release(base);
  if (at >= 0) take(1, expr.span);
  return base;
}

/// In a filter a bare name may be a field, but not where it is called.
void Generator::callee_to(const sx::Expr& callee, const Meaning& found, int dst) {
  const auto* name = std::get_if<sx::Name>(&callee.node);
  if (name != nullptr && found.kind == Kind::Unknown) {
    report_undefined(name->name, callee.span, true);
  } else {
    expr_to(callee, dst);
  }
}

int Generator::arguments(const sx::Call& node, std::optional<Role> registered) {
  const int count = static_cast<int>(node.args.size());
  for (const sx::Expr& arg : node.args) {
    if (&arg == &node.args.back() && gives_many(arg)) {
      call(arg, std::get<sx::Call>(arg.node), -1, -1);
      return 0;
    }
    const int reg = take(1, arg.span);
    const auto* function = std::get_if<sx::Function>(&arg.node);
    if (registered && function != nullptr) {
      function_to(*function->body, "handler", *registered, arg.span, reg);
    } else {
      expr_to(arg, reg);
    }
  }
  return count + 1;
}

// ---- what is checked of a call before it runs ----

void Generator::check_builtin_call(Builtin builtin, const sx::Expr& expr, const sx::Call& node) {
  if (registers_handler(builtin) && scope_->in_handler) report_nested_handler(expr.span);
  if (is_of_event(builtin)) check_event_call(full_name(builtin), expr.span);
  const bc::BuiltinInfo& info = bc::builtin_info(builtin);
  const int count = static_cast<int>(node.args.size());
  const bool is_open = count > 0 && gives_many(node.args.back());
  const int least = is_open ? count - 1 : count;
  if ((!is_open && count < info.min_args) || (info.max_args >= 0 && least > info.max_args)) {
    sink_.report(Code::ArgumentCount, expr.span,
                 fmt::format("'{}' takes {}, {} given", full_name(builtin),
                             count_text(info.min_args, info.max_args),
                             count == 0 ? "none" : std::to_string(count)));
    return;
  }
  if (builtin == Builtin::Printf || builtin == Builtin::Format || builtin == Builtin::StringFormat)
    check_format(builtin, expr, node);
}

void Generator::check_format(Builtin builtin, const sx::Expr& expr, const sx::Call& node) {
  const sx::Expr& format = node.args[0];
  const auto constant = fold(format);
  if (!constant) return;
  const auto* text = std::get_if<std::string>(&*constant);
  if (text == nullptr) {
    sink_.report(Code::FormatType, format.span,
                 fmt::format("the format of '{}' is a string, not {}", full_name(builtin),
                             type_text(type_of(*constant))));
    return;
  }
  const bool is_literal = std::holds_alternative<sx::StringLit>(format.node);
  const auto part = [&](size_t begin, size_t end) {
    if (!is_literal) return format.span;
    const std::string_view literal =
        source_.text().substr(format.span.begin, format.span.end - format.span.begin);
    return diag::Span{format.span.begin + static_cast<uint32_t>(literal_offset(literal, begin)),
                      format.span.begin + static_cast<uint32_t>(literal_offset(literal, end))};
  };
  const CheckedFormat parsed = compiler::check_format(*text);
  if (!parsed.error.empty()) {
    sink_.report(Code::BadFormat, part(parsed.error_begin, parsed.error_end), parsed.error)
        .hints.push_back(parsed.hint);
    return;
  }
  const size_t given = node.args.size() - 1;
  const bool is_open = given > 0 && gives_many(node.args.back());
  const size_t wanted = parsed.arguments.size();
  if (is_open ? given - 1 > wanted : given != wanted) {
    const diag::Span span = given < wanted && !is_open
                                ? part(parsed.arguments[given].begin, parsed.arguments[given].end)
                            : given > wanted ? node.args[wanted + 1].span
                                             : expr.span;
    sink_.report(
        Code::FormatCount, span,
        fmt::format("the format takes {} after it, {} given",
                    count_text(static_cast<int>(wanted), static_cast<int>(wanted)), given));
    return;
  }
  const size_t checked = is_open ? given - 1 : given;
  for (size_t i = 0; i < checked; ++i) {
    const Conversion& conversion = parsed.arguments[i];
    const KnownType type = known_type(node.args[i + 1]);
    if (fits(type, conversion.takes)) continue;
    auto& diagnostic = sink_.report(
        Code::FormatType, node.args[i + 1].span,
        fmt::format("'{}' takes {}, this is {}",
                    conversion.is_star ? "*" : fmt::format("%{}", conversion.letter),
                    conversion.takes == Conversion::Takes::Integer ? "an integer" : "a number",
                    type_text(type)));
    diagnostic.notes.push_back({part(conversion.begin, conversion.end), "the conversion"});
    if (!conversion.is_star) diagnostic.hints.emplace_back("%s takes any value");
  }
}

KnownType Generator::known_type(const sx::Expr& expr) {
  if (const auto constant = fold(expr)) return type_of(*constant);
  if (const auto* paren = std::get_if<sx::Paren>(&expr.node)) return known_type(*paren->inner);
  if (std::holds_alternative<sx::TableCtor>(expr.node)) return KnownType::Table;
  if (std::holds_alternative<sx::Function>(expr.node)) return KnownType::Function;
  if (const auto* unary = std::get_if<sx::Unary>(&expr.node)) {
    if (unary->op == sx::UnaryOp::Not) return KnownType::Boolean;
    return unary->op == sx::UnaryOp::BitNot ? KnownType::Integer : KnownType::Unknown;
  }
  if (const auto* binary = std::get_if<sx::Binary>(&expr.node)) {
    switch (binary->op) {
      case sx::BinaryOp::Eq:
      case sx::BinaryOp::Ne:
      case sx::BinaryOp::Lt:
      case sx::BinaryOp::Le:
      case sx::BinaryOp::Gt:
      case sx::BinaryOp::Ge:
      case sx::BinaryOp::Match:
        return KnownType::Boolean;
      case sx::BinaryOp::BitOr:
      case sx::BinaryOp::BitXor:
      case sx::BinaryOp::BitAnd:
      case sx::BinaryOp::Shl:
      case sx::BinaryOp::Shr:
        return KnownType::Integer;
      case sx::BinaryOp::Concat:
        return KnownType::String;
      default:
        return KnownType::Unknown;
    }
  }
  const auto* call = std::get_if<sx::Call>(&expr.node);
  const Meaning found = meaning(call != nullptr ? *call->callee : expr, call != nullptr);
  if (found.kind == Kind::EventVar) return type_of(found.event_var);
  if (found.kind != Kind::Builtin) return KnownType::Unknown;
  return call != nullptr ? type_of(found.builtin) : KnownType::Function;
}

}  // namespace ktap::compiler
