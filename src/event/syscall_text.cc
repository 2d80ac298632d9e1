// argstr of system calls, in the seeds' form.
#include <algorithm>
#include <cstring>
#include <vector>

#include "event/render.h"

namespace ktap::event {

namespace {

// By hand: at full system call rate this is most of a line's cost.
void append_hex(std::string* out, uint64_t value) {
  char digits[16];
  size_t count = 0;
  do {
    digits[count++] = "0123456789abcdef"[value & 15];
    value >>= 4;
  } while (value != 0);
  while (count > 0) out->push_back(digits[--count]);
}

uint64_t cut_to(uint64_t value, uint32_t size_bytes) {
  return size_bytes >= 8 ? value : value & ((uint64_t{1} << (8 * size_bytes)) - 1);
}

/// What the field is of the word that it comes from.
uint64_t value_in(uint64_t word, const schema::Field& field) {
  const schema::Fetch& fetch = field.fetch;
  if (fetch.width_bits == 0 || fetch.width_bits >= 64) return cut_to(word, field.size_bytes);
  return word >> fetch.shift_bits & ((uint64_t{1} << fetch.width_bits) - 1);
}

/// "sys_read" of "sys_enter_read" or "sys_exit_read", "f" of "f%return".
void append_name(std::string* out, const std::string& name) {
  for (const std::string_view head : {"sys_enter_", "sys_exit_"}) {
    if (name.compare(0, head.size(), head) == 0) {
      *out += "sys_";
      out->append(name, head.size());
      return;
    }
  }
  constexpr std::string_view kReturn = "%return";
  const bool is_return = name.size() > kReturn.size() &&
                         std::string_view(name).substr(name.size() - kReturn.size()) == kReturn;
  out->append(name, 0, is_return ? name.size() - kReturn.size() : name.npos);
}

}  // namespace

bool says_what_another_means(const schema::Event& event, size_t index) {
  return std::any_of(event.fields.begin(), event.fields.end(), [index](const schema::Field& field) {
    return field.as_text == static_cast<int32_t>(index);
  });
}

bool has_no_place(const schema::Event& event, const schema::Field& field) {
  if (field.kind == schema::FieldKind::Opaque) return true;
  return field.as_text >= 0 &&
         event.fields[static_cast<size_t>(field.as_text)].kind == schema::FieldKind::Opaque;
}

std::string syscall_text(const schema::Event& event, const uint64_t* words) {
  std::string out;
  append_name(&out, event.name);
  const bool is_probe = event.kind == schema::EventKind::ProbeReturn;
  if (event.leaves_syscall() || is_probe) {
    out += " -> 0x";
    // Fetch arguments stand before a function's own result.
    size_t result = is_probe ? event.own_fields() - 1 : 1;
    if (event.fields[result - 1].as_text == static_cast<int32_t>(result)) --result;
    append_hex(&out, cut_to(words[result], event.fields[result].size_bytes));
    return out;
  }
  out += '(';
  constexpr size_t kMostArguments = 6;
  size_t last = event.fields.size();
  if (event.enters_syscall()) last = std::min(last, 1 + kMostArguments);
  const size_t own = event.fields.size() - event.unnumbered_fields;
  for (size_t i = 1; i < last; ++i) {
    const schema::Field& field = event.fields[i];
    if (i >= own && says_what_another_means(event, i)) continue;
    const bool is_known =
        field.fetch.base == schema::Fetch::Base::Constant && field.kind == schema::FieldKind::Int;
    // The registers alone are in the record.
    if (field.fetch.is_followed() && field.kind != schema::FieldKind::Opaque && !is_known) continue;
    if (out.back() != '(') out += ", ";
    out += field.name;
    out += ": ";
    if (has_no_place(event, field)) {
      out += "{…}";
      continue;
    }
    append_hex(&out, is_known ? cut_to(static_cast<uint64_t>(field.fetch.at), field.size_bytes)
                              : value_in(words[i], field));
  }
  out += ')';
  return out;
}

std::string syscall_record_text(const schema::Event& event, const uint8_t* data,
                                size_t size_bytes) {
  std::vector<uint64_t> words(std::max<size_t>(event.fields.size(), 2));
  for (size_t i = 0; i < event.fields.size(); ++i) {
    const schema::Field& field = event.fields[i];
    const size_t bytes = std::min<size_t>(field.size_bytes, sizeof(uint64_t));
    if (field.offset_bytes + bytes > size_bytes) continue;
    std::memcpy(&words[i], data + field.offset_bytes, bytes);
  }
  return syscall_text(event, words.data());
}

}  // namespace ktap::event
