// Probes of functions: `probe:PATH:SYM[+OFF][%return]` and `probe:PATH:0xADDR` in the files of
// programs (as shells and the dynamic linker find them). What names a file stands before a second
// colon, or begins with a slash.
#include <fmt/format.h>

#include <cstdlib>
#include <map>
#include <string>
#include <utility>

#include "base/glob.h"
#include "event/provider.h"
#include "symbol/resolve.h"

namespace ktap::event {

namespace {

using schema::Event;
using schema::EventKind;
using schema::EventPtr;
using schema::Fetch;
using symbol::ElfFile;
using symbol::FunctionSymbol;

constexpr std::string_view kPrefix = "probe:";
constexpr std::string_view kReturn = "%return";
constexpr int kRegisterArguments = 6;

/// `SYM+OFF%return`, or an address.
struct Place {
  std::string name;     ///< may be a glob
  uint64_t offset = 0;  ///< behind the symbol
  std::optional<uint64_t> address;
  bool is_return = false;
};

/// A number as C writes it; nothing: it is none.
std::optional<uint64_t> parse_number(const std::string& text) {
  if (text.empty() || text[0] < '0' || text[0] > '9') return std::nullopt;
  char* end = nullptr;
  errno = 0;
  const uint64_t value = std::strtoull(text.c_str(), &end, 0);
  if (*end != '\0' || errno != 0) return std::nullopt;
  return value;
}

/// Errors: in words, for the user.
Result<Place> parse_place(std::string_view text) {
  Place place;
  if (text.size() > kReturn.size() && text.substr(text.size() - kReturn.size()) == kReturn) {
    place.is_return = true;
    text.remove_suffix(kReturn.size());
  }
  const size_t plus = text.rfind('+');
  if (plus != std::string_view::npos && plus > 0) {
    const auto offset = parse_number(std::string(text.substr(plus + 1)));
    if (!offset) return Error{fmt::format("'{}' is no offset", text.substr(plus))};
    place.offset = *offset;
    text = text.substr(0, plus);
  }
  place.name = std::string(text);
  place.address = parse_number(place.name);
  if (place.name.empty()) return Error{"a function's name is missing"};
  if (place.is_return && (place.offset != 0))
    return Error{"only a whole function returns: leave out the offset, or %return"};
  return place;
}

/// The address, then the function's own arguments or its result.
std::vector<schema::Field> own_fields(const Place& place) {
  std::vector<schema::Field> fields;
  fields.push_back(
      register_field(place.is_return ? "__probe_func" : "__probe_ip", Fetch::Base::Address));
  if (place.is_return) {
    fields.push_back(register_field("retval", Fetch::Base::Result));
  } else if (place.offset == 0) {
    for (int i = 1; i <= kRegisterArguments; ++i)
      fields.push_back(register_field(fmt::format("arg{}", i), Fetch::Base::Argument, i - 1));
  }
  return fields;
}

class FunctionProbes final : public Provider {
 public:
  void include(const Pattern& pattern, Matches* out) override;
  void list(std::string_view glob, std::vector<std::string>* out) override;

 private:
  Result<const ElfFile*> file(const std::string& path);
  void include_user(const Pattern& pattern, const std::string& path, const Place& place,
                    Matches* out);
  EventPtr user_event(const ElfFile& file, const Place& place, const FunctionSymbol& symbol);

  std::map<std::string, ElfFile> files_;
  std::map<std::string, EventPtr> known_;  // by all that makes them different
};

/// Where the path ends: npos: there is none, it is a kernel function.
size_t path_end(std::string_view rest) {
  const size_t from = !rest.empty() && rest[0] == '/' ? rest.rfind('/') : 0;
  return rest.find(':', from);
}

void FunctionProbes::include(const Pattern& pattern, Matches* out) {
  const std::string_view rest = std::string_view(pattern.text).substr(kPrefix.size());
  const size_t colon = path_end(rest);
  if (colon == std::string_view::npos) {
    Mistake later = mistake(pattern, "tracing kernel functions (probe:SYM) is not there yet");
    later.not_there_yet = true;
    out->mistakes.push_back(std::move(later));
    return;
  }
  const size_t blank = rest.find_first_of(" \t\n", colon);
  if (blank != std::string_view::npos) {
    Mistake later = mistake(pattern, "fetch arguments of a probe are not there yet");
    later.not_there_yet = true;
    out->mistakes.push_back(std::move(later));
    return;
  }
  const Result<Place> place = parse_place(rest.substr(colon + 1));
  if (!place.ok()) {
    out->mistakes.push_back(
        mistake(pattern, fmt::format("probe '{}': {}", pattern.text, place.error().message)));
    return;
  }
  include_user(pattern, std::string(rest.substr(0, colon)), place.value(), out);
}

Result<const ElfFile*> FunctionProbes::file(const std::string& path) {
  const auto known = files_.find(path);
  if (known != files_.end()) return &known->second;
  KTAP_ASSIGN(ElfFile opened, symbol::open_named(path));
  return &files_.emplace(path, std::move(opened)).first->second;
}

void FunctionProbes::include_user(const Pattern& pattern, const std::string& path,
                                  const Place& place, Matches* out) {
  const auto refuse = [&](std::string text, std::vector<std::string> nearest) {
    Mistake wrong = mistake(pattern, std::move(text));
    wrong.nearest = std::move(nearest);
    out->mistakes.push_back(std::move(wrong));
  };
  const Result<const ElfFile*> opened = file(path);
  if (!opened.ok()) return refuse(opened.error().message, {});
  const ElfFile& elf = *opened.value();
  if (place.address) {
    FunctionSymbol symbol;
    symbol.address = *place.address;
    const std::optional<uint64_t> offset = elf.file_offset(*place.address + place.offset);
    if (!offset) return refuse(fmt::format("{} has no code at {}", path, place.name), {});
    symbol.file_offset = *offset;
    out->events.push_back(user_event(elf, place, symbol));
    return;
  }
  const std::vector<FunctionSymbol> symbols =
      has_glob(place.name) ? elf.glob(place.name) : elf.find(place.name);
  if (symbols.empty()) {
    return refuse(elf.why_missing(place.name), {});
  }
  for (const FunctionSymbol& symbol : symbols) {
    if (symbol.is_ifunc) continue;
    const std::optional<uint64_t> offset = elf.file_offset(symbol.address + place.offset);
    const bool is_inside = symbol.size_bytes == 0 || place.offset < symbol.size_bytes;
    if (!is_inside || !offset)
      return refuse(fmt::format("{} of {} has {} bytes", symbol.name, path, symbol.size_bytes), {});
    FunctionSymbol at = symbol;
    at.file_offset = *offset;
    out->events.push_back(user_event(elf, place, at));
  }
  if (out->events.empty())
    refuse(fmt::format("'{}' of {} is chosen when the program is linked (an IFUNC): probe one of "
                       "the functions that it chooses from",
                       place.name, path),
           {});
}

EventPtr FunctionProbes::user_event(const ElfFile& file, const Place& place,
                                    const FunctionSymbol& symbol) {
  std::string name = symbol.name.empty() ? place.name : std::string(symbol.name);
  if (place.offset != 0) name += fmt::format("+{:#x}", place.offset);
  if (place.is_return) name += kReturn;
  EventPtr& event = known_[fmt::format("{}:{}:{}", file.path(), name, symbol.file_offset)];
  if (event != nullptr) return event;
  auto made = std::make_shared<Event>();
  made->system = fmt::format("probe:{}", file.path());
  made->name = std::move(name);
  made->kind = place.is_return ? EventKind::ProbeReturn : EventKind::Probe;
  made->fields = own_fields(place);
  made->point.path = file.path();
  made->point.symbol = std::string(symbol.name);
  made->point.offset_bytes = symbol.file_offset;
  made->point.address = symbol.address + place.offset;
  event = std::move(made);
  return event;
}

void FunctionProbes::list(std::string_view glob, std::vector<std::string>* out) {
  if (glob.substr(0, kPrefix.size()) != kPrefix) return;
  const std::string_view rest = glob.substr(kPrefix.size());
  const size_t colon = path_end(rest);
  if (colon == std::string_view::npos) return;
  const Result<const ElfFile*> opened = file(std::string(rest.substr(0, colon)));
  if (!opened.ok()) return;
  for (const FunctionSymbol& symbol : opened.value()->glob(rest.substr(colon + 1)))
    out->push_back(fmt::format("probe:{}:{}", opened.value()->path(), symbol.name));
}

}  // namespace

std::unique_ptr<Provider> function_probes() { return std::make_unique<FunctionProbes>(); }

}  // namespace ktap::event
