// Pieces of print and printf over the layout of a record (backend/unit.h).
#include "session/site_writer.h"

#include <cstring>
#include <string_view>
#include <utility>

#include "base/printf_format.h"
#include "runtime/string.h"
#include "runtime/text.h"

namespace ktap::session {

namespace {

using ssa::StrKind;
using ssa::Type;

int64_t word(const uint8_t* bytes) {
  int64_t value = 0;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

constexpr size_t kMostDigits = 20;

/// Decimal digits before `end`; where they begin. Two a division.
char* decimal(uint64_t number, char* end) {
  static constexpr char kPairs[] =
      "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445"
      "46"
      "47484950515253545556575859606162636465666768697071727374757677787980818283848586878889909192"
      "93"
      "949596979899";
  while (number >= 100) {
    end -= 2;
    std::memcpy(end, kPairs + number % 100 * 2, 2);
    number /= 100;
  }
  if (number < 10) {
    *--end = static_cast<char>('0' + number);
    return end;
  }
  end -= 2;
  std::memcpy(end, kPairs + number * 2, 2);
  return end;
}

char* hexadecimal(uint64_t number, char* end) {
  do *--end = "0123456789abcdef"[number & 15];
  while ((number >>= 4) != 0);
  return end;
}

bool is_plain(const FormatPiece& piece) {
  return !piece.plus && !piece.space && !piece.alternate && !piece.zero &&
         piece.precision.kind == FormatPiece::Amount::Kind::None &&
         piece.width.kind != FormatPiece::Amount::Kind::Argument && piece.width.value >= 0;
}

/// print and `%s` show them alike; a format may ask for a number.
bool is_scalar(const runtime::Value& value) {
  return value.is_nil() || value.is_integer() || value.type == runtime::Type::String ||
         value.type == runtime::Type::Boolean;
}

}  // namespace

void SiteWriter::add_text(std::string text) {
  if (text.empty()) return;
  if (!steps_.empty() && steps_.back().kind == Step::Kind::Text) {
    steps_.back().text += text;
    return;
  }
  Step step;
  step.text = std::move(text);
  steps_.push_back(std::move(step));
}

/// One argument; `conversion` is 's' for print too. False: not the quick way.
bool SiteWriter::add(const ssa::Site& site, const backend::SiteLayout& layout,
                     const lower::OutputArg& arg, char conversion, Step step) {
  if (arg.kind == lower::OutputArg::Kind::Constant) {
    const bool is_decimal = conversion == 'd' || conversion == 'i';
    if (!is_scalar(arg.value) || step.width != 0) return false;
    if (conversion != 's' && !(is_decimal && arg.value.is_integer())) return false;
    add_text(runtime::to_text(arg.value));
    return true;
  }
  if (arg.kind != lower::OutputArg::Kind::Record) return false;
  const ssa::SiteArg& from = site.args[arg.index];
  step.offset = layout.arg_offset_bytes[arg.index];
  step.max_bytes = from.max_bytes;
  step.nil_has_text = conversion == 's';
  bool is_integer = false;
  if (ssa::is_maybe(from.type)) {
    step.may_be_nil = true;
    step.offset += 8;
  }
  switch (from.type) {
    case Type::Int:
    case Type::MaybeInt:
      is_integer = true;
      step.kind = Step::Kind::Signed;
      break;
    case Type::Bool:
      step.kind = Step::Kind::Bool;
      break;
    case Type::Str:
    case Type::MaybeStr:
      step.kind = from.str_kind == StrKind::Id ? Step::Kind::StringId : Step::Kind::Bytes;
      break;
    default:
      return false;
  }
  switch (conversion) {
    case 's':
      break;
    case 'd':
    case 'i':
    case 'u':
    case 'x':
      if (!is_integer) return false;
      if (conversion == 'u') step.kind = Step::Kind::Unsigned;
      if (conversion == 'x') step.kind = Step::Kind::Hex;
      break;
    default:
      return false;
  }
  steps_.push_back(std::move(step));
  return true;
}

std::optional<SiteWriter> SiteWriter::make(const ssa::Site& site, const backend::SiteLayout& layout,
                                           const lower::OutputSite& output,
                                           const ssa::Module& module) {
  SiteWriter writer(module);
  if (output.builtin == bytecode::Builtin::Print) {
    for (size_t i = 0; i < output.args.size(); ++i) {
      if (i > 0) writer.add_text("\t");
      if (!writer.add(site, layout, output.args[i], 's', Step())) return std::nullopt;
    }
    writer.add_text("\n");
    return writer;
  }
  if (output.builtin != bytecode::Builtin::Printf || output.args.empty()) return std::nullopt;
  const lower::OutputArg& format = output.args.front();
  if (format.kind != lower::OutputArg::Kind::Constant ||
      format.value.type != runtime::Type::String) {
    return std::nullopt;
  }
  std::string error;
  const std::vector<FormatPiece> pieces = parse_format(format.value.string()->view(), &error);
  if (!error.empty()) return std::nullopt;
  size_t next = 1;
  for (const FormatPiece& piece : pieces) {
    if (piece.conversion == 0) {
      writer.add_text(piece.literal);
      continue;
    }
    if (!is_plain(piece) || next >= output.args.size()) return std::nullopt;
    Step step;
    step.width = static_cast<uint32_t>(piece.width.value);
    step.left = piece.left;
    if (!writer.add(site, layout, output.args[next++], piece.conversion, step)) return std::nullopt;
  }
  if (next != output.args.size()) return std::nullopt;
  return writer;
}

bool SiteWriter::append(const uint8_t* record, std::string& out) const {
  const size_t begin = out.size();
  for (const Step& step : steps_) {
    if (step.kind == Step::Kind::Text) {
      out += step.text;
      continue;
    }
    const uint8_t* at = record + step.offset;
    char digits[kMostDigits];
    std::string_view text;
    if (step.may_be_nil && word(at - 8) == 0) {
      if (!step.nil_has_text) {
        out.resize(begin);
        return false;
      }
      text = "nil";
    } else {
      char* const end = digits + kMostDigits;
      switch (step.kind) {
        case Step::Kind::Signed: {
          const int64_t value = word(at);
          const auto bits = static_cast<uint64_t>(value);
          char* first = decimal(value < 0 ? 0 - bits : bits, end);
          if (value < 0) *--first = '-';
          text = std::string_view(first, static_cast<size_t>(end - first));
          break;
        }
        case Step::Kind::Unsigned:
        case Step::Kind::Hex: {
          const auto value = static_cast<uint64_t>(word(at));
          char* const first =
              step.kind == Step::Kind::Hex ? hexadecimal(value, end) : decimal(value, end);
          text = std::string_view(first, static_cast<size_t>(end - first));
          break;
        }
        case Step::Kind::Bool:
          text = word(at) != 0 ? "true" : "false";
          break;
        case Step::Kind::StringId: {
          const auto id = static_cast<size_t>(word(at));
          KTAP_CHECK(id < module_->strings.size());
          text = module_->strings[id];
          break;
        }
        case Step::Kind::Bytes: {
          const char* bytes = reinterpret_cast<const char*>(at);
          text = std::string_view(bytes, strnlen(bytes, step.max_bytes));
          break;
        }
        case Step::Kind::Text:
          break;
      }
    }
    const size_t blanks = text.size() < step.width ? step.width - text.size() : 0;
    if (blanks != 0 && !step.left) out.append(blanks, ' ');
    out += text;
    if (blanks != 0 && step.left) out.append(blanks, ' ');
  }
  return true;
}

}  // namespace ktap::session
