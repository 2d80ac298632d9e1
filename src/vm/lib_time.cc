// Library: the clocks and strftime.
#include "vm/time_text.h"

#include <algorithm>
#include <cstdint>
#include <ctime>
#include <string>

#include <fmt/core.h>

#include "base/printf_format.h"
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

/// Where the conversion that begins with the `%` at `at` ends: glibc's flags, a width, a modifier,
/// the letter. `width` gets the width, 0 when there is none.
size_t conversion_end(std::string_view format, size_t at, int64_t* width) {
  size_t i = at + 1;
  while (i < format.size() && std::string_view("_-0^#").find(format[i]) != std::string_view::npos)
    ++i;
  for (*width = 0; i < format.size() && format[i] >= '0' && format[i] <= '9'; ++i) {
    *width = std::min<int64_t>(*width * 10 + (format[i] - '0'), kMaxFormatWidth + 1);
  }
  if (i < format.size() && (format[i] == 'E' || format[i] == 'O')) ++i;
  return std::min(i + 1, format.size());
}

bool check_widths(NativeCall& call, std::string_view format) {
  for (size_t i = format.find('%'); i < format.size(); i = format.find('%', i)) {
    int64_t width = 0;
    i = conversion_end(format, i, &width);
    if (width > kMaxFormatWidth) {
      return call.machine.fail(
          fmt::format("a width in the format of 'strftime' is over {}", kMaxFormatWidth));
    }
  }
  return true;
}

/// strftime without the local zone: `%s` would go through it, so it is replaced before.
std::string format_utc(std::string_view format, int64_t seconds) {
  std::string prepared;
  for (size_t i = 0; i < format.size();) {
    int64_t width = 0;
    size_t end = format[i] == '%' ? conversion_end(format, i, &width) : i + 1;
    if (format[i] == '%' && format[end - 1] == 's') {
      prepared += std::to_string(seconds);
    } else {
      prepared += format.substr(i, end - i);
    }
    i = end;
  }
  return time_text(prepared, utc_time(seconds));
}

}  // namespace

std::string time_text(std::string_view format, const tm& time) {
  std::string terminated(format);
  terminated += ' ';  // so that the text is never empty and 0 means that it did not fit
  std::string out(64 + 2 * terminated.size(), '\0');
  size_t length = 0;
  while ((length = std::strftime(out.data(), out.size(), terminated.c_str(), &time)) == 0)
    out.resize(out.size() * 2);
  out.resize(length - 1);
  return out;
}

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
  if (!check_widths(call, format)) return false;
  bool utc = !format.empty() && format[0] == '!';
  if (utc) format.remove_prefix(1);
  int64_t seconds = time_ns / kNsPerSecond - (time_ns % kNsPerSecond < 0 ? 1 : 0);
  std::string out;
  while (true) {  // C's strftime would end at a NUL byte
    std::string_view part = format.substr(0, format.find('\0'));
    out += utc ? format_utc(part, seconds) : call.machine.host().local_time(part, time_ns);
    if (part.size() == format.size()) break;
    out += '\0';
    format.remove_prefix(part.size() + 1);
  }
  return call.fits(out.size()) && call.give(out);
}

}  // namespace lib
}  // namespace ktap::vm
