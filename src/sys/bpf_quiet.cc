// Small things that all calls into libbpf share.
#include "sys/bpf_quiet.h"

#include <bpf/libbpf.h>

namespace ktap::sys {

void silence_libbpf() {
  static const bool done = [] {
    libbpf_set_print(nullptr);
    return true;
  }();
  static_cast<void>(done);
}

std::string kernel_name(std::string_view name) {
  constexpr size_t kMaxBytes = 15;  // BPF_OBJ_NAME_LEN - 1
  std::string out(name.substr(0, kMaxBytes));
  for (char& c : out) {
    const bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '_' || c == '.';
    if (!good) c = '_';
  }
  return out;
}

}  // namespace ktap::sys
