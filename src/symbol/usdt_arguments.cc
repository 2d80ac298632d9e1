// Arguments are operands of an assembler, each behind its size: `-4@%edi`. What compilers put there
// is a register, a constant, or memory at a register; what else we meet is named, not guessed, by a
// phrase that stands where other arguments have their type.
#include <fmt/format.h>

#include <charconv>
#include <system_error>

#include "base/printable.h"
#include "symbol/usdt.h"

namespace ktap::symbol {

namespace {

using Kind = UsdtArgument::Kind;

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

/// A whole number, decimal or 0x…, with a sign.
std::optional<int64_t> number(std::string_view text) {
  text = trimmed(text);
  const bool is_negative = !text.empty() && text[0] == '-';
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
  const bool is_hex = text.size() > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
  if (is_hex) text.remove_prefix(2);
  uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [behind, error] = std::from_chars(text.data(), end, value, is_hex ? 16 : 10);
  if (error != std::errc() || behind != end) return std::nullopt;
  return static_cast<int64_t>(is_negative ? uint64_t{0} - value : value);
}

/// Parts between commas.
std::vector<std::string_view> comma_parts(std::string_view text) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t comma = text.find(',');
    parts.push_back(trimmed(text.substr(0, comma)));
    if (comma == std::string_view::npos) return parts;
    text.remove_prefix(comma + 1);
  }
}

class Parser {
 public:
  Parser(Machine machine, std::string_view text) : machine_(machine), text_(text) {}

  UsdtArgument run() {
    std::string_view operand = text_;
    argument_.size_bytes = machine_ == Machine::Arm || machine_ == Machine::X86 ? 4 : 8;
    const size_t at = text_.find('@');
    if (at != std::string_view::npos) {
      operand = text_.substr(at + 1);
      if (!read_size(text_.substr(0, at), operand)) return std::move(argument_);
    }
    const bool good = is_x86() ? read_x86(operand) : read_other(operand);
    if (!good && argument_.problem.empty()) fail("operand of no known form");
    return std::move(argument_);
  }

 private:
  bool is_x86() const { return machine_ == Machine::X86_64 || machine_ == Machine::X86; }

  bool fail(std::string_view why) {
    argument_.kind = Kind::Unknown;
    argument_.problem = printable(fmt::format("{} ({})", why, text_));
    return false;
  }

  /// `double in %xmm0`
  bool fail_float(std::string_view size, std::string_view operand) {
    const std::string_view type = size.ends_with("8")   ? "double"
                                  : size.ends_with("4") ? "float"
                                                        : "floating-point number";
    const bool is_memory = operand.find_first_of("([") != std::string_view::npos;
    argument_.kind = Kind::Unknown;
    argument_.problem = printable(fmt::format("{} {} {}", type, is_memory ? "at" : "in", operand));
    return false;
  }

  bool is_float_register(std::string_view name) const {
    if (is_x86())
      return name.starts_with("xmm") || name.starts_with("ymm") || name.starts_with("zmm") ||
             name.starts_with("st");
    if (machine_ == Machine::RiscV) return name.starts_with("f");
    return name.size() > 1 && std::string_view("bhsdqv").find(name[0]) != std::string_view::npos &&
           name[1] >= '0' && name[1] <= '9';
  }

  bool read_size(std::string_view text, std::string_view operand) {
    if (text.ends_with("f")) return fail_float(text.substr(0, text.size() - 1), operand);
    const std::optional<int64_t> size = number(text);
    const int64_t bytes = size.has_value() && *size < 0 && *size >= -8 ? -*size : size.value_or(0);
    if (bytes != 1 && bytes != 2 && bytes != 4 && bytes != 8)
      return fail("value of another size than 1, 2, 4 or 8");
    argument_.size_bytes = static_cast<uint8_t>(bytes);
    argument_.is_signed = *size < 0;
    return true;
  }

  bool read_register(std::string_view name, Register& into) {
    const std::optional<Register> found = find_register(machine_, trimmed(name));
    if (found.has_value()) {
      into = *found;
      return true;
    }
    const bool is_memory = argument_.kind == Kind::Memory;
    argument_.kind = Kind::Unknown;
    argument_.problem = printable(fmt::format("{}{}register {}{}", is_memory ? "memory at " : "",
                                              is_float_register(name) ? "floating-point " : "",
                                              is_x86() ? "%" : "", name));
    return false;
  }

  bool set_constant(int64_t value) {
    argument_.kind = Kind::Constant;
    // As wide as it says: `1@$-1` is 255, `-1@$255` is -1.
    const unsigned unused = 64 - 8U * argument_.size_bytes;
    const uint64_t top = static_cast<uint64_t>(value) << unused;
    argument_.value = argument_.is_signed ? static_cast<int64_t>(top) >> unused
                                          : static_cast<int64_t>(top >> unused);
    return true;
  }

  /// `%rdi`, `$5`, `8(%rbp)`, `(%rax,%rcx,4)`.
  bool read_x86(std::string_view operand) {
    if (operand.empty()) return false;
    if (operand[0] == '$') {
      const std::optional<int64_t> value = number(operand.substr(1));
      return value.has_value() ? set_constant(*value) : fail("constant that is a symbol");
    }
    if (operand[0] == '%' && operand.find(':') != std::string_view::npos) {
      return fail("memory of a segment");
    }
    if (operand[0] == '%') {
      argument_.kind = Kind::Register;
      return read_register(operand.substr(1), argument_.base);
    }
    const size_t open = operand.find('(');
    if (open == std::string_view::npos || operand.back() != ')') {
      return fail("memory at a fixed address");
    }
    const std::string_view inside = operand.substr(open + 1, operand.size() - open - 2);
    if (inside == "%rip" || inside == "%eip") return fail("memory at a symbol");
    const std::string_view displacement = trimmed(operand.substr(0, open));
    const std::optional<int64_t> value = number(displacement);
    if (!displacement.empty() && !value.has_value()) return fail("memory at a symbol");
    argument_.value = value.value_or(0);
    return read_x86_memory(comma_parts(inside));
  }

  bool read_x86_memory(const std::vector<std::string_view>& parts) {
    const auto is_register = [](std::string_view part) { return !part.empty() && part[0] == '%'; };
    if (parts.size() > 3 || !is_register(parts[0])) return fail("memory without a base register");
    argument_.kind = Kind::Memory;
    if (!read_register(parts[0].substr(1), argument_.base)) return false;
    if (parts.size() < 2) return true;
    if (!is_register(parts[1])) return false;
    argument_.index.emplace();
    if (!read_register(parts[1].substr(1), *argument_.index)) return false;
    return parts.size() < 3 || read_scale(number(parts[2]));
  }

  bool read_scale(std::optional<int64_t> scale) {
    const bool is_power = scale == 1 || scale == 2 || scale == 4 || scale == 8;
    if (!is_power) return fail("memory by a scale other than 1, 2, 4, 8");
    argument_.scale = static_cast<uint8_t>(*scale);
    return true;
  }

  /// arm64 and arm: `x0`, `5`, `#5`, `[sp]`, `[x1, 16]`, `[x1, x2, lsl 3]`; riscv: `a0`, `8(sp)`.
  bool read_other(std::string_view operand) {
    if (operand.empty()) return false;
    if (operand == "xzr" || operand == "wzr" || operand == "zero") return set_constant(0);
    std::string_view plain = operand;
    if (plain[0] == '#') plain.remove_prefix(1);
    const std::optional<int64_t> value = number(plain);
    if (value.has_value()) return set_constant(*value);
    if (operand[0] == '[' && operand.back() == ']') {
      return read_arm_memory(comma_parts(operand.substr(1, operand.size() - 2)));
    }
    const size_t open = operand.find('(');
    if (open != std::string_view::npos && operand.back() == ')') {
      const std::optional<int64_t> displacement = number(operand.substr(0, open));
      if (open > 0 && !displacement.has_value()) return fail("memory at a symbol");
      argument_.value = displacement.value_or(0);
      argument_.kind = Kind::Memory;
      return read_register(operand.substr(open + 1, operand.size() - open - 2), argument_.base);
    }
    argument_.kind = Kind::Register;
    return read_register(operand, argument_.base);
  }

  bool read_arm_memory(const std::vector<std::string_view>& parts) {
    argument_.kind = Kind::Memory;
    if (parts.size() > 3 || !read_register(parts[0], argument_.base)) return false;
    if (parts.size() < 2) return true;
    std::string_view second = parts[1];
    if (!second.empty() && second[0] == '#') second.remove_prefix(1);
    const std::optional<int64_t> displacement = number(second);
    if (displacement.has_value()) {
      argument_.value = *displacement;
      return parts.size() == 2;
    }
    argument_.index.emplace();
    if (!read_register(second, *argument_.index)) return false;
    if (argument_.index->size_bytes < argument_.base.size_bytes)
      return fail("memory by an extended index");
    if (parts.size() < 3) return true;
    std::string_view shift = parts[2];
    if (shift.substr(0, 4) != "lsl ") return fail("memory by an extended index");
    shift.remove_prefix(4);
    if (!shift.empty() && shift[0] == '#') shift.remove_prefix(1);
    const std::optional<int64_t> bits = number(shift);
    const bool fits = bits.has_value() && *bits >= 0 && *bits <= 3;
    return read_scale(fits ? int64_t{1} << *bits : 0);
  }

  Machine machine_;
  std::string_view text_;
  UsdtArgument argument_;
};

/// Where the argument at the start of `text` ends: at a blank that is not between brackets.
size_t argument_end(std::string_view text) {
  size_t depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '[' || text[i] == '(') ++depth;
    if ((text[i] == ']' || text[i] == ')') && depth > 0) --depth;
    if (text[i] == ' ' && depth == 0) return i;
  }
  return text.size();
}

}  // namespace

std::vector<UsdtArgument> parse_usdt_arguments(Machine machine, std::string_view text) {
  std::vector<UsdtArgument> arguments;
  for (text = trimmed(text); !text.empty(); text = trimmed(text)) {
    const size_t end = argument_end(text);
    arguments.push_back(Parser(machine, text.substr(0, end)).run());
    text.remove_prefix(end);
  }
  return arguments;
}

}  // namespace ktap::symbol
