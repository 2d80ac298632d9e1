// libFuzzer target for the reader of BTF: any bytes as types and strings behind a header that fits,
// or as all of it.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "bpf/btf.h"

namespace {

void find(const std::vector<uint8_t>& bytes) {
  std::vector<ktap::bpf::BtfType> types = {{ktap::bpf::BtfKind::Func, "bpf_iter_num_new"},
                                           {ktap::bpf::BtfKind::Typedef, "btf_trace_sys_enter"}};
  std::vector<ktap::bpf::BtfMember> members = {{"task_struct", "pid"}, {"cred", "uid"}};
  ktap::bpf::find_in_btf(bytes.data(), bytes.size(), types, members);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  find(std::vector<uint8_t>(data, data + size));
  if (size < 4) return 0;
  const auto strings = static_cast<uint32_t>(data[0] % size);
  const uint32_t header[6] = {0x0001eb9f,
                              24,
                              0,
                              static_cast<uint32_t>(size) - strings,
                              static_cast<uint32_t>(size) - strings,
                              strings};
  std::vector<uint8_t> bytes(sizeof header + size);
  std::memcpy(bytes.data(), header, sizeof header);
  std::memcpy(bytes.data() + sizeof header, data, size);
  find(bytes);
  return 0;
}
