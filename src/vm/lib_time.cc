// Library: the clocks and strftime.
#include <cstdint>
#include <ctime>
#include <string>

#include <fmt/core.h>

#include "schema/builtin_vars.h"
#include "vm/library.h"

namespace ktap::vm {
namespace {

using runtime::Value;

constexpr int64_t kNsPerSecond = 1000000000;

bool give_time(NativeCall& call, int64_t unit_ns) {
  return call.give(Value::of(call.machine.host().now_ns(Clock::Realtime) / unit_ns));
}

/// Days since 1970-01-01 as a date of the Gregorian calendar (Hinnant, "chrono-Compatible Low-Level
/// Date Algorithms": years that begin in March put the leap day last).
void civil_from_days(int64_t days, std::tm* tm) {
  days += 719468;
  int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  int64_t day_of_era = days - era * 146097;
  int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  int64_t shifted_month = (5 * day_of_year + 2) / 153;
  int64_t month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
  int64_t year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
  tm->tm_year = static_cast<int>(year - 1900);
  tm->tm_mon = static_cast<int>(month - 1);
  tm->tm_mday = static_cast<int>(day_of_year - (153 * shifted_month + 2) / 5 + 1);
  bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  static constexpr int kBefore[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
  tm->tm_yday = kBefore[tm->tm_mon] + tm->tm_mday - 1 + (leap && month > 2 ? 1 : 0);
}

std::tm utc_time(int64_t seconds) {
  std::tm tm{};
  int64_t days = seconds / 86400;
  int64_t rest = seconds % 86400;
  if (rest < 0) {
    rest += 86400;
    --days;
  }
  civil_from_days(days, &tm);
  tm.tm_hour = static_cast<int>(rest / 3600);
  tm.tm_min = static_cast<int>(rest / 60 % 60);
  tm.tm_sec = static_cast<int>(rest % 60);
  tm.tm_wday = static_cast<int>(((days + 4) % 7 + 7) % 7);
  tm.tm_gmtoff = 0;
  tm.tm_zone = "UTC";
  return tm;
}

/// strftime without the local zone: `%s` would go through it, so it is replaced before.
std::string format_utc(std::string_view format, int64_t seconds) {
  std::string prepared;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] == '%' && i + 1 < format.size()) {
      ++i;
      prepared += format[i] == 's' ? std::to_string(seconds) : std::string("%") + format[i];
    } else {
      prepared += format[i];
    }
  }
  prepared += ' ';  // so that the result is never empty and 0 means that it did not fit
  std::tm tm = utc_time(seconds);
  std::string out(64 + prepared.size(), '\0');
  size_t length = 0;
  while ((length = std::strftime(out.data(), out.size(), prepared.c_str(), &tm)) == 0)
    out.resize(out.size() * 2);
  out.resize(length - 1);
  return out;
}

}  // namespace

namespace lib {

bool GettimeofdayNs(NativeCall& call) { return give_time(call, 1); }
bool GettimeofdayUs(NativeCall& call) { return give_time(call, 1000); }
bool GettimeofdayMs(NativeCall& call) { return give_time(call, 1000000); }
bool GettimeofdayS(NativeCall& call) { return give_time(call, kNsPerSecond); }

bool PrintTraceClock(NativeCall& call) {
  Value ns;
  if (!call.machine.event_var(schema::BuiltinVar::Ns, &ns)) return false;
  call.machine.host().write(
      fmt::format("{}.{:06}\n", ns.integer / kNsPerSecond, ns.integer % kNsPerSecond / 1000));
  return true;
}

bool Strftime(NativeCall& call) {
  std::string_view format;
  int64_t time_ns = 0;
  if (!call.string_arg("strftime", 0, &format) || !call.integer_arg("strftime", 1, &time_ns))
    return false;
  if (format.empty() || format[0] != '!')
    return call.give(call.machine.host().local_time(format, time_ns));
  int64_t seconds = time_ns / kNsPerSecond - (time_ns % kNsPerSecond < 0 ? 1 : 0);
  return call.give(format_utc(format.substr(1), seconds));
}

}  // namespace lib
}  // namespace ktap::vm
