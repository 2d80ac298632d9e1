// Reads the field lines of a tracepoint's format file; the print format is left to libtraceevent.
#include "event/format.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/limits.h"

namespace ktap::event {

namespace {

using schema::Field;
using schema::FieldKind;

/// The number behind `key` ("offset:") in a field line.
std::optional<uint32_t> number_after(std::string_view line, std::string_view key) {
  const size_t at = line.find(key);
  if (at == std::string_view::npos) return std::nullopt;
  uint32_t value = 0;
  const char* begin = line.data() + at + key.size();
  const auto [end, error] = std::from_chars(begin, line.data() + line.size(), value);
  if (error != std::errc() || end == begin) return std::nullopt;
  return value;
}

bool starts_with(std::string_view text, std::string_view head) {
  return text.substr(0, head.size()) == head;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

bool is_char(std::string_view type) { return type == "char" || type == "const char"; }

/// What is no text, but bytes: addresses, keys.
bool is_byte(std::string_view type) {
  if (starts_with(type, "const ")) type.remove_prefix(6);
  for (const std::string_view byte : {"__u8", "u8", "uint8_t", "u_int8_t", "unsigned char"}) {
    if (type == byte) return true;
  }
  return false;
}

FieldKind array_kind(std::string_view type, uint32_t size_bytes) {
  if (is_char(type)) return FieldKind::CharArray;
  const bool fits = size_bytes != 0 && size_bytes <= limits::kStringBytes;
  return is_byte(type) && fits ? FieldKind::ByteArray : FieldKind::Opaque;
}

FieldKind scalar_kind(std::string_view type, uint32_t size_bytes) {
  if (type.find('*') != std::string_view::npos) {
    return size_bytes == sizeof(void*) ? FieldKind::Pointer : FieldKind::Opaque;
  }
  if (starts_with(type, "struct ") || starts_with(type, "union ") ||
      starts_with(type, "const struct ")) {
    return FieldKind::Opaque;
  }
  const std::string_view plain = starts_with(type, "const ") ? type.substr(6) : type;
  if (size_bytes == 1 && (plain == "bool" || plain == "_Bool")) return FieldKind::Bool;
  const bool is_word = size_bytes == 1 || size_bytes == 2 || size_bytes == 4 || size_bytes == 8;
  return is_word ? FieldKind::Int : FieldKind::Opaque;
}

/// Splits "const char * name", "char comm[16]", "__data_loc char[] name" into type and name, and
/// says what it is.
bool parse_declaration(std::string_view declaration, Field* field) {
  declaration = trimmed(declaration);
  const bool is_data_loc = starts_with(declaration, "__data_loc ");
  const bool is_rel_loc = starts_with(declaration, "__rel_loc ");
  const size_t space = declaration.rfind(' ');
  if (space == std::string_view::npos) return false;
  std::string_view name = declaration.substr(space + 1);
  const std::string_view type = trimmed(declaration.substr(0, space));
  while (!name.empty() && name.front() == '*') name.remove_prefix(1);
  field->c_type = std::string(type);
  if (is_data_loc || is_rel_loc) {
    const std::string_view element = trimmed(type.substr(type.find(' ') + 1));
    const bool is_string = element == "char[]" || element == "char []" || element == "char";
    if (!is_string) {
      field->kind = FieldKind::Opaque;
    } else {
      field->kind = is_data_loc ? FieldKind::DynString : FieldKind::RelString;
    }
  } else if (const size_t bracket = name.find('['); bracket != std::string_view::npos) {
    field->kind = array_kind(type, field->size_bytes);
    field->c_type += std::string(name.substr(bracket));
    name = name.substr(0, bracket);
  } else {
    field->kind = scalar_kind(type, field->size_bytes);
  }
  field->name = std::string(name);
  return !name.empty();
}

/// `field:DECLARATION;\toffset:N;\tsize:N;\tsigned:N;`
bool parse_field(std::string_view line, Field* field) {
  const size_t begin = std::string_view("field:").size();
  const size_t end = line.find(';');
  if (end == std::string_view::npos || end < begin) return false;
  const std::string_view rest = line.substr(end);
  const std::optional<uint32_t> offset = number_after(rest, "offset:");
  const std::optional<uint32_t> size = number_after(rest, "size:");
  if (!offset.has_value() || !size.has_value()) return false;
  field->offset_bytes = *offset;
  field->size_bytes = *size;
  field->is_signed = number_after(rest, "signed:").value_or(0) == 1;
  return parse_declaration(line.substr(begin, end - begin), field);
}

}  // namespace

Result<Format> parse_format(std::string_view text) {
  Format format;
  while (!text.empty()) {
    const size_t newline = text.find('\n');
    std::string_view line = text.substr(0, newline);
    text.remove_prefix(newline == std::string_view::npos ? text.size() : newline + 1);
    while (!line.empty() && (line.front() == '\t' || line.front() == ' ')) line.remove_prefix(1);
    if (starts_with(line, "ID:")) {
      format.id = static_cast<int32_t>(number_after(line, "ID: ").value_or(UINT32_MAX));
    } else if (starts_with(line, "print fmt:")) {
      break;
    } else if (starts_with(line, "field:")) {
      Field field;
      if (!parse_field(line, &field)) {
        return Error{fmt::format("an event format that cannot be read: '{}'", line)};
      }
      format.record_size_bytes =
          std::max(format.record_size_bytes, field.offset_bytes + field.size_bytes);
      if (!starts_with(field.name, "common_")) format.fields.push_back(std::move(field));
    }
  }
  if (format.id < 0) return Error{"an event format without an ID"};
  return format;
}

}  // namespace ktap::event
