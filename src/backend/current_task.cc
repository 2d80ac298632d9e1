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

/// R1 = where this CPU keeps the pointer to its task.
void load_place_of_task(bpf::Assembler& code, UnitBuilder& unit, const bpf::CurrentTasks& known) {
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
}

}  // namespace

void load_current_task(bpf::Assembler& code, UnitBuilder& unit, const bpf::KernelFacts& facts) {
  KTAP_CHECK(facts.has_task_btf);
  const bpf::CurrentTasks& known = facts.current_tasks;
  if (known.addresses.empty()) return code.call_helper(Helper::GetCurrentTaskBtf);
  load_place_of_task(code, unit, known);
  cast(code, known, known.pointer);
  code.emit(bpf::load(Size::DW, Reg::R1, Reg::R0, 0));
  cast(code, known, known.task);
}

void load_preempt_count(bpf::Assembler& code, UnitBuilder& unit, const bpf::KernelFacts& facts) {
  KTAP_CHECK(facts.has_preempt_count());
  if (const bpf::PreemptCount& count = facts.preempt_count; count.variable != 0) {
    code.load_variable(Reg::R1, count.variable);
    code.call_helper(Helper::ThisCpuPtr);
    return code.emit(bpf::load(Size::W, Reg::R0, Reg::R0, static_cast<int16_t>(count.offset)));
  }
  const bpf::CurrentTasks& known = facts.current_tasks;
  load_place_of_task(code, unit, known);
  code.emit(bpf::alu64(AluOp::Add, Reg::R1, known.to_preempt_count));
  cast(code, known, known.task);  // which begins with a number
  code.emit(bpf::load(Size::W, Reg::R0, Reg::R0, 0));
}

}  // namespace ktap::backend
