// A flame graph as a picture: a self-contained SVG that a browser shows and lets explore. Each
// frame is a box as wide as its share, on top of its caller; a click makes a box the whole width, a
// search marks boxes and tells their share. Without a script (in an <img>) it is the whole graph
// with the browser's own tooltips. The idea is Brendan Gregg's (2011).
#pragma once

#include <string>
#include <string_view>

#include "output/flame.h"

namespace ktap::output {

/// Frames below a ten-thousandth of the whole are left out; the picture says how many. Colours go
/// by FrameKind, their shade by the name.
std::string flame_svg(const Flame& flame, std::string_view title);

}  // namespace ktap::output
