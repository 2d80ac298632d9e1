// What a marker's note says of its arguments → fields.
#pragma once

#include <cstdint>
#include <string_view>

#include "schema/event.h"
#include "symbol/usdt.h"

namespace ktap::event {

/// Argument `number`, from 1, with the note's width and sign; word_bytes: of an address there. One
/// that we cannot read is Opaque. Pure.
schema::Field marker_field(const symbol::UsdtArgument& argument, uint32_t number,
                           uint8_t word_bytes);

/// Does `[PROVIDER:]MARK`, which may be a glob, name it? Pure.
bool names_marker(std::string_view pattern, const symbol::UsdtProbe& probe);

}  // namespace ktap::event
