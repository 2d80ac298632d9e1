// Periods of timer events: a number and a unit, nothing else.
#include "base/interval.h"

#include <fmt/format.h>

#include <charconv>

#include "base/limits.h"

namespace ktap {

namespace {

constexpr uint64_t kNsPerSecond = 1000000000;
constexpr const char* kUnits = "ns, us (or usec), ms (msec), s (sec), min, h and hz";

struct Unit {
  std::string_view name;
  uint64_t ns;
};
constexpr Unit kTable[] = {
    {"ns", 1},
    {"us", 1000},
    {"usec", 1000},
    {"ms", 1000000},
    {"msec", 1000000},
    {"s", kNsPerSecond},
    {"sec", kNsPerSecond},
    {"min", 60 * kNsPerSecond},
    {"h", 3600 * kNsPerSecond},
};

Interval wrong(std::string text) { return Interval{0, std::move(text)}; }

bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

Interval parse_period(std::string_view text) {
  size_t digits = 0;
  while (digits < text.size() && is_digit(text[digits])) ++digits;
  if (digits == 0) {
    return wrong(fmt::format("'{}' is no period; it is a number and a unit, as in 10ms", text));
  }
  uint64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + digits, count);
  static_cast<void>(end);
  const std::string_view unit = text.substr(digits);
  if (const size_t comma = unit.find(','); comma != std::string_view::npos)
    return wrong(fmt::format("a timer (of '{}') stands alone, not in a list of events",
                             text.substr(0, digits + comma)));
  if (unit.empty()) return wrong(fmt::format("a unit is missing after {}: {}", text, kUnits));
  if (unit[0] == '.' && unit.size() > 1 && is_digit(unit[1])) {
    if (unit.find_first_not_of("0123456789", 1) == std::string_view::npos)
      return wrong(
          fmt::format("a unit is missing after {}, and it is no whole number: {}", text, kUnits));
    return wrong(
        fmt::format("{} is no whole number; write it in a smaller unit, as in 1500ms", text));
  }
  if (count == 0 && digits == 1 && unit.size() > 1 && (unit[0] == 'x' || unit[0] == 'X'))
    return wrong(fmt::format("{} is no decimal number; write it as in 16ms", text));
  if (error == std::errc() && count == 0)
    return wrong("a period of 0; write a number from 1 on, as in 10ms");
  if (unit == "hz") {
    if (error != std::errc() || count > kNsPerSecond) {
      return wrong(fmt::format("{} is more often than once a nanosecond", text));
    }
    return Interval{kNsPerSecond / count, ""};
  }
  for (const Unit& row : kTable) {
    if (row.name != unit) continue;
    if (error != std::errc() || count > static_cast<uint64_t>(INT64_MAX) / row.ns) {
      return wrong(fmt::format("{} is longer than 63 bits of nanoseconds", text));
    }
    return Interval{count * row.ns, ""};
  }
  return wrong(fmt::format("'{}' is no unit of time; units are {}", unit, kUnits));
}

Interval parse_interval(std::string_view text) {
  constexpr std::string_view kTick = "tick-";
  constexpr std::string_view kProfile = "profile-";
  if (text.starts_with(kTick)) return parse_period(text.substr(kTick.size()));
  if (text.starts_with(kProfile)) {
    Interval period = parse_period(text.substr(kProfile.size()));
    if (period.error.empty() && period.ns < limits::kLeastClockNs)
      return wrong(fmt::format("'{}' would stop each CPU {} times a second: at most profile-{}hz",
                               text, kNsPerSecond / period.ns,
                               kNsPerSecond / limits::kLeastClockNs));
    return period;
  }
  return wrong(fmt::format("'{}' is no timer; it is written tick-10ms or profile-99hz", text));
}

}  // namespace ktap
