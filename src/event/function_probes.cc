// Probes of functions: `probe:SYM[+OFF][%return]` in the kernel, `probe:PATH:SYM[+OFF][%return]`
// and `probe:PATH:0xADDR` in the files of programs (as shells and the dynamic linker find them).
// What names a file stands before a second colon, or begins with a slash.
#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "base/printable.h"
#include "event/fetch_arguments.h"
#include "event/function_names.h"
#include "event/kernel_functions.h"
#include "event/left_out.h"
#include "event/program_files.h"
#include "event/provider.h"
#include "event/typed_fields.h"
#include "symbol/call_frames.h"
#include "symbol/demangle.h"
#include "symbol/exceptions.h"
#include "symbol/name_pattern.h"
#include "symbol/probe_places.h"
#include "symbol/registers.h"
#include "symbol/user_types.h"

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
constexpr uint32_t kStackArguments = 6;  // where none are in registers

/// Where a probe is to stand in a file.
struct Place : FunctionName {
  bool is_glob = false;
  std::string_view fetches;  ///< fetch arguments
  /// By the file's name for it: what a function is called where the script speaks of C++ names.
  std::map<std::string_view, std::string> shown;
  uint32_t fetches_offset = 0;  ///< in the event text
};

/// The address, then what is fetched, else the function's own arguments; of a return its result.
/// `function`: null: no debug information has it.
void set_fields(const Place& place, std::vector<schema::Field> fetched,
                const symbol::UserTypes& types, const symbol::UserFunction* function,
                const FetchContext& context, Event* event) {
  std::vector<schema::Field>& fields = event->fields;
  fields.push_back(
      register_field(place.is_return ? "__probe_func" : "__probe_ip", Fetch::Base::Address));
  const bool is_fetched = !fetched.empty();
  for (schema::Field& field : fetched) fields.push_back(std::move(field));
  if (place.is_return) {
    fields.push_back(register_field("retval", Fetch::Base::Result));
    event->unnumbered_fields = is_fetched ? 1 : 0;
    if (function != nullptr) type_user_result(types, *function, context, event);
  } else if (place.offset == 0 && !is_fetched) {
    if (function != nullptr && function->are_parameters_told)
      return add_user_arguments(types, *function, context, event);
    const uint32_t in_registers = symbol::register_argument_count(context.machine);
    for (uint32_t i = 1; i <= (in_registers != 0 ? in_registers : kStackArguments); ++i) {
      fields.push_back(register_field(fmt::format("arg{}", i), Fetch::Base::Argument));
      fields.back().fetch = argument_fetch(context, i);
      fields.back().size_bytes = context.word_bytes;
    }
  }
}

class FunctionProbes final : public Provider {
 public:
  void set_target(pid_t pid) override { files_.set_target(pid); }
  void set_kernel_types(std::shared_ptr<sys::KernelTypes> types) override {
    kernel_.set_types(std::move(types));
  }
  void set_fields_are_read(bool are_read) override { fields_are_read_ = are_read; }
  void include(const Pattern& pattern, Matches* out) override;
  void list(std::string_view glob, std::vector<std::string>* out) override;
  bool is_also_called(const Event& event, std::string_view glob, bool by_letter) override;
  bool is_same_place(const Event& a, const Event& b) const override {
    return a.kind == b.kind && !a.point.file.empty() && a.point.file == b.point.file &&
           a.point.offset_bytes == b.point.offset_bytes;
  }
  const schema::KernelTypes* user_types() const override { return &types_; }

 private:
  void include_user(const Pattern& pattern, const std::string& path, Place place, Matches* out);
  void include_address(const Pattern& pattern, const ElfFile& elf, const Place& place,
                       Matches* out);
  void add_once(const EventPtr& made, const Place& place, Matches* out);
  std::string add(const ElfFile& file, const Place& place, const FunctionSymbol& symbol,
                  Matches* out);
  std::string add_choices(const Pattern& pattern, const ElfFile& file, const Place& place,
                          const FunctionSymbol& ifunc, Matches* out);
  EventPtr user_event(const ElfFile& file, const Place& place, const FunctionSymbol& symbol,
                      Matches* out);

  bool may_throw(const ElfFile& file, std::string_view function);
  void warn_of_exceptions(const Pattern& pattern, const ElfFile& file, std::string_view function,
                          Matches* out);

  using IfuncNames = std::multimap<uint64_t, std::string_view>;  // by the address of a choice
  const IfuncNames& ifuncs_by_choice(const ElfFile& file);

  void include_kernel(const Pattern& pattern, std::string_view rest, Matches* out);

  KernelFunctions kernel_;
  ProgramFiles files_;
  symbol::UserTypes types_;                                // of files_
  std::map<std::string, EventPtr> known_;                  // by all that makes them different
  std::map<std::string, std::vector<EventPtr>> at_place_;  // those that differ in name alone
  std::map<const ElfFile*, std::unique_ptr<symbol::CallFrames>> frames_;  // of files_
  bool has_warned_ = false;                                               // of exceptions
  bool fields_are_read_ = true;  // else no debug information is opened
  std::map<const ElfFile*, bool> is_cxx_;
  std::map<const ElfFile*, IfuncNames> ifuncs_;
  std::map<const Event*, const ElfFile*> file_of_;  // of known_
};

void FunctionProbes::include(const Pattern& pattern, Matches* out) {
  const std::string_view rest = std::string_view(pattern.text).substr(kPrefix.size());
  const size_t colon = files_.find_path_end(rest);
  if (colon == std::string_view::npos) {
    return include_kernel(pattern, rest, out);
  }
  const size_t blank = function_name_end(rest, colon);
  Result<FunctionName> name = parse_function_name(rest.substr(colon + 1, blank - colon - 1));
  if (!name.ok()) {
    out->mistakes.push_back(
        mistake(pattern, fmt::format("probe '{}': {}", pattern.text, name.error().message)));
    return;
  }
  Place place;
  static_cast<FunctionName&>(place) = std::move(name).value();
  place.fetches = rest.substr(blank);
  place.fetches_offset = pattern.offset + static_cast<uint32_t>(kPrefix.size() + blank);
  include_user(pattern, std::string(rest.substr(0, colon)), std::move(place), out);
}

void FunctionProbes::include_kernel(const Pattern& pattern, std::string_view rest, Matches* out) {
  const size_t blank = function_name_end(rest, 0);
  const Result<FunctionName> place = parse_function_name(rest.substr(0, blank));
  if (!place.ok() || place.value().address) {
    const std::string why =
        place.ok() ? "a kernel function is named by its symbol" : place.error().message;
    out->mistakes.push_back(mistake(pattern, fmt::format("probe '{}': {}", pattern.text, why)));
    return;
  }
  const std::string& name = place.value().name;
  const std::string missing =
      fmt::format("a function's name is missing: probe:{}:FUNCTION is one of that file", name);
  if (name.find('/') != std::string::npos || name.find(".so") != std::string::npos) {
    const Result<const ElfFile*> opened = files_.open(name);
    out->mistakes.push_back(mistake(pattern, opened.ok()
                                                 ? fmt::format("'{}': {}", pattern.text, missing)
                                                 : opened.error().message));
    return;
  }
  KernelPlace at;
  at.name = name;
  at.offset = place.value().offset;
  at.is_return = place.value().is_return;
  at.fetches = std::string(rest.substr(blank));
  FetchContext context;
  context.machine = symbol::kNativeMachine;
  context.word_bytes = sizeof(void*);
  context.is_entry = !at.is_return && at.offset == 0;
  context.is_return = at.is_return;
  context.find_symbol = [this](std::string_view variable) { return kernel_.variable(variable); };
  const size_t before = out->mistakes.size();
  at.fetched = parse_fetch_arguments(at.fetches,
                                     pattern.offset + static_cast<uint32_t>(kPrefix.size() + blank),
                                     context, &out->mistakes);
  if (out->mistakes.size() != before) return;
  kernel_.include(pattern, at, out);
  if (out->mistakes.size() == before || has_glob(name) || !files_.open(name).ok()) return;
  Mistake& wrong = out->mistakes.back();
  wrong.text += fmt::format("; if the program {} is meant, {}", name, missing);
  wrong.is_unavailable = false;
}

/// A function that the text means by its own name is called by that, else by the best known of the
/// names that choose it (memcpy and memmove choose the same).
void put_ifuncs_last(std::vector<FunctionSymbol>& symbols) {
  std::stable_sort(symbols.begin(), symbols.end(),
                   [](const FunctionSymbol& a, const FunctionSymbol& b) {
                     if (!a.is_ifunc || !b.is_ifunc) return b.is_ifunc && !a.is_ifunc;
                     return symbol::is_better_name(a, b);
                   });
}

void FunctionProbes::include_user(const Pattern& pattern, const std::string& path, Place place,
                                  Matches* out) {
  const auto refuse = [&](std::string text, std::vector<std::string> nearest) {
    Mistake wrong = mistake(pattern, std::move(text));
    wrong.nearest = std::move(nearest);
    out->mistakes.push_back(std::move(wrong));
  };
  const Result<const ElfFile*> opened = files_.open(path);
  if (!opened.ok()) return refuse(opened.error().message, {});
  const ElfFile& elf = *opened.value();
  if (std::string text = files_.replaced(elf); !text.empty())
    out->warnings.push_back(mistake(pattern, std::move(text)));
  if (place.address) {
    return include_address(pattern, elf, place, out);
  }
  FunctionsMeant meant = functions_meant(elf, place.name);
  meant.symbols = symbol::one_name_each(std::move(meant.symbols));
  put_ifuncs_last(meant.symbols);
  if (meant.symbols.empty()) {
    std::vector<std::string> near;
    std::string why = elf.why_missing(place.name, &near);
    std::erase_if(near, [](const std::string& name) { return printable(name) != name; });
    for (std::string& name : near)
      name = fmt::format("{}{}:{}{}{}", kPrefix, path, name,
                         written_behind(place.offset, place.is_return), place.fetches);
    return refuse(std::move(why), std::move(near));
  }
  place.is_glob = meant.is_glob;
  if (!symbol::is_mangled(place.name)) place.shown = shown_names(meant, place.name);
  LeftOut left_out;
  size_t probed = 0;
  for (const FunctionSymbol& symbol : meant.symbols) {
    const bool is_inside = symbol.size_bytes == 0 || place.offset < symbol.size_bytes;
    if (!is_inside || !elf.file_offset(symbol.address + place.offset))
      return refuse(fmt::format("{} of {} has {} bytes", symbol.name, path, symbol.size_bytes), {});
    std::string why = symbol.is_ifunc ? add_choices(pattern, elf, place, symbol, out)
                                      : add(elf, place, symbol, out);
    if (!out->mistakes.empty()) return;
    if (why.empty()) {
      ++probed;
      if (place.is_return) warn_of_exceptions(pattern, elf, symbol.name, out);
    } else {
      const auto shown = place.shown.find(symbol.name);
      left_out.add(shown != place.shown.end() ? shown->second : symbol.name, std::move(why));
    }
  }
  if (left_out.count() == 0) return;
  if (probed == 0) {
    const std::string offset = written_behind(place.offset, false);
    return refuse(
        fmt::format("{}{} of {} cannot be probed: {}", place.name, offset, path, left_out.why()),
        {});
  }
  const std::string text =
      fmt::format("{}: left out, they cannot be probed:{}", pattern.text, left_out.names());
  if (place.offset == 0 || place.is_glob) {
    out->notes.push_back(text);
  } else {
    out->warnings.push_back(mistake(pattern, fmt::format("{} ({})", text, left_out.why())));
  }
}

/// A function that C++ or Rust mangled, or any of a file with such code: `main`, and those that C
/// calls. Not whether it has handlers: a function that only calls hands exceptions on.
bool FunctionProbes::may_throw(const ElfFile& file, std::string_view function) {
  if (!symbol::has_unwind_tables(file.image())) return false;
  if (symbol::is_mangled(function)) return true;
  const auto [known, is_new] = is_cxx_.emplace(&file, false);
  if (is_new) known->second = symbol::is_of_throwing_language(file.image());
  return known->second;
}

/// The return address on the stack is the kernel's while a function runs whose return is probed: no
/// exception finds its way past that.
void FunctionProbes::warn_of_exceptions(const Pattern& pattern, const ElfFile& file,
                                        std::string_view function, Matches* out) {
  if (has_warned_ || !may_throw(file, function)) return;
  has_warned_ = true;
  out->dangers.push_back(mistake(
      pattern,
      fmt::format(
          "an exception that leaves a function of {} whose return is probed ends the program",
          file.path())));
}

/// `0xADDR[+OFF]`. The function that holds it says where instructions begin.
void FunctionProbes::include_address(const Pattern& pattern, const ElfFile& elf, const Place& place,
                                     Matches* out) {
  FunctionSymbol symbol;
  symbol.address = *place.address;
  const uint64_t address = symbol.address + place.offset;
  const std::optional<uint64_t> offset = elf.file_offset(address);
  if (!offset) {
    out->mistakes.push_back(
        mistake(pattern, fmt::format("{} has no code at {}", elf.path(), place.name)));
    return;
  }
  symbol.file_offset = *offset;
  std::unique_ptr<symbol::CallFrames>& frames = frames_[&elf];
  if (frames == nullptr) frames = std::make_unique<symbol::CallFrames>(elf);
  const std::optional<symbol::FunctionPlace> within = symbol::code_around(elf, *frames, address);
  FunctionSymbol there = symbol;
  there.address = address;
  const std::string why = within ? symbol::why_no_probe_at(elf, within->function, within->offset)
                                 : symbol::why_no_probe_at(elf, there, 0);
  if (!why.empty()) {
    out->mistakes.push_back(mistake(
        pattern, fmt::format("{} of {} cannot be probed: {}", place.name, elf.path(), why)));
    return;
  }
  if (!within && !symbol::has_one_instruction_length(elf.image().machine()))
    out->unproved.push_back(mistake(
        pattern, fmt::format("nothing in {} tells whether an instruction begins at {:#x}; within "
                             "one, a probe breaks the program",
                             elf.path(), address)));
  add_once(user_event(elf, place, symbol, out), place, out);
  if (place.is_return)
    warn_of_exceptions(pattern, elf, within ? within->function.name : std::string_view(), out);
}

/// Adds the probe, unless the list has one there by another name.
void FunctionProbes::add_once(const EventPtr& made, const Place& place, Matches* out) {
  std::vector<EventPtr>& here = at_place_[fmt::format(
      "{}:{}:{}:{}", made->point.file, made->point.offset_bytes, place.is_return, place.fetches)];
  if (std::find(here.begin(), here.end(), made) == here.end()) here.push_back(made);
  const bool is_there = std::any_of(here.begin(), here.end(), [&](const EventPtr& other) {
    return here.size() > 1 &&
           std::find(out->events.begin(), out->events.end(), other) != out->events.end();
  });
  if (!is_there) out->events.push_back(made);
}

/// A probe at the place. Why there is none; "".
std::string FunctionProbes::add(const ElfFile& file, const Place& place,
                                const FunctionSymbol& symbol, Matches* out) {
  const uint64_t offset = place.offset != 0 ? place.offset : symbol::entry_offset(file, symbol);
  std::string why = symbol::why_no_probe_at(file, symbol, offset);
  if (!why.empty()) return why;
  FunctionSymbol at = symbol;
  at.file_offset = *file.file_offset(symbol.address + offset);
  add_once(user_event(file, place, at, out), place, out);
  return "";
}

/// All that an IFUNC may choose: which of them is called the machine says when a program is linked.
/// Why there is no probe; "".
std::string FunctionProbes::add_choices(const Pattern& pattern, const ElfFile& file,
                                        const Place& place, const FunctionSymbol& ifunc,
                                        Matches* out) {
  constexpr std::string_view kChosen = "is chosen when a program is linked (an IFUNC)";
  std::vector<FunctionSymbol> choices = symbol::choices_of(file, ifunc);
  if (choices.empty() || place.offset != 0)
    return fmt::format("it {}; probe one of the functions that it may be", kChosen);
  LeftOut hidden;
  std::string traced;
  for (FunctionSymbol& choice : choices) {
    const std::string name =
        choice.name == ifunc.name ? fmt::format("{:#x}", choice.address) : std::string(choice.name);
    choice.name = ifunc.name;
    std::string why = add(file, place, choice, out);
    if (!out->mistakes.empty()) return "";
    if (why.empty()) {
      traced += " " + name;
    } else {
      hidden.add(name, std::move(why));
    }
  }
  if (traced.empty()) return fmt::format("it {}, and of what it may be {}", kChosen, hidden.why());
  out->notes.push_back(fmt::format("{}: {} {}; probed is what it may be:{}", pattern.text,
                                   ifunc.name, kChosen, traced));
  if (hidden.count() != 0)
    out->warnings.push_back(
        mistake(pattern, fmt::format("{} {}, and calls are not seen where that is one of{}: "
                                     "they cannot be probed",
                                     ifunc.name, kChosen, hidden.names())));
  return "";
}

/// What lies at a variable of the file: the probe's own address says where the file was loaded.
Result<Fetch> user_variable(const ElfFile& file, uint64_t probe_address, uint8_t word_bytes,
                            std::string_view name) {
  const auto at = [&](uint64_t address) {
    Fetch fetch;
    fetch.base = Fetch::Base::Address;
    fetch.steps.push_back({static_cast<int64_t>(address - probe_address), true, word_bytes});
    return fetch;
  };
  if (!name.empty() && name[0] == '+') {  // a place of the file, as the kernel has it
    const auto offset = parse_number(std::string(name.substr(1)));
    const auto address = offset ? file.image().address_of(*offset) : std::nullopt;
    if (!address) return Error{fmt::format("{} loads nothing at '{}'", file.path(), name)};
    return at(*address);
  }
  for (const uint32_t table : {uint32_t{SHT_SYMTAB}, uint32_t{SHT_DYNSYM}}) {
    const symbol::ElfSymbolTable symbols = file.image().symbols(table);
    for (size_t i = 0; i < symbols.size(); ++i) {
      const symbol::ElfSymbol symbol = symbols[i];
      if (symbol.section == SHN_UNDEF || symbol.section == SHN_ABS || symbol.type == STT_TLS ||
          !symbols.is_named(symbol, name))
        continue;
      return at(symbol.value);
    }
  }
  return Error{fmt::format("{} has no symbol '{}'", file.path(), name)};
}

EventPtr FunctionProbes::user_event(const ElfFile& file, const Place& place,
                                    const FunctionSymbol& symbol, Matches* out) {
  std::string name = symbol.name.empty() ? place.name : std::string(symbol.name);
  if (const auto shown = place.shown.find(symbol.name); shown != place.shown.end())
    name = shown->second;
  if (place.offset != 0) name += fmt::format("+{:#x}", place.offset);
  if (place.is_return) name += kReturn;
  EventPtr& event =
      known_[fmt::format("{}:{}:{}{}", file.path(), name, symbol.file_offset, place.fetches)];
  if (event != nullptr) return event;
  auto made = std::make_shared<Event>();
  made->system = fmt::format("probe:{}", file.path());
  made->name = std::move(name);
  made->kind = place.is_return ? EventKind::ProbeReturn : EventKind::Probe;
  made->point.path = file.full_path();
  made->point.file = file_number(file);
  made->point.symbol = std::string(symbol.name);
  made->point.offset_bytes = symbol.file_offset;
  made->point.address = symbol.address + place.offset;
  FetchContext context;
  context.machine = file.image().machine();
  context.word_bytes = file.image().is_wide() ? 8 : 4;
  context.is_user = true;
  context.is_entry = !place.is_return && place.offset == 0;
  context.is_return = place.is_return;
  const std::optional<uint64_t> stands_at = file.image().address_of(symbol.file_offset);
  const uint64_t address = stands_at ? *stands_at : made->point.address;
  context.find_symbol = [&](std::string_view wanted) {
    return user_variable(file, address, context.word_bytes, wanted);
  };
  const std::optional<symbol::UserFunction> function =
      fields_are_read_ && place.offset == 0 && !place.address
          ? types_.function(file, symbol.address)
          : std::nullopt;
  set_fields(place,
             parse_fetch_arguments(place.fetches, place.fetches_offset, context, &out->mistakes),
             types_, function ? &*function : nullptr, context, made.get());
  event = std::move(made);
  file_of_[event.get()] = &file;
  return event;
}

/// An IFUNC's name is one of what it may choose, not of the function that chooses.
const FunctionProbes::IfuncNames& FunctionProbes::ifuncs_by_choice(const ElfFile& file) {
  const auto [known, is_new] = ifuncs_.try_emplace(&file);
  if (!is_new) return known->second;
  for (const FunctionSymbol& function : file.functions()) {
    if (!function.is_ifunc) continue;
    for (const FunctionSymbol& choice : symbol::choices_of(file, function))
      known->second.emplace(choice.address, function.name);
  }
  return known->second;
}

bool FunctionProbes::is_also_called(const Event& event, std::string_view glob, bool by_letter) {
  const auto file = file_of_.find(&event);
  if (file == file_of_.end()) return kernel_.is_also_called(event, glob, by_letter);
  if (event.kind == EventKind::ProbeReturn && glob.size() > kReturn.size() &&
      glob.substr(glob.size() - kReturn.size()) == kReturn)
    glob.remove_suffix(kReturn.size());
  const symbol::NamePattern pattern(glob, !by_letter);
  const std::vector<FunctionSymbol>& all = file->second->functions();
  auto other = std::lower_bound(
      all.begin(), all.end(), event.point.address,
      [](const FunctionSymbol& function, uint64_t address) { return function.address < address; });
  for (; other != all.end() && other->address == event.point.address; ++other) {
    if (!other->is_ifunc && pattern.matches(other->name)) return true;
  }
  const auto [begin, end] = ifuncs_by_choice(*file->second).equal_range(event.point.address);
  return pattern.matches(event.point.symbol) ||
         std::any_of(begin, end, [&](const auto& ifunc) { return pattern.matches(ifunc.second); });
}

void FunctionProbes::list(std::string_view glob, std::vector<std::string>* out) {
  if (glob.substr(0, kPrefix.size()) != kPrefix) return;
  const std::string_view rest = glob.substr(kPrefix.size());
  const size_t colon = files_.find_path_end(rest);
  if (colon == std::string_view::npos) return kernel_.list(rest, out);
  const Result<const ElfFile*> opened = files_.open(std::string(rest.substr(0, colon)));
  if (!opened.ok()) return;
  const ElfFile& file = *opened.value();
  const std::string_view written = rest.substr(colon + 1);
  std::vector<FunctionSymbol> found = functions_meant(file, written).symbols;
  std::erase_if(found, [&file](const FunctionSymbol& function) {
    return !function.is_ifunc &&
           !symbol::why_no_probe_at(file, function, symbol::entry_offset(file, function)).empty();
  });
  if (symbol::is_mangled(written)) {
    for (const FunctionSymbol& symbol : found)
      out->push_back(fmt::format("probe:{}:{}", file.path(), symbol.name));
    return;
  }
  for (const std::string& name : written_names(file, found))
    out->push_back(fmt::format("probe:{}:{}", file.path(), name));
}

}  // namespace

std::unique_ptr<Provider> function_probes() { return std::make_unique<FunctionProbes>(); }

}  // namespace ktap::event
