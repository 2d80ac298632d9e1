// A small recursive reader. A mistake names what it found and what there is instead; reading goes
// on with the next argument.
#include "event/fetch_arguments.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "diag/diagnostic.h"
#include "symbol/registers.h"

namespace ktap::event {

namespace {

using schema::Fetch;
using schema::FetchStep;
using schema::Field;
using schema::FieldKind;
using symbol::Machine;

constexpr std::string_view kBlanks = " \t\r\n";
constexpr std::string_view kForms =
    "%REGISTER, $stack, $stackN, $retval, $argN, $comm, @ADDRESS, @SYMBOL, +OFFSET(…), \\NUMBER";
constexpr std::string_view kTypes =
    "u8 u16 u32 u64, s8 … s64, x8 … x64, string, ustring, symbol, bWIDTH@OFFSET/SIZE";
constexpr size_t kMostSteps = 16;
constexpr int64_t kMostArguments = 64;
constexpr int64_t kMostStackWords = 4096;

/// A whole number as C writes it, with a sign.
std::optional<int64_t> number(std::string_view text) {
  const bool is_negative = !text.empty() && text[0] == '-';
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
  int base = 10;
  if (text.size() > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
    base = 16;
    text.remove_prefix(2);
  } else if (text.size() > 1 && text[0] == '0') {
    base = 8;
  }
  uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [behind, error] = std::from_chars(text.data(), end, value, base);
  if (error != std::errc() || behind != end || text.empty()) return std::nullopt;
  return static_cast<int64_t>(is_negative ? uint64_t{0} - value : value);
}

bool is_name(std::string_view text) {
  if (text.empty() || (text[0] >= '0' && text[0] <= '9')) return false;
  for (const char c : text) {
    const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    if (!is_letter && (c < '0' || c > '9')) return false;
  }
  return true;
}

/// One argument of the list.
class Reader {
 public:
  explicit Reader(const FetchContext& context) : context_(context) {}

  /// NAME=FETCH:TYPE. False: `problem` says why.
  bool read(std::string_view text, Field* field) {
    const size_t equals = text.find('=');
    if (equals != std::string_view::npos) {
      if (!is_name(text.substr(0, equals)))
        return fail(fmt::format("'{}' is no name for a value", text.substr(0, equals)));
      field->name = std::string(text.substr(0, equals));
      text.remove_prefix(equals + 1);
    }
    const size_t colon = text.rfind(':');
    const std::string_view what = text.substr(0, colon);
    if (!read_fetch(what, &field->fetch)) return false;
    const bool is_comm = field->fetch.base == Fetch::Base::Comm;
    if (is_comm && !field->fetch.steps.empty()) return fail("$comm is no address");
    if (field->fetch.steps.size() > kMostSteps) return fail("that is too deep");
    field->size_bytes = context_.word_bytes;
    field->kind = FieldKind::Pointer;  // prints in hex, as with perf
    if (colon != std::string_view::npos) return read_type(text.substr(colon + 1), what, field);
    field->c_type = context_.word_bytes == 4 ? "u32" : "u64";
    if (is_comm) set_text(field, "string");
    // Of a part of a register its width is the type's.
    if (part_bytes_ != 0 && field->fetch.steps.empty()) field->size_bytes = part_bytes_;
    return true;
  }

  std::string problem;
  std::vector<std::string> nearest;  // to `missed`, a part of the text
  std::string_view missed;

 private:
  bool fail(std::string text) {
    problem = std::move(text);
    return false;
  }

  static void set_text(Field* field, std::string_view type) {
    field->kind = FieldKind::Text;
    field->c_type = std::string(type);
  }

  FetchStep step(int64_t offset, bool is_user) const {
    return {offset, is_user || context_.is_user, context_.word_bytes};
  }

  bool read_fetch(std::string_view text, Fetch* fetch) {
    if (text.empty()) return fail(fmt::format("a value is missing; there are {}", kForms));
    switch (text[0]) {
      case '%':
        return read_register(text.substr(1), fetch);
      case '$':
        return read_variable(text.substr(1), fetch);
      case '@':
        return read_memory(text.substr(1), fetch);
      case '+':
      case '-':
        return read_followed(text, fetch);
      case '\\': {
        const std::optional<int64_t> value = number(text.substr(1));
        if (!value) return fail(fmt::format("'{}' is no number", text.substr(1)));
        fetch->base = Fetch::Base::Constant;
        fetch->at = *value;
        return true;
      }
      default:
        return fail(fmt::format("'{}' is no fetch argument; there are {}", text, kForms));
    }
  }

  bool read_register(std::string_view name, Fetch* fetch) {
    const auto found = symbol::find_register(context_.machine, name, true);
    if (!found) {
      const std::vector<std::string> names = symbol::register_names(context_.machine);
      nearest = diag::nearest(name, names);
      missed = name;
      std::string all;
      for (const std::string& one : names) all += (all.empty() ? "" : " ") + one;
      return fail(fmt::format("'%{}' is no register of {}; there are {}", name,
                              symbol::machine_name(context_.machine), all));
    }
    fetch->base = Fetch::Base::Register;
    fetch->at = found->offset_bytes;
    part_bytes_ = found->size_bytes < context_.word_bytes ? found->size_bytes : 0;
    if (found->shift_bits != 0) {
      fetch->shift_bits = found->shift_bits;
      fetch->width_bits = 8;
    }
    return true;
  }

  bool read_variable(std::string_view name, Fetch* fetch) {
    if (name == "comm" || name == "COMM") {
      fetch->base = Fetch::Base::Comm;
      return true;
    }
    if (name == "retval") {
      if (!context_.is_return)
        return fail("$retval is what a function gives: it is there in probe:…%return");
      fetch->base = Fetch::Base::Result;
      return true;
    }
    if (name.substr(0, 5) == "stack") return read_stack(name.substr(5), fetch);
    if (name.substr(0, 3) == "arg") {
      const std::optional<int64_t> at = number(name.substr(3));
      if (!at || *at < 1 || *at > kMostArguments)
        return fail(fmt::format("$argN counts from 1: $arg1 to $arg{}", kMostArguments));
      if (context_.is_return)
        return fail("the arguments are gone when a function returns: keep them at its entry");
      if (!context_.is_entry)
        return fail("$argN is there at a function's first instruction alone: name a register");
      *fetch = argument_fetch(context_, static_cast<uint32_t>(*at));
      return true;
    }
    return fail(fmt::format(
        "'${}' is no variable of a probe; there are $stack, $stackN, $retval, $argN, $comm", name));
  }

  bool read_stack(std::string_view rest, Fetch* fetch) {
    const bool is_address = rest.empty();
    const std::optional<int64_t> at = is_address ? 0 : number(rest);
    if (!at || *at < 0 || *at > kMostStackWords)
      return fail(
          fmt::format("$stackN is a word of the stack: $stack0 to $stack{}; one that lies "
                      "further is +OFFSET($stack)",
                      kMostStackWords));
    const auto pointer = symbol::find_register(context_.machine, "sp", true);
    fetch->base = Fetch::Base::Register;
    fetch->at = pointer->offset_bytes;
    if (!is_address) fetch->steps.push_back(step(*at * context_.word_bytes, false));
    return true;
  }

  /// `@ADDRESS`, `@SYMBOL`, `@SYMBOL+OFFSET`: what lies there.
  bool read_memory(std::string_view text, Fetch* fetch) {
    if (const std::optional<int64_t> address = number(text); address && text[0] != '+') {
      fetch->base = Fetch::Base::Constant;
      fetch->at = *address;
      fetch->steps.push_back(step(0, false));
      return true;
    }
    const size_t sign = text.find_first_of("+-", 1);
    int64_t offset = 0;
    if (sign != std::string_view::npos) {
      const std::optional<int64_t> given = number(text.substr(sign));
      if (!given) return fail(fmt::format("'{}' is no offset", text.substr(sign)));
      offset = *given;
    }
    const std::string_view name = text.substr(0, sign);
    if (name.empty() || !context_.find_symbol)
      return fail(fmt::format("'@{}' is no address", text));
    Result<Fetch> found = context_.find_symbol(name);
    if (!found.ok()) return fail(found.error().message);
    *fetch = std::move(found).value();
    fetch->steps.back().offset_bytes += offset;
    return true;
  }

  /// `+8(INNER)`, `-8(INNER)`, `+u8(INNER)`.
  bool read_followed(std::string_view text, Fetch* fetch) {
    const size_t open = text.find('(');
    if (open == std::string_view::npos || text.back() != ')')
      return fail(fmt::format(
          "'{}' is to be an offset and an address in parentheses, as +8($stack)", text));
    const bool is_user = text.size() > 1 && text[1] == 'u';
    std::string digits(text.substr(0, open));
    if (is_user) digits.erase(1, 1);
    const std::optional<int64_t> offset = number(digits);
    if (!offset || *offset > INT32_MAX || *offset < INT32_MIN)
      return fail(fmt::format("'{}' is no offset", text.substr(0, open)));
    if (!read_fetch(text.substr(open + 1, text.size() - open - 2), fetch)) return false;
    fetch->steps.push_back(step(*offset, is_user));
    return true;
  }

  bool read_type(std::string_view type, std::string_view what, Field* field) {
    const bool is_comm = field->fetch.base == Fetch::Base::Comm;
    if (type.find('[') != std::string_view::npos)
      return fail(fmt::format("an array ('{}') is no value: fetch its elements one by one", type));
    if (type == "string" || type == "ustring") {
      if (field->fetch.steps.empty() && !is_comm)
        return fail(fmt::format("a string lies in memory: +0({}):{} reads what {} points to", what,
                                type, what));
      if (!is_comm && type == "ustring") field->fetch.steps.back().is_user = true;
      set_text(field, type);
      return true;
    }
    if (is_comm) return fail("$comm is a string");
    field->c_type = std::string(type);
    if (type == "symbol") return true;
    if (type == "symstr") return fail("':symstr' is ksym(…) here: fetch the address");
    if (!type.empty() && type[0] == 'b') return read_bits(type, field);
    const std::optional<int64_t> bits = type.empty() ? std::nullopt : number(type.substr(1));
    const bool is_size = bits == 8 || bits == 16 || bits == 32 || bits == 64;
    const bool is_number = is_size && (type[0] == 'u' || type[0] == 's' || type[0] == 'x');
    if (!is_number)
      return fail(fmt::format("'{}' is no type of a fetch argument; there are {}", type, kTypes));
    field->size_bytes = static_cast<uint32_t>(*bits / 8);
    field->is_signed = type[0] == 's';
    field->kind = type[0] == 'x' ? FieldKind::Pointer : FieldKind::Int;
    if (field->fetch.base == Fetch::Base::Constant && field->fetch.steps.empty())
      narrow_constant(field);
    return true;
  }

  /// `b4@2/32`: 4 bits from bit 2 on, of 32.
  bool read_bits(std::string_view type, Field* field) {
    const size_t at = type.find('@'), slash = type.find('/');
    std::optional<int64_t> width, shift, size;
    if (at != std::string_view::npos && slash != std::string_view::npos && at < slash) {
      width = number(type.substr(1, at - 1));
      shift = number(type.substr(at + 1, slash - at - 1));
      size = number(type.substr(slash + 1));
    }
    const bool is_size = size == 8 || size == 16 || size == 32 || size == 64;
    if (!width || !shift || !is_size || *width < 1 || *shift < 0 || *width + *shift > *size)
      return fail(
          fmt::format("'{}' is no bit field: b4@2/32 is 4 bits from bit 2 on, of 32", type));
    Fetch& fetch = field->fetch;
    if (fetch.width_bits != 0) return fail("a bit field of a part of a register");
    field->kind = FieldKind::Int;
    field->size_bytes = static_cast<uint32_t>(*size / 8);
    fetch.shift_bits = static_cast<uint8_t>(*shift);
    fetch.width_bits = static_cast<uint8_t>(*width);
    if (fetch.base != Fetch::Base::Constant || !fetch.steps.empty()) return true;
    const uint64_t mask = *width == 64 ? ~uint64_t{0} : (uint64_t{1} << *width) - 1;
    fetch.at = static_cast<int64_t>(static_cast<uint64_t>(fetch.at) >> *shift & mask);
    return true;
  }

  const FetchContext& context_;
  uint8_t part_bytes_ = 0;  // of the register that was read last; 0: whole
};

}  // namespace

void narrow_constant(Field* field) {
  const uint32_t unused = 64 - 8 * field->size_bytes;
  const uint64_t top = static_cast<uint64_t>(field->fetch.at) << unused;
  field->fetch.at =
      field->is_signed ? static_cast<int64_t>(top) >> unused : static_cast<int64_t>(top >> unused);
}

Fetch argument_fetch(const FetchContext& context, uint32_t number) {
  Fetch fetch;
  const uint32_t in_registers = symbol::register_argument_count(context.machine);
  if (number <= in_registers) {
    fetch.base = Fetch::Base::Argument;
    fetch.at = number - 1;
    return fetch;
  }
  const bool is_x86 = context.machine == Machine::X86_64 || context.machine == Machine::X86;
  const auto pointer = symbol::find_register(context.machine, "sp", true);
  fetch.base = Fetch::Base::Register;
  fetch.at = pointer->offset_bytes;
  // On x86 the return address lies before them.
  const uint32_t word = number - in_registers - 1 + (is_x86 ? 1 : 0);
  fetch.steps.push_back({int64_t{word} * context.word_bytes, context.is_user, context.word_bytes});
  return fetch;
}

std::vector<Field> parse_fetch_arguments(std::string_view text, uint32_t offset,
                                         const FetchContext& context,
                                         std::vector<Mistake>* mistakes) {
  std::vector<Field> fields;
  for (size_t at = text.find_first_not_of(kBlanks); at != std::string_view::npos;) {
    const size_t end = std::min(text.find_first_of(kBlanks, at), text.size());
    const std::string_view part = text.substr(at, end - at);
    Field field;
    Reader reader(context);
    bool is_good = reader.read(part, &field);
    if (field.name.empty()) field.name = fmt::format("arg{}", fields.size() + 1);
    for (const Field& other : fields) {
      if (!is_good || other.name != field.name) continue;
      reader.problem = fmt::format("there are two fetch arguments '{}'", field.name);
      is_good = false;
    }
    if (!is_good) {
      Mistake wrong;
      wrong.text = std::move(reader.problem);
      for (const std::string& near : reader.nearest) {
        const auto place = static_cast<size_t>(reader.missed.data() - part.data());
        wrong.nearest.push_back(std::string(part).replace(place, reader.missed.size(), near));
      }
      wrong.offset = offset + static_cast<uint32_t>(at);
      wrong.length = static_cast<uint32_t>(part.size());
      mistakes->push_back(std::move(wrong));
    }
    fields.push_back(std::move(field));
    at = text.find_first_not_of(kBlanks, end);
  }
  return fields;
}

}  // namespace ktap::event
