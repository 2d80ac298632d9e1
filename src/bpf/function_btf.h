// The types that a kernel wants of a program whose functions are called back: BTF bytes that name
// each function, and say of which type each is. Of what they take and give the verifier believes
// its own eyes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ktap::bpf {

/// One entry of struct bpf_func_info: where a function begins, and its type.
struct FunctionInfo {
  uint32_t insn;
  uint32_t type;
};
static_assert(sizeof(FunctionInfo) == 8);

/// Fixed for all programs: an integer, and two functions without arguments that return one.
std::vector<uint8_t> btf_of_functions();
/// What that says of a program: its first function, then the callbacks.
std::vector<FunctionInfo> function_infos(const std::vector<uint32_t>& callbacks);

}  // namespace ktap::bpf
