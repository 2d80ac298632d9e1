// The engines of the two placed sides. Both run programs when they are told to, one run after the
// other, as the actors' chosen thread on their chosen CPU; only attach() of the kernel's attaches.
#pragma once

#include <memory>

#include "backend/unit.h"
#include "engine/bpf_engine.h"
#include "handlers/sides.h"
#include "sys/bpf.h"

namespace ktap::differential {

class JudgedEngine : public engine::BpfEngine {
 public:
  /// Runs program `index` on a raw tracepoint's arguments. "" or what went wrong.
  virtual std::string run(size_t index, const std::vector<uint64_t>& arguments) = 0;

  Result<void> attach() override { return {}; }
  uint32_t unattached_handler() const override { return bpf::kNoHandler; }
  void detach() override {}
  int wake_fd() const override { return -1; }
  int program_fd(size_t) const override { return -1; }
  int map_fd(uint32_t) const override { return -1; }
};

/// What a refusal begins with that means the size of a program alone.
inline constexpr std::string_view kTooMuch = "too much: ";

/// On bpf::Machine. `unit` is copied.
std::unique_ptr<JudgedEngine> make_machine_engine(const backend::Unit& unit,
                                                  const bpf::KernelFacts& facts,
                                                  const Ground& ground);
/// In this kernel; after attach(), events come by themselves. Null with `refused` set, or an error
/// of the machine there.
std::unique_ptr<JudgedEngine> make_kernel_engine(const backend::Unit& unit, const Ground& ground,
                                                 std::string* refused);

/// The kernel's own address of the first byte of a map's value.
Result<uint64_t> kernel_address_of(const sys::Map& map);

}  // namespace ktap::differential
