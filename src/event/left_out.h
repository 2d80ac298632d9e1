// Functions that a pattern names and that cannot be probed, for what is said of them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace ktap::event {

class LeftOut {
 public:
  void add(std::string_view name, std::string why);
  size_t count() const { return names_.size(); }
  /// " a b c and 7 more".
  std::string names() const;
  /// Of the first one.
  const std::string& why() const { return why_; }

 private:
  std::vector<std::string> names_;
  std::string why_;
};

}  // namespace ktap::event
