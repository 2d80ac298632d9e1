// Numbers with a unit, short: three digits that count, and the prefix that fits.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ktap::output {

enum class Unit : uint8_t {
  None,         ///< the number as it is
  Count,        ///< 999, 12.3k, 4.56M
  Bytes,        ///< 512 B, 1.50 KiB
  Nanoseconds,  ///< 850 ns, 1.50 us, 12.3 ms, 4.56 s
  Microseconds,
  Milliseconds,
  Seconds,
};

/// "count", "bytes", "ns", "us", "ms", "s"; nothing for another word.
std::optional<Unit> unit_named(std::string_view name);
/// All of them, for messages.
extern const std::string_view kUnitNames;

/// Requires a unit that is not None.
std::string with_unit(double number, Unit unit);

}  // namespace ktap::output
