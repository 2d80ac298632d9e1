// Memory breakpoints, `mem:ADDR[/LEN][:rwx]`: the processor stops at the access. An address is the
// kernel's or a process's by where it lies; a name is the kernel's.
#include "event/memory_breakpoints.h"

#include <fmt/format.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>

#include <charconv>
#include <map>
#include <optional>

#include "base/glob.h"
#include "event/provider.h"
#include "symbol/kallsyms.h"

namespace ktap::event {

using schema::Event;
using schema::EventPtr;

namespace {

#if defined(__x86_64__) || defined(__i386__)
constexpr bool kReadsAlone = false;
#else
constexpr bool kReadsAlone = true;
#endif

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

/// A path and a name.
MemoryPlace of_program(MemoryPlace place, const std::string& whole) {
  place.error = fmt::format(
      "'{}': the variables of programs are not found by name yet; write the address, mem:0x…, with "
      "-p PID or -- CMD",
      whole);
  return place;
}

}  // namespace

MemoryPlace parse_memory_place(std::string_view text) {
  MemoryPlace out;
  const std::string whole(text);
  uint32_t length = 0;
  out.access = HW_BREAKPOINT_W;
  if (const size_t colon = text.rfind(':'); colon != std::string_view::npos) {
    out.access = access_of(text.substr(colon + 1));
    text = text.substr(0, colon);
    const bool executes = (out.access & HW_BREAKPOINT_X) != 0;
    if (out.access == 0 || (executes && out.access != HW_BREAKPOINT_X)) {
      out.error = fmt::format("'{}': a memory breakpoint is for w, rw, r or x", whole);
      if (out.access == 0 && text.substr(0, 2) != "0x")
        out.error += "; the variables of programs are not found by name yet";
      return out;
    }
  }
  if (text.find(':') != std::string_view::npos || text.find('/') < text.rfind('/') ||
      text.substr(0, 1) == "/")
    return of_program(std::move(out), whole);
  if (const size_t slash = text.rfind('/'); slash != std::string_view::npos) {
    const std::string_view digits = text.substr(slash + 1);
    const auto [end, wrong] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
    const bool is_length = length == 1 || length == 2 || length == 4 || length == 8;
    if (wrong != std::errc() || end != digits.data() + digits.size() || !is_length) {
      out.error = fmt::format("'{}': the length of a memory breakpoint is 1, 2, 4 or 8", whole);
      return out;
    }
    text = text.substr(0, slash);
  }
  if (out.access == HW_BREAKPOINT_X) {
    if (length != 0) out.error = fmt::format("'{}': one for x has no length", whole);
    length = sizeof(long);
  }
  out.length_bytes = length != 0 ? length : sizeof(long);
  if (text.substr(0, 2) == "0x") {
    const std::string_view digits = text.substr(2);
    const auto [end, wrong] =
        std::from_chars(digits.data(), digits.data() + digits.size(), out.address, 16);
    if (wrong != std::errc() || end != digits.data() + digits.size())
      out.error = fmt::format("'{}' is no address", text);
  } else if (text.empty()) {
    out.error = fmt::format("'{}' names no memory", whole);
  } else {
    out.symbol = std::string(text);
  }
  return out;
}

namespace {

class MemoryBreakpoints final : public Provider {
 public:
  void include(const Pattern& pattern, Matches* out) override;
  void list(std::string_view glob, std::vector<std::string>* out) override {
    (void)glob;
    (void)out;  // there is no end of them
  }

 private:
  std::string find_symbol(MemoryPlace& place);

  std::optional<symbol::Kallsyms> symbols_;
  std::map<std::string, EventPtr> known_;
};

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
    return fmt::format("the kernel lists no symbol '{}'; an address is written 0x…", place.symbol);
  if (found.size() > 1)
    return fmt::format("the kernel has {} symbols '{}'; write the address", found.size(),
                       place.symbol);
  place.address = found.front().address;
  return "";
}

void MemoryBreakpoints::include(const Pattern& pattern, Matches* out) {
  const std::string name = pattern.text.substr(std::string_view("mem:").size());
  if (has_glob(name)) {
    out->mistakes.push_back(mistake(
        pattern,
        "memory breakpoints are written, not listed: mem:ADDRESS, as in mem:0xffff888000000000,"
        " or mem:SYMBOL of the kernel"));
    return;
  }
  EventPtr& event = known_[name];
  if (event == nullptr) {
    MemoryPlace place = parse_memory_place(name);
    std::string wrong = place.error;
    if (wrong.empty() && !place.symbol.empty()) wrong = find_symbol(place);
    if (wrong.empty() && place.access == HW_BREAKPOINT_R && !kReadsAlone)
      wrong = "this machine's processors do not tell reads from writes: write rw";
    if (wrong.empty() && place.access != HW_BREAKPOINT_X &&
        place.address % place.length_bytes != 0) {
      wrong =
          fmt::format("{:#x} is no multiple of its {} bytes", place.address, place.length_bytes);
    }
    if (!wrong.empty()) {
      known_.erase(name);
      out->mistakes.push_back(mistake(pattern, wrong));
      return;
    }
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
    event = std::move(made);
  }
  out->events.push_back(event);
}

}  // namespace

std::unique_ptr<Provider> memory_breakpoints() { return std::make_unique<MemoryBreakpoints>(); }

}  // namespace ktap::event
