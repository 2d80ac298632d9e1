// Rendering printf conversions. Integers are always 64 bits; `%d %u %x %o %c %p` take an integer,
// `%f %g %e` any number, `%s` any value.
#include "runtime/format.h"

#include <cinttypes>
#include <cmath>
#include <cstdio>

#include <fmt/format.h>

#include "base/printable.h"
#include "runtime/code_address.h"
#include "runtime/kernel_pointer.h"
#include "runtime/number.h"
#include "runtime/string.h"
#include "runtime/text.h"

namespace ktap::runtime {
namespace {

/// Hands out the arguments one by one, counting from 1 for messages.
class Arguments {
 public:
  Arguments(const Value* args, size_t count) : args_(args), count_(count) {}

  bool take(const FormatPiece& piece, std::string_view what, Value* value, std::string* error) {
    if (next_ >= count_) {
      *error = fmt::format("no argument for {} '%{}'", what, piece.conversion);
      return false;
    }
    *value = args_[next_++];
    return true;
  }
  size_t taken() const { return next_; }
  size_t left() const { return count_ - next_; }

 private:
  const Value* args_;
  size_t count_;
  size_t next_ = 0;
};

/// Width or precision as a number; -1 when there is none.
bool amount(const FormatPiece& piece, const FormatPiece::Amount& spec, std::string_view what,
            Arguments& arguments, int64_t* result, std::string* error) {
  *result = -1;
  if (spec.kind == FormatPiece::Amount::Kind::None) return true;
  if (spec.kind == FormatPiece::Amount::Kind::Number) {
    *result = spec.value;
    return true;
  }
  Value value;
  if (!arguments.take(piece, what, &value, error)) return false;
  if (!value.is_integer() || value.integer > kMaxFormatWidth || value.integer < -kMaxFormatWidth) {
    *error = fmt::format("argument {}, {} '%{}', is to be an integer of at most {}",
                         arguments.taken(), what, piece.conversion, kMaxFormatWidth);
    return false;
  }
  *result = value.integer;
  return true;
}

/// "%-+ #0" + "*.*" + the conversion, for snprintf.
std::string c_format(const FormatPiece& piece, bool left, bool has_precision,
                     std::string_view conversion) {
  std::string text = "%";
  if (left) text += '-';
  if (piece.plus) text += '+';
  if (piece.space) text += ' ';
  if (piece.alternate) text += '#';
  if (piece.zero) text += '0';
  text += has_precision ? "*.*" : "*";
  text += conversion;
  return text;
}

/// Appends what snprintf makes of one number.
template <class T>
void append_number(std::string& out, const std::string& format, int width, int precision,
                   bool has_precision, T number) {
  char buffer[512];
  auto print = [&](char* into, size_t size) {
    return has_precision ? std::snprintf(into, size, format.c_str(), width, precision, number)
                         : std::snprintf(into, size, format.c_str(), width, number);
  };
  auto length = static_cast<size_t>(print(buffer, sizeof(buffer)));
  if (length < sizeof(buffer)) {
    out.append(buffer, length);
    return;
  }
  std::string large(length + 1, '\0');
  print(large.data(), large.size());
  out.append(large.data(), length);
}

void append_padded(std::string& out, std::string_view text, size_t width, bool left) {
  size_t blanks = text.size() < width ? width - text.size() : 0;
  if (!left) out.append(blanks, ' ');
  out += text;
  if (left) out.append(blanks, ' ');
}

/// One conversion with its width and precision known.
struct Conversion {
  const FormatPiece& piece;
  bool left;
  int width;
  int precision;  // -1: none
  const AddressText& address_text;
};

/// `%d %i %u %x %X %o` without a precision and without `#`: most of what scripts print, and
/// snprintf costs several times as much.
void append_plain_integer(const Conversion& conversion, int64_t integer, std::string& out) {
  const FormatPiece& piece = conversion.piece;
  bool is_signed = piece.conversion == 'd' || piece.conversion == 'i';
  bool negative = is_signed && integer < 0;
  auto number = static_cast<uint64_t>(integer);
  if (negative) number = 0 - number;
  char digits[24];
  char* end = digits + sizeof(digits);
  char* at = end;
  if (is_signed || piece.conversion == 'u') {
    do *--at = static_cast<char>('0' + number % 10);
    while ((number /= 10) != 0);
  } else {
    unsigned shift = piece.conversion == 'o' ? 3 : 4;
    const char* letters = piece.conversion == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
    do *--at = letters[number & ((1u << shift) - 1)];
    while ((number >>= shift) != 0);
  }
  auto length = static_cast<size_t>(end - at);
  char sign = negative ? '-' : is_signed && piece.plus ? '+' : is_signed && piece.space ? ' ' : 0;
  size_t taken = length + (sign != 0 ? 1 : 0);
  auto width = static_cast<size_t>(conversion.width);
  size_t pad = taken < width ? width - taken : 0;
  bool zeros = piece.zero && !conversion.left;
  if (!zeros && !conversion.left) out.append(pad, ' ');
  if (sign != 0) out += sign;
  if (zeros) out.append(pad, '0');
  out.append(at, length);
  if (conversion.left) out.append(pad, ' ');
}

bool wrong_type(const Conversion& conversion, std::string_view takes, Value value, size_t index,
                std::string* error) {
  *error = fmt::format("'%{}' takes {}, argument {} is {}", conversion.piece.conversion, takes,
                       index, type_phrase(value.type));
  return false;
}

bool convert_integer(const Conversion& conversion, Value value, size_t index, std::string& out,
                     std::string* error) {
  if (value.type == Type::Pointer) value = Value::of(value.pointer()->address());
  value = plain_number(value);
  if (!value.is_integer()) return wrong_type(conversion, "an integer", value, index, error);
  char c = conversion.piece.conversion;
  if (c == 'c') {
    char byte = static_cast<char>(value.integer);
    append_padded(out, {&byte, 1}, static_cast<size_t>(conversion.width), conversion.left);
    return true;
  }
  if (c == 'p') {
    const std::string text = conversion.address_text
                                 ? conversion.address_text(value.integer)
                                 : fmt::format("0x{:x}", static_cast<uint64_t>(value.integer));
    append_padded(out, text, static_cast<size_t>(conversion.width), conversion.left);
    return true;
  }
  if (conversion.precision < 0 && !conversion.piece.alternate) {
    append_plain_integer(conversion, value.integer, out);
    return true;
  }
  const char* spelling = c == 'u'   ? PRIu64
                         : c == 'x' ? PRIx64
                         : c == 'X' ? PRIX64
                         : c == 'o' ? PRIo64
                                    : PRId64;
  bool has_precision = conversion.precision >= 0;
  std::string format = c_format(conversion.piece, conversion.left, has_precision, spelling);
  append_number(out, format, conversion.width, conversion.precision, has_precision, value.integer);
  return true;
}

bool convert(const Conversion& conversion, Value value, size_t index, std::string& out,
             std::string* error) {
  switch (conversion.piece.conversion) {
    case 's': {
      std::string text;
      std::string_view view;
      if (value.type == Type::String) {
        view = value.string()->view();
      } else {
        text = to_text(value);
        view = text;
      }
      if (conversion.piece.alternate) {
        std::string doubled;
        for (const char byte : view) doubled.append(byte == '\\' ? 2 : 1, byte);
        text = printable(doubled);
        view = text;
      }
      if (conversion.precision >= 0)
        view = view.substr(0, static_cast<size_t>(conversion.precision));
      append_padded(out, view, static_cast<size_t>(conversion.width), conversion.left);
      return true;
    }
    case 'f':
    case 'g':
    case 'e': {
      if (!value.is_number()) return wrong_type(conversion, "a number", value, index, error);
      bool has_precision = conversion.precision >= 0;
      std::string format = c_format(conversion.piece, conversion.left, has_precision,
                                    {&conversion.piece.conversion, 1});
      double number = to_double(value);
      if (std::isnan(number)) number = std::fabs(number);  // its sign means nothing
      append_number(out, format, conversion.width, conversion.precision, has_precision, number);
      return true;
    }
    default:
      return convert_integer(conversion, value, index, out, error);
  }
}

}  // namespace

bool render_format(const std::vector<FormatPiece>& pieces, const Value* args, size_t count,
                   std::string& out, std::string* error, const AddressText& address_text) {
  Arguments arguments(args, count);
  for (const FormatPiece& piece : pieces) {
    if (piece.conversion == 0) {
      out += piece.literal;
      continue;
    }
    int64_t width;
    int64_t precision;
    Value value;
    if (!amount(piece, piece.width, "the width of", arguments, &width, error) ||
        !amount(piece, piece.precision, "the precision of", arguments, &precision, error) ||
        !arguments.take(piece, "conversion", &value, error)) {
      return false;
    }
    bool from_argument = piece.width.kind == FormatPiece::Amount::Kind::Argument;
    bool left = piece.left || (from_argument && width < 0);  // as in C: a negative width means left
    if (width < 0) width = from_argument ? -width : 0;
    Conversion conversion{piece, left, static_cast<int>(width),
                          static_cast<int>(precision < 0 ? -1 : precision), address_text};
    if (!convert(conversion, value, arguments.taken(), out, error)) return false;
  }
  if (arguments.left() > 0) {
    *error = fmt::format("the format takes {} argument{}, got {}", arguments.taken(),
                         arguments.taken() == 1 ? "" : "s", count);
    return false;
  }
  return true;
}

bool render_format(std::string_view format, const Value* args, size_t count, std::string& out,
                   std::string* error) {
  std::vector<FormatPiece> pieces = parse_format(format, error);
  if (!error->empty()) return false;
  return render_format(pieces, args, count, out, error);
}

}  // namespace ktap::runtime
