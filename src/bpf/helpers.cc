// Names of the helper functions, for the disassembler.
#include "bpf/helpers.h"

namespace ktap::bpf {

std::string_view helper_name(int32_t number) {
  switch (static_cast<Helper>(number)) {
#define KTAP_BPF_HELPER(enumerator, value, name) \
  case Helper::enumerator:                       \
    return name;
#include "bpf/helpers.def"
#undef KTAP_BPF_HELPER
  }
  return "";
}

}  // namespace ktap::bpf
