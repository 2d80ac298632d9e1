// Whether statements that are entered line by line are finished.
#pragma once

#include <string_view>

namespace ktap::syntax {

/// True when `text` can only be the beginning of something: a bracket, brace or long string is
/// open, or it ends with an operator or comma.
bool is_incomplete(std::string_view text);

}  // namespace ktap::syntax
