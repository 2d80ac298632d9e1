// printf: renders arguments by the pieces of a format (base/printf_format.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/printf_format.h"
#include "runtime/value.h"

namespace ktap::runtime {

/// What lies at an address, for `%p`.
using AddressText = std::function<std::string(int64_t)>;

/// Appends the rendered text; `%p` shows plain numbers without `address_text`. False and `error`
/// set when an argument is missing, too many, or does not fit; then `out` holds a part.
bool render_format(const std::vector<FormatPiece>& pieces, const Value* args, size_t count,
                   std::string& out, std::string* error, const AddressText& address_text = {});
/// Parses and renders in one go.
bool render_format(std::string_view format, const Value* args, size_t count, std::string& out,
                   std::string* error);

}  // namespace ktap::runtime
