// Numbers and argument types of system calls: tables from syscalls.def and argument_types.def. The
// kernel does not tell a system call's number in tracefs, so they are compiled in.
#include "event/syscall_table.h"

#include <asm/unistd.h>

#include <algorithm>
#include <array>
#include <type_traits>

namespace ktap::event {

namespace {

struct Row {
  std::string_view name;
  int64_t number;
};

/// __NR_read as text is "0" where the header has it, "(0+3)" on 32-bit arm, and "__NR_read" where
/// the header does not have it: so one table serves every architecture without an #ifdef a line.
constexpr int64_t header_number(std::string_view text, int64_t later) {
  int64_t sum = 0;
  int64_t number = -1;  // none yet
  for (const char c : text) {
    if (c >= '0' && c <= '9') {
      number = (number < 0 ? 0 : number * 10) + (c - '0');
    } else if (c == '+' && number >= 0) {
      sum += number;
      number = -1;
    } else if (c != '(' && c != ')' && c != ' ') {
      return later;
    }
  }
  return number < 0 ? later : sum + number;
}
static_assert(header_number("57", -1) == 57 && header_number("(0+3)", -1) == 3 &&
              header_number("(0 + 424)", -1) == 424 && header_number("__NR_read", 7) == 7);

#ifdef __x86_64__
#define KTAP_X86_64(number) number
#else
#define KTAP_X86_64(number) -1
#endif
#define KTAP_TEXT_INNER(x) #x
#define KTAP_TEXT(x) KTAP_TEXT_INNER(x)

constexpr Row kSyscalls[] = {
#define KTAP_SYSCALL(name, later) {#name, header_number(KTAP_TEXT(__NR_##name), later)},
#define KTAP_SYSCALL_ALIAS(function, name)
#include "event/syscalls.def"
#undef KTAP_SYSCALL
#undef KTAP_SYSCALL_ALIAS
};

struct Alias {
  std::string_view function;
  std::string_view name;
};
constexpr Alias kAliases[] = {
#define KTAP_SYSCALL(name, later)
#define KTAP_SYSCALL_ALIAS(function, name) {#function, #name},
#include "event/syscalls.def"
#undef KTAP_SYSCALL
#undef KTAP_SYSCALL_ALIAS
};

constexpr bool is_sorted_by_name() {
  for (size_t i = 1; i < std::size(kSyscalls); ++i) {
    if (!(kSyscalls[i - 1].name < kSyscalls[i].name)) return false;
  }
  return true;
}
static_assert(is_sorted_by_name());

int64_t number_in_table(std::string_view name) {
  const Row* row = std::lower_bound(std::begin(kSyscalls), std::end(kSyscalls), name,
                                    [](const Row& r, std::string_view n) { return r.name < n; });
  return row != std::end(kSyscalls) && row->name == name ? row->number : -1;
}

struct TypeRow {
  std::string_view spelling;
  uint32_t size_bytes;
  bool is_signed;
};
constexpr TypeRow kTypes[] = {
#define KTAP_ARGUMENT_TYPE(spelling, type) {spelling, sizeof(type), std::is_signed_v<type>},
#include "event/argument_types.def"
#undef KTAP_ARGUMENT_TYPE
};

/// Pointers that hide behind a typedef.
constexpr std::string_view kPointerTypes[] = {"cap_user_header_t", "cap_user_data_t",
                                              "__sighandler_t"};

/// "const clockid_t" → "clockid_t".
std::string_view without_const(std::string_view type) {
  constexpr std::string_view kConst = "const ";
  while (type.substr(0, kConst.size()) == kConst) type.remove_prefix(kConst.size());
  while (!type.empty() && type.back() == ' ') type.remove_suffix(1);
  return type;
}

}  // namespace

int64_t syscall_number(std::string_view name) {
  // On 32-bit machines one name often stands for two calls (16-bit ids, 32-bit time) and tracefs
  // means the other one. They are traced through their own tracepoints there.
  if (sizeof(void*) == 4) return -1;
  const int64_t number = number_in_table(name);
  if (number >= 0) return number;
  for (const Alias& alias : kAliases) {
    if (alias.function == name) return number_in_table(alias.name);
  }
  return -1;
}

ArgumentShape argument_shape(std::string_view c_type) {
  const ArgumentShape pointer{schema::FieldKind::Pointer, sizeof(void*), false};
  if (c_type.find('*') != std::string_view::npos) return pointer;
  const std::string_view type = without_const(c_type);
  if (std::find(std::begin(kPointerTypes), std::end(kPointerTypes), type) !=
      std::end(kPointerTypes)) {
    return pointer;
  }
  for (const TypeRow& row : kTypes) {
    if (row.spelling == type) return {schema::FieldKind::Int, row.size_bytes, row.is_signed};
  }
  if (type.substr(0, 5) == "enum ") return {schema::FieldKind::Int, sizeof(int), false};

  return {schema::FieldKind::Int, sizeof(long), false};
}

void shape_arguments(std::vector<schema::Field>& fields, uint32_t word_bytes) {
  if (fields.size() < 2) return;
  const uint32_t begin = fields[1].offset_bytes;
  const size_t held = fields.size() - 1;
  size_t next = 0;  // register, from 0
  for (size_t i = 1; i < fields.size(); ++i) {
    schema::Field& field = fields[i];
    const ArgumentShape shape = argument_shape(field.c_type);
    const bool is_pointer = shape.kind == schema::FieldKind::Pointer;
    field.kind = shape.kind;
    field.size_bytes = is_pointer ? word_bytes : shape.size_bytes;
    field.is_signed = shape.is_signed;
    const size_t words = field.size_bytes > word_bytes ? 2 : 1;
    if (words == 2) next += next % 2;
    field.offset_bytes = begin + static_cast<uint32_t>(next) * word_bytes;
    next += words;
    if (next <= held) continue;
    field.kind = schema::FieldKind::Opaque;
    field.c_type += ", in a register that the kernel does not record";
  }
}

std::string_view syscall_name(int64_t number) {
  for (const Row& row : kSyscalls) {
    if (row.number == number && number >= 0) return row.name;
  }
  return {};
}

}  // namespace ktap::event
