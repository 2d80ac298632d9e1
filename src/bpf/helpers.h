// The kernel's helper functions: one enum from helpers.def, whose values are the numbers of the
// call instruction.
#pragma once

#include <cstdint>
#include <string_view>

namespace ktap::bpf {

enum class Helper : int32_t {
#define KTAP_BPF_HELPER(enumerator, number, name) enumerator = number,
#include "bpf/helpers.def"
#undef KTAP_BPF_HELPER
};

// Flags of the helpers.
constexpr int32_t kUpdateAny = 0, kUpdateNoExist = 1, kUpdateExist = 2;  ///< map_update_elem
constexpr int32_t kRingNoWakeup = 1, kRingForceWakeup = 2;               ///< ringbuf_submit

/// "map_lookup_elem", or "" for a number that helpers.def does not list.
std::string_view helper_name(int32_t number);

}  // namespace ktap::bpf
