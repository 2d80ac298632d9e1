// Memory breakpoints, `mem:ADDR[/LEN][:rwx]`: the processor stops at the access. An address is the
// kernel's or a process's by where it lies; a name is the kernel's, or a program's behind its path.
#include "event/memory_breakpoints.h"

#include <fmt/format.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>

#include "base/glob.h"
#include "base/printable.h"
#include "event/program_files.h"
#include "event/provider.h"
#include "symbol/kallsyms.h"
#include "symbol/maps.h"
#include "symbol/resolve.h"

namespace ktap::event {

using schema::Event;
using schema::EventPtr;

namespace {

#if defined(__x86_64__) || defined(__i386__)
constexpr bool kReadsAlone = false;
#else
constexpr bool kReadsAlone = true;
#endif

constexpr std::string_view kAccesses = "a memory breakpoint is for w, rw, r or x";

/// 0 for what is none.
uint32_t access_of(std::string_view letters) {
  uint32_t access = 0;
  for (const char c : letters) {
    const uint32_t bit = c == 'r'   ? HW_BREAKPOINT_R
                         : c == 'w' ? HW_BREAKPOINT_W
                         : c == 'x' ? HW_BREAKPOINT_X
                                    : 0;
    if (bit == 0 || (access & bit) != 0) return 0;
    access |= bit;
  }
  return access;
}

/// Where the last colon is that separates, as those of `ns::name` do not; npos: none.
size_t last_colon(std::string_view text) {
  size_t at = text.rfind(':');
  while (at != std::string_view::npos && at > 0 && text[at - 1] == ':')
    at = at < 2 ? std::string_view::npos : text.rfind(':', at - 2);
  return at;
}

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

/// A slash that is none before a length.
bool has_path(std::string_view text) {
  const size_t slash = text.rfind('/');
  return slash != std::string_view::npos &&
         (!is_number(text.substr(slash + 1)) || text.find('/') != slash);
}

/// Takes `:rwx` off the end. What names a variable of a program is none: the only colon behind a
/// path, or other letters behind some.
std::string take_access(std::string_view& text, uint32_t& access) {
  const size_t colon = last_colon(text);
  if (colon == std::string_view::npos) return "";
  const std::string_view letters = text.substr(colon + 1);
  const std::string_view before = text.substr(0, colon);
  const bool is_last = last_colon(before) == std::string_view::npos;
  if (is_last && has_path(before)) return "";
  const bool are_letters = letters.find_first_not_of("rwx") == std::string_view::npos;
  if (!are_letters && !before.empty() && before.substr(0, 2) != "0x") return "";
  access = access_of(letters);
  text = before;
  if (access == 0 || ((access & HW_BREAKPOINT_X) != 0 && access != HW_BREAKPOINT_X))
    return std::string(kAccesses);
  return "";
}

/// Takes `/LEN` off the end.
std::string take_length(std::string_view& text, uint32_t& length_bytes) {
  const size_t slash = text.rfind('/');
  const size_t colon = last_colon(text);
  if (slash == std::string_view::npos || (colon != std::string_view::npos && slash < colon))
    return "";
  const std::string_view digits = text.substr(slash + 1);
  const auto [end, wrong] =
      std::from_chars(digits.data(), digits.data() + digits.size(), length_bytes);
  const bool is_length =
      length_bytes == 1 || length_bytes == 2 || length_bytes == 4 || length_bytes == 8;
  if (wrong != std::errc() || end != digits.data() + digits.size() || !is_length)
    return "the length of a memory breakpoint is 1, 2, 4 or 8";
  text = text.substr(0, slash);
  return "";
}

/// What is left: an address, a symbol, or a program and its variable.
std::string take_place(std::string_view text, MemoryPlace& out) {
  const size_t colon = last_colon(text);
  if (colon != std::string_view::npos) {
    out.program = std::string(text.substr(0, colon));
    out.symbol = std::string(text.substr(colon + 1));
    return out.program.empty() || out.symbol.empty() ? "it names no variable: PATH:VARIABLE" : "";
  }
  if (has_path(text)) return "a variable of a program is written PATH:VARIABLE";
  if (text.empty()) return "it names no memory";
  if (text.substr(0, 2) != "0x") {
    out.symbol = std::string(text);
    return "";
  }
  const std::string_view digits = text.substr(2);
  const auto [end, wrong] =
      std::from_chars(digits.data(), digits.data() + digits.size(), out.address, 16);
  if (wrong == std::errc() && end == digits.data() + digits.size()) return "";
  return fmt::format("'{}' is no address", text);
}

}  // namespace

MemoryPlace parse_memory_place(std::string_view text) {
  MemoryPlace out;
  out.access = HW_BREAKPOINT_W;
  std::string_view rest = text;
  std::string wrong = take_access(rest, out.access);
  if (wrong.empty() && !has_path(rest.substr(last_colon(rest) + 1)))
    wrong = take_length(rest, out.length_bytes);
  if (wrong.empty()) wrong = take_place(rest, out);
  const bool runs = out.access == HW_BREAKPOINT_X;
  if (wrong.empty() && runs && out.length_bytes != 0) wrong = "one for x has no length";
  if (runs || (out.length_bytes == 0 && out.program.empty())) out.length_bytes = sizeof(long);
  if (!wrong.empty()) out.error = fmt::format("'{}': {}", text, wrong);
  return out;
}

namespace {

/// A variable of a program, and where its process has it.
struct ProgramVariable {
  std::shared_ptr<Event> event;
  std::string path;
  sys::FileIdentity file;
  symbol::LoadPlace load;
  uint64_t address = 0;  ///< as `nm` prints it
};

class MemoryBreakpoints final : public Provider {
 public:
  void set_target(pid_t pid) override {
    target_ = pid;
    files_.set_target(pid);
  }
  bool wants_process() const override { return target_ == 0 && !variables_.empty(); }
  Result<void> set_process(pid_t pid) override;
  void include(const Pattern& pattern, Matches* out) override;
  void list(std::string_view glob, std::vector<std::string>* out) override {
    (void)glob;
    (void)out;  // there is no end of them
  }
  bool is_same_place(const Event& a, const Event& b) const override {
    return places_.at(&a) == places_.at(&b);
  }

 private:
  std::string find_symbol(MemoryPlace& place);
  std::string why_no_file(const MemoryPlace& place, const Error& error);
  std::string find_variable(MemoryPlace& place, ProgramVariable& variable);
  Result<void> place(const ProgramVariable& variable, pid_t pid,
                     const symbol::ProcessMaps& maps) const;
  std::string make(const std::string& name, EventPtr& event);
  static std::string place_text(const Event& event, const sys::FileIdentity& file);

  pid_t target_ = 0;
  ProgramFiles files_;
  std::optional<symbol::Kallsyms> symbols_;
  std::map<std::string, EventPtr> known_;
  std::map<const Event*, std::string> places_;  // of known_: the same of all ways to write one
  std::vector<ProgramVariable> variables_;
};

/// Whose memory, where, how much, which access. `file`: whose address it is; none: a process's, or
/// the kernel's.
std::string MemoryBreakpoints::place_text(const Event& event, const sys::FileIdentity& file) {
  return fmt::format("{}:{} {:#x}/{}:{}", file.device, file.inode, event.perf.address,
                     event.perf.length_bytes, event.perf.access);
}

/// "" or what is wrong.
std::string MemoryBreakpoints::find_symbol(MemoryPlace& place) {
  if (!symbols_) {
    Result<symbol::Kallsyms> read = symbol::Kallsyms::read();
    if (!read.ok()) return read.error().message;
    symbols_ = std::move(read).value();
  }
  if (const Result<void> shown = symbols_->check_addresses(); !shown.ok())
    return shown.error().message;
  const std::vector<symbol::KernelSymbol> found = symbols_->find(place.symbol);
  if (found.empty())
    return fmt::format(
        "the kernel lists no symbol '{}'; an address is written 0x…, a variable of a program "
        "PATH:NAME",
        place.symbol);
  if (found.size() > 1)
    return fmt::format("the kernel has {} symbols '{}'; write the address", found.size(),
                       place.symbol);
  place.address = found.front().address;
  return "";
}

/// Of `PATH:VARIABLE:q` PATH:VARIABLE is no file, and `q` was to be the access.
std::string MemoryBreakpoints::why_no_file(const MemoryPlace& place, const Error& error) {
  const size_t colon = last_colon(place.program);
  if (colon == std::string::npos || !files_.open(place.program.substr(0, colon)).ok())
    return error.message;
  return fmt::format("'{}' is no access: {}", printable(place.symbol), kAccesses);
}

/// As the file has it. "" or what is wrong.
std::string MemoryBreakpoints::find_variable(MemoryPlace& place, ProgramVariable& variable) {
  const Result<const symbol::ElfFile*> file = files_.open(place.program);
  if (!file.ok()) return why_no_file(place, file.error());
  std::vector<symbol::VariableSymbol> found;
  if (place.access == HW_BREAKPOINT_X) {
    for (const symbol::FunctionSymbol& function : file.value()->find(place.symbol))
      found.push_back({function.address, function.size_bytes, false});
    if (found.empty()) return file.value()->why_missing(place.symbol);
  } else {
    found = file.value()->find_variables(place.symbol);
    if (found.empty() && !file.value()->find(place.symbol).empty())
      return fmt::format(
          "'{0}' is a function of {1}, no variable; mem:{1}:{0}:x happens when it is called",
          printable(place.symbol), printable(file.value()->path()));
    if (found.empty()) return file.value()->why_no_variable(place.symbol);
  }
  if (found.size() > 1) {
    std::string places;
    for (const symbol::VariableSymbol& one : found)
      places += fmt::format("{}{:#x}", places.empty() ? "" : ", ", one.address);
    return fmt::format(
        "{} has {} places '{}' ({}), and no way to tell which is meant: in a process "
        "that runs write where one is, mem:0x…",
        file.value()->path(), found.size(), place.symbol, places);
  }
  if (found.front().is_thread_local)
    return fmt::format("'{}' is a variable that each thread has its own of; it has no address",
                       place.symbol);
  if (place.length_bytes == 0) {
    const uint64_t size = found.front().size_bytes;
    const bool is_word = size == 1 || size == 2 || size == 4 || size == 8;
    place.length_bytes = is_word ? static_cast<uint32_t>(size) : uint32_t{sizeof(long)};
  }
  variable.address = place.address = found.front().address;
  variable.path = file.value()->path();
  variable.file = file.value()->identity();
  variable.load = file.value()->image().load_place().value_or(symbol::LoadPlace());
  return "";
}

/// Where the process has it. Errors: it has not mapped the file.
Result<void> MemoryBreakpoints::place(const ProgramVariable& variable, pid_t pid,
                                      const symbol::ProcessMaps& maps) const {
  const std::optional<uint64_t> base = maps.base_of(variable.file, variable.load);
  if (base) {
    variable.event->perf.address = *base + variable.address;
    return {};
  }
  if (target_ != 0) {
    const std::string old = symbol::deleted_file(pid, variable.path);
    return Error{fmt::format("process {} has not mapped {}{}", pid, variable.path,
                             old.empty() ? ""
                                         : ": what it runs has been deleted, or replaced, "
                                           "since it began; that is " +
                                               old),
                 0};
  }
  return Error{fmt::format("mem:{}: the command does not begin with {} mapped; what it maps later "
                           "is traced while it runs, with -p PID",
                           variable.event->name, variable.path),
               0};
}

Result<void> MemoryBreakpoints::set_process(pid_t pid) {
  if (variables_.empty()) return {};
  KTAP_ASSIGN(const symbol::ProcessMaps maps, symbol::ProcessMaps::read(pid));
  for (const ProgramVariable& variable : variables_) KTAP_TRY(place(variable, pid, maps));
  return {};
}

/// "" or what is wrong.
std::string MemoryBreakpoints::make(const std::string& name, EventPtr& event) {
  MemoryPlace place = parse_memory_place(name);
  if (!place.error.empty()) return place.error;
  ProgramVariable variable;
  std::string wrong;
  if (!place.program.empty()) {
    wrong = find_variable(place, variable);
  } else if (!place.symbol.empty()) {
    wrong = find_symbol(place);
  }
  if (!wrong.empty()) return wrong;
  if (place.access == HW_BREAKPOINT_R && !kReadsAlone)
    return "this machine's processors do not tell reads from writes: write rw";
  if (place.access != HW_BREAKPOINT_X && place.address % place.length_bytes != 0)
    return fmt::format(
        "{:#x} is no multiple of the {} bytes that are looked at{}", place.address,
        place.length_bytes,
        place.length_bytes == sizeof(long) ? "; fewer are written /1, /2 or /4" : "");
  auto made = std::make_shared<Event>();
  made->system = "mem";
  made->name = name;
  made->kind = schema::EventKind::Sample;
  made->fields = {register_field("ip", schema::Fetch::Base::Address),
                  register_field("addr", schema::Fetch::Base::Accessed)};
  made->perf.type = PERF_TYPE_BREAKPOINT;
  made->perf.address = place.address;
  made->perf.length_bytes = place.length_bytes;
  made->perf.access = place.access;
  sys::FileIdentity file = variable.file;
  if (!place.program.empty()) {
    variable.event = made;
    variables_.push_back(std::move(variable));
    if (target_ != 0) {
      if (const Result<void> placed = set_process(target_); !placed.ok()) {
        variables_.pop_back();
        return placed.error().message;
      }
      file = {};  // it is an address of the process
    }
  }
  places_.emplace(made.get(), place_text(*made, file));
  event = std::move(made);
  return "";
}

void MemoryBreakpoints::include(const Pattern& pattern, Matches* out) {
  const std::string name = pattern.text.substr(std::string_view("mem:").size());
  if (has_glob(name)) {
    out->mistakes.push_back(mistake(
        pattern,
        "memory breakpoints are written, not listed: mem:ADDRESS, as in mem:0xffff888000000000,"
        " mem:SYMBOL of the kernel, or mem:PATH:VARIABLE. Each is for one place, without a glob: "
        "several are written in a list"));
    return;
  }
  const auto known = known_.find(name);
  EventPtr event = known != known_.end() ? known->second : nullptr;
  if (event == nullptr) {
    const std::string wrong = make(name, event);
    if (!wrong.empty()) {
      out->mistakes.push_back(mistake(pattern, wrong));
      return;
    }
    known_.emplace(name, event);
  }
  const bool is_there =
      std::any_of(out->events.begin(), out->events.end(), [&](const EventPtr& other) {
        const auto place = places_.find(other.get());
        return place != places_.end() && place->second == places_.at(event.get());
      });
  if (!is_there) out->events.push_back(std::move(event));
}

}  // namespace

std::unique_ptr<Provider> memory_breakpoints() { return std::make_unique<MemoryBreakpoints>(); }

}  // namespace ktap::event
