// Samples of perf's generic events, `software:page-faults`, `hardware:cycles:1000`,
// `cache:LLC-loads:99hz`, and of a clock on every CPU, `profile-99hz`.
#include <fmt/format.h>
#include <linux/perf_event.h>

#include <map>
#include <string>
#include <tuple>
#include <utility>

#include "base/glob.h"
#include "base/interval.h"
#include "base/limits.h"
#include "diag/diagnostic.h"
#include "event/provider.h"

namespace ktap::event {

namespace {

using schema::Event;
using schema::EventPtr;

struct PerfEvent {
  std::string_view group;
  std::string_view name;
  std::string_view other_name;
  uint32_t type;
  uint64_t config;
  uint64_t period;
};
constexpr PerfEvent kPerfEvents[] = {
#define KTAP_PERF_EVENT(group, name, other, type, config, period) \
  {group, name, other, type, config, period},
#define KTAP_PERF_CACHE(name, cache, operation, result)                    \
  {"cache",                                                                \
   name,                                                                   \
   "",                                                                     \
   PERF_TYPE_HW_CACHE,                                                     \
   PERF_COUNT_HW_CACHE_##cache | PERF_COUNT_HW_CACHE_OP_##operation << 8 | \
       PERF_COUNT_HW_CACHE_RESULT_##result << 16,                          \
   1000000},
#include "event/perf_events.def"
};

/// Of what was accessed. The kernel leaves the field of other samples as it was.
bool has_address(const PerfEvent& perf) {
  if (perf.type != PERF_TYPE_SOFTWARE) return false;
  switch (perf.config) {
    case PERF_COUNT_SW_PAGE_FAULTS:
    case PERF_COUNT_SW_PAGE_FAULTS_MIN:
    case PERF_COUNT_SW_PAGE_FAULTS_MAJ:
    case PERF_COUNT_SW_ALIGNMENT_FAULTS:
    case PERF_COUNT_SW_EMULATION_FAULTS:
      return true;
    default:
      return false;
  }
}

/// By its name, or to the letter by the one that perf also has for it.
bool is_called(const PerfEvent& perf, std::string_view glob) {
  return glob_match(glob, perf.name) || (!perf.other_name.empty() && glob == perf.other_name);
}

std::shared_ptr<Event> sample_event(std::string system, std::string name, bool with_address) {
  auto event = std::make_shared<Event>();
  event->system = std::move(system);
  event->name = std::move(name);
  event->kind = schema::EventKind::Sample;
  event->fields = {register_field("ip", schema::Fetch::Base::Address)};
  if (with_address) event->fields.push_back(register_field("addr", schema::Fetch::Base::Accessed));
  event->fields.push_back(register_field("period", schema::Fetch::Base::Period));
  return event;
}

class PerfEvents final : public Provider {
 public:
  explicit PerfEvents(std::string group) : group_(std::move(group)) {}

  void include(const Pattern& pattern, Matches* out) override;
  void list(std::string_view glob, std::vector<std::string>* out) override {
    const std::string head = group_ + ":";
    for (const PerfEvent& perf : kPerfEvents) {
      if (perf.group != group_) continue;
      std::string full = head + std::string(perf.name);
      const std::string_view name = glob.starts_with(head) ? glob.substr(head.size()) : glob;
      if (glob.empty() || glob_match(glob, full) || is_called(perf, name))
        out->push_back(std::move(full));
    }
  }

 private:
  std::string group_;
  std::map<std::tuple<std::string_view, uint64_t, bool>, EventPtr> known_;
};

constexpr uint64_t kSecondNs = 1000000000;

struct Rate {
  uint64_t number = 0;  ///< 0: the event's own period
  bool is_frequency = false;
  bool is_time = false;  ///< nanoseconds, of a clock alone
};

/// NAME, NAME:PERIOD, NAME:FREQUENCYhz or, of a clock, NAME:TIME (10ms); nothing: none of these.
std::optional<Rate> split_rate(std::string_view& name) {
  constexpr std::string_view kHertz = "hz";
  const size_t colon = name.find(':');
  if (colon == std::string_view::npos) return Rate{};
  Rate rate;
  std::string_view digits = name.substr(colon + 1);
  name = name.substr(0, colon);
  if (digits.size() > kHertz.size() && digits.substr(digits.size() - kHertz.size()) == kHertz) {
    rate.is_frequency = true;
    digits.remove_suffix(kHertz.size());
  }
  const bool has_unit = digits.find_first_not_of("0123456789") != std::string_view::npos;
  if (has_unit && !rate.is_frequency) {
    const Interval interval = parse_period(digits);
    if (!interval.error.empty()) return std::nullopt;
    rate.number = static_cast<uint64_t>(interval.ns);
    rate.is_time = true;
    return rate;
  }
  for (const char c : digits) {
    if (c < '0' || c > '9' || rate.number > UINT32_MAX) return std::nullopt;
    rate.number = rate.number * 10 + static_cast<uint64_t>(c - '0');
  }
  if (rate.number == 0) return std::nullopt;
  return rate;
}

bool is_clock(const PerfEvent& perf) {
  return perf.type == PERF_TYPE_SOFTWARE &&
         (perf.config == PERF_COUNT_SW_CPU_CLOCK || perf.config == PERF_COUNT_SW_TASK_CLOCK);
}

/// Samples of a clock: at a microsecond the machine does nothing else any more.
bool is_too_fast(const PerfEvent& perf, uint64_t rate, bool is_frequency) {
  return is_clock(perf) &&
         (is_frequency ? rate > kSecondNs / limits::kLeastClockNs : rate < limits::kLeastClockNs);
}

void PerfEvents::include(const Pattern& pattern, Matches* out) {
  std::string_view name = std::string_view(pattern.text).substr(group_.size() + 1);
  const std::optional<Rate> rate = split_rate(name);
  if (!rate) {
    out->mistakes.push_back(
        mistake(pattern,
                fmt::format("'{}': behind the second colon stands the period, a number of at "
                            "least 1, or a frequency, as in 99hz, or of a clock a time, as in 10ms",
                            pattern.text)));
    return;
  }
  std::vector<std::string> names;
  bool found = false;
  for (const PerfEvent& perf : kPerfEvents) {
    if (perf.group != group_) continue;
    names.push_back(fmt::format("{}:{}", group_, perf.name));
    if (!is_called(perf, name)) continue;
    found = true;
    if (rate->is_time && !is_clock(perf)) {
      out->mistakes.push_back(mistake(
          pattern, fmt::format("'{}': only the clocks (cpu-clock, task-clock) have a time as their "
                               "period; of others it is a number of events",
                               pattern.text)));
      return;
    }
    const uint64_t used = rate->number != 0 ? rate->number : perf.period;
    if (is_too_fast(perf, used, rate->is_frequency)) {
      out->mistakes.push_back(mistake(
          pattern, fmt::format("'{}' would stop each CPU {} times a second: {}", pattern.text,
                               rate->is_frequency ? used : kSecondNs / used,
                               rate->is_frequency
                                   ? fmt::format("at most {}hz", kSecondNs / limits::kLeastClockNs)
                                   : fmt::format("its period is in nanoseconds, at least {}",
                                                 limits::kLeastClockNs))));
      return;
    }
    EventPtr& event = known_[{perf.name, used, rate->is_frequency}];
    if (event == nullptr) {
      auto made = sample_event(group_, std::string(perf.name), has_address(perf));
      made->perf.type = perf.type;
      made->perf.config = perf.config;
      made->perf.period = used;
      made->perf.is_frequency = rate->is_frequency;
      made->perf.is_of_target = true;
      event = std::move(made);
    }
    out->events.push_back(event);
  }
  if (found) return;
  Mistake wrong = mistake(pattern, fmt::format("no event matches '{}'", pattern.text));
  wrong.nearest = diag::nearest(fmt::format("{}:{}", group_, name), names);
  out->mistakes.push_back(std::move(wrong));
}

class ProfileTimers final : public Provider {
 public:
  void include(const Pattern& pattern, Matches* out) override {
    const Interval interval = parse_interval(pattern.text);
    if (!interval.error.empty()) {
      out->mistakes.push_back(mistake(pattern, interval.error));
      return;
    }
    EventPtr& event = known_[pattern.text];
    if (event == nullptr) {
      auto made = sample_event("profile", pattern.text, false);
      made->perf.type = PERF_TYPE_SOFTWARE;
      made->perf.config = PERF_COUNT_SW_CPU_CLOCK;
      made->perf.period = interval.ns;
      event = std::move(made);
    }
    out->events.push_back(event);
  }
  void list(std::string_view glob, std::vector<std::string>* out) override {
    (void)glob;
    (void)out;  // there is no end of them
  }

 private:
  std::map<std::string, EventPtr> known_;
};

}  // namespace

schema::Field register_field(std::string name, schema::Fetch::Base base, int64_t at) {
  using Base = schema::Fetch::Base;
  schema::Field field;
  field.name = std::move(name);
  field.c_type = "long";
  field.is_signed = true;
  if (base == Base::Address || base == Base::Accessed) {
    field.c_type = "void *";
    field.kind = schema::FieldKind::Pointer;
    field.is_signed = false;
  } else if (base == Base::Period) {
    field.c_type = "u64";
    field.is_signed = false;
  } else if (base == Base::Result) {
    field.size_bytes = sizeof(long);  // so that errors are negative on machines of 4 bytes too
  }
  field.fetch = {base, at};
  return field;
}

std::unique_ptr<Provider> software_events() { return std::make_unique<PerfEvents>("software"); }
std::unique_ptr<Provider> hardware_events() { return std::make_unique<PerfEvents>("hardware"); }
std::unique_ptr<Provider> cache_events() { return std::make_unique<PerfEvents>("cache"); }
std::unique_ptr<Provider> profile_timers() { return std::make_unique<ProfileTimers>(); }

}  // namespace ktap::event
