// The names of all tracepoints (available_events) and, of those that are used, the formats. One
// read for the names; some 10 µs for each format. System call events get their number and the
// declared types of their arguments.
#include "event/catalog.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "base/glob.h"
#include "base/name_brackets.h"
#include "diag/diagnostic.h"
#include "event/format.h"
#include "event/function_names.h"
#include "event/render.h"
#include "event/syscall_table.h"
#include "symbol/name_pattern.h"

namespace ktap::event {

namespace {

using schema::Event;
using schema::EventKind;
using schema::EventPtr;
using schema::Field;
using schema::FieldKind;

/// "sched:sched_switch" in one string; views of its two parts.
struct Name {
  std::string full;
  size_t colon;
  std::string_view system() const { return std::string_view(full).substr(0, colon); }
  std::string_view name() const { return std::string_view(full).substr(colon + 1); }
};

struct Kind {
  std::string_view prefix;
  std::unique_ptr<Provider> (*make)();  ///< null: not there yet
};
constexpr Kind kKinds[] = {
#define KTAP_EVENT_PROVIDER(prefix, make) {prefix, make},
#include "event/providers.def"
#undef KTAP_EVENT_PROVIDER
};

bool starts_with(std::string_view text, std::string_view head) {
  return text.substr(0, head.size()) == head;
}

std::vector<Name> parse_names(std::string_view text) {
  std::vector<Name> names;
  names.reserve(4096);
  while (!text.empty()) {
    const size_t newline = text.find('\n');
    const std::string_view line = text.substr(0, newline);
    text.remove_prefix(newline == std::string_view::npos ? text.size() : newline + 1);
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    // ftrace:* are the kernel's own record types, nothing that can be attached to.
    if (line.substr(0, colon) == "ftrace") continue;
    names.push_back(Name{std::string(line), colon});
  }
  return names;
}

Field syscall_number_field() {
  Field field;
  field.name = "__syscall_nr";
  field.c_type = "int";
  field.offset_bytes = 8;
  field.size_bytes = 4;
  field.is_signed = true;
  return field;
}

/// Every sys_exit_* has the same two fields: no need to read its format.
std::vector<Field> syscall_exit_fields() {
  Field ret;
  ret.name = "ret";
  ret.c_type = "long";
  ret.offset_bytes = 16;
  ret.size_bytes = sizeof(long);
  ret.is_signed = true;
  return {syscall_number_field(), ret};
}

class TracefsCatalog : public Catalog {
 public:
  /// `without`: why there are no names.
  TracefsCatalog(sys::Tracefs tracefs, std::vector<Name> names, std::string without = {})
      : tracefs_(std::move(tracefs)),
        without_(std::move(without)),
        names_(std::move(names)),
        events_(names_.size()) {
    for (size_t i = 0; i < names_.size(); ++i) index_.emplace(names_[i].full, i);
  }

  void set_target(pid_t pid) override { target_ = pid; }
  void set_kernel_types(std::shared_ptr<sys::KernelTypes> types) override {
    kernel_types_ = std::move(types);
  }
  void set_fields_are_read(bool are_read) override { fields_are_read_ = are_read; }
  Matches match(std::string_view event_text) override;
  bool wants_process() const override {
    return std::any_of(others_.begin(), others_.end(),
                       [](const auto& other) { return other.second->wants_process(); });
  }
  Result<void> set_process(pid_t pid) override {
    for (const auto& [prefix, provider] : others_) KTAP_TRY(provider->set_process(pid));
    return {};
  }
  const schema::KernelTypes* user_types() const override {
    for (const auto& [prefix, provider] : others_) {
      if (provider->user_types() != nullptr) return provider->user_types();
    }
    return nullptr;
  }
  std::vector<std::string> list(std::string_view glob) override;
  std::string render_words(const Event& event, const uint64_t* words) override {
    return syscall_text(event, words);
  }
  std::string render_record(const Event& event, const uint8_t* data, size_t size_bytes,
                            int cpu) override;

 private:
  void include(const Pattern& pattern, std::vector<bool>* chosen, Matches* out);
  bool leave_out_as_written(const Pattern& pattern, std::vector<EventPtr>* others);
  void exclude(const Pattern& pattern, std::vector<bool>* chosen, std::vector<EventPtr>* others,
               Matches* out);
  Provider* provider_of(std::string_view text);
  void explain_no_match(const Pattern& pattern, Matches* out);
  bool has_system(std::string_view system) const;
  std::vector<std::string> nearest_to(std::string_view text) const;
  Result<EventPtr> event(size_t index);
  Result<EventPtr> build(const Name& name);

  sys::Tracefs tracefs_;
  std::string without_;
  pid_t target_ = 0;
  bool fields_are_read_ = true;
  std::shared_ptr<sys::KernelTypes> kernel_types_ = std::make_shared<sys::KernelTypes>();
  std::vector<Name> names_;
  std::map<std::string_view, std::unique_ptr<Provider>> others_;  // by prefix, made when asked for
  std::vector<EventPtr> events_;  // by index in names_; null until used
  std::unordered_map<std::string_view, size_t> index_;
  std::unique_ptr<RecordRenderer>
      renderer_;  // its library is only started when a record is printed
};

/// Null: a tracepoint, which has no prefix.
const Kind* kind_of(std::string_view text) {
  for (const Kind& kind : kKinds) {
    if (starts_with(text, kind.prefix)) return &kind;
  }
  return nullptr;
}

/// What is wrong with the form of a part, before any name is looked at; "" when it may be SYS:NAME.
std::string wrong_form(const std::string& text) {
  if (text.empty()) return "an event name is missing here";
  if (starts_with(text, "tick-")) {
    return fmt::format("a timer ('{}') stands alone, not in a list of events", text);
  }
  const size_t blank = text.find_first_of(" \t\n\r");
  if (blank != std::string::npos) {
    return fmt::format("'{}' is followed by more; events of a list are separated by commas",
                       text.substr(0, blank));
  }
  return "";
}

/// The `<` or `(` that opens in the text and does not close; nothing: there is none.
std::optional<char> open_bracket(std::string_view text) {
  const NameBrackets brackets(text);
  for (size_t i = 0; i < text.size(); i = brackets.behind(i)) {
    if ((text[i] == '<' || text[i] == '(') && brackets.behind(i) == i + 1) return text[i];
  }
  return std::nullopt;
}

/// A part that a comma ends may have been meant to go on.
void explain_commas(const std::vector<Pattern>& patterns, std::vector<Mistake>& mistakes) {
  for (size_t i = 0; i + 1 < patterns.size(); ++i) {
    const std::optional<char> open = open_bracket(patterns[i].text);
    if (!open || patterns[i + 1].exclude) continue;
    for (Mistake& mistake : mistakes) {
      if (mistake.offset != patterns[i].offset) continue;
      mistake.text += fmt::format(
          "; nothing closes its '{}', so the comma behind begins another event: write ? for a "
          "comma of the name",
          *open);
    }
  }
}

Matches TracefsCatalog::match(std::string_view event_text) {
  Matches out, others;
  std::vector<bool> chosen(names_.size());
  const std::vector<Pattern> patterns = split_patterns(event_text);
  bool has_included = false;
  for (const Pattern& pattern : patterns) {
    if (pattern.exclude) continue;
    has_included = true;
    if (Provider* provider = provider_of(pattern.text)) {
      provider->include(pattern, &others);
    } else {
      include(pattern, &chosen, &out);
    }
  }
  if (!has_included) {
    out.mistakes.push_back(mistake(patterns[0], "nothing to exclude from: the list is empty"));
    return out;
  }
  std::move(others.mistakes.begin(), others.mistakes.end(), std::back_inserter(out.mistakes));
  out.notes = std::move(others.notes);
  out.warnings = std::move(others.warnings);
  out.dangers = std::move(others.dangers);
  out.unproved = std::move(others.unproved);
  explain_commas(patterns, out.mistakes);
  if (!out.mistakes.empty()) return out;  // an exclusion of a list that failed says nothing new
  for (const Pattern& pattern : patterns) {
    if (pattern.exclude) exclude(pattern, &chosen, &others.events, &out);
  }
  for (size_t i = 0; i < names_.size() && out.mistakes.empty(); ++i) {
    if (!chosen[i]) continue;
    Result<EventPtr> built = event(i);
    if (built.ok()) {
      out.events.push_back(std::move(built).value());
    } else {
      out.mistakes.push_back(
          mistake(patterns[0], fmt::format("event {}: {}", names_[i].full, built.error().message)));
    }
  }
  std::set<EventPtr> known(out.events.begin(), out.events.end());
  for (const EventPtr& other : others.events) {
    if (known.insert(other).second) out.events.push_back(other);
  }
  if (out.events.empty() && out.mistakes.empty()) {
    out.mistakes.push_back(mistake(patterns[0], "the exclusions leave no event"));
  }
  return out;
}

/// Null: tracepoints, which have no prefix.
Provider* TracefsCatalog::provider_of(std::string_view text) {
  const Kind* kind = kind_of(text);
  if (kind == nullptr) return nullptr;
  std::unique_ptr<Provider>& provider = others_[kind->prefix];
  if (provider == nullptr) {
    provider = kind->make();
    provider->set_target(target_);
    provider->set_kernel_types(kernel_types_);
    provider->set_fields_are_read(fields_are_read_);
  }
  return provider.get();
}

void TracefsCatalog::include(const Pattern& pattern, std::vector<bool>* chosen, Matches* out) {
  const std::string wrong = wrong_form(pattern.text);
  if (!wrong.empty()) {
    out->mistakes.push_back(mistake(pattern, wrong));
    return;
  }
  bool found = false;
  if (!has_glob(pattern.text)) {
    const auto exact = index_.find(pattern.text);
    if (exact != index_.end()) {
      (*chosen)[exact->second] = true;
      found = true;
    }
  } else if (pattern.text.find(':') != std::string::npos) {
    const Glob glob(pattern.text);
    for (size_t i = 0; i < names_.size(); ++i) {
      if (!glob.matches(names_[i].full)) continue;
      found = true;
      (*chosen)[i] = true;
    }
  }
  if (!found) explain_no_match(pattern, out);
}

/// `sched:*`, not `A::f`: a glob without that is about names, whatever subsystem or file they are
/// of.
bool has_subsystem(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != ':') continue;
    if (i + 1 >= text.size() || text[i + 1] != ':') return true;
    ++i;
  }
  return false;
}

/// `probe:f`, `provider:mark`, `sdt:mark`: an event of a file, by all that stands before and behind
/// the path in its subsystem.
bool any_short_name(const schema::Event& event, const std::function<bool(std::string)>& is_meant) {
  const size_t first = event.system.find(':');
  if (first == std::string::npos) return false;
  const size_t last = event.system.rfind(':') + 1;
  return is_meant(fmt::format("{}:{}", event.system.substr(0, first), event.name)) ||
         is_meant(fmt::format("{}:{}", event.system.substr(last), event.name));
}

/// `probe:./a:f`: an event of a file, as it would be asked for, by whatever name the list has it.
bool TracefsCatalog::leave_out_as_written(const Pattern& pattern, std::vector<EventPtr>* others) {
  Provider* provider = provider_of(pattern.text);
  if (provider == nullptr) return false;
  Matches meant;
  provider->include(pattern, &meant);
  const auto is_meant = [&](const EventPtr& event) {
    const bool is_its_own = provider_of(event->system + ":") == provider;
    return std::any_of(meant.events.begin(), meant.events.end(), [&](const EventPtr& other) {
      return other == event || (is_its_own && provider->is_same_place(*event, *other));
    });
  };
  return std::erase_if(*others, is_meant) != 0;
}

void TracefsCatalog::exclude(const Pattern& pattern, std::vector<bool>* chosen,
                             std::vector<EventPtr>* others, Matches* out) {
  if (pattern.text.empty()) {
    out->mistakes.push_back(mistake(pattern, "'~' wants a name or glob of what to leave out"));
    return;
  }
  const Glob glob(symbol::function_glob(pattern.text));
  const bool is_whole = has_subsystem(pattern.text);
  const auto leave_out = [&](bool by_letter) {
    const auto is_meant = [&](const std::string& name) {
      return by_letter ? name == pattern.text : glob.matches(name);
    };
    return std::erase_if(*others, [&](const EventPtr& event) {
             if (is_meant(event->name) || is_meant(event->point.symbol) ||
                 (is_whole && (is_meant(fmt::format("{}:{}", event->system, event->name)) ||
                               any_short_name(*event, is_meant))))
               return true;
             Provider* provider = provider_of(event->system + ":");
             return provider != nullptr &&
                    provider->is_also_called(*event, pattern.text, by_letter);
           }) != 0;
  };
  bool found = (may_be_by_the_letter(pattern.text) && leave_out(true)) || leave_out(false) ||
               leave_out_as_written(pattern, others);
  for (size_t i = 0; i < names_.size(); ++i) {
    const bool is_meant =
        glob.matches(names_[i].name()) || (is_whole && glob.matches(names_[i].full));
    if (!is_meant) continue;
    found = true;
    (*chosen)[i] = false;
  }
  if (found) return;
  Mistake wrong =
      mistake(pattern, fmt::format("no event matches '{}': nothing is excluded", pattern.text));
  std::vector<std::string> candidates;
  for (const Name& name : names_) candidates.emplace_back(name.name());
  wrong.nearest = diag::nearest(pattern.text, candidates);
  out->mistakes.push_back(std::move(wrong));
}

void TracefsCatalog::explain_no_match(const Pattern& pattern, Matches* out) {
  const std::string& text = pattern.text;
  if (!without_.empty()) {
    out->mistakes.push_back(mistake(pattern, without_));
    out->mistakes.back().is_unavailable = true;
    return;
  }
  if (text.find(':') == std::string::npos) {
    Mistake wrong = mistake(
        pattern, fmt::format("'{}' names no event; an event is written SUBSYSTEM:NAME", text));
    for (const Name& name : names_) {
      const bool is_call = name.full == "syscalls:sys_enter_" + text;
      if (is_call || name.name() == text) wrong.nearest.push_back(name.full);
    }
    if (has_system(text)) wrong.nearest.push_back(text + ":*");
    if (wrong.nearest.empty()) wrong.nearest = nearest_to(text);
    if (wrong.nearest.empty()) wrong.nearest = nearest_to("syscalls:sys_enter_" + text);
    out->mistakes.push_back(std::move(wrong));
    return;
  }
  Mistake wrong = mistake(pattern, fmt::format("no event matches '{}'", text));
  if (const char open = glob_unclosed(text); open != '\0') {
    wrong.text += fmt::format(": nothing closes its '{}'", open);
    out->mistakes.push_back(std::move(wrong));
    return;
  }
  wrong.nearest = nearest_to(text);
  const std::string system = text.substr(0, text.find(':'));
  if (wrong.nearest.empty() && !has_glob(system)) {
    std::vector<std::string> systems;
    for (const Name& name : names_) {
      if (systems.empty() || systems.back() != name.system()) systems.emplace_back(name.system());
    }
    if (std::find(systems.begin(), systems.end(), system) == systems.end()) {
      wrong.text += fmt::format(": there is no subsystem '{}'", system);
      for (const std::string& near : diag::nearest(system, systems))
        wrong.nearest.push_back(near + ":*");
    }
  }
  out->mistakes.push_back(std::move(wrong));
}

/// System calls share a long head that would make all of them near each other.
std::string_view without_syscall_head(std::string_view name) {
  for (const std::string_view head : {"sys_enter_", "sys_exit_"}) {
    if (starts_with(name, head)) return name.substr(head.size());
  }
  return "";
}

bool TracefsCatalog::has_system(std::string_view system) const {
  return std::any_of(names_.begin(), names_.end(),
                     [&](const Name& name) { return name.system() == system; });
}

/// Names near `text`: within its subsystem when that exists, so that the long common part does not
/// hide what differs.
std::vector<std::string> TracefsCatalog::nearest_to(std::string_view text) const {
  const size_t colon = text.find(':');
  const std::string_view system = colon == std::string_view::npos ? "" : text.substr(0, colon);
  const std::string_view rest = colon == std::string_view::npos ? text : text.substr(colon + 1);
  if (rest.empty() && has_system(system)) return {fmt::format("{}:*", system)};
  // Habits from elsewhere: tracepoint:sched:sched_switch.
  if (index_.find(rest) != index_.end()) return {std::string(rest)};
  const std::string_view call = without_syscall_head(rest);
  if (system == "syscalls" && !starts_with(rest, "sys_"))
    return nearest_to(fmt::format("{}:sys_enter_{}", system, rest));
  if (system == "syscalls" && !call.empty()) {
    const std::string_view head = rest.substr(0, rest.size() - call.size());
    std::vector<std::string> calls;
    for (const Name& name : names_) {
      if (name.system() == system && starts_with(name.name(), head)) {
        calls.emplace_back(name.name().substr(head.size()));
      }
    }
    const bool is_there = std::find(calls.begin(), calls.end(), call) != calls.end();
    calls = is_there ? std::vector<std::string>{std::string(call)} : diag::nearest(call, calls);
    for (std::string& near : calls) near = fmt::format("{}:{}{}", system, head, near);
    return calls;
  }
  std::vector<std::string> candidates;
  for (const Name& name : names_) {
    if (name.system() == system) candidates.emplace_back(name.name());
  }
  const bool by_system = !candidates.empty();
  if (!by_system) {
    for (const Name& name : names_) candidates.push_back(name.full);
  }
  std::vector<std::string> near = diag::nearest(by_system ? rest : text, candidates);
  if (by_system) {
    for (std::string& name : near) name = fmt::format("{}:{}", system, name);
  }
  if (!near.empty()) return near;
  // The right name under a wrong subsystem, or none.
  std::vector<std::string> bare;
  for (const Name& name : names_) bare.emplace_back(name.name());
  for (const std::string& name : diag::nearest(rest, bare)) {
    for (const Name& full : names_) {
      if (full.name() == name && near.size() < 3) near.push_back(full.full);
    }
  }
  return near;
}

Result<EventPtr> TracefsCatalog::event(size_t index) {
  if (events_[index] == nullptr) {
    KTAP_ASSIGN(events_[index], build(names_[index]));
  }
  return events_[index];
}

Result<EventPtr> TracefsCatalog::build(const Name& name) {
  auto out = std::make_shared<Event>();
  out->system = std::string(name.system());
  out->name = std::string(name.name());
  if (out->system == "syscalls") {
    constexpr std::string_view kEnter = "sys_enter_";
    constexpr std::string_view kExit = "sys_exit_";
    const std::string_view event_name = out->name;
    if (starts_with(event_name, kEnter)) {
      out->kind = EventKind::SyscallEnter;
      out->syscall_nr = syscall_number(event_name.substr(kEnter.size()));
    } else if (starts_with(event_name, kExit)) {
      out->kind = EventKind::SyscallExit;
      out->syscall_nr = syscall_number(event_name.substr(kExit.size()));
    }
    // A system call that is not in our table is traced all the same, through its own tracepoint:
    // slower to detach.
    if (out->syscall_nr < 0) out->kind = EventKind::Tracepoint;
  }
  if (out->kind == EventKind::SyscallExit) {
    out->fields = syscall_exit_fields();
    return EventPtr(std::move(out));
  }
  KTAP_ASSIGN(const std::string text,
              tracefs_.read(fmt::format("events/{}/{}/format", out->system, out->name)));
  KTAP_ASSIGN(Format format, parse_format(text));
  out->tracefs_id = format.id;
  out->record_size_bytes = format.record_size_bytes;
  out->fields = std::move(format.fields);
  if (out->enters_syscall()) {
    // From Linux 7 on copies of what the arguments point to follow them: `__buf_val`.
    std::erase_if(out->fields,
                  [](const Field& field) { return starts_with(field.c_type, "__data_loc "); });
    if (out->fields.empty()) out->fields.push_back(syscall_number_field());
    shape_arguments(out->fields, sizeof(long));
  }
  return EventPtr(std::move(out));
}

std::vector<std::string> TracefsCatalog::list(std::string_view glob) {
  std::vector<std::string> out;
  const Glob pattern(glob);
  for (const Name& name : names_) {
    if (glob.empty() || pattern.matches(name.full) || pattern.matches(name.name())) {
      out.push_back(name.full);
    }
  }
  for (const Kind& kind : kKinds) {
    if (Provider* provider = provider_of(kind.prefix)) provider->list(glob, &out);
  }
  return out;
}

std::string TracefsCatalog::render_record(const Event& event, const uint8_t* data,
                                          size_t size_bytes, int cpu) {
  if (event.enters_syscall() || event.leaves_syscall())
    return syscall_record_text(event, data, size_bytes);
  if (renderer_ == nullptr) renderer_ = std::make_unique<RecordRenderer>();
  if (!renderer_->knows(event)) {
    Result<std::string> format =
        tracefs_.read(fmt::format("events/{}/{}/format", event.system, event.name));
    renderer_->add_format(event, format.ok() ? format.value() : "");
  }
  return renderer_->text(event, data, size_bytes, cpu);
}

}  // namespace

Mistake mistake(const Pattern& pattern, std::string text) {
  Mistake out;
  out.text = std::move(text);
  out.offset = pattern.offset;
  out.length = static_cast<uint32_t>(pattern.text.size() + (pattern.exclude ? 1 : 0));
  return out;
}

Result<std::unique_ptr<Catalog>> make_catalog(sys::Tracefs tracefs) {
  Result<std::string> text = tracefs.read("available_events");
  if (!text.ok()) {
    Error error = text.error();
    error.message = "listing the kernel's events: " + error.message;
    if (error.sys_errno == EACCES || error.sys_errno == EPERM)
      error.message += "; run ktap as root, or with CAP_DAC_READ_SEARCH as well";
    return error;
  }
  return std::unique_ptr<Catalog>(
      std::make_unique<TracefsCatalog>(std::move(tracefs), parse_names(text.value())));
}

std::unique_ptr<Catalog> Catalog::without_tracepoints(std::string why) {
  return std::make_unique<TracefsCatalog>(sys::Tracefs::none(), std::vector<Name>(),
                                          std::move(why));
}

std::unique_ptr<Catalog> Catalog::open_what_is_there() {
  Result<std::unique_ptr<Catalog>> catalog = open();
  return catalog.ok() ? std::move(catalog).value()
                      : without_tracepoints(std::move(catalog.error().message));
}

Result<std::unique_ptr<Catalog>> Catalog::open() {
  KTAP_ASSIGN(sys::Tracefs tracefs, sys::Tracefs::open());
  return make_catalog(std::move(tracefs));
}

}  // namespace ktap::event
