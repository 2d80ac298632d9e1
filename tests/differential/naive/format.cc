// printf of the naive evaluator: each conversion is handed to C's own snprintf.
#include <cmath>
#include <cstdio>

#include "naive/value.h"

namespace ktap::naive {
namespace {

class Formatter {
 public:
  explicit Formatter(const Values& args) : args_(args) {
    if (args.empty() || !std::holds_alternative<std::string>(args[0]))
      throw Failure{"a format is a string"};
    format_ = std::get<std::string>(args[0]);
  }

  std::string run() {
    while (at_ < format_.size()) {
      char c = format_[at_++];
      if (c != '%') {
        out_ += c;
      } else if (at_ < format_.size() && format_[at_] == '%') {
        out_ += format_[at_++];
      } else {
        conversion();
      }
    }
    if (next_ != args_.size()) throw Failure{"too many arguments"};
    return out_;
  }

 private:
  Value next() {
    if (next_ >= args_.size()) throw Failure{"too few arguments"};
    return args_[next_++];
  }
  int64_t integer() {
    Value value = next();
    if (!std::holds_alternative<int64_t>(value)) throw Failure{"not an integer"};
    return std::get<int64_t>(value);
  }
  /// A number, or a star's argument.
  int amount() {
    if (at_ < format_.size() && format_[at_] == '*') {
      ++at_;
      int64_t number = integer();
      if (number > 4096 || number < -4096) throw Failure{"too wide"};
      return static_cast<int>(number);
    }
    int number = 0;
    while (at_ < format_.size() && format_[at_] >= '0' && format_[at_] <= '9')
      number = number * 10 + (format_[at_++] - '0');
    return number;
  }
  template <class T>
  void put(std::string flags, int width, int precision, const char* kind, T value) {
    std::vector<char> buffer(16384);
    std::snprintf(buffer.data(), buffer.size(), ("%" + flags + "*.*" + kind).c_str(), width,
                  precision, value);
    out_ += buffer.data();
  }
  void padded(const std::string& flags, int width, const std::string& text) {
    bool left = width < 0 || flags.find('-') != std::string::npos;
    size_t wide = static_cast<size_t>(width < 0 ? -width : width);
    std::string blanks(text.size() < wide ? wide - text.size() : 0, ' ');
    out_ += left ? text + blanks : blanks + text;
  }

  void conversion() {
    std::string flags;
    while (at_ < format_.size() && std::string("-+ #0").find(format_[at_]) != std::string::npos)
      flags += format_[at_++];
    int width = amount();
    int precision = -1;
    if (at_ < format_.size() && format_[at_] == '.') {
      ++at_;
      precision = amount();
    }
    char kind = at_ < format_.size() ? format_[at_++] : ' ';
    switch (kind) {
      case 'd':
      case 'i':
        return put(flags, width, precision, "lld", static_cast<long long>(integer()));
      case 'u':
        return put(flags, width, precision, "llu", static_cast<long long>(integer()));
      case 'x':
        return put(flags, width, precision, "llx", static_cast<long long>(integer()));
      case 'X':
        return put(flags, width, precision, "llX", static_cast<long long>(integer()));
      case 'o':
        return put(flags, width, precision, "llo", static_cast<long long>(integer()));
      case 'c':
        return padded(flags, width, std::string(1, static_cast<char>(integer())));
      case 's': {
        std::string full = text(next());
        return padded(flags, width,
                      precision < 0 ? full : full.substr(0, static_cast<size_t>(precision)));
      }
      case 'f':
      case 'g':
      case 'e': {
        Value value = next();
        if (!is_number(value)) throw Failure{"not a number"};
        double number = to_double(value);
        const char spelling[] = {kind, '\0'};
        return put(flags, width, precision, spelling,
                   std::isnan(number) ? std::fabs(number) : number);
      }
      default:
        throw Failure{"unknown conversion"};
    }
  }

  const Values& args_;
  std::string format_;
  std::string out_;
  size_t at_ = 0;
  size_t next_ = 1;
};

}  // namespace

std::string formatted(const Values& args) { return Formatter(args).run(); }

}  // namespace ktap::naive
