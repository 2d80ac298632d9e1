// Calls: functions of the script are inlined, built-ins that have a kernel form are done here,
// output calls become sites: the kernel sends what it has to compute, user space adds the rest and
// renders.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "lower/lowerer.h"
#include "runtime/format.h"
#include "runtime/value.h"

namespace ktap::lower {

namespace {

using bytecode::Builtin;
using runtime::Value;

std::string no_kernel_form(Builtin builtin) {
  switch (builtin) {
    case Builtin::Aggr:
      return "an aggregate is made here";
    case Builtin::Count:
    case Builtin::Sum:
    case Builtin::Min:
    case Builtin::Max:
    case Builtin::Avg:
    case Builtin::Stddev:
    case Builtin::Quantile:
    case Builtin::Hist:
      return "an aggregate is read here";
    default:
      return full_name(bytecode::builtin_info(builtin)) + "() has no kernel form";
  }
}

/// Has no result, not even nil: as the last argument of a call it is none. Of those that have a
/// kernel form and go on behind the call.
bool gives_nothing(Builtin builtin, size_t arg_count) {
  switch (builtin) {
    case Builtin::Print:
    case Builtin::Printf:
    case Builtin::Warn:
    case Builtin::PrintHist:
    case Builtin::Histogram:
    case Builtin::PrintFlame:
    case Builtin::PrintHeatmap:
    case Builtin::PrintTable:
    case Builtin::PrintBacktrace:
    case Builtin::KdebugDumpstack:
    case Builtin::PrintTraceClock:
    case Builtin::Delete:
    case Builtin::InplaceInc:
    case Builtin::TableCount:
      return true;
    case Builtin::Count:
      return arg_count > 1;
    default:
      return false;
  }
}

}  // namespace

std::string Lowerer::match_error_text() const {
  return "'~' matches a string with a glob, got nil and a string";
}

std::vector<AbstractValue> Lowerer::call(const AbstractValue& callee,
                                         std::vector<AbstractValue> args, bool is_tail_call) {
  if (callee.is(Kind::Function)) return call_function(callee, std::move(args), is_tail_call);
  if (callee.is(Kind::Builtin)) {
    const auto builtin = static_cast<Builtin>(callee.integer);
    const AbstractValue result = call_builtin(builtin, args);
    if (gives_nothing(builtin, args.size())) return {};
    return {result.is(Kind::Undefined) ? AbstractValue::nil() : result};
  }
  refuse_use("a call", callee);
  return {};
}

AbstractValue Lowerer::call_builtin(Builtin builtin, const std::vector<AbstractValue>& args) {
  const bytecode::BuiltinInfo& info = bytecode::builtin_info(builtin);
  const int count = static_cast<int>(args.size());
  if (count < info.min_args || (info.max_args >= 0 && count > info.max_args)) {
    refuse(fmt::format("{} is called with {} arguments", info.name, count));
    return {};
  }
  const bool keeps_calls = builtin == Builtin::Print || builtin == Builtin::Printf ||
                           builtin == Builtin::Warn || builtin == Builtin::Format ||
                           builtin == Builtin::StringFormat || builtin == Builtin::Tostring;
  const std::optional<AbstractValue> result = by_type(
      args, [&](const std::vector<AbstractValue>& v) { return call_builtin(builtin, v); },
      keeps_calls);
  return result ? *result : call_typed(builtin, args);
}

/// With arguments that are of one type each.
AbstractValue Lowerer::call_typed(Builtin builtin, const std::vector<AbstractValue>& args) {
  switch (builtin) {
    case Builtin::Print:
      output(builtin, ssa::SiteKind::Print, args);
      return AbstractValue::nil();
    case Builtin::Warn:
      output(builtin, ssa::SiteKind::Warn, args);
      return AbstractValue::nil();
    case Builtin::Printf:
      if (check_format(args)) output(builtin, ssa::SiteKind::Printf, formatted_);
      return AbstractValue::nil();
    case Builtin::PrintHist:
    case Builtin::Histogram:
      histogram(args);
      return AbstractValue::nil();
    case Builtin::Exit:
      request_exit(args);
      return AbstractValue::nil();
    case Builtin::Error:
      raise(args[0]);
      return AbstractValue::nil();
    case Builtin::Assert:
      return assert_true(args);
    case Builtin::Delete:
      delete_entry(args);
      return AbstractValue::nil();
    case Builtin::Count:
      if (args.size() == 1) break;
      [[fallthrough]];
    case Builtin::InplaceInc:
    case Builtin::TableCount:
      count_in_table(builtin, args);
      return AbstractValue::nil();
    case Builtin::PrintTraceClock:
      print_trace_clock();
      return AbstractValue::nil();
    case Builtin::UserString:
    case Builtin::KernelString:
      return read_string(builtin, args);
    case Builtin::Buf:
      return read_bytes(args);
    case Builtin::EventTostring:
      return AbstractValue::of_kind(Kind::EventTextLine);
    case Builtin::Tostring:
      return tostring(args[0]);
    case Builtin::Format:
    case Builtin::StringFormat:
      return check_format(args) ? format(formatted_) : AbstractValue();
    case Builtin::SignalName:
    case Builtin::ErrnoName:
    case Builtin::SyscallName:
      return name_of_number(builtin, args[0]);
    case Builtin::Type:
      return type_name_of(args[0]);
    case Builtin::Len:
      return length(args[0]);
    default:
      break;
  }
  return call_rest(builtin, args);
}

AbstractValue Lowerer::call_rest(Builtin builtin, const std::vector<AbstractValue>& args) {
  if (draws(builtin, args)) return AbstractValue::nil();
  if (std::optional<AbstractValue> result = read_samples(builtin, args)) return *result;
  if (std::optional<AbstractValue> result = call_library(builtin, args)) return *result;
  if (std::optional<AbstractValue> result = machine_call(builtin, args)) return *result;
  if (std::optional<AbstractValue> result = kernel_call(builtin, args)) return *result;
  if (std::optional<AbstractValue> result = call_action(builtin, args)) return *result;
  if (std::optional<AbstractValue> result = call_stack(builtin, args)) return *result;
  if (std::optional<AbstractValue> result = symbol_name(builtin, args)) return *result;
  refuse(no_kernel_form(builtin));
  return {};
}

/// inplace_inc(t, k) and its like.
void Lowerer::count_in_table(Builtin builtin, const std::vector<AbstractValue>& args) {
  const AbstractValue amount = args.size() > 2 ? args[2] : AbstractValue::nil();
  if (is_maybe(amount)) {
    return do_either(amount, [&](const AbstractValue& v) {
      count_in_table(builtin, {args[0], args[1], v});
    });
  }
  table_update(args[0], args[1], amount.is(Kind::Nil) ? AbstractValue::of(int64_t{1}) : amount,
               bytecode::UpdateOp::Add);
}

/// What draws as print_hist does: when user space comes to it. False: another function.
bool Lowerer::draws(Builtin builtin, const std::vector<AbstractValue>& args) {
  if (builtin != Builtin::PrintFlame && builtin != Builtin::PrintHeatmap &&
      builtin != Builtin::PrintTable)
    return false;
  for (size_t i = 1; i < args.size(); ++i) {
    if (args[i].is(Kind::Nil) || args[i].is(Kind::Str)) continue;
    refuse(full_name(bytecode::builtin_info(builtin)) + "() with a computed file or options");
    return true;
  }
  if (args[0].is(Kind::Table)) {
    output(builtin, ssa::SiteKind::PrintHist, args);
  } else {
    refuse_use("a picture", args[0]);
  }
  return true;
}

void Lowerer::histogram(const std::vector<AbstractValue>& args) {
  if (!args[0].is(Kind::Table)) return refuse_use("a histogram", args[0]);
  const AbstractValue rows = args.size() > 1 ? args[1] : AbstractValue::nil();
  if (is_maybe(rows))
    return do_either(rows, [&](const AbstractValue& v) { histogram({args[0], v}); });
  if (!rows.is(Kind::Nil) && type_of(rows) != ssa::Type::Int)
    return refuse_use("a number of rows", rows);
  output(Builtin::PrintHist, ssa::SiteKind::PrintHist, args);
}

/// The same text as the VM's.
void Lowerer::print_trace_clock() {
  const AbstractValue ns = AbstractValue::ssa(read_var(schema::BuiltinVar::Ns));
  const AbstractValue second = AbstractValue::of(int64_t{1000000000});
  const AbstractValue micros =
      divide(ssa::Op::DivS, divide(ssa::Op::ModS, ns, second), AbstractValue::of(int64_t{1000}));
  output(Builtin::Printf, ssa::SiteKind::Printf,
         {AbstractValue::string("%d.%06d\n"), divide(ssa::Op::DivS, ns, second), micros});
}

AbstractValue Lowerer::length(const AbstractValue& value) {
  if (value.is(Kind::Str)) {
    return AbstractValue::of(static_cast<int64_t>(value.text.size()));
  }
  if (value.is(Kind::Tuple)) return AbstractValue::of(static_cast<int64_t>(value.parts.size()));
  if (type_of(value) == ssa::Type::MaybeStr) {
    return length(
        check_not_nil(value, "len takes a string, a table, a multi-key or a histogram, got nil"));
  }
  if (value.is(Kind::Rendered) || type_of(value) == ssa::Type::Str) {
    const AbstractValue text = text_value(value);
    if (stopped()) return {};
    if (text.is(Kind::Str)) return AbstractValue::of(static_cast<int64_t>(text.text.size()));
    return AbstractValue::ssa(op1(ssa::Op::StrLen, ssa::Type::Int, text_bytes(text)));
  }
  if (value.is(Kind::Table)) return table_length(value);
  if (value.is(Kind::EventText) || value.is(Kind::EventTextLine)) {
    refuse_use("len()", value);
    return {};
  }
  fail_by_types(value, AbstractValue::nil(), "len()", [](Value of, Value) {
    return fmt::format("len takes a string, a table, a multi-key or a histogram, got {}",
                       runtime::type_phrase(of.type));
  });
  return AbstractValue::nil();
}

/// delete(t, k): a key that is nil is under no entry, which is no error here.
void Lowerer::delete_entry(const std::vector<AbstractValue>& args) {
  if (args.size() == 1) return clear_table(args[0]);
  AbstractValue key = args[1];
  if (args.size() > 2) {
    key = AbstractValue::of_kind(Kind::Tuple);
    key.parts.assign(args.begin() + 1, args.end());
  }
  delete_if_there(args[0], std::move(key));
}

void Lowerer::delete_if_there(const AbstractValue& table, AbstractValue key) {
  AbstractValue* part = nil_part(key);
  if (part == nullptr) return table_delete(table, key);
  if (part->is(Kind::Nil) && table.is(Kind::Table)) return;
  if (part->is(Kind::Nil)) return refuse_use("delete()", table);
  const ssa::BlockId absent = enter_where_there(*part);
  delete_if_there(table, std::move(key));
  if (!stopped()) join({{absent, {}, 0}, {current_, {}, 0}});
}

/// assert(c[, "text"]) gives c.
AbstractValue Lowerer::assert_true(const std::vector<AbstractValue>& args) {
  const bool has_message = args.size() > 1 && !args[1].is(Kind::Nil);
  const AbstractValue message = has_message ? args[1] : AbstractValue::string("assertion failed");
  const Truth holds = truth(args[0]);
  if (holds.known) {
    if (!holds.value) raise(message);
    return args[0];
  }
  raise_when(negate(holds).id, message);
  if (is_maybe(args[0])) return AbstractValue::ssa(unwrap(args[0]));
  return AbstractValue::boolean(true);
}

AbstractValue Lowerer::type_name_of(const AbstractValue& value) {
  switch (value.kind) {
    case Kind::Pointer: {
      AbstractValue sure = plain(value);
      const AbstractValue name =
          AbstractValue::string(std::string(runtime::type_name(runtime::Type::Pointer)));
      if (sure.is(Kind::Nil)) return type_name_of(sure);
      if (!is_maybe(sure)) return name;
      const ssa::BlockId absent = enter_where_there(sure);
      return join({{absent, {type_name_of(AbstractValue::nil())}, 0}, {current_, {name}, 0}})[0];
    }
    case Kind::Nil:
      return AbstractValue::string(std::string(runtime::type_name(runtime::Type::Nil)));
    case Kind::Float:
      return AbstractValue::string(std::string(runtime::type_name(runtime::Type::Float)));
    case Kind::Table:
      return AbstractValue::string(std::string(runtime::type_name(runtime::Type::Table)));
    case Kind::Tuple:
      return AbstractValue::string(std::string(runtime::type_name(runtime::Type::Tuple)));
    case Kind::Aggregate:
      return AbstractValue::string(std::string(runtime::type_name(runtime::Type::Aggregate)));
    case Kind::Function:
    case Kind::Builtin:
      return AbstractValue::string(std::string(runtime::type_name(runtime::Type::Function)));
    case Kind::Rendered:
      if (value.may_be_nil) break;
      return AbstractValue::string(std::string(runtime::type_name(value.result)));
    default:
      break;
  }
  switch (type_of(value)) {
    case ssa::Type::Int:
      return AbstractValue::string(std::string(runtime::type_name(runtime::Type::Integer)));
    case ssa::Type::Bool:
      return AbstractValue::string(std::string(runtime::type_name(runtime::Type::Boolean)));
    case ssa::Type::Str:
      return AbstractValue::string(std::string(runtime::type_name(runtime::Type::String)));
    case ssa::Type::MaybeInt:
    case ssa::Type::MaybeBool:
    case ssa::Type::MaybeStack:
    case ssa::Type::MaybeStr: {
      AbstractValue sure = value;
      const ssa::BlockId absent = enter_where_there(sure);
      const AbstractValue name = type_name_of(sure);
      return join({{absent, {type_name_of(AbstractValue::nil())}, 0}, {current_, {name}, 0}})[0];
    }
    case ssa::Type::Stack:
      return AbstractValue::string(std::string(runtime::type_name(runtime::Type::Stack)));
    case ssa::Type::Union:  // by its alternatives
    case ssa::Type::None:
      break;
  }
  refuse_use("type()", value);
  return {};
}

/// user_string(address[, limit]), kernel_string likewise: nil on a bad address.
AbstractValue Lowerer::read_string(Builtin builtin, const std::vector<AbstractValue>& args) {
  const std::string name(bytecode::builtin_info(builtin).name);
  int64_t limit = limits::kStringBytes;
  if (args.size() > 1 && !args[1].is(Kind::Nil)) {
    if (!args[1].is(Kind::Int) || args[1].integer < 1 || args[1].integer > limits::kMaxMadeBytes) {
      const std::string given = args[1].is(Kind::Int) ? fmt::format("of {}", args[1].integer)
                                                      : "that is not known beforehand";
      refuse(fmt::format("{}() with a limit {}: in the kernel it is a number from 1 to {}", name,
                         given, limits::kMaxMadeBytes));
      return {};
    }
    limit = args[1].integer;
  }
  const std::optional<AbstractValue> address = integer_argument(plain(args[0]), name, 1);
  if (!address) return AbstractValue::nil();
  const bool is_kernel = builtin == Builtin::KernelString;
  ssa::Inst inst{is_kernel ? ssa::Op::KernelString : ssa::Op::UserString, ssa::Type::MaybeStr,
                 ssa::StrKind::Bytes};
  inst.max_bytes = static_cast<uint32_t>(limit);
  inst.imm = limit;
  inst.operands = {to_int(*address, name + "()")};
  return AbstractValue::ssa(emit(std::move(inst)));
}

/// buf(address, n): nil, or bytes that user space takes from the record.
AbstractValue Lowerer::read_bytes(const std::vector<AbstractValue>& args) {
  const std::optional<AbstractValue> address = integer_argument(plain(args[0]), "buf", 1);
  if (!address) return AbstractValue::nil();
  const std::optional<AbstractValue> count = integer_argument(plain(args[1]), "buf", 2);
  if (!count) return AbstractValue::nil();
  AbstractValue bytes = AbstractValue::ssa(
      bytes_at(to_int(*address, "buf()"), to_int(*count, "buf()"), limits::kStringBytes));
  const ssa::BlockId absent = enter_where_there(bytes);
  const AbstractValue there = rendered(Builtin::Buf, {bytes, *count});
  return join({{absent, {AbstractValue::nil()}, 0}, {current_, {there}, 0}})[0];
}

/// At most `most` bytes of memory; fewer where the count is known.
ssa::ValueId Lowerer::bytes_at(ssa::ValueId address, ssa::ValueId count, int64_t most) {
  const ssa::Inst& known = function_[count];
  if (known.op == ssa::Op::ConstInt) most = std::clamp<int64_t>(known.imm, 1, most);
  ssa::Inst inst{ssa::Op::ReadBytes, ssa::Type::MaybeStr, ssa::StrKind::Bytes,
                 static_cast<uint32_t>(most)};
  inst.operands = {address, count};
  return emit(std::move(inst));
}

void Lowerer::request_exit(const std::vector<AbstractValue>& args) {
  AbstractValue status = AbstractValue::of(int64_t{0});
  if (!args.empty()) status = args[0];
  if (status.is(Kind::Nil)) status = AbstractValue::of(int64_t{0});
  if (type_of(status) == ssa::Type::MaybeInt)
    return do_either(status, [&](const AbstractValue& v) { request_exit({v}); });
  if (type_of(status) != ssa::Type::Int) return fail_argument(status, "exit", 1, "an integer");
  const ssa::ValueId id = to_int(status, "exit()");
  ssa::Inst inst{ssa::Op::RequestExit};
  inst.operands = {id};
  emit(std::move(inst));
  emit({ssa::Op::Return});
  current_ = {};
}

/// error("text"): a run-time error of the script's own.
/// A text that is made of values goes to user space in a record.
void Lowerer::raise(const AbstractValue& message) {
  const AbstractValue text = tostring(message);
  if (stopped()) return;
  if (text.is(Kind::Str)) return fail_now(text.text);
  output(Builtin::Error, ssa::SiteKind::Error, {text});
  if (stopped()) return;
  const int64_t number = failure("", trace(), true);
  linkage_.outputs.back().failure = static_cast<size_t>(number);
  fail(number);
}

// ---- output ----------------------------------------------------------------------------------

ssa::SiteArg Lowerer::site_arg(ssa::ValueId id) const {
  const ssa::Inst& inst = function_[id];
  return {inst.type, inst.str_kind, inst.max_bytes};
}

ssa::Site Lowerer::new_site(ssa::SiteKind kind, std::vector<ssa::ValueId>& operands) {
  ssa::Site site;
  site.kind = kind;
  site.handler = handler_;
  site.span = place_.span;
  site.line = place_.line;
  if (options_.timestamps) {
    operands.push_back(read_var(schema::BuiltinVar::Ns));
    site.args.push_back(site_arg(operands.back()));
  }
  return site;
}

void Lowerer::emit_site(ssa::Site site, std::vector<ssa::ValueId> operands) {
  ssa::Inst inst{ssa::Op::Emit};
  inst.imm = static_cast<int64_t>(linkage_.module.sites.size());
  inst.operands = std::move(operands);
  linkage_.module.sites.push_back(std::move(site));
  emit(std::move(inst));
}

void Lowerer::output(Builtin builtin, ssa::SiteKind kind, const std::vector<AbstractValue>& args) {
  std::vector<ssa::ValueId> operands;
  ssa::Site site = new_site(kind, operands);
  OutputSite out;
  out.builtin = builtin;
  for (const AbstractValue& arg : args) {
    if (!output_arg(arg, out.args, site, operands)) return;
  }
  site.user_index = static_cast<uint32_t>(linkage_.outputs.size());
  linkage_.outputs.push_back(std::move(out));
  emit_site(std::move(site), std::move(operands));
}

bool Lowerer::output_arg(const AbstractValue& arg, std::vector<OutputArg>& out, ssa::Site& site,
                         std::vector<ssa::ValueId>& operands) {
  OutputArg result;
  result.kind = OutputArg::Kind::Constant;
  switch (arg.kind) {
    case Kind::Nil:
      break;
    case Kind::Bool:
      result.value = Value::of(arg.integer != 0);
      break;
    case Kind::Int:
      result.value = Value::of(arg.integer);
      break;
    case Kind::Float:
      result.value = Value::of(arg.number);
      break;
    case Kind::Str:
      result.value = linkage_.constants->string(arg.text);
      break;
    case Kind::Builtin:
      result.value = Value::of_builtin(static_cast<uint16_t>(arg.integer));
      break;
    case Kind::Table:
      result.kind = OutputArg::Kind::Table;
      result.value = Value::of_object(runtime::Type::Table, arg.table);
      break;
    case Kind::Event:
    case Kind::EventText:
    case Kind::EventTextLine:
      result.kind =
          arg.is(Kind::EventTextLine) ? OutputArg::Kind::EventTextLine : OutputArg::Kind::EventText;
      site.raw = ssa::RawEvent::Record;
      break;
    case Kind::Ssa:
      result.kind = OutputArg::Kind::Record;
      result.index = static_cast<uint32_t>(operands.size());
      operands.push_back(arg.id);
      site.args.push_back(site_arg(arg.id));
      break;
    case Kind::Pointer: {
      // Of a type that needs no look at the kernel's: its text tells the address alone.
      AbstractValue call = AbstractValue::of_kind(Kind::Rendered);
      call.integer = static_cast<int64_t>(Builtin::Cast);
      call.parts = {AbstractValue::string("void *"), plain(arg)};
      return output_arg(call, out, site, operands);
    }
    case Kind::Rendered:
      result.kind = OutputArg::Kind::Call;
      result.value = Value::of_builtin(static_cast<uint16_t>(arg.integer));
      for (const AbstractValue& part : arg.parts) {
        if (!output_arg(part, result.args, site, operands)) return false;
        if (static_cast<Builtin>(arg.integer) == Builtin::Buf && result.args.size() == 1)
          site.args.back().is_raw = true;
      }
      break;
    case Kind::Undefined:
    case Kind::Function:
    case Kind::Tuple:
    case Kind::Iterator:
    case Kind::Aggregate:
    case Kind::Reading:
    case Kind::Mixed:
      refuse(fmt::format("{} is printed", describe(arg)));
      return false;
  }
  out.push_back(std::move(result));
  return true;
}

/// A value that stands for all of this type when a format is tried on it.
Value Lowerer::sample_of(const AbstractValue& value, bool as_nil) {
  if (as_nil || value.is(Kind::Nil)) return Value::nil();
  if (value.is(Kind::Table)) return Value::of_object(runtime::Type::Table, value.table);
  if (value.is(Kind::Float)) return Value::of(value.number);
  if (value.is(Kind::Int)) return Value::of(value.integer);
  if (value.is(Kind::Pointer)) return linkage_.constants->pointer(1, 0, 0);
  if (value.is(Kind::Builtin)) return Value::of_builtin(static_cast<uint16_t>(value.integer));
  if (value.is(Kind::Rendered) && value.result == runtime::Type::Integer)
    return Value::of(int64_t{1});
  if (value.is(Kind::Rendered) && value.result == runtime::Type::Float) return Value::of(1.0);
  if (value.is_address()) return linkage_.constants->address(1);
  switch (type_of(value)) {
    case ssa::Type::Int:
    case ssa::Type::MaybeInt:
      return Value::of(int64_t{1});
    case ssa::Type::Bool:
    case ssa::Type::MaybeBool:
      return Value::of(true);
    case ssa::Type::Stack:
    case ssa::Type::MaybeStack:
      return sample_stack();
    default:
      return linkage_.constants->string("x");
  }
}

/// Tries the format on values of the arguments' types: a mistake that is known now is left to the
/// VM to report; what only nil would break is checked in the kernel. formatted_ gets the arguments
/// after that.
bool Lowerer::check_format(const std::vector<AbstractValue>& args) {
  formatted_ = args;
  if (!args[0].is(Kind::Str)) {
    refuse_use("a printf format", args[0]);
    return false;
  }
  std::string text;
  const auto trial = [&](size_t nil_at) {
    std::vector<Value> values;
    for (size_t i = 1; i < formatted_.size(); ++i)
      values.push_back(sample_of(formatted_[i], i == nil_at));
    std::string out;
    text.clear();
    return runtime::render_format(args[0].text, values.data(), values.size(), out, &text);
  };
  if (!trial(0)) {
    const std::string mistake = text;
    for (const AbstractValue& arg : args) {
      if (!arg.is(Kind::Rendered) || !arg.may_be_nil) continue;
      const auto check = [&](const std::vector<AbstractValue>& v) {
        check_format(v);
        return AbstractValue::nil();
      };
      if (!can_settle(arg) || !by_type(args, check)) refuse(mistake);
      return false;
    }
    const auto first = std::find_if(args.begin() + 1, args.end(),
                                    [this](const AbstractValue& arg) { return is_maybe(arg); });
    if (first == args.end()) {
      fail_now(mistake);
      return false;
    }
    // Which mistake is the first one depends on what is nil.
    do_either(*first, [&](const AbstractValue& now) {
      std::vector<AbstractValue> sure = args;
      sure[static_cast<size_t>(first - args.begin())] = now;
      check_format(sure);
    });
    return false;
  }
  for (size_t i = 1; i < formatted_.size(); ++i) {
    if (!is_maybe(formatted_[i]) || trial(i)) continue;
    const AbstractValue sure = check_not_nil(formatted_[i], text);
    for (size_t j = formatted_.size(); j-- > i;) {
      if (same(formatted_[j], formatted_[i])) formatted_[j] = sure;
    }
  }
  return !stopped();
}

}  // namespace ktap::lower
