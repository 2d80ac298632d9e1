// Library: print, printf, format, print_hist, tostring, stringof. Each output call is one write of
// its whole text.
#include <algorithm>
#include <cstdint>
#include <optional>

#include <fmt/core.h>

#include "base/limits.h"
#include "output/histogram.h"
#include "runtime/format.h"
#include "runtime/string.h"
#include "runtime/table.h"
#include "runtime/text.h"
#include "schema/builtin_vars.h"
#include "vm/library.h"

namespace ktap::vm {

using runtime::Type;
using runtime::Value;

namespace {

constexpr size_t kCachedFormats = 256;  // guessed: more than any script has literals

bool text_of(NativeCall& call, std::string* text) {
  Value value;
  if (!call.machine.printable(call.arg(0), &value)) return false;
  *text = runtime::to_text(value);
  return true;
}

bool give_text(NativeCall& call) {
  if (call.arg(0).type == Type::String) return call.give(call.arg(0));
  std::string text;
  return text_of(call, &text) && call.give(text);
}

bool write_hist(NativeCall& call) {
  std::string text;
  if (!call.machine.hist_text(call.args, call.count, text)) return false;
  call.machine.host().write(text);
  return true;
}

}  // namespace

bool Machine::printable(Value value, Value* result) {
  *result = value;
  return value.type != Type::Event || event_var(schema::BuiltinVar::Argstr, result);
}

bool Machine::print_text(const Value* args, size_t count, std::string& out) {
  for (size_t i = 0; i < count; ++i) {
    if (i > 0) out += '\t';
    Value value;
    if (!printable(args[i], &value)) return false;
    runtime::append_text(out, value);
  }
  out += '\n';
  return true;
}

bool Machine::printf_text(const Value* args, size_t count, std::string& out) {
  if (count == 0 || args[0].type != Type::String) {
    return fail(fmt::format("a format is a string, got {}",
                            count == 0 ? "nothing" : runtime::type_phrase(args[0].type)));
  }
  std::string_view key = args[0].string()->view();
  auto at = formats_.find(key);
  if (at == formats_.end()) {
    std::vector<FormatPiece> pieces = parse_format(key, &error_text_);
    if (!error_text_.empty()) return false;
    if (formats_.size() >= kCachedFormats) formats_.clear();
    at = formats_.emplace(std::string(key), std::move(pieces)).first;
  }
  std::vector<Value> shown;
  const Value* values = args + 1;
  if (std::any_of(args + 1, args + count, [](Value value) { return value.type == Type::Event; })) {
    shown.assign(args + 1, args + count);
    for (Value& value : shown) {
      if (!printable(value, &value)) return false;
    }
    values = shown.data();
  }
  const auto address_text = [this](int64_t address) { return host_.kernel_name(address); };
  if (!runtime::render_format(at->second, values, count - 1, out, &error_text_, address_text))
    return false;
  return out.size() <= limits::kMaxTextBytes ||
         fail(fmt::format("a string of more than {} bytes", limits::kMaxTextBytes));
}

bool Machine::hist_text(const Value* args, size_t count, std::string& out) {
  const Value drawn = count == 0 ? Value::nil() : args[0];
  if (output::print_distribution(drawn, out)) {
    return count == 1 || args[1].is_nil() ||
           fail(fmt::format("print_hist draws all buckets of {}, a number of rows is "
                            "for tables",
                            runtime::type_phrase(drawn.type)));
  }
  if (drawn.type != Type::Table) {
    return fail(fmt::format("print_hist takes a table, an aggregate or a histogram, got {}",
                            runtime::type_phrase(drawn.type)));
  }
  std::optional<int64_t> rows;
  if (count > 1 && !args[1].is_nil()) {
    if (!args[1].is_integer()) {
      return fail(fmt::format("print_hist takes an integer as the number of rows, got {}",
                              runtime::type_phrase(args[1].type)));
    }
    if (args[1].integer < 0)
      return fail(fmt::format("print_hist takes a number of rows, got {}", args[1].integer));
    rows = args[1].integer;
  }
  refresh(*args[0].table());
  return output::print_hist(*args[0].table(), rows, out, &error_text_);
}

namespace lib {

bool Print(NativeCall& call) {
  std::string text;
  if (!call.machine.print_text(call.args, call.count, text)) return false;
  call.machine.host().write(text);
  return true;
}

bool Warn(NativeCall& call) {
  std::string text;
  if (!call.machine.print_text(call.args, call.count, text)) return false;
  call.machine.host().write_warning(text);
  return true;
}

bool Printf(NativeCall& call) {
  std::string text;
  if (!call.machine.printf_text(call.args, call.count, text)) return false;
  call.machine.host().write(text);
  return true;
}

bool Format(NativeCall& call) {
  std::string text;
  return call.machine.printf_text(call.args, call.count, text) && call.give(text);
}

bool PrintHist(NativeCall& call) { return write_hist(call); }
bool Histogram(NativeCall& call) { return write_hist(call); }

bool Tostring(NativeCall& call) { return give_text(call); }
bool Stringof(NativeCall& call) { return give_text(call); }

bool EventTostring(NativeCall& call) {
  Value argstr;
  if (!call.machine.event_var(schema::BuiltinVar::Argstr, &argstr)) return false;
  return call.give(runtime::to_text(argstr) + "\n");
}

}  // namespace lib
}  // namespace ktap::vm
