// Sparklines: a row of bars of eight heights, a letter a number.
#pragma once

#include <string>
#include <vector>

namespace ktap::output {

/// `▁▂▃▄▅▆▇█`: from the least to the greatest of the numbers, 0 among them. What is no number is a
/// blank.
std::string sparkline(const std::vector<double>& numbers);

}  // namespace ktap::output
