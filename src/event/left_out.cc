// See left_out.h.
#include "event/left_out.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace ktap::event {

void LeftOut::add(std::string_view name, std::string why) {
  if (names_.empty()) why_ = std::move(why);
  names_.emplace_back(name);
}

std::string LeftOut::names() const {
  constexpr size_t kMostNamed = 20;
  std::string text;
  for (size_t i = 0; i < std::min(names_.size(), kMostNamed); ++i) text += " " + names_[i];
  if (names_.size() > kMostNamed) text += fmt::format(" and {} more", names_.size() - kMostNamed);
  return text;
}

}  // namespace ktap::event
