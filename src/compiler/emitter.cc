// See emitter.h. Jumps forward are patched when their label is bound.
#include "compiler/emitter.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "base/check.h"
#include "base/limits.h"

namespace ktap::compiler {

namespace {

using bytecode::Constant;
using bytecode::Insn;
using bytecode::Op;
using diag::Code;

constexpr int kMaxWide = 65535;               ///< largest index in a 16-bit operand
constexpr int64_t kMaxJump = (1 << 23) - 1;   ///< of a Jmp
constexpr size_t kMaxCode = size_t{1} << 22;  ///< instructions, so that any Jmp reaches

/// A map key under which equal constants, and only these, meet: 1 and 1.0, 0.0 and -0.0 are not
/// equal here.
std::string constant_key(const Constant& value) {
  std::string key(1, static_cast<char>('0' + value.index()));
  const auto append = [&key](const void* data, size_t size) {
    key.append(static_cast<const char*>(data), size);
  };
  if (const auto* boolean = std::get_if<bool>(&value)) key += *boolean ? '1' : '0';
  if (const auto* integer = std::get_if<int64_t>(&value)) append(integer, sizeof *integer);
  if (const auto* number = std::get_if<double>(&value)) append(number, sizeof *number);
  if (const auto* text = std::get_if<std::string>(&value)) key += *text;
  return key;
}

}  // namespace

Emitter::Emitter(const diag::Source& source, diag::Sink& sink, std::string name, diag::Span head)
    : source_(source), sink_(sink), function_(std::make_unique<bytecode::Function>()) {
  function_->name = std::move(name);
  function_->place = {head, source.line_column(head.begin).line};
}

void Emitter::emit(Insn insn, diag::Span span) {
  if (function_->code.size() >= kMaxCode) {
    report_limit(Code::TooLarge, span, "this function is too long");
    return;
  }
  function_->code.push_back(insn);
  function_->places.push_back({span, source_.line_column(span.begin).line});
}

void Emitter::jump(Op op, int a, Label& target, diag::Span span) {
  const size_t at = function_->code.size();
  emit(op == Op::Jmp ? Insn::jump(op, 0) : Insn::as(op, static_cast<uint8_t>(a), 0), span);
  if (function_->code.size() == at) return;
  if (target.pc) {
    patch(at, *target.pc);
  } else {
    target.uses.push_back(at);
  }
}

void Emitter::make_tail_call() {
  Insn& call = function_->code.back();
  call = Insn::abc(Op::TailCall, call.a(), call.b(), 0);
}

void Emitter::bind(Label& label) {
  KTAP_CHECK(!label.pc);
  const size_t here = function_->code.size();
  label.pc = here;
  last_label_ = here;
  for (const size_t use : label.uses) patch(use, here);
  label.uses.clear();
}

void Emitter::patch(size_t at, size_t target) {
  const int64_t offset = static_cast<int64_t>(target) - static_cast<int64_t>(at) - 1;
  const Insn old = function_->code[at];
  if (old.op() == Op::Jmp) {
    KTAP_CHECK(offset >= -kMaxJump && offset <= kMaxJump);
    function_->code[at] = Insn::jump(Op::Jmp, static_cast<int32_t>(offset));
    return;
  }
  using Short = std::numeric_limits<int16_t>;
  if (offset < Short::min() || offset > Short::max()) {
    report_limit(Code::TooLarge, function_->places[at].span, "the body of this loop is too long");
    return;
  }
  function_->code[at] = Insn::as(old.op(), old.a(), static_cast<int16_t>(offset));
}

bool Emitter::is_unreachable() const {
  const auto& code = function_->code;
  if (code.empty() || last_label_ == code.size()) return false;
  const Op last = code.back().op();
  if (last != Op::Jmp) return last == Op::Return || last == Op::TailCall;
  return code.size() < 2 || !bytecode::is_test(code[code.size() - 2].op());
}

int Emitter::constant(const Constant& value, diag::Span span) {
  auto& constants = function_->constants;
  const auto [place, is_new] =
      constant_index_.try_emplace(constant_key(value), static_cast<int>(constants.size()));
  if (!is_new) return place->second;
  if (constants.size() > kMaxWide) {
    report_limit(Code::TooLarge, span,
                 fmt::format("more than {} constants in one function", kMaxWide + 1));
    place->second = 0;
    return 0;
  }
  constants.push_back(value);
  return place->second;
}

std::optional<uint8_t> Emitter::small_constant(const Constant& value, diag::Span span) {
  const int index = constant(value, span);
  if (index > UINT8_MAX) return std::nullopt;
  return static_cast<uint8_t>(index);
}

void Emitter::load(const Constant& value, int dst, diag::Span span) {
  const auto a = static_cast<uint8_t>(dst);
  if (std::holds_alternative<std::monostate>(value))
    return emit(Insn::abc(Op::LoadNil, a, 0, 0), span);
  if (const auto* boolean = std::get_if<bool>(&value)) {
    return emit(Insn::abc(Op::LoadBool, a, *boolean ? 1 : 0, 0), span);
  }
  const auto* integer = std::get_if<int64_t>(&value);
  if (integer != nullptr && *integer >= INT16_MIN && *integer <= INT16_MAX) {
    return emit(Insn::as(Op::LoadInt, a, static_cast<int16_t>(*integer)), span);
  }
  emit(Insn::ad(Op::LoadK, a, static_cast<uint16_t>(constant(value, span))), span);
}

int Emitter::take(int count, diag::Span span) {
  const int first = free_;
  free_ += count;
  if (free_ > limits::kMaxRegisters) {
    report_limit(Code::TooManyRegisters, span,
                 fmt::format("this needs more than {} values at once", limits::kMaxRegisters),
                 "the arguments of a call, the parts of an expression and the local variables of "
                 "the function count: split it, or keep them in a table");
    free_ = std::min(first, limits::kMaxRegisters - 1);
    return free_;
  }
  function_->register_count = std::max(function_->register_count, static_cast<uint8_t>(free_));
  return first;
}

int Emitter::add_child(std::unique_ptr<bytecode::Function> child, diag::Span span) {
  auto& children = function_->children;
  if (children.size() > kMaxWide) {
    report_limit(Code::TooLarge, span,
                 fmt::format("more than {} functions inside one", kMaxWide + 1));
    return 0;
  }
  children.push_back(std::move(child));
  return static_cast<int>(children.size()) - 1;
}

std::unique_ptr<bytecode::Function> Emitter::finish(diag::Span end) {
  if (!is_unreachable()) emit(Insn::abc(Op::Return, 0, 1, 0), end);
  return std::move(function_);
}

void Emitter::report_limit(Code code, diag::Span span, std::string text, std::string hint) {
  if (std::find(crossed_.begin(), crossed_.end(), code) != crossed_.end()) return;
  crossed_.push_back(code);
  diag::Diagnostic& reported = sink_.report(code, span, std::move(text));
  if (!hint.empty()) reported.hints.push_back(std::move(hint));
}

}  // namespace ktap::compiler
