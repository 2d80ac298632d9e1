// See units.h.
#include "output/units.h"

#include <cmath>
#include <cstddef>

#include <fmt/format.h>

#include "runtime/text.h"

namespace ktap::output {
namespace {

struct Ladder {
  double step;
  size_t count;
  const char* names[7];
};

constexpr Ladder kCounts = {1000, 7, {"", "k", "M", "G", "T", "P", "E"}};
constexpr Ladder kBytes = {1024, 7, {" B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB"}};
constexpr Ladder kTimes = {1000, 5, {" ps", " ns", " us", " ms", " s", "", ""}};

constexpr double kTooLong = 1e15;  // to be written out

/// Three digits that count, as long as there are no more before the point.
std::string three_digits(double number) {
  const double size = std::fabs(number);
  if (size >= kTooLong) return fmt::format("{:.3g}", number);
  // What would be rounded up to the next digit has one less behind the point.
  if (size >= 99.95) return fmt::format("{:.0f}", number);
  return fmt::format("{:.{}f}", number, size >= 9.995 ? 1 : 2);
}

std::string climb(double number, const Ladder& ladder, size_t rung) {
  if (!std::isfinite(number)) return runtime::float_text(number);
  const bool is_whole = number == std::floor(number) && std::fabs(number) < kTooLong;
  const size_t first = rung;
  while (rung + 1 < ladder.count && std::fabs(number) >= ladder.step - 0.5) {
    number /= ladder.step;
    ++rung;
  }
  while (rung > 0 && number != 0 && std::fabs(number) < 0.9995) {
    number *= ladder.step;
    --rung;
  }
  const std::string digits =
      rung == first && is_whole ? fmt::format("{:.0f}", number) : three_digits(number);
  return digits + ladder.names[rung];
}

}  // namespace

const std::string_view kUnitNames = "bytes, count, ms, ns, s, us";

std::optional<Unit> unit_named(std::string_view name) {
  if (name == "count") return Unit::Count;
  if (name == "bytes") return Unit::Bytes;
  if (name == "ns") return Unit::Nanoseconds;
  if (name == "us") return Unit::Microseconds;
  if (name == "ms") return Unit::Milliseconds;
  if (name == "s") return Unit::Seconds;
  return std::nullopt;
}

std::string with_unit(double number, Unit unit) {
  switch (unit) {
    case Unit::None:
      break;
    case Unit::Count:
      return climb(number, kCounts, 0);
    case Unit::Bytes:
      return climb(number, kBytes, 0);
    case Unit::Nanoseconds:
      return climb(number, kTimes, 1);
    case Unit::Microseconds:
      return climb(number, kTimes, 2);
    case Unit::Milliseconds:
      return climb(number, kTimes, 3);
    case Unit::Seconds:
      return climb(number, kTimes, 4);
  }
  return fmt::format("{}", number);
}

}  // namespace ktap::output
