// See current_tasks.h.
#include "engine/current_tasks.h"

#include <cstring>
#include <optional>
#include <vector>

#include "base/check.h"
#include "bpf/assembler.h"
#include "bpf/btf.h"
#include "sys/bpf.h"

namespace ktap::engine {

namespace {

using bpf::Helper;
using bpf::Insn;
using bpf::JumpOp;
using bpf::Reg;
using bpf::Size;

#if defined(__x86_64__)
constexpr bool kHasThem = true;
#else
constexpr bool kHasThem = false;
#endif

/// What BTF says.
struct Known {
  bpf::CurrentTasks types;
  uint32_t array = 0;         // id of struct bpf_array
  int32_t array_offset = 0;   // in that: of what each CPU's entry is computed from
  int32_t task_from_cpu = 0;  // from the variable with the CPU's number to the one with its task
};

/// The struct of what a CPU often needs, 6.2 to 6.14: the task, then the count.
constexpr int32_t kHotCountOffset = 8;

/// Also which variable has the count, whatever becomes of the rest.
std::optional<Known> read_btf(const uint8_t* btf, size_t btf_bytes, bpf::PreemptCount& count) {
  std::vector<bpf::BtfType> types = {{bpf::BtfKind::Func, "bpf_rdonly_cast"},
                                     {bpf::BtfKind::Struct, "list_head"},
                                     {bpf::BtfKind::Struct, "task_struct"},
                                     {bpf::BtfKind::Struct, "bpf_array"}};
  // The union behind it has the map's content, or the pointers to that of each CPU.
  std::vector<bpf::BtfMember> members = {{"bpf_array", "aux"}};
  std::vector<bpf::BtfVariable> variables = {
      {"current_task"}, {"cpu_number"}, {"__preempt_count"}, {"pcpu_hot"}};
  if (!bpf::find_in_btf(btf, btf_bytes, types, members, &variables)) return std::nullopt;
  count = variables[2].id != 0 ? bpf::PreemptCount{variables[2].id, 0}
                               : bpf::PreemptCount{variables[3].id, kHotCountOffset};
  for (const bpf::BtfType& type : types) {
    if (type.id == 0) return std::nullopt;
  }
  if (members[0].offset_bytes < 0 || variables[0].offset_bytes < 0 ||
      variables[1].offset_bytes < 0) {
    return std::nullopt;
  }
  Known known;
  known.types.cast = types[0].id;
  known.types.pointer = types[1].id;
  known.types.task = types[2].id;
  known.array = types[3].id;
  known.array_offset = members[0].offset_bytes + static_cast<int32_t>(sizeof(uint64_t));
  known.task_from_cpu = variables[0].offset_bytes - variables[1].offset_bytes;
  if (variables[2].offset_bytes >= 0)
    known.types.to_preempt_count = variables[2].offset_bytes - variables[0].offset_bytes;
  return known;
}

std::optional<sys::UniqueFd> load(bpf::Assembler& code, const std::vector<int>& maps = {}) {
  bpf::Program program;
  if (!code.finish(program).ok()) return std::nullopt;
  sys::LoadFailure failure;
  return sys::load_program("probe", bpf::ProgramKind::RawTracepoint,
                           program.relocated([&](uint32_t map) { return maps[map]; }), &failure);
}

/// R0 = R1 as a pointer to the type.
void cast(bpf::Assembler& code, const Known& known, uint32_t type) {
  code.emit(bpf::mov64(Reg::R2, static_cast<int32_t>(type)));
  code.call_kernel(known.types.cast);
}

/// The variable `cpu_number` as programs name it: which of the kernel's variables it is, the same
/// on every CPU. The kernel puts `r0 = the variable; r0 = this CPU's; r0 = its content` in place of
/// the call (6.10; struct pcpu_hot had the number before 6.15).
std::optional<uint64_t> variable_of_cpu_number() {
  bpf::Assembler code;
  code.call_helper(Helper::GetSmpProcessorId);
  code.emit(bpf::exit_insn());
  const std::optional<sys::UniqueFd> program = load(code);
  if (!program) return std::nullopt;
  const std::vector<Insn> run = sys::translated_code(program->get());
  // A move that adds where this CPU's variables are (BPF_ADDR_PERCPU in include/linux/filter.h).
  const Insn of_this_cpu =
      bpf::make_insn(bpf::mov64(Reg::R0, Reg::R0).code, Reg::R0, Reg::R0, -1, 0);
  if (run.size() != 4 || run[0] != bpf::mov64(Reg::R0, run[0].imm) || run[1] != of_this_cpu ||
      run[2] != bpf::load(Size::W, Reg::R0, Reg::R0, 0)) {
    return std::nullopt;
  }
  return static_cast<uint64_t>(int64_t{run[0].imm});
}

/// What is added to a variable to have that of each CPU: where a map has its entry on the CPU, less
/// what the map has for it. Empty: it cannot be found.
std::vector<uint64_t> bases_of_cpus(const Known& known, uint32_t cpu_count) {
  bpf::MapSpec spec;
  spec.name = "probe";
  spec.kind = bpf::MapKind::PercpuArray;
  const Result<sys::Map> entries = sys::Map::create(spec);
  spec.kind = bpf::MapKind::Array;
  spec.value_size_bytes = 2 * sizeof(uint64_t);
  const Result<sys::Map> found = sys::Map::create(spec);
  if (!entries.ok() || !found.ok()) return {};
  bpf::Assembler code;
  const bpf::Label out = code.make_label();
  code.emit(bpf::load(Size::DW, Reg::R3, Reg::R1, 0));  // the CPU
  code.emit(bpf::store(Size::W, Reg::R10, -4, 0));
  code.load_map(Reg::R1, 0);
  code.emit(bpf::mov64(Reg::R2, Reg::R10));
  code.emit(bpf::alu64(bpf::AluOp::Add, Reg::R2, -4));
  code.call_helper(Helper::MapLookupPercpuElem);
  code.jump_to_if(JumpOp::Eq, Reg::R0, 0, out);
  code.emit(bpf::mov64(Reg::R6, Reg::R0));
  code.load_map(Reg::R1, 0);
  cast(code, known, known.array);
  code.emit(bpf::mov64(Reg::R1, Reg::R0));
  code.emit(bpf::alu64(bpf::AluOp::Add, Reg::R1, known.array_offset));
  cast(code, known, known.types.pointer);
  code.emit(bpf::load(Size::DW, Reg::R2, Reg::R0, 0));
  code.load_map_value(Reg::R1, 1, 0);
  code.emit(bpf::store(Size::DW, Reg::R1, 0, Reg::R6));
  code.emit(bpf::store(Size::DW, Reg::R1, 8, Reg::R2));
  code.emit(bpf::mov64(Reg::R0, 1));
  code.bind(out);
  code.emit(bpf::exit_insn());
  const std::optional<sys::UniqueFd> program =
      load(code, {entries.value().fd(), found.value().fd()});
  if (!program) return {};
  std::vector<uint64_t> bases;
  for (uint32_t cpu = 0; cpu < cpu_count; ++cpu) {
    const Result<uint32_t> said = sys::run_once(program->get(), {cpu});
    const uint32_t key = 0;
    uint64_t at[2] = {};
    if (!said.ok() || said.value() != 1 || !found.value().lookup(&key, at)) return {};
    bases.push_back(at[0] - at[1]);
  }
  return bases;
}

/// Whether the pointers there are what the kernel says, on each CPU that is online.
bool are_current_tasks(const Known& known, const std::vector<uint64_t>& addresses) {
  bpf::Assembler code;
  const bpf::Label out = code.make_label();
  code.emit(bpf::load(Size::DW, Reg::R1, Reg::R1, 0));  // the address
  cast(code, known, known.types.pointer);
  code.emit(bpf::load(Size::DW, Reg::R6, Reg::R0, 0));
  code.call_helper(Helper::GetCurrentTask);
  code.emit(bpf::mov64(Reg::R1, Reg::R0));
  code.emit(bpf::mov64(Reg::R0, 1));
  code.jump_to_if(JumpOp::Eq, Reg::R1, Reg::R6, out);
  code.emit(bpf::mov64(Reg::R0, 0));
  code.bind(out);
  code.emit(bpf::exit_insn());
  const std::optional<sys::UniqueFd> program = load(code);
  const Result<std::vector<int>> online = sys::online_cpus();
  if (!program || !online.ok() || online.value().empty()) return false;
  for (const int cpu : online.value()) {
    if (cpu < 0 || static_cast<size_t>(cpu) >= addresses.size()) return false;
    const Result<uint32_t> said =
        sys::run_once(program->get(), {addresses[static_cast<size_t>(cpu)]}, cpu);
    if (!said.ok() || said.value() != 1) return false;
  }
  return true;
}

/// A program may have the variable.
bool is_loadable(const bpf::PreemptCount& count) {
  bpf::Assembler code;
  code.load_variable(Reg::R1, count.variable);
  code.call_helper(Helper::ThisCpuPtr);
  code.emit(bpf::load(Size::W, Reg::R0, Reg::R0, static_cast<int16_t>(count.offset)));
  code.emit(bpf::exit_insn());
  return load(code).has_value();
}

bpf::CurrentTasks current_tasks(const Known& known, uint32_t cpu_count) {
  const std::optional<uint64_t> of_number = variable_of_cpu_number();
  if (!of_number) return {};
  std::vector<uint64_t> addresses = bases_of_cpus(known, cpu_count);
  for (uint64_t& address : addresses)
    address += *of_number + static_cast<uint64_t>(int64_t{known.task_from_cpu});
  if (addresses.empty() || !are_current_tasks(known, addresses)) return {};
  bpf::CurrentTasks tasks = known.types;
  tasks.addresses = std::move(addresses);
  return tasks;
}

}  // namespace

void find_current_tasks(const uint8_t* btf, size_t btf_bytes, bpf::KernelFacts& facts) {
  if (!kHasThem) return;
  bpf::PreemptCount count;
  const std::optional<Known> known = read_btf(btf, btf_bytes, count);
  if (known) facts.current_tasks = current_tasks(*known, facts.cpu_count);
  if (!facts.has_preempt_count() && count.variable != 0 && is_loadable(count))
    facts.preempt_count = count;
}

}  // namespace ktap::engine
