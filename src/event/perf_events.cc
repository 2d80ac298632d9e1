// Samples of perf's generic events, `software:page-faults`, `hardware:cycles:1000`, and of a clock
// on every CPU, `profile-99hz`.
#include <fmt/format.h>
#include <linux/perf_event.h>

#include <map>
#include <string>
#include <utility>

#include "base/glob.h"
#include "diag/diagnostic.h"
#include "event/interval.h"
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
#include "event/perf_events.def"
#undef KTAP_PERF_EVENT
};

std::shared_ptr<Event> sample_event(std::string system, std::string name) {
  auto event = std::make_shared<Event>();
  event->system = std::move(system);
  event->name = std::move(name);
  event->kind = schema::EventKind::Sample;
  event->fields = {register_field("ip", schema::Fetch::Base::Address),
                   register_field("addr", schema::Fetch::Base::Accessed),
                   register_field("period", schema::Fetch::Base::Period)};
  return event;
}

class PerfEvents final : public Provider {
 public:
  explicit PerfEvents(std::string group) : group_(std::move(group)) {}

  void include(const Pattern& pattern, Matches* out) override;
  void list(std::string_view glob, std::vector<std::string>* out) override {
    for (const PerfEvent& perf : kPerfEvents) {
      if (perf.group != group_) continue;
      std::string full = fmt::format("{}:{}", group_, perf.name);
      if (glob.empty() || glob_match(glob, full) || glob_match(glob, perf.name))
        out->push_back(std::move(full));
    }
  }

 private:
  std::string group_;
  std::map<std::pair<std::string_view, uint64_t>, EventPtr> known_;
};

/// NAME or NAME:PERIOD; 0: the event's own period; nothing: no number.
std::optional<uint64_t> split_period(std::string_view& name) {
  const size_t colon = name.find(':');
  if (colon == std::string_view::npos) return 0;
  const std::string_view digits = name.substr(colon + 1);
  name = name.substr(0, colon);
  uint64_t period = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9' || period > UINT32_MAX) return std::nullopt;
    period = period * 10 + static_cast<uint64_t>(c - '0');
  }
  if (period == 0) return std::nullopt;
  return period;
}

void PerfEvents::include(const Pattern& pattern, Matches* out) {
  std::string_view name = std::string_view(pattern.text).substr(group_.size() + 1);
  const std::optional<uint64_t> period = split_period(name);
  if (!period) {
    out->mistakes.push_back(mistake(
        pattern, fmt::format("the period of '{}' is no number of at least 1", pattern.text)));
    return;
  }
  std::vector<std::string> names;
  bool found = false;
  for (const PerfEvent& perf : kPerfEvents) {
    if (perf.group != group_) continue;
    names.push_back(fmt::format("{}:{}", group_, perf.name));
    if (!glob_match(name, perf.name) && name != perf.other_name) continue;
    found = true;
    const uint64_t used = *period != 0 ? *period : perf.period;
    EventPtr& event = known_[{perf.name, used}];
    if (event == nullptr) {
      auto made = sample_event(group_, std::string(perf.name));
      made->perf.type = perf.type;
      made->perf.config = perf.config;
      made->perf.period = used;
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
      auto made = sample_event("profile", pattern.text);
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
  }
  field.fetch = {base, at};
  return field;
}

std::unique_ptr<Provider> software_events() { return std::make_unique<PerfEvents>("software"); }
std::unique_ptr<Provider> hardware_events() { return std::make_unique<PerfEvents>("hardware"); }
std::unique_ptr<Provider> profile_timers() { return std::make_unique<ProfileTimers>(); }

}  // namespace ktap::event
