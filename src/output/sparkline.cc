// See sparkline.h.
#include "output/sparkline.h"

#include <algorithm>
#include <cmath>

namespace ktap::output {
namespace {

constexpr const char* kBars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
constexpr double kLast = 7;

}  // namespace

std::string sparkline(const std::vector<double>& numbers) {
  double low = 0;
  double high = 0;
  for (const double number : numbers) {
    if (!std::isfinite(number)) continue;
    low = std::min(low, number);
    high = std::max(high, number);
  }
  std::string text;
  for (const double number : numbers) {
    if (std::isnan(number)) {
      text += ' ';
      continue;
    }
    if (std::isinf(number)) {
      text += number > 0 ? kBars[7] : kBars[0];
      continue;
    }
    const double within = std::clamp(number, low, high);
    // Halved, so that the span of two huge numbers is finite.
    const double span = high / 2 - low / 2;
    const double share = span > 0 ? (within / 2 - low / 2) / span : 0;
    text += kBars[static_cast<int>(std::lround(share * kLast))];
  }
  return text;
}

}  // namespace ktap::output
