// The catalog knows the names; only with -v are the events themselves made, 10 us each. Without
// the privilege to read tracefs the names of system calls come from our own table, and the other
// kinds of events are listed as ever.
#include "session/list.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <vector>

#include "base/glob.h"
#include "diag/json.h"
#include "event/markers.h"
#include "event/program_files.h"
#include "event/provider.h"
#include "event/render.h"
#include "event/syscall_table.h"
#include "session/report.h"
#include "symbol/elf_file.h"
#include "symbol/resolve.h"
#include "symbol/usdt.h"

namespace ktap::session {

namespace {

constexpr int kMistake = 2;
constexpr int64_t kLastSyscall = 1023;  // far above any there is
using schema::FieldKind;
constexpr std::string_view kMarkers = "sdt:";

void say(const std::string& text) { std::fputs(text.c_str(), stderr); }

/// Of a function of a program.
struct Place {
  std::string symbol;
  uint64_t address = 0;
};

class Lister {
 public:
  explicit Lister(const ListRequest& request) : request_(request) {}

  int run() {
    if (std::string_view(request_.glob).substr(0, kMarkers.size()) == kMarkers) return markers();
    Result<std::unique_ptr<event::Catalog>> opened = event::Catalog::open();
    std::string without;  // why tracepoints are left out
    if (opened.ok()) {
      catalog_ = std::move(opened).value();
    } else {
      without = opened.error().message;
      catalog_ = event::Catalog::without_tracepoints();
    }
    const std::string glob = request_.glob.empty() ? "*" : request_.glob;
    std::vector<std::string> names = catalog_->list(glob);
    if (!without.empty()) add_system_calls(glob, names);
    std::sort(names.begin(), names.end());
    for (const std::string& name : names) print(name);
    if (!without.empty() && may_be_tracepoint(glob))
      say(
          fmt::format("ktap: warning: tracepoints are left out, system calls are those that ktap "
                      "knows: {}\n",
                      without));
    if (!names.empty()) return 0;
    return without.empty() || !may_be_tracepoint(glob)
               ? nothing()
               : fail(fmt::format("nothing else matches '{}'", request_.glob));
  }

 private:
  static bool may_be_tracepoint(const std::string& glob) {
    return !glob.starts_with("probe:") && !glob.starts_with("function:");
  }

  static void add_system_calls(const std::string& text, std::vector<std::string>& names) {
    const Glob glob(text);
    for (int64_t number = 0; number <= kLastSyscall; ++number) {
      const std::string_view call = event::syscall_name(number);
      if (call.empty()) continue;
      for (const char* side : {"enter", "exit"}) {
        std::string bare = fmt::format("sys_{}_{}", side, call);
        std::string full = "syscalls:" + bare;
        if (glob.matches(full) || glob.matches(bare)) names.push_back(std::move(full));
      }
    }
  }

  /// Without those that say what another one means; `numbered`: so many of them are argN.
  static std::vector<schema::Field> own_names(const schema::Event& event, size_t* numbered) {
    std::vector<schema::Field> fields;
    *numbered = event.fields.size() - event.unnumbered_fields;
    for (size_t i = 0; i < event.fields.size(); ++i) {
      if (event::says_what_another_means(event, i)) continue;
      fields.push_back(event.fields[i]);
      if (event::has_no_place(event, event.fields[i]))
        fields.back().kind = FieldKind::Opaque;  // the word alone is there
    }
    return fields;
  }

  /// Where the functions of programs are that a name means, by their names in the file.
  static std::vector<Place> places_of(const std::vector<schema::EventPtr>& events) {
    std::vector<Place> places;
    for (const schema::EventPtr& event : events) {
      if (!event->point.path.empty() && event->kind == schema::EventKind::Probe)
        places.push_back({event->point.symbol, event->point.address});
    }
    return places;
  }

  /// Beside a name: what it does not say. Of several places, each.
  static std::string beside(const std::string& name, const std::vector<Place>& places) {
    std::string text;
    for (const Place& place : places) {
      const bool is_said = place.symbol.empty() || name.size() <= place.symbol.size() ||
                           name.compare(name.size() - place.symbol.size() - 1, std::string::npos,
                                        ":" + place.symbol) == 0;
      if (!is_said) text += "  " + place.symbol;
      if (places.size() > 1) text += fmt::format("  {:#x}", place.address);
    }
    return text;
  }

  void print(const std::string& name) {
    std::vector<schema::Field> fields;
    std::vector<Place> places;
    size_t numbered = 0;
    if (request_.verbose || request_.json) {
      const event::Matches found = catalog_->match(name);
      if (found.events.size() == 1) fields = own_names(*found.events[0], &numbered);
      places = places_of(found.events);
    }
    if (request_.json) return print_json(name, places, fields);
    std::puts((name + (request_.verbose ? beside(name, places) : "")).c_str());
    if (!request_.verbose) return;
    for (size_t i = 0; i < fields.size(); ++i) {
      // Handlers reach the first ten by number.
      const std::string number = i < std::min<size_t>(numbered, 10) ? fmt::format("arg{}", i) : "";
      const bool is_word = fields[i].kind == FieldKind::Opaque && fields[i].as_text >= 0;
      std::puts(fmt::format("    {:<4}  {} {}{}", number, fields[i].c_type, fields[i].name,
                            is_word ? "  (optimised away: whatever the register holds)" : "")
                    .c_str());
    }
  }

  static void print_json(const std::string& name, const std::vector<Place>& places,
                         const std::vector<schema::Field>& fields) {
    std::vector<std::string> members, stands;
    for (const schema::Field& field : fields)
      members.push_back(
          diag::JsonObject().text("name", field.name).text("type", field.c_type).value());
    for (const Place& place : places)
      stands.push_back(diag::JsonObject()
                           .text("symbol", place.symbol)
                           .text("address", fmt::format("{:#x}", place.address))
                           .value());
    diag::JsonObject object;
    object.text("event", name).raw("args", fmt::format("[{}]", fmt::join(members, ",")));
    if (!stands.empty()) object.raw("places", fmt::format("[{}]", fmt::join(stands, ",")));
    std::fputs(object.line().c_str(), stdout);
  }

  int fail(const std::string& text) const {
    say(render_error(text, request_.json));
    return kMistake;
  }

  /// What a glob over names alone cannot mean, as the end of a sentence; "" for any other.
  static std::string what_is_no_name(const std::string& glob) {
    if (glob.ends_with("%return")) return "; returns are written, not listed: list the function";
    if (glob.find(':') != std::string::npos) return "";  // the catalog knows
    if (glob.starts_with("tick") || glob.starts_with("profile"))
      return "; timers are written, not listed: profile-99hz on every CPU, tick-1s";
    const char open = glob_unclosed(glob);
    return open == '\0' ? "" : fmt::format(": nothing closes its '{}'", open);
  }

  /// The catalog knows why an event text means nothing, and the nearest names.
  int nothing() {
    const std::string why = what_is_no_name(request_.glob);
    std::string text = fmt::format("no event matches '{}'{}", request_.glob, why);
    if (!why.empty()) return fail(text);
    for (const event::Mistake& mistake : catalog_->match(request_.glob).mistakes) {
      if (mistake.nearest.empty() && text.find(':') != std::string::npos) text = mistake.text;
      if (!mistake.nearest.empty())
        text += fmt::format("; the nearest: {}", fmt::join(mistake.nearest, ", "));
      break;
    }
    return fail(text);
  }

  void print_marker(const std::string& name,
                    const std::vector<std::vector<schema::Field>>& lists) const {
    if (request_.json) return print_json(name, {}, lists.front());
    std::puts(name.c_str());
    if (!request_.verbose) return;
    for (const std::vector<schema::Field>& fields : lists) {
      if (&fields != &lists.front()) std::puts("    at another place:");
      for (const schema::Field& field : fields)
        std::puts(fmt::format("    {}  {}", field.name, field.c_type).c_str());
    }
  }

  /// `sdt:PATH[:GLOB]`, the glob over PROVIDER:MARK or MARK.
  int markers() {
    const std::string rest = request_.glob.substr(kMarkers.size());
    event::ProgramFiles files;
    const size_t colon = files.open(rest).ok() ? std::string::npos : files.find_path_end(rest);
    const std::string path = rest.substr(0, colon);
    const std::string glob = colon == std::string::npos ? "*" : rest.substr(colon + 1);
    const Result<const symbol::ElfFile*> opened = files.open(path);
    if (!opened.ok()) return fail(opened.error().message);
    const symbol::ElfFile& file = *opened.value();
    const symbol::UsdtProbes all = symbol::read_usdt(file.image());
    const uint8_t word_bytes = file.image().is_wide() ? 8 : 4;
    // Of the places of one name mostly each has the same arguments; each other list stands there.
    std::map<std::string, std::vector<std::vector<schema::Field>>> found;
    for (const symbol::UsdtProbe& probe : all.probes) {
      if (!event::names_marker(glob, probe)) continue;
      std::vector<schema::Field> fields;
      for (const symbol::UsdtArgument& argument : probe.arguments)
        fields.push_back(
            event::marker_field(argument, static_cast<uint32_t>(fields.size() + 1), word_bytes));
      auto& lists = found[fmt::format("sdt:{}:{}:{}", file.path(), probe.provider, probe.name)];
      const bool is_known = std::any_of(lists.begin(), lists.end(), [&](const auto& other) {
        return std::equal(
            other.begin(), other.end(), fields.begin(), fields.end(),
            [](const schema::Field& a, const schema::Field& b) { return a.c_type == b.c_type; });
      });
      if (!is_known) lists.push_back(std::move(fields));
    }
    for (const auto& [name, lists] : found) print_marker(name, lists);
    if (!found.empty()) return 0;
    return fail(all.probes.empty() ? fmt::format("{} has no markers", path)
                                   : fmt::format("no marker of {} matches '{}'", path, glob));
  }

  const ListRequest& request_;
  std::unique_ptr<event::Catalog> catalog_;
};

}  // namespace

int list_events(const ListRequest& request) { return Lister(request).run(); }

}  // namespace ktap::session
