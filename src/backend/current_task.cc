// A call of a helper costs 8 ns, or 18 where the processor needs every return to be made safe; the
// same by loads 3. The kernel tells what the number of the CPU is and what the address is a pointer
// to without a call: it puts both into the program's own code.
#include "backend/current_task.h"

#include <cstring>

#include "base/check.h"

namespace ktap::backend {

using bpf::AluOp;
using bpf::Helper;
using bpf::Reg;
using bpf::Size;

namespace {

constexpr int32_t kAddressShift = 3;

/// R0 = R1 as a pointer to the type. The load through it cannot fault: what is not there is 0.
void cast(bpf::Assembler& code, const bpf::CurrentTasks& known, uint32_t type) {
  code.emit(bpf::mov64(Reg::R2, static_cast<int32_t>(type)));
  code.call_kernel(known.cast);
}

}  // namespace

void load_current_task(bpf::Assembler& code, UnitBuilder& unit, const bpf::KernelFacts& facts) {
  KTAP_CHECK(facts.has_task_btf);
  const bpf::CurrentTasks& known = facts.current_tasks;
  if (known.addresses.empty()) return code.call_helper(Helper::GetCurrentTaskBtf);
  size_t places = 1;
  while (places < known.addresses.size()) places *= 2;
  std::vector<uint8_t> addresses(places << kAddressShift);
  std::memcpy(addresses.data(), known.addresses.data(), known.addresses.size() << kAddressShift);
  code.call_helper(Helper::GetSmpProcessorId);
  code.emit(bpf::alu64(AluOp::And, Reg::R0, static_cast<int32_t>(places - 1)));
  code.emit(bpf::alu64(AluOp::Lsh, Reg::R0, kAddressShift));
  code.load_map_value(Reg::R1, unit.read_only_map(), unit.add_read_only(addresses));
  code.emit(bpf::alu64(AluOp::Add, Reg::R1, Reg::R0));
  code.emit(bpf::load(Size::DW, Reg::R1, Reg::R1, 0));
  cast(code, known, known.pointer);
  code.emit(bpf::load(Size::DW, Reg::R1, Reg::R0, 0));
  cast(code, known, known.task);
}

}  // namespace ktap::backend
