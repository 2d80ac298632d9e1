// See engines.h. Wraps the product's engine; only disarming is done here, since nothing but this
// process ever runs the programs: then no grace period has to be waited for.
#include <fmt/format.h>

#include <linux/bpf.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <algorithm>

#include <cerrno>
#include <cstring>

#include "bpf/assembler.h"
#include "handlers/engines.h"
#include "sys/bpf.h"

namespace ktap::differential {
namespace {

using backend::Control;

uint64_t pointer(const void* data) { return reinterpret_cast<uint64_t>(data); }

std::string test_run(int program, const std::vector<uint64_t>& arguments) {
  std::vector<uint64_t> context(arguments);
  context.resize(12);  // MAX_BPF_FUNC_ARGS
  bpf_attr attr{};
  attr.test.prog_fd = static_cast<uint32_t>(program);
  attr.test.ctx_in = pointer(context.data());
  attr.test.ctx_size_in = static_cast<uint32_t>(context.size() * sizeof(uint64_t));
  if (syscall(__NR_bpf, BPF_PROG_TEST_RUN, &attr, sizeof attr) == 0) return "";
  return fmt::format("BPF_PROG_TEST_RUN: {}\n", std::strerror(errno));
}

class KernelEngine final : public JudgedEngine {
 public:
  /// `control` is the control page, mapped once more: `bytes` of it.
  KernelEngine(std::unique_ptr<engine::BpfEngine> inner, Actors& actors, void* control,
               size_t bytes)
      : actors_(actors),
        inner_(std::move(inner)),
        control_(static_cast<uint8_t*>(control)),
        bytes_(bytes) {}
  ~KernelEngine() override { munmap(control_, bytes_); }

  std::string run(size_t index, const std::vector<uint64_t>& arguments) override {
    std::string trouble;
    actors_.run([&] { trouble = test_run(inner_->program_fd(index), arguments); });
    return trouble;
  }

  Result<void> attach() override { return inner_->attach(); }
  void detach() override { inner_->detach(); }
  void arm() override { inner_->arm(); }
  void disarm() override {
    if (!exited_) exited_ = inner_->exit_requested(&status_);
    set_armed(0);
    inner_->disarm();
  }
  bool exit_requested(int64_t* status) const override {
    if (!exited_) return inner_->exit_requested(status);
    *status = status_;
    return true;
  }
  size_t drain(const std::function<void(const engine::Record&)>& deliver) override {
    return inner_->drain(deliver);
  }
  std::vector<uint64_t> counter(uint32_t row) const override { return inner_->counter(row); }
  std::vector<uint64_t> missed_runs() const override { return inner_->missed_runs(); }
  std::vector<uint64_t> missed_hits() const override { return inner_->missed_hits(); }
  Result<void> follow(pid_t) override { return {}; }  // of --follow, which nothing here asks for
  void unfollow(pid_t) override {}
  std::vector<int> followed() override { return {}; }
  int64_t* cell(uint32_t cell) override { return inner_->cell(cell); }
  Result<void> preload(uint32_t table, const runtime::Table& entries,
                       const ssa::Module& module) override {
    return inner_->preload(table, entries, module);
  }
  std::unique_ptr<runtime::TableBacking> back(uint32_t table, runtime::Heap& heap,
                                              const ssa::Module& module) override {
    return inner_->back(table, heap, module);
  }
  std::unique_ptr<runtime::SharedVariable> variable(uint32_t table, runtime::Heap& heap,
                                                    const ssa::Module& module) override {
    return inner_->variable(table, heap, module);
  }
  std::unique_ptr<engine::DeltaReader> read_delta(uint32_t table) override {
    return inner_->read_delta(table);
  }
  void set_sleeping(bool sleeping) override { inner_->set_sleeping(sleeping); }
  std::vector<uint32_t> verified_instructions() const override {
    return inner_->verified_instructions();
  }
  void next_run() override { inner_->next_run(); }
  uint64_t run() const override { return inner_->run(); }

 private:
  void set_armed(uint64_t value) { std::memcpy(control_ + Control::kArmed, &value, sizeof value); }

  Actors& actors_;
  std::unique_ptr<engine::BpfEngine> inner_;
  uint8_t* control_;
  size_t bytes_;
  bool exited_ = false;
  int64_t status_ = 0;
};

}  // namespace

std::unique_ptr<JudgedEngine> make_kernel_engine(const backend::Unit& unit, const Ground& ground,
                                                 std::string* refused) {
  std::vector<engine::Rejection> rejections;
  Result<std::unique_ptr<engine::BpfEngine>> loaded = engine::BpfEngine::load(unit, &rejections);
  if (!loaded.ok()) {
    *refused = loaded.error().message + "\n";
    return nullptr;
  }
  const bool is_too_much =
      !rejections.empty() && std::all_of(rejections.begin(), rejections.end(),
                                         [](const engine::Rejection& r) { return r.is_size; });
  if (is_too_much) *refused = kTooMuch;
  for (const engine::Rejection& rejection : rejections) {
    *refused += fmt::format("program {}, line {}: {}\n", rejection.program, rejection.line,
                            rejection.reason);
  }
  if (!rejections.empty()) return nullptr;
  const size_t bytes = unit.maps[unit.control_map].value_size_bytes;
  void* control = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
                       loaded.value()->map_fd(unit.control_map), 0);
  if (control == MAP_FAILED) {
    *refused = fmt::format("mapping the control page: {}\n", std::strerror(errno));
    return nullptr;
  }
  return std::make_unique<KernelEngine>(std::move(loaded).value(), *ground.actors, control, bytes);
}

Result<uint64_t> kernel_address_of(const sys::Map& map) {
  bpf::Assembler assembler;
  assembler.load_map_value(bpf::Reg::R1, 0, 0);
  assembler.emit(bpf::store(bpf::Size::DW, bpf::Reg::R1, 0, bpf::Reg::R1));
  assembler.emit(bpf::mov64(bpf::Reg::R0, 0));
  assembler.emit(bpf::exit_insn());
  bpf::Program program;
  KTAP_TRY(assembler.finish(program));
  std::vector<bpf::Insn> code = program.code;
  for (const bpf::MapRef& ref : program.maps) {
    code[ref.insn].imm = map.fd();
    code[ref.insn].src = bpf::kPseudoMapValue & 15;
    code[ref.insn + 1].imm = 0;
  }
  sys::LoadFailure failure;
  const std::optional<sys::UniqueFd> fd =
      sys::load_program("where", bpf::ProgramKind::RawTracepoint, code, &failure);
  if (!fd) return failure.error;
  const std::string trouble = test_run(fd->get(), {});
  if (!trouble.empty()) return Error{trouble, 0};
  std::vector<uint8_t> value(map.value_stride_bytes());
  const uint32_t key = 0;
  uint64_t address = 0;
  if (!map.lookup(&key, value.data())) return Error{"the map's value cannot be read", 0};
  std::memcpy(&address, value.data(), sizeof address);
  return address;
}

}  // namespace ktap::differential
