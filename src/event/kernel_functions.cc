// The kernel's symbols say where a function is, the function tracer's list which ones a glob
// reaches. What must not be probed is in a list of its own.
#include "event/kernel_functions.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <future>
#include <utility>

#include "base/glob.h"
#include "event/function_names.h"
#include "event/left_out.h"
#include "event/typed_fields.h"
#include "symbol/name_pattern.h"
#include "symbol/registers.h"
#include "sys/attach.h"
#include "sys/text_file.h"
#include "sys/tracefs.h"

namespace ktap::event {

namespace {

using schema::Event;
using schema::EventKind;
using schema::EventPtr;
using schema::Fetch;
using schema::FieldKind;
using symbol::KernelSymbol;

constexpr size_t kMostListBytes = size_t{64} << 20;
constexpr size_t kMostTrampolineArguments = 6;  // of x86 before 6.7
const int kRegisterArguments =
    static_cast<int>(symbol::register_argument_count(symbol::kNativeMachine));
constexpr const char* kKprobeUnit = "/sys/bus/event_source/devices/kprobe/type";
constexpr const char* kForbiddenList = "/sys/kernel/debug/kprobes/blacklist";

/// The lines of a text, without what is behind a blank or a tab.
template <class Visit>
void each_word(std::string_view text, Visit visit) {
  while (!text.empty()) {
    const size_t newline = text.find('\n');
    const std::string_view line = text.substr(0, newline);
    text.remove_prefix(newline == std::string_view::npos ? text.size() : newline + 1);
    const std::string_view word = line.substr(0, line.find_first_of(" \t"));
    if (!word.empty()) visit(word, line);
  }
}

/// The function's own arguments. Behind one that is not in one register nobody knows where the
/// others are.
void add_arguments(const schema::KernelTypes& types, const bpf::BtfFunction& function,
                   std::vector<schema::Field>& fields) {
  bool is_known = true;
  for (size_t i = 0; i < function.parameters.size(); ++i) {
    const bpf::BtfFunction::Parameter& parameter = function.parameters[i];
    const auto at = static_cast<int>(i);
    std::string name(parameter.name);
    if (name.empty()) name = fmt::format("arg{}", i + 1);
    fields.push_back(register_field(std::move(name), Fetch::Base::Argument, at));
    set_type(types, parameter.type, &fields.back());
    is_known = is_known && fields.back().kind != FieldKind::Opaque && at < kRegisterArguments;
    if (is_known) continue;
    fields.back().kind = FieldKind::Opaque;
    fields.back().target = {};
  }
}

/// The address, then what is fetched, else the function's own arguments; of a return its result.
/// `function`: null: without types.
std::vector<schema::Field> fields_of(const KernelPlace& place, const schema::KernelTypes* types,
                                     const bpf::BtfFunction* function) {
  if (place.is_trace) return {register_field("ip", Fetch::Base::Address)};
  std::vector<schema::Field> fields;
  fields.push_back(
      register_field(place.is_return ? "__probe_func" : "__probe_ip", Fetch::Base::Address));
  fields.insert(fields.end(), place.fetched.begin(), place.fetched.end());
  if (place.is_return) {
    fields.push_back(register_field("retval", Fetch::Base::Result));
    if (function != nullptr) type_result(*types, function->result, &fields);
  } else if (place.offset != 0 || !place.fetched.empty()) {
    // Behind the first instruction they may be gone.
  } else if (function != nullptr) {
    add_arguments(*types, *function, fields);
  } else {
    for (int i = 1; i <= kRegisterArguments; ++i)
      fields.push_back(register_field(fmt::format("arg{}", i), Fetch::Base::Argument, i - 1));
  }
  return fields;
}

/// A register by its name: only perf's kprobes keep all of them, on every kernel.
bool needs_all_registers(const KernelPlace& place) {
  return std::any_of(place.fetched.begin(), place.fetched.end(), [](const schema::Field& field) {
    return field.fetch.base == Fetch::Base::Register;
  });
}

/// All arguments are words, and few enough for what calls programs at a function.
bool has_plain_arguments(const schema::KernelTypes& types, const bpf::BtfFunction& function) {
  if (function.is_variadic || function.parameters.size() > kMostTrampolineArguments) return false;
  for (const bpf::BtfFunction::Parameter& parameter : function.parameters) {
    schema::Field field;
    set_type(types, parameter.type, &field);
    if (field.kind == FieldKind::Opaque) return false;
  }
  return true;
}

/// What the engine asks for, but for functions that never return.
bool takes_trampoline(const Event& event) {
  return event.point.btf_id != 0 &&
         (event.kind != EventKind::ProbeReturn || event.point.gives_word);
}

/// A function that gives nothing has no result to read.
bool gives_word(const schema::KernelTypes& types, const bpf::BtfFunction& function) {
  schema::Field field;
  set_type(types, function.result, &field);
  return field.kind != FieldKind::Opaque;
}

}  // namespace

KernelFunctions::KernelFunctions(symbol::Kallsyms symbols, FunctionLists lists,
                                 std::optional<bpf::BtfTypes> types)
    : symbols_(std::move(symbols)),
      lists_(std::move(lists)),
      types_(std::make_shared<sys::KernelTypes>(std::move(types))) {}

std::string KernelFunctions::why_none() const {
  if (lists_.has_kprobes || lists_.has_tracer) return "";
  return "this kernel cannot trace its functions: it has neither kprobes (CONFIG_KPROBES and "
         "CONFIG_KPROBE_EVENTS) nor the function tracer (CONFIG_FUNCTION_TRACER). System calls "
         "(syscalls:*) and other tracepoints (`ktap -le`) need neither";
}

std::string KernelFunctions::read() {
  if (symbols_) return why_none();
  lists_.has_kprobes = access(kKprobeUnit, F_OK) == 0;
  lists_.has_entry_probes = sys::has_entry_probes();
  // The kernel takes tens of ms to write each of the two.
  std::future<Result<std::string>> names = std::async(std::launch::async, [] {
    const Result<sys::Tracefs> tracefs = sys::Tracefs::open();
    return tracefs.ok() ? tracefs.value().read("available_filter_functions")
                        : Result<std::string>(tracefs.error());
  });
  Result<symbol::Kallsyms> symbols = symbol::Kallsyms::read();
  Result<std::string> read = names.get();
  lists_.has_tracer = read.ok();
  if (read.ok()) lists_.traceable = std::move(read).value();
  if (const std::string why = why_none(); !why.empty()) return why;
  if (!symbols.ok()) return symbols.error().message;
  symbols_ = std::move(symbols).value();
  Result<std::string> forbidden = sys::read_text(kForbiddenList, kMostListBytes);
  if (forbidden.ok()) lists_.forbidden = std::move(forbidden).value();
  return "";
}

bool KernelFunctions::is_forbidden(std::string_view name) {
  if (!has_forbidden_) {
    has_forbidden_ = true;
    each_word(lists_.forbidden, [this](std::string_view, std::string_view line) {
      const size_t tab = line.find('\t');
      if (tab == std::string_view::npos) return;
      const std::string_view forbidden = line.substr(tab + 1);
      forbidden_.insert(forbidden.substr(0, forbidden.find_first_of(" \t")));
    });
  }
  return forbidden_.count(name) != 0;
}

/// Counts the names that were not asked for before in the tracer's list. Cost: 2 ms.
void KernelFunctions::look_up(const std::vector<KernelSymbol>& functions) {
  std::unordered_map<std::string_view, size_t> asked;
  for (const KernelSymbol& function : functions) {
    if (listed_.count(function.name) == 0) asked.emplace(function.name, 0);
  }
  if (asked.empty()) return;
  each_word(lists_.traceable, [&asked](std::string_view name, std::string_view) {
    const auto at = asked.find(name);
    if (at != asked.end()) ++at->second;
  });
  listed_.merge(asked);
}

/// How many functions of that name the tracer has. Requires: look_up().
size_t KernelFunctions::listed(std::string_view name) const {
  const auto at = listed_.find(name);
  return at == listed_.end() ? 0 : at->second;
}

void KernelFunctions::include(const Pattern& pattern, const KernelPlace& place, Matches* out) {
  if (const std::string why = read(); !why.empty()) {
    Mistake wrong = mistake(pattern, why);
    wrong.is_unavailable = true;
    out->mistakes.push_back(std::move(wrong));
    return;
  }
  if (has_glob(place.name)) {
    include_glob(pattern, place, out);
  } else {
    include_one(pattern, place, out);
  }
}

/// A function may have several names (system calls do), and the tracer's list gives one of them:
/// which of `places` are in it by that. Where addresses are hidden, none. Cost: 5 ms, where there
/// are any 15.
void KernelFunctions::find_aliases(std::set<uint64_t> places) {
  places.erase(0);
  if (places.empty()) return;
  std::vector<KernelSymbol> others = symbols_->functions_at(places);
  look_up(others);
  std::erase_if(others, [this](const KernelSymbol& other) { return listed(other.name) == 0; });
  if (others.empty()) return;
  std::unordered_map<std::string_view, size_t> of_that_name;
  for (const KernelSymbol& other : others) of_that_name[other.name] = 0;
  for (const KernelSymbol& symbol : symbols_->glob("*")) {
    const auto at = of_that_name.find(symbol.name);
    if (at != of_that_name.end()) ++at->second;
  }
  for (const KernelSymbol& other : others) {
    if (of_that_name[other.name] == 1) aliased_.insert(other.address);
  }
}

/// Of several functions of one name, some of which the tracer has, nobody says which.
bool KernelFunctions::is_traceable(const KernelSymbol& symbol, size_t of_that_name) const {
  return aliased_.count(symbol.address) != 0 || listed(symbol.name) == of_that_name;
}

void KernelFunctions::include_one(const Pattern& pattern, const KernelPlace& place, Matches* out) {
  std::vector<KernelSymbol> found = symbols_->find(place.name);
  const bool is_data = !found.empty();
  std::erase_if(found, [](const KernelSymbol& symbol) { return !symbol.is_function(); });
  if (found.empty()) {
    Mistake wrong =
        mistake(pattern, is_data ? fmt::format("'{}' is no function of this kernel", place.name)
                                 : fmt::format("this kernel has no function '{}'", place.name));
    const std::string is_return = symbol::return_hint(place.name);
    wrong.text += is_return;
    if (is_return.empty()) wrong.nearest = nearest(place.name);
    for (std::string& near : wrong.nearest) {
      near = (place.is_trace ? "function:" : "probe:") + near +
             written_behind(place.offset, place.is_return) + place.fetches;
    }
    out->mistakes.push_back(std::move(wrong));
    return;
  }
  if (is_forbidden(place.name)) {
    out->mistakes.push_back(
        mistake(pattern,
                fmt::format("'{}' cannot be probed: the kernel itself forbids it (a probe runs it, "
                            "or it runs where probes must not)",
                            place.name)));
    return;
  }
  look_up(found);
  if (listed(found.front().name) == 0) {
    std::set<uint64_t> places;
    for (const KernelSymbol& symbol : found) places.insert(symbol.address);
    find_aliases(std::move(places));
  }
  for (const KernelSymbol& symbol : found) add(place, symbol, found.size(), out);
}

void KernelFunctions::include_glob(const Pattern& pattern, const KernelPlace& place, Matches* out) {
  const auto refuse = [&](std::string text) {
    out->mistakes.push_back(mistake(pattern, std::move(text)));
  };
  if (!lists_.has_tracer)
    return refuse(
        "a glob over kernel functions needs the function tracer's list of them "
        "(CONFIG_DYNAMIC_FTRACE): name each function");
  if (place.offset != 0) return refuse("an offset is that of one function: a glob has none");
  LeftOut left_out, without_types;
  std::vector<KernelSymbol> found;
  std::unordered_map<std::string_view, size_t> of_that_name;
  std::set<uint64_t> taken, places;
  const std::vector<KernelSymbol> all = symbols_->glob(place.name);
  look_up(all);
  for (const KernelSymbol& symbol : all) {
    const bool is_listed = listed(symbol.name) != 0;
    (is_listed ? taken : places).insert(symbol.address);
    if (!is_listed) continue;
    ++of_that_name[symbol.name];
    found.push_back(symbol);
  }
  for (const uint64_t address : taken) places.erase(address);
  find_aliases(std::move(places));
  for (const KernelSymbol& symbol : all) {
    if (aliased_.count(symbol.address) == 0 || !taken.insert(symbol.address).second) continue;
    of_that_name[symbol.name] = 1;
    found.push_back(symbol);
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const KernelSymbol& a, const KernelSymbol& b) { return a.name < b.name; });
  bool has_any = false;
  for (const KernelSymbol& symbol : found) {
    if (is_forbidden(symbol.name)) {
      left_out.add(symbol.name, "");
      continue;
    }
    if (!lists_.has_entry_probes && place.fetched.empty() &&
        !takes_trampoline(*event(place, symbol, of_that_name[symbol.name]))) {
      without_types.add(symbol.name, "");
      continue;
    }
    add(place, symbol, of_that_name[symbol.name], out);
    has_any = true;
  }
  if (left_out.count() != 0)
    out->notes.push_back(fmt::format("{}: left out, the kernel forbids to probe them:{}",
                                     pattern.text, left_out.names()));
  if (without_types.count() != 0)
    out->warnings.push_back(mistake(
        pattern, fmt::format("{}: left out, they cannot be probed:{} (this kernel has trampolines "
                             "alone, which want types of all arguments and, at returns, a result)",
                             pattern.text, without_types.names())));
  if (has_any) return;
  if (without_types.count() != 0)
    return refuse(
        "this kernel cannot probe where its functions begin, and has no types of any of " +
        place.name + ", which trampolines want");
  if (left_out.count() != 0) return refuse("the kernel forbids to probe any of " + place.name);
  refuse(fmt::format("no function of this kernel that can be traced matches '{}'", place.name));
}

/// What begins with the name first: functions are renamed by giving them longer names.
std::vector<std::string> KernelFunctions::nearest(const std::string& name) {
  constexpr size_t kMost = 3;
  std::vector<std::string> near;
  const std::vector<KernelSymbol> longer = symbols_->glob(name + "*");
  look_up(longer);
  for (const KernelSymbol& symbol : longer) {
    if (listed(symbol.name) != 0) near.emplace_back(symbol.name);
  }
  std::stable_sort(near.begin(), near.end(),
                   [](const std::string& a, const std::string& b) { return a.size() < b.size(); });
  near.erase(std::unique(near.begin(), near.end()), near.end());
  if (near.size() > kMost) near.resize(kMost);
  for (std::string& other : symbols_->nearest(name)) {
    if (near.size() >= kMost) break;
    if (std::find(near.begin(), near.end(), other) == near.end()) near.push_back(std::move(other));
  }
  return near;
}

std::optional<bpf::BtfFunction> KernelFunctions::types_of(const KernelSymbol& symbol) const {
  if (!types_->is_there()) return std::nullopt;
  return types_->function(symbol.name, symbol.module);
}

/// Functions of one name share nothing else: which one the types are of is not known.
EventPtr KernelFunctions::event(const KernelPlace& place, const KernelSymbol& symbol,
                                size_t of_that_name) {
  std::string name(symbol.name);
  if (place.offset != 0) name += fmt::format("+{:#x}", place.offset);
  if (place.is_return) name += "%return";
  EventPtr& event = known_[fmt::format("{}:{}:{}", name, symbol.address, place.fetches)];
  if (event != nullptr) return event;
  auto made = std::make_shared<Event>();
  made->system = place.is_trace ? "function" : "probe";
  made->name = std::move(name);
  made->kind = place.is_return ? EventKind::ProbeReturn : EventKind::Probe;
  const std::optional<bpf::BtfFunction> types = of_that_name == 1 ? types_of(symbol) : std::nullopt;
  made->fields = fields_of(place, types_.get(), types ? &*types : nullptr);
  made->point.symbol = std::string(symbol.name);
  made->point.offset_bytes = place.offset;
  made->point.address = symbol.address;
  made->point.is_traceable =
      is_traceable(symbol, of_that_name) && place.offset == 0 && !needs_all_registers(place);
  if (place.is_return && !place.fetched.empty()) made->unnumbered_fields = 1;  // retval
  if (made->fields.back().kind == FieldKind::Opaque && place.is_return) ++made->unnumbered_fields;
  // A trampoline has typed arguments: what is fetched is a register.
  if (types && place.offset == 0 && place.fetched.empty() && has_plain_arguments(*types_, *types)) {
    made->point.btf_id = types->kernel_id;
    made->point.btf_module = std::string(symbol.module);
    made->point.argument_count = static_cast<uint32_t>(types->parameters.size());
    made->point.gives_word = gives_word(*types_, *types);
  }
  if (types && place.is_return && place.fetched.empty()) {
    const size_t own = made->fields.size();
    add_arguments(*types_, *types, made->fields);
    made->entry_fields = static_cast<uint32_t>(made->fields.size() - own);
    made->unnumbered_fields += made->entry_fields;
  }
  event = std::move(made);
  return event;
}

/// Unless the list has the place by another name. Where addresses are hidden, each name is one.
void KernelFunctions::add(const KernelPlace& place, const KernelSymbol& symbol, size_t of_that_name,
                          Matches* out) {
  const EventPtr made = event(place, symbol, of_that_name);
  if (symbol.address == 0) {
    out->events.push_back(made);
    return;
  }
  std::vector<EventPtr>& here =
      at_place_[fmt::format("{}:{}:{}:{}:{}", symbol.address, place.offset, place.is_return,
                            place.is_trace, place.fetches)];
  if (std::find(here.begin(), here.end(), made) == here.end()) here.push_back(made);
  const bool is_there =
      here.size() > 1 && std::any_of(here.begin(), here.end(), [&](const EventPtr& other) {
        return std::find(out->events.begin(), out->events.end(), other) != out->events.end();
      });
  if (!is_there) out->events.push_back(made);
}

bool KernelFunctions::is_also_called(const Event& event, std::string_view text, bool by_letter) {
  constexpr std::string_view kReturn = "%return";
  if (event.point.address == 0 || !read().empty()) return false;
  if (event.kind == EventKind::ProbeReturn && text.size() > kReturn.size() &&
      text.substr(text.size() - kReturn.size()) == kReturn)
    text.remove_suffix(kReturn.size());
  const bool is_name = by_letter || !has_glob(text);
  const std::string asked = fmt::format("{}{}", is_name ? "=" : "~", text);
  if (asked != asked_) {
    asked_ = asked;
    asked_places_.clear();
    for (const KernelSymbol& symbol : is_name ? symbols_->find(text) : symbols_->glob(text))
      asked_places_.insert(symbol.address);
  }
  return asked_places_.count(event.point.address) != 0;
}

Result<Fetch> KernelFunctions::variable(std::string_view name) {
  if (const std::string why = read(); !why.empty()) return Error{why};
  KTAP_TRY(symbols_->check_addresses());
  const std::vector<KernelSymbol> found = symbols_->find(name);
  if (found.empty()) return Error{fmt::format("the kernel lists no symbol '{}'", name)};
  if (found.size() > 1)
    return Error{
        fmt::format("the kernel has {} symbols '{}'; write the address", found.size(), name)};
  Fetch fetch;
  fetch.base = Fetch::Base::Constant;
  fetch.at = static_cast<int64_t>(found.front().address);
  fetch.steps.push_back({0, false, sizeof(void*)});
  return fetch;
}

void KernelFunctions::list(std::string_view glob, std::vector<std::string>* out) {
  if (!read().empty()) return;
  std::vector<std::string> names;
  const Glob pattern(glob);
  each_word(lists_.traceable, [&](std::string_view name, std::string_view) {
    // What was left out when the kernel was linked.
    if (name.find("__ftrace_invalid_address__") == 0) return;
    if (!is_forbidden(name) && pattern.matches(name)) names.emplace_back(name);
  });
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  for (const std::string& name : names) out->push_back("probe:" + name);
}

}  // namespace ktap::event
