// Values as text. A table is `key: value` lines sorted by key; a nested one stands below its key,
// indented.
#include "runtime/text.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

#include <fmt/format.h>

#include "runtime/aggregate.h"
#include "runtime/closure.h"
#include "runtime/code_address.h"
#include "runtime/histogram.h"
#include "runtime/kernel_pointer.h"
#include "runtime/stack.h"
#include "runtime/string.h"
#include "runtime/table.h"
#include "runtime/tuple.h"

namespace ktap::runtime {
namespace {

void append_integer(std::string& out, int64_t number) {
  fmt::format_int digits(number);
  out.append(digits.data(), digits.size());
}

void append_stack(std::string& out, const Stack& stack) {
  out += "<stack trace>";
  for (const std::string& line : stack_lines(stack)) out.append("\n => ").append(line);
}

void append_stack_key(std::string& out, const Stack& stack, size_t indent) {
  const std::vector<std::string> lines = stack_lines(stack);
  if (lines.empty()) out += "[no frames]";
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out.append(1, '\n').append(indent, ' ');
    out += lines[i];
  }
}

/// A stack begins a line of its own, and so does what follows it.
void append_tuple(std::string& out, const Tuple& tuple, size_t indent) {
  for (size_t i = 0; i < tuple.size(); ++i) {
    const bool breaks = i > 0 && (tuple[i].type == Type::Stack || tuple[i - 1].type == Type::Stack);
    if (i > 0) out += breaks ? "," : ", ";
    if (breaks) out.append(1, '\n').append(indent, ' ');
    if (tuple[i].type == Type::Stack) {
      append_stack_key(out, *tuple[i].stack(), indent);
      continue;
    }
    if (tuple[i].type == Type::Table || tuple[i].type == Type::Histogram) {
      out += "{...}";  // its lines would break the one that we are on
    } else {
      append_text(out, tuple[i]);
    }
  }
}

/// Its last line without a newline, as of a table.
void append_picture(std::string& out, const Histogram& histogram, size_t indent) {
  append_distribution(out, histogram.distribution(), indent);
  out.pop_back();
}

/// `open`: the tables that are being printed around this one.
void append_table(std::string& out, Table& table, std::vector<const Table*>& open) {
  if (table.backing != nullptr) table.backing->before_read(table);
  auto entries = table.entries();
  if (entries.empty()) {
    out += "{}";
    return;
  }
  std::sort(entries.begin(), entries.end(),
            [](const auto& a, const auto& b) { return compare_keys(a.first, b.first) < 0; });
  size_t indent = open.size() * 2;
  open.push_back(&table);
  bool first = true;
  for (const auto& [key, value] : entries) {
    if (!first) out += '\n';
    first = false;
    out.append(indent, ' ');
    append_key_text(out, key, indent);
    out += ':';
    if (value.type == Type::Histogram) {
      out += '\n';
      append_picture(out, *value.histogram(), open.size() * 2);
      continue;
    }
    if (value.type != Type::Table) {
      out += ' ';
      append_text(out, value);
      continue;
    }
    Table& nested = *value.table();
    if (nested.backing != nullptr) nested.backing->before_read(nested);
    if (nested.size() == 0) {
      out += " {}";
    } else if (open.size() >= static_cast<size_t>(kMaxTextDepth) ||
               std::find(open.begin(), open.end(), &nested) != open.end()) {
      out += " {...}";
    } else {
      out += '\n';
      append_table(out, nested, open);
    }
  }
  open.pop_back();
}

}  // namespace

std::string float_text(double number) {
  if (std::isnan(number)) return "nan";  // C prints its sign bit too, which means nothing
  char buffer[40];
  int length = std::snprintf(buffer, sizeof(buffer), "%.14g", number);
  std::string text(buffer, static_cast<size_t>(length));
  if (text.find_first_not_of("-0123456789") == std::string::npos) text += ".0";
  return text;
}

std::vector<std::string> stack_lines(const Stack& stack) {
  if (stack.names() != nullptr) return stack.names()->lines_of(stack);
  std::vector<std::string> lines;
  for (size_t i = 0; i < stack.frame_count(); ++i)
    lines.push_back(fmt::format("0x{:x}", stack.frame(i)));
  return lines;
}

void append_text(std::string& out, Value value) {
  switch (value.type) {
    case Type::Nil:
      out += "nil";
      return;
    case Type::Boolean:
      out += value.boolean ? "true" : "false";
      return;
    case Type::Integer:
      append_integer(out, value.integer);
      return;
    case Type::Address:
      out += address_text(*value.address());
      return;
    case Type::Pointer:
      fmt::format_to(std::back_inserter(out), "0x{:x}",
                     static_cast<uint64_t>(value.pointer()->address()));
      return;
    case Type::Float:
      out += float_text(value.number);
      return;
    case Type::Event:
      out += "event";
      return;
    case Type::Builtin:
      out += "function";
      return;
    case Type::String:
      out += value.string()->view();
      return;
    case Type::Tuple:
      append_tuple(out, *value.tuple(), 0);
      return;
    case Type::Stack:
      append_stack(out, *value.stack());
      return;
    case Type::Table: {
      std::vector<const Table*> open;
      append_table(out, *value.table(), open);
      return;
    }
    case Type::Aggregate:
      value.aggregate()->refresh();
      append_aggregate(out, *value.aggregate());
      return;
    case Type::Histogram:
      append_picture(out, *value.histogram(), 0);
      return;
    case Type::Function:
      out += "function";
      if (!value.closure()->name.empty()) out.append(" ").append(value.closure()->name);
      return;
    case Type::SharedVariable:
    case Type::SharedCell:
    case Type::Iterator:
      KTAP_UNREACHABLE();
  }
}

void append_key_text(std::string& out, Value key, size_t indent) {
  if (key.type == Type::Stack) return append_stack_key(out, *key.stack(), indent);
  if (key.type == Type::Tuple) return append_tuple(out, *key.tuple(), indent);
  append_text(out, key);
}

std::string to_text(Value value) {
  std::string out;
  append_text(out, value);
  return out;
}

std::string unfit_phrase(const Value& value) {
  std::string what(type_phrase(value.type));
  if (value.type != Type::String) return what;
  return what + fmt::format(" of {} bytes: it is too long, or has a NUL", value.string()->size());
}

}  // namespace ktap::runtime
